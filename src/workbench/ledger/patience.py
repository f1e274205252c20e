"""Waiting for a database that is locked or gone: for how long, what is said meanwhile, and what ends the wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import sqlalchemy as sa

from workbench.errors import LedgerError
from workbench.ledger.trouble import Trouble, trouble_of

T = TypeVar("T")
What = Literal["opened", "read", "written"]

_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Waits:
    """How long a ledger that is locked or gone is waited for."""

    seconds: float = 60.0
    """From the moment that it is; then what came back is kept in a file beside it."""
    said_after_seconds: float = 2.0
    """When it is said that somebody waits, and for what."""
    asleep_seconds: float = 10.0
    """After so long PostgreSQL ends a transaction in which nothing happens; whoever began it does it again."""


USUAL = Waits()


class Patience:
    """Does again what a database refused, as long as that may help. From any thread."""

    def __init__(self, ledger: str, *, is_file: bool, waits: Waits = USUAL) -> None:
        self._waits = waits
        self.waits_for = ""
        """What it is waiting for at this moment; empty: for nothing."""
        self._ledger = ledger
        self._is_file = is_file
        self._since: float | None = None
        self._given_up = threading.Event()
        self._lock = threading.Lock()

    def give_up(self) -> None:
        """Nobody waits any more, until the database does what it is asked for again."""
        self._given_up.set()

    def until_done(self, work: Callable[[], T], what: What) -> T:
        """What `work` returns, which is called until the database lets it.

        Raises:
            LedgerError: it would not help to try again, or it waited as long as it may since the first that failed.
        """
        wait = _FIRST_WAIT_SECONDS
        while True:
            began = time.monotonic()
            try:
                result = work()
            except sa.exc.SQLAlchemyError as error:
                trouble = trouble_of(error, is_file=self._is_file)
                # A server that is not there when a run begins costs nothing: to wait would only hide the mistake.
                may_pass = trouble.may_pass and not (what == "opened" and trouble.kind == "gone")
                seconds = self._seconds_of_trouble(began) if may_pass else 0.0
                if not may_pass or seconds >= self._waits.seconds or self._given_up.is_set():
                    self.waits_for = ""
                    raise self._error(trouble, what, seconds) from error
                self._say(trouble, seconds)
                self._given_up.wait(wait)
                wait = min(wait * 1.5, _LONGEST_WAIT_SECONDS)
            else:
                with self._lock:
                    self._since, self.waits_for = None, ""
                self._given_up.clear()
                return result

    def _seconds_of_trouble(self, began: float) -> float:
        """Since the first that failed began, whoever's that was: what comes later has no patience of its own."""
        with self._lock:
            if self._since is None:
                self._since = began
            return time.monotonic() - self._since

    def _say(self, trouble: Trouble, seconds: float) -> None:
        with self._lock:
            if self.waits_for or seconds < self._waits.said_after_seconds:
                return
            self.waits_for = f"the ledger ({trouble.kind}: {trouble.said})"
        print(
            f"{self._ledger}: waiting for the ledger, up to {self._waits.seconds:g} seconds: {trouble.said}; "
            f"{trouble.advice}. An interrupt ends the wait.",
            flush=True,
        )

    def _error(self, trouble: Trouble, what: What, seconds: float) -> LedgerError:
        waited = f" for {seconds:.0f} seconds" if seconds >= 1 else ""
        return LedgerError(
            f"{self._ledger}: the ledger could not be {what}{waited}: {trouble.said}; {trouble.advice}, or name "
            "another ledger in WORKBENCH_LEDGER, then run the same again: what it holds is not asked for twice"
        )
