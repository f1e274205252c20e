"""Nothing holds up the event loop: while replies come there, they are graded and scrubbed elsewhere.

A heartbeat in the loop tells how long the loop's thread was busy between two beats, by the clock of that thread: what else
this machine does does not count. What sleeps takes no such time, so a grader that does tells in which thread.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from tests.grader_options import GRADERS
from tests.odd_server import STOP, end, head, refusal, serve_odd, start, text
from workbench.definition.agent import Agent
from workbench.errors import LedgerError, SetupError
from workbench.grading.catalogue import standard
from workbench.model.loop import Started
from workbench.model.retrying import Retry
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.start import start_planned
from workbench.runs.trying import Trying
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Reply, Trial
from workbench.widgets.trials import TrialPanel

MOST_SECONDS = 0.05
SLOW_SECONDS = 0.6
"""A grader takes so long."""
KEYS = "sk-ant-api03-" + "sk-" * 20_000
LONG = json.dumps(("Which load? `sk-" + "sk-" * 50 + "` ->\n```python\nx: List[int] = 1\n```\n") * 2_000)
ONE_EVENT = head() + start() + text(LONG) + end() + STOP
MANY_EVENTS = head() + start() + text(json.dumps("a word, ")) * 20_000 + end() + STOP
FAILURE = json.dumps({"type": "error", "error": {"type": "request_too_large", "message": KEYS}})


@dataclass
class Beats:
    """Of the loop, its thread, and the longest that this was busy between two beats."""

    thread: int = 0
    busy: float = 0.0


@contextmanager
def heartbeat() -> Iterator[Beats]:
    beats = Beats()

    async def beat() -> None:
        beats.thread = threading.get_ident()
        with suppress(asyncio.CancelledError):
            while True:
                busy = time.thread_time()
                await asyncio.sleep(0.002)
                beats.busy = max(beats.busy, time.thread_time() - busy)

    beating = Started(beat())
    try:
        yield beats
    finally:
        beating.stop()
        beating.wait()


SLEPT_IN: set[int] = set()
"""The threads in which the slow grader was called."""


def slow() -> object:
    def grade(_task: Task, _reply: Reply) -> bool:
        SLEPT_IN.add(threading.get_ident())
        time.sleep(SLOW_SECONDS)
        return True

    return grade


CATALOGUE = {**standard(), "slow": slow}
SPECS = (
    GraderSpec(name="slow", promise="slow"),
    *(GraderSpec(name=name, promise=name, options=options) for name, options in GRADERS.items()),
)
TASKS = [Task(id=str(number), input=f"odd {number}", graders=SPECS) for number in range(2)]


@pytest.fixture
def huge(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server of one reply in one event, one in very many, and a refusal that is full of what looks like keys."""
    with serve_odd([ONE_EVENT, MANY_EVENTS, refusal("413 Long", FAILURE)]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-" + "q7f2vx9k" * 12)
        yield


def held(beats: Beats) -> bool:
    return beats.busy > MOST_SECONDS or beats.thread in SLEPT_IN


@pytest.fixture(autouse=True)
def nothing_slept() -> None:
    SLEPT_IN.clear()


def test_heartbeat_sees_what_holds_up_the_loop() -> None:
    async def works(seconds: float) -> None:
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass

    async def sleeps() -> None:
        CATALOGUE["slow"]()(TASKS[0], Reply(text="a"))

    for holds_up in (works(2 * MOST_SECONDS), sleeps()):
        with heartbeat() as beats:
            Started(holds_up).result()
            time.sleep(0.05)
        assert held(beats)


@pytest.mark.usefixtures("huge")
def test_run_of_huge_replies_and_slow_graders_never_holds_up_the_loop(agent: Agent) -> None:
    plan = plan_trials({"base": agent}, TASKS, graders=CATALOGUE)
    with heartbeat() as beats:
        run = run_trials(plan, progress=False)

    assert {trial.outcome for trial in run.trials} == {"answered"}
    assert all(trial.scores["slow"].value == 1 for trial in run.trials)
    assert SLEPT_IN
    assert not held(beats), beats


@pytest.mark.usefixtures("huge")
def test_panel_of_huge_replies_and_slow_graders_never_holds_up_the_loop(agent: Agent) -> None:
    trying = Trying(lambda: {"base": agent, "other": agent.replace(prompt="You ask.")}, graders=CATALOGUE)
    with heartbeat() as beats:
        trying.run(trying.choose([*TASKS, "odd 2"]))
        trials = trying.wait()

    assert [trial.outcome for trial in trials] == ["answered", "answered", "failed"] * 2
    assert SLEPT_IN
    assert not held(beats), beats


@pytest.mark.usefixtures("huge")
def test_panel_that_shows_them_never_holds_up_the_loop(agent: Agent) -> None:
    variants = {"base": agent, "other": agent.replace(prompt="You ask.")}
    panel = TrialPanel(variants, [*TASKS, Task(id="2", input="odd 2")], graders=CATALOGUE)
    panel._repr_mimebundle_()
    assert panel.view is not None
    with heartbeat() as beats:
        panel.run(panel.tasks)
        trials = panel.wait()

    assert [trial.outcome for trial in trials] == ["answered", "answered", "failed"] * 2
    assert SLEPT_IN
    assert not held(beats), beats


@pytest.mark.usefixtures("server")
def test_what_ends_a_trial_in_the_panel_is_shown_in_another_thread_than_that_of_the_loop(agent: Agent) -> None:
    # Who is told reads the ledger, which may be waited for.
    async def thread() -> str:
        return threading.current_thread().name

    async def fails() -> Trial:
        await asyncio.sleep(0.2)
        raise LedgerError("it went away")

    loop, told = Started(thread()).result(), []
    for begun in (start_planned, lambda *_, **__: Started(fails())):
        trying = Trying(lambda: {"base": agent}, start=begun)
        trying.watch(on_begin=lambda _: None, on_turn=lambda: told.append(threading.current_thread().name))
        trying.run(trying.choose("Hello"))
        trying.wait()

    assert [run.trouble for run in trying.runs] == ["it went away"]
    assert len(told) == 4
    assert loop not in told


@pytest.mark.usefixtures("huge")
def test_failures_full_of_keys_never_hold_up_the_loop(agent: Agent) -> None:
    tasks = [Task(id=str(number), input=f"odd 2, {number}") for number in range(20)]
    with heartbeat() as beats, suppress(SetupError):
        run = run_trials(plan_trials({"base": agent}, tasks), progress=False, retry=Retry(first_seconds=0.001))

    assert {trial.failure.type for trial in run.trials if trial.failure} == {"request_too_large"}
    assert not held(beats), beats
