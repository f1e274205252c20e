"""A notebook with the parameters of `compare` that would find nothing to compare: found before its kernel starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.definition.there import is_file_there
from workbench.errors import NothingToCompare, WorkbenchError
from workbench.headless.parameters import Parameter

if TYPE_CHECKING:
    from workbench.runs.versions import Against

_OF_COMPARING = {"agent", "against", "variant_file", "model", "effort", "leave_out"}
_TASKS = "tasks"


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What such a notebook is to compare."""

    agent: Path
    against: Against
    tasks: Path | None
    """`None`: those of the agent."""


def refuse_nothing_to_compare(
    declared: Mapping[str, Parameter], parameters: Mapping[str, Any], *, project: Path
) -> None:
    """Refuses what a notebook with the parameters of `compare` would fail with once its kernel runs; every other
    notebook is let through.

    Raises:
        NothingToCompare, WorkbenchError: as `load_versions`; what is wrong in a task file that is there is left to
            `refuse_broken_tasks_of`.
    """
    asked = _asked(declared, parameters, project)
    if asked is None:
        return
    from workbench.runs.versions import load_versions, nothing_differs

    if asked.tasks is None or not is_file_there(asked.tasks):
        load_versions(asked.agent, asked.against, tasks=asked.tasks)
    elif (nothing := nothing_differs(asked.agent, asked.against)) is not None:
        raise nothing


def nothing_to_compare(
    declared: Mapping[str, Parameter], parameters: Mapping[str, Any], *, project: Path
) -> NothingToCompare | None:
    """Why a notebook with the parameters of `compare` would find nothing to compare for its agent; `None`: it is
    another notebook, it would find something, or it is refused for something else when its turn comes."""
    asked = _asked(declared, parameters, project)
    if asked is None:
        return None
    from workbench.runs.versions import nothing_differs

    try:
        return nothing_differs(asked.agent, asked.against)
    except WorkbenchError:
        return None


def _asked(declared: Mapping[str, Parameter], parameters: Mapping[str, Any], project: Path) -> _Asked | None:
    """`None`: it is another notebook, or no agent is named."""
    if not declared.keys() >= _OF_COMPARING:
        return None
    named = _OF_COMPARING | ({_TASKS} & declared.keys())
    value = {name: parameters.get(name, declared[name].literal) or "" for name in named}
    if not value["agent"] or not all(isinstance(each, str) for each in value.values()):
        return None
    from workbench.runs.versions import Against

    here = Path() if Path.cwd() == project else project
    agent, other = value["variant_file"] or value["agent"], value["against"]
    if value["variant_file"]:
        other = str(here / value["agent"])
    elif is_file_there(here / other):
        other = str(here / other)
    return _Asked(
        agent=here / agent,
        against=Against(
            other=other,
            models=tuple(name.strip() for name in value["model"].split(",") if name.strip()),
            effort=value["effort"],
            without=value["leave_out"],
        ),
        tasks=here / value[_TASKS] if value.get(_TASKS) else None,
    )
