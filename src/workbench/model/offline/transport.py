"""The offline stand-in: answers in the place of the Messages API when there is no key.

It sits beneath the official SDK as its transport, so that everything above runs as it does live: the SDK, the
stream, the errors. It is not a model. It puts its replies together from tables (`behaviour.toml`) by
what the persona asks for and what the request is about (`reply.py`); each ends in a line that says who
wrote it. The model that a request names changes nothing.

Its tokens are not a model's either: a text has a quarter as many as it has characters, rounded up.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from workbench.errors import SetupError
from workbench.model.offline.choosing import choose_tool
from workbench.model.offline.judgement import write_judgement
from workbench.model.offline.reply import NOTICE, SENTENCES_BY_EFFORT, content_text, write_reply
from workbench.trial.catalogue import OFFLINE_MODEL

DRAW_HEADER = "x-workbench-draw"
CHARACTERS_PER_TOKEN = 4

_SAMPLING = ("temperature", "top_p", "top_k")
_FIRST_TOKEN_VARIABLE = "WORKBENCH_OFFLINE_SECONDS_TO_FIRST_TOKEN"
_SPEED_VARIABLE = "WORKBENCH_OFFLINE_TOKENS_PER_SECOND"


def count_tokens(text: str) -> int:
    """About how many tokens a text has: one for four characters, and at least one."""
    return max(1, -(-len(text) // CHARACTERS_PER_TOKEN))


class OfflineTransport(httpx2.AsyncBaseTransport):
    """Answers `POST /v1/messages`, `POST /v1/messages/count_tokens` and `GET /v1/models` without a network.

    The same body and the same `x-workbench-draw` header (a whole number, 0 where absent) give the same
    bytes. With a `tokens_per_second` of 0 there is no waiting.
    """

    def __init__(self, *, seconds_to_first_token: float = 0.0, tokens_per_second: float = 0.0) -> None:
        self.seconds_to_first_token = seconds_to_first_token
        self.tokens_per_second = tokens_per_second

    @classmethod
    def from_environment(cls) -> OfflineTransport:
        """With the speed that `WORKBENCH_OFFLINE_SECONDS_TO_FIRST_TOKEN` and `..._TOKENS_PER_SECOND` set.

        Raises:
            SetupError: one of them is not a number of 0 or more.
        """
        return cls(
            seconds_to_first_token=_number_from(_FIRST_TOKEN_VARIABLE),
            tokens_per_second=_number_from(_SPEED_VARIABLE),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The response that the API would give, its errors included; never raises for what is asked."""
        content = await request.aread()
        draw = request.headers.get(DRAW_HEADER, "0")
        identity = hashlib.sha256(b"\0".join([str(request.url.path).encode(), draw.encode(), content])).hexdigest()[:24]
        headers = {"request-id": f"req_offline_{identity}"}
        try:
            match request.method, request.url.path:
                case "GET", "/v1/models":
                    return httpx2.Response(200, headers=headers, json=_models())
                case "POST", "/v1/messages/count_tokens":
                    body = _read_body(content, needs_max_tokens=False)
                    return httpx2.Response(200, headers=headers, json={"input_tokens": _input_tokens(body)})
                case "POST", "/v1/messages":
                    answer = _answer(_read_body(content), _read_draw(draw), identity)
                case method, path:
                    raise _Refused(404, "not_found_error", f"the offline stand-in does not serve {method} {path}")
        except _Refused as refused:
            return httpx2.Response(refused.status, headers=headers, json=refused.body(headers["request-id"]))
        if answer.is_stream:
            stream = _Stream(answer, self.seconds_to_first_token, self.tokens_per_second)
            return httpx2.Response(
                200, headers={**headers, "content-type": "text/event-stream; charset=utf-8"}, stream=stream
            )
        seconds = self.seconds_to_first_token
        if self.tokens_per_second > 0:
            seconds += answer.output_tokens / self.tokens_per_second
        await asyncio.sleep(seconds)
        return httpx2.Response(200, headers=headers, json=answer.message())


class _Refused(Exception):
    """A request that the API would answer with an error."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind

    def body(self, request_id: str) -> dict[str, Any]:
        return {"type": "error", "error": {"type": self.kind, "message": str(self)}, "request_id": request_id}


@dataclass(frozen=True, kw_only=True)
class _Answer:
    id: str
    text: str
    stop_reason: str
    input_tokens: int
    is_stream: bool
    tool: Mapping[str, Any] | None = None
    """The tool that is called, as the API writes it; its input comes in one piece."""

    @property
    def output_tokens(self) -> int:
        return count_tokens(self.text)

    def message(self) -> dict[str, Any]:
        """The whole message, as the API gives it without streaming."""
        return self._message(
            content=[{"type": "text", "text": self.text, "citations": None}, *([self.tool] if self.tool else [])],
            stop_reason=self.stop_reason,
            output_tokens=self.output_tokens,
        )

    def opening_events(self) -> Iterator[bytes]:
        """What a stream begins with, before the first piece of text."""
        yield _event("message_start", {"message": self._message(content=[], stop_reason=None, output_tokens=1)})
        yield _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
        yield _event("ping", {})

    def closing_events(self) -> Iterator[bytes]:
        """What a stream ends with, after the last piece of text."""
        yield _event("content_block_stop", {"index": 0})
        if self.tool is not None:
            yield _event("content_block_start", {"index": 1, "content_block": {**self.tool, "input": {}}})
            delta = {"type": "input_json_delta", "partial_json": json.dumps(self.tool["input"])}
            yield _event("content_block_delta", {"index": 1, "delta": delta})
            yield _event("content_block_stop", {"index": 1})
        usage = self._usage(self.output_tokens)
        yield _event(
            "message_delta",
            {"delta": {"stop_reason": self.stop_reason, "stop_sequence": None}, "usage": usage},
        )
        yield _event("message_stop", {})

    def _message(self, *, content: list[Any], stop_reason: str | None, output_tokens: int) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": OFFLINE_MODEL,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {**self._usage(output_tokens), "service_tier": "standard"},
        }

    def _usage(self, output_tokens: int) -> dict[str, Any]:
        return {
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
        }


class _Stream(httpx2.AsyncByteStream):
    """The events of an answer, as fast as was asked for; closing or cancelling it ends it at once."""

    def __init__(self, answer: _Answer, seconds_to_first_token: float, tokens_per_second: float) -> None:
        self._answer = answer
        self._seconds_to_first_token = seconds_to_first_token
        self._tokens_per_second = tokens_per_second

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self._answer.opening_events():
            yield event
        await asyncio.sleep(self._seconds_to_first_token)
        for piece in _pieces(self._answer.text):
            delta = {"type": "text_delta", "text": piece}
            yield _event("content_block_delta", {"index": 0, "delta": delta})
            # Also where nothing is waited for: other trials and a cancellation get their turn between two pieces.
            await asyncio.sleep(count_tokens(piece) / self._tokens_per_second if self._tokens_per_second > 0 else 0)
        for event in self._answer.closing_events():
            yield event


def _answer(body: Mapping[str, Any], draw: int, identity: str) -> _Answer:
    system = content_text(body.get("system") or "")
    effort = (body.get("output_config") or {}).get("effort")
    schema = _schema_of(body)
    tool = choose_tool(body, identity)
    if tool is not None:
        text = NOTICE
    elif schema is None:
        text = write_reply(system, body["messages"], draw=draw, effort=effort)
    else:
        text = write_judgement(content_text(body["messages"][-1]["content"]), schema)
    limit = body["max_tokens"] * CHARACTERS_PER_TOKEN
    stop_reason = "end_turn" if tool is None else "tool_use"
    if len(text) > limit:
        # A reply that is cut off still says who wrote it, unless not even that has room.
        text = f"{text[: max(0, limit - len(NOTICE) - 2)]}\n\n{NOTICE}"[-limit:]
        stop_reason = "max_tokens"
    return _Answer(
        id=f"msg_offline_{identity}",
        text=text,
        stop_reason=stop_reason,
        input_tokens=_input_tokens(body),
        is_stream=body.get("stream") is True,
        tool=tool,
    )


def _schema_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The JSON Schema that the reply is asked to fit."""
    form = (body.get("output_config") or {}).get("format")
    if form is None:
        return None
    schema = form.get("schema") if isinstance(form, dict) else None
    if not isinstance(schema, dict) or form.get("type") != "json_schema":
        raise _bad("output_config.format: must have the type 'json_schema' and a schema")
    return schema


def _input_tokens(body: Mapping[str, Any]) -> int:
    texts = [
        content_text(body.get("system") or ""),
        *(content_text(turn["content"]) for turn in body["messages"]),
    ]
    return count_tokens("".join(texts))


def _read_body(content: bytes, *, needs_max_tokens: bool = True) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise _bad("the request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise _bad("the request body is not a JSON object")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise _bad("model: Field required")
    if needs_max_tokens:
        limit = body.get("max_tokens")
        if limit is None:
            raise _bad("max_tokens: Field required")
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise _bad(f"max_tokens: must be a whole number of at least 1, not {limit!r}")
    for name in _SAMPLING:
        if name in body:
            raise _bad(f"{name}: not supported by this API version")
    _check_content(body.get("system", ""), "system")
    _check_messages(body.get("messages"))
    config = body.get("output_config") or {}
    effort = config.get("effort") if isinstance(config, dict) else config
    if effort is not None and not (isinstance(effort, str) and effort in SENTENCES_BY_EFFORT):
        raise _bad(f"output_config.effort: must be one of {', '.join(SENTENCES_BY_EFFORT)}")
    return body


def _check_messages(messages: Any) -> None:
    if messages is None:
        raise _bad("messages: Field required")
    if not isinstance(messages, list) or not messages:
        raise _bad("messages: at least one message is required")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant", "system"):
            raise _bad(f"messages.{index}.role: must be 'user', 'assistant' or 'system'")
        _check_content(message.get("content"), f"messages.{index}.content")
    if messages[-1]["role"] == "assistant":
        raise _bad("messages: the conversation must end with a user message; prefilled replies are not supported")


def _check_content(content: Any, where: str) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list) or not all(isinstance(block, dict) and "type" in block for block in content):
        raise _bad(f"{where}: must be text or a list of content blocks")


def _bad(message: str) -> _Refused:
    return _Refused(400, "invalid_request_error", message)


def _read_draw(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise _bad(f"{DRAW_HEADER}: must be a whole number, not {text!r}")
    return int(text)


def _models() -> dict[str, Any]:
    model = {
        "id": OFFLINE_MODEL,
        "type": "model",
        "display_name": "Offline stand-in (not a model)",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        "line": None,
    }
    return {"data": [model], "has_more": False, "first_id": OFFLINE_MODEL, "last_id": OFFLINE_MODEL}


def _event(kind: str, data: Mapping[str, Any]) -> bytes:
    text = json.dumps({"type": kind, **data}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces of a few words, about what a model sends at a time."""
    yield from re.findall(r"(?:\S*\s+){1,4}|\S+", text)


def _number_from(variable: str) -> float:
    text = os.environ.get(variable, "").strip() or "0"
    if not re.fullmatch(r"\d+(\.\d+)?|\.\d+", text):
        raise SetupError(f"{variable} is {text!r}; set it to a number of 0 or more, or leave it out")
    return float(text)
