"""Variants with models and endpoints of their own, in one run: asked where they say, known by that from then on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.batch_server import serve_batches
from tests.messages_server import MessagesServer, serve
from workbench.comparison.provenance import provenance, provenance_table
from workbench.definition.agent import Agent
from workbench.errors import PlanError, SetupError
from workbench.model.retrying import BATCHES
from workbench.runs.estimate import estimate_plan
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.record import export_record, load_run
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Run, Variant

TASKS = [Task(id="one", input="Design it"), Task(id="two", input="Build it")]


@pytest.fixture
def second() -> Iterator[MessagesServer]:
    """A server that is not the one of the environment."""
    with serve() as opened:
        yield opened


def at(server: MessagesServer) -> Endpoint:
    return Endpoint(kind="server", base_url=server.url)


def mixed(agent: Agent, second: MessagesServer, **settings: int) -> Plan:
    variants = {"base": agent, "local": Variant(agent=agent, model="our-own-model", endpoint=at(second))}
    return plan_trials(variants, TASKS, **settings)  # type: ignore[arg-type]


def urls(run: Run) -> dict[str, str]:
    return {trial.variant: trial.endpoint.base_url for trial in run.trials}


def test_each_variant_is_asked_where_it_says(agent: Agent, server: MessagesServer, second: MessagesServer) -> None:
    run = run_trials(mixed(agent, second))

    assert urls(run) == {"base": server.url, "local": second.url}
    assert {body["model"] for body in server.bodies} == {"claude-sonnet-5-5"}
    assert {body["model"] for body in second.bodies} == {"our-own-model"}
    assert {trial.outcome for trial in run.trials} == {"answered"}
    assert (run.endpoint, run.endpoints) == (at(server), (at(server), at(second)))


def test_what_one_endpoint_answered_is_not_taken_for_the_answer_of_another(
    agent: Agent, server: MessagesServer, second: MessagesServer
) -> None:
    both = plan_trials({"here": agent, "there": Variant(agent=agent, endpoint=at(second))}, TASKS)
    trials = run_trials(both).trials

    assert len({trial.key for trial in trials}) == len(server.bodies) + len(second.bodies) == 4
    assert {trial.twin for trial in trials} == {0}
    run_trials(both)
    assert len(server.bodies) + len(second.bodies) == 4


def test_a_variant_overrides_the_run_and_the_run_the_agent(agent: Agent) -> None:
    plan = plan_trials(
        {"own": Variant(agent=agent, model="haiku", effort="low"), "run": agent}, TASKS, model="opus", effort="high"
    )

    assert "haiku" in plan.prompts["own"].model
    assert "opus" in plan.prompts["run"].model
    assert [plan.prompts[name].effort for name in ("own", "run")] == ["low", "high"]
    with pytest.raises(PlanError, match="effort is 'huge'"):
        plan_trials({"own": Variant(agent=agent, effort="huge")}, TASKS)


def test_replay_and_record_keep_who_answered(
    agent: Agent, server: MessagesServer, second: MessagesServer, tmp_path: Path
) -> None:
    run = run_trials(mixed(agent, second))
    replayed = run_trials(mixed(agent, second), mode="replay")
    loaded = load_run(export_record(run, tmp_path / "record"))

    assert urls(replayed) == urls(loaded) == urls(run)
    assert len(server.bodies) + len(second.bodies) == 4
    assert json.loads((tmp_path / "record" / "run.json").read_text())["answered_by"] == (
        f"server at {server.url}; server at {second.url}"
    )
    said = dict(provenance_table(provenance(loaded)).rows)["Answered by"]
    assert said == f"base: server at {server.url}; local: server at {second.url}"


def test_the_start_and_the_estimate_say_who_answers_what(
    agent: Agent, server: MessagesServer, second: MessagesServer, capsys: pytest.CaptureFixture[str]
) -> None:
    found = dict(estimate_plan(mixed(agent, second)).rows())
    run_trials(mixed(agent, second), progress=False)

    assert found["answered by"] == f"server at {server.url}; server at {second.url}"
    assert capsys.readouterr().out.splitlines() == [
        f"base: Answered by the server at {server.url}.",
        f"local: Answered by the server at {second.url}.",
    ]


def test_stand_in_and_a_model_are_not_mixed(agent: Agent, second: MessagesServer) -> None:
    plan = mixed(agent, second)

    for start in (run_trials, estimate_plan):
        with pytest.raises(SetupError, match="make up the replies of 'base', and a model would answer for 'local'"):
            start(plan)
    assert second.bodies == []


def test_live_false_asks_no_server_of_a_variant_either(agent: Agent, second: MessagesServer) -> None:
    run = run_trials(mixed(agent, second), live=False)

    assert {trial.endpoint.kind for trial in run.trials} == {"offline"}
    assert second.bodies == []


def test_where_every_variant_names_its_endpoint_the_run_needs_no_other(agent: Agent, second: MessagesServer) -> None:
    run = run_trials(plan_trials({"local": Variant(agent=agent, endpoint=at(second))}, TASKS))

    assert run.endpoint == at(second)
    assert len(second.bodies) == 2


def test_the_key_of_the_environment_goes_to_its_server_only(
    agent: Agent, server: MessagesServer, second: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k-of-the-first")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Gateway-Key: for-the-first\nAuthorization: Bearer too-for-it")
    run_trials(mixed(agent, second))

    assert all("for-the-first" in str(headers) for headers in server.headers)
    for secret in ("k-of-the-first", "for-the-first", "too-for-it"):
        assert secret not in str(second.headers)


def test_the_key_of_the_environment_reaches_its_server(
    agent: Agent, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k-of-the-first")
    run_trials(plan_trials({"base": agent}, TASKS))

    assert all("k-of-the-first" in str(headers) for headers in server.headers)


def test_an_address_that_is_called_live_gets_no_key(
    agent: Agent, second: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k-of-the-api")
    claimed = Endpoint(kind="live", base_url=second.url)
    run_trials(plan_trials({"base": Variant(agent=agent, endpoint=claimed)}, TASKS))

    assert second.headers
    assert "k-of-the-api" not in str(second.headers)


def test_trials_of_a_plan_are_made_once(
    agent: Agent, server: MessagesServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = []
    trials = Plan.trials
    tasks = [Task(id="made-once", input="Design it")]

    def counted(plan: Plan, endpoint: Endpoint) -> object:
        # A panel of an earlier test looks every second who would answer it now, and plans what it would ask.
        if plan.tasks == tuple(tasks):
            made.append(endpoint)
        return trials(plan, endpoint)

    monkeypatch.setattr(Plan, "trials", counted)
    plan = plan_trials({"base": agent}, tasks)
    for mode in ("top-up", "top-up", "replay", "fresh"):
        made.clear()
        run_trials(plan, mode=mode)  # type: ignore[arg-type]
        assert made == [at(server)], mode
    made.clear()
    estimate_plan(plan)
    assert made == [at(server)]
    made.clear()
    monkeypatch.setenv("WORKBENCH_ESTIMATE_FILE", str(tmp_path / "estimate.json"))
    with pytest.raises(Exception, match="nothing was run"):
        run_trials(plan)
    assert made == [at(server)]
    monkeypatch.delenv("WORKBENCH_ESTIMATE_FILE")
    made.clear()
    with serve_batches() as batches:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", batches.url)
        run_trials(plan, via="batch", retry=replace(BATCHES, first_seconds=0.01), progress=False)
    assert [endpoint.base_url for endpoint in made] == [batches.url]
