"""The tables of a report without a kernel or a network: they sort, filter and turn pages, and are whole without scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import new_page, serious_violations
from tests.browser.test_report import FAINTEST, LOOKS, reading
from tests.runs import make_run, passes
from workbench.comparison.report.write import write_report

REPLY = "## Plan\n\n1. **First** the `schema`.\n2. Then this: <b>raw</b>\n\n| part | size |\n|---|---|\n| one | 2 |\n"
COUNTS = tuple((number * 7) % 5 for number in range(40))
TASKS = ".sortable[data-what=tasks]"
TRIALS = ".sortable[data-what=trials]"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 tasks, 320 trials: seven pages of rows."""
    run = make_run({"base": passes(COUNTS), "draft": passes(COUNTS[::-1])}, text=REPLY)
    return write_report(run, tmp_path_factory.mktemp("report"), formats=["html"])[0]


def column(reader: Any, place: str, number: int) -> list[str]:
    cells: list[str] = reader.locator(f"{place} tbody tr").evaluate_all(
        "(rows, number) => rows.map(row => row.cells[number].textContent.trim())", number
    )
    return cells


def test_a_table_sorts_by_any_heading_and_says_how(page: Any, report: Path) -> None:
    with reading(page, "light") as reader:
        reader.goto(report.as_uri())
        base = reader.locator(f"{TASKS} th", has_text="base").first
        number = base.evaluate("heading => heading.cellIndex")
        assert base.inner_text() == "base"

        base.get_by_role("button").click()
        rising = [float(cell) for cell in column(reader, TASKS, number)]
        base.get_by_role("button").press("Enter")
        falling = [float(cell) for cell in column(reader, TASKS, number)]

        assert rising == sorted(rising) and falling == rising[::-1] and len(set(rising)) == 5
        assert base.get_attribute("aria-sort") == "descending"
        reader.locator(f"{TASKS} th button", has_text="Task").click()
        assert base.get_attribute("aria-sort") is None
        assert column(reader, TASKS, 0) == sorted(column(reader, TASKS, 0))


def test_every_row_is_reached_by_pages_and_found_by_a_word(page: Any, report: Path) -> None:
    with reading(page, "light") as reader:
        reader.goto(report.as_uri())
        reader.get_by_text("All trials as a table").click()
        tools = reader.locator(f".tools:has(+ {TRIALS})")
        seen = set()
        while True:
            rows = reader.locator(f"{TRIALS} tbody tr").evaluate_all("rows => rows.map(row => row.textContent)")
            assert 0 < len(rows) <= 50
            links = reader.locator(f"{TRIALS} tbody a").evaluate_all("all => all.map(each => each.hash)")
            seen |= set(links)
            if tools.get_by_role("button", name="Later rows").is_disabled():
                break
            tools.get_by_role("button", name="Later rows").click()
        assert len(seen) == 320
        assert tools.get_by_role("status").inner_text() == "301 to 320 of 320 rows"

        tools.get_by_role("searchbox").fill("TASK-39")
        assert tools.get_by_role("status").inner_text() == "8 of 320 rows"
        assert set(column(reader, TRIALS, 0)) == {"task-39"}
        tools.get_by_role("searchbox").fill("no such thing")
        assert reader.locator(f"{TRIALS} tbody tr").count() == 0
        tools.get_by_role("searchbox").fill("task-38")
        reader.locator(f"{TRIALS} tbody a").first.click()
        assert reader.locator(".searched details[open] details[open] .as-markdown").count() == 1, (
            "its link opens a trial"
        )

        reader.get_by_label("Find in tasks and replies").fill("question 12")
        assert reader.locator(".searched > details:visible").count() == 1


def test_a_reply_is_shown_as_markdown_and_by_a_switch_as_it_was_written(page: Any, report: Path) -> None:
    with reading(page, "light") as reader:
        reader.goto(report.as_uri())
        reader.evaluate("document.querySelectorAll('.searched details').forEach((each, at) => { each.open = at < 2 })")
        rendered, written = (
            reader.locator(f".searched details[open] .{name}").first for name in ("as-markdown", "as-text")
        )

        assert rendered.locator("ol > li").count() == 2
        assert "<b>raw</b>" in rendered.inner_text()
        assert (rendered.is_visible(), written.is_visible()) == (True, False)
        reader.get_by_label("Replies as they were written").check()
        assert (rendered.is_visible(), written.is_visible()) == (False, True)
        assert written.locator("pre").inner_text().strip() == REPLY.strip()


def test_without_scripts_all_rows_and_both_forms_of_a_reply_are_there(page: Any, report: Path) -> None:
    context = page.context.browser.new_context(offline=True, java_script_enabled=False)
    reader = new_page(context)
    reader.goto(report.as_uri())

    assert reader.locator(f"{TASKS} tbody tr").count() == 40
    assert reader.locator(f"{TRIALS} tbody tr").count() == 320
    assert reader.locator(".tools").count() == 0
    reader.locator(".searched > details > summary").first.click()
    reader.locator(".searched > details > details > summary").first.click()
    reader.get_by_label("Replies as they were written").check()
    assert reader.locator(".searched details[open] .as-text").first.is_visible()
    context.close()


@pytest.mark.parametrize("look", LOOKS)
def test_its_tools_are_for_everybody_in_every_look(page: Any, report: Path, screenshots: Path, look: str) -> None:
    with reading(page, look) as reader:
        reader.goto(report.as_uri())
        reader.get_by_text("All trials as a table").click()
        reader.evaluate("document.querySelectorAll('.searched details').forEach((each, at) => { each.open = at < 2 })")

        assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert reader.evaluate(FAINTEST) >= 4
        assert serious_violations(reader, reader.locator("main")) == []
        reader.locator("#trials").scroll_into_view_if_needed()
        reader.screenshot(path=screenshots / f"report-table-{look}.png")
