"""One writer a folder: two runs into one would leave the notebook of one beside the record of the other."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.definition.project import write_folder
from workbench.definition.there import text_in
from workbench.errors import FolderInUse

LOCK_FILE = ".workbench-running"
"""In a folder that is being written to; says by whom. The lock ends with its process, the file at its next use."""

_log = logging.getLogger(__name__)


@contextmanager
def only_writer(folder: Path, *, of: str) -> Iterator[None]:
    """Keeps the folder, which is written (`write_folder`) if it is not there, for this run of `of`, a notebook or
    a plan.

    Other processes are kept out, and other threads of this one. On Windows, which has no such locks, nobody is; a file
    system without them is said.

    Raises:
        FolderInUse: another run writes to it; says which.
        OSError: the folder cannot be written.
    """
    write_folder(folder)
    if sys.platform == "win32":
        yield
        return
    path = folder / LOCK_FILE
    file = _locked(path)
    try:
        os.truncate(file, 0)
        os.pwrite(file, json.dumps({"of": of, "process": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def _locked(path: Path) -> int:
    """The open file, locked."""
    import fcntl

    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise FolderInUse(_who(path), path=path.parent) from None
        except OSError as error:
            _log.warning("%s cannot be kept for one run: %s", path.parent, error.strerror)
            return file
        # Whoever held the lock may have removed the file after we opened it: then ours is a lock on nothing.
        if _is_still(path, file):
            return file
        os.close(file)


def _is_still(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _who(path: Path) -> str:
    try:
        found = json.loads(text_in(path))
        who = f"{found['of']} (process {found['process']} on {found['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        who = "another run"  # it has the lock, and has not yet written who it is, or has just ended
    return f"{who} writes to this folder; wait for its end, or give another folder"
