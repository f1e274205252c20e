"""The one place for tricks with Python's garbage collector; what shows no figure here has no place."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS_BETWEEN_COLLECTIONS = 20_000


@contextmanager
def resting_while_importing(module: str) -> Iterator[None]:
    if module in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0:
            gc.freeze()
            if "ipykernel" in sys.modules:
                gc.unfreeze()  # A notebook makes and drops much: what is there now may be garbage later.
        gc.enable()


@contextmanager
def collecting_rarely() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(before[0] and max(before[0], _OBJECTS_BETWEEN_COLLECTIONS), *before[1:])  # 0: never
    try:
        yield
    finally:
        gc.set_threshold(*before)
