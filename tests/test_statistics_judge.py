from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from workbench.statistics.agreement import (
    ac1,
    accuracy,
    kappa,
    kappa_and_ac1_intervals,
    kappa_standard_error,
    matthews,
)
from workbench.statistics.intervals import SEED
from workbench.statistics.judge import (
    FEWEST_LABELS,
    JudgeAgreement,
    judge_agreement,
    judge_refusal,
    ppi_plus_plus,
    same_share,
)

HUMAN = [1] * 18 + [0] * 4 + [1] * 3 + [0] * 15
JUDGE = [1] * 22 + [0] * 18
JUDGED = [1] * 130 + [0] * 70
TABLES = arrays(float, (3, 3), elements=st.integers(0, 20).map(float))


def near(value: float) -> object:
    return pytest.approx(value, abs=1e-7)


def test_agreement_is_that_of_the_reference() -> None:
    found = judge_agreement(HUMAN, JUDGE)

    assert (found.labels, found.positives, found.accuracy) == (40, 21, 33 / 40)
    assert (found.kappa, found.kappa_standard_error, found.ac1) == (near(0.6482412), near(0.1205630), near(0.6519577))
    assert (found.tpr, found.tnr) == (near(0.8571429), near(0.7894737))
    assert judge_refusal(found) == ""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("people", "judge"), [([1, 0] * 20, [1] * 40), ([0, 1] * 20, [0] * 40), ([1] * 40, [0] * 40)])
def test_a_judge_that_always_says_the_same_agrees_by_chance_and_warns_nobody(
    people: list[int], judge: list[int]
) -> None:
    found = judge_agreement(people, judge)

    assert (found.kappa, found.kappa_standard_error) == (0, 0)
    assert judge_refusal(found) != ""


def test_kappa_and_ac1_of_a_judge_have_intervals_as_its_rates_do() -> None:
    found = judge_agreement(HUMAN, JUDGE)
    assert found.kappa_interval is not None and found.ac1_interval is not None and found.tpr_interval is not None

    for value, interval in ((found.kappa, found.kappa_interval), (found.ac1, found.ac1_interval)):
        assert interval.low == pytest.approx(value - 1.96 * found.kappa_standard_error, abs=0.05)
        assert interval.high == pytest.approx(value + 1.96 * found.kappa_standard_error, abs=0.05)
    wider = judge_agreement(HUMAN[::2], JUDGE[::2]).kappa_interval
    assert wider is not None
    assert wider.high - wider.low > found.kappa_interval.high - found.kappa_interval.low


def test_intervals_of_agreement_are_those_of_resamples_gone_through_one_by_one() -> None:
    table = np.array([[7.0, 2.0, 0.0], [1.0, 5.0, 3.0], [0.0, 1.0, 6.0]])
    drawn = np.random.default_rng(SEED).multinomial(25, table.ravel() / 25, size=2_000).reshape(-1, 3, 3)
    one_by_one = [np.nanquantile([measure(each) for each in drawn], [0.025, 0.975]) for measure in (kappa, ac1)]

    for interval, (low, high) in zip(kappa_and_ac1_intervals(table), one_by_one, strict=True):
        assert interval is not None and (interval.low, interval.high) == (near(low), near(high))


def test_without_two_items_there_is_no_interval_of_agreement_and_of_one_kind_none_of_kappa() -> None:
    assert kappa_and_ac1_intervals([[1, 0], [0, 0]]) == (None, None)
    of_kappa, of_ac1 = kappa_and_ac1_intervals([[5, 0], [0, 0]])
    assert of_kappa is None and of_ac1 is not None
    assert (of_ac1.low, of_ac1.high) == (1, 1)


def test_ppi_plus_plus_is_that_of_the_reference() -> None:
    found = ppi_plus_plus(HUMAN, JUDGE, JUDGED)

    assert found.weight == near(0.5786483)
    assert (found.estimate, found.standard_error) == (near(0.5828648), near(0.0634167))
    assert (found.interval.low, found.interval.high) == (near(0.4585703), near(0.7071593))


def test_a_judge_that_says_nothing_leaves_ppi_plus_plus_to_the_labels() -> None:
    found = ppi_plus_plus(HUMAN, [1] * 40, [1] * 200)

    assert (found.weight, found.estimate, found.standard_error) == (0.0, near(21 / 40), near(0.0789581))


def agreement_of(tpr: float, tnr: float, labels: int = 40) -> JudgeAgreement:
    half = labels // 2
    human = [1] * half + [0] * half
    hits, rejections = round(tpr * half), round(tnr * half)
    return judge_agreement(human, [1] * hits + [0] * (half - hits) + [0] * rejections + [1] * (half - rejections))


def test_too_few_labels_are_refused() -> None:
    assert judge_refusal(agreement_of(1.0, 1.0, labels=30)) == ""
    assert judge_refusal(agreement_of(1.0, 1.0, labels=28)) == "28 labels of people; it takes at least 30"


def test_a_judge_that_hardly_tells_good_from_bad_is_refused() -> None:
    assert judge_refusal(agreement_of(0.65, 0.65)) == ""
    assert "= 0.20, below 0.3" in judge_refusal(agreement_of(0.6, 0.6))


def test_of_500_coins_at_60_labels_at_least_97_percent_are_refused() -> None:
    """Of labels that people passed half of, and of two thirds; coins of any lean."""
    draw = np.random.default_rng(SEED)
    refused = 0
    for number, lean in enumerate(draw.uniform(0.3, 0.7, 500)):
        passed = 30 if number % 2 else 40
        coin = draw.random(60) < lean
        refused += judge_refusal(judge_agreement([1] * passed + [0] * (60 - passed), coin)) != ""

    assert refused >= 0.97 * 500


def test_the_chance_of_a_coin_that_the_documentation_tells_is_that_of_the_binomial() -> None:
    """Half of the labels passed, a coin that passes half: TPR + TNR - 1 is 2 K / n - 1, K the items it is right on."""
    chances = {}
    for labels in (FEWEST_LABELS, 60):
        half = labels // 2
        each = [(k, agreement_of((k - k // 2) / half, k // 2 / half, labels)) for k in range(labels + 1)]
        certified = [k for k, agreement in each if judge_refusal(agreement) == ""]
        assert certified == list(range(min(certified), labels + 1))
        chances[labels] = sum(math.comb(labels, k) for k in certified) / 2**labels
    said = (Path(__file__).parents[1] / "docs" / "how-to" / "judges.md").read_text(encoding="utf-8")

    assert f"in {chances[30]:.1%} of cases at 30 labels and in {chances[60]:.1%} at 60".replace("%", " %") in said


@pytest.mark.parametrize(
    "counts", [(0, 0, 3, 5), (3, 5, 0, 0), (0, 4, 0, 9), (5, 5, 0, 7), (12, 40, 130, 160), (20, 40, 301, 600)]
)
def test_two_shares_are_held_together_as_scipy_does(counts: tuple[int, int, int, int]) -> None:
    passed, of, others, of_others = counts
    expected = fisher_exact([[passed, of - passed], [others, of_others - others]]).pvalue

    assert same_share(*counts) == pytest.approx(expected, rel=1e-6)


def test_labels_of_one_kind_are_refused() -> None:
    assert "people passed none" in judge_refusal(judge_agreement([0] * 40, [0] * 40))
    assert "people failed none" in judge_refusal(judge_agreement([1] * 40, [1] * 40))
    assert judge_agreement([1] * 40, [1] * 40).tnr_interval is None


def test_labels_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="2 labels of people, 1 of the judge"):
        judge_agreement([1, 0], [1])
    with pytest.raises(ValueError, match="0 .failed. or 1"):
        judge_agreement([0.5], [1])
    with pytest.raises(ValueError, match="NaN"):
        judge_agreement([math.nan], [1])


@pytest.mark.parametrize("measure", [accuracy, kappa, kappa_standard_error, ac1, matthews])
def test_agreement_over_nothing_is_nan_and_over_no_table_refused(measure: object) -> None:
    assert callable(measure)
    assert math.isnan(measure(np.zeros((2, 2))))
    with pytest.raises(ValueError, match="square table"):
        measure([[1, 2]])


@given(TABLES)
def test_agreement_does_not_depend_on_who_is_the_row(table: NDArray[np.float64]) -> None:
    for measure in (accuracy, kappa, ac1, matthews):
        assert measure(table) == pytest.approx(measure(table.T), nan_ok=True)
        assert math.isnan(measure(table)) or measure(table) <= 1 + 1e-12


def test_ac1_stays_sensible_where_nearly_all_are_of_one_kind() -> None:
    table = [[95, 2], [3, 0]]

    assert kappa(table) < 0 < 0.9 < ac1(table)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_matthews_of_two_classes_is_the_correlation_of_the_labels(tp: int, fn: int, fp: int, tn: int) -> None:
    first = [1] * (tp + fn) + [0] * (fp + tn)
    second = [1] * tp + [0] * fn + [1] * fp + [0] * tn
    found = matthews([[tp, fn], [fp, tn]])

    if len(set(first)) < 2 or len(set(second)) < 2:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(first, second)[0, 1])
