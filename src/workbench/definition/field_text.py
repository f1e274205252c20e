"""The way from a field's value to the text of its control, and back."""

from __future__ import annotations

from typing import Any

import yaml

from workbench.definition import yaml12
from workbench.definition.fields import Field
from workbench.definition.two_passes import split_tools


def text_of(field: Field, value: Any) -> str:
    """A field's value as the text of its control; "" for an absent one."""
    if value is None:
        return ""
    if field.is_list and isinstance(value, (tuple, list)):
        return ", ".join(str(name) for name in value)
    if field.kind == "yaml" and not isinstance(value, str):
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).removesuffix("...\n").rstrip("\n")
    return str(value).lower() if isinstance(value, bool) else str(value)


def value_of(field: Field, text: str | None) -> Any:
    """The value that a control's text stands for; `None` where it asks for the key to be absent.

    Raises:
        ValueError: the text is not (yet) a value of this field; the message says why.
    """
    if text is None or (not field.keeps_empty and not text.strip()):
        return None
    match field.kind:
        case "names" | "tools":
            return split_tools(text)
        case "number":
            if not text.strip().isdecimal():
                raise ValueError(f"{text.strip()!r} is not a whole number")
            return int(text)
        case "switch":
            if text not in field.values:
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
