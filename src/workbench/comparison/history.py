"""The nights of a folder of records: what each agent scored night by night, who answered, and what changed meanwhile.

A night that differs from the one before says something of the model only where all else is the same. So the agent, its
tasks, the model that was asked for, the model that says it answered and the endpoint are held beside each other, and
what changed is marked. A night whose replies are those of an earlier one (a run from the ledger) measured nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from workbench.comparison.columns import trial_columns
from workbench.comparison.figures import percent
from workbench.comparison.promises import KeptPromise, PromiseChange, kept_promises, promises_since
from workbench.comparison.scores import groups_of, is_stand_in, scores_by_variant
from workbench.comparison.tried import COSTS_NOTHING
from workbench.definition.project import RECORD_FILE
from workbench.definition.there import is_folder_there
from workbench.errors import ComparisonError, RecordError, RoutingRefused
from workbench.markup import counted
from workbench.statistics.intervals import LEVEL, Floats, Interval, t_interval
from workbench.statistics.means import case_means, mean_interval, paired, standard_error
from workbench.statistics.power import FEWEST_COMPARED
from workbench.trial.catalogue import price_usd
from workbench.trial.decisions import holds_decisions
from workbench.trial.record import agent_digests, load_run
from workbench.trial.record_aside import of_which
from workbench.trial.regrade import digest_of_scores, grade_again
from workbench.trial.sentences import count_words
from workbench.trial.trial import GraderFactory, Reply, Run, Trial

_NIGHT = re.compile(r"\d{4}-\d{2}-\d{2}[\w.:-]*")
"""Without which nothing is said of a difference."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The difference of a night from another, paired over the tasks that both have: of scores in -1..1, or of words."""

    since: str
    """The other night."""
    effect: float
    interval: Interval
    """95 %."""
    tasks: int

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves out 0. Of twenty such intervals without any drift, one does."""
        return self.interval.excludes_zero


@dataclass(frozen=True, kw_only=True)
class Night:
    """What one agent scored in one night."""

    night: str
    """The name of its dated folder, else the day on which the last reply came."""
    record: str
    """Where its record lies, seen from the folder of the history."""
    alias: str | None
    """The model as the agent file names it; `None`: it names none."""
    asked: tuple[str, ...]
    """The model ids that were asked for."""
    answered: tuple[str, ...]
    """The model ids that say they answered."""
    endpoints: tuple[str, ...]
    mean: float | None
    """Over tasks, 0..1; `None`: nothing was scored."""
    interval: Interval | None
    """95 %, over tasks."""
    tasks: int
    repeats: int
    replies: int
    """Answered."""
    missing: int
    """Planned trials that were not answered."""
    words: float | None
    """Of a reply, on average."""
    seconds: float | None
    """Until a reply was whole, on average."""
    usd: float | None
    """What its replies cost by list prices; `None`: a price is not known."""
    is_stand_in: bool
    changes: tuple[str, ...] = ()
    """What is another than in the night before, in words."""
    asked_anew: bool = True
    """False where every reply is one of the night before."""
    since_before: Drift | None = None
    """From the night before, where agent and tasks are the same."""
    since_first: Drift | None = None
    """From the first night with this agent and these tasks."""
    words_since_first: Drift | None = None
    """The same in words of a reply, which needs no grader."""

    time: str = ""
    """Of day, when its last reply came, where the agent has another night of that name; else empty."""

    @property
    def label(self) -> str:
        """What tells it from the agent's other nights."""
        return " ".join(filter(None, (self.night, self.time)))


@dataclass(frozen=True, kw_only=True)
class AgentNights:
    """The nights of one agent, or of one variant of it, in their order."""

    name: str
    """The folder of its records in a night, and the variant where a record has several."""
    agent: str
    """Its name."""
    folder: str
    """Of its records in a night: in one there may be several variants of an agent."""
    nights: tuple[Night, ...]
    over_change: Drift | None = None
    """All nights since another model id answered or was asked for, against all before it with this agent and these
    tasks: what the change of a model did, which one night alone may not show. `since` is the night of the change."""
    promises: tuple[PromiseChange, ...] = ()
    """How the last night keeps each promise, since the first with this agent and these tasks, the worst first; empty
    where there is no such night before it."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers that records hold, each once: a record of what a ledger knew has the answers of an earlier one, and
    variants that ask the same share theirs."""

    replies: int = 0
    """Of models."""
    usd: float = 0.0
    """Of those whose price is known."""
    unpriced: int = 0
    made_up: int = 0
    """Of the stand-in, which are none of the others."""

    @property
    def told(self) -> str:
        """How many there are, those that are made up apart."""
        return f"{self.replies:,}" + (f", and {self.made_up:,} made up" if self.made_up else "")

    @property
    def told_usd(self) -> str:
        """What they cost, or the least that they did, in words."""
        if self.made_up and not self.replies:
            return COSTS_NOTHING
        return f"{'>= ' if self.unpriced else ''}{self.usd:.4f} USD"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a record of decisions says, which this room does not read."""

    said: str
    """The sentence that is met first."""
    is_worse: bool
    """Whether a change that it holds is shown to be worse."""
    page: str
    """The whole page."""


@dataclass(frozen=True, kw_only=True)
class History:
    """All nights of a folder."""

    agents: tuple[AgentNights, ...]
    answers: Answers = Answers()
    left_out: tuple[tuple[str, str], ...] = ()
    """Records that could not be taken in, each with why."""
    scores: Mapping[str, str] = field(default_factory=dict)
    """By record, the hash of what its replies scored here (`digest_of_scores`)."""
    decisions: Mapping[str, Told] = field(default_factory=dict)
    """By record, what those say that hold decisions, and no replies that are scored: they are nights of no agent."""

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON can hold it, but for the pages of decisions."""
        decisions = {name: {"said": told.said, "is_worse": told.is_worse} for name, told in self.decisions.items()}
        return {**asdict(replace(self, decisions={})), "decisions": decisions}

    @property
    def counted(self) -> str:
        """How many agents there are, and in how many series of nights, where an agent has several: of its variants, or
        in folders of their own."""
        agents = len({each.agent for each in self.agents})
        return f"{agents:,}" + (f", in {len(self.agents):,} series" if len(self.agents) > agents else "")

    @property
    def counted_nights(self) -> str:
        """How many nights there are, and in how many runs where a date has several: as many as an agent has of it at
        most."""
        most: Counter[str] = Counter()
        for each in self.agents:
            most |= Counter(night.night for night in each.nights)
        return f"{len(most):,}" + (f", in {most.total():,} runs" if most.total() > len(most) else "")

    @property
    def sentences(self) -> tuple[str, ...]:
        """For each agent, or variant of it, what its last night says."""
        return tuple(_sentence(each) for each in self.agents)


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """A night with what the next is held against."""

    night: Night
    means: Mapping[str, float]
    """By task."""
    words: Mapping[str, float]
    """By task: of its replies, on average."""
    groups: Mapping[str, Any]
    agent: str
    """The hash of the agent file."""
    tasks: str
    """The hash of what the tasks ask."""
    replies: Mapping[tuple[str, str, str], float | None]
    """The price of each reply by what identifies it: its key, when it came and what it says."""
    last_at: str
    """When its last reply came; empty where none says so."""
    kept: Mapping[str, KeptPromise]
    """By promise, what was scored by it."""


def load_history(
    folder: str | Path, *, graders: Mapping[str, GraderFactory], tell: Callable[[Run], Told] | None = None
) -> History:
    """The nights of all records in this folder and below it. The replies are graded again with `graders`, so that two
    nights differ by what was said and not by a grader that changed.

    A record belongs to the night that a folder on its way names (`2026-11-29`), else to the day of its last reply;
    those of one agent are records whose way is the same but for the night, and for when a record was moved aside.

    `tell` reads what records of decisions say; without it they are passed over.

    Raises:
        RecordError: there is no record in the folder.
    """
    folder = Path(folder)
    found: defaultdict[tuple[str, str], list[_Measured]] = defaultdict(list)
    names: dict[tuple[str, str], str] = {}
    left_out: list[tuple[str, str]] = []
    scores: dict[str, str] = {}
    decisions: dict[str, Told] = {}
    has_decisions = False
    for path in sorted(folder.rglob(RECORD_FILE) if is_folder_there(folder) else ()):
        where = path.parent.relative_to(folder)
        try:
            run = load_run(path.parent)
            if holds_decisions(run):
                has_decisions = True
                if tell is not None:
                    decisions[where.as_posix()] = tell(run)
                continue
            run = grade_again(run, graders)
            night = _night_of(where, run)
            for variant in run.variants:
                key = (_series(where), variant if len(run.variants) > 1 else "")
                found[key].append(_measured(run, variant, night, where.as_posix()))
                names[key] = run.variants[variant].name or variant
            scores[where.as_posix()] = digest_of_scores(run)
        except (RecordError, ComparisonError, RoutingRefused) as error:
            # Pages go elsewhere: where the folder is on this machine says nothing there.
            left_out.append((where.as_posix(), str(error).replace(f"{folder}{os.sep}", "")))
    if not found and not left_out and not has_decisions:
        raise RecordError("there is no record of a run in it or below it", path=folder)
    series = [(key, _told_apart(sorted(unsorted, key=_in_order))) for key, unsorted in sorted(found.items())]
    agents = tuple(
        AgentNights(
            name=" ".join(filter(None, key)) or names[key],
            agent=names[key],
            folder=key[0],
            nights=tuple(_held_together(nights)),
            over_change=_over_change(nights),
            promises=_promises(nights),
        )
        for key, nights in series
    )
    answers = _answers(measured for _, nights in series for measured in nights)
    return History(agents=agents, answers=answers, left_out=tuple(left_out), scores=scores, decisions=decisions)


def _night_of(where: Path, run: Run) -> str:
    named = next((part for part in where.parts if _NIGHT.fullmatch(part)), None)
    if named is not None:
        return named
    days = [trial.reply.at[:10] for trial in run.trials if trial.reply is not None and trial.reply.at]
    if not days:
        raise ComparisonError("no folder on its way names the night, and no reply says when it came")
    return max(days)


def _series(where: Path) -> str:
    return "/".join(of_which(part)[0] for part in where.parts if not _NIGHT.fullmatch(part))


def _in_order(measured: _Measured) -> tuple[str, bool, str]:
    """By night; of one night, what was moved aside before what took its place."""
    left = of_which(Path(measured.night.record).name)[1]
    return measured.night.night, not left, left


def _told_apart(nights: Sequence[_Measured]) -> list[_Measured]:
    """Those of one name by when their last replies came, or by number where that does not tell them apart."""
    by_name: defaultdict[str, list[_Measured]] = defaultdict(list)
    for each in nights:
        by_name[each.night.night].append(each)
    told = []
    for same in by_name.values():
        times = [each.last_at[11:16] for each in same]
        if len(same) == 1:
            times = [""]
        elif "" in times or len(set(times)) < len(times):
            times = [f"no. {number}" for number in range(1, len(same) + 1)]
        told += [replace(each, night=replace(each.night, time=time)) for each, time in zip(same, times, strict=True)]
    return told


def _answers(measured: Iterable[_Measured]) -> Answers:
    prices: dict[bool, dict[tuple[str, str, str], float | None]] = {True: {}, False: {}}
    for each in measured:
        prices[each.night.is_stand_in] |= each.replies
    known = [price for price in prices[False].values() if price is not None]
    return Answers(
        replies=len(prices[False]),
        usd=float(sum(known)),
        unpriced=len(prices[False]) - len(known),
        made_up=len(prices[True]),
    )


def _measured(run: Run, variant: str, night: str, record: str) -> _Measured:
    trials = [trial for trial in run.trials if trial.variant == variant]
    answered = [trial for trial in trials if trial.outcome == "answered" and trial.reply is not None]
    scores = scores_by_variant(run)[variant]
    by_task = dict(zip((task.id for task in run.tasks), case_means(scores.by_repeat).tolist(), strict=True))
    means = {task: mean for task, mean in by_task.items() if not np.isnan(mean)}
    grouped = groups_of(run)
    groups = {} if grouped is None else dict(zip((task.id for task in run.tasks), grouped, strict=True))
    values: Floats = np.array(list(means.values()), dtype=np.float64)
    agent = run.variants[variant]
    priced = [
        (_reply_key(trial, record), price_usd(trial.reply.model or trial.request.model, trial.reply.usage))
        for trial in answered
        if trial.reply is not None
    ]
    prices = [price for _, price in priced]
    return _Measured(
        night=Night(
            night=night,
            record=record,
            alias=agent.model,
            asked=_distinct(trial.request.model for trial in trials),
            answered=_distinct(trial.reply.model for trial in answered if trial.reply is not None),
            endpoints=_distinct(trial.endpoint.in_words for trial in trials),
            mean=float(values.mean()) if len(values) else None,
            interval=mean_interval(
                values, repeats=run.repeats, groups=[groups[each] for each in means] if groups else None
            ),
            tasks=len(run.tasks),
            repeats=run.repeats,
            replies=len(answered),
            missing=len(run.tasks) * run.repeats - len(answered),
            words=_mean(count_words(trial.reply.text) for trial in answered if trial.reply is not None),
            seconds=_mean(
                trial.reply.seconds for trial in answered if trial.reply is not None and trial.reply.seconds is not None
            ),
            usd=None if None in prices else float(sum(price for price in prices if price is not None)),
            is_stand_in=is_stand_in(run),
        ),
        means=means,
        words=_words_by_task(answered),
        groups=groups,
        agent=agent_digests(run)[variant],
        tasks=hash_of_tasks(run),
        replies=dict(priced),
        last_at=max((trial.reply.at for trial in answered if trial.reply and trial.reply.at), default=""),
        kept={promise: of_each[variant] for promise, of_each in kept_promises(trial_columns(run)).items()},
    )


def _held_together(nights: Sequence[_Measured]) -> Iterator[Night]:
    """Each night with what changed since the one before."""
    first: _Measured | None = None
    before: _Measured | None = None
    for now in nights:
        if first is None or before is None:
            first, before = now, now
            yield now.night
            continue
        same = _is_of(now, before)  # what the stand-in makes up is held against no model's replies
        if not same:
            first = now
        yield replace(
            now.night,
            changes=tuple(_changes(before, now)),
            asked_anew=not now.replies or not now.replies.keys() <= before.replies.keys(),
            since_before=_drift(before, now) if same else None,
            since_first=_drift(first, now) if same and first is not before else None,
            words_since_first=_drift_of_words(first, now) if same else None,
        )
        before = now


def _over_change(nights: Sequence[_Measured]) -> Drift | None:
    """The latest change of a model id, over all nights of the last agent and tasks."""
    last = nights[-1]
    stretch = [each for each in nights if _is_of(each, last)]
    changed = [
        number
        for number, (old, new) in enumerate(pairwise(stretch), start=1)
        if (old.night.asked, old.night.answered) != (new.night.asked, new.night.answered)
    ]
    if not changed or last.night.is_stand_in:
        return None
    before, after = _together(stretch[: changed[-1]]), _together(stretch[changed[-1] :])
    return _drift(before, replace(after, night=last.night), since=stretch[changed[-1]].night.label)


def _promises(nights: Sequence[_Measured]) -> tuple[PromiseChange, ...]:
    """Of the last night, since the first of those without a break that have its agent and tasks."""
    last = nights[-1]
    first = last
    for each in reversed(nights):
        if not _is_of(each, last):
            break
        first = each
    if first is last:
        return ()
    names = (first.night.label, last.night.label)
    return promises_since(first.kept, last.kept, names=names, groups=list(last.groups.values()) or None)


def _is_of(one: _Measured, other: _Measured) -> bool:
    return (one.agent, one.tasks, one.night.is_stand_in) == (other.agent, other.tasks, other.night.is_stand_in)


def _together(nights: Sequence[_Measured]) -> _Measured:
    """The nights as one: the mean of each task over those of them that scored it."""
    by_task: defaultdict[str, list[float]] = defaultdict(list)
    for each in nights:
        for task, mean in each.means.items():
            by_task[task].append(mean)
    return replace(nights[0], means={task: float(np.mean(means)) for task, means in by_task.items()})


def _changes(before: _Measured, now: _Measured) -> Iterator[str]:
    if now.agent != before.agent:
        yield "the agent changed"
    if now.tasks != before.tasks:
        yield "the tasks changed"
    old, new = before.night, now.night
    if new.alias != old.alias:
        yield f"the file names the model {new.alias or 'of the session'}, not {old.alias or 'of the session'}"
    if new.asked != old.asked:
        stands = f"{new.alias} stands for" if new.alias == old.alias and new.alias else "asked for is"
        yield f"{stands} {_named(new.asked)}, not {_named(old.asked)}"
    if new.answered != old.answered and old.answered and new.answered:
        yield f"{_named(new.answered)} answers, not {_named(old.answered)}"
    if new.endpoints != old.endpoints:
        yield f"answered by {_named(new.endpoints)}, not by {_named(old.endpoints)}"


def _drift(before: _Measured, now: _Measured, *, since: str | None = None) -> Drift | None:
    shared = [task for task in now.means if task in before.means]
    if len(shared) < FEWEST_COMPARED:
        return None
    groups = [now.groups[task] for task in shared] if now.groups else None
    found = paired([now.means[task] - before.means[task] for task in shared], groups=groups)
    named = since or before.night.label
    return Drift(since=named, effect=found.effect, interval=found.interval, tasks=found.tasks)


def _drift_of_words(before: _Measured, now: _Measured) -> Drift | None:
    differences = np.array([now.words[task] - before.words[task] for task in now.words if task in before.words])
    if len(differences) < FEWEST_COMPARED:
        return None
    effect, error = float(differences.mean()), standard_error(differences)
    interval = t_interval(effect, error, len(differences) - 1) if error > 0 else Interval(low=effect, high=effect)
    return Drift(since=before.night.label, effect=effect, interval=interval, tasks=len(differences))


def _words_by_task(answered: Sequence[Trial]) -> dict[str, float]:
    counts: defaultdict[str, list[int]] = defaultdict(list)
    for trial in answered:
        counts[trial.task_id].append(count_words(trial.reply.text) if trial.reply else 0)
    return {task: float(np.mean(each)) for task, each in counts.items()}


def hash_of_tasks(run: Run) -> str:
    """Of what is asked and of what a reply is held to."""
    asked = [(task.id, task.scored_by) for task in run.tasks]
    return hashlib.sha256(repr((asked, run.repeats)).encode("utf-8", "backslashreplace")).hexdigest()


def _reply_key(trial: Trial, record: str) -> tuple[str, str, str]:
    """Of a reply of which no record says when it came, nobody can tell that it is an earlier one."""
    reply = trial.reply or Reply(text="")
    return f"{trial.key} {trial.repeat}", reply.at or record, reply.text


def _sentence(nights: AgentNights) -> str:
    last = nights.nights[-1]
    dates, runs = len({night.night for night in nights.nights}), len(nights.nights)
    several = f" in {runs:,} runs" if runs > dates else ""
    head = f"{nights.name}: {counted(dates, 'night')}{several}, the last {last.label}: "
    if last.is_stand_in:
        return f"{head}OFFLINE STAND-IN, no model answered"
    if not last.asked_anew:
        before = "run" if several else "night"
        return f"{head}nothing was asked anew, all replies are those of the {before} before (`mode: fresh` asks)"
    said = [f"{_points(last.mean)} points" if last.mean is not None else "nothing scored"]
    if last.mean is None and last.words is not None:
        since = "" if last.words_since_first is None else f" ({told_words(last.words_since_first)})"
        said.append(f"{counted(round(last.words), 'word')} a reply{since}")
    said += list(last.changes)
    drift = last.since_first or last.since_before
    if drift is not None:
        shown = ("lower" if drift.effect < 0 else "higher") if drift.is_shown else "no drift shown"
        said.append(
            f"{shown} than {drift.since}: {told_drift(drift)}" if drift.is_shown else f"{shown}, {told_drift(drift)}"
        )
    worse = [change for change in nights.promises if change.kind == "worse"]
    if worse:
        said.append(f"promises shown to be worse than {worse[0].baseline}: {', '.join(each.promise for each in worse)}")
    if nights.over_change is not None:
        change = nights.over_change
        said.append(
            f"all nights since the model id changed on {change.since}, against all before: {told_drift(change)}"
        )
    return head + "; ".join(said)


def told_drift(drift: Drift, *, in_short: bool = False) -> str:
    """The difference in points with its interval; `in_short` where a heading says of what."""
    low, high = drift.interval.low * 100, drift.interval.high * 100
    unit = "" if in_short else f" points, {percent(LEVEL)} CI"
    return f"{drift.effect * 100:+.1f}{unit} [{low:+.1f}, {high:+.1f}]"


def told_words(drift: Drift) -> str:
    """The difference in words with its interval."""
    low, high = drift.interval.low, drift.interval.high
    return f"{drift.effect:+,.0f} since {drift.since}, {percent(LEVEL)} CI [{low:+,.0f}, {high:+,.0f}]"


def _points(value: float) -> str:
    return f"{value * 100:.1f}"


def _named(ids: Sequence[str]) -> str:
    return " and ".join(ids) or "nobody"


def _distinct(values: Any) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value}))


def _mean(values: Any) -> float | None:
    found = list(values)
    return float(np.mean(found)) if found else None
