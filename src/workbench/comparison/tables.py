"""`compare`: a run as tables, a picture and a verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from workbench.comparison.change_tables import change_tables, rules_table
from workbench.comparison.columns import trial_columns
from workbench.comparison.compared import STAND_IN_NOTE, Compared
from workbench.comparison.figures import HOW_IT_IS_DECIDED, IN_FULL
from workbench.comparison.measures import MeasureChange
from workbench.comparison.promises import PromiseChange
from workbench.comparison.scores import scores_by_variant
from workbench.comparison.static_tables import (
    coloured_html,
    ranking_table,
    tasks_table,
    trials_html,
    variants_table,
)
from workbench.comparison.trial_table import columns_of
from workbench.comparison.verdict import reach_verdicts
from workbench.errors import ComparisonError
from workbench.markup import Table, html, html_table, markdown_table, markdown_text, notebook_html, plain_table
from workbench.trial.trial import Run

if TYPE_CHECKING:
    from workbench.comparison.differences.reply_pair import ReplyPair
    from workbench.comparison.frames import Frame
    from workbench.comparison.pictures.canvas import Plot, Theme

_SHOWN = """\
{% for first, rest in parts %}
<p><strong>{{ first }}</strong></p>
{% if rest %}
<details><summary>In full, and how it is decided</summary><p>{{ rest }}</p>
{{ rules }}</details>
{% endif %}
{% endfor %}
{% if banner %}
<p>{{ banner }}</p>
{% endif %}
{{ variants }}{{ ranking }}\
{% for table in changes %}
{{ table }}
{% endfor %}
<p>{{ picture }}</p>
{{ tasks }}<details><summary>Trials</summary>
{{ trials }}</details>
"""

Picture = Literal["forest", "cost", "tasks", "repeats"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison(Compared):
    """A run compared with one of its variants. Shows itself in a notebook as static HTML or Markdown.

    Data frames are made when they are first asked for; printing takes none.
    """

    @cached_property
    def by_variant(self) -> Frame:
        """Indexed by variant. Attempts planned and how many ended in which way ("answered" includes "declined",
        where every grader declined); mean score over tasks with its 95 % interval, 0..1; pass@k and pass^k for as
        many repeats as there are, where a repeat passes with `scores.THRESHOLD` or more (NaN for one repeat); replies,
        their tokens (cached ones are input) and how many did not say ("uncounted"); cost in USD of the replies that
        have a price, NaN where none has, and how many have none ("unpriced"); the input tokens that went into the
        prompt cache and came from it; what was paid for all attempts, failed ones included ("paid_..."; its input
        tokens are without cached ones; NaN where that is not recorded); seconds of a reply (mean, median, 95th
        percentile) and median seconds to its first token."""
        rows = [summary.as_row() for summary in self.summaries]
        columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
        return _frame({"variant": list(self.scores), **columns}).set_index("variant")

    @cached_property
    def by_task(self) -> Frame:
        """Indexed by task: group, "score: V" of each variant, "difference: V" of each but the baseline; 0..1."""
        means = {name: found.means for name, found in self.scores.items()}
        tasks = self.run.tasks
        columns: dict[str, Any] = {"task": [task.id for task in tasks], "group": [task.group for task in tasks]}
        columns |= {f"score: {name}": found for name, found in means.items()}
        columns |= {f"difference: {name}": means[name] - means[base] for name, base in self.baseline_of.items()}
        return _frame(columns).set_index("task")

    @cached_property
    def by_promise(self) -> Frame:
        """A row for each promise of each other variant, the worst change first; the columns are the fields of
        `PromiseChange`, the interval as "low" and "high"."""
        return _frame(_columns(self.promises, PromiseChange))

    @cached_property
    def by_measure(self) -> Frame:
        """A row for each measure of each other variant; the columns are the fields of `MeasureChange`, the interval as
        "low" and "high"."""
        return _frame(_columns(self.measures, MeasureChange))

    @cached_property
    def trials(self) -> Frame:
        """A row for each trial, in the order of the run; the columns of `trial_table`, scores in 0..1: "score" is the
        mean, "promise: NAME" what one grader found."""
        return _frame({column.name: column.value(self) for column in columns_of(self)})

    def plot(self, kind: Picture = "forest", *, theme: Theme = "light") -> Plot:
        """A new figure: "forest" has mean scores and differences to the baseline with 95 % intervals, "cost" the cost
        against the score, "tasks" a heat map of each task and variant, "repeats" the spread of the repeats of each
        task. Its `alt` says the same in words.

        Raises:
            ComparisonError: there is no such plot or theme.
        """
        from workbench.comparison.pictures.canvas import PALETTES
        from workbench.comparison.pictures.plots import cost_plot, forest_plot
        from workbench.comparison.pictures.task_plots import heat_map, repeats_plot

        draw = {"forest": forest_plot, "cost": cost_plot, "tasks": heat_map, "repeats": repeats_plot}
        for name, known in ((kind, draw), (theme, PALETTES)):
            if name not in known:
                what = "plot" if known is draw else "theme"
                raise ComparisonError(f"there is no {what} {name!r}; there are {', '.join(map(repr, known))}")
        return draw[kind](self, theme=theme)

    def pair(self, task_id: str, *, variant: str | None = None, repeat: int = 0) -> ReplyPair:
        """What a variant replied to a task beside what the baseline did: persona diff, word diff and scores.

        `variant` may be left out where there are two variants.

        Raises:
            ComparisonError: the run has no such task, variant or repeat, or `variant` is left out among several.
        """
        from workbench.comparison.differences.reply_pair import compare_replies

        baseline = self.baseline_of.get(variant or "", self.baseline)
        return compare_replies(self.run, task_id, baseline=baseline, variant=variant, repeat=repeat)

    def __str__(self) -> str:
        """Verdicts and tables as plain text."""
        return self._plain()

    @property
    def _banner(self) -> str:
        return STAND_IN_NOTE if self.stand_in else ""

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, Any]:
        return {"text/html": self._html(), "text/markdown": self._markdown(), "text/plain": self._plain()}

    def _html(self) -> str:
        from workbench.comparison.pictures.canvas import picture_html

        ranking = ranking_table(self)
        return notebook_html(
            html(
                _SHOWN,
                parts=self.sentence_parts,
                rules=html_table(rules_table()),
                changes=[html_table(table) for table in change_tables(self)],
                banner=self._banner,
                variants=html_table(variants_table(self)),
                ranking="" if ranking is None else coloured_html(ranking),
                picture=picture_html(self.plot()),
                tasks=coloured_html(tasks_table(self)),
                trials=trials_html(self),
            )
        )

    def _markdown(self) -> str:
        banner = [markdown_text(self._banner)] if self._banner else []
        parts = self.sentence_parts
        first = [f"**{markdown_text(headline)}**" for headline, _ in parts]
        rest = [f"{IN_FULL}{markdown_text(text)}" for _, text in parts if text]
        decided = [markdown_text(HOW_IT_IS_DECIDED)] if self.verdicts else []
        return "\n\n".join([*first, *banner, *rest, *decided, *(markdown_table(table) for table in self._tables)])

    def _plain(self) -> str:
        banner = [self._banner] if self._banner else []
        return "\n\n".join([*self.sentences, *banner, *(plain_table(table) for table in self._tables)])

    @property
    def _tables(self) -> list[Table]:
        ranking = ranking_table(self)
        ranked = [] if ranking is None else [ranking]
        return [variants_table(self), *ranked, *change_tables(self), tasks_table(self)]


def compare(run: Run, *, baseline: str | None = None, families: int = 1) -> Comparison:
    """The tables, picture and verdicts of a run, each other variant against `baseline`.

    Without a baseline, each variant is held against the one that its plan gave it, as `compare_pairs` does, and against
    the first where the plan says nothing of it.

    With `families`, so many comparisons are read beside each other, this one included, and every p value is corrected
    for all of them, beside Holm's correction within each (Bonferroni).

    Trials that were not answered, or on which every grader declined, are missing: they are counted apart and
    never scored 0.

    Raises:
        ComparisonError: the baseline is not a variant of the run, the run has none, or a trial of it was not planned.
    """
    if baseline is None:
        if not run.variants:
            raise ComparisonError("the run has no variant; there is nothing to compare")
        if run.pairs:
            return _against_their_own(run, families)
        baseline = next(iter(run.variants))
    columns = trial_columns(run)
    scores = scores_by_variant(run, columns.attempts)
    return Comparison(
        run=run,
        baseline=baseline,
        verdicts=reach_verdicts(run, baseline=baseline, scores=scores, columns=columns, families=families),
        columns=columns,
        scores=scores,
        families=families,
    )


def compare_pairs(run: Run, pairs: Iterable[tuple[str, str]]) -> tuple[Comparison, ...]:
    """A comparison for each baseline of these pairs of (baseline, variant), over what belongs to it: an old agent and a
    new one under each of several models. Every p value is corrected for all of them.

    Raises:
        ComparisonError: one of the names is no variant of the run, or there is no pair.
    """
    pairs = tuple(pairs)
    if not pairs:
        raise ComparisonError("there is no pair to compare; name at least one baseline with a variant")
    unknown = [name for pair in pairs for name in pair if name not in run.variants]
    if unknown:
        known = ", ".join(map(repr, run.variants)) or "none"
        raise ComparisonError(f"there is no variant {unknown[0]!r} to compare; the run has {known}")
    return _compared_pairs(run, pairs, 1)


def _against_their_own(run: Run, families: int) -> Comparison:
    parts = _compared_pairs(run, run.pairs, families)
    if len(parts) == 1:
        return parts[0]
    columns = trial_columns(run)
    return Comparison(
        run=run,
        baseline=parts[0].baseline,
        verdicts=tuple(verdict for part in parts for verdict in part.verdicts),
        columns=columns,
        scores=scores_by_variant(run, columns.attempts),
        families=parts[0].families,
        parts=parts,
    )


def _compared_pairs(run: Run, pairs: Iterable[tuple[str, str]], families: int) -> tuple[Comparison, ...]:
    variants: dict[str, list[str]] = {}
    for baseline, variant in pairs:
        variants.setdefault(baseline, []).append(variant)
    return tuple(
        compare(run.only({baseline, *others}), baseline=baseline, families=families * len(variants))
        for baseline, others in variants.items()
    )


def _frame(columns: Mapping[str, Any]) -> Frame:
    from workbench.comparison.frames import frame_of  # pandas: 0.34 s of CPU, and printing needs none

    return frame_of(columns)


def _columns(changes: Sequence[PromiseChange | MeasureChange], kind: type) -> dict[str, list[Any]]:
    """The fields of these values as columns."""
    columns: dict[str, list[Any]] = {}
    for field in fields(kind):
        values = [getattr(change, field.name) for change in changes]
        if field.name == "interval":
            columns["low"] = [None if interval is None else interval.low for interval in values]
            columns["high"] = [None if interval is None else interval.high for interval in values]
        else:
            columns[field.name] = values
    return columns
