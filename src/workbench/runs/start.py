"""Asking once, now: what a Run button does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from workbench.definition.agent import Agent
from workbench.errors import EstimateOnly
from workbench.ledger.store import Ledger
from workbench.model.api import OnText
from workbench.model.asker import OnRetry
from workbench.model.endpoint import choose_endpoint
from workbench.model.loop import Started
from workbench.runs.conversation import replay_miss
from workbench.runs.estimate_only import is_estimate_only
from workbench.runs.missing import Watching, ask_one
from workbench.runs.runner import known_trials
from workbench.runs.settings import RunSettings
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

    It is paid for whatever the ledger holds and whoever asks for the same: `run_trials` is what pays once.

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
    return start_planned(
        trial,
        agent=agent,
        settings=RunSettings(ledger=ledger, mode="fresh"),
        on_text=on_text,
        on_retry=on_retry,
    )


def start_planned(
    trial: Trial,
    *,
    agent: Agent,
    settings: RunSettings | None = None,
    on_text: OnText | None = None,
    on_retry: OnRetry | None = None,
    on_wait: Callable[[], None] | None = None,
) -> Started[Trial]:
    """As `run_trials` with these settings for one trial of a plan, at its own endpoint, without blocking: what the
    ledger holds is given, what another run is asking for is waited for, and else it is asked, within the budget of the
    environment. With the mode "fresh" it is asked anew whatever the ledger holds, and paid once more. `on_text` and
    `on_retry` as `start_trial`; `on_wait` is called at each look at what another run has not got yet.

    Nothing of an earlier end stays with it. Not for a trial of a loaded run: a record may name any endpoint, and this
    one would be asked.

    Raises:
        EstimateOnly: only an estimate is wanted, as `is_estimate_only` says.
        WorkbenchError: from `result()`, as `run_trials`.
    """
    if is_estimate_only():
        raise EstimateOnly("only an estimate was asked for: nothing was sent")
    settings = settings or RunSettings()
    watching = Watching(on_text=on_text, on_retry=on_retry, on_wait=on_wait)
    unasked = trial.replace(reply=None, failure=None, scores={}, from_ledger=False, paid=None)

    async def one() -> Trial:
        if not settings.is_fresh:
            [known] = await asyncio.to_thread(known_trials, [unasked], settings.ledger)
            if known.reply is not None:
                return known
        if settings.mode == "replay":
            raise await asyncio.to_thread(replay_miss, unasked, settings.ledger)
        return await ask_one(unasked, agent, settings, watching=watching)

    return Started(one())
