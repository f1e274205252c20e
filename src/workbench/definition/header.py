"""The entries of a header with their exact text: a lenient reader.

Two passes, as no YAML library reads what people have: the header as YAML 1.2; where that fails, each entry
and, for an entry that is not YAML either, the text that its author plainly meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from workbench.definition import yaml12
from workbench.definition.fields import FIELD_OF_KEY, KEYS
from workbench.definition.lines import LINE_END, count_lines, lines_of, without_end
from workbench.secrets import without_secrets

_DIALOGUE = frozenset(
    ("Context", "user", "User", "assistant", "Assistant", "Example", "Examples", "example", "commentary")
)
KEY_LINE = re.compile(r"""([A-Za-z_][A-Za-z0-9_.-]*|"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')[ \t]*:(?=[ \t]|\Z)""")
_KEY_BY_MISTAKE = re.compile(r"[ \t]+([A-Za-z]+):[ \t]+[^\s:]+[ \t]*\Z")
_COMMENT = re.compile(r"[ \t]#.*")
_MISTAKEN_KEY = re.compile(r"[ \t]+([A-Za-z]+):")

_BRIEF = 60
"""Characters of a value in a message."""
_LED_UP_TO = 20
"""Of what two long values have in common before they differ, so much is shown."""

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something in an agent file that its author should know."""

    rule: str
    """The id of the rule in `lint_rules.toml`, which says where it comes from and since when it holds."""
    severity: Severity
    message: str
    """What was found and what comes of it."""
    line: int = 1
    """In the file, from 1."""
    column: int = 1
    """In characters, from 1."""
    field: str | None = None
    """The frontmatter key, "prompt", or `None` for the whole file."""
    fix: str | None = None
    """What to do next."""
    replacement: str | None = None
    """What is to be written instead of what was found, where that is known; `fix` says it in words."""

    def __str__(self) -> str:
        advice = f" {self.fix}" if self.fix else ""
        return f"{self.line}:{self.column}: {self.severity}: {self.message}{advice} [{self.rule}]"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One `key: value` of a header."""

    key: str
    value: Any
    """Text, int, float, bool, `None`, list or dict."""
    style: yaml12.Style | Literal["recovered"]
    text: str
    """The lines from the key to the end of the value, line ends included. Empty in a header of flow style."""
    gap: str = ""
    """The blank and comment lines that follow."""
    source: str = ""
    """The value as it is written."""
    prefix: str = ""
    """What a new value is put behind."""
    suffix: str = ""
    """What follows the first line of a new value: a comment, the line end."""
    key_line: int = 1
    """The line of the file on which the key stands, from 1."""
    line: int = 1
    """The line of the file on which the value starts, from 1."""
    column: int = 1
    """Where the value starts in its line, from 1."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What stands between the fences: `head`, then each entry's `text` and `gap`."""

    head: str = ""
    """What stands before the first entry."""
    entries: tuple[Entry, ...] = ()
    is_strict: bool = True
    """Whether it is YAML; else it was recovered entry by entry."""
    is_flow: bool = False
    """Whether it is one `{...}`, whose text is then in `head`."""
    problems: tuple[Problem, ...] = ()


def brief(value: Any) -> str:
    """A value in a message: as Python writes it, `_BRIEF` characters at most."""
    text = repr(value)
    return text if len(text) <= _BRIEF else f"{without_secrets(text)[: _BRIEF - 3]}..."


def brief_pair(one: Any, other: Any) -> tuple[str, str]:
    """Two values that differ, each as `brief` has it, and so that it is seen where they do."""
    texts = without_secrets(repr(one)), without_secrets(repr(other))  # before they are cut: half a key has no form
    shorter = min(map(len, texts))
    begin = next((at for at in range(shorter) if texts[0][at] != texts[1][at]), shorter) - _LED_UP_TO
    if max(map(len, texts)) <= _BRIEF or begin <= 0 or texts[0] == texts[1]:
        return brief(one), brief(other)
    first, second = (_cut(f"...{text[begin:]}") for text in texts)
    return first, second


def _cut(text: str) -> str:
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 3]}..."


def problem_at(
    entry: Entry,
    rule: str,
    severity: Severity,
    message: str,
    fix: str | None = None,
    *,
    replacement: str | None = None,
) -> Problem:
    """A problem with the value of an entry."""
    return Problem(
        rule=rule,
        severity=severity,
        message=message,
        line=entry.line,
        column=entry.column,
        field=entry.key,
        fix=fix,
        replacement=replacement,
    )


def read_header(header: str, *, first_line: int) -> Header:
    """The entries of a header that starts on this line of its file. Never raises."""
    try:
        root = yaml12.read(header)
    except yaml12.NotYaml as error:
        return _tabbed(header, error, first_line) or _recovered(header, error, first_line)
    if root is None:
        return Header(head=header)
    if not root.pairs and root.value != {}:
        problem = Problem(
            rule="not-a-mapping",
            severity="error",
            line=first_line,
            message="The header is not a list of `key: value` lines.",
            fix="Write at least `name:` and `description:`.",
        )
        return replace(_recovered(header, None, first_line), problems=(problem,))
    entries = _flow_entries(header, root, first_line) if root.style == "flow" else _entries(header, root, first_line)
    head = header if root.style == "flow" else header[: _start_of(root.pairs[0][0])]
    return Header(
        head=head,
        entries=entries,
        is_flow=root.style == "flow",
        problems=tuple(_duplicates(entries)),
    )


def _tabbed(header: str, error: yaml12.NotYaml, first_line: int) -> Header | None:
    """The header, where all that is wrong with it are tabs for blanks at the start of lines: Claude Code takes them."""
    if "\t" not in header:
        return None
    try:
        root = yaml12.read(header, tabs_indent=True)
    except yaml12.NotYaml:
        return None
    if root is None or root.style == "flow" or not root.pairs:
        return None
    entries = _entries(header, root, first_line)
    return Header(
        head=header[: _start_of(root.pairs[0][0])],
        entries=entries,
        is_strict=False,
        problems=(*_duplicates(entries), _not_yaml(error, entries, first_line)),
    )


def _entries(header: str, root: yaml12.Node, first_line: int) -> tuple[Entry, ...]:
    """The entries of a block mapping."""
    starts = [_start_of(key) for key, _ in root.pairs]
    return tuple(
        _entry(header[start:end], key, value, offset=start, first_line=first_line)
        for (key, value), start, end in zip(root.pairs, starts, [*starts[1:], len(header)], strict=True)
    )


def _start_of(key: yaml12.Node) -> int:
    """Where the line of a key begins."""
    return key.start - key.column


def _entry(chunk: str, key: yaml12.Node, value: yaml12.Node, *, offset: int, first_line: int) -> Entry:
    """The entry in these lines; nodes count characters from `offset` before the chunk."""
    text, gap = _without_gap(chunk, value, offset)
    start, end = value.start - offset, value.end - offset
    colon = text.find(":", key.end - offset) + 1
    ending = LINE_END.search(text)
    prefix = text[:colon] + " " if colon else yaml12.key_text(key) + ": "
    if value.style not in ("literal", "folded", "block") and start < end <= len(text):
        between = text[colon:start]
        prefix = text[:start] if between and not between.strip(" \t") else prefix
        source, suffix = text[start:end], text[end:]
    else:
        comment = _COMMENT.search(without_end(lines_of(text)[0]), colon)
        source = text[colon:].strip()
        suffix = (" " + comment[0].lstrip() if comment else "") + (ending[0] if ending else "")
    return Entry(
        key=yaml12.key_text(key),
        value=value.value,
        style=value.style,
        text=text,
        gap=gap,
        source=source,
        prefix=prefix,
        suffix=suffix,
        key_line=first_line + key.line,
        line=first_line + value.line,
        column=value.column + 1,
    )


def _without_gap(chunk: str, value: yaml12.Node, offset: int) -> tuple[str, str]:
    """The lines of an entry apart from the blank and comment lines that follow its value."""
    last = value.last or value
    in_block_text = last.style in ("literal", "folded")
    keeps_blanks = in_block_text and "+" in _first_word(chunk[last.start - offset :])
    end = len(chunk)
    for line in reversed(lines_of(chunk)):
        start = end - len(line)
        if start == 0 or (not in_block_text and start < last.end - offset):
            break
        is_blank = not line.strip() and not keeps_blanks
        is_comment = line.startswith("#") if in_block_text else line.lstrip(" \t").startswith("#")
        if not (is_blank or is_comment):
            break
        end = start
    return chunk[:end], chunk[end:]


def _first_word(text: str) -> str:
    match = re.match(r"\S+", text)
    return match[0] if match else ""


def _flow_entries(header: str, root: yaml12.Node, first_line: int) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            key=yaml12.key_text(key),
            value=value.value,
            style=value.style,
            text="",
            source=header[value.start : value.end],
            key_line=first_line + key.line,
            line=first_line + value.line,
            column=value.column + 1,
        )
        for key, value in root.pairs
    )


def _duplicates(entries: Sequence[Entry]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for entry in entries:
        if entry.key in seen:
            yield problem_at(
                entry,
                "duplicate-key",
                "warning",
                f"`{entry.key}` stands on line {seen[entry.key]} too; the last one counts.",
                "Keep one of them.",
            )
        seen[entry.key] = entry.key_line


def _recovered(header: str, error: yaml12.NotYaml | None, first_line: int) -> Header:
    head, groups = _groups(lines_of(header))
    line = first_line + count_lines(head)
    entries = []
    for key, lines in groups:
        entry = _recovered_entry(key, lines, line)
        line += sum(map(count_lines, lines))
        entries.append(entry)
    problems = [*_duplicates(entries)]
    if error is not None:
        problems.append(_not_yaml(error, entries, first_line))
    return Header(head=head, entries=tuple(entries), is_strict=False, problems=tuple(problems))


STRICT_REFUSE = "; strict readers refuse the file."
"""How the message of `not-yaml` ends, where it is not known what Claude Code does."""


def _not_yaml(error: yaml12.NotYaml, entries: Sequence[Entry], first_line: int) -> Problem:
    line = first_line + error.line
    field = next((entry.key for entry in reversed(entries) if entry.key_line <= line), None)
    return Problem(
        rule="not-yaml",
        severity="warning",
        line=line,
        column=error.column + 1,
        field=field,
        message=f"The header is not YAML ({error.message}){STRICT_REFUSE}",
        fix="Set the value anew and save: it is then quoted as needed.",
    )


def _groups(lines: Sequence[str]) -> tuple[str, list[tuple[str, list[str]]]]:
    """The lines before the first key, then key by key its lines; dialogue in prose is not taken for keys."""
    head: list[str] = []
    groups: list[tuple[str, list[str]]] = []
    seen: set[str] = set()
    in_prose = False
    for line in lines:
        bare = without_end(line)
        match = KEY_LINE.match(bare) or _key_by_mistake(bare, seen)
        key = _unquoted(match[1]) if match else None
        if key is not None and match is not None and _starts_entry(key, bare[match.end() :], groups, seen, in_prose):
            groups.append((key, [line]))
            seen.add(key)
            in_prose = False
            continue
        if bare and bare[0] not in " \t#":
            in_prose = bool(groups)
        (groups[-1][1] if groups else head).append(line)
    return "".join(head), groups


def _key_by_mistake(line: str, seen: set[str]) -> re.Match[str] | None:
    match = _KEY_BY_MISTAKE.match(line)
    if match is None or not _is_one_word(match[1]) or match[1] in seen:
        return None
    return _MISTAKEN_KEY.match(line)


def _starts_entry(
    key: str, value: str, groups: Sequence[tuple[str, list[str]]], seen: set[str], in_prose: bool
) -> bool:
    is_dialogue = key in _DIALOGUE or (key[:1].isupper() and bool(groups) and _holds_prose(groups[-1][0]))
    if groups and not in_prose and is_dialogue:
        return False
    if in_prose and (key not in KEYS or key in seen):
        return False
    return not (in_prose and _is_one_word(key) and re.search(r"\s", value.strip()))


def _is_one_word(key: str) -> bool:
    return key in FIELD_OF_KEY and FIELD_OF_KEY[key].is_one_word


def _holds_prose(key: str) -> bool:
    return key in FIELD_OF_KEY and FIELD_OF_KEY[key].kind == "lines"


def _unquoted(text: str) -> str:
    if text[:1] == '"' and text[-1:] == '"' and len(text) > 1:
        return text[1:-1].replace('\\"', '"')
    if text[:1] == "'" and text[-1:] == "'" and len(text) > 1:
        return text[1:-1].replace("''", "'")
    return text


def _recovered_entry(key: str, lines: list[str], line: int) -> Entry:
    chunk = "".join(lines)
    entry = _entry_alone(key, chunk, line)
    if entry is not None:
        return entry
    kept = len(lines)
    while kept > 1 and (not lines[kept - 1].strip() or lines[kept - 1].startswith("#")):
        kept -= 1
    text, gap = "".join(lines[:kept]), "".join(lines[kept:])
    indent = len(text) - len(text.lstrip(" \t"))
    key_part = KEY_LINE.match(without_end(lines[0]), indent)
    start = key_part.end() if key_part else 0
    start += len(text[start:]) - len(text[start:].lstrip(" \t"))
    ending = LINE_END.search(text)
    source = text[start:].rstrip("\r\n")
    return Entry(
        key=key,
        value=_meant(source),
        style="recovered",
        text=text,
        gap=gap,
        source=source,
        prefix=text[:start].strip(" \t") + " ",
        suffix=ending[0] if ending else "",
        key_line=line,
        line=line,
        column=start + 1,
    )


def _entry_alone(key: str, chunk: str, line: int) -> Entry | None:
    """The entry, where it is YAML taken by itself: one bad line does not spoil its neighbours."""
    if _is_plain_with_colon(chunk):
        return None
    try:
        root = yaml12.read(chunk)
    except yaml12.NotYaml:
        return None
    if root is None or root.style != "block" or len(root.pairs) != 1 or yaml12.key_text(root.pairs[0][0]) != key:
        return None
    return _entry(chunk, *root.pairs[0], offset=0, first_line=line)


def _is_plain_with_colon(chunk: str) -> bool:
    """A cheap no for the most frequent case."""
    match = KEY_LINE.match(without_end(chunk))
    value = chunk[match.end() :].strip() if match else ""
    return bool(value) and value[0].isalpha() and ": " in value and "\n" not in value and " #" not in value


def _meant(source: str) -> str:
    """The text that the author of a value plainly meant, though it is not YAML."""
    stripped = source.strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "\"'":
        return LINE_END.sub("\n", _unquoted(stripped))
    lines = [without_end(line) for line in lines_of(source)]
    if len(lines) <= 1:
        return source.strip(" \t") if not lines else lines[0].rstrip()
    if re.fullmatch(r"[|>][-+0-9]*[ \t]*", lines[0]):
        return _dedented(lines[1:])
    if all(not line or line[0] in " \t#" for line in lines[1:]):
        return _folded(lines)
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def _dedented(lines: Sequence[str]) -> str:
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[indent:].rstrip() for line in lines).strip("\n")


def _folded(lines: Sequence[str]) -> str:
    """Lines joined as YAML folds a plain scalar: a blank for one break, a line end for each blank line."""
    text = ""
    blanks = 0
    for line in (line.strip() for line in lines):
        if not line:
            blanks += 1
            continue
        text += ("\n" * blanks or " ") + line if text else line
        blanks = 0
    return text
