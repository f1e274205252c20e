"""Captured requests of the Claude Code program: where they are kept, and how a request of ours is put into one.

They are the program's own texts, so they stay in the cache folder of the user on whose machine the program made them.
A ledger, a record or a report names one by its hash (`trial.Frame`).
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.definition.there import bytes_in
from workbench.errors import SetupError
from workbench.trial.trial import Frame, Request

PROMPT_MARK = "workbench-mark-of-the-prompt"
"""Stands in a captured request where the user's words go."""
LISTING_MARK = "workbench-mark-of-the-listing"
"""Stands in it where the agents are listed."""
BUILT_IN = "(built in)"
"""`- NAME: (built in)` is a line of a list of agents in whose place the program's own line for that agent goes."""
CACHE_VARIABLE = "WORKBENCH_CACHE"
_OWN = 0o600


@dataclass(frozen=True, kw_only=True)
class CapturedFrame:
    """A request of the program with marks for what is put into it."""

    program: str
    """ "claude-code 2.1.332"."""
    model: str
    effort: str | None
    headers: Mapping[str, str]
    """Of the request, those that say how it is to be read; none that says who asks."""
    built_in: Mapping[str, str]
    """By name of an agent that the program brings along, its entry in the list, in the list's order."""
    body: Mapping[str, Any]

    def body_of(self, request: Request) -> dict[str, Any]:
        """The JSON body in which this request is sent: what the user says and the list of agents at their marks."""
        said = "\n\n".join(_text_of(message["content"]) for message in request.messages if message["role"] == "user")
        listing = "\n".join(self._entry(line) for line in request.system.split("\n"))
        body = _replaced(self.body, {PROMPT_MARK: said, LISTING_MARK: listing})
        assert isinstance(body, dict)
        settings = {"effort": request.effort} if request.effort is not None else None
        return _with_effort(body, settings) | {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "stream": True,
        }

    def _entry(self, line: str) -> str:
        name = line.removeprefix("- ").removesuffix(f": {BUILT_IN}")
        is_built_in = line == f"- {name}: {BUILT_IN}"
        return self.built_in.get(name, line) if is_built_in else line


def cache_folder() -> Path:
    """Where captured requests are kept: `WORKBENCH_CACHE`, or else the user's own cache folder."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "agent-workbench"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "agent-workbench"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agent-workbench"


def save_frame(captured: CapturedFrame, *, program_key: str) -> Frame:
    """Keeps a captured request for this user alone, and gives its name.

    Raises:
        SetupError: the cache folder cannot be written.
    """
    content = json.dumps(asdict(captured), sort_keys=True, ensure_ascii=False).encode()
    frame = _frame_of(captured, content)
    folder = cache_folder() / "frames"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{_key(program_key, captured.model, captured.effort)}-{frame.sha256}.json"
        written = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(written, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, _OWN), "wb") as file:
            file.write(content)
        written.replace(path)
    except OSError as error:
        raise SetupError(
            f"what the program asks cannot be kept in {folder}: {error.strerror}; name another with {CACHE_VARIABLE}"
        ) from error
    return frame


def find_frame(*, program_key: str, model: str, effort: str | None) -> Frame | None:
    """The name of what this program was captured to ask for this model and effort; `None`: not captured yet."""
    found = sorted((cache_folder() / "frames").glob(f"{_key(program_key, model, effort)}-*.json"))
    for path in found:
        content = bytes_in(path)
        if hashlib.sha256(content).hexdigest() in path.name:  # else it was changed, and is captured anew
            return _frame_of(CapturedFrame(**json.loads(content)), content)
    return None


def load_frame(frame: Frame) -> CapturedFrame:
    """The captured request of this name.

    Raises:
        SetupError: it is not on this machine.
    """
    return _loaded(cache_folder() / "frames", frame.sha256)


@lru_cache(maxsize=16)
def _loaded(folder: Path, sha256: str) -> CapturedFrame:
    found = sorted(folder.glob(f"*-{sha256}.json"))
    content = bytes_in(found[0]) if found else b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise SetupError(
            f"the captured request {sha256[:12]} is not in {folder}: it stays on the machine on which it was made. "
            "Replay the run from its ledger or record, or route anew"
        )
    return CapturedFrame(**json.loads(content))


def _frame_of(captured: CapturedFrame, content: bytes) -> Frame:
    body = json.dumps(captured.body, ensure_ascii=False).encode()
    return Frame(program=captured.program, sha256=hashlib.sha256(content).hexdigest(), size=len(body))


def _key(program_key: str, model: str, effort: str | None) -> str:
    return hashlib.sha256(json.dumps([program_key, model, effort]).encode()).hexdigest()[:16]


def _text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _replaced(value: Any, by_mark: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        # In one pass over the marks of the frame: what is put in may itself look like a mark.
        pieces = [value]
        for mark, text in by_mark.items():
            if mark in value:
                pieces = value.split(mark)
                return text.join(pieces)
        return value
    if isinstance(value, list):
        return [_replaced(each, by_mark) for each in value]
    if isinstance(value, dict):
        return {name: _replaced(each, by_mark) for name, each in value.items()}
    return value


def _with_effort(body: dict[str, Any], settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """The program says the effort at two places: for the request, and with its message on the agents."""
    if settings is None:
        return body
    messages = [
        {**message, "output_config": {**message["output_config"], **settings}}
        if "output_config" in message
        else message
        for message in body["messages"]
    ]
    return {**body, "messages": messages, "output_config": {**body.get("output_config", {}), **settings}}
