"""The verdict: the sentence a comparison ends in, by fixed rules.

Each variant is compared with the baseline over the tasks that both have a score for, on task means, paired.

- "not graded": no task names a grader. The sentence is about measures (`measures`): what differs between the replies,
  and never which are better.
- "no verdict": more than 5 % of the attempts of either variant have no score; or their shares differ, by more than
  one point or by more than chance would have it (exact test of an equal split, p <= 0.05), for what is missing is
  rarely missing at random; or fewer than two tasks have scores of both. What is missing within these bounds is named.
  Tasks that name no grader are left out, and counted.
- "better", "worse": the paired t interval excludes 0, and both the t test and the sign-flip test have
  p <= 0.05 after Holm's correction for the number of variants compared with the baseline.
- "promising, not established": not that, but one of the two tests alone has an uncorrected p <= 0.05, for or
  against the variant; the sentence says which.
- "no difference shown": neither has. It does not say that there is no difference; the sentence says how large
  a difference these tasks show with 80 % power.

Where tasks fall into 10 groups or more, standard error and sign flips are by group. With fewer groups they
are by task, and the sentence says that nothing is claimed beyond these groups. Two variants that send the
same requests (A/A) are labelled: whatever lies between them is noise, so they end in "no difference shown"
whatever the tests say. Where all replies of both, or their scores at each task, are the same, "identical" is said of
these instead. Replies of the offline stand-in lead to a verdict by the same rules, with a label
before it, and so does a run that was looked at before its end: p values are for a number of tasks fixed beforehand.

What a reader meets first, `Verdict.headline`, has at most 25 words with its labels, of which a name is one; so there
the labels are said shortly, and counts and tests stand in `Verdict.text`.

`docs/verdict.md` says the same to those who read verdicts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from workbench.comparison.columns import TrialColumns, trial_columns
from workbench.comparison.figures import IDENTICAL_REPLIES, IDENTICAL_SCORES, MAY_BE_WORSE, Kind, named, p_in_words
from workbench.comparison.figures import percent as percent
from workbench.comparison.figures import points as points
from workbench.comparison.measures import MeasureChange, measure_changes
from workbench.comparison.scores import (
    Scores,
    groups_of,
    is_stand_in,
    missing_in_words,
    same_requests,
    scores_by_variant,
)
from workbench.errors import ComparisonError
from workbench.markup import counted, visible
from workbench.statistics.corrections import holm
from workbench.statistics.intervals import LEVEL, Floats, Interval
from workbench.statistics.means import Paired, detectable_effect_t, effect_size, paired, tasks_needed_t
from workbench.statistics.power import ALPHA, FEWEST_COMPARED, POWER, detectable_effect, tasks_needed
from workbench.trial.trial import Failure, Run

RULES: Mapping[Kind, str] = {
    "better": f"the {percent(LEVEL)} interval lies above 0; t and sign flips both say so, corrected for all variants",
    "worse": "the same below 0",
    "promising, not established": "one of the two tests alone says so, or only before correction",
    "no difference shown": "neither; it does not say that there is none",
    "no verdict": "too many attempts have no score, not the same share of both, or fewer than 2 tasks have one",
    "not graded": "no task names a grader: what differs is said by measures, and better or worse is not",
}
"""How each verdict is reached, for whoever reads one."""

TARGET = 0.10
"""The difference that "how many more tasks" is about."""
_REFUSED_FOR_GOOD = {400, 401, 402, 403, 404, 413}
"""Statuses that the same request would be answered with again."""
_LONGEST_REASON = 160
STAND_IN_LABEL = "OFFLINE STAND-IN, not a model: says nothing about any agent."
EXPLORATORY_LABEL = "EXPLORATORY, looked at before the end:"
STAND_IN_SHORTLY = "OFFLINE STAND-IN, no model."
EXPLORATORY_SHORTLY = "EXPLORATORY, unfinished."


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one variant compares with the baseline. Effects are in units of the score (0..1), not points.

    All numbers but the counts are `None` where there is no verdict.
    """

    kind: Kind
    text: str
    """The sentence in full, with its tests."""
    headline: str
    """What a reader meets first: the labels shortly and the finding, together in at most 25 words, of which a name is
    one."""
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
    identical: Literal["", "scores", "replies"] = ""
    """What is the same of both, of all that they replied or at every task that both have a score for."""
    exploratory: bool = False
    """True where attempts of either variant were stopped or not yet made."""
    missing: int = 0
    """Attempts of both variants without a score, at the tasks whose replies are graded."""
    ungraded_tasks: int = 0
    """Tasks that name no grader; they count in measures alone."""
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

    @property
    def shown_kind(self) -> str:
        """The kind as it is said. What may be worse is called no promise, and what is identical so."""
        if self.identical and self.kind == "no difference shown":
            return IDENTICAL_REPLIES if self.identical == "replies" else IDENTICAL_SCORES
        if self.kind == "promising, not established" and self.effect is not None and self.effect < 0:
            return MAY_BE_WORSE
        return self.kind

    @property
    def heading(self) -> str:
        """The kind as a heading."""
        return f"{self.shown_kind[0].upper()}{self.shown_kind[1:]}"


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """A variant beside the baseline, before the number of comparisons is looked at."""

    name: str
    obstacle: str
    """Why there can be no verdict; "" where there can."""
    tasks: int
    missing: int
    to_score: int
    """Planned attempts at the tasks whose replies are graded."""
    planned: int
    unfinished: int
    """Attempts that were stopped or not made."""
    ungraded_tasks: int
    same_requests: bool
    identical: Literal["", "scores", "replies"]
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


def reach_verdicts(
    run: Run,
    *,
    baseline: str,
    scores: Mapping[str, Scores] | None = None,
    columns: TrialColumns | None = None,
    families: int = 1,
) -> tuple[Verdict, ...]:
    """A verdict for every other variant, in the order of the run.

    `scores` are those of `scores_by_variant(run)` and `columns` those of `trial_columns(run)`, where they are at hand.
    With `families`, so many comparisons as this one are read beside each other, and p values are corrected for all.

    Raises:
        ComparisonError: the baseline is not a variant of the run.
    """
    if baseline not in run.variants:
        known = ", ".join(repr(name) for name in run.variants) or "none"
        raise ComparisonError(f"there is no variant {baseline!r} to compare with; the run has {known}")
    found = scores_by_variant(run) if scores is None else scores
    alike = same_requests(run, baseline=baseline)
    others = [name for name in run.variants if name != baseline]
    pairs = [_pair(run, found, baseline, name, same_requests=name in alike) for name in others]
    t_p = holm([1.0 if pair.paired is None else pair.paired.t_p for pair in pairs])
    flip_p = holm([1.0 if pair.paired is None else pair.paired.sign_flip.p for pair in pairs])
    stand_in = bool(pairs) and is_stand_in(run)
    graded = found[baseline].to_score // run.repeats
    if pairs and graded < min(FEWEST_COMPARED, len(run.tasks)):
        changes = measure_changes(
            trial_columns(run) if columns is None else columns, baseline=baseline, families=families
        )
        return tuple(
            _of_measures(
                run, baseline, pair, [each for each in changes if each.variant == pair.name], stand_in=stand_in
            )
            for pair in pairs
        )
    return tuple(
        _verdict(
            run,
            baseline,
            pair,
            _Corrected(
                t_p=min(1.0, families * t_p[index]),
                sign_flip_p=min(1.0, families * flip_p[index]),
                comparisons=families * len(pairs),
            ),
            stand_in=stand_in,
        )
        for index, pair in enumerate(pairs)
    )


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
        to_score=own.to_score + base.to_score,
        planned=own.planned + base.planned,
        unfinished=sum(side.statuses[status] for side in (own, base) for status in ("stopped", "not_run")),
        ungraded_tasks=len(run.tasks) - own.to_score // run.repeats,
        same_requests=same_requests,
        identical=_identical(run, baseline, name, found),
        one_pass_or_fail=run.repeats == 1 and _are_passes(of_variant[both]) and _are_passes(of_baseline[both]),
        paired=found,
        hedges_g=g_z,
    )


def _identical(run: Run, baseline: str, name: str, found: Paired | None) -> Literal["", "scores", "replies"]:
    """What both have alike, also grader by grader: what one promise lost and another gained is no likeness."""
    if found is not None and not found.is_identical:
        return ""
    scored: dict[str, Counter[tuple[str, frozenset[tuple[str, float | None]]]]] = {baseline: Counter(), name: Counter()}
    said: dict[str, Counter[tuple[str, str]]] = {baseline: Counter(), name: Counter()}
    for trial in run.trials:
        if trial.variant in said and trial.reply is not None:
            said[trial.variant][trial.task_id, trial.reply.text] += 1
            values = frozenset((promise, score.value) for promise, score in trial.scores.items())
            scored[trial.variant][trial.task_id, values] += 1
    if scored[baseline] != scored[name]:
        return ""
    if said[baseline] and said[baseline] == said[name]:
        return "replies"
    return "" if found is None else "scores"


def _are_passes(scores: Floats) -> bool:
    return bool(np.isin(scores, (0.0, 1.0)).all())


def _obstacle(run: Run, name: str, scores: Scores, baseline: str, base: Scores, *, tasks: int) -> str:
    reason = missing_in_words((scores.missing, base.missing), scores.to_score)
    if reason:
        failures = _failures(run, (name, baseline))
        missing = f"{_missing(name, scores)}, {_missing(baseline, base)}: {reason}."
        return " ".join([missing, _remedy(scores, base, failures), *_why(failures)])
    if tasks < FEWEST_COMPARED:
        return f"{counted(tasks, 'task')} with scores of both; it takes at least {FEWEST_COMPARED}."
    return ""


def _missing(name: str, scores: Scores) -> str:
    reasons = [
        f"{count} {status.replace('_', ' ')}"
        for status, count in scores.graded_statuses.items()
        if count and status != "scored"
    ]
    ending = f" ({', '.join(reasons)})" if reasons else ""
    return f"{scores.missing} of {counted(scores.to_score, 'attempt')} of {named(name)} have no score{ending}"


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
            sentences.append(f"{named(name)} failed{often} with {visible(failure.type)}{status}: {said.rstrip('.')}.")
    return sentences


def _remedy(scores: Scores, base: Scores, failures: Mapping[str, Counter[Failure]]) -> str:
    ended = {status for found in (scores, base) for status, count in found.graded_statuses.items() if count}
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


def _verdict(run: Run, baseline: str, pair: _Pair, corrected: _Corrected, *, stand_in: bool) -> Verdict:
    comparisons = corrected.comparisons
    heading = _labels(pair, stand_in=stand_in) + _heading(pair, baseline)
    shortly = _labels_shortly(pair, stand_in=stand_in)
    found = pair.paired
    if found is None:
        return Verdict(
            kind="no verdict",
            text=f"{heading}: no verdict. {pair.obstacle}",
            headline=f"{shortly}{_plainly(pair, baseline, 'no verdict')}",
            variant=pair.name,
            baseline=baseline,
            tasks=pair.tasks,
            groups=None,
            repeats=run.repeats,
            comparisons=comparisons,
            same_requests=pair.same_requests,
            stand_in=stand_in,
            identical=pair.identical,
            exploratory=pair.unfinished > 0,
            missing=pair.missing,
            ungraded_tasks=pair.ungraded_tasks,
        )
    kind = _kind(found, corrected, same_requests=pair.same_requests)
    more_tasks = _more_tasks(found, comparisons)
    against_variant = kind == "promising, not established" and found.effect < 0
    favours = f", in favour of {named(baseline)}" if against_variant else ""
    low, high = points(found.interval.low), points(found.interval.high)
    shown = {"replies": IDENTICAL_REPLIES, "scores": IDENTICAL_SCORES}.get(pair.identical, kind)
    beginning = f"{heading}: {shown}{favours}. {points(found.effect)} points, {percent(LEVEL)} CI [{low}, {high}]"
    details = "; ".join(
        [
            _size(found, run.repeats),
            f"noise floor ±{points(found.noise_floor, sign=False)}",
            *_tests(found, corrected, flip_name=_flip_name(pair, found)),
            *_group_limits(found),
            *_left_out(pair),
            *_what_settles(pair, found, kind, more_tasks, comparisons),
        ]
    )
    return Verdict(
        kind=kind,
        text=f"{beginning}, {details}.",
        headline=f"{shortly}{_plainly(pair, baseline, kind)}",
        variant=pair.name,
        baseline=baseline,
        tasks=found.tasks,
        groups=found.groups,
        repeats=run.repeats,
        comparisons=comparisons,
        same_requests=pair.same_requests,
        stand_in=stand_in,
        identical=pair.identical,
        exploratory=pair.unfinished > 0,
        missing=pair.missing,
        ungraded_tasks=pair.ungraded_tasks,
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


def _heading(pair: _Pair, baseline: str) -> str:
    alike = " (A/A: both send the same requests)" if pair.same_requests else ""
    return f"{named(pair.name)} against {named(baseline)}{alike}"


def _plainly(pair: _Pair, baseline: str, kind: Kind) -> str:
    """The finding in at most 19 words, of which a name is one; the labels take 6."""
    variant, base, found = named(pair.name), named(baseline), pair.paired
    if found is None:
        return f"No verdict on {variant} against {base}: {_obstacle_plainly(pair)}."
    if pair.same_requests:
        return _same_plainly(pair, baseline)
    low, high = points(found.interval.low), points(found.interval.high)
    if pair.identical == "replies":
        return f"{variant} and {base} gave identical replies to {_all_of(found.tasks)}."
    if pair.identical:
        return f"The scores of {variant} and {base} as a whole are identical at {_all_of(found.tasks)}."
    size = f"{points(abs(found.effect), sign=False)} points"
    sure = f"{percent(LEVEL)} interval {low} to {high} ({counted(found.tasks, 'task')})"
    if kind in ("better", "worse"):
        return f"{variant} is {kind} than {base} by {size}; {sure}."
    if kind == "promising, not established":
        word = "better" if found.effect > 0 else "worse"
        return f"{variant} may be {word} than {base} by {size}, not established; {sure}."
    return f"No difference between {variant} and {base} is shown: {points(found.effect)} points; {sure}."


def _all_of(tasks: int) -> str:
    return f"all {counted(tasks, 'task')}"


def _same_plainly(pair: _Pair, baseline: str) -> str:
    them = f"{named(pair.name)} and {named(baseline)}"
    if pair.identical == "replies":
        return f"{them} send the same requests, and their replies are identical."
    return f"{them} send the same requests: whatever differs between their replies is noise."


def _obstacle_plainly(pair: _Pair) -> str:
    if pair.missing:
        return f"{pair.missing:,} of {pair.to_score:,} attempts have no score"
    return f"{counted(pair.tasks, 'task')} with scores of both, and it takes {FEWEST_COMPARED}"


def _of_measures(run: Run, baseline: str, pair: _Pair, changes: Sequence[MeasureChange], *, stand_in: bool) -> Verdict:
    """The verdict where no task names a grader."""
    compared = [change for change in changes if change.kind != "not compared"]
    differ = [change for change in compared if change.kind == "differs"]
    may = [change for change in compared if change.kind == "may differ"]
    shown = f"{len(differ)} of {counted(len(compared), 'measure')} shown to differ{f', {len(may)} may' if may else ''}"
    details = [
        f"{shown}",
        *(change.text for change in differ),
        *(f"{change.text} (may differ)" for change in may),
        *(change.text for change in compared if change not in (*differ, *may)),
        *(f"{change.heading.lower()} not compared: {change.text}" for change in changes if change not in compared),
    ]
    if compared:
        most = max(change.comparisons for change in compared)
        of = f"n = {counted(max(change.tasks for change in compared), 'task')} x {counted(run.repeats, 'repeat')}"
        details.append(f"{of}; shown where t and sign flips both have p <= {ALPHA:g}, corrected for {most} by Holm")
    why = "Nothing is graded, so neither is called better: name graders in the tasks (`workbench graders` lists them)"
    return Verdict(
        kind="not graded",
        text=f"{_labels(pair, stand_in=stand_in)}{_heading(pair, baseline)}: not graded. {'; '.join(details)}. {why}.",
        headline=f"{_labels_shortly(pair, stand_in=stand_in)}{_measures_plainly(pair, baseline, changes)}",
        variant=pair.name,
        baseline=baseline,
        tasks=pair.tasks,
        groups=None,
        repeats=run.repeats,
        comparisons=len(run.variants) - 1,
        same_requests=pair.same_requests,
        stand_in=stand_in,
        identical=pair.identical,
        exploratory=pair.unfinished > 0,
        ungraded_tasks=pair.ungraded_tasks,
    )


def _measures_plainly(pair: _Pair, baseline: str, changes: Sequence[MeasureChange]) -> str:
    """As `_plainly`, where no task names a grader: how many measures differ, and the first of them."""
    both = f"{named(pair.name)} against {named(baseline)}"
    compared = [change for change in changes if change.kind != "not compared"]
    if not compared:
        return f"{both}, ungraded: nothing can be measured of both."
    if pair.same_requests:
        return _same_plainly(pair, baseline)
    differ = [change for change in compared if change.kind == "differs"]
    may = [change for change in compared if change.kind == "may differ"]
    if pair.identical == "replies":
        beside = f"; {differ[0].text}" if differ else ""  # what they took may be another all the same
        return f"{both}, ungraded: all their replies are identical{beside}."
    if differ:
        return f"{both}, ungraded: {len(differ)} of {len(compared)} measures differ; {differ[0].text}."
    if may:
        return f"{both}, ungraded: {counted(len(may), 'measure')} may differ; {may[0].text}."
    return f"{both}, ungraded: 0 of {counted(len(compared), 'measure')} shown to differ."


def _labels_shortly(pair: _Pair, *, stand_in: bool) -> str:
    return f"{STAND_IN_SHORTLY} " * stand_in + f"{EXPLORATORY_SHORTLY} " * (pair.unfinished > 0)


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
    tests = f"{t_name}{by} p {p_in_words(corrected.t_p)}, {flip_name}{by} p {p_in_words(corrected.sign_flip_p)}"
    mid_p = f"mid-p {p_in_words(found.sign_flip.mid_p)}"
    if corrected.comparisons == 1:
        return [f"{tests} ({mid_p})", "1 comparison, nothing to correct for"]
    return [f"{tests}, both corrected for {corrected.comparisons} comparisons by Holm (uncorrected {mid_p})"]


def _group_limits(found: Paired) -> list[str]:
    flip = found.group_sign_flip
    if flip is None or found.clustered:
        return []
    least = p_in_words(flip.floor).removeprefix("= ")
    return [
        f"{found.groups} groups cannot support a group-level claim"
        f" (sign-flip by group p {p_in_words(flip.p)}, at least {least})"
    ]


def _left_out(pair: _Pair) -> Sequence[str]:
    missing = [f"{pair.missing:,} of {pair.to_score:,} attempts have no score"] if pair.missing else []
    ungraded = [f"{counted(pair.ungraded_tasks, 'task')} without a grader left out"] if pair.ungraded_tasks else []
    return missing + ungraded


def _what_settles(pair: _Pair, found: Paired, kind: Kind, more_tasks: int | None, comparisons: int) -> list[str]:
    if pair.identical == "replies":
        return ["each reply of the one is, word for word, a reply of the other to the same task"]
    if pair.same_requests:
        return ["whatever lies between them is noise"]
    if more_tasks is None:
        alike = "0" if pair.identical else "equal"
        return [f"all differences are {alike}, so only other tasks or finer graders can tell more"]
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
