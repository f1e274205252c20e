"""What all editors of one agent file share, so that a kernel has one draft of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from workbench.definition.agent import FIELDS, Agent, parse_agent
from workbench.definition.draft_files import KeptDraft, draft_path, load_draft
from workbench.errors import AgentFileError
from workbench.widgets.frame import is_headless

if TYPE_CHECKING:
    from workbench.widgets.editor_view import EditorView

EDITABLE = (*FIELDS, "prompt")
"""The fields, and the prompt."""


@dataclass
class Work:
    """The draft of one file and what it stands beside; `lock` guards all of it."""

    saved: Agent
    base: Agent
    """What the edits are made on: `saved`, or the agent of the text that was typed as a whole."""
    edits: dict[str, Any] = field(default_factory=dict)
    typed: str | None = None
    """The whole text as it was typed since; it is read once somebody asks for the draft."""
    draft: Agent | None = None
    """`base` with `edits`, once somebody has asked for it."""
    text: tuple[Agent, str] | None = None
    """A draft and its text, so that it is put together once."""
    unreadable: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By field: a text that is no value yet, and why; the draft keeps the value before."""
    drafts: Path | None = None
    """Where the draft is kept, wherever the kernel goes meanwhile; `None` for an agent that came from no file."""
    offered: KeptDraft | None = None
    disk: Agent | None = None
    """What the file was found to hold when it was not what it should."""
    thrown_away: str | None = None
    is_gone: bool = False
    """Whether there was no file any more when it was to be written."""
    note: str = ""
    """What the last act came to."""
    note_fails: bool = False
    """Whether that is something that could not be done."""
    view: EditorView | None = None
    observers: list[Callable[[], None]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)


works: WeakValueDictionary[Path, Work] = WeakValueDictionary()
"""By the resolved path of the file, for as long as an editor of it is alive."""


def begin_work(agent: Agent) -> Work:
    """An agent to be edited; the changes that it has beside its file are edits already.

    What an earlier kernel kept of its file is offered, except in a headless run.
    """
    if agent.path is None:
        return Work(saved=agent, base=agent)
    disk = as_on_disk(agent)
    edits = {name: getattr(agent, name) for name in EDITABLE if getattr(agent, name) != getattr(disk, name)}
    work = Work(saved=disk, base=disk, edits=edits, drafts=draft_path(agent.path))
    if not is_headless():
        try:
            kept = load_draft(draft_path(agent.path))
        except AgentFileError as error:
            work.note, work.note_fails = str(error), True
        else:
            work.offered = kept if kept is not None and kept.text != disk.text else None
    return work


def as_on_disk(agent: Agent) -> Agent:
    """The agent as its file has it, without changes made to the value since it was read."""
    return agent if agent.text == agent.document.text else parse_agent(agent.document.to_bytes(), path=agent.path)
