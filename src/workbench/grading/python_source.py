"""The Python of a reply as syntax trees. It is read with `ast.parse` and never executed."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from workbench.trial.fences import code_blocks
from workbench.trial.task import Task
from workbench.trial.trial import Grader, Reply, Score

MAX_CHARACTERS = 200_000
"""Longer blocks are not parsed: a syntax tree takes some hundred times the memory of its text."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
_GENERIC_HEAD = re.compile(
    r"^([ \t]*(?:async[ \t]+def|def|class)[ \t]+\w+)\[[^\[\]\n]*(?:\[[^\[\]\n]*\][^\[\]\n]*)*\]", re.M
)
_TYPE_STATEMENT = re.compile(r"^([ \t]*+)type[ \t]++(\w++)[ \t]*+(?:\[[^\]\n]*+\][ \t]*+)?=(?!=)", re.M)
_warnings_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Source:
    """A Python block of a reply: its tree, or why there is none."""

    number: int
    """Which of the Python blocks of the reply it is, from 1."""
    text: str
    tree: ast.Module | None
    problem: str


# Several graders look at one reply, one after the other.
@lru_cache(maxsize=8)
def sources(text: str) -> tuple[Source, ...]:
    """The Python blocks of a reply that are not empty, in order."""
    blocks = [block for block in code_blocks(text) if block.language == "python" and block.text.strip()]
    return tuple(_parsed(number, block.text) for number, block in enumerate(blocks, start=1))


def trees(text: str) -> tuple[ast.Module, ...]:
    """The trees of the blocks that parse."""
    return tuple(source.tree for source in sources(text) if source.tree is not None)


def over_trees(judge: Callable[[Sequence[ast.Module]], Score]) -> Grader:
    """A grader that hands the Python blocks that parse to `judge`, and declines where there are none."""

    def grade(task: Task, reply: Reply) -> Score:
        found = sources(reply.text)
        read = trees(reply.text)
        if not read:
            return Score(value=None, explanation="no Python block that parses" if found else "no Python block")
        score = judge(read)
        unread = len(found) - len(read)
        if not unread:
            return score
        counted = "1 block does" if unread == 1 else f"{unread} blocks do"
        return Score(value=score.value, explanation=f"{score.explanation} ({counted} not parse)")

    return grade


def parse(code: str, version: tuple[int, int] | None = None) -> tuple[ast.Module | None, str]:
    """The tree, or `None` and why there is none; `version` is the oldest Python that must take the code, as (3, 9)."""
    # A warning about the code, such as "\d" in a plain string, is not the workbench's to print, and where
    # warnings are errors the parser makes a SyntaxError of it. The filters belong to the whole process.
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code, feature_version=version), ""
        except SyntaxError as problem:
            line = f"line {problem.lineno}: " if problem.lineno is not None else ""
            return None, f"{line}{problem.msg}"
        except ValueError as problem:  # null bytes, lone surrogates, numbers of too many digits
            return None, str(problem)
        except (RecursionError, MemoryError):
            return None, "nested too deeply to be read"


def needs_newer(source: Source, version: tuple[int, int]) -> str:
    """What in a block that parses needs a newer Python than this one; "" where nothing does."""
    code = textwrap.dedent(source.text)
    if version < (3, 12) and without_newest(code) != code:
        return "type parameters need Python 3.12"
    _, problem = parse(code, min(version, sys.version_info[:2]))
    return problem if without_newest(code) == code else ""


def without_newest(code: str) -> str:
    """The code with type parameters and `type` statements, which Python 3.11 does not know, written as it would."""
    return _TYPE_STATEMENT.sub(r"\1\2 =", _GENERIC_HEAD.sub(r"\1", code))


def nodes(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes, each with whether it lies in a test."""
    # No recursion: the tree of a reply may be as deep as its parser takes, deeper than Python's stack allows calls.
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, in_test = waiting.pop()
        yield node, in_test
        if isinstance(node, Function | ast.ClassDef) and node.name.lower().startswith("test"):
            in_test = True
        waiting.extend((child, in_test) for child in ast.iter_child_nodes(node))


def dotted(node: ast.AST) -> str:
    """The name of an expression such as `sqlalchemy.text`; "" where it is no name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
        return ".".join(reversed(parts))
    return f".{'.'.join(reversed(parts))}" if parts else ""


def _parsed(number: int, text: str) -> Source:
    if len(text) > MAX_CHARACTERS:
        problem = f"{len(text):,} characters; blocks up to {MAX_CHARACTERS:,} are read"
        return Source(number=number, text=text, tree=None, problem=problem)
    code = textwrap.dedent(text)
    tree, problem = parse(code)
    if tree is None:
        # What Python 3.12 added must count the same on 3.11, whose parser does not know it.
        older = without_newest(code)
        if older != code:
            tree, _ = parse(older)
    return Source(number=number, text=text, tree=tree, problem="" if tree is not None else problem)
