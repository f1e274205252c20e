from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.definition.agent import Agent
from workbench.model.anthropic import request_body
from workbench.runs.plan import Plan, make_request, plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.catalogue import cache_minimum
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Request

ENDPOINT = Endpoint(kind="server", base_url="http://127.0.0.1:1")
TASKS = (Task(id="one", input="Design it"), Task(id="two", input="Build it"))
PLAIN = Request(model="m", system="Be terse.", messages=({"role": "user", "content": "Hi"},), max_tokens=10)


def plan_of(agent: Agent, *, characters: int, model: str = "sonnet", repeats: int = 1, caching: bool = True) -> Plan:
    long = agent.replace(prompt="x" * (characters - 1) + "\n", model=model)
    return plan_trials({"base": long}, TASKS, repeats=repeats, caching=caching)


def test_request_without_caching_is_what_it_always_was() -> None:
    assert request_body(PLAIN) == {
        "model": "m",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "system": "Be terse.",
    }
    assert PLAIN.key(endpoint=ENDPOINT, draw=0) == "5816a57538b58bc3c73b3a2d615374feb0280281b785cc25d439453fe731ac4a"


def test_cached_persona_is_one_marked_block() -> None:
    assert request_body(replace(PLAIN, cache="5m"))["system"] == [
        {"type": "text", "text": "Be terse.", "cache_control": {"type": "ephemeral"}}
    ]
    assert request_body(replace(PLAIN, cache="1h"))["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_empty_persona_is_never_sent() -> None:
    assert "system" not in request_body(replace(PLAIN, system="", cache="5m"))


def test_caching_does_not_change_what_identifies_a_trial() -> None:
    assert replace(PLAIN, cache="5m").key(endpoint=ENDPOINT, draw=3) == PLAIN.key(endpoint=ENDPOINT, draw=3)


def test_persona_of_the_minimum_is_cached_and_a_shorter_one_says_why_not(agent: Agent) -> None:
    long, short = plan_of(agent, characters=4 * 512), plan_of(agent, characters=4 * 511)

    assert long.caching == {"base": "512 tokens >= 512: applicable"}
    assert {request.cache for request in long.requests.values()} == {"5m"}
    assert short.caching == {"base": "511 tokens < 512: not applicable"}
    assert {request.cache for request in short.requests.values()} == {None}


def test_each_model_has_its_own_minimum(agent: Agent) -> None:
    plan = plan_of(agent, characters=5720, model="claude-haiku-4-5-20251001")

    assert plan.caching == {"base": "1,430 tokens < 4,096: not applicable"}


def test_model_of_unknown_minimum_is_not_cached(agent: Agent) -> None:
    plan = plan_of(agent, characters=100_000, model="our-own-model")

    assert plan.caching == {"base": "the minimum of our-own-model is not known: not applied"}


def test_persona_that_is_sent_once_is_not_written_into_the_cache(agent: Agent) -> None:
    plan = plan_trials({"base": agent.replace(prompt="x" * 9000)}, TASKS[:1])

    assert plan.caching == {"base": "2,250 tokens >= 512, but sent only once: not applied"}


def test_caching_can_be_switched_off(agent: Agent) -> None:
    plan = plan_of(agent, characters=9000, caching=False)

    assert plan.caching == {"base": "switched off, though 2,250 tokens >= 512: applicable"}
    assert {request.cache for request in plan.requests.values()} == {None}


def test_single_request_of_the_author_is_not_cached(agent: Agent) -> None:
    assert make_request(agent.replace(prompt="x" * 9000), "Hello").cache is None


def test_answers_from_before_caching_are_not_asked_for_again(agent: Agent, tmp_path: Path) -> None:
    run_trials(plan_of(agent, characters=9000, caching=False), ledger=tmp_path / "l.sqlite", progress=False)

    again = run_trials(plan_of(agent, characters=9000), ledger=tmp_path / "l.sqlite", progress=False)

    assert all(trial.from_ledger for trial in again.trials)


def test_stand_in_answers_a_cached_persona_as_any_other(agent: Agent, tmp_path: Path) -> None:
    plain = run_trials(plan_of(agent, characters=9000, caching=False), ledger=tmp_path / "a.sqlite", progress=False)
    cached = run_trials(plan_of(agent, characters=9000), ledger=tmp_path / "b.sqlite", progress=False)

    assert [trial.reply.text for trial in cached.trials if trial.reply] == [
        trial.reply.text for trial in plain.trials if trial.reply
    ]


@pytest.mark.parametrize("alias", ["sonnet", "opus", "haiku", "fable"])
def test_every_current_alias_has_a_known_minimum(agent: Agent, alias: str) -> None:
    assert cache_minimum(make_request(agent.replace(model=alias), "").model) in (512, 1024, 2048, 4096)
