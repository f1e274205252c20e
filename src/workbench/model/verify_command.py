"""The command `workbench verify`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.definition.there import is_file_there, is_folder_there
from workbench.errors import AgentFileError, SetupError
from workbench.markup import counted, printed, visible
from workbench.secrets import value_without_secrets, without_secrets

if TYPE_CHECKING:
    from workbench.model.verifying import Verified

EXIT_DIFFERS = 1
"""`verify`: the program reads a file otherwise than the workbench says."""
_MOST_CHARACTERS = 200


@click.command("verify")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a file: what the program made of it.")
def verify_command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Hold the workbench's reading of agent FILEs, and of those of folders, against the Claude Code program on this
    machine.

    The program is started on them, forty files at a time, with a home of its own and a server of the workbench on
    127.0.0.1 in the place of any model: nothing leaves this machine, and no tool is run, nor a hook or a server of a
    plugin, of which it is given the agents alone. It is that of the extra `claude-code`, or what WORKBENCH_CLAUDE
    names. Exits with 1 where a reading differs, and with 2 where the program does not start.
    """
    from workbench.definition.facts import facts
    from workbench.definition.finding import agent_paths
    from workbench.model.claude_code import find_program
    from workbench.model.verifying import verify_files

    files = list(files_in(agent_paths(paths)))
    program = find_program()
    if program is None:
        raise SetupError(
            "the Claude Code program is not here: pip install 'agent-workbench[claude-code]', or name it in "
            "WORKBENCH_CLAUDE"
        )
    found = verify_files(program, files)
    if as_json:
        for each in found:
            click.echo(json.dumps(value_without_secrets(_as_data(each))))
    else:
        for line in _lines(found):
            click.echo(without_secrets(printed(visible(line))))
        differing = sum(bool(each.differences) for each in found)
        known = str(facts()["version"])
        other = "" if program.version == known else f" (the workbench knows {known})"
        started = sum(each.is_started for each in found)
        click.echo(
            f"Claude Code {program.version}{other}: {counted(len(found), 'file')}, "
            f"{len(found) - differing:,} read alike, {differing:,} otherwise; {started:,} started as subagents."
        )
    if any(each.differences for each in found):
        sys.exit(EXIT_DIFFERS)


def files_in(paths: Sequence[Path]) -> Iterator[Path]:
    """All Markdown files of folders, but for a README: which of them are agents, the program is asked."""
    for path in paths:
        if is_folder_there(path):
            yield from sorted(each for each in path.rglob("*.md") if each.is_file() and each.stem.lower() != "readme")
        elif is_file_there(path):
            yield path
        else:
            raise AgentFileError("there is no such file or folder", path=path)


def _lines(found: Sequence[Verified]) -> Iterator[str]:
    for each in found:
        for one in each.differences:
            program, ours = _brief(one.program), _brief(one.workbench)
            yield f"{each.path}: {one.what}: the program has {program}, the workbench {ours}"


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{without_secrets(text)[:_MOST_CHARACTERS]}..."


def _as_data(each: Verified) -> dict[str, object]:
    """Without the text that the program adds, which is not ours to hand on: its length alone."""
    observed = asdict(each.observed)
    if (sent := each.observed.sent) is not None:
        observed["sent"] = {**asdict(sent), "system": len(sent.system)}
    return {"file": str(each.path), **observed, "differences": [asdict(one) for one in each.differences]}
