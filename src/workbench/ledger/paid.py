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
from workbench.trial.paid import Paid
from workbench.trial.trial import Usage

if TYPE_CHECKING:
    from workbench.ledger.store import Ledger

_FREE_FAILURES = {"unreachable", "batch_errored", "batch_expired", "batch_canceled"}
"""Never sent to a model, or ended by the server before one was asked."""
_PAID_COLUMNS = ("key", "place", "whole", "model", "failure_type", "failure_status", *USAGE_COLUMNS)


def find_paid(ledger: Ledger | str | Path | None, keys: Iterable[str]) -> dict[str, Paid]:
    """What was paid in all for each of these keys that was ever asked for, by whomever; `Trial.key` names a trial.

    A ledger that is a file is read without SQLAlchemy.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    rows = _rows(ledger, _PAID_COLUMNS, list(dict.fromkeys(keys)))
    # An attempt that broke off before it said which model answers was one of the model that was asked.
    unnamed = list({key for key, _, _, model, *_ in rows if not model})
    asked = {key: _model_of(request) for key, request in _rows(ledger, ("key", "request"), unnamed)}
    found: dict[str, Paid] = {}
    for key, place, whole, model, failure_type, status, *counts in rows:
        if not whole and (failure_type in _FREE_FAILURES or status not in (None, 200)):
            paid = Paid(attempts=1)
        else:
            paid = _paid_for(
                place, model or asked[key], known_counts(Usage(**dict(zip(USAGE_COLUMNS, counts, strict=True))))
            )
        found[key] = found[key] + paid if key in found else paid
    return found


def _rows(ledger: Ledger | str | Path | None, names: Sequence[str], keys: Sequence[str]) -> list[Sequence[Any]]:
    if not keys:
        return []
    if ledger is None or isinstance(ledger, str | Path):
        address = ledger_address(ledger)
        if isinstance(address, Path) and (found := rows_in_file(address, names, keys)) is not None:
            return found
    import sqlalchemy as sa

    from workbench.ledger.schema import attempts
    from workbench.ledger.store import opened_ledger

    columns = [attempts.c[name] for name in names]

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


def _paid_for(place: str, model: str, usage: Usage) -> Paid:
    """What one attempt took."""
    read, written = usage.input_tokens, usage.output_tokens
    uncounted = read is None or written is None
    if uncounted:
        usage = replace(usage, input_tokens=read or 0, output_tokens=written or 0)
    return Paid(
        attempts=1,
        uncounted=int(uncounted),
        input_tokens=read or 0,
        output_tokens=written or 0,
        cache_creation_input_tokens=usage.cache_creation_input_tokens or 0,
        cache_read_input_tokens=usage.cache_read_input_tokens or 0,
        priced=partial(_usd, place, model, usage),
    )


def _model_of(request: str) -> str:
    """Empty, and so without a price, where the row is damaged."""
    try:
        return str(json.loads(request)["model"])
    except (KeyError, TypeError, ValueError):
        return ""


def _usd(place: str, model: str, usage: Usage) -> Decimal | None:
    if place == OFFLINE_BASE_URL:
        return Decimal(0)
    price = find_price(model)
    return None if price is None else price.usd(usage)
