"""`workbench site`: agents by nights as a folder that opens from a disk."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner, Result

from tests.runs import PASSES_B, STAND_IN, gradable, make_run, passes
from tests.test_history import AGENT, night
from workbench.cli import main
from workbench.comparison import report
from workbench.comparison.history import load_history
from workbench.comparison.site import Site, write_site
from workbench.grading.catalogue import standard
from workbench.trial.record import export_record
from workbench.trial.trial import GraderFactory, Run

EVIL = "<script>alert(1)</script>"
OURS = Path(report.__file__).with_name("page.js").read_text(encoding="utf-8")
HASH_OF_OURS = base64.b64encode(hashlib.sha256(OURS.encode()).digest()).decode()


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two agents: one that falls in the last night, one that was there in the first night only, named to do harm."""
    folder = tmp_path_factory.mktemp("site") / "nightly"
    night(folder / "falls", "2026-11-27", [3, 3, 2, 3, 3, 2])
    night(folder / "falls", "2026-11-28", [0, 0, 0, 0, 1, 0])
    night(folder / "a", "2026-11-27", [1, 2, 3], agent=AGENT.replace("planner", EVIL))
    (folder / "2026-11-28" / "broken").mkdir(parents=True)
    (folder / "2026-11-28" / "broken" / "run.json").write_text("{}")
    return folder


def site(records: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["site", str(records), *arguments])


@pytest.fixture(scope="module")
def done(records: Path) -> Result:
    return site(records)


def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_each_agent_is_a_row_and_each_night_a_column_the_fallen_first(records: Path, done: Result) -> None:
    assert done.exit_code == 1, done.output
    assert "left out  2026-11-28/broken: " in done.output
    index = soup(records / "site" / "index.html")

    headings = [cell.text for cell in index.select("thead th")]
    worst = "Worst promise, since the first night"
    assert headings == [
        *("Agent", "Trend", "Last night, since the one before", worst, "Model", "USD of the last night"),
        *("2026-11-28", "2026-11-27"),
    ]
    rows = [[cell.get_text(" ", strip=True) for cell in row.select("th, td")] for row in index.select("tbody tr")]
    assert [row[0] for row in rows] == ["planner falls/nightly-planner", f"{EVIL} a/nightly-planner"]
    assert re.match(r"lower -83\.3 \[-\d+\.\d, -\d+\.\d\]", rows[0][2]), rows[0]
    assert rows[1][2:4] == ["its first night", "its first night"]
    assert [row[6] == "no record" for row in rows] == [False, True]
    assert re.match(r"88\.9 \[", rows[0][7]), rows[0]
    assert all(cell for row in rows for number, cell in enumerate(row) if number != 1), "a cell without a word"
    assert rows[0][3].startswith("asks -83.3 [")
    assert index.select_one("tbody .lower") is not None
    assert index.select("h2 + ul")[0].text.strip().startswith("2026-11-28/broken: 2026-11-28/broken/run.json: ")


def test_every_link_of_the_folder_leads_to_a_page_in_it_wherever_it_stands(
    records: Path, done: Result, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "site"
    shutil.copytree(records / "site", elsewhere)
    seen, waiting = set(), [elsewhere / "index.html"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        for link in soup(page).select("a[href]"):
            target = str(link["href"])
            if not target.startswith("#"):
                path = (page.parent / unquote(target)).resolve()
                assert path.is_relative_to(elsewhere) and path.is_file(), target
                if path not in seen:
                    waiting.append(path)
    assert len([page for page in seen if page.name == "report.html"]) == 3
    assert seen == set(elsewhere.rglob("*.html")), "no page that nobody finds"


def test_no_page_loads_anything_and_reports_alone_have_our_one_script(records: Path, done: Result) -> None:
    pages = list((records / "site").rglob("*.html"))
    assert len(pages) == 6
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert EVIL not in text
        policy = soup(page).select("meta[http-equiv=Content-Security-Policy]")[0]["content"]
        assert str(policy).startswith("default-src 'none'")
        assert not soup(page).select("link, iframe, object, embed, img[src^=http]")
        scripts = soup(page).select("script")
        assert [(script.attrs, script.string) for script in scripts] == (
            [({}, OURS)] if page.name == "report.html" else []
        )
        allowed = re.findall(r"script-src ([^;]*);", str(policy))
        assert allowed == ([f"'sha256-{HASH_OF_OURS}'"] if scripts else [])


def test_reports_name_file_and_commit_of_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".claude/agents").mkdir(parents=True)
    (tmp_path / ".claude/agents/planner.md").write_text(AGENT)
    name = ("-c", "user.name=me", "-c", "user.email=me@localhost", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "."), (*name, "commit", "-qm", "first")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)
    night(tmp_path / "outputs", "2026-11-27", [3, 3, 2])
    monkeypatch.chdir(tmp_path)

    assert site(tmp_path / "outputs").exit_code == 0
    [page] = (tmp_path / "outputs/site/records").rglob("report.html")
    assert ".claude/agents/planner.md, commit " in soup(page).select("ul.agents")[0].text


def test_a_report_is_made_again_only_for_another_record(tmp_path: Path) -> None:
    night(tmp_path / "nightly", "2026-11-27", [3, 3, 2])
    first, again = site(tmp_path / "nightly"), site(tmp_path / "nightly")
    night(tmp_path / "nightly", "2026-11-27", [3, 3, 1])
    other = site(tmp_path / "nightly")

    found = [re.findall("reports   (.*)", each.output)[0] for each in (first, again, other)]
    assert found == ["1 made, 0 kept", "0 made, 1 kept", "2 made, 0 kept"]
    assert (first.exit_code, again.exit_code) == (0, 0)
    data = json.loads((tmp_path / "nightly/site/site.json").read_text())
    assert [[night["replies"] for night in each["nights"]] for each in data["history"]["agents"]] == [[9, 9]]


def test_a_report_is_made_again_where_a_grader_changed_and_says_what_the_index_says(tmp_path: Path) -> None:
    night(tmp_path, "2026-11-27", [3, 3, 2])

    def pages(graders: dict[str, GraderFactory]) -> Site:
        return write_site(
            load_history(tmp_path, graders=graders), tmp_path, tmp_path / "site", graders=graders, most_nights=9
        )

    usual = dict(standard())
    strict: dict[str, GraderFactory] = {**usual, "asks_question": lambda: lambda task, reply: False}
    found = [pages(graders) for graders in (usual, usual, strict, strict)]

    assert [(each.made, each.kept) for each in found] == [(1, 0), (0, 1), (1, 0), (0, 1)]
    index, page = soup(tmp_path / "site/index.html"), next((tmp_path / "site/records").rglob("report.html"))
    assert index.select("tbody td.number a")[0].text.startswith("0.0"), index.select("tbody")
    assert "88.9" not in soup(page).text


def test_the_latest_nights_stand_in_the_index_and_all_on_the_page_of_the_agent(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        night(tmp_path / "nightly", f"2026-10-0{day}", [3])
    site(tmp_path / "nightly", "--nights", "2")

    index = soup(tmp_path / "nightly/site/index.html")
    [agent] = (tmp_path / "nightly/site/agents").iterdir()
    assert [cell.text for cell in index.select("thead th")][6:] == ["2026-10-03", "2026-10-02"]
    assert len(soup(agent).select("tbody tr")) == 3
    assert "3, the last 2 here" in index.text


def test_each_comparison_is_a_row_with_its_verdict_in_words_the_worst_first(tmp_path: Path) -> None:
    worse = [max(0, count - 2) for count in PASSES_B]
    two = {"base": passes(PASSES_B)}
    for name, run in (
        ("job-1", make_run({**two, "variant": passes(PASSES_B)})),
        ("job-2", make_run({**two, "variant": passes(worse)})),
        ("job-3", make_run({**two, "variant": [[None] * 4] * 12})),
        ("job-4", make_run({**two, "variant": passes(worse)}, endpoint=STAND_IN)),
    ):
        export_record(dated(gradable(run)), tmp_path / "outputs" / name)
    done = site(tmp_path / "outputs")
    again = site(tmp_path / "outputs")
    index = soup(tmp_path / "outputs/site/index.html")

    assert (done.exit_code, "4 made" in done.output, "4 kept" in again.output) == (0, True, True), done.output
    assert [cell.text for cell in index.select("thead th")] == [
        *("Agent and file", "Verdict", "Worst promise", "Model", "USD", "Last reply on")
    ]
    rows = [[cell.get_text(" ", strip=True) for cell in row.select("th, td")] for row in index.select("tbody tr")]
    assert [row[0] for row in rows] == [f"architect job-{number}" for number in (2, 4, 3, 1)]
    assert re.match(r"worse -4\d\.\d \[", rows[0][1])
    assert rows[0][2].startswith("grade -4")
    assert rows[0][3:] == ["claude-haiku-4-5-20251001", rows[0][4], "2026-11-29"]
    assert [row[1].split(" -")[0] for row in rows[1:]] == [
        "stand-in: worse",
        "no verdict",
        "identical replies 0.0 [-24.2, +24.2]",
    ]
    assert [row.td.get("class") for row in index.select("tbody tr")] == [["bad"], None, None, None]
    assert [link["href"].split("/")[1][:5] for link in index.select("tbody th a")] == [
        "job-2",
        "job-4",
        "job-3",
        "job-1",
    ]


def dated(run: Run) -> Run:
    """The run, every reply of one day."""
    return replace(
        run,
        trials=tuple(
            trial if trial.reply is None else trial.replace(reply=replace(trial.reply, at="2026-11-29T10:00:00Z"))
            for trial in run.trials
        ),
    )


def test_a_page_of_something_else_is_left_alone(tmp_path: Path) -> None:
    night(tmp_path / "nightly", "2026-11-27", [3])
    (tmp_path / "nightly" / "index.html").write_text("mine")

    refused = site(tmp_path / "nightly", "--out", str(tmp_path / "nightly"))

    assert (refused.exit_code, "name another folder" in refused.output) == (2, True)
    assert (tmp_path / "nightly" / "index.html").read_text() == "mine"
    assert site(tmp_path / "nowhere").exit_code == 2


def test_a_site_that_was_not_written_to_its_end_is_written_anew(tmp_path: Path) -> None:
    night(tmp_path / "nightly", "2026-11-27", [3])
    index = tmp_path / "nightly/site/index.html"
    index.parent.mkdir()
    index.symlink_to(tmp_path / "nowhere/index.html")  # the index cannot be written, as all before it can
    stopped = site(tmp_path / "nightly")
    index.unlink()
    index.write_text("half of it")

    assert (stopped.exit_code, site(tmp_path / "nightly").exit_code) == (2, 0)
    assert index.read_text() != "half of it"
