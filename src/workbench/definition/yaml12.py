"""YAML as version 1.2 reads it, with the place of every value: no dates, `yes` is text, bounds on size.

PyYAML scans; what a scalar means, and how far nesting and aliases may go, is decided here.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import yaml

# Only the scanner in C takes a tab after a colon; without it such a header is recovered line by line.
_SCANNER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_DEPTH = 64
MAX_ALIASED_NODES = 10_000

# Characters that PyYAML refuses or takes for line ends of YAML 1.1, and the bytes that are not UTF-8.
_ODD_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_CONSTANTS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_LONGEST_NUMBER = 100
_INDENTATION = re.compile(r"^[ \t]*\t[ \t]*", re.MULTILINE)
_TAB_IN_FLOW = re.compile(r"^\t++(?![ \t]*[\]}])", re.MULTILINE)
_LEADING_TABS = re.compile(r"^\t++", re.MULTILINE)
_AFTER_HYPHEN = re.compile(r"^([ \t]*+-)([ \t]++)(?=\S)(?![^\n]*:(?:\s|\Z))", re.MULTILINE)
_AT_BRACKETS = re.compile(r"(?<=[\[{,:])[ \t]++(?!$)|(?<![ \t])[ \t]++(?=[\]},])", re.MULTILINE)
_BEHIND_BLANKS = re.compile(r"^ ++[ \t]*+(?=\S)(?!-\s|[^\s\"'\[{]+:\s)", re.MULTILINE)

Style = Literal["plain", "double", "single", "literal", "folded", "flow", "block", "alias"]
_SCALAR_STYLES: dict[str, Style] = {'"': "double", "'": "single", "|": "literal", ">": "folded"}


class NotYaml(ValueError):
    """The text is not one YAML document within bounds; `index`, `line` and `column` count from 0."""

    def __init__(self, message: str, *, index: int = 0, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.index = index
        self.line = line
        self.column = column


@dataclass(frozen=True, kw_only=True)
class Node:
    """A value and where it stands: characters `start` to `end` of the text, anchor and tag included."""

    value: Any
    style: Style
    start: int
    end: int
    """Of a block collection: the end of its last item."""
    line: int
    """Of the start, from 0, as is `column`."""
    column: int
    anchor: str | None = None
    pairs: tuple[tuple[Node, Node], ...] = ()
    """Of a mapping, duplicates included."""
    size: int = 1
    """Nodes in all, aliases expanded."""
    last: Node | None = None
    """The scalar or flow collection that ends a block collection."""
    children: tuple[Node, ...] = ()
    """Of a collection, keys and values in their order."""


@dataclass(kw_only=True)
class _Open:
    is_map: bool
    is_flow: bool
    start: Any
    anchor: str | None
    children: list[Node] = field(default_factory=list)


@lru_cache(maxsize=2)
def read(text: str, *, tabs_indent: bool = False) -> Node | None:
    """The one document in the text, `None` where there is none. Raises `NotYaml`; never recurses.

    YAML knows no tab as indentation. With `tabs_indent` each at the start of a line counts as two blanks, as Claude
    Code's reader has it, and other tabs between values as one; but not at the start of a line inside of brackets, nor
    of a block of text, nor behind a blank in front of a list item or a key.

    Of a header that is read twice, by its author's reading and by Claude Code's, the tree is made once; nobody changes
    what is in it. That is a twentieth of what lint takes (benchmark `linting`).
    """
    plain_text, originals = _without_odd_characters(text)
    is_tabbed = tabs_indent and "\t" in text
    extra: list[int] = []
    if is_tabbed:
        plain_text, extra = _without_tabs(plain_text)
    try:
        root = _build(plain_text, originals, extra)
        if is_tabbed and root is not None:
            refuse_tabs(text, root, of=("flow", "literal", "folded"))
        return root
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        message = getattr(error, "problem", None) or getattr(error, "context", None) or str(error)
        if mark is None:
            raise NotYaml(message) from None
        mark = _placed(mark, extra)
        raise NotYaml(message, index=mark.index, line=mark.line, column=mark.column) from None


def refuse_tabs(text: str, root: Node, *, of: Collection[str]) -> None:
    """Passes a document without a tab at the start of a line of its values of these styles, but for one in front of a
    closing bracket. Raises `NotYaml` else."""
    rest = [root]
    while rest:
        node = rest.pop()
        if node.style in of:
            pattern = _TAB_IN_FLOW if node.style == "flow" else _INDENTATION
            if (found := pattern.search(text, node.start, node.end)) is not None:
                index = found.start()
                raise NotYaml(f"a tab in a value of {node.style} style", index=index, line=text.count("\n", 0, index))
        rest += node.children


def _without_tabs(text: str) -> tuple[str, list[int]]:
    """The text with blanks for tabs that part and indent, and where, in the new text, one more stands than before."""
    text = _AFTER_HYPHEN.sub(lambda found: found[1] + " " * len(found[2]), text)
    text = _AT_BRACKETS.sub(lambda found: " " * len(found[0]), text)
    text = _BEHIND_BLANKS.sub(lambda found: " " * len(found[0]), text)
    parts: list[str] = []
    extra: list[int] = []
    done = length = 0
    for found in _LEADING_TABS.finditer(text):
        parts += (text[done : found.start()], "  " * len(found[0]))
        length += found.start() - done
        extra += range(length + 1, length + 2 * len(found[0]), 2)
        length += 2 * len(found[0])
        done = found.end()
    return "".join((*parts, text[done:])), extra


@dataclass(frozen=True, kw_only=True)
class _Mark:
    index: int
    line: int
    column: int


def _placed(mark: Any, extra: list[int]) -> Any:
    """A place in the text with two blanks for a tab, as one in the text as it was."""
    if not extra:
        return mark
    more = bisect_left(extra, mark.index)
    of_line = more - bisect_left(extra, mark.index - mark.column)
    return _Mark(index=mark.index - more, line=mark.line, column=mark.column - of_line)


def resolve(text: str) -> Any:
    """What a plain scalar means in the core schema: null, bool, int, float or the text itself."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "-+.0123456789":
        return text
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if match := _INFINITY.fullmatch(text):
        return float(match[1] + "inf")
    return text


def _without_odd_characters(text: str) -> tuple[str, dict[int, int]]:
    """The text with each odd character replaced by a private one that it does not hold, and the way back."""
    odd = sorted(set(_ODD_CHARACTERS.findall(text)))
    if not odd:
        return text, {}
    used = set(text)
    unused = (number for number in range(0xF0000, 0x10FFFE) if number & 0xFFFE != 0xFFFE and chr(number) not in used)
    try:
        replacements = {ord(character): next(unused) for character in odd}
    except StopIteration:
        raise NotYaml("more different characters than can be told apart") from None
    return text.translate(replacements), {new: old for old, new in replacements.items()}


def _build(text: str, originals: dict[int, int], extra: list[int]) -> Node | None:
    """The tree of the events, without recursion."""
    stack: list[_Open] = []
    anchors: dict[str, Node] = {}
    root: Node | None = None
    documents = 0
    aliased = 0
    for event in yaml.parse(text, Loader=_SCANNER):
        start: Any = _placed(event.start_mark, extra)
        end: Any = _placed(event.end_mark, extra)
        if isinstance(event, yaml.ScalarEvent):
            node = _scalar(event, originals, start, end)
        elif isinstance(event, yaml.AliasEvent):
            target = anchors.get(event.anchor or "")
            if target is None:
                raise _refusal(f"alias *{event.anchor} of no anchor before it", start)
            aliased += target.size
            if aliased > MAX_ALIASED_NODES:
                raise _refusal("aliases that stand for too much", start)
            node = _node(start, end.index, value=target.value, style="alias", size=target.size)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            if len(stack) >= MAX_DEPTH:
                raise _refusal(f"nested more than {MAX_DEPTH} deep", start)
            is_map = isinstance(event, yaml.MappingStartEvent)
            stack.append(_Open(is_map=is_map, start=start, is_flow=bool(event.flow_style), anchor=event.anchor))
            continue
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            node = _collection(stack.pop(), end.index)
        else:
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise _refusal("a second document", start)
            continue
        if node.anchor is not None:
            anchors[node.anchor] = node
        if stack:
            stack[-1].children.append(node)
        else:
            root = node
    return root


def _refusal(message: str, mark: Any) -> NotYaml:
    return NotYaml(message, index=mark.index, line=mark.line, column=mark.column)


def _node(start: Any, end: int, **fields: Any) -> Node:
    return Node(start=start.index, end=end, line=start.line, column=start.column, **fields)


def _scalar(event: yaml.ScalarEvent, originals: dict[int, int], start: Any, end: Any) -> Node:
    text = event.value.translate(originals) if originals else event.value
    style: Style = _SCALAR_STYLES.get(event.style or "", "plain")
    value = resolve(text) if style == "plain" and event.implicit[0] else text
    return _node(start, end.index, value=value, style=style, anchor=event.anchor)


def _collection(opened: _Open, end: int) -> Node:
    children = opened.children
    last: Node | None = None
    if not opened.is_flow and children:
        last = children[-1].last or children[-1]
        end = last.end
    pairs = tuple(zip(children[::2], children[1::2], strict=True)) if opened.is_map else ()
    value: Any = [child.value for child in children]
    if opened.is_map:
        value = {key_text(key): item.value for key, item in pairs}
    return _node(
        opened.start,
        end,
        value=value,
        style="flow" if opened.is_flow else "block",
        anchor=opened.anchor,
        pairs=pairs,
        size=1 + sum(child.size for child in children),
        last=last,
        children=tuple(children),
    )


def key_text(key: Node) -> str:
    """A key as text: mappings here have text keys only, as in JSON."""
    return key.value if isinstance(key.value, str) else _as_text(key.value)


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
