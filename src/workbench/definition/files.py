"""The way of an agent from and to its file: all or nothing, and never over what somebody else wrote."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from workbench.definition.agent import Agent, fields_of, misread, parse_agent
from workbench.definition.fields import FIELDS, key_of
from workbench.definition.header import brief
from workbench.definition.lines import lines_of
from workbench.definition.replacing import LONGEST_WAIT_SECONDS, alone_in, replace_file
from workbench.definition.there import bytes_in, path_of
from workbench.definition.two_passes import parse_as_claude_code
from workbench.errors import AgentChangedOnDisk, AgentFileError

_LONGEST_DIFF = 20
_MOST_COMPARED = 2_000_000
"""Bytes of a file, up to which a message shows what changed in it: to find that out takes long in a longer one."""


def load_agent(path: str | Path) -> Agent:
    """The agent in this file.

    Raises:
        AgentFileError: the file cannot be read. What is in it never makes this raise.
    """
    try:
        data = bytes_in(path)
    except OSError as error:
        raise AgentFileError(f"cannot be read: {error.strerror}", path=path) from error
    return parse_agent(data, path=path)


def save_agent(
    agent: Agent,
    path: str | Path | None = None,
    *,
    over: Agent | None = None,
    longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
) -> Agent:
    """Writes the changed entries into the file, all or nothing, and gives the agent as the file has it now.

    Go on editing what is returned: `agent = save_agent(agent.replace(model="haiku"))`. A link is followed; mode, owner,
    group and extended attributes are kept. A file that changed since it was read, or that was never read, is not
    overwritten; of those who save at one moment one does, and the others are told what changed.

    Args:
        path: where to; `agent.path` unless given.
        over: the agent that the file is expected to hold, where `agent` was parsed from another text.
        longest_wait_seconds: how long others who save in its folder are waited for.

    Raises:
        AgentChangedOnDisk: the file is not the one that was read; the message says what changed.
        AgentFileError: it cannot be written, or would not read back as it should; the old file is as it was.
    """
    target = Path(path) if path is not None else agent.path
    if target is None:
        raise AgentFileError("this agent was not read from a file; give save_agent a path")
    data = agent.to_bytes()
    saved = parse_agent(data, path=target)
    _check_read_back(agent, saved, target)
    try:
        real = path_of(target).resolve()
        with alone_in(real.parent, longest_wait_seconds=longest_wait_seconds):
            now = _bytes_on_disk(real)
            if now != data:
                _check_unchanged(over or agent, now, target)
                replace_file(real, data, old=now)
    except OSError as error:
        raise AgentFileError(f"not saved: {error.strerror or error}; the file is as it was", path=target) from error
    return saved


def diff_agents(before: Agent, after: Agent) -> str:
    """Unified diff of the two files as text; empty where they are equal."""
    return _diff(before.text, after.text, str(before.path or before.name), str(after.path or after.name))


def _check_read_back(agent: Agent, saved: Agent, path: Path) -> None:
    """Raises `AgentFileError` unless the text that is to be written says what the agent says.

    To Claude Code too, where it reads the header as it is: what its repair or a `---` does is for `check_agent`.
    """
    for name in (*FIELDS, "prompt"):
        if getattr(saved, name) != getattr(agent, name):
            raise AgentFileError(
                f"not saved: {key_of(name)} would read back as {brief(getattr(saved, name))} "
                f"instead of {brief(getattr(agent, name))}; mend the header by hand, the file is as it was",
                path=path,
            )
    parsed = parse_as_claude_code(saved.document)
    is_cut = parsed.header is None or len(parsed.header) < len(saved.document.header.rstrip(" \t\r\n"))
    if parsed.kind != "strict" or is_cut:
        return
    before = fields_of(agent.document)
    for name in misread(saved.document, saved, ("name", "description", "model")):
        if getattr(saved, name) != before[name]:
            raise AgentFileError(
                f"not saved: Claude Code would read {name} as {brief(parsed.values.get(name))} "
                f"instead of {brief(getattr(agent, name))}; the file is as it was",
                path=path,
            )


def _bytes_on_disk(path: Path) -> bytes | None:
    try:
        return bytes_in(path)
    except FileNotFoundError:
        return None


def _check_unchanged(agent: Agent, now: bytes | None, target: Path) -> None:
    was_read_here = agent.path is not None and agent.path.resolve() == target.resolve()
    if now is None:
        if was_read_here:
            raise AgentChangedOnDisk(
                "the file is gone since it was read; nothing was written. Save it under another path",
                path=target,
            )
        return
    then = agent.document.to_bytes()
    if now == then:
        return
    if not was_read_here:
        raise AgentChangedOnDisk(
            "a file is there that this agent was not read from; nothing was written. "
            "Load it, or save under another path",
            path=target,
        )
    if max(len(then), len(now)) > _MOST_COMPARED:
        raise AgentChangedOnDisk(
            f"the file changed since it was read, from {len(then):,} to {len(now):,} bytes; nothing was written. "
            "Load it again and repeat the edit, or save under another path",
            path=target,
        )
    before, after = (data.decode("utf-8", "backslashreplace") for data in (then, now))
    lines = _diff(before, after, "as it was read", "as it is now").splitlines()
    more = [f"... and {len(lines) - _LONGEST_DIFF} more lines"] if len(lines) > _LONGEST_DIFF else []
    raise AgentChangedOnDisk(
        "the file changed since it was read; nothing was written. Load it again and repeat the edit, "
        "or save under another path:\n" + "\n".join([*lines[:_LONGEST_DIFF], *more]),
        path=target,
    )


def _diff(before: str, after: str, name_before: str, name_after: str) -> str:
    if before == after:
        return ""
    lines = difflib.unified_diff(_shown_lines(before), _shown_lines(after), name_before, name_after, lineterm="")
    return "\n".join(lines) + "\n"


def _shown_lines(text: str) -> Sequence[str]:
    """The lines without a line end of LF, so that a changed line end, or a missing last one, can be seen."""
    shown = [line.removesuffix("\n").replace("\r", "\\r") for line in lines_of(text)]
    if text and not text.endswith(("\n", "\r")):
        shown.append("\\ No newline at end of file")
    return shown
