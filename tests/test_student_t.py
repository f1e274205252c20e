from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from workbench.statistics.student_t import (
    normal_cdf,
    normal_quantile,
    t_cdf,
    t_quantile,
    t_test_power,
)

DEGREES = (1, 1.5, 2, 3, 7, 11, 19, 99, 499.5, 4_999, 100_000)


@pytest.mark.parametrize("degrees", DEGREES)
def test_the_t_distribution_is_that_of_scipy(degrees: float) -> None:
    points = np.concatenate([-np.logspace(2, -6, 60), [0.0], np.logspace(-6, 2, 60)])

    np.testing.assert_allclose([t_cdf(x, degrees) for x in points], special.stdtr(degrees, points), rtol=1e-9)


@pytest.mark.parametrize("degrees", DEGREES)
def test_the_t_quantile_is_that_of_scipy(degrees: float) -> None:
    chances = [1e-9, 1e-4, 0.005, 0.025, 0.05, 0.3, 0.5, 0.6, 0.95, 0.975, 0.9975]

    np.testing.assert_allclose([t_quantile(p, degrees) for p in chances], stats.t.ppf(chances, degrees), rtol=1e-9)


@pytest.mark.parametrize("degrees", DEGREES)
def test_the_t_quantile_leads_back_to_its_chance(degrees: float) -> None:
    for p in (0.001, 0.025, 0.2, 0.8, 0.975):
        assert t_cdf(t_quantile(p, degrees), degrees) == pytest.approx(p, rel=1e-11)


def test_the_normal_distribution_is_that_of_scipy() -> None:
    points = np.linspace(-30, 8, 200)
    chances = np.concatenate([np.logspace(-12, -1, 50), np.linspace(0.1, 0.999, 50)])

    np.testing.assert_allclose([normal_cdf(x) for x in points], special.ndtr(points), rtol=1e-11)
    np.testing.assert_allclose([normal_quantile(p) for p in chances], special.ndtri(chances), rtol=1e-11)


@pytest.mark.parametrize("degrees", DEGREES)
def test_the_power_is_that_of_the_noncentral_t_of_scipy(degrees: float) -> None:
    for alpha in (0.05, 0.05 / 5):
        bound = float(stats.t.ppf(1 - alpha / 2, degrees))
        for shift in (0.0, 0.5, 2.0, 2.8, 5.0, 12.0, 30.0):
            beyond = special.nctdtr(degrees, shift, np.array([bound, -bound]))
            expected = 1 - beyond[0] + np.nan_to_num(beyond[1])

            assert t_test_power(shift, degrees, bound) == pytest.approx(expected, abs=1e-8)


def test_the_power_without_a_shift_is_the_level() -> None:
    for degrees in DEGREES:
        assert t_test_power(0.0, degrees, t_quantile(0.975, degrees)) == pytest.approx(0.05, rel=1e-10)


def test_the_power_against_a_huge_shift_is_one() -> None:
    assert t_test_power(500.0, 11, t_quantile(0.975, 11)) == pytest.approx(1.0, abs=1e-12)
    assert math.isfinite(t_test_power(90.0, 1, t_quantile(1 - 0.05 / 10, 1)))
