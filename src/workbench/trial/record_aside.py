"""Nothing that was recorded is overwritten by something else: the one rule of every way in which a record is left.

A folder whose record is of this very plan is brought up to date in place: what failed may be answered now, and what
judges said may have come. The record of another plan, and one that holds an agent, a task, a reply or a judgement that
the new one has not, is moved beside the folder first, with its report and the executed notebook that left it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from workbench.definition.project import RECORD_FILE
from workbench.definition.there import bytes_in
from workbench.trial.record_files import (
    AGENTS,
    FOLLOW_UPS,
    JUDGED,
    RECORD_PARTS,
    TASKS,
    TRIALS,
    all_files,
    on_disk,
    own_files,
)

REPORT_FOLDER = "report"
"""In the folder of a record, where its report is left unless another folder is named."""
HASH_OF_LINE = re.compile(rb', "sha256": "[0-9a-f]{64}"\}$')
"""The end of a line; what is before it, and the brace, is what its hash is of."""
_LEFT = "%Y-%m-%dT%H%M%SZ"
_ASIDE = re.compile(r"-(\d{4}-\d\d-\d\dT\d{6}Z(?:-\d+)?)\Z")
_PLANNED = ("variant", "task", "repeat", "twin", "key")
"""What tells a trial from every other."""


def folder_aside(folder: Path, *, left_as: Path, holding: Iterable[str] = ()) -> Path:
    """A folder beside this one that is not there yet, called by the moment at which the file `left_as` was written; or
    the one that has all that is there of what is to be put aside, for whoever did it was killed before it was removed
    here.

    In a folder whose neighbours cannot be written, as where a volume begins, it is inside.
    """
    left = datetime.fromtimestamp(left_as.stat().st_mtime, UTC).strftime(_LEFT)
    real = folder.resolve()
    around = real.parent if os.access(real.parent, os.W_OK | os.X_OK) else real
    names = (around / f"{real.name}-{left}{f'-{number}' if number else ''}" for number in count())
    there = {path.relative_to(folder): path for path in all_files(folder, holding)}
    return next(name for name in names if not os.path.lexists(name) or _is_moved(name, there))


def _is_moved(aside: Path, files: Mapping[Path, Path]) -> bool:
    """Whether this is a folder of its own, and no link, that has all of what there is of these files."""
    return bool(files) and not aside.is_symlink() and _has(aside, files)


def _has(aside: Path, files: Mapping[Path, Path]) -> bool:
    """Whether each of these files, by name, is there too, with the same bytes, and not by a link that leads back."""
    real = Path(os.path.realpath(aside))  # of links in a circle, too
    return all(
        os.path.realpath(aside / name) == str(real / name)
        and (aside / name).is_file()
        and path.is_file()
        and bytes_in(aside / name) == bytes_in(path)
        for name, path in files.items()
    )


def of_which(name: str) -> tuple[str, str]:
    """What a folder is called that was moved aside, and when its record was left; of any other its name, and ""."""
    found = _ASIDE.search(name)
    return (name, "") if found is None else (name[: found.start()], found[1])


def save_aside(folder: Path, names: Iterable[str], aside: Path) -> None:
    """Copies what is there of these files and folders into the folder `aside`, which appears with all of it; where it
    is there, what it has not. Remove them (`remove_files`) only then: at no moment is a record in two halves.

    Raises:
        OSError: they cannot be copied; nothing is changed.
    """
    part = aside.with_name(f".{aside.name}.part")
    if part.is_symlink():
        part.unlink()
    elif part.exists():
        shutil.rmtree(part)  # of one who was killed
    try:
        for name in dict.fromkeys(names):
            files = {path.relative_to(folder): path for path in all_files(folder, [name])}
            if os.path.lexists(folder / name) and not (files and _has(aside, files)):
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                _copy(folder / name, part / name)
        if not aside.exists():
            part.rename(aside)
        elif part.exists():
            for path in part.iterdir():
                path.rename(_free(aside / path.name))
    finally:
        shutil.rmtree(part, ignore_errors=True)
    on_disk(aside.parent)


def _copy(path: Path, target: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.copytree(path, target, symlinks=True, copy_function=_link)
    else:
        _link(path, target)


def _link(source: str | Path, to: str | Path) -> None:
    """A second name for the file, which costs nothing; a copy on another volume, and where there are no such names."""
    target = Path(to)
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)
        if not target.is_symlink():
            on_disk(target)


def _free(path: Path) -> Path:
    """The path, or the first with a number that is free: what is there is somebody's."""
    names = (path.with_name(f"{path.stem}{f'-{number}' if number else ''}{path.suffix}") for number in count())
    return next(name for name in names if not os.path.lexists(name))


def would_be_lost(folder: Path, written: Mapping[str, bytes]) -> bool:
    """Whether a record in this folder is of another plan than the record of these files (by name, as they will be
    written), or holds what that one has not; or a file of somebody else's is in the place of one of them.

    One that was not written to its end is of no plan: it is lost if it has trials.
    """
    own = own_files(folder)
    if own is None:
        return any(os.path.lexists(folder / name) for name in RECORD_PARTS if name != RECORD_FILE)
    if any(os.path.lexists(folder / name) for name in written.keys() - set(own)):
        return True
    try:
        found = {name: bytes_in(folder / name, follow_links=False) for name in own if name != RECORD_FILE}
        agents = {content for name, content in found.items() if name.startswith(f"{AGENTS}/")}
        if not agents <= set(written.values()) or not _lines(found[TASKS]) <= _lines(written[TASKS]):
            return True
        if _planned(found[TRIALS]) != _planned(written[TRIALS]):
            return True
        said = (_said(content) <= _said(written.get(name, b"")) for name, content in found.items() if _is_said(name))
        return not all(said)
    except (OSError, ValueError, KeyError, TypeError):  # what cannot be read is not known to be ours
        return True


def _is_said(name: str) -> bool:
    return name in (TRIALS, FOLLOW_UPS) or name.startswith(f"{JUDGED}/")


def _lines(content: bytes) -> set[bytes]:
    return {HASH_OF_LINE.sub(b"}", line) for line in content.split(b"\n") if line}


def _values(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.split(b"\n") if line]


def _planned(content: bytes) -> set[tuple[Any, ...]]:
    return {tuple(value[name] for name in _PLANNED) for value in _values(content)}


def _said(content: bytes) -> set[tuple[Any, ...]]:
    """What was answered, and to what."""
    answered = [value for value in _values(content) if value["reply"] is not None]
    return {(*(value[name] for name in _PLANNED), json.dumps(value["reply"], sort_keys=True)) for value in answered}
