"""The best of several, and how much of its lead is luck.

The mean of the best of k is too high by what chance gave it: of k alike ones by about E[max of k] standard errors. On
tasks that had no say in the choice there is no such luck.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike


def best_of(scores: Mapping[str, ArrayLike], *, baseline: str) -> str:
    """The name whose mean over the tasks that all have is highest; the baseline, unless another's is higher.

    What ties with the baseline is no better. Of equal ones the earlier.

    Raises:
        KeyError: the baseline is none of them.
        ValueError: they have no task in common.
    """
    table = np.array([np.asarray(values, dtype=np.float64) for values in scores.values()])
    names = list(scores)
    common = ~np.isnan(table).any(axis=0)
    if not common.any():
        raise ValueError("no task has a score of every candidate")
    means = np.round(table[:, common].mean(axis=1), 12)  # sums of thirds differ by the noise of floats
    own = means[names.index(baseline)] if baseline in names else _missing(baseline)
    best = int(means.argmax())
    return names[best] if means[best] > own else baseline


def _missing(baseline: str) -> float:
    raise KeyError(baseline)
