"""What judges found of a run, criterion by criterion, and what their word is worth.

Without a certificate that holds it is shown, and decides nothing. With one, the change that the judges found is
corrected by people's labels. A certificate is of one prompt, one model with its effort and endpoint, and labels whose
replies the judges rated as it says: it may be from somebody else, so all of that is compared with what the run itself
has.

Criteria of certified judges are one family with the promises: their p values are corrected by Holm together
(`promises_and_criteria`), for whoever reads both picks from both.

A score of several levels counts as passed from the middle of 0..1 on, for people and judges alike.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from workbench.comparison.columns import TrialColumns, trial_columns
from workbench.comparison.figures import p_in_cell
from workbench.comparison.promises import PromiseChange, PromiseKind, promise_changes, promises_beside
from workbench.comparison.scores import same_requests
from workbench.errors import ComparisonError
from workbench.markup import Table, counted, html_table, markdown_table, notebook_html, plain_table
from workbench.statistics.intervals import LEVEL
from workbench.statistics.judge import (
    NO_RANDOM_DRAW,
    JudgeAgreement,
    Rated,
    RateDifference,
    judge_agreement,
    judge_refusal,
    rate_difference,
    same_share,
)
from workbench.statistics.permutation import mcnemar
from workbench.statistics.power import ALPHA
from workbench.trial.certificate import Certificate
from workbench.trial.judged import findings_of, item_id, judged_scores, judges_alike
from workbench.trial.rubric import Criterion
from workbench.trial.trial import Judged, Run, Score

NOT_CERTIFIED = "not certified: decides nothing"
NOT_CHECKED = ", as the record says: no labels are here to check it by"
PASSED_FROM = 0.5
"""What a score of levels has to be worth to count as passed."""


@dataclass(frozen=True, kw_only=True)
class CriterionRow:
    """What judges found of one criterion for one variant beside the baseline."""

    rubric: str
    criterion: str
    variant: str
    baseline: str
    baseline_mean: float | None
    """Of the baseline's replies that have a score, 0..1, as the judges say; `None` where none has."""
    variant_mean: float | None
    scored: int
    """Replies of both that have a score."""
    unscored: int
    """Judged replies of both that have none: the judges disagree, cannot tell, or gave what is no finding."""
    stability: float | None
    """Share of the calls of one judge about one reply that agree; `None` where each was asked once."""
    judges_alike: float | None
    """Of several judges, the share of replies of which all say the same; `None` of one."""
    corrected: RateDifference | None
    """By people's labels, of a certified judge; `None`: what it says decides nothing."""
    standing: str
    """Why not, or of how many labels the certificate is."""
    kind: PromiseKind = "not compared"
    """As of a promise; "not compared" where what judges say decides nothing."""
    p: float | None = None
    """Of the corrected change, and itself corrected by Holm for the promises and criteria that are read together;
    `None`: not compared."""
    comparisons: int = 0
    """For how many rows it is corrected."""


@dataclass(frozen=True, kw_only=True, repr=False)
class JudgedSummary:
    """What judges found of a run. Shows itself as text, Markdown or HTML."""

    rows: tuple[CriterionRow, ...]
    table: Table

    def __repr__(self) -> str:
        return plain_table(self.table)

    def _repr_markdown_(self) -> str:
        return markdown_table(self.table)

    def _repr_html_(self) -> str:
        return notebook_html(html_table(self.table))


def criterion_rows(run: Run, judged: Judged, *, baseline: str) -> tuple[CriterionRow, ...]:
    """A row for each criterion and variant but the baseline.

    Raises:
        ComparisonError: the run has no such baseline.
    """
    if baseline not in run.variants:
        raise ComparisonError(f"the run has no variant {baseline!r}; it has {', '.join(map(repr, run.variants))}")
    scores = judged_scores(judged, run.trials)
    rows = []
    for criterion in judged.rubric.criteria:
        stability = stability_of(run, judged, criterion.name)
        alike = judges_alike(judged, run.trials, criterion.name)
        of = {name: _values(run, scores, name, criterion) for name in run.variants}
        for variant in run.variants:
            if variant == baseline:
                continue
            both = [*of[baseline], *of[variant]]
            corrected, standing = _standing(run, judged, criterion.name, (baseline, variant))
            rows.append(
                CriterionRow(
                    rubric=judged.rubric.name,
                    criterion=criterion.name,
                    variant=variant,
                    baseline=baseline,
                    baseline_mean=_mean(of[baseline]),
                    variant_mean=_mean(of[variant]),
                    scored=sum(value is not None for value in both),
                    unscored=sum(value is None for value in both),
                    stability=None if math.isnan(stability) else stability,
                    judges_alike=alike,
                    corrected=corrected,
                    standing=standing,
                )
            )
    return tuple(rows)


def promises_and_criteria(
    run: Run, columns: TrialColumns, *, baseline: str, families: int = 1
) -> tuple[tuple[PromiseChange, ...], tuple[CriterionRow, ...]]:
    """The verdict promise by promise, and what judges found, each with the worst change first and all corrected as one
    family; criteria of judges whose word decides nothing come last, and count for nothing."""
    if not run.judged:
        return promise_changes(columns, baseline=baseline, families=families), ()
    rows = [row for judged in run.judged for row in criterion_rows(run, judged, baseline=baseline)]
    compared = [row.corrected for row in rows if row.corrected is not None and row.corrected.can_differ]
    promises, p_values = promises_beside(columns, [each.p for each in compared], baseline=baseline, families=families)
    count = max((change.comparisons for change in promises), default=families * len(compared))
    alike = same_requests(run, baseline=baseline)
    following = iter(p_values)
    found = []
    for row in rows:
        if row.corrected is None:
            found.append(row)
            continue
        p = next(following) if row.corrected.can_differ else 1.0
        kind = _kind(row.corrected, p, same=row.variant in alike)
        found.append(replace(row, kind=kind, p=p, comparisons=max(count, families * len(compared))))
    return promises, tuple(sorted(found, key=_worst_first))


def _kind(change: RateDifference, p: float, *, same: bool) -> PromiseKind:
    if same or not change.interval.excludes_zero:
        return "no difference shown"
    if p <= ALPHA:
        return "better" if change.difference > 0 else "worse"
    return "may be better" if change.difference > 0 else "may be worse"


def _worst_first(row: CriterionRow) -> tuple[bool, float]:
    return row.corrected is None, 0.0 if row.corrected is None else row.corrected.difference


def agreement_by(certificate: Certificate) -> JudgeAgreement:
    """How the judges of a certificate agree with people on what both have rated."""
    people, judges = ([pair[which] for pair in certificate.labelled.values()] for which in (0, 1))
    return judge_agreement(people, judges)


def passed_by_judges(run: Run, judged: Judged, criterion: str) -> dict[str, bool]:
    """By item that the judges have a score for, whether they passed it."""
    scores = judged_scores(judged, run.trials)
    return {item: value >= PASSED_FROM for item, of in scores.items() if (value := of[criterion].value) is not None}


def stability_of(run: Run, judged: Judged, criterion: str) -> float:
    """Share of the calls of one judge about one reply that say what most of them say, "cannot tell" and the like being
    words of their own; NaN where no judge was asked twice."""
    alike = asked = 0
    for by_judge in findings_of(judged, run.trials).values():
        for of in by_judge.values():
            said = [finding.value if finding.value is not None else finding.outcome for finding in of[criterion]]
            if len(said) > 1:
                asked += len(said)
                alike += max(said.count(each) for each in said)
    return alike / asked if asked else math.nan


def revoked_by(certificate: Certificate, run: Run, judged: Judged, *, labels_sha256: str | None = None) -> str:
    """Why the certificate is none for this judging, or not any more; "" where it holds.

    `labels_sha256` is that of people's labels as they stand now, where they are at hand.
    """
    if certificate.doubt:
        return certificate.doubt
    if judged.is_stand_in:
        return "the offline stand-in judged"
    if certificate.prompt_sha256 != judged.prompt_sha256:
        return "the rubric or the judge's instructions have changed since"
    if certificate.models != judged.models:
        return f"it is of {', '.join(certificate.models)}, and {', '.join(judged.models)} judged"
    if not certificate.endpoints:
        return "it does not say with which effort and where the judges were asked; certify it again"
    if certificate.efforts != judged.efforts:
        return f"it is of judges asked with effort {_efforts(certificate.efforts)}, and not {_efforts(judged.efforts)}"
    if certificate.endpoints != judged.endpoints:
        return f"it is of judges at {', '.join(certificate.endpoints)}, and not at {', '.join(judged.endpoints)}"
    if labels_sha256 is not None and certificate.labels_sha256 != labels_sha256:
        return "people's labels have changed since; certify it again"
    passed = passed_by_judges(run, judged, certificate.criterion)
    otherwise = [item for item, (_, said) in certificate.labelled.items() if passed.get(item, said) != said]
    if otherwise:
        return f"on {counted(len(otherwise), 'labelled item')} the judges say something else than it has"
    refusal = judge_refusal(agreement_by(certificate))
    return f"its labels do not bear it out: {refusal}" if refusal else ""


def _efforts(efforts: Sequence[str | None]) -> str:
    return ", ".join(effort or "not sent" for effort in efforts)


def corrected_difference(
    run: Run, judged: Judged, certificate: Certificate, *, baseline: str, variant: str
) -> RateDifference:
    """How the share of replies that people would pass differs between two variants, as `rate_difference` estimates it.

    Equal replies of a variant to a task count once. Replies that people have labelled are people's, the others are the
    judges'.

    Raises:
        ComparisonError: the certificate does not hold, a variant has too few labelled replies, the judges have no
            score for more replies of the one than of the other, beyond chance, or they pass another share of what
            people labelled than of the rest, far beyond chance.
    """
    revoked = revoked_by(certificate, run, judged)
    if revoked:
        raise ComparisonError(f"the certificate for {certificate.criterion!r} does not hold: {revoked}")
    passed = passed_by_judges(run, judged, certificate.criterion)
    of_both = [
        dict.fromkeys(item_id(trial) for trial in run.trials if trial.variant == name and trial.outcome == "answered")
        for name in (baseline, variant)
    ]
    unscored = [sum(item not in passed and item not in certificate.labelled for item in items) for items in of_both]
    if mcnemar(unscored[0], unscored[1]).p <= ALPHA:
        raise ComparisonError(
            f"the judges have no score for {counted(unscored[0], 'reply', 'replies')} of the one and {unscored[1]} of "
            f"the other, of {len(of_both[0])} and {len(of_both[1])}"
        )
    rated = []
    for name, items in zip((baseline, variant), of_both, strict=True):
        labelled = [certificate.labelled[item] for item in items if item in certificate.labelled]
        others = [passed[item] for item in items if item in passed and item not in certificate.labelled]
        people, judges = ([pair[which] for pair in labelled] for which in (0, 1))
        if same_share(sum(judges), len(judges), sum(others), len(others)) <= NO_RANDOM_DRAW:
            raise ComparisonError(
                f"the judges pass {sum(judges)} of {len(judges)} labelled replies and {sum(others)} of {len(others)} "
                f"others of {name!r}: those labelled are no random draw, or the judges' words on the others are not "
                "theirs"
            )
        rated.append(Rated(human=people, judge=judges, judged=others))
    return rate_difference(rated[0], rated[1])


def show_judged(run: Run, *, rubric: str | None = None, baseline: str | None = None) -> JudgedSummary:
    """What judges found, criterion by criterion, beside the baseline (as planned, else the first variant, unless one is
    named), as a table that shows itself.

    Raises:
        ComparisonError: no judging, none by this rubric, several where none is named, or no such baseline.
    """
    found = [each for each in run.judged if rubric is None or each.rubric.name == rubric]
    if len(found) != 1:
        known = ", ".join(repr(each.rubric.name) for each in run.judged) or "none; judge(run, rubric) makes one"
        raise ComparisonError(f"name the rubric of one judging; the run has {known}")
    if baseline is not None and baseline not in run.variants:
        raise ComparisonError(f"the run has no variant {baseline!r}; it has {', '.join(map(repr, run.variants))}")
    parts = run.by_baseline if baseline is None else {baseline: run}
    of_all = [
        row
        for base, part in parts.items()
        for row in promises_and_criteria(part, trial_columns(part), baseline=base, families=len(parts))[1]
    ]
    rows = tuple(row for row in of_all if row.rubric == found[0].rubric.name)
    return JudgedSummary(rows=rows, table=judged_table(rows, found[0]))


def judged_table(rows: Sequence[CriterionRow], judged: Judged) -> Table:
    """The rows as a table of texts."""
    who = ", ".join(judged.judges)
    stand_in = " OFFLINE STAND-IN, not a model." if judged.is_stand_in else ""
    return Table(
        title=f"By judge: {judged.rubric.name}, {who}",
        headings=(
            "Criterion",
            "Variant",
            "Base, by judge",
            "Variant, by judge",
            "Scored",
            "Stable",
            "Change for people",
            "p (Holm)",
            "Shown",
        ),
        rows=tuple(
            (
                row.criterion,
                row.variant,
                _percent(row.baseline_mean),
                _percent(row.variant_mean),
                f"{row.scored} of {row.scored + row.unscored}",
                _percent(row.stability),
                _change(row),
                "-" if row.p is None else p_in_cell(row.p),
                "" if row.corrected is None else row.kind,
            )
            for row in rows
        ),
        note="What a judge says decides nothing until it is certified by people's labels."
        f"{_alike(rows)}{_corrected_for(rows)}{stand_in}",
        muted=frozenset(number for number, row in enumerate(rows) if row.corrected is None),
    )


def _alike(rows: Sequence[CriterionRow]) -> str:
    """On how many replies several judges are of one mind."""
    of = {row.criterion: row.judges_alike for row in rows if row.judges_alike is not None}
    shares = ", ".join(f"{criterion} {_percent(share)}" for criterion, share in of.items())
    return f" All judges say the same of a reply: {shares}." if of else ""


def _corrected_for(rows: Sequence[CriterionRow]) -> str:
    count = max((row.comparisons for row in rows), default=0)
    if not count:
        return ""
    return (
        f" Shown where p <= {ALPHA:g}, corrected by Holm for {counted(count, 'row')} in which anything differs, "
        'promises and criteria together; "may" where only the interval says so, which is not corrected.'
    )


def certified_change(run: Run, criterion: str, *, baseline: str, variant: str) -> tuple[RateDifference, bool] | None:
    """The change that people would see in this criterion, "CRITERION" or "RUBRIC/CRITERION", and whether its
    certificate was held beside people's labels here; `None`: nothing was judged by one of that name.

    Raises:
        ComparisonError: what judges say of it decides nothing, and why; or several rubrics have it.
    """
    found = [
        (judged, each.name)
        for judged in run.judged
        for each in judged.rubric.criteria
        if criterion in (each.name, f"{judged.rubric.name}/{each.name}")
    ]
    if not found:
        return None
    if len(found) > 1:
        known = ", ".join(repr(f"{judged.rubric.name}/{name}") for judged, name in found)
        raise ComparisonError(f"several rubrics have the criterion {criterion!r}; name one of {known}")
    ((judged, name),) = found
    corrected, standing = _standing(run, judged, name, (baseline, variant))
    if corrected is None:
        raise ComparisonError(
            f"the criterion {criterion!r} was judged by {', '.join(judged.judges)}, and what judges say of it decides "
            f"nothing here: {standing}. Label replies and certify it: workbench certify RECORD --labels FILE"
        )
    return corrected, all(each.doubt is not None for each in judged.certificates if each.criterion == name)


def outcome_counts(run: Run, judged: Judged) -> dict[str, int]:
    """How the judges' words on single criteria ended, over all calls: "found", "cannot_tell", "unsupported", ..."""
    counts: Counter[str] = Counter()
    for by_judge in findings_of(judged, run.trials).values():
        for of in by_judge.values():
            counts.update(finding.outcome for findings in of.values() for finding in findings)
    return dict(counts)


def _standing(run: Run, judged: Judged, criterion: str, pair: tuple[str, str]) -> tuple[RateDifference | None, str]:
    certificate = next((each for each in judged.certificates if each.criterion == criterion), None)
    if certificate is None:
        return None, NOT_CERTIFIED
    try:
        corrected = corrected_difference(run, judged, certificate, baseline=pair[0], variant=pair[1])
    except ComparisonError as error:
        return None, str(error)
    orders = certificate.swap_consistency
    swapped = "" if orders is None else f", both orders of a pair agree on {_percent(orders)}"
    checked = NOT_CHECKED if certificate.doubt is None else ""
    return corrected, f"certified by {counted(len(certificate.labelled), 'label')}{swapped}{checked}"


def _values(
    run: Run, scores: Mapping[str, Mapping[str, Score]], variant: str, criterion: Criterion
) -> list[float | None]:
    return [
        scores[item_id(trial)][criterion.name].value
        for trial in run.trials
        if trial.variant == variant and trial.outcome == "answered" and item_id(trial) in scores
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _change(row: CriterionRow) -> str:
    if row.corrected is None:
        return row.standing
    found = row.corrected
    reach = f"[{100 * found.interval.low:+.1f}, {100 * found.interval.high:+.1f}]"
    return f"{100 * found.difference:+.1f} points, {100 * LEVEL:g} % {reach}, {row.standing}"
