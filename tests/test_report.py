from __future__ import annotations

import csv
import html
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from tests.pages import assert_only_our_script
from tests.runs import GROUPS, PASSES_A, PASSES_B, STAND_IN, make_run, passes
from tests.test_tables import paid_run
from workbench.comparison.provenance import provenance, provenance_table
from workbench.comparison.report import page as report_page
from workbench.comparison.report.data import cell_text, text_of_cell
from workbench.comparison.report.page import page
from workbench.comparison.report.write import FORMATS, write_report
from workbench.comparison.tables import compare
from workbench.errors import ComparisonError, FileError
from workbench.markup import visible_lines
from workbench.trial.record import export_record, load_run
from workbench.trial.trial import Endpoint, Run


@pytest.fixture(scope="module")
def run() -> Run:
    made = make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)}, groups=GROUPS)
    tasks = tuple(replace(task, file_sha256="a" * 64) for task in made.tasks)
    trials = tuple(
        trial.replace(reply=replace(trial.reply, at=f"2026-11-{20 + trial.repeat}T08:00:00.000+00:00"))
        for trial in made.trials
        if trial.reply is not None
    )
    return replace(made, tasks=tasks, trials=trials, versions={"agent-workbench": "9.8", "anthropic": "7.6"})


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(run, folder)
    return folder


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what a page says: drawing takes most of the time."""
    monkeypatch.setattr(report_page, "_picture", lambda _comparison, _kind: "")


def soup_of(folder: Path) -> BeautifulSoup:
    return BeautifulSoup((folder / "report.html").read_text(encoding="utf-8"), "html.parser")


def test_every_form_is_written_and_named_and_has_the_same_bytes_from_the_record(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    loaded = load_run(export_record(run, tmp_path / "record"))

    files = write_report(loaded, tmp_path / "new" / "folder")
    assert {file.name for file in files} == {
        "report.html",
        *(
            f"{table}.{form}"
            for table in ("trials", "tasks", "variants", "promises", "measures")
            for form in ("csv", "parquet")
        ),
        "comparison.json",
        "trials.jsonl",
        "junit.xml",
        "summary.md",
    }
    for file in files:
        assert file.stat().st_size
        assert file.read_bytes() == (folder / file.name).read_bytes(), file.name


def test_page_needs_no_network_and_no_script_but_the_one_that_its_policy_names(folder: Path) -> None:
    soup = soup_of(folder)

    policy = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    assert policy is not None and "default-src 'none'" in str(policy["content"])
    assert_only_our_script((folder / "report.html").read_text(encoding="utf-8"))
    assert soup.find_all(["link", "iframe", "form"]) == []
    assert {str(image["src"])[:22] for image in soup.find_all("img")} == {"data:image/png;base64,"}
    assert all(str(link["href"]).startswith("#") for link in soup.find_all("a"))


def test_page_begins_with_the_verdict_and_has_a_dark_form_of_each_described_picture(run: Run, folder: Path) -> None:
    soup = soup_of(folder)
    verdict = compare(run, baseline="base").verdict

    first = soup.select_one("main > header > h1 ~ *")
    assert verdict is not None and first is not None and verdict.headline in first.get_text()
    behind = first.find_next_sibling("details")
    assert behind is not None and verdict.text in behind.get_text()
    pictures = soup.find_all("picture")
    assert len(pictures) == 4
    for picture in pictures:
        assert "prefers-color-scheme: dark" in str(picture.find("source")["media"])
        assert len(str(picture.find("img")["alt"])) > 40


def test_page_links_lead_somewhere_and_what_flipped_comes_first(folder: Path) -> None:
    soup = soup_of(folder)

    assert all(soup.find(id=str(link["href"])[1:]) for link in soup.select("nav a"))
    assert soup.select_one("#trials ~ .searched details summary strong").get_text() == "task-11"


@pytest.mark.usefixtures("without_pictures")
def test_page_is_bounded_and_says_where_the_rest_is() -> None:
    big = make_run({name: passes([2] * 25, 16) for name in ("base", "draft")})

    comparison = compare(big, baseline="base")
    soup = BeautifulSoup(page(comparison, provenance(big), most_characters=300_000), "html.parser")

    assert len(soup.select(".searched details details")) == 300
    assert "300 of 800 trials; all are in trials.jsonl." in soup.get_text()
    assert len(soup.select("[data-what=trials] tbody tr")) == 800, "each has a row all the same"
    assert len(soup.select("[data-what=trials] tbody a")) == 300
    assert all(soup.find(id=str(link["href"])[1:]) for link in soup.select("tbody a"))


def test_every_form_says_where_its_numbers_come_from(run: Run, folder: Path) -> None:
    agents = [agent.digest for agent in run.variants.values()]
    known = [*agents, "a" * 64, "claude-haiku-4-5-20251001", "9.8", "7.6", "genai-prices", "https://api.anthropic.com"]
    page = soup_of(folder).get_text()
    line = (folder / "trials.jsonl").read_text().splitlines()[0]
    junit = (folder / "junit.xml").read_text()

    assert [fact for fact in (*known, "2026-11-20 08:00", run.trials[0].key) if fact not in page] == []
    for text in (line, junit):
        assert [fact for fact in [*known[:1], *known[2:]] if fact not in text] == []
    summary = (folder / "summary.md").read_text()
    assert all(digest[:12] in summary for digest in [*agents, "a" * 64])
    assert "2026-11-23" in summary and "9.8" in summary and "7.6" in summary


def test_every_row_for_programs_says_where_its_numbers_come_from(run: Run, folder: Path) -> None:
    from pyarrow import parquet

    for table in ("trials", "tasks", "variants"):
        with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = parquet.read_table(folder / f"{table}.parquet").to_pylist()
        for row in (rows[-1], columns[-1]):
            said = " ".join(str(value) for value in row.values())
            agent = run.variants["draft"].digest
            wanted = (agent, "a" * 64, "claude-haiku-4-5-20251001", "agent-workbench 9.8, anthropic 7.6")
            assert [fact for fact in wanted if fact not in said] == [], table
            assert ("genai-prices" in said) == (table != "tasks"), "tasks have no cost"
    assert rows[-1]["variant"] == "draft"


def test_what_a_run_does_not_record_is_said_to_be_not_recorded() -> None:
    cells = dict(provenance_table(provenance(make_run({"base": passes(PASSES_A)}))).rows)

    assert cells["Task file"] == "not recorded (12 tasks)"
    assert cells["Answered between"] == "not recorded"


def test_tables_for_programs_hold_every_trial_with_its_key(run: Run, folder: Path) -> None:
    from pyarrow import parquet

    table = parquet.read_table(folder / "trials.parquet")
    about = json.loads(table.schema.metadata[b"workbench"])
    rows = list(csv.DictReader(io.StringIO((folder / "trials.csv").read_text(encoding="utf-8"))))
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]

    keys = [trial.key for trial in run.trials]
    assert table.column("key").to_pylist() == [row["key"] for row in rows] == [line["key"] for line in lines] == keys
    assert table.column("score").to_pylist() == [line["score"] for line in lines] == [float(r["score"]) for r in rows]
    assert about["agents"] == {name: agent.digest for name, agent in run.variants.items()}
    assert lines[0]["reply"]["text"] == "A reply." == rows[0]["reply"]
    assert lines[0]["usd"] == pytest.approx(0.00205)


def test_missing_numbers_are_empty_in_every_table(tmp_path: Path) -> None:
    from pyarrow import parquet

    write_report(make_run({"base": [[1.0], [None]]}), tmp_path, formats=["csv", "parquet", "jsonl"])

    rows = list(csv.DictReader(io.StringIO((tmp_path / "trials.csv").read_text())))
    assert (rows[1]["score"], rows[1]["reply"], rows[1]["explanation"]) == ("", "", "overloaded_error: Overloaded")
    assert parquet.read_table(tmp_path / "trials.parquet").column("reply").to_pylist() == ["A reply.", None]
    assert json.loads((tmp_path / "trials.jsonl").read_text().splitlines()[1])["usd"] is None


def suites_of(folder: Path) -> list[ElementTree.Element]:
    return ElementTree.parse(folder / "junit.xml").getroot().findall("testsuite")


def test_junit_has_a_case_for_each_task_of_each_variant_but_the_baseline(tmp_path: Path) -> None:
    scores = [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [None] * 3, [1.0] * 3]
    run = make_run({"base": [[0.0] * 3] * 3 + [[1.0] * 3], "b": scores, "c": [[1.0] * 3] * 4})
    run = replace(run, trials=tuple(trial for trial in run.trials if (trial.task_id, trial.variant) != ("task-3", "c")))

    write_report(run, tmp_path, formats=["junit"])

    b, c = suites_of(tmp_path)
    found = {
        case.get("name"): [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        for case in b.findall("testcase")
    }
    assert found == {"task-0": [], "task-1": ["failure"], "task-2": ["error"], "task-3": []}
    assert [b.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "1", "1", "0"]
    assert (c.get("skipped"), b.findall("testcase")[0].get("classname")) == ("1", "b")
    assert [child.tag for child in b] == ["properties", *["testcase"] * 4, "system-out", "system-err"]
    properties = {each.get("name"): each.get("value") for each in b.iter("property")}
    assert (properties["baseline"], properties["baseline_score"]) == ("base", "0.2500")
    assert properties["baseline_agent_sha256"] == run.variants["base"].digest != properties["agent_sha256"]


def test_junit_of_a_better_run_has_no_failures(tmp_path: Path) -> None:
    run = make_run({"base": [[0.0] * 3] * 4, "b": [[1.0] * 3] * 4})

    write_report(run, tmp_path, formats=["junit"])
    assert [(suite.get("name"), suite.get("failures")) for suite in suites_of(tmp_path)] == [("b", "0")]

    write_report(run, tmp_path, formats=["junit"], baseline="b")
    assert [(suite.get("name"), suite.get("failures")) for suite in suites_of(tmp_path)] == [("base", "4")]


def test_junit_of_one_variant_has_that_one(tmp_path: Path) -> None:
    write_report(make_run({"base": [[0.0] * 3] * 4}), tmp_path, formats=["junit"])

    [suite] = suites_of(tmp_path)
    assert (suite.get("name"), suite.get("failures")) == ("base", "4")
    assert not [each for each in suite.iter("property") if str(each.get("name")).startswith("baseline")]


def test_summary_is_short_and_says_verdict_flips_and_cost(folder: Path) -> None:
    summary = (folder / "summary.md").read_text(encoding="utf-8")

    assert summary.startswith("### Promising, not established: architect\n")
    assert "\n- base\n- draft: prompt: 1 line added, 1 removed\n" in summary.replace("\u2060", "")
    assert "| task-11 | group 3 | draft | 25.0 | 75.0 | +50.0 | now passes |" in summary
    assert "| 0.0984 |" in summary
    assert len(summary) < 4_000


@pytest.mark.usefixtures("without_pictures")
def test_more_than_two_variants_are_ranked_and_counted(tmp_path: Path) -> None:
    run = make_run({name: passes(counts) for name, counts in (("a", PASSES_A), ("b", PASSES_B), ("c", PASSES_A))})

    write_report(run, tmp_path, formats=["html", "md"], baseline="c")

    assert "1 promising, not established" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "Ranking of 3 variants" in soup_of(tmp_path).get_text()


@pytest.mark.usefixtures("without_pictures")
def test_each_variant_and_trial_says_where_it_was_answered(tmp_path: Path) -> None:
    run = make_run({"base": passes(PASSES_A), "local": passes(PASSES_B)})
    here = Endpoint(kind="server", base_url="http://127.0.0.1:9")
    moved = tuple(replace(trial, endpoint=here) if trial.variant == "local" else trial for trial in run.trials)

    write_report(replace(run, trials=moved), tmp_path, formats=("csv", "html"))

    with (tmp_path / "variants.csv").open(encoding="utf-8") as file:
        rows = {row["variant"]: row["endpoint"] for row in csv.DictReader(file)}
    assert rows == {"base": "https://api.anthropic.com", "local": "http://127.0.0.1:9"}
    facts = [each.get_text() for each in soup_of(tmp_path).select("p.soft") if "agent sha256" in each.get_text()]
    assert facts
    assert sum("127.0.0.1:9" in each for each in facts) == sum("api.anthropic.com" in each for each in facts) > 0


@pytest.mark.usefixtures("without_pictures")
def test_stand_in_is_named_before_anything_else(tmp_path: Path) -> None:
    run = make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)}, endpoint=STAND_IN, model="offline-stand-in")

    write_report(run, tmp_path, formats=["html", "md", "csv"])

    assert "OFFLINE STAND-IN" in soup_of(tmp_path).select_one(".banner").get_text()
    assert (tmp_path / "summary.md").read_text(encoding="utf-8").startswith("### Offline stand-in: promising")
    assert "nothing was paid" in (tmp_path / "variants.csv").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": ["pdf"]}, r"'pdf' is no format of a report; there are html, csv"),
        ({"formats": []}, "nothing is no format"),
        ({"baseline": "nosuch"}, "nosuch"),
    ],
)
def test_what_cannot_be_reported_is_refused_before_anything_is_written(
    run: Run, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ComparisonError, match=message):
        write_report(run, tmp_path / "out", **options)  # type: ignore[arg-type]

    assert not (tmp_path / "out").exists()


def test_folder_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(FileError, match=r"file.*cannot be written"):
        write_report(run, tmp_path / "file", formats=["md"])


def test_a_folder_in_the_place_of_a_file_is_named_and_nothing_else_is_left(run: Run, tmp_path: Path) -> None:
    (tmp_path / "summary.md").mkdir()

    with pytest.raises(FileError, match=r"summary\.md: cannot be written: Is a directory") as raised:
        write_report(run, tmp_path, formats=["md"])
    assert ".report-part" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.md"]


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "second name"])
def test_no_report_is_written_through_what_is_in_the_place_of_its_file(run: Run, tmp_path: Path, kind: str) -> None:
    """The folder may be in a record, and that from anybody."""
    mine, page = tmp_path / "mine.txt", tmp_path / "record" / "report" / "summary.md"
    page.parent.mkdir(parents=True)
    if kind != "dangling link":
        mine.write_text("Mine.")
    if kind == "pipe":
        os.mkfifo(page)
    elif kind == "second name":
        os.link(mine, page)
    else:
        page.symlink_to(mine)

    [written] = write_report(run, page.parent, formats=["md"])

    assert written == page and page.is_file() and not page.is_symlink()
    assert mine.read_text() == "Mine." if kind != "dangling link" else not mine.exists()


def test_no_report_is_written_through_a_link_in_a_record_and_one_of_ones_own_may_be_named(
    run: Run, tmp_path: Path
) -> None:
    record = export_record(run, tmp_path / "record")
    mine = tmp_path / "mine"
    mine.mkdir()
    for link in (record / "report", tmp_path / "link"):
        link.symlink_to(mine)

    with pytest.raises(FileError, match=r"report: is a link in the folder of a record.*; remove it, or name another"):
        write_report(run, record / "report", formats=["md"])
    assert list(mine.iterdir()) == []
    write_report(run, tmp_path / "link", formats=["md"])
    assert [path.name for path in mine.iterdir()] == ["summary.md"]


def test_formats_are_those_that_the_command_names() -> None:
    assert FORMATS == ("html", "csv", "parquet", "json", "jsonl", "junit", "md")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("  @SUM(A1)", "  '@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\r-1", "'\n'-1"),
        ("a;=1", "a;'=1"),
        ('x",+1', 'x",+1'),
        ("line\n- item", "line\n- item"),
        ("- item", "'- item"),
        ("line\n- SUM(A1)", "line\n'- SUM(A1)"),
        ("line\n-1+cmd|' /C calc'!A0", "line\n'-1+cmd|' /C calc'!A0"),
        ("line;+'[b.xlsx]Sheet 1'!A1", "line;'+'[b.xlsx]Sheet 1'!A1"),
        ("line\n=A1", "line\n'=A1"),
        ("95 % CI [+12.0, +24.0]", "95 % CI [+12.0, +24.0]"),
        ("'=1", "''=1"),
        ("'\tx", "''\tx"),
        ("＝1", "'＝1"),
        ("\x1b[31m=1", "<U+001B>[31m=1"),
        ("\x00=1", "<U+0000>=1"),
        ("a - b = c, d", "a - b = c, d"),
        ("x=1", "x=1"),
    ],
)
def test_no_cell_begins_a_formula(text: str, cell: str) -> None:
    assert cell_text(text) == cell
    assert text_of_cell(cell) == visible_lines(text)


@given(st.text(alphabet="=+-@;|\t\n'\" a1(!A,\uff1d", max_size=30))
def test_the_text_of_a_cell_is_read_back(text: str) -> None:
    assert text_of_cell(cell_text(text)) == visible_lines(text)


def test_a_list_stays_as_it_was_in_csv_and_pandas_reads_every_text_back(tmp_path: Path) -> None:
    replies = ["I would say:\n- this\n- that, and more\n\n| a | - |\n|---|---|", "=1+1\n- f(x)", "'- x", "[+1, -2]"]
    run = make_run({"A": passes((1, 2)), "B": passes((2, 1))})
    run = replace(
        run,
        trials=tuple(
            trial.replace(reply=replace(trial.reply, text=replies[n % 4])) for n, trial in enumerate(run.trials)
        ),
    )
    write_report(run, tmp_path, formats=["csv"])

    read = pd.read_csv(tmp_path / "trials.csv")["reply"].tolist()

    assert read[0] == replies[0]
    assert read[3] == replies[3]
    assert [text_of_cell(cell) for cell in read] == [replies[n % 4] for n in range(len(run.trials))]


def test_what_all_attempts_took_stands_in_csv_page_and_summary(tmp_path: Path) -> None:
    write_report(paid_run(), tmp_path, formats=["csv", "html", "md"], baseline="A")

    variants = pd.read_csv(tmp_path / "variants.csv").set_index("variant")
    assert variants["paid_usd"].tolist() == [pytest.approx(3 * 0.00205), pytest.approx(2 * 0.00205 + 3 * 0.001)]
    assert variants["paid_cache_read_tokens"].tolist() == [1500, 1000]
    assert variants["paid_cache_written_tokens"].tolist() == [0, 120]
    trials = pd.read_csv(tmp_path / "trials.csv")
    assert trials["paid_usd"].tolist()[-1] == pytest.approx(0.001), "a failed trial was paid for too"
    assert trials["paid_cache_read_tokens"].tolist() == [500, 500, 500, 500, 500, 0]
    for name in ("report.html", "summary.md"):
        text = html.unescape((tmp_path / name).read_text(encoding="utf-8"))
        assert "Paid, all attempts" in text, name
        assert ">= 0.0071 USD: 5 attempts" in text, name
