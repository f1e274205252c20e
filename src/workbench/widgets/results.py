"""`ResultsTable`: the variants, tasks and trials of a comparison to sort, filter, search and open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.comparison.rows import Rows
from workbench.comparison.selection import Selection
from workbench.comparison.tables import Comparison
from workbench.widgets.frame import bundle
from workbench.widgets.results_pages import html_page, markdown_page, plain_page

if TYPE_CHECKING:
    from workbench.widgets.results_view import ResultsView


class ResultsTable(Selection):
    """A comparison in a notebook: a row a variant, a task or a trial; replies in full, and two of them side by side.

    What is clicked can be read here as values, and what is set here is shown. Without a kernel, the rows that were
    looked at last are left as a plain table.
    """

    def __init__(self, comparison: Comparison, rows: Rows | None = None) -> None:
        """`rows`: what is shown at first; by default the tasks.

        Raises:
            ComparisonError: the comparison has no such rows.
        """
        super().__init__(comparison, rows)
        self._view: ResultsView | None = None

    def _open_view(self) -> ResultsView:
        from workbench.widgets.results_view import ResultsView

        with self.lock:
            if self._view is None:
                self._view = ResultsView(self)
            return self._view

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        static = {"page": html_page(self), "markdown": markdown_page(self), "text": plain_page(self)}
        return bundle(**static, view=self._open_view)

    def __repr__(self) -> str:
        return f"ResultsTable({len(self.found)} {self.rows.of}: {self.rows!r})"
