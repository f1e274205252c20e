"""A person's choice between two replies to the same task, side by side and blind, without a widget.

A choice is a label of the pair, in the same kind of file as labels of replies: "first", "second" or "tie". Which reply
stands first is drawn by the seed, pair by pair, from the replies alone; the file names both in the order in which they
were shown, so that a sitting with another seed reads it rightly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Literal, cast

from workbench.errors import PlanError
from workbench.judging.labelling import Labelling
from workbench.judging.labels import Item, Label
from workbench.markup import visible
from workbench.statistics.pairwise import Choices, Judgement, compare_choices
from workbench.trial.judged import item_id
from workbench.trial.rubric import Criterion, Rubric
from workbench.trial.trial import Run, Trial

BETTER = "better"
"""The criterion under which a choice stands in the file."""
_LEVELS = ("first", "second", "tie")
_MIRRORED = {"first": "second", "second": "first"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pair:
    """One repeat of a task that both variants answered, in the order in which it is shown."""

    task_id: str
    repeat: int
    first: Trial
    second: Trial

    @property
    def id(self) -> str:
        return f"{item_id(self.first)} {item_id(self.second)}"

    @property
    def is_equal(self) -> bool:
        return _text(self.first) == _text(self.second)


class Choosing(Labelling):
    """One person at pairs of replies: blind, in random order and on sides drawn by lot, each choice on disk before the
    next pair is shown. Two equal replies are a tie, and nobody is asked.
    """

    def __init__(
        self, run: Run, *, path: str | Path, labeller: str, variants: Sequence[str] | None = None, seed: int = 0
    ) -> None:
        """`variants` are the two that are compared, the earlier first; `None`: the two of the run.

        Raises:
            PlanError: the run has no such two variants, or no two different replies of theirs to the same task.
            LabelError: the file cannot be read, is no file of choices, or nobody is named.
        """
        names = tuple(run.variants) if variants is None else tuple(variants)
        unknown = [name for name in names if name not in run.variants]
        if unknown or len(set(names)) != 2:
            found = ", ".join(repr(visible(name)) for name in run.variants)
            raise PlanError(f"a choice is between two variants; the run has {found}: name two of them with variants=")
        self._baseline, self._variant = names
        asks = Criterion(name=BETTER, asks="Which reply is better?", levels=_LEVELS)
        rubric = Rubric(name="side by side", criteria=(asks,))
        super().__init__(run, rubric, path=path, labeller=labeller, seed=seed)

    def levels_of(self, criterion: str) -> tuple[str, ...]:
        """ "first", "second" and "tie"."""
        return _LEVELS if criterion == BETTER else ()

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """What was chosen, one for each repeat of a task, equal replies as ties; this opens what was blind."""
        found = []
        for pair in self._pairs:
            label = self._given.get((pair.id, BETTER))
            level = "tie" if pair.is_equal else "" if label is None else label.level
            if level:
                found.append(
                    Judgement(
                        task_id=pair.task_id,
                        repeat=pair.repeat,
                        first=pair.first.variant,
                        second=pair.second.variant,
                        choice=cast(Literal["first", "second", "tie"], level),
                    )
                )
        return tuple(found)

    def result(self) -> Choices:
        """How often the later variant was chosen, with interval and sign test over tasks; this opens what was blind.

        Raises:
            ComparisonError: nothing was chosen yet.
        """
        return compare_choices(self.judgements, variant=self._variant, baseline=self._baseline)

    def _items_of(self, run: Run, seed: int, next_of: str | None) -> tuple[Item, ...]:
        self._pairs = _pairs_of(run, (self._baseline, self._variant), seed)
        tasks = {task.id: task for task in run.tasks}
        items = {
            pair.id: Item(
                id=pair.id,
                task_id=pair.task_id,
                asked=tasks[pair.task_id].message,
                reply=_text(pair.first),
                beside=_text(pair.second),
            )
            for pair in self._pairs
            if not pair.is_equal
        }
        if not items:
            raise PlanError(
                f"no task has two different replies of {visible(self._baseline)!r} and {visible(self._variant)!r}, so"
                " that there is nothing to choose between"
            )
        # The draw depends on the replies alone, so that neither the order of the variants nor a run that grew moves it.
        return tuple(sorted(items.values(), key=lambda item: Random(f"{seed} {sorted(item.id.split())}").random()))

    def _as_shown(self, label: Label) -> Label:
        mirrored = " ".join(reversed(label.item.split(" ")))
        if label.item in self._ids or mirrored not in self._ids:
            return label
        return replace(label, item=mirrored, level=_MIRRORED.get(label.level, label.level))

    @property
    def _ids(self) -> set[str]:
        return {item.id for item in self.items}


def _pairs_of(run: Run, names: tuple[str, str], seed: int) -> tuple[_Pair, ...]:
    answered = {
        (trial.variant, trial.task_id, trial.repeat): trial
        for trial in run.trials
        if trial.outcome == "answered" and trial.reply is not None
    }
    pairs = []
    for task in run.tasks:
        for repeat in range(run.repeats):
            both = [answered.get((name, task.id, repeat)) for name in names]
            if both[0] is None or both[1] is None:
                continue
            # Sorted by what was said before the lot is drawn: the side says nothing of the variant.
            first, second = sorted((both[0], both[1]), key=item_id)
            if Random(f"side {seed} {item_id(first)} {item_id(second)}").random() < 0.5:
                first, second = second, first
            pairs.append(_Pair(task_id=task.id, repeat=repeat, first=first, second=second))
    return tuple(pairs)


def _text(trial: Trial) -> str:
    return "" if trial.reply is None else trial.reply.text
