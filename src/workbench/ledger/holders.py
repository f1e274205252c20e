"""Who wrote a row that lasts while its process is at work, and whether that process still is.

A row says until when it lasts, which its process moves on as long as it works. Time is told by one clock for all who
read and write: that of the server in PostgreSQL; in a file the machine's own count of its time since it was started,
which no setting of the wall clock moves, and which stands still for all of them together while the machine sleeps.
Where a system does not tell its starts apart, that count may begin anew between two who read it: there the wall clock
has a word too, but only by more than it is ever set by hand.

A row may be over before its time: where its process has ended for certain. A number alone does not tell that, for
another container counts processes anew, and a number is given again. So a row says in which namespace its process has
its number, and when it began. Whoever cannot tell (another machine, another namespace, a process that is hidden from
it) waits for the row's time.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

_PROCESSES = Path("/proc")
_ANY_START = "any:"
"""How the name of a clock begins that may have begun anew with the machine."""
_SET_BY_AT_MOST = timedelta(hours=1)
"""A wall clock is taken to be set by no more while a run is at work."""
_FORMAT_IN_POSTGRESQL = 'YYYY-MM-DD"T"HH24:MI:SS.MS"+00:00"'


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """Now, by the clock that a database's rows go by."""

    wall: datetime
    clock: str | None = None
    """Which machine's count `milliseconds` is, since it was last started; `None`: only `wall` is to be used."""
    milliseconds: int = 0


def moment(connection: sa.Connection) -> Moment:
    """Now, by the clock of this database."""
    if connection.dialect.name == "postgresql":
        now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return Moment(wall=now)
    return Moment(wall=datetime.now(UTC), clock=_clock(), milliseconds=_milliseconds())


def lasting(connection: sa.Connection, lasts: timedelta) -> dict[str, Any]:
    """The columns that say until when a row lasts: so long from now."""
    if connection.dialect.name == "postgresql":
        then = sa.func.timezone("UTC", sa.func.clock_timestamp()) + sa.literal(lasts, sa.Interval)
        return {"until": sa.func.to_char(then, _FORMAT_IN_POSTGRESQL), "clock": None, "clock_until": None}
    until = (datetime.now(UTC) + lasts).isoformat(timespec="milliseconds")
    return {
        "until": until,
        "clock": _clock(),
        "clock_until": _milliseconds() + round(lasts / timedelta(milliseconds=1)),
    }


def this_process() -> dict[str, Any]:
    """The columns that say who wrote a row."""
    return {
        "process": os.getpid(),
        "machine": _machine(),
        "namespace": _namespace(),
        "started": _started(_PROCESSES / "self"),
    }


def is_over(row: Mapping[Any, Any], now: Moment, *, processes: Path = _PROCESSES) -> bool:
    """The time of the row has passed, or its process has ended for certain, by what `processes` shows."""
    until = datetime.fromisoformat(row["until"])
    if row["clock"] is None or row["clock_until"] is None or row["clock"] != now.clock:
        has_passed = now.wall > until
    elif now.milliseconds > row["clock_until"]:
        has_passed = True
    else:
        has_passed = row["clock"].startswith(_ANY_START) and now.wall - _SET_BY_AT_MOST > until
    return has_passed or _has_ended(row, processes)


def _has_ended(row: Mapping[Any, Any], processes: Path) -> bool:
    if row["namespace"] is None or row["namespace"] != _namespace():
        return False
    return _has_ended_on_windows(row["process"]) if os.name == "nt" else _has_ended_here(row, processes)


def _has_ended_here(row: Mapping[Any, Any], processes: Path) -> bool:
    try:
        os.kill(row["process"], 0)  # tells of every process, also of one that /proc hides from us
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's, but there
    if not _shows_own_namespace(processes):
        return False
    found = processes / str(row["process"])
    started = _started(found)
    if started is None or row["started"] is None:
        return False
    return started != row["started"] or _state(found) in ("Z", "X")


def _has_ended_on_windows(process: int) -> bool:
    import psutil  # os.kill would end it

    return not psutil.pid_exists(process)


def _shows_own_namespace(processes: Path) -> bool:
    """Whether /proc counts processes as this process does: it is mounted by whoever made the namespace, or not."""
    try:
        return str((processes / "self").readlink()) == str(os.getpid())
    except OSError:
        return False


def _started(process: Path) -> int | None:
    """When a process began, in ticks since the machine was started; `None` where that is not told."""
    fields = _fields_of(process)
    return int(fields[19]) if len(fields) > 19 else None


def _state(process: Path) -> str:
    return next(iter(_fields_of(process)), "")


def _fields_of(process: Path) -> list[str]:
    """What /proc tells of a process behind its name, which may itself hold blanks and brackets."""
    try:
        return (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _milliseconds() -> int:
    return time.monotonic_ns() // 1_000_000


@cache
def _machine() -> str:
    """The same for two processes of one machine, telling nothing of its name."""
    return _digest(platform.node(), str(uuid.getnode()))


def _namespace() -> str | None:
    """The same for two processes to which a number, and the time of a start, mean the same; `None`: not known."""
    if not sys.platform.startswith("linux"):
        return _digest(_machine())  # a system without namespaces
    return _digest_of_namespaces("pid", "time")


def _clock() -> str | None:
    """The same for two processes that count the time since the machine's start alike; `None`: not known."""
    if sys.platform.startswith("linux"):
        return _digest_of_namespaces("time")
    return _ANY_START + _digest(_machine())[:12]  # it has no namespaces, and does not tell which start it is


def _digest_of_namespaces(*kinds: str) -> str | None:
    boot = _boot()
    try:
        found = [str((_PROCESSES / "self" / "ns" / kind).readlink()) for kind in kinds if kind in _kinds()]
    except OSError:
        return None
    return None if boot is None or ("pid" in kinds and "pid" not in _kinds()) else _digest(boot, *found)


@cache
def _kinds() -> frozenset[str]:
    """The kinds of namespaces that this system has; an older one has one time for all."""
    try:
        return frozenset(path.name for path in (_PROCESSES / "self" / "ns").iterdir())
    except OSError:
        return frozenset()


@cache
def _boot() -> str | None:
    """Another one each time that the machine is started."""
    try:
        return (_PROCESSES / "sys" / "kernel" / "random" / "boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _digest(*parts: str) -> str:
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
