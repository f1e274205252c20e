"""The message batches that are on their way: which requests they hold, and what the API calls them.

One request is in one open batch at most, whoever sends it. What is set aside of a budget for a request in a batch
stands beside it here, and is settled by whoever notes that its result is in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from workbench.ledger.budget.limits import NOTHING, Spent
from workbench.ledger.budget.spending import settle_items
from workbench.ledger.file import KEYS_A_QUERY
from workbench.ledger.leases import Leases
from workbench.ledger.rows import damaged, read_rows
from workbench.ledger.schema import batch_items as _items
from workbench.ledger.schema import batches as _batches
from workbench.ledger.store import Ledger


@dataclass(frozen=True, kw_only=True)
class OpenBatch:
    """A message batch of which some results are not in the ledger yet."""

    number: int
    """Its number in this ledger."""
    batch_id: str | None
    """`None`: it may have been created, but what the API called it was never saved."""
    at: datetime
    """When it was about to be sent."""
    size: int
    """How many requests it was sent with."""
    keys: frozenset[str]
    """Those whose results are still to come; also their custom ids."""


class _Declined(Exception):
    """What is done beside noting a batch cannot be done: nothing is noted."""


def intend_batch(
    ledger: Ledger,
    keys: Collection[str],
    *,
    endpoint: str,
    leases: Leases | None = None,
    also: Callable[[sa.Connection], bool] | None = None,
) -> int | None:
    """Notes that a batch of these requests is about to be sent, and gives its number in this ledger.

    `None`, and nothing is noted, if one of them is in an open batch already, or leased by another run than that of
    `leases`, or if what is done `also`, in the same transaction, returns False. Without `leases` it does not matter
    who else is asking. Durable when it returns.
    """
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    intended = _batches.insert().values(place=endpoint, at=at, size=len(keys))

    def work(connection: sa.Connection) -> int:
        if leases is not None and not leases.put_into_batch(connection, keys):
            raise _Declined
        number = int(next(iter(connection.execute(intended).inserted_primary_key or ())))
        rows = [{"key": key, "batch": number} for key in sorted(keys)]
        for start in range(0, len(rows), KEYS_A_QUERY):
            _insert_items(connection, rows[start : start + KEYS_A_QUERY])
        if also is not None and not also(connection):
            raise _Declined
        return number

    try:
        return ledger.change(work)
    except _Declined:
        return None


def _insert_items(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    try:
        # As values: psycopg complains aloud of a conflict in many executions.
        connection.execute(_items.insert().values(rows))
    except sa.exc.IntegrityError:
        raise _Declined from None  # one of them is in an open batch


def name_batch(ledger: Ledger, number: int, batch_id: str) -> None:
    """Keeps what the API calls a batch."""
    named = _batches.update().where(_batches.c.number == number).values(batch_id=batch_id)
    ledger.change(lambda connection: connection.execute(named))


def drop_batch(ledger: Ledger, number: int) -> None:
    """Forgets a batch that was never created; its requests may be sent again, and what was set aside for them is
    given back. One that has a name is kept."""
    unnamed = _batches.delete().where(_batches.c.number == number, _batches.c.batch_id.is_(None))

    def work(connection: sa.Connection) -> None:
        if connection.execute(unnamed).rowcount:
            items = read_rows(connection, sa.select(_items.c.key).where(_items.c.batch == number))
            settle_items(connection, [item["key"] for item in items], lambda _: NOTHING)
            connection.execute(_items.delete().where(_items.c.batch == number))

    ledger.change(work)


def close_batch_items(
    ledger: Ledger, keys: Iterable[str], taken: Callable[[str], Spent | None] = lambda _: None
) -> None:
    """Notes that the results of these requests are in the ledger; a batch is open while it has others.

    `taken` gives what one of them took of the budget in which it was set aside; `None`: its worst case.
    """
    wanted = list(keys)

    def work(connection: sa.Connection) -> None:
        settle_items(connection, wanted, taken)
        for start in range(0, len(wanted), KEYS_A_QUERY):
            part = wanted[start : start + KEYS_A_QUERY]
            connection.execute(_items.delete().where(_items.c.key.in_(part)))

    ledger.change(work)


def find_open_batches(ledger: Ledger, *, endpoint: str) -> tuple[OpenBatch, ...]:
    """The batches at this endpoint that have results to come, oldest first.

    Raises:
        LedgerError: the ledger cannot be read, or a row of a batch or of its requests, be it of another endpoint, is
            not what was written.
    """
    keys: dict[int, set[str]] = {}
    rows: dict[int, sa.RowMapping] = {}
    for row in ledger.read(_open_items):
        if row["place"] == endpoint:
            rows[row["number"]] = row
            keys.setdefault(row["number"], set()).add(row["key"])
    return tuple(
        OpenBatch(
            number=number,
            batch_id=row["batch_id"],
            at=datetime.fromisoformat(row["at"]),
            size=row["size"],
            keys=frozenset(keys[number]),
        )
        for number, row in rows.items()
    )


def _open_items(connection: sa.Connection) -> Sequence[sa.RowMapping]:
    """Each request that is in an open batch, and that batch; oldest first."""
    in_none = _items.c.batch.not_in(sa.select(_batches.c.number)) | _items.c.batch.is_(None)
    for row in read_rows(connection, sa.select(_items.c.key, _items.c.batch).where(in_none).limit(1)):
        raise damaged(connection, _items.c.batch, row, f"{row['batch']}, and there is no such batch")
    query = sa.select(_batches, _items.c.key).join(_items, _items.c.batch == _batches.c.number)
    return read_rows(connection, query.order_by(_batches.c.number))


def known_batch_ids(ledger: Ledger, *, endpoint: str) -> frozenset[str]:
    """What the API calls the batches that were ever sent to this endpoint from this ledger.

    Raises:
        LedgerError: the ledger cannot be read, or a row of a batch is not what was written.
    """
    query = sa.select(_batches.c.number, _batches.c.place, _batches.c.batch_id).where(_batches.c.batch_id.is_not(None))
    rows = ledger.read(lambda connection: read_rows(connection, query))
    return frozenset(row["batch_id"] for row in rows if row["place"] == endpoint)
