"""The page of a batch: what failed first, equal failures together, then each notebook by its verdict, and the sums."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from workbench.comparison.figures import HOW_IT_IS_DECIDED, IN_FULL
from workbench.comparison.report.document import FACTS, html_document
from workbench.comparison.tried import COSTS_NOTHING, Tried, kind_first
from workbench.headless.left_behind import JobOutcome
from workbench.headless.notebook_files import write_whole
from workbench.markup import counted, html, visible
from workbench.secrets import without_secrets

_NO_FAULT = ("not run", "unchanged")

_STYLE = """
.group { margin: .8rem 0; } .group > h2 { border: 0; padding: 0; margin: .8rem 0 .3rem; }
.group > .given { margin: .2rem 0; }
.rows { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: .4rem; }
article { padding: .4rem .7rem; border-left: 5px solid var(--soft); background: var(--tint); font-size: .875rem;
  line-height: 1.4; min-width: 0; }
article.good { border-color: var(--good); } article.bad { border-color: var(--bad); }
article h3 { margin: 0; font-size: .9375rem; } article p { margin: .1rem 0; } article details { margin: 0; }
.kind, .name { font-weight: 600; } .good .kind { color: var(--good); } .bad .kind { color: var(--bad); }
.given { white-space: pre-wrap; overflow-wrap: anywhere; font: .8125rem/1.6 ui-monospace, Consolas, monospace; }
"""
_BODY = (
    """\
<h1>{{ title }}</h1>
"""
    + FACTS
    + """\
{% for group in groups %}
<section class="group">
<h2>{{ group.heading }}</h2>
{% if group.why %}
<p class="given">{{ group.why | lines }}</p>
{% endif %}
<div class="rows">
{% for row in group.rows %}
<article class="{{ row.colour }}">
<h3>{% if row.address %}<a href="{{ row.address }}">{{ row.name }}</a>{% else %}{{ row.name }}{% endif %}</h3>
{% if row.warning %}
<p><strong>{{ row.warning }}</strong></p>
{% endif %}
{% if row.said %}
<p>{% if row.kind %}<span class="kind">{{ row.kind }}</span> {% endif %}{% for line in row.said %}{{ line }}\
{% if not loop.last %}<br>{% endif %}{% endfor %}</p>
{% endif %}
{% if row.title %}
<p><span class="name">{{ row.title }}</span> <span class="soft">{{ row.took }}</span></p>
{% for line in row.agents %}
<p>{{ line }}</p>
{% endfor %}
<details><summary>{{ row.folded }}</summary>
{% for line in row.in_full %}
<p>{{ line }}</p>
{% endfor %}
{% if row.given %}
<p class="given">{{ row.given | lines }}</p>
{% endif %}
</details>
{% elif row.given %}
<p class="given">{{ row.given | lines }}</p>
{% endif %}
</article>
{% endfor %}
</div>
</section>
{% endfor %}
"""
)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A notebook of the batch."""

    name: str
    address: str | None
    title: str
    agents: tuple[str, ...]
    kind: str
    colour: str
    said: tuple[str, ...]
    in_full: tuple[str, ...]
    """What stands behind the sentence that is met first."""
    folded: str
    """What the fold says it holds."""
    warning: str
    took: str
    given: str


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Notebooks with which it went alike."""

    heading: str
    why: str
    rows: tuple[_Row, ...]


def write_index(folder: Path, outcomes: Sequence[JobOutcome]) -> Path:
    """Writes `index.html` and `index.md` into the folder of a batch, and gives the path of the first."""
    page = folder / "index.html"
    write_whole(page, _html(folder, outcomes))
    write_whole(folder / "index.md", _markdown(folder, outcomes))
    return page


def summary(outcomes: Sequence[JobOutcome]) -> str:
    """How many notebooks came to which end."""
    counts = Counter(outcome.end for outcome in outcomes)
    ends = ", ".join(f"{count} {end}" for end, count in sorted(counts.items()))
    return f"{counted(len(outcomes), 'notebook')}: {ends}"


def _html(folder: Path, outcomes: Sequence[JobOutcome]) -> str:
    title = f"Batch of {summary(outcomes)}"
    body = html(_BODY, title=title, totals=_totals(outcomes), groups=_groups(folder, outcomes))
    return html_document(body, title=title, style=_STYLE)


def _markdown(folder: Path, outcomes: Sequence[JobOutcome]) -> str:
    """Blocks of code, in which whatever a notebook said stays text."""
    totals = "; ".join(f"{what.lower()} {much}" for what, much in _totals(outcomes))
    lines = ["# Batch", "", summary(outcomes), "", f"    {totals}"]
    for group in _groups(folder, outcomes):
        lines += ["", f"## {visible(group.heading)}"]
        if group.why:
            lines += ["", *(f"    {visible(line)}" for line in group.why.splitlines())]
        for row in group.rows:
            name = f"`{row.name}`"
            lines += ["", f"- {name if row.address is None else f'[{name}](<{row.address}>)'}"]
            said = [
                row.title,
                row.warning,
                *row.said,
                row.took,
                *row.agents,
                *row.in_full,
                *row.given.splitlines(),
            ]
            if shown := [visible(line) for line in said if line]:
                lines += ["", *(f"      {line}" for line in shown)]
    return "\n".join(lines) + "\n"


def _groups(folder: Path, outcomes: Sequence[JobOutcome]) -> list[_Group]:
    """What did not complete first, those with one reason together; then by the verdict, the worse first; then what had
    nothing to compare."""
    several = len({outcome.tried.answered_by for outcome in outcomes if outcome.tried is not None}) > 1
    others: dict[tuple[str, str], list[JobOutcome]] = {}
    done: dict[str, list[JobOutcome]] = {}
    for outcome in outcomes:
        if outcome.end == "completed":
            done.setdefault(_kind(outcome), []).append(outcome)
        else:
            others.setdefault((outcome.end, _reason(outcome)), []).append(outcome)
    before: list[_Group] = []
    after: list[_Group] = []
    for (end, why), alike in sorted(others.items(), key=lambda each: (each[0][0] == "not run", -len(each[1]))):
        rows = tuple(
            _row(folder, outcome, colour="" if end in _NO_FAULT else "bad", with_endpoint=several) for outcome in alike
        )
        group = _Group(
            heading=f"{end[0].upper()}{end[1:]}: {counted(len(rows), 'notebook')}",
            why=f"The agent {why}" if end == "unchanged" else why,
            rows=rows,
        )
        (after if end == "unchanged" else before).append(group)
    verdicts = []
    for kind in sorted(done, key=kind_first):
        heading = f"{kind[0].upper()}{kind[1:]}" if kind else "Completed"
        rows = tuple(_row(folder, outcome, colour=_colour(outcome), with_endpoint=several) for outcome in done[kind])
        verdicts.append(_Group(heading=f"{heading}: {counted(len(rows), 'notebook')}", why="", rows=rows))
    return [*before, *verdicts, *after]


def _row(folder: Path, outcome: JobOutcome, *, colour: str, with_endpoint: bool) -> _Row:
    tried = outcome.tried
    said = (outcome.verdict or "").splitlines() or (outcome.error or "").splitlines()[1:]
    in_full = tuple(line for line in said if line.startswith(IN_FULL) or line == HOW_IT_IS_DECIDED)
    warning = "" if tried is None else tried.warning
    return _Row(
        name=outcome.job.name,
        address=None if outcome.page is None else _address(outcome.page, folder),
        title="" if tried is None else tried.title,
        agents=() if tried is None else tried.agents,
        kind="Offline stand-in:" if tried is not None and tried.stand_in else "",
        colour=colour,
        said=tuple(line for line in said if line not in (*in_full, warning)),
        in_full=in_full,
        folded="Settings, and the verdict in full" if in_full else "Settings",
        warning=warning,
        took="" if tried is None else _took(outcome, with_endpoint=with_endpoint),
        given="\n".join(_given(outcome)),
    )


def _kind(outcome: JobOutcome) -> str:
    """The verdict that has to be seen first among those of a notebook; "" where it reached none."""
    return "" if outcome.tried is None else outcome.tried.kind


def _colour(outcome: JobOutcome) -> str:
    return "" if outcome.tried is None else outcome.tried.colour


def _reason(outcome: JobOutcome) -> str:
    """The line that says why it did not complete; those behind it tell of this very notebook."""
    return (outcome.error or "").partition("\n")[0]


def _took(outcome: JobOutcome, *, with_endpoint: bool) -> str:
    """What it took; who answered, too, where that is not the same of all and so said above."""
    tried = outcome.tried
    assert tried is not None
    parts = [", ".join(tried.models) or "no model", counted(tried.replies, "reply", "replies")]
    parts += [tried.told_usd, f"{tried.seconds:,.1f} s of replies"]
    return " · ".join([*parts, *([tried.answered_by] if with_endpoint else [])])


def _totals(outcomes: Sequence[JobOutcome]) -> list[tuple[str, str]]:
    tried = [outcome.tried for outcome in outcomes if outcome.tried is not None]
    models = dict.fromkeys(model for each in tried for model in each.models)
    if not tried:
        return [("Notebooks", f"{len(outcomes)}")]
    return [
        ("Notebooks", f"{len(outcomes)}"),
        ("Replies", f"{sum(each.replies for each in tried):,}"),
        ("Cost of the replies", _usd(tried)),
        ("Seconds of replies", f"{sum(each.seconds for each in tried):,.1f}"),
        ("Models", ", ".join(models) or "none"),
        ("Answered by", "; ".join(dict.fromkeys(each.answered_by for each in tried))),
    ]


def _usd(tried: Sequence[Tried]) -> str:
    if all(each.stand_in for each in tried):
        return COSTS_NOTHING
    usd, unpriced = sum(each.usd for each in tried), sum(each.unpriced for each in tried)
    return f"{usd:,.4f} USD" + (f" and {unpriced:,} without a price" if unpriced else "")


def _given(outcome: JobOutcome) -> list[str]:
    """The parameters that its plan gives it, a line each."""
    return [visible(without_secrets(f"{name} = {value}")) for name, value in outcome.job.parameters.items()]


def _address(page: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(page, folder)).as_posix())
