"""A second way to a model that lives in this file alone: it answers from a list, and a whole plan runs through it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

import workbench as wb
from tests.messages_server import MessagesServer
from workbench.definition.agent import Agent
from workbench.errors import BudgetError, SetupError
from workbench.grading.catalogue import standard
from workbench.ledger.budget.worst_case import most_of
from workbench.ledger.store import open_ledger
from workbench.model.api import DEADLINE_SECONDS, STOPPED, Attempt, Model, OnLimits, OnText
from workbench.model.endpoint import open_model
from workbench.model.retrying import Retry
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.settings import RunSettings
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Endpoint, Failure, Reply, Request, Trial, Usage, Variant

LISTED = Endpoint(kind="server", base_url="http://answers.invalid")
ASKS = "Which load do you expect?"
BUSY = Attempt(failure=Failure(type="overloaded_error", message="not now", status=529))
QUICK = Retry(first_seconds=0.001)


@dataclass(frozen=True, kw_only=True)
class ListedModel:
    """Says to each persona what is in the list for it; the first request of each trial is refused, if it is to be."""

    endpoint: Endpoint
    says: dict[str, str]
    is_busy_at_first: bool = False
    answers: Callable[[Request], Attempt | None] = lambda _: None
    asked: Counter[tuple[str, int]] = field(default_factory=Counter)
    opened: list[int] = field(default_factory=list)

    async def ask(
        self,
        request: Request,
        *,
        draw: int = 0,
        on_text: OnText | None = None,
        on_first_token: Callable[[], None] | None = None,
        on_limits: OnLimits | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> Attempt:
        key = request.key(endpoint=self.endpoint, draw=draw)
        self.asked[key, draw] += 1
        if self.is_busy_at_first and self.asked[key, draw] == 1:
            return BUSY
        if (answer := self.answers(request)) is not None:
            return answer
        await asyncio.sleep(0)
        if on_first_token is not None:
            on_first_token()
        text = self.says[request.system.strip()]
        if on_text is not None:
            on_text(text)
        usage = Usage(input_tokens=20, output_tokens=10)
        return Attempt(reply=Reply(text=text, stop_reason="end_turn", model=request.model, usage=usage))

    async def count(self, request: Request) -> int | None:
        return 20

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, *, connections: int = 8) -> AsyncIterator[Model]:
        """What `run_trials` takes: opens this one where it answers, and the usual one elsewhere."""
        if endpoint != self.endpoint:
            async with open_model(endpoint, connections=connections) as usual:
                yield usual
            return
        self.opened.append(connections)
        yield self


def listed(**settings: object) -> ListedModel:
    says = {"You design.": "A class.", "You ask first.": ASKS}
    return ListedModel(endpoint=LISTED, says=says, **settings)  # type: ignore[arg-type]


def plan_of(agent: Agent, *, repeats: int = 2) -> Plan:
    variants = {
        name: Variant(agent=agent.replace(prompt=prompt), endpoint=LISTED)
        for name, prompt in {"base": "You design.\n", "asks": "You ask first.\n"}.items()
    }
    asks = GraderSpec(name="asks_question", promise="asks")
    tasks = [Task(id=str(number), input=f"Design {number}", graders=(asks,)) for number in range(8)]
    return plan_trials(variants, tasks, repeats=repeats, graders=standard(), max_tokens=50)


def test_whole_plan_runs_through_ledger_retries_and_comparison(agent: Agent) -> None:
    model = listed(is_busy_at_first=True)

    run = run_trials(plan_of(agent), progress=False, retry=QUICK, open_model=model.open)
    again = run_trials(plan_of(agent), progress=False, retry=QUICK, open_model=model.open)
    replayed = run_trials(plan_of(agent), progress=False, mode="replay")

    assert {trial.outcome for trial in run.trials} == {"answered"}
    assert {trial.reply.attempts for trial in run.trials if trial.reply} == {2}
    assert set(model.asked.values()) == {2}, "once refused and once answered, and never again"
    assert run.endpoints == (LISTED,)
    assert [trial.reply for trial in again.trials] == [trial.reply for trial in replayed.trials]
    assert [trial.reply for trial in again.trials] == [trial.reply for trial in run.trials]
    assert model.opened == [8]
    with open_ledger() as ledger:
        assert (ledger.count(), ledger.count(whole=True)) == (64, 32)
    verdict = wb.compare(run, baseline="base").verdict
    assert verdict.kind == "better", verdict


def test_budget_holds_for_it(agent: Agent) -> None:
    model, plan = listed(), plan_of(agent)
    most = most_of(plan.requests["asks", "0"]).tokens

    with pytest.raises(BudgetError, match="is used up"):
        run_trials(plan, progress=False, open_model=model.open, concurrency=1, budget_tokens=most + 4 * 30)

    assert 1 <= model.asked.total() <= 5


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (Failure(type="authentication_error", message="who?", status=401), "answered 401 authentication_error"),
        (Failure(type="unreachable", message="no such program"), "cannot be reached: no such program"),
    ],
)
def test_what_would_fail_for_every_trial_ends_the_run(agent: Agent, failure: Failure, says: str) -> None:
    model = listed(answers=lambda _: Attempt(failure=failure))
    retry = Retry(first_seconds=0.001, patience_without_server_seconds=0.01)

    with pytest.raises(SetupError, match=says):
        run_trials(plan_of(agent), progress=False, open_model=model.open, retry=retry, concurrency=1)


def test_it_has_no_batches_and_says_so_at_once(agent: Agent) -> None:
    model = listed()

    with pytest.raises(SetupError, match="no way to Message Batches; leave out via='batch'"):
        run_trials(plan_of(agent), progress=False, open_model=model.open, via="batch")

    assert model.asked.total() == 0


def test_it_may_give_what_had_come_when_it_is_stopped(agent: Agent) -> None:
    half = Attempt(reply=Reply(text="Half of"), failure=STOPPED)
    model = listed(answers=lambda _: half)

    run = run_trials(plan_of(agent), progress=False, open_model=model.open, concurrency=1)

    assert run.trials[0].outcome == "stopped"
    assert run.trials[0].reply == half.reply


def raises(error: BaseException) -> Callable[[Request], Attempt | None]:
    """Raises for the second variant, and answers the first."""

    def answer(request: Request) -> Attempt | None:
        if request.system.startswith("You ask"):
            raise error
        return None

    return answer


@pytest.mark.parametrize("error", [ValueError("no such thing"), KeyError("x"), OSError(5, "broken"), RecursionError()])
def test_what_it_raises_is_a_failed_trial_by_name_and_the_others_go_on(
    agent: Agent, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    model, plan = listed(answers=raises(error)), plan_of(agent, repeats=1)

    run = run_trials(plan, progress=False, open_model=model.open, retry=QUICK, budget_tokens=1_000_000)

    outcomes = {
        trial.variant: {other.outcome for other in run.trials if other.variant == trial.variant} for trial in run.trials
    }
    assert outcomes == {"base": {"answered"}, "asks": {"failed"}}
    failures = {(trial.failure.type, trial.failure.message) for trial in run.trials if trial.failure}
    assert failures == {("raised", f"{type(error).__name__}: {error}")}
    assert set(model.asked.values()) == {1}, "no other try would help"
    assert {trial.paid.uncounted for trial in run.trials if trial.failure and trial.paid} == {1}, "it may have cost"


def test_a_setup_that_it_names_ends_its_variant_and_the_others_go_on(
    agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    model = listed(answers=raises(SetupError("no such program: claude; install it")))

    run = run_trials(plan_of(agent), progress=False, open_model=model.open, concurrency=1)

    assert {trial.failure.type for trial in run.trials if trial.failure} == {"not_set_up"}
    assert {trial.variant for trial in run.trials if trial.outcome == "answered"} == {"base"}
    assert model.asked.total() == 16 + 1
    assert "Variant 'asks' was not asked any more" in capsys.readouterr().out
    with pytest.raises(SetupError, match="no such program: claude"):
        run_trials(plan_of(agent), progress=False, open_model=model.open, concurrency=1)


def test_key_in_what_it_raises_is_not_kept(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-ant-" + "api03-" + "Ab3x9" * 16
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    model = listed(answers=raises(RuntimeError(f"refused: {key}")))

    run = run_trials(plan_of(agent), progress=False, open_model=model.open)

    assert not any(key in str(trial.failure) for trial in run.trials)


HALF = Attempt(reply=Reply(text="half a \ud83d", stop_reason="end_turn", model="m\ud83d"))
ODD: dict[str, Any] = {
    "nothing": None,
    "text": "Hello.",
    "neither": Attempt(),
    "a reply that is text": Attempt(reply="Hello."),  # type: ignore[arg-type]
    "no text": Attempt(reply=Reply(text=None)),  # type: ignore[arg-type]
    "a model that is a number": Attempt(reply=Reply(text="x", model=5)),  # type: ignore[arg-type]
    "usage that is a dict": Attempt(reply=Reply(text="x", usage={})),  # type: ignore[arg-type]
    "seconds that are text": Attempt(reply=Reply(text="x", seconds="1")),  # type: ignore[arg-type]
    "seconds without end": Attempt(reply=Reply(text="x", seconds=float("inf"))),
    "a wait that is text": Attempt(failure=Failure(type="x", message="y"), retry_after_seconds="1"),  # type: ignore[arg-type]
    "a failure that is text": Attempt(failure="broken"),  # type: ignore[arg-type]
    "a status that is text": Attempt(failure=Failure(type="x", message="y", status="500")),  # type: ignore[arg-type]
    "a status that is huge": Attempt(failure=Failure(type="x", message="y", status=10**30)),
}


@pytest.mark.parametrize("said", ODD.values(), ids=ODD)
def test_what_is_no_attempt_is_a_failed_trial_and_the_others_go_on(agent: Agent, said: Any) -> None:
    class Odd(ListedModel):
        async def ask(self, request: Request, **settings: Any) -> Attempt:
            return said if request.system.startswith("You ask") else await super().ask(request, **settings)

    model = Odd(endpoint=LISTED, says={"You design.": "A class."})

    run = run_trials(plan_of(agent, repeats=1), progress=False, open_model=model.open, budget_tokens=1_000_000)

    assert {trial.failure.type for trial in run.trials if trial.failure} == {"not_an_attempt"}
    assert [trial.outcome for trial in run.trials].count("answered") == 8


def test_half_characters_cost_no_other_reply(agent: Agent) -> None:
    model = listed(answers=lambda _: HALF)

    run = run_trials(plan_of(agent), progress=False, open_model=model.open)

    assert {trial.reply.text for trial in run.trials if trial.reply} == {"half a ?"}
    with open_ledger() as ledger:
        assert ledger.count(whole=True) == 32


def test_way_that_cannot_be_opened_is_said_before_anything_is_asked(agent: Agent) -> None:
    model = listed()

    @asynccontextmanager
    async def broken(endpoint: Endpoint, *, connections: int = 8) -> AsyncIterator[Model]:
        raise OSError("no such socket")
        yield model

    with pytest.raises(SetupError, match=r"server at http://answers.invalid cannot be opened: OSError: no such socket"):
        run_trials(plan_of(agent), progress=False, open_model=broken)


def test_one_run_has_it_beside_a_server_and_each_trial_says_who_answered(agent: Agent, server: MessagesServer) -> None:
    model = listed()
    ours = Variant(agent=agent.replace(prompt="You ask first.\n"), endpoint=LISTED, model="ours")
    plan = plan_trials({"live": agent, "ours": ours}, [Task(id="one", input="x"), Task(id="two", input="y")])

    run = run_trials(plan, progress=False, open_model=model.open)

    def who(trial: Trial) -> tuple[str, str, str]:
        assert trial.reply is not None
        return trial.variant, trial.endpoint.base_url, trial.reply.model

    assert sorted(map(who, run.trials)) == [
        ("live", server.url, "claude-sonnet-5-5"),
        ("live", server.url, "claude-sonnet-5-5"),
        ("ours", LISTED.base_url, "ours"),
        ("ours", LISTED.base_url, "ours"),
    ]
    assert (len(server.bodies), model.asked.total()) == (2, 2)


def test_way_to_a_model_is_a_setting_like_the_others() -> None:
    assert RunSettings().open_model is open_model
