"""The workbench's one thread with an event loop of its own, in which every model call runs.

A cell, a widget callback and a script may be on any thread, with or without a running loop; which one differs
between versions of ipykernel. Here it does not matter: they hand in a coroutine and get something to wait on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


class Started(Generic[T]):
    """A coroutine on its way in the loop thread."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._future: Future[T] = Future()
        self._loop = _running_loop()
        self._loop.call_soon_threadsafe(self._start, coroutine)

    def result(self, seconds: float | None = None) -> T:
        """What it returned, or raises what it raised; `TimeoutError` if it takes longer than this."""
        return self._future.result(seconds)

    def wait(self, seconds: float | None = None) -> bool:
        """True once it has ended, however it ended; False if it takes longer than this."""
        return not wait([self._future], seconds).not_done

    def done(self) -> bool:
        return self._future.done()

    def add_done_callback(self, callback: Callable[[Future[T]], None]) -> None:
        """`callback` is called once, in the loop thread (or at once if it is done already)."""
        self._future.add_done_callback(callback)

    def stop(self) -> None:
        """Cancels it; unlike `Future.cancel`, what it still returns after that is kept as its result."""
        self._loop.call_soon_threadsafe(lambda: self._task.cancel())

    def _start(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._task = self._loop.create_task(coroutine)
        self._task.add_done_callback(self._settle)

    def _settle(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self._future.cancel()
            self._future.set_running_or_notify_cancel()
        elif (error := task.exception()) is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(task.result())


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="workbench-loop", daemon=True).start()
        return _loop
