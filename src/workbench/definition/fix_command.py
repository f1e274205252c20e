"""The command `workbench fix`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.markup import counted, printed, visible, visible_lines
from workbench.secrets import without_secrets

if TYPE_CHECKING:
    from workbench.definition.mend import Mend

EXIT_LEFT = 1
"""`fix`: repairs were shown and not written, or a file could not be read or written."""


@dataclass
class _Done:
    """What became of the repairs, counted where it is shown and written."""

    shown: int = 0
    files: int = 0
    written: int = 0
    files_written: int = 0
    left: int = 0
    """So many more a run with --with-changes would show."""
    failed: bool = False

    def add_shown(self, repairs: int) -> None:
        self.shown += repairs
        self.files += bool(repairs)

    def add_written(self, repairs: int) -> None:
        self.written += repairs
        self.files_written += 1

    def summary(self, *, is_written: bool) -> str:
        if not self.shown:
            said = "nothing was repaired" if self.failed else "nothing to repair"
        elif is_written:
            said = f"{_repairs(self.written, self.files_written)} written" if self.written else "nothing was written"
            if missing := self.shown - self.written:
                said += f"; {counted(missing, 'repair')} of those shown could not be"
        else:
            said = f"{_repairs(self.shown, self.files)}; --write writes them"
        more = f"{counted(self.left, 'repair')} more would change what is read: --with-changes" if self.left else ""
        return ". ".join(each for each in (said, more) if each)


def _repairs(repairs: int, files: int) -> str:
    return f"{counted(repairs, 'repair')} in {counted(files, 'file')}"


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
    folder to a file outside of it, or of the repository where no folder is named, is not written through; name the
    file itself.
    """
    from workbench.definition.files import load_agent, save_agent
    from workbench.definition.fixing import fixes_of
    from workbench.definition.lint import rules as all_rules
    from workbench.definition.linting import agent_files_named
    from workbench.errors import AgentFileError

    for rule in rules:
        if rule not in all_rules():
            raise click.UsageError(f"there is no rule {rule!r}; workbench lint --explain all lists them")
    meant, within = _meant(paths)
    done = _Done()
    for path in agent_files_named(meant):
        try:
            agent = load_agent(path)
            fixes = fixes_of(agent, with_changes=with_changes, rules=rules)
            for fix in fixes:
                _say(path, fix)
            done.add_shown(len(fixes))
            if not with_changes:
                done.left += len(fixes_of(agent, with_changes=True, rules=rules)) - len(fixes)
            if write and fixes:
                _refuse_outside(path, within)
                save_agent(fixes[-1].after, path, over=agent)
                done.add_written(len(fixes))
        except AgentFileError as error:
            click.echo(without_secrets(printed(visible(str(error)))), err=True)
            done.failed = True
    click.echo(done.summary(is_written=write))
    if done.failed or (done.shown and not write):
        sys.exit(EXIT_LEFT)


def _meant(paths: tuple[Path, ...]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The paths, with the file in place of an agent's name; without any, the agents of the project. And what may be
    written: those very files and what is in the folders; without any, what is in the repository."""
    from workbench.definition.finding import agent_paths, agents_of_project, folders_up_to_the_repository
    from workbench.definition.project import project_folder
    from workbench.errors import AgentFileError

    if paths:
        meant = agent_paths(paths)
        return meant, meant
    meant = agents_of_project()
    if not meant:
        raise AgentFileError("there is no agent in this project; name files or folders", path=Path.cwd())
    return meant, (folders_up_to_the_repository(project_folder())[-1],)


def _refuse_outside(path: Path, within: Iterable[Path]) -> None:
    """Raises `AgentFileError` where the file is reached by a link out of the files and folders that are meant."""
    from workbench.errors import AgentFileError

    real = path.resolve()
    if not any(real.is_relative_to(each.resolve()) for each in within):
        raise AgentFileError(f"was not written: it leads out of the folder, to {real}; name it to write it", path=path)


def _say(path: Path, fix: Mend) -> None:
    head = f"{path}:{fix.problem}" if fix.is_safe else f"{path}:{fix.problem}\n  changes: {fix.changes}"
    click.echo(without_secrets("\n".join(map(printed, map(visible, head.split("\n"))))))
    click.echo(without_secrets(printed(visible_lines(fix.diff))))
