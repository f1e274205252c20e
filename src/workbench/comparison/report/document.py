"""Every page that the workbench writes: one file that loads nothing, with one style sheet."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from markupsafe import Markup

from workbench.markup import html

FACTS = """\
<dl class="facts">
{% for what, much in totals %}
<div><dt>{{ what }}</dt><dd>{{ much }}</dd></div>
{% endfor %}
</dl>
"""
"""Of a page: what there is how much of, from pairs in `totals`."""
LEFT_OUT = """\
{% if left_out %}
<h2>Left out</h2>
<ul>
{% for record, why in left_out %}
<li>{{ record }}: {{ why }}</li>
{% endfor %}
</ul>
{% endif %}
"""
"""Of a page: the records that are not on it, from pairs with the reason in `left_out`."""

_POLICY = "default-src 'none'; img-src data:"
_HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="\
"""
"""How each of our pages begins; behind it comes its policy."""
_DOCUMENT = (
    _HEAD
    + """\
{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<main class="mathjax_ignore tex2jax_ignore">
{{ body }}
</main>
{% if script %}
<script>{{ script }}</script>
{% endif %}
</body>
</html>
"""
)


def html_document(
    body: Markup, *, title: str, style: str = "", brings_styles: bool = False, sorts: bool = False
) -> str:
    """A page of this HTML with the style sheet of reports and `style` behind it, under a policy by which nothing else
    is loaded or run. Where the body `brings_styles`, as outputs of notebooks do, they hold too. A page that `sorts` has
    our one script, named by its hash, which sorts and filters its tables."""
    sheet = Path(__file__).with_name("page.css").read_text(encoding="utf-8") + style
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8") if sorts else ""
    # The colours of differences and changes are style attributes.
    ours = f"style-src-elem '{_digest(sheet)}'; style-src-attr 'unsafe-inline'"
    styles = "style-src 'unsafe-inline'" if brings_styles else ours
    scripts = f" script-src '{_digest(script)}';" if sorts else ""
    policy = f"{_POLICY};{scripts} {styles}; base-uri 'none'; form-action 'none'"
    return str(
        html(_DOCUMENT, title=title, policy=Markup(policy), style=Markup(sheet), body=body, script=Markup(script))
    )


def is_our_document(path: Path) -> bool:
    """Whether the page in this file is one of ours, by how it begins.

    Raises:
        OSError: it cannot be read.
    """
    ours = (_HEAD + _POLICY).encode()
    with path.open("rb") as file:
        return file.read(len(ours)) == ours


def _digest(text: str) -> str:
    """Of a style sheet or a script, as a policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
