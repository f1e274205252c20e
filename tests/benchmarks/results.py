"""The results table: 5,000 trials in a real JupyterLab, and 100,000 in Python.

`python -m tests.benchmarks.results python` is the latter, a process of its own.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Program, cost
from tests.browser.conftest import PROJECT, lab_page, open_notebook, running_lab

TRIALS = 5_000
TIMES = 40
SHOWN = 10

_BEGIN = f"""
import sys
sys.path.insert(0, {str(PROJECT)!r})
from dataclasses import replace
import workbench as wb
from tests.benchmarks.tables import made_up_run

run = made_up_run()
first = run.trials[0]
long = first.replace(reply=replace(first.reply, text="A reply of 5 MB. " * 295_000))
run = replace(run, trials=(long, *run.trials[1:]))
shown = {{trial.task_id for trial in run.trials[:{TRIALS}]}}
tasks = tuple(task for task in run.tasks if task.id in shown)
comparison = wb.compare(replace(run, tasks=tasks, trials=run.trials[:{TRIALS}]), baseline="persona 0")
_ = comparison.summaries, comparison.flipped
"""
_SHOW = 'wb.ResultsTable(comparison, wb.Rows(of="trials"))'
# What is timed ends when the frame has been drawn: a message after the frame's callbacks comes then.
_TIMING = """() => {
  window.drawn = () => new Promise(resolve => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => resolve(performance.now());
    channel.port2.postMessage(null);
  }));
  window.change = async act => {
    const began = performance.now();
    const redrawn = new Promise(resolve => {
      const watch = new MutationObserver(() => (watch.disconnect(), resolve()));
      watch.observe(document.querySelector('.wr-space'), {childList: true});
    });
    act();
    await redrawn;
    return await window.drawn() - began;
  };
}"""
_PAINT = """async () => {
  const began = performance.now();
  const run = window.jupyterapp.commands.execute('notebook:run-cell');
  while (!document.querySelector('.wr-body .wr-row')) await new Promise(requestAnimationFrame);
  const first = await window.drawn() - began;
  await run;
  await window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs');
  while (document.querySelector('.wr-body .wr-row')) await new Promise(requestAnimationFrame);
  return first;
}"""
_LONG = """async () => {
  document.querySelector('.wr-body .wr-row').children[1].click();
  while (!document.querySelector('.wr-more button')) await new Promise(requestAnimationFrame);
  const began = performance.now();
  let before = began, longest = 0, isOver = false;
  const watch = () => {
    const now = performance.now();
    longest = Math.max(longest, now - before);
    before = now;
    if (!isOver) requestAnimationFrame(watch);
  };
  watch();
  document.querySelector('.wr-more button').click();
  while (!document.querySelector('.wr-more').hidden) await new Promise(requestAnimationFrame);
  const whole = await window.drawn() - began;
  isOver = true;
  return [whole, longest];
}"""
_SORT = """async times => {
  const heads = [...document.querySelectorAll('.wr-heading')].slice(1), found = [];
  for (let time = 0; time < times; time++) found.push(await window.change(() => document.querySelectorAll('.wr-heading')[1 + time % heads.length].click()));
  return found;
}"""
_SEARCH = """async times => {
  const search = document.querySelector('.wr-search input'), found = [];
  for (let time = 0; time < times; time++) found.push(await window.change(() => {
    search.value = `case ${time} `;
    search.dispatchEvent(new Event('input'));
  }));
  search.value = '';
  found.push(await window.change(() => search.dispatchEvent(new Event('input'))));
  return found;
}"""
_SCROLL = """async times => {
  const grid = document.querySelector('.wr-grid'), found = [];
  let before = await window.drawn();
  for (let time = 0; time < 4 * times; time++) {
    grid.scrollTop += 977;
    const now = await window.drawn();
    found.push(now - before);
    before = now;
  }
  return found;
}"""


def main() -> None:
    print(f"{TRIALS:,} trials in JupyterLab; milliseconds to the painted frame")
    print(f"{'':42} {'median':>8} {'p95':>8}")
    with tempfile.TemporaryDirectory() as home, running_lab(Path(home)) as lab, lab_page(lab) as page:
        (lab.root / "notebooks" / "many.ipynb").write_text(json.dumps(_notebook()))
        with open_notebook(lab, page, "notebooks/many.ipynb") as opened:
            opened.run_cell("begin")
            page.evaluate(_TIMING)
            page.evaluate(
                "id => { const n = window.jupyterapp.shell.currentWidget.content;"
                " n.activeCellIndex = n.widgets.findIndex(cell => cell.model.id === id); }",
                "show",
            )
            _report("run the cell, first rows painted", [page.evaluate(_PAINT) for _ in range(SHOWN)])
            opened.run_cell("show")
            page.locator(".wr-body .wr-row").first.wait_for()
            whole, longest = page.evaluate(_LONG)
            print(
                f"a reply of 5 MB shown whole after {whole:.0f} ms; the page stood still for {longest:.0f} ms at most"
            )
            _report("sort by a column", page.evaluate(_SORT, TIMES))
            _report("search, 120 ms of waiting for keys included", page.evaluate(_SEARCH, TIMES))
            _report("from frame to frame while scrolling", page.evaluate(_SCROLL, TIMES))
    print(cost(Program(command=[sys.executable, "-m", "tests.benchmarks.results", "python"])).output.strip())


def in_python() -> None:
    """100,000 trials: what it takes to compare them, to make the table, and to find rows in it."""
    from tests.benchmarks.tables import made_up_run

    run = made_up_run()
    before = _peak_mb()
    import workbench as wb
    from workbench.widgets.results_data import page_data, table_columns

    steps: list[str] = []

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        done = work()
        steps.append(f"{name} {time.process_time() - began:.2f}")
        return done

    comparison = timed("compare", lambda: wb.compare(run, baseline="persona 0"))
    table = timed("table", lambda: wb.ResultsTable(comparison, wb.Rows(of="trials")))
    data = timed("what the page gets", lambda: page_data(comparison, table_columns(comparison)))
    timed("first search", lambda: table.show(wb.Rows(text="case 77 ")))
    timed("next search", lambda: table.show(wb.Rows(text="word99")))
    timed("sort by cost", lambda: table.show(wb.Rows(sort="usd")))
    timed("what flipped, by score", lambda: table.show(wb.Rows(flipped="either", sort="score")))
    print(
        f"{len(run.trials):,} trials in Python, CPU seconds: {', '.join(steps)}; the page gets {len(data) / 1e6:.1f} MB; "
        f"peak memory {before:.0f} MB with the run alone, {_peak_mb():.0f} MB in the end"
    )


def _report(what: str, times: list[float]) -> None:
    print(f"{what:42} {statistics.median(times):8.0f} {statistics.quantiles(times, n=20)[-1]:8.0f}", flush=True)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _notebook() -> dict[str, Any]:
    cells = [
        {"cell_type": "code", "id": id, "metadata": {}, "outputs": [], "source": source, "execution_count": None}
        for id, source in (("begin", _BEGIN), ("show", _SHOW))
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


if __name__ == "__main__":
    {"python": in_python}[sys.argv[1]]()
