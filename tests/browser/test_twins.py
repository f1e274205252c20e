"""What an editor leaves in a notebook without a kernel, as a reader's browser shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workbench.definition.agent import parse_agent
from workbench.widgets.editor import AgentEditor

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
        opened = context.new_page()
        opened.set_content(f"<!doctype html><body>{twin}</body>")
        opened.click("summary")

        assert opened.evaluate(_OUTSIDE, width) == 0
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.evaluate(_HEIGHT_OF_A_NAME) < 60, "the names of the fields are broken into letters"
    finally:
        context.close()
