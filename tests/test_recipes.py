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
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import click
import nbformat
import pytest
import yaml

from workbench.cli import main
from workbench.headless.notebook_files import load_notebook
from workbench.headless.parameters import declared_parameters
from workbench.headless.published import ABOUT
from workbench.trial.record import load_run

PROJECT = Path(__file__).parents[1]
RECIPES = PROJECT / "docs" / "recipes"
DOCUMENTS = [path for path in PROJECT.glob("docs/**/*.md") if "_build" not in path.parts]
FILES = [path for path in RECIPES.rglob("*") if path.is_file()]
PAGES = [*PROJECT.glob("*.md"), *DOCUMENTS, *FILES, *PROJECT.glob("notebooks/*.ipynb")]
BIN = Path(sys.executable).parent
AGENT = "---\nname: asker\ndescription: Asks first\nmodel: sonnet\n---\n\nYou design.\nAsk a clarifying question.\n"
TASKS = [{"id": f"task-{n}", "input": f"Design part {n}.", "graders": ["asks_question"]} for n in range(12)]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project that is not ours, in git: two agents of one file name with twelve tasks each, and one without in Claude's
    folder; no notebook."""
    folder = tmp_path / "project"
    for place, name in (("agents", "asker"), ("agents/ops", "ops-asker"), (".claude/agents", "other")):
        (folder / place).mkdir(parents=True)
        file = "other.md" if name == "other" else "asker.md"
        (folder / place / file).write_text(AGENT.replace("name: asker", f"name: {name}"))
        if name != "other":
            (folder / place / "asker.tasks.yaml").write_text(yaml.safe_dump(TASKS))
    (folder / "requirements-workbench.txt").write_text("agent-workbench\n")
    (folder / ".gitignore").write_text("outputs/*\n.venv/\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    return folder


@pytest.fixture
def notebook(repository: Path) -> Path:
    """The project has a notebook, too, which is committed."""
    (repository / "notebooks").mkdir()
    path = Path(shutil.copy(PROJECT / "notebooks" / "compare.ipynb", repository / "notebooks"))
    commit(repository)
    return path


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

    OF_SHELL: ClassVar = {"|", "||", "&&", ";", ">", ">>", "<", "(", ")"}
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
            line = re.sub(r"docker run .* agents (?=batch )", "workbench ", line)
            for found in re.finditer(r"(?<![\w.-])workbench (?=[a-z])", line):
                before, rest = line[: found.start()], line[found.end() :]
                inline = before.count("`") % 2 == 1
                if inline:
                    yield True, list(cls.words(rest.partition("`")[0]))
                is_code = not is_markdown or in_fence or line.startswith("    ")
                if not inline and is_code and re.search(r"(^[\s#$-]*|&& |/|: )$", before):
                    yield before.endswith("entry: "), list(cls.words(rest))

    @classmethod
    def words(cls, rest: str) -> Iterator[str]:
        lexer = shlex.shlex(rest, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for word, after in pairwise([*lexer, ""]):
            if word in cls.OF_SHELL or (word == "2" and after == ">"):
                return
            if word != "${given[@]}":  # what the lines above it put together
                yield cls.VALUES.get(word, word)

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_every_command_is_taken(self, page: Path) -> None:
        for is_name, (name, *arguments) in self.commands(page):
            context = click.Context(main)
            command = main.get_command(context, name)
            assert command is not None, f"{page.name}: workbench {name}"
            if arguments == ["--help"]:
                continue
            try:
                taken = command.make_context(name, list(arguments), parent=context)
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

        assert found["github-actions.yml"] == ["ci"]
        assert found["crontab"] == ["batch", "batch", "history"]
        assert found["pre-commit-config.yaml"] == ["check-notebooks", "lint"]
        assert found["Containerfile"] == ["batch"]
        assert set(found["gitlab-ci.yml"]) == set(found["action.yml"]) == {"ci"}
        assert {"ci", "check-notebooks", "batch"} <= set(found["recipes.md"])
        assert len(found["README.md"]) > 8

    def test_every_file_of_the_index_is_there_and_is_indexed(self) -> None:
        index = (PROJECT / "docs" / "recipes.md").read_text()

        assert set(re.findall(r"\]\(recipes/([^)]+)\)", index)) == {
            path.relative_to(RECIPES).as_posix() for path in FILES
        }

    @pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.y*ml")), ids=lambda path: path.name)
    def test_yaml_is_yaml(self, path: Path) -> None:
        assert isinstance(yaml.safe_load(path.read_text()), dict)


def two_tasks_each(repository: Path) -> None:
    """As many as it takes where nothing is decided by them."""
    for path in repository.rglob("*.tasks.yaml"):
        path.write_text(yaml.safe_dump(TASKS[:2]))


def seen_in_outputs(repository: Path) -> str:
    """What git would take in of what was left there."""
    return git(repository, "status", "--porcelain", "--", "outputs")


def hook_named(id: str) -> dict[str, str]:
    hooks = yaml.safe_load((RECIPES / "pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    return next(hook for hook in hooks if hook["id"] == id)


def test_the_hook_stops_an_agent_that_is_dropped(repository: Path, bin_folder: Path) -> None:
    hook = hook_named("lint-agents")
    file = "agents/asker.md"
    assert re.search(hook["files"], file) and re.search(hook["files"], f".claude/{file}")
    sound = shell(f"{hook['entry']} {file}", repository, bin_folder=bin_folder)
    (repository / file).write_text("---\ndescription: Nobody.\n---\nBe.\n")
    dropped = shell(f"{hook['entry']} {file}", repository, bin_folder=bin_folder)

    assert (sound.returncode, dropped.returncode) == (0, 1)
    assert "[missing-name]" in dropped.stdout


def test_the_hook_stops_a_notebook_with_outputs(repository: Path, notebook: Path, bin_folder: Path) -> None:
    hook = hook_named("clean-notebooks")
    name = notebook.relative_to(repository).as_posix()
    assert re.search(hook["files"], name)
    clean = shell(f"{hook['entry']} {name}", repository, bin_folder=bin_folder)
    document = nbformat.read(notebook, as_version=4)
    document.cells[-1].outputs = [nbformat.v4.new_output("stream", text="1\n")]
    nbformat.write(document, notebook)
    dirty = shell(f"{hook['entry']} {name}", repository, bin_folder=bin_folder)

    assert (clean.returncode, dirty.returncode) == (0, 1)
    assert "holds outputs" in dirty.stdout


def test_the_lines_of_the_crontab_run_the_nightly_batch(repository: Path, bin_folder: Path, tmp_path: Path) -> None:
    """Copied as they are into a project whose agents have two tasks each, or none."""
    lines = [line for line in (RECIPES / "crontab").read_text().splitlines() if line and not line.startswith("#")]
    settings = dict(line.split("=", 1) for line in lines[:4])
    jobs = [line.split(None, 5) for line in lines[4:]]
    assert list(settings) == ["SHELL", "PROJECT", "KEYS", "LOG"]
    assert all(re.fullmatch(r"[\d*,/-]+", field) for job in jobs for field in job[:5])
    assert not any("%" in job[5] for job in jobs), "cron makes a line end of it"
    (tmp_path / "keys.env").write_text("WORKBENCH_OFFLINE_TOKENS_PER_SECOND=0\n")
    two_tasks_each(repository)
    (repository / ".gitignore").write_text(".venv/\n")
    (repository / ".claude" / "agents" / "README.md").write_text("No agent.\n")
    shutil.copy(RECIPES / "nightly.yaml", repository)
    (repository / ".venv" / "bin").mkdir(parents=True)
    (repository / ".venv" / "bin" / "workbench").symlink_to(BIN / "workbench")

    logged = tmp_path / "agents.log"
    of_project = {"PROJECT": str(repository), "KEYS": str(tmp_path / "keys.env"), "LOG": str(logged)}
    for job in jobs:
        done = shell(job[5], tmp_path, bin_folder=bin_folder, **of_project)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), logged.read_text()

    nights = [path for path in (repository / "outputs" / "nightly").iterdir() if path.is_dir()]
    assert [sorted(path.name for path in night.iterdir() if path.is_dir()) for night in nights] == [
        ["nightly-.claude-agents-other", "nightly-agents-asker", "nightly-agents-ops-asker"]
    ]
    assert (nights[0] / "index.html").is_file()
    assert json.loads((nights[0] / "batch.json").read_text())["ended"] is True
    log = logged.read_text()
    assert log.count("index     ") == 2
    assert "OFFLINE STAND-IN" in log
    assert (repository / "outputs" / "nightly" / "history.html").is_file()
    assert seen_in_outputs(repository) == ""


AIRFLOW = '''
import json, re, runpy, sys, types

import papermill


class PapermillOperator:
    """Keeps its arguments, and hands them to papermill as Airflow's does, which names no engine."""

    made = []

    def __init__(self, *, task_id, retries, **given):
        assert re.fullmatch(r"[\\w.-]+", task_id), "Airflow takes no other"
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
for task in PapermillOperator.made:
    settings = {**task.given["parameters"], **json.loads(sys.argv[2])}
    task.given["parameters"] = {**settings, "repeat": 1}
    try:
        task.execute({})
    except Exception as error:
        print(settings["agent"], type(error).__name__, "'repeat'" in str(error))
    task.given["parameters"] = settings
    task.execute({})
'''


def test_airflows_tasks_refuse_a_misspelt_parameter_and_leave_notebook_and_record_of_each_agent(
    repository: Path,
) -> None:
    two_tasks_each(repository)
    (repository / ".gitignore").write_text("")
    own = {"repeats": 1, "live": False}
    done = subprocess.run(
        [sys.executable, "-c", AIRFLOW, str(RECIPES / "airflow_dag.py"), json.dumps(own)],
        cwd=repository.parent,
        env={**os.environ, "AGENTS_PROJECT": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    agents = (".claude/agents/other", "agents/asker", "agents/ops/asker")
    assert re.findall(r"^(.+) ParameterError True$", done.stdout, re.M) == [f"{agent}.md" for agent in agents]
    for agent in agents:
        left = repository / "outputs" / f"airflow-20261123-{agent.replace('/', '-')}"
        executed = nbformat.read(left.with_name(f"{left.name}.ipynb"), as_version=4)
        assert executed.metadata[ABOUT]["outcome"] == "completed"
        [variant] = load_run(left).variants.values()
        assert variant.to_bytes() == (repository / f"{agent}.md").read_bytes()
    assert seen_in_outputs(repository) == ""


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
    assert settings.Spawner.default_url == "/lab", "no file that another's repository does not have"


def test_git_diff_shows_what_changed_in_a_notebook(repository: Path, notebook: Path, bin_folder: Path) -> None:
    for recipe, name in (("gitattributes", ".gitattributes"), ("nbdime_config.json", "nbdime_config.json")):
        shutil.copy(RECIPES / recipe, repository / name)
    [command] = re.findall(r"^pip install nbdime && (nbdime .+)$", (PROJECT / "docs/recipes.md").read_text(), re.M)
    done = shell(command, repository, bin_folder=bin_folder)
    assert done.returncode == 0, done.stderr
    commit(repository)
    document = nbformat.read(notebook, as_version=4)
    [cell] = [cell for cell in document.cells if cell.id == "parameters"]
    cell.source = cell.source.replace("repeats: int = 3", "repeats: int = 5")
    document.cells[-1].outputs = [nbformat.v4.new_output("stream", text="left out\n")]
    document.cells[-1].execution_count = 7
    nbformat.write(document, notebook)

    diff = shell("git diff", repository, bin_folder=bin_folder).stdout
    plain = re.sub(r"\x1b\[\d*m", "", diff)
    changed = [line for line in plain.splitlines() if re.match(r"[+-](?![+-])", line)]
    assert [line[:18] for line in changed] == ["-repeats: int = 3 ", "+repeats: int = 5 "]
