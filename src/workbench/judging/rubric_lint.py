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


_REPLY = r"(?:the\s+)?(?:reply|answer|response|it)"
_SAYS = r"(?:says|claims|states|asserts|declares|announces|reports|promises|insists|tells|writes)"
_MARKS = r"(?:marks?|scores?|points?|verdicts?|levels?|grades?|grading)"
_INVITING: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(
            rf"\b(?:as|if|what|whatever|when)\s+{_REPLY}\s+{_SAYS}\b"
            rf"|\b(?:reply|answer|response|it)\s+{_SAYS}\s+(?:you\s+|us\s+)?(?:that\s+)?(?:it|itself|its\s+own)\b"
            r"|\baccording\s+to\s+(?:the\s+(?:reply|answer|response)|itself)\b"
            r"|\bits\s+own\s+(?:account|word|claim|quality|rating|assess|score|scoring|verdict|judge?ment|grad|evaluat)\w*"
            r"|\bself[- ](?:assess|rat|grad|evaluat|scor|report|declar|judge?ment)\w*"
            r"|\b(?:rates|grades|scores|judges|assesses|evaluates|praises|recommends)\s+itself\b"
            r"|\b(?:trust|believe)\w*\s+(?:what\s+)?(?:the\s+)?(?:reply|answer|response|author|it)\b",
            re.I,
        ),
        "takes the reply's own word for it",
        "Say what has to stand there, not what the reply says of itself.",
    ),
    (
        re.compile(
            rf"\b(?:reply|answer|response|it)\s+(?:asks|begs|calls|requests|demands|wants|pleads|argues)\b.{{0,20}}\b{_MARKS}\b"
            rf"|\b{_MARKS}\s+(?:that\s+|which\s+)?{_REPLY}\s+"
            r"(?:asks|requests|suggests|proposes|wants|names|gives|demands|deserves)\b",
            re.I,
        ),
        "lets the reply ask for its result",
        "Say what one sees in a reply that has it; what it asks for itself is worth nothing.",
    ),
    (
        re.compile(
            r"\b(?:follow|obey|respect|honou?r)\w*\s+(?:any\s+|all\s+|the\s+|its\s+)?instructions?\b(?!\s+of\s+the\s+task)"
            r"|\binstructions?\s+(?:\w+\s+)?(?:in|within|of|from)\s+(?:the\s+)?(?:reply|answer|response)\b"
            r"|\bdo(?:es|ing)?\s+what(?:ever)?\s+(?:they|it|(?:the\s+)?(?:reply|answer|response))\s+(?:say|ask|want|tell|demand)\w*"
            r"|\b(?:ignore|disregard|forget|override)\w*\s+(?:\w+\s+)?(?:above|before|previous|earlier|instructions?|rules?)\b",
            re.I,
        ),
        "speaks of following instructions, which a reply may give, too",
        "Name what the task asked for: “does what the task asks”.",
    ),
)
"""What lets a reply that speaks to its judge move the result, wherever in a rubric it stands."""
_VAGUE = (
    re.compile(
        r"\b(?:good|great|nice|excellent|outstanding|perfect|high[- ]quality|appropriate|proper|adequate|suitable|"
        r"reasonable|sensible|sufficient|helpful|useful|professional|insightful|satisfactory|poor|bad)\b",
        re.I,
    ),
    "leaves to the judge what is meant",
    "Say what one sees in a reply that has it.",
)
_RULES: tuple[tuple[re.Pattern[str], str, str], ...] = (
    *_INVITING,
    _VAGUE,
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
    found += _found("", rubric.about, _INVITING, where="its `about` ")
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
    found = _found(criterion.name, criterion.asks, _RULES)
    for level in criterion.levels:
        found += _found(criterion.name, level, (*_INVITING, _VAGUE), where="a level ")
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


def _found(
    criterion: str, text: str, rules: tuple[tuple[re.Pattern[str], str, str], ...], *, where: str = ""
) -> list[RubricProblem]:
    return [
        RubricProblem(criterion=criterion, what=f"{where}{what} ({match[0]!r})", fix=fix)
        for pattern, what, fix in rules
        if (match := pattern.search(text))
    ]
