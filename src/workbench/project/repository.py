"""A repository, asked by git's commands: what its commits hold, and what lies between two of them.

What counts is the bytes that a commit has. No `git replace`, graft, filter, or variable of git that leads elsewhere
puts others in their place.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import shutil
import subprocess
import tempfile
import unicodedata
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path, PurePosixPath

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.finding import is_among_agents
from workbench.definition.plugin_agents import PluginPlace
from workbench.definition.project import CLAUDE_FOLDER, PLUGIN_FOLDER
from workbench.definition.there import bytes_in
from workbench.errors import ChangeError
from workbench.trial.task_files import TASKS_FOLDER
from workbench.trial.task_rows import SUFFIXES

ALIKE = "30%"
"""Files of which so much is the same are a renamed one to git; others are paired by the agent's name."""
_SECONDS = 60
_MOST_LINKS = 20
"""That are followed from one to the next."""
_ROUNDS = 3
"""Links in a folder that a link leads to, and so on."""
_HUNK = re.compile(rb"^@@ -\d+(?:,\d+)? \+(\d+)", re.MULTILINE)
_FILE, _LINK, _SUBMODULE = "100", "120", "160"
"""How the modes of what a commit has begin."""
_OF_CONFIGURATION = ("GIT_CONFIG", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
"""How the variables of git begin that are left: the others would lead to another repository, index or object."""
_WRITES_OTHER_BYTES = ("eol", "working-tree-encoding", "filter")


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A file as a commit has it."""

    path: str
    """From the root of the repository, with slashes."""
    content: bytes = field(repr=False)
    leads_to: str | None = None
    """Of a link at which the commit has no file, and so no content: where it leads, seen from the root."""


@dataclass(frozen=True, kw_only=True)
class Statuses:
    """What git calls the files that differ between two commits."""

    edited: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    """By git: before and after."""
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def touched(self) -> frozenset[str]:
        both = (path for pair in self.renamed for path in pair)
        return frozenset((*self.edited, *self.added, *self.removed, *both))


@dataclass(frozen=True, kw_only=True)
class _Tree:
    """A commit's files, the aliases that links make of them, its links with their targets, and its submodules."""

    real: Mapping[str, str]
    """By the path of each file, where the commit has its bytes. Links are followed, as Claude Code follows them."""
    links: Mapping[str, str]
    """By the path of each link, where it leads in the end, seen from the root; also out of the repository."""
    submodules: Mapping[str, str]
    """By the path of each, its commit."""

    @cached_property
    def paths(self) -> list[str]:
        """Of the files, sorted."""
        return sorted(self.real)

    @cached_property
    def plugins(self) -> frozenset[PurePosixPath]:
        """The folders that are a plugin."""
        manifests = (PurePosixPath(path).parent for path in self.real)
        return frozenset(folder.parent for folder in manifests if folder.name == PLUGIN_FOLDER)


class Repository:
    """A repository; what it said of a commit is kept."""

    def __init__(self, project: Path) -> None:
        """Raises:
        ChangeError: there is no git, or no repository.
        """
        if shutil.which("git") is None:
            raise ChangeError("git is not installed, and what changed is asked of it")
        self._folder = project
        self._named: tuple[str, ...] = ()
        done = self._run("rev-parse", "--show-toplevel")
        if done.returncode != 0:
            raise ChangeError(f"{project} is in no git repository")
        kept = Path(_text(self._said("rev-parse", "--absolute-git-dir")).rstrip("\n")).resolve()
        if project.resolve().is_relative_to(kept):
            raise ChangeError(
                f"git takes {kept} for a repository of its own, for it holds HEAD, objects and refs, which a commit "
                "can bring along; remove them, or run it in another folder"
            )
        self.root = Path(_text(done.stdout).rstrip("\n")).resolve()
        # Named from here on: where git begins to look anew, it could find another.
        self._folder = self.root
        self._named = (f"--git-dir={kept}", f"--work-tree={self.root}")
        self._trees: dict[str, _Tree] = {}
        self._contents: dict[tuple[str, str], bytes] = {}

    @property
    def around(self) -> Path | None:
        """The root of the repository of which this one is a submodule, checked out there; `None`: it is none."""
        said = _text(self._said("rev-parse", "--show-superproject-working-tree")).rstrip("\n")
        return Path(said).resolve() if said else None

    def commit(self, name: str) -> str:
        done = self._run("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
        if done.returncode != 0:
            raise ChangeError(
                f"git knows no commit {name!r} here; `git branch --all` lists branches, and a checkout in CI needs the "
                "whole history (`fetch-depth: 0`)"
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

    def statuses(self, before: str, after: str) -> Statuses:
        # Not `diff`, which obeys what the settings of a user say of renames, and a `.gitmodules` what not to show.
        said = self._said("diff-tree", "-r", "--name-status", "-z", f"--find-renames={ALIKE}", "-l0", before, after)
        words = iter(_text(said).split("\0"))
        found: Mapping[str, list[str]] = {"A": [], "D": [], "M": []}
        renamed = []
        for status in words:
            if not status:
                break
            if status[0] == "R":
                renamed.append((next(words), next(words)))
            else:
                found["M" if status[0] == "T" else status[0]].append(next(words))
        return Statuses(
            edited=tuple(found["M"]), renamed=tuple(renamed), added=tuple(found["A"]), removed=tuple(found["D"])
        )

    def not_committed(self) -> list[str]:
        """The files that are another on the disk than in the last commit, new and removed ones included."""
        changed = self._said("diff", "--name-only", "-z", "HEAD")
        new = self._said("ls-files", "--others", "--exclude-standard", "-z")
        return sorted(filter(None, _text(changed + new).split("\0")))

    def begins_as_agent(self, path: str) -> bool:
        """Whether the file on the disk, or where it is gone that of the last commit, begins as an agent file does."""
        file = self.root / path
        content = bytes_in(file) if file.is_file() else self.content(self.commit("HEAD"), path)
        return has_fence(content or b"")

    def files(self, commit: str) -> frozenset[str]:
        """The files of a commit, those that a link leads to included; no submodules, which are commits elsewhere."""
        return frozenset(self._tree(commit).real)

    def entries(self, commit: str) -> tuple[str, ...]:
        """All that a commit has a path for: files, links and submodules."""
        return tuple(path for _, _, path in self._listed(commit))

    def linked(self, commit: str) -> frozenset[str]:
        """Those of the files that stand elsewhere."""
        return frozenset(path for path, real in self._tree(commit).real.items() if path != real)

    def links(self, commit: str) -> Mapping[str, str]:
        """By the path of each link, where it leads in the end, seen from the root; also where nothing is."""
        return self._tree(commit).links

    def submodules(self, commit: str) -> Mapping[str, str]:
        """By the path of each submodule, its commit."""
        return self._tree(commit).submodules

    def real(self, commit: str, path: str) -> str | None:
        """Where the commit has the bytes of this file; `None`: it has no such file."""
        return self._tree(commit).real.get(path)

    def content(self, commit: str, path: str) -> bytes | None:
        """The bytes of a file; `None`: the commit has none there."""
        real = self.real(commit, path)
        if real is None:
            return None
        if (commit, real) not in self._contents:
            self._contents[commit, real] = self._said("cat-file", "blob", f"{commit}:{real}")
        return self._contents[commit, real]

    def holds(self, commit: str, path: str) -> bool:
        """Whether the commit has a file, or a folder, at this path."""
        tree = self._tree(commit)
        return path in tree.real or any(_below(tree.paths, path))

    def agent(self, commit: str, path: str) -> Agent | None:
        """The agent that Claude Code lists for this file of the commit; `None`: it lists none."""
        content = self.content(commit, path)
        if content is None or not has_fence(content):
            return None
        agent = parse_agent(content, path=Path(path))
        return agent if read_as_claude_code(agent, place=self.plugin_place(commit, path)).listed else None

    def plugin_place(self, commit: str, path: str) -> PluginPlace | None:
        """Where this file stands in a plugin of the commit; `None`: in none, or not below its `agents`."""
        file = PurePosixPath(path)
        for root in file.parents:
            inside = file.relative_to(root).parts
            if inside[0] == "agents" and root in self._tree(commit).plugins:
                manifest = self.content(commit, (root / PLUGIN_FOLDER / "plugin.json").as_posix())
                return PluginPlace(plugin=_named(manifest) or root.name, folders=inside[1:-1], stem=file.stem)
        return None

    def reader(self, commit: str, path: str) -> tuple[str, str] | None:
        """As what Claude Code reads an agent at this path: of which project's folder, or which plugin; `None`: not."""
        parts = PurePosixPath(path).parts
        for at, pair in enumerate(pairwise(parts)):
            if pair == (CLAUDE_FOLDER, "agents"):
                return "project", PurePosixPath(*parts[:at]).as_posix()
        place = self.plugin_place(commit, path)
        return None if place is None else ("plugin", place.plugin)

    def task_paths(self, commit: str, path: str) -> list[str]:
        """Where the tasks of the agent at this path may be, the place that counts first; where the path is a link, last
        those of what it leads to.

        As `task_files_for`, of what the commit holds: a checkout of another has other links and other projects."""
        real = PurePosixPath(self.real(commit, path) or path)
        project = self._project_of(commit, real.parent)
        agents = [folder for folder in real.parents if folder.name == "agents" and folder.is_relative_to(project)]
        below = real.parent.relative_to(agents[-1]) if agents else PurePosixPath()
        apart, named_so = project / TASKS_FOLDER / below, PurePosixPath(path)
        places = (named_so, apart / named_so.name, real, apart / real.name)
        named = (place.with_name(f"{place.stem}.tasks{suffix}") for place in places for suffix in SUFFIXES)
        return list(dict.fromkeys(place.as_posix() for place in named))

    def _project_of(self, commit: str, folder: PurePosixPath) -> PurePosixPath:
        """As `project_folder`, in a commit: the root has `.git`."""
        for each in (folder, *folder.parents[:-1]):
            if CLAUDE_FOLDER in each.parts or each == PurePosixPath():
                continue
            if any(self.holds(commit, (each / name).as_posix()) for name in (CLAUDE_FOLDER, "pyproject.toml")):
                return each
            if not self.holds(commit, (each / PLUGIN_FOLDER).as_posix()) and self._has_agents(commit, each):
                return each
        return PurePosixPath()

    def _has_agents(self, commit: str, folder: PurePosixPath) -> bool:
        below = _below(self._tree(commit).paths, (folder / "agents").as_posix())
        return any(path.endswith(".md") and has_fence(self.content(commit, path) or b"") for path in below)

    def tasks(self, commit: str, path: str) -> Blob | None:
        """The task file of the agent at this path; `None`: it has none."""
        for place in self.task_paths(commit, path):
            if (content := self.content(commit, place)) is not None:
                return Blob(path=place, content=content)
            if place in self.links(commit):
                return Blob(path=place, content=b"", leads_to=self.links(commit)[place])
        return None

    def first_line(self, before: tuple[str, str], after: tuple[str, str]) -> int:
        """The first line that is another, from 1, of a file in a commit beside one in another."""
        old, new = (f"{commit}:{self.real(commit, path) or path}" for commit, path in (before, after))
        done = self._run("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--text", "-U0", old, new)
        found = _HUNK.search(done.stdout)
        return max(1, int(found[1])) if found else 1

    def written_otherwise(self, commit: str, paths: Collection[str]) -> Mapping[str, str]:
        """By path, the attribute by which a checkout has other bytes than the commit, such as "eol=crlf"."""
        if not paths or not any(path.rpartition("/")[2] == ".gitattributes" for path in self.entries(commit)):
            return {}
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self._said("read-tree", commit, variables=index)
            given = "\0".join(sorted(paths)).encode("utf-8", "surrogateescape")
            asked = ("check-attr", "--cached", "--stdin", "-z", "text", *_WRITES_OTHER_BYTES)
            said = _text(self._said(*asked, given=given, variables=index)).split("\0")
        found: dict[str, dict[str, str]] = {}
        for path, name, value in zip(said[::3], said[1::3], said[2::3], strict=False):
            found.setdefault(path, {})[name] = value
        written = {path: ", ".join(_that_write(values)) for path, values in found.items()}
        return {path: names for path, names in written.items() if names}

    def _listed(self, commit: str) -> list[tuple[str, str, str]]:
        """Mode, object and path of all that a commit has."""
        said = _text(self._said("ls-tree", "-r", "-z", "--full-tree", commit))
        parted = (entry.partition("\t") for entry in said.split("\0") if entry)
        return [(about.split()[0], about.split()[2], path) for about, _, path in parted]

    def _tree(self, commit: str) -> _Tree:
        if commit not in self._trees:
            listed = self._listed(commit)
            real = {path: path for mode, _, path in listed if mode.startswith(_FILE)}
            objects = {path: name for mode, name, path in listed if mode.startswith(_LINK)}
            links = _ends(dict(zip(objects, self._blobs(objects.values()), strict=True)))
            for _ in range(_ROUNDS):
                aliases = _aliases(links, real)
                if aliases.keys() <= real.keys():
                    break
                real = {**aliases, **real}
            submodules = {path: name for mode, name, path in listed if mode.startswith(_SUBMODULE)}
            self._trees[commit] = _Tree(real=real, links=links, submodules=submodules)
        return self._trees[commit]

    def _blobs(self, names: Collection[str]) -> Iterator[str]:
        """The texts of these objects, asked for at once."""
        if not names:
            return
        said = self._said("cat-file", "--batch", given="".join(f"{name}\n" for name in names).encode())
        at = 0
        for _ in names:
            head, _, _ = said[at:].partition(b"\n")
            start, length = at + len(head) + 1, int(head.split()[-1])
            yield _text(said[start : start + length])
            at = start + length + 1

    def _said(self, *arguments: str, given: bytes = b"", variables: Mapping[str, str] | None = None) -> bytes:
        done = self._run(*arguments, given=given, variables=variables)
        if done.returncode != 0:
            raise ChangeError(f"git {arguments[0]}: {done.stderr.decode('utf-8', 'replace').strip()}")
        return done.stdout

    def _run(
        self, *arguments: str, given: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", *self._named, "-c", "core.quotePath=false", "-c", "core.fsmonitor=false", *arguments],
                cwd=self._folder,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                input=given,
                env={**_environment(), **(variables or {})},
            )
        except (subprocess.TimeoutExpired, OSError) as error:
            raise ChangeError(f"git gave no answer: {error}") from error


def has_fence(content: bytes) -> bool:
    """Whether a file begins as an agent file does."""
    return content.removeprefix(b"\xef\xbb\xbf").startswith(b"---")


def folded(path: str) -> tuple[str, ...]:
    """The parts of a path, alike where a file system may take them for the same: letters of another case, and those
    that are written in another way, as one with an accent."""
    return PurePosixPath(unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())).parts


def is_place(path: str) -> bool:
    """Whether an agent could be there: a Markdown file in a folder named `agents`, outside of what runs leave."""
    return path.endswith(".md") and is_among_agents(PurePosixPath(path))


def _environment() -> dict[str, str]:
    """Ours, without what would have git answer of something else than the commits of this repository."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_OF_CONFIGURATION)
    }
    return {**kept, "GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull, "GIT_OPTIONAL_LOCKS": "0"}


def _text(said: bytes) -> str:
    return said.decode("utf-8", "surrogateescape")


def _named(manifest: bytes | None) -> str | None:
    """What the manifest of a plugin calls it."""
    try:
        name = json.loads(manifest or b"")["name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return name if isinstance(name, str) and name.strip() else None


def _that_write(values: Mapping[str, str]) -> Iterator[str]:
    """Of the attributes of a file, those by which a checkout changes its bytes; line ends of Windows among them."""
    for name in _WRITES_OTHER_BYTES:
        value = values.get(name, "unspecified")
        is_text = name != "eol" or (value == "crlf" and values.get("text") != "unset")
        is_said = value not in ("unspecified", "unset", "set") and value.lower() not in ("utf-8", "utf8")
        if is_said and is_text:
            yield f"{name}={value}"


def _ends(targets: Mapping[str, str]) -> dict[str, str]:
    """By link, where it leads in the end, of what each leads to at first."""
    found = {}
    for link in targets:
        real = link
        for _ in range(_MOST_LINKS):
            folders = [str(folder) for folder in (PurePosixPath(real), *PurePosixPath(real).parents)]
            step = next((folder for folder in folders if folder in targets), None)
            if step is None:
                break
            real = posixpath.normpath(posixpath.join(posixpath.dirname(step), targets[step] + real[len(step) :]))
        found[link] = real
    return found


def _aliases(links: Mapping[str, str], real: Mapping[str, str]) -> dict[str, str]:
    """The files of folders of agents, and their tasks, that these links lead to, each with where it really is."""
    paths = sorted(real)
    return {
        link + path[len(end) :]: real[path]
        for link, end in sorted(links.items())
        if not link.startswith(f"{end}/") and end != "."
        for path in ((end,) if end in real else _below(paths, end))
        if _matters(link + path[len(end) :])
    }


def _matters(path: str) -> bool:
    return is_among_agents(PurePosixPath(path)) or TASKS_FOLDER.as_posix() in path


def _below(paths: list[str], folder: str) -> Iterable[str]:
    """Of sorted paths those in this folder."""
    first = bisect_left(paths, f"{folder}/")
    for path in paths[first:]:
        if not path.startswith(f"{folder}/"):
            return
        yield path
