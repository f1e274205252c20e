"""Whether a text that somebody typed names a file or a folder. What no file system takes as a name, as one of 300
characters or with a NUL, names none; nor does what may not be looked at."""

from __future__ import annotations

import errno
from pathlib import Path


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
