"""The page of a history: for each agent a picture of its nights and a table, in one file that loads nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from workbench.comparison.change_tables import promises_table
from workbench.comparison.figures import percent
from workbench.comparison.history import AgentNights, Drift, History, Night, told_drift, told_words
from workbench.comparison.report.document import LEFT_OUT, html_document
from workbench.errors import FileError
from workbench.markup import HALF_CHARACTERS, counted, html, html_table
from workbench.secrets import value_without_secrets
from workbench.statistics.intervals import LEVEL

PAGE = "history.html"
DATA = "history.json"
_LARGE = (760, 190, 44, 16, 14, 34)
"""Of a picture, in its own units: width, height, and its margins on the left, the right, above and below."""
_SMALL = (160, 44, 6, 6, 6, 6)
HEADINGS = (
    "Night, the last first",
    f"Points [{percent(LEVEL)} CI]",
    "Since the night before",
    "Since the first",
    "What changed",
    "Answered by",
    "Replies",
    "Words",
    "Seconds",
    "USD",
)
NUMBERS = (1, 2, 3, 6, 8, 9)
"""Which columns hold numbers."""
_MOST_NAMED = 10
"""Nights that are named below a picture."""

PICTURE_STYLE = """
:root { --mark: #b45309; }
@media screen and (prefers-color-scheme: dark) { :root { --mark: #f0a94b; } }
tbody th { white-space: nowrap; }
td.number { white-space: nowrap; }
tr.marked th { border-left: 4px solid var(--mark); padding-left: .5rem; }
svg { display: block; width: 100%; height: auto; max-width: 47.5rem; overflow: visible; }
svg text { font: 11px system-ui, sans-serif; fill: currentColor; }
svg .grid { stroke: var(--line); }
svg .line { stroke: var(--accent); fill: none; stroke-width: 2; }
svg .whisker { stroke: var(--accent); stroke-width: 1.5; opacity: .6; }
svg .dot { fill: var(--accent); }
svg .hollow { fill: var(--paper); stroke: var(--accent); stroke-width: 1.5; }
svg .mark { stroke: var(--mark); stroke-dasharray: 4 3; stroke-width: 1.5; }
@media (max-width: 40rem) {
  svg text { font-size: 22px; } svg .between { display: none; } td.number { white-space: normal; }
}
"""

_BODY = (
    """\
<h1>Nights</h1>
<p>{{ summary }} Points are means over tasks, with {{ level }} intervals. A dashed line marks a night in which something
is another than before: the agent, its tasks, the model id that is asked for or that answers. A hollow dot is a night in
which nothing was asked anew. Where nothing drifts, one in twenty intervals leaves out 0 all the same. A dash stands
where there is no such night to be held against.</p>
{% for each in agents %}
<h2>{{ each.title }}</h2>
<p>{{ each.sentence }}</p>
{{ each.picture }}
{{ each.promises }}
<div class="wide" tabindex="0"><table>
<thead><tr>{% for name in headings %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in each.rows %}
<tr{% if row.marked %} class="marked"{% endif %}><th scope="row">{{ row.cells[0] }}</th>{% for cell in row.cells[1:] %}\
<td data-label="{{ headings[loop.index] }}"{% if loop.index in numbers %} class="number"{% endif %}>{{ cell }}</td>\
{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% endfor %}
"""
    + LEFT_OUT
)

_PICTURE = """\
<svg viewBox="0 0 {{ wide }} {{ high }}" role="img" aria-label="{{ label }}">
{% for y, name in grid %}
<line class="grid" x1="{{ left }}" x2="{{ right }}" y1="{{ y }}" y2="{{ y }}"></line>\
<text x="{{ left - 6 }}" y="{{ y + 4 }}" text-anchor="end">{{ name }}</text>
{% endfor %}
{% for x, why in marks %}
<line class="mark" x1="{{ x }}" x2="{{ x }}" y1="{{ top }}" y2="{{ bottom }}"><title>{{ why }}</title></line>
{% endfor %}
<polyline class="line" points="{{ line }}"></polyline>
{% for dot in dots %}
<line class="whisker" x1="{{ dot.x }}" x2="{{ dot.x }}" y1="{{ dot.low }}" y2="{{ dot.high }}"></line>\
<circle class="{{ dot.kind }}" cx="{{ dot.x }}" cy="{{ dot.y }}" r="4"><title>{{ dot.title }}</title></circle>
{% endfor %}
{% for x, name, anchor in names %}
<text x="{{ x }}" y="{{ high - 12 }}" text-anchor="{{ anchor }}"{% if anchor == "middle" %} class="between"{% endif %}>\
{{ name }}</text>
{% endfor %}
</svg>
"""


def write_history(history: History, folder: str | Path) -> tuple[Path, Path]:
    """Writes `history.html` and `history.json` into this folder, and gives their paths. The same records give the same
    bytes.

    Raises:
        FileError: they cannot be written.
    """
    page, data = Path(folder, PAGE), Path(folder, DATA)
    try:
        page.write_text(history_page(history), encoding="utf-8", errors=HALF_CHARACTERS)
        data.write_text(
            json.dumps(value_without_secrets(history.to_json()), indent=2, ensure_ascii=False) + "\n",
            encoding="utf-8",
            errors=HALF_CHARACTERS,
        )
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror}", path=error.filename or folder) from error
    return page, data


def history_page(history: History) -> str:
    """The page as HTML, which loads nothing from anywhere."""
    agents = [
        {
            "title": value_without_secrets(each.name),
            "sentence": value_without_secrets(sentence),
            "picture": night_picture(each.nights),
            "promises": night_promises(each),
            "rows": [value_without_secrets(night_row(night)) for night in reversed(each.nights)],
        }
        for each, sentence in zip(history.agents, history.sentences, strict=True)
    ]
    body = html(
        _BODY,
        level=percent(LEVEL),
        summary=f"Agents: {history.counted}. Nights: {history.counted_nights}.",
        agents=agents,
        headings=HEADINGS,
        numbers=NUMBERS,
        left_out=value_without_secrets(list(history.left_out)),
    )
    return html_document(body, title="Nights", style=PICTURE_STYLE)


def night_promises(each: AgentNights) -> Markup:
    """A row a promise, the worst change first: the last night since the first with this agent and these tasks; empty
    where nothing is graded, or there is no such night before it."""
    table = promises_table(each.promises)
    if table is None:
        return Markup("")
    since, night = each.promises[0].baseline, each.promises[0].variant
    rows = tuple(tuple(row) for row in value_without_secrets(table.rows))
    shown = html_table(replace(table, title=f"{table.title}, {night} since {since}", rows=rows), labels=True)
    return html('<div class="wide" tabindex="0">{{ table }}</div>', table=shown)


def night_row(night: Night) -> dict[str, Any]:
    """The cells of a night by `HEADINGS`, and whether something is another than before."""
    changes = [*night.changes, *([] if night.asked_anew else ["nothing was asked anew"])]
    cells = (
        night.label,
        "not scored" if night.mean is None else points_with_interval(night),
        _told(night.since_before, night),
        _told(night.since_first, night),
        "; ".join(changes) or "nothing",
        ", ".join(night.answered) or "nobody",
        f"{night.replies}" + (f", {night.missing} missing" if night.missing else ""),
        "no reply" if night.words is None else f"{night.words:,.0f}{_told_words(night.words_since_first)}",
        "not known" if night.seconds is None else f"{night.seconds:.1f}",
        "no price known" if night.usd is None else f"{night.usd:.4f}",
    )
    return {"marked": bool(night.changes), "cells": list(cells)}


def points_with_interval(night: Night) -> str:
    """The mean in points with its interval, where it has one."""
    interval = night.interval
    whole = f"{(night.mean or 0) * 100:.1f}"
    return whole if interval is None else f"{whole} [{interval.low * 100:.1f}, {interval.high * 100:.1f}]"


def _told(drift: Drift | None, night: Night) -> str:
    """The drift, or why there is none."""
    if drift is not None:
        return told_drift(drift, in_short=True)
    if night.mean is None:
        return "not scored"
    return "not compared: changed" if night.changes else "-"


def _told_words(drift: Drift | None) -> str:
    return "" if drift is None else f" ({told_words(drift)})"


def night_picture(nights: Sequence[Night], *, small: bool = False) -> Markup:
    """The means of the nights as a line with whiskers; empty where none was scored. A `small` one has no axes."""
    wide, tall, left, right, top, bottom = _SMALL if small else _LARGE
    scored = [(number, night) for number, night in enumerate(nights) if night.mean is not None]
    if not scored:
        return Markup("")
    ends = [end for _, night in scored for end in _ends(night)]
    low, high = max(0.0, min(ends) - 0.02), min(1.0, max(ends) + 0.02)
    span = high - low or 1.0

    def across(number: int) -> float:
        return round(left + (wide - left - right) * (0.5 if len(nights) == 1 else number / (len(nights) - 1)), 1)

    def up(value: float) -> float:
        return round(top + (tall - top - bottom) * (1 - (value - low) / span), 1)

    every = -(-len(nights) // _MOST_NAMED)
    dots = [
        {
            "x": across(number),
            "y": up(night.mean or 0.0),
            "low": up(_ends(night)[0]),
            "high": up(_ends(night)[1]),
            "kind": "dot" if night.asked_anew else "hollow",
            "title": f"{night.label}: {points_with_interval(night)}, {', '.join(night.answered)}",
        }
        for number, night in scored
    ]
    first, last = (points_with_interval(scored[end][1]) for end in (0, -1))
    return html(
        _PICTURE,
        wide=wide,
        high=tall,
        left=left,
        right=wide - right,
        top=top,
        bottom=tall - bottom,
        label=f"Points of {counted(len(scored), 'night')}, from {first} to {last}",
        grid=[]
        if small
        else [(up(low + span * part / 4), f"{(low + span * part / 4) * 100:.0f}") for part in range(5)],
        marks=[
            (across(n), value_without_secrets("; ".join(each.changes))) for n, each in enumerate(nights) if each.changes
        ],
        line=" ".join(f"{dot['x']},{dot['y']}" for dot in dots),
        dots=value_without_secrets(dots),
        names=[]
        if small
        else [
            (
                across(n),
                f"{night.night[:10]} {night.time}".rstrip(),
                "start" if n == 0 else "end" if n == len(nights) - 1 else "middle",
            )
            for n, night in enumerate(nights)
            if n % every == 0
        ],
    )


def _ends(night: Night) -> tuple[float, float]:
    mean = night.mean or 0.0
    return (mean, mean) if night.interval is None else (night.interval.low, night.interval.high)
