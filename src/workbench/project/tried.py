"""The versions of an agent of this project that were ever tried: gathered from its ledger and its records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from workbench.comparison.agent_versions import AgentVersions, VersionAttempt, compare_versions
from workbench.definition.agent import Agent
from workbench.definition.committed import Commit, commit_with, commits_of, load_committed
from workbench.definition.draft import Draft
from workbench.definition.files import load_agent
from workbench.definition.finding import find_agents
from workbench.definition.lines import plain_line_ends
from workbench.definition.project import RECORD_FILE, project_folder
from workbench.definition.there import is_folder_there
from workbench.errors import AgentFileError, ComparisonError, RecordError
from workbench.grading.catalogue import standard
from workbench.ledger.file import ledger_address
from workbench.ledger.store import Ledger, opened_ledger
from workbench.ledger.versions import find_replies, find_versions
from workbench.runs.plan import make_request
from workbench.trial import record
from workbench.trial.catalogue import OFFLINE_BASE_URL
from workbench.trial.defaults import LAST_VERSIONS
from workbench.trial.description_tasks import load_tasks_for
from workbench.trial.graded import grade_trial, grader_faults, graders_by_task
from workbench.trial.task import Task, load_tasks
from workbench.trial.trial import Endpoint, Failure, Grader, Reply, Request, Trial

RECORDS = "outputs"
"""The folder of a project in which records are looked for."""


@dataclass
class _Graders:
    """The tasks of now, by which whatever asked the same is graded; other tasks are graded as they say themselves."""

    tasks: Mapping[str, Task]
    """By message."""
    made: dict[int, Mapping[str, Grader]] = field(default_factory=dict)
    left_out: dict[str, None] = field(default_factory=dict)

    def task_of(self, message: str, own: Task | None) -> Task | None:
        return self.tasks.get(message, own)

    def score(self, trial: Trial, task: Task) -> float | None:
        if id(task) not in self.made:
            faulty = [spec for _, spec, _ in grader_faults([task], standard())]
            if faulty:
                names = ", ".join(spec.name for spec in faulty)
                self.left_out[f"task {task.id!r}: there is no such grader here, or it takes other options: {names}"] = (
                    None
                )
            kept = replace(task, graders=tuple(spec for spec in task.graders if spec not in faulty))
            self.made[id(task)] = graders_by_task([kept], standard())[kept.id]
        return grade_trial(trial, task, self.made[id(task)]).score


def tried_versions(
    agent: str | Path,
    *,
    records: Sequence[str | Path] | None = None,
    ledger: Ledger | str | Path | None = None,
    tasks: str | Path | None = None,
    last: int = LAST_VERSIONS,
) -> AgentVersions:
    """Every version of the agent in this file that was ever tried, with its scores, held against the newest.

    Replies are looked for in the ledger, by default the usual one, and in the records below the folders `records`, by
    default `outputs` of the project. They are graded here, by the graders of the agent's tasks of now (`tasks` names
    another file), where those ask the same; else by those that a record names itself.

    Raises:
        AgentFileError: the file cannot be read.
        LedgerError: the ledger cannot be read.
        RecordError: there is no such folder of records.
        TaskFileError: the task file is wrong.
    """
    path = Path(agent)
    disk = load_agent(path)
    commits = _committed(path, last)
    names = {name for each in (disk, *commits.values()) if (name := each.name)}
    names |= {path.stem, *(Path(each.file).stem for each in commits)}
    known = load_tasks(tasks) if tasks is not None else load_tasks_for(disk)
    graders = _Graders(tasks={task.message: task for task in known})
    folders = [project_folder(path.resolve().parent) / RECORDS] if records is None else [Path(each) for each in records]
    for missing in [each for each in records or () if not is_folder_there(each)]:
        raise RecordError("there is no such folder", path=missing)
    agents: dict[str, Agent] = {}
    attempts = [*_of_ledger(ledger, names, agents, graders)]
    for folder in dict.fromkeys(found.parent for each in folders for found in sorted(each.rglob(RECORD_FILE))):
        try:
            attempts += _of_record(folder, names, agents, graders)
        except RecordError as error:
            graders.left_out[str(error)] = None
    for digest, whole in {**{each.digest: each for each in commits.values()}, disk.digest: disk}.items():
        if digest in agents:  # where the record that it was found in has secrets taken out
            agents[digest] = whole
    others = _of_other_files(path, names) - {each.digest for each in commits.values()} - {disk.digest}
    found = compare_versions(
        disk.name or path.stem,
        agents,
        [one for one in attempts if one.version not in others],
        on_disk=disk.digest,
        last=last,
        left_out=tuple(graders.left_out),
    )
    tried = {plain_line_ends(agents[digest].text) for digest in {one.version for one in attempts}}
    untried = [
        each
        for each, agent in commits.items()
        if plain_line_ends(agent.text) not in {*tried, plain_line_ends(disk.text)}
    ]
    former = [each.file for each in commits]
    known_as = {
        digest: commit_with(path, agents[digest].to_bytes(), former=former, everywhere=True) or ""
        for digest in dict.fromkeys(each.digest for each in found.versions)
    }
    return replace(
        found,
        by_model=tuple(
            replace(group, versions=tuple(replace(each, commit=known_as[each.digest]) for each in group.versions))
            for group in found.by_model
        ),
        untried=tuple(_told(path, each) for each in untried),
    )


def _committed(path: Path, most: int) -> dict[Commit, Agent]:
    """The last commits of the file, the newest first, each with the agent as it was then."""
    return {each: load_committed(path, f"{each.commit}:{each.file}") for each in commits_of(path, most=most)}


def _told(path: Path, commit: Commit) -> str:
    """A commit, with the name that the file had then where it was another."""
    file = "" if Path(commit.file).name == path.name else f":{commit.file}"
    return f"{commit.commit}{file} of {commit.day}: {commit.subject}"


def _of_other_files(path: Path, names: set[str]) -> set[str]:
    """The digests of other files of the project whose agents are called the same: what was said of these is not of this
    one."""
    found = set()
    for each in find_agents(project_folder(path.resolve().parent)):
        if each.path.resolve() != path.resolve() and each.name.rpartition(":")[2] in names:
            found |= {
                load_agent(each.path).digest,
                *(agent.digest for agent in _committed(each.path, LAST_VERSIONS).values()),
            }
    return found


def find_version(agent: str | Path, version: str, found: AgentVersions) -> Agent:
    """The agent as it was in a version: the digest of one that was tried, or a revision of git.

    Raises:
        AgentFileError: it is neither, or several that were tried begin so.
    """
    if any(version and each.digest.startswith(version) for each in found.versions):
        try:
            return found.agent(version)
        except ComparisonError as error:
            raise AgentFileError(f"{error}; name it by more of its digits", path=agent) from error
    try:
        return load_committed(agent, version)
    except AgentFileError as error:
        raise AgentFileError(
            f"no version that was tried begins with {version!r}; and as a revision: {error}"
        ) from error


def restore_version(agent: str | Path, version: str, found: AgentVersions) -> Draft:
    """Makes a version the draft of the agent's file, and gives the draft. The file stays as it is: an open editor shows
    the draft, the next one offers it, and whoever likes it saves it. A draft that an earlier process kept is moved
    aside.

    Raises:
        AgentFileError: there is no such version or more than one, the file says the same, or its draft has edits of
            this process.
    """
    restored = find_version(agent, version, found)
    draft = Draft(load_agent(agent))
    with draft.lock:
        if draft.is_edited:
            raise AgentFileError("its draft has edits that are not saved; save or revert them first", path=agent)
        if restored.text == draft.text:
            raise AgentFileError(f"says what {version} said, so there is nothing to restore", path=agent)
        draft.type_text(plain_line_ends(restored.text))
        draft.look()
    return draft


def _of_ledger(
    ledger: Ledger | str | Path | None, names: set[str], agents: dict[str, Agent], graders: _Graders
) -> Iterator[VersionAttempt]:
    """Of what asked one of the tasks of now: what a ledger was asked else, it cannot grade."""
    if not isinstance(ledger, Ledger):
        address = ledger_address(ledger)
        if isinstance(address, Path) and not address.exists():
            return
    with opened_ledger(ledger) as opened:
        agents |= {each.sha256: each.agent for each in find_versions(opened, names)}
        replies = find_replies(opened, list(agents))
    for each in replies:
        task = graders.task_of(each.message, None)
        if task is None:
            continue
        is_stand_in = each.endpoint == OFFLINE_BASE_URL
        trial = Trial(
            variant="",
            task_id=task.id,
            repeat=0,
            request=Request(model=each.model, system="", messages=(), max_tokens=1),
            endpoint=Endpoint(kind="offline" if is_stand_in else "live", base_url=each.endpoint),
            reply=Reply(text=each.text, stop_reason=each.stop_reason),
            failure=None if each.whole else Failure(type="broken", message=""),
        )
        yield VersionAttempt(
            version=each.sha256,
            model=each.model,
            effort=each.effort,
            is_own=_is_own(agents[each.sha256], each.model, each.effort),
            is_stand_in=trial.endpoint.is_stand_in,
            task=task,
            key=each.key,
            score=graders.score(trial, task),
            at=each.at,
        )


def _of_record(folder: Path, names: set[str], agents: dict[str, Agent], graders: _Graders) -> list[VersionAttempt]:
    run = record.load_run(folder)
    digests = record.agent_digests(run)
    versions = {variant: digests[variant] for variant, agent in run.variants.items() if agent.name in names}
    own = {task.id: task for task in run.tasks}
    found = []
    for trial in run.trials:
        if trial.variant not in versions or trial.outcome == "stopped":
            continue
        agents.setdefault(versions[trial.variant], run.variants[trial.variant])
        task = graders.task_of(own[trial.task_id].message, own[trial.task_id])
        assert task is not None
        found.append(
            VersionAttempt(
                version=versions[trial.variant],
                model=trial.request.model,
                effort=trial.request.effort,
                is_own=_is_own(run.variants[trial.variant], trial.request.model, trial.request.effort),
                is_stand_in=trial.endpoint.is_stand_in,
                task=task,
                key=trial.key,
                score=graders.score(trial, task),
                at=(trial.reply.at if trial.reply else None) or "",
            )
        )
    return found


def _is_own(agent: Agent, model: str, effort: str | None) -> bool:
    sent = make_request(agent, "")
    return (sent.model, sent.effort) == (model, effort)
