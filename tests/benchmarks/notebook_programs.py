"""The programs that the benchmark of notebooks measures; they import nothing that what they measure does not."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COUNT = 20
BATCH = 200
TRIALS = 10

IMPORTS = (
    "import anthropic, ipywidgets, pandas, scipy.stats, sqlalchemy\n"
    "from matplotlib.figure import Figure\n"
    "import workbench as wb\n"
    "names = [wb.compare, wb.run_trials, wb.load_tasks, wb.export_record, wb.graders.standard]"
)
TABLE = "table = pandas.DataFrame({'number': [number], 'square': [number**2]})\ntable"
RUN = (
    'agent = wb.load_agent("agents/one.md")\n'
    f'tasks = [wb.Task(id=f"{{number}}-{{n}}", input=f"Case {{n}} of notebook {{number}}") for n in range({TRIALS})]\n'
    'run = wb.run_trials(wb.plan_trials({"base": agent}, tasks), progress=False, concurrency=10)'
)
NOTEBOOKS = {
    "imports": {"parameters": "number: int = 0", "imports": IMPORTS, "table": TABLE, "verdict": "print(number**2)"},
    "trials": {
        "parameters": "number: int = 0",
        "imports": IMPORTS,
        "run": RUN,
        "table": "pandas.DataFrame({'reply': [trial.reply.text for trial in run.trials]})",
        "verdict": "print(number**2)",
    },
}


def run_all(tool: str, notebook: str, at_once: int) -> None:
    """The program that is measured: so many notebooks in this process."""

    def with_papermill(number: int) -> None:
        import papermill

        papermill.execute_notebook(notebook, f"{number}.ipynb", parameters={"number": number}, progress_bar=False)

    def with_ours(number: int) -> None:
        from workbench.headless.notebook import run_notebook

        run = run_notebook(notebook, out=str(number), parameters={"number": number}, progress=False)
        assert run.verdict == str(number**2)

    run = {"papermill": with_papermill, "ours": with_ours}[tool]
    if at_once == 1:
        for number in range(COUNT):
            run(number)
    else:
        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(run, range(COUNT)))


def fill_ledger() -> None:
    """The program that asks for the trials of all notebooks of the batch."""
    for number in range(BATCH):
        exec(f"import workbench as wb\nnumber = {number}\n{RUN}", {})


def run_in_batch() -> None:
    """The program that runs the batch, and prints how much memory all its processes held as each notebook ended."""
    from workbench.headless.batch import run_batch
    from workbench.headless.batch_plan import load_batch

    held: list[float] = []
    batch = run_batch(load_batch("plan.yaml"), progress=False, say=lambda _: held.append(_held_mb()))
    assert batch.is_complete, [outcome.error for outcome in batch.outcomes if outcome.error]
    print(json.dumps(held))


def _held_mb() -> float:
    """Of this process and all that came of it; what several share counts once."""
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
        children[parent].append(int(stat.parent.name))
    left, total = [os.getpid()], 0
    while left:
        left += children[pid := left.pop()]
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return total / 1024


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["row", tool, notebook, at_once]:
            run_all(tool, notebook, int(at_once))
        case ["fill"]:
            fill_ledger()
        case ["batch"]:
            run_in_batch()
