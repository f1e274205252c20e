"""`Draft`: an agent file while it is edited. It needs no widget and no kernel."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from workbench.definition.agent import Agent, parse_agent, with_changes
from workbench.definition.committed import load_committed
from workbench.definition.description import Example, read_examples, with_examples
from workbench.definition.draft_files import KeptDraft, remove_draft, save_draft, set_draft_aside
from workbench.definition.draft_state import (
    EDITABLE,
    as_on_disk,
    begin_state,
    edits_beside,
    mark_of,
    open_drafts,
)
from workbench.definition.edit import with_text
from workbench.definition.field_text import text_of, value_of
from workbench.definition.fields import FIELDS, FORM, key_of
from workbench.definition.files import diff_agents, load_agent, save_agent
from workbench.definition.header import Problem
from workbench.definition.lint import check_agent
from workbench.definition.mend import find_mend
from workbench.definition.merge import Merge, Side, merge_texts
from workbench.errors import AgentChangedOnDisk, AgentFileError, WorkbenchError

_Face = TypeVar("_Face")


class Draft:
    """One agent file while it is edited: what it would say, how that stands to the disk, and the way to save it.

    `agent` is a new value after each edit; `saved` is what the file holds. A field that nobody edits keeps the form
    its author gave it, and a field edited back to its old value is as if never edited.

    All drafts of one file in one process are one. What is not saved is also kept in `outputs/drafts`, and offered to
    the next process. All methods may be called from any thread.
    """

    def __init__(self, agent: Agent, *, keeps: bool = True) -> None:
        """The draft of this agent; changes that it has beside its file are edits already.

        Args:
            keeps: whether the draft is kept on disk, and one that was kept is offered.
        """
        self._keeps = keeps
        path = agent.path.resolve() if agent.path is not None else None
        known = None if path is None else open_drafts.get(path)
        if known is not None:
            self._state = known
            self._meet(agent)
            return
        self._state = begin_state(agent, offers=keeps)
        if path is not None:
            open_drafts[path] = self._state

    @property
    def agent(self) -> Agent:
        """The draft as an agent."""
        state = self._state
        with state.lock:
            if state.draft is None:
                draft = state.base.replace(**state.edits) if state.edits else state.base
                if state.typed is not None:
                    document = with_text(with_changes(draft), state.typed)
                    is_saved = document.text == state.saved.text
                    draft = state.saved if is_saved else parse_agent(document.text, path=state.saved.path)
                    state.base, state.edits, state.typed = draft, {}, None
                state.draft = draft
            return state.draft

    @property
    def text(self) -> str:
        """The whole text of the draft's file; a byte that is not UTF-8 is a lone surrogate."""
        state = self._state
        with state.lock:
            draft = self.agent
            if state.text is None or state.text[0] is not draft:
                state.text = draft, draft.text
            return state.text[1]

    @property
    def saved(self) -> Agent:
        """The agent as it was last read from its file or written to it."""
        return self._state.saved

    @property
    def on_disk(self) -> Agent | None:
        """What the file holds, as far as it was looked at: `saved`, or what somebody else wrote since then; `None`
        where it is gone, or cannot be read any more."""
        state = self._state
        return None if state.is_gone or state.is_illegible else state.disk or state.saved

    @property
    def edited(self) -> tuple[str, ...]:
        """The names of the fields in which the draft differs from the file, in the order of the form."""
        draft, saved = self.agent, self.saved
        return tuple(name for name in (*FORM, "prompt") if getattr(draft, name) != getattr(saved, name))

    @property
    def is_edited(self) -> bool:
        """Whether the draft's text differs from the file's, be it in a comment or an unknown key."""
        return self.agent is not self.saved and self.text != self.saved.text

    @property
    def conflict(self) -> Merge | None:
        """File as read, draft, and file as it is now, where the file was found changed; else `None`."""
        state = self._state
        with state.lock:
            if state.disk is None:
                return None
            return merge_texts(state.saved.text, self.text, state.disk.text)

    @property
    def is_gone(self) -> bool:
        """Whether there was no file any more when the draft was to be written."""
        return self._state.is_gone

    @property
    def can_restore(self) -> bool:
        """Whether `restore` has a draft to bring back, and none to lose."""
        return self._state.thrown_away is not None and not self.is_edited

    @property
    def kept_draft(self) -> KeptDraft | None:
        """A draft that an earlier process kept, until it is taken up or dropped."""
        return self._state.offered

    @property
    def trouble(self) -> str:
        """Why the draft is not kept on disk, or one that was kept there cannot be read; empty where all is well."""
        return self._state.trouble

    @property
    def news(self) -> str:
        """What befell the file outside of the workbench, in a sentence, until somebody edits or saves; else empty."""
        return self._state.news

    @property
    def examples(self) -> tuple[Example, ...]:
        """The `<example>` blocks of the draft's description."""
        return read_examples(self.agent.description or "")

    @property
    def lock(self) -> threading.RLock:
        """Whoever holds it sees, and shows, one state of the draft: nobody edits it meanwhile."""
        return self._state.lock

    def edit(self, **changes: Any) -> Agent:
        """The draft with these fields changed, as if typed; `None` removes a key from the file.

        Raises:
            TypeError: there is no such field.
            WorkbenchError: a value cannot be written into an agent file.
        """
        unknown = set(changes) - set(EDITABLE)
        if unknown:
            raise TypeError(f"no such field: {', '.join(sorted(unknown))}; the fields are {', '.join(EDITABLE)}")
        state = self._state
        with state.lock:
            _ = self.agent  # what was typed as a whole text comes before this edit
            edits = {**state.edits, **changes}
            edits = {name: value for name, value in edits.items() if value != getattr(state.base, name)}
            draft = state.base.replace(**edits) if edits else state.base
            draft.to_bytes()  # a value that cannot be written raises here, before it is taken
            for name in changes:
                state.unreadable.pop(name, None)
            self._take(edits=edits, draft=draft)
            return self.agent

    def edit_examples(self, examples: Sequence[Example]) -> Agent:
        """The draft whose description has these `<example>` blocks, in this order; what nobody changed stays."""
        with self.lock:
            return self.edit(description=with_examples(self.agent.description or "", examples))

    def type_field(self, name: str, text: str | None) -> None:
        """A field as the text of its control says, `None` for a key that is to be absent.

        Text that is no value (yet) leaves the value before, and `field_text` says why; `save` then refuses.
        """
        state = self._state
        with state.lock:
            one, now = FIELDS[name], getattr(self.agent, name)
            try:
                # Text that is what the file's own value shows as stands for that value, whatever its type is.
                is_now = text is not None and now is not None and text == text_of(one, now)
                value = now if is_now else value_of(one, text)
                state.shown[name] = (text or "", value)
                self.edit(**{name: value})
            except (ValueError, WorkbenchError) as error:
                state.unreadable[name] = (text or "", str(error))
                self._tell()

    def field_text(self, name: str) -> tuple[str | None, str]:
        """The text of a field's control, `None` for an absent key; and why that text is no value yet, else ""."""
        state = self._state
        with state.lock:
            text, why = state.unreadable.get(name, (None, ""))
            value = getattr(self.agent, name)
            if text is None and value is not None:
                # As it was typed, for as long as it stands for this: a comma or blank at its end is not taken away.
                before, stands_for = state.shown.get(name, ("", None))
                text = before if stands_for == value else text_of(FIELDS[name], value)
            return text, why

    def type_prompt(self, prompt: str) -> None:
        """The prompt as it was typed so far. Nothing is worked out, kept or told before `look`, or before somebody
        asks."""
        state = self._state
        with state.lock:
            _ = self.agent  # what was typed as a whole text comes before this edit
            state.edits.pop("prompt", None)
            if prompt != state.base.prompt:
                state.edits["prompt"] = prompt
            state.draft = None

    def type_text(self, text: str) -> None:
        """The whole text of the file as it was typed so far. As with `type_prompt`, nothing is worked out yet."""
        state = self._state
        with state.lock:
            state.typed, state.draft = text, None

    def look(self) -> None:
        """Keeps what was typed on disk, and tells whoever observes."""
        with self.lock:
            self.keep()
            self._tell()

    def mend(self, problem: Problem, *, accepting: str = "") -> Agent:
        """The draft without this problem, where there is a way that keeps what the author meant.

        Args:
            accepting: what may be read otherwise afterwards, as `find_mend` says it: that, and nothing else.

        Raises:
            WorkbenchError: there is none, or it changes something else than was accepted; says what.
        """
        with self.lock:
            mend = find_mend(self.agent, problem)
            if mend is None:
                raise WorkbenchError(f"there is no mend: {problem.message} {problem.fix or ''}".rstrip())
            if not mend.is_safe and mend.changes != accepting:
                raise WorkbenchError(f"not mended, for this changes what is read: {mend.changes}")
            self._take(base=mend.after)
            return self.agent

    def save(self) -> Agent:
        """Writes the draft to its file, of which only the edited lines change; gives the agent as saved.

        Raises:
            AgentChangedOnDisk: the file was changed meanwhile; nothing is written, the draft is kept, and
                `conflict` has the three texts. Where the file is gone, `write_again` brings it back.
            AgentFileError: the file cannot be written, or a control holds text that is not a value yet.
        """
        with self.lock:
            return self._write(lambda: save_agent(self.agent, over=self.saved))

    def write_again(self) -> Agent:
        """Writes the draft where its file was, which is gone; gives the agent as saved.

        Raises:
            AgentChangedOnDisk: a file is there, and `conflict` has the three texts; nothing is written.
            AgentFileError: as `save`, or the agent came from no file.
        """
        with self.lock:
            path = self.saved.path
            if path is None:
                raise AgentFileError("this agent came from no file, so there is none to write again")
            return self._write(lambda: save_agent(self.agent.replace(path=None), path))

    def revert(self) -> Agent:
        """Throws the draft away; gives the agent as it was last read. `restore` brings the draft back."""
        state = self._state
        with state.lock:
            state.thrown_away = self.text
            state.unreadable.clear()
            self._take(base=state.saved)
            return self.agent

    def restore(self) -> Agent:
        """Brings back the draft that `revert` threw away.

        Raises:
            WorkbenchError: none was.
        """
        state = self._state
        with state.lock:
            if state.thrown_away is None:
                raise WorkbenchError("no draft was thrown away in this kernel")
            text, state.thrown_away = state.thrown_away, None
            self._take(base=parse_agent(text, path=state.saved.path))
            return self.agent

    def reread(self) -> tuple[str, ...]:
        """Reads the file again and makes the draft's edits on what it holds now.

        Gives the names of the fields that both the draft and the file changed: there the draft's lines stand.

        Raises:
            AgentFileError: the agent came from no file, or the file cannot be read.
        """
        state = self._state
        with state.lock:
            if state.saved.path is None:
                raise AgentFileError("this agent came from no file, so there is nothing to read again")
            before, mine = state.saved, self.edited
            state.disk = load_agent(state.saved.path)
            self.settle()
            return tuple(name for name in mine if getattr(before, name) != getattr(state.saved, name))

    def catch_up(self) -> bool:
        """Looks whether somebody else changed the file; gives whether the draft is another than before.

        Where nobody edits, the draft is what the file says now. Edits are kept: `conflict` has the three texts, and
        `settle` or `reread` make them one. Cheap where nothing changed: the file is read only when its time, length or
        inode is another than at the last look.
        """
        state = self._state
        path = state.saved.path
        if path is None or (mark := mark_of(path)) == state.seen:
            return False
        with state.lock:
            state.seen = mark
            state.is_illegible = False
            if mark is None:
                return self._miss_file()
            try:
                disk = load_agent(path)
            except AgentFileError as error:
                state.is_illegible = True
                state.news = f"The file changed on disk, and cannot be read: {error}"
                self._tell()
                return False
            was_gone, state.is_gone = state.is_gone, False
            if disk.text == state.saved.text:
                if was_gone or state.disk is not None:
                    state.disk, state.news = None, ""
                    self._tell()
                return False
            if self.is_edited or state.unreadable:
                state.disk, state.news = disk, ""  # the conflict says it
                self._tell()
                return False
            state.saved, state.disk = disk, None
            self._take(base=disk)
            state.news = "The file changed on disk: this is what it says now."
            self._tell()
            return True

    def settle(self, sides: Mapping[int, Side] | None = None) -> Agent:
        """The draft made one with the file as it was found changed; the next `save` writes it.

        Args:
            sides: by the number of a clash in `conflict.pieces`, whose lines stand; mine unless said.

        Raises:
            WorkbenchError: the file was not found changed.
        """
        state = self._state
        with state.lock:
            merge = self.conflict
            if merge is None or state.disk is None:
                raise WorkbenchError("there is nothing to settle: the file was not found changed")
            if merge.clashes and state.drafts is not None and self._keeps:
                # The lines that lose the choice are nowhere else: the draft as it was stays on disk, under its day.
                save_draft(state.drafts, base=state.disk.text, text=self.text)
                set_draft_aside(state.drafts)
            merged = parse_agent(merge.text(sides), path=state.saved.path)
            state.saved, state.disk, state.is_gone = state.disk, None, False
            self._take(base=merged)
            return self.agent

    def take_up_draft(self) -> Agent:
        """The draft of an earlier process as the draft; where the file changed since, made one with it.

        Where both changed the same lines, `conflict` has them, and `settle` decides.

        Raises:
            WorkbenchError: there is none.
        """
        state = self._state
        with state.lock:
            if state.offered is None:
                raise WorkbenchError("no draft of an earlier kernel is kept for this file")
            kept, state.offered = state.offered, None
            path, merge = state.saved.path, merge_texts(kept.base, kept.text, state.saved.text)
            if merge.clashes:
                state.saved, state.disk = parse_agent(kept.base, path=path), state.saved
            self._take(base=parse_agent(kept.text if merge.clashes else merge.text(), path=path))
            return self.agent

    def drop_draft(self) -> None:
        """Removes the draft that an earlier process kept.

        Raises:
            AgentFileError: it cannot be removed.
        """
        state = self._state
        with state.lock:
            if state.offered is not None and state.drafts is not None:
                remove_draft(state.drafts)
                state.offered = None
                self._tell()

    def keep(self) -> None:
        """Keeps the draft on disk. That it cannot be stands in `trouble`, and stops nothing."""
        with self.lock:
            if not self._keeps:
                return
            try:
                self._keep()
            except AgentFileError as error:
                self._state.trouble = str(error)
            else:
                if not self._state.is_damaged:
                    self._state.trouble = ""

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong or doubtful in the draft, in the order of lines."""
        return check_agent(self.agent)

    def version(self, name: str = "disk") -> Agent:
        """The agent as it was last read ("disk"), or as git's HEAD has it ("git").

        Raises:
            WorkbenchError: there is no such version; the message says why.
        """
        if name == "disk":
            return self.saved
        if name != "git":
            raise WorkbenchError(f"there is no version {name!r} of this agent; there are 'disk' and 'git'")
        if self.saved.path is None:
            raise AgentFileError("this agent came from no file, so git knows nothing of it")
        return load_committed(self.saved.path)

    def diff(self, against: str = "disk") -> str:
        """Unified diff from a `version` to the draft; empty where they are equal.

        Raises:
            WorkbenchError: there is no such version; the message says why.
        """
        return diff_agents(self.version(against), self.agent)

    def observe(self, call: Callable[[], None]) -> Callable[[], None]:
        """Has this called after each change of the draft or the file; gives a function that ends it."""
        observers = self._state.observers
        observers.append(call)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                observers.remove(call)

        return stop

    def face(self, make: Callable[[], _Face], of: str = "editor") -> _Face:
        """What shows the draft, or tries it, made by the first that asks: all drafts of one file share it."""
        state = self._state
        with state.lock:
            if of not in state.faces:
                state.faces[of] = make()
            return cast("_Face", state.faces[of])

    def _miss_file(self) -> bool:
        """The file is gone: the draft is all that is left of it."""
        self._state.is_gone, self._state.disk = True, None
        self._tell()
        return False

    def _write(self, save: Callable[[], Agent]) -> Agent:
        """Saves, unless there is a reason not to; where the file is not what it should be, looks at what it is."""
        state = self._state
        if state.unreadable:
            name, (_, why) = next(iter(state.unreadable.items()))
            raise AgentFileError(f"not saved: {key_of(name)} is {why}", path=state.saved.path)
        try:
            saved = save()
        except AgentChangedOnDisk:
            if state.saved.path is not None:
                state.is_gone = not state.saved.path.exists()
                state.disk = None if state.is_gone else load_agent(state.saved.path)
                self._tell()
            raise
        state.saved, state.disk, state.is_gone = saved, None, False
        self._take(base=saved)
        return saved

    def _take(
        self, *, base: Agent | None = None, edits: dict[str, Any] | None = None, draft: Agent | None = None
    ) -> None:
        """Makes this the draft, keeps it on disk and tells everybody."""
        state = self._state
        if base is not None:
            state.base, state.edits = base, {}
        if edits is not None:
            state.edits = edits
        state.draft, state.typed, state.news = draft, None, ""
        if state.base is not state.saved and self.text == state.saved.text:
            state.base, state.edits, state.draft = state.saved, {}, None
        self.look()

    def _keep(self) -> None:
        state = self._state
        if state.drafts is None:
            return
        if self.is_edited:
            if state.offered is not None or state.is_damaged:
                # Somebody types on without having looked at what is there: that stays, under its day.
                set_draft_aside(state.drafts)
                state.offered, state.is_damaged = None, False
            save_draft(state.drafts, base=state.saved.text, text=self.text)
        elif state.offered is None and not state.is_damaged:
            remove_draft(state.drafts)

    def _tell(self) -> None:
        for call in tuple(self._state.observers):
            call()

    def _meet(self, agent: Agent) -> None:
        """A cell that was run again brought the agent anew, while there is a draft of its file."""
        state = self._state
        with state.lock:
            disk = as_on_disk(agent)
            changes = edits_beside(agent, disk)
            if disk.text != state.saved.text:
                if self.is_edited:
                    state.disk = disk
                else:
                    state.saved = disk
                    self._take(base=disk)
            if changes:
                self.edit(**changes)
            self._tell()
