"""`ReplyView`: one reply while it comes, and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

_FRONT = Path(__file__).parent / "front"


class ReplyView(anywidget.AnyWidget):
    """One column of a trial panel.

    Pieces of text arrive as messages `{"append": text}`, so that a long reply is not sent again with each of
    them; `{"restart": true}` takes back what came. The whole text is set once at the end, and survives where
    the output is shown again.
    """

    _esm = _FRONT / "reply.js"
    _css = _FRONT / "reply.css"

    variant = traitlets.Unicode().tag(sync=True)
    place = traitlets.Unicode().tag(sync=True)
    """Who answers, in words."""
    is_stand_in = traitlets.Bool().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    """How it stands; read out by screen readers when it changes."""
    meter = traitlets.Unicode().tag(sync=True)
    """Seconds, tokens and cost; changes often and is not read out."""
    text = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    """The whole reply, `None` while it comes."""
    trouble = traitlets.Unicode().tag(sync=True)
    """Why there is no whole reply; empty where there is one."""
    scores: Any = traitlets.List().tag(sync=True)
    """Rows of grader, score and explanation."""
    can_answer = traitlets.Bool().tag(sync=True)
    """True: an answer may be sent back as the message `{"event": "answer", "text": text}`."""
    request = traitlets.Unicode().tag(sync=True)
    """The body of the latest request as JSON; set when the page asks for it with `{"event": "exchange"}`."""
    response = traitlets.Unicode().tag(sync=True)
    """What came back as JSON; set with `request`."""
    listed = traitlets.Unicode().tag(sync=True)
    """How many of the trials have ended, in words; empty where there is one."""
    listing: Any = traitlets.List().tag(sync=True)
    """Rows of task, attempt, outcome and score of the trials that have ended."""
