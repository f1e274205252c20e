"""Agreement of two raters, or of a classification with the truth: what `judge` and `routing` stand on.

All is from a table of counts.

Sources: J. Cohen 1960 (Educational and Psychological Measurement 20), with the standard error of J. L. Fleiss,
J. Cohen and B. S. Everitt 1969 (Psychological Bulletin 72); K. L. Gwet 2008 (British Journal of Mathematical and
Statistical Psychology 61) for AC1; J. Gorodkin 2004 (Computational Biology and Chemistry 28) for the correlation of
several classes; K. Krippendorff, "Content Analysis".
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from workbench.statistics.intervals import Floats, without_gaps


def accuracy(table: ArrayLike) -> float:
    """The share on the diagonal of a square table of counts; NaN for an empty one."""
    counts = _square(table)
    total = counts.sum()
    return float(np.trace(counts) / total) if total else math.nan


def kappa(table: ArrayLike) -> float:
    """Cohen's (p_o - p_e) / (1 - p_e); NaN where both only ever say the same one thing."""
    counts = _square(table)
    total = counts.sum()
    if not total:
        return math.nan
    chance = float((counts.sum(axis=0) * counts.sum(axis=1)).sum() / total**2)
    return (accuracy(counts) - chance) / (1 - chance) if chance < 1 else math.nan


def kappa_standard_error(table: ArrayLike) -> float:
    """The standard error of Cohen's kappa by Fleiss, Cohen and Everitt; NaN where kappa is."""
    from statsmodels.stats.inter_rater import cohens_kappa

    counts = _square(table)
    return math.nan if math.isnan(kappa(counts)) else float(cohens_kappa(counts).std_kappa)


def ac1(table: ArrayLike) -> float:
    """Gwet's AC1: kappa with p_e = sum_q pi_q (1 - pi_q) / (Q - 1), pi the mean of both raters' shares.

    For two categories p_e is 2 pi (1 - pi). It stays sensible where nearly all are of one kind, as kappa does not.
    NaN for an empty table.
    """
    counts = _square(table)
    total = counts.sum()
    if not total or len(counts) < 2:
        return math.nan
    shares = (counts.sum(axis=0) + counts.sum(axis=1)) / (2 * total)
    chance = float((shares * (1 - shares)).sum() / (len(counts) - 1))
    return (accuracy(counts) - chance) / (1 - chance)


def matthews(table: ArrayLike) -> float:
    """Matthews' correlation, for several classes by Gorodkin; NaN where either side only ever says one thing."""
    counts = _square(table)
    total = counts.sum()
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    spread = math.sqrt(max(0.0, float((total**2 - (rows**2).sum()) * (total**2 - (columns**2).sum()))))
    together = float(np.trace(counts) * total - (rows * columns).sum())
    return together / spread if spread else math.nan


def krippendorff_alpha(ratings: Sequence[Sequence[Hashable | None]]) -> float:
    """Krippendorff's nominal alpha: 1 - D_o / D_e, from raters by items, `None` where a rater passed.

    Items that fewer than two have rated do not count. NaN where no item counts, or all ratings are the same.

    Raises:
        ValueError: the raters do not have as many items each.
    """
    if len({len(rater) for rater in ratings}) > 1:
        raise ValueError(f"raters have different numbers of items: {[len(rater) for rater in ratings]}")
    values = list(dict.fromkeys(value for rater in ratings for value in rater if value is not None))
    number_of = {value: index for index, value in enumerate(values)}
    items = np.zeros((len(ratings[0]) if ratings else 0, len(values)))
    for rater in ratings:
        for item, value in enumerate(rater):
            if value is not None:
                items[item, number_of[value]] += 1
    sizes = items.sum(axis=1)
    items, sizes = items[sizes > 1], sizes[sizes > 1]
    if not len(items):
        return math.nan
    # The coincidences of an item: every pair of its ratings, so that each rating counts once in all.
    alike = float(((items * (items - 1)).sum(axis=1) / (sizes - 1)).sum())
    total, totals = float(sizes.sum()), items.sum(axis=0)
    expected = float((totals * (totals - 1)).sum() / (total - 1))
    return 1 - (total - alike) / (total - expected) if expected < total else math.nan


def _square(table: ArrayLike) -> Floats:
    counts = without_gaps(table)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or (counts < 0).any():
        raise ValueError(f"agreement takes a square table of counts, found one of shape {counts.shape}")
    return counts
