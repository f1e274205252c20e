"""Who wrote a row that lasts while its process is at work, and whether that process still is."""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any


def holder_row(lasts: timedelta) -> dict[str, Any]:
    """The columns `process`, `machine` and `until` of a row of this process."""
    return {"process": os.getpid(), "machine": _machine(), "until": until(lasts)}


def until(lasts: timedelta) -> str:
    """So long from now, ISO 8601 in UTC."""
    return (datetime.now(UTC) + lasts).isoformat(timespec="milliseconds")


def is_over(*, process: int, machine: str, until: str) -> bool:
    """The time of the row has passed, or its process was one of this machine and has ended."""
    if datetime.now(UTC) > datetime.fromisoformat(until):
        return True
    return machine == _machine() and not _is_alive(process)


def _is_alive(process: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # somebody else's


@cache
def _machine() -> str:
    """The same for two processes of one machine, telling nothing of its name."""
    return hashlib.sha256(f"{platform.node()} {uuid.getnode()}".encode()).hexdigest()[:16]
