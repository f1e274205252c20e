"""How each field of an agent is edited: which control, which values, the way from text to value and back.

The values are those of Claude Code 2.1.240 (https://code.claude.com/docs/en/sub-agents); any other value that
a file has is kept and offered too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from workbench.definition import yaml12
from workbench.definition.claude_code import split_tools

ABSENT = object()
"""The value of a picked control whose key is not in the file: a control takes `None` for no choice at all."""

Kind = Literal["line", "lines", "names", "number", "suggestions", "choice", "switch", "yaml"]


@dataclass(frozen=True, kw_only=True)
class FieldForm:
    """How one field is edited."""

    kind: Kind
    absent: str
    """What it means that the key is not in the file."""
    empty: str = "written, but empty"
    """What it means that the key is there without a value; only for kinds that keep the two apart."""
    values: tuple[str, ...] = ()
    """The values that Claude Code knows, for choices and suggestions."""
    rows: int = 2
    """Height of a control of several lines."""

    @property
    def is_picked(self) -> bool:
        """True where one picks among values instead of typing."""
        return self.kind in ("choice", "switch")

    @property
    def keeps_empty(self) -> bool:
        """True where an empty value differs from an absent key; elsewhere emptying removes the key."""
        return self.kind in ("line", "lines", "names")


FORMS: Mapping[str, FieldForm] = {
    "name": FieldForm(kind="line", absent="required"),
    "description": FieldForm(kind="lines", rows=7, absent="required: says when to delegate to this agent"),
    "model": FieldForm(
        kind="suggestions",
        values=("inherit", "sonnet", "opus", "haiku", "fable", "best", "opusplan", "sonnet[1m]", "opus[1m]"),
        absent="as inherit: the model of the conversation",
    ),
    "effort": FieldForm(
        kind="choice", values=("low", "medium", "high", "xhigh", "max"), absent="that of the conversation"
    ),
    "color": FieldForm(
        kind="choice",
        values=("red", "blue", "green", "yellow", "purple", "orange", "pink", "cyan"),
        absent="none",
    ),
    "tools": FieldForm(kind="names", absent="every tool a subagent may use", empty="an empty list: no tools at all"),
    "disallowed_tools": FieldForm(kind="names", absent="none"),
    "permission_mode": FieldForm(
        kind="choice",
        values=("default", "acceptEdits", "auto", "dontAsk", "bypassPermissions", "plan", "manual"),
        absent="inherited",
    ),
    "max_turns": FieldForm(kind="number", absent="no limit"),
    "skills": FieldForm(kind="names", absent="none"),
    "memory": FieldForm(kind="choice", values=("user", "project", "local"), absent="none"),
    "background": FieldForm(kind="switch", absent="as false"),
    "isolation": FieldForm(kind="choice", values=("worktree",), absent="none"),
    "initial_prompt": FieldForm(kind="lines", rows=2, absent="none; used only with --agent"),
    "mcp_servers": FieldForm(kind="yaml", absent="none"),
    "hooks": FieldForm(kind="yaml", absent="none"),
}
"""By field, in the order of the form: who it is, what thinks, what it may do, how it runs, what it brings."""


def text_of(form: FieldForm, value: Any) -> str:
    """A field's value as the text of its control; "" for an absent one."""
    if value is None:
        return ""
    if form.kind == "names" and isinstance(value, (tuple, list)):
        return ", ".join(str(name) for name in value)
    if form.kind == "yaml" and not isinstance(value, str):
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).removesuffix("...\n").rstrip("\n")
    return str(value)


def value_of(form: FieldForm, text: str) -> Any:
    """The value that a control's text stands for; `None` where it asks for the key to be absent.

    Raises:
        ValueError: the text is not (yet) a value of this field; the message says why.
    """
    if not form.keeps_empty and not text.strip():
        return None
    if form.kind == "names":
        return split_tools(text)
    if form.kind == "number":
        if not text.strip().isdecimal():
            raise ValueError(f"{text.strip()!r} is not a whole number")
        return int(text)
    if form.kind == "suggestions":
        return text.strip()
    if form.kind == "yaml":
        return _read_yaml(text)
    return text


def _read_yaml(text: str) -> Any:
    try:
        node = yaml12.read(text)
    except yaml12.NotYaml as error:
        raise ValueError(f"not YAML yet: line {error.line + 1}: {error.message}") from error
    return None if node is None else node.value
