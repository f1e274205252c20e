"""Sentences of a reply: which of its words stand in real ones, and which of those it only denies.

A list of the right words is no answer, and neither is a denial of them, nor a sentence that says of a thing only that
there is such (`telling`). So a word counts where it stands in a
sentence that somebody could have said: of at least `FEWEST_WORDS` words, among them enough of the small ones that hold
a language together, in an order that they can have, and not the fourth of one mould, or in a reply that is a few
moulds filled in. The limits were set by measurement: of the sentences of the first agent's good replies and of this
project's documentation, and of the same with their words shuffled, or with keywords alone (`tests/test_sentences.py`
and `tests/test_first_agent.py` count them anew).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from pathlib import Path

from workbench.trial.fences import prose

FEWEST_WORDS = 4
"""Shorter ones say too little to be told from a list of words."""
FEWEST_CHARACTERS = 8
"""The same for writing that has no spaces between words."""
LEAST_SMALL = 0.2
"""The share of small words ("the", "of", "is") that a sentence has at least."""
LEAST_BETWEEN = 2.5
"""Words that stand between two commas, on average: fewer are a list of words."""
FEWEST_ITEMS = 3
"""So many things between commas, and nothing else, are a list; two may be a turn of speech."""
MOST_IN_ITEM = 4
"""Words of a thing in such a list ("right to be forgotten"), its article aside. Of the sentences of 150 agent files of
other people 5 in 1,000 are such lists, most of them commands, of this project's pages 2 in 1,000, and of the known good
replies none; with 5 words, more than that are sentences."""
MOST_ALIKE = 3
"""So many sentences may differ in nothing but what they name; the next of that mould does not count."""
MOST_OPENED_ALIKE = 0.34
"""Where more than this share of a reply's sentences begin with the same two words, none of those count: nobody writes
"We use X and Y." for every X."""
FEWEST_OPENED = 6
"""So many sentences have to begin so for that."""
MOST_MOULDED = 0.34
"""Where more than this share of a reply's sentences have the mould of another of them, none of those count: whoever
thinks of what they say does not say it in the same frame each time. None of the known good replies has more than
0.22."""
MOST_MOULDED_AT_ALL = 0.45
"""Where it is more than this share, the reply is filled in, and no sentence of it counts."""
MOST_THIN = 0.8
"""Where more than this share of a reply's sentences are thin, none of them all counts: a frame takes two things,
whatever they are, and says nothing of them. None of the known good replies and of this project's pages has more than
0.44, and of 231 agent files of other people, which are lists of short commands, 2 in 100 have more."""
FEWEST_THIN = 6
"""So many sentences have to be thin for that: a short reply may be plain."""
THIN_THINGS, THIN_WORDS = 2, 2
"""A sentence is thin that names so many things, each in so many words, or less; beside them are small words and empty
ones ("good", "part", "matters")."""
FEWEST_MOULDED = 4
"""So many sentences have to share a mould for either."""
MOST_WORDS = 120
"""A longer one is no sentence; none of the known good replies has more than 36, and this project's notes have 89."""
MOST_SLIPS = 0.06
"""Where a greater share of neighbouring small words cannot stand so, the reply's words are in no order."""
WORDS_A_SLIP = 25
"""A sentence may have one slip in so many words: no list of small words knows every turn of speech."""
FEWEST_SLIPS = 2
"""Fewer slips say nothing of a whole reply."""

_TYPOGRAPHIC = str.maketrans("‐‑‒–—’‘“”", "-----''\"\"")
_WORD = re.compile(r"[^\W_]+(?:[.'_+/-][^\W_]+)*+")
UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f"
"""Letters of scripts that put no blank between words, or write on to a word what belongs to it; for a class."""
_WIDE = re.compile(rf"[{UNSPACED}]")
_WIDE_MARKS = re.compile(r"[、。，！？；：「」『』（）《》…—]")
_COUNTED_ONE_BY_ONE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")

HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(?P<words>.*)$")
UNDERLINE = re.compile(r"^\s{0,3}(=+|-{2,})\s*$")
LIST_ITEM = re.compile(r"^\s*(?:[-*+•]|\(?(?:\d{1,3}|[A-Za-z])[.)])\s+")
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_LEAD_IN = re.compile(r"(?:\*\*|__)[^*_\n]+(?:\*\*|__)[.:]?$")
_ADDRESS = re.compile(r"https?://\S*")
# Possessive, and only from the first mark of a row: a reply of nothing but dots stays linear.
_SENTENCE_END = re.compile(
    r"(?<![.!?？؟。！])(?P<marks>[.!?？؟。！]++)(?P<close>[\"'”’»」』)\]*_]*+)"
    rf"(?=\s|$|(?<=[。！？])|(?<=[{UNSPACED}][!?]))"
)
_LONGEST_SHORTENED = 3
_FAR_ENOUGH = 12
"""Characters before a stop, to see the whole of a short word."""
_SHORTENED = frozenset(["approx", "resp", "incl", "excl", "e.g", "i.e", "a.k.a"])
_QUOTATION_MARKS = frozenset("\"'”’»」』")

# What may not follow, in English: after an article no other small word, after a preposition no verb, and so on.
_CLASSES: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "article": "the a an my your our their its every",
        "preposition": "of from with into onto within without between during against among through behind upon",
        "direction": "to at for by",
        "conjunction": "and or but because if while although unless whereas nor",
        "verb": "is are was were am has had does did",
        "modal": "will would can could should must may might shall",
        "pronoun": "we they i he she it you",
        "subject": "we they i he she",
    }.items()
}
_SLIPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("article", ("article", "preposition", "conjunction", "verb", "modal", "pronoun")),
    ("preposition", ("verb", "modal", "conjunction", "subject", "preposition")),
    ("direction", ("verb", "modal")),
    ("conjunction", ("conjunction",)),
    ("verb", ("modal", "verb")),
    ("modal", ("article", "preposition", "conjunction", "verb", "modal")),
    ("subject", ("article", "preposition", "conjunction", "subject")),
)
_CLASSES_OF: dict[str, frozenset[str]] = {
    word: frozenset(name for name, words in _CLASSES.items() if word in words)
    for words in _CLASSES.values()
    for word in words
}
# A sentence begins in the middle of another: the words of several have been mixed.
_CAPITAL_WITHIN = re.compile(
    r"(?<=[a-z] )(?:The|An?|If|It|Its|Each|Every|This|That|These|In|For|When|Where|With|Without|To|On|By|From|Because|"
    r"Since|And|But|Or|So|We|They|You|Your|Is|Are|Do|Does|How|What|Which|Who|No|Not|Only|There|Until|Before|After)"
    r"(?= [a-z])"
)
_FORBIDDEN = frozenset((first, second) for first, following in _SLIPS for second in following)
_ENDINGS = frozenset({"article", "conjunction"})
_ACTS = (
    _CLASSES["verb"]
    | _CLASSES["modal"]
    | _CLASSES["pronoun"]
    | frozenset(
        """do let let's i'd i'll we'd we'll it's that's there's don't doesn't isn't can't
    cannot""".split()  # noqa: SIM905
    )
)
"""With one of these somebody does something, or something is said of a thing."""
_OPENS_CLAUSE = (
    _CLASSES["preposition"]
    | _CLASSES["direction"]
    | _CLASSES["conjunction"]
    | frozenset(
        "in on when where as so that which who how why what until after before since once not".split()  # noqa: SIM905
    )
)
"""No name of a thing begins with one of these."""

_KEPT_NEGATIONS = frozenset(
    """longer more matter one doubt less later sooner only just wonder earlier fewer later better other""".split()  # noqa: SIM905
)
_DENIES = frozenset(
    """no without neither nor lack lacks lacking zero none skip skips skipped skipping omit omits omitted
    omitting""".split()  # noqa: SIM905
)
_DENIES_ELSEWHERE: dict[str, frozenset[str]] = {
    "de": frozenset("kein keine keinen keinem keiner keines ohne weder nicht".split()),  # noqa: SIM905
    "fr": frozenset("sans aucun aucune pas ni".split()),  # noqa: SIM905
    "es": frozenset("sin ningún ninguna ni no".split()),  # noqa: SIM905
    "it": frozenset("senza nessun nessuna né".split()),  # noqa: SIM905
    "pt": frozenset("sem nenhum nenhuma nem".split()),  # noqa: SIM905
    "nl": frozenset("geen zonder noch".split()),  # noqa: SIM905
}
_NOT = re.compile(r"^(?:not|never|cannot|hardly|\w+n't)$")
_BETWEEN = frozenset(
    """really even actually yet currently to be been any a an the have has had do does did will would going ever
    also""".split()  # noqa: SIM905
)
_USING = re.compile(
    r"^(?:us|need|hav|ha|add|want|requir|includ|consider|recommend|bother|worr|implement|support|mention|discuss|cover|"
    r"provid|giv|offer|plan|car|think|see|writ|do|does|did|tak|employ|adopt|apply|appl|introduc|bring|keep|ask|address|"
    r"handl|deal|look|propos|suggest|show|draw|contain|get|set|put|make|mak|rely|rel|talk|test|review)"
    r"(?:e|es|s|ed|ing|y|ies|ied|d|en|t|up|ve|n)?$"
)
_NP_STOPS = frozenset(
    [
        "but",
        "because",
        "so",
        "since",
        "while",
        "if",
        "when",
        "unless",
        "which",
        "that",
        "who",
        "whose",
        "where",
        "is",
        "are",
        "was",
        "were",
        "be",
        "will",
        "would",
        "should",
        "must",
        "can",
        "could",
        "may",
        "might",
        "we",
        "you",
        "i",
        "they",
        "it",
        "he",
        "she",
        "this",
        "these",
        "those",
        "with",
        "by",
        "in",
        "on",
        "at",
        "for",
        "from",
        "to",
        "then",
        "than",
        "until",
        "after",
        "before",
        "as",
        "without",
        "not",
        "never",
        "no",
        "only",
        "into",
        "over",
        "under",
        "per",
        "via",
        "do",
        "does",
        "did",
        "has",
        "have",
        "had",
        "whether",
        "how",
        "why",
        "what",
        "let",
        "use",
    ]
)
_STILL_DENIED = frozenset("of any a an the kind sort type need for such real single".split())  # noqa: SIM905
_NOT_WANTED = frozenset(
    [
        "needed",
        "used",
        "required",
        "necessary",
        "wanted",
        "included",
        "considered",
        "part",
        "planned",
        "covered",
        "supported",
        "worth",
        "important",
        "relevant",
        "mentioned",
        "discussed",
        "provided",
        "there",
        "here",
        "implemented",
        "recommended",
        "useful",
        "choice",
        "fit",
        "tool",
        "answer",
        "option",
        "solution",
        "idea",
    ]
)
_PRAISES = frozenset({"right", "good", "best", "wise", "real"})
_UNWANTED = frozenset(
    """unnecessary omitted skipped missing ignored irrelevant unneeded absent useless excluded""".split()  # noqa: SIM905
)
_COMMANDS = frozenset({"skip", "omit", "none", "zero", "without"})
_REFUSES = frozenset({"no", "not", "neither", "nor", "without"})
_WITHOUT = frozenset({"without", "ohne", "sans", "sin", "senza", "sem", "zonder"})
_DENIES_WITHOUT = frozenset(
    """no nobody nothing impossible nicht nichts kein keine niemand niemals nie pas jamais nunca
    mai""".split()  # noqa: SIM905
)
_FARTHEST_DENIAL = 6
_DECIDED = re.compile(r"^(?:decid|advis|recommend|argu|vot|speak|cho[os])\w*$")
_IS = frozenset({"is", "are", "was", "were"})
_WRITERS = frozenset({"i", "we", "i'd", "i'll", "we'd", "we'll"})
_SMALL_COMMANDS = frozenset("ask get give keep let make need put take use".split())  # noqa: SIM905
_OBJECTS = frozenset(
    "it them this that these those the a an your our their its each every all any no only".split()  # noqa: SIM905
)
"""What follows a verb at the beginning of a command ("Rotate the key"), and no noun ("Keys are rotated")."""
_DONT = frozenset({"don't", "doesn't", "didn't", "won't"})
_LONGEST_DENIED = 4
"""Words of what one denial may take in, before a comma or an "or" goes on with the next."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence, an item of a list or a cell of a table."""

    text: str
    """As written, typographic hyphens and quotation marks made plain."""
    title: str
    """The heading, or the bold words at the beginning of the paragraph, under which it is the first real sentence."""
    is_real: bool
    """False for a list of words, words in no order, and the fourth of one mould."""
    is_question: bool
    is_quoted: bool
    in_list: bool
    """Also true in a table."""
    ends_paragraph: bool

    @property
    def asserted(self) -> str:
        """Title and text without what they deny: "no HMAC" and "we do not use HMAC" leave nothing of HMAC."""
        return _without_denied(self.with_title)

    @property
    def with_title(self) -> str:
        """Title and text, what they deny included."""
        return f"{self.title}: {self.text}" if self.title else self.text


def fold(text: str) -> str:
    """The text with typographic hyphens and quotation marks made plain: models write both kinds."""
    return unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHIC)


def words_of(text: str) -> list[str]:
    """The words in lower case; what hyphens, dots and apostrophes join is one."""
    return [word.lower() for word in _WORD.findall(text)]


def count_words(text: str) -> int:
    """How many words there are, code included: as white space parts them; of Chinese and Japanese, which have none
    between words, each character is one, as word processors count them, and so is each run of other letters."""
    if _COUNTED_ONE_BY_ONE.search(text) is None:
        return len(text.split())
    return len(re.sub(_COUNTED_ONE_BY_ONE, " x ", _WIDE_MARKS.sub(" ", text)).split())


def whole_word(text: str) -> str:
    """What finds this text as whole words, in a text that was folded: no letter stands before it and none behind,
    but those of scripts in which words are written on."""
    folded = fold(text).strip()
    words = r"\s+".join(re.escape(part) for part in folded.split())
    sides = ["" if not edge or _WIDE.match(edge) else rf"[^\W{UNSPACED}]" for edge in (folded[:1], folded[-1:])]
    before, after = (f"(?{kind}{side})" if side else "" for kind, side in zip(("<!", "!"), sides, strict=True))
    return f"{before}{words}{after}"


# Many graders look at one reply, one after the other.
@lru_cache(maxsize=8)
def sentences(text: str) -> tuple[Sentence, ...]:
    """The sentences of the reply outside code and headings, in order."""
    found = [
        (part, paragraph, last)
        for paragraph in paragraphs(fold(prose(text)))
        for part, last in _with_last(list(_parted(paragraph.text)))
    ]
    moulds: Counter[tuple[str, ...]] = Counter()
    language = language_of(text)
    in_order = language != "en" or _is_in_order([part for part, _, _ in found])
    alike = _opened_alike([part for part, _, _ in found])
    real = [part.text for part, _, _ in found if _is_real(part, language)]
    hollow = _moulded(real) | (_thin(real) if language == "en" else frozenset())
    made = []
    title = ""
    for part, paragraph, last in found:
        mould = _mould(part.text)
        moulds[mould] += 1
        is_own = moulds[mould] <= MOST_ALIKE and _opening(part) not in alike and part.text not in hollow
        is_real = in_order and is_own and _is_real(part, language)
        title = paragraph.title or title
        if not is_real and _LEAD_IN.match(part.text):
            title = part.text
        made.append(
            Sentence(
                text=part.text,
                title=title if is_real else "",
                is_real=is_real,
                is_question=part.is_question,
                is_quoted=part.is_quoted,
                in_list=paragraph.in_list,
                ends_paragraph=last,
            )
        )
        if is_real:
            title = ""
    return tuple(made)


def real_sentences(text: str) -> tuple[str, ...]:
    """The real sentences of the reply, each once."""
    return tuple(dict.fromkeys(each.text for each in sentences(text) if each.is_real))


def asserting_sentences(text: str) -> tuple[str, ...]:
    """The real sentences of the reply that say something beside what they deny, each once: "We have no logs." does
    not."""
    language = language_of(text)
    return tuple(dict.fromkeys(each.text for each in sentences(text) if each.is_real and _says(each, language)))


def _says(sentence: Sentence, language: str | None) -> bool:
    left = _without_denied(sentence.text)
    small = _small_words()[language or "en"]
    return left == sentence.text or any(word not in small for word in words_of(left))


def telling(
    text: str, named: Sequence[re.Pattern[str]], *, questions: bool = False, denied: bool = False
) -> tuple[str, ...]:
    """Those of `assertions` in which one of these patterns is found, and whose sentence says something of it.

    "Logs and metrics matter." names two things and says of neither more than that there are such. So a sentence has to
    name something beside what is looked for, not counting small words and empty ones ("matter", "crucial"); or somebody
    does something in it: it commands, asks, or says "I" or "we". One that ends in a colon goes on in the next. With
    `denied`, what a sentence denies is looked at too, and is in what is given.
    """
    told = [each for each in sentences(text) if each.is_real and (questions or not each.is_question)]
    language = language_of(text) or "en"
    nothing = _small_words()[language] | (_empty_words() if language == "en" else frozenset())
    found = []
    for sentence, following in pairwise([*told, None]):
        if sentence is None:
            continue
        said = sentence.with_title if denied else sentence.asserted
        if not any(pattern.search(said) for pattern in named):
            continue
        if denied and not any(pattern.search(sentence.asserted) for pattern in named):
            found.append(said)  # that a thing is missing says something of it
            continue
        goes_on = following is not None and sentence.text.endswith(":")
        left = " ".join([sentence.title, sentence.text, following.text if following and goes_on else ""])
        for pattern in named:
            left = pattern.sub(" ", left)
        if _is_done_by_somebody(sentence) or any(word not in nothing for word in words_of(left)):
            found.append(said)
    return tuple(dict.fromkeys(found))


def _is_done_by_somebody(sentence: Sentence) -> bool:
    """Whether it commands ("Take it from there"), asks, or says what the writer does ("I would take it")."""
    words = words_of(sentence.text)
    if sentence.is_question or not words or not _WRITERS.isdisjoint(words):
        return True
    small = _small_words()["en"]
    begins, then = words[0], words[1] if len(words) > 1 else ""
    return begins in _SMALL_COMMANDS or (begins not in small and then in _OBJECTS)


def assertions(text: str, *, questions: bool = False) -> tuple[str, ...]:
    """What the real sentences of the reply assert, each once, without what they deny; with `questions`, what they ask
    as well."""
    told = [each for each in sentences(text) if each.is_real and (questions or not each.is_question)]
    return tuple(dict.fromkeys(each.asserted for each in told))


@lru_cache(maxsize=8)
def language_of(text: str) -> str | None:
    """The code of the language that the prose is in ("en", "de"), by its small words; `None` where it is none of
    `languages()`, or there are too few words to tell."""
    counts = Counter(words_of(fold(prose(text))))
    found = {code: sum(counts[word] for word in small) for code, small in _small_words().items()}
    best, second = sorted(found, key=lambda code: -found[code])[:2]
    if found[best] < 3 or found[best] < 1.2 * found[second]:
        return None
    return best


def languages() -> tuple[str, ...]:
    """The languages that are known by their small words."""
    return tuple(_small_words())


@lru_cache(maxsize=1)
def _small_words() -> dict[str, frozenset[str]]:
    lines = Path(__file__).with_name("small_words.txt").read_text(encoding="utf-8").splitlines()
    parted = (line.partition(": ") for line in lines if line and not line.startswith("#"))
    return {code: frozenset(words.split()) for code, _, words in parted}


@lru_cache(maxsize=1)
def _empty_words() -> frozenset[str]:
    lines = Path(__file__).with_name("empty_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _is_real(part: _Part, language: str | None) -> bool:
    text = part.text
    if len(_WIDE.findall(text)) >= FEWEST_CHARACTERS:
        return True
    words = words_of(text)
    known = _small_words()
    if not (FEWEST_WORDS - 1 if part.is_question else FEWEST_WORDS) <= len(words) <= MOST_WORDS:
        return False
    clauses = [clause.split() for clause in text.replace(";", ",").split(",")]
    if len(clauses) > 1 and all(clause and clause[0].lower() in _REFUSES for clause in clauses):
        return False  # "No X, no Y": whatever X is, none of it is asserted
    breaks = len(clauses) - 1
    if breaks and len(words) < (LEAST_BETWEEN if breaks > 1 else 2) * (breaks + 1) + (breaks == 1):
        return False  # "trade-offs, downside, in exchange"
    if language in (None, "en") and _is_list_of_things(text):
        return False  # "right to erasure, one month, legal obligation"
    if not any(len(word) > 2 and word not in known["en"] for word in words):
        return False  # "Do you? Or would you not?" says nothing
    lists = [known[language]] if language else list(known.values())
    share = max(sum(word in small for word in words) for small in lists) / len(words)
    if not text.isascii() and language is None and not any("LATIN" in unicodedata.name(c, "") for c in text[:40]):
        return True  # another script: its small words are not known here
    return share >= LEAST_SMALL and (language != "en" or _slips(part)[0] <= len(words) // WORDS_A_SLIP)


def _is_list_of_things(text: str) -> bool:
    """Whether commas part nothing but names of things, each in a few words, and nobody does anything in it."""
    items = [words for clause in text.replace(";", ",").split(",") if (words := words_of(clause))]
    return len(items) >= FEWEST_ITEMS and items[0][0] not in _SMALL_COMMANDS and all(map(_is_thing, items))


def _is_thing(clause: Sequence[str]) -> bool:
    words = [word for word in clause if len(word) > 1]  # numbers and letters of a list
    words = words[words[:1] in (["and"], ["or"]) :]
    is_named = not _CLASSES["article"].isdisjoint(words[:1])
    words = words[is_named:]
    if len(words) > MOST_IN_ITEM or (words and words[0] in _OPENS_CLAUSE and not is_named):
        return False
    small = _small_words()["en"]
    acts = any(first not in small and second in _OBJECTS for first, second in pairwise(words))
    return not acts and _ACTS.isdisjoint(words)


def _is_in_order(parts: Sequence[_Part]) -> bool:
    slips = pairs = 0
    for part in parts:
        wrong, of = _slips(part)
        slips, pairs = slips + wrong, pairs + of
    return slips < FEWEST_SLIPS or slips <= MOST_SLIPS * pairs


def _slips(part: _Part) -> tuple[int, int]:
    """How many neighbours cannot stand so, and of how many it was asked: those after a small word."""
    words, is_question = words_of(part.text), part.is_question
    wrong = len(_CAPITAL_WITHIN.findall(part.text))
    asked = wrong
    for first, second in pairwise(words):
        before = _CLASSES_OF.get(first)
        if before is None:
            continue
        asked += 1
        after = _CLASSES_OF.get(second, frozenset())
        if is_question and "modal" in before and "article" in after:
            continue  # "How fast must a removed role stop working?"
        wrong += any((a, b) in _FORBIDDEN for a in before for b in after)
        if first in ("a", "an") and second[0].isalpha():
            wrong += _is_wrong_article(first, second)
    if words and _CLASSES_OF.get(words[-1], frozenset()) & _ENDINGS:
        wrong += 1
        asked += 1
    return wrong, asked


def _is_wrong_article(article: str, word: str) -> bool:
    if word[0] in "hu" or len(word) < 4 or not word.isascii() or not word.isalpha():
        return False  # "an hour", "a user", "an SLO": how it is spoken decides
    if word.startswith(("one", "once", "eu", "ewe")):
        return False
    return (word[0] in "aeio") != (article == "an")


def _opening(part: _Part) -> tuple[str, ...]:
    return tuple(words_of(part.text)[:2])


def _opened_alike(parts: Sequence[_Part]) -> frozenset[tuple[str, ...]]:
    """The first two words with which too many of the sentences begin."""
    openings = Counter(_opening(part) for part in parts)
    fewest = max(FEWEST_OPENED, MOST_OPENED_ALIKE * len(parts) + 1)
    return frozenset(opening for opening, count in openings.items() if count >= fewest)


def _moulded(texts: Sequence[str]) -> frozenset[str]:
    """Of these sentences those that do not count, because too many are of one frame that is filled in anew."""
    moulds = {text: _mould(text) for text in texts}
    counts = Counter(_mould(text) for text in texts)
    shared = [text for text in texts if counts[moulds[text]] > 1]
    if len(shared) < FEWEST_MOULDED or len(shared) <= MOST_MOULDED * len(texts):
        return frozenset()
    return frozenset(texts if len(shared) > MOST_MOULDED_AT_ALL * len(texts) else shared)


def _thin(texts: Sequence[str]) -> frozenset[str]:
    """These English sentences, where too many of them say nothing of what they name; else none."""
    thin = [text for text in texts if _is_thin(text)]
    is_hollow = len(thin) >= FEWEST_THIN and len(thin) > MOST_THIN * len(texts)
    return frozenset(texts if is_hollow else ())


def _is_thin(text: str) -> bool:
    small, empty = _small_words()["en"], _empty_words()
    things = [
        len(list(words))
        for is_one, words in groupby(words_of(text), lambda w: w not in small and w not in empty)
        if is_one
    ]
    return len(things) <= THIN_THINGS and max(things, default=0) <= THIN_WORDS


def _mould(text: str) -> tuple[str, ...]:
    """The small words in their order, with one mark for whatever stands between them."""
    small = _small_words()["en"]
    made: list[str] = []
    for word in words_of(text):
        if word in small:
            made.append(word)
        elif not made or made[-1] != "*":
            made.append("*")
    # Short plain sentences are of one mould by chance: "X does Y", "X is Y".
    return tuple(made) if sum(word != "*" for word in made) >= 2 else (*made, text)


@dataclass(frozen=True, kw_only=True)
class _Part:
    text: str
    is_question: bool
    is_quoted: bool


def _with_last(parts: list[_Part]) -> Iterator[tuple[_Part, bool]]:
    for number, part in enumerate(parts, start=1):
        yield part, number == len(parts)


@dataclass(frozen=True, kw_only=True)
class _Paragraph:
    text: str
    in_list: bool
    title: str
    """The heading right above it; "" where there is none."""


def paragraphs(text: str) -> Iterator[_Paragraph]:
    """Paragraphs, items of lists and cells of tables, without quotations and addresses."""
    gathered: list[str] = []
    in_list, title = False, ""
    for line in [*text.splitlines(), ""]:
        item = LIST_ITEM.match(line)
        heading = HEADING.match(line)
        start = line.lstrip()[:1]
        is_apart = not start or start in "|>" or heading or UNDERLINE.match(line)
        if gathered and (is_apart or item):
            whole = " ".join(gathered)
            if line.lstrip().startswith("=="):
                title = whole  # the paragraph was an underlined heading
            else:
                yield _Paragraph(text=whole, in_list=in_list, title=title)
                title = ""
            gathered, in_list = [], False
        if heading is not None:
            title = heading["words"].rstrip("# \t")
        cleaned = _ADDRESS.sub(" ", line)
        if start == "|":
            for cell in cleaned.split("|"):
                if cell.strip():
                    yield _Paragraph(text=cell.strip(), in_list=True, title=title)
                    title = ""
        elif item:
            gathered, in_list = [cleaned[item.end() :].strip()], True
        elif not is_apart:
            gathered.append(cleaned.strip())


def _parted(paragraph: str) -> Iterator[_Part]:
    start = 0
    # A mark within code in a sentence ends none: the search is over a copy of the same length.
    masked = _INLINE_CODE.sub(lambda code: "x" * len(code.group()), paragraph)
    for end in _SENTENCE_END.finditer(masked):
        # Two characters tell: a space and the next letter. A slice to the end would make many dots quadratic.
        following = masked[end.end() : end.end() + 2].lstrip()
        is_dot = set(end["marks"]) == {"."}
        if is_dot and (following[:1].isdigit() or (following[:1].islower() and _is_short(masked, end.start()))):
            continue  # "e.g. 10k" is no end
        text = paragraph[start : end.end()].strip()
        start = end.end()
        yield _Part(
            text=text,
            is_question=not set("?？؟").isdisjoint(end["marks"]),
            is_quoted=not _QUOTATION_MARKS.isdisjoint(end["close"]),
        )
    rest = paragraph[start:].strip()
    if rest:
        yield _Part(text=rest, is_question=False, is_quoted=False)


def _is_short(text: str, end: int) -> bool:
    """Whether what ends here in a dot may be a shortened word, after which a sentence goes on in small letters."""
    before = text[max(0, end - _FAR_ENOUGH) : end].replace("(", " ").split()
    return bool(before) and (len(before[-1]) <= _LONGEST_SHORTENED or before[-1].lower() in _SHORTENED)


@lru_cache(maxsize=4096)
def _without_denied(text: str) -> str:
    found = list(_WORD.finditer(text))
    words = [match.group().lower() for match in found]
    gone: set[int] = set()
    for index, word in enumerate(words):
        if word in _COMMANDS and found[index].group().isupper():
            continue  # "SKIP LOCKED" is SQL
        gone.update(_denied_after(index, word, words, found, text))
        is_left_out = word == "left" and words[index + 1 : index + 2] == ["out"]
        if word in _NOT_WANTED or word in _UNWANTED or is_left_out:
            gone.update(_denied_before(index, words, found, text, is_unwanted=word in _UNWANTED or is_left_out))
    if not gone:
        return text
    kept: list[str] = []
    at = 0
    for index in sorted(gone):
        kept.append(text[at : found[index].start()])
        at = found[index].end()
    return "".join([*kept, text[at:]])


_ALL_DENIES = _DENIES | frozenset().union(*_DENIES_ELSEWHERE.values()) - {"not", "no", "sin", "pas", "ni"}


def _denied_after(
    index: int, word: str, words: Sequence[str], found: Sequence[re.Match[str]], text: str
) -> Iterator[int]:
    following = index + 1
    if following >= len(words) or words[following] in _KEPT_NEGATIONS:
        return
    if word in _WITHOUT and _is_denied_itself(index, words, found, text):
        return  # "we cannot do it without Redis" asks for Redis
    if word in _ALL_DENIES:
        yield from _object_from(following, words, found, text)
    elif words[index : index + 2] in (["instead", "of"], ["rather", "than"], ["leave", "out"], ["leaves", "out"]):
        yield from _object_from(index + 2, words, found, text)
    elif word == "against" and index and _DECIDED.match(words[index - 1]):
        yield from _object_from(following, words, found, text)
    elif word == "nobody" and _USING.match(words[following]):
        yield from _object_from(_after_preposition(following + 1, words), words, found, text)
    elif word in ("nothing", "nobody") and words[following] in _IS:
        yield from _object_from(following + 1, words, found, text)
    elif _NOT.match(word):
        before = words[index - 1] if index else ""
        if (word in _DONT or (word == "not" and before in ("do", "does", "did", "will"))) and words[
            following
        ] not in _BETWEEN:
            yield following  # "we do not measure"; but "it must not leak" asks for something
            yield from _other_verbs(following + 1, words)
        elif word == "not" and before in _IS and words[following] not in _BETWEEN:
            yield following  # "it is not idempotent"
        at = following
        while at < len(words) and words[at] in _BETWEEN and at - following < 3:
            at += 1
        is_thing = at > following and words[at - 1] in ("a", "an", "any")
        if at < len(words) and _USING.match(words[at]) and not is_thing:
            yield from _object_from(_after_preposition(at + 1, words), words, found, text)
        elif is_thing or (word == "not" and _begins_clause(index, found, text)):
            yield from _object_from(at, words, found, text)


def _after_preposition(at: int, words: Sequence[str]) -> int:
    """Past the "with" of "bother with" and the "on" of "rely on"."""
    return at + (words[at : at + 1] in (["with"], ["on"], ["about"]))


def _is_denied_itself(index: int, words: Sequence[str], found: Sequence[re.Match[str]], text: str) -> bool:
    """Whether a denial stands before this one in the same clause, not far away."""
    for before in range(index - 1, max(-1, index - 1 - _FARTHEST_DENIAL), -1):
        if any(mark in text[found[before].end() : found[before + 1].start()] for mark in ",.;:!?()"):
            return False
        if _NOT.match(words[before]) or words[before] in _DENIES_WITHOUT:
            return True
    return False


def _other_verbs(start: int, words: Sequence[str]) -> Iterator[int]:
    """The second verb of "we do not measure it or profile it"."""
    for index in range(start, min(start + _LONGEST_DENIED, len(words) - 1)):
        if words[index] in ("or", "nor"):
            yield index + 1


def _begins_clause(index: int, found: Sequence[re.Match[str]], text: str) -> bool:
    if index == 0:
        return True
    between = text[found[index - 1].end() : found[index].start()]
    return any(mark in between for mark in ",;:")


def _object_from(start: int, words: Sequence[str], found: Sequence[re.Match[str]], text: str) -> Iterator[int]:
    """The words that a denial takes in: the next few, and what a comma or an "or" adds to them."""
    taken = 0
    for index in range(start, len(words)):
        between = text[found[index - 1].end() : found[index].start()]
        word = words[index]
        if any(mark in between for mark in ".;:!?—()\u2014") or " - " in between:
            return
        if "," in between or word in ("or", "nor", "and"):
            first = index + (word in ("or", "nor", "and"))
            if not _is_item(first, words, found, text):
                return
            taken = 0
            if word in ("or", "nor", "and"):
                continue
        if word in _STILL_DENIED:
            continue
        if word in _NP_STOPS or taken >= _LONGEST_DENIED:
            return
        taken += 1
        yield index


def _is_item(first: int, words: Sequence[str], found: Sequence[re.Match[str]], text: str) -> bool:
    """Whether a list goes on here: one to three words, and then another comma, "or", or the end."""
    for length in range(4):
        index = first + length
        if index >= len(words):
            return length > 0
        between = text[found[index - 1].end() : found[index].start()]
        if length and (any(mark in between for mark in ",.;:!?()") or words[index] in ("or", "nor", "and")):
            return True
        if words[index] in _NP_STOPS:
            return False
    return False


def _denied_before(
    index: int, words: Sequence[str], found: Sequence[re.Match[str]], text: str, *, is_unwanted: bool
) -> Iterator[int]:
    """What "... is not needed" and "... are omitted" speak of: up to four words before."""
    at = index - 1
    negated = is_unwanted
    while at >= 0 and (words[at] in _BETWEEN | _IS | _PRAISES or _NOT.match(words[at])):
        negated = negated or bool(_NOT.match(words[at]))
        at -= 1
    verb_stood = at < index - 1
    if not (negated and verb_stood):
        return
    for taken in range(_LONGEST_DENIED):
        place = at - taken
        if place < 0 or (words[place] in _NP_STOPS and taken):
            return
        yield place
        if place and any(mark in text[found[place - 1].end() : found[place].start()] for mark in ".;:!?()"):
            return
