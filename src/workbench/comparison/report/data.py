"""A report for other programs: CSV for spreadsheets, Parquet and JSON Lines with every text as it was.

In CSV no text can become a formula. The rule: wherever `=`, `+`, `-` or `@` (or their full-width forms) stands at the
start of a cell, or behind a quote, a line break or a character that some program takes for the end of a cell (`,`,
`;`, `|`, tab), blanks between them or not, an apostrophe comes before it; and a cell that begins with a tab or a line
break gets one at its start. Control characters but tab and line break are named ("<U+001B>"). Whoever needs the exact
text takes Parquet or JSON Lines. Source: OWASP, "CSV Injection".
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
from workbench.markup import visible_lines
from workbench.secrets import scrubber
from workbench.trial.trial import Run

_FORMULA = re.compile("[=+\\-@\uff1d\uff0b\uff0d\uff20]")
_ENDS_OF_CELLS = frozenset(",;|\t\n\"'")
_BLANKS = " \u00a0"
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
        with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
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
        columns = {scrub(str(column)): pa.array(_plain_values(table[column], scrub)) for column in table}
        about = {"workbench": scrub(json.dumps(asdict(found)))}
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
    shown = visible_lines(text)
    safe = _FORMULA.sub(_defused, shown)
    return f"'{safe}" if safe[:1] in ("\t", "\n") else safe


def _defused(found: re.Match[str]) -> str:
    """The sign, with an apostrophe before it where it could begin a cell."""
    at = found.start() - 1
    while at >= 0 and found.string[at] in _BLANKS:
        at -= 1
    return f"'{found[0]}" if at < 0 or found.string[at] in _ENDS_OF_CELLS else found[0]


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
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


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
