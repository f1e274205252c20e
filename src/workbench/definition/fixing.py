"""The repairs of an agent file one after the other: the safe ones, and on request those that change what is read."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from workbench.definition.agent import Agent
from workbench.definition.lint import check_agent
from workbench.definition.mend import Mend, mends_of


def fixes_of(agent: Agent, *, with_changes: bool = False, rules: Collection[str] = ()) -> tuple[Mend, ...]:
    """The repairs of this agent's file, each of what the one before it left; without those that change anything,
    unless they are wanted. `rules`: of these alone."""
    found = []
    tried: set[str] = set()
    while (fix := _next(agent, tried, with_changes=with_changes, rules=rules)) is not None:
        found.append(fix)
        agent = fix.after
    return tuple(found)


def _next(agent: Agent, tried: set[str], *, with_changes: bool, rules: Collection[str]) -> Mend | None:
    """The first repair that leads to a text that was not there before: else two could undo each other for ever."""
    tried.add(agent.text)
    for mend in _wanted(agent, rules):
        if (mend.is_safe or with_changes) and mend.after.text not in tried:
            return mend
    return None


def _wanted(agent: Agent, rules: Collection[str]) -> Iterator[Mend]:
    return mends_of(agent, (problem for problem in check_agent(agent) if not rules or problem.rule in rules))
