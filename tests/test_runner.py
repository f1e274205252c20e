from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.messages_server import REPLY, MessagesServer
from workbench.definition.agent import Agent
from workbench.errors import LedgerError, PlanError, SetupError, UnknownGrader
from workbench.ledger.store import open_ledger
from workbench.model.endpoint import choose_endpoint
from workbench.model.retrying import Retry
from workbench.runs import runner
from workbench.runs.plan import Plan, make_request, plan_trials
from workbench.runs.start import start_planned, start_trial
from workbench.trial.paid import Paid
from workbench.trial.record import export_record, load_run
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Failure, Reply, Score, Trial

run_trials = partial(runner.run_trials, retry=Retry(first_seconds=0.001))
TASKS = (
    Task(id="one", input="Design it"),
    Task(id="two", input="Build it"),
    Task(id="three", input="Secure it"),
)


def plan_of(agent: Agent, **settings: int) -> Plan:
    return plan_trials({"base": agent}, TASKS, **settings)  # type: ignore[arg-type]


def test_every_planned_trial_is_answered_in_the_order_of_the_plan(agent: Agent, server: MessagesServer) -> None:
    plan = plan_trials({"base": agent, "terse": agent.replace(prompt="Be terse.")}, TASKS, repeats=2)

    run = run_trials(plan)

    assert [(trial.task_id, trial.variant, trial.repeat) for trial in run.trials[:5]] == [
        ("one", "base", 0),
        ("one", "base", 1),
        ("one", "terse", 0),
        ("one", "terse", 1),
        ("two", "base", 0),
    ]
    assert {trial.outcome for trial in run.trials} == {"answered"}
    assert len(server.bodies) == 12
    assert run.trials[0].request.model == "claude-sonnet-5-5"


def test_same_plan_again_asks_for_nothing(agent: Agent, server: MessagesServer) -> None:
    first = run_trials(plan_of(agent, repeats=2))
    again = run_trials(plan_of(agent, repeats=2))

    assert len(server.bodies) == 6
    assert [trial.reply for trial in again.trials] == [trial.reply for trial in first.trials]
    assert all(trial.from_ledger for trial in again.trials)


def test_more_repeats_ask_only_for_the_new_ones(agent: Agent, server: MessagesServer) -> None:
    run_trials(plan_of(agent, repeats=1))
    run_trials(plan_of(agent, repeats=3))

    assert len(server.bodies) == 9
    assert set(server.asked().values()) == {1}


def test_a_run_says_what_all_attempts_took_and_its_record_keeps_it(
    agent: Agent, server: MessagesServer, tmp_path: Path
) -> None:
    server.fault = lambda _, before: "cut" if before == 0 else "ok"
    run = run_trials(plan_of(agent))
    again = run_trials(plan_of(agent))
    loaded = load_run(export_record(run, tmp_path))

    for trial in run.trials:
        assert trial.reply is not None and trial.paid is not None and trial.paid.usd is not None
        assert trial.paid.attempts == trial.reply.attempts == 2
        assert trial.paid.tokens > 11 + 7
        assert trial.paid.usd > 0
    assert [trial.paid for trial in again.trials] == [trial.paid for trial in run.trials]
    assert [trial.paid for trial in loaded.trials] == [trial.paid for trial in run.trials]


def test_changed_persona_is_asked_anew(agent: Agent, server: MessagesServer) -> None:
    run_trials(plan_of(agent))
    run_trials(plan_of(agent.replace(prompt="Another.")))

    assert len(server.bodies) == 6


def test_overloaded_model_fails_one_trial_only(agent: Agent, server: MessagesServer) -> None:
    server.fault = lambda body, _: "529" if "Build" in body["messages"][0]["content"] else "ok"

    run = run_trials(plan_of(agent), retry=Retry(first_seconds=0.001, patience_seconds=0.01))

    assert [trial.outcome for trial in run.trials] == ["answered", "failed", "answered"]
    assert run.trials[1].failure == Failure(
        type="overloaded_error", message="made up: 529", status=529, request_id="req_x"
    )
    assert run.trials[1].score is None


@pytest.mark.parametrize("fault", ["429", "529", "500", "cut", "ends early", "overloaded in the stream"])
def test_what_passes_is_tried_again_and_answered_once(agent: Agent, server: MessagesServer, fault: str) -> None:
    server.fault = lambda _, before: fault if before == 0 else "ok"

    run = run_trials(plan_of(agent))

    assert {trial.outcome for trial in run.trials} == {"answered"}
    assert {trial.reply.attempts for trial in run.trials if trial.reply} == {2}
    assert all(trial.reply and trial.reply.text == "".join(REPLY) for trial in run.trials)


def test_failed_attempts_are_in_the_ledger_too(agent: Agent, server: MessagesServer) -> None:
    server.fault = lambda _, before: "529" if before == 0 else "ok"

    run_trials(plan_of(agent))

    with open_ledger() as ledger:
        assert ledger.count() == 6


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("refusal", "refused"), ("cut off", "cut_off"), ("empty", "empty"), ("html", "failed"), ("not json", "failed")],
)
def test_each_way_of_not_answering_has_its_own_outcome_and_no_score(
    agent: Agent, server: MessagesServer, fault: str, outcome: str
) -> None:
    server.fault = lambda _, __: fault
    task = Task(id="one", input="x", graders=(GraderSpec(name="zero", promise="zero"),))
    graders = {"zero": lambda: lambda _task, _reply: Score(value=0.0, explanation="always")}

    [trial] = run_trials(plan_trials({"base": agent}, [task], graders=graders)).trials

    assert trial.outcome == outcome
    assert (trial.score, dict(trial.scores)) == (None, {})


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("401", "check ANTHROPIC_API_KEY"),
        ("403", "may not use this model"),
        ("404", "check the model id 'claude-sonnet-5-5'"),
        ("400", "the request of task"),
        ("spend", "raise the limit"),
    ],
)
def test_what_fails_for_every_trial_stops_the_run_and_loses_nothing(
    agent: Agent, server: MessagesServer, fault: str, says: str
) -> None:
    run_trials(plan_trials({"base": agent}, TASKS[:1]))
    server.fault = lambda _, __: fault

    with pytest.raises(SetupError, match=says):
        run_trials(plan_of(agent), concurrency=1)
    server.fault = lambda _, __: "ok"
    run = run_trials(plan_of(agent))

    assert [trial.from_ledger for trial in run.trials] == [True, False, False]
    assert len(server.bodies) == 4


def test_one_failing_trial_is_not_a_reason_to_stop(agent: Agent, server: MessagesServer) -> None:
    server.fault = lambda body, _: "413" if "Build" in body["messages"][0]["content"] else "ok"

    assert [trial.outcome for trial in run_trials(plan_of(agent)).trials] == [
        "answered",
        "failed",
        "answered",
    ]


def test_server_that_cannot_be_reached_is_named(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")

    with pytest.raises(SetupError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        run_trials(plan_of(agent), retry=Retry(patience_without_server_seconds=0.01))


def test_full_disk_stops_the_run_and_hands_back_what_was_answered(agent: Agent, server: MessagesServer) -> None:
    run_trials(plan_trials({"base": agent}, TASKS[:1]))
    with open_ledger() as ledger:
        sa.event.listen(ledger._engine, "checkout", lambda raw, *_: raw.execute("PRAGMA max_page_count = 1"))
        big = plan_trials({"base": agent.replace(prompt="Long. " * 20_000)}, TASKS)

        with pytest.raises(LedgerError, match="database or disk is full; free some space") as caught:
            run_trials(big, ledger=ledger, concurrency=1)

    [unsaved] = caught.value.unsaved
    assert isinstance(unsaved, Trial)
    assert unsaved.outcome == "answered"
    run = run_trials(plan_of(agent))
    assert [trial.from_ledger for trial in run.trials] == [True, False, False]


def test_equal_scores_are_held_once_and_stay_the_numbers_that_they_were(agent: Agent) -> None:
    made = []

    def make(value: float) -> Callable[[Task, Reply], Score]:
        made.append(value)
        return lambda _task, _reply: Score(value=value, explanation="always")

    graders = tuple(GraderSpec(name="always", promise=str(value), options={"value": value}) for value in (1, 1.0))
    tasks = [Task(id=name, input=name, graders=graders) for name in ("one", "two")]

    one, two = run_trials(plan_trials({"base": agent}, tasks, graders={"always": make})).trials

    assert [type(score.value) for score in one.scores.values()] == [int, float]
    assert all(two.scores[label] is score for label, score in one.scores.items())
    assert made == [1, 1.0], "tasks that share their graders share what is made of them"


@pytest.mark.parametrize("usual", [700, 50_000, 0])
def test_garbage_collector_is_left_as_it_was_found(agent: Agent, server: MessagesServer, usual: int) -> None:
    seen = set()
    server.fault = lambda _, __: seen.add(gc.get_threshold()[0]) or "ok"
    before = gc.get_threshold()
    gc.set_threshold(usual)
    try:
        run_trials(plan_of(agent))
        after = gc.get_threshold()[0]
    finally:
        gc.set_threshold(*before)

    assert seen == {max(usual, 50_000) if usual else 0}, "it looks rarely while trials are asked"
    assert after == usual


def test_model_that_no_catalogue_knows_runs(agent: Agent, server: MessagesServer) -> None:
    [trial] = run_trials(plan_trials({"base": agent}, TASKS[:1], model="claude-nobody-1")).trials

    assert trial.outcome == "answered"
    assert trial.request.model == "claude-nobody-1"


def test_unknown_grader_and_wrong_options_are_found_before_anything_is_asked(agent: Agent) -> None:
    def with_grader(**options: object) -> Task:
        return Task(
            id="a",
            input="x",
            graders=(GraderSpec(name="has", promise="has", options=options, where="t.yaml:3"),),
        )

    with pytest.raises(UnknownGrader, match=r"t\.yaml:3: graders: there is no grader 'has'; there are mentions"):
        plan_trials(
            {"base": agent},
            [with_grader()],
            graders={"mentions": lambda: lambda _t, _r: Score(value=1, explanation="")},
        )
    with pytest.raises(UnknownGrader, match=r"t\.yaml:3: graders: has: .*unexpected keyword"):
        plan_trials(
            {"base": agent},
            [with_grader(no=1)],
            graders={"has": lambda: lambda _t, _r: Score(value=1, explanation="")},
        )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"variants": {}}, "there is no variant"),
        ({"tasks": []}, "there is no task"),
        ({"tasks": [TASKS[0], TASKS[0]]}, "two tasks have the id 'one'"),
        ({"repeats": 0}, "repeats is 0"),
        ({"repeats": "2"}, "repeats is '2'; it must be a whole number"),
        (
            {"tasks": [Task(id="half", input="a \ud83d b")]},
            "what task 'half' asks holds half a character, '.ud83d', at position 3",
        ),
        ({"effort": "extreme"}, "effort is 'extreme'"),
    ],
)
def test_plan_that_cannot_be_run_is_refused(agent: Agent, settings: dict[str, object], says: str) -> None:
    arguments = {"variants": {"base": agent}, "tasks": TASKS, **settings}

    with pytest.raises(PlanError, match=says):
        plan_trials(arguments.pop("variants"), arguments.pop("tasks"), **arguments)  # type: ignore[arg-type]


def test_started_trial_streams_and_gives_its_trial(agent: Agent, server: MessagesServer) -> None:
    pieces: list[str] = []

    trial = start_trial(make_request(agent, "Hello"), agent=agent, on_text=pieces.append).result(60)

    assert pieces == REPLY
    assert trial.outcome == "answered"


def test_planned_trial_is_asked_anew_and_keeps_nothing_of_an_earlier_end(agent: Agent, server: MessagesServer) -> None:
    plan = plan_trials({"base": agent, "same": agent}, TASKS[:1], repeats=2)
    trial = plan.trials(choose_endpoint())[-1]
    ended = trial.replace(
        reply=Reply(text="Earlier."),
        failure=Failure(type="stopped", message="stopped"),
        scores={"words": Score(value=1.0, explanation="")},
        from_ledger=True,
        paid=Paid(attempts=1),
    )

    asked = start_planned(ended, agent=agent).result(60)

    assert asked.outcome == "answered"
    assert asked.replace(reply=None) == trial
    assert (asked.variant, asked.repeat, asked.twin, asked.key) == ("same", 1, 1, trial.key)


def test_stopped_trial_keeps_what_came(agent: Agent, server: MessagesServer) -> None:
    server.seconds_a_piece = 0.2
    first_piece = threading.Event()

    started = start_trial(make_request(agent, "Hello"), agent=agent, on_text=lambda _: first_piece.set())
    assert first_piece.wait(60)
    started.stop()
    trial = started.result(60)

    assert trial.outcome == "stopped"
    assert trial.reply is not None
    assert trial.reply.text.startswith("First, ")
    with open_ledger() as ledger:
        assert ledger.count() == 1
        assert ledger.find([trial.key]) == {}


def test_watcher_hears_of_a_retry(agent: Agent, server: MessagesServer) -> None:
    server.fault = lambda _, before: "529" if before == 0 else "ok"
    heard: list[str] = []

    start_trial(
        make_request(agent, "Hello"), agent=agent, on_retry=lambda failure, _: heard.append(failure.type)
    ).result(60)

    assert heard == ["overloaded_error"]


SCRIPT = textwrap.dedent(
    """
    import signal
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored

    import workbench as wb
    from workbench.definition.agent import parse_agent
    from workbench.trial.task import Task

    agent = parse_agent("---\\nname: a\\ndescription: b\\n---\\nYou ask.\\n")
    tasks = [Task(id=str(n), input=f"task {n}") for n in range(12)]
    run = wb.run_trials(wb.plan_trials({"base": agent}, tasks, repeats=2), concurrency=3, progress=False)
    print("answered", sum(trial.outcome == "answered" for trial in run.trials), flush=True)
    """
)


def start_script(server: MessagesServer) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "ANTHROPIC_BASE_URL": server.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.machine
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_run_is_completed_without_asking_again_for_what_was_answered(
    server: MessagesServer, how: signal.Signals
) -> None:
    enough = threading.Event()

    def slow_after_eight(_body: object, _before: int) -> str:
        if len(server.bodies) > 8:
            server.seconds_a_piece = 5.0
            enough.set()
        return "ok"

    server.fault = slow_after_eight
    first = start_script(server)
    assert enough.wait(60)
    first.send_signal(how)
    output, _ = first.communicate(timeout=60)
    assert first.returncode != 0, output
    with open_ledger() as ledger:
        answered = ledger.count(whole=True)
    assert answered >= 6, "each worker has saved its reply before it asks for the next"
    asked_before = server.asked()

    server.fault, server.seconds_a_piece = (lambda _, __: "ok"), 0.0
    second = start_script(server)
    output, _ = second.communicate(timeout=60)

    assert "answered 24" in output
    asked_after = server.asked() - asked_before
    assert sum(asked_after.values()) == 24 - answered
    assert set(asked_after.values()) == {1}
    assert sum(asked_before.values()) - answered <= 3


def test_two_variants_that_send_the_same_request_get_replies_of_their_own(agent: Agent) -> None:
    plan = plan_trials({"a": agent, "again": agent.replace(color="red")}, TASKS, repeats=2)

    first, replayed = run_trials(plan), run_trials(plan)

    assert len({trial.key for trial in first.trials}) == 12
    assert [trial.reply for trial in first.trials[:2]] != [trial.reply for trial in first.trials[2:4]]
    assert [trial.reply for trial in first.trials] == [trial.reply for trial in replayed.trials]
