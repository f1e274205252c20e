"""The widgets as values and controls, without a browser."""

from __future__ import annotations

import html
import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import pytest

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.draft_state import open_drafts
from workbench.definition.facts import facts
from workbench.definition.field_text import text_of, value_of
from workbench.definition.fields import FIELDS, FORM
from workbench.definition.files import load_agent
from workbench.definition.lint import check_agent
from workbench.errors import AgentChangedOnDisk, PlanError, SetupError, WorkbenchError
from workbench.ledger.store import open_ledger
from workbench.model.loop import Started
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.description_tasks import tasks_of_description
from workbench.trial.task import GraderSpec, Task, load_tasks
from workbench.trial.trial import Endpoint, Failure, Reply, Trial, Usage
from workbench.widgets.editor import AgentEditor
from workbench.widgets.models import model_choices
from workbench.widgets.reply import ReplyView
from workbench.widgets.trials import TrialPanel

HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(2)> [link](javascript:alert(3)) ```"
WIDGET = "application/vnd.jupyter.widget-view+json"
OFFLINE = Endpoint(kind="offline", base_url="http://offline.invalid")

FILE = """---
name: reviewer
description: "Use it, when: code is to be read."   # a remark
tools: [Read, Grep]
model: sonnet
priority: high
---

You read code.
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "reviewer.md"
    path.write_text(FILE)
    return path


@pytest.fixture
def editor(path: Path) -> AgentEditor:
    return AgentEditor(load_agent(path))


def controls(view: Any) -> dict[str, Any]:
    """The controls of a view, or of the view of a panel, by label."""
    view = view._open_view() if isinstance(view, TrialPanel) else view
    found = {getattr(view, "description", "") or getattr(view, "tooltip", None): view}
    for child in getattr(view, "children", ()):
        found.update(controls(child))
    return found


def texts(view: Any) -> str:
    """All that a view shows as HTML."""
    view = view._open_view() if isinstance(view, TrialPanel) else view
    here = view.value if isinstance(view, ipywidgets.HTML) else ""
    return here + "".join(texts(child) for child in getattr(view, "children", ()))


class Page:
    """What a page does: it hears the view and answers it, one message after the other."""

    def __init__(self, editor: AgentEditor) -> None:
        self.view = editor.view()
        self.heard: list[dict[str, Any]] = []
        self.view.send = lambda content, buffers=None: self.heard.append(content)
        self._sent = 0

    @property
    def state(self) -> dict[str, Any]:
        """What the view shows now."""
        state: dict[str, Any] = self.view.get_state("snapshot")["snapshot"]["state"]
        return state

    def text(self, name: str) -> str:
        return str(self.view.get_state("snapshot")["snapshot"]["texts"][name]["text"])

    def field(self, name: str, value: str | None) -> None:
        self._sent += 1
        self.view._hear({"type": "field", "field": name, "value": value, "client": "page", "seq": self._sent})

    def type(self, name: str, changes: list[Any], *, version: int | None = None) -> None:
        now = self.view._texts[name].version if version is None else version
        self.view._hear({"type": "push", "text": name, "version": now, "client": "page", "updates": [changes]})

    def type_at_end(self, name: str, text: str) -> None:
        length = len(self.text(name).encode("utf-16-le")) // 2
        self.type(name, [length, [0, *text.split("\n")]])

    def act(self, name: str, **given: Any) -> None:
        self.view._hear({"type": "act", "act": name, "with": given})

    def look(self) -> None:
        self.view._hear({"type": "look"})


def asked_of(problem: dict[str, Any]) -> dict[str, Any]:
    """What the button beside a problem asks for: that it is mended, as was said."""
    given = {name: value for name, value in problem.items() if name not in ("mend", "changes")}
    return {**given, "accepting": problem["changes"]}


@pytest.fixture
def page(editor: AgentEditor) -> Page:
    return Page(editor)


@pytest.fixture(autouse=True)
def drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Drafts are kept in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    return tmp_path / "outputs" / "drafts"


class TestFields:
    def test_every_field_of_the_format_has_a_form(self) -> None:
        assert set(FORM) == set(FIELDS)

    @pytest.mark.parametrize("field", ["color", "effort", "permission_mode", "isolation", "memory"])
    def test_choices_are_those_of_the_data_file(self, field: str) -> None:
        known = facts()[{"memory": "memories"}.get(field, f"{field}s")]

        assert FORM[field].values == tuple(known)

    def test_every_model_says_what_is_known_of_it(self) -> None:
        told = {name: line for _heading, models in model_choices() for name, line in models}

        assert tuple(told) == FORM["model"].values
        assert re.fullmatch(r"haiku: claude-haiku-[-0-9]+, [0-9.]+ USD in, [0-9.]+ out, context [0-9,]+", told["haiku"])
        assert all("USD in" in line or "price not known" in line for name, line in told.items() if name != "inherit")

    def test_every_tool_says_what_it_grants(self) -> None:
        assert all(tool["grants"] and tool["group"] in facts()["tool_groups"] for tool in facts()["tools"].values())

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", "reviewer"),
            ("name", ""),
            ("description", "two\nlines: # 'quoted'"),
            ("tools", ("Read", "Bash(git log:*)", "Agent(a, b)")),
            ("tools", ()),
            ("skills", ("one",)),
            ("model", "claude-opus-5"),
            ("max_turns", 12),
            ("background", True),
            ("hooks", {"Stop": [{"hooks": [{"type": "command", "command": "ls"}]}]}),
            ("hooks", {}),
            ("mcp_servers", ["github", {"own": {"type": "stdio"}}]),
            ("mcp_servers", []),
        ],
    )
    def test_text_of_a_value_reads_back_as_the_value(self, field: str, value: Any) -> None:
        text = text_of(FORM[field], value)

        assert value_of(FORM[field], text) == value

    @pytest.mark.parametrize(
        ("field", "text"), [("max_turns", "many"), ("max_turns", "-1"), ("hooks", "a: [b"), ("background", "maybe")]
    )
    def test_text_that_is_no_value_yet_says_why(self, field: str, text: str) -> None:
        with pytest.raises(ValueError, match=r"not (a whole number|YAML)|neither true nor false"):
            value_of(FORM[field], text)

    @pytest.mark.parametrize("field", [name for name, form in FORM.items() if not form.keeps_empty])
    def test_emptying_a_control_without_an_empty_value_removes_the_key(self, field: str) -> None:
        assert value_of(FORM[field], " ") is None


class TestEditor:
    @pytest.mark.parametrize(
        ("field", "shown", "value"),
        [
            ("name", "other", "other"),
            ("description", "Use it: always # really", "Use it: always # really"),
            ("tools", "Read, Bash(a, b)", ("Read", "Bash(a, b)")),
            ("disallowed_tools", "Write", ("Write",)),
            ("model", "opus", "opus"),
            ("permission_mode", "plan", "plan"),
            ("max_turns", "7", 7),
            ("skills", "a, b", ("a", "b")),
            ("mcp_servers", "- github", ["github"]),
            ("hooks", "Stop: []", {"Stop": []}),
            ("memory", "user", "user"),
            ("background", "true", True),
            ("effort", "high", "high"),
            ("isolation", "worktree", "worktree"),
            ("color", "cyan", "cyan"),
            ("initial_prompt", "Begin.", "Begin."),
        ],
    )
    def test_a_control_changes_its_field_and_no_other(
        self, editor: AgentEditor, page: Page, field: str, shown: str, value: Any
    ) -> None:
        before = editor.agent
        page.field(field, shown)

        assert editor.agent == before.replace(**{field: value})
        assert editor.edited == (field,)
        assert editor.saved == before

    def test_a_value_of_another_type_that_is_shown_again_stays_what_it_is(self, path: Path) -> None:
        path.write_text(FILE.replace("model: sonnet", "effort: 3"))
        editor = AgentEditor(load_agent(path))
        page = Page(editor)
        page.field("effort", "3")

        assert editor.agent.effort == 3
        assert not editor.is_edited

    def test_what_a_mend_wrote_in_other_lines_is_named(self, path: Path) -> None:
        path.write_text("---\nname: n\ndescription: Use it: when asked.\n---\n\nYou read.\n")
        editor = AgentEditor(load_agent(path))
        [problem] = [each for each in check_agent(editor.agent) if each.rule == "repaired"]
        editor.mend(problem)

        assert editor.is_edited and not editor.edited
        said = Page(editor).state["standing"]
        assert said == "edited, not saved: description, in how it is written and not in what it says"

    def test_what_is_being_typed_is_not_taken_away(self, editor: AgentEditor, page: Page) -> None:
        page.field("tools", "Read, ")
        page.field("mcp_servers", "-   github # ours\n")
        shown = [page.state["fields"][name]["text"] for name in ("tools", "mcp_servers")]
        editor.edit(tools=("Grep",))

        assert shown == ["Read, ", "-   github # ours\n"]
        assert page.state["fields"]["tools"]["text"] == "Grep"

    def test_typing_in_the_prompt_changes_the_prompt_only(self, editor: AgentEditor, page: Page) -> None:
        page.type_at_end("prompt", "Be kind.\n")

        assert editor.agent.prompt.endswith("You read code.\nBe kind.\n")
        assert editor.edited == ("prompt",)

    def test_an_edit_taken_back_leaves_no_trace_in_the_text(self, editor: AgentEditor, page: Page) -> None:
        before = page.state["fields"]["description"]["text"]
        page.field("description", "something else")
        page.field("description", before)

        assert editor.edited == ()
        assert editor.agent.text == FILE
        assert not editor.is_edited

    def test_an_absent_key_differs_from_an_empty_one(self, editor: AgentEditor, page: Page) -> None:
        page.field("tools", "")
        empty, shown_empty = editor.agent.tools, page.state["fields"]["tools"]["text"]
        page.field("tools", None)

        assert (empty, shown_empty) == ((), "")
        assert (editor.agent.tools, page.state["fields"]["tools"]["text"]) == (None, None)

    def test_an_edit_by_a_cell_shows_in_every_view(self, editor: AgentEditor, page: Page) -> None:
        editor.edit(color="pink", tools=("Read",), prompt="New.\n")

        assert page.state["fields"]["color"]["text"] == "pink"
        assert page.state["fields"]["tools"]["items"] == ["Read"]
        assert page.text("prompt") == "New.\n"
        assert page.text("raw") == editor.text

    def test_an_unknown_field_is_refused_by_name(self, editor: AgentEditor) -> None:
        with pytest.raises(TypeError, match="colour"):
            editor.edit(colour="pink")

    def test_a_value_that_nobody_knows_is_kept_and_shown(self, path: Path) -> None:
        path.write_text(FILE.replace("model: sonnet", 'model: sonnet\ncolor: "#2196F3"'))
        editor = AgentEditor(load_agent(path))

        assert Page(editor).state["fields"]["color"]["text"] == "#2196F3"
        assert editor.agent.text == path.read_text()

    def test_keys_that_claude_code_does_not_know_are_shown(self, page: Page) -> None:
        assert page.state["unknown"] == [{"key": "priority", "text": "priority: high"}]

    def test_text_that_is_no_value_keeps_the_value_before_and_is_not_saved(
        self, editor: AgentEditor, page: Page, path: Path
    ) -> None:
        page.field("max_turns", "5")
        page.field("max_turns", "5x")
        page.act("save")

        assert editor.agent.max_turns == 5
        assert page.state["fields"]["max_turns"] == {"text": "5x", "why": "'5x' is not a whole number"}
        assert "not a whole number" in page.state["note"]
        assert "maxTurns" not in path.read_text()

    def test_save_changes_the_edited_lines_only(self, editor: AgentEditor, page: Page, path: Path) -> None:
        page.field("model", "opus")
        page.act("save")

        assert path.read_text() == FILE.replace("model: sonnet", "model: opus")
        assert editor.edited == ()
        assert editor.saved.model == "opus"

    def test_a_message_goes_with_the_next_edit(self, page: Page) -> None:
        page.field("model", "opus")
        page.act("save")
        said = page.state["note"]
        page.field("model", "haiku")

        assert said == "Saved."
        assert page.state["note"] == ""

    def test_revert_can_be_taken_back(self, editor: AgentEditor, page: Page) -> None:
        page.field("tools", "")
        page.field("hooks", "a: [")
        page.field("color", "red")
        page.act("revert")
        reverted, shown = editor.agent, page.state["fields"]["hooks"]["text"]
        page.act("restore")

        assert (reverted, shown) == (editor.saved, None)
        assert (editor.agent.tools, editor.agent.color) == ((), "red")

    def test_an_agent_that_came_from_no_file_says_so_when_saved(self) -> None:
        editor = AgentEditor(parse_agent(FILE))
        page = Page(editor)
        page.field("model", "opus")
        page.act("save")

        assert editor.agent.model == "opus"
        assert "not read from a file" in page.state["note"]

    def test_problems_follow_the_draft(self, page: Page) -> None:
        before = {problem["severity"] for problem in page.state["problems"]}
        page.field("description", None)

        assert "error" not in before
        assert "error" in {problem["severity"] for problem in page.state["problems"]}

    def test_a_problem_is_mended_by_its_button(self, editor: AgentEditor, page: Page) -> None:
        page.field("tools", "Read, MultiEdit")
        (problem,) = [problem for problem in page.state["problems"] if problem["mend"]]
        page.act("mend", **asked_of({**problem, "changes": ""}))
        assert editor.agent.tools == ("Read", "MultiEdit")
        assert page.state["note"] == f"not mended, for this changes what is read: {problem['changes']}"
        page.act("mend", **asked_of(problem))

        assert editor.agent.tools == ("Read",)
        assert page.state["note"] == "Changed as it was said."

    def test_examples_of_the_description_become_tasks(self, editor: AgentEditor, page: Page) -> None:
        blank = {"assistant": "", "commentary": "", "source": ""}
        rows = [{"context": "", "user": "Two?", **blank}, {"context": "At home", "user": "One?", **blank}]
        page.view._hear({"type": "examples", "examples": rows, "client": "page", "seq": 1})
        page.act("tasks")

        said = [task.input for task in editor.tasks() if task.group == "description"]
        assert said == ["Two?", "One?"]
        assert [example["user"] for example in page.state["examples"]] == ["Two?", "One?"]
        assert "One?" in next(message["text"] for message in page.heard if message["type"] == "tasks")

    @pytest.mark.parametrize("said", ["Is {{ this }} fine?", "{% raw %}", "{# no remark #}", "{{{%{#{", "a: 'b' # c"])
    def test_an_example_that_becomes_a_task_says_the_same(
        self, editor: AgentEditor, page: Page, tmp_path: Path, said: str
    ) -> None:
        editor.edit(description=f"Use it.\n<example>\nContext: {said}\nuser: '{said}'\nassistant: 'Two.'\n</example>\n")
        page.act("tasks")
        file = tmp_path / "copied.tasks.yaml"
        file.write_text(next(message["text"] for message in page.heard if message["type"] == "tasks"))
        told = [
            [(task.id, task.group, task.context, task.input) for task in tasks]
            for tasks in (tasks_of_description(editor.agent), load_tasks(file))
        ]

        assert told[0] == told[1]
        assert said in told[0][0][3]
        first = file.read_text().splitlines()[0]
        assert re.match(
            r"# For \S+\.tasks\.yaml, as written by: workbench tasks \S+\.md --from description --write$", first
        )

    def test_hostile_text_is_shown_as_text_in_the_twin(self, path: Path) -> None:
        editor = AgentEditor(load_agent(path))
        editor.edit(name=HOSTILE, color=HOSTILE, description=HOSTILE, prompt=HOSTILE)

        shown = editor._repr_mimebundle_()
        assert "<script" not in shown["text/html"]
        assert "<img" not in shown["text/html"]
        assert "\n````" in shown["text/markdown"]

    def test_bytes_that_are_not_utf8_stay_while_one_types_around_them(self, path: Path) -> None:
        path.write_bytes(FILE.encode().replace(b"You read", b"You \xff read"))
        editor = AgentEditor(load_agent(path))
        page = Page(editor)
        page.type_at_end("prompt", "More.\n")
        page.act("save")

        assert b"You \xff read code.\nMore.\n" in path.read_bytes()
        assert "You � read" in page.text("prompt")

    def test_fast_edits_from_two_threads_lose_none(self, editor: AgentEditor, page: Page) -> None:
        def type_into(name: str, text: str) -> None:
            for end in range(1, len(text) + 1):
                page.field(name, text[:end])

        threads = [
            threading.Thread(target=type_into, args=("name", "a-name-of-some-length")),
            threading.Thread(target=type_into, args=("initial_prompt", "a prompt of some length")),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert editor.agent.name == "a-name-of-some-length"
        assert editor.agent.initial_prompt == "a prompt of some length"

    def test_whoever_observes_is_told_of_each_change_until_they_stop(self, editor: AgentEditor) -> None:
        told: list[str | None] = []
        stop = editor.observe(lambda: told.append(editor.agent.model))
        editor.edit(model="opus")
        stop()
        editor.edit(model="haiku")

        assert told == ["opus"]


class TestRawText:
    def test_an_edit_of_either_view_shows_in_the_other(self, editor: AgentEditor, page: Page) -> None:
        page.field("model", "opus")
        in_raw = page.text("raw")
        at = in_raw.index("opus")
        page.type("raw", [at, [4, "haiku"], len(in_raw) - at - 4])
        page.look()

        assert "model: opus" in in_raw
        assert editor.agent.model == page.state["fields"]["model"]["text"] == "haiku"

    def test_what_is_typed_is_the_draft_before_the_page_pauses(self, editor: AgentEditor, page: Page) -> None:
        page.type_at_end("raw", "More.\n")
        page.type_at_end("raw", "And more.\n")

        assert editor.agent.prompt.endswith("You read code.\nMore.\nAnd more.\n")

    def test_comments_and_unknown_keys_can_be_edited_and_saved(self, editor: AgentEditor, path: Path) -> None:
        text = FILE.replace("# a remark", "# another").replace("priority: high", "priority: low")
        editor.type_text(text)
        is_edited, names = editor.is_edited, editor.edited
        editor.save()

        assert (is_edited, names) == (True, ())
        assert path.read_text() == text

    def test_text_typed_back_is_as_if_never_edited(self, editor: AgentEditor) -> None:
        editor.type_text("nothing of this")
        editor.type_text(FILE)

        assert not editor.is_edited
        assert editor.agent is editor.saved

    def test_line_ends_of_the_file_stay(self, path: Path) -> None:
        path.write_bytes(FILE.replace("\n", "\r\n").encode())
        editor = AgentEditor(load_agent(path))
        page = Page(editor)
        page.type_at_end("raw", "More.\n")
        page.act("save")

        assert path.read_bytes() == (FILE + "More.\n").replace("\n", "\r\n").encode()

    def test_a_header_in_the_making_loses_nothing(self, editor: AgentEditor, page: Page, path: Path) -> None:
        page.type("raw", [[4], len(FILE) - 4])
        page.look()
        broken = page.text("raw")
        page.type("raw", [[0, "---", ""], len(FILE) - 4])
        page.look()

        assert broken == FILE[4:]
        assert page.text("raw") == FILE
        assert not editor.is_edited

    def test_changes_on_an_old_version_are_not_taken_and_the_page_is_told_why(
        self, editor: AgentEditor, page: Page
    ) -> None:
        old = page.view._texts["prompt"].version
        editor.edit(prompt="Other.\n")
        page.heard.clear()
        page.type("prompt", [16, [0, "lost?"]], version=old)

        assert editor.agent.prompt == "Other.\n"
        assert [(message["type"], message["version"]) for message in page.heard] == [("updates", old)]

    def test_changes_that_do_not_fit_bring_the_whole_text(self, editor: AgentEditor, page: Page) -> None:
        page.heard.clear()
        page.type("prompt", [3])

        assert page.heard[0]["type"] == "reset"
        assert not editor.is_edited


class TestConflict:
    def test_a_file_changed_meanwhile_is_not_overwritten_and_the_draft_is_kept(
        self, editor: AgentEditor, page: Page, path: Path
    ) -> None:
        page.field("model", "opus")
        path.write_text(FILE.replace("You read code.", "You read <b>prose</b>."))
        page.act("save")

        assert "model: sonnet" in path.read_text()
        assert editor.agent.model == "opus"
        assert "changed on disk" in page.state["note"]
        assert [piece["kind"] for piece in page.state["conflict"]] == ["same", "mine", "same", "disk"]
        with pytest.raises(AgentChangedOnDisk):
            editor.save()

    def test_what_only_one_side_changed_is_taken_of_each(self, editor: AgentEditor, path: Path) -> None:
        editor.edit(model="opus")
        path.write_text(FILE.replace("You read code.", "You read prose."))
        with pytest.raises(AgentChangedOnDisk):
            editor.save()
        editor.settle()
        editor.save()

        assert path.read_text() == FILE.replace("sonnet", "opus").replace("read code", "read prose")
        assert editor.conflict is None

    def test_of_lines_that_both_changed_the_chosen_stand_and_all_are_kept(
        self, editor: AgentEditor, page: Page, path: Path, drafts: Path
    ) -> None:
        page.field("model", "opus")
        path.write_text(FILE.replace("model: sonnet", "model: haiku"))
        page.act("save")
        (clash,) = [piece["index"] for piece in page.state["conflict"] if piece["kind"] == "clash"]
        page.act("settle", sides={str(clash): "disk"})

        assert editor.agent.model == "haiku"
        (kept,) = drafts.iterdir()
        assert "model: opus" in kept.read_text()
        assert "model: haiku" in kept.read_text()

    def test_reading_again_names_the_fields_that_both_sides_changed(
        self, editor: AgentEditor, page: Page, path: Path
    ) -> None:
        page.field("model", "opus")
        page.field("name", "opus")
        path.write_text(FILE.replace("model: sonnet", "model: haiku"))
        page.act("reread")

        assert (editor.saved.model, editor.agent.model) == ("haiku", "opus")
        assert "Both it and you changed: model." in page.state["note"]

    def test_a_file_that_is_gone_is_said_and_the_draft_stays(self, editor: AgentEditor, page: Page, path: Path) -> None:
        page.field("model", "opus")
        path.unlink()
        page.act("save")

        assert "gone" in page.state["note"]
        assert (page.state["note_fails"], page.state["is_gone"]) == (True, True)
        assert editor.agent.model == "opus"

    def test_a_file_that_is_gone_is_written_again(self, editor: AgentEditor, page: Page, path: Path) -> None:
        page.field("model", "opus")
        path.unlink()
        page.act("save")
        page.act("write_again")

        assert path.read_text() == FILE.replace("model: sonnet", "model: opus")
        assert (page.state["is_edited"], page.state["is_gone"], page.state["note_fails"]) == (False, False, False)
        page.field("model", "haiku")
        page.act("save")
        assert "model: haiku" in path.read_text()

    def test_a_file_that_is_there_again_is_not_written_over(self, editor: AgentEditor, page: Page, path: Path) -> None:
        page.field("model", "opus")
        path.unlink()
        page.act("save")
        path.write_text("Of somebody else.")
        page.act("write_again")

        assert path.read_text() == "Of somebody else."
        assert "changed on disk" in page.state["note"]
        assert (page.state["is_gone"], page.state["conflict"] is None) == (False, False)
        assert editor.agent.model == "opus"

    def test_what_could_not_be_done_stays_marked_while_one_looks_around(self, page: Page, path: Path) -> None:
        page.field("model", "opus")
        path.write_text(FILE.replace("model: sonnet", "model: haiku"))
        page.act("save")
        page.act("compare", against="disk")

        assert "changed on disk" in page.state["note"]
        assert page.state["note_fails"] is True


class TestDrafts:
    def test_a_cell_that_is_run_again_goes_on_with_the_draft_and_its_view(
        self, editor: AgentEditor, path: Path
    ) -> None:
        editor.edit(model="opus")
        again = AgentEditor(load_agent(path))

        assert again.agent.model == "opus"
        assert again.view() is editor.view()

    def test_a_cell_that_is_run_again_sees_a_file_that_changed(self, editor: AgentEditor, path: Path) -> None:
        path.write_text(FILE.replace("sonnet", "haiku"))
        without_edits = AgentEditor(load_agent(path)).agent.model
        editor.edit(color="red")
        path.write_text(FILE)
        again = AgentEditor(load_agent(path))

        assert without_edits == "haiku"
        assert again.agent.color == "red"
        assert again.conflict is not None

    def test_the_next_kernel_is_offered_what_was_not_saved(self, editor: AgentEditor, path: Path) -> None:
        editor.edit(model="opus")
        in_next_kernel(editor)
        again = AgentEditor(load_agent(path))
        offered = Page(again).state["offered"]
        before = again.agent.model
        again.take_up_draft()

        assert offered is not None
        assert (before, again.agent.model) == ("sonnet", "opus")

    def test_a_draft_meets_a_file_that_changed_since(self, editor: AgentEditor, path: Path) -> None:
        editor.edit(model="opus")
        in_next_kernel(editor)
        path.write_text(FILE.replace("You read code.", "You read prose."))
        again = AgentEditor(load_agent(path))
        again.take_up_draft()

        assert (again.agent.model, again.agent.prompt) == ("opus", "\nYou read prose.\n")

    def test_lines_that_a_kept_draft_and_the_file_both_changed_are_chosen(
        self, editor: AgentEditor, path: Path
    ) -> None:
        editor.edit(model="opus", prompt="\nYou read code well.\n")
        in_next_kernel(editor)
        path.write_text(changed := FILE.replace("model: sonnet", "model: haiku"))
        again = AgentEditor(load_agent(path))
        again.take_up_draft()
        conflict = again.conflict
        with pytest.raises(AgentChangedOnDisk):
            again.save()

        assert conflict is not None
        assert again.agent.model == "opus"
        assert path.read_text() == changed
        settled = again.settle({conflict.clashes[0]: "disk"})
        assert (settled.model, settled.prompt) == ("haiku", "\nYou read code well.\n")
        assert again.save().model == "haiku"

    def test_typing_beside_an_offered_draft_keeps_it(self, editor: AgentEditor, path: Path, drafts: Path) -> None:
        editor.edit(model="opus")
        in_next_kernel(editor)
        AgentEditor(load_agent(path)).edit(color="red")
        texts = [file.read_text() for file in drafts.iterdir()]

        assert len(texts) == 2
        assert any("model: opus" in text for text in texts)
        assert any("color: red" in text for text in texts)

    @pytest.mark.parametrize("end", ["save", "revert"])
    def test_no_draft_is_left_when_there_is_nothing_to_save(
        self, editor: AgentEditor, path: Path, drafts: Path, end: str
    ) -> None:
        editor.edit(model="opus")
        kept = list(drafts.iterdir())
        getattr(editor, end)()

        assert len(kept) == 1
        assert list(drafts.iterdir()) == []

    def test_a_dropped_draft_is_gone(self, editor: AgentEditor, path: Path, drafts: Path) -> None:
        editor.edit(model="opus")
        in_next_kernel(editor)
        page = Page(AgentEditor(load_agent(path)))
        page.act("drop_draft")

        assert page.state["offered"] is None
        assert list(drafts.iterdir()) == []

    def test_a_damaged_draft_is_said_and_left_alone(self, editor: AgentEditor, path: Path, drafts: Path) -> None:
        editor.edit(model="opus")
        (kept,) = drafts.iterdir()
        kept.write_text("{")
        in_next_kernel(editor)

        assert "damaged" in Page(AgentEditor(load_agent(path))).state["note"]
        assert kept.read_text() == "{"

    def test_what_was_typed_is_kept_though_the_page_is_gone(self, page: Page, drafts: Path) -> None:
        page.view.keep_after_seconds = 0
        page.type_at_end("prompt", "Half a sent")
        keeping = page.view._keeping
        if keeping is not None:
            keeping.join(10)

        assert "Half a sent" in next(drafts.glob("*.json")).read_text()

    def test_what_was_typed_is_kept_when_the_page_pauses(self, page: Page, drafts: Path) -> None:
        page.type_at_end("prompt", "Half a sent")
        page.look()

        assert "Half a sent" in next(drafts.glob("*.json")).read_text()

    def test_a_headless_run_keeps_and_offers_none(
        self, editor: AgentEditor, path: Path, drafts: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        editor.edit(model="opus")
        in_next_kernel(editor)
        monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
        again = AgentEditor(load_agent(path))
        again.edit(color="red")

        assert again.kept_draft is None
        assert "color: red" not in next(drafts.glob("*.json")).read_text()


def in_next_kernel(editor: AgentEditor) -> None:
    """Forgets the editor, as the end of a kernel does; what is on disk stays."""
    assert editor.saved.path is not None
    del open_drafts[editor.saved.path.resolve()]


class TestVersions:
    def test_a_draft_is_compared_with_the_last_commit(self, editor: AgentEditor, path: Path) -> None:
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.invalid"]
        for command in (["init", "-q"], ["add", path.name], ["commit", "-qm", "one"]):
            subprocess.run([*git, *command], cwd=path.parent, check=True)
        editor.edit(model="opus")
        editor.save()
        page = Page(editor)
        page.act("compare", against="git")

        assert editor.version("git").text == FILE
        assert "-model: sonnet" in editor.diff("git")
        assert [message["text"] for message in page.heard if message["type"] == "compared"] == [FILE]

    def test_without_a_repository_the_page_says_so(self, page: Page) -> None:
        page.act("compare", against="git")

        (answer,) = [message for message in page.heard if message["type"] == "compared"]
        assert answer["text"] is None
        assert "no git repository" in answer["says"]

    def test_every_version_that_was_tried_can_be_compared(self, editor: AgentEditor, path: Path) -> None:
        with open_ledger() as ledger:
            for model in ("opus", "haiku"):
                variant = editor.saved.replace(model=model)
                plan = plan_trials({model: variant}, [Task(id="one", input="Why?")])
                run_trials(plan, live=False, ledger=ledger)
        page = Page(editor)
        page.act("versions")

        assert [version.agent.model for version in editor.versions()] == ["haiku", "opus"]
        (answer,) = [message for message in page.heard if message["type"] == "versions"]
        assert ["haiku" in item["says"] for item in answer["items"]] == [True, False]
        assert editor.version(answer["items"][1]["name"]).model == "opus"

    def test_an_unknown_version_is_refused(self, editor: AgentEditor) -> None:
        with pytest.raises(WorkbenchError, match="holds no version"):
            editor.diff("feed")


class TestStaticTwin:
    def test_a_headless_run_builds_no_widget(self, editor: AgentEditor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
        monkeypatch.setattr("workbench.widgets.editor.EditorView", lambda *_, **__: pytest.fail("a view was made"))
        panel = TrialPanel(editor, [Task(id="one", input="Why?")], endpoint=OFFLINE)

        for view in (editor, panel):
            assert set(view._repr_mimebundle_()) == {"text/html", "text/markdown", "text/plain"}
        assert panel.view is None

    def test_a_live_kernel_gets_the_widget_beside_the_twin(self, editor: AgentEditor) -> None:
        assert set(editor._repr_mimebundle_()) >= {WIDGET, "text/html", "text/markdown", "text/plain"}

    def test_the_twin_is_the_same_in_two_runs(self, path: Path) -> None:
        one = AgentEditor(load_agent(path.name))
        in_next_kernel(one)
        two = AgentEditor(load_agent(path.name))
        for editor in (one, two):
            editor.edit(model="opus")

        for kind in ("text/html", "text/markdown", "text/plain"):
            assert one._repr_mimebundle_()[kind] == two._repr_mimebundle_()[kind]
            assert str(path.parent) not in one._repr_mimebundle_()[kind]

    @pytest.mark.parametrize("kind", ["text/html", "text/markdown", "text/plain"])
    def test_the_twin_names_no_folder_of_this_machine(self, path: Path, kind: str) -> None:
        editor = AgentEditor(load_agent(path))
        editor.edit(model="opus")
        twin = editor._repr_mimebundle_()[kind]

        assert str(path.parent) not in twin
        assert kind == "text/plain" or "--- reviewer.md" in twin

    @pytest.mark.parametrize("of", ["editor", "panel"])
    def test_nothing_in_the_twin_is_typeset_or_wider_than_its_place(self, path: Path, of: str) -> None:
        editor = AgentEditor(load_agent(path))
        editor.edit(description="It costs $5 a month or $50 a year. " + "x" * 20_000)
        shown = editor if of == "editor" else TrialPanel(editor, [Task(id="one", input="Why?")], endpoint=OFFLINE)
        page = shown._repr_mimebundle_()["text/html"]
        opening, rest = page.split("\n", 1)

        assert opening == '<div class="tex2jax_ignore mathjax_ignore" style="overflow-wrap: anywhere">'
        assert rest.count("<div") + 1 == rest.count("</div>"), "all of it stands in that element"
        assert all("overflow-wrap: anywhere" in tag for tag in re.findall(r"<pre[^>]*>", page))
        assert of == "panel" or "$5 a month or $50 a year" in page

    def test_characters_that_turn_the_text_around_are_spelled_out_in_the_twin(self, path: Path) -> None:
        editor = AgentEditor(load_agent(path))
        editor.edit(description="safe \u202eelif", prompt="\nRead \u2066this.\n")
        page = editor._repr_mimebundle_()["text/html"]

        assert "safe &lt;U+202E&gt;elif" in page
        assert "Read &lt;U+2066&gt;this." in page

    def test_the_twin_says_at_which_model_and_effort_the_draft_runs(self, path: Path) -> None:
        editor = AgentEditor(load_agent(path))
        editor.edit(model="claude-opus-5", effort="Low")
        shown = editor._repr_mimebundle_()
        page = Page(editor)

        said = "claude-opus-5 (the file's 'claude-opus-5'), effort low (the file's own)"
        assert html.escape(said) in shown["text/html"]
        assert said in shown["text/markdown"]
        assert page.state["model"][:2] == [
            ["asks for", "claude-opus-5 (the file's 'claude-opus-5')"],
            ["at effort", "low (the file's own)"],
        ]

    def test_ten_editors_carry_the_browser_code_once(self, path: Path) -> None:
        views = []
        for number in range(10):
            other = path.with_name(f"agent-{number}.md")
            other.write_text(FILE)
            views.append(AgentEditor(load_agent(other)).view())

        assert len({view.code.model_id for view in views}) == 1
        assert max(len(json.dumps(view.get_state(), default=str)) for view in views) < 20_000


class Model:
    """Answers in place of `start_planned`: each trial waits until it is told what to do next."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.steps: list[list[Any]] = []

    def __call__(self, trial: Trial, **options: Any) -> Started[Trial]:
        import asyncio

        self.asked.append({"request": trial.request, **options})
        script = self.steps.pop(0) if self.steps else ["Hello."]

        async def answer() -> Trial:
            text = ""
            try:
                for step in script:
                    if isinstance(step, str):
                        text += step
                        options["on_text"](step)
                    elif isinstance(step, Failure):
                        return trial.replace(failure=step)
                    elif isinstance(step, BaseException):
                        raise step
                    elif callable(step):
                        step(options)
                    else:
                        await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped = Failure(type="stopped", message="stopped")
                return trial.replace(reply=Reply(text=text), failure=stopped)
            usage = Usage(input_tokens=1200, output_tokens=34)
            return trial.replace(
                reply=Reply(text=text, stop_reason="end_turn", usage=usage, seconds=1.5, seconds_to_first_token=0.25)
            )

        return Started(answer())


FOREVER = None
TASK = Task(id="one", input="Which?", group="g", graders=(GraderSpec(name="mentions", promise="says"),))


def says(*, word: str = "Hello") -> Callable[..., Any]:
    from workbench.trial.trial import Score

    return lambda task, reply: Score(value=float(word in reply.text), explanation=f"{word} <b>wanted</b>")


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def panel(editor: AgentEditor, model: Model) -> Iterator[TrialPanel]:
    panel = TrialPanel(editor, [TASK], graders={"mentions": says}, endpoint=OFFLINE, start=model)
    yield panel
    panel.stop()
    panel.wait()


def columns(panel: TrialPanel) -> list[ReplyView]:
    return list(controls_of_kind(panel._open_view(), ReplyView))


def controls_of_kind(view: Any, kind: type) -> Iterator[Any]:
    if isinstance(view, kind):
        yield view
    for child in getattr(view, "children", ()):
        yield from controls_of_kind(child, kind)


class TestPanel:
    def test_file_and_draft_are_tried_side_by_side_as_they_are_at_run(
        self, panel: TrialPanel, editor: AgentEditor, model: Model
    ) -> None:
        shown = controls(panel)
        editor.edit(prompt="You are terse.\n")
        shown["Run"].click()
        trials = panel.wait()

        assert [trial.variant for trial in trials] == ["disk", "draft"]
        assert [asked["request"].system for asked in model.asked] == [trial.request.system for trial in trials]
        assert model.asked[0]["request"].system != model.asked[1]["request"].system
        assert [view.variant for view in columns(panel)] == ["disk", "draft"]

    def test_a_draft_without_edits_is_tried_once_and_the_panel_says_so(self, panel: TrialPanel, model: Model) -> None:
        shown = controls(panel)
        shown["Run"].click()
        panel.wait()

        assert len(model.asked) == 1
        assert "only the file was tried" in texts(panel)

    def test_edits_that_no_model_sees_are_called_chance(self, panel: TrialPanel, editor: AgentEditor) -> None:
        shown = controls(panel)
        editor.edit(color="pink")
        shown["Run"].click()
        panel.wait()

        assert "same request" in texts(panel)

    def test_an_answered_trial_shows_text_numbers_and_scores(self, panel: TrialPanel) -> None:
        panel.run(TASK)
        panel.wait()
        (view,) = columns(panel)

        assert view.text == "Hello."
        assert view.status == "Answered."
        assert all(part in view.meter for part in ("0.25 s to first token", "1,200 tokens in", "34 tokens out"))
        assert view.scores == [["mean", "1.00", ""], ["says", "1.00", "Hello <b>wanted</b>"]]

    def test_every_reply_of_the_stand_in_says_what_it_is(self, panel: TrialPanel) -> None:
        panel.run(TASK)
        panel.wait()

        assert "OFFLINE STAND-IN" in texts(panel)
        assert all("OFFLINE STAND-IN" in view.endpoint and view.is_stand_in for view in columns(panel))
        assert "no model answered" in columns(panel)[0].meter
        assert all("STAND-IN" in panel._repr_mimebundle_()[kind] for kind in ("text/html", "text/markdown"))

    def test_stop_keeps_what_came(self, panel: TrialPanel, model: Model) -> None:
        came = threading.Event()
        model.steps = [["Half of", lambda options: came.set(), FOREVER]]
        shown = controls(panel)
        shown["Run"].click()
        assert came.wait(60)
        was_running = panel.is_running, shown["Run"].disabled, shown["Stop"].disabled
        shown["Stop"].click()
        (trial,) = panel.wait()

        assert was_running == (True, True, False)
        assert trial.outcome == "stopped"
        assert columns(panel)[0].text == "Half of"
        assert columns(panel)[0].scores == []
        assert (shown["Run"].disabled, shown["Stop"].disabled) == (False, True)

    def test_a_second_run_waits_for_the_first(self, panel: TrialPanel, model: Model) -> None:
        model.steps = [[FOREVER]]
        panel.run(TASK)

        with pytest.raises(PlanError, match="under way"):
            panel.run(TASK)

    def test_one_failing_variant_leaves_the_other_its_reply(
        self, panel: TrialPanel, editor: AgentEditor, model: Model
    ) -> None:
        model.steps = [[Failure(type="overloaded_error", message="<b>busy</b>", status=529)], ["Hello."]]
        editor.edit(prompt="Other.\n")
        panel.run(TASK)
        trials = panel.wait()

        assert [trial.outcome for trial in trials] == ["failed", "answered"]
        assert columns(panel)[0].trouble == "overloaded_error: <b>busy</b>"
        assert "<b>" not in panel._repr_mimebundle_()["text/html"]

    def test_a_refused_key_is_readable_in_the_column(self, panel: TrialPanel, model: Model) -> None:
        model.steps = [[SetupError("401: check ANTHROPIC_API_KEY")]]
        panel.run(TASK)
        panel.wait()

        assert panel.trials == ()
        assert columns(panel)[0].trouble == "401: check ANTHROPIC_API_KEY"

    def test_a_retry_begins_the_reply_again(self, panel: TrialPanel, model: Model) -> None:
        overloaded = Failure(type="overloaded_error", message="busy")
        model.steps = [["Hal", lambda options: options["on_retry"](overloaded, 2.0), "Hello again."]]
        panel._open_view()
        panel.run(TASK)
        panel.wait()

        assert columns(panel)[0].status == "Answered."
        assert panel.trying.runs[0].pieces == ["Hello again."]

    def test_pieces_that_come_at_once_are_sent_at_most_ten_times_a_second(
        self, panel: TrialPanel, model: Model, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[Any] = []
        monkeypatch.setattr(ReplyView, "send", lambda self, content, buffers=None: sent.append(content))
        model.steps = [["a"] * 1000]
        panel._open_view()
        panel.run(TASK)
        panel.wait()

        assert len(sent) <= 1
        assert columns(panel)[0].text == "a" * 1000

    def test_an_edited_question_is_no_longer_the_tasks(self, panel: TrialPanel, model: Model) -> None:
        shown = controls(panel)
        of_task = shown["Question"].value
        shown["Question"].value = "And what of this?"
        shown["Run"].click()
        (trial,) = panel.wait()

        assert of_task == "Which?"
        assert (trial.task_id, dict(trial.scores)) == ("typed", {})
        assert model.asked[0]["request"].messages[0]["content"] == "And what of this?"

    def test_a_draft_without_edits_alone_is_nothing_to_try(self, panel: TrialPanel, model: Model) -> None:
        shown = controls(panel)
        shown["disk"].value = False
        shown["Run"].click()

        assert "nothing to try" in texts(panel)
        assert model.asked == []

    def test_an_unknown_grader_is_said_in_the_panel(self, editor: AgentEditor, model: Model) -> None:
        panel = TrialPanel(editor, [TASK], graders={}, endpoint=OFFLINE, start=model)
        controls(panel)["Run"].click()

        assert "mentions" in texts(panel)
        assert model.asked == []

    def test_agents_by_name_are_tried_as_given(self, model: Model) -> None:
        agents = {"long": Agent(name="a", prompt="Long."), "short": Agent(name="a", prompt="Short.")}
        panel = TrialPanel(agents, endpoint=OFFLINE, start=model)
        panel.run("Why?", ["short"])
        (trial,) = panel.wait()

        assert trial.variant == "short"

    def test_a_panel_shown_late_shows_what_came_before(self, panel: TrialPanel) -> None:
        panel.run(TASK)
        panel.wait()

        assert [view.text for view in columns(panel)] == ["Hello."]
