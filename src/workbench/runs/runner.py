"""Running a plan: what of it is answered already, what is not, and the scores of both.

A run of which everything is answered loads neither the SDK nor SQLAlchemy: `missing` is imported when it is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.collector import resting_while_importing
from workbench.errors import ReplayMiss
from workbench.ledger.file import ledger_address, read_replies
from workbench.ledger.paid import find_paid_for
from workbench.ledger.sharing import USUAL, Sharing
from workbench.markup import counted
from workbench.model.api import DEADLINE_SECONDS, OpenModel
from workbench.model.endpoint import endpoint_at, open_model
from workbench.model.retrying import Retry
from workbench.model.tracing import trace_graded, tracer
from workbench.runs.estimate_only import is_estimate_only, write_estimate_and_end
from workbench.runs.plan import CONCURRENCY, Plan
from workbench.runs.progress import RunWatch, Tally, progress_bar
from workbench.runs.settings import Mode, RunSettings
from workbench.runs.who_answers import describe_endpoints, trials_here
from workbench.trial.graded import grade_trial
from workbench.trial.trial import Endpoint, Reply, Run, Trial, Via

if TYPE_CHECKING:
    from workbench.ledger.store import Ledger

_GRADED_AT_ONCE = 2_000
_MOST_ODDITIES_SAID = 5


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
    deadline_seconds: float = DEADLINE_SECONDS,
    retry: Retry | None = None,
    sharing: Sharing = USUAL,
    open_model: OpenModel = open_model,
    watch: RunWatch | None = None,
) -> Run:
    """Asks for every trial of the plan that the ledger does not hold yet, and grades all of them.

    Blocks until the run is complete. An interrupt stops what is in flight, keeps all that was answered, and is
    raised again; the same call then goes on from there. A failing trial is a trial with a `failure`; what would
    fail for every trial stops the run.

    `mode` is "top-up", "replay" (nothing is asked, wherever the answers came from) or "fresh" (all is asked anew,
    and the newest answers count from then on). A "fresh" run waits for nobody: beside a "top-up" of the same trials it
    pays for them once more. `via="batch"` sends Message Batches, at half the price and within
    a day. The budgets bound what all runs of this very plan spend in all, earlier and killed ones included, or what
    all runs with this ledger and the same `budget_scope` spend: the worst case is reserved in the ledger before each
    request. What a "fresh" run asks anew is paid anew, also what a run beside it is asking for, and counts beside what
    earlier runs spent: name another `budget_scope` to begin at nothing. The environment may set another budget around
    it (`WORKBENCH_BUDGET_SCOPE`, see `budget_limits`). No trial takes longer than `deadline_seconds` from its first
    request on, retries and the waiting before them included. `retry` says after which failures a trial is tried again,
    and for how long; `None`: as is usual for the way in which it is sent. `sharing` says how long a run counts on what
    it is asking for while another needs the same, and how often the other looks. `open_model` opens another way to a
    model than that of the SDK. With a `watch` the run prints nothing, and another thread sees how far it is and may
    end it.

    Raises:
        RunStopped: whoever watches it ended it.
        PlanError: a setting is out of range.
        SetupError: no key, a refused key, a model or request that the server does not accept, a spend limit, no
            server.
        BudgetError: the budget is too small to begin, is used up, or is in USD for a model without a known price.
        ReplayMiss: a replay needs what the ledger does not hold; says what differs from the nearest recorded.
        LedgerError: a reply could not be saved; what came back but is not on disk is in its `unsaved`.
    """
    settings = RunSettings(
        ledger=ledger,
        mode=mode,
        via=via,
        concurrency=concurrency,
        budget_usd=budget_usd,
        budget_tokens=budget_tokens,
        budget_scope=budget_scope,
        deadline_seconds=deadline_seconds,
        progress=progress,
        retry=retry,
        sharing=sharing,
        open_model=open_model,
        watch=watch,
    )
    if watch is not None:
        watch.check()
    endpoint, planned = trials_here(plan, live)
    if is_estimate_only():
        write_estimate_and_end(plan, planned, settings)
    if mode == "replay":
        endpoint, trials = _replayed(plan, endpoint, planned, ledger)
        settings.say(f"Replayed from the ledger, nothing is asked. {describe_endpoints(trials)}")
    else:
        settings.say(describe_endpoints(planned))
        if settings.is_fresh and not all(trial.endpoint.is_stand_in for trial in planned):
            settings.say(
                "A fresh run asks for all anew: what the ledger holds, and what another run is asking for, is paid "
                "once more."
            )
        trials = list(planned) if settings.is_fresh else known_trials(planned, ledger)
    del planned  # as they were made: beside those with replies, 3 MB for the 20,000 of the benchmark `trials`
    for line in _asked_otherwise(plan, trials):
        settings.say(line)
    if mode == "top-up" and _held_as_before(plan, trials, ledger):
        settings.say(
            "The ledger has answers of an earlier version, asked at another effort than Claude Code sends. They are "
            "not taken: what is missing is asked anew. mode='replay' shows them."
        )
    _ask_for_missing(plan, trials, settings)
    _grade(plan, trials, ledger)
    if said := _kept_though_odd(trials):
        print(said, flush=True)
    return Run(
        variants=plan.variants,
        tasks=plan.tasks,
        repeats=plan.repeats,
        endpoint=endpoint,
        trials=tuple(trials),
        pairs=plan.pairs,
    )


def _kept_though_odd(trials: Sequence[Trial]) -> str:
    """What to say where replies were whole, and yet not all of what their server said of them can be understood."""
    odd = [trial.reply.oddities for trial in trials if trial.reply is not None and trial.failure is None]
    replies, found = sum(map(bool, odd)), Counter(note for notes in odd for note in notes)
    if not found:
        return ""
    notes = ", ".join(f"{note} ({count:,}x)" for note, count in found.most_common(_MOST_ODDITIES_SAID))
    more = f", and {len(found) - _MOST_ODDITIES_SAID} more kinds" if len(found) > _MOST_ODDITIES_SAID else ""
    kept = (
        "1 reply is kept, for it came whole, though its"
        if replies == 1
        else f"{replies:,} replies are kept, for they came whole, though their"
    )
    return f"{kept} server said what no API says: {notes}{more}."


def _grade(plan: Plan, trials: list[Trial], ledger: Ledger | str | Path | None) -> None:
    """Puts its scores, and what was paid for it, into each of the trials: some at a time and one by one, so that no
    trial is there twice, and few of their keys."""
    tasks = {task.id: task for task in plan.tasks}
    traces = tracer()
    for start in range(0, len(trials), _GRADED_AT_ONCE):
        part = trials[start : start + _GRADED_AT_ONCE]
        unpaid = {trial.key: trial for trial in part if trial.paid is None}
        whole = {key: trial.reply for key, trial in unpaid.items() if trial.reply is not None and trial.failure is None}
        paid = find_paid_for(ledger, unpaid, whole)
        for index, trial in enumerate(part, start=start):
            if trial.paid is None:
                trial = trial.replace(paid=paid.get(trial.key))
            trials[index] = grade_trial(trial, tasks[trial.task_id], plan.graders[trial.task_id])
            if traces is not None:
                trace_graded(traces, trials[index])


def _ask_for_missing(plan: Plan, trials: list[Trial], settings: RunSettings) -> None:
    """Puts a reply or failure into each of the trials that has none."""
    limits = settings.limits(trials)
    if all(trial.reply is not None for trial in trials):
        line = Tally(from_ledger=len(trials)).line()
        bar = progress_bar(len(trials), shown=settings.has_bar, timed=False)
        bar.show(len(trials), line)
        bar.close()
        if settings.watch is not None:
            settings.watch.show(len(trials), len(trials), line)
        return
    with resting_while_importing("sqlalchemy"):
        from workbench.runs.missing import ask_missing

    ask_missing(trials, plan.variants, settings, limits=limits)


def known_trials(trials: Sequence[Trial], ledger: Ledger | str | Path | None) -> list[Trial]:
    """The trials, those that the ledger holds with their replies and what was paid for them.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    keys = [trial.key for trial in trials]
    known = _found(ledger, keys)
    paid = find_paid_for(ledger, {key: trial for key, trial in zip(keys, trials, strict=True) if key in known}, known)
    return [
        trial.replace(reply=known[key], from_ledger=True, paid=paid.get(key)) if key in known else trial
        for key, trial in zip(keys, trials, strict=True)
    ]


def _found(ledger: Ledger | str | Path | None, keys: Sequence[str]) -> Mapping[str, Reply]:
    """The newest whole reply for each of these keys that the ledger has one of."""
    if ledger is None or isinstance(ledger, str | Path):
        address = ledger_address(ledger)
        if isinstance(address, Path) and (found := read_replies(address, keys)) is not None:
            return found
    with resting_while_importing("sqlalchemy"):
        from workbench.ledger.store import opened_ledger

    with opened_ledger(ledger) as opened:
        return opened.find(keys)


def _replayed(
    plan: Plan, endpoint: Endpoint, planned: Sequence[Trial], ledger: Ledger | str | Path | None
) -> tuple[Endpoint, list[Trial]]:
    """All trials from the ledger, and where the variants that name no endpoint were answered: here, or else wherever
    all of them were."""
    here = known_trials(planned, ledger)
    if not _missing(here):
        return endpoint, here
    from workbench.ledger.store import opened_ledger

    with opened_ledger(ledger) as opened:
        here = _or_as_before(here, plan, endpoint, opened)
        if not _missing(here):
            return endpoint, here
        answered = {endpoint: here}
        for base_url in opened.endpoints():
            other = endpoint_at(base_url)
            if other == endpoint:
                continue
            answered[other] = _or_as_before(known_trials(plan.trials(other), opened), plan, other, opened)
            if not _missing(answered[other]):
                return other, answered[other]
        raise _replay_miss(plan, answered, opened, here=endpoint)


def _missing(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.reply is None]


def _replay_miss(
    plan: Plan, answered: Mapping[Endpoint, Sequence[Trial]], ledger: Ledger, *, here: Endpoint
) -> ReplayMiss:
    """What is missing where most of the run was answered: a replay takes the answers of any endpoint, so that another
    one is no difference."""
    fewest = min(len(_missing(trials)) for trials in answered.values())
    nearest = {
        endpoint: ledger.nearest(_missing(trials)[0])
        for endpoint, trials in answered.items()
        if len(_missing(trials)) == fewest
    }
    best = min(nearest, key=lambda endpoint: 0 if (found := nearest[endpoint]) is None else len(found.parts))
    first, difference = _missing(answered[best])[0], nearest[best]
    where = "" if best == here else f" as answered by the {best.in_words}"
    trials, task, variant = plan.words
    return ReplayMiss(
        f"{fewest} of {len(answered[best])} {trials} are not in the ledger {ledger.name}{where}; the first is {task} "
        f"{first.task_id!r}, {variant} {first.variant!r}, repeat {first.repeat}: "
        f"{difference or 'nothing is recorded there'}. Run it without mode='replay' to ask for what is missing.",
        difference=difference,
    )


def _or_as_before(known: Sequence[Trial], plan: Plan, endpoint: Endpoint, ledger: Ledger) -> list[Trial]:
    """The trials, where any has no reply as earlier versions asked them: all, where all were answered so, for then they
    were asked alike; else those that have no reply."""
    if not plan.prompts_before or all(trial.reply is not None for trial in known):
        return list(known)
    before = known_trials(plan.as_before().trials(endpoint), ledger)
    if all(trial.reply is not None for trial in before):
        return before
    return [
        then if now.reply is None and then.reply is not None else now for now, then in zip(known, before, strict=True)
    ]


def _held_as_before(plan: Plan, trials: Sequence[Trial], ledger: Ledger | str | Path | None) -> bool:
    """Whether the ledger has answers of an earlier version to trials that have none. One trial of a variant is looked
    for: an earlier run that came to its end has all of them."""
    first = {trial.variant: trial for trial in reversed(trials) if trial.reply is None}
    before = [
        trial.replace(request=replace(plan.prompts_before[name], messages=trial.request.messages))
        for name, trial in first.items()
        if name in plan.prompts_before
    ]
    return bool(before) and any(trial.reply is not None for trial in known_trials(before, ledger))


def _asked_otherwise(plan: Plan, trials: Sequence[Trial]) -> list[str]:
    """A line for each variant of which replies were asked at another model or effort than it would be asked now."""
    otherwise: Counter[tuple[str, str, str | None]] = Counter()
    as_now = set()
    for trial in trials:
        asked, now = trial.request, plan.prompts[trial.variant]
        if (asked.model, asked.effort) != (now.model, now.effort):
            otherwise[trial.variant, asked.model, asked.effort] += 1
        elif trial.variant in plan.prompts_before:
            as_now.add(trial.variant)
    lines = [
        f"Of {variant!r}, {counted(count, 'answer')} of an earlier version, asked of {model} "
        f"{f'at effort {effort}' if effort else 'without an effort'}; Claude Code sends "
        f"{plan.prompts[variant].model} at effort {plan.sent[variant].effort_in_words}."
        for (variant, model, effort), count in otherwise.items()
    ]
    if lines and as_now:
        lines.append("Others were asked as Claude Code would ask now: a difference may come from that alone.")
    return lines
