"""What judges said of the replies of a run: the calls that asked them, and the findings that those come to.

A finding is read from what a judge said and from the reply that it is about, and from nothing else: a record keeps the
calls, and whoever reads it finds the same. A quote that does not stand in the reply makes a finding void, and so does
every answer that is not of the form: each is an outcome of its own, and never a score of 0.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench.trial.rubric import CANNOT_TELL, Criterion, Rubric
from workbench.trial.trial import Judged, Score, Trial

FindingOutcome = Literal["found", "cannot_tell", "unsupported", "invalid", "refused", "cut_off", "empty", "failed"]
"""How a judge's word on a criterion ended: only "found" has a value. "unsupported": its quote is not in the reply;
"invalid": the answer is not of the form that was asked for; the others are those of a trial."""

LEAST_QUOTE = 2
"""Words of a quote, unless the whole reply has fewer."""
_FENCED = re.compile(r"\A\s*```(?:json)?[ \t]*\n(.*?)\n?```\s*\Z", re.S)
# Dashes are one, and so are all quotation marks: a judge that writes JSON puts 'single' ones for "double" ones.
_DASHES, _MARKS = "‐‑‒–—―−", '"‘’‚‛“”„‟‹›«»′″「」『』'
_DRESS = str.maketrans(dict.fromkeys(_DASHES, "-") | dict.fromkeys(_MARKS, "'") | dict.fromkeys("*_`~") | {"…": "..."})
_NOTHING: Mapping[str, Any] = {}
# What looks like a finished grading: an object without another in it, or a line, that gives a verdict or a choice; and
# the lines of one that stand around it. Each place is read once.
_OBJECT = re.compile(r"\{[^{}]*\}")
_VERDICT = re.compile(r"(?<!\w)(?:verdict|choice)[\"'`*_ ]{0,4}[:=][\"'`*_ ]{0,4}", re.IGNORECASE)
_LINE_OF_ONE = re.compile(
    r"^[ \t\"'`*_>-]*+(?:verdict|choice|quote|first_quote|second_quote|reason)[\"'`*_ ]{0,4}[:=].*$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one call of a judge found of one criterion."""

    outcome: FindingOutcome
    value: float | None = None
    """0..1; `None` unless it was found."""
    quote: str = ""
    """The passage of the reply that decided, as the judge gave it."""
    reason: str = ""


ByJudge = Mapping[str, Mapping[str, tuple[Finding, ...]]]
"""By judge and criterion, what each of its calls found of one reply."""


def calls_of(judged: Judged) -> dict[str, tuple[Trial, ...]]:
    """By `item_id`, the calls that were about that reply."""
    found: dict[str, list[Trial]] = {}
    for call in judged.calls:
        found.setdefault(call.task_id, []).append(call)
    return {item: tuple(calls) for item, calls in found.items()}


def findings_of(judged: Judged, trials: Iterable[Trial]) -> dict[str, ByJudge]:
    """By `item_id`, judge and criterion, what each call found of the replies of these trials; without those that were
    not judged."""
    calls = calls_of(judged)
    found: dict[str, ByJudge] = {}
    for trial in trials:
        item = item_id(trial)
        if trial.outcome != "answered" or trial.reply is None or item in found or item not in calls:
            continue
        by_judge: dict[str, dict[str, list[Finding]]] = {}
        for call in calls[item]:
            for criterion, finding in read_findings(call, judged.rubric, trial.reply.text).items():
                by_judge.setdefault(call.variant, {}).setdefault(criterion, []).append(finding)
        found[item] = {judge: {name: tuple(each) for name, each in of.items()} for judge, of in by_judge.items()}
    return found


def judged_scores(judged: Judged, trials: Iterable[Trial]) -> dict[str, dict[str, Score]]:
    """By `item_id` and criterion, what the judges together make of the replies of these trials.

    Of each judge it is the median over its calls, and of them all, what more than half of those asked say; else the
    score is missing. A judge that has none, because it cannot tell or gave what is no finding, is one of those asked.
    """
    return {
        item: {
            criterion.name: _together({judge: of[criterion.name] for judge, of in by_judge.items()})
            for criterion in judged.rubric.criteria
        }
        for item, by_judge in findings_of(judged, trials).items()
    }


def judges_alike(judged: Judged, trials: Iterable[Trial], criterion: str) -> float | None:
    """Of the replies that at least two judges have a score for, the share on which all of those say the same; `None`
    where there is no such reply."""
    alike = []
    for by_judge in findings_of(judged, trials).values():
        values = [value for of in by_judge.values() if (value := _of_one(of[criterion])) is not None]
        if len(values) > 1:
            alike.append(len(set(values)) == 1)
    return statistics.fmean(alike) if alike else None


def item_id(trial: Trial) -> str:
    """What is judged in one go: the reply to a task, whoever gave it. Equal replies to a task are one item.

    The variant is no part of it: a judge is blind to that.
    """
    text = trial.reply.text if trial.reply is not None else ""
    return f"{trial.task_id}#{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def read_findings(call: Trial, rubric: Rubric, reply: str) -> dict[str, Finding]:
    """By criterion, what a call of a judge comes to, for the reply that it was about."""
    if call.outcome != "answered" or call.reply is None:
        ended: dict[str, FindingOutcome] = {"refused": "refused", "cut_off": "cut_off", "empty": "empty"}
        outcome = ended.get(call.outcome, "failed")
        reason = call.failure.message if call.failure is not None else ""
        return {criterion.name: Finding(outcome=outcome, reason=reason) for criterion in rubric.criteria}
    answer = object_in(call.reply.text)
    return {criterion.name: _finding(answer.get(criterion.name), criterion, reply) for criterion in rubric.criteria}


def object_in(text: str) -> Mapping[str, Any]:
    """The JSON object that the text is, be it in a fence; empty where it is none, or says one thing twice."""
    fenced = _FENCED.match(text)
    try:
        found = json.loads(fenced[1] if fenced else text, object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        return _NOTHING
    return found if isinstance(found, dict) else _NOTHING


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def without_gradings(reply: str, words: Collection[str]) -> str:
    """The reply without what in it looks like a finished grading by these words (levels, or choices): no quote from
    there bears anything out, for whoever writes a grading into a reply writes its quotes, too."""
    given = [match.end() for match in _VERDICT.finditer(reply)]
    if not any(reply[at : at + len(word)].casefold() == word.casefold() for at in given for word in words):
        return reply
    without_objects = _OBJECT.sub(lambda found: "\n" if _VERDICT.search(found[0]) else found[0], reply)
    return _LINE_OF_ONE.sub("", without_objects)


def _finding(answer: Any, criterion: Criterion, reply: str) -> Finding:
    if not isinstance(answer, dict):
        return Finding(outcome="invalid", reason="the judge's answer has no such criterion")
    verdict, quote, reason = (answer.get(name) for name in ("verdict", "quote", "reason"))
    if not isinstance(verdict, str) or not isinstance(quote, str) or not isinstance(reason, str):
        return Finding(outcome="invalid", reason="the judge's answer is not of the form that was asked for")
    if verdict == CANNOT_TELL:
        return Finding(outcome="cannot_tell", quote=quote, reason=reason)
    if verdict not in criterion.levels:
        return Finding(outcome="invalid", quote=quote, reason=f"{verdict[:80]!r} is no level of the criterion")
    # What is not there cannot be quoted, so the worst level needs no quote.
    if not (
        stands_in(quote, without_gradings(reply, criterion.levels))
        or (not _plain(quote) and verdict == criterion.levels[0])
    ):
        return Finding(outcome="unsupported", quote=quote, reason=reason)
    return Finding(outcome="found", value=criterion.value_of(verdict), quote=quote, reason=reason)


def stands_in(quote: str, reply: str) -> bool:
    """Whether the quote is a passage of the reply, of enough words, however both are parted into lines, and whatever
    Markdown emphasis or kind of quotation marks and dashes either has: a judge copies words, not their dress."""
    wanted, said = _plain(quote), _plain(reply)
    return bool(wanted) and len(wanted.split()) >= min(LEAST_QUOTE, len(said.split())) and wanted in said


def _plain(text: str) -> str:
    """In single blanks, without emphasis and the marks around it that a judge may have added."""
    return " ".join(text.translate(_DRESS).split()).strip("'. ")


def _together(by_judge: Mapping[str, tuple[Finding, ...]]) -> Score:
    said = {judge: _of_one(findings) for judge, findings in by_judge.items()}
    values = {judge: value for judge, value in said.items() if value is not None}
    if not values:
        outcomes = Counter(finding.outcome for findings in by_judge.values() for finding in findings)
        why = "; ".join(f"{outcome.replace('_', ' ')} {count} x" for outcome, count in sorted(outcomes.items()))
        return Score(value=None, explanation=f"the judge gave no score: {why}")
    ((value, votes),) = Counter(values.values()).most_common(1)
    if 2 * votes <= len(said):
        each = ", ".join(f"{judge} {'-' if one is None else f'{one:g}'}" for judge, one in said.items())
        return Score(value=None, explanation=f"no majority of {len(said)} judges: {each}")
    quoted = next(
        finding for judge, findings in by_judge.items() for finding in findings if finding.value == value == said[judge]
    )
    level = f"{votes} of {len(by_judge)} judges: " if len(by_judge) > 1 else ""
    passage = f" “{quoted.quote}”" if quoted.quote else ""
    return Score(value=value, explanation=f"{level}{quoted.reason}{passage}")


def _of_one(findings: tuple[Finding, ...]) -> float | None:
    """The lower median over the calls of one judge, so that it is a level; `None` where most of them found none."""
    values = [finding.value for finding in findings if finding.value is not None]
    return statistics.median_low(values) if 2 * len(values) > len(findings) else None
