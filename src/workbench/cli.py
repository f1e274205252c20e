"""The `workbench` command: a thin face over the same functions that a notebook calls."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.errors import FileError, NotebookFailed, ParameterError, StandInError, WorkbenchError
from workbench.project.commands import COMMANDS as GETTING_IN
from workbench.project.commands import lab_command
from workbench.secrets import without_secrets

if TYPE_CHECKING:
    from workbench.definition.agent import Agent
    from workbench.definition.claude_code import Reading
    from workbench.trial.trial import Run

EXIT_FAILED = 1
"""A cell failed, or a file could not be read."""
EXIT_REFUSED = 2
"""Nothing was done: a wrong parameter, a missing key, a file that is not there."""
EXIT_WORSE = 3
"""The gate: the run is shown to be worse."""
EXIT_UNDECIDED = 4
"""The gate: there is not enough data to say."""
EXIT_STAND_IN = 5
"""The gate: the replies were made up by the offline stand-in."""
EXIT_INTERRUPTED = 130


class _Commands(click.Group):
    """Turns what the workbench refuses into a message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except NotebookFailed as error:
            click.echo(without_secrets(str(error)), err=True)
            ctx.exit(EXIT_FAILED)
        except WorkbenchError as error:
            click.echo(without_secrets(str(error)), err=True)
            ctx.exit(EXIT_REFUSED)
        except KeyboardInterrupt:
            click.echo("\nInterrupted; what was answered is in the ledger.", err=True)
            ctx.exit(EXIT_INTERRUPTED)


@click.group(cls=_Commands, invoke_without_command=True)
@click.version_option(package_name="agent-workbench", prog_name="workbench")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Author, try and compare Claude Code agent definition files by evidence.

    Without a command, JupyterLab opens on the project of here.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(lab_command)


for _command in GETTING_IN:
    main.add_command(_command)


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
@click.option(
    "--continue",
    "go_on",
    is_flag=True,
    help="Go on with a run that did not come to its end: its parameters, and what the ledger holds is not paid again.",
)
@click.option("--deadline", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="For the notebook.")
@click.option("--cell-deadline", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="For each cell.")
def run_command(
    notebook: Path,
    out: Path,
    texts: tuple[tuple[str, str], ...],
    live: bool | None,
    go_on: bool,
    deadline: float | None,
    cell_deadline: float | None,
) -> None:
    """Run NOTEBOOK without a browser; leave it, a page and the record of its run in a folder.

    NOTEBOOK may also be compare, author or review, which come along. Paths in parameters start at the project folder:
    the nearest one, from here upwards, with `.git`, `.claude`, `pyproject.toml`, or agent files in `agents`.
    """
    from workbench.headless.kernels.ready import kernel_environment, modules_for, start_ready_interpreter

    # First of all: it imports what the notebook will, while this process imports what it needs itself.
    source = notebook.read_text(encoding="utf-8", errors="replace") if notebook.is_file() else ""
    start_ready_interpreter(kernel_environment(os.environ), imports=modules_for(source))
    from workbench.headless.notebook import run_notebook
    from workbench.headless.notebook_files import load_notebook
    from workbench.headless.parameters import declared_parameters, parameters_from_text
    from workbench.model.endpoint import choose_endpoint

    declared = declared_parameters(load_notebook(notebook))
    parameters = parameters_from_text(declared, dict(texts))
    if live is not None:
        if "live" not in declared:
            raise ParameterError(f"{notebook}: has no parameter `live`, which --live and --offline set; leave them out")
        choose_endpoint(live)
        parameters["live"] = live
    run = run_notebook(
        notebook,
        out=out,
        parameters=parameters,
        go_on=go_on,
        deadline_seconds=deadline,
        cell_deadline_seconds=cell_deadline,
    )
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


@main.command("check-notebooks")
@click.argument("notebooks", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="NOTEBOOK...")
@click.option("--fix", is_flag=True, help="Write them clean, and say what is left to mend by hand.")
def check_notebooks_command(notebooks: tuple[Path, ...], fix: bool) -> None:
    """Check that stored NOTEBOOKs (files or folders) are clean: no outputs, counts, state; ids that stay; parameters.

    Exits with 1 where something is left to mend.
    """
    from workbench.headless.stored import check_notebook, write_clean_notebook

    paths = [path for each in notebooks for path in (sorted(each.rglob("*.ipynb")) if each.is_dir() else [each])]
    if not paths:
        raise click.UsageError(f"there is no notebook in {', '.join(map(str, notebooks))}")
    faults = [fault for path in paths for fault in (write_clean_notebook(path) if fix else check_notebook(path))]
    for fault in faults:
        click.echo(fault)
    left = f"{len(faults)} things" if len(faults) > 1 else "1 thing" if faults else "nothing"
    click.echo(f"{len(paths)} notebook{'' if len(paths) == 1 else 's'}, {left} left to mend", err=True)
    if faults:
        sys.exit(EXIT_FAILED)


@main.command("read")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a file: Claude Code's reading.")
def read_command(files: tuple[Path, ...], as_json: bool) -> None:
    """Show what agent FILEs say, what Claude Code makes of them, and what to mend."""
    from workbench.definition.claude_code import read_as_claude_code
    from workbench.definition.files import load_agent
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


_KINDS = {
    "strict": "reads it as it is",
    "repaired": "reads it after repairing its header; other readers refuse it",
    "dropped": "drops it",
}


def _json_line(file: Path, reading: Reading) -> str:
    shown = _without_secrets_in(
        {
            "file": str(file),
            "kind": reading.kind,
            "listed": reading.listed,
            "name": reading.name,
            "description": reading.description,
            "tools": reading.tools,
            "model": reading.model,
            "effort": reading.effort,
            "sent": None if reading.sent is None else asdict(reading.sent),
            "prompt": reading.prompt,
            "problems": [asdict(problem) for problem in reading.problems],
        }
    )
    return json.dumps(shown)


def _without_secrets_in(value: Any) -> Any:
    """Plain data, each text of it without secrets: one that is part of a longer line could hide in its escapes."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: _without_secrets_in(each) for key, each in value.items()}
    return [_without_secrets_in(each) for each in value] if isinstance(value, list | tuple) else value


def _page(file: Path, agent: Agent, reading: Reading) -> str:
    from workbench.definition.claude_code import resolve_agent
    from workbench.definition.lint import check_agent

    sent = resolve_agent(agent)
    listed = "" if reading.listed else ", and lists no agent for it"
    lines = [f"{file}", f"  Claude Code {_KINDS[reading.kind]}{listed}"]
    for field, written, read in (
        ("name", agent.name, reading.name),
        ("description", agent.description, reading.description),
        ("tools", agent.tools, reading.tools),
        ("model", agent.model, reading.model),
        ("effort", None if agent.effort is None else str(agent.effort), reading.effort),
        ("prompt", agent.prompt, reading.prompt),
    ):
        shown, as_read = _in_one_line(written), _in_one_line(read)
        if shown == as_read:
            lines.append(f"  {field:<13}{shown}")
        else:
            lines.append(f"  {field:<13}as written   {shown}")
            lines.append(f"  {'':<13}Claude Code  {as_read}")
    if reading.listed:
        lines.append(f"  {'runs at':<13}{_printable(f'{sent.model} ({sent.model_from})')}")
        lines.append(f"  {'':<13}{_printable(f'effort {sent.effort_in_words}')}")
    problems = dict.fromkeys((*reading.problems, *check_agent(agent)))
    lines.append(f"  {len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}")
    for problem in sorted(problems, key=lambda problem: (problem.line, problem.column)):
        lines.append(f"  {file}:{_printable(str(problem))}")
    return without_secrets("\n".join(lines)) + "\n"


def _in_one_line(value: str | tuple[str, ...] | None, width: int = 90) -> str:
    """A value for a list: a dash where there is none, a long one as its beginning and its length."""
    if value is None:
        return "-"
    # Before it is cut short: half a key is a key still, and looks like none.
    text = " ".join(without_secrets(value if isinstance(value, str) else ", ".join(value)).split())
    return _printable(text if len(text) <= width else f"{text[:width]}... ({len(text):,} characters)")


def _printable(text: str) -> str:
    """The text without control characters: what somebody wrote into a file does not steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@main.command("batch")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option(
    "--at-once", type=click.IntRange(min=1), help="How many notebooks run at a time. Default: as PLAN says, or 2."
)
@click.option("--continue", "go_on", is_flag=True, help="Go on with a batch that did not come to its end.")
@click.option("--estimate", is_flag=True, help="Only say what all of it would take; nothing is asked.")
@click.option(
    "--dask", metavar="ADDRESS", help="Let the workers of a Dask cluster run it, such as tcp://10.0.0.1:8786."
)
@click.option(
    "--live/--offline",
    default=None,
    help="Ask a model or fail; or never ask one, on any machine. Default: as the environment here says.",
)
def batch_command(
    plan: Path, at_once: int | None, go_on: bool, estimate: bool, dask: str | None, live: bool | None
) -> None:
    """Run all notebooks of a PLAN (a YAML file) within one budget; leave a page that names the verdict of each.

    A notebook that fails does not stop the others; then the exit code is 1.
    """
    from workbench.headless.batch import estimate_batch, run_batch
    from workbench.headless.batch_index import summary
    from workbench.headless.batch_plan import load_batch

    loaded = load_batch(plan, live=live)
    if estimate:
        click.echo(estimate_batch(loaded, say=_say))
        if any(job.refusal for job in loaded.jobs):
            sys.exit(EXIT_FAILED)
        return
    batch = run_batch(loaded, at_once=at_once, go_on=go_on, dask=dask, say=_say)
    click.echo(f"\n{summary(batch.outcomes)}\nindex     {batch.index}")
    if not batch.is_complete:
        click.echo(f"to go on: {shlex.join(['workbench', 'batch', str(plan), '--continue'])}")
        sys.exit(EXIT_FAILED)


def _load_graded(record: Path) -> Run:
    """A recorded run with the scores that its replies get here: what is written beside them is not trusted."""
    from workbench.grading.catalogue import standard
    from workbench.trial.record import load_run
    from workbench.trial.regrade import grade_again

    return grade_again(load_run(record), standard())


def _say(line: str, *, err: bool = False) -> None:
    click.echo(_printable(without_secrets(line)), err=err)


@main.command("report")
@click.argument("record", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--baseline", metavar="NAME", help="The variant that the others are compared with. Default: the first.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Default: the folder `report` in RUN.")
@click.option("--format", "formats", metavar="LIST", help="Of html,csv,parquet,jsonl,junit,md. Default: all of them.")
def report_command(record: Path, baseline: str | None, out: Path | None, formats: str | None) -> None:
    """Report on RUN, the folder of a record: a page, data files, JUnit XML, and a summary for a pull request."""
    from workbench.comparison.report.write import FORMATS, compared, write_report
    from workbench.trial.record import record_folder

    comparison = compared(_load_graded(record), baseline)
    chosen = FORMATS if formats is None else [name.strip() for name in formats.split(",")]
    files = write_report(comparison, out or record_folder(record) / "report", formats=chosen)
    for line in (*comparison.sentences, "", *map(str, files)):
        _say(line)


@main.command("gate")
@click.argument("record", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--baseline", "other", metavar="OTHER", required=True, help="A variant of RUN, or another record.")
@click.option("--margin", type=float, default=0.05, show_default=True, help="The loss that is put up with, in 0..1.")
@click.option("--variant", metavar="NAME", help="The variant of RUN to hold against it, where there are several.")
@click.option("--allow-stand-in", is_flag=True, help="Decide on made-up replies too, to try the gate out.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON instead of a sentence.")
def gate_command(
    record: Path, other: str, margin: float, variant: str | None, allow_stand_in: bool, as_json: bool
) -> None:
    """Exit with 0 if RUN is shown to be no worse than OTHER by more than the margin.

    With 3 if it is shown to be worse, with 4 if there is not enough data to say, with 5 if the replies were made up by
    the offline stand-in, with 2 if the two cannot be compared.
    """
    from workbench.comparison.gate import gate

    run = _load_graded(record)
    against = other if other in run.variants else _load_graded(Path(other))
    try:
        found = gate(run, against, margin=margin, variant=variant, allow_stand_in=allow_stand_in)
    except StandInError as error:
        _say(f"{error} (--allow-stand-in)", err=True)
        sys.exit(EXIT_STAND_IN)
    if as_json:
        click.echo(without_secrets(json.dumps(asdict(found))))
    else:
        _say(found.text)
    sys.exit({"passes": 0, "fails": EXIT_WORSE, "not enough data": EXIT_UNDECIDED}[found.decision])


@main.command("review")
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="B", type=click.Path(path_type=Path))
@click.option("--variants", type=(str, str), metavar="NAME NAME", help="A variant of A and one of B.")
@click.option("--markdown", "as_markdown", is_flag=True, help="For a pull request.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to this file.")
def review_command(
    before: Path, after: Path, variants: tuple[str, str] | None, as_markdown: bool, page: Path | None
) -> None:
    """Show what changed from A to B: two records, or the executed notebooks that left them."""
    from workbench.comparison.review import review_runs

    runs = (_load_graded(before), _load_graded(after))
    found = review_runs(*runs, variants=variants, names=(str(before), str(after)))
    if page is not None:
        try:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(without_secrets(found.html()), encoding="utf-8", errors="backslashreplace", newline="\n")
        except OSError as error:
            raise FileError(f"cannot be written: {error.strerror}", path=page) from error
    click.echo(without_secrets(found.markdown() if as_markdown else str(found)).rstrip("\n"))
