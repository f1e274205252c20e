"""A report as one HTML page that needs no network and no script, reads in the light and in the dark, and prints.

Whatever a model, a task or a persona says is shown as text. The policy of the page names the one style sheet by its
hash and pictures by data: nothing else is loaded or run, even if something came through.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from workbench.comparison.columns import score_in_words
from workbench.comparison.compared import STAND_IN_NOTE
from workbench.comparison.differences.reply_pair import diff_personas
from workbench.comparison.differences.views import html_lines
from workbench.comparison.differences.words import lines_of_difference
from workbench.comparison.provenance import Provenance, provenance_table
from workbench.comparison.static_tables import coloured_html, ranking_table, tasks_table, variants_table
from workbench.comparison.tables import Comparison, Picture
from workbench.comparison.trial_table import COLUMNS, cells
from workbench.comparison.verdict import Verdict, points
from workbench.definition.agent import Agent
from workbench.markup import html, html_table
from workbench.secrets import without_secrets
from workbench.trial.task import Task
from workbench.trial.trial import Trial

MOST_TRIALS = 300
"""Trials with their replies on the page; the others are in `trials.jsonl`."""
MOST_TASKS = 1_000
LONGEST_TEXT = 20_000
"""Characters of a reply or a question on the page."""

# The colours of differences and changes are style attributes; the only style sheet is ours.
_STYLE_ATTRIBUTES = "style-src-attr 'unsafe-inline'"
_KINDS = {"better": "good", "worse": "bad"}
_ANCHORS = (
    ("flips", "What flipped", True),
    ("persona", "Agents", True),
    ("tasks", "Tasks", False),
    ("trials", "Trials", False),
    ("provenance", "Provenance", False),
)
"""The sections, and whether they are about two variants."""

_DOCUMENT = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<main>
{{ body }}
</main>
</body>
</html>
"""
_BODY = """\
<h1>{{ title }}</h1>
{% if banner %}
<p class="banner">{{ banner }}</p>
{% endif %}
{% for sentence in sentences %}
<p class="verdict">{{ sentence }}</p>
{% endfor %}
{% for verdict in verdicts %}
{{ verdict }}
{% endfor %}
<nav>{% for anchor, name in anchors %}<a href="#{{ anchor }}">{{ name }}</a>{% endfor %}</nav>
{{ variants }}
{{ ranking }}
{% for picture in pictures %}
{{ picture }}
{% endfor %}
{% if compared %}
<h2 id="flips">What flipped</h2>
{{ flips }}
<h2 id="persona">What differs between the agents</h2>
{% for title, difference in personas %}
<h3>{{ title }}</h3>
{{ difference }}
{% endfor %}
{% endif %}
<h2 id="tasks">Tasks</h2>
{{ tasks }}
{% for picture in task_pictures %}
{{ picture }}
{% endfor %}
<h2 id="trials">Trials</h2>
{{ trials }}
<h2 id="provenance">Where the numbers come from</h2>
{{ provenance }}"""
# HTML drops a line break right behind the tag, so one is given to be dropped.
_TEXT_BLOCK = """\
<pre>
{{ text | lines }}</pre>{% if note %}<p class="soft">{{ note }}</p>{% endif %}"""
_PICTURE = """\
<figure><picture>\
<source srcset="data:image/png;base64,{{ dark }}" media="screen and (prefers-color-scheme: dark)">\
<img src="data:image/png;base64,{{ light }}" alt="{{ alt }}" width="{{ width }}"></picture></figure>"""
_TRIALS = """\
<p class="soft">{{ note }}</p>
{% for task in tasks %}
{{ task }}
{% endfor %}
"""
_TASK = """\
<details><summary><strong>{{ task.id }}</strong>\
{% if task.group %} <span class="soft">{{ task.group }}</span>{% endif %}{% if flip %} · {{ flip }}{% endif %}</summary>
<h3>Asked</h3>{{ asked }}{% if target %}<h3>Target</h3>{{ target }}{% endif %}

{% for trial in trials %}
{{ trial }}
{% endfor %}
</details>"""
_TRIAL = """\
<details><summary>{{ heading }}</summary>
{% if graded %}
<ul>{% for promise, score, why in graded %}
<li>{{ promise }}: {{ score }} <span class="soft">{{ why }}</span></li>{% endfor %}</ul>
{% endif %}
{{ failure }}{{ reply }}<p class="soft">{{ facts }}</p></details>"""


def write_page(comparison: Comparison, found: Provenance, folder: Path) -> list[Path]:
    """`report.html`."""
    path = folder / "report.html"
    path.write_text(without_secrets(page(comparison, found)), encoding="utf-8", errors="backslashreplace", newline="\n")
    return [path]


def page(comparison: Comparison, found: Provenance) -> str:
    """The whole page."""
    names = " and ".join(comparison.run.variants)
    compared = bool(comparison.verdicts)
    ranking = ranking_table(comparison)
    pictures: tuple[Picture, ...] = ("forest",) if comparison.stand_in else ("forest", "cost")
    body = html(
        _BODY,
        title=f"{names}: {comparison.size}",
        banner=STAND_IN_NOTE if comparison.stand_in else "",
        sentences=[] if compared else comparison.sentences,
        verdicts=[verdict_paragraph(verdict) for verdict in comparison.verdicts],
        anchors=[(anchor, name) for anchor, name, of_two in _ANCHORS if compared or not of_two],
        compared=compared,
        variants=_wide(html_table(variants_table(comparison))),
        ranking="" if ranking is None else _wide(coloured_html(ranking)),
        pictures=[_picture(comparison, kind) for kind in pictures],
        flips=_wide(html_table(comparison.flipped.table())) if compared else "",
        personas=_personas(comparison) if compared else [],
        tasks=_wide(coloured_html(tasks_table(comparison, most=MOST_TASKS))),
        task_pictures=[_picture(comparison, "tasks"), _picture(comparison, "repeats")],
        trials=_trials(comparison, found),
        provenance=_wide(html_table(provenance_table(found)), also="provenance"),
    )
    return html_document(f"Report: {names}", body)


def text_block(text: str) -> Markup:
    """Text of many lines as HTML that shows it; a very long one is cut, and says so."""
    note = f"The first {LONGEST_TEXT:,} of {len(text):,} characters." if len(text) > LONGEST_TEXT else ""
    return html(_TEXT_BLOCK, text=text[:LONGEST_TEXT], note=note)


def agents_difference(before: Agent, after: Agent) -> Markup:
    """The difference of two agent files, changed lines with their changed words marked, as HTML."""
    lines = lines_of_difference(diff_personas(before, after))
    if all(line.kind == "equal" for line in lines):
        return html('<p class="soft">The two files are the same.</p>')
    return html_lines(lines)


def verdict_paragraph(verdict: Verdict) -> Markup:
    """The sentence below its kind in large, coloured where a model was shown to be better or worse."""
    return html(
        '<p class="verdict {{ colour }}"><strong>{{ kind }}</strong> {{ text }}</p>',
        kind=f"{verdict.kind[0].upper()}{verdict.kind[1:]}",
        colour="" if verdict.stand_in else _KINDS.get(verdict.kind, ""),
        text=verdict.text,
    )


def html_document(title: str, body: Markup) -> str:
    """A page of this HTML with the style sheet of reports, and a policy under which nothing else is loaded or run."""
    style = resources.files("workbench.comparison.report").joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; img-src data:; style-src-elem 'sha256-{digest}'; {_STYLE_ATTRIBUTES}; "
        "base-uri 'none'; form-action 'none'"
    )
    return str(html(_DOCUMENT, title=title, policy=Markup(policy), style=Markup(style), body=body))


def _wide(table: Markup, *, also: str = "") -> Markup:
    """A table that scrolls by itself where the page is too narrow, also by the keyboard."""
    return html('<div class="wide {{ also }}" tabindex="0">{{ table }}</div>', table=table, also=also)


def _picture(comparison: Comparison, kind: Picture) -> Markup:
    from workbench.comparison.pictures.canvas import png, shown_width

    light, dark = comparison.plot(kind, theme="light"), comparison.plot(kind, theme="dark")
    of_light, of_dark = (Markup(base64.b64encode(png(figure)).decode("ascii")) for figure in (light, dark))
    return html(_PICTURE, light=of_light, dark=of_dark, alt=light.alt, width=shown_width(light))


def _personas(comparison: Comparison) -> list[tuple[str, Markup]]:
    agents = comparison.run.variants
    return [
        (f"{name} against {comparison.baseline}", agents_difference(agents[comparison.baseline], agent))
        for name, agent in agents.items()
        if name != comparison.baseline
    ]


def _trials(comparison: Comparison, found: Provenance) -> Markup:
    """Task by task, those that flipped first, until the page is full."""
    of_task: dict[str, list[int]] = {}
    for row, trial in enumerate(comparison.run.trials):
        of_task.setdefault(trial.task_id, []).append(row)
    flips = {change.task_id: change.flip for change in comparison.flipped.flipped}
    tasks = sorted(comparison.run.tasks, key=lambda task: task.id not in flips)
    shown = [row for task in tasks for row in of_task.get(task.id, [])][:MOST_TRIALS]
    figures = _figures(comparison, shown)
    total = len(comparison.run.trials)
    notes = ["Those that flipped come first."] if flips else []
    if len(shown) < total:
        notes.append(f"{len(shown)} of {total:,} trials; all are in trials.jsonl.")
    parts = []
    for task in tasks:
        rows = [row for row in of_task.get(task.id, []) if row in figures]
        trials = [_trial(comparison.run.trials[row], figures[row], found) for row in rows]
        if trials:
            parts.append(_task(task, trials, flips.get(task.id)))
    return html(_TRIALS, note=" ".join(notes), tasks=parts)


def _figures(comparison: Comparison, rows: Sequence[int]) -> dict[int, list[str]]:
    """By row, what is known of it beside what has a place of its own."""
    columns = [column for column in COLUMNS if column.is_in("report")]
    written = zip(*(cells(column, comparison, rows) for column in columns), strict=True)
    return {
        row: [f"{column.heading} {cell}" for column, cell in zip(columns, line, strict=True) if cell not in ("", "-")]
        for row, line in zip(rows, written, strict=True)
    }


def _task(task: Task, trials: Sequence[Markup], flip: str | None) -> Markup:
    return html(
        _TASK,
        task=task,
        flip=flip,
        asked=text_block(task.message),
        target=text_block(task.target) if task.target else "",
        trials=trials,
    )


def _trial(trial: Trial, figures: Sequence[str], found: Provenance) -> Markup:
    failure, outcome = trial.failure, trial.outcome.replace("_", " ")
    return html(
        _TRIAL,
        heading=f"{trial.variant} · repeat {trial.repeat} · {outcome} · {score_in_words(trial)}",
        graded=[
            (promise, "declined" if given.value is None else points(given.value, sign=False), given.explanation)
            for promise, given in trial.scores.items()
        ],
        failure="" if failure is None else text_block(f"{failure.type}: {failure.message}"),
        reply="" if trial.reply is None else text_block(trial.reply.text),
        facts=" · ".join(_facts(trial, figures, found)),
    )


def _facts(trial: Trial, figures: Sequence[str], found: Provenance) -> Iterable[str]:
    reply = trial.reply
    if reply is not None:
        yield f"answered by {reply.model or 'a model that does not say'}"
        if reply.at is not None:
            yield f"at {reply.at}"
        if not trial.endpoint.is_stand_in:
            yield f"prices: {found.prices.get(reply.model, 'not known')}"
    yield from figures
    yield f"agent sha256 {found.agents[trial.variant]}"
    yield f"key {trial.key}"
