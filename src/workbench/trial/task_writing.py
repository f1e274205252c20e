"""Tasks written into a task file: shown as a diff first, added at the end of what is there, and never over it.

What is added is read back before anything is written: the tasks of before, unchanged, and the new ones behind them.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.definition.agent import Agent
from workbench.definition.project import CLAUDE_FOLDER
from workbench.definition.replacing import alone_in, replace_file
from workbench.definition.there import bytes_in
from workbench.errors import TaskFileError
from workbench.markup import visible
from workbench.secrets import value_without_secrets, without_secrets
from workbench.trial.known_replies import NO_PROMISE
from workbench.trial.proposed import ProposedTask
from workbench.trial.task import GraderSpec, Task, parse_tasks
from workbench.trial.task_files import task_file_apart, task_file_of
from workbench.trial.task_rows import SUFFIXES
from workbench.trial.task_variables import as_template

_TEXTS = ("input", "context", "target")
_YAML = SUFFIXES[:2]


@dataclass(frozen=True, kw_only=True)
class TaskFileChange:
    """A task file as it is and as it would be."""

    path: Path
    before: str
    """Empty: there is no file."""
    after: str
    added: tuple[Task, ...]
    """As they would stand in it: with ids of their own, secrets taken out."""
    already_there: int
    """How many were left out, as the file asks the same already."""
    secrets_taken_out: int = 0
    """In how many of the added ones."""

    @property
    def diff(self) -> str:
        """What would change, line by line; empty: nothing."""
        lines = difflib.unified_diff(
            self.before.splitlines(),
            self.after.splitlines(),
            f"{self.path}" if self.before else "no file yet",
            f"{self.path}",
            lineterm="",
        )
        return "".join(f"{line}\n" for line in lines)

    def __str__(self) -> str:
        return self.diff


def task_file_to_write(agent: Agent, *, apart: bool | None = None) -> Path:
    """The task file of the agent, or where it has none, the one to make: beside it, or in `.workbench/tasks` with
    `apart`, which is usual for an agent in a folder of Claude Code.

    Raises:
        TaskFileError: the agent has no file, so that there is no place for its tasks.
    """
    if agent.path is None:
        raise TaskFileError("an agent without a file has no place for its tasks; save it first, or name a task file")
    there = task_file_of(agent.path)
    if there is not None:
        return there
    if apart is None:
        apart = CLAUDE_FOLDER in agent.path.resolve().parts
    return task_file_apart(agent.path) if apart else agent.path.with_name(f"{agent.path.stem}.tasks{SUFFIXES[0]}")


def add_tasks(path: str | Path, proposed: Sequence[ProposedTask | Task], *, title: str = "") -> TaskFileChange:
    """What the task file would be with these tasks at its end. Nothing is written; `write_task_file` does that.

    A task that asks what the file asks already is left out; one whose id is taken gets another. Secrets are taken out.
    `title` is the agent's name, for the head of a new file.

    Raises:
        TaskFileError: the file is wrong, or of a form that cannot be added to; says what to do.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise TaskFileError(f"a task file ends in {', '.join(SUFFIXES)}, not in {path.suffix!r}", path=path)
    before = _text_of(path)
    there = parse_tasks(before, path) if before else ()
    wanted = [one if isinstance(one, ProposedTask) else ProposedTask(task=one) for one in proposed]
    clean = [_without_secrets(one) for one in wanted]
    new = _new_ones(clean, there)
    taken_out = sum(one.task != each.task for one, each in zip(clean, wanted, strict=True))
    if not new:
        return TaskFileChange(path=path, before=before, after=before, added=(), already_there=len(wanted))
    after = _added(before, new, path) if before else _new_file(new, path, title)
    added = tuple(one.task for one in new)
    read = parse_tasks(after, path)
    as_before = [_without_end(task) for task in read[: len(there)]] == [_without_end(task) for task in there]
    if not as_before or not _hold(read[len(there) :], added):
        raise TaskFileError(
            "cannot be added to as it is written; put the tasks into it by hand:\n\n" + yaml_of(new), path=path
        )
    return TaskFileChange(
        path=path,
        before=before,
        after=after,
        added=added,
        already_there=len(wanted) - len(new),
        secrets_taken_out=taken_out,
    )


def write_task_file(change: TaskFileChange) -> Path:
    """Writes the file as the change says, in one piece; gives its path.

    Raises:
        TaskFileError: the file is no longer what the change began with, or cannot be written.
    """
    _check_unchanged(change)
    try:
        change.path.parent.mkdir(parents=True, exist_ok=True)
        real = change.path.resolve()
        with alone_in(real.parent):
            _check_unchanged(change)
            replace_file(real, change.after.encode(), old=bytes_in(real) if real.exists() else None)
    except OSError as error:
        raise TaskFileError(f"cannot be written: {error.strerror or error}", path=change.path) from error
    return change.path


def save_task(task: Task | str, agent: Agent, *, apart: bool | None = None) -> TaskFileChange:
    """Puts one task, or what a user asks as a text, at the end of the agent's task file, which is made where there is
    none (see `task_file_to_write`); gives what was added. Nothing is written where the file asks the same already.

    Raises:
        TaskFileError: the file is wrong, or cannot be written.
    """
    return export_tasks([Task(id="asked-1", input=task) if isinstance(task, str) else task], agent, apart=apart)


def export_tasks(
    tasks: Sequence[ProposedTask | Task], to: Agent | str | Path, *, apart: bool | None = None
) -> TaskFileChange:
    """Puts tasks at the end of a task file, or of that of an agent; gives what was added. See `add_tasks`.

    Raises:
        TaskFileError: the file is wrong, or cannot be written.
    """
    if isinstance(to, Agent):
        change = add_tasks(task_file_to_write(to, apart=apart), tasks, title=to.name or "")
    else:
        change = add_tasks(to, tasks)
    if change.after != change.before:
        write_task_file(change)
    return change


def yaml_of(proposed: Sequence[ProposedTask], *, indent: int = 2) -> str:
    """The tasks as items of a YAML list, each below its remark."""
    return "".join(f"{line}\n" for one in proposed for line in _item(one, " " * indent))


def _check_unchanged(change: TaskFileChange) -> None:
    if _text_of(change.path) != change.before:
        raise TaskFileError("changed meanwhile, and was left as it is; ask for the change again", path=change.path)


def _text_of(path: Path) -> str:
    try:
        return bytes_in(path).decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise TaskFileError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError:
        raise TaskFileError("is not UTF-8; save it as UTF-8", path=path) from None


def _without_end(task: Task) -> Task:
    """A block at the end of a file that lacks its last line end gets one."""
    return replace(task, input=task.input.rstrip("\n"), graders=_without_places(task.graders))


def _hold(read: Sequence[Task], added: Sequence[Task]) -> bool:
    """Whether they are what was to be added; what a task does not say, the head of its file may say for it."""
    said = [
        {name: value for name in ("id", "group", *_TEXTS) if (value := getattr(task, name)) is not None}
        | ({"graders": _without_places(task.graders)} if task.graders else {})
        for task in added
    ]
    return len(read) == len(added) and all(
        value == (_without_places(task.graders) if name == "graders" else getattr(task, name))
        for each, task in zip(said, read, strict=True)
        for name, value in each.items()
    )


def _without_places(specs: Sequence[GraderSpec]) -> tuple[GraderSpec, ...]:
    return tuple(replace(spec, where="") for spec in specs)


def _without_secrets(one: ProposedTask) -> ProposedTask:
    task = one.task
    texts: dict[str, Any] = {
        name: without_secrets(text) for name in _TEXTS if (text := getattr(task, name)) is not None
    }
    specs = tuple(replace(spec, options=value_without_secrets(dict(spec.options))) for spec in task.graders)
    replies = tuple(replace(reply, text=without_secrets(reply.text)) for reply in task.replies)
    clean = replace(task, **texts, graders=specs, replies=replies)
    return replace(one, task=clean, remark=without_secrets(one.remark))


def _new_ones(proposed: Sequence[ProposedTask], there: Sequence[Task]) -> list[ProposedTask]:
    """Those that ask something new, each with an id that no other has, and the promises as the file will read them."""
    asked = {task.message.strip() for task in there}
    ids = {task.id for task in there}
    found = []
    for one in proposed:
        if one.task.message.strip() in asked:
            continue
        asked.add(one.task.message.strip())
        start, number = re.sub(r"-?(?<!\d)\d++$", "", one.task.id) or "task", 1
        new_id = one.task.id
        while new_id in ids or not new_id:
            new_id, number = f"{start}-{number}", number + 1
        ids.add(new_id)
        found.append(one.with_id(new_id))
    return found


def new_task_file(proposed: Sequence[ProposedTask], *, title: str) -> str:
    """The text of a new YAML file of tasks of the agent of this name."""
    return "".join(f"{line}\n" for line in _head(title)) + yaml_of([_without_secrets(one) for one in proposed]).lstrip(
        "\n"
    )


def _new_file(new: Sequence[ProposedTask], path: Path, title: str) -> str:
    if path.suffix.lower() not in _YAML:
        return _added("", new, path)
    return new_task_file(new, title=title or path.name.split(".")[0])


def _head(title: str) -> Iterator[str]:
    yield f"# What {visible(title)} is tried on. A task is one question to it; more tasks make a surer verdict."
    yield "#"
    yield "#   input    what the user asks"
    yield "#   context  comes before the input in the same turn, as a project's CLAUDE.md would"
    yield "#   graders  what a good reply holds to; `workbench graders` lists all of them with their options"
    yield "#   replies  good and bad replies, by which `workbench check-tasks` checks the graders"
    yield "#"
    yield "# Put what this agent promises into `graders`, such as"
    yield "#   - mentions: {any: [risk, trade-off]}"
    yield "#   - has_section: {any: [summary]}"
    yield ""
    yield "graders:  # of every task that has none of its own"
    yield "  - word_count: {at_most: 400}  # as long as you want its replies to be"
    yield ""
    yield "tasks:"


def _added(before: str, new: Sequence[ProposedTask], path: Path) -> str:
    suffix = path.suffix.lower()
    whole = before if not before or before.endswith("\n") else f"{before}\n"
    if suffix == ".csv":
        return whole + _csv_rows(before, new, path)
    if suffix not in _YAML:
        return whole + "".join(json.dumps(_row(one.task), ensure_ascii=False) + "\n" for one in new)
    return _added_to_yaml(whole, new, path)


def _added_to_yaml(before: str, new: Sequence[ProposedTask], path: Path) -> str:
    """The new items behind the last one of the list of tasks, at its column."""
    import yaml

    root = yaml.compose(before, Loader=yaml.SafeLoader)
    listing: Any = root
    if isinstance(root, yaml.MappingNode):
        listing = next(value for key, value in root.value if key.value == "tasks")
    if listing.flow_style or not listing.value:
        raise TaskFileError(
            "its list of tasks is written in brackets; write it as `- id: ...`, a line each, or put these in by hand:"
            f"\n\n{yaml_of(new)}",
            path=path,
        )
    lines = before.splitlines(keepends=True)
    first = listing.value[0].start_mark
    indent = lines[first.line][: first.column].find("-")
    last = listing.end_mark.line if listing.end_mark.line < len(lines) or listing.end_mark.column else len(lines)
    at = min(last, len(lines))
    while at > 0 and (not lines[at - 1].strip() or lines[at - 1].lstrip().startswith("#")):
        at -= 1
    text = yaml_of(new, indent=indent if indent >= 0 else first.column)
    newline = "\r\n" if "\r\n" in before else "\n"
    return "".join(lines[:at]) + text.replace("\n", newline) + "".join(lines[at:])


def _csv_rows(before: str, new: Sequence[ProposedTask], path: Path) -> str:
    header = next(csv.reader(io.StringIO(before)), None) or ["id", "input"]
    names = [name.strip() for name in header]
    written = io.StringIO()
    writer = csv.DictWriter(written, names, lineterminator="\n")
    if not before:
        writer.writeheader()
    for one in new:
        row = {name: value if isinstance(value, str) else json.dumps(value) for name, value in _row(one.task).items()}
        beyond = [name for name in row if name not in names]
        if beyond and beyond != ["group"]:
            raise TaskFileError(
                f"has no column {beyond[0]}, which {one.task.id} needs; add it to the header", path=path
            )
        writer.writerow({name: value for name, value in row.items() if name in names})
    return written.getvalue()


def _row(task: Task) -> dict[str, Any]:
    """A task as a row of a file: the fields that it has."""
    texts = {name: as_template(text) for name in _TEXTS if (text := getattr(task, name))}
    row: dict[str, Any] = {"id": task.id, **({"group": task.group} if task.group else {}), **texts}
    if task.graders:
        row["graders"] = [_grader(spec) for spec in task.graders]
    if task.replies:
        row["replies"] = _replies(task)
    return row


def _grader(spec: GraderSpec) -> Any:
    options = {**({"promise": spec.promise} if spec.promise != spec.name else {}), **spec.options}
    return {spec.name: options} if options else spec.name


def _replies(task: Task) -> Mapping[str, Any]:
    found: dict[str, list[Any]] = {}
    for reply in task.replies:
        given: dict[str, Any] = {"name": reply.name, "text": reply.text}
        if reply.fails:
            given["fails"] = list(reply.fails)
        if reply.is_for_a_judge:
            given["fails"] = NO_PROMISE
        if reply.at_least != 1:
            given["at_least"] = reply.at_least
        found.setdefault("good" if reply.is_good else "bad", []).append(given)
    return found


def _item(one: ProposedTask, indent: str) -> Iterator[str]:
    row = _row(one.task)
    yield ""
    if one.remark:
        yield f"{indent}# {visible(one.remark)}"
    yield f"{indent}- id: {_quoted(str(row.pop('id')), plainly=True)}"
    for name, value in row.items():
        if name == "graders":
            yield f"{indent}  graders:"
            yield from (f"{indent}    - {_flow(grader)}" for grader in value)
        elif name == "replies":
            yield f"{indent}  replies: {_flow(value)}"
        elif _is_block(value):
            yield f"{indent}  {name}: |-"
            yield from (f"{indent}    {line}" if line else "" for line in value.split("\n"))
        else:
            yield f"{indent}  {name}: {_quoted(value)}"


def _is_block(text: str) -> bool:
    """Whether the text can stand as it is, in a block: in lines that YAML gives back."""
    lines = text.split("\n")
    return (
        len(lines) > 1
        and all(line.isprintable() and line == line.rstrip() for line in lines)
        and not lines[0].startswith(" ")
        and bool(lines[0] and lines[-1])
    )


def _quoted(text: str, *, plainly: bool = False) -> str:
    """A text as YAML: in double quotes, which can hold any, or with `plainly` as it is where it can stand so."""
    if plainly and re.fullmatch(r"[A-Za-z][\w-]*", text):
        return text
    return _escaped(json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False))


def _flow(value: Any) -> str:
    """A value as YAML on one line, which JSON is."""
    return _escaped(json.dumps(value, ensure_ascii=False))


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
