"""What one run may still reserve without asking the ledger: its side of a budget, kept in memory.

Three counts, of which the first two are the run's own and the third is what the ledger has confirmed:

    spent       of calls that are settled
    reserved    the worst case of calls that are in flight
    granted     what this run has taken in the ledger, by the last transaction that is committed

At any moment, in any thread: `spent + reserved <= granted`. A server that counts more than the worst case is the one
way past it: what it counted is a fact, and the next transaction takes it. Without a ledger there is nothing to ask, and
the limits themselves stand where `granted` stands.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.ledger.budget.limits import NOTHING, Limit, Spent


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """Where an allowance stands at one moment."""

    spent: Spent
    reserved: Spent
    wanted: tuple[Spent, ...]
    """The worst cases of calls that found no room and wait for the ledger to grant more."""


class Allowance:
    """Counts what a run spends and reserves. From any thread: those that call reserve and settle, that of the ledger
    grants."""

    def __init__(self, limits: Sequence[Limit], *, from_ledger: bool) -> None:
        self._limits = limits
        self._from_ledger = from_ledger
        self._spent = self._reserved = self._granted = NOTHING
        self._wanted: dict[int, Spent] = {}
        self._lock = threading.Lock()

    @property
    def position(self) -> Position:
        with self._lock:
            return self._position()

    def reserve(self, most: Spent) -> bool:
        """Sets this worst case aside; False, and nothing: there is no room for it now."""
        with self._lock:
            beside = self._spent + self._reserved + most
            fits = (
                beside.within(self._granted)
                if self._from_ledger
                else all(limit.allows(beside) for limit in self._limits)
            )
            if fits:
                self._reserved += most
            return fits

    def settle(self, most: Spent, taken: Spent) -> None:
        """Puts what a call took in the place of its worst case."""
        with self._lock:
            self._reserved -= most
            self._spent += taken

    def want(self, number: int, most: Spent) -> None:
        """The next transaction of the ledger tries to take this much more, until `want_no_more`."""
        with self._lock:
            self._wanted[number] = most

    def want_no_more(self, number: int) -> None:
        with self._lock:
            del self._wanted[number]

    def freeze(self) -> Position:
        """Ends all reserving beyond what is reserved now, until the next `grant`; where it stands.

        The ledger's thread calls it in a transaction that gives back what this run does not need. Between there and
        the commit another call could reserve, in memory, just what is being given away.
        """
        with self._lock:
            self._granted = self._spent + self._reserved
            return self._position()

    def grant(self, taken: Spent) -> None:
        """So much is taken in the ledger now. Called when the transaction is committed, and never before."""
        with self._lock:
            self._granted = taken

    def _position(self) -> Position:
        return Position(spent=self._spent, reserved=self._reserved, wanted=tuple(self._wanted.values()))
