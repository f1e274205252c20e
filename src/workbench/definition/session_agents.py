"""What `claude --agents` refuses in an agent. Other than in a file, nothing that is amiss is ignored: the program does
not start. Measured with 2.1.332, a value at a time; keys that it does not know, and `color`, it lets pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.definition.facts import facts
from workbench.definition.fields import FIELD_OF_KEY, Field
from workbench.definition.header import brief
from workbench.definition.hooks import fault_in_event

_NOT_ASKED = ("name", "color")
_NOT_EMPTY = ("description", "model")


def faults_in_session_agent(values: Mapping[str, Any]) -> dict[str, str]:
    """By key, for what the program does not start with this agent, as the end of a sentence; empty where it does."""
    faults = {key: "is no text" for key in ("description", "prompt") if not isinstance(values.get(key), str)}
    for key, value in values.items():
        one = FIELD_OF_KEY.get(key)
        if one is not None and key not in (*_NOT_ASKED, *faults) and (fault := _fault(one, value)):
            faults[key] = fault
    return faults


def _fault(one: Field, value: Any) -> str:
    if one.key in _NOT_EMPTY and value == "":
        return "is empty"
    if one.is_list:
        return "" if isinstance(value, list) and all(isinstance(each, str) for each in value) else "is no list of texts"
    if one.key == "hooks":
        return next((f"has `{event}`, which {fault}" for event, fault in faults_in_hooks(value)), "")
    if one.key == "mcpServers":
        return "" if isinstance(value, list) and all(map(_is_server, value)) else "is no list of names and servers"
    if one.key == "maxTurns":
        return "" if type(value) is int and value > 0 else f"is {brief(value)}, no whole number above 0"
    if one.key == "background":
        return "" if isinstance(value, bool) else f"is {brief(value)}, neither true nor false"
    if one.key == "effort" and type(value) is int:
        return ""
    if not isinstance(value, str):
        return "is no text"
    if one.kind == "choice" and value not in one.values:
        return f"is {brief(value)}, none that it knows"
    return ""


def faults_in_hooks(hooks: Any) -> Iterator[tuple[str, str]]:
    """The events for which hooks are refused, each with why."""
    if not isinstance(hooks, dict):
        yield brief(hooks), "is no mapping of events"
        return
    for event, entries in hooks.items():
        if event not in facts()["hook_events"]:
            yield str(event), "is no event"
        elif fault := fault_in_event(entries) if entries is not None else "is no list":
            yield event, fault


def _is_server(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, dict) and all(isinstance(server, dict) for server in value.values())
    )
