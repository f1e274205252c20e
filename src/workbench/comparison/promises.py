"""The verdict, promise by promise: what became of each thing that replies are held to, beside the whole.

A promise is compared as the whole is: task means, paired, by t and by sign flips, over the tasks that both variants
have a score of it for. p values are corrected by Holm for all rows that are shown together and in which anything
differs, criteria of certified judges among them (`judged`). Nothing is compared where attempts of these tasks went
unanswered by more than a verdict puts up with, or where its grader declined on one variant's replies more often than
chance would have it: then it is about other replies of the one than of the other.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.columns import TrialColumns
from workbench.comparison.scores import groups_of, missing_in_words, same_requests
from workbench.errors import ComparisonError
from workbench.markup import counted
from workbench.statistics.changes import CorrectedChange, change_between, corrected_beside
from workbench.statistics.intervals import Floats, Interval
from workbench.statistics.means import case_means, mean_interval
from workbench.statistics.permutation import mcnemar
from workbench.statistics.power import ALPHA, FEWEST_COMPARED

PromiseKind = Literal["better", "worse", "may be better", "may be worse", "no difference shown", "not compared"]
"""With "may be", one of the two tests alone says so, or only before correction: promising, not established."""


@dataclass(frozen=True, kw_only=True)
class PromiseChange:
    """How a variant keeps one promise, compared with the baseline. Scores are in 0..1; what is not known is `None`."""

    promise: str
    variant: str
    baseline: str
    kind: PromiseKind
    before: float | None
    """The baseline's mean over the tasks that both have a score for."""
    after: float | None
    effect: float | None = None
    interval: Interval | None = None
    """95 %, not corrected."""
    t_p: float | None = None
    """Corrected by Holm, as is `sign_flip_p`."""
    sign_flip_p: float | None = None
    comparisons: int = 0
    """For how many rows they are corrected: those in which anything differs at all."""
    tasks: int = 0
    """Tasks that both have a score for."""
    declined: int = 0
    """Replies of both variants on which its grader declined."""
    identical: bool = False
    """Whether it is the same at every task."""
    obstacle: str = ""
    """Why it is not compared."""


@dataclass(frozen=True, kw_only=True)
class PromiseMean:
    """How a variant keeps one promise by itself. Scores are in 0..1."""

    promise: str
    variant: str
    mean: float | None
    """Over tasks; `None` where nothing was scored by it."""
    interval: Interval | None
    """95 %, over tasks."""
    tasks: int
    """Tasks with a score of it."""
    declined: int
    """Replies on which its grader declined."""
    unanswered: int
    """Attempts at the tasks that are held to it, without an answer."""


@dataclass(frozen=True, kw_only=True)
class KeptPromise:
    """What one variant scored by one promise."""

    means: Floats
    """By task, in the order of the run; NaN where there is no score."""
    planned: int
    """Attempts at the tasks that are held to it."""
    unanswered: int
    declined: int


def kept_promises(columns: TrialColumns) -> dict[str, dict[str, KeptPromise]]:
    """By promise and variant, in the order in which they are first met."""
    tasks = range(len(columns.run.tasks))
    held: dict[str, set[int]] = {promise: set() for promise in columns.promises}
    for number, task in zip(tasks, columns.run.tasks, strict=True):
        for spec in task.graders:
            if spec.promise in held:
                held[spec.promise].add(number)
    for number, trial in zip(columns.attempts.task.tolist(), columns.run.trials, strict=True):
        for promise in trial.scores:
            held[promise].add(number)
    return {
        promise: _kept(columns, values, np.isin(tasks, list(held[promise])))
        for promise, values in columns.promises.items()
    }


def promise_means(columns: TrialColumns) -> tuple[PromiseMean, ...]:
    """Each promise of each variant by itself, the least kept first; what has no score last."""
    run = columns.run
    groups = groups_of(run)
    found = [
        _mean(promise, variant, kept, run.repeats, groups)
        for promise, of_each in kept_promises(columns).items()
        for variant, kept in of_each.items()
    ]
    return tuple(sorted(found, key=lambda row: (row.mean is None, row.mean)))


def _mean(
    promise: str, variant: str, kept: KeptPromise, repeats: int, groups: Sequence[Hashable] | None
) -> PromiseMean:
    scored = ~np.isnan(kept.means)
    of_scored = None if groups is None else [group for group, is_in in zip(groups, scored, strict=True) if is_in]
    return PromiseMean(
        promise=promise,
        variant=variant,
        mean=float(kept.means[scored].mean()) if scored.any() else None,
        interval=mean_interval(kept.means[scored], repeats=repeats, groups=of_scored),
        tasks=int(scored.sum()),
        declined=kept.declined,
        unanswered=kept.unanswered,
    )


def promise_changes(columns: TrialColumns, *, baseline: str, families: int = 1) -> tuple[PromiseChange, ...]:
    """Each promise of each other variant against the baseline, the worst first; `families` as in `corrected`."""
    return promises_beside(columns, (), baseline=baseline, families=families)[0]


def promises_beside(
    columns: TrialColumns, others: Sequence[float], *, baseline: str, families: int = 1
) -> tuple[tuple[PromiseChange, ...], tuple[float, ...]]:
    """As `promise_changes`, corrected in one family with what was compared otherwise, of which `others` are the p
    values; and those, corrected."""
    run = columns.run
    kept = kept_promises(columns)
    rows = [
        (variant, promise, of_each[baseline], of_each[variant])
        for variant in run.variants
        if variant != baseline
        for promise, of_each in kept.items()
    ]
    alike = same_requests(run, baseline=baseline)
    return _compared(rows, others, baseline=baseline, groups=groups_of(run), alike=alike, families=families)


def promises_since(
    before: Mapping[str, KeptPromise],
    now: Mapping[str, KeptPromise],
    *,
    names: tuple[str, str],
    groups: Sequence[Hashable] | None,
) -> tuple[PromiseChange, ...]:
    """Each promise of one agent at two times, over the same tasks in the same order, the worst first; `names` are those
    of the two times, the earlier first, as `PromiseChange.baseline` and `.variant` have them."""
    rows = [(names[1], promise, before[promise], kept) for promise, kept in now.items() if promise in before]
    return _compared(rows, (), baseline=names[0], groups=groups, alike=frozenset(), families=1)[0]


def _compared(
    rows: Sequence[tuple[str, str, KeptPromise, KeptPromise]],
    others: Sequence[float],
    *,
    baseline: str,
    groups: Sequence[Hashable] | None,
    alike: Collection[str],
    families: int,
) -> tuple[tuple[PromiseChange, ...], tuple[float, ...]]:
    """The changes of these rows (variant, promise, before, after), and the p values of others, corrected with them;
    `alike` are the variants that send the same requests as the baseline."""
    obstacles = [promise_obstacle(old, new) for _, _, old, new in rows]
    changes = [
        None if obstacle else change_between(old.means, new.means, groups=groups, bounded=True)
        for obstacle, (_, _, old, new) in zip(obstacles, rows, strict=True)
    ]
    found = []
    tested, corrected_others = corrected_beside(changes, others, families=families)
    for (variant, promise, old, new), obstacle, change in zip(rows, obstacles, tested, strict=True):
        both = ~np.isnan(new.means - old.means)
        before, after = (float(side.means[both].mean()) if both.any() else None for side in (old, new))
        found.append(
            PromiseChange(
                promise=promise,
                variant=variant,
                baseline=baseline,
                kind=_kind(change, same=variant in alike),
                before=before,
                after=after,
                effect=None if change is None else change.change.effect,
                interval=None if change is None else change.change.interval,
                t_p=None if change is None else change.t_p,
                sign_flip_p=None if change is None else change.sign_flip_p,
                comparisons=0 if change is None else change.comparisons,
                tasks=int(both.sum()),
                declined=old.declined + new.declined,
                identical=change is not None and not change.change.can_differ,
                obstacle=obstacle,
            )
        )
    return worst_promises_first(found), corrected_others


def worst_promises_first(changes: Iterable[PromiseChange]) -> tuple[PromiseChange, ...]:
    """Those that lost most first; what is not compared last."""
    return tuple(sorted(changes, key=lambda row: (row.effect is None, row.effect)))


def _kind(change: CorrectedChange | None, *, same: bool) -> PromiseKind:
    if change is None:
        return "not compared"
    if same or not (change.is_shown or change.change.is_promising):
        return "no difference shown"
    if change.is_shown:
        return "better" if change.change.effect > 0 else "worse"
    return "may be better" if change.change.effect > 0 else "may be worse"


def promise_obstacle(before: KeptPromise, after: KeptPromise) -> str:
    """Why the two are not compared; "" where they are."""
    wrong = missing_in_words((before.unanswered, after.unanswered), before.planned)
    if wrong:
        return f"{before.unanswered} and {after.unanswered} of {before.planned} attempts went unanswered: {wrong}"
    if mcnemar(before.declined, after.declined).p <= ALPHA:
        return (
            f"its grader declined on {before.declined} replies of the one and {after.declined} of the other, "
            f"of {before.planned} each"
        )
    tasks = int((~np.isnan(after.means - before.means)).sum())
    if tasks < FEWEST_COMPARED:
        return f"{counted(tasks, 'task')} with scores of both; it takes at least {FEWEST_COMPARED}"
    return ""


def known_promise(kept: Mapping[str, Mapping[str, KeptPromise]], promise: str) -> Mapping[str, KeptPromise]:
    """By variant, what was scored by this promise.

    Raises:
        ComparisonError: no reply was held to it.
    """
    if promise not in kept:
        known = ", ".join(map(repr, kept)) or "none"
        raise ComparisonError(f"no reply was held to a promise {promise!r}; the promises are {known}")
    return kept[promise]


def _kept(columns: TrialColumns, values: Floats, is_held: NDArray[np.bool_]) -> dict[str, KeptPromise]:
    run, attempts = columns.run, columns.attempts
    planned = int(is_held.sum()) * run.repeats
    scores = np.where(columns.answered, values, np.nan)
    found = {}
    for number, name in enumerate(run.variants):
        own = (attempts.variant == number) & is_held[attempts.task]
        table = np.full((len(run.tasks), run.repeats), np.nan)
        table[attempts.task[own], attempts.repeat[own]] = scores[own]
        answered = int(columns.answered[own].sum())
        found[name] = KeptPromise(
            means=case_means(table),
            planned=planned,
            unanswered=planned - answered,
            declined=answered - int((~np.isnan(table)).sum()),
        )
    return found
