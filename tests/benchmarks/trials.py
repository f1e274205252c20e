"""What a streamed trial costs: ours, durable in the ledger, against a bare loop over the SDK that saves nothing.

Each in a fresh process, in turn, on the same server; whole-process wall and CPU seconds.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from tests.benchmarks.server import serve

TRIALS = 1000
AT_ONCE = 50
ROUNDS = 3

OURS = f"""
import workbench as wb
from workbench.trial.task import Task
agent = wb.parse_agent("---\\nname: a\\ndescription: b\\nmodel: sonnet\\n---\\n" + "You design systems with care. " * 70)
tasks = [Task(id=str(n), input=f"task {{n}} " * 40) for n in range({TRIALS})]
run = wb.run_trials(wb.plan_trials({{"base": agent}}, tasks), concurrency={AT_ONCE}, progress=False)
assert all(trial.outcome == "answered" for trial in run.trials)
"""

BARE = f"""
import asyncio, anthropic
async def main():
    limit = asyncio.Semaphore({AT_ONCE})
    async with anthropic.AsyncAnthropic(max_retries=0) as client:
        async def one(n):
            async with limit, client.messages.stream(model="claude-sonnet-5-5", max_tokens=8000,
                    system="You design systems with care. " * 70,
                    messages=[{{"role": "user", "content": f"task {{n}} " * 40}}]) as stream:
                return (await stream.get_final_message()).content[0].text
        replies = await asyncio.gather(*(one(n) for n in range({TRIALS})))
        assert all(replies)
asyncio.run(main())
"""


def _timed(code: str, url: str) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "none",
            "WORKBENCH_LEDGER": f"{folder}/ledger.sqlite",
        }
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.DEVNULL)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    with serve(seconds=0.05) as url:
        rounds = [(_timed(OURS, url), _timed(BARE, url)) for _ in range(ROUNDS)]
    for what, index in (("wall", 0), ("CPU", 1)):
        ours = statistics.median(ours[index] for ours, _ in rounds)
        bare = statistics.median(bare[index] for _, bare in rounds)
        ratio = statistics.median(ours[index] / bare[index] for ours, bare in rounds)
        print(
            f"{TRIALS} streamed trials, {AT_ONCE} at once, {what}: ours {ours:.1f} s, bare SDK stream {bare:.1f} s, "
            f"ratio {ratio:.2f} (median of {ROUNDS} pairs)"
        )
