"""100,000 trials tabulated, reported, and read back from a ledger as columns: each in a process of its own.

`python -m tests.benchmarks.tables STEP` is one of these processes.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import workload
from tests.benchmarks.measure import Program, cost
from workbench.definition.agent import Agent
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Reply, Request, Run, Score, Trial, Usage

VARIANTS, TASKS, REPEATS = 4, 5_000, 5
TRIALS = VARIANTS * TASKS * REPEATS


def main() -> None:
    for step in ("tabulate", "report", "ledger"):
        print(cost(Program(command=[sys.executable, "-m", "tests.benchmarks.tables", step])).output.strip(), flush=True)


def tabulate() -> None:
    run = made_up_run()
    before = _peak_mb()
    steps: dict[str, tuple[float, float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began, ran = time.perf_counter(), time.process_time()
        done = work()
        steps[name] = (time.perf_counter() - began, time.process_time() - ran)
        return done

    def imported() -> None:
        import workbench.comparison.tables  # noqa: F401

    timed("imports", imported)
    import workbench as wb

    comparison = timed("compare", lambda: wb.compare(run, baseline="persona 0"))
    timed("text printed", lambda: str(comparison))
    bundle = timed("HTML with its picture, and Markdown", comparison._repr_mimebundle_)
    shown = list(steps.values())
    timed("what flipped", lambda: comparison.flipped)
    timed("data frames, pandas imported", lambda: (comparison.by_variant, comparison.by_task, comparison.trials))
    told = ", ".join(f"{name} {seconds:.2f} ({cpu:.2f})" for name, (seconds, cpu) in steps.items())
    print(
        f"{TRIALS:,} trials ({VARIANTS} variants x {TASKS:,} tasks x {REPEATS} repeats): compared, printed and shown as "
        f"HTML ({len(bundle['text/html']) / 1e3:.0f} kB) in {_total(shown)}; with what flipped and data frames in "
        f"{_total(list(steps.values()))}; peak memory {before:.0f} MB with the run alone, {_peak_mb():.0f} MB in the "
        f"end\n  seconds (of the processor): {told}"
    )


def _total(steps: Sequence[tuple[float, float]]) -> str:
    seconds, cpu = map(sum, zip(*steps, strict=True))
    return f"{seconds:.2f} s ({cpu:.2f} s of the processor)"


def report() -> None:
    from workbench.comparison.report.write import FORMATS, compared, write_report

    comparison = compared(made_up_run(), None)
    before = _peak_mb()
    told = []
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            ran = time.process_time()
            files = write_report(comparison, folder, formats=[form])
            size = sum(file.stat().st_size for file in files) / 1e6
            told.append(f"{form} {time.process_time() - ran:.1f} ({size:.1f} MB)")
    print(
        f"{TRIALS:,} trials reported: seconds of the processor {', '.join(told)}; peak memory {before:.0f} MB before, "
        f"{_peak_mb():.0f} MB in the end"
    )


def ledger() -> None:
    from workbench.ledger.columns import read_attempts
    from workbench.ledger.store import Ledger, open_ledger

    async def write_all(opened: Ledger) -> None:
        run = made_up_run()
        waiting = iter(run.trials)

        async def worker() -> None:
            for trial in waiting:
                await opened.write(trial, run.variants[trial.variant])

        await asyncio.gather(*(worker() for _ in range(1_000)))

    with tempfile.TemporaryDirectory() as folder, open_ledger(Path(folder) / "ledger.sqlite") as opened:
        asyncio.run(write_all(opened))
        told = []
        for name, texts in (("all columns", True), ("without the long texts", False)):
            began = time.perf_counter()
            found = read_attempts(opened, texts=texts)
            seconds = time.perf_counter() - began
            assert len(found["key"]) == TRIALS
            told.append(f"{name} {seconds:.2f} s ({TRIALS / seconds:,.0f}/s, {len(found)} columns)")
    print(f"{TRIALS:,} attempts read back from the ledger as columns: {', '.join(told)}")


def made_up_run() -> Run:
    """Passes and failures of tasks that differ in difficulty; every reply and usage another."""
    drawn = random.Random(20261123)
    endpoint = Endpoint(kind="server", base_url="http://127.0.0.1:1")
    systems = [workload.persona(number) for number in range(VARIANTS)]
    tasks = tuple(Task(id=f"case {number}", input=f"Case {number}", group=f"g{number % 50}") for number in range(TASKS))
    words = " ".join(f"word{number}" for number in range(110))
    trials = []
    for task in tasks:
        difficulty = drawn.betavariate(0.8, 0.5)
        for number in range(VARIANTS):
            request = Request(
                model=workload.MODEL,
                system=systems[number],
                messages=({"role": "user", "content": task.message},),
                max_tokens=workload.MAX_TOKENS,
            )
            for repeat in range(REPEATS):
                reply = Reply(
                    text=f"{task.id} {number} {repeat} {words}",
                    stop_reason="end_turn",
                    model=workload.MODEL,
                    usage=Usage(input_tokens=drawn.randrange(500, 2_000), output_tokens=drawn.randrange(50, 1_000)),
                    request_id=f"req_{len(trials)}",
                    seconds_to_first_token=drawn.random(),
                    seconds=1 + drawn.random(),
                )
                passed = float(drawn.random() < difficulty)
                trials.append(
                    Trial(
                        variant=f"persona {number}",
                        task_id=task.id,
                        repeat=repeat,
                        request=request,
                        endpoint=endpoint,
                        reply=reply,
                        scores={
                            "passes": Score(value=passed, explanation="drawn"),
                            "says": Score(value=passed, explanation="drawn"),
                        },
                    )
                )
    variants = {
        f"persona {number}": Agent(name="a", description="b", prompt=systems[number]) for number in range(VARIANTS)
    }
    return Run(variants=variants, tasks=tasks, repeats=REPEATS, endpoint=endpoint, trials=tuple(trials))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    {"tabulate": tabulate, "report": report, "ledger": ledger}[sys.argv[1]]()
