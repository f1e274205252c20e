"""How often a user talks to Claude Code in a project: said by the user, or counted in their own transcripts on request.

Transcripts are private: nothing of them is kept here but how many conversations there were, how many requests each took
and which model answered most.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from workbench.definition.project import project_folder
from workbench.errors import TaskFileError
from workbench.markup import counted
from workbench.trial.defaults import CONVERSATIONS_A_DAY, DAYS_COUNTED
from workbench.trial.transcripts import is_inside, lines_holding, transcript_folders

REQUESTS_EACH = 20


@dataclass(frozen=True, kw_only=True)
class Conversations:
    """How many conversations there are a day, each of which lists every agent in each of its requests."""

    a_day: float = CONVERSATIONS_A_DAY
    requests_each: float = REQUESTS_EACH
    model: str | None = None
    """Which answers; `None`: the default of a conversation."""
    source: str = "assumed"
    """Where the figures are from, in words."""


def count_conversations(
    project: str | Path | None = None, folder: str | Path | None = None, *, today: date | None = None
) -> Conversations:
    """What the user's own transcripts of this project say of the last `DAYS_COUNTED` days. They are read only when
    this is called. `folder` is another folder of transcripts, all of which are then counted.

    Raises:
        TaskFileError: there are no transcripts of these days.
    """
    home = project_folder() if project is None else Path(project).resolve()
    folders = [Path(folder).expanduser()] if folder is not None else transcript_folders(home)
    now = today or datetime.now(UTC).date()
    since = (now - timedelta(days=DAYS_COUNTED - 1)).isoformat()
    models: Counter[str] = Counter()
    days, requests, sessions = set(), 0, 0
    for path in (path for each in folders if each.is_dir() for path in sorted(each.glob("*.jsonl"))):
        found = _requests_of(path, None if folder is not None else home, since, now.isoformat())
        if found:
            sessions += 1
            requests += len(found)
            models.update(model for _, model in found.values())
            days.add(min(day for day, _ in found.values()))
    if not sessions:
        raise TaskFileError(
            f"no conversation of the last {DAYS_COUNTED} days is in these transcripts of Claude Code; say how many "
            "there are a day",
            path=folders[0],
        )
    span = (now - date.fromisoformat(min(days))).days + 1
    return Conversations(
        a_day=sessions / span,
        requests_each=requests / sessions,
        model=models.most_common(1)[0][0],
        source=f"counted: {counted(sessions, 'conversation')} in {counted(span, 'day')} of transcripts",
    )


def _requests_of(path: Path, project: Path | None, since: str, until: str) -> dict[str, tuple[str, str]]:
    """By request of the conversation's main model, its day and the model that answered."""
    found: dict[str, tuple[str, str]] = {}
    for line in lines_holding(path, '"assistant"'):
        message, cwd = line.get("message"), line.get("cwd")
        if line.get("type") != "assistant" or line.get("isSidechain") or not isinstance(message, dict):
            continue
        if project is not None and not is_inside(cwd if isinstance(cwd, str) else "", project):
            continue
        request, model, at = line.get("requestId") or message.get("id"), message.get("model"), line.get("timestamp")
        if not isinstance(request, str) or not isinstance(model, str) or not isinstance(at, str):
            continue
        # A name in angle brackets stands for what the program itself says in the model's place.
        if _is_day(at) and since <= at[:10] <= until and not model.startswith("<"):
            found.setdefault(request, (at[:10], model))
    return found


def _is_day(at: str) -> bool:
    try:
        date.fromisoformat(at[:10])
    except ValueError:
        return False
    return True
