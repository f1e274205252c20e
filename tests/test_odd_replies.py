"""A reply that came to its end is paid: whatever else is odd about it, it is kept, and asked for once."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.odd_server import SAID, STOP, end, event, head, serve_odd, start, text
from tests.runs import STAND_IN
from workbench.comparison.tables import compare
from workbench.definition.agent import Agent
from workbench.model.batches.items import settled_by
from workbench.model.retrying import Retry
from workbench.model.stream import PartialReply
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.task import Task
from workbench.trial.trial import Request, Run, Trial
from workbench.widgets.results_data import trial_page

PATIENT = Retry(first_seconds=0.001, longest_seconds=0.01, patience_seconds=0.2, patience_without_server_seconds=0.2)
"""In which what is worth another try is tried again many times."""

ABSENT = object()
NO_TEXT: dict[str, Any] = {
    "number": 3,
    "float": 7.5,
    "list": ["x"],
    "object": {"a": 1},
    "true": True,
    "nothing": "",
    "half a character": "\ud800",
}
ODD_TEXT = {**NO_TEXT, "null": None, "absent": ABSENT}
ODD_COUNT: dict[str, Any] = {
    "text": "7",
    "float": 7.5,
    "true": True,
    "negative": -3,
    "2**70": 2**70,
    "NaN": float("nan"),
    "list": [1],
    "object": {},
}
FIELDS: dict[str, dict[str, Any]] = {
    "stop_reason": {**ODD_TEXT, "unknown word": "ran_dry"},
    "stop_sequence": ODD_TEXT,
    "stop_details": ODD_TEXT,
    "model": ODD_TEXT,
    "id": ODD_TEXT,
    "type": {**ODD_TEXT, "unknown word": "letter"},
    "role": {**ODD_TEXT, "unknown word": "user"},
    "usage": ODD_TEXT,
    **{
        f"usage.{name}": {**ODD_COUNT, "null": None, "absent": ABSENT}
        for name in ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    },
    "usage.cache_creation": {**ODD_COUNT, "5 minutes": {"ephemeral_5m_input_tokens": "9"}},
    "usage.service_tier": ODD_TEXT,
    "content block": {
        **NO_TEXT,
        "null": None,
        "unknown": {"type": "hologram", "voxels": [1]},
        "of no type": {"text": 3},
        "tool without a name": {"type": "tool_use", "input": 3},
        "type that is a list": {"type": ["text"]},
    },
}
CASES = [(field, name) for field, values in FIELDS.items() for name in values]
SILENT = {
    *((field, "absent") for field in FIELDS if field != "stop_reason"),
    *((field, "null") for field in FIELDS if field != "stop_reason"),
    *((field, "half a character") for field in ("model", "stop_sequence", "id", "usage.service_tier", "stop_reason")),
    *((field, "nothing") for field in ("stop_sequence", "id")),
    *((f"usage.{name}", kind) for name in ("cache_creation",) for kind in ("object", "5 minutes")),
    ("stop_details", "object"),
    ("usage", "object"),
    ("stop_reason", "unknown word"),
    ("content block", "unknown"),
    ("content block", "of no type"),
    ("content block", "object"),
    ("content block", "tool without a name"),
}
"""What takes nothing from a reply that anybody reads: there is nothing to say of it. ("\\ud800" arrives as "?".)"""


def message_of(field: str, name: str) -> dict[str, Any]:
    """A message as the API has it but for this field."""
    odd = FIELDS[field][name]
    usage = {"input_tokens": 11, "output_tokens": 7}
    message: dict[str, Any] = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": SAID}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    if field == "content block":
        message["content"] += [odd]
        return message
    part, place = (usage, field.removeprefix("usage.")) if field.startswith("usage.") else (message, field)
    part[place] = odd
    if odd is ABSENT:
        del part[place]
    return message


def streamed(message: dict[str, Any]) -> bytes:
    """The message as the events of a stream."""
    stops = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details") if name in message}
    begun = {name: found for name, found in message.items() if name not in stops and name != "content"}
    events: list[tuple[str, dict[str, Any]]] = [("message_start", {"message": begun})]
    for index, block in enumerate(message["content"]):
        begins = {**block, "text": ""} if isinstance(block, dict) and block.get("text") == SAID else block
        events.append(("content_block_start", {"index": index, "content_block": begins}))
        if begins is not block:
            delta = {"type": "text_delta", "text": SAID}
            events.append(("content_block_delta", {"index": index, "delta": delta}))
        events.append(("content_block_stop", {"index": index}))
    usage = {"usage": message["usage"]} if "usage" in message else {}
    events += [("message_delta", {"delta": stops, **usage}), ("message_stop", {})]
    return head() + b"".join(event(kind, json.dumps(fields)[1:-1]) for kind, fields in events)


def unstreamed(message: dict[str, Any]) -> bytes:
    return head(content_type="application/json") + json.dumps(message).encode()


def plan_of(agent: Agent, answers: int) -> Plan:
    tasks = [Task(id=str(number), input=f"odd {number}") for number in range(answers)]
    return plan_trials({"base": agent}, tasks, max_tokens=100)


def run_twice(agent: Agent, monkeypatch: pytest.MonkeyPatch, answers: list[bytes]) -> tuple[Run, Counter[int]]:
    """The second of two runs on a server that answers so, and how often it was asked for each."""
    with serve_odd(list(answers)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        for _ in range(2):
            run = run_trials(plan_of(agent, len(answers)), progress=False, retry=PATIENT, concurrency=20)
        return run, server.asked


def settled_in(way: str, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """Each odd message as a trial; asked for twice, and answered once."""
    messages = [message_of(*case) for case in CASES]
    if way == "in a batch":
        asked = Request(model="claude-x", messages=({"role": "user", "content": "x"},), max_tokens=100, system="")
        trial = Trial(variant="v", task_id="t", repeat=0, request=asked, endpoint=STAND_IN)
        arrived = [json.loads(json.dumps(message).replace("\\ud800", "?")) for message in messages]
        return [settled_by(trial, {"type": "succeeded", "message": message}) for message in arrived]
    on_the_wire = streamed if way == "streaming" else unstreamed
    run, times = run_twice(agent, monkeypatch, [on_the_wire(message) for message in messages])
    twice = [CASES[number] for number, count in times.items() if count != 1]
    assert len(times) == len(CASES) and not twice, f"paid more than once: {twice}"
    return list(run.trials)


@pytest.mark.parametrize("way", ["streaming", "not streaming", "in a batch"])
def test_whole_reply_is_kept_and_paid_once_whatever_is_odd_about_it_and_that_is_said(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    for (field, name), trial in zip(CASES, settled_in(way, agent, monkeypatch), strict=True):
        where = (field, name, trial.failure, trial.reply)
        assert trial.failure is None, where
        assert trial.reply is not None, where
        assert (trial.outcome, trial.reply.text) == ("answered", SAID), where
        known = "ran_dry" if name == "unknown word" else "?" if name == "half a character" else "unknown"
        assert trial.reply.stop_reason == (known if field == "stop_reason" else "end_turn"), where
        said = trial.reply.oddities
        if (field, name) in SILENT:
            assert said == (), where
        else:
            assert len(said) == 1 and said[0].startswith(f"{field}: "), where


def test_run_says_how_many_replies_were_odd_and_in_what(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = streamed(message_of("stop_reason", "number"))
    run, _ = run_twice(agent, monkeypatch, [odd, odd, streamed(message_of("stop_reason", "unknown word"))])

    assert run.trials[0].from_ledger, "the second run says it as well"
    said = "2 replies are kept, for they came whole, though their server said what no API says: stop_reason: 3 (2x)."
    assert capsys.readouterr().out.count(said) == 2
    facts = dict(trial_page(compare(run, baseline="base"), 0)["facts"])
    assert (facts["Stop reason"], facts["Odd in what the server said"]) == ("unknown", "stop_reason: 3")


def lost(*middle: bytes) -> bytes:
    return head() + start() + text('"Which "') + b"".join(middle) + text('"load?"') + end() + STOP


LOST = {
    "text": lost(text("3")),
    "delta": lost(event("content_block_delta", '"delta": 3')),
    "no JSON": lost(b"data: {oops\n\n"),
    "content": head(content_type="application/json")
    + b'{"content": [{"type": "text", "text": ["x"]}], "stop_reason": "end_turn"}',
}


def test_reply_whose_text_cannot_be_told_fails_by_name_and_is_asked_once_a_run(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, asked = run_twice(agent, monkeypatch, list(LOST.values()))

    assert asked == Counter(dict.fromkeys(range(len(LOST)), 2))
    for trial in run.trials:
        assert trial.failure is not None
        assert trial.failure.type == "malformed_reply"
        assert "came to its end and is paid" in trial.failure.message
        assert trial.reply is not None
        assert trial.reply.text in ("Which ", ""), "as far as it can be read"


def test_event_that_is_none_takes_nothing_from_a_reply() -> None:
    so_far = PartialReply()
    for said in (
        {"type": "message_start", "message": {"model": "m"}},
        7,
        None,
        {"kind": "x"},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": SAID}},
        {"type": "message_stop"},
    ):
        so_far.take(said, None)

    attempt = so_far.ended()
    assert attempt.failure is None and attempt.reply is not None
    assert (attempt.reply.text, attempt.reply.stop_reason) == (SAID, "unknown")
    assert attempt.reply.oddities == (
        "event: 7",
        "event: null",
        "event: an event without a type",
        "stop_reason: none",
    )


def test_end_of_nothing_is_no_reply() -> None:
    so_far = PartialReply()

    so_far.take({"type": "message_stop"}, None)

    assert so_far.stop_reason is None
