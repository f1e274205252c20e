"""A reply while it streams: from the bytes of server-sent events to text, stop reason and usage."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from jiter import from_json

from workbench.secrets import without_secrets
from workbench.trial.trial import Failure, Reply, Usage, shared


class PartialReply:
    """A reply while it comes: fed with the events of a stream, readable at any time."""

    def __init__(
        self,
        *,
        on_first_token: Callable[[], None] | None = None,
        scrub: Callable[[str], str] = without_secrets,
    ) -> None:
        self.request_id: str | None = None
        self.stop_reason: str | None = None
        self._on_first_token = on_first_token
        self._scrub = scrub
        self._pieces: list[str] = []
        self._stop_details: Mapping[str, Any] | None = None
        self._model = ""
        self._usage: dict[str, Any] = {}
        self._output_is_final = False
        self._began = time.perf_counter()
        self._first: float | None = None

    def take(self, event: Mapping[str, Any], on_text: Callable[[str], None] | None) -> Failure | None:
        """Adds one event; a failure is what an `error` event says."""
        kind = event["type"]
        if kind == "content_block_delta":
            if self._first is None:
                self._first = time.perf_counter()
                if self._on_first_token is not None:
                    self._on_first_token()
            if event["delta"].get("type") == "text_delta":
                self._add(event["delta"]["text"], on_text)
        elif kind == "content_block_start" and event["content_block"].get("type") == "text":
            self._add(event["content_block"].get("text") or "", on_text)
        elif kind == "message_start":
            self._model = event["message"].get("model") or ""
            self._usage.update(event["message"].get("usage") or {})
        elif kind == "message_delta":
            self.stop_reason = event["delta"].get("stop_reason")
            self._stop_details = event["delta"].get("stop_details")
            self._usage.update({name: n for name, n in (event.get("usage") or {}).items() if n is not None})
            self._output_is_final = "output_tokens" in (event.get("usage") or {})
        elif kind == "error":
            error = event.get("error") or {}
            return Failure(
                type=str(error.get("type") or "api_error"),
                message=f"in the stream: {error.get('message') or error}",
                status=200,
                request_id=self.request_id,
            )
        return None

    def partial(self) -> Reply:
        """The reply as far as it has come. Output tokens are unknown until the stream says them at its end."""
        now = time.perf_counter()
        return Reply(
            text=self._scrub("".join(self._pieces)),  # here, so that what is replayed is what was seen
            stop_reason=shared(self.stop_reason),
            stop_details=details_without_secrets(self._stop_details, self._scrub),
            model=shared(self._model),
            usage=Usage(
                input_tokens=self._usage.get("input_tokens"),
                output_tokens=self._usage.get("output_tokens") if self._output_is_final else None,
                cache_creation_input_tokens=self._usage.get("cache_creation_input_tokens"),
                cache_read_input_tokens=self._usage.get("cache_read_input_tokens"),
                cache_creation_1h_input_tokens=(self._usage.get("cache_creation") or {}).get(
                    "ephemeral_1h_input_tokens"
                ),
                service_tier=shared(self._usage.get("service_tier")),
            ),
            request_id=self.request_id,
            seconds_to_first_token=None if self._first is None else self._first - self._began,
            seconds=now - self._began,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )

    def _add(self, text: str, on_text: Callable[[str], None] | None) -> None:
        if text:
            self._pieces.append(text)
            if on_text is not None:
                on_text(text)


def details_without_secrets(
    details: Mapping[str, Any] | None, scrub: Callable[[str], str] = without_secrets
) -> Mapping[str, Any] | None:
    """What the API says of a refusal, which may repeat what was said to the model."""
    if details is None:
        return None
    found: Mapping[str, Any] = json.loads(scrub(json.dumps(details, ensure_ascii=False)))
    return found


class Events:
    """Server-sent events as their JSON data. Lines end in LF or CRLF only: U+2028 may stand inside the data."""

    def __init__(self) -> None:
        self._waiting = b""
        self._data: list[bytes] = []

    def complete_with(self, chunk: bytes) -> Iterator[Mapping[str, Any]]:
        """The events that end in this chunk of the stream."""
        *lines, self._waiting = (self._waiting + chunk).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                self._data.clear()
                yield readable_json(data)


def readable_json(data: bytes) -> Any:
    """JSON without lone surrogates, which an escape such as `\\ud83d` may make and nothing can store.

    Raises:
        json.JSONDecodeError, UnicodeDecodeError: it is none.
    """
    try:
        return from_json(data)
    except ValueError:
        value = json.loads(data.decode())
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
