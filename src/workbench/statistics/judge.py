"""A judge beside people: how well it agrees with their labels, and the true rate that its verdicts stand for.

All are arrays of 0 and 1 (failed, passed) over items. The labelled items have to be a random draw of what is judged,
and are not among the judged items without a label: the estimates take the two as independent.

Nothing here asks a model: it is for whoever has a judge's scores beside people's labels, from wherever they are.

Sources: W. J. Rogan and B. Gladen 1978 (American Journal of Epidemiology 107); A. Angelopoulos et al.,
"Prediction-powered inference" (Science 382, 2023) and "PPI++" (arXiv 2311.01453).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from workbench.errors import ComparisonError
from workbench.statistics.agreement import ac1, accuracy, kappa, kappa_standard_error
from workbench.statistics.intervals import Floats, Interval, wilson, without_gaps, z_interval

FEWEST_LABELS = 30
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
    ac1: float
    """To be read in place of kappa where nearly all items are of one kind."""
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
    method: Literal["Rogan-Gladen", "PPI", "PPI++"]
    weight: float
    """lambda: how much is made of the judge; 1 but for PPI++."""


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
    return JudgeAgreement(
        labels=len(people),
        positives=positives,
        accuracy=accuracy(table),
        kappa=kappa(table),
        kappa_standard_error=kappa_standard_error(table),
        ac1=ac1(table),
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
    if found.j < LEAST_J:
        return (
            f"the judge tells good from bad too rarely: TPR {found.tpr:.2f} + TNR {found.tnr:.2f} - 1 = {found.j:.2f},"
            f" below {LEAST_J}"
        )
    return ""


def true_rate(
    human: ArrayLike,
    judge: ArrayLike,
    judged: ArrayLike,
    *,
    method: Literal["Rogan-Gladen", "PPI", "PPI++"] = "PPI++",
) -> TrueRate:
    """The rate that people would find, from the labels of both on some items and the judge's on others.

    PPI and PPI++ have the narrower and better intervals; Rogan-Gladen needs only the rates.

    Raises:
        ComparisonError: too few labels, or a judge that hardly tells good from bad (`judge_refusal`).
        ValueError: not the same number of both labels, nothing judged, or a label that is neither 0 nor 1.
    """
    people, machine, others = _labels(human), _labels(judge), _labels(judged)
    if not len(others):
        raise ValueError("there is no judged item without a label")
    found = judge_agreement(people, machine)
    refusal = judge_refusal(found)
    if refusal:
        raise ComparisonError(f"nothing is estimated from this judge: {refusal}. Label more items, or mend the judge.")
    if method == "Rogan-Gladen":
        return rogan_gladen(
            float(others.mean()),
            len(others),
            tpr=found.tpr,
            positives=found.positives,
            tnr=found.tnr,
            negatives=found.labels - found.positives,
        )
    return ppi(people, machine, others) if method == "PPI" else ppi_plus_plus(people, machine, others)


def rogan_gladen(rate: float, n: int, *, tpr: float, positives: int, tnr: float, negatives: int) -> TrueRate:
    """theta = (q + TNR - 1) / J, clipped to 0..1, with the delta method's variance
    [ q(1-q)/N + theta^2 TPR(1-TPR)/m1 + (1-theta)^2 TNR(1-TNR)/m0 ] / J^2.

    `rate` (q) is the share that the judge passed of the `n` items without a label; the rest is from the labelled ones.

    Raises:
        ValueError: J is 0, so that the judge's rate says nothing.
    """
    j = tpr + tnr - 1
    if j == 0:
        raise ValueError("TPR + TNR - 1 is 0: the judge says the same whatever it is shown")
    theta = min(1.0, max(0.0, (rate + tnr - 1) / j))
    judged = rate * (1 - rate) / n
    labelled = theta**2 * tpr * (1 - tpr) / positives + (1 - theta) ** 2 * tnr * (1 - tnr) / negatives
    return _rate(theta, (judged + labelled) / j**2, "Rogan-Gladen", 1.0)


def ppi(human: ArrayLike, judge: ArrayLike, judged: ArrayLike) -> TrueRate:
    """theta = mean_N(f) + mean_m(Y - f), with variance Var(f_N)/N + Var(Y - f)/m.

    Y are the labels of people and f those of the judge on the m labelled items; f_N those on the N others. Variances
    with ddof 0.
    """
    return _weighed(without_gaps(human), without_gaps(judge), without_gaps(judged), 1.0, "PPI")


def ppi_plus_plus(human: ArrayLike, judge: ArrayLike, judged: ArrayLike) -> TrueRate:
    """theta = lambda mean_N(f) + mean_m(Y - lambda f), with variance lambda^2 Var(f_N)/N + Var(Y - lambda f)/m and
    lambda = Cov(Y, f) / ((1 + m/N) Var(f)), Var(f) that of all m + N judge's labels.

    With many labels it is never worse than the labels alone, however bad the judge. As `ppi` otherwise.
    """
    people, machine, others = without_gaps(human), without_gaps(judge), without_gaps(judged)
    spread = float(np.concatenate([machine, others]).var()) * (1 + len(machine) / len(others))
    together = float(((people - people.mean()) * (machine - machine.mean())).mean())
    weight = together / spread if spread else 0.0
    return _weighed(people, machine, others, weight, "PPI++")


def _weighed(
    people: Floats, machine: Floats, others: Floats, weight: float, method: Literal["PPI", "PPI++"]
) -> TrueRate:
    rest = people - weight * machine
    estimate = weight * float(others.mean()) + float(rest.mean())
    variance = weight**2 * float(others.var()) / len(others) + float(rest.var()) / len(rest)
    return _rate(estimate, variance, method, weight)


def _rate(estimate: float, variance: float, method: Literal["Rogan-Gladen", "PPI", "PPI++"], weight: float) -> TrueRate:
    error = math.sqrt(variance)
    found = z_interval(estimate, error)
    return TrueRate(
        estimate=estimate,
        standard_error=error,
        interval=Interval(low=max(0.0, found.low), high=min(1.0, found.high)),
        method=method,
        weight=weight,
    )


def _labels(values: ArrayLike) -> Floats:
    found = without_gaps(values)
    if not np.isin(found, (0.0, 1.0)).all():
        raise ValueError("labels are 0 (failed) or 1 (passed)")
    return found
