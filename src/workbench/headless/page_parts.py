"""What the page of a notebook says of the record that it left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True, kw_only=True)
class PageParts:
    """What a page says of a record above and below the notebook that left it."""

    title: str
    head: Markup
    tail: Markup
    replies: Mapping[str, str]
    """By so much of a reply as a table of the notebook opens, the fragment of the page that has the whole."""
