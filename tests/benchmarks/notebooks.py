"""Notebooks without a browser: in a row, two at a time, one command; beside papermill as it is.

Each notebook imports what the project's notebooks import, and makes a small table.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.benchmarks.measure import Cost, Program, cost, cpu_seconds, median, peak_mb, ratio, seconds

COUNT = 20
ROUNDS = int(os.environ.get("WORKBENCH_BENCH_ROUNDS", "1"))
COMMAND_ROUNDS = max(3, ROUNDS)

CELLS = {
    "parameters": "number: int = 0",
    "imports": (
        "import anthropic, ipywidgets, pandas, scipy.stats, sqlalchemy\n"
        "from matplotlib.figure import Figure\n"
        "import workbench as wb\n"
        "names = [wb.compare, wb.run_trials, wb.load_tasks, wb.export_record, wb.graders.standard]"
    ),
    "table": "table = pandas.DataFrame({'number': [number], 'square': [number**2]})\ntable",
    "verdict": "print(table.square.sum())",
}


def write_notebook(path: Path) -> Path:
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": name,
            "metadata": {"tags": [name]} if name in ("parameters", "verdict") else {},
            "outputs": [],
            "source": source,
        }
        for name, source in CELLS.items()
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def run_all(tool: str, count: int, at_once: int, folder: Path) -> None:
    """The program that is measured: so many notebooks in this process."""
    notebook = write_notebook(folder / "one.ipynb")

    def with_papermill(number: int) -> None:
        import papermill

        papermill.execute_notebook(
            str(notebook), str(folder / f"{number}.ipynb"), parameters={"number": number}, progress_bar=False
        )

    def with_ours(number: int) -> None:
        from workbench.headless.notebook import run_notebook

        run = run_notebook(notebook, out=folder / str(number), parameters={"number": number}, progress=False)
        assert run.verdict == str(number**2)

    run = {"papermill": with_papermill, "ours": with_ours}[tool]
    if at_once == 1:
        for number in range(count):
            run(number)
    else:
        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(run, range(count)))


def measured(tool: str, at_once: int) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.notebooks", tool, str(COUNT), str(at_once), folder]
        return cost(Program(command=command))


def one_command(tool: str) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        notebook = write_notebook(Path(folder, "one.ipynb"))
        command = {
            "papermill": [sys.executable, "-m", "papermill", str(notebook), f"{folder}/out.ipynb", "-p", "number", "7"],
            "ours": [
                *(sys.executable, "-m", "workbench", "run", str(notebook), "--out", f"{folder}/out"),
                *("-p", "number", "7"),
            ],
        }[tool]
        return cost(Program(command=command))


def main() -> None:
    ways = [("papermill", 1), ("ours", 1), ("papermill", 2), ("ours", 2)]
    costs: dict[tuple[str, int], list[Cost]] = {way: [] for way in ways}
    for number in range(ROUNDS):
        for way in ways if number % 2 == 0 else reversed(ways):
            costs[way].append(measured(*way))
    print(
        f"{COUNT} notebooks that import what ours import, {ROUNDS} round{'' if ROUNDS == 1 else 's'}, whole processes"
    )
    for (tool, at_once), found in costs.items():
        times = ratio(costs["papermill", 1], found, seconds)
        print(
            f"  {tool:<10}{at_once} at a time  {median(found, seconds):6.1f} s  CPU {median(found, cpu_seconds):6.1f} s  "
            f"peak of one process {median(found, peak_mb):4.0f} MB  {times:5.1f} x papermill one at a time"
        )
    single: dict[str, list[Cost]] = {"papermill": [], "ours": []}
    for number in range(COMMAND_ROUNDS):
        for tool in single if number % 2 == 0 else reversed(single):
            single[tool].append(one_command(tool))
    print(f"one notebook, whole command, median of {COMMAND_ROUNDS}")
    for tool, found in single.items():
        print(
            f"  {tool:<10}{median(found, seconds):5.2f} s  CPU {median(found, cpu_seconds):5.2f} s  "
            f"{ratio(found, single['papermill'], seconds):.2f} of papermill"
        )


if __name__ == "__main__":
    run_all(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
