"""A comparison in a row, for whoever looks over many of them."""

from __future__ import annotations

from workbench.comparison.change_tables import promise_change_in_words
from workbench.comparison.compared import Compared, shown_worse
from workbench.comparison.figures import points
from workbench.comparison.provenance import Provenance
from workbench.comparison.report.overview import agents_lines, agents_named
from workbench.comparison.tried import Tried


def what_was_tried(comparison: Compared, found: Provenance) -> Tried:
    """The comparison in a row."""
    models = (model for counts in found.models.values() for model in counts)
    files = (origin.file for origin in found.origins.values() if origin.file is not None)
    replies = [trial.reply for trial in comparison.run.trials if trial.reply is not None]
    usd = [summary.usd for summary in comparison.summaries if summary.usd == summary.usd]
    return Tried(
        agents=tuple(agents_lines(comparison, found.origins)),
        title=agents_named(comparison.run.variants),
        files=tuple(dict.fromkeys(files)),
        models=tuple(dict.fromkeys(models)),
        answered_by=found.endpoint,
        stand_in=comparison.stand_in,
        kinds=tuple(verdict.shown_kind for verdict in comparison.verdicts),
        effects=tuple(
            ""
            if verdict.effect is None or verdict.interval is None
            else f"{points(verdict.effect)} [{points(verdict.interval.low)}, {points(verdict.interval.high)}]"
            for verdict in comparison.verdicts
        ),
        worse_promises=shown_worse(comparison.promises, comparison.criteria),
        warning=comparison.warning,
        worst_promise=_worst_promise(comparison),
        replies=len(replies),
        usd=0.0 if comparison.stand_in else sum(usd),
        unpriced=0 if comparison.stand_in else sum(summary.unpriced for summary in comparison.summaries),
        seconds=sum(reply.seconds or 0.0 for reply in replies),
        day=(found.last_answer or "")[:10],
    )


def _worst_promise(comparison: Compared) -> str:
    if not comparison.verdicts:
        kept = next(iter(comparison.promise_means), None)
        return "" if kept is None or kept.mean is None else f"{kept.promise} {points(kept.mean, sign=False)}"
    lost = next(iter(comparison.promises), None)
    if lost is not None and lost.obstacle:
        return f"not compared: {lost.obstacle}"
    if lost is None or lost.effect is None or lost.effect >= 0:
        return ""
    return f"{lost.promise} {promise_change_in_words(lost)}"
