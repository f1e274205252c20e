"""Graders of the Python code in a reply. The code is read with `ast.parse` and never executed.

A grader declines where there is nothing to judge. Blocks that do not parse are left to `python_parses`; the
other graders look at the blocks that do and say how many they could not read.
"""

from __future__ import annotations

import ast
import re
import textwrap
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from workbench.grading import options
from workbench.grading.fences import code_blocks
from workbench.trial.task import Task
from workbench.trial.trial import Grader, Reply, Score

MAX_CHARACTERS = 200_000
"""Longer blocks are not parsed: a syntax tree takes some hundred times the memory of its text."""

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_OLD_GENERICS = frozenset(
    {"List", "Dict", "Set", "FrozenSet", "Tuple", "Type", "Deque", "DefaultDict", "OrderedDict", "Counter"}
    | {"ChainMap", "Optional", "Union"}
)
_TYPING_MODULES = frozenset({"typing", "typing_extensions"})
_GENERIC_HEAD = re.compile(
    r"^([ \t]*(?:async[ \t]+def|def|class)[ \t]+\w+)\[[^\[\]\n]*(?:\[[^\[\]\n]*\][^\[\]\n]*)*\]", re.M
)
_TYPE_STATEMENT = re.compile(r"^([ \t]*+)type[ \t]++(\w++)[ \t]*+(?:\[[^\]\n]*+\][ \t]*+)?=(?!=)", re.M)
_warnings_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A Python block of a reply: its tree, or why there is none."""

    number: int
    """Which of the Python blocks of the reply it is, from 1."""
    tree: ast.Module | None
    problem: str


def python_parses(*, required: bool = False) -> Grader:
    """A grader of the share of Python blocks that parse.

    Without a Python block it declines, or gives 0 where `required`.

    Raises:
        TypeError: `required` is not true or false.
    """
    zero_without_code = options.switch("required", required)

    def grade(task: Task, reply: Reply) -> Score:
        sources = _sources(reply.text)
        if not sources:
            return Score(value=0.0 if zero_without_code else None, explanation="no Python block")
        broken = [source for source in sources if source.tree is None]
        value = 1 - len(broken) / len(sources)
        if not broken:
            counted = "the Python block parses" if len(sources) == 1 else f"all {len(sources)} Python blocks parse"
            return Score(value=value, explanation=counted)
        first = f"block {broken[0].number}: {broken[0].problem}"
        return Score(
            value=value,
            explanation=f"{len(sources) - len(broken)} of {len(sources)} Python blocks parse; {first}",
        )

    return grade


def type_hints(*, at_least: float = 1.0) -> Grader:
    """A grader of the share of function parameters and returns that are annotated, over all Python blocks.

    The value is 1 from `at_least` on and share / at_least below it. Not counted are `self`, `cls` and the
    return of `__init__`. It declines where there is no function.

    Raises:
        TypeError, ValueError: `at_least` is not a number above 0 and up to 1.
    """
    needed = options.share("at_least", at_least)

    def judge(trees: Sequence[ast.Module]) -> Score:
        parameters = [found for tree in trees for found in _parameters(tree)]
        returns = [found for tree in trees for found in _returns(tree)]
        counted = [*parameters, *returns]
        if not counted:
            return Score(value=None, explanation="no function with anything to annotate")
        missing = [name for name, annotated in counted if not annotated]
        parts = [
            f"{sum(annotated for _, annotated in found)} of {len(found)} {what}"
            for found, what in ((parameters, "parameters"), (returns, "returns"))
            if found
        ]
        ending = f"; missing: {_listed(missing)}" if missing else ""
        share = 1 - len(missing) / len(counted)
        return Score(value=min(1.0, share / needed), explanation=f"{' and '.join(parts)} annotated{ending}")

    return _over_trees(judge)


def docstrings(*, at_least: float = 1.0) -> Grader:
    """A grader of the share of public functions, methods and classes that have a docstring.

    Public is what does not start with an underscore and does not lie in a function or a private class. The
    value is 1 from `at_least` on and share / at_least below it. It declines where there is nothing public.

    Raises:
        TypeError, ValueError: `at_least` is not a number above 0 and up to 1.
    """
    needed = options.share("at_least", at_least)

    def judge(trees: Sequence[ast.Module]) -> Score:
        public = [found for tree in trees for found in _public(tree)]
        if not public:
            return Score(value=None, explanation="no public function or class")
        missing = [name for name, documented in public if not documented]
        share = 1 - len(missing) / len(public)
        ending = f"; missing: {_listed(missing)}" if missing else ""
        return Score(
            value=min(1.0, share / needed),
            explanation=f"{len(public) - len(missing)} of {len(public)} public names documented{ending}",
        )

    return _over_trees(judge)


def avoids(*, constructs: Sequence[str]) -> Grader:
    """A grader that is 1 where none of these constructs occurs in the Python blocks, else 0.

    Known are bare_except, eval, exec, print, mutable_default, star_import, assert and global. An `assert` in
    a function or class whose name starts with "test" is in its place and does not count.

    Raises:
        TypeError, ValueError: not a list, or a construct that is not known.
    """
    unwanted = options.choices("constructs", constructs, tuple(_CONSTRUCTS))

    def judge(trees: Sequence[ast.Module]) -> Score:
        found: dict[str, int] = {}
        for tree in trees:
            for node, in_test in _nodes(tree):
                for name in unwanted:
                    if _CONSTRUCTS[name](node) and not (name == "assert" and in_test):
                        found[name] = found.get(name, 0) + 1
        if found:
            counted = [name if times == 1 else f"{name} {times} times" for name, times in found.items()]
            return Score(value=0.0, explanation=f"has {', '.join(counted)}")
        return Score(value=1.0, explanation=f"none of {', '.join(unwanted)}")

    return _over_trees(judge)


def modern_python() -> Grader:
    """A grader that is 1 where annotations use `list[...]` and `X | None`, 0 where `List` or `Optional`.

    It declines where nothing is annotated.
    """

    def judge(trees: Sequence[ast.Module]) -> Score:
        annotated = [note for tree in trees for note in _annotations(tree)]
        if not annotated:
            return Score(value=None, explanation="no annotations")
        old = sorted({name for tree in trees for name in _old_generics(tree)})
        if old:
            return Score(value=0.0, explanation=f"old generics from typing: {_listed(old)}")
        counted = "1 annotation" if len(annotated) == 1 else f"{len(annotated)} annotations"
        return Score(value=1.0, explanation=f"{counted}, none with old generics from typing")

    return _over_trees(judge)


def _over_trees(judge: Callable[[Sequence[ast.Module]], Score]) -> Grader:
    """A grader that hands the Python blocks that parse to `judge`, and declines where there are none."""

    def grade(task: Task, reply: Reply) -> Score:
        sources = _sources(reply.text)
        trees = [source.tree for source in sources if source.tree is not None]
        if not trees:
            reason = "no Python block that parses" if sources else "no Python block"
            return Score(value=None, explanation=reason)
        score = judge(trees)
        unread = len(sources) - len(trees)
        if not unread:
            return score
        counted = "1 block does" if unread == 1 else f"{unread} blocks do"
        return Score(value=score.value, explanation=f"{score.explanation} ({counted} not parse)")

    return grade


# Several graders look at one reply, one after the other.
@lru_cache(maxsize=8)
def _sources(text: str) -> tuple[_Source, ...]:
    blocks = [block for block in code_blocks(text) if block.language == "python" and block.text.strip()]
    return tuple(_parsed(number, block.text) for number, block in enumerate(blocks, start=1))


def _parsed(number: int, text: str) -> _Source:
    if len(text) > MAX_CHARACTERS:
        return _Source(
            number=number,
            tree=None,
            problem=f"{len(text):,} characters; blocks up to {MAX_CHARACTERS:,} are read",
        )
    code = textwrap.dedent(text)
    tree, problem = _parse(code)
    if tree is None:
        # What Python 3.12 added must count the same on 3.11, whose parser does not know it.
        older = _TYPE_STATEMENT.sub(r"\1\2 =", _GENERIC_HEAD.sub(r"\1", code))
        if older != code:
            tree, _ = _parse(older)
    return _Source(number=number, tree=tree, problem="" if tree is not None else problem)


def _parse(code: str) -> tuple[ast.Module | None, str]:
    # A warning about the code, such as "\d" in a plain string, is not the workbench's to print, and where
    # warnings are errors the parser makes a SyntaxError of it. The filters belong to the whole process.
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code), ""
        except SyntaxError as problem:
            line = f"line {problem.lineno}: " if problem.lineno is not None else ""
            return None, f"{line}{problem.msg}"
        except ValueError as problem:  # null bytes, lone surrogates, numbers of too many digits
            return None, str(problem)
        except (RecursionError, MemoryError):
            return None, "nested too deeply to be read"


def _nodes(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes, each with whether it lies in a test."""
    # No recursion: the tree of a reply may be as deep as its parser takes, deeper than Python's stack allows calls.
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, in_test = waiting.pop()
        yield node, in_test
        if isinstance(node, _Function | ast.ClassDef) and node.name.lower().startswith("test"):
            in_test = True
        waiting.extend((child, in_test) for child in ast.iter_child_nodes(node))


def _functions(tree: ast.Module) -> Iterator[tuple[_Function, bool]]:
    """The functions, each with whether its first parameter is `self` or `cls`."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _Function):
                is_static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in child.decorator_list)
                yield child, isinstance(node, ast.ClassDef) and not is_static


def _parameters(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    for function, is_bound in _functions(tree):
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args][1 if is_bound else 0 :]
        starred = [found for found in (arguments.vararg, arguments.kwarg) if found is not None]
        for parameter in [*positional, *arguments.kwonlyargs, *starred]:
            yield f"`{parameter.arg}` in `{function.name}`", parameter.annotation is not None


def _returns(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    for function, _ in _functions(tree):
        if function.name != "__init__":
            yield f"the return of `{function.name}`", function.returns is not None


def _public(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    waiting: deque[tuple[ast.AST, str]] = deque([(tree, "")])
    while waiting:
        parent, prefix = waiting.popleft()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, _Function | ast.ClassDef):
                if node.name.startswith(("_", "test_", "Test")):
                    continue
                yield f"`{prefix}{node.name}`", ast.get_docstring(node, clean=False) is not None
                if isinstance(node, ast.ClassDef):
                    waiting.append((node, f"{prefix}{node.name}."))
            elif isinstance(node, ast.If | ast.Try | ast.With):
                waiting.append((node, prefix))


def _annotations(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, _Function) and node.returns is not None:
            yield node.returns
        elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation


def _old_generics(tree: ast.Module) -> Iterator[str]:
    """Names of old generics where they are used; a name that the code takes from elsewhere is not one."""
    modules = set(_TYPING_MODULES)
    elsewhere: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name in _TYPING_MODULES}
        elif isinstance(node, ast.ImportFrom) and node.module not in _TYPING_MODULES:
            elsewhere |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ClassDef):
            elsewhere.add(node.name)
    quoted = [
        inner
        for note in _annotations(tree)
        for part in ast.walk(note)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
        for inner in ast.walk(_parse(part.value)[0] or ast.Module(body=[], type_ignores=[]))
    ]
    for node in [*(node.value for node in ast.walk(tree) if isinstance(node, ast.Subscript)), *quoted]:
        if isinstance(node, ast.Name) and node.id in _OLD_GENERICS - elsewhere:
            yield f"`{node.id}`"
        elif (
            isinstance(node, ast.Attribute)
            and node.attr in _OLD_GENERICS
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
        ):
            yield f"`{node.value.id}.{node.attr}`"


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _has_mutable_default(node: ast.AST) -> bool:
    if not isinstance(node, _Function | ast.Lambda):
        return False
    displays = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    makers = ("list", "dict", "set", "bytearray", "defaultdict", "deque", "OrderedDict", "Counter")
    defaults = [*node.args.defaults, *node.args.kw_defaults]
    return any(
        isinstance(value, displays) or any(_calls(value, maker) for maker in makers)
        for value in defaults
        if value is not None
    )


_CONSTRUCTS: dict[str, Callable[[ast.AST], bool]] = {
    "bare_except": lambda node: isinstance(node, ast.ExceptHandler) and node.type is None,
    "eval": lambda node: _calls(node, "eval"),
    "exec": lambda node: _calls(node, "exec"),
    "print": lambda node: _calls(node, "print"),
    "mutable_default": _has_mutable_default,
    "star_import": lambda node: isinstance(node, ast.ImportFrom) and node.names[0].name == "*",
    "assert": lambda node: isinstance(node, ast.Assert),
    "global": lambda node: isinstance(node, ast.Global),
}


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"and {len(names) - most} more")
    return ", ".join(shown)
