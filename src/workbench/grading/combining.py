"""Graders made of graders: all of them, any of them, so many of them.

In a task file each part is written as in `graders`: a name, or one name with its options.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from workbench.grading import options
from workbench.trial.task import Task
from workbench.trial.trial import Grader, Reply, Score

MOST_SHOWN = 200
"""Characters of a part's reason."""


def all_of(*, graders: Sequence[Grader]) -> Grader:
    """A grader that gives what the least content of its graders gives: 1 where all are content.

    Those that decline are left out; it declines where all do.

    Raises:
        TypeError, ValueError: `graders` is not a list of at least one grader.
    """
    return _picking(min, graders)


def any_of(*, graders: Sequence[Grader]) -> Grader:
    """A grader that gives what the most content of its graders gives: 1 where one is content.

    Those that decline are left out; it declines where all do.

    Raises:
        TypeError, ValueError: `graders` is not a list of at least one grader.
    """
    return _picking(max, graders)


def at_least(*, graders: Sequence[Grader], count: int, score: float = 1.0) -> Grader:
    """A grader that is 1 where so many of its graders give at least `score`, and below that their share of `count`.

    One that declines is not content.

    Raises:
        TypeError, ValueError: `graders` is not a list of graders, `count` not a whole number of at most so many, or
            `score` not a number above 0 and up to 1.
    """
    parts = _parts(graders)
    needed, least = options.count("count", count), options.share("score", score)
    if needed > len(parts):
        raise ValueError(f"`count` asks for {needed} of {len(parts)} graders")

    def grade(task: Task, reply: Reply) -> Score:
        found = _scores(parts, task, reply)
        content = sum(each.value is not None and each.value >= least for each in found)
        missed = next((each.explanation for each in found if each.value is None or each.value < least), "")
        ending = f"; the first that is not: {missed}" if content < needed else ""
        explanation = f"{content} of {len(parts)} graders are content, {needed} wanted{ending}"
        return Score(value=min(1.0, content / needed), explanation=explanation)

    return grade


for _factory in (all_of, any_of, at_least):
    _factory.__dict__["combines"] = True  # by this it is handed its parts made: see `graded.PARTS`


def _picking(pick: Callable[..., Score], graders: Sequence[Grader]) -> Grader:
    """What the picked one of its graders gives, of those that do not decline."""
    parts = _parts(graders)

    def grade(task: Task, reply: Reply) -> Score:
        found = [score for score in _scores(parts, task, reply) if score.value is not None]
        if not found:
            return Score(value=None, explanation="all declined")
        picked = pick(found, key=_value)
        return Score(value=picked.value, explanation=picked.explanation)

    return grade


def _parts(graders: object) -> Sequence[Callable[..., Any]]:
    if not isinstance(graders, list | tuple) or not graders or not all(callable(each) for each in graders):
        raise TypeError(f"`graders` takes a list of at least one grader, found {graders!r}")
    return graders


def _scores(parts: Sequence[Callable[..., Any]], task: Task, reply: Reply) -> list[Score]:
    found = []
    for part in parts:
        given = part(task, reply)
        score = given if isinstance(given, Score) else Score(value=float(given), explanation="")
        found.append(Score(value=score.value, explanation=score.explanation[:MOST_SHOWN]))
    return found


def _value(score: Score) -> float:
    return -1.0 if score.value is None else score.value
