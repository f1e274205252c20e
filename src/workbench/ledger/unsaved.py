"""Attempts that could not be written into the ledger: kept in a file beside it, and taken in when it is opened again.

Each file is written once, as a whole, and has a name of its own. It is deleted when its attempts are in the ledger; one
that was taken in already (a crash in between, or two that did it at once) changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from workbench.definition.project import project_folder, write_folder
from workbench.definition.there import text_in
from workbench.errors import LedgerError
from workbench.ledger.file import unsaved_files
from workbench.ledger.schema import attempts as _attempts
from workbench.ledger.schema import database_at, one_after_the_other
from workbench.ledger.schema import texts as _texts

Row = dict[str, Any]


def read_beside(url: str) -> Path:
    """The file from which the ledger at this address takes answers, and so it does from those beside it whose names
    begin with its own: of a server, that of what could not be written. It need not be there.

    Raises:
        LedgerError: it is no address.
    """
    try:
        folder, name = _where(database_at(url))
    except sa.exc.ArgumentError as error:
        raise LedgerError(
            f"the ledger's address cannot be used: {error}; WORKBENCH_LEDGER takes a path or an SQLAlchemy URL"
        ) from error
    return folder / name


def unsaved_of(address: sa.URL) -> list[Path]:
    """The files of a ledger that are still to be taken in."""
    return unsaved_files(*_where(address))


def write_unsaved(address: sa.URL, rows: Sequence[Row], texts: Mapping[str, bytes]) -> Path:
    """Writes attempts into a file that only this user can read: the rows of two tables.

    Raises:
        OSError: nor can that be written.
    """
    folder, name = _where(address)
    write_folder(folder)
    path = folder / f"{name}.unsaved-{uuid.uuid4().hex}.json"
    content = {"attempts": rows, "texts": {key: base64.b64encode(body).decode() for key, body in texts.items()}}
    beside = path.with_suffix(".part")
    with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    return beside.rename(path)


def take_in(connection: sa.Connection, path: Path) -> int:
    """Writes what such a file holds, in a transaction; how many attempts were new. Delete the file afterwards.

    Raises:
        ValueError: it is not such a file.
    """
    content = json.loads(text_in(path))
    one_after_the_other(connection)  # else two that take in the same would both find it missing
    for sha256, body in content["texts"].items():
        if connection.execute(sa.select(_texts.c.sha256).where(_texts.c.sha256 == sha256)).first() is None:
            connection.execute(_texts.insert().values(sha256=sha256, body=base64.b64decode(body)))
    new = [row for row in content["attempts"] if not _is_there(connection, row)]
    if new:
        connection.execute(_attempts.insert(), new)
    return len(new)


def _is_there(connection: sa.Connection, row: Row) -> bool:
    same = (_attempts.c[name] == row[name] for name in ("key", "at", "checksum"))
    return connection.execute(sa.select(_attempts.c.id).where(*same)).first() is not None


def _where(address: sa.URL) -> tuple[Path, str]:
    """Beside a ledger that is a file; for one on a server, among the outputs of the project."""
    if address.get_backend_name() == "sqlite" and address.database is not None:
        database = address.database
        is_address = database.startswith("file:") and "uri" in address.query
        path = Path(unquote(urlsplit(database).path) if is_address else database).absolute()
        return path.parent, path.name
    name = hashlib.sha256(address.render_as_string(hide_password=True).encode()).hexdigest()[:16]
    return project_folder() / "outputs", f"ledger-{name}"
