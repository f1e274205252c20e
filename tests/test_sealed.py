"""Sealed tasks: a split that does not depend on order, opened for one choice, whatever anybody does to its file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workbench as wb
from tests.router_server import router_server
from workbench.definition.agent import parse_agent
from workbench.errors import PlanError, SealError
from workbench.runs.openings import open_sealed
from workbench.runs.writer import PROPOSERS, Writer, ask_writer
from workbench.statistics.selection import best_of
from workbench.trial.sealed import AskedBefore, Split, draw_parts, split_tasks
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


def test_tasks_of_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="'login-0' is there twice"):
        split(tmp_path, [*TASKS, TASKS[0]])
    assert not (tmp_path / "seal.json").exists()


def test_an_id_that_is_a_key_is_refused_without_it(tmp_path: Path) -> None:
    key = "sk-ant-api03-" + "Ab3" * 20
    with pytest.raises(PlanError, match="the id of number 2 is a key") as refused:
        split(tmp_path, [TASKS[0], replace(TASKS[1], id=f"case-{key}"), *TASKS[2:]])
    assert key not in str(refused.value)
    assert not (tmp_path / "seal.json").exists()

    split(tmp_path)
    said = json.loads((tmp_path / "seal.json").read_text("utf-8"))
    said["sealed"].append(key)
    (tmp_path / "seal.json").write_text(json.dumps(said))
    for tasks in (TASKS, TASKS[:-1]):
        with pytest.raises(SealError) as told:
            split(tmp_path, tasks)
        assert key not in str(told.value)


def test_too_few_tasks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="write more"):
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
        lambda said: said | {"schema": 1},
        lambda said: said | {"schema": True},
        lambda said: said | {"opened": "yes"},
        lambda said: said | {"select": said["select"] + [3]},
        lambda said: {key: value for key, value in said.items() if key != "opened"},
        lambda said: [said],
        lambda said: said | {"opened": {"for": "x", "begun_as": None, "on": "", "asked_before": None}},
        lambda said: said | {"opened": {"for": "x", "begun_as": None, "on": "2026-11-30", "asked_before": [1]}},
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


def edited(folder: Path, **changes: Any) -> Path:
    path = folder / "seal.json"
    said = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(said | {name: change(said) for name, change in changes.items()}), "utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"select": lambda said: said["sealed"]}, "`select` lacks .* and has .* too many"),
        ({"sealed": lambda said: said["select"]}, "`sealed` lacks .* and has .* too many"),
        ({"select": lambda said: [said["select"][0]] * 7}, "`select` lacks .* and has .* too many"),
        ({"sealed": lambda said: [*said["sealed"], said["sealed"][1]]}, "`sealed` has .* too many"),
        ({"select": lambda said: []}, "`select` lacks "),
        ({"sealed": lambda said: said["sealed"][:-1]}, "`sealed` lacks "),
        ({"sealed_sha256": lambda said: "0" * 64}, "`sealed_sha256` is not the hash"),
        ({"seed": lambda said: 1}, "lacks"),
        ({"shares": lambda said: {"select": 0.25, "sealed": 0.25}}, "`select` lacks .* and has .* too many"),
        ({"shares": lambda said: {"select": float("nan"), "sealed": 0.5}}, "two shares above 0"),
        ({"shares": lambda said: {"select": 0.01, "sealed": 0.01, "more": 1.0}}, "`shares` is not what is written"),
        ({"tasks_sha256": lambda said: "0" * 64}, "added or changed"),
    ],
)
def test_parts_that_somebody_drew_by_hand_are_refused(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    """Whichever of it was changed: the parts follow from tasks, shares and seed, and are drawn again."""
    found = split(tmp_path)
    edited(tmp_path, **changes)
    with pytest.raises(SealError, match=why):
        split(tmp_path)
    with pytest.raises(SealError, match="was changed"):
        found.open("a choice")
    with pytest.raises(SealError, match="was changed"):
        found.check_opens(["a choice"])


def test_a_file_of_other_shares_or_another_seed_is_not_taken_for_what_is_asked(tmp_path: Path) -> None:
    first = split(tmp_path, select=0.25, sealed=0.25, seed=3)
    assert split(tmp_path).select == first.select  # whoever names none takes those of the file
    for asked in ({"select": 0.5}, {"sealed": 0.5}, {"seed": 0}):
        with pytest.raises(SealError, match="was split with"):
            split(tmp_path, **asked)


def test_tasks_that_are_alone_in_their_groups_are_sealed_too(tmp_path: Path) -> None:
    tasks = [
        Task(id=f"t{number}", input=f"Question {number}?", group=f"g{number}", target="sec") for number in range(6)
    ]
    found = split(tmp_path, tasks)
    assert (len(found.select), found.sealed_count) == (3, 3)


def test_whether_it_opens_is_known_before_anything_is_chosen(tmp_path: Path) -> None:
    found = split(tmp_path)
    found.check_opens([])  # nobody looked: any choice will do
    assert not found.is_opened
    found.open("description 3", begun_as="a run of five")

    found.check_opens(["description 1", "description 3"])
    found.check_opens(["a run of five"])
    for others in ([], ["description 1", "description 2"]):
        with pytest.raises(SealError, match="for another choice"):
            split(tmp_path).check_opens(others)
    with pytest.raises(SealError, match="for another choice"):
        found.open("a run of five")  # which is no choice


def test_what_was_asked_before_stands_in_the_seal_from_the_first_opening_on(tmp_path: Path) -> None:
    found = split(tmp_path)
    assert found.asked_before is None
    found.open("a choice", asked_before=AskedBefore(tasks=7, others=2))
    found.open("a choice", asked_before=AskedBefore(tasks=7, others=9))  # what the choice itself asked by now
    assert split(tmp_path).asked_before == AskedBefore(tasks=7, others=2)
    assert not AskedBefore(tasks=7, others=2).is_first_opening


def test_of_what_is_sealed_only_counts_are_told(tmp_path: Path) -> None:
    found = split(tmp_path)
    assert (found.sealed_count, found.count_sealed(lambda task: task.target == "sec")) == (7, 5)
    assert not found.is_opened


def test_a_draw_makes_no_file(tmp_path: Path) -> None:
    drawn = draw_parts(TASKS, seal=tmp_path / "seal.json")
    assert list(tmp_path.iterdir()) == []
    assert drawn.select == split(tmp_path).select


def asked_of_a_model(tasks: Sequence[Task], prompt: str, ledger: Path) -> None:
    plan = wb.plan_trials({"one": parse_agent(f"---\nname: one\ndescription: d\n---\n{prompt}\n".encode())}, tasks)
    wb.run_trials(plan, ledger=ledger, progress=False)


def test_an_opening_that_was_undone_is_found_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is removed, or another is named: what was asked stays, whatever the tasks are called by now."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    ledger = tmp_path / "ledger.sqlite"
    with router_server(lambda *_: None) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        sealed = open_sealed(split(tmp_path), "version 2", ledger=ledger)
        assert "Asked before" not in capsys.readouterr().out
        for version in ("Say yes.", "Say no."):
            asked_of_a_model(sealed, version, ledger)
    assert split(tmp_path).asked_before == AskedBefore()
    (tmp_path / "seal.json").unlink()
    renamed = [replace(task, id=f"new-{task.id}") for task in TASKS]

    again = split_tasks(renamed, seal=tmp_path / "other.json", seed=8)
    open_sealed(again, "version 3", ledger=ledger)
    before = again.asked_before
    assert before is not None and before.others == 2 and 0 < before.tasks <= 7
    assert "Asked before: " in capsys.readouterr().out


@pytest.mark.parametrize("proposer", PROPOSERS)
def test_what_a_proposer_was_shown_does_not_open(
    proposer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found in the ledger, whatever stood around the words, and however they were spaced."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    found = split(tmp_path)
    hidden = next(task for task in TASKS if task not in found.select)
    ledger = tmp_path / "ledger.sqlite"
    with router_server(lambda *_: None) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        for shown in (found.select[0].input, f"Before\n{hidden.input.upper().replace(' ', '  ')} and after"):
            ask_writer(Writer(ledger=ledger), to=proposer, instructions="Write.", shown=shown)
    with pytest.raises(SealError, match=f"'{hidden.id}' is sealed, and stands in what a model was shown"):
        open_sealed(found, "version 2", ledger=ledger)
    assert not found.is_opened


def test_what_the_stand_in_said_is_no_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    asked_of_a_model(TASKS, "Say yes.", tmp_path / "ledger.sqlite")
    found = split(tmp_path)
    open_sealed(found, "version 2", ledger=tmp_path / "ledger.sqlite")
    assert found.asked_before == AskedBefore()


def test_a_ledger_that_is_not_there_is_not_made_to_look_back(tmp_path: Path) -> None:
    open_sealed(split(tmp_path), "version 2", ledger=tmp_path / "none.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == ["seal.json"]


def test_the_words_of_a_task_are_found_behind_its_context(tmp_path: Path) -> None:
    found = split(tmp_path)
    [first, *_] = found.open("a choice")
    assert found.asked_in(first.input) == found.asked_in(f"Told before.\n\n{first.input}\n") == first.id
    assert found.asked_in(f"{first.input} And more.") is found.asked_in(found.select[0].input) is None


def test_sealed_words_are_found_in_what_would_be_sent(tmp_path: Path) -> None:
    found = split(tmp_path)
    [first, *_] = found.open("a choice")
    assert found.leaked(f"For example:\n  {first.input.upper().replace(' ', '  ')} and so on") == first.id
    assert found.leaked(" ".join(task.input for task in found.select)) is None


@pytest.mark.parametrize("in_common", ["", "The same beginning of all of them. " * 20])
def test_of_a_long_task_its_beginning_is_found_where_it_was_cut(in_common: str, tmp_path: Path) -> None:
    """And what all of them begin with tells no one from another."""
    tasks = [Task(id=f"t{number}", input=f"{in_common}Case {number}: {f'word{number} ' * 200}") for number in range(6)]
    found = split(tmp_path, tasks)
    hidden = next(task for task in tasks if task not in found.select)
    assert found.leaked(f"Asked: {hidden.input[:1200]}") == hidden.id
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
