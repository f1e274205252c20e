"""Putting new bytes into the place of a file: in one step, one at a time, and with all that the file has beside them.

The new bytes are written beside the file and then take its name, so that whoever reads finds the old ones or the new
ones. Where that would lose something (an owner whom only the administrator may give a file, a second name of the file),
the bytes in the file itself are overwritten, and put back should that fail.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from workbench.definition.there import bytes_in

_fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None

LONGEST_WAIT_SECONDS = 10.0
"""How long one waits for another to finish."""

IS_THERE = "is there already; name another file, or move it away"
"""What is said where a file is to be made and something is in its place: nothing of a user's is written over."""

_BETWEEN_TRIES_SECONDS = 0.01
_NO_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems say that do not lock folders."""
_NOT_FOR_US = (errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Why a file cannot be given an owner or an attribute by this user or on this file system."""


@contextlib.contextmanager
def alone_in(folder: Path, *, longest_wait_seconds: float = LONGEST_WAIT_SECONDS) -> Iterator[None]:
    """While this holds, nobody else is alone in the folder: no other thread, and no other process of this computer.

    The folder itself is locked, so that nothing is left in it, whatever ends the process. Windows, some network file
    systems, and a folder that may not be read or is not there, cannot be locked; `replace_file` still looks at the file
    once more just before it takes its place.

    Raises:
        OSError: somebody else stays in the folder for longer than `longest_wait_seconds`.
    """
    if _fcntl is None or not os.access(folder, os.R_OK):
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    until = time.monotonic() + longest_wait_seconds
    try:
        while True:
            try:
                _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise OSError(errno.EBUSY, "another process has been saving in its folder for long") from None
                time.sleep(_BETWEEN_TRIES_SECONDS)
                continue
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
            break
        yield
    finally:
        os.close(descriptor)  # which ends the lock too


def write_whole(path: Path, data: bytes) -> None:
    """Makes or replaces a file, in one step and alone in its folder, which is made too.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    from workbench.definition.project import write_folder  # who only reads agent files needs none

    write_folder(path.parent)
    real = path.resolve()
    with alone_in(real.parent):
        old = bytes_in(real) if real.exists() else None
        if old != data:
            replace_file(real, data, old=old)


def write_new(path: Path, data: bytes) -> None:
    """Makes a file, in one step and alone in its folder, which is made too. One that has these very bytes stays.

    Raises:
        FileExistsError: something else is there; it stays.
        OSError: it cannot be written.
    """
    from workbench.definition.project import write_folder

    write_folder(path.parent)
    with alone_in(path.parent):
        if not os.path.lexists(path):
            replace_file(path, data, old=None)
        elif not (path.is_file() and bytes_in(path) == data):
            raise FileExistsError(errno.EEXIST, IS_THERE)


def write_after_moving(path: Path, data: bytes) -> Path | None:
    """Makes a file, as `write_new` does, and moves what was there to the first free of NAME-1, NAME-2, ...: its path;
    `None`: there was nothing else.

    Raises:
        OSError: it cannot be moved or written.
    """
    moved = None
    with alone_in(path.parent):
        if os.path.lexists(path) and not (path.is_file() and bytes_in(path) == data):
            names = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(1))
            moved = next(name for name in names if not os.path.lexists(name))
            path.rename(moved)
    write_new(path, data)
    return moved


def replace_file(path: Path, data: bytes, *, old: bytes | None) -> None:
    """Puts the bytes in the place of the file. Raises `OSError`; else the old ones stay.

    Args:
        old: what the file holds; `None`: there is none.
    """
    if old is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected")
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        keeps_all = old is None or _takes_over(draft, path)
        if bytes_in(draft) != data:
            raise OSError("what was written does not read back")
        if (bytes_in(path) if path.exists() else None) != old:
            raise OSError("the file changed while it was being saved")
        if keeps_all or old is None:
            draft.replace(path)
        else:
            _overwrite(path, data, old)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()


def _takes_over(draft: Path, path: Path) -> bool:
    """Whether the draft now has all that the file has beside its bytes and its one name."""
    before, now = path.stat(), draft.stat()
    if before.st_nlink > 1:
        return False
    try:
        if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
            os.chown(draft, before.st_uid, before.st_gid)
        draft.chmod(stat.S_IMODE(before.st_mode))
        wanted = _attributes(path)
        for name, value in wanted.items():
            if _attributes(draft).get(name) != value:
                os.setxattr(draft, name, value)
    except OSError as error:
        if error.errno in _NOT_FOR_US:
            return False
        raise
    return True


def _attributes(path: Path) -> dict[str, bytes]:
    """The extended attributes of a file, access lists among them; none where there is no such thing."""
    if not hasattr(os, "listxattr"):
        return {}
    try:
        return {name: os.getxattr(path, name) for name in os.listxattr(path)}
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EOPNOTSUPP):
            return {}
        raise


def _overwrite(path: Path, data: bytes, old: bytes) -> None:
    """Writes over the bytes of a file that has to stay the very file it is."""
    with path.open("r+b") as file:
        try:
            _write_all(file.fileno(), data)
        except OSError:
            _write_all(file.fileno(), old)
            raise


def _write_all(descriptor: int, data: bytes) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.ftruncate(descriptor, len(data))
    os.fsync(descriptor)
