"""A trial panel where no widget can be shown: as HTML and as Markdown, without what changes from run to run."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from workbench.markup import html
from workbench.runs.variant_run import OUTCOMES
from workbench.trial.trial import Trial
from workbench.widgets.frame import as_code, as_rows, as_text
from workbench.widgets.trial_text import counts, score_rows, what_was_asked

LONGEST_TEXT = 50_000
"""Characters of a reply that go into a notebook with the page; the ledger has all of them."""


def html_page(trials: Sequence[Trial], *, title: str) -> Markup:
    """The panel as a page without controls."""
    parts = [as_text(title, tag="p")]
    for trial in trials:
        parts.append(as_text(_heading(trial), tag="h3"))
        parts.append(as_text(" · ".join([trial.endpoint.in_words, *counts(trial)]), tag="p"))
        parts.append(as_text(_text(trial), tag="pre"))
        if trial.scores:
            parts.append(as_rows(list(score_rows(trial)), ("grader", "score", "explanation")))
    return html("<div>{{ page }}</div>", page=Markup().join(parts))


def markdown_page(trials: Sequence[Trial], *, title: str) -> str:
    """The replies as Markdown in which their text stays text."""
    parts = [as_code(title)]
    for trial in trials:
        parts.append(as_code(f"{_heading(trial)} {trial.endpoint.in_words}"))
        parts.append(as_code(_text(trial)))
        parts.extend([as_code("\n".join(": ".join(row) for row in score_rows(trial)))] if trial.scores else [])
    return "\n\n".join(parts)


def _heading(trial: Trial) -> str:
    return f"{trial.variant} on {what_was_asked(trial)}: {OUTCOMES[trial.outcome]}"


def _text(trial: Trial) -> str:
    text = trial.reply.text if trial.reply else ""
    more = len(text) - LONGEST_TEXT
    return f"{text[:LONGEST_TEXT]}\n[{more:,} more characters]" if more > 0 else text
