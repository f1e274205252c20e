"""The one door to the model: the official SDK. Only here are credentials read.

The SDK's own retries are off (it may sleep for as long as a server asks, unseen); one call is one request, and
what became of it comes back as an `Attempt`. Streams are read from the raw response, because the SDK's typed
stream takes an early end for success and lets socket errors through untranslated.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from workbench.errors import SetupError
from workbench.model.rate_limits import RateLimit, rate_limits
from workbench.model.stream import Events, PartialReply
from workbench.secrets import without_secrets
from workbench.trial.catalogue import OFFLINE_BASE_URL
from workbench.trial.trial import Endpoint, Failure, Reply, Request

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic as AsyncAnthropic
    from opentelemetry.trace import Tracer

_API = "https://api.anthropic.com"
_CREDENTIAL_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE")
_SECRET_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_IDENTITY_TOKEN")
_FEDERATION_VARIABLES = ("ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID")

SPEND_LIMITS = ("enforced_spend_limit_reached", "contract_spend_limit_reached")
"""Error codes that the API sends with 429, though no waiting helps."""

CONNECT_SECONDS = 10.0
DEADLINE_SECONDS = 900.0
"""The longest that one request may take in all."""
SILENCE_SECONDS = 120.0
"""The longest wait for the next piece of a reply."""
ENDING_SECONDS = 2.0
"""The longest wait for the end of a stream whose reply is complete: longer, and the connection is given up."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What became of one request. A broken stream has both: the part that came, and why it broke."""

    reply: Reply | None = None
    failure: Failure | None = None
    retry_after_seconds: float | None = None


def choose_endpoint(live: bool | None = None) -> Endpoint:
    """Where requests will be answered, from the environment.

    `ANTHROPIC_BASE_URL` names a server of the user's own (no key needed if it asks for none);
    `ANTHROPIC_API_KEY`, `ANTHROPIC_AUTH_TOKEN` or a profile means the API; with none of them the offline
    stand-in answers. `live=False` is always the stand-in; `live=True` never is.

    Raises:
        SetupError: a setting cannot work, or `live=True` and nothing is set; says what to set.
    """
    if live is False:
        return Endpoint(kind="offline", base_url=OFFLINE_BASE_URL)
    base_url = os.environ.get("ANTHROPIC_BASE_URL", "").strip()
    if base_url and base_url.rstrip("/") != _API:
        return Endpoint(kind="server", base_url=_checked_base_url(base_url))
    if _has_credentials():
        return Endpoint(kind="live", base_url=_API)
    if live:
        raise SetupError(
            "a live run was asked for, but there is no key: set ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN, or a "
            "profile), or set ANTHROPIC_BASE_URL to a server of your own; or leave live off to use the offline stand-in"
        )
    return Endpoint(kind="offline", base_url=OFFLINE_BASE_URL)


def endpoint_at(base_url: str) -> Endpoint:
    """The endpoint that a ledger or a record names by its address."""
    kind: Literal["offline", "live", "server"] = "server"
    if base_url in (OFFLINE_BASE_URL, _API):
        kind = "offline" if base_url == OFFLINE_BASE_URL else "live"
    return Endpoint(kind=kind, base_url=base_url)


def describe_endpoint(endpoint: Endpoint) -> str:
    """One line for the start of a run: who answers, and how to change that."""
    if endpoint.is_stand_in:
        return (
            "Answered by the OFFLINE STAND-IN, not by a model: no key is used, nothing is spent, and the numbers "
            "say nothing about any model. Set ANTHROPIC_API_KEY to go live."
        )
    return (
        f"Answered {'live by the Messages API' if endpoint.kind == 'live' else 'by the server'} at {endpoint.base_url}."
    )


def _checked_base_url(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SetupError(
            "ANTHROPIC_BASE_URL is not an http or https address; set it to the root of the server, such as "
            "http://127.0.0.1:11434"
        )
    host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    if parts.username or parts.password or parts.query:
        raise SetupError(
            f"ANTHROPIC_BASE_URL for {host} carries credentials or a query; put the key into ANTHROPIC_API_KEY and "
            "keep only the root address"
        )
    path = parts.path.rstrip("/")
    if path.endswith("/v1"):
        raise SetupError(
            f"ANTHROPIC_BASE_URL ends in /v1, so requests would go to {path}/v1/messages; give the root: "
            f"{urlunsplit((parts.scheme, parts.netloc, path.removesuffix('/v1'), '', ''))}"
        )
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _has_credentials() -> bool:
    key = os.environ.get("ANTHROPIC_API_KEY", "")
    if key != key.strip() or any(character in key for character in " \t\r\n'\""):
        raise SetupError(
            f"ANTHROPIC_API_KEY holds blanks, quotes or a line break among its {len(key)} characters; set it to the "
            "key alone"
        )
    return (
        any(os.environ.get(name) for name in _CREDENTIAL_VARIABLES)
        or all(os.environ.get(name) for name in _FEDERATION_VARIABLES)
        or _has_profile()
    )


def _has_profile() -> bool:
    config = os.environ.get("ANTHROPIC_CONFIG_DIR")
    folder = Path(config) if config else Path.home() / ".config" / "anthropic"
    return any((folder / "configs").glob("*.json"))


@asynccontextmanager
async def open_client(endpoint: Endpoint, *, connections: int = 8) -> AsyncIterator[AsyncAnthropic]:
    """The SDK's client for this endpoint, closed afterwards.

    Raises:
        SetupError: the SDK finds the credentials unusable.
    """
    with _collector_at_rest():
        import anthropic
        import httpx2

    # It points at whoever calls the SDK, which is us; `retirement_of` is how a run says it, once.
    warnings.filterwarnings("ignore", r"The model '.*' is deprecated", DeprecationWarning)
    timeout = httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    telemetry: Literal[False] | None = None if tracer() else False  # None: as the environment says
    if endpoint.is_stand_in:
        from workbench.model.offline.transport import OfflineTransport

        client = anthropic.AsyncAnthropic(
            api_key="offline",
            base_url=endpoint.base_url,
            max_retries=0,
            open_telemetry=telemetry,
            timeout=timeout,
            http_client=anthropic.DefaultAsyncHttpxClient(transport=OfflineTransport.from_environment()),
        )
    else:
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        # The environment's key is for the server that the environment names: a variant's own server never sees it.
        asks_for_none = endpoint.kind == "server" and (not _has_credentials() or endpoint != choose_endpoint())
        try:
            client = anthropic.AsyncAnthropic(
                api_key="none" if asks_for_none else None,
                base_url=endpoint.base_url,
                max_retries=0,
                open_telemetry=telemetry,
                timeout=timeout,
                http_client=anthropic.DefaultAioHttpClient(limits=limits, timeout=timeout),
            )
        except anthropic.AnthropicError as error:
            raise SetupError(f"the credentials cannot be used: {error}") from error
    async with client:
        yield client


def tracer() -> Tracer | None:
    """What makes the spans of trials; `None`: the program set no OpenTelemetry provider, and nobody would see them."""
    from opentelemetry import trace

    found = trace.get_tracer("workbench")
    return None if isinstance(found, trace.ProxyTracer | trace.NoOpTracer) else found


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Spares an import the garbage collector, which would look again and again through what is there to stay.

    The SDK has half a million such objects; they cost a third of its import, and once more at the program's end.
    """
    if "anthropic" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0:
            gc.freeze()
            if "ipykernel" in sys.modules:
                gc.unfreeze()  # A notebook makes and drops much: what is there now may be garbage later.
        gc.enable()


def retirement_of(model: str) -> str | None:
    """The day, in English, on which the API no longer answers as this model, by the SDK; `None`: it names none."""
    from anthropic.resources.messages import DEPRECATED_MODELS

    return DEPRECATED_MODELS.get(model)


async def ask(
    client: AsyncAnthropic,
    request: Request,
    *,
    draw: int = 0,
    on_text: Callable[[str], None] | None = None,
    progress: PartialReply | None = None,
    on_limits: Callable[[tuple[RateLimit, ...]], None] | None = None,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> Attempt:
    """Sends one request and reads its stream to the end; `on_text` gets each piece of text as it comes.

    Never raises for what the network or the server does: that is the `failure` of the attempt. `progress` holds
    the reply as far as it has come, for whoever cancels; `on_limits` gets the rate limits that the server tells,
    before the reply.
    """
    import asyncio

    import anthropic
    import httpx2

    progress = progress or PartialReply()
    call = client.messages.with_streaming_response.create(
        **request.body(), extra_headers={"x-workbench-draw": str(draw)}
    )
    try:
        async with asyncio.timeout(deadline_seconds) as deadline, call as response:
            progress.request_id = response.headers.get("request-id") or response.headers.get("x-request-id")
            if on_limits is not None:
                on_limits(rate_limits(response.headers))
            content_type = response.headers.get("content-type", "")
            if not content_type.startswith("text/event-stream"):
                body = await response.read()
                return Attempt(
                    failure=Failure(
                        type="not_a_stream",
                        message=f"the server answered 200 with {content_type or 'no content type'} instead of a "
                        f"stream: {without_credentials(body[:200].decode('utf-8', 'replace'))!r}",
                        status=200,
                        request_id=progress.request_id,
                    )
                )
            events = Events()
            async for chunk in response.iter_bytes():
                for event in events.complete_with(chunk):
                    failure = progress.take(event, on_text)
                    if failure is not None:
                        message = without_credentials(failure.message)
                        return Attempt(reply=progress.partial(), failure=replace(failure, message=message))
                if progress.stop_reason is not None:
                    soon = asyncio.get_running_loop().time() + ENDING_SECONDS
                    deadline.reschedule(soon if (at := deadline.when()) is None else min(at, soon))
    except anthropic.APIStatusError as error:
        headers = error.response.headers
        if on_limits is not None:
            on_limits(rate_limits(headers))
        return Attempt(failure=status_failure(error), retry_after_seconds=retry_after(headers))
    except (anthropic.APITimeoutError, httpx2.TimeoutException) as error:
        return _broken(progress, "unreachable" if _was_never_sent(error) else "timeout", describe_cause(error))
    except (anthropic.APIConnectionError, httpx2.TransportError) as error:
        return _broken(progress, "unreachable" if _was_never_sent(error) else "connection", describe_cause(error))
    except TimeoutError:
        return _broken(progress, "deadline", f"no complete reply within {deadline_seconds:g} seconds")
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        return _broken(progress, "malformed_stream", describe_cause(error))
    if progress.stop_reason is None:
        return _broken(progress, "broken_stream", "the stream ended before the model did")
    return Attempt(reply=progress.partial())


async def count_input_tokens(client: AsyncAnthropic, request: Request) -> int | None:
    """The tokens of this request as the endpoint counts them, which costs nothing; `None`: it does not count."""
    import anthropic
    import httpx2

    body = {name: value for name, value in request.body().items() if name not in ("max_tokens", "stream")}
    try:
        counted = await client.messages.count_tokens(**body, timeout=CONNECT_SECONDS)
    except (anthropic.APIError, httpx2.TransportError, json.JSONDecodeError):
        return None
    tokens = getattr(counted, "input_tokens", None)  # a page instead of JSON comes as text
    return tokens if isinstance(tokens, int) and tokens > 0 else None


def _broken(progress: PartialReply, kind: str, message: str) -> Attempt:
    partial = progress.partial()
    if progress.stop_reason is not None:
        return Attempt(reply=partial)  # the reply was complete, and is paid: what broke came after it
    return Attempt(
        reply=partial if partial.model or partial.text else None,
        failure=Failure(type=kind, message=message, request_id=progress.request_id),
    )


def _was_never_sent(error: BaseException | None) -> bool:
    """There was no connection to send on. The transport's `ConnectError` does not say it: it means a reset too."""
    import aiohttp

    while error is not None:
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return True
        error = error.__cause__
    return False


def describe_cause(error: Exception) -> str:
    cause = error.__cause__ or error
    return without_credentials(f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__)


def without_credentials(text: str) -> str:
    """A server may repeat the key that it refuses, however short; failures are stored and shown."""
    for name in _SECRET_VARIABLES:
        if secret := os.environ.get(name, "").strip():
            text = text.replace(secret, f"[{name}]")
    return without_secrets(text)


def status_failure(error: Any) -> Failure:
    return Failure(
        type=error.error_code if error.error_code in SPEND_LIMITS else error.type or f"http_{error.status_code}",
        message=without_credentials(str(error.api_message or error.message))[:500],
        status=error.status_code,
        request_id=error.request_id,
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: `retry-after-ms`, or `retry-after` as seconds or as a date."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        if value.strip()[:1].isdigit():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
