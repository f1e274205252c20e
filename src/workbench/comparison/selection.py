"""`Selection`: which rows of a comparison are looked at, which trial is open, and which two are compared.

It is what a results table holds, and knows nothing of how it is shown.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from workbench.comparison.differences.reply_pair import ReplyPair, compare_trials
from workbench.comparison.rows import RowNumbers, Rows, find_rows, frame_at, searchable_texts
from workbench.comparison.tables import Comparison
from workbench.errors import ComparisonError
from workbench.markup import counted
from workbench.trial.trial import Trial

if TYPE_CHECKING:
    from workbench.comparison.frames import Frame

MOST_SELECTED = 2
_KEY = re.compile(r"[0-9a-f]{8,64}")


class Selection:
    """Rows of a comparison as they are looked at. May be changed in any thread; who observes it is told."""

    def __init__(self, comparison: Comparison, rows: Rows | None = None) -> None:
        """`rows`: what is looked at first; by default the tasks.

        Raises:
            ComparisonError: the comparison has no such rows.
        """
        self.comparison = comparison
        self.lock = threading.RLock()
        """Held while something changes; who reads several things that belong together holds it too."""
        self._observers: list[Callable[[], None]] = []
        self._rows = Rows(of="tasks") if rows is None else rows
        self._found = self._find(self._rows)
        self._opened: int | None = None
        self._selected: tuple[int, ...] = ()

    def observe(self, call: Callable[[], None]) -> None:
        """Calls this after each change, in the thread that made it."""
        self._observers.append(call)

    @property
    def rows(self) -> Rows:
        """Which rows are shown; its `repr` is what one would write to get them."""
        return self._rows

    @property
    def found(self) -> RowNumbers:
        """The numbers of these rows, in their order: of variants, tasks or trials of the run."""
        return self._found

    @property
    def shown(self) -> Frame:
        """The rows as they are shown: of `comparison.by_variant`, `by_task` or `trials`."""
        with self.lock:
            return frame_at(self.comparison, self._rows, self._found)

    @property
    def opened_row(self) -> int | None:
        """The number of the trial that is open in full."""
        return self._opened

    @property
    def opened(self) -> Trial | None:
        """The trial that is open in full."""
        return None if self._opened is None else self.comparison.run.trials[self._opened]

    @property
    def selected_rows(self) -> tuple[int, ...]:
        """The numbers of the trials that are marked."""
        return self._selected

    @property
    def selected(self) -> tuple[Trial, ...]:
        """The trials that are marked, at most two, the one marked first before."""
        return tuple(self.comparison.run.trials[row] for row in self._selected)

    @property
    def pair(self) -> ReplyPair | None:
        """The two marked trials side by side: persona diff, word diff of their replies, scores."""
        if len(self._selected) < MOST_SELECTED:
            return None
        before, after = self.selected
        baseline = self.comparison.baseline_of.get(after.variant, self.comparison.baseline)
        return compare_trials(self.comparison.run, before, after, baseline=baseline)

    def show(self, rows: Rows) -> None:
        """Shows these rows.

        Raises:
            ComparisonError: the comparison has no such rows.
        """
        with self.lock:
            self._found = self._find(rows)
            self._rows = rows
            self._tell()

    def open(self, key: str | Trial) -> Trial:
        """Opens a trial in full: by its key in the ledger, the first eight digits of it or more, or a copied link.

        Raises:
            ComparisonError: the run has no such trial, or several whose keys begin so.
        """
        row = self._row_of(key)
        self.pick(row, self._selected)
        return self.comparison.run.trials[row]

    def close(self) -> None:
        """Closes the trial that is open."""
        self.pick(None, self._selected)

    def select(self, *trials: str | Trial) -> None:
        """Marks these trials, at most two, to be compared; none takes all marks away.

        Raises:
            ComparisonError: there are more than two, or the run has no such trial.
        """
        if len(trials) > MOST_SELECTED:
            raise ComparisonError(f"two replies can be compared, not {len(trials)}: select at most two trials")
        self.pick(self._opened, [self._row_of(trial) for trial in trials])

    def pick(self, opened: int | None, selected: Sequence[int]) -> None:
        """Opens and marks trials by their row numbers.

        Raises:
            ComparisonError: the run has no such row.
        """
        for row in (*(() if opened is None else (opened,)), *selected):
            if not 0 <= row < len(self.comparison.run.trials):
                raise ComparisonError(
                    f"the run has no row {row}; it has {counted(len(self.comparison.run.trials), 'trial')}"
                )
        with self.lock:
            self._opened, self._selected = opened, tuple(dict.fromkeys(selected))
            self._tell()

    @cached_property
    def _texts(self) -> list[str]:
        return searchable_texts(self.comparison.run)

    def _find(self, rows: Rows) -> RowNumbers:
        return find_rows(self.comparison, rows, texts=self._texts if rows.text else None)

    def _row_of(self, wanted: str | Trial) -> int:
        trials = self.comparison.run.trials
        if isinstance(wanted, Trial):
            wanted = wanted.key
        # A link may hold other digits: the key is what comes last.
        found = _KEY.findall(wanted)
        rows = [row for row, trial in enumerate(trials) if found and trial.key.startswith(found[-1])]
        if len(rows) != 1:
            many = counted(len(rows), "trial") if rows else "no trial"
            raise ComparisonError(
                f"the run has {many} for {wanted!r}: give the key of a trial, at least its first eight digits, or a "
                "link that was copied from a table"
            )
        return rows[0]

    def _tell(self) -> None:
        for call in self._observers:
            call()
