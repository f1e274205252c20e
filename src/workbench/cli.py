"""The `workbench` command: a thin face over the same functions that a notebook calls."""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from workbench.definition.there import is_folder_there, is_there
from workbench.errors import (
    EXIT_WORSE,
    FileError,
    NoModel,
    NotebookFailed,
    ParameterError,
    RecordError,
    StandInError,
    WorkbenchError,
)
from workbench.markup import HALF_CHARACTERS, command, counted, printed
from workbench.secrets import value_without_secrets, without_secrets

if TYPE_CHECKING:
    from workbench.comparison.gate import Gate
    from workbench.definition.agent import Agent
    from workbench.definition.claude_code import Reading
    from workbench.definition.linting import LintReport
    from workbench.routing.gate import RoutingGate
    from workbench.trial.trial import Run

EXIT_FAILED = 1
"""A cell failed, a file could not be read, a task file is to be mended, an agent has no tasks, or what is printed could
not be written."""
EXIT_REFUSED = 2
"""Nothing was done: a wrong parameter, a missing key, a file that is not there, nothing to compare."""
EXIT_UNDECIDED = 4
"""The gate: there is not enough data to say."""
EXIT_STAND_IN = 5
"""The gate: the replies were made up by the offline stand-in. A model is to write something (`draft`, `improve`, `tasks
--from model`), and only the stand-in is there."""
EXIT_UNTRUSTED = 6
"""The gate: scores stand in a record and could not be found again from its replies."""
EXIT_INTERRUPTED = 130
"""Interrupted."""


EXITS_OF_GATE = {
    "passes": 0,
    "fails": EXIT_WORSE,
    "not enough data": EXIT_UNDECIDED,
    "not enough to trust": EXIT_UNTRUSTED,
}


ROOMS = {
    "agents": "project.commands",
    "carry": "project.agent_file_commands",
    "certify": "judging.commands",
    "check-tasks": "project.task_commands",
    "ci": "project.ci_command",
    "compare": "project.comparing",
    "demo": "project.commands",
    "draft": "project.agent_file_commands",
    "fix": "definition.fix_command",
    "graders": "project.commands",
    "history": "project.task_commands",
    "improve": "project.agent_file_commands",
    "init": "project.commands",
    "install-pins": "project.commands",
    "judge": "judging.commands",
    "lab": "project.commands",
    "lint": "definition.lint_commands",
    "open": "project.commands",
    "roster": "project.agent_file_commands",
    "route": "routing.commands",
    "rubrics": "judging.commands",
    "site": "project.task_commands",
    "tasks": "project.task_commands",
    "versions": "project.agent_file_commands",
    "verify": "model.verify_command",
}
"""Where the commands are that do not stand in this file: `check-tasks` is `check_tasks_command` there. Such a file is
loaded for its own commands and for `--help` alone, so that no command waits for another's imports."""


class _Commands(click.Group):
    """Turns what the workbench refuses into a message and an exit code; finds the commands of `ROOMS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *ROOMS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ROOMS:
            return super().get_command(ctx, cmd_name)
        room = importlib.import_module(f"workbench.{ROOMS[cmd_name]}")
        command: click.Command = getattr(room, f"{cmd_name.replace('-', '_')}_command")
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if not _takes_no_more(sys.stdout):
                raise
            click.echo(f"what is printed could not be written: {error.strerror}", err=True)
            sys.exit(EXIT_FAILED)

    def invoke(self, ctx: click.Context) -> Any:
        _take_any_text(sys.stdout, sys.stderr)
        try:
            return super().invoke(ctx)
        except NotebookFailed as error:
            click.echo(without_secrets(printed(str(error))), err=True)
            ctx.exit(EXIT_FAILED)
        except NoModel as error:
            click.echo(without_secrets(printed(str(error))), err=True)
            ctx.exit(EXIT_STAND_IN)
        except WorkbenchError as error:
            click.echo(without_secrets(printed(str(error))), err=True)
            ctx.exit(EXIT_REFUSED)
        except KeyboardInterrupt:
            click.echo("\nInterrupted; what was answered is in the ledger.", err=True)
            ctx.exit(EXIT_INTERRUPTED)


def _takes_no_more(stream: TextIO | None) -> bool:
    """Whether what is printed cannot be written, as on a disk that is full; it is dropped then, or Python would try it
    once more at its end and speak of that."""
    if stream is None:  # was closed before the start
        return False
    try:
        stream.write("\n")  # without a buffer nothing would be left to flush
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return True
    return False


def _take_any_text(*streams: TextIO) -> None:
    """A byte that is no UTF-8, in a name or an argument, is half a character in a text, and half a character may stand
    in JSON. It is printed as files of ours have it, `\\udcff`, which in JSON is that very character."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HALF_CHARACTERS)


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="agent-workbench", prog_name="workbench")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Author, try and compare Claude Code agent definition files by evidence.

    Without a command, JupyterLab opens on the project of here.
    """
    if ctx.invoked_subcommand is None:
        from workbench.project.commands import lab_command

        ctx.invoke(lab_command)


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

    NOTEBOOK may also be author, compare, nightly, review or routing, which come along. Paths in parameters start at the
    project folder: the nearest one, from here upwards, with `.git`, `.claude`, `pyproject.toml`, or agent files in
    `agents`.
    """
    from workbench.headless.notebook import begin_kernel_for, run_notebook

    begin_kernel_for(notebook)
    from workbench.headless.go_on import saying_how_to_go_on
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
    with saying_how_to_go_on("--continue", note="\nIt has the parameters of this run; -p NAME VALUE sets another"):
        run = run_notebook(
            notebook,
            out=out,
            parameters=parameters,
            go_on=go_on,
            deadline_seconds=deadline,
            cell_deadline_seconds=cell_deadline,
        )
    if run.verdict:
        click.echo(f"{printed(run.verdict)}\n")
    from workbench.definition.seen import STANDS_IN, seen_from, seen_from_here

    stands_in = click.get_current_context().meta.get(STANDS_IN)
    seen = seen_from_here if stands_in is None else lambda path: Path(seen_from(stands_in, path))
    click.echo(f"page      {seen(run.page)}")
    click.echo(f"notebook  {seen(run.notebook)}")
    click.echo(f"record    {seen(run.record) if run.record else 'none'}")
    click.echo(f"\nnext: open {seen(run.page)} in a browser")
    review = notebook.with_name("review.ipynb")
    if run.record and review.exists():
        kept = seen(run.record)
        again = command("workbench", "run", review, "--out", Path(f"{kept}-review"), "-p", "record", kept)
        click.echo(f"or review the record, without a key:\n  {again}")


@main.command("check-notebooks")
@click.argument("notebooks", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="NOTEBOOK...")
@click.option("--fix", is_flag=True, help="Write them clean, and say what is left to mend by hand.")
@click.option("--shared", is_flag=True, help="They are executed, and to be handed over as they are.")
def check_notebooks_command(notebooks: tuple[Path, ...], fix: bool, shared: bool) -> None:
    """Check that stored NOTEBOOKs (files or folders) are clean, and executed ones fit to be handed over.

    A stored one has no outputs, counts or state, ids that stay, typed parameters, and names a kernel. One that a run
    left is meant to be read by others, as is any with --shared: it is checked for keys, folders of this machine,
    widgets that show nothing without their kernel, validity, and whether it came to its end; how to hand it over is
    said, and --fix leaves it as it is. Exits with 1 where something is left to mend.
    """
    from workbench.headless.shared_notebooks import check_shared_notebook, how_to_hand_over, is_executed_by_workbench
    from workbench.headless.stored import Fault, check_notebook, write_clean_notebook

    paths = [
        path for each in notebooks for path in (sorted(each.rglob("*.ipynb")) if is_folder_there(each) else [each])
    ]
    if not paths:
        raise click.UsageError(f"there is no notebook in {', '.join(map(str, notebooks))}")
    faults: list[Fault] = []
    for path in paths:
        if shared or is_executed_by_workbench(path):
            found = check_shared_notebook(path)
            if not found:
                _say(how_to_hand_over(path), err=True)
        else:
            found = write_clean_notebook(path) if fix else check_notebook(path)
        faults += found
    for fault in faults:
        click.echo(fault)
    left = counted(len(faults), "thing") if faults else "nothing"
    click.echo(f"{counted(len(paths), 'notebook')}, {left} left to mend", err=True)
    if faults:
        sys.exit(EXIT_FAILED)


@main.command("read")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a file: what Claude Code reads, what lint finds.")
@click.option("--strict", is_flag=True, help="Exit with 1 where Claude Code drops a file, and lists no agent for it.")
@click.option("--format", "form", type=click.Choice(("github", "sarif")), help="Write what lint finds, and that alone.")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    help="What lint --format json wrote before: leave that out of findings.",
)
def read_command(paths: tuple[Path, ...], as_json: bool, strict: bool, form: str | None, baseline: Path | None) -> None:
    """Show what agent files say, what Claude Code makes of them, and what to mend.

    PATHs are files, folders and names of agents. Exits with 1 where one cannot be read.
    """
    if as_json and form is not None:
        raise click.UsageError("--json and --format are two ways to write it; give one")
    if baseline is not None and not as_json and form is None:
        raise click.UsageError("--baseline is for what lint finds, which --json and --format write")
    from workbench.definition.claude_code import read_where_it_stands
    from workbench.definition.files import load_agent
    from workbench.errors import AgentFileError

    files, failed = _agent_files(paths)
    report = _lint_report(files, baseline) if as_json or form is not None else None
    findings = {} if report is None else _by_file(report, files)
    for file in files:
        try:
            agent = load_agent(file)
        except AgentFileError as error:
            click.echo(without_secrets(printed(str(error))), err=True)
            failed = True
            continue
        reading = read_where_it_stands(agent)
        failed = failed or (strict and not reading.listed)
        if form is None:
            click.echo(_json_line(file, agent, reading, findings[file]) if as_json else _page(file, agent, reading))
    if report is not None and form is not None:
        from workbench.definition.lint_formats import lines_in

        for line in lines_in(report, form):
            click.echo(line)
    if failed:
        sys.exit(EXIT_FAILED)


def _agent_files(paths: tuple[Path, ...]) -> tuple[tuple[Path, ...], bool]:
    """The files among the paths, of agents that are named, and of the folders, each once; and whether there is none for
    one of them, which is said."""
    from workbench.errors import FileError

    found: dict[Path, None] = {}
    failed = False
    for path in paths:
        if is_there(path) and not is_folder_there(path):
            found.setdefault(path)
            continue
        if not is_there(path):
            from workbench.definition.finding import agent_file  # of files alone nobody needs it

            try:
                found.setdefault(agent_file(path))
            except FileError as error:
                click.echo(without_secrets(printed(str(error))), err=True)
                failed = True
            continue
        from workbench.definition.linting import lint_paths  # of files alone nobody needs it

        report = lint_paths([path])
        found.update(dict.fromkeys(report.read))
        found.update(dict.fromkeys(file for file, _ in report.unreadable))
        if not report.read and not report.unreadable:
            click.echo(without_secrets(printed(f"{path}: there is no agent file in this folder")), err=True)
            failed = True
    return tuple(found), failed


def _lint_report(files: tuple[Path, ...], baseline: Path | None) -> LintReport:
    """What `workbench lint` finds in these files, alone and together, and the file `baseline` does not hold."""
    from workbench.definition.lint_commands import lint_report

    return lint_report([file for file in files if is_there(file)], baseline)


def _by_file(report: LintReport, files: tuple[Path, ...]) -> dict[Path, list[dict[str, Any]]]:
    """The findings of each file."""
    found: dict[Path, list[dict[str, Any]]] = {file: [] for file in files}
    for finding in report.findings:
        found[finding.path].append({**asdict(finding.problem), "fingerprint": finding.fingerprint})
    return found


_KINDS = {
    "strict": "reads it as it is",
    "repaired": "reads it after repairing its header; other readers refuse it",
    "dropped": "drops it",
    "placeholder": "reads nothing of its header",
}


def _json_line(file: Path, agent: Agent, reading: Reading, findings: list[dict[str, Any]]) -> str:
    from workbench.definition.sending import sending_as_main_thread, sending_as_subagent

    ways = {"as_subagent": sending_as_subagent(agent), "as_main_thread": sending_as_main_thread(agent)}
    # Each text by itself: a secret in a part of a longer line could hide in its escapes.
    shown = value_without_secrets(
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
            **{way: None if found is None else asdict(found) for way, found in ways.items()},
            "problems": findings,
        }
    )
    return json.dumps(shown)


def _page(file: Path, agent: Agent, reading: Reading) -> str:
    from workbench.definition.claude_code import resolve_agent
    from workbench.definition.lint import check_agent
    from workbench.definition.sending import sending_in_words

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
        shown = _in_one_line(written)
        as_read = shown if read == written else _in_one_line(read)
        if shown == as_read:
            lines.append(f"  {field:<13}{shown}")
        else:
            lines.append(f"  {field:<13}as written   {shown}")
            lines.append(f"  {'':<13}Claude Code  {as_read}")
    if reading.listed:
        lines.append(f"  {'runs at':<13}{_printable(f'{sent.model} ({sent.model_from})')}")
        lines.append(f"  {'':<13}{_printable(f'effort {sent.effort_in_words}')}")
        lines += [f"  {what:<20}{_printable(how)}" for what, how in sending_in_words(agent)]
    problems = dict.fromkeys((*reading.problems, *check_agent(agent)))
    lines.append(f"  {counted(len(problems), 'problem') if problems else 'no problems'}")
    for problem in sorted(problems, key=lambda problem: (problem.line, problem.column)):
        lines.append(f"  {_printable(f'{file}:{problem}')}")
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

    A notebook that fails does not stop the others; then the exit code is 1, as it is where an agent without tasks was
    left out, or with --estimate a notebook that cannot be estimated. An agent that says what it would be compared with
    is left out by name, which is no fault; where that is all of them, the exit code is 2. What the ledger holds is not
    asked for again, so a night that is to measure anew takes the notebook `nightly`, or the parameter `mode: fresh`;
    `{date}` in the plan's `out` gives each night a folder of its own, and `workbench history` shows them together.
    """
    from workbench.definition.seen import seen_from_here
    from workbench.headless.batch import estimate_batch, run_batch
    from workbench.headless.batch_index import summary
    from workbench.headless.batch_plan import load_batch

    loaded = load_batch(plan, live=live, go_on=go_on)
    if estimate:
        found = estimate_batch(loaded, say=_say)
        click.echo(found)
        if found.left_out:
            sys.exit(EXIT_FAILED)
        return
    batch = run_batch(loaded, at_once=at_once, go_on=go_on, dask=dask, say=_say)
    click.echo(f"\n{summary(batch.outcomes)}\nindex     {seen_from_here(batch.index)}")
    if not batch.is_complete:
        click.echo(f"to go on: {command('workbench', 'batch', plan, '--continue')}")
        sys.exit(EXIT_FAILED)


def _say(line: str, *, err: bool = False) -> None:
    click.echo(printed(without_secrets(line)), err=err)


@main.command("report")
@click.argument("record", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    metavar="NAME",
    help="The variant that the others are compared with. Default: as planned, else the first.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Default: the folder `report` in RUN.")
@click.option(
    "--format", "formats", metavar="LIST", help="Of html,csv,parquet,json,jsonl,junit,md. Default: all of them."
)
def report_command(record: Path, baseline: str | None, out: Path | None, formats: str | None) -> None:
    """Report on RUN, the folder of a record: a page, data files, JUnit XML, and a summary for a pull request."""
    from workbench.comparison.report.write import FORMATS, compared, write_report
    from workbench.definition.project import project_folder
    from workbench.definition.seen import seen_from_here
    from workbench.grading.recorded import load_run
    from workbench.trial.record import record_folder
    from workbench.trial.record_aside import REPORT_FOLDER

    comparison = compared(load_run(record), baseline)
    chosen = FORMATS if formats is None else [name.strip() for name in formats.split(",")]
    folder = out or record_folder(record) / REPORT_FOLDER
    files = write_report(comparison, folder, formats=chosen, project=project_folder())
    for line in (*"\n".join(comparison.sentences).split("\n"), "", *(str(seen_from_here(file)) for file in files)):
        _say(line)


@main.command("gate")
@click.argument("record", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    "other",
    metavar="OTHER",
    help="A variant of RUN, or another record. Of routing only where RUN does not hold both sides.",
)
@click.option("--margin", type=float, default=0.05, show_default=True, help="The loss that is put up with, in 0..1.")
@click.option(
    "--guard",
    "guarded",
    multiple=True,
    metavar="PROMISE[:MARGIN]",
    help="A promise that may not get worse by more than MARGIN, or the gate's; may be given more than once.",
)
@click.option(
    "--routing-margin",
    type=float,
    help="Decide by who gets picked: the loss of cases that is put up with, in 0..1; 0.1 is 10 points.",
)
@click.option("--variant", metavar="NAME", help="The variant of RUN to hold against it, where there are several.")
@click.option("--allow-stand-in", is_flag=True, help="Decide on made-up replies too, to try the gate out.")
@click.option(
    "--tasks",
    "task_file",
    type=click.Path(path_type=Path),
    help="Grade by this task file, not by what the records say; of routing by this file of cases.",
)
@click.option(
    "--labels",
    "label_files",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="People's labels, by which the certificates of judges are checked; may be given more than once.",
)
@click.option("--trust-recorded", is_flag=True, help="Decide by recorded scores too that cannot be found again here.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON instead of a sentence.")
def gate_command(
    record: Path,
    other: str | None,
    margin: float,
    guarded: tuple[str, ...],
    routing_margin: float | None,
    variant: str | None,
    allow_stand_in: bool,
    task_file: Path | None,
    label_files: tuple[Path, ...],
    trust_recorded: bool,
    as_json: bool,
) -> None:
    """Exit with 0 if RUN is shown to be no worse than OTHER by more than the margin, and each guarded promise too.

    With 3 if it is shown to be worse, with 4 if there is not enough data to say, with 5 if the replies were made up by
    the offline stand-in, with 6 if scores stand in a record and cannot be found again from its replies, or a judge's
    certificate does and no --labels bear it out, with 2 if the two cannot be compared.

    With --routing-margin RUN holds the decisions before and after a change of descriptions, as `route --before
    --record` leaves them: no changed agent may be picked less on its own cases, or more on those of others or of
    nobody, and no other agent less on its own.
    """
    if routing_margin is not None:
        if guarded or variant is not None:
            raise click.UsageError("--guard and --variant are of replies; --routing-margin holds all that is picked")
        _gate_routing(record, other, routing_margin, allow_stand_in=allow_stand_in, cases=task_file, as_json=as_json)
    if other is None:
        raise click.UsageError("Missing option '--baseline'.")
    from workbench.comparison.gate import gate, guards_from_texts
    from workbench.grading.recorded import load_run
    from workbench.judging.certificate import check_certificates
    from workbench.trial.decisions import holds_decisions
    from workbench.trial.regrade import trust_recorded as trusting
    from workbench.trial.task import load_tasks

    tasks = None if task_file is None else load_tasks(task_file)

    def load(folder: Path) -> Run:
        found = load_run(folder, tasks=tasks)
        found = check_certificates(found, label_files) if label_files else found
        return trusting(found) if trust_recorded else found

    run = load(record)
    if holds_decisions(run):
        raise RecordError(
            "holds routing decisions, and no replies to score: hold them by --routing-margin", path=record
        )
    if other not in run.variants and not is_there(other):
        names = ", ".join(run.variants)
        raise RecordError(f"is no variant of {record}, which has {names}, and there is no such record", path=other)
    against = other if other in run.variants else load(Path(other))
    guards = guards_from_texts(guarded, {promise for trial in run.trials for promise in trial.scores})
    with _ending_at_made_up():
        found = gate(run, against, margin=margin, variant=variant, allow_stand_in=allow_stand_in, guards=guards)
    _show_gate(found, as_json=as_json)
    if found.decision == "not enough to trust" and not any(guard.decision == found.decision for guard in found.guards):
        _say("Graders of your own: workbench.gate in Python, with load_run(graders=...); or --trust-recorded", err=True)
    sys.exit(EXITS_OF_GATE[found.decision])


def _gate_routing(
    record: Path, other: str | None, margin: float, *, allow_stand_in: bool, cases: Path | None, as_json: bool
) -> NoReturn:
    from workbench.routing.gate import gate_routing
    from workbench.routing.sides import load_change

    change = load_change(record, baseline=other, cases=cases)
    with _ending_at_made_up():
        found = gate_routing(change, margin=margin, allow_stand_in=allow_stand_in)
    _show_gate(found, as_json=as_json)
    sys.exit(EXITS_OF_GATE[found.decision])


@contextmanager
def _ending_at_made_up() -> Iterator[None]:
    """What the offline stand-in made up decides nothing, and has an exit code of its own."""
    try:
        yield
    except StandInError as error:
        _say(f"{error} (--allow-stand-in)", err=True)
        sys.exit(EXIT_STAND_IN)


def _show_gate(found: Gate | RoutingGate, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(value_without_secrets(asdict(found))))
    else:
        for line in found.text.split("\n"):
            _say(line)


@main.command("review")
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="[B]", required=False, type=click.Path(path_type=Path))
@click.option("--variants", type=(str, str), metavar="NAME NAME", help="A variant of A and one of B.")
@click.option("--markdown", "as_markdown", is_flag=True, help="For a pull request.")
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON line.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to this file.")
def review_command(
    before: Path,
    after: Path | None,
    variants: tuple[str, str] | None,
    as_markdown: bool,
    as_json: bool,
    page: Path | None,
) -> None:
    """Show what changed from A to B: two records, or the executed notebooks that left them.

    Of records of routing it shows who is picked; of one that holds a change of descriptions, A alone is enough.
    """
    from workbench.comparison.review import Review, review_runs
    from workbench.grading.recorded import load_run
    from workbench.routing.review import RoutingReview, review_routing
    from workbench.trial.decisions import holds_decisions

    named = [path for path in (before, after) if path is not None]
    if agents := [path for path in named if path.suffix == ".md" and path.is_file()]:
        tried = command("workbench", "compare", named[-1], "--with", before)
        raise FileError(
            f"is an agent file, and records are reviewed; `{tried}` tries two agent files, and leaves a record",
            path=agents[0],
        )
    earlier, later = load_run(before), None if after is None else load_run(after)
    found: Review | RoutingReview
    if holds_decisions(earlier) or (later is not None and holds_decisions(later)):
        found = review_routing(earlier, later)
    elif later is None:
        raise click.UsageError(
            "Missing argument 'B': A holds replies, which are reviewed beside those of another record."
        )
    else:
        found = review_runs(earlier, later, variants=variants, names=(str(before), str(after)))
    if page is not None:
        _write_page(without_secrets(found.html()), page)
    if as_json:
        click.echo(json.dumps(value_without_secrets(found.to_json()), ensure_ascii=False))
        return
    click.echo(without_secrets(found.markdown() if as_markdown else printed(str(found))).rstrip("\n"))


def _write_page(text: str, path: Path) -> None:
    from workbench.definition.project import write_folder

    try:
        write_folder(path.parent)
        path.write_text(text, encoding="utf-8", errors=HALF_CHARACTERS, newline="\n")
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror}", path=path) from error
