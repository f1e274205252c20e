"""Drafts on disk: what was typed into an editor and not saved outlives the kernel and the page."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench.definition.project import project_folder, write_folder
from workbench.definition.there import text_in
from workbench.errors import AgentFileError

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class KeptDraft:
    """A draft that was kept. Its texts are exact: a byte that is not UTF-8 is a lone surrogate."""

    base: str
    """The text of the file on which the draft was made."""
    text: str
    at: str
    """When it was kept, ISO 8601 in UTC."""


def draft_path(agent_path: Path) -> Path:
    """Where the draft of this agent file is kept: `outputs/drafts` of the project of the working directory."""
    real = agent_path.resolve()
    digest = hashlib.sha256(str(real).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return project_folder() / "outputs" / "drafts" / f"{real.stem}-{digest}.json"


def save_draft(path: Path, *, base: str, text: str) -> None:
    """Keeps a draft at its `draft_path`, in place of the one before.

    Raises:
        AgentFileError: it cannot be written.
    """
    kept = {"format": _FORMAT, "at": datetime.now(UTC).isoformat(timespec="seconds"), "base": base, "text": text}
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        write_folder(path.parent)
        try:
            new.write_text(json.dumps(kept), encoding="ascii")
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise AgentFileError(f"the draft cannot be kept on disk: {error.strerror}", path=path) from error


def load_draft(path: Path) -> KeptDraft | None:
    """The draft that was kept at this `draft_path`; `None` where there is none.

    Raises:
        AgentFileError: there is one, but it cannot be read.
    """
    try:
        kept = json.loads(text_in(path, encoding="ascii"))
        if kept["format"] != _FORMAT:
            raise AgentFileError("a draft was kept there by another version of the workbench", path=path)
        return KeptDraft(base=str(kept["base"]), text=str(kept["text"]), at=str(kept["at"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AgentFileError(f"a draft was kept there, but it cannot be read: {error.strerror}", path=path) from error
    except (ValueError, KeyError, TypeError) as error:
        raise AgentFileError(
            "a draft was kept there, but the file is damaged; look into it, then remove it", path=path
        ) from error


def set_draft_aside(path: Path) -> None:
    """Moves the draft at this `draft_path`, if there is one, to a name of its own, which the next one does not take.

    Raises:
        AgentFileError: it cannot be moved.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.stem}.{stamp}-{secrets.token_hex(2)}.json")
    try:
        path.replace(aside)
    except FileNotFoundError:
        return
    except OSError as error:
        raise AgentFileError(f"the earlier draft cannot be moved: {error.strerror}", path=path) from error


def remove_draft(path: Path) -> None:
    """Removes the draft at this `draft_path`, if there is one.

    Raises:
        AgentFileError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise AgentFileError(f"the draft cannot be removed: {error.strerror}", path=path) from error
