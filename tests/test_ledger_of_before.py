"""What was asked for before keeps its name: its keys are byte for byte the same, and its replies are found again."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.ledger_before import FOLLOW_UP, KEYS, LEDGER, RECORD, plan_of, requests
from workbench.model.endpoint import endpoint_at
from workbench.runs.conversation import answer_reply
from workbench.runs.plan import Plan
from workbench.runs.runner import run_trials
from workbench.trial.catalogue import OFFLINE_BASE_URL
from workbench.trial.record import load_run


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return Path(shutil.copy(LEDGER, tmp_path))


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(KEYS.read_text(encoding="utf-8"))
    return known


def test_requests_of_every_kind_keep_their_keys(keys: dict[str, Any]) -> None:
    known = keys["requests"]
    found = [
        [url, draw, request.key(endpoint=endpoint_at(url), draw=draw)]
        for request, (url, draw, _) in zip(requests(), known, strict=True)
    ]

    assert len({key for _, _, key in found}) == 432 // 3, "the cache marker does not count"
    assert found == known


def test_trials_of_a_plan_keep_their_keys_over_repeats_and_twins(keys: dict[str, Any]) -> None:
    found = {url: [trial.key for trial in plan_of().as_before().trials(endpoint_at(url))] for url in keys["plan"]}

    assert found == keys["plan"]


def test_trials_of_a_plan_of_today_keep_their_keys(keys: dict[str, Any]) -> None:
    """They are others than before where the effort that Claude Code sends is sent now."""
    found = {url: [trial.key for trial in plan_of().trials(endpoint_at(url))] for url in keys["plan"]}

    assert found == keys["plan of today"]


def test_rows_of_a_run_are_those_of_before(tmp_path: Path) -> None:
    run_trials(plan_of().as_before(), ledger=tmp_path / "new.sqlite", live=False, progress=False)
    before, now = (stand_in_rows(path) for path in (LEDGER, tmp_path / "new.sqlite"))

    assert len(now) == 6 * 2 * 2
    assert now <= before


def stand_in_rows(ledger: Path) -> set[tuple[Any, ...]]:
    """What a row says of what was asked, without what is measured."""
    columns = "key, variant, task_id, repeat, place, agent_sha256, system_sha256, request, whole, draw"
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        return set(connection.execute(f"select {columns} from attempts where place = '{OFFLINE_BASE_URL}'"))


@pytest.mark.parametrize(
    ("plan", "where"), [(plan_of(), "stand-in"), (plan_of(repeats=3), "streamed"), (plan_of(max_tokens=500), "batched")]
)
def test_run_of_before_is_replayed_without_a_request(
    ledger: Path, keys: dict[str, Any], plan: Plan, where: str
) -> None:
    run = run_trials(plan, ledger=ledger, live=False, progress=False, mode="replay")

    assert run.endpoint.base_url == keys.get(where, OFFLINE_BASE_URL)
    assert len(run.trials) == 6 * 2 * plan.repeats
    assert all(trial.from_ledger and trial.outcome == "answered" for trial in run.trials)


def test_answer_of_before_is_found_again(ledger: Path, keys: dict[str, Any]) -> None:
    run = run_trials(plan_of(), ledger=ledger, live=False, progress=False, mode="replay")

    run = answer_reply(run, FOLLOW_UP, variant="base", task_id="shop", ledger=ledger, mode="replay")

    assert [trial.key for trial in run.follow_ups] == [keys["follow_up"]]


def test_record_of_before_still_opens() -> None:
    run = load_run(RECORD)

    assert [(trial.task_id, trial.variant, trial.outcome) for trial in run.trials[::2]] == [
        ("shop", "base", "answered"),
        ("shop", "another", "answered"),
        ("queue", "base", "answered"),
        ("queue", "another", "answered"),
    ]
    assert run.endpoint.is_stand_in
    assert all(set(trial.scores) == {"asks", "has_code"} for trial in run.trials)
    assert [trial.request.messages[-1]["content"] for trial in run.follow_ups] == [FOLLOW_UP]
