"""The versions of one agent that were ever tried, held against the newest of them on the tasks that both were given.

Replies of many days come together: of records, of a ledger. All of them are graded by the same graders, so that two
versions differ by what was said. A difference is paired over tasks; with several versions p is corrected by Holm, and
the interval by Bonferroni, so that it holds for all of them at once (S. Holm 1979; O. J. Dunn 1961, JASA 56). The best
of ten is the luckiest of ten, too: one is called better only where its interval leaves out 0 and the exact sign-flip
test agrees.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from workbench.comparison.figures import percent
from workbench.comparison.scores import MOST_MISSING
from workbench.definition.agent import Agent
from workbench.errors import ComparisonError
from workbench.markup import Table, counted, html, html_table, notebook_html, plain_table, visible
from workbench.statistics.corrections import holm
from workbench.statistics.intervals import LEVEL, Interval
from workbench.statistics.means import Paired, paired, simultaneous_interval
from workbench.statistics.power import ALPHA, FEWEST_COMPARED
from workbench.trial.defaults import LAST_VERSIONS
from workbench.trial.task import Task

SHOWN_DIGITS = 8
"""Hex digits of a digest that name a version."""
_PAGE = """\
<p>{{ summary }}</p>
{{ table }}
{% for each in untried %}<p>committed, not tried: {{ each }}</p>{% endfor %}
{% for each in left_out %}<p>left out: {{ each }}</p>{% endfor %}
"""
Shown = Literal["better", "worse", "not shown to differ", "too few tasks", "too many without a score", "another model"]


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionAttempt:
    """One attempt of one version at one task, wherever it was found."""

    version: str
    """The digest of the agent."""
    model: str
    """The id that was asked for."""
    effort: str | None
    is_stand_in: bool
    task: Task
    key: str
    """What identifies it in a ledger: in a record and in the ledger it is the same."""
    score: float | None
    """0..1; `None`: it was not answered, or its graders declined."""
    at: str
    """When, ISO 8601; empty where that is not said."""


@dataclass(frozen=True, kw_only=True)
class BesideNewest:
    """A version beside the newest, on the tasks that both were given."""

    tasks: int
    points: float | None
    """Mean of the version over these tasks, 0..1."""
    newest_points: float | None
    effect: float | None
    """The difference of the two, in -1..1."""
    interval: Interval | None
    """95 % for all versions of the table at once."""
    p: float | None
    """Of the exact sign-flip test, corrected by Holm."""
    shown: Shown


@dataclass(frozen=True, kw_only=True)
class Version:
    """One text of the agent under one model, and what it scored."""

    digest: str
    """SHA-256 of its bytes."""
    agent: Agent = field(repr=False)
    model: str
    effort: str | None
    is_stand_in: bool
    first_at: str
    last_at: str
    tasks: int
    replies: int
    """Attempts."""
    unscored: int
    """Those of them that have no score."""
    points: float | None
    """Mean over all its tasks, 0..1."""
    is_newest: bool
    against: BesideNewest | None
    """`None` of the newest."""
    commit: str = ""
    """The last commit that gave the file this content, and its day; empty where git knows none."""


@dataclass(frozen=True, kw_only=True, repr=False)
class AgentVersions:
    """The versions of an agent that were tried, the latest first. Shows itself as text and as an HTML table."""

    name: str
    versions: tuple[Version, ...]
    untried: tuple[str, ...] = ()
    """Commits of the file of which the version was never tried, the newest first, each with day and subject."""
    left_out: tuple[str, ...] = ()
    """What could not be taken in, each with why."""

    @property
    def best(self) -> Version | None:
        """The version with the highest difference to the newest, which is itself one of them; `None`: none has a
        score."""
        scored = [each for each in self.versions if _difference(each) is not None]
        return max(scored, key=lambda each: _difference(each) or 0.0, default=None)

    @property
    def summary(self) -> str:
        """Which was best, in a sentence, and how sure that is."""
        newest = next((each for each in self.versions if each.is_newest), None)
        if newest is None:
            return f"No version of {self.name} was tried yet."
        texts = len({each.digest for each in self.versions})
        head = f"{counted(texts, 'version')} of {self.name}, the newest {_name_of(newest)}"
        if newest.is_stand_in:
            head = f"OFFLINE STAND-IN, no model answered. {head}"
        best = self.best
        if best is None or all(each.against is None or each.against.effect is None for each in self.versions):
            enough = [each.against for each in self.versions if each.against and each.against.tasks >= FEWEST_COMPARED]
            if any(against.shown == "another model" for against in enough):
                return (
                    f"{head}: another model was asked with the others that share tasks with it, so nothing is said of "
                    "which is best."
                )
            return f"{head}: none shares {FEWEST_COMPARED} graded tasks with it, so nothing is said of which is best."
        compared = len({each.digest for each in self.versions if each.against and each.against.interval is not None})
        if best.is_newest or best.against is None:
            earlier = "the one earlier version has not" if compared == 1 else f"of {compared} earlier versions none has"
            return f"{head}: {earlier} more points on the tasks that both share."
        against = best.against
        told = f"{_name_of(best)} has {_points(against.effect, sign=True)} points {_bracket(against.interval)}"
        sure = (
            "and is shown to be better"
            if against.shown == "better"
            else f"and is not shown to be better ({against.shown})"
        )
        return f"{head}: {told} on {counted(against.tasks, 'task')}, {sure}."

    def agent(self, digest: str) -> Agent:
        """The agent as it was in the version whose digest begins so.

        Raises:
            ComparisonError: none does, or several do.
        """
        found = {each.digest: each.agent for each in self.versions if digest and each.digest.startswith(digest)}
        if len(found) != 1:
            known = ", ".join(dict.fromkeys(each.digest[:SHOWN_DIGITS] for each in self.versions))
            raise ComparisonError(
                f"{len(found) or 'no'} versions of {self.name} begin with {digest!r}; there are {known or 'none'}"
            )
        return next(iter(found.values()))

    def to_json(self) -> dict[str, Any]:
        """All of it but the agents, as JSON can hold it."""
        rows = [
            {**asdict(replace(each, agent=Agent())), "agent": each.agent.name, "shown_as": each.digest[:SHOWN_DIGITS]}
            for each in self.versions
        ]
        best = self.best
        return {
            "name": self.name,
            "summary": self.summary,
            "best": None if best is None else best.digest,
            "versions": rows,
            "untried": list(self.untried),
            "left_out": list(self.left_out),
        }

    def table(self) -> Table:
        """A row a version."""
        return Table(
            title=f"Versions of {self.name}",
            headings=(
                "version",
                "tried last",
                "commit",
                "model",
                "tasks",
                "replies",
                "points",
                "against the newest",
                "shown",
            ),
            rows=tuple(_cells(each) for each in self.versions),
            note="Points are means over tasks. A difference is paired over the tasks that both were given, with a "
            f"{percent(LEVEL)} interval for all versions at once.",
        )

    def __str__(self) -> str:
        lines = [visible(self.summary)]
        lines += ["", plain_table(self.table()).rstrip("\n")] if self.versions else []
        lines += [f"committed, not tried: {visible(each)}" for each in self.untried]
        return "\n".join([*lines, *(f"left out: {visible(each)}" for each in self.left_out)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        page = html(
            _PAGE,
            summary=self.summary,
            table=html_table(self.table()),
            untried=self.untried,
            left_out=self.left_out,
        )
        return notebook_html(page)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}


@dataclass(frozen=True, kw_only=True)
class _Tried:
    """The attempts of one version under one model."""

    version: Version
    means: Mapping[str, float]
    """By task; those without a score are left out."""
    groups: Mapping[str, str]
    attempts: Mapping[str, Sequence[VersionAttempt]]
    """By task."""


def compare_versions(
    name: str,
    agents: Mapping[str, Agent],
    attempts: Iterable[VersionAttempt],
    *,
    newest: str | None = None,
    last: int = LAST_VERSIONS,
    left_out: Sequence[str] = (),
) -> AgentVersions:
    """The versions of an agent beside each other, the latest tried first and at most `last` of them.

    `agents` are the versions by digest, and `newest` the digest of the one that the others are held against: the one on
    disk; where it was not tried, the latest tried is.
    """
    by_row: defaultdict[tuple[str, str, str | None, bool], dict[str, VersionAttempt]] = defaultdict(dict)
    for one in attempts:
        row = by_row[one.version, one.model, one.effort, one.is_stand_in]
        if (known := row.get(one.key)) is None or known.score is None:  # one that came back counts, not its failures
            row[one.key] = one
    tried = [_tried(agents[key[0]], list(row.values())) for key, row in by_row.items()]
    tried.sort(key=lambda each: (each.version.last_at, each.version.digest), reverse=True)
    # What a model said is held against what a model said; the stand-in's replies stand alone.
    base = next((each for each in tried if each.version.digest == newest and not each.version.is_stand_in), None)
    base = base or next((each for each in tried if not each.version.is_stand_in), None)
    base = base or next((each for each in tried if each.version.digest == newest), tried[0] if tried else None)
    kept = [each for each in tried[:last] if each is not base]
    if base is not None:
        kept = [base, *kept][:last]
    return AgentVersions(
        name=name,
        versions=tuple(_against(base, kept)) if base is not None else (),
        left_out=tuple(left_out),
    )


def task_identity(task: Task) -> str:
    """What is the same where two tasks ask the same and hold a reply to the same."""
    return hashlib.sha256(repr(task.scored_by).encode("utf-8", "backslashreplace")).hexdigest()


def _tried(agent: Agent, attempts: Sequence[VersionAttempt]) -> _Tried:
    by_task: defaultdict[str, list[VersionAttempt]] = defaultdict(list)
    for one in attempts:
        by_task[task_identity(one.task)].append(one)
    means = {
        task: float(np.mean(scores))
        for task, each in by_task.items()
        if (scores := [one.score for one in each if one.score is not None])
    }
    days = sorted(one.at for one in attempts if one.at)
    first = attempts[0]
    return _Tried(
        version=Version(
            digest=first.version,
            agent=agent,
            model=first.model,
            effort=first.effort,
            is_stand_in=first.is_stand_in,
            first_at=days[0] if days else "",
            last_at=days[-1] if days else "",
            tasks=len(by_task),
            replies=len(attempts),
            unscored=sum(one.score is None for one in attempts),
            points=float(np.mean(list(means.values()))) if means else None,
            is_newest=False,
            against=None,
        ),
        means=means,
        groups={task: each[0].task.group or f"task {task}" for task, each in by_task.items()},
        attempts=by_task,
    )


def _against(base: _Tried, tried: Sequence[_Tried]) -> list[Version]:
    found = {id(each): _paired(base, each) for each in tried if each is not base and _is_comparable(base, each)}
    compared = {key: pair for key, pair in found.items() if pair is not None}
    p_values = dict(zip(compared, holm([pair.sign_flip.p for pair in compared.values()]), strict=True))
    return [
        replace(each.version, is_newest=True)
        if each is base
        else replace(
            each.version,
            against=_told(base, each, found.get(id(each)), p_values.get(id(each)), len(compared)),
        )
        for each in tried
    ]


def _is_comparable(base: _Tried, other: _Tried) -> bool:
    """Whether a difference would be one of the agent: the same model was asked, unless the two name others."""
    one, two = base.version, other.version
    same = (one.model, one.effort) == (two.model, two.effort)
    differing = (one.agent.model, one.agent.effort) != (two.agent.model, two.agent.effort)
    return one.is_stand_in == two.is_stand_in and (same or differing)


def _paired(base: _Tried, other: _Tried) -> Paired | None:
    shared = [task for task in other.means if task in base.means]
    if len(shared) < FEWEST_COMPARED:
        return None
    groups = [base.groups[task] for task in shared]
    return paired([other.means[task] - base.means[task] for task in shared], groups=groups)


def _told(base: _Tried, other: _Tried, pair: Paired | None, p: float | None, comparisons: int) -> BesideNewest:
    shared = [task for task in other.means if task in base.means]
    points, newest_points = (
        (float(np.mean([side.means[t] for t in shared])) if shared else None) for side in (other, base)
    )
    shown: Shown
    if not _is_comparable(base, other):
        shown, effect, interval, p = "another model", None, None, None
    elif pair is None or p is None:
        shown, effect, interval = "too few tasks", None, None
    else:
        effect, interval = pair.effect, simultaneous_interval(pair, comparisons)
        shown = "not shown to differ"
        if _misses_too_much(base, other):
            shown = "too many without a score"
        elif interval.excludes_zero and p <= ALPHA:
            shown = "better" if effect > 0 else "worse"
    return BesideNewest(
        tasks=len(shared),
        points=points,
        newest_points=newest_points,
        effect=effect,
        interval=interval,
        p=p,
        shown=shown,
    )


def _misses_too_much(base: _Tried, other: _Tried) -> bool:
    """Whether more of either side than a comparison puts up with has no score, on the tasks that both were given."""
    both = base.attempts.keys() & other.attempts.keys()
    for side in (base, other):
        attempts = [one for task in both for one in side.attempts[task]]
        if sum(one.score is None for one in attempts) > MOST_MISSING * len(attempts):
            return True
    return False


def _difference(version: Version) -> float | None:
    if version.is_newest:
        return 0.0 if version.points is not None else None
    return None if version.against is None else version.against.effect


def _name_of(version: Version) -> str:
    day = version.last_at[:10]
    return f"{version.digest[:SHOWN_DIGITS]}{f' of {day}' if day else ''}"


def _cells(version: Version) -> tuple[str, ...]:
    against = version.against
    difference = (
        "the newest"
        if version.is_newest
        else f"{_points(against.effect, sign=True)} {_bracket(against.interval)} on {counted(against.tasks, 'task')}"
        if against is not None and against.interval is not None
        else ""
    )
    model = f"{version.model}{f', {version.effort}' if version.effort else ''}"
    unscored = f" ({version.unscored} without a score)" if version.unscored else ""
    return (
        version.digest[:SHOWN_DIGITS],
        version.last_at[:10],
        version.commit,
        f"{model}, OFFLINE STAND-IN" if version.is_stand_in else model,
        str(version.tasks),
        f"{version.replies}{unscored}",
        _points(version.points),
        difference,
        "" if against is None else against.shown,
    )


def _points(value: float | None, *, sign: bool = False) -> str:
    return "none" if value is None else f"{value * 100:+.1f}" if sign else f"{value * 100:.1f}"


def _bracket(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval.low * 100:+.1f}, {interval.high * 100:+.1f}]"
