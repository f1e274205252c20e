"""Waiting for a database that is locked or gone: for how long, what is said meanwhile, and what ends the wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal, TypeVar

import sqlalchemy as sa

from workbench.errors import LedgerError
from workbench.ledger.trouble import Trouble, trouble_of

T = TypeVar("T")
What = Literal["opened", "read", "written"]

PATIENCE_SECONDS = 60.0
"""How long a ledger that is locked or gone is waited for, from the moment that it is; then what came back is kept in a
file beside it."""
SAID_AFTER_SECONDS = 2.0
_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 1.0


class Patience:
    """Does again what a database refused, as long as that may help. From any thread."""

    def __init__(self, ledger: str, *, is_file: bool) -> None:
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
            LedgerError: it would not help to try again, or `PATIENCE_SECONDS` have passed since the first that failed.
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
                if not may_pass or seconds >= PATIENCE_SECONDS or self._given_up.is_set():
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
            if self.waits_for or seconds < SAID_AFTER_SECONDS:
                return
            self.waits_for = f"the ledger ({trouble.kind}: {trouble.said})"
        print(
            f"{self._ledger}: waiting for the ledger, up to {PATIENCE_SECONDS:g} seconds: {trouble.said}; "
            f"{trouble.advice}. An interrupt ends the wait.",
            flush=True,
        )

    def _error(self, trouble: Trouble, what: What, seconds: float) -> LedgerError:
        waited = f" for {seconds:.0f} seconds" if seconds >= 1 else ""
        return LedgerError(
            f"{self._ledger}: the ledger could not be {what}{waited}: {trouble.said}; {trouble.advice}, or name "
            "another ledger in WORKBENCH_LEDGER, then run the same again: what it holds is not asked for twice"
        )
