"""A limit on what may be spent: the worst case is reserved before a call and settled after it.

The states of a reservation:

    asked for ----- fits ------> reserved ---- came back ------> settled: what it took is spent
        |                         ^   |
     no room                      |   |------- never sent -----> released: nothing is spent
        |                         |   |
        v                         |   '---- process killed ----> left behind: taken for good, in the ledger only
      wanted -- ledger grants it -'
        |
        '------ can never fit ---> None

What waits in `wanted` tries again when another reservation is settled or released here, and, where other processes
spend of the same budget, after `SECONDS_BETWEEN_LOOKS`. With an account in the ledger the limit holds for all runs of a
scope together, whichever process they are in; `allowance.py` says what may be reserved without asking it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from workbench.errors import BudgetError
from workbench.ledger.budget.allowance import Allowance
from workbench.ledger.budget.limits import NOTHING, Limit, Spent, limit_of
from workbench.ledger.budget.spending import Account, Statement, Transaction, Written
from workbench.ledger.budget.worst_case import in_usd, most_of, rounded_up, taken_of
from workbench.ledger.store import Ledger
from workbench.trial.catalogue import find_price
from workbench.trial.trial import Endpoint, Request, Trial, Usage, Via

SECONDS_BETWEEN_LOOKS = 0.5
"""How often to look whether another process has given something back, while nothing else can be done."""


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """The worst case of one call, set aside in a budget until it is settled or released."""

    number: int
    request: Request
    via: Via
    most: Spent


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
        seconds_between_looks: float = SECONDS_BETWEEN_LOOKS,
    ) -> None:
        self._limits = account.limits if account is not None else (limit_of("", usd=usd, tokens=tokens),)
        self._in_usd = any(limit.picousd is not None for limit in self._limits)
        self._is_free = endpoint is not None and endpoint.is_stand_in
        self._account = account
        self._seconds_between_looks = seconds_between_looks
        self._allowance = Allowance(self._limits, from_ledger=account is not None)
        self._statements: tuple[Statement, ...] = ()
        self._open: dict[int, Reservation] = {}
        self._last = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._lock = threading.Lock()

    @property
    def account(self) -> Account | None:
        """Where what is spent is kept; `None`: in this value alone."""
        return self._account

    @property
    def spent_usd(self) -> float:
        """Of calls settled here; of one with an unknown cost, its worst case. 0 where there is no limit in USD."""
        return float(self._allowance.position.spent.usd)

    @property
    def reserved_usd(self) -> float:
        """The worst case of the calls that are in flight. 0 where there is no limit in USD."""
        return float(self._allowance.position.reserved.usd)

    @property
    def spent_tokens(self) -> int:
        """Of calls settled here, cached ones included; of one that was not counted, its worst case."""
        return self._allowance.position.spent.tokens

    @property
    def reserved_tokens(self) -> int:
        """The worst case of the calls that are in flight."""
        return self._allowance.position.reserved.tokens

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
        most = [self._most(request, via) for request in requests]
        spent = self._allowance.position.spent
        for limit, statement in self._seen():
            if statement is not None and statement.unpriced and limit.picousd is not None:
                raise BudgetError(
                    f"models without a known price were asked within {_named(limit)}, so a limit in USD cannot be "
                    f"kept for it: set {limit.tokens_from} instead, or name another scope"
                )
            _refuse_if_too_small(limit, spent if statement is None else statement.for_good, most, statement)

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
                    await self._ask_for(most, self._account)
                    reservation = self._reserve(request, via, most)
                if reservation is not None:
                    return reservation
                if not await self._may_fit_later(most):
                    return None
                await asyncio.wait([settled], timeout=None if self._account is None else self._seconds_between_looks)
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
        self._close(reservation, self._taken(reservation, usage))

    def release(self, reservation: Reservation) -> None:
        """Gives the reserved worst case back: the call was not sent, or was refused before anything was billed.

        Raises:
            ValueError: this reservation is settled already.
        """
        self._close(reservation, NOTHING)

    def renew(self, connection: Transaction) -> Written:
        """Writes where this budget stands into its account, in a transaction of the ledger that hands what it gives to
        `renewed` once it is committed. Nothing without an account."""
        return Written() if self._account is None else self._account.renew(connection, self._allowance)

    def renewed(self, written: Written) -> None:
        """What was taken in a transaction that is committed now may be reserved."""
        if self._account is not None:
            self._account.committed(written)
            self._allowance.grant(written.taken)
            self._wake_waiting()

    async def close(self) -> None:
        """Gives back to the account what was set aside and not spent. Nothing may be in flight; what is reserved later
        is asked for anew.

        Raises:
            LedgerError: the ledger cannot be written; what was set aside stays taken.
        """
        if self._account is not None:
            account, allowance = self._account, self._allowance
            await account.ledger.transact(
                lambda connection: account.close(connection, allowance), committed=self.renewed
            )

    async def look(self) -> None:
        """Reads anew where the budgets of the account stand, for `check` and for what is said.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        if self._account is not None:
            self._statements = await self._account.ledger.transact(self._account.statements)

    def most_in_batch(self, trial: Trial) -> Spent:
        """The worst case of a trial that is sent in a batch.

        Raises:
            BudgetError: there is a limit in USD, and the price of the model is not known.
        """
        return self._most(trial.request, "batch")

    def may_fit(self, most: Spent) -> bool:
        """As far as is known since the last `look`: so much more fits within every limit."""
        now = self._allowance.position
        return all(
            limit.allows((now.spent + now.reserved if statement is None else statement.taken) + most)
            for limit, statement in self._seen()
        )

    def may_ever_fit(self, most: Spent) -> bool:
        """The same once those that are still alive have given back what they hold."""
        return all(
            limit.allows(statement.for_good + most) for limit, statement in self._seen() if statement is not None
        )

    def _seen(self) -> Sequence[tuple[Limit, Statement | None]]:
        if self._statements:
            return [(statement.limit, statement) for statement in self._statements]
        return [(limit, None) for limit in self._limits]

    def _said(self, limit: Limit, statement: Statement | None) -> Iterable[str]:
        now = self._allowance.position
        before = NOTHING if statement is None else statement.spent - statement.own_spent
        spent = now.spent + before

        def beside(said: Callable[[Spent], str]) -> str:
            return "" if statement is None else "".join(f", {text}" for text in _set_aside(statement, said))

        if limit.picousd is not None:
            earlier = f" ({in_usd(before.usd)} of it not by this run)" if before.picousd else ""
            most = in_usd(Spent(picousd=limit.picousd).usd)
            yield f"{in_usd(spent.usd)} of {most} spent{earlier}, {in_usd(now.reserved.usd)} reserved{beside(_as_usd)}"
        if limit.tokens is not None:
            earlier = f" ({before.tokens:,} of them not by this run)" if before.tokens else ""
            reserved = f"{now.reserved.tokens:,} reserved{beside(_as_tokens)}"
            yield f"{spent.tokens:,} of {limit.tokens:,} tokens spent{earlier}, {reserved}"

    def _most(self, request: Request, via: Via) -> Spent:
        if self._in_usd and not self._is_free and find_price(request.model) is None:
            raise _unpriced([request.model])
        return most_of(request, via=via, free=self._is_free, priced=self._is_priced)

    @property
    def _is_priced(self) -> bool:
        # In an account others may have a limit in USD.
        return self._in_usd or self._account is not None

    def _taken(self, reservation: Reservation, usage: Usage | None) -> Spent:
        if self._is_free:
            return NOTHING
        request, via, most = reservation.request, reservation.via, reservation.most
        return taken_of(request, usage, via=via, most=most, priced=self._is_priced)

    async def _ask_for(self, most: Spent, account: Account) -> None:
        number = self._next_number()
        self._allowance.want(number, most)
        try:
            # One transaction serves all who want something when it begins: it sees what each of them wants.
            await account.ledger.transact(self.renew, committed=self.renewed)
        finally:
            self._allowance.want_no_more(number)

    async def _may_fit_later(self, most: Spent) -> bool:
        """Whether it fits beside what is spent for good, once all that is in flight gave back what it can."""
        if self._account is None:
            spent = self._allowance.position.spent
            return all(limit.allows(spent + most) for limit in self._limits)
        await self.look()
        return self.may_ever_fit(most)

    def _reserve(self, request: Request, via: Via, most: Spent) -> Reservation | None:
        if not self._allowance.reserve(most):
            return None
        reservation = Reservation(number=self._next_number(), request=request, via=via, most=most)
        with self._lock:
            self._open[reservation.number] = reservation
        return reservation

    def _close(self, reservation: Reservation, taken: Spent) -> None:
        with self._lock:
            if self._open.pop(reservation.number, None) is None:
                raise ValueError("this reservation is settled already")
        self._allowance.settle(reservation.most, taken)
        self._wake_waiting()

    def _next_number(self) -> int:
        with self._lock:
            self._last += 1
            return self._last

    def _wake_waiting(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for settled in waiting:
            with suppress(RuntimeError):  # its loop is closed: nobody waits there any more
                settled.get_loop().call_soon_threadsafe(_wake, settled)


async def open_budget(
    ledger: Ledger,
    trials: Iterable[Trial],
    limits: Sequence[Limit],
    *,
    deadline_seconds: float,
    seconds_between_looks: float = SECONDS_BETWEEN_LOOKS,
) -> Budget:
    """A budget with these limits for a run of these trials, kept in the ledger. Close it when nothing is in flight.

    Raises:
        LedgerError: the ledger cannot be read or written.
    """
    account = Account(limits, ledger, deadline_seconds=deadline_seconds)
    budget = Budget(account=account, seconds_between_looks=seconds_between_looks)
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


def _refuse_if_too_small(limit: Limit, gone: Spent, most: Sequence[Spent], statement: Statement | None) -> None:
    spent = gone if statement is None else statement.spent
    tokens = min(each.tokens for each in most)
    if limit.tokens is not None and gone.tokens + tokens > limit.tokens:
        raise _too_small(
            f"{limit.tokens:,} tokens",
            f"{tokens:,} tokens",
            _gone(limit, _as_tokens(spent) if spent.tokens else "", _as_tokens, statement),
            f"{limit.tokens_from}={gone.tokens + tokens}",
            f"{gone.tokens + sum(each.tokens for each in most):,} tokens",
        )
    if limit.picousd is None:
        return
    fitting = [each for each in most if limit.tokens is None or gone.tokens + each.tokens <= limit.tokens]
    cheapest = min(fitting, key=lambda each: each.picousd)
    if gone.picousd + cheapest.picousd > limit.picousd:
        raise _too_small(
            in_usd(Spent(picousd=limit.picousd).usd),
            in_usd(cheapest.usd),
            _gone(limit, _as_usd(spent) if spent.picousd else "", _as_usd, statement),
            f"{limit.usd_from}={rounded_up((gone + cheapest).usd)}",
            in_usd(sum(most, gone).usd),
        )


def _gone(limit: Limit, spent: str, said: Callable[[Spent], str], statement: Statement | None) -> str:
    """What is spent, and what is set aside beside it: that may have been billed, or come back."""
    whose = f" within {limit.scope!r}" if limit.scope else ""
    if limit.scope.startswith("plan "):
        whose = " by this plan's runs"
    aside = "" if statement is None else "".join(f", {text}" for text in _set_aside(statement, said))
    return (f", and {spent} are spent already{whose}" if spent else "") + aside


def _set_aside(statement: Statement, said: Callable[[Spent], str]) -> Iterable[str]:
    """What others have set aside, and who they are."""
    for lease in statement.leases:
        if lease.set_aside == NOTHING:
            continue
        who = f"process {lease.process}, since {lease.since:%Y-%m-%d %H:%M} UTC"
        state = ", ended before it settled them, so they may have been billed" if lease.is_over else ""
        yield f"{said(lease.set_aside)} set aside by {who}{state}"
    if statement.in_batches != NOTHING:
        yield f"{said(statement.in_batches)} set aside for message batches whose results are to come"


def _as_usd(spent: Spent) -> str:
    return in_usd(spent.usd)


def _as_tokens(spent: Spent) -> str:
    return f"{spent.tokens:,} tokens"


def _named(limit: Limit) -> str:
    return f"the budget {limit.scope!r}"


def _too_small(limit: str, cheapest: str, gone: str, smallest: str, whole: str) -> BudgetError:
    return BudgetError(
        f"a budget of {limit} cannot start any trial: the cheapest may take {cheapest}{gone}. The smallest budget "
        f"that can start is {smallest}; {whole} are enough for all. A lower max_tokens lowers both"
    )


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
