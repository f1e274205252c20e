"""A look every second at what no event tells of: whether a file or the environment changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

LOOK_EVERY_SECONDS = 1.0

_lock = threading.Lock()
_calling = threading.Lock()
"""Held while they are called: whoever has it knows that none of them is at work."""
_looking: list[WeakMethod[Callable[[], Any]]] = []
_thread: threading.Thread | None = None


def look_every_second(call: Callable[[], Any]) -> None:
    """Has this method called every second, in a thread of its own for all of them, for as long as its object lives."""
    global _thread
    with _lock:
        _looking.append(WeakMethod(call))
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_look, name="workbench-watch", daemon=True)
            _thread.start()


def _look() -> None:
    while True:
        time.sleep(LOOK_EVERY_SECONDS)
        with _calling:
            with _lock:
                _looking[:] = [each for each in _looking if each() is not None]
                looking = list(_looking)
            for each in looking:
                _call(each)


def _call(each: WeakMethod[Callable[[], Any]]) -> None:
    call = each()
    if call is None:
        return
    try:
        call()
    except Exception:
        # One that fails would fail every second; the others go on.
        logging.getLogger(__name__).exception("a look at what changed failed, and is not tried again")
        with _lock:
            _looking.remove(each)
