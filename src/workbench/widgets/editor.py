"""`AgentEditor`: every field of an agent file and its prompt; what is wrong, how it is read, what changed."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ipywidgets

from workbench.definition.agent import FIELDS, Agent, diff_agents, load_agent, save_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.lint import check_agent
from workbench.errors import AgentChangedOnDisk, AgentFileError, WorkbenchError
from workbench.widgets.fields import ABSENT, FORMS, FieldForm, text_of, value_of
from workbench.widgets.frame import as_code, as_rows, as_text, bundle, frame, sendable, styled


class AgentEditor:
    """An editor for one agent; show it by leaving it as the last value of a cell.

    `agent` is the draft, a new value after each edit; `saved` is what the file holds. A field that nobody
    edits keeps the form its author gave it, and a field edited back to its old value is as if never edited.
    All methods may be called from any thread.
    """

    def __init__(self, agent: Agent, *, save: Callable[[Agent], Agent] = save_agent) -> None:
        self._write = save
        self._lock = threading.RLock()
        self._saved = agent
        self._draft = agent
        self._view: _EditorView | None = None

    @property
    def agent(self) -> Agent:
        """The draft."""
        return self._draft

    @property
    def saved(self) -> Agent:
        """The agent as it was last read from its file or written to it."""
        return self._saved

    @property
    def edited(self) -> tuple[str, ...]:
        """The names of the fields in which the draft differs from the file, in the order of the form."""
        return tuple(name for name in (*FORMS, "prompt") if getattr(self._draft, name) != getattr(self._saved, name))

    def edit(self, **changes: Any) -> Agent:
        """The draft with these fields changed, as if typed; `None` removes a key from the file.

        Raises:
            TypeError: there is no such field.
            WorkbenchError: a value cannot be written into an agent file.
        """
        unknown = set(changes) - {*FORMS, "prompt"}
        if unknown:
            raise TypeError(f"no such field: {', '.join(sorted(unknown))}; the fields are {', '.join(FORMS)}, prompt")
        with self._lock:
            self._change(changes)
            if self._view is not None:
                self._view.show_values(changes)
            return self._draft

    def save(self) -> Agent:
        """Writes the draft to its file, of which only the edited lines change; gives the agent as saved.

        Raises:
            AgentChangedOnDisk: the file was changed meanwhile; nothing is written and the draft is kept.
            AgentFileError: the file cannot be written, or a control holds text that is not a value yet.
        """
        with self._lock:
            if self._view is not None and self._view.unreadable:
                field, why = next(iter(self._view.unreadable.items()))
                raise AgentFileError(f"not saved: {FIELDS[field]} is {why}", path=self._saved.path)
            self._saved = self._draft = self._write(self._draft)
            self._refresh()
            return self._saved

    def revert(self) -> Agent:
        """Throws the draft away; gives the agent as it was last read."""
        with self._lock:
            self._draft = self._saved
            if self._view is not None:
                self._view.show_values({name: getattr(self._saved, name) for name in (*FORMS, "prompt")})
            self._refresh()
            return self._draft

    def reread(self) -> tuple[str, ...]:
        """Reads the file again and makes the draft's edits on what it holds now.

        Gives the names of the fields that both the draft and the file changed: there the draft's value stands.

        Raises:
            AgentFileError: the agent came from no file, or the file cannot be read.
        """
        with self._lock:
            if self._saved.path is None:
                raise AgentFileError("this agent came from no file, so there is nothing to read again")
            before, now = self._saved, load_agent(self._saved.path)
            edits = {name: getattr(self._draft, name) for name in self.edited}
            self._draft = now.replace(**edits) if edits else now
            self._saved = now
            if self._view is not None:
                self._view.show_values({name: getattr(now, name) for name in (*FORMS, "prompt") if name not in edits})
            self._refresh()
            return tuple(name for name in self.edited if getattr(before, name) != getattr(now, name))

    def _change(self, changes: dict[str, Any]) -> None:
        """Makes the draft anew from the saved agent, so that an edit taken back leaves no trace."""
        wanted = {name: getattr(self._draft, name) for name in self.edited} | changes
        edits = {name: value for name, value in wanted.items() if value != getattr(self._saved, name)}
        draft = self._saved.replace(**edits) if edits else self._saved
        draft.to_bytes()  # a value that cannot be written raises here, before it is taken
        self._draft = draft
        self._refresh()

    def _refresh(self) -> None:
        if self._view is not None:
            self._view.refresh()

    def _open_view(self) -> ipywidgets.Widget:
        with self._lock:
            if self._view is None:
                self._view = _EditorView(self)
                self._view.refresh()
            return self._view.box

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        return bundle(page=_page(self), markdown=_markdown(self), text=repr(self), view=self._open_view)

    def __repr__(self) -> str:
        return f"AgentEditor({_title(self._draft)}: {_standing(self)})"


class _EditorView:
    """The controls of an editor. They call the editor's methods and show its values; they decide nothing."""

    def __init__(self, editor: AgentEditor) -> None:
        self._editor = editor
        self._is_showing = False
        self.unreadable: dict[str, str] = {}
        """By field: why the text of its control is no value yet; the draft keeps the value before."""
        self._controls = {name: _control(name, form, getattr(editor.agent, name)) for name, form in FORMS.items()}
        self._controls["prompt"] = styled(
            ipywidgets.Textarea(value=sendable(editor.agent.prompt), description="Prompt", continuous_update=True),
            "prompt",
            "code",
        )
        for name, control in self._controls.items():
            control.observe(lambda change, name=name: self._take(name, change["new"]), "value")

        self._heading = ipywidgets.HTML()
        self._note = ipywidgets.HTML()
        self._problems, self._reading, self._diff = (ipywidgets.HTML() for _ in range(3))
        self._tab = ipywidgets.Tab(children=[self._problems, self._reading, self._diff])
        self._save = ipywidgets.Button(
            description="Save", tooltip="Write the edited lines to the file (Ctrl-S)", button_style="primary"
        )
        self._revert = ipywidgets.Button(description="Revert", tooltip="Throw all edits away")
        self._reread = ipywidgets.Button(
            description="Read the file again, keep my edits",
            tooltip="Take what the file holds now and make your edits on it",
        )
        self._save.on_click(lambda _: self._attempt(self._save_draft))
        self._revert.on_click(lambda _: self._attempt(self._throw_away))
        self._reread.on_click(lambda _: self._attempt(self._read_again))
        form = styled(ipywidgets.VBox([self._row(name) for name in FORMS]), "form")
        self.box = frame(
            "Agent editor",
            styled(ipywidgets.HBox([self._heading, self._reread, self._save, self._revert]), "bar"),
            self._note,
            styled(ipywidgets.Box([form, self._controls["prompt"]]), "columns"),
            self._tab,
            on_save=lambda: self._attempt(self._save_draft),
        )
        self._say("")

    def show_values(self, values: dict[str, Any]) -> None:
        """Sets the controls of these fields, without taking that for typing."""
        with self._showing():
            for name, value in values.items():
                self.unreadable.pop(name, None)
                self._show_value(name, value)

    def refresh(self) -> None:
        """Shows the draft as it is now: all but the controls that one types in."""
        editor = self._editor
        problems = _problem_rows(editor.agent, self.unreadable)
        self._heading.value = as_text(_title(editor.agent), name="title") + as_text(_standing(editor), name="faint")
        self._problems.value = _problems_page(problems)
        self._reading.value = as_rows(_reading_rows(editor.agent), ("of Claude Code", "reading"))
        self._diff.value = _diff_page(diff_agents(editor.saved, editor.agent))
        self._tab.titles = (
            f"Problems ({len(problems)})",
            "As Claude Code reads it",
            f"Diff ({len(editor.edited)} edited)",
        )
        self._save.disabled = self._revert.disabled = not editor.edited and not self.unreadable
        for name, form in FORMS.items():
            if not form.is_picked:
                self._controls[name].placeholder = _placeholder(form, getattr(editor.agent, name))

    def _row(self, name: str) -> ipywidgets.Widget:
        control = self._controls[name]
        if FORMS[name].is_picked:
            return styled(ipywidgets.HBox([control, styled(ipywidgets.HTML(), "gap")]), "row")
        remove = ipywidgets.Button(icon="times", tooltip=f"Remove {FIELDS[name]} from the file")
        remove.on_click(lambda _: self._attempt(lambda: self._remove(name)))
        return styled(ipywidgets.HBox([control, remove]), "row")

    def _take(self, name: str, shown: Any) -> None:
        """An edit of the user, in whichever thread this ipykernel runs callbacks."""
        with self._editor._lock:
            if self._is_showing:
                return
            self.unreadable.pop(name, None)
            if not self._is_in_conflict:
                self._say("")
            try:
                self._editor._change({name: _value_shown(name, shown)})
            except (ValueError, WorkbenchError) as error:
                self.unreadable[name] = str(error)
                self.refresh()

    def _show_value(self, name: str, value: Any) -> None:
        control = self._controls[name]
        if name == "prompt":
            control.value = sendable(value)
        elif isinstance(control, ipywidgets.Dropdown):
            control.options = _choices(FORMS[name], value)
            control.value = ABSENT if value is None else value
        else:
            control.value = sendable(text_of(FORMS[name], value))

    @contextmanager
    def _showing(self) -> Iterator[None]:
        self._is_showing = True
        try:
            yield
        finally:
            self._is_showing = False

    def _read_again(self) -> str:
        on_both_sides = self._editor.reread()
        if not on_both_sides:
            return "The file is read again, and your edits are made on it."
        fields = ", ".join(FIELDS.get(name, name) for name in on_both_sides)
        return f"The file is read again. Both it and you changed: {fields}. Yours stands: see the diff before you save."

    def _save_draft(self) -> str:
        self._editor.save()
        return "Saved."

    def _throw_away(self) -> str:
        self._editor.revert()
        return "All edits are thrown away."

    def _remove(self, name: str) -> str:
        self._editor.edit(**{name: None})
        return ""

    def _attempt(self, act: Callable[[], str]) -> None:
        """Does what a button is for and shows what it says, or why it could not."""
        try:
            said = act()
        except WorkbenchError as error:
            self._say(str(error), conflict=isinstance(error, AgentChangedOnDisk))
        else:
            self._say(said)

    def _say(self, text: str, *, conflict: bool = False) -> None:
        self._is_in_conflict = conflict
        self._note.value = f'<div role="status" class="workbench-note">{html.escape(text)}</div>'
        self._note.layout.display = None if text else "none"
        self._reread.layout.display = None if conflict else "none"


def _control(name: str, form: FieldForm, value: Any) -> ipywidgets.Widget:
    label: dict[str, Any] = {"description": FIELDS[name], "style": {"description_width": "116px"}}
    if form.is_picked:
        return ipywidgets.Dropdown(options=_choices(form, value), value=ABSENT if value is None else value, **label)
    text: dict[str, Any] = {"value": sendable(text_of(form, value)), "continuous_update": True, **label}
    if form.kind == "suggestions":
        return ipywidgets.Combobox(options=form.values, **text)
    if form.kind in ("lines", "yaml"):
        return styled(ipywidgets.Textarea(rows=form.rows, **text), *(["code"] if form.kind == "yaml" else []))
    return ipywidgets.Text(**text)


def _choices(form: FieldForm, value: Any) -> list[tuple[str, Any]]:
    """What a dropdown offers: no key, the known values, and the file's own if it is none of them."""
    known: list[Any] = [True, False] if form.kind == "switch" else list(form.values)
    choices = [(f"not in the file: {form.absent}", ABSENT)]
    choices += [(str(choice).lower() if form.kind == "switch" else choice, choice) for choice in known]
    if value is not None and not any(value is choice or value == choice for choice in known):
        choices.append((f"{value} (not a value that Claude Code knows)", value))
    return choices


def _value_shown(name: str, shown: Any) -> Any:
    if name == "prompt":
        return shown
    if FORMS[name].is_picked:
        return None if shown is ABSENT else shown
    return value_of(FORMS[name], shown)


def _placeholder(form: FieldForm, value: Any) -> str:
    return f"not in the file: {form.absent}" if value is None else form.empty


def _title(agent: Agent) -> str:
    return agent.name or (agent.path.name if agent.path else "agent without a name")


def _standing(editor: AgentEditor) -> str:
    where = "no file" if editor.saved.path is None else editor.saved.path.name
    if not editor.edited:
        return f"{where}, no edits"
    return f"{where}, edited and not saved: {', '.join(FIELDS.get(name, name) for name in editor.edited)}"


def _problem_rows(agent: Agent, unreadable: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Rows of severity, place, field and finding; first what the controls hold that is no value yet."""
    rows: list[tuple[str, ...]] = [
        ("not taken", "", FIELDS[name], f"{why}; the draft keeps the value before") for name, why in unreadable.items()
    ]
    for problem in check_agent(agent):
        found = problem.message if problem.fix is None else f"{problem.message}\n{problem.fix}"
        rows.append((problem.severity, f"{problem.line}:{problem.column}", problem.field or "", found))
    return rows


def _reading_rows(agent: Agent) -> list[tuple[str, ...]]:
    reading = read_as_claude_code(agent)
    verdicts = {
        "strict": "offered to the model: the header is valid YAML",
        "retry": "offered to the model after a repair: the header is not valid YAML, which others refuse",
        "dropped": "not offered: Claude Code passes the file over in silence",
    }
    shown: list[tuple[str, ...]] = [("verdict", verdicts[reading.verdict])]
    if reading.listed:
        shown += [
            ("in the list of agents", f"- {reading.name}: {reading.description} (Tools: {reading.tools})"),
            ("model", reading.model or ""),
            ("effort", reading.effort or "that of the conversation"),
            ("prompt", f"{len(reading.prompt):,} characters, blank lines at its edges left out"),
        ]
    return shown + [(problem.severity, f"{problem.message} {problem.fix or ''}") for problem in reading.problems]


def _diff_page(diff: str) -> str:
    if not diff:
        return as_text("The draft is what the file says.", tag="p", name="faint")
    kinds = {"+": "added", "-": "removed"}
    heads, lines = diff.split("\n")[:2], diff.removesuffix("\n").split("\n")[2:]
    marked = [(line, "kept") for line in heads] + [(line, kinds.get(line[:1], "kept")) for line in lines]
    shown = "".join(as_text(line + "\n", name=kind) for line, kind in marked)
    return f'<pre class="workbench-text" tabindex="0" aria-label="Diff of file and draft">{shown}</pre>'


def _problems_page(rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return as_text("No problems found.", tag="p", name="faint")
    return as_rows(rows, ("severity", "line:column", "field", "finding"))


def _page(editor: AgentEditor) -> str:
    """The editor as a page without controls."""
    diff = diff_agents(editor.saved, editor.agent)
    return "".join(
        [
            "<div>",
            as_text(repr(editor), tag="p"),
            as_rows(_field_rows(editor.agent), ("field", "value")),
            _problems_page(_problem_rows(editor.agent, {})),
            _diff_page(diff) if diff else "",
            f"<details><summary>Prompt</summary>{as_text(editor.agent.prompt, tag='pre')}</details>",
            "</div>",
        ]
    )


def _markdown(editor: AgentEditor) -> str:
    """The text of the draft and what changed in it, as Markdown."""
    diff = diff_agents(editor.saved, editor.agent)
    parts = [
        as_code(repr(editor)),
        as_code(editor.agent.text, "markdown"),
        as_code(diff, "diff") if diff else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _field_rows(agent: Agent) -> list[tuple[str, ...]]:
    values = ((name, form, getattr(agent, name)) for name, form in FORMS.items())
    return [(FIELDS[name], text_of(form, value)) for name, form, value in values if value is not None]
