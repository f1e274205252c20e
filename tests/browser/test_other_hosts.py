"""Editor, panel and table outside of JupyterLab: in Notebook 7 and on a page of Voila, of the same server."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient

from .conftest import PROJECT, Lab, Notebook, new_page
from .test_author import changed_lines, contrast

AGENT = "agents/senior-python-architect.md"
PATH = "notebooks/hosts.ipynb"
EDIT = f'import workbench as wb\n\nwb.enter_project()\neditor = wb.AgentEditor(wb.load_agent("{AGENT}"))\neditor'
TRY = 'panel = wb.TrialPanel(editor, wb.load_tasks("agents/senior-python-architect.tasks.yaml"))\npanel'
TABLE = """brief = editor.saved.replace(prompt="Be brief.")
graders = wb.graders.standard()
plan = wb.plan_trials({"disk": editor.saved, "brief": brief}, panel.tasks[:4], graders=graders)
table = wb.ResultsTable(wb.compare(wb.run_trials(plan, live=False), baseline="disk"), wb.Rows(of="trials"))
table"""
FROM_HERE = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
FOR_VOILA = ("https://cdn.jsdelivr.net/npm/@fortawesome/", "https://cdnjs.cloudflare.com/ajax/libs/mathjax/")
"""Its page template asks for these, whatever is on the page; they are not let out."""
NOTEBOOKS_OWN = "Cannot read properties of undefined (reading 'schema')"
"""Notebook 7.6 raises this while it loads its settings, on an empty notebook too."""


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[Path]:
    """A notebook of three cells that show an editor, a panel and a table."""
    cells = [
        {"cell_type": "code", "id": id, "metadata": {}, "outputs": [], "source": source, "execution_count": None}
        for id, source in (("edit", EDIT), ("try", TRY), ("table", TABLE))
    ]
    about = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}
    path = lab.root / PATH
    path.write_text(json.dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}))
    yield path
    path.unlink()


@contextmanager
def opened(lab: Lab, browser: Any, host: str) -> Iterator[Notebook]:
    """The notebook as this host shows it, with its kernel. Fails on an error in the page, and on foreign requests."""
    shutil.copytree(PROJECT / "agents", lab.root / "agents", dirs_exist_ok=True)
    shutil.rmtree(lab.root / "outputs" / "drafts", ignore_errors=True)
    before = {kernel["id"] for kernel in lab.call("kernels")}
    page = new_page(browser, viewport={"width": 1400, "height": 1100})
    errors: list[str] = []
    elsewhere: list[str] = []
    known = (*FROM_HERE, *(FOR_VOILA if host == "voila" else ()))
    page.on("pageerror", lambda error: errors.append(f"{error}\n{getattr(error, 'stack', '')}"))
    for kind in ("request", "websocket"):
        page.on(kind, lambda asked: None if asked.url.startswith(known) else elsewhere.append(asked.url))
    page.route("https://**", lambda route: route.abort())
    way = "notebooks" if host == "notebook" else "voila/render"
    page.goto(f"{lab.url}/{way}/{PATH}?token={lab.token}")
    if host == "notebook":
        page.get_by_text("Python 3 (ipykernel)").wait_for()
        wait_for_connection(lab, page, before)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.get_by_role("group", name="Results table").wait_for()
    [kernel] = {kernel["id"] for kernel in lab.call("kernels")} - before
    client = BlockingKernelClient()
    client.load_connection_file(str(lab.runtime / f"kernel-{kernel}.json"))
    client.start_channels()
    yield Notebook(page=page, lab=lab, kernel=kernel, kernel_client=client)
    client.stop_channels()
    page.close()
    lab.call(f"kernels/{kernel}", "DELETE")
    assert [error for error in errors if not error.startswith(NOTEBOOKS_OWN)] == []
    assert elsewhere == []


def wait_for_connection(lab: Lab, page: Any, before: set[str]) -> None:
    """Until the page talks to its kernel: cells that are run before that wait for nothing, and are lost."""
    ends = time.monotonic() + 60
    while not [
        kernel
        for kernel in lab.call("kernels")
        if kernel["id"] not in before and kernel["connections"] and kernel["execution_state"] == "idle"
    ]:
        assert time.monotonic() < ends, "no kernel for the page"
        page.wait_for_timeout(100)


@pytest.fixture(scope="module", params=["notebook", "voila"])
def host(lab: Lab, page: Any, notebook: Path, request: pytest.FixtureRequest) -> Iterator[Notebook]:
    with opened(lab, page.context.browser, request.param) as shown:
        yield shown


def test_an_agent_is_edited_tried_and_saved(host: Notebook, lab: Lab, screenshots: Path) -> None:
    before = (lab.root / AGENT).read_text()
    name = "voila" if "voila" in host.page.url else "notebook"
    editor = host.page.get_by_role("group", name="Agent editor")
    panel = host.page.get_by_role("group", name="Trial panel")

    prompt = editor.get_by_role("textbox", name="Prompt", exact=True)
    prompt.focus()
    prompt.press("Control+End")
    host.page.keyboard.type("Answer in the language of the question.\n")
    editor.get_by_role("radio", name="purple").check()
    host.wait_for("editor.edited == ('color', 'prompt')")
    editor.get_by_role("tab", name="Changes (2 edited)").click()
    editor.get_by_role("textbox", name="Changes of the draft").get_by_text("purple").first.wait_for()
    editor.scroll_into_view_if_needed()
    host.page.screenshot(path=screenshots / f"{name}-editor.png")

    host.set_pace(tokens_per_second=150)
    panel.get_by_label("Ask anew", exact=True).check()  # another host's test has put the same into the ledger
    panel.get_by_role("button", name="Run", exact=True).click()
    reply = panel.get_by_role("region", name="Text of the reply of draft")
    host.page.wait_for_function("log => log.textContent.length > 40", arg=reply.element_handle())
    assert host.value("panel.is_running")
    host.wait_for("not panel.is_running")
    panel.get_by_text("Answered.").nth(1).wait_for()
    assert reply.text_content() == host.value("panel.trials[1].reply.text")
    reply.scroll_into_view_if_needed()
    host.page.screenshot(path=screenshots / f"{name}-panel.png")

    assert contrast(prompt) >= 4.5
    assert contrast(reply) >= 4.5
    editor.get_by_role("button", name="Save", exact=True).click()
    host.wait_for("not editor.edited")
    assert changed_lines(before, (lab.root / AGENT).read_text()) == [
        "- color: green",
        "+ color: purple",
        "+ Answer in the language of the question.",
    ]


def test_a_reply_is_found_in_the_table(host: Notebook, screenshots: Path) -> None:
    name = "voila" if "voila" in host.page.url else "notebook"
    table = host.page.get_by_role("group", name="Results table")
    table.get_by_label("Variant", exact=True).select_option("brief")
    host.wait_for("table.rows.variant == 'brief'")
    table.get_by_role("status").get_by_text("4 of 8 trials").wait_for()
    table.get_by_role("gridcell", name="brief").first.click()
    reply = table.get_by_label("Trial", exact=True).get_by_role("region", name="Reply")
    reply.wait_for()
    reply.scroll_into_view_if_needed()
    host.page.screenshot(path=screenshots / f"{name}-table.png")

    assert host.value("table.opened.variant") == "brief"
    assert reply.text_content() == host.value("table.opened.reply.text")
    assert contrast(table.get_by_role("gridcell", name="brief").first) >= 4.5
