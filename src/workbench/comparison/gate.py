"""The gate: is a variant shown to be no worse than another, by more than a margin that is set before?

A non-inferiority test on task means, paired: the one-sided 95 % bounds of the mean difference d, variant minus
baseline, by Student's t; by group where the tasks fall into 10 groups or more.

- "passes": the lower bound lies above -margin. Also where both send the very same requests: then nothing changed.
- "fails": not that, and the upper bound lies below 0: the variant is shown to be worse.
- "not enough data": neither is shown; or `reach_verdicts` would give no verdict, for the attempts without a score are
  too many, or too unequal between the two; or there are fewer than 10 tasks, on which t promises more than it keeps.
  What is missing within those bounds is not counted against either.

Source: G. Piaggio et al., "Reporting of noninferiority and equivalence randomized trials" (JAMA 308, 2012), figure 1;
its "inconclusive" is split at 0, for whoever merges wants to know of a variant that is shown to be worse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from workbench.comparison.scores import groups_of, is_stand_in, scores_by_variant
from workbench.comparison.shared import AFTER, BEFORE, chosen_variant, share
from workbench.comparison.verdict import STAND_IN_LABEL, Verdict, percent, points, reach_verdicts
from workbench.errors import ComparisonError, StandInError
from workbench.markup import counted, visible
from workbench.statistics.means import paired
from workbench.trial.trial import Run

Decision = Literal["passes", "fails", "not enough data"]

MARGIN = 0.05
"""The loss of 5 points that is put up with unless another is named."""
FEWEST_TASKS = 10
ALPHA = 0.05
"""One-sided: at most so often a variant passes that is worse by exactly the margin."""
POWER = 0.80


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What the gate decided, and by which numbers. Effects are in units of the score (0..1), variant minus baseline.

    `effect`, `low` and `high` are `None` where no difference could be computed.
    """

    decision: Decision
    text: str
    """The sentence."""
    variant: str
    baseline: str
    margin: float
    tasks: int
    """Tasks that both have a score for."""
    groups: int | None
    clustered: bool
    """True where the bounds are by group."""
    repeats: int
    same_requests: bool
    stand_in: bool
    effect: float | None = None
    low: float | None = None
    """Lower one-sided bound, at a level of 1 - `ALPHA`."""
    high: float | None = None
    """Upper one-sided bound, likewise."""
    tasks_needed: int | None = None
    """How many tasks would pass a variant that is no different, with a power of `POWER`; `None`: not known."""
    notes: tuple[str, ...] = ()
    """What the two runs do not share."""
    remarks: tuple[str, ...] = ()
    """What has to be known of the records that the runs were loaded from."""

    def __str__(self) -> str:
        return self.text


def gate(
    run: Run,
    baseline: Run | str,
    *,
    margin: float = MARGIN,
    variant: str | None = None,
    allow_stand_in: bool = False,
) -> Gate:
    """Whether a variant of `run` is no worse than the baseline by more than `margin` (0..1).

    `baseline` is another run, whose tasks are matched by their ids, or the name of a variant of `run`. `variant` may
    be left out where there is only one to choose; against another run also where `run` has two, of which the first is
    what its own second was compared with: then it is the second. In another run the baseline is the variant of the same
    name, or the only one.

    Raises:
        StandInError: the replies were made up by the offline stand-in, and `allow_stand_in` is not set.
        ComparisonError: the margin is not between 0 and 1, a variant is not there or not named, or the two runs share
            nothing that could be compared.
    """
    if not 0 < margin < 1:
        raise ComparisonError(f"the margin is {margin:g}; it is a part of the score, more than 0 and less than 1")
    name, base_run, base = _sides(run, baseline, variant)
    shared = share(base_run, run, variants=(base, name))
    if shared.run is None:
        raise ComparisonError(f"the two runs cannot be compared: {'; '.join(shared.notes)}")
    verdict = reach_verdicts(shared.run, baseline=BEFORE)[0]
    stand_in = is_stand_in(shared.run)
    if stand_in and not allow_stand_in:
        raise StandInError(
            f'the replies of "{visible(name)}" and "{visible(base)}" were made up by the offline stand-in, which says '
            "nothing about any agent: run both with a model, or allow the stand-in to try the gate out"
        )
    found = _decided(shared.run, verdict, margin)
    label = f"{STAND_IN_LABEL} " if stand_in else ""
    where = "" if isinstance(baseline, str) else " of the baseline run"
    notes = "".join(f" Not shared: {note}." for note in shared.notes)
    remarks = tuple(dict.fromkeys((*run.remarks, *base_run.remarks)))
    notes += "".join(f" Record: {visible(remark)}." for remark in remarks)
    heading = f'{label}Gate {found.decision}: "{visible(name)}" against "{visible(base)}"{where}'
    return Gate(
        decision=found.decision,
        text=f"{heading}, margin {points(margin, sign=False)} points. {found.reason}{notes}",
        variant=name,
        baseline=base,
        margin=margin,
        tasks=verdict.tasks,
        groups=verdict.groups,
        clustered=found.clustered,
        repeats=shared.run.repeats,
        same_requests=verdict.same_requests,
        stand_in=stand_in,
        effect=found.effect,
        low=found.low,
        high=found.high,
        tasks_needed=found.tasks_needed,
        notes=shared.notes,
        remarks=remarks,
    )


def one_sided_bounds(effect: float, error: float, degrees: int) -> tuple[float, float]:
    """effect -+ t SE: each bound alone errs in a share of `ALPHA` of cases."""
    reach = float(special.stdtrit(degrees, 1 - ALPHA)) * error
    return effect - reach, effect + reach


@dataclass(frozen=True, kw_only=True)
class _Decided:
    decision: Decision
    reason: str
    clustered: bool = False
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    tasks_needed: int | None = None


def _sides(run: Run, baseline: Run | str, variant: str | None) -> tuple[str, Run, str]:
    """The variant, the run of the baseline, and its name there."""
    if isinstance(baseline, Run):
        second = list(run.variants)[1] if len(run.variants) == 2 else None
        name = chosen_variant(run, second if variant is None else variant, what="the run")
        only = name if name in baseline.variants else None
        return name, baseline, chosen_variant(baseline, only, what="the baseline run")
    base = chosen_variant(run, baseline, what="the run")
    others = [name for name in run.variants if name != base]
    if variant is None and len(others) == 1:
        return others[0], run, base
    if variant is None and not others:
        raise ComparisonError(f"the run has no variant but {base!r}; there is nothing to hold against it")
    name = chosen_variant(run, variant, what="the run")
    if name == base:
        raise ComparisonError(f"{base!r} is the baseline itself; name another variant: {', '.join(map(repr, others))}")
    return name, run, base


def _decided(run: Run, verdict: Verdict, margin: float) -> _Decided:
    if verdict.kind == "no verdict":
        return _Decided(decision="not enough data", reason=verdict.text.partition("no verdict. ")[2])
    scores = scores_by_variant(run)
    differences = scores[AFTER].means - scores[BEFORE].means
    both = ~np.isnan(differences)
    groups = groups_of(run)
    present = None if groups is None else [group for group, is_in in zip(groups, both, strict=True) if is_in]
    found = paired(differences[both], groups=present)
    units = found.groups if found.clustered and found.groups is not None else found.tasks
    if found.standard_error > 0:
        low, high = one_sided_bounds(found.effect, found.standard_error, units - 1)
        by = " by group" if found.clustered else ""
        method = f"one-sided {percent(1 - ALPHA)} bounds by t with {units - 1} degrees of freedom{by}"
        needed = _tasks_needed(found.variance, margin)
    else:
        # The bound of 97.5 % that there is: all differences are equal, so t would have no width.
        low, high = found.interval.low, found.interval.high
        method = "Wilson bounds on equal differences"
        needed = None
    grouped = "" if found.groups is None else f" in {found.groups} groups"
    size = f"n = {found.tasks} tasks{grouped} x {counted(run.repeats, 'repeat')}"
    numbers = f"{points(found.effect)} points, {method} {points(low)} and {points(high)}, {size}"
    settles = (
        ""
        if needed is None
        else f" About {needed} tasks would pass a variant that is no different ({percent(POWER)} power)."
    )
    decision: Decision = "not enough data"
    if verdict.same_requests:
        decision, reason = (
            "passes",
            f"A/A: both send the same requests, whatever lies between them is noise ({numbers}).",
        )
    elif found.tasks < FEWEST_TASKS:
        reason = f"{found.tasks} tasks with scores of both; it takes at least {FEWEST_TASKS} ({numbers}).{settles}"
    elif low > -margin:
        decision, reason = "passes", f"A loss of more than the margin is ruled out: {numbers}."
    elif high < 0:
        decision, reason = "fails", f"It is shown to be worse, and may be by more than the margin: {numbers}."
    else:
        reason = f"Neither a loss within the margin nor a loss is shown: {numbers}.{settles}"
    return _Decided(
        decision=decision,
        reason=reason,
        clustered=found.clustered,
        effect=found.effect,
        low=low,
        high=high,
        tasks_needed=needed,
    )


def _tasks_needed(variance: float, margin: float) -> int:
    """(z_alpha + z_beta)^2 variance / margin^2, where the true difference is 0."""
    factor = float(special.ndtri(1 - ALPHA) + special.ndtri(POWER))
    return max(FEWEST_TASKS, math.ceil(factor**2 * variance / margin**2))
