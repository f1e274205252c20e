"""What an editor leaves in a notebook without a kernel, as a reader's browser shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import test_typesetting
from workbench.definition.agent import parse_agent
from workbench.widgets.editor import AgentEditor

from .conftest import new_page

WORD = "x" * 20_000
TEXT = f"---\nname: abc\ndescription: {WORD}\nmodel: sonnet\nskills: [{WORD}]\n---\nOne {WORD} two.\n"

_OUTSIDE = """width => [...document.querySelectorAll('p, td, th, pre, summary')]
  .map(element => element.getBoundingClientRect()).filter(box => box.right > width).length"""
_HEIGHT_OF_A_NAME = """Math.max(...[...document.querySelectorAll('td:first-child')].map(cell => {
  const range = document.createRange(); range.selectNodeContents(cell); return range.getBoundingClientRect().height;
}))"""


@pytest.mark.parametrize("width", [390, 1100])
def test_a_word_without_an_end_pushes_nothing_out_of_sight(
    page: Any, width: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    editor = AgentEditor(parse_agent(TEXT))
    editor.edit(model="opus")
    twin = editor._repr_mimebundle_()["text/html"]
    context = page.context.browser.new_context(offline=True, viewport={"width": width, "height": 900})
    try:
        opened = new_page(context)
        opened.set_content(f"<!doctype html><body>{twin}</body>")
        opened.click("summary")

        assert opened.evaluate(_OUTSIDE, width) == 0
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.evaluate(_HEIGHT_OF_A_NAME) < 60, "the names of the fields are broken into letters"
    finally:
        context.close()


def outputs(word: str) -> dict[str, str]:
    """All that shows itself as HTML, about an agent, tasks and replies of which each text is this word."""
    return {name: test_typesetting.shown_of(make(word))["text/html"] for name, make in test_typesetting.SHOWN.items()}


def test_a_word_without_an_end_pushes_nothing_out_of_sight_of_any_output(
    page: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    monkeypatch.setenv("WORKBENCH_LEDGER", str(tmp_path / "ledger.sqlite"))
    context = page.context.browser.new_context(offline=True, viewport={"width": 1100, "height": 900})
    wide = {}
    try:
        opened = new_page(context)
        for name, shown in outputs("x" * 2_000).items():
            opened.set_content(f"<!doctype html><body>{shown}</body>")
            opened.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            wide[name] = opened.evaluate("document.documentElement.scrollWidth")
    finally:
        context.close()

    assert wide.pop("Frame") < 4_000, "as many columns as it has, and none as wide as the word"
    assert {name: width for name, width in wide.items() if width > 1100} == {}
