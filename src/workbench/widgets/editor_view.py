"""What a page shows of a `Draft`: its values go there, what is typed and clicked comes back.

Nothing is decided here: each act of the page is one method of the draft.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets
import traitlets
import yaml

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.description import Example
from workbench.definition.draft import Draft
from workbench.definition.facts import facts
from workbench.definition.fields import FORM, KEYS, key_of
from workbench.definition.header import Problem
from workbench.definition.lines import plain_line_ends
from workbench.definition.lint import check_agent
from workbench.definition.mend import Mend, mends_of
from workbench.definition.merge import Merge, Piece
from workbench.definition.seen import seen_from_here
from workbench.errors import AgentChangedOnDisk, WorkbenchError
from workbench.markup import command, counted, visible
from workbench.runs.upkeep import estimate_upkeep
from workbench.trial.description_tasks import tasks_of_description
from workbench.trial.task_variables import as_template
from workbench.trial.task_writing import task_file_to_write
from workbench.widgets.editor_pages import reading_rows, standing, title
from workbench.widgets.frame import sendable
from workbench.widgets.models import model_choices, model_rows
from workbench.widgets.shared_text import SharedText
from workbench.widgets.watch import look_every_second

if TYPE_CHECKING:
    from workbench.ledger.versions import TriedVersion
    from workbench.routing.picked import PickedLook

_FRONT = Path(__file__).parent / "front"
_LINES_AROUND = 3


class _Code(ipywidgets.Widget):  # type: ignore[misc]
    """The browser code of all editors, sent to a page once: anywidget would send it with each of them."""

    code = traitlets.Unicode().tag(sync=True)
    digest = traitlets.Unicode().tag(sync=True)


_code: list[_Code] = []


def _shared_code() -> _Code:
    if not _code or _code[0].comm is None:
        text = (_FRONT / "built" / "editor.js").read_text(encoding="utf-8")
        _code[:] = [_Code(code=text, digest=hashlib.sha256(text.encode()).hexdigest())]
    return _code[0]


class EditorView(anywidget.AnyWidget):
    """The one model of an editor, for however many views and pages."""

    _esm = _FRONT / "load.js"
    keep_after_seconds = 1.0
    """How soon what was typed is on disk, though nobody asks for it."""

    code = traitlets.Instance(ipywidgets.Widget).tag(sync=True, **ipywidgets.widget_serialization)
    snapshot = traitlets.Dict().tag(sync=True)
    """What a page begins with; put together whenever one asks."""

    def __init__(
        self, draft: Draft, *, versions: Callable[[], Sequence[TriedVersion]], version: Callable[[str], Agent]
    ) -> None:
        """The view of a draft.

        Args:
            versions: finds the versions of the agent that were ever tried.
            version: gives the agent as it was in one of them, as `disk` or as `git` has it.
        """
        self._draft = draft
        self._find_versions = versions
        self._find_version = version
        self._texts = {"prompt": SharedText(draft.agent.prompt), "raw": SharedText(plain_line_ends(draft.text))}
        self._heard: dict[str, int] = {}
        self._note, self._note_fails = "", False
        self._keeping: threading.Timer | None = None
        self._picked: PickedLook | None = None
        """How the agent was picked; `None` before the first look."""
        super().__init__(code=_shared_code())
        self.on_msg(lambda _widget, content, _buffers: self._hear(content))
        draft.observe(self.refresh)
        look_every_second(self.catch_up)
        look_every_second(self.look_at_decisions)

    # The state of a page that is loaded later must be that of now; traitlets would send the one that was last set.
    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        if "snapshot" in state:
            with self._draft.lock:
                state["snapshot"] = {
                    "facts": _facts(),
                    "texts": {name: text.snapshot() for name, text in self._texts.items()},
                    "state": self._state(),
                }
        return state

    def catch_up(self) -> None:
        """Shows what the file says now, where somebody else changed it and nobody edits it here."""
        with self._draft.lock:
            before = self._draft.news
            self._draft.catch_up()
            if self._draft.news != before:  # what was said of an earlier act is no news any more
                self._note = ""
                self.refresh()

    def look_at_decisions(self) -> None:
        """Shows how the agent was picked, where that is another than before. In the thread of the looks: the first one
        loads what reads a ledger, and a ledger may be long."""
        if self._picked is None:
            from workbench.routing.picked import PickedLook

            self._picked = PickedLook(self._draft)
        if self._picked.look():
            with self._draft.lock:
                self.send({"type": "state", "state": self._state()})

    def refresh(self) -> None:
        """Shows the draft as it is now."""
        draft = self._draft
        for name, now in (("prompt", draft.agent.prompt), ("raw", plain_line_ends(draft.text))):
            text = self._texts[name]
            before = text.version
            if text.set(now):
                self._send_updates(name, before)
        self.send({"type": "state", "state": self._state()})

    def _hear(self, content: dict[str, Any]) -> None:
        """A message of a page, in whichever thread this ipykernel runs callbacks."""
        with self._draft.lock:
            match content.get("type"):
                case "hello":
                    for name, version in content["versions"].items():
                        self._send_updates(name, version)
                    self.send({"type": "state", "state": self._state()})
                case "push":
                    self._push(content["text"], content["version"], content["client"], content["updates"])
                case "pull":
                    self._send_updates(content["text"], content["version"])
                case "look":
                    if self._keeping is not None:
                        self._keeping.cancel()
                        self._keeping = None
                    self._draft.look()
                case "field":
                    self._heard[content["client"]] = content["seq"]
                    self._note = ""
                    self._draft.type_field(content["field"], content["value"])
                case "examples":
                    self._heard[content["client"]] = content["seq"]
                    self._attempt(lambda: self._take_examples(content["examples"]))
                case "act":
                    self._attempt(lambda: self._act(content["act"], content.get("with", {})))

    def _push(self, name: str, version: int, client: str, updates: list[Any]) -> None:
        text = self._texts[name]
        try:
            taken = text.take(version, client, updates)
        except ValueError:
            self.send({"type": "reset", "text": name, **text.snapshot()})
            return
        self._send_updates(name, version)
        if taken:
            # Only what was typed is noted here. The page asks to look when it pauses; until then no problem is searched
            # and no file written, so that a key costs the same however long the agent is.
            self._note = ""
            (self._draft.type_prompt if name == "prompt" else self._draft.type_text)(text.text)
            self._keep_soon()

    def _keep_soon(self) -> None:
        """What was typed is on disk soon, even if the page that typed it is gone and asks for nothing more."""
        if self._keeping is None:
            self._keeping = threading.Timer(self.keep_after_seconds, self._keep)
            self._keeping.daemon = True
            self._keeping.start()

    def _keep(self) -> None:
        with self._draft.lock:
            self._draft.keep()
            self._keeping = None

    def _send_updates(self, name: str, version: int) -> None:
        text = self._texts[name]
        updates = text.since(version)
        if updates is None:
            self.send({"type": "reset", "text": name, **text.snapshot()})
        else:
            self.send({"type": "updates", "text": name, "version": version, "updates": updates})

    def _take_examples(self, rows: list[dict[str, str]]) -> str:
        self._draft.edit_examples([Example(**row) for row in rows])
        return ""

    def _act(self, name: str, given: dict[str, Any]) -> str | None:
        """Does what a button is for, and gives the words for it; `None`: what was said before stays."""
        draft = self._draft
        acts: dict[str, Callable[[], str | None]] = {
            "save": lambda: _said(draft.save(), "Saved."),
            "revert": lambda: _said(draft.revert(), "All edits are thrown away; Undo revert brings them back."),
            "restore": lambda: _said(draft.restore(), "Your edits are back."),
            "reread": self._read_again,
            "write_again": lambda: _said(draft.write_again(), "The file is there again, as the draft is."),
            "settle": lambda: _said(
                draft.settle({int(index): side for index, side in given["sides"].items()}),
                "Both are one draft now. Look at the changes, then save.",
            ),
            "take_up_draft": lambda: _said(draft.take_up_draft(), "The kept draft is back."),
            "drop_draft": self._drop_draft,
            "mend": lambda: self._mend(**given),
            "compare": lambda: self._compare(given["against"]),
            "versions": self._list_versions,
            "tasks": self._show_tasks,
        }
        return acts[name]()

    def _attempt(self, act: Callable[[], str | None]) -> None:
        """Does what a button is for and shows what it says, or why it could not."""
        fails = False
        try:
            note = act()
        except AgentChangedOnDisk as error:
            fails, note = True, str(error)
            if self._draft.is_gone:
                note = "Not saved: the file is gone since it was read. The draft is kept."
            elif self._draft.conflict is not None:
                note = "Not saved: the file changed on disk since it was read."
        except WorkbenchError as error:
            note, fails = str(error), True
        if note is not None:
            self._note, self._note_fails = note, fails
        self.refresh()

    def _read_again(self) -> str:
        on_both_sides = self._draft.reread()
        if not on_both_sides:
            return "The file is read again, and your edits are made on it."
        fields = ", ".join(map(key_of, on_both_sides))
        return (
            f"The file is read again. Both it and you changed: {fields}. Yours stands: see the changes before you save."
        )

    def _drop_draft(self) -> str:
        self._draft.drop_draft()
        return "The kept draft is removed."

    def _mend(self, accepting: str, **problem: Any) -> str:
        self._draft.mend(Problem(**problem), accepting=accepting)
        return "Changed as it was said." if accepting else "Mended."

    def _compare(self, against: str) -> None:
        try:
            text, says = sendable(plain_line_ends(self._find_version(against).text)), ""
        except WorkbenchError as error:
            text, says = None, str(error)
        self.send({"type": "compared", "against": against, "text": text, "says": says})

    def _list_versions(self) -> None:
        try:
            found, says = tuple(self._find_versions()), ""
        except WorkbenchError as error:
            found, says = (), str(error)
        items = [
            {
                "name": one.sha256,
                "says": f"{one.last_at[:16].replace('T', ' ')} UTC, {', '.join(one.variants)}: "
                f"{counted(one.trials, 'trial')} ({one.sha256[:8]})",
            }
            for one in found
        ]
        self.send({"type": "versions", "items": items, "says": says})

    def _show_tasks(self) -> None:
        # A task's fields are templates, and what an example says is a text.
        tasks = [
            {
                name: as_template(value)
                for name, value in asdict(task).items()
                if name in ("id", "group", "context", "input") and value
            }
            for task in tasks_of_description(self._draft.agent)
        ]
        text = yaml.safe_dump(tasks, sort_keys=False, allow_unicode=True, width=10**6) if tasks else ""
        if tasks and (path := self._draft.agent.path) is not None:
            file = visible(str(seen_from_here(task_file_to_write(self._draft.agent))))
            made_by = visible(command("workbench", "tasks", seen_from_here(path), "--from", "description", "--write"))
            text = f"# For {file}, as written by: {made_by}\n{text}"
        self.send({"type": "tasks", "text": sendable(text)})

    def _state(self) -> dict[str, Any]:
        draft = self._draft
        agent = parse_agent(draft.text, path=draft.agent.path)
        problems = check_agent(agent)
        mends = {mend.problem: mend for mend in mends_of(agent, problems)}
        conflict, offered = draft.conflict, draft.kept_draft
        state = {
            "title": title(agent),
            "path": str(agent.path) if agent.path else "",
            "standing": standing(draft),
            "is_edited": draft.is_edited,
            "edited": list(draft.edited),
            "can_restore": draft.can_restore,
            "note": " ".join(filter(None, (self._note, draft.news, draft.trouble))),
            "note_fails": self._note_fails or bool(draft.trouble),
            "is_gone": draft.is_gone,
            "heard": dict(self._heard),
            "fields": {name: self._field(name, agent) for name in FORM},
            "unknown": [
                {"key": entry.key, "text": entry.text.rstrip("\r\n")}
                for entry in agent.document.entries
                if entry.key not in KEYS
            ],
            "examples": [asdict(example) for example in draft.examples],
            "model": model_rows(agent),
            "body_line": agent.document.body_line,
            "problems": [asdict(problem) | _offer(mends.get(problem)) for problem in problems],
            "reading": reading_rows(agent),
            "upkeep": _upkeep_rows(agent),
            "picked": self._picked_row(agent),
            "offered": None if offered is None else {"at": offered.at[:16].replace("T", " ")},
            "conflict": None if conflict is None else _conflict(conflict),
        }
        sent: dict[str, Any] = json.loads(sendable(json.dumps(state, ensure_ascii=False)))
        return sent

    def _picked_row(self, agent: Agent) -> dict[str, Any] | None:
        """What stands beside the description; `None` before the first look."""
        if self._picked is None or not self._picked.line.text:
            return None
        line = self._picked.line
        return {"kind": line.kind, "text": line.text, "details": line.details, "moved_on": self._picked.moved_on(agent)}

    def _field(self, name: str, agent: Agent) -> dict[str, Any]:
        text, why = self._draft.field_text(name)
        shown: dict[str, Any] = {"text": text, "why": why}
        if FORM[name].is_list:
            shown["items"] = list(getattr(agent, name) or ())
        return shown


def _offer(mend: Mend | None) -> dict[str, Any]:
    """Whether there is a mend, and what it would change."""
    return {"mend": mend is not None, "changes": "" if mend is None else mend.changes}


def _said(_value: object, words: str) -> str:
    return words


def _facts() -> dict[str, Any]:
    """What does not change while one edits: the form, the tools, the colours."""
    known = facts()
    return {
        "product": f"{known['product']} {known['version']}",
        "forms": [
            {name: value for name, value in asdict(field).items() if name != "types"}
            | {"keeps_empty": field.keeps_empty}
            for field in FORM.values()
        ],
        "colors": known["colors"],
        "models": model_choices(),
        "tools": [
            {
                "title": heading,
                "tools": [
                    {"name": name, "grants": tool["grants"]}
                    for name, tool in known["tools"].items()
                    if tool["group"] == group
                ],
            }
            for group, heading in known["tool_groups"].items()
        ],
        "missing_tools": [*known["gone_tools"], *known["main_thread_tools"]],
    }


def _upkeep_rows(agent: Agent) -> dict[str, Any]:
    try:
        upkeep = estimate_upkeep(agent)
    except WorkbenchError as error:
        return {"brief": "", "rows": [], "assumption": str(error)}
    tokens = (
        ("prompt", upkeep.prompt_tokens, upkeep.prompt_usd, upkeep.model),
        ("description", upkeep.description_tokens, upkeep.description_usd, upkeep.session_model),
    )
    rows = [
        [name, f"about {count:,} tokens", "price not known" if usd is None else f"{usd:.2f} USD a day", model]
        for name, count, usd, model in tokens
    ]
    total = "" if upkeep.usd is None else f" · about {upkeep.usd:.2f} USD a day"
    return {
        "brief": f"prompt {upkeep.prompt_tokens:,} + description {upkeep.description_tokens:,} tokens{total}",
        "rows": rows,
        "assumption": f"Assumed: {upkeep.assumption}.",
    }


def _conflict(merge: Merge) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "kind": _kind(piece),
            **{name: _brief(text) if _kind(piece) == "same" else text for name, text in asdict(piece).items()},
        }
        for index, piece in enumerate(merge.pieces)
    ]


def _kind(piece: Piece) -> str:
    if piece.is_clash:
        return "clash"
    if piece.base == piece.mine == piece.disk:
        return "same"
    return "mine" if piece.disk == piece.base else "disk"


def _brief(text: str) -> str:
    """The first and last lines of a long stretch that nobody changed."""
    lines = text.splitlines()
    if len(lines) <= 2 * _LINES_AROUND + 1:
        return text
    left_out = f"… {len(lines) - 2 * _LINES_AROUND:,} lines that nobody changed …"
    return "\n".join([*lines[:_LINES_AROUND], left_out, *lines[-_LINES_AROUND:]]) + "\n"
