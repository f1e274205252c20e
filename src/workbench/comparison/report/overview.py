"""The first screen of a page about a comparison: which agent, what changed, what that did, and what it cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from workbench.comparison.change_tables import measures_table, promise_means_table, promises_table
from workbench.comparison.compared import MOST_PROMISES, STAND_IN_NOTE, Compared, shown_worse
from workbench.comparison.differences.reply_pair import diff_personas
from workbench.comparison.differences.words import lines_of_difference
from workbench.comparison.figures import percent, points
from workbench.comparison.provenance import Provenance
from workbench.comparison.summaries import VariantSummary
from workbench.definition.agent import Agent
from workbench.definition.field_text import text_of
from workbench.definition.fields import FORM
from workbench.definition.origin import Origin
from workbench.markup import Table, counted, html, html_table, visible
from workbench.statistics.intervals import LEVEL
from workbench.trial.trial import Trial

_LONGEST_VALUE = 40
"""Characters of a field's value in the line that says what differs."""

_NOT_AT_ONCE = ("Tasks", "p (Holm)")
"""Columns that are left to the whole table."""
_LEVEL = 1e-9
_PROMISES = """\
<div class="wide moved" tabindex="0">{{ table }}</div>
{% if moved > 1 %}
<p class="soft narrow">{{ moved_words }}</p>
{% endif %}
"""
_WORSE_LEADS = """\
<p class="verdict bad"><strong>Worse in {{ worse }}</strong> {{ warning }}</p>
{{ verdicts }}
"""
_WORSE = """\
{{ verdicts }}
{% if warning %}
<p class="warning">{{ warning }}</p>
{% endif %}
"""
_OVERVIEW = """\
<header>
<h1>{{ title }}</h1>
{% if banner %}
<p class="banner">{{ banner }}</p>
{% endif %}
{{ verdicts }}
{{ promises }}
<ul class="agents">{% for name, where, change in agents %}
<li><strong>{{ name }}</strong>{% if where %} <span class="soft">{{ where }}</span>{% endif %}\
{% if change %}: {{ change }}{% endif %}</li>{% endfor %}</ul>
<dl class="facts">
{% for what, much in facts %}
<div><dt>{{ what }}</dt><dd>{{ much }}</dd></div>
{% endfor %}
</dl>
</header>
"""


def overview(comparison: Compared, found: Provenance, *, verdicts: Markup, promises: Markup) -> Markup:
    """The head of the page: what the agents are called, the verdicts, the promises that moved, the variants by file
    and revision with what differs, who answered and what it cost. A promise that is shown to be worse leads where no
    verdict says so.

    Args:
        verdicts: the sentences.
        promises: what became of each promise; may be empty.
    """
    return html(
        _OVERVIEW,
        title=agents_named(comparison.run.variants),
        agents=_agents(comparison, found.origins),
        banner=STAND_IN_NOTE if comparison.stand_in else "",
        verdicts=with_worse_promises(comparison, verdicts),
        promises=promises,
        facts=_facts(comparison, found),
    )


def moved_promises(comparison: Compared) -> Markup:
    """The promises that a variant keeps more or less often, the worst first, as many as a first screen holds. A narrow
    screen shows the worst alone: what was paid is below. Where nothing is graded, the measures that differ, or may; of
    one variant, the promises that it keeps least."""
    if not comparison.verdicts:
        return _least_kept(comparison)
    by_noise = {verdict.variant for verdict in comparison.verdicts if verdict.same_requests}
    changed = [change for change in comparison.promises if change.effect is not None and abs(change.effect) > _LEVEL]
    moved = [change for change in changed if change.variant not in by_noise]
    table = promises_table(moved)
    if table is None:
        if not comparison.promises:
            return _moved_measures(comparison)
        known = any(change.effect is not None for change in comparison.promises)
        why = comparison.promises[0].obstacle
        said = "No promise moved." if known else f"No promise can be compared: {why}."
        said = "No promise moved by more than noise." if changed else said
        return html('<p class="soft">{{ said }}</p>', said=said)
    shown = html_table(_in_short(table, "Promises that moved, the worst first", of=len(moved)), labels=True)
    return html(_PROMISES, table=shown, moved=len(moved), moved_words=f"The worst of {len(moved)} that moved.")


def _least_kept(comparison: Compared) -> Markup:
    table = promise_means_table(comparison.promise_means)
    if table is None:
        return Markup()
    shown = _in_short(table, "Promises, the least kept first", of=len(table.rows), which="")
    words = f"The least kept of {len(comparison.promise_means)}."
    return html(_PROMISES, table=html_table(shown, labels=True), moved=len(comparison.promise_means), moved_words=words)


def _moved_measures(comparison: Compared) -> Markup:
    moved = [change for change in comparison.measures if change.kind in ("differs", "may differ")]
    table = measures_table(moved)
    if table is None:
        return Markup()
    shown = html_table(_in_short(table, "Measures that differ, or may", of=len(moved)), labels=True)
    return html(_PROMISES, table=shown, moved=0)


def _in_short(table: Table, title: str, *, of: int, which: str = " that moved") -> Table:
    """So much of the table as a first screen holds."""
    kept = [column for column, heading in enumerate(table.headings) if heading not in _NOT_AT_ONCE]
    return Table(
        title=title,
        headings=tuple(table.headings[column] for column in kept),
        rows=tuple(tuple(row[column] for column in kept) for row in table.rows[:MOST_PROMISES]),
        note="" if of <= MOST_PROMISES else f"{MOST_PROMISES} of {of}{which}.",
    )


def with_worse_promises(comparison: Compared, verdicts: Markup) -> Markup:
    """The verdicts and the line that names the promises that are shown to be worse: before them where none of them says
    that the whole is, so that no page leads with a comfort that does not hold."""
    leads = is_contradicted(comparison)
    return html(
        _WORSE_LEADS if leads else _WORSE,
        worse=counted(len(worse_promises(comparison)), "promise"),
        warning=comparison.warning,
        verdicts=verdicts,
    )


def worse_promises(comparison: Compared) -> tuple[str, ...]:
    """The promises and criteria that are shown to be worse; none where no model answered."""
    return () if comparison.stand_in else shown_worse(comparison.promises, comparison.criteria)


def is_contradicted(comparison: Compared) -> bool:
    """Whether a promise is shown to be worse where no verdict says that the whole is."""
    says_worse = any(verdict.kind == "worse" for verdict in comparison.verdicts)
    return bool(worse_promises(comparison)) and not says_worse


def agents_named(variants: Mapping[str, Agent]) -> str:
    """What the agents are called, each name once: "reviewer"; the variants' names where an agent has none."""
    return " and ".join(dict.fromkeys(agent.name or variant for variant, agent in variants.items()))


def agents_lines(comparison: Compared, origins: Mapping[str, Origin]) -> list[str]:
    """A line for each variant: what it is called, where it comes from, and what differs from the baseline."""
    return [
        f"{name}{f' ({where})' * bool(where)}{f': {change}' * bool(change)}"
        for name, where, change in _agents(comparison, origins)
    ]


def what_differs(before: Agent, after: Agent, *, asked: Sequence[tuple[str, str, str]] = ()) -> str:
    """What differs between two agents, in a line: "prompt: 2 lines added, 1 removed; model: haiku, before sonnet".

    `asked` is with what they were asked where their files do not say it: ("model", with `before`, with `after`).
    """
    of_files = [
        _field_difference(key, getattr(before, name), getattr(after, name))
        for name, key in ((field.name, field.key) for field in FORM.values())
        if getattr(before, name) != getattr(after, name)
    ]
    if before.prompt != after.prompt:
        kinds = [line.kind for line in lines_of_difference(diff_personas(_only_prompt(before), _only_prompt(after)))]
        added, removed = kinds.count("added"), kinds.count("removed")
        of_files.insert(0, f"prompt: {counted(added, 'line')} added, {removed} removed")
    same = "the same file" if before.text == after.text else "the same but for blanks and remarks"
    of_asking = [f"asked with {what} {new}, before {old}" for what, old, new in asked if old != new]
    return "; ".join([*(of_files or [same]), *of_asking])


def costs_table(comparison: Compared) -> Table:
    """What a reply takes with each variant: tokens, USD a thousand replies, seconds; with the change in percent."""
    of = {summary.name: summary for summary in comparison.summaries}
    names, baseline_of = comparison.names, comparison.baseline_of
    rows = []
    for what, value in (
        ("Input tokens a reply", _input_tokens),
        ("Output tokens a reply", _output_tokens),
        ("USD per 1,000 replies", _usd),
        ("Seconds a reply", lambda summary: summary.seconds),
    ):
        values = {name: value(of[name]) for name in names}
        rows.append((what, *(_with_change(values[name], values[baseline_of.get(name, name)]) for name in names)))
    note = f"Means over the replies that name the figure{'; a change is against the baseline' if baseline_of else ''}."
    return Table(title="What a reply takes", headings=("", *names), rows=tuple(rows), note=note)


def _agents(comparison: Compared, origins: Mapping[str, Origin]) -> list[tuple[str, str, str]]:
    variants = comparison.run.variants
    rows = []
    for name in comparison.names:
        where = str(origins[name]) if name in origins else ""
        baseline = comparison.baseline_of.get(name, name)
        base = variants[baseline]
        asked = [
            (what, sent[baseline], sent[name])
            for what, sent in (("model", _asked_models(comparison)), ("effort", _asked_efforts(comparison)))
            if getattr(base, what) == getattr(variants[name], what)
        ]
        said = "" if name == baseline else what_differs(base, variants[name], asked=asked)
        rows.append((name, where, said))
    return rows


def _asked_models(comparison: Compared) -> dict[str, str]:
    return _by_variant(comparison, lambda trial: trial.request.model)


def _asked_efforts(comparison: Compared) -> dict[str, str]:
    return _by_variant(comparison, lambda trial: trial.request.effort or "none sent")


def _by_variant(comparison: Compared, value: Callable[[Trial], str]) -> dict[str, str]:
    """By variant, what its trials have of this; several are parted by commas."""
    found: dict[str, dict[str, None]] = {name: {} for name in comparison.run.variants}
    for trial in comparison.run.trials:
        found[trial.variant][value(trial)] = None
    return {name: ", ".join(values) for name, values in found.items()}


def _facts(comparison: Compared, found: Provenance) -> list[tuple[str, str]]:
    models = {name: ", ".join(counts or found.asked[name]) for name, counts in found.models.items()}
    replies = sum(summary.replies for summary in comparison.summaries)
    missing = Counter(_ending(trial) for trial in comparison.run.trials if trial.outcome != "answered")
    return [
        *([] if comparison.verdicts else [("Score in points", _scores(comparison))]),
        ("Answered by", found.endpoint),
        ("Cost of the replies", cost_in_words(comparison)),
        ("Model", _one_or_each(models)),
        ("Effort", _one_or_each(_asked_efforts(comparison))),
        ("Tried", f"{comparison.size}, {replies:,} of {counted(len(comparison.run.trials), 'trial')} answered"),
        *([("Not answered", ", ".join(f"{count} {how}" for how, count in missing.most_common()))] if missing else []),
        ("Answered on", _days(found)),
    ]


def _scores(comparison: Compared) -> str:
    [summary] = comparison.summaries
    if summary.interval is None:
        return "nothing is scored"
    low, high = points(summary.interval.low, sign=False), points(summary.interval.high, sign=False)
    return f"{points(summary.score, sign=False)}, {percent(LEVEL)} interval {low} to {high}"


def _ending(trial: Trial) -> str:
    """How a trial ended without an answer: "failed (overloaded_error)"."""
    ended = trial.outcome.replace("_", " ")
    return ended if trial.failure is None else f"{ended} ({visible(trial.failure.type)})"


def _one_or_each(values: Mapping[str, str]) -> str:
    """What all variants have, or what each of them has: "base: haiku; variant: opus"."""
    tried = {name: value for name, value in values.items() if value}
    if len(set(tried.values())) < 2:
        return next(iter(tried.values()), "none")
    return "; ".join(f"{name}: {value}" for name, value in tried.items())


def cost_in_words(comparison: Compared) -> str:
    """What all replies of the run cost, as far as their prices are known."""
    if comparison.stand_in:
        return "nothing: no model was asked"
    usd = [summary.usd for summary in comparison.summaries if not math.isnan(summary.usd)]
    unpriced = sum(summary.unpriced for summary in comparison.summaries)
    if not usd:
        return "no price is known"
    return f"{math.fsum(usd):.4f} USD" + (f", and {counted(unpriced, 'reply')} without a price" if unpriced else "")


def _days(found: Provenance) -> str:
    if found.first_answer is None or found.last_answer is None:
        return "not recorded"
    first, last = found.first_answer[:10], found.last_answer[:10]
    return first if first == last else f"{first} to {last}"


def _field_difference(key: str, before: object, after: object) -> str:
    field = next(field for field in FORM.values() if field.key == key)
    old, new = ("none" if value is None else text_of(field, value) for value in (before, after))
    if max(len(old), len(new)) > _LONGEST_VALUE or "\n" in old + new:
        return f"{key} changed"
    return f"{key}: {new}, before {old}"


def _only_prompt(agent: Agent) -> Agent:
    return Agent(name="", description="", prompt=agent.prompt)


def _input_tokens(summary: VariantSummary) -> float:
    counted_replies = summary.replies - summary.uncounted
    return summary.input_tokens / counted_replies if counted_replies else math.nan


def _output_tokens(summary: VariantSummary) -> float:
    counted_replies = summary.replies - summary.uncounted
    return summary.output_tokens / counted_replies if counted_replies else math.nan


def _usd(summary: VariantSummary) -> float:
    priced = summary.replies - summary.unpriced
    return 1_000 * summary.usd / priced if priced else math.nan


def _with_change(value: float, base: float) -> str:
    if math.isnan(value) or math.isnan(base) or base == 0 or value == base:
        return _rounded(value)
    return f"{_rounded(value)} ({100 * (value / base - 1):+.0f} %)"


def _rounded(value: float) -> str:
    """Three figures of it at least, and no more behind the point than that takes."""
    if math.isnan(value):
        return "not known"
    digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
