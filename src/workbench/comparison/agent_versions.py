"""The versions of one agent that were ever tried, model by model, held against the newest on the tasks that both were
given.

Replies of many days come together: of records, of a ledger. All of them are graded by the same graders, so that two
versions differ by what was said. What one model said is held against what the same model said; where the files of the
versions name different models, each as its own file has it as well. A difference is paired over tasks; with several
versions p is corrected by Holm, and the interval by Bonferroni, so that it holds for all that are listed at once
(S. Holm 1979; O. J. Dunn 1961, JASA 56). The best of ten is the luckiest of ten, too: one is called better only where
its interval leaves out 0 and the exact sign-flip test agrees.
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
{% for table in tables %}{{ table }}
{% endfor %}
{% for each in untried %}<p>committed, not tried: {{ each }}</p>{% endfor %}
{% for each in left_out %}<p>left out: {{ each }}</p>{% endfor %}
"""
Shown = Literal["better", "worse", "identical", "not shown to differ", "too few tasks", "too many without a score"]
OWN_MODELS = "the model that each version's own file names"


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionAttempt:
    """One attempt of one version at one task, wherever it was found."""

    version: str
    """The digest of the agent."""
    model: str
    """The id that was asked for."""
    effort: str | None
    is_own: bool
    """Whether its file has model and effort so."""
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
    """A version beside the newest of its model, on the tasks that both were given."""

    tasks: int
    points: float | None
    """Mean of the version over these tasks, 0..1."""
    newest_points: float | None
    effect: float | None
    """The difference of the two, in -1..1."""
    interval: Interval | None
    """95 % for all versions that are listed at once."""
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
    """Whether the others of its model are held against it."""
    against: BesideNewest | None
    """`None` of the newest."""
    commit: str = ""
    """The last commit that gave the file this content, its day, and the branch where it is on another; empty where git
    knows none."""


@dataclass(frozen=True, kw_only=True)
class ModelVersions:
    """The versions of which the same model was asked in the same way: the newest, then the latest tried first."""

    asked: str
    """The model and its effort; or `OWN_MODELS`."""
    is_stand_in: bool
    versions: tuple[Version, ...]

    @property
    def newest(self) -> Version:
        """The one that the others are held against."""
        return next(each for each in self.versions if each.is_newest)

    @property
    def best(self) -> Version | None:
        """Of those that are shown to be better than the newest, else of all, the one with the highest difference to it;
        it is one of them. `None`: none has a score."""
        scored = [each for each in self.versions if _difference(each) is not None]
        return max(scored, key=_goodness, default=None)

    @property
    def compared(self) -> tuple[Version, ...]:
        """Those with a difference to the newest."""
        return tuple(each for each in self.versions if each.against is not None and each.against.effect is not None)

    @property
    def finding(self) -> str:
        """Which was best, in a clause, and how sure that is."""
        newest, best, compared = self.newest, self.best, self.compared
        if len(self.versions) == 1:
            return f"only {_name_of(newest)} was tried"
        if not compared or best is None:
            none = f"none shares {FEWEST_COMPARED} graded tasks with {_name_of(newest)}"
            return f"{none}, so nothing is said of which is best"
        few = len(self.versions) - 1 - len(compared)
        rest = f"; {few} more {'shares' if few == 1 else 'share'} too few tasks with it" if few else ""
        return f"{self._of_best(newest, best, compared)}{rest}"

    def _of_best(self, newest: Version, best: Version, compared: Sequence[Version]) -> str:
        by_finding = {
            shown: [each for each in compared if each.against is not None and each.against.shown == shown]
            for shown in ("better", "worse", "identical")
        }
        others = "the one other version" if len(compared) == 1 else f"{len(compared)} other versions"
        if len(by_finding["identical"]) == len(compared):
            have = "has" if len(compared) == 1 else "have"
            return f"{others} {have} the very points of {_name_of(newest)} on each task that both share"
        if best.is_newest or best.against is None:
            none = f"{others} has not" if len(compared) == 1 else f"of {others} none has"
            worse = len(by_finding["worse"])
            sure = f", and {worse} {'is' if worse == 1 else 'are'} shown to be worse" if worse else ""
            return f"{none} more points than {_name_of(newest)} on the tasks that both share{sure}"
        against = best.against
        told = f"{_name_of(best)} has {_points(against.effect, sign=True)} points {_bracket(against.interval)}"
        on = f"on {counted(against.tasks, 'task')} against {_name_of(newest)}"
        if against.shown != "better":
            return f"{told} {on}, and is not shown to be better ({against.shown})"
        also = [_name_of(each) for each in by_finding["better"] if each is not best]
        return f"{told} {on}, and is shown to be better{f'; so are {_listed(also)}' if also else ''}"


@dataclass(frozen=True, kw_only=True, repr=False)
class AgentVersions:
    """The versions of an agent that were tried, by model. Shows itself as text and as HTML tables."""

    name: str
    by_model: tuple[ModelVersions, ...]
    """Where most versions can be compared comes first; what the stand-in made up comes last."""
    on_disk: str | None = None
    """The digest of the version on disk, tried or not; `None`: that is not known."""
    untried: tuple[str, ...] = ()
    """Commits of the file of which the version was never tried, the newest first, each with day and subject."""
    left_out: tuple[str, ...] = ()
    """What could not be taken in, each with why."""

    @property
    def versions(self) -> tuple[Version, ...]:
        """All that are listed, one version once for each way in which it was asked."""
        return tuple(each for group in self.by_model for each in group.versions)

    @property
    def best(self) -> Version | None:
        """The best of the first model; `None`: none has a score."""
        return self.by_model[0].best if self.by_model else None

    @property
    def summary(self) -> str:
        """Which was best with each model, and how sure that is."""
        if not self.by_model:
            return f"No version of {self.name} was tried yet."
        digests = dict.fromkeys(each.digest for each in self.versions)
        untried = "" if self.on_disk is None or self.on_disk in digests else "; the one on disk was not tried"
        head = f"{counted(len(digests), 'version')} of {self.name} {'was' if len(digests) == 1 else 'were'} tried"
        made_up = "OFFLINE STAND-IN, no model answered"
        all_made_up = all(group.is_stand_in for group in self.by_model)
        said = [
            f"{made_up}: " * (group.is_stand_in and not all_made_up) + f"asked of {group.asked}, {group.finding}."
            for group in self.by_model
        ]
        said = [f"{clause[0].upper()}{clause[1:]}" for clause in said]
        return " ".join([f"{made_up}." * all_made_up, f"{head}{untried}.", *said]).strip()

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
        best = self.best
        return {
            "name": self.name,
            "summary": self.summary,
            "best": None if best is None else best.digest,
            "on_disk": self.on_disk,
            "by_model": [
                {
                    "asked": group.asked,
                    "is_stand_in": group.is_stand_in,
                    "newest": group.newest.digest,
                    "best": None if group.best is None else group.best.digest,
                    "finding": group.finding,
                    "versions": [_as_json(each) for each in group.versions],
                }
                for group in self.by_model
            ],
            "untried": list(self.untried),
            "left_out": list(self.left_out),
        }

    def tables(self) -> tuple[Table, ...]:
        """One for each model, in it a row a version."""
        return tuple(self._table(group, is_last=group is self.by_model[-1]) for group in self.by_model)

    def _table(self, group: ModelVersions, *, is_last: bool) -> Table:
        return Table(
            title=f"Versions of {self.name}, asked of {group.asked}{', OFFLINE STAND-IN' if group.is_stand_in else ''}",
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
            rows=tuple(_cells(each, is_on_disk=each.digest == self.on_disk) for each in group.versions),
            note="Points are means over tasks. A difference is paired over the tasks that both were given, with a "
            f"{percent(LEVEL)} interval for all versions at once."
            if is_last
            else "",
        )

    def __str__(self) -> str:
        lines = [visible(self.summary)]
        lines += [f"\n{plain_table(table).rstrip()}" for table in self.tables()]
        lines += [f"committed, not tried: {visible(each)}" for each in self.untried]
        return "\n".join([*lines, *(f"left out: {visible(each)}" for each in self.left_out)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        page = html(
            _PAGE,
            summary=self.summary,
            tables=[html_table(table) for table in self.tables()],
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
    is_own: bool
    means: Mapping[str, float]
    """By task; those without a score are left out."""
    groups: Mapping[str, str]
    attempts: Mapping[str, Sequence[VersionAttempt]]
    """By task."""

    @property
    def asked(self) -> str:
        effort = self.version.effort
        return f"{self.version.model}{f' with effort {effort}' if effort else ''}"


def compare_versions(
    name: str,
    agents: Mapping[str, Agent],
    attempts: Iterable[VersionAttempt],
    *,
    on_disk: str | None = None,
    last: int = LAST_VERSIONS,
    left_out: Sequence[str] = (),
) -> AgentVersions:
    """The versions of an agent beside each other, model by model, the latest tried first and at most `last` of them.

    `agents` are the versions by digest, and `on_disk` the digest of that on disk. With each model the others are held
    against that one; where it was not tried there, or shares too few tasks with all others, against the one that was
    first tried last.
    """
    by_row: defaultdict[tuple[str, str, str | None, bool], dict[str, VersionAttempt]] = defaultdict(dict)
    for one in attempts:
        row = by_row[one.version, one.model, one.effort, one.is_stand_in]
        if (known := row.get(one.key)) is None or known.score is None:  # one that came back counts, not its failures
            row[one.key] = one
    tried = [_tried(agents[key[0]], list(row.values())) for key, row in by_row.items()]
    tried.sort(key=lambda each: (each.version.last_at, each.version.digest), reverse=True)
    digests = dict.fromkeys(each.version.digest for each in tried)
    kept = sorted(digests, key=lambda digest: digest != on_disk)[:last]
    listed = [each for each in tried if each.version.digest in kept]
    groups = [(asked, *_newest_first(rows, on_disk)) for asked, rows in _by_model(listed)]
    pairs = {
        (number, place): pair
        for number, (_, rows, base) in enumerate(groups)
        for place, each in enumerate(rows)
        if each is not base and (pair := _paired(base, each)) is not None
    }
    p_values = dict(zip(pairs, holm([pair.sign_flip.p for pair in pairs.values()]), strict=True))
    found = [
        ModelVersions(
            asked=asked,
            is_stand_in=base.version.is_stand_in,
            versions=tuple(
                replace(each.version, is_newest=True)
                if each is base
                else replace(
                    each.version,
                    against=_told(
                        base, each, pairs.get((number, place)), p_values.get((number, place)), comparisons=len(pairs)
                    ),
                )
                for place, each in enumerate(rows)
            ),
        )
        for number, (asked, rows, base) in enumerate(groups)
    ]
    found.sort(key=lambda group: (group.is_stand_in, -len(group.compared), -len(group.versions)))
    return AgentVersions(name=name, by_model=tuple(found), on_disk=on_disk, left_out=tuple(left_out))


def _by_model(tried: Sequence[_Tried]) -> list[tuple[str, list[_Tried]]]:
    """What was asked alike, and before it, where files name different models, each version as its own has it. What the
    stand-in made up stands apart. Rows of which each is among those of the first are not said again."""
    found: list[tuple[str, list[_Tried]]] = []
    for is_stand_in in (False, True):
        rows = [each for each in tried if each.version.is_stand_in == is_stand_in]
        own = [each for each in rows if each.is_own]
        has_several = len({each.asked for each in own}) > 1
        if has_several:
            found.append((OWN_MODELS, own))
        alike: defaultdict[str, list[_Tried]] = defaultdict(list)
        for each in rows:
            alike[each.asked].append(each)
        found += [
            (asked, same) for asked, same in alike.items() if not (has_several and all(each.is_own for each in same))
        ]
    return found


def _newest_first(tried: Sequence[_Tried], on_disk: str | None) -> tuple[list[_Tried], _Tried]:
    base = _base(tried, on_disk)
    return [base, *(each for each in tried if each is not base)], base


def _base(tried: Sequence[_Tried], on_disk: str | None) -> _Tried:
    """What the others are held against: the version on disk, else that which was first tried last; of these the first
    that can be compared with another."""
    newest = sorted(tried, key=lambda each: (each.version.first_at, each.version.digest), reverse=True)
    newest.sort(key=lambda each: each.version.digest != on_disk)
    return next(
        (
            base
            for base in newest
            if any(len(_shared(base, each)) >= FEWEST_COMPARED for each in tried if each is not base)
        ),
        newest[0],
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
        is_own=first.is_own,
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


def _shared(base: _Tried, other: _Tried) -> list[str]:
    return [task for task in other.means if task in base.means]


def _paired(base: _Tried, other: _Tried) -> Paired | None:
    shared = _shared(base, other)
    if len(shared) < FEWEST_COMPARED:
        return None
    groups = [base.groups[task] for task in shared]
    return paired([other.means[task] - base.means[task] for task in shared], groups=groups)


def _told(base: _Tried, other: _Tried, pair: Paired | None, p: float | None, *, comparisons: int) -> BesideNewest:
    shared = _shared(base, other)
    points, newest_points = (
        (float(np.mean([side.means[t] for t in shared])) if shared else None) for side in (other, base)
    )
    shown: Shown
    if pair is None or p is None:
        shown, effect, interval = "too few tasks", None, None
    else:
        effect, interval = pair.effect, simultaneous_interval(pair, comparisons)
        shown = "not shown to differ"
        if _misses_too_much(base, other):
            shown = "too many without a score"
        elif pair.is_identical:
            shown = "identical"
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


def _goodness(version: Version) -> tuple[bool, float, bool]:
    is_better = version.against is not None and version.against.shown == "better"
    return is_better, _difference(version) or 0.0, version.is_newest


def _as_json(version: Version) -> dict[str, Any]:
    return {
        **asdict(replace(version, agent=Agent())),
        "agent": version.agent.name,
        "shown_as": version.digest[:SHOWN_DIGITS],
    }


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " * (len(names) > 1) + names[-1]


def _name_of(version: Version) -> str:
    day = version.last_at[:10]
    return f"{version.digest[:SHOWN_DIGITS]}{f' of {day}' if day else ''}"


def _cells(version: Version, *, is_on_disk: bool) -> tuple[str, ...]:
    against = version.against
    difference = (
        "this is it"
        if version.is_newest
        else f"{_points(against.effect, sign=True)} {_bracket(against.interval)} on {counted(against.tasks, 'task')}"
        if against is not None and against.interval is not None
        else ""
    )
    model = f"{version.model}{f', {version.effort}' if version.effort else ''}"
    unscored = f" ({version.unscored} without a score)" if version.unscored else ""
    return (
        f"{version.digest[:SHOWN_DIGITS]}{', on disk' if is_on_disk else ''}",
        version.last_at[:10],
        version.commit,
        model,
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
