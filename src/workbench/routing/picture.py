"""Where cases went, as a picture: the diagonal is right, and what stands beside it went elsewhere."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.patches import Rectangle

from workbench.comparison.pictures.canvas import Plot, Theme, finish, name_rows, short_names, style
from workbench.markup import counted
from workbench.routing.measured import ITSELF, Routed
from workbench.statistics.intervals import Floats
from workbench.statistics.routing import NONE

MOST_LABELS = 24
"""Drawn; of a longer list those with the most cases that went elsewhere."""
_INCHES = 0.42
_DARK_TEXT_FROM = 0.45  # where black on cividis contrasts more than white does
_LEAST_WRITTEN = 0.005


def plot_routing(routed: Routed, *, theme: Theme = "light") -> Plot:
    """For each agent that cases are meant for (row) the share of them that each agent got (column), in percent. Right
    picks are framed; the last row and column are the main model itself.

    Of more than 24 agents those are drawn whose cases went elsewhere most.
    """
    shown = _chosen(routed.figures.confusion)
    confusion = routed.figures.confusion[np.ix_(shown, shown)]
    labels = [routed.labels[index] for index in shown]
    cases = routed.figures.confusion[shown].sum(axis=1)
    shares = np.divide(confusion, cases[:, None], out=np.zeros_like(confusion), where=cases[:, None] > 0)
    names = short_names([ITSELF if label == NONE else label for label in labels], longest=22)
    side = _INCHES * len(labels)
    figure = Plot(inches=(max(5.0, side + 2.4), max(2.8, side + 2.0)), theme=theme, alt=describe_routing(routed))
    axes = figure.subplots()
    palette = figure.palette
    style(axes, palette, title="", grid=None)
    colours = colormaps["cividis"]
    for row, column in np.ndindex(*shares.shape):
        share = float(shares[row, column])
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=colours(share), edgecolor=palette.paper, linewidth=0.6))
        if share >= _LEAST_WRITTEN:
            dark = "#000000" if share > _DARK_TEXT_FROM else "#ffffff"
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7.5, color=dark)
    for at in range(len(labels)):
        axes.add_patch(Rectangle((at - 0.5, at - 0.5), 1, 1, fill=False, edgecolor=palette.baseline, linewidth=1.6))
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(labels)))
    for name in axes.set_xticklabels(names, fontsize=8, color=palette.ink):
        name.set(rotation=40, ha="left", rotation_mode="anchor")
    name_rows(axes, [f"{name} ({count:.0f})" for name, count in zip(names, cases, strict=True)], palette, size=8)
    axes.tick_params(length=0)
    note = "Percent of the cases of a row; framed: where they should go."
    if len(labels) < len(routed.labels):
        note += f" {len(labels)} of {counted(len(routed.labels) - 1, 'agent')}: those that went elsewhere most."
    figure.supxlabel(note, fontsize=7.5, color=palette.ink)
    return finish(figure, title=f"Where {counted(len(routed.cases), 'case')} went")


def describe_routing(routed: Routed) -> str:
    """What the picture shows, for who does not see it."""
    elsewhere = []
    for row, label in enumerate(routed.labels):
        counts = routed.figures.confusion[row]
        of = float(counts.sum())
        if not of:
            continue
        ranked = sorted(zip(counts.tolist(), routed.labels, strict=True), key=lambda each: -each[0])
        went = ", ".join(f"{_named(to)} {count / of:.0%}" for count, to in ranked if count / of >= _LEAST_WRITTEN)
        elsewhere.append(f"{_named(label)} ({counted(round(of), 'case')}): {went}")
    return f"Where cases went, by where they should go. {'; '.join(elsewhere)}."


def _chosen(confusion: Floats) -> list[int]:
    """The numbers of the labels that are drawn, in their order; the last is always among them."""
    count = len(confusion)
    if count <= MOST_LABELS:
        return list(range(count))
    wrong = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * np.diagonal(confusion)
    ranked = sorted(range(count - 1), key=lambda index: -wrong[index])
    return [*sorted(ranked[: MOST_LABELS - 1]), count - 1]


def _named(label: str) -> str:
    return ITSELF if label == NONE else label
