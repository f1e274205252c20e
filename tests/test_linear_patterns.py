"""Every pattern of the workbench takes time in proportion to its text: twice the text, twice the time.

The patterns are found in the source, so a new one is tried too. For each, the texts are made from the pattern itself:
wherever it repeats something without an end, that is repeated in a text that leads up to it and then breaks off.
"""

from __future__ import annotations

import ast
import gc
import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from re import _constants as op  # type: ignore[attr-defined]  # the parts of a pattern have no public name
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import workbench
from tests.grader_options import COMBINING, GRADERS, OTHERS
from workbench.grading.catalogue import standard
from workbench.grading.mermaid import read_mermaid
from workbench.key_forms import LatePattern
from workbench.trial.fences import code_blocks, prose
from workbench.trial.task import Task
from workbench.trial.trial import Reply

pytestmark = pytest.mark.machine

SOURCE = Path(workbench.__file__).parent
LENGTHS = (1_000, 12_000)
LITTLE_SECONDS = 0.03
TIMES = 5
ANCHORED = {"match", "fullmatch"}
TRIED = "a0 \t\n-_.:;,!?\"'`~*#/\\|<>()[]{}=+@$%&^Aé"


def functions_of(tree: ast.AST) -> dict[str, set[str]]:
    """By name of a pattern, the methods that are called on it, or on what a late one is compiled to."""
    used: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr == "compiled":
            continue
        of = node.value
        if isinstance(of, ast.Attribute) and of.attr == "compiled":
            of = of.value
        if isinstance(of, ast.Name):
            used.setdefault(of.id, set()).add(node.attr)
    return used


def patterns_of_values(value: Any) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield value
    elif isinstance(value, LatePattern):
        yield value.compiled
    elif is_dataclass(value) and not isinstance(value, type):
        yield from patterns_of_values([getattr(value, each.name) for each in fields(value)])
    elif isinstance(value, tuple | list | frozenset):
        for item in value:
            yield from patterns_of_values(item)
    elif isinstance(value, dict):
        yield from patterns_of_values(list(value.values()))


def patterns_in_calls(tree: ast.AST) -> Iterator[tuple[str, int, str]]:
    """The patterns that are written where they are used, with their flags and the function of `re`."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        first = node.args[0]
        is_ours = isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and node.func.attr != "compile"
        if is_ours and isinstance(first, ast.Constant) and isinstance(first.value, str):
            named = [ast.unparse(each) for each in (*node.args[1:], *(key.value for key in node.keywords))]
            flags = sum(getattr(re, name) for text in named for name in re.findall(r"\bre\.([A-Z]+)\b", text))
            yield first.value, flags, node.func.attr


def all_patterns() -> dict[str, tuple[re.Pattern[str], bool]]:
    """By where it stands, each pattern and whether it is only ever tried at the beginning of a text."""
    found = {}
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")}
    used = {path: functions_of(tree) for path, tree in trees.items()}
    for path, tree in trees.items():
        for pattern, flags, function in patterns_in_calls(tree):
            found[f"{path.stem}: {pattern}"] = (re.compile(pattern, flags), function in ANCHORED)
    for info in pkgutil.walk_packages([str(SOURCE)], "workbench."):
        if info.name == "workbench.__main__":
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            at = [Path(str(module.__file__))] if name.startswith("_") else list(used)
            methods = {method for path in at for method in used[path].get(name, ()) if hasattr(re.Pattern, method)}
            for pattern in patterns_of_values(value):
                is_anchored = bool(methods) and methods <= ANCHORED
                found[f"{info.name.rpartition('.')[2]}.{name}: {pattern.pattern}"] = (pattern, is_anchored)
    return found


def characters_of(members: Iterable[tuple[Any, Any]]) -> list[str]:
    """Some characters that a set takes."""
    spelled = "".join(_class_of(kind, value) for kind, value in members if kind is not op.NEGATE)
    negated = any(kind is op.NEGATE for kind, _ in members)
    taken = re.compile(f"[{'^' if negated else ''}{spelled}]")
    named = [chr(value[0] if kind is op.RANGE else value) for kind, value in members if kind in (op.LITERAL, op.RANGE)]
    return [character for character in (*TRIED, *named, "\0", "\ud800") if taken.match(character)]


def _class_of(kind: Any, value: Any) -> str:
    if kind is op.LITERAL:
        return f"\\U{value:08x}"
    if kind is op.RANGE:
        return f"\\U{value[0]:08x}-\\U{value[1]:08x}"
    categories = {"DIGIT": "\\d", "SPACE": "\\s", "WORD": "\\w", "NOT_DIGIT": "\\D", "NOT_SPACE": "\\S"}
    return categories.get(str(value).removeprefix("CATEGORY_"), "\\W")


def samples(item: tuple[Any, Any]) -> list[str]:
    """Some short texts that one part of a pattern takes."""
    kind, value = item
    if kind is op.LITERAL:
        return [chr(value)]
    if kind is op.NOT_LITERAL:
        return [character for character in TRIED if ord(character) != value][:2]
    if kind is op.ANY:
        return ["a", "-"]
    if kind is op.IN:
        found = characters_of(value)
        return [found[0], found[len(found) // 2], found[-1]]
    if kind is op.BRANCH:
        return [samples_of(branch)[0] for branch in value[1]]
    if kind is op.SUBPATTERN:
        return samples_of(value[3])
    if kind is op.ATOMIC_GROUP:
        return samples_of(value)
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        return [text * max(value[0], 1) for text in samples_of(value[2])]
    return [""]


def samples_of(parts: Iterable[tuple[Any, Any]]) -> list[str]:
    columns = [samples(part) for part in parts]
    return ["".join(column[min(number, len(column) - 1)] for column in columns) for number in range(3)]


def repeats(parts: Iterable[tuple[Any, Any]], before: str) -> Iterator[tuple[str, str]]:
    """Each part that is repeated without an end: what leads up to it, and what it takes."""
    for part in parts:
        kind, value = part
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            if value[1] > 50:
                yield from ((before, text) for text in samples_of(value[2]) if text)
            yield from repeats(value[2], before)
        elif kind is op.BRANCH:
            for branch in value[1]:
                yield from repeats(branch, before)
        elif kind is op.SUBPATTERN:
            yield from repeats(value[3], before)
        elif kind is op.ATOMIC_GROUP:
            yield from repeats(value, before)
        elif kind in (op.ASSERT, op.ASSERT_NOT):
            yield from repeats(value[1], before)
        before += samples(part)[0]


def hostile_texts(pattern: re.Pattern[str]) -> Iterator[Callable[[int], str]]:
    """By length, the texts on which a pattern that reads a place many times takes long."""
    parts = _parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)
    for before, pumped in dict.fromkeys(repeats(parts, "")):
        for begin, unit in (("", pumped), (before, pumped), ("", before + pumped), ("", before)):
            for end in ("", "\0", "a", " "):
                if unit:
                    yield lambda length, begin=begin, unit=unit, end=end: begin + unit * (length // len(unit)) + end


def seconds_of(function: Callable[[str], object], text: str) -> float:
    """CPU seconds of one call, without the collector of garbage, whose time goes by what other tests left behind."""
    gc.disable()
    try:
        began = time.process_time()
        function(text)
        return time.process_time() - began
    finally:
        gc.enable()


def assert_linear(function: Callable[[str], object], text_of: Callable[[int], str]) -> None:
    """Twice the text takes twice the time, at the first of two lengths where it takes any.

    What looks slow is measured again beside what it is compared with: a busy machine is not slow each time.
    """
    for length in LENGTHS:
        once = seconds_of(function, text_of(length))
        if once < LITTLE_SECONDS:
            continue
        twice = seconds_of(function, text_of(2 * length))
        for _ in range(TIMES):
            if twice < max(3 * once, LITTLE_SECONDS):
                break
            once = min(once, seconds_of(function, text_of(length)))
            twice = min(twice, seconds_of(function, text_of(2 * length)))
        else:
            raise AssertionError(f"{once:.3f} s, then {twice:.3f} s for {text_of(60)!r}")


PATTERNS = all_patterns()


@pytest.mark.parametrize("where", sorted(PATTERNS))
def test_pattern_takes_time_in_proportion_to_its_text(where: str) -> None:
    pattern, is_anchored = PATTERNS[where]

    def whole(text: str) -> None:
        for _ in pattern.finditer(text):
            pass

    for text_of in hostile_texts(pattern):
        assert_linear(pattern.match if is_anchored else whole, text_of)


def test_every_room_with_patterns_is_looked_at() -> None:
    assert len(PATTERNS) > 500
    assert {"key_forms._LINES", "lint_text._CLAIMS", "key_forms._BEGINS"} <= {
        name.partition(":")[0] for name in PATTERNS
    }
    assert {"key_forms", "text", "fences", "header", "markup", "published"} <= {
        name.partition(":")[0].partition(".")[0] for name in PATTERNS
    }


@pytest.mark.parametrize("pattern", [r"-{2,}>", r"^x[ \t]*y?[ \t]*=", r"<a>(.*?)</a>"])
def test_pattern_that_reads_a_place_many_times_is_found(pattern: str) -> None:
    compiled = re.compile(pattern, re.DOTALL)

    with pytest.raises(AssertionError, match=r"s, then"):
        for text_of in hostile_texts(compiled):
            assert_linear(lambda text: list(compiled.finditer(text)), text_of)


UNITS = (
    *(
        "a",
        " ",
        "\n",
        "-",
        "=",
        "`",
        "~",
        "*",
        "_",
        "#",
        "?",
        ".",
        "!",
        '"',
        "|",
        ">",
        "+",
        "┌",
        "->",
        "-->",
        "--",
        "v",
    ),
    *(
        "a ",
        "a\n",
        "# a\n",
        "- a?\n",
        "**a",
        "`a",
        "```\n",
        "```python\n",
        "~~~\n```\n",
        "1. ",
        "|a|",
        "> ",
        "https://",
    ),
    *(
        "+--",
        "+--+\n",
        "is it you? ",
        "a.\n\n",
        "rate ",
        "as an ",
        "x -",
        "\t",
        "ﷺ",
        "_ _ ",
        "___ \n",
        "===\n",
        "   # ",
    ),
    "no a, ",
    "we do not use a or ",
    "not ",
    "a is not needed ",
    "a,",
    "The ",
    "|-|\n",
    "| a | b |\n",
    "**a.py**\n",
    "```mermaid\nA-->B\n```\n",
    "```json\n{}\n```\n",
    "```python\nx = 1\n```\n",
    "```markdown\n```a\n",
    "```\n-\n```\n",
)
CODE_UNITS = (
    "class A: pass\n",
    "x = [\n",
    "type x ",
    "def f(a, b): ...\n",
    "(",
    "'",
    '"""\n',
    "a.",
    "x: List[int]\n",
    "\\",
)


@pytest.mark.parametrize("name", GRADERS)
def test_grader_takes_time_in_proportion_to_the_reply(name: str) -> None:
    assert GRADERS.keys() | OTHERS == standard().keys()
    grader = standard()[name](**GRADERS[name])
    task = Task(id="t", input="x")

    for unit in UNITS:
        assert_linear(
            lambda text: grader(task, Reply(text=text)), lambda length, unit=unit: unit * (length // len(unit))
        )


@pytest.mark.parametrize("name", COMBINING)
def test_graders_of_graders_take_the_time_of_theirs(name: str) -> None:
    parts = [standard()[part](**GRADERS[part]) for part in ("mentions", "asks_question")]
    grader = standard()[name](graders=parts, **COMBINING[name])
    task = Task(id="t", input="x")

    for unit in UNITS:
        assert_linear(
            lambda text: grader(task, Reply(text=text)), lambda length, unit=unit: unit * (length // len(unit))
        )


@pytest.mark.parametrize("begin", ["```python\n", "```python\ntype x", "```text\n", "~~~ {.py}\n"])
@pytest.mark.parametrize(
    "name", ["has_diagram", "modern_python", "docstrings", "asks_question", "no_secrets", "has_tests"]
)
def test_grader_takes_time_in_proportion_to_a_block(name: str, begin: str) -> None:
    grader = standard()[name]()
    task = Task(id="t", input="x")

    for unit in (*UNITS, *CODE_UNITS):
        assert_linear(
            lambda text: grader(task, Reply(text=text)),
            lambda length, unit=unit: begin + unit * (length // len(unit)) + "\n```\n",
        )


DIAGRAM_UNITS = (
    "A",
    "-",
    "-->",
    "A-->B\n",
    "A[",
    '"',
    "A -- b ",
    "==",
    "subgraph a\n",
    "end\n",
    "|",
    "A & ",
    ";",
    ":",
    "{\n",
)


@pytest.mark.parametrize("kind", ["flowchart TD", "sequenceDiagram", "classDiagram", "stateDiagram-v2", "erDiagram"])
def test_diagram_is_read_in_proportion_to_its_text(kind: str) -> None:
    for unit in (*DIAGRAM_UNITS, *UNITS):
        assert_linear(read_mermaid, lambda length, unit=unit: f"{kind}\n" + unit * (length // len(unit)))


@pytest.mark.parametrize("function", [code_blocks, prose])
def test_blocks_are_found_in_proportion_to_the_text(function: Callable[[str], object]) -> None:
    for unit in UNITS:
        assert_linear(function, lambda length, unit=unit: unit * (length // len(unit)))
