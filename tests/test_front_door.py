from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import workbench

SOURCE = Path(workbench.__file__).parent
HEAVY = ("anthropic", "pandas", "papermill", "ipywidgets", "matplotlib", "scipy", "sqlalchemy", "IPython")

ROOM_OF_LIBRARY = {
    "anthropic": {"model"},
    "aiohttp": {"model"},
    "httpx2": {"model"},
    "frontmatter": {"definition/document.py"},
    "sqlalchemy": {"ledger"},
    "genai_prices": {"trial/catalogue.py"},
    "pandas": {"comparison"},
    "scipy": {"statistics", "comparison"},
    "statsmodels": {"statistics"},
    "pyarrow": {"comparison"},
    "matplotlib": {"comparison"},
    "papermill": {"headless"},
    "distributed": {"headless"},
    "nbconvert": {"headless"},
    "ipywidgets": {"widgets"},
    "anywidget": {"widgets"},
}


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem != "__init__")


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def test_importing_the_workbench_loads_no_heavy_library() -> None:
    code = f"import sys, workbench; print([name for name in {HEAVY} if name in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("name", workbench.__all__)
def test_every_name_of_the_front_door_opens_and_says_what_it_is(name: str) -> None:
    said = inspect.getdoc(getattr(workbench, name))

    assert said and not said.startswith(f"{name}("), "a dataclass without a docstring of its own"


def test_front_door_has_what_a_comparison_takes_from_the_first_try_to_the_gate() -> None:
    wanted = {"plan_trials", "run_trials", "compare", "what_flipped", "compare_replies", "write_report", "gate"}
    wanted |= {"review_runs", "regrade", "Judgement", "compare_pairwise", "rank_variants", "estimate_upkeep"}

    assert wanted <= set(workbench.__all__)


def test_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match="workbench has no 'load_agnet'; it has .*load_agent"):
        _ = workbench.load_agnet


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_each_library_has_one_room(path: Path) -> None:
    libraries = {name.split(".")[0] for name in imports_of(path)}
    where = {room_of(path), path.relative_to(SOURCE).as_posix()}

    assert {library for library in libraries if not where & ROOM_OF_LIBRARY.get(library, where)} == set()
