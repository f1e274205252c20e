"""A workbench that has one line more than this one: what is declared once, a copy of the source with one line shows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import workbench

SOURCE = Path(workbench.__file__).parent


def walk_with(line: str, walk: str, *, file: str, before: str, folder: Path) -> dict[str, Any]:
    """What the program `walk` prints, one JSON object, where `line` stands in `file` before the text `before`.

    Raises:
        AssertionError: that text is not there once, or the program failed; says what it printed.
    """
    copy = folder / "src" / "workbench"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    table = copy / file
    text = table.read_text(encoding="utf-8")
    assert text.count(before) == 1
    table.write_text(text.replace(before, line + before), encoding="utf-8")
    (folder / "pyproject.toml").touch()
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(folder / 'src')!r}, {str(Path.cwd())!r}]\n{walk}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
