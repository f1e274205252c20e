"""The recipes in docs/: each is run as far as it can be without a network, and every command of ours is a real one."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import click
import nbformat
import pytest
import yaml

from tests.messages_server import serve
from workbench.cli import main
from workbench.headless.notebook_files import load_notebook
from workbench.headless.parameters import declared_parameters
from workbench.headless.published import ABOUT

PROJECT = Path(__file__).parents[1]
RECIPES = PROJECT / "docs" / "recipes"
DOCUMENTS = [path for path in PROJECT.glob("docs/**/*.md") if "_build" not in path.parts]
PAGES = [*PROJECT.glob("*.md"), *DOCUMENTS, *RECIPES.iterdir(), *PROJECT.glob("notebooks/*.ipynb")]
BIN = Path(sys.executable).parent
AGENT = "---\nname: asker\ndescription: Asks first\nmodel: sonnet\n---\n\nYou design.\nAsk a clarifying question.\n"
WORSE = AGENT.replace("Ask a clarifying question.", "Never ask.")
TASKS = [{"id": f"task-{n}", "input": f"Design part {n}.", "graders": ["asks_question"]} for n in range(12)]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project as the recipes want it, in git, with one agent, twelve tasks and the compare notebook."""
    folder = tmp_path / "project"
    (folder / "agents").mkdir(parents=True)
    (folder / "agents" / "asker.md").write_text(AGENT)
    (folder / "agents" / "asker.tasks.yaml").write_text(yaml.safe_dump(TASKS))
    (folder / "notebooks").mkdir()
    shutil.copy(PROJECT / "notebooks" / "compare.ipynb", folder / "notebooks")
    (folder / "requirements-workbench.txt").write_text("agent-workbench\n")
    (folder / ".gitignore").write_text("outputs/*\n.venv/\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    return folder


def without_pictures(repository: Path) -> None:
    """The compare notebook up to its verdict and with its record: what lies between takes most of the time."""
    path = repository / "notebooks" / "compare.ipynb"
    document = nbformat.read(path, as_version=4)
    code = [cell for cell in document.cells if cell.cell_type == "code"]
    [verdict] = [place for place, cell in enumerate(code) if "verdict" in cell.metadata.get("tags", [])]
    document.cells = [*code[: verdict + 1], code[-1]]
    nbformat.write(document, path)


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """Programs that the recipes call and that would need a network: they note how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("pip", "gh"):
        (folder / name).write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/{name}.log"\n')
        (folder / name).chmod(0o755)
    return folder


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Work")
    return git(folder, "rev-parse", "HEAD").strip()


def shell(script: str, folder: Path, *, bin_folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": os.pathsep.join([str(bin_folder), str(BIN), os.environ["PATH"]]), **variables}
    environment.pop("WORKBENCH_LEDGER", None)
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


class TestCommands:
    """Every `workbench` command in documents, recipes and notebooks has a command, options and values that exist."""

    OF_SHELL: ClassVar = {"|", "||", "&&", ";", ">", ">>", "<", "(", ")", "2"}
    VALUES: ClassVar = {"$who": "--live", "$MARGIN": "0.05"}

    @classmethod
    def commands(cls, page: Path) -> Iterator[tuple[bool, list[str]]]:
        """Each command with whether it may go without arguments: in a sentence, or where a tool puts them behind it."""
        text = page.read_text(encoding="utf-8")
        if page.suffix == ".ipynb":
            cells = nbformat.reads(text, as_version=4).cells
            text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        is_markdown, in_fence = page.suffix in (".md", ".ipynb"), False
        for line in re.sub(r"\\\n#?\s*", "", text).splitlines():
            in_fence ^= line.startswith("```")
            line = re.sub(r"docker run .* agents (?=run )", "workbench ", line)
            for found in re.finditer(r"(?<![\w.-])workbench (?=[a-z])", line):
                before, rest = line[: found.start()], line[found.end() :]
                inline = before.count("`") % 2 == 1
                if inline:
                    yield True, list(cls.words(rest.partition("`")[0]))
                is_code = not is_markdown or in_fence or line.startswith("    ")
                if not inline and is_code and re.search(r"(^[\s#$]*|&& |/|: )$", before):
                    yield before.endswith("entry: "), list(cls.words(rest))

    @classmethod
    def words(cls, rest: str) -> Iterator[str]:
        lexer = shlex.shlex(rest, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for word in lexer:
            if word in cls.OF_SHELL:
                return
            yield cls.VALUES.get(word, word)

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_every_command_is_taken(self, page: Path) -> None:
        for is_name, (name, *arguments) in self.commands(page):
            assert name in main.commands, f"{page.name}: workbench {name}"
            try:
                taken = main.commands[name].make_context(name, list(arguments), parent=click.Context(main))
            except click.MissingParameter as error:
                assert is_name, f"{page.name}: workbench {name} {shlex.join(arguments)}: {error.format_message()}"
                continue
            except click.UsageError as error:
                pytest.fail(f"{page.name}: workbench {name} {shlex.join(arguments)}: {error.format_message()}")
            if name == "run" and (PROJECT / taken.params["notebook"]).is_file():
                known = declared_parameters(load_notebook(PROJECT / taken.params["notebook"]))
                assert {key for key, _ in taken.params["texts"]} <= set(known), f"{page.name}: {arguments}"

    def test_the_pages_hold_commands_at_all(self) -> None:
        found = {page.name: [words[0] for _, words in self.commands(page)] for page in PAGES}

        assert found["github-actions.yml"] == ["check-notebooks", "run", "report", "gate"]
        assert found["crontab"] == ["batch", "batch"]
        assert found["pre-commit-config.yaml"] == ["check-notebooks"]
        assert found["Containerfile"] == ["run"]
        assert {"run", "report", "gate", "check-notebooks", "batch"} <= set(found["recipes.md"])
        assert len(found["README.md"]) > 8

    def test_every_file_of_the_index_is_there_and_is_indexed(self) -> None:
        index = (PROJECT / "docs" / "recipes.md").read_text()

        assert set(re.findall(r"\]\(recipes/([^)]+)\)", index)) == {path.name for path in RECIPES.iterdir()}

    @pytest.mark.parametrize("path", sorted(RECIPES.glob("*.y*ml")), ids=lambda path: path.name)
    def test_yaml_is_yaml(self, path: Path) -> None:
        assert isinstance(yaml.safe_load(path.read_text()), dict)


class TestGitHubActions:
    """The workflow's own shell, run in a repository in which an agent changed."""

    @pytest.fixture
    def workflow(self) -> dict[str, Any]:
        loaded: dict[str, Any] = yaml.safe_load((RECIPES / "github-actions.yml").read_text())
        return loaded

    def run_steps(
        self, workflow: dict[str, Any], repository: Path, bin_folder: Path, base: str, **variables: str
    ) -> dict[str, subprocess.CompletedProcess[str]]:
        """What became of each step that is a script, by its name; after one that fails, those that run all the same."""
        known = {
            "secrets.ANTHROPIC_API_KEY": variables.get("ANTHROPIC_API_KEY", ""),
            "github.event.pull_request.base.sha": base,
            "github.event.number": "12",
            "github.token": "token",
        }
        job = workflow["jobs"]["gate"]
        done: dict[str, subprocess.CompletedProcess[str]] = {}
        for step in job["steps"]:
            failed = any(ended.returncode for ended in done.values())
            if "run" not in step or (failed and "!cancelled()" not in str(step.get("if"))):
                continue
            assert "${{" not in step["run"], "what is filled in becomes part of the script: pass it in `env`"
            given = {
                name: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: known[found[1]], str(value))
                for name, value in {**workflow["env"], **step.get("env", {})}.items()
            }
            summary = str(repository.parent / "step-summary.md")
            settings = {**variables, **given, "REPEATS": "1", "GITHUB_STEP_SUMMARY": summary}
            done[step["name"]] = shell(step["run"], repository, bin_folder=bin_folder, **settings)
        return done

    def test_a_change_that_is_worse_fails_and_is_said_in_the_pull_request(
        self, workflow: dict[str, Any], repository: Path, bin_folder: Path
    ) -> None:
        base = git(repository, "rev-parse", "HEAD").strip()
        (repository / "agents" / "asker.md").write_text(WORSE)
        (repository / "agents" / "bare.md").write_text(AGENT)
        commit(repository)

        with serve(lambda body, _: "line separator" if "Never ask" in str(body["system"]) else "ok") as server:
            done = self.run_steps(
                workflow, repository, bin_folder, base, ANTHROPIC_API_KEY="a-key", ANTHROPIC_BASE_URL=server.url
            )

        ended = {name: step.returncode for name, step in done.items()}
        assert ended == {
            "Install": 0,
            "Look at the stored notebooks": 0,
            "Try the changed agents": 0,
            "Hold each against the agent as it was": 1,
            "Say it in the pull request": 0,
        }, done
        comment = (repository / "outputs" / "pr" / "comment.md").read_text()
        assert comment.startswith('## `agents/asker.md`\n\n```\nGate fails: "variant" against "base"')
        assert "### Worse" in comment
        assert (repository.parent / "step-summary.md").read_text() == comment
        assert (repository.parent / "gh.log").read_text().startswith("pr comment 12 --edit-last --create-if-none")
        assert "requirements-workbench.txt" in (repository.parent / "pip.log").read_text()
        assert "a-key" not in "".join(
            path.read_text(errors="replace") for path in (repository / "outputs" / "pr").rglob("*") if path.is_file()
        )

    def test_without_a_key_nothing_fails_and_the_comment_says_who_answered(
        self, workflow: dict[str, Any], repository: Path, bin_folder: Path
    ) -> None:
        without_pictures(repository)
        (repository / "agents" / "no-tasks.md").write_text(AGENT)
        (repository / "agents" / "asker.tasks.yaml").write_text(yaml.safe_dump(TASKS[:2]))
        base = commit(repository)
        for name in ("asker", "no-tasks"):
            (repository / "agents" / f"{name}.md").write_text(WORSE)
        commit(repository)

        done = self.run_steps(workflow, repository, bin_folder, base)

        assert {step.returncode for step in done.values()} == {0}, done
        assert "::warning::agents/no-tasks.md changed" in done["Try the changed agents"].stdout
        comment = (repository / "outputs" / "pr" / "comment.md").read_text()
        assert "OFFLINE STAND-IN" in comment.split("###")[0]
        assert "no-tasks" not in comment

    def test_agents_of_one_name_and_renamed_ones_are_each_held_against_themselves(
        self, workflow: dict[str, Any], repository: Path, bin_folder: Path
    ) -> None:
        without_pictures(repository)
        agents = repository / "agents"
        for folder in ("ops", "web"):
            (agents / folder).mkdir()
            (agents / folder / "reviewer.md").write_text(AGENT.replace("design", f"design for {folder}"))
            (agents / folder / "reviewer.tasks.yaml").write_text(yaml.safe_dump(TASKS))
        (agents / "asker.md").write_text(AGENT + "\n".join(f"Rule {n}." for n in range(12)))
        base = commit(repository)
        # The one that comes first is worse, and so is one that is renamed with its tasks left behind.
        (agents / "ops" / "reviewer.md").write_text(WORSE)
        (agents / "web" / "reviewer.md").write_text(AGENT.replace("design", "design for the web"))
        renamed = (agents / "asker.md").read_text().replace("Ask a clarifying question", "Never ask")
        (agents / "asker.md").unlink()
        (agents / "web" / "renamed asker.md").write_text(renamed)
        (agents / "new.md").write_text("---\nname: new\ndescription: Another\n---\n\nSay hello to everybody.\n")
        commit(repository)

        with serve(lambda body, _: "line separator" if "Never ask" in str(body["system"]) else "ok") as server:
            done = self.run_steps(
                workflow, repository, bin_folder, base, ANTHROPIC_API_KEY="a-key", ANTHROPIC_BASE_URL=server.url
            )

        comment = (repository / "outputs" / "pr" / "comment.md").read_text()
        said = re.findall(r"^## `(.*)`\n\n```\n(Gate \w+|Not enough data)", comment, re.MULTILINE)
        assert [name for name, _ in said] == [
            "agents/ops/reviewer.md",
            "agents/web/renamed asker.md",
            "agents/web/reviewer.md",
        ], done
        assert [decision for _, decision in said][:2] == ["Gate fails", "Gate fails"]
        assert done["Hold each against the agent as it was"].returncode == 1
        assert "::warning::agents/new.md is new" in done["Try the changed agents"].stdout

    def test_agents_of_claudes_folder_with_tasks_apart_are_tried_without_notebooks_of_ones_own(
        self, workflow: dict[str, Any], repository: Path, bin_folder: Path
    ) -> None:
        shutil.rmtree(repository / "notebooks")
        kept, tasks = repository / ".claude" / "agents", repository / ".workbench" / "tasks"
        kept.mkdir(parents=True)
        tasks.mkdir(parents=True)
        (repository / "agents" / "asker.md").rename(kept / "asker.md")
        (tasks / "asker.tasks.yaml").write_text(yaml.safe_dump(TASKS[:2]))
        (repository / "agents" / "asker.tasks.yaml").unlink()
        base = commit(repository)
        (kept / "asker.md").write_text(WORSE)
        commit(repository)

        done = self.run_steps(workflow, repository, bin_folder, base)

        assert {step.returncode for step in done.values()} == {0}, done
        assert "OFFLINE STAND-IN" in (repository / "outputs" / "pr" / "comment.md").read_text()

    def test_it_asks_for_no_more_than_it_needs(self, workflow: dict[str, Any]) -> None:
        # YAML 1.1 reads `on` as true.
        assert list(workflow[True]) == ["pull_request"]  # type: ignore[index]
        assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
        with_key = [step["name"] for step in workflow["jobs"]["gate"]["steps"] if "ANTHROPIC" in str(step.get("env"))]
        assert with_key == ["Try the changed agents"]


def test_the_hook_stops_a_notebook_with_outputs(repository: Path, bin_folder: Path) -> None:
    [hook] = yaml.safe_load((RECIPES / "pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    notebook = "notebooks/compare.ipynb"
    assert re.search(hook["files"], notebook)
    clean = shell(f"{hook['entry']} {notebook}", repository, bin_folder=bin_folder)
    document = nbformat.read(repository / notebook, as_version=4)
    document.cells[-1].outputs = [nbformat.v4.new_output("stream", text="1\n")]
    nbformat.write(document, repository / notebook)
    dirty = shell(f"{hook['entry']} {notebook}", repository, bin_folder=bin_folder)

    assert (clean.returncode, dirty.returncode) == (0, 1)
    assert "holds outputs" in dirty.stdout


def test_the_lines_of_the_crontab_run_the_nightly_batch(repository: Path, bin_folder: Path, tmp_path: Path) -> None:
    lines = [line for line in (RECIPES / "crontab").read_text().splitlines() if line and not line.startswith("#")]
    settings = dict(line.split("=", 1) for line in lines[:3])
    jobs = [line.split(None, 5) for line in lines[3:]]
    assert list(settings) == ["SHELL", "PROJECT", "KEYS"]
    assert all(re.fullmatch(r"[\d*,/-]+", field) for job in jobs for field in job[:5])
    assert not any("%" in job[5] for job in jobs), "cron makes a line end of it"
    (tmp_path / "keys.env").write_text("WORKBENCH_OFFLINE_TOKENS_PER_SECOND=0\n")
    (repository / "agents" / "asker.tasks.yaml").write_text(yaml.safe_dump(TASKS[:2]))
    without_pictures(repository)
    shutil.copy(RECIPES / "nightly.yaml", repository)
    (repository / ".venv" / "bin").mkdir(parents=True)
    (repository / ".venv" / "bin" / "workbench").symlink_to(BIN / "workbench")

    for job in jobs:
        done = shell(job[5], tmp_path, bin_folder=bin_folder, PROJECT=str(repository), KEYS=str(tmp_path / "keys.env"))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (
            repository / "outputs/nightly.log"
        ).read_text()

    assert (repository / "outputs" / "nightly" / "index.html").is_file()
    assert (repository / "outputs" / "nightly.log").read_text().count("index     ") == 2


class TestContainer:
    LINES: ClassVar = [
        line.split(None, 1)
        for line in re.sub(r"\\\n", "", (RECIPES / "Containerfile").read_text()).splitlines()
        if line and not line.startswith("#")
    ]

    def test_what_it_copies_is_in_a_project_and_what_it_installs_from_was_copied(self, repository: Path) -> None:
        copied = set()
        for instruction, rest in self.LINES:
            if instruction == "COPY":
                copied |= set(rest.split()[:-1])
            if instruction == "RUN":
                named = set(re.findall(r"--requirement (\S+)", rest))
                assert named <= copied
                assert subprocess.run(["bash", "-n", "-c", rest], check=False).returncode == 0

        assert copied == {"requirements-workbench.txt", "agents", "notebooks"}
        assert all((repository / name).exists() for name in copied)

    def test_it_holds_no_key_and_is_not_run_as_root(self) -> None:
        instructions = dict(self.LINES)

        assert not [rest for instruction, rest in self.LINES if "KEY" in rest or instruction == "ARG"]
        assert instructions["USER"] == "1000"

    def test_what_it_does_by_default_is_a_command(self) -> None:
        instructions = dict(self.LINES)
        entry, (name, *arguments) = json.loads(instructions["ENTRYPOINT"]), json.loads(instructions["CMD"])

        assert entry == ["workbench"]
        assert main.commands[name].make_context(name, arguments).params["out"] == Path("outputs/compare")


AIRFLOW = '''
import json, runpy, sys, types

import papermill


class PapermillOperator:
    """Keeps its arguments, and hands them to papermill as Airflow's does, which names no engine."""

    made = []

    def __init__(self, *, task_id, retries, **given):
        self.made.append(self)
        self.given = {key: json.loads(json.dumps(value).replace("{{ ds_nodash }}", "20261123")) for key, value in given.items()}

    def execute(self, context):
        given = dict(self.given)
        papermill.execute_notebook(
            given.pop("input_nb"), given.pop("output_nb"), **given, progress_bar=False, report_mode=True,
            log_output=False, kernel_name=None, language=None, engine_name=None,
        )


class DAG:
    def __init__(self, *, dag_id, schedule, catchup): pass
    def __enter__(self): return self
    def __exit__(self, *_): pass


for name in ("airflow", "airflow.providers", "airflow.providers.papermill", "airflow.providers.papermill.operators"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["airflow.sdk"] = types.ModuleType("airflow.sdk")
sys.modules["airflow.sdk"].DAG = DAG
operators = sys.modules["airflow.providers.papermill.operators.papermill"] = types.ModuleType("papermill")
operators.PapermillOperator = PapermillOperator
runpy.run_path(sys.argv[1])
[task] = PapermillOperator.made
settings = {**task.given["parameters"], **json.loads(sys.argv[2])}
task.given["parameters"] = {**settings, "repeat": 1}
try:
    task.execute({})
except Exception as error:
    print(type(error).__name__, error)
task.given["parameters"] = settings
task.execute({})
'''


def test_airflows_task_refuses_a_misspelt_parameter_and_leaves_notebook_and_record(repository: Path) -> None:
    without_pictures(repository)
    (repository / "outputs").mkdir()
    own = {"agent": "agents/asker.md", "tasks": "agents/asker.tasks.yaml", "repeats": 1, "live": False}
    done = subprocess.run(
        [sys.executable, "-c", AIRFLOW, str(RECIPES / "airflow_dag.py"), json.dumps(own)],
        cwd=repository.parent,
        env={**os.environ, "AGENTS_PROJECT": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert re.match(r"ParameterError .*'repeat'", done.stdout), done.stdout
    executed = nbformat.read(repository / "outputs" / "airflow-20261123.ipynb", as_version=4)
    assert executed.metadata[ABOUT]["outcome"] == "completed"
    assert (repository / "outputs" / "airflow-20261123" / "run.json").is_file()


def test_the_hubs_settings_reach_a_spawner(monkeypatch: pytest.MonkeyPatch) -> None:
    from traitlets.config import Config

    monkeypatch.setenv("ANTHROPIC_API_KEY", "a-key")
    monkeypatch.setenv("WORKBENCH_LEDGER", "postgresql+psycopg://hub/ledger")
    settings = Config()
    path = RECIPES / "jupyterhub_config.py"
    exec(compile(path.read_text(), path, "exec"), {"get_config": lambda: settings})

    spawner = types.SimpleNamespace(user=types.SimpleNamespace(name="ada"))
    environment = settings.Spawner.environment
    given = {name: value(spawner) if callable(value) else value for name, value in environment.items()}
    assert given["ANTHROPIC_API_KEY"] == "a-key"
    assert re.fullmatch(r"ada-\d{4}-\d{2}", given["WORKBENCH_BUDGET_SCOPE"])
    assert float(given["WORKBENCH_BUDGET_USD"]) > 0
    assert set(given) >= {"WORKBENCH_LEDGER"}
    assert (PROJECT / settings.Spawner.default_url.removeprefix("/lab/tree/")).is_file()


def test_git_diff_shows_what_changed_in_a_notebook(repository: Path, bin_folder: Path) -> None:
    for recipe, name in (("gitattributes", ".gitattributes"), ("nbdime_config.json", "nbdime_config.json")):
        shutil.copy(RECIPES / recipe, repository / name)
    [command] = re.findall(r"^pip install nbdime && (nbdime .+)$", (PROJECT / "docs/recipes.md").read_text(), re.M)
    done = shell(command, repository, bin_folder=bin_folder)
    assert done.returncode == 0, done.stderr
    commit(repository)
    path = repository / "notebooks" / "compare.ipynb"
    document = nbformat.read(path, as_version=4)
    [cell] = [cell for cell in document.cells if cell.id == "parameters"]
    cell.source = cell.source.replace("repeats: int = 3", "repeats: int = 5")
    document.cells[-1].outputs = [nbformat.v4.new_output("stream", text="left out\n")]
    document.cells[-1].execution_count = 7
    nbformat.write(document, path)

    diff = shell("git diff", repository, bin_folder=bin_folder).stdout
    plain = re.sub(r"\x1b\[\d*m", "", diff)
    changed = [line for line in plain.splitlines() if re.match(r"[+-](?![+-])", line)]
    assert [line[:18] for line in changed] == ["-repeats: int = 3 ", "+repeats: int = 5 "]
