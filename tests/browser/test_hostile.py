"""Text that tries to become something else: shown as text, asks for nothing, and does not hold the page up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hostile import PIECES
from tests.messages_server import MessagesServer, serve

from .conftest import Lab, Notebook, ask_anew, open_notebook
from .test_author import panel_of

HOSTILE = " ".join([*(piece for piece in PIECES if "\ud83d" not in piece), "$5 a month or $50 a year"])
"""Without the half character, which no file and no request can hold."""
LOG = "document.querySelector('.workbench-reply-log')"
MARKUP = (
    ":is(img, script, iframe, object, embed, a, b, h1, style)"
    ":not(.workbench-verdict :is(img[src^='data:image/png;base64,'], style))"
)
"""The verdict has a picture and a table's style of its own."""

_CELLS = {
    "panel": """
import os
import workbench as wb

os.environ["ANTHROPIC_BASE_URL"] = {url!r}
wb.enter_project()
agents = {{name: wb.Agent(name=name, prompt=name) for name in ("one " + {text!r}, "two")}}
panel = wb.TrialPanel(agents, [wb.Task(id="id " + {text!r}, group={text!r}, input={text!r})])
panel""",
    "again": "panel",
}


@pytest.fixture(scope="module")
def model() -> Iterator[MessagesServer]:
    with serve() as server:
        yield server


@pytest.fixture(scope="module")
def opened(lab: Lab, page: Any, model: MessagesServer) -> Iterator[Notebook]:
    """A panel in which every name is hostile."""
    cells = [
        {
            "cell_type": "code",
            "id": name,
            "metadata": {},
            "outputs": [],
            "source": code.format(url=model.url, text=HOSTILE),
            "execution_count": None,
        }
        for name, code in _CELLS.items()
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (lab.root / "notebooks" / "hostile.ipynb").write_text(json.dumps(notebook))
    with open_notebook(lab, page, "notebooks/hostile.ipynb") as started:
        started.run_cell("panel")
        ask_anew(started)
        yield started


@pytest.fixture
def strange(opened: Notebook) -> Iterator[list[str]]:
    """What the page did that no text may make it do: dialogs, requests to anybody but JupyterLab."""
    seen: list[str] = []

    def on_dialog(dialog: Any) -> None:
        seen.append(dialog.message)
        dialog.dismiss()

    def on_request(request: Any) -> None:
        if not request.url.startswith((opened.lab.url, "blob:", "data:")):
            seen.append(request.url)

    opened.page.on("dialog", on_dialog)
    opened.page.on("request", on_request)
    yield seen
    opened.page.remove_listener("dialog", on_dialog)
    opened.page.remove_listener("request", on_request)


def run(opened: Notebook) -> None:
    before = opened.value("id(panel.trying.runs)")
    panel_of(opened).get_by_role("button", name="Run", exact=True).click()
    opened.wait_for(f"id(panel.trying.runs) != {before} and not panel.is_running")


def open_everything(panel: Any) -> None:
    for summary in panel.locator("summary:visible").all():
        summary.click()


def test_names_replies_and_requests_are_text(opened: Notebook, strange: list[str], model: MessagesServer) -> None:
    model.pieces = [HOSTILE[start : start + 7] for start in range(0, len(HOSTILE), 7)]
    panel = panel_of(opened)
    panel.get_by_role("button", name="Estimate").click()
    panel.locator("summary", has_text="2 calls").wait_for()
    run(opened)
    column = panel.locator(".workbench-reply").first
    column.get_by_placeholder("Answer this reply").fill(HOSTILE)
    column.get_by_role("button", name="Send").click()
    opened.wait_for("len(panel.trials) == 3 and not panel.is_running")
    open_everything(panel)
    panel.get_by_text('"stop_reason"').first.wait_for()
    column.get_by_role("button", name="Show id").first.click()
    column.get_by_role("region", name="Text of an earlier reply").wait_for()
    text = column.locator(".workbench-reply-log").first.text_content()

    assert text == opened.value("panel.trials[1].reply.text")
    assert "<script>alert(1)</script>" in text
    assert "\u202eevil" in text
    assert panel.locator(MARKUP).count() == 0
    assert strange == []

    opened.page.wait_for_timeout(3000)  # JupyterLab typesets when it has loaded what it takes
    assert panel.locator("mjx-container").count() == 0, "a price is no formula"


def test_an_error_that_is_a_page_is_text(opened: Notebook, strange: list[str], model: MessagesServer) -> None:
    model.fault = lambda _body, _before: "html"
    run(opened)
    panel = panel_of(opened)
    panel.locator(".workbench-reply-trouble:visible").first.wait_for()
    model.fault = lambda _body, _before: "ok"

    assert panel.locator(".workbench-reply-log:visible").count() == 0, "an empty box says nothing"
    assert panel.locator(MARKUP).count() == 0
    assert strange == []


def test_a_reply_of_five_megabytes_does_not_hold_the_page_up(
    opened: Notebook, strange: list[str], model: MessagesServer
) -> None:
    piece = (HOSTILE * 200)[:50_000]
    model.pieces, model.seconds_a_piece = [piece] * 100, 0.02
    panel = panel_of(opened)
    panel.get_by_role("button", name="Run", exact=True).click()
    log = panel.locator(".workbench-reply-log").first
    opened.page.wait_for_function(f"() => {LOG}?.textContent.length > 1000")
    question = panel.get_by_label("Question", exact=True)
    question.fill("")
    question.press_sequentially("Typed meanwhile: fifty keys, all of which arrive.")
    opened.wait_for("panel.view._question.value.endswith('all of which arrive.')")
    opened.wait_for("not panel.is_running")
    more = panel.get_by_role("button", name="Show more").first
    more.wait_for()
    shown = len(log.text_content())
    more.click()
    opened.page.wait_for_function(f"() => {LOG}.textContent.length === 400_000")
    opened.run_cell("again")
    opened.output("again").get_by_role("group", name="Trial panel").wait_for()
    outputs = "() => JSON.stringify(jupyterapp.shell.currentWidget.content.model.toJSON()).length"

    assert shown == 200_000
    assert opened.value("len(panel.trials[0].reply.text)") == 5_000_000
    assert opened.page.evaluate(outputs) < 1_000_000
    assert panel.locator(MARKUP).count() == 0
    assert strange == []
