"""What the widgets have in common: the box around them, and what they leave where no widget can be shown."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets
from markupsafe import Markup

from workbench.markup import has_long_word, html, visible_as_written

_FRONT = Path(__file__).parent / "front"

# The style stands in the element, and is inherited: an exported page and a code host have no style sheet of ours. A
# word that is longer than its place breaks, so that it pushes nothing out of sight.
_TWIN = """\
<div class="tex2jax_ignore mathjax_ignore" style="overflow-wrap: anywhere">
{{ page }}
</div>
"""
_ROWS = """\
<table class="workbench-table"><thead><tr>{% for head in heads %}<th>{{ head }}</th>{% endfor %}</tr></thead><tbody>
{% for row in rows %}
<tr>{% for cell, keeps_words in row %}<td{% if keeps_words %} style="overflow-wrap: normal"{% endif %}>{{ cell }}</td>\
{% endfor %}</tr>
{% endfor %}
</tbody></table>
"""
_AS_WRITTEN = """\
<pre{% if name %} class="workbench-{{ name }}"{% endif %} style="white-space: pre-wrap; overflow-wrap: anywhere">\
{{ text|lines }}</pre>"""
_ELEMENT = '<{{ tag }}{% if name %} class="workbench-{{ name }}"{% endif %}>{{ text }}</{{ tag }}>'


def is_headless() -> bool:
    """True where `WORKBENCH_HEADLESS` asks for static output only, as the batch runner does."""
    return os.environ.get("WORKBENCH_HEADLESS", "") not in ("", "0")


class _Habits(anywidget.AnyWidget):
    """An invisible part of a box: brings the styles, names the box for screen readers, keeps JupyterLab's
    cell keys out of it, of which Shift-Enter would run the cell again, and lets a click on a button go once what was
    changed before it is here."""

    _esm = _FRONT / "frame.js"
    _css = _FRONT / "frame.css"

    label = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(lambda _widget, content, _buffers: self.send({"passes": content.get("holds")}))


def frame(label: str, *children: ipywidgets.Widget) -> ipywidgets.VBox:
    """A box with the workbench's styles around these widgets, which lets no key out to JupyterLab's cells."""
    box = ipywidgets.VBox([_Habits(label=label), *children])
    box.add_class("workbench-frame")
    return box


def styled(widget: ipywidgets.DOMWidget, *names: str) -> Any:
    """The widget, with these style classes."""
    for name in names:
        widget.add_class(f"workbench-{name}")
    return widget


def bundle(*, page: str, markdown: str, text: str, view: Callable[[], ipywidgets.Widget]) -> dict[str, Any]:
    """The MIME bundle of a view: the widget where one can live, and beside it what is read without a kernel.

    `page` is HTML in which every text is escaped already; what stands between dollar signs in it is no formula. The
    widget is asked for only outside of headless runs: there, none is built and no comm is opened.
    """
    static = {
        "text/plain": visible_as_written(text),
        "text/html": str(html(_TWIN, page=Markup(visible_as_written(page)))),
        "text/markdown": visible_as_written(markdown),
    }
    if is_headless():
        return static
    shown = view()._repr_mimebundle_()
    # anywidget gives the bundle and its metadata, ipywidgets the bundle alone.
    return {**(shown[0] if isinstance(shown, tuple) else shown), **static}


def sendable(text: str) -> str:
    """The text with � for bytes that were not UTF-8, which no message to a page can carry."""
    return re.sub("[\ud800-\udfff]", "�", text)


def as_text(text: str, *, tag: str = "span", name: str = "") -> Markup:
    """An HTML element that shows any text as what it is, a `pre` with its line breaks."""
    return html(_AS_WRITTEN if tag == "pre" else _ELEMENT, tag=tag, name=name, text=text)


def as_code(text: str, language: str = "") -> str:
    """A Markdown block that shows any text as what it is: its fence is longer than any inside."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{sendable(text)}\n{fence}"


def as_rows(rows: list[tuple[str, ...]], heads: tuple[str, ...]) -> Markup:
    """A plain HTML table of texts."""
    cells = [[(cell, not has_long_word(cell)) for cell in row] for row in rows]
    return html(_ROWS, rows=cells, heads=heads)
