"""What a set of cases can show of a change, before anything is spent.

Exact for cases that move one way only: m of n that move give a sign-flip p of 2/2^m, so that fewer than some m show
nothing however sure each is. Cases that move the other way, and descriptions that are compared beside it, ask for more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import comb

from workbench.markup import Table
from workbench.routing.cases import FEWEST_OF_AN_AGENT, accepted_of
from workbench.statistics.power import POWER
from workbench.statistics.routing import NONE
from workbench.trial.task import Task


def least_change(cases: int) -> float | None:
    """The smallest share of cases moving one way of which, with 80 % power, enough move to be shown; to a hundredth.
    `None`: there are too few cases, even if all of them move."""
    if cases < FEWEST_OF_AN_AGENT:
        return None
    shares = (percent / 100 for percent in range(1, 101))
    return next(share for share in shares if _at_least(FEWEST_OF_AN_AGENT, cases, share) >= POWER)


def power_table(cases: Sequence[Task]) -> Table:
    """What can be shown of each agent, and last of nobody's cases."""
    counts = Counter(accepted_of(case)[0] for case in cases)
    ranked = sorted(counts.items(), key=lambda each: (each[0] == NONE, each[0].lower()))
    return Table(
        title=f"What a changed description could be shown to change, with {POWER:.0%} power",
        headings=("cases of", "cases", "a change of its share by"),
        rows=tuple((of, str(count), _in_words(least_change(count))) for of, count in ranked),
        note="Where cases move one way only, and each description alone; several beside each other ask for more.",
    )


def _in_words(share: float | None) -> str:
    return f"none: it takes {FEWEST_OF_AN_AGENT} cases" if share is None else f"{100 * share:.0f} points or more"


def _at_least(fewest: int, of: int, share: float) -> float:
    """The chance that at least `fewest` of `of` cases move, each with this chance."""
    return sum(comb(of, moved) * share**moved * (1 - share) ** (of - moved) for moved in range(fewest, of + 1))
