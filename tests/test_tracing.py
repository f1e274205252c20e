from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.messages_server import serve
from workbench.definition.agent import Agent
from workbench.model.retrying import Retry
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.task import Task


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
    inside = [span for span in spans.get_finished_spans() if span.name != "workbench.trial"]
    found = {(span.attributes or {})["workbench.task"]: span.attributes or {} for span in ours}
    assert len(ours) == 2
    assert {span.parent.span_id for span in inside if span.parent} == {span.context.span_id for span in ours}
    assert found["one"]["workbench.outcome"] == "answered"
    assert found["one"]["workbench.attempts"] == 2
    assert found["one"]["gen_ai.request.model"] == "claude-sonnet-5-5"
    assert found["two"]["workbench.outcome"] == "failed"
    assert found["two"]["error.type"] == "request_too_large"


def test_without_a_provider_nothing_is_recorded(agent: Agent) -> None:
    with trace.get_tracer("workbench").start_as_current_span("any") as span:
        assert not span.is_recording()

    [trial] = run_trials(plan_trials({"base": agent}, [Task(id="one", input="x")])).trials

    assert trial.outcome == "answered"
