"""Asking for routing decisions: the list of agents and a prompt put to the main model, through plan, ledger and budget.

    controls    a few prompts of which everybody knows who gets them; a router that fails them is not asked the rest
    decisions   every case, with the list in the program's order and shuffled, `repeats` times

There are three ways to a decision. They are never mixed, and every result says which was taken.

    request        one Messages call in the program's own first request, captured on this machine
    program        the program itself, stopped at the first tool that the model calls
    approximation  one Messages call in a request of our own, where there is no program
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Unpack

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.roster import Roster, load_roster
from workbench.errors import NoModel, PlanError
from workbench.model.claude_code import OpenProgram, Program, capture_frame, find_program, program_endpoint
from workbench.model.endpoint import choose_endpoint
from workbench.model.frames import load_frame
from workbench.routing.approximation import BUILT_IN, SYSTEM, TOOLS
from workbench.routing.cases import accepted_of, case_file_of, cases_of_descriptions, load_cases
from workbench.routing.controls import CANARY, check_controls, control_cases
from workbench.routing.counting import add_plan_to_estimate
from workbench.routing.listing import Entry, entries_of, in_order, listing_of
from workbench.routing.measured import Routed, measure_routing
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.settings import Asking
from workbench.runs.who_answers import telling_once
from workbench.statistics.routing import NONE
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Request, Run, Variant

Way = Literal["request", "program", "approximation"]
Agents = str | Path | Roster | Mapping[str, Agent] | Sequence[Agent]
"""The agents that are listed together: their folder, or what was loaded of it."""
Cases = str | Path | Sequence[Task] | None
"""Cases, or their file; `None`: `routing.yaml` in the agents' folder, or else the examples of their descriptions."""

MAX_TOKENS = 4_000
"""Of a decision, thinking included. One that is cut off is no decision."""
ORDERS = 2


@dataclass(frozen=True, kw_only=True)
class MainModel:
    """The main model, which picks, and the way in which it is asked. A result is one of this model alone."""

    model: str = "sonnet"
    """An alias or an id."""
    effort: str | None = None
    """`None`: what Claude Code sends for this model."""
    way: Way | None = None
    """`None`: "request" where the program is found (see `find_program`), else "approximation"."""
    endpoint: Endpoint | None = None
    """Where it answers; `None`: where the run does."""
    max_turns: int = 1
    """Of the way "program": with more, it may read files first, and a later decision counts. Each turn is a request."""


@dataclass(frozen=True, kw_only=True)
class Router:
    """What a main model is asked with, for one list of agents."""

    main: MainModel
    way: Way
    program: Program | None
    built_in: tuple[Entry, ...]
    """The program's own agents, which are listed too."""

    def entries(self, agents: Mapping[str, Agent]) -> tuple[Entry, ...]:
        return entries_of(agents, self.built_in)


@telling_once()
def route(
    agents: Agents,
    cases: Cases = None,
    *,
    model: str | MainModel = "sonnet",
    repeats: int = 1,
    orders: int = ORDERS,
    **asking: Unpack[Asking],
) -> Routed:
    """Which agent the main model picks for each case, `repeats` times in each of `orders` orders of the list.

    First a few controls are asked; where the router fails them, nothing else is. A budget in `asking` bounds both
    together.

    Raises:
        RoutingRefused: the controls fail, or more than a tenth of the decisions are errors; says what is wrong.
        PlanError: no agent, no case, or a case for an agent that is not there.
        All that `run_trials` raises.
    """
    router = choose_router(model)
    found = agents_of(agents)
    asking = with_one_budget(asking, agents=found, router=router)
    plan = plan_routing(found, cases_for(agents, cases), router=router, repeats=repeats, orders=orders)
    add_plan_to_estimate(plan, asking)
    controls = ask_controls(found, router=router, asking=asking)
    return measure_routing(ask_router(found, plan, router=router, asking=asking), controls=controls)


def ask_controls(agents: Mapping[str, Agent], *, router: Router, asking: Asking) -> Run:
    """The controls, asked and passed.

    Raises:
        RoutingRefused: the router fails them; says what is wrong.
        All that `run_trials` raises.
    """
    controls = ask_router(agents, plan_controls(agents, router=router), router=router, asking=asking)
    check_controls(controls)
    return controls


def ask_router(agents: Mapping[str, Agent], plan: Plan, *, router: Router, asking: Asking) -> Run:
    """The decisions of a plan of these agents, asked in the router's way.

    Raises:
        PlanError: the way cannot be asked so.
        All that `run_trials` raises.
    """
    return run_trials(plan, **_with_way(router, agents, asking))


def choose_router(model: str | MainModel = "sonnet") -> Router:
    """The way to decisions by this main model here; the program is looked for, and asked once what it asks first.

    Raises:
        PlanError: the way is not there.
        SetupError: the program cannot be used.
    """
    main = _main(model)
    if main.max_turns != 1 and main.way != "program":
        raise PlanError("max_turns is of the way 'program' alone: the others are one request; leave it out")
    if main.endpoint is not None and main.endpoint.kind == "chat":
        raise PlanError(
            "a server that speaks chat completions is not offered tools here; name one that speaks Messages"
        )
    if main.way == "approximation":
        return Router(main=main, way="approximation", program=None, built_in=BUILT_IN)
    program = find_program()
    if program is None:
        if main.way is not None:
            raise PlanError(
                f"the way {main.way!r} needs the Claude Code program: pip install 'agent-workbench[claude-code]', or "
                "name it in WORKBENCH_CLAUDE"
            )
        return Router(main=main, way="approximation", program=None, built_in=BUILT_IN)
    if main.way == "program":
        return Router(main=main, way="program", program=program, built_in=())
    model, effort = _asked_at(main)
    captured = load_frame(capture_frame(program, model=model, effort=effort))
    built_in = tuple(Entry(name=name, description=None) for name in captured.built_in)
    return Router(main=main, way="request", program=program, built_in=built_in)


def refuse_stand_in(model: str | MainModel, asking: Asking) -> None:
    """Passes where a model or a server would decide, or the ledger has what one decided.

    Raises:
        NoModel: the offline stand-in would.
        SetupError: the way to the model is not set up.
    """
    if asking.get("mode") == "replay":
        return
    live = asking.get("live")
    if (live is False or _main(model).endpoint is None) and choose_endpoint(live).is_stand_in:
        raise NoModel(
            "no model is there to decide, and the offline stand-in decides nothing: set ANTHROPIC_API_KEY, or "
            "ANTHROPIC_BASE_URL to a server of yours"
        )


def _main(model: str | MainModel) -> MainModel:
    return MainModel(model=model) if isinstance(model, str) else model


def agents_of(agents: Agents) -> dict[str, Agent]:
    """The agents by the names by which they are listed.

    Raises:
        PlanError: none is listed.
        AgentFileError: a folder or a file in it cannot be read.
    """
    if isinstance(agents, str | Path):
        agents = load_roster(agents)
    found = agents.agents if isinstance(agents, Roster) else agents
    listed = found.values() if isinstance(found, Mapping) else found
    by_name = {entries_of([agent])[0].name: agent for agent in listed}
    if not by_name:
        raise PlanError("there is no agent to pick; name a folder with some")
    return by_name


def cases_for(agents: Agents, cases: Cases = None) -> tuple[Task, ...]:
    """The cases that are meant: see `Cases`.

    Raises:
        PlanError: there are none.
        TaskFileError: their file is wrong.
    """
    if isinstance(cases, str | Path):
        return load_cases(cases)
    if cases is not None:
        return tuple(cases)
    folder = Path(agents) if isinstance(agents, str | Path) else None
    if folder is not None and (path := case_file_of(folder)) is not None:
        return load_cases(path)
    found = cases_of_descriptions(agents_of(agents))
    if not found:
        raise PlanError(
            "there is no routing case: no routing.yaml beside the agents, and no <example> in their descriptions. "
            "Write a list of `- prompt: ...` with `expect: NAME` or `expect: none`"
        )
    return found


def plan_routing(
    agents: Mapping[str, Agent],
    cases: Sequence[Task],
    *,
    router: Router,
    repeats: int = 1,
    orders: int = ORDERS,
) -> Plan:
    """What `route` asks after its controls, as a plan; `estimate_plan` says what it takes.

    Raises:
        PlanError: no case, or one for an agent that is not there.
    """
    entries = router.entries(agents)
    names = {entry.name for entry in entries} | {NONE}
    for case in cases:
        for name in accepted_of(case):
            if name not in names:
                known = ", ".join(sorted(names - {NONE}, key=str.lower)[:12])
                raise PlanError(
                    f"case {case.id!r} expects {name!r}, which is no listed agent; there are {known}, and none"
                )
    return _plan(router, entries, cases, repeats=repeats, orders=orders)


def plan_controls(agents: Mapping[str, Agent], *, router: Router) -> Plan:
    """The controls for these agents, as a plan: the list has a canary beside them."""
    entries = tuple(sorted((*router.entries(agents), CANARY), key=lambda entry: entry.name.lower()))
    return _plan(router, entries, control_cases(list(agents)), repeats=1, orders=ORDERS)


def with_one_budget(asking: Asking, *, agents: Mapping[str, Agent], router: Router) -> Asking:
    """The settings with one budget for all that is asked of this router about these agents: controls and decisions are
    plans of their own, each of which would have its own."""
    if asking.get("budget_scope") is not None or not (asking.get("budget_usd") or asking.get("budget_tokens")):
        return asking
    return {**asking, "budget_scope": budget_scope_of(agents, way=router.way, model=router.main.model)}


def budget_scope_of(*rosters: Mapping[str, Agent], way: Way | None, model: str) -> str:
    """What a budget is called that all questions about these agents share."""
    told = json.dumps([[agent.digest for agents in rosters for agent in agents.values()], way, model])
    return f"routing-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _plan(router: Router, entries: Sequence[Entry], cases: Sequence[Task], *, repeats: int, orders: int) -> Plan:
    if orders < 1:
        raise PlanError(f"orders is {orders}; it must be a whole number of 1 or more")
    listings = {
        f"order {order + 1}": listing_of(in_order(entries, order))
        # The program sorts its list itself, and a list of one has one order.
        for order in range(1 if router.way == "program" or len(entries) == 1 else orders)
    }
    main = router.main
    if router.program is not None and router.way == "program":
        main = replace(main, endpoint=program_endpoint(router.program, main.endpoint or _somebody()))
    # The text of a listing is sent to the letter, and is looked up by: as the prompt of a file it would lose its edges,
    # so that the plan's requests get it afterwards. No earlier version asked so, and none of its keys is looked for.
    systems = {name: SYSTEM + text if router.way == "approximation" else text for name, text in listings.items()}
    variants = {
        name: Variant(agent=_agent_of(text), model=main.model, effort=main.effort, endpoint=main.endpoint)
        for name, text in systems.items()
    }
    plan = plan_trials(variants, cases, repeats=repeats, max_tokens=MAX_TOKENS)
    prompts = {name: _in_its_way(router, replace(plan.prompts[name], system=systems[name])) for name in plan.prompts}
    return replace(plan, prompts=prompts, prompts_before={}, decides=True)


def _in_its_way(router: Router, request: Request) -> Request:
    if router.way == "approximation":
        return replace(request, tools=TOOLS)
    if router.way == "program" or router.program is None:
        return replace(request, cache=None)
    frame = capture_frame(router.program, model=request.model, effort=request.effort)
    return replace(request, frame=frame, cache="5m")  # the frame has its own marks; the first goes ahead and writes


def _asked_at(main: MainModel) -> tuple[str, str | None]:
    """The model id and the effort that a plan would ask the main model at."""
    agent = _agent_of("-")
    plan = plan_trials(
        {"main": Variant(agent=agent, model=main.model, effort=main.effort)}, [Task(id="one", input="one")]
    )
    return plan.prompts["main"].model, plan.prompts["main"].effort


def _agent_of(system: str) -> Agent:
    return parse_agent(
        f"---\nname: main\ndescription: The main model with its list of agents.\n---\n{system}\n".encode()
    )


def _somebody() -> Endpoint:
    endpoint = choose_endpoint()
    if endpoint.is_stand_in:
        raise PlanError(
            "the program asks a model, and not the offline stand-in: set ANTHROPIC_API_KEY or ANTHROPIC_BASE_URL, or "
            "take another way"
        )
    return endpoint


def _with_way(router: Router, agents: Mapping[str, Agent], asking: Asking) -> Asking:
    if router.way != "approximation" and asking.get("via") == "batch":
        raise PlanError(
            f"the way {router.way!r} is asked request by request; Message Batches take way='approximation' alone"
        )
    if router.way != "program" or router.program is None:
        return asking
    # Controls and decisions show different lists, and one way to the model serves both plans.
    entries = router.entries(agents)
    with_canary = sorted((*entries, CANARY), key=lambda entry: entry.name.lower())
    by_listing = {
        listing_of(in_order(listed, 0)): tuple(entry.as_listed for entry in in_order(listed, 0))
        for listed in (entries, with_canary)
    }
    base_url = (router.main.endpoint or _somebody()).base_url
    opened = OpenProgram(router.program, by_listing, base_url=base_url, max_turns=router.main.max_turns)
    return {**asking, "open_model": opened}
