"""Where an agent that was tried comes from: its file in the project, and the commit that has it so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.definition.agent import Agent
from workbench.definition.committed import commit_with
from workbench.definition.finding import find_agents
from workbench.definition.project import project_folder
from workbench.definition.there import bytes_in


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the text of an agent stands."""

    file: str | None
    """Seen from the project; `None`: no file of the project is known to be its own."""
    is_the_file: bool
    """Whether the file is, or once was, this very text; else the agent was made from it."""
    commit: str | None
    """The last commit that has the file so: "1a2b3c4 of 2026-11-29"; `None`: none has."""

    def __str__(self) -> str:
        if self.file is None:
            return "in no file of this project"
        if not self.is_the_file:
            return f"made from {self.file}"
        return f"{self.file}, {'not committed' if self.commit is None else f'commit {self.commit}'}"


def find_origins(
    agents: Mapping[str, Agent], *, files: Iterable[str] = (), project: Path | None = None
) -> dict[str, Origin]:
    """Where each agent comes from: one of these files, seen from the project, or one of the project's agents that is
    called the same. A file that is this very text comes first, then one that a commit has so, then any."""
    folder = project or project_folder()
    named = [folder / file for file in files]
    known: dict[str, list[Path]] = {}
    for found in find_agents(folder):
        known.setdefault(found.name.rpartition(":")[2], []).append(found.path)
    return {name: _origin(agent, named, known.get(agent.name or "", []), folder) for name, agent in agents.items()}


def _origin(agent: Agent, named: Sequence[Path], called_so: Sequence[Path], project: Path) -> Origin:
    content = agent.to_bytes()
    for path in sorted(dict.fromkeys([*named, *called_so]), key=lambda path: not _holds(path, content)):
        commit = commit_with(path, content)
        if commit is not None or _holds(path, content):
            return Origin(file=_seen(path, project), is_the_file=True, commit=commit)
    # Of several that are called so, the one that was named.
    near = [path for path in called_so if path in named] or called_so
    return Origin(file=_seen(near[0], project) if near else None, is_the_file=False, commit=None)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return bytes_in(path) == content
    except OSError:
        return False


def _seen(path: Path, project: Path) -> str:
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else path.name
