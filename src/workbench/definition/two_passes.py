"""The two passes of Claude Code's own reader: a header as YAML, and where that fails, once more with quotes.

What stands between the first two `---` is read as YAML; where that fails, once more with suspicious values put in
quotes; else not at all. Measured; the files that show it are in `tests/test_claude_code.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench.definition import yaml12
from workbench.definition.document import Document
from workbench.definition.lines import BLANKS, as_shown

ReadingKind = Literal["strict", "repaired", "dropped", "placeholder"]
"""`strict`: as it is; `repaired`: after putting values in quotes, which other readers do not do; `dropped`: not at
all; `placeholder`: not at all either, and listed, as an agent of a plugin is."""

# As JavaScript has it: `\s` and `trim` know the byte order mark, `.` stops at every JavaScript line end. Blanks that
# were taken are not given back: no shorter run of them would match either, and each try takes as long as the first.
_FRONTMATTER = re.compile(rf"(?>---[{BLANKS}]*\n)((?s:.*?))---[{BLANKS}]*\n?")
_VALUE_LINE = re.compile(rf"([a-zA-Z_-]+):[{BLANKS}]++([^\n\r\u2028\u2029]+)\Z")
_SUSPICIOUS = re.compile(r"[{}\[\]*&#!|>%@`]|: ")


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What the two passes give, before any rule on names or types."""

    kind: ReadingKind
    values: Mapping[str, Any]
    prompt: str
    header: str | None
    """The text that was parsed; `None` where there is no frontmatter."""


def parse_as_claude_code(document: Document) -> Parsed:
    """The keys and the prompt that the program's two passes find in this text."""
    text = as_shown(document.text.removeprefix("\ufeff"))
    match = _FRONTMATTER.match(text)
    if match is None:
        return Parsed(kind="strict", values={}, prompt=_trimmed(text), header=None)
    header, prompt = match[1], _trimmed(text[match.end() :])
    values = _mapping(header)
    if values is not None:
        return Parsed(kind="strict", values=values, prompt=prompt, header=header)
    values = _mapping(_with_quotes(header))
    if values is not None:
        return Parsed(kind="repaired", values=values, prompt=prompt, header=header)
    return Parsed(kind="dropped", values={}, prompt=prompt, header=header)


def shown_description(description: str) -> str:
    """A parsed description as the model is shown it."""
    return as_shown(description).replace("\\n", "\n")


def split_tools(text: str) -> tuple[str, ...]:
    """The tools, or skills, of a text: commas and blanks part them, tabs and line ends do not; inside parentheses
    nothing does: `Agent(a, b) Read` are two."""
    parts: list[str] = []
    depth = start = 0
    for index, character in enumerate(text):
        if character == "(":
            depth += 1
        elif character == ")":
            depth = max(0, depth - 1)
        elif depth == 0 and character in ", ":
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return tuple(part for part in map(_trimmed, parts) if part)


def _trimmed(text: str) -> str:
    return text.strip(BLANKS)


def _mapping(header: str) -> dict[str, Any] | None:
    """The header's keys; none where it is YAML but no mapping; `None` where it is not YAML."""
    if "\0" in header:
        return None
    try:
        root = _with_or_without_tabs(header)
    except yaml12.NotYaml:
        return None
    return root.value if root is not None and isinstance(root.value, dict) else {}


def _with_or_without_tabs(header: str) -> yaml12.Node | None:
    """The header as Bun reads it, in which a tab is indentation, and no blank between brackets."""
    try:
        root = yaml12.read(header)
    except yaml12.NotYaml:
        if "\t" not in header:
            raise
        return yaml12.read(header, tabs_indent=True)
    if root is not None and "\t" in header:
        yaml12.refuse_tabs(header, root, of=("flow",))
    return root


def _with_quotes(header: str) -> str:
    """The header with each suspicious value that is not in quotes yet put in quotes."""
    return "\n".join(map(_line_with_quotes, header.split("\n")))


def _line_with_quotes(line: str) -> str:
    match = _VALUE_LINE.match(line)
    if match is None or not _SUSPICIOUS.search(match[2]) or _is_whole(match[2]):
        return line
    escaped = match[2].replace("\\", "\\\\").replace('"', '\\"')
    return f'{match[1]}: "{escaped}"'


def _is_whole(value: str) -> bool:
    """Whether a value is wholly in quotes or in brackets; versions before 2.1.330 quoted the latter."""
    return len(value) > 1 and value[0] + value[-1] in ('""', "''", "[]")
