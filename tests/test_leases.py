"""Two runs at the same time that need the same: it is asked for once, and both have it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.batch_server import serve_batches
from tests.benchmarks.kills import UNSHARE, why_not_unshared
from tests.messages_server import MessagesServer
from tests.postgres_server import new_database, postgres_server
from workbench.definition.agent import Agent, parse_agent
from workbench.errors import PlanError
from workbench.ledger.holders import this_process
from workbench.ledger.leases import Elsewhere, Leases
from workbench.ledger.open_batches import intend_batch
from workbench.ledger.schema import askers, budget_holds, claims
from workbench.ledger.sharing import Sharing
from workbench.ledger.store import open_ledger
from workbench.model.retrying import BATCHES, Retry
from workbench.runs import missing, runner
from workbench.runs.plan import Plan, plan_trials
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Reply, Run

pytestmark = pytest.mark.machine

LOOKS_OFTEN = Sharing(first_look_seconds=0.02, longest_look_seconds=0.1)
run_trials = partial(runner.run_trials, retry=Retry(first_seconds=0.001), sharing=LOOKS_OFTEN)
ELSEWHERE = "another machine"


@pytest.fixture
def has_looked(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a run has found that another one is asking for what it needs."""
    looked, take = threading.Event(), Leases.take

    async def take_and_tell(self: Leases, keys: Collection[str]) -> Elsewhere:
        elsewhere = await take(self, keys)
        if elsewhere.leased:
            looked.set()
        return elsewhere

    monkeypatch.setattr(Leases, "take", take_and_tell)
    return looked


def plan_of(agent: Agent, numbers: Collection[int]) -> Plan:
    return plan_trials({"base": agent}, [Task(id=str(number), input=f"task {number}") for number in numbers])


def key_of(plan: Plan, server: MessagesServer, task_id: str) -> str:
    trials = plan.trials(Endpoint(kind="server", base_url=server.url))
    return next(trial.key for trial in trials if trial.task_id == task_id)


def in_ledger(work: Callable[[sa.Connection], Any]) -> Any:
    with open_ledger() as ledger:
        return asyncio.run(ledger.transact(work))


def lease(key: str, *, seconds: float = 60, **who: Any) -> datetime:
    """Has somebody else ask for this; until when."""
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    by = {"process": 1, "machine": ELSEWHERE, "namespace": ELSEWHERE, **who}

    def insert(connection: sa.Connection) -> None:
        connection.execute(askers.insert().values(holder="somebody", until=until.isoformat(), **by))
        connection.execute(claims.insert().values(key=key, holder="somebody"))

    in_ledger(insert)
    return until


def give_back() -> None:
    in_ledger(lambda connection: connection.execute(claims.delete()))


def rows_of(table: sa.Table) -> int:
    return int(in_ledger(lambda connection: connection.scalar(sa.select(sa.func.count()).select_from(table))))


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def outcomes(run: Run) -> set[str]:
    return {trial.outcome for trial in run.trials}


def test_what_two_runs_need_is_asked_for_once(agent: Agent, server: MessagesServer) -> None:
    server.seconds_a_piece = 0.01
    with ThreadPoolExecutor() as threads:
        first, second = threads.map(run_trials, [plan_of(agent, range(8)), plan_of(agent, range(4, 12))])

    assert outcomes(first) | outcomes(second) == {"answered"}
    assert len(server.asked()) == 12
    assert set(server.asked().values()) == {1}
    assert sum(trial.from_ledger for run in (first, second) for trial in run.trials) == 4
    assert [trial.reply for trial in first.trials[4:]] == [trial.reply for trial in second.trials[:4]]
    assert rows_of(claims) == rows_of(askers) == 0


AT_ONCE = 3
SCRIPT = """
import sys
from datetime import timedelta
import workbench as wb
from workbench.ledger.sharing import Sharing
from workbench.trial.task import Task

agent = wb.parse_agent("---\\nname: a\\ndescription: b\\n---\\nYou ask.\\n")
tasks = [Task(id=str(n), input=f"task {n}") for n in range(12)]
plan = wb.plan_trials({"base": agent}, tasks)
run = wb.run_trials(plan, concurrency=AT_ONCE, progress=False, sharing=Sharing())
print("answered", sum(trial.outcome == "answered" for trial in run.trials), flush=True)
""".replace("AT_ONCE", str(AT_ONCE))


def start_script(server: MessagesServer, script: str = SCRIPT, *, within: Sequence[str] = ()) -> subprocess.Popen[str]:
    environment = {**os.environ, "ANTHROPIC_BASE_URL": server.url}
    command = [*within, sys.executable, "-c", script]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_two_processes_ask_for_the_same_once(server: MessagesServer) -> None:
    server.seconds_a_piece = 0.02
    processes = [start_script(server) for _ in range(2)]

    assert ["answered 12" in process.communicate(timeout=60)[0] for process in processes] == [True, True]
    assert len(server.asked()) == 12
    assert set(server.asked().values()) == {1}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_what_a_run_leaves_behind_is_asked_for_by_the_one_that_waits(
    how: signal.Signals, server: MessagesServer, has_looked: threading.Event
) -> None:
    server.seconds_a_piece = 3.0  # so long that the first is at work when the second looks, on a busy machine too
    first = start_script(server)
    assert server.answered.wait(60)
    plan = plan_of(parse_agent("---\nname: a\ndescription: b\n---\nYou ask.\n"), range(12))
    with ThreadPoolExecutor() as threads:
        second = threads.submit(run_trials, plan)
        assert has_looked.wait(60)
        first.send_signal(how)
        first.communicate(timeout=60)
        server.seconds_a_piece = 0
        assert outcomes(second.result(60)) == {"answered"}

    assert first.returncode != 0
    assert sum(server.asked().values()) <= 12 + AT_ONCE, "only what was in flight is asked for again"


def test_lease_of_another_machine_lasts_until_it_is_not_renewed(agent: Agent, server: MessagesServer) -> None:
    plan, came = plan_of(agent, range(2)), []

    def note(body: dict[str, Any], _: int) -> str:
        came.append((body["messages"][0]["content"], datetime.now(UTC)))
        return "ok"

    server.fault = note
    until = lease(key_of(plan, server, "0"), seconds=1)

    assert outcomes(run_trials(plan)) == {"answered"}
    assert [task for task, _ in came] == ["task 1", "task 0"]
    assert came[1][1] > until


def test_lease_of_a_process_that_has_ended_is_over(agent: Agent, server: MessagesServer) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    plan = plan_of(agent, range(2))
    lease(key_of(plan, server, "0"), **{**this_process(), "process": int(ended.stdout)}, seconds=3600)

    assert outcomes(run_trials(plan)) == {"answered"}


def test_trial_that_failed_elsewhere_may_be_tried_while_that_run_goes_on(
    agent: Agent, server: MessagesServer, has_looked: threading.Event
) -> None:
    tried_again = threading.Event()

    def fault(body: dict[str, Any], before: int) -> str:
        if body["messages"][0]["content"] == "task 0":
            if before == 0:
                assert has_looked.wait(30)
                return "413"
            tried_again.set()
        else:
            assert tried_again.wait(30)
        return "ok"

    server.fault = fault
    with ThreadPoolExecutor() as threads:
        first = threads.submit(run_trials, plan_of(agent, range(2)), concurrency=1)
        wait_until(lambda: bool(server.bodies))
        second = threads.submit(run_trials, plan_of(agent, [0]))

    assert [trial.outcome for trial in first.result().trials] == ["failed", "answered"]
    assert outcomes(second.result()) == {"answered"}


def test_run_that_waits_for_another_holds_nothing_of_the_budget(agent: Agent, server: MessagesServer) -> None:
    plan = plan_of(agent, range(3))
    lease(key_of(plan, server, "0"))
    with ThreadPoolExecutor() as threads:
        run = threads.submit(run_trials, plan, budget_usd=1.0)
        wait_until(lambda: len(server.bodies) == 2 and rows_of(budget_holds) == 0)
        assert not run.done()
        give_back()

        assert outcomes(run.result(30)) == {"answered"}
    assert set(server.asked().values()) == {1}


def test_run_that_waits_says_so(agent: Agent, server: MessagesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Bar:
        def show(self, _done: int, details: str) -> None:
            said.append(details)

        def close(self) -> None: ...

    monkeypatch.setattr(missing, "progress_bar", lambda *_, **__: Bar())
    plan = plan_of(agent, range(3))
    lease(key_of(plan, server, "0"))
    with ThreadPoolExecutor() as threads:
        run: Future[Run] = threads.submit(run_trials, plan)
        wait_until(lambda: any("1 being asked by another run" in line for line in said))
        give_back()
        run.result(30)

    assert "being asked by another run" not in said[-1]


def test_fresh_run_waits_for_nobody(agent: Agent, server: MessagesServer) -> None:
    plan = plan_of(agent, range(3))
    lease(key_of(plan, server, "0"))

    assert outcomes(run_trials(plan, mode="fresh")) == {"answered"}
    assert len(server.bodies) == 3


def test_batch_waits_for_what_is_being_streamed(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    often = replace(BATCHES, first_seconds=0.01, longest_seconds=0.05)
    plan = plan_of(agent, range(3))
    with serve_batches() as server, ThreadPoolExecutor() as threads:
        server.ends_at_once = True
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        streamed = plan.trials(Endpoint(kind="server", base_url=server.url))[0]
        lease(streamed.key)
        run = threads.submit(run_trials, plan, via="batch", retry=often)
        wait_until(lambda: sum(server.asked().values()) == 2)
        answered = streamed.replace(reply=Reply(text="streamed", stop_reason="end_turn"))
        with open_ledger() as ledger:
            asyncio.run(ledger.write(answered, agent))

        assert [trial.from_ledger for trial in run.result(30).trials] == [True, False, False]
        assert sum(server.asked().values()) == 2


def test_leases_are_renewed_while_a_run_asks(agent: Agent, server: MessagesServer) -> None:
    server.seconds_a_piece = 0.3

    def until() -> Any:
        return in_ledger(lambda connection: connection.scalar(sa.select(askers.c.until)))

    with ThreadPoolExecutor() as threads:
        run = threads.submit(run_trials, plan_of(agent, range(2)), sharing=Sharing(renewed_every_seconds=0.02))
        wait_until(lambda: until() is not None)
        began = until()
        wait_until(lambda: until() is None or until() > began)
        assert not run.done()
        run.result(30)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="the driver is not installed (pip install 'agent-workbench[postgres]')")
    with postgres_server() as address:
        yield address


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def in_both_databases(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The address of the ledger of this process and of those that it starts."""
    address = f"sqlite:///{tmp_path / 'l.sqlite'}"
    if request.param == "PostgreSQL":
        address = new_database(request.getfixturevalue("postgres"))
    monkeypatch.setenv("WORKBENCH_LEDGER", address)
    return address


A_SECOND = "timedelta(seconds=1), sure_seconds=0.6, renewed_every_seconds=0.2"
IN_A_SECOND = SCRIPT.replace("Sharing()", f"Sharing(lasts={A_SECOND})")


@pytest.mark.usefixtures("in_both_databases")
def test_process_that_slept_past_its_lease_asks_for_nothing_that_another_took_over(
    server: MessagesServer,
) -> None:
    server.seconds_a_piece = 3.0  # so long that none of these ends before it sleeps, on a busy machine too
    asleep = start_script(server, IN_A_SECOND)
    # As many as it asks for at once are being answered: none is between the look at its lease and its request.
    wait_until(lambda: sum(server.asked().values()) >= AT_ONCE)
    asleep.send_signal(signal.SIGSTOP)
    server.seconds_a_piece = 0
    try:
        plan = plan_of(parse_agent("---\nname: a\ndescription: b\n---\nYou ask.\n"), range(12))
        assert outcomes(run_trials(plan)) == {"answered"}
        asked = server.asked()
    finally:
        asleep.send_signal(signal.SIGCONT)
    said = asleep.communicate(timeout=60)[0]

    assert "This run lost its lease" in said
    assert "answered 12" in said
    assert server.asked() == asked, "what it woke up for was there"
    assert sum(asked.values()) <= 12 + AT_ONCE, "only what it had in flight is asked for again"


@pytest.mark.usefixtures("in_both_databases")
def test_two_namespaces_of_processes_ask_for_the_same_once(server: MessagesServer) -> None:
    if why_not := why_not_unshared():
        pytest.skip(why_not)
    server.seconds_a_piece = 0.2  # so long that both are at work at the same time
    first = start_script(server, SCRIPT, within=UNSHARE)
    assert server.answered.wait(60)
    processes = [first, start_script(server, SCRIPT, within=UNSHARE)]

    assert ["answered 12" in process.communicate(timeout=60)[0] for process in processes] == [True, True]
    assert len(server.asked()) == 12
    assert set(server.asked().values()) == {1}


def test_what_is_put_into_a_batch_while_a_stream_begins_is_left_to_the_batch(
    agent: Agent, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(agent, range(3))
    take = Leases.take

    async def take_a_moment_later(self: Leases, keys: Collection[str]) -> Elsewhere:
        monkeypatch.setattr(Leases, "take", take)
        with open_ledger() as ledger:
            assert intend_batch(ledger, [key_of(plan, server, "0")], endpoint=server.url, leases=Leases(ledger))
        return await take(self, keys)

    monkeypatch.setattr(Leases, "take", take_a_moment_later)

    with pytest.raises(PlanError, match="1 of these trials are on their way in a message batch already"):
        run_trials(plan)
    assert sorted(server.asked()) == ["task 1#0", "task 2#0"]


def test_interrupt_ends_the_wait_for_a_locked_ledger_and_loses_no_reply(
    server: MessagesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "l.sqlite"))
    server.seconds_a_piece = 0.05
    process = start_script(server, SCRIPT)
    assert server.answered.wait(60)
    with closing(sqlite3.connect(tmp_path / "l.sqlite", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        written = server.finished
        wait_until(lambda: server.finished > written)  # a reply is there that cannot be written
        assert process.stdout is not None
        assert any("waiting for the ledger" in line for line in process.stdout)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
        assert time.monotonic() - began < 50, "a ledger is waited for a minute"
        holder.execute("ROLLBACK")
    assert process.returncode != 0
    before = server.asked()
    assert list(tmp_path.glob("l.sqlite.unsaved-*"))

    server.seconds_a_piece = 0
    plan = plan_of(parse_agent("---\nname: a\ndescription: b\n---\nYou ask.\n"), range(12))
    run = run_trials(plan)

    assert outcomes(run) == {"answered"}
    assert not list(tmp_path.glob("l.sqlite.unsaved-*"))
    finished = sum(trial.from_ledger for trial in run.trials)
    assert sum(server.asked().values()) == sum(before.values()) + 12 - finished
    assert sum(before.values()) - finished <= AT_ONCE, "only what was cut off in the middle is asked for again"
