"""The page of a batch: every notebook with what became of it and its verdict."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from workbench.headless.left_behind import JobOutcome
from workbench.headless.notebook_files import write_whole
from workbench.markup import html, visible
from workbench.secrets import without_secrets

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem;
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .45rem .6rem; border-bottom: 1px solid color-mix(in srgb, currentColor 22%, transparent);
         text-align: left; vertical-align: top; }
td { min-width: 11rem; overflow-wrap: anywhere; }
td.end { min-width: 0; overflow-wrap: normal; }
td.given { white-space: pre-wrap; font: 13px/1.9 ui-monospace, Consolas, monospace; }
@media (max-width: 48rem) {
  table, tbody, tr, td { display: block; }
  thead { position: absolute; clip-path: inset(50%); }
  tr { padding: .6rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 22%, transparent); }
  td, td.end { padding: .1rem 0; border: 0; min-width: 0; }
}
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p>{{ summary }}</p>
<table>
<thead><tr><th scope="col">Notebook</th><th scope="col">Parameters</th><th scope="col">End</th>
<th scope="col">Verdict, or why not</th></tr></thead>
<tbody>
{% for row in rows %}
<tr><td>{% if row.address %}<a href="{{ row.address }}">{{ row.name }}</a>{% else %}{{ row.name }}{% endif %}</td>\
<td class="given">{{ row.given | lines }}</td><td class="end">{{ row.end }}</td>\
<td>{% for line in row.said %}{{ line }}{% if not loop.last %}<br>{% endif %}{% endfor %}</td></tr>
{% endfor %}
</tbody>
</table>
</body>
</html>
"""


def write_index(folder: Path, outcomes: Sequence[JobOutcome]) -> Path:
    """Writes `index.html` and `index.md` into the folder of a batch, and gives the path of the first."""
    page = folder / "index.html"
    write_whole(page, _html(folder, outcomes))
    write_whole(folder / "index.md", _markdown(folder, outcomes))
    return page


def summary(outcomes: Sequence[JobOutcome]) -> str:
    """How many notebooks came to which end."""
    counts = Counter(outcome.end for outcome in outcomes)
    return f"{len(outcomes)} notebooks: " + ", ".join(f"{count} {end}" for end, count in sorted(counts.items()))


def _html(folder: Path, outcomes: Sequence[JobOutcome]) -> str:
    rows = [
        {
            "name": outcome.job.name,
            "address": None if outcome.page is None else _address(outcome.page, folder),
            "given": "\n".join(_given(outcome)),
            "end": outcome.end,
            "said": _said(outcome).splitlines(),
        }
        for outcome in outcomes
    ]
    return str(html(_PAGE, title="Batch", summary=summary(outcomes), rows=rows))


def _markdown(folder: Path, outcomes: Sequence[JobOutcome]) -> str:
    """Blocks of code, in which whatever a notebook said stays text."""
    lines = ["# Batch", "", summary(outcomes)]
    for outcome in outcomes:
        name = f"`{outcome.job.name}`"
        linked = name if outcome.page is None else f"[{name}](<{_address(outcome.page, folder)}>)"
        lines += ["", f"- {linked}: {outcome.end}"]
        if said := [*_given(outcome), *map(visible, _said(outcome).splitlines())]:
            lines += ["", *(f"      {line}" for line in said)]
    return "\n".join(lines) + "\n"


def _given(outcome: JobOutcome) -> list[str]:
    """The parameters that its plan gives it, a line each."""
    return [visible(without_secrets(f"{name} = {value}")) for name, value in outcome.job.parameters.items()]


def _said(outcome: JobOutcome) -> str:
    return outcome.verdict or outcome.error or ""


def _address(page: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(page, folder)).as_posix())
