"""A limit on what a run may spend: the worst case is reserved before a call and settled after it."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from workbench.errors import BudgetError
from workbench.trial.catalogue import find_price
from workbench.trial.trial import CacheTime, Place, Request, Usage, Via

TOKENS_ADDED = 512
"""An allowance for what the API may put around a prompt."""


@dataclass(frozen=True, kw_only=True)
class Amount:
    """What is spent, or may be: tokens of all kinds, and USD; `None`: the price of the model is not known."""

    tokens: int
    usd: Decimal | None


_NOTHING = Amount(tokens=0, usd=Decimal(0))


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """The worst case of one call, set aside in a budget until it is settled or released."""

    number: int
    request: Request
    via: Via
    most: Amount


class Budget:
    """A limit in USD, in tokens or in both that no interleaving of calls can exceed.

    The worst case of a call is reserved before it is sent and settled when its cost is known; what is spent and
    reserved together never passes the limit. The worst case of a prompt is a token for each of its bytes, and of a
    reply its `max_tokens`; a server that counts more than that is the one way past the limit. Nothing is spent where
    the offline stand-in answers. Use from any thread.

    Raises:
        BudgetError: a limit is negative or not a number.
    """

    def __init__(self, *, usd: float | None = None, tokens: int | None = None, place: Place | None = None) -> None:
        for name, limit in (("budget_usd", usd), ("budget_tokens", tokens)):
            if limit is not None and not (math.isfinite(limit) and limit >= 0):
                raise BudgetError(f"{name} is {limit}; it must be 0 or more")
        self._usd_limit = None if usd is None else Decimal(str(usd))
        self._token_limit = tokens
        self._is_free = place is not None and place.is_stand_in
        self._spent_usd = self._reserved_usd = Decimal(0)
        self._spent_tokens = self._reserved_tokens = 0
        self._open: dict[int, Reservation] = {}
        self._last = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._lock = threading.Lock()

    @property
    def spent_usd(self) -> float:
        """Of settled calls; of one with an unknown cost, its worst case. 0 where there is no limit in USD."""
        return float(self._spent_usd)

    @property
    def reserved_usd(self) -> float:
        """The worst case of the calls that are in flight. 0 where there is no limit in USD."""
        return float(self._reserved_usd)

    @property
    def spent_tokens(self) -> int:
        """Of settled calls, cached ones included; of one that was not counted, its worst case."""
        return self._spent_tokens

    @property
    def reserved_tokens(self) -> int:
        """The worst case of the calls that are in flight."""
        return self._reserved_tokens

    def __repr__(self) -> str:
        limits = []
        if self._usd_limit is not None:
            spent, reserved = in_usd(self._spent_usd), in_usd(self._reserved_usd)
            limits.append(f"{spent} of {in_usd(self._usd_limit)} spent, {reserved} reserved")
        if self._token_limit is not None:
            spent, reserved = f"{self._spent_tokens:,}", f"{self._reserved_tokens:,}"
            limits.append(f"{spent} of {self._token_limit:,} tokens spent, {reserved} reserved")
        return f"<Budget: {'; '.join(limits) or 'no limit'}>"

    def check(self, requests: Iterable[Request], *, via: Via = "stream") -> None:
        """Passes where at least one of these requests can be sent, or there is none.

        Raises:
            BudgetError: none of them can, and which is the smallest budget that can start; or a limit in USD cannot
                be kept because the price of a model is not known.
        """
        requests = list(requests)
        if self._is_free or not requests:
            return
        if self._usd_limit is not None:
            models = sorted({request.model for request in requests})
            if unpriced := [model for model in models if find_price(model) is None]:
                raise _unpriced(unpriced)
        most = [self._most(request, via) for request in requests]
        smallest = min(amount.tokens for amount in most)
        if self._token_limit is not None and self._spent_tokens + smallest > self._token_limit:
            raise _too_small(
                f"{self._token_limit:,} tokens",
                f"{smallest:,} tokens",
                f"{self._spent_tokens:,} tokens" if self._spent_tokens else "",
                f"budget_tokens={self._spent_tokens + smallest}",
                f"{self._spent_tokens + sum(amount.tokens for amount in most):,} tokens",
            )
        if self._usd_limit is None:
            return
        cheapest = min(amount.usd or Decimal(0) for amount in most if self._fits_in_tokens(amount))
        if self._spent_usd + cheapest > self._usd_limit:
            raise _too_small(
                in_usd(self._usd_limit),
                in_usd(cheapest),
                in_usd(self._spent_usd) if self._spent_usd else "",
                f"budget_usd={_rounded_up(self._spent_usd + cheapest)}",
                in_usd(self._spent_usd + sum((amount.usd or Decimal(0) for amount in most), Decimal(0))),
            )

    def reserve(self, request: Request, *, via: Via = "stream") -> Reservation | None:
        """Sets the worst case of this request aside; `None`: it does not fit beside what is spent and reserved now.

        Raises:
            BudgetError: there is a limit in USD, and the price of the model is not known.
        """
        return self._reserve(request, via, self._most(request, via))

    async def reserve_when_it_fits(self, request: Request, *, via: Via = "stream") -> Reservation | None:
        """As `reserve`, but waits while other calls that are settled or released may make room; `None`: they cannot.

        Raises:
            BudgetError: there is a limit in USD, and the price of the model is not known.
        """
        most = self._most(request, via)
        while True:
            settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            with self._lock:
                self._waiting.append(settled)
            try:
                # Registered before the try, so that what is settled between the two wakes it all the same.
                reservation = self._reserve(request, via, most)
                if reservation is not None:
                    return reservation
                with self._lock:
                    if not self._fits(most, beside_reserved=False):
                        return None
                await settled
            finally:
                with self._lock:
                    if settled in self._waiting:
                        self._waiting.remove(settled)

    def settle(self, reservation: Reservation, usage: Usage | None) -> None:
        """Replaces the reserved worst case by what the call took. `None`: that is not known, and the worst case
        counts as spent; where the input was counted and the output was not, `max_tokens` of output do.

        Raises:
            ValueError: this reservation is settled already.
        """
        self._close(reservation, self._taken(reservation.request, reservation.via, reservation.most, usage))

    def release(self, reservation: Reservation) -> None:
        """Gives the reserved worst case back: the call was not sent, or was refused before anything was billed.

        Raises:
            ValueError: this reservation is settled already.
        """
        self._close(reservation, _NOTHING)

    def count(self, request: Request, usage: Usage | None, *, via: Via = "stream") -> None:
        """Counts as spent what was spent without a reservation, such as by an earlier run of the same plan.

        Raises:
            BudgetError: there is a limit in USD, and the price of the model is not known.
        """
        taken = self._taken(request, via, self._most(request, via), usage)
        with self._lock:
            self._spend(taken)

    def _most(self, request: Request, via: Via) -> Amount:
        most = most_of(request, via=via, free=self._is_free, priced=self._usd_limit is not None)
        if self._usd_limit is not None and most.usd is None:
            raise _unpriced([request.model])
        return most

    def _taken(self, request: Request, via: Via, most: Amount, usage: Usage | None) -> Amount:
        if self._is_free:
            return _NOTHING
        if usage is None or usage.input_tokens is None:
            return most
        if usage.output_tokens is None:
            usage = replace(usage, output_tokens=request.max_tokens)
        if via == "batch" and usage.service_tier is None:
            usage = replace(usage, service_tier="batch")
        return _amount(request.model, usage, priced=self._usd_limit is not None)

    def _fits(self, most: Amount, *, beside_reserved: bool) -> bool:
        tokens = self._reserved_tokens if beside_reserved else 0
        usd = self._spent_usd + (self._reserved_usd if beside_reserved else 0) + (most.usd or 0)
        return self._fits_in_tokens(most, tokens) and (self._usd_limit is None or usd <= self._usd_limit)

    def _fits_in_tokens(self, most: Amount, beside: int = 0) -> bool:
        return self._token_limit is None or self._spent_tokens + beside + most.tokens <= self._token_limit

    def _reserve(self, request: Request, via: Via, most: Amount) -> Reservation | None:
        with self._lock:
            if not self._fits(most, beside_reserved=True):
                return None
            self._last += 1
            reservation = Reservation(number=self._last, request=request, via=via, most=most)
            self._open[self._last] = reservation
            self._reserved_tokens += most.tokens
            self._reserved_usd += most.usd or 0
            return reservation

    def _close(self, reservation: Reservation, taken: Amount) -> None:
        with self._lock:
            if self._open.pop(reservation.number, None) is None:
                raise ValueError("this reservation is settled already")
            self._reserved_tokens -= reservation.most.tokens
            self._reserved_usd -= reservation.most.usd or 0
            self._spend(taken)
            waiting, self._waiting = self._waiting, []
        for settled in waiting:
            settled.get_loop().call_soon_threadsafe(_wake, settled)

    def _spend(self, taken: Amount) -> None:
        self._spent_tokens += taken.tokens
        self._spent_usd += taken.usd or 0


def most_of(request: Request, *, via: Via = "stream", free: bool = False, priced: bool = True) -> Amount:
    """The most that one call of this request can take: a token for each byte of its prompt, since no token is
    shorter, and `max_tokens` of output. A prompt that may be written into the cache costs what that costs.

    `free`: nothing. Without `priced`, no price is looked up and `usd` is `None`.
    """
    if free:
        return _NOTHING
    prompt = prompt_bytes(request) + TOKENS_ADDED
    tier = "batch" if via == "batch" else None
    read = Usage(input_tokens=prompt, output_tokens=request.max_tokens, service_tier=tier)
    most = _amount(request.model, read, priced=priced)
    kept = cache_time(request, via)
    if kept is None or most.usd is None:
        return most
    written = replace(
        read,
        input_tokens=0,
        cache_creation_input_tokens=prompt,
        cache_creation_1h_input_tokens=prompt if kept == "1h" else 0,
    )
    return max(most, _amount(request.model, written), key=lambda amount: amount.usd or 0)


def cache_time(request: Request, via: Via) -> CacheTime | None:
    """How long the persona is asked to be kept: in a batch always for an hour, since its calls may be far apart."""
    return "1h" if request.cache is not None and via == "batch" else request.cache


def prompt_bytes(request: Request) -> int:
    """The bytes of all that the model is given to read, in UTF-8."""
    texts = (request.system, json.dumps([dict(message) for message in request.messages], ensure_ascii=False))
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def in_usd(amount: Decimal) -> str:
    """The amount in words, rounded up to a hundredth of a cent."""
    return f"{_rounded_up(amount)} USD"


def _amount(model: str, usage: Usage, *, priced: bool = True) -> Amount:
    counts = (
        usage.input_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
        usage.output_tokens,
    )
    price = find_price(model) if priced else None
    return Amount(tokens=sum(count or 0 for count in counts), usd=None if price is None else price.usd(usage))


def _unpriced(models: Sequence[str]) -> BudgetError:
    return BudgetError(
        f"no price is known of {', '.join(models)}, so a budget in USD cannot be kept: give budget_tokens instead, or "
        "the price in a file that WORKBENCH_PRICES names"
    )


def _too_small(limit: str, cheapest: str, spent: str, smallest: str, whole: str) -> BudgetError:
    of_it = f", and {spent} are spent already" if spent else ""
    return BudgetError(
        f"a budget of {limit} cannot start any trial: the cheapest may take {cheapest}{of_it}. The smallest budget "
        f"that can start is {smallest}; {whole} are enough for all. A lower max_tokens lowers both"
    )


def _rounded_up(usd: Decimal) -> Decimal:
    """To a hundredth of a cent, or to three digits where it is less than that."""
    if usd == 0:
        return Decimal(0)
    digits = max(4, 2 - usd.adjusted())
    return usd.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_CEILING)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
