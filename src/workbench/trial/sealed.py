"""Tasks in two parts: one to choose by, and a sealed one that is looked at once, when the choice is made.

Whoever tries five versions and takes the best reads a number that is too high: the luck of the best of five is in it.
A number from tasks that had no say in the choice is not, as long as nothing is chosen after it was seen. So the split
is written to a file, by the ids and the hash of what is sealed, and never by its text; opening it is written there too,
with what it was opened for; and it opens for nothing else afterwards.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.definition.replacing import alone_in, replace_file, write_new
from workbench.definition.there import bytes_in
from workbench.errors import PlanError, SealError
from workbench.markup import counted
from workbench.trial.task import Task

FEWEST_OF_A_PART = 2
"""Tasks without which nothing can be compared on a part."""
FEWEST_CHARACTERS = 12
"""Of a sealed text that is looked for in what is sent: a shorter one ("Fix it.") stands in any text."""
_SCHEMA = 1
_KEYS = {"schema", "seed", "tasks_sha256", "select", "sealed", "sealed_sha256", "opened"}


@dataclass(frozen=True, kw_only=True, repr=False)
class Split:
    """Tasks to choose by, and as many others that are not shown until the choice is made.

    Raises:
        SealError: its file is not the one that was written, or is gone.
    """

    select: tuple[Task, ...]
    """To choose by: ask, look, improve as often as you like."""
    seal: Path
    """The file that says what is sealed, and whether it was opened."""
    _sealed: tuple[Task, ...] = field(compare=False)

    def open(self, for_what: str) -> tuple[Task, ...]:
        """The sealed tasks. `for_what` names the choice they are opened for (the hash of a version, say), and is
        written to the file first: for the same choice they open again, as after a run that broke off; for another they
        do not.

        Raises:
            SealError: they were opened for something else, or the file was changed.
        """
        told = hashlib.sha256(for_what.encode("utf-8", "surrogatepass")).hexdigest()
        with alone_in(self.seal.parent):
            old, said = _read(self.seal)
            _check_same(said, self.select, self._sealed, self.seal)
            opened = said["opened"]
            if opened is None:
                said["opened"] = {"for": told, "on": datetime.now(UTC).isoformat(timespec="seconds")}
                replace_file(self.seal, _written(said), old=old)
            elif opened["for"] != told:
                raise SealError(
                    f"what is sealed was opened on {opened['on'][:10]} for another choice, and no choice that comes "
                    "after a look is measured by it: write new tasks, and seal those",
                    path=self.seal,
                )
        return self._sealed

    @property
    def is_opened(self) -> bool:
        """Whether somebody has looked already."""
        return _read(self.seal)[1]["opened"] is not None

    def leaked(self, text: str) -> str | None:
        """The id of a sealed task whose words stand in this text; `None`: none does."""
        plain = plain_words(text)
        told = ((task.id, plain_words(task.input)) for task in self._sealed)
        return next((id for id, words in told if len(words) >= FEWEST_CHARACTERS and words in plain), None)

    def __repr__(self) -> str:
        return f"Split({counted(len(self.select), 'task')} to choose by, {len(self._sealed)} sealed in {self.seal})"


def split_tasks(
    tasks: Sequence[Task], *, seal: str | Path, select: float = 0.5, sealed: float = 0.5, seed: int = 0
) -> Split:
    """The tasks in two parts, of each group and each target the same shares, and the file of the seal, which is made.

    The parts depend on the tasks and `seed` alone, not on their order. Where the file is there already, it says which
    task is where, and these must be its tasks.

    Args:
        seal: the JSON file; it holds ids and hashes, so that it can be committed beside the tasks.
        select: share of the tasks to choose by, 0..1.
        sealed: share of those that are sealed; both together are at most 1, and what is left over is in neither part.

    Raises:
        PlanError: the shares are none, or leave fewer than two tasks in a part.
        SealError: the file is none of a seal, or of other tasks.
        OSError: it cannot be written.
    """
    path = Path(seal)
    if not (0 < select < 1 and 0 < sealed < 1 and select + sealed <= 1):
        raise PlanError(f"select={select} and sealed={sealed}: give two shares above 0 that add up to 1 at most")
    if path.exists():
        return _of_file(tasks, path)
    chosen, hidden = _parts(tasks, select=select, sealed=sealed, seed=seed)
    if min(len(chosen), len(hidden)) < FEWEST_OF_A_PART:
        raise PlanError(
            f"{counted(len(tasks), 'task')} give {len(chosen)} to choose by and {len(hidden)} to seal; it takes "
            f"{FEWEST_OF_A_PART} in each: write more tasks"
        )
    said = {
        "schema": _SCHEMA,
        "seed": seed,
        "tasks_sha256": _digest(tasks),
        "select": [task.id for task in chosen],
        "sealed": [task.id for task in hidden],
        "sealed_sha256": _digest(hidden),
        "opened": None,
    }
    try:
        write_new(path, _written(said))
    except FileExistsError:  # somebody else split them in this moment
        return _of_file(tasks, path)
    return Split(select=chosen, seal=path, _sealed=hidden)


def _parts(
    tasks: Sequence[Task], *, select: float, sealed: float, seed: int
) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    by_kind: dict[tuple[str | None, str | None], list[Task]] = defaultdict(list)
    for task in tasks:
        by_kind[(task.group, task.target)].append(task)
    where: dict[str, str] = {}
    for alike in by_kind.values():
        drawn = sorted(alike, key=lambda task: hashlib.sha256(f"{seed}\0{_digest([task])}".encode()).digest())
        hidden = min(len(drawn) - 1, max(1, math.floor(len(drawn) * sealed + 0.5)))
        chosen = min(len(drawn) - hidden, max(1, math.ceil(len(drawn) * select)))
        where |= {task.id: "sealed" for task in drawn[:hidden]}
        where |= {task.id: "select" for task in drawn[hidden : hidden + chosen]}
    return (
        tuple(task for task in tasks if where.get(task.id) == "select"),
        tuple(task for task in tasks if where.get(task.id) == "sealed"),
    )


def _of_file(tasks: Sequence[Task], path: Path) -> Split:
    _, said = _read(path)
    by_id = {task.id: task for task in tasks}
    gone = [id for id in (*said["select"], *said["sealed"]) if id not in by_id]
    if gone or _digest(tasks) != said["tasks_sha256"]:
        which = f"{', '.join(gone[:4])} are gone" if gone else "some were added or changed"
        raise SealError(f"is of other tasks ({which}): seal these in another file, before you look at them", path=path)
    return Split(
        select=tuple(by_id[id] for id in said["select"]),
        seal=path,
        _sealed=tuple(by_id[id] for id in said["sealed"]),
    )


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        data = bytes_in(path)
        said = json.loads(data)
    except FileNotFoundError:
        raise SealError("the file of the seal is gone; it says what was sealed and opened", path=path) from None
    except (OSError, ValueError, RecursionError) as error:
        raise SealError(f"cannot be read: {error}", path=path) from error
    if not isinstance(said, dict) or set(said) != _KEYS or said["schema"] != _SCHEMA:
        raise SealError(f"is no seal of version {_SCHEMA}; name another file", path=path)
    ids = (said["select"], said["sealed"])
    opened = said["opened"]
    is_right = all(isinstance(each, list) and all(isinstance(id, str) for id in each) for each in ids) and (
        opened is None or (isinstance(opened, dict) and all(isinstance(opened.get(key), str) for key in ("for", "on")))
    )
    if not is_right:
        raise SealError("was changed: it does not say what is sealed and opened; name another file", path=path)
    return data, said


def _check_same(said: dict[str, Any], select: Sequence[Task], sealed: Sequence[Task], path: Path) -> None:
    here = ([task.id for task in select], [task.id for task in sealed], _digest(sealed))
    if here != (said["select"], said["sealed"], said["sealed_sha256"]):
        raise SealError("was changed since the tasks were split; split them again", path=path)


def _digest(tasks: Sequence[Task]) -> str:
    """Of what they ask and how they are graded, whatever their order."""
    told = sorted(
        json.dumps([task.id, task.message, task.target, task.group, [spec.as_written() for spec in task.graders]])
        for task in tasks
    )
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _written(said: dict[str, Any]) -> bytes:
    return (json.dumps(said, indent=1, ensure_ascii=True) + "\n").encode()


def plain_words(text: str) -> str:
    return " ".join(text.lower().split())
