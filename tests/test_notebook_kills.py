from __future__ import annotations

import pytest

from tests.notebook_kills import VARIANTS, Found, kill_and_continue

pytestmark = pytest.mark.machine

KILLS = 3


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A run of a notebook that was killed three times at moments drawn by chance, and continued to its end."""
    return kill_and_continue(KILLS, tmp_path_factory.mktemp("kills") / "project", tasks=8)


def test_no_answered_trial_is_asked_for_again(found: Found) -> None:
    assert [life.asked_again for life in found.lives] == [0] * KILLS
    assert sum(life.asked for life in found.lives) > 0
    assert set(found.answers.values()) == {VARIANTS}
    assert found.requests == found.trials + sum(life.in_flight for life in found.lives)


def test_what_a_killed_run_leaves_is_whole(found: Found) -> None:
    assert [life.broken for life in found.lives] == [()] * KILLS


def test_final_files_are_those_of_a_run_that_nobody_disturbed(found: Found) -> None:
    assert found.files >= 7
    assert found.differing_from_replay == ()
    assert found.differing_from_undisturbed == ()
