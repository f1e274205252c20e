"""The text of a description in parts: what it says, and the `<example>` blocks that show when to delegate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_BLOCK = re.compile(r"<example>(.*?)</example>", re.DOTALL | re.IGNORECASE)
_COMMENTARY = re.compile(r"<commentary>(.*?)</commentary>", re.DOTALL | re.IGNORECASE)
# A backslash and an n are a line end to Claude Code, and so they are here.
_EDGES = re.compile(r"\A(?:\s|\\n)+|(?:\s|\\n)+\Z")
_SPEAKER = re.compile(r"(?:^|(?<=[\s.!?'\"”’])|(?<=\\n))(context|user|assistant)\s*:\s*", re.IGNORECASE)
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


def read_examples(description: str) -> tuple[Example, ...]:
    """The `<example>` blocks of a description, in its order."""
    return tuple(_read(match[0], match[1]) for match in _BLOCK.finditer(description))


def with_examples(description: str, examples: Sequence[Example]) -> str:
    """The description with these blocks in the place of its own; text outside of blocks stays.

    A block whose parts nobody changed is written as it stood. New ones follow the last, on lines of their own
    where the blocks of the description are.
    """
    blocks = list(_BLOCK.finditer(description))
    if not blocks:
        before = description.rstrip()
        intro = "" if before.lower().endswith("examples:") or not before else " Examples:"
        return before + intro + "".join(f"\n{_written(example, own_lines=True)}" for example in examples)
    gap = description[blocks[0].end() : blocks[1].start()] if len(blocks) > 1 else ""
    own_lines = "\n" in blocks[0][0] or "\n" in gap
    texts = [_written(example, own_lines=own_lines) for example in examples]
    between = gap if gap and not gap.strip() else "\n" if own_lines else " "
    kept_gaps = [description[one.end() : two.start()] for one, two in pairwise(blocks)]
    gaps = [kept_gaps[index] if index < len(kept_gaps) else between for index in range(max(0, len(texts) - 1))]
    # Text between blocks that no longer stand beside each other is kept behind the last one.
    rest = "".join(gap for gap in kept_gaps[len(gaps) :] if gap.strip())
    middle = "".join(text + gap for text, gap in zip(texts, [*gaps, ""], strict=True)) if texts else ""
    whole = description[: blocks[0].start()] + middle + rest + description[blocks[-1].end() :]
    return whole if texts else whole.rstrip()


def _read(source: str, inside: str) -> Example:
    commentary = _COMMENTARY.search(inside)
    talk = _COMMENTARY.sub("", inside)
    parts = {"context": "", "user": "", "assistant": ""}
    found = list(_SPEAKER.finditer(talk))
    # Only the first of each speaker: a word like `user:` inside of a speech is part of it.
    turns = [turn for index, turn in enumerate(found) if turn[1].lower() not in {t[1].lower() for t in found[:index]}]
    for turn, end in zip(turns, [*(following.start() for following in turns[1:]), len(talk)], strict=False):
        parts[turn[1].lower()] = _bare(talk[turn.end() : end])
    return Example(**parts, commentary=_EDGES.sub("", commentary[1]) if commentary else "", source=source)


def _bare(speech: str) -> str:
    """The speech without the quotes around all of it."""
    speech = _EDGES.sub("", speech)
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
    match = _BLOCK.fullmatch(source)
    return match[1] if match else ""


def _parts(example: Example) -> tuple[str, str, str, str]:
    return example.context, example.user, example.assistant, example.commentary
