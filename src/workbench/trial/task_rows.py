"""The rows of a task file as they are written: from YAML, JSON Lines or CSV to fields, each with its line.

What a row holds is plain afterwards (texts, numbers, truth values, lists and mappings of them), as JSON can keep it.
"""

from __future__ import annotations

import csv
import datetime
import difflib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import TaskFileError

FIELDS = ("id", "input", "target", "group", "variables", "context", "graders", "replies")
TEXT_FIELDS = ("id", "input", "target", "group", "context")
MOST_CHARACTERS = 10_000_000
"""What the values of a YAML file may amount to when each alias (`*name`) is written out."""
_SHARED = ("context", "variables", "graders", "group", "replies")
SUFFIXES = (".yaml", ".yml", ".jsonl", ".csv")
"""What the name of a task file ends in."""


@dataclass(frozen=True, kw_only=True)
class RowForm:
    """What stands in a YAML file of rows."""

    what: str
    """What a row is called."""
    lists: tuple[str, ...]
    """Under which of these the list may stand, where the file is a mapping."""
    texts: tuple[str, ...]
    """Fields that are texts as they are written: `no` is no truth value."""
    shared: tuple[str, ...]
    """Fields that may stand beside the list, and hold for all of its rows."""
    begins: str
    """With what a row begins."""


TASK_FORM = RowForm(what="task", lists=("tasks",), texts=TEXT_FIELDS, shared=_SHARED, begins="`id:` and `input:`")


@dataclass(frozen=True)
class Row:
    """One task as written, with the line of each of its fields."""

    values: dict[str, Any]
    lines: dict[str, int]
    """By field; of what stands inside of `graders` and `replies` by its way there, as "replies/bad/0"."""
    line: int
    replies_of_all: Any = None
    """What the head of its file says under `replies`, which holds the replies of every task by its id."""
    replies_line: int = 0
    """Where it says that."""

    def line_of(self, name: str) -> int:
        return self.lines.get(name, self.line)


class _NodeFault(Exception):
    """What is wrong at a place of a YAML text."""

    def __init__(self, message: str, node: Any) -> None:
        super().__init__(message)
        self.line: int = node.start_mark.line + 1


def read_rows(text: str, path: Path) -> Iterator[Row]:
    """The rows of a file by its suffix, one of `SUFFIXES`.

    Raises:
        TaskFileError: they cannot be read; the message gives file and line.
    """
    readers = dict(zip(SUFFIXES, (read_yaml_rows, read_yaml_rows, _jsonl_rows, _csv_rows), strict=True))
    try:
        yield from readers[path.suffix.lower()](text, path)
    except RecursionError:
        raise TaskFileError("is nested too deeply to be a task file", path=path) from None


def read_mapping(text: str, path: Path) -> Row:
    """The one mapping of a YAML text, with the line of all that stands in it, down to three levels.

    Raises:
        TaskFileError: it is no YAML, or something else than a mapping; the message gives file and line.
    """
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            line = None if root is None else root.start_mark.line + 1
            raise TaskFileError("must be a mapping", path=path, line=line)
        _check_aliases(root)
        values, lines = _yaml_mapping(loader, root, path)
        for key, node in root.value:
            lines.update(_lines_inside(node, str(key.value)))
        return Row(values, lines, root.start_mark.line + 1)
    except _NodeFault as error:
        raise TaskFileError(str(error), path=path, line=error.line) from None
    except yaml.YAMLError as error:
        raise _no_yaml(error, path) from None
    except RecursionError:
        raise TaskFileError("is nested too deeply", path=path) from None
    finally:
        loader.dispose()


def unknown_field(
    name: str, known: tuple[str, ...], path: Path, line: int, what: str = TASK_FORM.what
) -> TaskFileError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"fields are {', '.join(known)}"
    return TaskFileError(f"{name}: is not a field of a {what}; {hint}", path=path, line=line)


def kind_of(value: Any) -> str:
    names = {
        dict: "a mapping",
        list: "a list",
        str: "text",
        bool: "a truth value",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), type(value).__name__)


def read_yaml_rows(text: str, path: Path, form: RowForm = TASK_FORM) -> Iterator[Row]:
    """The rows of a YAML text.

    Raises:
        TaskFileError: they cannot be read; the message gives file and line.
        RecursionError: they are nested too deeply.
    """
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return
        _check_aliases(root)
        shared: dict[str, Any] = {}
        shared_lines: dict[str, int] = {}
        replies_of_all: Any = None
        listing = root
        if isinstance(root, yaml.MappingNode):
            _check_keys(root)
            nodes = [value for key, value in root.value if key.value in form.lists]
            root.value = [pair for pair in root.value if pair[0].value not in form.lists]
            shared, shared_lines = _yaml_mapping(loader, root, path, form.texts)
            unknown = [name for name in shared if name not in form.shared]
            if unknown:
                known = (*form.shared, *form.lists)
                raise unknown_field(unknown[0], known, path, shared_lines[unknown[0]], form.what)
            replies_of_all = shared.pop("replies", None)
            if not nodes:
                raise TaskFileError(f"has no `{form.lists[0]}:` list", path=path, line=root.start_mark.line + 1)
            listing = nodes[0]
        if not isinstance(listing, yaml.SequenceNode):
            raise TaskFileError(
                f"{form.what}s must be a list: each begins with `- {form.begins[1:].partition('`')[0]} ...`",
                path=path,
                line=listing.start_mark.line + 1,
            )
        for node in listing.value:
            line = node.start_mark.line + 1
            if not isinstance(node, yaml.MappingNode):
                raise TaskFileError(f"a {form.what} is a mapping with {form.begins}", path=path, line=line)
            values, lines = _yaml_mapping(loader, node, path, form.texts)
            merged = {**shared, **values}
            if isinstance(shared.get("variables"), dict) and isinstance(values.get("variables"), dict):
                merged["variables"] = {**shared["variables"], **values["variables"]}
            yield Row(merged, {**shared_lines, **lines}, line, replies_of_all, shared_lines.get("replies", line))
    except _NodeFault as error:
        raise TaskFileError(str(error), path=path, line=error.line) from None
    except yaml.YAMLError as error:
        raise _no_yaml(error, path) from None
    finally:
        loader.dispose()


def _no_yaml(error: Any, path: Path) -> TaskFileError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else None
    return TaskFileError(f"is not valid YAML: {getattr(error, 'problem', error)}", path=path, line=line)


def _yaml_mapping(
    loader: Any, node: Any, path: Path, texts: tuple[str, ...] = TEXT_FIELDS
) -> tuple[dict[str, Any], dict[str, int]]:
    # Key by key instead of the whole: only its nodes know the line of each field, which every message names.
    _check_keys(node)
    loader.flatten_mapping(node)
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        name = str(key_node.value)
        lines[name] = line = key_node.start_mark.line + 1
        if name in texts and _is_written_plainly(value_node):
            values[name] = (
                value_node.value
            )  # `id: 007` and `input: no` are what is written, no number and no truth value
            continue
        try:
            if name == "variables":
                _check_spelling(loader, value_node)
            values[name] = plain(loader.construct_object(value_node, deep=True))
            if name in ("replies", "graders"):
                lines.update(_lines_inside(value_node, name))
        except (ValueError, TypeError) as error:  # of a date that there is not, or a number of too many digits
            raise TaskFileError(f"{name}: cannot be read: {error}", path=path, line=line) from None
    return values, lines


def _lines_inside(node: Any, at: str, levels: int = 2) -> Iterator[tuple[str, int]]:
    """The lines of what stands in a node, by its way there, down to so many levels."""
    if not levels or node.id == "scalar":
        return
    parts = node.value if node.id == "mapping" else [(None, each) for each in node.value]
    for number, (key, value) in enumerate(parts):
        way = f"{at}/{number if key is None else key.value}"
        yield way, (value if key is None else key).start_mark.line + 1
        yield from _lines_inside(value, way, levels - 1)


def _check_keys(node: Any) -> None:
    first: dict[str, int] = {}
    for key, _ in node.value:
        name = str(key.value)
        if name in first and name != "<<":
            raise _NodeFault(f"{name}: stands twice, in line {first[name]} too; keep one of them", key)
        first[name] = key.start_mark.line + 1


def _is_written_plainly(node: Any) -> bool:
    return node.id == "scalar" and node.tag.rpartition(":")[2] in ("bool", "int", "float", "timestamp")


def _check_spelling(loader: Any, node: Any) -> None:
    """Refuses a variable that would stand otherwise in a text than it was written: YAML reads 3.10 as 3.1."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.id == "mapping":
            waiting.extend(value for _, value in node.value)
        elif node.id == "sequence":
            waiting.extend(node.value)
        elif _is_written_plainly(node):
            read = str(plain(loader.construct_object(node)))
            if node.value.casefold() != read.casefold():
                told = f"variables: YAML reads {node.value} as {read}; to have it as it stands, write it in quotes"
                raise _NodeFault(f'{told}: "{node.value}"', node)


def _check_aliases(root: Any) -> None:
    """Refuses aliases that multiply into more than memory holds, and those within themselves."""
    sizes: dict[int, int] = {}
    within: set[int] = set()

    def size_of(node: Any) -> int:
        if id(node) not in sizes:
            if id(node) in within:
                raise _NodeFault("an alias (`*name`) stands within what it stands for", node)
            within.add(id(node))
            sizes[id(node)] = 1 + (len(node.value) if node.id == "scalar" else sum(map(size_of, _parts_of(node))))
            if sizes[id(node)] > MOST_CHARACTERS:
                told = f"holds more than {MOST_CHARACTERS:,} characters when its aliases (`*name`) are written out"
                raise _NodeFault(told, node)
        return sizes[id(node)]

    size_of(root)


def _parts_of(node: Any) -> list[Any]:
    if node.id == "mapping":
        return [part for pair in node.value for part in pair]
    return list(node.value) if node.id == "sequence" else []


def plain(value: Any) -> Any:
    """The value as JSON can keep it: a date as its text, keys of mappings as texts.

    Raises:
        TypeError: it is a set or bytes, which have no such form.
    """
    if isinstance(value, str | bool | int | float) or value is None:
        return value
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(plain(name)): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} is no text, number, list or mapping")


def _jsonl_rows(text: str, path: Path) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise TaskFileError(f"is not JSON: {error.msg} at column {error.colno}", path=path, line=number) from None
        except (ValueError, RecursionError) as error:  # a number of too many digits, or too much in one another
            raise TaskFileError(f"cannot be read: {error}", path=path, line=number) from None
        if not isinstance(values, dict):
            raise TaskFileError("a task is a JSON object with `id` and `input`", path=path, line=number)
        yield Row(values, {}, number)


def _csv_rows(text: str, path: Path) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        for record in reader:
            number = reader.line_num
            if None in record:
                raise TaskFileError("has more cells than the header has columns", path=path, line=number)
            cells = {name.strip(): cell for name, cell in record.items() if cell not in (None, "")}
            values: dict[str, Any] = {name: cell for name, cell in cells.items() if name in FIELDS}
            variables = {name: cell for name, cell in cells.items() if name not in FIELDS}
            for name in ("graders", "variables", "replies"):
                if name in values:
                    values[name] = _yaml_cell(values[name], name, path, number)
            if isinstance(values.get("variables", {}), dict):
                values["variables"] = {**variables, **values.get("variables", {})}
            yield Row(values, {}, number)
    except csv.Error as error:
        raise TaskFileError(f"is not CSV: {error}", path=path, line=reader.line_num) from None


def _yaml_cell(text: str, name: str, path: Path, line: int) -> Any:
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_aliases(node)
        if name == "variables":
            _check_spelling(loader, node)
        return plain(loader.construct_document(node))
    except _NodeFault as error:
        raise TaskFileError(f"{name}: {str(error).removeprefix(f'{name}: ')}", path=path, line=line) from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise TaskFileError(f"{name}: is not YAML: {error}", path=path, line=line) from None
    finally:
        loader.dispose()
