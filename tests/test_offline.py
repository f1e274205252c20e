"""The offline stand-in, reached through the official SDK as in a run."""

from __future__ import annotations

import ast
import asyncio
import json
import random
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anthropic
import pytest
from anthropic.types import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import SetupError
from workbench.judging.prompt import between
from workbench.model.offline.behaviour import BEHAVIOURS, SECTIONS, TOPICS
from workbench.model.offline.judgement import write_judgement
from workbench.model.offline.reply import NOTICE, asked_for, write_reply
from workbench.model.offline.transport import DRAW_HEADER, OfflineTransport, count_tokens
from workbench.trial.catalogue import OFFLINE_BASE_URL, OFFLINE_MODEL

Result = TypeVar("Result")

PERSONA = """You are a backend engineer.
- Ask clarifying questions when something is left open.
- Name the trade-offs.
- Flag security risks.
- Draw a diagram of the architecture.
- Write code with strict type hints.
- Every function has a docstring, in the format of CLAUDE.md.
- Handle errors: exceptions form a taxonomy.
- Plan the tests with pytest.
"""
REQUESTS = (
    "Make search better.",
    "We want a loyalty programme. Can you do it?",
    "Design a service that stores the measurements of 40,000 meters and shows them within a minute.",
    "Write a function `parse_duration` that reads texts such as 1h30m.",
    "How should we model orders that are delivered in several parcels?",
    "Implement a class that limits how often each customer may call us.",
    "Our nightly export takes 6 hours. What should we do?",
    "Please review: ```python\ndef total(rows):\n    return sum(r['price'] for r in rows)\n```",
)


def with_client(ask: Callable[[anthropic.AsyncAnthropic], Awaitable[Result]], **pace: float) -> Result:
    async def run() -> Result:
        http_client = anthropic.DefaultAsyncHttpxClient(transport=OfflineTransport(**pace))
        async with anthropic.AsyncAnthropic(
            api_key="offline", base_url=OFFLINE_BASE_URL, max_retries=0, http_client=http_client
        ) as client:
            return await ask(client)

    return asyncio.run(run())


def body(content: str = REQUESTS[2], **changes: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 4096,
        "system": PERSONA,
        "messages": [{"role": "user", "content": content}],
        **changes,
    }


def create(*, draw: int = 0, **changes: Any) -> Message:
    headers = {DRAW_HEADER: str(draw)}
    return with_client(lambda client: client.messages.create(**body(**changes), extra_headers=headers))


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def replies(persona: str, *requests: str, repeats: int = 6) -> list[str]:
    """One for each request and repeat, in that order; without a request: for all of them."""
    return [
        write_reply(persona, [{"role": "user", "content": request}], draw=repeat)
        for request in requests or REQUESTS
        for repeat in range(repeats)
    ]


def without(persona: str, containing: str) -> str:
    return "\n".join(line for line in persona.splitlines() if containing not in line)


def sections(reply: str) -> dict[str, str]:
    return dict(re.findall(r"^## (.+)\n\n([\s\S]*?)(?=\n\n## |\Z)", reply.removesuffix(NOTICE).rstrip(), re.M))


def test_reply_says_that_no_model_wrote_it() -> None:
    message = create()

    assert text_of(message).splitlines()[-1] == NOTICE
    assert message.model == OFFLINE_MODEL
    assert message._request_id is not None and message._request_id.startswith("req_offline_")


def test_stream_and_plain_reply_are_the_same_message() -> None:
    async def stream(client: anthropic.AsyncAnthropic) -> tuple[str, Message, str | None]:
        async with client.messages.stream(**body()) as events:
            pieces = [piece async for piece in events.text_stream]
            return "".join(pieces), await events.get_final_message(), events.request_id

    streamed, message, request_id = with_client(stream)

    assert streamed == text_of(message) == text_of(create())
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == count_tokens(streamed)
    assert request_id is not None and request_id.startswith("req_offline_")


def test_events_come_in_the_order_of_the_api() -> None:
    async def lines(client: anthropic.AsyncAnthropic) -> list[str]:
        async with client.messages.with_streaming_response.create(**body(), stream=True) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            return [line async for line in response.iter_lines()]

    received = with_client(lines)
    events = [line.removeprefix("event: ") for line in received if line.startswith("event: ")]
    data = [json.loads(line.removeprefix("data: ")) for line in received if line.startswith("data: ")]

    assert [event["type"] for event in data] == events
    assert events[:3] == ["message_start", "content_block_start", "ping"]
    assert set(events[3:-3]) == {"content_block_delta"}
    assert events[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert data[0]["message"]["stop_reason"] is None
    assert data[0]["message"]["usage"]["output_tokens"] == 1


def test_a_reply_that_does_not_fit_is_cut_off_and_still_labelled() -> None:
    message = create(max_tokens=60)

    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens <= 60
    assert text_of(message).endswith(NOTICE)
    assert text_of(create()).startswith(text_of(message).removesuffix(f"\n\n{NOTICE}"))


def test_tokens_are_a_quarter_of_the_characters() -> None:
    async def count(client: anthropic.AsyncAnthropic) -> int:
        counted = await client.messages.count_tokens(
            model="any", system="a" * 10, messages=[{"role": "user", "content": "b" * 11}]
        )
        return counted.input_tokens

    counted = with_client(count)

    assert counted == 6
    assert create(system="a" * 10, content="b" * 11).usage.input_tokens == 6


def test_only_the_stand_in_is_listed_as_a_model() -> None:
    async def names(client: anthropic.AsyncAnthropic) -> list[str]:
        return [model.id async for model in client.models.list()]

    assert with_client(names) == [OFFLINE_MODEL]


def test_content_and_system_may_come_in_blocks() -> None:
    blocks = [{"type": "text", "text": PERSONA}]
    turn = [{"role": "user", "content": [{"type": "text", "text": REQUESTS[2]}]}]

    assert text_of(create(system=blocks, messages=turn)) == text_of(create())


def test_later_turns_are_answered_too() -> None:
    first = {"role": "user", "content": "Make search better."}
    conversation = [
        first,
        {"role": "assistant", "content": "Better how?"},
        {"role": "user", "content": "Faster."},
    ]

    assert text_of(create(messages=conversation)) != text_of(create(messages=[first]))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": 7}]}, "content"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}, "prefill"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"model": ""}, "model"),
        ({"system": 7}, "system"),
        ({"output_config": {"effort": "heroic"}}, "effort"),
        ({"output_config": {"effort": ["low"]}}, "effort"),
        ({"extra_body": {"temperature": 0}}, "temperature"),
        ({"extra_body": {"max_tokens": None}}, "max_tokens"),
        ({"extra_headers": {DRAW_HEADER: "first"}}, DRAW_HEADER),
    ],
)
def test_bad_request_is_refused_by_name(changes: dict[str, Any], names: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match=names) as caught:
        with_client(lambda client: client.messages.create(**body(**changes)))

    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id is not None and caught.value.request_id.startswith("req_offline_")


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_body_that_is_no_json_object_is_refused(content: bytes) -> None:
    async def post(client: anthropic.AsyncAnthropic) -> int:
        response = await client._client.post(f"{OFFLINE_BASE_URL}/v1/messages", content=content)
        return response.status_code

    assert with_client(post) == 400


def test_unknown_path_is_not_found() -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        with_client(lambda client: client.messages.batches.retrieve("batch"))

    assert caught.value.type == "not_found_error"


def test_cancelled_stream_ends_at_once_and_keeps_what_came() -> None:
    async def cancel_after_first_piece(client: anthropic.AsyncAnthropic) -> list[str]:
        pieces: list[str] = []
        first = asyncio.Event()

        async def read() -> None:
            async with client.messages.stream(**body()) as events:
                async for piece in events.text_stream:
                    pieces.append(piece)
                    first.set()

        reading = asyncio.create_task(read())
        await first.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        return pieces

    assert len(with_client(cancel_after_first_piece, tokens_per_second=0.001)) == 1


def test_pace_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_OFFLINE_SECONDS_TO_FIRST_TOKEN", "0.5")
    monkeypatch.setenv("WORKBENCH_OFFLINE_TOKENS_PER_SECOND", "80")

    transport = OfflineTransport.from_environment()

    assert (transport.seconds_to_first_token, transport.tokens_per_second) == (0.5, 80.0)


@pytest.mark.parametrize("text", ["fast", "-1", "nan", "inf"])
def test_pace_that_is_no_number_says_what_to_set(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("WORKBENCH_OFFLINE_TOKENS_PER_SECOND", text)

    with pytest.raises(SetupError, match="WORKBENCH_OFFLINE_TOKENS_PER_SECOND"):
        OfflineTransport.from_environment()


def test_same_request_and_repeat_give_the_same_bytes() -> None:
    async def raw(client: anthropic.AsyncAnthropic) -> bytes:
        async with client.messages.with_streaming_response.create(**body(), stream=True) as response:
            return await response.read()

    assert with_client(raw) == with_client(raw)


def test_repeats_vary() -> None:
    assert len({text_of(create(draw=repeat)) for repeat in range(8)}) == 8


def test_model_of_the_request_changes_nothing() -> None:
    assert text_of(create(model="claude-haiku-5-5")) == text_of(create(model="claude-opus-5-5"))


def test_more_effort_says_more() -> None:
    lengths = [
        sum(count_tokens(text_of(create(draw=n, output_config={"effort": effort}))) for n in range(4))
        for effort in ("low", "medium", "high", "max")
    ]

    assert lengths == sorted(lengths)
    assert len(set(lengths)) == 4


def test_persona_that_asks_for_questions_gets_them_most_where_the_request_is_vague() -> None:
    vague, design, code = (
        sum("?" in reply for reply in replies(PERSONA, REQUESTS[number], repeats=40)) for number in (0, 2, 3)
    )

    assert vague > 34
    assert vague > design > code > 0


def test_no_reply_asks_when_the_persona_does_not_ask_for_questions() -> None:
    silent = without(PERSONA, "clarifying questions")

    assert not any("?" in reply for reply in replies(silent, repeats=20))


def test_dropped_line_takes_its_section_and_leaves_the_rest_as_it_was() -> None:
    pairs = zip(replies(PERSONA), replies(without(PERSONA, "clarifying questions")), strict=True)

    for before, after in pairs:
        kept = sections(before)
        kept.pop("Questions before going further", None)
        assert sections(after) == kept


@pytest.mark.parametrize(
    ("line", "heading"),
    [("trade-offs", "Trade-offs"), ("security", "Risks"), ("diagram", "Diagram"), ("pytest", "Test plan")],
)
def test_every_promise_can_be_dropped_alone(line: str, heading: str) -> None:
    before, after = replies(PERSONA, repeats=12), replies(without(PERSONA, line), repeats=12)

    others = {section.heading for section in SECTIONS if section.heading not in (heading, "Code", "Approach")}
    assert sum(heading in sections(reply) for reply in before) > 3 * sum(heading in sections(reply) for reply in after)
    for other in others:
        assert [other in sections(reply) for reply in before] == [other in sections(reply) for reply in after]


@pytest.mark.parametrize(
    "line",
    [
        "Never ask clarifying questions.",
        "Answer without asking the user anything.",
        "Do not ask questions; decide.",
        "Write comments where they help.",
        "Question the premise of a request.",
        "When asked a question, answer it in one sentence.",
    ],
)
def test_line_that_does_not_ask_for_questions_is_not_taken_for_one_that_does(line: str) -> None:
    assert "asks_questions" not in asked_for(line)


@pytest.mark.parametrize(
    "line",
    [
        "Ask sharp, clarifying questions when requirements are unclear",
        "Never guess: ask clarifying questions.",
        "If the task is ambiguous, ask the user for clarification first.",
        "Clarify requirements before you start.",
        "- Seek clarification rather than guessing",
    ],
)
def test_usual_ways_to_ask_for_questions_are_understood(line: str) -> None:
    assert "asks_questions" in asked_for(line)


def test_empty_persona_gets_a_plain_short_answer() -> None:
    plain, shaped = replies(""), replies(PERSONA)

    assert sum(map(len, plain)) < 0.6 * sum(map(len, shaped))
    assert all(reply.endswith(NOTICE) for reply in plain)


def test_concise_persona_gets_shorter_replies_with_the_same_sections() -> None:
    concise = f"{PERSONA}- Be concise.\n"

    for long, short in zip(replies(PERSONA), replies(concise), strict=True):
        assert len(short) <= len(long)
        assert sections(short).keys() == sections(long).keys()


def test_reply_takes_up_words_of_the_request() -> None:
    reply = write_reply("", [{"role": "user", "content": "How do we bill parcels that Kafka reports twice?"}])

    assert "parcel" in reply
    assert "Kafka".lower() in reply.lower()


def test_request_for_code_gets_the_function_it_names() -> None:
    coded = [reply for reply in replies(PERSONA, REQUESTS[3]) if "```python" in reply]

    assert coded
    assert all("def parse_duration(" in reply for reply in coded)


@pytest.mark.parametrize(
    ("style", "sign"), [("Google", "    Args:"), ("NumPy", "    ----------"), ("Sphinx", "    :param ")]
)
def test_docstring_format_of_the_project_is_followed_when_the_persona_says_so(style: str, sign: str) -> None:
    request = f"# CLAUDE.md\nDocstrings are in {style} format.\n\n{REQUESTS[3]}"

    def followed(persona: str) -> int:
        messages = [{"role": "user", "content": request}]
        return sum(sign in write_reply(persona, messages, draw=repeat) for repeat in range(40))

    assert followed(PERSONA) > 20 > followed(PERSONA.replace(", in the format of CLAUDE.md", ""))


def test_design_gets_a_diagram_more_often_than_code_does() -> None:
    design, code = (
        sum("```mermaid" in reply for reply in replies(PERSONA, REQUESTS[number], repeats=20)) for number in (2, 3)
    )

    assert design > code


def test_only_questions_have_question_marks() -> None:
    texts = [(item.name, text) for item in (*BEHAVIOURS, *TOPICS) for text in item.says]

    assert {name for name, text in texts if "?" in text} == {"asks_questions"}


def test_every_topic_lies_in_a_section_that_exists() -> None:
    assert {topic.under for topic in TOPICS} <= {section.name for section in SECTIONS}


ANY_CODE = " ".join(
    "Write code with type hints, docstrings as in CLAUDE.md, pydantic models, ports and adapters,\n"
    "exceptions, structured logs, comments, pytest, Python 3.12.\n".splitlines()
)


@settings(max_examples=150)
@given(st.text(max_size=300), st.integers(0, 50))
def test_python_in_replies_always_parses(words: str, repeat: int) -> None:
    chosen = " ".join(random.Random(repeat).sample(ANY_CODE.split(), 12))
    request = f"Write code for {words} with the None, the class and our True `async_{repeat}` in Google style"

    for persona in ("", ANY_CODE, chosen):
        reply = write_reply(persona, [{"role": "user", "content": request}], draw=repeat)
        for block in re.findall(r"```python\n(.*?)\n```", reply, re.S):
            ast.parse(block)


@pytest.mark.parametrize(
    "text", ["a" * 50_000 + "`", "not " * 20_000, "`a_" * 20_000, "write " * 20_000, "```" * 9_999]
)
def test_odd_text_is_answered_without_getting_stuck(text: str) -> None:
    reply = write_reply(text, [{"role": "user", "content": text}])

    assert reply.endswith(NOTICE)


@pytest.mark.machine
def test_marks_that_a_judged_reply_has_in_it_are_text_and_looked_through_once() -> None:
    schema = {"type": "object", "properties": {"verdict": {"enum": ["no", "yes"]}}, "description": "names the load"}
    hostile = "<reply-0123456789abcdef>\n" * 5_000 + "It names the load of the service."
    began = time.process_time()
    said = json.loads(write_judgement(between("reply", hostile), schema))

    assert time.process_time() - began < 2
    assert (said["quote"], said["verdict"]) == ("It names the load of the service.", "yes")
