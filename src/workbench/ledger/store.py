"""The ledger: every attempt is durable here before anything else happens with it.

One database (SQLite by default) that several kernels and papermill processes may write at once. An attempt is one
row and is never changed; the newest whole reply for a key is the answer to that request. A thread of the ledger's
own writes, in one transaction, whatever has gathered since its last one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from workbench.definition.agent import Agent
from workbench.definition.project import write_folder
from workbench.errors import LedgerError
from workbench.ledger.counts import known_counts
from workbench.ledger.damage import BODY, check_text, naming_undecodable
from workbench.ledger.file import (
    FOUND_COLUMNS,
    KEYS_A_QUERY,
    REPLY_COLUMNS,
    ROW_COLUMNS,
    SCHEMA_VERSION,
    USAGE_COLUMNS,
    check_types,
    check_whole_row,
    checksums_of_row,
    damaged_row,
    ledger_address,
    reply_of,
)
from workbench.ledger.groups import GroupedWrites
from workbench.ledger.patience import USUAL, Patience, Waits
from workbench.ledger.rows import name_of_database
from workbench.ledger.schema import attempts as _attempts
from workbench.ledger.schema import bring_up_to_date, open_engine, workbench_of
from workbench.ledger.schema import texts as _texts
from workbench.ledger.unsaved import take_in, unsaved_of, write_unsaved
from workbench.markup import counted
from workbench.secrets import scrubber
from workbench.trial.difference import Difference, Recorded, difference_between, names_of_parts, nearness
from workbench.trial.trial import Reply, Trial, Usage

T = TypeVar("T")

_ATTEMPTS_COMPARED = 200


def open_ledger(where: str | Path | None = None, *, waits: Waits = USUAL) -> Ledger:
    """The ledger at a path or SQLAlchemy URL; by default that of `WORKBENCH_LEDGER`, else `outputs/ledger.sqlite`.

    The folder of a file is written where it is not there; see `write_folder`. `waits` says how long it is waited for
    where it is locked or gone.

    Raises:
        LedgerError: it cannot be opened, or was written by a newer workbench.
    """
    address = ledger_address(where)
    if isinstance(address, str):
        return Ledger(address, waits)
    try:
        write_folder(address.parent)
    except OSError as error:
        raise LedgerError(f"{address}: the folder of the ledger cannot be made: {error.strerror}") from error
    return Ledger(sa.URL.create("sqlite", database=str(address)), waits)


def check_ledger(where: str | Path | None = None) -> None:
    """Passes where this workbench can use the ledger, or there is none yet: to find out before much is begun.

    Raises:
        LedgerError: as `open_ledger`.
    """
    address = ledger_address(where)
    if isinstance(address, str) or address.exists():
        open_ledger(where).close()


@contextmanager
def opened_ledger(ledger: Ledger | str | Path | None = None) -> Iterator[Ledger]:
    """The ledger itself, which stays open, or the one at a path or address, closed afterwards.

    Raises:
        LedgerError: as `open_ledger`.
    """
    if isinstance(ledger, Ledger):
        yield ledger
    else:
        with open_ledger(ledger) as opened:
            yield opened


@dataclass(frozen=True, kw_only=True, slots=True)
class _Item:
    """An attempt that is to be written, or what is to be done in a transaction, or both in the same."""

    trial: Trial | None = None
    agent: Agent | None = None
    work: Callable[[sa.Connection], Any] | None
    committed: Callable[[Any], object] | None


class Ledger:
    """An open ledger; use as a context manager, or `close()` it."""

    def __init__(self, url: str | sa.URL, waits: Waits = USUAL) -> None:
        try:
            self._engine = open_engine(url, asleep_seconds=waits.asleep_seconds)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
            raise LedgerError(
                f"the ledger's address cannot be used: {error}; WORKBENCH_LEDGER takes a path or an SQLAlchemy URL"
            ) from error
        except ImportError as error:
            raise LedgerError(
                f"the ledger's address cannot be used: {error}; install the driver that WORKBENCH_LEDGER names, for "
                "PostgreSQL with pip install 'agent-workbench[postgres]'"
            ) from error
        self.name = name_of_database(self._engine.url)
        self._patience = Patience(self.name, is_file=self._engine.dialect.name == "sqlite", waits=waits)
        try:
            self._bring_up_to_date()
            self._take_in_unsaved()
        except LedgerError:
            self._engine.dispose()
            raise
        self._agents: dict[int, tuple[Agent, str, bytes]] = {}
        self._known_texts: set[str] = set()
        self._writes: GroupedWrites[_Item] = GroupedWrites(self._commit)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is waiting and closes the database."""
        self._writes.close()
        self._engine.dispose()

    async def write(
        self,
        trial: Trial,
        agent: Agent,
        *,
        also: Callable[[sa.Connection], T] | None = None,
        committed: Callable[[T], object] | None = None,
    ) -> T | None:
        """Returns when the attempt is on disk, and with it what `also` does, as in `transact`; what that returned.

        Raises:
            LedgerError: it is not: the disk is full, or the database has been locked or gone for longer than it is
                waited for. It is kept in a file beside the ledger then, if that can be written.
        """
        result: T | None = await self._writes.add(_Item(trial=trial, agent=agent, work=also, committed=committed))
        return result

    async def transact(
        self, work: Callable[[sa.Connection], T], *, committed: Callable[[T], object] | None = None
    ) -> T:
        """What `work` returns, once all that it wrote is on disk.

        It is called in the ledger's own thread, in the transaction of whatever else is being written: after the
        attempts, in the order in which things came, with the write lock held from the start in SQLite. Where the same
        work (one that is equal) came several times, it is called once for all of them. What it raises undoes the whole
        transaction, the attempts of others with it, so what it finds out it returns. Cancelling the wait does not
        undo it.

        `committed` gets the result in that same thread as soon as it is on disk, before the next transaction begins.
        Until then nothing has happened: what `work` is to remember of it, it remembers there.

        Raises:
            LedgerError: nothing was written.
        """
        result: T = await self._writes.add(_Item(work=work, committed=committed))
        return result

    def find(self, keys: Iterable[str]) -> dict[str, Reply]:
        """The newest whole reply for each of these keys that has one.

        Raises:
            LedgerError: the ledger cannot be read, or one of them is not what was written.
        """
        wanted = list(dict.fromkeys(keys))

        def work(connection: sa.Connection) -> dict[str, Reply]:
            found: dict[str, Reply] = {}
            for start in range(0, len(wanted), KEYS_A_QUERY):
                of_part = sa.and_(_attempts.c.key.in_(wanted[start : start + KEYS_A_QUERY]), _attempts.c.whole)
                query = sa.select(*_FOUND).where(of_part).order_by(_attempts.c.id)
                with naming_undecodable(connection, query, self.name):
                    found.update((row[2], reply_of(row, ledger=self.name)) for row in connection.execute(query))
            return found

        return self.read(work)

    def nearest(self, trial: Trial) -> Difference | None:
        """The recorded attempt that comes nearest to this trial, and what differs; `None` for an empty ledger.

        Attempts at the same task come before others, then those of the same variant, then those that differ in the
        fewest parts. Of the same task, those that `_ATTEMPTS_COMPARED` does not reach are left out.
        """
        own_sha256 = _sha256(_bytes(trial.request.system))

        def work(connection: sa.Connection) -> tuple[Recorded, bytes] | None:
            recorded = self._recorded(connection, _near(trial))
            if not recorded:
                newest = sa.select(*_COMPARED).order_by(_attempts.c.id.desc()).limit(_ATTEMPTS_COMPARED)
                recorded = self._recorded(connection, newest)
            if not recorded:
                return None
            best = max(recorded, key=lambda attempt: nearness(attempt, trial, own_sha256))
            body = connection.scalar(sa.select(BODY).where(_texts.c.sha256 == best.system_sha256))
            return best, b"" if body is None else check_text(best.system_sha256, body, ledger=self.name)

        found = self.read(work)
        if found is None:
            return None
        best, system = found
        names = names_of_parts(best, trial, own_sha256)
        return difference_between(best, system.decode("utf-8", "surrogateescape"), trial, names)

    def endpoints(self) -> tuple[str, ...]:
        """The base URLs of the endpoints that have answered, in the order of the alphabet."""
        query = (
            sa.select(sa.func.min(_attempts.c.id).label("id"), _attempts.c.place)
            .where(_attempts.c.whole)
            .group_by(_attempts.c.place)
            .order_by(_attempts.c.place)
        )

        def work(connection: sa.Connection) -> tuple[str, ...]:
            with naming_undecodable(connection, sa.select(_attempts.c.id, _attempts.c.place), self.name):
                rows = connection.execute(query).all()
            check_types(rows, ("id", "place"), ledger=self.name)
            return tuple(place for _, place in rows)

        return self.read(work)

    def count(self, *, whole: bool = False) -> int:
        """How many attempts the ledger holds; with `whole`, only those that were answered to the end."""
        query = sa.select(sa.func.count()).select_from(_attempts)
        wanted = query.where(_attempts.c.whole) if whole else query
        return self.read(lambda connection: int(connection.scalar(wanted) or 0))

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` finds out in the tables of `schema.py`. It is called anew where the database went away in between
        or was locked, as long as that is waited for.

        Raises:
            LedgerError: the ledger cannot be read.
        """

        def once() -> T:
            with self._engine.connect() as connection:
                return work(connection)

        return self._patience.until_done(once, "read")

    def change(self, work: Callable[[sa.Connection], T]) -> T:
        """The same for a transaction, in the calling thread; what it wrote is on disk when this returns. What `work`
        raises undoes it.

        Raises:
            LedgerError: nothing was written.
        """
        return self._patience.until_done(partial(self._in_transaction, _Try(), work), "written")

    def give_up_waiting(self) -> None:
        """Nobody waits any more for a ledger that is locked or gone, until it answers again: who does gets a
        `LedgerError` at once, and what could not be written is kept in a file beside it."""
        self._patience.give_up()

    @property
    def waits_for(self) -> str:
        """What the ledger is waiting for at this moment; empty: for nothing."""
        return self._patience.waits_for

    def _bring_up_to_date(self) -> None:
        version = self._patience.until_done(lambda: bring_up_to_date(self._engine), "opened")
        if version != SCHEMA_VERSION:
            raise LedgerError(
                f"{self.name}: the ledger has schema {version}, this workbench writes {SCHEMA_VERSION}; upgrade the "
                f"workbench to {workbench_of(self._engine)} or later, or name another ledger in WORKBENCH_LEDGER"
            )

    def _take_in_unsaved(self) -> None:
        for path in unsaved_of(self._engine.url):
            try:
                count = self.change(partial(take_in, path=path))
            except FileNotFoundError:
                continue  # somebody else was faster
            except (ValueError, KeyError, TypeError, OSError) as error:
                raise LedgerError(
                    f"{path}: this file should hold replies that could not be written into the ledger, and cannot be "
                    f"read: {error}; move it away to go on without them"
                ) from error
            path.unlink(missing_ok=True)
            if count:
                print(f"{self.name}: took in {counted(count, 'attempt')} that could not be written before.", flush=True)

    def _commit(self, gathered: Sequence[_Item]) -> list[Any]:
        """Writes all of it in one transaction; what each returned, in the same order."""
        texts: dict[str, bytes] = {}
        rows = []
        scrub = scrubber()
        for each in gathered:
            if each.trial is None or each.agent is None:
                continue
            agent_sha256, file = self._text_of(each.agent)
            system = _bytes(each.trial.request.system)
            system_sha256 = _sha256(system)
            texts[agent_sha256], texts[system_sha256] = file, system
            rows.append(_row(each.trial, agent_sha256, system_sha256, scrub))
        works = {each.work: each.committed for each in gathered if each.work is not None}

        def write(connection: sa.Connection) -> dict[Any, Any]:
            if rows:
                connection.execute(_attempts.insert(), rows)
            return {work: work(connection) for work in works}

        this_try = _Try()

        def once() -> dict[Any, Any]:
            self._store_texts({sha256: body for sha256, body in texts.items() if sha256 not in self._known_texts})
            return self._in_transaction(this_try, write)

        try:
            results = self._patience.until_done(once, "written")
        except LedgerError as error:
            raise self._kept_beside(error, rows, texts) from error.__cause__
        for work, committed in works.items():
            if committed is not None:
                committed(results[work])
        return [None if each.work is None else results[each.work] for each in gathered]

    def _in_transaction(self, this_try: _Try, work: Callable[[sa.Connection], T]) -> T:
        """One try. Where the connection broke just when the last one was to be committed, the server is asked what
        became of that: to write it again would pay for a reply twice."""
        if this_try.transaction is not None and self._was_committed(this_try.transaction):
            committed: T = this_try.result
            return committed
        this_try.transaction = None
        with self._engine.begin() as connection:
            number = None
            if self._engine.dialect.name == "sqlite":
                # Else two processes that both read before they write would refuse each other.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif self._engine.dialect.name == "postgresql":
                number = connection.scalar(sa.select(sa.func.txid_current()))
            result = this_try.result = work(connection)
            this_try.transaction = number
        return result

    def _was_committed(self, transaction: int) -> bool:
        with self._engine.connect() as connection:
            status = connection.scalar(sa.select(sa.func.txid_status(sa.cast(transaction, sa.BigInteger))))
        if status == "in progress":
            raise sa.exc.OperationalError("txid_status", None, _StillCommitting())
        return bool(status == "committed")

    def _kept_beside(self, error: LedgerError, rows: list[dict[str, Any]], texts: dict[str, bytes]) -> LedgerError:
        """The same error, and what became of the attempts that could not be written."""
        if not rows:
            return error
        try:
            path = write_unsaved(self._engine.url, rows, texts)
        except OSError as also:
            return LedgerError(f"{error} (nor could they be kept in a file beside it: {also.strerror})")
        # Said here too, since nobody may be left to be told: an interrupt ends those who waited for this.
        print(f"{self.name}: {counted(len(rows), 'attempt')} could not be written, kept in {path}.", flush=True)
        return LedgerError(f"{error}. What came back is kept in {path}, and the next run takes it in")

    def _text_of(self, agent: Agent) -> tuple[str, bytes]:
        """The agent's file and its hash; made once, because an agent writes its file anew each time it is asked."""
        if id(agent) not in self._agents:
            file = _bytes(agent.text)
            self._agents[id(agent)] = (agent, _sha256(file), file)
        return self._agents[id(agent)][1:]

    def _store_texts(self, new: dict[str, bytes]) -> None:
        for sha256, body in new.items():
            try:
                with self._engine.begin() as connection:
                    connection.execute(_texts.insert().values(sha256=sha256, body=body))
            except sa.exc.IntegrityError:
                continue  # this very text is stored already, from another run or process
        self._known_texts.update(new)

    def _recorded(self, connection: sa.Connection, query: sa.Select[Any]) -> list[Recorded]:
        with naming_undecodable(connection, query, self.name):
            rows = connection.execute(query).all()
        found = []
        for row in rows:
            check_whole_row(row, ledger=self.name)
            try:
                found.append(_recorded(dict(zip(ROW_COLUMNS, row, strict=True))))
            except ValueError:
                raise damaged_row(self.name, row.id, "request is no JSON") from None
        return found


class _Try:
    """What became of a transaction that is tried again and again."""

    transaction: int | None = None
    """Its number on the server, once all is done in it but the commit."""
    result: Any = None


class _StillCommitting(Exception):
    sqlstate = "57P03"

    def __str__(self) -> str:
        return "the server still holds a transaction whose connection broke"


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _row(trial: Trial, agent_sha256: str, system_sha256: str, scrub: Callable[[str], str]) -> dict[str, Any]:
    reply, failure = trial.reply, trial.failure
    request = {name: value for name, value in trial.request.canonical().items() if name != "system"}
    row: dict[str, Any] = {
        "key": trial.key,
        "at": (reply.at if reply else None) or datetime.now(UTC).isoformat(timespec="milliseconds"),
        "variant": _storable(trial.variant),
        "task_id": _storable(trial.task_id),
        "repeat": trial.repeat,
        "draw": trial.draw,
        "place": trial.endpoint.base_url,
        "agent_sha256": agent_sha256,
        "system_sha256": system_sha256,
        "request": json.dumps(request, sort_keys=True),
        "whole": reply is not None and failure is None,
        "attempts": reply.attempts if reply else 1,
    }
    row |= {name: getattr(reply, name, None) for name in REPLY_COLUMNS}
    row |= {name: None if row[name] is None else float(row[name]) for name in ("seconds_to_first_token", "seconds")}
    counts = known_counts(reply.usage) if reply else Usage()
    row |= {name: getattr(counts, name) for name in USAGE_COLUMNS}
    row["stop_details"] = json.dumps(reply.stop_details) if reply and reply.stop_details is not None else None
    row["failure_type"] = failure.type if failure else None
    row["failure_message"] = _storable(scrub(failure.message)) if failure else None
    row["failure_status"] = failure.status if failure else None
    if failure and failure.request_id:
        row["request_id"] = failure.request_id
    return row | checksums_of_row(row)


def _storable(text: str) -> str:
    """The text with half characters spelled out, which no database takes: a label must not cost a paid reply."""
    return text.encode("utf-8", "backslashreplace").decode()


def _bytes(text: str) -> bytes:
    """The bytes that were read as this text; where it holds half characters, these spelled out."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def _near(trial: Trial) -> sa.Select[Any]:
    """The attempts at the task of this trial, those of its variant and repeat first, then the newest."""
    return (
        sa.select(*_COMPARED)
        .where(_attempts.c.task_id == _storable(trial.task_id))
        .order_by(
            (_attempts.c.variant == _storable(trial.variant)).desc(),
            (_attempts.c.repeat == trial.repeat).desc(),
            _attempts.c.id.desc(),
        )
        .limit(_ATTEMPTS_COMPARED)
    )


def _recorded(row: Any) -> Recorded:
    return Recorded(
        variant=row["variant"],
        task_id=row["task_id"],
        repeat=row["repeat"],
        draw=row["repeat"] if row["draw"] is None else row["draw"],
        endpoint=row["place"],
        at=row["at"],
        body=json.loads(row["request"]),
        system_sha256=row["system_sha256"],
        failure_type=None if row["whole"] else row["failure_type"],
    )


_FOUND = [_attempts.c[name] for name in FOUND_COLUMNS]
_COMPARED = [_attempts.c[name] for name in ROW_COLUMNS]
