from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import numpy as np
from matplotlib import image
from matplotlib.figure import Figure

from tests.runs import LIVE, PASSES_A, PASSES_B, STAND_IN, make_run, passes
from workbench.comparison.plots import IntervalPlot, png
from workbench.comparison.tables import compare
from workbench.trial.trial import Place


def plot(place: Place = LIVE, **scores: list[list[float | None]]) -> IntervalPlot:
    given = scores or {"A": passes(PASSES_A), "B": passes(PASSES_B)}
    return compare(make_run(given, place=place), baseline=next(iter(given))).plot()


def title(figure: Figure) -> str:
    suptitle = figure.get_suptitle()
    assert isinstance(suptitle, str)
    return suptitle


def test_scores_and_differences_stand_side_by_side() -> None:
    left, right = plot().axes

    assert [label.get_text() for label in left.get_yticklabels()] == ["A", "B"]
    assert [label.get_text() for label in right.get_yticklabels()] == ["baseline", "promising, not established"]


def test_intervals_are_drawn_in_points() -> None:
    segments = plot().axes[1].containers[0].lines[2][0].get_segments()

    np.testing.assert_allclose([point[0] for point in segments[0]], [2.56741, 30.76592], atol=1e-4)


def test_one_variant_is_drawn_without_differences() -> None:
    assert len(plot(A=passes(PASSES_A)).axes) == 1


def test_a_variant_without_scores_leaves_its_row_empty() -> None:
    figure = plot(A=[[1.0]] * 3, B=[[None]] * 3)

    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["baseline", "no verdict"]
    assert len(figure.axes[0].containers) == 1
    assert png(figure)


def test_the_title_says_when_the_stand_in_answered() -> None:
    assert title(plot(place=STAND_IN)).startswith("OFFLINE STAND-IN, not a model")
    assert "STAND-IN" not in title(plot())


def test_the_picture_is_a_png_of_150_dots_per_inch_and_the_same_each_time() -> None:
    data = png(plot())
    pixels = image.imread(BytesIO(data), format="png")

    assert data == png(plot())
    assert pixels.shape[1] == 9 * 150


def test_notebooks_get_the_picture_without_pyplot() -> None:
    assert plot()._repr_png_() == png(plot())


def test_any_name_can_be_drawn() -> None:
    names = ["$\\frac{a$", "名前 👩‍💻 \x1b[0m", "long " * 50, "<script>"]

    figure = plot(**{name: passes(PASSES_A) for name in names})
    assert png(figure)
    assert "$\\frac{a$" in [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_drawing_needs_no_pyplot() -> None:
    code = "import sys, workbench.comparison.tables; sys.exit('matplotlib.pyplot' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
