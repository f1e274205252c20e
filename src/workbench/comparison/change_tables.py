"""The tables of what changed beside the whole: a row a promise, a row a criterion of judges, a row a
measure; and the rules of the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.comparison.compared import Compared
from workbench.comparison.figures import p_in_cell, percent, points
from workbench.comparison.grader_check import first_of
from workbench.comparison.measures import MeasureChange, change_in_words, interval_in_words
from workbench.comparison.promises import PromiseChange, PromiseMean
from workbench.comparison.verdict import RULES
from workbench.markup import Table, command, counted
from workbench.statistics.intervals import LEVEL, Interval
from workbench.statistics.power import ALPHA, FEWEST_COMPARED
from workbench.trial.graded import looks_for_words
from workbench.trial.rubric import RUBRIC_BESIDE

MOST_PROMISES_SHOWN = 50
_UNITS = {"percent": " %", "points": " points", "difference": ""}
_CORRECTED = (
    f"Shown where t and sign flips both have p <= {ALPHA:g}; the p is the larger of both, corrected by Holm for "
    '{count} in which anything differs; "may" where one of the two alone says so, or only before correction. Intervals '
    "are not corrected."
)


def change_tables(compared: Compared) -> list[Table]:
    """The promises, the criteria of judges and the measures, as far as there are any to compare; of one variant, how it
    keeps each promise."""
    if not compared.verdicts:
        kept = promise_means_table(compared.promise_means)
        return [] if kept is None else [kept]
    tables = (promises_with_notes(compared), *judged_tables(compared), measures_table(compared.measures))
    return [table for table in tables if table is not None]


def judged_tables(compared: Compared) -> list[Table]:
    """A table a judging, with a row a criterion, grey where what judges say of it decides nothing."""
    rows = compared.criteria
    if not rows:
        return []
    from workbench.comparison.judged import judged_table

    return [
        judged_table(of, judged)
        for judged in compared.run.judged
        if (of := [row for row in rows if row.rubric == judged.rubric.name])
    ]


def promises_with_notes(compared: Compared) -> Table | None:
    """The table of its promises, and below it what there is to know of their graders: which tell no reply from another
    (nothing of that where the stand-in made up the replies), and which look for words alone, where no judge stands
    beside them."""
    notes = ["" if compared.stand_in else compared.graders.in_short, "" if compared.run.judged else _of_words(compared)]
    return promises_table(compared.promises, note=" ".join(filter(None, notes)))


def _of_words(compared: Compared) -> str:
    by_words: dict[str, bool] = {}
    for task in compared.run.tasks:
        for spec in task.graders:
            by_words[spec.promise] = by_words.get(spec.promise, True) and looks_for_words(spec.name, spec.options)
    names = [promise for promise, alone in by_words.items() if alone]
    if not names:
        return ""
    judge = command("workbench", "judge", "RECORD", "--rubric", RUBRIC_BESIDE)
    told = f"Looked for by words alone: {first_of(names)}"
    return f"{told}; whether a reply deals with what it names, a judge sees: `{judge}`."


def promises_table(changes: Sequence[PromiseChange], *, note: str = "") -> Table | None:
    """A row a promise, the worst first; `None` without any. Scores are in points.

    Promises on too few tasks to compare are only counted, and so are those beyond `MOST_PROMISES_SHOWN`. `note` stands
    behind what is said below the table.
    """
    if not changes:
        return None
    several = len({change.variant for change in changes}) > 1
    worse, may_be = (sum(change.kind == kind for change in changes) for kind in ("worse", "may be worse"))
    enough = [change for change in changes if change.tasks >= FEWEST_COMPARED]
    shown = enough[:MOST_PROMISES_SHOWN]
    left_out = []
    if len(enough) < len(changes):
        few = len(changes) - len(enough)
        left_out.append(f"{counted(few, 'row')} on fewer than {FEWEST_COMPARED} tasks left out, and not compared.")
    if len(shown) < len(enough):
        left_out.append(f"{len(shown)} of {len(enough)} are shown; all are in .by_promise.")
    title = f"Promises, the worst change first: {worse} of {counted(len(enough), 'row')} shown to be worse"
    title += f", {may_be} may be" if may_be else ""
    title += f", {len(shown)} listed" if len(shown) < len(enough) else ""
    rows = tuple(
        (
            change.promise,
            *((change.variant,) if several else ()),
            _points(change.before),
            _points(change.after),
            promise_change_in_words(change),
            str(change.tasks),
            _p(change.t_p, change.sign_flip_p),
            f"not compared: {change.obstacle}" if change.obstacle else _shown(change),
        )
        for change in shown
    )
    return Table(
        title=title,
        headings=_headings("Promise", several=several),
        rows=rows,
        note=" ".join([_note(changes, "row"), *left_out, *([note] if note else [])]),
    )


def promise_means_table(kept: Sequence[PromiseMean]) -> Table | None:
    """A row a promise of one variant, the least kept first, at most `MOST_PROMISES_SHOWN`; `None` without any. Scores
    are in points."""
    if not kept:
        return None
    shown = kept[:MOST_PROMISES_SHOWN]
    unscored = [row for row in kept if row.declined or row.unanswered]
    rows = tuple(
        (
            row.promise,
            _points(row.mean),
            _interval(row.interval),
            str(row.tasks),
            *((_not_scored(row),) if unscored else ()),
        )
        for row in shown
    )
    note = "Means over tasks; whether anything got better or worse, only another variant or an earlier run can tell."
    return Table(
        title=f"Promises, the least kept first ({len(kept)})",
        headings=(
            "Promise",
            "Score in points",
            f"{percent(LEVEL)} interval",
            "Tasks",
            *(("Not scored",) if unscored else ()),
        ),
        rows=rows,
        note=note if len(shown) == len(kept) else f"{len(shown)} of {len(kept)} are shown. {note}",
    )


def _not_scored(row: PromiseMean) -> str:
    parts = [(row.declined, "declined"), (row.unanswered, "without an answer")]
    return ", ".join(f"{count} {what}" for count, what in parts if count) or "-"


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"[{_points(interval.low)}, {_points(interval.high)}]"


def measures_table(changes: Sequence[MeasureChange]) -> Table | None:
    """A row a measure; `None` without any."""
    if not changes:
        return None
    several = len({change.variant for change in changes}) > 1
    differ, may = (sum(change.kind == kind for change in changes) for kind in ("differs", "may differ"))
    rows = tuple(
        (
            change.heading,
            *((change.variant,) if several else ()),
            _value(change, change.before),
            _value(change, change.after),
            _measure_change(change),
            str(change.tasks),
            _p(change.t_p, change.sign_flip_p),
            f"not compared: {change.text}" if change.kind == "not compared" else _shown(change),
        )
        for change in changes
    )
    return Table(
        title=f"Measures of replies, without a grader: {differ} of {counted(len(changes), 'row')} shown to differ"
        + (f", {may} may" if may else ""),
        headings=_headings("Measure", several=several),
        rows=rows,
        note=f"{_note(changes, 'row')} Changes in percent are of geometric means, in which every task counts alike; "
        "less or more of something is not better or worse.",
    )


def _headings(of: str, *, several: bool) -> tuple[str, ...]:
    """Of a table with a row for each `of`, or with `several` variants for each of every variant."""
    change = f"Change [{percent(LEVEL)} interval]"
    return (of, *(("Variant",) if several else ()), "Before", "After", change, "Tasks", "p (Holm)", "Shown")


def rules_table() -> Table:
    """How each verdict is reached."""
    return Table(
        title="How a verdict is reached",
        headings=("Verdict", "When"),
        rows=tuple((kind, rule) for kind, rule in RULES.items()),
        note="Task means are compared, paired by task.",
    )


def _note(changes: Sequence[PromiseChange] | Sequence[MeasureChange], what: str) -> str:
    count = max(change.comparisons for change in changes)
    return _CORRECTED.format(count=counted(count, what)) if count else "Nothing differs."


def _shown(change: PromiseChange | MeasureChange) -> str:
    return "identical" if change.identical and change.kind == "no difference shown" else change.kind


def _points(value: float | None) -> str:
    return "-" if value is None else points(value, sign=False)


def promise_change_in_words(change: PromiseChange) -> str:
    """In points, with its interval; "-" where it is not compared."""
    if change.effect is None or change.interval is None:
        return "-"
    return f"{points(change.effect)} [{points(change.interval.low)}, {points(change.interval.high)}]"


def _value(change: MeasureChange, value: float | None) -> str:
    if value is None:
        return "-"
    if change.unit == "points":
        return f"{100 * value:.1f} %"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _measure_change(change: MeasureChange) -> str:
    if change.effect is None:
        return "-"
    size = f"{change_in_words(change.effect, change.unit)}{_UNITS[change.unit]}"
    if change.interval is None:
        return f"{size} on every task"
    return f"{size} {interval_in_words(change.interval, change.unit)}"


def _p(t_p: float | None, sign_flip_p: float | None) -> str:
    if t_p is None or sign_flip_p is None:
        return "-"
    return p_in_cell(max(t_p, sign_flip_p))
