"""What the record of a run says of itself, for the page of its notebook and for an index of many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What a run tried and what that showed, for whoever looks over many."""

    agents: tuple[str, ...]
    """A line for each variant: its name, its file and commit, and what differs from the first."""
    title: str
    """What the agents are called."""
    models: tuple[str, ...]
    """Those that say they answered."""
    answered_by: str
    stand_in: bool
    kinds: tuple[str, ...]
    """Of the verdicts, such as "worse"; empty where one variant was tried."""
    warning: str
    """Which promises are shown to be worse, or seem so, whatever the verdicts; empty without any."""
    replies: int
    usd: float
    """Of the replies, as far as their prices are known."""
    unpriced: int
    """Replies without a price."""
    seconds: float
    """That all replies took together, side by side or one after the other."""


@dataclass(frozen=True, kw_only=True)
class PageParts:
    """What a page says of a record above and below the notebook that left it."""

    title: str
    head: Markup
    tail: Markup
    replies: Mapping[str, str]
    """By so much of a reply as a table of the notebook opens, the fragment of the page that has the whole."""
