"""`workbench ci`: every agent that a change touches, held against what it was; one decision for all of them.

Agents and tasks come from git, and replies from a model that is asked here: nothing that a change brings along decides
over it. An agent is tried on the tasks that it had before the change; where the change edits these too, on the new ones
as well, so that easier tasks pass nobody; where it had none, the new ones may fail it, and never pass it. What was not
tried is never green: no key, no tasks, an agent that is gone, replies that are missing or made up. Each of these has an
exit code of its own, and the worst of all agents counts.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.comparison.compared import shown_worse
from workbench.comparison.gate import MARGIN, Gate, gate, guards_from_texts, promises_of
from workbench.comparison.report.write import write_report
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.fields import FIELDS
from workbench.definition.there import bytes_in, text_in
from workbench.errors import BudgetError, ChangeError, LedgerError, SetupError, TaskFileError, WorkbenchError
from workbench.grading.catalogue import standard
from workbench.ledger.file import ledger_address, named_ledger
from workbench.markup import counted, visible
from workbench.model.endpoint import choose_endpoint
from workbench.project.changes import (
    Change,
    ChangedAgent,
    Kind,
    committed_at,
    find_changes,
    refuse_submodule,
    repositories_at,
    task_files_at,
)
from workbench.project.ci_routing import ChangedList, find_lists, hold_list
from workbench.project.repository import Blob
from workbench.routing.asking import MainModel
from workbench.routing.cases import FILE_NAMES
from workbench.routing.gate import ROUTING_MARGIN, RoutingGate
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.settings import Asking
from workbench.trial.record import export_record, folder_name
from workbench.trial.record_files import write_record_folder
from workbench.trial.task import Task, tasks_of_bytes
from workbench.trial.trial import Run

REPEATS = 4
_SENT = frozenset({"model", "effort"})
"""Fields of the header that are sent beside the prompt."""
_SHOWN = frozenset({"name", "description"})
"""Fields of the header of which nothing but the list of agents says anything."""
_MOST_NAMED = 12
"""Promises in the message of an error."""
_KEEPS_A_FOLDER = frozenset({".gitkeep", ".gitignore"})
"""Files that people commit so that git has a folder that is empty else: nothing reads or writes them."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What may become of a changed agent."""

    code: int
    """The exit code, where nothing worse happened to another agent."""
    says: str
    """In a word or some, for a heading."""
    when: str
    may_pass: bool = False
    """Whether `--allow` lets it pass."""


OUTCOMES: Mapping[str, Outcome] = {
    "worse": Outcome(code=3, says="worse", when="An agent is shown to be worse, by its tasks or by who is picked."),
    "incomplete": Outcome(
        code=1,
        says="not tried to the end",
        when="Trials failed or were refused, the budget or the server ended, or the ledger could not be written.",
    ),
    "refused": Outcome(
        code=2,
        says="cannot be tried",
        when="A task file or a grader is wrong, an agent is kept outside of the repository, no task has a promise that "
        "is guarded, the ledger or something where results go is committed, or git cannot say what changed.",
    ),
    "stand-in": Outcome(
        code=5, says="made up", when="The offline stand-in answered (`--offline`), which decides nothing."
    ),
    "no-key": Outcome(
        code=7, says="not tried", when="There is no key: the secret is not set, or not handed to this step."
    ),
    "fork": Outcome(
        code=8, says="not tried", when="A pull request from a fork, which is given no secret.", may_pass=True
    ),
    "gone": Outcome(
        code=9,
        says="gone",
        when="An agent was removed, or moved to where Claude Code does not read it, or its file is one that Claude "
        "Code lists no agent for, or another.",
        may_pass=True,
    ),
    "no-tasks": Outcome(
        code=10,
        says="not tried",
        when="An agent that changed has no tasks, or had none before and is not worse by those that come along.",
        may_pass=True,
    ),
    "undecided": Outcome(
        code=4, says="not enough data", when="Neither a loss nor that there is none is shown.", may_pass=True
    ),
    "passes": Outcome(code=0, says="no worse", when="Every agent is shown to be no worse than by the margin."),
    "new": Outcome(code=0, says="new", when="An agent is new: there is nothing to hold it against."),
    "moved": Outcome(code=0, says="moved", when="An agent's file has another path and the same content."),
    "tasks": Outcome(code=0, says="other tasks", when="Only the tasks of an agent changed."),
    "described": Outcome(
        code=0,
        says="held by who is picked",
        when="Only the name or the description of an agent without tasks changed, and who is picked is held.",
    ),
}
"""The worst first: the first of all that happened makes the exit code."""
_GONE: Mapping[Kind, str] = {
    "removed": "The file was removed.",
    "dropped": "Claude Code lists no agent for the file any more.",
    "replaced": "Its file took the name of another agent that stays, so it is listed no more.",
    "unread": "What made a plugin of its folder is gone, so Claude Code does not read it any more.",
}
"""How an agent may go, by the kind of its change."""
_ELSEWHERE: Mapping[Kind, str] = {
    "submodule": "It is a submodule at another commit than before, and what it holds is in another repository: hold "
    "it there, or commit its files here.",
    "link": "It is a link to {by}, at which the repository has no file: commit the file itself.",
    "another case": "On macOS and Windows, where the case of letters does not count, it has the place of {by}, or one "
    "in it: give it a name of its own.",
    "written otherwise": "A checkout has other bytes of it than the commit, by {by}: commit it as Claude Code is to "
    "read it.",
}
"""Why nothing can be tried, by the kind of what agents may be read from."""
MAY_PASS = tuple(name for name, outcome in OUTCOMES.items() if outcome.may_pass)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How changed agents are held against what they were."""

    margin: float = MARGIN
    repeats: int = REPEATS
    model: str | None = None
    """`None`: each with the model that it names."""
    live: bool = True
    """False: the offline stand-in answers, and nothing passes."""
    budget_usd: float | None = None
    """For all agents together, and for every run with the same `budget_scope`."""
    budget_scope: str | None = None
    allow: frozenset[str] = frozenset()
    """Of `MAY_PASS`."""
    guards: tuple[str, ...] = ()
    """Promises that may not get worse, as `gate --guard` takes them; each has to be one of some task of the project."""
    pages: bool = True
    """Whether a page is left for each agent, which takes some seconds."""
    routing_margin: float = ROUTING_MARGIN
    """The loss of routing cases that is put up with, in 0..1, where the list of agents changed."""
    routing_model: str = "sonnet"
    """The main model that picks."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """A changed agent and what became of it."""

    agent: ChangedAgent
    outcome: str
    """Of `OUTCOMES`."""
    text: str
    """Why, in a sentence or some."""
    notes: tuple[str, ...] = ()
    """What a reader has to know beside."""
    gates: tuple[Gate, ...] = ()
    """By the tasks of before, and where those changed, by the new ones."""
    summary: str = field(default="", repr=False)
    """The report of the first, as Markdown."""
    folder: Path | None = None
    """Where records and reports are."""
    listed: ChangedList | None = field(default=None, repr=False)
    """The list of agents that is held by who gets picked, shown at the first agent by which it changed; `None`: an
    agent is held by its tasks."""
    routing: tuple[RoutingGate, ...] = ()
    """Of such a list, as `gates`."""

    @property
    def name(self) -> str:
        """What is held, as every output calls it."""
        return self.agent.path if self.listed is None else f"routing of {self.listed.folder}"

    @property
    def kind(self) -> str:
        """What changed of it."""
        return self.agent.kind if self.listed is None else "descriptions"

    @property
    def worse_promises(self) -> tuple[str, ...]:
        """The promises, and the criteria of certified judges, that are shown to be worse by any of its tasks; those
        that are guarded first."""
        failed = (guard.promise for found in self.gates for guard in found.guards if guard.decision == "fails")
        named = (name for found in self.gates for name in shown_worse(found.promises, found.criteria))
        return tuple(dict.fromkeys((*failed, *named)))


@dataclass(frozen=True, kw_only=True)
class Checked:
    """All agents of a change."""

    change: Change
    held: tuple[Held, ...]
    """Each agent, and behind them each list of agents that is held by who gets picked."""
    settings: Settings
    not_routed: tuple[str, ...] = ()
    """Of each list that is not held so, why not."""

    @property
    def deciding(self) -> str:
        """The worst outcome that is not allowed, and where there is none, the worst of all."""
        found = [name for name in OUTCOMES if any(held.outcome == name for held in self.held)]
        return next((name for name in found if not self.passes(name)), found[0] if found else "passes")

    @property
    def exit_code(self) -> int:
        return 0 if self.passes(self.deciding) else OUTCOMES[self.deciding].code

    def passes(self, outcome: str) -> bool:
        return OUTCOMES[outcome].code == 0 or outcome in self.settings.allow


def check_change(base: str, out: Path, settings: Settings, *, project: Path) -> Checked:
    """Tries every agent that was changed since `base` beside what it was, and leaves records and reports in `out`.

    Raises:
        ChangeError: git cannot say what changed, `settings.allow` names what cannot be allowed, `settings.guards` what
            no task has, the replies or something in `out` are a part of what is held, the repository may be, or what an
            earlier run left there cannot be removed.
    """
    refuse_what_cannot_be_allowed(settings.allow)
    if os.environ.get("CI"):  # as GitHub and GitLab say; whoever stands in a submodule by hand means that one
        refuse_submodule(project)
    _refuse_answers_of_the_change(project)
    _refuse_results_of_the_change(out, project)
    change = find_changes(base, project=project)
    guards = _guards(settings, change, project)
    if settings.budget_usd is not None and settings.budget_scope is None:
        settings = replace(settings, budget_scope=f"change of {change.base[:12]}")
    lists = {out / folder_of(f"routing of {found.folder}"): found for found in find_lists(change, project=project)}
    for folder in (*(out / folder_of(agent.path) for agent in change.agents), *lists):
        _remove_earlier(folder)
    gone = [agent.path for agent in change.agents if agent.kind in _GONE]
    held = tuple(
        _if_read(_held(agent, out / folder_of(agent.path), _Given(settings, guards, gone, project)))
        for agent in change.agents
    )
    routed = [_routed(found, folder, settings, project) for folder, found in lists.items()]
    return Checked(
        change=change,
        held=(*(_described(each, routed) for each in held), *(each for each in routed if each.outcome)),
        settings=settings,
        not_routed=tuple(f"{each.name}: {each.text}" for each in routed if not each.outcome),
    )


def refuse_what_cannot_be_allowed(allowed: Collection[str]) -> None:
    """Refuses outcomes that nothing passes by, as a typing fault is one.

    Raises:
        ChangeError: names the first, and what can be allowed.
    """
    unknown = sorted(set(allowed) - set(MAY_PASS))
    if unknown:
        raise ChangeError(f"{unknown[0]!r} cannot be allowed; what can is {', '.join(MAY_PASS)}")


def _refuse_answers_of_the_change(project: Path) -> None:
    """Refuses a ledger that is committed, or behind a link or in a submodule that is, or beside which something is
    committed that it takes in: whoever writes the change could write in it what the agents say.

    Raises:
        ChangeError: names it.
    """
    named = _kept_in()
    committed = committed_at(named, project=project, beside=True)
    if committed:
        raise ChangeError(
            f"{committed[0]} is committed, so the change could bring along what its agents say; `git rm --cached` it, "
            "commit that, or name another ledger in WORKBENCH_LEDGER"
        )
    others = repositories_at(named, project=project)
    if others:
        raise ChangeError(
            f"the ledger {named} is in {others[0]}, which is another repository, so what the agents say could be "
            "committed there; name another ledger in WORKBENCH_LEDGER"
        )


def _kept_in() -> Path:
    """The file that the ledger takes answers from, as it is named; it need not be there.

    Raises:
        LedgerError: it is no address.
    """
    if isinstance(ledger_address(), Path):
        return Path(named_ledger())
    from workbench.ledger.unsaved import read_beside  # which takes SQLAlchemy

    return read_beside(named_ledger())


def _refuse_results_of_the_change(out: Path, project: Path) -> None:
    """Refuses a folder for results of which something is committed: what a change puts where results are written could
    have them written elsewhere.

    Raises:
        ChangeError: names it.
    """
    committed = [name for name in committed_at(out, project=project) if PurePosixPath(name).name not in _KEEPS_A_FOLDER]
    if committed:
        raise ChangeError(
            f"{committed[0]} is committed, and results are written to {out}, where a change may put nothing; `git rm "
            "--cached` it, commit that, or name another folder with --out"
        )


def _remove_earlier(folder: Path) -> None:
    """Removes what an earlier run left of an agent, which says nothing of this one.

    Raises:
        ChangeError: something stays in its place.
    """
    if folder.is_symlink():
        raise ChangeError(f"{folder} is a link, and results are not written through one; remove it, or name --out")
    if not os.path.lexists(folder):
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        why = error.strerror or error
        raise ChangeError(
            f"{folder} is in the place of results and cannot be removed: {why}; remove it, or name --out"
        ) from error


def folder_of(path: str) -> str:
    """A folder for an agent, by its whole path: in two folders there may be agents of one name."""
    return folder_name(path.removesuffix(".md"))


def _guards(settings: Settings, change: Change, project: Path) -> dict[str, float | None]:
    """The guards, each a promise of some task file of the project, before the change or after it.

    Raises:
        ChangeError: one is none, as a typing fault is; names those there are.
    """
    if not settings.guards:
        return {}
    promises: set[str] = set()
    for blob in task_files_at((change.base, change.head), project=project):
        with suppress(TaskFileError):  # it is said where its own agent is held
            promises |= promises_of(_tasks_in(blob))
    guards = guards_from_texts(settings.guards, promises)
    for promise in guards:
        if promise not in promises:
            near = difflib.get_close_matches(promise, promises, n=1)
            meant = f"; {near[0]!r} may be meant" if near else ""
            known = ", ".join(map(repr, sorted(promises)[:_MOST_NAMED])) or "none"
            more = f" and {len(promises) - _MOST_NAMED} more" if len(promises) > _MOST_NAMED else ""
            raise ChangeError(
                f"no task of this project has the promise {promise!r}, so it cannot be guarded{meant}. The promises "
                f"are {known}{more}"
            )
    return guards


def _if_read(held: Held) -> Held:
    """Where Claude Code does not read the agent any more, nothing that passes, or may be allowed, does so by less."""
    outcome = OUTCOMES[held.outcome]
    if held.agent.is_read or (outcome.code and not outcome.may_pass):
        return held
    text = f"Claude Code read it at {held.agent.was}, and does not read it at {held.agent.path}. {held.text}"
    return replace(held, outcome="gone", text=text if held.agent.kind != "unread" else held.text)


@dataclass(frozen=True)
class _Given:
    """What is the same for all agents."""

    settings: Settings
    guards: Mapping[str, float | None]
    gone: Sequence[str]
    """The paths of those that the change takes away."""
    project: Path


def _held(agent: ChangedAgent, folder: Path, given: _Given) -> Held:
    """What becomes of one agent: what can be said without a trial, and else the trial."""
    settings = given.settings

    def held(outcome: str, text: str) -> Held:
        return Held(agent=agent, outcome=outcome, text=text, notes=tuple(_notes(agent, given.gone)))

    if agent.kind in _ELSEWHERE:
        return held("refused", _ELSEWHERE[agent.kind].format(by=visible(agent.by)))
    if agent.after is None or agent.kind in _GONE:
        return held("gone", _GONE[agent.kind])
    try:
        tasks = _tasks_of(agent)
        for each in tasks.values():
            plan_trials({"after": agent.after}, each, graders=standard())  # what is wrong with them is said at once
        if agent.before is None:
            later = "" if tasks else " It has no tasks, by which a later change could be held against it."
            return held("new", f"There is nothing to hold it against.{later}")
        if agent.kind == "moved":
            return held("moved", f"It was {agent.was}, and is the same.")
        if agent.kind == "tasks":
            return held("tasks", "The agent is the same, so there is nothing to try.")
        if not tasks:
            return held("no-tasks", "It changed, and has no tasks to be tried on.")
        if settings.live and (why_not := _why_nobody_answers()) is not None:
            return held(*why_not)
        return _tried(tasks, folder, given, held("incomplete", ""))
    except (BudgetError, SetupError, LedgerError) as error:
        return held("incomplete", str(error))
    except WorkbenchError as error:
        return held("refused", str(error))


def _tried(tasks: Mapping[str, tuple[Task, ...]], folder: Path, given: _Given, held: Held) -> Held:
    agent, settings = held.agent, given.settings
    assert agent.before is not None
    assert agent.after is not None
    gates: list[Gate] = []
    outcomes: list[str] = []
    summary = ""
    for when, each in tasks.items():
        plan = plan_trials(
            {"before": agent.before, "after": agent.after},
            each,
            repeats=settings.repeats,
            graders=standard(),
            model=settings.model,
        )
        where = folder / f"tasks-{when}"
        write_record_folder(where)
        _refuse_answers_of_the_change(given.project)  # again: nothing put it there since
        run = run_trials(
            plan,
            live=settings.live,
            budget_usd=settings.budget_usd,
            budget_scope=settings.budget_scope,
            progress=False,
        )
        export_record(run, where)
        write_report(
            run,
            where / "report",
            formats=("html", "md") if settings.pages else ("md",),
            baseline="before",
            project=given.project,
            files=dict.fromkeys(filter(None, (agent.was, agent.path))),
        )
        summary = summary or text_in(where / "report" / "summary.md")
        gates.append(_gate(run, given))
        outcomes.append(_outcome(run, gates[-1]))
    # By the tasks of before it is decided; by new ones an agent may fail, and pass by nothing that they make easier.
    deciding = [outcomes[0], *(name for name in outcomes[1:] if name != "undecided")]
    worst = min(deciding, key=tuple(OUTCOMES).index)
    by = {"before": "By the tasks of before", "after": "By the tasks of this change"}
    texts = [f"{by[when]}: {found.text}" for when, found in zip(tasks, gates, strict=True)]
    text = " ".join(texts) if len(texts) > 1 else gates[0].text
    if agent.tasks_before is None and worst in ("passes", "undecided"):
        worst, text = "no-tasks", f"It had no tasks before, and passes by none that come along with it. {text}"
    sent = _SENT if settings.model is None else _SENT - {"model"}
    unsent = _not_sent(agent, sent=frozenset() if gates[0].same_requests else sent)
    return replace(
        held,
        outcome=worst,
        text=text,
        notes=(*held.notes, *unsent, *_not_guarded(tasks, given.guards)),
        gates=tuple(gates),
        summary=summary,
        folder=folder,
    )


def _routed(found: ChangedList, folder: Path, settings: Settings, project: Path) -> Held:
    """What becomes of a list of agents by who gets picked; its outcome is empty where nothing is held so."""

    def held(outcome: str, text: str, **more: Any) -> Held:
        return Held(agent=found.agent, outcome=outcome, text=text, listed=found, **more)

    if not found.has_cases:
        return held("", f"Descriptions changed, and no routing cases ({FILE_NAMES[0]}) are there to say who is picked")
    if not settings.live:
        return held("stand-in", "The offline stand-in picks nobody, so the routing cases were not asked.")
    try:
        if (why_not := _why_nobody_answers()) is not None:
            return held(*why_not)
    except SetupError as error:
        return held("incomplete", str(error))
    _refuse_answers_of_the_change(project)  # again: nothing put it there since
    asking: Asking = {
        "live": True,
        "budget_usd": settings.budget_usd,
        "budget_scope": settings.budget_scope,
        "progress": False,
    }
    model = MainModel(model=settings.routing_model)
    one = hold_list(found, folder, model=model, margin=settings.routing_margin, asking=asking, pages=settings.pages)
    return held(one.outcome, one.text, notes=one.notes, routing=one.gates, folder=folder if one.gates else None)


def _described(held: Held, routed: Sequence[Held]) -> Held:
    """An agent without tasks of which nothing changed but what the main model is shown: no task could say anything of
    that, and who is picked does."""
    agent, lists = held.agent, [each.listed for each in routed if each.outcome and each.listed is not None]
    if held.outcome != "no-tasks" or agent.before is None or agent.after is None or agent.tasks_after is not None:
        return held
    before, after = agent.before, agent.after
    changed = {name for name in FIELDS if getattr(before, name) != getattr(after, name)}
    is_listed = any(agent.path.startswith(f"{each.folder}/") for each in lists)
    if not is_listed or before.prompt != after.prompt or not changed <= _SHOWN:
        return held
    return replace(held, outcome="described", text="No task could say anything of what changed; who is picked does.")


def _gate(run: Run, given: _Given) -> Gate:
    """What the gate finds, with the guards of which the tasks have the promise."""
    promises = promises_of(run.tasks)
    return gate(
        run,
        "before",
        margin=given.settings.margin,
        variant="after",
        allow_stand_in=True,
        guards={promise: margin for promise, margin in given.guards.items() if promise in promises},
    )


def _not_guarded(tasks: Mapping[str, tuple[Task, ...]], guards: Iterable[str]) -> Iterator[str]:
    promises = promises_of(task for each in tasks.values() for task in each)
    for promise in guards:
        if promise not in promises:
            yield f"No task of it has the promise {promise!r}, so that is not guarded here"


def _outcome(run: Run, found: Gate) -> str:
    if found.stand_in:
        return "stand-in"
    if found.decision == "not enough data":
        # Where so much is missing that there is no difference, it is not data that are too few.
        if found.effect is None and any(trial.score is None for trial in run.trials):
            return "incomplete"
        # Nobody is to pass by too few data for the whole while a loss is shown of a part.
        return "worse" if shown_worse(found.promises, found.criteria) else "undecided"
    return {"passes": "passes", "fails": "worse"}.get(found.decision, "incomplete")


def _tasks_of(agent: ChangedAgent) -> dict[str, tuple[Task, ...]]:
    """The tasks of before the change, and those of after it where they ask or want something else.

    Raises:
        TaskFileError: one of the files is wrong.
    """
    old, new = agent.tasks_before, agent.tasks_after
    before = None if old is None else _tasks_in(old)
    is_same = old is not None and new is not None and old.content == new.content
    after = None if new is None or is_same else _tasks_in(new)
    found = {} if before is None else {"before": before}
    if after is not None and (before is None or _asks(after) != _asks(before)):
        found["after"] = after
    return found


def _tasks_in(blob: Blob) -> tuple[Task, ...]:
    if blob.leads_to is not None:
        raise TaskFileError(
            f"is a link to {visible(blob.leads_to)}, at which the repository has no file; commit the file itself",
            path=blob.path,
        )
    return tasks_of_bytes(blob.content, Path(blob.path))


def _asks(tasks: Iterable[Task]) -> list[tuple[object, ...]]:
    """What makes the scores of tasks what they are, and by which they count as one."""
    return [(task.id, task.group, *task.scored_by) for task in tasks]


def _why_nobody_answers() -> tuple[str, str] | None:
    """The outcome and its sentence where there is no way to a model; `None`: there is one.

    Raises:
        SetupError: a setting cannot work.
    """
    if not choose_endpoint().is_stand_in:
        return None
    if comes_from_fork(os.environ):
        return "fork", "The pull request is from a fork, which is given no key; nothing was tried."
    return "no-key", (
        "Nothing was tried, for there is no key: set ANTHROPIC_API_KEY (in a workflow, a secret that is handed to this "
        "step), or ANTHROPIC_BASE_URL for a server of your own."
    )


def comes_from_fork(environment: Mapping[str, str]) -> bool:
    """Whether this is a workflow on GitHub for a pull request from another repository, or a pipeline on GitLab for a
    merge request from another project."""
    projects = [environment.get(f"CI_MERGE_REQUEST_{side}_PROJECT_ID", "") for side in ("SOURCE", "TARGET")]
    if "CI_MERGE_REQUEST_IID" in environment:
        return all(projects) and projects[0] != projects[1]
    pull = event_of(environment).get("pull_request")
    heads = [pull.get(side, {}).get("repo") or {} for side in ("head", "base")] if isinstance(pull, dict) else [{}, {}]
    return heads[0].get("full_name") != heads[1].get("full_name")


def event_of(environment: Mapping[str, str]) -> dict[str, Any]:
    """What GitHub says of why a workflow runs; empty elsewhere."""
    try:
        event = json.loads(bytes_in(environment.get("GITHUB_EVENT_PATH", "")))
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}


def base_of(environment: Mapping[str, str]) -> str | None:
    """The commit that a pull request on GitHub or a merge request on GitLab goes to; `None`: this is neither."""
    pull = event_of(environment).get("pull_request")
    if isinstance(pull, dict) and isinstance(sha := pull.get("base", {}).get("sha"), str):
        return sha
    if branch := environment.get("GITHUB_BASE_REF"):
        return f"origin/{branch}"
    return environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA") or None


def _notes(agent: ChangedAgent, gone: Sequence[str]) -> Iterator[str]:
    if agent.kind == "renamed":
        yield f"It was {agent.was}, and is held against that"
    if agent.kind == "double":
        yield f"It has the name of {agent.was}, which Claude Code may list it instead of: it is held against that"
    if agent.kind == "new" and gone:
        yield f"In the same change {', '.join(gone)} went: if it is one of them, let it keep its `name`"
    yield from _another_name(agent)
    before, after = agent.tasks_before, agent.tasks_after
    if agent.was is None or not agent.tasks_changed:
        return
    if before is None:
        yield "Its tasks are new in this very change: nobody saw them before it"
    elif after is None:
        tried = "" if agent.kind == "tasks" else ": it was tried on what they were"
        yield f"Its tasks {before.path} went in this very change{tried}"
    else:
        if agent.kind != "tasks":
            yield (
                f"Its tasks {after.path} were changed too: they decide beside those of before, and never in their place"
            )
        with suppress(TaskFileError):  # it is said in place of an outcome
            yield from _what_tasks_lost(_tasks_in(before), _tasks_in(after))


def _another_name(agent: ChangedAgent) -> Iterator[str]:
    if agent.before is not None and agent.after is not None:
        before, after = (read_as_claude_code(each).name for each in (agent.before, agent.after))
        if before is not None and before != after:
            yield f"Its name was {before!r} and is {after!r}: who asks for it by the one of before finds none"


def _what_tasks_lost(before: Sequence[Task], after: Sequence[Task]) -> Iterator[str]:
    """How much less is asked for than before the change, where it is less."""
    now = {task.id: task for task in after}
    went = [task.id for task in before if task.id not in now]
    other = [task.id for task in before if task.id in now and now[task.id].scored_by != task.scored_by]
    if went or other:
        many = counted(len(before), "task")
        yield f"Of {many} of before, {len(went)} went, and {len(other)} ask or want something else"
    if lost := sorted(promises_of(before) - promises_of(after)):
        yield f"No task has any more: {', '.join(map(repr, lost[:_MOST_NAMED]))}"


def _not_sent(agent: ChangedAgent, *, sent: Collection[str]) -> Iterator[str]:
    """What changed in the file and is no part of what a trial sends; of the fields of the header, `sent` are one."""
    assert agent.before is not None
    assert agent.after is not None
    changed = [field.key for name, field in FIELDS.items() if getattr(agent.before, name) != getattr(agent.after, name)]
    if unsent := [key for key in changed if key not in sent]:
        what = "Of what changed, this" if sent else "What changed"
        yield f"{what} is not sent in a trial, so no trial says anything about it: {', '.join(unsent)}"
