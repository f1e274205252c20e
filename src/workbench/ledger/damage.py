"""Which row of a ledger's database is not what was written, where that shows only when it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from workbench.errors import LedgerError
from workbench.ledger.file import damaged_row
from workbench.ledger.schema import attempts, texts


@contextmanager
def naming_undecodable(connection: sa.Connection, query: sa.Select[Any], ledger: str) -> Iterator[None]:
    """Says which row it was where one of the table attempts holds bytes that are no text; `query` selects the columns
    and rows of it that are read.

    Raises:
        LedgerError: names the row.
    """
    try:
        yield
    except sa.exc.OperationalError as error:
        if "decode" not in str(error.orig).lower() or (number := _undecodable_row(connection, query)) is None:
            raise
        raise damaged_row(ledger, number, "bytes that are no text") from None


def _undecodable_row(connection: sa.Connection, query: sa.Select[Any]) -> int | None:
    """The first row of the query that cannot be read, found by halves; `None` where all can by now."""
    numbers = connection.scalars(query.with_only_columns(attempts.c.id).order_by(None).order_by(attempts.c.id)).all()
    while numbers:
        half = numbers[: (len(numbers) + 1) // 2]
        is_in_half = not _can_be_read(connection, query.where(attempts.c.id.between(half[0], half[-1])))
        if len(numbers) == 1:
            return int(numbers[0]) if is_in_half else None
        numbers = half if is_in_half else numbers[len(half) :]
    return None


def _can_be_read(connection: sa.Connection, query: sa.Select[Any]) -> bool:
    try:
        for _ in connection.execute(query):
            pass
    except sa.exc.OperationalError:
        return False
    return True


BODY = sa.type_coerce(texts.c.body, sa.types.NULLTYPE)
"""A text of the table texts as the database has it: of which type it is, `check_text` sees."""


def check_text(sha256: str, body: Any, *, ledger: str) -> bytes:
    """The text of an agent that is kept under this hash.

    Raises:
        LedgerError: it is another; names the row.
    """
    if not isinstance(body, bytes) or hashlib.sha256(body).hexdigest() != sha256:
        raise LedgerError(
            f"{ledger}: a row of the table texts is damaged (its hash is another): put a copy of the ledger of before "
            f"in its place, or leave that text out by DELETE FROM texts WHERE sha256 = '{sha256}'"
        )
    return body
