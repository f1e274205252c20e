"""A second way to a model: the chat completions API, which OpenAI, llama.cpp, Ollama, vLLM and most gateways speak.

For a judge of another provider, or a local server that keeps to a JSON Schema on this path alone. A request streams;
its chunks are turned into the events that `PartialReply` takes, so that sizes, odd usage and what comes after the end
are treated as on the other way. Token counts are those that the server tells at the end of the stream.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx2

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
from workbench.model.credentials import OPENAI_URL, chat_key
from workbench.model.failures import (
    SPEND_LIMITS,
    describe_cause,
    kind_of,
    retry_after,
    shown,
    type_of_server,
    without_credentials,
)
from workbench.model.rate_limits import rate_limits
from workbench.model.stream import Events, PartialReply, TooLarge, name_of
from workbench.model.wire import bound
from workbench.trial.trial import Endpoint, Failure, Request

_STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}
"""Why it stopped, in the words of the Messages API; another reason stays as it is."""


def chat_body(request: Request, *, base_url: str) -> dict[str, Any]:
    """The JSON body of the chat completions API for this request, streaming on."""
    system = [{"role": "system", "content": request.system}] if request.system else []
    # OpenAI's own models refuse the older name, and other servers do not know the newer one.
    limit = "max_completion_tokens" if base_url == OPENAI_URL else "max_tokens"
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [*system, *(dict(message) for message in request.messages)],
        limit: request.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.effort is not None:
        body["reasoning_effort"] = request.effort
    if request.schema is not None:
        named = {"name": "answer", "strict": True, "schema": dict(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return body


@asynccontextmanager
async def open_chat(endpoint: Endpoint, *, connections: int = 8) -> AsyncIterator[ChatModel]:
    """The model at this endpoint, closed afterwards. The key for it is `OPENAI_API_KEY`, and goes to `OPENAI_BASE_URL`
    (without one, to OpenAI) and nowhere else; another server is asked without a key.

    Raises:
        SetupError: the key cannot be one.
    """
    key = chat_key(endpoint.base_url)
    async with httpx2.AsyncClient(
        headers={"accept-encoding": "identity"} | ({"authorization": f"Bearer {key}"} if key else {}),
        timeout=httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        # A redirect would carry prompts to where nobody asked for them to go.
        follow_redirects=False,
        event_hooks={"response": [bound]},
    ) as client:
        yield ChatModel(endpoint=endpoint, client=client)


@dataclass(frozen=True, kw_only=True)
class ChatModel:
    """A `Model` that speaks chat completions."""

    endpoint: Endpoint
    client: httpx2.AsyncClient

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
        so_far, events = PartialReply(on_first_token=on_first_token), _ChatEvents()
        body = chat_body(request, base_url=self.endpoint.base_url)
        try:
            async with (
                asyncio.timeout(deadline_seconds) as deadline,
                self.client.stream("POST", f"{self.endpoint.base_url}/chat/completions", json=body) as response,
            ):
                if on_limits is not None:
                    on_limits(rate_limits(response.headers))
                refused = await _refusal_of(response, so_far)
                if refused is not None:
                    return refused
                async for chunk in response.aiter_bytes():
                    for event in events.complete_with(chunk):
                        if events.is_complete:
                            so_far.note_late(event)
                            continue
                        if (failure := so_far.take(event, on_text)) is not None:
                            return _ended(so_far, events, replace(failure, message=shown(failure.message)))
                    if events.has_ended:
                        break
                    if events.is_complete:
                        # The reply is whole and paid; what is still to come is its usage, which is waited for, but not
                        # for as long as a server likes to keep the connection.
                        soon = asyncio.get_running_loop().time() + ENDING_SECONDS
                        deadline.reschedule(soon if (at := deadline.when()) is None else min(at, soon))
            return _failed(so_far, events, "broken_stream", "the stream ended before the model did")
        except asyncio.CancelledError:
            return _ended(so_far, events, STOPPED)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            # Before the timeouts, of which ConnectTimeout is one: nobody was reached, so nothing can have been paid.
            return _failed(so_far, events, "unreachable", describe_cause(error))
        except httpx2.TimeoutException as error:
            return _failed(so_far, events, "timeout", describe_cause(error))
        except httpx2.TransportError as error:
            return _failed(so_far, events, kind_of(error, "connection"), describe_cause(error))
        except TimeoutError:
            return _failed(so_far, events, "deadline", f"no complete reply within {deadline_seconds:g} seconds")
        except TooLarge as error:
            return _failed(so_far, events, "too_large", str(error))
        except Exception as error:  # noqa: BLE001 - whatever came was no reply, and the other trials go on
            return _failed(so_far, events, "malformed_stream", describe_cause(error))

    async def count(self, request: Request) -> int | None:
        """`None`: this way does not count."""
        return None


async def _refusal_of(response: httpx2.Response, so_far: PartialReply) -> Attempt | None:
    """Why there is no stream to read; `None`: there is one."""
    so_far.request_id = name_of(response.headers.get("x-request-id"))
    if not response.is_success:
        said = await response.aread()
        return Attempt(failure=_refused(response, said), retry_after_seconds=retry_after(response.headers))
    content_type = response.headers.get("content-type", "")
    if content_type.lower().startswith("text/event-stream"):
        return None
    beginning = await anext(response.aiter_bytes(QUOTED_BYTES), b"")
    found = without_credentials(beginning.decode("utf-8", "replace"))
    message = f"the server answered 200 with {shown(content_type) or 'no content type'} instead of a stream: {found!r}"
    return Attempt(failure=Failure(type="not_a_stream", message=message, status=200, request_id=so_far.request_id))


class _ChatEvents:
    """The chunks of chat completions as events of the Messages API. The reason to stop comes before the usage, which is
    in a chunk of its own: what is said of both is held back until the stream ends, or "[DONE]" says that it has."""

    def __init__(self) -> None:
        self._events = Events(ends=b"[DONE]")
        self._has_begun = False
        self._stop_reason: Any = None
        """As it is said, whatever it is; `None`: nothing yet."""
        self._usage: Any = None

    @property
    def is_complete(self) -> bool:
        """Whether the model has said why it stopped."""
        return self._stop_reason is not None

    @property
    def has_ended(self) -> bool:
        """Whether the server has said that nothing more comes."""
        return self._events.has_ended

    def complete_with(self, chunk: bytes) -> Iterator[Any]:
        """The events that end in this chunk of the stream, and what stands where one should; raises as
        `Events.complete_with`."""
        for said in self._events.complete_with(chunk):
            if not isinstance(said, dict):
                yield said
                continue
            if (error := said.get("error")) is not None:
                yield {"type": "error", "error": error}
                continue
            if not self._has_begun:
                self._has_begun = True
                yield {"type": "message_start", "message": {"model": said.get("model")}}
            if said.get("usage") is not None:
                self._usage = _usage(said["usage"])
            choices = said.get("choices")
            if not isinstance(choices, list | None):
                yield choices
            for choice in choices if isinstance(choices, list) else ():
                # One reply was asked for; a server that sends several at a time would have them mixed into one text.
                if isinstance(choice, dict) and choice.get("index", 0) == 0:
                    yield from self._of_choice(choice)

    def end(self) -> Iterator[dict[str, Any]]:
        """What is said once the stream has ended, or is cut off after the reply was whole."""
        if self._stop_reason is not None or self.has_ended:
            yield {"type": "message_delta", "delta": {"stop_reason": self._stop_reason}, "usage": self._usage}
            yield {"type": "message_stop"}

    def _of_choice(self, choice: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        said = choice.get("delta")
        delta = said if isinstance(said, dict) else {}
        text, refusal = delta.get("content"), delta.get("refusal")
        if self.is_complete:
            if text or refusal:
                yield {"type": "late", **choice}
            return
        if said is not None and delta is not said:
            yield {"type": "content_block_delta", "delta": said}
        if text:
            yield {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}
        if refusal:
            self._stop_reason = "refusal"
        elif (reason := choice.get("finish_reason")) not in (None, ""):  # some say "" until it is there
            self._stop_reason = _STOPS.get(reason, reason) if isinstance(reason, str) else reason


def _usage(said: Any) -> Any:
    """In the words of the Messages API, whose input leaves out what came from a cache. What is odd stays odd, and is
    unknown further on."""
    if not isinstance(said, dict):
        return said
    given, details = said.get("prompt_tokens"), said.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    if type(given) is int and type(cached) is int and 0 <= cached <= given:
        given -= cached
    else:
        cached = None
    return {"input_tokens": given, "cache_read_input_tokens": cached, "output_tokens": said.get("completion_tokens")}


def _refused(response: httpx2.Response, said: bytes) -> Failure:
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        found = None
    error = found.get("error") if isinstance(found, dict) else None
    error = error if isinstance(error, dict) else {}
    if response.is_redirect:
        where = shown(response.headers.get("location", "another address"))
        message = f"the server sends on to {where}, and no prompt is sent after it: name the address that answers"
        return Failure(type="redirected", message=message, status=response.status_code)
    code = error.get("code")
    message = str(error.get("message") or said[:QUOTED_BYTES].decode("utf-8", "replace") or "no reason given")
    return Failure(
        type=code if code in SPEND_LIMITS else type_of_server(error.get("type")) or f"http_{response.status_code}",
        message=shown(message),
        status=response.status_code,
        request_id=name_of(response.headers.get("x-request-id")),
    )


def _failed(so_far: PartialReply, events: _ChatEvents, kind: str, message: str) -> Attempt:
    return _ended(so_far, events, Failure(type=kind, message=shown(message), request_id=so_far.request_id))


def _ended(so_far: PartialReply, events: _ChatEvents, failure: Failure) -> Attempt:
    """What had come, and why no more did; a reply that was complete is one, whatever broke after it."""
    for event in events.end():
        so_far.take(event, None)
    return so_far.ended(failure)
