"""The command `workbench fix`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.markup import counted, printed, visible, visible_lines
from workbench.secrets import without_secrets

if TYPE_CHECKING:
    from workbench.definition.mend import Mend

EXIT_LEFT = 1
"""`fix`: repairs were shown and not written, or a file could not be read or written."""


@click.command("fix")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option("--write", is_flag=True, help="Write the repairs. Default: only show them.")
@click.option(
    "--with-changes", is_flag=True, help="Also repairs after which Claude Code or other readers read something else."
)
@click.option("--rule", "rules", multiple=True, metavar="RULE", help="Repair only this; may be given more than once.")
def fix_command(paths: tuple[Path, ...], write: bool, with_changes: bool, rules: tuple[str, ...]) -> None:
    """Repair agent FILEs, or those of folders: show each repair as a diff, and with --write write them.

    A FILE may be the name of an agent; without any, the agents of the project of here are meant.

    A safe repair leaves both readings as they are, the author's and Claude Code's, and every byte of the prompt. One
    that changes what is read is shown and written with --with-changes alone, and says what it changes. A link in a
    folder to a file outside of it is not written through; name the file itself.
    """
    from workbench.definition.files import load_agent, save_agent
    from workbench.definition.fixing import changing_fixes_of, fixes_of
    from workbench.definition.lint import rules as all_rules
    from workbench.definition.linting import agent_files_named
    from workbench.errors import AgentFileError

    for rule in rules:
        if rule not in all_rules():
            raise click.UsageError(f"there is no rule {rule!r}; workbench lint --explain all lists them")
    failed, shown, files, left = False, 0, 0, 0
    for path in agent_files_named(_meant(paths)):
        try:
            agent = load_agent(path)
            fixes = fixes_of(agent, with_changes=with_changes, rules=rules)
            for fix in fixes:
                _say(path, fix)
            if write and fixes:
                _refuse_outside(path, paths)
                save_agent(fixes[-1].after, path, over=agent)
        except AgentFileError as error:
            click.echo(without_secrets(printed(visible(str(error)))), err=True)
            failed = True
            continue
        shown += len(fixes)
        files += bool(fixes)
        after = fixes[-1].after if fixes else agent
        left += 0 if with_changes else len(changing_fixes_of(after, rules=rules))
    click.echo(_summary(shown, files, left, is_written=write, failed=failed))
    if failed or (shown and not write):
        sys.exit(EXIT_LEFT)


def _meant(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """The paths, with the file in place of an agent's name; without any, the agents of the project."""
    from workbench.definition.finding import agent_paths, agents_of_project
    from workbench.errors import AgentFileError

    meant = agent_paths(paths) or agents_of_project()
    if not meant:
        raise AgentFileError("there is no agent in this project; name files or folders", path=Path.cwd())
    return meant


def _refuse_outside(path: Path, named: tuple[Path, ...]) -> None:
    """Raises `AgentFileError` where the file is reached by a link out of the folders that were named."""
    from workbench.errors import AgentFileError

    real = path.resolve()
    if not any(real.is_relative_to(each.resolve()) for each in named):
        raise AgentFileError(f"was not written: it leads out of the folder, to {real}; name it to write it", path=path)


def _say(path: Path, fix: Mend) -> None:
    head = f"{path}:{fix.problem}" if fix.is_safe else f"{path}:{fix.problem}\n  changes: {fix.changes}"
    click.echo(without_secrets("\n".join(map(printed, map(visible, head.split("\n"))))))
    click.echo(without_secrets(printed(visible_lines(fix.diff))))


def _summary(shown: int, files: int, left: int, *, is_written: bool, failed: bool) -> str:
    if not shown:
        said = "nothing was repaired" if failed else "nothing to repair"
    else:
        said = f"{counted(shown, 'repair')} in {counted(files, 'file')}"
        said += " written" if is_written else "; --write writes them"
    more = f"{counted(left, 'repair')} more would change what is read: --with-changes" if left else ""
    return ". ".join(each for each in (said, more) if each)
