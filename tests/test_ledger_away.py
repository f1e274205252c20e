"""A database that is locked, gone, full or refuses: what came back is never lost, and never written twice."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.messages_server import serve
from tests.postgres_server import PostgresServer, mortal_postgres_server
from tests.test_ledger import REPLY, execute, query, trial_of, write
from workbench.definition.agent import Agent
from workbench.errors import LedgerError
from workbench.ledger import schema
from workbench.ledger.file import read_replies
from workbench.ledger.patience import Waits
from workbench.ledger.store import Ledger, open_ledger
from workbench.ledger.trouble import trouble_of
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.task import Task

pytestmark = pytest.mark.machine


def break_commits(ledger: Ledger, broken: BaseException, *, when: str, times: int = 1) -> None:
    """The next commits end in this error: just before they are done, or just after."""
    dialect: Any = ledger._engine.dialect
    do_commit, left = dialect.do_commit, iter(range(times))

    def commit(connection: Any) -> None:
        breaks = next(left, None) is not None
        if not breaks or when == "after":
            do_commit(connection)
        if breaks:
            raise broken

    dialect.do_commit = commit


IN_A_MOMENT = Waits(seconds=1.0, said_after_seconds=0.1)


def unsaved(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.unsaved-*"))


class LockRules:
    """What holds while another program holds a lock; a subclass says how it is held."""

    def test_lock_is_said_and_waited_for(self, agent: Agent, address: str, capsys: pytest.CaptureFixture[str]) -> None:
        with open_ledger(address, waits=Waits(said_after_seconds=0.1)) as ledger:
            unlock = self.lock(address)
            timer = threading.Timer(2, unlock)
            timer.start()
            write(ledger, agent, trial_of(agent))
            timer.join()
            assert ledger.waits_for == ""
            assert ledger.find([trial_of(agent).key]) == {trial_of(agent).key: REPLY}

        said = capsys.readouterr().out
        assert said.count("waiting for the ledger, up to 60 seconds") == 1
        assert "holds a lock on" in said
        assert "An interrupt ends the wait." in said

    def test_past_its_patience_what_came_back_is_kept_and_taken_in_by_the_next(
        self, agent: Agent, address: str, kept_in: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with open_ledger(address, waits=IN_A_MOMENT) as ledger:
            unlock = self.lock(address)
            with pytest.raises(LedgerError, match="for 1 seconds: .*holds a lock on.*the next run takes it in"):
                write(ledger, agent, trial_of(agent))
            began = time.monotonic()
            with pytest.raises(LedgerError, match="the next run takes it in"):
                write(ledger, agent, trial_of(agent, 1))
            assert time.monotonic() - began < 3, "no patience of its own"
            unlock()
        files = unsaved(kept_in)
        assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 2
        (kept_in / files[0].name.replace(".unsaved-", ".unsaved-0")).write_bytes(files[0].read_bytes())

        with open_ledger(address) as ledger:
            keys = [trial_of(agent, repeat).key for repeat in range(2)]
            assert ledger.find(keys) == dict.fromkeys(keys, REPLY)
            assert ledger.count() == 2, "taken in once, however often it is there"
        assert unsaved(kept_in) == []
        assert capsys.readouterr().out.count("took in 1 attempt that") == 2

    def test_nobody_waits_any_more_once_that_is_given_up(self, agent: Agent, address: str, kept_in: Path) -> None:
        with open_ledger(address) as ledger:
            unlock = self.lock(address)
            began = time.monotonic()
            threading.Timer(0.5, ledger.give_up_waiting).start()
            with pytest.raises(LedgerError, match="holds a lock on"):
                write(ledger, agent, trial_of(agent))
            assert time.monotonic() - began < 50, "a ledger is waited for a minute"
            unlock()
            assert len(unsaved(kept_in)) == 1
            write(ledger, agent, trial_of(agent, 1))

    def lock(self, address: str) -> Any:
        raise NotImplementedError


class TestSQLite(LockRules):
    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'l.sqlite'}"

    @pytest.fixture
    def kept_in(self, tmp_path: Path) -> Path:
        return tmp_path

    def lock(self, address: str) -> Any:
        connection = sqlite3.connect(address.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN IMMEDIATE")

        def unlock() -> None:
            connection.execute("ROLLBACK")
            connection.close()

        return unlock


_numbers = count()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg", reason="the driver is not installed (pip install 'agent-workbench[postgres]')")
    with mortal_postgres_server() as server:
        yield server


class TestPostgreSQL(LockRules):
    @pytest.fixture
    def address(self, server: PostgresServer) -> str:
        """The address of a new, empty database."""
        name = f"away_{next(_numbers)}"
        engine = sa.create_engine(server.address, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"create database {name}"))
        engine.dispose()
        return server.address.replace("/postgres?", f"/{name}?")

    @pytest.fixture
    def kept_in(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        return tmp_path / "outputs"

    def lock(self, address: str) -> Any:
        engine = sa.create_engine(address)
        connection = engine.connect()
        connection.execute(sa.text("lock table attempts in access exclusive mode"))

        def unlock() -> None:
            connection.rollback()
            connection.close()
            engine.dispose()

        return unlock

    def test_server_that_is_killed_and_comes_back_costs_nothing(
        self, agent: Agent, address: str, server: PostgresServer
    ) -> None:
        def away() -> None:
            server.kill()
            time.sleep(1)
            server.start()

        async def write_all(ledger: Ledger) -> None:
            waiting = iter(range(200))

            async def write_in_turn() -> None:
                for repeat in waiting:
                    await ledger.write(trial_of(agent, repeat), agent)
                    await asyncio.sleep(0.01)

            await asyncio.gather(asyncio.to_thread(away), *(write_in_turn() for _ in range(4)))

        with open_ledger(address) as ledger:
            asyncio.run(write_all(ledger))
            found = ledger.find(trial_of(agent, repeat).key for repeat in range(200))

        assert len(found) == 200
        assert query(address, "select count(*), count(distinct repeat) from attempts") == [(200, 200)]

    def test_run_whose_server_is_killed_and_comes_back_asks_for_everything_once(
        self, agent: Agent, address: str, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = plan_trials({"base": agent}, [Task(id=str(number), input=f"task {number}") for number in range(20)])
        with serve(seconds_a_piece=0.05) as answers, ThreadPoolExecutor() as threads:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", answers.url)
            run = threads.submit(
                partial(run_trials, plan, ledger=address, concurrency=6, budget_tokens=1_000_000, progress=False)
            )
            assert answers.answered.wait(60)
            server.kill()
            time.sleep(1)
            server.start()
            trials = run.result(60).trials

        assert {trial.outcome for trial in trials} == {"answered"}
        assert set(answers.asked().values()) == {1}
        assert query(address, "select count(*) from attempts") == [(20,)]
        assert query(address, "select sum(tokens) from budgets") == [(20 * 18,)]
        assert query(address, "select * from budget_holds") == query(address, "select * from claims") == []

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_connection_that_breaks_at_a_commit_is_asked_what_became_of_it(
        self, agent: Agent, address: str, when: str
    ) -> None:
        import psycopg

        broken = psycopg.OperationalError("server closed the connection unexpectedly")
        counted = []
        with open_ledger(address) as ledger:
            write(ledger, agent, trial_of(agent))
            break_commits(ledger, broken, when=when)
            asyncio.run(ledger.write(trial_of(agent, 1), agent, also=lambda _: "done", committed=counted.append))

            assert ledger.count() == 2
        assert counted == ["done"]

    def test_connection_that_is_dropped_in_a_transaction_is_made_anew(self, agent: Agent, address: str) -> None:
        calls = []

        def dropped_once(connection: sa.Connection) -> int:
            calls.append(connection)
            if len(calls) == 1:
                pid = connection.scalar(sa.text("select pg_backend_pid()"))
                execute(address, f"select pg_terminate_backend({pid})")
            return len(list(connection.execute(sa.text("select * from attempts"))))

        with open_ledger(address) as ledger:
            assert asyncio.run(ledger.write(trial_of(agent), agent, also=dropped_once)) == 1
            assert ledger.change(lambda _: len(calls)) == 2
            assert ledger.count() == 1

    def test_process_that_falls_asleep_in_a_transaction_holds_nobody_up(self, agent: Agent, address: str) -> None:
        waits = Waits(asleep_seconds=1)
        asleep, calls = threading.Event(), []

        def sleep_in_it(connection: sa.Connection) -> None:
            schema.one_after_the_other(connection)
            calls.append(connection)
            if len(calls) == 1:
                asleep.set()
                time.sleep(4)

        with (
            open_ledger(address, waits=waits) as ledger,
            open_ledger(address) as other,
            ThreadPoolExecutor() as threads,
        ):
            sleeping = threads.submit(asyncio.run, ledger.transact(sleep_in_it))
            assert asleep.wait(30)
            began = time.monotonic()
            other.change(schema.one_after_the_other)
            assert time.monotonic() - began < 4
            sleeping.result(60)
            write(ledger, agent, trial_of(agent))
        assert len(calls) == 2, "it was tried again"

    def test_missing_permission_is_not_a_missing_server(self, agent: Agent, address: str) -> None:
        open_ledger(address).close()
        execute(address, f"create role reader{next(_numbers)} login")
        name = query(address, "select max(rolname) from pg_roles where rolname like 'reader%'")[0][0]
        execute(address, f"grant select on all tables in schema public to {name}")

        refused = pytest.raises(LedgerError, match="its server is there and refuses: .*GRANT")
        with open_ledger(address.replace("workbench@", f"{name}@")) as ledger, refused as caught:
            write(ledger, agent, trial_of(agent))
        assert "for 60 seconds" not in str(caught.value)

    def test_database_that_is_not_there_is_refused_by_a_server_that_is(self, address: str) -> None:
        with pytest.raises(LedgerError, match="its server is there and refuses"):
            open_ledger(address.replace("/away_", "/no_such_"))

    def test_server_that_is_not_there_when_a_run_begins_is_not_waited_for(self, tmp_path: Path) -> None:
        began = time.monotonic()
        with pytest.raises(LedgerError, match="see whether its server is there"):
            open_ledger(f"postgresql://workbench@/postgres?host={tmp_path}")
        assert time.monotonic() - began < 50, "a ledger is waited for a minute"


def test_file_that_may_only_be_read_is_said(agent: Agent, tmp_path: Path) -> None:
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        sa.event.listen(ledger._engine, "checkout", lambda raw, *_: raw.execute("PRAGMA query_only = 1"))

        with pytest.raises(LedgerError, match="see whether this user may read and write the file"):
            write(ledger, agent, trial_of(agent))


def test_damaged_file_and_what_is_no_database_are_said(tmp_path: Path) -> None:
    (tmp_path / "l.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5000)

    with pytest.raises(LedgerError, match="no ledger, or damaged"):
        open_ledger(tmp_path / "l.sqlite")


def test_ledger_with_an_odd_name_finds_what_is_kept_beside_it(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "a[1]*?{name}.sqlite"
    ours = open_ledger(path, waits=IN_A_MOMENT)
    with ours as ledger, closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError):
            write(ledger, agent, trial_of(agent))
        holder.execute("ROLLBACK")
    assert read_replies(path, [trial_of(agent).key]) is None, "there is more to be taken in"

    with open_ledger(path) as ledger:
        assert ledger.find([trial_of(agent).key]) == {trial_of(agent).key: REPLY}


def test_unsaved_file_that_is_damaged_is_named_and_kept(tmp_path: Path) -> None:
    open_ledger(tmp_path / "l.sqlite").close()
    (tmp_path / "l.sqlite.unsaved-1.json").write_text("{")

    with pytest.raises(LedgerError, match=r"l\.sqlite\.unsaved-1\.json: .*move it away"):
        open_ledger(tmp_path / "l.sqlite")
    assert (tmp_path / "l.sqlite.unsaved-1.json").exists()


def test_every_kind_of_trouble_has_an_advice_of_its_own(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x")) as connection, pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("select * from missing")
    other = trouble_of(sa.exc.OperationalError("", None, caught.value), is_file=True)

    assert (other.kind, other.may_pass, other.said) == ("other", False, "no such table: missing")
