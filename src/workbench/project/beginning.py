"""What a project needs before its first trial: files that `workbench init` shows, and then writes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.there import bytes_in
from workbench.errors import FileError
from workbench.shipped.files import shipped
from workbench.trial.description_tasks import propose_from_description
from workbench.trial.proposed import ProposedTask
from workbench.trial.task import Task
from workbench.trial.task_files import task_file_of
from workbench.trial.task_writing import new_task_file, task_file_to_write

_IGNORED = """\
# agent-workbench: answers that were paid for, drafts and reports. They are yours, and no part of the project.
/outputs/
.ipynb_checkpoints/
"""
_OF_NOTHING = "Take a small example of the work that you are for, and show me on it how you go about it."
"""What an agent without a description is asked."""
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
        there = bytes_in(path).decode("utf-8", "surrogateescape")
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
    if agent.path is not None and task_file_of(agent.path) is not None:
        return None
    target = task_file_to_write(agent, apart=apart)
    return NewFile(path=target, text=first_task_file(agent), reason="what the agent is tried on, and what counts")


def first_task_file(agent: Agent) -> str:
    """A task file in YAML to start from: the examples of the agent's description, or where it has none, drafts made of
    what it says. Its one grader is of the length, which means something for any agent.
    """
    name = read_as_claude_code(agent).name or agent.name or "this agent"
    unsaid = ProposedTask(task=Task(id="draft-1", input=_OF_NOTHING), remark="draft: edit it", is_draft=True)
    return new_task_file(propose_from_description(agent) or (unsaid,), title=name)


def _workflow(project: Path) -> list[NewFile | None]:
    workflow = shipped("recipes/github-actions.yml").read_text(encoding="utf-8")
    requirements = f"agent-workbench=={version('agent-workbench')}\n"
    return [
        _unless_there(project / _WORKFLOW, workflow, "a pull request is held against the agents as they were"),
        _unless_there(project / _REQUIREMENTS, requirements, "the version that the workflow installs"),
    ]


def _unless_there(path: Path, text: str, reason: str) -> NewFile | None:
    return None if path.exists() else NewFile(path=path, text=text, reason=reason)
