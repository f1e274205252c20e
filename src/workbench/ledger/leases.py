"""Who asks for what, so that two runs at the same time never both ask, and pay, for the same.

A run takes a lease on the keys of all that it is about to ask for. What another run has leased is waited for, and taken
from the ledger when it has come. A lease ends when its run gives it back, when its process has ended, or when it was
not renewed in time: then whoever waited asks.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from workbench.ledger.budget.limits import Spent
from workbench.ledger.file import KEYS_A_QUERY
from workbench.ledger.holders import holder_row, is_over, until
from workbench.ledger.schema import about as _about
from workbench.ledger.schema import askers as _askers
from workbench.ledger.schema import claims as _claims

LASTS = timedelta(seconds=60)
RENEWED_EVERY_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """What another run has set aside of a budget for its requests in flight."""

    process: int
    since: datetime
    amount: Spent
    is_over: bool
    """Its process has ended without settling it, or nothing of it can be in flight any more."""


class Leases:
    """The keys that one run has leased. What takes a connection is called in a transaction of the ledger."""

    def __init__(self) -> None:
        self._holder = uuid.uuid4().hex
        self.is_empty = True

    def take(self, connection: sa.Connection, keys: Collection[str]) -> frozenset[str]:
        """Leases those of the keys that nobody else has leased; the others."""
        # Written to before anything is read, so that no other process leases in between.
        connection.execute(_about.update().values(schema_version=_about.c.schema_version))
        theirs = leased_by_others(connection, keys, self._holder)
        _end(connection, [self._holder])
        rows = [{"key": key, "holder": self._holder} for key in keys if key not in theirs]
        if rows:
            connection.execute(_askers.insert().values(holder=self._holder, **holder_row(LASTS)))
            connection.execute(_claims.insert(), rows)
        self.is_empty = not rows
        return theirs

    def renew(self, connection: sa.Connection) -> None:
        """They last from now."""
        connection.execute(_askers.update().where(_askers.c.holder == self._holder).values(until=until(LASTS)))

    def give_back(self, connection: sa.Connection, keys: Collection[str] | None = None) -> None:
        """Ends the lease on these keys, or on all."""
        if keys is None:
            _end(connection, [self._holder])
            self.is_empty = True
        else:
            for part in _parts(keys):
                connection.execute(_claims.delete().where(_claims.c.holder == self._holder, _claims.c.key.in_(part)))


def leased_by_others(connection: sa.Connection, keys: Collection[str], holder: str = "") -> frozenset[str]:
    """Those of the keys that a run is asking for which is still at work and is not this one. The leases of runs that
    are over end."""
    found: dict[str, list[str]] = {}
    for part in _parts(keys):
        rows = connection.execute(sa.select(_claims.c.key, _claims.c.holder).where(_claims.c.key.in_(part)))
        for key, by in rows:
            found.setdefault(by, []).append(key)
    found.pop(holder, None)
    at_work = {
        row["holder"]
        for row in connection.execute(sa.select(_askers).where(_askers.c.holder.in_(list(found)))).mappings()
        if not is_over(process=row["process"], machine=row["machine"], until=row["until"])
    }
    _end(connection, [by for by in found if by not in at_work])
    return frozenset(key for by in at_work for key in found[by])


def _end(connection: sa.Connection, holders: Sequence[str]) -> None:
    if holders:
        connection.execute(_claims.delete().where(_claims.c.holder.in_(holders)))
        connection.execute(_askers.delete().where(_askers.c.holder.in_(holders)))


def _parts(keys: Collection[str]) -> Iterator[Sequence[str]]:
    of_all = list(keys)
    return (of_all[start : start + KEYS_A_QUERY] for start in range(0, len(of_all), KEYS_A_QUERY))
