from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import BytesIO
from itertools import pairwise
from xml.etree import ElementTree

import matplotlib
import matplotlib.colors
import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from tests.runs import GROUPS, LIVE, PASSES_A, PASSES_B, STAND_IN, make_run, passes
from workbench.comparison.pictures.canvas import Plot, Theme, drawable, png, short_names
from workbench.comparison.pictures.matrix import matrix_plot
from workbench.comparison.pictures.plots import cost_plot, forest_plot
from workbench.comparison.pictures.task_plots import heat_map, repeats_plot
from workbench.comparison.tables import Comparison, Picture, compare
from workbench.errors import ComparisonError
from workbench.trial.catalogue import OFFLINE_MODEL
from workbench.trial.trial import Endpoint

Draw = Callable[..., Plot]
PICTURES: tuple[Draw, ...] = (forest_plot, heat_map, cost_plot, repeats_plot)
HOSTILE = (
    "$\\frac{a$",
    "名前 👩‍💻 \x1b[0m",
    "long " * 40,
    "<script>",
    "مرحبا بالعالم",
    "שלום",
    "\u202egnp.exe\ud800",
    "$x_1$ \\(y\\)",
)


@pytest.fixture
def settings_of_a_reader() -> Iterator[None]:
    with matplotlib.rc_context(
        {
            "text.usetex": True,
            "axes.facecolor": "black",
            "figure.facecolor": "red",
            "savefig.bbox": "tight",
            "savefig.facecolor": "green",
            "font.family": "serif",
            "axes.grid": True,
        }
    ):
        yield


def compared(
    endpoint: Endpoint = LIVE, groups: tuple[str, ...] | None = None, **scores: list[list[float | None]]
) -> Comparison:
    given = scores or {"A": passes(PASSES_A), "B": passes(PASSES_B)}
    return compare(make_run(given, endpoint=endpoint, groups=groups), baseline=next(iter(given)))


@cache
def of_reference(draw: Draw, theme: Theme = "light") -> bytes:
    return png(draw(compared(), theme=theme))


def of_many(tasks: int, variants: int = 2, repeats: int = 3) -> Comparison:
    generator = np.random.default_rng(7)
    drawn = generator.integers(0, 2, size=(variants, tasks, repeats)).astype(float).tolist()
    return compared(**{f"v{number}": table for number, table in enumerate(drawn)})


def plot(endpoint: Endpoint = LIVE, **scores: list[list[float | None]]) -> Plot:
    return compared(endpoint, **scores).plot()


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


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
    assert title(plot(endpoint=STAND_IN)).startswith("OFFLINE STAND-IN, not a model")
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
    code = (
        "import sys; from tests.test_plots import PICTURES, compared, png\n"
        "for draw in PICTURES: png(draw(compared()))\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_comparing_loads_matplotlib_only_for_a_picture() -> None:
    code = (
        "import sys; from tests.runs import make_run; from workbench.comparison.tables import compare\n"
        "found = compare(make_run({'A': [[1.0]] * 3, 'B': [[0.0]] * 3}), baseline='A'); str(found.verdict)\n"
        "sys.exit('matplotlib' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("draw", PICTURES)
def test_every_picture_is_the_same_each_time_and_opaque(draw: Draw, theme: Theme) -> None:
    data = of_reference(draw, theme)

    assert data == png(draw(compared(), theme=theme))
    pixels = image.imread(BytesIO(data), format="png")
    assert pixels.shape[2] == 3 or (pixels[..., 3] == 1).all()
    corner = pixels[0, 0, :3].mean()
    assert corner == 1 if theme == "light" else corner < 0.1


@pytest.mark.parametrize("draw", PICTURES)
def test_no_picture_holds_a_date_or_the_name_of_a_program(draw: Draw) -> None:
    data = of_reference(draw)

    assert not re.search(rb"matplotlib|Software|20\d\d-|tIME|tEXt", data)


@pytest.mark.parametrize("draw", PICTURES)
def test_settings_of_the_reader_change_no_picture(draw: Draw, request: pytest.FixtureRequest) -> None:
    before = of_reference(draw)

    request.getfixturevalue("settings_of_a_reader")
    assert png(draw(compared())) == before


@pytest.mark.parametrize("draw", PICTURES)
def test_pictures_drawn_in_threads_are_those_drawn_alone(draw: Draw) -> None:
    comparison = compared()

    with ThreadPoolExecutor(3) as pool:
        drawn = list(pool.map(lambda _: png(draw(comparison)), range(3)))
    assert drawn == [of_reference(draw)] * 3


@pytest.mark.parametrize("draw", PICTURES)
def test_hostile_names_are_drawn_as_text(draw: Draw) -> None:
    figure = draw(compared(**{name: passes(PASSES_A) for name in HOSTILE}))

    assert png(figure)
    shown = texts(figure)
    assert any("$\\frac{a$" in text for text in shown)
    assert any("<U+202E>" in text or "#7" in text for text in shown)
    assert not any(set("\x1b\u202e\ud800") & set(text) for text in [*shown, figure.alt])
    assert not any(text.get_parse_math() for text in figure.findobj(Text))


@pytest.mark.parametrize("draw", PICTURES)
def test_every_picture_says_when_the_stand_in_answered(draw: Draw) -> None:
    figure = draw(compared(STAND_IN))

    assert title(figure).startswith("OFFLINE STAND-IN, not a model")
    assert "OFFLINE STAND-IN, not a model" in figure.alt


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (forest_plot, '"B" +16.7 [+2.6, +30.8], promising, not established, noise floor ±14.1'),
        (heat_map, 'With "B" 1 now pass and 0 now fail, the largest change +50.0 in "task-9"'),
        (cost_plot, '"A" 2.05 USD for 1,000 replies at 52.1 points'),
        (repeats_plot, '"A" repeats differ in 7 of 12 tasks, standard deviation within a task 40.0'),
    ],
)
def test_the_description_of_a_picture_says_its_numbers(draw: Draw, said: str) -> None:
    figure = draw(compared())

    assert said in figure.alt
    data, metadata = figure._repr_mimebundle_()
    assert data["text/plain"] == metadata["image/png"]["alt"] == figure.alt


def test_a_plot_or_a_theme_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ComparisonError, match="no plot 'nope'; there are 'forest', 'cost', 'tasks', 'repeats'"):
        compared().plot("nope")  # type: ignore[arg-type]
    with pytest.raises(ComparisonError, match="no theme 'grey'; there are 'light', 'dark'"):
        compared().plot(theme="grey")  # type: ignore[arg-type]


def test_a_light_picture_follows_a_dark_theme_and_a_dark_one_is_left_alone() -> None:
    for theme, times in (("light", 2), ("dark", 0)):
        shown = compared().plot("tasks", theme=theme)._repr_mimebundle_()[0]["text/html"]  # type: ignore[arg-type]
        assert shown.count("workbench-picture") == times
        assert "alt=" in shown and "<script" not in shown


def test_a_comparison_brings_the_rule_by_which_its_picture_follows_a_dark_theme() -> None:
    shown = compared()._repr_mimebundle_()["text/html"]

    assert '<style>[data-jp-theme-light="false"] .workbench-picture {' in shown


@pytest.mark.parametrize("draw", PICTURES)
@pytest.mark.parametrize("tasks", [1, 3])
def test_few_tasks_and_one_variant_can_be_drawn(draw: Draw, tasks: int) -> None:
    assert png(draw(compared(A=[[1.0, 0.0]] * tasks)))


@pytest.mark.parametrize("draw", PICTURES)
def test_a_run_in_which_everything_failed_can_be_drawn(draw: Draw) -> None:
    assert png(draw(compared(A=[[None]] * 3, B=[[None]] * 3)))


def test_a_difference_that_is_not_established_is_hollow() -> None:
    figure = plot(
        A=[[0.0], [0.0], [0.0]] * 5, B=[[1.0], [1.0], [0.0]] * 5, C=[[0.0], [0.0], [0.0]] * 4 + [[1.0], [0.0], [0.0]]
    )

    markers = [container.lines[0].get_markerfacecolor() for container in figure.axes[1].containers]
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()][1:] == ["better", "no difference shown"]
    assert markers == [figure.palette.variant, figure.palette.paper]


def test_the_noise_floor_is_a_band_around_zero() -> None:
    comparison = compared()
    band = comparison.plot().axes[1].patches[0]

    assert comparison.verdict is not None and comparison.verdict.noise_floor is not None
    np.testing.assert_allclose(band.get_x(), -100 * comparison.verdict.noise_floor)
    np.testing.assert_allclose(band.get_width(), 200 * comparison.verdict.noise_floor)


def test_the_correction_for_many_comparisons_is_said() -> None:
    figure = plot(A=passes(PASSES_A), B=passes(PASSES_B), C=passes(PASSES_A))

    assert "corrected for 2 comparisons (Holm)" in figure.axes[1].get_xlabel()


def test_the_heat_map_prints_every_mean_and_marks_flips() -> None:
    figure = heat_map(compared(A=[[1.0] * 3, [0.0] * 3, [1.0, 0.0, 0.0]], B=[[0.0] * 3, [1.0, 1.0, 0.0], [None] * 3]))

    cells = [text.get_text() for text in figure.axes[0].texts]
    assert cells == ["100", "0▼", "0", "67▲", "33"]
    assert sum(bool(patch.get_hatch()) for patch in figure.axes[0].patches) == 1


def test_the_heat_map_names_groups_above_their_tasks() -> None:
    labels = [label.get_text() for label in heat_map(compared(groups=GROUPS)).axes[0].get_yticklabels()]

    assert labels[:5] == ["group 0", "task-0", "task-1", "task-2", "group 1"]


@pytest.mark.parametrize(("tasks", "drawn"), [(3, 3), (120, 120), (200, 200), (260, 200)])
def test_the_heat_map_draws_up_to_200_tasks_in_columns(tasks: int, drawn: int) -> None:
    figure = heat_map(of_many(tasks))

    panels = figure.axes[:-1]
    assert sum(len(axes.get_yticklabels()) for axes in panels) == drawn
    assert figure.get_figwidth() < 11.5
    assert (f"{drawn} of {tasks} tasks" in str(figure.get_supxlabel())) == (drawn < tasks)


def test_text_in_the_heat_map_contrasts_with_its_cell() -> None:
    axes = heat_map(compared(A=[[step / 20] for step in range(21)])).axes[0]

    for text, cell in zip(axes.texts, axes.patches, strict=True):
        assert contrast(text.get_color(), cell.get_facecolor()) >= 4.5


@pytest.mark.parametrize("variants", [1, 2, 12])
def test_labels_beside_cost_and_score_do_not_collide(variants: int) -> None:
    figure = cost_plot(compared(**{f"variant {number}": passes(PASSES_A) for number in range(variants)}))
    png(figure)

    boxes = sorted((text.get_window_extent() for text in figure.axes[0].texts), key=lambda box: box.y0)
    assert len(boxes) == variants
    assert all(lower.y1 <= upper.y0 for lower, upper in pairwise(boxes))
    assert all(box.y0 >= 0 and box.y1 <= figure.bbox.height and box.x1 <= figure.bbox.width for box in boxes)


def test_a_variant_without_a_price_is_named_and_not_drawn() -> None:
    run = make_run({"A": passes(PASSES_A), "B": passes(PASSES_B)}, model="unheard-of")

    figure = cost_plot(compare(run, baseline="A"))
    assert not figure.axes[0].containers
    assert figure.get_supxlabel() == "Not drawn, without a price or a score: A, B"


def test_the_repeats_of_a_task_are_drawn_by_how_many_scored_so() -> None:
    axes = repeats_plot(compared(A=[[1.0, 1.0, 1.0, 0.0]], B=[[0.5, 0.5, 0.5, 0.5]])).axes

    left, right = (strip.collections[0] for strip in axes)
    assert left.get_offsets().tolist() == [[0.0, 0.0], [100.0, 0.0]]
    assert left.get_sizes()[1] > left.get_sizes()[0]
    assert right.get_offsets().tolist() == [[50.0, 0.0]]


def test_the_strips_are_of_the_tasks_whose_repeats_differ_most() -> None:
    figure = repeats_plot(compared(A=[[1.0, 1.0]] * 50 + [[1.0, 0.0]] * 20))

    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == 60
    assert labels[-20:] == [f"task-{number}" for number in range(50, 70)]


def test_series_are_told_apart_by_shape_too() -> None:
    strips = repeats_plot(of_many(4, variants=6)).axes

    shapes = {strip.collections[0].get_paths()[0].vertices.tobytes() for strip in strips}
    assert len(shapes) == 6


@pytest.mark.parametrize("names", [["x" * 100 + "1" + "y" * 100, "x" * 100 + "2" + "y" * 100], ["名前", "名称"]])
def test_names_that_would_read_alike_get_a_number(names: list[str]) -> None:
    shown = short_names(names)

    assert len(set(shown)) == 2
    assert [name[:2] for name in shown] == ["#1", "#2"]
    assert max(map(len, shown)) <= 28


def test_a_character_that_the_font_lacks_is_drawn_by_another_font_of_this_computer() -> None:
    figure = forest_plot(compared(**{"arc ⌒": passes(PASSES_A), "B": passes(PASSES_B)}))

    label = figure.axes[0].get_yticklabels()[0]
    assert (label.get_text(), label.get_fontfamily()[0]) == ("arc ⌒", "DejaVu Sans")
    assert len(label.get_fontfamily()) == 2
    assert png(figure) != png(forest_plot(compared(arc=passes(PASSES_A), B=passes(PASSES_B))))


def test_a_character_that_no_font_has_is_named_and_a_question_mark_stays_one() -> None:
    unknown = "\u0378"  # not assigned, so that no font has it

    assert drawable(f"a?{unknown}\n") == "a?<U+0378>\n"
    assert short_names(["a?", f"b{unknown}", unknown * 20]) == [
        "a?",
        "#2 b<U+0378>",
        "#3 <U+0378><U+0378>…",
    ]


@pytest.mark.parametrize("draw", PICTURES)
def test_hostile_names_stay_text_in_svg(draw: Draw) -> None:
    figure = draw(compared(**{name: passes(PASSES_A) for name in HOSTILE}))

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        buffer = BytesIO()
        figure.savefig(buffer, format="svg")
    elements = list(ElementTree.fromstring(buffer.getvalue()).iter())
    assert not {element.tag.partition("}")[2] for element in elements} & {"script", "foreignObject", "a", "iframe"}
    addresses = [value for element in elements for name, value in element.attrib.items() if name.endswith("href")]
    assert {address[:11] for address in addresses if not address.startswith("#")} <= {"data:image/"}
    assert any("<script>" in (element.text or "") for element in elements)


def test_the_ends_of_a_long_name_stay() -> None:
    (shown,) = short_names(["senior-python-architect-for-data-platforms-v12"])

    assert shown.startswith("senior-python") and shown.endswith("-v12")


def contrast(one: object, other: object) -> float:
    """By WCAG 2: (lighter + 0.05) / (darker + 0.05)."""
    lights = sorted(luminance(matplotlib.colors.to_rgb(colour)) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: tuple[float, float, float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("kind", "draw"),
    [("forest", forest_plot), ("cost", cost_plot), ("tasks", heat_map), ("repeats", repeats_plot)],
)
def test_a_comparison_draws_each_picture_by_its_name(kind: Picture, draw: Draw) -> None:
    assert png(compared().plot(kind, theme="dark")) == of_reference(draw, "dark")


def test_the_picture_in_html_is_described_by_its_numbers() -> None:
    html = compared()._repr_mimebundle_()["text/html"]

    assert 'alt="Forest plot, 12 tasks x 4 repeats.' in html
    assert "&quot;B&quot; +16.7 [+2.6, +30.8]" in html


def test_variants_without_any_cost_stand_at_zero() -> None:
    run = make_run({"A": passes(PASSES_A), "B": passes(PASSES_B)}, endpoint=STAND_IN, model=OFFLINE_MODEL)

    figure = cost_plot(compare(run, baseline="A"))
    assert figure.axes[0].get_xlim()[0] < 0 < figure.axes[0].get_xlim()[1]
    assert "0.0" in texts(figure)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_empty_cells_of_a_matrix_have_the_colour_of_the_paper_and_its_numbers_can_be_read(theme: Theme) -> None:
    shares = np.array([[1.0, 0.0, 0.0], [0.6, 0.4, 0.0], [0.2, 0.3, 0.5]]) * 10
    figure = matrix_plot(shares, ["a", "b", "itself"], title="t", alt="a", theme=theme)
    cells = [patch for patch in figure.axes[0].patches if patch.get_fill()]
    texts = {(text.get_position()): text for text in figure.axes[0].texts}

    assert to_hex(cells[1].get_facecolor()) == figure.palette.paper
    for number, cell in enumerate(cells):
        text = texts.get((number % 3, number // 3))
        assert (text is None) == (shares.flat[number] == 0)
        if text is not None:
            assert contrast(cell.get_facecolor(), text.get_color()) > 4
