"""Trials with their scores: the graders that tasks name are made, and replies are put to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from workbench.errors import UnknownGrader
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Grader, GraderFactory, Score, Trial


def grade_trial(trial: Trial, task: Task, graders: Mapping[str, Grader]) -> Trial:
    """The trial with its scores; one that was not answered has none."""
    if trial.outcome != "answered" or trial.reply is None:
        return replace(trial, scores={})
    found = {promise: grader(task, trial.reply) for promise, grader in graders.items()}
    kinds = tuple(type(score.value).__name__ for score in found.values())
    return replace(trial, scores=_held_once(tuple(found.items()), kinds))


@lru_cache(maxsize=1_000)
def _held_once(scores: tuple[tuple[str, Score], ...], _kinds: tuple[str, ...]) -> Mapping[str, Score]:
    """One mapping for all trials whose scores are equal and print alike, for graders say the same of many replies: with
    two graders, 2.5 MB instead of 10.7 for the 20,000 trials of the benchmark `trials`. `_kinds`, for 1 equals 1.0."""
    return dict(scores)


def graders_by_task(tasks: Iterable[Task], catalogue: Mapping[str, GraderFactory]) -> dict[str, dict[str, Grader]]:
    """The graders that tasks name, by task id and then by promise; made once for all tasks that share their `graders`.

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
        return factory(**spec.options)
    except (TypeError, ValueError) as error:
        raise UnknownGrader(f"{spec.where}: graders: {spec.name}: {error}") from error
