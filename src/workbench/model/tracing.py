"""What a run does as OpenTelemetry spans, for a program that has set a tracer provider. `WORKBENCH_TRACING=off` makes
none, and none of the SDK's either.

    workbench.trial   asked: around the spans that the SDK makes of its requests; from a batch or the ledger: a moment
    workbench.grade   a trial with its score, once it is graded

Each has the trial's variant, task, repeat and key, how it ended, its tokens and what they cost; one that failed has the
status ERROR.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workbench.trial.catalogue import price_usd
from workbench.trial.trial import Trial

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_SWITCH = "WORKBENCH_TRACING"
_OFF = {"0", "off", "false", "no"}


def tracer() -> Tracer | None:
    """What makes the spans; `None`: they are switched off, or the program set no provider and nobody would see them."""
    # A program that has set one has imported it: a run that needs neither the SDK nor a trace is spared the import.
    if os.environ.get(_SWITCH, "").strip().lower() in _OFF or "opentelemetry" not in sys.modules:
        return None
    from opentelemetry import trace

    found = trace.get_tracer("workbench")
    return None if isinstance(found, trace.ProxyTracer | trace.NoOpTracer) else found


@contextmanager
def trial_span(tracer: Tracer, trial: Trial) -> Iterator[Span]:
    """A span for as long as the trial is asked."""
    # What is raised out of it is said by `describe_settled`, which knows the trial.
    with tracer.start_as_current_span("workbench.trial", record_exception=False) as span:
        _describe(span, trial)
        yield span


def describe_settled(span: Span, trial: Trial) -> None:
    """Says on its span how the trial ended, what it took and whether it failed."""
    if not span.is_recording():
        return
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("workbench.outcome", trial.outcome)
    if trial.failure is not None:
        span.set_attribute("error.type", trial.failure.type)
        if trial.outcome == "failed":
            span.set_status(Status(StatusCode.ERROR, f"{trial.failure.type}: {trial.failure.message}"))
    if trial.reply is None:
        return
    span.set_attribute("workbench.attempts", trial.reply.attempts)
    if trial.reply.seconds_to_first_token is not None:
        span.set_attribute("workbench.seconds_to_first_token", trial.reply.seconds_to_first_token)
    usage = trial.reply.usage
    if usage.input_tokens is not None:
        cached = (usage.cache_creation_input_tokens or 0, usage.cache_read_input_tokens or 0)
        span.set_attribute("gen_ai.usage.input_tokens", usage.input_tokens + sum(cached))
        span.set_attribute("gen_ai.usage.cache_write_tokens", cached[0])
        span.set_attribute("gen_ai.usage.cache_read_tokens", cached[1])
    if usage.output_tokens is not None:
        span.set_attribute("gen_ai.usage.output_tokens", usage.output_tokens)
    if (usd := price_usd(trial.reply.model, usage)) is not None:
        span.set_attribute("workbench.usd", usd)


def trace_settled(tracer: Tracer, trial: Trial) -> None:
    """A span of a moment for a trial that nobody waited for: its answer is from a batch or from the ledger."""
    with tracer.start_as_current_span("workbench.trial") as span:
        _describe(span, trial)
        span.set_attribute("workbench.from", "ledger" if trial.from_ledger else "batch")
        describe_settled(span, trial)


def trace_graded(tracer: Tracer, trial: Trial) -> None:
    """A span for the scores of a trial; one from the ledger has its answer's span before it."""
    if trial.from_ledger:
        trace_settled(tracer, trial)
    with tracer.start_as_current_span("workbench.grade") as span:
        _describe(span, trial)
        describe_settled(span, trial)
        if trial.score is not None:
            span.set_attribute("workbench.score", trial.score)
        for promise, score in trial.scores.items():
            if score.value is not None:
                span.set_attribute(f"workbench.score.{promise}", float(score.value))


def _describe(span: Span, trial: Trial) -> None:
    if span.is_recording():
        span.set_attributes(
            {
                "workbench.variant": trial.variant,
                "workbench.task": trial.task_id,
                "workbench.repeat": trial.repeat,
                "workbench.key": trial.key,
                "workbench.endpoint": trial.endpoint.base_url,
                "gen_ai.request.model": trial.request.model,
            }
        )
