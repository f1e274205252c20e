"""An executed notebook as one HTML file that needs no network and no kernel, and runs no script but ours."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from functools import cache

import nbformat
from bs4 import BeautifulSoup, Tag
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers.python import Python3Lexer

from workbench.comparison.report.document import html_document
from workbench.headless.notebook_files import printed_by
from workbench.headless.page_parts import PageParts
from workbench.headless.published import ABOUT, COMPLETED, STOPPED
from workbench.markup import counted, html, visible_lines

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
h1, h2, h3 { line-height: 1.25; }
p, li { max-width: 52rem; }
a.anchor-link { display: none; }
pre { border-left-color: var(--line); }
.cell { margin: .9rem 0; }
.output_area { margin: .6rem 0; overflow-x: auto; overflow-wrap: anywhere; }
.output_area table { overflow-wrap: normal; }
.output_area pre, .rendered_html pre { margin: 0; }
.output_stderr { color: var(--soft); }
.output_error { padding: .6rem .8rem; border-left: 3px solid var(--bad); background: var(--tint); }
.highlight, .highlight pre { background: var(--tint); }
#code .highlight { margin: .6rem 0; }
@media screen and (prefers-color-scheme: dark) {
  .workbench-picture { filter: invert(0.93) hue-rotate(180deg); }
  .output_png img:not(.workbench-picture), .output_svg img { background: #ffffff; } }
@media print { #code, .cell nav { display: none; } }
"""
"""Beside the style of reports."""
_LIGHT, _DARK = "default", "github-dark"
"""The colours of code, by the names of Pygments."""

_BODY = """\
{% if note %}
<p class="output_error" role="status">{{ note }}</p>
{% endif %}
{% if record %}
{{ record.head }}
<hr>
<section id="notebook" aria-label="The notebook">
{{ body }}
</section>
{{ record.tail }}
{% else %}
{% if verdict %}
<section aria-label="What it found">
<p class="verdict">{{ verdict | lines }}</p>
</section>
{% endif %}
<section id="notebook" aria-label="The notebook">
{{ body }}
</section>
{% endif %}
{% if code %}
<details id="code"><summary>The notebook's code</summary>
{% for cell in code %}
{{ cell }}
{% endfor %}
</details>
{% endif %}
"""


def html_page(document: NotebookNode, *, title: str, record: PageParts | None = None) -> str:
    """One self-contained page: what became of the notebook where it did not complete, what its `record` shows, or
    without one what its cell tagged `verdict` printed, then what the notebook says, in static form, and folded at the
    end its code.

    What was printed stays text: no dollar sign of a reply begins a formula, also where a site that shows the page
    typesets, and characters that turn the direction of a line or cannot be seen are named.
    """
    with _one_at_a_time:
        exported, _ = _exporter().from_notebook_node(document)
    body, styles = _as_text_alone(exported, record)
    shown = html(
        _BODY,
        note=_note(document),
        record=record,
        verdict=printed_by(document, tag="verdict") if record is None else None,
        body=Markup(body),
        code=[_code(cell.source) for cell in document.cells if cell.cell_type == "code" and cell.source.strip()],
    )
    # Outputs may hold anything, style elements too; the policy sees to it that none of it runs or loads.
    return html_document(
        shown,
        title=f"{record.title}: {title}" if record else title,
        style=_style() + styles,
        brings_styles=True,
        sorts=record is not None,
    )


@cache
def _style() -> str:
    light, dark = (HtmlFormatter(style=style).get_style_defs(".highlight") for style in (_LIGHT, _DARK))
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{ {dark} }}\n{_STYLE}"


def _code(source: str) -> Markup:
    return Markup(highlight(visible_lines(source), Python3Lexer(), HtmlFormatter()))


def get_ready_for_pages() -> None:
    """Compiles the templates, which takes longer than a page."""
    html_page(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1"), nbformat.v4.new_markdown_cell("1")]), title=""
    )


_one_at_a_time = threading.Lock()
"""An exporter keeps what belongs to the page that it makes."""


@cache
def _exporter() -> HTMLExporter:
    return HTMLExporter(
        template_name="basic", exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True, log=_quiet()
    )


def _note(document: NotebookNode) -> str:
    """What became of a notebook that did not come to its end."""
    about = document.metadata.get(ABOUT, {})
    if about.get("outcome", COMPLETED) == COMPLETED:
        return ""
    where = f" in the cell {about['cell']!r}" if about.get("cell") else ""
    why = f": {about['error']}" if about.get("error") else ""
    return f"This notebook did not come to its end. It {_OUTCOMES[about['outcome']]}{where}{why}"


def _as_text_alone(body: str, record: PageParts | None) -> tuple[str, str]:
    """The page's body without what loads or runs, and with every character visible; and the styles of its outputs,
    which stand in the head of a page and nowhere else. As a part of the page of a record its headings are a step lower,
    and it leads to what that says already. A cell of a table knows its heading: on a phone each row is a card."""
    soup = BeautifulSoup(body, "html.parser")
    for table in soup.find_all("table"):
        _label(table)
    if record is not None:
        _make_part(soup, record)
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
    styles = [element.extract().get_text() for element in soup.find_all("style")]
    # As CSS writes it: no text of an output ends the element that it stands in.
    return str(soup), "\n".join(dict.fromkeys(styles)).replace("<", "\\3c ")


def _make_part(soup: BeautifulSoup, record: PageParts) -> None:
    for step in range(5, 0, -1):
        for heading in soup.find_all(f"h{step}"):
            heading.name = f"h{step + 1}"
    for cell in soup.select("div.cell"):
        if not cell.get_text(strip=True) and not cell.find(["img", "svg"]):
            cell.decompose()
    _lead_to_all_rows(soup)
    _lead_to_replies(soup, record.replies)
    _fold_trials(soup)


def _lead_to_replies(soup: BeautifulSoup, replies: Mapping[str, str]) -> None:
    """A reply that a table opens is on the page once: the table leads there."""
    for opening in soup.select("td > details"):
        text, summary = opening.find("pre"), opening.find("summary")
        anchor = replies.get(text.get_text()) if text is not None else None
        if anchor is not None and summary is not None:
            link = soup.new_tag("a", href=f"#{anchor}")
            link.string = summary.get_text()
            opening.replace_with(link)


def _fold_trials(soup: BeautifulSoup) -> None:
    """The tables of trials, which are many screens of a phone, and of which the page has one that finds and sorts."""
    from workbench.comparison.static_tables import TRIALS_TITLE

    for table in soup.find_all("table"):
        caption, is_folded = table.find("caption"), table.find_parent("details") is not None
        if caption is not None and caption.get_text() == TRIALS_TITLE and not is_folded:
            summary = soup.new_tag("summary")
            summary.string = f"{TRIALS_TITLE}: {counted(len(table.select('tbody tr')), 'row')} of the notebook"
            table.wrap(soup.new_tag("details")).insert(0, summary)


def _lead_to_all_rows(soup: BeautifulSoup) -> None:
    """Behind the note of a table without all rows, which says where they are for whoever has a kernel, a link to where
    they are on this page."""
    from workbench.comparison.static_tables import WHERE_ALL_ARE  # where there is a record, this is loaded

    for note in soup.select("table + p"):
        for what, said in WHERE_ALL_ARE.items():
            if note.get_text().endswith(said):
                link = soup.new_tag("a", href=f"#{what}")
                link.string = f"All {what} on this page"
                note.extend([" ", link, "."])


def _label(table: Tag) -> None:
    heads = table.select("thead tr th")
    if len(table.select("thead tr")) != 1 or any(head.has_attr("colspan") for head in heads):
        return
    for row in table.select("tbody tr"):
        cells = row.find_all(["th", "td"], recursive=False)
        for head, cell in zip(heads, cells, strict=False):
            if cell.name == "td" and len(cells) == len(heads):
                cell["data-label"] = head.get_text()


def _quiet() -> logging.Logger:
    """nbconvert warns of every picture without a description; whoever could add one is not there."""
    log = logging.getLogger("workbench.headless.page")
    log.setLevel(logging.ERROR)
    return log
