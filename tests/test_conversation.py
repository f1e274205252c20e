"""What is said to a reply: what is asked then, what of it the ledger answers, what of it a record keeps."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.messages_server import MessagesServer
from workbench.definition.agent import Agent
from workbench.errors import BudgetError, EstimateOnly, PlanError, ReplayMiss, SetupError
from workbench.ledger.budget.worst_case import most_of
from workbench.ledger.store import open_ledger
from workbench.model.loop import Started
from workbench.runs.conversation import answer_reply, follow_up
from workbench.runs.plan import make_request, plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.start import start_trial
from workbench.trial.paid import Paid
from workbench.trial.record import export_record, load_run
from workbench.trial.task import Task
from workbench.trial.trial import Run

LOAD = Task(id="load", input="Which load?")


@pytest.fixture
def run(agent: Agent, server: MessagesServer) -> Run:
    """Two attempts, answered by the server."""
    return run_trials(plan_trials({"base": agent}, [LOAD], repeats=2))


def said(run: Run, text: str = "A thousand a second.", **settings: str) -> Run:
    return answer_reply(run, text, variant="base", task_id="load", repeat=1, **settings)  # type: ignore[arg-type]


def test_an_answer_carries_all_that_was_said_and_is_asked_where_the_run_was(run: Run, server: MessagesServer) -> None:
    longer = said(said(run), "And at night?")

    assert longer.trials == run.trials
    assert [len(trial.request.messages) for trial in longer.follow_ups] == [3, 5]
    assert [(trial.repeat, trial.outcome) for trial in longer.follow_ups] == [(1, "answered")] * 2
    assert server.bodies[-1]["messages"] == [
        {"role": "user", "content": "Which load?"},
        {"role": "assistant", "content": "First, a question: what load do you expect?"},
        {"role": "user", "content": "A thousand a second."},
        {"role": "assistant", "content": "First, a question: what load do you expect?"},
        {"role": "user", "content": "And at night?"},
    ]


def test_what_a_reply_took_is_not_counted_again_with_its_answer(run: Run) -> None:
    paid = Paid(attempts=3, input_tokens=1_000)

    assert follow_up(run.trials[0].replace(paid=paid), "A thousand a second.").paid is None


def test_what_the_ledger_holds_is_asked_anew_only_when_all_is_to_be(run: Run, server: MessagesServer) -> None:
    (asked,) = said(run).follow_ups
    server.fault = lambda _, __: "line separator"

    for mode in ("top-up", "replay"):
        (known,) = said(run, mode=mode).follow_ups
        assert (known.key, known.reply, known.from_ledger) == (asked.key, asked.reply, True)
    assert len(server.bodies) == 3
    (fresh,) = said(run, mode="fresh").follow_ups
    assert fresh.key == asked.key
    assert fresh.reply is not None
    assert fresh.reply.text == "one\u2028two"
    assert len(server.bodies) == 4


def test_a_replay_that_misses_says_what_differs_and_asks_nobody(run: Run, server: MessagesServer) -> None:
    said(run)

    with pytest.raises(ReplayMiss, match=r"said to variant 'base' on task 'load', repeat 1, .* differs in messages"):
        said(run, "Ten thousand.", mode="replay")
    assert len(server.bodies) == 3


def test_an_answer_to_a_given_reply_stays_the_same_request_when_the_task_is_answered_anew(
    run: Run, server: MessagesServer, agent: Agent
) -> None:
    first = run.trials[1].reply
    assert first is not None
    (asked,) = said(run).follow_ups
    server.pieces = ["Another reply."]
    anew = run_trials(plan_trials({"base": agent}, [LOAD], repeats=2), mode="fresh")
    before = len(server.bodies)

    assert said(anew, reply=first.text).follow_ups[0].key == asked.key
    assert len(server.bodies) == before
    assert said(anew).follow_ups[0].key != asked.key


def test_a_failing_answer_is_a_failed_trial_and_can_be_said_again(run: Run, server: MessagesServer) -> None:
    server.fault = lambda _, __: "413"
    failed = said(run)
    server.fault = lambda _, __: "ok"
    again = said(failed)

    assert [trial.outcome for trial in again.follow_ups] == ["failed", "answered"]
    assert again.follow_ups[0].key == again.follow_ups[1].key


def test_a_run_of_elsewhere_is_continued_from_the_ledger_and_never_asked_here(
    run: Run, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(run)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")

    assert said(run).follow_ups[0].from_ledger
    with pytest.raises(
        SetupError, match=r"was answered at http://127\.0\.0\.1:\d+, and here http://127\.0\.0\.1:9 would"
    ):
        said(run, "Something new.")
    assert len(server.bodies) == 3


def test_the_budget_of_the_environment_bounds_it(
    run: Run, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_BUDGET_SCOPE", "today")
    monkeypatch.setenv("WORKBENCH_BUDGET_TOKENS", "10")

    with pytest.raises(BudgetError):
        said(run)
    assert len(server.bodies) == 2


def test_where_only_an_estimate_is_wanted_nothing_is_asked(
    run: Run, server: MessagesServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORKBENCH_ESTIMATE_FILE", str(tmp_path / "estimate.json"))

    with pytest.raises(EstimateOnly):
        said(run)
    assert len(server.bodies) == 2


def test_an_interrupt_stops_it_and_keeps_that_it_was_asked(
    run: Run, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Started.wait

    def interrupted(started: Started[object], seconds: float | None = None) -> bool:
        if seconds is None:
            return waits(started)
        assert server.answered.wait(30)
        raise KeyboardInterrupt

    server.answered.clear()
    server.seconds_a_piece = 5.0
    monkeypatch.setattr(Started, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        said(run)

    with open_ledger() as ledger:
        assert (ledger.count(), ledger.count(whole=True)) == (3, 2)


def test_it_works_where_a_loop_is_running(run: Run) -> None:
    async def cell() -> Run:
        return said(run)

    assert asyncio.run(cell()).follow_ups[0].outcome == "answered"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variant": "terse"}, "no trial of variant 'terse' .* its variants are 'base', its repeats 2 from 0"),
        ({"repeat": 2}, "repeat 2"),
        ({"text": " "}, "type one"),
        ({"text": "a \ud83d"}, r"the answer holds half a character, '.ud83d', at position 3"),
        ({"reply": ""}, "has no reply on task 'load'"),
        ({"mode": "again"}, "mode is 'again'; it is one of"),
    ],
)
def test_what_cannot_be_said_is_refused(run: Run, settings: dict[str, object], message: str) -> None:
    given = {"text": "Yes.", "variant": "base", "task_id": "load", **settings}

    with pytest.raises(PlanError, match=message):
        answer_reply(run, **given)  # type: ignore[arg-type]


def test_a_record_keeps_what_was_said_and_none_is_left_of_an_older_one(run: Run, tmp_path: Path) -> None:
    longer = said(said(run), "And at night?")
    folder = export_record(longer, tmp_path / "record")
    loaded = load_run(folder)

    assert [trial.replace(from_ledger=False) for trial in loaded.follow_ups] == [
        trial.replace(from_ledger=False) for trial in longer.follow_ups
    ]
    assert [trial.key for trial in loaded.follow_ups] == [trial.key for trial in longer.follow_ups]
    assert said(loaded, "And on Sundays?").follow_ups[-1].request.messages[:5] == longer.follow_ups[1].request.messages

    lines = (folder / "follow_ups.jsonl").read_bytes()
    export_record(loaded, folder)
    assert (folder / "follow_ups.jsonl").read_bytes() == lines
    export_record(run, folder)
    assert not (folder / "follow_ups.jsonl").exists()


def test_two_that_say_the_same_at_once_pay_once(run: Run, server: MessagesServer) -> None:
    server.seconds_a_piece = 0.1
    with ThreadPoolExecutor() as threads:
        both = [threads.submit(said, run) for _ in range(2)]
        (first,), (second,) = (each.result(60).follow_ups for each in both)

    assert len(server.bodies) == 2 + 1
    assert (first.reply, first.outcome) == (second.reply, "answered")
    assert {first.from_ledger, second.from_ledger} == {False, True}


def test_what_is_said_stays_within_the_budget_of_the_run(run: Run, server: MessagesServer) -> None:
    with pytest.raises(BudgetError, match="cannot start any trial"):
        said(run, budget_tokens=100)  # type: ignore[arg-type]
    assert len(server.bodies) == 2

    assert said(run, budget_tokens=100_000).follow_ups[0].outcome == "answered"  # type: ignore[arg-type]


def test_run_and_what_is_said_to_it_spend_from_one_budget(agent: Agent, server: MessagesServer) -> None:
    plan = plan_trials({"base": agent}, [LOAD], repeats=2, max_tokens=50)
    most = most_of(plan.requests["base", "load"]).tokens
    run = run_trials(plan, budget_tokens=2 * most)
    limit = 2 * 18 + most  # what the two took, and less than what is said to one of them may take beside it

    with pytest.raises(BudgetError, match="36 tokens are spent already"):
        said(run, budget_tokens=limit)  # type: ignore[arg-type]


def test_failing_answer_is_a_trial_with_a_failure(run: Run, server: MessagesServer) -> None:
    server.fault = lambda _, __: "413"

    (failed,) = said(run).follow_ups

    assert (failed.outcome, failed.failure.status if failed.failure else None) == ("failed", 413)


def test_where_only_an_estimate_is_wanted_nothing_is_sent_by_a_single_trial(
    agent: Agent, server: MessagesServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORKBENCH_ESTIMATE_FILE", str(tmp_path / "estimate.json"))

    with pytest.raises(EstimateOnly, match="nothing was sent"):
        start_trial(make_request(agent, "Which load?"), agent=agent)

    assert server.bodies == []
