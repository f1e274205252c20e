"""Agreement of two raters, or of a classification with the truth: what `judge` and `routing` stand on.

All is from a table of counts.

Sources: J. Cohen 1960 (Educational and Psychological Measurement 20), with the standard error of J. L. Fleiss,
J. Cohen and B. S. Everitt 1969 (Psychological Bulletin 72); K. L. Gwet 2008 (British Journal of Mathematical and
Statistical Psychology 61) for AC1; J. Gorodkin 2004 (Computational Biology and Chemistry 28) for the correlation of
several classes; K. Krippendorff, "Content Analysis".
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from workbench.statistics.intervals import LEVEL, SEED, Floats, Interval, without_gaps

_DRAWS = 2_000
"""Resamples of the items for an interval."""


def accuracy(table: ArrayLike) -> float:
    """The share on the diagonal of a square table of counts; NaN for an empty one."""
    counts = _square(table)
    total = counts.sum()
    return float(np.trace(counts) / total) if total else math.nan


def kappa(table: ArrayLike) -> float:
    """Cohen's (p_o - p_e) / (1 - p_e); NaN where both only ever say the same one thing."""
    return float(_kappas(_square(table)[np.newaxis])[0])


def kappa_standard_error(table: ArrayLike) -> float:
    """The standard error of Cohen's kappa by Fleiss, Cohen and Everitt; NaN where kappa is."""
    from statsmodels.stats.inter_rater import cohens_kappa

    counts = _square(table)
    if math.isnan(kappa(counts)):
        return math.nan
    # It computes a z as well, which is 0/0 where either only ever says one thing, and warns of it.
    with np.errstate(invalid="ignore"):
        return float(cohens_kappa(counts).std_kappa)


def ac1(table: ArrayLike) -> float:
    """Gwet's AC1: kappa with p_e = sum_q pi_q (1 - pi_q) / (Q - 1), pi the mean of both raters' shares.

    For two categories p_e is 2 pi (1 - pi). It stays sensible where nearly all are of one kind, as kappa does not.
    NaN for an empty table.
    """
    return float(_ac1s(_square(table)[np.newaxis])[0])


def kappa_and_ac1_intervals(table: ArrayLike) -> tuple[Interval | None, Interval | None]:
    """Of kappa and of AC1, by the same bootstrap over the items of a table of whole counts.

    Each is `None` with fewer than two items, and where no resample has a value.
    """
    counts = _square(table)
    items = int(counts.sum())
    if items < 2:
        return None, None
    drawn = np.random.default_rng(SEED).multinomial(items, counts.ravel() / items, size=_DRAWS)
    tables = drawn.reshape(-1, *counts.shape).astype(float)
    return _middle(_kappas(tables)), _middle(_ac1s(tables))


def _kappas(tables: Floats) -> Floats:
    """Of each of a stack of tables, all at once: a loop over the resamples takes seconds where many are shown."""
    total = tables.sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / total**2
        return _beyond(chance, tables, total)


def _ac1s(tables: Floats) -> Floats:
    total = tables.sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = (tables.sum(axis=1) + tables.sum(axis=2)) / (2 * total[:, np.newaxis])
        chance = (shares * (1 - shares)).sum(axis=1) / np.float64(tables.shape[1] - 1)
        return _beyond(chance, tables, total)


def _beyond(chance: Floats, tables: Floats, total: Floats) -> Floats:
    """Agreement beyond chance; NaN where chance alone makes it whole, and for an empty table."""
    found: Floats = (np.trace(tables, axis1=1, axis2=2) / total - chance) / (1 - chance)
    return np.where(chance < 1, found, math.nan)


def _middle(values: Floats) -> Interval | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high))


def matthews(table: ArrayLike) -> float:
    """Matthews' correlation, for several classes by Gorodkin; NaN where either side only ever says one thing."""
    counts = _square(table)
    total = counts.sum()
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    spread = math.sqrt(max(0.0, float((total**2 - (rows**2).sum()) * (total**2 - (columns**2).sum()))))
    together = float(np.trace(counts) * total - (rows * columns).sum())
    return together / spread if spread else math.nan


def _square(table: ArrayLike) -> Floats:
    counts = without_gaps(table)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or (counts < 0).any():
        raise ValueError(f"agreement takes a square table of counts, found one of shape {counts.shape}")
    return counts
