"""The instrument checks itself: prompts of which everybody knows who gets them.

named    "use the X agent to ...": whoever can pick an agent picks X
canary   an agent of ours with a description that nothing else fits: is the list read?
nobody   a chore that no agent is for: is everything delegated?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.definition.agent_list import names_in
from workbench.definition.claude_code import Granted
from workbench.errors import RoutingRefused
from workbench.markup import counted
from workbench.routing.cases import accepted_of
from workbench.routing.decision import decision_of
from workbench.routing.listing import Entry
from workbench.statistics.routing import NONE
from workbench.trial.task import Task
from workbench.trial.trial import Run, Trial

LEAST_SHARE = 0.8
"""Of the controls of a kind that have to go where they should."""
MOST_ERRORS = 0.1
"""Share of decisions that may be none."""
MOST_NAMED = 4
CANARY = Entry(
    name="quillhaven-tides",
    description="Answers questions on the tide tables of the harbour of Quillhaven, and on nothing else.",
    tools=Granted(named=("Read",)),
)
_CANARY_PROMPTS = (
    "Look up when high water is in the harbour of Quillhaven on each day of next week, with all the tables.",
    "Compare the tide tables of the harbour of Quillhaven for May and June and explain where they differ.",
)
_NOBODYS = (
    "What is 17 + 25? Answer with the number alone.",
    "Reply with the word ready, and nothing else.",
    "How many letters has the word lamp? One number.",
    "Is 7 a prime number? Yes or no.",
)


@dataclass(frozen=True, kw_only=True)
class ControlShares:
    """How many of the controls of each kind went where they should, of those that were decided."""

    named: tuple[int, int]
    canary: tuple[int, int]
    nobody: tuple[int, int]

    def __str__(self) -> str:
        parts = (("named", self.named), ("canary", self.canary), ("nobody's", self.nobody))
        return ", ".join(f"{kind} {hits} of {of}" for kind, (hits, of) in parts)


def control_cases(names: Sequence[str]) -> tuple[Task, ...]:
    """The controls for agents of these names; of many agents some, spread over the list."""
    many = min(MOST_NAMED, len(names))
    chosen = [names[round(number * (len(names) - 1) / max(1, many - 1))] for number in range(many)]
    named = [
        Task(
            id=f"named-{number}",
            input=f"Use the {name} agent for this: look through the whole repository and report what you find.",
            target=name,
            group="named",
        )
        for number, name in enumerate(dict.fromkeys(chosen), start=1)
    ]
    canary = [
        Task(id=f"canary-{number}", input=text, target=CANARY.name, group="canary")
        for number, text in enumerate(_CANARY_PROMPTS, start=1)
    ]
    nobody = [
        Task(id=f"nobody-{number}", input=text, target=NONE, group="nobody")
        for number, text in enumerate(_NOBODYS, start=1)
    ]
    return (*named, *canary, *nobody)


def check_controls(run: Run) -> ControlShares:
    """Passes a run of controls whose router can be measured.

    Raises:
        RoutingRefused: it cannot; says what is wrong, and that the descriptions are not the cause.
    """
    refuse_errors(run, "controls")
    cases = {case.id: case for case in run.tasks}
    decided = [
        (cases[trial.task_id], trial, picked) for trial in run.trials if (picked := decision_of(trial)) is not None
    ]
    shares = ControlShares(
        **{
            kind: (
                sum(picked in accepted_of(case) for case, _, picked in decided if case.group == kind),
                sum(case.group == kind for case, _, _ in decided),
            )
            for kind in ("named", "canary", "nobody")
        }
    )
    why = _what_is_wrong([(trial, picked) for _, trial, picked in decided], shares)
    if why:
        raise RoutingRefused(f"the router fails its controls ({shares}): {why}. Nothing else was asked", controls=run)
    return shares


def refuse_errors(run: Run, what: str) -> None:
    """Passes a run of which at most a tenth of the decisions are errors.

    Raises:
        RoutingRefused: more are; an error is no decision, and never counts as "not picked".
    """
    missing = Counter(_why(trial) for trial in run.trials if decision_of(trial) is None)
    if sum(missing.values()) > MOST_ERRORS * len(run.trials):
        causes = ", ".join(f"{cause} {count}" for cause, count in missing.most_common(4))
        raise RoutingRefused(
            f"{missing.total()} of {counted(len(run.trials), 'decision')} of the {what} came to none ({causes}), "
            f"which is more than {MOST_ERRORS:.0%}: an error says nothing of a description. Run it again: what was "
            "answered is in the ledger",
            controls=run,
        )


def _what_is_wrong(decided: Sequence[tuple[Trial, str]], shares: ControlShares) -> str:
    """Why these decisions tell nothing of descriptions; empty where they do."""
    picks = [(trial, picked) for trial, picked in decided if picked != NONE]
    if not picks:
        return "it never delegates, not even where the prompt names the agent, so that no description would be picked"
    labels = {picked for _, picked in decided}
    positions = [picked == next(iter(names_in(trial.request.system)), None) for trial, picked in picks]
    if sum(positions) >= LEAST_SHARE * len(picks) and len(picks) > LEAST_SHARE * len(decided):
        return "it picks whichever agent stands first in the list, whatever is asked"
    if len(labels) == 1:
        return f"it decides the same each time ({next(iter(labels))}), whatever is asked"
    if _share(shares.nobody) < LEAST_SHARE:
        return "it delegates chores that no agent is for"
    if _share(shares.named) < LEAST_SHARE:
        return "it does not pick the agent that the prompt names"
    if _share(shares.canary) < LEAST_SHARE:
        return "it does not pick the agent whose description alone fits, so that the list may not be read"
    return ""


def _share(of: tuple[int, int]) -> float:
    return of[0] / of[1] if of[1] else 0.0


def _why(trial: Trial) -> str:
    return trial.failure.type if trial.failure is not None else trial.outcome.replace("_", " ")
