"""Tasks out of Claude Code's own transcripts: what its main model really handed to an agent, in its words.

    ~/.claude/projects/<the project's folder, every sign but letters and digits as ->/
      <session>.jsonl                           a line a message, calls of the Agent tool among them
      <session>/subagents/agent-<id>.jsonl     what the agent was sent and said; its first user line is the request
      <session>/subagents/agent-<id>.meta.json  `agentType`: which agent it was

(Claude Code 2.1.332; before, agents ran in the session's own file, where the calls still are.) They are a user's own
and private: read only when asked for, by default of this project alone, and nothing of them is written unseen.
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.project import config_folder, project_folder
from workbench.definition.there import opened, text_in
from workbench.errors import TaskFileError
from workbench.trial.proposed import ProposedTask
from workbench.trial.task import Task

MOST_TASKS = 20
"""The newest ones; more can be asked for."""
LONGEST_LINE = 4_000_000
"""Characters of a line that is looked at; a longer one holds a file or an image, and no request."""
LONGEST_TASK = 100_000
"""Characters of a request that can be a task."""
_log = logging.getLogger(__name__)
AGENT_TOOL = "Agent"
AGENT_TOOL_NAMES = (AGENT_TOOL, "Task")
"""What the program calls the tool that hands work to an agent, today and before."""
_REMINDER, _ITS_END = "<system-reminder>", "</system-reminder>"


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One request to a subagent."""

    agent: str
    prompt: str
    at: str
    """When, in ISO 8601; empty: that is not said."""
    cwd: str


def transcripts_folder(project: Path, home: Path | None = None) -> Path:
    """Where Claude Code keeps the sessions that were begun in this project folder. `CLAUDE_CONFIG_DIR` names another
    place than `~/.claude`."""
    base = config_folder(home)
    if base is None:
        raise TaskFileError("there is no home, so that nobody knows where Claude Code keeps transcripts; name a folder")
    return base / "projects" / re.sub(r"[^A-Za-z0-9]", "-", str(project))


def transcript_folders(project: Path, home: Path | None = None) -> list[Path]:
    """Where sessions of this project can be: begun in its folder, or in one below. Those of a project whose name only
    begins alike are among them: `is_inside` tells."""
    usual = transcripts_folder(project, home)
    return [usual, *sorted(usual.parent.glob(f"{usual.name}-*"))]


def read_transcripts(
    agent: Agent, folder: str | Path | None = None, *, most: int = MOST_TASKS
) -> tuple[ProposedTask, ...]:
    """What was handed to the agent in sessions of Claude Code, the newest first, each request once, at most `most`.

    `folder` is looked through with all below it; unless given, the sessions of the agent's project are, and no others.
    Paths of the project's files are told from its folder.

    Raises:
        TaskFileError: there is no such folder, or nothing in it was handed to this agent; says which agents are there.
    """
    project = project_folder(None if agent.path is None else agent.path.resolve().parent)
    if folder is None:
        usual = transcripts_folder(project)
        folders = transcript_folders(project)
        inside: Path | None = project
    else:
        usual = Path(folder).expanduser()
        folders, inside = [usual], None
    there = [each for each in folders if each.is_dir()]
    if not there:
        raise TaskFileError("there are no transcripts of Claude Code here; name their folder", path=usual)
    wanted = {_plain(name) for name in (read_as_claude_code(agent).name, agent.name) if name}
    asked = [one for each in there for one in _asked_in(each) if inside is None or is_inside(one.cwd, inside)]
    of_agent = sorted((one for one in asked if _plain(one.agent) in wanted), key=lambda one: one.at, reverse=True)
    by_prompt = {one.prompt: one for one in reversed(of_agent)}
    if not by_prompt:
        others = ", ".join(sorted({one.agent for one in asked})) or "no agent"
        raise TaskFileError(f"nothing was handed to {agent.name} in these transcripts; to {others}", path=usual)
    newest = sorted(by_prompt.values(), key=lambda one: one.at, reverse=True)[:most]
    return tuple(
        ProposedTask(
            task=Task(id=f"handed-{number}", input=one.prompt.replace(f"{project}/", ""), group="transcripts"),
            remark=f"from a transcript of Claude Code{one.at and f' of {one.at[:10]}'}: read it before you keep it",
        )
        for number, one in enumerate(newest, start=1)
    )


def _asked_in(folder: Path) -> Iterator[_Asked]:
    for path in sorted(folder.rglob("*.jsonl")):
        yield from _of_subagent(path) if path.parent.name == "subagents" else _of_session(path)


def _of_subagent(path: Path) -> Iterator[_Asked]:
    """The request of a subagent's own file: its first line of a user."""
    meta = _object(_read(path.with_name(f"{path.stem}.meta.json")))
    agent = meta.get("agentType")
    for line in lines_holding(path, '"user"'):
        message = line.get("message")
        if line.get("type") != "user" or line.get("isMeta") or not isinstance(message, dict):
            continue
        prompt = text_of(message.get("content"))
        if isinstance(agent, str) and prompt:
            yield _asked(agent, prompt, line)
        return


def _of_session(path: Path) -> Iterator[_Asked]:
    """The requests of a session's file: the main model's calls of the Agent tool."""
    for line in lines_holding(path, '"subagent_type"'):
        message = line.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else []:
            if (
                not isinstance(block, dict)
                or block.get("type") != "tool_use"
                or block.get("name") not in AGENT_TOOL_NAMES
            ):
                continue
            given = block.get("input")
            agent, prompt = (
                (given.get("subagent_type"), given.get("prompt")) if isinstance(given, dict) else (None, None)
            )
            if isinstance(agent, str) and isinstance(prompt, str) and (text := text_of(prompt)):
                yield _asked(agent, text, line)


def _asked(agent: str, prompt: str, line: Mapping[str, Any]) -> _Asked:
    at, cwd = line.get("timestamp"), line.get("cwd")
    return _Asked(
        agent=agent,
        prompt=prompt,
        at=at if isinstance(at, str) else "",
        cwd=cwd if isinstance(cwd, str) else "",
    )


def text_of(content: object) -> str:
    """The content of a user's message as a text, without what the program adds; empty where it is none, or too long for
    a task."""
    blocks: Iterable[object] = content if isinstance(content, list) else [content]
    texts = [each.get("text") if isinstance(each, dict) else each for each in blocks]
    whole = "\n\n".join(text for text in texts if isinstance(text, str))
    found = _without_reminders(whole).strip()
    return found if len(found) <= LONGEST_TASK else ""


def _without_reminders(text: str) -> str:
    """Part by part, each up to an end: a pattern would look for one from every beginning."""
    *closed, rest = text.split(_ITS_END)
    kept = []
    for part in closed:
        before, begins, _ = part.partition(_REMINDER)
        kept.append(before if begins else part + _ITS_END)
    return "".join([*kept, rest])


def lines_holding(path: Path, holding: str = "") -> Iterator[Mapping[str, Any]]:
    """The objects of the lines that hold this text, by default of all; what cannot be read is no request."""
    try:
        with io.TextIOWrapper(opened(path), encoding="utf-8", errors="replace") as file:
            for line in file:
                if holding in line and len(line) <= LONGEST_LINE:
                    yield _object(line)
    except OSError as error:
        _log.warning("%s was not read: %s", path, error.strerror)


def _read(path: Path) -> str:
    try:
        return text_in(path, errors="replace")
    except OSError:
        return ""


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # a line that was being written, or none of Claude Code's
        return {}
    return found if isinstance(found, dict) else {}


def is_inside(cwd: str, project: Path) -> bool:
    """Whether a line's working directory is the project's or below it, or is not said."""
    return not cwd or Path(cwd) == project or project in Path(cwd).parents


def _plain(name: str) -> str:
    """As Claude Code compares names: case and separators do not count, nor here the name of a plugin before it."""
    return re.sub(r"[^0-9a-z]", "", name.rpartition(":")[2].casefold())
