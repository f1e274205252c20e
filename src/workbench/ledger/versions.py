"""The versions of an agent that were ever tried: the ledger keeps the text of each."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from workbench.definition.agent import Agent, parse_agent
from workbench.ledger.damage import BODY, check_text, naming_undecodable
from workbench.ledger.file import ROW_COLUMNS, check_types, check_whole_row, damaged_row
from workbench.ledger.schema import attempts, texts
from workbench.ledger.store import Ledger

LONGEST_LIST = 200


@dataclass(frozen=True, kw_only=True)
class TriedVersion:
    """One text of an agent, and how it was tried."""

    agent: Agent
    sha256: str
    """Of its bytes: `Agent.digest`."""
    first_at: str
    """When it was first tried, ISO 8601 in UTC."""
    last_at: str
    trials: int
    variants: tuple[str, ...]
    """What it was called in comparisons."""


@dataclass(frozen=True, kw_only=True)
class FoundReply:
    """What a version of an agent said to one message, or that it said nothing."""

    sha256: str
    """The version."""
    key: str
    at: str
    endpoint: str
    model: str
    """The id that was asked for."""
    effort: str | None
    message: str
    text: str
    stop_reason: str | None
    whole: bool


def find_replies(ledger: Ledger, versions: Collection[str]) -> tuple[FoundReply, ...]:
    """What these versions were asked and said, oldest first; of conversations the first message alone.

    Raises:
        LedgerError: the ledger cannot be read, or a row of these is not what was written.
    """
    columns = [attempts.c[name] for name in ROW_COLUMNS]
    query = sa.select(*columns).where(attempts.c.agent_sha256.in_(list(versions))).order_by(attempts.c.id)

    def work(connection: sa.Connection) -> Sequence[Any]:
        with naming_undecodable(connection, query, ledger.name):
            return connection.execute(query).all()

    rows = ledger.read(work) if versions else ()
    return tuple(reply for row in rows if (reply := _found_reply(row, ledger.name)) is not None)


def _found_reply(row: Sequence[Any], ledger: str) -> FoundReply | None:
    """What a row of these columns holds; `None` where more was sent than a prompt and one message."""
    check_whole_row(row, ledger=ledger)
    written = dict(zip(ROW_COLUMNS, row, strict=True))
    asked = _request_of(written["request"], written["id"], ledger)
    messages = asked.get("messages") or [{}]
    if not isinstance(messages, list) or not isinstance(messages[0], dict):
        raise damaged_row(ledger, written["id"], "its request has no messages")
    message = messages[0].get("content")
    if len(messages) > 1 or not isinstance(message, str) or "frame" in asked or "tools" in asked:
        return None
    return FoundReply(
        sha256=written["agent_sha256"],
        key=written["key"],
        at=written["at"],
        endpoint=written["place"],
        model=asked["model"],
        effort=(asked.get("output_config") or {}).get("effort"),
        message=message,
        text=written["text"] or "",
        stop_reason=written["stop_reason"],
        whole=written["whole"],
    )


def _request_of(text: str, number: int, ledger: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise damaged_row(ledger, number, "request is no JSON")
    return found


def find_versions(ledger: Ledger, names: Collection[str]) -> tuple[TriedVersion, ...]:
    """The versions of the agents of these names that the ledger holds, the latest tried first, 200 at most.

    Raises:
        LedgerError: the ledger cannot be read, or the text of such a version is not what was written.
    """
    names_read = ("id", "agent_sha256", "at", "variant")
    read = sa.select(*(attempts.c[name] for name in names_read))
    tried = (
        sa.select(
            attempts.c.agent_sha256,
            sa.func.min(attempts.c.at).label("first_at"),
            sa.func.max(attempts.c.at).label("last_at"),
            sa.func.count().label("trials"),
            sa.func.max(attempts.c.id).label("newest"),
        )
        .group_by(attempts.c.agent_sha256)
        .order_by(sa.func.max(attempts.c.id).desc())
        .limit(LONGEST_LIST)
        .subquery()
    )
    listed = (
        sa.select(tried.c.agent_sha256, tried.c.first_at, tried.c.last_at, tried.c.trials, BODY)
        .join(texts, texts.c.sha256 == tried.c.agent_sha256, isouter=True)
        .order_by(tried.c.newest.desc())
    )
    named = sa.select(attempts.c.agent_sha256, attempts.c.variant).distinct()

    def work(connection: sa.Connection) -> tuple[Sequence[Any], Sequence[Any]]:
        with naming_undecodable(connection, read, ledger.name):
            rows = connection.execute(listed).all()
            labels = connection.execute(named.where(attempts.c.agent_sha256.in_([row[0] for row in rows]))).all()
            if not all(isinstance(text, str) for row in (*(row[:3] for row in rows), *labels) for text in row):
                check_types(connection.execute(read).all(), names_read, ledger=ledger.name)
        # A text that was left out by hand, or a hash that is another than was written.
        unknown = attempts.c.agent_sha256.in_([row[0] for row in rows if row[-1] is None])
        whole_rows = sa.select(*(attempts.c[name] for name in ROW_COLUMNS)).where(unknown)
        with naming_undecodable(connection, whole_rows, ledger.name):
            for row in connection.execute(whole_rows):
                check_whole_row(row, ledger=ledger.name)
        return [row for row in rows if row[-1] is not None], labels

    rows, labels = ledger.read(work)
    variants: dict[str, list[str]] = {}
    for sha256, variant in labels:
        variants.setdefault(sha256, []).append(variant)
    found = []
    for sha256, first_at, last_at, trials, body in rows:
        agent = parse_agent(check_text(sha256, body, ledger=ledger.name))
        if agent.name in names:
            found.append(
                TriedVersion(
                    agent=agent,
                    sha256=sha256,
                    first_at=first_at,
                    last_at=last_at,
                    trials=trials,
                    variants=tuple(sorted(variants[sha256])),
                )
            )
    return tuple(found)
