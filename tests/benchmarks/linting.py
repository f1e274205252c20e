"""How long `workbench lint` takes for 6,000 agent files: the corpus fifteen times over, in projects of forty."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TIMES = 15
FILES_A_PROJECT = 40


def main() -> None:
    here = Path(__file__).parents[2]
    corpus = Path(os.environ.get("WORKBENCH_CORPUS") or here.parent / "shared" / "corpus")
    published = sorted((corpus / "real").rglob("*.md"))
    if not published:
        print(f"the corpus is not at {corpus}; name its folder in WORKBENCH_CORPUS")
        return
    with tempfile.TemporaryDirectory() as folder:
        for number in range(TIMES * len(published)):
            path = published[number % len(published)]
            agents = Path(folder) / f"{number // FILES_A_PROJECT:04}" / ".claude" / "agents"
            agents.mkdir(parents=True, exist_ok=True)
            (agents / f"{number:05}.md").write_bytes(path.read_bytes())
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "workbench", "lint", folder], capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(done.stdout.rstrip().rpartition("\n")[2])
    print(f"{seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of processor time on {os.cpu_count()} cores")
    print(f"{used.ru_maxrss / 1024:.0f} MB, of the largest process")
