"""Finding agent files where Claude Code looks for them, and where people keep them: in a project, in the plugins of a
project, in the user's home, and in plain folders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.files import load_agent
from workbench.definition.project import CLAUDE_FOLDER, looks_like_agent_file, project_folder
from workbench.errors import AgentFileError

Kind = Literal["project", "plugin", "folder", "user"]

PLUGIN_FOLDER = ".claude-plugin"
"""The folder that makes a plugin of the folder around it, or a marketplace of plugins."""
_NEVER_SEARCHED = {"node_modules", "__pycache__", "site-packages", "outputs"}


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
    searched = _up_to_the_repository(folder)
    found = [agent for each in searched for agent in _in_claude_folder(each, "project")]
    in_plugins, in_folders = [], []
    for agents in _agents_folders(folder):
        plugin = agents.parent
        if (plugin / PLUGIN_FOLDER).is_dir():
            in_plugins += [_found(path, "plugin", _plugin_name(plugin), agents) for path in _agent_files(agents)]
        else:
            in_folders += [_found(path, "folder") for path in _agent_files(agents)]
    found += in_plugins + in_folders
    try:
        at_home = Path(home) if home is not None else Path.home()
    except RuntimeError:  # no home, as for some users in containers
        return tuple(found)
    if at_home.resolve() not in searched:
        found += _in_claude_folder(at_home, "user")
    return tuple(found)


def agents_folder_of(path: Path) -> Path | None:
    """The outermost folder named `agents` in the project of this agent file that the file is in; `None`: in none."""
    real = path.resolve()
    project = project_folder(real.parent)
    within = [folder for folder in real.parents if folder.name == "agents" and folder.is_relative_to(project)]
    return within[-1] if within else None


def _up_to_the_repository(folder: Path) -> list[Path]:
    """The folder, and those above it up to the root of its git repository; only itself where it is in none."""
    above = [folder, *folder.parents]
    roots = [number for number, each in enumerate(above) if (each / ".git").exists()]
    return above[: roots[0] + 1] if roots else [folder]


def _in_claude_folder(folder: Path, kind: Kind) -> Iterator[FoundAgent]:
    yield from (_found(path, kind) for path in _agent_files(folder / CLAUDE_FOLDER / "agents"))


def _agent_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.md") if looks_like_agent_file(path))


def _agents_folders(folder: Path) -> Iterator[Path]:
    """The folders `agents` in the project, apart from hidden ones, from environments and from what runs left."""
    waiting = [folder]
    while waiting:
        here = waiting.pop(0)
        try:
            inside = sorted(each for each in here.iterdir() if each.is_dir() and not each.is_symlink())
        except OSError:  # a folder that may not be read shows us no agents
            continue
        for each in inside:
            if each.name.startswith(".") or each.name in _NEVER_SEARCHED or (each / "pyvenv.cfg").exists():
                continue
            if each.name == "agents":
                if not (here / "run.json").exists():  # else those of a record: agents as they were once tried
                    yield each
            else:
                waiting.append(each)


def _plugin_name(plugin: Path) -> str:
    """What the manifest calls the plugin; the folder's name where it does not say."""
    try:
        name = json.loads((plugin / PLUGIN_FOLDER / "plugin.json").read_bytes())["name"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return plugin.name
    return name if isinstance(name, str) and name.strip() else plugin.name


def _found(path: Path, kind: Kind, plugin: str | None = None, agents: Path | None = None) -> FoundAgent:
    try:
        listed = read_as_claude_code(load_agent(path)).name
    except AgentFileError:  # it is shown by its file's name; whoever opens it is told what is wrong
        listed = None
    name = listed or path.stem
    if plugin is not None and agents is not None:
        name = ":".join((plugin, *path.parent.relative_to(agents).parts, name))
    return FoundAgent(path=path, kind=kind, name=name, is_listed=listed is not None)
