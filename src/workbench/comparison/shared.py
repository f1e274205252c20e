"""Two variants, often of two runs, as one run over what both were asked alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from workbench.errors import ComparisonError
from workbench.markup import counted, visible
from workbench.trial.certificate import Certificate
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Judged, Run, Trial

BEFORE = "before"
AFTER = "after"

_NAMED_UP_TO = 5


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What two variants share, and in words what they do not."""

    run: Run | None
    """The variants `BEFORE` and `AFTER` over the tasks that both were asked alike, in the order of the later run, and
    over the repeats that both have; `None` where nothing can be compared."""
    notes: tuple[str, ...]
    """A sentence for each thing that is not shared, and for what became of it."""
    same_attempts: int
    """Attempts that are the very same in both: one key of the ledger, one reply."""


def chosen_variant(run: Run, name: str | None, *, what: str) -> str:
    """The variant of this name; without a name the only one there is.

    Raises:
        ComparisonError: there is none, or there are several; `what` says of which run.
    """
    known = ", ".join(repr(variant) for variant in run.variants)
    if name is None:
        if len(run.variants) == 1:
            return next(iter(run.variants))
        raise ComparisonError(f"{what} has {len(run.variants)} variants, name one of them: {known}")
    if name not in run.variants:
        raise ComparisonError(f"{what} has no variant {name!r}; it has {known or 'none'}")
    return name


def share(before: Run, after: Run, *, variants: tuple[str, str]) -> Shared:
    """One variant of each run as one run. The two may be one run.

    A task is shared where both runs have its id, with the same message, target and graders, and asked the same model
    for it, unless the agents themselves name different ones. Replies of the offline stand-in are never compared with
    those of a model.
    """
    old, new = variants
    notes = _endpoints(before, old, after, new)
    if _is_made_up(before, old) != _is_made_up(after, new):
        return Shared(run=None, notes=tuple(notes), same_attempts=0)
    tasks, left_out = _tasks(before, after)
    asked_old, asked_new = _models(before, old), _models(after, new)
    if before.variants[old].model == after.variants[new].model:
        both = asked_old.keys() & asked_new.keys()
        others = [task.id for task in tasks if task.id in both and asked_old[task.id] != asked_new[task.id]]
        if others:
            tasks = [task for task in tasks if task.id not in set(others)]
            left_out.append(
                "left out, because another model was asked than before, though the agent names the same one: "
                f"{_tasks_named(others)}"
            )
    notes += left_out
    notes += _answering(before, old, after, new)
    repeats = min(before.repeats, after.repeats)
    if before.repeats != after.repeats:
        notes.append(f"{before.repeats} repeats before, {after.repeats} after: the first {repeats} of each count")
    if not tasks:
        return Shared(run=None, notes=(*notes, "no task is shared, so nothing is compared"), same_attempts=0)
    kept = {task.id for task in tasks}
    attempts = {
        BEFORE: _attempts(before, old, kept, repeats, as_variant=BEFORE),
        AFTER: _attempts(after, new, kept, repeats, as_variant=AFTER),
    }
    trials = [
        attempts[variant][task.id, repeat]
        for task in tasks
        for variant in (BEFORE, AFTER)
        for repeat in range(repeats)
        if (task.id, repeat) in attempts[variant]
    ]
    same = _same_attempts(attempts[BEFORE], attempts[AFTER])
    regraded = sum(attempts[BEFORE][attempt].score != attempts[AFTER][attempt].score for attempt in same)
    if regraded:
        notes.append(
            counted(regraded, "reply is the very same but was", "replies are the very same but were")
            + " scored otherwise: the graders changed"
        )
    judged, not_judged = _judged(before, after)
    notes += not_judged
    return Shared(
        run=Run(
            variants={BEFORE: before.variants[old], AFTER: after.variants[new]},
            tasks=tuple(tasks),
            repeats=repeats,
            endpoint=_asked_at(after, new)[0],
            trials=tuple(trials),
            versions=after.versions,
            judged=judged,
        ),
        notes=tuple(notes),
        same_attempts=len(same),
    )


def _endpoints(before: Run, old: str, after: Run, new: str) -> list[str]:
    then, now = _asked_at(before, old), _asked_at(after, new)
    if then == now:
        return []
    here, there = (visible(", ".join(endpoint.in_words for endpoint in found)) for found in (then, now))
    note = f"answered at different endpoints: {here} before, {there} after"
    if _is_made_up(before, old) != _is_made_up(after, new):
        return [f"{note}; made-up replies are not compared with a model's"]
    return [note]


def _asked_at(run: Run, variant: str) -> list[Endpoint]:
    """Where this variant was asked, in the order in which it first was."""
    return list(dict.fromkeys(trial.endpoint for trial in run.trials if trial.variant == variant)) or [run.endpoint]


def _is_made_up(run: Run, variant: str) -> bool:
    return any(endpoint.is_stand_in for endpoint in _asked_at(run, variant))


def _tasks(before: Run, after: Run) -> tuple[list[Task], list[str]]:
    old = {task.id: task for task in before.tasks}
    new = {task.id: task for task in after.tasks}
    notes = []
    for ids, where in (
        ([name for name in old if name not in new], "only before"),
        ([name for name in new if name not in old], "only after"),
    ):
        if ids:
            notes.append(f"asked {where}, left out: {_tasks_named(ids)}")
    changed = [name for name in new if name in old and new[name].scored_by != old[name].scored_by]
    if changed:
        notes.append(f"changed in input, context, target or graders, left out: {_tasks_named(changed)}")
    return [task for task in after.tasks if task.id in old and task.scored_by == old[task.id].scored_by], notes


def _tasks_named(ids: list[str]) -> str:
    shown = ", ".join(f'"{visible(name)}"' for name in ids[:_NAMED_UP_TO])
    more = f" and {len(ids) - _NAMED_UP_TO} more" if len(ids) > _NAMED_UP_TO else ""
    return f"{counted(len(ids), 'task')} ({shown}{more})"


def _models(run: Run, variant: str) -> dict[str, str]:
    """By task, the model that was asked."""
    return {trial.task_id: trial.request.model for trial in run.trials if trial.variant == variant}


def _answering(before: Run, old: str, after: Run, new: str) -> list[str]:
    models = [
        sorted({t.reply.model for t in run.trials if t.variant == name and t.reply is not None and t.reply.model})
        for run, name in ((before, old), (after, new))
    ]
    if models[0] == models[1] or not all(models):
        return []
    then, now = (visible(", ".join(found)) for found in models)
    return [f"answered by different models: {then} before, {now} after; what changed may be the model"]


def _attempts(
    run: Run, variant: str, tasks: set[str], repeats: int, *, as_variant: str
) -> dict[tuple[str, int], Trial]:
    return {
        (trial.task_id, trial.repeat): trial.replace(variant=as_variant)
        for trial in run.trials
        if trial.variant == variant and trial.task_id in tasks and trial.repeat < repeats
    }


def _judged(before: Run, after: Run) -> tuple[tuple[Judged, ...], list[str]]:
    """The judgings by which the replies of both were judged alike, and what is said of the others."""
    if before is after:
        return after.judged, []
    old = {each.rubric.name: each for each in before.judged}
    new = {each.rubric.name: each for each in after.judged}
    found, notes = [], []
    for name in dict.fromkeys((*old, *new)):
        one, other = old.get(name), new.get(name)
        if one is None or other is None:
            notes.append(f'judged by the rubric "{visible(name)}" only {BEFORE if other is None else AFTER}, left out')
        elif _asked(one) != _asked(other):
            notes.append(f'judged otherwise by the rubric "{visible(name)}": its words or the judge changed, left out')
        else:
            calls = {(call.variant, call.task_id, call.repeat): call for call in (*one.calls, *other.calls)}
            found.append(replace(other, calls=tuple(calls.values()), certificates=_certificates(one, other)))
    return tuple(found), notes


def _asked(of: Judged | Certificate) -> tuple[object, ...]:
    """What is the same where judges were asked alike."""
    return (of.prompt_sha256, of.models, of.efforts, of.endpoints)


def _certificates(one: Judged, other: Judged) -> tuple[Certificate, ...]:
    """Those of both judgings; of two for a criterion, one that has the labels of both."""
    found = {each.criterion: each for each in one.certificates}
    for each in other.certificates:
        first = found.get(each.criterion)
        if first is None or _asked(first) != _asked(each):
            found[each.criterion] = each
            continue
        hashes = sorted({first.labels_sha256, each.labels_sha256})
        found[each.criterion] = replace(
            each,
            labels_sha256=hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest(),
            labelled={**first.labelled, **each.labelled},
            doubt=None if first.doubt is None or each.doubt is None else first.doubt or each.doubt,
        )
    return tuple(found.values())


def _same_attempts(
    before: Mapping[tuple[str, int], Trial], after: Mapping[tuple[str, int], Trial]
) -> list[tuple[str, int]]:
    return [
        attempt
        for attempt, trial in after.items()
        if trial.reply is not None
        and attempt in before
        and trial.reply == before[attempt].reply
        and trial.key == before[attempt].key
    ]
