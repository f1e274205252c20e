"""Many figures of the same tasks at once, beside values by hand, scipy and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from workbench.statistics.changes import Change, as_ratio, change_between, corrected, log_means
from workbench.statistics.intervals import Interval

NAN = math.nan


def change(effect: float, t_p: float, flip_p: float, *, can_differ: bool = True) -> Change:
    return Change(
        effect=effect,
        interval=Interval(low=effect - 0.1, high=effect + 0.1),
        t_p=t_p,
        sign_flip_p=flip_p,
        tasks=12,
        groups=None,
        clustered=False,
        can_differ=can_differ,
    )


def test_a_change_in_percent_is_that_of_the_geometric_means() -> None:
    # 100 to 50, 200 to 200, 400 to 800: halved, kept, doubled.
    found = change_between(log_means([[100], [200], [400]]), log_means([[50], [200], [800]]))
    assert found is not None
    relative = as_ratio(found)

    # The logarithms are -ln 2, 0, ln 2: sd ln 2, SE ln 2 / sqrt 3, t of 2 degrees 4.302653.
    reach = 4.302652729911275 * math.log(2) / math.sqrt(3)
    assert relative.effect == pytest.approx(0)
    assert relative.interval is not None
    assert relative.interval.high == pytest.approx(math.exp(reach) - 1)
    assert 1 + relative.interval.low == pytest.approx(1 / (1 + relative.interval.high))


def test_a_change_agrees_with_scipy() -> None:
    rng = np.random.default_rng(5)
    before = rng.lognormal(6, 0.6, size=(12, 3))
    after = before * rng.lognormal(-0.2, 0.2, size=(12, 3))
    found = change_between(log_means(before), log_means(after))
    assert found is not None and found.interval is not None
    differences = np.log(after).mean(axis=1) - np.log(before).mean(axis=1)
    by_t = stats.ttest_1samp(differences, 0)
    flips = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)

    assert found.t_p == pytest.approx(by_t.pvalue, rel=1e-9)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(by_t.confidence_interval()), rel=1e-9)
    assert found.sign_flip_p == pytest.approx(flips.pvalue, abs=1e-12)


def test_a_figure_of_any_size_is_tested_alike() -> None:
    before = np.array([1200.0, 3400.0, 560.0, 7800.0, 910.0, 2300.0, 4100.0, 150.0])
    after = before + np.array([-100, 300, -100, -200, -300, -100, 200, -400]) / 3
    large, small = change_between(before, after), change_between(before / 1e7, after / 1e7)

    assert large is not None and small is not None
    assert large.sign_flip_p == small.sign_flip_p
    assert large.t_p == pytest.approx(small.t_p)
    assert large.effect == pytest.approx(1e7 * small.effect)


def test_a_task_without_the_figure_of_both_is_left_out() -> None:
    found = change_between([1, NAN, 3, 4], [2, 5, NAN, 7])

    assert found is not None
    assert (found.tasks, found.effect) == (2, 2.0)
    assert change_between([1, NAN, 3], [NAN, 2, 4]) is None


def test_equal_changes_of_a_figure_without_ends_have_no_interval_and_the_p_of_their_signs() -> None:
    found = change_between(np.arange(8.0), np.arange(8.0) + 1)

    assert found is not None
    assert (found.effect, found.interval, found.can_differ) == (1.0, None, True)
    assert found.t_p == found.sign_flip_p == 2 / 2**8
    assert found.excludes_zero


def test_equal_changes_between_ends_have_the_width_of_the_share_that_may_differ() -> None:
    found = change_between([1.0] * 12, [1.0] * 12, bounded=True)

    assert found is not None and found.interval is not None
    assert found.interval.high == pytest.approx(0.2424940)  # 1 - 0.7575060, Wilson's bound of 12 in 12
    assert not found.can_differ


def test_what_has_no_logarithm_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        log_means([[1.0, 0.0]])


def test_ten_groups_or_more_are_compared_by_group() -> None:
    rng = np.random.default_rng(3)
    before, after = rng.normal(size=(2, 24))
    found = change_between(before, after, groups=[f"group {row // 2}" for row in range(24)])

    assert found is not None
    assert (found.groups, found.clustered) == (12, True)


def test_p_values_are_corrected_as_statsmodels_does() -> None:
    t_p, flip_p = [0.001, 0.012, 0.021, 0.04, 0.30], [0.002, 0.010, 0.030, 0.20, 0.50]
    found = corrected([change(0.5, *pair) for pair in zip(t_p, flip_p, strict=True)])

    assert all(each is not None and each.comparisons == 5 for each in found)
    assert [each.t_p for each in found if each] == pytest.approx(multipletests(t_p, method="holm")[1])
    assert [each.sign_flip_p for each in found if each] == pytest.approx(multipletests(flip_p, method="holm")[1])
    assert [each.is_shown for each in found if each] == [True, True, False, False, False]


def test_what_cannot_differ_and_what_is_not_compared_are_not_counted() -> None:
    still = change(0.0, 1.0, 1.0, can_differ=False)
    found = corrected([change(0.5, 0.03, 0.04), None, still, still])

    assert found[0] is not None and found[1] is None and found[2] is not None
    assert (found[0].t_p, found[0].sign_flip_p, found[0].comparisons) == (0.03, 0.04, 1)
    assert found[0].is_shown and not found[2].is_shown


def test_several_families_share_the_level() -> None:
    [alone], [beside] = corrected([change(0.5, 0.02, 0.03)]), corrected([change(0.5, 0.02, 0.03)], families=2)

    assert alone is not None and beside is not None
    assert (beside.t_p, beside.sign_flip_p, beside.comparisons) == (0.04, 0.06, 2)
    assert alone.is_shown and not beside.is_shown
