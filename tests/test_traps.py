"""One test for each trap of the SDK and the Messages API that a run could fall into, in the order of a list kept by
those who reproduced them: T1 to T22. Where the way round a trap is not to use something, the test says so of the source.
"""

from __future__ import annotations

import ast
import asyncio
import json
import socket
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

import workbench
from tests.batch_server import serve_batches
from tests.messages_server import REPLY, Fault, MessagesServer, serve
from tests.runs import STAND_IN
from workbench.definition.agent import Agent
from workbench.errors import PlanError, SetupError
from workbench.ledger.store import open_ledger
from workbench.model.anthropic import AnthropicModel, open_anthropic, request_body
from workbench.model.api import Attempt
from workbench.model.endpoint import choose_endpoint, describe_endpoint
from workbench.model.retrying import BATCHES, Retry
from workbench.runs import runner
from workbench.runs.plan import Plan, plan_trials
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Request

SOURCE = Path(workbench.__file__).parent
run_trials = partial(runner.run_trials, retry=Retry(first_seconds=0.001))
REQUEST = Request(
    model="claude-opus-5-5", system="Be kind.", messages=({"role": "user", "content": "Hello"},), max_tokens=100
)


def asked(fault: Fault | str, request: Request = REQUEST) -> Attempt:
    async def once(endpoint: Endpoint) -> Attempt:
        async with open_anthropic(endpoint) as model:
            return await model.ask(request)

    with serve(fault) as server:
        return asyncio.run(once(Endpoint(kind="server", base_url=server.url)))


def plan_of(agent: Agent, count: int = 3) -> Plan:
    return plan_trials({"base": agent}, [Task(id=str(number), input=f"task {number}") for number in range(count)])


@cache
def nodes() -> Sequence[tuple[Path, ast.AST]]:
    """The source, taken apart."""
    return [
        (path, node)
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    """Every call in the source, with the last name of what is called."""
    for path, node in nodes():
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield path, node, name


def words() -> set[str]:
    """Every name, attribute, keyword and imported name of the source."""
    found: set[str] = set()
    for _, node in nodes():
        for field in ("id", "attr", "arg", "name", "module"):
            found.update(str(getattr(node, field, None) or "").split("."))
    return found


def test_t01_long_reply_is_streamed_and_never_refused_beforehand(agent: Agent, server: MessagesServer) -> None:
    plan = plan_trials({"base": agent}, [Task(id="t", input="Hello")], max_tokens=64_000)

    [trial] = run_trials(plan).trials

    assert trial.outcome == "answered"
    assert [(body["max_tokens"], body["stream"]) for body in server.bodies] == [(64_000, True)]


def test_t02_silent_server_is_left_after_our_own_time_and_asked_by_no_one_else() -> None:
    async def once(endpoint: Endpoint) -> Attempt:
        async with open_anthropic(endpoint, silence_seconds=0.2) as model:
            return await model.ask(REQUEST)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = Endpoint(kind="server", base_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        attempt = asyncio.run(once(endpoint))
        silent.accept()[0].close()
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody came a second time
            silent.accept()

    assert attempt.failure is not None
    assert attempt.failure.type == "timeout"


@pytest.mark.parametrize("fault", ["529, come back in a minute", "429, come back in 2099"])
def test_t03_no_server_makes_us_sleep_longer_than_we_allow(fault: str) -> None:
    attempt = asked(fault)

    assert attempt.retry_after_seconds is not None
    assert attempt.retry_after_seconds >= 3600
    assert Retry().seconds_before_try(attempt, 1) == Retry().longest_seconds == 60.0


def test_t03_the_sdk_itself_never_tries_again() -> None:
    async def retries(endpoint: Endpoint) -> int:
        async with open_anthropic(endpoint) as model:
            return model.client.max_retries

    endpoints = [
        Endpoint(kind="offline", base_url="http://offline.invalid"),
        Endpoint(kind="server", base_url="http://127.0.0.1:9"),
    ]
    assert [asyncio.run(retries(endpoint)) for endpoint in endpoints] == [0, 0]


def test_t04_what_breaks_after_the_first_byte_is_asked_for_again_as_a_whole(
    agent: Agent, server: MessagesServer
) -> None:
    server.fault = lambda _, before: "cut" if before == 0 else "ok"

    run = run_trials(plan_of(agent))

    assert [trial.reply.text for trial in run.trials if trial.reply] == ["".join(REPLY)] * 3
    assert set(server.asked().values()) == {2}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("overloaded in the stream", "overloaded_error"), ("limited in the stream", "rate_limit_error")],
)
def test_t05_error_inside_a_stream_is_what_it_says_not_a_200(
    agent: Agent, server: MessagesServer, fault: str, kind: str
) -> None:
    attempt = asked(fault)
    server.fault = lambda _, before: fault if before == 0 else "ok"

    assert attempt.failure is not None
    assert attempt.failure.type == kind
    assert {trial.outcome for trial in run_trials(plan_of(agent)).trials} == {"answered"}


def test_t06_broken_socket_is_a_failure_of_one_attempt_not_an_exception() -> None:
    attempt = asked("cut")

    assert attempt.failure is not None
    assert attempt.failure.type == "connection"
    assert attempt.reply is not None
    assert attempt.reply.text == "First, a question: "


def test_t07_stream_that_just_ends_is_no_answer() -> None:
    attempt = asked("ends early")

    assert attempt.failure is not None
    assert attempt.failure.type == "broken_stream"
    assert attempt.reply is not None
    assert attempt.reply.usage.output_tokens is None


@pytest.mark.parametrize(("fault", "kind"), [("json", "not_a_stream"), ("json called a stream", "broken_stream")])
def test_t08_reply_that_is_no_stream_is_named(fault: str, kind: str) -> None:
    attempt = asked(fault)

    assert attempt.failure is not None
    assert attempt.failure.type == kind


def test_t09_page_instead_of_a_reply_is_named_and_quoted() -> None:
    attempt = asked("html")

    assert attempt.failure is not None
    assert attempt.failure.type == "not_a_stream"
    assert "text/html" in attempt.failure.message
    assert "Sign in" in attempt.failure.message


def test_t09_page_instead_of_a_count_is_no_count() -> None:
    async def counted(endpoint: Endpoint) -> int | None:
        async with open_anthropic(endpoint) as model:
            return await model.count(REQUEST)

    with serve("html") as server:
        assert asyncio.run(counted(Endpoint(kind="server", base_url=server.url))) is None


def test_t10_reply_cut_by_max_tokens_keeps_its_text_and_its_tokens(agent: Agent, server: MessagesServer) -> None:
    server.fault = lambda _, __: "cut off"

    [trial] = run_trials(plan_of(agent, 1)).trials

    assert trial.outcome == "cut_off"
    assert trial.reply is not None
    assert (trial.reply.text, trial.reply.usage.output_tokens) == ("".join(REPLY), 7)
    assert [path.name for path, call, name in calls() if name == "parse" and "messages" in ast.unparse(call.func)] == []


def test_t11_no_schema_is_handed_to_the_sdk_to_be_loosened() -> None:
    assert words().isdisjoint({"transform_schema", "output_format"})


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/gateway/v1"])
def test_t12_address_that_ends_in_v1_is_refused_with_the_right_one(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:9{path}")

    with pytest.raises(SetupError, match=r"give the root: http://127\.0\.0\.1:9(/gateway)?$"):
        choose_endpoint()


def test_t13_text_is_what_the_text_blocks_hold_wherever_they_stand() -> None:
    attempt = asked("ok")  # its first block is thinking

    assert attempt.reply is not None
    assert attempt.reply.text == "".join(REPLY)


def test_t13_the_same_in_a_batch(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_batches() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        [trial] = run_trials(plan_of(agent, 1), via="batch", retry=replace(BATCHES, first_seconds=0.01)).trials

    assert trial.reply is not None
    assert trial.reply.text == "On task 0:\u2028it depends."  # after a block of thinking


def test_t14_unknown_blocks_and_events_are_passed_over() -> None:
    attempt = asked("unknown block")

    assert attempt.failure is None
    assert attempt.reply is not None
    assert attempt.reply.text == "".join(REPLY)


def test_t14_unknown_stop_reason_is_kept_as_it_came() -> None:
    attempt = asked("unknown stop")

    assert attempt.reply is not None
    assert attempt.reply.stop_reason == "zzz"


def test_t15_body_of_a_request_is_plain_json_and_no_decorated_function_is_sent() -> None:
    body = request_body(replace(REQUEST, effort="low", cache="5m"))

    assert json.loads(json.dumps(body)) == body
    assert words().isdisjoint({"beta_tool", "beta_async_tool"})


def test_t16_number_of_retries_is_never_left_to_the_sdk_or_to_a_setting() -> None:
    settings = [
        keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        for _, call, _ in calls()
        for keyword in call.keywords
        if keyword.arg == "max_retries"
    ]

    assert set(settings) == {0}
    assert len(settings) == sum(name == "AsyncAnthropic" for _, _, name in calls())


@pytest.mark.parametrize(
    "setting",
    [
        *({"concurrency": value} for value in (0, -1, 1.5, "8", None)),
        *({"deadline_seconds": value} for value in (0.0, float("nan"), "8", None)),
    ],
)
def test_t16_settings_out_of_range_are_refused(agent: Agent, setting: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=next(iter(setting))):
        run_trials(plan_of(agent), **setting)


def test_t17_without_a_key_the_stand_in_answers_and_a_live_run_is_refused_at_once(agent: Agent) -> None:
    assert choose_endpoint().is_stand_in
    with pytest.raises(SetupError, match="there is no key: set ANTHROPIC_API_KEY"):
        run_trials(plan_of(agent), live=True)


def test_t17_profile_that_would_log_in_silently_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "default.json").write_text("{}")
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))

    assert choose_endpoint().kind == "live"


def test_t18_run_says_the_address_that_it_really_asks(
    agent: Agent, server: MessagesServer, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_trials(plan_of(agent, 1), progress=False)

    assert f"Answered by the server at {server.url}." in capsys.readouterr().out
    assert describe_endpoint(run.endpoint).endswith(f"{server.url}.")


def test_stand_in_that_was_asked_for_beside_a_key_names_what_keeps_the_model_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-is-set")

    assert "--offline" in describe_endpoint(choose_endpoint(False))


def test_t18_header_of_the_environment_that_a_server_repeats_is_not_kept(
    agent: Agent, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-team: a\nx-gateway: Bearer canary-0123456789")
    server.fault = lambda _, __: "401 with a header"

    with pytest.raises(SetupError) as error:
        run_trials(plan_of(agent, 1))

    assert server.headers[0]["x-gateway"] == "Bearer canary-0123456789"
    assert "canary" not in str(error.value)
    with open_ledger() as ledger:
        assert b"canary" not in Path(ledger.name).read_bytes()


def test_t19_error_inside_a_transport_keeps_its_name_and_is_not_tried_again_by_the_sdk() -> None:
    sent: list[httpx2.Request] = []

    def broken(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        raise RuntimeError("a mistake of ours")

    async def once() -> Attempt:
        transport = anthropic.DefaultAsyncHttpxClient(transport=httpx2.MockTransport(broken))
        async with anthropic.AsyncAnthropic(api_key="none", max_retries=0, http_client=transport) as client:
            return await AnthropicModel(endpoint=STAND_IN, client=client).ask(REQUEST)

    attempt = asyncio.run(once())

    assert len(sent) == 1
    assert attempt.failure is not None
    assert "RuntimeError: a mistake of ours" in attempt.failure.message


@pytest.mark.parametrize("fault", ["spend", "contract"])
def test_t20_spend_limit_ends_the_run_and_is_not_waited_for(agent: Agent, server: MessagesServer, fault: str) -> None:
    server.fault = lambda _, __: fault

    with pytest.raises(SetupError, match="spend_limit_reached.*waiting does not help"):
        run_trials(plan_of(agent), concurrency=1)

    assert len(server.bodies) == 1


def test_t21_retiring_model_is_said_once_by_us_and_not_as_a_warning_of_our_code(
    agent: Agent, server: MessagesServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        run = run_trials(plan_of(agent.replace(model="claude-sonnet-4-5-20250929")), progress=False)

    assert {trial.outcome for trial in run.trials} == {"answered"}
    assert [str(warning.message) for warning in warned] == []
    assert capsys.readouterr().out.count("retires it on November 30th, 2026") == 1


def test_t22_no_conversation_is_kept_on_a_server() -> None:
    assert words().isdisjoint({"tool_runner", "beta"})
    assert "thread" not in request_body(REQUEST)


def test_every_trap_of_the_list_has_its_test() -> None:
    numbers = {int(name[6:8]) for name in globals() if name.startswith("test_t") and name[6:8].isdigit()}

    assert numbers == set(range(1, 23))
