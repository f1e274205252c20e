"""Graders of the Python code in a reply. The code is read with `ast.parse` and never executed.

A grader declines where there is nothing to judge. Blocks that do not parse are left to `python_parses`; the
other graders look at the blocks that do and say how many they could not read.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from workbench.grading import options
from workbench.grading.python_source import (
    Function,
    Source,
    dotted,
    needs_newer,
    nodes,
    over_trees,
    parse,
    sources,
    trees,
)
from workbench.key_forms import without_known_forms
from workbench.markup import counted
from workbench.trial.task import Task
from workbench.trial.trial import Grader, Reply, Score

_OLD_GENERICS = frozenset(
    {"List", "Dict", "Set", "FrozenSet", "Tuple", "Type", "Deque", "DefaultDict", "OrderedDict", "Counter"}
    | {"ChainMap", "Optional", "Union"}
)
_TYPING_MODULES = frozenset({"typing", "typing_extensions"})
_VERSION = re.compile(r"3\.(\d{1,2})")
_SQL = re.compile(
    r"\s*(?:SELECT\s.*\bFROM\b|INSERT\s+INTO\b|UPDATE\s.*\bSET\b|DELETE\s+FROM\b|DROP\s+TABLE\b|ALTER\s+TABLE\b|"
    r"CREATE\s+TABLE\b|MERGE\s+INTO\b|WITH\s+\w+\s+AS\b)",
    re.IGNORECASE | re.DOTALL,
)
_TELLS_PEOPLE = frozenset(
    {"print", "echo", "debug", "info", "warning", "warn", "error", "exception", "critical", "fail"}
)
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:password|passwd|pwd|secret|token|api_?key|private_?key|signing_?key|jwt_?key|secret_?key|access_?key)$",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"|change.?me.*|<.*>|\{.*\}|\$.*|x{3,}|\*+|\.{3}|your[-_ ].*|example.*|dummy.*|fake.*|test.*|placeholder.*|"
    r"(?:bearer|basic|password|token|secret|jwt|access|refresh|none|str|oauth2?|api[-_]?key)",
    re.IGNORECASE,
)
_OF_TESTS = frozenset({"pytest", "hypothesis", "unittest", "mock", "freezegun", "faker", "typing_extensions"})
SHORTEST_SUBJECT = 3
"""A shorter name is not looked for at the beginning of a word: every test has an "e" in its name."""
SHORTEST_SECRET = 4
"""A literal of fewer characters is no password."""


def python_parses(*, required: bool = False, version: str | None = None, at_least: int = 1) -> Grader:
    """A grader of the share of Python blocks that parse.

    Without a Python block it declines, or gives 0 where `required`; in a task file, `required` beside any grader says
    that the task fails without it. `version` is the oldest Python that must take the code, as "3.9"; what newer Pythons
    added is then no Python. `at_least` statements must stand in the blocks together, else it is 0: a bare `x` parses.

    Raises:
        TypeError, ValueError: `required` is not true or false, `version` no version of Python 3, or `at_least` not a
            whole number from 1.
    """
    zero_without_code = options.switch("required", required)
    oldest = None if version is None else _version(version)
    needed = options.count("at_least", at_least)

    def grade(task: Task, reply: Reply) -> Score:
        found = sources(reply.text)
        if not found:
            return Score(value=0.0 if zero_without_code else None, explanation="no Python block")
        problems = {source.number: _problem(source, oldest) for source in found}
        broken = {number: problem for number, problem in problems.items() if problem}
        statements = sum(_statements(source.tree) for source in found if source.tree is not None)
        if statements < needed and not broken:
            return Score(value=0.0, explanation=f"{statements} of {needed} statements")
        value = 1 - len(broken) / len(found)
        if not broken:
            counted = "the Python block parses" if len(found) == 1 else f"all {len(found)} Python blocks parse"
            return Score(value=value, explanation=counted)
        number, problem = next(iter(broken.items()))
        return Score(
            value=value,
            explanation=f"{len(found) - len(broken)} of {len(found)} Python blocks parse; block {number}: {problem}",
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

    def judge(read: Sequence[ast.Module]) -> Score:
        parameters = [found for tree in read for found in _parameters(tree)]
        returns = [found for tree in read for found in _returns(tree)]
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

    return over_trees(judge)


def docstrings(*, at_least: float = 1.0) -> Grader:
    """A grader of the share of public functions, methods and classes that have a docstring.

    Public is what does not start with an underscore and does not lie in a function or a private class. The
    value is 1 from `at_least` on and share / at_least below it. It declines where there is nothing public.

    Raises:
        TypeError, ValueError: `at_least` is not a number above 0 and up to 1.
    """
    needed = options.share("at_least", at_least)

    def judge(read: Sequence[ast.Module]) -> Score:
        public = [found for tree in read for found in _public(tree)]
        if not public:
            return Score(value=None, explanation="no public function or class")
        missing = [name for name, documented in public if not documented]
        share = 1 - len(missing) / len(public)
        ending = f"; missing: {_listed(missing)}" if missing else ""
        return Score(
            value=min(1.0, share / needed),
            explanation=f"{len(public) - len(missing)} of {len(public)} public names documented{ending}",
        )

    return over_trees(judge)


def avoids(*, constructs: Sequence[str]) -> Grader:
    """A grader that is 1 where none of the `constructs` occurs in the Python blocks, else 0.

    Known are bare_except, eval, exec, print, mutable_default, star_import, assert and global. An `assert` in
    a function or class whose name starts with "test" is in its place and does not count.

    Raises:
        TypeError, ValueError: not a list, or a construct that is not known.
    """
    unwanted = options.choices("constructs", constructs, tuple(_CONSTRUCTS))

    def judge(read: Sequence[ast.Module]) -> Score:
        found: dict[str, int] = {}
        for tree in read:
            for node, in_test in nodes(tree):
                for name in unwanted:
                    if _CONSTRUCTS[name](node) and not (name == "assert" and in_test):
                        found[name] = found.get(name, 0) + 1
        if found:
            counted = [name if times == 1 else f"{name} {times} times" for name, times in found.items()]
            return Score(value=0.0, explanation=f"has {', '.join(counted)}")
        return Score(value=1.0, explanation=f"none of {', '.join(unwanted)}")

    return over_trees(judge)


def modern_python() -> Grader:
    """A grader that is 1 where annotations use `list[...]` and `X | None`, 0 where `List` or `Optional`.

    It declines where nothing is annotated.
    """

    def judge(read: Sequence[ast.Module]) -> Score:
        annotated = [note for tree in read for note in _annotations(tree)]
        if not annotated:
            return Score(value=None, explanation="no annotations")
        old = sorted({name for tree in read for name in _old_generics(tree)})
        if old:
            return Score(value=0.0, explanation=f"old generics from typing: {_listed(old)}")
        counted = "1 annotation" if len(annotated) == 1 else f"{len(annotated)} annotations"
        return Score(value=1.0, explanation=f"{counted}, none with old generics from typing")

    return over_trees(judge)


def defines(*, all: Sequence[str] | None = None, at_least: int = 1, statements: int = 1) -> Grader:
    """A grader of the functions, methods and classes that the Python blocks define with a body.

    With `all` the value is the share of these names; without, it is 1 from `at_least` of any name on, and below it
    their share. A body has at least so many `statements`, counted through all its blocks: a docstring, `pass`, `...`
    and `raise NotImplementedError` are none. The members of a class are its statements. Without Python that parses it
    is 0.

    Raises:
        TypeError, ValueError: `all` is not a list of texts, or a number is not a whole one from 1.
    """
    wanted = None if all is None else options.texts("all", all)
    needed, least = options.count("at_least", at_least), options.count("statements", statements)

    def grade(task: Task, reply: Reply) -> Score:
        bodies: dict[str, int] = {}
        for name, size in (found for tree in trees(reply.text) for found in _bodies(tree)):
            bodies[name] = max(size, bodies.get(name, 0))
        whole = [name for name, size in bodies.items() if size >= least]
        if wanted is None:
            said = f"{len(whole)} of {needed} definitions"
            return Score(value=min(1.0, len(whole) / needed), explanation=said)
        missing = [
            f"{name} ({counted(bodies[name], 'statement')})" if name in bodies else name
            for name in wanted
            if name not in whole
        ]
        ending = f"; missing: {_listed(missing)}" if missing else ""
        found = len(wanted) - len(missing)
        return Score(
            value=found / len(wanted), explanation=f"{found} of {counted(len(wanted), 'name')} defined{ending}"
        )

    return grade


def uses(*, any: Sequence[str] | None = None, all: Sequence[str] | None = None) -> Grader:
    """A grader of the names that the Python blocks use: call, subclass, decorate with, annotate with, raise.

    A name is `compare_digest` or `hmac.compare_digest`. One that is only imported, or stands as a statement by
    itself, is not used. With `any` the value is 1 where at least one is, else 0; with `all` it is the share.
    Without Python that parses it is 0.

    Raises:
        TypeError, ValueError: not exactly one of `any` and `all`, or not a list of texts.
    """
    if (any is None) == (all is None):
        raise ValueError(f"uses takes either `any` or `all`, found {'neither' if any is None else 'both'}")
    one_is_enough = any is not None
    wanted = options.texts("any", any) if one_is_enough else options.texts("all", all)

    def grade(task: Task, reply: Reply) -> Score:
        there = {name for tree in trees(reply.text) for name in _used(tree)}
        present = [name for name in wanted if name in there]
        if one_is_enough:
            said = f"uses {_listed(present)}" if present else f"uses none of {_listed(wanted)}"
            return Score(value=float(bool(present)), explanation=said)
        missing = [name for name in wanted if name not in there]
        ending = f"; missing: {_listed(missing)}" if missing else ""
        return Score(value=len(present) / len(wanted), explanation=f"uses {len(present)} of {len(wanted)}{ending}")

    return grade


def has_tests(*, at_least: int = 1, of: Sequence[str] | None = None) -> Grader:
    """A grader of the tests in the Python blocks: 1 from `at_least` on, below it their share.

    A test is a function whose name begins with `test`, that checks something (`assert`, `raises`, `self.assert...`),
    and that names what it tests, in its own name or its body: one of `of`, else a function or class that the reply or
    the Python of the task defines, or that the reply imports, but from no library of tests and not from Python's own.
    Each name of `of` must be tested; the value is at most the share that is.

    Raises:
        TypeError, ValueError: `at_least` is not a whole number from 1, or `of` is not a list of texts.
    """
    needed = options.count("at_least", at_least)
    named = None if of is None else options.texts("of", of)

    def grade(task: Task, reply: Reply) -> Score:
        read = trees(reply.text)
        known = (*read, *trees(task.message))
        subjects = named or tuple(
            {name for tree in known for name in _defined_subjects(tree)}
            | {name for tree in read for name in _imported_subjects(tree)}
        )
        tests = [node for tree in read for node, _ in nodes(tree) if isinstance(node, Function) and _is_test(node.name)]
        checking = [node for node in tests if _checks(node)]
        tested = {node.name: _tested(node, subjects) for node in checking}
        naming = [name for name, found in tested.items() if found]
        value = min(1.0, len(naming) / needed)
        missing = [name for name in named or () if not builtins.any(name in found for found in tested.values())]
        if named:
            value = min(value, 1 - len(missing) / len(named))
        why = "" if len(naming) == len(tests) else f" of {len(tests)}, {len(checking)} of which check anything"
        ending = f"; not tested: {_listed(missing)}" if missing else ""
        counted = "1 test names" if len(naming) == 1 else f"{len(naming)} tests name"
        return Score(value=value, explanation=f"{counted} what is tested{why}{ending}")

    return grade


def safe_sql() -> Grader:
    """A grader that is 1 where no SQL is put together from values, else 0.

    It can be by f-string, `+`, `+=`, `%`, `format`, `replace`, `join` or `Template`, in one expression or through a
    name. What is printed, logged or raised is no SQL. It declines where the Python blocks hold none.
    """

    def judge(read: Sequence[ast.Module]) -> Score:
        made = [line for tree in read for line in _sql_made(tree)]
        if made:
            lines = "line" if len(set(made)) == 1 else "lines"
            return Score(
                value=0.0, explanation=f"SQL put together in {lines} {_listed([str(n) for n in sorted(set(made))])}"
            )
        whole = sum(
            isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_SQL.match(node.value))
            for tree in read
            for node, _ in nodes(tree)
        )
        if not whole:
            return Score(value=None, explanation="no SQL")
        return Score(value=1.0, explanation="1 statement in SQL" if whole == 1 else f"{whole} statements in SQL")

    return over_trees(judge)


def no_secrets() -> Grader:
    """A grader that is 1 where the reply gives no secret away, else 0.

    A secret is a text in the form of a key, anywhere in the reply, or in Python a literal that a name such as
    `password`, `api_key` or `secret_key` stands for; a placeholder such as "change-me" is none.
    """

    def grade(task: Task, reply: Reply) -> Score:
        if without_known_forms(reply.text) != reply.text:
            return Score(value=0.0, explanation="holds a text in the form of a key")
        for name, line in (found for tree in trees(reply.text) for found in _literal_secrets(tree)):
            return Score(value=0.0, explanation=f"`{name}` in line {line} of its Python is a literal")
        return Score(value=1.0, explanation="no secret")

    return grade


def _version(value: object) -> tuple[int, int]:
    found = _VERSION.fullmatch(options.text("version", value))
    if found is None:
        raise ValueError(f'`version` takes a version of Python 3 in quotes, such as "3.12", found {value!r}')
    return 3, int(found[1])


def _problem(source: Source, oldest: tuple[int, int] | None) -> str:
    if source.tree is None:
        return source.problem
    return needs_newer(source, oldest) if oldest else ""


def _statements(tree: ast.AST) -> int:
    """The statements that do something, at any depth."""
    return sum(1 for node in ast.walk(tree) if isinstance(node, ast.stmt) and not _does_nothing(node))


def _does_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.Pass):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant | ast.Name | ast.Attribute | ast.Tuple)
    if isinstance(node, ast.Raise) and node.exc is not None:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return dotted(raised) == "NotImplementedError"
    return False


def _bodies(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Functions, methods and classes by name, each with the statements in its body."""
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef):
            yield node.name, sum(_statements(part) for part in node.body)


def _used(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Name | ast.Attribute | ast.Constant | ast.Tuple):
            continue
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Name | ast.Attribute):
                if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load):
                    continue
                name = dotted(child)
                yield from (name, name.rpartition(".")[2])


def _is_test(name: str) -> bool:
    return name.lower().startswith("test")


def _checks(function: ast.AST) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
            return True
        if isinstance(node, ast.Call):
            name = dotted(node.func).rpartition(".")[2]
            if name.startswith("assert") or name in ("raises", "warns", "fail"):
                return True
    return False


def _tested(function: Function, subjects: Sequence[str]) -> set[str]:
    inside = {
        dotted(node).rpartition(".")[2] for node in ast.walk(function) if isinstance(node, ast.Name | ast.Attribute)
    }
    words = _words_of_name(function.name.lower().removeprefix("test"))
    starts = list(accumulate(map(len, words), initial=0))[:-1]
    return {name for name in subjects if name in inside or _is_named("".join(words), starts, name)}


def _is_named(told: str, starts: Sequence[int], name: str) -> bool:
    """Whether words of a test's name, which begin at `starts`, begin with a name: "adds_two" with `add`, and with "e"
    only where that is the last of them."""
    key = "".join(_words_of_name(name))
    if len(key) < SHORTEST_SUBJECT:
        return told.endswith(key) and len(told) - len(key) in starts[-1:]
    return builtins.any(told.startswith(key, start) for start in starts)


def _words_of_name(name: str) -> list[str]:
    return [word for word in name.lower().split("_") if word]


def _defined_subjects(tree: ast.Module) -> Iterator[str]:
    """The functions and classes that may be what is tested: none that is a test or holds tests, and nothing in such."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function | ast.ClassDef):
            if _is_test(node.name) or _holds_tests(node):
                continue
            yield node.name
        waiting.extend(ast.iter_child_nodes(node))


def _holds_tests(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and (
        builtins.any(isinstance(each, Function) and _is_test(each.name) for each in node.body)
        or builtins.any(dotted(base).endswith("TestCase") for base in node.bases)
    )


def _imported_subjects(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            first = (node.module or "").partition(".")[0]
            if first not in _OF_TESTS and first not in sys.stdlib_module_names:
                yield from (alias.asname or alias.name for alias in node.names)


def _sql_made(tree: ast.Module) -> Iterator[int]:
    """The lines in which values are put into a text that begins as SQL does, or into a name that such a text has."""
    every = [node for node, _ in nodes(tree)]
    names = frozenset(name for node in every for name in _names_of_sql(node))
    for_people = {id(inside) for node in every for inside in _for_people(node)}
    for node in every:
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.Mod):
            if _is_sql(node.target, names) and not isinstance(node.value, ast.Constant):
                yield node.lineno
        elif isinstance(node, ast.expr) and id(node) not in for_people and _joins_sql(node, names):
            yield node.lineno


def _names_of_sql(node: ast.AST) -> Iterator[str]:
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
        return
    # A whole statement, or the beginning of one in capitals: `action = "update"` is a word.
    if _SQL.match(value.value) or (value.value.lstrip()[:6].isupper() and _begins_sql(value, [value])):
        assert isinstance(node, ast.Assign | ast.AnnAssign)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (name for target in targets if (name := dotted(target)))


def _for_people(node: ast.AST) -> Iterator[ast.expr]:
    """What is printed, logged or raised as it stands: "Select a row from the list" is no statement."""
    if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in _TELLS_PEOPLE:
        yield from node.args
    elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        yield from node.exc.args


def _joins_sql(node: ast.expr, names: frozenset[str]) -> bool:
    """Whether an expression puts values into a text that begins as SQL does, or into one of these names."""
    if isinstance(node, ast.JoinedStr):
        first = node.values[0] if node.values else None
        has_value = builtins.any(isinstance(part, ast.FormattedValue) for part in node.values)
        if isinstance(first, ast.FormattedValue):
            return dotted(first.value) in names
        return has_value and _begins_sql(first, node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        if isinstance(node.op, ast.Add) and isinstance(node.right, ast.Constant):
            return False
        return _is_sql(node.left, names)
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        of, verb = node.func.value, node.func.attr
        if verb == "join" and node.args and isinstance(node.args[0], ast.List | ast.Tuple):
            parts = node.args[0].elts
            are_values = not builtins.all(isinstance(part, ast.Constant) for part in parts)
            return are_values and _is_sql(next(iter(parts), None), names)
        if verb == "replace" and builtins.all(isinstance(each, ast.Constant) for each in node.args):
            return False
        if verb in ("format", "format_map", "replace"):
            return _is_sql(of, names)
    is_template = dotted(node.func).rpartition(".")[2] == "Template"
    return is_template and _is_sql(next(iter(node.args), None), names)


def _is_sql(node: ast.expr | None, names: frozenset[str]) -> bool:
    return _begins_sql(node, [node]) if isinstance(node, ast.Constant) else node is not None and dotted(node) in names


def _begins_sql(first: ast.expr | None, parts: Sequence[ast.expr]) -> bool:
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
        return False
    told = " ".join(part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))
    return bool(_SQL.match(f"{told} FROM SET"))  # what is put in may be what these words stand before


def _literal_secrets(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        pairs: list[tuple[str, ast.expr | None]] = []
        if isinstance(node, ast.Assign):
            pairs = [(dotted(target).rpartition(".")[2], node.value) for target in node.targets]
        elif isinstance(node, ast.AnnAssign):
            pairs = [(dotted(node.target).rpartition(".")[2], node.value)]
        elif isinstance(node, ast.keyword) and node.arg:
            pairs = [(node.arg, node.value)]
        elif isinstance(node, ast.Dict):
            pairs = [
                (key.value, value)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            ]
        for name, value in pairs:
            if value is not None and _SECRET_NAME.search(name) and _is_secret(value):
                yield name, value.lineno


def _is_secret(value: ast.expr) -> bool:
    return (
        isinstance(value, ast.Constant)
        and isinstance(value.value, str | bytes)
        and len(value.value) >= SHORTEST_SECRET
        and " " not in (text := value.value if isinstance(value.value, str) else value.value.decode("latin-1"))
        and not _PLACEHOLDER.fullmatch(text)
    )


def _functions(tree: ast.Module) -> Iterator[tuple[Function, bool]]:
    """The functions, each with whether its first parameter is `self` or `cls`."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
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
            if isinstance(node, Function | ast.ClassDef):
                if node.name.startswith(("_", "test_", "Test")):
                    continue
                yield f"`{prefix}{node.name}`", ast.get_docstring(node, clean=False) is not None
                if isinstance(node, ast.ClassDef):
                    waiting.append((node, f"{prefix}{node.name}."))
            elif isinstance(node, ast.If | ast.Try | ast.With):
                waiting.append((node, prefix))


def _annotations(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, Function) and node.returns is not None:
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
        for inner in ast.walk(parse(part.value)[0] or ast.Module(body=[], type_ignores=[]))
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
    if not isinstance(node, Function | ast.Lambda):
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
