"""One run of a notebook: by papermill, left as a notebook and a page fit to be handed on."""

from __future__ import annotations

import copy
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
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
from workbench.headless.one_writer import only_writer
from workbench.headless.papermill_engine import WorkbenchEngine
from workbench.headless.parameters import Parameter, check_parameters, declared_parameters, with_own_tasks
from workbench.headless.published import (
    ABOUT,
    COMPLETED,
    about_notebook,
    changes_between,
    seen_from,
    without_papermills_marks,
)
from workbench.secrets import without_secrets

_log = logging.getLogger(__name__)

_RECORD_FILE = "run.json"
_SECONDS_TO_START = 180
"""For a kernel, on a machine with much else to do."""


def run_document(document: NotebookNode, job: Job, *, progress: bool) -> NotebookRun:
    """Runs the notebook that was loaded for the job; see `run_notebook`."""
    declared, project = declared_parameters(document), project_folder()
    task = _what_is_left(document, job, declared, project)
    with _writing(job.out), only_writer(job.out, of=str(job.notebook)), _PageBeside(job.notebook.stem) as page:
        if job.go_on:  # the one that it waited for may just have ended
            task = _what_is_left(document, job, declared, project)
        if isinstance(task, NotebookRun):
            return task
        for change in task.changed:
            _log.warning(
                "%s: %s changed since its last run, so it runs anew; what the ledger holds is not asked for again",
                job.out,
                change,
            )
        started, record = time.monotonic(), _written_at(job.out / _RECORD_FILE)
        page.get_ready()
        execution = Execution(
            declared=declared,
            parameters=task.parameters,
            folder=project,
            deadlines=job.deadlines,
            environment=job.environment,
            when_cells_ended=page.begin,
            earlier=task.earlier,
        )
        try:
            executed = _execute(document, job, execution, progress=progress)
        except (PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
            executed = _unfinished(job)
            _publish(executed, page.of(executed), job)
            # Papermill fails for a cell that is meant to raise too.
            if executed.metadata[ABOUT]["outcome"] != COMPLETED:
                raise _failed(job, _reason(error)) from None
        except (KeyboardInterrupt, SystemExit):
            executed = _unfinished(job)
            _publish(executed, page.of(executed), job)
            raise
        else:
            _publish(executed, page.of(executed), job)
            if _written_at(job.out / _RECORD_FILE) == record and (left := _cells_left(executed)):
                raise _failed(job, _ended_itself(executed, left))
        # A record of an earlier run, which this one did not write, is not its own.
        has_record = "out" in declared and _written_at(job.out / _RECORD_FILE) != record
    return _left_behind(executed, job, has_record=has_record, seconds=time.monotonic() - started)


@dataclass(frozen=True, kw_only=True)
class _Task:
    """What is left to do for a job."""

    parameters: dict[str, Any]
    """Checked, with those of an earlier run that it goes on with."""
    earlier: NotebookNode | None = None
    """How far that run got."""
    changed: tuple[str, ...] = ()
    """What that run was made of and is another now."""


def _what_is_left(
    document: NotebookNode, job: Job, declared: Mapping[str, Parameter], project: Path
) -> _Task | NotebookRun:
    """What is to be done for the job, or what an earlier run of the very same left behind.

    Raises:
        ParameterError: a parameter does not fit.
    """
    if "out" in job.parameters:
        raise ParameterError(f"{job.notebook}: give the folder as `out`, not as a parameter: {job.parameters['out']!r}")
    before = _earlier_run(job) if job.go_on else None
    kept = {} if before is None else _parameters_of(before)
    values = check_parameters(declared, kept | dict(job.parameters), notebook=job.notebook)
    values = with_own_tasks(declared, values, project=project, notebook=job.notebook)
    parameters = values | ({"out": seen_from(project, job.out)} if "out" in declared else {})
    if before is None or values != kept:
        return _Task(parameters=parameters)
    changed = changes_between(before.metadata[ABOUT], about_notebook(document, declared, parameters, project=project))
    if not changed and before.metadata[ABOUT].get("outcome") == COMPLETED:
        has_record = "out" in declared and (job.out / _RECORD_FILE).exists()
        return _left_behind(before, job, has_record=has_record, seconds=0.0)
    return _Task(parameters=parameters, earlier=before, changed=changed)


def _failed(job: Job, why: str) -> NotebookFailed:
    return NotebookFailed(
        f"{job.notebook}: {without_secrets(why)}\n"
        f"What ran before it is saved in {job.finished}; to go on, run it with --continue\n"
        f"Its paths start at {project_folder()}"
    )


def _written_at(path: Path) -> int | None:
    """A number that is another each time the file is written; `None` where there is none."""
    return path.stat().st_mtime_ns if path.exists() else None


def _cells_left(executed: NotebookNode) -> int:
    """How many cells of code did not run because one before them ended the notebook."""
    about = executed.metadata[ABOUT]
    if about["outcome"] == COMPLETED:
        return 0
    return sum(cell.cell_type == "code" for cell in executed.cells[about["cells_done"] + 1 :])


def _ended_itself(executed: NotebookNode, left: int) -> str:
    about = executed.metadata[ABOUT]
    cells = "1 cell of code after it" if left == 1 else f"{left} cells of code after it"
    return (
        f"its cell {about['cell']!r} ended the notebook ({about['error']}): {cells} did not run, and it left no record "
        "of a run"
    )


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


def _left_behind(executed: NotebookNode, job: Job, *, has_record: bool, seconds: float) -> NotebookRun:
    return NotebookRun(
        notebook=job.finished,
        page=job.page,
        record=job.out if has_record else None,
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
