from __future__ import annotations

import pytest

from tests.benchmarks.kills import AT_ONCE, Found, kill_and_complete

KILLS = 5
TRIALS = 400


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """One run that was killed five times and then completed."""
    return kill_and_complete(KILLS, tmp_path_factory.mktemp("kills"), trials=TRIALS)


def test_killed_run_is_completed_with_one_reply_a_trial(found: Found) -> None:
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
