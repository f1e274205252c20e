"""`ReplyView`: one reply while it comes, and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from workbench.widgets.frame import sendable

_FRONT = Path(__file__).parent / "front"


class _Text(traitlets.Unicode[Any, Any]):
    """Text that a message to a page can carry."""

    def validate(self, obj: Any, value: Any) -> Any:
        text = super().validate(obj, value)
        return text if text is None else sendable(text)


class ReplyView(anywidget.AnyWidget):
    """One column of a trial panel.

    Pieces of text arrive as messages `{"append": text}`, so that a long reply is not sent again with each of
    them; `{"restart": true}` takes back what came. The whole text is set once at the end, and survives where
    the output is shown again. The page sends `{"event": "stop"}`; `{"event": "exchange"}` when it wants `request` and
    `response`; and `{"event": "open", "number": n}` for a row of `listing`, which is answered by the message
    `{"opened": {...}}`, the texts of that trial. `{"event": "thumb", "thumb": "up"}` or `"down"` is a person's word on
    the reply, and with a `"number"` on that trial's, which is answered by the message `{"thumbed": {...}}`.
    """

    _esm = _FRONT / "reply.js"
    _css = _FRONT / "reply.css"

    variant = _Text().tag(sync=True)
    endpoint = _Text().tag(sync=True)
    """Who answers, in words."""
    is_stand_in = traitlets.Bool().tag(sync=True)
    asked = _Text().tag(sync=True)
    """Which task and repeat this is the reply to; empty where there is one only."""
    said: Any = traitlets.List().tag(sync=True)
    """Rows of who and what: the turns before this reply, of a question that was not the first."""
    is_running = traitlets.Bool().tag(sync=True)
    status = _Text().tag(sync=True)
    """How it stands; read out by screen readers when it changes."""
    meter = _Text().tag(sync=True)
    """Seconds, tokens and cost; changes often and is not read out."""
    text = _Text(None, allow_none=True).tag(sync=True)
    """The whole reply, `None` while it comes."""
    trouble = _Text().tag(sync=True)
    """Why there is no whole reply; empty where there is one."""
    scores: Any = traitlets.List().tag(sync=True)
    """Rows of grader, score and explanation."""
    can_answer = traitlets.Bool().tag(sync=True)
    """True: an answer may be sent back as the message `{"event": "answer", "text": text}`."""
    can_thumb = traitlets.Bool().tag(sync=True)
    """True: a person may say that the reply is good or bad."""
    thumb = _Text().tag(sync=True)
    """What this person said of it: "up", "down", or nothing yet."""
    thumb_said = _Text().tag(sync=True)
    """What became of the latest word; read out by screen readers."""
    request = _Text().tag(sync=True)
    """The body of the latest request as JSON; set when the page asks for it."""
    response = _Text().tag(sync=True)
    """What came back as JSON; set with `request`."""
    listed = _Text().tag(sync=True)
    """How many of the trials have ended, in words; empty where there is one."""
    listing: Any = traitlets.List().tag(sync=True)
    """Rows of number, task, repeat, outcome and score of the trials that have ended."""
