from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.messages_server import MessagesServer
from tests.postgres_server import InPostgreSQL
from tests.spender import SCOPE, TRIAL, start_spender
from tests.test_ledger import execute, query
from workbench.definition.agent import Agent
from workbench.errors import BudgetError, SetupError
from workbench.ledger.budget.limits import Limit, Spent, budget_limits, limit_of
from workbench.ledger.budget.reservation import Budget, Reservation, open_budget, used_up
from workbench.ledger.budget.worst_case import most_of
from workbench.ledger.open_batches import close_batch_items, find_open_batches, intend_batch
from workbench.ledger.schema import SCHEMA_VERSION
from workbench.ledger.store import Ledger, open_ledger
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.start import start_trial
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Reply, Request, Trial, Usage

pytestmark = pytest.mark.machine

WORST = most_of(TRIAL.request)
SMALL = Usage(input_tokens=10, output_tokens=10)


def usd(times: float) -> float:
    """So many worst cases, in USD."""
    return float(WORST.usd) * times


async def opened(ledger: Ledger, times: float, *, scope: str = SCOPE) -> Budget:
    """A budget of so many worst cases."""
    limits = (limit_of(scope, usd=usd(times), tokens=None),)
    return await open_budget(ledger, [TRIAL], limits, deadline_seconds=60, seconds_between_looks=0.01)


async def reserve(budget: Budget) -> Reservation | None:
    return await budget.reserve_when_it_fits(TRIAL.request)


async def settle(budget: Budget, ledger: Ledger, reservation: Reservation | None, usage: Usage | None) -> None:
    """As a run does: with the attempt, what it took."""
    assert reservation is not None
    budget.settle(reservation, usage)
    await ledger.transact(budget.renew, committed=budget.renewed)


def make_version_2(address: str) -> None:
    """Takes away what came with version 3."""
    for name in ("budgets", "budget_holds"):
        execute(address, f"drop table {name}")
    for name in ("scopes", "tokens", "picousd"):
        execute(address, f"alter table batch_items drop column {name}")
    execute(address, "update about set schema_version = 2")


def fail_next_commit(ledger: Ledger) -> None:
    """As where another program holds a lock just then."""
    dialect: Any = ledger._engine.dialect
    do_commit = dialect.do_commit

    def fail_once(connection: Any) -> None:
        dialect.do_commit = do_commit
        if dialect.name == "sqlite":
            locked: Exception = sqlite3.OperationalError("database is locked")
            locked.sqlite_errorcode = sqlite3.SQLITE_BUSY  # type: ignore[attr-defined]
        else:
            import psycopg

            locked = psycopg.errors.LockNotAvailable("canceling statement due to lock timeout")
        raise locked

    dialect.do_commit = fail_once


def taken(address: str, scope: str = SCOPE) -> Spent:
    [(tokens, picousd)] = query(address, f"select tokens, picousd from budgets where scope = '{scope}'")
    return Spent(tokens=tokens, picousd=picousd)


def spent_by(lines: list[str]) -> Decimal:
    """What was asked for; a line may also be a word of the ledger's, as that it is waited for."""
    return sum((Decimal(line.split()[1]) for line in lines if line.startswith("spent ")), Decimal(0))


class SpendingRules:
    """What holds for a budget in any database; a subclass says in which one it is tested."""

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_processes_together_never_spend_more_than_their_budget(self, address: str, seed: int) -> None:
        limit = 1.0
        open_ledger(address).close()
        spenders = [start_spender(address, limit, 120, 10 * seed + number) for number in range(4)]
        lines = [line for spender in spenders for line in spender.communicate()[0].splitlines()]

        assert [spender.returncode for spender in spenders] == [0] * 4
        assert "used up" in lines
        assert spent_by(lines) <= Decimal(str(limit))
        assert Decimal(str(limit)) - WORST.usd < taken(address).usd <= Decimal(str(limit))
        assert query(address, "select * from budget_holds") == []

    @pytest.mark.parametrize("seed", [1, 2])
    def test_killed_processes_have_spent_what_was_in_flight(self, address: str, seed: int) -> None:
        limit, chance, lines = 1.5, random.Random(seed), []
        open_ledger(address).close()
        for life in range(4):
            spenders = [start_spender(address, limit, 60, 100 * seed + 10 * life + number) for number in range(2)]
            for spender in spenders:
                assert spender.stdout is not None
                lines += [spender.stdout.readline().strip() for _ in range(chance.randint(1, 10))]
                spender.kill()
                lines += spender.communicate()[0].split("\n")[:-1]  # what has no end was cut off
        last = start_spender(address, limit, 400, seed)
        lines += last.communicate()[0].splitlines()

        assert last.returncode == 0
        assert lines[-1] == "used up"
        assert spent_by(lines) <= taken(address).usd <= Decimal(str(limit))

    def test_version_2_keeps_every_row_and_goes_on(self, agent: Agent, address: str) -> None:
        with open_ledger(address) as ledger:
            asyncio.run(ledger.write(TRIAL.replace(reply=Reply(text="Hi", stop_reason="end_turn")), agent))
            number = intend_batch(ledger, ["a" * 64], endpoint="p")
        make_version_2(address)
        before = query(address, "select * from attempts")

        with open_ledger(address) as ledger:
            asyncio.run(opened(ledger, 1))
            assert query(address, "select * from attempts") == before
            assert [batch.number for batch in find_open_batches(ledger, endpoint="p")] == [number]
            close_batch_items(ledger, ["a" * 64])
        assert query(address, "select schema_version from about") == [(SCHEMA_VERSION,)]
        assert taken(address) == Spent()

    def test_what_an_earlier_run_spent_counts(self, address: str) -> None:
        async def run() -> str:
            with open_ledger(address) as ledger:
                first = await opened(ledger, 1.5)
                await settle(first, ledger, await reserve(first), None)
                await first.close()
                second = await opened(ledger, 1.5)
                with pytest.raises(BudgetError) as error:
                    second.check([TRIAL.request])
                assert await reserve(second) is None
                return f"{error.value}; {used_up(second)}"

        said = asyncio.run(run())

        assert "are spent already within 'a batch'" in said
        assert "of it not by this run)" in said

    def test_what_a_killed_process_had_in_flight_stays_spent_and_is_named(self, address: str) -> None:
        code = (
            "import asyncio, os\n"
            "from tests.test_spending import *\n"
            "async def run():\n"
            "    ledger = open_ledger(os.sys.argv[1])\n"
            "    budget = await opened(ledger, 2.5)\n"
            "    await reserve(budget), await reserve(budget)\n"
            "    os.kill(os.getpid(), 9)\n"
            "asyncio.run(run())\n"
        )
        killed = subprocess.Popen([sys.executable, "-c", code, address], cwd=Path(__file__).parent.parent)
        killed.wait()

        async def run() -> str:
            with open_ledger(address) as ledger:
                budget = await opened(ledger, 2.5)
                assert await reserve(budget) is None
                return str(used_up(budget))

        said = asyncio.run(run())

        assert killed.returncode == -9
        assert taken(address) == WORST + WORST
        assert f"set aside by process {killed.pid}, since " in said
        assert "ended before it settled them" in said

    def test_what_is_set_aside_for_a_batch_is_not_called_spent(self, address: str) -> None:
        async def run() -> str:
            with open_ledger(address) as ledger:
                budget = await opened(ledger, 1.5)
                account, most = budget.account, {"a" * 64: budget.most_in_batch(TRIAL)}
                assert account is not None
                assert intend_batch(
                    ledger, most, endpoint="p", also=lambda connection: account.set_aside(connection, most)
                )
                another = await open_budget(
                    ledger, [TRIAL], (limit_of(SCOPE, usd=None, tokens=WORST.tokens),), deadline_seconds=60
                )
                with pytest.raises(BudgetError) as error:
                    another.check([TRIAL.request])
                return str(error.value)

        said = asyncio.run(run())

        assert "spent already" not in said
        assert f"{WORST.tokens:,} tokens set aside for message batches whose results are to come" in said

    def test_transaction_that_is_tried_again_takes_what_it_takes_once(self, address: str) -> None:
        async def run() -> None:
            with open_ledger(address) as ledger:
                budget = await opened(ledger, 10)
                fail_next_commit(ledger)
                reservation = await reserve(budget)
                fail_next_commit(ledger)
                await settle(budget, ledger, reservation, Usage(input_tokens=0, output_tokens=1))
                await budget.close()

        asyncio.run(run())

        assert taken(address) == Spent(tokens=1, picousd=20_000_000)
        assert query(address, "select * from budget_holds") == []

    def test_a_run_waits_for_what_another_that_is_alive_may_give_back(self, address: str) -> None:
        async def run() -> bool:
            with open_ledger(address) as ledger, open_ledger(address) as elsewhere:
                first, second = await opened(ledger, 1.5), await opened(elsewhere, 1.5)
                reservation = await reserve(first)
                waiting = asyncio.ensure_future(reserve(second))
                await second.look()
                assert not waiting.done()
                await settle(first, ledger, reservation, SMALL)
                await first.close()
                return await waiting is not None

        assert asyncio.run(run())

    def test_one_transaction_serves_the_next_request_too(self, address: str) -> None:
        async def run() -> list[bool]:
            with open_ledger(address) as ledger:
                budget = await opened(ledger, 10)
                reservation, at_once = await reserve(budget), []
                for _ in range(5):
                    await settle(budget, ledger, reservation, SMALL)
                    reservation = budget.reserve(TRIAL.request)  # asks nobody
                    at_once.append(reservation is not None)
                await budget.close()
                return at_once

        assert asyncio.run(run()) == [True] * 5

    def test_what_is_not_used_is_given_back_in_the_end(self, address: str) -> None:
        async def run() -> None:
            with open_ledger(address) as ledger:
                budget = await opened(ledger, 10)
                reservations = [await reserve(budget) for _ in range(3)]
                for reservation in reservations:
                    await settle(budget, ledger, reservation, Usage(input_tokens=0, output_tokens=1))
                await budget.close()

        asyncio.run(run())

        assert taken(address) == Spent(tokens=3, picousd=3 * 20_000_000)

    def test_budget_that_is_closed_in_the_transaction_of_its_last_attempt_takes_what_was_spent(
        self, address: str
    ) -> None:
        async def run() -> None:
            with open_ledger(address) as ledger:
                budget = await opened(ledger, 10)
                reservation = await reserve(budget)
                assert reservation is not None
                budget.settle(reservation, Usage(input_tokens=0, output_tokens=1))
                await asyncio.gather(ledger.transact(budget.renew, committed=budget.renewed), budget.close())

        asyncio.run(run())

        assert taken(address) == Spent(tokens=1, picousd=20_000_000)
        assert query(address, "select * from budget_holds") == []

    def test_two_budgets_are_both_kept(self, address: str) -> None:
        limits = (limit_of("plan", usd=usd(3.5), tokens=None), limit_of("all", usd=usd(1.5), tokens=None))

        async def run() -> list[bool]:
            with open_ledger(address) as ledger:
                budget = await open_budget(ledger, [TRIAL], limits, deadline_seconds=60)
                first = await reserve(budget)
                await settle(budget, ledger, first, None)
                second = await reserve(budget)
                await budget.close()
                return [first is not None, second is not None]

        assert asyncio.run(run()) == [True, False]
        assert taken(address, "plan") == taken(address, "all") == WORST

    def test_server_that_counts_more_than_the_worst_case_is_written_down_all_the_same(self, address: str) -> None:
        more = Usage(input_tokens=100_000, output_tokens=5000)

        async def run() -> Reservation | None:
            with open_ledger(address) as ledger:
                budget = await opened(ledger, 1.5)
                await settle(budget, ledger, await reserve(budget), more)
                return await reserve(budget)

        assert asyncio.run(run()) is None
        assert taken(address).tokens == 105_000

    def test_budget_in_usd_is_refused_where_models_without_a_price_spent_of_it(self, address: str) -> None:
        unpriced = TRIAL.replace(request=Request(model="claude-nobody-1", system="", messages=(), max_tokens=1))

        async def run() -> None:
            with open_ledger(address) as ledger:
                in_tokens = (limit_of(SCOPE, usd=None, tokens=10_000),)
                first = await open_budget(ledger, [unpriced], in_tokens, deadline_seconds=60)
                await first.close()
                (await opened(ledger, 2)).check([TRIAL.request])

        with pytest.raises(BudgetError, match="models without a known price were asked within the budget 'a batch'"):
            asyncio.run(run())


class TestSQLite(SpendingRules):
    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'l.sqlite'}"


class TestPostgreSQL(InPostgreSQL, SpendingRules):
    pass


def trial(repeat: int = 0, text: str = "Hello") -> Trial:
    request = Request(model="claude-opus-5-5", system="", messages=({"role": "user", "content": text},), max_tokens=9)
    endpoint = Endpoint(kind="server", base_url="http://127.0.0.1:1")
    return Trial(variant="a", task_id="t", repeat=repeat, request=request, endpoint=endpoint)


def test_the_very_same_trials_share_a_budget_in_whatever_order() -> None:
    [one], [other] = (budget_limits(trials, usd=1) for trials in ([trial(), trial(1)], [trial(1), trial()]))
    [more] = budget_limits([trial(), trial(1), trial(2)], usd=1)

    assert one == other
    assert one.scope != more.scope


def test_scope_that_is_given_names_the_budget() -> None:
    assert budget_limits([trial()], usd=1, scope="nightly") == (Limit(scope="nightly", picousd=10**12),)


def test_environment_sets_a_budget_around_that_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_BUDGET_SCOPE", "batch 7")
    monkeypatch.setenv("WORKBENCH_BUDGET_USD", "2.5")

    around = Limit(
        scope="batch 7", picousd=25 * 10**11, usd_from="WORKBENCH_BUDGET_USD", tokens_from="WORKBENCH_BUDGET_TOKENS"
    )
    assert budget_limits([trial()]) == (around,)
    assert budget_limits([trial()], tokens=5, scope="mine") == (Limit(scope="mine", tokens=5), around)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"USD": "2"}, "WORKBENCH_BUDGET_USD is set, but not WORKBENCH_BUDGET_SCOPE"),
        ({"SCOPE": "x"}, "WORKBENCH_BUDGET_SCOPE is set, but no limit"),
        ({"SCOPE": "x", "USD": "two"}, "WORKBENCH_BUDGET_USD is 'two'"),
        ({"SCOPE": "x", "USD": "-1"}, "WORKBENCH_BUDGET_USD is -1.0; it must be a number of 0 or more"),
        ({"SCOPE": "x" * 256, "USD": "1"}, "a text of 1 to 255 characters"),
    ],
)
def test_environment_that_sets_no_budget_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"WORKBENCH_BUDGET_{name}", value)

    with pytest.raises(BudgetError) as error:
        budget_limits([trial()])
    assert says in str(error.value)


def test_scope_without_a_limit_is_refused() -> None:
    with pytest.raises(BudgetError, match="budget_scope is 'x', but there is no budget"):
        budget_limits([trial()], scope="x")


def test_the_same_scope_twice_keeps_the_stricter_limit(tmp_path: Path) -> None:
    limits = (limit_of("x", usd=2, tokens=None), limit_of("x", usd=1, tokens=7))

    async def run() -> Budget:
        with open_ledger(tmp_path / "l.sqlite") as ledger:
            return await open_budget(ledger, [TRIAL], limits, deadline_seconds=60)

    assert repr(asyncio.run(run())) == (
        "<Budget: 0 USD of 1.0000 USD spent, 0 USD reserved; 0 of 7 tokens spent, 0 reserved>"
    )


def plan_of(agent: Agent, name: str = "task") -> Plan:
    tasks = [Task(id=str(number), input=f"{name} {number}") for number in range(6)]
    return plan_trials({"base": agent}, tasks, max_tokens=1000)


def in_tokens(plan: Plan) -> int:
    """The worst case of one of its trials."""
    return max(most_of(request).tokens for request in plan.requests.values())


EACH = 11 + 7
"""What the server counts for a reply."""


def test_same_plan_run_again_spends_what_the_first_run_left(agent: Agent, server: MessagesServer) -> None:
    plan = plan_of(agent)
    limit = in_tokens(plan) + 2 * EACH
    with pytest.raises(BudgetError, match="the budget is used up"):
        run_trials(plan, budget_tokens=limit)

    with pytest.raises(BudgetError, match=r"and 54 tokens are spent already by this plan's runs"):
        run_trials(plan, budget_tokens=limit)

    assert len(server.bodies) == 3


def test_all_that_is_answered_again_needs_no_budget(agent: Agent, server: MessagesServer) -> None:
    run_trials(plan_of(agent), budget_tokens=20_000)

    assert {trial.outcome for trial in run_trials(plan_of(agent), budget_tokens=0).trials} == {"answered"}


def test_another_plan_has_a_budget_of_its_own_unless_they_name_one_scope(agent: Agent, server: MessagesServer) -> None:
    one, other, third = plan_of(agent), plan_of(agent, "other"), plan_of(agent, "third")
    limit = in_tokens(third) + 3 * EACH
    run_trials(one, budget_tokens=limit + 3 * EACH)
    run_trials(other, budget_tokens=limit + 3 * EACH, budget_scope="both")

    with pytest.raises(BudgetError, match=r"108 tokens are spent already within 'both'"):
        run_trials(third, budget_tokens=limit, budget_scope="both")


def test_budget_of_the_environment_bounds_all_runs(
    agent: Agent, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = plan_of(agent), plan_of(agent, "other")
    monkeypatch.setenv("WORKBENCH_BUDGET_SCOPE", "batch 7")
    monkeypatch.setenv("WORKBENCH_BUDGET_TOKENS", str(in_tokens(other) + 8 * EACH))
    run_trials(one, budget_tokens=20_000)

    with pytest.raises(BudgetError, match=r"162 of .* tokens spent \(108 of them not by this run\)"):
        run_trials(other)
    assert len(server.bodies) == 6 + 3


def test_single_trial_stays_within_the_budget_of_the_environment(
    agent: Agent, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = plan_of(agent).requests["base", "0"]
    monkeypatch.setenv("WORKBENCH_BUDGET_SCOPE", "batch 7")
    monkeypatch.setenv("WORKBENCH_BUDGET_TOKENS", str(most_of(request).tokens))

    first = start_trial(request, agent=agent).result(60)
    with pytest.raises(BudgetError, match="18 tokens are spent already within 'batch 7'"):
        start_trial(request, agent=agent).result(60)

    assert first.outcome == "answered"
    assert len(server.bodies) == 1


def test_refused_run_gives_back_what_was_not_sent(agent: Agent, server: MessagesServer, tmp_path: Path) -> None:
    server.fault = lambda _, __: "403"

    with pytest.raises(SetupError):
        run_trials(plan_of(agent), budget_tokens=20_000, budget_scope="x", ledger=tmp_path / "l.sqlite")

    assert taken(f"sqlite:///{tmp_path / 'l.sqlite'}", "x") == Spent()
