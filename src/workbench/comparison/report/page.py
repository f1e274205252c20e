"""A report as one HTML page that needs no network and no script, reads in the light and in the dark, and prints.

Whatever a model, a task or a persona says is shown as text. The policy of the page names the one style sheet by its
hash and pictures by data: nothing else is loaded or run, even if something came through.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

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
from workbench.markup import html_table, html_text, visible_lines
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


def write_page(comparison: Comparison, found: Provenance, folder: Path) -> list[Path]:
    """`report.html`."""
    path = folder / "report.html"
    path.write_text(without_secrets(page(comparison, found)), encoding="utf-8", errors="backslashreplace", newline="\n")
    return [path]


def page(comparison: Comparison, found: Provenance) -> str:
    """The whole page."""
    names = " and ".join(comparison.run.variants)
    sections = [
        f"<h1>{html_text(names)}: {html_text(comparison.size)}</h1>",
        *_verdicts(comparison),
        _links(comparison),
        _wide(html_table(variants_table(comparison))),
    ]
    ranking = ranking_table(comparison)
    if ranking is not None:
        sections.append(_wide(coloured_html(ranking)))
    paid = not comparison.stand_in
    sections += [_picture(comparison, kind) for kind in (("forest", "cost") if paid else ("forest",))]
    if comparison.verdicts:
        sections += ['<h2 id="flips">What flipped</h2>', _wide(html_table(comparison.flipped.table()))]
    if comparison.verdicts:
        sections += ['<h2 id="persona">What differs between the agents</h2>', *_personas(comparison)]
    sections += [
        '<h2 id="tasks">Tasks</h2>',
        _wide(coloured_html(tasks_table(comparison, most=MOST_TASKS))),
        _picture(comparison, "tasks"),
        _picture(comparison, "repeats"),
    ]
    sections += ['<h2 id="trials">Trials</h2>', *_trials(comparison, found)]
    sections += [
        '<h2 id="provenance">Where the numbers come from</h2>',
        _wide(html_table(provenance_table(found)), also="provenance"),
    ]
    return html_document(f"Report: {names}", "\n".join(sections))


def text_block(text: str) -> str:
    """Text of many lines as HTML that shows it; a very long one is cut, and says so."""
    cut = len(text) > LONGEST_TEXT
    shown = html.escape(visible_lines(text[:LONGEST_TEXT]))
    note = f'<p class="soft">The first {LONGEST_TEXT:,} of {len(text):,} characters.</p>' if cut else ""
    # HTML drops a line break right behind the tag, so one is given to be dropped.
    return f"<pre>\n{shown}</pre>{note}"


def agents_difference(before: Agent, after: Agent) -> str:
    """The difference of two agent files, changed lines with their changed words marked, as HTML."""
    lines = lines_of_difference(diff_personas(before, after))
    if all(line.kind == "equal" for line in lines):
        return '<p class="soft">The two files are the same.</p>'
    return html_lines(lines)


def verdict_paragraph(verdict: Verdict) -> str:
    """The sentence below its kind in large, coloured where a model was shown to be better or worse."""
    kind = f"{verdict.kind[0].upper()}{verdict.kind[1:]}"
    colour = "" if verdict.stand_in else _KINDS.get(verdict.kind, "")
    return f'<p class="verdict {colour}"><strong>{html_text(kind)}</strong> {html_text(verdict.text)}</p>'


def html_document(title: str, body: str) -> str:
    """A page of this HTML with the style sheet of reports, and a policy under which nothing else is loaded or run."""
    style = resources.files("workbench.comparison.report").joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; img-src data:; style-src-elem 'sha256-{digest}'; {_STYLE_ATTRIBUTES}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{html_text(title)}</title>\n<style>{style}</style>\n"
        f"</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _verdicts(comparison: Comparison) -> Iterable[str]:
    if comparison.stand_in:
        yield f'<p class="banner">{html_text(STAND_IN_NOTE)}</p>'
    if not comparison.verdicts:
        yield from (f'<p class="verdict">{html_text(sentence)}</p>' for sentence in comparison.sentences)
    yield from map(verdict_paragraph, comparison.verdicts)


def _links(comparison: Comparison) -> str:
    of_two = [("flips", "What flipped"), ("persona", "Agents")] if comparison.verdicts else []
    anchors = [*of_two, ("tasks", "Tasks"), ("trials", "Trials"), ("provenance", "Provenance")]
    links = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name in anchors)
    return f"<nav>{links}</nav>"


def _wide(table: str, *, also: str = "") -> str:
    """A table that scrolls by itself where the page is too narrow, also by the keyboard."""
    return f'<div class="wide {also}" tabindex="0">{table}</div>'


def _picture(comparison: Comparison, kind: Picture) -> str:
    from workbench.comparison.pictures.canvas import png, shown_width

    light, dark = comparison.plot(kind, theme="light"), comparison.plot(kind, theme="dark")
    sources = [f"data:image/png;base64,{base64.b64encode(png(figure)).decode('ascii')}" for figure in (light, dark)]
    return (
        f'<figure><picture><source srcset="{sources[1]}" media="screen and (prefers-color-scheme: dark)">'
        f'<img src="{sources[0]}" alt="{html_text(light.alt)}" width="{shown_width(light)}"></picture></figure>'
    )


def _personas(comparison: Comparison) -> Iterable[str]:
    agents = comparison.run.variants
    for name, agent in agents.items():
        if name != comparison.baseline:
            yield f"<h3>{html_text(name)} against {html_text(comparison.baseline)}</h3>"
            yield agents_difference(agents[comparison.baseline], agent)


def _trials(comparison: Comparison, found: Provenance) -> Iterable[str]:
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
    yield f'<p class="soft">{" ".join(notes)}</p>'
    for task in tasks:
        trials = [
            _trial(comparison.run.trials[row], figures[row], found)
            for row in of_task.get(task.id, [])
            if row in figures
        ]
        if trials:
            yield _task(task, trials, flips.get(task.id))


def _figures(comparison: Comparison, rows: Sequence[int]) -> dict[int, list[str]]:
    """By row, what is known of it beside what has a place of its own."""
    columns = [column for column in COLUMNS if column.is_in("report")]
    written = zip(*(cells(column, comparison, rows) for column in columns), strict=True)
    return {
        row: [f"{column.heading} {cell}" for column, cell in zip(columns, line, strict=True) if cell not in ("", "-")]
        for row, line in zip(rows, written, strict=True)
    }


def _task(task: Task, trials: Sequence[str], flip: str | None) -> str:
    flipped = f" · {flip}" if flip else ""
    group = f' <span class="soft">{html_text(task.group)}</span>' if task.group else ""
    target = f"<h3>Target</h3>{text_block(task.target)}" if task.target else ""
    inner = "\n".join(trials)
    return (
        f"<details><summary><strong>{html_text(task.id)}</strong>{group}{flipped}</summary>\n"
        f"<h3>Asked</h3>{text_block(task.message)}{target}\n{inner}\n</details>"
    )


def _trial(trial: Trial, figures: Sequence[str], found: Provenance) -> str:
    heading = f"{trial.variant} · repeat {trial.repeat} · {trial.outcome.replace('_', ' ')} · {score_in_words(trial)}"
    graded = "".join(
        f"<li>{html_text(label)}: {'declined' if given.value is None else points(given.value, sign=False)}"
        f" <span class='soft'>{html_text(given.explanation)}</span></li>"
        for label, given in trial.scores.items()
    )
    failure = "" if trial.failure is None else text_block(f"{trial.failure.type}: {trial.failure.message}")
    reply = "" if trial.reply is None else text_block(trial.reply.text)
    facts = f'<p class="soft">{" · ".join(html_text(fact) for fact in _facts(trial, figures, found))}</p>'
    scores = f"<ul>{graded}</ul>" if graded else ""
    return f"<details><summary>{html_text(heading)}</summary>\n{scores}{failure}{reply}{facts}</details>"


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
