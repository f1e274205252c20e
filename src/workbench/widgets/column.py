"""One variant's replies in a trial panel, on a page: what a `VariantRun` has, as the traits of a `ReplyView`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from workbench.errors import WorkbenchError
from workbench.judging.thumbs import Thumb, Thumbs
from workbench.runs.variant_run import Change, VariantRun
from workbench.trial.catalogue import find_price
from workbench.trial.trial import Trial
from workbench.widgets.frame import sendable
from workbench.widgets.reply import ReplyView
from workbench.widgets.trial_text import (
    exchange,
    mean_score,
    meter,
    opened,
    running_meter,
    sendable_scores,
    what_was_asked,
)

SECONDS_BETWEEN_UPDATES = 0.1
"""A page that gets more updates than this falls behind, and what one types in it with it."""
LONGEST_LIST = 200
"""Rows of trials that a page is sent."""


class Column:
    """The replies of one variant as a view. Changes come in the loop thread; it may be made in any other."""

    def __init__(self, run: VariantRun, thumbs: Callable[[], Thumbs], on_thumb: Callable[[], None]) -> None:
        """`thumbs` gives where a person's quick word on a reply is kept; `on_thumb` is called after each, for another
        column may have the very same reply."""
        self._run = run
        self._thumbs = thumbs
        self._on_thumb = on_thumb
        self._sent = 0
        """How many pieces of the reply that is coming are on the page."""
        self._next_update: asyncio.TimerHandle | None = None
        self._updated_at = float("-inf")
        with run.lock:
            self.view = ReplyView(
                variant=run.variant,
                endpoint=_who_answers(run.asked),
                is_stand_in=run.endpoint.is_stand_in,
                status=run.status,
            )
            self.view.on_msg(self._hear)
            if not run.endpoint.is_stand_in:
                find_price(run.asked.request.model)  # the first one takes 0.2 s to load, which no reply waits for here
            self._show_asked()
            self._show_listing()
            if run.is_done:
                self._show_end()
            run.watch(self._show)

    def _hear(self, view: ReplyView, content: Any, _buffers: Any) -> None:
        run = self._run
        match content:
            case {"event": "exchange"}:
                ended = run.ended[-1] if run.is_done and run.ended else run.asked
                view.request, view.response = exchange(ended)
            case {"event": "open", "number": int(number)} if 0 <= number < len(run.ended):
                view.send(
                    {"opened": {**opened(run.ended[number]), "number": number, **self._said_of(run.ended[number])}}
                )
            case {"event": "thumb", "thumb": "up" | "down" as thumb, "number": int(number)} if (
                0 <= number < len(run.ended)
            ):
                view.send({"thumbed": {"number": number, **self._give(run.ended[number], thumb)}})
                self._on_thumb()
            case {"event": "thumb", "thumb": "up" | "down" as thumb} if (
                "number" not in content and run.latest is not None
            ):
                said = self._give(run.latest, thumb)
                self._on_thumb()
                view.thumb, view.thumb_said = said["thumb"], said["thumb_said"]
            case {"event": "stop"}:
                run.stop()
            case {"event": "answer", "text": str(text)}:
                try:
                    run.reply_to(text)
                except WorkbenchError as error:
                    view.trouble = str(error)

    def _give(self, trial: Trial, thumb: Thumb) -> dict[str, Any]:
        """What stands of a reply once this was said of it, and what became of that."""
        try:
            thumbs = self._thumbs()
            kept = thumbs.give(trial, thumb)
        except WorkbenchError as error:
            return {**self._said_of(trial), "thumb_said": str(error)}
        words = {"up": f"Kept as good in {thumbs.path.name}.", "down": f"Kept as bad in {thumbs.path.name}."}
        return {"can_thumb": True, "thumb": kept or "", "thumb_said": words[kept] if kept else "Taken back."}

    def _said_of(self, trial: Trial) -> dict[str, Any]:
        can_thumb = trial.outcome == "answered"
        try:
            thumb = self._thumbs().of(trial) if can_thumb else None
        except WorkbenchError as error:
            return {"can_thumb": can_thumb, "thumb": "", "thumb_said": str(error)}
        return {"can_thumb": can_thumb, "thumb": thumb or "", "thumb_said": ""}

    def show_thumb(self) -> None:
        """Shows what this person has said of the reply by now."""
        latest, view = self._run.latest, self.view
        if latest is not None:
            said = self._said_of(latest)
            view.thumb, view.thumb_said, view.can_thumb = said["thumb"], said["thumb_said"], said["can_thumb"]

    def _show(self, change: Change) -> None:
        match change:
            case "asked":
                if self._run.ended:  # else there is nothing on the page yet
                    self._make_room()
                self._show_asked()
            case "again":
                self._restart()
            case "waits":
                self.view.status = self._run.status
            case "text" if self._next_update is None:
                # Pieces come faster than a page takes them: all that come until then are one update.
                wait = max(0.0, self._updated_at + SECONDS_BETWEEN_UPDATES - time.perf_counter())
                self._next_update = asyncio.get_running_loop().call_later(wait, self._update)
            case "ended":
                self._show_listing()
                if self._run.is_done:
                    self._show_end()

    def _make_room(self) -> None:
        """What is on the page makes room for the next reply."""
        view = self.view
        view.text = None
        view.trouble = view.meter = view.request = view.response = ""
        view.scores = []
        view.can_answer = view.can_thumb = False
        view.thumb = view.thumb_said = ""
        self._restart()

    def _restart(self) -> None:
        self._sent = 0
        self.view.send({"restart": True})
        self.view.status = self._run.status

    def _show_asked(self) -> None:
        """What the reply answers, and what was said before that."""
        run, trial = self._run, self._run.asked
        of = f", repeat {trial.repeat} of 0 to {run.repeats - 1}" if run.repeats > 1 else ""
        self.view.asked = f"{trial.task_id}{of}" if len(run.planned) > 1 else ""
        turns = trial.request.messages if len(trial.request.messages) > 1 else ()
        self.view.said = [
            ["You" if turn["role"] == "user" else sendable(run.variant), sendable(turn["content"])] for turn in turns
        ]
        self.view.is_running = not run.is_done

    def _update(self) -> None:
        with self._run.lock:
            self._next_update = None
            self._updated_at = time.perf_counter()
            run = self._run
            unsent = run.pieces[self._sent :]
            if run.is_done or not unsent:
                return
            self.view.send({"append": sendable("".join(unsent))})
            self._sent += len(unsent)
            self.view.status = run.status
            self.view.meter = running_meter(
                run.asked,
                text="".join(run.pieces),
                seconds=self._updated_at - run.began,
            )

    def _show_end(self) -> None:
        run, view = self._run, self.view
        view.is_running = False
        view.text = "".join(run.pieces) if run.reply is None else run.reply.text
        view.trouble = run.trouble
        view.status = run.status
        view.can_answer = run.answerable is not None
        if run.latest is not None:
            view.meter = meter(run.latest)
            view.scores = sendable_scores(run.latest)
            self.show_thumb()

    def _show_listing(self) -> None:
        planned, ended = self._run.planned, self._run.ended
        if len(planned) + len(ended) < 3:
            return
        rows = [
            [
                number,
                sendable(what_was_asked(trial)),
                str(trial.repeat),
                trial.outcome.replace("_", " "),
                mean_score(trial),
            ]
            for number, trial in enumerate(ended)
        ]
        self.view.listing = rows[-LONGEST_LIST:]
        self.view.listed = f"{len(ended):,} of {max(len(planned), len(ended)):,} trials have ended"


def _who_answers(trial: Trial) -> str:
    """The endpoint, and the model that is asked there: variants may differ in both."""
    label = trial.endpoint.in_words
    return label if trial.endpoint.is_stand_in else f"{trial.request.model}, {label}"
