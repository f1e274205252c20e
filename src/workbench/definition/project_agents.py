"""All agents that one project sees, wherever they come from, and which of those of one name is listed.

    managed    .claude/agents of the folder that an administrator fills
    session    what `--agents` names when Claude Code starts
    project    .claude/agents of the project's folder, then of the folders above it, up to the root of the repository
    user       .claude/agents of the user's home
    plugin     agents/ of each plugin that is enabled for the project
    built in   what the program brings along

The first of one name is listed, and the others are shadowed by it (documentation at 2.1.240; that `--agents` beats
files, and that a file replaces a built-in agent, was measured with 2.1.332). Of two files of one name in one folder
exactly one is listed, without a word; which, the order decides in which the file system gives them.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code, read_where_it_stands
from workbench.definition.facts import facts
from workbench.definition.fields import FIELD_OF_KEY
from workbench.definition.files import load_agent
from workbench.definition.finding import agent_files_in, agents_folders_in, folders_up_to_the_repository
from workbench.definition.plugin_agents import place_in_plugin, plugin_place
from workbench.definition.project import CLAUDE_FOLDER, PLUGIN_FOLDER, config_folder, project_folder
from workbench.definition.seen import seen_from_here
from workbench.definition.session_agents import faults_in_session_agent
from workbench.definition.there import bytes_in
from workbench.errors import AgentFileError, WorkbenchError

Where = Literal["managed", "session", "project", "user", "plugin", "built in"]
Standing = Literal["listed", "one of several", "shadowed", "not listed"]

ORDER: tuple[Where, ...] = get_args(Where)
"""Who comes first, of several of one name."""
UNMEASURED: tuple[Where, ...] = ("managed", "plugin")
"""Of whose place in `ORDER` there are the documentation and people's reports alone."""
_MANAGED = {"linux": "/etc/claude-code", "darwin": "/Library/Application Support/ClaudeCode"}


@dataclass(frozen=True, kw_only=True)
class ProjectAgent:
    """An agent that the project sees, or would if another did not stand before it."""

    name: str
    """As Claude Code calls it; the file's name where it lists no agent for the file."""
    where: Where
    standing: Standing
    because: str = ""
    """Why it is not simply listed, in words."""
    description: str | None = None
    """As the main model is shown it; `None`: not listed, or built in, which only the program knows."""
    tools: str = "All tools"
    path: Path | None = None
    folder: Path | None = None
    """The tree in which its file was found."""

    @property
    def line(self) -> str:
        """The line of the list that stands for it in every conversation; empty where its description is not known."""
        return "" if self.description is None else listing_line(self.name, self.description, self.tools)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where to look, beside the project itself."""

    home: Path | None = None
    """The user's, which holds `.claude`. Unless given, that of here, or what `CLAUDE_CONFIG_DIR` names."""
    managed: Path | None = None
    """The folder that an administrator fills, which holds `.claude`; unless given, that of this system."""
    session: str | Path | Mapping[str, Any] = ""
    """What `--agents` is given: JSON, a file with it, or the mapping itself."""
    plugin_folders: Sequence[Path] = ()
    """Plugins that are loaded beside those that are installed, as `--plugin-dir` does."""


def listing_line(name: str, description: str, tools: str) -> str:
    """An agent as it stands in the list that the main model is shown (measured with 2.1.332)."""
    return f"- {name}: {description} (Tools: {tools})"


def load_project_agents(project: str | Path | None = None, places: Places | None = None) -> tuple[ProjectAgent, ...]:
    """Every agent that the project sees, those that come first in front. A name that stands twice, a file that cannot
    be read and a plugin that is gone are told in `standing` and `because`, and never raise.

    Raises:
        AgentFileError: what `--agents` is given is no JSON object of agents.
    """
    folder = Path(project).resolve() if project is not None else project_folder()
    looked = places or Places()
    return tuple(_stand(_all_of(folder, looked)))


def names_taken_for_one(agents: Iterable[ProjectAgent]) -> tuple[tuple[str, ...], ...]:
    """Names of listed agents that differ in case and separators alone: a call by one can reach the other (2.1.140)."""
    alike: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for agent in agents:
        if agent.standing in ("listed", "one of several"):
            alike["".join(each for each in agent.name.casefold() if each.isalnum() or each == ":")][agent.name] = None
    return tuple(tuple(names) for names in alike.values() if len(names) > 1)


def _all_of(project: Path, places: Places) -> Iterator[ProjectAgent]:
    """In the order in which they come first."""
    managed = places.managed or Path(_MANAGED.get(sys.platform, r"C:\Program Files\ClaudeCode"))
    above = folders_up_to_the_repository(project)
    config = config_folder(places.home)
    yield from _in_tree(managed / CLAUDE_FOLDER / "agents", "managed")
    yield from _of_session(places.session)
    for each in above:
        yield from _in_tree(each / CLAUDE_FOLDER / "agents", "project")
    if config is not None and config.parent.resolve() not in above:
        yield from _in_tree(config / "agents", "user")
    yield from _of_plugins(project, places.plugin_folders, config)
    for name in facts()["built_in_agents"]:
        yield ProjectAgent(name=name, where="built in", standing="listed")


def _stand(agents: Iterable[ProjectAgent]) -> Iterator[ProjectAgent]:
    """Each with how it stands to those of its name."""
    found = list(agents)
    by_name: defaultdict[str, list[ProjectAgent]] = defaultdict(list)
    for agent in found:
        if agent.standing == "listed":
            by_name[agent.name].append(agent)
    for agent in found:
        first = by_name[agent.name][0] if agent.standing == "listed" else agent
        beside = [each for each in by_name[agent.name] if (each.where, each.folder) == (first.where, first.folder)]
        if agent.standing != "listed" or beside == [agent]:
            yield agent
        elif any(agent is each for each in beside):
            others = ", ".join(str(each.path) for each in beside if each is not agent)
            yield replace(
                agent, standing="one of several", because=f"this name is in {others} too, and one of them is listed"
            )
        else:
            at = f" ({first.path})" if first.path is not None else ""
            yield replace(agent, standing="shadowed", because=f"one of {_told(first.where)} comes first{at}")


def _told(where: Where) -> str:
    return {
        "managed": "the managed settings",
        "session": "--agents",
        "project": "the project",
        "user": "the user's home",
        "plugin": "a plugin",
        "built in": "the program",
    }[where]


def _in_tree(folder: Path, where: Where) -> Iterator[ProjectAgent]:
    for path in agent_files_in(folder):
        try:
            agent = load_agent(path)
        except AgentFileError as error:
            yield _unlisted(path.stem, where, str(error), path)
            continue
        yield _read(agent, where, path.stem, path=path, folder=folder)


def _read(
    agent: Agent, where: Where, name: str, *, path: Path | None = None, folder: Path | None = None
) -> ProjectAgent:
    reading = read_as_claude_code(agent)
    if reading.name is None or reading.description is None:
        errors = [problem.message for problem in reading.problems if problem.severity == "error"]
        return _unlisted(agent.name or name, where, " ".join(errors), path)
    return ProjectAgent(
        name=reading.name,
        where=where,
        standing="listed",
        description=reading.description,
        tools=reading.tools or "All tools",
        path=path,
        folder=folder,
    )


def _unlisted(name: str, where: Where, because: str, path: Path | None) -> ProjectAgent:
    return ProjectAgent(name=name, where=where, standing="not listed", because=because, path=path)


def _of_session(given: str | Path | Mapping[str, Any]) -> Iterator[ProjectAgent]:
    for name, written in _session_agents(given).items():
        faults = faults_in_session_agent(written) if isinstance(written, dict) else {name: "is no object"}
        if faults:
            told = ", ".join(f"`{key}` {fault}" for key, fault in faults.items())
            yield _unlisted(name, "session", f"Claude Code does not start with these --agents: {told}", None)
            continue
        known: dict[str, Any] = {
            one.name: tuple(value) if isinstance(value, list) and one.is_list else value
            for key, value in written.items()
            if (one := FIELD_OF_KEY.get(key)) is not None and key != "name"
        }
        try:
            agent = Agent(**{**known, "name": name, "prompt": written["prompt"]})
            yield _read(agent, "session", name)
        except (TypeError, WorkbenchError) as error:
            yield _unlisted(name, "session", str(error), None)


def _session_agents(given: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(given, Mapping) or not str(given).strip():
        return given if isinstance(given, Mapping) else {}
    text = given if isinstance(given, str) and given.lstrip().startswith("{") else None
    place = "--agents" if text is not None else given
    try:
        found = json.loads(text if text is not None else bytes_in(given))
    except OSError as error:
        raise AgentFileError(f"cannot be read: {error.strerror}", path=place) from error
    except (ValueError, RecursionError) as error:
        raise AgentFileError(f"is no JSON: {error}", path=place) from error
    if not isinstance(found, dict):
        raise AgentFileError("is no JSON object of agents by their names", path=place)
    return found


def _of_plugins(project: Path, given: Sequence[Path], config: Path | None) -> Iterator[ProjectAgent]:
    """Those of plugins that are given, then of enabled ones; those that lie in the project are told as not loaded."""
    seen: set[Path] = set()
    for plugin in [*given, *_enabled_plugins(project, config)]:
        real = _folder_at(plugin)
        if real is None:
            yield _unlisted(plugin.name, "plugin", "the plugin is switched on, and its folder is not there", plugin)
        elif real not in seen:
            seen.add(real)
            yield from _of_plugin(real)
    for agents in agents_folders_in(project):
        plugin = agents.parent
        if (plugin / PLUGIN_FOLDER).is_dir() and plugin.resolve() not in seen:
            for agent in _of_plugin(plugin):
                yield replace(
                    agent,
                    standing="not listed",
                    because=f"its plugin lies in {seen_from_here(plugin)}, and is not enabled here; "
                    "--plugin-dir loads it",
                )


def _of_plugin(plugin: Path) -> Iterator[ProjectAgent]:
    """A plugin's agents are called after it, and one without a name or a description is listed all the same."""
    folder = plugin / "agents"
    for path in agent_files_in(folder):
        try:
            agent = load_agent(path)
        except AgentFileError as error:
            yield _unlisted(path.stem, "plugin", str(error), path)
            continue
        reading = (
            read_where_it_stands(agent)
            if plugin_place(path) is not None
            else read_as_claude_code(agent, place=place_in_plugin(path, plugin))
        )
        yield ProjectAgent(
            name=reading.name or path.stem,
            where="plugin",
            standing="listed",
            description=reading.description,
            tools=reading.tools or "All tools",
            path=path,
            folder=folder,
        )


def _enabled_plugins(project: Path, config: Path | None) -> Iterator[Path]:
    """The folders of the plugins that the settings of user and project switch on, where they were installed to."""
    if config is None:
        return
    own = project / CLAUDE_FOLDER
    enabled: dict[str, Any] = {}
    for file in (config / "settings.json", own / "settings.json", own / "settings.local.json"):
        found = _json_object(file).get("enabledPlugins")
        enabled |= found if isinstance(found, dict) else {}
    installed = _json_object(config / "plugins" / "installed_plugins.json").get("plugins")
    for plugin, is_on in enabled.items():
        entries = installed.get(plugin) if isinstance(installed, dict) else None
        for entry in entries if isinstance(entries, list) else [entries]:  # one object, until it became a list
            at, of = (entry.get("installPath"), entry.get("projectPath")) if isinstance(entry, dict) else (None, None)
            if is_on and isinstance(at, str) and of in (None, str(project)):
                yield Path(at)
                break


def _folder_at(path: Path) -> Path | None:
    try:
        return path.resolve() if path.is_dir() else None
    except (OSError, ValueError):  # a name that no folder can have: too long, or with what none can be written with
        return None


def _json_object(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(bytes_in(path))
    except (OSError, ValueError, RecursionError):  # no settings, or none that Claude Code could read either
        return {}
    return found if isinstance(found, dict) else {}
