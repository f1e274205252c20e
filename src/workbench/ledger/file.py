"""Where a ledger is, and the replies in one that is a file, read with Python's own SQLite.

A run of which everything is answered needs no more than that, and to import SQLAlchemy takes longer than to read it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

from workbench.definition.project import project_folder
from workbench.trial.trial import Reply, Usage, shared

SCHEMA_VERSION = 4

SECONDS_UNTIL_BUSY = 60
"""How long a SQLite ledger waits for another process to finish writing."""
KEYS_A_QUERY = 500

REPLY_COLUMNS = ("text", "stop_reason", "model", "request_id", "seconds_to_first_token", "seconds")
USAGE_COLUMNS = tuple(column.name for column in fields(Usage))
FOUND_COLUMNS = ("key", "at", "attempts", "stop_details", *REPLY_COLUMNS, *USAGE_COLUMNS)
"""What `reply_of` reads."""


def ledger_address(where: str | Path | None = None) -> str | Path:
    """The file of a ledger, or its SQLAlchemy URL: the one named, else that of `WORKBENCH_LEDGER`, else
    `outputs/ledger.sqlite` of the project."""
    chosen = str(where or os.environ.get("WORKBENCH_LEDGER") or project_folder() / "outputs" / "ledger.sqlite")
    return chosen if "://" in chosen else Path(chosen).resolve()


def read_replies(path: Path, keys: Sequence[str]) -> dict[str, Reply] | None:
    """The newest whole reply for each of these keys that the ledger in this file has one of.

    `None` where only `open_ledger` can tell: there is no such file, or it is no ledger, one of another schema, or one
    that cannot be read.
    """
    rows = rows_in_file(path, FOUND_COLUMNS, keys, only_whole=True)
    return None if rows is None else {row[0]: reply_of(row) for row in rows}


def rows_in_file(
    path: Path, columns: Sequence[str], keys: Sequence[str], *, only_whole: bool = False
) -> list[Sequence[Any]] | None:
    """These columns of every attempt with one of these keys, oldest first; `None` where only `open_ledger` can tell."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=SECONDS_UNTIL_BUSY)) as connection:
            if next(connection.execute("SELECT max(schema_version) FROM about")) != (SCHEMA_VERSION,):
                return None
            return list(_rows(connection, columns, keys, only_whole=only_whole))
    except sqlite3.Error:
        return None


def _rows(
    connection: sqlite3.Connection, columns: Sequence[str], keys: Sequence[str], *, only_whole: bool
) -> Iterator[Sequence[Any]]:
    names = ", ".join(f'"{name}"' for name in columns)
    also = " AND whole" if only_whole else ""
    for start in range(0, len(keys), KEYS_A_QUERY):
        part = keys[start : start + KEYS_A_QUERY]
        marks = ", ".join("?" * len(part))
        yield from connection.execute(f'SELECT {names} FROM attempts WHERE "key" IN ({marks}){also} ORDER BY id', part)


def reply_of(row: Sequence[Any]) -> Reply:
    """The reply in a row of the columns `FOUND_COLUMNS`."""
    _, at, attempts, stop_details, text, stop_reason, model, request_id, first, seconds, *usage = row
    return Reply(
        text=text,
        stop_reason=shared(stop_reason),
        stop_details=None if stop_details is None else json.loads(stop_details),
        model=shared(model),
        usage=Usage(**dict(zip(USAGE_COLUMNS, usage, strict=True))),
        request_id=request_id,
        seconds_to_first_token=first,
        seconds=seconds,
        attempts=attempts,
        at=at,
    )
