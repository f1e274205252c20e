"""A limit on what may be spent: the worst case is reserved before a call and settled after it.

With an account in the ledger the limit holds for all runs of a scope together, whichever process they are in.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import BudgetError
from workbench.ledger.budget.limits import NOTHING, Limit, Sum, limit_of
from workbench.ledger.budget.spending import Account, Standing, Transaction
from workbench.ledger.budget.worst_case import FREE, Amount, in_usd, most_of, rounded_up, taken_of
from workbench.trial.catalogue import find_price
from workbench.trial.trial import Endpoint, Request, Trial, Usage, Via

if TYPE_CHECKING:
    from workbench.ledger.store import Ledger

SECONDS_BETWEEN_LOOKS = 0.5
"""How often to look whether another process has given something back, while nothing else can be done."""


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

    With an `account` (see `open_budget`) the limits are those of the account, and others may spend of them too.

    Raises:
        BudgetError: a limit is negative or not a number.
    """

    def __init__(
        self,
        *,
        usd: float | None = None,
        tokens: int | None = None,
        endpoint: Endpoint | None = None,
        account: Account | None = None,
    ) -> None:
        self._limits = account.limits if account is not None else (limit_of("", usd=usd, tokens=tokens),)
        self._in_usd = any(limit.picousd is not None for limit in self._limits)
        self._is_free = endpoint is not None and endpoint.is_stand_in
        self._account = account
        self._standings: tuple[Standing, ...] = ()
        self._granted = NOTHING
        self._spent = self._reserved = NOTHING
        self._open: dict[int, Reservation] = {}
        self._wanted: dict[int, Sum] = {}
        self._last = 0
        self._renewal = Renewal(number=0, taken=NOTHING)
        self._renewed_for: object = None
        self._frozen_by = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._lock = threading.Lock()

    @property
    def account(self) -> Account | None:
        """Where what is spent is kept; `None`: in this value alone."""
        return self._account

    @property
    def spent_usd(self) -> float:
        """Of calls settled here; of one with an unknown cost, its worst case. 0 where there is no limit in USD."""
        return float(self._spent.usd)

    @property
    def reserved_usd(self) -> float:
        """The worst case of the calls that are in flight. 0 where there is no limit in USD."""
        return float(self._reserved.usd)

    @property
    def spent_tokens(self) -> int:
        """Of calls settled here, cached ones included; of one that was not counted, its worst case."""
        return self._spent.tokens

    @property
    def reserved_tokens(self) -> int:
        """The worst case of the calls that are in flight."""
        return self._reserved.tokens

    def __repr__(self) -> str:
        said = [text for limit, standing in self._seen() for text in self._said(limit, standing)]
        return f"<Budget: {'; '.join(said) or 'no limit'}>"

    def check(self, requests: Iterable[Request], *, via: Via = "stream") -> None:
        """Passes where at least one of these requests can be sent, now or when others give something back, or there is
        none.

        Raises:
            BudgetError: none of them can, and which is the smallest budget that can start; or a limit in USD cannot
                be kept because the price of a model is not known.
        """
        requests = list(requests)
        if self._is_free or not requests:
            return
        if self._in_usd:
            models = sorted({request.model for request in requests})
            if unpriced := [model for model in models if find_price(model) is None]:
                raise _unpriced(unpriced)
        most = [self._most(request, via).counted for request in requests]
        for limit, standing in self._seen():
            if standing is not None and standing.unpriced and limit.picousd is not None:
                raise BudgetError(
                    f"models without a known price were asked within {_named(limit)}, so a limit in USD cannot be "
                    f"kept for it: set {limit.tokens_from} instead, or name another scope"
                )
            _refuse_if_too_small(limit, self._spent if standing is None else standing.for_good, most)

    def reserve(self, request: Request, *, via: Via = "stream") -> Reservation | None:
        """Sets the worst case of this request aside; `None`: it does not fit beside what is spent and reserved now,
        or not into what the account has granted so far.

        Raises:
            BudgetError: there is a limit in USD, and the price of the model is not known.
        """
        return self._reserve(request, via, self._most(request, via))

    async def reserve_when_it_fits(self, request: Request, *, via: Via = "stream") -> Reservation | None:
        """As `reserve`, but waits while other calls that are settled or released may make room; `None`: they cannot.

        Raises:
            BudgetError: there is a limit in USD, and the price of the model is not known.
            LedgerError: it has an account, and the ledger cannot be written.
        """
        most = self._most(request, via)
        while True:
            settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            with self._lock:
                self._waiting.append(settled)
            try:
                # Registered before the try, so that what is settled between the two wakes it all the same.
                reservation = self._reserve(request, via, most)
                if reservation is None and self._account is not None:
                    await self._ask_for(most.counted, self._account)
                    reservation = self._reserve(request, via, most)
                if reservation is not None:
                    return reservation
                if not await self._may_fit_later(most.counted):
                    return None
                await asyncio.wait([settled], timeout=None if self._account is None else SECONDS_BETWEEN_LOOKS)
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
        self._close(reservation, FREE)

    def renew(self, connection: Transaction) -> Renewal:
        """Writes where this budget stands into its account, in a transaction of the ledger; nothing without one.

        Whoever waited for that transaction then hands the result to `renewed`.
        """
        account = self._account
        if account is None:
            return self._renewal
        with self._lock:
            spent, reserved, wanted = self._spent, self._reserved, tuple(self._wanted.values())
            state = (connection.get_transaction(), spent, wanted)
            if state == self._renewed_for:
                return self._renewal  # one for all whose attempts are written together
            self._renewed_for = state
            number = self._renewal.number + 1

        def frozen() -> tuple[Sum, Sum]:
            with self._lock:
                self._frozen_by = number
                self._granted = self._spent + self._reserved
                return self._spent, self._reserved

        taken = account.renew(connection, spent=spent, reserved=reserved, wanted=wanted, frozen=frozen)
        self._renewal = Renewal(number=number, taken=taken)
        return self._renewal

    def renewed(self, renewal: Renewal) -> None:
        """What was taken in a transaction that is committed now may be reserved."""
        with self._lock:
            # Another transaction may be giving back already what this one took.
            if renewal.number < self._frozen_by:
                return
            self._granted = self._granted.at_least(renewal.taken)
            waiting, self._waiting = self._waiting, []
        _wake_all(waiting)

    async def close(self) -> None:
        """Gives back to the account what was set aside and not spent. Nothing may be in flight; what is reserved later
        is asked for anew.

        Raises:
            LedgerError: the ledger cannot be written; what was set aside stays taken.
        """
        if self._account is not None:
            with self._lock:
                account, spent = self._account, self._spent
                self._granted = spent
            await account.ledger.transact(lambda connection: account.close(connection, spent=spent))

    async def look(self) -> None:
        """Reads anew where the budgets of the account stand, for `check` and for what is said.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        if self._account is not None:
            self._standings = await self._account.ledger.transact(self._account.standings)

    def most_in_batch(self, trial: Trial) -> Sum:
        """The worst case of a trial that is sent in a batch.

        Raises:
            BudgetError: there is a limit in USD, and the price of the model is not known.
        """
        return self._most(trial.request, "batch").counted

    def may_fit(self, most: Sum) -> bool:
        """As far as is known since the last `look`: so much more fits within every limit."""
        return all(
            limit.allows((self._spent + self._reserved if standing is None else standing.taken) + most)
            for limit, standing in self._seen()
        )

    def may_ever_fit(self, most: Sum) -> bool:
        """The same once those that are still alive have given back what they hold."""
        return all(limit.allows(standing.for_good + most) for limit, standing in self._seen() if standing is not None)

    def _seen(self) -> Sequence[tuple[Limit, Standing | None]]:
        if self._standings:
            return [(standing.limit, standing) for standing in self._standings]
        return [(limit, None) for limit in self._limits]

    def _said(self, limit: Limit, standing: Standing | None) -> Iterable[str]:
        spent, before = self._spent, NOTHING
        if standing is not None:
            before = standing.spent - standing.own_spent
            spent = self._spent + before
        beside = "" if standing is None else "".join(f", {text}" for text in _set_aside(standing, limit))
        reserved = self._reserved
        if limit.picousd is not None:
            earlier = f" ({in_usd(before.usd)} of it not by this run)" if before.picousd else ""
            most = in_usd(Sum(picousd=limit.picousd).usd)
            yield f"{in_usd(spent.usd)} of {most} spent{earlier}, {in_usd(reserved.usd)} reserved{beside}"
        if limit.tokens is not None:
            earlier = f" ({before.tokens:,} of them not by this run)" if before.tokens else ""
            yield f"{spent.tokens:,} of {limit.tokens:,} tokens spent{earlier}, {reserved.tokens:,} reserved{beside}"

    def _most(self, request: Request, via: Via) -> Amount:
        most = most_of(request, via=via, free=self._is_free, priced=self._is_priced)
        if self._in_usd and most.usd is None:
            raise _unpriced([request.model])
        return most

    @property
    def _is_priced(self) -> bool:
        # In an account others may have a limit in USD.
        return self._in_usd or self._account is not None

    def _taken(self, request: Request, via: Via, most: Amount, usage: Usage | None) -> Amount:
        return FREE if self._is_free else taken_of(request, usage, via=via, most=most, priced=self._is_priced)

    def _fits(self, most: Sum) -> bool:
        beside = self._spent + self._reserved + most
        if self._account is not None:
            return beside.within(self._granted)
        return all(limit.allows(beside) for limit in self._limits)

    async def _ask_for(self, most: Sum, account: Account) -> None:
        with self._lock:
            self._last += 1
            number = self._last
            self._wanted[number] = most
        try:
            renewal = await account.ledger.transact(self.renew)
        finally:
            with self._lock:
                del self._wanted[number]
        self.renewed(renewal)

    async def _may_fit_later(self, most: Sum) -> bool:
        """Whether it fits beside what is spent for good, once all that is in flight gave back what it can."""
        if self._account is None:
            with self._lock:
                return all(limit.allows(self._spent + most) for limit in self._limits)
        await self.look()
        return self.may_ever_fit(most)

    def _reserve(self, request: Request, via: Via, most: Amount) -> Reservation | None:
        with self._lock:
            if not self._fits(most.counted):
                return None
            self._last += 1
            reservation = Reservation(number=self._last, request=request, via=via, most=most)
            self._open[self._last] = reservation
            self._reserved += most.counted
            return reservation

    def _close(self, reservation: Reservation, taken: Amount) -> None:
        with self._lock:
            if self._open.pop(reservation.number, None) is None:
                raise ValueError("this reservation is settled already")
            self._reserved -= reservation.most.counted
            self._spent += taken.counted
            waiting, self._waiting = self._waiting, []
        _wake_all(waiting)


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """What a budget wrote into its account: the how-manieth time, and what it has taken then in all."""

    number: int
    taken: Sum


async def open_budget(
    ledger: Ledger, trials: Iterable[Trial], limits: Sequence[Limit], *, deadline_seconds: float
) -> Budget:
    """A budget with these limits for a run of these trials, kept in the ledger. Close it when nothing is in flight.

    Raises:
        LedgerError: the ledger cannot be read or written.
    """
    account = Account(limits, ledger, deadline_seconds=deadline_seconds)
    budget = Budget(account=account)
    unpriced = any(find_price(model) is None for model in {trial.request.model for trial in trials})
    is_refused = unpriced and any(limit.picousd is not None for limit in limits)
    await ledger.transact(lambda connection: account.open(connection, unpriced=unpriced and not is_refused))
    await budget.look()
    return budget


def used_up(budget: Budget) -> BudgetError:
    """What to raise when the next request does not fit; says what is spent, since when, and who holds the rest."""
    return BudgetError(
        f"the budget is used up: {budget!r}, and the worst case of the next request does not fit beside it. What was "
        "answered is in the ledger: run the same again with a budget for the rest, and it goes on from there."
    )


def _unpriced(models: Sequence[str]) -> BudgetError:
    return BudgetError(
        f"no price is known of {', '.join(models)}, so a budget in USD cannot be kept: give budget_tokens instead, or "
        "the price in a file that WORKBENCH_PRICES names"
    )


def _refuse_if_too_small(limit: Limit, gone: Sum, most: Sequence[Sum]) -> None:
    tokens = min(each.tokens for each in most)
    if limit.tokens is not None and gone.tokens + tokens > limit.tokens:
        raise _too_small(
            f"{limit.tokens:,} tokens",
            f"{tokens:,} tokens",
            f"{gone.tokens:,} tokens" if gone.tokens else "",
            f"{limit.tokens_from}={gone.tokens + tokens}",
            f"{gone.tokens + sum(each.tokens for each in most):,} tokens",
            limit,
        )
    if limit.picousd is None:
        return
    fitting = [each for each in most if limit.tokens is None or gone.tokens + each.tokens <= limit.tokens]
    cheapest = min(fitting, key=lambda each: each.picousd)
    if gone.picousd + cheapest.picousd > limit.picousd:
        raise _too_small(
            in_usd(Sum(picousd=limit.picousd).usd),
            in_usd(cheapest.usd),
            in_usd(gone.usd) if gone.picousd else "",
            f"{limit.usd_from}={rounded_up((gone + cheapest).usd)}",
            in_usd(sum(most, gone).usd),
            limit,
        )


def _set_aside(standing: Standing, limit: Limit) -> Iterable[str]:
    """What others have set aside, and who they are."""

    def amount(of: Sum) -> str:
        return in_usd(of.usd) if limit.picousd is not None else f"{of.tokens:,} tokens"

    for hold in standing.holds:
        if hold.amount == NOTHING:
            continue
        who = f"process {hold.process}, since {hold.since:%Y-%m-%d %H:%M} UTC"
        state = ", ended before it settled them, so they may have been billed" if hold.is_over else ""
        yield f"{amount(hold.amount)} set aside by {who}{state}"
    if standing.in_batches != NOTHING:
        yield f"{amount(standing.in_batches)} set aside for message batches whose results are to come"


def _named(limit: Limit) -> str:
    return f"the budget {limit.scope!r}"


def _wake_all(waiting: Iterable[asyncio.Future[None]]) -> None:
    for settled in waiting:
        settled.get_loop().call_soon_threadsafe(_wake, settled)


def _too_small(limit: str, cheapest: str, spent: str, smallest: str, whole: str, of: Limit) -> BudgetError:
    of_it = f", and {spent} are spent already" if spent else ""
    whose = "" if not of.scope else " by this plan's runs" if of.scope.startswith("plan ") else f" within {of.scope!r}"
    of_it += whose if spent else ""
    return BudgetError(
        f"a budget of {limit} cannot start any trial: the cheapest may take {cheapest}{of_it}. The smallest budget "
        f"that can start is {smallest}; {whole} are enough for all. A lower max_tokens lowers both"
    )


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
