"""A quick word on a reply while one reads it: good or bad, kept as a label like any other.

The labels are of the rubric `THUMB`, in a file of the form of `judging.labels`: a label panel goes on with it, and a
judge that is asked by `THUMB` is held to it.
"""

from __future__ import annotations

import getpass
from pathlib import Path
from threading import RLock
from typing import Literal, get_args

from workbench.errors import LabelError
from workbench.judging.labels import label_now, load_labels, save_label
from workbench.trial.judged import item_id
from workbench.trial.rubric import Criterion, Rubric
from workbench.trial.trial import Trial

Thumb = Literal["up", "down"]

CRITERION = "thumb"
THUMB = Rubric(
    name="thumb",
    about="A reply, as whoever asked for it finds it on reading it once.",
    criteria=(
        Criterion(name=CRITERION, asks="Whoever asked could go on with this reply as it is.", levels=("down", "up")),
    ),
)
"""What a thumb is a label of."""


class Thumbs:
    """The thumbs of one person, in one file; each is on disk before it is said to be kept."""

    def __init__(self, path: str | Path, *, labeller: str = "") -> None:
        """`labeller` is what the person calls themselves; without one, as the computer calls them. The file is made
        with the first thumb."""
        self.path = Path(path)
        self.labeller = labeller.strip() or _whoever_is_here()
        self._lock = RLock()
        self._levels: dict[str, str] = {}
        """By item, as the file had it when it was read last."""
        self._read_at: tuple[int, int] | None = None

    def of(self, trial: Trial) -> Thumb | None:
        """What this person said of the trial's reply, by the file as it is now; `None`: nothing yet.

        Raises:
            LabelError: the file cannot be read, or a line of it is no label of a thumb.
        """
        with self._lock:
            there = self._now()
            if there != self._read_at:
                labels = load_labels(self.path, THUMB).labels
                self._levels = {label.item: label.level for label in labels if label.labeller == self.labeller}
                self._read_at = there
            level = self._levels.get(item_id(trial))
        return next((thumb for thumb in get_args(Thumb) if thumb == level), None)

    def give(self, trial: Trial, thumb: Thumb) -> Thumb | None:
        """Says this of the trial's reply; said a second time, it is taken back. Gives what stands then.

        Raises:
            LabelError: it cannot be written, and what stood before stands; or the trial has no whole reply.
        """
        if trial.outcome != "answered":
            raise LabelError("there is no whole reply to say anything of", path=self.path)
        with self._lock:
            kept = None if self.of(trial) == thumb else thumb
            save_label(label_now(item_id(trial), CRITERION, kept or "", labeller=self.labeller), self.path)
            return kept

    def _now(self) -> tuple[int, int] | None:
        """What tells the file from what it was before; `None`: there is none."""
        try:
            there = self.path.stat()
        except OSError:  # no file is no label; whatever else is wrong with it, reading or writing says
            return None
        return there.st_mtime_ns, there.st_size


def _whoever_is_here() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may have a user without a name
        return "somebody"
