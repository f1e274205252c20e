"""What can be counted in any reply without a task: the questions that it asks, and its headings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from workbench.trial.fences import prose
from workbench.trial.sentences import HEADING, LIST_ITEM, UNDERLINE, Sentence, sentences

_BOLD_LINE = re.compile(r"^\s*(?:\*\*|__)[^*_][^*]*(?:\*\*|__)\s*$")
_YOU = re.compile(r"\b(?:you|your|yours|yourself|you're|you'd|you've|you'll)\b|[您你]|あなた", re.IGNORECASE)
_ANSWER = re.compile(r"[*_\"'(]*(?:because|since|yes|no|nope|simple|simply|the answer|answer)\b", re.IGNORECASE)
_MAY_BE_HEADING = re.compile(r"^[^\S\n]{0,3}(?:#{1,6}\s|(?:=++|-{2,}+)[^\S\n]*+$)", re.MULTILINE)
"""A cheap question before the text is parted into code and prose: most replies have none."""


def questions_in(text: str) -> list[str]:
    """The questions that a reply puts to its reader, outside code and headings: those that `asks_question` counts, and
    those that say not what they ask about."""
    if "?" not in text and "？" not in text and "؟" not in text:
        return []
    return list(questions_told(text, only_to_reader=True, only_real=False))


def questions_told(text: str, *, only_to_reader: bool, only_real: bool = True) -> Iterator[str]:
    """The questions of a reply, outside code and headings: all, or only those that it puts to its reader, and of them
    all, or only those that say what they ask about."""
    told = sentences(text)
    for number, sentence in enumerate(told):
        if not sentence.is_question or (only_real and not sentence.is_real):
            continue
        following = None if sentence.ends_paragraph else told[number + 1]
        if not only_to_reader or _is_put_to_reader(sentence, following):
            yield sentence.text


def _is_put_to_reader(sentence: Sentence, following: Sentence | None) -> bool:
    if sentence.is_quoted or (following is not None and _ANSWER.match(following.text)):
        return False
    if sentence.in_list or _YOU.search(sentence.text):
        return True
    return not _BOLD_LINE.match(sentence.text) and (following is None or following.is_question)


def headings_in(text: str) -> list[str]:
    """The Markdown headings of a reply outside code: lines of `#` signs, and lines that are underlined."""
    if _MAY_BE_HEADING.search(text) is None:
        return []
    found = []
    before = ""
    for line in prose(text).splitlines():
        heading = HEADING.match(line)
        if heading is not None:
            found.append(heading["words"].rstrip("# \t"))
        elif (
            UNDERLINE.match(line) and before.strip() and not LIST_ITEM.match(before) and before.lstrip()[0] not in "|>"
        ):
            found.append(before.strip())
        before = "" if heading is not None else line
    return found
