"""Which folder is the project, whose agents are found in it, and which tasks are theirs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from workbench.cli import main
from workbench.definition.files import load_agent
from workbench.definition.finding import find_agents
from workbench.definition.linting import lint_paths
from workbench.definition.project import config_folder, project_folder, write_folder
from workbench.errors import FileError, TaskFileError
from workbench.headless.notebook_files import load_notebook
from workbench.headless.parameters import declared_parameters, with_own_tasks
from workbench.ledger.file import ledger_address
from workbench.trial.description_tasks import load_tasks_for
from workbench.trial.task import load_tasks
from workbench.trial.task_files import task_file_apart, task_file_of
from workbench.trial.transcripts import transcripts_folder

AGENT = "---\nname: {name}\ndescription: Does it.\n---\nBe.\n"


def write_agent(path: Path, name: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(AGENT.format(name=name or path.stem))
    return path


def write_tasks(path: Path, *ids: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"- {{id: {each}, input: Do it.}}\n" for each in ids))
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def repository(home: Path) -> Path:
    folder = home / "work" / "shop"
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    write_agent(folder / ".claude" / "agents" / "reviewer.md")
    return folder


def _untracked(repository: Path) -> str:
    command = ["git", "status", "--short", "--untracked-files=all"]
    return subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout


class TestProjectFolder:
    @pytest.mark.parametrize("start", [".", ".claude", ".claude/agents", "src/deep"])
    def test_of_a_repository_with_claudes_folder_is_the_repository(self, repository: Path, start: str) -> None:
        (repository / "src" / "deep").mkdir(parents=True)

        assert project_folder(repository / start) == repository

    @pytest.mark.parametrize("mark", [".git", ".claude", "pyproject.toml", "agents/reviewer.md"])
    def test_is_the_nearest_with_a_mark(self, home: Path, mark: str) -> None:
        project = home / "outer" / "project"
        write_agent(home / "outer" / "agents" / "other.md")
        (project / "notebooks").mkdir(parents=True)
        if mark.endswith(".md"):
            write_agent(project / mark)
        elif mark == "pyproject.toml":
            (project / mark).touch()
        else:
            (project / mark).mkdir()

        assert project_folder(project / "notebooks") == project
        assert project_folder(project) == project

    @pytest.mark.parametrize("start", [".", "plugins/kit", "plugins/kit/agents"])
    def test_a_plugin_in_a_repository_is_a_part_of_it(self, repository: Path, start: str) -> None:
        """What was tried of its agents is in one place, wherever they are looked at from."""
        kit = repository / "plugins" / "kit"
        write_agent(kit / "agents" / "helper.md")
        (kit / ".claude-plugin").mkdir()

        assert project_folder(repository / start) == repository

    def test_a_plugin_by_itself_is_a_project(self, home: Path) -> None:
        agent = write_agent(home / "kit" / "agents" / "helper.md")
        (home / "kit" / ".claude-plugin").mkdir()

        assert project_folder(agent.parent) == home / "kit"

    def test_the_demonstration_is_one_in_a_repository_too(self, repository: Path) -> None:
        demonstration = write_agent(repository / "workbench-demo" / "agents" / "architect.md").parents[1]

        assert project_folder(demonstration) == demonstration

    def test_is_none_for_a_folder_agents_that_holds_no_agent_file(self, repository: Path) -> None:
        package = repository / "src"
        (package / "agents").mkdir(parents=True)
        (package / "agents" / "base.py").write_text("class Agent: ...\n")
        (package / "agents" / "README.md").write_text("# About the code\n")

        assert project_folder(package / "agents") == repository

    def test_is_the_home_for_the_users_own_agents_and_for_nothing_beside_them(self, home: Path) -> None:
        agent = write_agent(home / ".claude" / "agents" / "mine.md")
        (home / "scratch").mkdir()

        assert project_folder(agent.parent) == home
        assert project_folder(home / "scratch") == home / "scratch"

    def test_is_never_claudes_folder_even_where_that_is_a_repository(self, home: Path) -> None:
        agent = write_agent(home / ".claude" / "agents" / "mine.md")
        (home / ".claude" / ".git").mkdir()

        assert project_folder(agent.parent) == home

    def test_is_the_repository_of_its_own_that_lies_in_claudes_folder(self, repository: Path) -> None:
        worktree = repository / ".claude" / "worktrees" / "try"
        agent = write_agent(worktree / ".claude" / "agents" / "reviewer.md")
        (worktree / ".git").write_text("gitdir: elsewhere\n")

        assert project_folder(agent.parent) == worktree

    def test_without_any_mark_is_where_one_started(self, home: Path) -> None:
        (home / "plain").mkdir()

        assert project_folder(home / "plain") == home / "plain"

    @pytest.mark.parametrize("start", [".", ".claude", ".claude/agents", "src"])
    def test_the_ledger_is_one_wherever_one_started(
        self, repository: Path, start: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (repository / "src").mkdir()
        monkeypatch.delenv("WORKBENCH_LEDGER", raising=False)
        monkeypatch.chdir(repository / start)

        assert ledger_address() == repository / "outputs" / "ledger.sqlite"

    @pytest.mark.parametrize("start", [".", ".claude/agents"])
    def test_what_is_kept_in_it_is_kept_out_of_git(
        self, repository: Path, start: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(repository / start)
        write_folder(project_folder() / "outputs" / "deep")
        (repository / "outputs" / "ledger.sqlite").touch()

        assert "outputs" not in _untracked(repository)

    def test_a_folder_of_outputs_that_was_there_stays_as_it_is(self, repository: Path) -> None:
        (repository / "outputs").mkdir()
        (repository / "src" / "outputs").mkdir(parents=True)
        write_folder(repository / "outputs" / "deep")
        write_folder(repository / "docs" / "outputs")

        assert not list(repository.rglob(".gitignore"))


class TestErrors:
    def test_a_path_at_which_nothing_is_says_where_it_started(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(repository / ".claude")

        with pytest.raises(FileError, match=rf"agents/none\.md: .* \(paths start at {repository}/\.claude\)$"):
            load_agent("agents/none.md")
        with pytest.raises(TaskFileError, match=rf"paths start at {repository}/\.claude"):
            load_tasks("agents/none.tasks.yaml")

    def test_a_path_that_is_there_needs_no_such_word(self, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(repository)
        Path("wrong.tasks.yaml").write_text("- {id: a}\n")

        with pytest.raises(TaskFileError) as caught:
            load_tasks("wrong.tasks.yaml")
        assert "paths start" not in str(caught.value)

    def test_a_working_directory_that_is_gone_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()

        assert str(FileError("no such file", path="x.md")).endswith("the working directory, which is gone)")


class TestFinding:
    def test_agents_are_found_and_named_wherever_they_are_kept(self, repository: Path, home: Path) -> None:
        write_agent(repository / ".claude" / "agents" / "web" / "page.md", "page-builder")
        plugin = repository / "plugins" / "shop-tools"
        (plugin / ".claude-plugin").mkdir(parents=True)
        (plugin / ".claude-plugin" / "plugin.json").write_text('{"name": "shop"}')
        write_agent(plugin / "agents" / "security" / "scan.md")
        write_agent(repository / "team" / "agents" / "plain.md")
        write_agent(home / ".claude" / "agents" / "mine.md")

        found = find_agents(repository)

        assert [(each.kind, each.name) for each in found] == [
            ("project", "reviewer"),
            ("project", "page-builder"),
            ("plugin", "shop:security:scan"),
            ("folder", "plain"),
            ("user", "mine"),
        ]
        assert all(each.is_listed for each in found)

    def test_those_of_the_folders_above_count_up_to_the_repository(self, repository: Path, home: Path) -> None:
        package = repository / "packages" / "web"
        write_agent(package / ".claude" / "agents" / "page.md")
        write_agent(repository.parent / ".claude" / "agents" / "outside.md")

        assert [each.name for each in find_agents(project_folder(package))] == ["page", "reviewer"]

    def test_what_claude_code_does_not_list_is_found_by_its_files_name(self, repository: Path) -> None:
        (repository / ".claude" / "agents" / "broken.md").write_text("---\nname: a:b\ndescription: D.\n---\nBe.\n")
        (repository / ".claude" / "agents" / "README.md").write_text("# Our agents\n")

        assert [(each.name, each.is_listed) for each in find_agents(repository)] == [
            ("broken", False),
            ("reviewer", True),
        ]

    def test_environments_outputs_and_installed_packages_are_not_searched(self, repository: Path) -> None:
        write_agent(repository / "node_modules" / "kit" / "agents" / "a.md")
        write_agent(repository / "outputs" / "run" / "agents" / "base.md")
        write_agent(repository / "env" / "lib" / "agents" / "b.md")
        (repository / "env" / "pyvenv.cfg").touch()

        assert [each.name for each in find_agents(repository)] == ["reviewer"]

    @pytest.mark.parametrize("manifest", ["", "[]", '{"name": 3}', "[" * 100_000])
    def test_a_plugin_whose_manifest_says_no_name_has_that_of_its_folder(self, repository: Path, manifest: str) -> None:
        (repository / ".claude-plugin").mkdir()
        (repository / ".claude-plugin" / "plugin.json").write_text(manifest)
        write_agent(repository / "agents" / "x.md")

        assert [each.name for each in find_agents(repository) if each.kind == "plugin"] == ["shop:x"]


class TestTasks:
    def test_beside_the_agent_come_first_and_then_the_folder_of_tasks(self, repository: Path) -> None:
        agent = repository / ".claude" / "agents" / "reviewer.md"
        apart = write_tasks(repository / ".workbench" / "tasks" / "reviewer.tasks.yaml", "apart")
        assert task_file_of(agent) == apart == task_file_apart(agent)
        assert [task.id for task in load_tasks_for(load_agent(agent))] == ["apart"]

        beside = write_tasks(agent.with_name("reviewer.tasks.yaml"), "beside")
        assert task_file_of(agent) == beside
        assert [task.id for task in load_tasks_for(load_agent(agent))] == ["beside"]

    def test_two_agents_of_one_file_name_do_not_share_them(self, repository: Path) -> None:
        ops, web = (write_agent(repository / "agents" / room / "reviewer.md") for room in ("ops", "web"))
        write_tasks(repository / ".workbench" / "tasks" / "ops" / "reviewer.tasks.yaml", "ops")

        assert task_file_of(ops) == repository / ".workbench" / "tasks" / "ops" / "reviewer.tasks.yaml"
        assert task_file_of(web) is None

    def test_are_found_from_any_folder(self, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_tasks(repository / ".workbench" / "tasks" / "reviewer.tasks.yaml", "apart")
        monkeypatch.chdir(repository / ".claude" / "agents")

        assert [task.id for task in load_tasks_for(load_agent("reviewer.md"))] == ["apart"]

    def test_are_not_taken_from_the_same_name_in_another_place(self, repository: Path, tmp_path: Path) -> None:
        write_tasks(repository / ".workbench" / "tasks" / "reviewer.tasks.yaml", "theirs")
        stray = write_agent(tmp_path / "elsewhere" / "reviewer.md")

        assert task_file_of(stray) is None

    def test_are_what_a_notebook_is_run_on_for_this_agent(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(repository)
        declared = declared_parameters(load_notebook("compare"))
        given = {"agent": ".claude/agents/reviewer.md"}
        assert with_own_tasks(declared, given, project=repository, notebook=Path("compare")) == given

        write_tasks(repository / ".workbench" / "tasks" / "reviewer.tasks.yaml", "apart")
        assert with_own_tasks(declared, given, project=repository, notebook=Path("compare")) == {
            **given,
            "tasks": ".workbench/tasks/reviewer.tasks.yaml",
        }

    @pytest.mark.parametrize("notebook", ["compare", "author"])
    def test_a_notebook_that_comes_along_is_for_the_only_agent_of_the_project(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch, notebook: str
    ) -> None:
        monkeypatch.chdir(repository)
        declared = declared_parameters(load_notebook(notebook))

        for given in ({}, {"agent": "reviewer"}, {"agent": ".claude/agents/reviewer.md"}):
            found = with_own_tasks(declared, given, project=repository, notebook=Path(notebook))
            assert found["agent"] == ".claude/agents/reviewer.md"
        with pytest.raises(FileError, match="no agent of this name"):
            with_own_tasks(declared, {"agent": "architect"}, project=repository, notebook=Path(notebook))

        write_agent(repository / ".claude" / "agents" / "writer.md")
        with pytest.raises(FileError, match=r"name the agent. This project has: .*\.claude/agents/writer\.md"):
            with_own_tasks(declared, {}, project=repository, notebook=Path(notebook))

    def test_the_command_tells_where_they_are_and_where_they_would_be(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(repository)
        agent = ".claude/agents/reviewer.md"
        without = CliRunner().invoke(main, ["tasks", agent])
        write_tasks(repository / ".workbench" / "tasks" / "reviewer.tasks.yaml", "apart")
        with_tasks = CliRunner().invoke(main, ["tasks", agent])

        assert without.exit_code == 1
        assert ".claude/agents/reviewer.tasks.yaml, or in .workbench/tasks/reviewer.tasks.yaml" in without.output
        assert with_tasks.output == ".workbench/tasks/reviewer.tasks.yaml\n"


COMMANDS_OF_AN_AGENT = (
    ("read",),
    ("lint",),
    ("fix",),
    ("carry", "--to", "codex"),
    ("versions",),
    ("improve",),
    ("tasks",),
    ("compare",),
    ("verify",),
)


@pytest.mark.parametrize("command", COMMANDS_OF_AN_AGENT, ids=" ".join)
def test_every_command_takes_an_agent_by_its_name_and_says_which_may_be_meant(
    command: tuple[str, ...], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p" / ".git").mkdir(parents=True)
    write_agent(tmp_path / "p" / ".claude" / "agents" / "a-file.md", "code-reviewer")
    monkeypatch.chdir(tmp_path / "p")
    monkeypatch.setenv("WORKBENCH_CLAUDE", "/bin/false")

    by_name = CliRunner().invoke(main, [*command, "code-reviewer"])
    by_path = CliRunner().invoke(main, [*command, ".claude/agents/a-file.md"])
    assert (by_name.exit_code, by_name.output) == (by_path.exit_code, by_path.output)

    missing = CliRunner().invoke(main, [*command, "code-reviwer"])
    said = f"{missing.output}{missing.exception}"
    assert "no agent of this name; code-reviewer may be meant" in said
    assert f"(paths start at {tmp_path / 'p'})" in said and missing.exit_code != 0


def test_the_folder_that_claude_code_is_told_of_is_the_users_own(
    repository: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agents and skills that are read from it are found there, and those of the home are not."""
    write_agent(home / ".claude" / "agents" / "not-read.md")
    config = tmp_path / "config"
    mine = write_agent(config / "agents" / "mine.md")
    (config / "skills" / "tidy").mkdir(parents=True)
    (config / "skills" / "tidy" / "SKILL.md").write_text("---\nname: tidy\n---\nTidy.\n")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(config))
    agent = repository / ".claude" / "agents" / "reviewer.md"
    agent.write_text(agent.read_text().replace("---\n", "---\nskills: tidy\n", 1))

    assert [each.path for each in find_agents(repository) if each.kind == "user"] == [mine]
    assert "missing-skill" not in [each.problem.rule for each in lint_paths([agent]).findings]
    assert transcripts_folder(repository).parent == config / "projects"
    assert config_folder(home) == home / ".claude"


def test_a_file_that_has_the_name_and_is_no_agent_of_it_is_named_with_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    agents = tmp_path / ".claude" / "agents"
    write_agent(agents / "copy.md", "reviewer")
    (agents / "helper.md").write_text("You just help.\n")
    (agents / "README.md").write_text("What lies here.\n")
    monkeypatch.chdir(tmp_path)

    assert ".claude/agents/copy.md defines reviewer" in CliRunner().invoke(main, ["compare", "copy"]).output
    said = CliRunner().invoke(main, ["compare", "helper"]).output
    assert ".claude/agents/helper.md is no agent file, for it does not begin with a header" in said
    listed = CliRunner().invoke(main, ["agents"])
    assert ".claude/agents/helper.md: is no agent, for it does not begin with a header" in listed.stderr
    assert "README" not in listed.output and "helper" not in listed.stdout
