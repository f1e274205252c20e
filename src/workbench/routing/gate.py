"""The gate of routing: is a changed description shown to cost no agent its cases, by more than a margin set before?

Held are, of each changed agent, the recall of its own cases, the cases for nobody that it gets and what it takes from
all others together; then what all others get of their own. The unit is the case, paired before and after, its orders
and repeats averaged first; effects are so that less is worse.

- "passes": of each of these a loss of the margin or more is ruled out, on 10 cases or more, and no other agent lost
  more than the margin on its own cases, shown or not.
- "fails": one of them, or the cases of a single other agent, is shown to be worse by the sign-flip test at 5 %,
  corrected by Holm over all of these, and that it is by less than the margin is not shown.
- "not enough data": neither, or an agent that changed, nobody, or all others have no case.

A loss is ruled out by the lower of two bounds: Student's t as in the gate of scores, and Wilson's of the share of cases
that were lost. A case is won or lost whole, mostly: where few move, t alone promises more than it keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from workbench.comparison.figures import named
from workbench.comparison.gate import Decision, bounds_of, decided_together
from workbench.comparison.verdict import points
from workbench.errors import ComparisonError, StandInError
from workbench.markup import counted, visible
from workbench.routing.change import RoutingChange, share_of
from workbench.routing.listing import own_names_in
from workbench.statistics.changes import Change, change_between, corrected
from workbench.statistics.intervals import Floats, wilson
from workbench.statistics.means import paired
from workbench.statistics.power import ALPHA
from workbench.statistics.routing import NONE
from workbench.trial.defaults import FEWEST_TASKS

ROUTING_MARGIN = 0.1
"""The loss of 10 points that is put up with unless another is named."""
ALL_OTHERS = "all others"
Kind = Literal["recall", "over-triggering", "taken", "others' recall"]


@dataclass(frozen=True, kw_only=True)
class RoutingFigure:
    """One thing that may not get worse, and what was decided of it."""

    kind: Kind
    """`recall`: the changed agent's own cases; `over-triggering`: nobody's, that it gets; `taken`: others' cases, that
    it gets; `others' recall`: others' cases, that they get."""
    agent: str
    """The changed one; of `others' recall`, whose they are."""
    of: str
    """Whose cases: the agent's, "none", another's, or "all others"."""
    cases: int
    """Those that have a decision before and after."""
    before: float | None
    """The mean share over cases, 0..1; `None` without any."""
    after: float | None
    decision: Decision
    text: str
    low: float | None = None
    """The bound of the change for the worse: a loss of more than this is ruled out. In 0..1, less than 0 is worse."""
    p: float | None = None
    """Of the sign-flip test, by Holm."""


@dataclass(frozen=True, kw_only=True)
class RoutingGate:
    """What the gate decided of a change of descriptions."""

    decision: Decision
    text: str
    """The sentence, and a line for each figure."""
    changed: tuple[str, ...]
    margin: float
    asked_of: str
    """Model, effort and way, of which alone it holds."""
    cases: int
    stand_in: bool
    figures: tuple[RoutingFigure, ...]
    """The whole first; then each other agent that lost more than the margin."""
    remarks: tuple[str, ...] = ()
    """What has to be known of the records that the decisions were loaded from."""

    @property
    def headline(self) -> str:
        """The first line of the text."""
        return self.text.partition("\n")[0]

    def __str__(self) -> str:
        return self.text


def gate_routing(change: RoutingChange, *, margin: float = ROUTING_MARGIN, allow_stand_in: bool = False) -> RoutingGate:
    """Whether a change of descriptions is shown to make routing no worse than by `margin`, a share of cases in 0..1.

    Raises:
        StandInError: the decisions were made up by the offline stand-in, and `allow_stand_in` is not set.
        ComparisonError: the margin is not between 0 and 1.
    """
    if not 0 < margin < 1:
        meant = f"; {margin:g} points are {margin / 100:g}" if 1 <= margin < 100 else ""
        raise ComparisonError(
            f"the routing margin is {margin:g}; it is a share of cases, more than 0 and less than 1{meant}"
        )
    stand_in = bool(change.before.label or change.after.label)
    if stand_in and not allow_stand_in:
        raise StandInError(
            "the decisions were made up by the offline stand-in, which says nothing about any description: ask a "
            "model, or allow the stand-in to try the gate out"
        )
    then, now = change.listed
    if then == now:
        figures: tuple[RoutingFigure, ...] = ()
        decision: Decision = "passes"
        lines = ["Both list the same agents with the same descriptions: whatever lies between them is noise."]
    else:
        figures = tuple(_figures(change, margin))
        decision = decided_together([figure.decision for figure in figures])
        lines = [figure.text for figure in figures]
    which = ", ".join(named(name) for name in change.changed) or "the list of agents"
    label = change.after.label or change.before.label
    remarks = tuple(dict.fromkeys((*change.after.run.remarks, *change.before.run.remarks)))
    notes = "".join(f" Record: {visible(remark)}." for remark in remarks)
    heading = (
        f"{label}Routing gate {decision}: {which}, margin {points(margin, sign=False)} points, "
        f"{counted(len(change.pairs), 'case')}, {change.after.asked_of}.{notes}"
    )
    return RoutingGate(
        decision=decision,
        text="\n".join([heading, *lines]),
        changed=change.changed,
        margin=margin,
        asked_of=change.after.asked_of,
        cases=len(change.pairs),
        stand_in=stand_in,
        figures=figures,
        remarks=remarks,
    )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One figure before it is decided."""

    kind: Kind
    agent: str
    of: str
    shares: tuple[tuple[float, float], ...]
    """Of each of its cases, the share that the agent got before and after."""
    is_part: bool = False
    """Of a single other agent: what it alone lost may fail the change, or leave it open, and passes nothing."""
    change: Change | None = field(init=False)

    def __post_init__(self) -> None:
        found = change_between([one for one, _ in self.shares], [one for _, one in self.shares], bounded=True)
        object.__setattr__(self, "change", found)

    @property
    def gains(self) -> Floats:
        """How much better each case went, which has a decision on both sides."""
        pairs = np.array(self.shares, dtype=np.float64).reshape(-1, 2)
        changes = pairs[:, 1] - pairs[:, 0]
        changes = changes[~np.isnan(changes)]
        return changes if self.kind in ("recall", "others' recall") else -changes


def _figures(change: RoutingChange, margin: float) -> Iterator[RoutingFigure]:
    asked = _asked(change)
    for one, tested in zip(asked, corrected([one.change for one in asked]), strict=True):
        figure = _decided(one, None if tested is None else tested.sign_flip_p, margin)
        if not one.is_part or figure.decision != "passes":
            yield figure


def _asked(change: RoutingChange) -> list[_Asked]:
    """What is held: of each changed agent, then of all others; each whole before its parts."""
    truths = list(dict.fromkeys(case.truth for _, case in change.pairs))
    others = [name for name in truths if name not in (*change.changed, NONE)]
    listed = own_names_in(change.after.run.trials[0].request.system)
    found: list[_Asked] = []
    for name in change.changed:
        rest = [truth for truth in truths if truth not in (name, NONE)]
        is_new = name not in change.listed[0] and name not in change.renamed.values()
        if name in truths or not is_new:  # one that is new has nothing that it could lose
            found += _whole_and_parts(change, "recall", name, [name])
        found += _whole_and_parts(change, "over-triggering", name, [NONE])
        if rest or set(listed) - {name}:
            found += _whole_and_parts(change, "taken", name, rest)
    return found + (_whole_and_parts(change, "others' recall", ALL_OTHERS, others) if others else [])


def _whole_and_parts(change: RoutingChange, kind: Kind, agent: str, whose: Sequence[str]) -> list[_Asked]:
    is_of_others = kind == "others' recall"
    found = []
    for part in ((*whose,), *((one,) for one in whose if len(whose) > 1)):
        of = part[0] if len(part) == 1 else ALL_OTHERS
        shares = tuple(
            (
                share_of(before, now.truth if is_of_others else agent),
                share_of(now, now.truth if is_of_others else agent),
            )
            for before, now in change.pairs
            if now.truth in part
        )
        is_part = len(part) < len(whose)
        found.append(_Asked(kind=kind, agent=of if is_of_others else agent, of=of, shares=shares, is_part=is_part))
    return found


def _decided(asked: _Asked, p: float | None, margin: float) -> RoutingFigure:
    gains = asked.gains
    found = paired(gains) if len(gains) > 1 else None
    low = None if found is None else _lower_bound(gains)
    decision: Decision = "not enough data"
    if found is not None and low is not None:
        is_worse = found.effect < 0 and p is not None and p < ALPHA
        if low > -margin:
            decision = "passes" if asked.is_part or len(gains) >= FEWEST_TASKS else "not enough data"
        elif is_worse:
            decision = "fails"
        elif asked.is_part and -found.effect <= margin:
            decision = "passes"
    elif asked.is_part and not (gains < -margin).any():
        decision = "passes"
    before, after = (_mean([pair[side] for pair in asked.shares]) for side in (0, 1))
    figure = RoutingFigure(
        kind=asked.kind,
        agent=asked.agent,
        of=asked.of,
        cases=len(gains),
        before=before,
        after=after,
        decision=decision,
        text="",
        low=low,
        p=p,
    )
    return replace(figure, text=_sentence(figure, is_part=asked.is_part))


def _lower_bound(gains: Floats) -> float:
    """How much worse it may be, as the module says."""
    cases = len(gains)
    lost = float(-gains[gains < 0].sum())
    by_share = float(gains.mean()) + lost / cases - wilson(lost, cases).high
    return min(bounds_of(paired(gains)).low, by_share)


def _sentence(figure: RoutingFigure, *, is_part: bool) -> str:
    agent, cases = visible(figure.agent), counted(figure.cases, "case")
    whose = "all others" if figure.of == ALL_OTHERS else visible(figure.of)
    what = {
        "recall": f"{agent} gets of {cases} of its own",
        "over-triggering": f"{agent} gets of {cases} for nobody",
        "taken": f"{agent} takes of {cases} of {whose}",
        "others' recall": f"{agent} get of {cases} of their own"
        if figure.of == ALL_OTHERS
        else f"{agent} gets of {cases} of its own",
    }[figure.kind]
    if figure.low is None or figure.before is None or figure.after is None:
        few = "no case" if not figure.cases else f"only {cases}"
        wanted = {"recall": f"expects {agent}", "over-triggering": "is for nobody (expect: none)"}.get(
            figure.kind, f"is for {'another agent' if figure.of == ALL_OTHERS else whose}"
        )
        return f"{figure.decision.capitalize()}: {few} {wanted}; it takes at least {FEWEST_TASKS} to pass."
    said = f"{figure.decision.capitalize()}: {what} {figure.before:.0%} before and {figure.after:.0%} after"
    lost = points(-figure.low, sign=False)
    if figure.decision == "passes" or figure.p is None:
        bound = "a loss is ruled out" if figure.low >= 0 else f"a loss of more than {lost} points is ruled out"
    else:
        bound = f"the loss may be {lost} points, p = {figure.p:.2g} by Holm"
    is_short = figure.cases < FEWEST_TASKS and not is_part and figure.decision != "fails"
    needed = f"; it takes at least {FEWEST_TASKS} to pass" if is_short else ""
    return f"{said}; {bound}{needed}."


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else None
