"""A report for a pull request: verdict, variants, what flipped and what it cost, in Markdown as code hosts show it.

Nothing in it can mention anybody, close an issue, link, or become markup: beside Markdown's own escapes, a WORD JOINER
(U+2060, not seen) stands behind every `@`, `#`, `:` and `GH-` of a text that is not ours, for code hosts look for
mentions and references in what is left after Markdown was rendered.

Keys are taken out of each text before it is escaped: `ghp\\_...` has the form of none.
"""

from __future__ import annotations

import re
from pathlib import Path

from workbench.comparison.change_tables import change_tables
from workbench.comparison.compared import STAND_IN_NOTE
from workbench.comparison.figures import HOW_IT_IS_DECIDED, IN_FULL
from workbench.comparison.flips import NONE_FLIPPED, Changes
from workbench.comparison.provenance import NOT_RECORDED, Provenance
from workbench.comparison.report.overview import (
    agents_lines,
    agents_named,
    is_contradicted,
    worse_promises,
)
from workbench.comparison.static_tables import variants_table
from workbench.comparison.tables import Comparison
from workbench.markup import HALF_CHARACTERS, Table, counted, markdown_table, markdown_text
from workbench.secrets import without_secrets

MOST_FLIPS = 10

_REFERENCE = re.compile(r"([@#:]|\bgh-)(?=\w)|(?<=\w)(?=@)", re.IGNORECASE)
_JOINER = "\u2060"


def write_summary(comparison: Comparison, found: Provenance, folder: Path) -> list[Path]:
    """`summary.md`."""
    path = folder / "summary.md"
    path.write_text(without_secrets(summary(comparison, found)), encoding="utf-8", errors=HALF_CHARACTERS, newline="\n")
    return [path]


def summary(comparison: Comparison, found: Provenance) -> str:
    """The report as Markdown, short enough for a comment."""
    named = unlinked(agents_named(comparison.run.variants))
    parts = [f"### {_headline(comparison)}: {named}"]
    sentences = [f"**{unlinked(first)}**" for first, _ in comparison.sentence_parts]
    warning = [unlinked(comparison.warning)] if comparison.warning else []
    parts += [*warning, *sentences] if is_contradicted(comparison) else [*sentences, *warning]
    if comparison.stand_in:
        parts.append(unlinked(STAND_IN_NOTE))
    parts.append("\n".join(f"- {unlinked(line)}" for line in agents_lines(comparison, found.origins)))
    parts.append(markdown_table(unlinked_table(variants_table(comparison))).rstrip())
    parts += [markdown_table(unlinked_table(table)).rstrip() for table in change_tables(comparison)]
    parts += [f"{IN_FULL}{unlinked(text)}" for _, text in comparison.sentence_parts if text]
    if comparison.verdicts:
        parts.append(unlinked(HOW_IT_IS_DECIDED))
        parts.append(_flips(comparison.flipped))
    parts.append(provenance_line(found))
    return "\n\n".join(parts) + "\n"


def unlinked(text: str) -> str:
    """The text as Markdown that shows it, and that no code host makes a mention, a reference or a smiley of."""
    return markdown_text(_joined(text))


def unlinked_table(table: Table) -> Table:
    """The table, its texts such that `markdown_table` writes them as `unlinked` does."""

    return Table(
        title=_joined(table.title),
        headings=tuple(map(_joined, table.headings)),
        rows=tuple(tuple(map(_joined, row)) for row in table.rows),
        note=_joined(table.note),
        muted=table.muted,
    )


def _joined(text: str) -> str:
    return _REFERENCE.sub(rf"\g<0>{_JOINER}", without_secrets(text))


def _headline(comparison: Comparison) -> str:
    kinds = [f"{verdict.heading[0].lower()}{verdict.heading[1:]}" for verdict in comparison.verdicts]
    if not kinds:
        found = "scores of one variant"
    elif len(kinds) == 1:
        found = kinds[0]
    else:
        found = "; ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    if is_contradicted(comparison):
        found = f"worse in {counted(len(worse_promises(comparison)), 'promise')}, {found} as a whole"
    return f"Offline stand-in: {found}" if comparison.stand_in else f"{found[0].upper()}{found[1:]}"


def _flips(changes: Changes) -> str:
    if not changes.flipped:
        return NONE_FLIPPED
    return markdown_table(unlinked_table(changes.table(most=MOST_FLIPS))).rstrip()


def provenance_line(found: Provenance, *, of: str = "") -> str:
    """Where the numbers come from, in small print; `of` says which run that is."""
    agents = ", ".join(f"{unlinked(name)} `{digest[:12]}`" for name, digest in found.agents.items())
    tasks = ", ".join(
        f"{NOT_RECORDED} ({counted(count, 'task')})" if digest == NOT_RECORDED else f"`{digest[:12]}`"
        for digest, count in found.task_files.items()
    )
    models = ", ".join(dict.fromkeys(model for counts in found.models.values() for model in counts)) or "none"
    day = "no day recorded" if found.last_answer is None else f"last on {found.last_answer[:10]}"
    made = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    prices = "; ".join(dict.fromkeys(found.prices.values())) or "none"
    return (
        f"<sub>{of}{': ' * bool(of)}Agents {agents}; task file {tasks}; answered by {unlinked(models)} "
        f"({unlinked(found.endpoint)}), {day}; prices: {unlinked(prices)}; made with {unlinked(made)}. "
        "Ledger keys and full texts are in the report.</sub>"
    )
