"""How each field of an agent is edited: which control, which values, the way from text to value and back.

The values are those of `facts()`; any other value that a file has is kept and offered too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import yaml

from workbench.definition import yaml12
from workbench.definition.claude_code import facts, split_tools

Kind = Literal["line", "lines", "names", "tools", "number", "model", "color", "choice", "switch", "yaml"]


@dataclass(frozen=True, kw_only=True)
class FieldForm:
    """How one field is edited."""

    kind: Kind
    group: str
    """Under which heading it stands."""
    absent: str
    """What it means that the key is not in the file."""
    empty: str = "written, but empty"
    """What it means that the key is there without a value; only for kinds that keep the two apart."""
    says: str = ""
    """What the field is for, in a line."""
    values: tuple[str, ...] = ()
    """The values that Claude Code knows, for choices and suggestions."""

    @property
    def keeps_empty(self) -> bool:
        """True where an empty value differs from an absent key; elsewhere emptying removes the key."""
        return self.kind in ("line", "lines", "names", "tools")


@cache
def forms() -> Mapping[str, FieldForm]:
    """By field, in the order of the form: who it is, what thinks, what it may do, how it runs, what it brings."""
    known = facts()
    return {
        "name": FieldForm(kind="line", group="Who it is", absent="required"),
        "color": FieldForm(kind="color", group="Who it is", absent="none", values=tuple(known["colors"])),
        "description": FieldForm(
            kind="lines",
            group="Who it is",
            absent="required",
            says="When to delegate to this agent; the model reads it.",
        ),
        "model": FieldForm(
            kind="model",
            group="What thinks",
            values=("inherit", *known["aliases"], *known["models"]),
            absent="inherit: the model of the conversation",
        ),
        "effort": FieldForm(
            kind="choice", group="What thinks", values=tuple(known["efforts"]), absent="that of the conversation"
        ),
        "tools": FieldForm(
            kind="tools",
            group="What it may do",
            absent="every tool a subagent may use",
            empty="an empty list: no tools at all",
        ),
        "disallowed_tools": FieldForm(
            kind="tools", group="What it may do", absent="none", says="Taken away from the tools above."
        ),
        "permission_mode": FieldForm(
            kind="choice", group="What it may do", values=tuple(known["permission_modes"]), absent="inherited"
        ),
        "max_turns": FieldForm(kind="number", group="How it runs", absent="no limit"),
        "background": FieldForm(kind="switch", group="How it runs", values=("true", "false"), absent="as false"),
        "isolation": FieldForm(kind="choice", group="How it runs", values=tuple(known["isolations"]), absent="none"),
        "memory": FieldForm(kind="choice", group="How it runs", values=tuple(known["memories"]), absent="none"),
        "initial_prompt": FieldForm(
            kind="lines", group="How it runs", absent="none", says="The first turn, sent by itself; only with --agent."
        ),
        "skills": FieldForm(kind="names", group="What it brings", absent="none", says="Names, with commas."),
        "mcp_servers": FieldForm(kind="yaml", group="What it brings", absent="none", says="As YAML."),
        "hooks": FieldForm(kind="yaml", group="What it brings", absent="none", says="As YAML: events and commands."),
    }


def text_of(form: FieldForm, value: Any) -> str:
    """A field's value as the text of its control; "" for an absent one."""
    if value is None:
        return ""
    if form.kind in ("names", "tools") and isinstance(value, (tuple, list)):
        return ", ".join(str(name) for name in value)
    if form.kind == "yaml" and not isinstance(value, str):
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).removesuffix("...\n").rstrip("\n")
    return str(value).lower() if isinstance(value, bool) else str(value)


def value_of(form: FieldForm, text: str | None) -> Any:
    """The value that a control's text stands for; `None` where it asks for the key to be absent.

    Raises:
        ValueError: the text is not (yet) a value of this field; the message says why.
    """
    if text is None or (not form.keeps_empty and not text.strip()):
        return None
    match form.kind:
        case "names" | "tools":
            return split_tools(text)
        case "number":
            if not text.strip().isdecimal():
                raise ValueError(f"{text.strip()!r} is not a whole number")
            return int(text)
        case "switch":
            if text not in form.values:
                raise ValueError(f"{text!r} is neither true nor false")
            return text == "true"
        case "model" | "color" | "choice":
            return text.strip()
        case "yaml":
            return _read_yaml(text)
    return text


def _read_yaml(text: str) -> Any:
    try:
        node = yaml12.read(text)
    except yaml12.NotYaml as error:
        raise ValueError(f"not YAML yet: line {error.line + 1}: {error.message}") from error
    return None if node is None else node.value
