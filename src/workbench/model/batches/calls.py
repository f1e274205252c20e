"""Calls of the Message Batches API: what they answer, and what can go wrong with them.

Results are read as raw lines: the SDK's own decoder takes them in pieces of 64 bytes and ends with an error where a
CRLF falls between two of them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from workbench.errors import SetupError
from workbench.model.failures import describe_cause, kind_of, retry_after, shown, status_failure
from workbench.model.stream import MOST_EVENT_BYTES, readable_json
from workbench.trial.trial import Endpoint, Failure

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic


class Trouble(Exception):
    """A call that did not give what was asked for. `has_not_arrived`: the server certainly did nothing about it."""

    def __init__(
        self, failure: Failure, *, has_not_arrived: bool = False, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.has_not_arrived = has_not_arrived
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A batch as the API shows it."""

    id: str
    has_ended: bool
    created_at: datetime
    size: int
    results_url: str | None


async def read_answer(call: Awaitable[Any]) -> Mapping[str, Any]:
    """What a call answers, as JSON.

    Raises:
        Trouble: it did not, or not with an object.
    """
    with _translated():
        response = await call
        return _mapping(await response.read())


def _mapping(content: bytes) -> Mapping[str, Any]:
    with well_formed():
        value = readable_json(content)
        if not isinstance(value, dict):
            raise TypeError(f"{type(value).__name__} instead of an object")
        return value


def read_listed(batch: Mapping[str, Any]) -> Listed:
    """The batch in an answer.

    Raises:
        Trouble: there is none in it.
    """
    with well_formed():
        created_at = datetime.fromisoformat(batch["created_at"])
        return Listed(
            id=_text(batch["id"]),
            has_ended=batch["processing_status"] == "ended",
            created_at=created_at if created_at.tzinfo is not None else created_at.replace(tzinfo=UTC),
            size=sum(batch["request_counts"].values()),
            results_url=None if batch.get("results_url") is None else _text(batch["results_url"]),
        )


def _text(said: Any) -> str:
    if not isinstance(said, str) or not said:
        raise TypeError(f"{type(said).__name__} where a text should be")
    return said


@contextmanager
def well_formed() -> Iterator[None]:
    """Where an answer is taken apart: what is not as the API has it is a `Trouble`."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        message = f"not the answer of a Messages API: {type(error).__name__}: {error}"
        raise Trouble(Failure(type="malformed", message=shown(message)[:300])) from error


@contextmanager
def _translated() -> Iterator[None]:
    import anthropic
    import httpx2

    try:
        yield
    except anthropic.APIStatusError as error:
        raise Trouble(
            status_failure(error),
            has_not_arrived=error.status_code < 500,
            retry_after_seconds=retry_after(error.response.headers),
        ) from error
    except (anthropic.APITimeoutError, httpx2.TimeoutException) as error:
        raise Trouble(Failure(type="timeout", message=describe_cause(error))) from error
    except (anthropic.APIConnectionError, httpx2.TransportError) as error:
        if kind_of(error, "") == "another_host":
            raise SetupError(f"{describe_cause(error)}; nothing is fetched from there") from error
        # Not even a ConnectError means that nothing arrived: aiohttp's transport gives one for a server that hangs up.
        raise Trouble(Failure(type=kind_of(error, "connection"), message=describe_cause(error))) from error
    except (Trouble, SetupError):
        raise
    except Exception as error:
        # Whatever else the SDK or what is beneath it makes of what came.
        raise Trouble(Failure(type="malformed", message=describe_cause(error))) from error


async def read_lines(
    client: AsyncAnthropic, endpoint: Endpoint, listed: Listed
) -> AsyncGenerator[Mapping[str, Any], None]:
    """The results of a batch that has ended, as they come.

    Raises:
        SetupError: the server names another host for them.
        Trouble: they break off, or are no results.
    """
    _refuse_other_host(endpoint, listed)
    with _translated():
        async with client.messages.batches.with_streaming_response.results(listed.id) as response:
            waiting: list[bytes] = []  # the pieces of a line that has not ended; joined once, however many they are
            size = 0
            async for chunk in response.iter_bytes():
                head, *lines = chunk.split(b"\n")
                waiting.append(head)
                size += len(head)
                for following in lines:
                    if (found := _result(b"".join(waiting))) is not None:
                        yield found
                    waiting, size = [following], len(following)
                if size > MOST_EVENT_BYTES:
                    raise Trouble(
                        Failure(type="too_large", message=f"a result of more than {MOST_EVENT_BYTES:,} bytes")
                    )
            if (last := b"".join(waiting)).strip():
                yield _mapping(last)  # a line that was cut off is no result: it is read anew


def _result(line: bytes) -> Mapping[str, Any] | None:
    """The result in a line that has come to its end. `None`: there is none, and the others of the batch count all the
    same; whose it was has no result then."""
    if not line.strip():
        return None
    try:
        found = _mapping(line)
    except Trouble:
        return None
    return found if isinstance(found.get("custom_id"), str) else None


def _refuse_other_host(endpoint: Endpoint, listed: Listed) -> None:
    """The SDK would send the key to whatever address the server names."""
    ours, theirs = urlsplit(endpoint.base_url), urlsplit(listed.results_url or "")
    if theirs.netloc and (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
        raise SetupError(
            f"the results of the batch {listed.id} are at {theirs.scheme}://{theirs.netloc}, but the key is for "
            f"{endpoint.base_url}; they are not fetched from there"
        )
