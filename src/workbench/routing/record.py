"""Decisions as a run that a record holds: on one list of agents, or before and after a change of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from workbench.errors import ComparisonError
from workbench.trial.trial import Run, Trial

BEFORE = "before, "
"""What the variants of a run begin with that were asked with the agents as they were."""
AFTER = "after, "


def both_in_one(before: Run, after: Run) -> Run:
    """One run of the decisions before and after a change, on the same cases; `sides_of` has them again.

    Raises:
        ComparisonError: the cases are not the same, or repeated otherwise.
    """
    if before.tasks != after.tasks or before.repeats != after.repeats:
        raise ComparisonError("what was asked before and after is not the same, so one record cannot hold both")
    sides = ((BEFORE, before), (AFTER, after))
    by_task: dict[str, list[Trial]] = {task.id: [] for task in before.tasks}
    for mark, run in sides:
        for trial in run.trials:
            by_task[trial.task_id].append(trial.replace(variant=f"{mark}{trial.variant}"))
    return replace(
        after,
        variants={f"{mark}{name}": agent for mark, run in sides for name, agent in run.variants.items()},
        trials=tuple(trial for trials in by_task.values() for trial in trials),
    )


def sides_of(run: Run) -> tuple[Run | None, Run]:
    """The decisions before a change and after it; `None` and the run itself where it holds those on one list alone."""
    before = [name for name in run.variants if name.startswith(BEFORE)]
    after = [name for name in run.variants if name.startswith(AFTER)]
    if not before or not after:
        return None, run
    return _only(run, before, BEFORE), _only(run, after, AFTER)


def _only(run: Run, names: Iterable[str], mark: str) -> Run:
    kept = set(names)
    return replace(
        run,
        variants={name.removeprefix(mark): agent for name, agent in run.variants.items() if name in kept},
        trials=tuple(
            trial.replace(variant=trial.variant.removeprefix(mark)) for trial in run.trials if trial.variant in kept
        ),
    )
