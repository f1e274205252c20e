"""`review_runs`: what changed from one run to another, in the agents and in what they did."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from workbench.comparison.change_tables import change_tables
from workbench.comparison.compared import STAND_IN_NOTE
from workbench.comparison.differences.reply_pair import diff_personas
from workbench.comparison.differences.views import markdown_fence, plain_lines
from workbench.comparison.differences.words import Line, lines_of_difference
from workbench.comparison.figures import HOW_IT_IS_DECIDED, IN_FULL, worst_first
from workbench.comparison.provenance import Provenance, provenance, provenance_table
from workbench.comparison.report.document import html_document
from workbench.comparison.report.overview import (
    cost_in_words,
    is_contradicted,
    what_differs,
    with_worse_promises,
)
from workbench.comparison.report.page import agents_difference, verdict_paragraphs
from workbench.comparison.report.summary import provenance_line, unlinked, unlinked_table
from workbench.comparison.scores import groups_of
from workbench.comparison.shared import AFTER, BEFORE, chosen_variant, share
from workbench.comparison.tables import Comparison, compare
from workbench.comparison.verdict import Verdict, percent
from workbench.definition.agent import Agent
from workbench.errors import ComparisonError
from workbench.markup import Table, html, html_table, markdown_table, notebook_html, plain_table, visible
from workbench.statistics.changes import change_between
from workbench.statistics.intervals import LEVEL, Floats, Interval
from workbench.statistics.means import case_means
from workbench.trial.trial import Run

MOST_FLIPS = 50

_SECTIONS = """\
{% if banner %}
<p class="banner">{{ banner }}</p>
{% endif %}
{% for variant in variants %}
{{ variant }}
{% endfor %}
{% for twin in twins %}
<p class="soft">{{ twin }}</p>
{% endfor %}
<div class="wide provenance" tabindex="0">{{ sources }}</div>"""
_VARIANT = """\
<h2>{{ heading }}</h2>
{{ first }}
<dl class="facts">
{% for what, much in facts %}
<div><dt>{{ what }}</dt><dd>{{ much }}</dd></div>
{% endfor %}
</dl>
{% for sentence in sentences %}
<p>{{ sentence }}</p>
{% endfor %}
{% for table in tables %}
<div class="wide" tabindex="0">{{ table }}</div>
{% endfor %}
{% if difference %}
<h3>What differs between the agents</h3>
{{ difference }}
{% endif %}
"""


@dataclass(frozen=True, kw_only=True)
class MeanChange:
    """How a mean over tasks changed: USD or seconds a reply."""

    unit: str
    before: float
    after: float
    interval: Interval | None
    """95 % of the change, paired by task; `None` with fewer than two tasks, and where all change alike."""
    tasks: int
    """Tasks for which both know it."""


@dataclass(frozen=True, kw_only=True)
class VariantReview:
    """What became of one variant from the earlier run to the later."""

    before: str
    """Its name in the earlier run."""
    after: str
    agent_before: Agent = field(repr=False)
    agent_after: Agent = field(repr=False)
    comparison: Comparison | None
    """Of "after" against "before" over what both runs share; `None` where nothing can be compared."""
    notes: tuple[str, ...]
    """What the two do not share."""
    same_attempts: int
    """Attempts that are the very same in both runs."""
    usd: MeanChange | None
    """`None` where no reply has a price, or nothing was paid."""
    seconds: MeanChange | None

    @property
    def verdict(self) -> Verdict | None:
        return None if self.comparison is None else self.comparison.verdict

    @property
    def persona(self) -> list[Line]:
        """The lines of the two agent files, those that differ marked."""
        return lines_of_difference(diff_personas(self.agent_before, self.agent_after))

    @property
    def same_agent(self) -> bool:
        return all(line.kind == "equal" for line in self.persona)

    @property
    def is_twin(self) -> bool:
        """Whether nothing is another: both runs send the same requests, for the same agent and on the same tasks."""
        return self.verdict is not None and self.verdict.same_requests and self.same_agent and not self.notes

    @property
    def is_the_very_same(self) -> bool:
        """Whether every attempt that is compared is one attempt, read in both runs and graded alike."""
        if self.comparison is None or not self.is_twin:
            return False
        is_graded_alike = not any(change.effect for change in self.comparison.promises)
        return is_graded_alike and self.same_attempts == self.comparison.attempts_of_each

    @property
    def warning(self) -> str:
        """Names the promises that are shown to be worse, or seem so, whatever the verdict is; "" without any."""
        return "" if self.comparison is None else self.comparison.warning

    @property
    def worst_first_key(self) -> tuple[bool, bool, int]:
        """To sort by: what got worse, then what broke a promise, and twins last."""
        kind = "no verdict" if self.verdict is None else self.verdict.shown_kind
        return self.is_twin, kind != "worse" and not self.warning, worst_first(kind)


@dataclass(frozen=True, kw_only=True)
class Review:
    """Two runs side by side. Shows itself in a notebook as static HTML or Markdown; printed, as plain text."""

    variants: tuple[VariantReview, ...]
    """What changed for the worse first, twins last."""
    names: tuple[str, str]
    """What the earlier and the later run are called."""
    sources: tuple[Provenance, Provenance]
    """What the numbers of the two runs rest on."""

    @property
    def is_stand_in(self) -> bool:
        """Whether any reply of what is compared was made up by the offline stand-in."""
        return any(found.comparison is not None and found.comparison.stand_in for found in self.variants)

    @property
    def sentences(self) -> list[str]:
        """For each variant what became of it since the earlier run: the verdict as it is met first, which promises
        are worse, or seem so, and what the two runs do not share."""
        told = []
        for found in self.variants:
            first = _sentences(found)[0]
            notes = [f"Not shared: {note}." for note in found.notes]
            told.append(" ".join([f"{_heading(self, found)}: {first}", *filter(None, [found.warning]), *notes]))
        return told

    def to_json(self) -> dict[str, Any]:
        """What became of each variant, as JSON can hold it: verdict, promises, tasks that flipped, cost and time."""
        return {
            "names": list(self.names),
            "sentences": self.sentences,
            "variants": [_as_json(found) for found in self.variants],
        }

    def __str__(self) -> str:
        whole, twins = self._parted
        parts = [_plain(self, found) for found in whole] + [f"{visible(_twin(found))}\n" for found in twins]
        return "\n".join([*parts, plain_table(_sources_table(self))])

    def markdown(self) -> str:
        """For a pull request: nothing in it mentions anybody, links, or becomes markup."""
        sources = [provenance_line(found, of=of) for of, found in zip(("Before", "After"), self.sources, strict=True)]
        whole, twins = self._parted
        parts = [_markdown(self, found) for found in whole] + [unlinked(_twin(found)) for found in twins]
        return "\n\n".join([*parts, *sources]) + "\n"

    def html(self) -> str:
        """One page that needs no network and no script."""
        agents = dict.fromkeys(found.agent_after.name or found.after for found in self.variants)
        title = f"{', '.join(agents) or 'Review'}: {self.names[0]} and {self.names[1]}"
        return html_document(
            html("<h1>{{ title }}</h1>\n{{ shown }}", title=title, shown=self._sections(linked=True)), title=title
        )

    @property
    def _parted(self) -> tuple[list[VariantReview], list[VariantReview]]:
        """Those that are shown whole, and twins of which a line is enough; where all are twins, one is shown whole."""
        whole = [found for found in self.variants if not found.is_twin] or list(self.variants[:1])
        return whole, list(self.variants[len(whole) :])

    def _sections(self, *, linked: bool) -> Markup:
        whole, twins = self._parted
        return html(
            _SECTIONS,
            banner=STAND_IN_NOTE if self.is_stand_in else "",
            variants=[_html(self, found, anchor=f"decided-{row}" if linked else "") for row, found in enumerate(whole)],
            twins=map(_twin, twins),
            sources=html_table(_sources_table(self), labels=True),
        )

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, Any]:
        return {
            "text/html": notebook_html(self._sections(linked=False)),
            "text/markdown": self.markdown(),
            "text/plain": str(self),
        }


def review_runs(
    before: Run,
    after: Run,
    *,
    variants: tuple[str, str] | None = None,
    names: tuple[str, str] = (BEFORE, AFTER),
) -> Review:
    """What changed from one run to another, over the tasks that both were asked alike.

    Variants of the same name are set side by side; where no name is in both, the only variant of each; `variants`
    names one of each instead.

    Raises:
        ComparisonError: the variants to compare are not there, or not named where there are several.
    """
    if variants is not None:
        old, new = variants
        pairs = [
            (
                chosen_variant(before, old, what="the earlier run"),
                chosen_variant(after, new, what="the later run"),
            )
        ]
    else:
        pairs = [(name, name) for name in before.variants if name in after.variants] or [_only_ones(before, after)]
    return Review(
        variants=tuple(
            sorted((_review(before, after, pair) for pair in pairs), key=lambda found: found.worst_first_key)
        ),
        names=names,
        sources=(provenance(before), provenance(after)),
    )


def _only_ones(before: Run, after: Run) -> tuple[str, str]:
    try:
        return (
            chosen_variant(before, None, what="the earlier run"),
            chosen_variant(after, None, what="the later run"),
        )
    except ComparisonError as error:
        raise ComparisonError(f"the two runs have no variant of the same name, and {error}") from None


def _review(before: Run, after: Run, pair: tuple[str, str]) -> VariantReview:
    shared = share(before, after, variants=pair)
    comparison = None if shared.run is None else compare(shared.run, baseline=BEFORE)
    paid = comparison is not None and not comparison.stand_in
    return VariantReview(
        before=pair[0],
        after=pair[1],
        agent_before=before.variants[pair[0]],
        agent_after=after.variants[pair[1]],
        comparison=comparison,
        notes=shared.notes,
        same_attempts=shared.same_attempts,
        usd=_mean_change(comparison, comparison.columns.usd, "USD") if comparison is not None and paid else None,
        seconds=None if comparison is None else _mean_change(comparison, comparison.columns.seconds, "seconds"),
    )


def _mean_change(comparison: Comparison, values: Floats, unit: str) -> MeanChange | None:
    run, attempts = comparison.run, comparison.columns.attempts
    table = np.full((2, len(run.tasks), run.repeats), math.nan)
    table[attempts.variant, attempts.task, attempts.repeat] = values
    old, new = case_means(table[0]), case_means(table[1])
    both = ~np.isnan(new - old)
    if not both.any():
        return None
    change = change_between(old, new, groups=groups_of(run))
    return MeanChange(
        unit=unit,
        before=float(old[both].mean()),
        after=float(new[both].mean()),
        interval=None if change is None else change.interval,
        tasks=int(both.sum()),
    )


def _as_json(found: VariantReview) -> dict[str, Any]:
    compared = found.comparison
    return {
        "before": found.before,
        "after": found.after,
        "verdict": None if found.verdict is None else {**asdict(found.verdict), "shown_kind": found.verdict.shown_kind},
        "warning": found.warning,
        "promises": [] if compared is None else [asdict(change) for change in compared.promises],
        "flipped": []
        if compared is None
        else [{"task": change.task_id, "flip": change.flip} for change in compared.flipped.flipped],
        "usd": None if found.usd is None else asdict(found.usd),
        "seconds": None if found.seconds is None else asdict(found.seconds),
        "same_agent": found.same_agent,
        "same_attempts": found.same_attempts,
        "notes": list(found.notes),
    }


def _heading(review: Review, found: VariantReview) -> str:
    return f"{_named(found)}: {review.names[0]} (before) and {review.names[1]} (after)"


def _named(found: VariantReview) -> str:
    return found.before if found.before == found.after else f"{found.before} and {found.after}"


def _twin(found: VariantReview) -> str:
    return f"{_named(found)}: both send the same requests; whatever differs is noise."


def _sentences(found: VariantReview) -> list[str]:
    """The verdict, first, in full and where its rules stand, and what is shared."""
    if found.comparison is None or found.verdict is None:
        sentences = ["The replies are not compared."]
    else:
        sentences = [found.verdict.headline, f"{IN_FULL}{found.verdict.text}", HOW_IT_IS_DECIDED]
        attempts = found.comparison.attempts_of_each
        same = f"; {found.same_attempts} of {attempts} attempts are the very same in both" * (found.same_attempts > 0)
        sentences.append(f"Compared over {found.comparison.size} that both share{same}.")
    sentences += [f"Not shared: {note}." for note in found.notes]
    if found.same_agent:
        sentences.append("The two agent files are the same.")
    return sentences


def _with_warning(review: Review, found: VariantReview) -> list[str]:
    """The sentences, behind the first one the promises that are shown to be worse, or before it where it says nothing
    of it; then what changed, who answered and what it cost."""
    first, *others = _sentences(found)
    warning = [found.warning] if found.warning else []
    leads = found.comparison is not None and is_contradicted(found.comparison)
    facts = [f"{what}: {much}." for what, much in _facts(review, found)]
    return [*(warning if leads else ()), first, *(() if leads else warning), *facts, *others]


def _facts(review: Review, found: VariantReview) -> list[tuple[str, str]]:
    """What a reader asks beside the verdict: what changed, who answered, and what it cost."""
    before, after = review.sources
    models = [", ".join(of.models.get(name, ())) for of, name in ((before, found.before), (after, found.after))]
    facts = [
        ("What changed", what_differs(found.agent_before, found.agent_after)),
        ("Answered by", _both(before.endpoint, after.endpoint)),
        ("Model", _both(*(each or "none" for each in models))),
    ]
    if found.comparison is not None:
        facts.append(("Cost of the replies", cost_in_words(found.comparison)))
    return [(what, visible(much)) for what, much in facts]


def _both(before: str, after: str) -> str:
    return after if before == after else f"{after}, before {before}"


def _changes_table(found: VariantReview) -> Table | None:
    changes = [change for change in (found.usd, found.seconds) if change is not None]
    if not changes:
        return None
    rows = tuple(
        (
            f"{change.unit} a reply",
            _number(change.before),
            _number(change.after),
            _number(change.after - change.before, sign=True),
            "-"
            if change.interval is None
            else f"[{_number(change.interval.low, sign=True)}, {_number(change.interval.high, sign=True)}]",
            str(change.tasks),
        )
        for change in changes
    )
    return Table(
        title="Cost and time (means over tasks)",
        headings=("What", "Before", "After", "Change", f"{percent(LEVEL)} interval", "Tasks"),
        rows=rows,
    )


def _number(value: float, *, sign: bool = False) -> str:
    return f"{value:+.4g}" if sign else f"{value:.4g}"


def _tables(found: VariantReview) -> list[Table]:
    """None where every reply is the very same: each row would say that nothing differs."""
    if found.is_the_very_same:
        return []
    flips = [] if found.comparison is None else [found.comparison.flipped.table(most=MOST_FLIPS)]
    changes = _changes_table(found)
    beside = [] if found.comparison is None else change_tables(found.comparison)
    return [*beside, *flips, *([] if changes is None else [changes])]


def _sources_table(review: Review) -> Table:
    columns: list[dict[str, str]] = [{}, {}]
    for column, source in zip(columns, review.sources, strict=True):
        for what, found in provenance_table(source).rows:
            column[what] = f"{column[what]}; {found}" if what in column else found
    return Table(
        title="Where the numbers come from",
        headings=("What", "Before", "After"),
        rows=tuple((what, *(column.get(what, "-") for column in columns)) for what in columns[0] | columns[1]),
    )


def _plain(review: Review, found: VariantReview) -> str:
    parts = [visible(_heading(review, found)), "\n".join(_with_warning(review, found))]
    parts += [plain_table(table).rstrip("\n") for table in _tables(found)]
    if not found.same_agent:
        parts.append(f"What differs between the agents\n{plain_lines(found.persona)}".rstrip("\n"))
    return "\n\n".join(parts) + "\n"


def _markdown(review: Review, found: VariantReview) -> str:
    parts = [f"### {unlinked(_heading(review, found))}", *map(unlinked, _with_warning(review, found))]
    parts += [markdown_table(unlinked_table(table)).rstrip("\n") for table in _tables(found)]
    if not found.same_agent:
        parts.append("**What differs between the agents**")
        parts.append(markdown_fence(plain_lines(found.persona), "diff").rstrip("\n"))
    return "\n\n".join(parts)


def _html(review: Review, found: VariantReview, *, anchor: str) -> Markup:
    first, *others = _sentences(found)
    if found.verdict is not None:
        others = others[2:]  # the paragraph of the verdict holds it in full, and the rules
    verdict = (
        html('<p class="verdict">{{ text }}</p>', text=first)
        if found.verdict is None
        else verdict_paragraphs([found.verdict], anchor=anchor)
    )
    return html(
        _VARIANT,
        heading=_heading(review, found),
        first=verdict if found.comparison is None else with_worse_promises(found.comparison, verdict),
        facts=_facts(review, found),
        sentences=others,
        tables=[html_table(table, labels=True) for table in _tables(found)],
        difference="" if found.same_agent else agents_difference(found.agent_before, found.agent_after),
    )
