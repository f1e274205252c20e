"""An agent as other programs take it: what is carried, and field by field what is lost on the way.

What an author wrote is carried, as far as the other program has a place for it; the prompt always, as it is. Nothing is
lost without a word: a field that is set, an unknown key and a single tool are each either carried or told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.definition.agent import Agent
from workbench.definition.carry_targets import HEX_COLOR, SLUG_SIGNS, TARGETS, Target, known_since, targets
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.facts import base_tool, facts
from workbench.definition.fields import FIELD_OF_KEY, FIELDS
from workbench.definition.header import brief
from workbench.definition.resolved import resolve_model_alias
from workbench.definition.session_agents import faults_in_hooks, faults_in_session_agent
from workbench.definition.yaml_writing import yaml_lines
from workbench.markup import visible

_CHANGING = ("Bash", "Edit", "MultiEdit", "NotebookEdit", "Write")
"""With none of these an agent changes no file."""
_NO_SLUG = re.compile(f"[^{SLUG_SIGNS}]+")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Lost:
    """What does not arrive as it was written."""

    key: str
    """The frontmatter key, or `prompt`."""
    value: str
    """What is lost of it, in brief."""
    why: str


@dataclass(frozen=True, kw_only=True)
class Carried:
    """An agent as another program takes it."""

    to: Target
    file: str
    """Where that program looks for it, from the project's folder."""
    text: str
    """The file; a byte of the prompt that is not UTF-8 is a lone surrogate."""
    carried: tuple[str, ...]
    """Keys that arrive, wholly or in part."""
    lost: tuple[Lost, ...]

    def to_bytes(self) -> bytes:
        """The file's bytes."""
        return self.text.encode("utf-8", "surrogateescape")

    def __str__(self) -> str:
        lines = [f"carried: {', '.join(self.carried)}"]
        lines += [f"lost: {each.key}{each.value and f' {each.value}'}: {each.why}" for each in self.lost]
        lines.append(known_since(self.to))
        return "\n".join(map(visible, lines))


def carry_agent(agent: Agent, to: Target) -> Carried:
    """The agent as this program takes it, and what is lost: what cannot be said there is told, and is no error.

    Name and description are those that Claude Code reads, and of a file that it drops those that the author wrote.

    Raises:
        ValueError: there is no such target.
    """
    if to not in TARGETS:
        raise ValueError(f"there is no target {to!r}; there are {', '.join(TARGETS)}")
    cargo = _Cargo(agent, to)
    text = _WRITERS[to](cargo)
    cargo.leave_unknown_keys()
    return Carried(
        to=to,
        file=str(targets()[to]["file"]).format(name=slug(cargo.name)),
        text=text,
        carried=tuple(dict.fromkeys(cargo.carried)),
        lost=tuple(cargo.lost),
    )


def slug(name: str) -> str:
    """The name in small letters, digits, hyphens and underscores; "agent" where nothing is left."""
    return _NO_SLUG.sub("-", name.lower()).strip("-") or "agent"


def without_surrogates(text: str) -> str:
    """The text as every encoding can write it."""
    return _SURROGATES.sub("\ufffd", text)


@dataclass
class _Cargo:
    """The agent on its way: what is taken is told in `carried`, what is left in `lost`."""

    agent: Agent
    to: Target
    carried: list[str] = field(default_factory=lambda: ["prompt"])
    lost: list[Lost] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        reading = read_as_claude_code(self.agent)
        stem = self.agent.path.stem if self.agent.path is not None else ""
        self.name = without_surrogates(reading.name or self.agent.name or stem) or "agent"
        self.description = without_surrogates(reading.description or self.agent.description or "")
        if self.agent.name is not None:
            self.carried.append("name")
        if self.description.strip():
            self.carried.append("description")
        else:
            self.description = f"The agent {self.name}."
            self.lose("description", "is required there, and there is none: a placeholder stands for it")
        self.taken |= {"name", "description"}

    @property
    def known(self) -> Mapping[str, Any]:
        return dict(targets()[self.to])

    def value(self, key: str) -> Any:
        """What the agent says in this field; asked for, so either taken or told as lost by who asks."""
        self.taken.add(key)
        return getattr(self.agent, FIELD_OF_KEY[key].name)

    def take(self, key: str) -> None:
        self.carried.append(key)

    def lose(self, key: str, why: str, value: Any = None) -> None:
        self.lost.append(Lost(key=key, value="" if value is None else brief(value), why=why))

    def leave(self, *keys: str, why: str) -> None:
        """Tells of those that are set that they are lost."""
        for key in keys:
            if (value := self.value(key)) is not None:
                self.lose(key, why, value)

    def leave_rest(self) -> None:
        """Whatever no writer has asked for."""
        says = self.known["says"]
        self.leave(*(one.key for one in FIELDS.values() if one.key not in self.taken), why=f"{says} has no such field")

    def leave_unknown_keys(self) -> None:
        seen: dict[str, Any] = {}
        for entry in self.agent.document.entries:
            if entry.key not in FIELD_OF_KEY:
                self.lose(entry.key, "is no field of Claude Code's, which ignores it too", entry.value)
            elif entry.key in seen:
                self.lose(entry.key, "stands twice, and the last one counts", seen[entry.key])
            seen[entry.key] = entry.value

    def tools(self) -> Mapping[str, str] | None:
        """The tools that are left when those denied are taken away: as they are called today, without what limits
        nothing in a subagent, and as they are written; `None` for all of them."""
        given, denied = self.value("tools"), self.value("disallowedTools") or ()
        for key, names in (("tools", given or ()), ("disallowedTools", denied)):
            for name in names:
                if "(" in name:
                    self.lose(key, "what stands in parentheses limits nothing in a subagent", name)
        if given is None or "*" in given:
            return None
        left: dict[str, str] = {}
        for name in given:
            if (base := base_tool(name)) not in self.denied():
                left.setdefault(base, name)
        return left

    def denied(self) -> Mapping[str, str]:
        """The tools that are denied, as they are called today and as they are written."""
        return {base_tool(name): name for name in self.agent.disallowed_tools or () if name != "*"}

    def there(self, base: str, mcp: Callable[[str, str], str | None]) -> str | None:
        """The program's own name for a tool; `None` where it has none."""
        if base.startswith("mcp__"):
            return _mcp(base, mcp)
        found = self.known["tools"].get(base)
        return None if found is None else str(found)

    def mapped_tools(self, mcp: Callable[[str, str], str | None]) -> tuple[str, ...] | None:
        """As `tools`, in the program's own names; what has none, or one that gives back what is denied, is told."""
        allowed = self.tools()
        if allowed is None:
            if self.agent.tools is not None:
                self.take("tools")
            return None
        shut = {self.there(base, mcp): name for base, name in self.denied().items()}
        found = []
        for base, name in allowed.items():
            there = self.there(base, mcp)
            if there is None:
                self.lose("tools", f"{self.known['says']} has no such tool", name)
            elif there in shut:
                self.lose("tools", f"its {there} would do what {shut[there]} is denied for", name)
            else:
                found.append(there)
        self.take("tools")
        if self.agent.disallowed_tools:
            self.take("disallowedTools")
        return tuple(dict.fromkeys(found))

    def named_tools(self, mcp: Callable[[str, str], str | None]) -> tuple[str, ...] | None:
        """As `mapped_tools`, for a program in which tools are named and none is taken away: where all are given but
        some, the others are named one by one."""
        allowed, denied = self.mapped_tools(mcp), self.agent.disallowed_tools
        shut = {self.there(base, mcp) for base in self.denied()} - {None}
        if allowed is not None or not denied:
            return allowed
        if not shut and not any(base.startswith("mcp__") for base in self.denied()):
            self.lose("disallowedTools", f"{self.known['says']} has no such tool", denied)
            return None
        self.lose(
            "disallowedTools", "no tool can be taken away there: the others that are known here are named", denied
        )
        return tuple(dict.fromkeys(each for each in self.known["tools"].values() if each not in shut))

    def only_reads(self) -> bool:
        """Whether no tool is left with which it could change a file; tells that the list itself does not arrive."""
        allowed = self.tools()
        if allowed is None:
            reads = set(_CHANGING) - {"MultiEdit"} <= self.denied().keys()
        else:
            reads = not any(name in _CHANGING or name.startswith("mcp__") for name in allowed)
        how = "only that it changes no file arrives" if reads else "it gets every tool"
        for key in ("tools", "disallowedTools"):
            if (names := self.value(key)) is not None:
                self.lose(key, f"{self.known['says']} has no list of tools: {how}", names)
        if self.value("permissionMode") == "plan":
            self.take("permissionMode")
            return True
        self.leave("permissionMode", why=f"{self.known['says']} has no such field")
        return reads

    def model(self) -> str | None:
        """The name as written; `None` for that of the conversation. Where the program has no word for that, none is
        named, and it is told what the program does then."""
        name = self.value("model")
        if name is None:
            return None
        if isinstance(name, str) and name.strip().lower() not in ("", "inherit"):
            return name
        if self.without_model:
            self.lose("model", f"none is named there, and {self.without_model}", name)
        else:
            self.take("model")
        return None

    @property
    def without_model(self) -> str:
        """What the program does where no model is named; empty where the conversation's can be named there."""
        does = self.known.get("without_model")
        return f"{self.known['says']} then {does}" if does else ""

    def turns(self) -> int | None:
        found = self.value("maxTurns")
        if found is not None and found < 1:
            self.lose("maxTurns", "a number above 0 is wanted there", found)
            return None
        if found is not None:
            self.take("maxTurns")
        return int(found) if found is not None else None

    def lose_model(self) -> None:
        if (name := self.model()) is not None:
            self.lose("model", f"{self.known['says']} has other models: name one there. {self.without_model}", name)


def _as_json_values(cargo: _Cargo) -> dict[str, Any]:
    """The fields under Claude Code's own names, as far as the target has them."""
    wanted = cargo.known["fields"]
    found: dict[str, Any] = {"description": cargo.description, "prompt": _prompt(cargo)}
    for one in FIELDS.values():
        if one.key in cargo.taken or one.key not in wanted:
            continue
        value = cargo.value(one.key)
        if value is not None:
            found[one.key] = _plain_data(value)
    _leave_refused_hooks(cargo, found)
    for key, fault in faults_in_session_agent(found).items():
        cargo.lose(key, f"{fault}: Claude Code would not start with it", found.pop(key))
    for key in list(found)[2:]:  # behind description and prompt
        cargo.take(key)
    cargo.leave_rest()
    return found


def _leave_refused_hooks(cargo: _Cargo, found: dict[str, Any]) -> None:
    """Those events for which Claude Code would not start; where a file has them, it runs the others."""
    hooks = found.get("hooks")
    if not isinstance(hooks, dict):
        return
    refused = dict(faults_in_hooks(hooks))
    for event, fault in refused.items():
        cargo.lose("hooks", f"{event} {fault}: Claude Code would not start with it", hooks[event])
    found["hooks"] = {event: entries for event, entries in hooks.items() if event not in refused}
    if refused and not found["hooks"]:
        del found["hooks"]


def _write_sdk(cargo: _Cargo) -> str:
    values = _as_json_values(cargo)
    lines = [f"        {key}={_python_text(value)},\n" for key, value in values.items()]
    head = "from claude_agent_sdk import AgentDefinition\n\nagents = {\n"
    return f"{head}    {cargo.name!r}: AgentDefinition(\n{''.join(lines)}    ),\n}}\n"


def _python_text(value: Any) -> str:
    """As a Python literal: text of several lines as one literal a line, which Python puts together."""
    lines = value.splitlines(keepends=True) if isinstance(value, str) else []
    if len(lines) < 2:
        return repr(value)
    return "(\n" + "".join(f"            {line!r}\n" for line in lines) + "        )"


def _write_agents_json(cargo: _Cargo) -> str:
    return json.dumps({cargo.name: _as_json_values(cargo)}, indent=2, ensure_ascii=False) + "\n"


def _write_copilot(cargo: _Cargo) -> str:
    header: dict[str, Any] = {"name": cargo.name, "description": cargo.description}
    allowed = cargo.named_tools(lambda server, tool: f"{server}/{tool}")
    if allowed is not None:
        header["tools"] = list(allowed)
    cargo.lose_model()
    longest = cargo.known["longest_prompt"]
    if len(cargo.agent.prompt) > longest:
        cargo.lose("prompt", f"has {len(cargo.agent.prompt):,} characters, and {longest:,} are taken there")
    return _markdown(cargo, header)


def _write_opencode(cargo: _Cargo) -> str:
    header: dict[str, Any] = {"description": cargo.description, "mode": "subagent"}
    _rename(cargo, "the file's name, which is the agent's there")
    if (name := cargo.model()) is not None:
        id = resolve_model_alias(name)
        if id.startswith("claude-"):
            header["model"] = f"anthropic/{id}"
            cargo.take("model")
            if id != name:
                cargo.lose("model", f"the alias stands there for {id}, and will not follow newer ones", name)
        else:
            cargo.lose("model", "is no model id that it could be asked for", name)
    if (turns := cargo.turns()) is not None:
        header["steps"] = turns
    allowed = cargo.mapped_tools(lambda server, tool: f"{server}_{tool}")
    if allowed is not None:
        header["tools"] = {"*": False, **dict.fromkeys(allowed, True)}
    elif taken_away := dict.fromkeys(_taken_away(cargo), False):
        header["tools"] = taken_away
    color = cargo.value("color")
    hex_color = facts()["colors"].get(color, color)
    if isinstance(color, str) and isinstance(hex_color, str) and re.fullmatch(HEX_COLOR, hex_color):
        header["color"] = hex_color
        cargo.take("color")
    elif color is not None:
        cargo.lose("color", "is no colour that it knows", color)
    return _markdown(cargo, header)


def _taken_away(cargo: _Cargo) -> Iterator[str]:
    for base, name in cargo.denied().items():
        there = cargo.there(base, lambda server, tool: f"{server}_{tool}")
        if there is None:
            cargo.lose("disallowedTools", f"{cargo.known['says']} has no such tool", name)
        else:
            cargo.take("disallowedTools")
            yield there


def _write_cursor(cargo: _Cargo) -> str:
    header: dict[str, Any] = {"name": cargo.name, "description": cargo.description}
    name = cargo.model()
    if name is None:
        header["model"] = "inherit"
    else:
        cargo.lose("model", f"{cargo.known['says']} has other models: name one there", name)
    if cargo.only_reads():
        header["readonly"] = True
    if (background := cargo.value("background")) is not None:
        header["is_background"] = background
        cargo.take("background")
    return _markdown(cargo, header)


def _write_gemini(cargo: _Cargo) -> str:
    header: dict[str, Any] = {"name": slug(cargo.name), "description": cargo.description}
    _rename(cargo, "its name")
    allowed = cargo.named_tools(_gemini_tool)
    if allowed is not None:
        header["tools"] = list(allowed)
    cargo.lose_model()
    if (turns := cargo.turns()) is not None:
        header["max_turns"] = turns
    return _markdown(cargo, header)


def _gemini_tool(server: str, tool: str) -> str | None:
    name = f"mcp_{server}_{tool}"
    return name if re.fullmatch(targets()["gemini"]["mcp_tools"], name) else None


def _write_codex(cargo: _Cargo) -> str:
    values: dict[str, str] = {"name": cargo.name, "description": cargo.description}
    cargo.lose_model()
    effort = cargo.value("effort")
    if isinstance(effort, str) and effort.lower() in cargo.known["efforts"]:
        values["model_reasoning_effort"] = effort.lower()
        cargo.take("effort")
    elif effort is not None:
        cargo.lose("effort", f"{cargo.known['says']} has no such level", effort)
    if cargo.only_reads():
        values["sandbox_mode"] = "read-only"
    cargo.leave_rest()
    values["developer_instructions"] = _prompt(cargo)
    return "".join(f"{key} = {_toml_text(value)}\n" for key, value in values.items())


_WRITERS: Mapping[Target, Callable[[_Cargo], str]] = {
    "sdk": _write_sdk,
    "agents-json": _write_agents_json,
    "copilot": _write_copilot,
    "opencode": _write_opencode,
    "cursor": _write_cursor,
    "gemini": _write_gemini,
    "codex": _write_codex,
}


def _markdown(cargo: _Cargo, header: Mapping[str, Any]) -> str:
    cargo.leave_rest()
    lines = [line for key, value in header.items() for line in yaml_lines(key, value)]
    return f"---\n{''.join(lines)}---\n{cargo.agent.prompt}"


def _prompt(cargo: _Cargo) -> str:
    """The prompt for a form of text in which no byte can stand that is not UTF-8."""
    prompt = without_surrogates(cargo.agent.prompt)
    if prompt != cargo.agent.prompt:
        cargo.lose("prompt", "bytes that are not UTF-8 cannot be written there: U+FFFD stands for each")
    return prompt


def _rename(cargo: _Cargo, what: str) -> None:
    if slug(cargo.name) != cargo.name:
        cargo.lose("name", f"{what} becomes {slug(cargo.name)}", cargo.name)


def _mcp(name: str, written: Callable[[str, str], str | None]) -> str | None:
    """A tool of an MCP server, or all of one, in the program's way; `None` where it has none, as for all tools of all
    servers."""
    server, _, tool = name.removeprefix("mcp__").partition("__")
    return None if server in ("", "*") else written(server, tool or "*")


def _plain_data(value: Any) -> Any:
    """Data of a header as JSON and Python literals can hold it."""
    if isinstance(value, Mapping):
        return {without_surrogates(str(key)): _plain_data(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_data(each) for each in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and value - value == 0:
        return value
    return without_surrogates(str(value))


_TOML_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def _toml_text(text: str) -> str:
    """As a TOML string that people can read: of several lines where the text is; as it stands, between three `'`, where
    nothing in it would be lost so; else each sign that TOML or the eye would lose as an escape."""
    shown = "\n\t" if "\n" in text else ""
    is_plain = all(sign.isprintable() or sign in shown for sign in text)
    if shown and is_plain and not {"\\", '"'}.isdisjoint(text) and "'''" not in text and not text.endswith("'"):
        return f"'''\n{text}'''"
    written = "".join(sign if sign in shown else _toml_sign(sign) for sign in text)
    return f'"""\n{written}"""' if shown else f'"{written}"'


def _toml_sign(sign: str) -> str:
    escaped = _TOML_ESCAPES.get(sign)
    return escaped or (sign if sign.isprintable() else f"\\U{ord(sign):08X}")
