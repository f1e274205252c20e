"""A Messages API on 127.0.0.1 that decides as a script says: which agent of the list it was sent, another tool, or text."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Decide = Callable[[str, "Listed"], str | None]
"""(prompt, the list) -> an agent, "tool:NAME" for another tool, "fail" for an error, "text:..." or None: text."""

_ENTRY = re.compile(r"^- ([\w:-]+): ", re.MULTILINE)


class Listed(tuple[str, ...]):
    """The names of the list, in its order, and its text."""

    text: str = ""


class RouterServer:
    def __init__(self, decide: Decide) -> None:
        self.decide = decide
        self.bodies: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if "count_tokens" in self.path:
                    outer._send(self, 200, "application/json", b'{"input_tokens": 100}')
                    return
                with outer._lock:
                    outer.bodies.append(body)
                said = outer.decide(prompt_of(body), names_of(body))
                if said == "fail":
                    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "made up"}}
                    outer._send(self, 413, "application/json", json.dumps(error).encode())
                else:
                    outer._send(self, 200, "text/event-stream", events_of(body, said))

            def do_HEAD(self) -> None:
                outer._send(self, 200, "application/json", b"")

            def do_GET(self) -> None:
                outer._send(self, 200, "application/json", b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, kind: str, content: bytes) -> None:
        request.send_response(status)
        request.send_header("content-type", kind)
        request.send_header("content-length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)


def prompt_of(body: dict[str, Any]) -> str:
    return texts_in(next(turn["content"] for turn in body["messages"] if turn["role"] == "user"))[-1]


def names_of(body: dict[str, Any]) -> Listed:
    """Of the list that is there: the lines of the paragraph that begins like one."""
    texts = texts_in(body.get("system") or "")
    texts += [text for turn in body["messages"] if turn["role"] == "system" for text in texts_in(turn["content"])]
    parts = [part for text in texts for part in text.split("\n\n") if "(Tools: " in part]
    listed = Listed(dict.fromkeys(name for part in parts for name in _ENTRY.findall(part)))
    listed.text = "\n".join(parts)
    return listed


def texts_in(content: Any) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content if part.get("type") == "text"]


def events_of(body: dict[str, Any], said: str | None) -> bytes:
    usage = {"input_tokens": 100, "output_tokens": 10}
    text = "I see."
    if said is not None and said.startswith("text:"):
        said, text = None, said.removeprefix("text:")
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": []}
    events: list[tuple[str, dict[str, Any]]] = [
        ("message_start", {"message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": text}}),
        ("content_block_stop", {"index": 0}),
    ]
    if said is not None:
        name, given = ("Agent", {"description": "d", "prompt": "p", "subagent_type": said})
        if said.startswith("tool:"):
            name, given = said.removeprefix("tool:"), {"file_path": "/nowhere"}
        block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
        halves = json.dumps(given)[:9], json.dumps(given)[9:]
        events.append(("content_block_start", {"index": 1, "content_block": block}))
        events += [
            ("content_block_delta", {"index": 1, "delta": {"type": "input_json_delta", "partial_json": half}})
            for half in halves
        ]
        events.append(("content_block_stop", {"index": 1}))
    stop = "end_turn" if said is None else "tool_use"
    events.append(("message_delta", {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage}))
    events.append(("message_stop", {}))
    return "".join(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n" for kind, data in events).encode()


@contextmanager
def router_server(decide: Decide) -> Iterator[RouterServer]:
    server = RouterServer(decide)
    thread = threading.Thread(target=server._http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server._http.shutdown()
        server._http.server_close()
        thread.join()
