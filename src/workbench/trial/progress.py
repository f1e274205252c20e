"""The line that tells how far a run is: in a terminal, in JupyterLab and under papermill.

A bar is shown by the thread that waits for a run, never by the one that runs it.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol

from tqdm import tqdm


class ProgressBar(Protocol):
    def show(self, done: int, details: str) -> None: ...
    def close(self) -> None: ...


def progress_bar(total: int, *, shown: bool = True) -> ProgressBar:
    """A bar for where we are: an output that is updated in place in a notebook, a tqdm line elsewhere."""
    kernel = _kernel_shell() if shown else None
    return TerminalBar(total, shown=shown) if kernel is None else NotebookBar(total)


class TerminalBar:
    """A tqdm line on stderr; where that is not a terminal, a line every ten seconds."""

    def __init__(self, total: int, *, shown: bool = True) -> None:
        interval = 0.1 if sys.stderr.isatty() else 10.0
        self._bar = tqdm(total=total, unit="trial", disable=not shown, mininterval=interval, dynamic_ncols=True)

    def show(self, done: int, details: str) -> None:
        self._bar.set_postfix_str(details, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class NotebookBar:
    """One plain-text output, updated in place: the stored notebook holds its last state and no widget."""

    def __init__(self, total: int) -> None:
        from IPython.display import DisplayHandle

        self._total = total
        self._handle: Any = DisplayHandle()  # type: ignore[no-untyped-call]
        self._shown = ""

    def show(self, done: int, details: str) -> None:
        filled = 20 * done // self._total if self._total else 20
        text = f"{'█' * filled}{'░' * (20 - filled)} {done}/{self._total} trials: {details}"
        if text != self._shown:
            (self._handle.update if self._shown else self._handle.display)({"text/plain": text}, raw=True)
            self._shown = text

    def close(self) -> None:
        """Nothing to do: the last state stays."""


def _kernel_shell() -> Any:
    """The shell of the running kernel, or `None`; looked up, not imported: where a kernel runs, IPython is loaded."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module else None
    return shell if hasattr(shell, "kernel") else None
