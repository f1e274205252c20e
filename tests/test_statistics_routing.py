from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.statistics.intervals import wilson
from workbench.statistics.routing import f1_scores, route_shares, routing

LABELS = ("sec", "perf", "docs", "none")
TABLE = [[10, 2, 0, 0], [3, 5, 0, 1], [0, 0, 8, 1], [1, 0, 1, 7]]
CASES = [(LABELS[row], LABELS[column]) for row in range(4) for column in range(4) for _ in range(TABLE[row][column])]
TRUTH = [truth for truth, _ in CASES]
PICKED = [[choice] for _, choice in CASES]


def near(value: float) -> object:
    return pytest.approx(value, abs=1e-7)


def test_routing_is_that_of_the_reference() -> None:
    found = routing(TRUTH, PICKED, labels=LABELS)

    assert found.confusion.tolist() == found.majority.tolist() == TABLE
    assert found.accuracy == near(0.7692308)
    classes = [found.by_label[label] for label in LABELS]
    assert [one.precision for one in classes] == [near(p) for p in (0.7142857, 0.7142857, 0.8888889, 0.7777778)]
    assert [one.recall for one in classes] == [near(r) for r in (0.8333333, 0.5555556, 0.8888889, 0.7777778)]
    assert [one.f1 for one in classes] == [near(f1) for f1 in (0.7692308, 0.6250000, 0.8888889, 0.7777778)]
    assert (found.macro_f1, found.kappa, found.matthews) == (near(0.7652244), near(0.6888298), near(0.6913085))
    assert (found.over_trigger, found.under_trigger) == (near(2 / 9), near(2 / 30))


def test_rates_have_wilsons_intervals_on_cases() -> None:
    found = routing(TRUTH, PICKED, labels=LABELS)

    assert found.by_label["sec"].precision_interval == wilson(10, 14)
    assert found.by_label["sec"].recall_interval == wilson(10, 12)
    assert (found.over_trigger_interval, found.under_trigger_interval) == (wilson(2, 9), wilson(2, 30))
    assert found.accuracy_interval == wilson(30, 39)


def test_macro_f1_has_an_interval_around_it_that_is_the_same_each_time() -> None:
    found, again = (routing(TRUTH, PICKED, labels=LABELS) for _ in range(2))

    assert found.macro_f1_interval.low < found.macro_f1 < found.macro_f1_interval.high
    assert found.macro_f1_interval == again.macro_f1_interval


def test_repeats_are_averaged_first_and_the_majority_is_only_shown() -> None:
    found = routing(["a", "none"], [["a", "a", "none"], ["none", "none", "none"]], labels=("a", "none"), draws=100)

    assert found.confusion == pytest.approx(np.array([[2 / 3, 1 / 3], [0, 1]]))
    assert found.majority.tolist() == [[1, 0], [0, 1]]
    assert found.accuracy == pytest.approx(5 / 6)
    assert found.by_label["a"].cases == 1
    assert found.under_trigger == pytest.approx(1 / 3)


def test_repeats_that_are_missing_are_left_out_and_so_are_cases_without_any() -> None:
    whole = routing(["a", "none"], [["a", "none"], ["none"]], labels=("a", "none"), draws=100)
    holes = routing(["a", "a", "none"], [["a", None, "none"], [None], ["none", None]], labels=("a", "none"), draws=100)

    assert holes.confusion.tolist() == whole.confusion.tolist()


def test_a_label_that_never_occurs_has_no_rates() -> None:
    found = routing(["a"], [["a"]], labels=("a", "b"), draws=10)

    assert math.isnan(found.by_label["b"].precision)
    assert math.isnan(found.by_label["b"].f1)
    assert found.by_label["b"].recall_interval is None
    assert (found.macro_f1, math.isnan(found.over_trigger), found.over_trigger_interval) == (1.0, True, None)


def test_a_label_that_is_never_hit_has_an_f1_of_zero() -> None:
    assert f1_scores(np.array([[0.0, 1.0], [0.0, 1.0]])) == pytest.approx([0, 2 / 3])


def test_labels_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no label 'x'; there are 'a', 'none'"):
        routing(["x"], [["a"]], labels=("a", "none"))
    with pytest.raises(ValueError, match=r"no label 'x'"):
        routing(["a"], [["x"]], labels=("a", "none"))
    with pytest.raises(ValueError, match="2 truths for 1 cases"):
        routing(["a", "a"], [["a"]], labels=("a", "none"))
    for truth, picked in (([], []), (["a"], [[None]])):
        with pytest.raises(ValueError, match="no case with a choice"):
            routing(truth, picked, labels=("a", "none"))


@given(
    st.lists(
        st.tuples(st.sampled_from(LABELS), st.lists(st.sampled_from(LABELS), min_size=1, max_size=4)),
        min_size=1,
        max_size=15,
    )
)
def test_each_case_counts_once_whatever_its_repeats(cases: list[tuple[str, list[str]]]) -> None:
    truth, picked = [case[0] for case in cases], [case[1] for case in cases]
    found = routing(truth, picked, labels=LABELS, draws=20)

    assert found.confusion.sum() == pytest.approx(len(cases))
    assert found.majority.sum() == len(cases)
    shares = route_shares(picked, LABELS)
    assert found.accuracy == pytest.approx(
        np.mean([row[LABELS.index(label)] for label, row in zip(truth, shares, strict=True)])
    )
    rates = [rate for one in found.by_label.values() for rate in (one.precision, one.recall, one.f1)]
    assert all(math.isnan(rate) or 0 <= rate <= 1 + 1e-12 for rate in rates)
