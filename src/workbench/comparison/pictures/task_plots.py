"""The pictures of a comparison by task: a heat map of the means, and how the repeats of each task are spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from workbench.comparison.compared import Compared
from workbench.comparison.flips import THRESHOLD
from workbench.comparison.pictures.canvas import (
    MARKERS,
    Palette,
    Plot,
    Theme,
    finish,
    ink_on,
    short_names,
    shortened,
    style,
)
from workbench.comparison.pictures.words import (
    Repeats,
    all_changes,
    describe_repeats,
    describe_tasks,
    heading,
    repeats_of,
)
from workbench.markup import counted
from workbench.statistics.intervals import Floats
from workbench.statistics.means import case_means

MOST_TASKS_IN_MAP = 200
MOST_TASKS_IN_STRIPS = 60
_ROWS_IN_PANEL = 42
_ROW_INCHES = 0.22
_CELL_INCHES = 0.56
_WIDEST_INCHES = 10.5
_FLIP_SIGNS = {"now passes": "▲", "now fails": "▼", None: ""}


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a panel: a task, or the heading of a group where `task` is `None`."""

    label: str
    task: int | None


def heat_map(compared: Compared, *, theme: Theme = "light") -> Plot:
    """The mean score of each task (row) and variant (column) in points, tasks of a group together under its name.

    "▲" marks a task that passes where it failed with the baseline, "▼" the other way round. A hatched cell has no
    score. Of more than 200 tasks those are drawn whose score changed most.
    """
    run = compared.run
    names = list(compared.names)
    found = {one.name: case_means(one.by_repeat) for one in repeats_of(compared)}
    means = np.column_stack([found[name] for name in names])
    flips = {name: [_FLIP_SIGNS[change.flip] for change in all_] for name, all_ in all_changes(compared).items()}
    signs = [flips.get(name, [""] * len(run.tasks)) for name in names]
    changed = [found[name] - found[base] for name, base in compared.baseline_of.items()]
    chosen = _chosen(np.abs(np.column_stack(changed) if changed else means[:, 1:]), MOST_TASKS_IN_MAP)
    rows = _rows([task.id for task in run.tasks], [task.group for task in run.tasks], chosen)
    labels = short_names(names, longest=20)
    panel_inches = 0.4 + 0.068 * max(len(row.label) for row in rows) + _CELL_INCHES * len(names)
    panels = _panels(rows, most=max(1, int(_WIDEST_INCHES / panel_inches)))
    tallest = max(len(panel) for panel in panels)
    slanted = any(len(label) > 7 for label in labels)
    size = (
        max(6.0, len(panels) * panel_inches + 0.3),
        1.55 + (0.9 if slanted else 0.2) + _ROW_INCHES * tallest,
    )
    figure = Plot(inches=size, theme=theme, alt=describe_tasks(compared))
    every = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(every, panels, strict=True):
        _draw_cells(axes, panel, means, signs, figure.palette)
        _name_cells(axes, panel, labels, tallest, slanted=slanted, palette=figure.palette)
    _draw_scale(figure, list(every))
    notes = []
    if len(names) > 1:
        passing, of_which = 100 * THRESHOLD, "its baseline" if compared.parts else "the first column"
        notes.append(f"▲ now passes, ▼ now fails: most repeats at {passing:g} points or more, against {of_which}.")
    if len(chosen) < len(run.tasks):
        notes.append(f"{len(chosen)} of {counted(len(run.tasks), 'task')}: those whose score changed most.")
    if notes:
        figure.supxlabel("\n".join(notes), fontsize=7.5, color=figure.palette.ink)
    return finish(figure, title=f"{heading(compared)}: mean score of each task")


def repeats_plot(compared: Compared, *, theme: Theme = "light") -> Plot:
    """The score of every repeat, a row for each task and a strip for each variant.

    A disc is as large as the number of repeats that scored so, the line joins the lowest and the highest, the
    upright stroke is the mean. Of more than 60 tasks those are drawn whose repeats differ most.
    """
    run = compared.run
    found = repeats_of(compared)
    spreads = np.column_stack(
        [np.fmax.reduce(one.by_repeat, axis=1) - np.fmin.reduce(one.by_repeat, axis=1) for one in found]
    )
    chosen = _chosen(spreads, MOST_TASKS_IN_STRIPS)
    rows = _rows([task.id for task in run.tasks], [task.group for task in run.tasks], chosen)
    width = max(9.0, 2.2 + 1.25 * len(found))
    figure = Plot(inches=(width, 1.9 + _ROW_INCHES * len(rows)), theme=theme, alt=describe_repeats(compared))
    every = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    labels = short_names([one.name for one in found], longest=max(10, int(100 / len(found))))
    others = 0
    for axes, one, label in zip(every, found, labels, strict=True):
        is_baseline = one.name in compared.baselines
        colour = figure.palette.baseline if is_baseline else figure.palette.series[others % len(figure.palette.series)]
        marker = "s" if is_baseline else MARKERS[others % len(MARKERS)]
        others += not is_baseline
        spread = "" if math.isnan(one.spread) else f"\nwithin-task SD {100 * one.spread:.1f}"
        style(axes, figure.palette, title=f"{label}{spread}", grid="x")
        _draw_strips(axes, rows, one, colour, marker, figure.palette)
    _name_rows(every[0], rows, figure.palette, size=7.5)
    for axes in every[1:]:
        axes.tick_params(axis="y", length=0)
    note = "Score in points. Larger: more repeats. Line: lowest to highest. Stroke: mean."
    if len(chosen) < len(run.tasks):
        note += f"\n{len(chosen)} of {counted(len(run.tasks), 'task')}: those whose repeats differ most."
    figure.supxlabel(note, fontsize=7.5, color=figure.palette.ink)
    return finish(figure, title=f"{heading(compared)}: the repeats of each task")


def _chosen(sizes: Floats, most: int) -> list[int]:
    """At most so many rows, in their order: those with the largest value in any column."""
    if len(sizes) <= most or not sizes.shape[1]:
        return list(range(min(len(sizes), most)))
    largest = np.fmax.reduce(sizes, axis=1)
    order = np.argsort(-np.where(np.isnan(largest), -1.0, largest), kind="stable")
    return sorted(order[:most].tolist())


def _rows(ids: Sequence[str], groups: Sequence[str | None], chosen: Sequence[int]) -> list[_Row]:
    """The chosen tasks, those of a group together below its name; without headings where no task has a group."""
    labels = short_names([ids[at] for at in chosen], longest=30)
    named = dict(zip(chosen, labels, strict=True))
    if all(groups[at] is None for at in chosen):
        return [_Row(named[at], at) for at in chosen]
    rows = []
    for group in dict.fromkeys(groups[at] for at in chosen):
        rows.append(_Row("no group" if group is None else shortened(group, 30), None))
        rows += [_Row(named[at], at) for at in chosen if groups[at] == group]
    return rows


def _panels(rows: Sequence[_Row], *, most: int) -> list[list[_Row]]:
    """The rows in columns of about equal height; a group that goes on in the next column is named again there."""
    count = min(most, math.ceil(len(rows) / _ROWS_IN_PANEL))
    tallest = math.ceil(len(rows) / count)
    panels: list[list[_Row]] = []
    group: _Row | None = None
    for start in range(0, len(rows), tallest):
        panel = list(rows[start : start + tallest])
        if group is not None and panel[0].task is not None:
            panel.insert(0, group)
        panels.append(panel)
        headings = [row for row in panel if row.task is None]
        group = headings[-1] if headings else group
    return panels


def _draw_cells(
    axes: Axes, panel: Sequence[_Row], means: Floats, signs: Sequence[Sequence[str]], palette: Palette
) -> None:
    colours = colormaps["cividis"]
    for at, row in enumerate(panel):
        if row.task is None:
            continue
        for column, mean in enumerate(means[row.task].tolist()):
            corner = (column - 0.5, at - 0.5)
            if math.isnan(mean):
                empty = Rectangle(corner, 1, 1, facecolor=palette.paper, edgecolor=palette.ink, linewidth=0.3)
                empty.set_hatch("////")
                axes.add_patch(empty)
                continue
            cell = Rectangle(corner, 1, 1, facecolor=colours(mean), edgecolor=palette.paper, linewidth=0.6)
            axes.add_patch(cell)
            text = axes.text(
                column,
                at,
                f"{100 * mean:.0f}{signs[column][row.task]}",
                ha="center",
                va="center",
                fontsize=7.5,
                color=ink_on(mean),
            )
            text.set_in_layout(False)
    axes.set_xlim(-0.5, means.shape[1] - 0.5)


def _name_cells(
    axes: Axes, panel: Sequence[_Row], labels: Sequence[str], tallest: int, *, slanted: bool, palette: Palette
) -> None:
    style(axes, palette, title="", grid=None)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(labels)))
    names = axes.set_xticklabels(labels, fontsize=8, color=palette.ink)
    for name in names if slanted else ():
        name.set(rotation=40, ha="left", rotation_mode="anchor")
    axes.tick_params(length=0)
    _name_rows(axes, panel, palette, size=7.5)
    axes.set_ylim(tallest - 0.5, -0.5)


def _name_rows(axes: Axes, rows: Sequence[_Row], palette: Palette, *, size: float) -> None:
    axes.set_yticks(range(len(rows)))
    axes.set_yticklabels([row.label for row in rows], fontsize=size, color=palette.ink)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        if row.task is None:
            label.set_fontweight("bold")
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _draw_scale(figure: Plot, every: list[Axes]) -> None:
    scale = ScalarMappable(norm=Normalize(0, 100), cmap="cividis")
    bar = figure.colorbar(scale, ax=every, orientation="horizontal", shrink=0.6, aspect=45, pad=0.01)
    bar.set_ticks([0, 25, 50, 75, 100], labels=["0", "25", "50", "75", "100"])
    bar.outline.set_edgecolor(figure.palette.ink)
    bar.ax.tick_params(colors=figure.palette.ink, labelsize=7.5)


def _draw_strips(axes: Axes, rows: Sequence[_Row], one: Repeats, colour: str, marker: str, palette: Palette) -> None:
    axes.set_xlim(-9, 109)
    axes.set_xticks([0, 50, 100], labels=["0", "50", "100"])
    repeats = one.by_repeat.shape[1]
    for at, row in enumerate(rows):
        if row.task is None:
            axes.axhspan(at - 0.5, at + 0.5, color=palette.band, linewidth=0)
            continue
        scores = one.by_repeat[row.task]
        values, counts = np.unique(100 * scores[~np.isnan(scores)], return_counts=True)
        if not len(values):
            axes.text(50, at, "no score", ha="center", va="center", fontsize=6.5, color=palette.ink)
            continue
        axes.plot([values[0], values[-1]], [at, at], color=palette.ink, linewidth=0.8, zorder=2)
        axes.scatter(
            values,
            np.full(len(values), at),
            s=12 + 50 * counts / repeats,
            marker=marker,
            facecolor=colour,
            edgecolor=palette.ink,
            linewidth=0.5,
            zorder=3,
        )
        mean = float((values * counts).sum() / counts.sum())
        axes.plot([mean, mean], [at - 0.38, at + 0.38], color=palette.ink, linewidth=1.6, zorder=4)
