"""The widgets as values and controls, without a browser."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import pytest

from workbench.definition.agent import FIELDS, Agent, load_agent, parse_agent
from workbench.errors import AgentChangedOnDisk, PlanError, SetupError
from workbench.trial.loop import Started
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Failure, Place, Reply, Request, Trial, Usage
from workbench.widgets.editor import AgentEditor
from workbench.widgets.fields import ABSENT, FORMS, text_of, value_of
from workbench.widgets.reply import ReplyView
from workbench.widgets.trials import TrialPanel

HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(2)> [link](javascript:alert(3)) ```"
WIDGET = "application/vnd.jupyter.widget-view+json"
OFFLINE = Place(kind="offline", base_url="http://offline.invalid")

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
    """The controls of a view, or of the view of an editor or a panel, by label."""
    view = view._open_view() if isinstance(view, (AgentEditor, TrialPanel)) else view
    found = {getattr(view, "description", "") or getattr(view, "tooltip", None): view}
    for child in getattr(view, "children", ()):
        found.update(controls(child))
    return found


def texts(view: Any) -> str:
    """All that a view shows as HTML."""
    view = view._open_view() if isinstance(view, (AgentEditor, TrialPanel)) else view
    here = view.value if isinstance(view, ipywidgets.HTML) else ""
    return here + "".join(texts(child) for child in getattr(view, "children", ()))


class TestFields:
    def test_every_field_of_the_format_has_a_form(self) -> None:
        assert set(FORMS) == set(FIELDS)
        assert len(FORMS) == 16

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
            ("hooks", {"Stop": [{"hooks": [{"type": "command", "command": "ls"}]}]}),
            ("hooks", {}),
            ("mcp_servers", ["github", {"own": {"type": "stdio"}}]),
            ("mcp_servers", []),
        ],
    )
    def test_text_of_a_value_reads_back_as_the_value(self, field: str, value: Any) -> None:
        text = text_of(FORMS[field], value)

        assert value_of(FORMS[field], text) == value

    @pytest.mark.parametrize(("field", "text"), [("max_turns", "many"), ("max_turns", "-1"), ("hooks", "a: [b")])
    def test_text_that_is_no_value_yet_says_why(self, field: str, text: str) -> None:
        with pytest.raises(ValueError, match=r"not (a whole number|YAML)"):
            value_of(FORMS[field], text)

    @pytest.mark.parametrize("field", [name for name, form in FORMS.items() if not form.keeps_empty])
    def test_emptying_a_control_without_an_empty_value_removes_the_key(self, field: str) -> None:
        assert value_of(FORMS[field], " ") is None


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
            ("background", True, True),
            ("effort", "high", "high"),
            ("isolation", "worktree", "worktree"),
            ("color", "cyan", "cyan"),
            ("initial_prompt", "Begin.", "Begin."),
        ],
    )
    def test_a_control_changes_its_field_and_no_other(
        self, editor: AgentEditor, field: str, shown: Any, value: Any
    ) -> None:
        before = editor.agent
        controls(editor)[FIELDS[field]].value = shown

        assert editor.agent == before.replace(**{field: value})
        assert editor.edited == (field,)
        assert editor.saved == before

    def test_typing_in_the_prompt_changes_the_prompt_only(self, editor: AgentEditor) -> None:
        controls(editor)["Prompt"].value += "Be kind.\n"

        assert editor.agent.prompt.endswith("You read code.\nBe kind.\n")
        assert editor.edited == ("prompt",)

    def test_an_edit_taken_back_leaves_no_trace_in_the_text(self, editor: AgentEditor) -> None:
        description = controls(editor)["description"]
        before, description.value = description.value, "something else"
        description.value = before

        assert editor.edited == ()
        assert editor.agent.text == FILE

    def test_an_absent_key_differs_from_an_empty_one(self, editor: AgentEditor) -> None:
        shown = controls(editor)
        shown["tools"].value = ""
        empty, hint_of_empty = editor.agent.tools, shown["tools"].placeholder
        shown["Remove tools from the file"].click()

        assert empty == ()
        assert editor.agent.tools is None
        assert hint_of_empty != shown["tools"].placeholder

    def test_typing_and_deleting_in_an_absent_field_leaves_it_written_but_empty(self, editor: AgentEditor) -> None:
        prompt = controls(editor)["initialPrompt"]
        prompt.value = "x"
        prompt.value = ""

        assert editor.agent.initial_prompt == ""

    def test_an_edit_by_a_cell_shows_in_the_control(self, editor: AgentEditor) -> None:
        shown = controls(editor)
        editor.edit(color="pink", tools=("Read",), prompt="New.\n")

        assert (shown["color"].value, shown["tools"].value, shown["Prompt"].value) == (
            "pink",
            "Read",
            "New.\n",
        )

    def test_an_unknown_field_is_refused_by_name(self, editor: AgentEditor) -> None:
        with pytest.raises(TypeError, match="colour"):
            editor.edit(colour="pink")

    def test_a_value_that_nobody_knows_is_kept_and_offered(self, path: Path) -> None:
        path.write_text(FILE.replace("model: sonnet", 'model: sonnet\ncolor: "#2196F3"'))
        editor = AgentEditor(load_agent(path))

        assert controls(editor)["color"].value == "#2196F3"
        assert editor.agent.text == path.read_text()

    def test_text_that_is_no_value_keeps_the_value_before_and_is_not_saved(self, editor: AgentEditor) -> None:
        shown = controls(editor)
        shown["maxTurns"].value = "5"
        shown["maxTurns"].value = "5x"
        shown["Save"].click()

        assert editor.agent.max_turns == 5
        assert "not a whole number" in texts(editor)
        assert "maxTurns" not in (editor.saved.path or Path()).read_text()

    def test_save_changes_the_edited_lines_only(self, editor: AgentEditor, path: Path) -> None:
        shown = controls(editor)
        shown["model"].value = "opus"
        shown["Save"].click()

        assert path.read_text() == FILE.replace("model: sonnet", "model: opus")
        assert editor.edited == ()
        assert editor.saved.model == "opus"

    def test_a_file_changed_meanwhile_is_not_overwritten_and_the_draft_is_kept(
        self, editor: AgentEditor, path: Path
    ) -> None:
        shown = controls(editor)
        shown["model"].value = "opus"
        path.write_text(FILE.replace("You read code.", "You read <b>prose</b>."))
        shown["Save"].click()

        assert "model: sonnet" in path.read_text()
        assert editor.agent.model == "opus"
        assert path.name in texts(editor)
        with pytest.raises(AgentChangedOnDisk):
            editor.save()

    def test_reading_again_makes_the_edits_on_what_the_file_holds_now(self, editor: AgentEditor, path: Path) -> None:
        shown = controls(editor)
        shown["model"].value = "opus"
        path.write_text(FILE.replace("You read code.", "You read prose."))
        editor.reread()
        editor.save()

        assert shown["Prompt"].value == editor.saved.prompt
        assert "model: opus" in path.read_text()
        assert "You read prose." in path.read_text()

    def test_reading_again_names_the_fields_that_both_sides_changed(self, editor: AgentEditor, path: Path) -> None:
        shown = controls(editor)
        shown["model"].value = shown["name"].value = "opus"
        path.write_text(FILE.replace("model: sonnet", "model: haiku"))
        shown["Save"].click()
        shown["Read the file again, keep my edits"].click()

        assert (editor.saved.model, editor.agent.model) == ("haiku", "opus")
        assert "Both it and you changed: model." in texts(editor)

    def test_a_message_goes_with_the_next_edit(self, editor: AgentEditor) -> None:
        shown = controls(editor)
        shown["model"].value = "opus"
        shown["Save"].click()
        said = "Saved." in texts(editor)
        shown["model"].value = "haiku"

        assert said
        assert "Saved." not in texts(editor)

    def test_revert_brings_every_control_back(self, editor: AgentEditor) -> None:
        shown = controls(editor)
        shown["tools"].value, shown["hooks"].value, shown["color"].value = "", "a: [", "red"
        shown["Revert"].click()

        assert editor.agent == editor.saved
        assert (shown["tools"].value, shown["hooks"].value, shown["color"].value) == (
            "Read, Grep",
            "",
            ABSENT,
        )

    def test_an_agent_that_came_from_no_file_says_so_when_saved(self) -> None:
        editor = AgentEditor(parse_agent(FILE))
        shown = controls(editor)
        shown["model"].value = "opus"
        shown["Save"].click()

        assert editor.agent.model == "opus"
        assert "workbench-note" in texts(editor)

    def test_problems_follow_the_draft(self, editor: AgentEditor) -> None:
        shown = controls(editor)
        before = texts(editor)
        shown["Remove description from the file"].click()

        assert "<td>error</td>" not in before
        assert "<td>error</td>" in texts(editor)

    def test_hostile_text_is_shown_as_text_everywhere(self, path: Path) -> None:
        editor = AgentEditor(load_agent(path))
        shown = controls(editor)
        shown["description"].value = shown["Prompt"].value = HOSTILE
        editor.edit(name=HOSTILE, color=HOSTILE)

        for page in (texts(editor), editor._repr_mimebundle_()["text/html"]):
            assert "<script" not in page
            assert "<img" not in page
        assert "\n````" in editor._repr_mimebundle_()["text/markdown"]

    def test_bytes_that_are_not_utf8_can_be_shown_and_stay(self, path: Path) -> None:
        path.write_bytes(FILE.encode().replace(b"You read", b"You \xff read"))
        editor = AgentEditor(load_agent(path))
        controls(editor)["model"].value = "opus"
        editor.save()

        assert b"You \xff read" in path.read_bytes()
        assert "�" in controls(editor)["Prompt"].value

    def test_fast_edits_from_two_threads_lose_none(self, editor: AgentEditor) -> None:
        shown = controls(editor)

        def type_into(label: str, text: str) -> None:
            for end in range(1, len(text) + 1):
                shown[label].value = text[:end]

        threads = [
            threading.Thread(target=type_into, args=("name", "a-name-of-some-length")),
            threading.Thread(target=type_into, args=("initialPrompt", "a prompt of some length")),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert editor.agent.name == "a-name-of-some-length"
        assert editor.agent.initial_prompt == "a prompt of some length"


class TestStaticTwin:
    def test_a_headless_run_builds_no_widget(self, editor: AgentEditor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
        panel = TrialPanel(editor, [Task(id="one", input="Why?")], place=OFFLINE)

        for view in (editor, panel):
            assert set(view._repr_mimebundle_()) == {"text/html", "text/markdown", "text/plain"}
        assert editor._view is None
        assert panel._view is None

    def test_a_live_kernel_gets_the_widget_beside_the_twin(self, editor: AgentEditor) -> None:
        assert set(editor._repr_mimebundle_()) >= {WIDGET, "text/html", "text/markdown", "text/plain"}

    def test_the_twin_is_the_same_in_two_runs(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(path.parent)
        one, two = (AgentEditor(load_agent(path.name)) for _ in range(2))
        for editor in (one, two):
            editor.edit(model="opus")

        for kind in ("text/html", "text/markdown", "text/plain"):
            assert one._repr_mimebundle_()[kind] == two._repr_mimebundle_()[kind]
            assert str(path.parent) not in one._repr_mimebundle_()[kind]


class Model:
    """Answers in place of `start_trial`: each trial waits until it is told what to do next."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.steps: list[list[Any]] = []

    def __call__(self, request: Request, **options: Any) -> Started[Trial]:
        import asyncio

        self.asked.append({"request": request, **options})
        script = self.steps.pop(0) if self.steps else ["Hello."]

        async def answer() -> Trial:
            text = ""
            trial = Trial(
                variant=options["variant"],
                task_id=options["task_id"],
                repeat=0,
                request=request,
                place=options["place"],
            )
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
TASK = Task(id="one", input="Which?", group="g", graders=(GraderSpec(name="mentions", label="says"),))


def says(*, word: str = "Hello") -> Callable[..., Any]:
    from workbench.trial.trial import Score

    return lambda task, reply: Score(value=float(word in reply.text), explanation=f"{word} <b>wanted</b>")


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def panel(editor: AgentEditor, model: Model) -> Iterator[TrialPanel]:
    panel = TrialPanel(editor, [TASK], graders={"mentions": says}, place=OFFLINE, start=model)
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
        assert all("OFFLINE STAND-IN" in view.place and view.is_stand_in for view in columns(panel))
        assert "no model answered" in columns(panel)[0].meter
        assert all("STAND-IN" in panel._repr_mimebundle_()[kind] for kind in ("text/html", "text/markdown"))

    def test_stop_keeps_what_came(self, panel: TrialPanel, model: Model) -> None:
        came = threading.Event()
        model.steps = [["Half of", lambda options: came.set(), FOREVER]]
        shown = controls(panel)
        shown["Run"].click()
        assert came.wait(10)
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
        assert panel._columns[0]._pieces == ["Hello again."]

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
        panel = TrialPanel(editor, [TASK], graders={}, place=OFFLINE, start=model)
        controls(panel)["Run"].click()

        assert "mentions" in texts(panel)
        assert model.asked == []

    def test_agents_by_name_are_tried_as_given(self, model: Model) -> None:
        agents = {"long": Agent(name="a", prompt="Long."), "short": Agent(name="a", prompt="Short.")}
        panel = TrialPanel(agents, place=OFFLINE, start=model)
        panel.run("Why?", ["short"])
        (trial,) = panel.wait()

        assert trial.variant == "short"

    def test_a_panel_shown_late_shows_what_came_before(self, panel: TrialPanel) -> None:
        panel.run(TASK)
        panel.wait()

        assert [view.text for view in columns(panel)] == ["Hello."]
