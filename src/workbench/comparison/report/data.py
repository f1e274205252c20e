"""A report for other programs: CSV for spreadsheets, Parquet and JSON Lines with every text as it was.

In CSV no text can become a formula. An apostrophe comes before `=`, `+`, `-` or `@` (or a full-width form) where it
begins a cell, blanks and quotes before it or not; and where it begins a line or follows what some program takes for the
end of a cell (`;`, `|`, tab), if it is `=` or `@`, or a later part of that line calls or fetches something, which no
item of a list does otherwise. A cell that begins with a tab or a line break gets an apostrophe at its start. Every text
is in quotes, so a comma in it ends nothing. `text_of_cell` gives the text back. Control characters but tab and line
break are named ("<U+001B>"); Parquet and JSON Lines have every text as it was. Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.comparison.provenance import Provenance
from workbench.comparison.tables import Comparison
from workbench.comparison.trial_table import COLUMNS, json_values
from workbench.markup import HALF_CHARACTERS, visible_lines, writable
from workbench.secrets import scrubber, value_without_secrets
from workbench.trial.trial import Run

_SIGN = re.compile("(?<![;| \u00a0\t\"'])([;| \u00a0\t\"']*+)([=+\\-@\uff1d\uff0b\uff0d\uff20])")
"""A sign with which a formula may begin, behind all blanks, quotes and ends of cells that are before it."""
_ALWAYS = "=@\uff1d\uff20"
_CALLS = re.compile(r"\w\(|[\w']!\$?\w")
"""A function that is called, or what another sheet or program is asked for: without one a formula does no harm."""
_BLANK = " \u00a0\t\"'"
_BEGINS_WITH_BREAK = re.compile(r"'*+[\t\n]")
_REMEMBERED = 4_096
"""Texts whose scrubbed form is kept: names, hashes and questions come again and again, replies do not."""


def write_csv(comparison: Comparison, found: Provenance, folder: Path) -> list[Path]:
    """`trials.csv`, `tasks.csv`, `variants.csv`, `promises.csv` and `measures.csv`: UTF-8, commas, every text in
    quotes."""
    paths = []
    scrub = scrubber()

    @lru_cache(maxsize=_REMEMBERED)
    def cell(text: str) -> str:
        # Scrubbed first: an apostrophe in the middle of a secret would hide it.
        return cell_text(scrub(text))

    for name, table in _tables(comparison, found).items():
        path = folder / f"{name}.csv"
        safe = pd.DataFrame({cell(str(column)): _safe(table[column], cell) for column in table})
        with path.open("w", encoding="utf-8", errors=HALF_CHARACTERS, newline="") as file:
            safe.to_csv(file, index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        paths.append(path)
    return paths


def write_parquet(comparison: Comparison, found: Provenance, folder: Path) -> list[Path]:
    """The same tables as CSV has as `*.parquet`; their schema has the provenance under "workbench"."""
    import pyarrow as pa
    from pyarrow import parquet

    scrub = lru_cache(maxsize=_REMEMBERED)(scrubber())
    paths = []
    for name, table in _tables(comparison, found).items():
        path = folder / f"{name}.parquet"
        columns = {writable(scrub(str(column))): pa.array(_plain_values(table[column], scrub)) for column in table}
        about = {"workbench": json.dumps(value_without_secrets(asdict(found)))}
        parquet.write_table(pa.table(columns).replace_schema_metadata(about), path)
        paths.append(path)
    return paths


def write_jsonl(comparison: Comparison, found: Provenance, folder: Path) -> list[Path]:
    """`trials.jsonl`: a trial a line with all that was asked and found, and the exact texts."""
    path = folder / "trials.jsonl"
    scrub = lru_cache(maxsize=_REMEMBERED)(scrubber())
    with path.open("w", encoding="utf-8", newline="") as file:
        versions = _scrubbed(found.versions, scrub)  # one for all lines
        for line in _json_lines(comparison, found):
            file.write(json.dumps(_scrubbed(line, scrub) | {"versions": versions}) + "\n")
    return [path]


def write_json(comparison: Comparison, found: Provenance, folder: Path) -> list[Path]:
    """`comparison.json`: the verdicts, the promises, what judges found and the measures as values, and what they rest
    on."""
    path = folder / "comparison.json"
    shown = {
        "baseline": comparison.baseline,
        "pairs": [(base, name) for name, base in comparison.baseline_of.items()],
        "tasks": len(comparison.run.tasks),
        "repeats": comparison.run.repeats,
        "verdicts": comparison.verdicts,
        "promises": comparison.promises,
        "criteria": comparison.criteria,
        "measures": comparison.measures,
        "provenance": found,
    }
    path.write_text(json.dumps(_scrubbed(shown, scrubber()), indent=2) + "\n", encoding="utf-8", newline="\n")
    return [path]


def cell_text(text: str) -> str:
    """The text as a cell of a CSV file in which no spreadsheet finds a formula."""
    if text.isalnum():
        return text
    safe = _with_formulas(visible_lines(text), lambda before, sign: f"{before}'{sign}")
    return f"'{safe}" if _BEGINS_WITH_BREAK.match(safe) else safe


def text_of_cell(cell: str) -> str:
    """The text that stands in a cell which `cell_text` made, as a program reads it from the file."""
    text = cell[1:] if cell.startswith("'") and _BEGINS_WITH_BREAK.match(cell) else cell
    return _with_formulas(text, lambda before, sign: f"{before.removesuffix(chr(39))}{sign}")


def _with_formulas(text: str, written: Callable[[str, str], str]) -> str:
    """The text with each sign that could begin a formula written so, with the blanks and quotes before it."""
    lines = []
    begins_cell = True
    for line in text.split("\n"):
        last_call = max((found.start() for found in _CALLS.finditer(line)), default=-1)

        def of_sign(found: re.Match[str], *, begins_cell: bool = begins_cell, last_call: int = last_call) -> str:
            last_end = max(found[1].rfind(";"), found[1].rfind("|"))
            if found.start() and last_end < 0 and "\t" not in found[1]:
                return found[0]
            begins = begins_cell and found.start() == 0 and last_end <= 0
            is_formula = begins or found[2] in _ALWAYS or found.end() <= last_call
            return written(found[1], found[2]) if is_formula else found[0]

        lines.append(_SIGN.sub(of_sign, line))
        begins_cell = begins_cell and not line.strip(_BLANK)
    return "\n".join(lines)


def _endpoints_of(variant: str, run: Run) -> str:
    return ", ".join(dict.fromkeys(trial.endpoint.base_url for trial in run.trials if trial.variant == variant))


def _tables(comparison: Comparison, found: Provenance) -> dict[str, pd.DataFrame]:
    """The tables of the comparison, each row with what its numbers rest on."""
    run = comparison.run
    names = list(run.variants)
    agents = "; ".join(f"{name}: {digest}" for name, digest in found.agents.items())
    made_with = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    models = " ".join(dict.fromkeys(model for counts in found.models.values() for model in counts))
    more: dict[str, dict[str, list[str | None]]] = {
        "trials": _sources_of_trials(comparison, found) | {"made_with": [made_with] * len(run.trials)},
        "tasks": {
            "task_file_sha256": [task.file_sha256 for task in run.tasks],
            "agents_sha256": [agents for _ in run.tasks],
            "models": [models for _ in run.tasks],
            "made_with": [made_with for _ in run.tasks],
        },
        "variants": {
            "agent_sha256": [found.agents[name] for name in names],
            "models": [" ".join(found.models[name]) for name in names],
            "prices": ["; ".join(found.prices[model] for model in found.models[name]) for name in names],
            "endpoint": [_endpoints_of(name, run) for name in names],
            "task_files_sha256": [" ".join(found.task_files) for _ in names],
            "made_with": [made_with for _ in names],
        },
        "promises": {"made_with": [made_with for _ in comparison.promises]},
        "measures": {"made_with": [made_with for _ in comparison.measures]},
    }
    tables = {
        "trials": comparison.trials,
        "tasks": comparison.by_task.reset_index(),
        "variants": comparison.by_variant.reset_index(),
        "promises": comparison.by_promise,
        "measures": comparison.by_measure,
    }
    return {
        name: table.assign(**{column: list(map(_encodable, values)) for column, values in more[name].items()})
        for name, table in tables.items()
    }


def _sources_of_trials(comparison: Comparison, found: Provenance) -> dict[str, list[str | None]]:
    """By column, what the numbers of each trial rest on."""
    trials = comparison.run.trials
    file_of = {task.id: task.file_sha256 for task in comparison.run.tasks}
    return {
        "model_asked": [trial.request.model for trial in trials],
        "effort": [trial.request.effort for trial in trials],
        "answered_at": [None if trial.reply is None else trial.reply.at for trial in trials],
        "endpoint": [trial.endpoint.base_url for trial in trials],
        "agent_sha256": [found.agents[trial.variant] for trial in trials],
        "task_file_sha256": [file_of[trial.task_id] for trial in trials],
        "price": [None if trial.reply is None else found.prices.get(trial.reply.model) for trial in trials],
        "key": [trial.key for trial in trials],
    }


def _safe(column: pd.Series[Any], cell: Callable[[str], str]) -> pd.Series[Any]:
    if pd.api.types.is_numeric_dtype(column):
        return column
    texts = [cell(str(value)) if _is_there(value) else None for value in column.tolist()]
    return pd.Series(texts, index=column.index)


def _plain_values(column: pd.Series[Any], scrub: Callable[[str], str]) -> list[Any]:
    """Python's own values, `None` where there is none: the same file whatever pandas keeps its texts in."""
    values = (scrub(value) if isinstance(value, str) else value for value in column.tolist())
    return [_encodable(value) if _is_there(value) else None for value in values]


def _encodable(value: Any) -> Any:
    return writable(value) if isinstance(value, str) else value


def _is_there(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _scrubbed(value: Any, scrub: Callable[[str], str]) -> Any:
    """The value as JSON has it, dataclasses as objects, with every text in it scrubbed; NaN, which JSON has not, is
    null."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return scrub(value)
    if is_dataclass(value):
        return {field.name: _scrubbed(getattr(value, field.name), scrub) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_scrubbed(name, scrub): _scrubbed(item, scrub) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(item, scrub) for item in value]
    return value


def _json_lines(comparison: Comparison, found: Provenance) -> Iterator[dict[str, Any]]:
    """Every trial with the columns of the trials table, with what they rest on, and with all that was asked and came
    back: "reply" is the whole reply here, and "scores" has what each grader said beside its score."""
    tasks = {task.id: task for task in comparison.run.tasks}
    columns = {column.name: json_values(column, comparison) for column in COLUMNS}
    columns |= _sources_of_trials(comparison, found)
    rows = zip(*columns.values(), strict=True)
    for trial, row in zip(comparison.run.trials, rows, strict=True):
        task = tasks[trial.task_id]
        yield dict(zip(columns, row, strict=True)) | {
            "scores": trial.scores,
            "input": task.message,
            "target": task.target,
            "reply": trial.reply,
            "failure": trial.failure,
        }
