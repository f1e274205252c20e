"""What is wrong with the entries of a hook event, as Claude Code checks them; what a hook has is in `facts()`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from workbench.definition.facts import facts
from workbench.definition.header import brief


def fault_in_event(entries: Any) -> str:
    """What is wrong in the entries of one hook event, as the end of a sentence; empty where nothing is."""
    if entries is None:
        return ""
    if not isinstance(entries, list):
        return "is no list"
    for entry in entries:
        if not isinstance(entry, dict):
            return f"has an entry that is {brief(entry)}, no mapping"
        if not isinstance(entry.get("matcher", ""), str):
            return "has a `matcher` that is no text"
        if not isinstance(entry.get("hooks"), list):
            return "has an entry without a list `hooks`"
        for hook in entry["hooks"]:
            if fault := _fault_in_hook(hook):
                return fault
    return ""


def _fault_in_hook(hook: Any) -> str:
    if not isinstance(hook, dict) or hook.get("type") not in facts()["hook_types"]:
        return "has a hook of no known `type`"
    for name in facts()["hook_needs"][hook["type"]]:
        if not isinstance(hook.get(name), str):
            return f"has a hook of type {hook['type']} whose `{name}` is no text"
        if name == "url" and not _is_address(hook[name]):
            return "has a hook whose `url` is no address"
    for name, kind in facts()["hook_may"].items():
        if name in hook and not _KINDS[kind](hook[name]):
            return f"has a hook whose `{name}` is {brief(hook[name])}, not {kind}"
    return ""


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return False
    return bool(parts.scheme) and (bool(parts.netloc) or parts.scheme not in ("http", "https"))


def _is_above_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "above zero": _is_above_zero,
    "true or false": lambda value: isinstance(value, bool),
    "text": lambda value: isinstance(value, str),
    "bash or powershell": lambda value: value in ("bash", "powershell"),
    "texts": _are_texts,
    "texts by name": lambda value: isinstance(value, dict) and all(isinstance(each, str) for each in value.values()),
    "a mapping": lambda value: isinstance(value, dict),
}
"""By how `facts()` calls it."""
