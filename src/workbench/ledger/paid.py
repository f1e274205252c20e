"""What was paid for each trial in all: attempts that failed are rows of the ledger too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.ledger.counts import known_counts
from workbench.ledger.file import (
    KEYS_A_QUERY,
    USAGE_COLUMNS,
    check_types,
    keys_asked_again,
    ledger_address,
    rows_in_file,
)
from workbench.trial.catalogue import OFFLINE_BASE_URL, find_price
from workbench.trial.paid import Paid, Usd
from workbench.trial.trial import Reply, Trial, Usage

if TYPE_CHECKING:
    import sqlalchemy as sa

    from workbench.ledger.store import Ledger

_FREE_FAILURES = {"unreachable", "batch_errored", "batch_expired", "batch_canceled"}
"""Never sent to a model, or ended by the server before one was asked."""
_PAID_COLUMNS = ("id", "key", "place", "whole", "model", "failure_type", "failure_status", *USAGE_COLUMNS)


def find_paid(ledger: Ledger | str | Path | None, keys: Iterable[str]) -> dict[str, Paid]:
    """What was paid in all for each of these keys that was ever asked for, by whomever; `Trial.key` names a trial.

    A ledger that is a file is read without SQLAlchemy. The texts are not read, and so no checksum is compared; values
    are held to their types.

    Raises:
        LedgerError: the ledger cannot be read, or a row of it is not what was written.
    """
    rows = _rows(ledger, _PAID_COLUMNS, list(dict.fromkeys(keys)))
    # An attempt that broke off before it said which model answers was one of the model that was asked.
    unnamed = list({key for _, key, _, _, model, *_ in rows if not model})
    asked = {key: _model_of(request) for _, key, request in _rows(ledger, ("id", "key", "request"), unnamed)}
    found: dict[str, Paid] = {}
    for _, key, base_url, whole, model, failure_type, status, *counts in rows:
        if not whole and _is_free(failure_type, status):
            paid = Paid(attempts=1)
        else:
            paid = _paid_for(base_url, model or asked[key], Usage(**dict(zip(USAGE_COLUMNS, counts, strict=True))))
        found[key] = found[key] + paid if key in found else paid
    return found


def paid_of(attempt: Trial) -> Paid:
    """What this one attempt took, as `find_paid` counts it once it is in the ledger."""
    reply, failure = attempt.reply, attempt.failure
    if failure is not None and _is_free(failure.type, failure.status):
        return Paid(attempts=1)
    model = attempt.request.model if reply is None else reply.model or attempt.request.model
    return _paid_for(attempt.endpoint.base_url, model, Usage() if reply is None else reply.usage)


def _is_free(failure_type: str | None, status: int | None) -> bool:
    return failure_type in _FREE_FAILURES or status not in (None, 200)


def find_paid_for(
    ledger: Ledger | str | Path | None, trials: Mapping[str, Trial], replies: Mapping[str, Reply]
) -> dict[str, Paid]:
    """As `find_paid`, for trials by their keys. `replies` are those of the ledger that are whole, by key: what was
    asked for once and has one took what that says, so that only the attempts at the others are read.

    Of the 2,000 trials of the benchmark `again` that takes 2 ms, and to read all attempts 20.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    again = _asked_again(ledger, list(replies))
    found = find_paid(ledger, [*again, *(key for key in trials if key not in replies)])
    for key, trial in trials.items():
        if key in replies and key not in found:
            reply = replies[key]
            found[key] = _paid_for(trial.endpoint.base_url, reply.model or trial.request.model, reply.usage)
    return found


def _asked_again(ledger: Ledger | str | Path | None, keys: Sequence[str]) -> list[str]:
    """Those of these keys with which there is more than one attempt."""
    if not keys:
        return []
    if (path := _file_of(ledger)) is not None and (found := keys_asked_again(path, keys)) is not None:
        return found
    import sqlalchemy as sa

    from workbench.ledger.schema import attempts

    by_key = sa.select(attempts.c.key).group_by(attempts.c.key).having(sa.func.count() > 1)
    return [key for (key,) in _read(ledger, by_key, keys)]


def _rows(ledger: Ledger | str | Path | None, names: Sequence[str], keys: Sequence[str]) -> list[Sequence[Any]]:
    if not keys:
        return []
    if (path := _file_of(ledger)) is not None and (found := rows_in_file(path, names, keys)) is not None:
        check_types(found, names, ledger=str(path))
        return found
    import sqlalchemy as sa

    from workbench.ledger.schema import attempts

    found = _read(ledger, sa.select(*(attempts.c[name] for name in names)), keys)
    check_types(found, names, ledger=_name_of(ledger))
    return found


def _name_of(ledger: Ledger | str | Path | None) -> str:
    return str(ledger_address(ledger)) if ledger is None or isinstance(ledger, str | Path) else ledger.name


def _file_of(ledger: Ledger | str | Path | None) -> Path | None:
    """The ledger's file, where it can be read without SQLAlchemy."""
    address = ledger_address(ledger) if ledger is None or isinstance(ledger, str | Path) else None
    return address if isinstance(address, Path) else None


def _read(ledger: Ledger | str | Path | None, query: sa.Select[Any], keys: Sequence[str]) -> list[Sequence[Any]]:
    """What the query gives for the attempts with these keys."""
    from workbench.ledger.damage import naming_undecodable
    from workbench.ledger.schema import attempts
    from workbench.ledger.store import opened_ledger

    parts = [query.where(attempts.c.key.in_(keys[at : at + KEYS_A_QUERY])) for at in range(0, len(keys), KEYS_A_QUERY)]

    def work(connection: sa.Connection) -> list[Sequence[Any]]:
        found: list[Sequence[Any]] = []
        for part in parts:
            with naming_undecodable(connection, part, opened.name):
                found += connection.execute(part)
        return found

    with opened_ledger(ledger) as opened:
        return opened.read(work)


def _paid_for(base_url: str, model: str, told: Usage) -> Paid:
    """What one attempt took."""
    usage = known_counts(told)
    read, written = usage.input_tokens, usage.output_tokens
    return Paid(
        attempts=1,
        uncounted=int(read is None or written is None),
        input_tokens=read or 0,
        output_tokens=written or 0,
        cache_creation_input_tokens=usage.cache_creation_input_tokens or 0,
        cache_read_input_tokens=usage.cache_read_input_tokens or 0,
        priced=_priced(base_url, model, usage.cache_creation_1h_input_tokens, usage.service_tier),
    )


def _model_of(request: str) -> str:
    """Empty, and so without a price, where the row is damaged."""
    try:
        return str(json.loads(request)["model"])
    except (KeyError, TypeError, ValueError):
        return ""


@lru_cache(maxsize=1_000)
def _priced(base_url: str, model: str, for_an_hour: int | None, tier: str | None) -> Callable[[Paid], Usd]:
    """What finds the price of an attempt: one for all that differ in nothing but the tokens that `Paid` holds itself.
    One for each would be held for each of the 20,000 trials of the benchmark `trials`."""

    def usd(paid: Paid) -> Usd:
        if base_url == OFFLINE_BASE_URL:
            return Decimal(0)
        price = find_price(model)
        if price is None:
            return None
        return price.usd(
            Usage(
                input_tokens=paid.input_tokens,
                output_tokens=paid.output_tokens,
                cache_creation_input_tokens=paid.cache_creation_input_tokens,
                cache_read_input_tokens=paid.cache_read_input_tokens,
                cache_creation_1h_input_tokens=for_an_hour,
                service_tier=tier,
            )
        )

    return usd
