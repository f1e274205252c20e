"""The gate: is a variant shown to be no worse than another, by more than a margin that is set before?

A non-inferiority test on task means, paired: the one-sided 95 % bounds of the mean difference d, variant minus
baseline, by Student's t; by group where the tasks fall into 10 groups or more.

- "not enough to trust": of what is compared, scores are as a record says and were not found again from the replies.
- "passes": the lower bound lies above -margin, on 10 tasks or more: on fewer, t promises more than it keeps. Also where
  both send the very same requests: then nothing changed.
- "fails": the lower bound does not, and the upper one lies below 0: the variant is shown to be worse, on however few
  tasks.
- "not enough data": neither; or `reach_verdicts` would give no verdict, for the attempts without a score are too many,
  or too unequal between the two. What is missing within those bounds is not counted against either.

A criterion of judges is guarded by the change that people would see: by its 95 % interval, which certified judges and
people's labels give (`judged`). A criterion without a certificate that holds guards nothing, and is refused. One whose
certificate came with a record, and was not held beside people's labels here, is "not enough to trust": whoever wrote
the record could have written the certificate.

A promise that may not get worse is guarded by the same test on its own scores, by the rules for what is missing of
`promises`. A variant passes where the whole and every guard do, so that no guard needs a correction: that all of them
are wrong is no likelier than that one is (R. L. Berger 1982, Technometrics 24). Promises shown to be worse are named
whatever the decision.

Source: G. Piaggio et al., "Reporting of noninferiority and equivalence randomized trials" (JAMA 308, 2012), figure 1;
its "inconclusive" is split at 0, for whoever merges wants to know of a variant that is shown to be worse.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import special

from workbench.comparison.columns import TrialColumns, trial_columns
from workbench.comparison.figures import named
from workbench.comparison.judged import CriterionRow, certified_change, promises_and_criteria
from workbench.comparison.promises import PromiseChange, kept_promises, known_promise, promise_obstacle
from workbench.comparison.scores import groups_of, is_stand_in, scores_by_variant
from workbench.comparison.shared import AFTER, BEFORE, chosen_variant, share
from workbench.comparison.verdict import STAND_IN_LABEL, Verdict, percent, points, reach_verdicts
from workbench.errors import ComparisonError, StandInError
from workbench.markup import counted, visible
from workbench.statistics.intervals import LEVEL
from workbench.statistics.means import Floats, Paired, paired
from workbench.trial.defaults import FEWEST_TASKS
from workbench.trial.task import Task
from workbench.trial.trial import Run

Decision = Literal["passes", "fails", "not enough data", "not enough to trust"]

MARGIN = 0.05
"""The loss of 5 points that is put up with unless another is named."""
ALPHA = 0.05
"""One-sided: at most so often a variant passes that is worse by exactly the margin."""
POWER = 0.80


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What was decided of a promise that may not get worse. As in `Gate`, effects are variant minus baseline."""

    promise: str
    margin: float
    decision: Decision
    text: str
    tasks: int
    effect: float | None = None
    low: float | None = None
    high: float | None = None


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
    guards: tuple[Guard, ...] = ()
    """The promises that may not get worse, and what was decided of each."""
    promises: tuple[PromiseChange, ...] = ()
    """The verdict promise by promise, the worst first."""
    criteria: tuple[CriterionRow, ...] = ()
    """What judges found, criterion by criterion, the worst first."""
    warnings: tuple[str, ...] = ()
    """A sentence for each promise that is shown to be worse, and for each criterion of certified judges."""

    def __str__(self) -> str:
        return self.text


def gate(
    run: Run,
    baseline: Run | str,
    *,
    margin: float = MARGIN,
    variant: str | None = None,
    allow_stand_in: bool = False,
    guards: Mapping[str, float | None] | None = None,
) -> Gate:
    """Whether a variant of `run` is no worse than the baseline by more than `margin` (0..1).

    `baseline` is another run, whose tasks are matched by their ids, or the name of a variant of `run`. `variant` may
    be left out where there is only one to choose; against another run also where `run` has two, of which the first is
    what its own second was compared with: then it is the second. In another run the baseline is the variant of the same
    name, or the only one. `guards` are promises that may not get worse, each with a margin of its own, or `None` for
    that of the gate: the variant passes where the whole and all of them do. A criterion of certified judges is one,
    too, by its name or as "RUBRIC/CRITERION".

    Raises:
        StandInError: the replies were made up by the offline stand-in, and `allow_stand_in` is not set.
        ComparisonError: the margin is not between 0 and 1, a variant is not there or not named, or the two runs share
            nothing that could be compared, or a guard is a criterion of judges that are not certified.
    """
    margins = {promise: margin if own is None else own for promise, own in (guards or {}).items()}
    for each in (margin, *margins.values()):
        if not 0 < each < 1:
            raise ComparisonError(f"the margin is {each:g}; it is a part of the score, more than 0 and less than 1")
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
    columns = trial_columns(shared.run)
    guarded = _guarded(columns, margins, same_requests=verdict.same_requests)
    decision = decided_together([found.decision, *(guard.decision for guard in guarded)])
    promises, criteria = promises_and_criteria(shared.run, columns, baseline=BEFORE)
    promises = tuple(replace(change, variant=name, baseline=base) for change in promises)
    criteria = tuple(replace(row, variant=name, baseline=base) for row in criteria)
    warnings = (
        *(_warning(change) for change in promises if change.kind == "worse"),
        *(_warning_by_judges(row) for row in criteria if row.kind == "worse"),
    )
    if untrusted := _untrusted(shared.run):
        decision = "not enough to trust"
        found = replace(found, reason=f"{untrusted} By them: {found.reason}")
    label = f"{STAND_IN_LABEL} " if stand_in else ""
    where = "" if isinstance(baseline, str) else " of the baseline run"
    notes = "".join(f" Not shared: {note}." for note in shared.notes)
    remarks = tuple(dict.fromkeys((*run.remarks, *base_run.remarks)))
    notes += "".join(f" Record: {visible(remark)}." for remark in remarks)
    heading = f'{label}Gate {decision}: "{visible(name)}" against "{visible(base)}"{where}'
    return Gate(
        decision=decision,
        text="\n".join(
            [
                f"{heading}, margin {points(margin, sign=False)} points. {found.reason}{notes}",
                *(guard.text for guard in guarded),
                *warnings,
            ]
        ),
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
        guards=guarded,
        promises=promises,
        criteria=criteria,
        warnings=warnings,
    )


def _untrusted(run: Run) -> str:
    """Which scores nobody found from the replies, in a sentence; empty: there is none."""
    promises = Counter(promise for trial in run.trials for promise in trial.as_recorded)
    if not promises:
        return ""
    trials = sum(bool(trial.as_recorded) for trial in run.trials)
    named = ", ".join(f'"{visible(promise)}" ({count})' for promise, count in promises.items())
    return (
        f"Of {counted(len(run.trials), 'trial')}, {trials} {'has' if trials == 1 else 'have'} scores that stand in the "
        f"record and could not be found again from the replies, so anybody could have written them: {named}."
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
        if only is None and len(baseline.variants) > 1:
            known = ", ".join(map(repr, baseline.variants))
            raise ComparisonError(
                f"the baseline run has no variant {name!r}, but {known}; name one that both runs have (--variant), or "
                "a variant of the run itself as the baseline"
            )
        return name, baseline, chosen_variant(baseline, only, what="the baseline run")
    base = chosen_variant(run, baseline, what="the run")
    others = [name for against, name in run.compared_pairs if against == base]
    others = others or [name for name in run.variants if name != base]
    if variant is None and len(others) == 1:
        return others[0], run, base
    if variant is None and not others:
        raise ComparisonError(f"the run has no variant but {base!r}; there is nothing to hold against it")
    name = chosen_variant(run, variant, what="the run")
    if name == base:
        raise ComparisonError(f"{base!r} is the baseline itself; name another variant: {', '.join(map(repr, others))}")
    return name, run, base


def _decided(run: Run, verdict: Verdict, margin: float) -> _Decided:
    if verdict.kind == "not graded":
        reason = "No task names a grader, so there is no score to hold against the margin."
        return _Decided(decision="not enough data", reason=reason)
    if verdict.kind == "no verdict":
        return _Decided(decision="not enough data", reason=verdict.text.partition("no verdict. ")[2])
    scores = scores_by_variant(run)
    differences = scores[AFTER].means - scores[BEFORE].means
    return _decided_by(run, differences, margin, same_requests=verdict.same_requests)


def _decided_by(run: Run, differences: Floats, margin: float, *, same_requests: bool) -> _Decided:
    both = ~np.isnan(differences)
    groups = groups_of(run)
    present = None if groups is None else [group for group, is_in in zip(groups, both, strict=True) if is_in]
    found = paired(differences[both], groups=present)
    bounds = bounds_of(found)
    low, high, method = bounds.low, bounds.high, bounds.method
    needed = _tasks_needed(found.variance, margin) if found.standard_error > 0 else None
    grouped = "" if found.groups is None else f" in {found.groups} groups"
    size = f"n = {found.tasks} tasks{grouped} x {counted(run.repeats, 'repeat')}"
    numbers = f"{points(found.effect)} points, {method} {points(low)} and {points(high)}, {size}"
    settles = (
        ""
        if needed is None
        else f" About {needed} tasks would pass a variant that is no different ({percent(POWER)} power)."
    )
    decision = _by_bounds(low, high, margin, found.tasks)
    if same_requests:
        decision = "passes"
        reason = f"A/A: both send the same requests, whatever lies between them is noise ({numbers})."
    elif decision == "passes":
        reason = f"A loss of more than the margin is ruled out: {numbers}."
    elif decision == "fails":
        reason = f"It is shown to be worse, and may be by more than the margin: {numbers}."
    elif found.tasks < FEWEST_TASKS:
        few = f"{found.tasks} tasks with scores of both; it takes at least {FEWEST_TASKS} to pass"
        reason = f"{few} ({numbers}).{settles}"
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


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What bounds a mean difference, each side by itself, and by which method, in words."""

    low: float
    high: float
    method: str


def bounds_of(found: Paired) -> Bounds:
    """One-sided bounds of a paired difference, at a level of 1 - `ALPHA`; of equal differences those of 97.5 % that
    Wilson has, for t would have no width there."""
    if found.standard_error == 0:
        return Bounds(low=found.interval.low, high=found.interval.high, method="Wilson bounds on equal differences")
    units = found.groups if found.clustered and found.groups is not None else found.tasks
    low, high = one_sided_bounds(found.effect, found.standard_error, units - 1)
    by = " by group" if found.clustered else ""
    method = f"one-sided {percent(1 - ALPHA)} bounds by t with {units - 1} degrees of freedom{by}"
    return Bounds(low=low, high=high, method=method)


def _by_bounds(low: float, high: float, margin: float, tasks: int) -> Decision:
    """Too few tasks pass nothing; what is shown to be worse on them fails all the same."""
    if low > -margin:
        return "passes" if tasks >= FEWEST_TASKS else "not enough data"
    return "fails" if high < 0 else "not enough data"


def _tasks_needed(variance: float, margin: float) -> int:
    """(z_alpha + z_beta)^2 variance / margin^2, where the true difference is 0."""
    factor = float(special.ndtri(1 - ALPHA) + special.ndtri(POWER))
    return max(FEWEST_TASKS, math.ceil(factor**2 * variance / margin**2))


def promises_of(tasks: Iterable[Task]) -> frozenset[str]:
    """What the replies to these tasks are held to."""
    return frozenset(spec.promise for task in tasks for spec in task.graders)


def guards_from_texts(texts: Iterable[str], promises: Collection[str]) -> dict[str, float | None]:
    """Guards as a command line has them: "PROMISE", or "PROMISE:MARGIN" with the margin behind the last colon.

    What is the very text of one of `promises`, colon and number included, is that promise.

    Raises:
        ComparisonError: one is named twice.
    """
    guards: dict[str, float | None] = {}
    for text in texts:
        label, _, margin = text.rpartition(":")
        value: float | None = None
        if text in promises or not label:
            label = text
        else:
            try:
                value = float(margin)
            except ValueError:
                label = text
        if label in guards:
            raise ComparisonError(f"the promise {label!r} is guarded twice; name it once, with one margin")
        guards[label] = value
    return guards


def _guarded(columns: TrialColumns, margins: Mapping[str, float], *, same_requests: bool) -> tuple[Guard, ...]:
    """What is decided of each promise that may not get worse.

    Raises:
        ComparisonError: no reply was held to one of them, or only by judges whose word decides nothing.
    """
    if not margins:
        return ()
    kept = kept_promises(columns)
    guards = []
    for promise, margin in margins.items():
        if (
            promise not in kept
            and (guard := _guarded_by_judges(columns.run, promise, margin, same_requests)) is not None
        ):
            guards.append(guard)
            continue
        sides = known_promise(kept, promise)
        before, after = sides[BEFORE], sides[AFTER]
        differences = after.means - before.means
        obstacle = promise_obstacle(before, after)
        found = (
            _Decided(decision="not enough data", reason=f"Not compared: {obstacle}.")
            if obstacle
            else _decided_by(columns.run, differences, margin, same_requests=same_requests)
        )
        heading = f"Guard {named(promise)} {found.decision}, margin {points(margin, sign=False)} points."
        guards.append(
            Guard(
                promise=promise,
                margin=margin,
                decision=found.decision,
                text=f"{heading} {found.reason}",
                tasks=int((~np.isnan(differences)).sum()),
                effect=found.effect,
                low=found.low,
                high=found.high,
            )
        )
    return tuple(guards)


def _guarded_by_judges(run: Run, criterion: str, margin: float, same_requests: bool) -> Guard | None:
    """What is decided of a criterion of judges; `None`: no judge was asked about one of that name."""
    found = certified_change(run, criterion, baseline=BEFORE, variant=AFTER)
    if found is None:
        return None
    change, is_checked = found
    low, high = change.interval.low, change.interval.high
    decision = "passes" if same_requests else _by_bounds(low, high, margin, len(run.tasks))
    if not is_checked:
        decision = "not enough to trust"
    trust = (
        ""
        if is_checked
        else (
            " Its certificate stands in the record, so that anybody could have written it, and people's labels are "
            "not here to check it by: name the file that they are in (--labels FILE; in Python, check_certificates)."
        )
    )
    few = f" It takes at least {FEWEST_TASKS} tasks to pass." * (len(run.tasks) < FEWEST_TASKS)
    text = (
        f"Guard {named(criterion)} {decision}, margin {points(margin, sign=False)} points. By certified judges, "
        f"corrected by people's labels: {points(change.difference)} points, {percent(LEVEL)} interval {points(low)} to "
        f"{points(high)}, {counted(len(run.tasks), 'task')}.{few}{trust}"
    )
    return Guard(
        promise=criterion,
        margin=margin,
        decision=decision,
        text=text,
        tasks=len(run.tasks),
        effect=change.difference,
        low=low,
        high=high,
    )


def decided_together(decisions: Sequence[Decision]) -> Decision:
    """Of the whole and its guards: all have to pass, and one that fails is enough to fail; of what cannot be trusted
    nothing follows."""
    for worst in ("not enough to trust", "fails"):
        if worst in decisions:
            return worst
    return "passes" if all(decision == "passes" for decision in decisions) else "not enough data"


def _warning(change: PromiseChange) -> str:
    before, after = (points(value or 0.0, sign=False) for value in (change.before, change.after))
    return (
        f"Warning: the promise {named(change.promise)} is shown to be worse, from {before} to {after} points over "
        f"{counted(change.tasks, 'task')} (corrected for {counted(change.comparisons, 'promise')} by Holm)."
    )


def _warning_by_judges(row: CriterionRow) -> str:
    change = 0.0 if row.corrected is None else row.corrected.difference
    return (
        f"Warning: the criterion {named(row.criterion)} is shown to be worse, by {points(change)} points for people "
        f"({row.standing}; corrected for {counted(row.comparisons, 'promise')} by Holm)."
    )
