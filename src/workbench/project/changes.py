"""What a change in git does to agents: which it edits, renames, adds and removes, and what becomes of their tasks."""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.project import CLAUDE_FOLDER
from workbench.errors import ChangeError
from workbench.trial.task_files import task_files_for

Kind = Literal["edited", "renamed", "moved", "double", "new", "removed", "replaced", "dropped", "tasks"]

ALIKE = "30%"
"""Files of which so much is the same are a renamed one to git; others are paired by the agent's name."""
_SECONDS = 60
_MOST_LINKS = 20
"""That are followed from one to the next."""
_HUNK = re.compile(rb"^@@ -\d+(?:,\d+)? \+(\d+)", re.MULTILINE)
_NO_AGENTS = {"node_modules", "site-packages", "outputs"}


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A file as a commit has it."""

    path: str
    """From the root of the repository, with slashes."""
    content: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ChangedAgent:
    """An agent file that a change touches, or whose tasks it touches."""

    kind: Kind
    """`edited`; `renamed`: and edited; `moved`: renamed alone; `double`: in `.claude/agents`, and since the change with
    the name of one that stays there, `was`, which Claude Code may list it instead of; `new`; `removed`; `replaced`: its
    file is such a double now; `dropped`: the file is there, and Claude Code lists no agent for it any more; `tasks`:
    only its tasks changed."""
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

    @property
    def tasks_changed(self) -> bool:
        """Whether the change edits, adds or removes its tasks."""
        before, after = self.tasks_before, self.tasks_after
        return (before and before.content) != (after and after.content)


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


def find_changes(base: str, *, project: Path, head: str = "HEAD") -> Change:
    """The agents that were changed since the commit at which `base` and `head` parted, by their paths.

    Agents are the Markdown files with a frontmatter fence in folders named `agents`, whoever reads them: `.claude`, a
    plugin, a plain folder; a link to a file or a folder counts as what it leads to. One that was renamed is paired with
    what it was by the name that the agent has, then by git. Only what is committed counts.

    Raises:
        ChangeError: there is no git, no repository, no such commit, or no common ancestor.
    """
    git = _Git(project)
    parted, head_commit = git.parted(base, head), git.commit(head)
    status = _with_linked(git.statuses(parted, head_commit), git, parted, head_commit)
    found: list[ChangedAgent | None] = []
    for was, path in _paired(status, git, parted, head_commit):
        twin = None if path is None else _twin(git, was, path, (parted, head_commit))
        if was is not None and twin is not None:
            one = _changed(git, was, None, git.content(parted, was), None, (parted, head_commit))
            found.append(one if one is None else replace(one, kind="replaced"))
            was = None
        before = None if (was or twin) is None else git.content(parted, was or twin or "")
        after = None if path is None else git.content(head_commit, path)
        one = _changed(git, was or twin, path, before, after, (parted, head_commit))
        found.append(one if one is None or twin is None else replace(one, kind="double"))
    agents = [agent for agent in found if agent is not None]
    known = {agent.path for agent in agents} | {agent.was for agent in agents}
    for path in git.files(head_commit):
        if _is_place(path) and path not in known and path not in status.touched:
            agents += _with_other_tasks(git, path, (parted, head_commit), status.touched)
    return Change(
        base=parted,
        head=head_commit,
        agents=tuple(sorted(agents, key=lambda agent: agent.path)),
        not_committed=tuple(path for path in git.not_committed() if _is_place(path) and git.has_fence(path)),
    )


@dataclass(frozen=True, kw_only=True)
class _Statuses:
    edited: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    """By git: before and after."""
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def touched(self) -> frozenset[str]:
        both = (path for pair in self.renamed for path in pair)
        return frozenset((*self.edited, *self.added, *self.removed, *both))


def _with_linked(status: _Statuses, git: _Git, parted: str, head: str) -> _Statuses:
    """With the places that hold something else because what they are linked to was changed."""
    found: dict[str, list[str]] = {"edited": [], "added": [], "removed": []}
    for path in sorted(git.linked(parted) | git.linked(head)):
        before, after = git.content(parted, path), git.content(head, path)
        if _is_place(path) and path not in status.touched and before != after:
            found["added" if before is None else "removed" if after is None else "edited"].append(path)
    return replace(
        status,
        edited=(*status.edited, *found["edited"]),
        added=(*status.added, *found["added"]),
        removed=(*status.removed, *found["removed"]),
    )


def _paired(status: _Statuses, git: _Git, parted: str, head: str) -> list[tuple[str | None, str | None]]:
    """Each file before and after the change.

    The name of an agent says more of who it is than where it is or how much of its text is left: an agent that moves
    into another file while its own becomes somebody else is held against itself, and a decoy that keeps the old text
    under another name is not it.
    """
    by_git = dict(status.renamed)
    gone = (*status.edited, *status.removed, *by_git)
    come = (*status.edited, *status.added, *by_git.values())
    before = {path: _name(git.content(parted, path)) for path in gone if _is_place(path)}
    after = {path: _name(git.content(head, path)) for path in come if _is_place(path)}

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
    agent = _agent(content, "")
    return None if agent is None else read_as_claude_code(agent).name


def _twin(git: _Git, was: str | None, path: str, commits: tuple[str, str]) -> str | None:
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
        is_near = other != path and PurePosixPath(other).parts[: len(folder)] == folder and _is_place(other)
        if is_near and _name(git.content(parted, other)) == name:
            return other
    return None


def _changed(
    git: _Git, was: str | None, path: str | None, before: bytes | None, after: bytes | None, commits: tuple[str, str]
) -> ChangedAgent | None:
    agent_before, agent_after = _agent(before, was or ""), _agent(after, path or "")
    if agent_before is None and agent_after is None:
        return None  # a README
    if agent_before is None:
        kind: Kind = "new"
    elif path is None:
        kind = "removed"
    elif agent_after is None:
        kind = "dropped"
    elif was == path:
        kind = "edited"
    else:
        kind = "moved" if before == after else "renamed"
    parted, head = commits
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
    )


def _with_other_tasks(
    git: _Git, path: str, commits: tuple[str, str], touched: frozenset[str]
) -> Iterable[ChangedAgent]:
    """The agent at this path, where the change edits nothing but its tasks."""
    if touched.isdisjoint(git.task_paths(path)):
        return
    parted, head = commits
    content = git.content(head, path)
    agent = _agent(content, path)
    if agent is not None:
        found = ChangedAgent(
            kind="tasks",
            path=path,
            was=path,
            before=agent,
            after=agent,
            tasks_before=git.tasks(parted, path),
            tasks_after=git.tasks(head, path),
        )
        if found.tasks_changed:
            yield found


def _is_place(path: str) -> bool:
    """Whether an agent could be there: a Markdown file in a folder named `agents`, outside of what runs leave."""
    *folders, name = PurePosixPath(path).parts
    return name.endswith(".md") and "agents" in folders and _NO_AGENTS.isdisjoint(folders)


def _agent(content: bytes | None, path: str) -> Agent | None:
    """The agent that Claude Code lists for this file; `None`: it lists none."""
    if content is None or not content.removeprefix(b"\xef\xbb\xbf").startswith(b"---"):
        return None
    agent = parse_agent(content, path=Path(path))
    return agent if read_as_claude_code(agent).listed else None


def committed_at(path: Path, *, project: Path, head: str = "HEAD") -> tuple[str, ...]:
    """What the commit holds where this file is: the file, and those beside it whose names begin with its own.

    Raises:
        ChangeError: there is no git, no repository, or no such commit.
    """
    git = _Git(project)
    commit = git.commit(head)
    if not path.is_relative_to(git.root):
        return ()
    place = path.relative_to(git.root).as_posix()
    return tuple(name for name in git.entries(commit) if name.startswith(place))


class _Git:
    """A repository, asked by its commands; what it said of a commit is kept."""

    def __init__(self, project: Path) -> None:
        if shutil.which("git") is None:
            raise ChangeError("git is not installed, and what changed is asked of it")
        self._folder = project
        done = self._run("rev-parse", "--show-toplevel")
        if done.returncode != 0:
            raise ChangeError(f"{project} is in no git repository")
        self._folder = self.root = Path(done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")).resolve()
        self._trees: dict[str, Mapping[str, str]] = {}
        self._contents: dict[tuple[str, str], bytes] = {}

    def commit(self, name: str) -> str:
        done = self._run("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
        if done.returncode != 0:
            raise ChangeError(
                f"git knows no commit {name!r} here; a checkout in CI needs the whole history (`fetch-depth: 0`)"
            )
        return done.stdout.decode().strip()

    def parted(self, base: str, head: str) -> str:
        done = self._run("merge-base", self.commit(base), self.commit(head))
        if done.returncode != 0:
            raise ChangeError(
                f"{base!r} and {head!r} have no common ancestor here; a checkout in CI needs the whole history "
                "(`fetch-depth: 0`)"
            )
        return done.stdout.decode().strip()

    def statuses(self, before: str, after: str) -> _Statuses:
        said = self._said("diff", "--name-status", "-z", f"--find-renames={ALIKE}", "-l0", before, after)
        words = iter(said.decode("utf-8", "surrogateescape").split("\0"))
        found: Mapping[str, list[str]] = {"A": [], "D": [], "M": []}
        renamed = []
        for status in words:
            if not status:
                break
            if status[0] == "R":
                renamed.append((next(words), next(words)))
            else:
                found["M" if status[0] == "T" else status[0]].append(next(words))
        return _Statuses(
            edited=tuple(found["M"]), renamed=tuple(renamed), added=tuple(found["A"]), removed=tuple(found["D"])
        )

    def not_committed(self) -> list[str]:
        """The files that are another on the disk than in the last commit, new and removed ones included."""
        changed = self._said("diff", "--name-only", "-z", "HEAD")
        new = self._said("ls-files", "--others", "--exclude-standard", "-z")
        return sorted(filter(None, (changed + new).decode("utf-8", "surrogateescape").split("\0")))

    def has_fence(self, path: str) -> bool:
        """Whether the file on the disk, or where it is gone that of the last commit, begins as an agent file does."""
        file = self.root / path
        content = file.read_bytes() if file.is_file() else self.content(self.commit("HEAD"), path)
        return (content or b"").removeprefix(b"\xef\xbb\xbf").startswith(b"---")

    def files(self, commit: str) -> frozenset[str]:
        """The files of a commit, those that a link leads to included; no submodules, which are commits elsewhere."""
        return frozenset(self._real_paths(commit))

    def entries(self, commit: str) -> tuple[str, ...]:
        """All that a commit has a path for: files, links and submodules."""
        said = self._said("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
        return tuple(filter(None, said.decode("utf-8", "surrogateescape").split("\0")))

    def linked(self, commit: str) -> frozenset[str]:
        """Those of them that stand elsewhere."""
        return frozenset(path for path, real in self._real_paths(commit).items() if path != real)

    def content(self, commit: str, path: str) -> bytes | None:
        """The bytes of a file; `None`: the commit has none there."""
        real = self._real_paths(commit).get(path)
        if real is None:
            return None
        if (commit, real) not in self._contents:
            self._contents[commit, real] = self._said("cat-file", "blob", f"{commit}:{real}")
        return self._contents[commit, real]

    def _real_paths(self, commit: str) -> Mapping[str, str]:
        """By the path of each file, where the commit has its bytes. Links in folders of agents are followed: Claude
        Code follows them too."""
        if commit not in self._trees:
            said = self._said("ls-tree", "-r", "-z", commit).decode("utf-8", "surrogateescape")
            listed = [entry.partition("\t") for entry in said.split("\0") if entry]
            files = {path: path for about, _, path in listed if about.startswith("100")}
            links = {path for about, _, path in listed if about.startswith("120000")}
            aliases = {
                path: real
                for link in sorted(links)
                if "agents" in PurePosixPath(link).parts
                for path, real in self._led_to(commit, link, files, links)
                if not _is_place(real)  # it is found where it is
            }
            self._trees[commit] = {**aliases, **files}
        return self._trees[commit]

    def _led_to(
        self, commit: str, link: str, files: Iterable[str], links: Collection[str]
    ) -> Iterable[tuple[str, str]]:
        """The files at or below a link, each with where it really is; none where it leads out of the repository."""
        real = link
        for _ in range(_MOST_LINKS):
            folders = [str(folder) for folder in (PurePosixPath(real), *PurePosixPath(real).parents)]
            step = next((folder for folder in folders if folder in links), None)
            if step is None:
                break
            target = self._said("cat-file", "blob", f"{commit}:{step}").decode("utf-8", "surrogateescape")
            real = posixpath.normpath(posixpath.join(posixpath.dirname(step), target + real[len(step) :]))
        for path in files:
            if path == real or path.startswith(f"{real}/"):
                yield link + path[len(real) :], path

    def task_paths(self, path: str) -> list[str]:
        """Where the tasks of the agent at this path may be, the place that counts first."""
        places = (place for place in task_files_for(self.root / path))
        return [place.relative_to(self.root).as_posix() for place in places if place.is_relative_to(self.root)]

    def tasks(self, commit: str, path: str) -> Blob | None:
        for place in self.task_paths(path):
            if (content := self.content(commit, place)) is not None:
                return Blob(path=place, content=content)
        return None

    def first_line(self, before: tuple[str, str], after: tuple[str, str]) -> int:
        """The first line that is another, from 1, of a file in a commit beside one in another."""
        old, new = (f"{commit}:{self._real_paths(commit).get(path, path)}" for commit, path in (before, after))
        done = self._run("diff", "--no-color", "--no-ext-diff", "--no-textconv", "-U0", old, new)
        found = _HUNK.search(done.stdout)
        return max(1, int(found[1])) if found else 1

    def _said(self, *arguments: str) -> bytes:
        done = self._run(*arguments)
        if done.returncode != 0:
            raise ChangeError(f"git {arguments[0]}: {done.stderr.decode('utf-8', 'replace').strip()}")
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", "-c", "core.quotePath=false", "-c", "core.fsmonitor=false", *arguments],
                cwd=self._folder,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except (subprocess.TimeoutExpired, OSError) as error:
            raise ChangeError(f"git gave no answer: {error}") from error
