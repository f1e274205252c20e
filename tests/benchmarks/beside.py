"""The figures of a benchmark on two checkouts, in turn in one sitting: `python -m tests.benchmarks again --beside FOLDER`.

The programs are those of this checkout and call what both know; names that the other has otherwise are in `either.py`.
Each side runs its own `src`. One round that is not counted compiles its files and fills its ledger; then the sides take
turns, and each begins every other round. A figure is printed with its medians on both sides and with the ratio of their
least: what else a machine does only adds. Seconds of the processor are those of a process and of all that it waited for;
they are what is judged, for they can be compared on a machine that others use too.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.benchmarks.measure import STEPS, Cost, Program, client, cost
from tests.benchmarks.notebooks import make_batch, make_project
from tests.benchmarks.server import serve

HERE = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("WORKBENCH_BENCH_ROUNDS", "3"))
MOST_WORSE = 0.05
TRIALS, AT_ONCE = 2000, 100
BEFORE, NOW = "before", "now"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A program of a benchmark, and what one side needs that runs it."""

    title: str
    program: Program
    prepare: Callable[[Path], None] | None = None
    """Fills the folder in which the program runs; where it is `None`, that is this checkout."""
    fill: Program | None = None
    """What fills the ledger of a side, once; where it is `None`, each run has a ledger of its own."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a figure came to in each round, in seconds, on one side."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)
    """The peak memory of the whole process; empty for a step of it."""


Sides = Mapping[str, Measured]
"""By `BEFORE` and `NOW`."""


def main(names: Sequence[str], other: Path) -> None:
    """Prints a table for each benchmark.

    Raises:
        SystemExit: the folder is no checkout, a benchmark has no programs that both know, or a program failed.
    """
    if not (other / "src/workbench/__init__.py").is_file():
        sys.exit(f"{other} is no checkout of the workbench: there is no src/workbench in it")
    if unknown := [name for name in names if name not in FIGURES]:
        sys.exit(f"{unknown[0]!r} cannot be held beside another checkout; these can: {', '.join(FIGURES)}")
    for name in names:
        print(f"# python -m tests.benchmarks {name} --beside {other.name}, {ROUNDS} rounds", flush=True)
        with FIGURES[name]() as figures:
            print(heading(), flush=True)
            for figure in figures:
                for title, sides in measured(figure, {BEFORE: other / "src", NOW: HERE / "src"}).items():
                    print(told(title, sides), flush=True)
        print(flush=True)


def measured(figure: Figure, sources: Mapping[str, Path], *, rounds: int = ROUNDS) -> dict[str, Sides]:
    """What the figure and each of its steps came to, by title."""
    found: dict[str, dict[str, Measured]] = {}
    with tempfile.TemporaryDirectory() as folder:
        ledgers = {side: Path(folder) / f"{side}.sqlite" for side in sources}
        for number in range(-1, rounds):
            for side in list(sources) if number % 2 == 0 else reversed(sources):
                ledger = ledgers[side] if figure.fill is not None else None
                if number < 0 and figure.fill is not None:
                    _once(figure.fill, figure.prepare, sources[side], ledger)
                took = _once(figure.program, figure.prepare, sources[side], ledger)
                if number >= 0:
                    _note(found, figure.title, side, took)
    return {title: dict(sides) for title, sides in found.items()}


def _once(program: Program, prepare: Callable[[Path], None] | None, source: Path, ledger: Path | None) -> Cost:
    """The program with the code of one side; this checkout has the programs themselves."""
    environment = dict(program.environment) | {"PYTHONPATH": f"{source}{os.pathsep}{HERE}"}
    environment |= {"WORKBENCH_LEDGER": str(ledger)} if ledger else {}
    with tempfile.TemporaryDirectory() as folder:
        if prepare is not None:
            prepare(Path(folder))
        return cost(replace(program, environment=environment, folder=Path(folder) if prepare else HERE))


def _note(found: dict[str, dict[str, Measured]], title: str, side: str, took: Cost) -> None:
    def of(each: str) -> Measured:
        return found.setdefault(each, {BEFORE: Measured(), NOW: Measured()})[side]

    whole = of(title)
    whole.wall.append(took.seconds)
    whole.cpu.append(took.cpu_seconds)
    whole.mb.append(took.peak_mb)
    for name, (seconds, cpu_seconds) in steps_in(took.output).items():
        step = of(f"  {name}")
        step.wall.append(seconds)
        step.cpu.append(cpu_seconds)


def steps_in(printed: str) -> dict[str, tuple[float, float]]:
    """What a program told of its steps, by name: seconds, and seconds of the processor."""
    lines = [line.removeprefix(STEPS) for line in printed.splitlines() if line.startswith(STEPS)]
    return {name: (float(wall), float(cpu)) for line in lines for name, (wall, cpu) in json.loads(line).items()}


def heading() -> str:
    return f"{'':<46}{'CPU s before':>13}{'now':>9}{'ratio':>7}{'wall':>7}{'memory':>8}"


def told(title: str, sides: Sides) -> str:
    """A line of the table: medians, the three ratios, and whether the seconds of the processor are within bounds."""
    before, now = sides[BEFORE], sides[NOW]
    share = least_ratio(before.cpu, now.cpu)
    held = f"over {100 * MOST_WORSE:g} %" if share > 1 + MOST_WORSE else "PASS"
    memory = f"{least_ratio(before.mb, now.mb):8.2f}" if now.mb else f"{'':8}"
    return (
        f"{title:<46}{statistics.median(before.cpu):13.3f}{statistics.median(now.cpu):9.3f}{share:7.2f}"
        f"{least_ratio(before.wall, now.wall):7.2f}{memory}  {held}"
    )


def least_ratio(before: Sequence[float], now: Sequence[float]) -> float:
    return min(now) / min(before)


@contextmanager
def start() -> Iterator[list[Figure]]:
    agent = str(HERE / "agents/senior-python-architect.md")
    with serve(seconds=0.05) as url:
        yield [
            Figure(title="import workbench", program=_python("-c", "import workbench")),
            Figure(title="workbench read one file", program=_python("-m", "workbench", "read", agent)),
            Figure(title="1 trial, 50 ms", program=client("ours", 1, 1, url)),
            Figure(title="96 trials compared", program=_python("-m", "tests.benchmarks.tables", "few")),
        ]


@contextmanager
def again() -> Iterator[list[Figure]]:
    with serve() as url:
        fill = client("ours", TRIALS, AT_ONCE, url)
        title = f"{TRIALS:,} trials, all in the ledger, and compared"
        yield [Figure(title=title, program=client("again", TRIALS, AT_ONCE, url), fill=fill)]


@contextmanager
def trials() -> Iterator[list[Figure]]:
    with (
        serve(seconds=0.05) as quick,
        serve(seconds=1.0) as slow,
        serve(seconds=0.01, seconds_a_piece=0.01) as dripping,
    ):
        servers = {"50 ms": quick, "1 s": slow, "a piece every 10 ms": dripping}
        yield [
            Figure(title=f"{TRIALS:,} trials, {how}", program=client("ours", TRIALS, AT_ONCE, url))
            for how, url in servers.items()
        ]


@contextmanager
def tables() -> Iterator[list[Figure]]:
    yield [
        Figure(title=step, program=_python("-m", "tests.benchmarks.tables", step))
        for step in ("tabulate", "report", "ledger")
    ]


@contextmanager
def notebooks() -> Iterator[list[Figure]]:
    def program(*arguments: str, **environment: str) -> Program:
        found = _python("-m", "tests.benchmarks.notebook_programs", *arguments)
        return replace(found, environment={"ANTHROPIC_API_KEY": "none", "WORKBENCH_OFFLINE": "1", **environment})

    command = _python("-m", "workbench", "run", "imports.ipynb", "--out", "out", "-p", "number", "7")
    with serve(seconds=0.05) as url:
        live = {"WORKBENCH_OFFLINE": "", "ANTHROPIC_BASE_URL": url}
        rows = [("imports", 1, {}), ("imports", 2, {}), ("trials", 1, live)]
        yield [
            Figure(title="one notebook, whole command", program=command, prepare=make_project),
            *(
                Figure(
                    title=f"20 notebooks of {name}, {at_once} at a time",
                    program=program("row", "ours", f"{name}.ipynb", str(at_once), **environment),
                    prepare=make_project,
                )
                for name, at_once, environment in rows
            ),
            Figure(
                title="200 notebooks in a batch, all in the ledger",
                program=program("batch", **live),
                prepare=make_batch,
                fill=program("fill", **live),
            ),
        ]


def _python(*arguments: str) -> Program:
    return Program(command=[sys.executable, *arguments])


FIGURES = {"start": start, "again": again, "trials": trials, "tables": tables, "notebooks": notebooks}
