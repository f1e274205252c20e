"""`Agent`: one definition file as a value, and the text that its changes give."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.definition.document import Document, parse_document
from workbench.definition.edit import with_body, with_value, without_key
from workbench.definition.fields import FIELDS, AgentFields, Field
from workbench.definition.forms import forms_of_data, forms_of_list, forms_of_text
from workbench.definition.header import Entry
from workbench.definition.lines import as_shown, lines_of, plain_line_ends
from workbench.definition.two_passes import parse_as_claude_code, split_tools
from workbench.errors import AgentFileError, WorkbenchError

_TRUTH = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_NOTHING = parse_document(b"")


@dataclass(frozen=True, kw_only=True)
class Agent(AgentFields):
    """One definition file as its author wrote it: the frontmatter fields and the prompt.

    A field is `None` where its key is absent. What Claude Code makes of the file is another reading:
    `read_as_claude_code`. Raises `TypeError` where a field is given a value of another type.
    """

    prompt: str = ""
    """The body, with the blank lines at its edges; every line end is `\\n`, whatever the file has."""
    document: Document = field(default=_NOTHING, compare=False, repr=False)
    """The text that was read, without later changes."""
    path: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name, one in FIELDS.items():
            object.__setattr__(self, name, _of_type(one, getattr(self, name)))
        if not isinstance(self.prompt, str):
            raise TypeError(f"prompt is text, not {type(self.prompt).__name__}")
        object.__setattr__(self, "prompt", plain_line_ends(self.prompt))

    def replace(self, **changes: Any) -> Agent:
        """A copy with these fields changed; `None` removes an entry. Raises `TypeError` on an unknown one."""
        return dataclasses.replace(self, **changes)

    @property
    def text(self) -> str:
        """The exact text of the file, changes applied; a byte that is not UTF-8 is a lone surrogate."""
        return with_changes(self).text

    @property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, 64 hex digits."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The exact bytes of the file, changes applied. Raises `AgentFileError` on half a character."""
        try:
            return self.text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            character = error.object[error.start]
            raise AgentFileError(
                f"{character!r} cannot be written as UTF-8; take it out of the field or prompt that holds it",
                path=self.path,
            ) from None


def parse_agent(data: bytes | str, *, path: str | Path | None = None) -> Agent:
    """The agent in these bytes. Never raises: what cannot be read is `None`, and `check_agent` says why."""
    document = parse_document(data)
    return Agent(
        **copy.deepcopy(fields_of(document)),
        prompt=document.body,
        document=document,
        path=None if path is None else Path(path),
    )


def without_lines(agent: Agent, containing: str) -> Agent:
    """The agent without the lines of its prompt that hold this text, in any case.

    Raises:
        WorkbenchError: no line holds it, so the agent would be the same.
    """
    wanted = containing.casefold()
    lines = lines_of(agent.prompt)
    kept = [line for line in lines if wanted not in line.casefold()]
    if not wanted or len(kept) == len(lines):
        raise WorkbenchError(f"no line of the prompt of {agent.name or 'this agent'} holds {containing!r}")
    return agent.replace(prompt="".join(kept))


def with_changes(agent: Agent) -> Document:
    """The agent's document with its changed fields and its prompt written in; every other byte as it was.

    Each value is written in the first way that both its author and Claude Code read back as it is; where
    Claude Code cannot be brought to (`check_agent` says so), in the first way that the author does.
    """
    old = fields_of(agent.document)
    changed = [name for name in FIELDS if getattr(agent, name) != old[name]]
    document = agent.document
    if agent.prompt != plain_line_ends(document.body):
        document = with_body(document, agent.prompt)
    if not changed:
        return document
    nicest = surest = document
    for name in changed:
        nicest = next(_candidates(nicest, name, getattr(agent, name)))
    if not misread(nicest, agent, changed):
        return nicest
    mixed = nicest
    for name in changed:
        mixed = min(
            _candidates(mixed, name, getattr(agent, name)),
            key=lambda candidate: len(misread(candidate, agent, changed)),
        )
        *_, surest = _candidates(surest, name, getattr(agent, name))
    return min(nicest, mixed, surest, key=lambda candidate: len(misread(candidate, agent, changed)))


def fields_of(document: Document) -> dict[str, Any]:
    """The fields, by name, as the author of the document wrote them."""
    entries = {entry.key: entry for entry in document.entries}
    return {name: _field_of(one, entries.get(one.key)) for name, one in FIELDS.items()}


def misread(document: Document, agent: Agent, names: Iterable[str]) -> list[str]:
    """Those of the fields of which Claude Code's parser finds another value in the document than the agent has."""
    values = parse_as_claude_code(document).values
    return [name for name in names if _differs(FIELDS[name], getattr(agent, name), values.get(FIELDS[name].key))]


def _of_type(one: Field, value: Any) -> Any:
    """The value as the field holds it: lists as tuples, tools also from text with commas."""
    if value is None or one.is_data:
        return value
    if one.is_list:
        items = _items(value) if isinstance(value, str) else value
        if not isinstance(items, Iterable) or isinstance(items, (bytes, Mapping)):
            raise TypeError(f"{one.name} is a list of names, not {value!r}")
        items = tuple(items)
        if not all(isinstance(item, str) for item in items):
            raise TypeError(f"{one.name} is a list of names, not {value!r}")
        return items
    # True and False are whole numbers to Python, and to no author.
    if not isinstance(value, one.types) or (isinstance(value, bool) and bool not in one.types):
        raise TypeError(f"{one.name} cannot be {value!r}, a value of type {type(value).__name__}")
    return value


def _field_of(one: Field, entry: Entry | None) -> Any:
    if entry is None:
        return None
    value = entry.value
    if one.is_data:
        return value
    if one.is_list:
        return () if value is None else _items(value)
    if bool in one.types:
        return value if isinstance(value, bool) else _TRUTH.get(str(value).lower())
    if one.types == (int,):
        return _whole_number(value)
    if value is None or isinstance(value, str):
        return value
    if int in one.types and isinstance(value, int) and not isinstance(value, bool):
        return value
    return entry.source


def _items(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(part for item in items for part in split_tools(str(item)))


def _whole_number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def _candidates(document: Document, name: str, value: Any) -> Iterator[Document]:
    """The document with this field written in each way that reads back as it was meant; at least one."""
    one = FIELDS[name]
    key = one.key
    if value is None:
        yield without_key(document, key)
        return
    others = [(entry.key, entry.value) for entry in document.entries if entry.key != key]
    fallback: Document | None = None
    found = False
    for form in _forms(document.entry(key), one, value):
        candidate = with_value(document, key, form)
        if _field_of(one, candidate.entry(key)) != value:
            continue
        fallback = fallback or candidate
        if [(entry.key, entry.value) for entry in candidate.entries if entry.key != key] == others:
            found = True
            yield candidate
    if not found:
        yield fallback or candidate


def _forms(entry: Entry | None, one: Field, value: Any) -> Iterator[str]:
    style = "plain" if entry is None else entry.style
    if one.is_list:
        if entry is None and one.kind == "names":
            style = "flow"
        if entry is not None and entry.style == "recovered" and entry.source.startswith("["):
            style = "flow"
        yield from forms_of_list(value, style=style, indent=_indent_of(entry))
    elif one.is_data:
        yield from forms_of_data(value)
    elif isinstance(value, str):
        yield from forms_of_text(value, style=style, old=entry.source if entry else "", indent=_indent_of(entry))
    else:
        yield str(value).lower() if isinstance(value, bool) else str(value)


def _indent_of(entry: Entry | None) -> str:
    """The indentation of the old value's further lines, two blanks where it has none."""
    lines = lines_of(entry.text)[1:] if entry is not None else []
    indented = (re.match(r"( +)\S", line) for line in lines)
    return next((match[1] for match in indented if match), "  ")


def _differs(one: Field, wanted: Any, found: Any) -> bool:
    if isinstance(wanted, str):
        return bool(as_shown(wanted) != found)
    if one.is_list and isinstance(found, (str, list)):
        return bool(_items(found) != wanted)
    return bool(wanted != found)
