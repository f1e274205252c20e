"""What the offline stand-in says where it is asked for JSON by a schema, as a judge is: a rule, and no judgement.

Of one reply it takes, for each object that has a verdict, the sentence that shares most words with what is asked, and
gives the best verdict where those are enough. Of two it prefers the one with more different words. It is there so that
everything around a judge can be seen without a model, and every reason that it gives says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

REASON = "By words in common: the workbench's offline stand-in said this, not a model."

_MARK = re.compile(r"<(reply|first|second)-([0-9a-f]{16})>\n")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_WORD = re.compile(r"[a-z]{4,}")
_ENOUGH = 2
"""Words in common."""
_MOST_CHARACTERS = 200_000


@dataclass(frozen=True, kw_only=True)
class _Sentence:
    text: str
    words: frozenset[str]


def write_judgement(message: str, schema: Mapping[str, Any]) -> str:
    """JSON of this schema for what stands between marks in the message; the same each time."""
    replies = {name: _sentences(text) for name, text in _between_marks(message)}
    if {"first", "second"} <= replies.keys():
        return json.dumps(_preference(schema, replies["first"], replies["second"]), ensure_ascii=False)
    return json.dumps(_value(schema, replies.get("reply", [])), ensure_ascii=False)


def _between_marks(message: str) -> Iterator[tuple[str, str]]:
    """What stands between the marks of each name, by name. The hash in the first mark of a name is the right one: what
    stands between them comes after it. So each name is looked for once, however many marks a reply has in it."""
    end, looked_for = 0, set()
    for mark in _MARK.finditer(message):
        name, said_by = mark.groups()
        if mark.start() < end or name in looked_for:
            continue
        looked_for.add(name)
        until = message.find(f"\n</{name}-{said_by}>", mark.end())
        if until >= 0:
            yield name, message[mark.end() : until]
            end = until


def _sentences(text: str) -> list[_Sentence]:
    parts = (part.strip() for part in _SENTENCE.findall(text[:_MOST_CHARACTERS]))
    return [_Sentence(text=part, words=_words_of(part)) for part in parts if len(part.split()) > 1]


def _words_of(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def _value(schema: Mapping[str, Any], said: Sequence[_Sentence]) -> Any:
    """A value of the schema; an object with a verdict is a criterion, and its description what is asked."""
    if schema.get("type") != "object":
        return ""
    properties = schema.get("properties") or {}
    verdicts = (properties.get("verdict") or {}).get("enum")
    if not verdicts:
        return {name: _value(each, said) for name, each in properties.items()}
    asked = _words_of(str(schema.get("description") or ""))
    best = max(said, key=lambda sentence: len(asked & sentence.words), default=None)
    if best is None or len(asked & best.words) < _ENOUGH:
        return {"quote": "", "reason": REASON, "verdict": verdicts[0]}
    return {"quote": best.text, "reason": REASON, "verdict": verdicts[-2 if len(verdicts) > 2 else -1]}


def _preference(schema: Mapping[str, Any], first: Sequence[_Sentence], second: Sequence[_Sentence]) -> dict[str, Any]:
    counts = [len(frozenset().union(*(sentence.words for sentence in said))) for said in (first, second)]
    choice = "tie" if counts[0] == counts[1] else "first" if counts[0] > counts[1] else "second"
    quotes = [said[0].text if said else "" for said in (first, second)]
    given = {"first_quote": quotes[0], "second_quote": quotes[1], "reason": REASON, "choice": choice}
    return {name: given.get(name, "") for name in schema.get("properties") or {}}
