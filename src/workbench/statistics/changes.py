"""Many figures of the same tasks compared at once: words, seconds, single promises.

As the whole, each is compared on task means, paired, by t and by sign flips (`means.paired`); p values are corrected by
Holm for the number of figures that can differ at all. A figure whose differences are 0 on every task is not counted:
its only sign-flip p is 1, whatever the signs, so that it cannot be the one that errs (R. E. Tarone 1990, Biometrics
46).

Whoever reads changes in percent (`log_means`) reads the mean over tasks of the logarithm of each reply's figure: every
task counts alike, a halving and a doubling are equally far from no change, and an interval cannot pass -100 %. A ratio
of the means would be led by the few tasks with the longest replies.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from workbench.statistics.corrections import holm
from workbench.statistics.intervals import Floats, Interval
from workbench.statistics.means import case_means, paired
from workbench.statistics.power import ALPHA, FEWEST_COMPARED


@dataclass(frozen=True, kw_only=True)
class Change:
    """How a figure changed from one variant to another, over the tasks that have it of both."""

    effect: float
    """Mean difference over tasks, in units of the figure."""
    interval: Interval | None
    """95 %, not corrected; `None` where all differences are equal and the figure has no ends."""
    t_p: float
    """Not corrected, as is `sign_flip_p`."""
    sign_flip_p: float
    tasks: int
    groups: int | None
    """As in `means.Paired`."""
    clustered: bool
    can_differ: bool
    """False where every difference is 0."""

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval does; where there is none, whether all tasks changed alike."""
        return self.can_differ if self.interval is None else self.interval.excludes_zero

    @property
    def is_promising(self) -> bool:
        """Whether one of the two tests alone shows it, without a correction; as "promising, not established" of a
        whole."""
        return (self.interval is not None and self.interval.excludes_zero) or self.sign_flip_p <= ALPHA


@dataclass(frozen=True, kw_only=True)
class CorrectedChange:
    """A change among others."""

    change: Change
    t_p: float
    """Corrected by Holm, as is `sign_flip_p`."""
    sign_flip_p: float
    comparisons: int
    """For how many changes they are corrected: those that can differ."""

    @property
    def is_shown(self) -> bool:
        """Whether it is shown to be another: by the interval, by t and by sign flips, as for the whole."""
        return self.change.excludes_zero and max(self.t_p, self.sign_flip_p) <= ALPHA


def log_means(values: ArrayLike) -> Floats:
    """The mean logarithm of each task's repeats, from an array of tasks by repeats where NaN is missing.

    Raises:
        ValueError: a value that is not above 0, which has no logarithm.
    """
    table = np.asarray(values, dtype=np.float64)
    if (table <= 0).any():
        raise ValueError("a change in percent is of values above 0; compare what can be 0 by its difference")
    return case_means(np.log(table))


def change_between(
    before: ArrayLike, after: ArrayLike, *, groups: Sequence[Hashable] | None = None, bounded: bool = False
) -> Change | None:
    """The paired change of a figure from its task means, NaN where a task has none; `None` with fewer than two tasks.

    `bounded` figures lie in 0..1. Of them an interval is known also where all differences are equal; of others there is
    none then, and the sign-flip p stands for both tests.
    """
    differences = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    both = ~np.isnan(differences)
    values = differences[both]
    if len(values) < FEWEST_COMPARED:
        return None
    present = None if groups is None else [group for group, is_in in zip(groups, both, strict=True) if is_in]
    largest = float(np.abs(values).max())
    # The tests take differences of at most 1, so that a tie is told from the noise of floats at any size.
    scale = 1.0 if bounded or largest == 0 else largest
    found = paired(values / scale, groups=present, most=1.0 if bounded else None)
    interval: Interval | None = Interval(low=scale * found.interval.low, high=scale * found.interval.high)
    t_p = found.t_p
    if found.standard_error == 0 and not bounded:
        interval, t_p = None, found.sign_flip.p
    return Change(
        effect=scale * found.effect,
        interval=interval,
        t_p=t_p,
        sign_flip_p=found.sign_flip.p,
        tasks=found.tasks,
        groups=found.groups,
        clustered=found.clustered,
        can_differ=largest > 0,
    )


def corrected(changes: Sequence[Change | None], *, families: int = 1) -> tuple[CorrectedChange | None, ...]:
    """Each change with its p values corrected for the number of those that can differ; `None` stays `None`.

    With `families`, as many such lists are read beside each other, and each takes its share of the level (Bonferroni).
    """
    return corrected_beside(changes, (), families=families)[0]


def corrected_beside(
    changes: Sequence[Change | None], others: Sequence[float], *, families: int = 1
) -> tuple[tuple[CorrectedChange | None, ...], tuple[float, ...]]:
    """As `corrected`, of one family with figures that were compared otherwise, by a single test each, of which `others`
    are the p values; and those, corrected. A figure of theirs stands among the changes' t and among their sign flips,
    and the larger of both is its p."""
    counted = [index for index, change in enumerate(changes) if change is not None and change.can_differ]
    differ = [change for change in changes if change is not None and change.can_differ]
    by_t = _holm([*(change.t_p for change in differ), *others], families)
    by_flips = _holm([*(change.sign_flip_p for change in differ), *others], families)
    tests = dict(zip(counted, zip(by_t, by_flips, strict=False), strict=False))
    of_others = tuple(map(max, by_t[len(counted) :], by_flips[len(counted) :]))
    found = tuple(
        None
        if change is None
        else CorrectedChange(
            change=change,
            t_p=tests.get(index, (1.0, 1.0))[0],
            sign_flip_p=tests.get(index, (1.0, 1.0))[1],
            comparisons=families * (len(counted) + len(others)),
        )
        for index, change in enumerate(changes)
    )
    return found, of_others


def as_ratio(change: Change) -> Change:
    """A change of logarithms as a relative one: -0.18 is 18 % less."""
    interval = change.interval
    return replace(
        change,
        effect=math.expm1(change.effect),
        interval=None if interval is None else Interval(low=math.expm1(interval.low), high=math.expm1(interval.high)),
    )


def _holm(p_values: Sequence[float], families: int) -> list[float]:
    return [min(1.0, families * p) for p in holm(p_values)]
