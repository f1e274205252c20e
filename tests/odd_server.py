"""Everything that a server can answer to a request for a reply and that no API would: by kind, as the bytes on the wire."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import threading
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

Wire = bytes | Callable[[], Iterable[bytes]]
"""The bytes of an answer, or what makes them piece by piece."""

SAID = "Which load do you expect?"
NUMBERS: Mapping[str, str] = {
    "text": '"12"',
    "float": "3.5",
    "NaN": "NaN",
    "infinite": "1e400",
    "10**30": str(10**30),
    "2**62": str(2**62),
    "negative": "-1000000",
    "mapping": '{"a": 1}',
    "list": "[7]",
    "true": "true",
    "null": "null",
    "5,000 digits": "9" * 5000,
}
"""What may stand where a number of tokens should be, as JSON."""
OTHERS: Mapping[str, str] = {
    "number": "5",
    "null": "null",
    "list": "[1]",
    "mapping": '{"a": 1}',
    "true": "true",
    "text": '"text"',
    "nothing": '""',
    "deep": "[" * 200_000 + "]" * 200_000,
}
"""What may stand where something else should be."""


EACH_A_KIND = {"after the end", "data", "encoding", "header", "no HTTP", "chunks", "stream"}
"""Places in which each answer is odd in a way of its own."""


@dataclass(frozen=True, kw_only=True)
class Odd:
    """One answer; those of one `kind` are odd in the same way."""

    kind: str
    name: str
    wire: Wire
    ends_the_run: bool = False
    """An answer that every request would get, by what it says."""


def head(status: str = "200 OK", content_type: str = "text/event-stream", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "connection: close"]
    lines += [f"content-type: {content_type}"] if content_type else []
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1", "replace")


def event(kind: str, fields: str = "") -> bytes:
    return f'event: {kind}\ndata: {{"type": "{kind}"{", " if fields else ""}{fields}}}\n\n'.encode()


def start(usage: str = '{"input_tokens": 11, "output_tokens": 1}', model: str = '"claude-x"') -> bytes:
    return event("message_start", f'"message": {{"id": "m", "model": {model}, "usage": {usage}}}')


def text(said: str = json.dumps(SAID)) -> bytes:
    return event("content_block_delta", f'"index": 0, "delta": {{"type": "text_delta", "text": {said}}}')


def end(usage: str = '{"output_tokens": 7}', stop: str = '"end_turn"', details: str = "null") -> bytes:
    return event("message_delta", f'"delta": {{"stop_reason": {stop}, "stop_details": {details}}}, "usage": {usage}')


STOP = event("message_stop")
WHOLE = start() + text() + end() + STOP


def refusal(status: str, body: bytes | str, *more: str, content_type: str = "application/json") -> bytes:
    return head(status, content_type, *more) + (body if isinstance(body, bytes) else body.encode())


def error(kind: str = '"api_error"', message: str = '"made up"') -> str:
    return f'{{"type": "error", "error": {{"type": {kind}, "message": {message}}}}}'


def odd_answers() -> list[Odd]:
    """All of them; a request for a reply names one by its place here."""
    found: list[Odd] = []

    def add(place: str, name: str, *wire: bytes, ends_the_run: bool = False) -> None:
        kind = f"{place}: {name}" if place in EACH_A_KIND else place
        found.append(Odd(kind=kind, name=name, wire=b"".join(wire), ends_the_run=ends_the_run))

    for field in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"):
        for name, value in NUMBERS.items():
            add(f"usage: {field}", name, head(), start(f'{{"{field}": {value}}}'), text(), end(), STOP)
    for name, value in NUMBERS.items():
        add("usage: output_tokens", name, head(), start(), text(), end(f'{{"output_tokens": {value}}}'), STOP)
        hour = f'{{"input_tokens": 1, "cache_creation": {{"ephemeral_1h_input_tokens": {value}}}}}'
        add("usage: tokens for an hour", name, head(), start(hour), text(), end(), STOP)
    for name, value in OTHERS.items():
        creation = f'{{"input_tokens": 1, "cache_creation": {value}}}'
        add("usage: cache_creation", name, head(), start(creation), text(), end(), STOP)
        add("usage at the start", name, head(), start(value), text(), end(), STOP)
        add("usage at the end", name, head(), start(), text(), end(value), STOP)
        tier = f'{{"input_tokens": 1, "service_tier": {value}}}'
        add("service tier", name, head(), start(tier), text(), end(), STOP)
        add("text of a delta", name, head(), start(), text(value), end(), STOP)
        add("delta", name, head(), start(), event("content_block_delta", f'"delta": {value}'), end(), STOP)
        add("block", name, head(), start(), event("content_block_start", f'"content_block": {value}'), end(), STOP)
        add("message", name, head(), event("message_start", f'"message": {value}'), text(), end(), STOP)
        add("model", name, head(), start(model=value), text(), end(), STOP)
        add("stop reason", name, head(), start(), text(), end(stop=value), STOP)
        add("stop details", name, head(), start(), text(), end(stop='"refusal"', details=value), STOP)
        add("event", name, head(), start(), f"data: {value}\n\n".encode(), text(), end(), STOP)
        add("type of an event", name, head(), start(), f'data: {{"type": {value}}}\n\n'.encode(), end(), STOP)
        add("end of a reply", name, head(), start(), text(), event("message_delta", f'"delta": {value}'), STOP)
        add("error event", name, head(), start(), text(), event("error", f'"error": {value}'))
        add("type of an error event", name, head(), start(), event("error", f'"error": {{"type": {value}}}'))
        add("body of an error", name, refusal("500 Oops", value))
        add("error in a body", name, refusal("500 Oops", f'{{"error": {value}}}'))
        add("type of an error", name, refusal("500 Oops", error(kind=value)))
        add("message of an error", name, refusal("500 Oops", error(message=value)))
        add("JSON instead of a stream", name, head(content_type="application/json"), value.encode())
    for name in ("unreachable", "stopped", "connection", "deadline", "batch_expired", "x" * 10_000, "é", "a b"):
        spoofed = json.dumps(name)
        add(
            "error event of a type that is ours",
            name[:20],
            head(),
            start(),
            event("error", f'"error": {{"type": {spoofed}}}'),
        )
        add("error of a type that is ours", name[:20], refusal("500 Oops", error(kind=spoofed)))
    after = {
        "error": event("error", '"error": {"type": "overloaded_error", "message": "late"}'),
        "text": text(),
        "start": start('{"input_tokens": -5}'),
        "end": end('{"output_tokens": -5}', stop='"max_tokens"'),
        "no JSON": b"data: [DONE]\n\n",
        "no object": b"data: 5\n\n",
        "bytes": b"\xff\xfe\x00" * 100,
        "half": b'data: {"type": "error"',
        "a line without an end": b"data: " + b"x" * 100_000,
    }
    for name, more in after.items():
        add("after the end", name, head(), WHOLE, more)
        add("after the reply", name, head(), start(), text(), end(), more, STOP)
    for name, data in {
        "not UTF-8": b"\xff\xfe",
        "half a surrogate": b'{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "\\ud83d"}}',
        "cut": b'{"type": "content_bl',
        "BOM": b"\xef\xbb\xbf{}",
        "NUL": b"\0\0",
        "NaN": b"NaN",
        "many": b'{"type": "ping"}' * 3,
        "digits": b"9" * 5000,
        "objects": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
        "never closed": b"[" * 200_000,
    }.items():
        add("data", name, head(), start(), b"data: " + data + b"\n\n", text(), end(), STOP)
    packed = gzip.compress(WHOLE)
    for name, encoding, body in (
        ("gzip", "gzip", packed),
        ("GZIP", "GZIP", packed),
        ("deflate", "deflate", zlib.compress(WHOLE)),
        ("identity", "identity", WHOLE),
        ("gzip that is none", "gzip", WHOLE),
        ("gzip cut off", "gzip", packed[:-20]),
        ("gzip twice", "gzip", gzip.compress(packed)),
        ("bytes after gzip", "gzip", packed + b"more"),
        ("deflate that is none", "deflate", b"\0\1\2" * 50),
        ("br", "br", b"\0\1\2"),
        ("zstd", "zstd", b"\0\1\2"),
        ("unknown", "x-of-our-own", WHOLE),
        ("two", "gzip, br", packed),
    ):
        add("encoding", name, head("200 OK", "text/event-stream", f"content-encoding: {encoding}"), body)
        add("encoding of an error", name, refusal("500 Oops", body, f"content-encoding: {encoding}"))
    for name, value in {
        "400 digits": "9" * 400,
        "negative": "-1",
        "NaN": "nan",
        "infinite": "inf",
        "1e999": "1e999",
        "no date": "Wed, 99 Foo 9999 99:99:99 GMT",
        "year 9999": "Fri, 31 Dec 9999 23:59:59 GMT",
        "year 1": "Mon, 01 Jan 0001 00:00:00 GMT",
        "empty": "",
        "words": "soon",
        "two": "1, 2",
    }.items():
        add("retry-after", name, refusal("503 Busy", error(), f"retry-after: {value}"))
        add("retry-after-ms", name, refusal("503 Busy", error(), f"retry-after-ms: {value}"))
        limits = [f"anthropic-ratelimit-requests-{which}: {value}" for which in ("limit", "remaining", "reset")]
        add("rate limits", name, head("200 OK", "text/event-stream", *limits), WHOLE)
    for which in ("limit", "remaining"):
        told = {"limit": "100", "remaining": "50", "reset": "2026-01-01T00:00:00Z", which: "9" * 400}
        lines = [f"anthropic-ratelimit-requests-{name}: {value}" for name, value in told.items()]
        add("rate limits", f"400 digits of {which}", head("200 OK", "text/event-stream", *lines), WHOLE)
    for year in ("0001", "9999"):
        reset = f"anthropic-ratelimit-requests-reset: {year}-01-01T00:00:00+14:00"
        lines = ["anthropic-ratelimit-requests-limit: 100", "anthropic-ratelimit-requests-remaining: 50", reset]
        add("rate limits", f"reset in the year {year}", head("200 OK", "text/event-stream", *lines), WHOLE)
    for name, line in {
        "long request id": f"request-id: {'r' * 7000}",
        "request id of bytes": "request-id: \xff\xfe",
        "header without a name": ": x",
        "header without a colon": "nonsense",
        "header with a blank": "a b: c",
        "very long header": f"x-long: {'l' * 100_000}",
        "NUL in a header": "x-nul: a\0b",
        "two lengths": "content-length: 5\r\ncontent-length: 7",
        "length that is none": "content-length: many",
        "negative length": "content-length: -5",
        "length too long": f"content-length: {10**9}",
        "chunked without chunks": "transfer-encoding: chunked",
        "unknown transfer": "transfer-encoding: rot13",
        "a cookie": "set-cookie: a=b; domain=elsewhere.invalid",
        "an alternative": 'alt-svc: h3=":443"',
    }.items():
        add("header", name, head("200 OK", "text/event-stream", line), WHOLE)
    for content_type in ("", "text/html", "TEXT/EVENT-STREAM", "text/event-stream; charset=nope", "x" * 5000, "é"):
        add("content type", content_type[:20], head("200 OK", content_type), WHOLE)
    for status in ("201 Created", "202 Later", "204 Nothing", "206 Part", "304 Same", "407 Proxy", "408 Late"):
        add("status", status, refusal(status, WHOLE, content_type="text/event-stream"))
    for status in (
        "409 No",
        "410 Gone",
        "413 Long",
        "418 Tea",
        "422 Odd",
        "429 Many",
        "431 Head",
        "451 Law",
        "499 Left",
    ):
        add("status", status, refusal(status, error()))
    for status in (
        "500 Oops",
        "501 No",
        "502 Bad",
        "503 Busy",
        "504 Late",
        "511 Log in",
        "520 What",
        "529 Full",
        "599 X",
    ):
        add("status", status, refusal(status, error()))
    for status in ("600 More", "999 Most", "99 Less", "2000 Much", "abc", "200", "-200 Less", "200 " + "OK" * 5000):
        add("status that is none", status[:20], refusal(status, WHOLE, content_type="text/event-stream"))
    for status in ("301 Moved", "302 Found", "303 See", "307 Other", "308 Always"):
        for name, where in {
            "another host": "http://elsewhere.invalid/v1/messages",
            "another port": "http://127.0.0.1:9/v1/messages",
            "itself": "/v1/messages",
            "no address": "http://[::bad/",
            "another scheme": "file:///etc/passwd",
            "nowhere": "",
        }.items():
            add("redirect", f"{status} to {name}", refusal(status, b"", f"location: {where}"))
    for name, wire in {
        "nothing": b"",
        "half a status line": b"HTTP/1.1 20",
        "no headers": b"HTTP/1.1 200 OK\r\n",
        "another protocol": b"SSH-2.0-OpenSSH_9.0\r\n",
        "only a body": WHOLE,
        "HTTP/0.9": b"<html>hello</html>",
        "HTTP/3": b"HTTP/3 200 OK\r\n\r\n" + WHOLE,
        "zeros": b"\0" * 5000,
        "TLS": b"\x15\x03\x01\x00\x02\x02\x28",
        "early hints": b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + head() + WHOLE,
        "continue": b"HTTP/1.1 100 Continue\r\n\r\n" + head() + WHOLE,
        "switching": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n",
        "two answers": head() + WHOLE + head() + WHOLE,
    }.items():
        add("no HTTP", name, wire)
    chunked = head("200 OK", "text/event-stream", "transfer-encoding: chunked")
    for name, body in {
        "size that is none": b"zz\r\n" + WHOLE,
        "negative size": b"-5\r\n" + WHOLE,
        "size too long": b"f" * 40 + b"\r\n" + WHOLE,
        "cut off": b"%x\r\n" % (len(WHOLE) + 50) + WHOLE,
        "no end": b"%x\r\n%s\r\n" % (len(WHOLE), WHOLE),
        "extension": b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(WHOLE), WHOLE),
        "trailer": b"%x\r\n%s\r\n0\r\nx: y\r\n\r\n" % (len(WHOLE), WHOLE),
        "no line end": b"%x\r\n%s0\r\n\r\n" % (len(WHOLE), WHOLE),
    }.items():
        add("chunks", name, chunked, body)
    for name, body in {
        "nothing": b"",
        "comments": b": hello\n\n" * 50,
        "only pings": event("ping") * 50,
        "no start": text() + end() + STOP,
        "only an end": end() + STOP,
        "only a stop": STOP,
        "two starts": start() + start() + text() + end() + STOP,
        "two ends": start() + text() + end() + end('{"output_tokens": 8}') + STOP,
        "CRLF": WHOLE.replace(b"\n", b"\r\n"),
        "CR": WHOLE.replace(b"\n", b"\r"),
        "no blank lines": WHOLE.replace(b"\n\n", b"\n"),
        "no last line end": WHOLE[:-2],
        "no data": b"event: message_start\n\n" * 5,
        "data without a blank": WHOLE.replace(b"data: ", b"data:"),
        "data in lines": b'data: {"type":\ndata: "ping"}\n\n' + WHOLE,
        "other fields": b"id: 7\nretry: 5\nfoo: bar\n" + WHOLE,
        "no text": start() + end() + STOP,
        "stop sequence": start() + text() + end(stop='"stop_sequence"') + STOP,
        "pause": start() + text() + end(stop='"pause_turn"') + STOP,
        "unknown stop": start() + text() + end(stop=json.dumps("s" * 5000)) + STOP,
        "controls": start() + text(json.dumps("\x00\x1b[2J\x1a0\u2028\x07")) + end() + STOP,
        "only blanks": start() + text('"  \\n "') + end() + STOP,
    }.items():
        add("stream", name, head(), body)
    for status in ("400 Bad", "401 Who", "402 Pay", "403 No", "404 None"):
        add("refusal of all", status, refusal(status, error()), ends_the_run=True)
    for code in ("enforced_spend_limit_reached", "contract_spend_limit_reached"):
        body = {"type": "error", "error": {"type": "rate_limit_error", "message": "x", "details": {"error_code": code}}}
        add("refusal of all", code, refusal("429 Many", json.dumps(body)), ends_the_run=True)
    return found


class OddServer:
    """Answers a request whose last message is "odd N" with the answer of that number, and closes the connection."""

    def __init__(self, answers: list[Wire]) -> None:
        self.answers = answers
        self.asked: Counter[int] = Counter()
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._answer, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            request = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", request)
            body = await reader.readexactly(int(length[1])) if length else b""
            named = re.search(rb"odd (\d+)", body)
            number = int(named[1]) if named else 0
            self.asked[number] += 1
            wire = self.answers[number]
            async for piece in _pieces(wire):
                writer.write(piece)
                await writer.drain()
            writer.close()

    def __enter__(self) -> OddServer:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def _pieces(wire: Wire) -> AsyncIterator[bytes]:
    if isinstance(wire, bytes):
        yield wire
        return
    for piece in wire():
        yield piece


@contextmanager
def serve_odd(answers: list[Any]) -> Iterator[OddServer]:
    """A running server of these answers: `Odd`s, or what is on the wire."""
    with OddServer([answer.wire if isinstance(answer, Odd) else answer for answer in answers]) as server:
        yield server
