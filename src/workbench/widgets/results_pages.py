"""A results table without a kernel: the rows that were looked at, as a plain table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.comparison.scores import is_stand_in
from workbench.comparison.static_tables import (
    MOST_TRIALS_SHOWN,
    coloured_html,
    tasks_table,
    trials_html,
    trials_table,
    variants_table,
)
from workbench.comparison.tables import STAND_IN_NOTE
from workbench.markup import Table, html_table, html_text, markdown_table, markdown_text, plain_table
from workbench.widgets.frame import sendable

if TYPE_CHECKING:
    from workbench.widgets.results import ResultsTable


def html_page(table: ResultsTable) -> str:
    """The rows as HTML; the reply of a trial opens on a click, without a script."""
    if table.rows.of == "trials":
        shown = trials_html(table.comparison, chosen=_places(table))
    else:
        shown = coloured_html(_table(table)) if table.rows.of == "tasks" else html_table(_table(table))
    note = f"<p>{html_text(STAND_IN_NOTE)}</p>\n" if is_stand_in(table.comparison.run) else ""
    rows = f"<p><code>{html_text(found)}</code></p>\n" if (found := _rows(table)) else ""
    # The classes keep MathJax from reading dollar signs in replies and names as formulas.
    return sendable(f'<div class="tex2jax_ignore mathjax_ignore">\n{note}{rows}{shown}</div>\n')


def markdown_page(table: ResultsTable) -> str:
    """The rows as Markdown."""
    return sendable("\n\n".join([*map(markdown_text, _notes(table)), markdown_table(_table(table))]))


def plain_page(table: ResultsTable) -> str:
    """The rows in columns of equal width."""
    return sendable("\n\n".join([*_notes(table), plain_table(_table(table))]))


def _table(table: ResultsTable) -> Table:
    chosen = _places(table)
    if table.rows.of == "trials":
        return trials_table(table.comparison, chosen=chosen)
    if table.rows.of == "tasks":
        return tasks_table(table.comparison, chosen=chosen)
    found = variants_table(table.comparison)
    return replace(found, rows=tuple(found.rows[row] for row in chosen))


def _places(table: ResultsTable) -> list[int]:
    return [int(place) for place in table._places[:MOST_TRIALS_SHOWN]]


def _notes(table: ResultsTable) -> list[str]:
    note = [STAND_IN_NOTE] if is_stand_in(table.comparison.run) else []
    return [*note, found] if (found := _rows(table)) else note


def _rows(table: ResultsTable) -> str:
    """Which rows were asked for and how many there are; empty where all are shown as they come."""
    rows = table.rows
    return f"{rows!r}: {len(table._places):,} {rows.of}" if rows.is_filtered or rows.sort is not None else ""
