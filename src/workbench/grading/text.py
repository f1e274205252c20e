"""Graders that read a reply as text.

Each public function makes a grader from the options of a task. The reply is data: no part of it is executed,
the patterns used on it here take time in proportion to its length, and one that a task brings is bounded.
"""

from __future__ import annotations

import builtins
import re
import warnings
from collections.abc import Sequence
from typing import Literal

from workbench.grading import options
from workbench.grading.wording import listed, quoted, short
from workbench.markup import counted
from workbench.trial import bounded
from workbench.trial.countable import questions_told
from workbench.trial.fences import code_blocks, prose
from workbench.trial.sentences import (
    asserting_sentences,
    assertions,
    count_words,
    fold,
    language_of,
    languages,
    real_sentences,
    sentences,
    telling,
    whole_word,
)
from workbench.trial.task import Task
from workbench.trial.trial import Grader, Reply, Score

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "a": re.ASCII}
_LETTERS = re.compile(r"[^\W\d_]+")
LONG_WORD = 6
"""A word of more letters is long to LIX."""

Where = Literal["reply", "sentences", "prose", "code"]
"""Which part of a reply is read: all of it, what its real sentences assert, all outside code, or the code."""
_WHERES = ("reply", "sentences", "prose", "code")


def mentions(
    *,
    any: Sequence[str] | None = None,
    all: Sequence[str] | None = None,
    anywhere: bool = False,
    questions: bool = False,
    denied: bool = False,
    at_least: int = 1,
) -> Grader:
    """A grader of what a reply speaks of: whole words, in any case, where real sentences assert them.

    With `any` the value is 1 where at least one is there, else 0; with `all` it is the share that is there. A word does
    not count in a list of words, in words without order, in code, in a question unless `questions`, where it is only
    denied ("no RBAC", "without RBAC", "we do not use RBAC") unless `denied`, and where nothing is said of it ("RBAC is
    crucial."). A heading counts with the first sentence below it. `denied` is for what a reply is to report as missing:
    "there is no section Success Criteria".
    With `anywhere` a word counts wherever it stands. With `at_least` it takes so many different sentences that name one
    of them; the value is their share.

    Raises:
        TypeError, ValueError: not exactly one of `any` and `all`, or not a list of texts; or `at_least` with `all` or
            `anywhere`.
    """
    if (any is None) == (all is None):
        found = "neither" if any is None else "both"
        raise ValueError(f"mentions takes either `any` or `all`, found {found}")
    one_is_enough = any is not None
    wanted = options.texts("any", any) if one_is_enough else options.texts("all", all)
    everywhere, asked = options.switch("anywhere", anywhere), options.switch("questions", questions)
    missed = options.switch("denied", denied)
    needed = options.count("at_least", at_least)
    if needed > 1 and (everywhere or not one_is_enough):
        raise ValueError("`at_least` counts sentences: it goes with `any`, and not with `anywhere`")
    patterns = _word_patterns(wanted)
    longest_first = sorted(patterns.values(), key=lambda pattern: -len(pattern.pattern))

    def grade(task: Task, reply: Reply) -> Score:
        told: Sequence[str] = ()
        if everywhere:
            present = _present(patterns, reply.text)
        elif one_is_enough:
            told = telling(reply.text, longest_first, questions=asked, denied=missed)
            present = [word for word, pattern in patterns.items() if builtins.any(map(pattern.search, told))]
        else:  # each is a thing of its own: what is said of one may be another
            present = [
                word
                for word, pattern in patterns.items()
                if telling(reply.text, [pattern], questions=asked, denied=missed)
            ]
        if one_is_enough:
            if not present:
                return Score(value=0.0, explanation=f"mentions none of {listed(wanted)}{_unless(patterns, reply)}")
            naming = 1 if everywhere else len(told)
            of_wanted = "" if naming >= needed else f" in {naming} of {needed} sentences"
            return Score(value=builtins.min(1.0, naming / needed), explanation=f"mentions {listed(present)}{of_wanted}")
        missing = [word for word in wanted if word not in present]
        value = len(present) / len(patterns)
        unless = _unless({word: patterns[word] for word in missing}, reply) if missing and not everywhere else ""
        ending = f"; missing: {listed(missing)}{unless}" if missing else ""
        return Score(value=value, explanation=f"mentions {len(present)} of {len(patterns)}{ending}")

    return grade


def omits(*, any: Sequence[str]) -> Grader:
    """A grader that is 1 where none of these words appears (whole words, in any case, code included), else 0.

    Raises:
        TypeError, ValueError: `any` is not a list of texts.
    """
    unwanted = options.texts("any", any)
    patterns = _word_patterns(unwanted)

    def grade(task: Task, reply: Reply) -> Score:
        present = _present(patterns, reply.text)
        if present:
            return Score(value=0.0, explanation=f"mentions {listed(present)}")
        return Score(value=1.0, explanation=f"mentions none of {listed(unwanted)}")

    return grade


def contains(*, text: str, where: Where = "reply", ignore_case: bool = False, negate: bool = False) -> Grader:
    """A grader that is 1 where the reply contains this very `text`, else 0; with `negate` the other way round.

    `where` is "reply", "sentences" (what real sentences assert: denials do not count), "prose" or "code". With
    `ignore_case`, capitals are as small letters.

    Raises:
        TypeError, ValueError: not a text, or a place that is none of those.
    """
    wanted = options.text("text", text)
    place = _where(where)
    folds, turned = options.switch("ignore_case", ignore_case), options.switch("negate", negate)

    def grade(task: Task, reply: Reply) -> Score:
        read = _part(reply.text, place)
        needle = fold(wanted) if place == "sentences" else wanted
        found = needle.casefold() in read.casefold() if folds else needle in read
        said = "contains" if found else "does not contain"
        return Score(value=float(found != turned), explanation=f"{said} {quoted(wanted)}{_in(place)}")

    return grade


def equals(*, text: str | None = None, ignore_case: bool = False, negate: bool = False) -> Grader:
    """A grader that is 1 where the whole reply is this text, else 0; with `negate` the other way round.

    White space counts as one space, and none at the ends; with `ignore_case`, capitals are as small letters. Without
    `text` it is the `target` of the task, and the grader declines where the task has none.

    Raises:
        TypeError, ValueError: not a text, or a blank one.
    """
    given = None if text is None else options.text("text", text)
    folds, turned = options.switch("ignore_case", ignore_case), options.switch("negate", negate)

    def grade(task: Task, reply: Reply) -> Score:
        wanted = task.target if given is None else given
        if wanted is None:
            return Score(value=None, explanation="the task has no target, and the grader no text")
        one, two = (" ".join(each.split()) for each in (wanted, reply.text))
        same = one.casefold() == two.casefold() if folds else one == two
        said = "is" if same else "is not"
        return Score(value=float(same != turned), explanation=f"the reply {said} {quoted(wanted)}")

    return grade


def matches(*, pattern: str, flags: str = "", where: Where = "reply", negate: bool = False) -> Grader:
    """A grader that is 1 where the regular expression `pattern` is found, else 0; with `negate` the other way round.

    `flags` are letters out of "imsxa" as in `(?i)`. `where` is "reply", "sentences" (what real sentences assert, one a
    line: denials do not count), "prose" or "code". A pattern with nested repetition such as `(a+)+$` can take time
    exponential in the length of a reply: the grader declines where a search has computed for `bounded.SECONDS`.

    Raises:
        TypeError, ValueError: not a text, an unknown flag or place, or a pattern that does not compile.
    """
    written = options.text("pattern", pattern)
    place, turned = _where(where), options.switch("negate", negate)
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
        read = _part(reply.text, place)
        try:
            found = bounded.search(written, int(chosen), read)
        except bounded.BeyondBounds as fault:
            return Score(value=None, explanation=f"the search for {short(written)} was ended: {fault}")
        if found is None:
            return Score(value=float(turned), explanation=f"nothing matches {short(written)}{_in(place)}")
        line = f"line {read.count(chr(10), 0, found.start) + 1}" if place == "reply" else f"what stands{_in(place)}"
        return Score(value=float(not turned), explanation=f"{line} matches: {quoted(found.text)}")

    return grade


def word_count(*, at_least: int | None = None, at_most: int | None = None) -> Grader:
    """A grader of the length in words, code included.

    White space parts them; of Chinese and Japanese each character is one. The value is 1 inside the bounds and falls
    linearly to 0 at half of `at_least` and at twice `at_most`.

    Raises:
        TypeError, ValueError: no bound, not whole numbers from 1, or `at_least` above `at_most`.
    """
    low, high = options.bounds("word_count", at_least, at_most, options.count)

    def grade(task: Task, reply: Reply) -> Score:
        words = count_words(reply.text)
        return Score(
            value=options.within(words, low, high), explanation=f"{counted(words, 'word')}{_beside(words, low, high)}"
        )

    return grade


def has_sentences(*, at_least: int = 1, at_most: int | None = None, asserting: bool = False) -> Grader:
    """A grader of the number of real sentences, each counted once: what a list of words or shuffled words has none of.

    Below `at_least` the value is their share; above `at_most` it falls linearly to 0 at twice that number. With
    `asserting` a sentence that only denies ("We have no logs.") does not count.

    Raises:
        TypeError, ValueError: not whole numbers from 1, `at_least` above `at_most`, or `asserting` is not true or
            false.
    """
    read = asserting_sentences if options.switch("asserting", asserting) else real_sentences
    low, high = options.bounds("has_sentences", at_least, at_most, options.count)

    def grade(task: Task, reply: Reply) -> Score:
        number = len(read(reply.text))
        wanted = _beside(number, low, high)
        value = min(1.0, number / low) if low and number < low else options.within(number, None, high)
        kind = "asserting" if read is asserting_sentences else "real"
        shown = f"1 {kind} sentence" if number == 1 else f"{number} {kind} sentences"
        return Score(value=value, explanation=f"{shown}{wanted}")

    return grade


def readability(*, at_most: int, at_least: int | None = None) -> Grader:
    """A grader of how hard the sentences are to read, by LIX: words a sentence, and the percentage of long words.

    Below 30 is very easy, 40 is a newspaper, above 60 very hard (C. H. Björnsson, Läsbarhet, 1968), in any language.
    The value is 1 inside the bounds and falls linearly to 0 at twice `at_most` and at half of `at_least`. It declines
    where there is no real sentence.

    Raises:
        TypeError, ValueError: not whole numbers from 1, or `at_least` above `at_most`.
    """
    low, high = options.bounds("readability", at_least, at_most, options.count)

    def grade(task: Task, reply: Reply) -> Score:
        told = [each.text for each in sentences(reply.text) if each.is_real]
        words = [word for text in told for word in _LETTERS.findall(text)]
        if not words:
            return Score(value=None, explanation="no real sentence")
        long = sum(len(word) > LONG_WORD for word in words)
        lix = len(words) / len(told) + 100 * long / len(words)
        return Score(value=options.within(lix, low, high), explanation=f"LIX {lix:.0f}{_beside(lix, low, high)}")

    return grade


def language(*, any: Sequence[str]) -> Grader:
    """A grader that is 1 where the prose is in one of the languages of `any` ("en", "de"), else 0.

    A language is known by its small words. It declines where there is too little prose to tell.

    Raises:
        TypeError, ValueError: not a list of texts, or a language that is not known.
    """
    wanted = options.choices("any", any, languages())

    def grade(task: Task, reply: Reply) -> Score:
        found = language_of(reply.text)
        if found is None:
            return Score(value=None, explanation="too few words to tell the language")
        return Score(value=float(found in wanted), explanation=f"the prose is in {short(found)}")

    return grade


def code_share(*, at_least: float | None = None, at_most: float | None = None) -> Grader:
    """A grader of the share of a reply that is in fenced blocks, by characters without white space.

    The value is 1 inside the bounds and falls linearly to 0 at half of `at_least` and at twice `at_most`.

    Raises:
        TypeError, ValueError: no bound, not numbers above 0 and up to 1, or `at_least` above `at_most`.
    """
    low, high = options.bounds("code_share", at_least, at_most, options.share)

    def grade(task: Task, reply: Reply) -> Score:
        code = sum(len("".join(block.text.split())) for block in code_blocks(reply.text))
        told = len("".join(prose(reply.text).split()))
        share = code / (code + told) if code + told else 0.0
        value = options.within(share, low, high)
        return Score(value=value, explanation=f"{share:.0%} of the reply is code{_beside(share, low, high, '.0%')}")

    return grade


def asks_question(*, at_least: int = 1, of_user: bool = True) -> Grader:
    """A grader of the questions outside code and headings: 1 from `at_least` on, below it their share.

    With `of_user` only questions put to the reader count: those that say "you", stand in a list or a table,
    or end their paragraph. Not those that the reply answers on the spot ("Why Postgres? Because ...") or that
    are in quotation marks. Without `of_user` every sentence that ends in a question mark counts. A question is a real
    sentence of three words or more, one of which says what is asked about: "Do you?" is none.

    Raises:
        TypeError, ValueError: `at_least` is not a whole number from 1, or `of_user` is not true or false.
    """
    needed = options.count("at_least", at_least)
    only_to_reader = options.switch("of_user", of_user)

    def grade(task: Task, reply: Reply) -> Score:
        questions = list(dict.fromkeys(questions_told(reply.text, only_to_reader=only_to_reader)))
        if not questions:
            whom = " to the reader" if only_to_reader else ""
            return Score(value=0.0, explanation=f"asks no question{whom}")
        counted = "1 question" if len(questions) == 1 else f"{len(questions)} questions"
        wanted = "" if len(questions) >= needed else f" of {needed} wanted"
        return Score(
            value=min(1.0, len(questions) / needed),
            explanation=f"{counted}{wanted}; the first: {quoted(questions[0])}",
        )

    return grade


def _where(value: object) -> Where:
    place = options.text("where", value)
    if place not in _WHERES:
        raise ValueError(f"`where` takes one of {', '.join(_WHERES)}, found {value!r}")
    return place  # type: ignore[return-value]  # one of `_WHERES`


def _part(text: str, place: Where) -> str:
    if place == "sentences":
        return "\n".join(assertions(text))
    if place == "prose":
        return prose(text)
    if place == "code":
        return "\n\n".join(block.text for block in code_blocks(text))
    return text


def _in(place: Where) -> str:
    return {"reply": "", "sentences": " in its sentences", "prose": " in its prose", "code": " in its code"}[place]


def _beside(value: float, low: float | None, high: float | None, form: str = "") -> str:
    if low is not None and value < low:
        return f", fewer than {low:{form}}" if not form else f", less than {low:{form}}"
    if high is not None and value > high:
        return f", more than {high:{form}}"
    return ""


def _unless(patterns: dict[str, re.Pattern[str]], reply: Reply) -> str:
    """Why the words that are there do not count."""
    present = _present(patterns, reply.text)
    if not present:
        return ""
    asserted, told = assertions(reply.text), sentences(reply.text)
    by_reason: dict[str, list[str]] = {}
    for word in present:
        pattern = patterns[word]
        if builtins.any(map(pattern.search, asserted)):
            why = "nothing is said of it"
        elif builtins.any(each.is_real and pattern.search(each.text) for each in told):
            why = "denied or only asked (`denied`, `questions`)"
        else:
            why = "in no real sentence"
        by_reason.setdefault(why, []).append(word)
    return "".join(
        f"; {listed(words)} {'is' if len(words) == 1 else 'are'} there, but {why}" for why, words in by_reason.items()
    )


def _word_patterns(words: Sequence[str]) -> dict[str, re.Pattern[str]]:
    patterns = {}
    for word in words:
        patterns[word] = re.compile(whole_word(word), re.IGNORECASE)
    return patterns


def _present(patterns: dict[str, re.Pattern[str]], text: str) -> list[str]:
    folded = fold(text)
    return [word for word, pattern in patterns.items() if pattern.search(folded)]
