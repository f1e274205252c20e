"""One run of a notebook: by papermill, left as a notebook and a page fit to be handed on."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterator
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
from workbench.headless.execution import Execution
from workbench.headless.job import Job
from workbench.headless.left_behind import NotebookRun
from workbench.headless.notebook_files import as_text, load_notebook, write_whole
from workbench.headless.papermill_engine import WorkbenchEngine
from workbench.headless.parameters import check_parameters, declared_parameters
from workbench.headless.published import ABOUT, COMPLETED, seen_from, without_papermills_marks
from workbench.secrets import without_secrets

_RECORD_FILE = "run.json"
_SECONDS_TO_START = 180
"""For a kernel, on a machine with much else to do."""


def run_document(document: NotebookNode, job: Job, *, progress: bool) -> NotebookRun:
    """Runs the notebook that was loaded for the job; see `run_notebook`."""
    declared = declared_parameters(document)
    if "out" in job.parameters:
        raise ParameterError(f"{job.notebook}: give the folder as `out`, not as a parameter: {job.parameters['out']!r}")
    values, before = dict(job.parameters), _earlier_run(job) if job.go_on else None
    if before is not None:
        same = values.items() <= _parameters_of(before).items()
        values = _parameters_of(before) | values
        if same and before.metadata[ABOUT].get("outcome") == COMPLETED:
            return _left_behind(before, job, declares_out="out" in declared, seconds=0.0)
        before = before if same else None
    values = check_parameters(declared, values, notebook=job.notebook)
    project = project_folder()
    if "out" in declared:
        values["out"] = seen_from(project, job.out)

    started = time.monotonic()
    with _writing(job.out), _PageBeside(job.notebook.stem) as page:
        job.out.mkdir(parents=True, exist_ok=True)
        page.get_ready()
        execution = Execution(
            declared=declared,
            parameters=values,
            folder=project,
            deadlines=job.deadlines,
            when_cells_ended=page.begin,
            earlier=before,
        )
        try:
            executed = _execute(document, job, execution, progress=progress)
        except (PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
            executed = _unfinished(job)
            # Papermill fails for a cell that is meant to raise too.
            if executed.metadata[ABOUT]["outcome"] != COMPLETED:
                _publish(executed, page.of(executed), job)
                raise NotebookFailed(
                    f"{job.notebook}: {without_secrets(_reason(error))}\n"
                    f"What ran before it is saved in {job.finished}; to go on, run it with --continue"
                ) from None
        except (KeyboardInterrupt, SystemExit):
            executed = _unfinished(job)
            _publish(executed, page.of(executed), job)
            raise
        _publish(executed, page.of(executed), job)
    return _left_behind(executed, job, declares_out="out" in declared, seconds=time.monotonic() - started)


def _execute(document: NotebookNode, job: Job, execution: Execution, *, progress: bool) -> NotebookNode:
    """Run the notebook; `job.partial` holds it as far as it got, after every cell."""
    papermill_engines.register("workbench", WorkbenchEngine)
    executed: NotebookNode = papermill.execute_notebook(
        copy.deepcopy(document),
        str(job.partial).replace("{", "{{").replace("}", "}}"),  # papermill formats its paths
        parameters=dict(execution.parameters),
        engine_name="workbench",
        start_timeout=_SECONDS_TO_START,
        progress_bar={"desc": job.notebook.stem, "disable": None} if progress else False,
        execution=execution,
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


def _publish(executed: NotebookNode, page: str, job: Job) -> None:
    """Leave the notebook and the page for others; each appears whole or not at all."""
    write_whole(job.page, page)
    write_whole(job.finished, as_text(executed))
    job.partial.unlink()


def _unfinished(job: Job) -> NotebookNode:
    return without_papermills_marks(nbformat.read(job.partial, as_version=4))


def _earlier_run(job: Job) -> NotebookNode | None:
    """What an earlier run left in the folder: that which was killed first."""
    for path in (job.partial, job.finished):
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


def _left_behind(executed: NotebookNode, job: Job, *, declares_out: bool, seconds: float) -> NotebookRun:
    return NotebookRun(
        notebook=job.finished,
        page=job.page,
        record=job.out if declares_out and (job.out / _RECORD_FILE).exists() else None,
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
