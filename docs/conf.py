"""How the documentation is built: `make docs`. Warnings are errors there.

The reference is made from the code while it is built (`made_from_code.py`), and the tutorial is run; the offline
stand-in answers it, so that neither a key nor a network is needed.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from made_from_code import fill_in  # noqa: E402

for name in [name for name in os.environ if name.startswith(("ANTHROPIC_", "WORKBENCH_"))]:
    del os.environ[name]

project = "agent-workbench"
author = "the agent-workbench authors"
release = metadata.version("agent-workbench")
html_title = f"agent-workbench {release}"

extensions = ["myst_nb"]
exclude_patterns = ["recipes/*", "_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_merge_streams = True
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_mime_priority_overrides = [("html", "text/html", 0), ("html", "image/png", 10), ("html", "text/plain", 20)]
suppress_warnings = ["mystnb.unknown_mime_type"]  # a widget is shown as the page that it leaves where no kernel is

html_theme = "furo"
html_copy_source = False
html_show_sphinx = False
templates_path: list[str] = []


def _fill_in(app: Any, name: str, source: list[str]) -> None:
    source[0] = fill_in(source[0])


def setup(app: Any) -> None:
    """Puts what is made from the code into each page, where the page asks for it."""
    app.connect("source-read", _fill_in)
