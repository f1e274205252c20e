"""`Compared`: a run compared with one of its variants, as values. What is shown of it stands on this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.columns import TrialColumns
from workbench.comparison.figures import HOW_IT_IS_DECIDED, IN_FULL, points
from workbench.comparison.flips import FLIPS, Changes, together, what_flipped
from workbench.comparison.measures import MeasureChange, measure_changes
from workbench.comparison.promises import (
    PromiseChange,
    PromiseMean,
    promise_changes,
    promise_means,
    worst_promises_first,
)
from workbench.comparison.scores import Scores, is_stand_in
from workbench.comparison.summaries import VariantSummary, summarise
from workbench.comparison.verdict import STAND_IN_LABEL, Verdict
from workbench.markup import counted, visible
from workbench.trial.trial import Run

if TYPE_CHECKING:
    from workbench.comparison.grader_check import GraderCheck
    from workbench.comparison.judged import CriterionRow

MOST_PROMISES = 5
"""Promises that are named on a first screen, and in a sentence."""
COLLAPSE = 0.25
"""A fall of so much, of 1, is said even where it is not shown: a few tasks show nothing, and hide nothing either."""
STAND_IN_NOTE = "The replies, tokens and seconds below were made up by the OFFLINE STAND-IN; nothing was spent."
WHATEVER = ", whatever the whole says"


def shown_worse(promises: Iterable[PromiseChange], criteria: Iterable[CriterionRow]) -> tuple[str, ...]:
    """The names of the promises, and of the criteria of certified judges, that are shown to be worse."""
    rows = (*((row.promise, row.kind) for row in promises), *((row.criterion, row.kind) for row in criteria))
    return tuple(dict.fromkeys(name for name, kind in rows if kind == "worse"))


def _fall(row: PromiseChange) -> float:
    """By how much of 1 it is lower, compared or not; 0 where that is not known."""
    return 0.0 if row.before is None or row.after is None else row.before - row.after


def _named_with(of: str, names: Sequence[str], ending: str) -> str:
    """ "OF: A, B and 4 more, ENDING"; empty without names."""
    if not names:
        return ""
    more = [f"and {len(names) - MOST_PROMISES} more"] if len(names) > MOST_PROMISES else []
    return f"{of}: {', '.join([*map(visible, names[:MOST_PROMISES]), *more])}{ending}."


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """A run compared with one of its variants: arrays, sums and sentences, of which tables and pictures are made."""

    run: Run = field(repr=False)
    baseline: str
    """The variant that the others are held against; the first of several, where they have baselines of their own."""
    verdicts: tuple[Verdict, ...]
    """One for each other variant, in the order of the run; empty where the run has one variant."""
    columns: TrialColumns = field(repr=False)
    """The trials as arrays, in the order of the run."""
    scores: Mapping[str, Scores] = field(repr=False)
    """By variant, in the order of the run."""
    families: int = 1
    """How many comparisons are read beside each other, this one included; every p value is corrected for all of
    them."""
    parts: tuple[Compared, ...] = field(default=(), repr=False)
    """Where variants have baselines of their own, what is held against each of these; else empty."""

    @cached_property
    def baseline_of(self) -> Mapping[str, str]:
        """By variant that is held against one, its baseline."""
        if self.parts:
            return {name: base for part in self.parts for name, base in part.baseline_of.items()}
        return {name: self.baseline for name in self.run.variants if name != self.baseline}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The variants, each baseline before what is held against it."""
        found = [name for variant, base in self.baseline_of.items() for name in (base, variant)]
        return tuple(dict.fromkeys([*found, *self.run.variants]))

    @property
    def baselines(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.baseline_of.values())) or (self.baseline,)

    @property
    def against(self) -> str:
        """What the variants are held against, in a heading."""
        return self.baseline if len(self.baselines) == 1 else "its baseline"

    @property
    def attempts_of_each(self) -> int:
        """How often each variant was to answer."""
        return len(self.run.tasks) * self.run.repeats

    @property
    def verdict(self) -> Verdict | None:
        """The first verdict: the one, in a comparison of two variants. `None` where there is one variant."""
        return self.verdicts[0] if self.verdicts else None

    @cached_property
    def stand_in(self) -> bool:
        """Whether any reply was made up by the offline stand-in."""
        return is_stand_in(self.run)

    @cached_property
    def summaries(self) -> tuple[VariantSummary, ...]:
        """What is in `Comparison.by_variant`, as values; in the order of the run."""
        return summarise(self.columns, self.scores)

    @cached_property
    def promises(self) -> tuple[PromiseChange, ...]:
        """The verdict promise by promise, of every other variant, the worst first."""
        return self._promises_and_criteria[0]

    @cached_property
    def graders(self) -> GraderCheck:
        """What the run says of its graders."""
        from workbench.comparison.grader_check import check_graders

        return check_graders(self.run)

    @cached_property
    def promise_means(self) -> tuple[PromiseMean, ...]:
        """How each variant keeps each promise by itself, the least kept first."""
        return promise_means(self.columns)

    @cached_property
    def measures(self) -> tuple[MeasureChange, ...]:
        """What can be measured of replies without a grader, of every other variant against the baseline."""
        if self.parts:
            return tuple(change for part in self.parts for change in part.measures)
        return measure_changes(self.columns, baseline=self.baseline, families=self.families)

    @cached_property
    def criteria(self) -> tuple[CriterionRow, ...]:
        """What judges found of the run, criterion by criterion, of every other variant against the baseline; the worst
        first, and corrected in one family with the promises."""
        return self._promises_and_criteria[1]

    @cached_property
    def _promises_and_criteria(self) -> tuple[tuple[PromiseChange, ...], tuple[CriterionRow, ...]]:
        if self.parts:
            promises = worst_promises_first(change for part in self.parts for change in part.promises)
            return promises, tuple(row for part in self.parts for row in part.criteria)
        if not self.run.judged:
            return promise_changes(self.columns, baseline=self.baseline, families=self.families), ()
        from workbench.comparison.judged import promises_and_criteria  # few runs are judged

        return promises_and_criteria(self.run, self.columns, baseline=self.baseline, families=self.families)

    @cached_property
    def warning(self) -> str:
        """Which promises, and which criteria of certified judges, are shown to be worse, may be, or fell by much though
        that is not shown, whatever became of the whole; "" without any, where no model answered, and where both send
        the same requests."""
        noise = {verdict.variant for verdict in self.verdicts if verdict.same_requests}
        rows = [
            *(
                (f"{row.promise} ({row.variant})", row.kind, _fall(row))
                for row in self.promises
                if row.variant not in noise
            ),
            *((f"{row.criterion} ({row.variant})", row.kind, 0.0) for row in self.criteria if row.variant not in noise),
        ]
        if self.stand_in:
            return ""
        fell = [
            f"{name} by {points(fall, sign=False)}"
            for name, kind, fall in rows
            if kind in ("no difference shown", "not compared") and fall >= COLLAPSE
        ]
        said = (
            _named_with("Shown to be worse", [name for name, kind, _ in rows if kind == "worse"], WHATEVER),
            _named_with(
                "May be worse, not established", [name for name, kind, _ in rows if kind == "may be worse"], ""
            ),
            _named_with(f"Fell by {points(COLLAPSE, sign=False)} points or more, not shown", fell, ""),
        )
        return " ".join(filter(None, said))

    @cached_property
    def flipped(self) -> Changes:
        """The tasks that most repeats passed with the baseline and now fail, and the other way round."""
        if self.parts:
            return together([part.flipped for part in self.parts])
        return what_flipped(self.run, baseline=self.baseline, scores=self.scores)

    @cached_property
    def flip_codes(self) -> NDArray[np.int8]:
        """Variants by tasks: the number in `FLIPS` of how the task went with that variant; 0 for a baseline."""
        variants = {name: number for number, name in enumerate(self.run.variants)}
        tasks = {task.id: number for number, task in enumerate(self.run.tasks)}
        codes = np.zeros((len(variants), len(tasks)), dtype=np.int8)
        for change in self.flipped.flipped:
            codes[variants[change.variant], tasks[change.task_id]] = FLIPS.index(change.flip)
        return codes

    @property
    def size(self) -> str:
        """How much was compared: "12 tasks x 4 repeats"."""
        return f"{counted(len(self.run.tasks), 'task')} x {counted(self.run.repeats, 'repeat')}"

    @property
    def sentences(self) -> list[str]:
        """What it ended in: of each verdict what a reader meets first, and then all of it; or that there is none to
        reach with one variant. Where there is a verdict, the promises of `warning` stand behind them, and the last says
        where its rules stand."""
        found = [f"{first}\n{IN_FULL}{rest}" if rest else first for first, rest in self.sentence_parts]
        return [*found, *filter(None, [self.warning]), HOW_IT_IS_DECIDED] if self.verdicts else found

    @property
    def sentence_parts(self) -> list[tuple[str, str]]:
        """Each sentence as a reader meets it first, and in full."""
        if not self.verdicts:
            label = f"{STAND_IN_LABEL} " if self.stand_in else ""
            return [(f'{label}One variant, "{visible(self.baseline)}": scores without a verdict.', "")]
        return [(verdict.headline, verdict.text) for verdict in self.verdicts]
