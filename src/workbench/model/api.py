"""The seam to a model: what a way to one has to give to whoever asks, and what became of a request.

A second way to a model is one file: something with these three members, and a function that opens it (`OpenModel`).
Budget, ledger, retries, limiters and grading are above the seam and need nothing else of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from workbench.model.rate_limits import RateLimit
from workbench.trial.trial import Endpoint, Failure, Reply, Request

DEADLINE_SECONDS = 900.0
"""The longest that one request may take in all, unless a run says otherwise."""

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 120.0
"""The longest wait for the next piece of a reply."""
ENDING_SECONDS = 2.0
"""The longest wait for what comes after a reply that is complete: longer, and the connection is given up."""
QUOTED_BYTES = 200
"""Of an answer that is no reply."""

STOPPED = Failure(type="stopped", message="stopped before the reply was complete")
"""The failure of an attempt that was cancelled in flight."""

OnText = Callable[[str], None]
OnLimits = Callable[[tuple[RateLimit, ...]], None]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What became of one request. A broken stream has both: the part that came, and why it broke."""

    reply: Reply | None = None
    failure: Failure | None = None
    """`Retry` says by its type and status whether another try is worth it."""
    retry_after_seconds: float | None = None
    """How long the server asks to wait before that."""


class Model(Protocol):
    """A way to a model, open: whoever is asked at one endpoint."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers."""

    async def ask(
        self,
        request: Request,
        *,
        draw: int = 0,
        on_text: OnText | None = None,
        on_first_token: Callable[[], None] | None = None,
        on_limits: OnLimits | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> Attempt:
        """Asks once, and never raises for what the other side says or does: that is the attempt's `failure`.

        What it raises all the same is a trial that failed as "raised", and a `SetupError` ends the variant, by name:
        it says that this endpoint cannot be asked with what is set.

        `draw` tells apart the attempts at one request. The three `on_...` are called in this event loop while the
        reply comes: with each piece of text, when the model has begun, and with rate limits that the server tells.
        What was sent may cost more than one request of the API (a program that runs tools): the usage of the reply
        has all of it, and is unknown where it is not known. Cancelled in flight, it returns what had come with
        `STOPPED` as its failure.
        """

    async def count(self, request: Request) -> int | None:
        """The input tokens of this request as the endpoint counts them, which costs nothing; `None`: it does not."""


class OpenModel(Protocol):
    """What opens the way to an endpoint."""

    def __call__(self, endpoint: Endpoint, *, connections: int = ...) -> AbstractAsyncContextManager[Model]:
        """The model at this endpoint, of which so many requests may be in flight at once; closed afterwards.

        Raises:
            SetupError: the endpoint cannot be asked with what is set here.
        """
