"""The one place for tricks with Python's garbage collector; what shows no figure has no place here.

Figures are CPU seconds of whole processes, measured in turn.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS_BETWEEN_COLLECTIONS = 50_000
_has_frozen = False


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Has the collector look less often: asking makes many objects that wait for one another and go by themselves.

    `python -m tests.benchmarks trials`: 0.95 of the CPU seconds of 2,000 trials, imports included.
    """
    before = gc.get_threshold()
    gc.set_threshold(before[0] and max(before[0], _OBJECTS_BETWEEN_COLLECTIONS), *before[1:])  # 0: never
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def resting_while_importing(module: str) -> Iterator[None]:
    """Spares an import the collector, which would look again and again through what is there to stay. The SDK has half
    a million such objects, the list of prices some ten thousand. Nothing is done where the module is imported already.

    `python -m tests.benchmarks start`: 0.57 of the CPU seconds of the SDK's plain import, to the program's end (0.82 s
    against 1.42 s, median of 5). A program that asks for a price and ends: 0.79 (0.33 s against 0.41 s, median of 9);
    one that imports what asks, with SQLAlchemy: 0.69 (0.37 s against 0.53 s, median of 9).
    """
    global _has_frozen
    if module in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0 or _has_frozen:  # what somebody else has frozen is theirs to thaw
            # What is frozen is not looked through at the program's end either. The only way to move all that is there
            # out of the youngest generation at once is to freeze it.
            gc.freeze()
            if "ipykernel" in sys.modules:
                gc.unfreeze()  # A notebook makes and drops much: what is there now may be garbage later.
            else:
                _has_frozen = True
        gc.enable()
