"""A reply while it streams: from the bytes of server-sent events to text, stop reason and usage.

Nothing that a server says is trusted to have the right type. What is not as the API has it is a `ValueError` where the
reply cannot be told without it, and unknown where it can.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jiter import from_json

from workbench.model.failures import shown, type_of_server
from workbench.trial.trial import TOOL_USES, Failure, Reply, Usage, shared

MOST_TEXT = 16_000_000
"""Characters of one reply; no model writes as many."""
MOST_EVENT_BYTES = 32_000_000
_MOST_TOKENS = 10**9
"""No request has as many; a larger number is none."""
_LONGEST_NAME = 200
_MOST_DETAILS = 20_000
_MOST_USES = 20
"""Tool calls of one reply that are kept where all of them are too long."""
_NO_USAGE = "no usage"
"""Stands for the input where something else was told in the place of a usage: a number of nothing."""

_log = logging.getLogger(__name__)


class TooLarge(ValueError):
    """More than is taken of one reply."""


class PartialReply:
    """A reply while it comes: fed with the events of a stream, readable at any time."""

    def __init__(self, *, on_first_token: Callable[[], None] | None = None) -> None:
        self.request_id: str | None = None
        self.stop_reason: str | None = None
        """Once it is there the text is complete, whatever comes after it."""
        self._on_first_token = on_first_token
        self._pieces: list[str] = []
        self._characters = 0
        self._has_ended = False
        self._stop_details: Mapping[str, Any] | None = None
        self._model = ""
        self._tool_uses: list[tuple[str, Any, list[str]]] = []
        """By call: the tool, the input that its block began with, and the pieces of JSON that came after it."""
        self._usage: dict[str, Any] = {}
        self._output_is_final = False
        self._began = time.perf_counter()
        self._first: float | None = None

    def take(self, event: Any, on_text: Callable[[str], None] | None) -> Failure | None:
        """Adds one event; a failure is what an `error` event says.

        Raises:
            ValueError: it is none.
        """
        kind = event.get("type") if isinstance(event, dict) else None
        if self.stop_reason is not None and not (kind == "message_delta" and not self._has_ended):
            # The reply is whole and paid. Usage may still come with a `message_delta`, until the end is said.
            if kind == "message_stop":
                self._has_ended = True
            elif kind != "ping":
                self.note_late(event)
            return None
        if kind == "content_block_delta":
            if self._first is None:
                self._first = time.perf_counter()
                if self._on_first_token is not None:
                    self._on_first_token()
            delta = _mapping(event.get("delta"))
            if delta.get("type") == "text_delta":
                self._add(delta.get("text"), on_text)
            elif delta.get("type") == "input_json_delta" and self._tool_uses:
                self._add_input(delta.get("partial_json"))
        elif kind == "content_block_start":
            block = _mapping(event.get("content_block"))
            if block.get("type") == "text":
                self._add(block.get("text") or "", on_text)
            elif block.get("type") == "tool_use":
                self._tool_uses.append((name_of(block.get("name")) or "", block.get("input"), []))
        elif kind == "message_start":
            message = _mapping(event.get("message"))
            self._model = name_of(message.get("model")) or ""
            self._add_usage(message.get("usage"))
        elif kind == "message_delta":
            self._end(_mapping(event.get("delta")), event.get("usage"))
        elif kind == "error":
            error = event.get("error")
            said = error if isinstance(error, dict) else {}
            return Failure(
                type=type_of_server(said.get("type")) or "api_error",
                message=f"in the stream: {said.get('message') or error}"[:_MOST_DETAILS],
                status=200,
                request_id=self.request_id,
            )
        elif kind is None:
            raise ValueError("an event without a type")
        return None

    def note_late(self, said: Any) -> None:
        """Notes in the log what came after the end of the reply and is no part of it: its beginning, without keys."""
        if _log.isEnabledFor(logging.INFO):
            _log.info("ignored after the end of reply %s: %s", self.request_id, shown(str(said)))

    def partial(self) -> Reply:
        """The reply as far as it has come. Output tokens are unknown until the stream says them at its end."""
        now = time.perf_counter()
        usage = dict(self._usage)
        if not self._output_is_final:
            usage.pop("output_tokens", None)
        return Reply(
            text="".join(self._pieces),
            stop_reason=shared(self.stop_reason),
            stop_details=details_with_tools(
                self._stop_details,
                [(name, _input_of(pieces) or began) for name, began, pieces in self._tool_uses],
            ),
            model=shared(self._model),
            usage=usage_of(usage),
            request_id=self.request_id,
            seconds_to_first_token=None if self._first is None else self._first - self._began,
            seconds=now - self._began,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )

    def _add(self, text: Any, on_text: Callable[[str], None] | None) -> None:
        if not isinstance(text, str):
            raise ValueError(f"{type(text).__name__} where the text of a reply should be")
        if not text:
            return
        self._characters += len(text)
        if self._characters > MOST_TEXT:
            raise TooLarge(f"a reply of more than {MOST_TEXT:,} characters")
        self._pieces.append(text)
        if on_text is not None:
            on_text(text)

    def _add_input(self, piece: Any) -> None:
        if not isinstance(piece, str):
            raise ValueError(f"{type(piece).__name__} where the input of a tool should be")
        self._characters += len(piece)
        if self._characters > MOST_TEXT:
            raise TooLarge(f"a reply of more than {MOST_TEXT:,} characters")
        self._tool_uses[-1][2].append(piece)

    def _end(self, delta: Mapping[str, Any], usage: Any) -> None:
        if self.stop_reason is None:
            self.stop_reason = name_of(delta.get("stop_reason"))
            self._stop_details = details_of(delta.get("stop_details"))
        self._add_usage(usage)
        self._output_is_final |= isinstance(usage, dict) and "output_tokens" in usage

    def _add_usage(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self._usage.update({name: n for name, n in usage.items() if n is not None})
        elif usage is not None:
            self._usage["input_tokens"] = _NO_USAGE


def usage_of(said: Any, *, in_batch: bool = False) -> Usage:
    """The usage that a server tells. What is no whole number of 0 or more is unknown; where a kind of input is unknown
    though it was told, all of the input is, and a budget counts the worst case.

    "batch" as the tier of a reply that was streamed is not believed: it would halve its price.
    """
    told = said if isinstance(said, dict) else {"input_tokens": _NO_USAGE}
    counts = {name: _count(told.get(name)) for name in _COUNTED}
    written = counts["cache_creation_input_tokens"]
    for_an_hour, is_odd = _for_an_hour(told.get("cache_creation"))
    if is_odd:
        for_an_hour = written
    if any(told.get(name) is not None and counts[name] is None for name in _INPUT) or (is_odd and written is None):
        counts |= dict.fromkeys(_INPUT)
    tier = name_of(told.get("service_tier"))
    return Usage(
        **counts,
        cache_creation_1h_input_tokens=for_an_hour,
        service_tier=shared(tier) if in_batch or tier != "batch" else None,
    )


_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_COUNTED = (*_INPUT, "output_tokens")


def _for_an_hour(said: Any) -> tuple[int | None, bool]:
    """How much of what was written into the cache is kept for an hour, which costs more; and whether it was told in a
    way that cannot be understood."""
    told = said.get("ephemeral_1h_input_tokens") if isinstance(said, dict) else said
    count = _count(told) if isinstance(said, dict) else None
    return count, told is not None and count is None


def _count(said: Any) -> int | None:
    return said if type(said) is int and 0 <= said <= _MOST_TOKENS else None


def name_of(said: Any) -> str | None:
    """A name that a server gives: of a model, a stop reason, a request; `None`: it is no text, or none at all."""
    return said[:_LONGEST_NAME] if isinstance(said, str) and said else None


def details_of(said: Any) -> Mapping[str, Any] | None:
    """What the API says of a refusal; `None` where it is no object, or not one that can be kept as JSON."""
    if not isinstance(said, dict):
        return None
    try:
        kept = json.dumps(said, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return said if len(kept) <= _MOST_DETAILS else None


def details_with_tools(
    details: Mapping[str, Any] | None, called: Sequence[tuple[str, Any]]
) -> Mapping[str, Any] | None:
    """The details of a stop, with the tools that were called (name, input) where any was. An input that is no object
    or cannot be kept is an empty one; where all are too long together, the texts in them are cut."""
    if not called:
        return details
    uses = [{"name": name, "input": found if details_of(found) is not None else {}} for name, found in called]
    kept = details_of({**(details or {}), TOOL_USES: uses})
    if kept is None:
        kept = details_of({TOOL_USES: [{**use, "input": _cut(use["input"])} for use in uses[:_MOST_USES]]})
    return kept if kept is not None else {TOOL_USES: [{"name": use["name"], "input": {}} for use in uses[:_MOST_USES]]}


def _cut(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name[:_LONGEST_NAME]: value[:_LONGEST_NAME] for name, value in found.items() if isinstance(value, str)}


def _input_of(pieces: Sequence[str]) -> Any:
    """The input of a tool whose JSON came in pieces; `None` where it is cut off, or none."""
    try:
        return readable_json("".join(pieces).encode()) if pieces else None
    except ValueError:
        return None


def _mapping(said: Any) -> Mapping[str, Any]:
    if not isinstance(said, dict):
        raise ValueError(f"{type(said).__name__} where an object should be")
    return said


class Events:
    """Server-sent events as their JSON data. Lines end in LF or CRLF only: U+2028 may stand inside the data."""

    def __init__(self, *, ends: bytes = b"") -> None:
        """`ends`: data that is no JSON, and says that nothing comes after it."""
        self._ends = ends
        self.has_ended = False
        """Whether that has come."""
        self._line: list[bytes] = []  # the pieces of one that has not ended; joined once, however many they are
        self._data: list[bytes] = []
        self._waiting = 0

    def complete_with(self, chunk: bytes) -> Iterator[Any]:
        """The events that end in this chunk of the stream.

        Raises:
            ValueError: one is no JSON.
            TooLarge: one has more than `MOST_EVENT_BYTES`.
        """
        self._waiting += len(chunk)
        *lines, rest = chunk.split(b"\n")
        if lines and self._line:
            lines[0] = b"".join((*self._line, lines[0]))
            self._line = []
        if rest:
            self._line.append(rest)
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line:
                data, self._data = b"\n".join(self._data), []
                self._waiting = len(rest)
                if data and data == self._ends:
                    self.has_ended = True
                elif data:
                    yield readable_json(data)
        if self._waiting > MOST_EVENT_BYTES:
            raise TooLarge(f"an event of more than {MOST_EVENT_BYTES:,} bytes")


def readable_json(data: bytes) -> Any:
    """JSON without lone surrogates, which an escape such as `\\ud83d` may make and nothing can store.

    Raises:
        ValueError: it is none, or nothing that could be read: nested too deep, a number of thousands of digits.
    """
    try:
        return from_json(data)
    except ValueError:
        try:
            value = json.loads(data.decode())
            return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
        except RecursionError:
            raise ValueError("JSON that is nested too deep") from None
