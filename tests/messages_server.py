"""A Messages API on 127.0.0.1 for tests: answers every request, counts them, and fails as it is told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Headers = Callable[[int], Mapping[str, str]]
"""(the number of the request) -> headers that its reply has besides the usual ones."""

Fault = Callable[[dict[str, Any], int], str]
"""(request body, how often this very body came before) -> the name of a fault, or "ok"."""

REPLY = ["First, ", "a question: ", "what load ", "do you expect?"]


class MessagesServer:
    def __init__(self, fault: Fault, seconds_a_piece: float) -> None:
        self.fault = fault
        self.seconds_a_piece = seconds_a_piece
        self.pieces = REPLY
        self.pieces_for: Callable[[dict[str, Any]], list[str]] = lambda _: self.pieces
        self.more_headers: Headers = lambda _: {}
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answered = threading.Event()
        """Set when the first piece of text of any reply is out."""
        self.finished = 0
        """Replies that were sent to their end."""
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with suppress(ConnectionError):  # the client was killed
                    super().handle()

            def do_POST(self) -> None:
                outer._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def asked(self) -> Counter[str]:
        """How often each user message (and repeat) came."""
        with self._lock:
            return Counter(
                f"{body['messages'][-1]['content']}#{headers.get('x-workbench-draw')}"
                for body, headers in zip(self.bodies, self.headers, strict=True)
            )

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = json.loads(request.rfile.read(int(request.headers["content-length"])))
        repeat = request.headers.get("x-workbench-draw")
        with self._lock:
            identity = json.dumps([body, repeat], sort_keys=True)
            before = self._seen[identity]
            self._seen[identity] += 1
            self.bodies.append(body)
            more_headers = self.more_headers(len(self.bodies))
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
        fault = self.fault(body, before)
        if fault in ERRORS:
            status, kind, headers = ERRORS[fault]
            error: dict[str, Any] = {"type": kind, "message": f"made up: {fault}"}
            if fault == "401 with the key":
                error["message"] = f"not a key: {request.headers.get('authorization')}"
            if fault == "401 with a header":
                error["message"] = f"not for you: {request.headers.get('x-gateway')}"
            if fault in ("spend", "contract"):
                code = {"spend": "enforced_spend_limit_reached", "contract": "contract_spend_limit_reached"}[fault]
                error["details"] = {"error_code": code}
            content = json.dumps({"type": "error", "error": error, "request_id": "req_x"}).encode()
            headers = {"request-id": "req_x", **headers, **more_headers}
            self._send(request, status, "application/json", content, headers)
        elif fault == "html":
            self._send(request, 200, "text/html", b"<html><script>alert(1)</script>Sign in", {})
        elif fault in ("json", "json called a stream"):
            message = {"id": "m", "type": "message", "role": "assistant", "model": body["model"], "content": []}
            kind = "application/json" if fault == "json" else "text/event-stream"
            self._send(request, 200, kind, json.dumps(message).encode(), {})
        else:
            self._stream(request, body, fault, more_headers)

    @staticmethod
    def _send(
        request: BaseHTTPRequestHandler,
        status: int,
        content_type: str,
        content: bytes,
        headers: dict[str, str],
    ) -> None:
        request.send_response(status)
        for name, value in {
            "content-type": content_type,
            "content-length": str(len(content)),
            **headers,
        }.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)

    def _stream(
        self, request: BaseHTTPRequestHandler, body: dict[str, Any], fault: str, headers: Mapping[str, str]
    ) -> None:
        request.send_response(200)
        request.send_header("content-type", "text/event-stream; charset=utf-8")
        request.send_header("request-id", f"req_{len(self.bodies)}")
        request.send_header("transfer-encoding", "chunked")
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()

        def event(kind: str, **data: Any) -> None:
            text = f"event: {kind}\ndata: {json.dumps({'type': kind, **data}, ensure_ascii=False)}\n\n".encode()
            request.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
            request.wfile.flush()

        try:
            usage = {"input_tokens": 11, "output_tokens": 1, "service_tier": "standard"}
            event("message_start", message={"id": "m", "model": body["model"], "usage": usage, "content": []})
            event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""})
            event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"})
            if fault == "unknown block":
                event("content_block_start", index=9, content_block={"type": "zzz", "text": "not to be shown"})
                event("content_block_delta", index=9, delta={"type": "zzz_delta", "text": "nor this"})
                event("zzz", anything=1)
            event("content_block_start", index=1, content_block={"type": "text", "text": ""})
            pieces = [] if fault in ("empty", "refusal") else self.pieces_for(body)
            if fault == "line separator":
                pieces = ["one\u2028two"]
            for number, piece in enumerate(pieces):
                if number == 2 and fault in ERRORS_IN_THE_STREAM:
                    event("error", error={"type": ERRORS_IN_THE_STREAM[fault], "message": "made up"})
                    break
                if number == 2 and fault == "cut":
                    request.connection.shutdown(socket.SHUT_RDWR)
                    return
                if number == 2 and fault == "ends early":
                    break
                if number == 2 and fault == "not json":
                    request.wfile.write(b"e\r\ndata: {oops\n\n \r\n")
                    request.wfile.flush()
                event("content_block_delta", index=1, delta={"type": "text_delta", "text": piece})
                self.answered.set()
                time.sleep(self.seconds_a_piece)
            else:
                stops = {"refusal": "refusal", "cut off": "max_tokens", "unknown stop": "zzz"}
                stop = stops.get(fault, "end_turn")
                event("message_delta", delta={"stop_reason": stop}, usage={"output_tokens": 7})
                event("message_stop")
                with self._lock:
                    self.finished += 1
                if fault == "cut after the end":
                    request.connection.shutdown(socket.SHUT_RDWR)
                    return
                if fault == "not json after the end":
                    request.wfile.write(b"e\r\ndata: [DONE]\n\n\r\n")
                if fault == "hangs after the end":
                    request.rfile.read(1)  # until the client has gone
            request.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError, ValueError):
            request.close_connection = True  # the client has gone: that is what some tests are about


ERRORS_IN_THE_STREAM = {"overloaded in the stream": "overloaded_error", "limited in the stream": "rate_limit_error"}

ERRORS: dict[str, tuple[int, str, dict[str, str]]] = {
    "400": (400, "invalid_request_error", {}),
    "401": (401, "authentication_error", {}),
    "401 with the key": (401, "authentication_error", {}),
    "401 with a header": (401, "authentication_error", {}),
    "403": (403, "permission_error", {}),
    "404": (404, "not_found_error", {}),
    "429": (429, "rate_limit_error", {"retry-after": "0"}),
    "spend": (429, "rate_limit_error", {}),
    "contract": (429, "rate_limit_error", {}),
    "429, come back in 2099": (429, "rate_limit_error", {"retry-after": "Wed, 01 Jan 2099 00:00:00 GMT"}),
    "500": (500, "api_error", {"retry-after": "0"}),
    "529": (529, "overloaded_error", {"retry-after": "0"}),
    "529, come back in a minute": (529, "overloaded_error", {"retry-after": "3600"}),
    "413": (413, "request_too_large", {}),
}


@contextmanager
def serve(fault: Fault | str = "ok", *, seconds_a_piece: float = 0.0) -> Iterator[MessagesServer]:
    """A running server; `fault` is the name of one for every request, or chooses by request."""
    server = MessagesServer(fault if callable(fault) else lambda _body, _before: fault, seconds_a_piece)
    thread = threading.Thread(target=server._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server._http.shutdown()
        server._http.server_close()
        thread.join()
