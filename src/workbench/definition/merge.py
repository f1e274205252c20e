"""Two changed texts made one again: what only one side changed is taken, what both changed is put side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from workbench.definition.document import parse_document
from workbench.definition.lines import lines_of

Side = Literal["mine", "disk", "both"]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of lines as each of the three texts has it."""

    base: str
    mine: str
    disk: str

    @property
    def is_clash(self) -> bool:
        """Whether both sides changed it, and not to the same."""
        return self.mine != self.disk and self.base not in (self.mine, self.disk)

    def text(self, side: Side) -> str:
        """What the merge has here; `side` counts for a clash only."""
        if not self.is_clash:
            return self.disk if self.mine == self.base else self.mine
        if side == "both":
            return _ended(self.mine) + self.disk
        return self.mine if side == "mine" else self.disk


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Three texts in pieces that concatenate back to each of them."""

    pieces: tuple[Piece, ...]

    @property
    def clashes(self) -> tuple[int, ...]:
        """The numbers of the pieces that somebody has to choose of."""
        return tuple(index for index, piece in enumerate(self.pieces) if piece.is_clash)

    def text(self, sides: Mapping[int, Side] | None = None) -> str:
        """The merged text; a clash of which nothing is said is taken as mine."""
        chosen = sides or {}
        return "".join(piece.text(chosen.get(index, "mine")) for index, piece in enumerate(self.pieces))


def merge_texts(base: str, mine: str, disk: str) -> Merge:
    """Three texts of an agent file, the header key by key and the body line by line.

    Changes that touch without overlapping do not clash.
    """
    units, mine_units, disk_units = _units(base), _units(mine), _units(disk)
    lines = [text for _, text in units]
    changes = sorted([*_changes(units, mine_units, 0), *_changes(units, disk_units, 1)])
    pieces: list[Piece] = []
    done = 0
    for group in _overlapping(changes):
        start, end = group[0][0], max(change[1] for change in group)
        pieces += _unchanged(lines[done:start])
        sides = [_with(lines, start, end, [change for change in group if change[2] == side]) for side in (0, 1)]
        pieces.append(Piece(base="".join(lines[start:end]), mine=sides[0], disk=sides[1]))
        done = end
    return Merge(pieces=(*pieces, *_unchanged(lines[done:])))


_Unit = tuple[str, str]
"""What tells a stretch of text from others, and the text: an entry of the header is the same whatever its value."""
_Change = tuple[int, int, int, str]
"""From and to which unit of the base, by which side, and what is there instead."""


def _units(text: str) -> list[_Unit]:
    document = parse_document(text)
    if not document.open or document.is_flow:
        return [(line, line) for line in lines_of(text)]
    return [
        ("open", document.bom + document.lead + document.open + document.head),
        *((f"key {entry.key}", entry.text + entry.gap) for entry in document.entries),
        ("close", document.close),
        *((f"line {line}", line) for line in lines_of(document.body)),
    ]


def _changes(base: list[_Unit], other: list[_Unit], side: int) -> Iterator[_Change]:
    names, other_names = [name for name, _ in base], [name for name, _ in other]
    for kind, start, end, from_, to in SequenceMatcher(None, names, other_names, autojunk=False).get_opcodes():
        if kind != "equal":
            yield start, end, side, "".join(text for _, text in other[from_:to])
        else:
            pairs = zip(base[start:end], other[from_:to], strict=True)
            for index, ((_, old), (_, new)) in enumerate(pairs, start):
                if old != new:
                    yield index, index + 1, side, new


def _overlapping(changes: list[_Change]) -> Iterator[list[_Change]]:
    group: list[_Change] = []
    for change in changes:
        # Two insertions at one place have no order of their own, so they belong together.
        if group and (change[0] < max(one[1] for one in group) or any(_at_one_place(one, change) for one in group)):
            group.append(change)
        else:
            if group:
                yield group
            group = [change]
    if group:
        yield group


def _at_one_place(one: _Change, other: _Change) -> bool:
    return one[2] != other[2] and one[0] == one[1] == other[0] == other[1]


def _with(lines: list[str], start: int, end: int, changes: list[_Change]) -> str:
    parts, done = [], start
    for from_, to, _, text in changes:
        parts += [*lines[done:from_], text]
        done = to
    return "".join([*parts, *lines[done:end]])


def _unchanged(lines: list[str]) -> list[Piece]:
    text = "".join(lines)
    return [Piece(base=text, mine=text, disk=text)] if text else []


def _ended(text: str) -> str:
    return text if not text or text.endswith(("\n", "\r")) else text + "\n"
