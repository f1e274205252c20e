"""An executed notebook as one HTML file that needs no network, no script and no kernel."""

from __future__ import annotations

import logging
import threading
from functools import cache

import nbformat
from bs4 import BeautifulSoup
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from workbench.headless.published import ABOUT, COMPLETED, STOPPED
from workbench.markup import html, visible_lines

# Outputs may hold anything; the policy sees to it that none of it runs or loads.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_OUTCOMES = {
    "running": "was running when this was made",
    "failed": "failed",
    STOPPED: "ended itself",
    "timed out": "was stopped",
    "kernel died": "lost its kernel",
    "interrupted": "was interrupted",
    "terminated": "was told to end",
}

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; color: #1a1a1a; background: #fff;
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
p, li { max-width: 46rem; }
h1, h2, h3 { line-height: 1.25; margin: 1.6em 0 .5em; }
a { color: #0055a4; }
a.anchor-link { display: none; }
pre, code { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.cell { margin: .9rem 0; }
.input_area { padding: .6rem .8rem; background: #f6f7f9; border-left: 3px solid #c4cad3; }
.output_area { margin: .6rem 0; overflow-x: auto; }
.output_stderr { color: #5c5c5c; }
.output_error { padding: .6rem .8rem; background: #fdf0ef; border-left: 3px solid #b3261e; }
table { border: 0; border-collapse: collapse; font-size: 13px; margin: .5rem 0; }
th, td { padding: .3rem .4rem; border: 0; border-bottom: 1px solid #dde1e6; text-align: left; vertical-align: top; }
img { max-width: 100%; height: auto; }
@media print { body { max-width: none; padding: 0; } }
"""


_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<main class="mathjax_ignore tex2jax_ignore">
{% if note %}
<p class="output_error" role="status">{{ note }}</p>
{% endif %}
{{ body }}
</main>
</body>
</html>
"""


def html_page(document: NotebookNode, *, title: str) -> str:
    """One self-contained page: markdown, code, and its outputs in static form; first, where it did not complete.

    What was printed stays text: no dollar sign of a reply begins a formula, also where a site that shows the page
    typesets, and characters that turn the direction of a line or cannot be seen are named.
    """
    with _one_at_a_time:
        body, _ = _exporter().from_notebook_node(document)
    return str(
        html(
            _PAGE,
            title=title,
            policy=Markup(_POLICY),
            style=Markup(f"{_STYLE}{HtmlFormatter(style='default').get_style_defs('.highlight')}"),
            note=_note(document),
            body=Markup(_as_text_alone(body)),
        )
    )


def get_ready_for_pages() -> None:
    """Compiles the templates, which takes longer than a page."""
    html_page(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1"), nbformat.v4.new_markdown_cell("1")]), title=""
    )


_one_at_a_time = threading.Lock()
"""An exporter keeps what belongs to the page that it makes."""


@cache
def _exporter() -> HTMLExporter:
    return HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True, log=_quiet())


def _note(document: NotebookNode) -> str:
    """What became of a notebook that did not come to its end."""
    about = document.metadata.get(ABOUT, {})
    if about.get("outcome", COMPLETED) == COMPLETED:
        return ""
    where = f" in the cell {about['cell']!r}" if about.get("cell") else ""
    why = f": {about['error']}" if about.get("error") else ""
    return f"This notebook did not come to its end. It {_OUTCOMES[about['outcome']]}{where}{why}"


def _as_text_alone(body: str) -> str:
    """The page's body without what loads or runs, and with every character visible."""
    soup = BeautifulSoup(body, "html.parser")
    for element in soup(["script", "link", "iframe", "object", "embed"]):
        element.decompose()
    for element in soup(src=lambda source: source is not None and not source.startswith("data:")):
        element.decompose()
    for text in soup.find_all(string=lambda text: visible_lines(text) != text):
        text.replace_with(visible_lines(text))
    for element in soup.find_all(True):
        for name, value in element.attrs.items():
            if isinstance(value, str):
                element.attrs[name] = visible_lines(value)
    return str(soup)


def _quiet() -> logging.Logger:
    """nbconvert warns of every picture without a description; whoever could add one is not there."""
    log = logging.getLogger("workbench.headless.page")
    log.setLevel(logging.ERROR)
    return log
