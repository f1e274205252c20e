"""Nothing that was recorded is overwritten by something else: the one rule of every way in which a record is left.

A folder whose record is of this very plan is brought up to date in place: what failed may be answered now, and what
judges said may have come. The record of another plan, and one that holds an agent, a task, a reply or a judgement that
the new one has not, is moved beside the folder first, with its report and the executed notebook that left it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from workbench.definition.project import RECORD_FILE, write_folder

REPORT_FOLDER = "report"
"""In the folder of a record, where its report is left unless another folder is named."""
TRIALS, TASKS, FOLLOW_UPS, JUDGED, AGENTS = "trials.jsonl", "tasks.jsonl", "follow_ups.jsonl", "judged", "agents"
"""What a record has beside `run.json` and the system prompts: two files, what may be a third, and two folders."""
RECORD_PARTS = (RECORD_FILE, AGENTS, "systems", TASKS, TRIALS, FOLLOW_UPS, JUDGED)
HASH_OF_LINE = re.compile(rb', "sha256": "[0-9a-f]{64}"\}$')
"""The end of a line; what is before it, and the brace, is what its hash is of."""
_LEFT = "%Y-%m-%dT%H%M%SZ"
_ASIDE = re.compile(r"-(\d{4}-\d\d-\d\dT\d{6}Z(?:-\d+)?)\Z")
_PLANNED = ("variant", "task", "repeat", "twin", "key")
"""What tells a trial from every other."""


def folder_aside(folder: Path, *, left_as: Path) -> Path:
    """A folder beside this one that is not there yet, called by the moment at which the file `left_as` was written."""
    left = datetime.fromtimestamp(left_as.stat().st_mtime, UTC).strftime(_LEFT)
    real = folder.resolve()
    names = (real.with_name(f"{real.name}-{left}{f'-{number}' if number else ''}") for number in count())
    return next(name for name in names if not name.exists())


def of_which(name: str) -> tuple[str, str]:
    """What a folder is called that was moved aside, and when its record was left; of any other its name, and ""."""
    found = _ASIDE.search(name)
    return (name, "") if found is None else (name[: found.start()], found[1])


def save_aside(folder: Path, names: Iterable[str], aside: Path) -> None:
    """Moves what is there of these names into the folder `aside`, which is made.

    Raises:
        OSError: it cannot be moved.
    """
    write_folder(aside)
    for name in names:
        if (folder / name).exists():
            (folder / name).rename(aside / name)


def would_be_lost(folder: Path, written: Mapping[str, bytes]) -> bool:
    """Whether a record in this folder is of another plan than the record of these files (by name, as they will be
    written), or holds what that one has not.

    One that was not written to its end is of no plan, and holds nothing that its run does not.
    """
    try:
        about = json.loads((folder / RECORD_FILE).read_bytes())
        if "variants" not in about:
            return False
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(folder)}
        agents = {content for name, content in found.items() if name.startswith(f"{AGENTS}/")}
        if not agents <= set(written.values()) or not _lines(found[TASKS]) <= _lines(written[TASKS]):
            return True
        if _planned(found[TRIALS]) != _planned(written[TRIALS]):
            return True
        said = (_said(content) <= _said(written.get(name, b"")) for name, content in found.items() if _is_said(name))
        return not all(said)
    except FileNotFoundError:
        return (folder / RECORD_FILE).exists()
    except (OSError, ValueError, KeyError, TypeError):  # what cannot be read is not known to be ours
        return True


def _files(folder: Path) -> list[Path]:
    patterns = (f"{AGENTS}/*.md", TASKS, TRIALS, FOLLOW_UPS, f"{JUDGED}/*.jsonl")
    return [path for pattern in patterns for path in folder.glob(pattern)]


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
