"""The agents of one folder, as a project sees them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.files import load_agent
from workbench.definition.header import Problem
from workbench.definition.there import is_folder_there
from workbench.errors import AgentFileError, DuplicateAgent


@dataclass(frozen=True, kw_only=True)
class Roster:
    """The agents that Claude Code would list of one folder, and the files that it would not."""

    agents: Mapping[str, Agent] = field(default_factory=dict)
    """By name, in the order of the files' paths."""
    unlisted: Mapping[Path, tuple[Problem, ...]] = field(default_factory=dict)
    """The reasons, by file."""


def load_roster(folder: str | Path) -> Roster:
    """The agents in the `*.md` files of this folder and of those below it.

    Raises:
        DuplicateAgent: two files define agents of one name; Claude Code would load only one of them.
        AgentFileError: there is no such folder, or a file in it cannot be read.
    """
    if not is_folder_there(folder):
        raise AgentFileError("there is no such folder", path=folder)
    agents: dict[str, Agent] = {}
    unlisted: dict[Path, tuple[Problem, ...]] = {}
    for path in sorted(path for path in Path(folder).rglob("*.md") if path.is_file()):
        agent = load_agent(path)
        reading = read_as_claude_code(agent)
        if reading.name is None:
            unlisted[path] = tuple(problem for problem in reading.problems if problem.severity == "error")
        elif reading.name in agents:
            raise DuplicateAgent(
                f"defines an agent {reading.name!r}, and so does {agents[reading.name].path}; "
                "Claude Code loads only one of them. Rename one",
                path=path,
            )
        else:
            agents[reading.name] = agent
    return Roster(agents=MappingProxyType(agents), unlisted=MappingProxyType(unlisted))
