"""Entries of a header that is not Claude Code's, written so that readers of YAML 1.1 and 1.2 read the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from workbench.definition import yaml12
from workbench.definition.forms import block_of_text, double_quoted, forms_of_text


def yaml_lines(key: str, value: Any) -> Iterator[str]:
    """The entry as lines: text, a whole number, true or false, a list of texts, or a mapping from text to true or
    false."""
    if isinstance(value, Mapping):
        yield f"{key}:\n"
        yield from (f"  {_quoted(name)}: {_word(each)}\n" for name, each in value.items())
    elif isinstance(value, list):
        yield f"{key}: [{', '.join(map(_quoted, value))}]\n"
    elif isinstance(value, str):
        yield f"{key}: {_text(value)}\n"
    else:
        yield f"{key}: {_word(value)}\n"


def _text(value: str) -> str:
    """In the nicest way that every reader reads back as it is."""
    lines = block_of_text(value)
    forms = forms_of_text(value) if lines is None else (lines, *forms_of_text(value))
    return next((form for form in forms if _reads_back(form, value)), double_quoted(value))


def _quoted(value: str) -> str:
    plain = value.replace("_", "").replace("-", "").isalnum() and value.isascii() and _reads_back(value, value)
    return value if plain else double_quoted(value)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reads_back(form: str, value: str) -> bool:
    # Without a line end behind it, too: most readers take the last one of the header for a part of its fence.
    try:
        for text in (f"k: {form}\n", f"k: {form}"):
            node = yaml12.read(text)
            if yaml.safe_load(text) != {"k": value} or node is None or node.value != {"k": value}:
                return False
        return True
    except (yaml12.NotYaml, yaml.YAMLError):
        return False
