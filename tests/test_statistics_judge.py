from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from workbench.errors import ComparisonError
from workbench.statistics.agreement import ac1, accuracy, kappa, kappa_standard_error, krippendorff_alpha, matthews
from workbench.statistics.judge import (
    JudgeAgreement,
    judge_agreement,
    judge_refusal,
    ppi,
    ppi_plus_plus,
    rogan_gladen,
    true_rate,
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


def test_rogan_gladen_is_that_of_the_reference() -> None:
    found = true_rate(HUMAN, JUDGE, JUDGED, method="Rogan-Gladen")

    assert (found.estimate, found.standard_error) == (near(0.6796512), near(0.1063462))
    assert (found.interval.low, found.interval.high) == (near(0.4712164), near(0.8880859))


def test_ppi_is_that_of_the_reference() -> None:
    found = true_rate(HUMAN, JUDGE, JUDGED, method="PPI")

    assert (found.estimate, found.standard_error, found.weight) == (near(0.625), near(0.0741409), 1.0)
    assert (found.interval.low, found.interval.high) == (near(0.4796865), near(0.7703135))


def test_ppi_plus_plus_is_that_of_the_reference_and_what_is_taken() -> None:
    found = true_rate(HUMAN, JUDGE, JUDGED)

    assert (found.method, found.weight) == ("PPI++", near(0.5786483))
    assert (found.estimate, found.standard_error) == (near(0.5828648), near(0.0634167))
    assert (found.interval.low, found.interval.high) == (near(0.4585703), near(0.7071593))


def test_a_judge_that_says_nothing_leaves_ppi_plus_plus_to_the_labels() -> None:
    found = ppi_plus_plus(HUMAN, [1] * 40, [1] * 200)

    assert (found.weight, found.estimate, found.standard_error) == (0.0, near(21 / 40), near(0.0789581))


def test_a_perfect_judge_leaves_its_own_rate() -> None:
    found = rogan_gladen(0.65, 200, tpr=1.0, positives=20, tnr=1.0, negatives=20)

    assert (found.estimate, found.standard_error) == (near(0.65), near(math.sqrt(0.65 * 0.35 / 200)))
    assert ppi(HUMAN, HUMAN, JUDGED).estimate == near(0.65)


def test_rates_stay_on_the_scale() -> None:
    beyond = rogan_gladen(0.99, 20, tpr=0.8, positives=20, tnr=0.9, negatives=20)

    assert (beyond.estimate, beyond.interval.high) == (1.0, 1.0)


def agreement_of(tpr: float, tnr: float, labels: int = 40) -> JudgeAgreement:
    half = labels // 2
    human = [1] * half + [0] * half
    hits, rejections = round(tpr * half), round(tnr * half)
    return judge_agreement(human, [1] * hits + [0] * (half - hits) + [0] * rejections + [1] * (half - rejections))


def test_too_few_labels_are_refused() -> None:
    assert judge_refusal(agreement_of(1.0, 1.0, labels=30)) == ""
    assert judge_refusal(agreement_of(1.0, 1.0, labels=28)) == "28 labels of people; it takes at least 30"
    with pytest.raises(ComparisonError, match="28 labels of people"):
        true_rate([1, 0] * 14, [1, 0] * 14, JUDGED)


def test_a_judge_that_hardly_tells_good_from_bad_is_refused() -> None:
    assert judge_refusal(agreement_of(0.65, 0.65)) == ""
    assert "= 0.20, below 0.3" in judge_refusal(agreement_of(0.6, 0.6))
    with pytest.raises(ComparisonError, match=r"Label more items, or mend the judge"):
        true_rate([1, 0] * 20, [1, 1, 0, 0] * 10, JUDGED)


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
    with pytest.raises(ValueError, match="no judged item"):
        true_rate(HUMAN, JUDGE, [])
    with pytest.raises(ValueError, match="whatever it is shown"):
        rogan_gladen(0.5, 10, tpr=0.5, positives=5, tnr=0.5, negatives=5)


def test_alpha_is_that_of_the_reference() -> None:
    first, second = [1, 1, 0, 1, 0, 0, 1, 1, 0, 1], [1, 0, 0, 1, 0, 1, 1, 1, 0, 1]

    assert krippendorff_alpha([first, second]) == near(0.6041667)
    assert krippendorff_alpha([first, first]) == 1.0


def test_alpha_of_krippendorffs_own_data_with_gaps() -> None:
    data = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]

    assert krippendorff_alpha(data) == pytest.approx(0.743, abs=5e-4)


def test_alpha_that_is_not_defined_is_nan() -> None:
    for ratings in ([], [[], []], [[1, None], [None, 1]], [[1, 1], [1, 1]]):
        assert math.isnan(krippendorff_alpha(ratings))
    with pytest.raises(ValueError, match="different numbers of items"):
        krippendorff_alpha([[1], [1, 2]])


@pytest.mark.parametrize("measure", [accuracy, kappa, kappa_standard_error, ac1, matthews])
def test_agreement_over_nothing_is_nan_and_over_no_table_refused(measure: object) -> None:
    assert callable(measure)
    assert math.isnan(measure(np.zeros((2, 2))))
    with pytest.raises(ValueError, match="square table"):
        measure([[1, 2]])


@settings(deadline=None)
@given(TABLES)
def test_agreement_does_not_depend_on_who_is_the_row(table: NDArray[np.float64]) -> None:
    for measure in (accuracy, kappa, ac1, matthews):
        assert measure(table) == pytest.approx(measure(table.T), nan_ok=True)
        assert math.isnan(measure(table)) or measure(table) <= 1 + 1e-12


def test_ac1_stays_sensible_where_nearly_all_are_of_one_kind() -> None:
    table = [[95, 2], [3, 0]]

    assert kappa(table) < 0 < 0.9 < ac1(table)


@settings(deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_matthews_of_two_classes_is_the_correlation_of_the_labels(tp: int, fn: int, fp: int, tn: int) -> None:
    first = [1] * (tp + fn) + [0] * (fp + tn)
    second = [1] * tp + [0] * fn + [1] * fp + [0] * tn
    found = matthews([[tp, fn], [fp, tn]])

    if len(set(first)) < 2 or len(set(second)) < 2:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(first, second)[0, 1])
