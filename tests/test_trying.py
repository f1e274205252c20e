"""What a panel tries, without a panel: no widget and no kernel."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.definition.agent import Agent, parse_agent
from workbench.errors import PlanError, SetupError, WorkbenchError
from workbench.runs.frozen import Asked, calls_of, next_notebook
from workbench.runs.trying import Trying
from workbench.runs.variant_run import Change, VariantRun
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Endpoint, Failure, Reply, Trial

OFFLINE = Endpoint(kind="offline", base_url="http://offline.invalid")
SERVER = Endpoint(kind="server", base_url="http://127.0.0.1:9")
AGENTS = {"long": Agent(name="a", prompt="Long."), "short": Agent(name="a", prompt="Short.")}
TASK = Task(
    id="one",
    input="Which load?",
    graders=(GraderSpec(name="mentions", promise="says", options={"any": ["load"], "anywhere": True}),),
)


@given(st.text(alphabet=st.sampled_from("a\"\\\n {}'\t\x85é") | st.characters(codec="utf-8")))
def test_the_calls_hold_a_draft_line_by_line_and_byte_by_byte(prompt: str) -> None:
    draft = parse_agent(f"---\nname: a\ndescription: d\n---\n{prompt}")
    asked = {"tasks": (TASK,), "model": None, "effort": None, "repeats": 1, "graders": {}, "ledger": None}
    written = calls_of(Asked(variants={"draft": draft}, endpoint=OFFLINE, **asked))
    [text] = [
        ast.literal_eval(call.args[0])
        for call in ast.walk(ast.parse(written))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "wb.parse_agent"
    ]

    assert text == draft.text
    if all(line.isprintable() for line in prompt.split("\n")) and not set(prompt) & set('"\\'):
        assert f"---\nname: a\ndescription: d\n---\n{prompt}" in written


class Answering:
    """In place of a model: each call is answered by hand, in whatever order."""

    def __init__(self) -> None:
        self.futures: list[Future[Trial]] = []
        self.asked: list[dict[str, Any]] = []

    def __call__(self, trial: Trial, **settings: Any) -> Any:
        future: Future[Trial] = Future()
        self.asked.append({"trial": trial, **settings})
        self.futures.append(future)
        return Stoppable(future)

    def answer(self, number: int, text: str) -> None:
        trial = self.asked[number]["trial"]
        self.futures[number].set_result(trial.replace(reply=Reply(text=text, stop_reason="end_turn")))


class Stoppable:
    def __init__(self, future: Future[Trial]) -> None:
        self._future = future

    def add_done_callback(self, call: Callable[[Future[Trial]], None]) -> None:
        self._future.add_done_callback(call)

    def stop(self) -> None:
        self._future.cancel()
        self._future.set_running_or_notify_cancel()


@pytest.fixture
def model() -> Answering:
    return Answering()


def trying_of(model: Answering, agents: dict[str, Agent] | None = None, endpoint: Endpoint = SERVER) -> Trying:
    return Trying(lambda: agents or AGENTS, endpoint=endpoint, start=model)


def test_variants_are_asked_together_and_the_trials_of_each_in_turn(model: Answering) -> None:
    trying = trying_of(model)
    trying.run(trying.choose(TASK, repeats=2))
    first = [(given["trial"].variant, given["trial"].repeat) for given in model.asked]
    model.answer(0, "Many.")
    model.answer(1, "A load.")
    while len(model.asked) < 4:
        threading.Event().wait(0.01)
    for number in (2, 3):
        model.answer(number, "A load.")
    trials = trying.wait()

    assert first == [("long", 0), ("short", 0)]
    assert [(trial.variant, trial.repeat, trial.score) for trial in trials] == [
        ("long", 0, 0.0),
        ("long", 1, 1.0),
        ("short", 0, 1.0),
        ("short", 1, 1.0),
    ]
    assert not trying.is_running


def test_what_changes_is_told_in_order_with_the_state_of_that_moment(model: Answering) -> None:
    trying = trying_of(model, {"long": AGENTS["long"]})
    seen: list[tuple[Change, str, str]] = []

    def watch(runs: tuple[VariantRun, ...]) -> None:
        (run,) = runs
        run.watch(lambda change: seen.append((change, run.status, "".join(run.pieces))))

    turns: list[bool] = []
    trying.watch(on_begin=watch, on_turn=lambda: turns.append(trying.is_running))
    trying.run(trying.choose(TASK))
    given = model.asked[0]
    given["on_text"]("Hal")
    given["on_retry"](Failure(type="overloaded_error", message="busy"), 2.0)
    given["on_text"]("Whole.")
    model.answer(0, "Whole.")
    trying.wait()

    assert seen == [
        ("asked", "Waiting for the first words.", ""),
        ("text", "Answering.", "Hal"),
        ("again", "overloaded_error: busy. Trying again in 2 s.", ""),
        ("text", "Answering.", "Whole."),
        ("ended", "Answered.", "Whole."),
    ]
    assert turns == [True, False]


def test_a_follow_up_carries_what_was_said_and_is_not_graded(model: Answering) -> None:
    trying = trying_of(model, {"long": AGENTS["long"]})
    trying.run(trying.choose(TASK))
    with pytest.raises(PlanError, match="under way"):
        trying.reply_to("long", "Yes.")
    model.answer(0, "Which load?")
    trying.wait()
    with pytest.raises(PlanError, match="no answer"):
        trying.reply_to("long", "  ")
    trying.reply_to("long", "A thousand.")
    model.answer(1, "Fine.")
    trials = trying.wait()

    assert [turn["content"] for turn in trials[1].request.messages] == ["Which load?", "Which load?", "A thousand."]
    assert (trials[0].scores, dict(trials[1].scores)) != ({}, {})
    assert dict(trials[1].scores) == {}
    assert [answer.text for answer in trying.answers] == ["A thousand."]


def test_stop_ends_it_and_asks_for_no_more(model: Answering) -> None:
    trying = trying_of(model, {"long": AGENTS["long"]})
    trying.run(trying.choose(TASK, repeats=3))
    trying.stop()

    assert trying.wait() == ()
    assert len(model.asked) == 1
    assert trying.runs[0].status == "Stopped before anything was asked."


def test_what_fails_for_every_trial_ends_its_variant_and_says_why(model: Answering) -> None:
    trying = trying_of(model)
    trying.run(trying.choose(TASK, repeats=2))
    model.futures[0].set_exception(SetupError("401: check ANTHROPIC_API_KEY"))
    model.answer(1, "A load.")
    while len(model.asked) < 3:
        threading.Event().wait(0.01)
    model.answer(2, "A load.")
    trials = trying.wait()

    assert [trial.variant for trial in trials] == ["short", "short"]
    assert trying.runs[0].trouble == "401: check ANTHROPIC_API_KEY"


def test_the_choice_is_one_value_with_the_texts_of_its_moment(model: Answering) -> None:
    agents = dict(AGENTS)
    trying = Trying(lambda: agents, endpoint=OFFLINE, start=model)
    asked = trying.choose([TASK, "Typed?", "Again?"], ["short"], model=["haiku", "opus", "haiku"], effort="low")
    agents["short"] = agents["short"].replace(prompt="Changed since.")

    assert list(asked.variants) == ["short on haiku", "short on opus"]
    assert {agent.prompt for agent in asked.variants.values()} == {"Short."}
    assert [task.id for task in asked.tasks] == ["one", "typed", "typed-2"]
    assert trying.estimate(asked).calls == 6
    assert len(trying.plan(asked).trials(OFFLINE)) == 6
    assert model.asked == []


def test_what_is_no_variant_of_the_moment_is_looked_up_by_name(model: Answering) -> None:
    def version(name: str) -> Agent:
        if name != "git":
            raise WorkbenchError(f"there is no version {name!r}")
        return AGENTS["short"]

    trying = Trying(lambda: {"disk": AGENTS["long"]}, version=version, endpoint=OFFLINE, start=model)

    assert list(trying.choose(TASK, ["disk", "draft", "git"]).variants) == ["disk", "git"]
    with pytest.raises(WorkbenchError, match="no version 'f00d'"):
        trying.choose(TASK, ["f00d"])
    with pytest.raises(PlanError, match="nothing to try"):
        trying.choose(TASK, ["draft"])
    with pytest.raises(PlanError, match="no question"):
        trying.choose("  ")


def test_an_estimate_of_the_same_anew_pays_again_and_goes_by_the_replies_there_are() -> None:
    trying = Trying(lambda: AGENTS, endpoint=OFFLINE)
    asked = trying.choose(TASK)
    before = trying.estimate(asked)
    trying.run(asked)
    trying.wait()
    after, again = trying.estimate(asked, mode="fresh"), trying.estimate(asked)

    assert (before.calls, after.calls, after.answered, after.paid_again) == (2, 2, 0, 2)
    assert (again.calls, again.answered, again.brief) == (0, 2, "nothing: all is in the ledger")
    assert "assumed" in before.output_source
    assert "2 replies in the ledger" in after.output_source
    assert after.brief.startswith("2 calls · about ")


def test_a_new_notebook_takes_no_name_that_any_file_has(tmp_path: Path) -> None:
    (tmp_path / "frozen-1.ipynb").touch()
    (tmp_path / "frozen-2.tasks.jsonl").touch()

    assert next_notebook(tmp_path) == tmp_path / "frozen-3.ipynb"


def test_no_widget_is_loaded_for_it() -> None:
    code = (
        "import sys, workbench.runs.trying\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('ipywidgets', 'anywidget', 'IPython')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"
