"""Asking: what of a plan is answered already, what is not, and one trial at a time until it is settled."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.definition.agent import Agent
from workbench.errors import LedgerError, PlanError, SetupError
from workbench.trial import client as door
from workbench.trial.ledger import Ledger, open_ledger
from workbench.trial.loop import Started
from workbench.trial.pace import Pace, family_of
from workbench.trial.plan import Plan
from workbench.trial.progress import progress_bar
from workbench.trial.task import Task
from workbench.trial.trial import Failure, Grader, Place, Request, Run, Trial

if TYPE_CHECKING:
    from opentelemetry.trace import Span

CONCURRENCY = 8
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
_NO_SERVER = {"connection", "timeout", "broken_stream", "malformed_stream"}

_REFUSED_FOR_NOW = {429, 529}
_STOPPED = Failure(type="stopped", message="stopped before the reply was complete")

OnText = Callable[[str], None]
OnRetry = Callable[[Failure, float], None]


def run_trials(
    plan: Plan,
    *,
    ledger: Ledger | str | Path | None = None,
    live: bool | None = None,
    concurrency: int = CONCURRENCY,
    progress: bool = True,
) -> Run:
    """Asks for every trial of the plan that the ledger does not hold yet, and grades all of them.

    Blocks until the run is complete. An interrupt stops what is in flight, keeps all that was answered, and is
    raised again; the same call then goes on from there. A failing trial is a trial with a `failure`; what would
    fail for every trial stops the run.

    Raises:
        SetupError: no key, a refused key, a model or request that the server does not accept, a spend limit, no
            server.
        LedgerError: a reply could not be saved; what came back but is not on disk is in its `unsaved`.
    """
    if concurrency < 1:
        raise PlanError(f"concurrency is {concurrency}; it must be 1 or more")
    place = door.choose_place(live)
    print(door.describe_place(place), flush=True)
    trials = plan.trials(place)
    with _opened(ledger) as opened:
        known = opened.find(trial.key for trial in trials)
        answered = [
            trial.replace(reply=known[trial.key], from_ledger=True) if trial.key in known else trial for trial in trials
        ]
        run = _AskingAll(plan, opened, answered, concurrency)
        _wait_for(run, place, shown=progress)
    tasks = {task.id: task for task in plan.tasks}
    return Run(
        variants=plan.variants,
        tasks=plan.tasks,
        repeats=plan.repeats,
        place=place,
        trials=tuple(grade_trial(trial, tasks[trial.task_id], plan.graders[trial.task_id]) for trial in run.trials),
    )


def start_trial(
    request: Request,
    *,
    agent: Agent,
    place: Place | None = None,
    variant: str = "draft",
    task_id: str = "typed",
    repeat: int = 0,
    on_text: OnText | None = None,
    on_retry: OnRetry | None = None,
    ledger: Ledger | str | Path | None = None,
) -> Started[Trial]:
    """Asks once, anew, and returns at once; `stop()` ends it, and its trial then holds what had come.

    `on_text` gets each piece of the reply as it comes; `on_retry` gets what went wrong and the seconds until the
    next try, with which the reply begins again. Both are called in the workbench's own thread. Like every attempt,
    this one is in the ledger before `result()` gives it.

    Raises:
        SetupError: the way to the model is not set up. What would fail for every trial comes from `result()`.
    """
    where = place or door.choose_place()
    trial = Trial(variant=variant, task_id=task_id, repeat=repeat, request=request, place=where)

    async def one() -> Trial:
        with _opened(ledger) as opened:
            async with door.open_client(where) as client:
                return await _Asker(client, opened).until_settled(trial, agent, on_text=on_text, on_retry=on_retry)

    return Started(one())


def grade_trial(trial: Trial, task: Task, graders: Mapping[str, Grader]) -> Trial:
    """The trial with its scores; one that was not answered has none."""
    if trial.outcome != "answered" or trial.reply is None:
        return trial.replace(scores={})
    return trial.replace(scores={label: grader(task, trial.reply) for label, grader in graders.items()})


class _AskingAll:
    """The trials of a plan on their way: who is in flight, who waits, what is settled.

    What would fail for every trial lets those in flight end, asks for no more, and is raised then.
    """

    def __init__(self, plan: Plan, ledger: Ledger, trials: list[Trial], concurrency: int) -> None:
        self.trials = trials
        self.missing = [index for index, trial in enumerate(trials) if trial.reply is None]
        self._plan = plan
        self._ledger = ledger
        self._concurrency = concurrency
        self._asker: _Asker | None = None
        self._waiting: dict[int, tuple[Failure, float]] = {}
        self._counts = Counter({"from the ledger": len(trials) - len(self.missing)})
        self._began = time.monotonic()

    async def ask(self, place: Place) -> None:
        queue = iter(self.missing)
        self._began = time.monotonic()
        workers = min(self._concurrency, len(self.missing))
        async with door.open_client(place, connections=workers) as client:
            self._asker = asker = _Asker(client, self._ledger, most=self._concurrency)
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._ask_from(queue, asker))
        if asker.errors:
            raise _one_of(asker.errors)

    async def _ask_from(self, queue: Iterator[int], asker: _Asker) -> None:
        for index in queue:
            trial = self.trials[index]

            def waits(failure: Failure, seconds: float, index: int = index) -> None:
                self._waiting[index] = (failure, time.monotonic() + seconds)

            try:
                settled = await asker.until_settled(trial, self._plan.variants[trial.variant], on_retry=waits)
            except (LedgerError, SetupError) as error:
                asker.end(error)
                return
            finally:
                self._waiting.pop(index, None)
            self.trials[index] = settled
            self._counts[settled.outcome.replace("_", " ")] += 1
            if settled.outcome == "stopped" or asker.is_ending:
                return

    def progress(self) -> tuple[int, str]:
        """How many are settled, and a line that says how, how fast, and why not faster."""
        counts = dict(self._counts)
        parts = [f"{count} {name}" for name, count in counts.items() if count]
        waiting = list(self._waiting.values())
        if waiting:
            failure, until = min(waiting, key=lambda item: item[1])
            seconds = max(0.0, until - time.monotonic())
            parts.append(f"{len(waiting)} retrying after {failure.type} (next in {seconds:.0f} s)")
        if self._asker is not None:
            parts += [reason for pace in list(self._asker.paces.values()) if (reason := pace.reason)]
        return sum(counts.values()), ", ".join(parts)


def _one_of(errors: list[LedgerError | SetupError]) -> LedgerError | SetupError:
    """What the workers of a run ended with, as one exception: all that could not be saved, or the first of them."""
    unsaved = [error for error in errors if isinstance(error, LedgerError)]
    if not unsaved:
        return errors[0]
    trials = tuple(trial for error in unsaved for trial in error.unsaved)
    return LedgerError(f"{unsaved[0]} ({len(trials)} replies came back that are not on disk)", unsaved=trials)


def _wait_for(run: _AskingAll, place: Place, *, shown: bool) -> None:
    bar = progress_bar(len(run.trials), shown=shown)
    if not run.missing:
        bar.show(*run.progress())
        bar.close()
        return
    started = Started(run.ask(place))
    try:
        while not started.wait(0.1):
            bar.show(*run.progress())
        started.result()
    except KeyboardInterrupt:
        started.stop()
        started.wait()
        print(
            f"\nStopped. {run.progress()[1] or 'Nothing was answered'}; what was answered is in the ledger, and the "
            "same run goes on from there."
        )
        raise
    finally:
        bar.show(*run.progress())
        bar.close()


class _Asker:
    """Asks, through one client, each trial until it is settled; each attempt is in the ledger before we look at it."""

    def __init__(self, client: door.AsyncAnthropic, ledger: Ledger, *, most: int = 1) -> None:
        self.paces: dict[str, Pace] = {}
        self.errors: list[LedgerError | SetupError] = []
        self._client = client
        self._ledger = ledger
        self._most = most
        self._ending = asyncio.Event()

    @property
    def is_ending(self) -> bool:
        return self._ending.is_set()

    def end(self, error: LedgerError | SetupError) -> None:
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
            SetupError: it failed in a way that every trial would.
        """
        with _span(trial) as span:
            settled = await self._tried(trial, agent, on_text, on_retry)
            _describe(span, settled)
        return settled

    async def _tried(self, trial: Trial, agent: Agent, on_text: OnText | None, on_retry: OnRetry | None) -> Trial:
        began = time.monotonic()
        attempts = 0
        settled = trial.replace(failure=_STOPPED)
        while True:
            attempts += 1
            try:
                attempt = await self._attempt(trial, on_text)
            except asyncio.CancelledError:
                return settled.replace(failure=_STOPPED)
            reply = replace(attempt.reply, attempts=attempts) if attempt.reply else None
            settled = trial.replace(reply=reply, failure=attempt.failure)
            try:
                await self._ledger.write(settled, agent)
            except LedgerError as error:
                raise LedgerError(str(error), unsaved=(settled,)) from error
            if settled.failure is None or settled.failure.type == "stopped":
                return settled
            _raise_if_same_for_all(settled)
            wait = _seconds_before_next_try(attempt, attempts)
            if wait is None or time.monotonic() - began + wait > _patience(settled.failure):
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

    async def _attempt(self, trial: Trial, on_text: OnText | None) -> door.Attempt:
        """One request, in its turn. Cancelled in flight, it gives what had come; before that, it is not an attempt."""
        pace = self.paces.setdefault(family_of(trial.request.model), Pace(self._most))
        async with pace.slot() as began:
            progress = door.Progress()
            try:
                attempt = await door.ask(
                    self._client, trial.request, draw=trial.draw, on_text=on_text, progress=progress
                )
            except asyncio.CancelledError:
                return _stopped(progress)
        if attempt.failure is None:
            pace.answered(attempt.limits)
        elif attempt.failure.status in _REFUSED_FOR_NOW or attempt.failure.type in _OVERLOAD:
            pace.refused(began, attempt.failure.type, attempt.retry_after_seconds)
        return attempt


@contextmanager
def _span(trial: Trial) -> Iterator[Span]:
    """An OpenTelemetry span around the SDK's own; it goes nowhere unless the program set a tracer provider."""
    from opentelemetry import trace

    with trace.get_tracer("workbench").start_as_current_span("workbench.trial") as span:
        if span.is_recording():
            span.set_attributes(
                {
                    "workbench.variant": trial.variant,
                    "workbench.task": trial.task_id,
                    "workbench.repeat": trial.repeat,
                    "workbench.key": trial.key,
                    "workbench.place": trial.place.base_url,
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


def _stopped(progress: door.Progress) -> door.Attempt:
    partial = progress.partial()
    return door.Attempt(reply=partial if partial.text else None, failure=_STOPPED)


def _raise_if_same_for_all(trial: Trial) -> None:
    failure = trial.failure
    if failure is None:
        return
    found = f"{trial.place.label} answered {failure.status} {failure.type}: {failure.message}"
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
    if trial.failure is not None and trial.failure.type == "connection" and trial.reply is None:
        raise SetupError(
            f"{trial.place.base_url} cannot be reached: {trial.failure.message}; check the network and "
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


@contextmanager
def _opened(ledger: Ledger | str | Path | None) -> Iterator[Ledger]:
    if isinstance(ledger, Ledger):
        yield ledger
    else:
        with open_ledger(ledger) as opened:
            yield opened
