"""Where a ledger is, and the replies in one that is a file, read with Python's own SQLite.

A run of which everything is answered needs no more than that, and to import SQLAlchemy takes longer than to read it.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

from workbench.definition.project import project_folder
from workbench.definition.there import path_of
from workbench.errors import LedgerError
from workbench.trial.trial import Reply, Usage, shared

SCHEMA_VERSION = 5

SECONDS_UNTIL_BUSY = 1
"""How long SQLite itself waits for another process to finish writing. Whoever reads or writes tries again, and says so:
Python cannot be interrupted while SQLite waits."""
KEYS_A_QUERY = 500

REPLY_COLUMNS = ("text", "stop_reason", "model", "request_id", "seconds_to_first_token", "seconds")
USAGE_COLUMNS = tuple(column.name for column in fields(Usage))
_WRITTEN_COLUMNS = ("key", "at", "attempts", "stop_details", *REPLY_COLUMNS, *USAGE_COLUMNS)
_TEXT = _WRITTEN_COLUMNS.index("text")
FOUND_COLUMNS = ("id", "checksum", *_WRITTEN_COLUMNS)
"""What `reply_of` reads."""


def unsaved_files(folder: Path, name: str) -> list[Path]:
    """The files in a folder that hold what could not be written into the ledger of this name; see `unsaved.py`."""
    return sorted(folder.glob(f"{glob.escape(name)}.unsaved-*.json"))


def ledger_address(where: str | Path | None = None) -> str | Path:
    """The file of a ledger, or its SQLAlchemy URL: the one named, else that of `WORKBENCH_LEDGER`, else
    `outputs/ledger.sqlite` of the project.

    Raises:
        LedgerError: it is no path.
    """
    chosen = str(where or os.environ.get("WORKBENCH_LEDGER") or project_folder() / "outputs" / "ledger.sqlite")
    if "://" in chosen:
        return chosen
    try:
        return path_of(chosen).resolve()
    except OSError as error:
        raise LedgerError(f"{chosen!r} is no path of a ledger: {error.strerror}") from error


def read_replies(path: Path, keys: Sequence[str]) -> dict[str, Reply] | None:
    """The newest whole reply for each of these keys that the ledger in this file has one of.

    `None` where only `open_ledger` can tell: there is no such file, or it is no ledger, one of another schema, one that
    cannot be read now, or one beside which something lies that is still to be taken in.

    Raises:
        LedgerError: a reply is not what was written.
    """
    if unsaved_files(path.parent, path.name):
        return None
    rows = rows_in_file(path, FOUND_COLUMNS, keys, only_whole=True)
    return None if rows is None else {row[2]: reply_of(row, ledger=str(path)) for row in rows}


def rows_in_file(
    path: Path, columns: Sequence[str], keys: Sequence[str], *, only_whole: bool = False
) -> list[Sequence[Any]] | None:
    """These columns of every attempt with one of these keys, oldest first; `None` where only `open_ledger` can tell."""
    names = ", ".join(f'"{name}"' for name in columns)
    return _found(path, f"SELECT {names}", f"{'AND whole ' if only_whole else ''}ORDER BY id", keys)


def keys_asked_again(path: Path, keys: Sequence[str]) -> list[str] | None:
    """Those of these keys with which there is more than one attempt; `None` where only `open_ledger` can tell."""
    found = _found(path, 'SELECT "key"', 'GROUP BY "key" HAVING count(*) > 1', keys)
    return None if found is None else [key for (key,) in found]


def _found(path: Path, select: str, rest: str, keys: Sequence[str]) -> list[Sequence[Any]] | None:
    """What the attempts with these keys hold; `None` where only `open_ledger` can tell."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=SECONDS_UNTIL_BUSY)) as connection:
            if next(connection.execute("SELECT max(schema_version) FROM about")) != (SCHEMA_VERSION,):
                return None
            return list(_rows(connection, select, rest, keys))
    except sqlite3.Error:
        return None


def _rows(connection: sqlite3.Connection, select: str, rest: str, keys: Sequence[str]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(keys), KEYS_A_QUERY):
        part = keys[start : start + KEYS_A_QUERY]
        marks = ", ".join("?" * len(part))
        yield from connection.execute(f'{select} FROM attempts WHERE "key" IN ({marks}) {rest}', part)


def checksum_of(written: Sequence[Any], *, whole: bool) -> str:
    """Of the columns `_WRITTEN_COLUMNS` of an attempt, and of whether it was answered to its end."""
    text, others = written[_TEXT], (whole, *written[:_TEXT], *written[_TEXT + 1 :])
    digest = hashlib.blake2b((text or "").encode("utf-8", "surrogatepass"), digest_size=16)
    # In ASCII: which other characters Python prints as they are depends on its version.
    digest.update(ascii((text is None, *others)).encode("ascii"))
    return digest.hexdigest()


def checksum_of_row(row: dict[str, Any]) -> str:
    """The same of a row that is about to be written."""
    return checksum_of([row[name] for name in _WRITTEN_COLUMNS], whole=row["whole"])


def reply_of(row: Sequence[Any], *, ledger: str) -> Reply:
    """The reply in a row of the columns `FOUND_COLUMNS`; one of before there were checksums is held to its types.

    Raises:
        LedgerError: it is not what was written; names the row.
    """
    check_row(row, whole=True, ledger=ledger)
    number, checksum, _, at, attempts, stop_details, text, *others = row
    stop_reason, model, request_id, first, seconds, *usage = others
    try:
        details = None if stop_details is None else json.loads(stop_details)
    except (TypeError, ValueError):
        raise damaged_row(ledger, number, "stop_details is no JSON") from None
    if checksum is None and not (isinstance(text, str) and all(_is_count(count) for count in usage[:-1])):
        raise damaged_row(ledger, number, "a text or a count is none")
    return Reply(
        text=text,
        stop_reason=shared(stop_reason),
        stop_details=details,
        model=shared(model),
        usage=Usage(**dict(zip(USAGE_COLUMNS, usage, strict=True))),
        request_id=request_id,
        seconds_to_first_token=first,
        seconds=seconds,
        attempts=attempts,
        at=at,
    )


def check_row(row: Sequence[Any], *, whole: bool, ledger: str) -> None:
    """Passes where a row of the columns `FOUND_COLUMNS` is what was written, or of before there were checksums.

    Raises:
        LedgerError: it is another; names the row.
    """
    number, checksum, *written = row
    if checksum is not None and checksum != checksum_of(written, whole=whole):
        raise damaged_row(ledger, number, "its checksum is another")


def damaged_row(ledger: str, number: int, why: str) -> LedgerError:
    """What to raise where a row is not what was written."""
    return LedgerError(
        f"{ledger}: row {number} of the table attempts is damaged ({why}): put a copy of the ledger of before in its "
        f"place, or have that request asked again by DELETE FROM attempts WHERE id = {number}"
    )


def _is_count(value: object) -> bool:
    return value is None or type(value) is int
