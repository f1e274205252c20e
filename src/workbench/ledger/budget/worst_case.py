"""What a call may take at most, and what it took, in tokens and in USD."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from workbench.ledger.budget.limits import Sum, in_picousd
from workbench.trial.catalogue import find_price
from workbench.trial.trial import CacheTime, Request, Usage, Via

TOKENS_ADDED = 512
"""An allowance for what the API may put around a prompt."""


@dataclass(frozen=True, kw_only=True)
class Amount:
    """What is spent, or may be: tokens of all kinds, and USD; `None`: the price of the model is not known."""

    tokens: int
    usd: Decimal | None

    @property
    def counted(self) -> Sum:
        """The same as a ledger counts it; what has no price costs nothing there."""
        return Sum(tokens=self.tokens, picousd=in_picousd(self.usd or Decimal(0)))


FREE = Amount(tokens=0, usd=Decimal(0))


def taken_of(request: Request, usage: Usage | None, *, via: Via, most: Amount, priced: bool = True) -> Amount:
    """What a call took: its worst case where that is not known, or `max_tokens` of output where only the input is."""
    if usage is None or usage.input_tokens is None:
        return most
    if usage.output_tokens is None:
        usage = replace(usage, output_tokens=request.max_tokens)
    if via == "batch" and usage.service_tier is None:
        usage = replace(usage, service_tier="batch")
    return amount_of(request.model, usage, priced=priced)


def most_of(request: Request, *, via: Via = "stream", free: bool = False, priced: bool = True) -> Amount:
    """The most that one call of this request can take: a token for each byte of its prompt, since no token is
    shorter, and `max_tokens` of output. A prompt that may be written into the cache costs what that costs.

    `free`: nothing. Without `priced`, no price is looked up and `usd` is `None`.
    """
    if free:
        return FREE
    prompt = prompt_bytes(request) + TOKENS_ADDED
    tier = "batch" if via == "batch" else None
    read = Usage(input_tokens=prompt, output_tokens=request.max_tokens, service_tier=tier)
    most = amount_of(request.model, read, priced=priced)
    kept = cache_time(request, via)
    if kept is None or most.usd is None:
        return most
    written = replace(
        read,
        input_tokens=0,
        cache_creation_input_tokens=prompt,
        cache_creation_1h_input_tokens=prompt if kept == "1h" else 0,
    )
    return max(most, amount_of(request.model, written), key=lambda amount: amount.usd or 0)


def cache_time(request: Request, via: Via) -> CacheTime | None:
    """How long the persona is asked to be kept: in a batch always for an hour, since its calls may be far apart."""
    return "1h" if request.cache is not None and via == "batch" else request.cache


def prompt_bytes(request: Request) -> int:
    """The bytes of all that the model is given to read, in UTF-8."""
    texts = (request.system, json.dumps([dict(message) for message in request.messages], ensure_ascii=False))
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def in_usd(amount: Decimal) -> str:
    """The amount in words, rounded up to a hundredth of a cent."""
    return f"{rounded_up(amount)} USD"


def amount_of(model: str, usage: Usage, *, priced: bool = True) -> Amount:
    counts = (
        usage.input_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
        usage.output_tokens,
    )
    price = find_price(model) if priced else None
    return Amount(tokens=sum(count or 0 for count in counts), usd=None if price is None else price.usd(usage))


def taken_in_batch(model: str, usage: Usage) -> Sum | None:
    """What a result of a message batch took; `None` where its tokens were not counted."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return amount_of(model, replace(usage, service_tier=usage.service_tier or "batch")).counted


def rounded_up(usd: Decimal) -> Decimal:
    """To a hundredth of a cent, or to three digits where it is less than that."""
    if usd == 0:
        return Decimal(0)
    digits = max(4, 2 - usd.adjusted())
    return usd.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_CEILING)
