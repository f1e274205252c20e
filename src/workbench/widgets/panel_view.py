"""The controls of a trial panel. They call the methods of a `Trying` and show its values; they decide nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ipywidgets
from markupsafe import Markup

from workbench.definition.agent import Agent
from workbench.definition.facts import facts
from workbench.definition.project import project_folder
from workbench.errors import WorkbenchError
from workbench.judging.thumbs import Thumbs
from workbench.markup import html, notebook_html
from workbench.model.endpoint import describe_endpoint
from workbench.runs.frozen import Asked, command_for, next_notebook
from workbench.runs.plan import EFFORTS
from workbench.runs.settings import Mode
from workbench.runs.trying import Trying
from workbench.runs.variant_run import VariantRun
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint
from workbench.widgets.column import Column
from workbench.widgets.frame import as_rows, as_text, frame, sendable, styled
from workbench.widgets.task_saving import SaveTask
from workbench.widgets.tried import compare_finished, comparison_page
from workbench.widgets.watch import look_every_second

MOST_REPEATS = 100
SHOWN_OF_QUESTION = 60
"""Characters of a task's question in the list of tasks."""

_CALLS = "<details><summary>The same as calls</summary>{{ calls }}</details>"
_ESTIMATE = "<details>{{ brief }}{{ table }}</details>"
_STALE = '<span role="status" class="workbench-stale">Of an earlier text; press Estimate again:</span>'
_MOVED_ON = """\
<div role="status" class="workbench-stale">The agent was edited since: below is what it said before.</div>"""
_VERDICT = "<section><h4>The variants compared</h4>{{ page }}</section>"
_NOTE = '<div role="status" class="workbench-note{% if is_done %} workbench-done{% endif %}">{{ text|lines }}</div>'
# A page typesets plain descriptions, and HTML as its classes say.
_NAME = '<span class="tex2jax_ignore mathjax_ignore">{{ name }}</span>'

_OWN = object()
"""In place of a task's id: the question is typed."""


class PanelView:
    """The controls and the replies of one panel."""

    def __init__(
        self,
        trying: Trying,
        *,
        tasks: Sequence[Task],
        names: Iterable[str],
        versions: Callable[[], Mapping[str, str]] | None,
        thumbs: Callable[[], Thumbs],
        agent: Callable[[], Agent] | None = None,
    ) -> None:
        """`names` are the variants that can be ticked; `versions` gives what else `trying` takes for a variant, by a
        line that tells it, `None` where there is nothing else; `thumbs` gives where a quick word on a reply is kept;
        `agent` gives whose task a question can be kept as."""
        self._trying = trying
        self._thumbs = thumbs
        self._tasks = tuple(tasks)
        self._list_of_versions = versions
        self._is_showing = False
        self._showing = threading.Lock()
        """Held from a look at whether a run is under way until that is shown: else of two threads the one that looked
        first may show it last."""
        options = _listed(tasks)
        wide = {"description_width": "initial"}
        self._task = ipywidgets.SelectMultiple(
            options=options,
            value=(options[min(1, len(tasks))][1],),
            description="Tasks",
            tooltip="Hold Ctrl (on a Mac: Command) or Shift to pick several",
            rows=_rows(options),
            style=wide,
            layout={"width": "auto", "flex": "1 1 260px"},
        )
        self._question = styled(ipywidgets.Textarea(description="Question", rows=4, style=wide), "question")
        self._ticks = {
            name: ipywidgets.Checkbox(value=True, indent=False, layout={"width": "auto"}, **_shown_as(sendable(name)))
            for name in names
        }
        self._versions = ipywidgets.SelectMultiple(
            description="Versions", rows=4, style=wide, layout={"display": "none", "width": "auto", "flex": "1 1 100%"}
        )
        self._find = ipywidgets.Button(
            description="Earlier versions", tooltip="List the last commit of this agent, and what was ever tried of it"
        )
        self._model = ipywidgets.Combobox(
            description="Model",
            placeholder="as the agent says; several with commas",
            tooltip="A model for all, or several with commas: then each variant is tried on each",
            options=_models(),
            style=wide,
            layout={"width": "auto", "flex": "1 1 200px"},
        )
        self._effort = ipywidgets.Dropdown(
            description="Effort",
            options=[("as the agent says", ""), *((each, each) for each in EFFORTS)],
            style=wide,
            layout={"width": "auto", "flex": "1 1 180px"},
        )
        self._repeats = ipywidgets.BoundedIntText(
            description="Repeats",
            value=1,
            min=1,
            max=MOST_REPEATS,
            style=wide,
            layout={"width": "auto", "flex": "0 1 130px"},
        )
        self._anew = ipywidgets.Checkbox(
            description="Ask anew",
            value=False,
            indent=False,
            tooltip="Ask for all, also for what the ledger holds or another run is asking for: it is paid once more",
            layout={"width": "auto"},
        )
        run = ipywidgets.Button(
            description="Run",
            tooltip="Put the question to each variant (Ctrl-Enter in the editor)",
            button_style="primary",
        )
        stop = ipywidgets.Button(
            description="Stop", tooltip="End all replies; what has come is kept (Esc in the editor)", disabled=True
        )
        self._run, self._stop = styled(run, "run"), styled(stop, "stop")  # found by these by `frame.js`
        self._ask = ipywidgets.Button(description="Estimate", tooltip="What it would take; nothing is spent")
        self._freeze = ipywidgets.Button(description="Freeze", tooltip="Write what was tried as a notebook")
        self._note = ipywidgets.HTML()
        self._endpoint = ipywidgets.HTML()
        self._estimate = ipywidgets.HTML()
        self._stale = ipywidgets.HTML()
        self._estimates = 0
        """How many were asked for or taken away: one that comes late is not shown."""
        self._estimated: object = None
        """The texts that the estimate on the page is of; `None` where there is no estimate."""
        self._calls = ipywidgets.HTML()
        self._moved_on = ipywidgets.HTML()
        self._verdict = styled(ipywidgets.HTML(), "verdict")
        self._named: Endpoint | None = None
        """Who the page says would answer; `None`: nobody could."""
        self._announced: object = None
        """What the line on top was made from: it is made anew where that is another."""
        self._announcing: object = None
        """What it was last begun to be made from: reading the ledger takes its time, and threads do it."""
        self._replies = styled(ipywidgets.Box(), "replies")
        settings = [self._model, self._effort, self._repeats, self._anew]
        found = [] if versions is None else [self._find, self._versions]
        keeping = [] if agent is None else [SaveTask(self._question, agent, self._take_task).box]
        self.box = frame(
            "Trial panel",
            self._endpoint,
            styled(ipywidgets.HBox([self._task, *self._ticks.values(), *found]), "bar"),
            self._question,
            *keeping,
            styled(ipywidgets.HBox(settings), "bar"),
            styled(ipywidgets.HBox([self._run, self._stop, self._ask, self._freeze, self._stale]), "bar"),
            self._estimate,
            self._note,
            self._moved_on,
            self._replies,
            self._verdict,
            self._calls,
        )
        self._show_question()
        self.announce()
        self._say("")
        self._task.observe(lambda _: self._show_question(), "value")
        self._question.observe(lambda _: self._question_changed(), "value")
        for control in (self._task, *self._ticks.values(), self._versions, *settings):
            control.observe(lambda _: self._choices_changed(), "value")
        self._run.on_click(lambda _: self._start())
        self._stop.on_click(lambda _: trying.stop())
        self._find.on_click(lambda _: self._list_versions())
        self._ask.on_click(lambda _: threading.Thread(target=self._show_estimate, daemon=True).start())
        self._freeze.on_click(lambda _: self._write())
        trying.watch(on_begin=self.show_runs, on_turn=self.refresh)
        self.show_runs(trying.runs)
        self.refresh()
        look_every_second(self.announce)

    def offer(self, tasks: Sequence[Task]) -> None:
        """Has these tasks to pick from; those that are picked stay so, as far as they are among them."""
        if tuple(tasks) == self._tasks:
            return
        picked = self._task.value
        self._tasks = tuple(tasks)
        options = _listed(tasks)
        self._task.options = options
        self._task.rows = _rows(options)
        known = [value for _, value in options]
        self._task.value = tuple(value for value in picked if value in known) or (known[min(1, len(tasks))],)
        self._show_question()

    def show_runs(self, runs: tuple[VariantRun, ...]) -> None:
        """Puts these replies in place of those of the run before."""
        before = self._replies.children
        self._columns = [Column(run, self._thumbs, self._show_thumbs) for run in runs]
        self._replies.children = [column.view for column in self._columns]
        for view in before:
            view.layout.close()  # a widget of its own, which closing the view would leave in the kernel
            view.close()
        self._verdict.value = ""

    def _show_thumbs(self) -> None:
        for column in self._columns:
            column.show_thumb()

    def refresh(self) -> None:
        """Shows whether a run is under way; called from the loop thread too."""
        with self._showing:  # the end of a reply may come while the beginning of its run is still being shown
            running, calls = self._trying.is_running, self._trying.calls
            self._run.disabled, self._stop.disabled = running, not running
            self._freeze.disabled = not calls
            self._calls.value = notebook_html(html(_CALLS, calls=as_text(calls, tag="pre"))) if calls else ""
        if not running:
            threading.Thread(target=self._show_verdict, daemon=True).start()
        self.announce()
        self.look_at_texts()

    def _show_verdict(self) -> None:
        """The comparison of what has ended, where there are two variants to compare. In a thread of its own: the first
        one takes a second to load what it computes with."""
        runs = self._trying.runs
        try:
            comparison = compare_finished(self._trying)
        except WorkbenchError as error:
            shown = as_text(str(error), tag="div", name="note")
        else:
            shown = Markup() if comparison is None else html(_VERDICT, page=Markup(comparison_page(comparison)))
        if runs == self._trying.runs and not self._trying.is_running:
            self._verdict.value = shown

    def _take_task(self, task: Task) -> None:
        """Lists a task that was saved just now; what is chosen stays chosen."""
        if any(task.id == each.id for each in self._tasks):
            return
        self.offer((*self._tasks, task))

    def _choose(self) -> Asked:
        """What the controls say is to be tried.

        Raises:
            WorkbenchError: as `Trying.choose`.
        """
        tasks: list[Task | str] = [task for task in self._tasks if task.id in self._task.value]
        if _OWN in self._task.value:
            tasks.append(self._question.value)
        return self._trying.choose(
            tasks,
            self._names(),
            model=self._models(),
            effort=self._effort.value or None,
            repeats=self._repeats.value,
        )

    def _names(self) -> list[str]:
        return [*(name for name, tick in self._ticks.items() if tick.value), *self._versions.value]

    def _models(self) -> list[str]:
        return [model for each in self._model.value.split(",") if (model := each.strip())]

    def _start(self) -> None:
        named = self._named
        self.announce()
        self.look_at_texts()
        if self._named != named:  # a key was set since, say: nobody is asked whom the page did not name
            self._say("Who answers has changed: see above, and press Run again.")
            return
        try:
            self._trying.run(self._choose(), mode=self._mode)
        except WorkbenchError as error:
            self._say(str(error))
        else:
            remark = self._trying.remark(len(self._names()) * max(1, len(set(self._models()))))
            self._say("\n".join(line for line in (remark, self._paid_again()) if line))

    @property
    def _mode(self) -> Mode:
        return "fresh" if self._anew.value else "top-up"

    def _paid_again(self) -> str:
        if self._mode == "top-up" or self._trying.endpoint.is_stand_in:
            return ""
        return "Asked anew: what the ledger holds, and what another run is asking for, is paid once more."

    def _write(self) -> None:
        path = next_notebook(project_folder() / "outputs")
        try:
            self._trying.freeze(path)
        except WorkbenchError as error:
            self._say(str(error))
        else:
            written = f"Written: {path.parent.name}/{path.name}. This asks nobody for what was answered:"
            self._say(f"{written}\n{command_for(path)}", is_done=True)

    def _list_versions(self) -> None:
        try:
            versions = {} if self._list_of_versions is None else self._list_of_versions()
        except WorkbenchError as error:
            self._say(str(error))
            return
        self._versions.options = list(versions.items())
        self._versions.layout.display = None if versions else "none"
        self._say(
            "" if versions else "There is no earlier version: git has none of this agent, and none was tried yet."
        )

    def _choices_changed(self) -> None:
        """The server that counts tokens is not asked while one chooses."""
        self.announce()
        self._estimates += 1
        self._estimated = None
        self._estimate.value = self._stale.value = ""
        try:
            stands_in = self._trying.endpoint.is_stand_in
        except WorkbenchError:
            return  # the line that says who answers has the reason
        if stands_in:
            self._show_estimate()

    def _show_estimate(self) -> None:
        self._estimates += 1
        number, texts = self._estimates, self._texts()
        try:
            estimate = self._trying.estimate(self._choose(), mode=self._mode)
        except WorkbenchError as error:
            shown = as_text(str(error), tag="div", name="note")
        else:
            brief = as_text(estimate.brief, tag="summary")
            table = as_rows(list(estimate.rows()), ("estimate", "nothing is spent yet"))
            shown = html(_ESTIMATE, brief=brief, table=table)
        if number == self._estimates:
            self._estimate.value, self._estimated = notebook_html(shown), texts
            self.look_at_texts()

    def _texts(self) -> object:
        """What an estimate is of, beside the choices: one's own question and the agents that are edited."""
        known = self._trying.variants
        return self._question.value if _OWN in self._task.value else None, [known.get(name) for name in self._names()]

    def look_at_texts(self) -> None:
        """Marks an estimate of texts that were changed since; called at every edit, so no tokens are counted here."""
        is_stale = self._estimated is not None and self._estimated != self._texts()
        self._stale.value = str(html(_STALE)) if is_stale else ""
        asked, known = self._trying.asked, self._trying.variants
        of_another = asked is not None and any(
            name in known and known[name] != agent for name, agent in asked.variants.items()
        )
        self._moved_on.value = str(html(_MOVED_ON)) if of_another else ""
        self._moved_on.layout.display = None if of_another else "none"

    def _show_question(self) -> None:
        """The picked task's question; that of no task where several are picked, or one's own."""
        picked = [task for task in self._tasks if task.id in self._task.value]
        takes_own = _OWN in self._task.value
        several = f"{len(picked)} tasks are picked; pick one to see its question, or type one of your own"
        self._question.placeholder = "Type a question" if takes_own or not picked else several
        if not takes_own:
            self._is_showing = True
            self._question.value = sendable(picked[0].message) if len(picked) == 1 else ""
            self._is_showing = False

    def _question_changed(self) -> None:
        """A question that was edited is no longer the task's: its graders would not fit."""
        if self._is_showing:
            return
        if _OWN not in self._task.value:
            self._task.value = (_OWN,)
        self.look_at_texts()

    def announce(self) -> None:
        """Says who would answer now, and what the next Run is for. Called every second too: a cell may set a key."""
        try:
            endpoint, limits = self._trying.endpoint, self._trying.limits
        except WorkbenchError as error:
            self._named = self._announced = self._announcing = None
            self._endpoint.value = notebook_html(as_text(str(error), tag="div", name="note"))
            return
        known = self._trying.variants
        settings = (self._model.value, self._effort.value, self._repeats.value, self._mode)
        run = (self._trying.runs, self._trying.is_running)  # after it, the ledger holds more
        own = self._question.value if _OWN in self._task.value else None
        chosen = (self._task.value, own, self._names(), settings, [known.get(name) for name in self._names()])
        self._announcing = made_from = (endpoint, limits, chosen, run)
        if self._announced == made_from:
            return
        self._named = endpoint
        try:
            next_run = self._trying.announce(self._choose(), mode=self._mode)
        except WorkbenchError as error:
            next_run = f"Run would do nothing: {error}"
        name = "standin" if endpoint.is_stand_in else "faint"
        says = sendable(f"{describe_endpoint(endpoint)} {next_run}")
        if self._announcing == made_from:  # else another thread has seen since that something changed
            self._endpoint.value = notebook_html(as_text(says, tag="div", name=name))
            self._announced = made_from

    def _say(self, text: str, *, is_done: bool = False) -> None:
        self._note.value = notebook_html(html(_NOTE, text=sendable(text), is_done=is_done))
        self._note.layout.display = None if text else "none"


def _listed(tasks: Sequence[Task]) -> list[tuple[str, Any]]:
    """What can be picked, by what it is called in the list."""
    return [("a question of your own", _OWN), *((sendable(_called(task)), task.id) for task in tasks)]


def _called(task: Task) -> str:
    """Its group, unless its id says it; its id; and how its question begins."""
    group = "" if task.group is None or task.id.startswith(task.group) else f"{task.group}: "
    words = " ".join(task.input.split())
    return f"{group}{task.id}: {words[:SHOWN_OF_QUESTION]}{'…' if len(words) > SHOWN_OF_QUESTION else ''}"


def _rows(options: Sequence[object]) -> int:
    return max(2, min(6, len(options)))


def _shown_as(name: str) -> dict[str, Any]:
    """What a tick box takes to show this name, in which what stands between dollar signs is no formula."""
    if "$" not in name and "\\" not in name:
        return {"description": name}
    return {"description": str(html(_NAME, name=name)), "description_allow_html": True, "tooltip": name}


def _models() -> tuple[str, ...]:
    """The names that Claude Code takes for a model."""
    return (*facts()["aliases"], *facts()["models"])
