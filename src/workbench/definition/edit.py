"""A document with one entry or the body changed, and every other byte as it was."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from workbench.definition.document import Document, parse_document
from workbench.definition.fields import KEYS
from workbench.definition.forms import double_quoted
from workbench.definition.header import Entry
from workbench.definition.lines import LINE_END, lines_of, plain_line_ends

_BREAK = re.compile(r"(?<![ \t])[ \t]*(?:\r\n|\r|\n)[ \t]*")


def with_value(document: Document, key: str, form: str) -> Document:
    """The document with the entry of this key rewritten, or a new one put in; every other byte stays.

    The key is one of `KEYS`; `form` is the value as YAML, its further lines already indented, line ends as `\\n`.
    """
    document = _editable(document)
    entries = list(document.entries)
    place = next((index for index in reversed(range(len(entries))) if entries[index].key == key), None)
    if place is not None:
        entries[place] = replace(entries[place], text=_lines_with(entries[place].prefix, form, entries[place].suffix))
        return _assembled(document, entries)
    place = _place_of_new(key, entries)
    ending = _line_end_of(document)
    if place > 0:
        before = entries[place - 1]
        if not before.text.endswith(("\n", "\r")):
            entries[place - 1] = replace(before, text=before.text + ending)
    indent = _indent(entries[0].text) if entries and document.is_strict else ""
    text = _lines_with(f"{indent}{key}: ", form, ending)
    entries.insert(place, Entry(key=key, value=None, style="plain", text=text))
    if place > 0:
        entries[place] = replace(entries[place], gap=entries[place - 1].gap)
        entries[place - 1] = replace(entries[place - 1], gap="")
    return _assembled(document, entries)


def without_key(document: Document, key: str) -> Document:
    """The document without the entries of this key; the comments and blank lines after them stay."""
    document = _editable(document)
    kept = [replace(entry, text="") if entry.key == key else entry for entry in document.entries]
    return _assembled(document, kept)


def with_body(document: Document, body: str) -> Document:
    """The document with this body (line ends as `\\n`); lines that stay keep their own line ends."""
    ending = _line_end_of(document, of_body=True)
    if document.open and not document.close:
        document = _editable(document)
    close = document.close
    if close and body and not close.endswith(("\n", "\r")):
        close += ending
    return parse_document(replace(document, close=close, body=_with_line_ends(document.body, body, ending)).text)


def with_text(document: Document, text: str) -> Document:
    """The document with this whole text (line ends as `\\n`); lines that stay keep their own line ends."""
    return parse_document(_with_line_ends(document.text, text, _line_end_of(document)))


def _lines_with(prefix: str, form: str, suffix: str) -> str:
    """The lines of an entry: the first line of the form before the suffix, the others after it."""
    first, *others = form.split("\n")
    if not first:
        prefix = prefix.rstrip(" \t")
    match = re.search(r"(?:\r\n|\r|\n)\Z", suffix)
    ending = match[0] if match else "\n"
    if others and match is None:
        suffix += ending
    return prefix + first + suffix + "".join(line + ending for line in others)


def _line_end_of(document: Document, *, of_body: bool = False) -> str:
    texts = (document.body, document.open) if of_body else (document.open, document.body)
    for text in texts:
        if match := LINE_END.search(text):
            return match[0]
    return "\n"


def _with_line_ends(old: str, new: str, ending: str) -> str:
    """The new text, each line that it shares with the start or the end of the old one exactly as it was."""
    old_lines, new_lines = lines_of(old), lines_of(plain_line_ends(new))
    plain = [plain_line_ends(line) for line in old_lines]
    shared = min(len(plain), len(new_lines))
    before = 0
    while before < shared and plain[before] == new_lines[before]:
        before += 1
    after = 0
    while after < shared - before and plain[-1 - after] == new_lines[-1 - after]:
        after += 1
    middle = [line.replace("\n", ending) for line in new_lines[before : len(new_lines) - after]]
    return "".join([*old_lines[:before], *middle, *old_lines[len(old_lines) - after :]])


def _place_of_new(key: str, entries: Sequence[Entry]) -> int:
    """After the last of the keys that the documentation names before this one."""
    earlier = KEYS[: KEYS.index(key)]
    return max((index + 1 for index, entry in enumerate(entries) if entry.key in earlier), default=0)


def _editable(document: Document) -> Document:
    """The same document with a header that can take a new line."""
    if not document.open:
        ending = _line_end_of(document)
        fence = "---" + ending
        return replace(document, open=fence, close=fence, is_strict=True)
    ending = _line_end_of(document)
    if not document.close:
        missing = "" if document.header.endswith(("\n", "\r")) else ending
        text = document.bom + document.lead + document.open + document.header + missing
        document = parse_document(text + "---" + ending + document.body)
    if document.is_flow:
        lines = "".join(_as_line(entry) + ending for entry in document.entries)
        document = parse_document(replace(document, head=lines, entries=()).text)
    return document


def _as_line(entry: Entry) -> str:
    """An entry of a flow mapping as a line of a block mapping."""
    key = entry.key if re.fullmatch(r"[A-Za-z_][\w.-]*", entry.key) else double_quoted(entry.key)
    return f"{key}: " + (_BREAK.sub(" ", entry.source) or "null")


def _indent(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" "))]


def _assembled(document: Document, entries: Sequence[Entry]) -> Document:
    return parse_document(replace(document, entries=tuple(entries)).text)
