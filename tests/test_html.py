"""Every page that we write is HTML by the letter: a browser mends what is wrong, each in its own way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from justhtml import JustHTML

from tests.hostile import hostile_run
from tests.runs import GROUPS, PASSES_A, PASSES_B, STAND_IN, gradable, make_run, passes
from tests.test_batch_index import outcome, verdict
from tests.test_history import AGENT, night
from workbench.comparison import report
from workbench.comparison.history import load_history
from workbench.comparison.history_page import write_history
from workbench.comparison.provenance import provenance
from workbench.comparison.report.write import write_report
from workbench.comparison.review import review_runs
from workbench.comparison.site import write_site
from workbench.comparison.tables import compare
from workbench.grading.catalogue import standard
from workbench.headless.batch_index import write_index
from workbench.headless.left_record import LeftRecord
from workbench.headless.page import html_page
from workbench.trial.trial import Run
from workbench.widgets.editor import AgentEditor
from workbench.widgets.results import ResultsTable

WITH_RECORD = "executed with its record.html"


def comparisons() -> dict[str, Run]:
    """A worse change by kinds of tasks, one that is the same twice, one that was made up, and one whose texts do harm."""
    two = {"base": passes(PASSES_B), "draft": passes(PASSES_A)}
    return {
        "graded": gradable(make_run(two, groups=GROUPS)),
        "same": make_run(two, same_prompt=True),
        "made-up": make_run(two, endpoint=STAND_IN),
        "three": make_run({**two, "other": passes(PASSES_B)}),
        "alone": make_run({"base": passes(PASSES_A)}),
        "hostile": hostile_run(),
    }


def executed_pages(run: Run) -> Iterator[tuple[str, str]]:
    """What a run of a notebook leaves that shows everything we show, with its record and without."""
    baseline = next(iter(run.variants))
    comparison = compare(run, baseline=baseline)
    review = review_runs(run, run)
    shown = (comparison, ResultsTable(comparison), comparison.flipped, review, AgentEditor(run.variants[baseline]))
    cells = [nbformat.v4.new_markdown_cell("# A *title*\n\n- <b>a\n- b & c\n\n|a|b|\n|-|-|\n|1|2|")]
    for each in shown:
        bundle = each._repr_mimebundle_()
        assert isinstance(bundle, dict)
        kept = {kind: text for kind, text in bundle.items() if kind.startswith("text/")}
        cells.append(nbformat.v4.new_code_cell("x < 1", outputs=[nbformat.v4.new_output("display_data", kept)]))
    document = nbformat.v4.new_notebook(cells=cells)
    left = LeftRecord(comparison=comparison, found=provenance(run))
    yield "executed.html", html_page(document, title="compare")
    yield WITH_RECORD, html_page(document, title="compare", record=left.page_parts())
    yield "review.html", review.html()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    made: dict[str, str] = {}
    for name, run in comparisons().items():
        write_report(run, folder / name, formats=["html"])
        made |= {f"{name}: {page}": text for page, text in executed_pages(run)}
    nights = folder / "nights"
    for date, asks in (("2026-11-27", [3, 3, 2]), ("2026-11-28", [0, 0, 1])):
        night(nights, date, asks)
        night(nights / "other", date, asks, agent=AGENT.replace("planner", "<b>&\"'"))
    (nights / "2026-11-28" / "broken").mkdir()
    (nights / "2026-11-28" / "broken" / "run.json").write_text("{}")
    history = load_history(nights, graders=standard())
    write_history(history, nights)
    write_site(history, nights, folder / "site", graders=standard(), most_nights=9)
    (folder / "batch").mkdir()
    write_index(folder / "batch", [outcome("a", "failed", error="<b> & 'x'"), verdict("b", "worse"), outcome("c")])
    return made | {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.html")
    }


def test_there_is_a_page_of_every_kind(pages: Mapping[str, str]) -> None:
    kinds = Counter(name.rpartition("/")[2].rpartition(": ")[2] for name in pages)

    assert kinds.keys() >= {"report.html", "review.html", "executed.html", "history.html", "index.html"}
    assert kinds["report.html"] >= len(comparisons())


def test_every_page_is_read_without_an_error(pages: Mapping[str, str]) -> None:
    wrong = {name: [str(error) for error in JustHTML(text, collect_errors=True).errors] for name, text in pages.items()}

    assert {name: errors for name, errors in wrong.items() if errors} == {}


def test_styles_stand_in_the_head_of_a_page_alone(pages: Mapping[str, str]) -> None:
    wrong = [name for name, text in pages.items() if BeautifulSoup(text, "html.parser").select("body style")]

    assert wrong == []


def test_no_style_of_an_output_ends_the_style_sheet() -> None:
    evil = "<style>a { content: '<' } </style><style>b { c: \"</ style><img src=x onerror=alert(1)>\" }</style>"
    output = nbformat.v4.new_output("display_data", {"text/html": evil})
    page = html_page(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])]), title="a")

    tree = JustHTML(page, sanitize=False)

    assert "content: '\\3c '" in page
    assert (len(tree.query("style")), len(tree.query("img[onerror]"))) == (1, 0)


def test_ids_are_given_once_and_every_link_within_a_page_finds_its_own(pages: Mapping[str, str]) -> None:
    for name, text in pages.items():
        ids = Counter(re.findall(r'\sid="([^"]*)"', text))
        assert [each for each, count in ids.items() if count > 1] == [], name
        assert set(re.findall(r'href="#([^"]+)"', text)) <= ids.keys(), name


def test_where_a_notebook_shows_some_rows_its_page_leads_to_all_of_them() -> None:
    pages = dict(executed_pages(comparisons()["graded"]))
    without, page = (BeautifulSoup(pages[name], "html.parser") for name in ("executed.html", WITH_RECORD))

    notes = [note for note in page.select("#notebook p") if "50 of 96 trials; all are in .trials." in note.get_text()]
    assert notes
    for note in notes:
        assert note.get_text().endswith("All trials on this page.")
        assert note.select_one("a")["href"] == "#trials"
    whole = page.find(id="trials").find_next("table")
    assert len(whole.select("tbody tr")) == 96
    assert not without.select("table + p a")


def long_replies(run: Run) -> Run:
    """The run with replies that differ, too long for a row."""
    said = (
        trial.replace(reply=replace(trial.reply, text=f"**Reply {row}**\n\n" + "of many words " * 40))
        for row, trial in enumerate(run.trials)
        if trial.reply is not None
    )
    return replace(run, trials=tuple(said))


def test_a_reply_that_the_page_holds_is_led_to_by_the_tables_of_its_notebook() -> None:
    pages = dict(executed_pages(long_replies(comparisons()["graded"])))
    alone, page = (BeautifulSoup(pages[name], "html.parser") for name in ("executed.html", WITH_RECORD))
    opened = alone.select("td > details pre")
    assert len(opened) >= 50

    assert page.select("#notebook td > details") == []
    links = page.select('#notebook td > a[href^="#trial-"]')
    assert len(links) == len(opened)
    for text, link in zip(opened, links, strict=True):
        whole = page.find(id=link["href"].removeprefix("#")).parent.select_one(".as-text pre")
        assert whole.get_text().strip() == text.get_text().strip()
        assert text.parent.find("summary").get_text() == link.get_text()
    tables = page.select("#notebook caption:-soup-contains-own('Trials')")
    assert tables
    assert all(caption.find_parent("details") is not None for caption in tables), "many screens of a phone, each"


OF_OURS = {"facts", "verdict", "good", "bad", "wide", "soft", "provenance"}
"""Classes that outputs which we make share with a page, and mean the same by."""


def test_the_switch_to_replies_as_they_were_written_hides_nothing_of_the_notebook() -> None:
    """Classes of the page are none of those that the outputs of a notebook come with."""
    page = BeautifulSoup(dict(executed_pages(comparisons()["graded"]))[WITH_RECORD], "html.parser")
    of_notebook = {name for each in page.select("#notebook [class]") for name in each["class"]}

    sheet = (Path(report.__file__).parent / "page.css").read_text(encoding="utf-8")
    assert of_notebook & set(re.findall(r"\.([a-z][\w-]*)", sheet)) <= OF_OURS
    assert [cell for cell in page.select("#notebook .cell") if not cell.get_text(strip=True) and not cell.img] == []


def test_a_page_without_graders_begins_with_measures_and_has_no_empty_pictures() -> None:
    ungraded = make_run({"base": passes(PASSES_B), "draft": passes(PASSES_A)})
    said = (
        trial.replace(scores={}, reply=replace(trial.reply, text="word " * (9 if trial.variant == "base" else 5)))
        for trial in ungraded.trials
        if trial.reply is not None
    )
    left = LeftRecord(
        comparison=(of := compare(replace(ungraded, trials=tuple(said)), baseline="base")), found=provenance(of.run)
    )
    page = BeautifulSoup(left.page_parts().head, "html.parser")

    assert page.select_one("header .moved caption").get_text() == "Measures that differ, or may"
    assert page.select_one("header .moved tbody th").get_text() == "Words"
    assert page.select(".tally, .scatter") == []


def test_the_page_of_a_notebook_without_a_record_begins_with_what_its_verdict_says() -> None:
    printed = nbformat.v4.new_output("stream", name="stdout", text="38% went where they <should>.\nThe second line.\n")
    cells = [
        nbformat.v4.new_markdown_cell("# Is the agent picked?"),
        nbformat.v4.new_code_cell("print()", metadata={"tags": ["verdict"]}, outputs=[printed]),
    ]
    page = BeautifulSoup(html_page(nbformat.v4.new_notebook(cells=cells), title="routing"), "html.parser")
    silent = html_page(nbformat.v4.new_notebook(cells=cells[:1]), title="routing")

    [said] = page.select("p.verdict")
    assert said.get_text(strip=True).startswith("38% went where they <should>.")
    assert said.find_next("h1") is not None
    assert 'class="verdict"' not in silent
