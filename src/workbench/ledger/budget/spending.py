"""What was spent under a budget, in the ledger, so that it holds over restarts, processes and machines.

A budget has a scope, any text. All that is taken of it is one row, which is changed only by a statement that keeps it
within the limit: no two processes can both take the last of it. What it holds, at every commit:

    taken  =  what all runs have spent
            + the leases of runs (`budget_holds`): at least the worst case of what each has in flight
            + what is set aside for requests in message batches (`batch_items`)
    taken <= limit

A run renews its lease in the transaction in which its attempts are written. The lease of a process that was killed
stays taken, since what was in flight may have been billed. What is set aside for a request in a message batch stands
beside that request and lasts until its result is in the ledger, whoever collects it.

There are two accounts of it: this one, and that of the run in memory (`allowance.py`), which may reserve without a
transaction as long as it stays within what was last committed here.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from workbench.errors import LedgerError
from workbench.ledger.budget.allowance import Allowance
from workbench.ledger.budget.limits import NOTHING, Limit, Spent
from workbench.ledger.holders import Moment, is_over, lasting, moment, this_process
from workbench.ledger.leases import Lease
from workbench.ledger.rows import is_count, name_of_database, read_rows
from workbench.ledger.schema import batch_items as _items
from workbench.ledger.schema import budget_holds as _leases
from workbench.ledger.schema import budgets as _budgets
from workbench.ledger.store import Ledger

Transaction = sa.Connection
"""A connection to the ledger's database inside a transaction."""

_LONGEST_SECONDS = 1_000_000.0
_MARGIN = timedelta(seconds=60)
_ITEMS_A_QUERY = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A budget as the ledger has it at one moment, seen by one run."""

    limit: Limit
    taken: Spent
    """In all: by this run, by others, spent or set aside."""
    own_lease: Spent
    own_spent: Spent
    leases: tuple[Lease, ...]
    """Of other runs, oldest first."""
    in_batches: Spent
    """Set aside for message batches whose results are to come."""
    unpriced: bool

    @property
    def for_good(self) -> Spent:
        """What no run that is still alive will give back."""
        alive = sum((lease.set_aside for lease in self.leases if not lease.is_over), self.own_lease)
        return self.taken - alive

    @property
    def spent(self) -> Spent:
        """What is known to be spent, by whomever."""
        return self.taken - sum((lease.set_aside for lease in self.leases), self.own_lease + self.in_batches)


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What one run has in the ledger."""

    spent: Spent = NOTHING
    lease: Spent = NOTHING
    """Set aside beside it."""
    has_lease: bool = False
    """There are rows of its lease, be it over nothing."""

    @property
    def taken(self) -> Spent:
        return self.spent + self.lease


class Account:
    """The part of its budgets that one run has taken.

    What takes a connection is called in a transaction of the ledger; what it gives is handed to `committed` once it is
    on disk. Until then it holds in that very transaction only, so that one that was rolled back, or is tried again, has
    never happened.
    """

    def __init__(self, limits: Iterable[Limit], ledger: Ledger, *, deadline_seconds: float) -> None:
        self.ledger = ledger
        by_scope: dict[str, Limit] = {}
        for limit in limits:
            by_scope[limit.scope] = _stricter(by_scope.get(limit.scope, limit), limit)
        # In one order everywhere, so that two processes never wait for each other's rows.
        self.limits = tuple(by_scope[scope] for scope in sorted(by_scope))
        self._lasts = timedelta(seconds=min(deadline_seconds, _LONGEST_SECONDS)) + _MARGIN
        self._holder = uuid.uuid4().hex
        self._since = _now()
        self._written = Written()
        self._uncommitted: tuple[object, Written] = (None, self._written)

    def committed(self, written: Written) -> None:
        """This is on disk now."""
        self._written = written

    def open(self, connection: sa.Connection, *, unpriced: bool) -> tuple[Statement, ...]:
        """Makes the rows of the scopes that have none; where each stands."""
        for limit in self.limits:
            _open_scope(connection, limit.scope)
            if unpriced:
                connection.execute(_budgets.update().where(_budgets.c.scope == limit.scope).values(unpriced=True))
        return self.statements(connection)

    def statements(self, connection: sa.Connection) -> tuple[Statement, ...]:
        """Where each budget stands, seen from this run."""
        return tuple(self._statement(connection, limit) for limit in self.limits)

    def renew(self, connection: sa.Connection, allowance: Allowance) -> Written:
        """Takes what this run has spent, what it has reserved and what is wanted now.

        The lease never shrinks here while it fits: it stays as large as the most that was ever in flight, so that one
        request can follow another without a transaction of its own. Where it does not fit, the run gives back what it
        does not need, and takes of what is wanted as much as there is room for.
        """
        now, before = allowance.position, self._written_until_now(connection)
        spent, lease = now.spent, before.lease.at_least(sum(now.wanted, now.reserved))
        if not self._add(connection, spent + lease - before.taken):
            now = allowance.freeze()
            spent, lease = now.spent, now.reserved
            has_room_for = self._room(connection)
            for want in now.wanted:
                if has_room_for(spent + lease + want - before.taken):
                    lease = lease + want
            # What is spent and in flight is a fact, even where a server counted more than the worst case.
            self._add(connection, spent + lease - before.taken, forced=True)
        self._write_lease(connection, lease, is_new=not before.has_lease)
        return self._in_transaction(connection, Written(spent=spent, lease=lease, has_lease=True))

    def close(self, connection: sa.Connection, allowance: Allowance) -> Written:
        """Gives back all that was not spent; what is wanted later is taken anew."""
        spent = allowance.freeze().spent
        self._add(connection, spent - self._written_until_now(connection).taken, forced=True)
        connection.execute(_leases.delete().where(_leases.c.holder == self._holder))
        return self._in_transaction(connection, Written(spent=spent))

    def set_aside(self, connection: sa.Connection, most: Mapping[str, Spent]) -> bool:
        """Takes the worst case of requests that are in an unsent batch, by key; False, and nothing: it does not fit."""
        if not self._add(connection, sum(most.values(), NOTHING)):
            return False
        scopes = json.dumps([limit.scope for limit in self.limits])
        rows = [
            {"of": key, "scopes": scopes, "tokens": each.tokens, "picousd": each.picousd} for key, each in most.items()
        ]
        connection.execute(_items.update().where(_items.c.key == sa.bindparam("of")), rows)
        return True

    def _in_transaction(self, connection: sa.Connection, written: Written) -> Written:
        self._uncommitted = (connection.get_transaction(), written)
        return written

    def _written_until_now(self, connection: sa.Connection) -> Written:
        # A run that ends may close its account in the same transaction that still writes its last attempts.
        transaction, written = self._uncommitted
        return written if transaction is connection.get_transaction() else self._written

    def _statement(self, connection: sa.Connection, limit: Limit) -> Statement:
        found = _read_budget(connection, limit.scope)
        held = sa.select(_leases).where(_leases.c.scope == limit.scope).order_by(_leases.c.since, _leases.c.holder)
        rows, now = read_rows(connection, held), moment(connection)
        return Statement(
            limit=limit,
            taken=_spent_of(found),
            own_spent=self._written_until_now(connection).spent,
            own_lease=sum((_spent_of(row) for row in rows if row["holder"] == self._holder), NOTHING),
            leases=tuple(_read_lease(row, now) for row in rows if row["holder"] != self._holder),
            in_batches=_set_aside_in_batches(connection, limit.scope),
            unpriced=found["unpriced"],
        )

    def _room(self, connection: sa.Connection) -> Callable[[Spent], bool]:
        """Whether so much more fits under every limit; holds until the end of the transaction."""
        found = []
        for limit in self.limits:
            _change(connection, Limit(scope=limit.scope), NOTHING)  # locks the row where a database locks rows
            found.append((limit, _spent_of(_read_budget(connection, limit.scope))))
        return lambda more: all(limit.allows(taken + more) for limit, taken in found)

    def _add(self, connection: sa.Connection, change: Spent, *, forced: bool = False) -> bool:
        """Adds to what is taken under every scope, or under none."""
        if change == NOTHING:
            return True
        for position, limit in enumerate(self.limits):
            bounded = Limit(scope=limit.scope) if forced else limit
            if _change(connection, bounded, change):
                continue
            # Taken back one by one: to roll back would undo the attempts that stand in the same transaction.
            for done in self.limits[:position]:
                _change(connection, Limit(scope=done.scope), NOTHING - change)
            return False
        return True

    def _write_lease(self, connection: sa.Connection, lease: Spent, *, is_new: bool) -> None:
        values = {"tokens": lease.tokens, "picousd": lease.picousd, **lasting(connection, self._lasts)}
        if not is_new:
            connection.execute(_leases.update().where(_leases.c.holder == self._holder).values(values))
            return
        for limit in self.limits:
            whose = {"holder": self._holder, "scope": limit.scope, "since": self._since, **this_process()}
            connection.execute(_leases.insert().values({**whose, **values}))


def settle_items(connection: sa.Connection, keys: Iterable[str], taken: Callable[[str], Spent | None]) -> None:
    """Settles what is set aside for these requests of batches, whose items are about to be deleted in the same
    transaction: `taken` gives what one of them took, `None` where that is not known and its worst case is spent.
    """
    wanted = list(keys)
    changes: dict[str, Spent] = {}
    for start in range(0, len(wanted), _ITEMS_A_QUERY):
        part = _items.c.key.in_(wanted[start : start + _ITEMS_A_QUERY])
        # Written to before it is read, so that no other process settles the same items in between.
        connection.execute(_items.update().where(part).values(batch=_items.c.batch))
        set_aside = sa.select(_items.c.key, _items.c.scopes, _items.c.tokens, _items.c.picousd)
        with_budget = set_aside.where(part, _items.c.scopes.is_not(None))
        for row in read_rows(connection, with_budget, filled=("tokens", "picousd")):
            found = taken(row["key"])
            if found is None:
                continue
            change = found - _spent_of(row)
            for scope in json.loads(row["scopes"]):
                changes[scope] = changes.get(scope, NOTHING) + change
    for scope in sorted(changes):
        _change(connection, Limit(scope=scope), changes[scope])


def _stricter(one: Limit, other: Limit) -> Limit:
    def least(*limits: int | None) -> int | None:
        return min((limit for limit in limits if limit is not None), default=None)

    return replace(one, tokens=least(one.tokens, other.tokens), picousd=least(one.picousd, other.picousd))


def _open_scope(connection: sa.Connection, scope: str) -> None:
    if connection.execute(sa.select(sa.literal(1)).where(_budgets.c.scope == scope)).first() is not None:
        return
    read_rows(connection, sa.select(_budgets.c.scope))  # it may be one whose scope cannot be read any more
    try:
        # In a savepoint, for PostgreSQL refuses whatever follows an error in a transaction.
        with connection.begin_nested():
            connection.execute(_budgets.insert().values(scope=scope, tokens=0, picousd=0, unpriced=False))
    except sa.exc.IntegrityError:
        return  # another process has just made it


def _change(connection: sa.Connection, limit: Limit, change: Spent) -> bool:
    """Adds to what is taken under a scope unless it grows past the limit; one statement, so that nobody comes between
    the check and the change.

    Raises:
        LedgerError: what is taken there is no count.
    """
    bounds = (limit.tokens is not None and change.tokens > 0, limit.picousd is not None and change.picousd > 0)
    values = {"of": limit.scope, "more_tokens": change.tokens, "more_picousd": change.picousd}
    if bounds[0]:
        values["most_tokens"] = limit.tokens
    if bounds[1]:
        values["most_picousd"] = limit.picousd
    if connection.execute(_CHANGES[bounds], values).rowcount:
        return True
    read_rows(connection, _of_scope(limit.scope))
    return False


def _of_scope(scope: str) -> sa.Select[Any]:
    return sa.select(_budgets).where(_budgets.c.scope == scope)


def _read_budget(connection: sa.Connection, scope: str) -> sa.RowMapping:
    for row in read_rows(connection, _of_scope(scope)):
        return row
    raise LedgerError(
        f"{name_of_database(connection.engine.url)}: the table budgets has no row of the scope {scope!r} any more, so "
        "what is spent of it is not known: put a copy of the ledger of before in its place, or run the same again to "
        "begin that budget anew with nothing spent"
    )


def _set_aside_in_batches(connection: sa.Connection, scope: str) -> Spent:
    quoted = "%" + json.dumps(scope).replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%"
    of_scope = _items.c.scopes.like(quoted, escape="\\")
    tokens, picousd, others = connection.execute(_SET_ASIDE.where(of_scope)).one()
    if others:
        names_it = sa.select(_items.c.key, _items.c.tokens, _items.c.picousd).where(of_scope)
        read_rows(connection, names_it, filled=("tokens", "picousd"))
    return Spent(tokens=int(tokens or 0), picousd=int(picousd or 0))


def _read_lease(row: sa.RowMapping, now: Moment) -> Lease:
    return Lease(
        process=row["process"],
        since=datetime.fromisoformat(row["since"]),
        set_aside=_spent_of(row),
        is_over=is_over(row, now),
    )


def _spent_of(row: sa.RowMapping) -> Spent:
    return Spent(tokens=row["tokens"], picousd=row["picousd"])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


_ARE_COUNTS = sa.and_(is_count(_items.c.tokens), is_count(_items.c.picousd))
_SET_ASIDE = sa.select(
    sa.func.sum(sa.case((_ARE_COUNTS, _items.c.tokens))),
    sa.func.sum(sa.case((_ARE_COUNTS, _items.c.picousd))),
    sa.func.count() - sa.func.count(sa.case((_ARE_COUNTS, 1))),
)
"""Tokens and money, added up by the database: there may be 100,000 requests in a batch. And how many of the rows do
not say what is set aside."""
_MORE_TOKENS = _budgets.c.tokens + sa.bindparam("more_tokens", type_=sa.BigInteger)
_MORE_PICOUSD = _budgets.c.picousd + sa.bindparam("more_picousd", type_=sa.BigInteger)
_CHANGED = (
    _budgets.update()
    .where(_budgets.c.scope == sa.bindparam("of"), is_count(_budgets.c.tokens), is_count(_budgets.c.picousd))
    .values(tokens=_MORE_TOKENS, picousd=_MORE_PICOUSD)
)
"""What is no count is left as it is: a text would be counted as nothing, and be one no more."""
_IN_TOKENS = sa.bindparam("most_tokens", type_=sa.BigInteger) >= _MORE_TOKENS
_IN_PICOUSD = sa.bindparam("most_picousd", type_=sa.BigInteger) >= _MORE_PICOUSD
_CHANGES = {
    (False, False): _CHANGED,
    (True, False): _CHANGED.where(_IN_TOKENS),
    (False, True): _CHANGED.where(_IN_PICOUSD),
    (True, True): _CHANGED.where(_IN_TOKENS, _IN_PICOUSD),
}
