"""Asking once, now: what a Run button does."""

from __future__ import annotations

from pathlib import Path

from workbench.definition.agent import Agent
from workbench.errors import EstimateOnly
from workbench.ledger.budget.limits import limits_from_environment
from workbench.ledger.budget.reservation import open_budget
from workbench.ledger.store import Ledger, opened_ledger
from workbench.model.api import DEADLINE_SECONDS, OnText
from workbench.model.asker import Asker, OnRetry, StreamSettings
from workbench.model.endpoint import choose_endpoint, open_model
from workbench.model.loop import Started
from workbench.runs.estimate_only import is_estimate_only
from workbench.trial.trial import Endpoint, Request, Trial


def start_trial(
    request: Request,
    *,
    agent: Agent,
    endpoint: Endpoint | None = None,
    on_text: OnText | None = None,
    on_retry: OnRetry | None = None,
    ledger: Ledger | str | Path | None = None,
) -> Started[Trial]:
    """Asks once, anew, and returns at once; `stop()` ends it, and its trial then holds what had come.

    `on_text` gets each piece of the reply as it comes; `on_retry` gets what went wrong and the seconds until the
    next try, with which the reply begins again. Both are called in the workbench's own thread. Like every attempt,
    this one is in the ledger before `result()` gives it.

    Raises:
        EstimateOnly: only an estimate is wanted, as `is_estimate_only` says.
        SetupError: the way to the model is not set up. What would fail for every trial comes from `result()`, and a
            `BudgetError` where the budget of the environment is used up.
    """
    where = endpoint or choose_endpoint()
    trial = Trial(variant="draft", task_id="typed", repeat=0, request=request, endpoint=where)
    return start_planned(trial, agent=agent, on_text=on_text, on_retry=on_retry, ledger=ledger)


def start_planned(
    trial: Trial,
    *,
    agent: Agent,
    on_text: OnText | None = None,
    on_retry: OnRetry | None = None,
    ledger: Ledger | str | Path | None = None,
) -> Started[Trial]:
    """As `start_trial`, for a trial of a plan, at its own endpoint; nothing of an earlier end stays with it.

    Not for a trial of a loaded run: a record may name any endpoint, and this one would be asked.
    """
    if is_estimate_only():
        raise EstimateOnly("only an estimate was asked for: nothing was sent")
    asked = trial.replace(reply=None, failure=None, scores={}, from_ledger=False, paid=None)
    where = trial.endpoint

    async def one() -> Trial:
        limits = () if where.is_stand_in else limits_from_environment()
        with opened_ledger(ledger) as opened:
            budget = await open_budget(opened, [asked], limits, deadline_seconds=DEADLINE_SECONDS) if limits else None
            try:
                async with open_model(where) as model:
                    asker = Asker({where: model}, opened, StreamSettings(budget=budget))
                    return await asker.until_settled(asked, agent, on_text=on_text, on_retry=on_retry)
            finally:
                if budget is not None:
                    await budget.close()

    return Started(one())
