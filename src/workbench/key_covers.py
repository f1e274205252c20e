"""What can stand within a key and is not seen once a page or a terminal shows it, and the text without it.

Declared once, as rules: escapes (of Markdown, and of JSON by number), tags that break no line, comments, characters by
number or name, and every character that has no width. A sign by number is lifted where it can be part of a key, or has
no width; `&lt;` stays what it is, so that nothing becomes markup that was none.
"""

from __future__ import annotations

import html
import re

_OF_KEYS = r"A-Za-z0-9_.~+/=:\-"
_LINE_BREAKING = (
    "address|article|aside|blockquote|body|br|caption|center|col|colgroup|dd|details|dialog|dir|div|dl|dt|fieldset|figcaption"
    "|figure|footer|form|frame|frameset|h[1-6]|head|header|hr|html|legend|li|link|main|menu|meta|nav|ol|optgroup|option|p"
    "|pre|script|search|section|style|summary|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
"""Elements that a page begins on a line or in a cell of its own: what stands before and behind is not one word."""
_NO_WIDTH = (
    r"[\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""The category Cf of Unicode, and what Unicode says is not shown where a font has no sign for it."""
_COMMENT = r"<!--(?:(?!-->|<!--)[\s\S])*+-->"
_TAG = rf"</?+(?!(?:{_LINE_BREAKING})\b)[A-Za-z][^<>]*+>"
_ESCAPE = r"\\(?<!\\\\)\\*+(?:u[0-9a-fA-F]{4}|(?=[-_.~+/=:]))"
"""In JSON each backslash that Markdown needs is two."""
_BY_NUMBER = (
    r"&(?:#(?:[xX]0*+[0-9a-fA-F]{1,6}|0*+[0-9]{1,7});?+|(?!(?:amp|lt|gt|quot|apos|nbsp);)[A-Za-z][A-Za-z0-9]{1,31}+;)"
)
_COLOUR = r"\x1b\[[0-9;:?]*+[A-Za-z]"

_COVER = re.compile("|".join((_COMMENT, _TAG, _ESCAPE, _BY_NUMBER, _COLOUR, f"{_NO_WIDTH}++")), re.IGNORECASE)
_INVISIBLE = re.compile(_NO_WIDTH)
_LIFTED = re.compile(f"[{_OF_KEYS} @]")
"""By number or name: it can stand in a key, before it, or behind one in an address. No sign of markup is one, and no
quote."""
_BEHIND_A_SIGN = rf"(?<=[{_OF_KEYS};]<)"
_SIGN = re.compile(r"[!-/:-@\[-`{-~]")
_ESCAPED_SIGN = re.compile(rf"\\({_SIGN.pattern})")
"""Of Markdown: what may need an escape, and one that has it."""
_COVERS = (
    ("<", re.compile(rf"<{_BEHIND_A_SIGN}(?:{_COMMENT[1:]}|{_TAG[1:]})", re.IGNORECASE)),
    ("&", re.compile(_BY_NUMBER)),
    ("\\", re.compile(_ESCAPE)),
    ("\x1b", re.compile(_COLOUR)),
)
"""By its first sign, what a text with a cover has somewhere; a tag covers nothing unless a key may go on before it."""
_LINE_END = re.compile(rf"{_COMMENT}|<[^<>]*+>|(?P<end>\n|\\n|\|)")
"""Where a line or a cell of a table ends; not within a comment or a tag."""


def without_escapes(markdown: str) -> str:
    """Markdown with each sign that a backslash escapes as it is shown."""
    return _ESCAPED_SIGN.sub(r"\1", markdown)


def with_escapes(text: str) -> str:
    """A text as Markdown that shows it."""
    return _SIGN.sub(r"\\\g<0>", text)


def has_cover(text: str) -> bool:
    """Whether anything in the text may cover a part of a key. Asked of the signs that covers begin with, as the whole
    pattern takes three times as long (benchmark `linting`)."""
    if not text.isascii() and _INVISIBLE.search(text):
        return True
    return any(sign in text and cover.search(text) for sign, cover in _COVERS)


def uncovered(text: str) -> str:
    """The text as a page shows it: without what can stand within a key unseen."""
    return _COVER.sub(_shown, text) if has_cover(text) else text


def covered_lines(text: str) -> str:
    """The lines of a text in which anything may cover a part of a key, as a page shows them. Few lines do: to look for
    keys in all lines of such a text once more takes a tenth of the time of all rules (benchmark `linting`)."""
    if not has_cover(text):
        return ""
    covers = (_INVISIBLE, *(cover for sign, cover in _COVERS if sign in text))
    lines: list[str] = []
    done = 0
    for begin, end in sorted(found.span() for cover in covers for found in cover.finditer(text)):
        if end > done:
            begin = max(done, text.rfind("\n", 0, begin) + 1)
            done = text.find("\n", end) + 1 or len(text)
            lines.append(text[begin:done])
    return uncovered("".join(lines))


def lines_and_ends(text: str) -> list[str]:
    """The lines and cells of a text, and after each but the last the sign that ends it."""
    parts: list[str] = []
    begin = 0
    for found in _LINE_END.finditer(text):
        if found["end"]:
            parts += (text[begin : found.start()], found["end"])
            begin = found.end()
    return [*parts, text[begin:]]


def _shown(found: re.Match[str]) -> str:
    """What a page shows of a cover."""
    cover = found[0]
    if cover[0] == "&":
        sign = html.unescape(cover)
    elif cover[0] == "\\" and cover[-5:-4] in ("u", "U"):
        sign = chr(int(cover[-4:], 16))
    else:
        return ""
    if _INVISIBLE.fullmatch(sign):
        return ""
    return sign if _LIFTED.fullmatch(sign) else cover
