"""What the pictures of a comparison show, as numbers and as a sentence for who does not see them. Draws nothing."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.comparison.compared import Compared
from workbench.comparison.flips import Change, changes_between
from workbench.comparison.scores import groups_of
from workbench.comparison.verdict import STAND_IN_LABEL, Verdict, percent, points
from workbench.markup import visible
from workbench.statistics.intervals import LEVEL, Floats, Interval, t_interval
from workbench.statistics.means import FEWEST_GROUPS, case_means, clustered_standard_error, standard_error

_MOST_NAMED = 12
_LONGEST_NAME = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRow:
    """The mean score of a variant over tasks, 0..1; NaN and no interval where it has none."""

    name: str
    mean: float
    interval: Interval | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """What a reply of a variant costs on the average of the tasks, and what the variant scores."""

    name: str
    score: float
    interval: Interval | None
    usd: float
    """For one reply; NaN where no reply has a price."""
    usd_interval: Interval | None
    """95 %, `None` where there are too few tasks or all cost the same."""

    @property
    def is_known(self) -> bool:
        return not math.isnan(self.score) and not math.isnan(self.usd)


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeats:
    """The scores of one variant by repeat."""

    name: str
    by_repeat: Floats
    """Tasks by repeats, 0..1, NaN where there is no score."""
    spread: float
    """Standard deviation of the repeats of a task (ddof 1), root mean square over tasks; NaN with one repeat."""


def heading(compared: Compared) -> str:
    """The title of every picture: who answered, where it was the stand-in, and how many tasks and repeats."""
    size = compared.size
    return f"{STAND_IN_LABEL}\n{size}" if compared.stand_in else size


def score_rows(compared: Compared) -> list[ScoreRow]:
    """The mean score of each variant, in the order of the run."""
    found = zip(compared.scores, compared.summaries, strict=True)
    return [ScoreRow(name=name, mean=summary.score, interval=summary.interval) for name, summary in found]


def cost_points(compared: Compared) -> list[Point]:
    """Cost and score of each variant, in the order of the run.

    The cost is the mean over tasks of the mean over a task's priced replies; its interval is by t over tasks, by
    groups where there are at least ten.
    """
    run, attempts = compared.run, compared.columns.attempts
    table = np.full((len(run.variants), len(run.tasks), run.repeats), np.nan)
    table[attempts.variant, attempts.task, attempts.repeat] = compared.columns.usd
    groups = groups_of(run)
    return [
        _point(row, case_means(by_repeat), groups) for row, by_repeat in zip(score_rows(compared), table, strict=True)
    ]


def repeats_of(compared: Compared) -> list[Repeats]:
    """The scores of each variant by repeat, in the order of the run."""
    return [
        Repeats(name=name, by_repeat=found.by_repeat, spread=_spread(found.by_repeat))
        for name, found in compared.scores.items()
    ]


def all_changes(compared: Compared) -> dict[str, list[Change]]:
    """For each variant that has a baseline the change of each task, in the order of `Run.tasks`."""
    scores = compared.scores
    return {
        name: changes_between(compared.run, scores[base], scores[name], variant=name)
        for name, base in compared.baseline_of.items()
    }


def describe_intervals(compared: Compared) -> str:
    """The forest plot in words."""
    means = [f"{_named(row.name)} {_mean(row)}" for row in score_rows(compared)]
    words = f"Mean scores in points with {percent(LEVEL)} intervals: {_listed(means)}."
    if compared.verdicts:
        found = [f"{_named(verdict.variant)} {_difference(verdict)}" for verdict in compared.verdicts]
        against = _named(compared.baseline) if not compared.parts else "its baseline, of each"
        words += f" Differences to {against}: {_listed(found)}."
    return _introduced(compared, "Forest plot", words)


def describe_costs(compared: Compared) -> str:
    """The picture of cost against score in words."""
    found = [
        f"{_named(point.name)} {1000 * point.usd:.2f} USD for 1,000 replies at {points(point.score, sign=False)} points"
        if point.is_known
        else f"{_named(point.name)} not drawn, without a price or a score"
        for point in cost_points(compared)
    ]
    return _introduced(compared, "Cost against mean score", f"{_listed(found)}.")


def describe_tasks(compared: Compared) -> str:
    """The heat map in words."""
    means = [f"{_named(row.name)} {_mean(row)}" for row in score_rows(compared)]
    words = [f"Means: {_listed(means)}."]
    for name, changes in list(all_changes(compared).items())[:_MOST_NAMED]:
        passed, failed = (sum(change.flip == flip for change in changes) for flip in ("now passes", "now fails"))
        words.append(f"With {_named(name)} {passed} now pass and {failed} now fail{_largest(changes)}.")
    return _introduced(compared, "Heat map of the mean score of each task and variant", " ".join(words))


def describe_repeats(compared: Compared) -> str:
    """The picture of the repeats in words."""
    found = []
    for one in repeats_of(compared):
        low, high = _range(one.by_repeat)
        mixed = int((high - low > 0).sum())
        spread = (
            "" if math.isnan(one.spread) else f", standard deviation within a task {points(one.spread, sign=False)}"
        )
        found.append(f"{_named(one.name)} repeats differ in {mixed} of {int((~np.isnan(low)).sum())} tasks{spread}")
    return _introduced(compared, "Scores of the repeats of each task, in points", f"{_listed(found)}.")


def _introduced(compared: Compared, what: str, words: str) -> str:
    return f"{what}, {heading(compared).replace(chr(10), ' ')}. {words}"


def _listed(words: Sequence[str]) -> str:
    more = len(words) - _MOST_NAMED
    return "; ".join(words[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _named(name: str) -> str:
    shown = visible(name)
    return f'"{shown if len(shown) <= _LONGEST_NAME else shown[: _LONGEST_NAME - 1] + "…"}"'


def _mean(row: ScoreRow) -> str:
    if row.interval is None:
        return "no score" if math.isnan(row.mean) else points(row.mean, sign=False)
    low, high = points(row.interval.low, sign=False), points(row.interval.high, sign=False)
    return f"{points(row.mean, sign=False)} [{low}, {high}]"


def _difference(verdict: Verdict) -> str:
    if verdict.effect is None or verdict.interval is None:
        return verdict.kind
    low, high = points(verdict.interval.low), points(verdict.interval.high)
    floor = "" if verdict.noise_floor is None else f", noise floor ±{points(verdict.noise_floor, sign=False)}"
    return f"{points(verdict.effect)} [{low}, {high}], {verdict.kind}{floor}"


def _largest(changes: Sequence[Change]) -> str:
    known = [change for change in changes if not math.isnan(change.difference) and change.difference != 0]
    if not known:
        return ", no score changed"
    most = max(known, key=lambda change: abs(change.difference))
    return f", the largest change {points(most.difference)} in {_named(most.task_id)}"


def _point(row: ScoreRow, costs: Floats, groups: Sequence[Hashable] | None) -> Point:
    present = ~np.isnan(costs)
    known = costs[present]
    usd = float(known.mean()) if len(known) else math.nan
    kept = None if groups is None else [group for group, is_in in zip(groups, present, strict=True) if is_in]
    return Point(
        name=row.name, score=row.mean, interval=row.interval, usd=usd, usd_interval=_usd_interval(known, usd, kept)
    )


def _usd_interval(known: Floats, usd: float, groups: Sequence[Hashable] | None) -> Interval | None:
    count = 0 if groups is None else len(set(groups))
    if FEWEST_GROUPS <= count < len(known) and groups is not None:
        error, degrees = clustered_standard_error(known, groups), count - 1
    else:
        error, degrees = standard_error(known), len(known) - 1
    if math.isnan(error) or error <= 1e-12 * usd:
        return None
    interval = t_interval(usd, error, degrees)
    return Interval(low=max(0.0, interval.low), high=interval.high)


def _spread(by_repeat: Floats) -> float:
    counts = (~np.isnan(by_repeat)).sum(axis=1)
    several = by_repeat[counts > 1]
    if not len(several):
        return math.nan
    return float(math.sqrt(np.nanvar(several, axis=1, ddof=1).mean()))


def _range(by_repeat: Floats) -> tuple[Floats, Floats]:
    """The lowest and the highest score of each task, NaN where it has none."""
    low = np.fmin.reduce(by_repeat, axis=1)
    high = np.fmax.reduce(by_repeat, axis=1)
    return low, high
