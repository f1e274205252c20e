"""What a model, a task or a persona says is text in every report, and nothing else."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import mistune
import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner

from tests.hostile import PIECES, TEXT, hostile_run
from tests.runs import make_run, passes
from workbench import cli
from workbench.comparison.gate import gate
from workbench.comparison.report.page import LONGEST_TEXT, agents_difference, text_block
from workbench.comparison.report.write import write_report
from workbench.comparison.review import review_runs
from workbench.comparison.tables import compare
from workbench.definition.agent import parse_agent
from workbench.markup import visible_lines
from workbench.statistics.pairwise import Judgement, compare_pairwise, rank_variants
from workbench.trial.record import export_record
from workbench.trial.trial import Run

NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")
ITEM = re.compile(r"[-+\uff0b\uff0d][^(!]*")
"""Of a list, or a number: a formula that asks for nothing."""
PICTURES_IN_THE_DARK = '[data-jp-theme-light="false"] .workbench-picture { filter: invert(0.93) hue-rotate(180deg); }'
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\ud800-\udfff]")


@pytest.fixture(scope="module")
def run() -> Run:
    return hostile_run()


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(run, folder)
    return folder


def rendered(markdown: str) -> BeautifulSoup:
    render = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough", "task_lists"])
    return BeautifulSoup(str(render(markdown)), "html.parser")


TEXTUAL = {"h3", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "sub", "code", "pre", "ul", "li"}


MARKDOWN = {"blockquote", "br", "code", "del", "em", "hr", "li", "ol", "ul", "pre", "strong"}
"""What becomes of the Markdown of a reply."""


def assert_only_text(soup: BeautifulSoup) -> None:
    assert {element.name for element in soup.find_all()} <= TEXTUAL
    prose = " ".join(text for text in soup.find_all(string=True) if text.find_parent(["code", "pre"]) is None)
    assert not re.search(r"@\w|#\d|\bGH-\d|:tada:", prose)
    assert CONTROLS.search(prose) is None


def test_page_holds_no_element_that_a_text_made(folder: Path, tmp_path: Path) -> None:
    write_report(make_run({"base": passes((4, 3, 2, 1) * 3), "draft": passes((1, 4, 4, 3) * 3)}), tmp_path)
    text = (folder / "report.html").read_text(encoding="utf-8")
    soup, tame = (
        BeautifulSoup((where / "report.html").read_text("utf-8"), "html.parser") for where in (folder, tmp_path)
    )

    assert {element.name for element in soup.find_all()} <= {element.name for element in tame.find_all()} | {
        "h3",
        "span",
    } | MARKDOWN
    assert all(str(link["href"]).startswith("#") for link in soup.find_all("a")), "no link of a reply leads anywhere"
    counted = Counter(element.name for element in soup.find_all())
    assert (counted["script"], counted["style"], counted["img"]) == (
        1,
        1,
        Counter(e.name for e in tame.find_all())["img"],
    )
    attributes = {name for element in soup.find_all() for name in element.attrs}
    assert {name for name in attributes if name.startswith("on")} == set()
    assert CONTROLS.search(text) is None


def test_no_page_shows_a_key_in_pieces() -> None:
    key = "ghp_" + "cuXpUatwv6IMX3XWr1OH8H1qvyDpE0qsqtNV"
    one, other = (parse_agent(f"---\nname: x\n---\n{text}\n") for text in (f"It is x={key}.", f"It is \\u003d{key}."))

    shown = BeautifulSoup(str(agents_difference(one, other)), "html.parser").get_text()
    cut = str(text_block("a " * (LONGEST_TEXT // 2 - 9) + key))

    assert key not in shown
    assert key[:12] not in cut


def test_page_shows_each_reply_as_it_was(folder: Path) -> None:
    soup = BeautifulSoup((folder / "report.html").read_text(encoding="utf-8"), "html.parser")

    shown = Counter(block.get_text().removeprefix("\n") for block in soup.select("details details .as-text pre"))
    assert shown[visible_lines(TEXT)] == 94


@pytest.mark.parametrize("separator", [",", ";", "|", "\t", "\n"])
@pytest.mark.parametrize("name", ["trials", "tasks", "variants"])
def test_no_cell_of_the_csv_begins_a_formula_wherever_cells_are_thought_to_end(
    folder: Path, name: str, separator: str
) -> None:
    content = (folder / f"{name}.csv").read_text(encoding="utf-8")
    lines = csv.reader(io.StringIO(content), delimiter=separator) if separator != "\n" else [content.split("\n")]
    cells = [cell.lstrip(' "\u00a0\t\r') for line in lines for cell in line]

    assert len(cells) > 10
    harmless = NUMBER if separator == "," else ITEM
    assert [cell for cell in cells if cell[:1] in tuple("=+-@＝＋－＠") and not harmless.fullmatch(cell.strip())] == []
    assert CONTROLS.search(content) is None


def test_csv_reads_back_as_the_table_it_was(run: Run, folder: Path) -> None:
    rows = list(csv.reader(io.StringIO((folder / "trials.csv").read_text(encoding="utf-8"))))

    assert {len(row) for row in rows} == {len(rows[0])}
    assert len(rows) == 1 + len(run.trials)


def test_exact_texts_are_in_parquet_and_json_lines(run: Run, folder: Path) -> None:
    from pyarrow import parquet

    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()]
    replies = parquet.read_table(folder / "trials.parquet").column("reply").to_pylist()

    assert lines[0]["reply"]["text"] == TEXT
    assert lines[0]["task"] == run.tasks[0].id
    assert replies[0] == TEXT.replace("\ud83d", "\\ud83d")


def test_junit_is_xml_without_a_character_that_xml_does_not_have(run: Run, folder: Path) -> None:
    root = ElementTree.parse(folder / "junit.xml").getroot()

    cases = root.findall("testsuite/testcase")
    assert len(cases) == len(run.tasks) * (len(run.variants) - 1) == 12
    assert all("<img src=x onerror=alert(1)>" in str(case.get("name")) for case in cases)
    assert {element.tag for element in root.iter()} <= {
        *("testsuites", "testsuite", "properties", "property", "testcase", "failure", "error"),
        *("skipped", "system-out", "system-err"),
    }
    assert CONTROLS.search((folder / "junit.xml").read_text(encoding="utf-8")) is None


def test_summary_renders_without_a_link_a_picture_or_a_mention(folder: Path) -> None:
    soup = rendered((folder / "summary.md").read_text(encoding="utf-8"))

    assert_only_text(soup)
    headings = [len(row.find_all(["th", "td"])) for table in soup.find_all("table") for row in table.find_all("tr")]
    assert len(set(headings[:3])) == 1


def test_review_shows_texts_as_texts_in_all_its_forms(run: Run) -> None:
    review = review_runs(run, run, variants=(next(iter(run.variants)), list(run.variants)[1]), names=(TEXT, TEXT))

    assert_only_text(rendered(review.markdown()))
    page = BeautifulSoup(review.html(), "html.parser")
    assert [str(link) for link in page.find_all(["script", "img", "a", "iframe"])] == [
        '<a href="#decided-0">How it is decided</a>'
    ]
    for text in (str(review), review.html()):
        assert CONTROLS.search(text) is None


@pytest.mark.parametrize("what", ["comparison", "what flipped", "two replies", "review", "ranking"])
def test_notebook_outputs_hold_texts_only(run: Run, what: str) -> None:
    base, draft = run.variants
    comparison = compare(run, baseline=base)
    judgements = [
        Judgement(task_id=TEXT, first=one, second=other, choice="first")
        for one, other in ((base, draft), (draft, base))
    ]
    output: Any = {
        "comparison": comparison,
        "what flipped": comparison.flipped,
        "two replies": comparison.pair(run.tasks[1].id),
        "review": review_runs(run, run, variants=(base, draft)),
        "ranking": rank_variants(judgements),
    }[what]
    if what == "ranking":
        forms = {
            "text/html": output._repr_html_(),
            "text/markdown": output._repr_markdown_(),
            "text/plain": f"{output!r} {compare_pairwise(judgements, variant=draft, baseline=base)}",
        }
    else:
        forms = output._repr_mimebundle_()

    soup = BeautifulSoup(forms["text/html"], "html.parser")
    assert soup.find_all(["script", "a", "iframe", "form", "h1", "link"]) == []
    assert [str(style.string) for style in soup.find_all("style")] == [PICTURES_IN_THE_DARK] * len(soup.find_all("img"))
    assert all(str(image["src"]).startswith("data:image/png;base64,") for image in soup.find_all("img"))
    assert {name for element in soup.find_all() for name in element.attrs if name.startswith("on")} == set()
    assert {element.name for element in rendered(forms["text/markdown"]).find_all()} <= TEXTUAL
    assert all(CONTROLS.search(form) is None for form in forms.values())


def test_gate_says_its_sentence_without_a_control_character(run: Run) -> None:
    found = gate(run, next(iter(run.variants)))

    assert CONTROLS.search(found.text) is None
    assert "\n" not in found.text


def test_terminal_gets_no_control_character(tmp_path: Path) -> None:
    # A lone half of a character is what no terminal and no file of UTF-8 holds; records spell it out.
    record = str(export_record(hostile_run(), tmp_path / "record"))
    commands = [
        ["report", record, "--format", "md,csv"],
        ["gate", record, "--baseline", "\x1b[2Jnosuch"],
        ["gate", record, "--baseline", record],
        ["review", record, record],
        ["review", record, record, "--markdown"],
    ]

    for command in commands:
        result = CliRunner().invoke(cli.main, command)
        assert CONTROLS.search(result.output) is None, command
        assert result.exception is None or isinstance(result.exception, SystemExit), command


def test_each_piece_is_hostile_to_something() -> None:
    assert all(piece in TEXT for piece in PIECES)
