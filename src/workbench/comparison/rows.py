"""Which variants, tasks or trials of a comparison to look at, and in what order."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.flips import THRESHOLD, Flip
from workbench.errors import ComparisonError
from workbench.statistics.means import Floats
from workbench.trial.trial import Outcome, Run, Trial

if TYPE_CHECKING:
    from pandas import DataFrame as DataFrame

    from workbench.comparison.tables import Comparison

FLIPS: tuple[Flip | None, ...] = (None, "now passes", "now fails")
"""What the codes of `flip_codes` mean."""
_DIGITS = re.compile(r"(\d+)")

Places = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, repr=False)
class Rows:
    """Rows of a comparison: which ones, and sorted by what. What is left out does not matter.

    A task or a variant is one of them where any of its trials would be; its figures are those of all its trials.
    """

    of: Literal["variants", "tasks", "trials"] = "trials"
    variant: str | None = None
    task: str | None = None
    grader: str | None = None
    """Trials that this grader looked at; `scored` is then about its score instead of their mean."""
    scored: Literal["passed", "failed", "missing"] | None = None
    """A score of 0.5 or more, less than that, or none."""
    outcome: Outcome | None = None
    flipped: Literal["either", "now passes", "now fails"] | None = None
    """Trials of tasks that most repeats passed with the baseline and now fail, or the other way round."""
    text: str = ""
    """Occurs in the task's name, group or message, in the reply, or in what failed; capitals do not matter."""
    sort: str | None = None
    """A column of `Comparison.by_variant`, `by_task` or `trials`, by the name it has there; also "flip" of trials."""
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


def find_rows(comparison: Comparison, rows: Rows, *, texts: Sequence[str] | None = None) -> Places:
    """The places of the rows in `Run.variants`, `Run.tasks` or `Run.trials`: what `by_variant.iloc` and so on take.

    `texts` are `searchable_texts(comparison.run)`, where they are at hand.

    Raises:
        ComparisonError: the run has no such variant, task or grader, or the table no such column.
    """
    attempts = comparison.columns.attempts
    count = {
        "variants": len(comparison.run.variants),
        "tasks": len(comparison.run.tasks),
        "trials": len(comparison.run.trials),
    }[rows.of]
    found: Places = np.arange(count)
    if rows.is_filtered:
        chosen = _chosen_trials(comparison, rows, texts)
        place = {"variants": attempts.variant, "tasks": attempts.task, "trials": found}[rows.of]
        found = np.unique(place[chosen])
    if rows.sort is None:
        return found
    values = _sort_values(comparison, rows.of, rows.sort)[found]
    return found[np.argsort(-values if rows.descending else values, kind="stable")]


def frame_at(comparison: Comparison, rows: Rows, places: Places) -> DataFrame:
    """The rows at these places, of `comparison.by_variant`, `by_task` or `trials`."""
    frame = {
        "variants": lambda: comparison.by_variant,
        "tasks": lambda: comparison.by_task,
        "trials": lambda: comparison.trials,
    }
    return frame[rows.of]().iloc[places]


def searchable_texts(run: Run) -> list[str]:
    """What is searched of each trial besides its task, capitals made small."""
    return [_said(trial).casefold() for trial in run.trials]


def flip_codes(comparison: Comparison) -> NDArray[np.int8]:
    """Variants by tasks: the place in `FLIPS` of how the task went with that variant; 0 for the baseline."""
    variants = {name: number for number, name in enumerate(comparison.run.variants)}
    tasks = {task.id: number for number, task in enumerate(comparison.run.tasks)}
    codes = np.zeros((len(variants), len(tasks)), dtype=np.int8)
    for change in comparison.flipped.flipped:
        codes[variants[change.variant], tasks[change.task_id]] = FLIPS.index(change.flip)
    return codes


def _chosen_trials(comparison: Comparison, rows: Rows, texts: Sequence[str] | None) -> NDArray[np.bool_]:
    run, columns = comparison.run, comparison.columns
    attempts = columns.attempts
    chosen = np.ones(len(run.trials), dtype=np.bool_)
    if rows.variant is not None:
        chosen &= attempts.variant == _place(rows.variant, run.variants, "variant")
    if rows.task is not None:
        chosen &= attempts.task == _place(rows.task, [task.id for task in run.tasks], "task")
    if rows.outcome is not None:
        chosen &= _all(outcome == rows.outcome for outcome in columns.outcome)
    score = attempts.score
    if rows.grader is not None:
        _place(rows.grader, columns.scores, "grader")
        score = columns.scores[rows.grader]
        chosen &= _all(rows.grader in trial.scores for trial in run.trials)
    if rows.scored is not None:
        passed = score >= THRESHOLD - 1e-12
        chosen &= {"passed": passed, "failed": ~passed & ~np.isnan(score), "missing": np.isnan(score)}[rows.scored]
    if rows.flipped is not None:
        codes = flip_codes(comparison)
        hit = codes > 0 if rows.flipped == "either" else codes == FLIPS.index(rows.flipped)
        hit[list(run.variants).index(comparison.baseline)] = hit.any(axis=0)
        chosen &= hit[attempts.variant, attempts.task]
    if rows.text:
        chosen &= _mentioning(run, attempts.task, rows.text.casefold(), texts)
    return chosen


def _mentioning(run: Run, task: Places, text: str, texts: Sequence[str] | None) -> NDArray[np.bool_]:
    asked = _all(text in f"{task.id}\n{task.group or ''}\n{task.message}".casefold() for task in run.tasks)
    said = searchable_texts(run) if texts is None else texts
    return asked[task] | _all(text in words for words in said)


def _said(trial: Trial) -> str:
    reply = "" if trial.reply is None else trial.reply.text
    failure = trial.failure
    return reply if failure is None else f"{reply}\n{failure.type}: {failure.message}"


def _sort_values(comparison: Comparison, of: str, name: str) -> Floats:
    columns = {"variants": _of_variants, "tasks": _of_tasks, "trials": _of_trials}[of](comparison)
    if name not in columns:
        raise ComparisonError(f"the {of} have no column {name!r} to sort by; they have {', '.join(map(repr, columns))}")
    values = columns[name]()
    return values if isinstance(values, np.ndarray) else _ranks(values)


def _of_variants(comparison: Comparison) -> Mapping[str, Any]:
    rows = [summary.as_row() for summary in comparison.summaries]
    numbers = {name: lambda name=name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
    return {"variant": lambda: list(comparison.run.variants), **numbers}


def _of_tasks(comparison: Comparison) -> Mapping[str, Any]:
    run = comparison.run
    base = comparison.scores[comparison.baseline].means
    found: dict[str, Any] = {
        "task": lambda: [task.id for task in run.tasks],
        "group": lambda: [task.group for task in run.tasks],
    }
    for name, scores in comparison.scores.items():
        found[f"score: {name}"] = lambda scores=scores: scores.means
        if name != comparison.baseline:
            found[f"difference: {name}"] = lambda scores=scores: scores.means - base
    return found


def _of_trials(comparison: Comparison) -> Mapping[str, Any]:
    run, columns = comparison.run, comparison.columns
    attempts = columns.attempts
    return {
        "task": lambda: _ranks([task.id for task in run.tasks])[attempts.task],
        "group": lambda: _ranks([task.group for task in run.tasks])[attempts.task],
        "variant": lambda: _ranks(list(run.variants))[attempts.variant],
        "repeat": lambda: attempts.repeat.astype(np.float64),
        "outcome": lambda: columns.outcome,
        "score": lambda: attempts.score,
        **{f"score: {label}": lambda column=column: column for label, column in columns.scores.items()},
        "flip": lambda: _or_nan(flip_codes(comparison)[attempts.variant, attempts.task]),
        "model": lambda: [None if trial.reply is None else trial.reply.model for trial in run.trials],
        "stop_reason": lambda: [None if trial.reply is None else trial.reply.stop_reason for trial in run.trials],
        "input_tokens": lambda: columns.input_tokens,
        "output_tokens": lambda: columns.output_tokens,
        "cost_usd": lambda: columns.usd,
        "seconds_to_first_token": lambda: columns.seconds_to_first_token,
        "seconds": lambda: columns.seconds,
        "reply": lambda: [None if trial.reply is None else trial.reply.text[:100] for trial in run.trials],
    }


def _ranks(texts: Sequence[str | None]) -> Floats:
    """Numbers in the order of the texts, in which "case 9" comes before "case 10"; NaN for none."""
    distinct = sorted({text for text in texts if text is not None}, key=_by_numbers)
    rank = {text: float(number) for number, text in enumerate(distinct)}
    return np.array([np.nan if text is None else rank[text] for text in texts], dtype=np.float64)


def _by_numbers(text: str) -> tuple[list[str | int], str]:
    parts = _DIGITS.split(text.casefold())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], text


def _or_nan(codes: NDArray[np.int8]) -> Floats:
    return np.where(codes == 0, np.nan, codes.astype(np.float64))


def _all(found: Iterable[bool]) -> NDArray[np.bool_]:
    return np.fromiter(found, dtype=np.bool_)


def _place(name: str, known: Collection[str], what: str) -> int:
    try:
        return list(known).index(name)
    except ValueError:
        listed = ", ".join(repr(one) for one in list(known)[:10]) + (" and more" if len(known) > 10 else "")
        raise ComparisonError(f"the run has no {what} {name!r}; it has {listed or 'none'}") from None
