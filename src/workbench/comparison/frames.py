"""Data frames that hold what models, personas and tasks say, and show it as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from workbench.markup import has_long_word, notebook_html, visible_as_written

_TABLE = re.compile(r"<table\b")
_CELL = re.compile(r"<(t[hd])>([^<]*)")


class Frame(pd.DataFrame):
    """A data frame that is typeset nowhere: pandas escapes markup, and leaves dollar signs and hidden characters."""

    @property
    def _constructor(self) -> Callable[..., Frame]:
        return Frame

    def _repr_html_(self) -> str | None:
        shown = super()._repr_html_()  # type: ignore[misc]
        if shown is None:
            return None
        shown = _CELL.sub(_breaking, _TABLE.sub('<table style="overflow-wrap: normal"', visible_as_written(shown)))
        return notebook_html(Markup(shown))


def frame_of(columns: Mapping[str, Any]) -> Frame:
    """The columns as a data frame; where a text holds half a character that it cannot keep, with those spelled out."""
    try:
        return Frame(columns)
    except UnicodeEncodeError:
        return Frame({_spelled(name): _all_spelled(column) for name, column in columns.items()})


def _breaking(cell: re.Match[str]) -> str:
    tag, text = cell.groups()
    return f'<{tag} style="overflow-wrap: anywhere">{text}' if has_long_word(text) else cell[0]


def _all_spelled(column: Any) -> Any:
    return [_spelled(value) if isinstance(value, str) else value for value in column]


def _spelled(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
