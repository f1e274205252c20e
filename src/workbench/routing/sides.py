"""Decisions before and after a change of descriptions, asked alike and kept in one run, which one record holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from workbench.definition.agent import Agent
from workbench.errors import ComparisonError, PlanError, RecordError, RoutingRefused
from workbench.routing.asking import (
    ORDERS,
    Agents,
    Cases,
    MainModel,
    Router,
    agents_of,
    ask_controls,
    ask_router,
    cases_for,
    choose_router,
    plan_controls,
    plan_routing,
    with_one_budget,
)
from workbench.routing.cases import accepted_of, load_cases, with_accepted
from workbench.routing.change import RoutingChange, compare_routing
from workbench.routing.controls import refuse_errors
from workbench.routing.counting import add_plan_to_estimate
from workbench.routing.measured import Routed, measure_routing
from workbench.routing.record import sides_of
from workbench.runs.plan import Plan
from workbench.runs.settings import Asking
from workbench.statistics.routing import NONE
from workbench.trial.decisions import holds_decisions
from workbench.trial.record import load_run
from workbench.trial.task import Task
from workbench.trial.trial import Run


def route_change(
    before: Agents,
    after: Agents,
    cases: Cases = None,
    *,
    model: str | MainModel = "sonnet",
    repeats: int = 1,
    orders: int = ORDERS,
    **asking: Unpack[Asking],
) -> RoutingChange:
    """What a change of descriptions changes: the same cases put to the main model with the agents as they were, then
    as they are. Without `cases`, those of `after`.

    A case may accept an agent that is in one of the two only. One whose first name is new and which also accepts one
    that is gone ("new, old") follows a renamed agent. Controls are asked of both, and a budget in `asking` bounds all
    of it. That after the change nobody is picked at all is a finding, and not refused.

    Raises:
        RoutingRefused: the controls fail, more than a tenth of the decisions are errors, or all decisions of before
            are the same; says what is wrong.
        PlanError: no agent, no case, or a case for an agent that is in neither.
        All that `run_trials` raises.
    """
    router = choose_router(model)
    then, now = agents_of(before), agents_of(after)
    found = cases_for(after, cases)
    _refuse_unknown(found, then, now, router)
    asking = with_one_budget(
        asking, agents={**now, **{f"before {name}": each for name, each in then.items()}}, router=router
    )
    plans = {
        side: plan_routing(agents, _listed(found, agents, router), router=router, repeats=repeats, orders=orders)
        for side, agents in (("before", then), ("after", now))
    }
    # The controls of the first end what only an estimate is wanted of.
    add_plan_to_estimate(plans["before"], asking)
    add_plan_to_estimate(plan_controls(now, router=router), asking)
    add_plan_to_estimate(plans["after"], asking)
    measured = measure_routing(_asked(then, plans["before"], found, router=router, asking=asking))
    try:
        later = _asked(now, plans["after"], found, router=router, asking=asking)
    except RoutingRefused as error:
        raise RoutingRefused(
            f"with the agents as they were it passes; as they are: {error}", controls=error.controls
        ) from error
    refuse_errors(later, "cases")
    return compare_routing(measured, Routed(run=later, controls=None))


def load_change(
    record: str | Path, *, baseline: str | Path | None = None, cases: str | Path | None = None
) -> RoutingChange:
    """The change that a record holds, or that lies between another record and the decisions (of after) in this one.

    With `cases`, a file of them, who should get each prompt is what that file says, and not what the records do.

    Raises:
        RecordError: a record cannot be read, holds no decisions, or those on one list of agents without a baseline.
        ComparisonError: the two cannot be compared.
        RoutingRefused: see `measure_routing`; that after the change all is the same is not refused.
    """
    before, after = sides_of(_decisions_of(record))
    if baseline is not None:
        before = sides_of(_decisions_of(baseline))[1]
    if before is None:
        raise RecordError(
            "holds decisions on one list of agents, and nothing to hold them against: `workbench route AGENTS --before "
            "FOLDER --record OUT` leaves both, or name another record of decisions as the baseline",
            path=record,
        )
    if cases is not None:
        known = load_cases(cases)
        before, after = held_to_cases(before, known), held_to_cases(after, known)
    return change_between_runs(before, after)


def _decisions_of(record: str | Path) -> Run:
    run = load_run(record)
    if not holds_decisions(run):
        raise RecordError(
            "holds replies, and no routing decision: `workbench route AGENTS --before FOLDER --record OUT` leaves some",
            path=record,
        )
    return run


def change_between_runs(before: Run, after: Run) -> RoutingChange:
    """The change from the decisions of one run to those of another, both on the same cases.

    Raises:
        ComparisonError: they cannot be compared; see `compare_routing`.
        RoutingRefused: see `measure_routing`; that after the change all is the same is not refused.
    """
    refuse_errors(after, "cases")
    return compare_routing(measure_routing(before), Routed(run=after, controls=None))


def _refuse_unknown(
    cases: Sequence[Task], before: Mapping[str, Agent], after: Mapping[str, Agent], router: Router
) -> None:
    names = {entry.name for agents in (before, after) for entry in router.entries(agents)} | {NONE}
    for case in cases:
        for name in accepted_of(case):
            if name not in names:
                known = ", ".join(sorted(names - {NONE}, key=str.lower)[:12])
                raise PlanError(
                    f"case {case.id!r} expects {name!r}, which is listed neither before nor after; there are {known}, "
                    "and none"
                )


def _listed(cases: Sequence[Task], agents: Mapping[str, Agent], router: Router) -> list[Task]:
    """The cases with those who may get them that are listed here; who may is no part of what is asked."""
    listed = {entry.name for entry in router.entries(agents)} | {NONE}
    return [with_accepted(case, [name for name in accepted_of(case) if name in listed] or [NONE]) for case in cases]


def _asked(agents: Mapping[str, Agent], plan: Plan, cases: Sequence[Task], *, router: Router, asking: Asking) -> Run:
    ask_controls(agents, router=router, asking=asking)
    return replace(ask_router(agents, plan, router=router, asking=asking), tasks=tuple(cases))


def held_to_cases(run: Run, cases: Sequence[Task]) -> Run:
    """The decisions on these cases alone, whose prompts were asked, each with who should get it by them.

    Raises:
        ComparisonError: none of their prompts was asked.
    """
    by_prompt = {case.input: case for case in cases}
    tasks = {
        task.id: replace(task, target=by_prompt[task.input].target) for task in run.tasks if task.input in by_prompt
    }
    if not tasks:
        raise ComparisonError("none of the prompts of these cases was asked in it; name the file that it was asked by")
    return replace(
        run, tasks=tuple(tasks.values()), trials=tuple(trial for trial in run.trials if trial.task_id in tasks)
    )
