"""`ResultsTable`: the variants, tasks and trials of a comparison to sort, filter, search and open."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.comparison.differences.reply_pair import ReplyPair, compare_trials
from workbench.comparison.rows import Places, Rows, find_rows, frame_at, searchable_texts
from workbench.comparison.tables import Comparison
from workbench.errors import ComparisonError
from workbench.trial.trial import Trial
from workbench.widgets.frame import bundle
from workbench.widgets.results_pages import html_page, markdown_page, plain_page

if TYPE_CHECKING:
    from workbench.comparison.rows import DataFrame
    from workbench.widgets.results_view import ResultsView

_KEY = re.compile(r"[0-9a-f]{8,64}")


class ResultsTable:
    """A comparison in a notebook: a row a variant, a task or a trial; replies in full, and two of them side by side.

    What is clicked can be read here as values, and what is set here is shown. Without a kernel, the rows that were
    looked at last are left as a plain table.
    """

    def __init__(self, comparison: Comparison, rows: Rows | None = None) -> None:
        """`rows`: what is shown at first; by default the tasks.

        Raises:
            ComparisonError: the comparison has no such rows.
        """
        self.comparison = comparison
        self._lock = threading.RLock()
        self._view: ResultsView | None = None
        self._rows = Rows(of="tasks") if rows is None else rows
        self._places = self._find(self._rows)
        self._opened: int | None = None
        self._selected: tuple[int, ...] = ()

    @property
    def rows(self) -> Rows:
        """Which rows are shown; its `repr` is what one would write to get them."""
        return self._rows

    @property
    def shown(self) -> DataFrame:
        """The rows as they are shown: of `comparison.by_variant`, `by_task` or `trials`."""
        with self._lock:
            return frame_at(self.comparison, self._rows, self._places)

    @property
    def opened(self) -> Trial | None:
        """The trial that is open in full."""
        return None if self._opened is None else self.comparison.run.trials[self._opened]

    @property
    def selected(self) -> tuple[Trial, ...]:
        """The trials that are marked, at most two, the one marked first before."""
        return tuple(self.comparison.run.trials[place] for place in self._selected)

    @property
    def pair(self) -> ReplyPair | None:
        """The two marked trials side by side: persona diff, word diff of their replies, scores."""
        if len(self._selected) < 2:
            return None
        before, after = self.selected
        return compare_trials(self.comparison.run, before, after, baseline=self.comparison.baseline)

    def show(self, rows: Rows) -> None:
        """Shows these rows.

        Raises:
            ComparisonError: the comparison has no such rows.
        """
        with self._lock:
            self._places = self._find(rows)
            self._rows = rows
            self._tell()

    def open(self, key: str | Trial) -> Trial:
        """Opens a trial in full: by its key in the ledger, the first eight digits of it or more, or a copied link.

        Raises:
            ComparisonError: the run has no such trial, or several whose keys begin so.
        """
        place = self._place(key)
        self._pick(place, self._selected)
        return self.comparison.run.trials[place]

    def close(self) -> None:
        """Closes the trial that is open."""
        self._pick(None, self._selected)

    def select(self, *trials: str | Trial) -> None:
        """Marks these trials, at most two, to be compared; none takes all marks away.

        Raises:
            ComparisonError: there are more than two, or the run has no such trial.
        """
        if len(trials) > 2:
            raise ComparisonError(f"two replies can be compared, not {len(trials)}: select at most two trials")
        self._pick(self._opened, [self._place(trial) for trial in trials])

    def _pick(self, opened: int | None, selected: Sequence[int]) -> None:
        with self._lock:
            self._opened, self._selected = opened, tuple(dict.fromkeys(selected))
            self._tell()

    @cached_property
    def _texts(self) -> list[str]:
        return searchable_texts(self.comparison.run)

    def _find(self, rows: Rows) -> Places:
        return find_rows(self.comparison, rows, texts=self._texts if rows.text else None)

    def _place(self, wanted: str | Trial) -> int:
        trials = self.comparison.run.trials
        if isinstance(wanted, Trial):
            wanted = wanted.key
        # A link may hold other digits: the key is what comes last.
        found = _KEY.findall(wanted)
        places = [place for place, trial in enumerate(trials) if found and trial.key.startswith(found[-1])]
        if len(places) != 1:
            many = f"{len(places)} trials" if places else "no trial"
            raise ComparisonError(
                f"the run has {many} for {wanted!r}: give the key of a trial, at least its first eight digits, or a "
                "link that was copied from a table"
            )
        return places[0]

    def _tell(self) -> None:
        if self._view is not None:
            self._view.refresh()

    def _open_view(self) -> ResultsView:
        from workbench.widgets.results_view import ResultsView

        with self._lock:
            if self._view is None:
                self._view = ResultsView(self)
            return self._view

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        static = {"page": html_page(self), "markdown": markdown_page(self), "text": plain_page(self)}
        return bundle(**static, view=self._open_view)

    def __repr__(self) -> str:
        return f"ResultsTable({len(self._places)} {self._rows.of}: {self._rows!r})"
