"""Where a project begins, so that `agents/x.md` means the same file wherever a notebook was started."""

from __future__ import annotations

import os
from pathlib import Path

_MARKS = ("agents", ".git", "pyproject.toml")


def project_folder(start: str | Path | None = None) -> Path:
    """The nearest folder that holds `agents`, `.git` or `pyproject.toml`, from `start` upwards.

    `start` is the working directory unless given, and is the answer where no folder above has any of them.
    """
    folder = Path(start or ".").resolve()
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).exists() for mark in _MARKS):
            return candidate
    return folder


def enter_project() -> Path:
    """Makes the project folder the working directory, and returns it.

    JupyterLab starts a notebook in the notebook's own folder, papermill and `workbench run` where they were
    called. A notebook that begins with this reads and writes the same relative paths in all three.
    """
    folder = project_folder()
    os.chdir(folder)
    return folder
