"""Trials with their scores: the graders that tasks name are made, and replies are put to them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache, partial
from numbers import Real
from typing import Any

from workbench.errors import GraderError, UnknownGrader
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Grader, GraderFactory, Reply, Score, Trial

_LONGEST_VALUE = 100
"""Characters of what a grader gave that an error quotes."""
_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def grade_trial(trial: Trial, task: Task, graders: Mapping[str, Grader]) -> Trial:
    """The trial with its scores; one that was not answered has none.

    Where a grader raises, its score is missing, and the explanation says why.

    Raises:
        GraderError: a grader gave what is no score.
    """
    if trial.outcome != "answered" or trial.reply is None:
        return trial.replace(scores={})
    found = {promise: _score(promise, grader, task, trial.reply) for promise, grader in graders.items()}
    kinds = tuple(type(score.value).__name__ for score in found.values())
    return trial.replace(scores=_held_once(tuple(found.items()), kinds))


def _score(promise: str, grader: Grader, task: Task, reply: Reply) -> Score:
    try:
        found: object = grader(task, reply)
    except Exception as error:  # noqa: BLE001 - whatever somebody's grader raises, the other scores are there
        return Score(value=None, explanation=f"the grader raised {type(error).__name__}: {error}")
    value = found.value if isinstance(found, Score) else found
    explanation: object = found.explanation if isinstance(found, Score) else ""
    declines = isinstance(found, Score) and value is None
    number = None if declines else _number(value)
    if (number is None and not declines) or not isinstance(explanation, str):
        given = value if isinstance(explanation, str) else found
        raise GraderError(
            f"the grader of the promise {promise!r} gave {_in_short(given)} for a reply to task {task.id!r}; it gives "
            "a number from 0 to 1, True or False, or a Score of one (of None, where it declines) with a text that says "
            "why"
        )
    if isinstance(found, Score) and value is number:
        return found
    return Score(value=number, explanation=str(explanation))


def _number(value: object) -> float | None:
    """The value as a number of 0..1, an `int` or `float` as it is; `None` where it is none."""
    item = getattr(value, "item", None)
    if getattr(value, "shape", None) == () and callable(item):
        value = item()  # numpy's truth values and arrays of one number are no numbers to Python
    if isinstance(value, bool) or not isinstance(value, int | float):
        if not isinstance(value, Real | Decimal):
            return None
        value = float(value)
    number: float = value
    return number if 0 <= number <= 1 else None  # NaN is neither


def _in_short(value: object) -> str:
    text = f"{value!r}, a {type(value).__name__}"
    return text if len(text) <= _LONGEST_VALUE else f"a {type(value).__name__}"


@lru_cache(maxsize=1_000)
def _held_once(scores: tuple[tuple[str, Score], ...], _kinds: tuple[str, ...]) -> Mapping[str, Score]:
    """One mapping for all trials whose scores are equal and print alike, for graders say the same of many replies: with
    two graders, 2.5 MB instead of 10.7 for the 20,000 trials of the benchmark `trials`. `_kinds`, for 1 equals 1.0."""
    return dict(scores)


def graders_by_task(tasks: Iterable[Task], catalogue: Mapping[str, GraderFactory]) -> dict[str, dict[str, Grader]]:
    """The graders that tasks name, by task id and then by promise; made once for all tasks that share their `graders`.

    The catalogue may hold graders as well as what makes them; see `GraderFactory`.

    Raises:
        UnknownGrader: the catalogue has none of that name, or it does not take these options.
    """
    named = {id(task.graders): task.graders for task in tasks}
    made = {key: {spec.promise: _make_grader(spec, catalogue) for spec in specs} for key, specs in named.items()}
    return {task.id: made[id(task.graders)] for task in tasks}


def _make_grader(spec: GraderSpec, catalogue: Mapping[str, GraderFactory]) -> Grader:
    factory = catalogue.get(spec.name)
    if factory is None:
        known = (
            f"there are {', '.join(sorted(catalogue))}" if catalogue else "pass graders=workbench.graders.standard()"
        )
        raise UnknownGrader(f"{spec.where}: graders: there is no grader {spec.name!r}; {known}")
    try:
        return _with_options(factory, spec.options) if _is_grader(factory) else factory(**spec.options)
    except (TypeError, ValueError) as error:
        raise UnknownGrader(f"{spec.where}: graders: {spec.name}: {error}") from error


def _is_grader(function: Callable[..., object]) -> bool:
    """Whether it is a grader itself: it takes a task and a reply, by position, and beside them has defaults only."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # what is written in C may not say what it takes
        return False
    needed = [each for each in parameters if each.default is each.empty and each.kind not in _STARRED]
    return len(needed) == 2 and all(each.kind in _BY_POSITION for each in needed)


def _with_options(grader: Grader, options: Mapping[str, Any]) -> Grader:
    """The grader with these options, which `inspect` checks before a reply is there."""
    if not options:
        return grader
    inspect.signature(grader).bind(None, None, **options)
    return partial(grader, **options)
