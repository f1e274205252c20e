"""A Messages API on 127.0.0.1, for the Claude Code program on this machine: it answers without a model, and keeps what
it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from workbench.errors import SetupError

OK: Sequence[Mapping[str, Any]] = ({"type": "text", "text": "ok"},)
"""The content of an answer that ends a conversation."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request for a message."""

    headers: Mapping[str, str]
    """By name in small letters."""
    body: dict[str, Any]


def say_ok(_asked: Asked) -> Sequence[Mapping[str, Any]]:
    """One word, whatever was asked."""
    return OK


@contextmanager
def loopback_server(
    answer: Callable[[Asked], Sequence[Mapping[str, Any]]] = say_ok,
) -> Iterator[tuple[str, list[Asked]]]:
    """The server's address, and what it has been asked so far. `answer` gives the content of each message, blocks of
    text and tool calls; it is called in several threads at once. What it raises is raised when the server ends."""
    asked: list[Asked] = []
    trouble: list[Exception] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(b"{}", "application/json")

        do_HEAD = do_GET

        def do_POST(self) -> None:
            body = object_of(self.rfile.read(int(self.headers.get("content-length") or 0)))
            if "messages" not in body or "count_tokens" in self.path:
                self._send(b'{"input_tokens": 1}', "application/json")
                return
            request = Asked(headers={name.lower(): value for name, value in self.headers.items()}, body=body)
            asked.append(request)
            try:
                content = answer(request)
            except Exception as error:  # noqa: BLE001 - raised below, in the thread of who asked for this server
                trouble.append(error)
                content = OK
            is_stream = body.get("stream") is True
            self._send(_message(content, is_stream), "text/event-stream" if is_stream else "application/json")

        def _send(self, content: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # the program's subagents connect all at once

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    if trouble:
        raise SetupError(f"a request of the program could not be answered: {trouble[0]}") from trouble[0]


def object_of(content: bytes) -> dict[str, Any]:
    """The JSON object in these bytes; an empty one where there is none."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _message(content: Sequence[Mapping[str, Any]], is_stream: bool) -> bytes:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "none", "usage": usage}
    is_call = any(block["type"] == "tool_use" for block in content)
    ends = {"stop_reason": "tool_use" if is_call else "end_turn", "stop_sequence": None}
    if not is_stream:
        return json.dumps({**message, "content": list(content), **ends}).encode()
    events: list[tuple[str, dict[str, Any]]] = [
        ("message_start", {"message": {**message, "content": [], "stop_reason": None, "stop_sequence": None}}),
        *(event for index, block in enumerate(content) for event in _events_of(block, index)),
        ("message_delta", {"delta": ends, "usage": usage}),
        ("message_stop", {}),
    ]
    return "".join(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n" for kind, data in events).encode()


def _events_of(block: Mapping[str, Any], index: int) -> Iterator[tuple[str, dict[str, Any]]]:
    if block["type"] == "text":
        start = {**block, "text": ""}
        delta = {"type": "text_delta", "text": block["text"]}
    else:
        start = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield "content_block_start", {"index": index, "content_block": start}
    yield "content_block_delta", {"index": index, "delta": delta}
    yield "content_block_stop", {"index": index}
