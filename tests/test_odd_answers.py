"""Whatever a server answers, `ask` gives an attempt, a run accounts for every trial, and no budget is exceeded."""

from __future__ import annotations

import asyncio
import gzip
import resource
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.odd_server import (
    NUMBERS,
    SAID,
    STOP,
    WHOLE,
    Odd,
    end,
    event,
    head,
    odd_answers,
    refusal,
    serve_odd,
    start,
    text,
)
from tests.runs import STAND_IN
from workbench.definition.agent import Agent
from workbench.errors import BudgetError, SetupError
from workbench.ledger.budget.worst_case import most_of
from workbench.ledger.store import open_ledger
from workbench.model.anthropic import open_anthropic
from workbench.model.api import Attempt
from workbench.model.batches.items import settled_by
from workbench.model.retrying import Retry
from workbench.model.stream import usage_of
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Request, Trial, Usage

pytestmark = pytest.mark.machine

ANSWERS = odd_answers()
NO_PATIENCE = Retry(
    first_seconds=0.001, longest_seconds=0.01, patience_seconds=0.0, patience_without_server_seconds=0.0
)
COUNTS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def request_of(number: int) -> Request:
    message = {"role": "user", "content": f"odd {number}"}
    return Request(model="claude-x", system="You ask.", messages=(message,), max_tokens=100)


def asked(answers: list[object], *, deadline_seconds: float = 60.0, took: list[float] | None = None) -> list[Attempt]:
    """The attempts at these answers, at once, each of one request; `took` gets how many seconds all of them took."""

    async def all_of_them(url: str) -> list[Attempt]:
        endpoint = Endpoint(kind="server", base_url=url)
        async with open_anthropic(endpoint, connections=20, silence_seconds=30.0) as model:
            began = time.monotonic()
            attempts = await asyncio.gather(
                *(model.ask(request_of(number), deadline_seconds=deadline_seconds) for number in range(len(answers)))
            )
            if took is not None:
                took.append(time.monotonic() - began)
            return attempts

    with serve_odd(answers) as server:
        attempts = asyncio.run(all_of_them(server.url))
        assert set(server.asked.values()) == {1}, "nothing is sent twice but by us"
    return attempts


@pytest.fixture(scope="module")
def attempts() -> Iterator[list[tuple[Odd, Attempt]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ANTHROPIC_API_KEY", raising=False)
        yield list(zip(ANSWERS, asked(list(ANSWERS)), strict=True))


def plan_of(agent: Agent, numbers: Iterable[int], *, max_tokens: int = 100) -> Plan:
    tasks = [Task(id=str(number), input=f"odd {number}") for number in numbers]
    return plan_trials({"base": agent}, tasks, max_tokens=max_tokens)


def test_there_are_many_and_of_many_kinds() -> None:
    assert len(ANSWERS) >= 277
    assert len({answer.kind for answer in ANSWERS}) >= 80
    assert max(Counter((answer.kind, answer.name) for answer in ANSWERS).values()) == 1


def test_each_is_an_attempt_with_a_reply_or_a_named_failure(attempts: list[tuple[Odd, Attempt]]) -> None:
    for odd, attempt in attempts:
        where = (odd.kind, odd.name, attempt)
        assert attempt.failure is not None or attempt.reply is not None, where
        if attempt.failure is not None:
            assert 0 < len(attempt.failure.type) <= 60, where
            assert len(attempt.failure.message) <= 1000, where
        if attempt.failure is None:
            assert attempt.reply is not None and attempt.reply.stop_reason, where


def test_what_is_counted_is_a_whole_number_of_0_or_more_or_unknown(attempts: list[tuple[Odd, Attempt]]) -> None:
    for odd, attempt in attempts:
        if attempt.reply is not None:
            for name in (*COUNTS, "cache_creation_1h_input_tokens"):
                count = getattr(attempt.reply.usage, name)
                assert count is None or (type(count) is int and 0 <= count <= 10**9), (odd.kind, odd.name, name, count)
            assert attempt.reply.usage.service_tier != "batch"
            assert all(isinstance(part, str) for part in (attempt.reply.text, attempt.reply.model))


@pytest.mark.parametrize("place", ["after the end", "after the reply"])
def test_complete_reply_is_kept_whatever_comes_after_it(attempts: list[tuple[Odd, Attempt]], place: str) -> None:
    found = [(odd, attempt) for odd, attempt in attempts if odd.kind.startswith(place)]

    assert len(found) == 9
    for odd, attempt in found:
        assert attempt.failure is None, (odd.name, attempt.failure)
        assert attempt.reply is not None
        assert (attempt.reply.text, attempt.reply.stop_reason) == (SAID, "end_turn"), odd.name


def test_usage_that_is_said_after_the_end_is_not_believed(attempts: list[tuple[Odd, Attempt]]) -> None:
    [late] = [attempt for odd, attempt in attempts if odd.kind == "after the end: end"]

    assert late.reply is not None
    assert (late.reply.usage.input_tokens, late.reply.usage.output_tokens) == (11, 7)


def test_no_type_that_is_ours_comes_from_a_server(attempts: list[tuple[Odd, Attempt]]) -> None:
    spoofed = [attempt.failure for odd, attempt in attempts if odd.kind.endswith("of a type that is ours")]

    assert len(spoofed) == 16
    assert {failure.type for failure in spoofed if failure is not None} == {"api_error", "http_500"}


def test_no_redirect_is_followed(attempts: list[tuple[Odd, Attempt]]) -> None:
    ends = {
        attempt.failure.type if attempt.failure else "answered" for odd, attempt in attempts if odd.kind == "redirect"
    }

    assert ends <= {"redirected", "connection"}


def test_prompt_never_reaches_the_host_that_a_redirect_names() -> None:
    with serve_odd([head() + WHOLE]) as other:
        [attempt] = asked([refusal("307 Other", b"", f"location: {other.url}/v1/messages")])

        assert other.asked == Counter()
    assert attempt.failure is not None
    assert attempt.failure.type == "redirected"
    assert "set ANTHROPIC_BASE_URL to the address that answers" in attempt.failure.message
    assert other.url in attempt.failure.message


def test_run_accounts_for_every_trial_and_ends_without_an_exception(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [number for number, odd in enumerate(ANSWERS) if not odd.ends_the_run]
    plan = plan_of(agent, numbers)
    limit = sum(most_of(request).tokens for request in plan.requests.values())
    with serve_odd(list(ANSWERS)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        run = run_trials(plan, progress=False, concurrency=20, retry=NO_PATIENCE, budget_tokens=limit)

    assert [trial.task_id for trial in run.trials] == [str(number) for number in numbers]
    assert {trial.outcome for trial in run.trials} <= {"answered", "refused", "cut_off", "empty", "failed"}
    assert all(trial.reply is not None or trial.failure is not None for trial in run.trials)
    assert set(server.asked.values()) == {1}
    with open_ledger() as ledger:
        assert ledger.count() == len(numbers)
    again = run_trials(plan_of(agent, [int(t.task_id) for t in run.trials if t.failure is None]), mode="replay")
    assert [trial.reply for trial in again.trials] == [trial.reply for trial in run.trials if trial.failure is None]


def test_budget_is_never_exceeded_whatever_is_answered(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = plan_of(agent, [number for number, odd in enumerate(ANSWERS) if not odd.ends_the_run])
    limit, path = 60 * max(most_of(request).tokens for request in plan.requests.values()), tmp_path / "l.sqlite"
    with serve_odd(list(ANSWERS)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        with pytest.raises(BudgetError, match="is used up"):
            run_trials(plan, ledger=path, progress=False, concurrency=20, retry=NO_PATIENCE, budget_tokens=limit)
    with closing(sqlite3.connect(path)) as connection:
        [(taken,)] = connection.execute("select tokens from budgets").fetchall()
        rows = connection.execute(
            "select task_id, input_tokens, output_tokens, cache_creation_input_tokens, cache_read_input_tokens, failure_status,"
            " failure_type from attempts"
        ).fetchall()

    assert len(rows) == server.asked.total() < len(plan.tasks)
    billed = 0  # counted by hand: at worst, where it is not known
    for task_id, read, written, cached, from_cache, status, kind in rows:
        if status not in (None, 200) or kind == "unreachable":
            continue
        known = (
            None if read is None else read + (cached or 0) + (from_cache or 0) + (100 if written is None else written)
        )
        billed += most_of(plan.requests["base", task_id]).tokens if known is None else known
    assert 0 < billed <= taken <= limit


@pytest.mark.parametrize("number", [number for number, odd in enumerate(ANSWERS) if odd.ends_the_run])
def test_what_every_request_would_get_ends_a_run_in_the_documented_way(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with serve_odd(list(ANSWERS)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        with pytest.raises(SetupError, match="answered 4"):
            run_trials(plan_of(agent, [number]), progress=False, retry=NO_PATIENCE)


@pytest.mark.parametrize("value", [*NUMBERS.values(), "[" * 100 + "]" * 100])
@pytest.mark.parametrize("place", ["start", "end"])
def test_usage_that_is_none_never_lets_more_through_a_budget(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, place: str, value: str
) -> None:
    usage = f'{{"input_tokens": {value}, "output_tokens": {value}, "cache_read_input_tokens": {value}}}'
    at_start, at_end = (usage, usage) if place == "end" else (usage, "{}")
    plan = plan_trials({"base": agent}, [Task(id=str(n), input=f"odd 0, {n}") for n in range(12)], max_tokens=50)
    most = max(most_of(request).tokens for request in plan.requests.values())
    with serve_odd([head() + start(at_start) + text() + end(at_end) + STOP]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        with pytest.raises(BudgetError, match="is used up"):
            run_trials(plan, progress=False, retry=NO_PATIENCE, budget_tokens=4 * most, concurrency=6)

    assert server.asked[0] == 4


def endless(piece: bytes, *before: bytes) -> Iterable[bytes]:
    yield b"".join(before)
    while True:
        yield piece


def bomb() -> bytes:
    """A gigabyte of nothing, in a megabyte."""
    packed = gzip.compress(b"\0" * 16_000_000)
    return packed * 64


MEGABYTE = text('"' + "word " * 200_000 + '"')
HUGE = {
    "1 GB of text": (lambda: endless(MEGABYTE, head(), start()), "too_large"),
    "one endless line": (lambda: endless(b"x" * 1_000_000, head(), start(), b"data: "), "too_large"),
    "pings without end": (lambda: endless(event("ping") * 20_000, head(), start()), "too_large"),
    "thinking without end": (
        lambda: endless(event("content_block_delta", '"delta": {"type": "thinking_delta"}') * 9_000, head(), start()),
        "too_large",
    ),
    "error body without end": (lambda: endless(b"x" * 1_000_000, head("500 Oops", "text/plain")), "http_500"),
    "page without end": (lambda: endless(b"x" * 1_000_000, head("200 OK", "text/html")), "not_a_stream"),
    "JSON without end": (lambda: endless(b'["x"],' * 100_000, head("200 OK", "application/json")), "not_a_stream"),
    "redirect without end": (
        lambda: endless(b"x" * 1_000_000, head("307 Other", "text/plain", "location: http://elsewhere.invalid/")),
        "redirected",
    ),
    "gzip bomb": (
        head("200 OK", "text/event-stream", "content-encoding: gzip") + gzip.compress(b"data: " + b"x" * 400_000_000),
        "too_large",
    ),
    "gzip bomb in an error": (head("500 Oops", "text/plain", "content-encoding: gzip") + bomb(), "http_500"),
}


@pytest.mark.parametrize("name", list(HUGE))
def test_however_much_comes_it_ends_soon_and_fits_into_memory(name: str) -> None:
    wire, kind = HUGE[name]
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()

    [attempt] = asked([wire], deadline_seconds=60.0)

    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert attempt.failure is not None
    assert attempt.failure.type == kind
    assert grown < 250, f"{grown:.0f} MB"
    assert time.monotonic() - began < 50


@pytest.mark.parametrize(
    "wire",
    [
        head("200 OK", "text/html", "content-length: 1000000") + b"x",
        head("500 Oops", "text/plain", "content-length: 1000000") + b"x",
        head("200 OK", "text/event-stream", "content-length: 1000000") + start() + text(),
    ],
    ids=["page", "error", "stream"],
)
def test_deadline_holds_for_whatever_drips(wire: bytes) -> None:
    def drip() -> Iterable[bytes]:
        yield wire
        for _ in range(200):
            time.sleep(0.05)
            yield b" "

    took: list[float] = []
    [attempt] = asked([drip], deadline_seconds=0.5, took=took)

    assert attempt.failure is not None
    assert attempt.failure.type in ("deadline", "not_a_stream")
    assert took[0] < 8


def test_deadline_holds_while_a_bomb_of_line_ends_is_unpacked() -> None:
    packed = gzip.compress(b"\n" * 50_000_000)
    took: list[float] = []
    [attempt] = asked(
        [head("200 OK", "text/event-stream", "content-encoding: gzip") + packed], deadline_seconds=0.5, took=took
    )

    assert attempt.failure is not None and attempt.failure.type == "deadline"
    assert took[0] < 6


def test_error_after_the_end_is_paid_once(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    late = event("error", '"error": {"type": "overloaded_error", "message": "late"}')
    with serve_odd([head() + WHOLE + late + text()]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        [trial] = run_trials(plan_of(agent, [0]), progress=False).trials

    assert server.asked == Counter({0: 1})
    assert trial.reply is not None
    assert (trial.outcome, trial.reply.text) == ("answered", SAID)
    assert trial.reply.usage == Usage(input_tokens=11, output_tokens=7)


def test_message_of_an_error_that_is_no_text_is_shown(attempts: list[tuple[Odd, Attempt]]) -> None:
    shown = {
        odd.name: attempt.failure.message
        for odd, attempt in attempts
        if odd.kind == "message of an error" and attempt.failure is not None
    }

    assert len(shown) == 8
    assert all(shown.values())


ODD_CREATIONS = [5, "5", [5], True, {"ephemeral_1h_input_tokens": -5}, {"ephemeral_1h_input_tokens": "5"}]


@pytest.mark.parametrize("creation", ODD_CREATIONS, ids=repr)
def test_odd_cache_creation_counts_as_all_of_it_for_an_hour_or_as_unknown(creation: object) -> None:
    told = usage_of({"input_tokens": 3, "cache_creation_input_tokens": 40, "cache_creation": creation})
    untold = usage_of({"input_tokens": 3, "cache_creation": creation})

    assert (told.input_tokens, told.cache_creation_1h_input_tokens) == (3, 40), "the dearer of both"
    assert untold.input_tokens is None, "the worst case counts"


def test_number_in_the_place_of_a_usage_is_no_number_of_tokens(attempts: list[tuple[Odd, Attempt]]) -> None:
    found = [attempt.reply for odd, attempt in attempts if odd.kind == "usage at the start" and odd.name == "number"]

    assert [reply.usage.input_tokens for reply in found if reply is not None] == [None]
    assert usage_of(5).input_tokens is None


def test_batch_is_no_tier_of_a_stream() -> None:
    said = {"input_tokens": 3, "output_tokens": 4, "service_tier": "batch"}

    assert usage_of(said).service_tier is None
    assert usage_of(said, in_batch=True).service_tier == "batch"


MESSAGE = {
    "content": [{"type": "text", "text": SAID}],
    "stop_reason": "end_turn",
    "model": "claude-x",
    "usage": {"input_tokens": 11, "output_tokens": 7},
}
ODD = [None, 5, -5, "x", [], [5], {}, {"a": 1}, True, 10**30, float("nan"), [[[]]], ["text"]]


@pytest.mark.parametrize("field", list(MESSAGE))
def test_odd_message_in_a_batch_is_a_reply_or_a_named_failure(field: str) -> None:
    trial = Trial(variant="v", task_id="t", repeat=0, request=request_of(0), endpoint=STAND_IN)
    for odd in ODD:
        settled = settled_by(trial, {"type": "succeeded", "message": {**MESSAGE, field: odd}})

        assert (settled.reply is None) != (settled.failure is None)
        if settled.failure is not None:
            assert settled.failure.type == "batch_malformed"
        else:
            assert settled.reply is not None
            assert settled.reply.usage.input_tokens in (11, None)


def test_odd_result_of_a_batch_is_a_named_failure() -> None:
    trial = Trial(variant="v", task_id="t", repeat=0, request=request_of(0), endpoint=STAND_IN)
    odd_results = [*ODD, *({"type": odd} for odd in ODD), *({"type": "errored", "error": odd} for odd in ODD)]
    odd_results += [{"type": "errored", "error": {"error": {"type": odd, "message": odd}}} for odd in ODD]

    for result in odd_results:
        failure = settled_by(trial, result).failure
        assert failure is not None
        assert failure.type in ("batch_malformed", "batch_errored", "batch_x")
