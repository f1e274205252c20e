"""A text that a page and the kernel edit at once: the kernel holds it, and says in which order changes are made.

The page uses `@codemirror/collab`: it sends changes with the version on which they were made. Changes on the newest
version are taken; others are not, and the page gets what it missed, moves its own changes over that and sends them
again. So no side ever overwrites what the other typed, however slow one of them is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LONGEST_LOG = 500
"""A page that missed more changes than this gets the whole text."""

Changes = Sequence[Any]
"""As `ChangeSet.toJSON` has them, in UTF-16 units: a number keeps so many, `[n, line, ...]` puts lines for n."""


class SharedText:
    """A text with a version that each change raises by one. Bytes that are not UTF-8 are shown as �, and stay."""

    # It is held in UTF-16, two bytes a unit, because the page counts so: an emoji is two places there, one in Python.

    def __init__(self, text: str) -> None:
        self._units = _encoded(text)
        self._log: list[dict[str, Any]] = []
        self._dropped = 0

    @property
    def version(self) -> int:
        """How many changes were ever made."""
        return self._dropped + len(self._log)

    @property
    def text(self) -> str:
        """The text; a byte that is not UTF-8 is a lone surrogate."""
        return self._units.decode("utf-16-le", "surrogatepass")

    def take(self, version: int, client: str, updates: Sequence[Changes]) -> bool:
        """Makes a page's changes if they were made on the newest version; else leaves all as it is.

        Raises:
            ValueError: a change does not fit the text.
        """
        if version != self.version:
            # Not even where both changes are far apart: only the page knows its later changes, and moves all of them.
            return False
        units = self._units
        for changes in updates:
            units = _changed(units, changes)
        self._units = units
        self._note([{"client": client, "changes": list(changes)} for changes in updates])
        return True

    def set(self, text: str) -> bool:
        """Makes this the text, as one change of the stretch that differs; `False` where none does."""
        units = _encoded(text)
        changes = _difference(self._units, units)
        if changes is None:
            return False
        self._units = units
        self._note([{"client": "kernel", "changes": changes}])
        return True

    def since(self, version: int) -> list[dict[str, Any]] | None:
        """The changes after this version; `None` where they are no longer known."""
        # A later version than ours is that of a page which outlived the kernel: nothing of it can be trusted.
        if not self._dropped <= version <= self.version:
            return None
        return self._log[version - self._dropped :]

    def snapshot(self) -> dict[str, Any]:
        """Text and version for a page that begins."""
        return {"text": _sendable(self._units), "version": self.version}

    def _note(self, updates: list[dict[str, Any]]) -> None:
        self._log += updates
        surplus = max(0, len(self._log) - LONGEST_LOG)
        del self._log[:surplus]
        self._dropped += surplus


def _encoded(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _sendable(units: bytes) -> str:
    """The text with � for each half character: one unit for one, so that places stay the same."""
    return "".join("�" if "\ud800" <= c <= "\udfff" else c for c in units.decode("utf-16-le", "surrogatepass"))


def _changed(units: bytes, changes: Changes) -> bytes:
    parts: list[bytes] = []
    place = 0
    for change in changes:
        if isinstance(change, int):
            parts.append(units[place : place + 2 * change])
            place += 2 * change
        else:
            removed, *lines = change
            parts.append(_encoded("\n".join(lines)))
            place += 2 * int(removed)
    if place != len(units):
        raise ValueError(f"a change of a text of {place // 2} units, but it has {len(units) // 2}")
    return b"".join(parts)


def _difference(old: bytes, new: bytes) -> list[Any] | None:
    """The one change between two texts. One, not a minimal set: the cursor of a page outside of it stays."""
    if old == new:
        return None
    start = _same_at_start(old, new)
    shorter = min(len(old), len(new)) - start
    # Not beyond what is the same at the start: in "aa" to "aaa" both ends match the very same letters.
    end = min(_same_at_start(old[::-1], new[::-1]) // 2 * 2, shorter)
    # A pair of units is one character: half of one is never kept.
    if start and _is_high(old[start - 2 : start]):
        start -= 2
    if end and _is_low(old[len(old) - end : len(old) - end + 2]):
        end -= 2
    inserted = _sendable(new[start : len(new) - end]).split("\n")
    removed = (len(old) - end - start) // 2
    change = [removed, *inserted] if inserted != [""] else [removed]
    return [part for part in (start // 2, change, end // 2) if part != 0]


def _same_at_start(one: bytes, other: bytes) -> int:
    """How many bytes both begin with, rounded down to whole units.

    By halving: comparing slices runs at the speed of memory, a loop over 200 kB would be felt with every key.
    """
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low // 2 * 2


def _is_high(unit: bytes) -> bool:
    return len(unit) == 2 and 0xD8 <= unit[1] <= 0xDB


def _is_low(unit: bytes) -> bool:
    return len(unit) == 2 and 0xDC <= unit[1] <= 0xDF
