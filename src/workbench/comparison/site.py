"""Pages over a folder of records, as a folder that opens from a disk: what was compared, the worst first; agents by
nights, each with its trend; and a page for every record.

    index.html               a row a comparison, then a row an agent with a column a night
    agents/NAME.html         the nights of an agent
    records/NAME/report.html the report of a record, made anew only where the record is another, or its
                             replies score something else here
    site.json                all of it for programs
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.comparison.change_tables import promise_change_in_words
from workbench.comparison.figures import percent
from workbench.comparison.history import AgentNights, Drift, History, Night, told_drift
from workbench.comparison.history_page import (
    HEADINGS,
    NUMBERS,
    PICTURE_STYLE,
    night_picture,
    night_promises,
    night_row,
)
from workbench.comparison.history_page import points_with_interval as points
from workbench.comparison.provenance import provenance
from workbench.comparison.report.document import FACTS, LEFT_OUT, html_document
from workbench.comparison.report.row import what_was_tried
from workbench.comparison.report.write import write_report
from workbench.comparison.tables import compare
from workbench.comparison.tried import COSTS_NOTHING, WORSE_PROMISE, Tried, kind_first
from workbench.definition.origin import find_origins
from workbench.definition.project import RECORD_FILE
from workbench.definition.there import bytes_in, text_in
from workbench.errors import ComparisonError, FileError, RecordError
from workbench.markup import HALF_CHARACTERS, html
from workbench.secrets import value_without_secrets, without_secrets
from workbench.statistics.intervals import LEVEL
from workbench.trial.record import folder_name, load_run
from workbench.trial.regrade import grade_again
from workbench.trial.trial import GraderFactory

INDEX = "index.html"
DATA = "site.json"
_MADE_OF = "made-of.json"

_STYLE = (
    PICTURE_STYLE
    + """
.spark svg { width: 10rem; max-width: 100%; }
td.number a { white-space: nowrap; }
.lower { color: var(--bad); font-weight: 600; } .higher { color: var(--good); font-weight: 600; }
tbody th { white-space: normal; } tbody th .soft { font-weight: 400; }
td.good, td.bad { font-weight: 600; } td.good { color: var(--good); } td.bad { color: var(--bad); }
.back { margin: 0; }
"""
)

_INDEX = (
    """\
<h1>{{ title }}</h1>
"""
    + FACTS
    + LEFT_OUT
    + """\
{% if compared %}
<h2>Comparisons, the worst first</h2>
<div class="wide" tabindex="0" role="region" aria-label="Comparisons"><table>
<thead><tr>{% for name in compared_headings %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in compared %}
<tr><th scope="row"><a href="{{ row.link }}">{{ row.title }}</a> <span class="soft">{{ row.where }}</span></th>\
{% for cell in row.cells %}<td data-label="{{ compared_headings[loop.index] }}"\
{% if loop.first and row.colour %} class="{{ row.colour }}"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% endif %}
{% if rows %}
{% if compared %}
<h2>Night by night</h2>
{% endif %}
<p>Points are means over tasks, with {{ level }} intervals; they lead to the report of their record, an agent to all
its nights. Agents that are shown to be lower than in the night before, or to keep a promise worse than
in the first with the same agent and tasks, come first. Where nothing drifts, one in twenty
intervals leaves out 0 all the same. Without a record of a night, its cell says so.</p>
<div class="wide" tabindex="0" role="region" aria-label="{{ title }}"><table>
<thead><tr><th scope="col">Agent</th>{% for name in headings %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr><th scope="row"><a href="{{ row.link }}">{{ row.name }}</a> <span class="soft">{{ row.where }}</span></th>\
<td data-label="{{ headings[0] }}" class="spark">{{ row.picture }}</td>\
<td data-label="{{ headings[1] }}"><span class="{{ row.sign }}">{{ row.since }}</span></td>\
<td data-label="{{ headings[2] }}"><span class="{{ row.promise_sign }}">{{ row.promise }}</span></td>\
<td data-label="{{ headings[3] }}">{{ row.models }}</td>\
<td data-label="{{ headings[4] }}">{{ row.usd }}</td>\
{% for night in row.nights %}<td data-label="{{ headings[loop.index + 4] }}" class="number">\
{% if night %}<a href="{{ night.link }}">{{ night.points }}</a>\
{% if night.said %} <span class="soft">{{ night.said }}</span>{% endif %}\
{% else %}<span class="soft">no record</span>{% endif %}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% endif %}
{% if decisions %}
<h2>Who is picked</h2>
<ul>
{% for row in decisions %}
<li><a href="{{ row.link }}">{{ row.record }}</a>: \
{% if row.worse %}<span class="lower">worse</span> {% endif %}{{ row.said }}</li>
{% endfor %}
</ul>
{% endif %}
"""
)

_AGENT = """\
<p class="back"><a href="../{{ index }}">All agents</a></p>
<h1>{{ title }}</h1>
<p>{{ sentence }}</p>
{{ picture }}
{{ promises }}
<div class="wide" tabindex="0" role="region" aria-label="Nights"><table>
<thead><tr>{% for name in headings %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr{% if row.marked %} class="marked"{% endif %}>\
<th scope="row">\
{% if row.link %}<a href="{{ row.link }}">{{ row.cells[0] }}</a>{% else %}{{ row.cells[0] }}{% endif %}</th>\
{% for cell in row.cells[1:] %}<td data-label="{{ headings[loop.index] }}"\
{% if loop.index in numbers %} class="number"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """What `write_site` left."""

    index: Path
    made: int
    """Reports that were made."""
    kept: int
    """Reports that were there already, of the same records and scores."""
    left_out: tuple[tuple[str, str], ...]
    """Records without a page, each with why."""


def write_site(
    history: History,
    records: str | Path,
    out: str | Path,
    *,
    graders: Mapping[str, GraderFactory],
    most_nights: int,
    project: str | Path | None = None,
) -> Site:
    """Writes the pages of a history of the folder `records` into the folder `out`; `most_nights` are columns of the
    index. Reports name the agents' files and commits as the folder `project` has them when they are made; none without.

    Raises:
        FileError: `out` cannot be written, or has an `index.html` that is no page of this.
    """
    records, out = Path(records), Path(out)
    if (out / INDEX).exists() and not (out / DATA).exists():
        raise FileError(f"has an {INDEX} of something else; name another folder with --out", path=out)
    links: dict[str, str] = {}
    tried: dict[str, Tried] = {}
    left_out = list(history.left_out)
    made = kept = 0
    for record in sorted({night.record for each in history.agents for night in each.nights}):
        folder = out / "records" / folder_name(record)
        try:
            tried[record], is_new = _write_record(
                records / record, folder, graders, scores=history.scores[record], project=project
            )
            made, kept = (made + 1, kept) if is_new else (made, kept + 1)
        except (RecordError, ComparisonError) as error:
            left_out.append((record, f"no report of it: {error}"))
            continue
        links[record] = quote(f"records/{folder.name}/report.html")
    by_night = replace(history, agents=tuple(each for each in history.agents if _has_nights(each, tried)))
    pages = dict(_agent_pages(by_night, links))
    pages |= {f"decisions/{folder_name(record)}.html": each.page for record, each in history.decisions.items()}
    shown = {record: asdict(each) for record, each in tried.items()}
    data = {"history": history.to_json(), "tried": shown, "reports": links, "left_out": left_out}
    files = {
        **pages,
        DATA: json.dumps(value_without_secrets(data), indent=2, ensure_ascii=False) + "\n",
        INDEX: _index(by_night, tried, links, left_out, most_nights),  # after what it is known by as ours
    }
    try:
        for name, text in files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(text, encoding="utf-8", errors=HALF_CHARACTERS, newline="\n")
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror}", path=error.filename or out) from error
    return Site(index=out / INDEX, made=made, kept=kept, left_out=tuple(left_out))


def _write_record(
    record: Path, folder: Path, graders: Mapping[str, GraderFactory], *, scores: str, project: str | Path | None
) -> tuple[Tried, bool]:
    """Sees to the report of a record whose replies have these `scores` by the graders; what it shows in a row, and
    whether it had to be made."""
    # The hashes of all files of a record stand in this one.
    whole = hashlib.sha256(bytes_in(record / RECORD_FILE)).hexdigest()
    made_of, stamp = f"{whole} {scores} {metadata.version('agent-workbench')}", folder / _MADE_OF
    if (folder / "report.html").is_file() and (known := _stamped(stamp, made_of)) is not None:
        return known, False
    comparison = compare(grade_again(load_run(record), graders))
    write_report(comparison, folder, formats=("html",), project=project)
    origins = find_origins(comparison.run.variants, project=Path(project)) if project else None
    tried = what_was_tried(comparison, provenance(comparison.run, origins=origins))
    value = {"made_of": made_of, "tried": value_without_secrets(asdict(tried))}
    stamp.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8", "backslashreplace")
    return tried, True


def _stamped(stamp: Path, made_of: str) -> Tried | None:
    """What the report beside this file shows, where it was made of the same; `None` where it has to be made anew."""
    try:
        found = json.loads(text_in(stamp))
        if found["made_of"] != made_of:
            return None
        values: dict[str, Any] = {name: _as_kept(each) for name, each in found["tried"].items()}
        return Tried(**values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _as_kept(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _has_nights(each: AgentNights, tried: Mapping[str, Tried]) -> bool:
    """Whether there is more to say of it than the row of its one comparison does."""
    known = tried.get(each.nights[-1].record)
    return len(each.nights) > 1 or known is None or not known.kinds


def _agent_page(each: AgentNights) -> str:
    return f"agents/{folder_name(each.name)}.html"


def _agent_pages(history: History, links: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for each, sentence in zip(history.agents, history.sentences, strict=True):
        title = value_without_secrets(each.name)
        rows = [
            {**value_without_secrets(night_row(night)), "link": _from_below(links.get(night.record))}
            for night in reversed(each.nights)
        ]
        body = html(
            _AGENT,
            index=INDEX,
            title=title,
            sentence=value_without_secrets(sentence),
            picture=night_picture(each.nights),
            promises=night_promises(each),
            headings=HEADINGS,
            numbers=NUMBERS,
            rows=rows,
        )
        yield _agent_page(each), html_document(body, title=f"{title}: nights", style=_STYLE)


def _from_below(link: str | None) -> str:
    return "" if link is None else f"../{link}"


def _index(
    history: History,
    tried: Mapping[str, Tried],
    links: Mapping[str, str],
    left_out: list[tuple[str, str]],
    most_nights: int,
) -> str:
    nights = sorted({night.night for each in history.agents for night in each.nights}, reverse=True)
    shown = nights[:most_nights]
    compared = sorted(
        ((record, each) for record, each in tried.items() if each.kinds),
        key=lambda found: (kind_first(found[1].kind), found[1].title, found[0]),
    )
    title = "Comparisons, and agents by night" if compared else "Agents by night"
    agents = sorted(history.agents, key=lambda each: (not _fell(each), each.name))
    body = html(
        _INDEX,
        title=title,
        level=percent(LEVEL),
        totals=[*([("Comparisons", f"{len(compared):,}")] if compared else []), *_totals(history, nights, len(shown))],
        compared_headings=("Agent and file", "Verdict", "Worst promise", "Model", "USD", "Last reply on"),
        compared=[_compared_row(record, each, links[record]) for record, each in compared],
        headings=(
            "Trend",
            "Last night, since the one before",
            "Worst promise, since the first night",
            "Model",
            "USD of the last night",
            *shown,
        ),
        rows=[_row(each, shown, tried, links) for each in agents],
        decisions=[
            {
                "record": value_without_secrets(record),
                "link": quote(f"decisions/{folder_name(record)}.html"),
                "worse": each.is_worse,
                "said": without_secrets(each.said),
            }
            for record, each in sorted(history.decisions.items(), key=lambda one: (not one[1].is_worse, one[0]))
        ],
        left_out=value_without_secrets(left_out),
    )
    return html_document(body, title=title, style=_STYLE)


def _totals(history: History, nights: list[str], shown: int) -> Iterator[tuple[str, str]]:
    if history.agents:
        yield "Agents", history.counted
        yield "Nights", history.counted_nights + (f", the last {shown} here" if len(nights) > shown else "")
    yield "Replies", history.answers.told
    yield "Cost", history.answers.told_usd


def _fell(each: AgentNights) -> bool:
    """Whether its last night is shown to be lower than the one before, or a promise worse than in the first."""
    last = each.nights[-1]
    since = last.since_before
    is_lower = since is not None and since.is_shown and since.effect < 0
    return is_lower or (not last.is_stand_in and any(change.kind == "worse" for change in each.promises))


def _compared_row(record: str, tried: Tried, link: str) -> dict[str, Any]:
    """A comparison: the agent, where it comes from, and what a reader asks first."""
    told = [f"{kind} {effect}".rstrip() for kind, effect in zip(tried.kinds, tried.effects, strict=True)]
    verdict = "; ".join(dict.fromkeys(told))
    if tried.kind == WORSE_PROMISE:
        verdict = f"{WORSE_PROMISE}; as a whole {verdict}"
    cells = (
        f"{'stand-in: ' * tried.stand_in}{verdict}",
        tried.worst_promise or ("nothing is graded" if {*tried.kinds} == {"not graded"} else "none is kept less"),
        ", ".join(tried.models) or "no model answered",
        tried.told_usd,
        tried.day or "not recorded",
    )
    return {
        "title": value_without_secrets(tried.title),
        "where": value_without_secrets(" · ".join([*tried.files, record])),
        "link": link,
        "colour": tried.colour,
        "cells": value_without_secrets(list(cells)),
    }


def _row(each: AgentNights, shown: list[str], tried: Mapping[str, Tried], links: Mapping[str, str]) -> dict[str, Any]:
    by_night: defaultdict[str, list[Night]] = defaultdict(list)
    for night in each.nights:
        by_night[night.night].append(night)
    last = each.nights[-1]
    since = last.since_before
    promise, promise_sign = _worst_promise(each)
    files = tried[last.record].files if last.record in tried else ()
    return {
        "name": value_without_secrets(each.agent),
        "where": value_without_secrets(" · ".join([*files, each.name])),
        "models": value_without_secrets(", ".join(last.answered) or "nobody answered"),
        "usd": COSTS_NOTHING if last.is_stand_in else "no price known" if last.usd is None else f"{last.usd:.4f}",
        "link": quote(_agent_page(each)),
        "picture": night_picture([night for night in each.nights if night.night in shown], small=True),
        "since": _why_no_drift(each) if since is None else _told_since(since),
        "sign": "" if since is None or not since.is_shown else "lower" if since.effect < 0 else "higher",
        "promise": value_without_secrets(promise),
        "promise_sign": promise_sign,
        "nights": [_cell(by_night[night], links) for night in shown],
    }


def _told_since(since: Drift) -> str:
    word = "no drift shown" if not since.is_shown else "lower" if since.effect < 0 else "higher"
    return f"{word} {told_drift(since, in_short=True)}"


def _why_no_drift(each: AgentNights) -> str:
    """Why the last night is held against none."""
    last = each.nights[-1]
    if len(each.nights) == 1:
        return "its first night"
    if last.mean is None:
        return "not scored"
    return f"not compared: {'; '.join(last.changes)}" if last.changes else "not compared: too few tasks of both"


def _worst_promise(each: AgentNights) -> tuple[str, str]:
    """The promise that the last night keeps less than the first by most, with its change, and its colour; why there is
    none."""
    worst = next(iter(each.promises), None)
    if worst is None:
        return "no night before it to hold it against" if len(each.nights) > 1 else "its first night", ""
    if worst.effect is None:
        return f"not compared: {worst.obstacle}", ""
    if worst.effect >= 0:
        return "none is kept less", ""
    is_shown = worst.kind == "worse" and not each.nights[-1].is_stand_in
    return f"{worst.promise} {promise_change_in_words(worst)}", "lower" if is_shown else ""


def _cell(nights: Sequence[Night], links: Mapping[str, str]) -> dict[str, Any] | None:
    """The last of the nights of one date that have a page."""
    night = next((each for each in reversed(nights) if each.record in links), None)
    if night is None:
        return None
    said = [*(["made up"] if night.is_stand_in else []), *(["changed"] if night.changes else [])]
    if not night.asked_anew:
        said.append("not asked anew")
    if len(nights) > 1:
        said.append(f"the last of {len(nights)}")
    scored = points(night) if night.mean is not None else "not scored"
    return {"points": scored, "link": links[night.record], "said": ", ".join(said)}
