"""What a change in git does to agents: which it edits, renames, adds and removes, and what becomes of their tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.project import CLAUDE_FOLDER
from workbench.errors import ChangeError
from workbench.project import elsewhere
from workbench.project.elsewhere import beside_agents, find_elsewhere
from workbench.project.repository import Blob, Repository, Statuses, folded, has_fence, is_place

Kind = (
    Literal["edited", "renamed", "moved", "double", "new", "removed", "replaced", "dropped", "unread", "tasks"]
    | elsewhere.Kind
)


@dataclass(frozen=True, kw_only=True)
class ChangedAgent:
    """An agent file that a change touches, or whose tasks it touches."""

    kind: Kind
    """`edited`; `renamed`: and edited; `moved`: renamed alone; `double`: in `.claude/agents`, and since the change with
    the name of one that stays there, `was`, which Claude Code may list it instead of; `new`; `removed`; `replaced`: its
    file is such a double now; `dropped`: the file is there, and Claude Code lists no agent for it any more; `tasks`:
    only its tasks changed; `unread`: what made a plugin of its folder is gone; the others are of `Elsewhere`, and no
    agent."""
    path: str
    """Where it is after the change, or was, where it is gone; from the root of the repository."""
    was: str | None
    """Where it was before the change; `None`: it is new."""
    before: Agent | None = field(default=None, repr=False)
    after: Agent | None = field(default=None, repr=False)
    line: int = 1
    """The first line of the file that is another, from 1; in a file that is gone, 1."""
    tasks_before: Blob | None = None
    """The task file that it had before the change; `None`: none."""
    tasks_after: Blob | None = None
    is_read: bool = True
    """False: Claude Code read it where it was, and does not where it is."""
    by: str = ""
    """As in `Elsewhere`."""

    @property
    def tasks_changed(self) -> bool:
        """Whether the change edits, adds or removes its tasks."""
        before, after = self.tasks_before, self.tasks_after
        return (before and (before.content, before.leads_to)) != (after and (after.content, after.leads_to))


@dataclass(frozen=True, kw_only=True)
class Change:
    """What lies between two commits."""

    base: str
    """The commit that both sides began at, 40 hex digits."""
    head: str
    agents: tuple[ChangedAgent, ...]
    not_committed: tuple[str, ...] = ()
    """Agent files that are another on the disk than in the last commit, or new there; from the root of the repository.
    They count for nothing."""
    beside: tuple[str, ...] = ()
    """What else it changes that may change what Claude Code makes of agents, and that no trial looks at: settings, the
    manifests of plugins, submodules that are not checked out here."""


def find_changes(base: str, *, project: Path, head: str = "HEAD") -> Change:
    """The agents that were changed since the commit at which `base` and `head` parted, by their paths.

    Agents are the Markdown files with a frontmatter fence in folders named `agents`, whoever reads them: `.claude`, a
    plugin, a plain folder; a link to a file or a folder counts as what it leads to. One that was renamed is paired with
    what it was by the name that the agent has, then by git. Only what is committed counts.

    Raises:
        ChangeError: there is no git, no repository, no such commit, or no common ancestor.
    """
    git = Repository(project)
    parted, head_commit = commits = git.parted(base, head), git.commit(head)
    status = _with_linked(git.statuses(*commits), git, *commits)
    return Change(
        base=parted,
        head=head_commit,
        agents=tuple(sorted(_agents(git, commits, status), key=lambda agent: agent.path)),
        not_committed=tuple(path for path in git.not_committed() if is_place(path) and git.begins_as_agent(path)),
        beside=beside_agents(git, commits, status),
    )


def _agents(git: Repository, commits: tuple[str, str], status: Statuses) -> list[ChangedAgent]:
    found = [agent for pair in _paired(status, git, *commits) for agent in _of_pair(git, *pair, commits)]
    known = {agent.path for agent in found} | {agent.was for agent in found}
    for path in sorted(git.files(commits[1]) - known):
        if is_place(path):
            found += _not_edited(git, path, commits, status.touched)
    nowhere = [each for each in find_elsewhere(git, commits, status) if each.kind != "link" or each.path not in known]
    found = [agent for agent in found if agent.path not in {each.path for each in nowhere}]
    return found + [ChangedAgent(kind=each.kind, path=each.path, was=None, by=each.by) for each in nowhere]


def _of_pair(git: Repository, was: str | None, path: str | None, commits: tuple[str, str]) -> Iterator[ChangedAgent]:
    """What became of an agent that was at one path, and of the one that is at the other."""
    twin = None if path is None else _twin(git, was, path, commits)
    if was is not None and twin is not None:
        gone = _changed(git, was, None, commits)
        if gone is not None:
            yield replace(gone, kind="replaced")
    one = _changed(git, twin or was, path, commits)
    if one is not None:
        yield one if twin is None else replace(one, kind="double", is_read=True)


def _with_linked(status: Statuses, git: Repository, parted: str, head: str) -> Statuses:
    """With the places that hold something else because what they are linked to was changed, or they lead elsewhere
    now. What leads to where an agent is, before and after, is found there."""
    found: dict[str, list[str]] = {"edited": [], "added": [], "removed": []}
    for path in sorted(git.linked(parted) | git.linked(head)):
        if not is_place(path) or path in status.touched or _is_found_elsewhere(git, path, (parted, head)):
            continue
        before, after = git.content(parted, path), git.content(head, path)
        if before != after:
            found["added" if before is None else "removed" if after is None else "edited"].append(path)
    return replace(
        status,
        edited=(*status.edited, *found["edited"]),
        added=(*status.added, *found["added"]),
        removed=(*status.removed, *found["removed"]),
    )


def _is_found_elsewhere(git: Repository, path: str, commits: tuple[str, str]) -> bool:
    ends = {git.real(commit, path) for commit in commits}
    end = next(iter(ends))
    return len(ends) == 1 and end is not None and end != path and is_place(end)


def _paired(status: Statuses, git: Repository, parted: str, head: str) -> list[tuple[str | None, str | None]]:
    """Each file before and after the change.

    The name of an agent says more of who it is than where it is or how much of its text is left: an agent that moves
    into another file while its own becomes somebody else is held against itself, and a decoy that keeps the old text
    under another name is not it.
    """
    by_git = dict(status.renamed)
    gone = (*status.edited, *status.removed, *by_git)
    come = (*status.edited, *status.added, *by_git.values())
    before = {path: _name(git.content(parted, path)) for path in gone if is_place(path)}
    after = {path: _name(git.content(head, path)) for path in come if is_place(path)}

    def is_named_alike(was: str, path: str) -> bool:
        return before[was] is not None and before[was] == after[path]

    alike: tuple[Callable[[str, str], bool], ...] = (
        lambda was, path: was == path and is_named_alike(was, path),
        lambda was, path: by_git.get(was) == path and is_named_alike(was, path),
        lambda was, path: PurePosixPath(was).name == PurePosixPath(path).name and is_named_alike(was, path),
        is_named_alike,
        lambda was, path: was == path,
        lambda was, path: by_git.get(was) == path,
    )
    pairs: list[tuple[str | None, str | None]] = []
    for is_the_same in alike:
        for was in tuple(before):
            path = next((path for path in after if is_the_same(was, path)), None)
            if path is not None:
                pairs.append((was, path))
                del before[was], after[path]
    return [*pairs, *((was, None) for was in before), *((None, path) for path in after)]


@lru_cache(maxsize=4096)
def _name(content: bytes | None) -> str | None:
    return read_as_claude_code(parse_agent(content)).name if content is not None and has_fence(content) else None


def _twin(git: Repository, was: str | None, path: str, commits: tuple[str, str]) -> str | None:
    """The agent that had the name that this one took on in the same `.claude/agents` before the change, wherever it is
    now; `None` also where this one had its name before."""
    parted, head = commits
    if was is not None and _name(git.content(parted, was)) == _name(git.content(head, path)):
        return None
    folder = PurePosixPath(path).parts[: PurePosixPath(path).parts.index("agents") + 1]
    name = _name(git.content(head, path)) if folder[-2:-1] == (CLAUDE_FOLDER,) else None
    if name is None:
        return None
    for other in sorted(git.files(parted)):
        is_near = other != path and PurePosixPath(other).parts[: len(folder)] == folder and is_place(other)
        if is_near and _name(git.content(parted, other)) == name:
            return other
    return None


def _changed(git: Repository, was: str | None, path: str | None, commits: tuple[str, str]) -> ChangedAgent | None:
    parted, head = commits
    agent_before = None if was is None else git.agent(parted, was)
    agent_after = None if path is None else git.agent(head, path)
    if agent_before is None and agent_after is None:
        return None  # a README
    is_same = was is not None and path is not None and git.content(parted, was) == git.content(head, path)
    if agent_before is None:
        kind: Kind = "new"
    elif path is None:
        kind = "removed"
    elif agent_after is None:
        kind = "dropped"
    elif was == path:
        if is_same:
            return None  # its mode, or what it is a link to
        kind = "edited"
    else:
        kind = "moved" if is_same else "renamed"
    place = path or was or ""
    return ChangedAgent(
        kind=kind,
        path=place,
        was=None if agent_before is None else was,
        before=agent_before,
        after=agent_after,
        line=git.first_line((parted, was), (head, path)) if was is not None and path is not None else 1,
        tasks_before=None if was is None else git.tasks(parted, was),
        tasks_after=git.tasks(head, place) or (git.tasks(head, was) if was is not None else None),
        is_read=was is None or path is None or _is_still_read(git, was, path, commits),
    )


def _is_still_read(git: Repository, was: str, path: str, commits: tuple[str, str]) -> bool:
    """Whether Claude Code finds an agent that it found before the change: in the folder of the same project or of one
    above it, or in the same plugin."""
    before, after = git.reader(commits[0], was), git.reader(commits[1], path)
    if before is None or before == after:
        return True
    if after is None or (before[0], after[0]) != ("project", "project"):
        return False
    return PurePosixPath(before[1]).is_relative_to(after[1])


def _not_edited(
    git: Repository, path: str, commits: tuple[str, str], touched: frozenset[str]
) -> Iterator[ChangedAgent]:
    """The agent at this path, where the change does not edit it: where Claude Code lists it no more, or does not read
    it, or its tasks changed."""
    parted, head = commits
    before, after = git.agent(parted, path), git.agent(head, path)
    if before is None or _is_found_elsewhere(git, path, commits):
        return
    found = ChangedAgent(kind="tasks", path=path, was=path, before=before, after=after)
    if after is None:
        yield replace(found, kind="dropped")
        return
    if not _is_still_read(git, path, path, commits):
        yield replace(found, kind="unread", is_read=False)
    elif not touched.isdisjoint({path, *git.task_paths(parted, path), *git.task_paths(head, path)}):
        found = replace(found, tasks_before=git.tasks(parted, path), tasks_after=git.tasks(head, path))
        if found.tasks_changed:
            yield found


def task_files_at(commits: Iterable[str], *, project: Path) -> tuple[Blob, ...]:
    """The task files of all agents that these commits have.

    Raises:
        ChangeError: there is no git, no repository, or no such commit.
    """
    git = Repository(project)
    found = (git.tasks(commit, path) for commit in commits for path in sorted(git.files(commit)) if is_place(path))
    return tuple(blob for blob in found if blob is not None)


def committed_at(path: Path, *, project: Path, head: str = "HEAD", beside: bool = False) -> tuple[str, ...]:
    """What the commit holds on the way to this path, such as a link or a submodule, at it and below it; with `beside`
    also what lies beside it and has a name that begins with its own. For some file systems names are the same that
    differ in case alone, or in how a letter with an accent is written.

    Raises:
        ChangeError: there is no git, no repository, or no such commit.
    """
    git = Repository(project)
    places = [folded(place.as_posix()) for place in _places(path, git.root)]

    def is_met(name: str) -> bool:
        entry = folded(name)
        return any(_meet(entry, place) or (beside and _is_beside(entry, place)) for place in places)

    return tuple(name for name in git.entries(git.commit(head)) if is_met(name))


def repositories_at(path: Path, *, project: Path) -> tuple[str, ...]:
    """The folders on the way to this path, below the root of the project's repository, that are another repository.

    Raises:
        ChangeError: there is no git, or no repository.
    """
    root = Repository(project).root
    above = dict.fromkeys(folder for place in _places(path, root) for folder in place.parents if folder.parts)
    return tuple(folder.as_posix() for folder in above if os.path.lexists(root / folder / ".git"))


def refuse_submodule(project: Path) -> None:
    """Refuses a project that is a submodule of what a workflow checked out: the change of a commit there puts any
    repository in its place, with any history.

    Raises:
        ChangeError: names both; or there is no git, or no repository.
    """
    git = Repository(project)
    if git.around is not None:
        raise ChangeError(
            f"{git.root} is a submodule of {git.around}, so the change could put another repository in its place; hold "
            "its agents in a workflow of its own repository"
        )


def _places(path: Path, root: Path) -> set[Path]:
    """Where this is below the root, as it is named and where links lead; none where it is elsewhere."""
    named, real = Path(os.path.normpath(path.absolute())), Path(os.path.realpath(path))
    found = {named.relative_to(above) for above in (named, *named.parents) if os.path.realpath(above) == str(root)}
    return found | ({real.relative_to(root)} if real.is_relative_to(root) else set())


def _meet(entry: tuple[str, ...], place: tuple[str, ...]) -> bool:
    """Whether one of them is the other, or above it."""
    return all(one == other for one, other in zip(entry, place, strict=False))


def _is_beside(entry: tuple[str, ...], place: tuple[str, ...]) -> bool:
    return (
        bool(place) and _meet(entry, place[:-1]) and "".join(entry[len(place) - 1 : len(place)]).startswith(place[-1])
    )
