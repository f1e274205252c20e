"""A judge beside people: how well it agrees with their labels, and the true rate that its verdicts stand for.

All are arrays of 0 and 1 (failed, passed) over items. The labelled items have to be a random draw of what is judged,
and are not among the judged items without a label: the estimates take the two as independent.

Nothing here asks a model: it is for whoever has a judge's scores beside people's labels, from wherever they are.

Source: A. Angelopoulos et al., "PPI++" (arXiv 2311.01453).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from workbench.errors import ComparisonError
from workbench.statistics.agreement import ac1, accuracy, kappa, kappa_and_ac1_intervals, kappa_standard_error
from workbench.statistics.intervals import Floats, Interval, t_interval, wilson, without_gaps, z_interval
from workbench.statistics.student_t import t_cdf

FEWEST_LABELS = 30
NO_RANDOM_DRAW = 0.001
"""Where the judge passes so unlikely different shares of the labelled items and of the others, the labelled ones are no
random draw of what is judged, or the judge's words on the others are not its own."""
LEAST_J = 0.3
"""Of TPR + TNR - 1, which is 0 for a judge that says the same whatever it is shown."""


@dataclass(frozen=True, kw_only=True)
class JudgeAgreement:
    """How a judge agrees with people on the items that both have rated."""

    labels: int
    positives: int
    """Items that people passed; the others are failed."""
    accuracy: float
    kappa: float
    kappa_standard_error: float
    kappa_interval: Interval | None
    """By bootstrap over the items; `None` with fewer than two."""
    ac1: float
    """To be read in place of kappa where nearly all items are of one kind."""
    ac1_interval: Interval | None
    tpr: float
    """Share passed by the judge of what people passed; NaN where they passed nothing."""
    tpr_interval: Interval | None
    tnr: float
    """Share failed by the judge of what people failed; NaN where they failed nothing."""
    tnr_interval: Interval | None

    @property
    def j(self) -> float:
        """TPR + TNR - 1; NaN where either is."""
        return self.tpr + self.tnr - 1


@dataclass(frozen=True, kw_only=True)
class TrueRate:
    """The rate that people would find, estimated from what a judge says."""

    estimate: float
    standard_error: float
    interval: Interval
    weight: float
    """lambda: how much is made of the judge."""


def judge_agreement(human: ArrayLike, judge: ArrayLike) -> JudgeAgreement:
    """How the judge agrees with people, from the labels of both on the same items.

    Raises:
        ValueError: not the same number of both, or a label that is neither 0 nor 1.
    """
    people, machine = _labels(human), _labels(judge)
    if len(people) != len(machine):
        raise ValueError(f"{len(people)} labels of people, {len(machine)} of the judge; they are of the same items")
    passed, failed = people == 1, people == 0
    hits, rejections = int((passed & (machine == 1)).sum()), int((failed & (machine == 0)).sum())
    positives, negatives = int(passed.sum()), int(failed.sum())
    table = [[hits, positives - hits], [negatives - rejections, rejections]]
    kappa_interval, ac1_interval = kappa_and_ac1_intervals(table)
    return JudgeAgreement(
        labels=len(people),
        positives=positives,
        accuracy=accuracy(table),
        kappa=kappa(table),
        kappa_standard_error=kappa_standard_error(table),
        kappa_interval=kappa_interval,
        ac1=ac1(table),
        ac1_interval=ac1_interval,
        tpr=hits / positives if positives else math.nan,
        tpr_interval=wilson(hits, positives) if positives else None,
        tnr=rejections / negatives if negatives else math.nan,
        tnr_interval=wilson(rejections, negatives) if negatives else None,
    )


def judge_refusal(found: JudgeAgreement) -> str:
    """Why nothing may be estimated from this judge; "" where it may."""
    if found.labels < FEWEST_LABELS:
        return f"{found.labels} labels of people; it takes at least {FEWEST_LABELS}"
    if math.isnan(found.j):
        kind = "passed" if math.isnan(found.tpr) else "failed"
        return f"people {kind} none of the {found.labels} labelled items, so what the judge makes of those is unknown"
    if found.j < LEAST_J - 1e-9:  # 20/30 + 19/30 - 1 comes out a little below 0.3
        return (
            f"the judge tells good from bad too rarely: TPR {found.tpr:.2f} + TNR {found.tnr:.2f} - 1 = {found.j:.2f},"
            f" below {LEAST_J}"
        )
    return ""


def same_share(passed: int, of: int, others_passed: int, of_others: int) -> float:
    """Two-sided p of Fisher's exact test that two groups have the same share (R. A. Fisher, "Statistical Methods for
    Research Workers", 1934): what is no likelier than the table that was seen, given its margins."""
    total, total_passed = of + of_others, passed + others_passed
    every = range(max(0, total_passed - of_others), min(of, total_passed) + 1)

    def weight(count: int) -> float:
        return _log_choose(of, count) + _log_choose(of_others, total_passed - count)

    weights = [weight(count) - _log_choose(total, total_passed) for count in every]
    seen = weights[passed - every.start]
    return min(1.0, math.fsum(math.exp(each) for each in weights if each <= seen + 1e-7))


def _log_choose(of: int, count: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)


def ppi_plus_plus(human: ArrayLike, judge: ArrayLike, judged: ArrayLike) -> TrueRate:
    """theta = lambda mean_N(f) + mean_m(Y - lambda f), with variance lambda^2 Var(f_N)/N + Var(Y - lambda f)/m and
    lambda = Cov(Y, f) / ((1 + m/N) Var(f)), Var(f) that of all m + N judge's labels.

    Y are the labels of people and f those of the judge on the m labelled items; f_N those on the N others. Variances
    with ddof 0. With many labels it is never worse than the labels alone, however bad the judge.
    """
    people, machine, others = without_gaps(human), without_gaps(judge), without_gaps(judged)
    spread = float(np.concatenate([machine, others]).var()) * (1 + len(machine) / len(others))
    together = float(((people - people.mean()) * (machine - machine.mean())).mean())
    weight = together / spread if spread else 0.0
    rest = people - weight * machine
    estimate = weight * float(others.mean()) + float(rest.mean())
    error = math.sqrt(weight**2 * float(others.var()) / len(others) + float(rest.var()) / len(rest))
    found = z_interval(estimate, error)
    return TrueRate(
        estimate=estimate,
        standard_error=error,
        interval=found.within(0.0, 1.0),
        weight=weight,
    )


@dataclass(frozen=True, kw_only=True)
class Rated:
    """What people and a judge say of one variant's replies."""

    human: ArrayLike
    """Of the labelled ones."""
    judge: ArrayLike
    """Of the same ones."""
    judged: ArrayLike
    """The judge's of the others."""


@dataclass(frozen=True, kw_only=True)
class RateDifference:
    """How the rates that people would find differ, estimated from what a judge says."""

    baseline: float
    variant: float
    difference: float
    """Variant minus baseline."""
    standard_error: float
    interval: Interval
    """By t with the degrees of freedom of Welch and Satterthwaite; within -1..1."""
    p: float
    """Two-sided, by the same t; not corrected."""

    @property
    def can_differ(self) -> bool:
        """False where nothing speaks for a difference, and nothing could."""
        return self.difference != 0 or self.standard_error > 0


FEWEST_OF_ONE = 10
"""Labelled replies of each variant for a difference."""


def rate_difference(baseline: Rated, variant: Rated) -> RateDifference:
    """PPI++ in each of the two, and the difference.

    As few labels as people give make its own interval too narrow: the weight is fitted to them. So the variance of what
    they correct by has m - 2 where PPI++ has m, and the interval is t's. In `tests.benchmarks.statistics`, 30 labels of
    each cover in 93.9 % or more, where PPI++'s own covers 92 to 93.5 %. The labels of a variant correct that variant
    alone, so that a judge who favours one of them is corrected, too. The two are taken as independent: where both
    answer the same tasks alike, the interval is too wide rather than too narrow.

    Raises:
        ComparisonError: fewer than `FEWEST_OF_ONE` labels of one of them.
        ValueError: not as many labels of people as of the judge, or one that is neither 0 nor 1.
    """
    of = [_small_sample(each) for each in (baseline, variant)]
    variance = sum(each.variance for each in of)
    error = math.sqrt(variance)
    difference = of[1].estimate - of[0].estimate
    fewest = min(each.freedom for each in of)
    freedom = variance**2 / sum(each.variance**2 / each.freedom for each in of) if variance else fewest
    degrees = max(fewest, math.floor(freedom))
    reach = t_interval(difference, error, degrees)
    return RateDifference(
        baseline=of[0].estimate,
        variant=of[1].estimate,
        difference=difference,
        standard_error=error,
        interval=reach.within(-1.0, 1.0),
        p=2 * t_cdf(-abs(difference) / error, degrees) if error else float(difference == 0),
    )


@dataclass(frozen=True, kw_only=True)
class _SmallSample:
    estimate: float
    variance: float
    freedom: int


def _small_sample(rated: Rated) -> _SmallSample:
    people, machine, others = (_labels(each) for each in (rated.human, rated.judge, rated.judged))
    if len(people) != len(machine):
        raise ValueError(f"{len(people)} labels of people, {len(machine)} of the judge; they are of the same items")
    m = len(people)
    if m < FEWEST_OF_ONE:
        raise ComparisonError(f"{m} labelled replies of a variant; a difference takes at least {FEWEST_OF_ONE} of each")
    if not len(others):  # all are labelled: nothing is left to a judge
        return _SmallSample(estimate=float(people.mean()), variance=float(people.var(ddof=1)) / m, freedom=m - 1)
    found = ppi_plus_plus(people, machine, others)
    rest = people - found.weight * machine
    judged = found.weight**2 * float(others.var()) / len(others)
    return _SmallSample(estimate=found.estimate, variance=judged + float(rest.var()) / (m - 2), freedom=m - 2)


def _labels(values: ArrayLike) -> Floats:
    found = without_gaps(values)
    if not np.isin(found, (0.0, 1.0)).all():
        raise ValueError("labels are 0 (failed) or 1 (passed)")
    return found
