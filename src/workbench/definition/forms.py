"""The ways to write a value in YAML so that all readers read the same: the nicest first, the surest last."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from workbench.definition import yaml12
from workbench.definition.header import brief
from workbench.definition.lines import lines_of
from workbench.errors import AgentFileError

_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|-(?=--)')
_NOT_IN_A_BLOCK = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def forms_of_text(value: str, *, style: str = "plain", old: str = "", indent: str = "  ") -> Iterator[str]:
    """The ways to write a text as a YAML value, the one closest to the old source first, the surest last."""
    forms = {
        "plain": _plain_form(value),
        "single": _single_quoted(value),
        "literal": _literal_form(value, indent),
        "folded": _folded_form(value, old, indent) if style == "folded" else None,
        "double": double_quoted(value),
    }
    wanted = {"folded": "folded", "recovered": "plain"}.get(style, style)
    for name in dict.fromkeys((wanted, "plain", "literal", "double")):
        form = forms.get(name)
        if form is not None:
            yield form


def forms_of_list(items: Sequence[str], *, style: str, indent: str = "  ") -> Iterator[str]:
    """The ways to write a list: as text with commas where `style` is that of text, else as a list like it."""
    text = ", ".join(items)
    block = "".join(f"\n{indent}- {_item_form(item)}" for item in items)
    flow = "[" + ", ".join(_flow_item_form(item) for item in items) + "]"
    quoted = "[" + ", ".join(double_quoted(item) for item in items) + "]"
    if style not in ("block", "flow") and items:
        yield from forms_of_text(text, style=style if style in ("single", "double") else "plain")
    if style == "block" and items:
        yield block
    yield from (flow, quoted)


def forms_of_data(value: Any) -> Iterator[str]:
    """The ways to write plain data: a list or mapping as further lines, or all of it on one line.

    Raises:
        AgentFileError: it is not plain data.
    """
    try:
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=float("inf"))
    except (yaml.YAMLError, RecursionError):
        raise AgentFileError(f"{brief(value)} cannot be written as YAML: it is not plain data") from None
    if value and isinstance(value, (list, dict)):
        yield "\n" + "\n".join("  " + line for line in text.rstrip("\n").split("\n"))
    yield _flow_form(value)


def double_quoted(value: str) -> str:
    """The text in double quotes on one line; `---` is escaped, as Claude Code would cut the header there."""
    return '"' + _ESCAPED.sub(lambda match: _SHORT_ESCAPES.get(match[0]) or _numeric_escape(match[0]), value) + '"'


def _flow_form(value: Any) -> str:
    if isinstance(value, str):
        return double_quoted(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow_form(key)}: {_flow_form(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow_form, value)) + "]"
    return {None: "null", True: "true", False: "false"}.get(value) or str(value)


def _numeric_escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _plain_form(value: str) -> str | None:
    if not value or value != value.strip() or "\n" in value or value[0] in "-?:,[]{}#&*!|>'\"%@`":
        return None
    if ": " in value or " #" in value or value.endswith(":") or _NOT_IN_A_BLOCK.search(value):
        return None
    try:
        is_same = yaml.load(f"k: {value}", Loader=yaml.SafeLoader) == {"k": value}
    except (yaml.YAMLError, ValueError):
        return None
    return value if is_same and yaml12.resolve(value) == value else None


def _single_quoted(value: str) -> str | None:
    if "\n" in value or _NOT_IN_A_BLOCK.search(value):
        return None
    return "'" + value.replace("'", "''") + "'"


def literal_block(value: str, indent: str = "  ") -> str | None:
    """The text as a `|` block, be it of one line; `None` where none holds it, or where lines end in blanks."""
    return _literal_form(value, indent, fewest=1)


def _literal_form(value: str, indent: str, *, fewest: int = 2) -> str | None:
    # An editor that takes blanks from the ends of lines would change the text.
    has_loose_blanks = any(line != line.rstrip() for line in value.removesuffix("\n").split("\n"))
    return None if has_loose_blanks else block_of_text(value, indent, fewest=fewest)


def block_of_text(value: str, indent: str = "  ", *, fewest: int = 2) -> str | None:
    """The text in a block of so many lines or more, blanks at their ends kept; `None` where a block cannot hold it."""
    text = value.removesuffix("\n")
    lines = text.split("\n")
    if len(lines) < fewest or not lines[-1] or _NOT_IN_A_BLOCK.search(text):
        return None
    if not lines[0].strip() or lines[0] != lines[0].lstrip() or any(line.isspace() for line in lines):
        return None
    head = "|" if value.endswith("\n") else "|-"
    return head + "".join(f"\n{indent}{line}" if line else "\n" for line in lines)


def _folded_form(value: str, old: str, indent: str) -> str | None:
    """The text in a folded block, broken where the old one was as far as the words are the same."""
    text = value.removesuffix("\n")
    if not text.strip() or _NOT_IN_A_BLOCK.search(text) or any(line != line.strip() for line in text.split("\n")):
        return None
    old_lines = [line.strip() for line in lines_of(old)[1:]]
    width = max(map(len, old_lines), default=80)
    blocks = [_broken(paragraph, old_lines, width) for paragraph in text.split("\n")]
    head = ">" if value.endswith("\n") else ">-"
    paragraphs = ("\n".join(indent + line for line in block) for block in blocks)
    return head + "\n" + "\n\n".join(paragraphs)


def _broken(paragraph: str, old_lines: Sequence[str], width: int) -> list[str]:
    """The words of a paragraph in lines: the old lines that it starts and ends with, else filled up."""
    head: list[str] = []
    tail: list[str] = []
    start, end = 0, len(paragraph)
    for line in (line for line in old_lines if line):
        if paragraph.startswith(line + " ", start):
            head.append(line)
            start += len(line) + 1
    for line in (line for line in reversed(old_lines) if line):
        if paragraph.endswith(" " + line, start, end):
            tail.append(line)
            end -= len(line) + 1
    lines = textwrap.wrap(paragraph[start:end], width, break_long_words=False, break_on_hyphens=False)
    return [*head, *lines, *reversed(tail)]


def _item_form(item: str) -> str:
    return _plain_form(item) or double_quoted(item)


def _flow_item_form(item: str) -> str:
    form = _plain_form(item)
    return form if form is not None and not re.search(r"[,\[\]{}]", form) else double_quoted(item)
