"""What a run costs: ours, streamed and durable, beside loops over the SDK that save nothing.

Whole processes, imports included, in turn on the same server; ratios are medians over the rounds.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from tests.benchmarks.measure import (
    ROUNDS,
    Cost,
    client,
    cost,
    cpu_seconds,
    in_turn,
    median,
    peak_mb,
    ratio,
    seconds,
)
from tests.benchmarks.server import PIECES, serve

TRIALS = 2000
MANY = 20_000
AT_ONCE = 100


def main() -> None:
    throughput()
    long_latency()
    cpu_a_trial()
    memory()


def throughput() -> None:
    with serve(seconds=0.05) as url:
        costs = in_turn({name: client(name, TRIALS, AT_ONCE, url) for name in ("ours", "loop", "gather", "plain")})
    print(f"{TRIALS} trials, 50 ms, {AT_ONCE} at once, whole process (median of {ROUNDS} rounds):")
    for name, title in TITLES.items():
        if name in costs:
            print(
                f"  {title:<58} {median(costs[name], seconds):5.1f} s wall, {median(costs[name], cpu_seconds):5.1f} s "
                f"CPU, {median(costs[name], peak_mb):4.0f} MB; ours / this: "
                f"{ratio(costs['ours'], costs[name], seconds):.2f} wall, "
                f"{ratio(costs['ours'], costs[name], cpu_seconds):.2f} CPU"
            )


TITLES = {
    "ours": "ours: streamed, each reply durable before it counts",
    "loop": "SDK create(stream=True), aiohttp, nothing saved",
    "gather": "SDK gather over create(), not streamed, nothing saved",
    "helper": "SDK messages.stream(), aiohttp, nothing saved",
    "plain": "SDK messages.stream(), nothing saved",
}


def long_latency() -> None:
    floor = TRIALS / AT_ONCE * 1.0
    with serve(seconds=1.0) as url:
        costs = in_turn({"ours": client("ours", TRIALS, AT_ONCE, url), "import": client("import", 1, 1, url)})
    above = statistics.median(
        ours.seconds / (floor + imported.seconds) for ours, imported in zip(costs["ours"], costs["import"], strict=True)
    )
    print(
        f"{TRIALS} trials, 1 s, {AT_ONCE} at once: ours {median(costs['ours'], seconds):.1f} s, floor {floor:.0f} s, "
        f"the SDK's import {median(costs['import'], seconds):.1f} s; ours / (floor + import) {above:.2f}"
    )


def cpu_a_trial() -> None:
    """The CPU of many trials less that of one, so that imports do not count."""
    names = ("ours", "loop", "helper", "plain")
    for pause, title in ((0.0, "each stream written at once"), (0.01, f"{PIECES} pieces, one every 10 ms")):
        with serve(seconds=0.01, seconds_a_piece=pause) as url:
            one = in_turn({f"{name} 1": client(name, 1, AT_ONCE, url) for name in names})
            many = in_turn({name: client(name, TRIALS, AT_ONCE, url) for name in names})
        print(f"CPU a streamed trial without imports, {title}:")
        each = {name: _slopes(many[name], one[f"{name} 1"]) for name in names}
        for name in names:
            print(f"  {TITLES[name]:<58} {1000 * statistics.median(each[name]):5.2f} ms{_beside(each, name)}")


def _slopes(many: Sequence[Cost], one: Sequence[Cost]) -> list[float]:
    start = median(one, cpu_seconds)
    return [(each.cpu_seconds - start) / (TRIALS - 1) for each in many]


def _beside(each: Mapping[str, Sequence[float]], name: str) -> str:
    if name == "ours":
        return ""
    share = statistics.median(ours / other for ours, other in zip(each["ours"], each[name], strict=True))
    return f"; ours / this {share:.2f}"


def memory() -> None:
    with serve() as url:
        few = [cost(client("ours", TRIALS, AT_ONCE, url)) for _ in range(ROUNDS)]
        many = cost(client("ours", MANY, AT_ONCE, url))
    print(
        f"peak memory: {median(few, peak_mb):.0f} MB at {TRIALS} trials, {many.peak_mb:.0f} MB at {MANY} "
        f"({many.peak_mb - median(few, peak_mb):+.0f} MB); {MANY} took {many.seconds:.1f} s"
    )
