"""HTML, Markdown and plain text in which what a model, a persona or a task says can become nothing but text.

All HTML is made by `html` from templates of ours: whatever is put into one is escaped there, and whatever of it would
not be seen is named. Tables need no style sheet and no script, so they show the same in JupyterLab, in an exported page
and on a code host.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from markupsafe import Markup

_BLANKS = re.compile(r"[ \t\r\n]{2,}|[\t\r\n]")
# Controls, direction overrides, separators that break lines, tags, in which a whole text can stand that nobody sees and
# a model reads, surrogates, which no encoding can write, and what no XML can hold. The joiners (U+200C, U+200D, U+2060)
# are none of them: words and emoji are written with them, and code hosts are kept from making links by them.
_INVISIBLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2061-\u206f\u3164\ufeff\ufff9-\ufffb"
    r"\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
# What a runner in CI takes for a command to itself, in the output of any step: GitHub, Azure, TeamCity.
_COMMAND = re.compile(r"^([^\S\n]*+):(?=:)|(##)(?=\[|vso\[|teamcity\[)", re.MULTILINE)
# What may begin or end a formula.
_FORMULA = re.compile(r"([$]|\\(?=[(\[\])]))")
_MARKDOWN = re.compile(r"[\\`*_\[\]~#<>|&@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
# A page that typesets looks for formulas in what is left after Markdown was rendered, where no escape stands any more,
# and never across an element; before that, JupyterLab looks for dollar signs in the source.
_APART = {"$": "<span>&#36;</span>", "\\": "<span>&#92;</span>"}

HALF_CHARACTERS = "backslashreplace"
"""How a character that no encoding can write is written, to a file or to an output: as `\\udcff`."""
_SHORT_WORD = 30
"""Letters; a word of so many stays whole."""
# The style stands in the elements: an exported page and a code host have no style sheet of ours.
_OUTPUT = """\
<div class="tex2jax_ignore mathjax_ignore" style="overflow-wrap: anywhere">
{{ shown }}</div>
"""
_TABLE = """\
{% macro style(cell) %}{% if cell is long %} style="overflow-wrap: anywhere"{% endif %}{% endmacro %}
{% macro label(column) %}{% if labels %} data-label="{{ table.headings[column] }}"{% endif %}{% endmacro %}
{% if rows %}
<table style="overflow-wrap: normal">
<caption style="text-align: left; overflow-wrap: anywhere">{{ table.title }}</caption>
<thead><tr>\
{% for heading in table.headings %}<th scope="col"{{ style(heading) }}>{{ heading }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr{% if loop.index0 in table.muted %} style="opacity: .7"{% endif %}>\
<th scope="row"{{ style(row[0]) }}>{{ row[0] }}</th>\
{% for cell in row[1:] %}<td{{ label(loop.index) }}{{ style(cell) }}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
{% else %}
<p><strong>{{ table.title }}</strong></p>
{% endif %}
{% if table.note %}
<p>{{ table.note }}</p>
{% endif %}
"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts. The first cell of a row names it."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """A sentence below the table."""
    muted: frozenset[int] = frozenset()
    """The numbers of rows that are shown in grey, where colours are shown."""


def counted(count: int, what: str, plural: str = "") -> str:
    """ "1 task", "12 tasks"; "1 reply", "2 replies" where a plural is no word with an s."""
    return f"{count:,} {what if count == 1 else plural or what + 's'}"


def command(*words: str | Path) -> str:
    """A command as it can be pasted into a shell, from the folder in which the paths among its words start: each word
    quoted where it has to be, and no path taken for an option."""
    return shlex.join(
        f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word) for word in words
    )


def visible(text: str) -> str:
    """The text on one line, with every character that would not be seen named: "<U+001B>"."""
    return _INVISIBLE.sub(lambda found: f"<U+{ord(found.group()):04X}>", _BLANKS.sub(" ", text))


def visible_lines(text: str) -> str:
    """The text with its blanks, tabs and line breaks, every other character that would not be seen named."""
    return visible_as_written(text.replace("\r\n", "\n").replace("\r", "\n"))


def visible_as_written(text: str) -> str:
    """As `visible_lines`, with carriage returns named too, so that two kinds of line ends can be told apart."""
    return _INVISIBLE.sub(lambda found: found[0] if found[0] in "\t\n" else f"<U+{ord(found[0]):04X}>", text)


def writable(text: str) -> str:
    """The text as our files have it: a character that no encoding can write is spelled out."""
    return text if text.isascii() else text.encode("utf-8", HALF_CHARACTERS).decode()


def printed(text: str) -> str:
    """As `visible_lines`, for a terminal or the log of a step in CI: no line is a command to whoever runs the step."""
    return _COMMAND.sub(lambda found: f"{found[1]}: " if found[2] is None else f"{found[2]} ", visible_lines(text))


def html(template: str, **values: Any) -> Markup:
    """HTML from a Jinja template of ours. A text among the values is shown as `html_text` shows it, or with the filter
    `lines` as `html_block` does; what is HTML already stands as it is."""
    from markupsafe import Markup

    return Markup(_compiled(template).render(values))


def html_text(text: str) -> Markup:
    """The text as HTML that shows it, on one line."""
    from markupsafe import Markup

    return Markup(escape(visible(text)))


def html_block(text: str) -> Markup:
    """The text as HTML that shows it with its line breaks, for an element that keeps them."""
    from markupsafe import Markup

    return Markup(escape(visible_lines(text)))


def notebook_html(shown: Markup) -> str:
    """HTML as an output of a notebook: the classes keep MathJax from reading dollar signs in a text as formulas, and a
    word that is longer than the page breaks, so that it pushes nothing out of sight."""
    return str(html(_OUTPUT, shown=shown))


def has_long_word(text: str) -> bool:
    """Whether a cell of a table has to break in a word. In any other cell none may: beside a word without an end, a
    column of which every word may break would get a place of one letter."""
    from markupsafe import Markup

    shown = text.striptags() if isinstance(text, Markup) else text
    return max(map(len, shown.split()), default=0) > _SHORT_WORD


@cache
def _environment() -> Environment:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    found = Environment(
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else html_text(str(value)),
        keep_trailing_newline=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    found.filters["lines"] = html_block
    found.tests["long"] = has_long_word
    return found


@lru_cache(maxsize=128)
def _compiled(template: str) -> Template:
    return _environment().from_string(template)


def markdown_text(text: str) -> str:
    """The text as Markdown that shows it, also in a table: no markup, no formula, no address made a link."""
    parts = _FORMULA.split(visible(text))
    return "".join(_APART.get(part) or _MARKDOWN.sub(r"\\\g<0>", part) for part in parts)


def html_table(table: Table, *, cell: Callable[[str, int, int], str] | None = None, labels: bool = False) -> Markup:
    """The table as a plain HTML table with a caption and header cells; without a row, its title and its note.

    `cell` gives the text in a row and column that is not the first, or as `Markup` the HTML in its place. With `labels`
    each cell knows its heading, for a page that shows a row as a card where it is narrow.
    """
    rows: Sequence[Sequence[str]] = table.rows
    if cell is not None:
        rows = [
            (row[0], *(cell(text, number, column) for column, text in enumerate(row[1:], start=1)))
            for number, row in enumerate(table.rows)
        ]
    return html(_TABLE, table=table, rows=rows, labels=labels)


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
