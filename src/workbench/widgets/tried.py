"""What a panel tried, compared: the verdict on the variants of its latest run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.runs.trying import Trying

if TYPE_CHECKING:
    from workbench.comparison.tables import Comparison


def compare_finished(trying: Trying) -> Comparison | None:
    """The variants of the latest run compared with its first, over the tasks that all of them came to the end of;
    `None` where there are none, or one variant only. Asks nobody.

    Raises:
        ComparisonError: the trials cannot be compared.
    """
    finished = trying.finished
    if finished is None:
        return None
    from workbench.comparison.tables import compare  # a panel that is only looked at loads no statistics

    return compare(finished, baseline=next(iter(finished.variants)))


def comparison_page(comparison: Comparison) -> str:
    """The comparison as HTML, as a cell shows it."""
    return str(comparison._repr_mimebundle_()["text/html"])
