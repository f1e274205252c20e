"""The one place for tricks with Python's garbage collector; what shows no figure has no place here.

Tried and not kept, for no difference was to be seen (whole processes in turn, ratio of CPU seconds with and without):
collecting rarely while trials are asked (800 trials with the stand-in: 1.04, in a process with a notebook's libraries
1.16), and not at all while the prices are read (1.01).
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def resting_while_importing(module: str) -> Iterator[None]:
    """Spares an import the collector, which would look again and again through what is there to stay. The SDK has half
    a million such objects. Nothing is done where the module is imported already.

    `python -m tests.benchmarks start`: 0.57 of the CPU seconds of the plain import, to the program's end (0.82 s
    against 1.42 s, median of 5).
    """
    if module in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0:
            # What is frozen is not looked through at the program's end either. The only way to move all that is there
            # out of the youngest generation at once is to freeze it.
            gc.freeze()
            if "ipykernel" in sys.modules:
                gc.unfreeze()  # A notebook makes and drops much: what is there now may be garbage later.
        gc.enable()
