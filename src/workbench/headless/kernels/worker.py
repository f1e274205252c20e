"""How a worker process of a batch begins: at once with what takes longest, and never outliving its batch."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Sequence

from workbench.headless.kernels.ready import kernel_environment, start_ready_interpreter


def begin_worker(*, imports: Sequence[str] | None = None) -> None:
    """Starts the interpreter that the kernels of this worker come from, with these imports (`start_ready_interpreter`).

    A worker whose batch is gone ends too, and saves how far its notebook is, so that two never run the same. Ctrl-C,
    which a terminal sends to all of them, is left to the batch: it ends its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start_ready_interpreter(kernel_environment(os.environ), imports=imports)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    # In a thread: the worker's own thread is inside a notebook for minutes. The signal, and not an exit, because only
    # the main thread can end its event loop, and save.
    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="workbench-parent", daemon=True).start()
