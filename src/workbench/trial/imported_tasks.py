"""Tasks out of a table that was made for something else: CSV, JSON Lines or JSON, whatever its columns are called.

A file of ours is read by `load_tasks`, strictly. This reads what others leave: an export of a sheet, of a log, of
another tool. A column is known by its name; what has none that can be the question is refused, and the columns that
are there are named.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.definition.there import path_of, text_in
from workbench.errors import TaskFileError
from workbench.trial.proposed import ProposedTask
from workbench.trial.task import Task

INPUT_COLUMNS = (
    "input", "prompt", "question", "query", "task", "user", "message", "messages", "request", "instruction", "problem",
    "text", "content",
)  # fmt: skip
"""What the column of the question may be called; the first of these that is there is taken."""
OTHER_COLUMNS = {
    "id": ("id", "name", "case", "key"),
    "context": ("context", "background", "preamble"),
    "target": ("target", "expected", "expected_output", "ideal", "answer", "reference", "output", "completion"),
    "group": ("group", "category", "topic", "tag", "type"),
}
"""By field of a task, what its column may be called."""
IMPORTED = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
"""What the name of such a file ends in."""
LARGEST_FILE = 50_000_000
"""Bytes."""
MOST_TASKS = 10_000
_LISTS = ("tasks", "data", "examples", "cases", "rows", "items", "prompts", "questions", "tests")
"""Where the list may stand in a JSON object."""
_SHOWN_COLUMNS = 12


def read_foreign_tasks(path: str | Path, *, column: str | None = None) -> tuple[ProposedTask, ...]:
    """The tasks of a file that is none of ours, in its order; `column` names that of the question, if its name does not
    tell. In a list of messages, the last of a user is the question.

    Raises:
        TaskFileError: the file cannot be read, or no column of it can be the question; says what is there.
    """
    path = Path(path)
    rows = read_foreign_rows(path)
    if not rows:
        raise TaskFileError("holds no row", path=path)
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    columns = _columns(names, column, path)
    found = []
    for number, (line, row) in enumerate(rows, start=1):
        asked = _question(row.get(columns["input"]))
        if not asked:
            raise TaskFileError(
                f"{columns['input']}: is empty here, or no text; every row needs a question", path=path, line=line
            )
        found.append(_proposed(row, columns, asked, number, path, line))
    return tuple(found)


def read_foreign_rows(path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    """The rows of such a file, each with the line on which it ends; of a JSON file, with its number.

    Raises:
        TaskFileError: the file cannot be read, or is none of these.
    """
    if path.suffix.lower() not in IMPORTED:
        raise TaskFileError(f"is no file of {', '.join(IMPORTED)}; tasks are imported from those", path=path)
    rows = list(_rows(text_of_file(path), path))
    if len(rows) > MOST_TASKS:
        raise TaskFileError(f"holds {len(rows):,} rows; at most {MOST_TASKS:,} are taken: shorten it", path=path)
    return rows


def _proposed(
    row: Mapping[str, Any], columns: Mapping[str, str], asked: str, number: int, path: Path, line: int
) -> ProposedTask:
    def text(field: str) -> str | None:
        value = row.get(columns[field]) if field in columns else None
        return None if value in (None, "") or isinstance(value, dict | list) else str(value)

    return ProposedTask(
        task=Task(
            id=text("id") or f"{path.stem}-{number}",
            input=asked,
            context=text("context"),
            target=text("target"),
            group=text("group"),
        ),
        remark=f"from {path.name}, line {line}",
    )


def _columns(names: Sequence[str], column: str | None, path: Path) -> dict[str, str]:
    """By field, the column that holds it."""
    by_name = {name.strip().casefold().replace(" ", "_").replace("-", "_"): name for name in reversed(names)}
    shown = ", ".join(names[:_SHOWN_COLUMNS]) + (" ..." if len(names) > _SHOWN_COLUMNS else "")
    if column is not None and column not in names:
        raise TaskFileError(f"has no column {column!r}; it has {shown}", path=path)
    asked = column or next((by_name[name] for name in INPUT_COLUMNS if name in by_name), None)
    if asked is None:
        raise TaskFileError(
            f"no column can be the question: it has {shown}, and one of them should be called "
            f"{', '.join(INPUT_COLUMNS[:5])} or be named with --column",
            path=path,
        )
    found = {"input": asked}
    for field, known in OTHER_COLUMNS.items():
        other = next((by_name[name] for name in known if name in by_name and by_name[name] != asked), None)
        if other is not None:
            found[field] = other
    return found


def _question(value: Any) -> str:
    """The question as a text: of a list of messages the last that a user says; empty where there is none."""
    if isinstance(value, list):
        said = [each for each in value if isinstance(each, dict) and each.get("role", "user") in ("user", "human")]
        return _question(said[-1].get("content")) if said else _of_blocks(value)
    if isinstance(value, dict):
        return _question(value.get("content", value.get("text")))
    return value.strip() if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""


def _of_blocks(value: Sequence[Any]) -> str:
    return "\n".join(each for each in value if isinstance(each, str)).strip()


def text_of_file(path: Path) -> str:
    """The text of a file of rows.

    Raises:
        TaskFileError: it cannot be read, is too large, or no UTF-8.
    """
    try:
        size = path_of(path).stat().st_size
        if size > LARGEST_FILE:
            raise TaskFileError(f"has {size:,} bytes; at most {LARGEST_FILE:,} are read", path=path)
        return text_in(path, encoding="utf-8-sig")
    except FileNotFoundError:
        raise TaskFileError("no such file", path=path) from None
    except OSError as error:
        raise TaskFileError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise TaskFileError(
            f"is not UTF-8 (byte {error.start} is {error.object[error.start]:#04x}); save it as UTF-8", path=path
        ) from None


def _rows(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        yield from _table_rows(text, path, "\t" if suffix == ".tsv" else _delimiter(text))
    elif suffix == ".json":
        yield from enumerate(_json_rows(_json(text, path, None), path), start=1)
    else:
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield number, _row(_json(line, path, number), path, number)


def _delimiter(text: str) -> str:
    """A sheet that is saved where the comma is the decimal mark has semicolons."""
    head = text.split("\n", 1)[0]
    return max(",;\t", key=head.count)


def _table_rows(text: str, path: Path, delimiter: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        for record in reader:
            if None in record:
                raise TaskFileError("has more cells than the header has columns", path=path, line=reader.line_num)
            if any(record.values()):
                yield reader.line_num, record
    except csv.Error as error:
        raise TaskFileError(f"is not CSV: {error}", path=path, line=reader.line_num) from None


def _json_rows(found: Any, path: Path) -> Iterator[Mapping[str, Any]]:
    if isinstance(found, dict):
        lists = [found[name] for name in _LISTS if isinstance(found.get(name), list)]
        if not lists:
            shown = ", ".join(list(found)[:_SHOWN_COLUMNS])
            raise TaskFileError(
                f"is an object with {shown}; it should be a list, or have one as {', '.join(_LISTS[:3])}", path=path
            )
        found = lists[0]
    if not isinstance(found, list):
        raise TaskFileError("is no list of objects", path=path)
    for number, each in enumerate(found, start=1):
        yield _row(each, path, number)


def _row(found: Any, path: Path, line: int) -> Mapping[str, Any]:
    if isinstance(found, str):
        return {"input": found}
    if not isinstance(found, dict):
        raise TaskFileError("a row is an object, or a text that is asked", path=path, line=line)
    return found


def _json(text: str, path: Path, line: int | None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = error.lineno if line is None else line
        raise TaskFileError(f"is not JSON: {error.msg} at column {error.colno}", path=path, line=at) from None
    except (ValueError, RecursionError) as error:
        raise TaskFileError(f"cannot be read: {error}", path=path, line=line) from None
