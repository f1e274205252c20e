"""What can be measured of replies without a grader: how long they are, what they are made of, what they take.

`MEASURES` declares each in one place: the table, the sentence, CSV, Parquet and JSON come from it. Every other variant
is compared with the baseline by the rules of the verdict: task means, paired, by t and by sign flips, corrected by Holm
for all rows that are shown together. A measure says that replies differ and by how much, never that one is better:
fewer words are not better words.

Amounts (words, tokens, seconds, USD) are compared in percent, by the mean logarithm of the replies to each task, so
that every task counts alike (`statistics.changes.log_means`); where a reply has 0 of it, and so no logarithm, by the
difference. Counts that are often 0 (questions, headings) and shares are compared by the difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.comparison.columns import TrialColumns
from workbench.comparison.figures import percent, points
from workbench.comparison.scores import groups_of, is_stand_in, missing_in_words, same_requests
from workbench.markup import counted
from workbench.statistics.changes import Change, CorrectedChange, as_ratio, change_between, corrected, log_means
from workbench.statistics.intervals import LEVEL, Floats, Interval
from workbench.statistics.means import case_means
from workbench.statistics.power import FEWEST_COMPARED
from workbench.trial.countable import headings_in, questions_in
from workbench.trial.fences import code_blocks
from workbench.trial.sentences import count_words

Scale = Literal["amount", "count", "share"]
"""How a measure is compared: an amount in percent, a count by its difference, a share of 1 by its difference in
points."""
MeasureKind = Literal["differs", "may differ", "no difference shown", "not compared"]
"""Shown to differ; promising, but not established; neither; or why not is in the text."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A figure of every reply that no grader is needed for."""

    name: str
    """In data frames and files."""
    heading: str
    scale: Scale
    less: str
    """Of what the variant has, where it has less: "fewer words"."""
    more: str
    value: Callable[[TrialColumns], Floats]
    """A value for each trial, in the order of the run; NaN where it is not known."""
    of_all_attempts: bool = False
    """Whether trials that were not answered have it too."""
    of_a_model: bool = False
    """Whether what the stand-in made up has none: its time is that of this machine, and nothing was paid."""


@dataclass(frozen=True, kw_only=True)
class MeasureChange:
    """How a measure of one variant compares with the baseline's. What is not known is `None`."""

    measure: str
    """`Measure.name`."""
    heading: str
    variant: str
    baseline: str
    kind: MeasureKind
    text: str
    """In words: "18 % fewer words, 95 % CI [-25, -11]", or why it is not compared."""
    unit: Literal["percent", "difference", "points"]
    """What `effect` and `interval` are in: a share of the baseline's value (-0.18 is 18 % less), the measure's own
    unit, or a share of 1."""
    before: float | None
    """The baseline's mean over the tasks that both have it for; in percent the geometric one, as the effect is of
    it."""
    after: float | None
    effect: float | None = None
    interval: Interval | None = None
    """95 %, not corrected; `None` also where all tasks changed alike."""
    t_p: float | None = None
    """Corrected by Holm, as is `sign_flip_p`."""
    sign_flip_p: float | None = None
    identical: bool = False
    """Whether it is the same at every task."""
    comparisons: int = 0
    """For how many rows they are corrected: those in which anything differs at all."""
    tasks: int = 0
    missing: int = 0
    """Attempts of both variants of which it is not known."""


def _of_texts(read: Callable[[str], float]) -> Callable[[TrialColumns], Floats]:
    """A figure of the text of each reply."""

    def value(columns: TrialColumns) -> Floats:
        replies = [trial.reply for trial in columns.run.trials]
        return np.array([math.nan if reply is None else read(reply.text) for reply in replies], dtype=np.float64)

    return value


def code_share(text: str) -> float:
    """The share of a reply's characters, blanks left out, that stand in fenced blocks; 0..1."""
    if "```" not in text and "~~~" not in text:
        return 0.0
    characters = len("".join(text.split()))
    return sum(len("".join(block.text.split())) for block in code_blocks(text)) / characters


MEASURES: tuple[Measure, ...] = (
    Measure(
        name="words",
        heading="Words",
        scale="amount",
        less="fewer words",
        more="more words",
        value=_of_texts(count_words),
    ),
    Measure(
        name="characters",
        heading="Characters",
        scale="amount",
        less="fewer characters",
        more="more characters",
        value=_of_texts(len),
    ),
    Measure(
        name="output_tokens",
        heading="Output tokens",
        scale="amount",
        less="fewer output tokens",
        more="more output tokens",
        value=lambda columns: columns.output_tokens,
    ),
    Measure(
        name="questions",
        heading="Questions asked",
        scale="count",
        less="fewer questions a reply",
        more="more questions a reply",
        value=_of_texts(lambda text: len(questions_in(text))),
    ),
    Measure(
        name="code",
        heading="Share of code",
        scale="share",
        less="less code",
        more="more code",
        value=_of_texts(code_share),
    ),
    Measure(
        name="headings",
        heading="Headings",
        scale="count",
        less="fewer headings a reply",
        more="more headings a reply",
        value=_of_texts(lambda text: len(headings_in(text))),
    ),
    Measure(
        name="seconds",
        heading="Seconds",
        scale="amount",
        less="less time",
        more="more time",
        value=lambda columns: columns.seconds,
        of_a_model=True,
    ),
    Measure(
        name="paid_usd",
        heading="USD paid",
        scale="amount",
        less="less paid",
        more="more paid",
        value=lambda columns: columns.paid["paid_usd"],
        of_all_attempts=True,
        of_a_model=True,
    ),
)
"""In the order in which they stand. Words are as `count_words` has them; questions are those put to the reader."""


def measure_changes(columns: TrialColumns, *, baseline: str, families: int = 1) -> tuple[MeasureChange, ...]:
    """Each measure of each other variant against the baseline, variant by variant, in the order of `MEASURES`.

    Time and money are left out where the stand-in answered. `families` as in `corrected`.
    """
    run = columns.run
    groups = groups_of(run)
    numbers = {name: number for number, name in enumerate(run.variants)}
    tables = {measure.name: _table(columns, measure) for measure in _measured(columns)}
    measures = [measure for measure in MEASURES if measure.name in tables]
    rows = []
    for variant in run.variants:
        if variant == baseline:
            continue
        for measure in measures:
            pair = tables[measure.name][[numbers[baseline], numbers[variant]]]
            rows.append(_compared(measure, variant, pair, _obstacle(pair)))
    changes = [
        None
        if row.obstacle
        else change_between(row.before, row.after, groups=groups, bounded=row.measure.scale == "share")
        for row in rows
    ]
    alike = same_requests(run, baseline=baseline)
    return tuple(
        _change(
            row,
            baseline,
            None if found is None else found.change,
            None if found is None else (found.t_p, found.sign_flip_p, found.comparisons),
            kind=_kind(found, same=row.variant in alike),
        )
        for row, found in zip(rows, corrected(changes, families=families), strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class _Row:
    measure: Measure
    variant: str
    before: Floats
    """Task means, of logarithms where `in_percent`."""
    after: Floats
    in_percent: bool
    missing: int
    obstacle: str


def _measured(columns: TrialColumns) -> list[Measure]:
    made_up = is_stand_in(columns.run)
    return [measure for measure in MEASURES if not (made_up and measure.of_a_model)]


def _table(columns: TrialColumns, measure: Measure) -> Floats:
    """Variants by tasks by repeats."""
    run, attempts = columns.run, columns.attempts
    table = np.full((len(run.variants), len(run.tasks), run.repeats), math.nan)
    values = measure.value(columns)
    if not measure.of_all_attempts:
        values = np.where(columns.answered, values, math.nan)
    table[attempts.variant, attempts.task, attempts.repeat] = values
    return table


def _obstacle(pair: Floats) -> str:
    missing = np.isnan(pair).sum(axis=(1, 2))
    if missing.min() == pair[0].size:
        return "not known of any reply"
    wrong = missing_in_words((int(missing[0]), int(missing[1])), pair[0].size)
    return f"not known of {missing[0]} and {missing[1]} of {pair[0].size} attempts each: {wrong}" if wrong else ""


def _compared(measure: Measure, variant: str, pair: Floats, obstacle: str) -> _Row:
    in_percent = measure.scale == "amount" and not (pair <= 0).any()
    means = log_means if in_percent else case_means
    return _Row(
        measure=measure,
        variant=variant,
        before=means(pair[0]),
        after=means(pair[1]),
        in_percent=in_percent,
        missing=int(np.isnan(pair).sum()),
        obstacle=obstacle,
    )


def _change(
    row: _Row, baseline: str, change: Change | None, tests: tuple[float, float, int] | None, *, kind: MeasureKind
) -> MeasureChange:
    both = ~np.isnan(row.after - row.before)
    before, after = (_typical(side[both], in_percent=row.in_percent) for side in (row.before, row.after))
    unit: Literal["percent", "difference", "points"] = "difference"
    if row.in_percent:
        unit = "percent"
    elif row.measure.scale == "share":
        unit = "points"
    if change is None or tests is None:
        few = f"{counted(int(both.sum()), 'task')} with replies of both; it takes at least {FEWEST_COMPARED}"
        obstacle = row.obstacle or few
        return MeasureChange(
            measure=row.measure.name,
            heading=row.measure.heading,
            variant=row.variant,
            baseline=baseline,
            kind=kind,
            text=obstacle,
            unit=unit,
            before=before,
            after=after,
            tasks=int(both.sum()),
            missing=row.missing,
        )
    found = as_ratio(change) if row.in_percent else change
    return MeasureChange(
        measure=row.measure.name,
        heading=row.measure.heading,
        variant=row.variant,
        baseline=baseline,
        kind=kind,
        text=_in_words(row.measure, found, unit),
        unit=unit,
        before=before,
        after=after,
        effect=found.effect,
        interval=found.interval,
        t_p=tests[0],
        sign_flip_p=tests[1],
        comparisons=tests[2],
        identical=not change.can_differ,
        tasks=found.tasks,
        missing=row.missing,
    )


def _kind(found: CorrectedChange | None, *, same: bool) -> MeasureKind:
    if found is None:
        return "not compared"
    if same:
        return "no difference shown"
    return "differs" if found.is_shown else "may differ" if found.change.is_promising else "no difference shown"


def _typical(means: Floats, *, in_percent: bool) -> float | None:
    if not len(means):
        return None
    mean = float(means.mean())
    return math.exp(mean) if in_percent else mean


def change_in_words(value: float, unit: str, *, sign: bool = True) -> str:
    """An effect, or an end of its interval, without its unit: "-18", "+0.5"."""
    if unit == "points":
        return points(value, sign=sign)
    shown = 100 * value if unit == "percent" else value
    digits = 0 if abs(shown) >= 9.95 else 1 if unit == "percent" or abs(shown) >= 0.95 else 2
    text = f"{shown:+.{digits}f}" if sign else f"{shown:.{digits}f}"
    return "0" if float(text) == 0 else text


def interval_in_words(interval: Interval | None, unit: str) -> str:
    """ "[-25, -11]"; where there is none, that all tasks changed alike."""
    if interval is None:
        return "all tasks changed alike"
    return f"[{change_in_words(interval.low, unit)}, {change_in_words(interval.high, unit)}]"


def _in_words(measure: Measure, change: Change, unit: str) -> str:
    size = change_in_words(abs(change.effect), unit, sign=False)
    of = {"percent": " %", "points": " points"}.get(unit, "")
    changed = f"{size}{of} {measure.less if change.effect < 0 else measure.more}"
    if size in ("0", "0.0"):
        changed = f"{measure.heading.lower()} {'unchanged' if change.interval is None else 'the same on average'}"
    if change.interval is None:
        return changed if not change.can_differ else f"{changed} on every task"
    return f"{changed}, {percent(LEVEL)} CI {interval_in_words(change.interval, unit)}"
