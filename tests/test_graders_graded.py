"""Each grader against replies of which a person has said what it must find: how often they agree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graded_replies import agreements, counted, pools
from tests.grader_options import COMBINING, GRADERS, MEASURED, PROGRAMS
from workbench.grading.catalogue import standard
from workbench.grading.python_tools import MOST_CHARACTERS
from workbench.trial.catalogue import price_usd
from workbench.trial.task import Task
from workbench.trial.trial import Grader, Reply, Score, Usage

FEWEST = 20
FEWEST_OF_A_KIND = 5
"""Good ones and bad ones of each grader, with all its options together."""
LEAST_ACCURACY = 0.95
"""Those that a person found hard to say are counted too."""


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
    found = agreements()

    assert found.keys() == set(standard())
    assert {name for name, each in found.items() if min(each.good, each.bad) < FEWEST_OF_A_KIND} == set()
    assert {name for name, each in found.items() if each.good + each.bad < FEWEST} == set()


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


def said(score: Any) -> Score:
    """It is a share or declines, and says why."""
    assert isinstance(score, Score)
    assert score.value is None or 0 <= score.value <= 1
    assert score.explanation.strip()
    return score


seconds_taken = st.none() | st.floats(min_value=0, max_value=1e9)
tokens_taken = st.none() | st.integers(min_value=0, max_value=10**12)
REPLIES = st.builds(
    Reply,
    text=st.text(max_size=20),
    model=st.sampled_from(["", "claude-haiku-4-5", "claude-sonnet-5-5", "nobody's"]),
    seconds=seconds_taken,
    seconds_to_first_token=seconds_taken,
    usage=st.builds(Usage, input_tokens=tokens_taken, output_tokens=tokens_taken),
)
TASK = Task(id="t", input="How are sessions kept?")


@pytest.mark.parametrize(("name", "options"), [*MEASURED.items(), ("latency", {"at_most": 10, "first_token": True})])
@given(reply=REPLIES, other=st.text(max_size=20))
def test_what_a_reply_took_is_a_share_or_declines_whatever_it_says(
    name: str, options: dict[str, Any], reply: Reply, other: str
) -> None:
    grader = standard()[name](**options)
    score = said(grader(TASK, reply))

    assert grader(TASK, replace(reply, text=other)) == score, "the text has no part in it"
    taken = {
        "latency": reply.seconds_to_first_token if "first_token" in options else reply.seconds,
        "tokens": reply.usage.output_tokens,
        "cost": price_usd(reply.model, reply.usage),
    }[name]
    assert (score.value is None) == (taken is None)
    if taken is not None:
        high = options["at_most"]
        assert (score.value == 1) == (taken <= high) and (score.value == 0) == (taken >= 2 * high)


@pytest.mark.parametrize("name", ["latency", "tokens"])
@given(reply=REPLIES, more=st.integers(min_value=1, max_value=10**6))
def test_what_takes_more_never_scores_higher(name: str, reply: Reply, more: int) -> None:
    grader = standard()[name](**MEASURED[name])
    usage = replace(reply.usage, output_tokens=(reply.usage.output_tokens or 0) + more)
    longer = replace(reply, usage=usage, seconds=(reply.seconds or 0) + more)
    less, dearer = said(grader(TASK, reply)).value, said(grader(TASK, longer)).value

    assert dearer is not None and (less is None or dearer <= less)


def says(value: float | None) -> Grader:
    return lambda task, reply: Score(value=value, explanation=f"says {value}")


PARTS = st.lists(st.none() | st.floats(min_value=0, max_value=1), min_size=2, max_size=6)


@given(values=PARTS, least=st.floats(min_value=0.01, max_value=1))
def test_combining_gives_the_least_the_most_and_the_share(values: list[float | None], least: float) -> None:
    parts = [says(value) for value in values]
    known = [value for value in values if value is not None]
    made = standard()
    whole, some = (said(made[name](graders=parts)(TASK, Reply(text=""))) for name in ("all_of", "any_of"))
    enough = said(made["at_least"](graders=parts, count=2, score=least)(TASK, Reply(text="")))

    assert (whole.value, some.value) == ((min(known), max(known)) if known else (None, None))
    assert enough.value == min(1, sum(value >= least for value in known) / 2)
    for name, options in COMBINING.items():
        turned = made[name](graders=parts[::-1], **options)(TASK, Reply(text=""))
        assert said(turned).value == said(made[name](graders=parts, **options)(TASK, Reply(text=""))).value


@pytest.mark.parametrize("name", COMBINING)
@given(text=st.text(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_graders_of_graders_never_raise_and_count_no_denial(name: str, text: str) -> None:
    parts = [standard()["mentions"](any=["rate limit"]), standard()["asks_question"](), standard()["python_parses"]()]
    grader = standard()[name](graders=parts, **COMBINING[name])

    assert said(grader(TASK, Reply(text=text))) == grader(TASK, Reply(text=text))
    denied = said(grader(TASK, Reply(text="There is no rate limit here, and nobody needs a rate limit.")))
    assert denied.value == 0


@pytest.mark.parametrize("name", PROGRAMS)
@settings(max_examples=8)
@given(code=st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
def test_a_program_gives_a_share_or_declines_whatever_the_code_is(name: str, code: str) -> None:
    grader = standard()[name](**PROGRAMS[name])

    said(grader(TASK, Reply(text=f"```python\n{code}\n```")))
    assert said(grader(TASK, Reply(text=code.replace("`", "")))).value is None, "no Python, no score"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_reply_that_is_too_long_for_a_program_declines_at_once(name: str) -> None:
    grader = standard()[name](**PROGRAMS[name])
    score = said(grader(TASK, Reply(text="```python\n" + "x = 1\n" * MOST_CHARACTERS + "```")))

    assert score.value is None and "characters" in score.explanation


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ruff", "import os  # noqa: F401\n"),
        ("mypy", "x: int = ''  # type: ignore\n"),
        ("mypy", "#mypy: ignore-errors\nx: int = ''  #type:ignore[assignment]\n"),
    ],
)
def test_what_tells_a_program_to_look_away_is_seen(name: str, code: str) -> None:
    """A comment that denies a fault does not take it away."""
    score = said(standard()[name](**PROGRAMS[name])(TASK, Reply(text=f"```python\n{code}```")))

    assert score.value in (0, None), score


def test_a_label_that_nobody_meant_is_found() -> None:
    for pool in pools().values():
        for written in pool["replies"]:
            assert set(written["passes"]) | set(written.get("unsure", ())) <= set(pool["graders"])
