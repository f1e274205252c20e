"""Rows of the small tables of a ledger, held to what their columns are made for.

SQLite takes any value in any column. PostgreSQL holds its columns to types itself; whether a text is a date, and a
number none below zero, it does not know either. Replies have checksums beside that: see `file.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from workbench.errors import LedgerError

MOST = 2**62 - 1
"""The largest count in a row: half of what a database counts to, so that one added to another is a count still."""
_MOST_OF_INTEGER = 2**31 - 1
_LONGEST_SHOWN = 60
_UNDECODABLE = "bytes that are no text"

_Test = Callable[[Any], bool]


def name_of_database(address: sa.URL) -> str:
    """What a ledger is called in what is said: its file, or its address without the password."""
    return address.render_as_string(hide_password=True).removeprefix("sqlite:///")


def read_rows(
    connection: sa.Connection, query: sa.Select[Any], *, filled: Collection[str] = ()
) -> Sequence[sa.RowMapping]:
    """What the query finds, by the names of its columns: those of one table or several, among them the primary key of
    each. `filled` names columns that may be null, but not in these rows.

    Held to its types is a column at a time, which costs less than a row at a time.

    Raises:
        LedgerError: a value is none that is written into its column; names the row.
    """
    columns: list[sa.Column[Any]] = list(query.selected_columns)  # type: ignore[arg-type]
    try:
        rows = connection.execute(query).mappings().all()
    except sa.exc.OperationalError as error:
        if "decode" in str(error.orig).lower():
            _name_undecodable(connection, columns)
        raise
    for column in columns:
        _hold(connection, column, rows, may_be_null=bool(column.nullable) and column.name not in filled)
    return rows


def is_count(column: sa.Column[int]) -> sa.ColumnElement[bool]:
    """In SQL: what is in the column is a whole number from 0 to `MOST`. SQLite counts a text or bytes as more than any
    number when it compares, and as 0 when it adds."""
    return sa.and_(column.between(0, MOST), sa.cast(column, sa.BigInteger) == column)


def damaged(connection: sa.Connection, column: sa.Column[Any], row: sa.RowMapping, why: str = "") -> LedgerError:
    """What to raise where this column of a row is not what was written."""
    keys = {key.name: _equals(row[key.name]) for key in column.table.primary_key}
    return _error(connection, column, keys, why or _shown(row[column.name]))


def _hold(
    connection: sa.Connection, column: sa.Column[Any], rows: Sequence[sa.RowMapping], *, may_be_null: bool
) -> None:
    of_type, is_held = _tests(column)
    types = {of_type, type(None)} if may_be_null else {of_type}
    values = [row[column.name] for row in rows]
    if types.issuperset(map(type, values)) and all(value is None or is_held(value) for value in set(values)):
        return
    for row, value in zip(rows, values, strict=True):
        if type(value) not in types or not (value is None or is_held(value)):
            raise damaged(connection, column, row)


@cache
def _tests(column: sa.Column[Any]) -> tuple[type, _Test]:
    """Of which type a column's values are, and whether one of that type is one of them."""
    if column.name in _OF_TEXTS:
        return str, _OF_TEXTS[column.name]
    of_type = column.type.python_type
    if of_type is not int:
        return of_type, lambda _: True
    most = MOST if isinstance(column.type, sa.BigInteger) else _MOST_OF_INTEGER
    return int, lambda value: 0 <= value <= most


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _are_texts(text: str) -> bool:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, list) and all(isinstance(each, str) for each in found)


_OF_TEXTS: dict[str, _Test] = {"at": _is_moment, "since": _is_moment, "until": _is_moment, "scopes": _are_texts}
"""Columns of texts that say more than a text."""


def _name_undecodable(connection: sa.Connection, columns: Sequence[sa.Column[Any]]) -> None:
    """Raises what names the first row in which one of these columns holds bytes that are no text."""
    for column in columns:
        keys = list(column.table.primary_key)
        as_bytes = [sa.cast(each, sa.LargeBinary) for each in (column, *keys)]
        types = [sa.func.typeof(key) for key in keys]
        for body, *found in connection.execute(sa.select(*as_bytes, *types).where(sa.func.typeof(column) == "text")):
            if _decoded(body) is None:
                of_keys = zip(keys, found[: len(keys)], found[len(keys) :], strict=True)
                named = {key.name: _equals_bytes(value, of_type) for key, value, of_type in of_keys}
                raise _error(connection, column, named, f"{_UNDECODABLE}: {_shown(body)}") from None


def _decoded(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _error(connection: sa.Connection, column: sa.Column[Any], keys: dict[str, str], why: str) -> LedgerError:
    table = column.table.name
    where = " AND ".join(f"{name} {equals}" for name, equals in keys.items())
    also = f", or {_INSTEAD[table].format(where=where, **keys)}" if table in _INSTEAD else ""
    return LedgerError(
        f"{name_of_database(connection.engine.url)}: the row{where and f' {where}'} of the table {table} is damaged "
        f"({column.name} is {why}): put a copy of the ledger of before in its place{also}"
    )


_INSTEAD = {
    "batches": "have the requests of that batch asked, and paid, again by "
    "DELETE FROM batch_items WHERE batch {number}; DELETE FROM batches WHERE {where}",
    "batch_items": "have that request asked, and paid, again by DELETE FROM batch_items WHERE {where}",
    "budgets": "begin that budget anew with nothing spent, while no run is at work, by DELETE FROM budgets "
    "WHERE {where}; DELETE FROM budget_holds WHERE {where}",
    "budget_holds": "count as spent what that run had set aside, once it has ended, by DELETE FROM budget_holds "
    "WHERE {where}",
    "askers": "end the leases of that run, once it has ended, by DELETE FROM askers WHERE {where}",
    "claims": "end that lease, once its run has ended, by DELETE FROM claims WHERE {where}",
}
"""What else to do where a row of a table is damaged, and what that costs."""


def _shown(value: object) -> str:
    said = "null" if value is None else repr(value)
    return said if len(said) <= _LONGEST_SHOWN else f"{said[:_LONGEST_SHOWN]}..."


def _equals(value: object) -> str:
    """The comparison that finds this value, in the SQL of both databases."""
    if value is None:
        return "IS NULL"
    if isinstance(value, bytes):
        return f"= x'{value.hex()}'"
    return "= '" + value.replace("'", "''") + "'" if isinstance(value, str) else f"= {value}"


def _equals_bytes(body: bytes | None, of_type: str) -> str:
    """The same of a value of this type in SQLite, as its bytes."""
    if body is None or of_type == "blob":
        return _equals(body)
    text = _decoded(body)
    if text is None:
        return f"= CAST(x'{body.hex()}' AS TEXT)"
    return _equals(text) if of_type == "text" else f"= {text}"
