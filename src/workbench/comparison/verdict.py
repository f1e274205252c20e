"""The verdict: the sentence a comparison ends in, by fixed rules.

Each variant is compared with the baseline over the tasks that both have a score for, on task means, paired.

- "no verdict": more than 5 % of the attempts of either variant have no score; or their shares differ, by more than
  one point or by more than chance would have it (exact test of an equal split, p <= 0.05), for what is missing is
  rarely missing at random; or fewer than two tasks have scores of both. What is missing within these bounds is named.
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
before it, and so does a run that was looked at before its end: p values are for a number of tasks fixed beforehand.

`docs/verdict.md` says the same to those who read verdicts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from workbench.comparison.scores import Scores, groups_of, is_stand_in, scores_by_variant
from workbench.errors import ComparisonError
from workbench.markup import counted, visible
from workbench.statistics.corrections import holm
from workbench.statistics.intervals import LEVEL, Floats, Interval
from workbench.statistics.means import Paired, detectable_effect_t, effect_size, paired, tasks_needed_t
from workbench.statistics.permutation import mcnemar
from workbench.statistics.power import ALPHA, POWER, detectable_effect, tasks_needed
from workbench.trial.trial import Failure, Request, Run

Kind = Literal["better", "worse", "promising, not established", "no difference shown", "no verdict"]

MOST_MISSING = 0.05
"""The share of attempts without a score above which there is no verdict."""
MOST_APART = 0.01
"""The difference between two variants' shares without a score above which there is no verdict."""
TARGET = 0.10
"""The difference that "how many more tasks" is about."""
_REFUSED_FOR_GOOD = {400, 401, 402, 403, 404, 413}
"""Statuses that the same request would be answered with again."""
_LONGEST_REASON = 160
STAND_IN_LABEL = "OFFLINE STAND-IN, not a model: says nothing about any agent."
EXPLORATORY_LABEL = "EXPLORATORY, looked at before the end:"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one variant compares with the baseline. Effects are in units of the score (0..1), not points.

    All numbers but the counts are `None` where there is no verdict.
    """

    kind: Kind
    text: str
    """The sentence."""
    headline: str
    """How it begins: the labels, the kind, the effect and its interval."""
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
    exploratory: bool = False
    """True where attempts of either variant were stopped or not yet made."""
    missing: int = 0
    """Attempts of both variants without a score."""
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
    """The difference that these tasks show with a power of `POWER` at `ALPHA`, corrected for all comparisons."""
    more_tasks: int | None = None
    """How many tasks more would show `TARGET` at the same power and level; 0: these do."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """A variant beside the baseline, before the number of comparisons is looked at."""

    name: str
    obstacle: str
    """Why there can be no verdict; "" where there can."""
    tasks: int
    missing: int
    planned: int
    unfinished: int
    """Attempts that were stopped or not made."""
    same_requests: bool
    one_pass_or_fail: bool
    """One repeat, scored 0 or 1."""
    paired: Paired | None
    hedges_g: float | None


@dataclass(frozen=True, kw_only=True)
class _Corrected:
    """The p values of a pair, corrected by Holm for so many comparisons."""

    t_p: float
    sign_flip_p: float
    comparisons: int


def reach_verdicts(run: Run, *, baseline: str, scores: Mapping[str, Scores] | None = None) -> tuple[Verdict, ...]:
    """A verdict for every other variant, in the order of the run.

    `scores` are those of `scores_by_variant(run)`, where they are at hand.

    Raises:
        ComparisonError: the baseline is not a variant of the run.
    """
    if baseline not in run.variants:
        known = ", ".join(repr(name) for name in run.variants) or "none"
        raise ComparisonError(f"there is no variant {baseline!r} to compare with; the run has {known}")
    found = scores_by_variant(run) if scores is None else scores
    asked = _requests(run)
    others = [name for name in run.variants if name != baseline]
    pairs = [_pair(run, found, baseline, name, same_requests=_are_same(asked, baseline, name)) for name in others]
    t_p = holm([1.0 if pair.paired is None else pair.paired.t_p for pair in pairs])
    flip_p = holm([1.0 if pair.paired is None else pair.paired.sign_flip.p for pair in pairs])
    stand_in = bool(pairs) and is_stand_in(run)
    return tuple(
        _verdict(
            run,
            baseline,
            pair,
            _Corrected(t_p=t_p[index], sign_flip_p=flip_p[index], comparisons=len(pairs)),
            stand_in=stand_in,
        )
        for index, pair in enumerate(pairs)
    )


def points(value: float, *, sign: bool = True) -> str:
    """A value of 0..1 in points of 100: "+16.7"."""
    rounded = round(100 * value, 1)
    if rounded == 0:
        return "0.0"
    return f"{rounded:+.1f}" if sign else f"{rounded:.1f}"


def percent(share: float) -> str:
    """A share of 1 in percent: "95 %"."""
    return f"{100 * share:g} %"


def _pair(run: Run, scores: Mapping[str, Scores], baseline: str, name: str, *, same_requests: bool) -> _Pair:
    own, base = scores[name], scores[baseline]
    of_variant, of_baseline = own.means, base.means
    both = ~np.isnan(of_variant - of_baseline)
    differences = of_variant[both] - of_baseline[both]
    obstacle = _obstacle(run, name, own, baseline, base, tasks=len(differences))
    found = None
    g_z = None
    if not obstacle:
        groups = groups_of(run)
        present = None if groups is None else [group for group, is_in in zip(groups, both, strict=True) if is_in]
        found = paired(differences, groups=present)
        g_z = effect_size(differences)[1] if found.standard_error > 0 else None
    return _Pair(
        name=name,
        obstacle=obstacle,
        tasks=len(differences),
        missing=own.missing + base.missing,
        planned=own.planned + base.planned,
        unfinished=sum(side.statuses[status] for side in (own, base) for status in ("stopped", "not_run")),
        same_requests=same_requests,
        one_pass_or_fail=run.repeats == 1 and _are_passes(of_variant[both]) and _are_passes(of_baseline[both]),
        paired=found,
        hedges_g=g_z,
    )


def _are_passes(scores: Floats) -> bool:
    return bool(np.isin(scores, (0.0, 1.0)).all())


def _obstacle(run: Run, name: str, scores: Scores, baseline: str, base: Scores, *, tasks: int) -> str:
    too_many = max(scores.missing, base.missing) > MOST_MISSING * scores.planned
    apart = abs(scores.missing - base.missing) > MOST_APART * scores.planned
    if too_many or apart or mcnemar(scores.missing, base.missing).p <= ALPHA:
        reason = f"more than {percent(MOST_MISSING)} are missing" if too_many else "not the same share is missing"
        failures = _failures(run, (name, baseline))
        missing = f"{_missing(name, scores)}, {_missing(baseline, base)}: {reason}."
        return " ".join([missing, _remedy(scores, base, failures), *_why(failures)])
    if tasks < 2:
        return f"{counted(tasks, 'task')} with scores of both; it takes at least 2."
    return ""


def _missing(name: str, scores: Scores) -> str:
    reasons = [
        f"{count} {status.replace('_', ' ')}"
        for status, count in scores.statuses.items()
        if count and status != "scored"
    ]
    ending = f" ({', '.join(reasons)})" if reasons else ""
    return f"{scores.missing} of {scores.planned} attempts of {_named(name)} have no score{ending}"


def _failures(run: Run, names: Sequence[str]) -> dict[str, Counter[Failure]]:
    """By variant, how often attempts failed with what."""
    found: dict[str, Counter[Failure]] = {name: Counter() for name in names}
    for trial in run.trials:
        if trial.variant in found and trial.outcome == "failed" and trial.failure is not None:
            found[trial.variant][replace(trial.failure, request_id=None)] += 1
    return found


def _why(failures: Mapping[str, Counter[Failure]]) -> list[str]:
    """For each variant that failed, with what it most often did."""
    sentences = []
    for name, counts in failures.items():
        for failure, count in counts.most_common(1):
            status = "" if failure.status is None else f" ({failure.status})"
            said = visible(failure.message)
            said = said if len(said) <= _LONGEST_REASON else f"{said[: _LONGEST_REASON - 1]}…"
            often = "" if len(counts) == 1 else f" {count} times"
            sentences.append(f"{_named(name)} failed{often} with {visible(failure.type)}{status}: {said.rstrip('.')}.")
    return sentences


def _remedy(scores: Scores, base: Scores, failures: Mapping[str, Counter[Failure]]) -> str:
    ended = {status for found in (scores, base) for status, count in found.statuses.items() if count}
    refused = any(failure.status in _REFUSED_FOR_GOOD for counts in failures.values() for failure in counts)
    steps = []
    if ended & {"failed", "stopped", "not_run"}:
        first = "mend what the server does not accept, then " if refused else ""
        steps.append(f"{first}run the plan again, it asks only for what is missing")
    if "cut_off" in ended:
        steps.append("raise max_tokens for what was cut off")
    if "declined" in ended:
        steps.append("give the tasks a grader that does not decline")
    if not steps:
        steps.append("change the tasks that are refused or answered with nothing")
    sentence = "; ".join(steps)
    return sentence[0].upper() + sentence[1:] + "."


def _requests(run: Run) -> dict[str, dict[str, Request]]:
    """By variant and task id; the repeats of a task send the same."""
    asked: dict[str, dict[str, Request]] = {name: {} for name in run.variants}
    for trial in run.trials:
        asked[trial.variant].setdefault(trial.task_id, trial.request)
    return asked


def _are_same(asked: Mapping[str, Mapping[str, Request]], baseline: str, name: str) -> bool:
    common = asked[baseline].keys() & asked[name].keys()
    return bool(common) and all(asked[baseline][task] == asked[name][task] for task in common)


def _verdict(run: Run, baseline: str, pair: _Pair, corrected: _Corrected, *, stand_in: bool) -> Verdict:
    comparisons = corrected.comparisons
    heading = f"{_labels(pair, stand_in=stand_in)}{_named(pair.name)} against {_named(baseline)}"
    if pair.same_requests:
        heading += " (A/A: both send the same requests)"
    found = pair.paired
    if found is None:
        return Verdict(
            kind="no verdict",
            text=f"{heading}: no verdict. {pair.obstacle}",
            headline=f"{heading}: no verdict.",
            variant=pair.name,
            baseline=baseline,
            tasks=pair.tasks,
            groups=None,
            repeats=run.repeats,
            comparisons=comparisons,
            same_requests=pair.same_requests,
            stand_in=stand_in,
            exploratory=pair.unfinished > 0,
            missing=pair.missing,
        )
    kind = _kind(found, corrected, same_requests=pair.same_requests)
    more_tasks = _more_tasks(found, comparisons)
    against_variant = kind == "promising, not established" and found.effect < 0
    favours = f", in favour of {_named(baseline)}" if against_variant else ""
    low, high = points(found.interval.low), points(found.interval.high)
    headline = f"{heading}: {kind}{favours}. {points(found.effect)} points, {percent(LEVEL)} CI [{low}, {high}]"
    details = "; ".join(
        [
            _size(found, run.repeats),
            f"noise floor ±{points(found.noise_floor, sign=False)}",
            *_tests(found, corrected, flip_name=_flip_name(pair, found)),
            *_group_limits(found),
            *_left_out(pair),
            *_what_settles(found, kind, more_tasks, comparisons, same_requests=pair.same_requests),
        ]
    )
    return Verdict(
        kind=kind,
        text=f"{headline}, {details}.",
        headline=headline,
        variant=pair.name,
        baseline=baseline,
        tasks=found.tasks,
        groups=found.groups,
        repeats=run.repeats,
        comparisons=comparisons,
        same_requests=pair.same_requests,
        stand_in=stand_in,
        exploratory=pair.unfinished > 0,
        missing=pair.missing,
        effect=found.effect,
        interval=found.interval,
        noise_floor=found.noise_floor,
        t_p=corrected.t_p,
        sign_flip_p=corrected.sign_flip_p,
        sign_flip_mid_p=found.sign_flip.mid_p,
        hedges_g=pair.hedges_g,
        detectable=_detectable(found, comparisons),
        more_tasks=more_tasks,
    )


def _labels(pair: _Pair, *, stand_in: bool) -> str:
    labels = f"{STAND_IN_LABEL} " if stand_in else ""
    if not pair.unfinished:
        return labels
    of = f"{pair.unfinished:,} of {pair.planned:,} attempts were stopped or not made yet"
    return f"{labels}{EXPLORATORY_LABEL} {of}, and p values are for a run that is looked at once. "


def _kind(found: Paired, corrected: _Corrected, *, same_requests: bool) -> Kind:
    if same_requests:
        return "no difference shown"
    if found.interval.excludes_zero and corrected.t_p <= ALPHA and corrected.sign_flip_p <= ALPHA:
        return "better" if found.effect > 0 else "worse"
    if found.interval.excludes_zero or found.sign_flip.p <= ALPHA:
        return "promising, not established"
    return "no difference shown"


def _detectable(found: Paired, comparisons: int) -> float | None:
    if found.standard_error == 0:
        return None
    return detectable_effect(found.variance, found.tasks, comparisons=comparisons)


def _more_tasks(found: Paired, comparisons: int) -> int | None:
    if found.standard_error == 0:
        return None
    needed = tasks_needed(found.variance, TARGET, comparisons=comparisons)
    return max(0, math.ceil(needed) - found.tasks)


def _size(found: Paired, repeats: int) -> str:
    grouped = "" if found.groups is None else f" in {found.groups} groups"
    return f"n = {found.tasks} tasks{grouped} x {counted(repeats, 'repeat')}"


def _flip_name(pair: _Pair, found: Paired) -> str:
    if found.sign_flip.method != "exact":
        return f"sign-flip ({found.sign_flip.method})"
    return "exact McNemar" if pair.one_pass_or_fail and not found.clustered else "exact sign-flip"


def _tests(found: Paired, corrected: _Corrected, *, flip_name: str) -> list[str]:
    by = " by group" if found.clustered else ""
    t_name = "paired t" if found.standard_error > 0 else "Wilson bound on equal differences"
    tests = f"{t_name}{by} p {_p(corrected.t_p)}, {flip_name}{by} p {_p(corrected.sign_flip_p)}"
    mid_p = f"mid-p {_p(found.sign_flip.mid_p)}"
    if corrected.comparisons == 1:
        return [f"{tests} ({mid_p})", "1 comparison, nothing to correct for"]
    return [f"{tests}, both corrected for {corrected.comparisons} comparisons by Holm (uncorrected {mid_p})"]


def _group_limits(found: Paired) -> list[str]:
    flip = found.group_sign_flip
    if flip is None or found.clustered:
        return []
    least = _p(flip.floor).removeprefix("= ")
    return [
        f"{found.groups} groups cannot support a group-level claim"
        f" (sign-flip by group p {_p(flip.p)}, at least {least})"
    ]


def _left_out(pair: _Pair) -> Sequence[str]:
    return [f"{pair.missing:,} of {pair.planned:,} attempts have no score"] if pair.missing else []


def _what_settles(
    found: Paired, kind: Kind, more_tasks: int | None, comparisons: int, *, same_requests: bool
) -> list[str]:
    if same_requests:
        return ["whatever lies between them is noise"]
    if more_tasks is None:
        return ["all differences are equal, so only other tasks or finer graders can tell more"]
    z = points(detectable_effect(found.variance, found.tasks, comparisons=comparisons), sign=False)
    t = points(detectable_effect_t(found.variance, found.tasks, comparisons=comparisons), sign=False)
    power = f"these tasks would show a difference of {z} points with {percent(POWER)} power ({t} by t)"
    if kind in ("better", "worse") or more_tasks == 0:
        return [power]
    goal = points(math.copysign(TARGET, found.effect)).removesuffix(".0")
    by_t = max(1, math.ceil(tasks_needed_t(found.variance, TARGET, comparisons=comparisons)) - found.tasks)
    needed = (
        f"about {counted(more_tasks, 'more task')} would detect {goal} points with {percent(POWER)} power ({by_t} by t)"
    )
    return [power, needed] if kind == "no difference shown" else [needed]


def _named(name: str) -> str:
    return f'"{visible(name)}"'


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.2g}" if value < 0.1 else f"= {value:.3g}"
