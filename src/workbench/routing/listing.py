"""The list of agents as the main model is shown it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workbench.definition.agent import Agent
from workbench.definition.agent_list import entries_in
from workbench.definition.claude_code import ALL_TOOLS, Granted, Reading, read_as_claude_code
from workbench.definition.project_agents import listing_line
from workbench.errors import PlanError
from workbench.model.claude_code import ListedAgent
from workbench.model.frames import BUILT_IN

GENERAL = "general-purpose"
"""The agent that a call which names none goes to."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An agent as it stands in the list."""

    name: str
    description: str | None
    """`None`: the program's own, which only it knows."""
    tools: Granted = ALL_TOOLS

    @classmethod
    def of(cls, reading: Reading) -> Entry:
        """That of an agent with a name, as Claude Code reads it."""
        return cls(name=reading.name or "", description=reading.description or "", tools=reading.granted or ALL_TOOLS)

    @property
    def text(self) -> str:
        if self.description is None:
            return f"- {self.name}: {BUILT_IN}"
        return listing_line(self.name, self.description, self.tools.in_words)

    @property
    def as_listed(self) -> ListedAgent:
        """The agent for the program itself to list; its tools only where they are a plain list."""
        return ListedAgent(name=self.name, description=self.description or "", tools=self.tools.named)


def entries_of(agents: Mapping[str, Agent] | Iterable[Agent], built_in: Iterable[Entry] = ()) -> tuple[Entry, ...]:
    """The list in the program's order: by name, whatever its case. An agent of a built-in one's name stands in its
    place.

    Raises:
        PlanError: none of the agents would be listed, or two have one name.
    """
    found: dict[str, Entry] = {}
    for agent in agents.values() if isinstance(agents, Mapping) else agents:
        reading = read_as_claude_code(agent)
        if reading.name is None:
            continue
        if reading.name in found:
            raise PlanError(f"two agents have the name {reading.name!r}; Claude Code lists one of them: rename one")
        found[reading.name] = Entry.of(reading)
    if not found:
        raise PlanError("no agent would be listed, so that none can be picked; workbench lint says why")
    entries = [*found.values(), *(entry for entry in built_in if entry.name not in found)]
    return tuple(sorted(entries, key=lambda entry: entry.name.lower()))


def in_order(entries: Iterable[Entry], order: int) -> tuple[Entry, ...]:
    """The list as order 0 has it, the program's own; as another shuffles it, each time alike."""
    listed = sorted(entries, key=lambda entry: entry.name.lower())
    if order:
        random.Random(order).shuffle(listed)
    return tuple(listed)


def listing_of(entries: Iterable[Entry]) -> str:
    """The text of the list, an entry after the other."""
    return "\n".join(entry.text for entry in entries)


def own_names_in(listing: str) -> tuple[str, ...]:
    """The names of a list, in its order, but for the program's own agents."""
    entries = entries_in(listing)
    return tuple(name for name, text in entries.items() if name != GENERAL and not text.endswith(f": {BUILT_IN}"))
