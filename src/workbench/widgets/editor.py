"""`AgentEditor`: every field of an agent file and its prompt; what is wrong, how it is read, what changed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.definition.agent import Agent
from workbench.definition.draft import Draft
from workbench.definition.files import diff_agents
from workbench.errors import WorkbenchError
from workbench.runs.upkeep import Upkeep, estimate_upkeep
from workbench.trial.description_tasks import tasks_of_description
from workbench.trial.task import Task
from workbench.widgets.editor_pages import headline, html_page, markdown_page
from workbench.widgets.editor_view import EditorView
from workbench.widgets.frame import bundle, is_headless

if TYPE_CHECKING:
    from workbench.ledger.store import Ledger
    from workbench.ledger.versions import TriedVersion


class AgentEditor(Draft):
    """An editor for one agent; show it by leaving it as the last value of a cell.

    It is a `Draft` that can be seen: `agent` is the draft, a new value after each edit, `saved` what the file holds.
    All editors of one file in one kernel show one draft: a cell that is run again goes on with it. What is not saved
    is also kept in `outputs/drafts`, and offered by the next kernel; not in a headless run.
    """

    def __init__(self, agent: Agent) -> None:
        super().__init__(agent, keeps=not is_headless())

    def upkeep(self) -> Upkeep:
        """Tokens of the draft's prompt and description, and what they cost a day."""
        return estimate_upkeep(self.agent)

    def tasks(self) -> tuple[Task, ...]:
        """The examples of the draft's description as tasks."""
        return tasks_of_description(self.agent)

    def versions(self, ledger: Ledger | str | Path | None = None) -> tuple[TriedVersion, ...]:
        """The versions of this agent that were ever tried, the latest first; by default in the usual ledger.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        from workbench.ledger.store import Ledger, open_ledger
        from workbench.ledger.versions import find_versions

        names = {name for name in (self.saved.name, self.agent.name) if name is not None}
        opened = contextlib.nullcontext(ledger) if isinstance(ledger, Ledger) else open_ledger(ledger)
        with opened as found:
            return find_versions(found, names)

    def version(self, name: str = "disk", ledger: Ledger | str | Path | None = None) -> Agent:
        """The agent as it was last read ("disk"), as git's HEAD has it ("git"), or as tried: by its digest.

        Raises:
            WorkbenchError: there is no such version; the message says why.
        """
        if name in ("disk", "git"):
            return super().version(name)
        found = next((one for one in self.versions(ledger) if name and one.sha256.startswith(name)), None)
        if found is None:
            raise WorkbenchError(f"the ledger holds no version {name!r} of this agent; editor.versions() lists them")
        return found.agent

    def diff(self, against: str = "disk", ledger: Ledger | str | Path | None = None) -> str:
        """Unified diff from a `version` to the draft; empty where they are equal.

        Raises:
            WorkbenchError: there is no such version; the message says why.
        """
        return diff_agents(self.version(against, ledger), self.agent)

    def view(self) -> EditorView:
        """The widget, one for all editors of this file."""
        return self.face(lambda: EditorView(self, versions=self.versions, version=self.version))

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return bundle(page=html_page(self), markdown=markdown_page(self), text=repr(self), view=self.view)

    def __repr__(self) -> str:
        return headline(self)
