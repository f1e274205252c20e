"""Everything that a ledger holds, as columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

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
    (request, text, stop_details, failure_message) are left out, which takes a fraction of the memory.

    Raises:
        LedgerError: the ledger cannot be opened or read.
    """
    columns = [column for column in attempts.c if texts or column.name not in _TEXTS]
    query = sa.select(*columns).order_by(attempts.c.id).execution_options(yield_per=_ROWS_AT_ONCE)

    def work(connection: sa.Connection) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {_NAMES.get(column.name, column.name): [] for column in columns}
        for rows in connection.execute(query).partitions():
            for values, more in zip(found.values(), zip(*rows, strict=True), strict=True):
                values.extend(more)
        return found

    with opened_ledger(ledger) as opened:
        return opened.read(work)
