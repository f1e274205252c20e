"""What a budget costs: the same trials without one, and within one that the ledger keeps."""

from __future__ import annotations

import statistics

from tests.benchmarks.measure import Program, client, cpu_seconds, in_turn, median, seconds
from tests.benchmarks.server import serve

TRIALS = 2_000
SETTINGS = ((100, 0.05), (20, 0.05))
"""At once, and the seconds before each reply."""


def main() -> None:
    for at_once, latency in SETTINGS:
        with serve(seconds=latency) as url:
            without = client("ours", TRIALS, at_once, url)
            budget = {"WORKBENCH_BUDGET_SCOPE": "benchmark", "WORKBENCH_BUDGET_USD": "100"}
            within = Program(command=without.command, environment={**without.environment, **budget})
            costs = in_turn({"without": without, "within": within})
        pairs = list(zip(costs["within"], costs["without"], strict=True))
        print(
            f"{TRIALS} trials, {at_once} at once, {1000 * latency:.0f} ms: without a budget "
            f"{median(costs['without'], seconds):.2f} s ({median(costs['without'], cpu_seconds):.2f} s of CPU), within "
            f"one {median(costs['within'], seconds):.2f} s ({median(costs['within'], cpu_seconds):.2f}); more a trial: "
            f"{1000 * statistics.median(one.seconds - other.seconds for one, other in pairs) / TRIALS:.3f} ms, "
            f"{1000 * statistics.median(one.cpu_seconds - other.cpu_seconds for one, other in pairs) / TRIALS:.3f} of CPU"
        )
