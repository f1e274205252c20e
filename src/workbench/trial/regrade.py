"""Grading a recorded run anew, without asking for a single reply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from workbench.errors import PlanError
from workbench.trial.graded import grade_trial, graders_by_task
from workbench.trial.task import Task
from workbench.trial.trial import GraderFactory, Run


def regrade(run: Run, graders: Mapping[str, GraderFactory], *, tasks: Iterable[Task] | None = None) -> Run:
    """The run with its replies graded again; nothing is asked, and replies and failures stay as they are.

    `graders` is the catalogue in which the graders that tasks name are looked up. `tasks` take the place of the run's
    tasks of the same ids: those of a task file in which graders, targets or groups have changed since. What a task
    asks must be what it asked.

    Raises:
        PlanError: one of `tasks` is not in the run, is given twice, or asks something else than it did.
        UnknownGrader: a task names a grader that is not in the catalogue, or options that it does not take.
    """
    found = {task.id: task for task in run.tasks}
    given: set[str] = set()
    for task in tasks or ():
        if task.id not in found:
            raise PlanError(f"the run has no task {task.id!r} to grade anew; it has {', '.join(map(repr, found))}")
        if task.id in given:
            raise PlanError(f"two tasks have the id {task.id!r}; ids must differ")
        if task.message != found[task.id].message:
            raise PlanError(
                f"task {task.id!r} asks something else than it did in the run, so its replies answer another question; "
                "run it, or leave its input and context as they were"
            )
        found[task.id] = task
        given.add(task.id)
    made = graders_by_task(found.values(), graders)
    return replace(
        run,
        tasks=tuple(found.values()),
        trials=tuple(grade_trial(trial, found[trial.task_id], made[trial.task_id]) for trial in run.trials),
    )
