"""Everything that a ledger holds, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from workbench.ledger.damage import naming_undecodable
from workbench.ledger.file import ROW_COLUMNS, check_types, check_whole_row
from workbench.ledger.schema import attempts
from workbench.ledger.store import Ledger, opened_ledger

_NAMES = {"place": "endpoint"}
"""What a user calls a column that has another name in the table."""
_TEXTS = ("request", "text", "stop_details", "failure_message")
_ROWS_AT_ONCE = 5_000


def read_attempts(ledger: Ledger | str | Path | None = None, *, texts: bool = True) -> dict[str, list[Any]]:
    """Every attempt that the ledger holds, oldest first, as columns of Python values; `pandas.DataFrame` takes them.

    Columns: key, at (ISO 8601, UTC), variant, task_id, repeat, endpoint (its address; `place` in the table), whole
    (answered to its end), text (of the reply), model, tokens, seconds, failure_type and the others of the table
    `attempts`. `request` and `stop_details` are JSON. `None` where nothing is known. Without `texts` the long ones
    (request, text, stop_details, failure_message) are left out, which takes a fraction of the memory; with them every
    row is held to its checksum.

    Raises:
        LedgerError: the ledger cannot be opened or read, or a row of it is not what was written.
    """
    columns = [column for column in attempts.c if texts or column.name not in _TEXTS]
    query = sa.select(*columns).order_by(attempts.c.id).execution_options(yield_per=_ROWS_AT_ONCE)
    names = [column.name for column in columns]

    def work(connection: sa.Connection) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {_NAMES.get(name, name): [] for name in names}
        with naming_undecodable(connection, query, opened.name):
            for rows in connection.execute(query).partitions():
                check_types(rows, names, ledger=opened.name)
                if texts:
                    _check(rows, names, opened.name)
                for values, more in zip(found.values(), zip(*rows, strict=True), strict=True):
                    values.extend(more)
        return found

    with opened_ledger(ledger) as opened:
        return opened.read(work)


def _check(rows: Sequence[Sequence[Any]], names: Sequence[str], ledger: str) -> None:
    """Passes where each row of the columns of these names is what was written."""
    found = itemgetter(*map(names.index, ROW_COLUMNS))
    for row in rows:
        check_whole_row(found(row), ledger=ledger)
