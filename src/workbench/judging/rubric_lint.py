"""What invites a judge to err, looked for in the words of a rubric."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.trial.rubric import Criterion, Rubric

MOST_WORDS = 60
"""Of one criterion."""


@dataclass(frozen=True, kw_only=True)
class RubricProblem:
    """Something in a rubric that makes its scores less to be trusted."""

    criterion: str
    """Its name; empty: the rubric as a whole."""
    what: str
    fix: str

    def __str__(self) -> str:
        where = f"criterion {self.criterion!r}: " if self.criterion else ""
        return f"{where}{self.what}. {self.fix}"


_RULES: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(
            r"\b(?:as|if|what|whatever|when)\s+(?:the\s+)?(?:reply|answer|response|it)\s+(?:says|claims|states)\b", re.I
        ),
        "takes the reply's own word for it",
        "Say what has to stand there, not what the reply says of itself.",
    ),
    (
        re.compile(
            r"\b(?:follow|obey|respect|honou?r)\w*\s+(?:any\s+|the\s+)?instructions?\b(?!\s+of\s+the\s+task)", re.I
        ),
        "speaks of following instructions, which a reply may give, too",
        "Name what the task asked for: “does what the task asks”.",
    ),
    (
        re.compile(r"\b(?:good|great|nice|high[- ]quality|appropriate|proper|adequate|suitable|reasonable)\b", re.I),
        "leaves to the judge what is meant",
        "Say what one sees in a reply that has it.",
    ),
    (
        re.compile(r"\b(?:longer|shorter|lengthy|confident|confidently|polite|politely)\b", re.I),
        "asks for length or tone, which judges favour anyway",
        "Use the grader `word_count` for length, and leave tone out unless it is what you test.",
    ),
    (
        re.compile(r"\b(?:variant|baseline|version|old|new)\s+(?:one|agent|prompt|reply)\b", re.I),
        "speaks of variants, which a judge must not know of",
        "Say what holds for any reply.",
    ),
    (
        re.compile(r"\b(?:correct|accurate|true|right)\b", re.I),
        "asks whether something is right, which a model may not know",
        "Put the expected answer into the task's `target`, or name what makes it right.",
    ),
    (
        re.compile(r"\b(?:score|rate|grade|points?)\b.{0,20}\b\d", re.I),
        "has numbers of its own",
        "Name `levels`, worst first: their values are given in equal steps.",
    ),
)
_TWO = re.compile(r"\band\s+(?:it\s+|also\s+)?(?:\w+s)\s+(?:the|a|an|each|every|its|how|why|what)\b", re.I)


def lint_rubric(rubric: Rubric) -> tuple[RubricProblem, ...]:
    """What in the rubric invites errors, in the order of its criteria; it can be used all the same."""
    found = [problem for criterion in rubric.criteria for problem in _problems_of(criterion)]
    if not rubric.about:
        found.append(
            RubricProblem(
                criterion="", what="does not say what is judged", fix="Say in `about` what kind of reply it is for."
            )
        )
    if not (rubric.good and rubric.bad):
        found.append(
            RubricProblem(
                criterion="",
                what="has no good and bad replies of its own",
                fix="Add some under `replies`, to see that a judge tells them apart before money is spent.",
            )
        )
    return tuple(found)


def _problems_of(criterion: Criterion) -> list[RubricProblem]:
    found = [
        RubricProblem(criterion=criterion.name, what=f"{what} ({match[0]!r})", fix=fix)
        for pattern, what, fix in _RULES
        if (match := pattern.search(criterion.asks))
    ]
    if match := _TWO.search(criterion.asks):
        found.append(
            RubricProblem(
                criterion=criterion.name,
                what=f"may ask for two things at once ({match[0]!r})",
                fix="Make two criteria of it, so that a reply which does one of them has a score.",
            )
        )
    if len(criterion.asks.split()) > MOST_WORDS:
        found.append(
            RubricProblem(
                criterion=criterion.name,
                what=f"has {len(criterion.asks.split())} words",
                fix=f"Say it in at most {MOST_WORDS}.",
            )
        )
    return found
