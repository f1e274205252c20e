"""What all drafts of one agent file share, so that a process has one draft of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.draft_files import KeptDraft, draft_path, load_draft
from workbench.definition.fields import FIELDS
from workbench.errors import AgentFileError

EDITABLE = (*FIELDS, "prompt")
"""The fields, and the prompt."""


@dataclass
class DraftState:
    """What all drafts of one file share; `lock` guards all of it.

    The draft is `base` with `edits`, or, once a whole text was typed, the agent of `typed`; both are put together when
    somebody asks, for a page sends a message with every key.
    """

    saved: Agent
    base: Agent
    """What the edits are made on: `saved`, or the agent of the text that was typed as a whole."""
    edits: dict[str, Any] = field(default_factory=dict)
    typed: str | None = None
    draft: Agent | None = None
    """`base` with `edits`, once somebody has asked for it."""
    text: tuple[Agent, str] | None = None
    """A draft and its text, so that it is put together once."""
    shown: dict[str, tuple[str, Any]] = field(default_factory=dict)
    """By field: a text as it was typed into its control, and the value that it stands for."""
    unreadable: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By field: a text that is no value yet, and why; the draft keeps the value before."""
    drafts: Path | None = None
    """Where the draft is kept, wherever the process goes meanwhile; `None` for an agent that came from no file."""
    offered: KeptDraft | None = None
    """What an earlier process kept, until somebody has decided on it."""
    is_damaged: bool = False
    """Whether what an earlier process kept cannot be read: its author may still look into it."""
    disk: Agent | None = None
    """What the file was found to hold when it was not what it should."""
    is_gone: bool = False
    is_illegible: bool = False
    """Whether the file on disk could not be read when it was last looked at."""
    thrown_away: str | None = None
    seen: tuple[int, int, int] | None = (0, 0, 0)
    """The mark of the file on disk when it was last looked at, what `mark_of` gives; at first that of no file."""
    news: str = ""
    """What befell the file outside, in a sentence, until somebody edits or saves."""
    trouble: str = ""
    faces: dict[str, object] = field(default_factory=dict)
    """By what it is: what shows the draft, or what is tried of it."""
    observers: list[Callable[[], None]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)


open_drafts: WeakValueDictionary[Path, DraftState] = WeakValueDictionary()
"""By the resolved path of the file, for as long as a `Draft` of it is alive."""


def begin_state(agent: Agent, *, offers: bool) -> DraftState:
    """The state of a draft that nobody has typed into yet."""
    if agent.path is None:
        return DraftState(saved=agent, base=agent)
    disk = as_on_disk(agent)
    state = DraftState(saved=disk, base=disk, edits=edits_beside(agent, disk), drafts=draft_path(agent.path))
    if offers:
        try:
            kept = load_draft(draft_path(agent.path))
        except AgentFileError as error:
            state.trouble, state.is_damaged = str(error), True
        else:
            state.offered = kept if kept is not None and kept.text != disk.text else None
    return state


def mark_of(path: Path) -> tuple[int, int, int] | None:
    """What changes whenever a file does: its inode, its length in bytes and its time in ns; `None`: there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def as_on_disk(agent: Agent) -> Agent:
    """The agent as its file has it, without changes made to the value since it was read."""
    return agent if agent.text == agent.document.text else parse_agent(agent.document.to_bytes(), path=agent.path)


def edits_beside(agent: Agent, disk: Agent) -> dict[str, Any]:
    """By name, the values in which an agent differs from its file."""
    return {name: getattr(agent, name) for name in EDITABLE if getattr(agent, name) != getattr(disk, name)}
