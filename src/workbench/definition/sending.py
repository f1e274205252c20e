"""What Claude Code sends when an agent runs: as a subagent, which is how it is meant, and with `--agent` as the main
thread. Measured with the version of `facts()`; `workbench verify` measures it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import TOOLS_OF_MEMORY, Reading, read_as_claude_code, tool_list
from workbench.definition.document import Document
from workbench.definition.facts import base_tool, facts
from workbench.definition.plugin_agents import IGNORED_KEYS, PluginPlace, plugin_place
from workbench.definition.resolved import resolve, variables_of_aliases
from workbench.definition.two_passes import parse_as_claude_code

_TAKES_EFFECT = ("acceptEdits", "auto")
"""The permission modes that count in a subagent."""
_ONLY_AS_SUBAGENT = ("effort", "maxTurns", "permissionMode", "skills")
_ONLY_AS_MAIN_THREAD = ("initialPrompt",)


@dataclass(frozen=True, kw_only=True)
class Sending:
    """What one way of running an agent sends."""

    model: str
    effort: str | None
    """`None`: no level is sent."""
    tools: tuple[str, ...]
    """Offered from the first request on, in the order of the alphabet."""
    searched: tuple[str, ...] = ()
    """Tools that the agent has too, once it has found them by ToolSearch."""
    withheld: tuple[str, ...] = ()
    """What `tools` names and is not offered: no tool, or none here."""
    refused: bool = False
    """Whether the program does not start it: none of its tools is one."""
    permission_mode: str | None = None
    """The file's, where it takes effect; `None`: the session's."""
    prompt_characters: int
    """Of the file's prompt, blanks at its edges left out."""
    added_characters: int
    """What the program puts behind the prompt, about."""
    added: str = ""
    """What that is, in words."""
    ignored: tuple[str, ...] = ()
    """Keys of the file that do nothing in this way."""


def sending_as_subagent(source: Agent | Document | bytes, *, in_background: bool = True) -> Sending | None:
    """What is sent where the main agent starts this one; in the background, unless it asks otherwise, which leaves some
    tools out. `None`: the file is dropped."""
    reading, values = _read(source)
    if reading.sent is None:
        return None
    tools = _Tools.of(values, reading.sent.model, "background" if in_background else "foreground")
    added, said = _added(values, reading.sent.model)
    mode = values.get("permissionMode")
    return Sending(
        model=reading.sent.model,
        effort=reading.sent.effort,
        tools=tools.offered,
        searched=tools.searched,
        withheld=tools.withheld,
        refused=tools.is_refused,
        permission_mode=mode if mode in _TAKES_EFFECT else None,
        prompt_characters=len(reading.prompt),
        added_characters=added,
        added=said,
        ignored=_present(values, _ONLY_AS_MAIN_THREAD),
    )


def is_offered_beside(tool: str, named: Iterable[str], denied: Iterable[str] = ()) -> bool:
    """Whether a subagent whose `tools` name these, and whose `disallowedTools` those, is offered this tool as well once
    it is named too: what is proposed for the list is what a run then has."""
    values = {"tools": [*named, tool], "disallowedTools": [*denied]}
    return base_tool(tool) in _Tools.of(values, str(facts()["default_model"]), "background").offered


def sending_as_main_thread(source: Agent | Document | bytes) -> Sending | None:
    """What is sent with `--agent`: the session's effort and permissions, and no notes. `None`: the file is dropped."""
    reading, values = _read(source)
    if reading.sent is None:
        return None
    sent = resolve(values.get("model"), None, environment=variables_of_aliases())
    tools = _Tools.of(values, sent.model, "main")
    has_memory = values.get("memory") in facts()["memories"]
    instead = "" if reading.prompt else "its own prompt, as the file has none"
    return Sending(
        model=sent.model,
        effort=sent.effort,
        tools=tools.offered,
        searched=tools.searched,
        withheld=tools.withheld,
        prompt_characters=len(reading.prompt),
        added_characters=int(facts()["added_characters"]["memory"]) if has_memory else 0,
        added="how to use its memory" if has_memory else instead,
        ignored=_present(values, _ONLY_AS_SUBAGENT),
    )


def sending_in_words(source: Agent | Document | bytes) -> tuple[tuple[str, str], ...]:
    """What a subagent run sends beside model and effort, and where `--agent` differs: what, and how; nothing for a file
    that is dropped."""
    sub, main = sending_as_subagent(source), sending_as_main_thread(source)
    if sub is None or main is None:
        return ()
    waited = sending_as_subagent(source, in_background=False)
    rows = [
        ("a subagent is sent", _text_sent(sub)),
        ("is offered", _tools_in_words(sub)),
    ]
    if waited is not None and (more := _beyond(waited.tools, sub.tools)):
        rows.append(("if waited for, also", more))
    if sub.withheld:
        rows.append(("is not offered", _withheld_in_words(sub)))
    mode = f"{sub.permission_mode}, whatever the session's is" if sub.permission_mode else "the session's"
    rows.append(("permissions", mode))
    if sub.ignored:
        rows.append(("without effect", ", ".join(sub.ignored)))
    return (*rows, ("with --agent", "; ".join(_differences(sub, main)) or "the same"))


def _read(source: Agent | Document | bytes) -> tuple[Reading, Mapping[str, Any]]:
    """The reading, and the fields that count; an agent that has a file is read where that stands."""
    place: PluginPlace | None = None
    if isinstance(source, Document):
        document = source
    elif isinstance(source, Agent):
        document = parse_agent(source.text).document
        place = None if source.path is None else plugin_place(source.path)
    else:
        document = parse_agent(source).document
    values = parse_as_claude_code(document).values
    if place is not None:
        values = {key: value for key, value in values.items() if key not in IGNORED_KEYS}
    return read_as_claude_code(document, place=place), values


def _text_sent(sending: Sending) -> str:
    return f"{sending.prompt_characters:,} characters of prompt, and {_text_added(sending)}"


def _text_added(sending: Sending) -> str:
    about = f"about {sending.added_characters:,} behind it: " if sending.added_characters else ""
    return about + sending.added or "nothing behind it"


def _withheld_in_words(sending: Sending) -> str:
    beside = set(facts()["tools_not_beside_bash"]) & set(sending.withheld) if "Bash" in sending.tools else set()
    why = f" (Bash does what {' and '.join(sorted(beside))} did)" if beside else ""
    return ", ".join(sending.withheld) + why


def _tools_in_words(sending: Sending) -> str:
    if sending.refused:
        return "no tool, and so it is not started"
    later = f"; by search {', '.join(sending.searched)}" if sending.searched else ""
    return (", ".join(sending.tools) or "no tool") + later


def _differences(sub: Sending, main: Sending) -> Iterator[str]:
    if main.effort != sub.effort:
        yield f"effort {main.effort or 'not sent'}, the session's"
    if main.model != sub.model:
        yield f"at {main.model}"
    if more := _beyond((*main.tools, *main.searched), (*sub.tools, *sub.searched)):
        yield f"offered also {more}"
    if main.added_characters != sub.added_characters:
        yield _text_added(main)
    if sub.permission_mode:
        yield "the session's permissions"
    if main.ignored:
        yield f"without effect: {', '.join(main.ignored)}"
    if sub.ignored:
        yield f"{', '.join(sub.ignored)} counts"


def _beyond(these: Iterable[str], those: Iterable[str]) -> str:
    return ", ".join(sorted(set(these) - set(those)))


def _present(values: Mapping[str, Any], keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(key for key in keys if values.get(key) not in (None, "", []))


def _added(values: Mapping[str, Any], model: str) -> tuple[int, str]:
    known = facts()["added_characters"]
    parts = [(int(known["notes"]), "notes for subagents")]
    if values.get("memory") in facts()["memories"]:
        parts.append((int(known["memory"]), "how to use its memory"))
    if model in known["models_told"]:
        parts.append((int(known["tokens_left"]), "how many tokens are left"))
    return sum(number for number, _ in parts), ", ".join(said for _, said in parts)


@dataclass(frozen=True, kw_only=True)
class _Tools:
    offered: tuple[str, ...]
    searched: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    is_refused: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any], model: str, way: str) -> _Tools:
        """What is offered in a way of running: "background", "foreground" or "main"."""
        known = facts()
        named, denied = tool_list(values.get("tools")), tool_list(values.get("disallowedTools")) or ()
        never = set() if way == "main" else set(known["main_thread_tools"])
        never |= set(known["foreground_tools"]) if way == "background" else set()
        gone = {base_tool(tool) for tool in denied} | never
        if "tools" in values and not named:
            return cls(offered=())
        if named is None or "*" in named:
            at_once = [*known["tools_at_once"], *(known["tools_of_main_thread"] if way == "main" else ())]
            by_search = list(known["tools_by_search"])
            if model in known["models_without_search"]:
                at_once, by_search = [tool for tool in (*at_once, *by_search) if tool != "ToolSearch"], []
            return cls(offered=_sorted(at_once, gone), searched=_sorted(by_search, gone))
        wanted = [tool for tool in named if tool not in denied]
        if values.get("memory") in known["memories"]:
            wanted += TOOLS_OF_MEMORY
        bases = {base_tool(tool): tool for tool in wanted}
        offered = {base for base in bases if base in known["tools"] and base not in gone}
        if "Bash" in offered:
            offered -= set(known["tools_not_beside_bash"])
        of_servers = {base for base in bases if base.startswith("mcp__") and base not in gone}
        if not of_servers:
            offered -= {"ToolSearch"}  # there is nothing to be searched for
        return cls(
            offered=_sorted(offered, ()),
            searched=tuple(sorted(of_servers)),
            withheld=tuple(tool for base, tool in bases.items() if base not in offered | of_servers),
            is_refused=bool(wanted) and not offered and not of_servers and set(bases) != {"ToolSearch"},
        )


def _sorted(tools: Iterable[str], without: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(tools) - set(without)))
