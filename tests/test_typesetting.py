"""What a model, a persona or a task says is typeset nowhere, and nothing of it is hidden: for every HTML that is shown."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from bs4 import BeautifulSoup
from mistune import create_markdown

import workbench as wb
from tests.runs import GROUPS, PASSES_A, PASSES_B, make_run, passes
from workbench.comparison.agent_versions import AgentVersions, VersionAttempt, compare_versions
from workbench.definition.agent import Agent
from workbench.definition.hunks import Hunk
from workbench.headless.page import html_page as page_of_notebook
from workbench.model.loop import Started
from workbench.routing.asking import MainModel, choose_router, plan_routing
from workbench.routing.change import RoutingChange
from workbench.routing.improving import AS_IT_IS, SealedChoice
from workbench.routing.measured import Routed
from workbench.routing.review import RoutingReview
from workbench.routing.steering import STEERING, Steered
from workbench.runs.estimate import estimate_plan
from workbench.runs.improving import Improvement
from workbench.runs.plan import plan_trials
from workbench.runs.roster import ProjectRoster
from workbench.trial.sealed import split_tasks
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Failure, Reply, Run, Score, Trial
from workbench.widgets.routing import RoutingPanel
from workbench.widgets.trials import TrialPanel

SAID = "$5 a month or $50 a year, \\(x\\) and \\[y\\]\u202e hidden\u2066"
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
NOT_OURS = {"Plot"}
"""Shows its description, in which names are quoted, as an attribute: those are not typeset."""


def agent(said: str) -> Agent:
    return Agent(name="teller", description=said, prompt=f"{said}\n")


def run(said: str) -> Run:
    made = make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)}, groups=GROUPS, text=said)
    names = {"base": f"base {said}", "draft": f"draft {said}"}
    ids = {task.id: f"{task.id} {said}" for task in made.tasks}
    trials = [
        trial.replace(
            variant=names[trial.variant],
            task_id=ids[trial.task_id],
            scores={said: Score(value=trial.score, explanation=said)},
        )
        for trial in made.trials
    ]
    tasks = [replace(task, id=ids[task.id], input=said, target=said, group=said) for task in made.tasks]
    variants = {names[name]: agent(said).replace(prompt=f"{name} {said}\n") for name in made.variants}
    return replace(made, variants=variants, tasks=tuple(tasks), trials=tuple(trials))


def compared(said: str) -> wb.Comparison:
    found = run(said)
    return wb.compare(found, baseline=next(iter(found.variants)))


def judged(said: str) -> Any:
    first, second = f"a {said}", f"b {said}"
    pairs = [(first, second), (second, first)]
    return wb.rank_variants(
        wb.Judgement(task_id=f"{number}", first=one, second=other, choice="first")
        for number in range(4)
        for one, other in pairs
    )


def panel(said: str) -> TrialPanel:
    """Left with replies, one of them from the draft of a price, and one that failed."""

    def answered(trial: Trial, **_: object) -> Started[Trial]:
        async def answer() -> Trial:
            failure = Failure(type="timeout", message=said) if trial.repeat else None
            return trial.replace(reply=Reply(text=said, stop_reason="end_turn", model=said), failure=failure)

        return Started(answer())

    graded = GraderSpec(name="mentions", promise=said, options={"any": [said]})
    task = Task(id=said, input=said, group=said, graders=(graded,))
    shown = TrialPanel({said: agent(said), f"b {said}": agent(said).replace(prompt="x")}, [task], start=answered)
    shown.run(task, repeats=2)
    assert [trial.outcome for trial in shown.wait()] == ["answered", "failed"] * 2
    return shown


def named(said: str) -> str:
    """Commas part the names that a case accepts."""
    return said.replace(",", "")


APPROXIMATED = MainModel(way="approximation")


def rubric(said: str) -> wb.Rubric:
    return wb.Rubric(name=said, criteria=(wb.Criterion(name="price", asks=said),))


def routed(said: str) -> Routed:
    agents = {named(said): Agent(name=named(said), description=said, prompt="x")}
    cases = [Task(id=said, input=said, target=named(said)), Task(id="nobody's", input=said, target="none")]
    plan = plan_routing(agents, cases, router=choose_router(APPROXIMATED))
    return Routed(run=wb.run_trials(plan, live=False, progress=False), controls=None)


def changed(said: str) -> RoutingChange:
    return RoutingChange(before=routed(said), after=routed(said), changed=(named(said),))


def picked(said: str) -> RoutingPanel:
    """Left with decisions of the offline stand-in."""
    agents = {name: Agent(name=name, description=said, prompt="x") for name in (named(said), f"b {named(said)}")}
    shown = RoutingPanel(agents, [Task(id=said, input=said, target=name) for name in agents])
    shown.run(way="approximation", live=False)
    shown.wait()
    return shown


def differing(said: str) -> Run:
    """Each trial says something of its own."""
    trials = (
        trial.replace(reply=Reply(text=f"{said} {number}", stop_reason="end_turn"))
        for number, trial in enumerate(run(said).trials)
    )
    return replace(run(said), trials=tuple(trials))


def judged_run(said: str) -> Run:
    return wb.judge(run(said), rubric(said), live=False, progress=False)


def listed(said: str) -> ProjectRoster:
    """Two alike, and one that is none."""
    names = {f"{letter} {named(said)}": {"description": said, "prompt": "x"} for letter in "ab"}
    elsewhere = Path(os.environ["WORKBENCH_LEDGER"]).parent
    found = wb.roster(elsewhere, wb.Places(home=elsewhere, managed=elsewhere, session=names | {said: 5}))
    assert [table.title for table in found.tables()][1] == "Not simply listed"
    return found


def tried(said: str) -> AgentVersions:
    task = Task(id=said, input=said)
    one = VersionAttempt(
        version="a" * 64,
        model=said,
        effort=said,
        is_own=True,
        is_stand_in=False,
        task=task,
        key="k",
        score=0.5,
        at="2026-11-30",
    )
    found = compare_versions(said, {"a" * 64: agent(said)}, [one], left_out=(said,))
    (group,) = found.by_model
    of_commit = replace(group, versions=tuple(replace(each, commit=said) for each in group.versions))
    return replace(found, untried=(said,), by_model=(of_commit,))


def chosen(said: str) -> SealedChoice:
    tasks = [Task(id=f"{said} {number}", input=f"{said} {number}") for number in range(4)]
    found = routed(said)
    return SealedChoice(
        agent=agent(said),
        name=named(said),
        descriptions={AS_IT_IS: said, "1": f"{said} {said}"},
        selected={AS_IT_IS: found, "1": found},
        chosen=AS_IT_IS,
        sealed=None,
        split=split_tasks(tasks, seal=Path(os.environ["WORKBENCH_LEDGER"]).with_name("seal.json")),
        left_out=(said,),
    )


SHOWN: dict[str, Callable[[str], Any]] = {
    "SealedChoice": chosen,
    "Steered": lambda said: Steered(by_steering={steering: routed(said) for steering in STEERING}),
    "Comparison": compared,
    "Frame": lambda said: compared(said).trials,
    "Changes": lambda said: compared(said).flipped,
    "ReplyPair": lambda said: compared(said).pair(f"task-1 {said}"),
    "Review": lambda said: wb.review_runs(run(said), run(said)),
    "Plot": lambda said: compared(said).plot("tasks"),
    "Ranking": judged,
    "Estimate": lambda said: estimate_plan(
        plan_trials({f"v {said}": agent(said)}, [Task(id=said, input=said)], graders={}, repeats=2),
        live=False,
        concurrency=2,
    ),
    "ResultsTable": lambda said: wb.ResultsTable(compared(said), wb.Rows(of="trials", text="month")),
    "AgentEditor": lambda said: wb.AgentEditor(agent(said)),
    "TrialPanel": panel,
    "LabelPanel": lambda said: wb.LabelPanel(run(said), rubric(said), path="labels.jsonl", labeller=said),
    "JudgedSummary": lambda said: wb.show_judged(judged_run(said)),
    "ChoicePanel": lambda said: wb.ChoicePanel(differing(said), path="choices.jsonl", labeller=said),
    "Routed": routed,
    "RoutingReview": lambda said: RoutingReview(routed=routed(said), change=changed(said)),
    "RoutingPanel": picked,
    "RoutingChange": changed,
    "ProjectRoster": listed,
    "AgentVersions": tried,
    "Improvement": lambda said: Improvement(
        agent=agent(said),
        hunks=(Hunk(part="prompt", old=said, new=f"{said}\n{said}", why=said, line=1),),
        model=said,
        left_out=(said,),
    ),
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
    classes = [
        node
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    showing = {
        node.name
        for node in classes
        if any(getattr(part, "name", "") in ("_repr_html_", "_repr_mimebundle_") for part in node.body)
    }
    bases = {name for name in showing if name.startswith("_")}  # of which only their heirs are made
    showing -= bases
    showing |= {node.name for node in classes if any(getattr(base, "id", "") in bases for base in node.bases)}

    assert showing == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_said_is_typeset_nowhere(name: str) -> None:
    page = BeautifulSoup(shown_of(SHOWN[name](SAID))["text/html"], "html.parser")
    texts = [text for text in page.find_all(string=re.compile(r"[$]|\\[\[(]")) if text.find_parent("style") is None]

    assert texts or name in NOT_OURS
    assert [str(text)[:60] for text in texts if text.find_parent(class_="mathjax_ignore") is None] == []
    assert [str(text)[:60] for text in texts if text.find_parent(class_="tex2jax_ignore") is None] == []


class _Formulas(HTMLParser):
    """The pieces of text in which MathJax looks for formulas: it reads on over no element, and not in code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.pieces, self._code = [""], 0
        self.feed(page)

    def handle_starttag(self, tag: str, _: object) -> None:
        self._code += tag in ("code", "pre")
        self.pieces.append("")

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "pre")
        self.pieces.append("")

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.pieces[-1] += data


@pytest.mark.parametrize("name", SHOWN)
def test_the_markdown_of_what_is_said_holds_no_formula(name: str) -> None:
    text = shown_of(SHOWN[name](SAID)).get("text/markdown", "")
    prose = re.sub(r"^(`{3,})[^`]*\n.*?^\1`*$|^    .*$", "", text, flags=re.MULTILINE | re.DOTALL)
    rendered = str(create_markdown(escape=False, plugins=["table"])(text))

    assert "$" not in prose, "JupyterLab looks for formulas before it reads Markdown"
    assert [piece for piece in _Formulas(rendered).pieces if re.search(r"[$].*[$]|\\\(.*\\\)|\\\[.*\\\]", piece)] == []


@pytest.mark.parametrize("name", SHOWN)
def test_no_character_of_what_is_said_is_hidden(name: str) -> None:
    for kind, text in shown_of(SHOWN[name](SAID)).items():
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
