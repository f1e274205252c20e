"""Grading a recorded run anew, without asking for a single reply."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from workbench.errors import PlanError, UnknownGrader
from workbench.key_forms import marks_removed
from workbench.markup import counted
from workbench.trial.graded import grade_trial, graders_by_task
from workbench.trial.task import Task
from workbench.trial.trial import NONE_RECORDED, Grader, GraderFactory, Run, Trial


def regrade(run: Run, graders: Mapping[str, GraderFactory], *, tasks: Iterable[Task] | None = None) -> Run:
    """The run with its replies graded again; nothing is asked, and replies and failures stay as they are.

    `graders` is the catalogue in which the graders that tasks name are looked up. `tasks` take the place of the run's
    tasks of the same ids: those of a task file in which graders, targets or groups have changed since. What a task
    asks must be what it asked.

    Raises:
        PlanError: one of `tasks` is not in the run, is given twice, or asks something else than it did.
        UnknownGrader: a task names a grader that is not in the catalogue, or options that it does not take.
    """
    found = {task.id: task for task in run.tasks}
    given: set[str] = set()
    for task in tasks or ():
        if task.id not in found:
            raise PlanError(f"the run has no task {task.id!r} to grade anew; it has {', '.join(map(repr, found))}")
        if task.id in given:
            raise PlanError(f"two tasks have the id {task.id!r}; ids must differ")
        if task.message != found[task.id].message:
            raise PlanError(
                f"task {task.id!r} asks something else than it did in the run, so its replies answer another question; "
                "run it, or leave its input and context as they were"
            )
        found[task.id] = task
        given.add(task.id)
    made = graders_by_task(found.values(), graders)
    return replace(
        run,
        tasks=tuple(found.values()),
        trials=tuple(grade_trial(trial, found[trial.task_id], made[trial.task_id]) for trial in run.trials),
    )


def grade_again(run: Run, graders: Mapping[str, GraderFactory]) -> Run:
    """The run with the scores that its replies get here, whatever scores it came with; for a run that somebody else
    recorded.

    A recorded score stays where it cannot be found again: its grader cannot be made, or secrets were taken out of its
    reply and what is left gets another. Trials say which these are (`Trial.as_recorded`), and `gate` does not decide by
    them. A score of a promise that its task does not name beside those that it names is left out: anybody could have
    written it. The remarks of the run say of each, and of scores that were otherwise.
    """
    made, why_kept = _graders_that_can_be_made(run.tasks, graders)
    tasks = {task.id: task for task in run.tasks}
    named = {task.id: {spec.promise for spec in task.graders} for task in run.tasks}
    changed: Counter[str] = Counter()
    bereft: Counter[str] = Counter()
    invented: dict[str, None] = {}
    trials = []
    for trial in run.trials:
        task = tasks.get(trial.task_id)
        if task is None:
            trials.append(trial)
            continue
        found = grade_trial(trial, task, made[task.id])
        if found.outcome != "answered":
            trials.append(found)
            continue
        kept = {}
        for promise, score in trial.scores.items():
            again = found.scores.get(promise)
            if again is not None and again.value == score.value:
                continue
            if again is not None and _may_lack_secrets(run, trial, task):
                bereft[promise] += 1
            elif again is not None:
                changed[promise] += 1
                continue
            elif promise not in named[task.id]:
                if named[task.id]:
                    invented.setdefault(promise)
                    continue
                why_kept.setdefault(promise, "no task names its grader")
            kept[promise] = score
        not_made = named[task.id] - made[task.id].keys()
        promises = [promise for promise in trial.scores if promise in kept or promise in found.scores]
        scores = {
            promise: kept.get(promise) or found.scores[promise] for promise in dict.fromkeys((*promises, *found.scores))
        }
        trials.append(found.replace(scores=scores, as_recorded=trial.as_recorded & (kept.keys() | not_made)))
    remarks = [
        f"{counted(count, 'recorded score')} of the promise {promise!r} {'is' if count == 1 else 'are'} not what its "
        "grader gives here for the very reply: what it gives counts"
        for promise, count in changed.items()
    ]
    remarks += [
        f"the scores of the promise {promise!r} are as they were recorded, not graded again: {why}"
        for promise, why in why_kept.items()
    ]
    remarks += [
        f"the recorded scores of the promise {promise!r} are left out: no task names a grader for it"
        for promise in invented
    ]
    remarks += [
        f"{counted(count, 'score')} of the promise {promise!r} {'is' if count == 1 else 'are'} as recorded, for "
        "secrets were taken out of the replies, and what is left of them gets another"
        for promise, count in bereft.items()
    ]
    return replace(run, trials=tuple(trials), remarks=tuple(dict.fromkeys((*run.remarks, *remarks))))


def digest_of_scores(run: Run) -> str:
    """SHA-256 of what the run scored: of each trial its outcome, its scores and which of them are as recorded, and the
    remarks of the run. It is another where graders, run anew, give something else; 64 hex digits."""
    scored = [
        [
            [trial.variant, trial.task_id, trial.repeat, trial.outcome, sorted(trial.as_recorded)],
            {promise: score.as_json() for promise, score in trial.scores.items()},
        ]
        for trial in run.trials
    ]
    return hashlib.sha256(json.dumps([scored, run.remarks]).encode()).hexdigest()


def trust_recorded(run: Run) -> Run:
    """The run with all of its scores taken for found here, also those that only its record says; for whoever made the
    record, and knows how it came here."""
    return replace(run, trials=tuple(trial.replace(as_recorded=NONE_RECORDED) for trial in run.trials))


def _may_lack_secrets(run: Run, trial: Trial, task: Task) -> bool:
    """Whether secrets may have been taken out of what is graded here, or of what it is graded by."""
    in_reply = trial.reply is not None and marks_removed(trial.reply.text)
    return ("trials.jsonl" in run.originals and in_reply) or (
        "tasks.jsonl" in run.originals and marks_removed(f"{task.target} {[spec.options for spec in task.graders]}")
    )


def _graders_that_can_be_made(
    tasks: Iterable[Task], graders: Mapping[str, GraderFactory]
) -> tuple[dict[str, dict[str, Grader]], dict[str, str]]:
    """By task id and promise, the graders; and by promise, why one cannot be made."""
    made: dict[str, dict[str, Grader]] = {}
    why_not: dict[str, str] = {}
    for task in tasks:
        made[task.id] = {}
        for spec in task.graders:
            try:
                made[task.id] |= graders_by_task([replace(task, graders=(spec,))], graders)[task.id]
            except UnknownGrader as error:
                why_not.setdefault(spec.promise, str(error))
    return made, why_not
