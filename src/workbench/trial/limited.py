"""A program run within limits of time and memory, on files of a reply that nobody has read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS = 30.0
"""How long a program may compute."""
WAIT_SECONDS = 120.0
"""How long it may take on a machine that is busy."""
MOST_BYTES = 3 * 2**30
"""How much memory it may address."""
MOST_WRITTEN = 2**28
"""Bytes that it may write into any one file, what it says included."""
MOST_OUTPUT = 200_000
"""Bytes of what it says that are read."""
# The limits are set in a process of its own, which then becomes the program: what runs between fork and exec in this
# one could wait for ever for a lock that another thread holds.
_LIMITED = (
    "import os, sys\n"
    "try:\n"
    "    import resource\n"
    "except ImportError:\n"
    "    resource = None\n"
    "if resource is not None:\n"
    "    seconds, most, written = map(int, sys.argv[1:4])\n"
    "    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))\n"
    "    resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
    "    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))\n"
    "    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    "os.execv(sys.argv[4], sys.argv[4:])\n"
)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a program ended."""

    code: int
    """Its exit code; below 0, the signal that ended it."""
    output: str
    """What it said to its standard output, and where that is empty, to its standard error."""


class TookTooLong(Exception):
    """The program was ended: it took longer than it may."""


def run_limited(command: Sequence[str], folder: Path, *, seconds: float = SECONDS) -> Ended:
    """Runs a program in a folder, without the environment of this process: what it reads has no key to see.

    Raises:
        TookTooLong: it was ended for its time. A system without such limits (Windows) counts waiting too.
        OSError: it cannot be started.
    """
    bounds = map(str, (max(1, round(seconds)), MOST_BYTES, MOST_WRITTEN))
    limited = [sys.executable, "-I", "-S", "-c", _LIMITED, *bounds, *command]
    with (folder / ".output").open("wb") as out, (folder / ".errors").open("wb") as errors:
        process = subprocess.Popen(
            limited,
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TookTooLong(f"it took longer than {WAIT_SECONDS:g} s") from None
        except BaseException:
            process.kill()
            process.wait()
            raise
    if code in (-24, -9):  # SIGXCPU, and the kill that follows it
        raise TookTooLong(f"it computed for longer than {seconds:g} s")
    said = _read(folder / ".output") or _read(folder / ".errors")
    return Ended(code=code, output=said)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MOST_OUTPUT).decode("utf-8", "replace").strip()


def _environment(folder: Path) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "HOME": str(folder), "TMPDIR": str(folder), "NO_COLOR": "1"}
