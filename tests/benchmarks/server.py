"""A lean Messages API on 127.0.0.1 for benchmarks, in a process of its own: 120 words in 30 pieces after a delay.

It fails on demand in the ways of `FAULTS`. Whether a request fails is drawn from its bytes and how often they came
before, so that a run meets the same faults in whatever order its requests arrive, and a second try is drawn anew.
`counted(url)` tells what it did.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import re
import signal
import socket
import struct
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from multiprocessing.connection import Connection
from typing import Any

PIECES = 30
WORDS = "four words of text "

FAULTS: Mapping[str, tuple[str, int | None]] = {
    "429": ("rate_limit_error", 429),
    "500": ("api_error", 500),
    "529": ("overloaded_error", 529),
    "reset": ("connection", None),
    "hang": ("timeout", None),
    "cut": ("connection", None),
    "stall": ("timeout", None),
    "truncate": ("broken_stream", None),
    "malformed": ("malformed_stream", None),
    "error event": ("overloaded_error", 200),
    "html": ("not_a_stream", 200),
    "slow": ("", None),
}
"""Each fault, and the failure type and status that it must be recorded as; "slow" is answered all the same."""


@dataclass(kw_only=True)
class Counted:
    """What a server did since it was started."""

    requests: int = 0
    answered: int = 0
    """Replies that were sent to their end."""
    most_at_once: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    arrivals: Counter[str] = field(default_factory=Counter)
    """How often each trial was asked for, as "persona 0/case 12#0": persona, case and draw."""
    answers: Counter[str] = field(default_factory=Counter)
    """How often each was answered to its end."""


def _event(kind: str, **data: object) -> bytes:
    body = f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(body), body)


def _response(status: str, content: bytes, content_type: bytes, headers: bytes = b"") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\n".encode()
        + b"content-type: %s\r\nrequest-id: req_bench\r\ncontent-length: %d\r\n%s\r\n"
        % (content_type, len(content), headers)
        + content
    )


def _error(status: str, kind: str) -> bytes:
    content = json.dumps({"type": "error", "error": {"type": kind, "message": f"made up: {status}"}}).encode()
    return _response(status, content, b"application/json", b"retry-after: 0\r\n")


_USAGE = {"input_tokens": 500, "output_tokens": 150}
_BEGIN = _event(
    "message_start",
    message={
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 500, "output_tokens": 1},
    },
) + _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
_PIECE = _event("content_block_delta", index=0, delta={"type": "text_delta", "text": WORDS})
_END = (
    _event("content_block_stop", index=0)
    + _event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=_USAGE)
    + _event("message_stop")
)
_LAST_CHUNK = b"0\r\n\r\n"
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nrequest-id: req_%d\r\n\r\n"
)
_HALF = _BEGIN + _PIECE * (PIECES // 2)
_WHOLE = _BEGIN + _PIECE * PIECES + _END + _LAST_CHUNK
_PLAIN = _response(
    "200 OK",
    json.dumps(
        {
            "id": "msg_bench",
            "type": "message",
            "role": "assistant",
            "model": "claude-haiku-5-5",
            "content": [{"type": "text", "text": WORDS * PIECES}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": _USAGE,
        }
    ).encode(),
    b"application/json",
)
_REFUSALS = {
    "429": _error("429 Too Many Requests", "rate_limit_error"),
    "500": _error("500 Internal Server Error", "api_error"),
    "529": _error("529 Overloaded", "overloaded_error"),
    "html": _response("200 OK", b"<html>Sign in", b"text/html"),
}
_BROKEN_TAILS = {
    "truncate": _LAST_CHUNK,
    "malformed": b"e\r\ndata: {oops\n\n \r\n" + _LAST_CHUNK,
    "error event": _event("error", error={"type": "overloaded_error", "message": "Overloaded"}) + _LAST_CHUNK,
}


_PERSONA = re.compile(rb"You are reviewer (\d+)\.")
_CASE = re.compile(rb'"Case (\d+):')
_DRAW = re.compile(rb"\r\nx-workbench-draw: *(\d+)")


@dataclass(frozen=True, kw_only=True)
class _Settings:
    seconds: float
    seconds_a_piece: float
    faulty_share: float
    counts: bool


class _Conversation(asyncio.Protocol):
    """One connection: requests come one after the other, each is answered before the next is read."""

    def __init__(self, settings: _Settings, counted: Counted, open_now: set[object]) -> None:
        self._settings = settings
        self._counted = counted
        self._open_now = open_now
        self._received = bytearray()
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self._answering is not None:
            self._answering.cancel()
        self._open_now.discard(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        body_at = end + 4
        place = head.find(b"\r\ncontent-length:")
        length = int(head[place + 17 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(self._received) < body_at + length:
            return
        body = bytes(self._received[body_at : body_at + length])
        del self._received[: body_at + length]
        if head.startswith(b"get /busy "):
            content = json.dumps([self._counted.requests, len(self._open_now)]).encode()
            self._transport.write(_response("200 OK", content, b"application/json"))
        elif head.startswith(b"get /counted "):
            content = json.dumps(vars(self._counted)).encode()
            self._transport.write(_response("200 OK", content, b"application/json"))
        elif not head.startswith(b"post /v1/messages"):
            self._transport.write(_error("404 Not Found", "not_found_error"))
        else:
            self._open_now.add(self)
            self._answering = asyncio.ensure_future(self._answer(head, body))

    async def _answer(self, head: bytes, body: bytes) -> None:
        counted = self._counted
        counted.requests += 1
        counted.most_at_once = max(counted.most_at_once, len(self._open_now))
        begin = _HEAD % counted.requests
        who = _identity(head, body) if self._settings.counts else ""
        fault = self._fault(who)
        if self._settings.counts:
            counted.arrivals[who] += 1
        if fault:
            counted.faults[fault] += 1
        if self._settings.seconds:
            await asyncio.sleep(self._settings.seconds)
        if fault == "slow":
            await asyncio.sleep(0.3)
        elif fault:
            self._open_now.discard(self)
            self._fail(fault, begin)
            return
        streamed = b'"stream":true' in body or b'"stream": true' in body
        if streamed and self._settings.seconds_a_piece:
            self._transport.write(begin + _BEGIN)
            for _ in range(PIECES):
                await asyncio.sleep(self._settings.seconds_a_piece)
                self._transport.write(_PIECE)
        counted.answered += 1
        if self._settings.counts:
            counted.answers[who] += 1
        self._open_now.discard(self)
        if streamed:
            self._transport.write(_END + _LAST_CHUNK if self._settings.seconds_a_piece else begin + _WHOLE)
        else:
            self._transport.write(_PLAIN)

    def _fault(self, who: str) -> str:
        if not self._settings.faulty_share:
            return ""
        drawn = blake2b(f"{who} {self._counted.arrivals[who]}".encode(), digest_size=8).digest()
        place = int.from_bytes(drawn, "big") / 2**64
        if place >= self._settings.faulty_share:
            return ""
        return list(FAULTS)[int(place / self._settings.faulty_share * len(FAULTS))]

    def _fail(self, fault: str, begin: bytes) -> None:
        if fault in _REFUSALS:
            self._transport.write(_REFUSALS[fault])
        elif fault in _BROKEN_TAILS:
            self._transport.write(begin + _HALF + _BROKEN_TAILS[fault])
        elif fault == "stall":
            self._transport.write(begin + _HALF)
        elif fault == "cut":
            self._transport.write(begin + _HALF)
            self._transport.close()
        elif fault == "reset":
            raw: socket.socket = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()


def _identity(head: bytes, body: bytes) -> str:
    """Which trial of the workload this is, and which draw of it is wanted."""
    persona, case, draw = _PERSONA.search(body), _CASE.search(body), _DRAW.search(head)
    if persona is None or case is None:
        return blake2b(body, digest_size=12).hexdigest()
    return f"persona {int(persona[1])}/case {int(case[1])}#{int(draw[1]) if draw else 0}"


async def _serve(settings: _Settings, ready: Connection) -> None:
    counted: Counted = Counted()
    open_now: set[object] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Conversation(settings, counted, open_now), "127.0.0.1", 0, backlog=2048)
    ready.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _run(settings: _Settings, ready: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve(settings, ready))


@contextmanager
def serve(
    *, seconds: float = 0.0, seconds_a_piece: float = 0.0, faulty_share: float = 0.0, counts: bool = False
) -> Iterator[str]:
    """The address of a running server that waits this long before each reply and between its pieces.

    `faulty_share` of the requests fail; `counts` keeps how often each request came, which takes time.
    """
    settings = _Settings(
        seconds=seconds,
        seconds_a_piece=seconds_a_piece,
        faulty_share=faulty_share,
        counts=counts or faulty_share > 0,
    )
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(settings, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()
        ours.close()
        theirs.close()


def counted(url: str) -> Counted:
    """What the server at this address did so far."""
    with urllib.request.urlopen(f"{url}/counted", timeout=30) as response:
        found: dict[str, Any] = json.load(response)
    return Counted(**{name: Counter(value) if isinstance(value, dict) else value for name, value in found.items()})


def busy(url: str) -> tuple[int, int]:
    """How many requests have come so far, and how many are being answered now."""
    with urllib.request.urlopen(f"{url}/busy", timeout=30) as response:
        requests, now = json.load(response)
    return requests, now
