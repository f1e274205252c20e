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
from typing import TYPE_CHECKING, Any, Self

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.engines import papermill_engines
from papermill.exceptions import PapermillExecutionError

from workbench.definition.project import RECORD_FILE, project_folder
from workbench.definition.replacing import alone_in
from workbench.definition.seen import seen_from_here
from workbench.definition.there import path_of, text_in
from workbench.errors import FileError, NotebookFailed, ParameterError
from workbench.headless.comparing_nothing import refuse_nothing_to_compare
from workbench.headless.execution import Execution
from workbench.headless.job import Job
from workbench.headless.left_behind import NotebookRun
from workbench.headless.left_record import LeftRecord, get_ready_for_records, read_left_record, read_reviewed_record
from workbench.headless.notebook_files import as_text, load_notebook, printed_by, write_whole
from workbench.headless.one_writer import only_writer
from workbench.headless.papermill_engine import WorkbenchEngine
from workbench.headless.parameters import (
    Parameter,
    check_parameters,
    declared_parameters,
    files_named,
    with_own_tasks,
)
from workbench.headless.published import (
    ABOUT,
    COMPLETED,
    about_notebook,
    changes_between,
    seen_from,
    without_papermills_marks,
)
from workbench.headless.task_check import refuse_broken_tasks_of, refuse_without_tasks
from workbench.secrets import without_secrets
from workbench.trial.record_aside import REPORT_FOLDER, folder_aside, save_aside
from workbench.trial.record_files import RECORD_PARTS, remove_files, write_record_folder

if TYPE_CHECKING:
    from workbench.headless.left_decisions import LeftDecisions

_log = logging.getLogger(__name__)

_SECONDS_TO_START = 180
"""For a kernel, on a machine with much else to do."""


def run_document(document: NotebookNode, job: Job, *, progress: bool) -> NotebookRun:
    """Runs the notebook that was loaded for the job; see `run_notebook`."""
    declared, project = declared_parameters(document), project_folder()
    with _writing(job.out):
        path_of(job.out)
    task = _what_is_left(document, job, declared, project)
    if not isinstance(task, NotebookRun):
        refuse_broken_tasks_of(document, declared, task.parameters, project=project)
        refuse_nothing_to_compare(declared, task.parameters, project=project)
        refuse_without_tasks(declared, task.parameters, project=project)
    left = _Left(job, declared, project)
    with _writing(job.out), only_writer(job.out, of=str(job.notebook)), _PageBeside(job.notebook.stem, left) as page:
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
        started = time.monotonic()
        if left.may_come and not job.finished.exists():  # else it has been left there before
            write_record_folder(job.out)
        left.begin(task.parameters)
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
            _publish(executed, page.of(executed), job, left)
            # Papermill fails for a cell that is meant to raise too.
            if executed.metadata[ABOUT]["outcome"] != COMPLETED:
                raise _failed(job, _reason(error)) from None
        except (KeyboardInterrupt, SystemExit):
            executed = _unfinished(job)
            _publish(executed, page.of(executed), job, left)
            raise
        else:
            _publish(executed, page.of(executed), job, left)
            if not left.is_there and (cells := _cells_left(executed)):
                raise _failed(job, _ended_itself(executed, cells))
    return _left_behind(executed, job, left, seconds=time.monotonic() - started)


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
        left = _Left(job, declared, project)
        left.begin(parameters, earlier_counts=True)
        return _left_behind(before, job, left, seconds=0.0)
    return _Task(parameters=parameters, earlier=before, changed=changed)


class _Left:
    """The record that a run leaves in its folder, if it does; one that an earlier run left there is not its own."""

    def __init__(self, job: Job, declared: Mapping[str, Parameter], project: Path) -> None:
        self._job, self._declared, self._project = job, declared, project
        self._files: tuple[str, ...] = ()
        self._values: dict[str, Any] = {}
        self._before: int | None = None
        self._aside: Path | None = None
        self._read: LeftRecord | LeftDecisions | None = None

    def begin(self, parameters: Mapping[str, Any], *, earlier_counts: bool = False) -> None:
        """Notes what is there before the run with these parameters."""
        self._files = tuple(files_named(self._declared, parameters, project=self._project).values())
        self._values = {name: parameter.literal for name, parameter in self._declared.items()} | dict(parameters)
        record = self._job.out / RECORD_FILE
        self._before = None if earlier_counts else _written_at(record)
        left_as = next((path for path in (record, self._job.finished, self._job.page) if path.exists()), None)
        self._aside = None if left_as is None else folder_aside(self._job.out, left_as=left_as, holding=[left_as.name])

    @property
    def may_come(self) -> bool:
        """Whether the notebook has a parameter that says where a record goes."""
        return "out" in self._declared

    @property
    def is_there(self) -> bool:
        """Whether the run has left one."""
        return _written_at(self._job.out / RECORD_FILE) not in (None, self._before)

    @property
    def aside(self) -> Path | None:
        """Where another run now is that the folder held before."""
        return self._aside if self._aside is not None and self._aside.exists() else None

    def save_another_aside(self, executed: NotebookNode) -> None:
        """Moves the notebook and the page of an earlier run to its record, where that was moved; or all of it beside
        the folder, where it came to its end and this one did not, or has no record and was made of something else. So
        it moves a page that is none of ours."""
        job = self._job
        if self._aside is None:
            return
        names: tuple[str, ...] = ()
        if job.finished.exists() and (
            self.aside is not None or _would_be_lost(job.finished, executed, has_record=self.is_there)
        ):
            record = () if self.aside is not None or self.is_there else (REPORT_FOLDER, *RECORD_PARTS)
            names = (job.finished.name, job.page.name, *record)
        elif job.page.exists() and not _is_ours(job.page):
            names = (job.page.name,)
        if names:
            with alone_in(job.out):
                save_aside(job.out, names, self._aside)
                remove_files(job.out, names)
        if self.aside is not None:
            _log.warning("%s held another run, which is now in %s", *map(seen_from_here, (job.out, self.aside)))

    def read(self) -> LeftRecord | LeftDecisions | None:
        """The record; `None`: there is none, or it cannot be read, which is said."""
        if self._read is None and self.may_come and self.is_there:
            self._read = read_left_record(self._job.out, files=self._files, project=self._project)
        return self._read

    @property
    def reviews(self) -> str:
        """The record that a notebook names which leaves none, by its parameter `record`; "" where it names none."""
        named = self._values.get("record")
        return named if isinstance(named, str) and not self.may_come else ""

    def read_for_page(self) -> LeftRecord | LeftDecisions | None:
        """The record that the page is about: that which was left, else that which is reviewed."""
        if not self.reviews:
            return self.read()
        baseline = self._values.get("baseline")
        return read_reviewed_record(
            self._project / self.reviews,
            baseline=baseline if isinstance(baseline, str) else "",
            project=self._project,
        )


def _is_ours(page: Path) -> bool:
    from workbench.comparison.report.document import is_our_document

    return is_our_document(page)


def _would_be_lost(finished: Path, executed: NotebookNode, *, has_record: bool) -> bool:
    """Whether the notebook in this file came to its end and is replaced by one that did not, or, where no record says
    what is the same, by one that was made of something else. What cannot be read is not known to be ours."""
    try:
        earlier = load_notebook(finished)
    except FileError:
        return True
    was, now = (each.metadata.get(ABOUT, {}) for each in (earlier, executed))
    if was.get("outcome") != COMPLETED:
        return ABOUT not in earlier.metadata
    if now.get("outcome") != COMPLETED:
        return True
    made_of = [
        (about.get("notebook"), about.get("files"), _parameters_of(each))
        for about, each in ((was, earlier), (now, executed))
    ]
    return not has_record and made_of[0] != made_of[1]


def _failed(job: Job, why: str) -> NotebookFailed:
    return NotebookFailed(
        f"{job.notebook}: {without_secrets(why)}",
        saved=f"What ran before it is saved in {job.finished}\nIts paths start at {project_folder()}",
        to_go_on="To go on, run it again with go_on=True",
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

    def __init__(self, title: str, left: _Left) -> None:
        self._title = title
        self._left = left
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
        if self._left.may_come or self._left.reviews:
            self._thread.submit(get_ready_for_records)

    def begin(self, executed: NotebookNode) -> None:
        executed = copy.deepcopy(executed)  # papermill adds to its own
        self._begun = executed, self._thread.submit(_page, executed, self._title, self._left)

    def of(self, executed: NotebookNode) -> str:
        """The page of what was executed in the end, whatever was begun."""
        if self._begun is not None and self._begun[0] == executed:
            return self._begun[1].result()
        return _page(executed, self._title, self._left)


def _page(executed: NotebookNode, title: str, left: _Left) -> str:
    from workbench.headless.page import html_page

    record = left.read_for_page()
    return html_page(executed, title=title, record=None if record is None else record.page_parts())


def _get_ready_for_pages() -> None:
    from workbench.headless.page import get_ready_for_pages

    get_ready_for_pages()


def _publish(executed: NotebookNode, page: str, job: Job, left: _Left) -> None:
    """Leave the notebook and the page for others; each appears whole or not at all."""
    left.save_another_aside(executed)
    write_whole(job.page, page)
    write_whole(job.finished, as_text(executed))
    job.partial.unlink()


def _unfinished(job: Job) -> NotebookNode:
    return without_papermills_marks(nbformat.reads(text_in(job.partial), as_version=4))


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


def _left_behind(executed: NotebookNode, job: Job, left: _Left, *, seconds: float) -> NotebookRun:
    record = left.read()
    return NotebookRun(
        notebook=job.finished,
        page=job.page,
        record=job.out if left.may_come and left.is_there else None,
        verdict=printed_by(executed, tag="verdict"),
        seconds=seconds,
        tried=None if record is None else record.tried,
    )


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
