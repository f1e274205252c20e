"""Prompt caching among requests that are sent at once: one goes ahead and writes a persona, the others read it.

A cache entry can be read once the reply that wrote it has begun. Without this, the first requests of a run would all
pay for writing the same persona.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from workbench.trial.trial import Request

LONGEST_SECONDS = 30.0
"""How long the one that goes ahead may leave the others waiting for its first token."""
MOST_FAILURES = 3
"""After so many that went ahead in vain nobody waits any more: to write twice costs less than to ask in turn."""


class Warming:
    """For each (model, persona), whether its cache entry is there to be read. Used in one event loop."""

    def __init__(self, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._longest_seconds = longest_seconds
        self.waiting = 0
        """How many requests wait for the first token of another."""
        self._warm: set[tuple[str, str]] = set()
        self._in_vain: Counter[tuple[str, str]] = Counter()
        self._ahead: dict[tuple[str, str], asyncio.Lock] = {}

    @asynccontextmanager
    async def turn(self, request: Request) -> AsyncIterator[Turn]:
        """Waits while another request with this persona goes ahead; one that fails makes way for the next."""
        persona = (request.model, request.system)
        make_way = partial(self._make_way, persona) if await self._goes_ahead(persona) else None
        turn = Turn(make_way, self._longest_seconds)
        try:
            yield turn
        finally:
            turn.ended()

    async def _goes_ahead(self, persona: tuple[str, str]) -> bool:
        if persona in self._warm:
            return False
        lock = self._ahead.setdefault(persona, asyncio.Lock())
        self.waiting += 1
        try:
            await lock.acquire()
        finally:
            self.waiting -= 1
        if persona in self._warm:
            # Those who queued behind the one that went ahead: each is woken in turn and passes the lock on at once.
            lock.release()
            return False
        return True  # the lock is held until this one has begun, has failed, or takes too long: see `_make_way`

    def _make_way(self, persona: tuple[str, str], has_begun: bool) -> None:
        self._in_vain[persona] += not has_begun
        if has_begun or self._in_vain[persona] >= MOST_FAILURES:
            self._warm.add(persona)
        self._ahead[persona].release()


class Turn:
    """One request among those with the same persona; it may be the one that goes ahead."""

    def __init__(self, make_way: Callable[[bool], None] | None, longest_seconds: float) -> None:
        self._make_way = make_way
        self._longest_seconds = longest_seconds
        self._timer: asyncio.TimerHandle | None = None

    def sent(self) -> None:
        """From now on the others do not wait for longer than they may."""
        if self._make_way is not None:
            self._timer = asyncio.get_running_loop().call_later(self._longest_seconds, self.ended)

    def first_token_came(self) -> None:
        self._let_others_go(has_begun=True)

    def ended(self) -> None:
        self._let_others_go(has_begun=False)

    def _let_others_go(self, *, has_begun: bool) -> None:
        make_way, self._make_way = self._make_way, None
        if make_way is not None:
            make_way(has_begun)
        if self._timer is not None:
            self._timer.cancel()
