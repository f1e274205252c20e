"""`TrialPanel`: an agent tried on tasks, its variants side by side, while one watches."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets

from workbench.definition.agent import Agent
from workbench.errors import PlanError, WorkbenchError
from workbench.grading.catalogue import standard
from workbench.ledger.store import Ledger
from workbench.markup import counted
from workbench.model.endpoint import choose_endpoint
from workbench.model.loop import Started
from workbench.runs.estimate import Estimate, estimate_plan
from workbench.runs.frozen import Answer, Asked, calls_of, write_notebook
from workbench.runs.plan import Plan, plan_trials
from workbench.runs.start import start_trial
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, GraderFactory, Trial
from workbench.widgets.column import Column
from workbench.widgets.editor import AgentEditor
from workbench.widgets.frame import bundle
from workbench.widgets.panel_pages import html_page, markdown_page
from workbench.widgets.panel_view import PanelView

Tasks = Task | str | Iterable[Task | str]
"""A task, a question as text, or several of both."""
Models = str | Sequence[str] | None
"""A model for all variants, or several; `None` or none: what each agent says."""


class TrialPanel:
    """A panel that puts tasks to an agent's variants and shows their replies side by side as they come.

    `variants` is an `AgentEditor`, whose file and draft are tried as they are when the run begins, or agents
    by name. The replies come in the workbench's own thread, so cells may run meanwhile.
    """

    def __init__(
        self,
        variants: AgentEditor | Mapping[str, Agent],
        tasks: Iterable[Task] = (),
        *,
        graders: Mapping[str, GraderFactory] | None = None,
        endpoint: Endpoint | None = None,
        ledger: Ledger | None = None,
        start: Callable[..., Started[Trial]] = start_trial,
    ) -> None:
        self.tasks = tuple(tasks)
        self._source = variants
        self._graders = standard() if graders is None else graders
        self._endpoint = endpoint
        self._ledger = ledger
        self._start = start
        self._lock = threading.RLock()
        self._columns: tuple[Column, ...] = ()
        self._asked: Asked | None = None
        self._view: PanelView | None = None

    @property
    def variants(self) -> dict[str, Agent]:
        """What a run would try now; a draft that is no different from its file is left out."""
        if not isinstance(self._source, AgentEditor):
            return dict(self._source)
        disk, draft = self._source.saved, self._source.agent
        return {"disk": disk} if draft == disk else {"disk": disk, "draft": draft}

    @property
    def versions(self) -> dict[str, str]:
        """The earlier versions of the edited agent: that of git's HEAD, where there is one, then those that were ever
        tried. A name that `run` takes, by a line that tells it.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        if not isinstance(self._source, AgentEditor):
            return {}
        try:
            self._source.version("git")
        except WorkbenchError:
            committed = {}  # there is no repository, or the file is not in it
        else:
            committed = {"the last commit (git HEAD)": "git"}
        found = self._source.versions(self._ledger)
        lines = [
            f"{one.last_at[:16].replace('T', ' ')} UTC, {counted(one.trials, 'trial')}, {one.sha256[:8]}"
            for one in found
        ]
        return {**committed, **{line: one.sha256[:8] for line, one in zip(lines, found, strict=True)}}

    @property
    def endpoint(self) -> Endpoint:
        """Where requests are answered.

        Raises:
            SetupError: the environment's settings cannot work.
        """
        return self._endpoint or choose_endpoint()

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials of the latest run that have ended, variant by variant, each in the order they were asked."""
        return tuple(trial for column in self._columns for trial in tuple(column.ended))

    @property
    def is_running(self) -> bool:
        """True until the last reply of the latest run has ended."""
        return not all(column.is_done for column in self._columns)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What was said to replies of the latest run, variant by variant, each in the order in which it was said."""
        return tuple(answer for column in self._columns for answer in tuple(column.answers))

    @property
    def calls(self) -> str:
        """The public calls that do what the latest run did, as Python; empty before the first run."""
        return "" if self._asked is None else calls_of(self._asked, self.answers)

    def plan(
        self,
        tasks: Tasks,
        variants: Iterable[str] | None = None,
        *,
        model: Models = None,
        effort: str | None = None,
        repeats: int = 1,
    ) -> Plan:
        """What `run` with the same arguments asks; asks nothing.

        A variant is one of `variants`, or of the edited agent "git" or the first digits of a tried version's digest.
        Several models make a variant with each of them of every variant, called such as "draft on haiku".

        Raises:
            PlanError: there is nothing to run.
            UnknownGrader: a task names a grader that does not exist.
            WorkbenchError: there is no such version.
        """
        return self._planned(self._choose(tasks, variants, model=model, effort=effort, repeats=repeats))

    def estimate(
        self,
        tasks: Tasks,
        variants: Iterable[str] | None = None,
        *,
        model: Models = None,
        effort: str | None = None,
        repeats: int = 1,
    ) -> Estimate:
        """What `run` with the same arguments takes, and the smallest difference it could show. Spends nothing.

        A run of the panel asks for all anew, so what the ledger holds is counted too; it serves the spread of the
        scores only. Where a model would answer, the server is asked to count the input tokens.

        Raises:
            PlanError, UnknownGrader, WorkbenchError: as `plan`.
            SetupError, LedgerError, PriceFileError: as `estimate_plan`.
        """
        plan = self.plan(tasks, variants, model=model, effort=effort, repeats=repeats)
        live = False if self.endpoint.is_stand_in else None
        topped_up = estimate_plan(plan, ledger=self._ledger, live=live, concurrency=len(plan.variants))
        if not topped_up.answered:
            return topped_up
        with tempfile.TemporaryDirectory() as folder:
            empty = Path(folder) / "empty.sqlite"
            anew = estimate_plan(plan, ledger=empty, live=live, concurrency=len(plan.variants))
        return replace(anew, power=topped_up.power)

    def run(
        self,
        task: Tasks,
        variants: Iterable[str] | None = None,
        *,
        model: Models = None,
        effort: str | None = None,
        repeats: int = 1,
    ) -> None:
        """Asks each variant each task so many times, anew, and returns at once.

        Variants are asked at the same time, the trials of each one after the other.

        Raises:
            PlanError: a run is under way, or there is nothing to run.
            SetupError: the way to the model is not set up.
            UnknownGrader: a task names a grader that does not exist.
            WorkbenchError: there is no such version.
        """
        with self._lock:
            if self.is_running:
                raise PlanError("a trial is under way; stop it, or wait for its end")
            asked = self._choose(task, variants, model=model, effort=effort, repeats=repeats)
            plan = self._planned(asked)
            planned = plan.trials(asked.endpoint)
            self._asked = asked
            self._columns = tuple(
                Column(
                    [trial for trial in planned if trial.variant == name],
                    agent=agent,
                    tasks={task.id: task for task in plan.tasks},
                    graders=plan.graders,
                    start=self._start,
                    ledger=self._ledger,
                    on_done=self._refresh,
                )
                for name, agent in plan.variants.items()
            )
            if self._view is not None:
                self._view.show_columns(self._columns)
            for column in self._columns:
                column.begin()
        self._refresh()

    def reply_to(self, variant: str, text: str) -> None:
        """Answers the latest reply of a variant and returns at once: the request carries all that was said before.

        Raises:
            PlanError: a run is under way, there is no such reply, or the answer is empty.
        """
        with self._lock:
            if self.is_running:
                raise PlanError("a trial is under way; stop it, or wait for its end")
            column = next((column for column in self._columns if column.variant == variant), None)
            if column is None:
                raise PlanError(f"no reply of {variant!r} is there to be answered; run it first")
            column.reply_to(text)
        self._refresh()

    def freeze(self, path: str | Path) -> Path:
        """Writes a notebook that asks what the latest run and the answers to its replies asked, with identical keys.

        Beside it lie the tasks, what was said to which reply, and the agents whose text is not that of their file. Not
        in it, and named there, are graders that were defined in no module.

        Raises:
            PlanError: nothing was run yet.
            FileError: it cannot be written, is there already, or would hold a key.
        """
        if self._asked is None:
            raise PlanError("nothing was run yet, so there is nothing to freeze; run it first")
        return write_notebook(self._asked, path, answers=self.answers)

    def stop(self) -> None:
        """Ends the replies that are still coming; what has come is kept."""
        for column in self._columns:
            column.stop()

    def wait(self) -> tuple[Trial, ...]:
        """Waits until every reply has ended; gives the trials."""
        for column in self._columns:
            column.wait()
        return self.trials

    def _choose(
        self, tasks: Tasks, variants: Iterable[str] | None, *, model: Models, effort: str | None, repeats: int
    ) -> Asked:
        listed = [tasks] if isinstance(tasks, Task | str) else list(tasks)
        typed = [task for task in listed if isinstance(task, str)]
        names = {text: "typed" if number == 1 else f"typed-{number}" for number, text in enumerate(typed, start=1)}
        found = tuple(Task(id=names[task], input=task) if isinstance(task, str) else task for task in listed)
        if not found or not all(task.message.strip() for task in found):
            raise PlanError("there is no question; pick a task, or type one")
        known = self.variants
        wanted = list(known if variants is None else variants)
        chosen = {name: agent for name, agent in known.items() if name in wanted}
        if isinstance(self._source, AgentEditor):
            for name in wanted:
                if name not in (*known, "disk", "draft"):
                    chosen[name] = self._source.version(name, self._ledger)
        if not chosen:
            raise PlanError("there is nothing to try: tick a variant; a draft without edits is what the file says")
        models = [model] if isinstance(model, str) else list(dict.fromkeys(model or ()))
        if len(models) > 1:
            chosen = {
                f"{name} on {each}": agent.replace(model=each) for name, agent in chosen.items() for each in models
            }
        return Asked(
            variants=chosen,
            tasks=found,
            model=models[0] if len(models) == 1 else None,
            effort=effort,
            repeats=repeats,
            graders=self._graders,
            endpoint=self.endpoint,
            ledger=None if self._ledger is None else self._ledger.name,
        )

    def _planned(self, asked: Asked) -> Plan:
        return plan_trials(
            asked.variants,
            asked.tasks,
            repeats=asked.repeats,
            graders=self._graders,
            model=asked.model,
            effort=asked.effort,
        )

    def _refresh(self) -> None:
        if self._view is not None:
            self._view.refresh()

    def _open_view(self) -> ipywidgets.Widget:
        with self._lock:
            if self._view is None:
                self._view = PanelView(self)
                self._view.show_columns(self._columns)
                self._view.refresh()
            return self._view.box

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return bundle(page=html_page(self), markdown=markdown_page(self), text=repr(self), view=self._open_view)

    def __repr__(self) -> str:
        ended = ", ".join(f"{trial.variant} {trial.outcome}" for trial in self.trials) or "nothing tried yet"
        return f"TrialPanel({len(self.tasks)} tasks: {ended})"
