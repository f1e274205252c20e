"""Graders of the form of a reply: diagrams, code, headings, tables, lists, JSON and files.

Nothing here is executed. What is ours takes time in proportion to the reply; a JSON Schema,
which a task brings, is bounded.
"""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from workbench.grading import options
from workbench.grading.files import files_of
from workbench.grading.mermaid import KINDS, Diagram, read_mermaid
from workbench.grading.wording import listed, quoted, short
from workbench.markup import counted
from workbench.trial import bounded
from workbench.trial.fences import CodeBlock, code_blocks, language_name, prose
from workbench.trial.sentences import HEADING, LIST_ITEM, UNDERLINE, UNSPACED, fold, real_sentences, words_of
from workbench.trial.task import Task
from workbench.trial.trial import Grader, Reply, Score

_DIAGRAM_LANGUAGES = frozenset({"plantuml", "dot", "graphviz", "d2"})
_PLAIN_LANGUAGES = frozenset({"", "text", "txt", "plaintext", "plain", "ascii", "diagram", "console"})
_DIAGRAM_START = re.compile(
    r"^\s*(?:sequenceDiagram|classDiagram|erDiagram|stateDiagram|flowchart\s|graph\s+(?:TB|TD|BT|RL|LR)\b)"
)
# Only from the first sign of a row, which is taken whole: a line of nothing but dashes stays linear.
_ARROW = re.compile(r"(?<!-)-{2,}+>|<-{2,}+|(?<!=)={2,}+>|─[>▶►]|[→←↑↓↔⇒⇐⟶⟵▲▼▶◀►◄]")
_SHORT_ARROW = re.compile(r"[^\s)]\s*->\s*\S")
_CODE_LINE = re.compile(r"^\s*(?:async\s+def|def|fn|func|lambda)\b|[:{;]\s*$")
_TREE_BRANCH = re.compile(r"^[\s│|]*[├└]─+\s")
_FALLING_ARROW = re.compile(r"^[\s|│]*[vV^][\s|│vV^]*$")
_ASCII_BOX = re.compile(r"\+[-=]{2,}\+")
_BOX_CORNERS = "┌╔╭┏"
_LINE_BETWEEN = re.compile(r"-{1,3}[>-]|<-|\.{2}>|={1,2}>|:")
_LEAD_IN = re.compile(r"^(?:\*\*|__)(?P<words>[^*_].*?)(?:\*\*|__)")
_DASHES = re.compile(r":?-++:?")
_NUMBERED = re.compile(r"^\s*\(?(?:\d{1,3}|[A-Za-z])[.)]\s")
_SHARED_WORDS = 2
"""So many words of a diagram stand in the task, or in the sentences about it, where it is on the topic."""
MOST_JSON_CHARACTERS = 1_000_000
"""Longer texts are not read as JSON."""


def has_diagram(*, kinds: Sequence[str] | None = None, on_topic: bool = False) -> Grader:
    """A grader that is 1 where the reply draws: Mermaid, PlantUML, Graphviz or D2, or boxes and arrows.

    Mermaid is read as mermaid reads it: a diagram that would not be drawn is none, and neither is one that shows less
    than a connection or two things, such as `graph TD` alone. `kinds` (flowchart, sequence, class, state, er, other)
    takes Mermaid of these kinds only. With `on_topic` at least two of its words must stand in the task, or in the real
    sentences of the reply: a diagram of A and B is none. A tree of files, a table and the arrows of Python's type hints
    are not taken for a diagram.

    Raises:
        TypeError, ValueError: `kinds` is not a list, or has one that is not known; `on_topic` is not true or false.
    """
    wanted = None if kinds is None else options.choices("kinds", kinds, KINDS)
    must_be_told = options.switch("on_topic", on_topic)

    def grade(task: Task, reply: Reply) -> Score:
        refused = ""
        for text, what, diagram in _drawings(reply.text):
            problem = _why_none(diagram, wanted)
            if not problem and must_be_told and not _is_told(text, task, reply):
                problem = "it names nothing that the task or the sentences name"
            if not problem:
                return Score(value=1.0, explanation=what)
            refused = refused or f"; the {what} is none: {problem}"
        return Score(value=0.0, explanation=f"no diagram{refused}")

    return grade


def has_code(*, language: str | None = None, at_least: int = 1) -> Grader:
    """A grader that is 1 where the reply has a fenced block that is not empty, of `language` if given.

    With `at_least` the value is the share of so many blocks.

    Raises:
        TypeError, ValueError: `language` is not a text or is blank; `at_least` is not a whole number from 1.
    """
    wanted = None if language is None else language_name(options.text("language", language))
    needed = options.count("at_least", at_least)

    def grade(task: Task, reply: Reply) -> Score:
        blocks = [block for block in code_blocks(reply.text) if block.text.strip()]
        matching = [block for block in blocks if wanted is None or block.language == wanted]
        kind = "code" if wanted is None else wanted
        if matching:
            counted = "1 block" if len(matching) == 1 else f"{len(matching)} blocks"
            ending = "" if len(matching) >= needed else f" of {needed} wanted"
            return Score(value=min(1.0, len(matching) / needed), explanation=f"{counted} of {kind}{ending}")
        others = sorted({block.language or "no language" for block in blocks})
        ending = f"; blocks of {listed(others)}" if others else ""
        return Score(value=0.0, explanation=f"no block of {kind}{ending}")

    return grade


def has_section(*, any: Sequence[str]) -> Grader:
    """A grader that is 1 where a heading or a bold lead-in holds one of these titles as whole words.

    Case, hyphens and spaces do not matter: "Trade-offs" finds "## Design tradeoffs".

    Raises:
        TypeError, ValueError: `any` is not a list of texts with letters or digits.
    """
    keys = _keys("any", any)

    def grade(task: Task, reply: Reply) -> Score:
        titles = list(_titles(prose(reply.text)))
        for heading in titles:
            if builtins.any(_holds_run(_words(heading), key) for key in keys.values()):
                return Score(value=1.0, explanation=f"section {quoted(heading)}")
        counted = f"{len(titles)} other sections" if titles else "no sections at all"
        return Score(value=0.0, explanation=f"no section {listed(list(keys), last='or')}; {counted}")

    return grade


def headings(*, all: Sequence[str], in_order: bool = False) -> Grader:
    """A grader of the share of these titles that a heading or a bold lead-in holds, as `has_section` finds them.

    With `in_order` only those count that stand after one another as they are listed.

    Raises:
        TypeError, ValueError: `all` is not a list of texts with letters or digits; `in_order` is not true or false.
    """
    keys = _keys("all", all)
    ordered = options.switch("in_order", in_order)

    def grade(task: Task, reply: Reply) -> Score:
        titles = [_words(title) for title in _titles(prose(reply.text))]
        missing, start = [], 0
        for title, key in keys.items():
            at = next((n for n in range(start, len(titles)) if _holds_run(titles[n], key)), None)
            if at is None:
                missing.append(title)
            elif ordered:
                start = at + 1
        ending = f"; missing{' or out of order' if ordered else ''}: {listed(missing)}" if missing else ""
        found = len(keys) - len(missing)
        return Score(value=found / len(keys), explanation=f"{found} of {counted(len(keys), 'heading')}{ending}")

    return grade


def has_table(*, columns: Sequence[str] | None = None, rows: int = 1) -> Grader:
    """A grader that is 1 where a Markdown table has these columns and at least so many rows below its head, else 0.

    Case, hyphens and spaces of column names do not matter. A table whose cells are all empty is none.

    Raises:
        TypeError, ValueError: `columns` is not a list of texts with letters or digits; `rows` is not a whole number.
    """
    keys = {} if columns is None else _keys("columns", columns)
    needed = options.count("rows", rows)

    def grade(task: Task, reply: Reply) -> Score:
        best = "no table"
        for head, below in _tables(prose(reply.text)):
            missing = [name for name, key in keys.items() if key not in {"".join(_words(cell)) for cell in head}]
            if not missing and len(below) >= needed:
                return Score(value=1.0, explanation=f"a table of {len(head)} columns and {len(below)} rows")
            lacks = f"lacks {listed(missing)}" if missing else f"has {len(below)} of {needed} rows"
            best = f"a table {lacks}"
        return Score(value=0.0, explanation=best)

    return grade


def has_list(*, at_least: int = 2, numbered: bool | None = None) -> Grader:
    """A grader of the items of the longest list: 1 from `at_least` on, below it their share.

    `numbered` takes numbered lists only (true), or only those with bullets (false). An item without a word is none.

    Raises:
        TypeError, ValueError: `at_least` is not a whole number from 1, or `numbered` is not true or false.
    """
    needed = options.count("at_least", at_least)
    wanted = None if numbered is None else options.switch("numbered", numbered)

    def grade(task: Task, reply: Reply) -> Score:
        longest = max(_list_lengths(prose(reply.text), wanted), default=0)
        kind = {None: "list", True: "numbered list", False: "list with bullets"}[wanted]
        if not longest:
            return Score(value=0.0, explanation=f"no {kind}")
        items = "1 item" if longest == 1 else f"{longest} items"
        return Score(value=min(1.0, longest / needed), explanation=f"a {kind} of {items}")

    return grade


def is_json(*, schema: Mapping[str, Any] | None = None, in_block: bool | None = None) -> Grader:
    """A grader that is 1 where the reply is JSON, and such as the JSON Schema asks, else 0.

    The whole reply is read, or else its first block of JSON; `in_block` takes only the one (false) or the other (true).
    A schema is read by the draft that its `$schema` names, else by draft 2020-12; nothing is fetched. Where it takes
    longer than `bounded.SECONDS`, as one with a pattern such as `(a+)+$` may, the grader declines.

    Raises:
        TypeError, ValueError: `schema` is no mapping or no JSON Schema, or `in_block` is not true or false.
    """
    wanted = None if schema is None else _schema(schema)
    only = None if in_block is None else options.switch("in_block", in_block)

    def grade(task: Task, reply: Reply) -> Score:
        text = _json_text(reply.text, only)
        if text is None:
            return Score(value=0.0, explanation="no block of JSON")
        if len(text) > MOST_JSON_CHARACTERS:
            return Score(value=0.0, explanation=f"longer than {MOST_JSON_CHARACTERS:,} characters")
        try:
            value = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as problem:
            return Score(value=0.0, explanation=f"not JSON: {_first_line(problem)}")
        if wanted is None:
            return Score(value=1.0, explanation=f"JSON: {_kind(value)}")
        try:
            fault = bounded.schema_fault(wanted, value)
        except (bounded.BeyondBounds, bounded.TemplateFault) as problem:
            return Score(value=None, explanation=f"the schema cannot be applied: {quoted(str(problem))}")
        if fault is None:
            return Score(value=1.0, explanation=f"JSON as the schema asks: {_kind(value)}")
        place = short(fault.place) if fault.place else "the whole"
        return Score(value=0.0, explanation=f"against the schema at {place}: {quoted(fault.message)}")

    return grade


def has_files(*, all: Sequence[str]) -> Grader:
    """A grader of the share of these files that a reply shows: names or patterns such as `tests/test_*.py`.

    A block is a file where its info string, the line before it, or a comment in its first line names one. A pattern
    without a folder is looked for in any.

    Raises:
        TypeError, ValueError: `all` is not a list of texts.
    """
    wanted = options.texts("all", all)

    def grade(task: Task, reply: Reply) -> Score:
        names = [file.name for file in files_of(reply.text) if file.name and file.text.strip()]
        found = [each for each in wanted if builtins.any(_is_called(name, each) for name in names)]
        missing = [each for each in wanted if each not in found]
        ending = f"; missing: {listed(missing)}" if missing else ""
        shown = f" ({listed(names)})" if names else ""
        return Score(
            value=len(found) / len(wanted), explanation=f"{len(found)} of {counted(len(wanted), 'file')}{shown}{ending}"
        )

    return grade


def _is_called(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or ("/" not in pattern and fnmatchcase(name.rpartition("/")[2], pattern))


def _drawings(text: str) -> Iterator[tuple[str, str, Diagram | None]]:
    """What may be a diagram: its text, what it is in words, and how Mermaid reads it, where it is Mermaid."""
    for block in code_blocks(text):
        where = f"diagram in line {block.line}"
        is_plain = block.language in _PLAIN_LANGUAGES
        if block.language == "mermaid" or (is_plain and _DIAGRAM_START.match(block.text)):
            yield block.text, f"mermaid {where}", read_mermaid(block.text)
        elif block.language in _DIAGRAM_LANGUAGES or (is_plain and block.text.lstrip().startswith("@startuml")):
            lines = [
                line
                for line in block.text.splitlines()
                if line.strip() and not line.lstrip().startswith(("@", "'", "#"))
            ]
            if sum(1 for line in lines if _LINE_BETWEEN.search(line)) >= 1 and len(block.text.split()) >= 3:
                yield block.text, f"{block.language or 'plantuml'} {where}", None
        elif is_plain and _is_drawn(block):
            yield block.text, f"drawn {where}", None
    outside = prose(text)
    if _boxes(outside) and "└" in outside:
        yield outside, "drawn diagram outside code blocks", None


def _why_none(diagram: Diagram | None, kinds: Sequence[str] | None) -> str:
    if diagram is None:
        return "" if kinds is None else "it is not Mermaid"
    if diagram.problem:
        return diagram.problem
    if not diagram.shows_something:
        return "it shows nothing"
    if kinds is not None and diagram.kind not in kinds:
        return f"it is of the kind {diagram.kind}"
    return ""


def _is_told(drawn: str, task: Task, reply: Reply) -> bool:
    """Whether the diagram is of what the task or the reply speaks of."""
    known = {word for text in (task.message, *real_sentences(reply.text)) for word in _letters(text)}
    return len(known & set(_letters(drawn))) >= _SHARED_WORDS


def _letters(text: str) -> Iterator[str]:
    """Words of three letters or more, those within names too: OrderService gives order and service."""
    for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", fold(text)):
        if len(word) > 2 and word.lower() not in _DRAWING_WORDS:
            yield word.lower().removesuffix("s")


_DRAWING_WORDS = frozenset(
    """graph flowchart sequence diagram participant actor note over left right class state subgraph and the
    for""".split()  # noqa: SIM905
)


def _keys(option: str, titles: Sequence[str]) -> dict[str, str]:
    wanted = options.texts(option, titles)
    keys = {title: "".join(_words(title)) for title in wanted}
    empty = [title for title, key in keys.items() if not key]
    if empty:
        raise ValueError(f"`{option}` takes titles with letters or digits, found {empty[0]!r}")
    return keys


def _tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The tables of a Markdown text: the cells of the head, and those of each row that has any."""
    lines = text.splitlines()
    at = 1
    while at < len(lines):
        if "|" in lines[at - 1] and "|" in lines[at] and builtins.all(map(_DASHES.fullmatch, _cells(lines[at]))):
            head, below = _cells(lines[at - 1]), []
            at += 1
            while at < len(lines) and "|" in lines[at]:
                cells = _cells(lines[at])
                if builtins.any(cells):
                    below.append(cells)
                at += 1
            yield head, below
        at += 1


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _list_lengths(text: str, numbered: bool | None) -> Iterator[int]:
    length = 0
    for line in [*text.splitlines(), "", "end"]:
        item = LIST_ITEM.match(line)
        is_wanted = item is not None and (numbered is None or bool(_NUMBERED.match(line)) is numbered)
        if is_wanted and item is not None and words_of(line[item.end() :]):
            length += 1
        elif line.strip() and not line.startswith((" ", "\t")) and item is None:
            if length:
                yield length
            length = 0
    if length:
        yield length


def _json_text(text: str, in_block: bool | None) -> str | None:
    stripped = text.strip()
    blocks = [block.text for block in code_blocks(text) if block.language in ("json", "")]
    looks_whole = stripped[:1] in ("{", "[", '"') or not blocks
    if in_block is False or (in_block is None and looks_whole):
        return stripped
    return blocks[0] if blocks else None


def _no_constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def _schema(schema: object) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise TypeError(f"`schema` takes a JSON Schema as a mapping, found {schema!r}")
    try:
        bounded.schema_fault(schema, None)
    except bounded.TemplateFault as problem:
        raise ValueError(f"`schema` is no JSON Schema: {quoted(str(problem))}") from None
    except bounded.BeyondBounds as problem:
        raise ValueError(f"`schema` cannot be applied: {problem}") from None
    return dict(schema)


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return f"an object of {len(value)} members"
    if isinstance(value, list):
        return f"an array of {counted(len(value), 'item')}"
    return f"a {type(value).__name__}"


def _first_line(problem: object) -> str:
    return quoted(str(problem).partition("\n")[0])


def _titles(text: str) -> Iterator[str]:
    before = ""
    for line in text.splitlines():
        heading = HEADING.match(line)
        if heading is not None:
            yield heading["words"].rstrip("# \t")
        elif before.strip() and UNDERLINE.match(line):
            yield before.strip()
        else:
            item = LIST_ITEM.match(line)
            lead_in = _LEAD_IN.match(line[item.end() :] if item else line.lstrip())
            if lead_in is not None:
                yield lead_in["words"]
        before = line


_TITLE_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")


def _words(text: str) -> list[str]:
    return _TITLE_WORD.findall(fold(text).casefold().replace("_", " "))


def _holds_run(words: list[str], key: str) -> bool:
    """Whether neighbouring words, written together, make `key`."""
    for start in range(len(words)):
        joined = ""
        for word in words[start:]:
            joined += word
            if joined == key:
                return True
            if len(joined) >= len(key):
                break
    return False


def _is_drawn(block: CodeBlock) -> bool:
    lines = [line for line in block.text.splitlines() if not _TREE_BRANCH.match(line)]
    arrows = sum(len(_ARROW.findall(line)) for line in lines)
    arrows += sum(1 for line in lines if _FALLING_ARROW.match(line))
    arrows += sum(len(_SHORT_ARROW.findall(line)) for line in lines if not _CODE_LINE.search(line))
    boxes = _boxes(block.text)
    return arrows >= 2 or boxes >= 2 or (boxes == 1 and arrows == 1)


def _boxes(text: str) -> int:
    """Boxes by their upper left corners; frames of +---+ count as one together, for tables have them too."""
    drawn = sum(text.count(corner) for corner in _BOX_CORNERS)
    return drawn if drawn else min(1, len(_ASCII_BOX.findall(text)))
