"""A server whose rate limit is told in its headers: a run waits for the reset instead of running into the limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.messages_server import MessagesServer
from workbench.definition.agent import Agent
from workbench.model import asker
from workbench.model.limiter import Limiter
from workbench.model.retrying import Retry
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.task import Task

REQUESTS_A_WINDOW = 20
WINDOW_SECONDS = 0.5
TRIALS = 60
AT_ONCE = 12


class Window:
    """So many requests in a window of time, which begins with the first that comes after the end of the last."""

    def __init__(self) -> None:
        self.refused = 0
        self.windows = 0
        self._left = 0
        self._ends = 0.0
        self._lock = threading.Lock()
        self._of_request = threading.local()

    def fault(self, _body: Mapping[str, Any], _before: int) -> str:
        """To be called after `headers` of the same request."""
        return "ok" if self._of_request.fits else "429"

    def headers(self, _number: int) -> Mapping[str, str]:
        with self._lock:
            now = time.time()
            if now >= self._ends:
                self._left, self._ends = REQUESTS_A_WINDOW, now + WINDOW_SECONDS
                self.windows += 1
            self._left -= 1
            self._of_request.fits = self._left >= 0
            self.refused += self._left < 0
            return {
                "anthropic-ratelimit-requests-limit": str(REQUESTS_A_WINDOW),
                "anthropic-ratelimit-requests-remaining": str(max(0, self._left)),
                "anthropic-ratelimit-requests-reset": datetime.fromtimestamp(self._ends, UTC).isoformat(),
            }


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    """The limit of requests in flight and the reason for it, after everything that changed them."""
    seen: list[tuple[float, str]] = []

    class Watched(Limiter):
        def answered(self) -> None:
            super().answered()
            seen.append((self.limit, self.reason))

        def refused(self, began: float, what: str, retry_after_seconds: float | None) -> None:
            super().refused(began, what, retry_after_seconds)
            seen.append((self.limit, self.reason))

        def _pause(self, seconds: float, why: str) -> None:
            super()._pause(seconds, why)
            seen.append((self.limit, self.reason))

    monkeypatch.setattr(asker, "Limiter", Watched)
    return seen


def plan_of(agent: Agent) -> Plan:
    return plan_trials({"base": agent}, [Task(id=str(number), input=f"task {number}") for number in range(TRIALS)])


def test_run_waits_for_the_reset_that_the_headers_tell_and_is_never_refused(
    agent: Agent, server: MessagesServer, watched: list[tuple[float, str]]
) -> None:
    window = Window()
    server.more_headers, server.fault, server.seconds_a_piece = window.headers, window.fault, 0.005

    run = run_trials(plan_of(agent), concurrency=AT_ONCE, progress=False, retry=Retry(first_seconds=0.01))

    assert {trial.outcome for trial in run.trials} == {"answered"}
    assert window.refused == 0
    assert len(server.bodies) == TRIALS
    assert window.windows >= TRIALS // REQUESTS_A_WINDOW
    assert any("of 20 requests left" in reason for _, reason in watched)


def test_refused_run_asks_for_fewer_at_once_and_then_for_more_again(
    agent: Agent, server: MessagesServer, watched: list[tuple[float, str]]
) -> None:
    server.fault = lambda body, before: "429" if before == 0 and body["messages"][0]["content"] == "task 20" else "ok"

    run = run_trials(plan_of(agent), concurrency=AT_ONCE, progress=False, retry=Retry(first_seconds=0.01))

    assert {trial.outcome for trial in run.trials} == {"answered"}
    limits = [limit for limit, _ in watched]
    assert min(limits) == pytest.approx(0.7 * AT_ONCE)
    assert limits[-1] > limits[limits.index(min(limits))] + 1
    assert any(reason == "8 of 12 at once after rate_limit_error" for _, reason in watched)
