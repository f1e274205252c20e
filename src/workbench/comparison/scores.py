"""The trials of a run as arrays: what each variant scored on each task, and what has no score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from workbench.comparison.statistics import Floats, case_means
from workbench.errors import ComparisonError
from workbench.trial.trial import Run, Trial

STATUSES = ("scored", "declined", "refused", "cut_off", "empty", "failed", "stopped", "not_run")
"""How an attempt counts: scored, answered but every grader declined, another outcome, or never made."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What one variant scored."""

    by_repeat: Floats
    """Tasks in the order of `Run.tasks` by repeats; NaN where there is no score."""
    statuses: Mapping[str, int]
    """How many attempts ended in each of `STATUSES`; adds up to tasks times repeats."""

    @property
    def means(self) -> Floats:
        """The mean of each task, NaN where it has no score."""
        return case_means(self.by_repeat)

    @property
    def planned(self) -> int:
        return self.by_repeat.size

    @property
    def missing(self) -> int:
        """Planned attempts without a score."""
        return self.planned - self.statuses["scored"]


def scores_by_variant(run: Run) -> dict[str, Scores]:
    """The scores of every variant, in the order of `Run.variants`.

    Raises:
        ComparisonError: the run holds a trial that it did not plan, or two of one.
    """
    rows = {task.id: row for row, task in enumerate(run.tasks)}
    shape = (len(run.tasks), run.repeats)
    tables = {name: np.full(shape, np.nan) for name in run.variants}
    counts = {name: Counter(dict.fromkeys(STATUSES, 0)) for name in run.variants}
    seen = {name: np.zeros(shape, dtype=bool) for name in run.variants}
    for trial in run.trials:
        row = rows.get(trial.task_id)
        if row is None or trial.variant not in tables or not 0 <= trial.repeat < run.repeats:
            raise ComparisonError(f"the run holds a trial that it did not plan: {_place(trial)}")
        if seen[trial.variant][row, trial.repeat]:
            raise ComparisonError(f"the run holds two trials of {_place(trial)}")
        seen[trial.variant][row, trial.repeat] = True
        score = trial.score
        counts[trial.variant][_status(trial, score)] += 1
        if score is not None:
            tables[trial.variant][row, trial.repeat] = score
    for name, counted in counts.items():
        counted["not_run"] = int((~seen[name]).sum())
    return {name: Scores(by_repeat=tables[name], statuses=counts[name]) for name in run.variants}


def groups_of(run: Run) -> tuple[Hashable, ...] | None:
    """The group of each task, a task without one being its own; `None` where no task has a group."""
    if all(task.group is None for task in run.tasks):
        return None
    return tuple(("task", task.id) if task.group is None else ("group", task.group) for task in run.tasks)


def is_stand_in(run: Run) -> bool:
    """Whether any reply of the run was made up by the offline stand-in."""
    return run.place.is_stand_in or any(trial.place.is_stand_in for trial in run.trials)


def _place(trial: Trial) -> str:
    return f"task {trial.task_id!r}, variant {trial.variant!r}, repeat {trial.repeat}"


def _status(trial: Trial, score: float | None) -> str:
    if score is not None:
        return "scored"
    outcome = trial.outcome
    return "declined" if outcome == "answered" else outcome
