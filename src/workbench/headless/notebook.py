"""A notebook without a browser: the door, which loads little, so that what takes longest begins first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.definition.there import text_in
from workbench.headless.job import Deadlines, Job
from workbench.headless.kernels.ready import kernel_environment, modules_for, start_ready_interpreter
from workbench.headless.left_behind import NotebookRun
from workbench.shipped.files import notebook_file


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
    interpreter that their kernels are forked from, which has imported what the first of these notebooks uses.

    Raises:
        ParameterError: A parameter is unknown, of the wrong type, or looks like a key. Nothing was started.
        NothingToCompare: The notebook compares an agent with what it says. Nothing was started.
        NotebookFailed: A cell raised, a deadline passed or the kernel died. What ran is saved in `out`.
        FileError: The notebook cannot be read, or the folder not written.
    """
    begin_kernel_for(notebook)
    job = Job(
        notebook=Path(notebook),
        out=Path(out),
        parameters=dict(parameters or {}),
        deadlines=Deadlines(notebook=deadline_seconds, cell=cell_deadline_seconds),
        go_on=go_on,
    )
    return run_job(job, progress=progress)


def begin_kernel_for(notebook: str | Path) -> None:
    """Starts the interpreter that the kernel of this one notebook comes from, if there is none, with what its source
    uses. First of all: it imports that while this process imports what it needs itself."""
    try:
        source = text_in(notebook_file(notebook), errors="replace")
    except (OSError, ValueError):  # whoever loads it says why it cannot be read
        return
    start_ready_interpreter(kernel_environment(os.environ), imports=modules_for(source))


def run_job(job: Job, *, progress: bool = False) -> NotebookRun:
    """The same for a notebook and all that it runs with in one value, and for one of many: an interpreter that is
    started here has imported what any notebook uses."""
    start_ready_interpreter(kernel_environment(os.environ))
    from workbench.headless.notebook_files import load_notebook
    from workbench.headless.run import run_document

    return run_document(load_notebook(job.notebook), job, progress=progress)
