"""Data frames that hold what models, personas and tasks say, and show it as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from workbench.markup import notebook_html, visible_as_written


class Frame(pd.DataFrame):
    """A data frame that is typeset nowhere: pandas escapes markup, and leaves dollar signs and hidden characters."""

    @property
    def _constructor(self) -> Callable[..., Frame]:
        return Frame

    def _repr_html_(self) -> str | None:
        shown = super()._repr_html_()  # type: ignore[misc]
        return None if shown is None else notebook_html(Markup(visible_as_written(shown)))


def frame_of(columns: Mapping[str, Any]) -> Frame:
    """The columns as a data frame; where a text holds half a character that it cannot keep, with those spelled out."""
    try:
        return Frame(columns)
    except UnicodeEncodeError:
        return Frame({_spelled(name): _all_spelled(column) for name, column in columns.items()})


def _all_spelled(column: Any) -> Any:
    return [_spelled(value) if isinstance(value, str) else value for value in column]


def _spelled(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
