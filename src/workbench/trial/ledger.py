"""The ledger: every attempt is durable here before anything else happens with it.

One database (SQLite by default) that several kernels and papermill processes may write at once. An attempt is one
row and is never changed; the newest whole reply for a key is the answer to that request. A thread of the ledger's
own writes, in one transaction, whatever has gathered since its last one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from workbench.definition.agent import Agent
from workbench.definition.project import project_folder
from workbench.errors import LedgerError
from workbench.trial.trial import Reply, Trial, Usage

SCHEMA_VERSION = 1

_tables = sa.MetaData()

_about = sa.Table("about", _tables, sa.Column("schema_version", sa.Integer, nullable=False))

_texts = sa.Table(
    "texts",
    _tables,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

_attempts = sa.Table(
    "attempts",
    _tables,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(64), nullable=False, index=True),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("repeat", sa.Integer, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("agent_sha256", sa.String(64), nullable=False),
    sa.Column("system_sha256", sa.String(64), nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("whole", sa.Boolean, nullable=False),
    sa.Column("text", sa.Text),
    sa.Column("stop_reason", sa.Text),
    sa.Column("stop_details", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("input_tokens", sa.Integer),
    sa.Column("output_tokens", sa.Integer),
    sa.Column("cache_creation_input_tokens", sa.Integer),
    sa.Column("cache_read_input_tokens", sa.Integer),
    sa.Column("request_id", sa.Text),
    sa.Column("seconds_to_first_token", sa.Float),
    sa.Column("seconds", sa.Float),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("failure_type", sa.Text),
    sa.Column("failure_message", sa.Text),
    sa.Column("failure_status", sa.Integer),
)

_KEYS_A_QUERY = 500


def open_ledger(where: str | Path | None = None) -> Ledger:
    """The ledger at a path or SQLAlchemy URL; by default that of `WORKBENCH_LEDGER`, else `outputs/ledger.sqlite`.

    Raises:
        LedgerError: it cannot be opened, or was written by a newer workbench.
    """
    chosen = str(where or os.environ.get("WORKBENCH_LEDGER") or project_folder() / "outputs" / "ledger.sqlite")
    if "://" in chosen:
        return Ledger(chosen)
    path = Path(chosen).resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(f"{path}: the folder of the ledger cannot be made: {error.strerror}") from error
    return Ledger(f"sqlite:///{path}")


@dataclass
class _Group:
    """Attempts that are written in one transaction: those that come while the one before is being written."""

    committed: Future[None]
    attempts: list[tuple[Trial, Agent]] = field(default_factory=list)


class Ledger:
    """An open ledger; use as a context manager, or `close()` it."""

    def __init__(self, url: str) -> None:
        try:
            self._engine = sa.create_engine(url)
            self.name = self._engine.url.render_as_string(hide_password=True).removeprefix("sqlite:///")
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _set_up_sqlite)
            with self._translated("opened"), self._engine.begin() as connection:
                _tables.create_all(connection)
                version = connection.scalar(sa.select(_about.c.schema_version))
                if version is None:
                    connection.execute(_about.insert().values(schema_version=SCHEMA_VERSION))
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError) as error:
            raise LedgerError(
                f"the ledger's address cannot be used: {error}; WORKBENCH_LEDGER takes a path or an SQLAlchemy URL"
            ) from error
        if version is not None and version != SCHEMA_VERSION:
            raise LedgerError(
                f"{self.name}: the ledger has schema {version}, this workbench writes {SCHEMA_VERSION}; "
                "upgrade the workbench or name another ledger in WORKBENCH_LEDGER"
            )
        self._known_texts: set[str] = set()
        self._lock = threading.Lock()
        self._gathering: _Group | None = None
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbench-ledger")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is waiting and closes the database."""
        self._writer.shutdown()
        self._engine.dispose()

    async def write(self, trial: Trial, agent: Agent) -> None:
        """Returns when the attempt is on disk.

        Raises:
            LedgerError: it is not, because the disk is full or the database gone.
        """
        with self._lock:
            group = self._gathering
            if group is None:
                group = self._gathering = _Group(self._writer.submit(self._commit_gathered))
            group.attempts.append((trial, agent))
        await asyncio.shield(asyncio.wrap_future(group.committed))

    def find(self, keys: Iterable[str]) -> dict[str, Reply]:
        """The newest whole reply for each of these keys that has one."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Reply] = {}
        with self._translated("read"), self._engine.connect() as connection:
            for start in range(0, len(wanted), _KEYS_A_QUERY):
                part = wanted[start : start + _KEYS_A_QUERY]
                rows = connection.execute(
                    sa.select(_attempts).where(_attempts.c.key.in_(part), _attempts.c.whole).order_by(_attempts.c.id)
                )
                found.update((row["key"], _reply(row)) for row in rows.mappings())
        return found

    def count(self, *, whole: bool = False) -> int:
        """How many attempts the ledger holds; with `whole`, only those that were answered to the end."""
        query = sa.select(sa.func.count()).select_from(_attempts)
        with self._translated("read"), self._engine.connect() as connection:
            return int(connection.scalar(query.where(_attempts.c.whole) if whole else query) or 0)

    def _commit_gathered(self) -> None:
        with self._lock:
            group, self._gathering = self._gathering, None
        if group is not None:
            with self._translated("written"):
                self._commit(group.attempts)

    def _commit(self, attempts: list[tuple[Trial, Agent]]) -> None:
        texts: dict[str, bytes] = {}
        rows = []
        for trial, agent in attempts:
            file, system = agent.to_bytes(), trial.request.system.encode("utf-8", "surrogateescape")
            hashes = [hashlib.sha256(text).hexdigest() for text in (file, system)]
            texts.update(zip(hashes, (file, system), strict=True))
            rows.append(_row(trial, *hashes))
        self._store_texts({sha256: body for sha256, body in texts.items() if sha256 not in self._known_texts})
        with self._engine.begin() as connection:
            connection.execute(_attempts.insert(), rows)

    def _store_texts(self, new: dict[str, bytes]) -> None:
        for sha256, body in new.items():
            try:
                with self._engine.begin() as connection:
                    connection.execute(_texts.insert().values(sha256=sha256, body=body))
            except sa.exc.IntegrityError:
                continue  # this very text is stored already, from another run or process
        self._known_texts.update(new)

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            raise LedgerError(
                f"{self.name}: the ledger could not be {what}: {cause}; free some space or name another ledger in "
                "WORKBENCH_LEDGER, then run the same again: what it holds is not asked for twice"
            ) from error


def _set_up_sqlite(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 60000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _row(trial: Trial, agent_sha256: str, system_sha256: str) -> dict[str, Any]:
    reply, failure = trial.reply, trial.failure
    request = {name: value for name, value in trial.request.body().items() if name != "system"}
    row: dict[str, Any] = {
        "key": trial.key,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "variant": trial.variant,
        "task_id": trial.task_id,
        "repeat": trial.repeat,
        "place": trial.place.base_url,
        "agent_sha256": agent_sha256,
        "system_sha256": system_sha256,
        "request": json.dumps(request, sort_keys=True),
        "whole": reply is not None and failure is None,
        "attempts": reply.attempts if reply else 1,
    }
    row |= {name: getattr(reply, name, None) for name in _REPLY_COLUMNS}
    row |= {name: getattr(reply.usage, name) if reply else None for name in _USAGE_COLUMNS}
    row["stop_details"] = json.dumps(reply.stop_details) if reply and reply.stop_details is not None else None
    row["failure_type"] = failure.type if failure else None
    row["failure_message"] = failure.message if failure else None
    row["failure_status"] = failure.status if failure else None
    if failure and failure.request_id:
        row["request_id"] = failure.request_id
    return row


_REPLY_COLUMNS = ("text", "stop_reason", "model", "request_id", "seconds_to_first_token", "seconds")
_USAGE_COLUMNS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def _reply(row: Any) -> Reply:
    return Reply(
        **{name: row[name] for name in _REPLY_COLUMNS},
        stop_details=json.loads(row["stop_details"]) if row["stop_details"] is not None else None,
        usage=Usage(**{name: row[name] for name in _USAGE_COLUMNS}),
        attempts=row["attempts"],
    )
