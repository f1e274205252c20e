"""Routing cases to read before they are used: from a user's own transcripts, and written by a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.messages_server import MessagesServer
from tests.test_routing import agent, roster
from workbench.cli import main
from workbench.errors import NoModel, TaskFileError, WorkbenchError
from workbench.routing.cases import load_cases
from workbench.routing.drafting import cases_from_transcripts, propose_cases
from workbench.runs.writer import Writer
from workbench.trial.transcripts import transcripts_folder

THREE = roster(sec="Finds security holes in logins.", perf="Makes slow code fast.", docs="Writes documentation.")
SECRET = "sk-ant-" + "api03-" + "x7Kq9Zt2Lm4Np8Rv1Bw6Yc3Df5Gh0Js" * 2


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    project = tmp_path / "repo"
    (project / ".git").mkdir(parents=True)
    monkeypatch.chdir(project)
    return project


def typed(text: object, at: str = "2026-11-01T10:00:00Z", **more: Any) -> dict[str, Any]:
    return {"type": "user", "timestamp": at, "message": {"role": "user", "content": text}, **more}


def calls(name: str, **given: Any) -> dict[str, Any]:
    block = {"type": "tool_use", "id": "t", "name": name, "input": given}
    return {"type": "assistant", "message": {"role": "assistant", "content": [{"type": "text", "text": "So."}, block]}}


def says(text: str) -> dict[str, Any]:
    return {"type": "assistant", "message": {"role": "assistant", "content": [{"type": "text", "text": text}]}}


def session(project: Path, *lines: object, name: str = "s1") -> None:
    path = transcripts_folder(project) / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = [line if isinstance(line, str) else json.dumps({"cwd": str(project), **line}) for line in lines]  # type: ignore[dict-item]
    path.write_text("\n".join(told) + "\n", encoding="utf-8")


def drafted(project: Path) -> list[tuple[str, str | None]]:
    return [(case.input, case.target) for case in cases_from_transcripts(THREE, project).cases]


class TestTranscripts:
    def test_each_prompt_has_who_got_it_then(self, project: Path) -> None:
        session(
            project,
            typed("Is this login safe?", "2026-11-01T10:00:00Z"),
            says("I will look."),
            calls("Task", subagent_type="SEC", prompt="Look at the login."),
            typed([{"type": "tool_result", "content": "It is."}]),
            calls("Read", file_path="/x"),
            typed("Read it yourself.", "2026-11-01T10:05:00Z"),
            calls("Read", file_path="/x"),
            calls("Agent", subagent_type="perf", prompt="no first tool"),
            typed("Thanks!", "2026-11-01T10:06:00Z"),
            says("You are welcome."),
            typed("And the end?", "2026-11-01T10:07:00Z"),
        )
        assert drafted(project) == [
            ("And the end?", "none"),
            ("Thanks!", "none"),
            ("Read it yourself.", "none"),
            ("Is this login safe?", "sec"),
        ]

    def test_what_no_user_typed_is_no_case(self, project: Path) -> None:
        session(
            project,
            typed("/compact"),
            typed("<local-command-stdout>out</local-command-stdout>"),
            typed("!ls"),
            typed("Caveat", isMeta=True),
            typed("In a subagent", isSidechain=True),
            typed("Elsewhere", cwd="/another/project"),
            typed(""),
            {"type": "user", "message": "text"},
            "no JSON",
            typed("<system-reminder>r</system-reminder>Make it fast."),
            calls("Agent", subagent_type="perf", prompt="p"),
        )
        assert drafted(project) == [("Make it fast.", "perf")]

    def test_what_went_to_another_agent_is_left_out_and_counted(self, project: Path) -> None:
        session(
            project,
            typed("One"),
            calls("Agent", subagent_type="gone", prompt="p"),
            typed("Two"),
            calls("Agent", prompt="p"),
            typed("Three"),
            calls("Agent", subagent_type="docs", prompt="p"),
        )
        found = cases_from_transcripts(THREE, project)
        assert [case.input for case in found.cases] == ["Three"]
        assert found.left_out == ("2 went to agents that are not listed here",)

    def test_none_is_said_with_the_place(self, project: Path) -> None:
        with pytest.raises(TaskFileError, match="no transcripts of Claude Code here"):
            cases_from_transcripts(THREE, project)
        session(project, typed("/help"))
        with pytest.raises(TaskFileError, match="no prompt of a user"):
            cases_from_transcripts(THREE, project)

    def test_the_command_prints_a_file_that_is_read_again_without_its_keys(self, project: Path) -> None:
        folder = project / ".claude" / "agents"
        folder.mkdir(parents=True)
        (folder / "sec.md").write_bytes(agent("sec", "Finds holes."))
        odd = 'Is "this": safe?\n- no\u2028 – \U0001f600 {yes} # or not'
        session(project, typed(odd), calls("Agent", subagent_type="sec", prompt="p"), typed(f"Key {SECRET}, is it?"))
        done = CliRunner().invoke(main, ["route", ".claude/agents", "--draft-cases", "transcripts"])

        assert done.exit_code == 0, done.output
        assert SECRET not in done.output
        (folder / "routing.yaml").write_text(done.stdout, encoding="utf-8")
        cases = {case.input: case.target for case in load_cases(folder / "routing.yaml")}
        assert cases[odd] == "sec" and set(cases.values()) == {"sec", "none"}
        assert "correct it where another should have" in done.stdout.splitlines()[0]


class TestModel:
    def propose(self, server: MessagesServer, said: object) -> Any:
        server.pieces = [json.dumps(said)]
        return propose_cases(THREE, Writer())

    def test_what_it_writes_is_read_and_what_is_none_left_out(self, server: MessagesServer, project: Path) -> None:
        rows: list[object] = [
            {"prompt": " Who may log in? ", "expect": "sec", "group": "should"},
            {"prompt": "Who may log in?", "expect": "perf"},
            {"prompt": "What is a login?", "expect": "none", "group": "near miss"},
            {"prompt": "Paint it.", "expect": "painter"},
            {"prompt": "Both.", "expect": ["sec", "perf"]},
            {"prompt": 3, "expect": "sec"},
            "text",
        ]
        found = self.propose(server, {"cases": rows})
        assert [(case.input, case.target, case.group) for case in found.cases] == [
            ("Who may log in?", "sec", "should"),
            ("What is a login?", "none", "near miss"),
        ]
        assert found.left_out == ("2 left out: for no agent that is here", "2 left out: no prompt")

    def test_it_is_told_who_is_easily_confused(self, server: MessagesServer, project: Path) -> None:
        self.propose(server, {"cases": [{"prompt": "a", "expect": "none"}]})
        asked = json.dumps(server.bodies[-1])
        assert "sec: Finds security holes in logins." in asked
        assert "<pairs>" in asked

    def test_what_is_no_list_is_said(self, server: MessagesServer, project: Path) -> None:
        with pytest.raises(WorkbenchError, match="proposed no cases"):
            self.propose(server, {"something": "else"})

    def test_without_a_model_it_says_so(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
        monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
        with pytest.raises(NoModel):
            propose_cases(THREE, Writer())

    def test_too_many_agents_are_refused_before_anything_is_asked(self, server: MessagesServer, project: Path) -> None:
        many = roster(**{f"agent{number}": "Does it." for number in range(25)})
        with pytest.raises(WorkbenchError, match="there are 25 agents"):
            propose_cases(many, Writer())
