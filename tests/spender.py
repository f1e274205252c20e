"""One process that spends of a budget in a ledger, and prints what each call truly takes when it is sent.

python -m tests.spender <address> <limit in USD> <calls> <seed>
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

from workbench.ledger.budget.limits import limit_of
from workbench.ledger.budget.reservation import Budget, open_budget
from workbench.ledger.budget.worst_case import spent_on
from workbench.ledger.store import Ledger, open_ledger
from workbench.trial.trial import Endpoint, Request, Trial, Usage

AT_ONCE = 8
SCOPE = "a batch"
TRIAL = Trial(
    variant="base",
    task_id="t",
    repeat=0,
    request=Request(
        model="claude-opus-5-5",
        system="Be kind.",
        messages=({"role": "user", "content": "Hello"},),
        max_tokens=1000,
    ),
    endpoint=Endpoint(kind="server", base_url="http://127.0.0.1:1"),
)


def start_spender(address: str, usd: float, calls: int, seed: int) -> subprocess.Popen[str]:
    """A process with a line of output for each call: what it takes in USD, and "used up" where no more fitted."""
    command = [sys.executable, "-m", "tests.spender", address, str(usd), str(calls), str(seed)]
    return subprocess.Popen(command, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE, text=True)


def _say(line: str) -> None:
    """In one write: who kills this process in its midst finds the whole line, or none of it."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


async def _call(budget: Budget, ledger: Ledger, chance: random.Random) -> bool:
    reservation = await budget.reserve_when_it_fits(TRIAL.request)
    if reservation is None:
        _say("used up")
        return False
    output = chance.choice([1, 300, 1000])
    usage = Usage(input_tokens=chance.choice([1, 500]), output_tokens=output)
    _say(f"spent {spent_on(TRIAL.request.model, usage).usd}")
    await asyncio.sleep(chance.choice([0, 0.001, 0.01]))
    known = chance.random() < 0.9
    budget.settle(reservation, usage if known else Usage(input_tokens=usage.input_tokens, output_tokens=None))
    await ledger.transact(budget.renew, committed=budget.renewed)
    return True


async def _spend(address: str, usd: float, calls: int, seed: int) -> None:
    chance, waiting = random.Random(seed), iter(range(calls))
    with open_ledger(address) as ledger:
        limits = (limit_of(SCOPE, usd=usd, tokens=None),)
        budget = await open_budget(ledger, [TRIAL], limits, deadline_seconds=60, seconds_between_looks=0.02)

        async def call_in_turn() -> None:
            for _ in waiting:
                if not await _call(budget, ledger, chance):
                    return

        await asyncio.gather(*(call_in_turn() for _ in range(AT_ONCE)))
        await budget.close()


if __name__ == "__main__":
    asyncio.run(_spend(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
