"""The commands for agent files: which there are, where else they can go, what they were, what they could be."""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.definition.carry_targets import TARGETS, Target
from workbench.definition.project import write_folder
from workbench.definition.replacing import IS_THERE, write_new
from workbench.definition.seen import seen_from_here
from workbench.definition.there import is_folder_there
from workbench.errors import FileError
from workbench.markup import command, counted, printed, visible
from workbench.secrets import bytes_without_secrets, value_without_secrets, without_secrets
from workbench.trial.defaults import CONVERSATIONS_A_DAY, DAYS_COUNTED, LAST_VERSIONS, LONGEST_DESCRIPTION

if TYPE_CHECKING:
    from workbench.definition.draft import Draft
    from workbench.runs.improving import Improvement

EXIT_REFUSED_THERE = 1
"""`carry`: the other program would refuse what was written."""
_KEYS = "y takes it, n leaves it, a takes it and all after it, q leaves it and all after it"


@click.command("roster")
@click.argument("project", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--agents", "session", default="", metavar="JSON", help="As `claude --agents`: JSON, or a file with it.")
@click.option(
    "--plugin-dir",
    "plugin_folders",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A plugin to look at beside those that are enabled; may be given more than once.",
)
@click.option(
    "--conversations",
    type=click.FloatRange(min=0),
    metavar="N",
    help=f"So many a day. Default: {CONVERSATIONS_A_DAY}.",
)
@click.option(
    "--count-transcripts",
    is_flag=True,
    help=f"Count those of the last {DAYS_COUNTED} days in your own transcripts of this project, which are read for "
    "that.",
)
@click.option(
    "--at-most",
    type=click.IntRange(min=1),
    default=LONGEST_DESCRIPTION,
    show_default=True,
    metavar="CHARACTERS",
    help="Of a description, to say what a shorter one would save.",
)
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON line.")
def roster_command(
    project: Path | None,
    session: str,
    plugin_folders: tuple[Path, ...],
    conversations: float | None,
    count_transcripts: bool,
    **shown: int | bool,
) -> None:
    """Show all agents that PROJECT sees, by default the project of here: its own, those of your home, of plugins, of
    --agents and of the program; which of several of one name is listed; what each description costs every conversation;
    and which descriptions have most in common.
    """
    from workbench.definition.project_agents import Places
    from workbench.runs.roster import roster
    from workbench.trial.conversations import Conversations, count_conversations

    if project is not None and not is_folder_there(project):
        raise FileError("there is no such folder", path=project)
    if count_transcripts and conversations is not None:
        raise click.UsageError("--conversations says how many there are, and --count-transcripts counts them: name one")
    talked = Conversations() if conversations is None else Conversations(a_day=conversations, source="as given")
    found = roster(
        project,
        Places(session=session, plugin_folders=plugin_folders),
        conversations=count_conversations(project) if count_transcripts else talked,
        at_most=int(shown["at_most"]),
    )
    if shown["as_json"]:
        click.echo(json.dumps(value_without_secrets(found.to_json()), ensure_ascii=False))
    else:
        click.echo(without_secrets(printed(str(found))))


@click.command("carry")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", required=True, type=click.Choice(TARGETS), help="The program that is to take it.")
@click.option("--out", type=click.Path(path_type=Path), help="Write it to this file, or into this folder.")
def carry_command(file: Path, to: Target, out: Path | None) -> None:
    """Write the agent in FILE, or of this name, as another program takes it, and say what is lost on the way.

    It is printed, or written with --out: to a file that is not there yet, or into a folder, under the name by which the
    program looks for it. What is carried and what is lost goes to the error output, and so does what the program would
    refuse: then the exit code is 1.
    """
    from workbench.definition.carried import read_there
    from workbench.definition.carry import carry_agent
    from workbench.definition.files import load_agent
    from workbench.definition.finding import agent_file

    carried = carry_agent(load_agent(agent_file(file)), to)
    faults = read_there(to, carried.text, carried.file).faults
    if out is None:
        _print_file(carried.to_bytes(), whole="--out writes")
    else:
        target = out / carried.file if is_folder_there(out) else out
        _check_can_be_made(target)
        _write_folder_of(target)
        try:
            write_new(target, carried.to_bytes())
        except OSError as error:
            raise FileError(f"cannot be written: {error.strerror or error}", path=target) from error
        click.echo(_line(f"wrote {seen_from_here(target)}"), err=True)
    click.echo(without_secrets(printed(str(carried))), err=True)
    if out is None:
        click.echo(_line(f"it is looked for in {carried.file}"), err=True)
    for fault in faults:
        click.echo(printed(f"would be refused: {fault}"), err=True)
    if faults:
        sys.exit(EXIT_REFUSED_THERE)


def _print_file(content: bytes, *, whole: str) -> None:
    """Prints a file without its keys, as `read` does; where it had one, says what gives the file as it is. A terminal
    is shown signs that would steer it as what they are."""
    shown = bytes_without_secrets(content)
    click.echo(printed(shown.decode("utf-8", "replace")) if sys.stdout.isatty() else shown, nl=False)
    if shown != content:
        click.echo(f"what has the form of a key is not printed; {whole} the file as it is", err=True)


def _check_can_be_made(path: Path) -> None:
    """Raises `FileError` where a file is there already, or none can be made: asked before a model is, which costs."""
    if os.path.lexists(path):
        raise FileError(IS_THERE, path=path)
    above = next(each for each in path.absolute().parents if os.path.lexists(each))
    if not above.is_dir():
        raise FileError(f"cannot be written: {above} is no folder; name a file in a folder", path=path)
    if not os.access(above, os.W_OK | os.X_OK):
        raise FileError(f"cannot be written: nothing can be made in {above}; name a file elsewhere", path=path)


def _write_folder_of(path: Path) -> None:
    try:
        write_folder(path.parent)
    except OSError as error:
        raise FileError(f"cannot be written: its folder cannot be made: {error.strerror}", path=path) from error


@click.command("versions")
@click.argument("agent", type=click.Path(path_type=Path))
@click.option(
    "--records",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder of records; may be given more than once. Default: outputs of the project.",
)
@click.option("--tasks", type=click.Path(path_type=Path), help="Grade by this task file. Default: the agent's own.")
@click.option(
    "--last", type=click.IntRange(min=1), default=LAST_VERSIONS, show_default=True, help="The latest so many."
)
@click.option("--show", metavar="VERSION", help="Print a version: the beginning of its digest, or a revision of git.")
@click.option("--restore", metavar="VERSION", help="Keep a version as the draft of AGENT, which stays as it is.")
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON line.")
def versions_command(
    agent: Path, records: tuple[Path, ...], tasks: Path | None, last: int, as_json: bool, **version: str | None
) -> None:
    """List every version of AGENT, a file or a name, that was ever tried, from the ledger and from records, with its
    scores, model by model held against the newest on the tasks that both were given: which was best, and how sure is
    that?

    Nothing is asked of a model, and no agent file is written.
    """
    from workbench.definition.finding import agent_file
    from workbench.project.tried import find_version, restore_version, tried_versions

    agent = agent_file(agent)
    found = tried_versions(agent, records=records or None, tasks=tasks, last=last)
    if version["show"]:
        _print_file(find_version(agent, version["show"], found).to_bytes(), whole="--restore keeps")
    elif version["restore"]:
        _tell_kept(agent, restore_version(agent, version["restore"], found), "the version is")
    elif as_json:
        click.echo(json.dumps(value_without_secrets(found.to_json()), ensure_ascii=False))
    else:
        click.echo(without_secrets(printed(str(found))))


@click.command("draft")
@click.argument("sentence")
@click.option("--out", type=click.Path(path_type=Path), help="Write it to this new file instead of printing it.")
@click.option("--model", help="Which model writes it. Default: that of a conversation.")
@click.option("--budget-usd", type=click.FloatRange(min=0), default=1.0, show_default=True, help="For the model.")
def draft_command(sentence: str, out: Path | None, model: str | None, budget_usd: float) -> None:
    """Have a model draft the definition of an agent from a SENTENCE that says what it is to do.

    It is printed, and what is doubtful in it goes to the error output; a file that is there is never written over.
    Exits with 5 where no model is there: the offline stand-in cannot write.
    """
    from workbench.definition.lint import check_agent
    from workbench.runs.drafting import draft_agent
    from workbench.runs.writer import Writer

    if out is not None:
        _check_can_be_made(out)
    with redirect_stdout(sys.stderr):  # who answers is said there: what is printed is the definition alone
        drafted = draft_agent(sentence, by=Writer(model=model, budget_usd=budget_usd))
    if out is None:
        _print_file(drafted.agent.to_bytes(), whole="--out writes")
    else:
        from workbench.definition.files import save_agent

        _write_folder_of(out)
        click.echo(_line(f"wrote {seen_from_here(save_agent(drafted.agent, out).path or out)}"), err=True)
    for remark in drafted.remarks:
        click.echo(without_secrets(printed(remark)), err=True)
    for problem in check_agent(drafted.agent):
        click.echo(without_secrets(printed(f"{problem.severity}: {problem.message}")), err=True)
    click.echo(f"written by {visible(drafted.model)}: read it before you use it", err=True)


@click.command("improve")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--selection",
    default="",
    metavar="LINES",
    help="Lines of FILE, 12 or 12-30: nothing else is changed. A description of which they hold a line is taken whole.",
)
@click.option(
    "--from", "record", type=click.Path(path_type=Path), help="A record: the promises that scored worst in it."
)
@click.option("--wish", default="", metavar="TEXT", help="What is to be better.")
@click.option("--model", help="Which model proposes the edits. Default: that of the agent.")
@click.option("--budget-usd", type=click.FloatRange(min=0), default=1.0, show_default=True, help="For the model.")
def improve_command(
    file: Path, selection: str, record: Path | None, wish: str, model: str | None, budget_usd: float
) -> None:
    """Have a model propose edits for the agent in FILE, or of this name, and take them one by one, as `git add -p`
    does.

    What is taken becomes the agent's draft, which the editor offers; FILE itself stays as it is. Exits with 5 where no
    model is there: the offline stand-in cannot write.
    """
    from workbench.definition.files import load_agent
    from workbench.definition.finding import agent_file
    from workbench.grading.recorded import load_run
    from workbench.runs.improving import improve
    from workbench.runs.writer import Writer

    file = agent_file(file)
    agent = load_agent(file)
    with redirect_stdout(sys.stderr):
        found = improve(
            agent,
            selection=selection,
            run=None if record is None else load_run(record),
            wish=wish,
            by=Writer(model=model, budget_usd=budget_usd),
        )
    click.echo(without_secrets(printed(found.head)))
    for each in found.left_out:
        click.echo(without_secrets(printed(each)), err=True)
    taken = _taken(found)
    if taken:
        _tell_kept(file, found.accept(*taken), f"{counted(len(taken), 'edit')} taken; they are")
    else:
        click.echo("\nnothing was taken, and nothing is kept")


def _taken(found: Improvement) -> list[int]:
    """The numbers of the hunks that the author takes; without an answer none of those that are left."""
    taken: list[int] = []
    takes_rest = False
    for number, hunk in enumerate(found.hunks, start=1):
        click.echo(f"\n{hunk.part}, line {hunk.line}: {without_secrets(printed(hunk.why))}")
        click.echo(without_secrets(printed(hunk.diff)))
        answer = "y" if takes_rest else ""
        while answer not in ("y", "n", "a", "q"):
            try:
                asked = f"({number}/{len(found.hunks)}) Take this edit [y,n,a,q,?]"
                answer = str(click.prompt(asked, default="n", show_default=False)).strip().lower()[:1]
            except click.Abort:
                answer = "q"
            if answer not in ("y", "n", "a", "q"):
                click.echo(_KEYS)
        if answer == "q":
            break
        if answer in ("y", "a"):
            taken.append(number)
        takes_rest = takes_rest or answer == "a"
    return taken


def _tell_kept(file: Path, draft: Draft, what: str) -> None:
    """Where a draft is kept for the next process; a draft that is not goes with this one."""
    from workbench.definition.draft_files import draft_path
    from workbench.errors import AgentFileError

    if draft.trouble:
        raise AgentFileError(draft.trouble, path=file)
    click.echo(f"\n{_line(f'{what} in the draft of {file}, kept in {seen_from_here(draft_path(file))}')}")
    click.echo(_line(f"{file} stays as it is; `{command('workbench', 'open', file)}` offers the draft"))


def _line(text: str) -> str:
    """What holds the name of a file, as one line."""
    return without_secrets(printed(visible(text)))
