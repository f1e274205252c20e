"""Routing: which agent a request went to, beside the one that it should have gone to.

The unit is the case: the repeats of a case are averaged first, into the share of them that went to each label. Where
there is one repeat the shares are 0 and 1, and all counts are whole. `none` is the label of "no agent", which the
main conversation then handles itself.

Nothing here asks a model: it is for whoever has such choices, from wherever they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.statistics.agreement import accuracy, kappa, matthews
from workbench.statistics.intervals import DRAWS, SEED, Counts, Floats, Interval, percentile_interval, wilson

NONE = "none"


@dataclass(frozen=True, kw_only=True)
class ClassRouting:
    """How well one label was routed to. NaN, and no interval, where nothing is known of it."""

    cases: int
    """Cases that should have gone to it."""
    precision: float
    """Of what went to it, the share that should have."""
    precision_interval: Interval | None
    recall: float
    """Of what should have gone to it, the share that did."""
    recall_interval: Interval | None
    f1: float
    """2 hits / (went to it + should have); 0 where nothing was hit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Routing:
    """How well requests were routed."""

    labels: tuple[str, ...]
    confusion: Floats
    """Cases by the label that they should have gone to (rows) and went to (columns), repeats averaged."""
    majority: Counts
    """The same with each case where most of its repeats went; of equal ones the first label."""
    by_label: Mapping[str, ClassRouting]
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    """Mean F1 of the labels that occur, as truth or as choice."""
    macro_f1_interval: Interval
    """Percentile bootstrap over cases."""
    kappa: float
    matthews: float
    over_trigger: float
    """Of the cases that no agent should have had, the share that one got; NaN without such cases."""
    over_trigger_interval: Interval | None
    under_trigger: float
    """Of the cases that an agent should have had, the share that none got; NaN without such cases."""
    under_trigger_interval: Interval | None


def route_shares(picked: Sequence[Sequence[str | None]], labels: Sequence[str]) -> Floats:
    """Cases by labels: the share of a case's repeats that went to each label. `None` is a repeat that is missing.

    A case without any repeat is NaN.

    Raises:
        ValueError: something went to a label that is not among `labels`.
    """
    numbers = _numbers(labels)
    shares = np.zeros((len(picked), len(labels)))
    for case, repeats in enumerate(picked):
        chosen = [label for label in repeats if label is not None]
        for label in chosen:
            shares[case, _number_of(numbers, label)] += 1 / len(chosen)
        if not chosen:
            shares[case] = np.nan
    return shares


def f1_scores(confusion: Floats) -> Floats:
    """2 hits / (row + column) of each label; NaN where a label occurs neither as truth nor as choice."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    occurred = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    found: Floats = np.divide(2 * hits, occurred, out=np.full(occurred.shape, np.nan), where=occurred > 0)
    return found


def routing(
    truth: Sequence[str],
    picked: Sequence[Sequence[str | None]],
    *,
    labels: Sequence[str],
    none: str = NONE,
    draws: int = DRAWS,
) -> Routing:
    """How well cases were routed, from the label that each should have gone to and those that its repeats went to.

    Rates come from the means of cases; cases of which every repeat is missing are left out.

    Raises:
        ValueError: no case, an unknown label, or not one truth for each case.
    """
    shares = route_shares(picked, labels)
    rows = _rows(truth, shares, labels)
    present = ~np.isnan(shares).any(axis=1)
    rows, shares = rows[present], shares[present]
    if not len(rows):
        raise ValueError("there is no case with a choice")
    confusion = _summed(rows, shares)
    chosen = np.zeros_like(shares)
    chosen[np.arange(len(rows)), shares.argmax(axis=1)] = 1.0
    right = float(np.trace(confusion))
    over, over_interval = _share_to_others(confusion, labels, none)
    under, under_interval = _share_to_none(confusion, labels, none)
    return Routing(
        labels=tuple(labels),
        confusion=confusion,
        majority=np.rint(_summed(rows, chosen)).astype(np.int64),
        by_label={label: _of_label(confusion, number) for number, label in enumerate(labels)},
        accuracy=accuracy(confusion),
        accuracy_interval=wilson(min(right, len(rows)), len(rows)),
        macro_f1=float(np.nanmean(f1_scores(confusion))),
        macro_f1_interval=macro_f1_interval(rows, shares, draws=draws),
        kappa=kappa(confusion),
        matthews=matthews(confusion),
        over_trigger=over,
        over_trigger_interval=over_interval,
        under_trigger=under,
        under_trigger_interval=under_interval,
    )


def macro_f1_interval(truth: NDArray[np.int64], shares: Floats, *, draws: int = DRAWS, seed: int = SEED) -> Interval:
    """The percentile bootstrap over cases of the macro-F1, from the number of each case's label and its shares."""
    cases, labels = shares.shape
    each = np.zeros((cases, labels, labels))
    each[np.arange(cases), truth] = shares
    flat = each.reshape(cases, labels * labels)
    generator = np.random.default_rng(seed)
    # How often each case is drawn is all that its confusion matrix depends on.
    drawn = generator.multinomial(cases, np.full(cases, 1 / cases), size=draws)
    confusions = (drawn @ flat).reshape(draws, labels, labels)
    return percentile_interval(np.nanmean(f1_scores(confusions), axis=1))


def _of_label(confusion: Floats, number: int) -> ClassRouting:
    hits = float(confusion[number, number])
    should, went = float(confusion[number].sum()), float(confusion[:, number].sum())
    precision, precision_interval = _share(hits, went)
    recall, recall_interval = _share(hits, should)
    return ClassRouting(
        cases=round(should),
        precision=precision,
        precision_interval=precision_interval,
        recall=recall,
        recall_interval=recall_interval,
        f1=2 * hits / (should + went) if should + went else math.nan,
    )


def _share_to_others(confusion: Floats, labels: Sequence[str], none: str) -> tuple[float, Interval | None]:
    if none not in labels:
        return math.nan, None
    row = confusion[list(labels).index(none)]
    return _share(float(row.sum() - row[list(labels).index(none)]), float(row.sum()))


def _share_to_none(confusion: Floats, labels: Sequence[str], none: str) -> tuple[float, Interval | None]:
    if none not in labels:
        return math.nan, None
    column = list(labels).index(none)
    others = np.delete(confusion, column, axis=0)
    return _share(float(others[:, column].sum()), float(others.sum()))


def _share(part: float, whole: float) -> tuple[float, Interval | None]:
    if whole <= 0:
        return math.nan, None
    part = min(max(part, 0.0), whole)  # sums of thirds may be beyond by the noise of floats
    return part / whole, wilson(part, whole)


def _summed(rows: NDArray[np.int64], shares: Floats) -> Floats:
    confusion = np.zeros((shares.shape[1], shares.shape[1]))
    np.add.at(confusion, rows, shares)
    return confusion


def _rows(truth: Sequence[str], shares: Floats, labels: Sequence[str]) -> NDArray[np.int64]:
    if len(truth) != len(shares):
        raise ValueError(f"{len(truth)} truths for {len(shares)} cases")
    numbers = _numbers(labels)
    return np.array([_number_of(numbers, label) for label in truth], dtype=np.int64)


def _numbers(labels: Sequence[str]) -> dict[str, int]:
    return {label: index for index, label in enumerate(labels)}


def _number_of(numbers: Mapping[str, int], label: str) -> int:
    if label not in numbers:
        raise ValueError(f"there is no label {label!r}; there are {', '.join(map(repr, numbers))}")
    return numbers[label]
