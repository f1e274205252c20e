"""The controls of a routing panel. They call the methods of a `Deciding` and show its values; they decide nothing."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from typing import Any

import ipywidgets

from workbench.definition.facts import facts
from workbench.definition.project import project_folder
from workbench.errors import WorkbenchError
from workbench.markup import html, notebook_html
from workbench.model.endpoint import describe_endpoint
from workbench.routing.contenders import by_wrongness, case_named, contenders
from workbench.routing.deciding import Deciding, DecisionsAsked
from workbench.routing.measured import CaseDecisions, Routed
from workbench.routing.picked import PANE
from workbench.runs.frozen import command_for, next_notebook
from workbench.runs.plan import EFFORTS
from workbench.trial.trial import Endpoint
from workbench.widgets.frame import as_text, frame, sendable, styled
from workbench.widgets.routing_pages import (
    choice_page,
    contenders_page,
    estimate_page,
    progress_page,
    remarks_page,
    result_page,
    self_test_page,
)
from workbench.widgets.watch import look_every_second

MOST_REPEATS = 100
MOST_ORDERS = 20
SHOWN_OF_PROMPT = 70
"""Characters of a prompt in the list of cases."""
SECONDS_BETWEEN_UPDATES = 0.5
"""Of how far a run is: a screen reader, and who types beside it, get no more."""
BETWEEN = re.compile(r"^-{3,}\s*$", re.MULTILINE)
"""What stands between two descriptions that are typed into one field."""
_NOTE = '<div role="status" class="workbench-note{% if is_done %} workbench-done{% endif %}">{{ text|lines }}</div>'
_MOVED_ON = """\
<div role="status" class="workbench-stale">Agents, draft or cases were edited since: below is what was decided before.\
</div>"""


class RoutingView:
    """The controls and the results of one panel."""

    def __init__(self, deciding: Deciding, *, can_improve: bool) -> None:
        """`can_improve`: an agent is edited whose description can be chosen."""
        self._deciding = deciding
        self._showing = threading.Lock()
        """Held from a look at what the run is at until that is shown: else of two threads the one that looked first may
        show it last."""
        wide = {"description_width": "initial"}
        self._model = ipywidgets.Combobox(
            description="Main model",
            value="sonnet",
            tooltip="The model that picks: an alias or an id",
            options=(*facts()["aliases"], *facts()["models"]),
            style=wide,
            layout={"width": "auto", "flex": "1 1 200px"},
        )
        self._effort = ipywidgets.Dropdown(
            description="Effort",
            options=[("as Claude Code sends it", ""), *((each, each) for each in EFFORTS)],
            style=wide,
            layout={"width": "auto", "flex": "1 1 230px"},
        )
        self._way = ipywidgets.Dropdown(
            description="Way",
            options=[
                ("Claude Code's own request, else an approximation", ""),
                ("Claude Code's own request", "request"),
                ("the program itself", "program"),
                ("an approximation", "approximation"),
            ],
            style=wide,
            layout={"width": "auto", "flex": "1 1 260px"},
        )
        self._repeats = _number("Repeats", 1, most=MOST_REPEATS, tooltip="Decisions on each case in each order")
        self._orders = _number("Orders", 2, most=MOST_ORDERS, tooltip="Orders of the list: its own, and shuffled ones")
        self._budget = ipywidgets.BoundedFloatText(
            description="Budget in USD",
            tooltip="The most that it may spend, controls included; 0: no limit",
            value=deciding.budget_usd or 0,
            min=0,
            max=1_000_000,
            style=wide,
            layout={"width": "auto", "flex": "0 1 170px"},
        )
        self._anew = ipywidgets.Checkbox(
            description="Ask anew",
            value=False,
            indent=False,
            tooltip="Ask for all, also for what the ledger holds: it is paid once more",
            layout={"width": "auto"},
        )
        self._run = ipywidgets.Button(
            description="Run", tooltip="Ask who is picked: a self-test, then the cases", button_style="primary"
        )
        self._stop = ipywidgets.Button(
            description="Stop", tooltip="End it; what was answered is in the ledger", disabled=True
        )
        self._ask = ipywidgets.Button(
            description="Estimate", tooltip="What it would take, and what it could show; nothing is spent"
        )
        self._freeze = ipywidgets.Button(
            description="Freeze", tooltip="Write what was asked as a notebook", disabled=True
        )
        self._endpoint, self._remarks, self._note = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self._progress, self._self_test = ipywidgets.HTML(), ipywidgets.HTML()
        self._estimate = styled(ipywidgets.HTML(), "decisions")
        self._estimated: object = None
        """What the estimate on the page is of; another one takes it away."""
        self._moved_on = ipywidgets.HTML(layout={"display": "none"})
        self._result, self._choice = styled(ipywidgets.HTML(), "decisions"), styled(ipywidgets.HTML(), "decisions")
        self._case = ipywidgets.Dropdown(
            description="Case",
            tooltip="The cases of which the most decisions went elsewhere come first",
            options=[("-", None)],
            style=wide,
            layout={"width": "auto", "max_width": "100%", "display": "none"},
        )
        self._contenders = ipywidgets.HTML()
        self._texts = styled(
            ipywidgets.Textarea(
                description="Other descriptions",
                placeholder="Empty: the draft's. Several with a line --- between them",
                rows=3,
                style=wide,
            ),
            "question",
        )
        self._improve = ipywidgets.Button(
            description="Choose on half, measure on the sealed half",
            tooltip="The best of the present description and these, by half of the cases; its number by the "
            "other half. First, for Run with a draft asks that other half too",
        )
        self._accept = ipywidgets.Button(
            description="Take it into the draft",
            tooltip="Only where the sealed cases show that it is better; the file stays as it is",
            disabled=True,
        )
        self._named: Endpoint | None = None
        """Who the page says would answer; `None`: nobody could."""
        self._announced: object = None
        """What the line on top was made from: it is made anew where that is another."""
        self._announcing = threading.Lock()
        """Held while the line on top is made: threads do it, and what one of them saw first is not to be shown last."""
        self._updated_at = float("-inf")
        self._shown_phase: tuple[object, ...] = ()
        """What the run was at when that was shown last."""
        self._shown_results: list[object] = [None, None, None]
        """Those on the page: decisions, what the draft changes, a choice."""
        settings = (self._model, self._effort, self._way, self._repeats, self._orders, self._budget, self._anew)
        choosing = [self._texts, styled(ipywidgets.HBox([self._improve, self._accept]), "bar")] if can_improve else []
        self.box = frame(
            PANE,
            styled(ipywidgets.HTML(notebook_html(as_text(PANE, tag="h4"))), "decisions"),
            self._endpoint,
            self._remarks,
            styled(ipywidgets.HBox(settings), "bar"),
            styled(ipywidgets.HBox([self._run, self._stop, self._ask, self._freeze]), "bar"),
            self._estimate,
            self._note,
            self._progress,
            self._self_test,
            self._moved_on,
            self._result,
            self._case,
            self._contenders,
            *choosing,
            self._choice,
        )
        for control in settings:
            control.observe(lambda _: self.announce(), "value")
        self._case.observe(lambda _: self._show_contenders(), "value")
        self._run.on_click(lambda _: self._start())
        self._stop.on_click(lambda _: deciding.stop())
        self._ask.on_click(lambda _: threading.Thread(target=self._show_estimate, daemon=True).start())
        self._freeze.on_click(lambda _: self._write())
        self._improve.on_click(lambda _: self._choose_description())
        self._accept.on_click(lambda _: self._take())
        deciding.observe(self.refresh)
        self._say("")
        self.refresh()
        with contextlib.suppress(WorkbenchError):  # the line on top, which comes when all files are read, says why
            self._named = deciding.endpoint
        threading.Thread(target=self.announce, daemon=True).start()
        look_every_second(self.announce)

    def refresh(self) -> None:
        """Shows what the run is at, and what came of it; called in the thread of the run too."""
        with self._showing:
            deciding = self._deciding
            running = deciding.is_running
            now = time.monotonic()
            phase = (deciding.phase, deciding.trouble, running)
            if phase == self._shown_phase and now < self._updated_at + SECONDS_BETWEEN_UPDATES:
                return
            self._updated_at = now
            self._run.disabled, self._stop.disabled = running, not running
            self._improve.disabled = running
            self._freeze.disabled = running or deciding.asked is None
            self._progress.value = notebook_html(progress_page(deciding)) if running else ""
            if phase != self._shown_phase:
                self._shown_phase = phase
                self._self_test.value = notebook_html(self_test_page(deciding)) if deciding.controls else ""
                if deciding.trouble:
                    self._say(sendable(deciding.trouble))
                self._show_results()
                self._announced = None  # whether what is shown has moved on is another now

    def announce(self) -> None:
        """Says who would answer now, what the next Run is for, and what of it would mislead. Called every second too: a
        cell may set a key, and anybody may write a file."""
        with self._announcing:
            self._announce()

    def _announce(self) -> None:
        deciding = self._deciding
        try:
            endpoint = deciding.endpoint
            made_from = (endpoint, deciding.limits, deciding.seen(), self._settings())
        except WorkbenchError as error:
            self._named = self._announced = None
            self._endpoint.value = notebook_html(as_text(str(error), tag="div", name="note"))
            return
        if made_from == self._announced:
            return
        if self._estimate.value and self._estimated != made_from[2:]:
            self._estimate.value = ""
        self._named, self._announced = endpoint, made_from
        try:
            asked = self._asked()
            says, remarks = deciding.announce(asked), deciding.texts().remarks
            moved_on = deciding.has_moved_on(asked)
        except WorkbenchError as error:
            says, remarks, moved_on = f"Run would do nothing: {error}", (), False
        name = "standin" if endpoint.is_stand_in else "faint"
        said = sendable(f"{describe_endpoint(endpoint)} {says}")
        self._endpoint.value = notebook_html(as_text(said, tag="div", name=name))
        self._remarks.value = notebook_html(remarks_page(remarks)) if remarks else ""
        self._moved_on.value = str(html(_MOVED_ON)) if moved_on else ""
        self._moved_on.layout.display = None if moved_on else "none"

    def _settings(self) -> tuple[Any, ...]:
        controls = (self._model, self._effort, self._way, self._repeats, self._orders, self._budget, self._anew)
        return tuple(control.value for control in controls)

    def _asked(self) -> DecisionsAsked:
        """What the controls say is to be asked.

        Raises:
            WorkbenchError: as `Deciding.choose`.
        """
        return self._deciding.choose(
            model=self._model.value.strip(),
            effort=self._effort.value or None,
            way=self._way.value or None,
            repeats=self._repeats.value,
            orders=self._orders.value,
            budget_usd=self._budget.value or None,
            mode="fresh" if self._anew.value else "top-up",
        )

    def _is_as_named(self) -> bool:
        """Whether who answers is who the page says; nobody else is asked."""
        named = self._named
        self.announce()
        if self._named == named:
            return True
        self._say("Who answers has changed: see above, and press again.")
        return False

    def _start(self) -> None:
        if self._is_as_named():
            self._attempt(lambda: self._deciding.run(self._asked()))

    def _choose_description(self) -> None:
        if self._is_as_named():
            texts = [text.strip() for text in BETWEEN.split(self._texts.value)]
            self._attempt(lambda: self._deciding.improve(self._asked(), texts))

    def _take(self) -> None:
        if self._attempt(self._deciding.accept):
            self._say("The chosen description is in the draft; its file is as it was.", is_done=True)

    def _attempt(self, act: Any) -> bool:
        """Does what a button is for, or says why it could not."""
        try:
            act()
        except WorkbenchError as error:
            self._say(str(error))
            return False
        self._say("")
        return True

    def _write(self) -> None:
        path = next_notebook(project_folder() / "outputs")
        if self._attempt(lambda: self._deciding.freeze(path)):
            written = f"Written: {path.parent.name}/{path.name}. This asks nobody for what was answered:"
            self._say(f"{written}\n{command_for(path)}", is_done=True)

    def _show_estimate(self) -> None:
        of = (self._deciding.seen(), self._settings())
        try:
            shown = estimate_page(self._deciding.estimate(self._asked()))
        except WorkbenchError as error:
            shown = as_text(str(error), tag="div", name="note")
        if of == (self._deciding.seen(), self._settings()):
            self._estimate.value, self._estimated = notebook_html(shown), of

    def _show_results(self) -> None:
        """What came of a run, once it has come to its end: to draw it takes time, in which replies would wait."""
        deciding = self._deciding
        none_yet = deciding.is_running
        results: list[object] = [
            None if none_yet else each for each in (deciding.routed, deciding.change, deciding.choice)
        ]
        if all(one is other for one, other in zip(results, self._shown_results, strict=True)):
            return
        self._shown_results = results
        if none_yet:
            self._result.value = self._choice.value = ""
            self._accept.disabled = True
            self._show_cases(None)
            return
        self._result.value = notebook_html(result_page(deciding)) if deciding.routed is not None else ""
        self._choice.value = notebook_html(choice_page(deciding)) if deciding.choice is not None else ""
        self._accept.disabled = deciding.choice is None or not deciding.choice.is_shown_better
        self._show_cases(deciding.routed)

    def _show_cases(self, routed: Routed | None) -> None:
        before = self._case.value
        cases = [] if routed is None else by_wrongness(routed)
        self._case.options = [(_called(case), case.id) for case in cases] or [("-", None)]
        known = [case.id for case in cases]
        self._case.value = before if before in known else next(iter(known), None)
        self._case.layout.display = None if cases else "none"
        self._show_contenders()

    def _show_contenders(self) -> None:
        routed, case_id = self._deciding.routed, self._case.value
        if routed is None or case_id is None:
            self._contenders.value = ""
            return
        found = contenders(routed, case_id, change=self._deciding.change)
        self._contenders.value = notebook_html(contenders_page(case_named(routed, case_id), found))

    def _say(self, text: str, *, is_done: bool = False) -> None:
        self._note.value = notebook_html(html(_NOTE, text=sendable(text), is_done=is_done)) if text else ""
        self._note.layout.display = None if text else "none"


def _number(description: str, value: int, *, most: int, tooltip: str) -> ipywidgets.BoundedIntText:
    return ipywidgets.BoundedIntText(
        description=description,
        tooltip=tooltip,
        value=value,
        min=1,
        max=most,
        style={"description_width": "initial"},
        layout={"width": "auto", "flex": "0 1 120px"},
    )


def _called(case: CaseDecisions) -> str:
    """A case in the list: its id, how its prompt begins, and how many decisions on it were right."""
    words = " ".join(case.prompt.split())
    cut = f"{words[:SHOWN_OF_PROMPT]}{'…' if len(words) > SHOWN_OF_PROMPT else ''}"
    decided = [one for one in case.picked if one is not None]
    right = sum(one in case.accepted for one in decided)
    return sendable(f"{right} of {len(decided)} right. {case.id}: {cut}")
