"""`compare`: a run as tables, a picture and a verdict."""

from __future__ import annotations

import base64
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.comparison.markup import (
    Table,
    html_table,
    html_text,
    markdown_table,
    markdown_text,
    plain_table,
    visible,
)
from workbench.comparison.scores import Scores, groups_of, is_stand_in, scores_by_variant
from workbench.comparison.statistics import Floats, Interval, mean_interval
from workbench.comparison.verdict import STAND_IN_LABEL, Verdict, points, reach_verdicts
from workbench.trial.catalogue import price_usd
from workbench.trial.trial import Run, Score, Trial, Usage

if TYPE_CHECKING:
    from workbench.comparison.plots import IntervalPlot

STAND_IN_NOTE = "The replies, tokens and seconds below were made up by the OFFLINE STAND-IN; nothing was spent."
MOST_TASKS_SHOWN = 200
MOST_TRIALS_SHOWN = 200
_LONGEST_CELL = 300


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """A run compared with one of its variants. Shows itself in a notebook as static HTML or Markdown."""

    run: Run = field(repr=False)
    baseline: str
    verdicts: tuple[Verdict, ...]
    """One for each other variant, in the order of the run; empty where the run has one variant."""
    by_variant: pd.DataFrame = field(repr=False)
    """Indexed by variant. Attempts planned and how many ended in which way ("answered" includes "declined",
    where every grader declined); mean score over tasks with its 95 % interval, 0..1; replies, their tokens
    (cached ones are input) and how many did not say ("uncounted"); cost in USD of the replies that have a
    price, NaN where none has, and how many have none ("unpriced"); mean seconds of a reply."""
    by_task: pd.DataFrame = field(repr=False)
    """Indexed by task: group, "score: V" of each variant, "difference: V" of each but the baseline; 0..1."""
    trials: pd.DataFrame = field(repr=False)
    """A row for each trial, in the order of the run; "score: LABEL" of each grader, 0..1."""

    @property
    def verdict(self) -> Verdict | None:
        """The first verdict: the one, in a comparison of two variants. `None` where there is one variant."""
        return self.verdicts[0] if self.verdicts else None

    def plot(self) -> IntervalPlot:
        """Mean scores and differences to the baseline, with 95 % intervals; a new figure each time."""
        from workbench.comparison.plots import interval_plot

        rows: Iterable[Any] = self.by_variant.itertuples()
        scores = [(row.Index, row.score, _interval(row)) for row in rows]
        title = f"{STAND_IN_LABEL}\n{self._title}" if is_stand_in(self.run) else self._title
        return interval_plot(scores, self.verdicts, baseline=self.baseline, title=title)

    @property
    def _title(self) -> str:
        tasks, repeats = len(self.run.tasks), self.run.repeats
        return f"{tasks} task{'' if tasks == 1 else 's'} x {repeats} repeat{'' if repeats == 1 else 's'}"

    @property
    def _sentences(self) -> list[str]:
        if self.verdicts:
            return [verdict.text for verdict in self.verdicts]
        label = f"{STAND_IN_LABEL} " if is_stand_in(self.run) else ""
        return [f'{label}One variant, "{visible(self.baseline)}": scores without a verdict.']

    @property
    def _banner(self) -> str:
        return STAND_IN_NOTE if is_stand_in(self.run) else ""

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, Any]:
        return {"text/html": self._html(), "text/markdown": self._markdown(), "text/plain": self._plain()}

    def _html(self) -> str:
        from workbench.comparison.plots import png

        tables = [html_table(table) for table in (_variants_shown(self), _tasks_shown(self), _trials_shown(self))]
        banner = f"<p>{html_text(self._banner)}</p>\n" if self._banner else ""
        sentences = "".join(f"<p><strong>{html_text(sentence)}</strong></p>\n" for sentence in self._sentences)
        picture = base64.b64encode(png(self.plot())).decode("ascii")
        described = html_text(f"Mean scores and differences with 95 % intervals. {' '.join(self._sentences)}")
        image = f'<p><img alt="{described}" src="data:image/png;base64,{picture}" width="900"></p>\n'
        # The classes keep MathJax from reading dollar signs in replies and names as formulas.
        return (
            f'<div class="tex2jax_ignore mathjax_ignore">\n{sentences}{banner}{tables[0]}{image}{tables[1]}'
            f"<details><summary>Trials</summary>\n{tables[2]}</details>\n</div>\n"
        )

    def _markdown(self) -> str:
        banner = [markdown_text(self._banner)] if self._banner else []
        sentences = [f"**{markdown_text(sentence)}**" for sentence in self._sentences]
        tables = [markdown_table(_variants_shown(self)), markdown_table(_tasks_shown(self))]
        return "\n\n".join([*sentences, *banner, *tables])

    def _plain(self) -> str:
        banner = [self._banner] if self._banner else []
        tables = [plain_table(_variants_shown(self)), plain_table(_tasks_shown(self))]
        return "\n\n".join([*self._sentences, *banner, *tables])


def compare(run: Run, *, baseline: str) -> Comparison:
    """The tables, picture and verdicts of a run, each other variant against `baseline`.

    Trials that were not answered, or on which every grader declined, are missing: they are counted apart and
    never scored 0.

    Raises:
        ComparisonError: the baseline is not a variant of the run, or a trial of the run was not planned.
    """
    verdicts = reach_verdicts(run, baseline=baseline)
    scores = scores_by_variant(run)
    prices = _Prices()
    return Comparison(
        run=run,
        baseline=baseline,
        verdicts=verdicts,
        by_variant=_by_variant(run, scores, prices),
        by_task=_by_task(run, scores, baseline),
        trials=_trials(run, prices),
    )


class _Prices:
    """Prices of replies in USD, each model and usage looked up once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Usage], float | None] = {}

    def of(self, trial: Trial) -> float | None:
        if trial.reply is None:
            return None
        usage = trial.reply.usage
        model = trial.reply.model or trial.request.model
        if (model, usage) not in self._known:
            self._known[model, usage] = price_usd(model, usage)
        return self._known[model, usage]


def _by_variant(run: Run, scores: dict[str, Scores], prices: _Prices) -> pd.DataFrame:
    groups = groups_of(run)
    trials: dict[str, list[Trial]] = {name: [] for name in run.variants}
    for trial in run.trials:
        trials[trial.variant].append(trial)
    rows = []
    for name, found in scores.items():
        present = ~np.isnan(found.means)
        means = found.means[present]
        kept = None if groups is None else [group for group, is_in in zip(groups, present, strict=True) if is_in]
        interval = mean_interval(means, repeats=run.repeats, groups=kept)
        rows.append(
            {
                "trials": found.planned,
                "answered": found.statuses["scored"] + found.statuses["declined"],
                **{status: count for status, count in found.statuses.items() if status != "scored"},
                "score": float(means.mean()) if len(means) else math.nan,
                "score_low": math.nan if interval is None else interval.low,
                "score_high": math.nan if interval is None else interval.high,
                **_spent(trials[name], prices),
            }
        )
    return pd.DataFrame(rows, index=pd.Index(list(scores), name="variant"))


def _spent(trials: Iterable[Trial], prices: _Prices) -> dict[str, float | int]:
    replied = [trial for trial in trials if trial.reply is not None]
    replies = [trial.reply for trial in replied if trial.reply is not None]
    costs = [prices.of(trial) for trial in replied]
    known = [cost for cost in costs if cost is not None]
    seconds = [reply.seconds for reply in replies if reply.seconds is not None]
    return {
        "replies": len(replies),
        "input_tokens": sum(_input_tokens(reply.usage) or 0 for reply in replies),
        "output_tokens": sum(reply.usage.output_tokens or 0 for reply in replies),
        "uncounted": sum(None in (reply.usage.input_tokens, reply.usage.output_tokens) for reply in replies),
        "cost_usd": math.nan if costs and not known else math.fsum(known),
        "unpriced": len(costs) - len(known),
        "seconds": math.fsum(seconds) / len(seconds) if seconds else math.nan,
    }


def _input_tokens(usage: Usage) -> int | None:
    if usage.input_tokens is None:
        return None
    return usage.input_tokens + (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)


def _by_task(run: Run, scores: dict[str, Scores], baseline: str) -> pd.DataFrame:
    columns: dict[str, Any] = {"group": [task.group for task in run.tasks]}
    columns |= {f"score: {name}": found.means for name, found in scores.items()}
    base = scores[baseline].means
    columns |= {f"difference: {name}": scores[name].means - base for name in scores if name != baseline}
    return pd.DataFrame(columns, index=pd.Index([task.id for task in run.tasks], name="task"))


def _trials(run: Run, prices: _Prices) -> pd.DataFrame:
    trials = run.trials
    replies = [trial.reply for trial in trials]
    group_of = {task.id: task.group for task in run.tasks}
    labels = dict.fromkeys(label for trial in trials for label in trial.scores)
    columns = {
        "task": [trial.task_id for trial in trials],
        "group": [group_of[trial.task_id] for trial in trials],
        "variant": [trial.variant for trial in trials],
        "repeat": [trial.repeat for trial in trials],
        "outcome": [trial.outcome for trial in trials],
        "score": _numbers(trial.score for trial in trials),
        **{
            f"score: {label}": _numbers(
                trial.scores[label].value if label in trial.scores else None for trial in trials
            )
            for label in labels
        },
        "explanation": [_explanation(trial) for trial in trials],
        "model": [None if reply is None else reply.model for reply in replies],
        "stop_reason": [None if reply is None else reply.stop_reason for reply in replies],
        "input_tokens": _numbers(None if reply is None else _input_tokens(reply.usage) for reply in replies),
        "output_tokens": _numbers(None if reply is None else reply.usage.output_tokens for reply in replies),
        "cost_usd": _numbers(prices.of(trial) for trial in trials),
        "seconds_to_first_token": _numbers(
            None if reply is None else reply.seconds_to_first_token for reply in replies
        ),
        "seconds": _numbers(None if reply is None else reply.seconds for reply in replies),
        "reply": [None if reply is None else reply.text for reply in replies],
    }
    return pd.DataFrame(columns)


def _numbers(values: Iterable[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def _explanation(trial: Trial) -> str:
    """What each grader found, a line each; for a failure what it was."""
    if trial.failure is not None:
        return f"{trial.failure.type}: {trial.failure.message}"
    return "\n".join(f"{label}: {_found(score)}" for label, score in trial.scores.items())


def _found(score: Score) -> str:
    value = "declined" if score.value is None else points(score.value, sign=False)
    return f"{value}, {score.explanation}"


def _interval(row: Any) -> Interval | None:
    return None if math.isnan(row.score_low) else Interval(low=row.score_low, high=row.score_high)


_ENDINGS = {
    "declined": "Declined by all graders",
    "refused": "Refused",
    "cut_off": "Cut off",
    "empty": "Empty",
    "failed": "Failed",
    "stopped": "Stopped",
    "not_run": "Not run",
}


def _variants_shown(comparison: Comparison) -> Table:
    """A row a variant; of the ways not to be scored, those that occurred."""
    variants = comparison.by_variant
    occurred = {name: heading for name, heading in _ENDINGS.items() if variants[name].any()}
    headings = (
        "Variant",
        "Trials",
        "Answered",
        *occurred.values(),
        "Score in points [95 % interval]",
        "Input tokens",
        "Output tokens",
        "Cost in USD",
        "Seconds a reply",
    )
    rows = []
    shown: Iterable[Any] = variants.itertuples()
    for row in shown:
        interval = _interval(row)
        score = "-"
        if interval is not None:
            low, high = points(interval.low, sign=False), points(interval.high, sign=False)
            score = f"{points(row.score, sign=False)} [{low}, {high}]"
        at_least = ">= " if row.uncounted else ""
        counts = (row.trials, row.answered, *(getattr(row, name) for name in occurred))
        rows.append(
            (
                f"{row.Index} (baseline)" if row.Index == comparison.baseline else str(row.Index),
                *(str(count) for count in counts),
                score,
                f"{at_least}{row.input_tokens:,}",
                f"{at_least}{row.output_tokens:,}",
                "none" if is_stand_in(comparison.run) else _cost(row),
                "-" if math.isnan(row.seconds) else f"{row.seconds:.2f}",
            )
        )
    missing = "" if occurred else " Every trial was answered."
    return Table(title=f"Variants ({comparison._title}).{missing}", headings=headings, rows=tuple(rows))


def _cost(row: Any) -> str:
    if math.isnan(row.cost_usd):
        return "unknown"
    if row.unpriced:
        return f">= {row.cost_usd:.4f} ({row.unpriced} of {row.replies} unpriced)"
    return f"{row.cost_usd:.4f}"


def _tasks_shown(comparison: Comparison) -> Table:
    others = [name for name in comparison.run.variants if name != comparison.baseline]
    names = [comparison.baseline, *others]
    headings = ("Task", "Group", *names, *(f"{name} - {comparison.baseline}" for name in others))
    tasks: Iterable[Any] = comparison.by_task.head(MOST_TASKS_SHOWN).iterrows()
    rows = tuple(
        (
            task,
            row["group"] if isinstance(row["group"], str) else "",
            *(_points_or_dash(row[f"score: {name}"], sign=False) for name in names),
            *(_points_or_dash(row[f"difference: {name}"], sign=True) for name in others),
        )
        for task, row in tasks
    )
    total = len(comparison.by_task)
    note = f"{len(rows)} of {total} tasks; all are in .by_task." if len(rows) < total else ""
    return Table(title="Tasks (mean score in points)", headings=headings, rows=rows, note=note)


def _trials_shown(comparison: Comparison) -> Table:
    trials: Iterable[Any] = comparison.trials.head(MOST_TRIALS_SHOWN).itertuples()
    rows = tuple(
        (
            row.task,
            row.variant,
            str(row.repeat),
            row.outcome.replace("_", " "),
            _points_or_dash(row.score, sign=False),
            _clipped(row.explanation.replace("\n", "; ")),
        )
        for row in trials
    )
    total = len(comparison.trials)
    note = f"{len(rows)} of {total} trials; all are in .trials." if len(rows) < total else ""
    headings = ("Task", "Variant", "Repeat", "Outcome", "Score in points", "Explanations")
    return Table(title="Trials", headings=headings, rows=rows, note=note)


def _points_or_dash(value: float, *, sign: bool) -> str:
    return "-" if math.isnan(value) else points(value, sign=sign)


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
