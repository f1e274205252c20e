"""Whether a text that somebody typed names a file or a folder, and what is in a file. What no file system takes as a
name, as one of 300 characters or with a NUL, names none; nor does what may not be looked at. What lies in a user's
folders is read through here: a pipe of the name that is looked for would be waited for without an end."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link",
}
_HANDED_OVER = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")


def path_of(named: str | Path) -> Path:
    """The path, for whoever opens it next.

    Raises:
        OSError: it has a NUL, for which Python raises another error.
    """
    if "\0" in str(named):
        raise OSError(errno.EINVAL, "no file has a NUL character in its name")
    return Path(named)


def is_there(path: str | Path) -> bool:
    """Whether there is a file or a folder of this path."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def is_file_there(path: str | Path) -> bool:
    """Whether there is a file of this path."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder_there(path: str | Path) -> bool:
    """Whether there is a folder of this path."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def opened(named: str | Path, *, follow_links: bool = True) -> BinaryIO:
    """The file, open for reading: only one that lies on a disk. Whoever opens a pipe waits for its other end, and a
    device may never end. What the caller's own shell hands over, as `<(command)` does, is read to its end.

    Raises:
        OSError: it cannot be read, or is a pipe, a device, a socket or a folder; or a link, where none is followed.
    """
    path = path_of(named)
    if str(path).startswith(_HANDED_OVER):
        return path.open("rb")
    _refuse_other(path, path.stat(follow_symlinks=follow_links))
    # It may have become another thing since: this does not wait for the other end of a pipe either.
    wanted = ("O_NONBLOCK", "O_BINARY", *(() if follow_links else ("O_NOFOLLOW",)))
    descriptor = os.open(path, os.O_RDONLY | sum(getattr(os, name, 0) for name in wanted))
    try:
        _refuse_other(path, os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def bytes_in(named: str | Path, *, follow_links: bool = True) -> bytes:
    """The bytes of a file; raises as `opened`."""
    with opened(named, follow_links=follow_links) as file:
        return file.read()


def text_in(named: str | Path, *, encoding: str = "utf-8", errors: str = "strict") -> str:
    """The text of a file, its line ends as `\\n`; raises as `opened`, and `UnicodeDecodeError`."""
    with io.TextIOWrapper(opened(named), encoding=encoding, errors=errors) as file:
        return file.read()


def _refuse_other(path: Path, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, f"it is {_kind(found.st_mode)}", str(path))


def _kind(mode: int) -> str:
    return f"{_KINDS.get(stat.S_IFMT(mode), 'something else')} and no file"
