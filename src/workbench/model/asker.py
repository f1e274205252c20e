"""Asking: one trial at a time until it is settled, each attempt in the ledger before we look at it.

waits for its persona to be cached, for its turn, for money      (`_attempt`, `_sent`)
  -> asked -> the attempt is written -> what next?               (`_tried`)
       whole reply ................. settled
       failed like every trial ..... the run ends, or its variant
       not worth another try ....... settled, failed
       worth one, and time left .... waits, and from the top
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from workbench.definition.agent import Agent
from workbench.errors import LedgerError, SetupError, WorkbenchError
from workbench.ledger.budget.reservation import Budget, Reservation, used_up
from workbench.ledger.leases import Leases
from workbench.ledger.paid import paid_of
from workbench.ledger.store import Ledger
from workbench.markup import counted
from workbench.model.api import DEADLINE_SECONDS, STOPPED, Attempt, Model, OnText
from workbench.model.checked import checked_attempt
from workbench.model.failures import DEADLINE, NOT_SET_UP, shown
from workbench.model.limiter import Limiter, family_of
from workbench.model.retrying import STREAMS, EndsVariant, Retry, is_overload
from workbench.model.tracing import describe_error, describe_paid, describe_settled, tracer, trial_span
from workbench.model.warming import Turn, Warming
from workbench.trial.paid import Paid
from workbench.trial.trial import Endpoint, Failure, Trial, Usage

NO_TOKENS = Usage(input_tokens=0, output_tokens=0)

OnRetry = Callable[[Failure, float], None]


class _Clock:
    """The time that a trial has, from its first request on: until then it waits for others, not for its reply."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: float | None = None

    def start(self) -> None:
        """Begins, unless it is running."""
        if self._began is None:
            self._began = time.monotonic()

    @property
    def is_running(self) -> bool:
        return self._began is not None

    @property
    def seconds(self) -> float:
        """How long it runs."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    @property
    def seconds_left(self) -> float:
        return self._seconds - self.seconds


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """How trials are asked for as streams."""

    most: int = 1
    """So many at once at most."""
    budget: Budget | None = None
    deadline_seconds: float = DEADLINE_SECONDS
    """For one trial, from its first request on, with all its tries."""
    retry: Retry = STREAMS
    leases: Leases | None = None
    """`None`: what is asked for is asked anew, whoever asks for the same."""


class Asker:
    """Asks each trial, at its endpoint, until it is settled; each attempt is in the ledger before we look at it."""

    def __init__(
        self,
        models: Mapping[Endpoint, Model],
        ledger: Ledger,
        settings: StreamSettings,
    ) -> None:
        self.errors: list[WorkbenchError] = []
        self._models = models
        self._ledger = ledger
        self._most = settings.most
        self._budget = settings.budget
        self._deadline_seconds = settings.deadline_seconds
        self._retry = settings.retry
        self._leases = settings.leases
        self._ending = asyncio.Event()
        self._tracer = tracer()
        # An endpoint has its own rate limits and its own cache of prompts.
        self._limiters: dict[tuple[Endpoint, str], Limiter] = {}
        self._warming = {endpoint: Warming() for endpoint in models}

    @property
    def is_ending(self) -> bool:
        return self._ending.is_set()

    def end(self, error: WorkbenchError) -> None:
        """Nothing more is asked: who waits for another try gives up, who is in flight comes to its end."""
        self.errors.append(error)
        self._ending.set()

    @property
    def why_slow(self) -> list[str]:
        """In words, what trials are waiting for that could be in flight. May be read from any thread."""
        waiting = sum(warming.waiting for warming in self._warming.values())
        said = [f"{waiting} waiting for their persona to be cached"] if waiting else []
        return said + [limiter.reason for limiter in list(self._limiters.values()) if limiter.reason]

    async def until_settled(
        self, trial: Trial, agent: Agent, *, on_text: OnText | None = None, on_retry: OnRetry | None = None
    ) -> Trial:
        """The trial with its reply or failure, tried again while that may help; one that is cancelled is "stopped",
        with what had come.

        Raises:
            LedgerError: the attempt is not on disk.
            LeaseLost: somebody else may be asking for it; it was not sent again.
            SetupError: it failed in a way that every trial would, or, as `EndsVariant`, every one of its variant.
            BudgetError: its worst case does not fit beside what is spent.
        """
        if self._tracer is None:
            return await self._tried(trial, agent, on_text, on_retry, [])
        paid: list[Paid] = []
        with trial_span(self._tracer, trial) as span:
            try:
                settled = await self._tried(trial, agent, on_text, on_retry, paid)
                describe_settled(span, settled)
            except EndsVariant as ends:
                describe_settled(span, ends.trial)
                raise
            except WorkbenchError as error:
                describe_error(span, error)
                raise
            finally:
                describe_paid(span, sum(paid, Paid()))
        return settled

    async def _tried(
        self, trial: Trial, agent: Agent, on_text: OnText | None, on_retry: OnRetry | None, paid: list[Paid]
    ) -> Trial:
        """`paid` gets what each attempt took."""
        began = time.monotonic()
        clock = _Clock(self._deadline_seconds)
        limiter = self._limiter(trial)
        settled = trial  # with what its last attempt left; nothing yet
        attempts = 0
        failed: list[str] = []
        while True:
            attempts += 1
            gone = clock.seconds
            try:
                attempt = await self._attempt(trial, on_text, clock)
            except asyncio.CancelledError:
                # Cancelled before this attempt was sent, so there is nothing to write. Cancelled in flight does not
                # come here: the model then returns what had come, which is an attempt like any other.
                return settled.replace(failure=STOPPED)
            if attempt is None:
                # Not sent: the run is ending, or the deadline passed while it waited for its turn. The second can
                # only be after a failure, for the clock starts with the first request: that failure is its end.
                is_late = settled.failure is not None and not self.is_ending
                return settled if is_late else settled.replace(failure=STOPPED)

            if attempt.failure is not None and attempt.failure.type == DEADLINE:
                attempt = replace(attempt, failure=replace(attempt.failure, message=self._why_late(gone, failed)))
            # Each attempt is made from the trial itself: nothing of one that failed may stay with the next.
            reply = replace(attempt.reply, attempts=attempts) if attempt.reply and attempts > 1 else attempt.reply
            settled = trial.replace(reply=reply, failure=attempt.failure)
            paid.append(paid_of(settled))
            try:
                await self._write(settled, agent)
            except LedgerError as error:
                # The reply is paid for and only here: it travels with the error.
                raise LedgerError(str(error), unsaved=(settled,)) from error
            except asyncio.CancelledError:
                # It is on its way to the disk, or to a file beside the ledger, whoever waits for that or not.
                return settled
            if settled.failure is None or settled.failure.type == STOPPED.type:
                return settled

            if (ends := self._retry.why_it_ends(settled.failure, trial.endpoint, settled)) is not None:
                raise ends
            wait = self._retry.seconds_before_try(attempt, attempts)
            patience = min(self._retry.patience_with(settled.failure), self._deadline_seconds)
            # Patience is for a server that answers nobody. One that answered another trial while this one waited for
            # its turn is there, so the time in vain begins again with that; but the requests of this very trial, which
            # its clock counts, were in vain whoever else was answered.
            in_vain = max(clock.seconds, time.monotonic() - max(began, limiter.answered_at))
            if wait is None or in_vain + wait > patience:
                if (nobody := self._retry.why_nobody_is_there(settled.failure, trial.endpoint)) is not None:
                    raise nobody
                return settled

            failed.append(settled.failure.type)
            if on_retry is not None:
                on_retry(settled.failure, wait)
            try:
                # Not a plain sleep: what ends the run must not have to wait until everybody has slept.
                await asyncio.wait_for(self._ending.wait(), wait)
            except TimeoutError:
                continue
            except asyncio.CancelledError:
                return settled.replace(failure=STOPPED)
            return settled

    async def _attempt(self, trial: Trial, on_text: OnText | None, clock: _Clock) -> Attempt | None:
        """One request, in its turn, to its end or to the deadline. `None`: it was not sent, for by then nothing more
        was to be asked, or the deadline had passed."""
        if trial.request.cache is None:
            return await self._sent(trial, on_text, None, clock)
        async with self._warming[trial.endpoint].turn(trial.request) as turn:
            return await self._sent(trial, on_text, turn, clock)

    async def _sent(self, trial: Trial, on_text: OnText | None, turn: Turn | None, clock: _Clock) -> Attempt | None:
        limiter = self._limiter(trial)
        # A first request may wait for its turn as long as it takes; a retry has only what its clock has left.
        async with limiter.slot(at_most_seconds=clock.seconds_left if clock.is_running else None) as began:
            if self.is_ending or began is None:
                return None
            # The slot first, the money second: a worst case that is set aside while it waits in a queue would keep
            # others from being sent.
            reservation = await self._reserved(trial)
            try:
                if self._leases is not None:
                    await self._leases.confirm()  # it may have waited for long, and the machine may have slept
            except BaseException:
                self._release(reservation)
                raise
            if clock.seconds_left <= 0:  # waiting for money has used it up
                self._release(reservation)
                return None
            clock.start()
            if turn is not None:
                turn.sent()
            attempt = await self._asked(trial, on_text, turn, clock, reservation)
        if attempt.failure is None:
            limiter.answered()
        elif is_overload(attempt.failure):
            limiter.refused(began, attempt.failure.type, attempt.retry_after_seconds)
        return attempt

    async def _asked(
        self,
        trial: Trial,
        on_text: OnText | None,
        turn: Turn | None,
        clock: _Clock,
        reservation: Reservation | None,
    ) -> Attempt:
        usage: Usage | None = None
        try:
            said: object = await self._models[trial.endpoint].ask(
                trial.request,
                draw=trial.draw,
                on_text=on_text,
                on_first_token=None if turn is None else turn.first_token_came,
                on_limits=self._limiter(trial).told,
                deadline_seconds=clock.seconds_left,
            )
            attempt = checked_attempt(said)
            usage = NO_TOKENS if _is_free(attempt) else attempt.reply.usage if attempt.reply else None
            return attempt
        except asyncio.CancelledError:
            # A way to a model that keeps nothing when it is cancelled: it may have cost its worst case.
            return Attempt(failure=STOPPED)
        except SetupError as error:
            return Attempt(failure=Failure(type=NOT_SET_UP, message=shown(str(error))))  # for its variant: see `Retry`
        except Exception as error:  # noqa: BLE001 - a way to a model that somebody else wrote, and whatever it raises
            return Attempt(failure=Failure(type="raised", message=shown(f"{type(error).__name__}: {error}")))
        finally:
            # However it ended, also by an exception: what stays reserved would be missing to everybody else.
            if self._budget is not None and reservation is not None:
                self._budget.settle(reservation, usage)

    def _why_late(self, gone: float, failed: Sequence[str]) -> str:
        """Names the deadline that was set: the model knows only what was left of it."""
        late = f"no complete reply within {self._deadline_seconds:g} seconds"
        if not failed:
            return late
        names = ", ".join(dict.fromkeys(failed))
        return f"{late}: {gone:.1f} of them went by in {counted(len(failed), 'attempt')} before ({names}) and the waits"

    def _limiter(self, trial: Trial) -> Limiter:
        limited = (trial.endpoint, family_of(trial.request.model))
        if limited not in self._limiters:
            self._limiters[limited] = Limiter(
                self._most, first=self._retry.first_at_once, longest_pause_seconds=self._retry.longest_seconds
            )
        return self._limiters[limited]

    async def _write(self, settled: Trial, agent: Agent) -> None:
        """With the attempt, in one transaction, what it took of the budget."""
        if self._budget is None:
            await self._ledger.write(settled, agent)
        else:
            await self._ledger.write(settled, agent, also=self._budget.renew, committed=self._budget.renewed)

    def _release(self, reservation: Reservation | None) -> None:
        if self._budget is not None and reservation is not None:
            self._budget.release(reservation)

    async def _reserved(self, trial: Trial) -> Reservation | None:
        if self._budget is None:
            return None
        reservation = await self._budget.reserve_when_it_fits(trial.request)
        if reservation is None:
            raise used_up(self._budget)
        return reservation


def _is_free(attempt: Attempt) -> bool:
    """Refused with a status, or never sent: nothing is billed."""
    failure = attempt.failure
    return failure is not None and (failure.type == "unreachable" or (failure.status or 200) != 200)
