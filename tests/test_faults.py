from __future__ import annotations

import pytest

from tests.benchmarks.faults import Found, expected_failures, run_against_faults
from tests.benchmarks.server import FAULTS

TRIALS = 400


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """One run of 400 trials of which 15 % of the requests fail, in every way the server knows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPIC_BASE_URL", "")
        patch.setenv("ANTHROPIC_API_KEY", "none")
        return run_against_faults(TRIALS, tmp_path_factory.mktemp("faults") / "ledger.sqlite")


def test_every_kind_of_fault_occurred(found: Found) -> None:
    assert set(found.server.faults) == set(FAULTS)


def test_each_trial_ends_answered_or_as_a_named_error_and_none_is_lost(found: Found) -> None:
    ends = [(trial.outcome, trial.failure.type if trial.failure else None) for trial in found.run.trials]

    assert len(ends) == TRIALS
    assert {end for end in ends if end != ("answered", None)} <= {("failed", "not_a_stream")}


def test_nothing_is_answered_twice(found: Found) -> None:
    assert set(found.ledger.whole.values()) == {1}
    assert set(found.server.answers.values()) == {1}


def test_run_and_ledger_and_server_count_the_same_answers(found: Found) -> None:
    answered = sum(trial.outcome == "answered" for trial in found.run.trials)

    assert answered == found.ledger.whole.total() == found.server.answered


def test_every_request_the_server_saw_is_an_attempt_in_the_ledger_under_its_own_name(found: Found) -> None:
    assert found.ledger.attempts == found.server.requests
    assert found.ledger.failures == expected_failures(found.server)
