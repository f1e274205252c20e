"""The trials of one variant while one watches: asked one after the other, and gone on with by what is said to a reply.

begin -> "asked" -> "text" ... -> "ended" -> "asked" (the next trial) ... -> done
              |\\-> "again" (a new try: what had come is taken back) -> "text" ...
              |\\-> "waits" (another run is asking for the very same) -> "ended", or "text" after all
               \\-> "ended" at once (the ledger holds its reply)
done -> reply_to -> "asked" -> ...
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Literal

from workbench.errors import LedgerError, PlanError, WorkbenchError
from workbench.ledger.paid import find_paid
from workbench.model.loop import Started
from workbench.model.tracing import trace_graded, tracer
from workbench.runs.conversation import follow_up, has_reply
from workbench.runs.frozen import Answer
from workbench.runs.plan import Plan
from workbench.runs.settings import RunSettings
from workbench.trial.graded import grade_trial
from workbench.trial.trial import Endpoint, Failure, Grader, Reply, Trial

Change = Literal["asked", "again", "waits", "text", "ended"]
"""A trial was asked; it is tried again, from its first word on; another run is asking for the very same; a piece of its
reply came; it ended."""

OUTCOMES = {
    "answered": "Answered.",
    "refused": "Refused: the model declined to answer. Not scored.",
    "cut_off": "Cut off: the reply reached its longest length. Not scored.",
    "empty": "Empty: the reply has no text. Not scored.",
    "failed": "Failed. Not scored.",
    "stopped": "Stopped: what had come by then is kept. Not scored.",
}

FROM_LEDGER = "From the ledger: nothing was sent."


def outcome_in_words(trial: Trial) -> str:
    """How a trial ended, and that it cost nothing where it did not."""
    said = OUTCOMES[trial.outcome]
    return f"{said} {FROM_LEDGER}" if trial.from_ledger else said


# One thread, and not the loop's: there, a grader that takes long would hold up every reply that is coming.
_grading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbench-grading")


class VariantRun:
    """The trials of one variant on their way. Its values change in the loop thread and the grading thread."""

    def __init__(
        self,
        plan: Plan,
        planned: Sequence[Trial],
        *,
        start: Callable[..., Started[Trial]],
        settings: RunSettings,
        on_turn: Callable[[], None],
    ) -> None:
        """`planned` are the trials of one variant of the plan; `on_turn` is called, with no lock held, when it is done
        or goes on."""
        self.planned = tuple(planned)
        self.variant = self.planned[0].variant
        self.asked = self.planned[0]
        """The trial that is under way, or was the last."""
        self.ended: list[Trial] = []
        """Those of a follow-up behind those that were planned."""
        self.answers: list[Answer] = []
        """What was said to its replies; of several answers to one reply, the last."""
        self.is_done = False
        self.pieces: list[str] = []
        """Of the reply that is coming."""
        self.began = 0.0
        """When the trial under way was asked, by `time.perf_counter`."""
        self.status = "Waiting for the first words."
        self.trouble = ""
        """Why there is no whole reply; empty where there is one, or it is on its way."""
        self.lock = threading.RLock()
        """Whoever holds it sees one state of all this."""
        self._plan = plan
        self._tasks = {task.id: task for task in plan.tasks}
        self._start = start
        self._settings = settings
        self._on_turn = on_turn
        self._on_change: Callable[[Change], None] = lambda _change: None
        self._finished = threading.Event()
        self._waiting = list(self.planned)
        self._stopping = self._failed_for_all = False

    @property
    def endpoint(self) -> Endpoint:
        """Where all its trials are answered."""
        return self.planned[0].endpoint

    @property
    def repeats(self) -> int:
        return 1 + max(trial.repeat for trial in self.planned)

    @property
    def latest(self) -> Trial | None:
        """The trial whose end is what became of the last question; `None` while it comes, or where nothing could be
        asked."""
        return self.ended[-1] if self.is_done and self.ended and not self._failed_for_all else None

    @property
    def reply(self) -> Reply | None:
        """The reply of `latest`."""
        return None if self.latest is None else self.latest.reply

    @property
    def answerable(self) -> Trial | None:
        """The trial with the latest reply of what is shown; `None` where there is none, or one is on its way."""
        if not self.is_done:
            return None
        if self.ended and has_reply(self.ended[-1]) and (self.answers or not self._failed_for_all):
            return self.ended[-1]
        return self.answers[-1].trial if self.answers else None

    def watch(self, on_change: Callable[[Change], None]) -> None:
        """Has this called at each change from now on, with `lock` held; it takes the place of who watched before."""
        with self.lock:
            self._on_change = on_change

    def begin(self) -> None:
        """Starts the first of the trials; each starts the next."""
        with self.lock:
            self._started = self._ask(self._waiting.pop(0))
        self._started.add_done_callback(self._settle)

    def stop(self) -> None:
        """Ends the reply that is coming, and asks for no more; what has come is kept."""
        with self.lock:
            self._stopping = True
            if not self.is_done:
                self._started.stop()

    def wait(self) -> None:
        """Waits until all of its trials have ended."""
        self._finished.wait()

    def reply_to(self, text: str) -> None:
        """Puts this answer to the latest reply, with all that was said before it, and returns at once.

        An answer that got no reply may be said again, in other words too: this one takes its place.

        Raises:
            PlanError: there is no reply, or nothing to say.
        """
        with self.lock:
            answered = self.answerable
            if answered is None:
                raise PlanError(f"{self.variant} has no reply that could be answered")
            self._waiting = [follow_up(answered, text)]
            kept = [answer for answer in self.answers if answer.trial is not answered]
            self.answers = [*kept, Answer(trial=answered, text=text)]
            self._finished.clear()
            self._stopping = self.is_done = False
            self.begin()
        self._on_turn()

    def _ask(self, trial: Trial) -> Started[Trial]:
        self.began = time.perf_counter()
        self.asked = trial
        self.status, self.trouble = "Waiting for the first words.", ""
        self.pieces.clear()
        self._on_change("asked")
        return self._start(
            trial,
            agent=self._plan.variants[self.variant],
            settings=self._settings,
            on_text=self._take,
            on_retry=self._begin_again,
            on_wait=self._wait_for_others,
        )

    def _take(self, piece: str) -> None:
        with self.lock:
            self.status = "Answering."
            self.pieces.append(piece)
            self._on_change("text")

    def _begin_again(self, failure: Failure, seconds: float) -> None:
        with self.lock:
            self.status = f"{failure.type}: {failure.message}. Trying again in {seconds:.0f} s."
            self.pieces.clear()
            self._on_change("again")

    def _wait_for_others(self) -> None:
        with self.lock:
            self.status = "Another run is asking for the very same: its reply is waited for, and paid once."
            self._on_change("waits")

    def _settle(self, future: Future[Trial]) -> None:
        # In the loop thread. Graders take time, and who watches reads the ledger: other replies do not wait for either.
        _grading.submit(self._settled, future)

    def _settled(self, future: Future[Trial]) -> None:
        try:
            if not future.cancelled() and future.exception() is None:
                future = self._with_scores(future.result())
            self._go_on(future)
        except Exception:
            # Nobody asks for what this thread returns.
            logging.getLogger(__name__).exception("the end of a trial of %r could not be shown", self.variant)

    def _with_scores(self, trial: Trial) -> Future[Trial]:
        is_first_turn = len(self.asked.request.messages) == 1
        graders = self._plan.graders[self.asked.task_id] if is_first_turn else {}
        graded: Future[Trial] = Future()
        try:
            graded.set_result(self._graded(trial, graders))
        except Exception as error:  # noqa: BLE001 - it is shown where the reply would be
            graded.set_exception(error)
        return graded

    def _graded(self, trial: Trial, graders: Mapping[str, Grader]) -> Trial:
        graded = grade_trial(trial, self._tasks[trial.task_id], graders)
        # Without it the reply is here; what was paid for it in all is not known, and is not shown.
        with suppress(LedgerError):
            graded = graded.replace(paid=find_paid(self._settings.ledger, [trial.key]).get(trial.key))
        if (traces := tracer()) is not None:
            trace_graded(traces, graded)
        return graded

    def _go_on(self, future: Future[Trial]) -> None:
        goes_on = False
        try:
            with self.lock:
                self._take_end(future)
                goes_on = bool(self._waiting) and not self._stopping and not self._failed_for_all
                self.is_done = not goes_on
                self._on_change("ended")
                if goes_on:
                    self._started = self._ask(self._waiting.pop(0))
            if goes_on:
                self._started.add_done_callback(self._settle)
            else:
                self._on_turn()
        finally:
            if not goes_on:  # whatever a watcher did, who waits is told
                self.is_done = True
                self._finished.set()

    def _take_end(self, future: Future[Trial]) -> None:
        self._failed_for_all = True
        if future.cancelled():
            self.status = "Stopped before anything was asked."
        elif (error := future.exception()) is not None:
            self.status = "Failed. Not scored."
            self.trouble = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
        else:
            self._failed_for_all = False
            trial = future.result()
            self.ended.append(trial)
            self.status = outcome_in_words(trial)
            if trial.failure is not None and trial.outcome == "failed":
                self.trouble = f"{trial.failure.type}: {trial.failure.message}"
