"""Trials as OpenTelemetry spans, around those that the SDK makes of its requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workbench.trial.trial import Trial

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer


def tracer() -> Tracer | None:
    """What makes the spans of trials; `None`: the program set no OpenTelemetry provider, and nobody would see them."""
    from opentelemetry import trace

    found = trace.get_tracer("workbench")
    return None if isinstance(found, trace.ProxyTracer | trace.NoOpTracer) else found


@contextmanager
def trial_span(tracer: Tracer, trial: Trial) -> Iterator[Span]:
    """A span for as long as the trial is asked."""
    with tracer.start_as_current_span("workbench.trial") as span:
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
        yield span


def describe_settled(span: Span, trial: Trial) -> None:
    """Says on its span how the trial ended."""
    if not span.is_recording():
        return
    span.set_attribute("workbench.outcome", trial.outcome)
    if trial.failure is not None:
        span.set_attribute("error.type", trial.failure.type)
    if trial.reply is not None:
        span.set_attribute("workbench.attempts", trial.reply.attempts)
        if trial.reply.seconds_to_first_token is not None:
            span.set_attribute("workbench.seconds_to_first_token", trial.reply.seconds_to_first_token)
