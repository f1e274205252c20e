"""`Tried`: what a run tried and what that showed, as a value that any list may hold: nothing heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.comparison.figures import worst_first

WORSE_PROMISE = "worse in a promise"
"""What a run is filed under whose verdicts are no worse, and in which a promise is shown to be."""
COSTS_NOTHING = "nothing: made up"
"""In place of a price, where the stand-in answered."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What a run tried and what that showed."""

    agents: tuple[str, ...]
    """A line for each variant: its name, its file and commit, and what differs from its baseline."""
    title: str
    """What the agents are called."""
    files: tuple[str, ...]
    """Of the agents, seen from the project, as far as they are known."""
    models: tuple[str, ...]
    """Those that say they answered."""
    answered_by: str
    stand_in: bool
    kinds: tuple[str, ...]
    """Of the verdicts, such as "worse"; empty where one variant was tried."""
    effects: tuple[str, ...]
    """Of each verdict, the difference in points with its interval; "" where nothing is compared."""
    worse_promises: tuple[str, ...]
    """The names of those that are shown to be worse, whatever the verdicts."""
    warning: str
    """Which promises are shown to be worse, or seem so, in a sentence, whatever the verdicts; empty without any."""
    worst_promise: str
    """The one that lost most, with its change in points; of one variant, the one that it keeps least; "" without."""
    replies: int
    usd: float
    """Of the replies, as far as their prices are known."""
    unpriced: int
    """Replies without a price."""
    seconds: float
    """That all replies took together, side by side or one after the other."""
    day: str
    """On which the last reply came; "" where none says so."""

    @property
    def kind(self) -> str:
        """The verdict that has to be seen first, `WORSE_PROMISE` where none is worse but a promise; "" without any."""
        worst = min(self.kinds, key=worst_first, default="")
        return WORSE_PROMISE if self.worse_promises and not self.stand_in and worst != "worse" else worst

    @property
    def colour(self) -> str:
        """The class of what tells of it on a page: "good", "bad", or none where nothing is shown by a model."""
        if self.stand_in:
            return ""
        return {"better": "good", "worse": "bad", WORSE_PROMISE: "bad"}.get(self.kind, "")

    @property
    def told_usd(self) -> str:
        """What the replies cost, in words."""
        if self.stand_in:
            return COSTS_NOTHING
        return f"{self.usd:,.4f} USD" + (f" and {self.unpriced:,} without a price" if self.unpriced else "")


def kind_first(kind: str) -> tuple[int, bool]:
    """To sort by `Tried.kind`: what got worse, then what broke a promise, then by the verdict."""
    return (worst_first("worse"), True) if kind == WORSE_PROMISE else (worst_first(kind), False)
