"""Reading a record whose scores are found again from its replies: what is written beside a reply is not trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from workbench.errors import RecordError
from workbench.grading.catalogue import standard
from workbench.markup import counted
from workbench.trial import record
from workbench.trial.regrade import grade_again
from workbench.trial.task import Task
from workbench.trial.trial import GraderFactory, Run


def load_run(
    folder: str | Path,
    *,
    graders: Mapping[str, GraderFactory] | None = None,
    tasks: Iterable[Task] | None = None,
) -> Run:
    """The run that was exported to this folder, with the scores that its replies get here.

    The folder may also be named by a file in it, such as the executed notebook that left the record. `graders` is the
    catalogue in which the graders of its tasks are looked up, `workbench.graders.standard()` unless given: whoever has
    graders of their own adds them. `tasks` are those of a task file that is known to be right: their graders count
    instead of those that the record says, and the remarks of the run say of which of them it has no replies. A score
    that cannot be found again stays as it was recorded; the remarks and `Trial.as_recorded` say so, and `gate` does not
    decide by it.

    Raises:
        RecordError: a file is missing, broken, changed since, no file of the record's own folder, or of a format this
            version does not know; or one of its tasks is not among `tasks`, or asks something else.
    """
    run = record.load_run(folder)
    if tasks is not None:
        run = _held_to(run, {task.id: task for task in tasks}, folder)
    return grade_again(run, standard() if graders is None else graders)


def _held_to(run: Run, tasks: Mapping[str, Task], folder: str | Path) -> Run:
    """The run with these tasks in place of those that it says it had."""
    for task in run.tasks:
        known = tasks.get(task.id)
        if known is None or known.message != task.message:
            what = "is none of the tasks that were given" if known is None else "asks something else than the one given"
            raise RecordError(f"its task {task.id!r} {what}", path=folder)
    recorded = {task.id for task in run.tasks}
    left_out = [task_id for task_id in tasks if task_id not in recorded]
    remark = (
        f"{counted(len(left_out), 'task')} that was given is not in the record"
        if len(left_out) == 1
        else (f"{counted(len(left_out), 'task')} that were given are not in the record")
    )
    return replace(
        run,
        tasks=tuple(tasks[task.id] for task in run.tasks),
        remarks=(*run.remarks, *([f"{remark}: {', '.join(map(repr, left_out[:5]))}"] if left_out else [])),
    )
