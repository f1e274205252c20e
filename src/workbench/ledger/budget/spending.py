"""What was spent under a budget, in the ledger, so that it holds over restarts, processes and machines.

A budget has a scope, any text. All that is taken of it, spent or set aside, is one row, which is changed only by a
statement that keeps it within the limit: no two processes can both take the last of it. A process that asks holds a
part as large as the worst case of what it has in flight, and renews it in the transaction in which its attempts are
written. The part of a process that was killed stays taken, since what was in flight may have been billed. What is set
aside for a request in a message batch stands beside that request and lasts until its result is in the ledger, whoever
collects it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from workbench.ledger.budget.limits import NOTHING, Limit, Sum
from workbench.ledger.holders import holder_row, is_over, until
from workbench.ledger.schema import batch_items as _items
from workbench.ledger.schema import budget_holds as _holds
from workbench.ledger.schema import budgets as _budgets

if TYPE_CHECKING:
    from workbench.ledger.store import Ledger

Transaction = sa.Connection
"""A connection to the ledger's database inside a transaction."""

_LONGEST_SECONDS = 1_000_000.0
_MARGIN = timedelta(seconds=60)
_ITEMS_A_QUERY = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """What one run has set aside for its requests in flight."""

    process: int
    since: datetime
    amount: Sum
    is_over: bool
    """Its process has ended without settling it, or nothing of it can be in flight any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A budget as the ledger has it at one moment, seen by one run."""

    limit: Limit
    taken: Sum
    """In all: by this run, by others, spent or set aside."""
    own_hold: Sum
    own_spent: Sum
    holds: tuple[Hold, ...]
    """Of other runs, oldest first."""
    in_batches: Sum
    """Set aside for message batches whose results are to come."""
    unpriced: bool

    @property
    def for_good(self) -> Sum:
        """What no run that is still alive will give back."""
        alive = sum((hold.amount for hold in self.holds if not hold.is_over), self.own_hold)
        return self.taken - alive

    @property
    def spent(self) -> Sum:
        """What is known to be spent, by whomever."""
        return self.taken - sum((hold.amount for hold in self.holds), self.own_hold + self.in_batches)


class Account:
    """The part of its budgets that one run holds. What takes a connection is called in a transaction of the ledger."""

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
        self._written = NOTHING
        self._ready = self._spent = NOTHING
        self._has_rows = False

    def open(self, connection: sa.Connection, *, unpriced: bool) -> tuple[Standing, ...]:
        """Makes the rows of the scopes that have none; where each stands."""
        for limit in self.limits:
            _open_scope(connection, limit.scope)
            if unpriced:
                connection.execute(_budgets.update().where(_budgets.c.scope == limit.scope).values(unpriced=True))
        return self.standings(connection)

    def standings(self, connection: sa.Connection) -> tuple[Standing, ...]:
        """Where each budget stands, seen from this run."""
        return tuple(self._standing(connection, limit) for limit in self.limits)

    def renew(
        self,
        connection: sa.Connection,
        *,
        spent: Sum,
        reserved: Sum,
        wanted: Sequence[Sum],
        frozen: Callable[[], tuple[Sum, Sum]],
    ) -> Sum:
        """Takes what this run has spent and what is wanted now beside what is reserved, and goes on holding as much as
        was ever in flight, so that one request can follow another without a transaction of its own.

        Where that does not fit, it gives back what it does not need: `frozen` then ends all reserving until this is
        committed, and says what is spent and reserved. The result is what this run has taken in all.
        """
        ready = self._ready.at_least(sum(wanted, reserved))
        if not self._take(connection, spent + ready - self._written):
            spent, reserved = frozen()
            ready = reserved
            room = self._room(connection)
            for want in wanted:
                if room(spent + ready + want - self._written):
                    ready = ready + want
            # What is spent and in flight is a fact, even where a server counted more than the worst case.
            self._take(connection, spent + ready - self._written, forced=True)
        self._ready, self._spent = ready, spent
        self._written = spent + ready
        self._hold(connection, ready)
        return self._written

    def close(self, connection: sa.Connection, *, spent: Sum) -> None:
        """Gives back all that was not spent; what is wanted later is taken anew."""
        self._take(connection, spent - self._written, forced=True)
        self._written = spent
        connection.execute(_holds.delete().where(_holds.c.holder == self._holder))
        self._ready = NOTHING
        self._has_rows = False

    def set_aside(self, connection: sa.Connection, amounts: Mapping[str, Sum]) -> bool:
        """Takes the worst case of requests that are in an unsent batch, by key; False, and nothing: it does not fit."""
        if not self._take(connection, sum(amounts.values(), NOTHING)):
            return False
        scopes = json.dumps([limit.scope for limit in self.limits])
        rows = [
            {"of": key, "scopes": scopes, "tokens": amount.tokens, "picousd": amount.picousd}
            for key, amount in amounts.items()
        ]
        connection.execute(_items.update().where(_items.c.key == sa.bindparam("of")), rows)
        return True

    def _standing(self, connection: sa.Connection, limit: Limit) -> Standing:
        found = connection.execute(_STANDING, {"scope": limit.scope}).one()
        held = sa.select(_holds).where(_holds.c.scope == limit.scope).order_by(_holds.c.since, _holds.c.holder)
        rows = list(connection.execute(held).mappings())
        quoted = "%" + json.dumps(limit.scope).replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%"
        tokens, picousd = connection.execute(
            sa.select(sa.func.sum(_items.c.tokens), sa.func.sum(_items.c.picousd)).where(
                _items.c.scopes.like(quoted, escape="\\")
            )
        ).one()
        return Standing(
            limit=limit,
            taken=Sum(tokens=found.tokens, picousd=found.picousd),
            own_spent=self._spent,
            own_hold=sum((_read_hold(row).amount for row in rows if row["holder"] == self._holder), NOTHING),
            holds=tuple(_read_hold(row) for row in rows if row["holder"] != self._holder),
            in_batches=Sum(tokens=int(tokens or 0), picousd=int(picousd or 0)),
            unpriced=found.unpriced,
        )

    def _room(self, connection: sa.Connection) -> Callable[[Sum], bool]:
        """Whether so much more fits under every limit; holds until the end of the transaction."""
        found = []
        for limit in self.limits:
            _change(connection, Limit(scope=limit.scope), NOTHING)  # locks the row where a database locks rows
            row = connection.execute(_STANDING, {"scope": limit.scope}).one()
            found.append((limit, Sum(tokens=row.tokens, picousd=row.picousd)))
        return lambda more: all(limit.allows(taken + more) for limit, taken in found)

    def _take(self, connection: sa.Connection, change: Sum, *, forced: bool = False) -> bool:
        """Changes what is taken under every scope, or under none."""
        if change == NOTHING:
            return True
        for position, limit in enumerate(self.limits):
            bounded = Limit(scope=limit.scope) if forced else limit
            if _change(connection, bounded, change):
                continue
            for done in self.limits[:position]:
                _change(connection, Limit(scope=done.scope), NOTHING - change)
            return False
        return True

    def _hold(self, connection: sa.Connection, amount: Sum) -> None:
        if self._has_rows:
            values = {
                "of": self._holder,
                "then": until(self._lasts),
                "now_tokens": amount.tokens,
                "now_picousd": amount.picousd,
            }
            connection.execute(_RENEWED, values)
            return
        rows = [
            {
                "holder": self._holder,
                "scope": limit.scope,
                "since": self._since,
                **holder_row(self._lasts),
                "tokens": amount.tokens,
                "picousd": amount.picousd,
            }
            for limit in self.limits
        ]
        connection.execute(_holds.insert(), rows)
        self._has_rows = True


def settle_items(connection: sa.Connection, keys: Iterable[str], taken: Callable[[str], Sum | None]) -> None:
    """Settles what is set aside for these requests of batches, whose items are about to be deleted in the same
    transaction: `taken` gives what one of them took, `None` where that is not known and its worst case is spent.
    """
    wanted = list(keys)
    changes: dict[str, Sum] = {}
    for start in range(0, len(wanted), _ITEMS_A_QUERY):
        part = _items.c.key.in_(wanted[start : start + _ITEMS_A_QUERY])
        # Written to before it is read, so that no other process settles the same items in between.
        connection.execute(_items.update().where(part).values(batch=_items.c.batch))
        rows = connection.execute(
            sa.select(_items.c.key, _items.c.scopes, _items.c.tokens, _items.c.picousd).where(
                part, _items.c.scopes.is_not(None)
            )
        )
        for key, scopes, tokens, picousd in rows:
            found = taken(key)
            if found is None:
                continue
            change = found - Sum(tokens=tokens, picousd=picousd)
            for scope in json.loads(scopes):
                changes[scope] = changes.get(scope, NOTHING) + change
    for scope in sorted(changes):
        _change(connection, Limit(scope=scope), changes[scope])


def _stricter(one: Limit, other: Limit) -> Limit:
    def least(*limits: int | None) -> int | None:
        return min((limit for limit in limits if limit is not None), default=None)

    return replace(one, tokens=least(one.tokens, other.tokens), picousd=least(one.picousd, other.picousd))


def _open_scope(connection: sa.Connection, scope: str) -> None:
    if connection.execute(_STANDING, {"scope": scope}).first() is not None:
        return
    try:
        with connection.begin_nested():
            connection.execute(_budgets.insert().values(scope=scope, tokens=0, picousd=0, unpriced=False))
    except sa.exc.IntegrityError:
        return  # another process has just made it


def _change(connection: sa.Connection, limit: Limit, change: Sum) -> bool:
    """Adds to what is taken under a scope unless it grows past the limit; one statement, so that nobody comes between
    the check and the change."""
    bounds = (limit.tokens is not None and change.tokens > 0, limit.picousd is not None and change.picousd > 0)
    values = {"of": limit.scope, "more_tokens": change.tokens, "more_picousd": change.picousd}
    if bounds[0]:
        values["most_tokens"] = limit.tokens
    if bounds[1]:
        values["most_picousd"] = limit.picousd
    return bool(connection.execute(_CHANGES[bounds], values).rowcount)


def _read_hold(row: sa.RowMapping) -> Hold:
    return Hold(
        process=row["process"],
        since=datetime.fromisoformat(row["since"]),
        amount=Sum(tokens=row["tokens"], picousd=row["picousd"]),
        is_over=is_over(process=row["process"], machine=row["machine"], until=row["until"]),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


_STANDING = sa.select(_budgets.c.tokens, _budgets.c.picousd, _budgets.c.unpriced).where(
    _budgets.c.scope == sa.bindparam("scope")
)
_MORE_TOKENS = _budgets.c.tokens + sa.bindparam("more_tokens", type_=sa.BigInteger)
_MORE_PICOUSD = _budgets.c.picousd + sa.bindparam("more_picousd", type_=sa.BigInteger)
_CHANGED = (
    _budgets.update().where(_budgets.c.scope == sa.bindparam("of")).values(tokens=_MORE_TOKENS, picousd=_MORE_PICOUSD)
)
_IN_TOKENS = sa.bindparam("most_tokens", type_=sa.BigInteger) >= _MORE_TOKENS
_IN_PICOUSD = sa.bindparam("most_picousd", type_=sa.BigInteger) >= _MORE_PICOUSD
_CHANGES = {
    (False, False): _CHANGED,
    (True, False): _CHANGED.where(_IN_TOKENS),
    (False, True): _CHANGED.where(_IN_PICOUSD),
    (True, True): _CHANGED.where(_IN_TOKENS, _IN_PICOUSD),
}
_RENEWED = (
    _holds.update()
    .where(_holds.c.holder == sa.bindparam("of"))
    .values(
        until=sa.bindparam("then"),
        tokens=sa.bindparam("now_tokens", type_=sa.BigInteger),
        picousd=sa.bindparam("now_picousd", type_=sa.BigInteger),
    )
)
