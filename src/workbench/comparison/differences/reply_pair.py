"""`compare_replies`: what two variants answered to one task, word by word, beside what differs in their personas."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from workbench.comparison.differences.views import (
    html_lines,
    html_words,
    markdown_fence,
    plain_lines,
    plain_words,
)
from workbench.comparison.differences.words import Line, Span, changed_words, diff_words, lines_of_difference
from workbench.comparison.verdict import STAND_IN_LABEL, points
from workbench.definition.agent import Agent
from workbench.errors import ComparisonError
from workbench.markup import (
    Table,
    counted,
    html,
    html_table,
    markdown_table,
    markdown_text,
    notebook_html,
    plain_table,
    visible,
)
from workbench.trial.task import Task
from workbench.trial.trial import Run, Score, Trial

_LONGEST_EXPLANATION = 200
_LONGEST_INPUT = 5_000
_COLUMN = "flex:1 1 26em;min-width:0"
_SIDE_BY_SIDE = """\
{% if banner %}
<p><strong>{{ banner }}</strong></p>
{% endif %}
{{ scores }}<details><summary>What was asked</summary>
<pre style="white-space:pre-wrap;text-align:left">{{ asked | lines }}</pre></details>
<div style="display:flex;flex-wrap:wrap;gap:1em">
{% for title, difference in halves %}
<div style="{{ column }}"><p><strong>{{ title }}</strong></p>
{{ difference }}</div>
{% endfor %}
</div>
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReplyPair:
    """Two trials, as a rule of two variants at one task. Shows persona diff, word diff of the replies, and scores.

    In a notebook the two stand side by side. A trial without a reply is compared as if it had replied with nothing,
    and says why under "Outcome".
    """

    task: Task
    before: Trial
    """The baseline's, where one of them is."""
    after: Trial
    persona: tuple[Span, ...] = field(repr=False)
    """From the definition file of the one before to that of the other."""
    words: tuple[Span, ...] = field(repr=False)
    """From the reply of the one before to that of the other."""
    baseline: str = ""
    """The variant that the others are compared with."""

    @property
    def persona_lines(self) -> list[Line]:
        """The persona diff by lines."""
        return lines_of_difference(self.persona)

    def scores(self) -> Table:
        """How both were scored, a row for each grader, and how their replies ended."""
        return _scores(self)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, Any]:
        return {"text/html": _html(self), "text/markdown": _markdown(self), "text/plain": _plain(self)}


def compare_replies(run: Run, task_id: str, *, baseline: str, variant: str | None = None, repeat: int = 0) -> ReplyPair:
    """What `variant` replied to a task beside what `baseline` did, in the same repeat.

    `variant` may be left out where the run has two variants.

    Raises:
        ComparisonError: the run has no such task, variant or repeat, or `variant` is left out among several.
    """
    task = _task(run, task_id)
    other = _other(run, baseline, variant)
    before, after = (_trial(run, task, name, repeat) for name in (baseline, other))
    return compare_trials(run, before, after, baseline=baseline)


def compare_trials(run: Run, before: Trial, after: Trial, *, baseline: str) -> ReplyPair:
    """Any two trials of the run side by side, also of different tasks or of one variant. The baseline's stands first.

    Raises:
        ComparisonError: a trial is of no task of the run.
    """
    if after.variant == baseline != before.variant:
        before, after = after, before
    return ReplyPair(
        task=_task(run, before.task_id),
        before=before,
        after=after,
        persona=diff_personas(run.variants[before.variant], run.variants[after.variant]),
        words=diff_words(_text(before), _text(after)),
        baseline=baseline,
    )


def diff_personas(before: Agent, after: Agent) -> tuple[Span, ...]:
    """The spans that lead from one definition file to the other; one equal span or none where they are the same."""
    return diff_words(before.text, after.text)


def _task(run: Run, task_id: str) -> Task:
    found = next((task for task in run.tasks if task.id == task_id), None)
    if found is None:
        near = get_close_matches(task_id, [task.id for task in run.tasks], n=3)
        hint = f"; near it are {', '.join(map(repr, near))}" if near else ""
        raise ComparisonError(f"the run has no task {task_id!r} among its {len(run.tasks)}{hint}")
    return found


def _other(run: Run, baseline: str, variant: str | None) -> str:
    known = ", ".join(repr(name) for name in run.variants) or "none"
    for name in (baseline, variant):
        if name is not None and name not in run.variants:
            raise ComparisonError(f"the run has no variant {name!r}; it has {known}")
    others = [name for name in run.variants if name != baseline]
    if variant is None and len(others) != 1:
        raise ComparisonError(f"say which variant to set beside {baseline!r}: the run has {known}")
    return others[0] if variant is None else variant


def _trial(run: Run, task: Task, variant: str, repeat: int) -> Trial:
    for trial in run.trials:
        if (trial.task_id, trial.variant, trial.repeat) == (task.id, variant, repeat):
            return trial
    last = run.repeats - 1
    raise ComparisonError(
        f"the run holds no trial of task {task.id!r}, variant {variant!r}, repeat {repeat}; repeats are 0 to {last}"
    )


def _text(trial: Trial) -> str:
    return "" if trial.reply is None else trial.reply.text


def _scores(pair: ReplyPair) -> Table:
    trials = (pair.before, pair.after)
    rows = [("Outcome", *(_outcome(trial) for trial in trials), "")]
    values = [trial.score for trial in trials]
    rows.append(("Score in points", *(_points(value) for value in values), _change(*values)))
    for label in dict.fromkeys(label for trial in trials for label in trial.scores):
        found = [trial.scores.get(label) for trial in trials]
        numbers = [None if score is None else score.value for score in found]
        rows.append((label, *(_found(score) for score in found), _change(*numbers)))
    tokens = [None if trial.reply is None else trial.reply.usage.output_tokens for trial in trials]
    if tokens != [None, None]:
        change = "" if tokens[0] is None or tokens[1] is None else f"{tokens[1] - tokens[0]:+,}".replace("+0", "0")
        rows.append(("Output tokens", *("-" if count is None else f"{count:,}" for count in tokens), change))
    return Table(
        title=_title(pair),
        headings=("", *_headings(pair), "Change"),
        rows=tuple(rows),
    )


def _title(pair: ReplyPair) -> str:
    before, after = pair.before, pair.after
    names = f'"{visible(after.variant)}" against "{visible(before.variant)}"'
    where = [f'task "{visible(trial.task_id)}", repeat {trial.repeat}' for trial in (before, after)]
    both = where[0] if where[0] == where[1] else f"{where[1]}, against {where[0]}"
    return f"{both[0].upper()}{both[1:]}: {names}"


def _headings(pair: ReplyPair) -> list[str]:
    names = [
        f"{trial.variant} (baseline)" if trial.variant == pair.baseline else trial.variant
        for trial in (pair.before, pair.after)
    ]
    if pair.before.task_id != pair.after.task_id:
        names = [f"{name}, {trial.task_id}" for name, trial in zip(names, (pair.before, pair.after), strict=True)]
    if pair.before.repeat != pair.after.repeat:
        return [f"{name}, {trial.repeat}" for name, trial in zip(names, (pair.before, pair.after), strict=True)]
    return names


def _outcome(trial: Trial) -> str:
    failure = trial.failure
    ending = trial.outcome.replace("_", " ")
    return ending if failure is None else f"{ending}: {_short(f'{failure.type}: {failure.message}')}"


def _found(score: Score | None) -> str:
    return "-" if score is None else f"{_points(score.value)}, {_short(score.explanation)}"


def _points(value: float | None) -> str:
    return "-" if value is None else points(value, sign=False)


def _change(before: float | None, after: float | None) -> str:
    return "" if before is None or after is None else points(after - before)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_EXPLANATION else f"{text[: _LONGEST_EXPLANATION - 1]}…"


def _banner(pair: ReplyPair) -> str:
    return STAND_IN_LABEL if pair.before.endpoint.is_stand_in or pair.after.endpoint.is_stand_in else ""


def words_changed(what: str, spans: Sequence[Span]) -> str:
    """How many words differ, as a heading: "Reply: 2 words removed, 1 added"."""
    if all(span.kind == "equal" for span in spans):
        return f"{what}: the same in both"
    removed, added = changed_words(spans)
    return f"{what}: {counted(removed, 'word')} removed, {added} added"


def _input(pair: ReplyPair) -> str:
    text = pair.task.message
    more = len(text) - _LONGEST_INPUT
    return text if more <= 0 else f"{text[:_LONGEST_INPUT]}\n({more:,} more characters)"


def _html(pair: ReplyPair) -> str:
    return notebook_html(
        html(
            _SIDE_BY_SIDE,
            banner=_banner(pair),
            scores=html_table(pair.scores()),
            asked=_input(pair),
            column=_COLUMN,
            halves=[
                (words_changed("Persona", pair.persona), html_lines(pair.persona_lines)),
                (words_changed("Reply", pair.words), html_words(pair.words)),
            ],
        )
    )


def _markdown(pair: ReplyPair) -> str:
    banner = [f"**{markdown_text(_banner(pair))}**"] if _banner(pair) else []
    return "\n\n".join(
        [
            *banner,
            markdown_table(pair.scores()),
            f"**{words_changed('Persona', pair.persona)}**",
            markdown_fence(plain_lines(pair.persona_lines), "diff"),
            f"**{words_changed('Reply', pair.words)}**",
            markdown_fence(plain_words(pair.words)),
        ]
    )


def _plain(pair: ReplyPair) -> str:
    parts = [_banner(pair)] if _banner(pair) else []
    parts += [plain_table(pair.scores()), words_changed("Persona", pair.persona), plain_lines(pair.persona_lines)]
    return "\n".join([*parts, words_changed("Reply", pair.words), plain_words(pair.words)])
