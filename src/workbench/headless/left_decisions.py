"""The record of decisions that a notebook left: who is picked, as its page and the index of its batch tell of it."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.comparison.provenance import Provenance
from workbench.comparison.tried import Tried
from workbench.headless.page_parts import PageParts
from workbench.markup import html, visible
from workbench.routing.change import RoutingChange
from workbench.routing.measured import Routed, measure_routing
from workbench.routing.record import sides_of
from workbench.routing.sides import change_between_runs
from workbench.trial.catalogue import price_usd
from workbench.trial.trial import Run

_HEAD = """\
<h1>{{ title }}</h1>
{% for sentence in sentences %}
<p{% if loop.first %} class="verdict"{% endif %}>{{ sentence }}</p>
{% endfor %}
<ul>
{% for line in agents %}
<li>{{ line }}</li>
{% endfor %}
</ul>"""
_MOST_NAMED = 12
"""Agents of which a page and an index say how often they were picked."""


@dataclass(frozen=True, kw_only=True)
class LeftDecisions:
    """The decisions of a record, and what a change of descriptions changed where it holds those of before."""

    run: Run
    found: Provenance
    routed: Routed
    change: RoutingChange | None

    def page_parts(self) -> PageParts:
        """What the page of its notebook says of it."""
        title = f"Routing of {_named(self._agents)}"
        sentences = self.routed.lead if self.change is None else self.change.lead
        head = html(_HEAD, title=title, sentences=map(visible, sentences), agents=map(visible, self._lines))
        return PageParts(title=title, head=head, tail=html(""), replies={})

    @property
    def tried(self) -> Tried:
        """The same in a few words. Better or worse is what a change is shown to be, whatever margin a gate has."""
        replies = [(trial, trial.reply) for trial in self.run.trials if trial.reply is not None]
        prices = [price_usd(reply.model or trial.request.model, reply.usage) for trial, reply in replies]
        made_up = self.run.endpoint.is_stand_in
        models = (model for counts in self.found.models.values() for model in counts)
        return Tried(
            agents=self._lines,
            title=f"Routing of {_named(self._agents)}",
            models=tuple(dict.fromkeys(models)),
            answered_by=self.found.endpoint,
            stand_in=made_up,
            kinds=() if self.change is None else (self.change.kind,),
            effects=() if self.change is None else ("",),
            files=(),
            worse_promises=(),
            warning="",
            worst_promise="",
            day=(self.found.last_answer or "")[:10],
            replies=len(replies),
            usd=0.0 if made_up else sum(price for price in prices if price is not None),
            unpriced=0 if made_up else prices.count(None),
            seconds=sum(reply.seconds or 0.0 for _, reply in replies),
        )

    @property
    def _agents(self) -> tuple[str, ...]:
        if self.change is not None and self.change.changed:
            return self.change.changed
        return tuple(one.agent for one in self.routed.picks)

    @property
    def _lines(self) -> tuple[str, ...]:
        picks = [one.sentence for one in self.routed.picks]
        more = [f"and {len(picks) - _MOST_NAMED} more"] if len(picks) > _MOST_NAMED else []
        return (*picks[:_MOST_NAMED], *more)


def decisions_of(run: Run, found: Provenance) -> LeftDecisions:
    """The decisions of a run that holds some.

    Raises:
        ComparisonError: before and after cannot be compared.
        RoutingRefused: they tell nothing of descriptions.
    """
    before, after = sides_of(run)
    if before is None:
        return LeftDecisions(run=run, found=found, routed=measure_routing(after), change=None)
    change = change_between_runs(before, after)
    return LeftDecisions(run=run, found=found, routed=change.after, change=change)


def _named(agents: tuple[str, ...]) -> str:
    shown = ", ".join(agents[:3])
    return f"{shown} and {len(agents) - 3} more" if len(agents) > 3 else shown
