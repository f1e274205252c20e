"""The files that a reply shows: its fenced blocks, and what each is called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from workbench.trial.fences import CodeBlock, code_blocks

_NAME = r"(?P<name>(?:[\w.@-]++/)*+[\w@-]++(?:\.[\w-]++)++)"
# Models name a file in the info string, in the line above, or in a comment in the first line.
_IN_COMMENT = re.compile(
    rf"(?:#|//|--|<!--|/\*)[ \t]*(?:file(?:name)?:[ \t]*)?{_NAME}[ \t]*(?:-->|\*/)?$", re.IGNORECASE
)
_ALONE = re.compile(
    rf"(?:#{{1,6}}[ \t]++|[-*][ \t]++|\d++[.)][ \t]++)?(?:\*\*|`|__)*+(?:file:[ \t]*+)?{_NAME}"
    r"(?:\*\*|`|__)*+:?(?:\*\*)?$",
    re.IGNORECASE,
)
_IN_INFO = re.compile(rf"(?:^|[ \t:=\"'{{]){_NAME}")
_INSIDE = re.compile(rf"`{_NAME}`[^`]*$")


@dataclass(frozen=True, kw_only=True)
class File:
    """A fenced block as a file."""

    name: str
    """The path as the reply gives it; "" where it gives none."""
    text: str
    language: str
    number: int
    """Which of the blocks of the reply it is, from 1."""


@lru_cache(maxsize=8)
def files_of(text: str) -> tuple[File, ...]:
    """The fenced blocks of the reply, in order, each with the name that the reply gives to it."""
    lines = text.splitlines()
    return tuple(
        File(name=_name_of(block, lines), text=block.text, language=block.language, number=number)
        for number, block in enumerate(code_blocks(text), start=1)
    )


def _name_of(block: CodeBlock, lines: list[str]) -> str:
    info = lines[block.line - 1].lstrip(" \t>-*+").lstrip("`~")
    named = _IN_INFO.search(info)
    if named is None:
        first = block.text.lstrip("\n").partition("\n")[0].strip()
        named = _IN_COMMENT.match(first)
    if named is None:
        above = next(
            (line.strip() for line in reversed(lines[max(0, block.line - 3) : block.line - 1]) if line.strip()), ""
        )
        named = _ALONE.match(above) or (_INSIDE.search(above) if above.endswith(":") else None)
    return named["name"].removeprefix("./") if named else ""
