"""What a trial took in all: every attempt at it, those that failed included."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Paid:
    """What was paid for one trial, by all runs that ever asked for it."""

    attempts: int = 0
    """Requests that were sent, answered or not."""
    uncounted: int = 0
    """Those of them that may have been billed although not all of their tokens are known: what is below is too low by
    what they took."""
    input_tokens: int = 0
    """Without cached tokens."""
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    usd: Decimal | None = Decimal(0)
    """By list prices; `None`: a price is not known. What the offline stand-in answers costs nothing."""

    @property
    def tokens(self) -> int:
        """Of all four kinds."""
        return self.input_tokens + self.output_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens

    def __add__(self, other: Paid) -> Paid:
        return Paid(
            attempts=self.attempts + other.attempts,
            uncounted=self.uncounted + other.uncounted,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_creation_input_tokens=self.cache_creation_input_tokens + other.cache_creation_input_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens + other.cache_read_input_tokens,
            usd=None if self.usd is None or other.usd is None else self.usd + other.usd,
        )


NOTHING_PAID = Paid()
