"""The figures that the documents quote: `make bench`, or `python -m tests.benchmarks [corpus|trials|start]`."""

from __future__ import annotations

import sys

from tests.benchmarks import corpus, start, trials

BENCHMARKS = {"corpus": corpus.main, "start": start.main, "trials": trials.main}

for name in sys.argv[1:] or BENCHMARKS:
    print(f"# {name}")
    BENCHMARKS[name]()
    print()
