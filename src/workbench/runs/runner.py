"""Running a plan: what of it is answered already, what is not, and the scores of both.

A run of which everything is answered loads neither the SDK nor SQLAlchemy: `missing` is imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from workbench.errors import PlanError, ReplayMiss
from workbench.ledger.budget.limits import budget_limits
from workbench.ledger.file import ledger_address, read_replies
from workbench.model import anthropic as door
from workbench.runs.estimate_only import is_estimate_only, write_estimate_and_end
from workbench.runs.plan import CONCURRENCY, Plan
from workbench.runs.progress import Tally, progress_bar
from workbench.trial.graded import grade_trial
from workbench.trial.trial import Endpoint, Reply, Run, Trial, Via

if TYPE_CHECKING:
    from workbench.ledger.store import Ledger

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
    request. What a "fresh" run asks anew is paid anew, and counts beside what earlier runs spent: name another
    `budget_scope` to begin at nothing. The environment may set another budget around it (`WORKBENCH_BUDGET_SCOPE`, see
    `budget_limits`). No trial takes longer than `deadline_seconds` from its first request on, retries and the waiting
    before them included.

    Raises:
        PlanError: a setting is out of range.
        SetupError: no key, a refused key, a model or request that the server does not accept, a spend limit, no
            server.
        BudgetError: the budget is too small to begin, is used up, or is in USD for a model without a known price.
        ReplayMiss: a replay needs what the ledger does not hold; says what differs from the nearest recorded.
        LedgerError: a reply could not be saved; what came back but is not on disk is in its `unsaved`.
    """
    if not isinstance(concurrency, Integral) or concurrency < 1:
        raise PlanError(f"concurrency is {concurrency!r}; it must be a whole number of 1 or more")
    if not isinstance(deadline_seconds, Real) or not deadline_seconds > 0:
        raise PlanError(f"deadline_seconds is {deadline_seconds!r}; it must be a number of more than 0")
    for name, value, known_values in (("mode", mode, get_args(Mode)), ("via", via, get_args(Via))):
        if value not in known_values:
            raise PlanError(f"{name} is {value!r}; it is one of {', '.join(known_values)}")
    if is_estimate_only():
        write_estimate_and_end(plan, ledger=ledger, live=live, concurrency=concurrency, via=via)
    endpoint = door.choose_endpoint(live)
    if mode == "replay":
        trials = _replayed(plan, ledger, endpoint)
        endpoint = trials[0].endpoint
        print(f"Replayed from the ledger, nothing is asked. {door.describe_endpoint(endpoint)}", flush=True)
    else:
        print(door.describe_endpoint(endpoint), flush=True)
        trials = list(plan.trials(endpoint)) if mode == "fresh" else known_trials(plan.trials(endpoint), ledger)
    limits = budget_limits(trials, usd=budget_usd, tokens=budget_tokens, scope=budget_scope)
    if all(trial.reply is not None for trial in trials):
        bar = progress_bar(len(trials), shown=progress, timed=False)
        bar.show(len(trials), Tally(from_ledger=len(trials)).line())
        bar.close()
    else:
        from workbench.runs.missing import ask_missing

        ask_missing(
            plan,
            trials,
            ledger=ledger,
            endpoint=endpoint,
            again=mode == "fresh",
            via=via,
            limits=limits,
            concurrency=concurrency,
            deadline_seconds=deadline_seconds,
            shown=progress,
        )
    tasks = {task.id: task for task in plan.tasks}
    for index, trial in enumerate(trials):  # one by one, so that no trial is there twice at any time
        trials[index] = grade_trial(trial, tasks[trial.task_id], plan.graders[trial.task_id])
    return Run(
        variants=plan.variants,
        tasks=plan.tasks,
        repeats=plan.repeats,
        endpoint=endpoint,
        trials=tuple(trials),
    )


def known_trials(trials: Sequence[Trial], ledger: Ledger | str | Path | None) -> list[Trial]:
    """The trials, those that the ledger holds with their replies.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    keys = [trial.key for trial in trials]
    known = _found(ledger, keys)
    return [
        trial.replace(reply=known[key], from_ledger=True) if key in known else trial
        for key, trial in zip(keys, trials, strict=True)
    ]


def _found(ledger: Ledger | str | Path | None, keys: Sequence[str]) -> Mapping[str, Reply]:
    """The newest whole reply for each of these keys that the ledger has one of."""
    if ledger is None or isinstance(ledger, str | Path):
        address = ledger_address(ledger)
        if isinstance(address, Path) and (found := read_replies(address, keys)) is not None:
            return found
    from workbench.ledger.store import opened_ledger

    with opened_ledger(ledger) as opened:
        return opened.find(keys)


def _replayed(plan: Plan, ledger: Ledger | str | Path | None, endpoint: Endpoint) -> list[Trial]:
    """All trials from the ledger: as they were answered here, or else wherever all of them were answered."""
    here = known_trials(plan.trials(endpoint), ledger)
    missing = [trial for trial in here if trial.reply is None]
    if not missing:
        return here
    from workbench.ledger.store import opened_ledger

    with opened_ledger(ledger) as opened:
        for base_url in opened.endpoints():
            elsewhere = known_trials(plan.trials(door.endpoint_at(base_url)), opened)
            if all(trial.reply is not None for trial in elsewhere):
                return elsewhere
        difference = opened.nearest(missing[0])
    raise ReplayMiss(
        f"{len(missing)} of {len(here)} trials are not in the ledger {opened.name}; the first is task "
        f"{missing[0].task_id!r}, variant {missing[0].variant!r}, repeat {missing[0].repeat}: "
        f"{difference or 'nothing is recorded there'}. Run it without mode='replay' to ask for what is missing.",
        difference=difference,
    )
