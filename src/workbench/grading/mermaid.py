"""Mermaid, read for real: whether a text is a diagram that would be drawn, of what kind, and what it shows.

Where the package `merman` is installed (the extra `mermaid`), it says whether the text is valid, in the bounded process
of `trial/bounded.py`: of 48 texts it agreed with mermaid 11.17 itself on 47. Where it is not, the grammars here do, for
flowcharts, sequence, class, state and entity diagrams. They are stricter than mermaid where mermaid draws nothing
useful: a header alone is valid to it, and no diagram.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

from workbench.trial import bounded

MOST_CHARACTERS = 50_000
"""Longer texts are not read: mermaid itself refuses them (`maxTextSize`)."""

_HEADERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("flowchart", re.compile(r"(?:graph|flowchart(?:-elk)?)(?:[ \t]++(?:TB|TD|BT|RL|LR|>|<|\^|v))?[ \t]*+(?:;|$)")),
    ("sequence", re.compile(r"sequenceDiagram[ \t]*+;?$")),
    ("class", re.compile(r"classDiagram(?:-v2)?[ \t]*+$")),
    ("state", re.compile(r"stateDiagram(?:-v2)?[ \t]*+$")),
    ("er", re.compile(r"erDiagram[ \t]*+$")),
)
_OTHERS = re.compile(
    r"(?P<kind>gantt|pie|journey|mindmap|timeline|gitGraph|quadrantChart|requirementDiagram|C4\w+|architecture(?:-beta)?|"
    r"block(?:-beta)?|sankey(?:-beta)?|xychart(?:-beta)?|packet(?:-beta)?|kanban|radar-beta|treemap(?:-beta)?|zenuml)\b"
)
KINDS = (*(name for name, _ in _HEADERS), "other")
"""The kinds of diagram that are told apart."""

_TEXT = r'(?:"[^"\n]*+"|[^"\[\](){}|\n]++)'
_NODE = re.compile(
    r"(?P<id>\w++(?:[-./]\w++)*+)"
    r"(?P<shape>\(\(\(TEXT\)\)\)|\(\(TEXT\)\)|\(\[TEXT\]\)|\(TEXT\)|\[\[TEXT\]\]|\[\(TEXT\)\]|\[/TEXT[/\\]\]|"
    r"\[\\TEXT[/\\]\]|\[TEXT\]|\{\{TEXT\}\}|\{TEXT\}|>TEXT\])?".replace("TEXT", _TEXT)
    + r"(?P<data>@\{[^{}\n]*+\})?(?P<style>:::\w+)?"
)
_LINK = re.compile(
    r"(?:<|[xo](?=[-=]))?(?:--+[->xo]|-\.++-[>xo]?|==+[=>xo]|--(?:[^-|>\n]|-(?!-))(?:[^-|\n]|-(?!-))*--+[->xo]|"
    r"-\.(?!\.)(?:[^.|\n-]|\.(?![.-]))++\.++-[>xo]?|==(?:[^=|>\n])(?:[^=|\n])*==+[=>xo])(?:[ \t]*+\|[^|\n]+\|)?|~~~+"
)
_EDGE_ID = re.compile(r"\w+@(?=[-=<xo~])")
_SPACE = re.compile(r"[ \t]*+")
_FLOW_EXTRA = re.compile(
    r"(?:classDef[ \t]++[\w,]++[ \t]++\S.*|class[ \t]++\S.*|style[ \t]++\S++[ \t]++\S.*|"
    r"linkStyle[ \t]++\S++[ \t]++\S.*|"
    r"click[ \t]++\S++[ \t]++\S.*|direction[ \t]++(?:TB|TD|BT|RL|LR)|\w+@\{[^{}\n]*+\}|acc(?:Title|Descr)[ \t]*+:.*)$"
)
_SUBGRAPH = re.compile(
    r"subgraph(?:[ \t]++[^\[\](){}\n]++(?:\[TEXT\])?|[ \t]++\S+[ \t]*+\(TEXT\))?[ \t]*+$".replace("TEXT", _TEXT)
)

_MESSAGE = re.compile(
    r"(?P<one>[^\s:;,<>+%][^:;,<>+\n]*?)(?:<<--?>>|--?>>|--?>|--?x|--?\))[ \t]*+[+-]?[ \t]*+"
    r"(?P<two>[^\s:;,<>+-][^:;,<>+\n]*+):(?P<label>.*)$"
)
_SEQUENCE_LINE = re.compile(
    r"(?:autonumber(?:[ \t]++\d++)*+|(?:create[ \t]++)?(?:participant|actor)[ \t]++(?P<name>\S.*)|destroy[ \t]++\S.*|"
    r"(?:de)?activate[ \t]++\S.*|note[ \t]++(?:left of|right of|over)[ \t]++[^:\n]++:.*|title:?[ \t]++.*|"
    r"acc(?:Title|Descr)[ \t]*+:.*|links?[ \t]++[^:\n]++:.*)$",
    re.IGNORECASE,
)
_SEQUENCE_BLOCK = re.compile(r"(?P<kind>loop|alt|opt|par|critical|break|rect|box)\b.*$", re.IGNORECASE)
_SEQUENCE_PART = re.compile(r"(?P<kind>else|and|option)\b.*$", re.IGNORECASE)
_PART_OF = {"else": "alt", "and": "par", "option": "critical"}

_CLASS_NAME = r"(?:`[^`\n]++`|[\w.-]++)(?:~[^\n~]*+(?:~[^\n~]*+~)?+~)?+"
_RELATION = re.compile(
    r"(?P<one>NAME)[ \t]*+(?:\"[^\"\n]*+\"[ \t]*+)?(?:<\||\*|o|<|\(\))?(?:--|\.\.)(?:\|>|\*|o|>|\(\))?[ \t]*+"
    r"(?:\"[^\"\n]*+\"[ \t]*+)?(?P<two>NAME)(?:[ \t]*+:[ \t]*+\S.*)?$".replace(
        "NAME", r"(?:`[^`\n]++`|\w++(?:[.-]\w++)*+)(?:~\w++~)?+"
    )
)
_CLASS = re.compile(
    rf"class[ \t]++(?P<name>{_CLASS_NAME})(?:[ \t]*+\[\"[^\"\n]*+\"\])?(?::::\w+)?[ \t]*+(?:<<\w+>>)?[ \t]*+"
    r"(?P<open>\{[^}\n]*)?(?P<close>\})?[ \t]*+$"
)
_MEMBER = re.compile(rf"(?P<name>{_CLASS_NAME})[ \t]*+:[ \t]*+\S.*$")
_CLASS_EXTRA = re.compile(
    r"(?:<<[^>\n]+>>[ \t]++\S+|note[ \t]++(?:for[ \t]++\S+[ \t]++)?\"[^\"\n]*+\"|direction[ \t]++(?:TB|TD|BT|RL|LR)|"
    r"(?:style|click|link|callback|cssClass|classDef)[ \t]++\S.*|title[ \t].*|acc(?:Title|Descr)[ \t]*+:.*)$"
)
_NAMESPACE = re.compile(r"namespace[ \t]++[\w.-]+[ \t]*+\{[ \t]*+$")

_STATE = r"(?:\[\*\]|\w++(?:-\w++)*+)(?::::\w+)?"
_TRANSITION = re.compile(rf"(?P<one>{_STATE})[ \t]*+-->[ \t]*+(?P<two>{_STATE})[ \t]*+(?::(?P<label>.*))?$")
_STATE_LINE = re.compile(
    rf"(?:{_STATE}(?:[ \t]*+:[ \t]*+\S.*)?|state[ \t]++\"[^\"\n]*+\"[ \t]++as[ \t]++\w+|"
    r"state[ \t]++\w+[ \t]++(?:<<\w+>>|\[\[\w+\]\])|"
    r"state[ \t]++\w+|direction[ \t]++(?:TB|TD|BT|RL|LR)|(?:classDef|class|style|click)[ \t]++\S.*|"
    r"hide empty description|"
    r"scale[ \t].*|title[ \t].*|acc(?:Title|Descr)[ \t]*+:.*|"
    r"note[ \t]++(?:left|right)[ \t]++of[ \t]++\w+[ \t]*+:[ \t]*+\S.*)$"
)
_STATE_BLOCK = re.compile(r"state[ \t]++(?:\"[^\"\n]*+\"[ \t]++as[ \t]++)?(?P<name>\w+)[ \t]*+\{[ \t]*+$")
_STATE_NOTE = re.compile(r"note[ \t]++(?:left|right)[ \t]++of[ \t]++\w+[ \t]*+$")

_ENTITY = r'(?:"[^"\n]++"|\w++(?:-\w++)*+)(?:\[(?:"[^"\n]++"|[^\]"\n]++)\])?'
_WORDED = (
    r"(?:only one|zero or one|one or zero|one or more|one or many|zero or more|zero or many|many\(0\)|many\(1\)|many|"
    r"0\+|1\+|one|1)"
)
_ER_RELATION = re.compile(
    rf"(?P<one>{_ENTITY})[ \t]*+(?:(?:\|o|\|\||\}}o|\}}\|)(?:--|\.\.)(?:o\||\|\||o\{{|\|\{{)|"
    rf"(?<=[ \t]){_WORDED}[ \t]++(?:to|optionally to)[ \t]++{_WORDED}[ \t])[ \t]*+(?P<two>{_ENTITY})[ \t]*+:[ \t]*+"
    rf"(?P<label>\"[^\"\n]*+\"|[\w-]+)[ \t]*+$"
)
_ER_BLOCK = re.compile(rf"(?P<name>{_ENTITY})[ \t]*+\{{[ \t]*+(?P<close>\}})?[ \t]*+$")
_ATTRIBUTE = re.compile(
    r"[\w~\[\]()-]+[ \t]++\*?[\w\[\]()-]+(?:[ \t]++(?:PK|FK|UK)(?:[ \t]*+,[ \t]*+(?:PK|FK|UK))*)?"
    r"(?:[ \t]++\"[^\"\n]*+\")?$"
)
_ER_EXTRA = re.compile(
    rf"(?:{_ENTITY}(?::::\w+)?|direction[ \t]++(?:TB|TD|BT|RL|LR)|(?:classDef|class|style)[ \t]++\S.*|title[ \t].*|"
    r"acc(?:Title|Descr)[ \t]*+:.*)$"
)


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """What a Mermaid text shows."""

    kind: str
    """One of `KINDS`; "" where its first line names none."""
    problem: str
    """Why it is not valid; "" where it is, and where nothing here can tell."""
    nodes: frozenset[str]
    edges: int
    is_known: bool
    """False for a kind that only `merman` reads, where that is not installed."""

    @property
    def shows_something(self) -> bool:
        """Whether it would be drawn with something to see: a connection, or two things."""
        return not self.problem and (self.edges > 0 or len(self.nodes) > 1)


class _Fault(Exception):
    """A line that the grammar does not take; says which and why."""


@dataclass
class _Seen:
    nodes: set[str]
    edges: int = 0


@lru_cache(maxsize=32)
def read_mermaid(text: str) -> Diagram:
    """The diagram of a text; never raises."""
    if len(text) > MOST_CHARACTERS:
        problem = f"{len(text):,} characters; mermaid draws up to {MOST_CHARACTERS:,}"
        return Diagram(kind="", problem=problem, nodes=frozenset(), edges=0, is_known=True)
    lines = [(number, line.strip()) for number, line in enumerate(_body(text).splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("%%")]
    kind, rest = _header(lines)
    seen = _Seen(nodes=set())
    problem = ""
    if kind in _GRAMMARS:
        try:
            _GRAMMARS[kind](rest, seen)
        except _Fault as fault:
            problem = str(fault)
    elif kind:
        seen.nodes.update(line for _, line in rest if not line.startswith(("title", "dateFormat", "axisFormat")))
    else:
        problem = "its first line names no kind of diagram"
    judged = _by_merman(text) if kind else None
    if judged is not None:
        if not judged and problem:  # valid, though not in the way that is known here: its lines are what it shows
            seen.nodes.update(line for _, line in rest)
        problem = judged
    return Diagram(
        kind=kind if kind in _GRAMMARS or not kind else "other",
        problem=problem,
        nodes=frozenset(seen.nodes),
        edges=seen.edges,
        is_known=kind in _GRAMMARS or not kind or judged is not None,
    )


def merman_is_here() -> bool:
    """Whether the package that reads all kinds is installed."""
    return find_spec("merman") is not None


def _by_merman(text: str) -> str | None:
    """What merman finds wrong, "" where nothing; `None` where it is not installed or gave no answer."""
    if not merman_is_here():
        return None
    try:
        return bounded.mermaid_fault(text)
    except bounded.BeyondBounds:
        return None


def _body(text: str) -> str:
    """Without the front matter and the directives that may stand before the header."""
    stripped = text.lstrip()
    if stripped.startswith("---"):
        _, found, after = stripped[3:].partition("\n---")
        stripped = after if found else stripped
    return stripped


def _header(lines: list[tuple[int, str]]) -> tuple[str, list[tuple[int, str]]]:
    if not lines:
        return "", []
    number, first = lines[0]
    for kind, pattern in _HEADERS:
        found = pattern.match(first)
        if found is not None:
            rest = first[found.end() :].strip()
            return kind, [*([(number, rest)] if rest else []), *lines[1:]]
    other = _OTHERS.match(first)
    return (other["kind"], lines[1:]) if other else ("", lines)


def _wrong(number: int, line: str, why: str = "cannot be read") -> _Fault:
    return _Fault(f"line {number} {why}: {line[:60]}")


def _flowchart(lines: list[tuple[int, str]], seen: _Seen) -> None:
    open_blocks = 0
    for number, line in lines:
        for statement in _statements(line):
            if statement.split(None, 1)[0] == "subgraph":
                if not _SUBGRAPH.match(statement):
                    raise _wrong(number, statement)
                open_blocks += 1
            elif statement == "end":
                open_blocks -= 1
                if open_blocks < 0:
                    raise _wrong(number, statement, "ends what was not begun")
            elif not _FLOW_EXTRA.match(statement):
                _chain(number, statement, seen)
    if open_blocks:
        raise _Fault("a subgraph is not ended")


def _statements(line: str) -> Iterator[str]:
    quoted, start = False, 0
    for place, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif character == ";" and not quoted:
            if line[start:place].strip():
                yield line[start:place].strip()
            start = place + 1
    if line[start:].strip():
        yield line[start:].strip()


def _chain(number: int, line: str, seen: _Seen) -> None:
    place, before = 0, 0
    while True:
        group = 0
        while True:
            node = _NODE.match(line, place)
            if node is None or node["id"] == "end":
                raise _wrong(number, line)
            seen.nodes.add(f"{node['id']} {node['shape'] or ''} {node['data'] or ''}")
            group += 1
            place = _after_space(line, node.end())
            if line[place : place + 1] != "&":
                break
            place = _after_space(line, place + 1)
        seen.edges += before * group
        if place == len(line):
            return
        named = _EDGE_ID.match(line, place)
        link = _LINK.match(line, named.end() if named else place)
        if link is None:
            raise _wrong(number, line)
        place, before = _after_space(line, link.end()), group


def _after_space(line: str, place: int) -> int:
    found = _SPACE.match(line, place)
    return found.end() if found else place


def _sequence(lines: list[tuple[int, str]], seen: _Seen) -> None:
    blocks: list[str] = []
    for number, line in lines:
        block, part = _SEQUENCE_BLOCK.match(line), _SEQUENCE_PART.match(line)
        message = _MESSAGE.match(line)
        if message is not None and not line.lower().startswith(("note ", "participant ", "actor ")):
            seen.nodes |= {message["one"].strip(), message["two"].strip()}
            seen.edges += 1
        elif block is not None:
            blocks.append(block["kind"].lower())
        elif part is not None:
            if not blocks or blocks[-1] != _PART_OF[part["kind"].lower()]:
                raise _wrong(number, line, "stands in no block that it could be a part of")
        elif line.lower() == "end":
            if not blocks:
                raise _wrong(number, line, "ends what was not begun")
            blocks.pop()
        else:
            other = _SEQUENCE_LINE.match(line)
            if other is None:
                raise _wrong(number, line)
            if other["name"]:
                seen.nodes.add(other["name"].partition(" as ")[0].strip())
    if blocks:
        raise _Fault(f"`{blocks[-1]}` is not ended")


def _class(lines: list[tuple[int, str]], seen: _Seen) -> None:
    depth, in_members = 0, False
    for number, line in lines:
        if in_members:
            if line == "}":
                in_members = False
            elif "{" in line:
                raise _wrong(number, line)
            continue
        found, relation, member = _CLASS.match(line), _RELATION.match(line), _MEMBER.match(line)
        if found is not None and not (found["close"] and not found["open"]):
            seen.nodes.add(found["name"])
            in_members = bool(found["open"]) and not found["close"]
            if in_members and found["open"].strip() != "{":
                raise _wrong(number, line, "has a member before the line's end")
        elif relation is not None:
            seen.nodes |= {relation["one"], relation["two"]}
            seen.edges += 1
        elif _CLASS_EXTRA.match(line):
            continue
        elif _NAMESPACE.match(line):
            depth += 1
        elif line == "}" and depth:
            depth -= 1
        elif member is not None:
            seen.nodes.add(member["name"])
        else:
            raise _wrong(number, line)
    if depth or in_members:
        raise _Fault("a `{` is not closed")


def _state(lines: list[tuple[int, str]], seen: _Seen) -> None:
    depth, in_note = 0, False
    for number, line in lines:
        if in_note:
            in_note = line != "end note"
            continue
        transition, block = _TRANSITION.match(line), _STATE_BLOCK.match(line)
        if transition is not None:
            seen.nodes |= {transition["one"], transition["two"]}
            seen.edges += 1
        elif block is not None:
            seen.nodes.add(block["name"])
            depth += 1
        elif line == "}" and depth:
            depth -= 1
        elif line == "--" and depth:
            continue
        elif _STATE_NOTE.match(line):
            in_note = True
        elif _STATE_LINE.match(line) and line.split()[0] not in ("note", "end", "--"):
            seen.nodes.add(line)
        else:
            raise _wrong(number, line)
    if depth or in_note:
        raise _Fault("a note is not ended" if in_note else "a `{` is not closed")


def _er(lines: list[tuple[int, str]], seen: _Seen) -> None:
    in_block = False
    for number, line in lines:
        if in_block:
            if line == "}":
                in_block = False
            elif not _ATTRIBUTE.match(line):
                raise _wrong(number, line, "is no attribute with a type and a name")
            continue
        relation, block = _ER_RELATION.match(line), _ER_BLOCK.match(line)
        if relation is not None:
            seen.nodes |= {relation["one"], relation["two"]}
            seen.edges += 1
        elif block is not None:
            seen.nodes.add(block["name"])
            in_block = not block["close"]
        elif _ER_EXTRA.match(line):
            seen.nodes.add(line)
        else:
            raise _wrong(number, line)
    if in_block:
        raise _Fault("a `{` is not closed")


_GRAMMARS: dict[str, Callable[[list[tuple[int, str]], _Seen], None]] = {
    "flowchart": _flowchart,
    "sequence": _sequence,
    "class": _class,
    "state": _state,
    "er": _er,
}
