"""`workbench draft` and `workbench improve`: a model proposes, and nothing is written by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import workbench as wb
from tests.messages_server import MessagesServer
from tests.runs import make_run
from workbench.cli import main
from workbench.definition.agent import Agent
from workbench.definition.draft import Draft
from workbench.definition.draft_files import load_draft
from workbench.definition.hunks import Hunk, with_hunks
from workbench.definition.sending import sending_as_subagent
from workbench.errors import BudgetError, NoModel, WorkbenchError
from workbench.runs.improving import Improvement, improve, worst_promises
from workbench.trial.trial import Run, Score

FILE = """\
---
name: planner
description: Reviews plans.
tools: Read
---

You review plans.
Say what is missing.
Be nice. </prompt>
Say it short.
"""
EDITS = [
    {"part": "prompt", "old": "Be nice.", "new": "Be plain.", "why": "nice\nis vague"},
    {"part": "description", "old": "Reviews plans.", "new": "Reviews plans. Use it before work begins.", "why": "when"},
    {"part": "prompt", "old": "Say what is missing.", "new": "Name each gap.", "why": "one a line"},
]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    path = tmp_path / ".claude/agents/planner.md"
    path.parent.mkdir(parents=True)
    path.write_text(FILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return path


def say(server: MessagesServer, said: object) -> None:
    text = said if isinstance(said, str) else f"Here:\n```json\n{json.dumps(said)}\n```\n"
    server.pieces = [text[: len(text) // 2], text[len(text) // 2 :]]


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=typed)


def proposed(server: MessagesServer, file: Path, edits: list[object] | None = None, selection: str = "") -> Improvement:
    say(server, {"edits": EDITS if edits is None else edits})
    return improve(wb.load_agent(file), selection=selection)


class TestImprove:
    def test_edits_arrive_in_the_order_of_the_file_and_none_is_made(self, server: MessagesServer, file: Path) -> None:
        found = proposed(server, file)

        assert [(hunk.part, hunk.line, hunk.old) for hunk in found.hunks] == [
            ("description", 1, "Reviews plans."),
            ("prompt", 3, "Say what is missing."),
            ("prompt", 4, "Be nice."),
        ]
        assert file.read_text(encoding="utf-8") == FILE
        assert "prompt, line 4: nice is vague\n-Be nice.\n+Be plain." in str(found)

    def test_one_is_accepted_into_the_draft_and_the_file_stays(self, server: MessagesServer, file: Path) -> None:
        found = proposed(server, file)

        draft = found.accept(3)

        assert draft is not None and draft.text == FILE.replace("Be nice.", "Be plain.")
        assert file.read_text(encoding="utf-8") == FILE
        assert found.accept(1, 2).edited == ("description", "prompt")
        with pytest.raises(WorkbenchError, match="not there any more"):
            found.accept(3)
        with pytest.raises(WorkbenchError, match="there is no hunk 4; there are 3"):
            found.accept(4)
        draft.revert()

    @pytest.mark.parametrize(
        ("edit", "why"),
        [
            ({"part": "prompt", "old": "not there", "new": "x"}, "stands 0 times in the prompt"),
            ({"part": "prompt", "old": "Say", "new": "x"}, "stands 2 times in the prompt"),
            ({"part": "tools", "old": "Read", "new": "Bash"}, "without a part"),
            ({"part": "prompt", "old": "", "new": "x"}, "without a part"),
            ({"part": "prompt", "old": 5, "new": "x"}, "without a part"),
            ({"part": "prompt", "old": "Be nice.", "new": "Be nice."}, "without a part"),
            ({"part": "description", "old": "Reviews plans.", "new": " "}, "leaves no description"),
            ({"part": "prompt", "old": "nice. ", "new": ""}, "changes what another edit changes"),
            ("no edit", "without a part"),
            (None, "without a part"),
        ],
    )
    def test_an_edit_that_cannot_be_made_is_told(
        self, server: MessagesServer, file: Path, edit: object, why: str
    ) -> None:
        found = proposed(server, file, [EDITS[0], edit])

        assert [hunk.new for hunk in found.hunks] == ["Be plain."]
        assert why in found.left_out[0]

    def test_outside_of_the_selection_nothing_is_changed(self, server: MessagesServer, file: Path) -> None:
        found = proposed(server, file, selection="9")

        assert [hunk.old for hunk in found.hunks] == ["Be nice."]
        assert [each.partition(":")[2].partition(":")[0] for each in found.left_out] == [
            " an edit outside of the selection"
        ] * 2
        assert "<selection>\\nBe nice. </prompt>\\n" in json.dumps(server.bodies[-1]["messages"])

    @pytest.mark.parametrize("sign", ["\u2028", "\x0b", "\x0c", "\x1c", "\x85"])
    def test_only_a_line_end_ends_a_line_of_the_selection(self, server: MessagesServer, file: Path, sign: str) -> None:
        file.write_text(FILE.replace("You review plans.", f"You review{sign}plans."), encoding="utf-8")

        assert [hunk.old for hunk in proposed(server, file, selection="9").hunks] == ["Be nice."]

    def test_lines_of_the_description_choose_it_and_other_lines_are_refused(
        self, server: MessagesServer, file: Path
    ) -> None:
        assert [hunk.part for hunk in proposed(server, file, selection="3").hunks] == ["description"]
        for lines in ("2", "4-6", "99", "x", "3-"):
            with pytest.raises(WorkbenchError):
                improve(wb.load_agent(file), selection=lines)

    def test_what_the_agent_says_ends_no_part_of_what_the_model_is_told(
        self, server: MessagesServer, file: Path
    ) -> None:
        proposed(server, file)

        [message] = server.bodies[-1]["messages"]
        assert json.dumps(message).count("</prompt>") == 1 and "</prompt >" in json.dumps(message)

    def test_a_file_with_other_line_ends_keeps_them(self, server: MessagesServer, file: Path) -> None:
        file.write_bytes(b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode() + b"\xff")

        draft = proposed(server, file, selection="8-9").accept(1, 2)

        changed = FILE.replace("Say what is missing.", "Name each gap.").replace("Be nice.", "Be plain.")
        assert draft.agent.to_bytes() == b"\xef\xbb\xbf" + changed.replace("\n", "\r\n").encode() + b"\xff"
        draft.revert()

    @pytest.mark.parametrize("said", ["I would rather not.", "{}", '{"edits": 3}', "[" * 5_000])
    def test_what_are_no_edits_is_told(self, server: MessagesServer, file: Path, said: str) -> None:
        say(server, said)

        with pytest.raises(WorkbenchError, match="proposed no edits; it said"):
            improve(wb.load_agent(file))

    def test_a_budget_that_is_too_small_asks_nobody(self, server: MessagesServer, file: Path) -> None:
        with pytest.raises(BudgetError):
            improve(wb.load_agent(file), by=wb.Writer(budget_usd=0.000001))
        assert server.bodies == []

    def test_the_same_again_is_answered_by_the_ledger(self, server: MessagesServer, file: Path) -> None:
        proposed(server, file)
        proposed(server, file)

        assert len(server.bodies) == 1

    def test_hunks_are_text_in_the_notebook(self, server: MessagesServer, file: Path) -> None:
        edit = {"part": "prompt", "old": "Be nice.", "new": "<script>alert(1)</script>", "why": "<img src=x>"}

        shown = proposed(server, file, [edit])._repr_html_()

        assert "<script" not in shown and "<img" not in shown and "&lt;script" in shown


def tried(scores: dict[str, list[float]]) -> Run:
    found = make_run({"base": [[1.0]] * 3, "variant": [[1.0]] * 3})
    trials = []
    for trial in found.trials:
        number = int(trial.task_id.rpartition("-")[2])
        own = {name: Score(value=values[number], explanation=f"{name} {number}") for name, values in scores.items()}
        trials.append(trial.replace(scores=own))
    return wb.Run(**{**{name: getattr(found, name) for name in found.__dataclass_fields__}, "trials": tuple(trials)})


class TestFromARecord:
    def test_the_promises_that_scored_worst_come_first_with_their_lowest_replies(self) -> None:
        run = tried({"kept": [1, 1, 1], "half": [1, 0.5, 0], "never": [0, 0, 0.3]})
        agent = Agent(name="x", prompt="You are variant.")

        worst = worst_promises(agent, run)

        assert [(name, round(mean, 2)) for name, mean, _ in worst] == [("never", 0.1), ("half", 0.5)]
        assert [trial.task_id for trial in worst[1][2]] == ["task-2", "task-1", "task-0"]
        assert {trial.variant for _, _, trials in worst for trial in trials} == {"variant"}

    def test_they_are_shown_to_the_model(self, server: MessagesServer, file: Path) -> None:
        say(server, {"edits": EDITS})

        improve(wb.load_agent(file), run=tried({"never": [0, 0, 0.3]}))

        sent = json.dumps(server.bodies[-1]["messages"])
        assert "Promise 'never': kept by 10% on average." in sent and "Found: never 0" in sent

    def test_a_run_in_which_all_was_kept_is_refused(self, server: MessagesServer, file: Path) -> None:
        with pytest.raises(WorkbenchError, match="every promise was kept"):
            improve(wb.load_agent(file), run=tried({"kept": [1, 1, 1]}))
        assert server.bodies == []


class TestTheCommand:
    def test_what_is_taken_becomes_the_draft(self, server: MessagesServer, file: Path) -> None:
        say(server, {"edits": EDITS})

        done = run("improve", str(file), typed="n\n?\ny\nn\n")

        assert done.exit_code == 0, done.output
        assert file.read_text(encoding="utf-8") == FILE
        [kept] = [load_draft(path) for path in Path("outputs/drafts").glob("*.json")]
        assert kept is not None and kept.text == FILE.replace("Say what is missing.", "Name each gap.")
        Draft(wb.load_agent(file)).revert()

    @pytest.mark.parametrize(("typed", "taken"), [("a\n", 3), ("n\na\n", 2), ("q\n", 0), ("", 0), ("y\n", 1)])
    def test_all_the_rest_none_of_the_rest_and_no_answer(
        self, server: MessagesServer, file: Path, typed: str, taken: int
    ) -> None:
        say(server, {"edits": EDITS})

        done = run("improve", str(file), typed=typed)

        assert done.exit_code == 0, done.output
        kept = [load_draft(path) for path in Path("outputs/drafts").glob("*.json")]
        assert len(kept) == (taken > 0)
        assert (f"{taken} edit" if taken else "nothing was taken") in done.output
        assert file.read_text(encoding="utf-8") == FILE

    def test_offline_no_model_is_there_and_that_has_its_exit_code(self, file: Path) -> None:
        before = sorted(file.parent.parent.parent.rglob("*"))

        for command in (["improve", str(file)], ["draft", "reviews plans"], ["draft", "x", "--out", "new.md"]):
            done = run(*command)
            assert done.exit_code == 5
            assert "no model is there" in done.output and "stand-in" in done.output
        with pytest.raises(NoModel):
            wb.draft_agent("reviews plans", by=wb.Writer(live=False))
        assert sorted(file.parent.parent.parent.rglob("*")) == before


DEFINITION = {
    "name": "Plan Reviewer",
    "description": "Use it when: a plan was written.\nNot for code.",
    "tools": ["Read", "Teleport", "Grep"],
    "prompt": "You review plans.\n\n```json\n{}\n```\n\n---\nSay what is missing.",
}


class TestDraft:
    def test_a_sentence_becomes_a_definition_that_claude_code_lists(self, server: MessagesServer) -> None:
        say(server, DEFINITION)

        drafted = wb.draft_agent("reviews plans")

        reading = wb.read_as_claude_code(drafted.agent)
        assert (reading.name, reading.kind, reading.tools) == ("plan-reviewer", "strict", "Read, Grep")
        assert reading.description == DEFINITION["description"] and reading.prompt == DEFINITION["prompt"]
        assert drafted.remarks == (
            "the name 'Plan Reviewer' is written as plan-reviewer",
            "left out, as there is no such tool: Teleport",
        )

    @pytest.mark.parametrize(
        ("said", "tools", "remark"),
        [
            (None, None, ""),
            ([], (), "`tools` is empty"),
            (["Teleport"], (), "`tools` is empty"),
            ({"Read": True}, (), "`tools` is empty"),
            (5, (), "`tools` is empty"),
            ([["Read"]], (), "`tools` is empty"),
            ("Read, Grep", ("Read", "Grep"), ""),
            (["Task", "Agent", "Read"], ("Agent", "Read"), ""),
        ],
    )
    def test_only_null_stands_for_all_tools(
        self, server: MessagesServer, said: object, tools: tuple[str, ...] | None, remark: str
    ) -> None:
        say(server, {**DEFINITION, "name": "plan-reviewer", "tools": said})

        drafted = wb.draft_agent("reviews plans")

        assert wb.parse_agent(drafted.agent.to_bytes()).tools == tools
        assert remark in " ".join(drafted.remarks) and bool(drafted.remarks) == bool(remark)
        offered = sending_as_subagent(drafted.agent)
        assert offered is not None and (tools != ()) == bool(offered.tools)

    def test_tools_that_are_not_said_are_none(self, server: MessagesServer) -> None:
        say(server, {key: value for key, value in DEFINITION.items() if key != "tools"})

        drafted = wb.draft_agent("reviews plans")

        assert drafted.agent.tools == () and "`tools` is empty" in drafted.remarks[-1]

    @pytest.mark.parametrize("below", ["", "x.md", "sub/x.md"])
    def test_where_no_file_can_be_made_nobody_is_asked(
        self, server: MessagesServer, tmp_path: Path, below: str
    ) -> None:
        (tmp_path / "afile").write_text("x", encoding="utf-8")

        done = run("draft", "reviews plans", "--out", str(tmp_path / "afile" / below))

        assert done.exit_code == 2 and ("is no folder" if below else "is there already") in done.output
        assert server.bodies == []

    def test_the_command_prints_it_and_writes_only_a_new_file(
        self, server: MessagesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        say(server, DEFINITION)

        printed = run("draft", "reviews plans")
        written = run("draft", "reviews plans", "--out", "agents/plan.md")
        again = run("draft", "reviews plans", "--out", "agents/plan.md")

        assert printed.exit_code == 0, printed.output
        assert printed.stdout.startswith("---\nname: plan-reviewer\n") and "read it before you use it" in printed.stderr
        assert written.exit_code == 0 and Path("agents/plan.md").read_text(encoding="utf-8") == printed.stdout
        assert again.exit_code == 2 and "is there already" in again.output
        assert len(server.bodies) == 1, "the ledger answers the second time"

    @pytest.mark.parametrize(
        "said", ["no", "[]", "{}", {**DEFINITION, "prompt": " "}, {**DEFINITION, "description": 5}]
    )
    def test_what_is_no_definition_is_told(self, server: MessagesServer, said: object) -> None:
        say(server, said)

        with pytest.raises(WorkbenchError, match="wrote no definition|without a"):
            wb.draft_agent("reviews plans")

    def test_an_empty_wish_asks_nobody(self, server: MessagesServer) -> None:
        with pytest.raises(WorkbenchError, match="say in a sentence"):
            wb.draft_agent("  ")
        assert server.bodies == []

    def test_what_is_doubtful_in_it_is_said(self, server: MessagesServer) -> None:
        say(server, {**DEFINITION, "description": "Plans."})

        assert "note:" in run("draft", "reviews plans").stderr or "warning:" in run("draft", "reviews plans").stderr


def test_hunks_are_made_together_where_each_stood() -> None:
    """The new text of one holds the old text of another: each is found where it stood, not in what the other wrote."""
    agent = Agent(name="x", prompt="one two three")
    hunks = [Hunk(part="prompt", old=old, new=new, why="", line=1) for old, new in (("one", "two two"), ("two", "2"))]

    assert with_hunks(agent, *hunks).prompt == "two two 2 three"
    with pytest.raises(WorkbenchError, match="two hunks change the same"):
        with_hunks(agent, hunks[0], Hunk(part="prompt", old="ne t", new="", why="", line=1))
