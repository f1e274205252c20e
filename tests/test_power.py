from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runs import PASSES_A, PASSES_B
from workbench.statistics.means import detectable_effect_t
from workbench.statistics.power import (
    ASSUMED,
    PlannedPower,
    Variances,
    detectable_effect,
    detectable_effect_few,
    difference_variance,
    pilot_variances,
    tasks_needed,
)


def scores(counts: tuple[int, ...], repeats: int = 4) -> dict[str, list[float]]:
    return {f"task-{i}": [1.0] * passed + [0.0] * (repeats - passed) for i, passed in enumerate(counts)}


def test_two_variants_give_back_the_variance_of_the_difference_that_was_seen() -> None:
    found = pilot_variances([scores(PASSES_A), scores(PASSES_B)])

    assert found.of_difference(4) == pytest.approx(0.0492424, abs=1e-7)
    assert detectable_effect(found.of_difference(4), 12) == pytest.approx(0.1794663, abs=1e-7)
    assert tasks_needed(found.of_difference(4), 0.10) == pytest.approx(38.65, abs=0.005)
    assert found.replies == 96
    assert found.source == "96 graded replies in the ledger: the differences between 2 variants over 12 tasks"


def test_more_repeats_shrink_what_lies_within_and_no_more() -> None:
    generator = np.random.default_rng(1)
    truth = generator.random((400, 2))
    first, second = ((generator.random((400, 6)) < truth[:, [side]]).astype(float) for side in (0, 1))
    found = pilot_variances([{str(i): list(row) for i, row in enumerate(side)} for side in (first, second)])

    assert found.between == pytest.approx((truth[:, 1] - truth[:, 0]).var(ddof=1), rel=0.2)
    assert found.within == pytest.approx(sum(side.var(axis=1, ddof=1).mean() for side in (first, second)))
    assert found.of_difference(6) == pytest.approx((second.mean(axis=1) - first.mean(axis=1)).var(ddof=1))


def test_one_variant_is_taken_for_two_alike() -> None:
    found = pilot_variances([scores(PASSES_A), {}])

    assert found.within == pytest.approx(2 * 0.1597222, abs=1e-6)
    assert found.between == pytest.approx(4 / 3 * 0.1016414, abs=1e-6)
    assert found.source.endswith("one variant's scores on 12 tasks, a second one assumed to be alike")


def test_without_repeats_the_spread_is_split_as_the_assumed_one() -> None:
    passed = {f"task-{i}": [float(i % 2)] for i in range(8)}
    failed = {f"task-{i}": [float(i % 3 == 0)] for i in range(8)}

    for found in (pilot_variances([passed, failed]), pilot_variances([passed])):
        assert found.between / found.within == pytest.approx(ASSUMED.between / ASSUMED.within)
        assert found.replies > 0


@pytest.mark.parametrize("pilot", [[], [{}], [scores((4, 3, 2))]])
def test_too_few_replies_leave_what_is_assumed(pilot: list[dict[str, list[float]]]) -> None:
    assert pilot_variances(pilot) == ASSUMED
    assert "assumed, for the ledger has too few graded replies" in ASSUMED.source


@pytest.mark.parametrize("variants", [1, 2])
def test_replies_that_do_not_differ_leave_what_is_assumed_and_say_so(variants: int) -> None:
    found = pilot_variances([scores((4, 4, 4, 4))] * variants)

    assert (found.between, found.within, found.replies) == (ASSUMED.between, ASSUMED.within, 0)
    assert "assumed, for the graded replies in the ledger do not differ" in found.source


def test_variants_tried_on_different_tasks_are_taken_one_by_one() -> None:
    other = {f"other-{i}": passed for i, passed in enumerate(scores(PASSES_B).values())}

    assert "one variant's scores on 12 tasks" in pilot_variances([scores(PASSES_A), other]).source


def test_defaults_are_those_of_the_reference() -> None:
    assert ASSUMED.of_difference(1) == pytest.approx(1 / 9 + 2 / 6)
    assert round(tasks_needed(ASSUMED.of_difference(10), 0.03)) == 1260
    assert difference_variance(1 / 9, 1 / 3, 1) == ASSUMED.of_difference(1)


@pytest.mark.parametrize("comparisons", [1, 5, 20])
@pytest.mark.parametrize("n", [8, 12, 30, 1000])
def test_correction_for_few_tasks_is_near_the_noncentral_t(n: int, comparisons: int) -> None:
    found = detectable_effect_few(0.04, n, comparisons=comparisons)

    assert found == pytest.approx(detectable_effect_t(0.04, n, comparisons=comparisons), rel=0.03)


@given(st.integers(2, 500), st.integers(1, 20), st.integers(1, 10))
def test_more_tasks_and_repeats_show_less_and_more_comparisons_take_more(
    tasks: int, repeats: int, comparisons: int
) -> None:
    power = PlannedPower(tasks=tasks, repeats=repeats, comparisons=comparisons, variances=ASSUMED)
    alone = PlannedPower(tasks=tasks, repeats=repeats, comparisons=1, variances=ASSUMED)

    assert power.effect(tasks=2 * tasks) == pytest.approx(power.effect() / 2**0.5)
    assert power.effect(tasks=2 * tasks) < power.effect(repeats=2 * repeats) < power.effect()
    assert alone.effect() <= power.effect() < power.effect_by_t


def test_rows_say_what_the_plan_shows_and_what_more_would_buy() -> None:
    variances = Variances(between=0.0, within=0.1969697, source="a pilot")
    power = PlannedPower(tasks=12, repeats=4, comparisons=1, variances=variances)

    assert dict(power.rows()) == {
        "smallest difference": "17.9 points with 80 % power (about 19.6 points by t)",
        "with more": "x2 tasks: 12.7 points; x2 repeats: 12.7 points",
        "variances": "a pilot",
    }


def test_rows_name_comparisons_and_groups() -> None:
    power = PlannedPower(tasks=12, repeats=4, comparisons=3, variances=ASSUMED, groups=4)

    assert "corrected for 3 comparisons with the baseline" in dict(power.rows())["smallest difference"]
    assert dict(power.rows())["groups of tasks"] == "4; where tasks of a group go together, it takes more"


def test_a_plan_that_can_show_nothing_says_so() -> None:
    for tasks, repeats, expected in (
        (1, 1, "none: a verdict takes at least 2 tasks"),
        (2, 1, "none: 2 tasks do not show even 100 points with 80 % power"),
        (3, 4, "71.3 points with 80 % power (none by t)"),
    ):
        power = PlannedPower(tasks=tasks, repeats=repeats, comparisons=1, variances=ASSUMED)
        assert dict(power.rows())["smallest difference"] == expected
