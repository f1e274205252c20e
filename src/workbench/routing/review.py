"""Decisions for whoever reviews them: who is picked in a sentence, then what a change changes, and the tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from workbench.comparison.differences.views import plain_words
from workbench.comparison.differences.words import diff_words
from workbench.comparison.history import Told
from workbench.comparison.report.document import html_document
from workbench.comparison.report.summary import unlinked, unlinked_table
from workbench.errors import ComparisonError
from workbench.markup import Table, html, html_table, markdown_table, notebook_html, plain_table, visible
from workbench.routing.change import RoutingChange
from workbench.routing.measured import Routed, measure_routing
from workbench.routing.record import sides_of
from workbench.routing.sides import change_between_runs
from workbench.secrets import without_secrets
from workbench.trial.decisions import holds_decisions
from workbench.trial.trial import Run

_SECTIONS = """\
{% for sentence in sentences %}
<p{% if loop.first %} class="verdict"{% endif %}>{{ sentence }}</p>
{% endfor %}
{% for table in tables %}
<div class="wide" tabindex="0">{{ table }}</div>
{% endfor %}"""


@dataclass(frozen=True, kw_only=True)
class RoutingReview:
    """Decisions before and after a change, or on one list alone. Shows itself in a notebook as static HTML or Markdown;
    printed, as plain text."""

    routed: Routed
    """Those after it."""
    change: RoutingChange | None
    """`None`: there is one list alone."""

    @property
    def title(self) -> str:
        if self.change is None:
            return "Who is picked"
        return f"Who is picked since {', '.join(map(visible, self.change.changed)) or 'the list'} changed"

    @property
    def sentences(self) -> tuple[str, ...]:
        """The first of them says how often one is picked, and how often by mistake."""
        found = self.routed.lead if self.change is None else self.change.lead
        return tuple(visible(sentence) for sentence in found)

    @property
    def tables(self) -> tuple[Table, ...]:
        if self.change is None:
            return self.routed.tables()
        return (self.change.table(is_under_lead=True), *self._descriptions(self.change), *self.routed.tables())

    def __str__(self) -> str:
        return "\n\n".join([self.title, "\n".join(self.sentences), *(plain_table(table) for table in self.tables)])

    def markdown(self) -> str:
        """For a pull request: nothing in it mentions anybody, links, or becomes markup."""
        tables = [markdown_table(unlinked_table(table)).rstrip("\n") for table in self.tables]
        return "\n\n".join([f"### {unlinked(self.title)}", *map(unlinked, self.sentences), *tables]) + "\n"

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        change = None if self.change is None else self.change.as_values()
        return {
            "title": self.title,
            "sentences": list(self.sentences),
            "change": change,
            "after": self.routed.as_values(),
        }

    def html(self) -> str:
        """One page that needs no network and no script."""
        body = html("<h1>{{ title }}</h1>\n{{ shown }}", title=self.title, shown=self._sections())
        return html_document(body, title=self.title)

    def _sections(self) -> Markup:
        tables = [html_table(table, labels=True) for table in self.tables]
        return html(_SECTIONS, sentences=self.sentences, tables=tables)

    @staticmethod
    def _descriptions(change: RoutingChange) -> tuple[Table, ...]:
        """What the main model is shown of each agent that changed, as it is, with the words that changed marked."""
        then, now = change.listed
        were = {new: old for old, new in change.renamed.items()}
        rows = [(name, then.get(were.get(name, name), ""), now.get(name, "")) for name in change.changed]
        gone = [(name, text, "") for name, text in then.items() if name not in (*now, *change.renamed)]
        if not rows and not gone:
            return ()
        return (
            Table(
                title="What the main model is shown: [-taken out-] {+put in+}",
                headings=("agent", "its line in the list"),
                rows=tuple((name, plain_words(diff_words(old, new)).rstrip("\n")) for name, old, new in (*rows, *gone)),
            ),
        )

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, Any]:
        return {
            "text/html": notebook_html(self._sections()),
            "text/markdown": self.markdown(),
            "text/plain": str(self),
        }


def review_routing(before: Run, after: Run | None = None) -> RoutingReview:
    """The decisions of a run, with those of before where it holds both; or those of `after` beside them.

    Raises:
        ComparisonError: one of them holds replies, or they cannot be compared.
        RoutingRefused: see `measure_routing`.
    """
    for run in (before, *([] if after is None else [after])):
        if not holds_decisions(run):
            raise ComparisonError("one holds decisions and the other replies: review each beside one of its kind")
    then, now = sides_of(before) if after is None else (sides_of(before)[1], sides_of(after)[1])
    if then is None:
        return RoutingReview(routed=measure_routing(now), change=None)
    change = change_between_runs(then, now)
    return RoutingReview(routed=change.after, change=change)


def tell_decisions(run: Run) -> Told:
    """What a record of decisions says in a site of many records.

    Raises:
        All that `review_routing` raises.
    """
    found = review_routing(run)
    is_worse = found.change is not None and found.change.kind == "worse" and not found.routed.label
    return Told(said=found.sentences[0], is_worse=is_worse, page=without_secrets(found.html()))
