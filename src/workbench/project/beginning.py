"""What a project needs before its first trial: files that `workbench init` shows, and then writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.project import CLAUDE_FOLDER
from workbench.errors import FileError
from workbench.markup import visible
from workbench.shipped.files import shipped
from workbench.trial.description_tasks import tasks_of_description
from workbench.trial.task import Task
from workbench.trial.task_files import task_file_apart, task_file_of

_IGNORED = """\
# agent-workbench: answers that were paid for, drafts and reports. They are yours, and no part of the project.
/outputs/
.ipynb_checkpoints/
"""
_TEMPLATE_MARK = re.compile(r"\{[{%#]")
_WORKFLOW = Path(".github", "workflows", "agents.yml")
_REQUIREMENTS = Path("requirements-workbench.txt")


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file to write, or a block to put at the end of one that is there."""

    path: Path
    text: str
    reason: str
    """What it is for, in a few words."""
    appends: bool = False


def files_to_begin(
    project: Path, *, agent: Agent | None = None, with_ci: bool = False, tasks_apart: bool | None = None
) -> tuple[NewFile, ...]:
    """What `project` still lacks: the lines of `.gitignore`, a first task file for `agent`, the workflow for GitHub.

    Tasks go beside the agent, or with `tasks_apart` into `.workbench/tasks`; unless that is said, only those of an
    agent in `.claude` go there. What is there already is left out.
    """
    wanted = [_ignore_block(project), *([_first_tasks(agent, tasks_apart)] if agent else [])]
    if with_ci:
        wanted += _workflow(project)
    return tuple(file for file in wanted if file is not None)


def write_new_file(file: NewFile) -> None:
    """Writes a file that is not there yet, or puts a block at the end of one; nothing is ever overwritten.

    Raises:
        FileError: it is there by now, or cannot be written.
    """
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        with file.path.open("ab" if file.appends else "xb") as opened:
            opened.write(file.text.encode())
    except FileExistsError:
        raise FileError("is there already, and was left as it is", path=file.path) from None
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror}", path=file.path) from error


def _ignore_block(project: Path) -> NewFile | None:
    path = project / ".gitignore"
    try:
        there = path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        there = ""
    except OSError as error:
        raise FileError(f"cannot be read: {error.strerror}", path=path) from error
    missing = [line for line in _IGNORED.splitlines() if line not in map(str.strip, there.splitlines())]
    if not [line for line in missing if not line.startswith("#")]:
        return None
    newline = "\r\n" if "\r\n" in there else "\n"
    before = "" if not there else newline if there.endswith("\n") else 2 * newline
    text = before + "".join(line + newline for line in missing)
    return NewFile(path=path, text=text, reason="git keeps answers, drafts and reports out", appends=path.exists())


def _first_tasks(agent: Agent, apart: bool | None) -> NewFile | None:
    path = agent.path
    if path is None:
        raise ValueError("an agent without a file has no place for its tasks")
    if task_file_of(path) is not None:
        return None
    if apart is None:
        apart = CLAUDE_FOLDER in path.resolve().parts
    target = task_file_apart(path) if apart else path.with_name(f"{path.stem}.tasks.yaml")
    return NewFile(path=target, text=first_task_file(agent), reason="what the agent is tried on, and what counts")


def first_task_file(agent: Agent) -> str:
    """A task file in YAML to start from: the examples of the agent's description, or where it has none, one question
    about the work that the description tells of. Its one grader is of the length, which means something for any agent.
    """
    reading = read_as_claude_code(agent)
    name = reading.name or agent.name or "this agent"
    work = visible(reading.description or agent.description or name)
    tasks = tasks_of_description(agent) or (
        Task(
            id="own-work", input=f"I was told this about you: {work}\n\nShow me on a small example how you go about it."
        ),
    )
    return "\n".join(_lines(name, tasks)) + "\n"


def _lines(name: str, tasks: tuple[Task, ...]) -> Iterator[str]:
    yield f"# What {visible(name)} is tried on. A task is one question to it; more tasks make a surer verdict."
    yield "#"
    yield "#   input    what the user asks"
    yield "#   context  comes before the input in the same turn, as a project's CLAUDE.md would"
    yield "#   graders  what a good reply holds to; `workbench graders` lists all of them with their options"
    yield "#"
    yield "# Put what this agent promises into `graders`, such as"
    yield "#   - mentions: {any: [risk, trade-off]}"
    yield "#   - has_section: {any: [summary]}"
    yield ""
    yield "graders:  # of every task; a task may have more of its own"
    yield "  - word_count: {at_most: 400}  # as long as you want its replies to be"
    yield ""
    yield "tasks:"
    for task in tasks:
        yield f"  - id: {task.id}"
        if task.context:
            yield f"    context: {_quoted(task.context)}"
        yield f"    input: {_quoted(task.input)}"


def _quoted(text: str) -> str:
    """A text as YAML in double quotes, which can hold any. Jinja's marks stay text: a task's fields are templates."""
    plain = _TEMPLATE_MARK.sub(lambda mark: f"{{{{ '{mark[0]}' }}}}", text)
    quoted = json.dumps(plain.encode("utf-8", "replace").decode(), ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def _workflow(project: Path) -> list[NewFile | None]:
    workflow = shipped("recipes/github-actions.yml").read_text(encoding="utf-8")
    requirements = f"agent-workbench=={version('agent-workbench')}\n"
    return [
        _unless_there(project / _WORKFLOW, workflow, "a pull request is held against the agents as they were"),
        _unless_there(project / _REQUIREMENTS, requirements, "the version that the workflow installs"),
    ]


def _unless_there(path: Path, text: str, reason: str) -> NewFile | None:
    return None if path.exists() else NewFile(path=path, text=text, reason=reason)
