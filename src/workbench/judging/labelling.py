"""Labelling, without a widget: which reply comes next, what was said of it, and how far it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import RLock

from workbench.errors import LabelError, PlanError
from workbench.judging.labels import (
    Item,
    Label,
    Labels,
    items_to_label,
    label_now,
    load_labels,
    refuse_table,
    save_label,
)
from workbench.trial.rubric import CANNOT_TELL, Rubric
from workbench.trial.trial import Run


class Labelling:
    """One person at the replies of a run: blind, in random order, each label on disk before the next is asked for.

    Begun again with the same file and person, it goes on at the first reply that lacks a label. Other people's labels
    may stand in the same file, and are not shown.
    """

    def __init__(
        self,
        run: Run,
        rubric: Rubric,
        *,
        path: str | Path,
        labeller: str,
        seed: int = 0,
        next_of: str | None = None,
    ) -> None:
        """`path` is the JSON Lines file that the labels go to; it is made with the first of them. `next_of` is the
        variant whose replies come first, still in random order, as `certify` proposes it.

        Raises:
            PlanError: the run has no reply to label, or no variant `next_of`.
            LabelError: the file cannot be read, is a CSV or no file of labels for this rubric, or nobody is named.
        """
        self.rubric = rubric
        self.path = Path(path)
        refuse_table(self.path)
        self.labeller = labeller.strip()
        if not self.labeller:
            raise LabelError("labels need a name: labeller= says who gives them", path=self.path)
        self.items: tuple[Item, ...] = self._items_of(run, seed, next_of)
        self._lock = RLock()
        self._given: dict[tuple[str, str], Label] = {}
        self._undo: list[tuple[str, str]] = []
        for label in load_labels(self.path, rubric).labels:
            if label.labeller == self.labeller:
                label = self._as_shown(label)
                self._given[label.item, label.criterion] = label
        self.position = self._first_open()

    @property
    def item(self) -> Item:
        """The reply that is shown."""
        return self.items[self.position]

    @property
    def done(self) -> int:
        """Replies of which every criterion is labelled."""
        return sum(not self._open_of(item) for item in self.items)

    def level_of(self, criterion: str) -> str:
        """What was said of the reply that is shown; empty: nothing yet."""
        label = self._given.get((self.item.id, criterion))
        return "" if label is None else label.level

    def note_of(self, criterion: str) -> str:
        """The note that stands with that label."""
        label = self._given.get((self.item.id, criterion))
        return "" if label is None else label.note

    def levels_of(self, criterion: str) -> tuple[str, ...]:
        """What may be said by this criterion, the last of them by the key 0; none: there is no such criterion."""
        levels = {each.name: (*each.levels, CANNOT_TELL) for each in self.rubric.criteria}
        return levels.get(criterion, ())

    def give(self, criterion: str, level: str, *, note: str = "") -> None:
        """Labels the reply that is shown; returns when that is on disk.

        Raises:
            LabelError: the label cannot be written, and was not given; or there is no such criterion or level.
        """
        if level not in self.levels_of(criterion):
            raise LabelError(f"{level!r} is no level of {criterion!r}", path=self.path)
        with self._lock:
            self._save(label_now(self.item.id, criterion, level, labeller=self.labeller, note=note))
            self._undo.append((self.item.id, criterion))

    def annotate(self, criterion: str, note: str) -> None:
        """Puts a note to the label of the reply that is shown; without a label there, nothing happens.

        Raises:
            LabelError: it cannot be written.
        """
        with self._lock:
            label = self._given.get((self.item.id, criterion))
            if label is not None and label.note != note:
                self._save(replace(label, note=note))

    def undo(self) -> bool:
        """Takes the latest label of this sitting back, and shows its reply; `False`: there is none.

        Raises:
            LabelError: it cannot be written, and the label stands.
        """
        with self._lock:
            if not self._undo:
                return False
            item, criterion = self._undo[-1]
            self._save(label_now(item, criterion, "", labeller=self.labeller))
            self._undo.pop()
            self.position = next(number for number, each in enumerate(self.items) if each.id == item)
            return True

    def move(self, steps: int) -> None:
        """Shows the reply so many further on, within the list."""
        self.position = min(max(self.position + steps, 0), len(self.items) - 1)

    def go_on(self) -> bool:
        """Shows the next reply that lacks a label, from the present one on and around; `False`: there is none."""
        order = [*range(self.position + 1, len(self.items)), *range(self.position + 1)]
        found = next((number for number in order if self._open_of(self.items[number])), None)
        if found is not None:
            self.position = found
        return found is not None

    @property
    def open_criteria(self) -> tuple[str, ...]:
        """Those that the reply which is shown has no label of yet."""
        return self._open_of(self.item)

    @property
    def labels(self) -> Labels:
        """This person's labels."""
        return Labels(labels=tuple(self._given.values()))

    def _items_of(self, run: Run, seed: int, next_of: str | None) -> tuple[Item, ...]:
        items = items_to_label(run, seed=seed, first=next_of)
        if not items:
            raise PlanError("no trial of the run was answered, so that there is no reply to label")
        return items

    def _as_shown(self, label: Label) -> Label:
        """A label from the file, as one of what is shown here."""
        return label

    def _open_of(self, item: Item) -> tuple[str, ...]:
        names = (criterion.name for criterion in self.rubric.criteria)
        return tuple(name for name in names if (item.id, name) not in self._given)

    def _first_open(self) -> int:
        return next((number for number, item in enumerate(self.items) if self._open_of(item)), 0)

    def _save(self, label: Label) -> None:
        save_label(label, self.path)
        if label.level:
            self._given[label.item, label.criterion] = label
        else:
            self._given.pop((label.item, label.criterion), None)
