"""How many requests are in flight at once: more while all is well, fewer when the server is overloaded.

Rate limits are shared by the models of a family, so each family has a limiter of its own. The limit grows by one with
every reply until the first refusal, then by one with every round of replies; a 429 or 529 takes three tenths off,
once for all requests that were in flight together. It never exceeds what the user allows.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from workbench.model.rate_limits import RateLimit
from workbench.model.retrying import FIRST_AT_ONCE

SHRINK = 0.7
NEARLY_REACHED = 0.05
"""The share of a rate limit that is left when we wait for its reset instead of running into it."""
LONGEST_PAUSE_SECONDS = 60.0


def family_of(model: str) -> str:
    """The models that share rate limits with this one: those of its line, such as "sonnet"; else itself alone."""
    line = re.search("haiku|sonnet|opus|fable|mythos", model)
    return line[0] if line else model


class Limiter:
    """The requests of one model family. Used in one event loop; `limit` and `reason` may be read from anywhere."""

    def __init__(
        self, most: int, *, first: int = FIRST_AT_ONCE, longest_pause_seconds: float = LONGEST_PAUSE_SECONDS
    ) -> None:
        self.most = most
        self._longest_pause_seconds = longest_pause_seconds
        self.limit = float(min(most, first))
        self.in_flight = 0
        self.answered_at = float("-inf")
        self._shrunk_because = self._paused_because = ""
        self._has_been_refused = False
        self._shrunk_at = float("-inf")
        self._paused_until = float("-inf")
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def slot(self, *, at_most_seconds: float | None = None) -> AsyncIterator[float | None]:
        """Waits for its turn, so long at most; gives the moment it began, for `refused`, or `None`: it did not come."""
        if at_most_seconds is None:
            await self._turn()
        else:
            try:
                async with asyncio.timeout(at_most_seconds):
                    await self._turn()
            except TimeoutError:
                async with self._changed:
                    self._changed.notify(2)  # it may have been woken just now, in vain: the next has its turn
                yield None
                return
        try:
            yield time.monotonic()
        finally:
            self.in_flight -= 1
            async with self._changed:
                self._changed.notify(2)  # one for the slot that is free, one for what the limit may have grown by

    async def _turn(self) -> None:
        """Returns when one more is in flight."""
        async with self._changed:
            while True:
                pause = self._paused_until - time.monotonic()
                if pause <= 0 and self.in_flight < int(self.limit):
                    break
                if pause > 0:
                    # A pause ends by the clock, and nobody notifies then. Slept through without the lock: those in
                    # flight need it to leave. It is looked at anew afterwards, for it may have been made longer.
                    self._changed.release()
                    try:
                        await asyncio.sleep(pause)
                    finally:
                        await self._changed.acquire()
                else:
                    await self._changed.wait()
            self.in_flight += 1

    def answered(self) -> None:
        """A reply came: grow."""
        self.answered_at = time.monotonic()
        step = 1.0 / self.limit if self._has_been_refused else 1.0
        self.limit = min(float(self.most), self.limit + step)
        if self.limit >= self.most:
            self._shrunk_because = ""

    def told(self, limits: tuple[RateLimit, ...]) -> None:
        """A reply begins, and these are the server's limits now: wait for the reset of one that is nearly reached.

        Those in flight may not have been counted yet, so as many requests are left for them.
        """
        for limit in limits:
            in_flight = 0
            if limit.kind == "requests":
                in_flight = self.in_flight
                self.limit = max(1.0, min(self.limit, float(limit.limit)))
            if limit.remaining < max(NEARLY_REACHED * limit.limit, in_flight):
                self._pause(limit.seconds_to_reset, f"{limit.remaining:,} of {limit.limit:,} {limit.kind} left")

    def refused(self, began: float, what: str, retry_after_seconds: float | None) -> None:
        """The server is overloaded or a limit is reached: shrink, and wait as long as it asks."""
        self._has_been_refused = True
        if began >= self._shrunk_at:  # those in flight together are refused for one and the same reason
            self.limit = max(1.0, self.limit * SHRINK)
            self._shrunk_at = time.monotonic()
        self._shrunk_because = what
        if retry_after_seconds:
            self._pause(retry_after_seconds, what)

    @property
    def reason(self) -> str:
        """Why it is slower than allowed, in words, with the seconds that are left to wait; empty while it is not."""
        if seconds := self.seconds_paused:
            return f"waiting {math.ceil(seconds)} s: {self._paused_because}"
        if self._shrunk_because:
            return f"{int(self.limit)} of {self.most} at once after {self._shrunk_because}"
        return ""

    @property
    def seconds_paused(self) -> float:
        """How long until the next request may begin."""
        return max(0.0, self._paused_until - time.monotonic())

    def _pause(self, seconds: float, why: str) -> None:
        until = time.monotonic() + min(seconds, self._longest_pause_seconds)
        if until > self._paused_until:
            self._paused_until = until
            self._paused_because = why
