"""What differs between two texts, word by word, in a time bounded by their length.

The lines that both have are found first, then the words within the lines that differ. The anchors are the
items that occur once on each side ("patience diff", B. Cohen); between them the longest common stretches are
taken (`difflib`), as long as there is little to compare.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby, pairwise
from typing import Literal

Kind = Literal["equal", "added", "removed"]
Block = tuple[int, int, int]
"""Items that both have: where they start before, where after, and how many they are."""

WORDS_UP_TO = 200_000
"""Characters of two differing stretches together, up to which they are compared by words; longer ones by lines."""
_MOST_ITEMS = 2_000
_MOST_STEPS = 300_000
_MOST_STEPS_IN_ALL = 3_000_000
_MOST_VISITS = 8
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_TOKEN = re.compile(r"(\w+|[^\w\s]|)(\s*)")
_HAS_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text that both have, that only the later has ("added"), or only the earlier ("removed")."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a difference, with the words in it that changed."""

    kind: Kind
    parts: tuple[tuple[str, bool], ...]
    """Pieces of the line without its line end, and whether each is itself what was added or removed."""
    ended: bool = True
    """Whether a line end follows."""

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.parts)


def diff_words(before: str, after: str) -> tuple[Span, ...]:
    """The spans that lead from one text to the other, as few words as can be found marked as changed.

    Those not "added", joined, are `before`; those not "removed" are `after`. Neighbours are of different kinds
    and none is empty. Stretches longer than `WORDS_UP_TO` are compared by lines. The time grows with the length
    of the texts only: about a second for two of a megabyte, whatever they say.
    """
    budget = _Budget(steps=_MOST_STEPS_IN_ALL)
    old, new = _LINE.findall(before), _LINE.findall(after)
    spans: list[Span] = []
    for gap in _with_gaps(_common(old, new, budget), len(old), len(new)):
        removed, added = "".join(old[gap.old_start : gap.old_end]), "".join(new[gap.new_start : gap.new_end])
        spans += _diff_stretch(removed, added, budget)
        spans.append(Span("equal", "".join(old[gap.old_end : gap.old_end + gap.size])))
    return tuple(_joined(spans))


def changed_words(spans: Sequence[Span]) -> tuple[int, int]:
    """How many words were removed, and how many added."""
    counts = {kind: sum(len(re.findall(r"\w+", span.text)) for span in spans if span.kind == kind) for kind in _CHANGES}
    return counts["removed"], counts["added"]


def lines_of_difference(spans: Sequence[Span]) -> list[Line]:
    """The difference by lines: those that are equal, and those removed and added with their changed words marked."""
    rows = _Rows()
    for span in spans:
        for piece in _LINE.findall(span.text):
            rows.take(span.kind, piece.removesuffix("\n"), ends=piece.endswith("\n"))
    rows.finish()
    return rows.lines


_CHANGES: tuple[Kind, Kind] = ("removed", "added")


@dataclass(slots=True)
class _Budget:
    """How many steps `difflib` may still take; it needs up to the third power of what it is given."""

    steps: int


@dataclass(frozen=True, slots=True)
class _Gap:
    """A stretch that differs, up to the `size` equal items that follow it."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int
    size: int


class _Rows:
    """Lines put together from spans."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._waiting: dict[Kind, list[Line]] = {"removed": [], "added": []}
        self._current: dict[Kind, list[tuple[str, bool]]] = {"removed": [], "added": []}

    def take(self, kind: Kind, text: str, *, ends: bool) -> None:
        if kind == "equal":
            for side in _CHANGES:
                self._append(side, text, marked=False)
            if ends:
                self._end_both(ended=True)
            return
        self._append(kind, text, marked=True)
        if ends:
            self._end(kind, ended=True)

    def finish(self) -> None:
        if any(self._current.values()):
            self._end_both(ended=False)
        self._release()

    def _append(self, side: Kind, text: str, *, marked: bool) -> None:
        if text:
            self._current[side].append((text, marked))

    def _end(self, side: Kind, *, ended: bool) -> None:
        self._waiting[side].append(Line(side, tuple(self._current[side]), ended))
        self._current[side] = []

    def _end_both(self, *, ended: bool) -> None:
        old, new = (self._current[side] for side in _CHANGES)
        if old == new and not any(marked for _, marked in old):
            self._release()
            self.lines.append(Line("equal", tuple(old), ended))
            self._current = {"removed": [], "added": []}
            return
        for side in _CHANGES:
            if ended or self._current[side]:
                self._end(side, ended=ended)

    def _release(self) -> None:
        for side in _CHANGES:
            self.lines += self._waiting[side]
            self._waiting[side] = []


def _diff_stretch(old: str, new: str, budget: _Budget) -> Iterator[Span]:
    if not old or not new or len(old) + len(new) > WORDS_UP_TO:
        yield Span("removed", old)
        yield Span("added", new)
        return
    old_tokens, new_tokens = _tokens(old), _tokens(new)
    old_words, new_words = ([word for word, _ in tokens] for tokens in (old_tokens, new_tokens))
    for gap in _with_gaps(_common(old_words, new_words, budget), len(old_words), len(new_words)):
        yield Span("removed", _text(old_tokens[gap.old_start : gap.old_end]))
        yield Span("added", _text(new_tokens[gap.new_start : gap.new_end]))
        for offset in range(gap.size):
            (word, old_space), (_, new_space) = old_tokens[gap.old_end + offset], new_tokens[gap.new_end + offset]
            yield Span("equal", word)
            if old_space == new_space:
                yield Span("equal", old_space)
            else:
                yield Span("removed", old_space)
                yield Span("added", new_space)


def _tokens(text: str) -> list[tuple[str, str]]:
    """Words and signs, each with the white space after it; white space at the start follows an empty word."""
    return [token for token in _TOKEN.findall(text) if token != ("", "")]


def _text(tokens: Sequence[tuple[str, str]]) -> str:
    return "".join(word + space for word, space in tokens)


def _joined(spans: Sequence[Span]) -> Iterator[Span]:
    """The spans with neighbours of a kind joined, and islands of equality too small to help a reader made changes."""
    regions: list[_Region] = []
    region = _Region()
    for span in spans:
        if region.equal and span.kind != "equal" and span.text:
            regions.append(region)
            region = _Region()
        region.take(span)
    regions.append(region)
    kept = regions[:1]
    for region in regions[1:]:
        if kept[-1].is_island_before(region):
            kept[-1].swallow(region)
        else:
            kept.append(region)
    for region, following in pairwise([_Region(), *kept]):
        following.keep_blanks_at_end()
        following.begin_at_line_start(region)
    spans = [span for region in kept for span in region.spans()]
    for kind, run in groupby(spans, key=lambda span: span.kind):
        yield Span(kind, "".join(span.text for span in run))


@dataclass(slots=True)
class _Region:
    """A change, and the equal text after it."""

    removed: str = ""
    added: str = ""
    equal: str = ""

    @property
    def size(self) -> int:
        return max(len(self.removed), len(self.added))

    def take(self, span: Span) -> None:
        setattr(self, span.kind, getattr(self, span.kind) + span.text)

    def is_island_before(self, following: _Region) -> bool:
        if "\n" in self.equal or not self.size:
            return False
        return not _HAS_WORD.search(self.equal) or 3 * len(self.equal) <= min(self.size, following.size)

    def keep_blanks_at_end(self) -> None:
        """Blanks with which both what was removed and what was added end are not part of the change."""
        removed, added = (text[len(text.rstrip()) :] for text in (self.removed, self.added))
        size = _same_at_end(removed, added, 0, len(removed), 0, len(added))
        if size:
            self.equal = self.removed[-size:] + self.equal
            self.removed, self.added = self.removed[:-size], self.added[:-size]

    def begin_at_line_start(self, before: _Region) -> None:
        """Lines put in or taken out are marked from their start to their end, not from the second's middle."""
        start = before.equal[before.equal.rfind("\n") + 1 :]
        changed = self.removed or self.added
        if not start or (self.removed and self.added) or not changed.endswith(f"\n{start}"):
            return
        if start == before.equal and before.size:
            return
        moved = start + changed.removesuffix(start)
        self.removed, self.added = (moved, "") if self.removed else ("", moved)
        before.equal = before.equal.removesuffix(start)
        self.equal = start + self.equal

    def spans(self) -> Iterator[Span]:
        changed = self.removed != self.added
        kinds: tuple[tuple[Kind, str], ...] = (
            ("removed", self.removed if changed else ""),
            ("added", self.added if changed else ""),
            ("equal", self.equal if changed else self.removed + self.equal),
        )
        yield from (Span(kind, text) for kind, text in kinds if text)

    def swallow(self, following: _Region) -> None:
        self.removed += self.equal + following.removed
        self.added += self.equal + following.added
        self.equal = following.equal


def _with_gaps(blocks: Sequence[Block], old_size: int, new_size: int) -> Iterator[_Gap]:
    old_at = new_at = 0
    for old_start, new_start, size in (*blocks, (old_size, new_size, 0)):
        yield _Gap(old_at, old_start, new_at, new_start, size)
        old_at, new_at = old_start + size, new_start + size


def _common(old: Sequence[str], new: Sequence[str], budget: _Budget) -> list[Block]:
    """Blocks of items that both have, in order. Not always the most there are, where those would take long to find."""
    found: list[Block] = []
    visits = _MOST_VISITS * (len(old) + len(new)) + 1_000
    pending = [(0, len(old), 0, len(new))]
    while pending:
        old_start, old_end, new_start, new_end = pending.pop()
        visits -= old_end - old_start + new_end - new_start
        head = _same_at_start(old, new, old_start, old_end, new_start, new_end)
        found.append((old_start, new_start, head))
        old_start, new_start = old_start + head, new_start + head
        tail = _same_at_end(old, new, old_start, old_end, new_start, new_end)
        old_end, new_end = old_end - tail, new_end - tail
        found.append((old_end, new_end, tail))
        if old_start == old_end or new_start == new_end or visits < 0:
            continue
        ours, theirs = old[old_start:old_end], new[new_start:new_end]
        if len(ours) + len(theirs) <= _MOST_ITEMS and _pairs(ours, theirs) <= min(_MOST_STEPS, budget.steps):
            blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
            found += [(old_start + block.a, new_start + block.b, block.size) for block in blocks]
            budget.steps -= _pairs(ours, theirs) + len(ours) * len(blocks)
            continue
        old_at, new_at = old_start, new_start
        anchors = _anchors(ours, theirs)
        if not anchors:
            continue
        for ours_at, theirs_at in (*anchors, (len(ours), len(theirs))):
            pending.append((old_at, old_start + ours_at, new_at, new_start + theirs_at))
            old_at, new_at = old_start + ours_at, new_start + theirs_at
    return sorted(block for block in found if block[2])


def _same_at_start(
    old: Sequence[str], new: Sequence[str], old_start: int, old_end: int, new_start: int, new_end: int
) -> int:
    most = min(old_end - old_start, new_end - new_start)
    return next((step for step in range(most) if old[old_start + step] != new[new_start + step]), most)


def _same_at_end(
    old: Sequence[str], new: Sequence[str], old_start: int, old_end: int, new_start: int, new_end: int
) -> int:
    most = min(old_end - old_start, new_end - new_start)
    return next((step for step in range(most) if old[old_end - 1 - step] != new[new_end - 1 - step]), most)


def _pairs(old: Sequence[str], new: Sequence[str]) -> int:
    """How many pairs of equal items there are to look at, and every item once."""
    counts = Counter(old)
    return len(old) + len(new) + sum(counts[item] for item in new)


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Where the items are that occur once in each, as many as keep their order in both."""
    once_old, once_new = _once(old), _once(new)
    pairs = [(at, once_new[item]) for item, at in once_old.items() if item in once_new]
    lowest: list[int] = []
    ends: list[int] = []
    previous: list[int | None] = []
    for index, (_, at) in enumerate(pairs):
        length = bisect_left(lowest, at)
        lowest[length : length + 1] = [at]
        ends[length : length + 1] = [index]
        previous.append(ends[length - 1] if length else None)
    chain: list[tuple[int, int]] = []
    step = ends[-1] if ends else None
    while step is not None:
        chain.append(pairs[step])
        step = previous[step]
    return chain[::-1]


def _once(items: Sequence[str]) -> dict[str, int]:
    counts = Counter(items)
    return {item: at for at, item in enumerate(items) if counts[item] == 1}
