"""The verdict: the sentence a comparison ends in, by fixed rules.

Each variant is compared with the baseline over the tasks that both have a score for, on task means, paired.

- "no verdict": more than 5 % of the attempts of either variant have no score, or not the same number of both
  (what is missing is rarely missing at random), or fewer than two tasks have scores of both.
- "better", "worse": the paired t interval excludes 0, and both the t test and the sign-flip test have
  p <= 0.05 after Holm's correction for the number of variants compared with the baseline.
- "promising, not established": not that, but one of the two tests alone has an uncorrected p <= 0.05, for or
  against the variant; the sentence says which.
- "no difference shown": neither has. It does not say that there is no difference; the sentence says how large
  a difference these tasks show with 80 % power.

Where tasks fall into 10 groups or more, standard error and sign flips are by group. With fewer groups they
are by task, and the sentence says that nothing is claimed beyond these groups. Two variants that send the
same requests (A/A) are labelled: whatever lies between them is noise, so they end in "no difference shown"
whatever the tests say. Replies of the offline stand-in lead to a verdict by the same rules, with a label
before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.comparison.markup import visible
from workbench.comparison.scores import Scores, groups_of, is_stand_in, scores_by_variant
from workbench.comparison.statistics import (
    ALPHA,
    Interval,
    Paired,
    detectable_effect,
    detectable_effect_t,
    effect_size,
    holm,
    paired,
    tasks_needed,
    tasks_needed_t,
)
from workbench.errors import ComparisonError
from workbench.trial.trial import Run

Kind = Literal["better", "worse", "promising, not established", "no difference shown", "no verdict"]

MOST_MISSING = 0.05
"""The share of attempts without a score above which there is no verdict."""
TARGET = 0.10
"""The difference that "how many more tasks" is about."""
STAND_IN_LABEL = "OFFLINE STAND-IN, not a model: says nothing about any agent."


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one variant compares with the baseline. Effects are in units of the score (0..1), not points.

    All numbers but the counts are `None` where there is no verdict.
    """

    kind: Kind
    text: str
    """The sentence."""
    variant: str
    baseline: str
    tasks: int
    """Tasks that both have a score for."""
    groups: int | None
    repeats: int
    comparisons: int
    """Variants compared with the baseline, for which the p values are corrected."""
    same_requests: bool
    """True in an A/A comparison."""
    stand_in: bool
    """True where the offline stand-in answered."""
    effect: float | None = None
    interval: Interval | None = None
    """95 %, not corrected."""
    noise_floor: float | None = None
    t_p: float | None = None
    """Corrected by Holm, as is `sign_flip_p`."""
    sign_flip_p: float | None = None
    sign_flip_mid_p: float | None = None
    """Secondary, not corrected."""
    hedges_g: float | None = None
    detectable: float | None = None
    """The difference that these tasks show with 80 % power."""
    more_tasks: int | None = None
    """How many tasks more would show 10 points with 80 % power; 0: these do."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """A variant beside the baseline, before the number of comparisons is looked at."""

    name: str
    obstacle: str
    """Why there can be no verdict; "" where there can."""
    tasks: int
    same_requests: bool
    paired: Paired | None
    hedges_g: float | None


def reach_verdicts(run: Run, *, baseline: str) -> tuple[Verdict, ...]:
    """A verdict for every other variant, in the order of the run.

    Raises:
        ComparisonError: the baseline is not a variant of the run.
    """
    if baseline not in run.variants:
        known = ", ".join(repr(name) for name in run.variants) or "none"
        raise ComparisonError(f"there is no variant {baseline!r} to compare with; the run has {known}")
    scores = scores_by_variant(run)
    pairs = [_pair(run, scores, baseline, name) for name in run.variants if name != baseline]
    t_p = holm([1.0 if pair.paired is None else pair.paired.t_p for pair in pairs])
    flip_p = holm([1.0 if pair.paired is None else pair.paired.sign_flip.p for pair in pairs])
    return tuple(
        _verdict(run, baseline, pair, t_p=t_p[index], sign_flip_p=flip_p[index], comparisons=len(pairs))
        for index, pair in enumerate(pairs)
    )


def points(value: float, *, sign: bool = True) -> str:
    """A value of 0..1 in points of 100: "+16.7"."""
    rounded = round(100 * value, 1)
    if rounded == 0:
        return "0.0"
    return f"{rounded:+.1f}" if sign else f"{rounded:.1f}"


def _pair(run: Run, scores: dict[str, Scores], baseline: str, name: str) -> _Pair:
    differences = scores[name].means - scores[baseline].means
    both = ~np.isnan(differences)
    count = int(both.sum())
    obstacle = _obstacle(name, scores[name], baseline, scores[baseline], tasks=count)
    found = None
    g_z = None
    if not obstacle:
        groups = groups_of(run)
        present = None if groups is None else [group for group, is_in in zip(groups, both, strict=True) if is_in]
        found = paired(differences[both], groups=present)
        g_z = effect_size(differences[both])[1] if found.standard_error > 0 else None
    return _Pair(
        name=name,
        obstacle=obstacle,
        tasks=count,
        same_requests=_send_the_same(run, baseline, name),
        paired=found,
        hedges_g=g_z,
    )


def _obstacle(name: str, scores: Scores, baseline: str, base: Scores, *, tasks: int) -> str:
    unequal = scores.missing != base.missing
    too_many = max(scores.missing, base.missing) > MOST_MISSING * scores.planned
    if unequal or too_many:
        reason = "more than 5 % are missing" if too_many else "not the same number is missing"
        return f"{_missing(name, scores)}, {_missing(baseline, base)}: {reason}. {_remedy(scores, base)}"
    if tasks < 2:
        return f"{tasks} task{'' if tasks == 1 else 's'} with scores of both; it takes at least 2."
    return ""


def _missing(name: str, scores: Scores) -> str:
    reasons = [
        f"{count} {status.replace('_', ' ')}"
        for status, count in scores.statuses.items()
        if count and status != "scored"
    ]
    ending = f" ({', '.join(reasons)})" if reasons else ""
    return f"{scores.missing} of {scores.planned} attempts of {_named(name)} have no score{ending}"


def _remedy(scores: Scores, base: Scores) -> str:
    ended = {status for found in (scores, base) for status, count in found.statuses.items() if count}
    steps = []
    if ended & {"failed", "stopped", "not_run"}:
        steps.append("run the plan again, it asks only for what is missing")
    if "cut_off" in ended:
        steps.append("raise max_tokens for what was cut off")
    if "declined" in ended:
        steps.append("give the tasks a grader that does not decline")
    if not steps:
        steps.append("change the tasks that are refused or answered with nothing")
    sentence = "; ".join(steps)
    return sentence[0].upper() + sentence[1:] + "."


def _send_the_same(run: Run, baseline: str, name: str) -> bool:
    asked = {
        variant: {(t.task_id, t.repeat): t.request for t in run.trials if t.variant == variant}
        for variant in (baseline, name)
    }
    common = asked[baseline].keys() & asked[name].keys()
    return bool(common) and all(asked[baseline][attempt] == asked[name][attempt] for attempt in common)


def _verdict(run: Run, baseline: str, pair: _Pair, *, t_p: float, sign_flip_p: float, comparisons: int) -> Verdict:
    stand_in = is_stand_in(run)
    label = f"{STAND_IN_LABEL} " if stand_in else ""
    heading = f"{label}{_named(pair.name)} against {_named(baseline)}"
    found = pair.paired
    if found is None:
        return Verdict(
            kind="no verdict",
            text=f"{heading}: no verdict. {pair.obstacle}",
            variant=pair.name,
            baseline=baseline,
            tasks=pair.tasks,
            groups=None,
            repeats=run.repeats,
            comparisons=comparisons,
            same_requests=pair.same_requests,
            stand_in=stand_in,
        )
    kind = _kind(found, t_p, sign_flip_p, same_requests=pair.same_requests)
    more_tasks = _more_tasks(found)
    if pair.same_requests:
        heading += " (A/A: both send the same requests)"
    against_variant = kind == "promising, not established" and found.effect < 0
    favours = f", in favour of {_named(baseline)}" if against_variant else ""
    low, high = points(found.interval.low), points(found.interval.high)
    sentence = "; ".join(
        [
            f"{points(found.effect)} points, 95 % CI [{low}, {high}], {_size(found, run.repeats)}",
            f"noise floor ±{points(found.noise_floor, sign=False)}",
            *_tests(found, t_p, sign_flip_p, comparisons),
            *_group_limits(found),
            *_what_settles(found, kind, more_tasks, same_requests=pair.same_requests),
        ]
    )
    return Verdict(
        kind=kind,
        text=f"{heading}: {kind}{favours}. {sentence}.",
        variant=pair.name,
        baseline=baseline,
        tasks=found.tasks,
        groups=found.groups,
        repeats=run.repeats,
        comparisons=comparisons,
        same_requests=pair.same_requests,
        stand_in=stand_in,
        effect=found.effect,
        interval=found.interval,
        noise_floor=found.noise_floor,
        t_p=t_p,
        sign_flip_p=sign_flip_p,
        sign_flip_mid_p=found.sign_flip.mid_p,
        hedges_g=pair.hedges_g,
        detectable=detectable_effect(found.variance, found.tasks) if found.standard_error > 0 else None,
        more_tasks=more_tasks,
    )


def _kind(found: Paired, t_p: float, sign_flip_p: float, *, same_requests: bool) -> Kind:
    if same_requests:
        return "no difference shown"
    if found.interval.excludes_zero and t_p <= ALPHA and sign_flip_p <= ALPHA:
        return "better" if found.effect > 0 else "worse"
    if found.interval.excludes_zero or found.sign_flip.p <= ALPHA:
        return "promising, not established"
    return "no difference shown"


def _more_tasks(found: Paired) -> int | None:
    if found.standard_error == 0:
        return None
    return max(0, math.ceil(tasks_needed(found.variance, TARGET)) - found.tasks)


def _size(found: Paired, repeats: int) -> str:
    grouped = "" if found.groups is None else f" in {found.groups} groups"
    return f"n = {found.tasks} tasks{grouped} x {repeats} repeat{'' if repeats == 1 else 's'}"


def _tests(found: Paired, t_p: float, sign_flip_p: float, comparisons: int) -> list[str]:
    by = " by group" if found.clustered else ""
    flip = "exact sign-flip" if found.sign_flip.method == "exact" else f"sign-flip ({found.sign_flip.method})"
    t_name = "paired t" if found.standard_error > 0 else "Wilson bound on equal differences"
    tests = f"{t_name}{by} p {_p(t_p)}, {flip}{by} p {_p(sign_flip_p)}"
    mid_p = f"mid-p {_p(found.sign_flip.mid_p)}"
    if comparisons == 1:
        return [f"{tests} ({mid_p})", "1 comparison, nothing to correct for"]
    return [f"{tests}, both corrected for {comparisons} comparisons by Holm (uncorrected {mid_p})"]


def _group_limits(found: Paired) -> list[str]:
    flip = found.group_sign_flip
    if flip is None or found.clustered:
        return []
    least = _p(flip.floor).removeprefix("= ")
    return [
        f"{found.groups} groups cannot support a group-level claim"
        f" (sign-flip by group p {_p(flip.p)}, at least {least})"
    ]


def _what_settles(found: Paired, kind: Kind, more_tasks: int | None, *, same_requests: bool) -> list[str]:
    if same_requests:
        return ["whatever lies between them is noise"]
    if more_tasks is None:
        return ["all differences are equal, so only other tasks or finer graders can tell more"]
    z = points(detectable_effect(found.variance, found.tasks), sign=False)
    t = points(detectable_effect_t(found.variance, found.tasks), sign=False)
    power = f"these tasks show {z} points with 80 % power ({t} by t)"
    if kind in ("better", "worse") or more_tasks == 0:
        return [power]
    goal = points(math.copysign(TARGET, found.effect)).removesuffix(".0")
    by_t = max(1, math.ceil(tasks_needed_t(found.variance, TARGET)) - found.tasks)
    needed = (
        f"about {more_tasks} more task{'' if more_tasks == 1 else 's'} would detect {goal} points"
        f" with 80 % power ({by_t} by t)"
    )
    return [power, needed] if kind == "no difference shown" else [needed]


def _named(name: str) -> str:
    return f'"{visible(name)}"'


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.2g}" if value < 0.1 else f"= {value:.3g}"
