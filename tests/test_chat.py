"""The way to a model through chat completions: replies, refusals and odd answers, keys, and a judge that answers there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.test_judging import RUBRIC, answer
from workbench.comparison.judged import outcome_counts
from workbench.errors import SetupError
from workbench.key_forms import REMOVED
from workbench.model.retrying import Retry
from workbench.trial.rubric import Rubric
from workbench.trial.task import Task
from workbench.trial.trial import Run, Trial, Variant

KEY = "sk-proj-" + "Zq7Lk2Pw9Xt4Vb8N" * 3


def chunk(text: str | None = None, *, stop: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": stop}
    said = {"id": "c", "object": "chat.completion.chunk", "model": "other-1", "choices": [choice], **more}
    return f"data: {json.dumps(said)}\n\n".encode()


USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 10}}}\n\n'
DONE = b"data: [DONE]\n\n"
WHOLE = [chunk("Hello, "), chunk("world."), chunk(stop="stop"), USAGE, DONE]


class ChatServer:
    def __init__(self) -> None:
        self.pieces: list[bytes] = WHOLE
        self.status = 200
        self.headers: Mapping[str, str] = {"content-type": "text/event-stream"}
        self.bodies: list[dict[str, Any]] = []
        self.seen: list[Mapping[str, str]] = []
        self.stays_open = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                outer.seen.append({name.lower(): value for name, value in self.headers.items()} | {"path": self.path})
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for piece in outer.pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
                if outer.stays_open.is_set():
                    outer.closing.wait(20)

            def log_message(self, *_: object) -> None:
                pass

        self.closing = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"


@contextmanager
def serving() -> Iterator[ChatServer]:
    server = ChatServer()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.http.shutdown()
        server.http.server_close()
        thread.join(10)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as started:
        yield started


ONCE = Retry(first_seconds=0.001, patience_seconds=0.0, patience_without_server_seconds=0.0)


def asked(server: ChatServer, tmp_path: Path, *, retry: Retry = ONCE) -> Trial:
    agent = wb.parse_agent(b"---\nname: a\ndescription: b\nmodel: other\n---\nYou help.\n")
    variant = Variant(agent=agent, endpoint=wb.chat_endpoint(server.url))
    plan = wb.plan_trials({"base": variant}, [Task(id="t", input="Hi")])
    tmp_path.mkdir(exist_ok=True)
    (trial,) = wb.run_trials(plan, ledger=tmp_path / "l.sqlite", progress=False, retry=retry).trials
    return trial


def test_a_plan_is_answered_through_chat_completions(server: ChatServer, tmp_path: Path) -> None:
    trial = asked(server, tmp_path)

    assert trial.reply is not None
    assert (trial.reply.text, trial.reply.stop_reason, trial.reply.model) == ("Hello, world.", "end_turn", "other-1")
    usage = trial.reply.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (20, 10, 4)
    assert server.seen[0]["path"] == "/v1/chat/completions"
    assert server.bodies[0]["messages"] == [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": "Hi"},
    ]
    assert asked(server, tmp_path).from_ledger and len(server.bodies) == 1


@pytest.mark.parametrize(
    ("stop", "outcome"), [("length", "cut_off"), ("content_filter", "refused"), ("stop", "answered")]
)
def test_why_it_stopped_is_said_in_our_words(server: ChatServer, tmp_path: Path, stop: str, outcome: str) -> None:
    server.pieces = [chunk("Half"), chunk(stop=stop), USAGE, DONE]

    assert asked(server, tmp_path).outcome == outcome


@pytest.mark.parametrize(
    ("end", "stop_reason", "odd"),
    [
        ([chunk(stop=3), USAGE, DONE], "unknown", ("stop_reason: 3",)),  # type: ignore[arg-type]
        ([chunk(stop=["x"]), USAGE, DONE], "unknown", ("stop_reason: a list",)),  # type: ignore[arg-type]
        ([chunk(stop="ran_dry"), USAGE, DONE], "ran_dry", ()),
        ([USAGE, DONE], "unknown", ("stop_reason: none",)),
        ([chunk(stop="stop"), b'data: {"usage": 3, "choices": []}\n\n', DONE], "end_turn", ("usage: 3",)),
        ([b"data: [1]\n\n", chunk(stop="stop"), USAGE, DONE], "end_turn", ("event: a list",)),
    ],
)
def test_whole_reply_is_kept_and_paid_once_whatever_is_odd_about_it(
    server: ChatServer, tmp_path: Path, end: list[bytes], stop_reason: str, odd: tuple[str, ...]
) -> None:
    server.pieces = [chunk("Whole."), *end]

    trial = asked(server, tmp_path, retry=Retry(first_seconds=0.001, patience_seconds=0.2))

    assert trial.failure is None and trial.reply is not None
    assert (trial.reply.text, trial.reply.stop_reason, trial.reply.oddities) == ("Whole.", stop_reason, odd)
    assert asked(server, tmp_path).from_ledger and len(server.bodies) == 1


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([chunk("Half")], "broken_stream"),
        ([], "broken_stream"),
        ([b"data: {\n\n"], "malformed_stream"),
        ([b"data: [1]\n\n"], "malformed_stream"),
        ([b"data: " + b"[" * 200_000 + b"\n\n"], "malformed_stream"),
        ([chunk(7)], "malformed_stream"),  # type: ignore[arg-type]
        ([b'data: {"error": {"type": "server_error", "message": "out of memory"}}\n\n'], "server_error"),
        ([chunk("x" * 9_000_000), chunk("x" * 9_000_000)], "too_large"),
    ],
)
def test_what_is_no_reply_is_a_failure_by_name(
    server: ChatServer, tmp_path: Path, pieces: list[bytes], kind: str
) -> None:
    server.pieces = pieces
    trial = asked(server, tmp_path)

    assert trial.failure is not None and trial.failure.type == kind, trial.failure


@pytest.mark.parametrize(
    "usage", ['"many"', "5", "true", "-4", "1e400", "[]", '{"prompt_tokens": -1}', '{"prompt_tokens": "x"}', "null"]
)
def test_odd_usage_is_unknown(server: ChatServer, tmp_path: Path, usage: str) -> None:
    server.pieces = [chunk("Hi."), chunk(stop="stop"), f'data: {{"choices": [], "usage": {usage}}}\n\n'.encode(), DONE]
    trial = asked(server, tmp_path)

    assert trial.reply is not None, trial.failure
    assert trial.reply.usage.input_tokens is None and trial.reply.usage.output_tokens is None


def test_a_reply_that_is_complete_is_kept_whatever_comes_after_it(server: ChatServer, tmp_path: Path) -> None:
    server.pieces = [*WHOLE[:3], b"data: {\n\n"]
    trial = asked(server, tmp_path)

    assert trial.failure is None and trial.reply is not None and trial.reply.text == "Hello, world."


@pytest.mark.parametrize(
    "late",
    [
        {"choices": [{"delta": {"content": "more"}}]},
        {"choices": [{"delta": {"refusal": "no more"}}]},
        {"error": {"message": KEY}},
    ],
)
def test_what_comes_after_the_end_is_noted_without_keys_and_ignored(
    server: ChatServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, late: dict[str, object]
) -> None:
    server.pieces = [*WHOLE[:3], f"data: {json.dumps(late)}\n\n".encode(), *WHOLE[3:]]
    with caplog.at_level("INFO", logger="workbench.model.stream"):
        trial = asked(server, tmp_path)

    assert trial.failure is None and trial.reply is not None
    assert (trial.reply.text, trial.reply.stop_reason) == ("Hello, world.", "end_turn")
    assert trial.reply.usage.output_tokens == 4
    (noted,) = [record.getMessage() for record in caplog.records if "ignored after the end" in record.getMessage()]
    assert "more" in noted or REMOVED in noted
    assert KEY[-20:] not in noted


ODD = (
    *("5", "null", "[]", '"x"', "{", "\0", '{"a": ' + "[" * 200_000, '{"a": ' + "9" * 5_000 + "}"),
    *(
        '{"error": 5}',
        '{"error": ""}',
        '{"error": {"type": 5, "message": {"a": 1}, "code": []}}',
        '{"model": {"a": 1}}',
    ),
    *('{"choices": 5}', '{"choices": [5]}', '{"choices": [{"delta": []}]}', '{"choices": [{"index": NaN}]}'),
    *(f'{{"choices": [{{"delta": {{"content": {text}}}}}]}}' for text in ("5", '["a"]', '{"a": 1}', '"\\ud83d"')),
    *(f'{{"choices": [{{"delta": {{}}, "finish_reason": {reason}}}]}}' for reason in ("5", "{}", '"tool_calls"')),
    *('{"choices": [{"delta": {"refusal": {"a": 1}}}]}', '{"choices": [{"delta": {"content": "x", "tool_calls": 5}}]}'),
)


@pytest.mark.parametrize("odd", ODD)
def test_whatever_stands_in_a_chunk_is_a_reply_or_a_failure_and_after_the_end_it_changes_nothing(
    server: ChatServer, tmp_path: Path, odd: str
) -> None:
    for place in (0, 1, 3):
        server.pieces = [*WHOLE[:place], f"data: {odd}\n\n".encode(), *WHOLE[place:]]
        trial = asked(server, tmp_path / str(place))

        assert trial.reply is not None or trial.failure is not None
        if place == 3:
            assert (trial.outcome, trial.failure) == ("answered", None)
            assert trial.reply is not None and trial.reply.text == "Hello, world."


@pytest.mark.parametrize("last", [DONE, b""])
def test_a_server_that_keeps_the_connection_keeps_no_trial(server: ChatServer, tmp_path: Path, last: bytes) -> None:
    server.stays_open.set()
    server.pieces = [*WHOLE[:4], last]
    trial = asked(server, tmp_path)

    assert trial.reply is not None and trial.reply.text == "Hello, world."
    assert trial.reply.usage.output_tokens == 4


def test_a_refusal_says_what_the_server_says_without_the_key(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    server.status, server.headers = 400, {"content-type": "application/json"}
    server.pieces = [json.dumps({"error": {"type": "invalid_request_error", "message": f"no {KEY} here"}}).encode()]
    with pytest.raises(SetupError) as refused:
        asked(server, tmp_path)

    assert server.seen[0]["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(refused.value) and "here" in str(refused.value)


def test_an_error_in_the_stream_is_kept_without_the_key(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.pieces = [chunk("Half"), b'data: {"error": {"type": "server_error", "message": "no %s"}}\n\n' % KEY.encode()]
    trial = asked(server, tmp_path)

    assert trial.failure is not None and trial.failure.type == "server_error"
    assert KEY not in trial.failure.message
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("key", ["sk-proj-a b", "sk-proj-\x7fabcdefgh", "sk-proj-ключ", "'sk-proj-a'"])
def test_what_cannot_be_a_key_is_refused_without_it(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    with pytest.raises(SetupError, match="OPENAI_API_KEY") as refused:
        asked(server, tmp_path)

    assert key not in str(refused.value) and server.bodies == []


@pytest.mark.parametrize(
    ("status", "error", "advice"),
    [
        (401, {"type": "invalid_request_error"}, "check OPENAI_API_KEY"),
        (404, {"type": "invalid_request_error", "code": "model_not_found"}, "check the model id 'other'"),
        (429, {"type": "insufficient_quota", "code": "insufficient_quota"}, "waiting does not help"),
        (429, {"type": "tokens", "code": "insufficient_quota"}, "waiting does not help"),
    ],
)
def test_what_no_trial_would_get_past_ends_the_run_with_advice_for_this_way(
    server: ChatServer, tmp_path: Path, status: int, error: Mapping[str, str], advice: str
) -> None:
    server.status, server.headers = status, {"content-type": "application/json"}
    server.pieces = [json.dumps({"error": {"message": "no", **error}}).encode()]
    with pytest.raises(SetupError, match=advice) as refused:
        asked(server, tmp_path, retry=Retry(first_seconds=0.001))

    assert "ANTHROPIC" not in str(refused.value)
    assert len(server.bodies) == 1


def test_the_key_goes_to_the_address_that_it_is_for(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-" + "Ab3" * 20)
    asked(server, tmp_path)

    assert "authorization" not in server.seen[0] and "x-api-key" not in server.seen[0]


def test_a_redirect_is_not_followed(server: ChatServer, tmp_path: Path) -> None:
    with serving() as other:
        server.status, server.headers, server.pieces = 307, {"location": f"{other.url}/chat/completions"}, []
        trial = asked(server, tmp_path)

    assert other.bodies == []
    assert trial.failure is not None and trial.failure.type == "redirected"


def test_overload_is_tried_again(server: ChatServer, tmp_path: Path) -> None:
    server.status, server.headers = 503, {"content-type": "application/json", "retry-after": "0"}
    server.pieces = [b"{}"]
    trial = asked(server, tmp_path, retry=Retry(first_seconds=0.001, patience_seconds=1.0))

    assert trial.failure is not None and trial.failure.type == "http_503"
    assert len(server.bodies) > 1


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1:8080", "ftp://x/v1", "http://user:pass@x/v1", "http://x/v1?key=a", "http:///v1"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SetupError):
        wb.chat_endpoint(address)


def test_an_address_is_kept_in_one_form() -> None:
    assert wb.chat_endpoint("http://x:1/v1/").base_url == "http://x:1/v1"
    assert wb.chat_endpoint("http://x:1/v1/chat/completions").base_url == "http://x:1/v1"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    agent = wb.parse_agent(b"---\nname: a\ndescription: b\n---\nYou review code.\n")
    plan = wb.plan_trials({"base": agent}, [Task(id="one", input="Review this.")])
    return wb.run_trials(plan, ledger=tmp_path / "run.sqlite", live=False, progress=False)


def test_judges_of_two_providers_sit_together(
    server: ChatServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.messages_server import serve

    quote = " ".join(run.trials[0].reply.text.split()[:3]) if run.trials[0].reply else ""
    said = answer(names_the_line=(quote, "met"), depth=(quote, "fully"))
    server.pieces = [chunk(said), chunk(stop="stop"), USAGE, DONE]
    other = wb.Judge(model="gpt-other", endpoint=wb.chat_endpoint(server.url))
    with serve() as messages:
        messages.pieces = [said]
        monkeypatch.setenv("ANTHROPIC_BASE_URL", messages.url)
        judged = wb.judge(run, RUBRIC, model=["sonnet", other], ledger=tmp_path / "l.sqlite", progress=False)

    assert outcome_counts(judged, judged.judged[0]) == {"found": 4}
    assert judged.judged[0].judges == ("sonnet", "gpt-other")
    assert (
        server.bodies[0]["response_format"]["json_schema"]["schema"]
        == messages.bodies[0]["output_config"]["format"]["schema"]
    )
    assert isinstance(RUBRIC, Rubric)
    wb.export_record(judged, tmp_path / "record")
    assert {call.endpoint.kind for call in wb.load_run(tmp_path / "record").judged[0].calls} == {"server", "chat"}
