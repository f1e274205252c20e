"""The pictures of a comparison by variant: scores and differences with intervals, and cost against score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from workbench.comparison.compared import Compared
from workbench.comparison.pictures.canvas import (
    MARKERS,
    Palette,
    Plot,
    Theme,
    finish,
    name_rows,
    number_axis,
    short_names,
    style,
)
from workbench.comparison.pictures.words import (
    Point,
    cost_points,
    describe_costs,
    describe_intervals,
    heading,
    score_rows,
)
from workbench.comparison.verdict import Verdict, percent, points
from workbench.statistics.intervals import LEVEL, Interval

_ROW_INCHES = 0.5


@dataclass(frozen=True, kw_only=True)
class _Marker:
    """How the middle of an interval is drawn."""

    shape: str
    colour: str
    fill: str


def forest_plot(compared: Compared, *, theme: Theme = "light") -> Plot:
    """Mean scores with 95 % intervals, and beside them the differences to the baseline with theirs.

    The band around 0 is the noise floor of each difference. A filled marker is a difference that the verdict
    calls established, after Holm's correction; a hollow one is not. The differences are left out where there is
    one variant.
    """
    rows = score_rows(compared)
    names = [row.name for row in rows]
    verdicts = {verdict.variant: verdict for verdict in compared.verdicts}
    height = 1.9 + _ROW_INCHES * len(rows)
    figure = Plot(inches=(9.0, height), theme=theme, alt=describe_intervals(compared))
    axes = figure.subplots(1, 2 if verdicts else 1, squeeze=False)[0]
    style(axes[0], figure.palette, title=f"Mean score\nwith {percent(LEVEL)} interval (points)", grid="x")
    for at, row in enumerate(rows):
        if row.interval is not None:
            is_baseline = row.name in compared.baselines
            colour = figure.palette.baseline if is_baseline else figure.palette.variant
            marker = _Marker(shape="s" if is_baseline else "o", colour=colour, fill=colour)
            _draw_interval(axes[0], at, row.mean, row.interval, marker)
            _note(axes[0], at, row.mean, points(row.mean, sign=False), figure.palette)
    name_rows(axes[0], short_names(names), figure.palette)
    axes[0].set_xlim(-2, 102)
    number_axis(axes[0].xaxis)
    if verdicts:
        _draw_differences(axes[1], names, verdicts, figure.palette, compared.against)
    return finish(figure, title=heading(compared))


def cost_plot(compared: Compared, *, theme: Theme = "light") -> Plot:
    """What a thousand replies of each variant cost against its mean score, with 95 % intervals over tasks both ways.

    A variant none of whose replies has a price, or without a score, is not drawn, and the picture says so.
    """
    found = cost_points(compared)
    drawn = [point for point in found if point.is_known]
    figure = Plot(inches=(9.0, max(4.5, 1.7 + 0.36 * len(drawn))), theme=theme, alt=describe_costs(compared))
    axes = figure.subplots()
    style(axes, figure.palette, title=f"Cost against score, with {percent(LEVEL)} intervals over tasks", grid="both")
    axes.set_xlabel("USD for 1,000 replies", color=figure.palette.ink, fontsize=8)
    axes.set_ylabel("Mean score (points)", color=figure.palette.ink, fontsize=8)
    _frame(axes, drawn)
    for axis in (axes.xaxis, axes.yaxis):
        number_axis(axis)
    labels = dict(zip((point.name for point in found), short_names([point.name for point in found]), strict=True))
    heights = _apart([100 * point.score for point in drawn], axes.get_ylim(), least=0.36 / figure.get_figheight() * 1.3)
    others = 0
    for point, height in zip(drawn, heights, strict=True):
        is_baseline = point.name in compared.baselines
        colour = figure.palette.baseline if is_baseline else figure.palette.series[others % len(figure.palette.series)]
        marker = "s" if is_baseline else MARKERS[others % len(MARKERS)]
        others += not is_baseline
        _draw_point(axes, point, colour, marker, figure.palette)
        role = " (baseline)" if is_baseline else ""
        _lead_to_label(axes, point, f"{labels[point.name]}{role}", height, colour, figure.palette)
    missing = [labels[point.name] for point in found if not point.is_known]
    if missing:
        note = f"Not drawn, without a price or a score: {', '.join(missing[:4])}"
        note += f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        figure.supxlabel(note, fontsize=7.5, color=figure.palette.ink)
    return finish(figure, title=heading(compared))


def _draw_differences(
    axes: Axes, names: Sequence[str], verdicts: Mapping[str, Verdict], palette: Palette, against: str
) -> None:
    of_baseline = short_names([against])[0]
    style(axes, palette, title=f"Difference to {of_baseline}\nwith {percent(LEVEL)} interval (points)", grid="x")
    labels = []
    reach = 10.0
    for row, name in enumerate(names):
        verdict = verdicts.get(name)
        if verdict is None:
            labels.append("baseline")
            continue
        labels.append(verdict.kind)
        if verdict.effect is None or verdict.interval is None:
            continue
        if verdict.noise_floor:
            _draw_band(axes, row, 100 * verdict.noise_floor, palette)
            reach = max(reach, 100 * verdict.noise_floor)
        fill = palette.variant if verdict.kind in ("better", "worse") else palette.paper
        marker = _Marker(shape="o", colour=palette.variant, fill=fill)
        _draw_interval(axes, row, verdict.effect, verdict.interval, marker)
        low, high = points(verdict.interval.low), points(verdict.interval.high)
        axes.annotate(
            f"{points(verdict.effect)} [{low}, {high}]",
            (1, row),
            xycoords=("axes fraction", "data"),
            xytext=(7, -7),
            textcoords="offset points",
            va="top",
            fontsize=7.5,
            color=palette.ink,
        )
        reach = max(reach, -100 * verdict.interval.low, 100 * verdict.interval.high)
    axes.axvline(0, color=palette.ink, linewidth=1)
    name_rows(axes, labels, palette)
    axes.yaxis.tick_right()
    axes.set_xlim(-1.08 * reach, 1.08 * reach)
    number_axis(axes.xaxis)
    corrected = f", corrected for {len(verdicts)} comparisons (Holm)" if len(verdicts) > 1 else ""
    axes.set_xlabel(f"Filled: established{corrected}. Hollow: not. Band: noise floor.", color=palette.ink, fontsize=7.5)


def _draw_band(axes: Axes, row: int, reach: float, palette: Palette) -> None:
    band = Rectangle(
        (-reach, row - 0.4), 2 * reach, 0.8, facecolor=palette.band, edgecolor=palette.ink, linewidth=0.5, zorder=1
    )
    band.set_linestyle(":")
    axes.add_patch(band)


def _draw_interval(axes: Axes, row: int, middle: float, interval: Interval, marker: _Marker) -> None:
    axes.errorbar(
        100 * middle,
        row,
        xerr=_arms(middle, interval, 100),
        fmt=marker.shape,
        color=marker.colour,
        markerfacecolor=marker.fill,
        markeredgecolor=marker.colour,
        markeredgewidth=1.5,
        elinewidth=1.5,
        capsize=4,
        capthick=1.5,
        markersize=6,
        zorder=3,
    )


def _note(axes: Axes, row: int, middle: float, text: str, palette: Palette) -> None:
    axes.annotate(
        text,
        (100 * middle, row),
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7,
        color=palette.ink,
    )


def _frame(axes: Axes, drawn: Sequence[Point]) -> None:
    """Limits that hold all intervals."""
    if not drawn:
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 100)
        return
    costs = [1000 * value for point in drawn for value in _ends(point.usd, point.usd_interval)]
    scores = [100 * value for point in drawn for value in _ends(point.score, point.interval)]
    room = max(0.08 * (max(costs) - min(costs)), 0.02 * max(costs)) or 1.0
    axes.set_xlim(max(-0.05 * room, min(costs) - room), max(costs) + room)
    axes.set_ylim(max(-3.0, min(scores) - 5), min(103.0, max(scores) + 5))


def _ends(middle: float, interval: Interval | None) -> tuple[float, ...]:
    return (middle,) if interval is None else (middle, interval.low, interval.high)


def _draw_point(axes: Axes, point: Point, colour: str, marker: str, palette: Palette) -> None:
    axes.errorbar(
        1000 * point.usd,
        100 * point.score,
        xerr=_arms(point.usd, point.usd_interval, 1000),
        yerr=_arms(point.score, point.interval, 100),
        fmt=marker,
        color=colour,
        markeredgecolor=palette.ink,
        markeredgewidth=0.8,
        markersize=8,
        elinewidth=1.2,
        capsize=3,
        zorder=3,
    )


def _arms(middle: float, interval: Interval | None, scale: float) -> list[list[float]] | None:
    return None if interval is None else [[scale * (middle - interval.low)], [scale * (interval.high - middle)]]


def _lead_to_label(axes: Axes, point: Point, text: str, height: float, colour: str, palette: Palette) -> None:
    """The name at the right edge, where none covers another, with a line from its point."""
    right = axes.get_xlim()[1]
    axes.plot([1000 * point.usd, right], [100 * point.score, height], color=colour, linewidth=0.7, linestyle=":")
    axes.annotate(
        f"{text}\n{points(point.score, sign=False)} points, {1000 * point.usd:.2f} USD",
        (right, height),
        xytext=(6, 0),
        textcoords="offset points",
        ha="left",
        va="center",
        fontsize=8,
        color=palette.ink,
        annotation_clip=False,
    )


def _apart(heights: Sequence[float], limits: tuple[float, float], *, least: float) -> list[float]:
    """Places as near to these as they can be with a distance of at least this share of the axis between two."""
    if not heights:
        return []
    gap = least * (limits[1] - limits[0])
    order = np.argsort(heights, kind="stable")
    # Without the gaps the places need only not to fall: that is a regression to a rising line, by pooled means.
    wanted = [heights[at] - rank * gap for rank, at in enumerate(order)]
    pools: list[tuple[float, int]] = []
    for value in wanted:
        pools.append((value, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, count), (other, more) = pools[-2:]
            pools[-2:] = [((one * count + other * more) / (count + more), count + more)]
    flat = [value for value, count in pools for _ in range(count)]
    top = limits[1] - gap / 2 - (len(flat) - 1) * gap
    placed = [0.0] * len(heights)
    for rank, at in enumerate(order):
        placed[at] = max(min(flat[rank], top), limits[0] + gap / 2) + rank * gap
    return placed
