"""Tasks in two parts: one to choose by, and a sealed one that is looked at once, when the choice is made.

Whoever tries five versions and takes the best reads a number that is too high: the luck of the best of five is in it.
A number from tasks that had no say in the choice is not, as long as nothing is chosen after it was seen. So the split
is written to a file, by the ids and the hash of what is sealed, and never by its text; opening it is written there too,
with what it was opened for; and it opens for nothing else afterwards.

The file is a promise of whoever keeps it, and no lock. What is held: the parts follow from the tasks, the shares and
the seed, so that nobody draws them by hand; and whatever became of the file, the ledger says whether what is sealed was
asked before (`runs/openings.py`). Whoever removes both, asks with another ledger, or changes a word of each task, is
not found out. In Git, beside the tasks, the file and its opening are seen.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from workbench.definition.replacing import alone_in, replace_file, write_new
from workbench.definition.there import bytes_in, path_of
from workbench.errors import PlanError, SealError
from workbench.secrets import without_secrets
from workbench.trial.task import Task

T = TypeVar("T")

FEWEST_OF_A_PART = 2
"""Tasks without which nothing can be compared on a part."""
FEWEST_CHARACTERS = 12
"""Of a sealed text that is looked for in what is sent: a shorter one ("Fix it.") stands in any text."""
MOST_CHARACTERS = 300
"""Of a longer one, so much from its beginning is looked for."""
SHARE = 0.5
"""Of each part, where none is named."""
_MOST_NAMED = 4
_SCHEMA = 2
_KEYS = {"schema", "seed", "shares", "tasks_sha256", "select", "sealed", "sealed_sha256", "opened"}
_OPENED = {"for", "begun_as", "on", "asked_before"}


@dataclass(frozen=True, kw_only=True)
class AskedBefore:
    """How often what is sealed was asked before it was opened, as the ledger has it."""

    tasks: int = 0
    """Sealed tasks that were asked before."""
    others: int = 0
    """Versions beside the present one that were asked with some of them: those had a look."""

    @property
    def is_first_opening(self) -> bool:
        """Whether no other version than the present one was asked before."""
        return not self.others


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
    said: dict[str, Any] = field(compare=False)
    """What its file says, or would."""

    def open(
        self, for_what: str, *, begun_as: str | None = None, asked_before: AskedBefore | None = None
    ) -> tuple[Task, ...]:
        """The sealed tasks. `for_what` names the choice they are opened for (the hash of a version, say), and is
        written to the file first: for the same choice they open again, as after a run that broke off; for another they
        do not.

        Args:
            begun_as: what is known of the choice before it is made, for `check_opens`.
            asked_before: what the ledger says of them; written at the first opening. `None`: nobody looked.

        Raises:
            SealError: they were opened for something else, or the file was changed.
        """
        with alone_in(self.seal.parent):
            old, said = _read(self.seal)
            _check_same(said, self.said, self.seal)
            if said["opened"] is None:
                said["opened"] = {
                    "for": _told(for_what),
                    "begun_as": None if begun_as is None else _told(begun_as),
                    "on": datetime.now(UTC).isoformat(timespec="seconds"),
                    "asked_before": None if asked_before is None else [asked_before.tasks, asked_before.others],
                }
                replace_file(self.seal, _written(said), old=old)
            elif said["opened"]["for"] != _told(for_what):
                raise _opened_already(said["opened"], self.seal)
        return self._sealed

    def check_opens(self, choices: Iterable[str]) -> None:
        """Passes where what is sealed can be opened for one of these choices, by `for_what` or `begun_as`: to be asked
        before anything is spent on a choice. Nothing is opened.

        Raises:
            SealError: it was opened for none of them, or the file was changed.
        """
        _, said = _read(self.seal)
        _check_same(said, self.said, self.seal)
        opened = said["opened"]
        if opened is not None and not {opened["for"], opened["begun_as"]} & {_told(choice) for choice in choices}:
            raise _opened_already(opened, self.seal)

    @property
    def is_opened(self) -> bool:
        """Whether somebody has looked already."""
        return _read(self.seal)[1]["opened"] is not None

    @property
    def asked_before(self) -> AskedBefore | None:
        """What the ledger said when it was opened; `None`: it is not opened, or nobody looked."""
        opened = _read(self.seal)[1]["opened"]
        return None if opened is None or opened["asked_before"] is None else _asked_before(opened["asked_before"])

    @property
    def sealed_count(self) -> int:
        """How many tasks are sealed."""
        return len(self._sealed)

    def count_sealed(self, is_meant: Callable[[Task], bool]) -> int:
        """How many of the sealed tasks are so, of which nothing else is told: whether they can show anything is to be
        known before they are opened."""
        return sum(map(is_meant, self._sealed))

    def of_sealed(self, plan: Callable[[Sequence[Task]], T]) -> T:
        """What `plan` makes of the sealed tasks, to say what it takes to ask them. Nothing is opened: it is for figures
        alone, and shows and asks nothing."""
        return plan(self._sealed)

    def asked_in(self, message: str) -> str | None:
        """The id of the sealed task that this user turn asks, whatever context comes before it; `None`: none."""
        told = message.strip()
        asked = ((task.id, task.input.strip()) for task in self._sealed)
        return next((id for id, text in asked if text and (told == text or told.endswith(f"\n\n{text}"))), None)

    def leaked(self, text: str) -> str | None:
        """The id of a sealed task whose words stand in this text, of a long one its beginning, for what is shown is
        cut; `None`: none does."""
        plain = plain_words(text)
        return next((id for id, words in self._looked_for.items() if words in plain), None)

    @cached_property
    def _looked_for(self) -> dict[str, str]:
        """By id, the words by which a sealed task is known: what it has in common with one to choose by is not."""
        others = [plain_words(task.input) for task in self.select]
        found = {}
        for task in self._sealed:
            words = plain_words(task.input)
            same = max((_in_common(words, other) for other in others), default=0)
            found[task.id] = words[: max(MOST_CHARACTERS, same + FEWEST_CHARACTERS)]
        return {id: words for id, words in found.items() if len(words) >= FEWEST_CHARACTERS}

    def __repr__(self) -> str:
        return f"Split({len(self.select)} to choose by, {self.sealed_count} sealed in {self.seal})"


def split_tasks(
    tasks: Sequence[Task],
    *,
    seal: str | Path,
    select: float | None = None,
    sealed: float | None = None,
    seed: int | None = None,
) -> Split:
    """The tasks in two parts, of each group and each target the same shares, and the file of the seal, which is made.

    The parts depend on the tasks, the shares and `seed` alone, not on their order. Where the file is there already, it
    says what those are, and these must be its tasks.

    Args:
        seal: the JSON file; it holds ids and hashes, so that it can be committed beside the tasks.
        select: share of the tasks to choose by, 0..1; by default a half, or what the file says.
        sealed: share of those that are sealed; both together are at most 1, and what is left over is in neither part.
        seed: by which they are drawn; by default 0, or what the file says.

    Raises:
        PlanError: the shares are none, or leave fewer than two tasks in a part; or two tasks have one id, or one of
            them is a key.
        SealError: the file is none of a seal, of other tasks, shares or seed, or was changed; says what in it.
        OSError: it cannot be written.
    """
    path = path_of(seal)
    asked = {"select": select, "sealed": sealed, "seed": seed}
    if path.exists():
        return _of_file(tasks, path, asked)
    split = draw_parts(
        tasks,
        seal=path,
        select=SHARE if select is None else select,
        sealed=SHARE if sealed is None else sealed,
        seed=seed or 0,
    )
    try:
        write_new(path, _written(split.said))
    except FileExistsError:  # somebody else split them in this moment
        return _of_file(tasks, path, asked)
    return split


def draw_parts(
    tasks: Sequence[Task], *, seal: Path, select: float = SHARE, sealed: float = SHARE, seed: int = 0
) -> Split:
    """As `split_tasks` would split them where there is no file; none is read or written, so that nothing can be opened.

    Raises:
        PlanError: as `split_tasks`.
    """
    if not (0 < select < 1 and 0 < sealed < 1 and select + sealed <= 1):
        raise PlanError(f"select={select} and sealed={sealed}: give two shares above 0 that add up to 1 at most")
    if twice := [id for id, count in Counter(task.id for task in tasks).items() if count > 1]:
        raise PlanError(f"the id {twice[0]!r} is there twice; ids must differ, for a seal holds nothing else")
    if keys := [number for number, task in enumerate(tasks, start=1) if without_secrets(task.id) != task.id]:
        raise PlanError(
            f"the id of number {keys[0]} is a key, or holds one, and a seal keeps ids as they are: name it anew"
        )
    chosen, hidden = _parts(tasks, select=select, sealed=sealed, seed=seed)
    if min(len(chosen), len(hidden)) < FEWEST_OF_A_PART:
        raise PlanError(
            f"of {len(tasks)}, {len(chosen)} are to choose by and {len(hidden)} to seal; it takes {FEWEST_OF_A_PART} "
            "in each: write more"
        )
    return Split(
        select=chosen,
        seal=seal,
        _sealed=hidden,
        said={
            "schema": _SCHEMA,
            "seed": seed,
            "shares": {"select": float(select), "sealed": float(sealed)},
            "tasks_sha256": _digest(tasks),
            "select": [task.id for task in chosen],
            "sealed": [task.id for task in hidden],
            "sealed_sha256": _digest(hidden),
            "opened": None,
        },
    )


def _parts(
    tasks: Sequence[Task], *, select: float, sealed: float, seed: int
) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    by_kind: dict[tuple[str | None, str | None], list[Task]] = defaultdict(list)
    for task in tasks:
        by_kind[(task.group, task.target)].append(task)
    # Of one task a part has none: those that are alone in their group are drawn with the others of their target.
    alone: dict[str | None, list[Task]] = defaultdict(list)
    for (_, target), alike in by_kind.items():
        if len(alike) == 1:
            alone[target] += alike
    where: dict[str, str] = {}
    for alike in [*(each for each in by_kind.values() if len(each) > 1), *alone.values()]:
        drawn = sorted(alike, key=lambda task: hashlib.sha256(f"{seed}\0{_digest([task])}".encode()).digest())
        hidden = min(len(drawn) - 1, max(1, math.floor(len(drawn) * sealed + 0.5)))
        chosen = min(len(drawn) - hidden, max(1, math.ceil(len(drawn) * select)))
        where |= {task.id: "sealed" for task in drawn[:hidden]}
        where |= {task.id: "select" for task in drawn[hidden : hidden + chosen]}
    return (
        tuple(task for task in tasks if where.get(task.id) == "select"),
        tuple(task for task in tasks if where.get(task.id) == "sealed"),
    )


def _of_file(tasks: Sequence[Task], path: Path, asked: Mapping[str, float | None]) -> Split:
    """What the file says of these tasks, held to what follows from its shares and seed."""
    _, said = _read(path)
    wanted = {**said["shares"], "seed": said["seed"]}
    for name, value in asked.items():
        if value not in (None, wanted[name]):
            raise SealError(
                f"was split with {name}={wanted[name]}, and {name}={value} is asked for: leave it out, or name "
                "another file",
                path=path,
            )
    if _digest(tasks) != said["tasks_sha256"]:
        there = {task.id for task in tasks}
        gone = [id for id in dict.fromkeys((*said["select"], *said["sealed"])) if id not in there]
        which = f"{_named(gone)} are gone" if gone else "some were added or changed"
        raise SealError(f"is not of these ({which}): seal them in another file, before you look at them", path=path)
    try:
        drawn = draw_parts(tasks, seal=path, **wanted)
    except PlanError as error:
        raise _changed(str(error), path) from None
    _check_parts(said, drawn.said, path)
    return replace(drawn, said=said)


def _check_parts(said: dict[str, Any], drawn: dict[str, Any], path: Path) -> None:
    """Passes where the parts in a file are those that were drawn."""
    for part in ("select", "sealed"):
        here, right = Counter(said[part]), Counter(drawn[part])
        lacks, more = list((right - here).elements()), list((here - right).elements())
        if lacks or more:
            said_of = [f"lacks {_named(lacks)}"] if lacks else []
            said_of += [f"has {_named(more)} too many"] if more else []
            raise _changed(f"`{part}` {' and '.join(said_of)}", path)
    if said["sealed_sha256"] != drawn["sealed_sha256"]:
        raise _changed("`sealed_sha256` is not the hash of the sealed tasks", path)


def _named(ids: Sequence[str]) -> str:
    more = len(ids) - _MOST_NAMED
    return without_secrets(", ".join(ids[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _changed(what: str, path: Path) -> SealError:
    return SealError(
        f"was changed: {what}. Its parts follow from what was split, the shares and the seed: put back the file as "
        "it was written, or seal new ones in another file",
        path=path,
    )


def _opened_already(opened: Mapping[str, Any], path: Path) -> SealError:
    return SealError(
        f"what is sealed was opened on {opened['on'][:10]} for another choice, and no choice that comes after a look "
        "is measured by it: write new ones, and seal those",
        path=path,
    )


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        data = bytes_in(path)
        said = json.loads(data)
    except FileNotFoundError:
        raise SealError("the file of the seal is gone; it says what was sealed and opened", path=path) from None
    except (OSError, ValueError, RecursionError) as error:
        raise SealError(f"cannot be read: {error}", path=path) from error
    if not isinstance(said, dict) or said.get("schema") is True or said.get("schema") != _SCHEMA or set(said) != _KEYS:
        raise SealError(f"is no seal of version {_SCHEMA}; name another file", path=path)
    wrong = [name for name, is_right in _IS_RIGHT.items() if not is_right(said[name])]
    if wrong:
        raise _changed(f"`{wrong[0]}` is not what is written there", path)
    return data, said


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(id, str) for id in value)


def _is_shares(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"select", "sealed"}
        and all(isinstance(share, float) for share in value.values())
    )


def _is_opening(value: Any) -> bool:
    """Whether this says that nobody looked, or who did."""
    if value is None:
        return True
    if not isinstance(value, dict) or set(value) != _OPENED or not isinstance(value["for"], str):
        return False
    try:
        datetime.fromisoformat(value["on"])
    except (TypeError, ValueError):
        return False
    counts = value["asked_before"]
    return isinstance(value["begun_as"], str | None) and (
        counts is None or (isinstance(counts, list) and [type(count) for count in counts] == [int, int])
    )


_IS_RIGHT: Mapping[str, Callable[[Any], bool]] = {
    "seed": lambda value: type(value) is int,
    "shares": _is_shares,
    "tasks_sha256": lambda value: isinstance(value, str),
    "select": _is_ids,
    "sealed": _is_ids,
    "sealed_sha256": lambda value: isinstance(value, str),
    "opened": _is_opening,
}


def _check_same(said: dict[str, Any], drawn: dict[str, Any], path: Path) -> None:
    """Passes where a file says of the parts what was read when the tasks were split."""
    differs = [name for name in _KEYS - {"opened"} if said[name] != drawn[name]]
    if differs:
        raise SealError(f"was changed since it was read ({', '.join(sorted(differs))}); split again", path=path)


def _asked_before(counts: Sequence[int]) -> AskedBefore:
    tasks, others = counts
    return AskedBefore(tasks=tasks, others=others)


def _told(choice: str) -> str:
    return hashlib.sha256(choice.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(tasks: Sequence[Task]) -> str:
    """Of what they ask and how they are graded, whatever their order."""
    told = sorted(
        json.dumps([task.id, task.message, task.target, task.group, [spec.as_written() for spec in task.graders]])
        for task in tasks
    )
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _written(said: dict[str, Any]) -> bytes:
    return (json.dumps(said, indent=1, ensure_ascii=True) + "\n").encode()


def _in_common(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (here, there) in pairs if here != there), min(len(one), len(other)))


def plain_words(text: str) -> str:
    return " ".join(text.lower().split())
