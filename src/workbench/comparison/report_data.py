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
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.comparison.markup import visible_lines
from workbench.comparison.provenance import Provenance
from workbench.comparison.tables import Comparison
from workbench.errors import ComparisonError

_FORMULA = re.compile(r"""(^|[,;|\t\n"'])([ \u00a0]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])""")


def write_csv(comparison: Comparison, found: Provenance, folder: Path) -> list[Path]:
    """`trials.csv`, `tasks.csv` and `variants.csv`: UTF-8, commas, every text in quotes."""
    paths = []
    for name, table in _tables(comparison, found).items():
        path = folder / f"{name}.csv"
        safe = pd.DataFrame({cell_text(str(column)): _safe(table[column]) for column in table})
        path.write_bytes(
            safe.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").encode("utf-8", "replace")
        )
        paths.append(path)
    return paths


def write_parquet(comparison: Comparison, found: Provenance, folder: Path) -> list[Path]:
    """`trials.parquet`, `tasks.parquet` and `variants.parquet`; their schema has the provenance under "workbench".

    Raises:
        ComparisonError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ComparisonError(f"Parquet is written by pyarrow, which cannot be imported: {error}") from error
    paths = []
    for name, table in _tables(comparison, found).items():
        path = folder / f"{name}.parquet"
        columns = {str(column): pa.array(_plain_values(table[column])) for column in table}
        about = {"workbench": json.dumps(asdict(found))}
        parquet.write_table(pa.table(columns).replace_schema_metadata(about), path)
        paths.append(path)
    return paths


def write_jsonl(comparison: Comparison, found: Provenance, folder: Path) -> list[Path]:
    """`trials.jsonl`: a trial a line with all that was asked and found, and the exact texts."""
    path = folder / "trials.jsonl"
    path.write_bytes("".join(_json_lines(comparison, found)).encode("utf-8"))
    return [path]


def cell_text(text: str) -> str:
    """The text as a cell of a CSV file in which no spreadsheet finds a formula."""
    safe = _FORMULA.sub(r"\1\2'", visible_lines(text))
    return f"'{safe}" if safe[:1] in ("\t", "\n") else safe


def _tables(comparison: Comparison, found: Provenance) -> dict[str, pd.DataFrame]:
    """The tables of the comparison, each row with what its numbers rest on."""
    run = comparison.run
    file_of = {task.id: task.file_sha256 for task in run.tasks}
    names = list(run.variants)
    more: dict[str, dict[str, list[str | None]]] = {
        "trials": {
            "model_asked": [trial.request.model for trial in run.trials],
            "answered_at": [None if trial.reply is None else trial.reply.at for trial in run.trials],
            "place": [trial.place.base_url for trial in run.trials],
            "agent_sha256": [found.agents[trial.variant] for trial in run.trials],
            "task_file_sha256": [file_of[trial.task_id] for trial in run.trials],
            "key": [trial.key for trial in run.trials],
        },
        "tasks": {"task_file_sha256": [task.file_sha256 for task in run.tasks]},
        "variants": {
            "agent_sha256": [found.agents[name] for name in names],
            "models": [" ".join(found.models[name]) for name in names],
            "prices": ["; ".join(found.prices[model] for model in found.models[name]) for name in names],
            "place": [found.base_url for _ in names],
        },
    }
    tables = {
        "trials": comparison.trials,
        "tasks": comparison.by_task.reset_index(),
        "variants": comparison.by_variant.reset_index(),
    }
    return {
        name: table.assign(**{column: list(map(_encodable, values)) for column, values in more[name].items()})
        for name, table in tables.items()
    }


def _safe(column: pd.Series[Any]) -> pd.Series[Any]:
    if pd.api.types.is_numeric_dtype(column):
        return column
    return pd.Series([cell_text(str(value)) if _is_there(value) else None for value in column], index=column.index)


def _plain_values(column: pd.Series[Any]) -> list[Any]:
    """Python's own values, `None` where there is none: the same file whatever pandas keeps its texts in."""
    return [_encodable(value) if _is_there(value) else None for value in column.tolist()]


def _encodable(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _is_there(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _json_lines(comparison: Comparison, found: Provenance) -> Iterator[str]:
    run = comparison.run
    tasks = {task.id: task for task in run.tasks}
    costs = comparison.trials["cost_usd"].tolist()
    for trial, cost in zip(run.trials, costs, strict=True):
        task = tasks[trial.task_id]
        line = {
            "task": trial.task_id,
            "group": task.group,
            "variant": trial.variant,
            "repeat": trial.repeat,
            "outcome": trial.outcome,
            "score": trial.score,
            "scores": {label: asdict(score) for label, score in trial.scores.items()},
            "input": task.message,
            "target": task.target,
            "reply": None if trial.reply is None else asdict(trial.reply),
            "failure": None if trial.failure is None else asdict(trial.failure),
            "cost_usd": cost if _is_there(cost) else None,
            "price": found.prices.get(trial.reply.model) if trial.reply is not None else None,
            "model_asked": trial.request.model,
            "effort": trial.request.effort,
            "place": trial.place.base_url,
            "agent_sha256": found.agents[trial.variant],
            "task_file_sha256": task.file_sha256,
            "versions": dict(found.versions),
            "key": trial.key,
        }
        yield json.dumps(line) + "\n"
