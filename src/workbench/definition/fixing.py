"""Repairs of agent files, one at a time: what is written differently and read alike, and apart from it what is not.

A repair is safe where both readings stay as they are, what the author wrote and what Claude Code makes of it, and every
byte of the body. A backslash and an n in a description count as the line end that Claude Code shows. Everything else,
such as a file that is dropped now and would be listed, changes something, and says what.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from workbench.definition.agent import Agent
from workbench.definition.claude_code import Reading, read_where_it_stands
from workbench.definition.fields import FIELDS, key_of
from workbench.definition.files import diff_agents
from workbench.definition.header import Problem, brief
from workbench.definition.lint import check_agent
from workbench.definition.mend import find_mend, mendable
from workbench.definition.two_passes import parse_as_claude_code, shown_description

_SHOWN = ("name", "description", "tools", "model", "effort", "prompt")
"""What a repair may change of a reading, in the order in which it is said."""


@dataclass(frozen=True, kw_only=True)
class Fix:
    """One repair of an agent file."""

    problem: Problem
    """What it repairs."""
    before: Agent
    after: Agent
    changes: str = ""
    """What is read otherwise afterwards, by Claude Code or by others; empty for a safe repair."""

    @property
    def is_safe(self) -> bool:
        return not self.changes

    @property
    def diff(self) -> str:
        """The lines that change, as a unified diff."""
        return diff_agents(self.before, self.after)


def fixes_of(agent: Agent, *, with_changes: bool = False, rules: Collection[str] = ()) -> tuple[Fix, ...]:
    """The repairs of this agent's file, each of what the one before it left; without those that change anything,
    unless they are wanted. `rules`: of these alone."""
    found = []
    tried: set[str] = set()
    while (fix := _next(agent, tried, with_changes=with_changes, rules=rules)) is not None:
        found.append(fix)
        agent = fix.after
    return tuple(found)


def changing_fixes_of(agent: Agent, *, rules: Collection[str] = ()) -> tuple[Fix, ...]:
    """The repairs that are not safe, each of the file as it is."""
    found = (_fix_of(agent, problem) for problem in _wanted(agent, rules))
    return tuple(fix for fix in found if fix is not None and not fix.is_safe)


def _next(agent: Agent, tried: set[str], *, with_changes: bool, rules: Collection[str]) -> Fix | None:
    """The first repair that leads to a text that was not there before: else two could undo each other for ever."""
    tried.add(agent.text)
    for problem in _wanted(agent, rules):
        fix = _fix_of(agent, problem)
        if fix is not None and (fix.is_safe or with_changes) and fix.after.text not in tried:
            return fix
    return None


def _wanted(agent: Agent, rules: Collection[str]) -> tuple[Problem, ...]:
    problems = mendable(agent, check_agent(agent))
    return tuple(problem for problem in problems if not rules or problem.rule in rules)


def _fix_of(agent: Agent, problem: Problem) -> Fix | None:
    mend = find_mend(agent, problem)
    if mend is None:
        return None
    return Fix(problem=problem, before=agent, after=mend.agent, changes=_changes(agent, mend.agent))


def _changes(before: Agent, after: Agent) -> str:
    """What is read otherwise, by Claude Code first."""
    now, then = read_where_it_stands(before), read_where_it_stands(after)
    if not now.listed and then.listed:
        return f"Claude Code then lists the agent, as {then.name!r}, and drops it now."
    said = [*_read_otherwise(now, then), *_written_otherwise(before, after)]
    return " ".join(said or _parsed_otherwise(before, after))


def _read_otherwise(now: Reading, then: Reading) -> Iterator[str]:
    for what in _SHOWN:
        one, other = getattr(now, what), getattr(then, what)
        if one != other:
            yield f"Claude Code then reads {what} as {_shown(other)}, and now as {_shown(one)}."


def _written_otherwise(before: Agent, after: Agent) -> Iterator[str]:
    for name in FIELDS:
        one, other = getattr(before, name), getattr(after, name)
        if name == "description" and isinstance(one, str) and isinstance(other, str):
            one, other = shown_description(one), shown_description(other)
        if one != other:
            yield f"`{key_of(name)}` then says {_shown(other)}, and now {_shown(one)}."


def _shown(value: object) -> str:
    """A value in a sentence: a list as its names, nothing as nothing."""
    if value is None:
        return "nothing"
    return brief(", ".join(map(str, value)) if isinstance(value, list | tuple) else value)


def _parsed_otherwise(before: Agent, after: Agent) -> Iterator[str]:
    """What neither reading tells of: fields of which Claude Code makes something that is not seen in them."""
    now, then = (parse_as_claude_code(agent.document) for agent in (before, after))
    for key in dict.fromkeys((*now.values, *then.values)):
        one, other = now.values.get(key), then.values.get(key)
        if key != "description" and (one, type(one)) != (other, type(other)):
            yield f"Claude Code then has `{key}` as {_shown(other)}, and now as {_shown(one)}."
    if before.document.body != after.document.body:
        yield "The prompt is then another one."
