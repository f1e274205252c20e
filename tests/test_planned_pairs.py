"""What is held against what: the pairs of a plan, in its record and wherever the record is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

import workbench as wb
from tests.runs import PASSES_A, PASSES_B, make_run, passes
from workbench.comparison.gate import gate
from workbench.comparison.report.write import write_report
from workbench.comparison.tables import compare, compare_pairs
from workbench.definition.agent import Agent
from workbench.errors import ComparisonError, PlanError, RecordError
from workbench.headless.left_record import read_left_record
from workbench.runs.plan import plan_trials
from workbench.trial.record import export_record, load_run
from workbench.trial.task import Task
from workbench.trial.trial import Run

PAIRS = (("base haiku", "variant haiku"), ("base opus", "variant opus"))
BETTER = tuple(min(4, count + 1) for count in PASSES_B)


def two_models() -> Run:
    """An old agent and a new one under each of two models: the new one is worse under one of them, and both are better
    under the other than either under the first."""
    run = make_run(
        {
            "base haiku": passes(PASSES_B),
            "variant haiku": passes([max(0, count - 2) for count in PASSES_B]),
            "base opus": passes(BETTER),
            "variant opus": passes(BETTER),
        }
    )
    return replace(run, pairs=PAIRS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    record = export_record(two_models(), tmp_path_factory.mktemp("record"))
    write_report(load_run(record), record / "report", formats=["html", "md", "json", "junit"])
    yield record


def test_a_record_keeps_what_is_held_against_what(folder: Path) -> None:
    assert load_run(folder).pairs == PAIRS
    assert json.loads((folder / "run.json").read_text())["pairs"] == [list(pair) for pair in PAIRS]


def test_a_record_whose_pairs_name_no_variant_is_refused(tmp_path: Path) -> None:
    record = export_record(replace(two_models(), pairs=(*PAIRS, ("base opus", "another"))), tmp_path)

    with pytest.raises(RecordError, match="a pair names 'another', which is none of the variants"):
        load_run(record)


def test_every_face_says_of_each_pair_what_the_notebook_says(folder: Path) -> None:
    run = load_run(folder)
    sentences = [verdict.text for each in compare_pairs(run, run.pairs) for verdict in each.verdicts]
    left = read_left_record(folder, files=(), project=folder)
    assert left is not None
    parts = left.page_parts()
    shown = {
        "report.html": unescape((folder / "report/report.html").read_text()),
        "comparison.json": "\n".join(
            verdict["text"] for verdict in json.loads((folder / "report/comparison.json").read_text())["verdicts"]
        ),
        "page": unescape(f"{parts.head}"),
    }

    assert len(sentences) == 2
    for face, text in shown.items():
        assert [sentence for sentence in sentences if sentence not in text] == [], face
    for text in (*shown.values(), (folder / "report/summary.md").read_text()):
        assert '"variant opus" against "base haiku"' not in text
        assert '"base opus" against' not in text
    assert left.tried.kinds == ("worse", "identical replies")
    assert len([line for line in left.tried.agents if line.startswith("base ") and ": " in line]) == 0


def test_changes_tables_and_suites_are_against_the_own_baseline(folder: Path) -> None:
    compared = compare(load_run(folder))
    haiku, opus = compare_pairs(load_run(folder), PAIRS)

    assert [name for name in compared.by_task if name.startswith("difference")] == [
        "difference: variant haiku",
        "difference: variant opus",
    ]
    assert compared.by_task["difference: variant opus"].tolist() == opus.by_task["difference: variant opus"].tolist()
    assert {change.variant for change in compared.flipped.changes} == {"variant haiku", "variant opus"}
    assert compared.measures == (*haiku.measures, *opus.measures)
    junit = (folder / "report/junit.xml").read_text()
    assert junit.count("<testsuite ") == 2
    assert 'name="baseline" value="base opus"' in junit
    for kind in ("forest", "tasks", "repeats"):
        compared.plot(kind)  # type: ignore[arg-type]


def test_the_gate_takes_the_only_variant_of_a_baseline() -> None:
    assert gate(two_models(), baseline="base opus", margin=0.05).variant == "variant opus"


def test_without_pairs_each_variant_is_held_against_the_first() -> None:
    run = replace(two_models(), pairs=())
    first = compare(run, baseline="base haiku")

    assert compare(run).sentences == first.sentences
    with pytest.raises(ComparisonError, match="no variant"):
        compare(replace(run, variants={}, trials=()))


def test_a_plan_refuses_pairs_that_no_sentence_could_tell() -> None:
    agent = Agent(name="a", description="b", prompt="c")
    names, tasks = {"a": agent, "b": agent, "c": agent}, [Task(id="t", input="x")]

    assert plan_trials(names, tasks, pairs=[("a", "b"), ("a", "c")]).pairs == ()  # it is what is held without any
    assert plan_trials(names, tasks, pairs=[("a", "b"), ("b", "c")]).pairs == (("a", "b"), ("b", "c"))
    for pairs, said in (
        ([("a", "d")], "names 'd'"),
        ([("a", "b")], "'c' is in no pair"),
        ([("a", "b"), ("c", "c")], "against itself"),
        ([("a", "c"), ("b", "c")], "two baselines"),
    ):
        with pytest.raises(PlanError, match=said):
            plan_trials(names, tasks, pairs=pairs)


def test_scores_of_the_first_model_are_no_baseline_of_the_second() -> None:
    run = replace(make_run({"a": passes(PASSES_A), "b": passes(PASSES_A), "c": passes(PASSES_B)}), pairs=())
    pairs = (("b", "c"), ("a", "b"))

    assert compare(replace(run, pairs=pairs)).baseline_of == {"c": "b", "b": "a"}


def test_what_judges_found_is_held_against_the_own_baseline_too() -> None:
    names = [name for pair in PAIRS for name in pair]
    run = replace(make_run({name: passes([4, 2, 1]) for name in names}), pairs=PAIRS)
    judged = wb.judge(run, wb.load_rubric("writing"), live=False, progress=False)
    rows = wb.show_judged(judged).rows

    assert {(row.variant, row.criterion) for row in rows} == {
        (variant, each.name) for _, variant in PAIRS for each in judged.judged[0].rubric.criteria
    }
    assert {row.variant for row in wb.show_judged(judged, baseline="base haiku").rows} == {*names} - {"base haiku"}
