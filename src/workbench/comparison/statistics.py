"""Means, intervals and tests over arrays of task means.

The unit is the task: the repeats of a task are averaged first (`case_means`), and everything else counts
tasks, never trials. Pooling tasks times repeats as if they were independent gives intervals far too narrow.
Scores are in 0..1, differences in -1..1; levels are 95 % and two-sided.

Sources: E. Miller, "Adding Error Bars to Evals" (arXiv 2411.00640), for task means, paired and clustered
standard errors and power; Wilson 1927; Holm 1979; Hedges 1981.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

LEVEL = 0.95
ALPHA = 0.05
POWER = 0.80
ENUMERATED_UP_TO = 20
"""Tasks up to which the sign-flip test goes through all 2^n patterns."""
DRAWS = 10_000
SEED = 20261123
FEWEST_GROUPS = 10
"""Groups from which on standard errors are clustered; fewer give a standard error that is itself a guess."""

_TIE = 1e-12
_Z = float(special.ndtri((1 + LEVEL) / 2))
_COARSEST_FRACTION = 5_040
_CONVOLUTION_LIMIT = 200_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A 95 % confidence interval in units of the score."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True)
class SignFlip:
    """What the sign-flip test found."""

    p: float
    """Two-sided; the share of sign patterns whose sum is at least as far from 0 as the one that was seen."""
    mid_p: float
    """The same with ties counted half: less conservative on few, coarse scores; secondary."""
    floor: float
    """The least p that so many values can give: 2 / 2^n."""
    method: str
    """ "exact" or "10,000 draws"."""


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
    """sqrt( sum (s_i - mean)^2 / (n (n - 1)) ) over task means; NaN for fewer than two."""
    cases = np.asarray(values, dtype=np.float64)
    if len(cases) < 2:
        return math.nan
    return float(cases.std(ddof=1) / math.sqrt(len(cases)))


def clustered_standard_error(values: ArrayLike, groups: Sequence[Hashable]) -> float:
    """sqrt( C/(C-1) sum_g ( sum_{i in g} (s_i - mean) )^2 ) / n over task means in C groups.

    Miller's formula with the correction for few groups; NaN for fewer than two groups.
    """
    cases = np.asarray(values, dtype=np.float64)
    sums = group_sums(cases - cases.mean(), groups)
    count = len(sums)
    if count < 2:
        return math.nan
    return float(math.sqrt(count / (count - 1) * float((sums**2).sum())) / len(cases))


def group_sums(values: ArrayLike, groups: Sequence[Hashable]) -> Floats:
    """The sum of the values in each group, in the order in which groups first appear."""
    sums: dict[Hashable, float] = {}
    for value, group in zip(np.asarray(values, dtype=np.float64).tolist(), groups, strict=True):
        sums[group] = sums.get(group, 0.0) + value
    return np.array(list(sums.values()), dtype=np.float64)


def t_interval(mean: float, error: float, degrees: int) -> Interval:
    """mean ± t SE with this many degrees of freedom."""
    reach = t_factor(degrees) * error
    return Interval(low=mean - reach, high=mean + reach)


def t_factor(degrees: int) -> float:
    """The 97.5 % point of Student's t."""
    return float(special.stdtrit(degrees, (1 + LEVEL) / 2))


def wilson(successes: float, n: int) -> Interval:
    """Wilson's interval for `successes` of `n` tasks."""
    p = successes / n
    middle = p + _Z**2 / (2 * n)
    reach = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    scale = 1 + _Z**2 / n
    return Interval(low=max(0.0, (middle - reach) / scale), high=min(1.0, (middle + reach) / scale))


def constant_interval(value: float, n: int, *, low: float, high: float) -> Interval:
    """The interval where all `n` tasks have the same value, so that SE is 0 and t would have no width.

    By Wilson no more than a share u of all tasks can have another value, when none of n has; at worst those
    lie at an end of the scale `low`..`high`. For all passed and all failed this is Wilson's own interval.
    """
    share = wilson(0, n).high
    return Interval(low=value - share * (value - low), high=value + share * (high - value))


def mean_interval(values: ArrayLike, *, repeats: int, groups: Sequence[Hashable] | None = None) -> Interval | None:
    """The interval for the mean score over tasks; `None` without a task.

    Wilson for one repeat of scores that are 0 or 1, t otherwise, clustered from `FEWEST_GROUPS` groups on,
    `constant_interval` where all tasks are equal. Not beyond 0..1.
    """
    cases = np.asarray(values, dtype=np.float64)
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
    return Interval(low=max(0.0, found.low), high=min(1.0, found.high))


def sign_flip(differences: ArrayLike) -> SignFlip:
    """The sign-flip permutation test of a mean difference of 0.

    Exact up to 20 tasks by all 2^n sign patterns, and beyond that wherever the differences have a common
    denominator (as with equal repeats of pass and fail) by convolution; else 10,000 draws with a fixed seed
    and p = (1 + hits) / (1 + draws). Sums that differ by less than 1e-12 are ties. For one repeat of pass and
    fail this is McNemar's exact test.
    """
    values = np.asarray(differences, dtype=np.float64)
    floor = min(1.0, 2.0 / 2.0 ** min(len(values), 1000))
    moved = values[np.abs(values) > _TIE]  # a difference of 0 is the same under either sign
    if len(moved) <= ENUMERATED_UP_TO:
        beyond, ties = _enumerated(moved)
        return SignFlip(p=beyond + ties, mid_p=beyond + ties / 2, floor=floor, method="exact")
    whole = _common_integers(moved)
    if whole is not None:
        beyond, ties = _convolved(whole)
        return SignFlip(p=beyond + ties, mid_p=beyond + ties / 2, floor=floor, method="exact")
    hits, tied = _drawn(moved)
    return SignFlip(
        p=(1 + hits + tied) / (1 + DRAWS),
        mid_p=(1 + hits + tied / 2) / (1 + DRAWS),
        floor=floor,
        method=f"{DRAWS:,} draws",
    )


def paired(differences: ArrayLike, *, groups: Sequence[Hashable] | None = None) -> Paired:
    """The paired comparison from the difference of each task, variant minus baseline, in -1..1.

    From `FEWEST_GROUPS` groups on, standard error, degrees of freedom and sign flips are by group. Where all
    differences are equal the interval is `constant_interval`, and the p beside it is the level at which that
    interval would reach 0.

    Raises:
        ValueError: fewer than two differences.
    """
    values = np.asarray(differences, dtype=np.float64)
    n = len(values)
    if n < 2:
        raise ValueError(f"a paired comparison takes at least two tasks, found {n}")
    effect = float(values.mean())
    count = _group_count(groups, n)
    by_group = None if groups is None or count is None else group_sums(values, groups)
    clustered = count is not None and count >= FEWEST_GROUPS
    units = count if clustered and count is not None else n
    error = clustered_standard_error(values, groups) if clustered and groups is not None else standard_error(values)
    if _is_constant(values) or error <= _TIE:
        error = 0.0
        interval = constant_interval(effect, units, low=-1.0, high=1.0)
        t_p = float(2 * special.ndtr(-math.sqrt(units * abs(effect))))
        noise_floor = (interval.high - interval.low) / 2
    else:
        interval = t_interval(effect, error, units - 1)
        t_p = float(2 * special.stdtr(units - 1, -abs(effect) / error))
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
    )


def effect_size(differences: ArrayLike) -> tuple[float, float]:
    """d_z = mean / sd of the differences, and Hedges' g_z = d_z (1 - 3 / (4 (n - 1) - 1))."""
    values = np.asarray(differences, dtype=np.float64)
    d_z = float(values.mean() / values.std(ddof=1))
    return d_z, d_z * (1 - 3 / (4 * (len(values) - 1) - 1))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p values corrected for their number by Holm's step-down, in the given order."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)


def detectable_effect(variance: float, n: int) -> float:
    """The difference that n tasks show with 80 % power: (z_{.025} + z_{.20}) sqrt( variance / n ).

    `variance` is that of a task's difference; in a plan, between-task variance of the true difference plus
    within-task variance over repeats, summed over both variants.
    """
    return _power_factor() * math.sqrt(variance / n)


def tasks_needed(variance: float, difference: float) -> float:
    """The tasks that show this difference with 80 % power: (z_{.025} + z_{.20})^2 variance / d^2."""
    return _power_factor() ** 2 * variance / difference**2


def detectable_effect_t(variance: float, n: int) -> float:
    """`detectable_effect` by the noncentral t distribution, somewhat larger for few tasks."""
    guess = detectable_effect(variance, n)
    return _where(lambda effect: _t_power(effect**2 / variance, n) >= POWER, guess / 2, guess * 10)


def tasks_needed_t(variance: float, difference: float) -> float:
    """`tasks_needed` by the noncentral t distribution; at least 2."""
    ratio = difference**2 / variance
    if _t_power(ratio, 2.0) >= POWER:
        return 2.0
    guess = tasks_needed(variance, difference)
    return _where(lambda n: _t_power(ratio, n) >= POWER, 2.0, guess + 10)


def _where(is_enough: Callable[[float], bool], low: float, high: float) -> float:
    """The least number in low..high that is enough, to 1e-12 of it; `high` is, and so is all above one that is."""
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _power_factor() -> float:
    return _Z + float(special.ndtri(POWER))


def _t_power(squared_effect_size: float, n: float) -> float:
    shift = math.sqrt(squared_effect_size * n)
    bound = float(special.stdtrit(n - 1, (1 + LEVEL) / 2))
    # scipy loses the far tail to NaN where it is smaller than anything that counts here.
    other_side = np.nan_to_num(special.nctdtr(n - 1, shift, -bound))
    return float(1 - special.nctdtr(n - 1, shift, bound) + other_side)


def _group_count(groups: Sequence[Hashable] | None, n: int) -> int | None:
    if groups is None:
        return None
    count = len(set(groups))
    return count if 1 < count < n else None


def _is_constant(values: Floats) -> bool:
    return float(np.ptp(values)) <= _TIE


def _enumerated(values: Floats) -> tuple[float, float]:
    """The shares of sign patterns whose sum is further from 0 than the one seen, and as far."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    excess = np.abs(sums) - abs(float(values.sum()))
    ties = int((np.abs(excess) <= _TIE).sum())
    beyond = int((excess > _TIE).sum())
    return beyond / len(sums), ties / len(sums)


def _common_integers(values: Floats) -> list[int] | None:
    """The values times their common denominator, or `None` where that is too fine to convolve."""
    fractions = [Fraction(value).limit_denominator(_COARSEST_FRACTION) for value in values.tolist()]
    if any(abs(float(found) - value) > _TIE for found, value in zip(fractions, values.tolist(), strict=True)):
        return None
    denominator = math.lcm(*(found.denominator for found in fractions))
    whole = [int(found * denominator) for found in fractions]
    size = sum(abs(value) for value in whole)
    return whole if size * len(whole) <= _CONVOLUTION_LIMIT else None


def _convolved(whole: Sequence[int]) -> tuple[float, float]:
    """As `_enumerated`, from the distribution of the sum of ±values."""
    reach = sum(abs(value) for value in whole)
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for value in whole:
        step = abs(value)
        chances = (np.roll(chances, step) + np.roll(chances, -step)) / 2
    distance = np.abs(np.arange(-reach, reach + 1))
    seen = abs(sum(whole))
    return float(chances[distance > seen].sum()), float(chances[distance == seen].sum())


def _drawn(values: Floats) -> tuple[int, int]:
    """How many of the draws are further from 0 than the sum seen, and how many as far."""
    generator = np.random.default_rng(SEED)
    seen = abs(float(values.sum()))
    tolerance = _TIE * max(1.0, float(np.abs(values).sum()))
    hits = ties = 0
    rows = max(1, 2_000_000 // len(values))
    for start in range(0, DRAWS, rows):
        signs = generator.integers(0, 2, size=(min(rows, DRAWS - start), len(values))) * 2 - 1
        excess = np.abs(signs @ values) - seen
        ties += int((np.abs(excess) <= tolerance).sum())
        hits += int((excess > tolerance).sum())
    return hits, ties
