"""What a user installs, tried as a user would: the wheel in a new environment outside of the clone, in a repository of
the user's own with agents in `.claude/agents`.

Nothing is fetched: what the wheel depends on is borrowed from this environment.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tarfile
import time
import urllib.request
import venv
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from email import message_from_bytes
from http.cookiejar import CookieJar
from importlib.metadata import Distribution, distribution, distributions, packages_distributions, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from workbench.markup import counted

PROJECT = Path(__file__).parents[1]
AGENT = "---\nname: reviewer\ndescription: Reviews a change.\nmodel: sonnet\n---\n\nYou review.\nAsk a clarifying question.\n"
START_SECONDS = 90
EPOCH = "1700000000"

pytestmark = [pytest.mark.timeout(600), pytest.mark.machine]


def build(folder: Path) -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(PROJECT)]
    done = subprocess.run(
        command, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheel and the sdist, built from this checkout."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    [found] = dist.glob("*.whl")
    return found


class Installed:
    """The environment that the wheel is installed in, and the user's repository."""

    def __init__(self, environment: Path, repository: Path, home: Path) -> None:
        self.environment, self.repository = environment, repository
        self.seconds = 0.0
        """How long it took to install it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WORKBENCH_", "ANTHROPIC_"))}
        kept = {name: value for name, value in kept.items() if not name.startswith(("PYTHON", "JUPYTER", "GIT_"))}
        self.variables = {
            **kept,
            "HOME": str(home),
            "PATH": os.pathsep.join([str(environment / "bin"), os.environ["PATH"]]),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        }

    def run(self, *command: str, folder: str = ".", given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.repository / folder,
            env=self.variables,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def workbench(self, *arguments: str, folder: str = ".", given: str = "") -> str:
        done = self.run(str(self.environment / "bin" / "workbench"), *arguments, folder=folder, given=given)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    began = time.monotonic()
    folder = tmp_path_factory.mktemp("user")
    environment, repository, home = folder / "env", folder / "shop", folder / "home"
    venv.create(environment, with_pip=False)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install", "--quiet"),
            *("--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)),
        ],
        check=True,
    )
    _borrow_dependencies(environment)
    (repository / ".claude" / "agents").mkdir(parents=True)
    (repository / ".claude" / "agents" / "reviewer.md").write_text(AGENT)
    (repository / "src").mkdir()
    home.mkdir()
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    made = Installed(environment, repository, home)
    made.seconds = time.monotonic() - began
    return made


def _borrow_dependencies(environment: Path) -> None:
    """What `pip install` brings with the wheel and its requirements, and nothing else of this environment: modules and
    metadata by links, and copies of what packages put beside them, of which a server gives out no links."""
    purelib = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    [wheel] = distributions(name="agent-workbench", path=[str(purelib)])
    for package in brought_with([*(wheel.requires or ()), "pip"]).values():
        for file in package.files or ():
            source = Path(os.path.normpath(str(package.locate_file(file))))
            relative = source.relative_to(sys.prefix)
            target = environment / relative
            if relative.parts[0] in ("share", "etc") and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            if not (purelib / top).exists():
                (purelib / top).symlink_to(Path(str(package.locate_file(top))).resolve())


def brought_with(lines: Iterable[str]) -> dict[str, Distribution]:
    """By name the packages that these requirements bring, those of their own requirements included, as they are here."""
    brought: dict[str, Distribution] = {}
    known: set[tuple[str, str]] = set()
    waiting = [(Requirement(line), "") for line in lines]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        package = distribution(requirement.name)
        assert requirement.specifier.contains(package.version, prereleases=True), f"{requirement}: {package.version}"
        brought[canonicalize_name(requirement.name)] = package
        for each in {"", *requirement.extras}:
            if (requirement.name, each) not in known:
                known.add((requirement.name, each))
                waiting += [(Requirement(line), each) for line in package.requires or ()]
    return brought


def made_by_make(clone: Path) -> dict[str, bytes]:
    """What `make dist` leaves in a new clone of this checkout's last commit, by name."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(PROJECT), str(clone)], check=True)
    variables = {name: value for name, value in os.environ.items() if name not in ("SOURCE_DATE_EPOCH", "MAKEFLAGS")}
    done = subprocess.run(
        ["make", "-o", ".venv/installed-dev", f"BIN={Path(sys.executable).parent}", "dist"],
        cwd=clone,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {file.name: file.read_bytes() for file in (clone / "dist").iterdir()}


class TestDist:
    def test_make_gives_the_same_bytes_of_the_same_commit_and_its_time(self, tmp_path: Path) -> None:
        """In two clones, whose files have other times and lie elsewhere; `-o` keeps this environment for both."""
        if shutil.which("make") is None or not (PROJECT / ".git").exists():
            pytest.skip("`make dist` builds from a clone, with make")
        made = [made_by_make(tmp_path / name) for name in ("first", "second")]

        assert made[0] == made[1]
        assert {Path(name).suffix for name in made[0]} == {".whl", ".gz"}
        [wheel] = (tmp_path / "first" / "dist").glob("*.whl")
        epoch = subprocess.run(
            ["git", "log", "-1", "--format=%ct"], cwd=PROJECT, capture_output=True, text=True, check=True
        ).stdout
        committed = time.gmtime(int(epoch) // 2 * 2)  # a zip archive counts in two seconds
        assert {each.date_time for each in zipfile.ZipFile(wheel).infolist()} == {committed[:6]}

    def test_a_registry_would_take_it(self, dist: Path) -> None:
        command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, dist.iterdir())]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stdout + done.stderr

    def test_the_version_stands_in_one_place(self, dist: Path) -> None:
        stated = json.loads((PROJECT / "src/workbench/widgets/lab/package.json").read_text())["version"]

        assert {re.findall(r"agent_workbench-([^-]+?)(?:-|\.tar)", file.name)[0] for file in dist.iterdir()} == {stated}
        assert stated not in (PROJECT / "pyproject.toml").read_text()

    def test_the_wheel_carries_what_a_user_needs(self, wheel: Path) -> None:
        inside = set(zipfile.ZipFile(wheel).namelist())
        recipes = {f"recipes/{path.name}" for path in (PROJECT / "docs" / "recipes").iterdir() if path.is_file()}
        notebooks = {f"notebooks/{name}.ipynb" for name in ("author", "compare", "nightly", "review", "routing")}
        agent = {f"agents/senior-python-architect{suffix}" for suffix in (".md", ".tasks.yaml")}

        missing = {f"workbench/shipped/{name}" for name in {*recipes, *notebooks, *agent, "constraints.txt"}} - inside
        assert missing == set()

    def test_the_page_of_an_index_has_no_link_that_leads_nowhere(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            page = archive.read(name).decode()

        targets = re.findall(r"\]\(([^)]*)\)", page)
        assert [target for target in targets if not target.startswith(("https://", "#"))] == []
        assert "pip install agent-workbench" in page
        assert "The tutorial (docs/tutorial.md)" in page

    def test_what_its_code_imports_is_what_it_requires(self, wheel: Path) -> None:
        """The tests of an installed wheel borrow this environment's packages: of those, none may be missing in it."""
        with zipfile.ZipFile(wheel) as archive:
            sources = {
                name: archive.read(name)
                for name in archive.namelist()
                if name.endswith(".py") and "/recipes/" not in name
            }
            [about] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            lines = message_from_bytes(archive.read(about)).get_all("Requires-Dist", [])
        required = requirements(line for line in lines if "extra == 'dev'" not in line)
        ours, brought = packages_distributions(), required | brought_by_extras(required)
        imported = {
            top
            for name, source in sources.items()
            for top in imports_of(ast.parse(source))
            if top != "workbench" and top not in sys.stdlib_module_names
        }

        missing = {
            top for top in imported if not {canonicalize_name(each) for each in ours.get(top, [top])} & brought.keys()
        }
        assert missing == set()
        assert {"anthropic", "ipywidgets", "pandas", "papermill"} <= imported

    def test_the_sdist_builds_by_itself(self, dist: Path) -> None:
        [sdist] = dist.glob("*.tar.gz")  # `build` made the wheel out of it
        with tarfile.open(sdist) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()} - {"outputs/.gitkeep"}

        assert {"pyproject.toml", "LICENSE", "README.md", "notebooks/author.ipynb", "constraints.txt"} <= names
        assert not any(name.startswith(("outputs/", ".git/", ".venv/")) for name in names)


class TestInstalled:
    def test_it_is_the_wheel_that_answers(self, installed: Installed) -> None:
        assert version("agent-workbench") in installed.workbench("--version")
        where = installed.run("python", "-c", "import workbench; print(workbench.__file__)").stdout
        assert Path(where.strip()).is_relative_to(installed.environment)

    def test_importing_it_loads_no_heavy_library(self, installed: Installed) -> None:
        heavy = [
            "anthropic",
            "pandas",
            "papermill",
            "ipywidgets",
            "matplotlib",
            "sqlalchemy",
            "IPython",
            "jupyter_server",
        ]
        code = f"import sys, workbench; print([name for name in {heavy} if name in sys.modules])"

        assert installed.run("python", "-c", code).stdout.strip() == "[]"

    def test_each_of_its_modules_loads_with_what_it_requires_and_no_more(
        self, installed: Installed, wheel: Path
    ) -> None:
        """Here are the packages that the wheel brings alone: those of its extras and of this checkout's tests are not."""
        code = (
            "import importlib, json, pkgutil, workbench\n"
            "missing = {}\n"
            "for each in pkgutil.walk_packages(workbench.__path__, 'workbench.'):\n"
            "    try:\n"
            "        importlib.import_module(each.name)\n"
            "    except ModuleNotFoundError as error:\n"
            "        missing[each.name] = error.name\n"
            "print(json.dumps(missing))\n"
        )
        done = installed.run("python", "-c", code)
        assert done.returncode == 0, done.stderr

        assert json.loads(done.stdout.splitlines()[-1]) == {}
        assert installed.run("python", "-c", "import pytest").returncode != 0, "borrowed, though nothing requires it"

    @pytest.mark.parametrize("folder", [".", "src", ".claude", ".claude/agents"])
    def test_the_agents_are_listed_from_any_folder(self, installed: Installed, folder: str) -> None:
        lines = [json.loads(line) for line in installed.workbench("agents", "--json", folder=folder).splitlines()]

        [line] = lines
        stands_in = (installed.repository / folder).resolve()
        named = installed.repository.resolve() / ".claude" / "agents" / "reviewer.md"
        assert (line["name"], line["kind"]) == ("reviewer", "project")
        assert (stands_in / line["file"]).resolve() == named
        assert Path(line["file"]).is_absolute() != named.is_relative_to(stands_in)

    def test_the_demonstration_needs_neither_key_nor_clone(self, installed: Installed, tmp_path: Path) -> None:
        """Also within a repository, whose project it is not."""
        folder = tmp_path / "try"
        assert installed.run("git", "init", "--quiet", str(tmp_path)).returncode == 0
        said = installed.workbench("demo", str(folder))

        assert "OFFLINE STAND-IN" in said
        assert f"next: open {folder}/outputs/demo/compare.html in a browser" in said
        assert (folder / "outputs" / "demo" / "compare.html").is_file()
        assert (folder / "outputs" / "demo" / "run.json").is_file()
        page = (folder / "outputs" / "demo" / "compare.html").read_text()
        assert str(tmp_path) not in page
        assert str(installed.environment) not in page

    def test_a_project_begins_and_compares_an_agent_of_its_own(self, installed: Installed) -> None:
        agent = ".claude/agents/reviewer.md"
        shown = installed.workbench("init", agent, "--ci", given="n\nn\nn\nn\n")
        assert not (installed.repository / ".gitignore").exists()
        assert "/outputs/" in shown
        assert ".workbench/tasks/reviewer.tasks.yaml" in shown

        installed.workbench("init", agent, "--ci", "--yes")
        assert (installed.repository / ".github" / "workflows" / "agents.yml").is_file()
        assert "Nothing is missing" in installed.workbench("init", agent, "--ci", "--yes")

        said = installed.workbench(
            *("run", "compare", "--out", "../outputs/mine", "--offline", "-p", "repeats", "2"),
            *("-p", "agent", agent, "-p", "leave_out", "clarifying question"),
            folder="src",
        )
        assert "OFFLINE STAND-IN" in said
        left = installed.run("git", "status", "--short", "--untracked-files=all").stdout
        assert "outputs/" not in left
        assert (installed.repository / "outputs" / "ledger.sqlite").is_file()
        assert not (installed.repository / "src" / "outputs" / "ledger.sqlite").exists()

    def test_the_tested_versions_come_along(self, installed: Installed) -> None:
        pins = Path(installed.workbench("install-pins", "--show").strip())

        assert pins.is_relative_to(installed.environment)
        assert pins.read_bytes() == (PROJECT / "constraints.txt").read_bytes()

    def test_pins_are_brought_into_the_environment_of_the_workbench(self, installed: Installed) -> None:
        """Nothing is fetched: the borrowed versions are the pinned ones, or pip says which one is not there."""
        done = installed.run("env", "PIP_NO_INDEX=1", str(installed.environment / "bin" / "workbench"), "install-pins")
        said = done.stdout + done.stderr

        assert f"agent-workbench=={version('agent-workbench')}" in said
        assert (done.returncode == 0) == ("No matching distribution" not in said), said
        assert str(installed.environment) in said

    @pytest.mark.parametrize("command", [("lab",), ("open", ".claude/agents/reviewer.md")])
    def test_root_is_reached_from_other_machines_only_where_that_is_asked_for(
        self, installed: Installed, command: tuple[str, ...]
    ) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root is refused")

        done = installed.run(str(installed.environment / "bin" / "workbench"), *command, "--ip", "0.0.0.0")

        assert done.returncode == 2
        assert "`workbench lab --ip 0.0.0.0 --allow-root`" in done.stderr


AGENT_PLACES = {
    "project": ".claude/agents",
    "plugin": "tools/agents",
    "folder": "agents",
    "user": "../home-of-four/.claude/agents",
}
"""By kind, where an agent of that kind lies, seen from the project."""


@pytest.fixture(scope="module")
def four_kinds(installed: Installed, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A repository and a home with one agent of each kind."""
    folder = tmp_path_factory.mktemp("four")
    user = Installed(installed.environment, folder / "shop", folder / "home-of-four")
    for place, given in zip(AGENT_PLACES.values(), by_hash(corpus), strict=False):
        (user.repository / place).mkdir(parents=True)
        (user.repository / place / given.name).write_bytes(given.read_bytes())
    (user.repository / "tools" / ".claude-plugin").mkdir()
    (user.repository / "tools" / ".claude-plugin" / "plugin.json").write_text('{"name": "tools"}')
    (user.repository / ".claude" / "agents" / "notes.txt").write_text("no agent\n")
    assert user.run("git", "init", "--quiet").returncode == 0
    return user


class TestFourKinds:
    """Agents of other people in `.claude`, in a plugin, in a plain folder and in the home: each is found, named, read,
    begun and compared from the wheel by its name."""

    def found(self, four_kinds: Installed, folder: str = ".") -> dict[str, dict[str, Any]]:
        lines = four_kinds.workbench("agents", "--json", folder=folder).splitlines()
        return {each["kind"]: each for each in map(json.loads, lines)}

    @pytest.mark.parametrize("folder", [".", ".claude", ".claude/agents", "agents"])
    def test_each_is_found_and_named_from_any_folder(self, four_kinds: Installed, folder: str) -> None:
        found = self.found(four_kinds, folder)

        assert set(found) == set(AGENT_PLACES)
        assert found["plugin"]["name"].startswith("tools:")
        for kind, place in AGENT_PLACES.items():
            assert (four_kinds.repository / folder / found[kind]["file"]).resolve().parent == (
                four_kinds.repository / place
            ).resolve()

    @pytest.mark.parametrize("kind", AGENT_PLACES)
    def test_each_is_compared_by_its_name(self, four_kinds: Installed, kind: str) -> None:
        name = self.found(four_kinds)[kind]["name"]
        said = four_kinds.workbench("compare", name, "--with-model", "haiku", "--estimate", folder=".claude")

        assert "each with a 95 % interval over 10 tasks" in said
        assert "none of them can be established" not in said

    def test_each_file_is_shown_before_it_is_written(self, four_kinds: Installed) -> None:
        name = self.found(four_kinds)["plugin"]["name"]
        shown = four_kinds.workbench("init", name, given="n\nn\n")

        assert f"The project is {four_kinds.repository.resolve()}" in shown
        assert shown.index("/outputs/") < shown.index("left out  .gitignore")
        assert four_kinds.run("git", "status", "--short", "--", ".gitignore", ".workbench").stdout == ""

    @pytest.mark.parametrize(
        "command",
        [("open", "agents/none.md"), ("compare", "agents/none.md"), ("init", "agents/none.md"), ("read", "none.md")],
    )
    def test_a_path_that_is_not_there_is_told_with_where_it_was_looked_for(
        self, four_kinds: Installed, command: tuple[str, ...]
    ) -> None:
        done = four_kinds.run(str(four_kinds.environment / "bin" / "workbench"), *command, folder="tools")

        assert done.returncode == (1 if command[0] == "read" else 2)  # read goes on with the other files
        assert f"(paths start at {(four_kinds.repository / 'tools').resolve()})" in done.stdout + done.stderr


class Walk:
    """The hour of a user: what was typed and clicked, and how long each part took."""

    def __init__(self, before: float) -> None:
        self.lines: list[str] = []
        self.commands = self.clicks = self.seconds = 0.0
        self._began = time.monotonic() - before

    def did(self, what: str, *, commands: int = 0, clicks: int = 0) -> None:
        now = time.monotonic()
        self.lines.append(
            f"{what}: {counted(commands, 'command')}, {counted(clicks, 'click')}, {now - self._began:.1f} s"
        )
        self.commands, self.clicks = self.commands + commands, self.clicks + clicks
        self.seconds, self._began = self.seconds + now - self._began, now

    def __str__(self) -> str:
        in_all = f"in all: {self.commands:.0f} commands, {self.clicks:.0f} clicks, {self.seconds:.1f} s"
        return "\n".join([*self.lines, in_all])


def by_hash(corpus: Path) -> list[Path]:
    """The published agents in the order of their hashes, so that nobody picks one."""
    return sorted(corpus.glob("real/**/*.md"), key=lambda path: hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.browser
class TestTheFirstHour:
    """With an agent of somebody else's, in a repository of its own, from the installed wheel: opened, edited, tried,
    compared with the last commit, saved, committed."""

    def test_from_the_installation_to_a_commit(self, installed: Installed, corpus: Path, tmp_path: Path) -> None:
        if os.environ.get("WORKBENCH_NO_BROWSER") == "1":
            pytest.skip("WORKBENCH_NO_BROWSER=1 asks for no browser tests")
        given = by_hash(corpus)[0]
        repository = tmp_path / "theirs"
        agent = repository / ".claude" / "agents" / given.name
        agent.parent.mkdir(parents=True)
        agent.write_bytes(given.read_bytes())
        user = Installed(installed.environment, repository, installed.repository.parent / "home")
        git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "An agent"]):
            assert user.run(*git, *command).returncode == 0
        walk = Walk(installed.seconds)
        walk.did(f"install, and {given.name} of {given.parent.name} in .claude/agents", commands=1)

        user.workbench("init", f".claude/agents/{given.name}", "--yes")
        walk.did("begin: .gitignore and a first task file", commands=1)
        with running_open(user, f".claude/agents/{given.name}") as address, page_at(address) as page:
            editor, panel = (
                page.get_by_role("group", name="Agent editor"),
                page.get_by_role("group", name="Trial panel"),
            )
            editor.wait_for()
            panel.wait_for()
            walk.did("open", commands=1)

            prompt = editor.get_by_label("Prompt", exact=True)
            prompt.press("Control+End")
            prompt.press_sequentially("\nAsk a clarifying question before you begin.\n")
            editor.get_by_text("edited, not saved: prompt").wait_for()
            walk.did("edit", clicks=1)

            panel.get_by_text("The next Run asks 2 times: disk and draft").wait_for()
            panel.get_by_role("button", name="Run", exact=True).click()
            panel.get_by_role("heading", name="The variants compared").wait_for()
            walk.did("try", clicks=1)

            assert user.run("git", "diff", "--quiet", "HEAD", "--", ".claude").returncode == 0  # "disk" is the commit
            tasks = panel.get_by_label("Tasks", exact=True)
            count = tasks.locator("option").count()
            tasks.select_option(index=list(range(1, count)))  # a person clicks the first and, with Shift, the last
            # One task of both is in the ledger already.
            panel.get_by_text(f"The next Run asks {2 * count - 4} times: disk and draft").first.wait_for()
            panel.get_by_role("button", name="Run", exact=True).click()
            panel.get_by_text(f"Variants ({count - 1} tasks x 1 repeat)").wait_for()
            walk.did(f"compare with the last commit, on {count - 1} tasks", clicks=3)

            editor.get_by_role("button", name="Save", exact=True).click()
            editor.get_by_text("Saved.").wait_for()
            walk.did("save", clicks=1)

        changed = user.run("git", "diff", "--unified=0", "--", ".claude").stdout
        added = [line for line in changed.splitlines() if re.match(r"[-+](?![-+])", line)]
        assert added[-1] == "+Ask a clarifying question before you begin."
        assert len(added) <= 4, changed  # the last line of the file may have had no end
        assert user.run(*git, "commit", "--quiet", "--all", "--message", "Ask before").returncode == 0
        walk.did("commit", commands=1)
        left = user.run("git", "status", "--short", "--untracked-files=all").stdout.split("\n")
        print(f"\n{walk}")

        said = user.workbench("compare", f".claude/agents/{given.name}", "--with", "HEAD~1", "--offline")
        assert "OFFLINE STAND-IN" in said  # the same by a command, which is no part of the walk
        assert {line[3:] for line in left if line} <= {".gitignore", f".workbench/tasks/{given.stem}.tasks.yaml"}
        assert (walk.commands, walk.clicks) == (4, 6)  # docs/install.md says them
        assert walk.seconds < 3600


@contextmanager
def page_at(address: str) -> Iterator[Any]:
    """A page of a browser at this address, as one opens that clicks on it."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import browser_here, new_page

    with sync_playwright() as playwright:
        browser = browser_here(playwright)
        page = new_page(browser, viewport={"width": 1440, "height": 900})
        page.goto(address)
        yield page
        browser.close()


def requirements(lines: Iterable[str]) -> dict[str, Requirement]:
    """What a package requires, by name, for its extras too."""
    return {canonicalize_name(each.name): each for each in map(Requirement, lines)}


def brought_by_extras(required: Mapping[str, Requirement]) -> dict[str, Requirement]:
    """What `anthropic[aiohttp]` has more than `anthropic`."""
    return {
        name: each
        for requirement in required.values()
        for extra in requirement.extras
        for name, each in requirements(distribution(requirement.name).requires or []).items()
        if each.marker is not None and each.marker.evaluate({"extra": extra})
    }


def imports_of(tree: ast.AST) -> Iterator[str]:
    """The outermost names of all that a file imports, at its top or later."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


@pytest.fixture(scope="module")
def opened(installed: Installed) -> Iterator[str]:
    """The address that `workbench open` prints from a folder below, for an agent in `.claude/agents`."""
    with running_open(installed, "../.claude/agents/reviewer.md", folder="src") as address:
        yield address


def running_open(user: Installed, agent: str, *, folder: str = ".") -> AbstractContextManager[str]:
    """The address that `workbench open` prints for this agent; its JupyterLab runs meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = ("--no-browser", "--ip", "127.0.0.1", "--port", str(port))
    return running_lab(user, "open", agent, *given, folder=folder)


@contextmanager
def running_lab(user: Installed, *arguments: str, folder: str = ".") -> Iterator[str]:
    """The address that `workbench` prints, called with these; its JupyterLab runs meanwhile, and opens no browser."""
    log = user.repository.parent / "lab.log"
    with log.open("w") as file:
        lab = subprocess.Popen(
            [str(user.environment / "bin" / "workbench"), *arguments],
            cwd=user.repository / folder,
            env={**user.variables, "BROWSER": "true"},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _printed_address(log, lab)
    finally:
        os.killpg(lab.pid, signal.SIGTERM)
        lab.wait(30)


def _printed_address(log: Path, lab: subprocess.Popen[bytes]) -> str:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and lab.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/\S*token=\w+", log.read_text())
        if found and _is_listened_at(int(found[1])):  # JupyterLab prints it a moment before it listens
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"no address was printed:\n{log.read_text()}")


def _is_listened_at(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def fetch(address: str, **headers: str) -> tuple[str, str]:
    """Where an address leads, with the cookies that it sets, and what is there."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with opener.open(urllib.request.Request(address, headers=headers), timeout=30) as answer:
        return answer.url, answer.read().decode()


def call(address: str, path: str, body: Any = None) -> Any:
    base, token = re.split("/workbench/|/lab", address)[0], address.partition("token=")[2]
    request = urllib.request.Request(
        f"{base}/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


class TestLab:
    """Where no JupyterLab runs yet, one is started on the project, from a folder below and from inside `.claude`."""

    @pytest.mark.parametrize(("command", "folder"), [((), "src"), (("lab",), ".claude/agents")], ids=["bare", "lab"])
    def test_it_starts_on_the_project_with_its_agents(
        self, installed: Installed, command: tuple[str, ...], folder: str, tmp_path: Path
    ) -> None:
        """As root too, as in a container: this machine alone reaches it, whatever Jupyter's own settings say."""
        alone = Installed(installed.environment, installed.repository, tmp_path / "home")
        settings = tmp_path / "home" / ".jupyter" / "jupyter_server_config.json"
        settings.parent.mkdir(parents=True)
        if os.geteuid() == 0:
            settings.write_text('{"ServerApp": {"ip": "0.0.0.0"}}')
        with running_lab(alone, *command, folder=folder) as address:
            assert "jupyter-config-data" in fetch(address)[1]
            listed = call(address, "workbench/agents")
            said = (alone.repository.parent / "lab.log").read_text()

        assert [each["path"] for each in listed["agents"]] == [".claude/agents/reviewer.md"]
        assert listed["shows_hidden"] is True
        assert ("You are root" in said) == (os.geteuid() == 0)
        assert set(re.findall(r"http://([^:/]+):", said)) <= {"127.0.0.1", "localhost"}

    def test_each_address_that_is_printed_in_a_container_opens_the_agent(
        self, installed: Installed, tmp_path: Path
    ) -> None:
        """Where every address is listened at, one is printed with the name of the machine, which others use."""
        alone = Installed(installed.environment, installed.repository, tmp_path / "home")
        asked = ("--ip", "0.0.0.0", "--no-browser", "--allow-root")
        with running_lab(alone, "open", "reviewer", *asked, folder="src") as address:
            printed = set(re.findall(r"http://\S+token=\w+", (alone.repository.parent / "lab.log").read_text()))
            names = {urlsplit(each).hostname for each in printed}
            assert {"127.0.0.1"} <= names <= {"127.0.0.1", "0.0.0.0", socket.gethostname().lower()}
            for each in (each for each in printed if _has_address(urlsplit(each).hostname)):
                assert each.count("?") == 1
                where, page = fetch(each)
                assert "/lab?workbench-open=.claude/agents/reviewer.md&workbench-ticket=" in where
                assert "jupyter-config-data" in page
            [second] = re.findall(r"http://\S+", alone.workbench("open", "reviewer", "--no-browser"))
            assert "jupyter-config-data" in fetch(second)[1]
            assert urlsplit(second).port == urlsplit(address).port


def _has_address(name: str | None) -> bool:
    """Whether this machine finds a machine of this name: not every container knows its own."""
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return False
    return True


class TestOpen:
    def test_the_printed_address_leads_to_the_agent(self, opened: str) -> None:
        assert opened.count("?") == 1

        where, page = fetch(opened)

        assert "/lab?workbench-open=.claude/agents/reviewer.md&workbench-ticket=" in where
        assert "jupyter-config-data" in page
        base = opened.split("/workbench/")[0]
        served = fetch(f"{base}/lab/extensions/agent-workbench/static/open.js?{urlsplit(opened).query}")[1]
        assert served == (PROJECT / "src/workbench/widgets/lab/static/open.js").read_text()

    def test_it_serves_the_repository_with_its_hidden_folders(self, opened: str) -> None:
        names = {each["name"] for each in call(opened, "api/contents/?content=1")["content"]}
        assert {".claude", "src"} <= names

        listed = call(opened, "workbench/agents")
        assert [(each["name"], each["path"]) for each in listed["agents"]] == [
            ("reviewer", ".claude/agents/reviewer.md")
        ]
        assert listed["shows_hidden"] is True

    def test_agent_files_are_told_from_other_markdown(self, opened: str, installed: Installed) -> None:
        (installed.repository / ".claude" / "agents" / "README.md").write_text("# Our agents\n")

        assert call(opened, "workbench/agent-files?folder=.claude/agents") == {"names": ["reviewer.md"]}
        with pytest.raises(urllib.request.HTTPError, match="404"):
            call(opened, "workbench/agent-files?folder=../home")

    def test_a_notebook_that_is_there_is_run_only_for_who_was_asked(self, opened: str, installed: Installed) -> None:
        asked = {"path": ".claude/agents/reviewer.md"}
        made = call(opened, "workbench/notebook", asked)
        assert made == {
            "notebook": "outputs/notebooks/author-reviewer.ipynb",
            "cells": ["parameters", "edit", "try", "picked"],
        }
        assert call(opened, "workbench/notebook", asked)["cells"] == []
        assert call(opened, "workbench/notebook", {**asked, "clicked": True})["cells"] != []

        again = installed.workbench("open", ".claude/agents/reviewer.md", "--no-browser")
        ticket = re.findall(r"workbench-ticket=([\w-]+)", again)[0]
        assert call(opened, "workbench/notebook", {**asked, "ticket": ticket})["cells"] != []
        assert call(opened, "workbench/notebook", {**asked, "ticket": ticket})["cells"] == []
        assert call(opened, "workbench/notebook", {**asked, "ticket": "../../x"})["cells"] == []

    def test_a_second_open_uses_the_server_that_runs(self, opened: str, installed: Installed) -> None:
        said = installed.workbench("open", ".claude/agents/reviewer.md", "--no-browser")

        [address] = re.findall(r"http://\S+", said)
        assert address.startswith(opened.split("/workbench/")[0])
        assert "jupyter-config-data" in fetch(address)[1]

    def test_the_lab_that_runs_on_the_project_is_used_for_all_of_it(self, opened: str, installed: Installed) -> None:
        said = installed.workbench("lab", "--no-browser", folder="src")

        [address] = re.findall(r"http://\S+", said)
        assert address.startswith(opened.split("/workbench/")[0])
        assert "jupyter-config-data" in fetch(address)[1]

    @pytest.mark.browser
    def test_palette_launcher_and_right_click_open_an_agent(self, opened: str, installed: Installed) -> None:
        """In the JupyterLab of the wheel, which has the extension out of the wheel."""
        if os.environ.get("WORKBENCH_NO_BROWSER") == "1":
            pytest.skip("WORKBENCH_NO_BROWSER=1 asks for no browser tests")
        base, token = opened.split("/workbench/")[0], opened.partition("token=")[2]
        with page_at(f"{base}/lab?token={token}&reset") as page:
            card = page.locator(".jp-LauncherCard", has_text="reviewer")
            card.first.wait_for(timeout=90_000)
            assert page.locator(".jp-LauncherCard", has_text="Open an agent").count() == 1

            page.keyboard.press("Control+Shift+C")
            page.locator(".lm-CommandPalette-input").fill("agent in the workbench")
            page.locator(".lm-CommandPalette-item", has_text="Open an Agent in the Workbench").click()
            page.locator(".jp-Dialog select").select_option(label="reviewer (this project: .claude/agents/reviewer.md)")
            page.locator(".jp-Dialog .jp-mod-accept").click()
            page.get_by_role("group", name="Agent editor").wait_for(timeout=90_000)

            for folder in (".claude", "agents"):
                page.locator(".jp-DirListing-item", has_text=folder).dblclick()
            file = page.locator(".jp-DirListing-item", has_text="reviewer.md")
            file.click(button="right")
            page.get_by_role("menuitem", name="Open in Workbench").wait_for(timeout=30_000)
            page.keyboard.press("Escape")
        assert (installed.repository / "outputs" / "notebooks" / "author-reviewer.ipynb").is_file()

    def test_without_a_token_nothing_is_told(self, opened: str) -> None:
        with pytest.raises(urllib.request.HTTPError, match="403"):
            fetch(opened.split("/workbench/")[0] + "/workbench/agents")
