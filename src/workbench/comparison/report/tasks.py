"""The tasks of a comparison on a page: how many are better, a point for each, and those that changed most first."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from workbench.comparison.compared import Compared
from workbench.comparison.verdict import points
from workbench.markup import Table, counted, html
from workbench.statistics.intervals import Floats

MOST_SCATTERS = 4
_SIDE = 300
"""Of a scatter plot, in the units of its picture."""
_LEVEL = 1e-9
"""Means of a task that differ by less are level: it is what adding up floats leaves."""
_COUNTS = """\
<figure class="tally"><figcaption>{{ name }}: {{ words }}</figcaption>
<div class="bar" aria-hidden="true">{% for colour, share in parts %}
<i class="{{ colour }}" style="width: {{ share }}%"></i>{% endfor %}</div></figure>
"""
_SCATTER = """\
<figure class="scatter"><figcaption>{{ title }}</figcaption>
<svg viewBox="-44 -10 {{ side + 60 }} {{ side + 52 }}" role="group" aria-label="{{ title }}">
<rect class="paper" width="{{ side }}" height="{{ side }}"/>
<line class="level" x1="0" y1="{{ side }}" x2="{{ side }}" y2="0"/>
{% for at, words in ticks %}
<text x="{{ at }}" y="{{ side + 16 }}" text-anchor="middle">{{ words }}</text>\
<text x="-8" y="{{ side - at + 4 }}" text-anchor="end">{{ words }}</text>
{% endfor %}
<text x="{{ side / 2 }}" y="{{ side + 36 }}" text-anchor="middle">{{ before }}</text>
<text transform="translate(-34 {{ side / 2 }}) rotate(-90)" text-anchor="middle">{{ after }}</text>
{% for point in dots %}
<a{% if point.anchor %} href="#{{ point.anchor }}" aria-label="{{ point.words }}"{% endif %}>\
<circle class="{{ point.colour }}" cx="{{ point.x }}" cy="{{ point.y }}" r="5">\
<title>{{ point.words }}</title></circle></a>
{% endfor %}
</svg></figure>
"""


@dataclass(frozen=True, kw_only=True)
class _Dot:
    """A task in a scatter plot."""

    x: float
    y: float
    colour: str
    words: str
    anchor: str


def tally(comparison: Compared) -> Markup:
    """How many tasks are better, worse and level with each other variant, in words and as a bar; empty where no task
    has a score of both."""
    return Markup().join(_tally(comparison, name) for name in comparison.baseline_of)


def scatters(comparison: Compared, *, linked: Collection[int]) -> Markup:
    """For each other variant (the first few), the tasks by what they score before and after; the point of a task opens
    it, where its row is `linked`. Empty where no task has a score of both."""
    return Markup().join(_scatter(comparison, name, linked) for name in list(comparison.baseline_of)[:MOST_SCATTERS])


def by_size_of_change(comparison: Compared) -> list[int]:
    """The rows of the tasks, those that changed most first; those without a score last."""
    changes = [np.abs(_changes(comparison, name)) for name in comparison.baseline_of]
    largest = np.nan_to_num(np.array(changes), nan=-1.0).max(axis=0) if changes else np.zeros(len(comparison.run.tasks))
    return [int(row) for row in np.argsort(-largest, kind="stable")]


def task_anchor(row: int) -> str:
    """The fragment that opens the task in this row of the run."""
    return f"task-{row}"


def tasks_with_links(table: Table, rows: Sequence[int], *, linked: Collection[int]) -> Table:
    """The table of tasks, whose rows are these of the run: the name of each task that is `linked` opens it."""
    names = (
        html('<a href="#{{ anchor }}">{{ name }}</a>', anchor=task_anchor(row), name=cells[0])
        if row in linked
        else cells[0]
        for row, cells in zip(rows, table.rows, strict=True)
    )
    return Table(
        title=table.title,
        headings=table.headings,
        rows=tuple((name, *cells[1:]) for name, cells in zip(names, table.rows, strict=True)),
        note=table.note,
    )


def _changes(comparison: Compared, name: str) -> Floats:
    means = comparison.scores
    change: Floats = means[name].means - means[comparison.baseline_of[name]].means
    return np.where(np.abs(change) < _LEVEL, 0.0, change)


def _tally(comparison: Compared, name: str) -> Markup:
    changes = _changes(comparison, name)
    counts = {"up": int((changes > 0).sum()), "down": int((changes < 0).sum()), "same": int((changes == 0).sum())}
    unknown = len(changes) - sum(counts.values())
    if unknown == len(changes):
        return Markup()
    words = f"{counted(counts['up'], 'task')} better, {counts['down']} worse, {counts['same']} level"
    words += f", {unknown} without a score of both" if unknown else ""
    parts = [(colour, f"{100 * count / max(1, len(changes)):.2f}") for colour, count in counts.items()]
    if any(verdict.same_requests for verdict in comparison.verdicts if verdict.variant == name):
        words, parts = f"{words}, by noise alone", [("same", "100")]
    return html(_COUNTS, name=name, words=words, parts=parts)


def _scatter(comparison: Compared, name: str, linked: Collection[int]) -> Markup:
    baseline = comparison.baseline_of[name]
    before, after = comparison.scores[baseline].means, comparison.scores[name].means
    dots: list[_Dot] = []
    taken: dict[tuple[int, int], int] = {}
    for row, (old, new) in enumerate(zip(before.tolist(), after.tolist(), strict=True)):
        if math.isnan(old) or math.isnan(new):
            continue
        x, y = _SIDE * old, _SIDE * (1 - new)
        # Scores of few repeats fall together: each further point on a place stands beside it, in a spiral.
        number = taken[round(x), round(y)] = taken.get((round(x), round(y)), -1) + 1
        turn, away = 2.4 * number, 7 * math.sqrt(number)
        colour = "same" if abs(new - old) < _LEVEL else "up" if new > old else "down"
        words = f"{comparison.run.tasks[row].id}: {points(old, sign=False)}, then {points(new, sign=False)}"
        dots.append(
            _Dot(
                x=round(x + away * math.cos(turn), 1),
                y=round(y + away * math.sin(turn), 1),
                colour=colour,
                words=words,
                anchor=task_anchor(row) if row in linked else "",
            )
        )
    if not dots:
        return Markup()
    return html(
        _SCATTER,
        title=f"Each task: points with {baseline}, and with {name}. Above the line is better.",
        side=_SIDE,
        ticks=[(_SIDE * share / 100, share) for share in (0, 25, 50, 75, 100)],
        before=baseline,
        after=name,
        dots=dots,
    )
