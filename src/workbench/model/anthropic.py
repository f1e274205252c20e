"""A way to a model: the official SDK, and beneath it the Messages API, a server like it, or the offline stand-in.

The SDK's own retries are off (it may sleep for as long as a server asks, unseen); one call is one request, and
what became of it comes back as an `Attempt`. Streams are read from the raw response, because the SDK's typed
stream takes an early end for success and lets socket errors through untranslated.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from workbench.collector import resting_while_importing
from workbench.errors import SetupError
from workbench.model.api import (
    CONNECT_SECONDS,
    DEADLINE_SECONDS,
    ENDING_SECONDS,
    QUOTED_BYTES,
    SILENCE_SECONDS,
    STOPPED,
    Attempt,
    OnLimits,
    OnText,
)
from workbench.model.credentials import API_URL, has_credentials, own_server
from workbench.model.failures import (
    DEADLINE,
    describe_cause,
    kind_of,
    retry_after,
    shown,
    status_failure,
    was_never_sent,
    without_credentials,
)
from workbench.model.frames import load_frame
from workbench.model.rate_limits import rate_limits
from workbench.model.stream import MOST_EVENT_BYTES, Events, PartialReply, TooLarge, name_of, readable_json, usage_of
from workbench.model.tracing import tracer
from workbench.trial.trial import Endpoint, Failure, Request, json_format

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic._response import AsyncAPIResponse, AsyncResponseContextManager


def request_body(request: Request) -> dict[str, Any]:
    """The JSON body of the Messages API for this request, streaming on."""
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": [dict(message) for message in request.messages],
        "stream": True,
    }
    if request.system and request.cache is not None:
        marker = {"type": "ephemeral"} if request.cache == "5m" else {"type": "ephemeral", "ttl": request.cache}
        body["system"] = [{"type": "text", "text": request.system, "cache_control": marker}]
    elif request.system:
        body["system"] = request.system
    if request.effort is not None:
        body["output_config"] = {"effort": request.effort}
    if request.schema is not None:
        body["output_config"] = {**body.get("output_config", {}), "format": json_format(request.schema)}
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
    return body


@asynccontextmanager
async def open_anthropic(
    endpoint: Endpoint,
    *,
    connections: int = 8,
    silence_seconds: float = SILENCE_SECONDS,
    ending_seconds: float = ENDING_SECONDS,
) -> AsyncIterator[AnthropicModel]:
    """The model at this endpoint through the SDK's client, which is closed afterwards.

    Raises:
        SetupError: the SDK finds the credentials unusable.
    """
    # Beside the loop: to load the SDK takes a second, in which the replies that are coming elsewhere would stand still.
    async with await asyncio.to_thread(_client, endpoint, connections, silence_seconds) as client:
        yield AnthropicModel(endpoint=endpoint, client=client, ending_seconds=ending_seconds)


def _client(endpoint: Endpoint, connections: int, silence_seconds: float) -> AsyncAnthropic:
    with resting_while_importing("anthropic"):
        import anthropic
        import httpx2

    # At its first refusal the SDK builds the types of all: here, and not in the loop, which that would hold up.
    anthropic.APIStatusError("", response=httpx2.Response(400, request=httpx2.Request("POST", API_URL)), body=None)
    # It points at whoever calls the SDK, which is us; `retirement_of` is how a run says it, once.
    warnings.filterwarnings("ignore", r"The model '.*' is deprecated", DeprecationWarning)
    timeout = httpx2.Timeout(silence_seconds, connect=CONNECT_SECONDS)
    telemetry: Literal[False] | None = None if tracer() else False  # None: as the environment says
    if endpoint.is_stand_in:
        from workbench.model.offline.transport import OfflineTransport

        return anthropic.AsyncAnthropic(
            api_key="offline",
            base_url=endpoint.base_url,
            max_retries=0,
            open_telemetry=telemetry,
            timeout=timeout,
            http_client=anthropic.DefaultAsyncHttpxClient(transport=OfflineTransport.from_environment()),
        )
    from workbench.model.wire import bound, only_to

    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    # What the environment sets, keys and headers alike, is for the one address that it names: a variant's own server
    # never sees it, nor does whatever address a record calls "live".
    is_named = endpoint.base_url == (own_server() or API_URL)
    needs_none = endpoint.base_url != API_URL and not has_credentials()
    try:
        return anthropic.AsyncAnthropic(
            api_key=None if is_named and not needs_none else "none",
            base_url=endpoint.base_url,
            max_retries=0,
            open_telemetry=telemetry,
            timeout=timeout,
            # A stream that is encoded cannot be read as it comes.
            default_headers={"accept-encoding": "identity"} | ({} if is_named else _no_headers_of_the_environment()),
            # A redirect would carry prompts to where nobody asked for them to go, and one call is one request.
            http_client=anthropic.DefaultAioHttpClient(
                limits=limits,
                timeout=timeout,
                follow_redirects=False,
                event_hooks={"request": [only_to(endpoint.base_url)], "response": [bound]},
            ),
        )
    except anthropic.AnthropicError as error:
        raise SetupError(f"the credentials cannot be used: {error}") from error


def _no_headers_of_the_environment() -> dict[str, Any]:
    """Takes back what `ANTHROPIC_CUSTOM_HEADERS` would add to each request: the SDK gives it to any client."""
    import anthropic

    lines = os.environ.get("ANTHROPIC_CUSTOM_HEADERS", "").split("\n")
    return {name.strip(): anthropic.Omit() for name, colon, _ in (line.partition(":") for line in lines) if colon}


def retirement_of(model: str) -> str | None:
    """The day, in English, on which the API no longer answers as this model, by the SDK; `None`: it names none."""
    from anthropic.resources.messages import DEPRECATED_MODELS

    return DEPRECATED_MODELS.get(model)


@dataclass(frozen=True, kw_only=True)
class AnthropicModel:
    """A `Model` whose requests the SDK sends."""

    endpoint: Endpoint
    client: AsyncAnthropic
    ending_seconds: float = ENDING_SECONDS

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
        """Sends one request and reads its stream to the end; see `Model.ask`."""
        import anthropic
        import httpx2

        so_far = PartialReply(on_first_token=on_first_token)
        try:
            return await self._read(request, draw, so_far, on_text, on_limits, deadline_seconds)
        except asyncio.CancelledError:
            return so_far.ended(STOPPED)
        except anthropic.APIStatusError as error:
            headers = error.response.headers
            if on_limits is not None:
                on_limits(rate_limits(headers))
            return Attempt(failure=status_failure(error), retry_after_seconds=retry_after(headers))
        except (anthropic.APITimeoutError, httpx2.TimeoutException) as error:
            kind = "unreachable" if was_never_sent(error) else "timeout"
            return so_far.ended(_failure(kind, describe_cause(error), so_far))
        except (anthropic.APIConnectionError, httpx2.TransportError) as error:
            kind = "unreachable" if was_never_sent(error) else kind_of(error, "connection")
            return so_far.ended(_failure(kind, describe_cause(error), so_far))
        except TimeoutError:
            late = f"no complete reply within {deadline_seconds:g} seconds"
            return so_far.ended(_failure(DEADLINE, late, so_far))
        except TooLarge as error:
            return so_far.ended(_failure("too_large", str(error), so_far))
        except Exception as error:  # noqa: BLE001
            # Whatever else the SDK or what is beneath it makes of what came: the server's answer was none that a reply
            # could be read from, and the other trials go on.
            return so_far.ended(_failure("malformed_stream", describe_cause(error), so_far))

    async def _read(
        self,
        request: Request,
        draw: int,
        so_far: PartialReply,
        on_text: OnText | None,
        on_limits: OnLimits | None,
        deadline_seconds: float,
    ) -> Attempt:
        named = {"x-workbench-draw": str(draw)}
        call = (
            self.client.messages.with_streaming_response.create(**request_body(request), extra_headers=named)
            if request.frame is None
            else self._in_frame(request, named)
        )
        async with asyncio.timeout(deadline_seconds) as deadline, call as response:
            so_far.request_id = name_of(response.headers.get("request-id") or response.headers.get("x-request-id"))
            if on_limits is not None:
                on_limits(rate_limits(response.headers))
            content_type = response.headers.get("content-type", "")
            if not content_type.lower().startswith("text/event-stream"):
                return await _unstreamed(response, content_type, so_far, on_text)
            events = Events()
            async for chunk in response.iter_bytes():
                for event in events.complete_with(chunk):
                    failure = so_far.take(event, on_text)
                    if failure is not None:
                        return Attempt(reply=so_far.partial(), failure=replace(failure, message=shown(failure.message)))
                if so_far.stop_reason is not None:
                    # The reply is complete and paid. What the stream still says is waited for, but not for long: a
                    # server that keeps the connection open must not keep the trial.
                    soon = asyncio.get_running_loop().time() + self.ending_seconds
                    deadline.reschedule(soon if (at := deadline.when()) is None else min(at, soon))
        return so_far.ended(_failure("broken_stream", "the stream ended before the model did", so_far))

    def _in_frame(self, request: Request, headers: Mapping[str, str]) -> AsyncResponseContextManager[Any]:
        """As the program would send it: its body holds more than the SDK has names for."""
        frame = load_frame(request.frame) if request.frame is not None else None
        assert frame is not None
        body = frame.body_of(request)
        first = {name: body.pop(name) for name in ("model", "max_tokens", "messages", "stream")}
        return self.client.messages.with_streaming_response.create(
            **first, extra_body=body, extra_headers={**frame.headers, **headers}, extra_query={"beta": "true"}
        )

    async def count(self, request: Request) -> int | None:
        """The tokens of this request as the endpoint counts them, which costs nothing; `None`: it does not count."""
        import anthropic
        import httpx2

        if request.frame is not None:
            return None  # what a ledger or a record tells of it is its size
        body = {name: value for name, value in request_body(request).items() if name not in ("max_tokens", "stream")}
        try:
            counted = await self.client.messages.count_tokens(**body, timeout=CONNECT_SECONDS)
        except (anthropic.AnthropicError, httpx2.HTTPError, ValueError, RecursionError):
            return None
        # A page instead of JSON comes as text, and a field as whatever it is.
        return usage_of({"input_tokens": getattr(counted, "input_tokens", None)}).input_tokens or None


async def _unstreamed(
    response: AsyncAPIResponse[Any], content_type: str, so_far: PartialReply, on_text: OnText | None
) -> Attempt:
    """What a server answers that does not stream: a whole message, which is as good and as paid, or something else."""
    pieces = response.iter_bytes(QUOTED_BYTES)
    beginning = await anext(pieces, b"")
    if content_type.lower().startswith("application/json"):
        body, size = [beginning], len(beginning)
        async for piece in pieces:  # no more than a message may have: there may be no end to it
            body.append(piece)
            size += len(piece)
            if size > MOST_EVENT_BYTES:
                break
        else:
            if (message := _message_in(b"".join(body))) is not None:
                so_far.take_message(message, on_text)
                return so_far.ended()
    return Attempt(failure=_not_a_stream(content_type, beginning, so_far))


def _message_in(body: bytes) -> Mapping[str, Any] | None:
    try:
        found = readable_json(body)
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("content"), list):
        return None
    return found if "stop_reason" in found or "usage" in found else None


def _not_a_stream(content_type: str, body: bytes, so_far: PartialReply) -> Failure:
    found = without_credentials(body.decode("utf-8", "replace"))
    what = shown(content_type) or "no content type"
    return Failure(
        type="not_a_stream",
        message=f"the server answered 200 with {what} instead of a stream: {found!r}",
        status=200,
        request_id=so_far.request_id,
    )


def _failure(kind: str, message: str, so_far: PartialReply) -> Failure:
    return Failure(type=kind, message=message, request_id=so_far.request_id)
