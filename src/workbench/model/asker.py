"""Asking: one trial at a time until it is settled, each attempt in the ledger before we look at it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.definition.agent import Agent
from workbench.errors import LedgerError, SetupError, WorkbenchError
from workbench.ledger.budget.reservation import Budget, Reservation, used_up
from workbench.ledger.leases import Leases
from workbench.ledger.store import Ledger
from workbench.model import anthropic as door
from workbench.model.limiter import Limiter, family_of
from workbench.model.stream import PartialReply
from workbench.model.warming import Turn, Warming
from workbench.secrets import scrubber
from workbench.trial.trial import Failure, Request, Trial, Usage

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

FIRST_WAIT_SECONDS = 0.5
PATIENCE_SECONDS = 300.0
"""How long one trial goes on trying while the server is there but overloaded."""
PATIENCE_WITHOUT_SERVER_SECONDS = 60.0
"""The same while it cannot be reached."""
LONGEST_WAIT_SECONDS = 60.0
"""The most that is waited before the next try, whatever the server asks for."""

_WORTH_ANOTHER_TRY = {408, 409, 429, 500, 502, 503, 504, 529}
_SAME_FOR_EVERY_TRIAL = {400, 401, 402, 403, 404}
_OVERLOAD = {"overloaded_error", "rate_limit_error", "api_error", "timeout_error"}
_NO_SERVER = {"unreachable", "connection", "timeout", "broken_stream", "malformed_stream"}

_REFUSED_FOR_NOW = {429, 529}
NO_TOKENS = Usage(input_tokens=0, output_tokens=0)
_STOPPED = Failure(type="stopped", message="stopped before the reply was complete")

OnText = Callable[[str], None]
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


class Asker:
    """Asks, through one client, each trial until it is settled; each attempt is in the ledger before we look at it."""

    def __init__(
        self,
        client: door.AsyncAnthropic,
        ledger: Ledger,
        *,
        most: int = 1,
        budget: Budget | None = None,
        deadline_seconds: float = door.DEADLINE_SECONDS,
        leases: Leases | None = None,
    ) -> None:
        self.limiters: dict[str, Limiter] = {}
        self.warming = Warming()
        self.errors: list[WorkbenchError] = []
        self._budget = budget
        self._leases = leases
        self._deadline_seconds = deadline_seconds
        self._client = client
        self._ledger = ledger
        self._most = most
        self._ending = asyncio.Event()
        self._tracer = door.tracer()
        self._scrub = scrubber()

    @property
    def is_ending(self) -> bool:
        return self._ending.is_set()

    def end(self, error: WorkbenchError) -> None:
        """Nothing more is asked: who waits for another try gives up, who is in flight comes to its end."""
        self.errors.append(error)
        self._ending.set()

    async def until_settled(
        self, trial: Trial, agent: Agent, *, on_text: OnText | None = None, on_retry: OnRetry | None = None
    ) -> Trial:
        """The trial with its reply or failure, tried again while that may help; one that is cancelled is "stopped",
        with what had come.

        Raises:
            LedgerError: the attempt is not on disk.
            LeaseLost: somebody else may be asking for it; it was not sent again.
            SetupError: it failed in a way that every trial would.
        """
        if self._tracer is None:
            return await self._tried(trial, agent, on_text, on_retry)
        with _span(self._tracer, trial) as span:
            settled = await self._tried(trial, agent, on_text, on_retry)
            _describe(span, settled)
        return settled

    async def _tried(self, trial: Trial, agent: Agent, on_text: OnText | None, on_retry: OnRetry | None) -> Trial:
        began = time.monotonic()
        clock = _Clock(self._deadline_seconds)
        limiter = self._limiter(trial.request)
        attempts = 0
        settled = trial
        while True:
            attempts += 1
            try:
                attempt = await self._attempt(trial, on_text, clock)
            except asyncio.CancelledError:
                return settled.replace(failure=_STOPPED)
            if attempt is None:
                is_late = settled.failure is not None and not self.is_ending
                return settled if is_late else settled.replace(failure=_STOPPED)
            reply = replace(attempt.reply, attempts=attempts) if attempt.reply and attempts > 1 else attempt.reply
            settled = trial.replace(reply=reply, failure=attempt.failure)
            try:
                await self._write(settled, agent)
            except LedgerError as error:
                raise LedgerError(str(error), unsaved=(settled,)) from error
            if settled.failure is None or settled.failure.type == "stopped":
                return settled
            _raise_if_same_for_all(settled)
            wait = _seconds_before_next_try(attempt, attempts)
            patience = min(_patience(settled.failure), self._deadline_seconds)
            # While it waited for its turn others may have been answered: that is not for want of a server.
            in_vain = max(clock.seconds, time.monotonic() - max(began, limiter.answered_at))
            if wait is None or in_vain + wait > patience:
                _raise_if_nobody_is_there(settled)
                return settled
            if on_retry is not None:
                on_retry(settled.failure, wait)
            try:
                await asyncio.wait_for(self._ending.wait(), wait)
            except TimeoutError:
                continue
            except asyncio.CancelledError:
                return settled.replace(failure=_STOPPED)
            return settled

    async def _attempt(self, trial: Trial, on_text: OnText | None, clock: _Clock) -> door.Attempt | None:
        """One request, in its turn, to its end or to the deadline. Cancelled in flight, it gives what had come; before
        that, it is not an attempt. `None`: by then nothing more was to be asked, or the deadline had passed."""
        if trial.request.cache is None:
            return await self._sent(trial, on_text, None, clock)
        async with self.warming.turn(trial.request) as turn:
            return await self._sent(trial, on_text, turn, clock)

    async def _sent(
        self, trial: Trial, on_text: OnText | None, turn: Turn | None, clock: _Clock
    ) -> door.Attempt | None:
        limiter = self._limiter(trial.request)
        async with limiter.slot(at_most_seconds=clock.seconds_left if clock.is_running else None) as began:
            if self.is_ending or began is None:
                return None
            reservation = await self._reserved(trial.request)
            try:
                if self._leases is not None:
                    await self._leases.confirm()  # it may have waited for long, and the machine may have slept
            except BaseException:
                self._release(reservation)
                raise
            if clock.seconds_left <= 0:
                self._release(reservation)
                return None
            clock.start()
            progress = PartialReply(on_first_token=None if turn is None else turn.first_token_came, scrub=self._scrub)
            if turn is not None:
                turn.sent()
            usage: Usage | None = None
            try:
                attempt = await door.ask(
                    self._client,
                    trial.request,
                    draw=trial.draw,
                    on_text=on_text,
                    progress=progress,
                    on_limits=limiter.told,
                    deadline_seconds=clock.seconds_left,
                )
                usage = NO_TOKENS if _is_free(attempt) else attempt.reply.usage if attempt.reply else None
            except asyncio.CancelledError:
                usage = progress.partial().usage
                return _stopped(progress)
            finally:
                if self._budget is not None and reservation is not None:
                    self._budget.settle(reservation, usage)
        if attempt.failure is None:
            limiter.answered()
        elif attempt.failure.status in _REFUSED_FOR_NOW or attempt.failure.type in _OVERLOAD:
            limiter.refused(began, attempt.failure.type, attempt.retry_after_seconds)
        return attempt

    def _limiter(self, request: Request) -> Limiter:
        family = family_of(request.model)
        if family not in self.limiters:
            self.limiters[family] = Limiter(self._most)
        return self.limiters[family]

    async def _write(self, settled: Trial, agent: Agent) -> None:
        """With the attempt, in one transaction, what it took of the budget."""
        if self._budget is None:
            await self._ledger.write(settled, agent)
        else:
            await self._ledger.write(settled, agent, also=self._budget.renew, committed=self._budget.renewed)

    def _release(self, reservation: Reservation | None) -> None:
        if self._budget is not None and reservation is not None:
            self._budget.release(reservation)

    async def _reserved(self, request: Request) -> Reservation | None:
        if self._budget is None:
            return None
        reservation = await self._budget.reserve_when_it_fits(request)
        if reservation is None:
            raise used_up(self._budget)
        return reservation


def _is_free(attempt: door.Attempt) -> bool:
    """Refused with a status, or never sent: nothing is billed."""
    failure = attempt.failure
    return failure is not None and (failure.type == "unreachable" or (failure.status or 200) != 200)


@contextmanager
def _span(tracer: Tracer, trial: Trial) -> Iterator[Span]:
    """An OpenTelemetry span around the SDK's own."""
    with tracer.start_as_current_span("workbench.trial") as span:
        if span.is_recording():
            span.set_attributes(
                {
                    "workbench.variant": trial.variant,
                    "workbench.task": trial.task_id,
                    "workbench.repeat": trial.repeat,
                    "workbench.key": trial.key,
                    "workbench.endpoint": trial.endpoint.base_url,
                    "gen_ai.request.model": trial.request.model,
                }
            )
        yield span


def _describe(span: Span, trial: Trial) -> None:
    if not span.is_recording():
        return
    span.set_attribute("workbench.outcome", trial.outcome)
    if trial.failure is not None:
        span.set_attribute("error.type", trial.failure.type)
    if trial.reply is not None:
        span.set_attribute("workbench.attempts", trial.reply.attempts)
        if trial.reply.seconds_to_first_token is not None:
            span.set_attribute("workbench.seconds_to_first_token", trial.reply.seconds_to_first_token)


def _stopped(progress: PartialReply) -> door.Attempt:
    partial = progress.partial()
    return door.Attempt(reply=partial if partial.text else None, failure=_STOPPED)


def _raise_if_same_for_all(trial: Trial) -> None:
    failure = trial.failure
    if failure is None:
        return
    found = f"{trial.endpoint.label} answered {failure.status} {failure.type}: {failure.message}"
    if failure.type in door.SPEND_LIMITS:
        raise SetupError(f"{found}; waiting does not help: raise the limit, then run the same again")
    if failure.status not in _SAME_FOR_EVERY_TRIAL:
        return
    advice = {
        401: "check ANTHROPIC_API_KEY (or the profile) for this address",
        402: "check the account's credit",
        403: "the key may not use this model or workspace",
        404: f"check the model id {trial.request.model!r} and ANTHROPIC_BASE_URL",
    }.get(failure.status or 0, f"the request of task {trial.task_id!r} is not accepted as it is")
    raise SetupError(f"{found}; {advice}. What was answered before is in the ledger.")


def _raise_if_nobody_is_there(trial: Trial) -> None:
    if trial.failure is not None and trial.failure.type == "unreachable":
        raise SetupError(
            f"{trial.endpoint.base_url} cannot be reached: {trial.failure.message}; check the network and "
            "ANTHROPIC_BASE_URL. What was answered before is in the ledger."
        )


def _seconds_before_next_try(attempt: door.Attempt, attempts: int) -> float | None:
    """`None`: another try would not help."""
    failure = attempt.failure
    if failure is None:
        return None
    if failure.type not in _OVERLOAD | _NO_SERVER and failure.status not in _WORTH_ANOTHER_TRY:
        return None
    growing: float = random.uniform(0.75, 1.0) * min(30.0, FIRST_WAIT_SECONDS * 2 ** (attempts - 1))
    return min(LONGEST_WAIT_SECONDS, max(growing, attempt.retry_after_seconds or 0.0))


def _patience(failure: Failure) -> float:
    return PATIENCE_WITHOUT_SERVER_SECONDS if failure.type in _NO_SERVER else PATIENCE_SECONDS
