"""The trials of a run as arrays: what each variant scored on each task, and what has no score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ComparisonError
from workbench.statistics.means import Floats, case_means
from workbench.trial.trial import Run, Trial

STATUSES = ("scored", "declined", "refused", "cut_off", "empty", "failed", "stopped", "not_run")
"""How an attempt counts: scored, answered but every grader declined, another outcome, or never made."""

_CODES = {status: code for code, status in enumerate(STATUSES)} | {"answered": STATUSES.index("declined")}
_SCORED = STATUSES.index("scored")


@dataclass(frozen=True, kw_only=True, eq=False)
class Attempts:
    """Where each trial stands in its plan and how it ended, in the order of `Run.trials`."""

    task: NDArray[np.intp]
    """Its number in `Run.tasks`."""
    variant: NDArray[np.intp]
    """Its number in `Run.variants`."""
    repeat: NDArray[np.intp]
    status: NDArray[np.intp]
    """Its number in `STATUSES`."""
    score: Floats
    """0..1; NaN where there is none."""


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


def attempts_of(run: Run) -> Attempts:
    """Where every trial stands in its plan, how it ended, and its score.

    Raises:
        ComparisonError: the run holds a trial that it did not plan, or two of one, or some of its replies were made up
            by the offline stand-in and others were not.
    """
    _refuse_mixture(run)
    rows = {task.id: row for row, task in enumerate(run.tasks)}
    numbers = {name: number for number, name in enumerate(run.variants)}
    # Four lists of numbers and not one of tuples, each of which the garbage collector would look at.
    numbers_of: tuple[list[int], ...] = ([], [], [], [])
    scores: list[float] = []
    add_row, add_number, add_repeat, add_code = (column.append for column in numbers_of)
    for trial in run.trials:
        row, number = rows.get(trial.task_id), numbers.get(trial.variant)
        if row is None or number is None or not 0 <= trial.repeat < run.repeats:
            raise ComparisonError(f"the run holds a trial that it did not plan: {_name_of(trial)}")
        outcome = trial.outcome
        score = trial.score if outcome == "answered" else None
        add_row(row)
        add_number(number)
        add_repeat(trial.repeat)
        add_code(_CODES[outcome] if score is None else _SCORED)
        scores.append(np.nan if score is None else score)
    task, variant, repeat, status = (np.array(column, dtype=np.intp) for column in numbers_of)
    found = Attempts(
        task=task,
        variant=variant,
        repeat=repeat,
        status=status,
        score=np.array(scores, dtype=np.float64),
    )
    _refuse_doubles(run, found)
    return found


def scores_by_variant(run: Run, attempts: Attempts | None = None) -> dict[str, Scores]:
    """The scores of every variant, in the order of `Run.variants`.

    `attempts` are those of `attempts_of(run)`, where they are at hand.

    Raises:
        ComparisonError: the run holds a trial that it did not plan, or two of one.
    """
    found = attempts_of(run) if attempts is None else attempts
    tables = np.full((len(run.variants), len(run.tasks), run.repeats), np.nan)
    tables[found.variant, found.task, found.repeat] = found.score
    scores = {}
    for number, name in enumerate(run.variants):
        counts = np.bincount(found.status[found.variant == number], minlength=len(STATUSES)).tolist()
        statuses = dict(zip(STATUSES, counts, strict=True))
        statuses["not_run"] = len(run.tasks) * run.repeats - sum(counts)
        scores[name] = Scores(by_repeat=tables[number], statuses=statuses)
    return scores


def groups_of(run: Run) -> tuple[Hashable, ...] | None:
    """The group of each task, a task without one being its own; `None` where no task has a group."""
    if all(task.group is None for task in run.tasks):
        return None
    return tuple(("task", task.id) if task.group is None else ("group", task.group) for task in run.tasks)


def is_stand_in(run: Run) -> bool:
    """Whether any reply of the run was made up by the offline stand-in."""
    if not run.trials:
        return run.endpoint.is_stand_in
    return any(trial.endpoint.is_stand_in for trial in run.trials)


def _refuse_mixture(run: Run) -> None:
    if len({trial.endpoint.is_stand_in for trial in run.trials}) < 2:
        return
    counts: dict[str, Counter[bool]] = {}
    for trial in run.trials:
        counts.setdefault(trial.variant, Counter())[trial.endpoint.is_stand_in] += 1
    made_up = {name: count[True] for name, count in counts.items() if count[True]}
    asked = {name: count[False] for name, count in counts.items() if count[False]}
    raise ComparisonError(
        f"some attempts of the run were made up by the offline stand-in ({_counted(made_up)}), and a model was asked "
        f"for others ({_counted(asked)}): the two are not compared; run all of them live, or all of them offline"
    )


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} of {name!r}" for name, count in counts.items())


def _refuse_doubles(run: Run, found: Attempts) -> None:
    cells: NDArray[Any] = (found.variant * len(run.tasks) + found.task) * run.repeats + found.repeat
    _, first = np.unique(cells, return_index=True)
    if len(first) < len(cells):
        double = min(set(range(len(cells))) - set(first.tolist()))
        raise ComparisonError(f"the run holds two trials of {_name_of(run.trials[double])}")


def _name_of(trial: Trial) -> str:
    return f"task {trial.task_id!r}, variant {trial.variant!r}, repeat {trial.repeat}"
