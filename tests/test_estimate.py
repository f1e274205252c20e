from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from workbench.comparison.scores import scores_by_variant
from workbench.definition.agent import Agent
from workbench.errors import PlanError
from workbench.ledger.budget.reservation import Budget
from workbench.runs.estimate import MOST_GRADED, estimate_plan
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.statistics.power import ASSUMED, detectable_effect
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Score

TASKS = (Task(id="one", input="Design it"), Task(id="two", input="Build it"))
Count = Callable[[dict[str, Any]], tuple[int, str]]


@contextmanager
def counting(count: Count) -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """A server that counts tokens and does nothing else; its address, and what it was asked."""
    asked: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append((self.path, body))
            status, text = count(body)
            self.send_response(status)
            self.send_header("content-type", "application/json" if text.startswith("{") else "text/html")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def hundred(_: dict[str, Any]) -> tuple[int, str]:
    return 200, '{"input_tokens": 100}'


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    with counting(hundred) as (url, asked):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
        yield asked


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")


def plan_of(agent: Agent, **settings: Any) -> Plan:
    return plan_trials({"base": agent, "terse": agent.replace(prompt="Be terse.")}, TASKS, **settings)


def test_server_counts_each_prompt_once_whatever_the_repeats(
    agent: Agent, server: list[tuple[str, dict[str, Any]]]
) -> None:
    found = estimate_plan(plan_of(agent, repeats=5))

    assert [path for path, _ in server] == ["/v1/messages/count_tokens"] * 4
    assert all(body.keys() == {"model", "messages", "system", "output_config"} for _, body in server)
    assert (found.calls, found.input_tokens, found.input_source) == (20, 2000, "counted by the server")


@pytest.mark.parametrize("answer", [(404, "{}"), (200, "<html>Sign in"), (200, "{}"), (500, "{}")])
def test_place_that_does_not_count_gets_an_approximation_that_says_so(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, str]
) -> None:
    with counting(lambda _: answer) as (url, _):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", url)

        found = estimate_plan(plan_of(agent))

    assert found.input_source == "approximated: one for 3.1 bytes"
    assert found.input_tokens > 0


def test_place_that_counts_some_prompts_says_how_many(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def first_only(body: dict[str, Any]) -> tuple[int, str]:
        seen.append(1)
        return hundred(body) if len(seen) == 1 else (429, "{}")

    with counting(first_only) as (url, _):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", url)

        assert estimate_plan(plan_of(agent)).input_source.startswith("1 of 4 prompts counted by the server, the others")


def test_output_is_given_at_the_limit_and_at_the_expected_length(
    agent: Agent, server: list[tuple[str, dict[str, Any]]]
) -> None:
    found = estimate_plan(plan_of(agent, max_tokens=4000))

    assert (found.output_tokens, found.most_output_tokens) == (4 * 1500, 4 * 4000)
    assert found.output_source == "1,500 a reply assumed, for the ledger has none to go by"
    assert found.usd == pytest.approx((400 * 2 + 6000 * 10) / 1e6)
    assert found.minutes == pytest.approx((2 + 1500 / 60) / 60)


def test_reply_is_never_expected_to_be_longer_than_its_limit(
    agent: Agent, server: list[tuple[str, dict[str, Any]]]
) -> None:
    found = estimate_plan(plan_of(agent, max_tokens=10))

    assert found.output_tokens == found.most_output_tokens == 40


@pytest.mark.usefixtures("nobody")
def test_budget_of_the_worst_case_lets_every_call_begin(agent: Agent) -> None:
    plan = plan_of(agent, repeats=3)
    found = estimate_plan(plan)
    budget = Budget(usd=found.most_usd, tokens=found.most_tokens)

    for _ in range(3):
        for request in plan.requests.values():
            reservation = budget.reserve(request)
            assert reservation is not None
            budget.settle(reservation, None)

    assert budget.spent_usd == pytest.approx(found.most_usd)
    assert budget.spent_tokens == found.most_tokens


@pytest.mark.usefixtures("nobody")
def test_batch_is_half_the_price(agent: Agent) -> None:
    live, batch = estimate_plan(plan_of(agent)), estimate_plan(plan_of(agent), via="batch")

    assert live.usd is not None and live.most_usd is not None
    assert (batch.usd, batch.most_usd) == (pytest.approx(live.usd / 2), pytest.approx(live.most_usd / 2))
    assert batch.minutes is None
    assert "at the half price of batches" in repr(batch)


@pytest.mark.usefixtures("nobody")
def test_cached_persona_is_written_by_the_first_call_and_read_by_the_others(agent: Agent) -> None:
    long = agent.replace(prompt="x" * 40_000)
    cached = plan_trials({"base": long}, TASKS, repeats=50)
    plain = plan_trials({"base": long}, TASKS, repeats=50, caching=False)

    one_at_a_time, all_at_once = estimate_plan(cached, concurrency=1), estimate_plan(cached, concurrency=100)
    plainly = estimate_plan(plain, concurrency=1)

    assert one_at_a_time.usd is not None and all_at_once.usd is not None and plainly.usd is not None
    assert one_at_a_time.usd == all_at_once.usd < plainly.usd, "the others wait until it is written"
    assert one_at_a_time.most_usd == all_at_once.most_usd


@pytest.mark.usefixtures("nobody")
def test_unpriced_model_makes_the_cost_unknown_never_zero(agent: Agent) -> None:
    found = estimate_plan(plan_trials({"base": agent, "own": agent.replace(model="our-own-model")}, TASKS))

    assert (found.usd, found.most_usd, found.unpriced) == (None, None, ("our-own-model",))
    assert "unknown: no price is known of our-own-model" in repr(found)


@pytest.mark.usefixtures("nobody")
def test_prices_carry_their_source_and_day(agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "list prices of genai-prices" in estimate_plan(plan_of(agent)).prices[0]

    (tmp_path / "p.toml").write_text(
        '["claude-sonnet-5-5"]\ninput = 1\noutput = 2\ncache_write_5m = 1\ncache_write_1h = 1\ncache_read = 1\n'
        'as_of = 2026-11-20\nsource = "our contract"\n'
    )
    monkeypatch.setenv("WORKBENCH_PRICES", str(tmp_path / "p.toml"))

    assert estimate_plan(plan_of(agent)).prices == ("p.toml: our contract, as of 2026-11-20",)


def test_what_the_ledger_has_is_neither_asked_nor_paid(agent: Agent) -> None:
    run_trials(plan_of(agent), progress=False)

    found = estimate_plan(plan_of(agent, repeats=2))

    assert (found.trials, found.answered, found.calls) == (8, 4, 4)
    assert found.output_source == "as long as the 4 replies in the ledger"
    assert "answered in the ledger  4 (50%)" in repr(found)


def test_complete_ledger_needs_nothing_more(agent: Agent) -> None:
    run_trials(plan_of(agent), progress=False)

    found = estimate_plan(plan_of(agent))

    assert (found.calls, found.usd, found.input_tokens, found.most_tokens) == (0, 0.0, 0, 0)
    assert repr(found).endswith("nothing: all is in the ledger")


def test_stand_in_is_asked_nothing_and_costs_nothing(agent: Agent) -> None:
    found = estimate_plan(plan_of(agent), live=False)

    assert (found.usd, found.most_usd, found.minutes) == (0.0, 0.0, 0.0)
    assert "OFFLINE STAND-IN" in repr(found)
    assert "0, for no model answers" in repr(found)


def test_names_of_variants_stay_text(agent: Agent) -> None:
    found = estimate_plan(plan_trials({"<b>x</b>\n# $y$": agent}, TASKS))

    assert "<b>" not in found._repr_html_()
    assert "prompt cache, &lt;b&gt;x&lt;/b&gt; # $y$" in found._repr_html_()
    assert all(line.startswith("    ") for line in found._repr_markdown_().split("\n"))


def test_concurrency_below_one_is_refused(agent: Agent) -> None:
    with pytest.raises(PlanError, match="concurrency is 0"):
        estimate_plan(plan_of(agent), concurrency=0)


WORDS = {"words": lambda: lambda task, reply: Score(value=crc32(reply.text.encode()) % 7 / 6, explanation="made up")}


def graded_plan(agent: Agent, *, variants: int = 2, repeats: int = 2, tasks: int = 6, groups: int = 6) -> Plan:
    asked = [
        Task(
            id=f"task-{index}",
            input=f"Design {index}",
            group=f"group-{index % groups}",
            graders=(GraderSpec(name="words", promise="words"),),
        )
        for index in range(tasks)
    ]
    agents = {
        f"variant-{index}": agent.replace(prompt=agent.prompt * index or "Be brief.") for index in range(variants)
    }
    return plan_trials(agents, asked, repeats=repeats, graders=WORDS)


@pytest.mark.usefixtures("nobody")
def test_effect_that_a_plan_could_show_is_stated_before_anything_is_known(agent: Agent) -> None:
    found = estimate_plan(graded_plan(agent, variants=3))

    assert found.power is not None
    assert (found.power.tasks, found.power.repeats, found.power.comparisons) == (6, 2, 2)
    assert found.power.variances == ASSUMED
    for shown in (repr(found), found._repr_markdown_(), found._repr_html_()):
        assert "points with 80 % power, at 5 % corrected for 2 comparisons with the baseline" in shown
        assert "x2 tasks: " in shown
        assert "assumed, for the ledger has too few graded replies" in shown


def test_effect_that_a_plan_could_show_is_taken_from_graded_replies_in_the_ledger(agent: Agent) -> None:
    run = run_trials(graded_plan(agent), progress=False)
    found = estimate_plan(graded_plan(agent, repeats=8))
    scores = scores_by_variant(run)
    differences = scores["variant-1"].means - scores["variant-0"].means

    assert found.power is not None
    assert found.power.variances.replies == 24
    assert found.power.variances.of_difference(2) == pytest.approx(differences.var(ddof=1))
    assert found.power.effect(repeats=2) == pytest.approx(detectable_effect(differences.var(ddof=1), 6))
    assert "24 graded replies in the ledger: the differences between 2 variants over 6 tasks" in repr(found)
    assert "made up by the OFFLINE STAND-IN" in repr(found)


def test_one_variant_in_the_ledger_is_enough_for_a_guess(agent: Agent) -> None:
    run_trials(graded_plan(agent, variants=1), progress=False)
    found = estimate_plan(graded_plan(agent, variants=2))

    assert "12 graded replies in the ledger: one variant's scores on 6 tasks" in repr(found)


def test_no_more_replies_are_graded_than_an_estimate_has_time_for(agent: Agent) -> None:
    plan = graded_plan(agent, repeats=MOST_GRADED // 12 + 1)
    assert len(run_trials(plan, progress=False).trials) > MOST_GRADED
    found = estimate_plan(plan)

    assert found.power is not None
    assert found.power.variances.replies == MOST_GRADED


@pytest.mark.usefixtures("nobody")
def test_tasks_without_graders_leave_nothing_to_show(agent: Agent) -> None:
    found = estimate_plan(plan_of(agent))

    assert found.power is None
    assert "none: no task names a grader" in repr(found)


@pytest.mark.usefixtures("nobody")
def test_groups_that_tasks_share_are_named(agent: Agent) -> None:
    shared, own = (estimate_plan(graded_plan(agent, groups=groups)) for groups in (3, 6))

    assert shared.power is not None and own.power is not None
    assert (shared.power.groups, own.power.groups) == (3, None)
