"""`TrialPanel`: an agent tried on one task, its variants side by side, while one watches."""

from __future__ import annotations

import asyncio
import html
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

import ipywidgets

from workbench.definition.agent import Agent
from workbench.errors import PlanError, WorkbenchError
from workbench.grading.catalogue import standard
from workbench.trial.catalogue import price_usd
from workbench.trial.client import choose_place, describe_place
from workbench.trial.ledger import Ledger
from workbench.trial.loop import Started
from workbench.trial.plan import Plan, plan_trials
from workbench.trial.runner import grade_trial, start_trial
from workbench.trial.task import Task
from workbench.trial.trial import Failure, GraderFactory, Place, Trial
from workbench.widgets.editor import AgentEditor
from workbench.widgets.frame import as_code, as_rows, as_text, bundle, frame, styled
from workbench.widgets.reply import ReplyView

SECONDS_BETWEEN_UPDATES = 0.1
"""A page that gets more updates than this falls behind, and what one types in it with it."""

_OWN = object()
"""In place of a task's id: the question is typed."""
_OUTCOMES = {
    "answered": "Answered.",
    "refused": "Refused: the model declined to answer. Not scored.",
    "cut_off": "Cut off: the reply reached its longest length. Not scored.",
    "empty": "Empty: the reply has no text. Not scored.",
    "failed": "Failed. Not scored.",
    "stopped": "Stopped: what had come by then is kept. Not scored.",
}


class TrialPanel:
    """A panel that puts one task to an agent's variants and shows their replies side by side as they come.

    `variants` is an `AgentEditor`, whose file and draft are tried as they are when the run begins, or agents
    by name. The replies come in the workbench's own thread, so cells may run meanwhile.
    """

    def __init__(
        self,
        variants: AgentEditor | Mapping[str, Agent],
        tasks: Iterable[Task] = (),
        *,
        graders: Mapping[str, GraderFactory] | None = None,
        place: Place | None = None,
        ledger: Ledger | None = None,
        start: Callable[..., Started[Trial]] = start_trial,
    ) -> None:
        self.tasks = tuple(tasks)
        self._source = variants
        self._graders = standard() if graders is None else graders
        self._place = place
        self._ledger = ledger
        self._start = start
        self._lock = threading.RLock()
        self._columns: tuple[_Column, ...] = ()
        self._view: _PanelView | None = None

    @property
    def variants(self) -> dict[str, Agent]:
        """What a run would try now; a draft that is no different from its file is left out."""
        if not isinstance(self._source, AgentEditor):
            return dict(self._source)
        disk, draft = self._source.saved, self._source.agent
        return {"disk": disk} if draft == disk else {"disk": disk, "draft": draft}

    @property
    def place(self) -> Place:
        """Where requests are answered.

        Raises:
            SetupError: the environment's settings cannot work.
        """
        return self._place or choose_place()

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials of the latest run that have ended, in the order of its variants."""
        return tuple(column.trial for column in self._columns if column.trial is not None)

    @property
    def is_running(self) -> bool:
        """True until the last reply of the latest run has ended."""
        return not all(column.is_done for column in self._columns)

    def run(self, task: Task | str, variants: Iterable[str] | None = None) -> None:
        """Starts one trial a variant and returns at once; `task` may be a question as text.

        Raises:
            PlanError: a run is under way, or there is nothing to run.
            SetupError: the way to the model is not set up.
            UnknownGrader: the task names a grader that does not exist.
        """
        if isinstance(task, str):
            task = Task(id="typed", input=task)
        with self._lock:
            if self.is_running:
                raise PlanError("a trial is under way; stop it, or wait for its end")
            wanted = set(self.variants if variants is None else variants)
            chosen = {name: agent for name, agent in self.variants.items() if name in wanted}
            if not chosen:
                raise PlanError("there is nothing to try: tick a variant; a draft without edits is what the file says")
            if not task.message.strip():
                raise PlanError("there is no question; pick a task, or type one")
            place = self.place
            plan = plan_trials(chosen, [task], graders=self._graders)
            self._columns = tuple(_Column(name, task, plan, place, self._refresh) for name in chosen)
            if self._view is not None:
                self._view.show_columns(self._columns)
            for column in self._columns:
                column.start(self._start, self._ledger)
        self._refresh()

    def stop(self) -> None:
        """Ends the replies that are still coming; what has come is kept."""
        for column in self._columns:
            column.stop()

    def wait(self) -> tuple[Trial, ...]:
        """Waits until every reply has ended; gives the trials."""
        for column in self._columns:
            column.wait()
        return self.trials

    def _refresh(self) -> None:
        if self._view is not None:
            self._view.refresh()

    def _open_view(self) -> ipywidgets.Widget:
        with self._lock:
            if self._view is None:
                self._view = _PanelView(self)
                self._view.show_columns(self._columns)
                self._view.refresh()
            return self._view.box

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return bundle(page=_page(self), markdown=_markdown(self), text=repr(self), view=self._open_view)

    def __repr__(self) -> str:
        ended = ", ".join(f"{trial.variant} {trial.outcome}" for trial in self.trials) or "nothing tried yet"
        return f"TrialPanel({len(self.tasks)} tasks: {ended})"


class _Column:
    """One reply on its way. Text comes in the loop thread; the view may be opened in any other."""

    def __init__(self, variant: str, task: Task, plan: Plan, place: Place, on_done: Callable[[], None]) -> None:
        self.variant = variant
        self.request = plan.requests[variant, task.id]
        self.trial: Trial | None = None
        self.is_done = False
        self._task = task
        self._plan = plan
        self._place = place
        self._on_done = on_done
        self._lock = threading.RLock()
        self._pieces: list[str] = []
        self._unsent: list[str] = []
        self._next_update: asyncio.TimerHandle | None = None
        self._updated_at = float("-inf")
        self._status = "Waiting for the first words."
        self._trouble = ""
        self._view: ReplyView | None = None

    def start(self, start: Callable[..., Started[Trial]], ledger: Ledger | None) -> None:
        self._began = time.perf_counter()
        self._started = start(
            self.request,
            agent=self._plan.variants[self.variant],
            place=self._place,
            variant=self.variant,
            task_id=self._task.id,
            on_text=self._take,
            on_retry=self._begin_again,
            ledger=ledger,
        )
        self._started.add_done_callback(self._settle)

    def stop(self) -> None:
        if not self.is_done:
            self._started.stop()

    def wait(self) -> None:
        self._started.wait()

    def open_view(self) -> ReplyView:
        with self._lock:
            self._view = ReplyView(
                variant=self.variant,
                place=self._place.label,
                is_stand_in=self._place.is_stand_in,
                status=self._status,
            )
            if self.is_done:
                self._show_end(self._view)
            else:
                self._unsent = list(self._pieces)
            return self._view

    def _take(self, piece: str) -> None:
        with self._lock:
            self._status = "Answering."
            self._pieces.append(piece)
            self._unsent.append(piece)
            if self._next_update is None:
                wait = max(0.0, self._updated_at + SECONDS_BETWEEN_UPDATES - time.perf_counter())
                self._next_update = asyncio.get_running_loop().call_later(wait, self._update)

    def _begin_again(self, failure: Failure, seconds: float) -> None:
        with self._lock:
            self._pieces.clear()
            self._unsent.clear()
            self._status = f"{failure.type}: {failure.message}. Trying again in {seconds:.0f} s."
            if self._view is not None:
                self._view.send({"restart": True})
                self._view.status = self._status

    def _update(self) -> None:
        with self._lock:
            self._next_update = None
            self._updated_at = time.perf_counter()
            if self._view is None or self.is_done or not self._unsent:
                return
            self._view.send({"append": "".join(self._unsent)})
            self._unsent.clear()
            self._view.status = self._status
            length = sum(map(len, self._pieces))
            self._view.meter = f"{self._updated_at - self._began:.0f} s · {length:,} characters"

    def _settle(self, future: Future[Trial]) -> None:
        try:
            with self._lock:
                self.is_done = True
                self._take_end(future)
                if self._view is not None:
                    self._show_end(self._view)
        finally:
            self._on_done()

    def _take_end(self, future: Future[Trial]) -> None:
        if future.cancelled():
            self._status = "Stopped before anything was asked."
        elif (error := future.exception()) is not None:
            self._status = "Failed. Not scored."
            self._trouble = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
        else:
            trial = grade_trial(future.result(), self._task, self._plan.graders[self._task.id])
            self.trial = trial
            self._status = _OUTCOMES[trial.outcome]
            if trial.failure is not None and trial.outcome == "failed":
                self._trouble = f"{trial.failure.type}: {trial.failure.message}"

    def _show_end(self, view: ReplyView) -> None:
        reply = None if self.trial is None else self.trial.reply
        view.text = "".join(self._pieces) if reply is None else reply.text
        view.trouble = self._trouble
        view.status = self._status
        if self.trial is not None:
            view.meter = _meter(self.trial)
            view.scores = [list(row) for row in _score_rows(self.trial)]


class _PanelView:
    """The controls of a panel. They call the panel's methods and show its values; they decide nothing."""

    def __init__(self, panel: TrialPanel) -> None:
        self._panel = panel
        self._is_showing = False
        tasks = [(f"{task.group}: {task.id}" if task.group else task.id, task.id) for task in panel.tasks]
        self._task = ipywidgets.Dropdown(
            options=[*tasks, ("a question of your own", _OWN)],
            description="Task",
            style={"description_width": "44px"},
            layout={"width": "auto"},
        )
        self._question = styled(
            ipywidgets.Textarea(
                description="Question",
                placeholder="Type a question",
                rows=5,
                style={"description_width": "70px"},
            ),
            "question",
        )
        self._ticks = {
            name: ipywidgets.Checkbox(value=True, description=name, indent=False, layout={"width": "auto"})
            for name in (("disk", "draft") if isinstance(panel._source, AgentEditor) else panel.variants)
        }
        self._run = ipywidgets.Button(
            description="Run", tooltip="Put the question to each variant", button_style="primary"
        )
        self._stop = ipywidgets.Button(
            description="Stop", tooltip="End the replies; what has come is kept", disabled=True
        )
        self._note = ipywidgets.HTML()
        self._place = ipywidgets.HTML()
        self._replies = styled(ipywidgets.Box(), "replies")
        self.box = frame(
            "Trial panel",
            self._place,
            styled(ipywidgets.HBox([self._task, *self._ticks.values(), self._run, self._stop]), "bar", "choices"),
            self._question,
            self._note,
            self._replies,
        )
        self._show_question()
        self._show_place()
        self._say("")
        self._task.observe(lambda _: self._show_question(), "value")
        self._question.observe(lambda _: self._leave_task(), "value")
        self._run.on_click(lambda _: self._start())
        self._stop.on_click(lambda _: panel.stop())

    def show_columns(self, columns: tuple[_Column, ...]) -> None:
        """Puts these replies in place of those of the run before."""
        before = self._replies.children
        self._replies.children = [column.open_view() for column in columns]
        for view in before:
            view.close()

    def refresh(self) -> None:
        """Shows whether a run is under way; called from the loop thread too."""
        running = self._panel.is_running
        self._run.disabled, self._stop.disabled = running, not running

    def _start(self) -> None:
        self._show_place()
        chosen = [name for name, tick in self._ticks.items() if tick.value]
        task = next((task for task in self._panel.tasks if task.id == self._task.value), self._question.value)
        try:
            self._panel.run(task, chosen)
        except WorkbenchError as error:
            self._say(str(error))
        else:
            self._say(self._remark(chosen))

    def _remark(self, chosen: list[str]) -> str:
        tried = [column.variant for column in self._panel._columns]
        if tried != chosen:
            return "The draft is what the file says, so only the file was tried. Edit the agent first."
        requests = [column.request for column in self._panel._columns]
        if len(requests) > 1 and all(request == requests[0] for request in requests):
            return (
                "All variants send the same request: of an agent, only prompt, model and effort reach the "
                "model. What differs below is chance."
            )
        return ""

    def _show_question(self) -> None:
        task = next((task for task in self._panel.tasks if task.id == self._task.value), None)
        if task is not None:
            self._is_showing = True
            self._question.value = task.message
            self._is_showing = False

    def _leave_task(self) -> None:
        """A question that was edited is no longer the task's: its graders would not fit."""
        if not self._is_showing:
            self._task.value = _OWN

    def _show_place(self) -> None:
        try:
            place = self._panel.place
        except WorkbenchError as error:
            self._place.value = f'<div class="workbench-note">{html.escape(str(error))}</div>'
        else:
            name = "standin" if place.is_stand_in else "faint"
            self._place.value = as_text(describe_place(place), tag="div", name=name)

    def _say(self, text: str) -> None:
        self._note.value = f'<div role="status" class="workbench-note">{html.escape(text)}</div>'
        self._note.layout.display = None if text else "none"


def _meter(trial: Trial) -> str:
    """Seconds, tokens and cost of a trial that has ended."""
    reply = trial.reply
    if reply is None:
        return ""
    parts = []
    if reply.seconds_to_first_token is not None:
        parts.append(f"{reply.seconds_to_first_token:.2f} s to first token")
    if reply.seconds is not None:
        parts.append(f"{reply.seconds:.1f} s in all")
    return " · ".join([*parts, *_counts(trial)])


def _counts(trial: Trial) -> list[str]:
    if trial.reply is None:
        return []
    usage = trial.reply.usage
    tokens = [
        f"{count:,} tokens {way}"
        for count, way in ((usage.input_tokens, "in"), (usage.output_tokens, "out"))
        if count is not None
    ]
    if trial.place.is_stand_in:
        return [*tokens, "no cost: no model answered"]
    usd = price_usd(trial.request.model, usage)
    return [*tokens, "cost unknown" if usd is None else f"{usd:.4f} USD"]


def _score_rows(trial: Trial) -> list[tuple[str, str, str]]:
    rows = [
        (label, "no score" if score.value is None else f"{score.value:.2f}", score.explanation)
        for label, score in trial.scores.items()
    ]
    return rows if trial.score is None else [("mean", f"{trial.score:.2f}", ""), *rows]


def _page(panel: TrialPanel) -> str:
    """The panel as a page without controls."""
    parts = [as_text(repr(panel), tag="p")]
    for trial in panel.trials:
        parts.append(as_text(f"{trial.variant} on {trial.task_id}: {_OUTCOMES[trial.outcome]}", tag="h3"))
        parts.append(as_text(" · ".join([trial.place.label, *_counts(trial)]), tag="p"))
        parts.append(as_text(trial.reply.text if trial.reply else "", tag="pre"))
        if trial.scores:
            parts.append(as_rows(list(_score_rows(trial)), ("grader", "score", "explanation")))
    return f"<div>{''.join(parts)}</div>"


def _markdown(panel: TrialPanel) -> str:
    """The replies as Markdown in which their text stays text."""
    parts = [as_code(repr(panel))]
    for trial in panel.trials:
        parts.append(as_code(f"{trial.variant} on {trial.task_id}, {trial.place.label}: {_OUTCOMES[trial.outcome]}"))
        parts.append(as_code(trial.reply.text if trial.reply else ""))
        parts.extend([as_code("\n".join(": ".join(row) for row in _score_rows(trial)))] if trial.scores else [])
    return "\n\n".join(parts)
