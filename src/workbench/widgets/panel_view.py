"""The controls of a trial panel. They call the panel's methods and show its values; they decide nothing."""

from __future__ import annotations

import html
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from workbench.definition.facts import facts
from workbench.definition.project import project_folder
from workbench.errors import WorkbenchError
from workbench.model.anthropic import describe_endpoint
from workbench.runs.plan import EFFORTS
from workbench.trial.task import Task
from workbench.widgets.column import Column
from workbench.widgets.editor import AgentEditor
from workbench.widgets.frame import as_rows, as_text, frame, sendable, styled

if TYPE_CHECKING:
    from workbench.runs.estimate import Estimate
    from workbench.widgets.trials import TrialPanel

MOST_REPEATS = 100

_OWN = object()
"""In place of a task's id: the question is typed."""


class PanelView:
    """The controls and the replies of one panel."""

    def __init__(self, panel: TrialPanel) -> None:
        self._panel = panel
        self._is_showing = False
        tasks = [(sendable(f"{task.group}: {task.id}" if task.group else task.id), task.id) for task in panel.tasks]
        options: list[tuple[str, Any]] = [("a question of your own", _OWN), *tasks]
        wide = {"description_width": "initial"}
        self._task = ipywidgets.SelectMultiple(
            options=options,
            value=(options[min(1, len(tasks))][1],),
            description="Tasks",
            tooltip="Hold Ctrl (on a Mac: Command) or Shift to pick several",
            rows=max(2, min(6, len(options))),
            style=wide,
            layout={"width": "auto", "flex": "1 1 260px"},
        )
        self._question = styled(ipywidgets.Textarea(description="Question", rows=4, style=wide), "question")
        self._ticks = {
            name: ipywidgets.Checkbox(value=True, description=sendable(name), indent=False, layout={"width": "auto"})
            for name in (("disk", "draft") if isinstance(panel._source, AgentEditor) else panel.variants)
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
        self._run = ipywidgets.Button(
            description="Run", tooltip="Put the question to each variant", button_style="primary"
        )
        self._stop = ipywidgets.Button(
            description="Stop", tooltip="End all replies; what has come is kept", disabled=True
        )
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
        self._replies = styled(ipywidgets.Box(), "replies")
        settings = [self._model, self._effort, self._repeats]
        found = [self._find, self._versions] if isinstance(panel._source, AgentEditor) else []
        self.box = frame(
            "Trial panel",
            self._endpoint,
            styled(ipywidgets.HBox([self._task, *self._ticks.values(), *found]), "bar"),
            self._question,
            styled(ipywidgets.HBox(settings), "bar"),
            styled(ipywidgets.HBox([self._run, self._stop, self._ask, self._freeze, self._stale]), "bar"),
            self._estimate,
            self._note,
            self._replies,
            self._calls,
        )
        self._show_question()
        self._show_endpoint()
        self._say("")
        self._task.observe(lambda _: self._show_question(), "value")
        self._question.observe(lambda _: self._question_changed(), "value")
        for control in (self._task, *self._ticks.values(), self._versions, *settings):
            control.observe(lambda _: self._choices_changed(), "value")
        self._run.on_click(lambda _: self._start())
        self._stop.on_click(lambda _: panel.stop())
        self._find.on_click(lambda _: self._list_versions())
        self._ask.on_click(lambda _: threading.Thread(target=self._show_estimate, daemon=True).start())
        self._freeze.on_click(lambda _: self._write())
        if isinstance(panel._source, AgentEditor):
            panel._source.observe(self._look_at_texts)

    def show_columns(self, columns: tuple[Column, ...]) -> None:
        """Puts these replies in place of those of the run before."""
        before = self._replies.children
        self._replies.children = [column.open_view() for column in columns]
        for view in before:
            view.close()

    def refresh(self) -> None:
        """Shows whether a run is under way; called from the loop thread too."""
        running = self._panel.is_running
        self._run.disabled, self._stop.disabled = running, not running
        self._freeze.disabled = not self._panel.calls
        self._calls.value = (
            f"<details><summary>The same as calls</summary>{as_text(self._panel.calls, tag='pre')}</details>"
            if self._panel.calls
            else ""
        )

    def _chosen(self) -> tuple[list[Task | str], list[str], dict[str, Any]]:
        tasks: list[Task | str] = [task for task in self._panel.tasks if task.id in self._task.value]
        if _OWN in self._task.value:
            tasks.append(self._question.value)
        names = [name for name, tick in self._ticks.items() if tick.value]
        settings = {
            "model": [model for each in self._model.value.split(",") if (model := each.strip())],
            "effort": self._effort.value or None,
            "repeats": self._repeats.value,
        }
        return tasks, [*names, *self._versions.value], settings

    def _start(self) -> None:
        self._show_endpoint()
        self._look_at_texts()
        tasks, chosen, settings = self._chosen()
        try:
            self._panel.run(tasks, chosen, **settings)
        except WorkbenchError as error:
            self._say(str(error))
        else:
            self._say(self._remark(len(chosen) * max(1, len(set(settings["model"])))))

    def _write(self) -> None:
        folder = project_folder() / "outputs"
        number = 1
        while any(folder.glob(f"frozen-{number}.*")):  # its agents and tasks may have outlived a notebook
            number += 1
        path = folder / f"frozen-{number}.ipynb"
        try:
            self._panel.freeze(path)
        except WorkbenchError as error:
            self._say(str(error))
        else:
            name = Path("outputs") / path.name
            self._say(f"Written: {name}. `workbench run {name}` asks nobody for what was answered.")

    def _list_versions(self) -> None:
        try:
            versions = self._panel.versions
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
        self._estimates += 1
        self._estimated = None
        self._estimate.value = self._stale.value = ""
        try:
            stands_in = self._panel.endpoint.is_stand_in
        except WorkbenchError:
            return  # the line that says who answers has the reason
        if stands_in:
            self._show_estimate()

    def _show_estimate(self) -> None:
        self._estimates += 1
        number, texts = self._estimates, self._texts()
        tasks, chosen, settings = self._chosen()
        try:
            estimate = self._panel.estimate(tasks, chosen, **settings)
        except WorkbenchError as error:
            shown = as_text(str(error), tag="div", name="note")
        else:
            brief = as_text(_brief(estimate), tag="summary")
            table = as_rows(list(estimate.rows()), ("estimate", "nothing is spent yet"))
            shown = f"<details>{brief}{table}</details>"
        if number == self._estimates:
            self._estimate.value, self._estimated = shown, texts
            self._look_at_texts()

    def _texts(self) -> object:
        """What an estimate is of, beside the choices: one's own question and the agents that are edited."""
        tasks, chosen, _ = self._chosen()
        known = self._panel.variants
        return [task for task in tasks if isinstance(task, str)], [known.get(name) for name in chosen]

    def _look_at_texts(self) -> None:
        """Marks an estimate of texts that were changed since; called at every edit, so no tokens are counted here."""
        is_stale = self._estimated is not None and self._estimated != self._texts()
        said = "Of an earlier text; press Estimate again:" if is_stale else ""
        self._stale.value = f'<span role="status" class="workbench-stale">{said}</span>' if said else ""

    def _remark(self, wanted: int) -> str:
        if len(self._panel._columns) < wanted:
            return "The draft is what the file says, so only the file was tried. Edit the agent first."
        requests = [[trial.request for trial in column.planned] for column in self._panel._columns]
        if len(requests) > 1 and all(request == requests[0] for request in requests):
            return (
                "All variants send the same request: of an agent, only prompt, model and effort reach the "
                "model. What differs below is chance."
            )
        return ""

    def _show_question(self) -> None:
        """The picked task's question; that of no task where several are picked, or one's own."""
        picked = [task for task in self._panel.tasks if task.id in self._task.value]
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
        self._look_at_texts()

    def _show_endpoint(self) -> None:
        try:
            endpoint = self._panel.endpoint
        except WorkbenchError as error:
            self._endpoint.value = f'<div class="workbench-note">{html.escape(str(error))}</div>'
        else:
            name = "standin" if endpoint.is_stand_in else "faint"
            self._endpoint.value = as_text(describe_endpoint(endpoint), tag="div", name=name)

    def _say(self, text: str) -> None:
        self._note.value = f'<div role="status" class="workbench-note">{html.escape(sendable(text))}</div>'
        self._note.layout.display = None if text else "none"


def _brief(estimate: Estimate) -> str:
    rows = dict(estimate.rows())
    if not estimate.calls:
        return rows["USD"]
    tokens = estimate.input_tokens + estimate.output_tokens
    return (
        f"{estimate.calls:,} calls · about {tokens:,} tokens · USD: {rows['USD']} · "
        f"smallest difference it could show: {rows['smallest difference'].partition(' (')[0]}"
    )


def _models() -> tuple[str, ...]:
    """The names that Claude Code takes for a model."""
    return (*facts()["aliases"], *facts()["models"])
