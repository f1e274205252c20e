"""What runs over a model's text takes twice as long for twice the text, whatever the text is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from workbench.comparison.differences.views import html_lines, html_words, markdown_fence, plain_lines
from workbench.comparison.differences.words import diff_words, lines_of_difference
from workbench.comparison.pictures.canvas import short_names
from workbench.comparison.report.data import cell_text
from workbench.comparison.report.summary import unlinked
from workbench.markup import html_block, html_text, markdown_text, visible, visible_as_written

PIECES = (
    "=",
    " = ",
    ",=",
    "\t",
    "`",
    "```",
    "@a",
    "#1",
    "gh-1 ",
    "a",
    "ab ",
    "\u202e",
    "\\(",
    "- ",
    "<",
    ":",
    "\n",
    "\r\n",
    "www.",
)
SIZE = 15_000
SPARE_SECONDS = 0.4
"""What a busy machine may add; what is quadratic takes many times as long at this size."""


def difference(text: str) -> None:
    half = len(text) // 2
    spans = diff_words(text, f"{text[:half]}another{text[half:]}{text}")
    lines = lines_of_difference(spans)
    html_words(spans), html_lines(lines), plain_lines(lines)


WORKS: dict[str, Callable[[str], Any]] = {
    "visible": visible,
    "as written": visible_as_written,
    "HTML": html_text,
    "HTML block": html_block,
    "Markdown": markdown_text,
    "fence": markdown_fence,
    "for code hosts": unlinked,
    "CSV": cell_text,
    "difference": difference,
    "names": lambda text: short_names([text[at : at + 12] for at in range(0, len(text) // 20, 12)]),
}


def seconds(work: Callable[[str], Any], text: str) -> float:
    taken = []
    for _ in range(3):
        began = time.process_time()
        work(text)
        taken.append(time.process_time() - began)
    return min(taken)


@pytest.mark.parametrize("name", WORKS)
def test_twice_the_text_takes_no_more_than_about_twice_as_long(name: str) -> None:
    slow = {}
    for piece in PIECES:
        text = (piece * SIZE)[:SIZE]
        once, twice = seconds(WORKS[name], text), seconds(WORKS[name], text + text)
        if twice > 3 * once + SPARE_SECONDS:
            slow[piece] = (once, twice)

    assert slow == {}
