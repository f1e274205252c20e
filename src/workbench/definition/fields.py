"""The frontmatter fields of an agent file, each declared once.

A field more is one line in `AgentFields`. From that line come the typed attribute of `Agent`, the key that is read and
saved, the row of the editor's form, and the values that lint allows.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, NoneType
from typing import Any, Literal, TypedDict, Unpack, get_args, get_origin, get_type_hints

from workbench.definition.facts import facts

Kind = Literal["line", "lines", "names", "tools", "number", "model", "color", "choice", "switch", "yaml"]
"""With what control a field is edited. All but `lines`, `names`, `tools` and `yaml` hold one word."""

_MANY_WORDS = ("lines", "names", "tools", "yaml")

_REQUIRED, _EMPTY = "required", "written, but empty"

_WHO, _THINKS, _MAY = "Name and description", "Model and effort", "Tools and permissions"
_RUNS, _BRINGS = "How it runs", "What it loads"
GROUPS = (_WHO, _THINKS, _MAY, _RUNS, _BRINGS)
"""The headings of the form, in its order."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One frontmatter field: what it is called, what it holds, how it is edited."""

    name: str
    """The attribute of `Agent`."""
    key: str
    """The key in the file: the name in camelCase."""
    types: tuple[type, ...]
    """The Python types of a value that is there; empty for plain data of any shape."""
    kind: Kind
    group: str
    """Under which heading of the form it stands."""
    absent: str
    """What it means that the key is not in the file."""
    empty: str = _EMPTY
    """What it means that the key is there without a value; only where `keeps_empty`."""
    says: str = ""
    """What the field is for, in a line."""
    values: tuple[str, ...] = ()
    """The values that Claude Code knows. Any other that a file has is kept and offered too."""
    is_late: bool = False
    """Whether it stands after the others of its group in the form."""

    @property
    def is_list(self) -> bool:
        """Whether it holds a list of names, which may be written as text with commas."""
        return tuple in self.types

    @property
    def is_data(self) -> bool:
        """Whether it holds plain data of any shape."""
        return not self.types

    @property
    def is_one_word(self) -> bool:
        """Whether a value with a blank in it can only be prose that looks like this key."""
        return self.kind not in _MANY_WORDS

    @property
    def is_required(self) -> bool:
        """Whether there is no agent without it."""
        return self.absent == _REQUIRED

    @property
    def is_asked_empty(self) -> bool:
        """Whether an empty value asks for something by itself, as no tools at all."""
        return self.empty != _EMPTY

    @property
    def keeps_empty(self) -> bool:
        """True where an empty value differs from an absent key; elsewhere emptying removes the key."""
        return self.kind in ("line", "lines", "names", "tools")


class _Beside(TypedDict, total=False):
    """What a declaration may say besides, as `Field` has it; what it leaves out is as there."""

    empty: str
    says: str
    values: tuple[str, ...]
    is_late: bool


def _declared(kind: Kind, group: str, absent: str, **beside: Unpack[_Beside]) -> Any:
    """A field of `AgentFields`, absent unless given; its type is the annotation beside it."""
    return dataclasses.field(default=None, metadata={"kind": kind, "group": group, "absent": absent, **beside})


_KNOWN = facts()


# fmt: off
@dataclass(frozen=True, kw_only=True)
class AgentFields:
    """The frontmatter fields, in the order of Claude Code's documentation. Each is `None` where its key is absent."""

    name: str | None = _declared("line", _WHO, _REQUIRED)
    description: str | None = _declared(
        "lines", _WHO, _REQUIRED, says="When to delegate to this agent; the model reads it.", is_late=True
    )
    tools: tuple[str, ...] | None = _declared(
        "tools", _MAY, "every tool a subagent may use", empty="an empty list: no tools at all"
    )
    """`()`: no tools; `None`: all of them."""
    disallowed_tools: tuple[str, ...] | None = _declared("tools", _MAY, "none", says="Taken away from the tools above.")
    model: str | None = _declared(
        "model", _THINKS, "inherit: the model of the conversation",
        values=("inherit", *_KNOWN["aliases"], *_KNOWN["models"]),
    )
    permission_mode: str | None = _declared("choice", _MAY, "inherited", values=tuple(_KNOWN["permission_modes"]))
    max_turns: int | None = _declared("number", _RUNS, "no limit")
    skills: tuple[str, ...] | None = _declared("names", _BRINGS, "none", says="Names, with commas.")
    mcp_servers: Any = _declared("yaml", _BRINGS, "none", says="As YAML.")  # noqa: RUF009
    hooks: Any = _declared("yaml", _BRINGS, "none", says="As YAML: events and commands.")  # noqa: RUF009
    memory: str | None = _declared("choice", _RUNS, "none", values=tuple(_KNOWN["memories"]), is_late=True)
    background: bool | None = _declared("switch", _RUNS, "as false", values=("true", "false"))
    effort: str | int | None = _declared(
        "choice", _THINKS, "Claude Code's default for the model", values=tuple(_KNOWN["efforts"])
    )
    isolation: str | None = _declared("choice", _RUNS, "none", values=tuple(_KNOWN["isolations"]))
    color: str | None = _declared("color", _WHO, "none", values=tuple(_KNOWN["colors"]))
    initial_prompt: str | None = _declared(
        "lines", _RUNS, "none", says="The first turn, sent by itself; only with --agent.", is_late=True
    )
# fmt: on


def _types_of(hint: Any) -> tuple[type, ...]:
    """The types of a value that is there, by the annotation of its field."""
    if hint is Any:
        return ()
    return tuple(get_origin(one) or one for one in get_args(hint) if one is not NoneType)


def _key_of(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


_HINTS = get_type_hints(AgentFields)

FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        one.name: Field(name=one.name, key=_key_of(one.name), types=_types_of(_HINTS[one.name]), **one.metadata)
        for one in dataclasses.fields(AgentFields)
    }
)
"""By name (`permission_mode`), in the order of the documentation."""

FIELD_OF_KEY: Mapping[str, Field] = MappingProxyType({field.key: field for field in FIELDS.values()})
"""By frontmatter key (`permissionMode`), in the order of the documentation."""

KEYS = tuple(FIELD_OF_KEY)
"""The keys that Claude Code knows, in the order of its documentation."""

FORM: Mapping[str, Field] = MappingProxyType(
    {field.name: field for field in sorted(FIELDS.values(), key=lambda one: (GROUPS.index(one.group), one.is_late))}
)
"""By name, in the order of the form: who it is, what thinks, what it may do, how it runs, what it brings."""


def key_of(name: str) -> str:
    """The frontmatter key of a field; what is no field, such as `prompt`, is called the same in both."""
    return FIELDS[name].key if name in FIELDS else name
