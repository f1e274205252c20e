"""One process that writes attempts into a ledger and prints the number of each one once it is on disk.

python -m tests.ledger_writer <address> <first> <count>
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from workbench.definition.agent import Agent
from workbench.ledger.store import open_ledger
from workbench.trial.trial import Endpoint, Reply, Request, Trial

AT_ONCE = 20


def numbered(number: int) -> Trial:
    """An answered trial whose reply is long enough to fill several pages of a database."""
    return Trial(
        variant="base",
        task_id="t",
        repeat=number,
        request=Request(model="m", system="Be kind.", messages=({"role": "user", "content": "Hello"},), max_tokens=9),
        endpoint=Endpoint(kind="server", base_url="http://127.0.0.1:1"),
        reply=Reply(text=f"reply {number} " * 500, stop_reason="end_turn"),
    )


def start_writer(address: str, first: int, count: int) -> subprocess.Popen[str]:
    """A process that writes `count` attempts from `first` on; its output has one line for each that is durable."""
    command = [sys.executable, "-m", "tests.ledger_writer", address, str(first), str(count)]
    root = Path(__file__).parent.parent
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)


async def _write(address: str, first: int, count: int) -> None:
    agent = Agent(name="writer", description="Writes.", prompt="Be kind.")
    numbers = iter(range(first, first + count))
    with open_ledger(address) as ledger:

        async def write_in_turn() -> None:
            for number in numbers:
                await ledger.write(numbered(number), agent)
                print(number, flush=True)

        await asyncio.gather(*(write_in_turn() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(_write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
