from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from tests.runs import GROUPS, PASSES_A, PASSES_B
from workbench.statistics.corrections import holm
from workbench.statistics.intervals import (
    Interval,
    constant_interval,
    t_interval,
    wilson,
)
from workbench.statistics.means import (
    case_means,
    clustered_standard_error,
    detectable_effect_t,
    effect_size,
    group_sums,
    mean_interval,
    paired,
    pass_at_k,
    pass_hat_k,
    standard_error,
    tasks_needed_t,
)
from workbench.statistics.permutation import DRAWS, mcnemar, sign_flip
from workbench.statistics.power import detectable_effect, difference_variance, tasks_needed

A = np.array(PASSES_A) / 4
B = np.array(PASSES_B) / 4
D = B - A
TINY = 1e-9


def near(value: float) -> object:
    return pytest.approx(value, abs=1e-7)


def bounds(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


def test_repeats_are_averaged_first_and_missing_ones_left_out() -> None:
    scores = [[1.0, 0.0, math.nan], [math.nan, math.nan, math.nan], [1.0, 1.0, 1.0]]

    np.testing.assert_array_equal(case_means(scores), [0.5, math.nan, 1.0])


def test_means_and_standard_errors_are_those_of_the_reference() -> None:
    assert (A.mean(), B.mean(), D.mean()) == (near(0.5208333), near(0.6875), near(0.1666667))
    assert (standard_error(A), standard_error(B)) == (near(0.1086171), near(0.0821411))
    assert standard_error(D) == near(0.0640588)


def test_paired_interval_and_p_are_those_of_the_reference() -> None:
    found = paired(D)

    assert bounds(found.interval) == (near(0.0256741), near(0.3076592))
    assert found.t_p == near(0.0246160)
    assert found.noise_floor == pytest.approx(2.2009852 * 0.0640588, abs=1e-6)
    assert found.effect / found.standard_error == near(2.6017745)
    assert found.variance == near(0.0492424)


def test_no_interval_of_a_change_goes_where_no_mean_of_scores_can_be() -> None:
    differences = [1.0, 0.0, 1.0, 0.9]

    within, beyond = paired(differences), paired(differences, most=None)

    assert within.interval.high == 1.0 < beyond.interval.high
    assert within.interval.low == beyond.interval.low
    assert within.t_p == beyond.t_p


def test_paired_t_agrees_with_scipy() -> None:
    assert paired(D).t_p == pytest.approx(stats.ttest_rel(B, A).pvalue, abs=1e-12)


def test_sign_flip_p_is_that_of_the_reference_and_of_scipy() -> None:
    found = sign_flip(D)
    by_scipy = stats.permutation_test((D,), np.mean, permutation_type="samples", n_resamples=np.inf)

    assert found.p == 224 / 4096 == pytest.approx(by_scipy.pvalue, abs=1e-12)
    assert found.method == "exact"


def test_sign_flip_of_passes_is_mcnemars_exact_test() -> None:
    cases = {(1, 6): (0.125, 0.0703125), (2, 9): (0.0654297, 0.0385742), (5, 15): (0.0413895, 0.0266037)}

    for (worse, better), (p, mid_p) in cases.items():
        found = sign_flip([-1.0] * worse + [1.0] * better + [0.0] * 5)
        assert (found.p, found.mid_p) == (near(p), near(mid_p))


def test_float_noise_does_not_drop_ties() -> None:
    noisy = [0.1 + 0.2, -0.3, 0.6 - 0.3, 0.3, 0.1 * 3]
    clean = [3, -3, 3, 3, 3]

    assert sign_flip(noisy).p == sign_flip(clean).p == 12 / 32


def test_convolution_gives_what_enumeration_gives() -> None:
    differences = np.random.default_rng(1).integers(-4, 5, size=21) / 4
    whole = np.rint(differences * 4).astype(int)
    sums = {0: 1}
    for value in whole:
        grown: dict[int, int] = {}
        for total, ways in sums.items():
            for step in (value, -value):
                grown[total + step] = grown.get(total + step, 0) + ways
        sums = grown
    expected = sum(ways for total, ways in sums.items() if abs(total) >= abs(whole.sum())) / 2**21

    found = sign_flip(np.concatenate([differences, [0.25, -0.25, 0.25, -0.25]]))
    assert sign_flip(differences).p == pytest.approx(expected, abs=1e-12)
    assert found.method == "exact"


@pytest.mark.parametrize(("worse", "better"), [(0, 60), (10, 40), (4_900, 5_100), (5_000, 5_000)])
def test_convolution_of_many_passes_is_mcnemar(worse: int, better: int) -> None:
    found, exact = sign_flip([-1.0] * worse + [1.0] * better), mcnemar(worse, better)

    assert (found.p, found.mid_p) == (pytest.approx(exact.p, abs=1e-11), pytest.approx(exact.mid_p, abs=1e-11))
    assert found.method == "exact"
    assert found.p >= 2.0 ** (1 - worse - better)


def test_uneven_differences_of_many_tasks_are_drawn_and_repeatable() -> None:
    differences = np.random.default_rng(2).normal(0.2, 1.0, size=60)
    found = sign_flip(differences)

    assert found == sign_flip(differences)
    assert found.method == "10,000 draws"
    assert found.p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)


def test_drawn_p_is_never_zero() -> None:
    differences = 1 + np.random.default_rng(3).random(60)

    assert sign_flip(differences).p == 1 / (1 + DRAWS)


def test_differences_of_zero_have_a_p_of_one() -> None:
    assert sign_flip(np.zeros(30)).p == 1.0


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_statsmodels_and_the_sign_flip_of_passes(worse: int, better: int) -> None:
    found = mcnemar(worse, better)
    flips = sign_flip([-1.0] * worse + [1.0] * better)

    assert found.p == pytest.approx(statsmodels_mcnemar([[0, worse], [better, 0]], exact=True).pvalue, abs=TINY)
    assert (found.p, found.mid_p) == (pytest.approx(flips.p, abs=TINY), pytest.approx(flips.mid_p, abs=TINY))


@given(st.lists(st.integers(-4, 4), max_size=30))
def test_sign_flip_looks_at_neither_order_nor_scale_nor_direction(differences: list[int]) -> None:
    values = np.array(differences, dtype=float) / 4
    found = sign_flip(values)

    assert found.floor <= found.p <= 1.0
    assert 0 < found.mid_p <= found.p
    for same in (-values, values[::-1], values * 2):
        assert sign_flip(same).p == pytest.approx(found.p, abs=1e-9)


def test_effect_sizes_are_those_of_the_reference() -> None:
    assert effect_size(D) == (near(0.7510677), near(0.6986675))


def test_clustered_standard_errors_are_those_of_the_reference() -> None:
    found = [clustered_standard_error(values, GROUPS) for values in (A, B, D)]

    assert found == [near(0.1843878), near(0.1333984), near(0.0680414)]


def test_group_sign_flip_states_its_floor() -> None:
    found = paired(D, groups=GROUPS).group_sign_flip

    np.testing.assert_allclose(group_sums(4 * D, GROUPS), [2, 2, 0, 4])
    assert found is not None
    assert (found.p, found.floor) == (0.25, 0.125)


def test_few_groups_leave_the_interval_to_tasks_and_many_take_it_over() -> None:
    few = paired(D, groups=GROUPS)
    many = paired(np.tile(D, 2), groups=[index // 2 for index in range(24)])

    assert not few.clustered
    assert few.interval == paired(D).interval
    assert many.clustered
    assert many.standard_error == pytest.approx(
        clustered_standard_error(np.tile(D, 2), [index // 2 for index in range(24)])
    )
    assert many.sign_flip == many.group_sign_flip


def test_groups_of_one_task_each_are_no_groups() -> None:
    assert paired(D, groups=list(range(12))).groups is None


def test_clustered_standard_error_is_that_of_statsmodels() -> None:
    fitted = sm.OLS(D, np.ones(12)).fit(
        cov_type="cluster", cov_kwds={"groups": [int(name[-1]) for name in GROUPS], "use_correction": True}
    )

    assert clustered_standard_error(D, GROUPS) == pytest.approx(float(fitted.bse[0]), abs=1e-12)


def test_clustered_interval_of_few_groups_includes_zero() -> None:
    found = t_interval(float(D.mean()), clustered_standard_error(D, GROUPS), 3)

    assert bounds(found) == (near(-0.0498714), near(0.3832047))


def test_unpaired_standard_error_of_the_reference_is_twice_the_paired_one() -> None:
    unpaired = math.hypot(standard_error(A), standard_error(B))

    assert unpaired == near(0.1361794)
    assert standard_error(D) == pytest.approx(math.sqrt(unpaired**2 - 2 * np.cov(A, B)[0, 1] / 12))
    assert (np.corrcoef(A, B)[0, 1], np.cov(A, B)[0, 1]) == (near(0.8093147), near(0.0866477))


def test_figures_of_the_wrong_ways_are_those_of_the_reference_and_not_ours() -> None:
    exact = math.exp(math.lgamma(11 / 2) - math.lgamma(10 / 2)) / math.sqrt(11 / 2)  # Hedges' J without approximation
    plain = clustered_standard_error(D, GROUPS) * math.sqrt(3 / 4)
    within = sum(
        x * y for start in range(0, 12, 3) for x, y in itertools.permutations(D[start : start + 3] - D.mean(), 2)
    )

    assert bounds(wilson(25, 48)) == (near(0.3832923), near(0.6552868))
    assert bounds(wilson(33, 48)) == (near(0.5466693), near(0.8005432))
    assert effect_size(D)[0] * exact == near(0.6984627)
    assert (plain, math.sqrt(standard_error(D) ** 2 + within / 144)) == (near(0.0589256), near(0.0617591))
    assert stats.wilcoxon(D[D != 0], correction=False, method="approx").pvalue == near(0.0334714)
    assert stats.t.ppf(0.975, 3) == near(3.1824463)


@given(st.integers(1, 200), st.data())
def test_intervals_of_shares_hold_the_share_and_mirror(n: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, n))

    low, high = bounds(wilson(passed, n))
    assert 0 <= low <= passed / n <= high <= 1
    assert bounds(wilson(n - passed, n)) == (pytest.approx(1 - high), pytest.approx(1 - low))


@pytest.mark.parametrize(("passed", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_intervals_of_counts_that_cannot_be_are_refused(passed: int, n: int) -> None:
    with pytest.raises(ValueError, match="no interval"):
        wilson(passed, n)


def test_pass_at_k_and_pass_hat_k_are_those_of_the_reference() -> None:
    assert [pass_at_k(10, 7, k) for k in (1, 3, 5)] == [near(0.7), near(0.9916667), 1.0]
    assert [pass_hat_k(10, 7, k) for k in (1, 3, 5)] == [near(0.7), near(0.2916667), near(0.0833333)]


@given(st.integers(1, 30), st.data())
def test_pass_at_k_rises_and_pass_hat_k_falls_with_k(n: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(0, n))
    at = [pass_at_k(n, c, k) for k in range(1, n + 1)]
    hat = [pass_hat_k(n, c, k) for k in range(1, n + 1)]

    assert at == sorted(at)
    assert hat == sorted(hat, reverse=True)
    assert at[0] == pytest.approx(hat[0]) == pytest.approx(c / n)
    assert at[0] == pytest.approx(1 - pass_hat_k(n, n - c, 1))


@pytest.mark.parametrize(("n", "c", "k"), [(3, 4, 1), (3, 2, 4), (3, 2, 0), (3, -1, 1)])
def test_passes_that_cannot_be_are_refused(n: int, c: int, k: int) -> None:
    for estimate in (pass_at_k, pass_hat_k):
        with pytest.raises(ValueError, match="1 <= k <= n"):
            estimate(n, c, k)


def test_what_is_missing_is_refused_rather_than_counted() -> None:
    for judge in (sign_flip, paired, effect_size):
        with pytest.raises(ValueError, match="1 of 3 values are NaN"):
            judge([0.5, math.nan, 0.25])
    with pytest.raises(ValueError, match="1 of 2 values are NaN"):
        mean_interval([0.5, math.nan], repeats=2)


def test_one_task_has_neither_standard_error_nor_effect_size() -> None:
    assert math.isnan(standard_error([0.5]))
    assert math.isnan(clustered_standard_error([0.5, 0.5], ["same", "same"]))
    with pytest.raises(ValueError, match="do not vary"):
        effect_size([0.5])
    with pytest.raises(ValueError, match="do not vary"):
        effect_size([0.5, 0.5, 0.5])


@given(arrays(float, st.integers(2, 30), elements=st.integers(-8, 8).map(lambda value: value / 8)))
def test_a_paired_comparison_turned_round_is_the_same_with_the_sign_changed(differences: NDArray[np.float64]) -> None:
    found, turned = paired(differences), paired(-differences)

    assert turned.effect == pytest.approx(-found.effect)
    assert bounds(turned.interval) == (pytest.approx(-found.interval.high), pytest.approx(-found.interval.low))
    assert (turned.t_p, turned.sign_flip.p) == (pytest.approx(found.t_p), pytest.approx(found.sign_flip.p))
    assert found.interval.low <= found.effect <= found.interval.high


def test_wilson_intervals_are_those_of_the_reference() -> None:
    assert bounds(wilson(10, 12)) == (near(0.5519691), near(0.9530349))
    assert bounds(wilson(17, 20)) == (near(0.6395811), near(0.9476313))
    assert bounds(wilson(12, 12)) == (near(0.7575060), 1)
    assert bounds(wilson(5, 5)) == (near(0.5655175), 1)
    assert bounds(wilson(0, 20)) == (0, near(0.1611252))


def test_one_repeat_of_pass_and_fail_takes_wilson_and_everything_else_t() -> None:
    assert mean_interval([1.0] * 10 + [0.0] * 2, repeats=1) == wilson(10, 12)
    assert bounds(mean_interval(A, repeats=4)) == (
        near(A.mean() - 2.20098516 * standard_error(A)),
        near(A.mean() + 2.20098516 * standard_error(A)),
    )


def test_equal_scores_never_have_an_interval_without_width() -> None:
    assert bounds(mean_interval([1.0] * 5, repeats=4)) == (near(0.5655175), 1)
    low, high = bounds(mean_interval([0.75] * 5, repeats=4))

    assert low < 0.75 < high <= 1
    assert bounds(mean_interval([0.5], repeats=3))[1] > 0.8


def test_interval_of_equal_scores_is_wilsons_at_the_ends_of_the_scale() -> None:
    assert bounds(constant_interval(1.0, 12, low=0.0, high=1.0)) == pytest.approx(bounds(wilson(12, 12)))
    assert bounds(constant_interval(0.0, 20, low=0.0, high=1.0)) == pytest.approx(bounds(wilson(0, 20)))


def test_interval_of_scores_stays_on_the_scale() -> None:
    assert bounds(mean_interval([1.0, 1.0, 0.5], repeats=2))[1] == 1.0


def test_there_is_no_interval_without_tasks() -> None:
    assert mean_interval([], repeats=4) is None


@pytest.mark.parametrize(("effect", "n"), [(0.25, 12), (0.25, 16), (-0.5, 8), (0.0, 12)])
def test_equal_differences_have_a_p_that_agrees_with_their_interval(effect: float, n: int) -> None:
    found = paired([effect] * n)

    assert found.interval.low < effect < found.interval.high
    assert found.interval.excludes_zero == (found.t_p < 0.05)


def test_differences_that_are_equal_but_for_float_noise_are_equal() -> None:
    assert paired([0.1 + 0.2 - 0.2, 0.1, 0.3 - 0.2]).standard_error == 0


def test_a_paired_comparison_of_one_task_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two tasks, found 1"):
        paired([0.5])


def test_power_is_that_of_the_reference() -> None:
    variance = float(D.var(ddof=1))

    assert detectable_effect(variance, 12) == near(0.1794663)
    assert detectable_effect_t(variance, 12) == near(0.1971980)
    assert tasks_needed(variance, 0.10) == pytest.approx(38.65, abs=0.005)
    assert tasks_needed_t(variance, 0.10) == pytest.approx(40.61, abs=0.005)


def test_repeats_shrink_only_the_spread_within_tasks() -> None:
    between, within = 1 / 9, 1 / 6

    spread = {repeats: difference_variance(between, 2 * within, repeats) for repeats in (1, 10)}
    needed = [round(tasks_needed(variance, 0.03)) for variance in (*spread.values(), between)]
    assert needed == [3876, 1260, 969]
    assert detectable_effect(spread[1], 198) == pytest.approx(0.1327, abs=5e-5)
    assert detectable_effect(spread[10], 198) == pytest.approx(0.0757, abs=5e-5)


def test_power_by_t_is_that_of_statsmodels() -> None:
    variance = float(D.var(ddof=1))

    for effect, n in ((0.1, 30), (0.2, 12)):
        power = TTestPower().power(effect / math.sqrt(variance), n, 0.05)
        assert detectable_effect_t(variance, n) == pytest.approx(
            TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8) * math.sqrt(variance), rel=1e-6
        )
        assert (tasks_needed_t(variance, effect) <= n) == (power >= 0.8)


def test_more_comparisons_take_more_tasks() -> None:
    needed = [tasks_needed(0.04, 0.1, comparisons=comparisons) for comparisons in (1, 2, 5)]
    by_t = [tasks_needed_t(0.04, 0.1, comparisons=comparisons) for comparisons in (1, 2, 5)]

    assert needed == sorted(needed)
    assert by_t == sorted(by_t)
    assert needed[2] == pytest.approx((stats.norm.isf(0.005) + stats.norm.isf(0.2)) ** 2 * 4)


@pytest.mark.parametrize("n", [2, 3, 5, 50, 5000])
def test_power_by_t_asks_for_more_at_every_size(n: int) -> None:
    assert detectable_effect_t(0.04, n) > detectable_effect(0.04, n)


@pytest.mark.parametrize("difference", [0.001, 0.1, 0.5, 1.0])
def test_tasks_by_t_are_at_least_those_by_z(difference: float) -> None:
    assert tasks_needed_t(0.04, difference) >= max(2, tasks_needed(0.04, difference))


def test_holm_is_that_of_the_reference_in_any_order() -> None:
    p_values = (0.001, 0.012, 0.021, 0.04, 0.30)
    corrected = dict(zip(p_values, (0.005, 0.048, 0.063, 0.08, 0.30), strict=True))

    for order in itertools.permutations(p_values):
        assert holm(order) == pytest.approx([corrected[p] for p in order])


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_never_makes_a_p_smaller(p_values: list[float]) -> None:
    corrected = holm(p_values)

    assert all(p <= found <= 1 for p, found in zip(p_values, corrected, strict=True))
    by_p = sorted(zip(p_values, corrected, strict=True))
    assert [found for _, found in by_p] == sorted(corrected)


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_never_below_benjamini_hochberg_and_agrees_with_statsmodels(p_values: list[float]) -> None:
    found = holm(p_values)

    assert np.all(np.array(found) >= multipletests(p_values, method="fdr_bh")[1] - TINY)
    np.testing.assert_allclose(found, multipletests(p_values, method="holm")[1], atol=TINY)


def test_corrections_of_a_p_that_is_missing_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 values are NaN"):
        holm([0.01, math.nan])


def test_false_positives_of_both_tests_together_stay_below_five_percent() -> None:
    generator = np.random.default_rng(20261123)
    difficulty = generator.beta(0.8, 0.5, size=(400, 12))
    first, second = (generator.binomial(4, difficulty) / 4 for _ in range(2))

    found = [paired(row) for row in second - first if np.ptp(row) > 0]
    wrong = sum(one.t_p < 0.05 and one.sign_flip.p <= 0.05 for one in found) / 400
    assert wrong <= 0.05
