"""Confidence intervals for means and shares; 95 %, two-sided, over tasks.

Sources: E. B. Wilson 1927 (JASA 22); B. Efron 1979 (Annals of Statistics 7) for the bootstrap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.statistics.student_t import normal_quantile, t_quantile

LEVEL = 0.95
Z = normal_quantile((1 + LEVEL) / 2)
DRAWS = 10_000
"""Resamples of a bootstrap, and sign patterns of a test, where not all can be gone through."""
SEED = 20261123

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A 95 % confidence interval in units of the score."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def within(self, low: float, high: float) -> Interval:
        """What of it lies where its quantity can be at all."""
        return Interval(low=max(low, self.low), high=min(high, self.high))


def without_gaps(values: ArrayLike) -> Floats:
    """The values as an array of numbers.

    Raises:
        ValueError: NaN among them. What is missing is left out before, pair by pair, and counted.
    """
    found = np.asarray(values, dtype=np.float64)
    if np.isnan(found).any():
        raise ValueError(f"{int(np.isnan(found).sum())} of {found.size} values are NaN; leave out what is missing")
    return found


def t_interval(mean: float, error: float, degrees: int) -> Interval:
    """mean ± t SE with this many degrees of freedom."""
    reach = t_factor(degrees) * error
    return Interval(low=mean - reach, high=mean + reach)


def z_interval(mean: float, error: float) -> Interval:
    """mean ± z SE, for estimates whose standard error is not from one sum of squares."""
    return Interval(low=mean - Z * error, high=mean + Z * error)


def t_factor(degrees: int) -> float:
    """The 97.5 % point of Student's t."""
    return t_quantile((1 + LEVEL) / 2, degrees)


def wilson(successes: float, n: float) -> Interval:
    """Wilson's interval for `successes` of `n` tasks; both may be sums of the tasks' shares.

    Raises:
        ValueError: no task, or more successes than tasks.
    """
    _check_count(successes, n)
    p = successes / n
    middle = p + Z**2 / (2 * n)
    reach = Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    # At the ends of the scale the formula gives the end, but for the noise of floats.
    low = (middle - reach) / scale if successes > 0 else 0.0
    high = (middle + reach) / scale if successes < n else 1.0
    return Interval(low=low, high=high).within(0.0, 1.0)


def constant_interval(value: float, n: int, *, low: float, high: float) -> Interval:
    """The interval where all `n` tasks have the same value, so that SE is 0 and t would have no width.

    By Wilson no more than a share u of all tasks can have another value, when none of n has; at worst those
    lie at an end of the scale `low`..`high`. For all passed and all failed this is Wilson's own interval.
    """
    share = wilson(0, n).high
    return Interval(low=value - share * (value - low), high=value + share * (high - value))


def percentile_interval(values: Floats) -> Interval:
    """From the 2.5 % to the 97.5 % point of what a bootstrap gave."""
    low, high = np.percentile(values, [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high))


def _check_count(successes: float, n: float) -> None:
    if not (n > 0 and 0 <= successes <= n):
        raise ValueError(f"there is no interval for {successes} of {n}")
