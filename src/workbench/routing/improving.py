"""A better description, and a number for it that the choice did not make too high.

    check    before the first request: cases enough in both parts, a seal that opens for this choice, no leak
    select   two controls, the description as it is and its candidates are asked on the cases to choose by
    choose   the best, if it is better than what is there; a tie is no better
    open     the sealed cases are asked once, with the description as it is and the one that was chosen

What counts is right picks of this agent: the mean of how often it gets its own cases and of how often it leaves those
of others and of nobody. Whoever is always picked, or never, has 0.5 by it, however many cases are whose, and is never
chosen.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from markupsafe import Markup

from workbench.definition.agent import Agent
from workbench.definition.agent_list import entries_in
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.draft import Draft
from workbench.definition.project import project_folder
from workbench.definition.there import is_there
from workbench.errors import NoModel, PlanError, RoutingRefused, SealError
from workbench.markup import Table, counted, html_table, notebook_html, plain_table, printed, visible
from workbench.routing.asking import (
    Agents,
    MainModel,
    Router,
    agents_of,
    ask_controls,
    ask_router,
    choose_router,
    plan_routing,
    refuse_stand_in,
    with_one_budget,
)
from workbench.routing.cases import accepted_of
from workbench.routing.change import RoutingChange, RoutingChangeRow, compare_routing
from workbench.routing.controls import refuse_errors
from workbench.routing.listing import Entry, entries_of, listing_of
from workbench.routing.measured import CaseDecisions, Routed
from workbench.routing.proposing import MOST_PROPOSED, propose_descriptions
from workbench.runs.openings import in_words, look_back, refuse_shown
from workbench.runs.plan import Plan
from workbench.runs.settings import Asking
from workbench.runs.who_answers import telling_once
from workbench.runs.writer import Writer
from workbench.secrets import without_secrets
from workbench.statistics.changes import Change, change_between
from workbench.statistics.intervals import Floats
from workbench.statistics.power import ALPHA
from workbench.statistics.selection import best_of
from workbench.trial.sealed import FEWEST_OF_A_PART, AskedBefore, Split, draw_parts, split_tasks
from workbench.trial.task import Task

AS_IT_IS = "as it is"
OF_A_CONSTANT = 0.5
"""Right picks of an agent that is always picked, or never."""
_NOISE = 1e-9
"""Of sums of thirds, as floats."""
_SAYS_NOTHING = "Does nothing."
_SAYS_ALL = "Use this agent, and no other, for exactly these requests: "


@dataclass(frozen=True, kw_only=True, repr=False)
class SealedChoice:
    """Which description was chosen, and what it is worth on cases that had no say in it."""

    agent: Agent = field(repr=False)
    """As it is."""
    name: str
    """By which it is listed."""
    descriptions: Mapping[str, str]
    """`AS_IT_IS` and the candidates, by what they are called here: "1", "2", ..."""
    selected: Mapping[str, Routed]
    """Their decisions on the cases to choose by."""
    chosen: str
    sealed: RoutingChange | None
    """On the sealed cases, from the description as it is to the chosen one. `None`: none was better, and nothing was
    opened."""
    split: Split
    left_out: tuple[str, ...] = ()
    """What a model proposed and cannot be tried, and why."""
    asked_before: AskedBefore | None = None
    """Of the sealed cases, as the ledger had it when they were opened; `None`: nothing was opened."""

    @property
    def select_change(self) -> Change | None:
        """What the chosen one gains on the cases that it was chosen by, too high by the luck of the best of several."""
        return _change(self.selected[AS_IT_IS], self.selected[self.chosen], self.name)

    @property
    def sealed_change(self) -> Change | None:
        """What it gains on the sealed cases: the number that counts. `None`: nothing was opened, or too few cases."""
        return None if self.sealed is None else _change(self.sealed.before, self.sealed.after, self.name)

    @property
    def optimism(self) -> float:
        """How much higher the gain is where it was chosen than on the sealed cases; NaN where nothing was opened."""
        chosen, opened = self.select_change, self.sealed_change
        return math.nan if chosen is None or opened is None else chosen.effect - opened.effect

    @property
    def costs(self) -> tuple[RoutingChangeRow, ...]:
        """What it does to others on the sealed cases: harm that is shown, and half or more of another agent's cases,
        shown or not, for there may be too few of them to show anything."""
        if self.sealed is None:
            return ()
        taken = [row for row in self.sealed.rows if row.kind == "taken" and 2 * row.moved >= row.cases]
        return tuple(dict.fromkeys((*self.sealed.harm, *taken)))

    @property
    def is_shown_better(self) -> bool:
        """Whether the sealed cases show it, by the interval, by t and by sign flips, at no cost of others and at their
        first opening."""
        change = self.sealed_change
        if change is None or self.costs or not (self.asked_before or AskedBefore()).is_first_opening:
            return False
        return change.effect > 0 and change.excludes_zero and max(change.t_p, change.sign_flip_p) <= ALPHA

    def accept(self) -> Draft:
        """The chosen description in the draft of the agent's file, which stays as it is until `draft.save()`."""
        draft = Draft(self.agent)
        with draft.lock:
            draft.edit(description=self.descriptions[self.chosen])
        return draft

    @property
    def sentence(self) -> str:
        tried = counted(len(self.descriptions) - 1, "description")
        on = f"{tried} tried on {counted(len(self.split.select), 'case')}"
        change, chosen = self.sealed_change, self.select_change
        if self.chosen == AS_IT_IS:
            return f"{on}: none is better than the one that is there. Nothing sealed was opened."
        assert chosen is not None
        if self.sealed is None:
            return (
                f"{on}: {self.chosen!r} is best, by {_points(chosen.effect)} where it was chosen. The sealed cases did "
                "not come to a number, so that nothing is known of it"
            )
        if change is None:
            return f"{on}: {self.chosen!r} is best, by {_points(chosen.effect)}; too few sealed cases to compare."
        found = "is better" if self.is_shown_better else "is not shown to be better"
        ends = "" if change.interval is None else f" [{_points(change.interval.low)}, {_points(change.interval.high)}]"
        harm = "".join(f" But {row.sentence}." for row in self.costs)
        before = in_words(self.asked_before, task="sealed case", version="other description")
        return (
            f"{on}: {self.chosen!r} is best, and {found} on {counted(change.tasks, 'sealed case')}: "
            f"{_points(change.effect)}{ends} of right picks, p = {change.sign_flip_p:.2g}.{harm} "
            f"Where it was chosen it was {_points(chosen.effect)}: {_points(self.optimism)} by choosing the best."
            f"{f' {before}' if before else ''}"
        )

    def tables(self) -> tuple[Table, ...]:
        rows = tuple(
            (
                label,
                f"{right_picks(self.selected[label], self.name):.0%}",
                visible(text),
            )
            for label, text in self.descriptions.items()
        )
        chosen = Table(
            title=f"Descriptions of {self.name}, on the cases to choose by: {self.selected[AS_IT_IS].asked_of}",
            headings=("description", "right picks", "text"),
            rows=rows,
            note=self.sentence,
        )
        return (chosen,) if self.sealed is None else (chosen, self.sealed.table())

    def as_values(self) -> dict[str, Any]:
        change = self.sealed_change
        return {
            "agent": self.name,
            "asked_of": self.selected[AS_IT_IS].asked_of,
            "descriptions": dict(self.descriptions),
            "right_picks": {label: right_picks(each, self.name) for label, each in self.selected.items()},
            "chosen": self.chosen,
            "sentence": self.sentence,
            "select_effect": None if (chosen := self.select_change) is None else chosen.effect,
            "sealed_effect": None if change is None else change.effect,
            "sealed_interval": None
            if change is None or change.interval is None
            else [change.interval.low, change.interval.high],
            "sealed_p": None if change is None else change.sign_flip_p,
            "optimism": None if math.isnan(self.optimism) else self.optimism,
            "shown_better": self.is_shown_better,
            "routing": None if self.sealed is None else self.sealed.as_values(),
            "left_out": list(self.left_out),
            "asked_before": None if self.asked_before is None else asdict(self.asked_before),
        }

    def as_json(self) -> str:
        return json.dumps(self.as_values(), ensure_ascii=False)

    def __str__(self) -> str:
        return "\n\n".join([*(plain_table(table) for table in self.tables()), *map(visible, self.left_out)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return notebook_html(Markup("\n").join(html_table(table) for table in self.tables()))


@telling_once()
def improve_description(
    agents: Agents,
    name: str,
    split: Split,
    *,
    candidates: Sequence[str] | Writer,
    model: str | MainModel = "sonnet",
    **asking: Unpack[Asking],
) -> SealedChoice:
    """The best of several descriptions of the agent of this name, chosen on `split.select` and measured on the sealed
    cases, which are opened for this choice alone. Nothing is written to the agent's file: `accept` gives a draft.

    Before any candidate two controls are asked: a description that says nothing, and one that says the very prompts of
    the agent's cases. Where the second is not shown to be picked better, descriptions decide nothing, and nothing more
    is asked. Where the sealed cases come to no number, the choice is printed before the error.

    Args:
        candidates: descriptions, written by hand; or the writer, a model that proposes them.

    Raises:
        RoutingRefused: the router fails its controls or those of descriptions; or too many decisions are errors.
        PlanError: no such agent, no candidate, or too few cases of it or of others in a part.
        SealError: the sealed cases were opened for another choice; or their words stand in a description, or in what a
            model was shown before.
        NoModel: only the offline stand-in is there, which decides nothing.
        All that `run_trials` raises.
    """
    found = agents_of(agents)
    check_parts(found, name, split)
    refuse_stand_in(model, asking)
    router = choose_router(model)
    ask = _Asker(found, name, router, with_one_budget(asking, agents=found, router=router))
    by_hand = None if isinstance(candidates, Writer) else _numbered(found[name], candidates, split)
    begun_as = ask.choice(None) if by_hand is None else None
    split.check_opens([begun_as] if begun_as else [ask.choice(text) for text in (by_hand or {}).values()])
    for ledger in (asking.get("ledger"), *([candidates.ledger] if isinstance(candidates, Writer) else [])):
        refuse_shown(split, ledger)
    controls = ask_controls(found, router=router, asking=ask.asking)
    if any(trial.endpoint.is_stand_in for trial in controls.trials):
        raise NoModel("the ledger has decisions of the offline stand-in alone, and it decides nothing")
    _check_that_descriptions_decide(ask, split.select)
    selected = {AS_IT_IS: ask(_description(found[name]), split.select)}
    left_out: tuple[str, ...] = ()
    if isinstance(candidates, Writer):
        proposed = propose_descriptions(found, name, selected[AS_IT_IS], split, candidates)
        by_hand, left_out = _numbered(found[name], proposed.descriptions, split), proposed.left_out
    descriptions = by_hand or {}
    selected |= {label: ask(text, split.select) for label, text in descriptions.items() if label != AS_IT_IS}
    choice = SealedChoice(
        agent=found[name],
        name=name,
        descriptions=descriptions,
        selected=selected,
        chosen=_best_of(selected, name),
        sealed=None,
        split=split,
        left_out=left_out,
    )
    if choice.chosen == AS_IT_IS:
        return choice
    try:
        sealed = _opened(ask, split, descriptions[choice.chosen], begun_as)
        return replace(choice, sealed=sealed, asked_before=split.asked_before)
    except BaseException:  # whatever it is, what was paid for is not thrown away
        print(without_secrets(printed(f"{choice}\n")), flush=True)
        raise


def seal_of(folder: str | Path | None, name: str) -> Path:
    """Where the seal of the cases of this agent lies unless another place is named."""
    # An agent's file may give it any name: none leads out of the folder.
    file = re.sub(r"[/\\]", "-", name)
    return project_folder(folder) / ".workbench" / "seals" / f"{file}.json"


def split_cases(
    agents: Agents,
    name: str,
    cases: Sequence[Task],
    *,
    seal: str | Path | None = None,
    model: str | MainModel = "sonnet",
    live: bool | None = None,
) -> Split:
    """The cases in two parts, as `split_tasks` splits them, to choose a description for the agent of this name. A file
    is made only where a model is there to ask and both parts have cases enough; it is
    `.workbench/seals/NAME.json` of the project unless `seal` names another.

    Raises:
        PlanError: no such agent, or too few cases of it or of others in a part.
        NoModel: only the offline stand-in is there, and the file is not.
        SealError, OSError: as `split_tasks`.
    """
    path = Path(seal or seal_of(agents if isinstance(agents, str | Path) else None, name))
    if not is_there(path):
        check_parts(agents_of(agents), name, draw_parts(cases, seal=path))
        refuse_stand_in(model, {"live": live})
    return split_tasks(cases, seal=path)


def plan_improving(
    agents: Mapping[str, Agent], name: str, split: Split, *, candidates: Sequence[str], router: Router
) -> dict[str, Plan]:
    """What `improve_description` asks at most after the controls of its router, by what it is for. Without candidates
    as many as a model proposes are counted, at the length of the present description; the request for them is not.

    Raises:
        PlanError, SealError: as `improve_description`.
    """
    check_parts(agents, name, split)
    ask = _Asker(agents, name, router, {})
    present = _description(agents[name])
    proposed = [f"{present} {number}." for number in range(1, MOST_PROPOSED + 1)]
    descriptions = _numbered(agents[name], candidates or proposed, split)
    best = next(text for label, text in descriptions.items() if label != AS_IT_IS)
    nothing, everything = _known(name, split.select)
    return {
        "a description that says nothing": ask.plan(nothing, split.select),
        "one that says the very prompts": ask.plan(everything, split.select),
        **{f"to choose by: {label}": ask.plan(text, split.select) for label, text in descriptions.items()},
        "sealed, if one is better: as it is": split.of_sealed(lambda cases: ask.plan(present, cases)),
        "sealed, if one is better: the best": split.of_sealed(lambda cases: ask.plan(best, cases)),
    }


@dataclass(frozen=True)
class _Asker:
    """Asks for the decisions of some cases with another description of one agent."""

    agents: Mapping[str, Agent]
    name: str
    router: Router
    asking: Asking

    def choice(self, description: str | None) -> str:
        """What the sealed cases are opened for: the description (`None`: whichever is chosen) of this agent, in this
        list and by this router. Another list would be another look, for neighbours decide too."""
        main = self.router.main
        listed = listing_of(entries_of(self.agents))
        asked = [self.router.way, main.model, main.effort, main.max_turns]
        return json.dumps([self.name, listed, description, *asked])

    def plan(self, description: str, cases: Sequence[Task]) -> Plan:
        return plan_routing(self._listed(description), cases, router=self.router)

    def __call__(self, description: str, cases: Sequence[Task]) -> Routed:
        agents = self._listed(description)
        run = ask_router(agents, self.plan(description, cases), router=self.router, asking=self.asking)
        refuse_errors(run, "cases")
        return Routed(run=run, controls=None)

    def _listed(self, description: str) -> Mapping[str, Agent]:
        agent = self.agents[self.name]
        same = description == _description(agent)
        return {**self.agents, self.name: agent if same else agent.replace(description=description)}


def _opened(ask: _Asker, split: Split, description: str, begun_as: str | None) -> RoutingChange:
    """The sealed cases, before and after."""
    agent = ask.agents[ask.name]

    def entry_in(system: str) -> str | None:
        return entries_in(system).get(ask.name)

    present = entry_in(Entry.of(read_as_claude_code(agent)).text)
    before = look_back(split, ask.asking.get("ledger"), version_of=entry_in, present=present)
    cases = split.open(ask.choice(description), begun_as=begun_as, asked_before=before)
    return compare_routing(ask(_description(agent), cases), ask(description, cases), changed=[ask.name])


def _best_of(selected: Mapping[str, Routed], name: str) -> str:
    """The one with the most right picks, if it has more than the one that is there, and more than one that is always
    picked or never."""
    worthy = {
        label: _values(each, name)
        for label, each in selected.items()
        if label == AS_IT_IS or right_picks(each, name) > OF_A_CONSTANT + _NOISE
    }
    return best_of(worthy, baseline=AS_IT_IS)


def _known(name: str, cases: Sequence[Task]) -> tuple[str, str]:
    """A description that is known to be bad, for it says nothing, and one that is known to be good."""
    own = [case.input for case in cases if name in accepted_of(case)]
    return _SAYS_NOTHING, _SAYS_ALL + json.dumps(own, ensure_ascii=False)


def _check_that_descriptions_decide(ask: _Asker, cases: Sequence[Task]) -> None:
    """Passes where the agent's own prompts as its description are picked better than no description at all."""
    nothing, everything = (ask(text, cases) for text in _known(ask.name, cases))
    low, high = right_picks(nothing, ask.name), right_picks(everything, ask.name)
    if high <= low or not tells_apart(_own(nothing, ask.name), _own(everything, ask.name)):
        raise RoutingRefused(
            f"descriptions decide nothing here: one that says the very prompts has {high:.0%} right picks, and one "
            f"that says nothing {low:.0%}, which is not shown to be fewer. Look at the name of the agent, its "
            "neighbours and the prompts. No candidate was asked"
        )


def tells_apart(bad: Sequence[float], good: Sequence[float]) -> bool:
    """Whether an agent's own cases show that a description known to be good is picked better than one known to be bad:
    by sign flips, at their level; of fewer cases than a test takes, each has to be picked better."""
    gained = change_between(bad, good, bounded=True)
    return gained is not None and gained.effect > 0 and gained.sign_flip_p <= max(ALPHA, 2 / 2**gained.tasks)


def check_parts(agents: Mapping[str, Agent], name: str, split: Split) -> None:
    """Passes where a description of the agent of this name can be chosen on these parts.

    Raises:
        PlanError: no such agent, or too few cases of it or of others in a part.
    """
    if name not in agents:
        raise PlanError(f"there is no agent {name!r} in the list; there are {', '.join(sorted(agents)[:12])}")

    def is_own(case: Task) -> bool:
        return name in accepted_of(case)

    for part, own, of in (
        ("to choose by", sum(map(is_own, split.select)), len(split.select)),
        ("that are sealed", split.count_sealed(is_own), split.sealed_count),
    ):
        for count, whose in ((own, f"of {name}"), (of - own, "of others or of nobody")):
            if count < FEWEST_OF_A_PART:
                raise PlanError(
                    f"of the cases {part}, {count} are {whose}; it takes {FEWEST_OF_A_PART}, else a description that "
                    "is always picked, or never, would look best: write more cases"
                )


def _numbered(agent: Agent, candidates: Sequence[str], split: Split) -> dict[str, str]:
    """The descriptions by what they are called, each once."""
    present = _description(agent)
    others = [text.strip() for text in dict.fromkeys(candidates) if text.strip() != present.strip()]
    if not all(others):
        raise PlanError("a candidate is empty: a description says what the agent is for")
    if not others:
        raise PlanError("there is no other description to try")
    for number, text in enumerate(others, start=1):
        if (leaked := split.leaked(text)) is not None:
            raise SealError(f"the sealed case {leaked!r} stands in description {number}", path=split.seal)
    return {AS_IT_IS: present} | {str(number): text for number, text in enumerate(others, start=1)}


def _description(agent: Agent) -> str:
    return read_as_claude_code(agent).description or agent.description or ""


def _right(case: CaseDecisions, name: str) -> float:
    """Of its decisions the share that is right about this agent; NaN without any."""
    decided = [picked for picked in case.picked if picked is not None]
    if not decided:
        return math.nan
    is_own = name in case.accepted
    right = sum(picked in case.accepted if is_own else picked != name for picked in decided)
    return right / len(decided)


def _values(routed: Routed, name: str) -> Floats:
    """By case, what is right, weighted so that the mean counts its own cases and all others alike."""
    right = np.array([_right(case, name) for case in routed.cases])
    own = np.array([name in case.accepted for case in routed.cases])
    weights = len(own) / (2 * np.where(own, own.sum(), (~own).sum()))
    weighted: Floats = weights * right
    return weighted


def _own(routed: Routed, name: str) -> list[float]:
    """By case of the agent, what is right."""
    return [_right(case, name) for case in routed.cases if name in case.accepted]


def right_picks(routed: Routed, name: str) -> float:
    """How often the agent gets its own cases and leaves all others, both alike; 0.5 for one that is always picked, or
    never."""
    return float(np.nanmean(_values(routed, name)))


def _change(before: Routed, after: Routed, name: str) -> Change | None:
    return change_between(_values(before, name), _values(after, name))


def _points(share: float) -> str:
    return f"{100 * share:+.0f} points"
