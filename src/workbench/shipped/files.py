"""What the package brings along beside its code: notebooks, the first agent with its tasks, recipes, pinned versions.

In an installed package these files lie in this folder. In a clone they are where they are worked on.
"""

from __future__ import annotations

from pathlib import Path

from workbench.definition.project import project_folder
from workbench.definition.there import is_file_there

_HERE = Path(__file__).parent
_CLONE = _HERE.parents[2]
_IN_CLONE = {
    "notebooks": "notebooks",
    "agents": "agents",
    "recipes": "docs/recipes",
    "constraints.txt": "constraints.txt",
}

NOTEBOOKS = ("author", "compare", "nightly", "review", "routing")
FIRST_AGENT = "senior-python-architect"


def shipped(name: str) -> Path:
    """Where a file or folder lies that the package brings along: `agents`, `constraints.txt`, `notebooks/author.ipynb`,
    `recipes/nightly.yaml`."""
    installed = _HERE / name
    if installed.exists():
        return installed
    first, _, rest = name.partition("/")
    return _CLONE / _IN_CLONE[first] / rest


def notebook_file(path: str | Path) -> Path:
    """The notebook that is meant: the file at this path; where there is none, the notebook of the workbench that
    `compare`, `compare.ipynb` or `notebooks/compare.ipynb` names, seen from here or from the project folder."""
    path = Path(path)
    if is_file_there(path) or path.stem not in NOTEBOOKS or path.suffix not in ("", ".ipynb"):
        return path
    project = project_folder()
    folders = {Path.cwd(), project, project / "notebooks", Path.cwd() / "notebooks"}
    return shipped(f"notebooks/{path.stem}.ipynb") if path.absolute().parent in folders else path
