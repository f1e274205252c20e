"""A run against every fault at once: what the server did, beside what the run says and what the ledger holds."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.benchmarks import workload
from tests.benchmarks.server import FAULTS, Counted, counted, serve
from workbench.definition.agent import parse_agent
from workbench.model.anthropic import open_anthropic
from workbench.model.retrying import Retry
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.task import Task
from workbench.trial.trial import Run

SHARE = 0.15
TRIALS = 2000
AT_ONCE = 50


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a ledger of SQLite holds."""

    attempts: int
    whole: Counter[str]
    """How many whole replies each key has."""
    failures: Counter[tuple[str, int | None]]
    """How many attempts ended in each failure, by type and status."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One run as three witnesses tell it."""

    run: Run
    ledger: Stored
    server: Counted


def plan(trials: int) -> Plan:
    """The workload as a plan."""
    personas = min(workload.PERSONAS, trials)
    variants = {
        f"persona {number}": parse_agent(f"---\nname: a\ndescription: b\n---\n{workload.persona(number)}\n")
        for number in range(personas)
    }
    tasks = [Task(id=f"case {number}", input=workload.task(number)) for number in range(trials // personas)]
    return plan_trials(variants, tasks, model=workload.MODEL, max_tokens=workload.MAX_TOKENS)


def read_ledger(path: Path) -> Stored:
    """Read without the workbench, so that it can not agree with itself."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("select key, whole, failure_type, failure_status from attempts").fetchall()
    connection.close()
    return Stored(
        attempts=len(rows),
        whole=Counter(key for key, whole, _, _ in rows if whole),
        failures=Counter((kind, status) for _, _, kind, status in rows if kind is not None),
    )


def expected_failures(server: Counted) -> Counter[tuple[str, int | None]]:
    """What a ledger must hold after these faults."""
    expected: Counter[tuple[str, int | None]] = Counter()
    for fault, count in server.faults.items():
        if FAULTS[fault][0]:
            expected[FAULTS[fault]] += count
    return expected


def run_against_faults(trials: int, ledger: Path, *, share: float = SHARE) -> Found:
    """Runs the plan against a server of which this share of the requests fails."""
    with serve(faulty_share=share) as url:
        os.environ["ANTHROPIC_BASE_URL"] = url
        run = run_trials(
            plan(trials),
            ledger=ledger,
            concurrency=AT_ONCE,
            progress=False,
            retry=Retry(first_seconds=0.01),
            open_model=partial(open_anthropic, silence_seconds=2.0),
        )
        return Found(run=run, ledger=read_ledger(ledger), server=counted(url))


def main() -> None:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = run_against_faults(TRIALS, Path(folder) / "ledger.sqlite")
    seconds = time.perf_counter() - began
    outcomes = Counter(trial.outcome for trial in found.run.trials)
    named = Counter(trial.failure.type for trial in found.run.trials if trial.failure)
    answered, whole = outcomes["answered"], found.ledger.whole
    print(f"{TRIALS} trials, {AT_ONCE} at once, {SHARE:.0%} of requests fail in {len(FAULTS)} ways: {seconds:.1f} s")
    print(f"outcomes: {dict(outcomes)}; errors: {dict(named)}")
    print(f"requests at the server {found.server.requests}, attempts in the ledger {found.ledger.attempts}")
    print(f"answered to the end by the server {found.server.answered}, whole replies in the ledger {whole.total()}")
    print(f"answered twice: {sum(count > 1 for count in whole.values())}; lost: {TRIALS - outcomes.total()}")
    print("faults of the server:", dict(sorted(found.server.faults.items())))
    expected = expected_failures(found.server)
    for failure in sorted(expected | found.ledger.failures, key=str):
        print(f"{failure!s:<32} server {expected[failure]:>4}, ledger {found.ledger.failures[failure]:>4}")
    ended = outcomes["answered"] + sum(named.values())
    if (ended, answered, found.ledger.failures) != (TRIALS, found.server.answered, expected) or max(whole.values()) > 1:
        sys.exit("the three do not agree")
