"""A trial that has ended, in words: for the columns of a trial panel, and for its pages."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from workbench.markup import counted
from workbench.model.anthropic import request_body
from workbench.runs.plan import CHARACTERS_PER_TOKEN
from workbench.runs.variant_run import outcome_in_words
from workbench.trial.catalogue import price_usd
from workbench.trial.paid import Paid, of_the_cache
from workbench.trial.trial import Trial, Usage
from workbench.widgets.frame import sendable


def exchange(trial: Trial) -> tuple[str, str]:
    """The request and what came back, as JSON: no header, so no credential is in it; "" while nothing is back."""
    parts = {name: asdict(part) for name in ("reply", "failure") if (part := getattr(trial, name)) is not None}
    request = json.dumps(request_body(trial.request), indent=2, ensure_ascii=False)
    return request, json.dumps(parts, indent=2, ensure_ascii=False) if parts else ""


def opened(trial: Trial) -> dict[str, Any]:
    """A trial that has ended, in words."""
    request, response = exchange(trial)
    failure = trial.failure
    return {
        "title": sendable(f"{what_was_asked(trial)}, repeat {trial.repeat}: {outcome_in_words(trial)}"),
        "meter": sendable(meter(trial)),
        "text": sendable(trial.reply.text if trial.reply else ""),
        "trouble": sendable(f"{failure.type}: {failure.message}" if failure and trial.outcome == "failed" else ""),
        "scores": sendable_scores(trial),
        "request": sendable(request),
        "response": sendable(response),
    }


def what_was_asked(trial: Trial) -> str:
    """The task, and where it was gone on with, the number of this answer to a reply."""
    answers = len(trial.request.messages) // 2
    return f"{trial.task_id}, answer {answers}" if answers else trial.task_id


def sendable_scores(trial: Trial) -> list[list[str]]:
    return [[sendable(cell) for cell in row] for row in score_rows(trial)]


def mean_score(trial: Trial) -> str:
    return "no score" if trial.score is None else f"{trial.score:.2f}"


def meter(trial: Trial) -> str:
    """Seconds, tokens and cost of a trial that has ended; of one without a reply, what was paid for it."""
    reply = trial.reply
    if reply is None:
        return "" if trial.endpoint.is_stand_in else " · ".join(_paid(trial.paid, besides=0))
    parts = []
    if reply.seconds_to_first_token is not None:
        parts.append(f"{reply.seconds_to_first_token:.2f} s to first token")
    if reply.seconds is not None:
        parts.append(f"{reply.seconds:.1f} s in all")
    return " · ".join([*parts, *counts(trial)])


def running_meter(trial: Trial, *, text: str, seconds: float) -> str:
    """The same while its reply comes. It is counted by the API at the end only: until then, tokens are approximated
    from characters. How long the first one took is told at the end, by who measured it from the request on: what is
    seen here has waited for more than the model."""
    request = trial.request
    asked = len(request.system) + sum(len(str(message["content"])) for message in request.messages)
    tokens = len(text) // CHARACTERS_PER_TOKEN
    parts = [f"{seconds:.0f} s", f"about {tokens:,} tokens out"]
    if not trial.endpoint.is_stand_in:
        usd = price_usd(request.model, Usage(input_tokens=asked // CHARACTERS_PER_TOKEN, output_tokens=tokens))
        parts.append("cost unknown" if usd is None else f"about {usd:.4f} USD")
    return " · ".join(parts)


def counts(trial: Trial) -> list[str]:
    if trial.reply is None:
        return []
    usage = trial.reply.usage
    cached = of_the_cache(read=usage.cache_read_input_tokens, written=usage.cache_creation_input_tokens)
    ways = ((usage.all_input_tokens, f"in{cached}"), (usage.output_tokens, "out"))
    tokens = [f"{count:,} tokens {way}" for count, way in ways if count is not None]
    if trial.endpoint.is_stand_in:
        return [*tokens, "no cost: no model answered"]
    usd = price_usd(trial.request.model, usage)
    return [*tokens, "cost unknown" if usd is None else f"{usd:.4f} USD", *_paid(trial.paid, besides=1)]


def _paid(paid: Paid | None, *, besides: int) -> list[str]:
    """What all attempts took, where there were more than the `besides` that are shown, and any may have been billed."""
    if paid is None or paid.attempts <= besides or not (paid.tokens or paid.uncounted):
        return []
    usd = "cost unknown" if paid.usd is None else f"{paid.usd:.4f} USD"
    more = f", and what {counted(paid.uncounted, 'request')} took that broke off" if paid.uncounted else ""
    return [f"paid in {counted(paid.attempts, 'request')}: {paid.tokens:,} tokens, {usd}{more}"]


def score_rows(trial: Trial) -> list[tuple[str, str, str]]:
    rows = [
        (promise, "no score" if score.value is None else f"{score.value:.2f}", score.explanation)
        for promise, score in trial.scores.items()
    ]
    return rows if trial.score is None else [("mean", f"{trial.score:.2f}", ""), *rows]
