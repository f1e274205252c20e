"""Executed notebooks as their readers open them: no kernel and no network, as a page and in JupyterLab."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.conftest import PROJECT, Lab, new_page, serious_violations
from tests.browser.test_report import FAINTEST
from tests.test_batch_index import TRIED
from workbench.headless.batch_index import write_index
from workbench.headless.job import Job
from workbench.headless.left_behind import JobOutcome, NotebookRun
from workbench.headless.notebook import run_notebook

TASKS = Path(__file__).parents[1] / "fixtures" / "two.tasks.yaml"
WORST = {"compare": "asks_question", "review": "No promise moved."}
"""By notebook, what its page says of the promise that its variant keeps less often than any other."""
WORDS = ("OFFLINE STAND-IN", "clarifying question")
_OPEN_WITHOUT_KERNEL = """async path => {
  const app = window.jupyterapp;
  await app.restored;
  const none = {shouldStart: false, canStart: false, autoStartDefault: false};
  const panel = await app.commands.execute('docmanager:open', {path, factory: 'Notebook', kernelPreference: none});
  await panel.context.ready; await panel.revealed;
  app.shell.activateById(panel.id);
  return panel.sessionContext.session === null;
}"""
_CLOSE = """async () => {
  const panel = window.jupyterapp.shell.currentWidget;
  await panel.context.revert(); panel.close();
}"""
_PICTURES = "all => all.map(image => image.complete && image.naturalWidth > 100)"


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[NotebookRun, NotebookRun]:
    """`compare.ipynb` executed twice, the second time on another prompt."""
    folder = tmp_path_factory.mktemp("executed")
    shared = {"tasks": str(TASKS), "repeats": 2, "live": False, "ledger": str(folder / "ledger.sqlite")}
    first, second = (
        run_notebook(
            PROJECT / "notebooks/compare.ipynb",
            out=folder / name,
            parameters={**shared, "leave_out": left_out},
            progress=False,
        )
        for name, left_out in (("first", "clarifying question"), ("second", "type hints"))
    )
    return first, second


@pytest.fixture(scope="module")
def reviewed(records: tuple[NotebookRun, NotebookRun], tmp_path_factory: pytest.TempPathFactory) -> NotebookRun:
    """`review.ipynb` on the files of both, where nothing else is left of them."""
    folder = tmp_path_factory.mktemp("pull-request")
    for run, name in zip(records, ("before", "after"), strict=True):
        shutil.copytree(run.notebook.parent, folder / name)
    return run_notebook(
        PROJECT / "notebooks/review.ipynb",
        out=folder / "review",
        parameters={"record": str(folder / "after/compare.ipynb"), "before": str(folder / "before/compare.ipynb")},
        progress=False,
    )


@contextmanager
def reading(page: Any, *, scripts: bool) -> Iterator[Any]:
    """A page of a browser that has no network. Fails if one was asked for, or if the page complained."""
    context = page.context.browser.new_context(
        offline=True, java_script_enabled=scripts, viewport={"width": 1200, "height": 1400}
    )
    opened = new_page(context)
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on(
        "request",
        lambda asked: None if asked.url.startswith(("file:", "data:")) else complaints.append(asked.url),
    )
    yield opened
    context.close()
    assert complaints == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_page_of_an_executed_notebook_shows_everything(
    page: Any, records: tuple[NotebookRun, NotebookRun], screenshots: Path, scripts: bool
) -> None:
    with reading(page, scripts=scripts) as reader:
        reader.goto(records[0].page.as_uri())

        for words in (*WORDS, _verdict(records[0])):
            assert reader.get_by_text(words).count() > 0, words
        assert reader.locator("main table").count() >= 2
        assert reader.locator("main img").count() >= 1
        if scripts:
            assert all(reader.locator("main img").evaluate_all(_PICTURES))
            assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")
            reader.screenshot(path=screenshots / "executed.png", full_page=True)


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("notebook", ["compare", "review"])
def test_first_screen_says_which_agent_what_differs_the_sentence_and_the_worst_promise(
    page: Any, request: pytest.FixtureRequest, screenshots: Path, scheme: str, width: int, notebook: str
) -> None:
    run = request.getfixturevalue("records")[0] if notebook == "compare" else request.getfixturevalue("reviewed")
    context = page.context.browser.new_context(
        offline=True, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    try:
        reader = new_page(context)
        reader.goto(run.page.as_uri())

        assert reader.locator("h1").all_inner_texts() == ["senior-python-architect"]
        said = ("agents/senior-python-architect.md", "prompt: 0 lines added", _verdict(run), WORST[notebook])
        for words in said:
            shown = reader.get_by_text(words).first.bounding_box()
            assert shown is not None and shown["y"] + shown["height"] < 700, words
        assert reader.evaluate("document.documentElement.scrollWidth") == width
        assert reader.evaluate(FAINTEST) >= 4
        paper = reader.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 17, 17)"}[scheme]
        reader.screenshot(path=screenshots / f"executed-{notebook}-{scheme}-{width}.png")
    finally:
        context.close()


def test_axe_finds_no_serious_violation_in_pages_and_index(
    page: Any, records: tuple[NotebookRun, NotebookRun], reviewed: NotebookRun, tmp_path: Path
) -> None:
    job = Job(notebook=Path("compare.ipynb"), out=tmp_path / "compare")
    done = JobOutcome(job=job, end="completed", verdict="worse", tried=records[0].tried, page=records[0].page)
    failed = JobOutcome(job=job, end="failed", error="In [3] raised KeyError")
    index = write_index(tmp_path, [done, failed])
    context = page.context.browser.new_context(bypass_csp=True)
    found = {}
    try:
        for path in (records[0].page, reviewed.page, index):
            reader = new_page(context)
            reader.goto(path.as_uri())
            found[path.name] = serious_violations(reader, reader.locator("main"))
    finally:
        context.close()

    assert found == {"compare.html": [], "review.html": [], "index.html": []}


def test_a_point_opens_its_task_and_the_code_is_folded_at_the_end(
    page: Any, records: tuple[NotebookRun, NotebookRun]
) -> None:
    with reading(page, scripts=True) as reader:
        reader.goto(records[0].page.as_uri())
        assert not reader.get_by_text("import workbench as wb").first.is_visible()
        assert reader.locator("main > :last-child").get_attribute("id") == "code"
        reader.locator("#code > summary").click()
        assert reader.get_by_text("import workbench as wb").first.is_visible()

        link = reader.locator(".scatter a").first
        target = reader.locator(link.get_attribute("href"))
        assert not target.is_visible()
        link.click()
        target.wait_for(state="visible")


def test_the_switch_to_replies_as_they_were_written_leaves_the_notebook(
    page: Any, records: tuple[NotebookRun, NotebookRun]
) -> None:
    with reading(page, scripts=True) as reader:
        reader.goto(records[0].page.as_uri())
        numbers = reader.locator("#notebook table:visible").count()
        assert numbers >= 4

        reader.locator("#as-written").check()

        assert reader.locator("#notebook table:visible").count() == numbers
        assert reader.locator(".as-markdown:visible").count() == 0


def test_every_reply_is_a_card_on_a_phone(page: Any, records: tuple[NotebookRun, NotebookRun]) -> None:
    with reading(page, scripts=True) as reader:
        reader.set_viewport_size({"width": 390, "height": 900})
        reader.goto(records[0].page.as_uri())
        trials = reader.locator("details:has(> table > caption:text-is('Trials'))").last
        trials.evaluate("each => { each.open = true }")
        rows = trials.locator("tbody tr").last
        cells = rows.locator("td:visible")

        assert cells.count() >= 5
        assert all(
            box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in (each.bounding_box() for each in cells.all())
        )


def test_page_of_a_review_shows_what_changed_between_two_runs(
    page: Any, reviewed: NotebookRun, screenshots: Path
) -> None:
    with reading(page, scripts=True) as reader:
        reader.goto(reviewed.page.as_uri())

        for words in ("What changed since the earlier run", "type hints", "Which tasks flipped", "OFFLINE STAND-IN"):
            assert reader.get_by_text(words).count() > 0, words
        assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")
        reader.screenshot(path=screenshots / "executed-review.png", full_page=True)


def test_jupyterlab_shows_an_executed_notebook_without_a_kernel(
    page: Any, lab: Lab, records: tuple[NotebookRun, NotebookRun], screenshots: Path
) -> None:
    shutil.copy(records[0].notebook, lab.root / "outputs/executed.ipynb")
    before = {kernel["id"] for kernel in lab.call("kernels")}

    assert page.evaluate(_OPEN_WITHOUT_KERNEL, "outputs/executed.ipynb") is True
    try:
        shown = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook")
        for words in (*WORDS, _verdict(records[0])):
            shown.get_by_text(words).first.wait_for(state="attached")
        shown.locator(".jp-OutputArea-output table").nth(1).wait_for(state="attached")
        shown.locator(".jp-OutputArea-output img").first.wait_for(state="attached")
        assert all(shown.locator(".jp-OutputArea-output img").evaluate_all(_PICTURES))
        assert shown.get_by_text("Error displaying widget").count() == 0
        shown.get_by_text(_verdict(records[0])).first.scroll_into_view_if_needed()
        page.screenshot(path=screenshots / "executed-lab.png")
        assert {kernel["id"] for kernel in lab.call("kernels")} == before
    finally:
        page.evaluate(_CLOSE)


def test_executed_notebooks_are_valid_and_hold_no_state_of_widgets(
    records: tuple[NotebookRun, NotebookRun], reviewed: NotebookRun
) -> None:
    for run in (*records, reviewed):
        document = nbformat.read(run.notebook, as_version=4)
        nbformat.validate(document)
        kinds = {
            kind for cell in document.cells for output in cell.get("outputs", []) for kind in output.get("data", {})
        }

        assert "widgets" not in document.metadata
        assert kinds <= {"text/plain", "text/html", "text/markdown", "image/png"}


def _verdict(run: NotebookRun) -> str:
    """The first words of what it says of its own record, behind what became of an earlier one."""
    assert run.verdict is not None
    return run.verdict.rpartition("\n\n")[2][:40]


@pytest.mark.parametrize("width", [400, 1200])
def test_index_of_a_batch_fits_its_window(page: Any, tmp_path: Path, width: int) -> None:
    given = {"agent": "agents/senior-python-architect.md", "tasks": "agents/senior-python-architect.tasks.yaml"}
    job = Job(notebook=Path("compare.ipynb"), out=tmp_path / "compare-senior-python-architect-sonnet", parameters=given)
    index = write_index(tmp_path, [JobOutcome(job=job, end="completed", verdict="no difference shown. " * 12)])

    with reading(page, scripts=True) as opened:
        opened.set_viewport_size({"width": width, "height": 800})
        opened.goto(index.as_uri())

        assert opened.evaluate("document.documentElement.scrollWidth") == width
        assert opened.get_by_text("no difference shown").is_visible()


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_agent_sentence_and_worst_promise_are_on_the_first_screen_of_an_index(
    page: Any, tmp_path: Path, scheme: str, width: int
) -> None:
    warning = 'Worse in 1 promise: "asks first" (90 to 20 of 100).'
    tried = replace(TRIED, kinds=("worse",), worse_promises=("asks first",), warning=warning)
    job = Job(notebook=Path("compare.ipynb"), out=tmp_path / "compare-a")
    index = write_index(tmp_path, [JobOutcome(job=job, end="completed", verdict="worse by 9 points.", tried=tried)])
    context = page.context.browser.new_context(
        offline=True, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    try:
        reader = new_page(context)
        reader.goto(index.as_uri())
        for words in ("base (.claude/agents/a.md, commit 0123456789", "worse by 9 points.", warning):
            shown = reader.get_by_text(words).first.bounding_box()
            assert shown is not None and shown["y"] + shown["height"] < 700, words
        assert reader.evaluate("document.documentElement.scrollWidth") == width
    finally:
        context.close()
