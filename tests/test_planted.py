"""What a change puts where `workbench ci` writes results or reads answers: it is refused, nothing is asked by it, and
nothing outside of the folder for results is removed, moved or written. What people have there of their own is not."""

from __future__ import annotations

import os
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from workbench.cli import EXIT_REFUSED, main
from workbench.ledger.unsaved import write_unsaved
from workbench.project.ci import OUTCOMES, folder_of

A = ".claude/agents/a.md"
AGENT = "---\nname: a\ndescription: Does it, when asked for it.\n---\nYou are a.\n"
NOT_TRIED = OUTCOMES["no-tasks"].code
"""How it ends where nothing is refused: the agent has no tasks."""


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "protocol.file.allow=always")
        command = ["git", *who, *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def link(self, path: str, to: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).symlink_to(to)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "Work")

    def plant(self, *paths: str) -> None:
        """Commits also what `.gitignore` keeps out."""
        self.git("add", "--force", *paths)
        self.commit()

    def submodule(self, path: str) -> None:
        """As a commit has one that is not checked out."""
        self.git("update-index", "--add", "--cacheinfo", f"160000,{self.git('rev-parse', 'HEAD')},{path}")
        self.git("commit", "--quiet", "--message", "Work")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Of which an agent was changed, on a branch; with a folder of somebody's own in it."""
    found = begun(Repository(tmp_path / "project"), AGENT)
    for name in ("WORKBENCH_LEDGER", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(found.folder)
    return found


def begun(repository: Repository, agent: str, at: str = A) -> Repository:
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.write(at, agent)
    repository.write(".gitignore", "outputs/\n")
    repository.write("mine/tasks-before/thesis.tex", "Mine.")
    for name in ("comment.md", "ci.json", "junit.xml", "sarif.json"):
        repository.write(f"mine/{name}", "Mine.")
    repository.commit()
    repository.git("checkout", "--quiet", "-b", "change")
    repository.write(at, f"{agent}More.\n")
    repository.commit()
    return repository


def ci(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["ci", "--base", "main", "--offline", "--no-pages", *arguments])


def content(folder: Path) -> dict[str, bytes | str]:
    """All files and links below, but those of git."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if ".git" not in path.parts}
    return {
        name: str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for name, path in found.items()
        if path.is_symlink() or path.is_file()
    }


RESULTS = f"outputs/ci/{folder_of(A)}"
PLANTED: dict[str, Callable[[Repository], None]] = {
    "a link where an agent's results go": lambda r: (r.link(RESULTS, "../../mine"), r.plant("outputs"))[1],
    "a link below": lambda r: (r.link(f"{RESULTS}/tasks-before", "../../../mine/tasks-before"), r.plant("outputs"))[1],
    "a link to nowhere": lambda r: (r.link("outputs/ci/x", "../../nowhere"), r.plant("outputs"))[1],
    "a link in the place of a file": lambda r: (r.link("outputs/ci/ci.json", "../../mine/ci.json"), r.plant("outputs"))[1],
    "a link in the place of outputs": lambda r: (r.link("outputs", "mine"), r.plant("outputs"))[1],
    "a link that leads to itself": lambda r: (r.link("outputs", "outputs"), r.plant("outputs"))[1],
    "a record that waits": lambda r: (r.write(f"{RESULTS}/tasks-before/.record-new/about.json", "{}"), r.plant("outputs"))[1],
    "a comment that passes": lambda r: (r.write("outputs/ci/comment.md", "## Passes"), r.plant("outputs"))[1],
    "letters of another case": lambda r: (r.write("Outputs/CI/x/run.json", "{}"), r.plant("Outputs"))[1],
    "a submodule for results": lambda r: r.submodule("outputs/ci"),
    "a submodule in the place of outputs": lambda r: r.submodule("outputs"),
    "a submodule of another case": lambda r: r.submodule("OUTPUTS"),
    "a file in the place of outputs": lambda r: (r.write("OutputS", ""), r.plant("OutputS"))[1],
    "a ledger": lambda r: (r.write("outputs/ledger.sqlite", ""), r.plant("outputs"))[1],
    "a ledger that is a link": lambda r: (r.link("outputs/ledger.sqlite", "../mine/ledger"), r.plant("outputs"))[1],
    "a ledger of another case": lambda r: (r.write("outputs/Ledger.SQLite", ""), r.plant("outputs"))[1],
    "a ledger's journal": lambda r: (r.write("outputs/ledger.sqlite-wal", ""), r.plant("outputs"))[1],
    "what a ledger takes in": lambda r: (r.write("outputs/LEDGER.sqlite.unsaved-1.json", ""), r.plant("outputs"))[1],
    "a folder in its place": lambda r: (r.write("outputs/ledger.sqlite/x", ""), r.plant("outputs"))[1],
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_what_a_change_puts_where_results_and_answers_are_is_refused(repository: Repository, name: str) -> None:
    PLANTED[name](repository)
    mine = content(repository.folder / "mine")

    done = ci()

    assert done.exit_code == EXIT_REFUSED, done.output
    assert "is committed" in done.output or "is a link" in done.output
    assert content(repository.folder / "mine") == mine
    assert not (repository.folder / "outputs" / "ledger.sqlite-shm").exists(), "the ledger was opened"


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        ("elsewhere/ledger.sqlite", "Elsewhere/ledger.sqlite"),
        (f"kept/{unicodedata.normalize('NFC', 'é')}.db", f"kept/{unicodedata.normalize('NFD', 'É')}.db"),
        ("./kept/../kept/l.db", "kept/l.db"),
        ("sqlite:///kept/l.db", "kept/l.db"),
        ("sqlite:///kept/l.db", "kept/l.db.unsaved-1.json"),
        ("sqlite+pysqlite:///file:kept/%6c.db?uri=true&mode=rw", "kept/l.db"),
        ("sqlite:///kept/l.db", "kept"),
    ],
)
def test_a_ledger_that_is_committed_is_refused_however_it_is_named(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, named: str, kept: str
) -> None:
    monkeypatch.setenv("WORKBENCH_LEDGER", named)
    repository.write(kept, "")
    repository.plant(kept)

    done = ci()

    assert done.exit_code == EXIT_REFUSED, done.output
    assert "is committed, so the change could bring along what its agents say" in done.output


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_what_a_ledger_on_a_server_would_take_in_is_refused(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Nobody but its own user knows the password, and the name of the file needs none."""
    left = write_unsaved(sa.make_url("postgresql+psycopg://ada@db.example.org/agents"), [], {})
    monkeypatch.setenv("WORKBENCH_LEDGER", f"{scheme}://ada@db.example.org/agents")
    repository.plant(str(left))

    done = ci()

    assert done.exit_code == EXIT_REFUSED, done.output
    assert f"{left.relative_to(repository.folder)} is committed, so the change could bring along" in done.output


def test_a_ledger_in_another_repository_is_refused(repository: Repository) -> None:
    Repository(repository.folder / "outputs").git("init", "--quiet")

    done = ci("--out", "left")

    assert done.exit_code == EXIT_REFUSED, done.output
    assert "outputs, which is another repository, so what the agents say could be committed there" in done.output


@pytest.mark.parametrize("out", ["../results", "../results/deeper"])
def test_nothing_is_removed_or_written_through_a_link_beside_a_project_in_a_subfolder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    repository = begun(Repository(tmp_path / "project"), AGENT, at=f"part/{A}")
    (repository.folder / "mine/deeper").mkdir()
    repository.link("results", "mine")
    repository.commit()
    monkeypatch.chdir(repository.folder / "part")
    before = content(repository.folder)

    done = ci("--out", out)

    assert done.exit_code == EXIT_REFUSED, done.output
    assert "results: is a link, and results are not written through one" in done.output
    assert content(repository.folder) == before


def test_a_link_of_an_earlier_run_is_not_followed(repository: Repository) -> None:
    repository.link(RESULTS, "../../mine")
    before = content(repository.folder)

    done = ci()

    assert done.exit_code == EXIT_REFUSED, done.output
    assert f"{RESULTS} is a link, and results are not written through one; remove it, or name --out" in done.output
    assert before.items() <= content(repository.folder).items()


def test_what_is_in_the_place_of_results_and_stays_there_is_said(repository: Repository) -> None:
    repository.write(RESULTS, "A file.")
    done = ci()

    assert done.exit_code == EXIT_REFUSED, done.output
    assert f"{RESULTS} is in the place of results and cannot be removed: Not a directory; remove it, or" in done.output
    assert (repository.folder / RESULTS).read_text() == "A file."

    (repository.folder / "outputs/ci/ci.json").unlink()
    repository.write("outputs/ci/ci.json/mine.txt", "Mine.")
    again = ci()

    assert again.exit_code == EXIT_REFUSED, again.output
    assert "outputs/ci/ci.json: cannot be removed: Is a directory; remove it, or name --out" in again.output
    assert (repository.folder / "outputs/ci/ci.json/mine.txt").read_text() == "Mine."


def test_a_folder_that_git_takes_for_a_repository_of_its_own_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit may have HEAD, objects and refs, and a history in them in which nothing was changed."""
    repository = begun(Repository(tmp_path / "project"), AGENT, at=f"part/{A}")
    part = repository.folder / "part"
    for name in ("objects", "refs"):
        subprocess.run(["cp", "-a", str(repository.folder / ".git" / name), str(part / name)], check=True)
    (part / "HEAD").write_text("ref: refs/heads/main\n")
    (part / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n")
    monkeypatch.chdir(part)

    done = ci()

    assert done.exit_code == EXIT_REFUSED, done.output
    assert "part for a repository of its own, for it holds HEAD, objects and refs" in done.output


@pytest.mark.parametrize(("in_a_workflow", "code"), [(True, EXIT_REFUSED), (False, NOT_TRIED)])
def test_a_submodule_of_what_a_workflow_checked_out_is_refused(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_a_workflow: bool, code: int
) -> None:
    outer = Repository(tmp_path / "outer")
    outer.git("init", "--quiet")
    outer.git("submodule", "--quiet", "add", "-b", "change", str(repository.folder), "inner")
    outer.git("-C", "inner", "branch", "--quiet", "main", "origin/main")
    monkeypatch.chdir(outer.folder / "inner")
    if in_a_workflow:
        monkeypatch.setenv("CI", "true")

    done = ci()

    assert done.exit_code == code, done.output
    assert ("so the change could put another repository in its place" in done.output) == in_a_workflow


def in_a_work_tree(r: Repository) -> None:
    r.git("worktree", "add", "--quiet", "--detach", "../tree", "change")
    os.chdir("../tree")


def beside_a_bare_repository(r: Repository) -> None:
    r.git("clone", "--quiet", "--bare", ".", "../bare")
    Repository(r.folder.parent / "bare").git("worktree", "add", "--quiet", "tree", "change")
    os.chdir("../bare/tree")


def in_a_shallow_clone(r: Repository) -> None:
    r.git("clone", "--quiet", "--depth=2", "--no-single-branch", r.folder.as_uri(), "../shallow")
    Repository(r.folder.parent / "shallow").git("branch", "--quiet", "main", "origin/main")
    os.chdir("../shallow")


def in_a_sparse_checkout(r: Repository) -> None:
    r.git("sparse-checkout", "set", "--no-cone", ".claude")


def in_a_subfolder(r: Repository) -> None:
    r.write("part/pyproject.toml", "")
    r.commit()
    os.chdir("part")


def behind_a_link_of_ones_own(r: Repository) -> None:
    (r.folder.parent / "short").symlink_to(r.folder)
    os.environ["WORKBENCH_LEDGER"] = str(r.folder.parent / "short/outputs/ledger.sqlite")


def planted(*paths: str) -> Callable[[Repository], None]:
    def add(r: Repository) -> None:
        for path in paths:
            r.write(path, "")
        r.plant(*paths)

    return add


LEGAL: dict[str, tuple[Callable[[Repository], None], tuple[str, ...]]] = {
    "as it is": (lambda r: None, ()),
    "again": (lambda r: ci() and None, ()),
    "a marker that keeps the folder": (planted("outputs/.gitkeep", "outputs/.gitignore"), ()),
    "a marker that keeps the folder for results": (planted("outputs/ci/.gitkeep"), ()),
    "a marker in the folder that is named": (planted("outputs/.gitkeep"), ("--out", "outputs")),
    "names that begin alike": (planted("outputs.md", "outputs/ci.md", "outputs/cinema/x", "old-ledger.sqlite"), ()),
    "another folder for results": (lambda r: None, ("--out", "left")),
    "a folder outside": (lambda r: None, ("--out", "../left")),
    "a folder behind a link outside": (lambda r: (r.folder.parent / "short").symlink_to(r.folder), ("--out", "../short/left")),
    "a work tree": (in_a_work_tree, ()),
    "a work tree of a bare repository": (beside_a_bare_repository, ()),
    "a shallow clone": (in_a_shallow_clone, ()),
    "a sparse checkout": (in_a_sparse_checkout, ()),
    "a project in a subfolder": (in_a_subfolder, ()),
    "a ledger behind a link outside": (behind_a_link_of_ones_own, ()),
    "another repository beside": (lambda r: Repository(r.folder / "vendor").git("init", "--quiet"), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", LEGAL)
def test_what_people_have_of_their_own_is_not_refused(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("WORKBENCH_LEDGER", "")
    prepare, arguments = LEGAL[name]
    prepare(repository)

    done = ci(*arguments)

    assert done.exit_code == NOT_TRIED, done.output
