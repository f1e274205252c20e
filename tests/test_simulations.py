from __future__ import annotations

import pytest

from tests.benchmarks.statistics import (
    Finding,
    Size,
    coverage,
    judged_differences,
    measures,
    peeking,
    power,
    promises,
    promises_and_criteria,
    same_persona,
    selection,
)

SMALL = Size(
    coverage=8_000,
    bootstrap=500,
    same=8_000,
    flips=2_000,
    power=4_000,
    peeking=4_000,
    selection=8_000,
    promises=1_500,
    measures=300,
)


@pytest.mark.parametrize(
    "simulate",
    [
        coverage,
        same_persona,
        power,
        peeking,
        selection,
        judged_differences,
        promises,
        promises_and_criteria,
        measures,
    ],
)
def test_simulated_coverage_and_false_positives_are_what_the_method_promises(simulate: object) -> None:
    assert callable(simulate)
    found: list[Finding] = list(simulate(SMALL))

    assert found
    assert [finding for finding in found if not finding.holds] == []


def test_a_figure_outside_its_tolerance_does_not_hold() -> None:
    finding = Finding(what="coverage", ours=0.90, target=0.95, tolerance=0.01)

    assert not finding.holds
    assert Finding(what="errors", ours=0.01, target=0.05, tolerance=0.0, at_most=True).holds
    assert not Finding(what="errors", ours=0.08, target=0.05, tolerance=0.01, at_most=True).holds
