"""The picture of a comparison: matplotlib's figures, without pyplot and its global state."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from workbench.comparison.markup import visible
from workbench.comparison.statistics import Interval
from workbench.comparison.verdict import Verdict

DOTS_PER_INCH = 150
_BASELINE_COLOUR = "#D55E00"  # Okabe and Ito's colours, told apart without colour vision
_VARIANT_COLOUR = "#0072B2"
_LONGEST_NAME = 28
_FONT = "DejaVu Sans"  # comes with matplotlib, so that the picture is the same everywhere


class IntervalPlot(Figure):
    """A figure that notebooks show as PNG also where pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        return png(self)


def interval_plot(
    scores: Sequence[tuple[str, float, Interval | None]],
    verdicts: Sequence[Verdict],
    *,
    baseline: str,
    title: str,
) -> IntervalPlot:
    """Mean scores with 95 % intervals, and beside them the differences to the baseline with theirs.

    `scores` are name, mean and interval of each variant in 0..1; a mean that is NaN leaves its row empty. The
    second picture is left out where there is no verdict to show. Names may be any text; `title` is not escaped.
    """
    figure = IntervalPlot(figsize=(9.0, 1.7 + 0.5 * len(scores)), dpi=DOTS_PER_INCH, layout="constrained")
    figure.suptitle(title, fontfamily=_FONT, fontsize=10, fontweight="bold", parse_math=False)
    axes = figure.subplots(1, 2 if verdicts else 1, squeeze=False)[0]
    names = [name for name, _, _ in scores]
    _draw_scores(axes[0], scores, baseline)
    if verdicts:
        _draw_differences(axes[1], names, {verdict.variant: verdict for verdict in verdicts}, baseline)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG file, the same bytes each time."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def _draw_scores(axes: Axes, scores: Sequence[tuple[str, float, Interval | None]], baseline: str) -> None:
    for row, (name, mean, interval) in enumerate(scores):
        if interval is not None:
            _draw_interval(axes, row, mean, interval, is_baseline=name == baseline)
    _label(axes, "Mean score with 95 % interval (points)", [name for name, _, _ in scores])
    axes.set_xlim(-2, 102)


def _draw_differences(axes: Axes, names: Sequence[str], verdicts: dict[str, Verdict], baseline: str) -> None:
    labels = []
    reach = 10.0
    for row, name in enumerate(names):
        verdict = verdicts.get(name)
        if verdict is None:
            labels.append("baseline")
            continue
        labels.append(verdict.kind)
        if verdict.effect is not None and verdict.interval is not None:
            _draw_interval(axes, row, verdict.effect, verdict.interval, is_baseline=False)
            reach = max(reach, -100 * verdict.interval.low, 100 * verdict.interval.high)
    axes.axvline(0, color="black", linewidth=1)
    _label(axes, f"Difference to {_shortened(baseline)} with 95 % interval (points)", labels)
    axes.yaxis.tick_right()
    axes.set_xlim(-1.08 * reach, 1.08 * reach)


def _draw_interval(axes: Axes, row: int, middle: float, interval: Interval, *, is_baseline: bool) -> None:
    axes.errorbar(
        100 * middle,
        row,
        xerr=[[100 * (middle - interval.low)], [100 * (interval.high - middle)]],
        fmt="s" if is_baseline else "o",
        color=_BASELINE_COLOUR if is_baseline else _VARIANT_COLOUR,
        capsize=4,
        markersize=6,
    )


def _label(axes: Axes, title: str, rows: Sequence[str]) -> None:
    axes.set_title(_drawable(title), fontfamily=_FONT, fontsize=9, parse_math=False)
    axes.set_yticks(range(len(rows)))
    axes.set_yticklabels([_drawable(_shortened(row)) for row in rows], fontfamily=_FONT, fontsize=9, parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="x", labelsize=8, labelfontfamily=_FONT)
    axes.grid(axis="x", color="#cccccc", linewidth=0.6)
    axes.set_axisbelow(True)


def _shortened(name: str) -> str:
    shown = visible(name)
    return shown if len(shown) <= _LONGEST_NAME else shown[: _LONGEST_NAME - 1] + "…"


def _drawable(text: str) -> str:
    """The text with a question mark for every character that the font cannot draw."""
    font = get_font(findfont(FontProperties(family=_FONT)))
    return "".join(character if font.get_char_index(ord(character)) else "?" for character in text)
