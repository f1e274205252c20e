"""A picture of a square table of counts: what should have gone to a row's name, and went to a column's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from workbench.comparison.pictures.canvas import Plot, Theme, contrast, finish, name_rows, short_names, style
from workbench.statistics.intervals import Floats

MOST_NAMES = 24
"""Drawn; of more those with the most beside the diagonal."""
_INCHES = 0.42
_LEAST_WRITTEN = 0.005


def matrix_plot(counts: Floats, names: Sequence[str], *, title: str, alt: str, theme: Theme = "light") -> Plot:
    """Of each row's count the share in each column, in percent; the diagonal is framed.

    Of more than 24 names the last is drawn, and of the others those of which most stands beside the diagonal.
    """
    chosen = _chosen(counts)
    whole = counts[chosen].sum(axis=1)
    drawn = counts[np.ix_(chosen, chosen)]
    shares = np.divide(drawn, whole[:, None], out=np.zeros_like(drawn), where=whole[:, None] > 0)
    side = _INCHES * len(chosen)
    figure = Plot(inches=(max(5.0, side + 2.4), max(2.8, side + 2.0)), theme=theme, alt=alt)
    axes = figure.subplots()
    _draw_cells(axes, shares, figure)
    _name_axes(axes, short_names([names[index] for index in chosen], longest=22), whole, figure)
    note = "Percent of a row; framed: where it should be."
    if len(chosen) < len(names):
        note += f" {len(chosen)} of {len(names)}: those with most of it elsewhere."
    figure.supxlabel(note, fontsize=7.5, color=figure.palette.ink)
    return finish(figure, title=title)


def _draw_cells(axes: Axes, shares: Floats, figure: Plot) -> None:
    palette = figure.palette
    paper, full = (np.array(to_rgb(colour)) for colour in (palette.paper, palette.variant))
    style(axes, palette, title="", grid=None)
    for row, column in np.ndindex(*shares.shape):
        share = float(shares[row, column])
        corner = (column - 0.5, row - 0.5)
        # From the colour of the paper on: most cells are empty, and stay quiet in the light and in the dark.
        colour = tuple((paper + share * (full - paper)).tolist())
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor=palette.faint, linewidth=0.6))
        if share >= _LEAST_WRITTEN:
            ink = max((palette.ink, palette.paper), key=lambda each: contrast(colour, to_rgb(each)))
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7.5, color=ink)
    for at in range(len(shares)):
        axes.add_patch(Rectangle((at - 0.5, at - 0.5), 1, 1, fill=False, edgecolor=palette.baseline, linewidth=1.6))


def _name_axes(axes: Axes, names: Sequence[str], whole: Floats, figure: Plot) -> None:
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(names)))
    for name in axes.set_xticklabels(names, fontsize=8, color=figure.palette.ink):
        name.set(rotation=40, ha="left", rotation_mode="anchor")
    counted = [f"{name} ({count:.0f})" for name, count in zip(names, whole, strict=True)]
    name_rows(axes, counted, figure.palette, size=8)
    axes.tick_params(length=0)


def _chosen(counts: Floats) -> list[int]:
    """The numbers of the names that are drawn, in their order."""
    if len(counts) <= MOST_NAMES:
        return list(range(len(counts)))
    beside = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diagonal(counts)
    ranked = sorted(range(len(counts) - 1), key=lambda index: -beside[index])
    return [*sorted(ranked[: MOST_NAMES - 1]), len(counts) - 1]
