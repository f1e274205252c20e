from __future__ import annotations

import pytest

from tests.runs import PASSES_A, PASSES_B, STAND_IN, make_run, passes
from workbench.comparison.flips import what_flipped
from workbench.errors import ComparisonError


def test_a_task_flips_where_the_majority_of_its_repeats_does() -> None:
    run = make_run({"A": passes([1, 3, 2, 3, 0]), "B": passes([3, 1, 4, 4, 2])})

    changes = {change.task_id: change.flip for change in what_flipped(run, baseline="A").changes}

    assert changes == {"task-0": "now passes", "task-1": "now fails", "task-2": None, "task-3": None, "task-4": None}


def test_changes_come_in_order_of_size() -> None:
    run = make_run({"A": passes([4, 4, 4, 0]), "B": passes([3, 0, 4, 2])})

    changes = what_flipped(run, baseline="A").changes
    assert [change.task_id for change in changes] == ["task-1", "task-3", "task-0", "task-2"]
    assert [change.difference for change in changes] == [-1.0, 0.5, -0.25, 0.0]


@pytest.mark.parametrize(("threshold", "flip"), [(0.5, None), (0.7, "now passes"), (0.8, None)])
def test_graded_scores_pass_from_the_threshold_on(threshold: float, flip: str | None) -> None:
    run = make_run({"A": [[0.6, 0.6, 0.6]], "B": [[0.7, 0.7, 0.6]]})

    assert what_flipped(run, baseline="A", threshold=threshold).changes[0].flip == flip


def test_repeats_without_a_score_do_not_count_and_tasks_without_come_last() -> None:
    run = make_run({"A": [[0.0, None, None], [None] * 3], "B": [[1.0, 1.0, None], [1.0] * 3]})

    first, last = what_flipped(run, baseline="A").changes
    assert first.flip == "now passes"
    assert last.task_id == "task-1" and last.flip is None and last.passed_before is None


def test_every_other_variant_is_compared_and_flips_are_filtered() -> None:
    run = make_run({"A": passes([0, 4]), "B": passes([4, 4]), "C": passes([0, 1])})

    found = what_flipped(run, baseline="A")
    assert len(found.changes) == 4
    assert [(change.variant, change.task_id) for change in found.flipped] == [("B", "task-0"), ("C", "task-1")]


def test_the_table_names_counts_rule_and_flips() -> None:
    table = what_flipped(make_run({"A": passes(PASSES_A), "B": passes(PASSES_B)}), baseline="A").table()

    assert table.title == "What flipped against A: 1 now pass, 0 now fail"
    assert table.rows == (("task-11", "", "B", "25.0", "75.0", "+50.0", "now passes"),)
    assert table.note == "A task passes where more than half of its repeats score 50.0 points or more."


def test_a_long_table_is_cut_and_says_so() -> None:
    run = make_run({"A": passes([0] * 60), "B": passes([4] * 60)})

    table = what_flipped(run, baseline="A").table(most=50)
    assert len(table.rows) == 50
    assert table.note.endswith("50 of 60 are shown, the largest changes first.")


def test_no_flip_is_said_in_words() -> None:
    found = what_flipped(make_run({"A": passes([4]), "B": passes([4])}, endpoint=STAND_IN), baseline="A")

    for text in found._repr_mimebundle_().values():
        assert "No task flipped by its whole score, whatever single promises did." in text
        assert "OFFLINE STAND-IN" in text


def test_names_are_shown_as_text() -> None:
    run = make_run({"A": passes([0]), "<img src=x>|\x1b[0m": passes([4])})

    bundle = what_flipped(run, baseline="A")._repr_mimebundle_()
    assert "<img" not in bundle["text/html"]
    assert not any("\x1b" in text for text in bundle.values())


def test_an_unknown_baseline_is_named() -> None:
    with pytest.raises(ComparisonError, match="no variant 'C'.*'A', 'B'"):
        what_flipped(make_run({"A": passes([0]), "B": passes([4])}), baseline="C")
