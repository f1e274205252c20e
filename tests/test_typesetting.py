"""What a model, a persona or a task says is typeset nowhere, and nothing of it is hidden: for every HTML that is shown."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from bs4 import BeautifulSoup

import workbench as wb
from tests.runs import GROUPS, PASSES_A, PASSES_B, make_run, passes
from workbench.definition.agent import Agent
from workbench.headless.page import html_page as page_of_notebook
from workbench.runs.estimate import estimate_plan
from workbench.runs.plan import plan_trials
from workbench.trial.task import Task
from workbench.trial.trial import Run, Score
from workbench.widgets.panel_pages import html_page, markdown_page
from workbench.widgets.trials import TrialPanel

SAID = "$5 a month or $50 a year, \\(x\\) and \\[y\\]\u202e hidden\u2066"
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
AGENT = Agent(name="teller", description=SAID, prompt=f"{SAID}\n")
NOT_OURS = {"Plot"}
"""Shows its description, in which names are quoted, as an attribute: those are not typeset."""


def run() -> Run:
    made = make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)}, groups=GROUPS, text=SAID)
    names = {"base": f"base {SAID}", "draft": f"draft {SAID}"}
    ids = {task.id: f"{task.id} {SAID}" for task in made.tasks}
    trials = [
        trial.replace(
            variant=names[trial.variant],
            task_id=ids[trial.task_id],
            scores={SAID: Score(value=trial.score, explanation=SAID)},
        )
        for trial in made.trials
    ]
    tasks = [replace(task, id=ids[task.id], input=SAID, target=SAID, group=SAID) for task in made.tasks]
    variants = {names[name]: AGENT.replace(prompt=f"{name} {SAID}\n") for name in made.variants}
    return replace(made, variants=variants, tasks=tuple(tasks), trials=tuple(trials))


def compared() -> wb.Comparison:
    found = run()
    return wb.compare(found, baseline=next(iter(found.variants)))


def judged() -> Any:
    first, second = f"a {SAID}", f"b {SAID}"
    pairs = [(first, second), (second, first)]
    return wb.rank_variants(
        wb.Judgement(task_id=f"{number}", first=one, second=other, choice="first")
        for number in range(4)
        for one, other in pairs
    )


def panel() -> Any:
    shown = TrialPanel({"base": AGENT}, [Task(id=SAID, input=SAID)])

    class Filled:
        """The panel as it is left with replies, without asking for them."""

        def _repr_mimebundle_(self) -> dict[str, Any]:
            from workbench.widgets.frame import bundle

            trials = run().trials[:4]
            page = html_page(trials, title=SAID)
            return bundle(page=page, markdown=markdown_page(trials, title=SAID), text=SAID, view=lambda: None)  # type: ignore[arg-type, return-value]

    assert shown._repr_mimebundle_().keys() == Filled()._repr_mimebundle_().keys()
    return Filled()


SHOWN: dict[str, Callable[[], Any]] = {
    "Comparison": compared,
    "Frame": lambda: compared().trials,
    "Changes": lambda: compared().flipped,
    "ReplyPair": lambda: compared().pair(f"task-1 {SAID}"),
    "Review": lambda: wb.review_runs(run(), run()),
    "Plot": lambda: compared().plot("tasks"),
    "Ranking": judged,
    "Estimate": lambda: estimate_plan(
        plan_trials({f"v {SAID}": AGENT}, [Task(id=SAID, input=SAID)], graders={}, repeats=2), live=False, concurrency=2
    ),
    "ResultsTable": lambda: wb.ResultsTable(compared(), wb.Rows(of="trials", text="month")),
    "AgentEditor": lambda: wb.AgentEditor(AGENT),
    "TrialPanel": panel,
}


def shown_of(thing: Any) -> dict[str, str]:
    if hasattr(thing, "_repr_mimebundle_"):
        found = thing._repr_mimebundle_()
        return dict(found[0] if isinstance(found, tuple) else found)
    return {"text/html": thing._repr_html_()}


@pytest.fixture(autouse=True)
def headless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "ledger.sqlite"))


def test_every_class_that_shows_itself_as_html_is_held_to_it() -> None:
    source = Path(wb.__file__).parent
    showing = {
        node.name
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any(getattr(part, "name", "") in ("_repr_html_", "_repr_mimebundle_") for part in node.body)
    }

    assert showing == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_said_is_typeset_nowhere(name: str) -> None:
    page = BeautifulSoup(shown_of(SHOWN[name]())["text/html"], "html.parser")
    texts = [text for text in page.find_all(string=re.compile(r"[$]|\\[\[(]")) if text.find_parent("style") is None]

    assert texts or name in NOT_OURS
    assert [str(text)[:60] for text in texts if text.find_parent(class_="mathjax_ignore") is None] == []
    assert [str(text)[:60] for text in texts if text.find_parent(class_="tex2jax_ignore") is None] == []


@pytest.mark.parametrize("name", SHOWN)
def test_no_character_of_what_is_said_is_hidden(name: str) -> None:
    for kind, text in shown_of(SHOWN[name]()).items():
        if kind.startswith("text/"):
            assert HIDDEN.search(text) is None, kind


def test_the_page_of_an_executed_notebook_hides_no_character() -> None:
    printed = nbformat.v4.new_output("stream", name="stdout", text=SAID)
    shown = nbformat.v4.new_output("display_data", data={"text/html": f"<p title='{SAID}'>{SAID}</p>"})
    document = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("say()", outputs=[printed, shown]), nbformat.v4.new_markdown_cell(SAID)]
    )

    page = page_of_notebook(document, title=SAID)

    assert HIDDEN.search(page) is None
    assert page.count("U+202E") >= 4
