"""When a request is tried again, how long is waited before that, and what ends a run: decided here, for streams and
for message batches alike.

    the failure of an attempt
      is the same for every trial ......... the run ends, with advice        why_it_ends
      is the same for its variant ......... the variant ends, by name        why_it_ends
      is worth another try ................ waits: 0.5 s, 1 s, 2 s ...       seconds_before_try
        and patience is at its end ........ the trial is failed              patience_with
        and nobody was ever there ......... the run ends                     why_nobody_is_there
      is anything else .................... the trial is failed
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.errors import SetupError
from workbench.model.api import Attempt
from workbench.model.failures import NOT_SET_UP, SPEND_LIMITS
from workbench.trial.trial import Endpoint, Failure, Trial

FIRST_AT_ONCE = 32
"""So many requests are in flight before the first reply says how the server is."""

_OVERLOAD = frozenset({"overloaded_error", "rate_limit_error", "api_error", "timeout_error"})
_NO_SERVER = frozenset({"unreachable", "connection", "timeout", "broken_stream", "malformed_stream"})
_REFUSED_FOR_NOW = frozenset({429, 529})
_MOST_GROWTHS = 60
"""A power of more would not be a number; by then every wait is the longest."""

_ADVICE = {
    401: "check {key} for this address",
    402: "check the account's credit",
}
_ADVICE_FOR_VARIANT = {
    400: "the request of task {task!r} is not accepted as it is",
    403: "the key may not use this model or workspace",
    404: "check the model id {model!r} and {address}",
}
_ADVICE_FOR_BATCHES = {
    400: "it does not accept the batch as it is",
    401: _ADVICE[401],
    402: _ADVICE[402],
    403: "the key may not use batches in this workspace",
    404: "it seems to serve no Message Batches: leave out via='batch'",
    413: "it does not accept the batch as it is",
}


class EndsVariant(SetupError):
    """Every trial of one variant would fail as this one did; those of others may not."""

    def __init__(self, message: str, *, trial: Trial) -> None:
        super().__init__(message)
        self.trial = trial


@dataclass(frozen=True, kw_only=True)
class Retry:
    """A policy of trying again; for batches, of looking again."""

    first_seconds: float = 0.5
    growth: float = 2.0
    """Each wait is so many times the one before it."""
    longest_growing_seconds: float = 30.0
    """The longest wait that comes of growing."""
    longest_seconds: float = 60.0
    """The most that is waited, whatever the server asks for."""
    jitter: float = 0.25
    """The share of a wait that is left to chance, so that those who failed together do not come back together."""
    patience_seconds: float = 300.0
    """How long one trial goes on trying while the server is there but overloaded."""
    patience_without_server_seconds: float = 60.0
    """The same while it cannot be reached."""
    first_at_once: int = FIRST_AT_ONCE
    """How many requests to a family of models are in flight before the first of them was answered."""
    worth_it: frozenset[int] = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
    """The statuses after which another try may help; the types of failures without a status are known here."""
    ends_run: Mapping[int, str] = field(default_factory=lambda: _ADVICE)
    """By status that every trial would be answered with: what to do about it."""
    ends_variant: Mapping[int, str] = field(default_factory=lambda: _ADVICE_FOR_VARIANT)
    """By status that every trial of one variant would be answered with, for it is about its model or its request."""
    what_stays: str = "What was answered before is in the ledger."
    """Said with that: what is not lost."""

    def seconds_before_try(self, attempt: Attempt, attempts: int) -> float | None:
        """How long to wait after so many attempts, of which this is the last; `None`: another would not help."""
        failure = attempt.failure
        if failure is None:
            return None
        if failure.type not in _OVERLOAD | _NO_SERVER and failure.status not in self.worth_it:
            return None
        return self.seconds_before(attempts, attempt.retry_after_seconds)

    def seconds_before(self, waits: int, asked_seconds: float | None = None) -> float:
        """How long the wait of this number is, the first being 1, where the server asks for so many seconds."""
        grown = self.first_seconds * self.growth ** min(waits - 1, _MOST_GROWTHS)
        growing = min(self.longest_growing_seconds, grown) * random.uniform(1 - self.jitter, 1.0)
        return min(self.longest_seconds, max(growing, asked_seconds or 0.0))

    def patience_with(self, failure: Failure) -> float:
        """For how many seconds in vain a trial that failed like this goes on."""
        return self.patience_without_server_seconds if failure.type in _NO_SERVER else self.patience_seconds

    def why_it_ends(self, failure: Failure, endpoint: Endpoint, trial: Trial | None = None) -> SetupError | None:
        """What to raise where every trial would fail like this, or, as `EndsVariant`, every one of the variant of this
        trial, which has failed so; `None`: another may not."""
        found = f"{endpoint.in_words} answered {failure.status} {failure.type}: {failure.message}"
        if failure.type in SPEND_LIMITS:
            return SetupError(f"{found}; waiting does not help: raise the limit, then run the same again")
        if trial is not None and failure.type == NOT_SET_UP:
            return EndsVariant(f"{endpoint.in_words}: {failure.message}. {self.what_stays}", trial=trial)
        status = failure.status or 0
        if status in self.ends_run:
            return SetupError(f"{found}; {self.ends_run[status].format(**_named(endpoint))}. {self.what_stays}")
        if trial is None or status not in self.ends_variant:
            return None
        advice = self.ends_variant[status].format(task=trial.task_id, model=trial.request.model, **_named(endpoint))
        return EndsVariant(f"{found}; {advice}. {self.what_stays}", trial=trial)

    def why_nobody_is_there(self, failure: Failure, endpoint: Endpoint) -> SetupError | None:
        """What to raise after all patience where there was never a connection; `None`: there was one."""
        if failure.type != "unreachable":
            return None
        return SetupError(
            f"{endpoint.base_url} cannot be reached: {failure.message}; check the network and "
            f"{_named(endpoint)['address']}. {self.what_stays}"
        )


def _named(endpoint: Endpoint) -> dict[str, str]:
    """What is set for this way to a model, as advice names it."""
    if endpoint.kind == "chat":
        return {"key": "OPENAI_API_KEY and OPENAI_BASE_URL", "address": "the address of its chat_endpoint"}
    return {"key": "ANTHROPIC_API_KEY (or the profile)", "address": "ANTHROPIC_BASE_URL"}


STREAMS = Retry()
"""How a trial that is streamed is tried again."""

BATCHES = Retry(
    first_seconds=5.0,
    growth=1.5,
    longest_growing_seconds=60.0,
    jitter=0.0,
    patience_seconds=3600.0,
    patience_without_server_seconds=3600.0,
    ends_run=_ADVICE_FOR_BATCHES,
    ends_variant={},
    what_stays="Batches that were sent before go on.",
)
"""How often to look at batches, and for how long every look may fail; the batches go on after that, too."""


def is_overload(failure: Failure) -> bool:
    """Whether the server says that it is asked for too much now."""
    return failure.status in _REFUSED_FOR_NOW or failure.type in _OVERLOAD
