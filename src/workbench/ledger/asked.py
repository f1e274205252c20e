"""What was ever asked, by the words of the user: whether something that should not have been was asked or shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from workbench.definition.there import is_there
from workbench.ledger.damage import BODY, check_text, naming_undecodable
from workbench.ledger.file import check_types, damaged_row, ledger_address
from workbench.ledger.schema import attempts, texts
from workbench.ledger.store import Ledger, opened_ledger
from workbench.trial.catalogue import OFFLINE_BASE_URL

_COLUMNS = ("id", "request", "variant", "system_sha256")
_ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request that was sent, whatever came of it."""

    variant: str
    message: str
    """The first turn of the user."""
    system: str


def find_asked(
    ledger: Ledger | str | Path | None, is_meant: Callable[[str], bool], *, variants: Collection[str] | None = None
) -> tuple[Asked, ...]:
    """The requests whose message is meant, of these variants (`None`: of all), oldest first, without those to the
    offline stand-in.

    All requests of these variants are read, the replies are not. A ledger that is not there is not made.

    Raises:
        LedgerError: the ledger cannot be read, or a row of it is not what was written.
    """
    if ledger is None or isinstance(ledger, str | Path):
        address = ledger_address(ledger)
        if isinstance(address, Path) and not is_there(address):
            return ()
    wanted = attempts.c.place != OFFLINE_BASE_URL
    if variants is not None:
        wanted &= attempts.c.variant.in_(variants)
    query = (
        sa.select(*(attempts.c[name] for name in _COLUMNS))
        .where(wanted)
        .order_by(attempts.c.id)
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )

    def work(connection: sa.Connection) -> tuple[Asked, ...]:
        found = []
        with naming_undecodable(connection, query, opened.name):
            for rows in connection.execute(query).partitions():
                check_types(rows, _COLUMNS, ledger=opened.name)
                for number, request, variant, sha256 in rows:
                    message = _message_of(request, number, opened.name)
                    if is_meant(message):
                        found.append((variant, message, sha256))
        systems = dict(_systems(connection, {sha256 for _, _, sha256 in found}, opened.name))
        return tuple(
            Asked(variant=variant, message=message, system=systems.get(sha256, ""))
            for variant, message, sha256 in found
        )

    with opened_ledger(ledger) as opened:
        return opened.read(work)


def _systems(connection: sa.Connection, hashes: set[str], ledger: str) -> Iterator[tuple[str, str]]:
    for sha256 in hashes:
        body = connection.scalar(sa.select(BODY).where(texts.c.sha256 == sha256))
        if body is not None:
            yield sha256, check_text(sha256, body, ledger=ledger).decode("utf-8", "surrogateescape")


def _message_of(request: str, number: int, ledger: str) -> str:
    try:
        turns = json.loads(request)["messages"]
        return next((_text_of(turn["content"]) for turn in turns if turn["role"] == "user"), "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise damaged_row(ledger, number, "its request is none") from None


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(part["text"] for part in content if part.get("type") == "text")
