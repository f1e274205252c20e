"""What `workbench route` does, by its options, and which options that uses: one that it would not use is refused, for
whoever names it counts on it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from workbench.errors import PlanError

Mode = Literal["a record", "--draft-cases", "--check", "--steering", "--improve", "the plain route"]

_ASKING = ("cases", "model", "effort", "way", "max_turns", "live", "batch", "replay", "budget_usd")
_USES: dict[Mode, tuple[str, ...]] = {
    "a record": (),
    "--draft-cases": ("drafted_from", "live", "budget_usd"),
    "--check": (*_ASKING, "check", "repeats", "orders", "before", "record"),
    "--steering": (*_ASKING, "estimate", "steering", "repeats", "orders"),
    "--improve": (*_ASKING, "estimate", "improve", "candidates", "seal", "accept"),
    "the plain route": (*_ASKING, "estimate", "repeats", "orders", "before", "record"),
}
"""By what is done, the options that say how. --check says what comes before the plain route, and takes its options."""
_OF_ALL = ("agents", "as_json")
_FLAGS = {"drafted_from": "draft-cases", "candidates": "candidate"}


def refuse_unused(mode: Mode, given: Collection[str]) -> None:
    """Passes where what is done uses all of the options that were given, by their names in Python.

    Raises:
        PlanError: one is of no use there; names it.
    """
    if {"estimate", "replay"} <= set(given):
        raise PlanError("--estimate, --replay: a replay asks nothing, so that there is nothing to estimate; give one")
    unused = [name for name in given if name not in (*_OF_ALL, *_USES[mode])]
    if unused:
        flags = ", ".join(f"--{_FLAGS.get(name, name).replace('_', '-')}" for name in unused)
        raise PlanError(f"{flags}: of no use with {mode}; leave it out")
