"""Tasks for an agent from whatever is at hand: its description, transcripts of Claude Code, a table of another tool."""

from __future__ import annotations

from pathlib import Path

from workbench.definition.agent import Agent
from workbench.definition.there import is_folder_there, is_there
from workbench.errors import TaskFileError
from workbench.trial.description_tasks import propose_from_description
from workbench.trial.imported_tasks import IMPORTED, read_foreign_tasks
from workbench.trial.proposed import ProposedTask
from workbench.trial.task import load_tasks
from workbench.trial.task_rows import SUFFIXES
from workbench.trial.transcripts import MOST_TASKS, read_transcripts

DESCRIPTION = "description"
TRANSCRIPTS = "transcripts"


def tasks_from(
    source: str | Path, agent: Agent, *, column: str | None = None, most: int | None = None
) -> tuple[ProposedTask, ...]:
    """Tasks that are proposed for the agent; nothing is written. `export_tasks(found, agent)` adds them to its file.

    `source` is "description" (its examples, or drafts made of its prose: `is_draft`), "transcripts" (what Claude Code
    handed to it in this project), a folder of transcripts, a task file, or a `.csv`, `.tsv`, `.jsonl` or `.json` file
    of another tool, in which `column` names that of the question if its name does not tell. `most` bounds how many
    transcripts give.

    Raises:
        TaskFileError: there is nothing at it that can be a task; says what was found.
    """
    name = str(source)
    if name == DESCRIPTION:
        found = propose_from_description(agent)
        if not found:
            raise TaskFileError(f"{agent.path or agent.name}: has no description that tasks could be made of")
        return found
    newest = MOST_TASKS if most is None else most
    if name == TRANSCRIPTS:
        return read_transcripts(agent, most=newest)
    path = Path(source).expanduser()
    if is_folder_there(path):
        return read_transcripts(agent, path, most=newest)
    if not is_there(path):
        raise TaskFileError(
            f"no such file or folder; tasks come from {DESCRIPTION}, {TRANSCRIPTS}, a folder of transcripts, or a file "
            f"of {', '.join(dict.fromkeys((*SUFFIXES, *IMPORTED)))}",
            path=path,
        )
    if path.suffix.lower() in SUFFIXES[:2] or (column is None and _is_ours(path)):
        return tuple(ProposedTask(task=task, remark=f"from {path.name}") for task in load_tasks(path))
    return read_foreign_tasks(path, column=column)


def _is_ours(path: Path) -> bool:
    """Whether a file of a format that others write too is a task file."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        return bool(load_tasks(path))
    except TaskFileError:
        return False
