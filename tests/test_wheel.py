"""What a user installs, tried as a user would: the wheel in a new environment outside of the clone, in a repository of
the user's own with agents in `.claude/agents`.

Nothing is fetched: what the wheel depends on is borrowed from this environment.
"""

from __future__ import annotations

import json
import os
import re
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
from collections.abc import Iterator
from http.cookiejar import CookieJar
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

PROJECT = Path(__file__).parents[1]
AGENT = "---\nname: reviewer\ndescription: Reviews a change.\nmodel: sonnet\n---\n\nYou review.\nAsk a clarifying question.\n"
START_SECONDS = 90
EPOCH = "1700000000"

pytestmark = pytest.mark.timeout(600)


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
    return Installed(environment, repository, home)


def _borrow_dependencies(environment: Path) -> None:
    """Modules by a `.pth` file, behind what is installed; and what JupyterLab's own wheel puts into an environment."""
    purelib = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    here = dict.fromkeys(path for path in sys.path if path.endswith("site-packages"))
    (purelib / "borrowed.pth").write_text("".join(f"{path}\n" for path in here))
    for shared in (Path("share", "jupyter"), Path("share", "jupyter", "labextensions"), Path("etc", "jupyter")):
        _link_missing(Path(sys.prefix) / shared, environment / shared)
    configured = Path("etc", "jupyter", "jupyter_server_config.d")
    _link_missing(Path(sys.prefix) / configured, environment / configured)


def _link_missing(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for each in source.iterdir():
        own = ("agent-workbench", "labextensions", "jupyter_server_config.d")
        if each.name not in own and not each.name.startswith("agent-workbench") and not (target / each.name).exists():
            (target / each.name).symlink_to(each.resolve())


class TestDist:
    def test_the_same_commit_gives_the_same_bytes(self, dist: Path, tmp_path: Path) -> None:
        again = build(tmp_path)

        assert {file.name: file.read_bytes() for file in dist.iterdir()} == {
            file.name: file.read_bytes() for file in again.iterdir()
        }

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
        notebooks = {f"notebooks/{name}.ipynb" for name in ("author", "compare", "review")}
        agent = {f"agents/senior-python-architect{suffix}" for suffix in (".md", ".tasks.yaml")}

        missing = {f"workbench/shipped/{name}" for name in {*recipes, *notebooks, *agent, "constraints.txt"}} - inside
        assert missing == set()

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

    @pytest.mark.parametrize("folder", [".", "src", ".claude", ".claude/agents"])
    def test_the_agents_are_listed_from_any_folder(self, installed: Installed, folder: str) -> None:
        lines = [json.loads(line) for line in installed.workbench("agents", "--json", folder=folder).splitlines()]

        assert [(line["name"], line["kind"], line["file"]) for line in lines] == [
            ("reviewer", "project", ".claude/agents/reviewer.md")
        ]

    def test_the_demonstration_needs_neither_key_nor_clone(self, installed: Installed, tmp_path: Path) -> None:
        folder = tmp_path / "try"
        said = installed.workbench("demo", str(folder))

        assert "OFFLINE STAND-IN" in said
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
            *("-p", "agent", agent),
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

    def test_as_root_it_says_how(self, installed: Installed) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root is refused")

        done = installed.run(str(installed.environment / "bin" / "workbench"))

        assert done.returncode == 2
        assert "--allow-root" in done.stderr


@pytest.fixture(scope="module")
def opened(installed: Installed) -> Iterator[str]:
    """The address that `workbench open` prints from a folder below, for an agent in `.claude/agents`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = installed.repository.parent / "lab.log"
    with log.open("w") as file:
        lab = subprocess.Popen(
            [
                *(str(installed.environment / "bin" / "workbench"), "open", "../.claude/agents/reviewer.md"),
                *("--no-browser", "--ip", "127.0.0.1", "--port", str(port), "--allow-root"),
            ],
            cwd=installed.repository / "src",
            env=installed.variables,
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
        found = re.search(r"http://127\.0\.0\.1:\d+/\S*token=\w+", log.read_text())
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"no address was printed:\n{log.read_text()}")


def fetch(address: str, **headers: str) -> tuple[str, str]:
    """Where an address leads, with the cookies that it sets, and what is there."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with opener.open(urllib.request.Request(address, headers=headers), timeout=30) as answer:
        return answer.url, answer.read().decode()


def call(address: str, path: str, body: Any = None) -> Any:
    base, token = address.split("/workbench/")[0], address.partition("token=")[2]
    request = urllib.request.Request(
        f"{base}/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


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
        assert made == {"notebook": "outputs/notebooks/author-reviewer.ipynb", "cells": ["parameters", "edit", "try"]}
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

    def test_without_a_token_nothing_is_told(self, opened: str) -> None:
        with pytest.raises(urllib.request.HTTPError, match="403"):
            fetch(opened.split("/workbench/")[0] + "/workbench/agents")
