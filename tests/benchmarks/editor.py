"""Typing in the agent editor, in a real JupyterLab: from the key to the paint, and from the key to the kernel."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from tests.browser.conftest import Notebook, lab_page, open_notebook, running_lab
from workbench.definition.files import load_agent

KEYS = 200
MILLISECONDS_BETWEEN_KEYS = 60
KILOBYTES = (10, 100)
AGENT = "agents/long.md"

_CELL = f"""
import time
import workbench as wb
from workbench.widgets.shared_text import SharedText

wb.enter_project()
heard = []
take = SharedText.take

def noted(self, version, client, updates):
    taken = take(self, version, client, updates)
    if taken:
        heard.append((self.version, time.time() * 1000))
    return taken

SharedText.take = noted
editor = wb.AgentEditor(wb.load_agent("{AGENT}"))
editor
"""
_WATCH = """() => {
  window.keys = []; window.paints = [];
  document.querySelector('.wb-editor').addEventListener('keydown', event => {
    if (event.key.length !== 1) return;
    const at = performance.timeOrigin + event.timeStamp;
    window.keys.push(at);
    // A message after the frame's callbacks comes when the frame has been drawn.
    requestAnimationFrame(() => {
      const drawn = new MessageChannel();
      drawn.port1.onmessage = () => window.paints.push(performance.timeOrigin + performance.now() - at);
      drawn.port2.postMessage(null);
    });
  }, true);
}"""


def main() -> None:
    print(f"{KEYS} keys, one every {MILLISECONDS_BETWEEN_KEYS} ms, in the middle of the prompt")
    print(f"{'prompt':>8}  {'key to paint, ms':^22}  {'key to kernel, ms':^22}  the same text")
    print(f"{'':>8}  {'median':>10} {'p95':>10}  {'median':>10} {'p95':>10}")
    with tempfile.TemporaryDirectory() as home, running_lab(Path(home)) as lab, lab_page(lab) as page:
        for kilobytes in KILOBYTES:
            first = load_agent(next((lab.root / "agents").glob("*.md")))
            prompt = first.prompt * (1 + kilobytes * 1000 // len(first.prompt))
            (lab.root / AGENT).write_text(first.replace(prompt=prompt[: kilobytes * 1000]).text)
            (lab.root / "notebooks" / "long.ipynb").write_text(json.dumps(_notebook()))
            with open_notebook(lab, page, "notebooks/long.ipynb") as opened:
                opened.run_cell("edit")
                work = page.context.new_cdp_session(page)
                work.send("Performance.enable")
                before = _metrics(work)
                _report(kilobytes, *_type(opened, page))
                spent = {name: (after - before[name]) / KEYS for name, after in _metrics(work).items()}
                print(
                    f"{'a key':>8}  {spent['TaskDuration'] * 1000:.1f} ms of the page's main thread, "
                    f"{spent['ScriptDuration'] * 1000:.1f} ms of it script; "
                    f"{spent['RecalcStyleCount']:.1f} recalculations of style, {spent['LayoutCount']:.1f} layouts",
                    flush=True,
                )


def _metrics(work: Any) -> dict[str, float]:
    """What the browser has counted of the page: seconds of its main thread, and how often it did what."""
    return {each["name"]: each["value"] for each in work.send("Performance.getMetrics")["metrics"]}


def _type(opened: Notebook, page: Any) -> tuple[list[float], list[float], bool]:
    prompt = page.get_by_role("textbox", name="Prompt", exact=True)
    prompt.focus()
    for _ in range(20):
        page.keyboard.press("PageDown")
    page.evaluate(_WATCH)
    letters = "abcdefghij klmnopqrs tuvwxyz " * KEYS
    page.keyboard.type(letters[:KEYS], delay=MILLISECONDS_BETWEEN_KEYS)
    opened.wait_for(f"heard and heard[-1][0] >= {KEYS}")
    same = opened.value(f"{letters[:KEYS]!r} in editor.agent.prompt")
    heard = opened.value("heard")
    keys, paints = page.evaluate("() => [window.keys, window.paints]")
    to_kernel = [next(at for version, at in heard if version > index) - key for index, key in enumerate(keys)]
    return paints, to_kernel, same


def _report(kilobytes: int, paints: list[float], to_kernel: list[float], same: bool) -> None:
    cells = [
        f"{statistics.median(times):10.1f} {statistics.quantiles(times, n=20)[-1]:10.1f}"
        for times in (paints, to_kernel)
    ]
    print(f"{kilobytes:5} kB  {'  '.join(cells)}  {'yes' if same else 'NO'}", flush=True)


def _notebook() -> dict[str, Any]:
    cell = {"cell_type": "code", "id": "edit", "metadata": {}, "outputs": [], "source": _CELL, "execution_count": None}
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": [cell], "metadata": about, "nbformat": 4, "nbformat_minor": 5}
