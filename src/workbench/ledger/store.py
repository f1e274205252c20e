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
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from workbench.definition.agent import Agent
from workbench.errors import LedgerError
from workbench.ledger.file import (
    FOUND_COLUMNS,
    KEYS_A_QUERY,
    REPLY_COLUMNS,
    SCHEMA_VERSION,
    USAGE_COLUMNS,
    ledger_address,
    reply_of,
)
from workbench.ledger.groups import GroupedWrites
from workbench.ledger.schema import attempts as _attempts
from workbench.ledger.schema import bring_up_to_date, open_engine
from workbench.ledger.schema import texts as _texts
from workbench.secrets import bytes_without_secrets, scrubber
from workbench.trial.difference import Difference, Recorded, difference_between, names_of_parts, nearness
from workbench.trial.trial import Reply, Trial

T = TypeVar("T")

_ATTEMPTS_COMPARED = 200


def open_ledger(where: str | Path | None = None) -> Ledger:
    """The ledger at a path or SQLAlchemy URL; by default that of `WORKBENCH_LEDGER`, else `outputs/ledger.sqlite`.

    Raises:
        LedgerError: it cannot be opened, or was written by a newer workbench.
    """
    address = ledger_address(where)
    if isinstance(address, str):
        return Ledger(address)
    try:
        address.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(f"{address}: the folder of the ledger cannot be made: {error.strerror}") from error
    return Ledger(sa.URL.create("sqlite", database=str(address)))


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

    def __init__(self, url: str | sa.URL) -> None:
        try:
            self._engine = open_engine(url)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
            raise LedgerError(
                f"the ledger's address cannot be used: {error}; WORKBENCH_LEDGER takes a path or an SQLAlchemy URL"
            ) from error
        except ImportError as error:
            raise LedgerError(
                f"the ledger's address cannot be used: {error}; install the driver that WORKBENCH_LEDGER names, for "
                "PostgreSQL with pip install 'agent-workbench[postgres]'"
            ) from error
        self.name = self._engine.url.render_as_string(hide_password=True).removeprefix("sqlite:///")
        try:
            self._bring_up_to_date()
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
            LedgerError: it is not, because the disk is full or the database gone.
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
            LedgerError: nothing was written, because the disk is full or the database gone.
        """
        result: T = await self._writes.add(_Item(work=work, committed=committed))
        return result

    def find(self, keys: Iterable[str]) -> dict[str, Reply]:
        """The newest whole reply for each of these keys that has one."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Reply] = {}
        with self.reading() as connection:
            for start in range(0, len(wanted), KEYS_A_QUERY):
                part = wanted[start : start + KEYS_A_QUERY]
                rows = connection.execute(
                    sa.select(*_FOUND).where(_attempts.c.key.in_(part), _attempts.c.whole).order_by(_attempts.c.id)
                )
                found.update((row[0], reply_of(row)) for row in rows)
        return found

    def nearest(self, trial: Trial) -> Difference | None:
        """The recorded attempt that comes nearest to this trial, and what differs; `None` for an empty ledger.

        Attempts at the same task come before others, then those of the same variant, then those that differ in the
        fewest parts. Of the same task, those that `_ATTEMPTS_COMPARED` does not reach are left out.
        """
        own_sha256 = _sha256(_bytes(trial.request.system))
        with self.reading() as connection:
            recorded = [_recorded(row) for row in connection.execute(_near(trial)).mappings()]
            if not recorded:
                newest = sa.select(*_COMPARED).order_by(_attempts.c.id.desc()).limit(_ATTEMPTS_COMPARED)
                recorded = [_recorded(row) for row in connection.execute(newest).mappings()]
            if not recorded:
                return None
            best = max(recorded, key=lambda attempt: nearness(attempt, trial, own_sha256))
            system = connection.scalar(sa.select(_texts.c.body).where(_texts.c.sha256 == best.system_sha256)) or b""
        names = names_of_parts(best, trial, own_sha256)
        return difference_between(best, system.decode("utf-8", "surrogateescape"), trial, names)

    def endpoints(self) -> tuple[str, ...]:
        """The base URLs of the endpoints that have answered, in the order of the alphabet."""
        query = sa.select(_attempts.c.place).where(_attempts.c.whole).distinct().order_by(_attempts.c.place)
        with self.reading() as connection:
            return tuple(connection.scalars(query))

    def count(self, *, whole: bool = False) -> int:
        """How many attempts the ledger holds; with `whole`, only those that were answered to the end."""
        query = sa.select(sa.func.count()).select_from(_attempts)
        with self.reading() as connection:
            return int(connection.scalar(query.where(_attempts.c.whole) if whole else query) or 0)

    def _bring_up_to_date(self) -> None:
        with self._translated("opened"):
            version = bring_up_to_date(self._engine)
        if version != SCHEMA_VERSION:
            raise LedgerError(
                f"{self.name}: the ledger has schema {version}, this workbench writes {SCHEMA_VERSION}; "
                "upgrade the workbench or name another ledger in WORKBENCH_LEDGER"
            )

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
        with self._translated("written"):
            self._store_texts({sha256: body for sha256, body in texts.items() if sha256 not in self._known_texts})
            with self._engine.begin() as connection:
                if self._engine.dialect.name == "sqlite":
                    # Else two processes that both read before they write would refuse each other.
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                if rows:
                    connection.execute(_attempts.insert(), rows)
                results = {work: work(connection) for work in works}
        for work, committed in works.items():
            if committed is not None:
                committed(results[work])
        return [None if each.work is None else results[each.work] for each in gathered]

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
                    # Under the hash of what was sent: without its secrets it is still found again.
                    connection.execute(_texts.insert().values(sha256=sha256, body=bytes_without_secrets(body)))
            except sa.exc.IntegrityError:
                continue  # this very text is stored already, from another run or process
        self._known_texts.update(new)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to the tables of `schema.py`, to read from.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        with self._translated("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction of its own in the calling thread, on disk when this ends.

        Raises:
            LedgerError: nothing was written.
        """
        with self._translated("written"), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            is_file = self._engine.dialect.name == "sqlite"
            advice = "see whether its file can be read and written" if is_file else "see whether its server is there"
            if "full" in str(cause):
                advice = "free some space"
            raise LedgerError(
                f"{self.name}: the ledger could not be {what}: {cause}; {advice}, or name another ledger in "
                "WORKBENCH_LEDGER, then run the same again: what it holds is not asked for twice"
            ) from error


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
        "request": scrub(json.dumps(request, sort_keys=True)),
        "whole": reply is not None and failure is None,
        "attempts": reply.attempts if reply else 1,
    }
    row |= {name: getattr(reply, name, None) for name in REPLY_COLUMNS}
    row |= {name: getattr(reply.usage, name) if reply else None for name in USAGE_COLUMNS}
    row["stop_details"] = json.dumps(reply.stop_details) if reply and reply.stop_details is not None else None
    row["failure_type"] = failure.type if failure else None
    row["failure_message"] = _storable(scrub(failure.message)) if failure else None
    row["failure_status"] = failure.status if failure else None
    if failure and failure.request_id:
        row["request_id"] = failure.request_id
    return row


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
_COMPARED = [
    _attempts.c[name]
    for name in (
        *("variant", "task_id", "repeat", "draw", "place", "at"),
        *("request", "system_sha256", "whole", "failure_type"),
    )
]
