"""Finding agent files where Claude Code looks for them, and where people keep them: in a project, in the plugins of a
project, in the user's home, and in plain folders."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from workbench.definition.claude_code import read_where_it_stands
from workbench.definition.files import load_agent
from workbench.definition.project import (
    CLAUDE_FOLDER,
    PLUGIN_FOLDER,
    RECORD_FILE,
    config_folder,
    looks_like_agent_file,
    project_folder,
)
from workbench.definition.seen import seen_from_here
from workbench.definition.there import is_folder_there, is_there
from workbench.errors import AgentFileError, FileError

Kind = Literal["project", "plugin", "folder", "user"]

_MOST_NAMED = 12
"""Agents in the message of an error."""
NEVER_SEARCHED = frozenset({"node_modules", "__pycache__", "site-packages", "outputs"})
"""Folders in which what others made and what runs left lies: nothing of the author's. Below a folder `agents` a name
is only a name."""


@dataclass(frozen=True, kw_only=True)
class FoundAgent:
    """An agent file, and what the agent in it is called."""

    path: Path
    kind: Kind
    """`project`: in a `.claude/agents`; `plugin`: in the `agents` of a plugin; `folder`: in a plain `agents` folder;
    `user`: in the `.claude/agents` of the user's home."""
    name: str
    """As Claude Code calls it: `reviewer`, in a plugin `my-plugin:security:reviewer`. The file's name where Claude
    Code lists no agent for the file."""
    is_listed: bool
    """Whether Claude Code lists an agent for this file, once it stands where Claude Code looks."""


def find_agents(project: str | Path | None = None, *, home: str | Path | None = None) -> tuple[FoundAgent, ...]:
    """The agent files of a project and of the user's home: those of `.claude/agents`, of plugins, of plain `agents`
    folders, of the home, each in the order of their paths.

    As for Claude Code, the `.claude/agents` of the folders above count too, up to the root of the repository; those of
    the nearest come first. A Markdown file without frontmatter, such as a README, is no agent file. `project` is the
    project of the working directory unless given, and `home` the user's.
    """
    folder = Path(project).resolve() if project is not None else project_folder()
    searched = folders_up_to_the_repository(folder)
    found = [agent for each in searched for agent in _in_config_folder(each / CLAUDE_FOLDER, "project")]
    in_plugins, in_folders = [], []
    for agents in agents_folders_in(folder):
        plugin = agents.parent
        if (plugin / PLUGIN_FOLDER).is_dir():
            in_plugins += [_found(path, "plugin") for path in agent_files_in(agents)]
        else:
            in_folders += [_found(path, "folder") for path in agent_files_in(agents)]
    found += in_plugins + in_folders
    own = config_folder(None if home is None else Path(home))
    if own is not None and own.resolve() not in [each / CLAUDE_FOLDER for each in searched]:
        found += _in_config_folder(own, "user")
    return tuple(found)


def files_without_header(project: str | Path | None = None) -> tuple[Path, ...]:
    """The Markdown files in the `.claude/agents` of a project, and of the folders above it as for `find_agents`, that
    do not begin with a header, a README apart: Claude Code lists no agent for any of them."""
    folder = Path(project).resolve() if project is not None else project_folder()
    places = [each / CLAUDE_FOLDER / "agents" for each in folders_up_to_the_repository(folder)]
    return tuple(
        path
        for place in places
        for path in sorted(place.rglob("*.md"))
        if path.is_file() and path.stem.lower() != "readme" and not looks_like_agent_file(path)
    )


def agent_file(named: str | Path = "", *, project: str | Path | None = None) -> Path:
    """The file of this agent: a path, or what Claude Code calls an agent of this project; where nothing is named, that
    of the project's only agent.

    Paths start at the working directory, and so does what is given for a file below it. `project` is that of the
    working directory unless given. Agents of the user's home are taken by their name only.

    Raises:
        FileError: there is no such agent, or nothing is named and the project has none or several; says which it has,
            which may be meant, and where it was looked from.
    """
    if named and is_there(named) and not is_folder_there(named):
        return Path(named)
    project = project_folder() if project is None else Path(project).resolve()
    found = find_agents(project)
    own = [agent for agent in found if agent.kind != "user"]
    chosen = [agent for agent in found if agent.name == str(named)] if named else own
    if len(chosen) == 1:
        return seen_from_here(chosen[0].path)
    which = ", ".join(
        f"{agent.name} ({seen_from_here(agent.path).as_posix()})" for agent in (chosen or own)[:_MOST_NAMED]
    )
    more = len(chosen or own) - _MOST_NAMED
    which = f"{which}, and {more} more" if more > 0 else which or "none"
    if named:
        what = "several agents have this name" if chosen else _no_such_agent(str(named), found, project)
        raise FileError(f"{what}; this project, {project}, has: {which}", path=str(named))
    what = "name the agent" if own else "there is no agent to open; write one first, such as .claude/agents/reviewer.md"
    raise FileError(f"{what}. This project has: {which}", path=project)


def _no_such_agent(named: str, found: Sequence[FoundAgent], project: Path) -> str:
    said = "there is no such agent file, and no agent of this name"
    called = [f"{seen_from_here(agent.path)} defines {agent.name}" for agent in found if agent.path.stem == named]
    called += [
        f"{seen_from_here(path)} is no agent file, for it does not begin with a header between two `---` lines"
        for path in files_without_header(project)
        if path.stem == named
    ]
    if called:
        return f"{said}; {', '.join(called)}"
    near = difflib.get_close_matches(named.lower(), [agent.name.lower() for agent in found], n=1, cutoff=0.7)
    meant = next((agent.name for agent in found if agent.name.lower() in near), None)
    return said if meant is None else f"{said}; {meant} may be meant"


def agent_paths(named: Iterable[Path]) -> tuple[Path, ...]:
    """These files and folders; in place of one that is not there, the file of the agent of this name.

    Raises:
        FileError: there is no such agent either; as `agent_file`.
    """
    return tuple(path if is_there(path) else agent_file(path) for path in named)


def agents_of_project() -> tuple[Path, ...]:
    """The agent files of the project of the working directory, without those of the user's home, as seen from here."""
    return tuple(seen_from_here(agent.path) for agent in find_agents() if agent.kind != "user")


def agents_folder_of(path: Path) -> Path | None:
    """The outermost folder named `agents` in the project of this agent file that the file is in; `None`: in none."""
    real = path.resolve()
    project = project_folder(real.parent)
    within = [folder for folder in real.parents if folder.name == "agents" and folder.is_relative_to(project)]
    return within[-1] if within else None


def folders_up_to_the_repository(folder: Path) -> list[Path]:
    """The folder, and those above it up to the root of its git repository; only itself where it is in none."""
    above = [folder, *folder.parents]
    roots = [number for number, each in enumerate(above) if (each / ".git").exists()]
    return above[: roots[0] + 1] if roots else [folder]


def _in_config_folder(folder: Path, kind: Kind) -> Iterator[FoundAgent]:
    yield from (_found(path, kind) for path in agent_files_in(folder / "agents"))


def agent_files_in(folder: Path) -> list[Path]:
    """The agent files of this folder and of those below it, in the order of their paths."""
    return sorted(path for path in folder.rglob("*.md") if looks_like_agent_file(path))


def agents_folders_in(folder: Path) -> Iterator[Path]:
    """The folders `agents` in the project, apart from hidden ones, from environments and from what runs left."""
    waiting = [folder]
    while waiting:
        here = waiting.pop(0)
        try:
            inside = sorted(each for each in here.iterdir() if each.is_dir() and not each.is_symlink())
        except OSError:  # a folder that may not be read shows us no agents
            continue
        for each in inside:
            if each.name.startswith(".") or each.name in NEVER_SEARCHED or (each / "pyvenv.cfg").exists():
                continue
            if each.name == "agents":
                if not (here / RECORD_FILE).exists():  # else those of a record: agents as they were once tried
                    yield each
            else:
                waiting.append(each)


def is_among_agents(path: PurePath) -> bool:
    """Whether a file at this path, seen from the root of what is searched, stands where agents do: in a folder `agents`
    that is not itself in one of `NEVER_SEARCHED`."""
    folders = path.parts[:-1]
    return "agents" in folders and NEVER_SEARCHED.isdisjoint(folders[: folders.index("agents")])


def _found(path: Path, kind: Kind) -> FoundAgent:
    try:
        listed = read_where_it_stands(load_agent(path)).name
    except AgentFileError:  # it is shown by its file's name; whoever opens it is told what is wrong
        listed = None
    return FoundAgent(path=path, kind=kind, name=listed or path.stem, is_listed=listed is not None)
