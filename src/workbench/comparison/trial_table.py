"""The columns of the trials table, declared once.

The data frame, CSV, Parquet, JSON Lines, the tables of pages and notebooks, and what trials can be sorted by come from
`COLUMNS`: a line there is a column everywhere. Beside them every promise has one, as the run's tasks name them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.columns import PAID, explanation, preview
from workbench.comparison.compared import Compared
from workbench.comparison.flips import FLIPS
from workbench.comparison.verdict import points
from workbench.statistics.means import Floats
from workbench.trial.trial import Reply, Trial

Kind = Literal["name", "word", "count", "points", "flip", "usd", "seconds", "text"]
"""How a value is written: a name of the run, a word of ours, a whole number, a score of 0..1 in points, a flip, money,
time, or text of any length."""
View = Literal["grid", "static", "report"]
"""Where people read it: in the table that sorts and filters, in the one that is there without a kernel, and below each
trial of a report, where what is not a figure has a place of its own."""

FLIP_MARKS = {None: "", "now passes": "▲ now passes", "now fails": "▼ now fails"}
LONGEST_CELL = 300
"""Characters of a text in a cell."""
_SORTED_BY = 100
"""Characters of a text that decide where it stands in an order."""
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the trials table."""

    name: str
    """In data frames and files, and to sort by."""
    heading: str
    """Above it where people read; "": they find it in data frames and files only."""
    kind: Kind
    value: Callable[[Compared], Sequence[Any] | NDArray[Any]]
    """A value for each trial, in the order of the run; where it is not known, NaN in an array and `None` in a list."""
    cell: Callable[[Trial], str] | None = None
    """What stands in a cell for a trial, where the value itself would be too long or say too little."""
    views: frozenset[View] = frozenset({"grid", "static", "report"})
    promise: str | None = None
    """The promise that it is about."""

    def is_in(self, view: View) -> bool:
        """Whether people read it there."""
        return bool(self.heading) and view in self.views


def _replies(read: Callable[[Reply], Any]) -> Callable[[Compared], list[Any]]:
    """A value of each reply; `None` where nothing came back."""
    return lambda compared: [None if trial.reply is None else read(trial.reply) for trial in compared.run.trials]


def _trials(read: Callable[[Trial], Any]) -> Callable[[Compared], list[Any]]:
    """A value of each trial."""
    return lambda compared: [read(trial) for trial in compared.run.trials]


def _paid(name: str) -> Callable[[Compared], Floats]:
    return lambda compared: compared.columns.paid[name]


def _groups(compared: Compared) -> list[str | None]:
    group_of = {task.id: task.group for task in compared.run.tasks}
    return [group_of[trial.task_id] for trial in compared.run.trials]


def _flips(compared: Compared) -> list[str | None]:
    attempts = compared.columns.attempts
    return [FLIPS[code] for code in compared.flip_codes[attempts.variant, attempts.task].tolist()]


def _on_one_line(trial: Trial) -> str:
    text = explanation(trial).replace("\n", "; ")
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"


_TABLES: frozenset[View] = frozenset({"grid", "static"})
_FIGURES: frozenset[View] = frozenset({"grid", "report"})
_GRID: frozenset[View] = frozenset({"grid"})
_STATIC: frozenset[View] = frozenset({"static"})
_REPORT: frozenset[View] = frozenset({"report"})

COLUMNS: tuple[Column, ...] = (
    Column(name="task", heading="Task", kind="name", value=_trials(lambda trial: trial.task_id), views=_TABLES),
    Column(name="group", heading="", kind="name", value=_groups),
    Column(name="variant", heading="Variant", kind="name", value=_trials(lambda trial: trial.variant), views=_TABLES),
    Column(name="repeat", heading="Repeat", kind="count", value=lambda c: c.columns.attempts.repeat, views=_TABLES),
    Column(name="outcome", heading="Outcome", kind="word", value=lambda c: c.columns.outcome, views=_TABLES),
    Column(name="score", heading="Score", kind="points", value=lambda c: c.columns.attempts.score, views=_TABLES),
    Column(name="flip", heading="Flip", kind="flip", value=_flips, views=_GRID),
    Column(
        name="explanation",
        heading="Explanations",
        kind="text",
        value=_trials(explanation),
        cell=_on_one_line,
        views=_STATIC,  # the grid has them where a trial is opened
    ),
    Column(name="model", heading="", kind="word", value=_replies(lambda reply: reply.model)),
    Column(name="stop_reason", heading="", kind="word", value=_replies(lambda reply: reply.stop_reason)),
    Column(name="input_tokens", heading="", kind="count", value=lambda c: c.columns.input_tokens),
    Column(
        name="output_tokens", heading="Tokens", kind="count", value=lambda c: c.columns.output_tokens, views=_FIGURES
    ),
    Column(name="cache_written_tokens", heading="", kind="count", value=lambda c: c.columns.cache_written_tokens),
    Column(
        name="cache_read_tokens",
        heading="Tokens from the cache",
        kind="count",
        value=lambda c: c.columns.cache_read_tokens,
        views=_REPORT,
    ),
    Column(name="usd", heading="USD", kind="usd", value=lambda c: c.columns.usd, views=_FIGURES),
    *(
        Column(name=name, heading=paid.heading, kind=paid.kind, value=_paid(name), views=_FIGURES)
        for name, paid in PAID.items()
    ),
    Column(name="seconds_to_first_token", heading="", kind="seconds", value=lambda c: c.columns.seconds_to_first_token),
    Column(name="seconds", heading="Seconds", kind="seconds", value=lambda c: c.columns.seconds, views=_FIGURES),
    Column(
        name="reply",
        heading="Reply",
        kind="text",
        value=_replies(lambda reply: reply.text),
        cell=preview,
        views=_TABLES,
    ),
)
"""In the order in which they stand."""


def columns_of(compared: Compared) -> tuple[Column, ...]:
    """All columns of this comparison: those of the promises stand behind the score."""
    at = next((number for number, column in enumerate(COLUMNS, start=1) if column.name == "score"), len(COLUMNS))
    return (*COLUMNS[:at], *promise_columns(compared), *COLUMNS[at:])


def promise_columns(compared: Compared) -> tuple[Column, ...]:
    """A column for each promise that a reply was held to, in the order in which they are first met."""
    return tuple(
        Column(
            name=f"promise: {promise}",
            heading=promise,
            kind="points",
            value=lambda _compared, found=found: found,  # type: ignore[misc]
            views=_GRID,
            promise=promise,
        )
        for promise, found in compared.columns.promises.items()
    )


def json_values(column: Column, compared: Compared) -> list[Any]:
    """The values as JSON has them: whole numbers whole, `None` for what is not known."""
    return _as_json(column.value(compared), column.kind)


def screen_values(column: Column, compared: Compared) -> list[Any]:
    """The values for a table on a screen: ready for JSON, texts short. They may be a model's: show them as text."""
    if column.cell is not None:
        return [column.cell(trial) for trial in compared.run.trials]
    return json_values(column, compared)


def cells(column: Column, compared: Compared, rows: Sequence[int]) -> Iterator[str]:
    """What is written in these rows of the column."""
    if column.cell is not None:
        yield from (column.cell(compared.run.trials[row]) for row in rows)
        return
    values = column.value(compared)
    chosen = values[list(rows)] if isinstance(values, np.ndarray) else [values[row] for row in rows]
    yield from (_written(value, column.kind) for value in _as_json(chosen, column.kind))


def sort_values(column: Column, compared: Compared) -> Floats:
    """Numbers in whose order the rows stand when they are sorted by this column; NaN for what is not known."""
    values = column.value(compared)
    if isinstance(values, np.ndarray):
        return values.astype(np.float64)
    if column.kind == "flip":
        return np.array([np.nan if value is None else FLIPS.index(value) for value in values], dtype=np.float64)
    if column.kind == "text":
        values = [None if value is None else value[:_SORTED_BY] for value in values]
    return natural_ranks(values)


def natural_ranks(texts: Sequence[str | None]) -> Floats:
    """Numbers in the order of the texts, in which "case 9" comes before "case 10"; NaN for none."""
    distinct = sorted({text for text in texts if text is not None}, key=_by_numbers)
    rank = {text: float(number) for number, text in enumerate(distinct)}
    return np.array([np.nan if text is None else rank[text] for text in texts], dtype=np.float64)


def _as_json(values: Sequence[Any] | NDArray[Any], kind: Kind) -> list[Any]:
    if not isinstance(values, np.ndarray):
        return list(values)
    known = (None if value != value else value for value in values.tolist())
    return [value if value is None or kind != "count" else int(value) for value in known]


def _by_numbers(text: str) -> tuple[list[str | int], str]:
    parts = _DIGITS.split(text.casefold())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], text


def _written(value: Any, kind: Kind) -> str:
    match kind:
        case "flip":
            return FLIP_MARKS[value]
        case _ if value is None:
            return "" if kind in ("name", "text") else "-"
        case "points":
            return points(value, sign=False)
        case "word":
            return str(value).replace("_", " ")
        case "count":
            return f"{value:,}"
        case "usd":
            return f"{value:.6f}"
        case "seconds":
            return f"{value:.2f}"
        case _:
            return str(value)[:LONGEST_CELL]
