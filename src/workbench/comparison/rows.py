"""Which variants, tasks or trials of a comparison to look at, and in what order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.compared import Compared
from workbench.comparison.flips import FLIPS, THRESHOLD
from workbench.comparison.tables import Comparison
from workbench.comparison.trial_table import columns_of, natural_ranks, sort_values
from workbench.errors import ComparisonError
from workbench.statistics.means import Floats
from workbench.trial.trial import Outcome, Run, Trial

if TYPE_CHECKING:
    from workbench.comparison.frames import Frame
RowNumbers = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, repr=False)
class Rows:
    """Rows of a comparison: which ones, and sorted by what. What is left out does not matter.

    A task or a variant is one of them where any of its trials would be; its figures are those of all its trials.
    """

    of: Literal["variants", "tasks", "trials"] = "trials"
    variant: str | None = None
    task: str | None = None
    promise: str | None = None
    """Trials whose replies were held to this promise; `scored` is then about it alone instead of their mean."""
    scored: Literal["passed", "failed", "missing"] | None = None
    """A score of 0.5 or more, less than that, or none."""
    outcome: Outcome | None = None
    flipped: Literal["either", "now passes", "now fails"] | None = None
    """Trials of tasks that most repeats passed with the baseline and now fail, or the other way round."""
    text: str = ""
    """Occurs in the task's name, group or message, in the reply, or in what failed; capitals do not matter."""
    sort: str | None = None
    """A column of `Comparison.by_variant`, `by_task` or `trials`, by the name it has there."""
    descending: bool = False
    """The largest first; what has no value comes last either way."""

    def replace(self, **changes: Any) -> Rows:
        """A copy with these fields changed."""
        return replace(self, **changes)

    @property
    def is_filtered(self) -> bool:
        return self != Rows(of=self.of, sort=self.sort, descending=self.descending)

    def __repr__(self) -> str:
        """As it is written in a cell, without what is as usual."""
        values = ((field.name, getattr(self, field.name), field.default) for field in fields(self))
        given = (f"{name}={value!r}" for name, value, usual in values if name == "of" or value != usual)
        return f"Rows({', '.join(given)})"


def find_rows(compared: Compared, rows: Rows, *, texts: Sequence[str] | None = None) -> RowNumbers:
    """The numbers of the rows in `Run.variants`, `Run.tasks` or `Run.trials`: what `by_variant.iloc` and so on take.

    `texts` are `searchable_texts(compared.run)`, where they are at hand.

    Raises:
        ComparisonError: the run has no such variant, task or promise, or the table no such column.
    """
    attempts = compared.columns.attempts
    count = {
        "variants": len(compared.run.variants),
        "tasks": len(compared.run.tasks),
        "trials": len(compared.run.trials),
    }[rows.of]
    found: RowNumbers = np.arange(count)
    if rows.is_filtered:
        chosen = _chosen_trials(compared, rows, texts)
        of_trial = {"variants": attempts.variant, "tasks": attempts.task, "trials": found}[rows.of]
        found = np.unique(of_trial[chosen])
    if rows.sort is None:
        return found
    values = _sort_values(compared, rows.of, rows.sort)[found]
    return found[np.argsort(-values if rows.descending else values, kind="stable")]


def frame_at(comparison: Comparison, rows: Rows, found: RowNumbers) -> Frame:
    """These rows of `comparison.by_variant`, `by_task` or `trials`."""
    frame = {
        "variants": lambda: comparison.by_variant,
        "tasks": lambda: comparison.by_task,
        "trials": lambda: comparison.trials,
    }
    return frame[rows.of]().iloc[found]


def searchable_texts(run: Run) -> list[str]:
    """What is searched of each trial besides its task, capitals made small."""
    return [_said(trial).casefold() for trial in run.trials]


def _chosen_trials(compared: Compared, rows: Rows, texts: Sequence[str] | None) -> NDArray[np.bool_]:
    run, columns = compared.run, compared.columns
    attempts = columns.attempts
    chosen = np.ones(len(run.trials), dtype=np.bool_)
    if rows.variant is not None:
        chosen &= attempts.variant == _number_of(rows.variant, run.variants, "variant")
    if rows.task is not None:
        chosen &= attempts.task == _number_of(rows.task, [task.id for task in run.tasks], "task")
    if rows.outcome is not None:
        chosen &= _all(outcome == rows.outcome for outcome in columns.outcome)
    score = attempts.score
    if rows.promise is not None:
        _number_of(rows.promise, columns.promises, "promise")
        score = columns.promises[rows.promise]
        chosen &= _all(rows.promise in trial.scores for trial in run.trials)
    if rows.scored is not None:
        passed = score >= THRESHOLD - 1e-12
        chosen &= {"passed": passed, "failed": ~passed & ~np.isnan(score), "missing": np.isnan(score)}[rows.scored]
    if rows.flipped is not None:
        codes = compared.flip_codes
        hit = codes > 0 if rows.flipped == "either" else codes == FLIPS.index(rows.flipped)
        numbers = {name: number for number, name in enumerate(run.variants)}
        for base in compared.baselines:
            held = [numbers[name] for name, against in compared.baseline_of.items() if against == base]
            hit[numbers[base]] = hit[held].any(axis=0)
        chosen &= hit[attempts.variant, attempts.task]
    if rows.text:
        chosen &= _mentioning(run, attempts.task, rows.text.casefold(), texts)
    return chosen


def _mentioning(run: Run, task: RowNumbers, text: str, texts: Sequence[str] | None) -> NDArray[np.bool_]:
    asked = _all(text in f"{task.id}\n{task.group or ''}\n{task.message}".casefold() for task in run.tasks)
    said = searchable_texts(run) if texts is None else texts
    return asked[task] | _all(text in words for words in said)


def _said(trial: Trial) -> str:
    reply = "" if trial.reply is None else trial.reply.text
    failure = trial.failure
    return reply if failure is None else f"{reply}\n{failure.type}: {failure.message}"


def _sort_values(compared: Compared, of: str, name: str) -> Floats:
    columns = {"variants": _of_variants, "tasks": _of_tasks, "trials": _of_trials}[of](compared)
    if name not in columns:
        raise ComparisonError(f"the {of} have no column {name!r} to sort by; they have {', '.join(map(repr, columns))}")
    return columns[name]()


def _of_variants(compared: Compared) -> Mapping[str, Callable[[], Floats]]:
    def numbers(name: str) -> Floats:
        return np.array([row[name] for row in rows], dtype=np.float64)

    rows = [summary.as_row() for summary in compared.summaries]
    names = {"variant": lambda: natural_ranks(list(compared.run.variants))}
    return names | {name: partial(numbers, name) for name in rows[0]}


def _of_tasks(compared: Compared) -> Mapping[str, Callable[[], Floats]]:
    run = compared.run
    found: dict[str, Any] = {
        "task": lambda: natural_ranks([task.id for task in run.tasks]),
        "group": lambda: natural_ranks([task.group for task in run.tasks]),
    }
    for name, scores in compared.scores.items():
        found[f"score: {name}"] = lambda scores=scores: scores.means
        if name in compared.baseline_of:
            base = compared.scores[compared.baseline_of[name]].means
            found[f"difference: {name}"] = lambda scores=scores, base=base: scores.means - base
    return found


def _of_trials(compared: Compared) -> Mapping[str, Callable[[], Floats]]:
    return {column.name: partial(sort_values, column, compared) for column in columns_of(compared)}


def _all(found: Iterable[bool]) -> NDArray[np.bool_]:
    return np.fromiter(found, dtype=np.bool_)


def _number_of(name: str, known: Collection[str], what: str) -> int:
    try:
        return list(known).index(name)
    except ValueError:
        listed = ", ".join(repr(one) for one in list(known)[:10]) + (" and more" if len(known) > 10 else "")
        raise ComparisonError(f"the run has no {what} {name!r}; it has {listed or 'none'}") from None
