from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.batch_server import serve_batches
from tests.messages_server import REPLY, MessagesServer
from workbench.comparison.static_tables import ranking_table, tasks_table
from workbench.comparison.tables import Comparison, compare
from workbench.definition.agent import Agent
from workbench.errors import BudgetError, EstimateOnly, PlanError, ReplayMiss, SetupError
from workbench.grading.catalogue import standard
from workbench.ledger.budget.worst_case import most_of
from workbench.ledger.store import open_ledger
from workbench.model.retrying import BATCHES, Retry
from workbench.runs import runner
from workbench.runs.estimate import estimate_plan
from workbench.runs.estimate_only import ESTIMATE_FILE, read_estimate
from workbench.runs.plan import Plan, plan_trials
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Run

TASKS = tuple(Task(id=str(number), input=f"task {number}") for number in range(6))

OFTEN = replace(BATCHES, first_seconds=0.01, longest_seconds=0.05)
run_trials = partial(runner.run_trials, retry=Retry(first_seconds=0.001))


def plan_of(agent: Agent, **settings: int) -> Plan:
    return plan_trials({"base": agent}, TASKS, **settings)  # type: ignore[arg-type]


def texts(run: Run) -> list[str]:
    return [trial.reply.text if trial.reply else "" for trial in run.trials]


def test_replay_answers_from_the_ledger_and_asks_nobody(agent: Agent, server: MessagesServer) -> None:
    recorded = run_trials(plan_of(agent))
    server.fault = lambda _, __: "500"

    replayed = run_trials(plan_of(agent), mode="replay")

    assert texts(replayed) == texts(recorded)
    assert len(server.bodies) == 6


def test_replay_needs_neither_the_key_nor_the_address_it_was_recorded_with(
    agent: Agent, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = run_trials(plan_of(agent))
    monkeypatch.delenv("ANTHROPIC_BASE_URL")

    replayed = run_trials(plan_of(agent), mode="replay")

    assert texts(replayed) == texts(recorded)
    assert replayed.endpoint == recorded.endpoint


def test_replay_that_misses_says_what_differs_from_the_nearest_recorded(agent: Agent, server: MessagesServer) -> None:
    run_trials(plan_of(agent))

    with pytest.raises(ReplayMiss, match=r"6 of 6 trials .* differs in model \(recorded 'claude-sonnet-5-5'"):
        run_trials(plan_of(agent.replace(model="opus")), mode="replay")
    with pytest.raises(ReplayMiss, match=r"6 of 12 trials .* repeat 1: .* differs in repeat"):
        run_trials(plan_of(agent, repeats=2), mode="replay")
    assert len(server.bodies) == 6


@pytest.mark.parametrize("also_here", [False, True])
def test_replay_without_the_key_names_the_word_that_differs_and_not_the_endpoint(
    agent: Agent, server: MessagesServer, monkeypatch: pytest.MonkeyPatch, also_here: bool
) -> None:
    run_trials(plan_of(agent))
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    if also_here:  # the stand-in holds a part of it
        run_trials(plan_trials({"base": agent}, TASKS[:1]), progress=False)
    one_word = plan_trials({"base": agent}, [*TASKS[:3], replace(TASKS[3], input="job 3"), *TASKS[4:]])

    with pytest.raises(
        ReplayMiss, match=rf"1 of 6 trials .* as answered by the server at {server.url}; .*'3'"
    ) as missed:
        run_trials(one_word, mode="replay")
    assert missed.value.difference is not None
    assert [part.name for part in missed.value.difference.parts] == ["messages"]  # type: ignore[attr-defined]

    with pytest.raises(ReplayMiss, match=r"6 of 6 trials .* differs in system") as missed:
        run_trials(plan_of(agent.replace(prompt=f"{agent.prompt}\nAnd kind.")), mode="replay")
    assert missed.value.difference is not None
    assert [part.name for part in missed.value.difference.parts] == ["system"]  # type: ignore[attr-defined]


def test_replay_from_an_empty_ledger_says_so(agent: Agent) -> None:
    with pytest.raises(ReplayMiss, match="nothing is recorded there"):
        run_trials(plan_of(agent), mode="replay")


def test_fresh_asks_for_all_anew_and_the_newest_counts_from_then_on(agent: Agent, server: MessagesServer) -> None:
    run_trials(plan_of(agent))
    server.fault = lambda _, __: "line separator"

    fresh = run_trials(plan_of(agent), mode="fresh")
    after = run_trials(plan_of(agent))

    assert len(server.bodies) == 12
    assert texts(fresh) == texts(after) == ["one\u2028two"] * 6


@pytest.mark.parametrize(("name", "value"), [("mode", "again"), ("via", "pigeon")])
def test_unknown_mode_is_refused(agent: Agent, name: str, value: str) -> None:
    with pytest.raises(PlanError, match=f"{name} is '{value}'; it is one of"):
        run_trials(plan_of(agent), **{name: value})  # type: ignore[arg-type]


def test_too_small_a_budget_says_the_smallest_that_can_start_and_asks_nothing(
    agent: Agent, server: MessagesServer
) -> None:
    with pytest.raises(BudgetError, match=r"budget_usd=0\.08"):
        run_trials(plan_of(agent), budget_usd=0.01)

    assert server.bodies == []


def test_budget_that_is_used_up_keeps_what_was_answered_and_the_next_goes_on(
    agent: Agent, server: MessagesServer
) -> None:
    plan = plan_of(agent, max_tokens=1000)
    one_reply_takes, worst_case = 11 + 7, most_of(plan.requests["base", "0"]).tokens

    with pytest.raises(BudgetError, match="the budget is used up: .* 54 of .* tokens spent, 0 reserved"):
        run_trials(plan, budget_tokens=worst_case + 2 * one_reply_takes, concurrency=3)
    with open_ledger() as ledger:
        answered = ledger.count(whole=True)
    run = run_trials(plan, budget_tokens=10_000)

    assert answered == 3
    assert {trial.outcome for trial in run.trials} == {"answered"}
    assert len(server.bodies) == 6


def test_worst_cases_in_flight_never_pass_the_budget(agent: Agent, server: MessagesServer) -> None:
    server.seconds_a_piece = 0.02
    in_flight, most, lock = [0], [0], threading.Lock()

    def watch(_body: object, _before: int) -> str:
        with lock:
            in_flight[0] += 1
            most[0] = max(most[0], in_flight[0])
        threading.Timer(0.05, lambda: in_flight.__setitem__(0, in_flight[0] - 1)).start()
        return "ok"

    server.fault = watch
    run = run_trials(plan_of(agent, max_tokens=1000), budget_tokens=3500, concurrency=6)

    assert {trial.outcome for trial in run.trials} == {"answered"}
    assert most[0] <= 2


def test_refused_requests_cost_nothing_of_the_budget(agent: Agent, server: MessagesServer) -> None:
    server.fault = lambda _, before: "529" if before < 3 else "ok"

    run = run_trials(plan_of(agent, max_tokens=1000), budget_tokens=3500)

    assert {trial.outcome for trial in run.trials} == {"answered"}


def test_broken_replies_count_at_their_worst(agent: Agent, server: MessagesServer) -> None:
    server.fault = lambda _, before: "ends early" if before == 0 else "ok"

    with pytest.raises(BudgetError, match="used up"):
        run_trials(plan_of(agent, max_tokens=1000), budget_tokens=3500, concurrency=1)


def test_model_without_a_price_refuses_usd_and_takes_tokens(agent: Agent, server: MessagesServer) -> None:
    plan = plan_of(agent.replace(model="claude-nobody-1"))

    with pytest.raises(BudgetError, match="claude-nobody-1"):
        run_trials(plan, budget_usd=5.0)
    run = run_trials(plan, budget_tokens=100_000)

    assert {trial.outcome for trial in run.trials} == {"answered"}


def test_stand_in_needs_no_budget(agent: Agent) -> None:
    assert {trial.outcome for trial in run_trials(plan_of(agent), budget_usd=0.0).trials} == {"answered"}


def test_same_plan_streamed_batched_and_replayed_gives_equal_tables(
    agent: Agent, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = GraderSpec(name="mentions", promise="asks", options={"any": ["First"]})
    tasks = [replace(task, graders=(asks,)) for task in TASKS]
    variants = {"base": agent, "short": agent.replace(prompt="Be short.")}
    plan = plan_trials(variants, tasks, graders=standard())
    streamed = run_trials(plan)
    streamed_again = run_trials(plan, mode="replay")

    def reply(params: dict[str, object]) -> dict[str, object]:
        message = {
            "model": params["model"],
            "content": [{"type": "text", "text": "".join(REPLY)}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 11, "output_tokens": 7, "service_tier": "batch"},
        }
        return {"type": "succeeded", "message": message}

    with serve_batches() as batch_server:
        batch_server.outcome = reply
        batch_server.ends_at_once = True
        monkeypatch.setenv("ANTHROPIC_BASE_URL", batch_server.url)
        batched = run_trials(plan, via="batch", budget_usd=1.0, retry=OFTEN)
    replayed = run_trials(plan, mode="replay")

    tables = [compare(run, baseline="base") for run in (streamed, batched, streamed_again, replayed)]
    by_stream, by_batch, *from_ledger = map(str, tables)
    assert from_ledger == [by_stream, by_batch]
    assert len({tables_of_scores(table) for table in tables}) == 1
    assert [trial.outcome for trial in batched.trials] == ["answered"] * 12
    assert all(trial.from_ledger for trial in replayed.trials)


def tables_of_scores(comparison: Comparison) -> str:
    """All that is printed but cost and seconds, which a batch has at half the price and not at all."""
    about = (ranking_table(comparison), tasks_table(comparison), *(verdict.text for verdict in comparison.verdicts))
    return "\n".join(map(str, about))


@pytest.mark.parametrize("hours", [8, -8])
def test_clock_that_is_set_while_asking_neither_ends_nor_delays_a_trial(
    agent: Agent, server: MessagesServer, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    now = time.time

    def jump(_body: object, _before: int) -> str:
        monkeypatch.setattr(time, "time", lambda: now() + hours * 3600)
        return "ok"

    server.fault = jump

    run = run_trials(plan_of(agent), concurrency=2, deadline_seconds=60)

    assert [(trial.outcome, trial.reply and trial.reply.attempts) for trial in run.trials] == [("answered", 1)] * 6


@pytest.mark.parametrize("fault", ["401", "403", "404", "spend"])
def test_refusal_that_holds_for_all_ends_the_run_with_one_message_however_many_are_in_flight(
    agent: Agent, server: MessagesServer, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    server.fault = lambda _, __: fault

    with pytest.raises(SetupError):
        run_trials(plan_of(agent, repeats=10), concurrency=20, progress=False)

    assert len(server.bodies) <= 20
    assert capsys.readouterr().out.count("\n") == 1, "only who answers"


def test_stand_in_has_no_batches(agent: Agent) -> None:
    with pytest.raises(SetupError, match="has no batches"):
        run_trials(plan_of(agent), via="batch")


def test_what_is_on_its_way_in_a_batch_is_not_streamed_as_well(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_batches() as server:
        server.ends_at_once = False
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        waiting = threading.Thread(target=lambda: run_trials(plan_of(agent), via="batch", retry=OFTEN))
        waiting.start()
        assert server.looked.wait(60)

        with pytest.raises(PlanError, match="6 of these trials are on their way in a message batch"):
            run_trials(plan_of(agent))
        server.end()
        waiting.join(20)

    assert {trial.outcome for trial in run_trials(plan_of(agent), mode="replay").trials} == {"answered"}
    assert set(server.asked().values()) == {1}


def test_a_fresh_run_says_that_it_pays_once_more(
    agent: Agent, server: MessagesServer, capsys: pytest.CaptureFixture[str]
) -> None:
    run_trials(plan_of(agent), progress=False)
    found = estimate_plan(plan_of(agent, repeats=2), mode="fresh")
    rows = dict(found.rows())

    assert (found.calls, found.answered, found.paid_again) == (len(TASKS) * 2, 0, len(TASKS))
    assert rows["answered in the ledger"] == (
        f"0 (0%): a fresh run asks for all anew, so {len(TASKS)} that it holds are paid once more"
    )
    assert dict(estimate_plan(plan_of(agent)).rows())["answered in the ledger"] == f"{len(TASKS)} (100%)"
    capsys.readouterr()
    for mode, is_said in (("top-up", False), ("fresh", True)):
        run_trials(plan_of(agent), progress=False, mode=mode)  # type: ignore[arg-type]
        assert ("is paid once more" in capsys.readouterr().out) is is_said


def test_an_estimate_only_run_counts_what_a_fresh_one_asks(
    agent: Agent, server: MessagesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_trials(plan_of(agent), progress=False)
    file = tmp_path / "estimate.json"
    monkeypatch.setenv(ESTIMATE_FILE, str(file))
    calls = {}
    for mode in ("top-up", "fresh"):
        with pytest.raises(EstimateOnly):
            run_trials(plan_of(agent), mode=mode)  # type: ignore[arg-type]
        totals, _ = read_estimate(file)
        assert totals is not None
        calls[mode] = totals.calls

    assert calls == {"top-up": 0, "fresh": len(TASKS)}
