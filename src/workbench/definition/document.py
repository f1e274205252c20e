"""The exact text of an agent file, in spans that concatenate back to it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from frontmatter.default_handlers import YAMLHandler

from workbench.definition.header import KEY_LINE, Entry, Problem, read_header
from workbench.definition.lines import BLANKS, BLANKS_IN_A_LINE, count_lines, lines_of, without_end

_BLANK_LINES = re.compile(r"(?:[ \t]*(?:\r\n|\r|\n))*")
_OPEN = re.compile(rf"---[{BLANKS_IN_A_LINE}]*(?:\r\n|\r|\n|\Z)")
_CLOSE = re.compile(rf"(?:\A|(?<=[\r\n]))(?:-{{3,}}|\.\.\.)[{BLANKS_IN_A_LINE}]*(?:\r\n|\r|\n|\Z)")
_INDENTED_CLOSE = re.compile(r"(?:\A|(?<=[\r\n]))[ \t]+---[ \t]*(?:\r\n|\r|\n|\Z)")
_CODE_FENCE = re.compile(r"\s*(?:```|~~~)[a-z]*[ \t]*(?:\r\n|\r|\n)\s*---[ \t]*[\r\n]")


@dataclass(frozen=True, kw_only=True)
class Document:
    """The text of one file in spans: `bom + lead + open + head + entries + close + body`."""

    bom: str = ""
    lead: str = ""
    """Blank lines before the header."""
    open: str = ""
    """The line of the opening fence; empty where the file has no header."""
    head: str = ""
    """What stands between the opening fence and the first entry."""
    entries: tuple[Entry, ...] = ()
    close: str = ""
    """The line of the closing fence; empty where the header is never closed."""
    body: str = ""
    is_strict: bool = True
    """Whether the header is YAML; else it was recovered entry by entry."""
    is_flow: bool = False
    """Whether the header is one `{...}`; its text is then in `head`."""
    problems: tuple[Problem, ...] = ()
    """What the reader noticed, in the order of lines."""

    @property
    def header(self) -> str:
        """The text between the fences."""
        return self.head + "".join(entry.text + entry.gap for entry in self.entries)

    @property
    def text(self) -> str:
        """The whole text; a byte that is not UTF-8 is a lone surrogate (`surrogateescape`)."""
        return self.bom + self.lead + self.open + self.header + self.close + self.body

    @property
    def values(self) -> dict[str, Any]:
        """The value of every key as its author wrote it; of duplicates the last."""
        return {entry.key: entry.value for entry in self.entries}

    @property
    def body_line(self) -> int:
        """The line of the file on which the body starts, from 1."""
        return 1 + count_lines(self.lead + self.open + self.header + self.close)

    def to_bytes(self) -> bytes:
        """The file, byte for byte."""
        return self.text.encode("utf-8", "surrogateescape")

    def entry(self, key: str) -> Entry | None:
        """The entry that counts for this key: the last."""
        return next((entry for entry in reversed(self.entries) if entry.key == key), None)


class AgentHandler(YAMLHandler):
    """Reads agent files through python-frontmatter: `frontmatter.loads(text, handler=AgentHandler())`.

    The metadata is what the author wrote, recovered where the header is not YAML. The keys `content` and
    `handler`, which `frontmatter.Post` cannot hold, are given as `content_` and `handler_`.
    """

    def detect(self, text: str) -> bool:
        return bool(parse_document(text).open)

    def split(self, text: str) -> tuple[str, str]:
        """Header and body. Raises `ValueError` where there is no header, as python-frontmatter expects."""
        document = parse_document(text)
        if not document.open:
            raise ValueError("no frontmatter")
        return document.header, document.body

    def load(self, fm: str, **kwargs: object) -> dict[str, Any]:
        values = {entry.key: copy.deepcopy(entry.value) for entry in read_header(fm, first_line=1).entries}
        return {key + "_" if key in ("content", "handler") else key: value for key, value in values.items()}

    def export(self, metadata: Mapping[str, object], **kwargs: object) -> str:
        """The metadata as YAML in the order given, lines unbroken."""
        names = {"content_": "content", "handler_": "handler"}
        options: dict[str, object] = {"sort_keys": False, "width": 2**30, **kwargs}
        return str(super().export({names.get(key, key): value for key, value in metadata.items()}, **options))


def parse_document(data: bytes | str) -> Document:
    """The document in these bytes. Never raises: a file without a header is all body."""
    text = data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    problems = [*_byte_problems(text, bom)]
    text = text[len(bom) :]
    blank = _BLANK_LINES.match(text)
    lead = blank[0] if blank else ""
    opening = _OPEN.match(text, len(lead))
    if opening is None:
        return Document(bom=bom, body=text, problems=(*problems, *_no_header(text)))
    header, close, body = _split_at_close(text[opening.end() :])
    first_line = 1 + count_lines(lead + opening[0])
    read = read_header(header, first_line=first_line)
    if not close and not read.entries:
        return Document(bom=bom, body=text, problems=(*problems, *_no_header(text)))
    problems += _fence_problems(lead, opening[0], close, first_line + count_lines(header))
    problems += read.problems
    return Document(
        bom=bom,
        lead=lead,
        open=opening[0],
        head=read.head,
        entries=read.entries,
        close=close,
        body=body,
        is_strict=read.is_strict,
        is_flow=read.is_flow,
        problems=tuple(sorted(problems, key=lambda problem: (problem.line, problem.column))),
    )


def _split_at_close(text: str) -> tuple[str, str, str]:
    """Header, closing fence and body of what follows the opening fence."""
    close = _CLOSE.search(text) or _INDENTED_CLOSE.search(text)
    if close is not None:
        return text[: close.start()], close[0], text[close.end() :]
    end = _end_of_unclosed_header(text)
    return text[:end], "", text[end:]


def _end_of_unclosed_header(text: str) -> int:
    """Where a header without a closing fence ends: at a blank line that no key or indented line follows."""
    start = 0
    blank_from: int | None = None
    for line in lines_of(text):
        bare = without_end(line)
        if not bare.strip():
            blank_from = start if blank_from is None else blank_from
        elif blank_from is not None:
            if not (bare[0] in " \t#" or KEY_LINE.match(bare)):
                return blank_from
            blank_from = None
        start += len(line)
    return len(text)


def _byte_problems(text: str, bom: str) -> Iterator[Problem]:
    if bom:
        yield Problem(
            rule="byte-order-mark",
            severity="note",
            message="The file starts with a byte order mark: Claude Code before 2.1.239 ignores it.",
            fix="Save it as UTF-8 without BOM.",
        )
    match = re.search("[\ud800-\udfff]", text)
    if match is not None:
        before = text[: match.start()]
        last_break = max(before.rfind("\n"), before.rfind("\r"))
        yield Problem(
            rule="not-utf-8",
            severity="warning",
            message=f"Byte 0x{ord(match[0]) & 0xFF:02x} is not UTF-8; the model is shown U+FFFD instead.",
            line=1 + count_lines(before),
            column=match.start() - last_break,
            fix="Save the file as UTF-8.",
        )


def _no_header(text: str) -> Iterator[Problem]:
    if _CODE_FENCE.match(text):
        message = "The file is wrapped in a code fence, so it has no header; Claude Code does not list it."
        fix = "Remove the fence (``` or ~~~) around it."
    else:
        message = "The file has no header between two `---` lines; Claude Code does not list it."
        fix = "Start it with `---`, `name: ...`, `description: ...`, `---`."
    yield Problem(rule="no-header", severity="error", message=message, fix=fix)


def _fence_problems(lead: str, opening: str, close: str, close_line: int) -> Iterator[Problem]:
    if lead:
        yield Problem(
            rule="blank-before-header",
            severity="error",
            message="Blank lines stand before the opening `---`; Claude Code finds no header.",
            fix="Remove them.",
        )
    for fence, line in ((opening, count_lines(lead) + 1), (close, close_line)):
        if fence.strip(" \t\r\n") != fence.strip(BLANKS):
            yield Problem(
                rule="blank-in-fence",
                severity="warning",
                message="A blank that cannot be seen stands behind these dashes, such as a byte order mark; "
                "Claude Code passes over it, other readers do not.",
                line=line,
                column=4,
                fix="Write exactly `---`.",
            )
    if opening.endswith("\r"):
        yield Problem(
            rule="lone-carriage-return",
            severity="error",
            message="Lines end in a lone CR; Claude Code finds no header.",
            line=count_lines(lead) + 1,
            fix="Save the file with LF line ends.",
        )
    if not close:
        yield Problem(
            rule="unclosed-header",
            severity="error",
            message="The header is never closed, so Claude Code takes the file for one without a header.",
            line=close_line,
            fix="Put a line `---` after the last entry.",
        )
    elif close.strip(BLANKS) == "...":
        yield Problem(
            rule="odd-fence",
            severity="error",
            line=close_line,
            fix="Write `---`.",
            message="The header is closed with `...`, which Claude Code does not take for its end.",
        )
    elif close.strip(BLANKS) != "---":
        yield Problem(
            rule="odd-fence",
            severity="warning",
            line=close_line,
            column=4,
            fix="Write exactly `---`.",
            message="The closing fence has too many dashes; Claude Code puts the rest before the prompt.",
        )
    elif close[0] in " \t":
        yield Problem(
            rule="odd-fence",
            severity="warning",
            line=close_line,
            fix="Write `---` at the start of the line.",
            message="The closing fence is indented; Claude Code cuts here, other readers do not.",
        )
