"""The ledger alone: trials a second committed, as a run commits them, and how fast they are read back."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import workload
from workbench.definition.agent import Agent, parse_agent
from workbench.ledger.store import Ledger, open_ledger
from workbench.trial.trial import Endpoint, Reply, Request, Trial, Usage

TRIALS = 5_000
MANY = 100_000
AT_ONCE = 100


def main() -> None:
    agent = parse_agent(f"---\nname: a\ndescription: b\n---\n{workload.persona(0)}\n")
    with tempfile.TemporaryDirectory() as folder:
        for at_once in (1, AT_ONCE):
            path = Path(folder) / f"{at_once}.sqlite"
            with open_ledger(path) as ledger:
                wall, cpu = _timed_write(ledger, trials(TRIALS), agent, at_once)
            size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
            print(
                f"{TRIALS} trials, {at_once} at once, each awaited until it is on disk: {TRIALS / wall:,.0f} trials/s, "
                f"{1e6 * cpu / TRIALS:.0f} microseconds of CPU and {size / TRIALS / 1000:.1f} kB a trial"
            )
        with open_ledger(Path(folder) / "many.sqlite") as ledger:
            many = trials(MANY)
            wall, _ = _timed_write(ledger, many, agent, 1_000)
            keys = [trial.key for trial in many]
            began = time.perf_counter()
            found = ledger.find(keys)
            read = time.perf_counter() - began
        assert len(found) == MANY
        print(f"{MANY} trials written in {wall:.1f} s, their replies read back in {read:.1f} s ({MANY / read:,.0f}/s)")


def trials(count: int) -> Sequence[Trial]:
    """Answered trials of the workload, one persona."""
    system, endpoint = workload.persona(0), Endpoint(kind="server", base_url="http://127.0.0.1:1")
    tasks = [workload.task(number) for number in range(500)]
    text = "four words of text " * 30
    usage = Usage(input_tokens=500, output_tokens=150)
    return [
        Trial(
            variant="persona 0",
            task_id=f"case {number}",
            repeat=0,
            request=Request(
                model=workload.MODEL,
                system=system,
                messages=({"role": "user", "content": f"{number} {tasks[number % 500]}"},),
                max_tokens=workload.MAX_TOKENS,
            ),
            endpoint=endpoint,
            reply=Reply(text=text, stop_reason="end_turn", model=workload.MODEL, usage=usage, seconds=1.0),
        )
        for number in range(count)
    ]


def _timed_write(ledger: Ledger, answered: Sequence[Trial], agent: Agent, at_once: int) -> tuple[float, float]:
    async def write_all() -> None:
        waiting = iter(answered)

        async def worker() -> None:
            for trial in waiting:
                await ledger.write(trial, agent)

        await asyncio.gather(*(worker() for _ in range(at_once)))

    began, used = time.perf_counter(), time.process_time()
    asyncio.run(write_all())
    return time.perf_counter() - began, time.process_time() - used
