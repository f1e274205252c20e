"""Judgements of two replies side by side: who won, whether the order of showing decided, and a ranking.

Each pair is judged in both orders. A win in both orders counts 1, a loss in both 0, and anything else, an answer that
changes with the order among it, 1/2.

Sources: L. Zheng et al. (arXiv 2306.05685) and L. Shi et al., "Judging the Judges" (arXiv 2406.07791), for both
orders; R. A. Bradley and M. E. Terry 1952 (Biometrika 39); D. R. Hunter 2004 (Annals of Statistics 32) for the
iteration; J. B. S. Haldane 1956 (Annals of Human Genetics 20) for the half win.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ComparisonError
from workbench.markup import Table, counted, html_table, markdown_table, notebook_html, plain_table, visible
from workbench.statistics.intervals import LEVEL, SEED, Floats, Interval, t_interval, wilson
from workbench.statistics.means import standard_error
from workbench.statistics.permutation import mcnemar

DRAWS = 2_000
"""Resamples of the tasks for the intervals of a ranking."""
HALF_WIN = 0.5
"""Added to either side of each pair of variants that were compared, so that one who always won has a finite rank."""

_MOST_STEPS = 100_000
_NEAR = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What a judge said of the replies of two variants to one task, shown in this order."""

    task_id: str
    first: str
    """The variant that was shown first."""
    second: str
    choice: Literal["first", "second", "tie"]
    repeat: int = 0
    is_asked: bool = True
    """Whether anybody was asked. Two replies that are equal are a tie that says nothing of a judge."""


@dataclass(frozen=True, kw_only=True)
class Pairwise:
    """How one variant did against another, over the tasks on which both orders were judged."""

    variant: str
    baseline: str
    tasks: int
    pairs: int
    """Judged in both orders; one a task without repeats."""
    unpaired: int
    """Judgements without their other order; they do not count."""
    mean: float
    """Mean over tasks of 1 (won), 0 (lost), 1/2 (tie); 1/2 is no difference."""
    standard_error: float
    interval: Interval | None
    """t over tasks; by Wilson on a whole number of tasks where all are equal. `None` for one task."""
    won: int
    """Tasks above 1/2."""
    lost: int
    win_rate: float
    """Of the tasks that were won or lost; NaN without one."""
    win_rate_interval: Interval | None
    sign_p: float
    """Exact, two-sided, on the tasks won and lost."""
    swap_consistency: float
    """Share of the pairs that a judge was asked on which both orders agree; NaN where there is none."""
    not_asked: int
    """Pairs of equal replies, which are ties without a judge."""
    first_position: int
    """Of the other pairs, those on which the reply shown first won both times."""
    second_position: int
    first_position_share: float
    """Of these two; NaN where there is none. Far from 1/2: the judge looks at the order."""
    first_position_p: float

    def __str__(self) -> str:
        """What was found, as a sentence."""
        reach = ""
        if self.interval is not None:
            reach = f", {100 * LEVEL:g} % [{100 * self.interval.low:.1f}, {100 * self.interval.high:.1f}]"
        order = ""
        if self.first_position + self.second_position:
            order = f", where they do not the reply shown first wins {100 * self.first_position_share:.0f} %"
        asked = self.pairs - self.not_asked
        agreed = f"both orders agree on {100 * self.swap_consistency:.0f} % of {counted(asked, 'pair')}{order}"
        equal = f"{counted(self.not_asked, 'pair')} of equal replies, of which nobody was asked"
        orders = "; ".join([agreed] * (asked > 0) + [equal] * (self.not_asked > 0))
        left_out = f"; {self.unpaired} judgements in one order only are left out" if self.unpaired else ""
        return (
            f'"{visible(self.variant)}" against "{visible(self.baseline)}", judged side by side: wins '
            f"{100 * self.mean:.1f} % (a tie is half a win){reach}, {self.won} tasks won and {self.lost} lost of "
            f"{self.tasks}, sign test p = {self.sign_p:.3g}; {orders}{left_out}."
        )


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How often people chose one variant's reply over another's, each pair shown once, on sides drawn by lot."""

    variant: str
    baseline: str
    tasks: int
    choices: int
    """One for each pair of replies, ties among them."""
    mean: float
    """Mean over tasks of 1 (chosen), 0 (the other was), 1/2 (tie); 1/2 is no difference."""
    interval: Interval | None
    """t over tasks; by Wilson on a whole number of tasks where all are equal. `None` for one task."""
    won: int
    """Tasks above 1/2."""
    lost: int
    sign_p: float
    """Exact, two-sided, on the tasks won and lost."""
    first_chosen: int
    """Choices of the reply that stood first, whoever gave it."""
    second_chosen: int

    def __str__(self) -> str:
        """What was found, as a sentence."""
        reach = ""
        if self.interval is not None:
            reach = f", {100 * LEVEL:g} % CI [{100 * self.interval.low:.1f}, {100 * self.interval.high:.1f}]"
        return (
            f'"{visible(self.variant)}" was chosen over "{visible(self.baseline)}" in {100 * self.mean:.1f} % of'
            f" {counted(self.choices, 'blind choice')} (a tie is half){reach}: {counted(self.tasks, 'task')},"
            f" {self.won} won and {self.lost} lost, sign test p = {self.sign_p:.3g}; the reply on the first side was"
            f" chosen {self.first_chosen} times, the one on the second {self.second_chosen} times."
        )


@dataclass(frozen=True, kw_only=True)
class Rank:
    """One variant in a ranking."""

    variant: str
    strength: float
    """Natural logarithm of the odds; the mean over all variants is 0."""
    interval: Interval
    """Percentile bootstrap over tasks."""
    beats_average: float
    """The chance to win against a variant of strength 0."""
    beats_average_interval: Interval
    first: float
    """Share of the resamples in which it was the strongest."""
    wins: float
    """Pairs won, ties counting half."""
    pairs: int


@dataclass(frozen=True, kw_only=True, repr=False)
class Ranking:
    """Variants by strength, the strongest first. Shows itself as text, Markdown or HTML."""

    ranks: tuple[Rank, ...]
    tasks: int
    pairs: int
    unpaired: int

    def table(self) -> Table:
        """The ranking, a row a variant."""
        rows = tuple(
            (
                rank.variant,
                f"{rank.strength:+.2f} [{rank.interval.low:+.2f}, {rank.interval.high:+.2f}]",
                f"{100 * rank.beats_average:.0f} % [{100 * rank.beats_average_interval.low:.0f},"
                f" {100 * rank.beats_average_interval.high:.0f}]",
                f"{100 * rank.first:.0f} %",
                f"{rank.wins:g} of {rank.pairs}",
            )
            for rank in self.ranks
        )
        left_out = f" {self.unpaired} judgements in one order only are left out." if self.unpaired else ""
        level = f"{100 * LEVEL:g} %"
        size = f"{counted(self.pairs, 'pair')} judged in both orders, {counted(self.tasks, 'task')}"
        return Table(
            title=f"Ranking (Bradley-Terry, {size})",
            headings=("Variant", f"Strength [{level}]", f"Beats an average one [{level}]", "First", "Won, ties half"),
            rows=rows,
            note=(
                "Intervals by bootstrap over tasks, not corrected for the number of variants; overlapping intervals are"
                f" no test.{left_out}"
            ),
        )

    def __repr__(self) -> str:
        return plain_table(self.table())

    def _repr_markdown_(self) -> str:
        return markdown_table(self.table())

    def _repr_html_(self) -> str:
        return notebook_html(html_table(self.table()))


def compare_pairwise(judgements: Iterable[Judgement], *, variant: str, baseline: str) -> Pairwise:
    """How `variant` did against `baseline`.

    Raises:
        ComparisonError: no pair of the two was judged in both orders, or a judgement occurs twice.
    """
    wanted = [found for found in judgements if {found.first, found.second} == {variant, baseline}]
    pairs, unpaired = _pairs(wanted)
    if not pairs:
        raise ComparisonError(
            f"no task has judgements of {variant!r} and {baseline!r} in both orders; found {len(wanted)} in one order"
        )
    by_task: dict[str, list[float]] = {}
    for one, other in pairs:
        by_task.setdefault(one.task_id, []).append(_outcome(one, other, variant))
    scores = np.array([sum(found) / len(found) for found in by_task.values()])
    won, lost = int((scores > 0.5).sum()), int((scores < 0.5).sum())
    first = sum(one.choice == other.choice == "first" for one, other in pairs)
    second = sum(one.choice == other.choice == "second" for one, other in pairs)
    return Pairwise(
        variant=variant,
        baseline=baseline,
        tasks=len(scores),
        pairs=len(pairs),
        unpaired=unpaired,
        mean=float(scores.mean()),
        standard_error=standard_error(scores),
        interval=_interval(scores),
        won=won,
        lost=lost,
        win_rate=won / (won + lost) if won + lost else math.nan,
        win_rate_interval=wilson(won, won + lost) if won + lost else None,
        sign_p=mcnemar(lost, won).p,
        swap_consistency=swap_consistency(wanted),
        not_asked=sum(not (one.is_asked and other.is_asked) for one, other in pairs),
        first_position=first,
        second_position=second,
        first_position_share=first / (first + second) if first + second else math.nan,
        first_position_p=mcnemar(second, first).p,
    )


def swap_consistency(judgements: Iterable[Judgement]) -> float:
    """Share of the pairs judged in both orders on which both say the same; NaN where there is none. Equal replies, of
    which nobody was asked, are no such pair.

    Raises:
        ComparisonError: a judgement occurs twice, or a variant was judged against itself.
    """
    pairs, _ = _pairs(one for one in judgements if one.is_asked)
    return sum(_winner(one) == _winner(other) for one, other in pairs) / len(pairs) if pairs else math.nan


def compare_choices(judgements: Iterable[Judgement], *, variant: str, baseline: str) -> Choices:
    """How often `variant` was chosen over `baseline` where each pair was shown once, on sides drawn by lot.

    A person remembers what was shown before, so that asking for both orders, as of a model, would ask nothing new.

    Raises:
        ComparisonError: there is no choice between the two.
    """
    wanted = [found for found in judgements if {found.first, found.second} == {variant, baseline}]
    if not wanted:
        raise ComparisonError(f"nothing was chosen between {variant!r} and {baseline!r} yet")
    by_task: dict[str, list[float]] = {}
    for one in wanted:
        winner = _winner(one)
        by_task.setdefault(one.task_id, []).append(0.5 if winner is None else float(winner == variant))
    scores = np.array([sum(found) / len(found) for found in by_task.values()])
    won, lost = int((scores > 0.5).sum()), int((scores < 0.5).sum())
    return Choices(
        variant=variant,
        baseline=baseline,
        tasks=len(scores),
        choices=len(wanted),
        mean=float(scores.mean()),
        interval=_interval(scores),
        won=won,
        lost=lost,
        sign_p=mcnemar(lost, won).p,
        first_chosen=sum(one.choice == "first" for one in wanted),
        second_chosen=sum(one.choice == "second" for one in wanted),
    )


def rank_variants(judgements: Iterable[Judgement], *, draws: int = DRAWS, seed: int = SEED) -> Ranking:
    """The variants by Bradley-Terry strength, with intervals from resampling the tasks.

    Unlike ratings that are updated judgement by judgement, it does not depend on the order of the judgements. Half a
    win is added to either side of each pair of variants that were compared.

    Raises:
        ComparisonError: no pair was judged in both orders, a judgement occurs twice, or there are variants that no
            chain of comparisons joins.
    """
    pairs, unpaired = _pairs(judgements)
    if not pairs:
        raise ComparisonError("there is no pair of replies that was judged in both orders, so nothing to rank")
    variants = sorted({name for one, _ in pairs for name in (one.first, one.second)})
    tasks = list(dict.fromkeys(one.task_id for one, _ in pairs))
    number_of = {name: index for index, name in enumerate(variants)}
    row = {task: index for index, task in enumerate(tasks)}
    wins = np.zeros((len(tasks), len(variants), len(variants)))
    for one, other in pairs:
        outcome = _outcome(one, other, one.first)
        a, b = number_of[one.first], number_of[one.second]
        wins[row[one.task_id], a, b] += outcome
        wins[row[one.task_id], b, a] += 1 - outcome
    total = wins.sum(axis=0)
    compared = (total + total.T) > 0
    _check_joined(variants, compared)
    extra = HALF_WIN * compared
    strengths = bradley_terry(total + extra)
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(len(tasks), np.full(len(tasks), 1 / len(tasks)), size=draws)
    resampled = np.tensordot(drawn.astype(np.float64), wins, axes=1) + extra
    spread = bradley_terry(resampled)
    ends = np.percentile(spread, [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2], axis=0)
    firsts = np.bincount(spread.argmax(axis=1), minlength=len(variants)) / draws
    ranks = [
        Rank(
            variant=name,
            strength=float(strengths[index]),
            interval=Interval(low=float(ends[0, index]), high=float(ends[1, index])),
            beats_average=_chance(strengths[index]),
            beats_average_interval=Interval(low=_chance(ends[0, index]), high=_chance(ends[1, index])),
            first=float(firsts[index]),
            wins=float(total[index].sum()),
            pairs=round(float(total[index].sum() + total[:, index].sum())),
        )
        for index, name in enumerate(variants)
    ]
    ranks.sort(key=lambda rank: (-rank.strength, rank.variant))
    return Ranking(ranks=tuple(ranks), tasks=len(tasks), pairs=len(pairs), unpaired=unpaired)


def bradley_terry(wins: Floats) -> Floats:
    """Strengths (natural logarithms, mean 0) from how often each row won against each column; of a stack, of each.

    The chance that i beats j is 1 / (1 + exp(s_j - s_i)). Maximum likelihood by Hunter's iteration.

    Raises:
        ComparisonError: there is no finite answer, for a variant or several won or lost all against the others.
    """
    stack = wins.reshape(-1, *wins.shape[-2:])
    met = stack + np.swapaxes(stack, -1, -2)
    won = stack.sum(axis=-1)
    odds = np.ones_like(won)
    moving = np.arange(len(stack))
    for _ in range(_MOST_STEPS):
        sums = odds[moving][:, :, None] + odds[moving][:, None, :]
        fresh = won[moving] / (met[moving] / sums).sum(axis=-1)
        if not (fresh > 0).all():
            break
        fresh /= np.exp(np.log(fresh).mean(axis=-1, keepdims=True))
        moved = np.abs(np.log(fresh / odds[moving])).max(axis=-1)
        odds[moving] = fresh
        moving = moving[moved > _NEAR]
        if not len(moving):
            strengths: Floats = np.log(odds).reshape(wins.shape[:-1])
            return strengths
    raise ComparisonError("there is no ranking: a variant won or lost every comparison, or some were never compared")


def _pairs(judgements: Iterable[Judgement]) -> tuple[list[tuple[Judgement, Judgement]], int]:
    """The judgements of both orders beside each other, and how many lack the other order."""
    found: dict[tuple[str, int, str, str], Judgement] = {}
    for one in judgements:
        if one.first == one.second:
            raise ComparisonError(f"task {one.task_id!r}: {one.first!r} was judged against itself")
        key = (one.task_id, one.repeat, one.first, one.second)
        if key in found:
            raise ComparisonError(
                f"there are two judgements of task {one.task_id!r}, repeat {one.repeat}, {one.first!r} before"
                f" {one.second!r}"
            )
        found[key] = one
    pairs = [
        (one, found[task, repeat, second, first])
        for (task, repeat, first, second), one in found.items()
        if first < second and (task, repeat, second, first) in found
    ]
    return pairs, len(found) - 2 * len(pairs)


def _winner(judgement: Judgement) -> str | None:
    if judgement.choice == "tie":
        return None
    return judgement.first if judgement.choice == "first" else judgement.second


def _outcome(one: Judgement, other: Judgement, variant: str) -> float:
    winners = (_winner(one), _winner(other))
    if winners[0] != winners[1] or winners[0] is None:
        return 0.5
    return 1.0 if winners[0] == variant else 0.0


def _interval(scores: Floats) -> Interval | None:
    if len(scores) < 2:
        return None
    if float(np.ptp(scores)) == 0:
        return wilson(float(scores.sum()), len(scores))
    found = t_interval(float(scores.mean()), standard_error(scores), len(scores) - 1)
    return found.within(0.0, 1.0)


def _chance(strength: float) -> float:
    return float(1 / (1 + math.exp(-strength)))


def _check_joined(variants: Sequence[str], compared: NDArray[np.bool_]) -> None:
    reached = {0}
    waiting = [0]
    while waiting:
        here = waiting.pop()
        near = {int(index) for index in np.flatnonzero(compared[here])} - reached
        reached |= near
        waiting += near
    apart = [name for index, name in enumerate(variants) if index not in reached]
    if apart:
        raise ComparisonError(
            f"{', '.join(map(repr, apart))} were never compared with {variants[0]!r}, not even by way of others;"
            " judge some pairs that join them"
        )
