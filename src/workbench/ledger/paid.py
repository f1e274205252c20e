"""What was paid for each trial in all: attempts that failed are rows of the ledger too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.ledger.counts import known_counts
from workbench.ledger.file import KEYS_A_QUERY, USAGE_COLUMNS, ledger_address, rows_in_file
from workbench.trial.catalogue import OFFLINE_BASE_URL, find_price
from workbench.trial.paid import NOTHING_PAID, Paid
from workbench.trial.trial import Usage

if TYPE_CHECKING:
    from workbench.ledger.store import Ledger

_FREE_FAILURES = {"unreachable", "batch_errored", "batch_expired", "batch_canceled"}
"""Never sent to a model, or ended by the server before one was asked."""
_PAID_COLUMNS = ("key", "place", "whole", "model", "request", "failure_type", "failure_status", *USAGE_COLUMNS)


def find_paid(ledger: Ledger | str | Path | None, keys: Iterable[str]) -> dict[str, Paid]:
    """What was paid in all for each of these keys that was ever asked for, by whomever; `Trial.key` names a trial.

    A ledger that is a file is read without SQLAlchemy.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    wanted = list(dict.fromkeys(keys))
    found: dict[str, Paid] = {}
    for row in _rows(ledger, wanted):
        attempt = dict(zip(_PAID_COLUMNS, row, strict=True))
        found[attempt["key"]] = found.get(attempt["key"], NOTHING_PAID) + _paid_for(attempt)
    return found


def _rows(ledger: Ledger | str | Path | None, keys: Sequence[str]) -> list[Sequence[Any]]:
    if ledger is None or isinstance(ledger, str | Path):
        address = ledger_address(ledger)
        if isinstance(address, Path) and (found := rows_in_file(address, _PAID_COLUMNS, keys)) is not None:
            return found
    import sqlalchemy as sa

    from workbench.ledger.schema import attempts
    from workbench.ledger.store import opened_ledger

    columns = [attempts.c[name] for name in _PAID_COLUMNS]

    def work(connection: sa.Connection) -> list[Sequence[Any]]:
        return [
            row
            for start in range(0, len(keys), KEYS_A_QUERY)
            for row in connection.execute(
                sa.select(*columns).where(attempts.c.key.in_(keys[start : start + KEYS_A_QUERY]))
            )
        ]

    with opened_ledger(ledger) as opened:
        return opened.read(work)


def _paid_for(attempt: dict[str, Any]) -> Paid:
    """What one attempt took."""
    failed = attempt["failure_type"] is not None and not attempt["whole"]
    status = attempt["failure_status"]
    if failed and (attempt["failure_type"] in _FREE_FAILURES or (status is not None and status != 200)):
        return Paid(attempts=1)
    usage = known_counts(Usage(**{name: attempt[name] for name in USAGE_COLUMNS}))
    uncounted = usage.input_tokens is None or usage.output_tokens is None
    usage = replace(usage, input_tokens=usage.input_tokens or 0, output_tokens=usage.output_tokens or 0)
    return Paid(
        attempts=1,
        uncounted=int(uncounted),
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
        cache_creation_input_tokens=usage.cache_creation_input_tokens or 0,
        cache_read_input_tokens=usage.cache_read_input_tokens or 0,
        priced=partial(_usd, attempt["place"], attempt["model"] or _model_asked(attempt["request"]), usage),
    )


def _model_asked(request: str) -> str:
    """The one whose attempt it was that broke off before it said which model answers."""
    return str(json.loads(request).get("model", ""))


def _usd(place: str, model: str, usage: Usage) -> Decimal | None:
    if place == OFFLINE_BASE_URL:
        return Decimal(0)
    price = find_price(model)
    return None if price is None else price.usd(usage)
