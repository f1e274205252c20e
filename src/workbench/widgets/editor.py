"""`AgentEditor`: every field of an agent file and its prompt; what is wrong, how it is read, what changed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.definition.agent import FIELDS, Agent, diff_agents, load_agent, parse_agent, save_agent, with_changes
from workbench.definition.committed import load_committed
from workbench.definition.description import Example, read_examples, with_examples
from workbench.definition.draft import EDITABLE, as_on_disk, begin_work, works
from workbench.definition.draft_files import KeptDraft, remove_draft, save_draft, set_draft_aside
from workbench.definition.edit import with_text
from workbench.definition.header import Problem
from workbench.definition.lint import check_agent
from workbench.definition.mend import mend_agent
from workbench.definition.merge import Merge, Side, merge_texts
from workbench.errors import AgentChangedOnDisk, AgentFileError, WorkbenchError
from workbench.runs.upkeep import Upkeep, estimate_upkeep
from workbench.trial.description_tasks import tasks_of_description
from workbench.trial.task import Task
from workbench.widgets.editor_pages import html_page, markdown_page, standing, title
from workbench.widgets.fields import forms
from workbench.widgets.frame import bundle, is_headless

if TYPE_CHECKING:
    from workbench.ledger.store import Ledger
    from workbench.ledger.versions import TriedVersion
    from workbench.widgets.editor_view import EditorView


class AgentEditor:
    """An editor for one agent; show it by leaving it as the last value of a cell.

    `agent` is the draft, a new value after each edit; `saved` is what the file holds. A field that nobody edits
    keeps the form its author gave it, and a field edited back to its old value is as if never edited.

    All editors of one file in one kernel show one draft: a cell that is run again goes on with it. What is not
    saved is also kept in `outputs/drafts`, and offered by the next kernel. All methods may be called from any
    thread.
    """

    def __init__(self, agent: Agent) -> None:
        path = agent.path.resolve() if agent.path is not None else None
        known = None if path is None else works.get(path)
        if known is None:
            self._work = begin_work(agent)
            if path is not None:
                works[path] = self._work
        else:
            self._work = known
            self._meet(agent)

    @property
    def agent(self) -> Agent:
        """The draft."""
        work = self._work
        with work.lock:
            if work.draft is None:
                draft = work.base.replace(**work.edits) if work.edits else work.base
                if work.typed is not None:
                    document = with_text(with_changes(draft), work.typed)
                    is_saved = document.text == work.saved.text
                    draft = work.saved if is_saved else parse_agent(document.text, path=work.saved.path)
                    work.base, work.edits, work.typed = draft, {}, None
                work.draft = draft
            return work.draft

    @property
    def text(self) -> str:
        """The whole text of the draft's file; a byte that is not UTF-8 is a lone surrogate."""
        work = self._work
        with work.lock:
            draft = self.agent
            if work.text is None or work.text[0] is not draft:
                work.text = draft, draft.text
            return work.text[1]

    @property
    def saved(self) -> Agent:
        """The agent as it was last read from its file or written to it."""
        return self._work.saved

    @property
    def edited(self) -> tuple[str, ...]:
        """The names of the fields in which the draft differs from the file, in the order of the form."""
        draft, saved = self.agent, self.saved
        return tuple(name for name in (*forms(), "prompt") if getattr(draft, name) != getattr(saved, name))

    @property
    def is_edited(self) -> bool:
        """Whether the draft's text differs from the file's, be it in a comment or an unknown key."""
        work = self._work
        return self.agent is not work.saved and self.text != work.saved.text

    @property
    def conflict(self) -> Merge | None:
        """File as read, draft, and file as it is now, where the file was found changed; else `None`."""
        work = self._work
        with work.lock:
            if work.disk is None:
                return None
            return merge_texts(work.saved.text, self.text, work.disk.text)

    @property
    def kept_draft(self) -> KeptDraft | None:
        """A draft that an earlier kernel kept, until it is taken up or dropped."""
        return self._work.offered

    @property
    def examples(self) -> tuple[Example, ...]:
        """The `<example>` blocks of the draft's description."""
        return read_examples(self.agent.description or "")

    def edit(self, **changes: Any) -> Agent:
        """The draft with these fields changed, as if typed; `None` removes a key from the file.

        Raises:
            TypeError: there is no such field.
            WorkbenchError: a value cannot be written into an agent file.
        """
        unknown = set(changes) - set(EDITABLE)
        if unknown:
            raise TypeError(f"no such field: {', '.join(sorted(unknown))}; the fields are {', '.join(EDITABLE)}")
        work = self._work
        with work.lock:
            _ = self.agent  # what was typed as a whole text comes before this edit
            edits = {**work.edits, **changes}
            edits = {name: value for name, value in edits.items() if value != getattr(work.base, name)}
            draft = work.base.replace(**edits) if edits else work.base
            draft.to_bytes()  # a value that cannot be written raises here, before it is taken
            for name in changes:
                work.unreadable.pop(name, None)
            self._take(edits=edits, draft=draft)
            return self.agent

    def edit_text(self, text: str) -> Agent:
        """The draft with this as the whole text of its file; line ends are `\\n`, lines that stay keep theirs."""
        work = self._work
        with work.lock:
            document = with_text(with_changes(self.agent), text)
            self._take(base=parse_agent(document.text, path=work.saved.path))
            return self.agent

    def edit_examples(self, examples: Sequence[Example]) -> Agent:
        """The draft whose description has these `<example>` blocks, in this order; what nobody changed stays."""
        with self._work.lock:
            return self.edit(description=with_examples(self.agent.description or "", examples))

    def mend(self, problem: Problem) -> Agent:
        """The draft without this problem, where there is a safe way; nothing else in it changes.

        Raises:
            WorkbenchError: there is none.
        """
        with self._work.lock:
            mended = mend_agent(self.agent, problem)
            if mended is None:
                raise WorkbenchError(f"there is no safe mend: {problem.message} {problem.fix or ''}".rstrip())
            self._take(base=mended)
            return self.agent

    def save(self) -> Agent:
        """Writes the draft to its file, of which only the edited lines change; gives the agent as saved.

        Raises:
            AgentChangedOnDisk: the file was changed meanwhile; nothing is written, the draft is kept, and
                `conflict` has the three texts. Where the file is gone, `write_again` brings it back.
            AgentFileError: the file cannot be written, or a control holds text that is not a value yet.
        """
        work = self._work
        with work.lock:
            return self._write(lambda: save_agent(self.agent, over=work.saved))

    def write_again(self) -> Agent:
        """Writes the draft where its file was, which is gone; gives the agent as saved.

        Raises:
            AgentChangedOnDisk: a file is there, and `conflict` has the three texts; nothing is written.
            AgentFileError: as `save`, or the agent came from no file.
        """
        work = self._work
        with work.lock:
            path = work.saved.path
            if path is None:
                raise AgentFileError("this agent came from no file, so there is none to write again")
            return self._write(lambda: save_agent(self.agent.replace(path=None), path))

    def revert(self) -> Agent:
        """Throws the draft away; gives the agent as it was last read. `restore` brings the draft back."""
        work = self._work
        with work.lock:
            work.thrown_away = self.text
            work.unreadable.clear()
            self._take(base=work.saved)
            return self.agent

    def restore(self) -> Agent:
        """Brings back the draft that `revert` threw away.

        Raises:
            WorkbenchError: none was.
        """
        work = self._work
        with work.lock:
            if work.thrown_away is None:
                raise WorkbenchError("no draft was thrown away in this kernel")
            text, work.thrown_away = work.thrown_away, None
            self._take(base=parse_agent(text, path=work.saved.path))
            return self.agent

    def reread(self) -> tuple[str, ...]:
        """Reads the file again and makes the draft's edits on what it holds now.

        Gives the names of the fields that both the draft and the file changed: there the draft's lines stand.

        Raises:
            AgentFileError: the agent came from no file, or the file cannot be read.
        """
        work = self._work
        with work.lock:
            if work.saved.path is None:
                raise AgentFileError("this agent came from no file, so there is nothing to read again")
            before, mine = work.saved, self.edited
            work.disk = load_agent(work.saved.path)
            self.settle()
            return tuple(name for name in mine if getattr(before, name) != getattr(work.saved, name))

    def settle(self, sides: Mapping[int, Side] | None = None) -> Agent:
        """The draft made one with the file as it was found changed; the next `save` writes it.

        Args:
            sides: by the number of a clash in `conflict.pieces`, whose lines stand; mine unless said.

        Raises:
            WorkbenchError: the file was not found changed.
        """
        work = self._work
        with work.lock:
            merge = self.conflict
            if merge is None or work.disk is None:
                raise WorkbenchError("there is nothing to settle: the file was not found changed")
            if merge.clashes and work.drafts is not None and not is_headless():
                save_draft(work.drafts, base=work.disk.text, text=self.text)
                set_draft_aside(work.drafts)
            merged = parse_agent(merge.text(sides), path=work.saved.path)
            work.saved, work.disk, work.is_gone = work.disk, None, False
            self._take(base=merged)
            return self.agent

    def take_up_draft(self) -> Agent:
        """The draft of an earlier kernel as the draft; where the file changed since, made one with it.

        Where both changed the same lines, `conflict` has them, and `settle` decides.

        Raises:
            WorkbenchError: there is none.
        """
        work = self._work
        with work.lock:
            if work.offered is None:
                raise WorkbenchError("no draft of an earlier kernel is kept for this file")
            kept, work.offered = work.offered, None
            path, merge = work.saved.path, merge_texts(kept.base, kept.text, work.saved.text)
            if merge.clashes:
                work.saved, work.disk = parse_agent(kept.base, path=path), work.saved
            self._take(base=parse_agent(kept.text if merge.clashes else merge.text(), path=path))
            return self.agent

    def drop_draft(self) -> None:
        """Removes the draft that an earlier kernel kept.

        Raises:
            AgentFileError: it cannot be removed.
        """
        work = self._work
        with work.lock:
            if work.offered is not None and work.drafts is not None:
                remove_draft(work.drafts)
                work.offered = None
                self._tell()

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong or doubtful in the draft, in the order of lines."""
        return check_agent(self.agent)

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
        if name == "disk":
            return self.saved
        if name == "git":
            if self.saved.path is None:
                raise AgentFileError("this agent came from no file, so git knows nothing of it")
            return load_committed(self.saved.path)
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

    def observe(self, call: Callable[[], None]) -> Callable[[], None]:
        """Has this called after each change of the draft or the file; gives a function that ends it."""
        observers = self._work.observers
        observers.append(call)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                observers.remove(call)

        return stop

    def _write(self, save: Callable[[], Agent]) -> Agent:
        """Saves, unless there is a reason not to; where the file is not what it should be, looks at what it is."""
        work = self._work
        if work.unreadable:
            name, (_, why) = next(iter(work.unreadable.items()))
            raise AgentFileError(f"not saved: {FIELDS[name]} is {why}", path=work.saved.path)
        try:
            saved = save()
        except AgentChangedOnDisk:
            if work.saved.path is not None:
                work.is_gone = not work.saved.path.exists()
                work.disk = None if work.is_gone else load_agent(work.saved.path)
                self._tell()
            raise
        work.saved, work.disk, work.is_gone = saved, None, False
        self._take(base=saved)
        return saved

    def _take_typed(self, *, prompt: str | None = None, text: str | None = None) -> None:
        """What the page's two editors hold now; nothing is worked out before somebody asks."""
        work = self._work
        with work.lock:
            if prompt is not None:
                _ = self.agent
                work.edits.pop("prompt", None)
                if prompt != work.base.prompt:
                    work.edits["prompt"] = prompt
            else:
                work.typed = text
            work.draft = None
            work.note = ""

    def _take(
        self, *, base: Agent | None = None, edits: dict[str, Any] | None = None, draft: Agent | None = None
    ) -> None:
        """Makes this the draft, keeps it on disk and tells everybody."""
        work = self._work
        if base is not None:
            work.base, work.edits = base, {}
        if edits is not None:
            work.edits = edits
        work.draft, work.typed = draft, None
        if work.base is not work.saved and self.text == work.saved.text:
            work.base, work.edits, work.draft = work.saved, {}, None
        self._settle_typing()

    def _settle_typing(self) -> None:
        """Keeps what was typed on disk and tells everybody."""
        self._keep_draft()
        self._tell()

    def _keep_draft(self) -> None:
        """Keeps the draft on disk; that it cannot be is said, and stops nothing."""
        if is_headless():
            return
        try:
            self._keep()
        except AgentFileError as error:
            self._work.note, self._work.note_fails = str(error), True

    def _keep(self) -> None:
        work = self._work
        if work.drafts is None:
            return
        if self.is_edited:
            if work.offered is not None:
                set_draft_aside(work.drafts)
                work.offered = None
            save_draft(work.drafts, base=work.saved.text, text=self.text)
        elif work.offered is None:
            remove_draft(work.drafts)

    def _tell(self) -> None:
        if self._work.view is not None:
            self._work.view.refresh()
        for call in tuple(self._work.observers):
            call()

    def _meet(self, agent: Agent) -> None:
        """A cell that was run again brought the agent anew, while there is a draft of its file."""
        work = self._work
        with work.lock:
            disk = as_on_disk(agent)
            changes = {name: getattr(agent, name) for name in EDITABLE if getattr(agent, name) != getattr(disk, name)}
            if disk.text != work.saved.text:
                if self.is_edited:
                    work.disk = disk
                else:
                    work.saved = disk
                    self._take(base=disk)
            if changes:
                self.edit(**changes)
            self._tell()

    def _open_view(self) -> EditorView:
        from workbench.widgets.editor_view import EditorView

        work = self._work
        with work.lock:
            if work.view is None:
                work.view = EditorView(self)
            return work.view

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return bundle(page=html_page(self), markdown=markdown_page(self), text=repr(self), view=self._open_view)

    def __repr__(self) -> str:
        return f"AgentEditor({title(self.agent)}: {standing(self)})"
