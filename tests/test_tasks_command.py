"""`workbench tasks`: what could be put into an agent's task file is shown, and written on request alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.messages_server import MessagesServer
from workbench.cli import main
from workbench.definition.files import load_agent
from workbench.errors import SetupError, TaskFileError
from workbench.grading.catalogue import standard
from workbench.runs.plan import plan_trials
from workbench.runs.proposing import propose_tasks
from workbench.trial.defaults import FEWEST_TASKS
from workbench.trial.description_tasks import load_tasks_for
from workbench.trial.task import load_tasks

PROSE = "Reviews plans. Use when reviewing migrations or writing rollbacks."
PROPOSED = {
    "tasks": [
        {
            "id": "lock table",
            "kind": "typical",
            "why": "it names\nlocks",
            "input": "Is {{ this }} safe?",
            "graders": [{"mentions": {"promise": "locks", "any": ["lock"]}}, {"mention": {"any": ["x"]}}],
        },
        {"id": "poem", "kind": "near-miss", "input": "Write a poem.", "graders": ["asks_question"]},
        {"id": "none", "input": ""},
        "no task",
    ]
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that is not ours, with one agent in Claude Code's folder."""
    folder = tmp_path / "theirs"
    (folder / ".git").mkdir(parents=True)
    (folder / ".claude" / "agents").mkdir(parents=True)
    (folder / ".claude" / "agents" / "planner.md").write_text(
        f"---\nname: planner\ndescription: {PROSE}\nmodel: haiku\n---\nYou review. <prompt> </description>\n"
    )
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return folder


AGENT = ".claude/agents/planner.md"
FILE = Path(".workbench", "tasks", "planner.tasks.yaml")


def tasks(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["tasks", AGENT, *arguments])


def test_where_there_are_none_the_next_command_is_told_and_works(project: Path) -> None:
    without = tasks()

    assert without.exit_code == 1
    assert f"workbench tasks {AGENT} --from description" in without.output


def test_of_a_description_a_diff_is_shown_and_written_on_request(project: Path) -> None:
    shown = tasks("--from", "description")

    assert shown.exit_code == 0, shown.output
    assert "+  - id: draft-1" in shown.stdout
    assert "nothing is written yet; --write does" in shown.stderr
    assert f"{FEWEST_TASKS} drafts" in shown.stderr
    assert not FILE.exists()

    written = tasks("--from", "description", "--write")
    again = tasks("--from", "description", "--write")

    assert written.stdout == shown.stdout
    assert [task.input.split(".")[0] for task in load_tasks(FILE)][:2] == [
        "I am reviewing migrations",
        "I am writing rollbacks",
    ]
    assert (again.stdout, f"{FEWEST_TASKS} asked there already" in again.stderr) == ("", True)
    assert "read and edit them" in written.stderr and "read and edit them" not in again.stderr
    assert tasks().stdout == f"{FILE}\n"


def test_beside_the_agent_where_that_is_said(project: Path) -> None:
    assert tasks("--from", "description", "--beside", "--write").exit_code == 0

    assert (project / ".claude" / "agents" / "planner.tasks.yaml").exists()


def test_of_a_table_and_of_nothing(project: Path) -> None:
    Path("asked.csv").write_text("frage\nIst das sicher?\n")

    assert '+    input: "Ist das sicher?"' in tasks("--from", "asked.csv", "--column", "frage").stdout
    refused = tasks("--from", "asked.csv")
    assert (refused.exit_code, "no column can be the question: it has frage" in refused.output) == (2, True)
    assert tasks("--from", "transcripts").exit_code == 2


def test_offline_no_model_is_there_and_that_is_said(project: Path) -> None:
    refused = tasks("--from", "model")

    assert refused.exit_code == 5
    assert "no model is there to ask as task-writer" in refused.output and "`--from description`" in refused.output
    with pytest.raises(SetupError):
        propose_tasks(load_agent(AGENT), live=False)


def test_of_twenty_real_agents_each_has_tasks_that_a_plan_takes(project: Path, corpus: Path) -> None:
    folder = project / ".claude" / "agents"
    by_hash = sorted((corpus / "real").rglob("*.md"), key=lambda path: hashlib.sha256(path.read_bytes()).hexdigest())
    for path in {path.name: path for path in by_hash[:30]}.values():
        shutil.copy(path, folder)
    agents = sorted(folder.glob("*.md"))[:20]
    assert len(agents) == 20

    for path in agents:
        done = CliRunner().invoke(main, ["tasks", str(path), "--from", "description", "--write"])
        assert done.exit_code == 0, (path, done.output)
        agent = load_agent(path)
        assert plan_trials({"base": agent}, load_tasks_for(agent), graders=standard()).requests, path
    assert CliRunner().invoke(main, ["check-tasks"]).exit_code == 0


class TestModel:
    def answer(self, server: MessagesServer, text: str) -> None:
        server.pieces = [text[: len(text) // 2], text[len(text) // 2 :]]

    def test_what_a_model_proposes_is_a_diff_to_accept(self, project: Path, server: MessagesServer) -> None:
        self.answer(server, f"Here:\n```json\n{json.dumps(PROPOSED)}\n```\nDone.")

        shown = tasks("--from", "model", "--budget-usd", "1")

        assert shown.exit_code == 0, shown.output
        assert not FILE.exists()
        assert shown.stdout.startswith("--- no file yet")
        assert '+      - {"mentions": {"promise": "locks", "any": ["lock"]}}' in shown.stdout
        assert "it names locks; left out, as there is no such grader or option: mention" in shown.stdout
        [body] = server.bodies
        assert "</description >" in json.dumps(body["messages"]), "what it is shown ends no part of what it is told"

        assert tasks("--from", "model", "--budget-usd", "1", "--write").exit_code == 0

        assert len(server.bodies) == 1, "the ledger answers the second time"
        first, second = load_tasks(FILE)
        assert (first.id, first.group, first.input) == ("lock-table", "typical", "Is {{ this }} safe?")
        assert (second.group, second.graders[0].name) == ("near-miss", "asks_question")

    @pytest.mark.parametrize("said", ["I would rather not.", "{}", "[]", '{"tasks": 3}', "[" * 5_000])
    def test_what_is_no_list_of_tasks_is_told(self, project: Path, server: MessagesServer, said: str) -> None:
        self.answer(server, said)

        with pytest.raises(TaskFileError, match="proposed no list of tasks; it said"):
            propose_tasks(load_agent(AGENT))

    def test_a_budget_that_is_too_small_asks_nobody(self, project: Path, server: MessagesServer) -> None:
        refused = tasks("--from", "model", "--budget-usd", "0.000001")

        assert refused.exit_code == 2
        assert server.bodies == []
