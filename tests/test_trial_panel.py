"""The trial panel by its public methods: what it asks, what it takes before, what is left of it as a notebook."""

from __future__ import annotations

import html
import importlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets
import pytest
from ipywidgets.widgets.widget import _instances

from tests.messages_server import MessagesServer
from workbench.definition.agent import Agent
from workbench.definition.files import load_agent
from workbench.definition.resolved import resolve_model
from workbench.errors import FileError, PlanError
from workbench.grading.catalogue import standard
from workbench.headless.notebook import run_notebook
from workbench.runs.frozen import Asked
from workbench.runs.settings import Mode
from workbench.runs.start import start_planned
from workbench.runs.trying import Trying
from workbench.trial.record import load_run
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Endpoint
from workbench.widgets.editor import AgentEditor
from workbench.widgets.panel_pages import html_page, markdown_page
from workbench.widgets.panel_view import SHOWN_OF_QUESTION
from workbench.widgets.reply import ReplyView
from workbench.widgets.trials import TrialPanel

OFFLINE = Endpoint(kind="offline", base_url="http://offline.invalid")
GRADED = Task(
    id="graded",
    input="Which load?",
    graders=(GraderSpec(name="mentions", promise="says", options={"any": ["load"], "anywhere": True}),),
)
BRACES = Task(id="braces", input="What is {{ this }} {% endraw %}?", context="{# kept #}")
HOSTILE = "<b>bold</b> \x1b[31mred ``` \u202e"
AGENTS = {"long": Agent(name="a", prompt="Long."), "short": Agent(name="a", prompt="Short.")}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def editor(project: Path) -> AgentEditor:
    path = project / "agents" / "reviewer.md"
    path.parent.mkdir()
    path.write_text("---\nname: reviewer\ndescription: Reads\nmodel: sonnet\n---\n\nYou read code.\n")
    return AgentEditor(load_agent(path))


def controls(view: Any) -> dict[str, Any]:
    found = {getattr(view, "description", ""): view}
    for child in getattr(view, "children", ()):
        found.update(controls(child))
    return found


def widgets_of(view: Any, kind: type[Any]) -> list[Any]:
    found = [view] if isinstance(view, kind) else []
    return found + [each for child in getattr(view, "children", ()) for each in widgets_of(child, kind)]


def keys(trials: Any) -> set[str]:
    return {trial.key for trial in trials}


def cells(notebook: Path) -> list[dict[str, Any]]:
    return list(json.loads(notebook.read_text(encoding="utf-8"))["cells"])


def printed(notebook: Path, cell_id: str) -> str:
    (cell,) = (cell for cell in cells(notebook) if cell["id"] == cell_id)
    return "".join("".join(output["text"]) for output in cell["outputs"])


def columns(panel: TrialPanel) -> list[ReplyView]:
    [replies] = [box for box in panel._open_view().children if "workbench-replies" in getattr(box, "_dom_classes", ())]
    return [child for child in replies.children if isinstance(child, ReplyView)]


def pages(panel: TrialPanel) -> tuple[str, str]:
    return html_page(panel.trials, title=repr(panel)), markdown_page(panel.trials, title=repr(panel))


class TestEstimate:
    def test_it_says_calls_tokens_cost_and_what_could_be_seen(self) -> None:
        rows = dict(TrialPanel(AGENTS, endpoint=OFFLINE).estimate([GRADED, BRACES], repeats=3).rows())

        assert rows["calls to make"] == "12"
        assert {"input tokens", "output tokens", "USD", "smallest difference"} <= set(rows)

    def test_what_the_ledger_holds_is_counted_only_where_it_is_asked_anew(self) -> None:
        panel = TrialPanel(AGENTS, endpoint=OFFLINE)
        panel.run(GRADED)
        panel.wait()

        assert panel.estimate(GRADED).calls == 0
        assert panel.estimate(GRADED, mode="fresh").calls == 2

    def test_choosing_asks_no_server(self, server: MessagesServer) -> None:
        panel = TrialPanel(AGENTS, [GRADED, BRACES])
        shown = controls(panel._open_view())
        shown["Tasks"].value = ("graded", "braces")
        shown["Repeats"].value = 4
        shown["Effort"].value = "low"

        assert server.bodies == []

    def test_choosing_shows_at_once_what_the_stand_in_takes(self) -> None:
        panel = TrialPanel(AGENTS, [GRADED, BRACES], endpoint=OFFLINE)
        shown = controls(panel._open_view())
        shown["Repeats"].value = 4

        assert "2 variants x 1 task x 4 repeats" in panel.view._estimate.value  # type: ignore[union-attr]

    @pytest.mark.parametrize("what", ["draft", "question"])
    def test_of_an_earlier_text_it_says_so_and_counts_nothing_until_it_is_asked_for(
        self, server: MessagesServer, editor: AgentEditor, what: str
    ) -> None:
        panel = TrialPanel(editor)
        shown = controls(panel._open_view())
        view = panel.view
        assert view is not None

        def change(text: str) -> None:
            if what == "draft":
                editor.edit(prompt=text)
            else:
                shown["Question"].value = text

        editor.edit(prompt="Edited.")
        shown["Question"].value = "Why?"
        change("One.")
        view._show_estimate()
        counted = len(server.bodies)
        assert (view._stale.value, counted) == ("", 2)
        change("Two.")
        assert "Of an earlier text" in view._stale.value
        change("One.")
        assert view._stale.value == ""
        change("Three.")
        assert len(server.bodies) == counted
        view._show_estimate()
        assert view._stale.value == ""

    def test_one_that_comes_after_the_choice_was_changed_is_not_shown(self, server: MessagesServer) -> None:
        panel = TrialPanel(AGENTS, [GRADED])
        shown = controls(panel._open_view())
        view = panel.view
        assert view is not None
        server.fault = lambda _body, _before: setattr(shown["Repeats"], "value", 7) or "ok"  # type: ignore[func-returns-value]
        view._show_estimate()

        assert len(server.bodies) > 0
        assert view._estimate.value == ""


class TestAnew:
    def test_it_says_that_it_pays_once_more_and_what_is_from_the_ledger(self, server: MessagesServer) -> None:
        panel = TrialPanel({"long": AGENTS["long"]}, [GRADED])
        shown = controls(panel._open_view())
        seen = []
        for anew in (False, False, True):
            shown["Ask anew"].value = anew
            shown["Run"].click()
            panel.wait()
            seen.append((columns(panel)[0].status, "is paid once more" in panel.view._note.value, len(server.bodies)))  # type: ignore[union-attr]

        assert seen == [
            ("Answered.", False, 1),
            ("Answered. From the ledger: nothing was sent.", False, 1),
            ("Answered.", True, 2),
        ]
        assert "paid once more" in shown["Ask anew"].tooltip

    def test_the_stand_in_is_said_to_cost_nothing(self) -> None:
        panel = TrialPanel({"long": AGENTS["long"]}, [GRADED], endpoint=OFFLINE)
        shown = controls(panel._open_view())
        shown["Ask anew"].value = True
        shown["Run"].click()
        panel.wait()

        assert "once more" not in panel.view._note.value  # type: ignore[union-attr]


class TestChoice:
    def test_several_tasks_show_the_question_of_none(self) -> None:
        panel = TrialPanel(AGENTS, [GRADED, BRACES], endpoint=OFFLINE)
        shown = controls(panel._open_view())
        of_one = shown["Question"].value
        shown["Tasks"].value = ("graded", "braces")

        assert of_one == "Which load?"
        assert shown["Question"].value == ""
        assert shown["Question"].placeholder.startswith("2 tasks are picked")


class TestRun:
    def test_several_tasks_and_repeats_are_asked_as_planned(self, server: MessagesServer) -> None:
        panel = TrialPanel(AGENTS)
        options: dict[str, Any] = {"model": "haiku", "effort": "low", "repeats": 2}
        panel.run([GRADED, "And this?"], **options)
        trials = panel.wait()

        assert len(trials) == len(server.bodies) == 8
        assert keys(trials) == keys(panel.plan([GRADED, "And this?"], **options).trials(panel.endpoint))
        assert {body["output_config"]["effort"] for body in server.bodies} == {"low"}
        assert {len(view.listing) for view in columns(panel)} == {4}

    def test_variants_with_the_same_request_get_replies_of_their_own(self, server: MessagesServer) -> None:
        panel = TrialPanel({"a": AGENTS["long"], "b": AGENTS["long"].replace(color="red")})
        panel.run(GRADED)

        assert len(keys(panel.wait())) == 2

    def test_an_earlier_version_is_tried_by_its_digest(self, server: MessagesServer, editor: AgentEditor) -> None:
        editor.edit(prompt="Tried once.\n")
        panel = TrialPanel(editor)
        panel.run("Why?")
        panel.wait()
        editor.edit(prompt="Another.\n")
        earlier = [name for name in panel.versions.values() if name != editor.saved.digest[:8]]
        panel.run("Why?", earlier)

        assert [trial.request.system.strip() for trial in panel.wait()] == ["Tried once."]

    def test_the_last_commit_is_an_earlier_version_too(self, server: MessagesServer, editor: AgentEditor) -> None:
        assert editor.saved.path is not None
        folder, before = editor.saved.path.parent, editor.saved.prompt
        git = ("git", "-c", "user.name=author", "-c", "user.email=author@localhost")
        for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "An agent"]):
            subprocess.run([*git, *command], cwd=folder, check=True, capture_output=True)
        editor.edit(prompt="Saved since.\n")
        editor.save()
        panel = TrialPanel(editor)
        shown = controls(panel._open_view())
        shown["Earlier versions"].click()
        shown["Versions"].value = ("git",)
        shown["Question"].value = "Why?"
        shown["Run"].click()

        assert {trial.variant: trial.request.system.strip() for trial in panel.wait()} == {
            "disk": "Saved since.",
            "git": before.strip(),
        }

    def test_a_refused_request_is_readable_and_the_rest_is_not_asked(self, server: MessagesServer) -> None:
        server.fault = lambda body, before: "401"
        panel = TrialPanel({"long": AGENTS["long"]})
        panel.run([GRADED, "And this?"])
        panel.wait()

        assert "authentication_error" in columns(panel)[0].trouble
        assert len(server.bodies) == 1

    def test_a_variant_whose_model_nobody_knows_leaves_the_others(self, server: MessagesServer) -> None:
        server.fault = lambda body, _: "404" if body["model"] == "nobodys-model" else "ok"
        panel = TrialPanel(AGENTS)
        panel.run([GRADED, "And this?"], model=["nobodys-model", "haiku"])
        trials = panel.wait()

        assert {trial.variant for trial in trials} == {"long on haiku", "short on haiku"}
        assert [trial.outcome for trial in trials] == ["answered"] * 4
        assert ["not_found_error" in view.trouble for view in columns(panel)] == [True, False, True, False]

    def test_a_grader_that_raises_is_readable_in_the_column(self) -> None:
        def broken() -> Any:
            return lambda task, reply: 1 / 0

        panel = TrialPanel(
            {"long": AGENTS["long"]}, graders={**standard(), "mentions": lambda **_: broken()}, endpoint=OFFLINE
        )
        panel.run(GRADED)
        panel.wait()

        assert columns(panel)[0].scores == [
            ["says", "no score", "the grader raised ZeroDivisionError: division by zero"]
        ]
        assert not columns(panel)[0].is_running

    def test_what_is_no_score_is_readable_in_the_column(self) -> None:
        panel = TrialPanel(
            {"long": AGENTS["long"]}, graders={"mentions": lambda **_: lambda _task, _reply: 85}, endpoint=OFFLINE
        )
        panel.run(GRADED)
        panel.wait()

        assert columns(panel)[0].trouble.startswith(
            "the grader 'mentions' of the promise 'says' gave 85, of type int, for a reply"
        )
        assert not columns(panel)[0].is_running


class TestPage:
    def test_a_run_leaves_no_widget_behind_in_the_kernel(self) -> None:
        panel = TrialPanel(AGENTS, [GRADED], endpoint=OFFLINE)
        panel._open_view()
        counts = []
        for _ in range(4):
            panel.run(GRADED)
            panel.wait()
            counts.append(len(_instances))

        assert len(set(counts)) == 1

    def test_nobody_is_asked_whom_the_page_did_not_name(
        self, monkeypatch: pytest.MonkeyPatch, server: MessagesServer
    ) -> None:
        monkeypatch.delenv("ANTHROPIC_BASE_URL")
        panel = TrialPanel(AGENTS, [GRADED])
        shown = controls(panel._open_view())
        view = panel.view
        assert view is not None
        assert "OFFLINE STAND-IN" in view._endpoint.value
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        shown["Run"].click()
        assert (server.bodies, panel.trials) == ([], ())
        assert f"Answered by the server at {server.url}." in view._endpoint.value
        assert "press Run again" in view._note.value
        shown["Run"].click()
        panel.wait()

        assert len(server.bodies) == 2
        assert "press Run again" not in view._note.value

    def test_the_page_names_who_would_answer_at_every_choice(
        self, monkeypatch: pytest.MonkeyPatch, server: MessagesServer
    ) -> None:
        monkeypatch.delenv("ANTHROPIC_BASE_URL")
        panel = TrialPanel(AGENTS, [GRADED])
        shown = controls(panel._open_view())
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        shown["Repeats"].value = 2

        assert f"Answered by the server at {server.url}." in panel.view._endpoint.value  # type: ignore[union-attr]

    def test_a_price_is_no_formula(self) -> None:
        text = "$5 a month or $50 a year"
        panel = TrialPanel({text: Agent(name="a", prompt=f"It is {text}.")}, [GRADED], endpoint=OFFLINE)
        view = panel._open_view()
        panel.run(text)
        panel.wait()
        panel.view._show_estimate()  # type: ignore[union-attr]
        panel.view._say(text)  # type: ignore[union-attr]
        parts = [*widgets_of(view, ipywidgets.HTML), *widgets_of(view, ipywidgets.Checkbox)]
        shown = [part.value if isinstance(part, ipywidgets.HTML) else part.description for part in parts]
        with_price = [each for each in shown if "$5" in each]

        assert len(with_price) == 5
        assert all(re.match(r'<(div|span) class="tex2jax_ignore mathjax_ignore"[ >]', each) for each in with_price)
        tick, _anew = widgets_of(view, ipywidgets.Checkbox)
        assert (tick.description_allow_html, tick.tooltip) == (True, text)

    def test_a_column_names_its_model(self, server: MessagesServer) -> None:
        panel = TrialPanel({"long": AGENTS["long"]})
        panel.run(GRADED, model=["haiku", "opus"])
        panel.wait()

        assert [view.endpoint for view in columns(panel)] == [
            f"{trial.request.model}, server at {server.url}" for trial in panel.trials
        ]

    def test_a_task_is_listed_once_by_its_group_and_by_how_its_question_begins(self) -> None:
        tasks = [
            Task(id="description-1", input="Look  at\nthis: is it right?", group="description"),
            Task(id="port", input="x" * (SHOWN_OF_QUESTION + 1), group="shell"),
        ]
        listed = controls(TrialPanel(AGENTS, tasks, endpoint=OFFLINE)._open_view())["Tasks"].options

        assert [name for name, _ in listed[1:]] == [
            "description-1: Look at this: is it right?",
            f"shell: port: {'x' * SHOWN_OF_QUESTION}…",
        ]


class TestReplies:
    def test_an_answer_carries_all_that_was_said(self, server: MessagesServer) -> None:
        panel = TrialPanel(AGENTS)
        panel.run(GRADED)
        panel.wait()
        panel.reply_to("short", "A thousand a second.")
        panel.wait()

        assert [message["role"] for message in server.bodies[-1]["messages"]] == ["user", "assistant", "user"]
        assert server.bodies[-1]["messages"][1]["content"] == panel.trials[1].reply.text  # type: ignore[union-attr]
        assert dict(panel.trials[-1].scores) == {}
        assert len(server.bodies) == 3
        for page in pages(panel):
            assert "short on graded: Answered." in page
            assert "short on graded, answer 1: Answered." in page

    def test_what_nobody_said_cannot_be_answered(self) -> None:
        panel = TrialPanel(AGENTS, endpoint=OFFLINE)

        with pytest.raises(PlanError, match="run it first"):
            panel.reply_to("short", "Yes.")

    def test_an_earlier_trial_can_be_read_in_full(self) -> None:
        panel = TrialPanel({"long": AGENTS["long"]}, endpoint=OFFLINE)
        panel.run([GRADED, "And this?"])
        panel.wait()
        (view,) = columns(panel)
        sent: list[Any] = []
        view.send = sent.append  # type: ignore[method-assign]
        for number in (0, 7):
            view._handle_custom_msg({"event": "open", "number": number}, [])

        assert [message["opened"]["text"] for message in sent] == [panel.trials[0].reply.text]  # type: ignore[union-attr]
        assert sent[0]["opened"]["title"] == "graded, repeat 0: Answered."
        assert view.asked == "typed"

    def test_what_was_paid_in_all_stands_beside_what_the_reply_took(self, server: MessagesServer) -> None:
        panel = TrialPanel({"long": AGENTS["long"]})
        panel.run(GRADED)
        panel.wait()
        first = columns(panel)[0].meter
        server.fault = lambda _, before: "cut" if before == 1 else "ok"
        panel.run(GRADED, mode="fresh")
        (trial,) = panel.wait()
        assert trial.paid is not None and trial.paid.usd is not None
        meter = columns(panel)[0].meter

        assert "11 tokens in · 7 tokens out" in first
        assert "paid" not in first
        assert trial.paid.attempts == 3
        assert f"paid in 3 requests: {trial.paid.tokens:,} tokens, {trial.paid.usd:.4f} USD" in meter
        assert trial.paid.tokens > 2 * (11 + 7)

    def test_what_a_trial_without_a_reply_may_have_cost_is_said(self, server: MessagesServer) -> None:
        panel = TrialPanel({"long": AGENTS["long"]})
        meters = []
        for fault, question in (("html", "One?"), ("413", "Two?")):
            server.fault = lambda _, __, fault=fault: fault  # type: ignore[misc]
            panel.run(question)
            (trial,) = panel.wait()
            assert (trial.reply, trial.outcome) == (None, "failed")
            meters.append(columns(panel)[0].meter)

        assert meters == ["paid in 1 request: 0 tokens, 0.0000 USD, and what 1 request took that broke off", ""]

    def test_one_variant_is_stopped_and_the_other_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORKBENCH_OFFLINE_TOKENS_PER_SECOND", "500")
        panel = TrialPanel(AGENTS, endpoint=OFFLINE)
        panel.run(GRADED)
        columns(panel)[0]._handle_custom_msg({"event": "stop"}, [])

        assert panel.wait()[-1].outcome == "answered"
        assert columns(panel)[0].status.startswith("Stopped")

    def test_half_a_character_can_be_sent_to_a_page(self) -> None:
        assert ReplyView(text="half \ud83d", trouble="\udfff").get_state(["text", "trouble"]) == {
            "text": "half �",
            "trouble": "�",
        }

    def test_the_page_is_given_the_exact_request_without_a_key(
        self, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "k-very-private-1")
        panel = TrialPanel({"long": AGENTS["long"]})
        panel.run(GRADED)
        panel.wait()
        (view,) = columns(panel)
        view._handle_custom_msg({"event": "exchange"}, [])

        assert json.loads(view.request) == server.bodies[0]
        assert json.loads(view.response)["reply"]["stop_reason"] == "end_turn"
        assert "k-very-private-1" not in view.request + view.response


class TestFreeze:
    def test_the_notebook_asks_the_same_and_pays_nothing(
        self, server: MessagesServer, editor: AgentEditor, project: Path
    ) -> None:
        editor.edit(prompt="You are terse.\n")
        panel = TrialPanel(editor)
        panel.run([GRADED, BRACES, "Typed?"], model="haiku", effort="low", repeats=2)
        asked = keys(panel.wait())
        paid = len(server.bodies)
        left = run_notebook(panel.freeze(project / "outputs" / "f.ipynb"), out=project / "out", progress=False)

        assert keys(load_run(left.notebook).trials) == asked
        assert len(server.bodies) == paid == 12
        assert sorted(file.name for file in (project / "outputs").glob("f.*")) == [
            "f.1-disk.md",
            "f.2-draft.md",
            "f.ipynb",
            "f.tasks.jsonl",
        ]

    def test_all_that_was_tried_is_frozen_with_its_texts(
        self, server: MessagesServer, editor: AgentEditor, project: Path
    ) -> None:
        panel = TrialPanel(editor)
        asked = []
        for prompt, task, settings in (
            ("One.\n", GRADED, {"model": "haiku"}),
            ("Two.\n", BRACES, {"repeats": 2}),
            ("Two.\n", BRACES, {"repeats": 2}),
        ):
            editor.edit(prompt=prompt)
            panel.run(task, **settings)  # type: ignore[arg-type]
            panel.wait()
            if task is GRADED:
                panel.reply_to("draft", "A thousand.")
                panel.wait()
            asked.append(keys(panel.trials))
        paid = len(server.bodies)
        notebook = panel.freeze(project / "outputs" / "f.ipynb")
        assert editor.saved.path is not None
        editor.saved.path.write_text("---\nname: reviewer\ndescription: Other\n---\n\nAnother text.\n")
        left = run_notebook(notebook, out=project / "out", progress=False)

        before = load_run(project / "out" / "before-1")
        assert keys(load_run(left.notebook).trials) == asked[1] == asked[2]
        assert keys((*before.trials, *before.follow_ups)) == asked[0]
        assert len(server.bodies) == paid == 2 + 1 + 4
        assert len(list((project / "out").glob("before-*"))) == 1, "what was only repeated is tried once"
        assert "# as 'agents/reviewer.md' was" in "".join(cells(notebook)[1]["source"])

    def test_the_command_that_is_printed_runs_the_notebook(
        self, server: MessagesServer, editor: AgentEditor, project: Path
    ) -> None:
        panel = TrialPanel(editor, [GRADED])
        shown = controls(panel._open_view())
        shown["Run"].click()
        asked = keys(panel.wait())
        shown["Freeze"].click()
        paid = len(server.bodies)
        note = html.unescape(panel.view._note.value)  # type: ignore[union-attr]
        assert "workbench-done" in note
        command = note[note.index("cd ") : note.index("</div>")]
        run_here = command.replace("workbench run", f"{sys.executable} -m workbench run")
        done = subprocess.run(run_here, shell=True, cwd="/", capture_output=True, text=True)

        assert " && workbench run outputs/frozen-1.ipynb --out outputs/frozen-1" in command
        assert done.returncode == 0, done.stderr
        assert keys(load_run(project / "outputs" / "frozen-1").trials) == asked
        assert len(server.bodies) == paid == 1

    def test_several_models_make_a_variant_of_each(
        self, server: MessagesServer, editor: AgentEditor, project: Path
    ) -> None:
        editor.edit(prompt="You are terse.\n")
        panel = TrialPanel(editor)
        panel.run([GRADED], model=["haiku", "sonnet", "haiku"])
        asked = panel.wait()
        paid = len(server.bodies)
        left = run_notebook(panel.freeze(project / "outputs" / "m.ipynb"), out=project / "out", progress=False)

        models = {trial.variant: trial.request.model for trial in asked}
        assert list(models) == ["disk on haiku", "disk on sonnet", "draft on haiku", "draft on sonnet"]
        assert ["haiku" in model for model in models.values()] == [True, False, True, False]
        assert keys(load_run(left.notebook).trials) == keys(asked)
        assert len(server.bodies) == paid == 4
        assert editor.agent.model == "sonnet"

    def test_the_calls_ask_the_same(self, server: MessagesServer, editor: AgentEditor) -> None:
        editor.edit(prompt="You are terse.\n")
        panel = TrialPanel(editor)
        panel.run([GRADED, BRACES], repeats=2)
        asked = keys(panel.wait())
        paid = len(server.bodies)
        names: dict[str, Any] = {}
        exec(panel.calls, names)

        assert keys(names["run"].trials) == asked
        assert len(server.bodies) == paid

    def test_what_the_stand_in_answered_is_never_asked_of_a_model(self) -> None:
        panel = TrialPanel(AGENTS, endpoint=OFFLINE)
        panel.run("Why?")
        panel.wait()

        assert "live=False" in panel.calls

    def test_graders_of_a_module_are_frozen_and_others_are_named(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (project / "our_graders.py").write_text(
            'import workbench as wb\n\ndef praises():\n    return lambda task, reply: wb.Score(value=1.0, explanation="")\n'
        )
        monkeypatch.syspath_prepend(project)
        praises = importlib.import_module("our_graders").praises
        ours = replace(GRADED, graders=(*GRADED.graders, GraderSpec(name="praises", promise="praises")))
        theirs = replace(ours, graders=(*ours.graders, GraderSpec(name="typed_in_a_cell", promise="typed")))
        graders = {**standard(), "praises": praises, "typed_in_a_cell": lambda: praises()}
        panel = TrialPanel(AGENTS, graders=graders, endpoint=OFFLINE)
        panel.run(theirs)
        asked = keys(panel.wait())
        notebook = panel.freeze(project / "f.ipynb")
        left = run_notebook(notebook, out=project / "out", progress=False)
        trials = load_run(left.notebook).trials

        assert keys(trials) == asked
        assert set(trials[0].scores) == {"says", "praises"}
        assert "typed_in_a_cell" in json.loads(notebook.read_text())["cells"][0]["source"][-1]

    def test_answers_to_replies_are_asked_the_same_even_if_the_tasks_were_answered_anew(
        self, server: MessagesServer, project: Path
    ) -> None:
        panel = TrialPanel(AGENTS)
        panel.run([GRADED, "Typed?"], repeats=2)
        panel.wait()
        for variant, text in (
            ("short", 'A "thousand"\u2028a second.'),
            ("long", HOSTILE),
            ("short", "And {{ then }}?"),
        ):
            server.pieces = [f"Reply {len(server.bodies)}: ", HOSTILE]
            panel.reply_to(variant, text)
            panel.wait()
        follow_ups = [trial for trial in panel.trials if len(trial.request.messages) > 1]
        notebook = panel.freeze(project / "outputs" / "f.ipynb")
        server.pieces = ["Another reply."]
        panel.run([GRADED, "Typed?"], repeats=2, mode="fresh")
        asked = keys(panel.wait())
        paid = len(server.bodies)
        left = run_notebook(notebook, out=project / "out", progress=False)
        run = load_run(left.notebook)

        assert len(server.bodies) == paid == 8 + 3 + 8
        assert keys(run.trials) == asked
        assert [len(trial.request.messages) for trial in run.follow_ups] == [3, 3, 5]
        assert keys(run.follow_ups) == keys(follow_ups)
        assert {(trial.task_id, trial.repeat) for trial in run.follow_ups} == {("typed", 1)}
        assert "<b>" not in "".join(
            "".join(output.get("data", {})) for cell in cells(left.notebook) for output in cell.get("outputs", ())
        )
        assert "\x1b" not in printed(left.notebook, "answers")
        assert repr(HOSTILE) in printed(left.notebook, "answers")

    def test_the_calls_say_the_same_to_the_replies(self, server: MessagesServer) -> None:
        panel = TrialPanel(AGENTS)
        panel.run(GRADED)
        panel.wait()
        for text in ("A thousand a second.", "And then?"):
            panel.reply_to("short", text)
            panel.wait()
        paid = len(server.bodies)
        names: dict[str, Any] = {}
        exec(panel.calls, names)

        assert "run = wb.answer_reply(run, 'And then?', variant='short', task_id='graded', repeat=0)" in panel.calls
        assert keys((*names["run"].trials, *names["run"].follow_ups)) == keys(panel.trials)
        assert len(server.bodies) == paid == 4

    def test_an_answer_to_half_a_reply_is_asked_the_same(self, server: MessagesServer, project: Path) -> None:
        came = threading.Event()

        def start(trial: Any, *, on_text: Any, **settings: Any) -> Any:
            return start_planned(trial, on_text=lambda piece: (on_text(piece), came.set()), **settings)

        panel = TrialPanel({"long": AGENTS["long"]}, start=start)
        server.seconds_a_piece = 5.0
        panel.run(GRADED)
        assert came.wait(30)
        panel.stop()
        panel.wait()
        server.seconds_a_piece = 0.0
        panel.reply_to("long", "Shorter, please.")
        stopped, answered = panel.wait()
        left = run_notebook(panel.freeze(project / "outputs" / "f.ipynb"), out=project / "out", progress=False)
        names: dict[str, Any] = {}
        exec(panel.calls, names)

        assert stopped.outcome == "stopped"
        assert "reply='First, '" in panel.calls
        assert keys(load_run(left.notebook).follow_ups) == keys(names["run"].follow_ups) == {answered.key}
        sent = [len(body["messages"]) for body in server.bodies if "max_tokens" in body]
        assert sent == [1, 3, 1], "what was stopped is asked anew, the answer to it is not"

    def test_an_answer_that_failed_is_said_again_and_frozen_once(self, server: MessagesServer, project: Path) -> None:
        panel = TrialPanel({"long": AGENTS["long"]})
        panel.run(GRADED)
        panel.wait()
        for fault, text in (("413", "Too long."), ("401", "Refused."), ("ok", "In short.")):
            server.fault = lambda _, __, fault=fault: fault  # type: ignore[misc]
            panel.reply_to("long", text)
            panel.wait()
            assert columns(panel)[0].can_answer
        left = run_notebook(panel.freeze(project / "outputs" / "f.ipynb"), out=project / "out", progress=False)

        assert [answer.text for answer in panel.answers] == ["In short."]
        assert [trial.key for trial in load_run(left.notebook).follow_ups] == [panel.trials[-1].key]
        assert len(server.bodies) == 4

    def test_a_key_in_an_answer_is_not_written(self, project: Path) -> None:
        panel = TrialPanel(AGENTS, endpoint=OFFLINE)
        panel.run(GRADED)
        panel.wait()
        panel.reply_to("short", "It is sk-ant-api03-0123456789abcdef.")
        panel.wait()

        with pytest.raises(FileError, match="would hold a key; take it out of the agent, the question or the answer"):
            panel.freeze(project / "f.ipynb")
        assert not list(project.glob("f.*"))

    def test_nothing_is_written_over(self, project: Path) -> None:
        panel = TrialPanel(AGENTS, endpoint=OFFLINE)
        panel.run("Why?")
        panel.wait()
        panel.freeze(project / "f.ipynb")

        with pytest.raises(FileError, match="is there already"):
            panel.freeze(project / "f.ipynb")

    def test_a_key_in_the_question_is_not_written(self, project: Path) -> None:
        panel = TrialPanel(AGENTS, endpoint=OFFLINE)
        panel.run("What is sk-ant-api03-0123456789abcdef?")
        panel.wait()

        with pytest.raises(FileError, match="would hold a key"):
            panel.freeze(project / "f.ipynb")
        assert not list(project.glob("f.*"))

    def test_before_a_run_there_is_nothing_to_freeze(self, project: Path) -> None:
        with pytest.raises(PlanError, match="nothing was run"):
            TrialPanel(AGENTS, endpoint=OFFLINE).freeze(project / "f.ipynb")


def test_a_very_long_reply_is_cut_where_there_is_no_widget(server: MessagesServer) -> None:
    server.pieces = ["x" * 60_000]
    panel = TrialPanel({"long": AGENTS["long"]})
    panel.run("Why?")
    panel.wait()

    assert len(panel.trials[0].reply.text) == 60_000  # type: ignore[union-attr]
    for page in pages(panel):
        assert "[10,000 more characters]" in page
        assert len(page) < 55_000


def test_without_a_browser_there_is_no_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    panel = TrialPanel(AGENTS, endpoint=OFFLINE)
    panel.run("Why?")
    panel.wait()

    assert set(panel._repr_mimebundle_()) == {"text/plain", "text/html", "text/markdown"}
    assert panel.view is None


class TestOnePanelOfAFile:
    """A cell that is run again, as Run All Cells does."""

    def test_goes_on_with_the_replies_that_are_there_and_offers_the_tasks_of_now(
        self, editor: AgentEditor, server: MessagesServer
    ) -> None:
        panel = TrialPanel(editor, [GRADED])
        box = panel._open_view()
        panel.run(GRADED)
        panel.wait()
        paid = len(server.bodies)
        other = Task(id="other", input="Something else?")

        again = TrialPanel(AgentEditor(load_agent(editor.saved.path)), [GRADED, other])

        assert again._open_view() is box
        assert [trial.key for trial in again.trials] == [trial.key for trial in panel.trials]
        assert [value for _, value in controls(box)["Tasks"].options[1:]] == [GRADED.id, "other"]
        assert len(server.bodies) == paid

    def test_another_ledger_or_grader_makes_another(self, editor: AgentEditor) -> None:
        panel = TrialPanel(editor, [GRADED], endpoint=OFFLINE)

        assert TrialPanel(editor, [GRADED]).trying is not panel.trying


class TestVerdict:
    def test_file_and_draft_are_compared_where_both_came_to_the_end(self, editor: AgentEditor) -> None:
        panel = TrialPanel(editor, [GRADED], endpoint=OFFLINE)
        panel.run(GRADED, repeats=2)
        panel.wait()
        assert panel.comparison is None  # the draft is what the file says: there is one variant
        editor.edit(prompt="You read code, and ask a clarifying question first.\n")
        panel.run(GRADED, repeats=2)
        panel.wait()

        assert panel.comparison is not None
        assert panel.comparison.baseline == "disk"
        assert [(trial.variant, trial.repeat) for trial in panel.comparison.run.trials] == [
            ("disk", 0),
            ("disk", 1),
            ("draft", 0),
            ("draft", 1),
        ]

    def test_what_is_shown_says_when_the_draft_has_moved_on(self, editor: AgentEditor) -> None:
        editor.edit(prompt="One.\n")
        panel = TrialPanel(editor, [GRADED], endpoint=OFFLINE)
        panel._open_view()
        panel.run(GRADED)
        panel.wait()
        view = panel.view
        assert view is not None
        view.look_at_texts()
        assert view._moved_on.value == ""
        editor.edit(prompt="Two.\n")

        assert "was edited since" in view._moved_on.value


class TestRemark:
    """What one should know before one compares the replies."""

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"prompt": "Other.\n", "model": "haiku"}, "differ in more than one thing"),
            ({"prompt": "Other.\n"}, ""),
            ({"model": "haiku"}, ""),
            ({"color": "red"}, "All variants send the same request"),
        ],
    )
    def test_a_change_of_two_things_at_once_is_said(
        self, editor: AgentEditor, changes: dict[str, str], says: str
    ) -> None:
        editor.edit(**changes)
        panel = TrialPanel(editor, [GRADED], endpoint=OFFLINE)
        panel.run(GRADED)
        panel.wait()
        remark = panel.trying.remark(2)

        assert says in remark
        assert bool(says) == bool(remark)

    def test_how_long_the_first_token_took_is_told_once(self, server: MessagesServer) -> None:
        server.seconds_a_piece = 0.3
        panel = TrialPanel({"long": AGENTS["long"]}, [GRADED])
        (view,) = columns_while_running(panel)
        said = []
        view.observe(lambda change: said.append(change["new"]), "meter")
        panel.wait()

        assert len(said) > 1
        assert ["first token" in meter for meter in said[:-1]] == [False] * (len(said) - 1)
        assert "first token" in said[-1]


def columns_while_running(panel: TrialPanel) -> list[ReplyView]:
    panel._open_view()
    panel.run(GRADED)
    return columns(panel)


class TestAnnounced:
    """The line on top says at every moment what the next Run does."""

    def test_names_models_and_counts_and_what_the_ledger_holds(
        self, editor: AgentEditor, server: MessagesServer
    ) -> None:
        panel = TrialPanel(editor, [GRADED])
        panel._open_view()
        view = panel.view
        assert view is not None
        model = resolve_model("sonnet")
        assert f"The next Run asks 1 time: disk of {model}, on 1 task." in view._endpoint.value
        editor.edit(model="haiku")
        view.announce()
        said = f"The next Run asks 2 times: disk of {model}; draft of {resolve_model('haiku')}, on 1 task."
        assert said in view._endpoint.value
        panel.run(GRADED)
        panel.wait()
        view.announce()
        assert "The next Run asks nobody: the ledger holds all 2 replies (1 task)." in view._endpoint.value
        controls(view.box)["Ask anew"].value = True
        assert "All is asked anew, also what the ledger holds." in view._endpoint.value
        controls(view.box)["Tasks"].value = ()
        assert "Run would do nothing: there is no question" in view._endpoint.value
        assert len(server.bodies) == 2

    def test_to_say_what_the_next_run_does_makes_no_ledger(
        self, editor: AgentEditor, server: MessagesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "kept" / "ledger.sqlite"))
        panel = TrialPanel(editor, [GRADED])
        panel._open_view()
        assert panel.view is not None
        assert "The next Run asks 1 time" in panel.view._endpoint.value
        assert not (tmp_path / "kept").exists()
        panel.run(GRADED)
        panel.wait()
        assert (tmp_path / "kept" / "ledger.sqlite").exists()

    def test_what_was_begun_earlier_never_takes_the_place_of_what_is_so_now(
        self, editor: AgentEditor, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        panel = TrialPanel(editor, [GRADED])
        panel._open_view()
        view = panel.view
        assert view is not None
        announce, begun, goes_on = view._trying.announce, threading.Event(), threading.Event()

        def slowly_elsewhere(asked: Asked, *, mode: Mode) -> str:
            said = announce(asked, mode=mode)
            if threading.current_thread().name == "elsewhere":
                begun.set()
                goes_on.wait(60)
            return said

        monkeypatch.setattr(view._trying, "announce", slowly_elsewhere)
        repeats = controls(view.box)["Repeats"]
        elsewhere = threading.Thread(target=lambda: setattr(repeats, "value", 2), name="elsewhere")
        elsewhere.start()
        assert begun.wait(60)
        repeats.value = 3
        goes_on.set()
        elsewhere.join(20)

        assert "on 1 task, 3 times each." in view._endpoint.value

    def test_a_run_that_ends_while_its_beginning_is_shown_can_be_followed_by_another(
        self, editor: AgentEditor, server: MessagesServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        panel = TrialPanel(editor, [GRADED])
        panel._open_view()
        view = panel.view
        assert view is not None
        looked, goes_on = threading.Event(), threading.Event()

        def slowly(trying: Trying) -> str:
            if threading.current_thread().name == "beginning":
                looked.set()
                goes_on.wait(60)
            return ""

        is_running = True
        monkeypatch.setattr(Trying, "is_running", property(lambda _trying: is_running))
        monkeypatch.setattr(Trying, "calls", property(slowly))  # it is read after `is_running`
        beginning = threading.Thread(target=view.refresh, name="beginning")
        beginning.start()
        assert looked.wait(60)
        is_running = False
        end = threading.Thread(target=view.refresh)
        end.start()
        end.join(0.5)
        goes_on.set()
        beginning.join(20)
        end.join(20)

        assert (view._run.disabled, view._stop.disabled) == (False, True)

    def test_follows_a_key_that_a_cell_sets(self, monkeypatch: pytest.MonkeyPatch, server: MessagesServer) -> None:
        monkeypatch.delenv("ANTHROPIC_BASE_URL")
        panel = TrialPanel(AGENTS, [GRADED])
        panel._open_view()
        view = panel.view
        assert view is not None
        assert "OFFLINE STAND-IN" in view._endpoint.value
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        ends = time.monotonic() + 20
        while "OFFLINE STAND-IN" in view._endpoint.value:
            assert time.monotonic() < ends
            time.sleep(0.1)

        assert f"Answered by the server at {server.url}." in view._endpoint.value

    def test_says_before_a_run_what_tasks_without_graders_will_not_show(self, server: MessagesServer) -> None:
        panel = TrialPanel(AGENTS, [BRACES, GRADED, *(replace(BRACES, id=f"also-{number}") for number in (1, 2))])
        view = panel._open_view()
        assert panel.view is not None
        shown = controls(view)
        shown["Tasks"].value = ("braces",)
        assert " on 1 task. No graders: nothing is scored." in panel.view._endpoint.value
        shown["Tasks"].value = ("braces", "also-1", "also-2")
        assert "No graders: it will say how replies differ in length" in panel.view._endpoint.value
        assert ", not which is better (3 tasks show it, " in panel.view._endpoint.value
        shown["Tasks"].value = ("braces", "graded")
        assert "graders" not in panel.view._endpoint.value
        shown["Tasks"].value = ("braces",)
        panel.run(BRACES)
        panel.wait()
        panel.view.announce()

        assert "The next Run asks nobody: the ledger holds all 2 replies (1 task). No graders: nothing is scored." in (
            panel.view._endpoint.value
        )
        assert len(server.bodies) == 2

    @pytest.mark.parametrize(
        ("fields", "is_said"),
        [
            ({}, True),
            ({"tools": ("Read", "Grep")}, True),
            ({"tools": ("mcp__github__search",)}, True),
            ({"tools": ()}, False),
            ({"tools": ("Read",), "disallowed_tools": ("Read",)}, False),
        ],
        ids=["all tools", "some", "of a server", "none", "none that are left"],
    )
    def test_says_that_an_agent_with_tools_is_asked_without_them(
        self, server: MessagesServer, fields: dict[str, Any], is_said: bool
    ) -> None:
        reviewer = Agent(name="reviewer", description="Reviews.", prompt="You read code.")
        agents = {"bare": reviewer.replace(tools=()), "reviewer": reviewer.replace(**fields)}
        panel = TrialPanel(agents, [GRADED])
        panel._open_view()
        assert panel.view is not None

        said = "The agent is asked without its tools: it sees no file of yours." in panel.view._endpoint.value
        assert said is is_said

    def test_names_the_budget_of_the_environment(self, monkeypatch: pytest.MonkeyPatch, server: MessagesServer) -> None:
        panel = TrialPanel(AGENTS, [GRADED])
        panel._open_view()
        view = panel.view
        assert view is not None and "budget" not in view._endpoint.value
        monkeypatch.setenv("WORKBENCH_BUDGET_USD", "0.25")
        view.announce()
        assert "WORKBENCH_BUDGET_USD is set, but not WORKBENCH_BUDGET_SCOPE" in view._endpoint.value
        monkeypatch.setenv("WORKBENCH_BUDGET_SCOPE", "tonight")
        view.announce()

        assert "It asks no more than the budget 'tonight' of 0.2500 USD covers." in html.unescape(view._endpoint.value)

    @pytest.mark.parametrize("befalls", [Path.unlink, lambda path: (path.unlink(), path.mkdir())])
    def test_a_file_that_is_no_more_is_not_tried_as_disk(
        self, editor: AgentEditor, befalls: Callable[[Path], object]
    ) -> None:
        panel = TrialPanel(editor, [GRADED], endpoint=OFFLINE)
        shown = controls(panel._open_view())
        path, view = editor.saved.path, panel.view
        assert path is not None and view is not None
        before = path.read_text()
        befalls(path)
        shown["Run"].click()
        panel.wait()

        assert {trial.variant for trial in panel.trials} == {"draft"}
        assert "The file is gone from the disk, or cannot be read, so only the draft was tried." in view._note.value
        if path.is_dir():
            path.rmdir()
        path.write_text(before)
        assert list(panel.variants) == ["disk"]

    def test_disk_is_what_is_on_disk_then(self, editor: AgentEditor) -> None:
        panel = TrialPanel(editor, [GRADED], endpoint=OFFLINE)
        path = editor.saved.path
        assert path is not None
        path.write_text(path.read_text().replace("You read code.", "You read plans."))
        panel.run(GRADED)
        panel.wait()
        assert panel.trials[0].request.system.strip() == "You read plans."
        editor.edit(model="opus")
        path.write_text(path.read_text().replace("You read plans.", "You read tests."))
        panel.run(GRADED)
        panel.wait()

        assert {trial.variant: trial.request.system.strip() for trial in panel.trials} == {
            "disk": "You read tests.",
            "draft": "You read plans.",
        }
