"""Many comparisons: how p values are corrected. Source: S. Holm 1979 (Scandinavian Journal of Statistics 6)."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.statistics.intervals import without_gaps


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
