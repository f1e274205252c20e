"""How small a difference a plan can show: power, before anything is spent.

Only the standard library is used, so that an estimate stays quick. Scores are in 0..1; a difference counts as shown at
5 %, two-sided. Sources: E. Miller, "Adding Error Bars to Evals" (arXiv 2411.00640), section 5; for few tasks
W. C. Guenther, "Sample Size Formulas for Normal Theory T Tests" (The American Statistician 35, 1981).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist, fmean
from statistics import variance as sample_variance

ALPHA = 0.05
POWER = 0.80

BETWEEN = 1 / 9
"""Variance over tasks of the true difference, where nothing is known: as when the true scores of both variants are
spread evenly over 0..1 and correlate by 1/3."""
WITHIN = 1 / 6
"""Variance of one variant's repeats, where nothing is known: pass and fail at true scores spread evenly over 0..1."""
CORRELATION = 1 / 3
"""Of the true scores of two variants, where only one has been tried."""
FEWEST_COMPARED = 2
"""Tasks with scores of both variants below which there is no verdict."""
FEWEST_TASKS = 4
"""Tasks with scores below which a variance from them says less than the assumed one."""

MEASURES = 8
"""Measures of a reply that no grader is needed for, which are read together; a test holds it to
`comparison.measures`."""

ScoresByTask = Mapping[str, Sequence[float]]
"""By task id, the scores of the repeats of one variant; at least one each."""


@dataclass(frozen=True, kw_only=True)
class Variances:
    """What the spread of the differences between two variants is made of."""

    between: float
    """Variance over tasks of the true difference: more repeats do not shrink it."""
    within: float
    """Variance of one repeat, summed over both variants: K repeats divide it by K."""
    source: str
    """Where they are from, in words."""
    replies: int = 0
    """Graded replies that they are from; 0: they are assumed."""

    def of_difference(self, repeats: int) -> float:
        """Variance of a task's difference at this many repeats of each variant."""
        return difference_variance(self.between, self.within, repeats)


_ASSUMPTION = "between tasks 1/9, within a variant's repeats 1/6"
ASSUMED = Variances(
    between=BETWEEN,
    within=2 * WITHIN,
    source=f"assumed, for the ledger has too few graded replies: {_ASSUMPTION}",
)


@dataclass(frozen=True, kw_only=True)
class PlannedPower:
    """What a plan could show, and what more tasks or more repeats would buy."""

    tasks: int
    repeats: int
    comparisons: int
    """Variants to be compared with a baseline, for which every test is corrected; 1 where there is one variant."""
    variances: Variances
    groups: int | None = None
    """Groups that tasks share, not allowed for in the figures; `None` where each task is its own."""

    def effect(self, *, tasks: int | None = None, repeats: int | None = None) -> float:
        """The smallest difference that this many tasks and repeats, or those of the plan, show with 80 % power."""
        spread = self.variances.of_difference(self.repeats if repeats is None else repeats)
        return detectable_effect(spread, self.tasks if tasks is None else tasks, comparisons=self.comparisons)

    @property
    def effect_by_t(self) -> float:
        """The same for few tasks, where the standard error is itself a guess."""
        spread = self.variances.of_difference(self.repeats)
        return detectable_effect_few(spread, self.tasks, comparisons=self.comparisons)

    def rows(self) -> list[tuple[str, str]]:
        """In words: what, how much."""
        if self.tasks < FEWEST_COMPARED:
            return [("smallest difference", f"none: a verdict takes at least {FEWEST_COMPARED} tasks")]
        many = f", at {100 * ALPHA:g} % corrected for {self.comparisons} comparisons with the baseline"
        shows = f"with {100 * POWER:g} % power{'' if self.comparisons == 1 else many}"
        by_t = "none by t" if self.effect_by_t > 1 else f"about {_points(self.effect_by_t)} by t"
        shown = f"{_points(self.effect())} {shows} ({by_t})"
        if self.effect() > 1:
            shown = f"none: {self.tasks} tasks do not show even 100 points {shows}"
        more_tasks = f"x2 tasks: {_points(self.effect(tasks=2 * self.tasks))}"
        more_repeats = f"x2 repeats: {_points(self.effect(repeats=2 * self.repeats))}"
        rows = [
            ("smallest difference", shown),
            ("with more", f"{more_tasks}; {more_repeats}"),
            ("variances", self.variances.source),
        ]
        if self.groups is not None:
            rows.append(("groups of tasks", f"{self.groups}; where tasks of a group go together, it takes more"))
        return rows


def difference_variance(between: float, within: float, repeats: int) -> float:
    """omega_d^2 + (sigma_A^2 + sigma_B^2) / K: variance of a task's difference between two means of K repeats.

    `within` is the sum sigma_A^2 + sigma_B^2 of both variants.
    """
    return between + within / repeats


def detectable_effect(variance: float, n: int, *, comparisons: int = 1) -> float:
    """The difference that n tasks show with 80 % power: (z_{alpha/2} + z_beta) sqrt( variance / n ).

    `variance` is that of a task's difference. `comparisons` divides alpha (Bonferroni, which is Holm's first step).
    """
    return _power_factor(comparisons) * math.sqrt(variance / n)


def tasks_needed(variance: float, difference: float, *, comparisons: int = 1) -> float:
    """The tasks that show this difference with 80 % power: (z_{alpha/2} + z_beta)^2 variance / d^2."""
    return _power_factor(comparisons) ** 2 * variance / difference**2


def detectable_effect_few(variance: float, n: int, *, comparisons: int = 1) -> float:
    """`detectable_effect` for few tasks, by Guenther's correction: t costs z_{alpha/2}^2 / 2 tasks more than z.

    Within 3 % of the noncentral t from 8 tasks on; infinite where not even that many are left.
    """
    left = n - _z(comparisons) ** 2 / 2
    return _power_factor(comparisons) * math.sqrt(variance / left) if left > 0 else math.inf


def fewest_tasks(comparisons: int) -> int:
    """Tasks below which no sign-flip test corrected for so many comparisons can reach `ALPHA`: its least p is 2 /
    2^n."""
    return max(FEWEST_COMPARED, math.ceil(math.log2(2 * comparisons / ALPHA)))


def pilot_variances(scores: Sequence[ScoresByTask]) -> Variances:
    """The variances that scores of some of a plan's variants give.

    Of two variants and more, over the tasks that both have: Var(d) of each pair, split into what its repeats explain
    and the rest, and the mean over pairs. Of one variant: its own, for a second one alike whose true scores correlate
    with them by `CORRELATION`. `ASSUMED` where there are fewer than `FEWEST_TASKS` tasks, or nothing varies.
    """
    tried = [variant for variant in scores if len(variant) >= FEWEST_TASKS]
    found = [pair for first, second in combinations(tried, 2) if (pair := _of_pair(first, second)) is not None]
    if found:
        between, within, tasks = (fmean(column) for column in zip(*found, strict=True))
        source = f"the differences between {len(tried)} variants over {tasks:.0f} tasks"
    elif tried:
        largest = max(tried, key=len)
        between, within = _of_one(largest)
        source = f"one variant's scores on {len(largest)} tasks, a second one assumed to be alike"
    else:
        return ASSUMED
    if between + within <= 0:
        return replace(ASSUMED, source=f"assumed, for the graded replies in the ledger do not differ: {_ASSUMPTION}")
    replies = sum(len(repeats) for variant in tried for repeats in variant.values())
    return Variances(
        between=between, within=within, source=f"{replies:,} graded replies in the ledger: {source}", replies=replies
    )


def _of_pair(first: ScoresByTask, second: ScoresByTask) -> tuple[float, float, int] | None:
    """Between, within and number of tasks; `None` for too few common tasks."""
    tasks = [task for task in first if task in second]
    if len(tasks) < FEWEST_TASKS:
        return None
    spread = sample_variance([fmean(second[task]) - fmean(first[task]) for task in tasks])
    sides = [(side, _within([side[task] for task in tasks])) for side in (first, second)]
    noise = sum(within * fmean(1 / len(side[task]) for task in tasks) for side, within in sides if within is not None)
    both = sum(within for _, within in sides if within is not None)
    if any(within is None for _, within in sides):
        # Without repeats the spread cannot be split, so it is split as the assumed one is.
        share = ASSUMED.between / ASSUMED.of_difference(1)
        return share * spread, (1 - share) * spread, len(tasks)
    between = max(0.0, spread - noise)
    # Var(d) is what was seen: where chance made it less than its repeats explain, they are scaled to it.
    return between, both * (spread - between) / noise if noise else 0.0, len(tasks)


def _of_one(scores: ScoresByTask) -> tuple[float, float]:
    spread = sample_variance([fmean(repeats) for repeats in scores.values()])
    within = _within(list(scores.values()))
    if within is None:
        share = WITHIN / (WITHIN + BETWEEN / (2 * (1 - CORRELATION)))
        own, within = (1 - share) * spread, share * spread
    else:
        own = max(0.0, spread - within * fmean(1 / len(repeats) for repeats in scores.values()))
    return 2 * (1 - CORRELATION) * own, 2 * within


def _within(repeats: Sequence[Sequence[float]]) -> float | None:
    """Mean over tasks of the variance of the repeats, which is K/(K-1) s(1-s) for pass and fail."""
    spreads = [sample_variance(scores) for scores in repeats if len(scores) > 1]
    return fmean(spreads) if spreads else None


def _z(comparisons: int) -> float:
    return NormalDist().inv_cdf(1 - ALPHA / comparisons / 2)


def _power_factor(comparisons: int) -> float:
    return _z(comparisons) + NormalDist().inv_cdf(POWER)


def _points(effect: float) -> str:
    return "none" if effect > 1 else f"{100 * effect:.1f} points"
