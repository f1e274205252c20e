"""The files of a record, put into its folder so that a reader finds the old record or the new one, whatever ends it.

    old record --write_waiting--> the same, and `.record-part` --all of it is on disk: renamed--> `.record-new`
               --save_waiting: each file takes its place, `run.json` last--> new record

Until the folder is renamed, nothing of the old record is touched. From then on the new one counts: a file of it is read
where it still waits (`file_of_record`), and whoever writes next first finishes what was begun.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from workbench.definition.project import RECORD_FILE, write_folder
from workbench.definition.replacing import alone_in
from workbench.definition.there import bytes_in
from workbench.errors import RecordError

TRIALS, TASKS, FOLLOW_UPS = "trials.jsonl", "tasks.jsonl", "follow_ups.jsonl"
AGENTS, SYSTEMS, JUDGED = "agents", "systems", "judged"
RECORD_PARTS = (AGENTS, SYSTEMS, TASKS, TRIALS, FOLLOW_UPS, JUDGED, RECORD_FILE)
"""What a record has: two folders or three, two files or three, and what says of what run they are. That is the last to
be written and to be removed: without it the others are taken for somebody else's."""
_FOLDERS = (AGENTS, SYSTEMS, JUDGED)
_PART, _NEW = ".record-part", ".record-new"
_WAITING_RECORD_FILE = "about.json"
"""What `run.json` is called while it waits: whoever looks for records by that name finds the one in its place."""
_IN_FOLDER = re.compile(rf"(?:{'|'.join(_FOLDERS)})/[\w-][^/\\]*")
_UNLISTED_SYSTEM = re.compile(rf"{SYSTEMS}/[0-9a-f]{{16}}\.txt")


def file_of_record(folder: Path, name: str) -> Path:
    """Where this file of a record lies: in the folder, or where it waits for its place."""
    waiting = folder / _NEW / (_WAITING_RECORD_FILE if name == RECORD_FILE else name)
    return waiting if os.path.lexists(waiting) else folder / name


def own_files(folder: Path) -> tuple[str, ...] | None:
    """The names of the files that the `run.json` in this folder lists, itself the last; `None`: it lists none, as that
    of a record which was not written to its end. All others are somebody else's.

    A record may be from anybody: of what it lists only that counts which a record can have.
    """
    try:
        about = json.loads(bytes_in(folder / RECORD_FILE))
        listed = {TASKS, TRIALS, *(variant["file"] for variant in about["variants"]), *_listed(about, folder)}
        own = {name for name in listed if name in (TASKS, TRIALS, FOLLOW_UPS) or _IN_FOLDER.fullmatch(name)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return (*sorted(own), RECORD_FILE)


def _listed(about: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Beside tasks, trials and agents; of a record of before, which does not list all, what it may have."""
    if "files" in about:
        yield from about["files"]
        return
    if (folder / FOLLOW_UPS).exists():
        yield FOLLOW_UPS
    names = (path.relative_to(folder).as_posix() for path in folder.glob(f"{SYSTEMS}/*.txt"))
    yield from about.get("systems") or (name for name in names if _UNLISTED_SYSTEM.fullmatch(name))


@contextmanager
def write_alone(folder: Path) -> Iterator[None]:
    """While nobody else writes a record into this folder, which is made, and in which one can be: what an earlier one
    left half done is finished.

    Raises:
        RecordError: the folder cannot be written, or holds files of these names that are not a record's.
    """
    try:
        write_folder(folder)
        with alone_in(folder):
            save_waiting(folder)
            _refuse_files_of_others(folder)
            yield
    except OSError as error:
        raise RecordError(f"the record cannot be written: {error.strerror}", path=folder) from error


def write_record_folder(folder: Path) -> None:
    """Makes the folder of a record, and passes where one can be written into it: to find out before anything is asked
    for.

    Raises:
        RecordError: as `export_record`.
    """
    with write_alone(folder):
        write_waiting(folder, {RECORD_FILE: b""})
        _remove_waiting(folder)


def _refuse_files_of_others(folder: Path) -> None:
    if (link := next((name for name in RECORD_PARTS if (folder / name).is_symlink()), None)) is not None:
        raise RecordError(
            f"has the link {link!r} in the place of a part of the record; remove it or name another folder, so that "
            "nothing is written where it leads to",
            path=folder,
        )
    found = [name for name in RECORD_PARTS if (folder / name).exists()]
    if found and not _is_record(folder):
        raise RecordError(
            f"holds {found[0]!r}, but no record of a run; name another folder, so that nothing there is overwritten",
            path=folder,
        )


def _is_record(folder: Path) -> bool:
    """Whether the `run.json` in this folder is that of a record, be it damaged or not written to its end."""
    try:
        about = json.loads(bytes_in(folder / RECORD_FILE))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(about, dict) and "format" in about


def write_waiting(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes these files of a record, by name, `run.json` among them, beside what the folder holds.

    Raises:
        OSError: they cannot be written; nothing of them is left.
    """
    part = folder / _PART
    _remove_waiting(folder)  # of an export that was killed
    try:
        for name, content in files.items():
            path = part / (_WAITING_RECORD_FILE if name == RECORD_FILE else name)
            write_folder(path.parent)
            with path.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path in (*part.iterdir(), part):
            if path.is_dir():
                on_disk(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _remove_waiting(folder: Path) -> None:
    """Removes what was written and has not come to count."""
    if (folder / _PART).exists():
        shutil.rmtree(folder / _PART)


def save_waiting(folder: Path, *, written: bool = False) -> None:
    """Puts what waits in this folder into its place, where something does; what was just `written`, too.

    What the record of before lists, and the new one has not, is removed; nothing else is.

    Raises:
        OSError: it cannot be done now; the new record can be read nevertheless, once it was counted as written.
    """
    waiting = folder / _NEW
    if written:
        (folder / _PART).rename(waiting)
        on_disk(folder)
    if not waiting.is_dir():
        return
    files = [path for path in waiting.rglob("*") if path.is_file()]
    names = {path.relative_to(waiting).as_posix() for path in files}
    if _WAITING_RECORD_FILE in names:  # the last to take its place
        stale = {name for name in own_files(folder) or () if name not in (RECORD_FILE, *_new_files(waiting))}
        remove_files(folder, stale)
        for name in sorted(names - {_WAITING_RECORD_FILE}):
            write_folder((folder / name).parent)
            (waiting / name).replace(folder / name)
        for name in _FOLDERS:
            if (folder / name).is_dir():
                on_disk(folder / name)
        (waiting / _WAITING_RECORD_FILE).replace(folder / RECORD_FILE)
    shutil.rmtree(waiting)
    on_disk(folder)


def _new_files(waiting: Path) -> set[str]:
    """What the record that waits has, those files too that took their places before its export was killed."""
    return set(json.loads(bytes_in(waiting / _WAITING_RECORD_FILE))["files"])


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Removes what is there of these files and folders, in this order, and the folders of a record that are empty then.
    Never through a link: of one the link is removed."""
    for path in [folder / name for name in names]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for name in _FOLDERS:
        with suppress(OSError):  # it is not there, or somebody has files of their own in it
            (folder / name).rmdir()


def on_disk(path: Path) -> None:
    """Returns when what was written into this folder, or file, would outlast a power cut; Windows has no such thing for
    folders."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def all_files(folder: Path, names: Iterable[str]) -> list[Path]:
    """The files of these names in a folder, and those in the folders of these names; no link is followed."""
    paths = [folder / name for name in names]
    folders = [path for path in paths if not path.is_symlink()]
    inside = (Path(where) / file for path in folders for where, _, found in os.walk(path) for file in found)
    return [path for path in chain(paths, inside) if path.is_symlink() or path.is_file()]
