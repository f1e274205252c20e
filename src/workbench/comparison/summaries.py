"""A run summed up by variant: score, endings, tokens, cost, waiting; and how many repeats pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from workbench.comparison.columns import TrialColumns
from workbench.comparison.scores import ANSWERED, Scores, does_pass, groups_of
from workbench.statistics.intervals import Floats, Interval
from workbench.statistics.means import mean_interval, pass_at_k, pass_hat_k


@dataclass(frozen=True, kw_only=True)
class VariantSummary:
    """One variant of a run. Scores are in 0..1, times in seconds a reply; what is not known is NaN."""

    name: str
    scores: Scores
    score: float
    """Mean over the tasks that have a score."""
    interval: Interval | None
    """95 %, of that mean; `None` where no task has a score."""
    pass_at_k: float
    """Chance that at least one of as many repeats as the run has passes, which is to score `THRESHOLD` or more; mean
    over tasks. NaN for one repeat. Tasks with fewer scored repeats are left out."""
    pass_hat_k: float
    """Chance that all of them pass, likewise."""
    replies: int
    input_tokens: int
    """Cached ones included."""
    output_tokens: int
    uncounted: int
    """Replies that did not say how many tokens they took."""
    usd: float
    """Of the replies that have a price."""
    unpriced: int
    cache_written_tokens: int
    """Of the input tokens, those that were written into the prompt cache."""
    cache_read_tokens: int
    """Those that were read from it."""
    paid: Mapping[str, float]
    """What all attempts at its trials took, by the names in `PAID`, as far as that is known."""
    paid_in_part: bool
    """Whether more was paid than is known: a trial does not say, or an attempt not all of its tokens or its price."""
    seconds: float
    """Mean."""
    seconds_median: float
    seconds_p95: float
    seconds_to_first_token: float
    """Median."""

    def as_row(self) -> dict[str, float | int]:
        """The values by the names of the columns of `Comparison.by_variant`."""
        statuses = self.scores.statuses
        return {
            "trials": self.scores.planned,
            "answered": sum(statuses[status] for status in ANSWERED),
            **{status: count for status, count in statuses.items() if status != "scored"},
            "score": self.score,
            "score_low": math.nan if self.interval is None else self.interval.low,
            "score_high": math.nan if self.interval is None else self.interval.high,
            "pass_at_k": self.pass_at_k,
            "pass_hat_k": self.pass_hat_k,
            "replies": self.replies,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "uncounted": self.uncounted,
            "usd": self.usd,
            "unpriced": self.unpriced,
            "cache_written_tokens": self.cache_written_tokens,
            "cache_read_tokens": self.cache_read_tokens,
            **self.paid,
            "seconds": self.seconds,
            "seconds_median": self.seconds_median,
            "seconds_p95": self.seconds_p95,
            "seconds_to_first_token": self.seconds_to_first_token,
        }


def summarise(columns: TrialColumns, scores: Mapping[str, Scores]) -> tuple[VariantSummary, ...]:
    """The variants of the run, in its order."""
    return tuple(_summary(columns, number, name, found) for number, (name, found) in enumerate(scores.items()))


def _summary(columns: TrialColumns, number: int, name: str, found: Scores) -> VariantSummary:
    run = columns.run
    means = found.means
    present = ~np.isnan(means)
    groups = groups_of(run)
    kept = None if groups is None else [group for group, is_in in zip(groups, present, strict=True) if is_in]
    at_least_one, all_of_them = _passes(found.by_repeat, run.repeats)
    own = (columns.attempts.variant == number) & columns.replied
    input_tokens, output_tokens = columns.input_tokens[own], columns.output_tokens[own]
    usd, seconds = columns.usd[own], _known(columns.seconds[own])
    priced = _known(usd)
    tried = columns.attempts.variant == number
    paid = {name: values[tried] for name, values in columns.paid.items()}
    return VariantSummary(
        name=name,
        scores=found,
        score=float(means[present].mean()) if present.any() else math.nan,
        interval=mean_interval(means[present], repeats=run.repeats, groups=kept),
        pass_at_k=at_least_one,
        pass_hat_k=all_of_them,
        replies=int(own.sum()),
        input_tokens=int(np.nansum(input_tokens)),
        output_tokens=int(np.nansum(output_tokens)),
        uncounted=int((np.isnan(input_tokens) | np.isnan(output_tokens)).sum()),
        usd=math.nan if len(usd) and not len(priced) else math.fsum(priced.tolist()),
        unpriced=len(usd) - len(priced),
        cache_written_tokens=int(np.nansum(columns.cache_written_tokens[own])),
        cache_read_tokens=int(np.nansum(columns.cache_read_tokens[own])),
        paid={name: _total(values) for name, values in paid.items()},
        paid_in_part=bool(np.isnan(paid["paid_usd"]).any() or np.nansum(paid["paid_uncounted"])),
        seconds=math.fsum(seconds.tolist()) / len(seconds) if len(seconds) else math.nan,
        seconds_median=_quantile(seconds, 0.5),
        seconds_p95=_quantile(seconds, 0.95),
        seconds_to_first_token=_quantile(_known(columns.seconds_to_first_token[own]), 0.5),
    )


def _passes(by_repeat: Floats, repeats: int) -> tuple[float, float]:
    """pass@k and pass^k for k repeats, means over the tasks of which all repeats have a score."""
    complete = by_repeat[~np.isnan(by_repeat).any(axis=1)]
    if repeats < 2 or not len(complete):
        return math.nan, math.nan
    at, hat = cache(pass_at_k), cache(pass_hat_k)
    passed = [int(count) for count in does_pass(complete).sum(axis=1)]
    chances = [(at(repeats, count, repeats), hat(repeats, count, repeats)) for count in passed]
    some, every = zip(*chances, strict=True)
    return math.fsum(some) / len(some), math.fsum(every) / len(every)


def _total(values: Floats) -> float:
    """Of what is known; NaN where nothing is."""
    known = _known(values)
    return math.fsum(known.tolist()) if len(known) else math.nan


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else math.nan
