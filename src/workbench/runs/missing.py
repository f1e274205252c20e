"""Asking for the trials of a plan that the ledger does not hold: all of them, within one budget, while we wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from workbench.collector import collecting_rarely
from workbench.definition.agent import Agent
from workbench.errors import LedgerError, PlanError, RunStopped, SetupError, WorkbenchError
from workbench.ledger.budget.limits import Limit
from workbench.ledger.budget.reservation import Budget, open_budget
from workbench.ledger.leases import Elsewhere, LeaseLost, Leases
from workbench.ledger.open_batches import find_open_batches
from workbench.ledger.paid import paid_of
from workbench.ledger.store import Ledger, open_ledger, opened_ledger
from workbench.markup import counted
from workbench.model.anthropic import retirement_of
from workbench.model.api import Model, OnText
from workbench.model.asker import Asker, OnRetry, StreamSettings
from workbench.model.batches.ask import BatchSettings, BatchState, ask_batch
from workbench.model.failures import shown
from workbench.model.loop import Started
from workbench.model.retrying import BATCHES, STREAMS, EndsVariant
from workbench.model.tracing import batch_span, trace_settled, tracer
from workbench.runs.progress import ProgressBar, RunWatch, Tally, progress_bar
from workbench.runs.settings import RunSettings
from workbench.trial.trial import Endpoint, Request, Trial, Via

_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True, kw_only=True)
class Watching:
    """What is called, in the loop thread, while somebody watches a trial."""

    on_text: OnText | None = None
    on_retry: OnRetry | None = None
    on_wait: Callable[[], None] | None = None
    """Another run is asking for the very same, and its reply is waited for."""


def ask_missing(
    trials: list[Trial], agents: Mapping[str, Agent], settings: RunSettings, *, limits: Sequence[Limit]
) -> None:
    """Asks for those of the trials that have no reply, at least one, and puts each into the list once it is settled.

    `agents` are those of the trials by variant, `limits` what all of the trials have to keep. Blocks, with a progress
    bar; an interrupt stops what is in flight and is raised again.

    Raises:
        As `run_trials`.
    """
    with opened_ledger(settings.ledger) as opened:
        _refuse_what_is_in_batches(trials, opened, settings)
        run = _AskingAll(agents, opened, trials, settings)
        with collecting_rarely():
            _wait_for(run, settings, limits)


async def ask_one(trial: Trial, agent: Agent, settings: RunSettings, *, watching: Watching) -> Trial:
    """As `ask_missing` for one trial, in the event loop. Cancelled in flight, it gives the trial as "stopped", with
    what had come."""
    trials = [trial]
    async with _opened_beside_the_loop(settings.ledger) as opened:
        await asyncio.to_thread(_refuse_what_is_in_batches, trials, opened, settings)
        run = _AskingAll({trial.variant: agent}, opened, trials, settings, watching)
        limits = () if trial.endpoint.is_stand_in else settings.limits(trials)
        try:
            await run.ask_within(limits)
        except asyncio.CancelledError:
            if next(run.missing(), None) is not None:
                raise  # it was never asked
    return trials[0]


@asynccontextmanager
async def _opened_beside_the_loop(ledger: Ledger | str | Path | None) -> AsyncIterator[Ledger]:
    """As `opened_ledger`: to open one may take as long as another process keeps it locked, and the replies that are
    coming would stand still."""
    if isinstance(ledger, Ledger):
        yield ledger
        return
    opening = asyncio.get_running_loop().run_in_executor(None, open_ledger, ledger)
    try:
        opened = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_what_was_opened)
        raise
    try:
        yield opened
    finally:
        await asyncio.to_thread(opened.close)


def _close_what_was_opened(opening: asyncio.Future[Ledger]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _refuse_what_is_in_batches(trials: Sequence[Trial], ledger: Ledger, settings: RunSettings) -> None:
    """What is on its way in a batch is paid for: to stream it as well would pay twice."""
    if settings.via == "batch" or settings.is_fresh:
        return
    on_their_way = _in_batches(trials, ledger)
    count = sum(trial.key in on_their_way for trial in trials if trial.reply is None) if on_their_way else 0
    if count:
        raise _in_a_batch(count)


def _in_a_batch(count: int) -> PlanError:
    return PlanError(
        f"{count} of these trials are on their way in a message batch already; run the same with via='batch' to "
        "wait for them, or with mode='fresh' to pay for them once more"
    )


class _AskingAll:
    """The trials of a plan on their way: who is in flight, who waits, what is settled.

    What would fail for every trial lets those in flight end, asks for no more, and is raised then. What would fail for
    every trial of one variant ends that variant: its other trials fail unasked, with the same failure.
    """

    def __init__(
        self,
        agents: Mapping[str, Agent],
        ledger: Ledger,
        trials: list[Trial],
        settings: RunSettings,
        watching: Watching | None = None,
    ) -> None:
        self.trials = trials
        self._watching = watching
        self._agents = agents
        self._ledger = ledger
        self._settings = settings
        self.budget: Budget | None = None
        self._asker: Asker | None = None
        self._batches: dict[Endpoint, BatchState] = {}
        self._leases = Leases(ledger, settings.sharing)
        self._asked_by_others = 0
        self._ended: dict[str, EndsVariant] = {}
        self._variants = {self.trials[index].variant for index in self.missing()}
        self._count = sum(1 for _ in self.missing())
        self.tally = Tally(from_ledger=len(trials) - self._count)

    def missing(self, *, but: Collection[str] = ()) -> Iterator[int]:
        """Where in `trials` one is not settled yet, `but` for those with these keys; found on the way, for a list of
        many numbers would be many objects."""
        return (
            index
            for index, trial in enumerate(self.trials)
            if trial.reply is None and trial.failure is None and not (but and trial.key in but)
        )

    def unsent(self, via: Via) -> list[Request]:
        """What is still to be sent; what is on its way in a batch was reserved when that was sent."""
        trials = [self.trials[index] for index in self.missing()]
        if via == "batch" and trials:
            on_their_way = _in_batches(trials, self._ledger)
            trials = [trial for trial in trials if trial.key not in on_their_way]
        return [trial.request for trial in trials]

    async def ask_within(self, limits: Sequence[Limit]) -> None:
        """Asks for all that is missing, in the way that is set, and gives back in the end what was leased and set
        aside, however it ended."""
        try:
            if limits and not all(trial.endpoint.is_stand_in for trial in self.trials):
                await self._open_budget(limits)
            await (self.ask_in_batches() if self._settings.via == "batch" else self.ask())
        except LedgerError:
            # What was set aside stays so: if the ledger could not be written, nobody knows what of it was spent.
            with suppress(LedgerError):  # nor can that be written, most likely
                await self._leases.give_back()
            raise
        except asyncio.CancelledError:
            self.give_up_waiting()  # who interrupts does not want to wait for a ledger that is locked or gone
            with suppress(LedgerError):
                await self._close()
            raise
        except BaseException:
            await self._close()
            raise
        await self._close()

    async def _open_budget(self, limits: Sequence[Limit]) -> None:
        deadline, via = self._settings.deadline_seconds, self._settings.via
        self.budget = await open_budget(self._ledger, self.trials, limits, deadline_seconds=deadline)
        # Before the first request: a budget that cannot start anything is refused while nothing is spent.
        self.budget.check(await asyncio.to_thread(self.unsent, via), via=via)

    async def _close(self) -> None:
        await self._leases.give_back()
        if self.budget is not None:
            await self.budget.close()

    def give_up_waiting(self) -> None:
        """Nobody waits any more for a ledger that is locked or gone."""
        self._ledger.give_up_waiting()

    async def ask(self) -> None:
        """Each as a stream, where it is to be answered; in a fresh run, whoever else asks for the same."""
        workers = min(self._settings.concurrency, self._count)
        async with AsyncExitStack() as opened:
            models = {endpoint: await self._opened(endpoint, workers, opened) for endpoint in self._missing_at()}
            self._say_what_retires()
            self._asker = asker = Asker(
                models,
                self._ledger,
                StreamSettings(
                    most=self._settings.concurrency,
                    budget=self.budget,
                    deadline_seconds=self._settings.deadline_seconds,
                    retry=self._settings.retry or STREAMS,
                    leases=None if self._settings.is_fresh else self._leases,
                ),
            )

            async def ask_but(theirs: Collection[str]) -> None:
                queue = self.missing(but=theirs)  # one for all workers: each takes the next trial from it
                async with asyncio.TaskGroup() as group:
                    for _ in range(workers):
                        group.create_task(self._ask_from(queue, asker))
                # Not raised in a worker: that would cancel the others, whose replies are in flight and paid for.
                if asker.errors:
                    raise _one_of(asker.errors)

            if self._settings.is_fresh:
                await ask_but(())  # paid anew whatever others are asking for, so it leases nothing and waits for nobody
            else:
                await self._share(ask_but, lambda elsewhere: elsewhere.keys)
            if self._ended and self._variants <= self._ended.keys():
                raise next(iter(self._ended.values()))  # nothing was left to go on with

    async def _share(
        self, ask_but: Callable[[Collection[str]], Awaitable[None]], others: Callable[[Elsewhere], frozenset[str]]
    ) -> None:
        """Asks for what is not for `others` to bring, and waits for the rest: until it has come, or is to be asked for
        here after all. Where the lease was lost on the way, what is not answered yet is shared out anew."""
        sharing = self._settings.sharing
        wait = sharing.first_look_seconds
        async with self._leases.kept():
            while True:
                before = self.tally.done
                elsewhere = await self._asked_elsewhere()
                theirs = others(elsewhere)
                await ask_but(theirs)
                self._asked_by_others = len(elsewhere.leased)
                if self._leases.is_lost and next(self.missing(), None) is not None:
                    self._tell(
                        "This run lost its lease on what it was asking for (it slept, or could not reach the ledger): "
                        "it asks only for what no other run has taken over."
                    )
                    continue
                if not theirs:
                    return
                if self.budget is not None:
                    # What is set aside and not spent goes back, else those that we wait for might wait for us.
                    await self.budget.close()
                if not elsewhere.leased:
                    raise _in_a_batch(len(theirs))
                if self._watching is not None and self._watching.on_wait is not None:
                    self._watching.on_wait()
                has_come = self.tally.done > before
                wait = sharing.first_look_seconds if has_come else min(sharing.longest_look_seconds, wait * 1.5)
                await asyncio.sleep(wait)

    async def _asked_elsewhere(self) -> Elsewhere:
        """What others are asking for and have not answered yet. What they have answered is settled."""
        missing = {self.trials[index].key: index for index in self.missing()}
        elsewhere = await self._leases.take(missing)
        # In this order: a run writes a reply before it gives its lease back, so what was nobody's any more at the look
        # is in the ledger by now. The other way round it could be answered in between, and asked for again.
        found = await asyncio.to_thread(self._ledger.find, missing)
        for key, reply in found.items():
            self.trials[missing[key]] = replace(self.trials[missing[key]], reply=reply, from_ledger=True)
            self.tally.found()
        return Elsewhere(leased=elsewhere.leased - found.keys(), in_batches=elsewhere.in_batches - found.keys())

    async def _opened(self, endpoint: Endpoint, workers: int, opened: AsyncExitStack) -> Model:
        try:
            return await opened.enter_async_context(self._settings.open_model(endpoint, connections=workers))
        except WorkbenchError:
            raise
        except Exception as error:  # somebody else wrote this way to a model
            why = shown(f"{type(error).__name__}: {error}")
            raise SetupError(f"{endpoint.in_words} cannot be opened: {why}; nothing was sent") from error

    def _missing_at(self) -> list[Endpoint]:
        """Where what is not settled yet is answered."""
        return list(dict.fromkeys(self.trials[index].endpoint for index in self.missing()))

    def _say_what_retires(self) -> None:
        missing = [self.trials[index] for index in self.missing()]
        for model in sorted({trial.request.model for trial in missing if not trial.endpoint.is_stand_in}):
            if day := retirement_of(model):
                self._tell(f"{model} is deprecated: its provider retires it on {day}; choose a newer model.")

    def _tell(self, line: str) -> None:
        """Who watches a trial has no line to read this in: a thread's print ends up in any cell."""
        if self._watching is None:
            self._settings.say(line)

    async def _ask_from(self, queue: Iterator[int], asker: Asker) -> None:
        for index in queue:
            try:
                settled = await self._settled(index, asker)
                if settled.outcome == "failed":
                    await self._leases.give_back([settled.key])  # whoever waits for it may try it now
            except LeaseLost:
                return  # it stays missing, and is shared out anew
            except WorkbenchError as error:
                asker.end(error)  # the other workers come to the end of what they have in flight
                return
            finally:
                self.tally.waits_no_more(index)
            self._settle(index, settled)
            if settled.outcome == "stopped" or asker.is_ending or _is_cancelled():
                return

    async def _settled(self, index: int, asker: Asker) -> Trial:
        trial = self.trials[index]
        if (ended := self._ended.get(trial.variant)) is not None:
            return trial.replace(failure=ended.trial.failure)
        watching = self._watching or Watching(on_retry=partial(self.tally.waits, index))
        try:
            return await asker.until_settled(
                trial, self._agents[trial.variant], on_text=watching.on_text, on_retry=watching.on_retry
            )
        except EndsVariant as ends:
            self._ended.setdefault(trial.variant, ends)
            return ends.trial

    def say_what_ended(self) -> None:
        """Names each variant that was not asked to its end, and why."""
        for variant, ends in self._ended.items():
            self._settings.say(f"Variant {variant!r} was not asked any more: {ends}")

    async def ask_in_batches(self) -> None:
        """The same through Message Batches."""
        traces = tracer()

        async def ask_but(theirs: Collection[str]) -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    for endpoint in self._missing_at():
                        group.create_task(ask_at(endpoint, theirs))
            except ExceptionGroup as failed:  # the first of them ended the others
                raise failed.exceptions[0] from None
            self._batches.clear()

        async def ask_at(endpoint: Endpoint, theirs: Collection[str]) -> None:
            missing = [index for index in self.missing(but=theirs) if self.trials[index].endpoint == endpoint]
            asking = ask_batch(
                [self.trials[index] for index in missing],
                self._agents,
                ledger=self._ledger,
                settings=BatchSettings(
                    again=self._settings.is_fresh,
                    budget=self.budget,
                    leases=None if self._settings.is_fresh else self._leases,
                    retry=self._settings.retry or BATCHES,
                    open_model=self._settings.open_model,
                ),
                on_state=partial(self._batches.__setitem__, endpoint),
            )
            span = nullcontext() if traces is None else batch_span(traces, endpoint, len(missing))
            with span:
                async with aclosing(asking) as settling:
                    async for position, settled in settling:
                        if traces is not None and not settled.from_ledger:
                            trace_settled(traces, settled, paid_of(settled))
                        self._settle(missing[position], settled)

        if self._settings.is_fresh:
            await ask_but(())
        else:
            await self._share(ask_but, lambda elsewhere: elsewhere.leased)

    def _settle(self, index: int, settled: Trial) -> None:
        self.trials[index] = settled
        self.tally.settled(settled)

    def progress(self) -> tuple[int, str]:
        """How many are settled, and a line that says how, how fast, and why not faster."""
        why_slow = []
        if self._asker is not None:
            why_slow += self._asker.why_slow
        if self._asked_by_others:
            why_slow.append(f"{self._asked_by_others} being asked by another run")
        why_slow += [batches.line for batches in list(self._batches.values())]
        if self._ledger.waits_for:
            why_slow.append(f"waiting for {self._ledger.waits_for}")
        return self.tally.done, self.tally.line(why_slow)


def _is_cancelled() -> bool:
    """A trial that was cancelled when its reply was complete is settled by it, and swallows the cancellation."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _one_of(errors: list[WorkbenchError]) -> WorkbenchError:
    """What the workers of a run ended with, as one exception: all that could not be saved, or the first of them."""
    unsaved = [error for error in errors if isinstance(error, LedgerError)]
    if not unsaved:
        return errors[0]
    trials = tuple(trial for error in unsaved for trial in error.unsaved)
    return LedgerError(
        f"{unsaved[0]} ({counted(len(trials), 'reply', 'replies')} came back, not in the ledger)", unsaved=trials
    )


def _in_batches(trials: Sequence[Trial], ledger: Ledger) -> frozenset[str]:
    """The keys of all that is on its way in batches at the endpoints of these trials."""
    addresses = dict.fromkeys(trial.endpoint.base_url for trial in trials)
    batches = [batch for address in addresses for batch in find_open_batches(ledger, endpoint=address)]
    return frozenset[str]().union(*(batch.keys for batch in batches))


def _wait_for(run: _AskingAll, settings: RunSettings, limits: Sequence[Limit]) -> None:
    shown, watch = settings.has_bar, settings.watch
    bar = progress_bar(len(run.trials), shown=shown)
    started = Started(run.ask_within(limits))
    try:
        while not started.wait(_SECONDS_BETWEEN_LOOKS):
            if shown:
                bar.show(*run.progress())
            if watch is not None:
                _show_to(watch, run)
                watch.check()
        started.result()
    except (KeyboardInterrupt, RunStopped):
        run.give_up_waiting()
        started.stop()
        started.wait()
        _close_bar(bar, run, shown=shown)
        which = "the same run with mode='top-up'" if settings.is_fresh else "the same run"
        settings.say(
            f"\nStopped. {run.progress()[1] or 'Nothing was answered'}; what was answered is in the ledger, and "
            f"{which} goes on from there."
        )
        raise
    except BaseException:
        _close_bar(bar, run, shown=shown)
        raise
    _close_bar(bar, run, shown=shown)
    if watch is not None:
        _show_to(watch, run)
    run.say_what_ended()


def _show_to(watch: RunWatch, run: _AskingAll) -> None:
    done, details = run.progress()
    watch.show(done, len(run.trials), details)


def _close_bar(bar: ProgressBar, run: _AskingAll, *, shown: bool) -> None:
    if shown:
        bar.show(*run.progress())
    bar.close()
