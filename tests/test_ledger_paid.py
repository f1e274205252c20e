"""What was paid for a trial in all: the attempts that failed count too."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.messages_server import MessagesServer
from tests.test_ledger import trial_of, write
from workbench.definition.agent import Agent
from workbench.ledger.paid import find_paid
from workbench.ledger.store import open_ledger
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.catalogue import OFFLINE_BASE_URL, find_price
from workbench.trial.paid import Paid
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Failure, Reply, Usage

MODEL = "claude-opus-5-5"
COUNTED = Usage(input_tokens=100, output_tokens=10, cache_creation_input_tokens=1000, cache_read_input_tokens=2000)


def test_failed_attempts_and_all_four_kinds_of_tokens_are_paid(agent: Agent, tmp_path: Path) -> None:
    whole = trial_of(agent).replace(reply=Reply(text="Hi", stop_reason="end_turn", model=MODEL, usage=COUNTED))
    cut = whole.replace(
        reply=Reply(text="H", model=MODEL, usage=COUNTED), failure=Failure(type="broken_stream", message="")
    )
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        write(ledger, agent, cut, cut, whole)
        while_open = find_paid(ledger, [whole.key])
    found = find_paid(tmp_path / "l.sqlite", [whole.key, "another"])

    one = usd_of(COUNTED)
    assert (
        while_open
        == found
        == {
            whole.key: Paid(
                attempts=3,
                input_tokens=300,
                output_tokens=30,
                cache_creation_input_tokens=3000,
                cache_read_input_tokens=6000,
                priced=3 * one,
            )
        }
    )
    assert found[whole.key].tokens == 9330


def usd_of(usage: Usage) -> Decimal:
    price = find_price(MODEL)
    assert price is not None
    usd = price.usd(usage)
    assert usd is not None
    return usd


def test_refused_attempt_took_nothing_and_a_silent_one_may_have(agent: Agent, tmp_path: Path) -> None:
    trial = trial_of(agent).replace(reply=None)
    refused = Failure(type="overloaded_error", message="", status=529)
    never_sent = Failure(type="unreachable", message="")
    silent = Failure(type="timeout", message="")
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        write(ledger, agent, *(trial.replace(failure=failure) for failure in (refused, never_sent, silent)))

    assert find_paid(tmp_path / "l.sqlite", [trial.key]) == {trial.key: Paid(attempts=3, uncounted=1)}


def test_model_without_a_price_has_tokens_and_no_usd_and_the_stand_in_costs_nothing(
    agent: Agent, tmp_path: Path
) -> None:
    usage = Usage(input_tokens=5, output_tokens=6)
    unpriced = trial_of(agent).replace(reply=Reply(text="", stop_reason="x", model="nobody-1", usage=usage))
    offline = unpriced.replace(endpoint=Endpoint(kind="offline", base_url=OFFLINE_BASE_URL))
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        write(ledger, agent, unpriced, offline)
        found = find_paid(ledger, [unpriced.key, offline.key])

    assert (found[unpriced.key].tokens, found[unpriced.key].usd) == (11, None)
    assert (found[offline.key].tokens, found[offline.key].usd) == (11, Decimal(0))


@pytest.mark.parametrize("fault", ["cut", "529"])
def test_run_that_tries_again_has_paid_for_every_try(agent: Agent, server: MessagesServer, fault: str) -> None:
    server.fault = lambda _, before: fault if before == 0 else "ok"
    plan = plan_trials({"base": agent}, [Task(id="t", input="Hello")])

    [trial] = run_trials(plan).trials
    [paid] = find_paid(None, [trial.key]).values()

    assert trial.reply is not None
    assert paid.attempts == 2
    assert (paid.tokens > 18) == (fault == "cut")
