"""How long it takes to begin: fresh processes, wall seconds."""

from __future__ import annotations

import statistics
import sys

from tests.benchmarks.measure import Program, client, cpu_seconds, in_turn, median, ratio, seconds
from tests.benchmarks.server import serve

_AT_REST = """
from workbench.collector import resting_while_importing
with resting_while_importing("anthropic"):
    import anthropic
"""
_COMPARED = """
from tests.runs import PASSES_A, PASSES_B, make_run, passes
from workbench.comparison.tables import compare
str(compare(make_run({"A": passes(PASSES_A), "B": passes(PASSES_B)}), baseline="A"))
"""
PROGRAMS = {
    "python -c pass": Program(command=[sys.executable, "-c", "pass"]),
    "import workbench": Program(command=[sys.executable, "-c", "import workbench"]),
    "workbench read one file": Program(
        command=[sys.executable, "-m", "workbench", "read", "agents/senior-python-architect.md"]
    ),
    "import anthropic": Program(command=[sys.executable, "-c", "import anthropic"]),
    "the same, collector at rest": Program(command=[sys.executable, "-c", _AT_REST]),
    "96 trials compared": Program(command=[sys.executable, "-c", _COMPARED]),
    "... and scipy.special": Program(command=[sys.executable, "-c", f"import scipy.special\n{_COMPARED}"]),
}
ROUNDS = 5


def main() -> None:
    with serve(seconds=0.05) as url:
        trials = {"client of the SDK": client("import", 1, 1, url), "1 trial, 50 ms": client("ours", 1, 1, url)}
        costs = in_turn(PROGRAMS | trials, rounds=ROUNDS)
    for name, found in costs.items():
        print(f"{name:<28} median {median(found, seconds):.2f} s of {ROUNDS}")
    above = statistics.median(
        ours.seconds - imported.seconds
        for ours, imported in zip(costs["1 trial, 50 ms"], costs["import anthropic"], strict=True)
    )
    rest = ratio(costs["the same, collector at rest"], costs["import anthropic"], cpu_seconds)
    print(f"CPU of the SDK's import with the collector at rest / without: {rest:.2f}")
    print(f"1 trial beyond the SDK's import: {above:+.2f} s")
