"""First tasks for an agent whose description has no examples: drafts, made of its own words.

A description says when to hand work over: "Use when gathering requirements", "Use for schema design, query tuning".
Each such thing is put into a sentence that a user could say, and the agent is asked to show it on a small example of
its own, for nobody has any material at hand. Where the description says no such thing, the whole of it is quoted.
Nothing is invented: whatever is not understood is quoted, never rephrased. There are `FEWEST_TASKS` of them, on which a
version can pass the gate, and a difference of the measures can be established; no more, for a person is to read and
edit each. Where what is said gives fewer, the whole of the description is quoted with what can be asked of any work: to
show it on an example, to ask for what is missing, to name what goes wrong, to tell it to somebody new, and so on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from workbench.trial.defaults import FEWEST_TASKS
from workbench.trial.draft_words import ASKS, WHOLE, language_of_description

LONGEST_QUOTED = 600
"""Characters of a description that is quoted as a whole."""
_MOST_QUOTED = 3
"""Sentences that are quoted, each for itself."""
_DOES = re.compile(r"[A-Z][a-z]{2,}s (?:\S+ ){3}")
"""A sentence that says what the agent does: "Analyzes new launches for red flags"."""
_FEWEST_WORDS = 2
"""A single word says too little of what is wanted."""

_MARKS = re.compile(r"\*\*|__|`")
_SPACE = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)]?\s+(?=[\"'“‘(*A-Z0-9])|(?<=[。！？])")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|incl|approx|no)|\b[A-Z])\.$", re.IGNORECASE)
_ASKED = (
    r"use[ds]?|using|invoke[ds]?|call(?:ed|s)?|run|launch(?:ed)?|delegate[ds]?|activate[ds]?|auto-activates|"
    r"trigger(?:ed)?|consult(?:ed)?|engage[ds]?|deploy(?:ed)?|dispatch(?:ed)?"
)
_TRIGGER = re.compile(
    rf"(?:^|[\s—–])(?:{_ASKED})\b(?P<between>[^.;:(]{{0,60}}?)\b"
    r"(?P<word>when(?:ever)?|for|after|before|while|during|to|if)\b\s*(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_NO_TRIGGER = re.compile(r"\b(?:as|by|with|in|from|only|never|not|don't)\b", re.IGNORECASE)
"""What stands between the verb and its connector where the sentence is about something else."""
_REFUSED = re.compile(r"(?:\b(?:not|never|avoid)|n['’]t)\s(?:\S+\s)?$", re.IGNORECASE)
"""What stands before the verb where the sentence says what the agent is not for: "Do NOT use", "must not be used"."""
_LONGEST_REFUSAL = 40
"""Characters before the verb in which it is looked for."""
_NEXT_CONNECTOR = re.compile(
    r",?\s(?:when(?:ever)? (?:users?|the user|you|asked|working)|to (?:ensure|improve|preserve|maintain)|"
    r"that (?:other|require)|who|including|such as|especially|if no)\b.*$",
    re.IGNORECASE | re.DOTALL,
)
_GERUND = re.compile(r"[a-z]+(?:-[a-z]+)?ing\b(?!\s*(?:$|,))", re.IGNORECASE)
_NO_GERUND = {
    "anything",
    "something",
    "everything",
    "nothing",
    "during",
    "string",
    "testing",
    "existing",
    "engineering",
}
_WISH = re.compile(
    r"^(?:the )?(?:users?|you|someone|anyone|a (?:user|developer))\s+(?:wants?|needs?|asks?|would like|requests?)"
    r"(?: you)? (?P<link>to|help with|help|for) (?P<what>.+)$",
    re.IGNORECASE | re.DOTALL,
)
_QUOTED_WORDS = re.compile(r"\"([^\"\n]{6,200})\"|“([^”\n]{6,200})”|(?<![\w])'([^'\n]{6,200})'(?![\w])")
_ANY_QUOTED = re.compile(r"\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|(?<!\w)'[^'\n]{1,200}'(?!\w)")
_ANY_QUESTION = re.compile(
    r"\"([^\"\n]{4,200}[?？])\"|[“„]([^”“\n]{4,200}[?？])[”“]|«([^»\n]{4,200}[?？])\s*»|「([^」\n]{4,200}[?？])」"
)
_WIDE_STOPS = "。！？"
_SAID_BY_USERS = re.compile(
    r"\b(?:e\.g\.|for example|phrases?|(?:user|users) (?:says?|asks?)|triggers?|queries|requests?|prompts?|keywords?|"
    r"questions? (?:about|like|such))",
    re.IGNORECASE,
)
_CUT_OFF = re.compile(
    r"\b(?:like|about|as|with|containing|including|how|the|an?|to|for|of|in|on|and|or)$", re.IGNORECASE
)
"""The end of a text whose other half stands elsewhere."""
_KEYWORDS = re.compile(r"\b(?:mentions?|keywords?|words?) ", re.IGNORECASE)
"""What follows is a list of words to listen for, and no work."""
# From the first blank of a row only, which is taken whole: many blanks stay linear.
_LAST_OF_LIST = re.compile(r"(?:,|(?<!\s))\s++(?:and|or)\s++", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:the|all|any|every|these|tasks including:?)\s+", re.IGNORECASE)

_ASK = ASKS["en"][0]


def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text on one line, marks of emphasis left out."""
    flat = _SPACE.sub(" ", _MARKS.sub("", text.replace("\\n", "\n"))).strip()
    found: list[str] = []
    for part in _SENTENCE_END.split(flat):
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] = f"{found[-1]} {part}"
        elif part.strip():
            found.append(part.strip())
    return tuple(found)


def drafts_of(description: str) -> tuple[str, ...]:
    """What a user could ask an agent of this description, `FEWEST_TASKS` of them; none for a blank text.

    They are drafts: each is made of a piece of the description, and is to be edited by someone who knows the agent.
    """
    said = sentences(description)
    if not said:
        return ()
    language = language_of_description(" ".join(said))
    found: list[str] = []
    for sentence in said:
        if len(found) >= FEWEST_TASKS:
            break
        drafts = (*_words_of_users(sentence), *_of_triggers(sentence)) if language == "en" else _questions_in(sentence)
        for draft in drafts:
            if not any(draft.casefold() == other.casefold() for other in found):
                found.append(draft)
    if language is None:  # what is asked of it would be glue in another language: it speaks for itself
        alone = [_as_much_of(said), *(sentence for sentence in said if len(said) > 1)]
        return tuple(dict.fromkeys([*found, *alone]))[:FEWEST_TASKS]
    if not found:
        does = [sentence for sentence in said if _DOES.match(sentence)][:_MOST_QUOTED] if language == "en" else []
        found = [_whole((sentence,), language) for sentence in does] if len(does) > 1 else []
    found += [_whole(said, language, ask) for ask in range(max(0, FEWEST_TASKS - len(found)))]
    return tuple(found[:FEWEST_TASKS])


def _whole(said: tuple[str, ...], language: str, ask: int = 0) -> str:
    """The sentences, as far as they are not too long, with the thing to do that has this number in `ASKS`."""
    return WHOLE[language].format(quoted=_as_much_of(said), ask=ASKS[language][ask])


def _as_much_of(said: tuple[str, ...]) -> str:
    quoted = said[0][:LONGEST_QUOTED]
    for sentence in said[1:]:
        if len(quoted) + len(sentence) >= LONGEST_QUOTED:
            break
        quoted = f"{quoted}{'' if quoted[-1] in _WIDE_STOPS else ' '}{sentence}"
    return quoted


def _questions_in(sentence: str) -> Iterator[str]:
    """What stands in quotes and asks something: a user's own words, in whatever language."""
    for quoted in _ANY_QUESTION.finditer(sentence):
        yield next(filter(None, quoted.groups())).strip()


def _words_of_users(sentence: str) -> Iterator[str]:
    """What stands in quotes behind "phrases like", "e.g.": a user's own words, if they are more than a name."""
    start = _SAID_BY_USERS.search(sentence)
    if start is None:
        return
    for quoted in _QUOTED_WORDS.finditer(sentence, start.end()):
        words = next(filter(None, quoted.groups())).strip(" ,.")
        if len(words.split()) < _FEWEST_WORDS or "<" in words or _CUT_OFF.search(words):
            continue
        is_whole = words.endswith("?") or len(words.split()) > 4
        yield words if is_whole else f'Somebody asks you this: "{words}". {_ASK}'


def _of_triggers(sentence: str) -> Iterator[str]:
    trigger = _TRIGGER.search(sentence)
    if trigger is None or _NO_TRIGGER.search(trigger["between"]) or _refused(sentence, trigger):
        return
    word = trigger["word"].lower()
    rest = _NEXT_CONNECTOR.sub("", _without_quotes(trigger["rest"])).strip(" .,;:—–-")
    rest = re.split(r"\s[—–]\s|;|\s-\s|:\s|, when ", rest, maxsplit=1)[0].strip(" .,")
    if len(rest.split()) < _FEWEST_WORDS or _KEYWORDS.search(rest) or _CUT_OFF.search(rest):
        return
    if word == "for":
        yield from _for(rest)
    elif word.startswith("when") or word in ("while", "during"):
        yield from _when(word, rest)
    else:
        yield f"You are the one to ask {word} {rest}. {_ASK}"


def _refused(sentence: str, trigger: re.Match[str]) -> bool:
    before = trigger.start() + 1
    return _REFUSED.search(sentence, max(0, before - _LONGEST_REFUSAL), before) is not None


def _for(rest: str) -> Iterator[str]:
    for item in _items(rest):
        what = _ARTICLE.sub("", item)
        word, _, inner = what.partition(" ")
        if word.lower() in ("when", "whenever", "while"):
            yield from _when(word.lower(), inner)
        elif len(what.split()) >= _FEWEST_WORDS:
            yield f"I need help with {what}. {_ASK}"


def _when(word: str, rest: str) -> Iterator[str]:
    wish = _WISH.match(rest)
    if wish is not None and wish["link"].lower() == "to":
        yield f"I want to {wish['what']}. {_ASK}"
    elif wish is not None:
        yield from (f"I need help with {item}. {_ASK}" for item in _items(wish["what"]))
    elif _is_gerund(rest):
        yield from (f"I am {item}. {_ASK}" for item in _items(rest))
    else:
        yield f"You are the one to ask {word} {rest}. {_ASK}"


def _items(text: str) -> list[str]:
    """The items of a list in prose. Where it begins with a gerund, what follows belongs to the last one, as in "writing
    tests, fixtures, or measuring coverage"; and "creating, reviewing or checking plans" is one thing, told whole."""
    parts = _split_at_commas(text)
    parts = [*parts[:-1], *_LAST_OF_LIST.split(parts[-1], maxsplit=1)] if len(parts) == 1 else parts
    parts = [re.sub(r"^\s*(?:and|or)\s+", "", part, flags=re.IGNORECASE).strip(" .") for part in parts]
    parts = [part for part in parts if part and not part.lower().startswith("etc")]
    if not parts or not _GERUND.match(f"{parts[0]} ."):
        return parts
    grouped: list[str] = []
    for part in parts:
        if grouped and not _is_gerund(part):
            grouped[-1] = f"{grouped[-1]}, {part}"
        else:
            grouped.append(part)
    return grouped if len(grouped) > 1 and all(len(part.split()) > 1 for part in grouped) else [text]


def _split_at_commas(text: str) -> list[str]:
    """At the commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth <= 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _is_gerund(text: str) -> bool:
    found = _GERUND.match(text)
    return found is not None and found[0].lower() not in _NO_GERUND


def _without_quotes(text: str) -> str:
    """The text up to the first thing in quotes, which is a user's own words."""
    quoted = _ANY_QUOTED.search(text)
    return text if quoted is None else text[: quoted.start()]
