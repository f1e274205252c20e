"""Is it the description at all? The same cases where the user says to delegate, or not to.

Where an agent is picked once the user asks for delegation and not before, the description is found and the main model
prefers to do the work itself: words in it change little. Where it is not picked even then, the description is why.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Unpack

from markupsafe import Markup

from workbench.definition.agent import Agent
from workbench.markup import Table, counted, html_table, notebook_html, plain_table
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
    plan_routing,
    with_one_budget,
)
from workbench.routing.cases import FEWEST_OF_AN_AGENT
from workbench.routing.controls import refuse_errors
from workbench.routing.measured import Routed, refuse_constant
from workbench.runs.plan import Plan
from workbench.runs.settings import Asking
from workbench.runs.who_answers import telling_once
from workbench.statistics.changes import CorrectedChange, change_between, corrected
from workbench.statistics.routing import NONE
from workbench.trial.task import Task

STEERING: Mapping[str, str | None] = {
    "as it is": None,
    "told to delegate": "Hand work to one of the agents wherever one is listed for it.",
    "told not to": "Do all of the work yourself, without handing any of it to an agent.",
}
"""What the user says before the prompt, by how it is called here; `None`: nothing."""
_MOST = 0.5
"""Share of its own cases of which an agent that gets more is picked."""
_AS_IT_IS, _TOLD_TO, _TOLD_NOT_TO = STEERING


@dataclass(frozen=True, kw_only=True, repr=False)
class Steered:
    """Where the cases went under each way to steer."""

    by_steering: Mapping[str, Routed]

    @cached_property
    def shares(self) -> Mapping[str, Mapping[str, float]]:
        """By steering and agent, the share of its own cases that it got; NaN without a decision."""
        return {
            steering: {name: one.recall for name, one in routed.figures.by_label.items() if name != NONE and one.cases}
            for steering, routed in self.by_steering.items()
        }

    @cached_property
    def picked_when_asked(self) -> Mapping[str, CorrectedChange | None]:
        """By agent with cases enough, what its share of its own cases gains where delegation is asked for; corrected by
        Holm over the agents."""
        own, told_to = (self._own_shares(steering) for steering in (_AS_IT_IS, _TOLD_TO))
        names = [name for name, shares in own.items() if len(shares) >= FEWEST_OF_AN_AGENT]
        changes = corrected([change_between(own[name], told_to[name], bounded=True) for name in names])
        return dict(zip(names, changes, strict=True))

    @property
    def sentence(self) -> str:
        """What decides: the descriptions, or whether delegation is asked for. Only what the cases show is said."""
        if any(routed.is_made_up for routed in self.by_steering.values()):
            return "Made up by the offline stand-in, which says nothing of causes."
        said = []
        asked = self.picked_when_asked
        told_to = self.by_steering[_TOLD_TO].figures.by_label
        if asked and not any(share > 0 for share in self.shares[_TOLD_NOT_TO].values()):
            said.append("told not to delegate, no description is picked")
        reluctant = [name for name, gain in asked.items() if gain and gain.is_shown and gain.change.effect >= _MOST]
        if reluctant:
            said.append(
                f"{', '.join(reluctant)}: picked once delegation is asked for and hardly before, so that the "
                "description is found, and the main model prefers to do the work itself"
            )
        unseen = [name for name in asked if (found := told_to[name].recall_interval) and found.high < _MOST]
        if unseen:
            said.append(f"{', '.join(unseen)}: seldom picked even then, so that the description is the cause")
        few = [name for name in self.shares[_AS_IT_IS] if name not in asked]
        if few:
            said.append(f"{', '.join(few)}: fewer than {FEWEST_OF_AN_AGENT} cases, of which no cause is shown")
        return f"{'; '.join(said)}." if said else "No other cause than the descriptions is shown."

    def _own_shares(self, steering: str) -> dict[str, list[float]]:
        """By agent, of each of its own cases the share that it got; NaN without a decision."""
        found: dict[str, list[float]] = defaultdict(list)
        for case in self.by_steering[steering].cases:
            if case.truth != NONE:
                decided = [one for one in case.counted_as if one is not None]
                found[case.truth].append(decided.count(case.truth) / len(decided) if decided else math.nan)
        return found

    def tables(self) -> tuple[Table, ...]:
        names = sorted({name for shares in self.shares.values() for name in shares}, key=str.lower)
        rows = [(name, *(_percent(shares.get(name)) for shares in self.shares.values())) for name in names]
        over = [_percent(routed.figures.over_trigger) for routed in self.by_steering.values()]
        first = self.by_steering[_AS_IT_IS]
        return (
            Table(
                title=f"Own cases picked, by what the user says of delegation: {first.asked_of}",
                headings=("agent", *self.by_steering),
                rows=(*rows, ("nobody's cases, to an agent", *over)),
                note=f"{self.sentence} {counted(len(first.cases), 'case')} each.",
            ),
        )

    def as_values(self) -> dict[str, Any]:
        return {
            "sentence": self.sentence,
            "by_steering": {steering: routed.as_values() for steering, routed in self.by_steering.items()},
        }

    def as_json(self) -> str:
        return json.dumps(self.as_values(), ensure_ascii=False)

    def __str__(self) -> str:
        return "\n\n".join(map(plain_table, self.tables()))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return notebook_html(Markup("\n").join(map(html_table, self.tables())))


@telling_once()
def sweep_steering(
    agents: Agents,
    cases: Cases = None,
    *,
    model: str | MainModel = "sonnet",
    repeats: int = 1,
    orders: int = ORDERS,
    **asking: Unpack[Asking],
) -> Steered:
    """Where each case goes as it is, where the user says before it to delegate, and where the user says not to. The
    first is asked for as `route` does, and costs nothing after it.

    Raises:
        RoutingRefused: as `route`: the controls fail, too many decisions are errors, or all of them are the same.
        PlanError: as `route`.
        All that `run_trials` raises.
    """
    router = choose_router(model)
    found = agents_of(agents)
    asking = with_one_budget(asking, agents=found, router=router)
    plans = plan_steering(found, cases_for(agents, cases), router=router, repeats=repeats, orders=orders)
    ask_controls(found, router=router, asking=asking)
    by_steering = {}
    for steering, plan in plans.items():
        run = ask_router(found, plan, router=router, asking=asking)
        refuse_errors(run, "cases")
        by_steering[steering] = Routed(run=run, controls=None)
    refuse_constant(list(by_steering.values()))
    return Steered(by_steering=by_steering)


def plan_steering(
    agents: Mapping[str, Agent], cases: Sequence[Task], *, router: Router, repeats: int = 1, orders: int = ORDERS
) -> dict[str, Plan]:
    """What `sweep_steering` asks after its controls, by what the user says of delegation.

    Raises:
        PlanError: as `plan_routing`.
    """
    return {
        steering: plan_routing(
            agents,
            [replace(case, context=said) if said else case for case in cases],
            router=router,
            repeats=repeats,
            orders=orders,
        )
        for steering, said in STEERING.items()
    }


def _percent(share: float | None) -> str:
    return "-" if share is None or share != share else f"{share:.0%}"
