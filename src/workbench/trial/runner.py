"""Running a plan: what of it is answered already, and asking for what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from workbench.definition.agent import Agent
from workbench.errors import BudgetError, LedgerError, PlanError, ReplayMiss, SetupError, WorkbenchError
from workbench.trial import client as door
from workbench.trial.asker import Asker, OnRetry, OnText
from workbench.trial.batches import BatchProgress, ask_batch
from workbench.trial.budget import Budget, open_budget
from workbench.trial.budget_limits import budget_limits, limits_from_environment
from workbench.trial.estimate_only import is_estimate_only, write_estimate_and_end
from workbench.trial.ledger import Ledger, open_ledger
from workbench.trial.loop import Started
from workbench.trial.plan import CONCURRENCY, Plan
from workbench.trial.progress import Tally, progress_bar
from workbench.trial.task import Task
from workbench.trial.trial import Grader, Place, Request, Run, Trial, Via

_SECONDS_BETWEEN_LOOKS = 0.1

Mode = Literal["top-up", "replay", "fresh"]


def run_trials(
    plan: Plan,
    *,
    ledger: Ledger | str | Path | None = None,
    live: bool | None = None,
    concurrency: int = CONCURRENCY,
    progress: bool = True,
    mode: Mode = "top-up",
    via: Via = "stream",
    budget_usd: float | None = None,
    budget_tokens: int | None = None,
    budget_scope: str | None = None,
    deadline_seconds: float = door.DEADLINE_SECONDS,
) -> Run:
    """Asks for every trial of the plan that the ledger does not hold yet, and grades all of them.

    Blocks until the run is complete. An interrupt stops what is in flight, keeps all that was answered, and is
    raised again; the same call then goes on from there. A failing trial is a trial with a `failure`; what would
    fail for every trial stops the run.

    `mode` is "top-up", "replay" (nothing is asked, wherever the answers came from) or "fresh" (all is asked anew,
    and the newest answers count from then on). `via="batch"` sends Message Batches, at half the price and within
    a day. The budgets bound what all runs of this very plan spend in all, earlier and killed ones included, or what
    all runs with this ledger and the same `budget_scope` spend: the worst case is reserved in the ledger before each
    request. The environment may set another budget around it (`WORKBENCH_BUDGET_SCOPE`, see `budget_limits`). No trial
    takes longer than `deadline_seconds`, retries and waiting for rate limits included.

    Raises:
        PlanError: a setting is out of range.
        SetupError: no key, a refused key, a model or request that the server does not accept, a spend limit, no
            server.
        BudgetError: the budget is too small to begin, is used up, or is in USD for a model without a known price.
        ReplayMiss: a replay needs what the ledger does not hold; says what differs from the nearest recorded.
        LedgerError: a reply could not be saved; what came back but is not on disk is in its `unsaved`.
    """
    if concurrency < 1:
        raise PlanError(f"concurrency is {concurrency}; it must be 1 or more")
    if not deadline_seconds > 0:
        raise PlanError(f"deadline_seconds is {deadline_seconds}; it must be more than 0")
    for name, value, known_values in (("mode", mode, get_args(Mode)), ("via", via, get_args(Via))):
        if value not in known_values:
            raise PlanError(f"{name} is {value!r}; it is one of {', '.join(known_values)}")
    if is_estimate_only():
        write_estimate_and_end(plan.estimate(ledger=ledger, live=live, concurrency=concurrency, via=via))
    with _opened(ledger) as opened:
        if mode == "replay":
            trials = _replayed(plan, opened, door.choose_place(live))
            place = trials[0].place
            print(f"Replayed from the ledger, nothing is asked. {door.describe_place(place)}", flush=True)
        else:
            place = door.choose_place(live)
            print(door.describe_place(place), flush=True)
            trials = list(plan.trials(place)) if mode == "fresh" else _known(plan.trials(place), opened)
        if via == "stream" and mode == "top-up":
            _refuse_what_is_in_batches(trials, opened, place)
        run = _AskingAll(plan, opened, trials, concurrency, deadline_seconds)
        limits = budget_limits(trials, usd=budget_usd, tokens=budget_tokens, scope=budget_scope)
        if limits and run.missing and not place.is_stand_in:
            run.budget = Started(open_budget(opened, trials, limits, deadline_seconds=deadline_seconds)).result()
        with _kept(run.budget):
            if run.budget is not None:
                run.budget.check(run.unsent(via), via=via)
            _wait_for(run, place, via=via, again=mode == "fresh", shown=progress)
    tasks = {task.id: task for task in plan.tasks}
    for index, trial in enumerate(trials):  # one by one, so that no trial is there twice at any time
        trials[index] = grade_trial(trial, tasks[trial.task_id], plan.graders[trial.task_id])
    return Run(
        variants=plan.variants,
        tasks=plan.tasks,
        repeats=plan.repeats,
        place=place,
        trials=tuple(trials),
    )


def _known(trials: Sequence[Trial], ledger: Ledger) -> list[Trial]:
    """The trials, those that the ledger holds with their replies."""
    keys = [trial.key for trial in trials]
    known = ledger.find(keys)
    return [
        trial.replace(reply=known[key], from_ledger=True) if key in known else trial
        for key, trial in zip(keys, trials, strict=True)
    ]


def _replayed(plan: Plan, ledger: Ledger, place: Place) -> list[Trial]:
    """All trials from the ledger: as they were answered here, or else wherever all of them were answered."""
    here = _known(plan.trials(place), ledger)
    missing = [trial for trial in here if trial.reply is None]
    if not missing:
        return here
    for base_url in ledger.places():
        elsewhere = _known(plan.trials(door.place_at(base_url)), ledger)
        if all(trial.reply is not None for trial in elsewhere):
            return elsewhere
    difference = ledger.nearest(missing[0])
    raise ReplayMiss(
        f"{len(missing)} of {len(here)} trials are not in the ledger {ledger.name}; the first is task "
        f"{missing[0].task_id!r}, variant {missing[0].variant!r}, repeat {missing[0].repeat}: "
        f"{difference or 'nothing is recorded there'}. Run it without mode='replay' to ask for what is missing.",
        difference=difference,
    )


def _refuse_what_is_in_batches(trials: Sequence[Trial], ledger: Ledger, place: Place) -> None:
    """What is on its way in a batch is paid for: to stream it as well would pay twice."""
    on_their_way = frozenset[str]().union(*(batch.keys for batch in ledger.open_batches(place=place.base_url)))
    count = sum(trial.key in on_their_way for trial in trials if trial.reply is None) if on_their_way else 0
    if count:
        raise PlanError(
            f"{count} of these trials are on their way in a message batch already; run the same with via='batch' to "
            "wait for them, or with mode='fresh' to pay for them once more"
        )


@contextmanager
def _kept(budget: Budget | None) -> Iterator[None]:
    """Gives back in the end what was set aside, however it ended."""
    try:
        yield
    except LedgerError:
        raise  # nor could that be written: it stays taken
    except BaseException:
        _close(budget)
        raise
    _close(budget)


def _close(budget: Budget | None) -> None:
    if budget is not None:
        Started(budget.close()).result()


def start_trial(
    request: Request,
    *,
    agent: Agent,
    place: Place | None = None,
    variant: str = "draft",
    task_id: str = "typed",
    repeat: int = 0,
    twin: int = 0,
    on_text: OnText | None = None,
    on_retry: OnRetry | None = None,
    ledger: Ledger | str | Path | None = None,
) -> Started[Trial]:
    """Asks once, anew, and returns at once; `stop()` ends it, and its trial then holds what had come.

    `on_text` gets each piece of the reply as it comes; `on_retry` gets what went wrong and the seconds until the
    next try, with which the reply begins again. Both are called in the workbench's own thread. Like every attempt,
    this one is in the ledger before `result()` gives it.

    Raises:
        SetupError: the way to the model is not set up. What would fail for every trial comes from `result()`, and a
            `BudgetError` where the budget of the environment is used up.
    """
    where = place or door.choose_place()
    trial = Trial(variant=variant, task_id=task_id, repeat=repeat, request=request, place=where, twin=twin)

    async def one() -> Trial:
        limits = () if where.is_stand_in else limits_from_environment()
        with _opened(ledger) as opened:
            deadline = door.DEADLINE_SECONDS
            budget = await open_budget(opened, [trial], limits, deadline_seconds=deadline) if limits else None
            try:
                async with door.open_client(where) as client:
                    asker = Asker(client, opened, budget=budget)
                    return await asker.until_settled(trial, agent, on_text=on_text, on_retry=on_retry)
            finally:
                if budget is not None:
                    await budget.close()

    return Started(one())


def grade_trial(trial: Trial, task: Task, graders: Mapping[str, Grader]) -> Trial:
    """The trial with its scores; one that was not answered has none."""
    if trial.outcome != "answered" or trial.reply is None:
        return replace(trial, scores={})
    # Not `Trial.replace`, which would hand on the key: a settled trial needs it no more, and a run has many.
    return replace(trial, scores={label: grader(task, trial.reply) for label, grader in graders.items()})


class _AskingAll:
    """The trials of a plan on their way: who is in flight, who waits, what is settled.

    What would fail for every trial lets those in flight end, asks for no more, and is raised then.
    """

    def __init__(
        self, plan: Plan, ledger: Ledger, trials: list[Trial], concurrency: int, deadline_seconds: float
    ) -> None:
        self.trials = trials
        self.missing = [index for index, trial in enumerate(trials) if trial.reply is None]
        self._plan = plan
        self._ledger = ledger
        self._concurrency = concurrency
        self._deadline_seconds = deadline_seconds
        self.budget: Budget | None = None
        self._asker: Asker | None = None
        self._batches: BatchProgress | None = None
        self.tally = Tally(from_ledger=len(trials) - len(self.missing))

    def unsent(self, via: Via) -> list[Request]:
        """What is still to be sent; what is on its way in a batch was reserved when that was sent."""
        trials = [self.trials[index] for index in self.missing]
        if via == "batch" and trials:
            open_batches = self._ledger.open_batches(place=trials[0].place.base_url)
            on_their_way = frozenset[str]().union(*(batch.keys for batch in open_batches))
            trials = [trial for trial in trials if trial.key not in on_their_way]
        return [trial.request for trial in trials]

    async def ask(self, place: Place) -> None:
        queue = iter(self.missing)
        workers = min(self._concurrency, len(self.missing))
        async with door.open_client(place, connections=workers) as client:
            self._say_what_retires(place)
            self._asker = asker = Asker(
                client,
                self._ledger,
                most=self._concurrency,
                budget=self.budget,
                deadline_seconds=self._deadline_seconds,
            )
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._ask_from(queue, asker))
        if asker.errors:
            raise _one_of(asker.errors)

    def _say_what_retires(self, place: Place) -> None:
        if place.is_stand_in:
            return
        for model in sorted({self.trials[index].request.model for index in self.missing}):
            if day := door.retirement_of(model):
                print(f"{model} is deprecated: its provider retires it on {day}; choose a newer model.", flush=True)

    async def _ask_from(self, queue: Iterator[int], asker: Asker) -> None:
        for index in queue:
            trial = self.trials[index]

            try:
                settled = await asker.until_settled(
                    trial, self._plan.variants[trial.variant], on_retry=partial(self.tally.waits, index)
                )
            except (LedgerError, SetupError, BudgetError) as error:
                asker.end(error)
                return
            finally:
                self.tally.waits_no_more(index)
            self._settle(index, settled)
            if settled.outcome == "stopped" or asker.is_ending:
                return

    async def ask_in_batches(self, *, again: bool) -> None:
        """The same through Message Batches."""

        def note(progress: BatchProgress) -> None:
            self._batches = progress

        asking = ask_batch(
            [self.trials[index] for index in self.missing],
            self._plan.variants,
            ledger=self._ledger,
            again=again,
            budget=self.budget,
            on_progress=note,
        )
        async with aclosing(asking) as settling:
            async for position, settled in settling:
                self._settle(self.missing[position], settled)
        self._batches = None

    def _settle(self, index: int, settled: Trial) -> None:
        self.trials[index] = settled
        self.tally.settled(settled)

    def progress(self) -> tuple[int, str]:
        """How many are settled, and a line that says how, how fast, and why not faster."""
        why_slow = []
        if self._asker is not None:
            if waiting := self._asker.warming.waiting:
                why_slow.append(f"{waiting} waiting for their persona to be cached")
            why_slow += [reason for pace in list(self._asker.paces.values()) if (reason := pace.reason)]
        if self._batches is not None:
            why_slow.append(self._batches.line)
        return self.tally.done, self.tally.line(why_slow)


def _one_of(errors: list[WorkbenchError]) -> WorkbenchError:
    """What the workers of a run ended with, as one exception: all that could not be saved, or the first of them."""
    unsaved = [error for error in errors if isinstance(error, LedgerError)]
    if not unsaved:
        return errors[0]
    trials = tuple(trial for error in unsaved for trial in error.unsaved)
    return LedgerError(f"{unsaved[0]} ({len(trials)} replies came back that are not on disk)", unsaved=trials)


def _wait_for(run: _AskingAll, place: Place, *, via: Via, again: bool, shown: bool) -> None:
    bar = progress_bar(len(run.trials), shown=shown, timed=bool(run.missing))
    if not run.missing:
        bar.show(*run.progress())
        bar.close()
        return
    started = Started(run.ask_in_batches(again=again) if via == "batch" else run.ask(place))
    try:
        while not started.wait(_SECONDS_BETWEEN_LOOKS):
            if shown:
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
        if shown:
            bar.show(*run.progress())
        bar.close()


@contextmanager
def _opened(ledger: Ledger | str | Path | None) -> Iterator[Ledger]:
    if isinstance(ledger, Ledger):
        yield ledger
    else:
        with open_ledger(ledger) as opened:
            yield opened
