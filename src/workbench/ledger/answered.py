"""What tasks of these ids were ever asked with, and what came back: the ledger keeps the whole of each attempt."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from workbench.ledger.damage import BODY, check_text, naming_undecodable
from workbench.ledger.file import FOUND_COLUMNS, KEYS_A_QUERY, ROW_COLUMNS, check_whole_row, damaged_row, reply_of
from workbench.ledger.schema import attempts, texts
from workbench.ledger.store import Ledger
from workbench.trial.trial import Frame, Reply, Request

NEWEST_READ = 5_000
"""Attempts that are read at most, the newest of all: what somebody looks at is what was asked last."""


@dataclass(frozen=True, kw_only=True)
class AnsweredAttempt:
    """An attempt that was answered to the end."""

    number: int
    """Of its row: a later attempt has a higher one."""
    key: str
    variant: str
    task_id: str
    repeat: int
    endpoint: str
    """The base URL."""
    request: Request = field(repr=False)
    reply: Reply = field(repr=False)


def find_answered(ledger: Ledger, task_ids: Collection[str]) -> tuple[AnsweredAttempt, ...]:
    """The attempts at tasks of these ids that were answered to the end, oldest first; of very many the newest.

    Raises:
        LedgerError: the ledger cannot be read, or a row of these is not what was written.
    """
    columns = [attempts.c[name] for name in ROW_COLUMNS]
    wanted = list(dict.fromkeys(task_ids))
    newest_first = attempts.c.id.desc()

    def work(connection: sa.Connection) -> tuple[list[Sequence[Any]], dict[str, bytes]]:
        rows: list[Sequence[Any]] = []
        for start in range(0, len(wanted), KEYS_A_QUERY):
            of_part = sa.and_(attempts.c.task_id.in_(wanted[start : start + KEYS_A_QUERY]), attempts.c.whole)
            query = sa.select(*columns).where(of_part).order_by(newest_first).limit(NEWEST_READ)
            with naming_undecodable(connection, query, ledger.name):
                rows += connection.execute(query).all()
        rows = sorted(rows, key=lambda row: int(row[0]))[-NEWEST_READ:]
        hashes = {row[_SYSTEM] for row in rows}
        bodies = connection.execute(sa.select(texts.c.sha256, BODY).where(texts.c.sha256.in_(hashes))).all()
        return rows, {sha256: check_text(sha256, body, ledger=ledger.name) for sha256, body in bodies}

    rows, systems = ledger.read(work) if wanted else ([], {})
    return tuple(_answered_attempt(row, systems, ledger.name) for row in rows)


_SYSTEM = ROW_COLUMNS.index("system_sha256")


def _answered_attempt(row: Sequence[Any], systems: dict[str, bytes], ledger: str) -> AnsweredAttempt:
    check_whole_row(row, ledger=ledger)
    written = dict(zip(ROW_COLUMNS, row, strict=True))
    number = int(written["id"])
    try:
        asked = json.loads(written["request"])
        system = systems.get(written["system_sha256"], b"").decode("utf-8", "surrogateescape")
        request = _request(asked, system)
    except (TypeError, ValueError, KeyError, AttributeError):
        raise damaged_row(ledger, number, "request is none") from None
    return AnsweredAttempt(
        number=number,
        key=written["key"],
        variant=written["variant"],
        task_id=written["task_id"],
        repeat=written["repeat"],
        endpoint=written["place"],
        request=request,
        reply=reply_of(row[: len(FOUND_COLUMNS)], ledger=ledger),
    )


def _request(asked: dict[str, Any], system: str) -> Request:
    """What `Request.canonical` wrote, as the request that it was of. The schema of a reply is left out."""
    frame = asked.get("frame")
    return Request(
        model=asked["model"],
        system=system,
        messages=tuple(asked["messages"]),
        max_tokens=asked["max_tokens"],
        effort=(asked.get("output_config") or {}).get("effort"),
        tools=tuple(asked.get("tools") or ()),
        frame=None if frame is None else Frame(**frame),
    )
