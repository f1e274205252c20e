"""The agent as git has it in a commit."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.definition.agent import Agent, parse_agent
from workbench.errors import AgentFileError
from workbench.markup import command

HEAD = "HEAD"
_SECONDS = 10
_SHORT = 10
"""Digits of a commit that are shown."""


@dataclass(frozen=True, kw_only=True)
class Committed:
    """An agent file as a commit has it."""

    agent: Agent
    revision: str
    """As it was asked for: "HEAD", "main~3"."""
    commit: str
    """The commit that is meant by it, in short."""
    file: str
    """Where it is in that commit, seen from the repository."""


def load_committed(path: str | Path, revision: str = HEAD) -> Agent:
    """The agent in this file as the last commit (HEAD), or another revision, has it; see `find_committed`."""
    return find_committed(path, revision).agent


def find_committed(path: str | Path, revision: str = HEAD) -> Committed:
    """The agent in this file as a revision has it: a commit, a branch, a tag, `HEAD~3`; or `REVISION:FILE`, where the
    file had another name, seen from the repository.

    Raises:
        AgentFileError: there is no git, no repository, no commit, no such revision, or the file is not in it; says what
            to do.
    """
    path = Path(path)
    if shutil.which("git") is None:
        raise AgentFileError("git is not installed, so there is no committed version to show", path=path)
    real = path.resolve()
    if not real.parent.is_dir():
        raise AgentFileError("its folder is gone, so there is no committed version to show", path=path)
    inside = _git(real.parent, "rev-parse", "--show-toplevel")
    if inside.returncode != 0:
        said = inside.stderr.decode("utf-8", "replace").strip().split("\n")[0]
        other = f" ({said})" if said and "not a git repository" not in said else ""
        raise AgentFileError(f"is in no git repository{other}; `git init` makes one", path=path)
    if _git(real.parent, "rev-parse", "--quiet", "--verify", "HEAD^{commit}").returncode != 0:
        raise AgentFileError(
            "is in no commit yet, for its repository has none; `git add` and `git commit` make the first", path=path
        )
    named, _, other_name = revision.partition(":")
    found = _git(real.parent, "rev-parse", "--quiet", "--verify", "--end-of-options", f"{named or HEAD}^{{commit}}")
    if found.returncode != 0:
        raise AgentFileError(
            f"git knows no revision {named!r} here; `git log --oneline` lists commits, `git branch --all` branches",
            path=path,
        )
    commit = found.stdout.decode().strip()
    top = Path(inside.stdout.decode("utf-8", "surrogateescape").rstrip("\n"))
    file = other_name or real.relative_to(top.resolve()).as_posix()
    shown = _git(top, "show", f"{commit}:{file}")
    if shown.returncode != 0 and other_name:
        raise AgentFileError(f"{named or HEAD}:{file}: {_why_no_other(top, commit, named or HEAD, file)}")
    if shown.returncode != 0:
        raise AgentFileError(_why_not(top, commit, named or HEAD, file), path=path)
    return Committed(
        agent=parse_agent(shown.stdout, path=path),
        revision=named or HEAD,
        commit=commit[:10],
        file=file,
    )


def is_ignored(path: Path) -> bool | None:
    """Whether git keeps this file or folder out; `None`: it is in no repository, or git does not say."""
    if shutil.which("git") is None or not path.parent.is_dir():
        return None
    try:
        code = _git(path.parent, "check-ignore", "--quiet", "--", path.name).returncode
    except AgentFileError:
        return None
    return {0: True, 1: False}.get(code)


def _why_not(top: Path, commit: str, revision: str, file: str) -> str:
    """Why a commit does not have the file, and what to do."""
    old = _name_there(top, commit, file)
    if old is not None:
        return f"is not in {revision} under this name: there it is {old}; name that: {revision}:{old}"
    if _git(top, "ls-files", "--error-unmatch", "--", file).returncode != 0:
        return (
            "is in no commit yet; `git add` and `git commit` put it into one. If it had another name, "
            f"name that: {revision}:FOLDER/NAME.md"
        )
    if _git(top, "cat-file", "-e", f"HEAD:{file}").returncode != 0:
        return "is in no commit yet; `git commit` puts it into one"
    log = command("git", "log", "--oneline", "--", f":/{file}")  # from any folder of the repository
    return f"is not in {revision}; `{log}` lists the commits that it is in"


def _why_no_other(top: Path, commit: str, revision: str, file: str) -> str:
    """The same of a file that was named after a colon, which need not be there today."""
    old = _name_there(top, commit, file)
    if old is not None:
        return f"there is no such file in {revision}: there it is {old}; name that: {revision}:{old}"
    listed = f"`git ls-tree -r --name-only {revision}`, said in {top}, lists those there are"
    return f"there is no such file in {revision}; {listed}"


def _name_there(top: Path, commit: str, file: str) -> str | None:
    """What a commit calls the file that was renamed since; `None`: git sees no such renaming."""
    renamed = _git(top, "diff", "--name-status", "--find-renames", "--diff-filter=R", "-z", commit, "--")
    parts = renamed.stdout.decode("utf-8", "surrogateescape").split("\0")
    return next((old for old, new in zip(parts[1::3], parts[2::3], strict=False) if new == file), None)


def _git(folder: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            input=given,
        )
    except subprocess.TimeoutExpired as error:
        raise AgentFileError(f"git gave no answer within {_SECONDS} s", path=folder) from error


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit that changed an agent file."""

    commit: str
    """In short."""
    day: str
    subject: str
    file: str
    """What it calls the file, seen from the repository."""


def commits_of(path: str | Path, *, most: int = 10) -> tuple[Commit, ...]:
    """The last commits that gave this file a content, whatever it was called then, the newest first; none where git
    does not say."""
    real = Path(path).resolve()
    if shutil.which("git") is None or not real.parent.is_dir():
        return ()
    kinds = ("--follow", "--diff-filter=AMRCT", "--name-only")
    asked = ("log", "-z", *kinds, f"--max-count={most}", "--format=%x01%H%x00%cs%x00%s", "--", f"./{real.name}")
    try:
        told = _git(real.parent, *asked).stdout.decode("utf-8", "surrogateescape").split("\x01")[1:]
    except AgentFileError:
        return ()
    parts = [each.split("\0") for each in told]
    return tuple(
        Commit(commit=commit[:_SHORT], day=day, subject=_shown(subject), file=file.removeprefix("\n"))
        for commit, day, subject, file, *_ in parts
    )


def _shown(text: str) -> str:
    """Bytes that are no UTF-8 as the character for such."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def commit_with(
    path: str | Path, content: bytes, *, former: Iterable[str] = (), everywhere: bool = False
) -> str | None:
    """The last commit that gave the file this content, in short and with its day: "1a2b3c4 of 2026-11-29"; `None`:
    none did, or git does not say.

    `former` are other names that the file had, seen from the repository. With `everywhere`, other branches are looked
    through as well, and what git still keeps of commits that are on none; what is found there is told:
    "1a2b3c4 of 2026-11-29, on BRANCH".
    """
    real = Path(path).resolve()
    if shutil.which("git") is None or not real.parent.is_dir():
        return None
    names = (f"./{real.name}", *(f":(top,literal){name}" for name in dict.fromkeys(former)))
    try:
        hashed = _git(real.parent, "hash-object", "--stdin", f"--path={real.name}", given=content)
        if hashed.returncode != 0:
            return None
        blob = hashed.stdout.decode().strip()
        found = _giving(real.parent, blob, names)
        if found or not everywhere:
            return found
        if on_branch := _giving(real.parent, blob, names, "--branches", "--remotes", "--tags"):
            return f"{on_branch}, on {_branch_with(real.parent, on_branch.partition(' ')[0])}"
        lost = _giving(real.parent, blob, names, "--all", "--reflog")
        return f"{lost}, on no branch" if lost else None
    except AgentFileError:
        return None


def _giving(folder: Path, blob: str, names: Sequence[str], *reached: str) -> str | None:
    """The last commit that gave one of these files this content, of those that are reached so, by default from HEAD;
    one in which branches were merged only where no other did."""
    for merges in ((), ("--diff-merges=separate",)):
        asked = ("log", *reached, *merges, f"--find-object={blob}", "--raw", "--no-abbrev", "--no-renames")
        found = _git(folder, *asked, "--format=%x00%H of %cs", "--", *names)
        # A commit that took the content away is found too: of a raw line, ":mode mode before after", the fourth counts.
        for commit in found.stdout.decode("utf-8", "replace").split("\0"):
            said, _, changes = commit.partition("\n")
            commit_hash, _, day = said.partition(" of ")
            if any(len(parts := line.split()) > 3 and parts[3] == blob for line in changes.splitlines()):
                return f"{commit_hash[:_SHORT]} of {day}"
    return None


def _branch_with(folder: Path, commit: str) -> str:
    """A branch, else a tag, that has this commit."""
    where = ("refs/heads", "refs/remotes", "refs/tags")
    found = _git(folder, "for-each-ref", f"--contains={commit}", "--format=%(refname:short)", *where)
    names = found.stdout.decode("utf-8", "replace").splitlines()
    return names[0] if names else "another branch"
