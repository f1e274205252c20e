"""A notebook without a browser: run by papermill, left as a notebook and a page fit to be handed on."""

from __future__ import annotations

import copy
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.engines import papermill_engines
from papermill.exceptions import PapermillExecutionError

from workbench.definition.project import project_folder
from workbench.errors import FileError, NotebookFailed, ParameterError
from workbench.headless.kernel import KernelNotStarted
from workbench.headless.papermill_engine import WorkbenchEngine
from workbench.headless.parameters import check_parameters, declared_parameters
from workbench.headless.published import (
    ABOUT,
    COMPLETED,
    as_text,
    seen_from,
    without_papermills_marks,
    write_whole,
)
from workbench.headless.ready import kernel_environment, start_ready_interpreter
from workbench.secrets import without_secrets

_RECORD_FILE = "run.json"
_SECONDS_TO_START = 180
"""For a kernel, on a machine with much else to do."""


@dataclass(frozen=True, kw_only=True)
class NotebookRun:
    """What running a notebook left behind."""

    notebook: Path
    """The executed notebook, without widget state."""
    page: Path
    """The same as one HTML file that needs nothing else."""
    record: Path | None
    """The folder with the recorded run; `None` where the notebook recorded none."""
    verdict: str | None
    """What the cell tagged `verdict` printed; `None` where there is no such cell."""
    seconds: float


def run_notebook(
    notebook: str | Path,
    *,
    out: str | Path,
    parameters: Mapping[str, Any] | None = None,
    progress: bool = True,
    go_on: bool = False,
    deadline_seconds: float | None = None,
    cell_deadline_seconds: float | None = None,
) -> NotebookRun:
    """Run a notebook from top to bottom and leave `<name>.ipynb` and `<name>.html` in the folder `out`.

    The kernel is this very Python, started in the project folder of the working directory (see
    `project_folder`), with WORKBENCH_HEADLESS=1. A notebook that declares a parameter `out` is given the
    folder, so that its record lies there too. `progress` draws a bar on a terminal, one step a cell.

    While it runs, `<name>.partial.ipynb` holds it as far as it got. With `go_on`, a run that did not come to its
    end is run again with the parameters that it had, but for those that are given: what the ledger holds is not
    asked for again. One that did come to its end is left as it is; where there is none, a first one begins.

    Several threads and processes may call this at once, for different folders; the threads of one process share the
    interpreter that their kernels are forked from.

    Raises:
        ParameterError: A parameter is unknown, of the wrong type, or looks like a key. Nothing was started.
        NotebookFailed: A cell raised, a deadline passed or the kernel died. What ran is saved in `out`.
        FileError: The notebook cannot be read, or the folder not written.
    """
    source, folder = Path(notebook), Path(out)
    start_ready_interpreter(kernel_environment(os.environ))
    document = load_notebook(source)
    declared = declared_parameters(document)
    if "out" in (parameters or {}):
        raise ParameterError(f"{source}: give the folder as `out`, not as a parameter: {(parameters or {})['out']!r}")
    values, before = dict(parameters or {}), _earlier_run(folder, source.stem) if go_on else None
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
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
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
                when_started=_get_ready_for_pages,
                earlier=before,
            )
        except (PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
            executed = _unfinished(partial)
            if (
                executed.metadata[ABOUT]["outcome"] != COMPLETED
            ):  # papermill fails for a cell that is meant to raise too
                _publish(executed, partial)
                raise NotebookFailed(
                    f"{source}: {without_secrets(_reason(error))}\n"
                    f"What ran before it is saved in {folder / source.stem}.ipynb; to go on, run it with --continue"
                ) from None
        except (KeyboardInterrupt, SystemExit):
            _publish(_unfinished(partial), partial)
            raise
        _publish(executed, partial)
    seconds = time.monotonic() - started
    return _left_behind(executed, folder, source.stem, declares_out="out" in declared, seconds=seconds)


def load_notebook(path: str | Path) -> NotebookNode:
    """A notebook file, upgraded to format 4, for a kernel of this Python whatever kernel it names.

    Raises:
        FileError: There is no such file, or it is not a notebook.
    """
    try:
        document: NotebookNode = nbformat.read(path, as_version=4)
    except OSError as error:
        raise FileError(f"cannot be read: {error.strerror}", path=path) from error
    except (ValueError, TypeError, KeyError, AttributeError, nbformat.ValidationError) as error:
        raise FileError("is not a Jupyter notebook (.ipynb)", path=path) from error
    document.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    document.metadata["language_info"] = {"name": "python"}
    return document


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


def _publish(executed: NotebookNode, partial: Path) -> None:
    """Leave the notebook and the page for others; each appears whole or not at all."""
    from workbench.headless.page import html_page

    name = partial.name.removesuffix(".partial.ipynb")
    write_whole(partial.with_name(f"{name}.html"), html_page(executed, title=name))
    write_whole(partial.with_name(f"{name}.ipynb"), as_text(executed))
    partial.unlink()


def _get_ready_for_pages() -> None:
    """In a thread, while the kernel works: it takes as long as a short notebook does."""
    if "workbench.headless.page" not in sys.modules:
        threading.Thread(target=_load_page, name="workbench-page", daemon=True).start()


def _load_page() -> None:
    from workbench.headless.page import get_ready_for_pages

    get_ready_for_pages()


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
    if isinstance(error, DeadKernelError) and not isinstance(error, KernelNotStarted):
        return "the kernel died"
    return str(error)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror}", path=error.filename or folder) from error
