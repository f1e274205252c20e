"""The `workbench` command: a thin face over the same functions that a notebook calls."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.errors import NotebookFailed, WorkbenchError

if TYPE_CHECKING:
    from workbench.definition.agent import Agent
    from workbench.definition.claude_code import ClaudeCodeReading

EXIT_FAILED = 1
"""A cell failed, or a file could not be read."""
EXIT_REFUSED = 2
"""Nothing was done: a wrong parameter, a missing key, a file that is not there."""
EXIT_INTERRUPTED = 130


class _Commands(click.Group):
    """Turns what the workbench refuses into a message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except NotebookFailed as error:
            click.echo(error, err=True)
            ctx.exit(EXIT_FAILED)
        except WorkbenchError as error:
            click.echo(error, err=True)
            ctx.exit(EXIT_REFUSED)
        except KeyboardInterrupt:
            click.echo("\nInterrupted; what was answered is in the ledger.", err=True)
            ctx.exit(EXIT_INTERRUPTED)


@click.group(cls=_Commands)
@click.version_option(package_name="agent-workbench", prog_name="workbench")
def main() -> None:
    """Author, try and compare Claude Code agent definition files by evidence."""


@main.command("run")
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for what it leaves.",
)
@click.option(
    "-p",
    "--parameter",
    "texts",
    type=(str, str),
    multiple=True,
    metavar="NAME VALUE",
    help="Set a parameter of the notebook; may be given more than once.",
)
@click.option(
    "--live/--offline",
    default=None,
    help="Ask a model or fail; or never ask one. Default: as the environment says.",
)
def run_command(notebook: Path, out: Path, texts: tuple[tuple[str, str], ...], live: bool | None) -> None:
    """Run NOTEBOOK without a browser; leave it, a page and the record of its run in a folder.

    Paths in parameters start at the project folder: the nearest one, from here upwards, with `agents`, `.git`
    or `pyproject.toml` in it.
    """
    from workbench.headless.notebook import load_notebook, run_notebook
    from workbench.headless.parameters import declared_parameters, parameters_from_text
    from workbench.trial.client import choose_place

    parameters = parameters_from_text(declared_parameters(load_notebook(notebook)), dict(texts))
    if live is not None:
        choose_place(live)
        parameters["live"] = live
    run = run_notebook(notebook, out=out, parameters=parameters)
    if run.verdict:
        click.echo(f"{run.verdict}\n")
    click.echo(f"page      {run.page}")
    click.echo(f"notebook  {run.notebook}")
    click.echo(f"record    {run.record or 'none'}")
    click.echo(f"\nnext: open {run.page} in a browser")
    review = notebook.with_name("review.ipynb")
    if run.record and review.exists():
        again = [
            "workbench",
            "run",
            str(review),
            "--out",
            f"{run.record}-review",
            "-p",
            "record",
            str(run.record),
        ]
        click.echo(f"or review the record, without a key:\n  {shlex.join(again)}")


@main.command("read")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a file: Claude Code's reading.")
def read_command(files: tuple[Path, ...], as_json: bool) -> None:
    """Show what agent FILEs say, what Claude Code makes of them, and what to mend."""
    from workbench.definition.agent import load_agent
    from workbench.definition.claude_code import read_as_claude_code
    from workbench.errors import AgentFileError

    unreadable = False
    for file in files:
        try:
            agent = load_agent(file)
        except AgentFileError as error:
            click.echo(error, err=True)
            unreadable = True
            continue
        reading = read_as_claude_code(agent)
        click.echo(_json_line(file, reading) if as_json else _page(file, agent, reading))
    if unreadable:
        sys.exit(EXIT_FAILED)


_VERDICTS = {
    "strict": "reads it as it is",
    "retry": "reads it after repairing its header; other readers refuse it",
    "dropped": "drops it",
}


def _json_line(file: Path, reading: ClaudeCodeReading) -> str:
    return json.dumps(
        {
            "file": str(file),
            "verdict": reading.verdict,
            "listed": reading.listed,
            "name": reading.name,
            "description": reading.description,
            "tools": reading.tools,
            "model": reading.model,
            "prompt": reading.prompt,
            "problems": [asdict(problem) for problem in reading.problems],
        }
    )


def _page(file: Path, agent: Agent, reading: ClaudeCodeReading) -> str:
    from workbench.definition.lint import check_agent

    listed = "" if reading.listed else ", and lists no agent for it"
    lines = [f"{file}", f"  Claude Code {_VERDICTS[reading.verdict]}{listed}"]
    for field, written, read in (
        ("name", agent.name, reading.name),
        ("description", agent.description, reading.description),
        ("tools", agent.tools, reading.tools),
        ("model", agent.model, reading.model),
        ("prompt", agent.prompt, reading.prompt),
    ):
        shown, as_read = _in_one_line(written), _in_one_line(read)
        if shown == as_read:
            lines.append(f"  {field:<13}{shown}")
        else:
            lines.append(f"  {field:<13}as written   {shown}")
            lines.append(f"  {'':<13}Claude Code  {as_read}")
    problems = dict.fromkeys((*reading.problems, *check_agent(agent)))
    lines.append(f"  {len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}")
    for problem in sorted(problems, key=lambda problem: (problem.line, problem.column)):
        lines.append(f"  {file}:{_printable(str(problem))}")
    return "\n".join(lines) + "\n"


def _in_one_line(value: str | tuple[str, ...] | None, width: int = 90) -> str:
    """A value for a list: a dash where there is none, a long one as its beginning and its length."""
    if value is None:
        return "-"
    text = " ".join((value if isinstance(value, str) else ", ".join(value)).split())
    return _printable(text if len(text) <= width else f"{text[:width]}... ({len(text):,} characters)")


def _printable(text: str) -> str:
    """The text without control characters: what somebody wrote into a file does not steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@main.command("open")
@click.argument("file", type=click.Path(path_type=Path))
def open_command(file: Path) -> None:
    """Open an agent FILE in JupyterLab, in a notebook that edits and tries it."""
    from workbench.widgets.opening import open_agent

    sys.exit(open_agent(file))
