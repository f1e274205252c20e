"""Replies as rendered Markdown: what it is for is shown, and nothing of it runs, loads or leads anywhere."""

from __future__ import annotations

import time

import pytest
from bs4 import BeautifulSoup

from workbench.comparison.report.rendered import rendered_markdown

LETTERS = 20_000
MOST_SECONDS = 5.0


def soup(text: str) -> BeautifulSoup:
    return BeautifulSoup(rendered_markdown(text), "html.parser")


def test_what_markdown_is_for_is_shown() -> None:
    found = soup("# Plan\n\n1. **First**\n2. `second`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx < 1\n```\n")

    assert found.select_one("p > strong").get_text() == "Plan"
    assert [item.get_text() for item in found.select("ol > li")] == ["First", "second"]
    assert [cell.get_text() for cell in found.select("td")] == ["1", "2"]
    assert found.select_one("pre").get_text().strip() == "x < 1"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "![there](https://example.org/pixel.png)",
        "![](data:image/png;base64,AAAA)",
        "[here](https://example.org)",
        "[here](javascript:alert(1))",
        "<https://example.org>",
        "[a]: https://example.org\n\n[a]",
        "<style>*{display:none}</style>",
        "<form action=https://example.org><button>x</button></form>",
        '```"><img src=x onerror=alert(1)>\nx\n```',
        '[a](https://example.org "\\" onmouseover=alert(1)")',
    ],
)
def test_nothing_of_it_runs_loads_or_leads_anywhere(text: str) -> None:
    found = soup(text)

    assert {each.name for each in found.find_all()} <= {"p", "pre", "strong"}
    assert all(not each.attrs for each in found.find_all())
    for word in ("example.org", "alert(1)", "AAAA"):
        assert word not in text or word in found.get_text() or "```" in text, "an address is shown"


def test_what_would_not_be_seen_is_named() -> None:
    assert "<U+202E>" in soup("ab\u202ecd").get_text()


@pytest.mark.machine
@pytest.mark.parametrize(
    "piece",
    ["[", "![", "[a](", "*a ", "**a_ ", "`a", "> ", ">", "- ", "<", "<!--", "|a", "***", "~~a", "[a]: b\n", "&"],
)
def test_no_reply_takes_long(piece: str) -> None:
    begun = time.process_time()
    rendered_markdown(piece * (LETTERS // len(piece)))

    assert time.process_time() - begun < MOST_SECONDS
