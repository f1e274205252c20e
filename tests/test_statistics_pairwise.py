from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ComparisonError
from workbench.statistics.intervals import wilson
from workbench.statistics.pairwise import Judgement, bradley_terry, compare_pairwise, rank_variants


def near(value: float) -> object:
    return pytest.approx(value, abs=1e-7)


def both_orders(task: str, a: str, b: str, winner: str | None, *, repeat: int = 0) -> list[Judgement]:
    """Judgements of both orders in which `winner` wins; `None`: the one shown first does, both times."""
    return [
        Judgement(
            task_id=task,
            first=first,
            second=second,
            choice="first" if winner in (None, first) else "second",
            repeat=repeat,
        )
        for first, second in ((a, b), (b, a))
    ]


def second_wins(task: str) -> list[Judgement]:
    return [Judgement(task_id=task, first=a, second=b, choice="second") for a, b in (("A", "B"), ("B", "A"))]


REFERENCE = [
    judgement
    for index in range(30)
    for judgement in (
        both_orders(f"task-{index}", "A", "B", "B" if index < 14 else "A" if index < 20 else None)
        if index < 28
        else second_wins(f"task-{index}")
    )
]


def test_pairwise_is_that_of_the_reference() -> None:
    found = compare_pairwise(REFERENCE, variant="B", baseline="A")

    assert (found.won, found.lost, found.tasks, found.pairs, found.unpaired) == (14, 6, 30, 30, 0)
    assert (found.win_rate, found.win_rate_interval) == (0.70, wilson(14, 20))
    assert found.sign_p == near(0.1153183)
    assert (found.mean, found.standard_error) == (near(0.6333333), near(0.0716527))
    assert found.swap_consistency == pytest.approx(2 / 3)
    assert (found.first_position, found.second_position) == (8, 2)
    assert (found.first_position_share, found.first_position_p) == (0.8, near(0.109375))
    assert str(found) == (
        '"B" against "A", judged side by side: wins 63.3 % (a tie is half a win), 95 % [48.7, 78.0], 14 tasks won and '
        "6 lost of 30, sign test p = 0.115; both orders agree on 67 % of 30 pairs, where they do not the reply shown "
        "first wins 80 %."
    )


def test_pairwise_turned_round_mirrors() -> None:
    found = compare_pairwise(REFERENCE, variant="B", baseline="A")
    turned = compare_pairwise(REFERENCE, variant="A", baseline="B")

    assert (turned.won, turned.lost, turned.sign_p) == (found.lost, found.won, found.sign_p)
    assert turned.mean == pytest.approx(1 - found.mean)
    assert turned.first_position_share == found.first_position_share


def test_a_tie_in_both_orders_agrees_and_a_tie_in_one_does_not() -> None:
    ties = [
        Judgement(task_id="one", first="A", second="B", choice="tie"),
        Judgement(task_id="one", first="B", second="A", choice="tie"),
        Judgement(task_id="two", first="A", second="B", choice="tie"),
        Judgement(task_id="two", first="B", second="A", choice="first"),
    ]
    found = compare_pairwise(ties, variant="B", baseline="A")

    assert (found.mean, found.swap_consistency) == (0.5, 0.5)
    assert (found.won, found.lost, found.sign_p) == (0, 0, 1.0)
    assert math.isnan(found.win_rate)
    assert math.isnan(found.first_position_share)
    assert found.interval is not None and found.interval.low < 0.5 < found.interval.high


def test_repeats_of_a_task_count_as_one_task() -> None:
    judgements = [*both_orders("one", "A", "B", "B"), *both_orders("one", "A", "B", None, repeat=1)]
    found = compare_pairwise(judgements, variant="B", baseline="A")

    assert (found.tasks, found.pairs, found.mean, found.won) == (1, 2, 0.75, 1)
    assert found.interval is None


def test_a_judgement_in_one_order_only_does_not_count() -> None:
    alone = Judgement(task_id="alone", first="A", second="B", choice="first")
    found = compare_pairwise([*REFERENCE, alone], variant="B", baseline="A")

    assert (found.pairs, found.unpaired) == (30, 1)
    for call in (lambda: compare_pairwise([alone], variant="B", baseline="A"), lambda: rank_variants([alone])):
        with pytest.raises(ComparisonError, match="both orders"):
            call()


def test_a_judgement_that_occurs_twice_or_is_of_one_variant_is_refused() -> None:
    with pytest.raises(ComparisonError, match="two judgements of task 'task-0', repeat 0, 'A' before 'B'"):
        compare_pairwise([*REFERENCE, REFERENCE[0]], variant="B", baseline="A")
    with pytest.raises(ComparisonError, match="against itself"):
        rank_variants([Judgement(task_id="one", first="A", second="A", choice="tie")])


def test_strengths_of_two_are_the_odds_of_winning() -> None:
    strengths = bradley_terry(np.array([[0.0, 30.0], [10.0, 0.0]]))

    assert strengths[0] - strengths[1] == near(math.log(3))
    assert strengths.sum() == near(0)


def test_strengths_are_those_that_made_the_wins() -> None:
    true = np.array([1.0, 0.25, -0.25, -1.0])
    chances = 1 / (1 + np.exp(true[None, :] - true[:, None]))
    np.fill_diagonal(chances, 0)

    assert bradley_terry(100 * chances) == pytest.approx(true, abs=1e-6)


def test_wins_without_a_finite_answer_are_refused() -> None:
    with pytest.raises(ComparisonError, match="won or lost every comparison"):
        bradley_terry(np.array([[0.0, 5.0], [0.0, 0.0]]))


def tournament(chances: dict[tuple[str, str], float], tasks: int) -> list[Judgement]:
    generator = random.Random(20261123)
    return [
        judgement
        for task in range(tasks)
        for (a, b), chance in chances.items()
        for judgement in both_orders(f"task-{task}", a, b, a if generator.random() < chance else b)
    ]


def test_ranking_puts_the_strongest_first_with_an_interval_around_it() -> None:
    found = rank_variants(tournament({("c", "a"): 0.9, ("c", "b"): 0.8, ("a", "b"): 0.3}, 60))

    assert [rank.variant for rank in found.ranks] == ["c", "b", "a"]
    assert (found.tasks, found.pairs) == (60, 180)
    assert sum(rank.strength for rank in found.ranks) == near(0)
    assert sum(rank.first for rank in found.ranks) == pytest.approx(1)
    for rank in found.ranks:
        assert rank.interval.low < rank.strength < rank.interval.high
        assert rank.beats_average_interval.low < rank.beats_average < rank.beats_average_interval.high
    assert found.ranks[0].interval.low > found.ranks[-1].interval.high


def test_ranking_does_not_depend_on_the_order_of_the_judgements() -> None:
    judgements = tournament({("a", "b"): 0.6, ("b", "c"): 0.6}, 12)
    shuffled = random.Random(1).sample(judgements, len(judgements))
    found, again = rank_variants(judgements), rank_variants(shuffled)

    for one, other in zip(found.ranks, again.ranks, strict=True):
        assert (one.variant, one.strength) == (other.variant, pytest.approx(other.strength))


def test_one_who_always_won_has_a_finite_rank() -> None:
    found = rank_variants(both_orders("one", "A", "B", "B"))

    assert [rank.variant for rank in found.ranks] == ["B", "A"]
    assert found.ranks[0].strength == near(math.log(3) / 2)


def test_variants_that_nothing_joins_are_refused() -> None:
    judgements = [*both_orders("one", "a", "b", "a"), *both_orders("one", "c", "d", "c")]

    with pytest.raises(ComparisonError, match="'c', 'd' were never compared with 'a'"):
        rank_variants(judgements)


def test_ranking_shows_itself_without_markup_from_names() -> None:
    found = rank_variants(both_orders("one", "<b>x</b>|$y$\x1b[2J", "B", "B"))

    assert "Beats an average one" in repr(found)
    assert "\x1b" not in repr(found)
    assert "<b>" not in found._repr_html_()
    assert "<b>" not in found._repr_markdown_().replace("\\<b\\>", "")
    assert len({line.count(" | ") for line in found._repr_markdown_().split("\n") if line.startswith("| ")}) == 1


@given(st.dictionaries(st.sampled_from(list(itertools.combinations("abcd", 2))), st.integers(0, 5), min_size=1))
def test_equal_wins_on_both_sides_make_equal_strengths(counts: dict[tuple[str, str], int]) -> None:
    wins = np.zeros((4, 4))
    for (a, b), count in counts.items():
        wins["abcd".index(a), "abcd".index(b)] = wins["abcd".index(b), "abcd".index(a)] = count + 1
    wins += 0.5 * (1 - np.eye(4))

    assert bradley_terry(wins) == pytest.approx(np.zeros(4), abs=1e-6)
