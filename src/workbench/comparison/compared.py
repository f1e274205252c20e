"""`Compared`: a run compared with one of its variants, as values. What is shown of it stands on this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.columns import TrialColumns
from workbench.comparison.flips import FLIPS, Changes, what_flipped
from workbench.comparison.scores import Scores, is_stand_in
from workbench.comparison.summaries import VariantSummary, summarise
from workbench.comparison.verdict import STAND_IN_LABEL, Verdict
from workbench.markup import counted, visible
from workbench.trial.trial import Run

STAND_IN_NOTE = "The replies, tokens and seconds below were made up by the OFFLINE STAND-IN; nothing was spent."


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """A run compared with one of its variants: arrays, sums and sentences, of which tables and pictures are made."""

    run: Run = field(repr=False)
    baseline: str
    verdicts: tuple[Verdict, ...]
    """One for each other variant, in the order of the run; empty where the run has one variant."""
    columns: TrialColumns = field(repr=False)
    """The trials as arrays, in the order of the run."""
    scores: Mapping[str, Scores] = field(repr=False)
    """By variant, in the order of the run."""

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
    def flipped(self) -> Changes:
        """The tasks that most repeats passed with the baseline and now fail, and the other way round."""
        return what_flipped(self.run, baseline=self.baseline, scores=self.scores)

    @cached_property
    def flip_codes(self) -> NDArray[np.int8]:
        """Variants by tasks: the number in `FLIPS` of how the task went with that variant; 0 for the baseline."""
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
        """What it ended in: each verdict, or that there is none to reach with one variant."""
        if self.verdicts:
            return [verdict.text for verdict in self.verdicts]
        label = f"{STAND_IN_LABEL} " if self.stand_in else ""
        return [f'{label}One variant, "{visible(self.baseline)}": scores without a verdict.']

    @property
    def sentence_parts(self) -> list[tuple[str, str]]:
        """Each sentence in what is to be seen at once and the rest."""
        if not self.verdicts:
            return [(sentence, "") for sentence in self.sentences]
        return [(verdict.headline, verdict.text.removeprefix(verdict.headline)) for verdict in self.verdicts]
