"""A reply as the Markdown that it mostly is, rendered so that nothing of it runs, loads, or leads anywhere.

Raw HTML is shown as text, a picture and a link as their words with the address behind them; headings are bold lines, so
that those of a page stay those of the page.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import mistune
from markupsafe import Markup, escape

from workbench.errors import ComparisonError
from workbench.markup import html, visible_lines


class _Renderer(mistune.HTMLRenderer):
    """Elements without addresses, names or raw HTML."""

    def heading(self, text: str, level: int, **_: Any) -> str:
        return html("<p><strong>{{ text }}</strong></p>\n", text=Markup(text))

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return text if text == escape(url) and not title else f"{text} ({_address(url, title)})"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return f"[picture: {text}] ({_address(url, title)})"

    def block_code(self, code: str, info: str | None = None) -> str:
        return html("<pre>\n{{ code }}</pre>\n", code=Markup(escape(code)))


def _address(url: str, title: str | None) -> str:
    return escape(url if title is None else f'{url} "{title}"')


@cache
def _parser() -> mistune.Markdown:
    return mistune.create_markdown(renderer=_Renderer(escape=True), plugins=["table", "strikethrough"])


def rendered_markdown(text: str) -> Markup:
    """The text as HTML of its Markdown; characters that would not be seen are named."""
    found = _parser()(visible_lines(text))
    if not isinstance(found, str):
        raise ComparisonError("Markdown was rendered to something else than text")
    return Markup(found)
