"""What is read otherwise after a change of an agent file: by Claude Code, by its author, and by other readers.

Nothing is, where both readings stay as they are, what the author wrote and what Claude Code makes of it, and every byte
of the body. A backslash and an n in a description count as the line end that Claude Code shows.
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.definition.agent import Agent
from workbench.definition.claude_code import Reading, read_where_it_stands
from workbench.definition.fields import FIELDS, key_of
from workbench.definition.header import brief, brief_pair
from workbench.definition.two_passes import parse_as_claude_code, shown_description

_SHOWN = ("name", "description", "tools", "model", "effort", "prompt")
"""What of a reading may become another, in the order in which it is said."""


def what_changes(before: Agent, after: Agent) -> str:
    """What is read otherwise of the second than of the first, in sentences, by Claude Code first; empty: nothing."""
    now, then = read_where_it_stands(before), read_where_it_stands(after)
    if not now.listed and then.listed:
        return f"Claude Code then lists the agent, as {then.name!r}, and drops it now."
    said = [*_read_otherwise(now, then), *_written_otherwise(before, after)]
    return " ".join(said or _parsed_otherwise(before, after))


def _read_otherwise(now: Reading, then: Reading) -> Iterator[str]:
    for what in _SHOWN:
        one, other = getattr(now, what), getattr(then, what)
        if one != other:
            now_shown, then_shown = _both(one, other)
            yield f"Claude Code then reads {what} as {then_shown}, and now as {now_shown}."


def _written_otherwise(before: Agent, after: Agent) -> Iterator[str]:
    for name in FIELDS:
        one, other = getattr(before, name), getattr(after, name)
        if name == "description" and isinstance(one, str) and isinstance(other, str):
            one, other = shown_description(one), shown_description(other)
        if one != other:
            now_shown, then_shown = _both(one, other)
            yield f"`{key_of(name)}` then says {then_shown}, and now {now_shown}."


def _both(one: object, other: object) -> tuple[str, str]:
    """Two values in a sentence: a list as its names, nothing as nothing."""
    return _values(*(", ".join(map(str, each)) if isinstance(each, list | tuple) else each for each in (one, other)))


def _values(one: object, other: object) -> tuple[str, str]:
    if one is None or other is None:
        return "nothing" if one is None else brief(one), "nothing" if other is None else brief(other)
    return brief_pair(one, other)


def _parsed_otherwise(before: Agent, after: Agent) -> Iterator[str]:
    """What neither reading tells of: fields of which Claude Code makes something that is not seen in them."""
    now, then = (parse_as_claude_code(agent.document) for agent in (before, after))
    for key in dict.fromkeys((*now.values, *then.values)):
        one, other = now.values.get(key), then.values.get(key)
        if key != "description" and (one, type(one)) != (other, type(other)):
            now_shown, then_shown = _values(one, other)
            yield f"Claude Code then has `{key}` as {then_shown}, and now as {now_shown}."
    if before.document.body != after.document.body:
        yield "The prompt is then another one."
