"""100,000 trials tabulated, reported, and read back from a ledger as columns: each in a process of its own.

`python -m tests.benchmarks.tables STEP` is one of these processes.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import either, workload
from tests.benchmarks.measure import STEPS, Program, Steps, cost
from workbench.definition.agent import Agent
from workbench.trial.task import Task
from workbench.trial.trial import Reply, Request, Run, Score, Trial, Usage

VARIANTS, TASKS, REPEATS = 4, 5_000, 5
TRIALS = VARIANTS * TASKS * REPEATS


def main() -> None:
    for step in ("tabulate", "report", "ledger"):
        printed = cost(Program(command=[sys.executable, "-m", "tests.benchmarks.tables", step])).output.strip()
        print("\n".join(line for line in printed.splitlines() if not line.startswith(STEPS)), flush=True)


def tabulate() -> Steps:
    run = made_up_run()
    before = _peak_mb()
    steps = Steps()

    def imported() -> None:
        import workbench.comparison.tables  # noqa: F401

    steps.timed("imports", imported)
    import workbench as wb

    comparison = steps.timed("compare", lambda: wb.compare(run, baseline="persona 0"))
    steps.timed("text printed", lambda: str(comparison))
    bundle = steps.timed("HTML with its picture, and Markdown", comparison._repr_mimebundle_)
    shown = list(steps.took.values())
    steps.timed("what flipped", lambda: comparison.flipped)
    steps.timed("data frames, pandas imported", lambda: (comparison.by_variant, comparison.by_task, comparison.trials))
    told = ", ".join(f"{name} {seconds:.2f} ({cpu:.2f})" for name, (seconds, cpu) in steps.took.items())
    print(
        f"{TRIALS:,} trials ({VARIANTS} variants x {TASKS:,} tasks x {REPEATS} repeats): compared, printed and shown as "
        f"HTML ({len(bundle['text/html']) / 1e3:.0f} kB) in {_total(shown)}; with what flipped and data frames in "
        f"{_total(list(steps.took.values()))}; peak memory {before:.0f} MB with the run alone, {_peak_mb():.0f} MB in "
        f"the end\n  seconds (of the processor): {told}"
    )
    return steps


def _total(steps: Sequence[tuple[float, float]]) -> str:
    seconds, cpu = map(sum, zip(*steps, strict=True))
    return f"{seconds:.2f} s ({cpu:.2f} s of the processor)"


def report() -> Steps:
    from workbench.comparison.report.write import FORMATS, compared, write_report

    comparison = compared(made_up_run(), None)
    before = _peak_mb()
    steps = Steps()
    told = []
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            files = steps.timed(form, lambda form=form: write_report(comparison, folder, formats=[form]))
            size = sum(file.stat().st_size for file in files) / 1e6
            told.append(f"{form} {steps.took[form][1]:.1f} ({size:.1f} MB)")
    print(
        f"{TRIALS:,} trials reported: seconds of the processor {', '.join(told)}; peak memory {before:.0f} MB before, "
        f"{_peak_mb():.0f} MB in the end"
    )
    return steps


def ledger() -> Steps:
    read_attempts = either.ledger_module("columns").read_attempts
    open_ledger = either.ledger_module("store").open_ledger

    async def write_all(opened: Any) -> None:
        run = made_up_run()
        waiting = iter(run.trials)

        async def worker() -> None:
            for trial in waiting:
                await opened.write(trial, run.variants[trial.variant])

        await asyncio.gather(*(worker() for _ in range(1_000)))

    steps = Steps()
    with tempfile.TemporaryDirectory() as folder, open_ledger(Path(folder) / "ledger.sqlite") as opened:
        steps.timed("written", lambda: asyncio.run(write_all(opened)))
        told = []
        for name, texts in (("all columns", True), ("without the long texts", False)):
            found = steps.timed(name, lambda texts=texts: read_attempts(opened, texts=texts))
            seconds, _ = steps.took[name]
            assert len(found["key"]) == TRIALS
            told.append(f"{name} {seconds:.2f} s ({TRIALS / seconds:,.0f}/s, {len(found)} columns)")
    print(f"{TRIALS:,} attempts read back from the ledger as columns: {', '.join(told)}")
    return steps


def few() -> Steps:
    """96 trials, as a notebook has them."""
    run = made_up_run(variants=2, tasks=12, repeats=4)
    steps = Steps()

    def compared() -> None:
        from workbench.comparison.tables import compare

        str(compare(run, baseline="persona 0"))

    steps.timed("imported, compared and printed", compared)
    return steps


def made_up_run(*, variants: int = VARIANTS, tasks: int = TASKS, repeats: int = REPEATS) -> Run:
    """Passes and failures of tasks that differ in difficulty; every reply and usage another."""
    endpoint = either.server_at("http://127.0.0.1:1")
    systems = [workload.persona(number) for number in range(variants)]
    cases = tuple(Task(id=f"case {number}", input=f"Case {number}", group=f"g{number % 50}") for number in range(tasks))
    agents = {f"persona {number}": Agent(name="a", description="b", prompt=each) for number, each in enumerate(systems)}
    trials = tuple(_made_up_trials(cases, systems, repeats, endpoint))
    return either.run(variants=agents, tasks=cases, repeats=repeats, endpoint=endpoint, trials=trials)


def _made_up_trials(tasks: Sequence[Task], systems: Sequence[str], repeats: int, endpoint: Any) -> Iterator[Trial]:
    drawn = random.Random(20261123)
    words = " ".join(f"word{number}" for number in range(110))
    number_of_trial = 0
    for task in tasks:
        difficulty = drawn.betavariate(0.8, 0.5)
        for number, system in enumerate(systems):
            request = Request(
                model=workload.MODEL,
                system=system,
                messages=({"role": "user", "content": task.message},),
                max_tokens=workload.MAX_TOKENS,
            )
            for repeat in range(repeats):
                reply = Reply(
                    text=f"{task.id} {number} {repeat} {words}",
                    stop_reason="end_turn",
                    model=workload.MODEL,
                    usage=Usage(input_tokens=drawn.randrange(500, 2_000), output_tokens=drawn.randrange(50, 1_000)),
                    request_id=f"req_{number_of_trial}",
                    seconds_to_first_token=drawn.random(),
                    seconds=1 + drawn.random(),
                )
                number_of_trial += 1
                passed = float(drawn.random() < difficulty)
                yield either.trial(
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


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    print({"tabulate": tabulate, "report": report, "ledger": ledger, "few": few}[sys.argv[1]]().line())
