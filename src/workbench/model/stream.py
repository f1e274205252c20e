"""A reply while it streams: from the bytes of server-sent events to text, stop reason and usage.

Nothing that a server says is trusted to have the right type. What is not as the API has it is unknown, and noted with
the reply; where it may have been text, the reply cannot be told, and that is a failure of its own.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jiter import from_json

from workbench.model.api import Attempt
from workbench.model.failures import MALFORMED_REPLY, shown, type_of_server
from workbench.trial.trial import ODDITIES, TOOL_USES, UNKNOWN_STOP, Failure, Reply, Usage, shared

MOST_TEXT = 16_000_000
"""Characters of one reply; no model writes as many."""
MOST_EVENT_BYTES = 32_000_000
_MOST_TOKENS = 10**9
"""No request has as many; a larger number is none."""
_LONGEST_NAME = 200
_MOST_DETAILS = 20_000
_MOST_USES = 20
"""Tool calls of one reply that are kept where all of them are too long."""
_MOST_ODDITIES = 10
_LONGEST_QUOTED = 60
_ENVELOPE = {"type": "message", "role": "assistant"}
"""What a message says of itself, whatever it is."""
_NO_USAGE = "no usage"
"""Stands for the input where something else was told in the place of a usage: a number of nothing."""

_log = logging.getLogger(__name__)


class TooLarge(ValueError):
    """More than is taken of one reply."""


@dataclass(frozen=True)
class NoJson:
    """Stands for an event whose data is no JSON."""

    why: str


class PartialReply:
    """A reply while it comes: fed with the events of a stream, readable at any time.

    What is odd about it is noted and otherwise passed over: a reply that comes to its end is paid, and would be odd
    again. Only what may have been text, and cannot be read, makes that the text of the reply cannot be told.
    """

    def __init__(self, *, on_first_token: Callable[[], None] | None = None, in_batch: bool = False) -> None:
        """`in_batch`: it is a result of a message batch, which takes no time that could be told."""
        self.request_id: str | None = None
        self.stop_reason: str | None = None
        """Once it is there the text is complete, whatever comes after it."""
        self._on_first_token = on_first_token
        self._in_batch = in_batch
        self._pieces: list[str] = []
        self._characters = 0
        self._has_begun = False
        self._has_ended = False
        self._stop_details: Mapping[str, Any] | None = None
        self._model = ""
        self._tool_uses: list[tuple[str, Any, list[str]]] = []
        """By call: the tool, the input that its block began with, and the pieces of JSON that came after it."""
        self._usage: dict[str, Any] = {}
        self._output_is_final = False
        self._oddities: list[str] = []
        self._no_event = ""
        """What came first that is no event."""
        self._lost = ""
        """What came first that may have been text."""
        self._began = time.perf_counter()
        self._first: float | None = None

    def take(self, event: Any, on_text: Callable[[str], None] | None) -> Failure | None:
        """Adds one event, or notes what stands where one should; a failure is what an `error` event says.

        Raises:
            TooLarge: the reply is.
        """
        kind = event.get("type") if isinstance(event, dict) else None
        if self.stop_reason is not None and not (kind == "message_delta" and not self._has_ended):
            # The reply is whole and paid. Usage may still come with a `message_delta`, until the end is said.
            if kind == "message_stop":
                self._has_ended = True
            elif kind != "ping":
                self.note_late(event)
            return None
        if isinstance(event, NoJson):
            self._lose(f"data that is no JSON ({event.why})")
        elif kind is None:
            found = said_in_words(event) if not isinstance(event, dict) else "an event without a type"
            self._no_event = self._no_event or found
            self._note("event", found)
        elif kind == "content_block_delta":
            self._add_delta(event.get("delta"), on_text)
        elif kind == "content_block_start":
            self._begin_block(event.get("content_block"), on_text)
        elif kind == "message_start":
            self._begin(event.get("message"))
        elif kind == "message_delta":
            self._end(event.get("delta"), event.get("usage"))
        elif kind == "message_stop":
            if self._has_begun:
                self.stop_reason, self._has_ended = UNKNOWN_STOP, True
                self._note("stop_reason", "none")
        elif kind == "error":
            error = event.get("error")
            said = error if isinstance(error, dict) else {}
            return Failure(
                type=type_of_server(said.get("type")) or "api_error",
                message=f"in the stream: {said.get('message') or error}"[:_MOST_DETAILS],
                status=200,
                request_id=self.request_id,
            )
        return None

    def take_message(self, message: Mapping[str, Any], on_text: Callable[[str], None] | None = None) -> None:
        """Adds a whole message that came as one piece of JSON; raises as `take` does."""
        self._begin(message)
        content = message.get("content")
        if not isinstance(content, list):
            self._lose(f"content: {said_in_words(content)}")
        for block in content if isinstance(content, list) else ():
            self._begin_block(block, on_text)
        self._end(message, message.get("usage"))
        self.take({"type": "message_stop"}, None)

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
            stop_details=details_with(
                self._stop_details,
                called=[(name, _input_of(pieces) or began) for name, began, pieces in self._tool_uses],
                oddities=self._oddities,
            ),
            model=shared(self._model),
            usage=usage_of(usage, in_batch=self._in_batch),
            request_id=self.request_id,
            seconds_to_first_token=None if self._first is None else self._first - self._began,
            seconds=None if self._in_batch else now - self._began,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )

    def ended(self, failure: Failure | None = None) -> Attempt:
        """What became of the request, and, where the reply did not come to its end, why. One that did is whole and
        paid, whatever broke after it; only where its text cannot be told, it is a failure all the same, which is not
        worth another try."""
        partial = self.partial()
        if self.stop_reason is not None:
            return Attempt(reply=partial, failure=self._why_not_told())
        if self._no_event and (failure is None or failure.type == "broken_stream"):
            message = f"{self._no_event} instead of an event, and the stream ended before the model did"
            failure = Failure(type="malformed_stream", message=shown(message), request_id=self.request_id)
        return Attempt(reply=partial if partial.model or partial.text else None, failure=failure)

    def _why_not_told(self) -> Failure | None:
        if not self._lost:
            return None
        message = f"the reply came to its end and is paid, but not all of its text can be read: {self._lost}"
        return Failure(
            type=MALFORMED_REPLY,
            message=shown(f"{message}. Asked again it is paid again, and may be the same"),
            request_id=self.request_id,
        )

    def _note(self, where: str, said: str) -> None:
        note = f"{where}: {said}"
        if note not in self._oddities and len(self._oddities) < _MOST_ODDITIES:
            self._oddities.append(note)

    def _note_unless(self, is_sound: bool, where: str, said: Any) -> None:
        if not is_sound and said is not None:
            self._note(where, said_in_words(said))

    def _lose(self, what: str) -> None:
        self._no_event = self._no_event or what
        self._lost = self._lost or what

    def _begin(self, said: Any) -> None:
        self._has_begun = True
        message = said if isinstance(said, dict) else {}
        self._note_unless(message is said, "message", said)
        self._model = name_of(message.get("model")) or ""
        self._note_unless(bool(self._model), "model", message.get("model"))
        for name, sound in _ENVELOPE.items():
            self._note_unless(message.get(name) == sound, name, message.get(name))
        self._note_unless(isinstance(message.get("id"), str), "id", message.get("id"))
        self._add_usage(message.get("usage"))

    def _begin_block(self, said: Any, on_text: Callable[[str], None] | None) -> None:
        self._has_begun = True
        block = said if isinstance(said, dict) else {}
        kind = block.get("type")
        self._note_unless(isinstance(kind, str), "content block", kind if block else said)
        if kind == "text":
            self._add(block.get("text"), on_text)
        elif kind == "tool_use":
            self._note_unless(name_of(block.get("name")) is not None, "name of a tool", block.get("name"))
            self._tool_uses.append((name_of(block.get("name")) or "", block.get("input"), []))

    def _add_delta(self, said: Any, on_text: Callable[[str], None] | None) -> None:
        self._has_begun = True
        if self._first is None:
            self._first = time.perf_counter()
            if self._on_first_token is not None:
                self._on_first_token()
        if not isinstance(said, dict):
            self._lose(f"delta of a content block: {said_in_words(said)}")
        elif said.get("type") == "text_delta":
            self._add(said.get("text"), on_text)
        elif said.get("type") == "input_json_delta" and self._tool_uses:
            self._add_input(said.get("partial_json"))
        else:
            self._note_unless(isinstance(said.get("type"), str), "type of a delta", said.get("type"))

    def _add(self, text: Any, on_text: Callable[[str], None] | None) -> None:
        if text is None or text == "" or self._lost:  # after a gap the pieces are no text that was said
            return
        if not isinstance(text, str):
            self._lose(f"text: {said_in_words(text)}")
            return
        self._count(text)
        self._pieces.append(text)
        if on_text is not None:
            on_text(text)

    def _add_input(self, piece: Any) -> None:
        if not isinstance(piece, str):
            self._lose(f"input of a tool: {said_in_words(piece)}")
            return
        self._count(piece)
        self._tool_uses[-1][2].append(piece)

    def _count(self, piece: str) -> None:
        self._characters += len(piece)
        if self._characters > MOST_TEXT:
            raise TooLarge(f"a reply of more than {MOST_TEXT:,} characters")

    def _end(self, said: Any, usage: Any) -> None:
        delta = said if isinstance(said, dict) else {}
        self._note_unless(delta is said, "delta of the message", said)
        if self.stop_reason is None:
            reason, details = delta.get("stop_reason"), delta.get("stop_details")
            self.stop_reason = name_of(reason) or (None if reason is None else UNKNOWN_STOP)
            self._note_unless(name_of(reason) is not None, "stop_reason", reason)
            self._stop_details = details_of(details)
            self._note_unless(self._stop_details is not None, "stop_details", details)
            stop_sequence = delta.get("stop_sequence")
            self._note_unless(isinstance(stop_sequence, str), "stop_sequence", stop_sequence)
        self._add_usage(usage)
        self._output_is_final |= isinstance(usage, dict) and "output_tokens" in usage

    def _add_usage(self, usage: Any) -> None:
        for where, said in odd_in_usage(usage).items():
            self._note(where, said_in_words(said))
        if isinstance(usage, dict):
            self._usage.update({name: n for name, n in usage.items() if n is not None})
        elif usage is not None:
            self._usage["input_tokens"] = _NO_USAGE


def said_in_words(said: Any) -> str:
    """What stands where something else should, for a note about it: short, and without credentials."""
    if isinstance(said, dict | list):
        return "an object" if isinstance(said, dict) else "a list"
    if isinstance(said, str):
        return shown(json.dumps(said[:_LONGEST_QUOTED], ensure_ascii=False))
    if type(said) is int and abs(said) >= 10**_LONGEST_QUOTED:
        return "a number of very many digits"  # to spell it out may be refused
    return json.dumps(said)


def odd_in_usage(said: Any) -> dict[str, Any]:
    """What in the usage that a server tells is not understood, by where it stands."""
    if not isinstance(said, dict):
        return {} if said is None else {"usage": said}
    odd = {name: said[name] for name in _COUNTED if said.get(name) is not None and _count(said[name]) is None}
    if _for_an_hour(said.get("cache_creation"))[1]:
        odd["cache_creation"] = said["cache_creation"]
    if said.get("service_tier") is not None and name_of(said["service_tier"]) is None:
        odd["service_tier"] = said["service_tier"]
    return {f"usage.{name}": found for name, found in odd.items()}


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


def details_with(
    details: Mapping[str, Any] | None, *, called: Sequence[tuple[str, Any]], oddities: Sequence[str] = ()
) -> Mapping[str, Any] | None:
    """The details of a stop, with the tools that were called (name, input) where any was, and with what was odd. An
    input that is no object or cannot be kept is an empty one; where all are too long together, the texts in them are
    cut."""
    noted: dict[str, Any] = {ODDITIES: list(oddities)} if oddities else {}
    if not called:
        return {**(details or {}), **noted} if noted else details
    uses = [{"name": name, "input": found if details_of(found) is not None else {}} for name, found in called]
    kept = details_of({**(details or {}), **noted, TOOL_USES: uses})
    if kept is None:
        kept = details_of({**noted, TOOL_USES: [{**use, "input": _cut(use["input"])} for use in uses[:_MOST_USES]]})
    bare = [{"name": use["name"], "input": {}} for use in uses[:_MOST_USES]]
    return kept if kept is not None else {**noted, TOOL_USES: bare}


def _cut(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name[:_LONGEST_NAME]: value[:_LONGEST_NAME] for name, value in found.items() if isinstance(value, str)}


def _input_of(pieces: Sequence[str]) -> Any:
    """The input of a tool whose JSON came in pieces; `None` where it is cut off, or none."""
    try:
        return readable_json("".join(pieces).encode()) if pieces else None
    except ValueError:
        return None


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
        """The events that end in this chunk of the stream; a `NoJson` for one whose data is none.

        Raises:
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
                    yield _readable_or_not(data)
        if self._waiting > MOST_EVENT_BYTES:
            raise TooLarge(f"an event of more than {MOST_EVENT_BYTES:,} bytes")


def _readable_or_not(data: bytes) -> Any:
    try:
        return readable_json(data)
    except ValueError as error:
        return NoJson(shown(str(error)))


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
