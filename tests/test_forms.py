"""How functions are made: one that takes more than six things takes a value.

A value itself may have as many fields as it needs: they are named where it is made.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench
from workbench.markup import counted

SOURCE = Path(workbench.__file__).parent
MOST = 6

MAY_TAKE_MORE = {
    "plan_trials": "typed in a cell, each option by its name",
    "run_trials": "typed in a cell, each option by its name",
    "answer_reply": "typed in a cell, each option by its name",
    "run_notebook": "typed in a cell, each option by its name",
    "route_change": "typed in a cell, each option by its name",
    "run_command": "click calls it with its options",
    "ci_command": "click calls it with its options",
    "judge_command": "click calls it with its options",
    "certify_command": "click calls it with its options",
    "gate_command": "click calls it with its options",
}
"""By function, why it takes more than six things."""


def functions_in(tree: ast.AST, *, of_class: bool = False) -> Iterator[tuple[str, int]]:
    """By name, how many things each function takes, `self` and `cls` apart, wherever it stands."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            takes = node.args
            named = [one.arg for one in (*takes.posonlyargs, *takes.args, *takes.kwonlyargs)]
            if of_class and named[:1] in (["self"], ["cls"]):
                named = named[1:]
            yield node.name, len(named) + (takes.vararg is not None) + (takes.kwarg is not None)
        yield from functions_in(node, of_class=isinstance(node, ast.ClassDef))


def taking_too_many(source: Path) -> dict[str, int]:
    """The functions of a folder that take more than six things, and how many those are."""
    return {
        name: count
        for path in sorted(source.rglob("*.py"))
        for name, count in functions_in(ast.parse(path.read_text(encoding="utf-8")))
        if count > MOST
    }


def test_a_function_that_takes_more_than_six_things_takes_a_value() -> None:
    assert taking_too_many(SOURCE).keys() - MAY_TAKE_MORE.keys() == set()


def test_no_exception_outlives_its_function() -> None:
    assert MAY_TAKE_MORE.keys() - taking_too_many(SOURCE).keys() == set()


@pytest.mark.parametrize(
    "function",
    [
        "def f(a, b, c, d, e, f, g): ...",
        "def f(a, b, /, c, d, *, e, f, g): ...",
        "async def f(a, b, c, d, e, *f, **g): ...",
        "class C:\n    def f(self, a, b, c, d, e, f, g): ...",
        "def outer():\n    def f(self, a, b, c, d, e, f): ...",
    ],
)
def test_a_seventh_thing_is_seen_however_it_is_taken(function: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(function, encoding="utf-8")

    assert taking_too_many(tmp_path) == {"f": 7}


def test_self_is_none_of_the_six(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("class C:\n    def f(self, a, b, c, d, e, f): ...", encoding="utf-8")

    assert taking_too_many(tmp_path) == {}


def test_the_plural_of_a_count_is_made_in_one_place() -> None:
    """`markup.counted`; else a sentence says "1 tasks" wherever somebody forgot."""
    made = re.compile(r"""(""|'') if [^{}]{1,60}== 1 else ["']s["']""")
    found = [str(path.relative_to(SOURCE)) for path in sorted(SOURCE.rglob("*.py")) if made.search(path.read_text())]

    assert found == []
    assert (counted(1, "task"), counted(12_000, "task")) == ("1 task", "12,000 tasks")
    assert (counted(1, "reply", "replies"), counted(0, "reply", "replies")) == ("1 reply", "0 replies")
