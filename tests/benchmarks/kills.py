"""A run that is killed again and again, at any moment: what is asked for twice, and what the ledger holds."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measure import client
from tests.benchmarks.server import busy, counted, serve

AT_ONCE = 20
KILLS = 100
REQUESTS_A_LIFE = 60
"""At most so many requests are let through between two kills."""


@dataclass(frozen=True, kw_only=True)
class Life:
    """One process, from its start to the signal that ended it."""

    asked: int
    finished: int
    """Trials that this process brought into the ledger."""
    in_flight: int
    """Requests that it had sent and whose replies are not in the ledger."""
    asked_again: int
    """Requests for trials that were in the ledger before it began."""
    torn: bool
    """Whether half a write was left at the end of the ledger's log."""
    integrity: str
    """What SQLite says of the file afterwards."""


def finished_trials(ledger: Path) -> Counter[str]:
    """The whole replies in a ledger, by trial as the server names it; read without the workbench."""
    if not ledger.exists():
        return Counter()
    connection = sqlite3.connect(ledger)
    try:
        rows = connection.execute("select variant, task_id, repeat from attempts where whole").fetchall()
    except sqlite3.OperationalError:
        return Counter()  # killed before it had made its tables
    finally:
        connection.close()
    return Counter(f"{variant}/{task}#{repeat}" for variant, task, repeat in rows)


def live_once(url: str, ledger: Path, trials: int, chance: random.Random) -> Life:
    """Starts the run, lets some requests through and kills it."""
    before, finished_before = counted(url), finished_trials(ledger)
    program = client("ours", trials, AT_ONCE, url, ledger=ledger)
    process = subprocess.Popen(
        program.command, env=os.environ | dict(program.environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    enough = before.requests + chance.randint(1, REQUESTS_A_LIFE)
    while busy(url)[0] < enough and process.poll() is None:
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.02))
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    if process.returncode != -signal.SIGKILL:
        sys.exit(f"the run ended by itself ({process.returncode}): {errors.decode()[-2000:]}")
    while busy(url)[1]:
        time.sleep(0.001)
    log = ledger.with_name(ledger.name + "-wal")
    torn = log.exists() and log.stat().st_size > 0
    if torn:
        with log.open("ab") as file:
            file.write(chance.randbytes(2000))
    connection = sqlite3.connect(ledger)
    integrity = connection.execute("pragma integrity_check").fetchone()[0]
    connection.close()
    asked = counted(url).arrivals - before.arrivals
    finished = finished_trials(ledger) - finished_before
    return Life(
        asked=asked.total(),
        finished=finished.total(),
        in_flight=(asked - finished).total(),
        asked_again=sum(count for trial, count in asked.items() if trial in finished_before),
        torn=torn,
        integrity=integrity,
    )


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came of a run that was killed often and then left in peace."""

    lives: tuple[Life, ...]
    finished: Counter[str]
    requests: int


def kill_and_complete(kills: int, folder: Path, *, trials: int, seed: int = 20261123) -> Found:
    """Kills a run so often, then lets it end."""
    chance, ledger = random.Random(seed), folder / "ledger.sqlite"
    with serve(seconds=0.02, counts=True) as url:
        lives = tuple(live_once(url, ledger, trials, chance) for _ in range(kills))
        program = client("ours", trials, AT_ONCE, url, ledger=ledger)
        subprocess.run(
            program.command, env=os.environ | dict(program.environment), check=True, stdout=subprocess.DEVNULL
        )
        return Found(lives=lives, finished=finished_trials(ledger), requests=counted(url).requests)


def main() -> None:
    trials = KILLS * REQUESTS_A_LIFE
    with tempfile.TemporaryDirectory() as folder:
        found = kill_and_complete(KILLS, Path(folder), trials=trials)
    lives = found.lives
    print(f"{KILLS} SIGKILLs at random moments of a run of {trials} trials, {AT_ONCE} at once")
    print(f"finished trials that were asked for again: {sum(life.asked_again for life in lives)}")
    print(f"in flight when killed, and so asked for twice: at most {max(life.in_flight for life in lives)}")
    print(f"log left behind and half a write added to it: {sum(life.torn for life in lives)} times")
    print(f"file found whole afterwards: {sum(life.integrity == 'ok' for life in lives)} times")
    print(f"in the end {len(found.finished)} trials answered, {max(found.finished.values())} reply each")
    print(f"requests {found.requests} = {trials} + {sum(life.in_flight for life in lives)} in flight")
