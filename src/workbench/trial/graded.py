"""Trials with their scores: the graders that tasks name are made, and replies are put to them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache, partial
from numbers import Real
from typing import Any

from workbench.errors import GraderError, UnknownGrader
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import NO_SCORES, NONE_RECORDED, Grader, GraderFactory, Reply, Score, Trial

PARTS = "graders"
"""The option of a grader that combines others. Its factory has the attribute `combines`, and is handed them made."""
_LONGEST_VALUE = 100
"""Characters of what a grader gave that an error quotes."""
_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def looks_for_words(name: str, options: Mapping[str, Any]) -> bool:
    """Whether a reply that only names what this grader looks for satisfies it, whatever it says of it: `mentions`, one
    of several where one of them does, and all of several where all do."""
    parts = [_part_of(part) for part in options.get(PARTS, ())]
    if not parts:
        return name == "mentions"
    return (any if name == "any_of" else all)(looks_for_words(*part) for part in parts)


def _part_of(written: object) -> tuple[str, Mapping[str, Any]]:
    if isinstance(written, Mapping):
        name, options = next(iter(written.items()), ("", None))
        return str(name), options if isinstance(options, Mapping) else {}
    return str(written), {}


def grade_trial(trial: Trial, task: Task, graders: Mapping[str, Grader]) -> Trial:
    """The trial with its scores; one that was not answered has none.

    Where a grader raises, its score is missing, and the explanation says why.

    Raises:
        GraderError: a grader gave what is no score.
    """
    if trial.outcome != "answered" or trial.reply is None:
        return trial.replace(scores=NO_SCORES, as_recorded=NONE_RECORDED)
    found = {promise: _score(promise, grader, task, trial.reply) for promise, grader in graders.items()}
    kinds = tuple(type(score.value).__name__ for score in found.values())
    return trial.replace(scores=_held_once(tuple(found.items()), kinds), as_recorded=NONE_RECORDED)


def score_reply(promise: str, grader: Grader, task: Task, reply: Reply) -> Score:
    """What the grader says of one reply; whatever it raises is raised.

    Raises:
        GraderError: it gave what is no score.
    """
    return _checked(promise, grader(task, reply), task)


def _score(promise: str, grader: Grader, task: Task, reply: Reply) -> Score:
    try:
        found: object = grader(task, reply)
    except Exception as error:  # noqa: BLE001 - whatever somebody's grader raises, the other scores are there
        return Score(value=None, explanation=f"the grader raised {type(error).__name__}: {error}")
    return _checked(promise, found, task)


def _checked(promise: str, found: object, task: Task) -> Score:
    value = found.value if isinstance(found, Score) else found
    explanation: object = found.explanation if isinstance(found, Score) else ""
    declines = isinstance(found, Score) and value is None
    number = None if declines else _number(value)
    if (number is None and not declines) or not isinstance(explanation, str):
        given = value if isinstance(explanation, str) else found
        name = next((f"{spec.name!r} " for spec in task.graders if spec.promise == promise), "")
        raise GraderError(
            f"the grader {name}of the promise {promise!r} gave {_in_short(given)}, for a reply to task {task.id!r}; it "
            "gives a number from 0 to 1, True or False, or a Score of one (of None, where it declines) with a text "
            "that says why"
        )
    if isinstance(found, Score):
        return found if value is number else replace(found, value=number)
    return Score(value=number, explanation=str(explanation))


def _number(value: object) -> float | None:
    """The value as a number of 0..1, an `int` or `float` as it is; `None` where it is none."""
    if type(value) is float or type(value) is int:  # as nearly always
        return value if 0 <= value <= 1 else None
    item = getattr(value, "item", None)
    if getattr(value, "shape", None) == () and callable(item):
        value = item()  # numpy's truth values and arrays of one number are no numbers to Python
    if isinstance(value, bool) or not isinstance(value, int | float):
        if not isinstance(value, Real | Decimal):
            return None
        try:
            value = float(value)
        except (OverflowError, ValueError):  # a fraction beyond what a float holds; a NaN that signals
            return None
    number: float = value
    return number if 0 <= number <= 1 else None  # NaN is neither


def _in_short(value: object) -> str:
    kind = f"of type {type(value).__name__}"
    try:
        text = f"{value!r}, {kind}"
    except Exception:  # noqa: BLE001 - whatever it raises: the grader is named all the same
        return f"something {kind}"
    return text if len(text) <= _LONGEST_VALUE else f"something {kind}"


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


def grader_faults(
    tasks: Iterable[Task], catalogue: Mapping[str, GraderFactory]
) -> tuple[tuple[Task, GraderSpec, UnknownGrader], ...]:
    """Every grader that cannot be made, with the first task that names it and why; see `graders_by_task`."""
    found: dict[tuple[str, str], tuple[Task, GraderSpec, UnknownGrader]] = {}
    for task in tasks:
        for spec in task.graders:
            try:
                _make_grader(spec, catalogue)
            except UnknownGrader as error:
                found.setdefault((spec.where, str(error)), (task, spec, error))
    return tuple(found.values())


def _make_grader(spec: GraderSpec, catalogue: Mapping[str, GraderFactory]) -> Grader:
    factory = catalogue.get(spec.name)
    if factory is None:
        known = (
            f"there are {', '.join(sorted(catalogue))}" if catalogue else "pass graders=workbench.graders.standard()"
        )
        near = difflib.get_close_matches(spec.name, list(catalogue), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownGrader(f"{spec.where}: graders: there is no grader {spec.name!r}; {hint}{known}")
    try:
        if _is_grader(factory):
            made = _with_options(factory, spec.options)
        else:
            made = factory(**_with_parts(spec, factory, catalogue))
    except (TypeError, ValueError) as error:
        raise UnknownGrader(f"{spec.where}: graders: {spec.name}: {error}") from error
    return made if spec.weight == 1 and spec.required is None else _counted(made, spec)


def _with_parts(spec: GraderSpec, factory: GraderFactory, catalogue: Mapping[str, GraderFactory]) -> Mapping[str, Any]:
    """The options, with graders that are named in them made: those of `all_of` and its like."""
    written = spec.options.get(PARTS)
    if not isinstance(written, list | tuple) or not getattr(factory, "combines", False):
        return spec.options
    parts = []
    for item in written:
        name, options = (item, None) if isinstance(item, str) else (None, None)
        if isinstance(item, Mapping) and len(item) == 1:
            [(name, options)] = item.items()
        if not isinstance(name, str) or not isinstance(options, Mapping | None):
            raise TypeError(
                f"`{PARTS}` takes graders, each a name or one name with its options (`- mentions: {{any: [JWT]}}`), "
                f"found {item!r}"
            )
        parts.append(
            _make_grader(GraderSpec(name=name, promise=name, options=options or {}, where=spec.where), catalogue)
        )
    return {**spec.options, PARTS: parts}


def _counted(grader: Grader, spec: GraderSpec) -> Grader:
    """The grader, whose scores say how the task counts them."""

    def grade(task: Task, reply: Reply) -> Score:
        found = grader(task, reply)
        value, explanation = (found.value, found.explanation) if isinstance(found, Score) else (found, "")
        return Score(value=value, explanation=explanation, weight=spec.weight, required=spec.required)

    return grade


def options_of(factory: GraderFactory) -> tuple[str, ...]:
    """The names of the options that a task file can give it; task and reply, which a grader itself takes, are none."""
    try:
        names = tuple(inspect.signature(factory).parameters)
    except ValueError:  # what is written in C may not say what it takes
        return ()
    return names[2:] if _is_grader(factory) else names


def purpose_of(factory: GraderFactory) -> str:
    """What it is for, in a line: the first of its docstring."""
    return (inspect.getdoc(factory) or "Of an installed package.").splitlines()[0]


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
