from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest

from tests.benchmarks.kills import AT_ONCE, IN_NAMESPACES, Found, kill_and_complete, tear, why_not_unshared

pytestmark = pytest.mark.machine

KILLS = 3
"""A hundred are in the benchmark `kills`, and in `namespaces` for two in namespaces of their own."""
TRIALS = 240
MORE_THAN_ARE_PAID = 400


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """One run that was killed so often and then completed, within a budget that is large enough for it."""
    return kill_and_complete(KILLS, tmp_path_factory.mktemp("kills"), trials=TRIALS, budget_usd=Decimal("1"))


def test_killed_run_is_completed_with_one_reply_a_trial(found: Found) -> None:
    assert found.ended_with == ""
    assert len(found.finished) == TRIALS
    assert set(found.finished.values()) == {1}


def test_no_finished_trial_is_asked_for_again(found: Found) -> None:
    assert [life.asked_again for life in found.lives] == [0] * KILLS


def test_only_what_was_in_flight_is_asked_for_twice(found: Found) -> None:
    assert max(life.in_flight for life in found.lives) <= AT_ONCE
    assert found.requests == TRIALS + sum(life.in_flight for life in found.lives)


def test_half_a_write_at_the_end_of_the_log_harms_nothing(found: Found) -> None:
    assert any(life.torn for life in found.lives)
    assert {life.integrity for life in found.lives} == {"ok"}
    assert [life.kept for life in found.lives] == [life.committed for life in found.lives]
    assert found.lives[-1].kept > 0


def test_what_the_server_counts_is_never_more_than_the_ledger_says_is_taken(found: Found) -> None:
    assert all(life.billed_usd <= life.taken_usd <= found.budget_usd for life in found.lives)
    assert found.billed_usd <= found.taken_usd <= found.budget_usd


def test_killed_run_ends_within_a_budget_that_is_too_small_for_it(tmp_path: Path) -> None:
    found = kill_and_complete(2, tmp_path, trials=MORE_THAN_ARE_PAID, budget_usd=Decimal("0.055"))

    assert "the budget is used up" in found.ended_with
    assert "ended before it settled them" in found.ended_with
    assert 0 < len(found.finished) < MORE_THAN_ARE_PAID
    assert found.billed_usd <= found.taken_usd <= found.budget_usd


def test_two_runs_in_namespaces_of_their_own_that_are_killed_pay_only_for_what_was_in_flight(tmp_path: Path) -> None:
    if why_not := why_not_unshared():
        pytest.skip(why_not)
    found = kill_and_complete(KILLS, tmp_path, trials=TRIALS, budget_usd=Decimal("2"), namespaces=IN_NAMESPACES)

    assert found.ended_with == ""
    assert len(found.finished) == TRIALS
    assert set(found.finished.values()) == {1}
    assert [life.asked_again for life in found.lives] == [0] * KILLS
    assert max(life.in_flight for life in found.lives) <= AT_ONCE * IN_NAMESPACES
    assert found.requests == TRIALS + sum(life.in_flight for life in found.lives)
    assert all(life.billed_usd <= life.taken_usd <= found.budget_usd for life in found.lives)


def test_log_without_a_write_is_not_torn(tmp_path: Path) -> None:
    assert not tear(tmp_path / "ledger.sqlite-wal", random.Random(1))
