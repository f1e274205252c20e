"""What fails for every trial of one variant ends that variant, by name; the others go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from tests.messages_server import MessagesServer
from workbench.comparison.tables import compare
from workbench.definition.agent import Agent
from workbench.errors import SetupError
from workbench.ledger.store import open_ledger
from workbench.model.retrying import Retry
from workbench.runs import runner
from workbench.runs.plan import Plan, plan_trials
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Run, Variant

GRADERS = (GraderSpec(name="answers", promise="answers"),)
TASKS = [Task(id=str(number), input=f"task {number}", graders=GRADERS) for number in range(6)]
run_trials = partial(runner.run_trials, retry=Retry(first_seconds=0.001), progress=False)


def plan_of(agent: Agent, **models: str) -> Plan:
    variants = {name: Variant(agent=agent, model=model) for name, model in models.items()}
    return plan_trials(variants, TASKS, graders={"answers": lambda _, reply: reply.text != ""})


def refuses(server: MessagesServer, model: str, fault: str = "404") -> None:
    def answer(body: Mapping[str, Any], _: int) -> str:
        return fault if body["model"] == model else "ok"

    server.fault = answer


def outcomes(run: Run) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for trial in run.trials:
        found.setdefault(trial.variant, Counter())[trial.outcome] += 1
    return found


@pytest.mark.parametrize("fault", ["404", "403", "400"])
def test_variant_whose_model_is_not_known_ends_by_name_and_the_other_goes_on(
    agent: Agent, server: MessagesServer, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    refuses(server, "nobody-5", fault)

    run = run_trials(plan_of(agent, good="claude-haiku-4-5", bad="nobody-5"), concurrency=1)

    assert outcomes(run) == {"good": Counter(answered=6), "bad": Counter(failed=6)}
    assert {trial.failure.status for trial in run.trials if trial.failure} == {int(fault)}
    assert sum(body["model"] == "nobody-5" for body in server.bodies) == 1
    [said] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Variant")]
    assert said.startswith(f"Variant 'bad' was not asked any more: server at {server.url} answered {fault} ")
    verdict = str(compare(run, baseline="good"))
    assert 'No verdict on "bad" against "good": 6 of 12 attempts have no score.' in verdict
    assert '6 of 6 attempts of "bad" have no score (6 failed), 0 of 6 attempts of "good" have no score' in verdict


def test_those_in_flight_come_to_their_end(agent: Agent, server: MessagesServer) -> None:
    refuses(server, "nobody-5")
    server.seconds_a_piece = 0.02

    run = run_trials(plan_of(agent, bad="nobody-5", good="claude-haiku-4-5"), concurrency=12)

    assert outcomes(run) == {"good": Counter(answered=6), "bad": Counter(failed=6)}


def test_next_run_asks_anew_for_what_was_not_asked(agent: Agent, server: MessagesServer) -> None:
    plan = plan_of(agent, good="claude-haiku-4-5", bad="nobody-5")
    refuses(server, "nobody-5")
    run_trials(plan, concurrency=1)
    with open_ledger() as ledger:
        assert (ledger.count(), ledger.count(whole=True)) == (7, 6), "what was not asked is no attempt"
    server.fault = lambda _, __: "ok"

    run = run_trials(plan)

    assert outcomes(run) == {"good": Counter(answered=6), "bad": Counter(answered=6)}
    assert len(server.bodies) == 7 + 6


def test_run_of_which_every_variant_ends_is_an_error(agent: Agent, server: MessagesServer) -> None:
    server.fault = lambda _, __: "404"

    with pytest.raises(SetupError, match="check the model id 'nobody-[56]'"):
        run_trials(plan_of(agent, one="nobody-5", two="nobody-6"), concurrency=1)

    assert len(server.bodies) == 2


def test_refused_key_ends_the_run_for_all(agent: Agent, server: MessagesServer) -> None:
    refuses(server, "nobody-5", "401")

    with pytest.raises(SetupError, match="check ANTHROPIC_API_KEY"):
        run_trials(plan_of(agent, good="claude-haiku-4-5", bad="nobody-5"), concurrency=1)

    assert len(server.bodies) == 2
