"""One run of a notebook: by papermill, left as a notebook and a page fit to be handed on."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.engines import papermill_engines
from papermill.exceptions import PapermillExecutionError

from workbench.definition.project import project_folder
from workbench.errors import FileError, NotebookFailed, ParameterError
from workbench.headless.notebook import NotebookRun
from workbench.headless.notebook_files import as_text, load_notebook, write_whole
from workbench.headless.papermill_engine import WorkbenchEngine
from workbench.headless.parameters import check_parameters, declared_parameters
from workbench.headless.published import ABOUT, COMPLETED, seen_from, without_papermills_marks
from workbench.secrets import without_secrets

_RECORD_FILE = "run.json"
_SECONDS_TO_START = 180
"""For a kernel, on a machine with much else to do."""


def run_document(
    document: NotebookNode,
    *,
    source: Path,
    folder: Path,
    parameters: Mapping[str, Any],
    progress: bool,
    go_on: bool,
    deadline_seconds: float | None,
    cell_deadline_seconds: float | None,
) -> NotebookRun:
    """Runs the notebook that was loaded from `source`; see `run_notebook`."""
    declared = declared_parameters(document)
    if "out" in parameters:
        raise ParameterError(f"{source}: give the folder as `out`, not as a parameter: {parameters['out']!r}")
    values, before = dict(parameters), _earlier_run(folder, source.stem) if go_on else None
    if before is not None:
        same = values.items() <= _parameters_of(before).items()
        values = _parameters_of(before) | values
        if same and before.metadata[ABOUT].get("outcome") == COMPLETED:
            return _left_behind(before, folder, source.stem, declares_out="out" in declared, seconds=0.0)
        before = before if same else None
    values = check_parameters(declared, values, notebook=source)
    project = project_folder()
    if "out" in declared:
        values["out"] = seen_from(project, folder)

    started = time.monotonic()
    with _writing(folder), _PageBeside(source.stem) as page:
        folder.mkdir(parents=True, exist_ok=True)
        page.get_ready()
        partial = folder / f"{source.stem}.partial.ipynb"
        try:
            executed = _execute(
                document,
                partial,
                values,
                folder=str(project),
                progress_bar={"desc": source.stem, "disable": None} if progress else False,
                notebook_timeout=deadline_seconds,
                cell_timeout=cell_deadline_seconds,
                when_cells_ended=page.begin,
                earlier=before,
            )
        except (PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
            executed = _unfinished(partial)
            # Papermill fails for a cell that is meant to raise too.
            if executed.metadata[ABOUT]["outcome"] != COMPLETED:
                _publish(executed, page.of(executed), partial)
                raise NotebookFailed(
                    f"{source}: {without_secrets(_reason(error))}\n"
                    f"What ran before it is saved in {folder / source.stem}.ipynb; to go on, run it with --continue"
                ) from None
        except (KeyboardInterrupt, SystemExit):
            executed = _unfinished(partial)
            _publish(executed, page.of(executed), partial)
            raise
        _publish(executed, page.of(executed), partial)
    seconds = time.monotonic() - started
    return _left_behind(executed, folder, source.stem, declares_out="out" in declared, seconds=seconds)


def _execute(document: NotebookNode, partial: Path, values: Mapping[str, Any], **options: Any) -> NotebookNode:
    """Run the notebook; `partial` holds it as far as it got, after every cell."""
    papermill_engines.register("workbench", WorkbenchEngine)
    executed: NotebookNode = papermill.execute_notebook(
        copy.deepcopy(document),
        str(partial).replace("{", "{{").replace("}", "}}"),  # papermill formats its paths
        parameters=dict(values),
        engine_name="workbench",
        start_timeout=_SECONDS_TO_START,
        **options,
    )
    return executed


class _PageBeside:
    """A notebook's page, made in a thread of its own while the kernel ends, which takes as long."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="workbench-page")
        self._begun: tuple[NotebookNode, Future[str]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def get_ready(self) -> None:
        """What all pages need is loaded while the kernel starts: that takes as long as a short notebook does."""
        if "workbench.headless.page" not in sys.modules:
            self._thread.submit(_get_ready_for_pages)

    def begin(self, executed: NotebookNode) -> None:
        executed = copy.deepcopy(executed)  # papermill adds to its own
        self._begun = executed, self._thread.submit(_page, executed, self._title)

    def of(self, executed: NotebookNode) -> str:
        """The page of what was executed in the end, whatever was begun."""
        if self._begun is not None and self._begun[0] == executed:
            return self._begun[1].result()
        return _page(executed, self._title)


def _page(executed: NotebookNode, title: str) -> str:
    from workbench.headless.page import html_page

    return html_page(executed, title=title)


def _get_ready_for_pages() -> None:
    from workbench.headless.page import get_ready_for_pages

    get_ready_for_pages()


def _publish(executed: NotebookNode, page: str, partial: Path) -> None:
    """Leave the notebook and the page for others; each appears whole or not at all."""
    name = partial.name.removesuffix(".partial.ipynb")
    write_whole(partial.with_name(f"{name}.html"), page)
    write_whole(partial.with_name(f"{name}.ipynb"), as_text(executed))
    partial.unlink()


def _unfinished(partial: Path) -> NotebookNode:
    return without_papermills_marks(nbformat.read(partial, as_version=4))


def _earlier_run(folder: Path, name: str) -> NotebookNode | None:
    """What an earlier run left in the folder: that which was killed first."""
    for path in (folder / f"{name}.partial.ipynb", folder / f"{name}.ipynb"):
        if path.exists():
            found = load_notebook(path)
            if ABOUT not in found.metadata:
                raise FileError("is not what `workbench run` left: it says nothing of its run", path=path)
            return found
    return None


def _parameters_of(executed: NotebookNode) -> dict[str, Any]:
    """Those that the run was given; `~` in a kept notebook stands for the home folder."""
    given = executed.metadata.get("papermill", {}).get("parameters", {})
    return {
        name: str(Path(value).expanduser()) if isinstance(value, str) and value.startswith("~/") else value
        for name, value in given.items()
        if name != "out"
    }


def _left_behind(executed: NotebookNode, folder: Path, name: str, *, declares_out: bool, seconds: float) -> NotebookRun:
    return NotebookRun(
        notebook=folder / f"{name}.ipynb",
        page=folder / f"{name}.html",
        record=folder if declares_out and (folder / _RECORD_FILE).exists() else None,
        verdict=_printed_by(executed, tag="verdict"),
        seconds=seconds,
    )


def _printed_by(document: NotebookNode, *, tag: str) -> str | None:
    """What the first cell with this tag printed or showed as text."""
    for cell in document.cells:
        if tag in cell.metadata.get("tags", []):
            texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
            return "".join(texts).strip() or None
    return None


def _reason(error: PapermillExecutionError | CellTimeoutError | DeadKernelError) -> str:
    if isinstance(error, PapermillExecutionError):
        return f"In [{error.exec_count}] raised {error.ename}: {error.evalue}"
    return str(error)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror}", path=error.filename or folder) from error
