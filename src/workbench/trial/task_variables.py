"""The variables of a task: what they put into its texts, and how lists of values make a task of each.

    - id: port
      input: Port this script to {{ lang }}{% for rule in rules %}, {{ rule }}{% endfor %}.
      variables: {lang: [Go, Rust], rules: [typed, tested]}

are two tasks, `port[lang=Go]` and `port[lang=Rust]`. `rules` is looped over, so it is handed on whole.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import TaskFileError
from workbench.trial.bounded import BeyondBounds, TemplateFault, fill_in, uses_of
from workbench.trial.task_rows import Row

MOST_TASKS = 1_000
"""How many tasks the lists of one row may make."""
_LONGEST_SHOWN = 40
"""A longer value stands in the id of its task by its number."""
_MARK = re.compile(r"\{[{%#]")
"""What begins a part of a text that Jinja does not take as text."""


def choices_of(
    variables: Mapping[str, Any], texts: Mapping[str, str], row: Row, path: Path
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each choice of one value from every list that the texts use as one value, and what it adds to the task's id.

    Raises:
        TaskFileError: a list is empty, holds a value twice, is used as a list too, or there are too many choices.
    """
    lists = {name: value for name, value in variables.items() if isinstance(value, list)}
    chosen = [name for name in lists if name in _put_into(texts, lists, row, path)] if lists else []
    if not chosen:
        yield "", variables
        return
    line = row.line_of("variables")
    number = math.prod(len(lists[name]) for name in chosen)
    if number > MOST_TASKS:
        raise TaskFileError(
            f"variables: the lists {', '.join(chosen)} make {number:,} tasks; at most {MOST_TASKS:,} come from one, "
            "so shorten them or write several tasks",
            path=path,
            line=line,
        )
    for name in chosen:
        if not lists[name]:
            raise TaskFileError(f"variables: {name} is an empty list; give it a value", path=path, line=line)
        twice = next((value for at, value in enumerate(lists[name]) if value in lists[name][:at]), None)
        if twice is not None:
            raise TaskFileError(
                f"variables: {name} has the value {twice!r} twice; once is enough", path=path, line=line
            )
    for values in itertools.product(*(enumerate(lists[name], start=1) for name in chosen)):
        named = ", ".join(f"{name}={_shown(value, at)}" for name, (at, value) in zip(chosen, values, strict=True))
        yield f"[{named}]", {**variables, **{name: value for name, (_, value) in zip(chosen, values, strict=True)}}


def filled_in(text: str, variables: Mapping[str, Any], name: str, row: Row, path: Path) -> str:
    """The text of a field with the variables filled in.

    Raises:
        TaskFileError: it is no template, a variable is missing or has no text of its own, or it goes beyond bounds.
    """
    if not _is_template(text):
        return text
    try:
        return fill_in(text, variables)
    except TemplateFault as fault:
        known = f"; variables here are: {', '.join(variables)}" if variables else "; this task has no variables"
        raise TaskFileError(f"{name}: the template fails: {fault}{known}", path=path, line=row.line_of(name)) from None
    except BeyondBounds as fault:
        raise TaskFileError(
            f"{name}: the template was ended: {fault}; shorten its loops or what it makes",
            path=path,
            line=row.line_of(name),
        ) from None


def as_template(text: str) -> str:
    """The template of a field that gives this very text, whatever of Jinja's marks stands in it."""
    return _MARK.sub(lambda mark: f"{{{{ '{mark[0]}' }}}}", text)


def _is_template(text: str) -> bool:
    return _MARK.search(text) is not None


def _put_into(texts: Mapping[str, str], lists: Mapping[str, Any], row: Row, path: Path) -> set[str]:
    """The names of the lists that the texts use as one value."""
    as_values: set[str] = set()
    as_lists: set[str] = set()
    for name, text in texts.items():
        if _is_template(text):
            try:
                uses = uses_of(text)
            except (TemplateFault, BeyondBounds) as fault:
                raise TaskFileError(f"{name}: the template fails: {fault}", path=path, line=row.line_of(name)) from None
            as_values |= uses.as_values
            as_lists |= uses.as_lists
    both = sorted(as_values & as_lists & lists.keys())
    if both:
        raise TaskFileError(
            f"variables: {both[0]} is put into the text, so that each of its values makes a task, and is used as a "
            "list too; give the list a name of its own",
            path=path,
            line=row.line_of("variables"),
        )
    return as_values


def _shown(value: Any, number: int) -> str:
    text = "" if isinstance(value, list | dict) else str(value)
    return text if text.strip() and len(text) <= _LONGEST_SHOWN and text.isprintable() else f"#{number}"
