"""What a changed description changes: its own recall, what it gets by mistake, and what it takes from other agents.

The same cases before and after, paired: the unit is the case, whose orders and repeats are averaged first. All p values
of one change are corrected together by Holm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from markupsafe import Markup

from workbench.definition.agent_list import entries_in
from workbench.errors import ComparisonError
from workbench.markup import Table, html_table, notebook_html, plain_table
from workbench.routing.measured import CaseDecisions, Routed, picks_in
from workbench.routing.record import both_in_one
from workbench.statistics.changes import CorrectedChange, change_between, corrected
from workbench.statistics.intervals import LEVEL
from workbench.statistics.power import ALPHA
from workbench.statistics.routing import NONE
from workbench.trial.trial import Run, Trial

Kind = Literal["recall", "over-triggering", "taken"]


@dataclass(frozen=True, kw_only=True)
class RoutingChangeRow:
    """One thing that may have changed."""

    kind: Kind
    """`recall`: of an agent's own cases; `over-triggering`: of the cases for nobody; `taken`: of another agent's cases,
    what the changed agent gets."""
    agent: str
    """Who gets the cases."""
    of: str
    """Whose cases they are; "none": nobody's."""
    before: float
    after: float
    """Mean share over cases, 0..1."""
    cases: int
    moved: int
    """Cases of which most decisions went to `agent` after and not before, less those the other way round."""
    change: CorrectedChange | None
    """`None`: fewer than two cases."""

    @property
    def is_shown(self) -> bool:
        return self.change is not None and self.change.sign_flip_p < ALPHA

    @property
    def sentence(self) -> str:
        p = "too few cases for a test" if self.change is None else f"p = {self.change.sign_flip_p:.2g}, by Holm"
        if self.kind == "taken":
            return f"{self.agent} moved {self.moved} of {self.cases} of {self.of}'s cases to itself, {p}"
        whose = "its own cases" if self.kind == "recall" else "cases for nobody"
        return f"{self.agent} gets {self.after:.0%} of {self.cases} {whose}, {self.before:.0%} before, {p}"


@dataclass(frozen=True, kw_only=True, repr=False)
class RoutingChange:
    """The decisions before and after a change of descriptions."""

    before: Routed
    after: Routed
    changed: tuple[str, ...]
    """The agents whose descriptions differ."""

    @property
    def run(self) -> Run:
        """The decisions of both as one run, which a record holds; `load_change` has the change again.

        Raises:
            ComparisonError: they were not asked alike.
        """
        return both_in_one(self.before.run, self.after.run)

    @cached_property
    def pairs(self) -> tuple[tuple[CaseDecisions, CaseDecisions], ...]:
        """Each case as it was decided before and after, a renamed agent by its name of after in both."""
        names = self.renamed
        then = {case.id: _by_new_names(case, names) for case in self.before.cases}
        return tuple((then[case.id], _by_new_names(case, names)) for case in self.after.cases)

    @cached_property
    def renamed(self) -> Mapping[str, str]:
        """By its name before, the name after of each agent that a case follows: it accepts both, the new one first."""
        then, now = self.listed
        found = {}
        for case in self.after.cases:
            new = case.truth
            if new in now and new not in then:
                found.update({old: new for old in case.accepted if old in then and old not in now})
        return found

    @property
    def listed(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The entries of the list before and after, by name."""
        before, after = (entries_in(each.run.trials[0].request.system) for each in (self.before, self.after))
        return before, after

    @cached_property
    def rows(self) -> tuple[RoutingChangeRow, ...]:
        """For each changed agent its recall, its over-triggering and what it takes; then the recall of all others."""
        return change_rows(self.pairs, self.changed)

    @property
    def sentence(self) -> str:
        shown = [row.sentence for row in self.rows if row.is_shown]
        if not self.changed:
            return "no description differs"
        if self.is_made_up:
            return "made up by the offline stand-in, which says nothing of a change of descriptions"
        return "; ".join(shown) if shown else f"no change of {', '.join(self.changed)} is shown on these cases"

    @property
    def lead(self) -> tuple[str, ...]:
        """What is met first: how often each changed agent is picked, before and after; then what is shown."""
        said = []
        for name in self.changed:
            then, now = (picks_in([pair[side] for pair in self.pairs], name) for side in (0, 1))
            said.append(f"{self.after.label}Before: {then.sentence}. After: {now.sentence}.")
        return (*said, f"{self.sentence}.") if said else (f"{self.after.label}{self.sentence}.",)

    @property
    def kind(self) -> Literal["worse", "better", "no difference shown"]:
        """What the change is shown to be: worse by anything that is lost or taken, better by more of an agent's own."""
        if self.harm:
            return "worse"
        return "better" if any(row.is_shown for row in self.rows) else "no difference shown"

    @property
    def is_made_up(self) -> bool:
        """Whether the offline stand-in decided before or after, and no model."""
        return self.before.is_made_up or self.after.is_made_up

    @property
    def harm(self) -> tuple[RoutingChangeRow, ...]:
        """What is shown to have become worse: recall lost, nobody's or others' cases taken. Nothing is by the offline
        stand-in."""
        if self.is_made_up:
            return ()
        return tuple(row for row in self.rows if row.is_shown and (row.after < row.before) == (row.kind == "recall"))

    def table(self, *, is_under_lead: bool = False) -> Table:
        """What each row changes. Under `lead`, which has said it, the note leaves the sentence out."""
        how = "Intervals are not corrected; p is of the sign-flip test over cases."
        rows = tuple(
            (
                row.agent,
                {"recall": "its own cases", "over-triggering": "nobody's cases"}.get(row.kind, f"cases of {row.of}"),
                str(row.cases),
                f"{row.before:.0%}",
                f"{row.after:.0%}",
                "-" if row.change is None or row.change.change.interval is None else _ends(row.change),
                "-" if row.change is None else f"{row.change.sign_flip_p:.2g}",
            )
            for row in self.rows
        )
        return Table(
            title=f"What gets picked, before and after: {self.after.asked_of}",
            headings=("agent", "gets of", "cases", "before", "after", f"change ({100 * LEVEL:g} %)", "p, by Holm"),
            rows=rows,
            note=how if is_under_lead else f"{self.sentence}. {how}",
        )

    def as_values(self) -> dict[str, Any]:
        return {
            "changed": list(self.changed),
            "asked_of": self.after.asked_of,
            "sentence": self.sentence,
            "rows": [
                {
                    "kind": row.kind,
                    "agent": row.agent,
                    "of": row.of,
                    "cases": row.cases,
                    "before": row.before,
                    "after": row.after,
                    "moved": row.moved,
                    "p": None if row.change is None else row.change.sign_flip_p,
                }
                for row in self.rows
            ],
        }

    def as_json(self) -> str:
        return json.dumps(self.as_values(), ensure_ascii=False)

    def __str__(self) -> str:
        return plain_table(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return notebook_html(Markup("\n").join([html_table(self.table())]))


def compare_routing(before: Routed, after: Routed, *, changed: Sequence[str] | None = None) -> RoutingChange:
    """What changed from one roster to another, on the same cases. `changed` names the agents that are meant; `None`:
    those whose entries in the list differ.

    Raises:
        ComparisonError: other cases, another model, effort or way, or fewer than one case in common.
    """
    then, now = before.run.trials[0], after.run.trials[0]
    if _asked(then) != _asked(now):
        raise ComparisonError(f"asked otherwise before ({before.asked_of}) than after ({after.asked_of}): never mixed")
    told = [[(case.id, case.prompt, case.accepted) for case in each.cases] for each in (before, after)]
    if told[0] != told[1]:
        raise ComparisonError("the cases before and after are not the same; route both on one file of cases")
    found = _changed(then.request.system, now.request.system) if changed is None else tuple(changed)
    return RoutingChange(before=before, after=after, changed=found)


def change_rows(
    pairs: Sequence[tuple[CaseDecisions, CaseDecisions]], changed: Sequence[str]
) -> tuple[RoutingChangeRow, ...]:
    """The rows of a change from its cases, each as it was decided before and after."""
    truths = list(dict.fromkeys(now.truth for _, now in pairs))
    asked: list[tuple[Kind, str, str]] = []
    for name in changed:
        asked += [("recall", name, name)] if name in truths else []
        asked += [("over-triggering", name, NONE)] if NONE in truths else []
        asked += [("taken", name, other) for other in truths if other not in (name, NONE)]
    asked += [("recall", other, other) for other in truths if other not in (*changed, NONE)]
    shares = [
        [(share_of(before, agent), share_of(after, agent)) for before, after in pairs if after.truth == of]
        for _, agent, of in asked
    ]
    changes = corrected(
        [change_between([one for one, _ in each], [one for _, one in each], bounded=True) for each in shares]
    )
    return tuple(
        RoutingChangeRow(
            kind=kind,
            agent=agent,
            of=of,
            before=_mean([one for one, _ in each]),
            after=_mean([one for _, one in each]),
            cases=len(each),
            moved=sum((after > 0.5) - (before > 0.5) for before, after in each),
            change=change,
        )
        for (kind, agent, of), each, change in zip(asked, shares, changes, strict=True)
    )


def _by_new_names(case: CaseDecisions, names: Mapping[str, str]) -> CaseDecisions:
    if not names:
        return case
    return replace(
        case,
        accepted=tuple(dict.fromkeys(names.get(name, name) for name in case.accepted)),
        picked=tuple(None if one is None else names.get(one, one) for one in case.picked),
    )


def _asked(trial: Trial) -> tuple[Any, ...]:
    asked = trial.request
    return (asked.model, asked.effort, asked.frame, bool(asked.tools), trial.endpoint)


def _changed(before: str, after: str) -> tuple[str, ...]:
    then, now = entries_in(before), entries_in(after)
    return tuple(name for name in now if then.get(name) != now[name])


def share_of(case: CaseDecisions, agent: str) -> float:
    """Of the case's decisions, the share that went to the agent; NaN without any."""
    decided = [one for one in case.counted_as if one is not None]
    return sum(one == agent for one in decided) / len(decided) if decided else float("nan")


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else float("nan")


def _ends(change: CorrectedChange) -> str:
    interval = change.change.interval
    assert interval is not None
    return f"{change.change.effect:+.0%} ({interval.low:+.0%} to {interval.high:+.0%})"
