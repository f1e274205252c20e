"""The figures that the documents quote: `make bench`, or `python -m tests.benchmarks [NAME ...]`.

corpus   how faithfully agent files are read and written, and how fast
overlap  how well paraphrases of descriptions are found
linting  6,000 agent files in one command: time and memory
start    how long it takes to begin: imports, one trial
trials   2,000 trials beside loops over the SDK: time, CPU, memory
again    the same run with everything in the ledger
tables   100,000 trials tabulated, and read back from a ledger as columns
ledger   trials a second into the ledger, and 100,000 read back
faults   2,000 trials while 15 % of the requests fail in every way
kills    100 SIGKILLs at random moments of one run within a budget
namespaces  the same of two runs at once, each in a namespace of processes of its own
notebooks  20 notebooks without a browser, beside papermill; one killed 20 times and continued
kernels  one short notebook by each way to start a kernel, and what each trick for that saves
budget   what a budget costs a trial
gate     how often the gate errs, by simulation
statistics  coverage, false positives and power by simulation, beside their targets
editor   typing in the agent editor: from the key to the paint and to the kernel
versions  `workbench compare` on 20 agents of 20 projects, ungraded
results  the results table: 5,000 trials in JupyterLab, 100,000 in Python
peers    the same trials in promptfoo and Inspect AI, where they are installed

WORKBENCH_BENCH_ROUNDS sets how often each program is measured (3). With `--beside FOLDER`, another checkout, start, again,
trials, tables and notebooks are measured on both in turn.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path

NAMES = (
    "corpus",
    "overlap",
    "linting",
    "start",
    "trials",
    "again",
    "tables",
    "ledger",
    "faults",
    "kills",
    "namespaces",
    "notebooks",
    "kernels",
    "budget",
    "statistics",
    "gate",
    "editor",
    "results",
    "versions",
    "peers",
)

parser = ArgumentParser(prog="python -m tests.benchmarks")
parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
parser.add_argument("--beside", type=Path, metavar="FOLDER", help="another checkout")
chosen = parser.parse_args()
if unknown := [name for name in chosen.names if name not in NAMES]:
    sys.exit(f"there is no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
if chosen.beside is not None:
    beside = import_module("tests.benchmarks.beside")
    beside.main(chosen.names or list(beside.FIGURES), chosen.beside.resolve())
    sys.exit()
for name in chosen.names or NAMES:
    print(f"# python -m tests.benchmarks {name}", flush=True)
    import_module(f"tests.benchmarks.{name}").main()
    print(flush=True)
