"""The results table in JupyterLab: sorted, filtered, searched and opened, by mouse and by keyboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import PROJECT, Lab, Notebook, new_page, open_notebook, serious_violations
from .test_author import contrast, luminance

HOSTILE = (
    '<img src="https://elsewhere.invalid/x" onerror="window.hostile=1"><script>window.hostile=1</script> '
    "[link](javascript:window.hostile=1) ![](https://elsewhere.invalid/y) \x1b[31mred \u202egnihton"
)
BEGIN = f"""
import sys
sys.path.insert(0, {str(PROJECT)!r})
import dataclasses
import workbench as wb
from tests.runs import GROUPS, PASSES_A, PASSES_B, make_run, passes

HOSTILE = {HOSTILE!r}
RTL = "اكتب الجواب بالعربية ثم 日本語で答えてください。"
run = make_run({{"base": passes(PASSES_A), "terse": passes(PASSES_B)}}, groups=GROUPS)

def saying(run, text_of):
    trials = (
        trial.replace(reply=dataclasses.replace(trial.reply, text=text_of(number, trial)))
        for number, trial in enumerate(run.trials)
    )
    return dataclasses.replace(run, trials=tuple(trials))

special = {{5: HOSTILE * 3, 6: RTL, 7: "A very long line. " * 290_000 + HOSTILE + "The end of it."}}
words = {{"base": "Then explain why, at length.", "terse": "Then stop."}}
run = saying(
    run, lambda n, trial: special.get(n, f"Reply {{n}}.\\n\\nKeep {{trial.task_id}} small. {{words[trial.variant]}}")
)
agents = {{name: agent.replace(prompt=f"Keep it small.\\n{{words[name]}}\\n") for name, agent in run.variants.items()}}
comparison = wb.compare(dataclasses.replace(run, variants=agents), baseline="base")
"""
SHOW = "table = wb.ResultsTable(comparison)\ntable"
PLAIN = "display(comparison.plot('tasks'), comparison.pair('task-1'))"
MANY = "table = wb.ResultsTable(wb.compare(make_run({'a': [[1.0] * 50] * 60, 'b': [[0.0] * 50] * 60}), baseline='a'), wb.Rows())\ntable"


class Table:
    """The table in the page, by what a person sees of it."""

    def __init__(self, notebook: Notebook, place: Any) -> None:
        self.notebook = notebook
        self.page = notebook.page
        self.place = place

    def tab(self, name: str) -> None:
        self.place.get_by_role("tab", name=re.compile(rf"^{name} \(")).click()
        self.wait_for(f"table.rows.of == {name.lower()!r}")
        self.place.get_by_role("status").get_by_text(re.compile(f" {name.lower()}[.,]")).wait_for()

    def says(self, text: str, *, exact: bool = False) -> None:
        self.place.get_by_role("status").get_by_text(text, exact=exact).wait_for()

    def press(self, name: str) -> None:
        self.place.get_by_role("button", name=name, exact=True).click()

    def cells(self, column: str) -> list[str]:
        """What the rows that are drawn have in this column."""
        heads = [head.strip("▲▼") for head in self.place.get_by_role("columnheader").all_text_contents()]
        at = heads.index(column)
        rows = self.place.locator(".wr-body .wr-row").evaluate_all(
            "(rows, at) => rows.sort((a, b) => a.dataset.index - b.dataset.index).map(row => row.children[at].textContent)",
            at,
        )
        return [str(cell) for cell in rows]

    def heading(self, name: str) -> Any:
        return self.place.get_by_role("columnheader", name=name)

    def open_row(self, text: str) -> Any:
        self.place.get_by_role("gridcell", name=text).first.click()
        return self.place.get_by_label("Trial", exact=True)

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.textContent"))

    def wait_for(self, expression: str) -> None:
        self.notebook.wait_for(expression)

    def value(self, expression: str) -> Any:
        return self.notebook.value(expression)


@pytest.fixture(scope="module")
def notebook(lab: Lab, page: Any) -> Iterator[Notebook]:
    """A notebook that makes a comparison and shows a table of it; its cells may be run again."""
    cells = [
        {"cell_type": "code", "id": id, "metadata": {}, "outputs": [], "source": source, "execution_count": None}
        for id, source in (("begin", BEGIN), ("show", SHOW), ("many", MANY), ("plain", PLAIN))
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    document = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    (lab.root / "notebooks" / "results.ipynb").write_text(json.dumps(document))
    with open_notebook(lab, page, "notebooks/results.ipynb") as opened:
        opened.run_cell("begin")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield opened


@pytest.fixture
def table(notebook: Notebook) -> Table:
    """A new table of the comparison."""
    return shown(notebook, "show")


def shown(notebook: Notebook, cell: str) -> Table:
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    notebook.run_cell(cell)
    place = notebook.page.get_by_role("group", name="Results table")
    place.wait_for()
    return Table(notebook, place)


def test_tasks_stand_side_by_side_and_lead_to_their_trials(table: Table, screenshots: Any) -> None:
    assert table.cells("Task")[-1] == "task-11"
    assert table.cells("terse - base")[-1] == "▲ +50.0 now passes"
    table.page.screenshot(path=screenshots / "results-tasks.png")
    table.place.get_by_role("gridcell", name="task-11").click()
    table.says("8 of 96 trials")

    assert table.value("repr(table.rows)") == "Rows(of='trials', task='task-11')"
    assert set(table.cells("Task")) == {"task-11"}
    assert table.value("table.shown['task'].unique().tolist()") == ["task-11"]
    table.tab("Tasks")
    table.says("12 tasks.", exact=True)


def test_any_column_sorts_by_click_and_by_enter(table: Table) -> None:
    table.heading("terse - base").click()
    table.says("by terse - base, ascending")
    assert table.cells("terse - base")[0] == "▼ -25.0"
    table.page.keyboard.press("Enter")
    table.says("descending")

    assert table.heading("terse - base").get_attribute("aria-sort") == "descending"
    assert table.cells("terse - base")[0].startswith("▲ +50.0")
    assert table.cells("Task") == table.value("table.shown.index.tolist()")
    table.page.keyboard.press("Enter")
    table.says("12 tasks.", exact=True)
    assert table.heading("terse - base").get_attribute("aria-sort") == "none"


def test_filters_and_search_say_what_is_left(table: Table) -> None:
    table.tab("Trials")
    table.place.get_by_label("What flipped").select_option("▲ now passes")
    table.says("8 of 96 trials")
    table.place.get_by_label("Score", exact=True).select_option("failed")
    table.place.get_by_label("Promise").select_option("grade")
    table.place.get_by_label("Variant", exact=True).select_option("base")
    table.says("3 of 96 trials")
    assert "grade" in [head.strip() for head in table.place.get_by_role("columnheader").all_text_contents()]
    table.place.get_by_label("Search").fill("KEEP TASK-11 small")
    table.wait_for("table.rows.text == 'KEEP TASK-11 small'")
    table.press("Copy as code")
    code = table.page.evaluate("navigator.clipboard.readText()")

    assert code == table.value("f'wb.ResultsTable(comparison, wb.{table.rows!r})'")
    assert table.value(f"repr({code}.rows) == repr(table.rows)")
    table.place.get_by_label("Search").fill("no reply says this")
    table.says("0 of 96 trials")
    table.place.get_by_text("None is left.").wait_for()
    table.press("Clear")
    table.says("96 trials.", exact=True)
    table.place.get_by_label("Task", exact=True).fill("task-3")
    table.page.keyboard.press("Tab")
    table.says("8 of 96 trials")


def test_a_trial_opens_in_full_and_closes_to_where_one_was(table: Table, screenshots: Any) -> None:
    table.tab("Trials")
    trial = table.open_row("Reply 1. Keep")
    trial.get_by_text("Then explain why").wait_for()
    for fact in ("found in A reply.", "1,500 in (500 from the cache), 200 out", "end_turn", "0.002050 USD"):
        trial.get_by_text(fact).wait_for()
    table.page.screenshot(path=screenshots / "results-trial.png")
    assert table.focused() == "task-0 · base · repeat 1"
    trial.get_by_role("button", name="Next trial").click()
    trial.get_by_role("heading", name="repeat 2").wait_for()
    table.wait_for("table.opened is comparison.run.trials[2]")
    table.page.keyboard.press("Escape")

    trial.wait_for(state="detached")
    table.wait_for("table.opened is None")
    assert table.page.evaluate("document.activeElement.closest('.wr-row').dataset.index") == "2"
    table.place.get_by_label("Search").focus()
    table.page.keyboard.press("Escape")
    assert table.page.evaluate("document.activeElement.closest('.wr-row').dataset.index") == "2"


def test_two_marked_replies_are_compared_beside_their_personas(table: Table, screenshots: Any) -> None:
    table.tab("Trials")
    boxes = table.place.get_by_role("checkbox", name="Mark to be compared")
    boxes.nth(0).click()
    boxes.nth(4).click()
    table.wait_for("[trial.variant for trial in table.selected] == ['base', 'terse']")
    table.press("Compare")
    pair = table.place.get_by_label("Two replies compared")
    pair.get_by_text("Persona: ").wait_for()
    table.page.screenshot(path=screenshots / "results-pair.png")

    removed = pair.get_by_label("Word diff of the replies").locator("del").all_text_contents()
    assert any("explain" in text for text in removed)
    assert pair.get_by_label("Persona diff").locator(".wr-line-removed, .wr-line-added").count() == 2
    assert table.value("table.pair.task.id") == "task-0"
    boxes.nth(5).click()
    pair.wait_for(state="detached")
    table.wait_for("[trial.repeat for trial in table.selected] == [0, 1]")
    table.press("Unmark")
    table.wait_for("table.selected == ()")
    table.open_row("Reply 9. Keep").get_by_role("button", name="Compare with the other variant").click()
    pair.get_by_role("heading", name='Task "task-1", repeat 1: "terse" against "base"').wait_for()


def test_a_copied_link_opens_the_table_at_that_trial(table: Table, lab: Lab) -> None:
    table.tab("Trials")
    table.open_row("Reply 10. Keep")
    table.press("Copy link to this trial")
    link = table.page.evaluate("navigator.clipboard.readText()")
    key = table.value("comparison.run.trials[10].key")
    assert link == f"{lab.url}/lab/tree/notebooks/results.ipynb#workbench-trial={key}"
    table.press("Close")
    table.wait_for("table.opened is None")
    assert table.value(f"table.open({link!r}) is comparison.run.trials[10]")
    table.place.get_by_role("heading", name="task-1 · base · repeat 2").wait_for()
    table.value("table.close()")
    table.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")

    other = table.page.context.browser.new_context()
    fresh = new_page(other)
    fresh.goto(f"{lab.url}/api/status?token={lab.token}")
    fresh.goto(link)
    heading = fresh.get_by_role("heading", name="task-1 · base · repeat 2")
    heading.wait_for()
    fresh.wait_for_function("document.activeElement.textContent === 'task-1 · base · repeat 2'")
    assert lab.token not in link
    other.close()
    assert "widgets" not in json.loads((lab.root / "notebooks" / "results.ipynb").read_text())["metadata"]


def test_hostile_and_very_long_replies_are_text_and_the_page_goes_on(table: Table) -> None:
    table.tab("Trials")
    trial = table.open_row("<img src=")
    trial.get_by_text("<U+202E>gnihton").first.wait_for()
    trial.get_by_text("<U+001B>[31mred").first.wait_for()
    trial.get_by_role("button", name="Compare with the other variant").click()
    table.place.get_by_label("Word diff of the replies").get_by_text("<U+202E>gnihton").first.wait_for()
    trial = table.open_row("A very long line.")
    text = trial.get_by_role("region", name="Reply")
    table.press(f"Show all {table.value('len(comparison.run.trials[7].reply.text)'):,} characters")
    text.get_by_text("The end of it.").wait_for(state="attached")
    assert text.evaluate("text => text.textContent.length") > 5_000_000
    text.press("End")
    table.page.wait_for_function(
        "() => { const text = document.querySelector('.wr-text'); return text.scrollTop > 100_000; }"
    )
    table.heading("Repeat").click()
    table.says("by Repeat")

    assert table.place.locator(":is(img, script, iframe, a)").count() == 0
    assert table.page.evaluate("window.hostile") is None


def test_long_tables_draw_what_is_in_sight_and_every_key_moves_in_them(notebook: Notebook) -> None:
    table = shown(notebook, "many")
    table.says("6,000 trials")
    press = table.page.keyboard.press
    table.place.get_by_role("gridcell", name="task-0").first.focus()
    seen = []
    for key in (
        "Control+End",
        "PageUp",
        "Home",
        "ArrowDown",
        "ArrowRight",
        "End",
        "Control+Home",
        "PageDown",
        "ArrowUp",
    ):
        press(key)
        seen.append(
            table.page.evaluate(
                "[Number(document.activeElement.parentElement.dataset.index), Number(document.activeElement.dataset.column)]"
            )
        )

    last = seen[0][1]
    assert seen[0][0] == 5999 and last > 5
    page = 5999 - seen[1][0]
    assert page > 5
    assert seen[2:] == [
        [5999 - page, 0],
        [6000 - page, 0],
        [6000 - page, 1],
        [6000 - page, last],
        [0, 0],
        [page, 0],
        [page - 1, 0],
    ]
    assert table.place.locator(".wr-body .wr-row").count() < 60
    assert table.place.get_by_role("grid").get_attribute("aria-rowcount") == "6001"


def test_the_walk_by_keyboard_alone(table: Table) -> None:
    keyboard = table.page.keyboard
    table.place.get_by_role("tab", name="Tasks").focus()
    keyboard.press("ArrowRight")
    table.says("96 trials.", exact=True)
    keyboard.press("/")
    keyboard.type("keep task-9 small")
    table.says("8 of 96 trials")
    for _ in range(20):
        keyboard.press("Tab")
        if table.page.evaluate("document.activeElement.getAttribute('role')") == "gridcell":
            break
    keyboard.press("Space")
    for _ in range(4):
        keyboard.press("ArrowDown")
    keyboard.press("Space")
    table.wait_for("len(table.selected) == 2")
    keyboard.press("Enter")
    table.wait_for("table.opened is table.selected[1]")
    table.place.get_by_label("Trial", exact=True).wait_for()
    keyboard.press("Escape")
    table.place.get_by_label("Trial", exact=True).wait_for(state="detached")
    for _ in range(3):
        keyboard.press("Tab")
        if table.focused() == "Compare":
            break
    keyboard.press("Enter")
    table.place.get_by_label("Two replies compared").wait_for()
    keyboard.press("Escape")

    table.place.get_by_label("Two replies compared").wait_for(state="detached")
    assert table.page.evaluate("document.activeElement.getAttribute('role')") == "gridcell"
    assert table.value("table.pair.task.id") == "task-9"
    keyboard.press("Escape")
    assert table.page.evaluate("document.activeElement.matches('.jp-Cell')")


def test_a_busy_kernel_is_said_and_answers_when_it_is_free(table: Table) -> None:
    # Some versions of ipykernel answer a page beside a cell: they wait for the table.
    table.notebook.kernel_client.execute("import time\nwith table.lock:\n    time.sleep(2.5)")
    table.heading("Task").click()
    table.place.get_by_text("The kernel is busy").wait_for()
    table.says("by Task, ascending")

    table.place.get_by_text("The kernel is busy").wait_for(state="hidden")


def test_a_kernel_that_is_gone_is_said_and_what_was_shown_stays(notebook: Notebook, table: Table) -> None:
    table.tab("Trials")
    table.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    table.place.get_by_text("The kernel is gone").wait_for()
    table.place.locator(".wr-grid").evaluate("grid => { grid.scrollTop = 1_000; }")
    table.place.get_by_role("gridcell", name="Reply 40. Keep").wait_for()
    notebook.run_cell("begin")

    shown(notebook, "show").says("12 tasks.", exact=True)


@pytest.fixture
def dark(page: Any) -> Iterator[None]:
    # The command ends before its theme is there. JupyterLab still takes away the style of the one before then, and
    # stumbles where the next is asked for meanwhile.
    for theme, is_light in (("JupyterLab Dark", "false"), ("JupyterLab Light", "true")):
        page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        page.locator(f"body[data-jp-theme-light={is_light}]").wait_for(state="attached")
        page.wait_for_timeout(1_000)
        if theme == "JupyterLab Dark":
            yield


def test_it_reads_well_in_the_dark_and_in_a_narrow_panel(dark: None, table: Table, screenshots: Any) -> None:
    contrasts = [contrast(table.place.get_by_text(text).first) for text in ("Search ( / )", "Variants (2)", "task-11")]
    table.tab("Trials")
    trial = table.open_row("اكتب")
    trial.get_by_role("button", name="Compare with the other variant").click()
    table.place.get_by_label("Word diff of the replies").wait_for()
    table.page.screenshot(path=screenshots / "results-dark.png")
    direction = trial.locator(".wr-block").first.evaluate("block => getComputedStyle(block).direction")
    table.place.evaluate("place => { place.parentElement.style.width = '320px'; }")
    table.page.screenshot(path=screenshots / "results-narrow-dark.png")
    overflow = table.place.evaluate(
        """place => [...place.querySelectorAll(':not(.wr-grid *)')]
          .filter(e => e.offsetParent && e.getBoundingClientRect().right > place.getBoundingClientRect().right + 1)
          .map(e => e.className + ' ' + e.textContent.slice(0, 40))"""
    )

    assert direction == "rtl"
    assert min(contrasts) >= 4.5
    assert overflow == []
    assert table.cells("Score")
    assert table.place.locator(".wr-grid").evaluate("grid => grid.scrollWidth <= grid.clientWidth")


def contrast_on_tint(element: Any) -> float:
    """The WCAG contrast of an element's text and what is behind it, where backgrounds let through what is below."""
    colours = element.evaluate(
        """element => {
          const found = [getComputedStyle(element).color];
          for (let at = element; at; at = at.parentElement) found.push(getComputedStyle(at).backgroundColor);
          return found.map(colour => colour.match(/[0-9.]+/g).map(Number));
        }"""
    )
    text, *behind = colours
    back = [255.0, 255.0, 255.0]
    for red, green, blue, *alpha in reversed(behind):
        share = alpha[0] if alpha else 1.0
        back = [share * ours + (1 - share) * below for ours, below in zip((red, green, blue), back, strict=True)]
    share = text[3] if len(text) > 3 else 1.0
    ink = [share * ours + (1 - share) * below for ours, below in zip(text[:3], back, strict=True)]
    darker, lighter = sorted(map(luminance, (ink, back)))
    return (lighter + 0.05) / (darker + 0.05)


def test_pictures_and_differences_follow_a_dark_theme(dark: None, notebook: Notebook) -> None:
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    notebook.run_cell("plain")
    picture = notebook.page.locator("img.workbench-picture")
    picture.wait_for()
    marks = notebook.page.locator(".jp-OutputArea :is(ins, del)")
    marks.first.wait_for()

    assert "invert" in picture.evaluate("picture => getComputedStyle(picture).filter")
    assert min(contrast_on_tint(marks.nth(number)) for number in range(min(6, marks.count()))) >= 4.5


def test_axe_finds_no_serious_violation(table: Table, request: pytest.FixtureRequest) -> None:
    found: dict[tuple[str, str], Any] = {}

    def check(state: str) -> None:
        found.update({(state, rule): nodes for rule, nodes in serious_violations(table.page, table.place)})

    check("tasks")
    table.tab("Variants")
    check("variants")
    table.tab("Trials")
    check("trials")
    trial = table.open_row("Reply 8. Keep")
    trial.get_by_text("What was asked").first.click()
    trial.get_by_role("button", name="Compare with the other variant").click()
    table.place.get_by_label("Word diff of the replies").wait_for()
    check("opened and compared")
    request.getfixturevalue("dark")
    check("opened and compared, in the dark")
    table.tab("Tasks")
    check("tasks, in the dark")

    assert found == {}
