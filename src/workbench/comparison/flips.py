"""What flipped: how the mean of each task changed from one variant to another, and which passes became failures."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from workbench.comparison.scores import THRESHOLD as THRESHOLD
from workbench.comparison.scores import Scores, does_pass, is_stand_in, scores_by_variant
from workbench.comparison.verdict import STAND_IN_LABEL, points
from workbench.errors import ComparisonError
from workbench.markup import Table, html_table, markdown_table, notebook_html, plain_table, visible
from workbench.statistics.means import Floats
from workbench.trial.trial import Run

Flip = Literal["now passes", "now fails"]
FLIPS: tuple[Flip | None, ...] = (None, "now passes", "now fails")
"""What the codes of `Compared.flip_codes` mean."""

MOST_CHANGES_SHOWN = 50
NONE_FLIPPED = "No task flipped by its whole score, whatever single promises did."


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """How one task went with the baseline, and with a variant. Scores are means over the repeats, 0..1."""

    task_id: str
    group: str | None
    variant: str
    before: float
    """Mean score of the baseline; NaN where it has none."""
    after: float
    passed_before: bool | None
    """Whether more than half of the scored repeats passed; `None` where just half did, or none has a score."""
    passed_after: bool | None

    @property
    def difference(self) -> float:
        """After minus before; NaN where either has no score."""
        return self.after - self.before

    @property
    def flip(self) -> Flip | None:
        """Set where most repeats failed and now most pass, or the other way round."""
        if self.passed_before is None or self.passed_after is None or self.passed_before == self.passed_after:
            return None
        return "now passes" if self.passed_after else "now fails"


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The change of every task with every other variant, the largest first. Shows those that flipped."""

    baseline: str
    threshold: float
    changes: tuple[Change, ...]
    stand_in: bool
    """True where the offline stand-in answered."""

    @property
    def flipped(self) -> tuple[Change, ...]:
        """The changes in which the task flipped, the largest first."""
        return tuple(change for change in self.changes if change.flip is not None)

    def table(self, *, flipped_only: bool = True, most: int = MOST_CHANGES_SHOWN) -> Table:
        """The changes as a table with scores in points, at most this many rows."""
        chosen = self.flipped if flipped_only else self.changes
        rows = tuple(_row(change) for change in chosen[:most])
        label = f"{STAND_IN_LABEL} " if self.stand_in else ""
        what = "What flipped" if flipped_only else "What changed"
        counts = ", ".join(f"{_count(self.changes, flip)} {words}" for flip, words in _FLIPS.items())
        title = f"{label}{what} against {visible(self.baseline)}: {counts}"
        none = "" if chosen else f"{NONE_FLIPPED} " if flipped_only else "There is no other variant. "
        passing = points(self.threshold, sign=False)
        note = f"{none}A task passes where more than half of its repeats score {passing} points or more."
        if len(rows) < len(chosen):
            note += f" {len(rows)} of {len(chosen)} are shown, the largest changes first."
        headings = ("Task", "Group", "Variant", "Before", "After", "Change", "")
        return Table(title=title, headings=headings, rows=rows, note=note)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, Any]:
        table = self.table()
        shown = notebook_html(html_table(table))
        return {"text/html": shown, "text/markdown": markdown_table(table), "text/plain": plain_table(table)}


_FLIPS: dict[Flip, str] = {"now passes": "now pass", "now fails": "now fail"}


def what_flipped(
    run: Run, *, baseline: str, threshold: float = THRESHOLD, scores: Mapping[str, Scores] | None = None
) -> Changes:
    """How each task changed from the baseline to each other variant, and which tasks flipped.

    A repeat passes with a score of `threshold` (0..1) or more; a task passes where more than half of its scored
    repeats do, and fails where more than half do not. It flipped where that is the other way round with the
    variant. Just half on either side is no flip. Changes are in order of size; those without a score come last.
    `scores` are those of `scores_by_variant(run)`, where they are at hand.

    Raises:
        ComparisonError: the baseline is not a variant of the run, or a trial of the run was not planned.
    """
    if baseline not in run.variants:
        known = ", ".join(repr(name) for name in run.variants) or "none"
        raise ComparisonError(f"there is no variant {baseline!r} to compare with; the run has {known}")
    found = scores_by_variant(run) if scores is None else scores
    changes = [
        change
        for name in run.variants
        if name != baseline
        for change in changes_between(run, found[baseline], found[name], variant=name, threshold=threshold)
    ]
    changes.sort(key=_size, reverse=True)
    return Changes(baseline=baseline, threshold=threshold, changes=tuple(changes), stand_in=is_stand_in(run))


def together(parts: Sequence[Changes]) -> Changes:
    """The changes against several baselines as one, the largest first."""
    return Changes(
        baseline=" and ".join(part.baseline for part in parts),
        threshold=parts[0].threshold,
        changes=tuple(sorted((change for part in parts for change in part.changes), key=_size, reverse=True)),
        stand_in=any(part.stand_in for part in parts),
    )


def _size(change: Change) -> float:
    return -math.inf if math.isnan(change.difference) else abs(change.difference)


def changes_between(
    run: Run, before: Scores, after: Scores, *, variant: str, threshold: float = THRESHOLD
) -> list[Change]:
    """The change of each task, in the order of `Run.tasks`."""
    columns = zip(
        run.tasks,
        before.means.tolist(),
        after.means.tolist(),
        _passed(before.by_repeat, threshold),
        _passed(after.by_repeat, threshold),
        strict=True,
    )
    return [
        Change(
            task_id=task.id,
            group=task.group,
            variant=variant,
            before=old,
            after=new,
            passed_before=old_passed,
            passed_after=new_passed,
        )
        for task, old, new, old_passed, new_passed in columns
    ]


def _passed(by_repeat: Floats, threshold: float) -> list[bool | None]:
    passed = does_pass(by_repeat, threshold).sum(axis=1)
    scored = (~np.isnan(by_repeat)).sum(axis=1)
    margin = np.sign(2 * passed - scored).tolist()
    return [None if side == 0 else side > 0 for side in margin]


def _count(changes: tuple[Change, ...], flip: Flip) -> int:
    return sum(change.flip == flip for change in changes)


def _row(change: Change) -> tuple[str, ...]:
    shown = ["-" if math.isnan(value) else points(value, sign=False) for value in (change.before, change.after)]
    difference = "-" if math.isnan(change.difference) else points(change.difference)
    return (change.task_id, change.group or "", change.variant, *shown, difference, change.flip or "")
