"""What a trial took in all: every attempt at it, those that failed included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

Usd = Decimal | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
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
    priced: Usd | Callable[[Paid], Usd] = Decimal(0)
    """What `usd` is, or how it is found out for these tokens: the list of prices takes longer to load
    than a run that asks nobody."""

    @property
    def usd(self) -> Usd:
        """By list prices; `None`: a price is not known. What the offline stand-in answers costs nothing.

        Raises:
            PriceFileError: the file named in WORKBENCH_PRICES is missing or wrong.
        """
        return self.priced(self) if callable(self.priced) else self.priced

    @property
    def all_input_tokens(self) -> int:
        """Those of the prompts, cached ones included."""
        return self.input_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens

    @property
    def tokens(self) -> int:
        """Of all four kinds."""
        return self.all_input_tokens + self.output_tokens

    def __add__(self, other: Paid) -> Paid:
        def both(_: Paid) -> Usd:
            ours, theirs = self.usd, other.usd
            return None if ours is None or theirs is None else ours + theirs

        return Paid(
            attempts=self.attempts + other.attempts,
            uncounted=self.uncounted + other.uncounted,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_creation_input_tokens=self.cache_creation_input_tokens + other.cache_creation_input_tokens,
            cache_read_input_tokens=self.cache_read_input_tokens + other.cache_read_input_tokens,
            priced=both if callable(self.priced) or callable(other.priced) else both(self),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Paid) and _parts(self) == _parts(other)

    def __hash__(self) -> int:
        return hash((self.attempts, self.tokens))


def of_the_cache(*, read: int | None, written: int | None) -> str:
    """To be said behind a count of tokens in, which these are among: " (500 from, 40 into the cache)", or nothing."""
    cached = ", ".join(f"{count:,} {what}" for count, what in ((read, "from"), (written, "into")) if count)
    return f" ({cached} the cache)" if cached else ""


def _parts(paid: Paid) -> tuple[int | Usd, ...]:
    return (
        paid.attempts,
        paid.uncounted,
        paid.input_tokens,
        paid.output_tokens,
        paid.cache_creation_input_tokens,
        paid.cache_read_input_tokens,
        paid.usd,
    )
