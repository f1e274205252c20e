"""The notebook of an agent file: the author's notebook with this agent as its parameter."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.definition.project import project_folder, write_folder
from workbench.definition.there import text_in
from workbench.errors import FileError
from workbench.shipped.files import shipped

CELLS_TO_OPEN_WITH = ("parameters", "edit", "try", "picked")
"""The cells that show editor and panels. Opening runs no other: none of these writes a file or asks a model."""
MADE_HERE = "workbench"
"""A key of the metadata of a notebook that was made for an agent file: the page saves it after it ran."""
KERNEL = "agent-workbench"
"""The kernel of these notebooks, of `kernels/`: it imports nothing from the folder that it works in, since whoever
opens an agent file of a strange project has not asked for any of its code."""
KERNELS = Path(__file__).parent / "kernels"
"""Where Jupyter finds it."""
_AGENTS = re.compile(r"^(\.claude/)?agents/")


@dataclass(frozen=True, kw_only=True)
class AgentNotebook:
    """The notebook in which an agent file is edited and tried."""

    path: Path
    is_new: bool
    """Whether it was made just now, so that all of its code is ours."""


def write_agent_notebook(agent_file: Path, project: Path, *, kernel: str | None = None) -> AgentNotebook:
    """The notebook of this agent file in this project; one that is there already is left as it is.

    It lies with what else is made and kept out of git: in `outputs/notebooks`. `kernel`: the one it is to
    run in, `KERNEL` where that is offered; else the usual one.

    Raises:
        FileError: it cannot be read or written.
    """
    folder = _folder_in(project)
    seen = agent_file.relative_to(project) if agent_file.is_relative_to(project) else agent_file
    assignment = f"agent: str = {json.dumps(seen.as_posix(), ensure_ascii=False)}"
    number = 1
    while True:
        path = folder / _name(seen, number)
        try:
            there = text_in(path)
        except FileNotFoundError:
            _write(path, _copy_for(assignment, kernel))
            return AgentNotebook(path=path, is_new=True)
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"cannot be read: {error}", path=path) from error
        if assignment in _parameters(there):
            return AgentNotebook(path=path, is_new=False)
        number += 1


def _folder_in(project: Path) -> Path:
    made = project / "outputs" / "notebooks"
    # A folder without any mark is a project only for who starts in it.
    return made if project_folder(made) == project_folder(project) else project


def _name(agent_file: Path, number: int) -> str:
    """The number tells files apart whose paths give the same name."""
    stem = _AGENTS.sub("", agent_file.with_suffix("").as_posix())
    words = re.sub(r"[^\w.-]+", "-", stem).strip("-.")
    return f"author-{words}{f'-{number}' if number > 1 else ''}.ipynb"


def _parameters(notebook: str) -> list[str]:
    """The lines of the parameters of a notebook; none where it is not one."""
    try:
        cells = json.loads(notebook)["cells"]
        tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
        return _source(tagged[0]).split("\n") if tagged else []
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def _copy_for(assignment: str, kernel: str | None) -> str:
    notebook: dict[str, Any] = json.loads(shipped("notebooks/author.ipynb").read_text(encoding="utf-8"))
    [parameters] = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    lines = [assignment if line.startswith("agent:") else line for line in _source(parameters).split("\n")]
    parameters["source"] = "\n".join(lines)
    notebook["metadata"][MADE_HERE] = True
    if kernel is not None:
        known = json.loads((KERNELS / kernel / "kernel.json").read_text(encoding="utf-8"))
        notebook["metadata"]["kernelspec"] = {
            "name": kernel,
            **{name: known[name] for name in ("display_name", "language")},
        }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _source(cell: dict[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _write(path: Path, text: str) -> None:
    try:
        write_folder(path.parent)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return  # another page made it in this moment, for the same agent
    except (OSError, UnicodeEncodeError) as error:
        raise FileError(f"cannot be written: {error}", path=path) from error
