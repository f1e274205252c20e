"""What a run says of its graders: those that never tell replies apart, change their mind, or say what another says.

None of it is a fault by itself: a promise that every reply keeps is kept, and a model that is unsteady makes a true
grader flip. It is what to look at before more is spent on such a grader.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.markup import counted
from workbench.statistics.intervals import Floats
from workbench.trial.trial import Run

FEWEST_REPLIES = 5
"""Scored replies without which nothing is said of a grader."""
FEWEST_SHARED = 10
"""Replies that two graders must both have scored before they are called the same."""
SAME_FROM = 0.95
"""From which correlation of their scores two graders are called the same."""
FLIP = 0.5
"""By how much the scores of two repeats must differ to count as a flip: more than half of the scale."""
MOST_NAMED = 3
"""Promises, or pairs of them, that are named in short."""
SEE_MORE = "`workbench check-tasks --run RECORD` says what to do about it."
FLIPS_TO_TELL = 1 / 3
"""From which share of its tasks, each under each variant, a grader that flips is named."""


@dataclass(frozen=True, kw_only=True)
class PromiseCheck:
    """How the grader of one promise scored the replies of a run."""

    promise: str
    scored: int
    """Replies with a score."""
    declined: int
    """Answered replies of its tasks of which it said nothing."""
    lowest: float | None
    highest: float | None
    repeated: int
    """Tasks, each under each variant, of which two repeats or more have a score."""
    flipped: int
    """Those in which two repeats differ by more than `FLIP`."""
    contradicted: int
    """Texts that it scored twice for one task, and otherwise: it is no function of task and reply."""

    @property
    def never_discriminates(self) -> bool:
        return self.scored >= FEWEST_REPLIES and self.lowest == self.highest

    @property
    def flips(self) -> bool:
        return self.repeated > 0 and self.flipped >= max(2, FLIPS_TO_TELL * self.repeated)


@dataclass(frozen=True, kw_only=True)
class SameGraders:
    """Two promises that are scored alike."""

    promise: str
    other: str
    shared: int
    """Replies that both scored."""
    correlation: float
    """Pearson's, of their scores."""


@dataclass(frozen=True, kw_only=True)
class GraderCheck:
    """What a run says of its graders."""

    promises: tuple[PromiseCheck, ...]
    """In the order in which its tasks name them."""
    same: tuple[SameGraders, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong whatever was asked: graders that contradict themselves."""
        return tuple(
            f"{one.promise}: scored the same text otherwise the second time, {counted(one.contradicted, 'time')}; a "
            "grader is to say the same of the same reply"
            for one in self.promises
            if one.contradicted
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to look at, a sentence each; empty: nothing."""
        return tuple(self._remarks())

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return {
            "promises": [
                {**asdict(one), "never_discriminates": one.never_discriminates, "flips": one.flips}
                for one in self.promises
            ],
            "same": [asdict(pair) for pair in self.same],
            "faults": list(self.faults),
            "remarks": list(self.remarks),
        }

    def __str__(self) -> str:
        said = [*self.faults, *self.remarks]
        return "\n".join(said) if said else f"nothing to say against {counted(len(self.promises), 'promise')}"

    @property
    def in_short(self) -> str:
        """The same in one or two sentences, for below a table of promises; "" where there is nothing to look at."""
        never = [one.promise for one in self.promises if one.never_discriminates]
        flips = [one.promise for one in self.promises if one.flips]
        pairs = [f"{pair.promise} and {pair.other}" for pair in self.same]
        told = [
            f"{first_of(names)} {what}"
            for names, what in (
                (never, "gave every reply the same score"),
                (flips, "went up and down between repeats of one task"),
                (pairs, "said the same of every reply"),
            )
            if names
        ]
        return f"Of the graders: {'; '.join(told)}. {SEE_MORE}" if told else ""

    def _remarks(self) -> Iterator[str]:
        for one in self.promises:
            if one.scored < FEWEST_REPLIES:
                scores = f"{counted(one.scored, 'score')} ({one.declined} declined)"
                yield f"{one.promise}: has {scores}; too few to say anything"
            elif one.never_discriminates:
                yield (
                    f"{one.promise}: gave {one.highest:.2f} to all {one.scored} replies, so it tells none apart; add a "
                    "task in which it could be broken, or a bad reply that it must fail"
                )
            if one.flips:
                yield (
                    f"{one.promise}: flips between repeats in {one.flipped} of {counted(one.repeated, 'task')} (each "
                    "counts once a variant); more repeats, or a grader less left to chance, make it worth something"
                )
        for pair in self.same:
            yield (
                f"{pair.promise} and {pair.other}: say the same of {pair.shared} replies (correlation "
                f"{pair.correlation:.2f}); counted twice, one promise weighs double"
            )


def first_of(names: Sequence[str]) -> str:
    """The first few of these names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"


def check_graders(run: Run) -> GraderCheck:
    """What the scores of a run say of the graders that gave them: `print` it, or read its parts."""
    named = list(dict.fromkeys(spec.promise for task in run.tasks for spec in task.graders))
    promises = named + sorted({promise for trial in run.trials for promise in trial.scores} - set(named))
    answered = [trial for trial in run.trials if trial.outcome == "answered"]
    columns = {promise: column for column, promise in enumerate(promises)}
    scores = np.full((len(answered), len(promises)), np.nan)
    given = np.zeros(len(promises), dtype=np.int64)
    for row, trial in enumerate(answered):
        for promise, score in trial.scores.items():
            column = columns[promise]
            given[column] += 1
            if score.value is not None:
                scores[row, column] = score.value
    cases = _numbered((trial.task_id, trial.variant, bool(trial.twin)) for trial in answered)
    texts = _numbered((trial.task_id, trial.reply.text if trial.reply else "") for trial in answered)
    return GraderCheck(
        promises=tuple(
            _checked(promise, scores[:, column], int(given[column]), cases=cases, texts=texts)
            for promise, column in columns.items()
        ),
        same=tuple(_same(promises, scores)),
    )


def _numbered(items: Iterable[Hashable]) -> NDArray[np.int64]:
    """By row, the number of its item: equal items have the same."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(item, len(numbers)) for item in items], dtype=np.int64)


def _checked(
    promise: str, scores: Floats, given: int, *, cases: NDArray[np.int64], texts: NDArray[np.int64]
) -> PromiseCheck:
    is_scored = ~np.isnan(scores)
    values = scores[is_scored]
    repeats, spread = _spread(values, cases[is_scored])
    _, contradicts = _spread(values, texts[is_scored])
    return PromiseCheck(
        promise=promise,
        scored=len(values),
        declined=given - len(values),
        lowest=float(values.min()) if len(values) else None,
        highest=float(values.max()) if len(values) else None,
        repeated=int((repeats > 1).sum()),
        flipped=int((spread > FLIP).sum()),
        contradicted=int((contradicts > 0).sum()),
    )


def _spread(values: Floats, groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
    """By group, how many values it has, and by how much the largest and the least of them differ."""
    counts = np.bincount(groups)
    highest, lowest = np.full(len(counts), -np.inf), np.full(len(counts), np.inf)
    np.maximum.at(highest, groups, values)
    np.minimum.at(lowest, groups, values)
    return counts, np.where(counts > 0, highest - lowest, 0.0)


def _same(promises: Sequence[str], scores: Floats) -> Iterator[SameGraders]:
    is_scored = (~np.isnan(scores)).astype(int)
    shared = is_scored.T @ is_scored
    for one, other in combinations(range(len(promises)), 2):
        if shared[one, other] < FEWEST_SHARED:
            continue
        both = scores[:, [one, other]]
        both = both[~np.isnan(both).any(axis=1)]
        if (both.std(axis=0) == 0).any():
            continue
        correlation = float(np.asarray(np.corrcoef(both.T))[0, 1])
        if correlation >= SAME_FROM:
            yield SameGraders(promise=promises[one], other=promises[other], shared=len(both), correlation=correlation)
