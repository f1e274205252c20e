"""A report as one HTML page that needs no network, reads in the light and in the dark, and prints.

Whatever a task or a persona says is shown as text, and what a model says as text or as Markdown without raw HTML, links
and pictures. The policy of the page names the one style sheet and the one script by their hashes, and pictures by data:
nothing else is loaded or run, even if something came through. Without the script all is there, in the order it came.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from workbench.comparison.change_tables import (
    judged_tables,
    measures_table,
    promise_means_table,
    promises_with_notes,
    rules_table,
)
from workbench.comparison.columns import score_in_words
from workbench.comparison.differences.views import html_lines
from workbench.comparison.differences.words import diff_words, lines_of_difference
from workbench.comparison.figures import worst_first
from workbench.comparison.provenance import Provenance, provenance_table
from workbench.comparison.report.document import html_document
from workbench.comparison.report.overview import agents_named, costs_table, moved_promises, overview
from workbench.comparison.report.rendered import rendered_markdown
from workbench.comparison.report.tasks import by_size_of_change, scatters, tally, task_anchor, tasks_with_links
from workbench.comparison.static_tables import (
    coloured_html,
    opened_reply,
    ranking_table,
    tasks_table,
    trials_table,
    variants_table,
)
from workbench.comparison.tables import Comparison, Picture
from workbench.comparison.trial_table import COLUMNS, cells
from workbench.comparison.verdict import Verdict, points
from workbench.definition.agent import Agent
from workbench.markup import HALF_CHARACTERS, Table, counted, html, html_table
from workbench.secrets import without_secrets
from workbench.trial.task import Task
from workbench.trial.trial import Trial

MOST_CHARACTERS = 4_000_000
"""Of replies on the page; the others are in `trials.jsonl`."""
_LEAST_CHARACTERS = 1_000
"""What a trial takes whatever its reply."""
MOST_ROWS = 20_000
"""Of the table of all trials."""
MOST_TASKS = 20_000
LONGEST_TEXT = 20_000
"""Characters of a reply or a question on the page."""

MOST_VERDICTS = 3
"""On the first screen; the worst are shown."""
_KINDS = {"better": "good", "worse": "bad"}
_ANCHORS = (
    ("promises", "Promises", False),
    ("judges", "Judges", True),
    ("measures", "Measures", True),
    ("flips", "What flipped", True),
    ("persona", "Agents", True),
    ("tasks", "Tasks", False),
    ("trials", "Trials", False),
    ("provenance", "Provenance", False),
)
"""The sections, and whether they are about two variants."""

_HEAD = """\
{{ head }}
<nav>{% for anchor, name in anchors %}<a href="#{{ anchor }}">{{ name }}</a>{% endfor %}</nav>
{{ tally }}
{{ costs }}
{{ ranking }}
<h2 id="tasks">Tasks{% if compared %}, those that changed most first{% endif %}</h2>
{{ scatters }}
{{ tasks }}
{% if personas %}
<h2 id="persona">What differs between the agents</h2>
{% for title, difference in personas %}
<details><summary>{{ title }}</summary>
{{ difference }}
</details>
{% endfor %}
{% endif %}
"""
_TAIL = """\
<h2 id="trials">Replies, task by task</h2>
{{ trials }}
<h2 id="provenance">Where the numbers come from</h2>
{{ provenance }}
"""
_BODY = """\
{{ head }}
<nav>{% for anchor, name in anchors %}<a href="#{{ anchor }}">{{ name }}</a>{% endfor %}</nav>
{{ tally }}
{{ variants }}
{{ ranking }}
{% if compared %}
{{ costs }}
{% endif %}
{% for picture in pictures %}
{{ picture }}
{% endfor %}
<h2 id="promises">Promise by promise</h2>
{{ promises }}
{% if compared %}
{% if judged %}
<h2 id="judges">What judges found</h2>
{% for table in judged %}
{{ table }}
{% endfor %}
{% endif %}
<h2 id="measures">What can be measured without a grader</h2>
{{ measures }}
<h2 id="flips">What flipped</h2>
{{ flips }}
<h2 id="persona">What differs between the agents</h2>
{% for title, difference in personas %}
<h3>{{ title }}</h3>
{{ difference }}
{% endfor %}
{% endif %}
<h2 id="tasks">Tasks</h2>
{{ scatters }}
{{ tasks }}
{% for picture in task_pictures %}
{{ picture }}
{% endfor %}
<h2 id="trials">Trials</h2>
{{ trials }}
<h2 id="provenance">Where the numbers come from</h2>
{{ provenance }}"""
_VERDICTS = """\
{% for verdict in verdicts %}
<p class="verdict {{ verdict.colour }}"><strong>{{ verdict.kind }}</strong> {{ verdict.headline }}\
{% if anchor %} <a href="#{{ anchor }}">How it is decided</a>{% endif %}</p>
{% endfor %}
<details><summary>{{ summary }}</summary>
{% for text in texts %}
<p>{{ text }}</p>
{% endfor %}
<div{% if anchor %} id="{{ anchor }}"{% endif %}>{{ rules }}</div></details>"""
# HTML drops a line break right behind the tag, so one is given to be dropped.
_TEXT_BLOCK = """\
<pre>
{{ text | lines }}</pre>{% if note %}<p class="soft">{{ note }}</p>{% endif %}"""
_PICTURE = """\
<figure tabindex="0"><picture>\
<source srcset="data:image/png;base64,{{ dark }}" media="screen and (prefers-color-scheme: dark)">\
<img src="data:image/png;base64,{{ light }}" alt="{{ alt }}" width="{{ width }}"></picture>\
<figcaption class="soft narrow">{{ alt }}</figcaption></figure>"""
_TRIALS = """\
<p class="soft">{{ note }}</p>
<details><summary>All trials as a table</summary>
{{ table }}
</details>
<p><label><input type="checkbox" id="as-written"> Replies as they were written, their Markdown not rendered</label></p>
<div class="searched" data-what="tasks and replies">
{% for task in tasks %}
{{ task }}
{% endfor %}
</div>
"""
_TASK = """\
<details><summary><strong>{{ task.id }}</strong>\
{% if task.group %} <span class="soft">{{ task.group }}</span>{% endif %}{% if flip %} · {{ flip }}{% endif %}</summary>
<h3 id="{{ anchor }}">Asked</h3>{{ asked }}{% if target %}<h3>Target</h3>{{ target }}{% endif %}

{% for trial in trials %}
{{ trial }}
{% endfor %}
</details>"""
_REPLY = """\
<div class="as-markdown">{{ rendered }}</div><div class="as-text">{{ written }}</div>"""
_TRIAL = """\
<details><summary>{{ heading }}</summary><span id="{{ anchor }}"></span>
{% if graded %}
<ul>{% for promise, score, why in graded %}
<li>{{ promise }}: {{ score }} <span class="soft">{{ why }}</span></li>{% endfor %}</ul>
{% endif %}
{{ failure }}{{ reply }}<p class="soft">{{ facts }}</p></details>"""


def write_page(comparison: Comparison, found: Provenance, folder: Path) -> list[Path]:
    """`report.html`."""
    path = folder / "report.html"
    path.write_text(without_secrets(page(comparison, found)), encoding="utf-8", errors=HALF_CHARACTERS, newline="\n")
    return [path]


def page(comparison: Comparison, found: Provenance, *, most_characters: int = MOST_CHARACTERS) -> str:
    """The whole page, with so much of replies."""
    compared = bool(comparison.verdicts)
    shown = _shown_trials(comparison, most_characters)
    by_change = by_size_of_change(comparison)[:MOST_TASKS]
    tasks = tasks_table(comparison, most=MOST_TASKS, chosen=by_change)
    ranking = ranking_table(comparison)
    judged = [_wide(html_table(table, labels=True)) for table in judged_tables(comparison)]
    pictures: tuple[Picture, ...] = ("forest",) if comparison.stand_in else ("forest", "cost")
    body = html(
        _BODY,
        head=page_head(comparison, found),
        tally=tally(comparison),
        costs=_wide(html_table(costs_table(comparison), labels=True)),
        scatters=scatters(comparison, linked=shown),
        anchors=[
            (anchor, name)
            for anchor, name, of_two in _ANCHORS
            if (compared or not of_two) and (judged or anchor != "judges")
        ],
        compared=compared,
        variants=_wide(html_table(variants_table(comparison), labels=True)),
        ranking="" if ranking is None else _wide(coloured_html(ranking, labels=True)),
        pictures=[_picture(comparison, kind) for kind in pictures],
        promises=_shown(
            promises_with_notes(comparison) if compared else promise_means_table(comparison.promise_means),
            none="No task names a grader.",
        ),
        judged=judged,
        measures=_shown(measures_table(comparison.measures), none="Nothing was answered."),
        flips=_wide(html_table(comparison.flipped.table(), labels=True)) if compared else "",
        personas=_personas(comparison) if compared else [],
        tasks=_sortable(coloured_html(tasks_with_links(tasks, by_change, linked=shown), labels=True), "tasks"),
        task_pictures=[_picture(comparison, "tasks"), _picture(comparison, "repeats")],
        trials=_trials(comparison, found, shown),
        provenance=_wide(html_table(provenance_table(found), labels=True), also="provenance"),
    )
    return html_document(body, title=f"Report: {agents_named(comparison.run.variants)}", sorts=True)


def page_head(comparison: Comparison, found: Provenance) -> Markup:
    """The first screen of a page about a comparison; see `overview`."""
    sentences = [html('<p class="verdict">{{ text }}</p>', text=text) for text in comparison.sentences]
    verdicts = (
        verdict_paragraphs(comparison.verdicts, anchor="decided") if comparison.verdicts else Markup().join(sentences)
    )
    return overview(comparison, found, verdicts=verdicts, promises=moved_promises(comparison))


def parts_around(comparison: Comparison, found: Provenance) -> tuple[Markup, Markup]:
    """What stands before and behind an executed notebook on its page: the first screen with the tasks, and the replies.

    Pictures are left to the notebook. Links lead to the notebook and its code too, as `notebook` and `code`.
    """
    compared = bool(comparison.verdicts)
    shown = _shown_trials(comparison, MOST_CHARACTERS)
    by_change = by_size_of_change(comparison)[:MOST_TASKS]
    tasks = tasks_with_links(tasks_table(comparison, most=MOST_TASKS, chosen=by_change), by_change, linked=shown)
    ranking = ranking_table(comparison)
    anchors = [
        ("tasks", "Tasks"),
        *([("persona", "Agents")] if compared else []),
        ("notebook", "Notebook"),
        ("trials", "Replies"),
        ("provenance", "Provenance"),
        ("code", "Code"),
    ]
    head = html(
        _HEAD,
        compared=compared,
        head=page_head(comparison, found),
        anchors=anchors,
        tally=tally(comparison),
        costs=_wide(html_table(costs_table(comparison), labels=True)),
        ranking="" if ranking is None else _wide(coloured_html(ranking, labels=True)),
        scatters=scatters(comparison, linked=shown),
        tasks=_sortable(coloured_html(tasks, labels=True), "tasks"),
        personas=_personas(comparison) if compared else [],
    )
    tail = html(
        _TAIL,
        trials=_trials(comparison, found, shown),
        provenance=_wide(html_table(provenance_table(found), labels=True), also="provenance"),
    )
    return head, tail


def reply_anchors(comparison: Comparison) -> dict[str, str]:
    """By what a table of a notebook opens of a reply (`opened_reply`), the fragment of its page (`parts_around`) that
    has the whole."""
    shown, trials = _shown_trials(comparison, MOST_CHARACTERS), comparison.run.trials
    return {opened_reply(trials[row]): _trial_anchor(row) for rows in shown.values() for row in rows}


def text_block(text: str) -> Markup:
    """Text of many lines as HTML that shows it; a very long one is cut, and says so."""
    note = f"The first {LONGEST_TEXT:,} of {len(text):,} characters." if len(text) > LONGEST_TEXT else ""
    return html(_TEXT_BLOCK, text=_shortened(text), note=note)


def _shortened(text: str) -> str:
    """As much of it as a page has; a key is taken out before it is cut, for then nobody knows that it is one."""
    return text if len(text) <= LONGEST_TEXT else without_secrets(text)[:LONGEST_TEXT]


def agents_difference(before: Agent, after: Agent) -> Markup:
    """The difference of two agent files, changed lines with their changed words marked, as HTML."""
    # Before its words are marked: a key in pieces has the form of none.
    lines = lines_of_difference(diff_words(without_secrets(before.text), without_secrets(after.text)))
    if all(line.kind == "equal" for line in lines):
        if before.text != after.text:
            return html('<p class="soft">The two files are the same but for a secret.</p>')
        return html('<p class="soft">The two files are the same.</p>')
    return html_lines(lines)


def verdict_paragraphs(verdicts: Sequence[Verdict], *, anchor: str = "") -> Markup:
    """What a reader meets first of each verdict below its kind in large, coloured where a model was shown to be better
    or worse; the worst first, and of more than `MOST_VERDICTS` those beyond in the fold.

    The sentences in full and the rules are behind them, to be opened. With an `anchor`, which no other element of the
    page has, a link leads to the rules; an output of a notebook has none, for it is no page of its own."""
    in_order = sorted(verdicts, key=lambda verdict: worst_first(verdict.shown_kind))
    shown = in_order[:MOST_VERDICTS]
    summary = "In full, and how it is decided"
    if len(shown) < len(in_order):
        summary = f"All {len(in_order)} verdicts in full, and how they are decided"
    return html(
        _VERDICTS,
        verdicts=[
            {
                "kind": verdict.heading,
                "colour": "" if verdict.stand_in else _KINDS.get(verdict.kind, ""),
                "headline": verdict.headline,
            }
            for verdict in shown
        ],
        summary=summary,
        anchor=anchor,  # within the fold: a fragment opens what is folded where it stands within
        texts=[verdict.text for verdict in in_order],
        rules=_wide(html_table(rules_table(), labels=True)),
    )


def _shown(table: Table | None, *, none: str) -> Markup:
    return (
        html('<p class="soft">{{ instead }}</p>', instead=none)
        if table is None
        else _wide(html_table(table, labels=True))
    )


def _sortable(table: Markup, what: str) -> Markup:
    """A wide table that sorts, filters and turns pages where scripts run, and is whole where they do not."""
    return html('<div class="sortable" data-what="{{ what }}">{{ table }}</div>', table=_wide(table), what=what)


def _wide(table: Markup, *, also: str = "") -> Markup:
    """A table that scrolls by itself where the page is too narrow, also by the keyboard, and on a phone is cards."""
    return html('<div class="wide {{ also }}" tabindex="0">{{ table }}</div>', table=table, also=also)


def _picture(comparison: Comparison, kind: Picture) -> Markup:
    from workbench.comparison.pictures.canvas import png, shown_width

    light, dark = comparison.plot(kind, theme="light"), comparison.plot(kind, theme="dark")
    of_light, of_dark = (Markup(base64.b64encode(png(figure)).decode("ascii")) for figure in (light, dark))
    return html(_PICTURE, light=of_light, dark=of_dark, alt=light.alt, width=shown_width(light))


def _personas(comparison: Comparison) -> list[tuple[str, Markup]]:
    agents = comparison.run.variants
    return [
        (f"{name} against {base}", agents_difference(agents[base], agents[name]))
        for name, base in comparison.baseline_of.items()
    ]


def _shown_trials(comparison: Comparison, left: int) -> dict[int, list[int]]:
    """By row of a task the rows of its trials, those that flipped first, until so many characters of
    replies stand on the page."""
    numbers = {task.id: row for row, task in enumerate(comparison.run.tasks)}
    of_task: dict[int, list[int]] = {}
    for row, trial in enumerate(comparison.run.trials):
        of_task.setdefault(numbers[trial.task_id], []).append(row)
    flipped = {change.task_id for change in comparison.flipped.flipped}
    shown: dict[int, list[int]] = {}
    for number in sorted(numbers.values(), key=lambda number: comparison.run.tasks[number].id not in flipped):
        for row in of_task.get(number, []):
            reply = comparison.run.trials[row].reply
            left -= _LEAST_CHARACTERS if reply is None else max(_LEAST_CHARACTERS, len(reply.text[:LONGEST_TEXT]))
            if left >= 0:
                shown.setdefault(number, []).append(row)
    return shown


def _trials(comparison: Comparison, found: Provenance, shown: Mapping[int, Sequence[int]]) -> Markup:
    flips = {change.task_id: change.flip for change in comparison.flipped.flipped}
    trials, tasks = comparison.run.trials, comparison.run.tasks
    rows = [row for of_task in shown.values() for row in of_task]
    figures = _figures(comparison, rows)
    notes = ["Those that flipped come first."] if flips else []
    if len(rows) < len(trials):
        notes.append(f"{len(rows)} of {counted(len(trials), 'trial')}; all are in trials.jsonl.")
    parts = [
        _task(
            tasks[number],
            task_anchor(number),
            [_trial(trials[row], _trial_anchor(row), figures[row], found) for row in of_task],
            flips.get(tasks[number].id),
        )
        for number, of_task in shown.items()
    ]
    return html(_TRIALS, note=" ".join(notes), tasks=parts, table=_table_of_all(comparison, set(rows)))


def _table_of_all(comparison: Comparison, shown: Collection[int]) -> Markup:
    """A row a trial; the task of each that is shown on the page opens it."""
    table = trials_table(comparison, most=MOST_ROWS)
    rows = tuple(
        (
            html('<a href="#{{ anchor }}">{{ name }}</a>', anchor=_trial_anchor(row), name=first)
            if row in shown
            else first,
            *others,
        )
        for row, (first, *others) in enumerate(table.rows)
    )
    note = (
        f"{len(rows):,} of {counted(len(comparison.run.trials), 'trial')}; all are in trials.jsonl."
        if table.note
        else ""
    )
    return _sortable(html_table(replace(table, title="All trials", rows=rows, note=note), labels=True), "trials")


def _trial_anchor(row: int) -> str:
    """The fragment that opens the trial in this row of the run."""
    return f"trial-{row}"


def _figures(comparison: Comparison, rows: Sequence[int]) -> dict[int, list[str]]:
    """By row, what is known of it beside what has a place of its own."""
    columns = [column for column in COLUMNS if column.is_in("report")]
    written = zip(*(cells(column, comparison, rows) for column in columns), strict=True)
    return {
        row: [f"{column.heading} {cell}" for column, cell in zip(columns, line, strict=True) if cell not in ("", "-")]
        for row, line in zip(rows, written, strict=True)
    }


def _task(task: Task, anchor: str, trials: Sequence[Markup], flip: str | None) -> Markup:
    # A fragment opens what is folded where it stands within, not where it is the fold itself.
    return html(
        _TASK,
        task=task,
        anchor=anchor,
        flip=flip,
        asked=text_block(task.message),
        target=text_block(task.target) if task.target else "",
        trials=trials,
    )


def _trial(trial: Trial, anchor: str, figures: Sequence[str], found: Provenance) -> Markup:
    failure, outcome = trial.failure, trial.outcome.replace("_", " ")
    return html(
        _TRIAL,
        anchor=anchor,
        heading=f"{trial.variant} · repeat {trial.repeat} · {outcome} · {score_in_words(trial)}",
        graded=[
            (promise, "declined" if given.value is None else points(given.value, sign=False), given.explanation)
            for promise, given in trial.scores.items()
        ],
        failure="" if failure is None else text_block(f"{failure.type}: {failure.message}"),
        reply="" if trial.reply is None else _reply(trial.reply.text),
        facts=" · ".join(_facts(trial, figures, found)),
    )


def _reply(text: str) -> Markup:
    """The reply as the Markdown that it is, and as it was written: a switch on the page shows one of them."""
    return html(_REPLY, rendered=rendered_markdown(_shortened(text)), written=text_block(text))


def _facts(trial: Trial, figures: Sequence[str], found: Provenance) -> Iterable[str]:
    reply = trial.reply
    if reply is not None:
        yield f"answered by {reply.model or 'a model that does not say'}"
        if reply.at is not None:
            yield f"on {reply.at}"
        yield f"at {trial.endpoint.in_words}"
        if not trial.endpoint.is_stand_in:
            yield f"prices: {found.prices.get(reply.model, 'not known')}"
    yield from figures
    yield f"agent sha256 {found.agents[trial.variant]}"
    yield f"key {trial.key}"
