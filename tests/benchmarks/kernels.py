"""The ready interpreter that kernels are forked from: what each trick for speed saves, on its own."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measure import Program, cost, cpu_seconds, in_turn, median, seconds
from tests.benchmarks.notebook_programs import RUN
from tests.written_notebooks import write_notebook
from workbench.headless.kernels import ready

IMPORTS = "import gc, importlib\n{first}\nfor name in {names}:\n    importlib.import_module(name)"
RUN_ONE = """
import os, sys
from workbench.headless.kernels.ready import READY_MODULES, kernel_environment, modules_for, start_ready_interpreter
notebook, way = sys.argv[1:]
imports = READY_MODULES if way == "all" else modules_for(open(notebook).read())
start_ready_interpreter(kernel_environment(os.environ), imports=imports)
from workbench.headless.notebook import run_notebook
run_notebook(notebook, out="out", progress=False)
"""
COMPARE = (
    f"import workbench as wb\n{RUN}\n".replace(
        '{"base": agent}', '{"base": agent, "other": agent.replace(model="sonnet")}'
    )
    + "comparison = wb.compare(run, baseline='base')\ncomparison"
)
SHARES = "        _share_what_is_imported()\n"
BUSY = "import gc\ngc.collect()\nlists = [[n] for n in range(200_000)]\ndel lists"


def show_imports() -> None:
    names = ("ipykernel.kernelapp", *ready.READY_MODULES)
    environment = {"JE_ARROW_MALLOC_CONF": "background_thread:false", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    programs = {
        title: Program(
            command=[sys.executable, "-c", IMPORTS.format(first=first, names=names)], environment=environment
        )
        for title, first in (("with the collector", ""), ("without it", "gc.disable()"))
    }
    for title, found in in_turn(programs).items():
        print(f"all imports {title:<20} CPU {median(found, cpu_seconds):5.2f} s")


def show_nbformat() -> None:
    programs = {
        "import nbformat": Program(command=[sys.executable, "-c", "import nbformat"]),
        "notebook_files": Program(command=[sys.executable, "-c", "import workbench.headless.notebook_files"]),
    }
    for title, found in in_turn(programs).items():
        print(f"{title:<32} CPU {median(found, cpu_seconds):5.2f} s")


def show_memory() -> None:
    script = Path(ready.__file__).with_name("ready_interpreter.py").read_text(encoding="utf-8")
    assert script.count(SHARES) == 1
    for title, text in (("shared", script), ("not shared", script.replace(SHARES, ""))):
        with tempfile.TemporaryDirectory() as folder:
            print(
                f"own memory of each of 2 kernels that collected, {title:<11} {_memory_of_kernels(Path(folder), text)} MB"
            )


def _memory_of_kernels(folder: Path, script: str) -> list[int]:
    """In MB: what is its own, and its part of what it shares with the others."""
    from jupyter_client.blocking.client import BlockingKernelClient

    (folder / "ready_interpreter.py").write_text(script, encoding="utf-8")
    ready.__file__, before = str(folder / "ready.py"), ready.__file__
    environment = ready.kernel_environment(os.environ)
    interpreter, held = ready.ReadyInterpreter(environment), []
    ready.__file__ = before
    kernels = []
    for number in range(2):
        file = folder / f"{number}.json"
        argv = ["ipykernel_launcher.py", "-f", str(file), "--transport=ipc", f"--ip={folder / str(number)}"]
        kernels.append(interpreter.fork(argv, cwd=str(folder), environment=environment))
        client = BlockingKernelClient(connection_file=str(file))
        while not file.exists() or not file.read_text():
            assert kernels[-1].poll() is None
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute(BUSY, reply=True)
        client.stop_channels()
    for kernel in kernels:
        rollup = Path(f"/proc/{kernel.pid}/smaps_rollup").read_text()
        held.append(int(re.findall(r"^Pss: +(\d+)", rollup, re.MULTILINE)[0]) // 1024)
    interpreter.close()
    return held


def show_one_notebook() -> None:
    """One notebook that the ledger answers, short or with a comparison: the whole command, by each way to a kernel."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agents").mkdir()
        (folder / "agents/one.md").write_text("---\nname: one\ndescription: D.\nmodel: haiku\n---\nYou are one.\n")
        short = {"parameters": "number: int = 0", "run": f"import workbench as wb\n{RUN}", "verdict": "print(number)"}
        write_notebook(folder / "short.ipynb", short)
        write_notebook(folder / "compare.ipynb", {**short, "run": COMPARE, "plot": "comparison.plot('tasks')"})
        given = {"WORKBENCH_LEDGER": str(folder / "ledger.sqlite"), "WORKBENCH_OFFLINE_TOKENS_PER_SECOND": "0"}
        for notebook in ("short.ipynb", "compare.ipynb"):
            command = [sys.executable, "-c", RUN_ONE, notebook]
            programs = {
                "forked, its own imports": Program(command=[*command, "own"], environment=given, folder=folder),
                "forked, all imports": Program(command=[*command, "all"], environment=given, folder=folder),
                "ordinary": Program(
                    command=[*command, "own"], environment={**given, ready.DISABLED: "1"}, folder=folder
                ),
            }
            cost(programs["ordinary"])  # asks for the trials
            for title, found in in_turn(programs).items():
                print(
                    f"{notebook:<14} {title:<24} {median(found, seconds):5.2f} s  "
                    f"CPU {median(found, cpu_seconds):5.2f} s"
                )


def main() -> None:
    show_one_notebook()
    show_imports()
    show_nbformat()
    if sys.platform == "linux":
        show_memory()
