"""Sealed tasks: a split that does not depend on order, opened for one choice, whatever anybody does to its file."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workbench.errors import PlanError, SealError
from workbench.statistics.selection import best_of
from workbench.trial.sealed import Split, split_tasks
from workbench.trial.task import Task

TASKS = [
    Task(id=f"{kind}-{number}", input=f"The {kind} question number {number}.", group=kind, target=target)
    for kind, target, count in (("login", "sec", 9), ("speed", "perf", 4), ("chat", "none", 1))
    for number in range(count)
]


def split(folder: Path, tasks: list[Task] = TASKS, **shares: float) -> Split:
    return split_tasks(tasks, seal=folder / "seal.json", **shares)


def ids(tasks: tuple[Task, ...]) -> list[str]:
    return [task.id for task in tasks]


def test_each_kind_is_in_both_parts_and_each_task_in_one(tmp_path: Path) -> None:
    found = split(tmp_path)
    sealed = found.open("a choice")

    assert sorted(ids(found.select) + ids(sealed)) == sorted(task.id for task in TASKS)
    counts = {kind: sum(id.startswith(kind) for id in ids(sealed)) for kind in ("login", "speed", "chat")}
    assert counts == {"login": 5, "speed": 2, "chat": 0}  # of one, which is to choose by


def test_parts_do_not_depend_on_the_order_of_the_tasks(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, other = split(tmp_path), split(tmp_path / "other", TASKS[::-1])
    assert sorted(ids(one.select)) == sorted(ids(other.select))


def test_smaller_shares_leave_some_in_neither_part(tmp_path: Path) -> None:
    found = split(tmp_path, select=0.25, sealed=0.25)
    assert (len(found.select), len(found.open("a choice"))) == (5, 3)


@pytest.mark.parametrize("shares", [(0.0, 0.5), (0.5, 0.6), (1.0, 0.1), (-0.5, 0.5), (float("nan"), 0.5)])
def test_shares_that_are_none_are_refused(shares: tuple[float, float], tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="shares above 0"):
        split(tmp_path, select=shares[0], sealed=shares[1])
    assert not (tmp_path / "seal.json").exists()


def test_too_few_tasks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="write more tasks"):
        split(tmp_path, TASKS[:3])
    assert not (tmp_path / "seal.json").exists()


def test_the_file_holds_no_words_of_what_is_sealed(tmp_path: Path) -> None:
    found = split(tmp_path)
    said = (tmp_path / "seal.json").read_text("utf-8")
    assert "question" not in said + repr(found)
    assert not found.is_opened


def test_it_opens_for_one_choice_alone(tmp_path: Path) -> None:
    found = split(tmp_path)
    first = found.open("description 3")
    again = split(tmp_path)  # as a run that broke off, and is begun again

    assert again.is_opened and again.select == found.select
    assert again.open("description 3") == first
    with pytest.raises(SealError, match="for another choice"):
        again.open("description 4")
    with pytest.raises(SealError, match="for another choice"):
        found.open("description 4")


def test_of_two_who_open_at_once_for_different_choices_one_gets_nothing(tmp_path: Path) -> None:
    split(tmp_path)
    script = """
import sys
from pathlib import Path
from tests.test_sealed import SealError, split
try:
    print(len(split(Path(sys.argv[1])).open(sys.argv[2])))
except SealError:
    print("refused")
"""
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), choice], stdout=subprocess.PIPE, text=True)
        for choice in ("one", "another")
    ]
    assert sorted(each.communicate()[0].strip() for each in running) == ["7", "refused"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda tasks: tasks[1:], "login-0 are gone"),
        (lambda tasks: [*tasks, Task(id="new", input="More?")], "added or changed"),
        (lambda tasks: [replace(tasks[0], input="Another question."), *tasks[1:]], "added or changed"),
        (lambda tasks: [replace(tasks[0], target="none"), *tasks[1:]], "added or changed"),
    ],
    ids=["gone", "added", "changed", "answer changed"],
)
def test_a_seal_is_of_its_tasks(change: object, why: str, tmp_path: Path) -> None:
    split(tmp_path)
    with pytest.raises(SealError, match=why):
        split(tmp_path, change(TASKS))  # type: ignore[operator]


@pytest.mark.parametrize(
    "damage",
    [
        lambda said: said | {"schema": 2},
        lambda said: said | {"opened": "yes"},
        lambda said: said | {"select": said["select"] + [3]},
        lambda said: {key: value for key, value in said.items() if key != "opened"},
        lambda said: [said],
    ],
)
def test_a_file_that_is_no_seal_is_refused(damage: object, tmp_path: Path) -> None:
    split(tmp_path)
    path = tmp_path / "seal.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text("utf-8")))), "utf-8")  # type: ignore[operator]
    with pytest.raises(SealError, match=r"seal\.json"):
        split(tmp_path)


def test_a_seal_that_was_changed_under_a_split_does_not_open(tmp_path: Path) -> None:
    found = split(tmp_path)
    path = tmp_path / "seal.json"
    said = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(said | {"sealed": said["select"], "select": said["sealed"]}), "utf-8")
    with pytest.raises(SealError, match="was changed"):
        found.open("a choice")
    path.unlink()
    with pytest.raises(SealError, match="gone"):
        found.open("a choice")


def test_sealed_words_are_found_in_what_would_be_sent(tmp_path: Path) -> None:
    found = split(tmp_path)
    [first, *_] = found.open("a choice")
    assert found.leaked(f"For example:\n  {first.input.upper().replace(' ', '  ')} and so on") == first.id
    assert found.leaked(" ".join(task.input for task in found.select)) is None


def test_what_ties_with_the_baseline_is_no_better() -> None:
    thirds = [1 / 3, 2 / 3, 1.0]
    assert best_of({"as it is": thirds, "1": thirds[::-1], "2": [0.0, 0.1, 0.2]}, baseline="as it is") == "as it is"
    assert best_of({"as it is": [0.5, 0.5], "1": [0.5, 0.6], "2": [0.6, 0.5]}, baseline="as it is") == "1"
    assert best_of({"as it is": [0.5, float("nan")], "1": [0.4, 1.0]}, baseline="as it is") == "as it is"


def test_the_sealed_number_is_unbiased_where_the_best_of_five_is_15_points_too_high() -> None:
    """Five candidates that are worth no more than what is there: 15 cases to choose by, 15 sealed."""
    generator = np.random.default_rng(20261130)
    chosen, sealed = [], []
    for _ in range(4_000):
        tried = generator.random((6, 30)) < 0.5
        scores = {str(number): row[:15] for number, row in enumerate(tried)}
        best = int(best_of(scores, baseline="0"))
        chosen.append(tried[best, :15].mean() - 0.5)
        sealed.append(tried[best, 15:].mean() - 0.5)
    assert 0.13 < np.mean(chosen) < 0.18
    assert abs(np.mean(sealed)) < 3 * 0.129 / np.sqrt(4_000)
