"""Means, standard errors and paired differences over arrays of task means.

The unit is the task: the repeats of a task are averaged first (`case_means`), and everything else counts
tasks, never trials. Pooling tasks times repeats as if they were independent gives intervals far too narrow.
Scores are in 0..1, differences in -1..1; levels are 95 % and two-sided.

Beside it: `intervals`, `permutation` (the exact tests), `corrections` (many comparisons, looking early),
`agreement`, `judge`, `routing`, `pairwise`; power by z is in `workbench.statistics.power`.

Sources: E. Miller, "Adding Error Bars to Evals" (arXiv 2411.00640), for task means, paired and clustered
standard errors and power; Hedges 1981; M. Chen et al. (arXiv 2107.03374) for pass@k; S. Yao et al.
(arXiv 2406.12045) for pass^k.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from workbench.statistics.intervals import Floats as Floats
from workbench.statistics.intervals import Interval as Interval
from workbench.statistics.intervals import constant_interval, t_factor, t_interval, wilson, without_gaps
from workbench.statistics.permutation import TIE, SignFlip, sign_flip
from workbench.statistics.power import ALPHA, POWER, detectable_effect, tasks_needed
from workbench.statistics.student_t import normal_cdf, normal_quantile, t_cdf, t_quantile, t_test_power

FEWEST_GROUPS = 10
"""Groups from which on standard errors are clustered; fewer give a standard error that is itself a guess."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """The paired comparison of two variants over the tasks that both have a score for."""

    effect: float
    """Mean difference over tasks, variant minus baseline."""
    standard_error: float
    interval: Interval
    noise_floor: float
    """t times the standard error: what this many tasks can not tell from 0."""
    t_p: float
    sign_flip: SignFlip
    tasks: int
    groups: int | None
    """Number of groups, `None` where tasks have none or each has its own."""
    clustered: bool
    """True where standard error and sign flips are by group."""
    group_sign_flip: SignFlip | None
    """Sign flips by group, where there are groups."""

    is_identical: bool
    """True where there is no difference at any task."""

    @property
    def variance(self) -> float:
        """Variance of a task's difference, as power calculations take it; with groups, what it amounts to."""
        return self.tasks * self.standard_error**2


def case_means(scores: ArrayLike) -> Floats:
    """The mean over the repeats of each task, from an array of tasks by repeats where NaN is missing.

    NaN where a task has no score at all.
    """
    table = np.asarray(scores, dtype=np.float64)
    present = ~np.isnan(table)
    counts = present.sum(axis=1)
    sums = np.where(present, table, 0.0).sum(axis=1)
    means: Floats = np.divide(sums, counts, out=np.full(len(table), np.nan), where=counts > 0)
    return means


def standard_error(values: ArrayLike) -> float:
    """sqrt( sum (s_i - mean)^2 / (n (n - 1)) ) over task means; NaN for fewer than two, or where one is NaN."""
    cases = np.asarray(values, dtype=np.float64)
    if len(cases) < 2:
        return math.nan
    return float(cases.std(ddof=1) / math.sqrt(len(cases)))


def clustered_standard_error(values: ArrayLike, groups: Sequence[Hashable]) -> float:
    """sqrt( C/(C-1) sum_g ( sum_{i in g} (s_i - mean) )^2 ) / n over task means in C groups.

    Miller's formula with the correction for few groups, as statsmodels has it for an intercept alone; to be read with
    C-1 degrees of freedom. NaN for fewer than two groups.

    Raises:
        ValueError: not as many groups as values.
    """
    cases = np.asarray(values, dtype=np.float64)
    if len(set(groups)) < 2:
        return math.nan
    sums = group_sums(cases - cases.mean(), groups)
    count = len(sums)
    return float(math.sqrt(count / (count - 1) * float((sums**2).sum())) / len(cases))


def group_sums(values: ArrayLike, groups: Sequence[Hashable]) -> Floats:
    """The sum of the values in each group, in the order in which groups first appear."""
    sums: dict[Hashable, float] = {}
    for value, group in zip(np.asarray(values, dtype=np.float64).tolist(), groups, strict=True):
        sums[group] = sums.get(group, 0.0) + value
    return np.array(list(sums.values()), dtype=np.float64)


def mean_interval(values: ArrayLike, *, repeats: int, groups: Sequence[Hashable] | None = None) -> Interval | None:
    """The interval for the mean score over tasks; `None` without a task.

    Wilson for one repeat of scores that are 0 or 1, t otherwise, clustered from `FEWEST_GROUPS` groups on,
    `constant_interval` where all tasks are equal. Not beyond 0..1.

    Raises:
        ValueError: NaN among the values; tasks without a score are left out before.
    """
    cases = without_gaps(values)
    n = len(cases)
    if n == 0:
        return None
    mean = float(cases.mean())
    count = _group_count(groups, n)
    if _is_constant(cases):
        return constant_interval(mean, n, low=0.0, high=1.0)
    if groups is not None and count is not None and count >= FEWEST_GROUPS:
        found = t_interval(mean, clustered_standard_error(cases, groups), count - 1)
    elif repeats == 1 and bool(np.isin(cases, (0.0, 1.0)).all()):
        return wilson(float(cases.sum()), n)
    else:
        found = t_interval(mean, standard_error(cases), n - 1)
    return found.within(0.0, 1.0)


def paired(differences: ArrayLike, *, groups: Sequence[Hashable] | None = None, most: float | None = 1.0) -> Paired:
    """The paired comparison from the difference of each task, variant minus baseline; the interval is not beyond
    -`most`..`most`, which no mean of such differences can be, without an end where that is `None`.

    From `FEWEST_GROUPS` groups on, standard error, degrees of freedom and sign flips are by group. Where all
    differences are equal the interval is `constant_interval`, and the p beside it is the level at which that
    interval would reach 0.

    Raises:
        ValueError: fewer than two differences, or NaN among them; tasks that lack either score are left out before.
    """
    values = without_gaps(differences)
    n = len(values)
    if n < 2:
        raise ValueError(f"a paired comparison takes at least two tasks, found {n}")
    effect = float(values.mean())
    count = _group_count(groups, n)
    by_group = None if groups is None or count is None else group_sums(values, groups)
    clustered = count is not None and count >= FEWEST_GROUPS
    units = count if clustered and count is not None else n
    error = clustered_standard_error(values, groups) if clustered and groups is not None else standard_error(values)
    if _is_constant(values) or error <= TIE:
        error = 0.0
        interval = constant_interval(effect, units, low=-1.0, high=1.0)
        t_p = 2 * normal_cdf(-math.sqrt(units * abs(effect)))
        noise_floor = (interval.high - interval.low) / 2
    else:
        interval = t_interval(effect, error, units - 1)
        if most is not None:
            interval = interval.within(-most, most)
        t_p = 2 * t_cdf(-abs(effect) / error, units - 1)
        noise_floor = t_factor(units - 1) * error
    group_flip = None if by_group is None else sign_flip(by_group)
    return Paired(
        effect=effect,
        standard_error=error,
        interval=interval,
        noise_floor=noise_floor,
        t_p=t_p,
        sign_flip=group_flip if clustered and group_flip is not None else sign_flip(values),
        tasks=n,
        groups=count,
        clustered=clustered,
        group_sign_flip=group_flip,
        is_identical=float(np.abs(values).max()) <= TIE,
    )


def simultaneous_interval(found: Paired, comparisons: int) -> Interval:
    """The interval of a difference that is one of several: together they hold with 95 %, by Bonferroni.

    For one comparison it is `found.interval`. Where all tasks differ alike it is Wilson's at the corrected level, as
    `constant_interval` has it; it never leaves -1..1.
    """
    if comparisons <= 1:
        return found.interval
    units = found.groups if found.clustered and found.groups is not None else found.tasks
    level = 1 - ALPHA / comparisons / 2
    if found.standard_error == 0:
        z = -normal_quantile(ALPHA / comparisons / 2)
        share = z**2 / (units + z**2)
        low, high = found.effect - share * (found.effect + 1), found.effect + share * (1 - found.effect)
    else:
        reach = t_quantile(level, units - 1) * found.standard_error
        low, high = found.effect - reach, found.effect + reach
    return Interval(low=low, high=high).within(-1.0, 1.0)


def effect_size(differences: ArrayLike) -> tuple[float, float]:
    """d_z = mean / sd of the differences, and Hedges' g_z = d_z (1 - 3 / (4 (n - 1) - 1)).

    Raises:
        ValueError: fewer than two differences, all of them equal, or NaN among them.
    """
    values = without_gaps(differences)
    if len(values) < 2 or _is_constant(values):
        raise ValueError(f"{len(values)} differences that do not vary have no standardised effect size")
    d_z = float(values.mean() / values.std(ddof=1))
    return d_z, d_z * (1 - 3 / (4 * (len(values) - 1) - 1))


def detectable_effect_t(variance: float, n: int, *, comparisons: int = 1) -> float:
    """`detectable_effect` by the noncentral t distribution, somewhat larger for few tasks."""
    guess = detectable_effect(variance, n, comparisons=comparisons)
    return _root(lambda effect: _t_power(effect**2 / variance, n, comparisons) - POWER, guess / 2)


def tasks_needed_t(variance: float, difference: float, *, comparisons: int = 1) -> float:
    """`tasks_needed` by the noncentral t distribution; at least 2."""
    ratio = difference**2 / variance
    if _t_power(ratio, 2.0, comparisons) >= POWER:
        return 2.0
    guess = tasks_needed(variance, difference, comparisons=comparisons)
    return _root(lambda n: _t_power(ratio, n, comparisons) - POWER, max(2.0, guess / 2))


def pass_at_k(n: int, c: int, k: int) -> float:
    """pass@k: the chance that at least one of k repeats passes, from c passes in n: 1 - C(n-c, k) / C(n, k).

    Unbiased (Chen et al.). For a score, the mean over tasks.

    Raises:
        ValueError: k is not in 1..n, or c not in 0..n.
    """
    _check_passes(n, c, k)
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """pass^k: the chance that all of k repeats pass, from c passes in n: C(c, k) / C(n, k).

    Unbiased (Yao et al.), where (c/n)^k is too high. For a score, the mean over tasks.

    Raises:
        ValueError: k is not in 1..n, or c not in 0..n.
    """
    _check_passes(n, c, k)
    return math.comb(c, k) / math.comb(n, k)


def _check_passes(n: int, c: int, k: int) -> None:
    if not (1 <= k <= n and 0 <= c <= n):
        raise ValueError(f"pass@k and pass^k take 1 <= k <= n and 0 <= c <= n, found n = {n}, c = {c}, k = {k}")


def _root(excess: Callable[[float], float], low: float) -> float:
    """Where a growing function that is below 0 at `low` reaches 0, to 1e-12 of it.

    By the Illinois rule (M. Dowell and P. Jarratt 1971, BIT 11): the chord between two points around the root, where
    the end that stayed twice counts half. It takes about 11 questions of 0.3 ms, where halving the interval took 42
    (benchmark `again`).
    """
    below, high = excess(low), 2 * low
    while (above := excess(high)) < 0:
        low, below, high = high, above, 2 * high
    found, stayed = high, ""
    while True:
        before, found = found, high - above * (high - low) / (above - below)
        if abs(found - before) <= 1e-12 * found:
            return found
        value = excess(found)
        if value < 0:
            low, below, above = found, value, above / 2 if stayed == "high" else above
            stayed = "high"
        else:
            high, above, below = found, value, below / 2 if stayed == "low" else below
            stayed = "low"


def _t_power(squared_effect_size: float, n: float, comparisons: int) -> float:
    """Power of the two-sided t test at 5 % over all comparisons, as `TTestPower` of statsmodels has it."""
    shift = math.sqrt(squared_effect_size * n)
    return t_test_power(shift, n - 1, t_quantile(1 - ALPHA / comparisons / 2, n - 1))


def _group_count(groups: Sequence[Hashable] | None, n: int) -> int | None:
    if groups is None:
        return None
    count = len(set(groups))
    return count if 1 < count < n else None


def _is_constant(values: Floats) -> bool:
    return float(np.ptp(values)) <= TIE
