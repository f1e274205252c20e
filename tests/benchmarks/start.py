"""How long it takes to begin: fresh processes, wall seconds."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import workbench": [sys.executable, "-c", "import workbench"],
    "workbench read one file": [sys.executable, "-m", "workbench", "read", "agents/senior-python-architect.md"],
    "import anthropic": [sys.executable, "-c", "import anthropic"],
}


def main() -> None:
    for name, command in COMMANDS.items():
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - began)
        print(f"{name:<28} median {statistics.median(seconds):.2f} s of 5")
