"""The page of a batch: what failed first, equal failures together, the worse before the better, and the sums."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

from tests.test_promises import improved_but_for_one
from workbench.comparison.figures import (
    HOW_IT_IS_DECIDED,
    IDENTICAL_REPLIES,
    IDENTICAL_SCORES,
    MAY_BE_WORSE,
    worst_first,
)
from workbench.comparison.provenance import provenance
from workbench.comparison.tables import compare
from workbench.comparison.tried import WORSE_PROMISE, Tried
from workbench.comparison.verdict import RULES
from workbench.headless.batch_index import summary, write_index
from workbench.headless.job import Job
from workbench.headless.left_behind import JobEnd, JobOutcome
from workbench.headless.left_record import LeftRecord

TRIED = Tried(
    agents=("base (.claude/agents/a.md, commit 0123456789 of 2026-11-29)", "variant: model: opus, before haiku"),
    title="a",
    files=(".claude/agents/a.md",),
    models=("claude-haiku-5-5",),
    answered_by="live at https://api.anthropic.com",
    stand_in=False,
    kinds=("no difference shown",),
    effects=("+1.0 [-2.0, +4.0]",),
    worse_promises=(),
    warning="",
    worst_promise="",
    replies=12,
    usd=0.5,
    unpriced=0,
    seconds=30.0,
    day="2026-11-29",
)


def outcome(name: str, end: JobEnd = "completed", **given: Any) -> JobOutcome:
    job = Job(notebook=Path("compare.ipynb"), out=Path("outputs/batch") / name, parameters={"agent": f"{name}.md"})
    return JobOutcome(job=job, end=end, **given)


def verdict(name: str, kind: str, **other: Any) -> JobOutcome:
    return outcome(name, verdict=f'"variant" against "base": {kind}.', tried=replace(TRIED, kinds=(kind,), **other))


def page_of(tmp_path: Path, *outcomes: JobOutcome) -> BeautifulSoup:
    return BeautifulSoup(write_index(tmp_path, outcomes).read_text(encoding="utf-8"), "html.parser")


def test_what_failed_stands_first_and_equal_failures_together(tmp_path: Path) -> None:
    soup = page_of(
        tmp_path,
        verdict("good", "better"),
        outcome("one", "failed", error="x.ipynb: the deadline of 5 s passed\n3.1 s in the cell 'a'"),
        outcome("two", "failed", error="x.ipynb: In [3] raised KeyError: 'k'"),
        outcome("three", "failed", error="x.ipynb: the deadline of 5 s passed\n4.9 s in the cell 'b'"),
        outcome("later", "not run"),
    )
    groups = [[heading.get_text() for heading in group.select("h2, h3")] for group in soup.select("section")]

    assert groups == [
        ["Failed: 2 notebooks", "one", "three"],
        ["Failed: 1 notebook", "two"],
        ["Not run: 1 notebook", "later"],
        ["Better: 1 notebook", "good"],
    ]
    assert str(soup).count("the deadline of 5 s passed") == 1
    assert "3.1 s in the cell 'a'" in soup.get_text() and "4.9 s in the cell 'b'" in soup.get_text()


def test_the_worse_stands_before_the_better_in_its_colour(tmp_path: Path) -> None:
    soup = page_of(
        tmp_path,
        verdict("up", "better"),
        verdict("same", "no difference shown"),
        verdict("made-up", "worse", stand_in=True),
        verdict("down", "worse"),
        outcome("notes"),
    )
    rows = [(row.h3.get_text(), row.get("class")) for row in soup.select("article")]

    assert rows == [
        ("made-up", []),
        ("down", ["bad"]),
        ("same", []),
        ("up", ["good"]),
        ("notes", []),
    ]
    assert "Offline stand-in:" in soup.select("article")[0].get_text()


def test_the_sentence_is_met_first_and_the_rest_is_folded(tmp_path: Path) -> None:
    lines = ("variant is worse by 9 points.", "In full: variant: worse. t p = 0.01", HOW_IT_IS_DECIDED)
    row = page_of(tmp_path, replace(verdict("down", "worse"), verdict="\n".join(lines))).article
    assert row is not None and row.details is not None

    folded = [each.get_text() for each in row.details.select("p")]
    row.details.decompose()

    assert folded == [*lines[1:], "agent = down.md"]
    assert lines[0] in row.get_text() and "t p = " not in row.get_text()


def test_what_may_be_worse_stands_by_itself_before_what_promises(tmp_path: Path) -> None:
    soup = page_of(tmp_path, verdict("a", "promising, not established"), verdict("b", MAY_BE_WORSE))

    assert [each.get_text() for each in soup.select("h2")] == [
        "May be worse, not established: 1 notebook", "Promising, not established: 1 notebook"
    ]  # fmt: skip
    shown = {*RULES, MAY_BE_WORSE, IDENTICAL_SCORES, IDENTICAL_REPLIES}
    assert sorted(map(worst_first, shown)) == list(range(len(shown)))


def test_of_several_verdicts_the_worst_places_a_notebook(tmp_path: Path) -> None:
    both = outcome("both", tried=replace(TRIED, kinds=("better", "worse")))

    assert page_of(tmp_path, both).h2.get_text() == "Worse: 1 notebook"


def test_a_promise_that_is_worse_is_named_though_the_whole_is_better(tmp_path: Path) -> None:
    one, two = "Shown to be worse: asks_question (variant).", "May be worse: a <b>. It is not shown to be worse."
    soup = page_of(
        tmp_path,
        verdict("one", "better", warning=one),
        verdict("two", "no difference shown", warning=two),
        verdict("none", "better"),
    )
    lines = {
        row.h3.get_text(): [line.get_text() for line in row.select("p") if "to be worse" in line.get_text()]
        for row in soup.select("article")
    }

    assert lines == {
        "one": [one],
        "two": [two],
        "none": [],
    }
    said = (tmp_path / "index.md").read_text(encoding="utf-8")
    assert said.count("to be worse") == 2 and lines["one"][0] in said


def test_a_notebook_with_a_promise_that_is_worse_stands_behind_the_worse_and_before_all_others(tmp_path: Path) -> None:
    soup = page_of(
        tmp_path,
        verdict("fine", "better"),
        verdict("none", "no verdict"),
        verdict("broken", "better", worse_promises=("asks_question",)),
        verdict("made-up", "better", worse_promises=("asks_question",), stand_in=True),
        verdict("down", "worse", worse_promises=("asks_question",)),
    )
    groups = [[heading.get_text() for heading in group.select("h2, h3")] for group in soup.select("section")]

    assert groups == [
        ["Worse: 1 notebook", "down"],
        ["Worse in a promise: 1 notebook", "broken"],
        ["No verdict: 1 notebook", "none"],
        ["Better: 2 notebooks", "fine", "made-up"],
    ]
    assert [row["class"] for row in soup.select("article")][1] == ["bad"]


def test_what_a_record_says_was_tried_has_the_promises_that_are_worse() -> None:
    run = improved_but_for_one()
    tried = LeftRecord(comparison=compare(run, baseline="A"), found=provenance(run)).tried

    assert (tried.kinds, tried.worse_promises, tried.kind) == (("better",), ("asks",), WORSE_PROMISE)
    assert tried.warning == "Shown to be worse: asks (B), whatever the whole says."
    assert tried.worst_promise.startswith("asks -")
    assert [effect[0] for effect in tried.effects] == ["+"]


def test_agent_file_commit_change_and_model_are_named_and_all_is_summed(tmp_path: Path) -> None:
    soup = page_of(
        tmp_path,
        verdict("a", "better", unpriced=2),
        verdict("b", "better", models=("claude-opus-5-5",), usd=0.25, seconds=12.5),
    )
    facts = {pair.dt.get_text(): pair.dd.get_text() for pair in soup.select("dl div")}

    assert facts == {
        "Notebooks": "2",
        "Replies": "24",
        "Cost of the replies": "0.7500 USD and 2 without a price",
        "Seconds of replies": "42.5",
        "Models": "claude-haiku-5-5, claude-opus-5-5",
        "Answered by": "live at https://api.anthropic.com",
    }
    for words in (*TRIED.agents, "claude-opus-5-5 · 12 replies · 0.2500 USD · 12.5 s of replies"):
        assert words in soup.get_text()
        assert words in (tmp_path / "index.md").read_text(encoding="utf-8")


def test_who_answered_is_said_of_each_notebook_only_where_it_is_not_the_same_of_all(tmp_path: Path) -> None:
    elsewhere = "live at http://127.0.0.1:9"
    alike = page_of(tmp_path, verdict("a", "better"), verdict("b", "worse"))
    differ = page_of(tmp_path, verdict("a", "better"), verdict("b", "worse", answered_by=elsewhere))

    assert [TRIED.answered_by in row.get_text() for row in alike.select("article")] == [False, False]
    for said, row in zip((elsewhere, TRIED.answered_by), differ.select("article"), strict=True):
        assert said in row.get_text()
    assert alike.dl.get_text().count(TRIED.answered_by) == 1


def test_what_the_stand_in_made_up_has_no_price(tmp_path: Path) -> None:
    page = page_of(tmp_path, verdict("a", "better", stand_in=True, usd=0.0))

    assert page.get_text().count("nothing: made up") == 2, "of the batch and of the notebook"
    assert "0.0000" not in page.get_text()


def test_agent_file_and_revision_are_read_without_unfolding(tmp_path: Path) -> None:
    soup = page_of(tmp_path, verdict("a", "better"))
    for fold in soup.select("details"):
        fold.decompose()

    for line in TRIED.agents:
        assert line in soup.article.get_text()


def test_an_index_of_failures_alone_says_what_it_can(tmp_path: Path) -> None:
    failed = [outcome(str(number), "refused", error="no key") for number in range(10)]

    assert summary(failed) == "10 notebooks: 10 refused"
    assert page_of(tmp_path, *failed).get_text().count("no key") == 1


def test_what_is_said_stays_text(tmp_path: Path) -> None:
    said = "<b>$5 or $50</b>\u202e"
    soup = page_of(tmp_path, outcome("x", "failed", error=said), outcome("y", verdict=said, tried=TRIED))

    assert soup.find("b") is None
    assert soup.get_text().count("<b>$5 or $50</b><U+202E>") == 2
    assert "mathjax_ignore" in soup.main["class"]
