"""What a results table holds, without a widget, a page or a kernel."""

from __future__ import annotations

import subprocess
import sys

import pytest

import workbench as wb
from tests.runs import GROUPS, PASSES_A, PASSES_B, make_run, passes
from workbench.comparison.rows import Rows
from workbench.comparison.selection import Selection
from workbench.errors import ComparisonError


@pytest.fixture
def selection() -> Selection:
    run = make_run({"base": passes(PASSES_A), "terse": passes(PASSES_B)}, groups=GROUPS)
    return Selection(wb.compare(run, baseline="base"))


def test_rows_are_shown_sorted_and_filtered(selection: Selection) -> None:
    assert selection.found.tolist() == list(range(12))
    selection.show(Rows(variant="terse", sort="score", descending=True))

    assert len(selection.shown) == 48
    assert selection.shown["score"].is_monotonic_decreasing
    assert selection.found.tolist() == selection.shown.index.tolist()


def test_what_is_not_there_changes_nothing(selection: Selection) -> None:
    changes: list[Rows] = []
    selection.observe(lambda: changes.append(selection.rows))
    before = selection.rows
    for refused in (
        lambda: selection.show(Rows(sort="nosuch")),
        lambda: selection.open("0123456789abcdef"),
        lambda: selection.pick(96, []),
        lambda: selection.pick(None, [-1]),
        lambda: selection.select(*selection.comparison.run.trials[:3]),
    ):
        with pytest.raises(ComparisonError):
            refused()

    assert (selection.rows, selection.opened, selection.selected, changes) == (before, None, (), [])


def test_trials_are_opened_and_paired(selection: Selection) -> None:
    trials = selection.comparison.run.trials
    opened = selection.open(trials[7].key[:16])
    selection.select(trials[4], trials[0])

    assert (opened, selection.opened, selection.opened_row) == (trials[7], trials[7], 7)
    assert (selection.selected, selection.selected_rows) == ((trials[4], trials[0]), (4, 0))
    assert selection.pair is not None and selection.pair.before.variant == "base"
    selection.close()
    assert (selection.opened, selection.selected_rows) == (None, (4, 0))


def test_who_observes_is_told_of_every_change(selection: Selection) -> None:
    told: list[tuple[str, int | None, tuple[int, ...]]] = []
    selection.observe(lambda: told.append((selection.rows.of, selection.opened_row, selection.selected_rows)))
    selection.show(Rows())
    selection.pick(3, [3, 3, 5])
    selection.close()

    assert told == [("trials", None, ()), ("trials", 3, (3, 5)), ("trials", None, (3, 5))]


def test_a_selection_loads_no_widget_library() -> None:
    code = (
        "import sys\n"
        "import workbench as wb\n"
        "from tests.runs import make_run\n"
        "from workbench.comparison.selection import Selection\n"
        "selection = Selection(wb.compare(make_run({'A': [[1.0], [0.0]]}), baseline='A'), wb.Rows(sort='score'))\n"
        "selection.pick(0, [0, 1])\n"
        "print(selection.found.tolist(), [name for name in ('anywidget', 'ipywidgets') if name in sys.modules])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[1, 0] []"
