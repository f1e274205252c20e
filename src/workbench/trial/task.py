"""Tasks: what an agent is tried on, and how they are read from YAML, JSON Lines or CSV files."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.definition.there import bytes_in, is_file_there, is_there
from workbench.errors import TaskFileError
from workbench.trial.known_replies import KnownReply, RepliesOfAll, known_replies, replies_of_all
from workbench.trial.task_rows import FIELDS, SUFFIXES, TEXT_FIELDS, Row, kind_of, read_rows, unknown_field
from workbench.trial.task_variables import choices_of, filled_in


@dataclass(frozen=True, kw_only=True)
class GraderSpec:
    """A grader as a task names it: which, with what options, and where that was written."""

    name: str
    """The name of the grader in the catalogue, e.g. "mentions"."""
    promise: str
    """What it holds a reply to, under which its scores stand; unique within a task."""
    options: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    """ "file:line", for messages."""
    weight: float = 1.0
    """How much its score counts in the mean of a trial, beside the others' of the task."""
    required: float | None = None
    """The least value without which the task fails; `None`: it counts as the others do."""

    def as_json(self) -> dict[str, Any]:
        """Its fields; the weight and what is required only where somebody said so."""
        told: dict[str, Any] = {
            "name": self.name,
            "promise": self.promise,
            "options": dict(self.options),
            "where": self.where,
        }
        if self.weight != 1:
            told["weight"] = self.weight
        if self.required is not None:
            told["required"] = self.required
        return told

    def as_written(self) -> dict[str, dict[str, Any]]:
        """As a task file names it: `{mentions: {any: [...], promise: ...}}`."""
        told = self.as_json()
        beside: dict[str, Any] = {name: told[name] for name in ("weight", "required") if name in told}
        return {self.name: {**self.options, "promise": self.promise, **beside}}


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A single test with a defined input and success criteria."""

    id: str
    input: str
    """What the user asks, variables already filled in."""
    target: str | None = None
    group: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    context: str | None = None
    """Text that comes before the input in the same turn, such as a project's CLAUDE.md."""
    graders: tuple[GraderSpec, ...] = ()
    file_sha256: str | None = field(default=None, compare=False)
    """SHA-256 of the task file that it was read from, 64 hex digits; `None`: it was made without one."""

    replies: tuple[KnownReply, ...] = field(default=(), compare=False, repr=False)
    """Good and bad replies by which its graders are checked. They are no part of what the agent is tried on, of a
    plan or of a record."""

    @property
    def message(self) -> str:
        """The user turn as it is sent."""
        return f"{self.context}\n\n{self.input}" if self.context else self.input

    @property
    def scored_by(self) -> tuple[object, ...]:
        """What makes its score what it is. Where a grader was written down does not."""
        graders = [
            (spec.name, spec.promise, sorted(spec.options.items()), float(spec.weight), spec.required)
            for spec in self.graders
        ]
        return self.message, self.target, graders


def load_tasks(path: str | Path) -> tuple[Task, ...]:
    """The tasks of a `.yaml`, `.yml`, `.jsonl` or `.csv` file, in its order.

    A YAML file is a list of tasks, or a mapping with `tasks` and values that hold for all of them (`context`,
    `variables`, `graders`, `group`). A JSON Lines file has one task a line. In a CSV file a column that is not a
    field of a task is a variable. `{{ variables }}` in `input`, `context` and `target` are filled in by Jinja in
    its sandbox, within bounds of time and length; an unknown variable is an error. A variable that is a list makes a
    task of each of its values, named in the id, as `port[lang=Go]`; one that a text loops over or joins stays whole.

    Raises:
        TaskFileError: the file is missing or wrong; the message gives file, line and field.
    """
    path = Path(path)
    _check_ending(path)
    if is_there(path) and not is_file_there(path):
        raise TaskFileError("is no file that holds tasks", path=path)
    try:
        content = bytes_in(path)
    except FileNotFoundError:
        raise TaskFileError("no such task file", path=path) from None
    except OSError as error:
        raise TaskFileError(f"cannot be read: {error.strerror}", path=path) from error
    return tasks_of_bytes(content, path)


def _check_ending(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise TaskFileError(f"a task file ends in {', '.join(SUFFIXES)}, not in {path.suffix!r}", path=path)


def tasks_of_bytes(content: bytes, path: Path) -> tuple[Task, ...]:
    """The tasks of the bytes of a task file, as `load_tasks` has them; `path` need not be there.

    Raises:
        TaskFileError: something in it is wrong; the message gives file, line and field.
    """
    _check_ending(path)
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig").read()
    except UnicodeDecodeError as error:
        raise TaskFileError(
            f"is not UTF-8 (byte {error.start} is {error.object[error.start]:#04x}); save it as UTF-8",
            path=path,
        ) from None

    return parse_tasks(text, path, file_sha256=hashlib.sha256(content).hexdigest())


def parse_tasks(text: str, path: Path, *, file_sha256: str | None = None) -> tuple[Task, ...]:
    """The tasks of the text of a task file; `path` tells its format and is named in messages, and need not be there.

    Raises:
        TaskFileError: something in it is wrong; the message gives file, line and field.
    """
    tasks: dict[str, Task] = {}
    first_lines: dict[str, int] = {}
    of_all: RepliesOfAll | None = None
    row_ids: set[str] = set()
    for row in read_rows(text, path):
        of_all = of_all or replies_of_all(row, path)
        for task in _tasks(row, path, file_sha256, of_all):
            if task.id in tasks:
                raise TaskFileError(
                    f"id: {task.id!r} stands at line {first_lines[task.id]} already; ids must differ",
                    path=path,
                    line=row.line_of("id"),
                )
            tasks[task.id] = task
            first_lines[task.id] = row.line_of("id")
        row_ids.add(str(row.values["id"]))
    if of_all is not None:
        of_all.check_ids(sorted({*row_ids, *tasks}))
    if not tasks:
        raise TaskFileError("holds no task; add at least one with an id and an input", path=path)
    return tuple(tasks.values())


def _tasks(row: Row, path: Path, file_sha256: str | None, of_all: RepliesOfAll | None) -> Iterator[Task]:
    """The task of a row, or where variables of it are lists, one for each choice of their values."""
    _check_fields(row, path)
    texts = {name: str(value) for name in ("input", "target", "context") if (value := row.values.get(name)) is not None}
    variables = row.values.get("variables") or {}
    graders = _grader_specs(row, path)
    promises = [spec.promise for spec in graders]
    replies = known_replies(row, promises, path)
    group = row.values.get("group")
    for suffix, chosen in choices_of(variables, texts, row, path):
        filled = {name: filled_in(text, chosen, name, row, path) for name, text in texts.items()}
        row_id = str(row.values["id"])
        if of_all is not None and "replies" not in row.values:
            replies = of_all.of(f"{row_id}{suffix}", promises) or of_all.of(row_id, promises)
        yield Task(
            id=f"{row_id}{suffix}",
            input=filled["input"],
            target=filled.get("target"),
            group=None if group is None else str(group),
            variables=chosen,
            context=filled.get("context"),
            graders=graders,
            file_sha256=file_sha256,
            replies=replies,
        )


def _check_fields(row: Row, path: Path) -> None:
    for name in row.values:
        if name not in FIELDS:
            raise unknown_field(name, FIELDS, path, row.line_of(name))
    for name in ("id", "input"):
        value = row.values.get(name)
        if value is None or not str(value).strip():
            raise TaskFileError(f"{name}: is missing; every task needs one", path=path, line=row.line_of(name))
    for name in TEXT_FIELDS:
        value = row.values.get(name)
        if value is not None and not isinstance(value, str | int | float):
            raise TaskFileError(f"{name}: must be text, found {kind_of(value)}", path=path, line=row.line_of(name))
    variables = row.values.get("variables") or {}
    if not isinstance(variables, dict):
        raise TaskFileError(
            f"variables: must be a mapping of names to values, found {kind_of(variables)}",
            path=path,
            line=row.line_of("variables"),
        )


def _grader_specs(row: Row, path: Path) -> tuple[GraderSpec, ...]:
    line = row.line_of("graders")
    written = row.values.get("graders") or []
    if not isinstance(written, list):
        raise TaskFileError(f"graders: must be a list, found {kind_of(written)}", path=path, line=line)
    specs: list[GraderSpec] = []
    taken: set[str] = set()
    for at, item in enumerate(written):
        line = row.lines.get(f"graders/{at}", row.line_of("graders"))
        name, options = _grader_item(item, path, line)
        if "label" in options:
            raise TaskFileError(
                f"graders: {name} has no option label; what it holds a reply to is its promise: write "
                f"`promise: {options['label']}`",
                path=path,
                line=line,
            )
        promise = str(options.pop("promise", name))
        weight = _positive(options.pop("weight", 1), f"graders: {name}: weight", path, line)
        required = _required(options.pop("required", None), name, path, line)
        number = 2
        unique = promise
        while unique in taken:
            unique, number = f"{promise} {number}", number + 1
        taken.add(unique)
        specs.append(
            GraderSpec(
                name=name, promise=unique, options=options, where=f"{path}:{line}", weight=weight, required=required
            )
        )
    return tuple(specs)


def _positive(value: Any, what: str, path: Path, line: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise TaskFileError(f"{what} must be a number above 0, found {value!r}", path=path, line=line)
    return float(value)


def _required(value: Any, grader: str, path: Path, line: int) -> float | None:
    """From which value a required grader is content: `true` asks for 1, `false` for nothing."""
    if value is None or value is False:
        return None
    if value is True:
        return 1.0
    if isinstance(value, int | float) and 0 < value <= 1:
        return float(value)
    raise TaskFileError(
        f"graders: {grader}: required is true, or the least score without which the task fails (above 0, up to 1), "
        f"found {value!r}",
        path=path,
        line=line,
    )


def _grader_item(item: Any, path: Path, line: int) -> tuple[str, dict[str, Any]]:
    if isinstance(item, str):
        return item, {}
    if isinstance(item, dict) and len(item) == 1:
        [(name, options)] = item.items()
        if options is None or isinstance(options, dict):
            return str(name), dict(options or {})
    raise TaskFileError(
        f"graders: each is a name, or one name with its options (`- mentions: {{any: [JWT]}}`), found {item!r}",
        path=path,
        line=line,
    )
