"""What another program makes of an agent that was carried to it, by its own rules as `carry_targets` has them.

Where the program is installed it is the better judge: the tests ask opencode and the Gemini CLI too.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.definition import yaml12
from workbench.definition.carry_targets import HEX_COLOR, SLUG_SIGNS, Target, targets
from workbench.definition.header import brief
from workbench.definition.session_agents import faults_in_session_agent

_FRONTMATTER = re.compile(r"---\r?\n(.*?)\r?\n---(?:\r?\n(.*))?\Z", re.DOTALL)
_TRIMS = ("opencode", "gemini")
"""Take blanks from the edges of the prompt."""


@dataclass(frozen=True, kw_only=True)
class ReadThere:
    """An agent as the other program reads it."""

    name: str | None
    description: str | None
    prompt: str | None
    faults: tuple[str, ...]
    """For what the program would refuse it."""


def read_there(to: Target, text: str, file: str = "") -> ReadThere:
    """What this program makes of the text. `file` is its name, which is the agent's name for opencode. Never raises."""
    try:
        name, values, prompt = _parsed(to, text, file)
    except (ValueError, SyntaxError, RecursionError, AttributeError, LookupError) as error:
        return ReadThere(name=None, description=None, prompt=None, faults=(f"cannot be read: {error}",))
    if to in _TRIMS:
        prompt = prompt.strip()
    description = values.get("description")
    return ReadThere(
        name=name,
        description=description if isinstance(description, str) else None,
        prompt=prompt,
        faults=tuple(_faults(to, name, values, prompt)),
    )


def _parsed(to: Target, text: str, file: str) -> tuple[str | None, Mapping[str, Any], str]:
    if to == "sdk":
        return _from_python(text)
    if to == "agents-json":
        [(name, values)] = json.loads(text).items()
        return name, values, values["prompt"]
    if to == "codex":
        values = tomllib.loads(text)
        return values.get("name"), values, values["developer_instructions"]
    found = _FRONTMATTER.match(text)
    if found is None:
        raise ValueError("has no header between two lines `---`")
    root = yaml12.read(found[1])
    if root is None or not isinstance(root.value, dict):
        raise ValueError("its header is no mapping")
    stem = file.rpartition("/")[2].removesuffix(".md")
    return (stem if to == "opencode" else root.value.get("name")), root.value, found[2] or ""


def _from_python(text: str) -> tuple[str | None, Mapping[str, Any], str]:
    """Of the one `AgentDefinition` in it; nothing is run."""
    [name, call] = next(
        (node.keys[0], node.values[0]) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Dict) and node.keys
    )
    if name is None or not isinstance(call, ast.Call):
        raise ValueError("holds no AgentDefinition")
    values = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    return ast.literal_eval(name), values, values["prompt"]


def _faults(to: Target, name: str | None, values: Mapping[str, Any], prompt: str) -> Iterator[str]:
    known = targets()[to]
    description = values.get("description")
    if not isinstance(description, str) or not description:
        yield "description is required"
    if not isinstance(name, str) or not name:
        yield "name is required"
    allowed = known.get("keys") or known.get("fields")
    if allowed:
        yield from (f"{key} is no key there" for key in values if key not in allowed)
    if len(prompt) > known.get("longest_prompt", len(prompt)):
        yield f"the prompt has {len(prompt):,} characters; {known['longest_prompt']:,} are taken"
    if to == "agents-json":
        yield from (f"`{key}` {fault}" for key, fault in faults_in_session_agent(values).items())
    if to == "gemini":
        yield from _faults_of_gemini(str(name), values)
    if to == "opencode":
        yield from _faults_of_opencode(values)
    if to == "copilot" and not _is_texts(values.get("tools", [])):
        yield f"tools are a list of names, not {brief(values['tools'])}"
    if to == "cursor":
        yield from (f"{key} is true or false" for key in ("readonly", "is_background") if not _is_truth(values, key))
    if to == "codex" and values.get("sandbox_mode", "read-only") not in known["sandboxes"]:
        yield f"sandbox_mode {values['sandbox_mode']!r} is none"


def _faults_of_gemini(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    known = targets()["gemini"]
    if not re.fullmatch(f"[{SLUG_SIGNS}]+", name):
        yield f"name {name!r} is no slug of small letters, digits, - and _"
    tools = values.get("tools", [])
    if not _is_texts(tools):
        yield f"tools are a list of names, not {brief(tools)}"
        return
    for tool in tools:
        if tool != "*" and tool not in known["all_tools"] and not re.fullmatch(known["mcp_tools"], tool):
            yield f"{tool!r} is no tool there"
    if not _is_positive(values.get("max_turns", 1)):
        yield "max_turns is a whole number above 0"


def _faults_of_opencode(values: Mapping[str, Any]) -> Iterator[str]:
    known = targets()["opencode"]
    if values.get("mode", "all") not in known["modes"]:
        yield f"mode {values['mode']!r} is none of {', '.join(known['modes'])}"
    tools = values.get("tools", {})
    if not isinstance(tools, dict) or not all(isinstance(each, bool) for each in tools.values()):
        yield "tools are a mapping from name to true or false"
    color = values.get("color", known["colors"][0])
    if not isinstance(color, str) or not (re.fullmatch(HEX_COLOR, color) or color in known["colors"]):
        yield f"color {color!r} is neither #RRGGBB nor a colour of its theme"
    if not _is_positive(values.get("steps", 1)):
        yield "steps is a whole number above 0"


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_truth(values: Mapping[str, Any], key: str) -> bool:
    return isinstance(values.get(key, False), bool)


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
