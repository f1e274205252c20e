"""What a page shows of a `Selection`: columns and figures go there, what is clicked comes back.

Nothing is decided here: which rows are shown and in what order is `find_rows`, and each click is a method of the
selection.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from workbench.comparison.rows import Rows
from workbench.comparison.selection import Selection
from workbench.errors import ComparisonError
from workbench.widgets.frame import sendable
from workbench.widgets.results_data import page_data, pair_page, reply_piece, reply_text, table_columns, trial_page

_FRONT = Path(__file__).parent / "front"
_PLAIN = ("of", "scored", "outcome", "flipped", "descending")


class ResultsView(anywidget.AnyWidget):
    """The one model of a table, for however many views and pages.

    A page sets `asked` and gets row numbers; it opens and marks trials by theirs. A trial in full,
    the rest of a long reply and two replies compared are messages, so that none of them is kept in a state.
    """

    _esm = _FRONT / "built" / "results.js"
    _css = _FRONT / "results" / "results.css"

    data = traitlets.Bytes().tag(sync=True)
    """See `page_data`."""
    asked = traitlets.Dict().tag(sync=True)
    """The `Rows` a page asks for, with numbers for names, and `number`, which goes up by one each time."""
    answered = traitlets.Int(-1).tag(sync=True)
    """The `number` that `order` belongs to."""
    order = traitlets.Bytes().tag(sync=True)
    """Row numbers as 32-bit integers, the lowest byte first."""
    says = traitlets.Unicode().tag(sync=True)
    """The rows as one would write them in a cell."""
    opened = traitlets.Int(None, allow_none=True).tag(sync=True)
    marked: Any = traitlets.List().tag(sync=True)

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        columns = table_columns(selection.comparison)
        self._names = {of: [column["name"] for column in found] for of, found in columns.items()}
        super().__init__(
            data=page_data(selection.comparison, columns), asked={**self._for_page(selection.rows), "number": 0}
        )
        self.refresh()
        selection.observe(self.refresh)
        self.observe(lambda _change: self._ask(), "asked")
        self.observe(lambda _change: self._pick(), ["opened", "marked"])
        self.on_msg(lambda _widget, content, _buffers: self._hear(content))

    def refresh(self) -> None:
        """Shows what the selection holds now."""
        selection = self._selection
        with selection.lock, self.hold_sync():
            if self._from_page(self.asked) != selection.rows:
                self.asked = {**self._for_page(selection.rows), "number": self.asked["number"] + 1}
            self.order = np.asarray(selection.found, dtype="<i4").tobytes()
            self.says = sendable(f"wb.ResultsTable(comparison, wb.{selection.rows!r})")
            self.answered = self.asked["number"]
            self.opened = selection.opened_row
            self.marked = list(selection.selected_rows)

    def _ask(self) -> None:
        with self._selection.lock:
            rows = self._from_page(self.asked)
            if rows != self._selection.rows:
                self._selection.show(rows)
            else:
                self.refresh()

    def _pick(self) -> None:
        """A click opened, closed or marked something; called in whichever thread this ipykernel runs callbacks."""
        selection = self._selection
        with selection.lock:
            if (self.opened, tuple(self.marked)) != (selection.opened_row, selection.selected_rows):
                selection.pick(self.opened, self.marked)

    def _hear(self, content: dict[str, Any]) -> None:
        comparison = self._selection.comparison
        match content:
            case {"type": "trial", "row": row}:
                self.send({"type": "trial", **trial_page(comparison, row)})
            case {"type": "rest", "row": row, "start": start}:
                self.send({"type": "rest", "row": row, "text": reply_piece(comparison, row, start)})
            case {"type": "copy", "row": row}:
                self.send({"type": "copy", "row": row, "text": reply_text(comparison, row)})
            case {"type": "pair", "rows": [before, after]}:
                self._compare(before, after)
            case {"type": "link", "key": key}:
                self._follow(key)

    def _compare(self, before: int, after: int) -> None:
        self._selection.pick(self._selection.opened_row, [before, after])
        pair = self._selection.pair
        if pair is not None:
            self.send({"type": "pair", "marked": list(self._selection.selected_rows), **pair_page(pair)})

    def _follow(self, key: str) -> None:
        """A page was opened by a link. It may mean another table of the page: then nothing happens."""
        try:
            self._selection.open(key)
        except ComparisonError:
            return
        self.send({"type": "found", "key": key})

    def _for_page(self, rows: Rows) -> dict[str, Any]:
        run = self._selection.comparison.run
        names = self._names[rows.of]
        return {
            **{name: getattr(rows, name) for name in _PLAIN},
            "variant": _number(list(run.variants), rows.variant),
            "task": _number([task.id for task in run.tasks], rows.task),
            "promise": _number(list(self._selection.comparison.columns.promises), rows.promise),
            "text": sendable(rows.text),
            "sort": _number(names, rows.sort),
        }

    def _from_page(self, asked: dict[str, Any]) -> Rows:
        run = self._selection.comparison.run
        names = self._names[asked["of"]]
        before = self._selection.rows
        return Rows(
            **{name: asked[name] for name in _PLAIN},
            variant=_name(list(run.variants), asked["variant"]),
            task=_name([task.id for task in run.tasks], asked["task"]),
            promise=_name(list(self._selection.comparison.columns.promises), asked["promise"]),
            text=before.text if asked["text"] == sendable(before.text) else asked["text"],
            # A column that a page does not show may have been asked for in a cell.
            sort=before.sort
            if asked["sort"] is None and before.sort not in (None, *names)
            else _name(names, asked["sort"]),
        )


def _number(names: Sequence[str], name: str | None) -> int | None:
    return names.index(name) if name in names else None


def _name(names: Sequence[str], number: int | None) -> str | None:
    return None if number is None else names[number]
