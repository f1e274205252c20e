"""`workbench compare` on 20 agents of 20 projects of the corpus, chosen by hash: edited since their commit, ungraded.

Each lies in a repository of its own and is tried on what its description gives, examples or drafts; the offline stand-in
answers.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import workbench as wb
from tests.benchmarks.measure import Program, cost
from tests.test_versions import agents_by_hash, committed_and_edited
from workbench.trial.description_tasks import tasks_of_description

AGENTS = 20


def main() -> None:
    corpus = Path(os.environ.get("WORKBENCH_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")
    if not (corpus / "index.csv").is_file():
        print(f"the corpus of agent files is not at {corpus}; name its folder in WORKBENCH_CORPUS")
        return
    ended, differ, measured, seconds = 0, 0, 0, 0.0
    for source in agents_by_hash(corpus, AGENTS):
        with tempfile.TemporaryDirectory() as folder:
            path = committed_and_edited(source, Path(folder))
            tasks = len(tasks_of_description(wb.load_agent(path)))
            command = [sys.executable, "-m", "workbench", "compare", str(path), "--offline", "--out", "out"]
            began = time.perf_counter()
            cost(Program(command=command, folder=Path(folder)))
            seconds += time.perf_counter() - began
            comparison = wb.compare(wb.load_run(Path(folder) / "out"), baseline="base")
        [verdict] = comparison.verdicts
        compared = [change for change in comparison.measures if change.kind != "not compared"]
        shown = [change for change in compared if change.kind == "differs"]
        ended += verdict.kind == "not graded" and bool(compared)
        differ += bool(shown)
        measured += len(compared)
        project = source.relative_to(corpus).parts[1]
        print(f"{project}: {tasks} tasks; {verdict.headline}")
    print(
        f"{ended} of {AGENTS} agents of {AGENTS} projects end in a verdict on measures, {measured / AGENTS:.1f} measures "
        f"each; in {differ} at least one is shown to differ; {seconds / AGENTS:.1f} s each"
    )


if __name__ == "__main__":
    main()
