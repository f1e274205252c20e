"""Graders that read a reply as text.

Each public function makes a grader from the options of a task. The reply is data: no part of it is executed,
the patterns used on it here take time in proportion to its length, and one that a task brings is bounded.
"""

from __future__ import annotations

import builtins
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from workbench.grading import options
from workbench.grading.fences import CodeBlock, code_blocks, language_name, prose
from workbench.trial import bounded
from workbench.trial.task import Task
from workbench.trial.trial import Grader, Reply, Score

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "a": re.ASCII}
_TYPOGRAPHIC = str.maketrans("‐‑‒–—’‘“”", "-----''\"\"")

_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(?P<words>.*)$")
_UNDERLINE = re.compile(r"^\s{0,3}(=+|-{2,})\s*$")
_LIST_ITEM = re.compile(r"^\s*(?:[-*+•]|\(?(?:\d{1,3}|[A-Za-z])[.)])\s+")
_LEAD_IN = re.compile(r"^(?:\*\*|__)(?P<words>[^*_].*?)(?:\*\*|__)")
_BOLD_LINE = re.compile(r"^\s*(?:\*\*|__)[^*_][^*]*(?:\*\*|__)\s*$")
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_ADDRESS = re.compile(r"https?://\S*")
# Possessive, and only from the first mark of a row: a reply of nothing but dots stays linear.
_SENTENCE_END = re.compile(r"(?<![.!?？؟])(?P<marks>[.!?？؟]++)(?P<close>[\"'”’»)\]*_]*+)(?=\s|$)")
_QUOTATION_MARKS = frozenset("\"'”’»")
_YOU = re.compile(r"\b(?:you|your|yours|yourself|you're|you'd|you've|you'll)\b", re.IGNORECASE)
_ANSWER = re.compile(r"[*_\"'(]*(?:because|since|yes|no|nope|simple|simply|the answer|answer)\b", re.IGNORECASE)

_DIAGRAM_LANGUAGES = frozenset({"mermaid", "plantuml", "dot", "graphviz", "d2"})
_PLAIN_LANGUAGES = frozenset({"", "text", "txt", "plaintext", "plain", "ascii", "diagram", "console"})
_DIAGRAM_START = re.compile(
    r"^\s*(?:@startuml|sequenceDiagram|classDiagram|erDiagram|stateDiagram|flowchart\s|graph\s+(?:TB|TD|BT|RL|LR)\b|C4)"
)
# Only from the first sign of a row, which is taken whole: a line of nothing but dashes stays linear.
_ARROW = re.compile(r"(?<!-)-{2,}+>|<-{2,}+|(?<!=)={2,}+>|─[>▶►]|[→←↑↓↔⇒⇐⟶⟵▲▼▶◀►◄]")
_SHORT_ARROW = re.compile(r"[^\s)]\s*->\s*\S")
_CODE_LINE = re.compile(r"^\s*(?:async\s+def|def|fn|func|lambda)\b|[:{;]\s*$")
_TREE_BRANCH = re.compile(r"^[\s│|]*[├└]─+\s")
_FALLING_ARROW = re.compile(r"^[\s|│]*[vV^][\s|│vV^]*$")
_ASCII_BOX = re.compile(r"\+[-=]{2,}\+")
_BOX_CORNERS = "┌╔╭┏"


def mentions(*, any: Sequence[str] | None = None, all: Sequence[str] | None = None) -> Grader:
    """A grader of the words a reply names: whole words, in any case, code included.

    With `any` the value is 1 where at least one is there, else 0; with `all` it is the share that is there.

    Raises:
        TypeError, ValueError: not exactly one of `any` and `all`, or not a list of texts.
    """
    if (any is None) == (all is None):
        found = "neither" if any is None else "both"
        raise ValueError(f"mentions takes either `any` or `all`, found {found}")
    one_is_enough = any is not None
    wanted = options.texts("any", any) if one_is_enough else options.texts("all", all)
    patterns = _word_patterns(wanted)

    def grade(task: Task, reply: Reply) -> Score:
        present = _present(patterns, reply.text)
        missing = [word for word in wanted if word not in present]
        if one_is_enough:
            if present:
                return Score(value=1.0, explanation=f"mentions {_listed(present)}")
            return Score(value=0.0, explanation=f"mentions none of {_listed(wanted)}")
        value = len(present) / len(patterns)
        ending = f"; missing: {_listed(missing)}" if missing else ""
        return Score(value=value, explanation=f"mentions {len(present)} of {len(patterns)}{ending}")

    return grade


def omits(*, any: Sequence[str]) -> Grader:
    """A grader that is 1 where none of these words appears (whole words, in any case), else 0.

    Raises:
        TypeError, ValueError: `any` is not a list of texts.
    """
    unwanted = options.texts("any", any)
    patterns = _word_patterns(unwanted)

    def grade(task: Task, reply: Reply) -> Score:
        present = _present(patterns, reply.text)
        if present:
            return Score(value=0.0, explanation=f"mentions {_listed(present)}")
        return Score(value=1.0, explanation=f"mentions none of {_listed(unwanted)}")

    return grade


def matches(*, pattern: str, flags: str = "") -> Grader:
    """A grader that is 1 where the regular expression is found somewhere in the reply, else 0.

    `flags` are letters out of "imsxa" as in `(?i)`. A pattern with nested repetition such as `(a+)+$` can take time
    exponential in the length of a reply: the grader declines where a search has computed for `bounded.SECONDS`.

    Raises:
        TypeError, ValueError: not a text, an unknown flag, or a pattern that does not compile.
    """
    written = options.text("pattern", pattern)
    if not isinstance(flags, str):
        raise TypeError(f"`flags` takes letters out of {''.join(_FLAGS)}, found {flags!r}")
    unknown = sorted(set(flags) - set(_FLAGS))
    if unknown:
        raise ValueError(f"`flags` does not know {', '.join(unknown)}; it knows {', '.join(_FLAGS)}")
    chosen = re.RegexFlag(0)
    for letter in flags:
        chosen |= _FLAGS[letter]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(written, chosen)
    except (re.error, RecursionError, OverflowError, FutureWarning, DeprecationWarning) as problem:
        raise ValueError(f"`pattern` {written!r} does not compile: {problem}") from problem

    def grade(task: Task, reply: Reply) -> Score:
        try:
            found = bounded.search(written, int(chosen), reply.text)
        except bounded.BeyondBounds as fault:
            return Score(value=None, explanation=f"the search for {_short(written)} was ended: {fault}")
        if found is None:
            return Score(value=0.0, explanation=f"nothing matches {_short(written)}")
        line = reply.text.count("\n", 0, found.start) + 1
        return Score(value=1.0, explanation=f"line {line} matches: {_quoted(found.text)}")

    return grade


def word_count(*, at_least: int | None = None, at_most: int | None = None) -> Grader:
    """A grader of the length in words, code included, as white space parts them.

    The value is 1 inside the bounds and falls linearly to 0 at half of `at_least` and at twice `at_most`.

    Raises:
        TypeError, ValueError: no bound, not whole numbers from 1, or `at_least` above `at_most`.
    """
    if at_least is None and at_most is None:
        raise ValueError("word_count takes `at_least`, `at_most` or both, found neither")
    low = None if at_least is None else options.count("at_least", at_least)
    high = None if at_most is None else options.count("at_most", at_most)
    if low is not None and high is not None and low > high:
        raise ValueError(f"`at_least` {low} is above `at_most` {high}")

    def grade(task: Task, reply: Reply) -> Score:
        words = len(reply.text.split())
        if low is not None and words < low:
            value = max(0.0, (words - low / 2) / (low / 2))
            return Score(value=value, explanation=f"{words} words, fewer than {low}")
        if high is not None and words > high:
            value = max(0.0, (2 * high - words) / high)
            return Score(value=value, explanation=f"{words} words, more than {high}")
        return Score(value=1.0, explanation=f"{words} words")

    return grade


def asks_question(*, at_least: int = 1, of_user: bool = True) -> Grader:
    """A grader of the questions outside code and headings: 1 from `at_least` on, below it their share.

    With `of_user` only questions put to the reader count: those that say "you", stand in a list or a table,
    or end their paragraph. Not those that the reply answers on the spot ("Why Postgres? Because ...") or that
    are in quotation marks. Without `of_user` every sentence that ends in a question mark counts.

    Raises:
        TypeError, ValueError: `at_least` is not a whole number from 1, or `of_user` is not true or false.
    """
    needed = options.count("at_least", at_least)
    only_to_reader = options.switch("of_user", of_user)

    def grade(task: Task, reply: Reply) -> Score:
        questions = list(_questions(prose(reply.text), only_to_reader))
        if not questions:
            whom = " to the reader" if only_to_reader else ""
            return Score(value=0.0, explanation=f"asks no question{whom}")
        counted = "1 question" if len(questions) == 1 else f"{len(questions)} questions"
        wanted = "" if len(questions) >= needed else f" of {needed} wanted"
        return Score(
            value=min(1.0, len(questions) / needed),
            explanation=f"{counted}{wanted}; the first: {_quoted(questions[0])}",
        )

    return grade


def has_diagram() -> Grader:
    """A grader that is 1 where the reply draws: Mermaid, PlantUML, Graphviz or D2, or boxes and arrows.

    A tree of files, a table and the arrows of Python's type hints are not taken for a diagram.
    """

    def grade(task: Task, reply: Reply) -> Score:
        for block in code_blocks(reply.text):
            if block.text.strip() and block.language in _DIAGRAM_LANGUAGES:
                return Score(value=1.0, explanation=f"{block.language} diagram in line {block.line}")
            if block.language in _PLAIN_LANGUAGES and _is_drawn(block):
                return Score(value=1.0, explanation=f"drawn diagram in line {block.line}")
        outside = prose(reply.text)
        if _boxes(outside) and "└" in outside:
            return Score(value=1.0, explanation="drawn diagram outside code blocks")
        return Score(value=0.0, explanation="no diagram")

    return grade


def has_code(*, language: str | None = None) -> Grader:
    """A grader that is 1 where the reply has a fenced block that is not empty, of `language` if given.

    Raises:
        TypeError, ValueError: `language` is not a text or is blank.
    """
    wanted = None if language is None else language_name(options.text("language", language))

    def grade(task: Task, reply: Reply) -> Score:
        blocks = [block for block in code_blocks(reply.text) if block.text.strip()]
        matching = [block for block in blocks if wanted is None or block.language == wanted]
        kind = "code" if wanted is None else wanted
        if matching:
            counted = "1 block" if len(matching) == 1 else f"{len(matching)} blocks"
            return Score(value=1.0, explanation=f"{counted} of {kind}")
        others = sorted({block.language or "no language" for block in blocks})
        ending = f"; blocks of {_listed(others)}" if others else ""
        return Score(value=0.0, explanation=f"no block of {kind}{ending}")

    return grade


def has_section(*, any: Sequence[str]) -> Grader:
    """A grader that is 1 where a heading or a bold lead-in holds one of these titles as whole words.

    Case, hyphens and spaces do not matter: "Trade-offs" finds "## Design tradeoffs".

    Raises:
        TypeError, ValueError: `any` is not a list of texts with letters or digits.
    """
    wanted = options.texts("any", any)
    keys = {title: "".join(_words(title)) for title in wanted}
    empty = [title for title, key in keys.items() if not key]
    if empty:
        raise ValueError(f"`any` takes titles with letters or digits, found {empty[0]!r}")

    def grade(task: Task, reply: Reply) -> Score:
        titles = list(_titles(prose(reply.text)))
        for heading in titles:
            if builtins.any(_holds_run(_words(heading), key) for key in keys.values()):
                return Score(value=1.0, explanation=f"section {_quoted(heading)}")
        counted = f"{len(titles)} other sections" if titles else "no sections at all"
        return Score(value=0.0, explanation=f"no section {_listed(wanted, last='or')}; {counted}")

    return grade


def _fold(text: str) -> str:
    """The text with typographic hyphens and quotation marks made plain: models write both kinds."""
    return unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHIC)


def _word_patterns(words: Sequence[str]) -> dict[str, re.Pattern[str]]:
    patterns = {}
    for word in words:
        parts = (re.escape(part) for part in _fold(word).split())
        patterns[word] = re.compile(r"(?<!\w)" + r"\s+".join(parts) + r"(?!\w)", re.IGNORECASE)
    return patterns


def _present(patterns: dict[str, re.Pattern[str]], text: str) -> list[str]:
    folded = _fold(text)
    return [word for word, pattern in patterns.items() if pattern.search(folded)]


@dataclass(frozen=True, kw_only=True)
class _Sentence:
    text: str
    is_question: bool
    is_quoted: bool


def _questions(text: str, only_to_reader: bool) -> Iterator[str]:
    for paragraph, in_list in _paragraphs(text):
        sentences = list(_sentences(paragraph))
        for sentence, following in zip_longest(sentences, sentences[1:]):
            if sentence.is_question and (not only_to_reader or _is_put_to_reader(sentence, following, in_list=in_list)):
                yield sentence.text


def _is_put_to_reader(sentence: _Sentence, following: _Sentence | None, *, in_list: bool) -> bool:
    if sentence.is_quoted or (following is not None and _ANSWER.match(following.text)):
        return False
    if in_list or _YOU.search(sentence.text):
        return True
    return not _BOLD_LINE.match(sentence.text) and (following is None or following.is_question)


def _paragraphs(text: str) -> Iterator[tuple[str, bool]]:
    """Paragraphs without headings, quotations, code and addresses; each with whether it is listed."""
    gathered: list[str] = []
    in_list = False
    for line in [*text.splitlines(), ""]:
        item = _LIST_ITEM.match(line)
        start = line.lstrip()[:1]
        is_apart = not start or start in "|>" or _HEADING.match(line) or _UNDERLINE.match(line)
        if gathered and (is_apart or item):
            if not line.lstrip().startswith("=="):  # else the paragraph was an underlined heading
                yield " ".join(gathered), in_list
            gathered, in_list = [], False
        cleaned = _ADDRESS.sub(" ", _INLINE_CODE.sub("code", line))
        if start == "|":
            yield from ((cell.strip(), True) for cell in cleaned.split("|") if cell.strip())
        elif item:
            gathered, in_list = [cleaned[item.end() :].strip()], True
        elif not is_apart:
            gathered.append(cleaned.strip())


def _sentences(paragraph: str) -> Iterator[_Sentence]:
    start = 0
    for end in _SENTENCE_END.finditer(paragraph):
        # Two characters tell: a space and the next letter. A slice to the end would make many dots quadratic.
        following = paragraph[end.end() : end.end() + 2].lstrip()
        if set(end["marks"]) == {"."} and (following.islower() or following.isdigit()):
            continue  # "e.g. 10k" is no end
        text = paragraph[start : end.end()].strip()
        start = end.end()
        yield _Sentence(
            text=text,
            is_question=not set("?？؟").isdisjoint(end["marks"]),
            is_quoted=not _QUOTATION_MARKS.isdisjoint(end["close"]),
        )
    rest = paragraph[start:].strip()
    if rest:
        yield _Sentence(text=rest, is_question=False, is_quoted=False)


def _titles(text: str) -> Iterator[str]:
    before = ""
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading is not None:
            yield heading["words"].rstrip("# \t")
        elif before.strip() and _UNDERLINE.match(line):
            yield before.strip()
        else:
            item = _LIST_ITEM.match(line)
            lead_in = _LEAD_IN.match(line[item.end() :] if item else line.lstrip())
            if lead_in is not None:
                yield lead_in["words"]
        before = line


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", _fold(text).casefold().replace("_", " "))


def _holds_run(words: list[str], key: str) -> bool:
    """Whether neighbouring words, written together, make `key`."""
    for start in range(len(words)):
        joined = ""
        for word in words[start:]:
            joined += word
            if joined == key:
                return True
            if len(joined) >= len(key):
                break
    return False


def _is_drawn(block: CodeBlock) -> bool:
    if _DIAGRAM_START.match(block.text):
        return True
    lines = [line for line in block.text.splitlines() if not _TREE_BRANCH.match(line)]
    arrows = sum(len(_ARROW.findall(line)) for line in lines)
    arrows += sum(1 for line in lines if _FALLING_ARROW.match(line))
    arrows += sum(len(_SHORT_ARROW.findall(line)) for line in lines if not _CODE_LINE.search(line))
    boxes = _boxes(block.text)
    return arrows >= 2 or boxes >= 2 or (boxes == 1 and arrows == 1)


def _boxes(text: str) -> int:
    """Boxes by their upper left corners; frames of +---+ count as one together, for tables have them too."""
    drawn = sum(text.count(corner) for corner in _BOX_CORNERS)
    return drawn if drawn else min(1, len(_ASCII_BOX.findall(text)))


def _listed(items: Sequence[str], *, last: str = "and", most: int = 5) -> str:
    shown = [_short(item) for item in items[:most]]
    if len(items) > most:
        shown.append(f"{len(items) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {last} {shown[-1]}"


def _short(text: str) -> str:
    return f"`{_clipped(text, 40)}`"


def _quoted(text: str) -> str:
    return f'"{_clipped(text, 80)}"'


def _clipped(text: str, most: int) -> str:
    # Only the beginning is joined anew: what a pattern matched may be as long as the reply.
    flat = " ".join(text[: 4 * most].split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"
