"""Which counts of tokens can be believed: what a server says of its usage is never trusted to be a number."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

from workbench.trial.trial import Usage

MOST_TOKENS = 2**31 - 1
"""The largest count that a column of a ledger holds."""
_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cache_creation_1h_input_tokens",
)
_counts_of = attrgetter(*_COUNTS)


def known_counts(usage: Usage) -> Usage:
    """The same, with `None` for every count that is no whole number from 0 to `MOST_TOKENS`: it is not known then, and
    who pays counts the worst case. A negative one would give room in a budget."""
    if isinstance(usage.service_tier, str | None) and all(map(_is_count, _counts_of(usage))):
        return usage  # as nearly always
    odd: dict[str, None] = {name: None for name in _COUNTS if not _is_count(getattr(usage, name))}
    if not isinstance(usage.service_tier, str | None):
        odd["service_tier"] = None
    return replace(usage, **odd)


def _is_count(value: object) -> bool:
    return value is None or (type(value) is int and 0 <= value <= MOST_TOKENS)
