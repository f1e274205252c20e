"""`TrialPanel`: an agent tried on tasks, its variants side by side, while one watches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import ipywidgets

from workbench.definition.agent import Agent
from workbench.definition.project import project_folder
from workbench.errors import WorkbenchError
from workbench.judging.thumbs import Thumbs
from workbench.ledger.store import Ledger
from workbench.markup import counted
from workbench.model.loop import Started
from workbench.runs.estimate import Estimate
from workbench.runs.frozen import Answer
from workbench.runs.plan import Plan
from workbench.runs.settings import Mode
from workbench.runs.start import start_planned
from workbench.runs.trying import Settings, Tasks, Trying
from workbench.trial.task import Task
from workbench.trial.task_files import thumbs_file_of
from workbench.trial.trial import Endpoint, GraderFactory, Trial
from workbench.widgets.editor import AgentEditor
from workbench.widgets.frame import bundle
from workbench.widgets.panel_pages import html_page, markdown_page
from workbench.widgets.panel_view import PanelView
from workbench.widgets.tried import compare_finished

if TYPE_CHECKING:
    from workbench.comparison.tables import Comparison


class _Shared:
    """What all panels of one agent file have in common, so that a cell that is run again loses no reply."""

    def __init__(self) -> None:
        self.how: tuple[Any, ...] = ()
        """What the trials are made with: graders, endpoint, ledger and the way to start one."""
        self.trying: Trying | None = None
        self.view: PanelView | None = None
        self.thumbs: Thumbs | None = None


class TrialPanel:
    """A panel that puts tasks to an agent's variants and shows their replies side by side as they come.

    `variants` is an `AgentEditor`, whose file and draft are tried as they are when the run begins, or agents
    by name. The replies come in the workbench's own thread, so cells may run meanwhile.

    All panels of one agent file in one kernel are one: a cell that is run again goes on with the replies that are
    there, or still coming, and offers the tasks that it was given last.
    """

    def __init__(
        self,
        variants: AgentEditor | Mapping[str, Agent],
        tasks: Iterable[Task] = (),
        *,
        graders: Mapping[str, GraderFactory] | None = None,
        endpoint: Endpoint | None = None,
        ledger: Ledger | None = None,
        start: Callable[..., Started[Trial]] = start_planned,
    ) -> None:
        self.tasks = tuple(tasks)
        self._editor = variants if isinstance(variants, AgentEditor) else None
        self._ledger = ledger
        self._shared = _Shared() if self._editor is None else self._editor.face(_Shared, of="trial panel")
        self._lock = threading.RLock()
        with self._lock:
            how = (graders, endpoint, ledger, start)
            if self._shared.trying is None or self._shared.how != how:
                self._shared.trying = Trying(
                    (lambda: _of_editor(variants)) if isinstance(variants, AgentEditor) else (lambda: variants),
                    version=(lambda name: variants.version(name, ledger))
                    if isinstance(variants, AgentEditor)
                    else None,
                    graders=graders,
                    endpoint=endpoint,
                    ledger=ledger,
                    start=start,
                )
                self._shared.how, self._shared.view = how, None
        self.trying = self._shared.trying
        """What the panel shows, without a widget."""

    @property
    def thumbs(self) -> Thumbs:
        """Where a person's quick word on a reply is kept: labels beside the edited agent's tasks, in
        `reviewer.thumbs.jsonl`, or in the project's `outputs/thumbs.jsonl`. May be set to others."""
        with self._lock:
            if self._shared.thumbs is None:
                of = None if self._editor is None else self._editor.saved.path
                self._shared.thumbs = Thumbs(
                    project_folder() / "outputs" / "thumbs.jsonl" if of is None else thumbs_file_of(of)
                )
            return self._shared.thumbs

    @thumbs.setter
    def thumbs(self, thumbs: Thumbs) -> None:
        self._shared.thumbs = thumbs

    @property
    def view(self) -> PanelView | None:
        """The controls, once the panel was shown; `None` before."""
        return self._shared.view

    @property
    def variants(self) -> dict[str, Agent]:
        """What a run would try now: of an editor "disk", unless its file is gone, and a "draft" that is another."""
        return self.trying.variants

    @property
    def versions(self) -> dict[str, str]:
        """The earlier versions of the edited agent: that of git's HEAD, where there is one, then those that were ever
        tried. A name that `run` takes, by a line that tells it.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        if self._editor is None:
            return {}
        try:
            self._editor.version("git")
        except WorkbenchError:
            committed = {}  # there is no repository, or the file is not in it
        else:
            committed = {"the last commit (git HEAD)": "git"}
        found = self._editor.versions(self._ledger)
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
        return self.trying.endpoint

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials of the latest run that have ended, variant by variant, each in the order they were asked."""
        return self.trying.trials

    @property
    def comparison(self) -> Comparison | None:
        """The variants of the latest run compared with the first of them, over the tasks that all came to the end of;
        `None` where there is nothing to compare. Asks nobody.

        Raises:
            ComparisonError: the trials cannot be compared.
        """
        return compare_finished(self.trying)

    @property
    def is_running(self) -> bool:
        """True until the last reply of the latest run has ended."""
        return self.trying.is_running

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What was said to replies of the latest run, variant by variant, each in the order in which it was said."""
        return self.trying.answers

    @property
    def calls(self) -> str:
        """The public calls that do what the latest run did, as Python; empty before the first run."""
        return self.trying.calls

    def plan(self, tasks: Tasks, variants: Iterable[str] | None = None, **settings: Unpack[Settings]) -> Plan:
        """What `run` with the same arguments asks; asks nothing.

        A variant is one of `variants`, or of the edited agent "git" or the first digits of a tried version's digest.
        The settings are `model`, `effort` and `repeats`, as `plan_trials` takes them. Several models make a variant
        with each of them of every variant, called such as "draft on haiku".

        Raises:
            PlanError: there is nothing to run.
            UnknownGrader: a task names a grader that does not exist.
            WorkbenchError: there is no such version.
        """
        return self.trying.plan(self.trying.choose(tasks, variants, **settings))

    def estimate(
        self,
        tasks: Tasks,
        variants: Iterable[str] | None = None,
        *,
        mode: Mode = "top-up",
        **settings: Unpack[Settings],
    ) -> Estimate:
        """What `run` with the same arguments takes, and the smallest difference it could show. Spends nothing.

        What the ledger holds serves the spread and the length of the replies. Where a model would answer, the server is
        asked to count the input tokens.

        Raises:
            PlanError, UnknownGrader, WorkbenchError: as `plan`.
            SetupError, LedgerError, PriceFileError: as `estimate_plan`.
        """
        return self.trying.estimate(self.trying.choose(tasks, variants, **settings), mode=mode)

    def run(
        self,
        task: Tasks,
        variants: Iterable[str] | None = None,
        *,
        mode: Mode = "top-up",
        **settings: Unpack[Settings],
    ) -> None:
        """Asks each variant each task so many times, and returns at once; the settings are those of `plan`.

        What the ledger holds is shown and not asked for, and what another run is asking for is waited for: it is paid
        once. With the mode "fresh" all is asked anew, what is said to the replies too, and is paid once more.
        Variants are asked at the same time, the trials of each one after the other.

        Raises:
            PlanError: a run is under way, or there is nothing to run.
            SetupError: the way to the model is not set up.
            UnknownGrader: a task names a grader that does not exist.
            WorkbenchError: there is no such version.
        """
        self.trying.run(self.trying.choose(task, variants, **settings), mode=mode)

    def reply_to(self, variant: str, text: str) -> None:
        """Answers the latest reply of a variant and returns at once: the request carries all that was said before.

        Raises:
            PlanError: a run is under way, there is no such reply, or the answer is empty.
        """
        self.trying.reply_to(variant, text)

    def freeze(self, path: str | Path) -> Path:
        """Writes a notebook that asks what all runs and the answers to their replies asked, with identical keys.

        Beside it lie the texts as they were tried: tasks, agents, and what was said to which reply. Not in it, and
        named there, are graders that were defined in no module.

        Raises:
            PlanError: nothing was run yet.
            FileError: it cannot be written, is there already, or would hold a key.
        """
        return self.trying.freeze(path)

    def stop(self) -> None:
        """Ends the replies that are still coming; what has come is kept."""
        self.trying.stop()

    def wait(self) -> tuple[Trial, ...]:
        """Waits until every reply has ended; gives the trials."""
        return self.trying.wait()

    def _open_view(self) -> ipywidgets.Widget:
        with self._lock:
            view = self._shared.view
            if view is None:
                view = self._shared.view = PanelView(
                    self.trying,
                    tasks=self.tasks,
                    names=self.variants if self._editor is None else ("disk", "draft"),
                    versions=None if self._editor is None else lambda: self.versions,
                    thumbs=lambda: self.thumbs,
                    agent=None if self._editor is None else _saved_agent_of(self._editor),
                )
                if self._editor is not None:
                    self._editor.observe(view.look_at_texts)
            view.offer(self.tasks)
            return view.box

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return bundle(
            page=html_page(self.trials, title=repr(self)),
            markdown=markdown_page(self.trials, title=repr(self)),
            text=repr(self),
            view=self._open_view,
        )

    def __repr__(self) -> str:
        ended = ", ".join(f"{trial.variant} {trial.outcome}" for trial in self.trials) or "nothing tried yet"
        return f"TrialPanel({counted(len(self.tasks), 'task')}: {ended})"


def _saved_agent_of(editor: AgentEditor) -> Callable[[], Agent]:
    return lambda: editor.saved


def _of_editor(editor: AgentEditor) -> dict[str, Agent]:
    editor.catch_up()  # "disk" is what is on disk now, whoever wrote it
    disk, draft = editor.on_disk, editor.agent
    if disk is None:
        return {"draft": draft}
    return {"disk": disk} if draft == disk else {"disk": disk, "draft": draft}
