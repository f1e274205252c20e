"""What the figures of routing promise, by simulation: the intervals of recall cover, two equal descriptions are called
different as seldom as is said, and so is one that takes from others."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.routing.change import change_rows
from workbench.routing.measured import CaseDecisions
from workbench.statistics.routing import NONE, routing

NAMES = ("sec", "perf", "docs", NONE)
CASES_EACH = 12
REPEATS = 4
ROUNDS = 400
LEVEL = 0.05
NOISE = 2.6
"""Standard errors of a simulated share: one test in a hundred would fail by chance, and the seeds are fixed."""


def drawn(generator: np.random.Generator, chances: np.ndarray) -> list[list[str]]:
    """Picks by case and repeat, each case with chances of its own around these."""
    found = []
    for _ in range(CASES_EACH):
        own = generator.dirichlet(4 * chances + 1e-3)
        found.append([NAMES[index] for index in generator.choice(len(NAMES), size=REPEATS, p=own)])
    return found


@pytest.mark.parametrize("recall", [0.5, 0.8, 0.95])
def test_intervals_of_recall_cover(recall: float) -> None:
    """At least as often as is said: the unit is the case, so that repeats of one case do not count as more cases."""
    generator = np.random.default_rng(20261129)
    chances = np.array([recall, *[(1 - recall) / 3] * 3])
    covered = 0
    for _ in range(ROUNDS):
        picked = drawn(generator, chances)
        one = routing(["sec"] * CASES_EACH, picked, labels=NAMES, draws=2).by_label["sec"]
        assert one.recall_interval is not None
        covered += one.recall_interval.low <= recall <= one.recall_interval.high
    assert covered / ROUNDS >= 0.95 - NOISE * np.sqrt(0.95 * 0.05 / ROUNDS)


def decisions(generator: np.random.Generator, cases: dict[str, list[np.ndarray]]) -> list[CaseDecisions]:
    return [
        CaseDecisions(
            id=f"{truth}-{number}",
            prompt="",
            group=None,
            accepted=(truth,),
            picked=tuple(NAMES[index] for index in generator.choice(len(NAMES), size=REPEATS, p=own)),
        )
        for truth, chances in cases.items()
        for number, own in enumerate(chances)
    ]


def cases_with(generator: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """By who should have them, the chances of each case: its own agent mostly, then any."""
    found = {}
    for index, name in enumerate(NAMES):
        around = np.full(len(NAMES), 0.1)
        around[index] = 0.7
        found[name] = [generator.dirichlet(4 * around) for _ in range(CASES_EACH)]
    return found


def test_two_equal_descriptions_are_called_different_as_seldom_as_is_said() -> None:
    """Over all rows of a change together: recall, over-triggering, what is taken, and the others' recall."""
    generator = np.random.default_rng(20261130)
    called = 0
    for _ in range(ROUNDS):
        cases = cases_with(generator)
        before, after = decisions(generator, cases), decisions(generator, cases)
        called += any(row.is_shown for row in change_rows(list(zip(before, after, strict=True)), ("perf",)))
    assert called / ROUNDS <= LEVEL + NOISE * np.sqrt(LEVEL * (1 - LEVEL) / ROUNDS)


def test_what_is_taken_is_found_and_nothing_else() -> None:
    """A description that takes half of another's cases is found out, and no third agent is blamed."""
    generator = np.random.default_rng(20261131)
    found = blamed = 0
    rounds = ROUNDS // 4
    for _ in range(rounds):
        cases = cases_with(generator)
        taken = {**cases, "sec": [np.array([0.15, 0.65, 0.1, 0.1])] * CASES_EACH}
        pairs = list(zip(decisions(generator, cases), decisions(generator, taken), strict=True))
        shown = {(row.kind, row.of) for row in change_rows(pairs, ("perf",)) if row.is_shown}
        found += ("taken", "sec") in shown
        blamed += bool(shown - {("taken", "sec"), ("recall", "sec")})
    assert found / rounds >= 0.9
    assert blamed / rounds <= LEVEL + NOISE * np.sqrt(LEVEL * (1 - LEVEL) / rounds)
