"""Edits of an agent that somebody else proposes: each by itself, to be taken or left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.definition.agent import Agent
from workbench.errors import WorkbenchError

Part = Literal["description", "prompt"]
PARTS: tuple[Part, ...] = ("description", "prompt")


@dataclass(frozen=True, kw_only=True)
class Hunk:
    """A stretch of the description or the prompt, and what is to stand there instead."""

    part: Part
    old: str
    """As it stands, and only once."""
    new: str
    why: str
    line: int
    """On which it begins in its part, from 1."""

    @property
    def diff(self) -> str:
        """Its lines, the old ones with - and the new ones with +."""
        lines = [f"-{line}" for line in self.old.split("\n")] + [
            f"+{line}" for line in self.new.split("\n") if self.new
        ]
        return "\n".join(lines)


def with_hunks(agent: Agent, *hunks: Hunk) -> Agent:
    """The agent with these edits made, each where its old text stands now; nothing else in it changes.

    Raises:
        WorkbenchError: an old text is not in it any more, or not once, or two edits change the same.
    """
    changed: dict[str, str] = {}
    for part in PARTS:
        text = getattr(agent, part) or ""
        places = sorted((_place(text, hunk), hunk.old, hunk.new) for hunk in hunks if hunk.part == part)
        written, done = [], 0
        for at, old, new in places:
            if at < done:
                raise WorkbenchError(f"not taken: two hunks change the same in the {part}")
            written += [text[done:at], new]
            done = at + len(old)
        if places:
            changed[part] = "".join([*written, text[done:]])
    return agent.replace(**changed)


def _place(text: str, hunk: Hunk) -> int:
    count = text.count(hunk.old) if hunk.old else 0
    if count != 1:
        times = "not there any more" if not count else f"there {count} times"
        raise WorkbenchError(f"not taken: what the hunk changes in the {hunk.part} is {times}")
    return text.index(hunk.old)
