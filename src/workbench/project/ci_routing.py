"""What a change of descriptions does to who gets picked, as `workbench ci` holds it.

The agents of a folder are listed together, so they are held together: those of before and of after the change, each
from git, on the routing cases that stand beside them. The cases of before decide; by those that the change brings along
it may fail, and passes by none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.project import write_folder
from workbench.errors import (
    BudgetError,
    LedgerError,
    RoutingRefused,
    SetupError,
    TaskFileError,
    WorkbenchError,
)
from workbench.markup import HALF_CHARACTERS, counted, visible
from workbench.project.changes import Change, ChangedAgent
from workbench.project.repository import Blob, Repository, is_place
from workbench.routing.asking import MainModel, Router, choose_router
from workbench.routing.cases import FILE_NAMES, accepted_of, load_cases, with_accepted
from workbench.routing.gate import RoutingGate, gate_routing
from workbench.routing.listing import entries_of
from workbench.routing.review import RoutingReview
from workbench.routing.sides import route_change
from workbench.runs.settings import Asking
from workbench.secrets import without_secrets
from workbench.statistics.routing import NONE
from workbench.trial.record import export_record
from workbench.trial.record_aside import REPORT_FOLDER
from workbench.trial.record_files import write_record_folder
from workbench.trial.task import Task

_OUTCOMES = {"passes": "passes", "fails": "worse", "not enough data": "undecided"}
_WORST_FIRST = ("worse", "incomplete", "refused", "undecided", "passes")


@dataclass(frozen=True, kw_only=True)
class ChangedList:
    """A folder of agents of which the main model is shown another list since the change."""

    folder: str
    """From the root of the repository."""
    agent: ChangedAgent
    """The first of those by which it is another: where a finding is shown."""
    before: Mapping[str, Agent] = field(repr=False)
    """By the name by which it is listed."""
    after: Mapping[str, Agent] = field(repr=False)
    renamed: Mapping[str, str]
    """By its name before, the name after."""
    cases_before: Blob | None
    cases_after: Blob | None

    @property
    def has_cases(self) -> bool:
        return self.cases_before is not None or self.cases_after is not None


@dataclass(frozen=True, kw_only=True)
class HeldList:
    """What became of it."""

    outcome: str
    """Of `ci.OUTCOMES`; empty: nothing is held, and the text is said beside."""
    text: str
    notes: tuple[str, ...] = ()
    gates: tuple[RoutingGate, ...] = ()
    """By the cases of before, and where those changed, by the new ones."""


def find_lists(change: Change, *, project: Path) -> tuple[ChangedList, ...]:
    """The folders of agents whose list the change makes another.

    Raises:
        ChangeError: there is no git, no repository, or no such commit.
    """
    git = Repository(project)
    touched: dict[str, list[ChangedAgent]] = {}
    for agent in change.agents:
        for path in filter(is_place, dict.fromkeys(filter(None, (agent.was, agent.path)))):
            touched.setdefault(_folder_of(path), []).append(agent)
    return tuple(
        found
        for folder, agents in sorted(touched.items())
        if (found := _list_in(git, folder, agents, change)) is not None
    )


def hold_list(
    found: ChangedList, out: Path, *, model: MainModel, margin: float, asking: Asking, pages: bool = True
) -> HeldList:
    """Puts the cases to the main model with the agents as they were and as they are; leaves records in `out`, each with
    a page where `pages` are wanted."""
    try:
        router = choose_router(model)
        cases = _cases(found, router)
        gates, notes = [], list(_notes(found, cases))
        for when, (each, _) in cases.items():
            where = out / f"cases-{when}"
            write_record_folder(where)
            change = route_change(list(found.before.values()), list(found.after.values()), each, model=model, **asking)
            export_record(change.run, where)
            if pages:
                _write_page(RoutingReview(routed=change.after, change=change), where / REPORT_FOLDER)
            gates.append(gate_routing(change, margin=margin, allow_stand_in=True))
    except (BudgetError, SetupError, LedgerError, RoutingRefused) as error:
        return HeldList(outcome="incomplete", text=str(error))
    except WorkbenchError as error:
        return HeldList(outcome="refused", text=str(error))
    outcomes = ["stand-in" if gate.stand_in else _OUTCOMES.get(gate.decision, "incomplete") for gate in gates]
    said = {"before": "By the cases of before", "after": "By the cases of this change"}
    texts = [f"{said[when]}: {gate.text}" for when, gate in zip(cases, gates, strict=True)]
    text = "\n".join(texts) if len(texts) > 1 else gates[0].text
    deciding = [outcomes[0], *(name for name in outcomes[1:] if name != "undecided")]
    worst = min(deciding, key=_WORST_FIRST.index) if set(deciding) <= set(_WORST_FIRST) else "stand-in"
    if found.cases_before is None and worst in ("passes", "undecided"):
        worst, text = "", f"It had no routing cases before, and those that come along pass nobody. {gates[0].headline}"
    return HeldList(outcome=worst, text=text, notes=tuple(notes), gates=tuple(gates))


def _write_page(review: RoutingReview, folder: Path) -> None:
    write_folder(folder)
    page = without_secrets(review.html())
    (folder / "report.html").write_text(page, encoding="utf-8", errors=HALF_CHARACTERS, newline="\n")


def _folder_of(path: str) -> str:
    """The folder of agents that `workbench route` is given: the first that is called so."""
    parts = PurePosixPath(path).parts
    return PurePosixPath(*parts[: parts.index("agents") + 1]).as_posix()


def _list_in(git: Repository, folder: str, agents: Sequence[ChangedAgent], change: Change) -> ChangedList | None:
    before, after = (_agents_in(git, commit, folder) for commit in (change.base, change.head))
    if not before or not after or _shown(before) == _shown(after):
        return None
    shown = dict(_shown(before)), dict(_shown(after))
    names = {agent.path: _name(agent.after) or _name(agent.before) for agent in agents}
    first = next(
        (agent for agent in agents if (name := names[agent.path]) and shown[0].get(name) != shown[1].get(name)),
        agents[0],
    )
    renamed = {
        old: new
        for agent in agents
        if (old := _name(agent.before)) is not None
        and (new := _name(agent.after)) is not None
        and old in before
        and old not in after
        and new in after
        and new not in before
    }
    return ChangedList(
        folder=folder,
        agent=first,
        before=before,
        after=after,
        renamed=renamed,
        cases_before=_case_file(git, change.base, folder),
        cases_after=_case_file(git, change.head, folder),
    )


def _name(agent: Agent | None) -> str | None:
    return None if agent is None else read_as_claude_code(agent).name


def _agents_in(git: Repository, commit: str, folder: str) -> dict[str, Agent]:
    """By name, in the order of their paths; of two of one name the first, which another finding tells of."""
    found: dict[str, Agent] = {}
    for path in sorted(git.files(commit)):
        if path.startswith(f"{folder}/") and is_place(path):
            agent = git.agent(commit, path)
            name = _name(agent)
            if agent is not None and name is not None:
                found.setdefault(name, agent)
    return found


def _shown(agents: Mapping[str, Agent]) -> list[tuple[str, str]]:
    return [(entry.name, entry.text) for entry in entries_of(agents)]


def _case_file(git: Repository, commit: str, folder: str) -> Blob | None:
    for name in FILE_NAMES:
        path = f"{folder}/{name}"
        if (content := git.content(commit, path)) is not None:
            return Blob(path=path, content=content)
        if path in git.links(commit):
            return Blob(path=path, content=b"", leads_to=git.links(commit)[path])
    return None


def _cases(found: ChangedList, router: Router) -> dict[str, tuple[tuple[Task, ...], int]]:
    """The cases of before, and those of after where they are others; with how many were left out of them, which are
    for agents that are on neither side, or gone.

    Raises:
        TaskFileError: one of the files is wrong, or has no case that could be asked.
    """
    read = {"before": found.cases_before, "after": found.cases_after}
    tasks = {when: _cases_in(blob) for when, blob in read.items() if blob is not None}
    if "before" in tasks and "after" in tasks and _asks(tasks["before"]) == _asks(tasks["after"]):
        del tasks["after"]
    listed = {entry.name for entry in router.entries(found.after)} | {NONE}
    kept = {}
    for when, each in tasks.items():
        here = [one for case in each if (one := _with_names_of_after(case, found.renamed, listed)) is not None]
        if not here:
            raise TaskFileError("no case in it is for an agent that is here, or for nobody", path=read[when].path)  # type: ignore[union-attr]
        kept[when] = (tuple(here), len(each) - len(here))
    return kept


def _cases_in(blob: Blob) -> tuple[Task, ...]:
    if blob.leads_to is not None:
        raise TaskFileError(
            f"is a link to {visible(blob.leads_to)}, at which the repository has no file; commit the file itself",
            path=blob.path,
        )
    with TemporaryDirectory() as folder:
        path = Path(folder, PurePosixPath(blob.path).name)
        try:
            return _write_to_load(blob.content, path)
        except TaskFileError as error:
            raise TaskFileError(str(error).replace(str(path), blob.path)) from error


def _write_to_load(content: bytes, path: Path) -> tuple[Task, ...]:
    """As a file is read that is there: how, its name says."""
    path.write_bytes(content)
    return load_cases(path)


def _asks(cases: Sequence[Task]) -> list[tuple[str, str, str | None]]:
    return [(case.id, case.input, case.target) for case in cases]


def _with_names_of_after(case: Task, renamed: Mapping[str, str], listed: set[str]) -> Task | None:
    """The case with the names that those who may get it have now, before those that they had; `None`: all are gone."""
    names = [name for old in accepted_of(case) if (new := renamed.get(old, old)) in listed for name in (new, old)]
    return with_accepted(case, dict.fromkeys(names)) if names else None


def _notes(found: ChangedList, cases: Mapping[str, tuple[tuple[Task, ...], int]]) -> Iterator[str]:
    for old, new in found.renamed.items():
        yield f"{old!r} is {new!r} now, and is held on the cases of {old!r}"
    for when, (_, left_out) in cases.items():
        if left_out:
            many = f"{counted(left_out, 'case')} {'is' if left_out == 1 else 'are'}"
            yield f"Of the cases of {when} the change {many} left out, for agents that are gone or never were here"
    before, after = found.cases_before, found.cases_after
    if before is not None and after is None:
        yield f"{before.path} went in this very change: what it was decides"
    elif "after" in cases and before is not None and after is not None:
        yield f"{after.path} was changed too: its cases decide beside those of before, and never in their place"
