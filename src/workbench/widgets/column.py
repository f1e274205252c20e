"""One variant's replies in a trial panel: the trials one after the other, each while it comes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from workbench.definition.agent import Agent
from workbench.errors import PlanError, WorkbenchError
from workbench.ledger.store import Ledger
from workbench.model.loop import Started
from workbench.runs.conversation import follow_up, has_reply
from workbench.runs.frozen import Answer
from workbench.runs.plan import CHARACTERS_PER_TOKEN
from workbench.trial.catalogue import price_usd
from workbench.trial.graded import grade_trial
from workbench.trial.task import Task
from workbench.trial.trial import Failure, Grader, Trial, Usage
from workbench.widgets.frame import sendable
from workbench.widgets.reply import ReplyView
from workbench.widgets.trial_text import OUTCOMES, exchange, mean_score, meter, opened, sendable_scores, what_was_asked

SECONDS_BETWEEN_UPDATES = 0.1
"""A page that gets more updates than this falls behind, and what one types in it with it."""
LONGEST_LIST = 200
"""Rows of trials that a page is sent."""

_grading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbench-grading")


class Column:
    """Text comes in the loop thread; the view may be opened in any other."""

    def __init__(
        self,
        planned: Sequence[Trial],
        *,
        agent: Agent,
        tasks: Mapping[str, Task],
        graders: Mapping[str, Mapping[str, Grader]],
        start: Callable[..., Started[Trial]],
        ledger: Ledger | None,
        on_done: Callable[[], None],
    ) -> None:
        self.planned = tuple(planned)
        self.variant = self.planned[0].variant
        self.ended: list[Trial] = []
        """Those of a follow-up behind those that were planned."""
        self.answers: list[Answer] = []
        """What was said to its replies; of several answers to one reply, the last."""
        self.is_done = False
        self._agent = agent
        self._tasks = tasks
        self._graders = graders
        self._start = start
        self._ledger = ledger
        self._on_done = on_done
        self._asked = self.planned[0]
        self._endpoint = self._asked.endpoint
        self._lock = threading.RLock()
        self._finished = threading.Event()
        self._waiting = list(self.planned)
        self._stopping = self._failed_for_all = False
        self._pieces: list[str] = []
        self._unsent: list[str] = []
        self._next_update: asyncio.TimerHandle | None = None
        self._updated_at = float("-inf")
        self._status = "Waiting for the first words."
        self._trouble = ""
        self._view: ReplyView | None = None

    @property
    def request(self) -> Any:
        """The request that is under way, or was the last."""
        return self._asked.request

    def begin(self) -> None:
        """Starts the first of the trials; each starts the next."""
        self._started = self._ask(self._waiting.pop(0))
        self._started.add_done_callback(self._settle)

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            if not self.is_done:
                self._started.stop()

    def wait(self) -> None:
        self._finished.wait()

    def reply_to(self, text: str) -> None:
        """Puts this answer to the latest reply, with all that was said before it.

        An answer that got no reply may be said again, in other words too: this one takes its place.

        Raises:
            PlanError: there is no reply, or nothing to say.
        """
        with self._lock:
            answered = self._answerable if self.is_done else None
            if answered is None:
                raise PlanError(f"{self.variant} has no reply that could be answered")
            self._waiting = [follow_up(answered, text)]
            kept = [answer for answer in self.answers if answer.trial is not answered]
            self.answers = [*kept, Answer(trial=answered, text=text)]
            self._finished.clear()
            self._stopping = self.is_done = False
            self._show_restart()
        self.begin()

    @property
    def _answerable(self) -> Trial | None:
        """The trial with the latest reply of what is on the page."""
        if self.ended and has_reply(self.ended[-1]) and (self.answers or not self._failed_for_all):
            return self.ended[-1]
        return self.answers[-1].trial if self.answers else None

    def open_view(self) -> ReplyView:
        with self._lock:
            view = ReplyView(
                variant=self.variant,
                endpoint=self._endpoint.label,
                is_stand_in=self._endpoint.is_stand_in,
                status=self._status,
            )
            view.on_msg(self._hear)
            self._view = view
            if self.is_done:
                self._show_end(view)
            else:
                self._unsent = list(self._pieces)
            self._show_asked(view)
            self._show_listing(view)
            return view

    def _hear(self, view: ReplyView, content: Any, _buffers: Any) -> None:
        match content:
            case {"event": "exchange"}:
                ended = self.ended[-1] if self.is_done and self.ended else self._asked
                view.request, view.response = exchange(ended)
            case {"event": "open", "number": int(number)} if 0 <= number < len(self.ended):
                view.send({"opened": opened(self.ended[number])})
            case {"event": "stop"}:
                self.stop()
            case {"event": "answer", "text": str(text)}:
                try:
                    self.reply_to(text)
                except WorkbenchError as error:
                    view.trouble = str(error)
                else:
                    self._on_done()

    def _ask(self, trial: Trial) -> Started[Trial]:
        self._began = time.perf_counter()
        self._first: float | None = None
        self._asked = trial
        if self._view is not None:
            self._show_asked(self._view)
        return self._start(
            trial.request,
            agent=self._agent,
            endpoint=self._endpoint,
            variant=self.variant,
            task_id=trial.task_id,
            repeat=trial.repeat,
            twin=trial.twin,
            on_text=self._take,
            on_retry=self._begin_again,
            ledger=self._ledger,
        )

    def _take(self, piece: str) -> None:
        with self._lock:
            if self._first is None:
                self._first = time.perf_counter() - self._began
            self._status = "Answering."
            self._pieces.append(piece)
            self._unsent.append(piece)
            if self._next_update is None:
                wait = max(0.0, self._updated_at + SECONDS_BETWEEN_UPDATES - time.perf_counter())
                self._next_update = asyncio.get_running_loop().call_later(wait, self._update)

    def _begin_again(self, failure: Failure, seconds: float) -> None:
        with self._lock:
            self._status = f"{failure.type}: {failure.message}. Trying again in {seconds:.0f} s."
            self._restart()

    def _restart(self) -> None:
        self._pieces.clear()
        self._unsent.clear()
        if self._view is not None:
            self._view.send({"restart": True})
            self._view.status = self._status

    def _show_restart(self) -> None:
        """What is on the page makes room for the next reply."""
        self._status = "Waiting for the first words."
        self._trouble = ""
        if self._view is not None:
            self._view.text = None
            self._view.trouble = self._view.meter = self._view.request = self._view.response = ""
            self._view.scores = []
            self._view.can_answer = False
        self._restart()

    def _show_asked(self, view: ReplyView) -> None:
        """What the reply answers, and what was said before that."""
        trial = self._asked
        repeats = 1 + max(planned.repeat for planned in self.planned)
        of = f", attempt {trial.repeat + 1} of {repeats}" if repeats > 1 else ""
        view.asked = f"{trial.task_id}{of}" if len(self.planned) > 1 else ""
        turns = trial.request.messages if len(trial.request.messages) > 1 else ()
        view.said = [
            ["You" if turn["role"] == "user" else sendable(self.variant), sendable(turn["content"])] for turn in turns
        ]
        view.is_running = not self.is_done

    def _update(self) -> None:
        with self._lock:
            self._next_update = None
            self._updated_at = time.perf_counter()
            if self._view is None or self.is_done or not self._unsent:
                return
            self._view.send({"append": sendable("".join(self._unsent))})
            self._unsent.clear()
            self._view.status = self._status
            self._view.meter = self._running_meter()

    def _running_meter(self) -> str:
        """Counted by the API at the end only: until then, tokens are approximated from characters."""
        request = self._asked.request
        asked = len(request.system) + sum(len(str(message["content"])) for message in request.messages)
        tokens = sum(map(len, self._pieces)) // CHARACTERS_PER_TOKEN
        parts = [f"{self._updated_at - self._began:.0f} s", f"about {tokens:,} tokens out"]
        if self._first is not None:
            parts.insert(0, f"{self._first:.2f} s to first token")
        if not self._endpoint.is_stand_in:
            usage = Usage(input_tokens=asked // CHARACTERS_PER_TOKEN, output_tokens=tokens)
            usd = price_usd(request.model, usage)
            parts.append("cost unknown" if usd is None else f"about {usd:.4f} USD")
        return " · ".join(parts)

    def _settle(self, future: Future[Trial]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._go_on(future)
            return
        is_first_turn = len(self._asked.request.messages) == 1
        graders = self._graders[self._asked.task_id] if is_first_turn else {}
        # In the loop thread, a grader that takes long would hold up every reply that is coming.
        graded = _grading.submit(grade_trial, future.result(), self._tasks[self._asked.task_id], graders)
        graded.add_done_callback(self._go_on)

    def _go_on(self, future: Future[Trial]) -> None:
        goes_on = False
        try:
            with self._lock:
                self._take_end(future)
                if self._waiting and not self._stopping and not self._failed_for_all:
                    self._show_restart()
                    self._show_listing(self._view)
                    self._started = self._ask(self._waiting.pop(0))
                    goes_on = True
                else:
                    self.is_done = True
                    if self._view is not None:
                        self._show_end(self._view)
                        self._show_listing(self._view)
            if goes_on:
                self._started.add_done_callback(self._settle)
            else:
                self._on_done()
        finally:
            if not goes_on:
                self.is_done = True
                self._finished.set()

    def _take_end(self, future: Future[Trial]) -> None:
        self._failed_for_all = True
        if future.cancelled():
            self._status = "Stopped before anything was asked."
        elif (error := future.exception()) is not None:
            self._status = "Failed. Not scored."
            self._trouble = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
        else:
            self._failed_for_all = False
            trial = future.result()
            self.ended.append(trial)
            self._status = OUTCOMES[trial.outcome]
            if trial.failure is not None and trial.outcome == "failed":
                self._trouble = f"{trial.failure.type}: {trial.failure.message}"

    def _show_end(self, view: ReplyView) -> None:
        trial = self.ended[-1] if self.ended and not self._failed_for_all else None
        reply = None if trial is None else trial.reply
        view.is_running = False
        view.text = "".join(self._pieces) if reply is None else reply.text
        view.trouble = self._trouble
        view.status = self._status
        view.can_answer = self._answerable is not None
        if trial is not None:
            view.meter = meter(trial)
            view.scores = sendable_scores(trial)

    def _show_listing(self, view: ReplyView | None) -> None:
        if view is None or len(self.planned) + len(self.ended) < 3:
            return
        rows = [
            [
                number,
                sendable(what_was_asked(trial)),
                str(trial.repeat + 1),
                trial.outcome.replace("_", " "),
                mean_score(trial),
            ]
            for number, trial in enumerate(self.ended)
        ]
        view.listing = rows[-LONGEST_LIST:]
        view.listed = f"{len(self.ended):,} of {max(len(self.planned), len(self.ended)):,} trials have ended"
