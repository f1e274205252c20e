"""Lines, line ends and bytes of a text, as both readers and the writer count them."""

from __future__ import annotations

import re

BLANKS = "\t\n\v\f\r \xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What JavaScript, in which Claude Code is written, takes for blank: the byte order mark as well."""
BLANKS_IN_A_LINE = BLANKS.replace("\n", "").replace("\r", "")

LINE_END = re.compile(r"\r\n|\r|\n")

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def lines_of(text: str) -> list[str]:
    """The lines with their ends: CRLF, LF or CR, and no other character ends a line."""
    return _LINES.findall(text)


def count_lines(text: str) -> int:
    """How many lines end in the text."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def without_end(line: str) -> str:
    """The line without its end."""
    return line.rstrip("\r\n")


def plain_line_ends(text: str) -> str:
    """The text with LF for every line end."""
    return LINE_END.sub("\n", text) if "\r" in text else text


def as_shown(text: str) -> str:
    """The text as a program reads it that puts U+FFFD for each byte that is not UTF-8."""
    if text.isascii():
        return text
    whole = _NO_BYTES.sub("\ufffd", text)
    return whole.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
