"""How a path is told to whoever reads it: relative to where they stand where it is below that, else absolute."""

from __future__ import annotations

import os
from pathlib import Path

STANDS_IN = "workbench.stands_in"
"""By this name, where whoever called a command stands, in the context of a command that works in another folder."""


def seen_from(folder: str | Path, path: str | Path) -> str:
    """The path as `folder` sees it where it is below it, with slashes; else absolute."""
    as_named = _without_dots(path)
    for start, found in ((_without_dots(folder), as_named), (Path(folder).resolve(), Path(path).resolve())):
        if found.is_relative_to(start):  # a link is told by its own name, where that is below
            return found.relative_to(start).as_posix()
    return as_named.as_posix()


def seen_from_here(path: str | Path) -> Path:
    """The path as the working directory sees it; as it is where that is gone."""
    try:
        return Path(seen_from(Path.cwd(), path))
    except FileNotFoundError:
        return Path(path)


def _without_dots(path: str | Path) -> Path:
    """Absolute, with links as they are named."""
    return Path(os.path.normpath(Path(path).absolute()))
