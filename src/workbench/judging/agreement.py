"""How far people agree with each other on the replies that they labelled, before a judge is held to what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from workbench.judging.labels import Labels, ratings_of
from workbench.statistics.agreement import ac1, accuracy, kappa, kappa_and_ac1_intervals
from workbench.statistics.intervals import Interval
from workbench.statistics.judge import JudgeAgreement
from workbench.trial.rubric import Rubric


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How two people agree on one criterion, over the replies that both have labelled."""

    criterion: str
    labellers: tuple[str, str]
    items: int
    share: float
    """Of the replies on which both say the same."""
    kappa: float
    """NaN where both only ever say the same one thing."""
    kappa_interval: Interval | None
    """By bootstrap over the replies; `None` with fewer than two."""
    ac1: float
    """To be read in place of kappa where nearly all are of one kind."""
    ac1_interval: Interval | None


def agreement_of(labels: Labels, rubric: Rubric) -> tuple[Agreement, ...]:
    """By criterion, how each two of the labellers agree on what both have labelled; "cannot tell" is no label."""
    found = []
    for criterion in rubric.criteria:
        ratings = dict(zip(labels.labellers, ratings_of(labels, criterion.name), strict=True))
        for one, other in combinations(ratings, 2):
            pairs = [
                (criterion.levels.index(a), criterion.levels.index(b))
                for a, b in zip(ratings[one], ratings[other], strict=True)
                if a is not None and b is not None
            ]
            if pairs:
                found.append(_agreement(criterion.name, (one, other), pairs, len(criterion.levels)))
    return tuple(found)


def agreement_as_values(agreement: Agreement | JudgeAgreement) -> dict[str, Any]:
    """Its fields, as JSON can keep them: what is not known is null, for JSON has no NaN."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(agreement).items()
    }


def _agreement(criterion: str, labellers: tuple[str, str], pairs: Sequence[tuple[int, int]], levels: int) -> Agreement:
    cells = np.array([a * levels + b for a, b in pairs])
    table = np.bincount(cells, minlength=levels**2).reshape(levels, levels)
    kappa_interval, ac1_interval = kappa_and_ac1_intervals(table)
    return Agreement(
        criterion=criterion,
        labellers=labellers,
        items=len(pairs),
        share=accuracy(table),
        kappa=kappa(table),
        kappa_interval=kappa_interval,
        ac1=ac1(table),
        ac1_interval=ac1_interval,
    )
