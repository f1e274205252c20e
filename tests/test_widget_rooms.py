"""How objects stand to each other, widgets and what they show above all: by public names."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import workbench

SOURCE = Path(workbench.__file__).parent


def reached_into(code: str) -> list[str]:
    """The `x._name` of a module in which x is neither `self` nor `cls` nor `super()`; `x.__name__` is Python's."""
    return [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not (node.attr.startswith("__") and node.attr.endswith("__"))
        and not _is_own(node.value)
    ]


def _is_own(value: ast.expr) -> bool:
    if isinstance(value, ast.Name):
        return value.id in ("self", "cls")
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "super"


OF_OTHERS = {
    "_repr_mimebundle_": "IPython asks anything for its picture by it",
    "_exit": "of os: the documented end of a forked process",
    "_run_exitfuncs": "of atexit: a forked kernel ends without the interpreter's own end",
    "_instance": "of zmq.Context: whether there is one, without making it",
    "_cwd": "of papermill: where it is, as it runs a notebook elsewhere",
    "_handlers": "of papermill: how it reads and writes",
}
"""Names of other libraries that have no public one."""


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_nobody_reaches_into_another_object(path: Path) -> None:
    found = reached_into(path.read_text(encoding="utf-8"))

    assert [one for one in found if one.rpartition(".")[2] not in OF_OTHERS] == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("x._y", ["1: x._y"]),
        ("def f(self): return self._x._y", ["1: self._x._y"]),
        ("self._editor._work.lock", ["1: self._editor._work"]),
        ("f()._y = 1", ["1: f()._y"]),
        ("self._x, cls._x, super()._x, x.__dict__, x.y", []),
    ],
)
def test_reaching_into_another_object_is_seen(code: str, found: list[str]) -> None:
    assert reached_into(code) == found
