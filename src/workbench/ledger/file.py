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
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.definition.project import project_folder
from workbench.definition.there import path_of
from workbench.errors import LedgerError
from workbench.trial.trial import Reply, Usage, shared

SCHEMA_VERSION = 6

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
_ASKED_COLUMNS = (
    *("request", "variant", "task_id", "repeat", "draw", "place", "agent_sha256", "system_sha256"),
    *("failure_type", "failure_message", "failure_status"),
)
"""What was asked and of whom, and why it failed. Of no use to whoever looks for a reply, who is spared reading it: so
it has a checksum of its own."""
ROW_COLUMNS = (*FOUND_COLUMNS, "whole", "asked_checksum", *_ASKED_COLUMNS)
"""All of an attempt: what `check_whole_row` reads. The two checksums together are of all but `id`, which the database
gives when the row is written; where it changes, the index by which rows are found leads nowhere, and SQLite says so."""
_FIRST_ASKED = ROW_COLUMNS.index("asked_checksum")
_WHOLE = ROW_COLUMNS.index("whole")
_TEXT_OR_NONE = frozenset({str, type(None)})
_TYPES: dict[str, frozenset[type]] = {
    name: frozenset(types)
    for types, names in (
        ((str,), ("key", "at", "request", "variant", "task_id", "place", "agent_sha256", "system_sha256")),
        ((int,), ("id", "repeat", "attempts")),
        ((bool, int), ("whole",)),  # without SQLAlchemy it is a number in a file
        ((int, type(None)), (*(name for name in USAGE_COLUMNS if name != "service_tier"), "draw", "failure_status")),
        ((float, type(None)), ("seconds", "seconds_to_first_token")),
    )
    for name in names
}
"""Of the values of a column; of all others text or none."""
_IS_NO_VALUE = "a text or a count is none"


def unsaved_files(folder: Path, name: str) -> list[Path]:
    """The files in a folder that hold what could not be written into the ledger of this name; see `unsaved.py`."""
    return sorted(folder.glob(f"{glob.escape(name)}.unsaved-*.json"))


def named_ledger(where: str | Path | None = None) -> str:
    """Where a ledger is, as it is named: its file, with the links on the way to it, or its SQLAlchemy URL."""
    return str(where or os.environ.get("WORKBENCH_LEDGER") or project_folder() / "outputs" / "ledger.sqlite")


def ledger_address(where: str | Path | None = None) -> str | Path:
    """The file of a ledger, or its SQLAlchemy URL: the one named, else that of `WORKBENCH_LEDGER`, else
    `outputs/ledger.sqlite` of the project.

    Raises:
        LedgerError: it is no path.
    """
    chosen = named_ledger(where)
    if "://" in chosen:
        return chosen
    try:
        return Path(os.path.realpath(path_of(chosen)))  # `resolve` of links in a circle would be another error
    except OSError as error:
        raise LedgerError(f"{chosen!r} is no path of a ledger: {error.strerror}") from error


def read_replies(path: Path, keys: Sequence[str]) -> dict[str, Reply] | None:
    """The newest whole reply for each of these keys that the ledger in this file has one of: none where there is no
    file, and none is made.

    `None` where only `open_ledger` can tell: it is no ledger, one of another schema, one that cannot be read now, or
    one beside which something lies that is still to be taken in.

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
    """What the attempts with these keys hold: nothing where there is no ledger, and to look makes none; `None` where
    only `open_ledger` can tell."""
    if _is_absent(path):
        return []
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=SECONDS_UNTIL_BUSY)) as connection:
            if next(connection.execute("SELECT max(schema_version) FROM about")) != (SCHEMA_VERSION,):
                return None
            return list(_rows(connection, select, rest, keys))
    except sqlite3.Error:
        return None


def _is_absent(path: Path) -> bool:
    """Whether there is neither the file nor anything beside it that the ledger would take in."""
    try:
        path.stat()
    except FileNotFoundError:
        return not unsaved_files(path.parent, path.name)
    except OSError:
        return False
    return False


def _rows(connection: sqlite3.Connection, select: str, rest: str, keys: Sequence[str]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(keys), KEYS_A_QUERY):
        part = keys[start : start + KEYS_A_QUERY]
        marks = ", ".join("?" * len(part))
        yield from connection.execute(f'{select} FROM attempts WHERE "key" IN ({marks}) {rest}', part)


def checksum_of(written: Sequence[Any], *, whole: bool) -> str:
    """Of the columns `_WRITTEN_COLUMNS` of an attempt, and of whether it was answered to its end."""
    text, others = written[_TEXT], (whole, *written[:_TEXT], *written[_TEXT + 1 :])
    if not isinstance(text, str | None):
        return ""  # it is of none
    digest = hashlib.blake2b((text or "").encode("utf-8", "surrogatepass"), digest_size=16)
    # In ASCII: which other characters Python prints as they are depends on its version.
    digest.update(ascii((text is None, *others)).encode("ascii"))
    return digest.hexdigest()


def asked_checksum_of(asked: Sequence[Any], *, key: str, checksum: str) -> str:
    """Of the columns `_ASKED_COLUMNS` of an attempt, and of the two that say which row it is."""
    request, *others = asked
    if not isinstance(request, str):
        return ""  # it is of none
    digest = hashlib.blake2b(request.encode("utf-8", "surrogatepass"), digest_size=16)
    digest.update(ascii((key, checksum, *others)).encode("ascii"))
    return digest.hexdigest()


def checksums_of_row(row: dict[str, Any]) -> dict[str, str]:
    """The same of a row that is about to be written, as its columns."""
    checksum = checksum_of([row[name] for name in _WRITTEN_COLUMNS], whole=row["whole"])
    asked = [row[name] for name in _ASKED_COLUMNS]
    return {"checksum": checksum, "asked_checksum": asked_checksum_of(asked, key=row["key"], checksum=checksum)}


def reply_of(row: Sequence[Any], *, ledger: str) -> Reply:
    """The reply in a row of the columns `FOUND_COLUMNS`; one of before there were checksums is held to its types.

    Raises:
        LedgerError: it is not what was written; names the row.
    """
    check_row(row, whole=True, ledger=ledger)
    number, _, _, at, attempts, stop_details, text, *others = row
    stop_reason, model, request_id, first, seconds, *usage = others
    try:
        details = None if stop_details is None else json.loads(stop_details)
    except (TypeError, ValueError):
        raise damaged_row(ledger, number, "stop_details is no JSON") from None
    if text is None:
        raise damaged_row(ledger, number, _IS_NO_VALUE)
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
    """Passes where a row of the columns `FOUND_COLUMNS` is what was written; one of before there were checksums is held
    to its types.

    Raises:
        LedgerError: it is another; names the row.
    """
    number, checksum, *written = row
    if checksum is None:
        check_types([row], FOUND_COLUMNS, ledger=ledger)
        try:
            datetime.fromisoformat(written[1])
        except ValueError:
            raise damaged_row(ledger, number, "its time is none") from None
    elif checksum != checksum_of(written, whole=whole):
        raise damaged_row(ledger, number, "its checksum is another")


def check_whole_row(row: Sequence[Any], *, ledger: str) -> None:
    """The same for a row of the columns `ROW_COLUMNS`, and all of it.

    Raises:
        LedgerError: it is another; names the row.
    """
    check_row(row[:_WHOLE], whole=row[_WHOLE], ledger=ledger)
    number, checksum, key = row[:3]
    asked_checksum, *asked = row[_FIRST_ASKED:]
    if asked_checksum is None:
        check_types([row], ROW_COLUMNS, ledger=ledger)
    elif asked_checksum != asked_checksum_of(asked, key=key, checksum=checksum):
        raise damaged_row(ledger, number, "its checksum is another")


def check_types(rows: Sequence[Sequence[Any]], names: Sequence[str], *, ledger: str) -> None:
    """Passes where the values of these columns, `id` among them, are of the types that they are written with: SQLite
    takes any in any column. Columns at a time, which costs a tenth of what rows at a time would.

    Raises:
        LedgerError: one is not; names its row.
    """
    for name, values in zip(names, zip(*rows, strict=True), strict=False):
        types = _TYPES.get(name, _TEXT_OR_NONE)
        if not types.issuperset(map(type, values)):
            odd = next(row for row, value in zip(rows, values, strict=True) if type(value) not in types)
            raise damaged_row(ledger, odd[list(names).index("id")], _IS_NO_VALUE)


def damaged_row(ledger: str, number: int, why: str) -> LedgerError:
    """What to raise where a row is not what was written."""
    return LedgerError(
        f"{ledger}: row {number} of the table attempts is damaged ({why}): put a copy of the ledger of before in its "
        f"place, or have that request asked again by DELETE FROM attempts WHERE id = {number}"
    )
