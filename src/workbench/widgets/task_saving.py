"""The button that keeps a typed question as a task of the agent. It calls `save_task`, and says what became of it."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets
import traitlets

from workbench.definition.agent import Agent
from workbench.errors import WorkbenchError
from workbench.markup import html, notebook_html
from workbench.trial.task import Task
from workbench.trial.task_writing import save_task
from workbench.widgets.frame import styled

_NOTE = '<div role="status" class="workbench-note{% if is_done %} workbench-done{% endif %}">{{ text|lines }}</div>'


class SaveTask:
    """A button beside a typed question, seen where the question is. A click, and nothing else, writes it into the
    agent's task file, which is made where there is none."""

    def __init__(
        self, question: ipywidgets.Textarea, agent: Callable[[], Agent], when_saved: Callable[[Task], None]
    ) -> None:
        """`agent` is whose task file it is; `when_saved` is told of each new task."""
        self._question, self._agent, self._when_saved = question, agent, when_saved
        self._save = ipywidgets.Button(
            description="Save as task", tooltip="Add this question to the agent's task file", disabled=True
        )
        self._note = ipywidgets.HTML()
        self.box = styled(ipywidgets.HBox([self._save, self._note]), "bar")
        self._hidden = traitlets.dlink((question.layout, "display"), (self.box.layout, "display"))
        question.observe(lambda _: self._question_changed(), "value")
        self._save.on_click(lambda _: self._keep())
        self._question_changed()

    def _question_changed(self) -> None:
        self._save.disabled = not self._question.value.strip()
        self._say("")

    def _keep(self) -> None:
        try:
            change = save_task(self._question.value.strip(), self._agent())
        except WorkbenchError as error:
            self._say(str(error))
            return
        if not change.added:
            self._say(f"{change.path.name} asks this already.")
            return
        [task] = change.added
        scrubbed = " A secret was taken out of it." if change.secrets_taken_out else ""
        new = "" if change.before else " The file is new: from now on it holds what the agent is tried on."
        where = f"Saved as {task.id} in {change.path}."
        self._say(f"{where}{scrubbed}{new} Give it graders there: `workbench graders`.", is_done=True)
        self._when_saved(task)

    def _say(self, text: str, *, is_done: bool = False) -> None:
        self._note.value = notebook_html(html(_NOTE, text=text, is_done=is_done)) if text else ""
