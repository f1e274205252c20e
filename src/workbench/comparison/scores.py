"""The trials of a run as arrays: what each variant scored on each task, and what has no score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.figures import percent
from workbench.errors import ComparisonError
from workbench.statistics.means import Floats, case_means
from workbench.statistics.permutation import mcnemar
from workbench.statistics.power import ALPHA
from workbench.trial.trial import Request, Run, Trial

STATUSES = ("scored", "declined", "ungraded", "refused", "cut_off", "empty", "failed", "stopped", "not_run")
"""How an attempt counts: scored, answered but every grader declined, answered where its task names no grader, another
outcome, or never made."""
ANSWERED = ("scored", "declined", "ungraded")
"""Those of `STATUSES` of a reply that is whole."""

MOST_MISSING = 0.05
"""The share of attempts without a score above which there is no verdict."""
MOST_APART = 0.01
"""The difference between two variants' shares without a score above which there is no verdict."""
THRESHOLD = 0.5
"""The score from which on a repeat passes."""

_CODES = {status: code for code, status in enumerate(STATUSES)} | {"answered": STATUSES.index("declined")}
_SCORED = STATUSES.index("scored")
_UNGRADED = STATUSES.index("ungraded")


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
    graded_statuses: Mapping[str, int]
    """The same over the tasks whose replies are graded."""

    @property
    def means(self) -> Floats:
        """The mean of each task, NaN where it has no score."""
        return case_means(self.by_repeat)

    @property
    def planned(self) -> int:
        return self.by_repeat.size

    @property
    def to_score(self) -> int:
        """Planned attempts at the tasks whose replies are graded."""
        return sum(self.graded_statuses.values())

    @property
    def missing(self) -> int:
        """Those without a score."""
        return self.to_score - self.statuses["scored"]


def attempts_of(run: Run) -> Attempts:
    """Where every trial stands in its plan, how it ended, and its score.

    Raises:
        ComparisonError: the run holds a trial that it did not plan, or two of one, or some of its replies were made up
            by the offline stand-in and others were not.
    """
    _refuse_mixture(run)
    rows = {task.id: row for row, task in enumerate(run.tasks)}
    names_graders = [bool(task.graders) for task in run.tasks]
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
        if score is not None:
            add_code(_SCORED)
        elif outcome == "answered" and not trial.scores and not names_graders[row]:
            add_code(_UNGRADED)
        else:
            add_code(_CODES[outcome])
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
    graded = graded_tasks(run, found)
    scores = {}
    for number, name in enumerate(run.variants):
        own = found.variant == number
        scores[name] = Scores(
            by_repeat=tables[number],
            statuses=_statuses(found.status[own], len(run.tasks) * run.repeats),
            graded_statuses=_statuses(found.status[own & graded[found.task]], int(graded.sum()) * run.repeats),
        )
    return scores


def graded_tasks(run: Run, attempts: Attempts) -> NDArray[np.bool_]:
    """By task, whether its replies are graded: not where it names no grader, and what was answered has no score."""
    answered = np.isin(attempts.status, [STATUSES.index(status) for status in ("scored", "declined")])
    ungraded = np.bincount(attempts.task[attempts.status == _UNGRADED], minlength=len(run.tasks)) > 0
    graded = np.bincount(attempts.task[answered], minlength=len(run.tasks)) > 0
    found: NDArray[np.bool_] = graded | ~ungraded
    return found


def does_pass(scores: Floats, threshold: float = THRESHOLD) -> NDArray[np.bool_]:
    """Whether each score passes; NaN does not."""
    passed: NDArray[np.bool_] = scores >= threshold - 1e-12
    return passed


def missing_in_words(missing: tuple[int, int], planned: int, *, most: float = MOST_MISSING) -> str:
    """What is wrong with so many missing of two variants, of `planned` each: more than the share `most`, `MOST_APART`,
    or a share that chance would not make so unequal (exact test of an equal split); "" where nothing is."""
    if max(missing) > most * planned:
        return f"more than {percent(most)} are missing"
    if abs(missing[0] - missing[1]) > MOST_APART * planned or mcnemar(*missing).p <= ALPHA:
        return "not the same share is missing"
    return ""


def same_requests(run: Run, *, baseline: str) -> frozenset[str]:
    """The variants that send the very requests of the baseline for every task that both were asked (A/A)."""
    asked: dict[str, dict[str, Request]] = {name: {} for name in run.variants}
    for trial in run.trials:
        asked[trial.variant].setdefault(trial.task_id, trial.request)
    base = asked[baseline]
    common = {name: base.keys() & of_name.keys() for name, of_name in asked.items() if name != baseline}
    return frozenset(
        name for name, tasks in common.items() if tasks and all(base[task] == asked[name][task] for task in tasks)
    )


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


def _statuses(codes: NDArray[np.intp], planned: int) -> dict[str, int]:
    counts = np.bincount(codes, minlength=len(STATUSES)).tolist()
    statuses = dict(zip(STATUSES, counts, strict=True))
    statuses["not_run"] = planned - sum(counts)
    return statuses


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
