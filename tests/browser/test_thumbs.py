"""The quick word on a reply, in JupyterLab: by keyboard alone, kept at once, named for a screen reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Lab, open_notebook, serious_violations
from .test_panel import Panel


@pytest.fixture(scope="module")
def panel(lab: Lab, page: Any) -> Iterator[Panel]:
    with open_notebook(lab, page, "notebooks/author.ipynb") as notebook:
        notebook.run_all()
        notebook.set_pace(tokens_per_second=0)
        opened = Panel(notebook)
        opened.pick(1)
        opened.run()
        yield opened


def kept(panel: Panel) -> Any:
    return panel.value(
        "[each.level for each in wb.load_labels(panel.thumbs.path, wb.THUMB).labels] if panel.thumbs.path.exists() else []"
    )


def test_a_reply_is_said_to_be_good_and_that_is_taken_back_by_keyboard_alone(panel: Panel) -> None:
    column = panel.column("disk")
    good = column.get_by_role("button", name="Good reply of disk", exact=True)
    bad = column.get_by_role("button", name="Bad reply of disk", exact=True)
    column.get_by_role("group", name="Your word on the reply of disk").wait_for()
    assert (good.get_attribute("aria-pressed"), kept(panel)) == ("false", [])

    good.focus()
    panel.page.keyboard.press("Enter")
    column.get_by_text("Kept as good in").wait_for()
    assert good.get_attribute("aria-pressed") == "true"
    assert kept(panel) == ["up"]

    panel.page.keyboard.press("Tab")
    assert bad.evaluate("element => element === document.activeElement")
    panel.page.keyboard.press("Space")
    column.get_by_text("Kept as bad in").wait_for()
    assert (good.get_attribute("aria-pressed"), bad.get_attribute("aria-pressed")) == ("false", "true")
    panel.page.keyboard.press("Space")
    column.get_by_text("Taken back.").wait_for()
    assert kept(panel) == []


def test_a_thumb_has_no_serious_violation(panel: Panel) -> None:
    column = panel.column("disk")
    column.get_by_role("button", name="Good reply of disk", exact=True).click()
    column.get_by_text("Kept as good in").wait_for()

    assert serious_violations(panel.page, panel.endpoint) == []
