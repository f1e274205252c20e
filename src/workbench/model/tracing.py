"""What is asked and graded as OpenTelemetry spans, for a program that has set a tracer provider.
`WORKBENCH_TRACING=off` makes none, and none of the SDK's either.

    workbench.trial   asked: around the spans that the SDK makes of its requests; from a batch or the ledger: a moment
    workbench.batch   the trials that are asked for at one endpoint in Message Batches, around all of that
    workbench.grade   a trial with its score, once it is graded

A trial's spans have its variant, task, repeat and key, how it ended, and the tokens and cost of its reply. That of
`workbench.trial` has beside them, as `workbench.paid.*`, what all its attempts took, failed ones included; where it is
from the ledger, they were paid before. What failed has the status ERROR.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from workbench.errors import PriceFileError
from workbench.secrets import value_without_secrets, without_secrets
from workbench.trial.catalogue import price_usd
from workbench.trial.paid import Paid
from workbench.trial.trial import Endpoint, Trial

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
    # What is raised out of it is said by `describe_settled` and `describe_error`.
    with tracer.start_as_current_span("workbench.trial", record_exception=False, set_status_on_exception=False) as span:
        _describe(span, trial)
        yield span


@contextmanager
def batch_span(tracer: Tracer, endpoint: Endpoint, trials: int) -> Iterator[Span]:
    """A span for as long as so many trials are asked for in batches; an error that ends it is its status."""
    with tracer.start_as_current_span("workbench.batch", record_exception=False) as span:
        span.set_attributes({"workbench.endpoint": without_secrets(endpoint.base_url), "workbench.trials": trials})
        yield span


def describe_error(span: Span, error: Exception) -> None:
    """Says on the span of a trial what ended more than this trial."""
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", type(error).__name__)
    span.set_status(Status(StatusCode.ERROR, without_secrets(str(error))))


def describe_paid(span: Span, paid: Paid) -> None:
    """Says on the span of a trial what all its attempts took."""
    span.set_attributes(
        {
            "workbench.paid.requests": paid.attempts,
            "workbench.paid.uncounted_requests": paid.uncounted,
            "workbench.paid.input_tokens": paid.input_tokens,
            "workbench.paid.output_tokens": paid.output_tokens,
            "workbench.paid.cache_write_tokens": paid.cache_creation_input_tokens,
            "workbench.paid.cache_read_tokens": paid.cache_read_input_tokens,
        }
    )
    _set_usd(span, "workbench.paid.usd", lambda: paid.usd)


def describe_settled(span: Span, trial: Trial) -> None:
    """Says on its span how the trial ended, what its reply took and whether it failed."""
    if not span.is_recording():
        return
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("workbench.outcome", trial.outcome)
    if trial.failure is not None:
        span.set_attribute("error.type", trial.failure.type)
        if trial.outcome == "failed":
            span.set_status(Status(StatusCode.ERROR, without_secrets(f"{trial.failure.type}: {trial.failure.message}")))
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
    _set_usd(span, "workbench.usd", partial(price_usd, trial.reply.model, usage))


def trace_settled(tracer: Tracer, trial: Trial, paid: Paid | None) -> None:
    """A span of a moment for a trial that nobody waited for: its answer is from a batch or from the ledger."""
    with tracer.start_as_current_span("workbench.trial") as span:
        _describe(span, trial)
        span.set_attribute("workbench.from", "ledger" if trial.from_ledger else "batch")
        describe_settled(span, trial)
        if paid is not None:
            describe_paid(span, paid)


def trace_graded(tracer: Tracer, trial: Trial) -> None:
    """A span for the scores of a trial; one from the ledger has its answer's span before it."""
    if trial.from_ledger:
        trace_settled(tracer, trial, trial.paid)
    with tracer.start_as_current_span("workbench.grade") as span:
        _describe(span, trial)
        describe_settled(span, trial)
        if trial.score is not None:
            span.set_attribute("workbench.score", trial.score)
        for promise, score in trial.scores.items():
            if score.value is not None:
                span.set_attribute(f"workbench.score.{without_secrets(promise)}", float(score.value))


def _set_usd(span: Span, name: str, usd: Callable[[], Decimal | float | None]) -> None:
    """Whoever needs a price says that the file of prices is wrong; a span is made without."""
    with suppress(PriceFileError):
        if (found := usd()) is not None:
            span.set_attribute(name, float(found))


def _describe(span: Span, trial: Trial) -> None:
    if span.is_recording():
        said = {
            "workbench.variant": trial.variant,
            "workbench.task": trial.task_id,
            "workbench.repeat": trial.repeat,
            "workbench.key": trial.key,
            "workbench.endpoint": trial.endpoint.base_url,
            "gen_ai.request.model": trial.request.model,
        }
        span.set_attributes(value_without_secrets(said))
