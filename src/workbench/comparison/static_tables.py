"""The tables of a comparison as they are shown: a row a variant, a row a task, a row a trial."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from workbench.comparison.compared import Compared
from workbench.comparison.flips import Flip, changes_between
from workbench.comparison.scores import THRESHOLD
from workbench.comparison.summaries import VariantSummary
from workbench.comparison.trial_table import COLUMNS, cells
from workbench.comparison.verdict import percent, points
from workbench.markup import Table, counted, html, html_table, visible_lines
from workbench.statistics.intervals import LEVEL
from workbench.trial.paid import of_the_cache
from workbench.trial.trial import Trial

MOST_TASKS_SHOWN = 50
MOST_TRIALS_SHOWN = 50
TRIALS_TITLE = "Trials"
WHERE_ALL_ARE = {"tasks": "all are in .by_task.", "trials": "all are in .trials."}
"""By what they are of, how a note ends whose table has not all rows."""
_TIE = 1e-12
_LONGEST_REPLY = 1_500

# Blue and orange are told apart without colour vision; mixed with the ink of the page, they are legible on any paper.
_COLOURS = {
    sign: f"color-mix(in srgb, {colour} 70%, currentColor)" for sign, colour in (("▲", "#1f80c7"), ("▼", "#c8601a"))
}
_OPENING = """\
<details><summary>{{ text }}</summary>\
<pre style="white-space: pre-wrap; overflow-wrap: anywhere; text-align: left">{{ reply | lines }}</pre></details>"""
_UNITS = {"points": " in points"}
_FIRST_CHANGE = 3
"""The columns before it hold names, which may begin with any sign."""

_ENDINGS = {
    "declined": "Declined by all graders",
    "ungraded": "Not graded",
    "refused": "Refused",
    "cut_off": "Cut off",
    "empty": "Empty",
    "failed": "Failed",
    "stopped": "Stopped",
    "not_run": "Not run",
}


@dataclass(frozen=True, kw_only=True)
class VariantColumn:
    """A column of the table of variants."""

    name: str
    """As in `Comparison.by_variant`."""
    heading: str
    cell: Callable[[VariantSummary], str]


def variant_columns(compared: Compared) -> tuple[VariantColumn, ...]:
    """The columns of the table of variants: of the ways not to be scored, and of pass@k, those that occurred."""
    summaries, repeats = compared.summaries, compared.run.repeats
    occurred = {name: heading for name, heading in _ENDINGS.items() if any(s.scores.statuses[name] for s in summaries)}
    passes = {"pass_at_k": f"pass@{repeats}", "pass_hat_k": f"pass^{repeats}"} if _has_passes(compared) else {}

    def count(name: str, heading: str) -> VariantColumn:
        return VariantColumn(name=name, heading=heading, cell=lambda summary: str(summary.as_row()[name]))

    def chance(name: str, heading: str) -> VariantColumn:
        return VariantColumn(
            name=name, heading=heading, cell=lambda summary: _points_or_dash(summary.as_row()[name], sign=False)
        )

    paid = []
    if not compared.stand_in and not all(math.isnan(summary.paid["paid_attempts"]) for summary in summaries):
        paid = [VariantColumn(name="paid_usd", heading="Paid, all attempts", cell=_paid)]

    def name_of(summary: VariantSummary) -> str:
        return f"{summary.name} (baseline)" if summary.name in compared.baselines else summary.name

    return (
        VariantColumn(name="variant", heading="Variant", cell=name_of),
        count("trials", "Trials"),
        count("answered", "Answered"),
        *(count(name, heading) for name, heading in occurred.items()),
        VariantColumn(name="score", heading=f"Score in points [{percent(LEVEL)} interval]", cell=_score),
        *(chance(name, heading) for name, heading in passes.items()),
        VariantColumn(name="input_tokens", heading="Input tokens", cell=_input_tokens),
        VariantColumn(name="output_tokens", heading="Output tokens", cell=_output_tokens),
        VariantColumn(name="usd", heading="Cost in USD", cell=(lambda _: "none") if compared.stand_in else _cost),
        *paid,
        VariantColumn(name="seconds_median", heading="Seconds: median (p95)", cell=_latency),
        VariantColumn(name="seconds_to_first_token", heading="First token after", cell=_first_token),
    )


def variants_table(compared: Compared) -> Table:
    """A row a variant, with what became of its attempts, its score, and what its replies took."""
    columns = variant_columns(compared)
    endings = _ENDINGS.keys() - {"ungraded"}
    all_answered = not any(summary.scores.statuses[name] for summary in compared.summaries for name in endings)
    repeats = compared.run.repeats
    note = (
        f"pass@{repeats}: chance in percent that at least one of {repeats} repeats passes; "
        f"pass^{repeats}: that all do. A repeat passes with {points(THRESHOLD, sign=False)} points or more."
    )
    return Table(
        title=f"Variants ({compared.size}).{' Every trial was answered.' if all_answered else ''}",
        headings=tuple(column.heading for column in columns),
        rows=tuple(tuple(column.cell(summary) for column in columns) for summary in compared.summaries),
        note=note if _has_passes(compared) else "",
    )


def _has_passes(compared: Compared) -> bool:
    return any(not math.isnan(summary.pass_at_k) for summary in compared.summaries)


def ranking_table(compared: Compared) -> Table | None:
    """The variants by mean score with what is established of each against its baseline; `None` for two or fewer."""
    if len(compared.verdicts) < 2:
        return None
    verdicts = {verdict.variant: verdict for verdict in compared.verdicts}
    scored = sorted(compared.summaries, key=lambda s: -math.inf if math.isnan(s.score) else s.score, reverse=True)
    rising = sorted(summary.score for summary in scored if not math.isnan(summary.score))
    rows = []
    for summary in scored:
        verdict = verdicts.get(summary.name)
        better = len(rising) - bisect_right(rising, summary.score + _TIE)
        shown = "-" if math.isnan(summary.score) else str(1 + better)
        score = _points_or_dash(summary.score, sign=False)
        if verdict is None:
            rows.append((shown, summary.name, score, "-", "-", "baseline"))
            continue
        difference, p = "-", "-"
        if verdict.effect is not None and verdict.interval is not None:
            low, high = points(verdict.interval.low), points(verdict.interval.high)
            difference = f"{_marked(verdict.effect)} [{low}, {high}]"
            values = [value for value in (verdict.t_p, verdict.sign_flip_p) if value is not None]
            p = f"{max(values):.3f}"
        rows.append((shown, summary.name, score, difference, p, verdict.kind))
    headings = (
        "Rank",
        "Variant",
        "Score in points",
        f"Difference to {compared.against} [{percent(LEVEL)} interval]",
        "p (larger of both tests, Holm)",
        "Verdict",
    )
    note = "Ranked by mean score; two neighbours need not differ. Only a verdict says what is established."
    return Table(title=f"Ranking of {counted(len(rows), 'variant')}", headings=headings, rows=tuple(rows), note=note)


def tasks_table(compared: Compared, *, most: int = MOST_TASKS_SHOWN, chosen: Sequence[int] | None = None) -> Table:
    """A row a task, the variants side by side, each change marked by its sign and shape, and where it flipped.

    `chosen` are row numbers, those of `Run.tasks`; without them the largest changes are shown, where not all can be.
    """
    run, names, baseline_of = compared.run, compared.names, compared.baseline_of
    others = list(baseline_of)
    means = {name: compared.scores[name].means for name in names}
    shown = _largest_changes(compared, others, most) if chosen is None else chosen[:most]
    flips = {name: _flips(compared, name) for name in others}
    rows = []
    for row in shown:
        task = run.tasks[row]
        scores = [_points_or_dash(float(means[name][row]), sign=False) for name in names]
        changes = [
            _with_flip(_marked(float(means[name][row] - means[base][row])), flips[name][row])
            for name, base in baseline_of.items()
        ]
        rows.append((task.id, task.group or "", *scores, *changes))
    note = ""
    if len(rows) < len(run.tasks):
        order = "the largest changes first; " if others and chosen is None else ""
        note = f"{len(rows)} of {counted(len(run.tasks), 'task')}; {order}{WHERE_ALL_ARE['tasks']}"
    headings = ("Task", "Group", *names, *(f"{name} - {base}" for name, base in baseline_of.items()))
    return Table(title="Tasks (mean score in points)", headings=headings, rows=tuple(rows), note=note)


def trials_table(compared: Compared, *, most: int = MOST_TRIALS_SHOWN, chosen: Sequence[int] | None = None) -> Table:
    """A row a trial with the beginning of its reply: the chosen ones by their row numbers, or the first ones."""
    rows = _trials_shown(compared, most, chosen)
    columns = [column for column in COLUMNS if column.is_in("static")]
    total = len(compared.run.trials)
    return Table(
        title=TRIALS_TITLE,
        headings=tuple(f"{column.heading}{_UNITS.get(column.kind, '')}" for column in columns),
        rows=tuple(zip(*(cells(column, compared, rows) for column in columns), strict=True)),
        note=f"{len(rows)} of {counted(total, 'trial')}; {WHERE_ALL_ARE['trials']}" if len(rows) < total else "",
    )


def coloured_html(table: Table, *, labels: bool = False) -> Markup:
    """The table as HTML in which a marked change also has a colour, by inline styles: code hosts drop style sheets.
    `labels` as `html_table` takes them."""
    return html_table(table, cell=_coloured_cell, labels=labels)


def trials_html(compared: Compared, *, most: int = MOST_TRIALS_SHOWN, chosen: Sequence[int] | None = None) -> Markup:
    """The trials as HTML; each reply opens on a click, without a script."""
    table = trials_table(compared, most=most, chosen=chosen)
    rows = _trials_shown(compared, most, chosen)
    last = len(table.headings) - 1

    def cell(text: str, number: int, column: int) -> str:
        return _opening(text, compared.run.trials[rows[number]]) if column == last else text

    return html_table(table, cell=cell)


def _trials_shown(compared: Compared, most: int, chosen: Sequence[int] | None) -> Sequence[int]:
    return range(min(most, len(compared.run.trials))) if chosen is None else chosen[:most]


def opened_reply(trial: Trial) -> str:
    """So much of its reply as `trials_html` opens; "" without one."""
    return "" if trial.reply is None else _clipped(visible_lines(trial.reply.text), _LONGEST_REPLY)


def _opening(text: str, trial: Trial) -> str:
    reply = opened_reply(trial)
    return text if reply == text else html(_OPENING, text=text, reply=reply)


def _coloured_cell(text: str, _row: int, column: int) -> str:
    colour = _COLOURS.get(text[:1]) if column >= _FIRST_CHANGE else None
    return html('<span style="color: {{ colour }}">{{ text }}</span>', colour=colour, text=text) if colour else text


def _largest_changes(compared: Compared, others: Sequence[str], most: int) -> list[int]:
    """The rows of the tasks to show: all in their order where there is room, else the largest changes first."""
    count = len(compared.run.tasks)
    if count <= most or not others:
        return list(range(min(count, most)))
    scores, baseline_of = compared.scores, compared.baseline_of
    changes = np.abs([scores[name].means - scores[baseline_of[name]].means for name in others])
    largest = np.nan_to_num(changes, nan=-1.0).max(axis=0)
    return [int(row) for row in np.argsort(-largest, kind="stable")[:most]]


def _flips(compared: Compared, variant: str) -> list[Flip | None]:
    before, after = compared.scores[compared.baseline_of[variant]], compared.scores[variant]
    return [change.flip for change in changes_between(compared.run, before, after, variant=variant)]


def _with_flip(change: str, flip: Flip | None) -> str:
    return change if flip is None else f"{change} {flip}"


def _marked(change: float) -> str:
    """A change in points, its direction also as a shape."""
    text = _points_or_dash(change, sign=True)
    return f"{'▲' if change > 0 else '▼'} {text}" if text not in ("-", "0.0") else text


def _score(summary: VariantSummary) -> str:
    interval = summary.interval
    if interval is None:
        return "-"
    low, high = points(interval.low, sign=False), points(interval.high, sign=False)
    return f"{points(summary.score, sign=False)} [{low}, {high}]"


def _cost(summary: VariantSummary) -> str:
    if math.isnan(summary.usd):
        return "unknown"
    if summary.unpriced:
        return f">= {summary.usd:.4f} ({summary.unpriced} of {summary.replies} unpriced)"
    return f"{summary.usd:.4f}"


def _input_tokens(summary: VariantSummary) -> str:
    """With those of them that the prompt cache has to do with, where there are any."""
    cached = of_the_cache(read=summary.cache_read_tokens, written=summary.cache_written_tokens)
    return f"{'>= ' if summary.uncounted else ''}{summary.input_tokens:,}{cached}"


def _output_tokens(summary: VariantSummary) -> str:
    return f"{'>= ' if summary.uncounted else ''}{summary.output_tokens:,}"


def _paid(summary: VariantSummary) -> str:
    paid = summary.paid
    if math.isnan(paid["paid_attempts"]):
        return "unknown"
    read, written = int(paid["paid_cache_read_tokens"]), int(paid["paid_cache_written_tokens"])
    all_input = int(paid["paid_input_tokens"]) + read + written
    tokens = f"{all_input:,} in{of_the_cache(read=read, written=written)}, {int(paid['paid_output_tokens']):,} out"
    at_least = ">= " if summary.paid_in_part else ""
    usd = "an unknown price" if math.isnan(paid["paid_usd"]) else f"{at_least}{paid['paid_usd']:.4f} USD"
    more = ">= " if paid["paid_uncounted"] else ""
    return f"{usd}: {counted(int(paid['paid_attempts']), 'attempt')}, {more}{tokens}"


def _latency(summary: VariantSummary) -> str:
    if math.isnan(summary.seconds_median):
        return "-"
    return f"{summary.seconds_median:.2f} ({summary.seconds_p95:.2f})"


def _first_token(summary: VariantSummary) -> str:
    return "-" if math.isnan(summary.seconds_to_first_token) else f"{summary.seconds_to_first_token:.2f}"


def _points_or_dash(value: float, *, sign: bool) -> str:
    return "-" if math.isnan(value) else points(value, sign=sign)


def _clipped(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
