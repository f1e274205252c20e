"""A run within a budget that is killed again and again, at any moment: what is asked for twice, what the ledger holds,
and what it says of the money beside what the server counted. The benchmark `namespaces` does the same with two runs at
once, each in a namespace of processes of its own, as in two containers: neither can tell whether the other is alive."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tests.benchmarks import workload
from tests.benchmarks.measure import Program, client
from tests.benchmarks.server import busy, counted, serve
from workbench.trial.catalogue import find_price
from workbench.trial.trial import Usage

AT_ONCE = 20
KILLS = 100
IN_NAMESPACES = 2
UNSHARE = (
    *("unshare", "--pid", "--fork", "--mount-proc", "--kill-child"),
    *(() if os.geteuid() == 0 else ("--map-root-user",)),
)
REQUESTS_A_LIFE = 60
"""At most so many requests are let through between two kills."""
SCOPE = "kills"
_SERVED = Usage(input_tokens=500, output_tokens=150)
"""What the server counts for each reply."""
_FRAME_HEADER, _LOG_HEADER = 24, 32


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
    """Whether there was a log, so that half a write could be put at its end."""
    committed: int
    """Whole replies that the database held when its process was killed, before half a write was put into it."""
    kept: int
    """Those that it holds afterwards."""
    billed_usd: Decimal
    """What all requests so far cost as the server counts them, those that nobody waited for to the end included."""
    taken_usd: Decimal
    """What the ledger says is taken of the budget."""
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


def taken_usd(ledger: Path) -> Decimal:
    """What a ledger says is taken of the budget; read without the workbench."""
    if not ledger.exists():
        return Decimal(0)
    connection = sqlite3.connect(ledger)
    try:
        rows = connection.execute("select picousd from budgets where scope = ?", [SCOPE]).fetchall()
    except sqlite3.OperationalError:
        return Decimal(0)  # killed before it had made its tables
    finally:
        connection.close()
    return Decimal(sum(picousd for (picousd,) in rows)).scaleb(-12)


def billed_usd(requests: int) -> Decimal:
    """What so many requests cost if the server answered and billed each of them."""
    price = find_price(workload.MODEL)
    usd = None if price is None else price.usd(_SERVED)
    if usd is None:
        sys.exit(f"there is no price of {workload.MODEL}")
    return requests * usd


def tear(log: Path, chance: random.Random) -> bool:
    """Puts half a write behind the last of this log, as a loss of power would; False: there is none to go behind.

    The write has the marks of a genuine one, so that only its checksum, or its missing end, tells that it is none.
    """
    content = log.read_bytes() if log.exists() else b""
    if len(content) < _LOG_HEADER:
        return False
    size = _FRAME_HEADER + int.from_bytes(content[8:12], "big")
    marks, end = content[16:24], _LOG_HEADER
    while content[end + 8 : end + 16] == marks and end + size <= len(content):
        end += size
    write = b"".join(
        number.to_bytes(4, "big") + (1000).to_bytes(4, "big") + marks + chance.randbytes(size - 16) for number in (2, 3)
    )
    with log.open("r+b") as file:
        file.seek(end)
        file.write(write[: chance.randrange(1, len(write))])
        file.truncate()
    return True


def committed_trials(ledger: Path) -> int:
    """The whole replies in a copy of the database as a killed process left it."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (ledger.name, f"{ledger.name}-wal"):
            if ledger.with_name(name).exists():
                shutil.copy(ledger.with_name(name), folder)
        return finished_trials(Path(folder) / ledger.name).total()


def why_not_unshared() -> str:
    """Why a process may not be given a namespace of its own here; empty: it may."""
    if shutil.which("unshare") is None:
        return "there is no unshare, so nothing is said of two containers (Debian: apt-get install util-linux)"
    tried = subprocess.run([*UNSHARE, "true"], check=False, capture_output=True, text=True)
    why = f"unshare may not make a namespace of processes here, so nothing is said of two containers: {tried.stderr}"
    return why.strip() if tried.returncode else ""


def live_once(url: str, ledger: Path, programs: Sequence[Program], chance: random.Random) -> Life:
    """Starts the run, several times at once where there are several programs, lets some requests through and kills."""
    before, finished_before = counted(url), finished_trials(ledger)
    processes = [
        subprocess.Popen(
            program.command,
            env=os.environ | dict(program.environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for program in programs
    ]
    enough = before.requests + chance.randint(1, REQUESTS_A_LIFE)
    while busy(url)[0] < enough and all(process.poll() is None for process in processes):
        time.sleep(0.005)
    for process in processes:
        time.sleep(chance.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
    for process in processes:
        _, errors = process.communicate()
        if process.returncode != -signal.SIGKILL:
            sys.exit(f"the run ended by itself ({process.returncode}): {errors.decode()[-2000:]}")
    while busy(url)[1]:
        time.sleep(0.005)
    committed = committed_trials(ledger)
    torn = tear(ledger.with_name(ledger.name + "-wal"), chance)
    connection = sqlite3.connect(ledger)
    integrity = connection.execute("pragma integrity_check").fetchone()[0]
    connection.close()
    now = counted(url)
    asked = now.arrivals - before.arrivals
    kept = finished_trials(ledger)
    finished = kept - finished_before
    return Life(
        asked=asked.total(),
        finished=finished.total(),
        in_flight=(asked - finished).total(),
        asked_again=sum(count for trial, count in asked.items() if trial in finished_before),
        torn=torn,
        committed=committed,
        kept=kept.total(),
        billed_usd=billed_usd(now.requests),
        taken_usd=taken_usd(ledger),
        integrity=integrity,
    )


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came of a run that was killed often and then left in peace."""

    lives: tuple[Life, ...]
    finished: Counter[str]
    requests: int
    ended_with: str
    """What the run that was left in peace printed last; empty: it came to its end."""
    budget_usd: Decimal
    billed_usd: Decimal
    taken_usd: Decimal


def kill_and_complete(
    kills: int, folder: Path, *, trials: int, budget_usd: Decimal, seed: int = 20261123, namespaces: int = 0
) -> Found:
    """Kills a run within this budget so often, then lets it end; with `namespaces`, so many runs of the same at once,
    each in one of its own."""
    chance, ledger = random.Random(seed), folder / "ledger.sqlite"
    with serve(seconds=0.02, counts=True) as url:
        asked = client("hasty" if namespaces else "ours", trials, AT_ONCE, url, ledger=ledger)
        budget = {"WORKBENCH_BUDGET_SCOPE": SCOPE, "WORKBENCH_BUDGET_USD": str(budget_usd)}
        command = [*(UNSHARE if namespaces else ()), *asked.command]
        program = Program(command=command, environment={**asked.environment, **budget})
        lives = tuple(live_once(url, ledger, [program] * max(1, namespaces), chance) for _ in range(kills))
        ended = subprocess.run(
            program.command,
            env=os.environ | dict(program.environment),
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        requests = counted(url).requests
        return Found(
            lives=lives,
            finished=finished_trials(ledger),
            requests=requests,
            ended_with=ended.stderr.strip().rpartition("\n")[2] if ended.returncode else "",
            budget_usd=budget_usd,
            billed_usd=billed_usd(requests),
            taken_usd=taken_usd(ledger),
        )


def main() -> None:
    """One run at a time."""
    report(0)


def report(namespaces: int) -> None:
    """Kills `KILLS` times and prints what came of it; with `namespaces`, so many runs at once."""
    runs = max(1, namespaces)
    trials, budget = KILLS * REQUESTS_A_LIFE, Decimal("5") * runs
    with tempfile.TemporaryDirectory() as folder:
        found = kill_and_complete(KILLS, Path(folder), trials=trials, budget_usd=budget, namespaces=namespaces)
    lives = found.lives
    which = f"{runs} runs at once, each in a namespace of its own" if namespaces else "a run"
    print(f"{KILLS} SIGKILLs at random moments of {which}, of {trials} trials, {AT_ONCE} at once, within {budget} USD")
    print(f"finished trials that were asked for again: {sum(life.asked_again for life in lives)}")
    print(f"in flight when killed, and so asked for twice: at most {max(life.in_flight for life in lives)}")
    print(f"log left behind and half a write put at its end: {sum(life.torn for life in lives)} times")
    print(f"file found whole afterwards: {sum(life.integrity == 'ok' for life in lives)} times")
    print(f"committed replies that were lost: {sum(life.committed - life.kept for life in lives)}")
    print(f"in the end {len(found.finished)} trials answered, {max(found.finished.values())} reply each")
    print(f"requests {found.requests} = {trials} + {sum(life.in_flight for life in lives)} in flight")
    above = sum(not life.billed_usd <= life.taken_usd <= budget for life in lives)
    print(f"billed more than the ledger said was taken, or that more than the budget: {above} times")
    print(
        f"in the end {found.billed_usd:.4f} USD billed at most, {found.taken_usd:.4f} taken, so that killed runs hold "
        f"{found.taken_usd - found.billed_usd:.4f} for what was in flight"
    )
    if found.ended_with:
        sys.exit(found.ended_with)
