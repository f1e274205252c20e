"""Replies of which a person has said what each grader must find, and how often the graders say the same.

`tests/test_graders_graded.py` holds them to it, and the reference of the graders is built with the counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from workbench.grading.catalogue import standard
from workbench.trial.graded import graders_by_task
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Grader, Reply, Usage

FILE = Path(__file__).parent / "fixtures" / "graded_replies.yaml"


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What a grader says of replies, with all its options together, beside what a person says."""

    good: int
    """Replies that it should pass, counted once for each set of options."""
    bad: int
    agrees: int

    @property
    def accuracy(self) -> float:
        return self.agrees / (self.good + self.bad)


@cache
def pools() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def made(pool: dict[str, Any]) -> tuple[Task, dict[str, Grader]]:
    specs = tuple(
        GraderSpec(name=name, promise=label, options=options or {})
        for label, written in pool["graders"].items()
        for name, options in written.items()
    )
    task = Task(id="t", input="How are sessions kept?", target=pool.get("target"), graders=specs)
    return task, graders_by_task([task], standard())["t"]


def reply_of(pool: dict[str, Any], written: dict[str, Any]) -> Reply:
    if "took" in written:
        seconds, first, read, out, model = written["took"]
        usage = Usage(input_tokens=read, output_tokens=out)
        return Reply(text="Done.", seconds=seconds, seconds_to_first_token=first, usage=usage, model=model)
    text = written["text"]
    return Reply(text=f"```python\n{text}\n```" if pool.get("code") else text)


@cache
def counted(name: str) -> tuple[Counter[str], Counter[str], dict[str, list[str]]]:
    """By grader: how often it agrees, how many good replies there are, and what it says otherwise."""
    pool = pools()[name]
    task, graders = made(pool)
    agrees: Counter[str] = Counter()
    good: Counter[str] = Counter()
    differs: dict[str, list[str]] = {label: [] for label in graders}
    for written in pool["replies"]:
        reply = reply_of(pool, written)
        for label, grader in graders.items():
            score = grader(task, reply)
            value = score.value if hasattr(score, "value") else float(score)
            expected = label in written["passes"]
            good[label] += expected
            if (value is not None and value >= 1) == expected:
                agrees[label] += 1
            else:
                differs[label].append(f"{'should pass' if expected else 'should not pass'}: {score} {written}"[:400])
    return agrees, good, differs


@cache
def agreements() -> dict[str, Agreement]:
    """By grader."""
    found: dict[str, Agreement] = {}
    for name, pool in pools().items():
        agrees, good, _ = counted(name)
        for label, written in pool["graders"].items():
            [grader] = written
            before = found.get(grader, Agreement(good=0, bad=0, agrees=0))
            bad = len(pool["replies"]) - good[label]
            found[grader] = Agreement(
                good=before.good + good[label], bad=before.bad + bad, agrees=before.agrees + agrees[label]
            )
    return found
