"""Many comparisons, and looking before the end: how p values and levels are corrected.

Sources: S. Holm 1979 (Scandinavian Journal of Statistics 6); K. K. G. Lan and D. L. DeMets 1983 (Biometrika 70),
spending as P. C. O'Brien and T. R. Fleming 1979 (Biometrics 35) would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from workbench.statistics.intervals import Floats, without_gaps
from workbench.statistics.power import ALPHA
from workbench.statistics.student_t import normal_cdf, normal_quantile

_STEPS = 500
"""Of the grid over which a sum is followed from look to look; enough for six digits."""
_FURTHEST = 8.0


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p values corrected for their number by Holm's step-down, in the given order: for claims.

    Raises:
        ValueError: a p that is NaN.
    """
    without_gaps(p_values)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)


def alpha_spent(share: float, *, alpha: float = ALPHA) -> float:
    """How much of alpha may be spent once this share (0..1] of the planned tasks is in.

    4 - 4 Phi(z_{alpha/4} / sqrt t), half of it on each side: O'Brien-Fleming's shape, next to nothing early and all of
    it at the end.

    Raises:
        ValueError: the share is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share of the planned tasks is {share}; it is above 0 and at most 1")
    return 4 * normal_cdf(normal_quantile(alpha / 4) / math.sqrt(share))


def looking_bounds(shares: Sequence[float], *, alpha: float = ALPHA) -> tuple[float, ...]:
    """The p that each look has to stay below, for alpha over all looks: at these shares of the planned tasks.

    Half-way and at the end: 0.00305 and 0.0490. From the joint distribution of the looks' z values, by numerical
    integration (P. Armitage, C. K. McPherson and B. C. Rowe 1969, JRSS A 132).

    Raises:
        ValueError: no look, shares that do not rise, or one that is not in (0, 1].
    """
    if not shares or any(later <= earlier for earlier, later in pairwise(shares)):
        raise ValueError(f"the shares of the planned tasks are {list(shares)}; name at least one, in rising order")
    bounds: list[float] = []
    spent = 0.0
    sums = density = np.zeros(0)
    for index, share in enumerate(shares):
        due = alpha_spent(share, alpha=alpha)
        since = share - (shares[index - 1] if index else 0.0)
        bound = _bound(due - spent, sums, density, share, since, first=not index)
        bounds.append(2 * normal_cdf(-bound))
        spent = due
        reach = bound * math.sqrt(share)
        following = np.linspace(-reach, reach, 2 * _STEPS + 1)
        density = _normal(following, since) if not index else _carried(following, sums, density, since)
        sums = following
    return tuple(bounds)


def _bound(due: float, sums: Floats, density: Floats, share: float, since: float, *, first: bool) -> float:
    """The z beyond which lies what is due at this look, of the sums that no earlier look has stopped."""
    if first:
        return -normal_quantile(due / 2)
    from scipy import special

    low, high = 0.0, _FURTHEST
    while high - low > 1e-9:
        middle = (low + high) / 2
        reach = middle * math.sqrt(share)
        beyond = special.ndtr((sums - reach) / math.sqrt(since)) + special.ndtr((-reach - sums) / math.sqrt(since))
        low, high = (middle, high) if float(np.trapezoid(density * beyond, sums)) > due else (low, middle)
    return high


def _carried(following: Floats, sums: Floats, density: Floats, since: float) -> Floats:
    steps = _normal(following[:, None] - sums[None, :], since)
    return np.asarray(np.trapezoid(steps * density[None, :], sums, axis=1))


def _normal(distance: Floats, variance: float) -> Floats:
    density: Floats = np.exp(-(distance**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
    return density
