"""Replies that a task file holds to check its graders by: good ones, and bad ones.

    replies:
      good:
        - "Set a lock with SKIP LOCKED ..."
      bad:
        - {name: salad, text: "lock, no lock, locks", fails: [locking]}

or `replies: reviewer.replies.yaml`, a file beside the task file, since replies are long: in a task it holds `good` and
`bad`, and at the head of the file, beside `tasks`, the same under the id of each task. What such a reply says is never
a template: replies are full of braces of their own.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.definition.there import text_in
from workbench.errors import TaskFileError
from workbench.trial.task_rows import Row, kind_of, read_mapping

MOST_REPLIES = 200
"""Good ones or bad ones of one task."""
LONGEST_REPLY = 200_000
"""Characters."""
LARGEST_FILE = 20_000_000
"""Bytes of a file of replies."""
KINDS = ("good", "bad")
EVERY_PROMISE = "all"
"""As `fails: all`: a reply that keeps none of the task's promises."""
NO_PROMISE = "none"
"""As `fails: none`: a bad reply that no grader of the task has to tell, as where only a judge can."""
_OF_ITEM = ("text", "name", "fails", "at_least")


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownReply:
    """A reply of which a person has said whether it is good: a grader that says otherwise is wrong."""

    name: str
    """Unlike that of any other of its task; "good 1" or "bad 2" unless somebody gave it one."""
    text: str
    is_good: bool
    fails: tuple[str, ...] = ()
    """Of a bad one: the promises that it breaks, every one of them; empty: at least one, whichever that is."""
    is_for_a_judge: bool = False
    """Of a bad one: no grader has to tell that it is; how much of it they pass is counted."""
    at_least: float = 1.0
    """From which score, in 0..1, a grader passes it."""
    where: str = ""
    """ "file:line", for messages."""


def known_replies(row: Row, promises: Sequence[str], path: Path) -> tuple[KnownReply, ...]:
    """The good and then the bad replies of a row, in their order.

    Raises:
        TaskFileError: they are not as they should be; the message gives file, line and field.
    """
    written, line = row.values.get("replies"), row.line_of("replies")
    if written is None:
        return ()
    if isinstance(written, str):
        file = _file_beside(written, path, line)
        whole = _read_beside(file, path, line)
        return _Place(file).replies(whole.values, whole.lines, "", whole.line, promises)
    return _Place(path).replies(written, row.lines, "replies", line, promises)


@dataclass(frozen=True, kw_only=True)
class RepliesOfAll:
    """A file beside the task file, which has good and bad replies under the id of each task."""

    file: Path
    whole: Row

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self.whole.values)

    def of(self, task_id: str, promises: Sequence[str]) -> tuple[KnownReply, ...]:
        """Those of one task.

        Raises:
            TaskFileError: they are not as they should be.
        """
        if task_id not in self.whole.values:
            return ()
        written, line = self.whole.values[task_id], self.whole.line_of(task_id)
        return _Place(self.file).replies(written, self.whole.lines, task_id, line, promises)

    def check_ids(self, known: Collection[str]) -> None:
        """That each id is one of a task.

        Raises:
            TaskFileError: one is not.
        """
        for task_id in self.ids:
            if task_id not in known:
                hint = _did_you_mean(task_id, known) or f"ids are {', '.join(known)}"
                line = self.whole.line_of(task_id)
                raise TaskFileError(f"{task_id}: is the id of no task; {hint}", path=self.file, line=line)


def replies_of_all(row: Row, path: Path) -> RepliesOfAll | None:
    """The file that the head of a task file names under `replies`; `None` where it names none.

    Raises:
        TaskFileError: there is no such file, or it holds something else.
    """
    name, line = row.replies_of_all, row.replies_line
    if name is None:
        return None
    if not isinstance(name, str):
        raise TaskFileError(
            f"replies: for all tasks, it is the name of a file beside this one, found {kind_of(name)}; write those of "
            "one task into the task",
            path=path,
            line=line,
        )
    file = _file_beside(name, path, line)
    return RepliesOfAll(file=file, whole=_read_beside(file, path, line))


def _file_beside(name: str, path: Path, line: int) -> Path:
    file = path.parent / name
    inside = not Path(name).is_absolute() and file.resolve().is_relative_to(path.parent.resolve())
    if not inside or not name.strip():
        raise TaskFileError(
            f"replies: {name!r} is not in the folder of the task file; put the file beside it", path=path, line=line
        )
    if file.suffix.lower() not in (".yaml", ".yml"):
        raise TaskFileError(
            f"replies: {name!r} is no YAML file; a file of replies ends in .yaml, and replies themselves stand under "
            "`good:` and `bad:`",
            path=path,
            line=line,
        )
    return file


def _read_beside(file: Path, path: Path, line: int) -> Row:
    try:
        found = file.stat()
    except OSError as error:
        raise TaskFileError(f"replies: {file} cannot be read: {error.strerror}", path=path, line=line) from None
    if found.st_size > LARGEST_FILE:
        raise TaskFileError(f"has {found.st_size:,} bytes; a file of replies has at most {LARGEST_FILE:,}", path=file)
    return _read_file(file, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _read_file(file: Path, _changed_ns: int, _bytes: int) -> Row:
    """Held, for every task of a file may name the same one; read again when it has changed."""
    try:
        text = text_in(file, encoding="utf-8-sig")
    except OSError as error:
        raise TaskFileError(f"cannot be read: {error.strerror}", path=file) from error
    except UnicodeDecodeError:
        raise TaskFileError("is not UTF-8; save it as UTF-8", path=file) from None
    return read_mapping(text, file)


@dataclass(frozen=True)
class _Place:
    """The file in which replies stand, for messages."""

    file: Path

    def wrong(self, message: str, line: int) -> TaskFileError:
        return TaskFileError(f"replies: {message}", path=self.file, line=line)

    def replies(
        self, written: Any, lines: Mapping[str, int], at: str, line: int, promises: Sequence[str]
    ) -> tuple[KnownReply, ...]:
        if not isinstance(written, dict):
            raise self.wrong(f"must be a mapping with `good` and `bad`, found {kind_of(written)}", line)
        for name in written:
            if name not in (*KINDS, "at_least"):
                hint = _did_you_mean(name, (*KINDS, "at_least")) or "it has good, bad and at_least"
                raise self.wrong(f"{name} is not a field of it; {hint}", lines.get(_joined(at, name), line))
        common = self._threshold(written.get("at_least", 1), lines.get(_joined(at, "at_least"), line))
        found: dict[str, KnownReply] = {}
        for kind in KINDS:
            items = written.get(kind) or []
            here = lines.get(_joined(at, kind), line)
            if not isinstance(items, list):
                raise self.wrong(f"{kind} must be a list of replies, found {kind_of(items)}", here)
            if len(items) > MOST_REPLIES:
                raise self.wrong(f"{kind} has {len(items)} replies; at most {MOST_REPLIES} belong to a task", here)
            for number, item in enumerate(items, start=1):
                item_line = lines.get(_joined(at, kind, str(number - 1)), here)
                reply = self._reply(item, f"{kind} {number}", common, item_line, promises)
                if reply.name in found:
                    raise self.wrong(f"two are called {reply.name!r}; names must differ", item_line)
                found[reply.name] = reply
        return tuple(found.values())

    def _reply(self, item: Any, usual_name: str, common: float, line: int, promises: Sequence[str]) -> KnownReply:
        given = {"text": item} if isinstance(item, str) else item
        if not isinstance(given, dict):
            raise self.wrong(f"{usual_name} must be text, or a mapping with `text`, found {kind_of(item)}", line)
        is_good = usual_name.startswith(KINDS[0])
        for name in given:
            if name not in _OF_ITEM:
                hint = _did_you_mean(name, _OF_ITEM) or f"it has {', '.join(_OF_ITEM)}"
                raise self.wrong(f"{usual_name}: {name} is not a field of a reply; {hint}", line)
        text = given.get("text")
        if not isinstance(text, str):
            raise self.wrong(f"{usual_name}: text must be text, found {kind_of(text)}; put it in quotes", line)
        if len(text) > LONGEST_REPLY:
            raise self.wrong(f"{usual_name} has {len(text):,} characters; at most {LONGEST_REPLY:,} are read", line)
        fails = self._fails(given.get("fails"), usual_name, line, promises)
        if is_good and fails:
            raise self.wrong(f"{usual_name} is good and fails {fails[0]!r}; one that fails stands under `bad`", line)
        is_for_a_judge = given.get("fails") == NO_PROMISE
        if is_good and is_for_a_judge:
            raise self.wrong(f"{usual_name} is good; `fails` belongs to one under `bad`", line)
        return KnownReply(
            name=str(given.get("name") or usual_name),
            text=text,
            is_good=is_good,
            fails=fails,
            is_for_a_judge=is_for_a_judge,
            at_least=self._threshold(given.get("at_least", common), line),
            where=f"{self.file}:{line}",
        )

    def _fails(self, written: Any, reply: str, line: int, promises: Sequence[str]) -> tuple[str, ...]:
        if written is None or written == NO_PROMISE:
            return ()
        if written == EVERY_PROMISE:
            return tuple(promises)
        if not isinstance(written, list) or not all(isinstance(name, str) for name in written):
            raise self.wrong(
                f"{reply}: fails must be a list of promises, `{EVERY_PROMISE}` or `{NO_PROMISE}`, found {written!r}",
                line,
            )
        for name in written:
            if name not in promises:
                known = f"it has {', '.join(promises)}" if promises else "it has no graders"
                hint = _did_you_mean(name, promises) or known
                raise self.wrong(f"{reply}: fails: {name!r} is no promise of the task; {hint}", line)
        return tuple(written)

    def _threshold(self, written: Any, line: int) -> float:
        if isinstance(written, bool) or not isinstance(written, int | float) or not 0 < written <= 1:
            raise self.wrong(f"at_least must be a number above 0 and up to 1, found {written!r}", line)
        return float(written)


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _did_you_mean(name: Any, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else ""
