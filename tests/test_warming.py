from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from tests.messages_server import MessagesServer, serve
from workbench.definition.agent import Agent
from workbench.model.retrying import Retry
from workbench.model.warming import MOST_FAILURES, Warming
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.start import start_trial
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Request

REQUEST = Request(model="m", system="persona", messages=({"role": "user", "content": "Hi"},), max_tokens=10, cache="5m")


def plan_of(agent: Agent, *, caching: bool = True) -> Plan:
    tasks = [Task(id=f"task {number}", input=f"Case {number}") for number in range(12)]
    return plan_trials({"base": agent.replace(prompt="x" * 9000)}, tasks, caching=caching)


class Arrivals:
    """Whether a first token was out when each request came; the first requests get `faults`.

    Before any token, each is kept waiting a moment for another to come.
    """

    def __init__(self, *faults: str) -> None:
        self.after_a_token: list[bool] = []
        self.server: MessagesServer | None = None
        self._faults = list(faults)
        self._another_came = threading.Condition()

    def __call__(self, _body: dict[str, Any], _before: int) -> str:
        assert self.server is not None
        with self._another_came:
            self.after_a_token.append(self.server.answered.is_set())
            self._another_came.notify_all()
            if not self.server.answered.is_set():
                self._another_came.wait(0.3)
            return self._faults.pop(0) if self._faults else "ok"


def run(agent: Agent, arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The outcomes; the server writes each reply in pieces."""
    with serve(arrivals, seconds_a_piece=0.02) as arrivals.server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", arrivals.server.url)
        retry = Retry(first_seconds=0.001)
        trials = run_trials(plan_of(agent), concurrency=12, progress=False, retry=retry).trials
    return [trial.outcome for trial in trials]


def test_others_are_sent_after_the_first_token_of_the_first(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = run(agent, arrivals := Arrivals(), monkeypatch)

    assert outcomes == ["answered"] * 12
    assert arrivals.after_a_token == [False] + [True] * 11


def test_without_a_marker_nobody_waits(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = threading.Barrier(12, timeout=30)
    with serve(lambda *_: "ok" if at_once.wait() >= 0 else "") as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        trials = run_trials(plan_of(agent, caching=False), concurrency=12, progress=False).trials

    assert [trial.outcome for trial in trials] == ["answered"] * 12


def test_first_that_fails_makes_way_for_the_next(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = run(agent, arrivals := Arrivals("529", "529"), monkeypatch)

    assert outcomes == ["answered"] * 12
    assert arrivals.after_a_token == [False] * 3 + [True] * 11


def test_first_that_is_stopped_leaves_nobody_waiting(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    request = next(iter(plan_of(agent).requests.values()))
    with serve("stall", seconds_a_piece=0.02) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        started = start_trial(request, agent=agent, endpoint=Endpoint(kind="server", base_url=server.url))
        server.answered.wait(10)
        started.stop()

        assert started.result(60).outcome == "stopped"


async def go_ahead(
    turns: Warming, order: list[str], name: str, until: asyncio.Event, request: Request = REQUEST
) -> None:
    async with turns.turn(request) as turn:
        order.append(name)
        turn.sent()
        await until.wait()


async def until_waiting(turns: Warming, count: int) -> None:
    while turns.waiting != count:
        await asyncio.sleep(0)


def test_stopped_while_ahead_or_waiting_the_others_go_on() -> None:
    async def story() -> list[str]:
        turns, order, never, now = Warming(), list[str](), asyncio.Event(), asyncio.Event()
        now.set()
        ahead = asyncio.create_task(go_ahead(turns, order, "ahead", never))
        await until_waiting(turns, 0)
        waiting = asyncio.create_task(go_ahead(turns, order, "waiting", now))
        last = asyncio.create_task(go_ahead(turns, order, "last", now))
        await until_waiting(turns, 2)
        waiting.cancel()
        ahead.cancel()
        await last
        await asyncio.wait([ahead, waiting])
        return order

    assert asyncio.run(story()) == ["ahead", "last"]


def test_one_that_hangs_is_waited_for_only_so_long() -> None:
    async def story() -> list[str]:
        turns, order, never, now = Warming(longest_seconds=0.01), list[str](), asyncio.Event(), asyncio.Event()
        now.set()
        ahead = asyncio.create_task(go_ahead(turns, order, "hangs", never))
        await asyncio.sleep(0)
        await go_ahead(turns, order, "next", now)
        ahead.cancel()
        await asyncio.wait([ahead])
        return order

    assert asyncio.run(story()) == ["hangs", "next"]


def test_after_some_failures_nobody_waits_any_more() -> None:
    async def story() -> int:
        turns, now, never = Warming(), asyncio.Event(), asyncio.Event()
        now.set()
        for _ in range(MOST_FAILURES):
            await go_ahead(turns, [], "fails", now)
        order: list[str] = []
        at_once = [asyncio.create_task(go_ahead(turns, order, "any", never)) for _ in range(5)]
        async with asyncio.timeout(30):
            while len(order) < 5:
                await asyncio.sleep(0)
        for task in at_once:
            task.cancel()
        await asyncio.wait(at_once)
        return len(order)

    assert asyncio.run(story()) == 5


def test_each_persona_has_one_that_goes_ahead() -> None:
    async def story() -> list[str]:
        turns, order, now = Warming(), list[str](), asyncio.Event()
        now.set()
        async with turns.turn(REQUEST):
            await go_ahead(turns, order, "other persona", now, replace(REQUEST, system="other"))
            await go_ahead(turns, order, "other model", now, replace(REQUEST, model="other"))
        return order

    assert asyncio.run(asyncio.wait_for(story(), 30)) == ["other persona", "other model"]
