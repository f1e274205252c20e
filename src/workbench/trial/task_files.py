"""Where the tasks of an agent are: beside its file, or in a folder of their own that leaves Claude Code's alone.

Claude Code reads the `*.md` files of its agents' folder and nothing else there, so that a task file beside an agent
does no harm. Who wants that folder clean all the same, or may not write there, keeps tasks in `.workbench/tasks`.
"""

from __future__ import annotations

from pathlib import Path

from workbench.definition.finding import agents_folder_of
from workbench.definition.project import project_folder
from workbench.definition.there import is_file_there
from workbench.errors import TaskFileError
from workbench.markup import command
from workbench.trial.task_rows import SUFFIXES

TASKS_FOLDER = Path(".workbench", "tasks")
"""Seen from the project folder."""


def task_file_of(agent_file: str | Path) -> Path | None:
    """The task file of this agent file: `reviewer.tasks.yaml` beside `reviewer.md`, else the one in `.workbench/tasks`
    of its project; `None`: there is neither.

    Of an agent in a folder below `agents`, such as `agents/web/reviewer.md`, it is `.workbench/tasks/web/`
    `reviewer.tasks.yaml`: two agents of one file name do not share their tasks.
    """
    return next((path for path in task_files_for(agent_file) if is_file_there(path)), None)


def task_files_for(agent_file: str | Path) -> tuple[Path, ...]:
    """Every place where the tasks of this agent file may be, the one that counts first."""
    path = Path(agent_file)
    apart = task_file_apart(path)
    beside = tuple(path.with_name(f"{path.stem}.tasks{suffix}") for suffix in SUFFIXES)
    return (*beside, *(apart.with_name(f"{path.stem}.tasks{suffix}") for suffix in SUFFIXES))


def task_file_apart(agent_file: str | Path) -> Path:
    """The YAML file in `.workbench/tasks` that belongs to this agent file, whether it is there or not."""
    real = Path(agent_file).resolve()
    agents = agents_folder_of(real)
    below = real.parent.relative_to(agents) if agents is not None else Path()
    return project_folder(real.parent) / TASKS_FOLDER / below / f"{real.stem}.tasks{SUFFIXES[0]}"


def no_tasks_for(agent_file: Path) -> TaskFileError:
    """Why nothing can be asked of the agent: it has no task file, and no description to make tasks of."""
    project = project_folder(agent_file.resolve().parent)
    beside, apart = agent_file.with_name(f"{agent_file.stem}.tasks{SUFFIXES[0]}"), task_file_apart(agent_file)
    return TaskFileError(
        f"there are no tasks to try it on: no {beside}, no {apart.relative_to(project)} in {project}, and no "
        f"description to make them of. `{command('workbench', 'init', agent_file)}` writes a first task file",
        path=agent_file,
    )


def thumbs_file_of(agent_file: str | Path) -> Path:
    """Where quick labels of this agent's replies are kept, beside its tasks: `reviewer.thumbs.jsonl`."""
    tasks = task_file_of(agent_file)
    beside = Path(agent_file) if tasks is None else tasks
    return beside.with_name(f"{Path(agent_file).stem}.thumbs.jsonl")
