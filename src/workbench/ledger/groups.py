"""Writing in groups: what many tasks hand in while a thread writes becomes one transaction, and one wake-up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")

GATHER_SECONDS_EACH = 0.001
GATHER_SECONDS = 0.02
"""A group is closed this long after the one before, or `GATHER_SECONDS_EACH` for each further item of that one."""

_Group = list[tuple[T, "asyncio.Future[Any]"]]


class GroupedWrites(Generic[T]):
    """A thread that hands to `commit`, in order, whatever has gathered since its last call.

    What comes alone is written at once. Where much comes, the thread lets it gather for some milliseconds: a
    transaction and a wake-up of the event loop cost as much as several rows.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[Any]]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._gathering: _Group[T] | None = None
        self._closes_at = float("-inf")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbench-ledger")

    def add(self, item: T) -> asyncio.Future[Any]:
        """Settled, in the running loop, with what `commit` returned for this item or with what it raised.

        Raises:
            RuntimeError: it is closed.
        """
        written = asyncio.get_running_loop().create_future()
        with self._lock:
            group = self._gathering
            if group is None:
                group = []
                self._thread.submit(self._write, group).add_done_callback(partial(_tell, group))
                self._gathering = group
            group.append((item, written))
        return written

    def close(self) -> None:
        """Returns when all that was handed in is written."""
        self._thread.shutdown()

    def _write(self, group: _Group[T]) -> Sequence[Any]:
        time.sleep(max(0.0, self._closes_at - time.monotonic()))
        with self._lock:
            self._gathering = None
        self._closes_at = time.monotonic() + min(GATHER_SECONDS, GATHER_SECONDS_EACH * (len(group) - 1))
        return self._commit([item for item, _ in group])


def _tell(group: _Group[Any], committed: Future[Sequence[Any]]) -> None:
    by_loop = defaultdict(list)
    for position, (_, written) in enumerate(group):
        by_loop[written.get_loop()].append((position, written))
    for loop, waiting in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            loop.call_soon_threadsafe(_settle, waiting, committed)


def _settle(waiting: Sequence[tuple[int, asyncio.Future[Any]]], committed: Future[Sequence[Any]]) -> None:
    error = committed.exception()
    for position, written in waiting:
        if written.done():  # cancelled
            continue
        if error is not None:
            written.set_exception(error)
        else:
            written.set_result(committed.result()[position])
