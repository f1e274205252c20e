"""Nothing holds up the event loop: while replies come there, they are graded and scrubbed elsewhere.

A heartbeat in the loop tells how long the loop's thread was busy between two beats, by the clock of that thread: what else
this machine does counts little, and not each time, so the whole is done again where it seems to be held up. What sleeps
takes no such time, so a grader that does tells in which thread.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from tests.grader_options import GRADERS
from tests.messages_server import MessagesServer
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

pytestmark = pytest.mark.machine

MOST_SECONDS = 0.05
ROUNDS = 3
"""What holds up the loop does so in each of these."""
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


def holds_up(works: Callable[[], object]) -> list[Beats]:
    """What each of the rounds took in which this held up the loop; empty if it did not in one of them. What sleeps in
    the loop's thread needs no second round."""
    rounds = []
    for _ in range(ROUNDS):
        SLEPT_IN.clear()
        with heartbeat() as beats:
            works()
            time.sleep(0.05)  # for one more beat
        rounds.append(beats)
        if beats.thread in SLEPT_IN:
            return rounds
        if beats.busy <= MOST_SECONDS:
            return []
    return rounds


def test_heartbeat_sees_what_holds_up_the_loop() -> None:
    async def works(seconds: float) -> None:
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass

    async def sleeps() -> None:
        CATALOGUE["slow"]()(TASKS[0], Reply(text="a"))

    assert len(holds_up(lambda: Started(works(2 * MOST_SECONDS)).result())) == ROUNDS
    assert len(holds_up(lambda: Started(sleeps()).result())) == 1
    assert holds_up(lambda: time.sleep(0.01)) == []


@pytest.mark.usefixtures("huge")
def test_run_of_huge_replies_and_slow_graders_never_holds_up_the_loop(agent: Agent) -> None:
    plan = plan_trials({"base": agent}, TASKS, graders=CATALOGUE)

    def works() -> None:
        run = run_trials(plan, progress=False, mode="fresh")
        assert {trial.outcome for trial in run.trials} == {"answered"}
        assert all(trial.scores["slow"].value == 1 for trial in run.trials)

    assert holds_up(works) == []
    assert SLEPT_IN


@pytest.mark.usefixtures("huge")
def test_panel_of_huge_replies_and_slow_graders_never_holds_up_the_loop(agent: Agent) -> None:
    trying = Trying(lambda: {"base": agent, "other": agent.replace(prompt="You ask.")}, graders=CATALOGUE)

    def works() -> None:
        trying.run(trying.choose([*TASKS, "odd 2"]), mode="fresh")
        assert [trial.outcome for trial in trying.wait()] == ["answered", "answered", "failed"] * 2

    assert holds_up(works) == []
    assert SLEPT_IN


@pytest.mark.usefixtures("huge")
def test_panel_that_shows_them_never_holds_up_the_loop(agent: Agent) -> None:
    variants = {"base": agent, "other": agent.replace(prompt="You ask.")}
    panel = TrialPanel(variants, [*TASKS, Task(id="2", input="odd 2")], graders=CATALOGUE)
    panel._repr_mimebundle_()
    assert panel.view is not None

    def works() -> None:
        panel.run(panel.tasks, mode="fresh")
        assert [trial.outcome for trial in panel.wait()] == ["answered", "answered", "failed"] * 2

    assert holds_up(works) == []
    assert SLEPT_IN


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
    plan, failed = plan_trials({"base": agent}, tasks), set()

    def works() -> None:
        with suppress(SetupError):
            run = run_trials(plan, progress=False, retry=Retry(first_seconds=0.001))
            failed.update(trial.failure.type for trial in run.trials if trial.failure)

    assert holds_up(works) == []
    assert failed == {"request_too_large"}


def test_types_of_the_sdk_are_built_beside_the_loop(server: MessagesServer) -> None:
    """They take it the tenth of a second on a busy machine, at the first refusal of a process."""
    code = (
        "import asyncio, threading\n"
        "from anthropic import _exceptions, _models\n"
        "from workbench.model.anthropic import open_anthropic\n"
        "from workbench.model.endpoint import choose_endpoint\n"
        "from workbench.trial.trial import Request\n"
        "built, in_thread = _models._build_discriminated_union_meta, []\n"
        "def note(**given):\n"
        "    if given['union'] not in [union for union, _ in in_thread]:\n"
        "        in_thread.append((given['union'], threading.current_thread() is threading.main_thread()))\n"
        "    return built(**given)\n"
        "_models._build_discriminated_union_meta = note\n"
        "async def asks():\n"
        "    async with open_anthropic(choose_endpoint()) as model:\n"
        "        request = Request(model='claude-opus-5-5', system='', messages=({'role': 'user', 'content': 'a'},), max_tokens=9)\n"
        "        return await model.ask(request)\n"
        "print(asyncio.run(asks()).failure.status, sorted({loop for _, loop in in_thread}))\n"
    )
    server.fault = lambda _, __: "403"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["403", "[False]"]
