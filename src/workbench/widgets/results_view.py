"""What a page shows of a `ResultsTable`: columns and figures go there, what is clicked comes back.

Nothing is decided here: which rows are shown and in what order is `find_rows`, and each click is a method of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets

from workbench.comparison.rows import Rows
from workbench.errors import ComparisonError
from workbench.widgets.frame import sendable
from workbench.widgets.results_data import page_data, pair_page, reply_piece, reply_text, table_columns, trial_page

if TYPE_CHECKING:
    from workbench.widgets.results import ResultsTable

_FRONT = Path(__file__).parent / "front"
_PLAIN = ("of", "scored", "outcome", "flipped", "descending")


class ResultsView(anywidget.AnyWidget):
    """The one model of a table, for however many views and pages.

    A page sets `asked` and gets the places of the rows; it opens and marks trials by their places. A trial in full,
    the rest of a long reply and two replies compared are messages, so that none of them is kept in a state.
    """

    _esm = _FRONT / "built" / "results.js"
    _css = _FRONT / "results" / "results.css"

    data = traitlets.Bytes().tag(sync=True)
    """See `page_data`."""
    asked = traitlets.Dict().tag(sync=True)
    """The `Rows` a page asks for, with places for names, and `number`, which goes up by one each time."""
    answered = traitlets.Int(-1).tag(sync=True)
    """The `number` that `order` belongs to."""
    order = traitlets.Bytes().tag(sync=True)
    """Places of the rows as 32-bit integers, the lowest byte first."""
    says = traitlets.Unicode().tag(sync=True)
    """The rows as one would write them in a cell."""
    opened = traitlets.Int(None, allow_none=True).tag(sync=True)
    marked: Any = traitlets.List().tag(sync=True)

    def __init__(self, table: ResultsTable) -> None:
        self._table = table
        columns = table_columns(table.comparison)
        self._names = {of: [column["name"] for column in found] for of, found in columns.items()}
        super().__init__(data=page_data(table.comparison, columns), asked={**self._for_page(table.rows), "number": 0})
        self.refresh()
        self.observe(lambda _change: self._ask(), "asked")
        self.observe(lambda _change: self._pick(), ["opened", "marked"])
        self.on_msg(lambda _widget, content, _buffers: self._hear(content))

    def refresh(self) -> None:
        """Shows what the table holds now."""
        table = self._table
        with table._lock, self.hold_sync():
            if self._from_page(self.asked) != table.rows:
                self.asked = {**self._for_page(table.rows), "number": self.asked["number"] + 1}
            self.order = np.asarray(table._places, dtype="<i4").tobytes()
            self.says = sendable(f"wb.ResultsTable(comparison, wb.{table.rows!r})")
            self.answered = self.asked["number"]
            self.opened = table._opened
            self.marked = list(table._selected)

    def _ask(self) -> None:
        with self._table._lock:
            rows = self._from_page(self.asked)
            if rows != self._table.rows:
                self._table.show(rows)
            else:
                self.refresh()

    def _pick(self) -> None:
        """A click opened, closed or marked something; called in whichever thread this ipykernel runs callbacks."""
        table = self._table
        with table._lock:
            if (self.opened, tuple(self.marked)) != (table._opened, table._selected):
                table._pick(self.opened, self.marked)

    def _hear(self, content: dict[str, Any]) -> None:
        comparison = self._table.comparison
        match content:
            case {"type": "trial", "place": place}:
                self.send({"type": "trial", **trial_page(comparison, place)})
            case {"type": "rest", "place": place, "start": start}:
                self.send({"type": "rest", "place": place, "text": reply_piece(comparison, place, start)})
            case {"type": "copy", "place": place}:
                self.send({"type": "copy", "place": place, "text": reply_text(comparison, place)})
            case {"type": "pair", "places": [before, after]}:
                self._compare(before, after)
            case {"type": "link", "key": key}:
                self._follow(key)

    def _compare(self, before: int, after: int) -> None:
        self._table._pick(self._table._opened, [before, after])
        pair = self._table.pair
        if pair is not None:
            self.send({"type": "pair", "marked": list(self._table._selected), **pair_page(pair)})

    def _follow(self, key: str) -> None:
        """A page was opened by a link. It may mean another table of the page: then nothing happens."""
        try:
            self._table.open(key)
        except ComparisonError:
            return
        self.send({"type": "found", "key": key})

    def _for_page(self, rows: Rows) -> dict[str, Any]:
        run = self._table.comparison.run
        names = self._names[rows.of]
        return {
            **{name: getattr(rows, name) for name in _PLAIN},
            "variant": _place(list(run.variants), rows.variant),
            "task": _place([task.id for task in run.tasks], rows.task),
            "grader": _place(list(self._table.comparison.columns.scores), rows.grader),
            "text": sendable(rows.text),
            "sort": _place(names, rows.sort),
        }

    def _from_page(self, asked: dict[str, Any]) -> Rows:
        run = self._table.comparison.run
        names = self._names[asked["of"]]
        before = self._table.rows
        return Rows(
            **{name: asked[name] for name in _PLAIN},
            variant=_name(list(run.variants), asked["variant"]),
            task=_name([task.id for task in run.tasks], asked["task"]),
            grader=_name(list(self._table.comparison.columns.scores), asked["grader"]),
            text=before.text if asked["text"] == sendable(before.text) else asked["text"],
            # A column that a page does not show may have been asked for in a cell.
            sort=before.sort
            if asked["sort"] is None and before.sort not in (None, *names)
            else _name(names, asked["sort"]),
        )


def _place(names: Sequence[str], name: str | None) -> int | None:
    return names.index(name) if name in names else None


def _name(names: Sequence[str], place: int | None) -> str | None:
    return None if place is None else names[place]
