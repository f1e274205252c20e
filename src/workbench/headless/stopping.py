"""Notebooks that run in some thread of a process that has others to look after, told to end from outside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_stops: dict[int, Callable[[], object]] = {}
"""By thread."""


@contextmanager
def stoppable(stop: Callable[[], object]) -> Iterator[None]:
    """While it is open, `stop_notebook_in` of this thread calls `stop`."""
    thread = threading.get_ident()
    _stops[thread] = stop
    try:
        yield
    finally:
        del _stops[thread]


def stop_notebook_in(thread: int) -> bool:
    """Ends the notebook that runs in a thread of this process, as SIGTERM would: with what was executed saved.

    False where none runs there, or not yet.
    """
    stop = _stops.get(thread)
    if stop is None:
        return False
    stop()
    return True
