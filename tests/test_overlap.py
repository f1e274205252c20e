from __future__ import annotations

import math

import pytest

from workbench.statistics.overlap import rank_pairs


def test_the_same_text_is_as_alike_as_can_be_and_another_script_not_at_all() -> None:
    found = rank_pairs(["Reviews code.", "Reviews code.", "査読"])

    assert [(each.one, each.other, each.cosine) for each in found] == [(0, 1, pytest.approx(1.0))]


def test_a_cosine_is_that_of_the_formula() -> None:
    """Two words of one letter each: no run is shorter than the whole word, so each word is one run."""
    both, one = math.log(3 / 3) + 1, math.log(3 / 2) + 1  # in two texts, in one of two

    [found] = rank_pairs(["a b", "a c"])

    assert found.cosine == pytest.approx(both**2 / (both**2 + one**2))


def test_pairs_come_the_most_alike_first_with_the_rare_words_of_both() -> None:
    texts = ["use for kubernetes upgrades", "use for poems", "use for kubernetes upgrades of nodes", "use for prose"]

    pairs = rank_pairs(texts, most=2)

    assert (pairs[0].one, pairs[0].other) == (0, 2)
    assert pairs[0].shared == ("kubernetes", "upgrades"), "and not the words that all of them have"
    assert pairs[0].cosine > pairs[1].cosine


def test_more_texts_than_are_looked_at_together_give_the_same_pairs() -> None:
    texts = [f"text number {number} about {chr(97 + number % 26) * 6}" for number in range(1_103)]
    texts[7] = texts[1_101] = "an odd one of quartz and basalt"

    best = rank_pairs(texts, most=1)[0]

    assert (best.one, best.other, round(best.cosine, 9)) == (7, 1_101, 1.0)


@pytest.mark.parametrize("texts", [[], ["alone"], ["", ""], ["a b", "c d"]])
def test_nothing_in_common_is_no_pair(texts: list[str]) -> None:
    assert rank_pairs(texts) == ()
