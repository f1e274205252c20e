"""What a call may take at most, and what it took, in tokens and in money."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

from workbench.ledger.budget.limits import NOTHING, Spent, in_picousd
from workbench.ledger.counts import known_counts
from workbench.trial.catalogue import find_price
from workbench.trial.trial import CacheTime, Request, Usage, Via

TOKENS_ADDED = 512
"""An allowance for what the API may put around a prompt."""


def taken_of(request: Request, usage: Usage | None, *, via: Via, most: Spent, priced: bool = True) -> Spent:
    """What a call took: its worst case where that is not known, or `max_tokens` of output where only the input is.

    A count that can be none (negative, a text, too large) is one that is not known.
    """
    if usage is None or usage.input_tokens is None:
        return most
    told, usage = usage, known_counts(usage)
    if replace(told, output_tokens=None) != replace(usage, output_tokens=None):
        return most
    if usage.output_tokens is None:
        usage = replace(usage, output_tokens=request.max_tokens)
    if via == "batch" and usage.service_tier is None:
        usage = replace(usage, service_tier="batch")
    return spent_on(request.model, usage, priced=priced)


def most_of(request: Request, *, via: Via = "stream", free: bool = False, priced: bool = True) -> Spent:
    """The most that one call of this request can take: a token for each byte of its prompt, since no token is
    shorter, and `max_tokens` of output. A prompt that may be written into the cache costs what that costs.

    `free`: nothing. Without `priced`, no price is looked up and only tokens count.
    """
    if free:
        return NOTHING
    prompt = prompt_bytes(request) + TOKENS_ADDED
    tier = "batch" if via == "batch" else None
    read = Usage(input_tokens=prompt, output_tokens=request.max_tokens, service_tier=tier)
    most = spent_on(request.model, read, priced=priced)
    kept = cache_time(request, via)
    if kept is None or not priced:
        return most
    written = replace(
        read,
        input_tokens=0,
        cache_creation_input_tokens=prompt,
        cache_creation_1h_input_tokens=prompt if kept == "1h" else 0,
    )
    return max(most, spent_on(request.model, written), key=lambda spent: spent.picousd)


def cache_time(request: Request, via: Via) -> CacheTime | None:
    """How long the persona is asked to be kept: in a batch always for an hour, since its calls may be far apart."""
    return "1h" if request.cache is not None and via == "batch" else request.cache


def prompt_bytes(request: Request) -> int:
    """The bytes of all that the model is given to read, in UTF-8."""
    texts = (request.system, json.dumps([dict(message) for message in request.messages], ensure_ascii=False))
    framed = 0 if request.frame is None else request.frame.size
    tools = len(json.dumps([dict(tool) for tool in request.tools])) if request.tools else 0
    return framed + tools + sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def in_usd(usd: Decimal) -> str:
    """The money in words, rounded up to a hundredth of a cent."""
    return f"{rounded_up(usd)} USD"


def spent_on(model: str, usage: Usage, *, priced: bool = True) -> Spent:
    """What these tokens of a model take; without `priced`, no price is looked up and only tokens count."""
    counts = (
        usage.input_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
        usage.output_tokens,
    )
    price = find_price(model) if priced else None
    usd = None if price is None else price.usd(usage)
    return Spent(tokens=sum(count or 0 for count in counts), picousd=0 if usd is None else in_picousd(usd))


def taken_in_batch(model: str, usage: Usage) -> Spent | None:
    """What a result of a message batch took; `None` where its tokens were not counted."""
    usage = known_counts(usage)
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return spent_on(model, replace(usage, service_tier=usage.service_tier or "batch"))


def rounded_up(usd: Decimal) -> Decimal:
    """To a hundredth of a cent, or to three digits where it is less than that."""
    if usd == 0:
        return Decimal(0)
    digits = max(4, 2 - usd.adjusted())
    return usd.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_CEILING)
