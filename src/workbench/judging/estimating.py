"""What judging a plan would take, before a reply is there to be judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Unpack

from workbench.judging.judge import Judge, plan_judging
from workbench.runs.estimate import BYTES_PER_TOKEN, EXPECTED_OUTPUT_TOKENS, Estimate, estimate_trials
from workbench.runs.estimate_only import add_to_estimate, is_estimate_only
from workbench.runs.plan import CONCURRENCY, Plan
from workbench.runs.settings import Asking, RunSettings
from workbench.runs.who_answers import trials_here
from workbench.trial.rubric import Rubric
from workbench.trial.trial import Reply, Run, Trial

_WORD = "expected "


def estimate_judging(
    plan: Plan,
    rubric: Rubric,
    *,
    model: str | Judge | Sequence[str | Judge] = "sonnet",
    repeats: int = 1,
    **asking: Unpack[Asking],
) -> Estimate:
    """What `judge` would ask of the replies to this plan, and what that takes.

    Replies that the ledger holds are taken as they are. Each of the others is taken to be as long as those, or of
    `EXPECTED_OUTPUT_TOKENS`, and to differ from all others: replies that come out alike are judged once, which makes it
    less. `model` and `asking` are those of `judge`. In an estimate of a batch it counts beside the notebook's own
    calls.

    Raises:
        All that `plan_judging` and `estimate_plan` raise.
    """
    from workbench.ledger.store import opened_ledger

    live = asking.get("live")
    settings = RunSettings(
        ledger=asking.get("ledger"),
        concurrency=asking.get("concurrency", CONCURRENCY),
        mode=asking.get("mode", "top-up"),
        via=asking.get("via", "stream"),
    )
    endpoint, trials = trials_here(plan, live)
    with opened_ledger(settings.ledger) as opened:
        known = {} if settings.is_fresh else opened.find(trial.key for trial in trials)
    lengths = [reply.usage.output_tokens for reply in known.values() if reply.usage.output_tokens is not None]
    tokens = math.fsum(lengths) / len(lengths) if lengths else EXPECTED_OUTPUT_TOKENS
    answered = tuple(
        trial.replace(reply=known.get(trial.key) or _expected(trial, round(tokens * BYTES_PER_TOKEN)))
        for trial in trials
    )
    run = Run(variants=plan.variants, tasks=plan.tasks, repeats=plan.repeats, endpoint=endpoint, trials=answered)
    judging = plan_judging(run, rubric, model=model, repeats=repeats)
    _, asked = trials_here(judging, live)
    found = estimate_trials(judging, asked, settings, ask_server=len(known) == len({trial.key for trial in trials}))
    if is_estimate_only():
        add_to_estimate(found, asked)
    return found


def _expected(trial: Trial, characters: int) -> Reply:
    """Stands for a reply that is not there yet; no two are alike."""
    own = f"{trial.variant} {trial.task_id} {trial.repeat} "
    words = _WORD * (max(0, characters - len(own)) // len(_WORD))
    return Reply(text=f"{own}{words}", stop_reason="end_turn")
