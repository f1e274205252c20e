"""A run of which everything is in the ledger: from the start of the process to the printed table."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.measure import ROUNDS, client, cost, cpu_seconds, in_turn, median, peak_mb, seconds
from tests.benchmarks.server import counted, serve

TRIALS = 2000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, serve() as url:
        ledger = Path(folder) / "ledger.sqlite"
        cost(client("ours", TRIALS, 100, url, ledger=ledger))
        before = counted(url).requests
        again = {"run again": client("again", TRIALS, 100, url, ledger=ledger)}
        imports = {f"import {name}": client("import", 1, 1, url) for name in ("anthropic",)}
        costs = in_turn(again | imports, rounds=2 * ROUNDS - 1)
        sent = counted(url).requests - before
    found = costs["run again"]
    print(
        f"{TRIALS} trials, all in the ledger: run_trials, compare, table printed: {median(found, seconds):.2f} s whole "
        f"process ({median(found, cpu_seconds):.2f} s CPU, {median(found, peak_mb):.0f} MB; median of {len(found)}); "
        f"{median(found, seconds) / median(costs['import anthropic'], seconds):.2f} of the SDK's import; "
        f"requests sent: {sent}"
    )
    print(found[0].output.strip().splitlines()[-1])
