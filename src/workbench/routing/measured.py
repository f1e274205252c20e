"""What decisions amount to: the confusion matrix of the whole roster, recall and over-triggering of each agent, and
whether the order of the list or chance decided."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from markupsafe import Markup

from workbench.comparison.verdict import STAND_IN_LABEL, STAND_IN_SHORTLY
from workbench.errors import RoutingRefused
from workbench.markup import Table, counted, html_table, notebook_html, plain_table
from workbench.routing.cases import accepted_of
from workbench.routing.controls import refuse_errors
from workbench.routing.decision import decision_of
from workbench.routing.record import sides_of
from workbench.statistics.changes import Change, change_between
from workbench.statistics.intervals import LEVEL, Interval
from workbench.statistics.routing import NONE, Routing, routing
from workbench.trial.trial import Run, Trial

ITSELF = "itself"
"""What "none" is called where people read it: the main model does it itself."""
_MOST_SHOWN = 12
_LONGEST_PROMPT = 70


@dataclass(frozen=True, kw_only=True)
class CaseDecisions:
    """What became of one case."""

    id: str
    prompt: str
    group: str | None
    accepted: tuple[str, ...]
    picked: tuple[str | None, ...]
    """Order by order, repeat by repeat; `None`: no decision."""

    @property
    def truth(self) -> str:
        return self.accepted[0]

    @property
    def counted_as(self) -> tuple[str | None, ...]:
        """As `picked`, an agent that may have the case as the one that is wanted most."""
        return tuple(self.truth if picked in self.accepted else picked for picked in self.picked)

    @property
    def share_right(self) -> float:
        """Of its decisions; NaN without any."""
        decided = [picked for picked in self.picked if picked is not None]
        return sum(picked in self.accepted for picked in decided) / len(decided) if decided else float("nan")


@dataclass(frozen=True, kw_only=True)
class Picks:
    """What an agent got, in cases; one of which half of the decisions went to it counts a half."""

    agent: str
    picked: float
    """Of its own cases."""
    of: int
    """How many those are."""
    by_mistake: float
    """Of all others."""
    others: int

    @property
    def sentence(self) -> str:
        """As "perf: picked in 14 of 20, by mistake in 3 of 40"."""
        own = f"picked in {_number(self.picked)} of {self.of}" if self.of else "no case is its own"
        return f"{self.agent}: {own}, by mistake in {_number(self.by_mistake)} of {self.others}"


@dataclass(frozen=True, kw_only=True, repr=False)
class Routed:
    """Where cases went. Shows itself as text and, in a notebook, as tables."""

    run: Run
    controls: Run | None
    """`None`: loaded from a record, which holds the decisions alone."""

    @cached_property
    def cases(self) -> tuple[CaseDecisions, ...]:
        by_case: dict[str, list[str | None]] = defaultdict(list)
        for trial in self.run.trials:
            by_case[trial.task_id].append(decision_of(trial))
        return tuple(
            CaseDecisions(
                id=task.id,
                prompt=task.input,
                group=task.group,
                accepted=accepted_of(task),
                picked=tuple(by_case[task.id]),
            )
            for task in self.run.tasks
        )

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Who should have had a case or got one, by name, and last "none"."""
        seen = {case.truth for case in self.cases} | {one for case in self.cases for one in case.counted_as if one}
        return (*sorted(seen - {NONE}, key=str.lower), NONE)

    @cached_property
    def figures(self) -> Routing:
        """The confusion matrix, recall and precision with their intervals; the unit is the case."""
        return routing(
            [case.truth for case in self.cases], [case.counted_as for case in self.cases], labels=self.labels
        )

    @property
    def asked_of(self) -> str:
        """Model, effort, way and program, which stand beside every number: a result is of these alone."""
        first = self.run.trials[0]
        effort = f"effort {first.request.effort}" if first.request.effort else "no effort"
        made_up = "; OFFLINE STAND-IN, not a model" if first.endpoint.is_stand_in else ""
        return f"{first.request.model}, {effort}, {way_of(first)}{made_up}"

    @property
    def is_made_up(self) -> bool:
        """Whether the offline stand-in decided, and no model."""
        return any(trial.endpoint.is_stand_in for trial in self.run.trials)

    @property
    def errors(self) -> int:
        """Decisions that came to none. They count nowhere."""
        return sum(picked is None for case in self.cases for picked in case.picked)

    @property
    def flipping(self) -> tuple[str, ...]:
        """The ids of cases that went to different places, over orders and repeats."""
        return tuple(case.id for case in self.cases if len({one for one in case.picked if one is not None}) > 1)

    @cached_property
    def order_change(self) -> Change | None:
        """How the share of right decisions changes from the first order of the list to the second; `None`: there is
        one order, or one case."""
        orders = list(self.run.variants)
        if len(orders) < 2:
            return None
        return change_between(*(self._right_in(order) for order in orders[:2]), bounded=True)

    def over_trigger(self, name: str) -> tuple[float, int]:
        """Of the cases that should not have gone to this agent, the share that did, and how many cases those are."""
        index = self.labels.index(name)
        others = np.delete(self.figures.confusion, index, axis=0)
        of = float(others.sum())
        return (float(others[:, index].sum()) / of if of else float("nan")), round(of)

    def _right_in(self, order: str) -> list[float]:
        found: dict[str, list[bool]] = defaultdict(list)
        accepted = {case.id: case.accepted for case in self.cases}
        for trial in self.run.trials:
            if trial.variant == order and (picked := decision_of(trial)) is not None:
                found[trial.task_id].append(picked in accepted[trial.task_id])
        return [float(np.mean(found[case.id])) if found[case.id] else float("nan") for case in self.cases]

    def tables(self) -> tuple[Table, ...]:
        return (self.matrix_table(), self.agents_table(), self.cases_table())

    def matrix_table(self) -> Table:
        """Cases by who should have had them (rows) and who got them (columns), repeats averaged."""
        headings = ("should go to", *(shown_label(label) for label in self.labels))
        rows = tuple(
            (shown_label(label), *(_number(value) for value in row))
            for label, row in zip(self.labels, self.figures.confusion, strict=True)
            if row.sum()
        )
        return Table(
            title=f"Where {counted(len(self.cases), 'case')} went: {self.asked_of}",
            headings=headings,
            rows=rows,
            note=self.sentence,
        )

    def agents_table(self) -> Table:
        """Recall, precision and over-triggering by agent, with 95 % intervals over cases."""
        rows = []
        for label in self.labels:
            one = self.figures.by_label[label]
            over, of = self.over_trigger(label)
            rows.append(
                (
                    shown_label(label),
                    str(one.cases),
                    _rate(one.recall, one.recall_interval),
                    _rate(one.precision, one.precision_interval),
                    "-" if np.isnan(over) else f"{over:.0%} of {of}",
                )
            )
        return Table(
            title="By agent",
            headings=(
                "agent",
                "cases",
                "picked when it should be",
                "right when picked",
                "picked when it should not be",
            ),
            rows=tuple(rows),
            note=f"{100 * LEVEL:g} % intervals by Wilson; the unit is the case, its orders and repeats averaged first.",
        )

    def cases_table(self, most: int = _MOST_SHOWN) -> Table:
        """The cases that went elsewhere, the most wrong first."""
        wrong = sorted((case for case in self.cases if case.share_right < 1), key=lambda case: case.share_right)
        rows = tuple(
            (
                case.id,
                _shortened(case.prompt),
                " or ".join(map(shown_label, case.accepted)),
                ", ".join(f"{shown_label(name)} {count}" for name, count in _counts(case.picked).items()),
            )
            for case in wrong[:most]
        )
        more = f"{len(wrong) - most} more in `as_values()`." if len(wrong) > most else ""
        return Table(
            title="Cases that went elsewhere" if wrong else "No case went elsewhere",
            headings=("case", "prompt", "should go to", "went to"),
            rows=rows,
            note=more,
        )

    @property
    def picks(self) -> tuple[Picks, ...]:
        """The same of every agent that should have had a case or got one, the least picked first."""
        found = [picks_in(self.cases, name) for name in self.labels if name != NONE]
        return tuple(sorted(found, key=lambda one: (one.picked / one.of if one.of else 1.0, -one.by_mistake)))

    @property
    def lead(self) -> tuple[str, ...]:
        """What is met first: of all agents together how often one was picked, and by mistake; then the result."""
        picks = self.picks
        picked, of = sum(one.picked for one in picks), sum(one.of for one in picks)
        mistakes = sum(one.by_mistake for one in picks)
        whole = f"{self.label}Picked in {_number(picked)} of {counted(of, 'case')} that are for an agent"
        return f"{whole}, by mistake in {_number(mistakes)} of all {len(self.cases)}.", self.sentence

    @property
    def label(self) -> str:
        """What has to stand before every sentence of decisions that the offline stand-in made up; else empty."""
        return f"{STAND_IN_LABEL} " if self.is_made_up else ""

    @property
    def sentence(self) -> str:
        """The result in a sentence or two."""
        found = self.figures
        right = f"{found.accuracy:.0%} of cases went where they should"
        said = [f"{right} ({found.accuracy_interval.low:.0%} to {found.accuracy_interval.high:.0%})"]
        if not np.isnan(found.under_trigger):
            said.append(f"{found.under_trigger:.0%} of those for an agent were done by the main model itself")
        if not np.isnan(found.over_trigger):
            said.append(f"{found.over_trigger:.0%} of those for nobody went to an agent")
        if self.errors:
            said.append(f"{counted(self.errors, 'decision')} came to none and count nowhere")
        said.append(f"{counted(len(self.flipping), 'case')} went to different places over orders and repeats")
        change = self.order_change
        if change is not None:
            shown = change.can_differ and change.sign_flip_p < 0.05
            said.append(
                f"the order of the list {'matters' if shown else 'is not shown to matter'} "
                f"({change.effect:+.0%} right when shuffled, p = {change.sign_flip_p:.2g})"
            )
        label = f"{STAND_IN_SHORTLY} " if self.is_made_up else ""
        return label + "; ".join(said) + "."

    def as_values(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        found = self.figures
        return {
            "asked_of": self.asked_of,
            "way": way_of(self.run.trials[0]),
            "model": self.run.trials[0].request.model,
            "effort": self.run.trials[0].request.effort,
            "stand_in": self.run.trials[0].endpoint.is_stand_in,
            "decisions": len(self.run.trials),
            "errors": self.errors,
            "labels": list(self.labels),
            "confusion": found.confusion.tolist(),
            "accuracy": found.accuracy,
            "accuracy_interval": _ends(found.accuracy_interval),
            "macro_f1": found.macro_f1,
            "over_trigger": _or_none(found.over_trigger),
            "under_trigger": _or_none(found.under_trigger),
            "agents": {
                label: {
                    "cases": one.cases,
                    "recall": _or_none(one.recall),
                    "recall_interval": _ends(one.recall_interval),
                    "precision": _or_none(one.precision),
                    "precision_interval": _ends(one.precision_interval),
                    "over_trigger": _or_none(self.over_trigger(label)[0]),
                }
                for label, one in found.by_label.items()
            },
            "flipping": list(self.flipping),
            "cases": [
                {"id": case.id, "prompt": case.prompt, "expect": list(case.accepted), "picked": list(case.picked)}
                for case in self.cases
            ],
        }

    def as_json(self) -> str:
        return json.dumps(self.as_values(), ensure_ascii=False)

    def __str__(self) -> str:
        return "\n\n".join(plain_table(table) for table in self.tables())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return notebook_html(Markup("\n").join(html_table(table) for table in self.tables()))


def measure_routing(run: Run, *, controls: Run | None = None) -> Routed:
    """The decisions of a run of `plan_routing`, measured; also of one that was loaded from a record. Of a run that
    holds those before and after a change, these are the ones after it.

    Raises:
        RoutingRefused: more than a tenth of the decisions are errors, or all of them are the same though cases should
            go to different places.
    """
    run = sides_of(run)[1]
    refuse_errors(run, "cases")
    found = Routed(run=run, controls=controls)
    refuse_constant([found])
    return found


def refuse_constant(asked: Sequence[Routed]) -> None:
    """Passes decisions that can tell something of descriptions, in however many runs they were asked for.

    Raises:
        RoutingRefused: all of them are the same, though the cases should go to different places.
    """
    cases = [case for routed in asked for case in routed.cases]
    picked = {one for case in cases for one in case.picked if one is not None}
    if len(picked) == 1 and len({case.truth for case in cases}) > 1:
        count = sum(len(routed.run.trials) for routed in asked)
        raise RoutingRefused(
            f"each of {counted(count, 'decision')} is the same ({shown_label(next(iter(picked)))}): that "
            "measures no description. Look at the prompts: are they work that one would hand over?",
            controls=asked[0].run,
        )


def picks_in(cases: Sequence[CaseDecisions], agent: str) -> Picks:
    """How often this agent got what it should and what it should not; cases without a decision are left out."""
    found: dict[bool, list[float]] = {True: [], False: []}
    for case in cases:
        decided = [one for one in case.counted_as if one is not None]
        if decided:
            found[case.truth == agent].append(decided.count(agent) / len(decided))
    own, others = found[True], found[False]
    return Picks(agent=agent, picked=sum(own), of=len(own), by_mistake=sum(others), others=len(others))


def way_of(trial: Trial) -> str:
    """In which way a decision was asked for, in words."""
    if trial.request.frame is not None:
        frame = trial.request.frame
        return f"in the first request of {frame.program} (sha256 {frame.sha256[:12]}, {frame.size:,} bytes)"
    if trial.request.tools:
        return "approximation, not Claude Code's own request"
    return f"by the program {trial.endpoint.base_url.partition('+')[0]}"


def _counts(picked: Sequence[str | None]) -> Mapping[str, int]:
    found: dict[str, int] = defaultdict(int)
    for one in picked:
        found["(no decision)" if one is None else one] += 1
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def shown_label(label: str) -> str:
    """The name of an agent; of nobody, what the main model then does."""
    return ITSELF if label == NONE else label


def _shortened(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST_PROMPT else f"{plain[: _LONGEST_PROMPT - 3]}..."


def _number(value: float) -> str:
    return f"{value:g}" if float(value).is_integer() else f"{value:.2f}"


def _rate(value: float, interval: Interval | None) -> str:
    return "-" if interval is None else f"{value:.0%} ({interval.low:.0%} to {interval.high:.0%})"


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
