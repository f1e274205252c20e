"""What is wrong where the database of a ledger refuses: whether it may pass by itself, and what to do if not."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

Kind = Literal["locked", "gone", "full", "refused", "damaged", "other"]

_IN_SQLITE: dict[int, Kind] = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "refused",
    sqlite3.SQLITE_PERM: "refused",
    sqlite3.SQLITE_CANTOPEN: "refused",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}
_IN_POSTGRESQL: dict[str, Kind] = {
    "08": "gone",  # connection exceptions
    "57P": "gone",  # shutting down, starting up
    "25P03": "gone",  # we fell asleep in a transaction
    "53300": "gone",  # too many connections
    "53100": "full",
    "28": "refused",  # name or password
    "3D": "refused",  # no such database
    "42501": "refused",  # no permission
    "25006": "refused",  # it may only be read
    "55P03": "locked",
    "40": "locked",  # two that waited for each other, or changed the same
    "XX": "damaged",
}
"""By the beginning of an SQLSTATE (PostgreSQL's documentation, appendix A)."""
_ADVICE: dict[tuple[Kind, bool], str] = {
    ("locked", True): "another program holds a lock on it: see which has it open, and end that",
    ("locked", False): "another session holds a lock on its tables: see pg_stat_activity, and end that",
    ("gone", False): "see whether its server is there",
    ("full", True): "free some space",
    ("full", False): "free some space on its server",
    ("refused", True): "see whether this user may read and write the file and its folder",
    ("refused", False): "its server is there and refuses: check user, password, name and permissions (GRANT)",
    ("damaged", True): "it is no ledger, or damaged: put a copy of before in its place",
    ("damaged", False): "its server says that it is damaged: put a copy of before in its place",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """Why the database of a ledger did not do what it was asked for."""

    kind: Kind
    said: str
    """By the database, in one line."""
    advice: str

    @property
    def may_pass(self) -> bool:
        """Waiting may help."""
        return self.kind in ("locked", "gone")


def trouble_of(error: sa.exc.SQLAlchemyError, *, is_file: bool) -> Trouble:
    """What this error means."""
    cause = getattr(error, "orig", None) or error
    kind = _kind_in_file(cause) if is_file else _kind_on_server(error, cause)
    return Trouble(
        kind=kind,
        said=" ".join(str(cause).split()),
        advice=_ADVICE.get((kind, is_file), "see what it says"),
    )


def _kind_in_file(cause: BaseException) -> Kind:
    code = getattr(cause, "sqlite_errorcode", None)
    return "other" if code is None else _IN_SQLITE.get(code & 0xFF, "other")


def _kind_on_server(error: sa.exc.SQLAlchemyError, cause: BaseException) -> Kind:
    if getattr(error, "connection_invalidated", False):
        return "gone"
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return next((kind for start, kind in _IN_POSTGRESQL.items() if state.startswith(start)), "other")
    if not isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        return "other"
    # What fails before there is a session comes without a state: the server's refusal is a line of text then.
    refused = any(words in str(cause) for words in ("authentication failed", "does not exist", "no pg_hba.conf entry"))
    return "refused" if refused else "gone"
