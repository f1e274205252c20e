"""Executed notebooks as their readers open them: no kernel and no network, as a page and in JupyterLab."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.conftest import PROJECT, Lab
from workbench.headless.batch_index import write_index
from workbench.headless.job import Job
from workbench.headless.left_behind import JobOutcome, NotebookRun
from workbench.headless.notebook import run_notebook

TASKS = Path(__file__).parents[1] / "fixtures" / "two.tasks.yaml"
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
    opened = context.new_page()
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
    """Its first words."""
    assert run.verdict is not None
    return run.verdict[:40]


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
