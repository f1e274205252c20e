"""People's labels: what a person found of a reply, criterion by criterion, in a file that a power cut leaves whole.

A file of labels is JSON Lines, one label a line, each written and synced before the next is asked for. A later label of
the same person, reply and criterion takes the place of an earlier one; one without a level takes it back. A last line
that was cut off in the middle is no label, and is left out with a remark.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from workbench.definition.project import write_folder
from workbench.definition.replacing import write_whole
from workbench.definition.there import bytes_in
from workbench.errors import LabelError, PlanError
from workbench.secrets import without_secrets
from workbench.trial.judged import item_id
from workbench.trial.rubric import CANNOT_TELL, Rubric
from workbench.trial.trial import Run, Trial

_FIELDS = ("item", "criterion", "level", "labeller", "at", "note")
_SHOWN = ("levels", "asks", "task", "reply")
"""What a sheet shows beside a label, and `load_labels` leaves out."""
_NO_SYNC = (errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems say that do not sync folders."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """What one person found of one reply, by one criterion."""

    item: str
    """The `item_id` of the reply."""
    criterion: str
    level: str
    """One of the criterion's levels, or "cannot tell"; empty: the person took the label back."""
    labeller: str
    """What the person calls themselves."""
    at: str
    """When, in ISO 8601 and UTC."""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of a file, as they stand now."""

    labels: tuple[Label, ...]
    """In the order in which they were given; one for each person, reply and criterion."""
    remarks: tuple[str, ...] = ()

    @property
    def labellers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(label.labeller for label in self.labels))

    @property
    def sha256(self) -> str:
        """Of what was said of what, by whom; not of when, and not of the order. 64 hex digits."""
        said = sorted((label.item, label.criterion, label.labeller, label.level) for label in self.labels)
        return sha256(json.dumps(said).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Item:
    """A reply to be labelled, without a word about who gave it."""

    id: str
    task_id: str
    asked: str
    reply: str
    beside: str = ""
    """The reply beside it, where a person chooses between two."""


def label_now(item: str, criterion: str, level: str, *, labeller: str, note: str = "") -> Label:
    """The label that is given at this moment."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Label(item=item, criterion=criterion, level=level, labeller=labeller, at=at, note=note)


def items_to_label(run: Run, *, seed: int = 0, first: str | None = None) -> tuple[Item, ...]:
    """Each different reply of the run that has any text, once, in an order that is drawn by the seed and says nothing
    of the variants; with `first`, the replies that this variant gave before the others, both in that drawn order.

    That order is a random draw, as the correction of a judge needs it: whoever labels the first 60 has 60 at random,
    of the run or, with `first`, of that variant, whose labels correct it alone.

    Raises:
        PlanError: the run has no variant `first`.
    """
    if first is not None and first not in run.variants:
        raise PlanError(f"the run has no variant {first!r}; it has {', '.join(map(repr, run.variants))}")
    tasks = {task.id: task for task in run.tasks}
    items: dict[str, Item] = {}
    before = set()
    for trial in run.trials:
        if trial.outcome == "answered" and trial.reply is not None and trial.reply.text.strip():
            item = _item(trial, tasks[trial.task_id].message)
            items.setdefault(item.id, item)
            if trial.variant == first:
                before.add(item.id)
    # Sorted first: the order must not depend on that of the variants, and a run that grew keeps its draw.
    ordered = sorted(items.values(), key=lambda item: item.id)
    return tuple(sorted(ordered, key=lambda item: (item.id not in before, Random(f"{seed} {item.id}").random())))


def _item(trial: Trial, asked: str) -> Item:
    assert trial.reply is not None
    return Item(id=item_id(trial), task_id=trial.task_id, asked=asked, reply=trial.reply.text)


def save_label(label: Label, path: str | Path) -> None:
    """Appends the label to this file, which is made if it is not there, and waits until it is on disk.

    A key that its note quotes is taken out: others are given the file.

    Raises:
        LabelError: it cannot be written, or the file is a CSV.
    """
    path = Path(path)
    refuse_table(path)
    line = json.dumps(_for_others(label), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
    folders = _that_change(path.parent)
    try:
        write_folder(path.parent)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.lseek(file, 0, os.SEEK_END)
            if not size:  # a file whose name is not on disk is lost with its bytes
                for folder in folders:
                    _sync_folder(folder)
            # After a power cut the last line may have no end: the label must not become a part of it.
            needs_end = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            # One write, which others that append to the file at the same time cannot part.
            _write_all(file, (b"\n" if needs_end else b"") + line)
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise LabelError(f"the label cannot be written: {error.strerror or error}", path=path) from error


def refuse_table(path: Path) -> None:
    """Passes unless labels at this path would be read as CSV, to which none is appended.

    Raises:
        LabelError: they would.
    """
    if _is_table(path):
        raise LabelError(
            "is a table, and labels are saved one by one as JSON Lines; name a file such as "
            f"{path.with_suffix('.jsonl').name} (export_labels makes a table of it)",
            path=path,
        )


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _for_others(label: Label) -> dict[str, str]:
    """Its fields without a key in what a person typed; `item`, `criterion` and `level` name what is there."""
    return asdict(label) | {"note": without_secrets(label.note), "labeller": without_secrets(label.labeller)}


def _that_change(folder: Path) -> list[Path]:
    """The folder, and those above it up to the first that is there: in each of them something is made."""
    above = [folder, *folder.parents]
    there = next((number for number, each in enumerate(above) if each.exists()), len(above) - 1)
    return above[: there + 1]


def _sync_folder(folder: Path) -> None:
    """Waits until the names in the folder are on disk, where a folder can be opened and synced: not on Windows, on some
    network file systems, and where it may not be read."""
    if os.name != "posix" or not os.access(folder, os.R_OK):
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def load_labels(path: str | Path, rubric: Rubric, *, must_exist: bool = False) -> Labels:
    """The labels of this file, `.jsonl` or `.csv`, for the criteria of the rubric; none where there is no file.

    Raises:
        LabelError: it cannot be read, or a line of it is no label for the rubric; with `must_exist`, it is not there.
    """
    path = Path(path)
    try:
        content = bytes_in(path)
    except FileNotFoundError:
        if must_exist:
            raise LabelError(
                f"there is no such file of labels; it was looked for from {Path.cwd()}", path=path
            ) from None
        return Labels(labels=())
    except OSError as error:
        raise LabelError(f"cannot be read: {error.strerror}", path=path) from error
    remarks: list[str] = []
    rows = _csv_rows(content, path) if _is_table(path) else _json_rows(content, path, remarks)
    levels = {criterion.name: (*criterion.levels, CANNOT_TELL, "") for criterion in rubric.criteria}
    found: dict[tuple[str, str, str], Label] = {}
    for line, row in rows:
        label = _label_of(row, levels, path, line)
        key = (label.item, label.criterion, label.labeller)
        found.pop(key, None)
        if label.level:
            found[key] = label
    return Labels(labels=tuple(found.values()), remarks=tuple(remarks))


def export_labels(labels: Labels, path: str | Path) -> Path:
    """Writes the labels as CSV, for a spreadsheet or for other people, without a key that a note quotes; the path.

    Raises:
        LabelError: it cannot be written, or its name does not end in ".csv", by which it is read.
    """
    path = Path(path)
    if not _is_table(path):
        raise LabelError(f"labels go out as CSV; name a file such as {path.with_suffix('.csv').name}", path=path)
    written = io.StringIO()
    writer = csv.DictWriter(written, _FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_for_others, labels.labels))
    try:
        write_whole(path, written.getvalue().encode("utf-8", "surrogatepass"))
    except OSError as error:
        raise LabelError(f"cannot be written: {error.strerror or error}", path=path) from error
    return path


def export_label_sheet(
    run: Run, rubric: Rubric, path: str | Path, *, labeller: str, seed: int = 0, next_of: str | None = None
) -> Path:
    """Writes the replies as CSV for somebody who labels in a spreadsheet: a row a reply and criterion, with what was
    asked, the reply, and a column `level` to fill in; the path. `load_labels` reads it, also half filled in.

    The order is that of `items_to_label`, with `next_of` as its `first`; nothing says whose a reply is. No text becomes
    a formula, and keys are taken out.

    Raises:
        LabelError: it cannot be written, its name does not end in ".csv", or a file of this name is there already.
        PlanError: no reply has any text, or the run has no variant `next_of`.
    """
    from workbench.comparison.report.data import cell_text

    path = Path(path)
    if not _is_table(path):
        raise LabelError(f"a sheet is CSV; name a file such as {path.with_suffix('.csv').name}", path=path)
    if path.exists():
        raise LabelError("is there already, and may hold labels; name a file that is not", path=path)
    items = items_to_label(run, seed=seed, first=next_of)
    if not items:
        raise PlanError("no trial of the run was answered with text, so that there is no reply to label")
    written = io.StringIO()
    writer = csv.DictWriter(written, (*_FIELDS, *_SHOWN), lineterminator="\n")
    writer.writeheader()
    for item in items:
        for criterion in rubric.criteria:
            shown = {
                "levels": " | ".join((*criterion.levels, CANNOT_TELL)),
                "asks": criterion.asks,
                "task": item.asked,
                "reply": item.reply,
            }
            safe = {name: cell_text(without_secrets(text)) for name, text in shown.items()}
            if cell_text(item.id) != item.id:
                raise LabelError(
                    f"the task {item.task_id!r} would be a formula in a spreadsheet; give it another id", path=path
                )
            writer.writerow({"item": item.id, "criterion": criterion.name, "labeller": labeller, **safe})
    try:
        # With the mark by which spreadsheets know that it is UTF-8.
        write_whole(path, written.getvalue().encode("utf-8-sig", "surrogatepass"))
    except OSError as error:
        raise LabelError(f"cannot be written: {error.strerror or error}", path=path) from error
    return path


def values_by_item(labels: Labels, rubric: Rubric, criterion: str) -> dict[str, float]:
    """By item, what people say of this criterion, 0..1: what most of them say, and their mean where as many say one
    thing as another. Items of which nobody can tell are left out.

    Raises:
        KeyError: the rubric has no such criterion.
    """
    wanted = {each.name: each for each in rubric.criteria}[criterion]
    said: dict[str, list[float]] = {}
    for label in labels.labels:
        if label.criterion == criterion and label.level != CANNOT_TELL:
            said.setdefault(label.item, []).append(wanted.value_of(label.level))
    return {item: _most(values) for item, values in said.items()}


def ratings_of(labels: Labels, criterion: str) -> tuple[tuple[str | None, ...], ...]:
    """By labeller, then by item, the level that each gave; `None` where one did not label it or could not tell."""
    items = list(dict.fromkeys(label.item for label in labels.labels if label.criterion == criterion))
    given = {
        (label.labeller, label.item): label.level
        for label in labels.labels
        if label.criterion == criterion and label.level != CANNOT_TELL
    }
    return tuple(tuple(given.get((labeller, item)) for item in items) for labeller in labels.labellers)


def _most(values: Sequence[float]) -> float:
    counts = {value: values.count(value) for value in values}
    most = [value for value, count in counts.items() if count == max(counts.values())]
    return most[0] if len(most) == 1 else sum(values) / len(values)


def _json_rows(content: bytes, path: Path, remarks: list[str]) -> Iterable[tuple[int, Any]]:
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line.decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError) as error:
            # A whole label ends in a line end, and what follows a torn one begins a line of its own.
            if _is_torn(line):
                remarks.append(f"line {number} was cut off while it was written; it is left out")
                continue
            raise LabelError(f"is not JSON: {error}", path=path, line=number) from None


def _is_torn(line: bytes) -> bool:
    """Whether it is the beginning of a label: what a write leaves that did not come to its end."""
    start = b'{"item": "'
    return (line.startswith(start) or start.startswith(line)) and not line.endswith(b"}")


def _csv_rows(content: bytes, path: Path) -> Iterable[tuple[int, Any]]:
    text = content.decode("utf-8-sig", "surrogateescape")
    # Where a comma is part of a number, a spreadsheet parts columns otherwise: as it parts their names.
    head = text.partition("\n")[0]
    parts = next((part for part in ";\t" if "item" in (name.strip('" \r') for name in head.split(part))), ",")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=parts)
    try:
        missing = [name for name in ("item", "criterion", "level", "labeller") if name not in (reader.fieldnames or ())]
        if missing:
            raise LabelError(f"has no column {missing[0]!r}; the columns are {', '.join(_FIELDS)}", path=path, line=1)
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise LabelError(f"is no CSV of labels: {error}", path=path, line=reader.line_num + 1) from None


def _label_of(row: Any, levels: Mapping[str, Sequence[str]], path: Path, line: int) -> Label:
    if not isinstance(row, dict) or not all(isinstance(row.get(name) or "", str) for name in _FIELDS):
        raise LabelError(f"is no label: a mapping of texts with {', '.join(_FIELDS)}", path=path, line=line)
    given = {name: row.get(name) or "" for name in _FIELDS}
    if not given["item"] or not given["labeller"]:
        raise LabelError("says not which item it is of, or who gave it", path=path, line=line)
    known = levels.get(given["criterion"])
    if known is None:
        raise LabelError(
            f"criterion: {given['criterion']!r} is none of the rubric; those are {', '.join(levels)}",
            path=path,
            line=line,
        )
    if given["level"] not in known:
        named = ", ".join(repr(level) for level in known if level)
        raise LabelError(f"level: {given['level']!r} is none of {given['criterion']!r}; {named}", path=path, line=line)
    return Label(**given)
