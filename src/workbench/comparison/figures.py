"""What stands in sentences and tables: points, percent, p values, names, and the kinds of verdicts, which any list may
sort by: nothing heavy is loaded."""

from __future__ import annotations

from typing import Literal

from workbench.markup import visible

_SMALLEST_P = 0.001
"""A p below it is told as below it."""

Kind = Literal["better", "worse", "promising, not established", "no difference shown", "no verdict", "not graded"]
MAY_BE_WORSE = "may be worse, not established"
"""What is shown of a promising verdict whose effect is below 0."""

IDENTICAL_SCORES = "identical scores"
IDENTICAL_REPLIES = "identical replies"
"""What is shown of no difference where there is none at all in what was seen."""

IN_FULL = "In full: "
"""How a line begins that tells a verdict in full, behind the sentence that is met first."""
HOW_IT_IS_DECIDED = 'How it is decided: the page "How a verdict is reached" of the documentation.'
"""What stands beside a verdict where the rules themselves do not."""

_WORST_FIRST = (
    *("worse", MAY_BE_WORSE, "no verdict"),
    *("promising, not established", "no difference shown", IDENTICAL_SCORES, IDENTICAL_REPLIES, "better", "not graded"),
)


def points(value: float, *, sign: bool = True) -> str:
    """A value of 0..1 in points of 100: "+16.7"."""
    rounded = round(100 * value, 1)
    if rounded == 0:
        return "0.0"
    return f"{rounded:+.1f}" if sign else f"{rounded:.1f}"


def percent(share: float) -> str:
    """A share of 1 in percent: "95 %"."""
    return f"{100 * share:g} %"


def p_in_words(value: float) -> str:
    """ "< 0.001", "= 0.025"."""
    return f"< {_SMALLEST_P}" if value < _SMALLEST_P else f"= {value:.2g}" if value < 0.1 else f"= {value:.3g}"


def p_in_cell(value: float) -> str:
    """ "< 0.001", "0.025": a p is never told as 0."""
    return f"{value:.3f}" if value >= _SMALLEST_P else f"< {_SMALLEST_P}"


def named(name: str) -> str:
    """The name of a variant or a promise in a sentence, in quotation marks."""
    return f'"{visible(name)}"'


def worst_first(shown_kind: str) -> int:
    """A number to sort kinds by, as they are shown: the worse first; what is no kind comes last."""
    return _WORST_FIRST.index(shown_kind) if shown_kind in _WORST_FIRST else len(_WORST_FIRST)
