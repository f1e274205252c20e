"""The descriptions that compete for a case, side by side: who should get it, and who got it."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.definition.agent_list import entries_in
from workbench.routing.change import RoutingChange
from workbench.routing.measured import CaseDecisions, Routed, shown_label
from workbench.statistics.routing import NONE

_OF_NOBODY = "The main model does it itself, or uses another tool first."


@dataclass(frozen=True, kw_only=True)
class Contender:
    """An agent, or nobody, that should have had a case or got it."""

    name: str
    """As people read it: "itself" for nobody."""
    is_wanted: bool
    line: str
    """As it stood in the list."""
    picked: int
    """Decisions that went to it, of `of`."""
    of: int
    line_after: str | None = None
    """Where the draft has another line: that one."""
    picked_after: int | None = None
    """Decisions with the draft's line, of `of_after`; `None`: none were asked for."""
    of_after: int = 0


def case_named(routed: Routed, case_id: str) -> CaseDecisions:
    """The case of this id.

    Raises:
        KeyError: there is none.
    """
    return next(case for case in routed.cases if case.id == case_id)


def contenders(routed: Routed, case_id: str, *, change: RoutingChange | None = None) -> tuple[Contender, ...]:
    """Who should get a case, the first of them wanted most; then who else got it, the most often first. With a `change`
    each with what it got after that; `routed` is what was before."""
    before = case_named(routed, case_id)
    after = None if change is None else case_named(change.after, case_id)
    lines = entries_in(routed.run.trials[0].request.system)
    lines_after = {} if change is None else entries_in(change.after.run.trials[0].request.system)
    got = [one for each in (before, after) if each is not None for one in each.picked if one is not None]
    others = sorted(set(got) - set(before.accepted), key=lambda name: (-got.count(name), name))
    return tuple(
        Contender(
            name=shown_label(name),
            is_wanted=name in before.accepted,
            line=_line(lines.get(name), name),
            picked=before.picked.count(name),
            of=_decided(before),
            line_after=lines_after[name] if name in lines_after and lines_after[name] != lines.get(name) else None,
            picked_after=None if after is None else after.picked.count(name),
            of_after=0 if after is None else _decided(after),
        )
        for name in (*before.accepted, *others)
    )


def by_wrongness(routed: Routed) -> tuple[CaseDecisions, ...]:
    """The cases, those of which the most decisions went elsewhere first; those without a decision last."""
    return tuple(sorted(routed.cases, key=lambda case: case.share_right if case.share_right == case.share_right else 2))


def _line(line: str | None, name: str) -> str:
    return _OF_NOBODY if name == NONE else "(not listed)" if line is None else line


def _decided(case: CaseDecisions) -> int:
    return sum(one is not None for one in case.picked)
