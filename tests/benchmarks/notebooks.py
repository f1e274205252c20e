"""Notebooks without a browser, beside papermill as it is: in a row and two at a time, one command, with trials, a batch
of 200 that the ledger answers, and one that is killed again and again.

Each notebook imports what the project's notebooks import, and makes a small table.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measure import Cost, Program, cost, cpu_seconds, median, peak_mb, ratio, seconds
from tests.benchmarks.notebook_programs import BATCH, COUNT, NOTEBOOKS, TRIALS
from tests.benchmarks.server import serve
from tests.notebook_kills import kill_and_continue
from tests.written_notebooks import write_notebook

KILLS = 20
ROUNDS = int(os.environ.get("WORKBENCH_BENCH_ROUNDS", "1"))
COMMAND_ROUNDS = max(3, ROUNDS)
SERVER_SECONDS = 0.05

WAYS = [("papermill", 1), ("ours", 1), ("papermill", 2), ("ours", 2)]


def make_project(folder: Path) -> None:
    (folder / "agents").mkdir()
    (folder / "agents/one.md").write_text("---\nname: one\ndescription: D.\nmodel: haiku\n---\nYou are one.\n")
    for name, cells in NOTEBOOKS.items():
        write_notebook(folder / f"{name}.ipynb", cells)


def make_batch(folder: Path) -> None:
    """A project, and the plan of its batch."""
    make_project(folder)
    entry = {"notebook": "trials.ipynb", "grid": {"number": list(range(BATCH))}}
    (folder / "plan.yaml").write_text(json.dumps({"out": "batch", "at_once": 2, "notebooks": [entry]}))


def measured(*arguments: object, url: str = "", ledger: Path | None = None, folder: Path | None = None) -> Cost:
    with tempfile.TemporaryDirectory() as own:
        if folder is None:
            make_project(Path(own))
        here = str(Path(__file__).parents[2])
        environment = {"PYTHONPATH": here, "ANTHROPIC_API_KEY": "none"}
        environment |= {"ANTHROPIC_BASE_URL": url} if url else {"WORKBENCH_OFFLINE": "1"}
        environment |= {"WORKBENCH_LEDGER": str(ledger)} if ledger else {}
        command = [sys.executable, "-m", "tests.benchmarks.notebook_programs", *map(str, arguments)]
        return cost(Program(command=command, folder=folder or Path(own), environment=environment))


def one_command(tool: str) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder))
        command = {
            "papermill": ["-m", "papermill", "imports.ipynb", "out.ipynb", "-p", "number", "7"],
            "ours": ["-m", "workbench", "run", "imports.ipynb", "--out", "out", "-p", "number", "7"],
        }[tool]
        return cost(Program(command=[sys.executable, *command], folder=Path(folder)))


def show_in_a_row(title: str, notebook: str, url: str = "") -> None:
    costs: dict[tuple[str, int], list[Cost]] = {way: [] for way in WAYS}
    for number in range(ROUNDS):
        for tool, at_once in WAYS if number % 2 == 0 else reversed(WAYS):
            costs[tool, at_once].append(measured("row", tool, f"{notebook}.ipynb", at_once, url=url))
    print(f"{COUNT} notebooks {title}, {ROUNDS} round{'' if ROUNDS == 1 else 's'}, whole processes")
    for (tool, at_once), found in costs.items():
        times = ratio(costs["papermill", 1], found, seconds)
        print(
            f"  {tool:<10}{at_once} at a time  {median(found, seconds):6.1f} s  CPU {median(found, cpu_seconds):6.1f} s  "
            f"peak of one process {median(found, peak_mb):4.0f} MB  {times:5.1f} x papermill one at a time",
            flush=True,
        )


def show_one_command() -> None:
    single: dict[str, list[Cost]] = {"papermill": [], "ours": []}
    for number in range(COMMAND_ROUNDS):
        for tool in single if number % 2 == 0 else reversed(single):
            single[tool].append(one_command(tool))
    print(f"one notebook, whole command, median of {COMMAND_ROUNDS}")
    for tool, found in single.items():
        print(
            f"  {tool:<10}{median(found, seconds):5.2f} s  CPU {median(found, cpu_seconds):5.2f} s  "
            f"{ratio(found, single['papermill'], seconds):.2f} of papermill",
            flush=True,
        )


def show_batch() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project, ledger = Path(folder), Path(folder, "ledger.sqlite")
        make_batch(project)
        with serve() as url:
            measured("fill", url=url, ledger=ledger, folder=project)
        found = measured("batch", url=url, ledger=ledger, folder=project)  # nobody is there any more
    held = json.loads(found.output.splitlines()[-1])
    first, last = statistics.median(held[: BATCH // 4]), statistics.median(held[-BATCH // 4 :])
    print(f"workbench batch, {BATCH} notebooks of {TRIALS} trials each, all in the ledger, 2 at a time")
    print(
        f"  {found.seconds:.1f} s  CPU {found.cpu_seconds:.1f} s  {found.seconds / BATCH:.2f} s a notebook  memory of all "
        f"processes {first:.0f} MB (first quarter), {last:.0f} MB (last quarter)",
        flush=True,
    )


def show_kills() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = kill_and_continue(KILLS, Path(folder, "project"), tasks=2 * KILLS)
    lives = found.lives
    print(
        f"one notebook of {found.trials} trials, {len(lives)} SIGKILLs at moments drawn by chance, continued each time"
    )
    print(f"  answered trials that were asked for again: {sum(life.asked_again for life in lives)}")
    print(
        f"  requests {found.requests} = {found.trials} + {sum(life.in_flight for life in lives)} in flight when killed"
    )
    print(f"  notebooks that were not whole: {sum(len(life.broken) for life in lives)}")
    print(
        f"  of {found.files} final files, other than those of an undisturbed run from the same ledger: "
        f"{len(found.differing_from_replay)}, of one that asked for itself: {len(found.differing_from_undisturbed)}"
    )


def main() -> None:
    show_in_a_row("that import what ours import", "imports")
    show_one_command()
    with serve(seconds=SERVER_SECONDS) as url:
        show_in_a_row(f"of {TRIALS} trials each, {1000 * SERVER_SECONDS:.0f} ms a reply", "trials", url)
    show_batch()
    show_kills()
