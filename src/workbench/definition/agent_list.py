"""The list of agents as the main model is shown it, read: `- NAME: DESCRIPTION (Tools: ...)`, one after the other."""

from __future__ import annotations

import re

_BEGINS = re.compile(r"^- ([^\n:]{1,80}(?::[^\n: ]{1,80})*): ", re.MULTILINE)
"""How an entry begins; the name of a plugin's agent has colons in it."""


def is_agent_list(text: str) -> bool:
    """Whether a line of the text begins as an entry does."""
    return _BEGINS.search(text) is not None


def names_in(listing: str) -> tuple[str, ...]:
    """The names of a list, in its order. A line of a description that looks like an entry is taken for one."""
    return tuple(dict.fromkeys(_BEGINS.findall(listing)))


def entries_in(listing: str) -> dict[str, str]:
    """By name, the text of its entry, up to the next one."""
    starts = list(_BEGINS.finditer(listing))
    ends = [start.start() for start in starts[1:]] + [len(listing)] * bool(starts)
    return {start[1]: listing[start.start() : end].rstrip("\n") for start, end in zip(starts, ends, strict=True)}
