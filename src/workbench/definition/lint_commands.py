"""The command `workbench lint`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.definition.there import text_in
from workbench.errors import AgentFileError

if TYPE_CHECKING:
    from workbench.definition.linting import LintReport

EXIT_FOUND = 1
"""`lint`: errors were found, with `--strict` warnings too; or a file could not be read."""

FORMATS = ("text", "json", "github", "sarif")
"""Of `lint_formats`, which is loaded by no command but this one."""


@click.command("lint")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How it is written."
)
@click.option("--strict", is_flag=True, help="Warnings count as errors do, for the exit code.")
@click.option(
    "--baseline", type=click.Path(path_type=Path), help="What --format json wrote before: say only what is new."
)
@click.option(
    "--explain",
    "rule",
    metavar="RULE",
    is_flag=False,
    flag_value="all",
    help="Say where a rule comes from; without a RULE, or with `all`, where each does.",
)
def lint_command(paths: tuple[Path, ...], form: str, strict: bool, baseline: Path | None, rule: str | None) -> None:
    """Say what is wrong or doubtful in agent files, and in those of folders, alone and together.

    PATHS are files, folders and names of agents; without any, the agents of the project of here. Rules are switched
    off, or given another severity, in `[tool.workbench.lint]` of pyproject.toml, and for one entry by a comment in the
    header: `# workbench: off RULE`.
    """
    from workbench.definition.finding import agent_paths, agents_of_project
    from workbench.definition.lint import rules
    from workbench.definition.lint_formats import explain, lines_in

    if rule is not None:
        if rule != "all" and rule not in rules():
            raise click.UsageError(f"there is no rule {rule!r}; --explain all lists them")
        for each in rules().values() if rule == "all" else (rules()[rule],):
            click.echo(explain(each))
        return
    wanted = agent_paths(paths) or agents_of_project()
    if not wanted:
        raise AgentFileError("there is no agent in this project; name files or folders", path=Path.cwd())
    report = lint_report(wanted, baseline)
    for line in lines_in(report, form):
        click.echo(line)
    if not report.read and not report.unreadable and any(path.is_dir() for path in wanted):
        # A file that is no agent, as a commit hook names one, is passed over; a folder is named for its agents.
        named = ", ".join(str(path) for path in wanted)
        raise AgentFileError(f"no agent was looked at in {named}: name a folder with some, or their files")
    if report.count("error") or report.unreadable or (strict and report.count("warning")):
        sys.exit(EXIT_FOUND)


def lint_report(paths: Sequence[Path], baseline: Path | None) -> LintReport:
    """What lint finds in these files and folders, without what the file `baseline` holds.

    Raises:
        AgentFileError: the baseline cannot be read, or is something else.
    """
    from workbench.definition.lint_formats import read_baseline
    from workbench.definition.linting import lint_paths

    report = lint_paths(paths)
    if baseline is None:
        return report
    try:
        return report.without(read_baseline(text_in(baseline)))
    except (OSError, ValueError) as error:
        raise AgentFileError(f"is no baseline as --format json writes it: {error}", path=baseline) from error
