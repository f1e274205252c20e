"""What routing would take, before anything is spent: each of the plans that would be asked one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.definition.there import is_there
from workbench.markup import Table, counted
from workbench.routing.asking import Agents, Router, agents_of, plan_controls, plan_routing
from workbench.routing.improving import plan_improving
from workbench.routing.steering import plan_steering
from workbench.runs.estimate import Estimate, estimate_plan
from workbench.runs.estimate_only import EstimateTotals, totals_of
from workbench.runs.plan import Plan
from workbench.trial.sealed import draw_parts, split_tasks
from workbench.trial.task import Task
from workbench.trial.trial import Via


def plans_of_route(
    agents: Agents,
    cases: Sequence[Task],
    *,
    router: Router,
    before: Agents | None = None,
    repeats: int,
    orders: int,
) -> dict[str, Plan]:
    """What `route` asks, of these agents and of those before, by what it is for."""
    plans = {}
    for listed, when in ((agents, ""), (before, ", before")):
        if listed is not None:
            found = agents_of(listed)
            plans[f"controls{when}"] = plan_controls(found, router=router)
            plans[f"decisions{when}"] = plan_routing(found, cases, router=router, repeats=repeats, orders=orders)
    return plans


def plans_of_steering(
    agents: Agents, cases: Sequence[Task], *, router: Router, repeats: int, orders: int
) -> dict[str, Plan]:
    """What `sweep_steering` asks, by what it is for."""
    found = agents_of(agents)
    controls = {"controls": plan_controls(found, router=router)}
    return controls | plan_steering(found, cases, router=router, repeats=repeats, orders=orders)


def plans_of_improving(
    agents: Agents,
    name: str,
    cases: Sequence[Task],
    *,
    seal: Path,
    candidates: Sequence[str],
    router: Router,
) -> dict[str, Plan]:
    """What `improve_description` asks at most, by what it is for: that of the sealed cases only where one is better. No
    seal is made, and none is opened."""
    found = agents_of(agents)
    split = split_tasks(cases, seal=seal) if is_there(seal) else draw_parts(cases, seal=seal)
    controls = {"controls": plan_controls(found, router=router)}
    return controls | plan_improving(found, name, split, candidates=candidates, router=router)


def estimate_routing(plans: Mapping[str, Plan], *, live: bool | None = None, via: Via = "stream") -> Table:
    """What these plans take, one after the other, and all of them.

    Raises:
        As `estimate_plan`.
    """
    estimates = {name: estimate_plan(plan, live=live, via=via) for name, plan in plans.items()}
    first = next(iter(estimates.values()))
    totals = {name: totals_of(each) for name, each in estimates.items()}
    totals["in all"] = sum(totals.values(), EstimateTotals())
    return Table(
        title="What it would take, before anything is spent",
        headings=("asked for", "decisions", "in the ledger", "calls", "input tokens", "USD expected", "USD at most"),
        rows=tuple((name, *_cells(each)) for name, each in totals.items()),
        note=_note(first, [price for each in estimates.values() for price in each.prices]),
    )


def _cells(of: EstimateTotals) -> tuple[str, ...]:
    counts = [f"{count:,}" for count in (of.trials, of.answered, of.calls, of.input_tokens)]
    return (*counts, *("unknown" if usd is None else f"{usd:,.4f}" for usd in (of.usd, of.most_usd)))


def _note(first: Estimate, prices: Sequence[str]) -> str:
    asked = next(iter(first.asked_at.values()), "")
    answered = "; ".join(endpoint.in_words for endpoint in first.endpoints)
    priced = f" Prices: {'; '.join(dict.fromkeys(prices))}." if prices else ""
    return f"Answered by: {answered}. Asked at: {asked}. {counted(first.concurrency, 'call')} at a time.{priced}"
