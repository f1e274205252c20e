"""Changes that would hide a worse agent from `find_changes`: each is seen, as what it is. And changes that do nothing to
an agent, which are not made out to be more."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from workbench.errors import ChangeError
from workbench.project.changes import Change, find_changes
from workbench.project.repository import Repository as Git
from workbench.project.repository import is_place
from workbench.trial.task_files import task_files_for

HARM = "Do harm.\n"
MINE, POOLED, OTHER = ".claude/agents/mine.md", ".claude/agents/pooled.md", "pool/agents/other.md"
PLUGIN, NAMELESS = "plugins/tools/agents/helper.md", "plugins/tools/agents/nameless.md"
PLAIN = "agents/plain.md"
EVERYWHERE = (MINE, PLAIN, "pool/agents/x.md", OTHER, "good/agents/g.md", "bad/agents/g.md", PLUGIN, NAMELESS)
"""Each file of an agent that is no link."""
TASKS = "- {id: a, input: Say hello., graders: [asks_question]}\n"


def agent(name: str, *, body: str = "") -> str:
    return f"---\nname: {name}\ndescription: Does {name}, when asked for it.\n---\nYou are {name}.\n{body}"


@dataclass
class Repository:
    folder: Path

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "protocol.file.allow=always")
        command = ["git", *who, *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, path: str, text: str | bytes) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(text if isinstance(text, bytes) else text.encode())

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()

    def link(self, path: str, to: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(to)

    def remove(self, path: str) -> None:
        self.git("rm", "-rq", path)

    def move(self, path: str, to: str) -> None:
        (self.folder / to).parent.mkdir(parents=True, exist_ok=True)
        self.git("mv", path, to)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")

    def submodule(self, path: str, commit: str) -> None:
        """As a commit has one that is not checked out."""
        self.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")

    def change(self) -> Change:
        return find_changes("main", project=self.folder)

    def found(self) -> dict[str, tuple[str, bool]]:
        return {each.path: (each.kind, each.is_read) for each in self.change().agents}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository(tmp_path / "project")
    found.folder.mkdir()
    found.git("init", "-q", "-b", "main")
    for path, name in ((MINE, "mine"), ("pool/agents/x.md", "x"), (OTHER, "x"), (PLAIN, "plain")):
        found.write(path, agent(name))
    found.write(OTHER, agent("x", body=HARM))
    found.write("good/agents/g.md", agent("g"))
    found.write("bad/agents/g.md", agent("g", body=HARM))
    found.link(POOLED, "../../pool/agents/x.md")
    found.link("team/.claude", "../good")
    found.link(".claude/agents/linked", "../../good/agents")
    found.write(PLUGIN, agent("helper"))
    found.write(NAMELESS, "---\ndescription: Does it.\n---\nYou do.\n")
    found.write("plugins/tools/.claude-plugin/plugin.json", '{"name": "tools"}')
    found.commit()
    found.git("checkout", "-qb", "change")
    return found


EDITED, GONE, REFUSED = ("edited", True), ("moved", False), ("submodule", True)


def harm(path: str) -> Callable[[Repository], None]:
    return lambda r: r.write(path, r.read(path) + HARM)


def moved(path: str, to: str, *, then: str = "") -> Callable[[Repository], None]:
    def change(r: Repository) -> None:
        r.move(path, to)
        r.write(to, r.read(to) + then)

    return change


SEEN: dict[str, tuple[Callable[[Repository], None], dict[str, tuple[str, bool]]]] = {
    "a link to another agent": (lambda r: r.link(POOLED, f"../../{OTHER}"), {POOLED: EDITED}),
    "a folder's link to other agents": (
        lambda r: r.link(".claude/agents/linked", "../../bad/agents"),
        {".claude/agents/linked/g.md": EDITED},
    ),
    "a link above the folder of agents": (
        lambda r: r.link("team/.claude", "../bad"),
        {"team/.claude/agents/g.md": EDITED},
    ),
    "a link in a folder that a link leads to": (
        lambda r: (r.remove("good/agents/g.md"), r.link("good/agents/g.md", "../../bad/agents/g.md"))[0],
        {
            "good/agents/g.md": EDITED,
            "team/.claude/agents/g.md": EDITED,
            ".claude/agents/linked/g.md": EDITED,
        },
    ),
    "a file in place of a link": (
        lambda r: (r.remove(POOLED), r.write(POOLED, agent("x", body=HARM)))[0],
        {POOLED: EDITED},
    ),
    "a link that leads nowhere now": (lambda r: r.link(POOLED, "../../../out.md"), {POOLED: ("dropped", True)}),
    "a new link out of the repository": (
        lambda r: r.link(".claude/agents/new.md", "/etc/agents/new.md"),
        {".claude/agents/new.md": ("link", True)},
    ),
    "a new folder's link out of the repository": (
        lambda r: r.link(".claude/agents/more", "/etc/agents"),
        {".claude/agents/more": ("link", True)},
    ),
    "what a link leads to": (harm("pool/agents/x.md"), {"pool/agents/x.md": EDITED}),
    "a second of one name below a folder of a run's name": (
        lambda r: r.write(".claude/agents/outputs/m.md", agent("mine", body=HARM)),
        {".claude/agents/outputs/m.md": ("double", True)},
    ),
    "a second of one name below node_modules of agents": (
        lambda r: r.write(".claude/agents/node_modules/m.md", agent("mine", body=HARM)),
        {".claude/agents/node_modules/m.md": ("double", True)},
    ),
    "a second of one name by a link": (
        lambda r: (r.write("docs/m.md", agent("mine", body=HARM)), r.link(".claude/agents/m.md", "../../docs/m.md"))[0],
        {".claude/agents/m.md": ("double", True)},
    ),
    "an agent of what others made": (lambda r: r.write("node_modules/p/agents/m.md", agent("mine", body=HARM)), {}),
    "out of Claude Code's folder": (moved(MINE, "agents/mine.md"), {"agents/mine.md": GONE}),
    "out of Claude Code's folder and edited": (
        moved(MINE, "agents/mine.md", then=HARM),
        {"agents/mine.md": ("renamed", False)},
    ),
    "into the folder of a project below": (
        moved(MINE, "packages/a/.claude/agents/mine.md"),
        {"packages/a/.claude/agents/mine.md": GONE},
    ),
    "into a plugin": (moved(MINE, "plugins/tools/agents/mine.md"), {"plugins/tools/agents/mine.md": GONE}),
    "out of a plugin": (moved(PLUGIN, "agents/helper.md"), {"agents/helper.md": GONE}),
    "within Claude Code's folder": (
        moved(MINE, ".claude/agents/team/mine.md"),
        {".claude/agents/team/mine.md": ("moved", True)},
    ),
    "a whole plugin": (
        lambda r: r.move("plugins/tools", "plugins/more/tools"),
        {
            "plugins/more/tools/agents/helper.md": ("moved", True),
            "plugins/more/tools/agents/nameless.md": ("moved", True),
        },
    ),
    "from a plain folder to another": (moved(PLAIN, "docs/agents/plain.md"), {"docs/agents/plain.md": ("moved", True)}),
    "a plugin that is none any more": (
        lambda r: r.remove("plugins/tools/.claude-plugin/plugin.json"),
        {PLUGIN: ("unread", False), NAMELESS: ("dropped", True)},
    ),
    "an agent of a plugin without a name": (
        harm(NAMELESS),
        {NAMELESS: EDITED},
    ),
    "a file's name in upper case": (moved(MINE, ".claude/agents/Mine.md", then=HARM), {".claude/agents/Mine.md": ("renamed", True)}),
    "a folder's name in upper case": (
        moved(".claude/agents/mine.md", ".claude/Agents/mine.md"),
        {MINE: ("removed", True), ".claude/Agents/mine.md": ("another case", True)},
    ),
    "another file with its name in another case": (
        lambda r: r.write(".claude/agents/MINE.md", agent("other", body=HARM)),
        {MINE: ("another case", True), ".claude/agents/MINE.md": ("another case", True)},
    ),
    "another file with its ending in upper case": (
        lambda r: r.write(".claude/agents/mine.MD", agent("mine", body=HARM)),
        {".claude/agents/mine.MD": ("another case", True)},
    ),
    "another file in its folder in another case": (
        lambda r: r.write(".CLAUDE/agents/mine.md", agent("mine", body=HARM)),
        {MINE: ("another case", True), ".CLAUDE/agents/mine.md": ("another case", True)},
    ),
    "a second of one name in its folder in another case": (
        lambda r: r.write(".claude/Agents/m.md", agent("mine", body=HARM)),
        {".claude/Agents/m.md": ("another case", True)},
    ),
    "a link in the place of its folder in another case": (
        lambda r: r.link(".claude/AGENTS", "../bad/agents"),
        {".claude/AGENTS": ("another case", True)},
    ),
    "a README in its folder in another case": (lambda r: r.write(".claude/Agents/README.md", "# Ours\n"), {}),
    "settings in another case": (lambda r: r.write(".Claude/settings.json", "{}"), {}),
    "an ending in upper case": (moved(MINE, ".claude/agents/mine.MD"), {MINE: ("removed", True)}),
    "a folder in the place of a file": (
        lambda r: (r.remove(MINE), r.write(f"{MINE}/mine.md", agent("mine", body=HARM)))[0],
        {f"{MINE}/mine.md": ("renamed", True)},
    ),
    "another encoding": (lambda r: r.write(MINE, r.read(MINE).encode("utf-16")), {MINE: ("dropped", True)}),
    "line ends": (lambda r: r.write(MINE, r.read(MINE).replace("\n", "\r\n")), {MINE: EDITED}),
    "line ends by which it is not read": (
        lambda r: r.write(MINE, "---\r\nname: mine\r\ndescription: Does: it.\r\n---\r\nYou are mine.\r\n"),
        {MINE: ("dropped", True)},
    ),
    "a byte order mark": (lambda r: r.write(MINE, b"\xef\xbb\xbf" + r.read(MINE).encode()), {MINE: EDITED}),
    "another name in the same file": (
        lambda r: r.write(MINE, r.read(MINE).replace("name: mine", "name: yours") + HARM),
        {MINE: EDITED},
    ),
    "its mode alone": (lambda r: (r.folder / MINE).chmod(0o755), {}),
    "its mode, and harm": (lambda r: ((r.folder / MINE).chmod(0o755), harm(MINE)(r))[1], {MINE: EDITED}),
    "line ends by an attribute": (
        lambda r: r.write(".gitattributes", "*.md text eol=crlf\n"),
        dict.fromkeys(EVERYWHERE, ("written otherwise", True)),
    ),
    "an encoding by an attribute of its folder": (
        lambda r: r.write(".claude/agents/.gitattributes", "mine.md working-tree-encoding=ISO-8859-1\n"),
        {MINE: ("written otherwise", True)},
    ),
    "an attribute that changes no byte": (lambda r: r.write(".gitattributes", "*.md text=auto diff linguist-generated\n"), {}),
    "a pointer to a file kept elsewhere": (
        lambda r: r.write(MINE, "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"),
        {MINE: ("written otherwise", True)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_what_a_change_does_to_an_agent_is_seen(repository: Repository, name: str) -> None:
    change, expected = SEEN[name]
    change(repository)
    repository.commit()

    assert repository.found() == expected


@pytest.mark.parametrize("path", [".claude/agents", ".claude/agents/team", ".claude", "plugins/tools/agents/more"])
def test_a_submodule_of_agents_is_named(repository: Repository, path: str) -> None:
    repository.git("checkout", "-q", "main")
    if (repository.folder / path).exists():
        repository.remove(path)
    first, second = repository.git("rev-parse", "HEAD"), repository.git("rev-parse", "HEAD^{tree}")
    repository.submodule(path, first)
    repository.write(".gitmodules", f'[submodule "a"]\n\tpath = {path}\n\turl = ../a\n\tignore = all\n')
    repository.git("add", ".gitmodules")
    repository.git("commit", "-qm", "a submodule")
    repository.git("checkout", "-qb", "moved")
    repository.submodule(path, second)
    repository.git("commit", "-qm", "moved on")

    assert repository.found() == {path: REFUSED}


def test_a_submodule_that_a_link_leads_into_or_that_holds_agents_is_named_and_another_is_said(
    repository: Repository, tmp_path: Path
) -> None:
    one = Repository(tmp_path / "one")
    one.folder.mkdir()
    one.git("init", "-q", "-b", "main")
    one.write("agents/deep.md", agent("deep"))
    one.commit()
    repository.git("checkout", "-q", "main")
    repository.git("submodule", "add", "-q", str(one.folder), "vendor/with")
    repository.submodule("vendor/linked", "1" * 40)
    repository.submodule("vendor/lib", "1" * 40)
    repository.link(".claude/agents/deep.md", "../../vendor/linked/agents/deep.md")
    repository.git("add", ".claude", "vendor/with")
    repository.git("commit", "-qm", "submodules")
    repository.git("checkout", "-qb", "moved")
    one.write("agents/deep.md", agent("deep", body=HARM))
    one.commit()
    repository.git("-C", "vendor/with", "pull", "-q")
    repository.git("add", "vendor/with")
    repository.submodule("vendor/linked", "2" * 40)
    repository.submodule("vendor/lib", "2" * 40)
    repository.git("commit", "-qm", "moved on")

    assert repository.found() == {"vendor/linked": REFUSED, "vendor/with": REFUSED}
    assert repository.change().beside == ("vendor/lib (a submodule)",)


def test_settings_that_no_trial_looks_at_are_said(repository: Repository) -> None:
    for path in (
        ".claude/settings.json",
        "plugins/tools/.claude-plugin/plugin.json",
        ".mcp.json",
        "other/settings.json",
    ):
        repository.write(path, '{"name": "tools", "model": "haiku"}')
    repository.commit()

    assert repository.change().beside == (
        ".claude/settings.json",
        ".mcp.json",
        "plugins/tools/.claude-plugin/plugin.json",
    )


def replaced(r: Repository) -> None:
    r.git("replace", r.git("rev-parse", f"HEAD:{MINE}"), r.git("rev-parse", f"main:{MINE}"))


def grafted(r: Repository) -> None:
    (r.folder / ".git/info").mkdir(exist_ok=True)
    head, parent = r.git("rev-parse", "HEAD"), r.git("rev-parse", "main")
    (r.folder / ".git/info/grafts").write_text(f"{parent} {head}\n")


def textconv(r: Repository) -> None:
    (r.folder / ".git/info").mkdir(exist_ok=True)
    (r.folder / ".git/info/attributes").write_text("*.md diff=quiet filter=quiet\n")
    for key in ("diff.quiet.textconv", "filter.quiet.clean", "filter.quiet.smudge", "diff.external"):
        r.git("config", key, "true")


def settings(r: Repository) -> None:
    for key, value in {"diff.renames": "false", "diff.noprefix": "true", "core.ignoreCase": "true"}.items():
        r.git("config", key, value)


@pytest.mark.parametrize("trick", [replaced, grafted, textconv, settings])
def test_what_counts_is_the_bytes_that_are_committed(
    repository: Repository, trick: Callable[[Repository], None]
) -> None:
    harm(MINE)(repository)
    repository.commit()
    trick(repository)

    [found] = repository.change().agents

    assert (found.path, found.kind, found.line) == (MINE, "edited", 6)
    assert found.after is not None and HARM.strip() in found.after.prompt


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE", "GIT_EXTERNAL_DIFF"])
def test_no_variable_of_git_leads_elsewhere(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    harm(MINE)(repository)
    repository.commit()
    monkeypatch.setenv(name, str(tmp_path / "nowhere"))

    assert repository.found() == {MINE: EDITED}


@pytest.mark.parametrize("detached", [False, True])
def test_histories_that_never_parted_are_refused(repository: Repository, detached: bool) -> None:
    repository.git("checkout", "-q", "--orphan", "alone")
    harm(MINE)(repository)
    repository.commit()
    if detached:
        repository.git("checkout", "-q", "--detach")

    with pytest.raises(ChangeError, match="no common ancestor"):
        repository.change()


def test_a_detached_head_is_held_as_any_other(repository: Repository) -> None:
    harm(MINE)(repository)
    repository.commit()
    repository.git("checkout", "-q", "--detach")

    assert repository.found() == {MINE: EDITED}


def test_tasks_of_a_link_are_its_own_or_those_of_what_it_leads_to(repository: Repository) -> None:
    repository.git("checkout", "-q", "main")
    repository.write("pool/agents/x.tasks.yaml", TASKS)
    repository.commit()
    repository.git("checkout", "-qb", "moved")
    repository.link(POOLED, f"../../{OTHER}")
    repository.commit()

    [found] = repository.change().agents

    assert found.tasks_before is not None and found.tasks_before.path == "pool/agents/x.tasks.yaml"
    assert found.tasks_after is None


APART = ".workbench/tasks"


@pytest.mark.parametrize(
    ("path", "at", "change"),
    [
        (PLUGIN, f"{APART}/helper.tasks.yaml", lambda r: r.write("plugins/tools/pyproject.toml", "")),
        (PLUGIN, f"{APART}/helper.tasks.yaml", lambda r: r.write("plugins/tools/.claude/settings.json", "{}")),
        ("lib/agents/a/b.md", f"lib/{APART}/a/b.tasks.yaml", lambda r: r.write("lib/.claude-plugin/plugin.json", "{}")),
        ("lib/agents/a/b.md", f"lib/{APART}/a/b.tasks.yaml", lambda r: r.write("lib/agents/a/agents/c.md", agent("c"))),
        (MINE, f"{APART}/mine.tasks.yaml", lambda r: r.link(MINE, "../../docs/agents/plain.md")),
        (MINE, f"{APART}/mine.tasks.yaml", lambda r: None),
    ],
    ids=["a project", "Claude's folder", "a plugin", "agents below", "a link", "nothing"],
)
def test_the_tasks_of_before_are_those_that_the_commit_has_wherever_a_checkout_leads(
    repository: Repository, path: str, at: str, change: Callable[[Repository], None]
) -> None:
    """Another agent has easier ones by a name to which the change leads."""
    repository.git("checkout", "-q", "main")
    repository.write(path, agent("one"))
    repository.write(at, TASKS)
    repository.write(f"{APART}/plain.tasks.yaml", TASKS.replace("Say hello", "Say what you like"))
    repository.commit()
    repository.git("checkout", "-qb", "harm")
    repository.write(path, agent("one", body=HARM))
    repository.write("docs/agents/plain.md", agent("one", body=HARM))
    change(repository)
    repository.commit()

    [found] = [each for each in repository.change().agents if each.path == path]

    assert found.kind == "edited"
    assert found.tasks_before is not None and found.tasks_before.path == at


def test_in_a_clean_checkout_tasks_are_found_where_the_files_are(repository: Repository) -> None:
    """As `workbench try` and the editor find them, in projects of all kinds, one in another."""
    for path in (
        "lib/agents/a/b.md",
        "lib/agents/a/agents/c.md",
        "py/agents/d.md",
        "py/sub/.claude/agents/e/f.md",
        "plugins/tools/agents/team/g.md",
        ".claude/agents/more/h.md",
    ):
        repository.write(path, agent(Path(path).stem))
    repository.write("py/pyproject.toml", "")
    repository.write("docs/agents/README.md", "# None\n")
    repository.write("docs/plain.md", agent("linked"))
    repository.link("docs/agents/linked.md", "../plain.md")
    repository.commit()
    git = Git(repository.folder)
    head = git.commit("HEAD")
    places = [path for path in sorted(git.files(head)) if is_place(path)]

    for path in places:
        ends = dict.fromkeys((path, git.real(head, path) or path))
        there = dict.fromkeys(place for end in ends for place in task_files_for(git.root / end))
        assert git.task_paths(head, path) == [place.relative_to(git.root).as_posix() for place in there], path
    assert len(places) >= 15
