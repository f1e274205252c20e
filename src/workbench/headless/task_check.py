"""The task file of a notebook, looked at before its kernel starts: what is broken in it costs a second, not a run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from workbench.definition.files import load_agent
from workbench.definition.there import is_file_there
from workbench.grading.checking import refuse_broken_tasks
from workbench.headless.parameters import Parameter
from workbench.trial.description_tasks import load_tasks_for
from workbench.trial.task import load_tasks
from workbench.trial.task_files import no_tasks_for
from workbench.trial.task_rows import SUFFIXES

_TASKS = "tasks"
_OF_ASKING = {"agent", _TASKS, "repeats"}
"""The parameters of a notebook that asks an agent its own tasks, each so many times."""


def refuse_broken_tasks_of(
    document: NotebookNode, declared: Mapping[str, Parameter], parameters: Mapping[str, Any], *, project: Path
) -> None:
    """Refuses the file that the notebook's parameter `tasks` names, where it is there and broken.

    Its graders are looked at where the notebook takes the standard ones; one that brings graders of its own knows names
    that nobody else knows.

    Raises:
        TaskFileError: the file is wrong, or names graders or options that do not exist; says place and line.
    """
    if _TASKS not in declared:
        return
    named = parameters.get(_TASKS, declared[_TASKS].literal)
    if not isinstance(named, str) or not named.lower().endswith(SUFFIXES) or not is_file_there(project / named):
        return
    path = project / named
    seen = Path(named) if Path.cwd() == project else path
    if _takes_standard_graders(document):
        refuse_broken_tasks(seen)
    else:
        load_tasks(seen)


def refuse_without_tasks(declared: Mapping[str, Parameter], parameters: Mapping[str, Any], *, project: Path) -> None:
    """Refuses a notebook that would ask its agent the agent's own tasks where there are none.

    Raises:
        TaskFileError: no tasks are named, the agent has no task file, and no description to make them of.
        AgentFileError: its file cannot be read.
    """
    if not declared.keys() >= _OF_ASKING:
        return
    agent, tasks = (parameters.get(name, declared[name].literal) for name in ("agent", _TASKS))
    if tasks or not isinstance(agent, str) or not is_file_there(project / agent):
        return
    path = Path(agent) if Path.cwd() == project else project / agent
    if not load_tasks_for(load_agent(path)):
        raise no_tasks_for(path)


def _takes_standard_graders(document: NotebookNode) -> bool:
    """Whether all that its cells give as `graders=` is `standard()`, with nothing added."""
    given = list(_given_graders(document))
    return bool(given) and all(
        isinstance(value, ast.Call)
        and (value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")) == "standard"
        for value in given
    )


def _given_graders(document: NotebookNode) -> Iterator[ast.expr]:
    for cell in document.cells:
        if cell.cell_type != "code":
            continue
        try:
            tree = ast.parse(cell.source)
        except (SyntaxError, ValueError):  # a cell of magics: what it gives nobody can tell
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield from (each.value for each in node.keywords if each.arg == "graders")
