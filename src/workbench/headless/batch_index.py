"""The page of a batch: every notebook with what became of it and its verdict."""

from __future__ import annotations

import html
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from workbench.comparison.markup import visible
from workbench.headless.published import write_whole

if TYPE_CHECKING:
    from workbench.headless.batch import JobOutcome

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0 auto; max-width: 76rem; padding: 1.5rem;
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ padding: .45rem .6rem; border-bottom: 1px solid color-mix(in srgb, currentColor 22%, transparent);
         text-align: left; vertical-align: top; overflow-wrap: anywhere; }}
td:first-child {{ min-width: 12rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{summary}</p>
<table>
<thead><tr><th scope="col">Notebook</th><th scope="col">End</th><th scope="col">Verdict, or why not</th></tr></thead>
<tbody>
{rows}
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
    rows = []
    for outcome in outcomes:
        name = html.escape(visible(outcome.job.name))
        if outcome.page is not None:
            name = f'<a href="{html.escape(_address(outcome.page, folder))}">{name}</a>'
        said = "<br>".join(html.escape(visible(line)) for line in _said(outcome).splitlines())
        rows.append(f"<tr><td>{name}</td><td>{outcome.end}</td><td>{said}</td></tr>")
    return _PAGE.format(title="Batch", summary=html.escape(summary(outcomes)), rows="\n".join(rows))


def _markdown(folder: Path, outcomes: Sequence[JobOutcome]) -> str:
    """Blocks of code, in which whatever a notebook said stays text."""
    lines = ["# Batch", "", summary(outcomes)]
    for outcome in outcomes:
        name = f"`{outcome.job.name}`"
        linked = name if outcome.page is None else f"[{name}](<{_address(outcome.page, folder)}>)"
        lines += ["", f"- {linked}: {outcome.end}"]
        if said := _said(outcome):
            lines += ["", *(f"      {visible(line)}" for line in said.splitlines())]
    return "\n".join(lines) + "\n"


def _said(outcome: JobOutcome) -> str:
    return outcome.verdict or outcome.error or ""


def _address(page: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(page, folder)).as_posix())
