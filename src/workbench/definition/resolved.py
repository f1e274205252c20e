"""The model and the effort with which Claude Code asks for a subagent. One rule for reading, editor and trials."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from workbench.definition.facts import facts

_LINES = ("sonnet", "opus", "haiku", "fable")
_LONG_CONTEXT = re.compile(r"\[1m\]\Z", re.IGNORECASE)
_TRUE = ("1", "true", "yes", "on")

VARIABLES = (
    "CLAUDE_CODE_SUBAGENT_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL_FORCE",
    *(f"ANTHROPIC_DEFAULT_{line.upper()}_MODEL" for line in _LINES),
)
"""What decides in the environment which model a name stands for."""


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a request for an agent carries, and why."""

    model: str
    """The id on the wire."""
    model_from: str
    """What decided it, in words."""
    effort: str | None
    """The level on the wire; `None`: no level is sent, and the model takes its own."""
    effort_from: str
    """What decided it, in words."""

    @property
    def effort_in_words(self) -> str:
        """The effort with its reason."""
        return f"{self.effort or 'none is sent'} ({self.effort_from})"


def resolve(
    model: object,
    effort: object,
    *,
    asked_model: str | None = None,
    asked_effort: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Resolved:
    """What is sent for an agent file with this `model` and `effort`, as measured with the version of `facts()`.

    Args:
        model: the file's value; `None` where it has none.
        effort: the file's value: a level in any case, or a number, with which no level is sent.
        asked_model: a model that is asked for beside the file; it counts before file and environment.
        asked_effort: a level that is asked for beside the file.
        environment: in place of `os.environ`: `CLAUDE_CODE_SUBAGENT_MODEL` stands in for a model that the file does
            not name (and with `CLAUDE_CODE_SUBAGENT_MODEL_FORCE=1` for one that it names);
            `ANTHROPIC_DEFAULT_SONNET_MODEL` and its like for OPUS, HAIKU and FABLE say what these aliases stand for.
    """
    known = os.environ if environment is None else environment
    name, model_from = _named_model(model, asked_model, known)
    id, through = _id_of(name, known)
    level, effort_from = _level(effort, asked_effort, id)
    return Resolved(model=id, model_from=model_from + through, effort=level, effort_from=effort_from)


def deciding_variables() -> dict[str, str]:
    """The variables that decide which model is asked for a name, as far as they are set here."""
    return {name: value for name in VARIABLES if (value := os.environ.get(name))}


def variables_of_aliases() -> dict[str, str]:
    """The variables that say what aliases stand for, as far as they are set here. Those of subagents are no part."""
    return {name: value for name, value in deciding_variables().items() if name.startswith("ANTHROPIC_DEFAULT_")}


def resolve_model(name: object, environment: Mapping[str, str] | None = None) -> str:
    """The model id that this name asks for; the default of a conversation for none or `inherit`. A name that is neither
    alias nor id stays as it is."""
    return _id_of(_text_of(name), os.environ if environment is None else environment)[0]


def resolve_model_alias(name: object) -> str:
    """As `resolve_model`, whatever the environment says."""
    return resolve_model(name, {})


def resolve_as_before(
    model: object, effort: object, *, asked_model: str | None = None, asked_effort: str | None = None
) -> tuple[str, str | None]:
    """The model and effort that the workbench sent before it knew what Claude Code sends: no default effort, a level in
    small letters only, and no other name than an alias changed. Replies to such requests are in older ledgers."""
    name = asked_model or (model if isinstance(model, str) else "")
    line = name.removesuffix("[1m]").upper()
    chosen = os.environ.get(f"ANTHROPIC_DEFAULT_{line}_MODEL") if line.lower() in _LINES else None
    if not name or name.lower() == "inherit":
        chosen = str(facts()["default_model"])
    level = effort if isinstance(effort, str) and effort in facts()["efforts"] else None
    return chosen or str(facts()["aliases"].get(name.lower(), name)), asked_effort or level


def _named_model(model: object, asked: str | None, known: Mapping[str, str]) -> tuple[str, str]:
    """The name that counts, and who gave it."""
    if asked:
        return _text_of(asked), f"asked for as {asked!r}"
    instead = known.get("CLAUDE_CODE_SUBAGENT_MODEL", "")
    if instead and known.get("CLAUDE_CODE_SUBAGENT_MODEL_FORCE", "").lower() in _TRUE:
        return _text_of(instead), f"CLAUDE_CODE_SUBAGENT_MODEL={instead}, forced"
    name = _text_of(model)
    if not name and instead:
        return _text_of(instead), f"CLAUDE_CODE_SUBAGENT_MODEL={instead}, as the file names none"
    if not name or name.lower() == "inherit":
        return name, "the default of a conversation"
    return name, f"the file's {name!r}"


def _id_of(name: str, known: Mapping[str, str]) -> tuple[str, str]:
    """The id that a name stands for, and through which variable of the environment, if through one."""
    if not name or name.lower() == "inherit":
        return str(facts()["default_model"]), ""
    variable = f"ANTHROPIC_DEFAULT_{name.upper()}_MODEL"
    if name.lower() in _LINES and (chosen := _text_of(known.get(variable))):
        return chosen, f", for which {variable} says this"
    id = str(facts()["aliases"].get(name.lower(), name))
    return str(facts()["remapped_models"].get(id, id)), ""


def _text_of(name: object) -> str:
    """A name as it is looked up: without blanks at its edges and the mark of the long context."""
    return _LONG_CONTEXT.sub("", name.strip()).strip() if isinstance(name, str) else ""


def _is_number(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch(r"\d+(?:\.\d+)?", text.strip()) is not None


def _level(effort: object, asked: str | None, model: str) -> tuple[str | None, str]:
    if asked is not None:
        return asked, "asked for"
    if isinstance(effort, list) and len(effort) == 1:
        effort = effort[0]  # as text it is the same
    if isinstance(effort, str) and effort.lower() in facts()["efforts"]:
        return effort.lower(), "the file's own"
    if (isinstance(effort, int | float) and not isinstance(effort, bool)) or _is_number(effort):
        return None, "the file's is a number, with which no level is sent"
    product = f"{facts()['product']} {facts()['version']}"
    known = facts()["default_effort"]
    found = next((level for level in known if level != "other" and model in known[level]), known["other"])
    level = None if found == "none" else str(found)
    return level, f"the default of {product} for {model}"
