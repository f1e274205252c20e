"""A person's choice between two replies: blind, in any order, kept whole, and what the numbers make of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import workbench as wb
from workbench.errors import ComparisonError, LabelError, PlanError
from workbench.judging.choosing import Choosing
from workbench.judging.labels import label_now, save_label
from workbench.trial.trial import Run

from .test_labels import run_of


def choose_new(choosing: Choosing, count: int) -> None:
    """Takes the reply of "new" of so many pairs, wherever it stands; the replies of `run_of` say whose they are."""
    for _ in range(count):
        choosing.give("better", "first" if choosing.item.reply.startswith("new") else "second")
        choosing.go_on()


def test_who_is_always_chosen_wins_whichever_side_it_stands_on(tmp_path: Path) -> None:
    choosing = Choosing(run_of(20), path=tmp_path / "choices.jsonl", labeller="ann")
    choose_new(choosing, 20)
    found = choosing.result()

    assert (found.mean, found.won, found.lost, found.tasks, found.choices) == (1, 20, 0, 20, 20)
    assert found.sign_p == pytest.approx(2 * 0.5**20)
    assert found.interval is not None and 0.8 < found.interval.low < found.interval.high == 1
    assert found.first_chosen + found.second_chosen == 20 and 4 <= found.first_chosen <= 16
    assert str(found).startswith(
        '"new" was chosen over "base" in 100.0 % of 20 blind choices (a tie is half), 95 % CI ['
    )


def test_who_always_takes_the_first_finds_nothing(tmp_path: Path) -> None:
    choosing = Choosing(run_of(200), path=tmp_path / "choices.jsonl", labeller="ann")
    for _ in range(200):
        choosing.give("better", "first")
        choosing.go_on()
    found = choosing.result()

    assert found.first_chosen == 200 and found.sign_p > 0.05


def test_ties_and_equal_replies_count_half_and_equal_ones_are_not_asked(tmp_path: Path) -> None:
    run = run_of(4)
    same = run.trials[0].reply
    run = replace(run, trials=(run.trials[0], run.trials[1].replace(reply=same), *run.trials[2:]))
    choosing = Choosing(run, path=tmp_path / "choices.jsonl", labeller="ann")
    for _ in range(3):
        choosing.give("better", "tie")
        choosing.go_on()

    assert len(choosing.items) == 3
    assert (choosing.result().mean, choosing.result().choices) == (0.5, 4)


def test_neither_the_order_of_the_variants_nor_their_names_move_a_side(tmp_path: Path) -> None:
    run = run_of(30)
    turned = replace(
        run, variants=dict(reversed([*run.variants.items()])), trials=tuple(reversed(run.trials)), tasks=run.tasks
    )
    one = Choosing(run, path=tmp_path / "a.jsonl", labeller="ann")
    other = Choosing(turned, path=tmp_path / "b.jsonl", labeller="ann")

    assert [item.id for item in one.items] == [item.id for item in other.items]
    assert {item.reply.split()[0] for item in one.items} == {"base", "new"}


def test_a_sitting_with_another_seed_reads_the_choices_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "choices.jsonl"
    first = Choosing(run_of(20), path=path, labeller="ann", seed=1)
    choose_new(first, 12)
    second = Choosing(run_of(20), path=path, labeller="ann", seed=2)

    assert [item.id for item in first.items] != [item.id for item in second.items]
    assert second.done == 12
    choose_new(second, 8)
    assert second.result().mean == 1
    assert Choosing(run_of(20), path=path, labeller="ann", seed=1).result().mean == 1


def test_the_file_names_no_variant(tmp_path: Path) -> None:
    path = tmp_path / "choices.jsonl"
    choose_new(Choosing(run_of(5), path=path, labeller="ann"), 5)

    assert "new" not in path.read_text() and "base" not in path.read_text()
    assert {json.loads(line)["level"] for line in path.read_text().splitlines()} <= {"first", "second"}


def test_two_people_choose_in_one_file_and_a_choice_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "choices.jsonl"
    choose_new(Choosing(run_of(5), path=path, labeller="ann"), 5)
    bob = Choosing(run_of(5), path=path, labeller="bob")

    assert bob.done == 0
    choose_new(bob, 1)
    assert bob.undo() and bob.done == 0
    with pytest.raises(ComparisonError, match="nothing was chosen"):
        bob.result()


def test_what_cannot_be_chosen_between_is_said(tmp_path: Path) -> None:
    path = tmp_path / "choices.jsonl"
    run = run_of(2)
    three = replace(run, variants={**run.variants, "third": run.variants["base"]})
    with pytest.raises(PlanError, match="name two of them with variants="):
        Choosing(three, path=path, labeller="ann")
    assert len(Choosing(three, path=path, labeller="ann", variants=("base", "new")).items) == 2
    with pytest.raises(PlanError, match="name two"):
        Choosing(run, path=path, labeller="ann", variants=("base", "none"))
    only = replace(run, trials=tuple(trial for trial in run.trials if trial.variant == "base"))
    with pytest.raises(PlanError, match="nothing to choose between"):
        Choosing(only, path=path, labeller="ann")
    save_label(label_now("x", "depth", "much", labeller="ann"), path)
    with pytest.raises(LabelError, match="'depth' is none of the rubric"):
        Choosing(run, path=path, labeller="ann")


def test_the_panel_says_how_far_it_is_and_nothing_of_who_wins(tmp_path: Path) -> None:
    run: Run = run_of(3)
    panel = wb.ChoicePanel(run, path=tmp_path / "choices.jsonl", labeller="ann")
    choose_new(panel, 2)

    assert repr(panel) == "2 of 3 pairs chosen between by ann, in choices.jsonl"
