"""How an agent was picked by the newest decisions that the ledger has of its line in the list: what stands beside the
description that is edited. Asks nobody.

    measured    decisions on its line as the file has it
    earlier     none on this line; on another one that it had
    made up     the offline stand-in alone decided
    unmeasured  no decision, or none that says anything of a description
    unknown     it cannot be said, and why
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from workbench.definition.agent import Agent
from workbench.definition.agent_list import entries_in
from workbench.definition.draft import Draft
from workbench.definition.finding import agents_folder_of
from workbench.definition.roster import load_roster
from workbench.errors import WorkbenchError
from workbench.ledger.answered import AnsweredAttempt, find_answered
from workbench.ledger.file import ledger_address
from workbench.ledger.store import opened_ledger
from workbench.markup import command, counted, visible
from workbench.model.endpoint import endpoint_at
from workbench.routing.cases import accepted_of, case_file_of, cases_of_descriptions, load_cases
from workbench.routing.decision import decision_of
from workbench.routing.listing import entries_of
from workbench.routing.measured import CaseDecisions, shown_label, way_of
from workbench.trial.task import Task
from workbench.trial.trial import Trial

Kind = Literal["measured", "earlier", "made up", "unmeasured", "unknown"]
PANE = "Is it picked?"
"""What the pane is called in which decisions are asked for."""
LISTED_BY = ("name", "description", "tools", "disallowed_tools")
"""The fields that make the line of an agent in the list."""


SECONDS_BETWEEN_DATABASES = 30
"""How often a ledger is looked into that is no file, so that nothing tells whether it was written to."""
_REST = 20


@dataclass(frozen=True, kw_only=True)
class Picked:
    """Decisions on one line of an agent, by one main model in one way, with one list around it."""

    name: str
    cases: tuple[CaseDecisions, ...] = field(repr=False)
    first: Trial = field(repr=False)
    """One of its decisions, for what they have in common: model, effort, way and endpoint."""
    day: str
    """Of the newest decision, ISO 8601 in UTC."""

    @property
    def own(self) -> tuple[int, int]:
        """Of the decisions on cases that are for it, how many went where they should, and how many those are. One that
        may go to another agent too is right there, as in `Routed`."""
        return self._went(own=True)

    @property
    def mistaken(self) -> tuple[int, int]:
        """Of the decisions on all other cases, how many went to it, and how many those are."""
        return self._went(own=False)

    @property
    def is_made_up(self) -> bool:
        return self.first.endpoint.is_stand_in

    @property
    def constant(self) -> str | None:
        """Where all decisions went, though cases should go to different places, which measures no description; `None`:
        they went to several."""
        picked = {one for case in self.cases for one in case.picked if one is not None}
        same = len(picked) == 1 and len({case.truth for case in self.cases}) > 1
        return next(iter(picked)) if same else None

    @property
    def sentence(self) -> str:
        (picked, of), (mistaken, _) = self.own, self.mistaken
        return f"picked in {picked} of {of}, {mistaken} by mistake"

    @property
    def details(self) -> str:
        """What the numbers are of, and whose they are."""
        own = sum(case.truth == self.name for case in self.cases)
        others, effort = len(self.cases) - own, self.first.request.effort
        of_others = f"; the mistakes are of {counted(self.mistaken[1], 'decision')} on {counted(others, 'other case')}"
        return (
            f"Decisions on {counted(own, 'case')} of its own{of_others if others else ', and on no other'}. "
            f"{self.first.request.model}{f', effort {effort}' if effort else ''}, {way_of(self.first)}; {self.day}; "
            f"{self.first.endpoint.in_words}."
        )

    def _went(self, *, own: bool) -> tuple[int, int]:
        decided = [
            picked == self.name
            for case in self.cases
            if (case.truth == self.name) is own
            for picked in case.counted_as
            if picked is not None
        ]
        return sum(decided), len(decided)


@dataclass(frozen=True, kw_only=True)
class PickedLine:
    """What is said beside a description."""

    kind: Kind
    text: str
    details: str = ""


def find_picked(
    agent: Agent, cases: Sequence[Task], *, ledger: str | Path | None = None
) -> tuple[Picked | None, Picked | None]:
    """The newest decisions on this agent's line as it is, and on any line that it had; `None` where there are none.

    What a model decided comes before what the stand-in made up, however new that is. Decisions count where their prompt
    is still that of the case of their id.

    Raises:
        LedgerError: the ledger cannot be read.
        PlanError: the agent is not listed.
    """
    [entry] = entries_of([agent])
    line = entries_in(entry.text).get(entry.name)
    address = ledger_address(ledger)
    if isinstance(address, Path) and not address.exists():
        return None, None
    with opened_ledger(ledger) as opened:
        attempts = find_answered(opened, [case.id for case in cases])
    decided = _decided(attempts, cases, entry.name)
    on_this_line = [each for each in decided if each[1][entry.name] == line]
    return _newest(on_this_line, cases, entry.name), _newest(decided, cases, entry.name)


def picked_line(disk: Agent | None, *, ledger: str | Path | None = None) -> PickedLine:
    """What is to be said of the description of a file as it is on disk; `None`: it is gone, or was never written."""
    if disk is None or disk.path is None:
        return PickedLine(kind="unmeasured", text="not measured", details="Save the file first.")
    folder = agents_folder_of(disk.path) or disk.path.parent
    try:
        cases = cases_in(folder)
        if not cases:
            return PickedLine(kind="unmeasured", text="not measured", details=_no_cases(folder))
        now, before = find_picked(disk, cases, ledger=ledger)
    except WorkbenchError as error:
        return PickedLine(kind="unknown", text="not known", details=f"{error}")
    if now is not None and not now.is_made_up and now.constant is not None:
        said = f"Each of the newest decisions is the same ({shown_label(now.constant)}): that measures no description."
        return PickedLine(kind="unmeasured", text="not measured", details=said)
    if now is not None and not now.is_made_up:
        return PickedLine(kind="measured", text=now.sentence, details=now.details)
    if before is not None and not before.is_made_up:
        said = f"Of an earlier text of its line: {before.sentence}. {before.details} {_what_to_press(folder)}"
        return PickedLine(kind="earlier", text="this text was not measured", details=said)
    if (now or before) is not None:
        said = f"The OFFLINE STAND-IN decided last, which says nothing about any model. {_what_to_press(folder)}"
        return PickedLine(kind="made up", text="not measured by a model", details=said)
    return PickedLine(kind="unmeasured", text="not measured", details=_what_to_press(folder))


def cases_in(folder: Path) -> tuple[Task, ...]:
    """The cases for the agents of a folder: its file of them, or else the examples of their descriptions; maybe none.

    Raises:
        TaskFileError: their file is wrong.
        AgentFileError: the agents cannot be read.
    """
    path = case_file_of(folder)
    return load_cases(path) if path is not None else cases_of_descriptions(load_roster(folder).agents)


class PickedLook:
    """A look, as often as one likes, at whether the line of a draft's file is another: what costs time is done only
    where file, cases or ledger changed."""

    def __init__(
        self, draft: Draft, *, ledger: str | Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` gives seconds that only go up."""
        self._draft, self._ledger, self._clock = draft, ledger, clock
        self._seen: object = None
        self._rests_until = float("-inf")
        self.line = PickedLine(kind="unknown", text="", details="")
        """As the latest look found it; without a text before the first one."""

    def look(self) -> bool:
        """Looks; whether the line is another than before. A ledger that is long, and written to all the time, is read
        for a twentieth of the time at most."""
        began, disk = self._clock(), self._draft.on_disk
        if began < self._rests_until:
            return False
        age = None if _file_of_ledger(self._ledger) is not None else began // SECONDS_BETWEEN_DATABASES
        seen = (None if disk is None else disk.digest, _marks(disk, self._ledger), age)
        if seen == self._seen:
            return False
        before, self.line = self.line, picked_line(disk, ledger=self._ledger)
        self._seen = seen
        ended = self._clock()
        self._rests_until = ended + (_REST - 1) * (ended - began)
        return self.line != before

    def moved_on(self, draft: Agent) -> str:
        """That the draft would stand in the list with another line than the file has, in words; else empty."""
        disk = self._draft.on_disk
        if disk is None or all(getattr(disk, name) == getattr(draft, name) for name in LISTED_BY):
            return ""
        return f"Said of the file: the draft's line in the list is another. {PANE!r} measures both."


Mark = tuple[str, int, int]
"""A file, when it was written in nanoseconds since 1970, and how long it is in bytes."""


def marks_of(files: Iterable[Path]) -> tuple[Mark, ...]:
    """Of each file that is there: another where it may say something else."""
    found = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:  # it is not there, which is a mark too
            continue
        found.append((str(file), stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def _file_of_ledger(ledger: str | Path | None) -> Path | None:
    """`None`: it is in a database elsewhere, or nowhere."""
    try:
        address = ledger_address(ledger)
    except WorkbenchError:
        return None
    return address if isinstance(address, Path) else None


def _marks(disk: Agent | None, ledger: str | Path | None) -> tuple[Mark, ...]:
    """Of what the line is made from."""
    file = _file_of_ledger(ledger)
    files = [] if file is None else [file, file.with_name(f"{file.name}-wal")]
    if disk is not None and disk.path is not None:
        folder = agents_folder_of(disk.path) or disk.path.parent
        path = case_file_of(folder)
        files += sorted(folder.rglob("*.md")) if path is None else [path]
    return marks_of(files)


_Decided = tuple[AnsweredAttempt, Mapping[str, str], Trial]
"""An attempt, the list that it was shown by name, and it as a trial."""


def _decided(attempts: Iterable[AnsweredAttempt], cases: Sequence[Task], name: str) -> list[_Decided]:
    """The attempts at these very cases in which an agent of this name was listed."""
    prompts = {case.id: case.input for case in cases}
    lists: dict[str, Mapping[str, str]] = {}
    found = []
    for each in attempts:
        asked = each.request
        if len(asked.messages) != 1 or asked.messages[0].get("content") != prompts[each.task_id]:
            continue
        listed = lists.setdefault(asked.system, entries_in(asked.system))
        if name in listed:
            trial = Trial(
                variant=each.variant,
                task_id=each.task_id,
                repeat=each.repeat,
                request=asked,
                endpoint=endpoint_at(each.endpoint),
                reply=each.reply,
            )
            found.append((each, listed, trial))
    return found


def _newest(decided: Sequence[_Decided], cases: Sequence[Task], name: str) -> Picked | None:
    """Of the newest list, main model, way and endpoint, the newest decision of each key."""
    by_models = [each for each in decided if not each[2].endpoint.is_stand_in]
    decided = by_models or decided
    if not decided:
        return None
    newest = decided[-1]
    same = [each for each in decided if _asked_as(each) == _asked_as(newest)]
    by_key = {attempt.key: trial for attempt, _, trial in same}
    by_case: dict[str, list[str | None]] = {}
    for trial in by_key.values():
        by_case.setdefault(trial.task_id, []).append(decision_of(trial))
    return Picked(
        name=name,
        cases=tuple(
            CaseDecisions(
                id=case.id,
                prompt=case.input,
                group=case.group,
                accepted=accepted_of(case),
                picked=tuple(by_case[case.id]),
            )
            for case in cases
            if case.id in by_case
        ),
        first=newest[2],
        day=(newest[2].reply.at or "")[:10] if newest[2].reply is not None else "",
    )


def _asked_as(decided: _Decided) -> object:
    _, listed, trial = decided
    asked = trial.request
    return frozenset(listed.items()), asked.model, asked.effort, asked.frame, bool(asked.tools), trial.endpoint


def _no_cases(folder: Path) -> str:
    return (
        f"There is no routing case: write {visible(str(folder / 'routing.yaml'))}, a list of `- prompt: ...` with "
        f"`expect: NAME` or `expect: none`; then press Run in the pane {PANE!r}."
    )


def _what_to_press(folder: Path) -> str:
    return f"Press Run in the pane {PANE!r}, or: {visible(command('workbench', 'route', folder))}"
