"""A task file checked before anything is asked: its graders can be made, and judge known replies as a person did."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from workbench.errors import GraderError, TaskFileError, UnknownGrader
from workbench.grading.catalogue import standard
from workbench.grading.stuffing import stuffed_reply
from workbench.markup import command, counted, visible
from workbench.trial.graded import grader_faults, graders_by_task, score_reply
from workbench.trial.known_replies import KnownReply
from workbench.trial.rubric import RUBRIC_BESIDE
from workbench.trial.task import Task, load_tasks
from workbench.trial.trial import Grader, GraderFactory, Reply, Score

_SAME = 1e-12
"""What a score may lack for its threshold by the rounding of sums."""
_OF_WORDS = "made of the words that its graders look for"
"""What `stuffed_reply` is called where a grader raises on it."""
_LONGEST_QUOTED = 160
"""Characters of a grader's explanation that are told."""
_MOST_KINDS = 10
"""Kinds of bad replies whose share is told, the largest first; `--json` has all."""
_NUMBER = re.compile(r"[ _-]?(?<!\d)\d+$")
"""What tells replies of one kind apart: "salad 1" and "salad 2" are salad."""
_JUDGE = command("workbench", "judge", "RECORD", "--rubric", RUBRIC_BESIDE)


@dataclass(frozen=True, kw_only=True)
class TaskFault:
    """One thing that is wrong with a task file or with a grader in it."""

    kind: Literal["file", "grader", "reply"]
    """The file cannot be read; a grader cannot be made; a grader says of a known reply what nobody should believe."""
    message: str
    """Where, what was found, what to do."""
    task: str | None = None
    promise: str | None = None
    reply: str | None = None

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, kw_only=True)
class KeptPromises:
    """How many promises replies keep that should keep none, or fewer."""

    kept: int
    asked: int
    """Promises of the tasks of these replies, each once a reply."""

    def __str__(self) -> str:
        return f"{self.kept} of {self.asked}"


@dataclass(frozen=True, kw_only=True)
class TaskFileCheck:
    """What was found in one task file."""

    path: Path
    tasks: int = 0
    graders: int = 0
    """Promises of all tasks together, each once, however many tasks have it."""
    replies: int = 0
    """Known good and bad ones."""
    faults: tuple[TaskFault, ...] = ()
    by_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By task, the promises that words alone keep: those of `stuffed_reply`."""
    of_words: KeptPromises = KeptPromises(kept=0, asked=0)
    """The same as a count, over the promises of every task."""
    as_high: Mapping[str, KeptPromises] = field(default_factory=dict)
    """By kind of bad reply (its name without a number), the promises for which it scores as high as a good reply to the
    same task; of tasks that have one."""
    remarks: tuple[str, ...] = ()
    """What is no fault, and worth knowing."""

    @property
    def is_fine(self) -> bool:
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return {**asdict(self), "path": str(self.path), "fine": self.is_fine}

    def __str__(self) -> str:
        counts = [counted(self.tasks, "task"), counted(self.graders, "promise"), f"{self.replies} known replies"]
        head = f"{self.path}: " + (f"{len(self.faults)} to mend" if self.faults else "fine") + f" ({', '.join(counts)})"
        return "\n".join(
            [head, *(f"  {fault}" for fault in self.faults), *(f"  note: {each}" for each in self.remarks)]
        )


def check_tasks(path: str | Path, *, graders: Mapping[str, GraderFactory] | None = None) -> TaskFileCheck:
    """Whether a task file can be read, its graders can be made, and pass its good replies and fail its bad ones.

    Nothing is asked and nothing is run. `graders` are those that tasks can name; the standard ones unless given.
    """
    path = Path(path)
    catalogue = standard() if graders is None else graders
    try:
        tasks = load_tasks(path)
    except TaskFileError as error:
        return TaskFileCheck(path=path, faults=(TaskFault(kind="file", message=str(error)),))
    faults = [
        TaskFault(kind="grader", message=str(error), task=task.id, promise=spec.promise)
        for task, spec, error in grader_faults(tasks, catalogue)
    ]
    by_words: dict[str, tuple[str, ...]] = {}
    high: list[tuple[str, bool]] = []
    if not faults:
        made = graders_by_task(tasks, catalogue)
        for task in tasks:
            known = [(reply, *_scored(task, reply, made[task.id])) for reply in task.replies]
            faults += [fault for reply, scores, raised in known for fault in _faults_of(task, reply, scores, raised)]
            high += _as_high([(reply, scores) for reply, scores, _ in known])
            stuffed = KnownReply(name=_OF_WORDS, text=stuffed_reply(task), is_good=False, where=str(path))
            scores, raised = _scored(task, stuffed, made[task.id]) if stuffed.text else ({}, [])
            faults += raised
            if kept := tuple(promise for promise, score in scores.items() if _passes(score, stuffed)):
                by_words[task.id] = kept
        faults = list({fault.message: fault for fault in faults}.values())
    of_words = KeptPromises(kept=sum(map(len, by_words.values())), asked=sum(len(task.graders) for task in tasks))
    as_high = _counted(high)
    return TaskFileCheck(
        path=path,
        tasks=len(tasks),
        graders=len({spec.promise for task in tasks for spec in task.graders}),
        replies=sum(len(task.replies) for task in tasks),
        faults=tuple(faults),
        by_words=by_words,
        of_words=of_words,
        as_high=as_high,
        remarks=(*_remarks(tasks), *_told_of_replies(as_high), *_told_of_words(by_words, of_words)),
    )


def refuse_broken_tasks(path: str | Path, *, graders: Mapping[str, GraderFactory] | None = None) -> None:
    """Refuses a task file that cannot be read, or whose graders cannot be made; known replies are not graded here.

    Raises:
        TaskFileError: the file is wrong; the message names place and line.
        UnknownGrader: a grader, or an option of one, does not exist; names all of them.
    """
    faults = grader_faults(load_tasks(path), standard() if graders is None else graders)
    if faults:
        raise UnknownGrader("\n".join(str(error) for _, _, error in faults))


def _faults_of(
    task: Task, known: KnownReply, scores: Mapping[str, Score], raised: Sequence[TaskFault]
) -> Iterator[TaskFault]:
    yield from raised
    if known.is_good:
        yield from _of_good(task, known, scores)
    elif not known.is_for_a_judge:
        yield from _of_bad(task, known, scores)


def _as_high(replies: Sequence[tuple[KnownReply, Mapping[str, Score]]]) -> Iterator[tuple[str, bool]]:
    """By promise of each bad reply to a task, of which kind it is, and whether it scores as high as a good one."""
    good: defaultdict[str, list[float]] = defaultdict(list)
    for known, scores in replies:
        for promise, score in scores.items():
            if known.is_good and score.value is not None:
                good[promise].append(score.value)
    for known, scores in replies:
        if not known.is_good:
            kind = _NUMBER.sub("", known.name) or known.name
            for promise, values in good.items():
                value = scores[promise].value if promise in scores else None
                yield kind, value is not None and value >= min(values) - _SAME


def _counted(found: Sequence[tuple[str, bool]]) -> dict[str, KeptPromises]:
    """By kind, the largest share first."""
    kinds = dict.fromkeys(kind for kind, _ in found)
    kept = {kind: [is_high for each, is_high in found if each == kind] for kind in kinds}
    shares = {kind: KeptPromises(kept=sum(each), asked=len(each)) for kind, each in kept.items()}
    return dict(sorted(shares.items(), key=lambda item: -item[1].kept / item[1].asked))


def _scored(task: Task, known: KnownReply, graders: Mapping[str, Grader]) -> tuple[dict[str, Score], list[TaskFault]]:
    """What the graders say of the reply, and which of them say nothing that is a score."""
    scores: dict[str, Score] = {}
    faults = []
    for promise, grader in graders.items():
        try:
            scores[promise] = score_reply(promise, grader, task, Reply(text=known.text))
        except GraderError as error:
            faults.append(_fault(task, known, promise, f"gives no score: {error}"))
        except Exception as error:  # noqa: BLE001 - whatever somebody's grader raises is told, by its name
            faults.append(_fault(task, known, promise, f"raises {type(error).__name__}: {error}"))
    return scores, faults


def _of_good(task: Task, known: KnownReply, scores: Mapping[str, Score]) -> Iterator[TaskFault]:
    for promise, score in scores.items():
        if score.value is not None and not _passes(score, known):
            yield _fault(task, known, promise, f"fails the good reply: {_told(score)}")


def _of_bad(task: Task, known: KnownReply, scores: Mapping[str, Score]) -> Iterator[TaskFault]:
    for promise in known.fails:
        score = scores.get(promise)
        if score is not None and score.value is None:
            yield _fault(task, known, promise, f"says nothing of the bad reply: {_told(score)}")
        elif score is not None and _passes(score, known):
            yield _fault(task, known, promise, f"passes the bad reply: {_told(score)}")
    fails = any(score.value is not None and not _passes(score, known) for score in scores.values())
    if not known.fails and scores and not fails:
        shown = ", ".join(
            f"{promise} {'declines' if s.value is None else f'{s.value:.2f}'}" for promise, s in scores.items()
        )
        yield _fault(task, known, None, f"no grader fails the bad reply: {shown}")


def _passes(score: Score, known: KnownReply) -> bool:
    return score.value is not None and score.value >= known.at_least - _SAME


def _told(score: Score) -> str:
    value = "no score" if score.value is None else f"{score.value:.2f}"
    return f"{value}, {visible(score.explanation)[:_LONGEST_QUOTED]}" if score.explanation else value


def _fault(task: Task, known: KnownReply, promise: str | None, what: str) -> TaskFault:
    of_promise = "" if promise is None else f"{promise} "
    message = f"{known.where}: {task.id}: reply {known.name!r}: {of_promise}{what}"
    return TaskFault(kind="reply", message=message, task=task.id, promise=promise, reply=known.name)


def _remarks(tasks: tuple[Task, ...]) -> Iterator[str]:
    without = [task.id for task in tasks if not task.graders]
    if without:
        yield f"{_some(without)} without graders: what is said there is measured, not scored"
    unchecked = [task.id for task in tasks if task.graders and not task.replies]
    if unchecked:
        yield f"{_some(unchecked)} with graders that no known reply checks (`replies:`)"


def _told_of_replies(as_high: Mapping[str, KeptPromises]) -> Iterator[str]:
    shown = [f"{visible(kind)} {share}" for kind, share in as_high.items()][:_MOST_KINDS]
    if shown:
        more = ", ..." if len(as_high) > _MOST_KINDS else ""
        yield f"promises for which a bad reply scores as high as a good one: {', '.join(shown)}{more}"


def _told_of_words(by_words: Mapping[str, tuple[str, ...]], of_words: KeptPromises) -> Iterator[str]:
    promises = list(dict.fromkeys(promise for kept in by_words.values() for promise in kept))
    if promises:
        yield (
            f"words alone keep {of_words} promises ({_first(promises)}): a reply has them that holds what is looked "
            "for in sentences about something else; `--json` names them by task. Ask for more with `all_of`, or let a "
            f"judge look beside: `{_JUDGE}` asks what no word shows"
        )


def _some(names: list[str]) -> str:
    return f"{counted(len(names), 'task')} ({_first(names)})"


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
