"""The text of a description in parts: what it says, and the `<example>` blocks that show when to delegate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_EXAMPLE = re.compile("<(/?)example>", re.IGNORECASE)
_COMMENTARY = re.compile("<(/?)commentary>", re.IGNORECASE)
# With what stands around the word in real files: `**User**:`, `Human:`, `user request:`, `assistant (as planner):`.
_SPEAKER = re.compile(
    r"(?:^|(?<=[\s.!?'\"”’>])|(?<=\\n))(?:\*\*)?(?P<who>context|user|human|assistant)"
    r"(?: (?:request|message|prompt|query|asks|says))?(?: ?\([^()\n]{1,40}\))?(?:\*\*)?\s*:(?:\*\*)?\s*",
    re.IGNORECASE,
)
_TURN_TAG = re.compile(
    r"<(?P<end>/?)(?P<who>context|user|human|request|query|prompt|assistant|response)"
    r"(?:[_-](?:request|message|prompt|query|input|turn|response))?>",
    re.IGNORECASE,
)
_PART_OF = {"context": "context", "assistant": "assistant", "response": "assistant"}
"""By how a turn is marked, which part it is; all others are the user's."""
_QUOTES = ('""', "''", "“”", "‘’", "«»")


@dataclass(frozen=True, kw_only=True)
class Example:
    """One `<example>` block of a description, in the shape of Claude Code's own generator."""

    context: str = ""
    user: str = ""
    assistant: str = ""
    commentary: str = ""
    source: str = ""
    """The block as it stands in the description; empty for a new one."""


@dataclass(frozen=True, kw_only=True)
class _Block:
    """A stretch of text from a tag to its end tag."""

    start: int
    end: int
    source: str
    inside: str


def read_examples(description: str) -> tuple[Example, ...]:
    """The `<example>` blocks of a description, in its order."""
    return tuple(_read(block.source, block.inside) for block in _blocks(description, _EXAMPLE))


def with_examples(description: str, examples: Sequence[Example]) -> str:
    """The description with these blocks in the place of its own; text outside of blocks stays.

    A block whose parts nobody changed is written as it stood. New ones follow the last, on lines of their own
    where the blocks of the description are.
    """
    blocks = list(_blocks(description, _EXAMPLE))
    if not blocks and not examples:
        return description
    if not blocks:
        before = description.rstrip()
        intro = "" if before.lower().endswith("examples:") or not before else " Examples:"
        return before + intro + "".join(f"\n{_written(example, own_lines=True)}" for example in examples)
    gap = description[blocks[0].end : blocks[1].start] if len(blocks) > 1 else ""
    own_lines = "\n" in blocks[0].source or "\n" in gap
    texts = [_written(example, own_lines=own_lines) for example in examples]
    between = gap if gap and not gap.strip() else "\n" if own_lines else " "
    kept_gaps = [description[one.end : two.start] for one, two in pairwise(blocks)]
    gaps = [kept_gaps[index] if index < len(kept_gaps) else between for index in range(max(0, len(texts) - 1))]
    # Text between blocks that no longer stand beside each other is kept behind the last one.
    rest = "".join(gap for gap in kept_gaps[len(gaps) :] if gap.strip())
    middle = "".join(text + gap for text, gap in zip(texts, [*gaps, ""], strict=True)) if texts else ""
    whole = description[: blocks[0].start] + middle + rest + description[blocks[-1].end :]
    return whole if texts else whole.rstrip()


def _blocks(text: str, tag: re.Pattern[str]) -> Iterator[_Block]:
    """From each tag to the next end tag. Tag by tag, as a pattern over both looks for an end tag that is not there
    from every tag to the end of the text."""
    opening: re.Match[str] | None = None
    for found in tag.finditer(text):
        if not found[1]:
            opening = opening or found
        elif opening is not None:
            start, end = opening.start(), found.end()
            yield _Block(start=start, end=end, source=text[start:end], inside=text[opening.end() : found.start()])
            opening = None


def _without_edges(text: str) -> str:
    """The text without blanks at its edges. A backslash and an n are a line end to Claude Code, and so here."""
    start, end = 0, len(text)
    while start < end and (text[start].isspace() or text.startswith("\\n", start)):
        start += 1 if text[start].isspace() else 2
    while start < end and (text[end - 1].isspace() or text.endswith("\\n", start, end)):
        end -= 1 if text[end - 1].isspace() else 2
    return text[start:end]


def _read(source: str, inside: str) -> Example:
    commentaries = list(_blocks(inside, _COMMENTARY))
    ends = [0, *(block.end for block in commentaries)]
    starts = [*(block.start for block in commentaries), len(inside)]
    talk = "".join(inside[end:start] for end, start in zip(ends, starts, strict=True))
    parts = {"context": "", "user": "", "assistant": ""}
    # Only the first of each speaker: a word like `user:` inside of a speech is part of it.
    first: dict[str, re.Match[str]] = {}
    for turn in _SPEAKER.finditer(talk):
        first.setdefault(_part(turn), turn)
    turns = list(first.items())
    ends_at = [*(following.start() for _, following in turns[1:]), len(talk)]
    for (part, turn), end in zip(turns, ends_at, strict=False):
        parts[part] = _bare(talk[turn.end() : end])
    for part, speech in _tagged(talk):
        parts[part] = parts[part] or _bare(speech)
    return Example(**parts, commentary=_without_edges(commentaries[0].inside) if commentaries else "", source=source)


def _part(turn: re.Match[str]) -> str:
    return _PART_OF.get(turn["who"].lower(), "user")


def _tagged(talk: str) -> Iterator[tuple[str, str]]:
    """The turns that stand in tags of their own, as `<user_request>`."""
    opening: re.Match[str] | None = None
    for tag in _TURN_TAG.finditer(talk):
        if not tag["end"]:
            opening = opening or tag
        elif opening is not None and _part(tag) == _part(opening):
            yield _part(opening), talk[opening.end() : tag.start()]
            opening = None


def _bare(speech: str) -> str:
    """The speech without the quotes around all of it."""
    speech = _without_edges(speech)
    return speech[1:-1] if len(speech) > 1 and speech[0] + speech[-1] in _QUOTES else speech


def _written(example: Example, *, own_lines: bool) -> str:
    if example.source and _parts(_read(example.source, _inside(example.source))) == _parts(example):
        return example.source
    lines = [
        f"Context: {example.context}" if example.context else "",
        f"user: {_quoted(example.user)}" if example.user else "",
        f"assistant: {_quoted(example.assistant)}" if example.assistant else "",
        f"<commentary>{example.commentary}</commentary>" if example.commentary else "",
    ]
    lines = [line for line in lines if line]
    return "\n".join(["<example>", *lines, "</example>"]) if own_lines else f"<example>{' '.join(lines)}</example>"


def _quoted(speech: str) -> str:
    mark = '"' if '"' not in speech else "'"
    return f"{mark}{speech}{mark}"


def _inside(source: str) -> str:
    block = next(_blocks(source, _EXAMPLE), None)
    return block.inside if block is not None and block.source == source else ""


def _parts(example: Example) -> tuple[str, str, str, str]:
    return example.context, example.user, example.assistant, example.commentary
