"""`RoutingPanel`: whether an agent is picked, of the file and of the draft, while one watches."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from workbench.definition.agent import Agent
from workbench.definition.files import load_agent
from workbench.definition.roster import Roster
from workbench.markup import counted
from workbench.routing.deciding import Deciding, DecisionsEstimate, DecisionSettings
from workbench.runs.settings import Asking
from workbench.widgets.editor import AgentEditor
from workbench.widgets.frame import bundle
from workbench.widgets.routing_pages import html_page, markdown_page

if TYPE_CHECKING:
    import ipywidgets

    from workbench.routing.asking import Cases
    from workbench.routing.change import RoutingChange
    from workbench.routing.improving import SealedChoice
    from workbench.routing.measured import Routed
    from workbench.widgets.routing_view import RoutingView


class _Shared:
    """What all panels of one agent file, or of one folder, have in common, so that a cell that is run again loses no
    decision."""

    def __init__(self) -> None:
        self.how: tuple[Any, ...] | None = None
        """What the decisions are asked for with."""
        self.deciding: Deciding | None = None
        self.view: RoutingView | None = None


_of_folders: dict[Path, _Shared] = {}
_lock = threading.RLock()


class RoutingPanel:
    """A panel that asks which agent the main model picks, and shows where the cases went.

    `source` is an `AgentEditor`, an agent or its file, whose folder is asked as the files are and, where that differs,
    with the draft in the list; or a folder of agents, a `Roster`, or agents. `cases` as `wb.route` takes them. What is
    asked runs in a thread of its own, so cells may run meanwhile.

    All panels of one agent file, or of one folder, in one kernel are one: a cell that is run again goes on with what is
    there, or still being asked.
    """

    def __init__(
        self,
        source: AgentEditor | Agent | str | Path | Roster | Mapping[str, Agent] | Sequence[Agent],
        cases: Cases = None,
        **asking: Unpack[Asking],
    ) -> None:
        if isinstance(source, Agent):
            source = AgentEditor(source)
        elif isinstance(source, str | Path) and Path(source).is_file():
            source = AgentEditor(load_agent(source))
        self._editor = source if isinstance(source, AgentEditor) else None
        self._shared = _shared_of(source)
        with _lock:
            how = (cases if isinstance(cases, str | Path | None) else tuple(cases), sorted(asking.items()))
            if self._shared.deciding is None or self._shared.how != how:
                self._shared.deciding = Deciding(source, cases, **asking)
                self._shared.how, self._shared.view = how, None
            self.deciding = self._shared.deciding
            """What the panel shows, without a widget."""

    @property
    def view(self) -> RoutingView | None:
        """The controls, once the panel was shown; `None` before."""
        return self._shared.view

    @property
    def is_running(self) -> bool:
        """True until the latest run has come to its end."""
        return self.deciding.is_running

    @property
    def routed(self) -> Routed | None:
        """The decisions of the latest run on the agents as their files are; `None`: none yet."""
        return self.deciding.routed

    @property
    def change(self) -> RoutingChange | None:
        """What the draft changes of them; `None`: no draft was asked for."""
        return self.deciding.change

    @property
    def choice(self) -> SealedChoice | None:
        """What `improve` chose; `None`: nothing yet."""
        return self.deciding.choice

    def estimate(self, **settings: Unpack[DecisionSettings]) -> DecisionsEstimate:
        """What `run` with the same settings takes, and what the cases could show. Spends nothing.

        Raises:
            WorkbenchError: as `wb.choose_router` and `wb.estimate_plan`.
        """
        return self.deciding.estimate(self.deciding.choose(**settings))

    def run(self, **settings: Unpack[DecisionSettings]) -> None:
        """Asks a self-test and the cases, of the files and of the draft, and returns at once. The settings are `model`,
        `effort`, `way`, `repeats`, `orders`, `budget_usd` and `mode`, as `wb.MainModel` and `wb.route` take them.

        Raises:
            PlanError: a run is under way, or there is no agent or no case.
            WorkbenchError: agents or cases cannot be read.
        """
        self.deciding.run(self.deciding.choose(**settings))

    def improve(
        self, candidates: Sequence[str] = (), *, seal: str | Path | None = None, **settings: Unpack[DecisionSettings]
    ) -> None:
        """Chooses between the edited agent's description on disk and others, by default the draft's, on half of the
        cases, measures the chosen one on the sealed half, and returns at once: see `wb.improve_description`.

        Raises:
            PlanError: a run is under way, no agent is edited, or there is no other description.
            WorkbenchError: agents or cases cannot be read.
        """
        self.deciding.improve(self.deciding.choose(**settings), candidates, seal=seal)

    def freeze(self, path: str | Path) -> Path:
        """Writes a notebook that asks for what the latest run asked for, with identical keys.

        Raises:
            PlanError: nothing was asked for yet.
            FileError: it cannot be written, is there already, or would hold a key.
        """
        return self.deciding.freeze(path)

    def stop(self) -> None:
        """Ends what is being asked; what was answered is in the ledger."""
        self.deciding.stop()

    def wait(self) -> None:
        """Waits until the latest run has come to its end; `deciding.trouble` says why it came to no result."""
        self.deciding.wait()

    def _open_view(self) -> ipywidgets.Widget:
        from workbench.widgets.routing_view import RoutingView

        with _lock:
            if self._shared.view is None:
                self._shared.view = RoutingView(self.deciding, can_improve=self._editor is not None)
            return self._shared.view.box

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return bundle(
            page=html_page(self.deciding, title=repr(self)),
            markdown=markdown_page(self.deciding, title=repr(self)),
            text=repr(self),
            view=self._open_view,
        )

    def __repr__(self) -> str:
        deciding = self.deciding
        if deciding.is_running:
            return f"RoutingPanel({deciding.phase})"
        said = deciding.trouble or (deciding.choice.sentence if deciding.choice is not None else "")
        if not said and deciding.routed is not None:
            said = f"{counted(len(deciding.routed.cases), 'case')}, {deciding.routed.asked_of}"
        return f"RoutingPanel({said or 'nothing decided yet'})"


def _shared_of(source: Any) -> _Shared:
    if isinstance(source, AgentEditor):
        return source.face(_Shared, of="routing panel")
    if isinstance(source, str | Path):
        return _of_folders.setdefault(Path(source).resolve(), _Shared())
    return _Shared()
