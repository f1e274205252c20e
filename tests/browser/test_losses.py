"""Kernels that die and files that two people edit: what an author sees of it, and that nothing is lost."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lab, Notebook, ask_anew, new_page, open_notebook, page_in, running_lab
from .test_author import editor_of, panel_of, type_at_end

AGENT = "agents/senior-python-architect.md"
CELL = f'import workbench as wb\n\nwb.enter_project()\neditor = wb.AgentEditor(wb.load_agent("{AGENT}"))\neditor'


@pytest.fixture
def file(lab: Lab) -> Path:
    return lab.root / AGENT


def write_editor_notebook(lab: Lab, name: str) -> str:
    cell = {"cell_type": "code", "id": "edit", "metadata": {}, "outputs": [], "source": CELL, "execution_count": None}
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook = {
        "cells": [cell],
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (lab.root / "notebooks" / name).write_text(json.dumps(notebook))
    return f"notebooks/{name}"


def test_a_kernel_that_dies_in_mid_stream_loses_neither_what_was_typed_nor_what_came(
    author: Notebook, screenshots: Path
) -> None:
    page, editor, panel = author.page, editor_of(author), panel_of(author)
    author.set_pace(tokens_per_second=60)
    type_at_end(editor.get_by_label("Prompt", exact=True), "Typed before it died.\n")
    author.wait_for("editor.agent.prompt.endswith('it died.\\n')")
    drafts = f"__import__('pathlib').Path({str(author.lab.root)!r}, 'outputs', 'drafts').glob('*.json')"
    author.wait_for(f"any('it died.' in file.read_text() for file in {drafts})")
    panel.get_by_role("button", name="Run", exact=True).click()
    log = panel.get_by_role("region", name="Text of the reply of disk")
    page.wait_for_function("log => log.textContent.length > 100", arg=log.element_handle())
    os.kill(author.value("__import__('os').getpid()"), signal.SIGKILL)
    panel.get_by_text("The kernel is gone, so no more of this reply comes").first.wait_for()
    editor.get_by_text("The kernel is gone. What it had heard is kept").wait_for()
    panel.get_by_role("alert").get_by_text("The kernel is gone. What is shown here stays").wait_for()
    dialog = page.get_by_role("dialog").get_by_role("button", name="Ok")
    dialog.click()
    came = log.text_content()
    panel.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "losses-kernel.png")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.info")
    author.run_all()
    editor_of(author).get_by_text("was never saved").wait_for()
    editor_of(author).get_by_role("button", name="Take it up").click()
    author.wait_for("editor.agent.prompt.endswith('Typed before it died.\\n')")

    assert len(came) > 100


def test_a_server_that_is_killed_is_said_and_nothing_is_promised_that_is_not_kept(page: Any, tmp_path: Path) -> None:
    browser = page.context.browser
    with running_lab(tmp_path) as lab, page_in(browser, lab) as page:
        page.on("dialog", lambda dialog: dialog.accept())
        with open_notebook(lab, page, "notebooks/author.ipynb") as author:
            author.run_all()
            ask_anew(author)
            editor, panel = editor_of(author), panel_of(author)
            type_at_end(editor.get_by_label("Prompt", exact=True), "Heard.")
            author.wait_for("editor.agent.prompt.endswith('Heard.')")
            author.set_pace(tokens_per_second=5)
            panel.get_by_role("button", name="Run", exact=True).click()
            author.wait_for("panel.is_running")
            panel.get_by_role("region", name="Text of the reply of disk").get_by_text(re.compile(".{5}")).wait_for()

            [server] = lab.runtime.glob("jpserver-*.json")
            os.kill(json.loads(server.read_text())["pid"], signal.SIGKILL)
            editor.get_by_text("JupyterLab's server does not answer.").wait_for()
            panel.get_by_text("JupyterLab's server does not answer.").first.wait_for()
            editor.get_by_label("Prompt", exact=True).press_sequentially(" Not heard.")
            page.wait_for_timeout(4_000)  # longer than until a kernel is called busy

            assert editor.get_by_text("all of it reaches the kernel").count() == 0
            states = panel.locator(".workbench-reply-status").all_text_contents()
            assert [state for state in states if not state.startswith("JupyterLab's server does not answer.")] == []
            assert editor.get_by_text("Heard. Not heard.").count() == 1
            leaving = "() => !window.dispatchEvent(new Event('beforeunload', {cancelable: true}))"
            assert page.evaluate(leaving), "the browser asks before the page is left"


def test_two_notebooks_that_edit_one_file_end_in_one_file_with_both_edits(
    lab: Lab, page: Any, file: Path, screenshots: Path
) -> None:
    with (
        open_notebook(lab, page, write_editor_notebook(lab, "one.ipynb")) as one,
        open_notebook(lab, page, write_editor_notebook(lab, "two.ipynb")) as two,
    ):
        two.run_cell("edit")
        mine = page.get_by_role("group", name="Agent editor").locator("visible=true")
        type_at_end(mine.get_by_label("Prompt", exact=True), "Of the second.\n")
        two.wait_for("editor.agent.prompt.endswith('Of the second.\\n')")
        one.show()
        one.run_cell("edit")
        mine.get_by_role("radio", name="red").check()
        one.wait_for("editor.agent.color == 'red'")
        mine.get_by_role("button", name="Save", exact=True).click()
        one.wait_for("not editor.is_edited")

        two.show()
        mine.get_by_role("button", name="Save", exact=True).click()
        mine.get_by_text("Not saved: the file changed on disk").wait_for()
        page.screenshot(path=screenshots / "losses-two-notebooks.png")
        mine.get_by_role("button", name="Make one draft of both").click()
        two.wait_for("editor.agent.color == 'red'")
        mine.get_by_role("button", name="Save", exact=True).click()
        two.wait_for("not editor.is_edited")

    text = file.read_text()
    assert "color: red" in text
    assert text.endswith("Of the second.\n")


def test_two_browser_tabs_of_one_notebook_show_one_draft(author: Notebook) -> None:
    other = new_page(author.page.context.browser, viewport={"width": 1500, "height": 1100})
    other.goto(f"{author.lab.url}/lab?token={author.lab.token}&reset")
    other.wait_for_function("() => window.jupyterapp")
    other.evaluate(_SHOW, "notebooks/author.ipynb")
    other.evaluate(
        "() => jupyterapp.commands.execute('notebook:run-all-cells').then(() => jupyterapp.shell.currentWidget.content.activeCellIndex = 0)"
    )
    theirs, ours = other.get_by_role("group", name="Agent editor"), editor_of(author)
    type_at_end(ours.get_by_label("Prompt", exact=True), "Ours. ")
    author.wait_for("editor.agent.prompt.endswith('Ours. ')")
    type_at_end(theirs.get_by_label("Prompt", exact=True), "Theirs. ")
    author.wait_for("editor.agent.prompt.endswith('Ours. Theirs. ')")
    ours.get_by_label("Prompt", exact=True).press("Control+End")
    ours.get_by_text("Ours. Theirs.").first.wait_for()
    other.close()


_SHOW = """async path => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = await app.commands.execute('docmanager:open', {path, factory: 'Notebook'});
  await panel.context.ready; await panel.revealed; await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
  app.shell.activateById(panel.id);
}"""
