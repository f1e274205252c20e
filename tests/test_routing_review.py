"""Decisions for whoever reviews: the first sentence says how often an agent is picked, on every page there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner

from tests.runs import make_run
from tests.test_routing_gate import agents_with, cases_of, right, routed, steals
from workbench.cli import main
from workbench.comparison.history import load_history
from workbench.errors import ComparisonError
from workbench.grading.catalogue import standard
from workbench.routing.review import review_routing, tell_decisions
from workbench.trial.record import export_record

FIRST = (
    "Before: perf: picked in 12 of 12, by mistake in 0 of 36. After: perf: picked in 12 of 12, by mistake in 12 of 36."
)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    change = routed(steals, cases_of(12))
    export_record(change.run, tmp_path / "2026-11-29" / "both")
    export_record(change.before.run, tmp_path / "2026-11-29" / "before")
    export_record(change.after.run, tmp_path / "2026-11-29" / "after")
    return tmp_path / "2026-11-29"


def reviewed(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, ["review", *map(str, arguments)])


def test_a_record_of_a_change_is_reviewed_alone_and_two_beside_each_other_say_the_same(records: Path) -> None:
    alone, beside = reviewed(records / "both"), reviewed(records / "before", records / "after")

    assert alone.exit_code == 0, alone.output
    assert alone.output == beside.output
    title, _, sentence, *_ = alone.output.splitlines()
    assert (title, sentence) == ("Who is picked since perf changed", FIRST)
    assert alone.output.count("perf moved 12 of 12 of sec's cases to itself") == 1
    assert "- perf: Makes slow code fast{+, and more+}. (Tools: All tools)" in alone.output


def test_one_list_alone_says_how_often_one_is_picked(records: Path) -> None:
    found = reviewed(records / "after")

    assert found.exit_code == 0, found.output
    assert found.output.splitlines()[2] == (
        "Picked in 24 of 36 cases that are for an agent, by mistake in 12 of all 48."
    )


def test_the_page_and_the_markdown_lead_with_it_and_hold_no_markup_of_a_description(
    records: Path, tmp_path: Path
) -> None:
    hostile = "Makes all fast <script>alert(1)</script> for @everybody at https://example.org."
    export_record(routed(right, cases_of(12), after=agents_with(hostile)).run, tmp_path / "hostile")

    markdown = reviewed(records / "both", "--markdown", "--html", tmp_path / "page.html").output
    page = BeautifulSoup((tmp_path / "page.html").read_text("utf-8"), "html.parser")
    assert markdown.startswith("### Who is picked since perf changed\n\nBefore: perf: picked in 12 of 12")
    lead = page.select_one("p.verdict")
    assert lead is not None and lead.get_text() == FIRST

    markdown = reviewed(tmp_path / "hostile", "--markdown", "--html", tmp_path / "page.html").output
    assert "<script>" not in markdown and "@everybody" not in markdown and "https://example.org" not in markdown
    assert "<script>alert" not in (tmp_path / "page.html").read_text("utf-8")


def test_decisions_are_never_reviewed_beside_replies(records: Path, tmp_path: Path) -> None:
    replies = make_run({"a": [[1.0], [0.0]]})
    export_record(replies, tmp_path / "replies")

    assert reviewed(records / "both", tmp_path / "replies").exit_code == 2
    assert reviewed(tmp_path / "replies").exit_code == 2
    with pytest.raises(ComparisonError, match="one of its kind"):
        review_routing(replies)


def test_a_site_names_them_with_what_is_worse_first_and_counts_them_as_no_night(records: Path) -> None:
    folder = records.parent
    export_record(routed(right, cases_of(12)).run, records / "a-fine-one")
    export_record(make_run({"a": [[1.0], [0.0]]}), records / "replies")

    history = load_history(folder, graders=standard(), tell=tell_decisions)
    done = CliRunner().invoke(main, ["site", str(folder), "--out", str(folder / "site")])
    index = BeautifulSoup((folder / "site" / "index.html").read_text("utf-8"), "html.parser")

    assert done.exit_code == 0, done.output
    assert len(history.agents) == 1 and len(history.decisions) == 4
    rows = [" ".join(row.get_text().split()) for row in index.select("h2 + ul > li")]
    assert rows[0] == f"2026-11-29/both: worse {FIRST}"
    assert rows[1].startswith("2026-11-29/a-fine-one: Before: perf: picked in 12 of 12, by mistake in 0 of 36.")
    assert rows[2].startswith("2026-11-29/after: Picked in 24 of 36")
    first = index.select_one("h2 + ul > li > a")
    assert first is not None
    page = BeautifulSoup((folder / "site" / str(first["href"])).read_text("utf-8"), "html.parser")
    assert page.h1 is not None and page.h1.get_text() == "Who is picked since perf changed"
    data = json.loads((folder / "site" / "site.json").read_text("utf-8"))
    assert len(data["history"]["decisions"]) == 4
