"""What a change touches that decides over agents and is in no file of the repository: submodules, links that lead out
of it, files that a checkout writes with other bytes, and settings that no trial looks at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from workbench.definition.finding import agents_folders_in, is_among_agents
from workbench.definition.project import CLAUDE_FOLDER, PLUGIN_FOLDER
from workbench.project.repository import Repository, Statuses, folded, has_fence, is_place
from workbench.trial.task_rows import SUFFIXES

Kind = Literal["submodule", "link", "written otherwise", "another case"]

ATTRIBUTES = ".gitattributes"
_POINTER = b"version https://git-lfs.github.com/spec/"
"""How a file begins whose content is kept elsewhere."""
_IN_FOLDERS = {
    CLAUDE_FOLDER: ("settings.json", "settings.local.json"),
    PLUGIN_FOLDER: ("plugin.json", "marketplace.json"),
}
"""Files from which Claude Code takes models, tools and plugins for its agents, and a trial nothing, by their folder."""


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A path of the change at which Claude Code may read agents that the repository does not hold."""

    kind: Kind
    """`submodule`: one that is at, above or below a folder of agents; `link`: to no file of the repository; `written
    otherwise`: a checkout has other bytes than the commit; `another case`: where letters' case does not count, it has
    the place of an agent, or one among agents."""
    path: str
    by: str = ""
    """Where the link leads, or what writes, or what has the same name where letters' case does not count."""


def find_elsewhere(git: Repository, commits: tuple[str, str], status: Statuses) -> Iterator[Elsewhere]:
    """All of them, in no order."""
    for path in _moved_modules(git, commits):
        if _may_hold_agents(git, path, commits):
            yield Elsewhere(kind="submodule", path=path)
    links = git.links(commits[1])
    for path in status.touched & links.keys():
        is_task_file = PurePosixPath(path).suffix.lower() in SUFFIXES  # it is said where its agent is held
        if (is_place(path) or _is_of_agents(path)) and not is_task_file and not git.holds(commits[1], links[path]):
            yield Elsewhere(kind="link", path=path, by=links[path])
    yield from _written_otherwise(git, commits, status)
    yield from _in_another_case(git, commits[1], status)


def beside_agents(git: Repository, commits: tuple[str, str], status: Statuses) -> tuple[str, ...]:
    """What else may change what Claude Code makes of agents, in the order of paths."""
    settings = (path for path in status.touched if _is_setting(PurePosixPath(path)))
    modules = (path for path in _moved_modules(git, commits) if not _may_hold_agents(git, path, commits))
    return (*sorted(settings), *(f"{path} (a submodule)" for path in modules))


def _is_setting(path: PurePosixPath) -> bool:
    return path.name == ".mcp.json" or path.name in _IN_FOLDERS.get(path.parent.name, ())


def _moved_modules(git: Repository, commits: tuple[str, str]) -> list[str]:
    before, after = (git.submodules(commit) for commit in commits)
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _may_hold_agents(git: Repository, module: str, commits: tuple[str, str]) -> bool:
    """Whether a submodule is at, above or below a folder of agents, as far as one can tell: by its path, by a link that
    leads into it, or by what is checked out of it."""
    links = (each for commit in commits for each in git.links(commit).items())
    ends = (end for link, end in links if is_place(link) or _is_of_agents(link))
    if _is_of_agents(module) or any(PurePosixPath(end).is_relative_to(module) for end in ends):
        return True
    checked_out = git.root / module
    return (checked_out / CLAUDE_FOLDER / "agents").is_dir() or any(agents_folders_in(checked_out))


def _is_of_agents(folder: str) -> bool:
    """Whether what a folder at this path holds may be agents: it is one of agents, in one, or Claude Code's own."""
    return is_among_agents(PurePosixPath(folder, "a.md")) or PurePosixPath(folder).name == CLAUDE_FOLDER


def _written_otherwise(git: Repository, commits: tuple[str, str], status: Statuses) -> Iterator[Elsewhere]:
    head = commits[1]
    places = {path: git.real(head, path) or path for path in git.files(head) if is_place(path)}
    for path in status.touched & places.keys():
        if (git.content(head, path) or b"").startswith(_POINTER):
            yield Elsewhere(kind="written otherwise", path=path, by="Git LFS, of which the commit has a pointer")
    if not any(PurePosixPath(path).name == ATTRIBUTES for path in status.touched):
        return
    before, after = (git.written_otherwise(commit, frozenset(places.values())) for commit in commits)
    for path, real in places.items():
        is_new = real in after and before.get(real) != after[real]
        if is_new and (path == real or not is_place(real)) and git.agent(head, path) is not None:
            yield Elsewhere(kind="written otherwise", path=path, by=f"{after[real]} in {ATTRIBUTES}")


def _in_another_case(git: Repository, head: str, status: Statuses) -> Iterator[Elsewhere]:
    """What macOS and Windows write over an agent, or beside it among agents, and what they write it over."""
    places = {path: PurePosixPath(path).parts for path in git.files(head) if is_place(path)}
    spelled: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for parts in places.values():
        for length in range(1, len(parts) + 1):
            spelled.setdefault(folded("/".join(parts[:length])), set()).add(parts[:length])
    moved = {folded(path) for path in status.touched}
    for path in git.entries(head):
        parts, alike = PurePosixPath(path).parts, folded(path)
        others = spelled.get(alike, set()) - {parts}
        if others and alike in moved:
            yield Elsewhere(kind="another case", path=path, by="/".join(min(others)))
        elif path in status.touched and not is_place(path) and is_place("/".join(alike)):
            folder = alike[: alike.index("agents") + 1]
            known = spelled.get(folder, set())
            if known and parts[: len(folder)] not in known and has_fence(git.content(head, path) or b""):
                yield Elsewhere(kind="another case", path=path, by="/".join(min(known)))
