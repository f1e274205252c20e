"""Tables as HTML, Markdown and plain text in which no cell can become anything but text.

Cells may hold what a model, a persona or a task says. The markup needs no style sheet and no script, so it
shows the same in JupyterLab, in an exported page and on a code host.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_BLANKS = re.compile(r"[ \t\r\n]{2,}|[\t\r\n]")
# Controls, direction overrides, separators that break lines, and surrogates, which no encoding can write.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
# In JupyterLab two backslashes before a bracket begin a formula, so there a backslash is written as an entity.
_FORMULA = re.compile(r"\\(?=[(\[])")
_MARKDOWN = re.compile(r"[\\`*_\[\]~#<>|&$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts. The first cell of a row names it."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """A sentence below the table."""


def counted(count: int, what: str) -> str:
    """ "1 task", "12 tasks"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def visible(text: str) -> str:
    """The text on one line, with every character that would not be seen named: "<U+001B>"."""
    return _INVISIBLE.sub(lambda found: f"<U+{ord(found.group()):04X}>", _BLANKS.sub(" ", text))


def visible_lines(text: str) -> str:
    """The text with its blanks, tabs and line breaks, every other character that would not be seen named."""
    return visible_as_written(text.replace("\r\n", "\n").replace("\r", "\n"))


def visible_as_written(text: str) -> str:
    """As `visible_lines`, with carriage returns named too, so that two kinds of line ends can be told apart."""
    return _INVISIBLE.sub(lambda found: found[0] if found[0] in "\t\n" else f"<U+{ord(found[0]):04X}>", text)


def html_text(text: str) -> str:
    """The text as HTML that shows it."""
    return html.escape(visible(text))


def markdown_text(text: str) -> str:
    """The text as Markdown that shows it, also in a table: no markup, no formula, no address made a link."""
    parts = (_MARKDOWN.sub(r"\\\g<0>", part) for part in _FORMULA.split(visible(text)))
    return "&#92;".join(parts)


def html_table(table: Table, *, cell: Callable[[str, int, int], str] | None = None) -> str:
    """The table as a plain HTML table with a caption and header cells; without a row, its title and its note.

    `cell` gives the HTML of the text in a row and column that is not the first, where it is not just that text.
    """
    heading = "".join(f'<th scope="col">{html_text(text)}</th>' for text in table.headings)
    body = "".join(
        f'<tr><th scope="row">{html_text(row[0])}</th>'
        + "".join(
            f"<td>{html_text(text) if cell is None else cell(text, number, column)}</td>"
            for column, text in enumerate(row[1:], start=1)
        )
        + "</tr>\n"
        for number, row in enumerate(table.rows)
    )
    note = f"<p>{html_text(table.note)}</p>\n" if table.note else ""
    caption = html_text(table.title)
    if not table.rows:
        return f"<p><strong>{caption}</strong></p>\n{note}"
    return (
        f'<table>\n<caption style="text-align: left">{caption}</caption>\n'
        f"<thead><tr>{heading}</tr></thead>\n"
        f"<tbody>\n{body}</tbody>\n</table>\n{note}"
    )


def markdown_table(table: Table) -> str:
    """The table as GitHub shows it, its title in bold above."""
    lines = [f"**{markdown_text(table.title)}**"]
    if table.rows:
        lines += ["", _markdown_row(table.headings), "|" + " --- |" * len(table.headings)]
        lines.extend(_markdown_row(row) for row in table.rows)
    if table.note:
        lines += ["", markdown_text(table.note)]
    return "\n".join(lines) + "\n"


def plain_table(table: Table) -> str:
    """The table in columns of equal width, its title above."""
    cells = [[visible(cell) for cell in row] for row in (table.headings, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    shown = [visible(table.title), *(lines if table.rows else ())]
    return "\n".join([*shown, *([visible(table.note)] if table.note else [])]) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(markdown_text(cell) for cell in cells) + " |"
