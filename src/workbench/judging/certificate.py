"""The certificate of a judge: proof, from replies that people have labelled, that its word may count for a criterion.

It holds for one prompt, one model with its effort and endpoint, and one set of labels. Whatever changes of these
revokes it, which `comparison.judged` finds. With it, a share that the judge found is corrected by what people said
(prediction-powered inference), and its interval is as wide as the labels allow; without it, what the judge says is
shown and decides nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from workbench.comparison.judged import PASSED_FROM, agreement_by, passed_by_judges, stability_of
from workbench.definition.replacing import IS_THERE, write_after_moving, write_new
from workbench.definition.there import text_in
from workbench.errors import CertificateRefused, LabelError
from workbench.judging.agreement import agreement_as_values
from workbench.judging.judge import items_of
from workbench.judging.labels import Labels, load_labels, values_by_item
from workbench.judging.prompt import judging_prompt, prompt_sha256
from workbench.markup import counted
from workbench.statistics.judge import judge_agreement, judge_refusal
from workbench.statistics.pairwise import Judgement, swap_consistency
from workbench.trial.certificate import Certificate, certificate_as_values, certificate_from
from workbench.trial.judged import item_id
from workbench.trial.trial import Judged, Run

_FORMAT = 1


def certify(
    run: Run, judged: Judged, labels: Labels, criterion: str, *, pairs: Iterable[Judgement] = ()
) -> Certificate:
    """The certificate of these judges for this criterion, with how stable their word is over repeats and, where
    `judge_pairs` has asked them, how often both orders of `pairs` agree.

    Raises:
        CertificateRefused: too few labels, or the judges hardly tell what people passed from what they failed; the
            message says how far they are from it. So it is for the offline stand-in.
        KeyError: the rubric has no such criterion.
    """
    if judged.is_stand_in:
        raise CertificateRefused(
            "the judge is the offline stand-in, which is no model; it is not certified. Judge with a model."
        )
    labelled = labelled_items(run, judged, labels, criterion)
    agreement = judge_agreement([people for people, _ in labelled.values()], [said for _, said in labelled.values()])
    refusal = judge_refusal(agreement)
    if refusal:
        raise CertificateRefused(
            f"no certificate for {criterion!r} of {', '.join(judged.judges)}: {refusal}. Label more replies, or "
            "mend the rubric."
        )
    return Certificate(
        rubric=judged.rubric.name,
        criterion=criterion,
        prompt_sha256=judged.prompt_sha256,
        models=judged.models,
        efforts=judged.efforts,
        endpoints=judged.endpoints,
        labels_sha256=labels.sha256,
        labelled=labelled,
        stability=_known(stability_of(run, judged, criterion)),
        swap_consistency=_known(swap_consistency(pairs)),
        doubt="",
    )


def labelled_items(run: Run, judged: Judged, labels: Labels, criterion: str) -> dict[str, tuple[bool, bool]]:
    """By item that both have rated, whether people passed it, and whether the judges did."""
    people = values_by_item(labels, judged.rubric, criterion)
    passed = passed_by_judges(run, judged, criterion)
    return {item: (people[item] >= PASSED_FROM, said) for item, said in passed.items() if item in people}


def _known(share: float) -> float | None:
    return None if math.isnan(share) else share


def with_certificates(run: Run, certificates: Iterable[Certificate]) -> Run:
    """The run, with these certificates beside the judgings that they are of; each takes the place of the one that its
    criterion had."""
    given = tuple(certificates)
    found = []
    for judged in run.judged:
        new = {each.criterion: each for each in given if each.rubric == judged.rubric.name}
        kept = {each.criterion: each for each in judged.certificates}
        found.append(replace(judged, certificates=tuple({**kept, **new}.values())))
    return replace(run, judged=tuple(found))


def check_certificates(run: Run, paths: Iterable[str | Path]) -> Run:
    """The run, with what these files of people's labels say of its certificates as their `doubt`.

    A certificate that came with a record is anybody's word. It is borne out where one of the files holds the labels
    that it was made of, and where the same certificate is made of them, the rubric and the calls once more.

    Raises:
        LabelError: a file is not there or cannot be read, or holds labels for none of the run's rubrics.
    """
    found: dict[str, list[Labels]] = {judged.rubric.name: [] for judged in run.judged}
    for path in paths:
        trouble: list[LabelError] = []
        for judged in run.judged:
            try:
                found[judged.rubric.name].append(load_labels(path, judged.rubric, must_exist=True))
            except LabelError as error:
                trouble.append(error)
        if trouble and len(trouble) == len(run.judged):
            raise trouble[0]
    checked = []
    for judged in run.judged:
        amiss = _not_asked_so(run, judged) if judged.certificates else ""
        certificates = tuple(
            replace(each, doubt=amiss or _doubt(run, judged, each, found[judged.rubric.name]))
            for each in judged.certificates
        )
        checked.append(replace(judged, certificates=certificates))
    return replace(run, judged=tuple(checked))


def _not_asked_so(run: Run, judged: Judged) -> str:
    """Why the calls are not those of a judge by this rubric; "" where they are."""
    if prompt_sha256(judged.rubric) != judged.prompt_sha256:
        return "the record's rubric and the judge's instructions here are not those that the judging names"
    asked = {item.id: item.input for item in items_of(run, judged.rubric)}
    system = judging_prompt(judged.rubric)
    otherwise = sum(
        call.request.system.strip() != system.strip()
        or [message["content"] for message in call.request.messages] != [asked[call.task_id]]
        for call in judged.calls
        if call.task_id in asked
    )
    return f"{counted(otherwise, 'call')} of the judges asked something else than its rubric" if otherwise else ""


def _doubt(run: Run, judged: Judged, certificate: Certificate, labels: Iterable[Labels]) -> str:
    of = next((each for each in labels if each.sha256 == certificate.labels_sha256), None)
    if of is None:
        return "people's labels here are not those that it was made of; certify it again"
    if labelled_items(run, judged, of, certificate.criterion) != certificate.labelled:
        return "people's labels and the judges' calls say something else than it has"
    return ""


def variant_to_label_next(run: Run, judged: Judged, labels: Labels, criterion: str) -> str | None:
    """The variant of which one more label narrows the corrected difference most; `None` where all are labelled.

    It is the one whose labels add most to the variance: Var(people - judge) / labels, each variant counting as if it
    had one label of either kind more, so that one without labels comes first. Within a variant, replies are to be
    labelled in the order of `items_to_label`, which is random: a choice by what the judge says would bias the
    correction.
    """
    pairs = labelled_items(run, judged, labels, criterion)
    of_variant: dict[str, set[str]] = {}
    for trial in run.trials:
        if trial.outcome == "answered":
            of_variant.setdefault(trial.variant, set()).add(item_id(trial))
    adds = {}
    for variant, items in of_variant.items():
        known = [pairs[item] for item in items if item in pairs]
        if len(known) < len(items):
            wrong = sum(people != said for people, said in known)
            share = (wrong + 1) / (len(known) + 2)
            adds[variant] = share * (1 - share) / (len(known) + 1)
    return max(adds, key=lambda variant: adds[variant]) if adds else None


def export_certificates(certificates: Iterable[Certificate], path: str | Path) -> Path:
    """Writes certificates, each with how its judges and people agree, as JSON into a new file, and returns the path. A
    file that has these very ones stays.

    Raises:
        LabelError: it cannot be written, or something else is there.
    """
    path = Path(path)
    try:
        write_new(path, _written(certificates))
    except FileExistsError:
        raise LabelError(IS_THERE, path=path) from None
    except OSError as error:
        raise LabelError(f"the certificates cannot be written: {error.strerror or error}", path=path) from error
    return path


def save_beside_labels(certificates: Iterable[Certificate], labels: Path) -> tuple[Path, Path | None]:
    """Writes certificates beside the file of labels that they are of: their path, and where those of before, if other
    ones were there, have been moved.

    Raises:
        LabelError: they cannot be written.
    """
    path = labels.with_suffix(".certificates.json")
    try:
        return path, write_after_moving(path, _written(certificates))
    except OSError as error:
        raise LabelError(f"the certificates cannot be written: {error.strerror or error}", path=path) from error


def _written(certificates: Iterable[Certificate]) -> bytes:
    # How far both agree is for who reads the file: it is made of `labelled`, and never taken from here.
    each_with_agreement = [
        {**certificate_as_values(each), "agreement": agreement_as_values(agreement_by(each))} for each in certificates
    ]
    written = {"format": _FORMAT, "certificates": each_with_agreement}
    return (json.dumps(written, indent=2, ensure_ascii=False) + "\n").encode()


def load_certificates(path: str | Path) -> tuple[Certificate, ...]:
    """The certificates of a file. Whether one holds for a judging is found when it is used.

    Raises:
        LabelError: it cannot be read, or is no file of certificates.
    """
    path = Path(path)
    try:
        written = json.loads(text_in(path))
        if written["format"] != _FORMAT:
            raise LabelError(f"has certificates of format {written['format']!r}; this reads {_FORMAT}", path=path)
        return tuple(certificate_from(each) for each in written["certificates"])
    except OSError as error:
        raise LabelError(f"cannot be read: {error.strerror}", path=path) from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise LabelError(f"is no file of certificates: {type(error).__name__}: {error}", path=path) from error
