"""What runs over a model's text takes twice as long for twice the text, whatever the text is."""

from __future__ import annotations

import gc
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

pytestmark = pytest.mark.machine

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
FIRST_SIZE, LARGEST_SIZE = 15_000, 240_000
"""Characters: from the first on, the text is doubled until it takes long enough to be measured, or is the largest."""
MEASURABLE_SECONDS = 0.01
MOST_TIMES = 3.0
"""Twice the text takes twice as long where that is linear, and four times where it is quadratic."""


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


def seconds(work: Callable[[str], Any], text: str, *, of: int = 2) -> float:
    """Of this thread, without the collector, which looks at all that is in memory."""
    taken = []
    gc.disable()
    try:
        for _ in range(of):
            began = time.thread_time()
            work(text)
            taken.append(time.thread_time() - began)
    finally:
        gc.enable()
    return min(taken)


def times_as_long(work: Callable[[str], Any], piece: str) -> float:
    """How many times as long twice the text takes, at a size at which that is measurable; 0 where none is."""
    size = FIRST_SIZE
    while seconds(work, (piece * size)[:size], of=1) < MEASURABLE_SECONDS:
        size *= 2
        if size > LARGEST_SIZE:
            return 0.0
    text = (piece * size)[:size]
    for _ in range(2):  # measured anew where a busy machine was in the way
        times = seconds(work, text + text) / seconds(work, text)
        if times <= MOST_TIMES:
            break
    return times


@pytest.mark.parametrize("name", WORKS)
def test_twice_the_text_takes_about_twice_as_long(name: str) -> None:
    slow = {piece: times for piece in PIECES if (times := times_as_long(WORKS[name], piece)) > MOST_TIMES}

    assert slow == {}


@pytest.mark.parametrize(
    ("work", "is_linear"),
    [
        (lambda text: [text.index(each) for each in text], True),
        (lambda text: [text[: len(text) - at] for at in range(0, len(text), 4)], False),
    ],
)
def test_what_is_quadratic_is_seen(work: Callable[[str], Any], is_linear: bool) -> None:
    assert (times_as_long(work, "-") <= MOST_TIMES) is is_linear
