"""Message Batches on 127.0.0.1 for tests: batches end when a test says so, and calls fail as it is told."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[[str, int], str]
"""(what is called, how often it was called before) -> the name of a fault, or "ok"."""

Outcome = Callable[[dict[str, Any]], dict[str, Any]]
"""The params of a request -> its result."""

STATUS = {
    "400": (400, "invalid_request_error"),
    "401": (401, "authentication_error"),
    "404": (404, "not_found_error"),
    "413": (413, "request_too_large"),
    "429": (429, "rate_limit_error"),
    "500": (500, "api_error"),
    "529": (529, "overloaded_error"),
}


def succeeded(params: dict[str, Any]) -> dict[str, Any]:
    """A reply that repeats the question, after some thinking."""
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "x"},
        {"type": "text", "text": f"On {params['messages'][-1]['content']}:\u2028"},
        {"type": "text", "text": "it depends."},
    ]
    usage = {
        "input_tokens": 11,
        "output_tokens": 7,
        "cache_creation_input_tokens": 5,
        "cache_creation": {"ephemeral_1h_input_tokens": 5, "ephemeral_5m_input_tokens": 0},
        "cache_read_input_tokens": 3,
        "service_tier": "batch",
    }
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": params["model"],
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    return {"type": "succeeded", "message": message}


def errored(_: dict[str, Any]) -> dict[str, Any]:
    error = {"type": "invalid_request_error", "message": "messages: too long"}
    return {"type": "errored", "error": {"type": "error", "error": error, "request_id": "req_9"}}


@dataclass
class Batch:
    id: str
    requests: list[dict[str, Any]]
    bytes: int
    created_at: datetime
    has_ended: bool
    is_archived: bool = False
    is_deleted: bool = False


@dataclass
class BatchServer:
    fault: Fault = lambda _call, _before: "ok"
    outcome: Outcome = succeeded
    ends_at_once: bool = True
    """False: batches end when `end()` is called."""
    results_host: str | None = None
    """Another address for results than that of this server."""
    separator: str = "\n"
    url: str = ""
    batches: list[Batch] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    created: threading.Event = field(default_factory=threading.Event)
    """Set when there is a batch, before anybody is told."""
    looked: threading.Event = field(default_factory=threading.Event)
    """Set when a batch was asked for by name."""
    released: threading.Event = field(default_factory=threading.Event)
    """What the fault "created, no answer" waits for."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def end(self) -> None:
        self.ends_at_once = True
        for batch in self.batches:
            batch.has_ended = True

    def asked(self) -> Counter[str]:
        """How often each custom id came in a batch that was created."""
        return Counter(request["custom_id"] for batch in self.batches for request in batch.requests)

    def add(self, requests: list[dict[str, Any]], *, size: int = 0) -> Batch:
        with self._lock:
            batch = Batch(f"msgbatch_{len(self.batches)}", requests, size, datetime.now(UTC), self.ends_at_once)
            self.batches.append(batch)
        return batch

    def answer(self, handler: BaseHTTPRequestHandler, content: bytes) -> None:
        path, _, query = handler.path.partition("?")
        _, _, batch_id, action, *_ = [*path.removeprefix("/v1/").split("/"), "", "", ""]
        call = f"{handler.command} {action or ('one' if batch_id else 'all')}"
        with self._lock:
            before = self.calls[call]
            self.calls[call] += 1
        fault = self.fault(call, before)
        if fault in STATUS:
            return self.refuse(handler, fault, f"made up: {handler.headers['authorization']}")
        if fault == "html":
            return self.send(handler, 200, "text/html", b"<html>Sign in")
        if fault == "cut":
            return handler.connection.shutdown(socket.SHUT_RDWR)
        if call == "POST all":
            batch = self.add(json.loads(content)["requests"], size=len(content))
            self.created.set()
            if fault == "created, then 500":
                return self.refuse(handler, "500", "made up")
            if fault == "created, then cut":
                return handler.connection.shutdown(socket.SHUT_RDWR)
            if fault == "created, no answer":
                self.released.wait()
                return None
            return self.send_json(handler, self.view(batch))
        if call == "GET all":
            return self.send_json(handler, self.page(query))
        found = next((batch for batch in self.batches if batch.id == batch_id and not batch.is_deleted), None)
        if found is None:
            return self.refuse(handler, "404", f"no batch {batch_id}")
        if call == "GET one":
            self.send_json(handler, self.view(found))
            self.looked.set()
            return None
        lines = [
            json.dumps({"custom_id": item["custom_id"], "result": self.outcome(item["params"])}, ensure_ascii=False)
            for item in reversed(found.requests)
        ]
        results = self.separator.join([*lines, ""]).encode()
        if fault == "half":
            return self.send(handler, 200, "application/x-jsonl", results[: len(results) // 2], length=len(results))
        return self.send(handler, 200, "application/x-jsonl", results)

    def view(self, batch: Batch) -> dict[str, Any]:
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts["succeeded" if batch.has_ended else "processing"] = len(batch.requests)
        results = f"{self.results_host or self.url}/v1/messages/batches/{batch.id}/results"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if batch.has_ended else "in_progress",
            "request_counts": counts,
            "created_at": batch.created_at.isoformat().replace("+00:00", "Z"),
            "expires_at": batch.created_at.isoformat(),
            "results_url": results if batch.has_ended and not batch.is_archived else None,
        }

    def page(self, query: str) -> dict[str, Any]:
        """Two a page, the newest first."""
        newest = [self.view(batch) for batch in reversed(self.batches)]
        ids = [batch["id"] for batch in newest]
        after = next((value.partition("=")[2] for value in query.split("&") if value.startswith("after_id=")), None)
        start = ids.index(after) + 1 if after else 0
        return {"data": newest[start : start + 2], "has_more": start + 2 < len(newest), "last_id": None}

    def refuse(self, handler: BaseHTTPRequestHandler, name: str, message: str) -> None:
        status, kind = STATUS[name]
        self.send_json(handler, {"type": "error", "error": {"type": kind, "message": message}}, status=status)

    def send_json(self, handler: BaseHTTPRequestHandler, value: Any, *, status: int = 200) -> None:
        self.send(handler, status, "application/json", json.dumps(value).encode())

    @staticmethod
    def send(
        handler: BaseHTTPRequestHandler, status: int, content_type: str, content: bytes, *, length: int | None = None
    ) -> None:
        handler.send_response(status)
        handler.send_header("content-type", content_type)
        handler.send_header("content-length", str(length or len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        if length:
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serve_batches() -> Iterator[BatchServer]:
    server = BatchServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            server.answer(self, self.rfile.read(int(self.headers["content-length"])))

        def do_GET(self) -> None:
            server.answer(self, b"")

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        http.shutdown()
        http.server_close()
        thread.join()
