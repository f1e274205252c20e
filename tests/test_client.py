from __future__ import annotations

import asyncio

import pytest

from tests.messages_server import REPLY, Fault, MessagesServer, serve
from workbench.errors import SetupError
from workbench.model.anthropic import open_anthropic
from workbench.model.api import Attempt
from workbench.model.endpoint import choose_endpoint
from workbench.model.failures import shown
from workbench.model.stream import PartialReply
from workbench.trial.trial import Endpoint, Request

KEY = "sk-ant-api03-0123456789abcdef"
REQUEST = Request(
    model="claude-x",
    system="You ask.",
    messages=({"role": "user", "content": "Hello"},),
    max_tokens=100,
    effort="low",
)


def asked(
    fault: Fault | str, *, deadline_seconds: float = 30.0, ending_seconds: float = 2.0, seconds_a_piece: float = 0.0
) -> tuple[Attempt, list[str]]:
    pieces: list[str] = []

    async def once(endpoint: Endpoint) -> Attempt:
        async with open_anthropic(endpoint, ending_seconds=ending_seconds) as model:
            return await model.ask(REQUEST, on_text=pieces.append, deadline_seconds=deadline_seconds)

    with serve(fault, seconds_a_piece=seconds_a_piece) as server:
        return asyncio.run(once(Endpoint(kind="server", base_url=server.url))), pieces


def test_text_comes_in_pieces_and_thinking_is_left_out() -> None:
    attempt, pieces = asked("ok")

    assert pieces == REPLY
    assert attempt.failure is None
    assert attempt.reply is not None
    assert attempt.reply.text == "".join(REPLY)
    assert attempt.reply.stop_reason == "end_turn"
    assert attempt.reply.model == "claude-x"
    assert (attempt.reply.usage.input_tokens, attempt.reply.usage.output_tokens) == (11, 7)
    assert attempt.reply.request_id == "req_1"
    assert attempt.reply.seconds_to_first_token is not None


def test_request_body_says_model_persona_effort_and_no_temperature() -> None:
    with serve() as server:
        endpoint = Endpoint(kind="server", base_url=server.url)

        async def once() -> None:
            async with open_anthropic(endpoint) as model:
                await model.ask(REQUEST, draw=3)

        asyncio.run(once())

    assert server.bodies == [
        {
            "model": "claude-x",
            "max_tokens": 100,
            "system": "You ask.",
            "messages": [{"role": "user", "content": "Hello"}],
            "output_config": {"effort": "low"},
            "stream": True,
        }
    ]
    assert server.headers[0]["x-workbench-draw"] == "3"


@pytest.mark.parametrize(
    ("fault", "kind", "partial"),
    [
        ("529", "overloaded_error", None),
        ("429", "rate_limit_error", None),
        ("spend", "enforced_spend_limit_reached", None),
        ("401", "authentication_error", None),
        ("html", "not_a_stream", None),
        ("overloaded in the stream", "overloaded_error", "First, a question: "),
        ("ends early", "broken_stream", "First, a question: "),
        ("cut", "connection", "First, a question: "),
        ("not json", "malformed_reply", "First, a question: "),
    ],
)
def test_every_fault_is_a_named_failure_and_keeps_what_came(fault: str, kind: str, partial: str | None) -> None:
    attempt, _ = asked(fault)

    assert attempt.failure is not None
    assert attempt.failure.type == kind
    assert (attempt.reply.text if attempt.reply else None) == partial


@pytest.mark.parametrize("fault", ["cut after the end", "not json after the end", "hangs after the end"])
def test_reply_that_has_come_to_its_end_is_kept_whatever_breaks_then(fault: str) -> None:
    attempt, _ = asked(fault, ending_seconds=0.2)

    assert attempt.failure is None
    assert attempt.reply is not None
    assert (attempt.reply.text, attempt.reply.stop_reason) == ("".join(REPLY), "end_turn")
    assert attempt.reply.usage.output_tokens == 7


def test_output_tokens_of_a_broken_reply_are_unknown() -> None:
    attempt, _ = asked("ends early")

    assert attempt.reply is not None
    assert attempt.reply.usage.input_tokens == 11
    assert attempt.reply.usage.output_tokens is None


def test_what_was_said_is_kept_as_it_was_said() -> None:
    details = {"type": "refusal", "explanation": f"You gave me {KEY}, keep it."}
    progress = PartialReply()

    progress.take({"type": "content_block_delta", "delta": {"type": "text_delta", "text": KEY}}, None)
    progress.take({"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}}, None)

    assert (progress.partial().text, progress.partial().stop_details) == (KEY, details)


def test_failure_that_is_shown_loses_a_key() -> None:
    failing = {"type": "error", "error": {"type": "overloaded_error", "message": f"busy with {KEY}"}}

    failure = PartialReply().take(failing, None)

    assert failure is not None
    assert shown(failure.message) == "in the stream: busy with [key removed]"


def test_line_separator_inside_a_piece_does_not_break_the_stream() -> None:
    attempt, _ = asked("line separator")

    assert attempt.reply is not None
    assert attempt.reply.text == "one\u2028two"


def test_deadline_ends_a_reply_that_drips() -> None:
    attempt, _ = asked("ok", deadline_seconds=0.3, seconds_a_piece=0.2)

    assert attempt.failure is not None
    assert attempt.failure.type == "deadline"
    assert attempt.reply is not None
    assert attempt.reply.text.startswith("First, ")


def test_server_that_is_not_there_is_a_connection_failure() -> None:
    async def once() -> Attempt:
        async with open_anthropic(Endpoint(kind="server", base_url="http://127.0.0.1:9")) as model:
            return await model.ask(REQUEST)

    attempt = asyncio.run(once())

    assert attempt.failure is not None
    assert attempt.failure.type == "unreachable"
    assert attempt.failure.message.startswith("ConnectError: Cannot connect to host 127.0.0.1:9: Connect call failed")
    assert "ssl:" not in attempt.failure.message


def test_without_any_setting_the_stand_in_answers() -> None:
    assert choose_endpoint() == choose_endpoint(live=False)
    assert choose_endpoint().is_stand_in


def test_key_means_live_and_base_url_means_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    assert choose_endpoint().kind == "live"
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:11434/")
    assert choose_endpoint() == Endpoint(kind="server", base_url="http://127.0.0.1:11434")
    assert choose_endpoint(live=False).is_stand_in


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ANTHROPIC_BASE_URL", "http://host.invalid/v1", "give the root: http://host.invalid"),
        ("ANTHROPIC_BASE_URL", "host:8080", "not an http or https address"),
        ("ANTHROPIC_BASE_URL", "http://me:hunter2@host.invalid", "put the key into ANTHROPIC_API_KEY"),
        ("ANTHROPIC_API_KEY", "sk-secret \n", "set it to the key alone"),
    ],
)
def test_wrong_setting_says_what_to_set_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SetupError) as caught:
        choose_endpoint()

    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "sk-secret" not in str(caught.value)


def test_live_without_a_key_says_what_to_set() -> None:
    with pytest.raises(SetupError, match="set ANTHROPIC_API_KEY"):
        choose_endpoint(live=True)


async def ask_once(endpoint: Endpoint) -> Attempt:
    async with open_anthropic(endpoint) as model:
        return await model.ask(REQUEST)


def test_key_that_a_server_repeats_is_not_kept(server: MessagesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-canary-0123456789")
    server.fault = lambda _, __: "401 with the key"

    attempt = asyncio.run(ask_once(choose_endpoint()))

    assert attempt.failure is not None
    assert attempt.failure.message == "not a key: Bearer [ANTHROPIC_API_KEY]"


@pytest.mark.parametrize(
    ("key", "said", "kept"),
    [
        ("a", "invalid api key: a", "invalid api key: [ANTHROPIC_API_KEY]"),
        ("a", "a bad gateway at a.example has had an overload", None),
        ("e", "The model 'e' is not one of these", "The model '[ANTHROPIC_API_KEY]' is not one of these"),
        ("12", "12 of 128 slots, 12.5 %", None),
        ("none", "none of the models is loaded; Authorization: Bearer none", "none of the models is loaded; Authorization: Bearer [ANTHROPIC_API_KEY]"),
        ("ollama", "ollama run haiku: no such model in ollama", None),
        ("ollama", '{"key":"ollama"}', '{"key":"[ANTHROPIC_API_KEY]"}'),
        ("x7Kq", "key x7Kq is refused; see x7Kq2.example", "key [ANTHROPIC_API_KEY] is refused; see x7Kq2.example"),
        ("x7Kq9w", "you sent prefix-x7Kq9w-suffix", "you sent prefix-[ANTHROPIC_API_KEY]-suffix"),
        ("test", "a test of the latest protest (test)", "a test of the latest protest ([ANTHROPIC_API_KEY])"),
    ],
)  # fmt: skip
def test_a_short_key_or_a_word_is_taken_out_only_where_it_stands_alone_as_a_value(
    monkeypatch: pytest.MonkeyPatch, key: str, said: str, kept: str | None
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)

    assert shown(said) == (kept or said)


def test_key_is_for_the_server_of_the_environment_and_for_no_other(
    server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-canary-0123456789")
    with serve() as other:
        asyncio.run(ask_once(Endpoint(kind="server", base_url=other.url)))

        assert other.headers[0]["authorization"] == "Bearer none"
