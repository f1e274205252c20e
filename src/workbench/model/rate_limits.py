"""The rate limits that a server tells in the headers of its replies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

_MOST_DIGITS = 15
_PREFIX = "anthropic-ratelimit-"
_KINDS = ("requests", "tokens", "input-tokens", "output-tokens")


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """One of the limits that a server tells with its replies."""

    kind: str
    limit: int
    remaining: int
    seconds_to_reset: float


def rate_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """The limits in the headers of a reply; those that are not told, or not legible, are left out."""
    if not any(name.startswith(_PREFIX) for name in headers):
        return ()  # as of most servers: to ask for each by its name takes four times as long
    found = []
    for kind in _KINDS:
        limit = headers.get(f"{_PREFIX}{kind}-limit")
        if limit is None:
            continue
        remaining, reset = (headers.get(f"{_PREFIX}{kind}-{name}") for name in ("remaining", "reset"))
        if remaining is None or reset is None:
            continue
        try:
            seconds = datetime.fromisoformat(reset).timestamp() - time.time()
            found.append(
                RateLimit(
                    kind=kind, limit=_count(limit), remaining=_count(remaining), seconds_to_reset=max(0.0, seconds)
                )
            )
        except (ValueError, OverflowError, OSError):  # a day before or after what the clock knows
            continue
    return tuple(found)


def _count(told: str) -> int:
    if len(told) > _MOST_DIGITS:
        raise ValueError(f"a limit of {len(told)} characters")
    return int(told)
