from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.batch_server import BatchServer, errored, serve_batches, succeeded
from workbench.definition.agent import Agent
from workbench.errors import BudgetError, PlanError, SetupError
from workbench.ledger.budget.limits import Limit, Spent
from workbench.ledger.budget.reservation import Budget, open_budget
from workbench.ledger.budget.worst_case import most_of
from workbench.ledger.open_batches import find_open_batches, intend_batch, known_batch_ids
from workbench.ledger.store import Ledger, open_ledger
from workbench.model.anthropic import request_body
from workbench.model.batches import ask as batches_ask
from workbench.model.batches.ask import BatchSettings, BatchState, ask_batch
from workbench.model.batches.items import Limits, split_trials
from workbench.model.endpoint import choose_endpoint
from workbench.model.retrying import BATCHES
from workbench.runs.plan import plan_trials
from workbench.trial.catalogue import find_price
from workbench.trial.task import Task
from workbench.trial.trial import Trial, Usage

AT_ONCE = replace(BATCHES, first_seconds=0.0, longest_seconds=0.0)
SETTLES_AT_ONCE = Limits(settling_seconds=0.0)
TASKS = tuple(Task(id=f"task-{number}", input=f"Question {number}") for number in range(5))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchServer]:
    with serve_batches() as running:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", running.url)
        yield running


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with open_ledger() as opened:
        yield opened


def trials_of(agent: Agent, repeats: int = 1) -> tuple[Trial, ...]:
    return plan_trials({"base": agent}, TASKS, repeats=repeats).trials(choose_endpoint())


def settings_of(**settings: Any) -> BatchSettings:
    """Looks at once and waits for no batch to turn up, unless told otherwise."""
    limits = replace(settings.pop("limits", SETTLES_AT_ONCE), settling_seconds=0.0)
    return BatchSettings(**{"retry": AT_ONCE, "limits": limits, **settings})


def ask(
    trials: tuple[Trial, ...],
    agent: Agent,
    ledger: Ledger,
    on_state: Callable[[BatchState], None] | None = None,
    **settings: Any,
) -> dict[int, Trial]:
    """What `ask_batch` gives, by position; each position once."""
    given = settings_of(**settings)

    async def all_of_them() -> list[tuple[int, Trial]]:
        settled = ask_batch(trials, {"base": agent}, ledger=ledger, settings=given, on_state=on_state)
        return [item async for item in settled]

    items = asyncio.run(all_of_them())
    assert Counter(position for position, _ in items) == Counter(range(len(trials)))
    return dict(items)


def crash(*_: object) -> None:
    raise _Crash


class _Crash(BaseException):
    pass


def make_older(ledger: Ledger, age: timedelta) -> None:
    at = (datetime.now(UTC) - age).isoformat(timespec="milliseconds")
    engine = sa.create_engine(f"sqlite:///{ledger.name}")
    with engine.begin() as connection:
        connection.execute(sa.text("update batches set at = :at"), {"at": at})
    engine.dispose()


def test_each_trial_gets_the_result_of_its_own_request_whatever_the_order(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    trials = trials_of(agent, repeats=2)

    settled = ask(trials, agent, ledger)

    for position, trial in settled.items():
        assert trial.reply is not None
        assert trial.key == trials[position].key
        assert trial.reply.text == f"On Question {trial.task_id[-1]}:\u2028it depends."
    assert list(settled) == list(reversed(range(10)))


def test_batch_holds_what_would_be_streamed_without_the_streaming(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    trials = trials_of(agent)

    ask(trials, agent, ledger)

    [batch] = server.batches
    assert [item["custom_id"] for item in batch.requests] == [trial.key for trial in trials]
    assert [{**item["params"], "stream": True} for item in batch.requests] == [
        request_body(trial.request) for trial in trials
    ]
    assert all("stream" not in item["params"] for item in batch.requests)


def test_marked_persona_is_cached_for_an_hour_in_a_batch(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    trials = tuple(trial.replace(request=replace(trial.request, cache="5m")) for trial in trials_of(agent))

    ask(trials, agent, ledger)

    for item in server.batches[0].requests:
        assert item["params"]["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_replies_are_in_the_ledger_with_what_they_were_served_as(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    trials = trials_of(agent)
    settled = ask(trials, agent, ledger)

    found = ledger.find(trial.key for trial in trials)

    assert found == {trial.key: trial.reply for trial in settled.values()}
    assert found[trials[0].key].usage == Usage(
        input_tokens=11,
        output_tokens=7,
        cache_creation_input_tokens=5,
        cache_creation_1h_input_tokens=5,
        cache_read_input_tokens=3,
        service_tier="batch",
    )


@pytest.mark.parametrize(
    ("result", "failure", "message"),
    [
        (errored, "batch_errored", "invalid_request_error: messages: too long"),
        (lambda _: {"type": "expired"}, "batch_expired", "expired before"),
        (lambda _: {"type": "canceled"}, "batch_canceled", "canceled before"),
        (lambda _: {"type": "postponed"}, "batch_postponed", "'postponed'"),
        (lambda _: {"type": "succeeded", "message": {"usage": {}}}, "batch_malformed", "content: null"),
        (lambda _: None, "batch_malformed", "NoneType"),
    ],
)
def test_request_without_a_reply_fails_one_trial_only(
    agent: Agent,
    server: BatchServer,
    ledger: Ledger,
    result: Callable[[dict[str, Any]], Any],
    failure: str,
    message: str,
) -> None:
    server.outcome = lambda params: result(params) if "3" in params["messages"][0]["content"] else succeeded(params)

    settled = ask(trials_of(agent), agent, ledger)

    assert [settled[position].outcome for position in range(5)] == ["answered"] * 3 + ["failed", "answered"]
    found = settled[3].failure
    assert found is not None
    assert found.type == failure
    assert message in found.message
    assert (ledger.count(), ledger.count(whole=True)) == (5, 4)


def test_request_that_failed_is_asked_for_in_the_next_run(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    server.outcome = lambda params: errored(params) if "3" in params["messages"][0]["content"] else succeeded(params)
    trials = trials_of(agent)
    ask(trials, agent, ledger)
    server.outcome = succeeded

    settled = ask((trials[3],), agent, ledger)

    assert settled[0].outcome == "answered"
    assert [len(batch.requests) for batch in server.batches] == [5, 1]


def test_result_that_is_not_there_is_a_failure(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    trials = trials_of(agent)
    server.ends_at_once = False
    stop_while_waiting(trials, agent, ledger)
    del server.batches[0].requests[2]
    server.end()

    settled = ask(trials, agent, ledger)

    assert settled[2].failure is not None
    assert settled[2].failure.type == "batch_missing"
    assert [settled[position].outcome for position in (0, 1, 3, 4)] == ["answered"] * 4


def test_batches_are_split_by_count(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    settled = ask(trials_of(agent), agent, ledger, limits=Limits(requests=2))

    assert [len(batch.requests) for batch in server.batches] == [2, 2, 1]
    assert {trial.outcome for trial in settled.values()} == {"answered"}


@pytest.mark.parametrize("text", ["Question", "Frage mit Umlauten: äöü", 'quotes " and \\ and \u2028', "🐍 你好"])
def test_batches_are_split_by_the_bytes_that_are_sent(
    agent: Agent, server: BatchServer, ledger: Ledger, text: str
) -> None:
    trials = trials_of(agent.replace(prompt=text))
    ask(trials[:2], agent, ledger)
    two = server.batches.pop().bytes

    exact = ask(trials[2:], agent, ledger, limits=Limits(bytes=two + 1))

    assert len(exact) == 3
    assert [len(batch.requests) for batch in server.batches] == [2, 1]
    assert all(batch.bytes <= two for batch in server.batches)
    assert len(split_trials(trials, Limits(bytes=two - 1))) == 5


def test_request_larger_than_a_batch_is_refused_before_anything_is_sent(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    with pytest.raises(PlanError, match=r"task 'task-0' has [\d,]+ bytes; a batch may have 100"):
        ask(trials_of(agent), agent, ledger, limits=Limits(bytes=100))

    assert server.batches == []
    assert find_open_batches(ledger, endpoint=server.url) == ()


def stop_while_waiting(trials: tuple[Trial, ...], agent: Agent, ledger: Ledger, **settings: Any) -> BatchState:
    """Stops as soon as there is nothing left but waiting."""
    waiting: list[BatchState] = []

    async def until_waiting() -> None:
        def stop(progress: BatchState) -> None:
            waiting.append(progress)
            task.cancel()

        async def wait() -> None:
            given = settings_of(**settings)
            asked = ask_batch(trials, {"base": agent}, ledger=ledger, settings=given, on_state=stop)
            async for _ in asked:
                raise AssertionError("nothing has ended yet")

        task = asyncio.create_task(wait())
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(until_waiting())
    return waiting[0]


def test_whoever_stops_waiting_finds_the_batch_again(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    trials = trials_of(agent)
    server.ends_at_once = False
    stopped_at = stop_while_waiting(trials, agent, ledger)
    server.end()

    settled = ask(trials, agent, ledger)

    assert (stopped_at.waiting, stopped_at.batches) == (5, 1)
    assert {trial.outcome for trial in settled.values()} == {"answered"}
    assert set(server.asked().values()) == {1}
    assert find_open_batches(ledger, endpoint=server.url) == ()


def test_larger_plan_asks_only_for_what_is_in_no_batch_yet(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    server.ends_at_once = False
    stop_while_waiting(trials_of(agent), agent, ledger)
    server.end()

    settled = ask(trials_of(agent, repeats=2), agent, ledger)

    assert len(settled) == 10
    assert [len(batch.requests) for batch in server.batches] == [5, 5]
    assert set(server.asked().values()) == {1}


def test_results_of_another_plan_stay_until_it_asks_for_them(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    trials = trials_of(agent)
    server.ends_at_once = False
    stop_while_waiting(trials, agent, ledger)
    server.end()

    ask(trials[:2], agent, ledger)
    [still_open] = find_open_batches(ledger, endpoint=server.url)
    ask(trials[2:], agent, ledger)

    assert still_open.keys == {trial.key for trial in trials[2:]}
    assert find_open_batches(ledger, endpoint=server.url) == ()
    assert set(server.asked().values()) == {1}


def test_request_is_in_the_ledger_before_it_is_sent(
    agent: Agent, server: BatchServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = trials_of(agent)
    noted: list[frozenset[str]] = []
    server.fault = lambda call, _: (
        noted.extend(batch.keys for batch in find_open_batches(ledger, endpoint=server.url) if call == "POST all")
        or "ok"
    )

    ask(trials, agent, ledger)

    assert noted == [frozenset(trial.key for trial in trials)]


def test_crash_before_anything_was_sent_sends_it_later(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    trials = trials_of(agent)
    intend_batch(ledger, [trial.key for trial in trials], endpoint=server.url)
    make_older(ledger, timedelta(hours=1))

    settled = ask(trials, agent, ledger)

    assert {trial.outcome for trial in settled.values()} == {"answered"}
    assert set(server.asked().values()) == {1}


def test_intention_that_may_be_on_its_way_is_waited_for(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    trials = trials_of(agent)
    intend_batch(ledger, [trial.key for trial in trials], endpoint=server.url)

    stop_while_waiting(trials, agent, ledger)

    assert server.calls == {"GET all": 1}


def test_crash_between_creating_and_saving_the_name_asks_nothing_twice(
    agent: Agent, server: BatchServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = trials_of(agent)
    with monkeypatch.context() as patched, pytest.raises(_Crash):
        patched.setattr(batches_ask, "name_batch", crash)
        ask(trials, agent, ledger)

    settled = ask(trials, agent, ledger)

    assert {trial.outcome for trial in settled.values()} == {"answered"}
    assert len(server.batches) == 1


def test_lost_batch_is_told_from_others_of_its_size_by_custom_ids(
    agent: Agent, server: BatchServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = trials_of(agent)
    others = [{"custom_id": f"other-{number}", "params": {}} for number in range(5)]
    server.add(others)
    with monkeypatch.context() as patched, pytest.raises(_Crash):
        patched.setattr(batches_ask, "name_batch", crash)
        ask(trials, agent, ledger)
    for _ in range(3):
        server.add(others)
    server.outcome = lambda params: succeeded(params) if params else {"type": "expired"}

    settled = ask(trials, agent, ledger)

    assert {trial.outcome for trial in settled.values()} == {"answered"}
    assert len(server.batches) == 5
    assert known_batch_ids(ledger, endpoint=server.url) == {server.batches[1].id}


def test_batch_that_may_be_the_lost_one_is_waited_for_until_it_ends(
    agent: Agent, server: BatchServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = trials_of(agent)
    server.ends_at_once = False
    with monkeypatch.context() as patched, pytest.raises(_Crash):
        patched.setattr(batches_ask, "name_batch", crash)
        ask(trials, agent, ledger)
    make_older(ledger, timedelta(minutes=9))

    stop_while_waiting(trials, agent, ledger)
    server.end()
    settled = ask(trials, agent, ledger)

    assert {trial.outcome for trial in settled.values()} == {"answered"}
    assert len(server.batches) == 1


@pytest.mark.parametrize("fault", ["created, then 500", "created, then cut"])
def test_batch_whose_name_never_came_back_is_found_and_not_sent_again(
    agent: Agent, server: BatchServer, ledger: Ledger, fault: str
) -> None:
    server.fault = lambda call, before: fault if call == "POST all" and before == 0 else "ok"

    settled = ask(trials_of(agent), agent, ledger)

    assert {trial.outcome for trial in settled.values()} == {"answered"}
    assert len(server.batches) == 1


@pytest.mark.machine
def test_killed_while_sending_finds_its_batch_again(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    server.fault = lambda call, _: "created, no answer" if call == "POST all" else "ok"
    code = """
        import asyncio
        from tests.test_batches import TASKS, ask, trials_of
        from workbench.definition.agent import parse_agent
        from workbench.ledger.store import open_ledger
        import sys

        agent = parse_agent(sys.stdin.read())
        with open_ledger() as ledger:
            ask(trials_of(agent), agent, ledger)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, env=os.environ)
    assert child.stdin is not None
    child.stdin.write(agent.to_bytes())
    child.stdin.close()
    assert server.created.wait(60)
    child.send_signal(signal.SIGKILL)
    child.wait()
    server.released.set()

    settled = ask(trials_of(agent), agent, ledger)

    assert {trial.outcome for trial in settled.values()} == {"answered"}
    assert len(server.batches) == 1


def test_crash_while_collecting_keeps_what_was_written(
    agent: Agent, server: BatchServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = trials_of(agent)
    with monkeypatch.context() as patched, pytest.raises(_Crash):
        patched.setattr(batches_ask, "close_batch_items", crash)
        patched.setattr("workbench.model.batches.ask._Asking.tidy", lambda _: asyncio.sleep(0))
        ask(trials, agent, ledger)
    written = ledger.count()

    settled = ask(trials, agent, ledger)

    assert written == ledger.count() == 5
    assert all(trial.from_ledger for trial in settled.values())
    assert find_open_batches(ledger, endpoint=server.url) == ()
    assert set(server.asked().values()) == {1}


@pytest.mark.parametrize("again", [False, True])
def test_two_kernels_with_one_plan_share_its_batch(
    agent: Agent, server: BatchServer, ledger: Ledger, again: bool
) -> None:
    trials = trials_of(agent)
    server.ends_at_once = False

    async def both() -> list[dict[int, Trial]]:
        def end(progress: BatchState) -> None:
            waiting.append(progress)
            if len(waiting) >= 4:
                server.end()

        async def one(opened: Ledger) -> dict[int, Trial]:
            settings = settings_of(again=again)
            asked = ask_batch(trials, {"base": agent}, ledger=opened, settings=settings, on_state=end)
            return {position: trial async for position, trial in asked}

        waiting: list[BatchState] = []
        with open_ledger() as second:
            return await asyncio.gather(one(ledger), one(second))

    results = asyncio.run(both())

    assert [len(settled) for settled in results] == [5, 5]
    assert {trial.outcome for settled in results for trial in settled.values()} == {"answered"}
    if not again:  # "again" means: whatever is in the ledger
        assert set(server.asked().values()) == {1}


def test_reply_that_another_kernel_got_in_the_meantime_is_taken(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    trials = trials_of(agent)
    ask(trials[:2], agent, ledger)

    settled = ask(trials, agent, ledger)

    assert [settled[position].from_ledger for position in range(5)] == [True, True, False, False, False]
    assert set(server.asked().values()) == {1}


def test_asking_again_takes_nothing_from_the_ledger(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    trials = trials_of(agent)
    ask(trials, agent, ledger)

    settled = ask(trials, agent, ledger, again=True)

    assert not any(trial.from_ledger for trial in settled.values())
    assert set(server.asked().values()) == {2}


@pytest.mark.parametrize("call", ["POST all", "GET one", "GET results"])
@pytest.mark.parametrize("fault", ["429", "500", "529", "html", "cut"])
def test_what_passes_is_tried_again_and_sends_nothing_twice(
    agent: Agent, server: BatchServer, ledger: Ledger, call: str, fault: str
) -> None:
    server.fault = lambda called, before: fault if called == call and before < 2 else "ok"
    seen: list[BatchState] = []

    settled = ask(trials_of(agent), agent, ledger, on_state=seen.append)

    assert {trial.outcome for trial in settled.values()} == {"answered"}
    assert set(server.asked().values()) == {1}
    assert any(progress.failure is not None for progress in seen)


def test_results_that_break_off_are_fetched_again_and_written_once(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    server.fault = lambda call, before: "half" if call == "GET results" and before == 0 else "ok"

    settled = ask(trials_of(agent, repeats=202), agent, ledger)

    assert {trial.outcome for trial in settled.values()} == {"answered"}
    assert (server.calls["GET results"], ledger.count()) == (2, 5 * 202), "the first 500 are saved before it breaks off"


@pytest.mark.parametrize("separator", ["\r\n", "\n\n"])
def test_lines_may_end_in_crlf_and_may_be_blank(
    agent: Agent, server: BatchServer, ledger: Ledger, separator: str
) -> None:
    server.separator = separator

    settled = ask(trials_of(agent, repeats=40), agent, ledger)

    assert {trial.outcome for trial in settled.values()} == {"answered"}


@pytest.mark.parametrize(
    ("fault", "advice"),
    [("401", "check ANTHROPIC_API_KEY"), ("404", "leave out via='batch'"), ("400", "as it is"), ("413", "as it is")],
)
def test_refusal_that_is_the_same_for_every_batch_stops_at_once(
    agent: Agent, server: BatchServer, ledger: Ledger, fault: str, advice: str
) -> None:
    server.fault = lambda _, __: fault

    with pytest.raises(SetupError, match=advice):
        ask(trials_of(agent), agent, ledger, limits=Limits(requests=1))

    assert sum(server.calls.values()) == 1
    assert find_open_batches(ledger, endpoint=server.url) == ()


def test_key_that_the_server_repeats_is_not_shown(
    agent: Agent, server: BatchServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    server.fault = lambda _, __: "401"

    with pytest.raises(SetupError) as raised:
        ask(trials_of(agent), agent, ledger)

    assert "sk-secret" not in str(raised.value)


def test_key_refused_while_waiting_leaves_the_batch_to_the_next_run(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    trials = trials_of(agent)
    server.fault = lambda call, before: "401" if call == "GET one" and before == 0 else "ok"

    with pytest.raises(SetupError, match="go on"):
        ask(trials, agent, ledger)

    assert {trial.outcome for trial in ask(trials, agent, ledger).values()} == {"answered"}
    assert len(server.batches) == 1


def test_server_that_is_not_there_is_given_up_after_the_patience(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    server.fault = lambda _, __: "529"

    with pytest.raises(SetupError, match=r"has not answered for 0 seconds \(overloaded_error"):
        ask(trials_of(agent), agent, ledger, retry=replace(AT_ONCE, patience_seconds=0.0))


def test_batch_that_the_key_cannot_see_is_not_asked_for_again(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    trials = trials_of(agent)
    server.ends_at_once = False
    stop_while_waiting(trials, agent, ledger)
    server.batches[0].is_deleted = True

    with pytest.raises(SetupError, match="msgbatch_0 .* use a key of the workspace that sent it"):
        ask(trials, agent, ledger)

    assert len(server.batches) == 1


@pytest.mark.parametrize("gone", ["is_archived", "is_deleted"])
def test_results_that_the_api_no_longer_keeps_are_a_failure(
    agent: Agent, server: BatchServer, ledger: Ledger, gone: str
) -> None:
    trials = trials_of(agent)
    server.ends_at_once = False
    stop_while_waiting(trials, agent, ledger)
    server.end()
    setattr(server.batches[0], gone, True)
    make_older(ledger, timedelta(days=30))

    settled = ask(trials, agent, ledger)

    assert {trial.failure.type for trial in settled.values() if trial.failure} == {"batch_archived"}
    assert len(settled) == 5


@pytest.mark.parametrize(
    "host", ["another port", "{url}@elsewhere.invalid", "https://elsewhere.invalid", "//elsewhere.invalid"]
)
def test_results_at_another_host_are_refused_and_the_key_is_not_sent_there(
    agent: Agent, server: BatchServer, ledger: Ledger, host: str
) -> None:
    with serve_batches() as other:
        server.results_host = other.url if host == "another port" else host.format(url=server.url)

        with pytest.raises(SetupError, match=r"are at .*, but the key is for http://127.*not fetched from there"):
            ask(trials_of(agent), agent, ledger)

        assert other.calls == Counter()
    assert server.calls["GET results"] == 0
    assert ledger.count() == 0
    server.results_host = None
    assert {trial.outcome for trial in ask(trials_of(agent), agent, ledger).values()} == {"answered"}, "still to be had"


def test_another_host_that_is_named_only_at_the_second_look_is_refused_too(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    with serve_batches() as other:

        def turns(call: str, before: int) -> str:
            # The SDK asks by itself, once more, where the results are.
            server.results_host = other.url if call == "GET one" and before == 1 else None
            return "ok"

        server.fault = turns
        with pytest.raises(SetupError, match=rf"sends on to {other.url}, and the key is for {server.url}; nothing is"):
            ask(trials_of(agent), agent, ledger)

        assert other.calls == Counter()


def test_stand_in_has_no_batches(agent: Agent, ledger: Ledger) -> None:
    with pytest.raises(SetupError, match="leave out via='batch'"):
        ask(trials_of(agent), agent, ledger)


def test_nothing_to_ask_asks_nothing(agent: Agent, ledger: Ledger) -> None:
    assert ask((), agent, ledger) == {}


def test_looks_grow_rarer_up_to_a_limit(
    agent: Agent, server: BatchServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    server.ends_at_once = False

    async def note(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 5:
            server.end()

    monkeypatch.setattr("workbench.model.batches.ask._sleep", note)
    ask(trials_of(agent), agent, ledger, retry=replace(BATCHES, first_seconds=10.0, growth=2.0, longest_seconds=50.0))

    assert [round(seconds) for seconds in waits] == [10, 20, 40, 50, 50]


def test_progress_says_how_many_wait_and_until_when() -> None:
    assert BatchState(waiting=3, batches=1, next_look=0.0).line == "3 waiting in 1 batch (next look in 0 s)"


def test_replies_of_a_file_of_the_ledger_hold_through_a_new_one(
    agent: Agent, server: BatchServer, tmp_path: Path
) -> None:
    trials = trials_of(agent)
    server.ends_at_once = False
    with open_ledger(tmp_path / "l.sqlite") as first:
        stop_while_waiting(trials, agent, first)
    server.end()

    with open_ledger(tmp_path / "l.sqlite") as second:
        settled = ask(trials, agent, second)

    assert len(settled) == 5
    assert len(server.batches) == 1


TOKENS_EACH = 11 + 7 + 5 + 3


def budgeted(
    trials: tuple[Trial, ...], agent: Agent, ledger: Ledger, limit: Spent, **settings: Any
) -> dict[int, Trial]:
    """The same as `ask`, within this budget; one for all that are asked for in this way."""
    limits = (Limit(scope="batches", tokens=limit.tokens, picousd=limit.picousd),)

    async def opened() -> Budget:
        return await open_budget(ledger, trials, limits, deadline_seconds=60)

    return ask(trials, agent, ledger, budget=asyncio.run(opened()), **settings)


def worst_of(trials: tuple[Trial, ...]) -> Spent:
    return sum((most_of(trial.request, via="batch") for trial in trials), Spent())


def taken(ledger: Ledger) -> Spent:
    engine = sa.create_engine(f"sqlite:///{ledger.name}")
    with engine.connect() as connection:
        tokens, picousd = connection.execute(sa.text("select tokens, picousd from budgets")).one()
    engine.dispose()
    return Spent(tokens=tokens, picousd=picousd)


def opus(agent: Agent, repeats: int = 1) -> tuple[Trial, ...]:
    return trials_of(agent.replace(model="claude-opus-5-5"), repeats)


def test_worst_case_of_a_batch_is_set_aside_when_it_is_sent_and_settled_with_its_results(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    trials = opus(agent)
    on_the_way: list[Spent] = []
    server.fault = lambda call, _: on_the_way.append(taken(ledger)) or "ok" if call == "POST all" else "ok"

    budgeted(trials, agent, ledger, worst_of(trials))

    assert on_the_way == [worst_of(trials)]
    assert taken(ledger).tokens == 5 * TOKENS_EACH
    price = find_price("claude-opus-5-5")
    assert price is not None
    served = Usage(
        input_tokens=11,
        output_tokens=7,
        cache_creation_input_tokens=5,
        cache_creation_1h_input_tokens=5,
        cache_read_input_tokens=3,
        service_tier="batch",
    )
    assert taken(ledger).usd == 5 * (price.usd(served) or 0)


def test_results_that_were_not_billed_give_everything_back(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    server.outcome = errored

    budgeted(opus(agent), agent, ledger, worst_of(opus(agent)))

    assert taken(ledger) == Spent()


def test_result_that_says_nothing_of_its_tokens_leaves_the_worst_case_spent(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    server.outcome = lambda _: {"type": "succeeded", "message": {"usage": {}}}

    budgeted(opus(agent), agent, ledger, worst_of(opus(agent)))

    assert taken(ledger) == worst_of(opus(agent))


def test_batch_of_an_earlier_run_is_not_paid_for_again(agent: Agent, server: BatchServer, ledger: Ledger) -> None:
    trials = opus(agent)
    server.ends_at_once = False
    with pytest.raises(_Crash):
        budgeted(trials, agent, ledger, worst_of(trials), on_state=crash)
    set_aside = taken(ledger)
    server.end()

    settled = budgeted(trials, agent, ledger, worst_of(trials))

    assert set_aside == worst_of(trials)
    assert {trial.outcome for trial in settled.values()} == {"answered"}
    assert taken(ledger).tokens == 5 * TOKENS_EACH


def test_crash_before_the_results_were_settled_leaves_that_to_the_next_run(
    agent: Agent, server: BatchServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = opus(agent)
    with monkeypatch.context() as patched, pytest.raises(_Crash):
        patched.setattr(batches_ask, "close_batch_items", crash)
        patched.setattr("workbench.model.batches.ask._Asking.tidy", lambda _: asyncio.sleep(0))
        budgeted(trials, agent, ledger, worst_of(trials))
    before = taken(ledger)

    budgeted(trials, agent, ledger, worst_of(trials))

    assert before == worst_of(trials)
    assert taken(ledger).tokens == 5 * TOKENS_EACH


def test_batch_that_was_never_created_gives_back_what_was_set_aside(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    server.fault = lambda call, _: "401" if call == "POST all" else "ok"

    with pytest.raises(SetupError):
        budgeted(opus(agent), agent, ledger, worst_of(opus(agent)))

    assert taken(ledger) == Spent()


def test_what_does_not_fit_is_sent_when_results_have_made_room(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    trials = opus(agent)

    settled = budgeted(trials, agent, ledger, worst_of(trials[:3]))

    assert {trial.outcome for trial in settled.values()} == {"answered"}
    assert [len(batch.requests) for batch in server.batches] == [3, 2]


def test_what_can_never_fit_ends_the_run_when_nothing_is_on_its_way(
    agent: Agent, server: BatchServer, ledger: Ledger
) -> None:
    server.outcome = lambda _: {"type": "succeeded", "message": {"usage": {}}}

    with pytest.raises(BudgetError, match="the budget is used up"):
        budgeted(opus(agent), agent, ledger, worst_of(opus(agent)[:3]))

    assert [len(batch.requests) for batch in server.batches] == [3]
    assert ledger.count() == 3
