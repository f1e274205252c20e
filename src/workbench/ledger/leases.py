"""Who asks for what, so that two runs at the same time never both ask, and pay, for the same.

A run takes a lease on the keys of all that it is about to ask for, as streams or in batches. What another run has
leased is waited for, and taken from the ledger when it has come. A key is in one place at most: under a lease, or, once
a batch that holds it is about to be sent, among the items of that batch, which last until its result is there.

    free --- take ---> leased --- batch is intended ---> in a batch --- result is in the ledger ---> free
     ^                   |
     '-- given back, process has ended, or not renewed in time

A process that slept or could not reach the ledger may have lost its lease without a word: somebody else asks then. So
it confirms its lease before each request that it sends, which takes a transaction only where it is not sure.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import sqlalchemy as sa

from workbench.errors import LedgerError
from workbench.ledger.budget.limits import Spent
from workbench.ledger.file import KEYS_A_QUERY
from workbench.ledger.holders import is_over, lasting, moment, this_process
from workbench.ledger.rows import read_rows
from workbench.ledger.schema import askers as _askers
from workbench.ledger.schema import batch_items as _items
from workbench.ledger.schema import claims as _claims
from workbench.ledger.schema import one_after_the_other
from workbench.ledger.sharing import USUAL, Sharing
from workbench.ledger.store import Ledger


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """What another run has set aside of a budget for its requests in flight."""

    process: int
    since: datetime
    set_aside: Spent
    is_over: bool
    """Its process has ended without settling it, or nothing of it can be in flight any more."""


class LeaseLost(Exception):
    """Somebody else may be asking for what this run had leased: it takes its lease anew before it sends anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Elsewhere:
    """What a run wanted to lease and did not get."""

    leased: frozenset[str] = frozenset()
    """Another run is asking for it."""
    in_batches: frozenset[str] = frozenset()
    """It is on its way in a batch, whoever sent it."""

    @property
    def keys(self) -> frozenset[str]:
        return self.leased | self.in_batches


class Leases:
    """The keys that one run has leased in a ledger. For one event loop."""

    def __init__(self, ledger: Ledger, sharing: Sharing = USUAL) -> None:
        self._ledger = ledger
        self._sharing = sharing
        self._holder = uuid.uuid4().hex
        self._renewed = _Instant.now()
        self.is_lost = False
        """Somebody else may be asking for what this run had leased."""
        self.is_empty = True

    async def take(self, keys: Collection[str]) -> Elsewhere:
        """Leases those of the keys that are free, and no others any more; those that are not.

        Whatever was answered before this returns is in the ledger: read there before anything is sent.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        before = _Instant.now()  # the lease may last from the first moment of the transaction on, and no longer
        elsewhere = await self._ledger.transact(partial(self._take, keys=keys))
        self._renewed, self.is_lost = before, False
        self.is_empty = elsewhere.keys >= set(keys)
        return elsewhere

    async def confirm(self) -> None:
        """Returns if the lease surely lasts while a request is sent.

        Raises:
            LeaseLost: it does not; somebody else may be asking.
            LedgerError: the ledger cannot be written, so nobody knows.
        """
        if not self.is_empty and (self.is_lost or self._renewed.seconds_ago > self._sharing.sure_seconds):
            await self.renew()
        if self.is_lost:
            raise LeaseLost

    async def renew(self) -> None:
        """It lasts from now; where it is gone, `confirm` says so from now on.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        before = _Instant.now()
        if self.is_lost or not await self._ledger.transact(self._renew):
            self.is_lost = True
        else:
            self._renewed = before

    async def give_back(self, keys: Collection[str] | None = None) -> None:
        """Ends the lease on these keys, or on all.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        if self.is_empty:
            return
        await self._ledger.transact(partial(self._give_back, keys=keys))
        self.is_empty = keys is None

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renews the lease as long as this lasts."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(self._sharing.renewed_every_seconds)
                if not self.is_empty:
                    with suppress(LedgerError):  # then `confirm` finds it too old
                        await self.renew()

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()

    def put_into_batch(self, connection: sa.Connection, keys: Collection[str]) -> bool:
        """In the transaction that makes these keys items of a batch: they are those from now on, and under no lease.
        False, and nothing: another run has leased one of them."""
        one_after_the_other(connection)
        if _leased_by_others(connection, keys, self._holder):
            return False
        self._give_back(connection, keys)
        return True

    def _take(self, connection: sa.Connection, keys: Collection[str]) -> Elsewhere:
        one_after_the_other(connection)
        in_batches = frozenset(
            key
            for part in _parts(keys)
            for key in connection.scalars(sa.select(_items.c.key).where(_items.c.key.in_(part)))
        )
        leased = _leased_by_others(connection, keys, self._holder)
        # What it had goes first: a key that is not among these would else stay leased, and nobody would ask for it.
        _end(connection, [self._holder])
        rows = [{"key": key, "holder": self._holder} for key in keys if key not in leased and key not in in_batches]
        if rows:
            values = {"holder": self._holder, **this_process(), **lasting(connection, self._sharing.lasts)}
            connection.execute(_askers.insert().values(values))
            connection.execute(_claims.insert(), rows)
        return Elsewhere(leased=leased, in_batches=in_batches)

    def _renew(self, connection: sa.Connection) -> bool:
        own = _askers.c.holder == self._holder
        until = lasting(connection, self._sharing.lasts)
        return bool(connection.execute(_askers.update().where(own).values(until)).rowcount)

    def _give_back(self, connection: sa.Connection, keys: Collection[str] | None) -> None:
        if keys is None:
            _end(connection, [self._holder])
            return
        for part in _parts(keys):
            connection.execute(_claims.delete().where(_claims.c.holder == self._holder, _claims.c.key.in_(part)))


def _leased_by_others(connection: sa.Connection, keys: Collection[str], holder: str) -> frozenset[str]:
    """Those of the keys that a run has leased which is still at work and is not this one. The leases of runs that are
    over end."""
    found: dict[str, list[str]] = {}
    for part in _parts(keys):
        for row in read_rows(connection, sa.select(_claims).where(_claims.c.key.in_(part))):
            found.setdefault(row["holder"], []).append(row["key"])
    found.pop(holder, None)
    if not found:
        return frozenset()
    at_work = _at_work(connection, list(found))
    _end(connection, [by for by in found if by not in at_work])
    return frozenset(key for by in at_work for key in found[by])


def _at_work(connection: sa.Connection, holders: Sequence[str]) -> set[str]:
    now = moment(connection)
    rows = read_rows(connection, sa.select(_askers).where(_askers.c.holder.in_(holders)))
    if len(rows) < len(holders):
        read_rows(connection, sa.select(_askers))  # one of all may be theirs, and not say so any more
    return {row["holder"] for row in rows if not is_over(row, now)}


def _end(connection: sa.Connection, holders: Sequence[str]) -> None:
    if holders:
        connection.execute(_claims.delete().where(_claims.c.holder.in_(holders)))
        connection.execute(_askers.delete().where(_askers.c.holder.in_(holders)))


def _parts(keys: Collection[str]) -> Iterator[Sequence[str]]:
    of_all = list(keys)
    return (of_all[start : start + KEYS_A_QUERY] for start in range(0, len(of_all), KEYS_A_QUERY))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Instant:
    """A moment by both clocks of this machine: the one that stands still while it sleeps, and the one that jumps."""

    monotonic: float
    wall: float

    @classmethod
    def now(cls) -> _Instant:
        return cls(monotonic=time.monotonic(), wall=time.time())

    @property
    def seconds_ago(self) -> float:
        """By the clock that says more: to think that less time has passed than for others is to pay twice."""
        now = _Instant.now()
        return max(now.monotonic - self.monotonic, now.wall - self.wall)
