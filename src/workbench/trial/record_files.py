"""The files of a record, put into its folder so that a reader finds the old record or the new one, whatever ends it.

    old record --write_waiting--> the same, and `.record-part` --all of it is on disk: renamed--> `.record-new`
               --save_waiting: each file takes its place, `run.json` last--> new record

Until the folder is renamed, nothing of the old record is touched. From then on the new one counts: a file of it is read
where it still waits (`file_of_record`), and whoever writes next first finishes what was begun.

A folder may be from anybody. So nothing is done through a link, and what waits is finished only where it is what is
left of a whole record: each of its files is listed with its hash, and takes no place but that of a file of the record
before.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
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
_IN_FOLDER = re.compile(rf"(?:{'|'.join(_FOLDERS)})/([\w-][^/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]*)")
_LONGEST_NAME = 255
"""Bytes: file systems take no more."""
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
        about = json.loads(bytes_in(folder / RECORD_FILE, follow_links=False))
        listed = {TASKS, TRIALS, *(variant["file"] for variant in about["variants"]), *_listed(about, folder)}
        own = {name for name in listed if _is_of_a_record(name)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return (*sorted(own), RECORD_FILE)


def _is_of_a_record(name: str) -> bool:
    """Whether a record can have a file of this name, beside `run.json`."""
    found = _IN_FOLDER.fullmatch(name)
    return name in (TASKS, TRIALS, FOLLOW_UPS) or (found is not None and len(found[1].encode()) <= _LONGEST_NAME)


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
        RecordError: the folder cannot be written, or holds files of these names that are not a record's, or links.
    """
    try:
        write_folder(folder)
        with alone_in(folder):
            _refuse_links(folder)
            _refuse_half_a_record(folder)
            save_waiting(folder)
            _refuse_files_of_others(folder)
            yield
    except OSError as error:
        raise RecordError(f"the record cannot be written: {error.strerror or error}", path=folder) from error


def write_record_folder(folder: Path) -> None:
    """Makes the folder of a record, and passes where one can be written into it: to find out before anything is asked
    for.

    Raises:
        RecordError: as `export_record`.
    """
    with write_alone(folder):
        write_waiting(folder, {RECORD_FILE: b""})
        _remove_waiting(folder)


def _refuse_links(folder: Path) -> None:
    for name in (*RECORD_PARTS, _PART, _NEW):
        _refuse_link(folder, name)
    for name in (*_FOLDERS, _PART, _NEW):
        if (folder / name).exists() and not (folder / name).is_dir():
            raise RecordError(
                f"has a file {name!r} in the place of a folder; remove it or name another folder", path=folder
            )


def _refuse_link(folder: Path, name: str) -> None:
    if (folder / name).is_symlink():
        raise RecordError(
            f"has the link {name!r} in the place of a part of the record; remove it or name another folder, so that "
            "nothing is written where it leads to",
            path=folder,
        )


def _refuse_half_a_record(folder: Path) -> None:
    """Passes where nothing waits, or what an export leaves that was killed: a whole record, some files of which have
    taken their places, and which has the place of nothing but files of the record before."""
    waiting = _waiting_names(folder)
    if not waiting:
        return
    own, listed = own_files(folder) or (), _hashes_of_waiting(folder)
    for name in waiting:
        about = name == _WAITING_RECORD_FILE
        if not stat.S_ISREG((folder / _NEW / name).lstat().st_mode) or not (about or name in listed):
            raise _half(folder, f"{name!r} in it, which is no file of its record")
        if not about and name not in own and os.path.lexists(folder / name):
            raise _half(folder, f"would write over {name!r}, which is no file of the record here")
    for name, sha256 in listed.items():
        if not _has_hash(file_of_record(folder, name), sha256):
            raise _half(folder, f"of its record {name!r} is missing, or another file")


def _half(folder: Path, why: str) -> RecordError:
    return RecordError(
        f"holds {_NEW!r}, which is not what an export leaves that was ended in its midst: {why}; remove {_NEW!r} or "
        "name another folder",
        path=folder,
    )


def _waiting_names(folder: Path) -> list[str]:
    """What waits, whatever it is, but for the folders of a record, in which is what waits in them."""
    waiting = folder / _NEW
    found = [*waiting.iterdir()] if waiting.is_dir() else []
    folders = [path for path in found if path.name in _FOLDERS and path.is_dir() and not path.is_symlink()]
    inside = (path for each in folders for path in each.iterdir())
    return [path.relative_to(waiting).as_posix() for path in chain(found, inside) if path not in folders]


def _hashes_of_waiting(folder: Path) -> dict[str, str]:
    """By name, the hash of each file of the record that waits, but its `run.json`.

    Raises:
        RecordError: it does not say so, or lists what a record cannot have.
    """
    path = folder / _NEW / _WAITING_RECORD_FILE
    try:
        files = json.loads(bytes_in(path, follow_links=False))["files"]
        hashes = {name: about["sha256"] for name, about in files.items()}
        if {TASKS, TRIALS} <= hashes.keys() and all(map(_is_of_a_record, hashes)):
            return hashes
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _half(folder, f"{_WAITING_RECORD_FILE!r} in it cannot be read") from error
    raise _half(folder, f"{_WAITING_RECORD_FILE!r} in it lists no files of a record")


def _has_hash(path: Path, sha256: str) -> bool:
    """Whether this is a regular file of these bytes."""
    try:
        return hashlib.sha256(bytes_in(path, follow_links=False)).hexdigest() == sha256
    except OSError:
        return False


def _refuse_files_of_others(folder: Path) -> None:
    found = [name for name in RECORD_PARTS if (folder / name).exists()]
    if found and not _is_record(folder):
        raise RecordError(
            f"holds {found[0]!r}, but no record of a run; name another folder, so that nothing there is overwritten",
            path=folder,
        )


def _is_record(folder: Path) -> bool:
    """Whether the `run.json` in this folder is that of a record, be it damaged or not written to its end."""
    try:
        about = json.loads(bytes_in(folder / RECORD_FILE, follow_links=False))
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
    names = set(_waiting_names(folder))
    if _WAITING_RECORD_FILE in names:  # the last to take its place
        kept = {RECORD_FILE, *_new_files(waiting)}
        stale = [name for name in own_files(folder) or () if name not in kept]
        remove_files(folder, [name for name in stale if not (folder / name).is_dir()])  # a folder is somebody's
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
    return set(json.loads(bytes_in(waiting / _WAITING_RECORD_FILE, follow_links=False))["files"])


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Removes what is there of these files and folders, in this order, and the folders of a record that are empty then.
    Never through a link: of one the link is removed.

    Raises:
        RecordError: a folder on the way to one of them is a link.
        OSError: they cannot be removed.
    """
    for name in names:
        path = folder / name
        for above in path.relative_to(folder).parents:
            if above.parts:
                _refuse_link(folder, above.as_posix())
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
