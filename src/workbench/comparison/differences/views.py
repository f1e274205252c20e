"""A difference as HTML, Markdown and plain text, in which what was compared can become nothing but text.

What was added and removed has "+" and "-" beside its colour, which are blue and orange instead of green and
red. The HTML has inline styles only, and tints what is below it, so that it reads on any page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from workbench.comparison.differences.words import Line, Span
from workbench.markup import counted, html, visible_as_written

CONTEXT = 3
"""Equal lines shown around a change; more are folded."""
MOST_CHARACTERS = 20_000
"""Characters of a difference that are shown."""
MOST_LINES = 400
"""Lines of a difference by lines that are shown."""

_SIGNS: dict[str, str] = {"equal": "  ", "removed": "- ", "added": "+ "}
_PAGE = (
    "white-space:pre-wrap;overflow-wrap:anywhere;margin:0;padding:0.5em;border:1px solid #888888;"
    "font-family:monospace;font-size:0.9em;line-height:1.4;text-align:left"
)
# A tint over whatever the page is painted in, so that the marks follow a light theme and a dark one.
_LINE_COLOURS = {
    "removed": "color:inherit;background:rgba(224,120,40,0.13)",
    "added": "color:inherit;background:rgba(50,140,215,0.13)",
}
_WORD_COLOURS = {
    "removed": "color:inherit;background:rgba(224,120,40,0.38);text-decoration:line-through 1px",
    "added": "color:inherit;background:rgba(50,140,215,0.38);text-decoration:underline",
}
_TAGS = {"removed": "del", "added": "ins"}
_BRACKETS = {"removed": ("[-", "-]"), "added": ("{+", "+}")}
_LOOKS: dict[str, Any] = {
    "page": _PAGE,
    "signs": _SIGNS,
    "line_colours": _LINE_COLOURS,
    "word_colours": _WORD_COLOURS,
    "tags": _TAGS,
}
# Behind a tag in braces and a percent sign a line break is dropped; all others stand on the page.
_PARTS = """\
{% macro marked(kind, text) %}
<{{ tags[kind] }} style="{{ word_colours[kind] }}">{{ text | lines }}</{{ tags[kind] }}>{% endmacro %}
{% macro fold(text) %}
<i style="opacity:0.75">({{ text }})</i>{% endmacro %}
"""
_WORDS = """\
<pre style="{{ page }}">{% for kind, text in spans %}
{% if kind == "fold" %}
{{ fold(text) }}{% elif kind == "equal" %}
{{ text | lines }}{% else %}
<b style="{{ line_colours[kind] }}">{{ signs[kind][0] }}</b>{{ marked(kind, text) }}{% endif %}
{% endfor %}
</pre>
"""
_LINES = """\
<pre style="{{ page }}">{% for kind, parts in lines %}
{% if kind == "fold" %}
{{ fold(parts[0][0]) }}{% else %}
{% if kind in line_colours %}
<span style="{{ line_colours[kind] }}">{% endif %}
{{ signs[kind] | lines }}{% for text, is_marked in parts %}
{% if is_marked %}
{{ marked(kind, text) }}{% else %}
{{ text | lines }}{% endif %}
{% endfor %}
{% if kind in line_colours %}
</span>{% endif %}
{% endif %}
{# a line break in the page: #}

{% endfor %}
</pre>
"""
_LINE_BREAK = "↵"
_NO_LINE_END = " (no line end)"
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def shown_words(spans: Sequence[Span]) -> Iterator[tuple[str, str]]:
    """Kinds and texts as every view shows them, long equal stretches as a "fold" that says how long they are."""
    for kind, text in _clipped(_folded_spans(spans)):
        yield kind, text if kind == "fold" else _seen(text, is_changed=kind != "equal")


def shown_lines(lines: Sequence[Line]) -> Iterator[tuple[str, tuple[tuple[str, bool], ...]]]:
    """Kinds and parts as every view shows them, with whether each part is itself what changed; folds as above."""
    for line in _clipped_lines(_folded_lines(lines)):
        if isinstance(line, str):
            yield "fold", ((line, False),)
            continue
        whole = all(marked for _, marked in line.parts)
        parts = [(_seen(text, is_changed=marked and not whole), marked and not whole) for text, marked in line.parts]
        yield line.kind, (*parts, *([(_NO_LINE_END, False)] if _lacks_line_end(line) else []))


def html_words(spans: Sequence[Span]) -> Markup:
    """The text with what was removed in `<del>` and what was added in `<ins>`, a sign before each."""
    return html(_PARTS + _WORDS, spans=shown_words(spans), **_LOOKS)


def html_lines(lines: Sequence[Line]) -> Markup:
    """The lines with "+" and "-" before those that changed, and their changed words marked in them."""
    return html(_PARTS + _LINES, lines=shown_lines(lines), **_LOOKS)


def plain_words(spans: Sequence[Span]) -> str:
    """The text with what was removed as "[-so-]" and what was added as "{+so+}"."""
    parts = []
    for kind, text in shown_words(spans):
        if kind == "fold":
            parts.append(f"({text})")
        elif kind == "equal":
            parts.append(text)
        else:
            parts.append(_plain_marked(kind, text))
    shown = "".join(parts)
    return shown if shown.endswith("\n") else f"{shown}\n"


def plain_lines(lines: Sequence[Line]) -> str:
    """The lines with "+" and "-" before those that changed, changed words as "[-so-]" and "{+so+}" in them."""
    parts = []
    for kind, pieces in shown_lines(lines):
        if kind == "fold":
            parts.append(f"  ({pieces[0][0]})\n")
            continue
        shown = "".join(_plain_marked(kind, text) if marked else text for text, marked in pieces)
        parts.append(f"{_SIGNS[kind]}{shown}\n")
    return "".join(parts)


def markdown_fence(text: str, language: str = "") -> str:
    """The text as a block of code that nothing in it can end."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.removesuffix(chr(10))}\n{fence}\n"


def _plain_marked(kind: str, text: str) -> str:
    opening, closing = _BRACKETS[kind]
    return f"{opening}{text}{closing}"


def _seen(text: str, *, is_changed: bool) -> str:
    """The text as it is shown; a changed line break is seen in it, and changed blanks where there is nothing else."""
    text = visible_as_written(text)
    if not is_changed:
        return text
    if not text.strip():
        text = text.replace(" ", "·").replace("\t", "→\t")
    return text.replace("\n", f"{_LINE_BREAK}\n")


def _lacks_line_end(line: Line) -> bool:
    return not line.ended and line.kind != "equal"


def _folded_spans(spans: Sequence[Span]) -> Iterator[tuple[str, str]]:
    """Kinds and texts, long equal ones cut to the lines next to a change and a "fold" between."""
    for index, span in enumerate(spans):
        lines = _LINE.findall(span.text) if span.kind == "equal" else []
        head = CONTEXT + 1 if index > 0 else 0
        tail = CONTEXT + 1 if index < len(spans) - 1 else 0
        hidden = len(lines) - head - tail
        if hidden <= 1 or len(spans) == 1:
            yield span.kind, span.text
            continue
        if head:
            yield "equal", "".join(lines[:head])
        yield "fold", f"{hidden} equal lines"
        yield "equal", "\n" + "".join(lines[len(lines) - tail :] if tail else [])


def _folded_lines(lines: Sequence[Line]) -> Iterator[Line | str]:
    """The lines next to a change, and in place of the others how many they are."""
    near = [False] * len(lines)
    for at, line in enumerate(lines):
        if line.kind != "equal":
            start, end = max(0, at - CONTEXT), min(len(lines), at + CONTEXT + 1)
            near[start:end] = [True] * (end - start)
    hidden = 0
    for line, is_near in zip(lines, near, strict=True):
        if not is_near:
            hidden += 1
            continue
        if hidden:
            yield _equal_lines(hidden)
            hidden = 0
        yield line
    if hidden:
        yield _equal_lines(hidden)


def _equal_lines(count: int) -> str:
    return counted(count, "equal line")


def _clipped(parts: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    left = MOST_CHARACTERS
    hidden = 0
    for kind, text in parts:
        if left > 0:
            yield kind, text[:left]
        hidden += max(0, len(text) - max(0, left))
        left -= len(text)
    if hidden:
        yield "fold", f"{hidden:,} more characters"


def _clipped_lines(lines: Iterator[Line | str]) -> Iterator[Line | str]:
    left = MOST_CHARACTERS
    hidden = 0
    for number, line in enumerate(lines):
        size = len(line) if isinstance(line, str) else len(line.text)
        if left <= 0 or number >= MOST_LINES:
            hidden += 1
        elif isinstance(line, str) or size <= left:
            yield line
        else:
            yield Line(line.kind, tuple(_cut(line.parts, left)))
            yield f"{size - left:,} more characters of this line"
        left -= size
    if hidden:
        yield f"{hidden:,} more lines"


def _cut(parts: Sequence[tuple[str, bool]], size: int) -> Iterator[tuple[str, bool]]:
    for text, marked in parts:
        if size > 0:
            yield text[:size], marked
        size -= len(text)
