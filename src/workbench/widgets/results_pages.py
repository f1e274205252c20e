"""A results table without a kernel: the rows that were looked at, as a plain selection."""

from __future__ import annotations

from dataclasses import replace

from workbench.comparison.compared import STAND_IN_NOTE
from workbench.comparison.selection import Selection
from workbench.comparison.static_tables import (
    MOST_TRIALS_SHOWN,
    coloured_html,
    tasks_table,
    trials_html,
    trials_table,
    variants_table,
)
from workbench.markup import Table, html, html_table, markdown_table, markdown_text, plain_table
from workbench.widgets.frame import sendable

_SHOWN = """\
{% if banner %}
<p>{{ banner }}</p>
{% endif %}
{% if rows %}
<p><code>{{ rows }}</code></p>
{% endif %}
{{ table }}"""


def html_page(selection: Selection) -> str:
    """The rows as HTML; the reply of a trial opens on a click, without a script."""
    if selection.rows.of == "trials":
        shown = trials_html(selection.comparison, chosen=_first_rows(selection))
    else:
        shown = coloured_html(_table(selection)) if selection.rows.of == "tasks" else html_table(_table(selection))
    banner = STAND_IN_NOTE if selection.comparison.stand_in else ""
    return sendable(html(_SHOWN, banner=banner, rows=_rows(selection), table=shown))


def markdown_page(selection: Selection) -> str:
    """The rows as Markdown."""
    return sendable("\n\n".join([*map(markdown_text, _notes(selection)), markdown_table(_table(selection))]))


def plain_page(selection: Selection) -> str:
    """The rows in columns of equal width."""
    return sendable("\n\n".join([*_notes(selection), plain_table(_table(selection))]))


def _table(selection: Selection) -> Table:
    chosen = _first_rows(selection)
    if selection.rows.of == "trials":
        return trials_table(selection.comparison, chosen=chosen)
    if selection.rows.of == "tasks":
        return tasks_table(selection.comparison, chosen=chosen)
    found = variants_table(selection.comparison)
    return replace(found, rows=tuple(found.rows[row] for row in chosen))


def _first_rows(selection: Selection) -> list[int]:
    return [int(row) for row in selection.found[:MOST_TRIALS_SHOWN]]


def _notes(selection: Selection) -> list[str]:
    note = [STAND_IN_NOTE] if selection.comparison.stand_in else []
    return [*note, found] if (found := _rows(selection)) else note


def _rows(selection: Selection) -> str:
    """Which rows were asked for and how many there are; empty where all are shown as they come."""
    rows = selection.rows
    return f"{rows!r}: {len(selection.found):,} {rows.of}" if rows.is_filtered or rows.sort is not None else ""
