"""Exact tests of paired differences: sign flips, McNemar, the sign test.

All of them ask how many of the sign patterns that are equally likely under "no difference" lie as far from 0 as the
one that was seen. Sources: R. A. Fisher, "The Design of Experiments" (1935), for the sign-flip test; Q. McNemar 1947
(Psychometrika 12); H. O. Lancaster 1961 (JASA 56) for mid-p.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from workbench.statistics.intervals import DRAWS, SEED, Floats, without_gaps

ENUMERATED_UP_TO = 20
"""Values up to which the sign-flip test goes through all 2^n patterns."""
TIE = 1e-12
"""Sums that differ by less are equal: ties are common, and the noise of floats would drop them."""

_COARSEST_FRACTION = 5_040
_CONVOLUTION_LIMIT = 20_000_000


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


def sign_flip(differences: ArrayLike) -> SignFlip:
    """The sign-flip permutation test of a mean difference of 0.

    Exact up to 20 values by all 2^n sign patterns, and beyond that wherever the differences have a common
    denominator (as with equal repeats of pass and fail) by convolution; else 10,000 draws with a fixed seed
    and p = (1 + hits) / (1 + draws). For one repeat of pass and fail this is McNemar's exact test.

    Raises:
        ValueError: NaN among the differences.
    """
    values = without_gaps(differences)
    floor = min(1.0, 2.0 / 2.0 ** min(len(values), 1000))
    moved = values[np.abs(values) > TIE]  # a difference of 0 is the same under either sign
    if len(moved) <= ENUMERATED_UP_TO:
        beyond, ties = _enumerated(moved)
        return SignFlip(p=beyond + ties, mid_p=beyond + ties / 2, floor=floor, method="exact")
    whole = _common_integers(moved)
    if whole is not None:
        beyond, ties = _convolved(whole)
        return SignFlip(p=min(1.0, beyond + ties), mid_p=beyond + ties / 2, floor=floor, method="exact")
    hits, tied = _drawn(moved)
    return SignFlip(
        p=(1 + hits + tied) / (1 + DRAWS),
        mid_p=(1 + hits + tied / 2) / (1 + DRAWS),
        floor=floor,
        method=f"{DRAWS:,} draws",
    )


def mcnemar(worse: int, better: int) -> SignFlip:
    """McNemar's exact test of `worse` tasks lost against `better` tasks won; also the sign test.

    p = min(1, 2 P(X <= min(b, c))) for X ~ Binomial(b + c, 1/2).

    Raises:
        ValueError: a negative count.
    """
    if worse < 0 or better < 0:
        raise ValueError(f"counts cannot be negative: {worse}, {better}")
    n, fewer = worse + better, min(worse, better)
    floor = min(1.0, 2.0 / 2.0 ** min(n, 1000))
    if worse == better:
        chance = _binomial(n, fewer)
        return SignFlip(p=1.0, mid_p=1.0 - chance / 2, floor=floor, method="exact")
    from scipy import special

    p = 2 * float(special.bdtr(fewer, n, 0.5))
    return SignFlip(p=p, mid_p=p - _binomial(n, fewer), floor=floor, method="exact")


def _binomial(n: int, k: int) -> float:
    return math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2))


def _enumerated(values: Floats) -> tuple[float, float]:
    """The shares of sign patterns whose sum is further from 0 than the one seen, and as far."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    excess = np.abs(sums) - abs(float(values.sum()))
    ties = int((np.abs(excess) <= TIE).sum())
    beyond = int((excess > TIE).sum())
    return beyond / len(sums), ties / len(sums)


def _common_integers(values: Floats) -> list[int] | None:
    """The values times their common denominator, or `None` where that is too fine to convolve."""
    distinct, which = np.unique(values, return_inverse=True)
    fractions = []
    for value in distinct.tolist():
        fractions.append(Fraction(value).limit_denominator(_COARSEST_FRACTION))
        if abs(float(fractions[-1]) - value) > TIE:
            return None  # at the first: of measured values, as of seconds, nearly every one is too fine
    denominator = math.lcm(*(found.denominator for found in fractions))
    scaled = [int(found * denominator) for found in fractions]
    whole = [scaled[number] for number in which.tolist()]
    size = sum(abs(value) for value in whole)
    return whole if size * len(set(map(abs, scaled))) <= _CONVOLUTION_LIMIT else None


def _convolved(whole: Sequence[int]) -> tuple[float, float]:
    """As `_enumerated`, from the distribution of the sum of ±values: the product of their cosines, transformed back.

    To about 1e-12.
    """
    steps, times = np.unique(np.abs(whole), return_counts=True)
    reach = int(steps @ times)
    length = 1 << (2 * reach).bit_length()
    frequencies = np.arange(length // 2 + 1)
    product = np.ones(len(frequencies))
    for step, count in zip(steps.tolist(), times.tolist(), strict=True):
        product *= np.cos(2 * np.pi / length * (step * frequencies % length)) ** count
    chances = np.fft.irfft(product, length)[: reach + 1]
    chances[1:] *= 2  # by distance from 0, on either side
    seen = abs(sum(whole))
    # The pattern that was seen and its mirror are always among the ties.
    ties = max(float(chances[seen]), 2.0 ** (1 - len(whole)))
    return max(0.0, float(chances[seen + 1 :].sum())), ties


def _drawn(values: Floats) -> tuple[int, int]:
    """How many of the draws are further from 0 than the sum seen, and how many as far.

    Eight values have 256 sums, one for each byte of signs, so that a drawn byte is looked up and not multiplied out:
    500 values take 4 ms this way and 40 as a matrix of signs, which would also be 40 MB (benchmark `again`).
    """
    seen = abs(float(values.sum()))
    tolerance = TIE * max(1.0, float(np.abs(values).sum()))
    eights = np.zeros((math.ceil(len(values) / 8), 8))
    eights.flat[: len(values)] = values
    signs = 1.0 - 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1)
    generator = random.Random(SEED)
    sums = np.zeros(DRAWS)
    for sums_of_eight in eights @ signs.T:
        sums += sums_of_eight[np.frombuffer(generator.randbytes(DRAWS), dtype=np.uint8)]
    excess = np.abs(sums) - seen
    ties = int((np.abs(excess) <= tolerance).sum())
    return int((excess > tolerance).sum()), ties
