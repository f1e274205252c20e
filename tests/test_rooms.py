"""How the rooms of `src/workbench` stand: no file imports in a circle, and imports go down the floors only.

A late import and one under `TYPE_CHECKING` count as any other: what a reader has to know together is together.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import workbench
from workbench.cli import ROOMS
from workbench.definition.project import RECORD_FILE
from workbench.grading.catalogue import OWN, standard

SOURCE = Path(workbench.__file__).parent
GROUND = {"errors", "key_covers", "key_forms", "secrets", "markup", "collector"}
VALUES = GROUND | {"definition", "shipped", "statistics", "trial"}
ASKING = VALUES | {"ledger", "grading", "model", "runs"}

STANDS_ON = {
    "errors": set(),
    "key_covers": set(),
    "key_forms": set(),
    "secrets": {"key_covers", "key_forms"},
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
    "judging": ASKING | {"comparison"},
    "routing": ASKING | {"comparison"},
    "headless": ASKING | {"comparison", "routing"},
    "widgets": ASKING | {"comparison", "judging", "routing"},
    "project": ASKING | {"comparison", "headless", "judging", "routing", "widgets"},
    "cli": ASKING | {"comparison", "headless", "judging", "project", "routing", "widgets"},
    "__main__": {"cli"},
}
"""By room, the rooms that its files may import from beside their own. Two wings: `comparison` and `statistics` know
values, and neither ledger nor model; `ledger`, `model` and `runs` know those, and no comparison. What a question or a code block
is in a reply, `trial` says to graders and to comparisons."""


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


LOADED_BY_NAME = {
    "workbench.cli": {f"workbench.{room}" for room in ROOMS.values()},
    "workbench.grading.catalogue": {standard()[name].__module__ for name in OWN},
}
"""By module, what it imports by a name out of a table, which no import says."""

OURS = {name: found | LOADED_BY_NAME.get(name, set()) for name, found in imports(SOURCE).items()}


def test_no_file_imports_in_a_circle() -> None:
    assert circle_in(OURS) == ""


def test_what_is_loaded_by_name_is_there() -> None:
    assert set().union(*LOADED_BY_NAME.values()) <= OURS.keys()


@pytest.mark.parametrize("late", ["import workbench.b", "from workbench import b", "from workbench.b import x"])
def test_a_circle_is_seen_through_late_and_typing_imports(late: str, tmp_path: Path) -> None:
    hidden = f"if TYPE_CHECKING:\n    {late}\n"
    (tmp_path / "a.py").write_text(f"from typing import TYPE_CHECKING\n{hidden}", encoding="utf-8")
    (tmp_path / "b.py").write_text("def f():\n    from workbench.a import y\n", encoding="utf-8")

    assert set(circle_in(imports(tmp_path)).split(" <- ")) == {"workbench.a", "workbench.b"}


def test_the_name_of_a_records_file_is_said_once() -> None:
    said = [
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value == RECORD_FILE
    ]

    assert said == ["definition/project.py"]


WRITES = {"write_text", "write_bytes", "write_folder"}
MAY_WRITE = {
    "open_ledger": "the folder of the ledger that it opens, as its docstring says",
    "only_writer": "the folder that it keeps for one run, as its docstring says",
    "_run": "a program for a checker, in a folder that goes with it",
    "_folders": "what Claude Code is to find, in a folder that goes with it",
    "_started": "the same, for one that is watched",
}
"""Functions of another name that write, each with what."""


def writing_in(node: ast.AST, within: tuple[str, ...] = ()) -> set[str]:
    """The functions in which a file is written, unless they, or those around them, say so in their names."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        within = (*within, node.name)
    called = node.func if isinstance(node, ast.Call) else None
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    says_so = any(each.lstrip("_").startswith(("save_", "export_", "write")) for each in within)
    found = {within[-1] if within else "a module"} if name in WRITES and not says_so else set()
    return found.union(*(writing_in(child, within) for child in ast.iter_child_nodes(node)))


def test_only_functions_that_say_so_write_files() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")]

    assert set().union(*map(writing_in, trees)) == set(MAY_WRITE)
    assert writing_in(ast.parse("def make_folder(path):\n    (path / 'x').write_text('y')")) == {"make_folder"}


def test_every_room_has_its_floor() -> None:
    assert {room_of(module) for module in OURS} == set(STANDS_ON)


@pytest.mark.parametrize("module", sorted(OURS))
def test_imports_go_down_the_floors_only(module: str) -> None:
    rooms = {room_of(name) for name in OURS[module]} - {room_of(module)}

    assert rooms - STANDS_ON[room_of(module)] == set()
