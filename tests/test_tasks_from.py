"""Tasks from tables of other tools and from transcripts of Claude Code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.definition.agent import Agent, parse_agent
from workbench.errors import TaskFileError
from workbench.trial.imported_tasks import read_foreign_tasks
from workbench.trial.task import load_tasks
from workbench.trial.task_writing import add_tasks, export_tasks
from workbench.trial.tasks_from import tasks_from
from workbench.trial.transcripts import MOST_TASKS, read_transcripts, transcripts_folder

SECRET = "sk-ant-" + "api03-" + "x7Kq9Zt2Lm4Np8Rv1Bw6Yc3Df5Gh0Js" * 2


@pytest.fixture
def reviewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """An agent in a repository that is not ours, on a machine whose home is empty."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    project = tmp_path / "repo"
    (project / ".git").mkdir(parents=True)
    folder = project / ".claude" / "agents"
    folder.mkdir(parents=True)
    path = folder / "reviewer.md"
    path.write_text("---\nname: plan-reviewer\ndescription: Reviews plans.\n---\nBe.\n")
    return parse_agent(path.read_bytes(), path=path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "Prompt,Category\nIs it right?,a\nAnd this?,b\n"),
        ("t.csv", "Question;Category\nIs it right?;a\nAnd this?;b\n"),
        ("t.tsv", "query\tgroup\nIs it right?\ta\nAnd this?\tb\n"),
        ("t.jsonl", '{"input": "Is it right?", "topic": "a"}\n\n{"input": "And this?", "topic": "b"}\n'),
        (
            "t.jsonl",
            '{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Is it right?"}], "tag": "a"}\n'
            '{"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}, {"role": "assistant", '
            '"content": "y"}, {"role": "user", "content": "And this?"}], "tag": "b"}\n',
        ),
        ("t.json", '[{"question": "Is it right?", "type": "a"}, {"question": "And this?", "type": "b"}]'),
        (
            "t.json",
            '{"version": 1, "data": [{"task": "Is it right?", "group": "a"}, {"task": "And this?", "group": "b"}]}',
        ),
    ],
)
def test_a_table_of_another_tool_gives_its_questions(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")

    found = read_foreign_tasks(tmp_path / name)

    assert [(one.task.input, one.task.group) for one in found] == [("Is it right?", "a"), ("And this?", "b")]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.csv", "a,b\n1,2\n", r"it has a, b, and one of them should be called input, prompt"),
        ("t.csv", "prompt,b\n,2\n", r":2: prompt: is empty here"),
        ("t.csv", 'prompt\n"open\n', "is not CSV"),
        ("t.csv", "prompt\na,b\n", "more cells than"),
        ("t.csv", "prompt\n", "holds no row"),
        ("t.json", "{", "is not JSON"),
        ("t.json", '{"a": 1}', "is an object with a; it should be a list"),
        ("t.jsonl", "[1]\n", "a row is an object"),
        ("t.jsonl", '{"prompt": {"x": 1}}\n', "is empty here, or no text"),
        ("t.txt", "x", "is no file of .csv"),
        ("t.json", "[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_missing_is_named_with_what_is_there(name: str, text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(TaskFileError, match=says):
        read_foreign_tasks(tmp_path / name)


def test_the_column_of_the_question_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("frage,text\nStimmt das?,x\n", encoding="utf-8")

    assert read_foreign_tasks(tmp_path / "t.csv", column="frage")[0].task.input == "Stimmt das?"
    with pytest.raises(TaskFileError, match="has no column 'fraeg'; it has frage, text"):
        read_foreign_tasks(tmp_path / "t.csv", column="fraeg")


def line(prompt: str, *, cwd: Path, at: str = "2026-11-20T10:00:00Z", **more: Any) -> str:
    return json.dumps(
        {"type": "user", "message": {"role": "user", "content": prompt}, "cwd": str(cwd), "timestamp": at, **more}
    )


def subagent(folder: Path, number: int, agent: str, *lines: str) -> None:
    folder = folder / "session-1" / "subagents"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"agent-{number}.jsonl").write_text("".join(f"{each}\n" for each in lines))
    (folder / f"agent-{number}.meta.json").write_text(json.dumps({"agentType": agent}))


def call(agent: str, prompt: str, *, cwd: Path, at: str) -> str:
    block = {"type": "tool_use", "name": "Agent", "input": {"subagent_type": agent, "prompt": prompt}}
    message = {"role": "assistant", "content": [{"type": "text", "text": "so"}, block]}
    return json.dumps({"type": "assistant", "message": message, "cwd": str(cwd), "timestamp": at})


class TestTranscripts:
    def test_what_was_handed_over_comes_newest_first_and_once(self, reviewer: Agent, tmp_path: Path) -> None:
        project = tmp_path / "repo"
        folder = transcripts_folder(project)
        subagent(
            folder, 1, "plan-reviewer", line("Review the old plan.", cwd=project), line("second turn", cwd=project)
        )
        newer = f"Review {project}/docs/plan.md"
        blocks = [{"type": "text", "text": newer}, {"type": "text", "text": "<system-reminder>date</system-reminder>"}]
        subagent(
            folder,
            2,
            "Plan Reviewer",
            line("never mind", cwd=project, isMeta=True),
            line(blocks, cwd=project / "sub", at="2026-11-22T10:00:00Z"),  # type: ignore[arg-type]
        )
        subagent(folder, 3, "other", line("Not for it.", cwd=project))
        session = [
            call("plan-reviewer", newer, cwd=project, at="2026-11-22T09:59:00Z"),
            call("kit:plan-reviewer", "Review the first plan.", cwd=project, at="2026-11-01T00:00:00Z"),
            "{torn",
        ]
        (folder / "session-1.jsonl").write_text("\n".join(session))

        found = tasks_from("transcripts", reviewer)

        assert [one.task.input for one in found] == [
            "Review docs/plan.md",
            "Review the old plan.",
            "Review the first plan.",
        ]
        assert "2026-11-22" in found[0].remark

    def test_another_project_is_not_looked_into_unless_it_is_named(self, reviewer: Agent, tmp_path: Path) -> None:
        elsewhere = tmp_path / "repo-2"
        subagent(transcripts_folder(elsewhere), 1, "plan-reviewer", line("Review theirs.", cwd=elsewhere))

        with pytest.raises(TaskFileError, match=r"no transcripts|nothing was handed"):
            read_transcripts(reviewer)
        assert [one.task.input for one in tasks_from(transcripts_folder(elsewhere), reviewer)] == ["Review theirs."]

    def test_agents_that_are_there_are_named_where_this_one_is_not(self, reviewer: Agent, tmp_path: Path) -> None:
        subagent(transcripts_folder(tmp_path / "repo"), 1, "other", line("x", cwd=tmp_path / "repo"))

        with pytest.raises(TaskFileError, match="nothing was handed to plan-reviewer in these transcripts; to other"):
            read_transcripts(reviewer)

    def test_secrets_are_out_before_anything_is_written(self, reviewer: Agent, tmp_path: Path) -> None:
        project = tmp_path / "repo"
        subagent(transcripts_folder(project), 1, "plan-reviewer", line(f"Use {SECRET} to deploy.", cwd=project))

        change = export_tasks(tasks_from("transcripts", reviewer), reviewer)

        assert SECRET not in change.path.read_text() + change.diff
        assert change.secrets_taken_out == 1
        assert "deploy" in load_tasks(change.path)[0].input

    def test_there_are_few(self, reviewer: Agent, tmp_path: Path) -> None:
        project = tmp_path / "repo"
        for number in range(MOST_TASKS + 5):
            subagent(transcripts_folder(project), number, "plan-reviewer", line(f"Review {number}.", cwd=project))

        assert len(read_transcripts(reviewer)) == MOST_TASKS
        assert len(tasks_from("transcripts", reviewer, most=3)) == 3


def test_nothing_is_written_before_somebody_says_so(reviewer: Agent, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))

    change = add_tasks(tmp_path / "t.yaml", tasks_from("description", reviewer))

    assert "draft, made of words of the description: edit it" in change.diff
    assert sorted(tmp_path.rglob("*")) == before


def test_a_source_that_is_not_there_says_what_there_could_be(reviewer: Agent) -> None:
    with pytest.raises(TaskFileError, match=r"no such file or folder; tasks come from description, transcripts"):
        tasks_from("descripton", reviewer)
