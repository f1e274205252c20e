"""What a batch notes in its folder: whose budget it is, and whether it came to its end."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from workbench.definition.there import text_in
from workbench.headless.notebook_files import write_whole

STATE_FILE = "batch.json"
"""With a budget, the only file there that two equal batches do not share."""


def begin_batch(folder: Path, *, has_budget: bool, go_on: bool) -> str | None:
    """Notes that a batch was begun, and gives the name of its budget, which is kept while it goes on: one that begins
    anew has its whole budget. `None`: it has none."""
    before = _state(folder) if go_on else {}
    scope = (before.get("budget_scope") or f"batch {uuid.uuid4().hex}") if has_budget else None
    _write(folder, scope, ended=False)
    return scope


def end_batch(folder: Path) -> None:
    """Notes that every notebook was run or refused, whatever became of it."""
    _write(folder, _state(folder).get("budget_scope"), ended=True)


def has_not_ended(folder: Path) -> bool:
    """Whether a batch was begun in this folder and was stopped."""
    return _state(folder).get("ended") is False


def _write(folder: Path, scope: str | None, *, ended: bool) -> None:
    named = {} if scope is None else {"budget_scope": scope}
    write_whole(folder / STATE_FILE, json.dumps({**named, "ended": ended}) + "\n")


def _state(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads(text_in(folder / STATE_FILE))
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}
