"""What `workbench init` writes: nothing twice, nothing over what is there, and task files that can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.cli import main
from workbench.definition.agent import parse_agent
from workbench.errors import FileError
from workbench.grading.catalogue import OWN, example_of, standard
from workbench.project.beginning import NewFile, files_to_begin, first_task_file, write_new_file
from workbench.runs.plan import plan_trials
from workbench.shipped.files import NOTEBOOKS, notebook_file
from workbench.trial.description_tasks import tasks_of_description
from workbench.trial.task import load_tasks

AGENT = b"---\nname: reviewer\ndescription: Reviews.\nmodel: sonnet\n---\nYou review.\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".claude" / "agents").mkdir(parents=True)
    (tmp_path / ".claude" / "agents" / "reviewer.md").write_bytes(AGENT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestIgnored:
    @pytest.mark.parametrize("before", ["", "dist/\n", "dist/", "dist/\r\n.venv/\r\n"])
    def test_lines_are_added_once_and_the_others_stay(self, project: Path, before: str) -> None:
        path = project / ".gitignore"
        path.write_bytes(before.encode())

        [file] = files_to_begin(project)
        write_new_file(file)

        after = path.read_bytes().decode()
        assert after.startswith(before)
        assert "/outputs/" in after.splitlines()
        assert ("\r\n" in after) == ("\r\n" in before)
        assert files_to_begin(project) == ()

    def test_of_lines_that_are_there_only_the_others_are_added(self, project: Path) -> None:
        (project / ".gitignore").write_text(".ipynb_checkpoints/\n")

        [file] = files_to_begin(project)
        assert ".ipynb_checkpoints/" not in file.text


class TestTaskFile:
    def test_of_examples_is_those_of_the_description(self, tmp_path: Path) -> None:
        description = (
            "Reviews. <example>Context: A pull request. user: 'Is {{ this }} fine?' assistant: 'No.'</example>"
        )
        agent = parse_agent(f"---\nname: r\ndescription: {description!r}\n---\nBe.\n".encode())

        (tmp_path / "r.tasks.yaml").write_text(first_task_file(agent))

        told = [(task.id, task.input, task.context) for task in tasks_of_description(agent)]
        assert told
        assert [(task.id, task.input, task.context) for task in load_tasks(tmp_path / "r.tasks.yaml")] == told

    def test_without_examples_has_tasks_that_a_plan_takes(self, tmp_path: Path) -> None:
        agent = parse_agent(AGENT)
        (tmp_path / "r.tasks.yaml").write_text(first_task_file(agent))

        tasks = load_tasks(tmp_path / "r.tasks.yaml")
        assert len(tasks) > 1
        assert all("Reviews." in task.input for task in tasks)
        plan_trials({"base": agent}, tasks, repeats=1, graders=standard())

    @settings(deadline=None)
    @given(st.text())
    def test_can_be_read_whatever_the_description_says(self, said: str) -> None:
        from tempfile import TemporaryDirectory

        agent = parse_agent(AGENT).replace(description=f"Says {said}.")
        with TemporaryDirectory() as folder:
            path = Path(folder, "r.tasks.yaml")
            write_new_file(NewFile(path=path, text=first_task_file(agent), reason=""))
            assert load_tasks(path)

    def test_goes_apart_for_an_agent_of_claudes_folder_unless_said(self, project: Path) -> None:
        agent = parse_agent(AGENT, path=project / ".claude" / "agents" / "reviewer.md")
        apart, beside = project / ".workbench" / "tasks", project / ".claude" / "agents"

        assert files_to_begin(project, agent=agent)[1].path == apart / "reviewer.tasks.yaml"
        assert files_to_begin(project, agent=agent, tasks_apart=False)[1].path == beside / "reviewer.tasks.yaml"

    def test_is_not_made_where_there_is_one(self, project: Path) -> None:
        agent = parse_agent(AGENT, path=project / ".claude" / "agents" / "reviewer.md")
        (project / ".claude" / "agents" / "reviewer.tasks.yaml").write_text("- {id: a, input: b}\n")

        assert [file.path.name for file in files_to_begin(project, agent=agent)] == [".gitignore"]


def test_a_file_that_is_there_by_now_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("mine")

    with pytest.raises(FileError, match="is there already"):
        write_new_file(NewFile(path=path, text="yours", reason=""))
    assert path.read_text() == "mine"


def test_each_file_is_shown_and_left_out_on_no(project: Path) -> None:
    done = CliRunner().invoke(main, ["init", ".claude/agents/reviewer.md"], input="n\ny\n")

    assert done.exit_code == 0, done.output
    assert not (project / ".gitignore").exists()
    assert "left out  .gitignore" in done.output
    written = (project / ".workbench" / "tasks" / "reviewer.tasks.yaml").read_text()
    assert all(line in done.output for line in written.splitlines())


@pytest.mark.parametrize(
    ("given", "left"), [("", [".gitignore", "reviewer.tasks.yaml"]), ("y\n", ["reviewer.tasks.yaml"])]
)
def test_where_nobody_answers_what_was_not_written_is_said(project: Path, given: str, left: list[str]) -> None:
    done = CliRunner().invoke(main, ["init", ".claude/agents/reviewer.md"], input=given)

    assert done.exit_code == 2
    last = done.output.splitlines()[-1]
    assert last.startswith(f"{project}: no answer came, so not written: ")
    assert [Path(each).name for each in last.split("written: ")[1].split(". The same")[0].split(", ")] == left
    assert "with --yes writes without asking" in last
    assert "Aborted" not in done.output
    assert (project / ".gitignore").exists() == (".gitignore" not in left)


@pytest.mark.parametrize("command", ["compare", "open", "init", "tasks"])
def test_an_agent_is_named_by_its_file_or_as_it_is_called(project: Path, command: str) -> None:
    done = CliRunner().invoke(main, [command, "reviewr"])

    assert done.exit_code == 2
    assert "reviewr: there is no such agent file, and no agent of this name" in done.output
    assert f"this project, {project}, has: reviewer (.claude/agents/reviewer.md)" in done.output


def test_a_command_takes_an_agent_by_its_name(project: Path) -> None:
    done = CliRunner().invoke(main, ["init", "reviewer", "--yes"])

    assert done.exit_code == 0, done.output
    assert (project / ".workbench" / "tasks" / "reviewer.tasks.yaml").is_file()


def test_of_a_notebook_that_is_not_there_those_that_come_along_are_named(project: Path) -> None:
    done = CliRunner().invoke(main, ["run", "notebooks/compair.ipynb", "--out", "outputs/x"])

    assert done.exit_code == 2
    assert "author, compare, nightly, review, routing come along" in done.output
    assert f"(paths start at {project})" in done.output


class TestShipped:
    @pytest.mark.parametrize("name", NOTEBOOKS)
    @pytest.mark.parametrize("given", ["{}", "{}.ipynb", "notebooks/{}.ipynb"])
    def test_a_notebook_that_the_project_has_not_is_the_workbenchs(self, project: Path, name: str, given: str) -> None:
        found = notebook_file(given.format(name))

        assert found.name == f"{name}.ipynb"
        assert found.is_file()
        assert not found.is_relative_to(project)

    def test_one_of_the_projects_own_comes_first(self, project: Path) -> None:
        (project / "notebooks").mkdir()
        (project / "notebooks" / "compare.ipynb").write_text("{}")

        assert notebook_file("notebooks/compare.ipynb") == Path("notebooks/compare.ipynb")

    def test_a_folder_that_is_called_as_one_is_no_notebook(self, project: Path) -> None:
        (project / "nightly").mkdir()

        assert notebook_file("nightly").is_file()

    @pytest.mark.parametrize("given", ["elsewhere/compare.ipynb", "other", "compare.md"])
    def test_another_path_is_what_it_is(self, project: Path, given: str) -> None:
        assert notebook_file(given) == Path(given)


def test_the_graders_are_listed_with_their_options() -> None:
    listed = CliRunner().invoke(main, ["graders"]).output

    assert all(f"{name} (" in listed for name in standard())
    examples = [
        each for line in listed.splitlines() if line.startswith("    - ") for each in json.loads(line[6:]).items()
    ]
    assert examples == [(name, example_of(name).options) for name in OWN]
    about = [line for line in listed.splitlines() if line.startswith("    ") and not line.startswith("    - ")]
    assert [line for line in about if not line.endswith(".")] == []
    assert "at_most" in CliRunner().invoke(main, ["graders", "word_count"]).output
    assert CliRunner().invoke(main, ["graders", "wordcount"]).exit_code == 2
