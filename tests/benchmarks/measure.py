"""Whole processes, measured in turn: what each took, and how many times as much as another of the same round."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

_Done = TypeVar("_Done")

_NOT_INHERITED = ("ANTHROPIC_", "PYTHONDONTWRITEBYTECODE")
"""The second would compile our files anew at each start, which no installed program does."""
ROUNDS = int(os.environ.get("WORKBENCH_BENCH_ROUNDS", "3"))
STEPS = "steps: "
"""What the line begins with by which a program tells what each of its steps took."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one process took, from its start to its end."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    output: str = ""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What each step of this process took, by name: seconds, and seconds of the processor."""

    took: dict[str, tuple[float, float]] = field(default_factory=dict)

    def timed(self, name: str, work: Callable[[], _Done]) -> _Done:
        began, ran = time.perf_counter(), time.process_time()
        done = work()
        self.took[name] = (time.perf_counter() - began, time.process_time() - ran)
        return done

    def line(self) -> str:
        """As it is printed for the process that measures this one."""
        return f"{STEPS}{json.dumps(self.took)}"


@dataclass(frozen=True, kw_only=True)
class Program:
    """A command to be measured, and what it finds in its environment."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


def client(name: str, trials: int, at_once: int, url: str = "", *, ledger: Path | None = None) -> Program:
    """One of the programs in `clients.py`."""
    command = [sys.executable, "-m", "tests.benchmarks.clients", name, str(trials), str(at_once)]
    environment = {"ANTHROPIC_API_KEY": "none"} | ({"ANTHROPIC_BASE_URL": url} if url else {})
    return Program(command=command, environment=environment | ({"WORKBENCH_LEDGER": str(ledger)} if ledger else {}))


def cost(program: Program) -> Cost:
    """Runs it to its end, with a ledger of its own unless it names one.

    Raises:
        SystemExit: it failed; says what it printed.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as output:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        environment = inherited | {"WORKBENCH_LEDGER": f"{folder}/ledger.sqlite"} | dict(program.environment)
        began = time.perf_counter()
        process = subprocess.Popen(
            list(program.command),
            env=environment,
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        printed = output.read()
    if process.returncode != 0:
        sys.exit(f"{' '.join(program.command)} failed ({process.returncode}):\n{printed[-3000:]}")
    return Cost(
        seconds=seconds,
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_mb=used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024),
        output=printed,
    )


def in_turn(programs: Mapping[str, Program], *, rounds: int = ROUNDS) -> dict[str, list[Cost]]:
    """The costs of each program, by name, one a round; in every other round they go in reverse order."""
    costs: dict[str, list[Cost]] = {name: [] for name in programs}
    for number in range(rounds):
        for name in list(programs) if number % 2 == 0 else reversed(programs):
            costs[name].append(cost(programs[name]))
    return costs


def median(costs: Sequence[Cost], what: Callable[[Cost], float]) -> float:
    return statistics.median(what(each) for each in costs)


def ratio(above: Sequence[Cost], below: Sequence[Cost], what: Callable[[Cost], float]) -> float:
    """The median over the rounds of one cost divided by the other of the same round."""
    return statistics.median(what(one) / what(other) for one, other in zip(above, below, strict=True))


def seconds(one: Cost) -> float:
    return one.seconds


def cpu_seconds(one: Cost) -> float:
    return one.cpu_seconds


def peak_mb(one: Cost) -> float:
    return one.peak_mb
