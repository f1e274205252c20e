"""How the rooms of `src/workbench` stand: no file imports in a circle, and imports go down the floors only.

A late import and one under `TYPE_CHECKING` count as any other: what a reader has to know together is together.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import workbench

SOURCE = Path(workbench.__file__).parent
GROUND = {"errors", "key_forms", "secrets", "markup", "collector"}
VALUES = GROUND | {"definition", "shipped", "statistics", "trial"}
ASKING = VALUES | {"ledger", "grading", "model", "runs"}

STANDS_ON = {
    "errors": set(),
    "key_forms": set(),
    "secrets": {"key_forms"},
    "markup": set(),
    "collector": set(),
    "definition": GROUND,
    "shipped": {"definition"},
    "statistics": GROUND,
    "trial": GROUND | {"definition"},
    "ledger": GROUND | {"definition", "trial"},
    "grading": GROUND | {"definition", "trial"},
    "comparison": VALUES,
    "model": VALUES | {"ledger"},
    "runs": ASKING,
    "headless": ASKING | {"comparison"},
    "widgets": ASKING | {"comparison"},
    "project": ASKING | {"comparison", "headless", "widgets"},
    "cli": ASKING | {"comparison", "headless", "project", "widgets"},
    "__main__": {"cli"},
}
"""By room, the rooms that its files may import from beside their own. Two wings: `comparison` and `statistics` know
values, and neither ledger nor model; `ledger`, `model` and `runs` know those, and no comparison."""


def imported_by(path: Path, modules: set[str]) -> set[str]:
    """The modules of the workbench that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path} imports relatively"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(whole if whole <= modules else {node.module, *(whole & modules)})
    return found & modules


def imports(source: Path) -> dict[str, set[str]]:
    """By module, what it imports. The front door and the empty `__init__` files are no modules of their own."""
    files = {
        ".".join(("workbench", *path.relative_to(source).with_suffix("").parts)): path
        for path in source.rglob("*.py")
        if path.name != "__init__.py"
    }
    return {name: imported_by(path, set(files)) - {name} for name, path in files.items()}


def circle_in(graph: dict[str, set[str]]) -> str:
    """One circle of imports in words; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " <- ".join(error.args[1])
    return ""


def room_of(module: str) -> str:
    return module.split(".")[1]


OURS = imports(SOURCE)


def test_no_file_imports_in_a_circle() -> None:
    assert circle_in(OURS) == ""


@pytest.mark.parametrize("late", ["import workbench.b", "from workbench import b", "from workbench.b import x"])
def test_a_circle_is_seen_through_late_and_typing_imports(late: str, tmp_path: Path) -> None:
    hidden = f"if TYPE_CHECKING:\n    {late}\n"
    (tmp_path / "a.py").write_text(f"from typing import TYPE_CHECKING\n{hidden}", encoding="utf-8")
    (tmp_path / "b.py").write_text("def f():\n    from workbench.a import y\n", encoding="utf-8")

    assert set(circle_in(imports(tmp_path)).split(" <- ")) == {"workbench.a", "workbench.b"}


def test_every_room_has_its_floor() -> None:
    assert {room_of(module) for module in OURS} == set(STANDS_ON)


@pytest.mark.parametrize("module", sorted(OURS))
def test_imports_go_down_the_floors_only(module: str) -> None:
    rooms = {room_of(name) for name in OURS[module]} - {room_of(module)}

    assert rooms - STANDS_ON[room_of(module)] == set()
