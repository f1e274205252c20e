"""Going on with a conversation: what somebody says to a reply, as one more turn of the request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import EstimateOnly, PlanError, ReplayMiss, SetupError
from workbench.model.endpoint import choose_endpoint
from workbench.model.tracing import trace_settled, tracer
from workbench.runs.estimate_only import is_estimate_only
from workbench.runs.plan import refuse_half_characters
from workbench.runs.runner import known_trials
from workbench.runs.settings import Mode, RunSettings
from workbench.trial.trial import Endpoint, Run, Trial

if TYPE_CHECKING:
    from workbench.ledger.store import Ledger


def answer_reply(
    run: Run,
    text: str,
    *,
    variant: str,
    task_id: str,
    repeat: int = 0,
    reply: str | None = None,
    mode: Mode = "top-up",
    ledger: Ledger | str | Path | None = None,
    budget_usd: float | None = None,
    budget_tokens: int | None = None,
    budget_scope: str | None = None,
) -> Run:
    """The run with one more of its `follow_ups`: this text said to the reply of a trial, and what came back.

    Said again for the same trial, it goes on from there: the request has all turns before it. What is answered is the
    latest reply, or, where `reply` is given, this text in its place: so a request stays the same whatever was answered
    since. Blocks until it has come; a failing answer is a trial with a `failure`. An interrupt stops it and is raised
    again.

    `mode` and the budgets are those of `run_trials`: "top-up" asks for what the ledger does not hold, and waits where
    another process is asking for the very same; "replay" asks nobody; "fresh" asks anew, and pays anew whoever asks for
    the same beside it. Without a `budget_scope` the run and what is said to its replies share a budget. It is asked
    where the run was answered, and not graded.

    Raises:
        PlanError: the run has no such trial, there is no reply to answer, nothing is said, or the mode is unknown.
        SetupError: the run was answered elsewhere than here, or as `run_trials`.
        BudgetError: the budget, or that of the environment, is used up.
        ReplayMiss: a replay needs what the ledger does not hold; says what differs from the nearest recorded.
        LedgerError: the reply could not be saved.
        EstimateOnly: it would be asked for where only an estimate is wanted.
    """
    settings = RunSettings(
        ledger=ledger,
        mode=mode,
        concurrency=1,
        budget_usd=budget_usd,
        budget_tokens=budget_tokens,
        budget_scope=budget_scope,
        progress=False,
    )
    turns = _turns(run, variant, task_id, repeat)
    with_reply = turns if reply is not None else [trial for trial in turns if has_reply(trial)]
    planned = follow_up((with_reply or turns)[-1], text, reply=reply)
    found = planned if mode == "fresh" else known_trials([planned], ledger)[0]
    if found.reply is None:
        if mode == "replay":
            raise replay_miss(found, ledger)
        found = _asked(found, run, settings)
    if found.from_ledger and (traces := tracer()) is not None:
        trace_settled(traces, found, found.paid)
    return replace(run, follow_ups=(*run.follow_ups, found))


def follow_up(trial: Trial, text: str, *, reply: str | None = None) -> Trial:
    """The trial, unanswered, whose request goes on from this one: its reply (or the one given), then this text.

    Raises:
        PlanError: there is no reply, nothing to say, or half a character in it.
    """
    said = reply if reply is not None else trial.reply.text if trial.reply is not None else ""
    if not said.strip():
        raise PlanError(f"{trial.variant} has no reply on task {trial.task_id!r} that could be answered")
    if not text.strip():
        raise PlanError("there is no answer; type one")
    refuse_half_characters(text, of="the answer")
    refuse_half_characters(said, of="the reply that is answered")
    turns = ({"role": "assistant", "content": said}, {"role": "user", "content": text})
    request = replace(trial.request, messages=(*trial.request.messages, *turns))
    return trial.replace(request=request, reply=None, failure=None, scores={}, paid=None, from_ledger=False)


def has_reply(trial: Trial) -> bool:
    """Whether anything came that can be answered, be it half of a reply."""
    return trial.reply is not None and bool(trial.reply.text.strip())


def _turns(run: Run, variant: str, task_id: str, repeat: int) -> list[Trial]:
    """The trial and its follow-ups, in the order in which they were asked."""
    of_all = (*run.trials, *run.follow_ups)
    found = [trial for trial in of_all if (trial.variant, trial.task_id, trial.repeat) == (variant, task_id, repeat)]
    if not found:
        raise PlanError(
            f"the run has no trial of variant {variant!r} on task {task_id!r} with repeat {repeat}; its variants are "
            f"{', '.join(map(repr, run.variants))}, its repeats {run.repeats} from 0"
        )
    return found


def _asked(trial: Trial, run: Run, settings: RunSettings) -> Trial:
    """As a run of this one trial, so that it leases what it asks for and stays within the budget of the run."""
    if is_estimate_only():
        raise EstimateOnly("only an estimate was asked for: the answer to a reply was not sent")
    _refuse_elsewhere(trial.endpoint)
    from workbench.runs.missing import ask_missing

    trials = [trial]
    ask_missing(trials, run.variants, settings, limits=settings.limits(run.trials))
    return trials[0]


def _refuse_elsewhere(endpoint: Endpoint) -> None:
    """A record may name any endpoint, and the key of this process is only for the endpoint of its environment."""
    here = choose_endpoint(not endpoint.is_stand_in)
    if here != endpoint:
        raise SetupError(
            f"the run was answered at {endpoint.base_url}, and here {here.base_url} would answer; set "
            "ANTHROPIC_BASE_URL to where it was, or run the tasks here first"
        )


def replay_miss(trial: Trial, ledger: Ledger | str | Path | None) -> ReplayMiss:
    """What a replay raises that needs this trial, which the ledger does not hold: it says what comes nearest."""
    from workbench.ledger.store import opened_ledger

    with opened_ledger(ledger) as opened:
        difference = opened.nearest(trial)
        name = opened.name
    return ReplayMiss(
        f"what was said to variant {trial.variant!r} on task {trial.task_id!r}, repeat {trial.repeat}, is not in the "
        f"ledger {name}: {difference or 'nothing is recorded there'}. Run it without mode='replay' to ask for it.",
        difference=difference,
    )
