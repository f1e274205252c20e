"""The commands with which a user gets in: JupyterLab, the demonstration, and what a project of one's own needs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from workbench.definition.seen import STANDS_IN, seen_from_here
from workbench.definition.there import is_folder_there
from workbench.errors import SetupError
from workbench.markup import command, counted, printed, visible, visible_lines
from workbench.secrets import value_without_secrets, without_secrets

if TYPE_CHECKING:
    from workbench.widgets.opening import LabSettings

DEMO = Path("workbench-demo")


def _lab_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--allow-root", is_flag=True, help="As root: let other machines reach it, as from outside of a container."
        ),
        click.option("--browser/--no-browser", default=True, help="Open a browser, or only print the address."),
        click.option("--port", type=click.IntRange(1, 65535), help="Default: 8888, or the next that is free."),
        click.option("--ip", help="The address to listen at; 0.0.0.0 is every one. Default: this machine only."),
    ):
        command = option(command)
    return command


def _settings(ip: str | None, port: int | None, browser: bool, allow_root: bool) -> LabSettings:
    from workbench.widgets.opening import LabSettings

    return LabSettings(ip=ip, port=port, opens_browser=browser, allows_root=allow_root)


@click.command("lab")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@_lab_options
def lab_command(folder: Path | None, ip: str | None, port: int | None, browser: bool, allow_root: bool) -> None:
    """Open JupyterLab on the project of FOLDER, or of here, with its agents in the launcher.

    `workbench` without anything does the same.
    """
    from workbench.widgets.opening import open_lab

    sys.exit(open_lab(folder, _settings(ip, port, browser, allow_root)))


@click.command("open")
@click.argument("file", type=click.Path(path_type=Path))
@_lab_options
def open_command(file: Path, ip: str | None, port: int | None, browser: bool, allow_root: bool) -> None:
    """Open an agent FILE, or an agent by its name, in JupyterLab, in a notebook that edits and tries it.

    A JupyterLab of yours that runs already and can see the file is used; else one is started.
    """
    from workbench.definition.finding import agent_file
    from workbench.widgets.opening import open_agent

    sys.exit(open_agent(agent_file(file), _settings(ip, port, browser, allow_root)))


@click.command("agents")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON line an agent.")
def agents_command(folder: Path | None, as_json: bool) -> None:
    """List the agents of the project of FOLDER, or of here, of its plugins and of your home, with their tasks."""
    from workbench.definition.finding import files_without_header, find_agents
    from workbench.definition.project import project_folder
    from workbench.errors import FileError
    from workbench.trial.task_files import task_file_of

    if folder is not None and not is_folder_there(folder):
        raise FileError("there is no such folder", path=folder)
    project = project_folder(folder)
    found = find_agents(project)
    rows = []
    for agent in found:
        tasks = task_file_of(agent.path)
        rows.append((agent, str(seen_from_here(agent.path)), None if tasks is None else str(seen_from_here(tasks))))
    if as_json:
        for agent, path, tasks_path in rows:
            line = {"name": agent.name, "kind": agent.kind, "file": path, "tasks": tasks_path}
            click.echo(json.dumps(value_without_secrets({**line, "listed": agent.is_listed})))
        return
    widths = [max((len(cell) for cell in column), default=0) for column in zip(*map(_cells, rows), strict=True)]
    for row in map(_cells, rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    count = counted(len(rows), "agent") if rows else "No agent"
    places = "" if rows else "; looked in .claude/agents, plugins, folders named agents, and your home"
    click.echo(f"{count}; the project is {project}{places}", err=True)
    for headless in files_without_header(project):
        told = visible(without_secrets(str(seen_from_here(headless))))
        click.echo(f"{told}: is no agent, for it does not begin with a header between two `---` lines", err=True)


def _cells(row: tuple[Any, str, str | None]) -> tuple[str, ...]:
    agent, path, tasks = row
    noted = [tasks or "no tasks", *([] if agent.is_listed else ["Claude Code lists no agent for it"])]
    cells = (agent.name, agent.kind, path, "; ".join(noted))
    return tuple(visible(without_secrets(cell)) for cell in cells)


@click.command("init")
@click.argument("agent", required=False, type=click.Path(path_type=Path))
@click.option("--ci", "with_ci", is_flag=True, help="Also a workflow for GitHub Actions, and what it installs.")
@click.option(
    "--tasks-apart/--tasks-beside",
    default=None,
    help="Tasks in .workbench/tasks, or beside the agent. Default: apart for an agent in .claude.",
)
@click.option("--yes", is_flag=True, help="Write without asking.")
def init_command(agent: Path | None, with_ci: bool, tasks_apart: bool | None, yes: bool) -> None:
    """Write what a project needs: lines for .gitignore, and a first task file for an AGENT file.

    Each file is shown before it is written, and nothing that is there is overwritten.
    """
    from workbench.definition.files import load_agent
    from workbench.definition.finding import agent_file
    from workbench.definition.project import project_folder
    from workbench.project.beginning import files_to_begin, write_new_file

    agent = None if agent is None else agent_file(agent)
    chosen = None if agent is None else load_agent(agent)
    project = project_folder(None if agent is None else agent.resolve().parent)
    files = files_to_begin(project, agent=chosen, with_ci=with_ci, tasks_apart=tasks_apart)
    click.echo(f"The project is {project}")
    for number, file in enumerate(files):
        shown = without_secrets(printed(visible(str(seen_from_here(file.path)))))
        click.echo(f"\n{shown}: {file.reason}{'; added at its end' if file.appends else ''}\n")
        click.echo("".join(f"    {visible_lines(line)}\n" for line in file.text.splitlines()), nl=False)
        if not yes and not _is_wanted([str(seen_from_here(each.path)) for each in files[number:]], project):
            click.echo(f"left out  {shown}")
            continue
        write_new_file(file)
        click.echo(f"wrote     {shown}")
    if not files:
        click.echo("Nothing is missing.")
    if agent is None:
        click.echo("\nFor a first task file, name an agent: workbench init .claude/agents/NAME.md (`workbench agents`)")


def _is_wanted(unwritten: Sequence[str], project: Path) -> bool:
    """What a person answers about the first of the files that are not written yet.

    Raises:
        SetupError: nobody answers; says what was not written, and how to go on without questions.
    """
    try:
        return click.confirm("\nWrite it?", default=True)
    except click.Abort:
        click.echo()
        raise SetupError(
            f"{project}: no answer came, so not written: {', '.join(map(visible, unwritten))}. The same command with "
            "--yes writes without asking"
        ) from None


@click.command("demo")
@click.argument("folder", required=False, default=DEMO, type=click.Path(path_type=Path, file_okay=False))
@click.option("--live", is_flag=True, help="Ask a model; else the offline stand-in answers, and nothing is spent.")
@click.pass_context
def demo_command(ctx: click.Context, folder: Path, live: bool) -> None:
    """Compare the first agent with a variant of itself, as `workbench run compare` does with yours.

    Needs no key and no project: FOLDER, or `workbench-demo`, becomes a small one, with the agent and its tasks.
    """
    from workbench.project.demonstration import write_first_agent
    from workbench.shipped.files import FIRST_AGENT

    write_first_agent(folder / "agents")
    ctx.meta[STANDS_IN] = Path.cwd()
    os.chdir(folder)
    click.echo(
        f"in {folder}, a project with the agent {FIRST_AGENT} (`{command('workbench', 'lab', folder)}` opens it):\n"
    )
    run = cast(click.Group, ctx.find_root().command).commands["run"]
    agent = f"agents/{FIRST_AGENT}"
    ctx.invoke(
        run,
        notebook=Path("compare"),
        out=Path.cwd() / "outputs" / "demo",
        texts=(("agent", f"{agent}.md"), ("tasks", f"{agent}.tasks.yaml"), ("leave_out", "clarifying question")),
        live=live,
    )


@click.command("install-pins")
@click.option("--show", is_flag=True, help="Only print the file of pinned versions, as `pip install -c` takes it.")
def install_pins_command(show: bool) -> None:
    """Install the tested version of everything that the workbench needs, in place of those that are there."""
    from workbench.project.pins import install_pins
    from workbench.shipped.files import shipped

    if show:
        click.echo(shipped("constraints.txt"))
        return
    sys.exit(install_pins())


@click.command("graders")
@click.argument("name", required=False)
def graders_command(name: str | None) -> None:
    """List the graders that a task can name, with options and an example; or tell all about the one called NAME."""
    import inspect

    from workbench.grading.catalogue import OWN, example_of, standard
    from workbench.trial.graded import options_of, purpose_of

    graders = standard()
    if name is not None and name not in graders:
        raise click.UsageError(f"there is no grader {name!r}; there are {', '.join(graders)}")
    for each, factory in graders.items() if name is None else [(name, graders[name])]:
        click.echo(f"{each} ({', '.join(options_of(factory)) or 'no options'})")
        about = f"    {purpose_of(factory)}" if name is None else f"\n{inspect.getdoc(factory) or purpose_of(factory)}"
        click.echo(about)
        if each in OWN:
            given = json.dumps({each: dict(example_of(each).options)}, ensure_ascii=False)
            click.echo(f"    - {given}" if name is None else f"\nIn a task file:\n\n    graders:\n      - {given}")
