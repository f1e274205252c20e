"""`Agent`: one definition file as a value, and the way from and to the disk."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import difflib
import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workbench.definition.claude_code import parse_as_claude_code, split_tools
from workbench.definition.document import Document, parse_document
from workbench.definition.edit import with_body, with_value, without_key
from workbench.definition.forms import forms_of_data, forms_of_list, forms_of_text
from workbench.definition.header import KEYS, Entry, brief
from workbench.definition.lines import as_shown, lines_of, plain_line_ends
from workbench.errors import AgentChangedOnDisk, AgentFileError, WorkbenchError

FIELDS: Mapping[str, str] = MappingProxyType(
    {re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), key): key for key in KEYS}
)
"""Field name to frontmatter key (`permission_mode`: `permissionMode`), in the order of the documentation."""

_LISTS = frozenset(("tools", "disallowed_tools", "skills"))
_DATA = frozenset(("mcp_servers", "hooks"))
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
_TYPES: Mapping[str, tuple[type, ...]] = {"max_turns": (int,), "background": (bool,), "effort": (str, int)}
_NOTHING = parse_document(b"")
_LONGEST_DIFF = 20


@dataclass(frozen=True, kw_only=True)
class Agent:
    """One definition file as its author wrote it: the sixteen frontmatter fields and the prompt.

    A field is `None` where its key is absent. What Claude Code makes of the file is another reading:
    `read_as_claude_code`. Raises `TypeError` where a field is given a value of another type.
    """

    name: str | None = None
    description: str | None = None
    tools: tuple[str, ...] | None = None
    """`()`: no tools; `None`: all of them."""
    disallowed_tools: tuple[str, ...] | None = None
    model: str | None = None
    permission_mode: str | None = None
    max_turns: int | None = None
    skills: tuple[str, ...] | None = None
    mcp_servers: Any = None
    hooks: Any = None
    memory: str | None = None
    background: bool | None = None
    effort: str | int | None = None
    isolation: str | None = None
    color: str | None = None
    initial_prompt: str | None = None
    prompt: str = ""
    """The body, with the blank lines at its edges; every line end is `\\n`, whatever the file has."""
    document: Document = field(default=_NOTHING, compare=False, repr=False)
    """The text that was read, without later changes."""
    path: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in FIELDS:
            object.__setattr__(self, name, _of_type(name, getattr(self, name)))
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
        **copy.deepcopy(_fields_of(document)),
        prompt=document.body,
        document=document,
        path=None if path is None else Path(path),
    )


def load_agent(path: str | Path) -> Agent:
    """The agent in this file.

    Raises:
        AgentFileError: the file cannot be read. What is in it never makes this raise.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise AgentFileError(f"cannot be read: {error.strerror}", path=path) from error
    return parse_agent(data, path=path)


def save_agent(agent: Agent, path: str | Path | None = None, *, over: Agent | None = None) -> Agent:
    """Writes the changed entries into the file, all or nothing, and gives the agent as the file has it now.

    Go on editing what is returned: `agent = save_agent(agent.replace(model="haiku"))`. A link is followed,
    and the mode is kept. A file that changed since it was read, or that was never read, is not overwritten.

    Args:
        path: where to; `agent.path` unless given.
        over: the agent that the file is expected to hold, where `agent` was parsed from another text.

    Raises:
        AgentChangedOnDisk: the file is not the one that was read; the message says what changed.
        AgentFileError: it cannot be written, or would not read back as it should; the old file is as it was.
    """
    target = Path(path) if path is not None else agent.path
    if target is None:
        raise AgentFileError("this agent was not read from a file; give save_agent a path")
    data = agent.to_bytes()
    saved = parse_agent(data, path=target)
    _check_read_back(agent, saved, target)
    try:
        now = _bytes_on_disk(target)
        if now != data:
            _check_unchanged(over or agent, now, target)
            _write_atomically(target.resolve(), data, expected=now)
    except OSError as error:
        raise AgentFileError(f"not saved: {error.strerror or error}; the file is as it was", path=target) from error
    return saved


def diff_agents(before: Agent, after: Agent) -> str:
    """Unified diff of the two files as text; empty where they are equal."""
    return _diff(before.text, after.text, str(before.path or before.name), str(after.path or after.name))


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
    old = _fields_of(agent.document)
    changed = [name for name in FIELDS if getattr(agent, name) != old[name]]
    document = agent.document
    if agent.prompt != plain_line_ends(document.body):
        document = with_body(document, agent.prompt)
    if not changed:
        return document
    nicest = surest = document
    for name in changed:
        nicest = next(_candidates(nicest, name, getattr(agent, name)))
    if not _misread(nicest, agent, changed):
        return nicest
    mixed = nicest
    for name in changed:
        mixed = min(
            _candidates(mixed, name, getattr(agent, name)),
            key=lambda candidate: len(_misread(candidate, agent, changed)),
        )
        *_, surest = _candidates(surest, name, getattr(agent, name))
    return min(nicest, mixed, surest, key=lambda candidate: len(_misread(candidate, agent, changed)))


def _of_type(name: str, value: Any) -> Any:
    """The value as the field holds it: lists as tuples, tools also from text with commas."""
    if value is None or name in _DATA:
        return value
    if name in _LISTS:
        items = split_tools(value) if isinstance(value, str) else value
        if not isinstance(items, Iterable) or isinstance(items, (bytes, Mapping)):
            raise TypeError(f"{name} is a list of names, not {value!r}")
        items = tuple(items)
        if not all(isinstance(item, str) for item in items):
            raise TypeError(f"{name} is a list of names, not {value!r}")
        return items
    if not isinstance(value, _TYPES.get(name, (str,))) or (isinstance(value, bool) and name != "background"):
        raise TypeError(f"{name} cannot be {value!r}, a value of type {type(value).__name__}")
    return value


def _fields_of(document: Document) -> dict[str, Any]:
    """The sixteen fields as the author of the document wrote them."""
    entries = {entry.key: entry for entry in document.entries}
    return {name: _field_of(name, entries.get(key)) for name, key in FIELDS.items()}


def _field_of(name: str, entry: Entry | None) -> Any:
    if entry is None:
        return None
    value = entry.value
    if name in _DATA:
        return value
    if name in _LISTS:
        return () if value is None else _items(value)
    if name == "background":
        return value if isinstance(value, bool) else _TRUTH.get(str(value).lower())
    if name == "max_turns":
        return _whole_number(value)
    if value is None or isinstance(value, str):
        return value
    if name == "effort" and isinstance(value, int) and not isinstance(value, bool):
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
    key = FIELDS[name]
    if value is None:
        yield without_key(document, key)
        return
    others = [(entry.key, entry.value) for entry in document.entries if entry.key != key]
    fallback: Document | None = None
    found = False
    for form in _forms(document.entry(key), name, value):
        candidate = with_value(document, key, form)
        if _field_of(name, candidate.entry(key)) != value:
            continue
        fallback = fallback or candidate
        if [(entry.key, entry.value) for entry in candidate.entries if entry.key != key] == others:
            found = True
            yield candidate
    if not found:
        yield fallback or candidate


def _forms(entry: Entry | None, name: str, value: Any) -> Iterator[str]:
    style = "plain" if entry is None else entry.style
    if name in _LISTS:
        if entry is None and name == "skills":
            style = "flow"
        if entry is not None and entry.style == "recovered" and entry.source.startswith("["):
            style = "flow"
        yield from forms_of_list(value, style=style, indent=_indent_of(entry))
    elif name in _DATA:
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


def _misread(document: Document, agent: Agent, names: Iterable[str]) -> list[str]:
    """Those of the fields of which Claude Code's parser finds another value in the document than the agent has."""
    values = parse_as_claude_code(document).values
    return [name for name in names if _differs(name, getattr(agent, name), values.get(FIELDS[name]))]


def _differs(name: str, wanted: Any, found: Any) -> bool:
    if isinstance(wanted, str):
        return bool(as_shown(wanted) != found)
    if name in _LISTS and isinstance(found, (str, list)):
        return bool(_items(found) != wanted)
    return bool(wanted != found)


def _check_read_back(agent: Agent, saved: Agent, path: Path) -> None:
    """Raises `AgentFileError` unless the text that is to be written says what the agent says.

    To Claude Code too, where it reads the header as it is: what its repair or a `---` does is for `check_agent`.
    """
    for name in (*FIELDS, "prompt"):
        if getattr(saved, name) != getattr(agent, name):
            raise AgentFileError(
                f"not saved: {FIELDS.get(name, name)} would read back as {brief(getattr(saved, name))} "
                f"instead of {brief(getattr(agent, name))}; mend the header by hand, the file is as it was",
                path=path,
            )
    parsed = parse_as_claude_code(saved.document)
    is_cut = parsed.header is None or len(parsed.header) < len(saved.document.header.rstrip(" \t\r\n"))
    if parsed.verdict != "strict" or is_cut:
        return
    before = _fields_of(agent.document)
    for name in _misread(saved.document, saved, ("name", "description", "model")):
        if getattr(saved, name) != before[name]:
            raise AgentFileError(
                f"not saved: Claude Code would read {name} as {brief(parsed.values.get(name))} "
                f"instead of {brief(getattr(agent, name))}; the file is as it was",
                path=path,
            )


def _bytes_on_disk(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _check_unchanged(agent: Agent, now: bytes | None, target: Path) -> None:
    was_read_here = agent.path is not None and agent.path.resolve() == target.resolve()
    if now is None:
        if was_read_here:
            raise AgentChangedOnDisk(
                "the file is gone since it was read; nothing was written. Save it under another path",
                path=target,
            )
        return
    then = agent.document.to_bytes()
    if now == then:
        return
    if not was_read_here:
        raise AgentChangedOnDisk(
            "a file is there that this agent was not read from; nothing was written. "
            "Load it, or save under another path",
            path=target,
        )
    before, after = (data.decode("utf-8", "backslashreplace") for data in (then, now))
    lines = _diff(before, after, "as it was read", "as it is now").splitlines()
    more = [f"... and {len(lines) - _LONGEST_DIFF} more lines"] if len(lines) > _LONGEST_DIFF else []
    raise AgentChangedOnDisk(
        "the file changed since it was read; nothing was written. Load it again and repeat the edit, "
        "or save under another path:\n" + "\n".join([*lines[:_LONGEST_DIFF], *more]),
        path=target,
    )


def _diff(before: str, after: str, name_before: str, name_after: str) -> str:
    if before == after:
        return ""
    lines = difflib.unified_diff(_shown_lines(before), _shown_lines(after), name_before, name_after, lineterm="")
    return "\n".join(lines) + "\n"


def _shown_lines(text: str) -> Sequence[str]:
    """The lines without a line end of LF, so that a changed line end, or a missing last one, can be seen."""
    shown = [line.removesuffix("\n").replace("\r", "\\r") for line in lines_of(text)]
    if text and not text.endswith(("\n", "\r")):
        shown.append("\\ No newline at end of file")
    return shown


def _write_atomically(path: Path, data: bytes, *, expected: bytes | None) -> None:
    """Puts the bytes in the place of the file in one step. Raises `OSError`; else the old one stays."""
    if expected is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected")
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if expected is not None:
            draft.chmod(stat.S_IMODE(path.stat().st_mode))
        if draft.read_bytes() != data:
            raise OSError("what was written does not read back")
        if _bytes_on_disk(path) != expected:
            raise OSError("the file changed while it was being saved")
        draft.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
