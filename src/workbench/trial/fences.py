"""Fenced code blocks of a reply, and the prose around them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r"^(?P<indent>[ \t>]*)(?P<fence>`{3,}|~{3,})(?P<info>.*)$")
_LIST_MARKER_FENCE = re.compile(r"^(?P<marker>\s*(?:[-*+]|\d{1,9}[.)])\s+)(?=`{3}|~{3})")
_LANGUAGE = re.compile(r"[\w+#-]+")
_ALIASES = {
    "py": "python",
    "py3": "python",
    "python3": "python",
    "js": "javascript",
    "ts": "typescript",
    "sh": "bash",
    "shell": "bash",
    "yml": "yaml",
    "md": "markdown",
    "puml": "plantuml",
}


@dataclass(frozen=True, kw_only=True)
class CodeBlock:
    """A fenced block as the reply holds it."""

    language: str
    """The first word of the info string in lower case, usual short forms spelled out; "" without one."""
    text: str
    """The lines between the fences, without the indentation of the opening fence."""
    line: int
    """The line of the opening fence in the reply, from 1."""
    closed: bool
    """False where the reply ended before the closing fence."""


def language_name(word: str) -> str:
    """The word for a language that `CodeBlock.language` uses: "py" gives "python"."""
    lowered = word.strip().lower()
    return _ALIASES.get(lowered, lowered)


def code_blocks(text: str) -> tuple[CodeBlock, ...]:
    """The fenced blocks in the order of the reply; a fence that is never closed runs to the end."""
    return _split(text)[0]


def prose(text: str) -> str:
    """The reply without its fenced blocks; each leaves a blank line, so that it parts paragraphs."""
    return _split(text)[1]


def _split(text: str) -> tuple[tuple[CodeBlock, ...], str]:
    blocks: list[CodeBlock] = []
    outside: list[str] = []
    lines = text.splitlines()
    position = 0
    while position < len(lines):
        opening = _opening(lines[position])
        if opening is None:
            outside.append(lines[position])
            position += 1
            continue
        indent, fence, info = opening
        language = _language(info)
        end = _closing_line(lines, position + 1, fence, nests=language == "markdown")
        content = [_without_indent(line, indent) for line in lines[position + 1 : end]]
        blocks.append(
            CodeBlock(
                language=language,
                text="\n".join(content),
                line=position + 1,
                closed=end < len(lines),
            )
        )
        outside.append("")
        position = end + 1
    return tuple(blocks), "\n".join(outside)


def _opening(line: str) -> tuple[str, str, str] | None:
    marker = _LIST_MARKER_FENCE.match(line)
    if marker is not None:
        width = len(marker["marker"])
        line = " " * width + line[width:]
    found = _FENCE.match(line)
    # CommonMark: the info string of a backtick fence holds no backtick, else it is code in a sentence.
    if found is None or (found["fence"].startswith("`") and "`" in found["info"]):
        return None
    return found["indent"], found["fence"], found["info"].strip()


def _language(info: str) -> str:
    word = _LANGUAGE.search(info)
    return language_name(word.group()) if word else ""


def _closing_line(lines: list[str], start: int, fence: str, *, nests: bool) -> int:
    """The index of the closing fence, or the number of lines where there is none.

    CommonMark ends a Markdown block that shows fences as short as its own at the first of them. Models write
    such blocks all the time, so there (`nests`) an inner fence with a language opens a block of its own.
    """
    depth = 1
    for index in range(start, len(lines)):
        found = _FENCE.match(lines[index])
        if found is None or found["fence"][0] != fence[0]:
            continue
        bare = not found["info"].strip()
        if bare and len(found["fence"]) >= len(fence):
            depth -= 1
            if depth == 0:
                return index
        elif nests and not bare and len(found["fence"]) == len(fence) and "`" not in found["info"]:
            depth += 1
    return len(lines)


def _without_indent(line: str, indent: str) -> str:
    if line.startswith(indent):
        return line[len(indent) :]
    return line.lstrip(" \t>") if ">" in indent else line.lstrip(" \t")
