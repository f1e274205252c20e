"""Routing: a scripted router is measured exactly, or refused before anything but the controls is spent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.router_server import Decide, Listed, prompt_of, router_server
from tests.runs import STAND_IN
from workbench.cli import main
from workbench.comparison.pictures.matrix import MOST_NAMES
from workbench.definition.agent import parse_agent
from workbench.errors import (
    BudgetError,
    ComparisonError,
    PlanError,
    RecordError,
    ReplayMiss,
    RoutingRefused,
    TaskFileError,
)
from workbench.model.api import Attempt
from workbench.model.retrying import Retry
from workbench.routing.asking import (
    MainModel,
    agents_of,
    ask_controls,
    choose_router,
    plan_controls,
    plan_routing,
    route,
)
from workbench.routing.cases import cases_of_descriptions, lint_cases, load_cases
from workbench.routing.change import compare_routing
from workbench.routing.controls import CANARY
from workbench.routing.decision import decision_of
from workbench.routing.measured import Routed, measure_routing
from workbench.routing.picture import plot_routing
from workbench.statistics.routing import NONE
from workbench.trial.record import export_record, load_run
from workbench.trial.task import Task
from workbench.trial.trial import TOOL_USES, Endpoint, Reply, Request, Run, Trial

MATRIX = [[10, 2, 0, 0], [3, 5, 0, 1], [0, 0, 8, 1], [1, 0, 1, 7]]
"""The confusion matrix of which accuracy, precision and recall are known from elsewhere (scikit-learn)."""
NAMES = ("sec", "perf", "docs", NONE)
APPROXIMATED = MainModel(way="approximation")
NO_WAIT = Retry(first_seconds=0)
ENDPOINT = Endpoint(kind="server", base_url="http://127.0.0.1:1")


def agent(name: str, description: str) -> bytes:
    return f"---\nname: {name}\ndescription: {json.dumps(description)}\n---\nDo it.\n".encode()


def roster(**descriptions: str) -> dict[str, object]:
    return {name: parse_agent(agent(name, text)) for name, text in descriptions.items()}


THREE = roster(sec="Finds security holes.", perf="Makes slow code fast.", docs="Writes documentation.")


def cases_of_matrix() -> tuple[list[Task], dict[str, str | None]]:
    """Cases that make up the matrix, and by prompt where each goes."""
    cases, goes = [], {}
    for truth, row in zip(NAMES, MATRIX, strict=True):
        for picked, count in zip(NAMES, row, strict=True):
            for number in range(count):
                prompt = f"Do the {truth} thing number {number}, which {picked} gets."
                cases.append(Task(id=f"{truth}-{picked}-{number}", input=prompt, target=truth))
                goes[prompt] = None if picked == NONE else picked
    return cases, goes


def passes_controls(otherwise: Decide) -> Decide:
    """A router that knows who gets a control, and decides otherwise as told."""

    def decide(prompt: str, names: Listed) -> str | None:
        if prompt.startswith("Use the "):
            return prompt.removeprefix("Use the ").split(" agent")[0]
        if "Quillhaven" in prompt:
            return CANARY.name
        if any(mark in prompt for mark in ("17 + 25", "word ready", "word lamp", "7 a prime")):
            return None
        return otherwise(prompt, names)

    return decide


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    yield {"ledger": tmp_path / "ledger.sqlite", "progress": False, "retry": NO_WAIT}


def test_a_scripted_router_is_measured_with_exactly_its_matrix(
    asked: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases, goes = cases_of_matrix()
    with router_server(passes_controls(lambda prompt, _: goes[prompt])) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        routed = route(THREE, cases, model=APPROXIMATED, **asked)
        again = route(THREE, cases, model=APPROXIMATED, **asked)
        requests = len(server.bodies)

    order = [routed.labels.index(name) for name in NAMES]
    assert routed.figures.confusion[order][:, order].tolist() == MATRIX
    assert routed.figures.accuracy == pytest.approx(0.7692308)
    assert [routed.figures.by_label[name].recall for name in NAMES] == pytest.approx(
        [0.8333333, 0.5555556, 0.8888889, 0.7777778]
    )
    assert [routed.figures.by_label[name].precision for name in NAMES] == pytest.approx(
        [0.7142857, 0.7142857, 0.8888889, 0.7777778]
    )
    assert (routed.figures.over_trigger, routed.figures.under_trigger) == pytest.approx((0.2222222, 0.0666667))
    assert routed.flipping == ()
    controls = len(plan_controls(THREE, router=choose_router(APPROXIMATED)).tasks)
    assert requests == 2 * controls + 2 * len(cases)  # two orders, and nothing of it twice
    assert again.as_values() == routed.as_values()
    made_up = tuple(trial.replace(endpoint=STAND_IN) for trial in routed.run.trials)
    said = measure_routing(replace(routed.run, trials=made_up)).sentence
    assert said == f"OFFLINE STAND-IN, no model. {routed.sentence}"


def never(prompt: str, names: Sequence[str]) -> str | None:
    return None


def always_the_same(prompt: str, names: Sequence[str]) -> str | None:
    return "perf"


def the_first(prompt: str, names: Sequence[str]) -> str | None:
    return names[0]


def everything_to_somebody(prompt: str, names: Listed) -> str | None:
    return passes_controls(lambda *_: "docs")(prompt, names) or "docs"


class _Counted:
    """Decides as told for the controls whose prompts hold a word, and right for all others."""

    def __init__(self, word: str, decided: str | None, most: int) -> None:
        self.word, self.decided, self.most = word, decided, most

    def __call__(self, prompt: str, names: Listed) -> str | None:
        if self.word in prompt and self.most:
            self.most -= 1
            return self.decided
        return passes_controls(never)(prompt, names)


@pytest.mark.parametrize(
    ("word", "decided", "most", "why"),
    [
        ("Use the", "docs", 99, "named 2 of 6.*does not pick the agent that the prompt names"),
        ("Use the perf", None, 2, "named 4 of 6.*does not pick the agent that the prompt names"),
        ("Use the perf", None, 1, None),
        ("Quillhaven", None, 1, "canary 3 of 4.*the list may not be read"),
        ("Quillhaven", "general-purpose", 99, "canary 0 of 4.*the list may not be read"),
        ("?", "docs", 2, "nobody's 6 of 8.*delegates chores"),
        ("?", "docs", 1, None),
        ("17", "fail", 2, "2 of 18 decisions of the controls came to none"),
        ("17", "fail", 1, None),
    ],
)
def test_controls_pass_from_four_fifths_of_each_kind_and_with_a_tenth_of_errors(
    word: str,
    decided: str | None,
    most: int,
    why: str | None,
    asked: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each bound from both sides; what is refused has cost its controls and nothing else."""
    plan = plan_controls(THREE, router=choose_router(APPROXIMATED))
    with router_server(_Counted(word, decided, most)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        if why is None:
            ask_controls(THREE, router=choose_router(APPROXIMATED), asking=asked)
        else:
            with pytest.raises(RoutingRefused, match=why):
                route(THREE, cases_of_matrix()[0], model=APPROXIMATED, **asked)
        assert len(server.bodies) == len(plan.tasks) * len(plan.variants) == 18


def test_what_a_replay_misses_are_decisions_on_routing_cases(asked: dict[str, object]) -> None:
    with pytest.raises(
        ReplayMiss, match="18 of 18 decisions .* the first is routing case 'named-1', order of the list"
    ):
        route(THREE, cases_of_matrix()[0], model=APPROXIMATED, mode="replay", **asked)


@pytest.mark.parametrize("budget_usd", [0.001])
def test_a_budget_below_the_controls_asks_no_case(
    budget_usd: float, asked: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with router_server(passes_controls(never)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        with pytest.raises(BudgetError):
            route(THREE, cases_of_matrix()[0], model=APPROXIMATED, budget_usd=budget_usd, **asked)
        assert not [body for body in server.bodies if "Do the" in json.dumps(body["messages"])]


def test_a_router_that_times_out_is_refused_and_no_timeout_is_a_no(
    asked: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of ten controls never get an answer: they come to none, whatever the machine does meanwhile."""
    never_answers = threading.Event()
    plan = plan_controls(THREE, router=choose_router(APPROXIMATED))
    late = {task.input for task in plan.tasks[:3]}

    def decide(prompt: str, names: Listed) -> str | None:
        if prompt in late:
            never_answers.wait()
        return passes_controls(never)(prompt, names)

    with router_server(decide) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        try:
            with pytest.raises(RoutingRefused, match="decisions of the controls came to none") as refused:
                route(THREE, cases_of_matrix()[0], model=APPROXIMATED, deadline_seconds=3, concurrency=18, **asked)
        finally:
            never_answers.set()
        assert {prompt_of(body) for body in server.bodies} <= {task.input for task in plan.tasks}
        assert len(server.bodies) <= len(plan.tasks) * len(plan.variants)
    undecided = {trial.task_id for trial in refused.value.controls.trials if decision_of(trial) is None}
    assert undecided >= {task.id for task in plan.tasks[:3]}


def test_a_router_that_follows_keywords_is_measured_with_exactly_its_matrix(
    asked: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    keywords = {"sec": "security", "perf": "slow", "docs": "documentation", NONE: "other"}
    cases = [
        Task(id=f"{truth}-{picked}-{number}", input=f"This {keywords[picked]} work {row}{number}.", target=truth)
        for row, truth in enumerate(NAMES)
        for column, picked in enumerate(NAMES)
        for number in range(MATRIX[row][column])
    ]
    with router_server(passes_controls(follows_keywords)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        routed = route(THREE, cases, model=APPROXIMATED, **asked)
    order = [routed.labels.index(name) for name in NAMES]
    assert routed.figures.confusion[order][:, order].tolist() == MATRIX
    assert routed.flipping == ()


class _FailsSometimes:
    """Three of ten come to an error."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, prompt: str, names: Listed) -> str | None:
        self.count += 1
        return "fail" if self.count % 10 < 3 else passes_controls(never)(prompt, names)


@pytest.mark.parametrize(
    ("decide", "why"),
    [
        (never, "never delegates"),
        (always_the_same, "the same each time"),
        (the_first, "first in the list"),
        (everything_to_somebody, "chores that no agent is for"),
        (_FailsSometimes(), "came to none"),
        (lambda prompt, names: "tool:Read", "never delegates"),
        (lambda prompt, names: "nobody-of-this-name", "the same each time"),
    ],
)
def test_a_router_that_cannot_be_measured_costs_its_controls_alone(
    decide: Decide, why: str, asked: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases, _ = cases_of_matrix()
    with router_server(decide) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        with pytest.raises(RoutingRefused, match=why):
            route(THREE, cases, model=APPROXIMATED, **asked)
        controls = plan_controls(THREE, router=choose_router(APPROXIMATED))
        assert len(server.bodies) == len(controls.tasks) * len(controls.variants)


def test_errors_among_the_decisions_are_no_negatives(asked: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    cases, goes = cases_of_matrix()
    failing = {case.input for case in cases[:12]}
    few = {case.input for case in cases[:3]}
    for fails, is_refused in ((failing, True), (few, False)):
        decide = passes_controls(lambda prompt, _, fails=fails: "fail" if prompt in fails else goes[prompt])
        with router_server(decide) as server:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
            if is_refused:
                with pytest.raises(RoutingRefused, match="24 of 78 decisions of the cases came to none"):
                    route(THREE, cases, model=APPROXIMATED, **asked)
            else:
                routed = route(THREE, cases, model=APPROXIMATED, **asked)
                assert routed.errors == 6
                assert routed.figures.confusion.sum() == len(cases) - 3


def follows_keywords(prompt: str, names: Sequence[str]) -> str | None:
    words = {"security": "sec", "slow": "perf", "documentation": "docs"}
    return next((name for word, name in words.items() if word in prompt), None)


def test_the_order_of_the_list_changes_nothing_for_a_router_that_reads(
    asked: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [
        Task(id=f"{name}-{number}", input=f"Here is {word} work {number}.", target=name)
        for name, word in (("sec", "security"), ("perf", "slow"), ("docs", "documentation"), (NONE, "other"))
        for number in range(6)
    ]
    with router_server(passes_controls(follows_keywords)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        routed = route(THREE, cases, model=APPROXIMATED, orders=3, **asked)
        listings = {json.dumps(body["system"]) for body in server.bodies}
    assert len(listings) == 3 + 2  # three orders, and two with the canary
    assert (routed.figures.accuracy, routed.flipping) == (1.0, ())
    assert routed.order_change is not None and not routed.order_change.can_differ

    def by_position(prompt: str, names: Sequence[str]) -> str | None:
        return names[0] if "work" in prompt else None

    with router_server(passes_controls(by_position)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        routed = route(THREE, cases, model=APPROXIMATED, orders=3, **asked)
    assert len(routed.flipping) == len(cases)


def test_what_a_description_takes_from_others_is_told(
    asked: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [
        Task(id=f"{name}-{number}", input=f"{name} work {number}", target=name)
        for name in ("sec", "perf", "docs", NONE)
        for number in range(12)
    ]
    greedy = {**THREE, **roster(perf="Makes code fast. Use it for all that concerns security too.")}

    def decide(prompt: str, names: Sequence[str]) -> str | None:
        name, _, number = prompt.split()
        if name == "sec" and is_greedy and int(number) < 9:
            return "perf"
        return None if name == NONE or (name == "perf" and not is_greedy and int(number) < 8) else name

    with router_server(passes_controls(decide)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        is_greedy = False
        before = route(THREE, cases, model=APPROXIMATED, **asked)
        is_greedy = True
        after = route(greedy, cases, model=APPROXIMATED, **asked)
        other = route(THREE, cases[:20], model=APPROXIMATED, **asked)
    change = compare_routing(before, after)

    assert change.changed == ("perf",)
    taken = next(row for row in change.rows if (row.kind, row.of) == ("taken", "sec"))
    assert (taken.moved, taken.cases, taken.before, taken.after) == (9, 12, 0.0, 0.75)
    assert taken.sentence.startswith("perf moved 9 of 12 of sec's cases to itself, p = 0.0")
    recall = next(row for row in change.rows if (row.kind, row.of) == ("recall", "perf"))
    assert recall.is_shown and (recall.before, recall.after) == (4 / 12, 1.0)
    assert {(row.kind, row.of) for row in change.harm} == {("taken", "sec"), ("recall", "sec")}
    with pytest.raises(ComparisonError, match="not the same"):
        compare_routing(before, other)
    with pytest.raises(ComparisonError, match="never mixed"):
        compare_routing(before, measure_routing(_at_another_effort(after.run)))


def _at_another_effort(run):  # type: ignore[no-untyped-def]
    return replace(
        run, trials=tuple(trial.replace(request=replace(trial.request, effort="low")) for trial in run.trials)
    )


def test_accepted_alternatives_are_right(asked: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [Task(id=str(number), input=f"any {number}", target="sec, perf") for number in range(4)]
    cases += [Task(id="n", input="nobody", target=NONE)]
    decide = passes_controls(lambda prompt, _: None if prompt == "nobody" else "perf")
    with router_server(decide) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        routed = route(THREE, cases, model=APPROXIMATED, **asked)
    assert routed.figures.accuracy == 1.0


def test_a_record_has_the_same_tables(
    asked: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cases, goes = cases_of_matrix()
    with router_server(passes_controls(lambda prompt, _: goes[prompt])) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        routed = route(THREE, cases, model=APPROXIMATED, **asked)
        export_record(routed.run, tmp_path / "record")
        loaded = load_run(tmp_path / "record")
        replayed = route(THREE, cases, model=APPROXIMATED, mode="replay", **asked)
    assert [(t.request, t.reply) for t in loaded.trials] == [(t.request, t.reply) for t in routed.run.trials]
    assert str(measure_routing(loaded)) == str(routed) == str(replayed)
    shown = CliRunner().invoke(main, ["route", str(tmp_path / "record"), "--json"])
    assert json.loads(shown.output) == routed.as_values()
    lines = (tmp_path / "record" / "trials.jsonl").read_text("utf-8")
    (tmp_path / "record" / "trials.jsonl").write_text(lines.replace('"perf"', '"docs"', 1), "utf-8")
    with pytest.raises(RecordError):
        load_run(tmp_path / "record")


def test_the_command_routes_and_compares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, text in (("old", "Makes slow code fast."), ("new", "Makes everything fast.")):
        (tmp_path / folder).mkdir()
        for name, description in (("sec", "Finds security holes."), ("perf", text)):
            (tmp_path / folder / f"{name}.md").write_bytes(agent(name, description))
    rows = [{"prompt": f"slow {n}", "expect": "perf"} for n in range(8)] + [{"prompt": "hello", "expect": "none"}]
    (tmp_path / "new" / "routing.yaml").write_text(json.dumps(rows), "utf-8")
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "ledger.sqlite"))
    arguments = ["route", str(tmp_path / "new"), "--way", "approximation"]

    def decide(prompt: str, names: Sequence[str]) -> str | None:
        return "perf" if "slow" in prompt and is_old else None

    with router_server(passes_controls(decide)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        is_old = True
        estimate = CliRunner().invoke(main, [*arguments, "--estimate"])
        assert estimate.exit_code == 0 and "controls" in estimate.output and not server.bodies
        assert CliRunner().invoke(main, [*arguments, "--before", str(tmp_path / "old"), "--json"]).exit_code == 0
        cases = str(tmp_path / "new" / "routing.yaml")
        first = CliRunner().invoke(main, ["route", str(tmp_path / "old"), *arguments[2:], "--cases", cases])
        assert first.exit_code == 0, first.output
        monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "other.sqlite"))
        CliRunner().invoke(main, ["route", str(tmp_path / "old"), *arguments[2:], "--cases", cases])
        is_old = False
        worse = CliRunner().invoke(main, [*arguments, "--before", str(tmp_path / "old")])
        assert worse.exit_code == 3 and "perf gets 0% of 8 its own cases, 100% before" in worse.output
    checked = CliRunner().invoke(main, [*arguments, "--check"])
    assert "'perf'" not in checked.output


@pytest.mark.parametrize("more", [["--json"], []], ids=["values", "tables"])
def test_no_key_of_a_case_is_in_what_the_command_says(
    more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-ant-" + "canary-case-000001"
    for name, description in (("sec", "Finds security holes."), ("perf", "Makes slow code fast.")):
        (tmp_path / f"{name}.md").write_bytes(agent(name, description))
    rows = [{"prompt": f"slow with {key}", "expect": "perf"}, {"prompt": "hello", "expect": "none"}]
    (tmp_path / "routing.yaml").write_text(json.dumps(rows), "utf-8")
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "ledger.sqlite"))

    with router_server(passes_controls(lambda prompt, _: "perf" if "slow" in prompt else None)) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        done = CliRunner().invoke(main, ["route", str(tmp_path), "--way", "approximation", *more])

    assert done.exit_code == 0, done.output
    assert key in str(server.bodies)
    assert key not in done.output


def test_cases_are_read_from_every_format(tmp_path: Path) -> None:
    rows = [{"id": "a", "prompt": "One?", "expect": "sec"}, {"id": "b", "prompt": "Two?", "expect": ["sec", "perf"]}]
    (tmp_path / "c.json").write_text(json.dumps({"cases": rows}), "utf-8")
    (tmp_path / "c.yaml").write_text(json.dumps(rows), "utf-8")
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (tmp_path / "c.csv").write_text('id,prompt,expect\na,One?,sec\nb,Two?,"sec, perf"\n', "utf-8")
    read = [load_cases(tmp_path / f"c.{suffix}") for suffix in ("json", "yaml", "jsonl", "csv")]
    assert all(cases == read[0] for cases in read)
    assert [case.target for case in read[0]] == ["sec", "sec, perf"]
    (tmp_path / "c.tsv").write_text("id\tprompt\texpect\na\tOne?\tsec\nb\tTwo?\tsec, perf\n", "utf-8")
    (tmp_path / "sheet.csv").write_text("id;prompt;expect;mine\na;One?;sec;1\nb;Two?;sec, perf;\n", "utf-8")
    assert load_cases(tmp_path / "c.tsv") == load_cases(tmp_path / "sheet.csv") == read[0]


def test_names_in_yaml_are_what_is_written(tmp_path: Path) -> None:
    """As in a task file: an agent may be called 007 or no, and a group may hold for all."""
    (tmp_path / "c.yaml").write_text("group: g\ncases:\n- {id: 007, prompt: yes, expect: no}\n", "utf-8")
    [case] = load_cases(tmp_path / "c.yaml")
    assert (case.id, case.input, case.target, case.group) == ("007", "yes", "no", "g")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.yaml", "- prompt: x\n", "no `expect`"),
        ("a.yaml", "- expect: x\n", "no `prompt`"),
        ("a.yaml", "- [1]\n", "a.yaml:1: a routing case is a mapping with `prompt:`"),
        ("a.yaml", "a: 1\n", "a.yaml:1: a: is not a field of a routing case"),
        ("a.yaml", "group: a\n", "a.yaml:1: has no `cases:` list"),
        ("a.yaml", "cases: 1\n", "a.yaml:1: routing cases must be a list: each begins with `- prompt: ...`"),
        ("a.yaml", "- prompt: x\n  prompt: y\n  expect: z\n", "a.yaml:2: prompt: stands twice"),
        ("a.yaml", "- &a [*a]\n", "within what it stands for"),
        ("a.yaml", "[" * 3000, "nested too deeply"),
        ("a.json", '{"a": 1}', "it should be a list"),
        ("a.csv", "prompt,expect\nx,y,z\n", "a.csv:2: has more cells"),
        ("a.yaml", "a: [\n", "not valid YAML"),
        ("a.yaml", "[]", "holds no case"),
        ("a.json", "{", "not JSON"),
        ("a.csv", 'a\n"b', "not CSV"),
        ("a.yaml", "- {id: 1, prompt: x, expect: y}\n- {id: 1, prompt: x, expect: y}\n", "there already"),
        ("a.txt", "x", "are read from"),
        ("a\0.yaml", None, "NUL"),
    ],
)
def test_what_is_wrong_with_a_file_of_cases_is_said(name: str, text: str | None, why: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(TaskFileError, match=why):
        load_cases(tmp_path / name)


def test_misleading_cases_are_named() -> None:
    long = "Writes documentation for libraries of every kind, in pages."
    agents = roster(sec="Finds holes.", **{"doc-writer": f"Use it. {long} Then rest."})
    cases = [
        Task(id="a", input="Ask the doc writer for a page.", target="doc-writer"),
        Task(id="b", input=long, target="doc-writer"),
        Task(id="c", input="Same.", target="sec"),
        Task(id="d", input="same.", target="doc-writer"),
        Task(id="e", input="Other.", target="nobody-here"),
    ]
    found = "\n".join(lint_cases(cases, agents))
    for why in (
        "a: too easy",
        "stands in the description of 'doc-writer'",
        "at two places",
        "'nobody-here'",
        "for nobody",
    ):
        assert why in found
    with pytest.raises(PlanError, match="'e' expects 'nobody-here'"):
        plan_routing(agents, cases, router=choose_router(APPROXIMATED))


def test_examples_of_descriptions_are_cases() -> None:
    text = "Finds holes. <example>user: 'Is my login safe?' assistant: I'll use sec.</example>"
    agents = roster(sec=text, perf="Makes it fast.")
    assert [(case.input, case.target) for case in cases_of_descriptions(agents)] == [("Is my login safe?", "sec")]


def test_a_request_without_tools_or_frame_keeps_its_form() -> None:
    request = Request(model="m", system="s", messages=({"role": "user", "content": "hi"},), max_tokens=5)
    assert list(request.canonical()) == ["model", "max_tokens", "messages", "stream", "system"]


def test_a_reply_that_calls_a_tool_is_an_answer_whose_text_is_text() -> None:
    reply = Reply(text="", stop_reason="tool_use", stop_details={"tool_uses": [{"name": "Agent", "input": {"a": 1}}]})
    assert reply.tool_uses[0].input == {"a": 1}
    assert (
        Reply(text="", stop_details={"tool_uses": [{"name": 1}, "x", {"name": "A", "input": "no"}]}).tool_uses[0].input
        == {}
    )
    assert Attempt(reply=reply).reply is reply


def test_two_agents_of_one_name_are_refused() -> None:
    one = parse_agent(agent("sec", "a"))
    assert list(agents_of([one])) == ["sec"]
    with pytest.raises(PlanError, match="rename one"):
        plan_routing([one, parse_agent(agent("sec", "b"))], [], router=choose_router(APPROXIMATED))  # type: ignore[arg-type]


def test_the_picture_says_where_cases_went(asked: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    cases, goes = cases_of_matrix()
    with router_server(passes_controls(lambda prompt, _: goes[prompt])) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        routed = route(THREE, cases, model=APPROXIMATED, **asked)

    for theme in ("light", "dark"):
        figure = plot_routing(routed, theme=theme)
        [axes] = figure.axes
        written = {text.get_text() for text in axes.texts}
        assert written == {"83", "17", "33", "56", "11", "89", "78"}
        assert [label.get_text() for label in axes.get_yticklabels()] == [
            "docs (9)",
            "perf (9)",
            "sec (12)",
            "itself (9)",
        ]
        assert figure._repr_png_().startswith(b"\x89PNG")
    assert "sec (12 cases): sec 83%, perf 17%" in figure.alt


def test_of_a_long_roster_the_picture_has_what_went_elsewhere() -> None:
    labels = (*(f"agent-{number:02}" for number in range(40)), NONE)
    picked = [*labels[:30], labels[5], *labels[31:]]
    routed = Routed(run=made_up_run(labels, picked), controls=None)
    figure = plot_routing(routed)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(names) == MOST_NAMES
    assert {"agent-05 (1)", "agent-30 (1)", "itself (1)"} <= set(names)


def made_up_run(truths: Sequence[str], picked: Sequence[str]) -> Run:
    """A run of one case for each of these, picked so."""
    listing = "\n".join(f"- {name}: Does it. (Tools: All tools)" for name in truths if name != NONE)
    tasks = tuple(Task(id=f"case-{n}", input=f"Prompt {n}.", target=truth) for n, truth in enumerate(truths))
    agent = parse_agent(b"---\nname: main\ndescription: Main.\n---\nPrompt.\n")
    trials = tuple(
        Trial(
            variant="order 1",
            task_id=task.id,
            repeat=0,
            request=Request(
                model="m", system=listing, messages=({"role": "user", "content": task.input},), max_tokens=9
            ),
            endpoint=ENDPOINT,
            reply=Reply(
                text="I see.",
                stop_reason="tool_use",
                stop_details={TOOL_USES: [{"name": "Agent", "input": {"subagent_type": name}}] if name != NONE else []},
            ),
        )
        for task, name in zip(tasks, picked, strict=True)
    )
    return Run(variants={"order 1": agent}, tasks=tasks, trials=trials, repeats=1, endpoint=ENDPOINT)
