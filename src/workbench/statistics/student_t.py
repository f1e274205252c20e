"""Student's t and the normal distribution, for the few points of them that a comparison takes.

They stand in scipy.special as well, whose import would take a third as long again as all else when 96 trials are
compared and printed: 0.44 s of the processor without it, 0.57 s with it (`python -m tests.benchmarks start`). The tests
hold these against it. Sources: Press et al., "Numerical Recipes", 6.4, for the incomplete beta function by Lentz's
continued fraction; Gauss-Legendre quadrature for the power.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from itertools import pairwise
from statistics import NormalDist

import numpy as np

_NORMAL = NormalDist()
_LEAST = 1e-300
_NODES = 32
_REACH = 12.0
"""Standard deviations beyond which a normal distribution has nothing that counts here."""


def normal_cdf(x: float) -> float:
    """The chance that a standard normal value is at most x."""
    return math.erfc(-x / math.sqrt(2)) / 2


def normal_quantile(p: float) -> float:
    """The x of which `normal_cdf` is p, 0 < p < 1."""
    return _NORMAL.inv_cdf(p)


def t_cdf(x: float, degrees: float) -> float:
    """The chance that a value of Student's t with so many degrees of freedom is at most x."""
    square = x * x
    tail = _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + square), square / (degrees + square)) / 2
    return tail if x < 0 else 1 - tail


@lru_cache(maxsize=1024)
def t_quantile(p: float, degrees: float) -> float:
    """The x of which `t_cdf` is p, 0 < p < 1."""
    if p == 0.5:
        return 0.0
    if p > 0.5:
        return -t_quantile(1 - p, degrees)
    # Below 0 the function is convex, so that Newton's steps from the normal quantile, which lies above, never
    # pass the root; steps in the logarithm of p, which is nearly straight in the tail, are fewer.
    x = normal_quantile(p)
    for _ in range(200):
        found = t_cdf(x, degrees)
        step = math.log(found / p) * found / _t_density(x, degrees)
        x -= step
        if abs(step) <= 1e-15 * abs(x):
            break
    return x


def t_test_power(shift: float, degrees: float, bound: float) -> float:
    """The chance that a noncentral t value of this noncentrality lies beyond ±bound; from 1 degree of freedom on.

    The mean over s of Φ(shift - bound s) + Φ(-shift - bound s), where s is the root of a chi-square value over its
    degrees of freedom.
    """
    spread = _REACH / math.sqrt(2 * degrees)
    low, high = max(0.0, 1 - spread), 1 + spread
    # The first term falls from 1 to 0 around shift / bound, within a width of 1 / bound.
    edges = [(shift + step) / bound for step in (-_REACH, -_REACH / 4, 0.0, _REACH / 4, _REACH)]
    ends = sorted({low, min(1.0, high), high, (low + 1) / 2, (1 + high) / 2, *(e for e in edges if low < e < high)})
    constant = math.log(2) + degrees / 2 * math.log(degrees / 2) - math.lgamma(degrees / 2)
    total = 0.0
    # By u with s = u^4, because as a function of s the density has a root at 0 where degrees are not whole.
    for left, right in pairwise(end**0.25 for end in ends):
        half, middle = (right - left) / 2, (right + left) / 2
        for node, weight in _legendre():
            u = middle + half * node
            s = u**4
            density = 4 * math.exp(constant + (4 * degrees - 1) * math.log(u) - degrees * s * s / 2)
            total += half * weight * density * (normal_cdf(shift - bound * s) + normal_cdf(-shift - bound * s))
    return min(1.0, total)


@cache
def _legendre() -> tuple[tuple[float, float], ...]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return tuple(zip(nodes.tolist(), weights.tolist(), strict=True))


def _t_density(x: float, degrees: float) -> float:
    constant = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    return math.exp(constant - (degrees + 1) / 2 * math.log1p(x * x / degrees))


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """The regularised incomplete beta function I_x(a, b); `rest` is 1 - x, as exact as x is."""
    if x == 0 or rest == 0:
        return 0.0 if x == 0 else 1.0
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    if x < (a + 1) / (a + b + 2):
        return math.exp(front) * _fraction(a, b, x) / a
    return 1 - math.exp(front) * _fraction(b, a, rest) / b


def _fraction(a: float, b: float, x: float) -> float:
    c = 1.0
    d = 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _LEAST else _LEAST
