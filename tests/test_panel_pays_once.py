"""What a panel asks goes the way of everything that is sent: the ledger is looked up, a lease is taken, and the budget
is kept. So what a panel, another panel and a run ask for at the same time is paid once."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.messages_server import MessagesServer
from workbench.definition.agent import Agent
from workbench.ledger.budget.worst_case import most_of
from workbench.ledger.leases import Leases
from workbench.ledger.open_batches import intend_batch
from workbench.ledger.schema import askers, claims
from workbench.ledger.store import open_ledger
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.start import start_planned, start_trial
from workbench.runs.trying import Trying
from workbench.runs.variant_run import FROM_LEDGER
from workbench.trial.task import Task
from workbench.trial.trial import Trial

pytestmark = pytest.mark.machine

AGENT = Agent(name="a", prompt="You ask.")
TASKS = [Task(id=str(number), input=f"task {number}") for number in range(3)]


@pytest.fixture
def trying(server: MessagesServer) -> Iterator[Trying]:
    trying = Trying(lambda: {"base": AGENT})
    yield trying
    trying.stop()
    trying.wait()


def tried(trying: Trying, **settings: object) -> tuple[Trial, ...]:
    trying.run(trying.choose(TASKS), **settings)  # type: ignore[arg-type]
    return trying.wait()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


PROGRAM = """
from workbench.definition.agent import Agent
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.trying import Trying
from workbench.trial.task import Task

agent = Agent(name="a", prompt="You ask.")
tasks = [Task(id=str(number), input=f"task {number}") for number in range(3)]


def panel():
    trying = Trying(lambda: {"base": agent})
    trying.run(trying.choose(tasks))
    trying.wait()
    trying.reply_to("base", "A thousand.")
    return trying.wait()


def run():
    return run_trials(plan_trials({"base": agent}, tasks), concurrency=1, progress=False).trials
"""


def in_process(what: str) -> subprocess.Popen[str]:
    code = f"{PROGRAM}\nprint([trial.outcome for trial in {what}()], flush=True)\n"
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("others", "answers"), [(("panel", "panel"), 4), (("panel", "run"), 4)])
def test_two_processes_that_ask_for_the_same_at_once_pay_once(
    server: MessagesServer, others: tuple[str, str], answers: int
) -> None:
    server.seconds_a_piece = 0.15  # so long that both are at work at the same time
    processes = [in_process(what) for what in others]
    said = [process.communicate(timeout=120)[0] for process in processes]

    assert [line.count("answered") for line in said] == [4 if what == "panel" else 3 for what in others], said
    assert set(server.asked().values()) == {1}
    assert len(server.bodies) == answers, "three tasks and what was said to the last reply, each once"


def test_what_the_ledger_holds_is_shown_and_not_asked_for(trying: Trying, server: MessagesServer) -> None:
    first, again = tried(trying), tried(trying)

    assert len(server.bodies) == 3
    assert [trial.from_ledger for trial in (*first, *again)] == [False] * 3 + [True] * 3
    assert [trial.reply for trial in again] == [trial.reply for trial in first]
    assert trying.runs[0].status == f"Answered. {FROM_LEDGER}"


def test_what_a_run_has_paid_for_a_panel_shows(trying: Trying, server: MessagesServer) -> None:
    run = run_trials(plan_trials({"base": AGENT}, TASKS), progress=False)

    assert [trial.reply for trial in tried(trying)] == [trial.reply for trial in run.trials]
    assert len(server.bodies) == 3


def test_asked_anew_by_intent_it_is_paid_once_more(trying: Trying, server: MessagesServer) -> None:
    tried(trying)
    server.pieces = ["Another."]
    anew = tried(trying, mode="fresh")
    trying.reply_to("base", "Why?")
    trying.wait()
    trying.reply_to("base", "Why not?")

    assert {trial.reply.text for trial in anew if trial.reply} == {"Another."}
    assert [trial.paid.attempts for trial in anew if trial.paid] == [2] * 3
    assert not any(trial.from_ledger for trial in trying.wait())
    assert len(server.bodies) == 3 + 3 + 2


def test_the_same_said_twice_to_a_reply_is_paid_once(trying: Trying, server: MessagesServer) -> None:
    for _ in range(2):
        tried(trying)
        trying.reply_to("base", "A thousand.")
        last = trying.wait()[-1]

    assert len(server.bodies) == 3 + 1
    assert last.from_ledger


def test_a_replay_asks_nobody(trying: Trying, server: MessagesServer) -> None:
    tried(trying, mode="replay")
    missed = trying.runs[0].trouble
    tried(trying)
    tried(trying, mode="replay")

    assert "is not in the ledger" in missed
    assert trying.runs[0].trouble == ""
    assert len(server.bodies) == 3


def test_what_another_run_asks_for_is_waited_for_said_and_taken_over(trying: Trying, server: MessagesServer) -> None:
    trial = trying.plan(trying.choose(TASKS)).trials(trying.endpoint)[0]
    with open_ledger() as ledger:
        others = Leases(ledger)
        asyncio.run(others.take([trial.key]))
        trying.run(trying.choose(TASKS))
        wait_until(lambda: trying.runs[0].status.startswith("Another run is asking for the very same"))
        assert server.bodies == []
        asyncio.run(others.give_back())
    trials = trying.wait()

    assert [trial.outcome for trial in trials] == ["answered"] * 3
    assert len(server.bodies) == 3


def test_stop_ends_that_wait(trying: Trying, server: MessagesServer) -> None:
    trial = trying.plan(trying.choose(TASKS)).trials(trying.endpoint)[0]
    with open_ledger() as ledger:
        asyncio.run(Leases(ledger).take([trial.key]))
        trying.run(trying.choose(TASKS))
        wait_until(lambda: trying.runs[0].status.startswith("Another run"))
        trying.stop()

        assert trying.wait() == ()
    assert trying.runs[0].status == "Stopped before anything was asked."
    assert server.bodies == []


def test_stop_does_not_wait_for_a_ledger_that_is_locked_and_costs_no_reply(
    trying: Trying, server: MessagesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "l.sqlite"
    monkeypatch.setenv("WORKBENCH_LEDGER", str(path))
    server.seconds_a_piece = 0.1
    trying.run(trying.choose("Why?"))
    assert server.answered.wait(30)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        time.sleep(1)  # the reply is there by then, and cannot be written
        began = time.monotonic()
        trying.stop()
        (stopped,) = trying.wait()
        assert time.monotonic() - began < 50, "a ledger is waited for a minute"
        holder.execute("ROLLBACK")
    trying.run(trying.choose("Why?"))
    (again,) = trying.wait()

    assert stopped.outcome == "answered"
    assert (again.from_ledger, again.reply) == (True, stopped.reply)
    assert len(server.bodies) == 1


def test_no_lease_is_left_however_a_trial_ended(trying: Trying, server: MessagesServer) -> None:
    for fault in ("ok", "413", "401"):
        server.fault = lambda _, __, fault=fault: fault  # type: ignore[misc]
        tried(trying, mode="top-up")
    server.fault = lambda _, __: "ok"
    server.seconds_a_piece = 5.0
    server.answered.clear()
    trying.run(trying.choose("Another?"))
    assert server.answered.wait(30)
    trying.stop()
    (stopped,) = trying.wait()

    assert stopped.outcome == "stopped"
    with open_ledger() as ledger:
        for table in (claims, askers):
            assert (
                ledger.read(
                    lambda connection, table=table: connection.scalar(sa.select(sa.func.count()).select_from(table))
                )
                == 0
            )  # type: ignore[misc]


def test_what_is_on_its_way_in_a_batch_is_not_streamed_as_well(trying: Trying, server: MessagesServer) -> None:
    trial = trying.plan(trying.choose(TASKS)).trials(trying.endpoint)[0]
    with open_ledger() as ledger:
        assert intend_batch(ledger, [trial.key], endpoint=server.url, leases=Leases(ledger))
    tried(trying)

    assert "on their way in a message batch" in trying.runs[0].trouble
    assert server.bodies == []


def test_the_budget_of_the_environment_bounds_a_panel_and_what_is_said_in_it(
    trying: Trying, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = trying.plan(trying.choose(TASKS)).trials(trying.endpoint)[0].request
    monkeypatch.setenv("WORKBENCH_BUDGET_SCOPE", "today")
    monkeypatch.setenv("WORKBENCH_BUDGET_TOKENS", str(most_of(request).tokens + 2 * 18))
    tried(trying)
    trying.reply_to("base", "A thousand.")
    trying.wait()

    assert len(server.bodies) == 3
    assert "cannot start any trial" in trying.runs[0].trouble


def test_a_single_question_is_asked_anew_and_a_planned_trial_is_not(agent: Agent, server: MessagesServer) -> None:
    trial = plan_trials({"draft": agent}, TASKS[:1]).trials(Trying(dict).endpoint)[0]
    for _ in range(2):
        start_trial(trial.request, agent=agent).result(30)
        assert start_planned(trial, agent=agent).result(30).from_ledger

    assert len(server.bodies) == 2
