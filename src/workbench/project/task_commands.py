"""The commands for tasks: where they are, what they could be, whether they are sound, and what nights of them show."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.definition.seen import seen_from_here
from workbench.definition.there import is_file_there, is_folder_there, is_there
from workbench.markup import command, counted, printed, visible
from workbench.secrets import value_without_secrets, without_secrets

if TYPE_CHECKING:
    from workbench.definition.agent import Agent
    from workbench.trial.proposed import ProposedTask

EXIT_WITHOUT_TASKS = 1
"""`tasks`: the agent has none."""
EXIT_TO_MEND = 1
"""`check-tasks`: something is to be mended; `history` and `site`: a record had to be left out."""
_MODEL = "model"


@click.command("tasks")
@click.argument("agent", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    metavar="SOURCE",
    help="Make tasks of the description, of transcripts (what Claude Code handed to it in this project), of a FILE "
    "(CSV, JSON Lines, JSON, or a task file), of a FOLDER of transcripts, or let a model propose them.",
)
@click.option("--write", is_flag=True, help="Write them, instead of only showing what would be written.")
@click.option(
    "--apart/--beside", default=None, help="In .workbench/tasks, or beside the agent, where there is no file."
)
@click.option("--column", help="The column of the question, where its name does not tell.")
@click.option("--most", type=click.IntRange(min=1), help="At most so many, of transcripts or of a model.")
@click.option("--model", help="Which model proposes them. Default: that of the agent.")
@click.option("--budget-usd", type=click.FloatRange(min=0), default=1.0, show_default=True, help="For the model.")
def tasks_command(agent: Path, source: str | None, write: bool, apart: bool | None, **of_source: Any) -> None:
    """Print where the tasks of an AGENT file are; or with --from, what could be put into that file, and with --write
    put it there.

    Nothing is written without --write. Exits with 1 where there are no tasks, and says how to make some.
    """
    from workbench.definition.files import load_agent
    from workbench.definition.finding import agent_file
    from workbench.trial.task_writing import add_tasks, task_file_to_write, write_task_file

    agent = agent_file(agent)
    if source is None:
        _print_place(agent)
        return
    loaded = load_agent(agent)
    proposed = _proposed(loaded, source, **of_source)
    path = seen_from_here(task_file_to_write(loaded, apart=apart))
    change = add_tasks(path, proposed, title=loaded.name or agent.stem)
    click.echo(without_secrets(printed(change.diff)), nl=False)
    drafts = sum(one.is_draft for one in proposed)
    left_out = f"; {change.already_there} asked there already" if change.already_there else ""
    click.echo(f"\n{_shown(change.path)}: {counted(len(change.added), 'new task')}{left_out}", err=True)
    if drafts and change.added:
        click.echo(f"{counted(drafts, 'draft')}: read and edit them before you run them", err=True)
    if change.secrets_taken_out:
        click.echo(f"secrets were taken out of {counted(change.secrets_taken_out, 'task')}", err=True)
    if not change.added:
        return
    if write:
        click.echo(f"wrote {_shown(write_task_file(change))}", err=True)
    else:
        click.echo("nothing is written yet; --write does", err=True)


def _proposed(
    agent: Agent, source: str, *, column: str | None, most: int | None, model: str | None, budget_usd: float
) -> Sequence[ProposedTask]:
    if source == _MODEL:
        from workbench.runs.proposing import MOST_PROPOSED, propose_tasks

        with redirect_stdout(sys.stderr):  # who answers is said there: what is printed is the diff alone
            return propose_tasks(agent, count=most or MOST_PROPOSED, model=model, budget_usd=budget_usd)
    from workbench.trial.tasks_from import tasks_from

    return tasks_from(source, agent, column=column, most=most)


def _print_place(agent: Path) -> None:
    from workbench.definition.project import project_folder
    from workbench.trial.task_files import task_file_apart, task_file_of

    found = task_file_of(agent)
    if found is not None:
        click.echo(seen_from_here(found))
        return
    project = project_folder(agent.resolve().parent)
    beside = agent.with_name(f"{agent.stem}.tasks.yaml")
    apart = seen_from_here(task_file_apart(agent))
    click.echo(
        f"{agent}: has no tasks; they would be in {beside}, or in {apart} of {project}. To see what they could be: "
        f"{command('workbench', 'tasks', agent, '--from', 'description')}",
        err=True,
    )
    sys.exit(EXIT_WITHOUT_TASKS)


@click.command("check-tasks")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option(
    "--run",
    "record",
    type=click.Path(path_type=Path),
    metavar="RECORD",
    help="Also what a recorded run says of its graders: never tells replies apart, flips, says what another says.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line a task file, and one for RECORD.")
def check_tasks_command(paths: tuple[Path, ...], record: Path | None, as_json: bool) -> None:
    """Check task files before anything is asked: fields, graders and their options, and that the graders pass the good
    replies of `replies:` and fail the bad ones.

    A PATH is a task file, an agent file or the name of an agent, or a folder; without any, all task files of the
    project of here are checked, but no copies that runs left in `outputs`. Exits with 0 where nothing is to mend, with
    1 where something is, and with 2 where there is nothing to check.
    """
    from workbench.grading.checking import check_tasks

    files = _task_files(paths, whole_project=not paths and record is None)
    checks = [check_tasks(file) for file in files]
    for check in checks:
        click.echo(_json_line(check.to_json()) if as_json else without_secrets(printed(str(check))))
    is_fine = all(check.is_fine for check in checks)
    if record is not None:
        is_fine &= _check_run(record, as_json=as_json)
    if not is_fine:
        sys.exit(EXIT_TO_MEND)


def _check_run(record: Path, *, as_json: bool) -> bool:
    from workbench.comparison.grader_check import check_graders
    from workbench.comparison.scores import is_stand_in
    from workbench.grading.catalogue import standard
    from workbench.trial.record import load_run
    from workbench.trial.regrade import grade_again

    run = load_run(record)
    found = check_graders(grade_again(run, standard()))
    made_up = " (replies of the OFFLINE STAND-IN, which is no model: they say little of a grader)"
    head = f"{record}:{made_up if is_stand_in(run) else ''}\n"
    told = head + "".join(f"  {line}\n" for line in str(found).splitlines())
    if as_json:
        click.echo(_json_line({"record": str(record), "stand_in": is_stand_in(run), **found.to_json()}))
    else:
        click.echo(without_secrets(printed(told)), nl=False)
    return not found.faults


def _task_files(paths: Sequence[Path], *, whole_project: bool) -> list[Path]:
    """The task files that the paths mean, each once."""
    from workbench.definition.finding import agent_file, find_agents
    from workbench.definition.project import project_folder
    from workbench.errors import TaskFileError
    from workbench.trial.task_files import TASKS_FOLDER, task_file_of

    project = project_folder()
    found: dict[Path, None] = {}
    for given in [project] if whole_project else paths:
        is_name = not is_there(given) and not given.suffix
        path = agent_file(given) if is_name else given
        if is_folder_there(path):
            here = [*_named_tasks(path), *(_named_tasks(path / TASKS_FOLDER) if path == project else [])]
            here += [file for each in find_agents(path) if (file := task_file_of(each.path)) and path == project]
            if not here:
                raise TaskFileError(
                    "holds no task file (NAME.tasks.yaml); `workbench init AGENT` writes a first one", path=path
                )
        elif path.suffix == ".md" and is_file_there(path):
            file = task_file_of(path)
            if file is None:
                raise TaskFileError(
                    "has no task file; to see what could be in one: "
                    + command("workbench", "tasks", path, "--from", "description"),
                    path=path,
                )
            here = [file]
        elif not is_there(path):
            raise TaskFileError("no such task file", path=path)
        else:
            here = [path]
        found.update(dict.fromkeys(file.resolve() for file in here))
    return [seen_from_here(file) for file in found]


def _named_tasks(folder: Path) -> list[Path]:
    """The task files in this folder and in those below it, without those where copies lie that runs left."""
    from workbench.definition.finding import NEVER_SEARCHED
    from workbench.trial.task_rows import SUFFIXES

    found = (path for suffix in SUFFIXES for path in folder.rglob(f"*.tasks{suffix}") if path.is_file())
    return sorted(path for path in found if NEVER_SEARCHED.isdisjoint(path.relative_to(folder).parts[:-1]))


def _shown(path: Path) -> str:
    return without_secrets(printed(visible(str(seen_from_here(path)))))


def _json_line(value: Any) -> str:
    return json.dumps(value_without_secrets(value), ensure_ascii=False)


@click.command("history")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON, and write nothing.")
def history_command(folder: Path, as_json: bool) -> None:
    """Show the nights of a FOLDER of records together: what each agent scored night by night, which model id answered,
    and where the id behind an alias, the agent or its tasks changed.

    Leaves history.html, a page that loads nothing, and history.json in FOLDER. Exits with 1 where a record had to be
    left out.
    """
    from workbench.comparison.history import load_history
    from workbench.comparison.history_page import write_history
    from workbench.grading.catalogue import standard
    from workbench.routing.review import tell_decisions

    history = load_history(folder, graders=standard(), tell=tell_decisions)
    if as_json:
        click.echo(_json_line(history.to_json()))
    else:
        for sentence in (*history.sentences, *(f"{name}: {told.said}" for name, told in history.decisions.items())):
            click.echo(without_secrets(printed(sentence)))
        page, data = write_history(history, folder)
        click.echo(f"\npage      {_shown(page)}\ndata      {_shown(data)}")
    for record, why in history.left_out:
        click.echo(without_secrets(printed(f"left out  {record}: {why}")), err=True)
    if history.left_out:
        sys.exit(EXIT_TO_MEND)


@click.command("site")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Default: the folder `site` in FOLDER.")
@click.option(
    "--nights",
    type=click.IntRange(min=1),
    default=14,
    show_default=True,
    help="The latest nights in the index; the page of an agent has all.",
)
def site_command(folder: Path, out: Path | None, nights: int) -> None:
    """Make pages over a FOLDER of records that open from a disk: agents by nights, trends, a report of each record.

    A report that is there already is made again only where its record is another, or its replies score
    something else. Exits with 1 where a record had to be left out.
    """
    from workbench.comparison.history import load_history
    from workbench.comparison.site import write_site
    from workbench.definition.project import project_folder
    from workbench.grading.catalogue import standard
    from workbench.routing.review import tell_decisions

    graders = standard()
    history = load_history(folder, graders=graders, tell=tell_decisions)
    out = out or folder / "site"
    site = write_site(history, folder, out, graders=graders, most_nights=nights, project=project_folder())
    click.echo(f"index     {_shown(site.index)}\nreports   {site.made} made, {site.kept} kept")
    for record, why in site.left_out:
        click.echo(without_secrets(printed(f"left out  {record}: {why}")), err=True)
    if site.left_out:
        sys.exit(EXIT_TO_MEND)
