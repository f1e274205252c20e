"""Each grader against replies of which a person has said what it must find: how often they agree."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.grader_options import GRADERS
from workbench.grading.catalogue import standard
from workbench.trial.graded import graders_by_task
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Grader, Reply, Score, Usage

FILE = Path(__file__).parent / "fixtures" / "graded_replies.yaml"
FEWEST = 20
FEWEST_OF_A_KIND = 5
"""Good ones and bad ones of each grader, with all its options together."""
LEAST_ACCURACY = 0.95
"""Those that a person found hard to say are counted too."""


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


PIECES = (
    "```python\n",
    "```mermaid\n",
    "```\n",
    "def f(x):\n    return x\n",
    "import os\n",
    "A-->B\n",
    "flowchart TD\n",
    "# Trade-offs\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n",
    "- an item\n",
    "We keep the needle in Redis, because it is fast. ",
    "What do you keep?\n",
    "no needle, ",
    '{"id": 1}\n',
    "**a.py**\n",
    "\x00\ud800\u202e",
    "日本語。",
)
"""What replies are made of, in an order that nobody meant."""
LABELS = [(name, label) for name, pool in pools().items() for label in pool["graders"]]


def test_every_grader_of_the_workbench_is_graded() -> None:
    named = {name for pool in pools().values() for written in pool["graders"].values() for name in written}

    assert named == set(standard())


@pytest.mark.parametrize(("name", "label"), LABELS)
def test_grader_agrees_with_people(name: str, label: str) -> None:
    agrees, good, differs = counted(name)
    replies = len(pools()[name]["replies"])

    assert replies >= FEWEST
    assert 0 < good[label] < replies
    assert agrees[label] / replies >= LEAST_ACCURACY, "\n".join(differs[label])


def test_every_grader_has_good_and_bad_replies() -> None:
    good: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for name, pool in pools().items():
        for label, written in pool["graders"].items():
            [grader] = written
            good[grader] += counted(name)[1][label]
            bad[grader] += len(pool["replies"]) - counted(name)[1][label]

    assert {name for name in standard() if min(good[name], bad[name]) < FEWEST_OF_A_KIND} == set()


@pytest.mark.parametrize("name", GRADERS)
@given(text=st.text(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_whatever_a_reply_is_a_grader_gives_a_share_or_declines_and_says_why(name: str, text: str) -> None:
    grader = standard()[name](**GRADERS[name])
    task = Task(id="t", input="How are sessions kept?", target="needle")
    score, again = (grader(task, Reply(text=text)) for _ in range(2))

    assert isinstance(score, Score)
    assert score == again
    assert score.value is None or 0 <= score.value <= 1
    assert score.explanation.strip()


def test_a_label_that_nobody_meant_is_found() -> None:
    for pool in pools().values():
        for written in pool["replies"]:
            assert set(written["passes"]) | set(written.get("unsure", ())) <= set(pool["graders"])
