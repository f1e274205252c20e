"""Tasks: what an agent is tried on, and how they are read from YAML, JSON Lines or CSV files."""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import TaskFileError


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

    @property
    def message(self) -> str:
        """The user turn as it is sent."""
        return f"{self.context}\n\n{self.input}" if self.context else self.input


FIELDS = ("id", "input", "target", "group", "variables", "context", "graders")
_SHARED = ("context", "variables", "graders", "group")
SUFFIXES = (".yaml", ".yml", ".jsonl", ".csv")
"""What the name of a task file ends in."""


@dataclass(frozen=True)
class _Row:
    """One task as written, with the line of each of its fields."""

    values: dict[str, Any]
    lines: dict[str, int]
    line: int

    def line_of(self, name: str) -> int:
        return self.lines.get(name, self.line)


def load_tasks(path: str | Path) -> tuple[Task, ...]:
    """The tasks of a `.yaml`, `.yml`, `.jsonl` or `.csv` file, in its order.

    A YAML file is a list of tasks, or a mapping with `tasks` and values that hold for all of them (`context`,
    `variables`, `graders`, `group`). A JSON Lines file has one task a line. In a CSV file a column that is not a
    field of a task is a variable. `{{ variables }}` in `input`, `context` and `target` are filled in by Jinja in
    its sandbox; an unknown variable is an error.

    Raises:
        TaskFileError: the file is missing or wrong; the message gives file, line and field.
    """
    path = Path(path)
    readers = dict(zip(SUFFIXES, (_yaml_rows, _yaml_rows, _jsonl_rows, _csv_rows), strict=True))
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise TaskFileError(f"a task file ends in {', '.join(readers)}, not in {path.suffix!r}", path=path)
    try:
        content = path.read_bytes()
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig").read()
    except FileNotFoundError:
        raise TaskFileError("no such task file", path=path) from None
    except OSError as error:
        raise TaskFileError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise TaskFileError(
            f"is not UTF-8 (byte {error.start} is {error.object[error.start]:#04x}); save it as UTF-8",
            path=path,
        ) from None

    tasks: dict[str, Task] = {}
    first_lines: dict[str, int] = {}
    file_sha256 = hashlib.sha256(content).hexdigest()
    for row in reader(text, path):
        task = _task(row, path, file_sha256)
        if task.id in tasks:
            raise TaskFileError(
                f"id: {task.id!r} stands at line {first_lines[task.id]} already; ids must differ",
                path=path,
                line=row.line_of("id"),
            )
        tasks[task.id] = task
        first_lines[task.id] = row.line_of("id")
    if not tasks:
        raise TaskFileError("holds no task; add at least one with an id and an input", path=path)
    return tuple(tasks.values())


def _yaml_rows(text: str, path: Path) -> Iterator[_Row]:
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return
        shared: dict[str, Any] = {}
        shared_lines: dict[str, int] = {}
        listing = root
        if isinstance(root, yaml.MappingNode):
            values, lines = _yaml_mapping(loader, root)
            unknown = [name for name in values if name not in (*_SHARED, "tasks")]
            if unknown:
                raise _unknown_field(unknown[0], (*_SHARED, "tasks"), path, lines[unknown[0]])
            shared = {name: value for name, value in values.items() if name != "tasks"}
            shared_lines = {name: lines[name] for name in shared}
            nodes = [value for key, value in root.value if key.value == "tasks"]
            if not nodes:
                raise TaskFileError("has no `tasks:` list", path=path, line=root.start_mark.line + 1)
            listing = nodes[0]
        if not isinstance(listing, yaml.SequenceNode):
            raise TaskFileError(
                "tasks must be a list: each begins with `- id: ...`",
                path=path,
                line=listing.start_mark.line + 1,
            )
        for node in listing.value:
            line = node.start_mark.line + 1
            if not isinstance(node, yaml.MappingNode):
                raise TaskFileError("a task is a mapping with `id:` and `input:`", path=path, line=line)
            values, lines = _yaml_mapping(loader, node)
            merged = {**shared, **values}
            if isinstance(shared.get("variables"), dict) and isinstance(values.get("variables"), dict):
                merged["variables"] = {**shared["variables"], **values["variables"]}
            yield _Row(merged, {**shared_lines, **lines}, line)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise TaskFileError(
            f"is not valid YAML: {error.problem}", path=path, line=mark.line + 1 if mark else None
        ) from None
    except yaml.YAMLError as error:
        raise TaskFileError(f"is not valid YAML: {error}", path=path) from None
    except RecursionError:
        raise TaskFileError("is nested too deeply to be a task file", path=path) from None
    finally:
        loader.dispose()


def _yaml_mapping(loader: Any, node: Any) -> tuple[dict[str, Any], dict[str, int]]:
    # Key by key instead of the whole: only its nodes know the line of each field, which every message names.
    loader.flatten_mapping(node)
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        name = str(key_node.value)
        values[name] = loader.construct_object(value_node, deep=True)
        lines[name] = key_node.start_mark.line + 1
    return values, lines


def _jsonl_rows(text: str, path: Path) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise TaskFileError(f"is not JSON: {error.msg} at column {error.colno}", path=path, line=number) from None
        if not isinstance(values, dict):
            raise TaskFileError("a task is a JSON object with `id` and `input`", path=path, line=number)
        yield _Row(values, {}, number)


def _csv_rows(text: str, path: Path) -> Iterator[_Row]:
    import yaml

    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        for record in reader:
            number = reader.line_num
            if None in record:
                raise TaskFileError("has more cells than the header has columns", path=path, line=number)
            cells = {name.strip(): cell for name, cell in record.items() if cell not in (None, "")}
            values: dict[str, Any] = {name: cell for name, cell in cells.items() if name in FIELDS}
            variables = {name: cell for name, cell in cells.items() if name not in FIELDS}
            for name in ("graders", "variables"):
                if name in values:
                    try:
                        values[name] = yaml.safe_load(values[name])
                    except yaml.YAMLError as error:
                        raise TaskFileError(f"{name}: is not YAML: {error}", path=path, line=number) from None
            if isinstance(values.get("variables", {}), dict):
                values["variables"] = {**variables, **values.get("variables", {})}
            yield _Row(values, {}, number)
    except csv.Error as error:
        raise TaskFileError(f"is not CSV: {error}", path=path, line=reader.line_num) from None


def _task(row: _Row, path: Path, file_sha256: str) -> Task:
    for name in row.values:
        if name not in FIELDS:
            raise _unknown_field(name, FIELDS, path, row.line_of(name))
    for name in ("id", "input"):
        value = row.values.get(name)
        if value is None or not str(value).strip():
            raise TaskFileError(f"{name}: is missing; every task needs one", path=path, line=row.line_of(name))
    for name in ("id", "input", "target", "group", "context"):
        value = row.values.get(name)
        if value is not None and not isinstance(value, str | int | float):
            raise TaskFileError(f"{name}: must be text, found {_kind(value)}", path=path, line=row.line_of(name))
    variables = row.values.get("variables") or {}
    if not isinstance(variables, dict):
        raise TaskFileError(
            f"variables: must be a mapping of names to values, found {_kind(variables)}",
            path=path,
            line=row.line_of("variables"),
        )

    def filled(name: str) -> str | None:
        value = row.values.get(name)
        return None if value is None else _fill(str(value), variables, name, path, row.line_of(name))

    group = row.values.get("group")
    return Task(
        id=str(row.values["id"]),
        input=filled("input") or "",
        target=filled("target"),
        group=None if group is None else str(group),
        variables=variables,
        context=filled("context"),
        graders=_grader_specs(row, path),
        file_sha256=file_sha256,
    )


def _fill(text: str, variables: Mapping[str, Any], name: str, path: Path, line: int) -> str:
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return text
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    template = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    try:
        return template.from_string(text).render(variables)
    except TemplateError as error:
        known = f"; variables here are: {', '.join(variables)}" if variables else "; this task has no variables"
        raise TaskFileError(f"{name}: {error.message}{known}", path=path, line=line) from None
    except (ArithmeticError, TypeError, ValueError) as error:
        raise TaskFileError(f"{name}: the template fails: {error}", path=path, line=line) from None


def _grader_specs(row: _Row, path: Path) -> tuple[GraderSpec, ...]:
    line = row.line_of("graders")
    written = row.values.get("graders") or []
    if not isinstance(written, list):
        raise TaskFileError(f"graders: must be a list, found {_kind(written)}", path=path, line=line)
    specs: list[GraderSpec] = []
    taken: set[str] = set()
    for item in written:
        name, options = _grader_item(item, path, line)
        if "label" in options:
            raise TaskFileError(
                f"graders: {name} has no option label; what it holds a reply to is its promise: write "
                f"`promise: {options['label']}`",
                path=path,
                line=line,
            )
        promise = str(options.pop("promise", name))
        number = 2
        unique = promise
        while unique in taken:
            unique, number = f"{promise} {number}", number + 1
        taken.add(unique)
        specs.append(GraderSpec(name=name, promise=unique, options=options, where=f"{path}:{line}"))
    return tuple(specs)


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


def _unknown_field(name: str, known: tuple[str, ...], path: Path, line: int) -> TaskFileError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"fields are {', '.join(known)}"
    return TaskFileError(f"{name}: is not a field of a task; {hint}", path=path, line=line)


def _kind(value: Any) -> str:
    names = {
        dict: "a mapping",
        list: "a list",
        str: "text",
        bool: "a truth value",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), type(value).__name__)
