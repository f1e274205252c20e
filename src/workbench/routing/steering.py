"""Is it the description at all? The same cases where the user says to delegate, or not to.

Where an agent is picked once the user asks for delegation and not before, the description is found and the main model
prefers to do the work itself: words in it change little. Where it is not picked even then, the description is why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Unpack

from markupsafe import Markup

from workbench.markup import Table, counted, html_table, notebook_html, plain_table
from workbench.routing.asking import (
    Agents,
    Cases,
    MainModel,
    agents_of,
    ask_controls,
    ask_router,
    cases_for,
    choose_router,
    plan_routing,
    with_one_budget,
)
from workbench.routing.controls import refuse_errors
from workbench.routing.measured import Routed
from workbench.runs.settings import Asking
from workbench.statistics.routing import NONE

STEERING: Mapping[str, str | None] = {
    "as it is": None,
    "told to delegate": "Hand work to one of the agents wherever one is listed for it.",
    "told not to": "Do all of the work yourself, without handing any of it to an agent.",
}
"""What the user says before the prompt, by how it is called here; `None`: nothing."""
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

    @property
    def sentence(self) -> str:
        """What decides: the descriptions, or whether delegation is asked for."""
        said = []
        own, to, not_to = (self.shares[steering] for steering in STEERING)
        if not any(share > 0 for share in not_to.values()):
            said.append("told not to delegate, no description is picked")
        reluctant = [name for name, share in own.items() if to.get(name, 0) - share >= 0.5]
        if reluctant:
            said.append(
                f"{', '.join(reluctant)}: picked once delegation is asked for and hardly before, so that the "
                "description is found, and the main model prefers to do the work itself"
            )
        unseen = [name for name, share in to.items() if share < 0.5]
        if unseen:
            said.append(f"{', '.join(unseen)}: seldom picked even then, so that the description is the cause")
        return f"{'; '.join(said)}." if said else "Descriptions decide, however delegation is asked for."

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


def sweep_steering(
    agents: Agents,
    cases: Cases = None,
    *,
    model: str | MainModel = "sonnet",
    repeats: int = 1,
    **asking: Unpack[Asking],
) -> Steered:
    """Where each case goes as it is, where the user says before it to delegate, and where the user says not to. The
    first is asked for as `route` does, and costs nothing after it.

    Raises:
        RoutingRefused, PlanError: as `route`.
        All that `run_trials` raises.
    """
    router = choose_router(model)
    found = agents_of(agents)
    asking = with_one_budget(asking, agents=found, router=router)
    ask_controls(found, router=router, asking=asking)
    asked = cases_for(agents, cases)
    by_steering = {}
    for steering, said in STEERING.items():
        steered = [replace(case, context=said) if said else case for case in asked]
        run = ask_router(
            found, plan_routing(found, steered, router=router, repeats=repeats), router=router, asking=asking
        )
        refuse_errors(run, "cases")
        by_steering[steering] = Routed(run=run, controls=None)
    return Steered(by_steering=by_steering)


def _percent(share: float | None) -> str:
    return "-" if share is None or share != share else f"{share:.0%}"
