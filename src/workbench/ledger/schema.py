"""The tables of a ledger, how a database gets them, and how an older ledger is brought up to date.

Columns are only ever added, and what is added may be null: a kernel that still runs the workbench of yesterday goes
on writing into a ledger that was brought up to date beneath it. For the same reason tables and columns keep the names
that they were made with: an endpoint is in `place`, leases are in `askers` with `claims` and in `budget_holds`.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from workbench.definition.there import is_there
from workbench.ledger.file import SCHEMA_VERSION, SECONDS_UNTIL_BUSY
from workbench.ledger.rows import read_rows

_OWN = 0o600
_SECONDS_TO_CONNECT = 10
_SECONDS_WITHOUT_AN_ANSWER = 30
_SECONDS_TO_CHANGE_THE_JOURNAL = 2
_POSTGRESQL_LOCK = 5_042_011_977
"""Whoever makes or changes the tables holds this advisory lock; any number that others are unlikely to use."""


class _WithoutNul(sa.types.TypeDecorator[str]):
    """Any text, in a database that takes no NUL character: SUB and NUL are written as SUB 1 and SUB 0."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else value.replace("\x1a", "\x1a1").replace("\0", "\x1a0")

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else str(value).replace("\x1a0", "\0").replace("\x1a1", "\x1a")


class _Flag(sa.Boolean):
    """Yes or no; what is neither of both in the database stays what it is, for whoever holds it to its type."""

    cache_ok = True

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any] | None:
        return None if dialect.supports_native_boolean else _as_flag


def _as_flag(value: Any) -> Any:
    return bool(value) if type(value) is int and value in (0, 1) else value


_AnyText = sa.Text().with_variant(_WithoutNul(), "postgresql")

tables = sa.MetaData()


def _holder_columns() -> list[sa.Column[Any]]:
    """Whose row it is and until when it lasts; see `holders.py`."""
    return [
        sa.Column("namespace", sa.String(16)),
        sa.Column("started", sa.BigInteger),
        sa.Column("clock", sa.String(16)),
        sa.Column("clock_until", sa.BigInteger),
    ]


about = sa.Table(
    "about",
    tables,
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("workbench", sa.String(32)),  # the version that brought it to this schema
)

texts = sa.Table(
    "texts",
    tables,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

attempts = sa.Table(
    "attempts",
    tables,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(64), nullable=False, index=True),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("variant", _AnyText, nullable=False),
    sa.Column("task_id", _AnyText, nullable=False),
    sa.Column("repeat", sa.Integer, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("agent_sha256", sa.String(64), nullable=False),
    sa.Column("system_sha256", sa.String(64), nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("whole", _Flag, nullable=False),
    sa.Column("text", _AnyText),
    sa.Column("stop_reason", _AnyText),
    sa.Column("stop_details", sa.Text),
    sa.Column("model", _AnyText),
    sa.Column("input_tokens", sa.Integer),
    sa.Column("output_tokens", sa.Integer),
    sa.Column("cache_creation_input_tokens", sa.Integer),
    sa.Column("cache_read_input_tokens", sa.Integer),
    sa.Column("request_id", _AnyText),
    sa.Column("seconds_to_first_token", sa.Float),
    sa.Column("seconds", sa.Float),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("failure_type", _AnyText),
    sa.Column("failure_message", _AnyText),
    sa.Column("failure_status", sa.Integer),
    sa.Column("draw", sa.BigInteger),
    sa.Column("cache_creation_1h_input_tokens", sa.Integer),
    sa.Column("service_tier", _AnyText),
    sa.Column("checksum", sa.String(32)),
    sa.Column("asked_checksum", sa.String(32)),
    sa.Index("ix_attempts_task", "task_id", "variant"),
)

batches = sa.Table(
    "batches",
    tables,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("batch_id", sa.Text),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
)

batch_items = sa.Table(
    "batch_items",
    tables,
    sa.Column("key", sa.String(64), primary_key=True),  # unique: one request is in one open batch at most
    sa.Column("batch", sa.Integer, nullable=False, index=True),
    sa.Column("scopes", sa.Text),  # JSON: the budgets of which this much is set aside until the request is settled
    sa.Column("tokens", sa.BigInteger),
    sa.Column("picousd", sa.BigInteger),
)

budgets = sa.Table(
    "budgets",
    tables,
    sa.Column("scope", sa.String(255), primary_key=True),
    sa.Column("tokens", sa.BigInteger, nullable=False),  # all that is taken: spent, or set aside for what is in flight
    sa.Column("picousd", sa.BigInteger, nullable=False),
    sa.Column("unpriced", _Flag, nullable=False),  # models without a price were asked, so picousd is too low
)

budget_holds = sa.Table(
    "budget_holds",
    tables,
    sa.Column("holder", sa.String(32), primary_key=True),
    sa.Column("scope", sa.String(255), primary_key=True),
    sa.Column("process", sa.Integer, nullable=False),
    sa.Column("machine", sa.String(16), nullable=False),
    sa.Column("since", sa.String(32), nullable=False),
    sa.Column("until", sa.String(32), nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),  # of what is taken, the part that is not known to be spent
    sa.Column("picousd", sa.BigInteger, nullable=False),
    *_holder_columns(),
)

askers = sa.Table(
    "askers",
    tables,
    sa.Column("holder", sa.String(32), primary_key=True),
    sa.Column("process", sa.Integer, nullable=False),
    sa.Column("machine", sa.String(16), nullable=False),
    sa.Column("until", sa.String(32), nullable=False),
    *_holder_columns(),
)

claims = sa.Table(
    "claims",
    tables,
    sa.Column("key", sa.String(64), primary_key=True),  # unique: one run asks for it at a time
    sa.Column("holder", sa.String(32), nullable=False, index=True),
)

_OF_HOLDERS = tuple(column.name for column in _holder_columns())
_COLUMNS_SINCE = (
    (2, attempts, ("draw", "cache_creation_1h_input_tokens", "service_tier")),
    (3, batch_items, ("scopes", "tokens", "picousd")),
    (5, about, ("workbench",)),
    (5, attempts, ("checksum",)),
    (5, askers, _OF_HOLDERS),
    (5, budget_holds, _OF_HOLDERS),
    (6, attempts, ("asked_checksum",)),
)


def database_at(url: str | sa.URL) -> sa.URL:
    """The address as it is used: `postgresql://` means psycopg 3.

    Raises:
        sqlalchemy.exc.ArgumentError: it is no address.
    """
    address = sa.make_url(url)
    is_plain = address.drivername in ("postgres", "postgresql")
    return address.set(drivername="postgresql+psycopg") if is_plain else address


def open_engine(url: str | sa.URL, *, asleep_seconds: float) -> sa.Engine:
    """The way to the database at this address; nothing is opened yet.

    `asleep_seconds` as in `Waits`.

    Raises:
        sqlalchemy.exc.ArgumentError: it is no address, or one of a database in memory.
    """
    address = database_at(url)
    if address.get_backend_name() != "sqlite":
        engine = sa.create_engine(address, pool_pre_ping=True, connect_args=_patience_of_driver(address))
        if engine.dialect.name == "postgresql":
            sa.event.listen(engine, "connect", partial(_set_up_postgresql, asleep_seconds))
        return engine
    if address.database in (None, "", ":memory:"):
        raise sa.exc.ArgumentError("a database in memory keeps nothing; name a file, as in sqlite:///ledger.sqlite")
    engine = sa.create_engine(address)
    sa.event.listen(engine, "connect", _set_up_sqlite)
    return engine


def bring_up_to_date(engine: sa.Engine) -> int:
    """Makes the tables or adds what is new since they were made, in one transaction; the schema that is there now.

    A schema newer than `SCHEMA_VERSION` is left alone. Any number of processes may do this at once.

    A ledger that is a file is its user's own: a new one, and one that is brought up to date, is nobody else's to read.
    What a user permits afterwards stays permitted.

    Raises:
        LedgerError: the row that says which schema it is is damaged.
    """
    file = _file_of(engine)
    if file is not None and not is_there(file):
        with suppress(OSError):  # then SQLite says what is wrong
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY, _OWN))
    with engine.connect() as connection:
        found = _version(connection)
    if found is not None and found >= SCHEMA_VERSION:
        return found
    with _alone(engine) as connection:
        found = _version(connection)
        if found is not None and found >= SCHEMA_VERSION:
            return found
        if found is not None:
            _add_columns(connection, found)
        tables.create_all(connection)
        if found is None:
            connection.execute(about.insert().values(schema_version=SCHEMA_VERSION, workbench=_workbench()))
        else:
            connection.execute(about.update().values(schema_version=SCHEMA_VERSION, workbench=_workbench()))
            _add_indexes(connection)
    if file is not None and found is not None:
        for path in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
            with suppress(FileNotFoundError, PermissionError):  # another user's, who brought it along
                path.chmod(_OWN)
    return SCHEMA_VERSION


def _file_of(engine: sa.Engine) -> Path | None:
    if engine.dialect.name != "sqlite" or not engine.url.database or engine.url.database.startswith("file:"):
        return None
    return Path(engine.url.database)


def workbench_of(engine: sa.Engine) -> str:
    """The version of the workbench that brought a ledger to its schema, in words: an older one cannot use it.

    Raises:
        LedgerError: it is no text.
    """
    with engine.connect() as connection:
        there = {column["name"] for column in sa.inspect(connection).get_columns(about.name)}
        rows = read_rows(connection, sa.select(about.c.workbench)) if "workbench" in there else ()
    return max((row["workbench"] for row in rows if row["workbench"]), default="the one that wrote it")


def _workbench() -> str:
    return metadata.version("agent-workbench")[:32]


def one_after_the_other(connection: sa.Connection) -> None:
    """Whoever called this too waits until the transaction of this one ends: for what is read first and then written.

    A row is written to before anything is read; a row that all may see would not hold anybody up.
    """
    connection.execute(about.update().values(schema_version=about.c.schema_version))


def _version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table(about.name):
        return None
    rows = read_rows(connection, sa.select(about.c.schema_version))
    return max((row["schema_version"] for row in rows), default=None)


def _add_columns(connection: sa.Connection, found: int) -> None:
    """Those that came after the version found, in the tables that it had; the others are made whole."""
    for version, table, names in _COLUMNS_SINCE:
        if version <= found or not sa.inspect(connection).has_table(table.name):
            continue
        there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
        for name in names:
            if name in there:
                continue
            column = sa.schema.CreateColumn(table.c[name]).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column}")


def _add_indexes(connection: sa.Connection) -> None:
    for index in attempts.indexes:
        index.create(connection, checkfirst=True)


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction in which no other process makes or changes tables."""
    if engine.dialect.name == "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # Python's driver begins no transaction for a CREATE or ALTER; this one is ours from the first read on.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")
    else:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRESQL_LOCK)))
            yield connection


def _patience_of_driver(address: sa.URL) -> dict[str, Any]:
    """How long psycopg waits for a server that does not answer at all, unless the address says so."""
    if address.get_driver_name() != "psycopg":
        return {}
    wanted = {"connect_timeout": _SECONDS_TO_CONNECT, "tcp_user_timeout": _SECONDS_WITHOUT_AN_ANSWER * 1000}
    return {name: value for name, value in wanted.items() if name not in address.query}


def _set_up_postgresql(asleep_seconds: float, connection: Any, _: object) -> None:
    with connection.cursor() as cursor:
        # A table may be locked for hours: better to come back and say so than to wait where nothing can be said.
        cursor.execute(f"SET lock_timeout = {SECONDS_UNTIL_BUSY * 1000}")
        # Who falls asleep in a transaction would hold all others up; it finds its connection gone, and tries again.
        cursor.execute(f"SET idle_in_transaction_session_timeout = {round(asleep_seconds * 1000)}")
    connection.commit()


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.execute(f"PRAGMA busy_timeout = {SECONDS_UNTIL_BUSY * 1000}")
    connection.execute("PRAGMA synchronous = FULL")
    deadline = time.monotonic() + _SECONDS_TO_CHANGE_THE_JOURNAL
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # Two that change the journal of a new file at once: SQLite refuses one of them without waiting.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
