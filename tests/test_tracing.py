from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from tests.batch_server import serve_batches
from tests.messages_server import MessagesServer, serve
from workbench.definition.agent import Agent
from workbench.errors import SetupError
from workbench.grading.catalogue import standard
from workbench.model.retrying import BATCHES, Retry
from workbench.runs.conversation import answer_reply
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.trying import Trying
from workbench.trial.task import GraderSpec, Task


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """A provider of this test's own: the global one of a process can be set only once."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", lambda name, *_, **__: provider.get_tracer(name))
    yield exporter
    provider.shutdown()


def test_each_trial_is_a_span_around_those_of_the_sdk(
    agent: Agent, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [Task(id="one", input="x"), Task(id="two", input="refuse this")]
    with serve(lambda body, before: "413" if "refuse" in str(body) else "529" if before == 0 else "ok") as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        run_trials(plan_trials({"base": agent}, tasks), retry=Retry(first_seconds=0.001, patience_seconds=0.5))

    ours = [span for span in spans.get_finished_spans() if span.name == "workbench.trial"]
    inside = [span for span in spans.get_finished_spans() if not span.name.startswith("workbench.")]
    found = {(span.attributes or {})["workbench.task"]: span.attributes or {} for span in ours}
    assert len(ours) == 2
    assert {span.parent.span_id for span in inside if span.parent} == {span.context.span_id for span in ours}
    assert found["one"]["workbench.outcome"] == "answered"
    assert found["one"]["workbench.attempts"] == 2
    assert found["one"]["gen_ai.request.model"] == "claude-sonnet-5-5"
    assert found["two"]["workbench.outcome"] == "failed"
    assert found["two"]["error.type"] == "request_too_large"


def test_no_key_is_in_a_span(agent: Agent, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "fw_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0"
    task = Task(id=f"one {key}", input="x", graders=(GraderSpec(name="asks_question", promise=f"asks {key}"),))
    with serve(lambda body, before: "ok") as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        run_trials(plan_trials({f"base {key}": agent}, [task], graders=standard()))

    told = [span.to_json() for span in spans.get_finished_spans() if span.name.startswith("workbench.")]
    assert len(told) == 2
    assert [text for text in told if key in text] == []
    assert all("base [key removed]" in text for text in told)


def test_without_a_provider_nothing_is_recorded(agent: Agent) -> None:
    with trace.get_tracer("workbench").start_as_current_span("any") as span:
        assert not span.is_recording()

    [trial] = run_trials(plan_trials({"base": agent}, [Task(id="one", input="x")])).trials

    assert trial.outcome == "answered"


ASKS = GraderSpec(name="asks_question", promise="asks")


def ours_of(spans: InMemorySpanExporter, name: str) -> dict[str, ReadableSpan]:
    """The spans of this name by task."""
    return {str((s.attributes or {})["workbench.task"]): s for s in spans.get_finished_spans() if s.name == name}


def graded_plan(agent: Agent, *inputs: str) -> Plan:
    tasks = [Task(id=text, input=text, graders=(ASKS,)) for text in inputs]
    return plan_trials({"base": agent}, tasks, graders=standard())


def test_failed_span_is_an_error_and_an_answered_one_has_tokens_cost_and_score(
    agent: Agent, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(lambda body, _: "413" if "refuse" in str(body) else "ok") as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        run_trials(graded_plan(agent, "one", "refuse this"))

    trials, grades = ours_of(spans, "workbench.trial"), ours_of(spans, "workbench.grade")
    for found in (trials, grades):
        assert found["refuse this"].status.status_code is StatusCode.ERROR
        assert "request_too_large" in str(found["refuse this"].status.description)
        assert found["one"].status.status_code is StatusCode.UNSET
        attributes = found["one"].attributes or {}
        assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (11, 7)
        assert isinstance(attributes["workbench.usd"], float)
    assert (grades["one"].attributes or {})["workbench.score"] == 1.0
    assert (grades["one"].attributes or {})["workbench.score.asks"] == 1.0
    assert "workbench.score" not in (grades["refuse this"].attributes or {})


def test_span_has_what_all_attempts_took_and_not_only_the_last(
    agent: Agent, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = graded_plan(agent, "one")
    with serve(lambda _, before: ("cut", "529", "ok")[before]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        [trial] = run_trials(plan, retry=Retry(first_seconds=0.001), progress=False).trials
        spans_of_run = ours_of(spans, "workbench.trial")
        spans.clear()
        run_trials(plan, progress=False)

    assert trial.paid is not None
    assert trial.paid.usd is not None
    for found in (spans_of_run, ours_of(spans, "workbench.trial")):
        attributes = found["one"].attributes or {}
        assert (attributes["workbench.paid.requests"], attributes["workbench.paid.uncounted_requests"]) == (3, 1)
        assert attributes["workbench.paid.input_tokens"] == trial.paid.input_tokens > 11
        assert attributes["workbench.paid.output_tokens"] == trial.paid.output_tokens
        assert attributes["workbench.paid.usd"] == float(trial.paid.usd)
        assert float(str(attributes["workbench.usd"])) < float(trial.paid.usd)
    assert (ours_of(spans, "workbench.trial")["one"].attributes or {})["workbench.from"] == "ledger"


@pytest.mark.parametrize(("fault", "kind"), [("401", "SetupError"), ("413", "request_too_large")])
def test_every_failed_span_is_an_error_with_its_type(
    agent: Agent, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, fault: str, kind: str
) -> None:
    with serve(fault) as server, suppress(SetupError):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        run_trials(graded_plan(agent, "one"), progress=False)

    span = ours_of(spans, "workbench.trial")["one"]
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == kind
    assert (span.attributes or {})["workbench.paid.requests"] == 1


def test_panel_makes_the_same_spans(
    agent: Agent, spans: InMemorySpanExporter, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trying = Trying(lambda: {"base": agent})
    task = Task(id="one", input="x", graders=(ASKS,))
    found = []
    for _ in range(2):
        trying.run(trying.choose(task))
        trying.wait()
        found.append([ours_of(spans, name)["one"].attributes or {} for name in ("workbench.trial", "workbench.grade")])
        spans.clear()

    (asked, graded), (known, again) = found
    assert ("workbench.from" in asked, known["workbench.from"]) == (False, "ledger")
    assert graded["workbench.score"] == again["workbench.score"] == 1.0
    assert asked["workbench.paid.usd"] == known["workbench.paid.usd"]


def test_answer_of_the_ledger_to_what_is_said_has_a_span(
    agent: Agent, spans: InMemorySpanExporter, server: MessagesServer
) -> None:
    run = run_trials(graded_plan(agent, "one"), progress=False)
    origins = []
    for _ in range(2):
        spans.clear()
        answer_reply(run, "Why?", variant="base", task_id="one")
        origins.append((ours_of(spans, "workbench.trial")["one"].attributes or {}).get("workbench.from"))

    assert origins == [None, "ledger"]


def test_file_of_prices_that_is_wrong_costs_no_reply(
    agent: Agent, spans: InMemorySpanExporter, server: MessagesServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan, prices = graded_plan(agent, "one"), tmp_path / "prices.toml"
    prices.write_text("[")
    monkeypatch.setenv("WORKBENCH_PRICES", str(prices))  # written while the run is under way, say

    [trial] = run_trials(plan, progress=False).trials

    assert trial.outcome == "answered"
    assert "workbench.usd" not in (ours_of(spans, "workbench.trial")["one"].attributes or {})


def test_span_of_a_variant_that_ends_is_an_error(
    agent: Agent, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve("404") as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        with pytest.raises(SetupError):
            run_trials(graded_plan(agent, "one"))

    span = ours_of(spans, "workbench.trial")["one"]
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "not_found_error"


def test_answers_of_the_ledger_and_of_batches_have_spans(
    agent: Agent, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = graded_plan(agent, "one", "two")
    with serve_batches() as server:
        server.ends_at_once = True
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        run_trials(plan, via="batch", retry=replace(BATCHES, first_seconds=0.01))
        batched = ours_of(spans, "workbench.trial")
        [around] = [span for span in spans.get_finished_spans() if span.name == "workbench.batch"]
        spans.clear()
        run_trials(plan, mode="replay")

    replayed = ours_of(spans, "workbench.trial")
    assert {str((span.attributes or {})["workbench.from"]) for span in batched.values()} == {"batch"}
    assert {str((span.attributes or {})["workbench.from"]) for span in replayed.values()} == {"ledger"}
    assert (around.attributes or {})["workbench.trials"] == 2
    assert {span.parent.span_id for span in batched.values() if span.parent} == {around.context.span_id}
    assert {(span.attributes or {})["workbench.paid.requests"] for span in batched.values()} == {1}
    assert set(batched) == set(replayed) == set(ours_of(spans, "workbench.grade")) == {"one", "two"}


def test_one_switch_turns_all_spans_off(
    agent: Agent, spans: InMemorySpanExporter, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_TRACING", "off")

    run_trials(graded_plan(agent, "one"))

    assert len(server.bodies) == 1
    assert spans.get_finished_spans() == ()
