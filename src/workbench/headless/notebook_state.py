"""How far a notebook is, saved while it runs: whole, and in the form in which it is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from papermill.engines import NotebookExecutionManager
from papermill.iorw import LocalHandler, papermill_io, write_ipynb

from workbench.headless.notebook_files import as_text, write_whole
from workbench.headless.published import COMPLETED, KEEP_OUTPUT, RUNNING, published

_SHARE_OF_TIME_TO_SAVE = 0.1


@dataclass(kw_only=True)
class NotebookState:
    """How far a notebook is, and all that is needed to write it down."""

    document: NotebookNode
    about: dict[str, Any]
    folders: Mapping[str, str]
    """What to call the folders of this machine; see `names_of_folders`."""
    outcome: str = RUNNING
    cell: str | None = None
    """Where it ended, if not at its end."""
    error: str | None = None
    cells_done: int = 0
    _at_end: NotebookNode | None = None

    def published(self) -> NotebookNode:
        """In the form in which it is kept; once it has ended, always the same."""
        if self._at_end is not None:
            return self._at_end
        said = {"outcome": self.outcome, "cell": self.cell, "error": self.error}
        known: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
        if self.outcome != COMPLETED:
            known["cells_done"] = self.cells_done
        document = published(self.document, {**self.about, **known}, self.folders)
        if self.outcome != RUNNING:
            self._at_end = document
        return document

    def end(self, outcome: str, error: str | None = None) -> None:
        self.outcome, self.error, self._at_end = outcome, error, None


class StateFile(NotebookExecutionManager):  # type: ignore[misc]
    """Saves a notebook's state as it runs, as papermill tells of its cells; notes no times."""

    def __init__(self, state: NotebookState, local: Path | None, **options: Any) -> None:
        self.state = state
        self._local = local
        self._saved_at = self._save_seconds = 0.0
        self._later: asyncio.TimerHandle | None = None
        super().__init__(state.document, **options)

    def notebook_start(self, **_: Any) -> None:
        for cell in self.nb.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        self.save()

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        self.state.cell = cell.get("id")

    def cell_exception(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        """Nothing more: the error is the cell's output."""

    def cell_complete(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        # A notebook that takes long to write is written less often than after every cell.
        wait = self._saved_at + self._save_seconds / _SHARE_OF_TIME_TO_SAVE - time.monotonic()
        if wait <= 0 or KEEP_OUTPUT in cell.metadata.get("tags", []):
            self.save()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(wait, self.save)
        if self.pbar:
            self.pbar.update(1)

    def autosave_cell(self, **_: Any) -> None:
        if self.autosave_cell_every and time.monotonic() - self._saved_at >= self.autosave_cell_every:
            self.save()

    def notebook_complete(self, **_: Any) -> None:
        self.save()

    def save(self, **_: Any) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        started = time.monotonic()
        if self._local:
            write_whole(self._local, as_text(self.state.published()))
        elif self.output_path:
            write_ipynb(self.state.published(), self.output_path)
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - started


class _WholeFiles(LocalHandler):  # type: ignore[misc]
    """Papermill's own writing of local files, at once."""

    def write(self, buf: str, path: str) -> None:
        write_whole(Path(self._cwd, path), buf)


def written_whole_from_now_on(path: str) -> Path:
    """Where papermill will write it, once more itself, when the notebook has ended or a cell has raised.

    Papermill reads and writes relative to where it was called, and runs the notebook elsewhere if it is told to.
    """
    called_in = papermill_io.get_handler("local")._cwd or str(Path.cwd())
    if not any(known == path for known, _ in papermill_io._handlers):
        handler = _WholeFiles()
        handler.cwd(called_in)
        papermill_io.register(path, handler)
    return Path(called_in, path)


def is_local(path: str) -> bool:
    return path != "-" and "://" not in path
