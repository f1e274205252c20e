"""What the offline stand-in replies: a persona and a conversation in, text out. Pure, and the same each time.

Every choice is drawn from a hash of the conversation, the draw and the name of the choice, and of nothing
else. So two personas meet the same luck on the same task and draw: a line that is taken out of a persona
changes what that line asks for, and leaves the rest of the reply as it was.
"""

from __future__ import annotations

import hashlib
import json
import keyword
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from workbench.model.offline.behaviour import (
    BEHAVIOURS,
    CODE,
    KINDS,
    PLAIN_WORDS,
    SECTIONS,
    TOPIC_ASKED,
    TOPIC_UNASKED,
    TOPICS,
    VAGUE_BELOW_WORDS,
    Behaviour,
    Topic,
)
from workbench.model.offline.code import DocstringStyle, write_module, write_tests

NOTICE = "(Written by the workbench's offline stand-in, not by a model.)"
"""The last line of every reply."""

SENTENCES_BY_EFFORT: Mapping[str, int] = {"low": 1, "medium": 2, "high": 3, "xhigh": 3, "max": 4}
"""The longest a section gets, by effort; a concise persona takes one off."""

_NEGATION = re.compile(
    r"\b(not|n't|never|no|avoids?|without|skip|refrain from|rather than|instead of)\b(\W+\w+){0,3}\W*$",
    re.I,
)
_KEYWORDS = frozenset(keyword.kwlist)
_CODE_TRAITS = frozenset({"separation", "error_handling", "observability", *(item.name for item in CODE)})
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.S)
_WORD = re.compile(r"(?<![\w.`/-])[A-Za-z][A-Za-z0-9+#-]*+(?![\w`(/]|\.\w)")
_DOCSTRING_STYLES: Mapping[DocstringStyle, re.Pattern[str]] = {
    "google": re.compile(r"\b[Gg]oogle\b|\bArgs:"),
    "numpy": re.compile(r"\b[Nn]um[Pp]y(?:doc)?\b"),
    "sphinx": re.compile(r"\b[Ss]phinx\b|\breST\b|\bre[Ss]tructured[Tt]ext\b|:param\b"),
}
_AFTER_DETERMINER = re.compile(r"\b(?:an?|the|our|my|each|every|per|this)\s+([a-z]+)(?:\s+([a-z]+))?")


@dataclass(frozen=True)
class Draws:
    """Independent numbers in 0..1, one for each label, the same each time for the same seed."""

    seed: str

    def number(self, label: str) -> float:
        digest = hashlib.sha256(f"{self.seed}\0{label}".encode()).digest()
        return random.Random(int.from_bytes(digest[:8], "big")).random()

    def shuffled(self, label: str, items: Sequence[str]) -> list[str]:
        return sorted(items, key=lambda item: self.number(f"{label}\0{item}"))


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a conversation asks for, as far as the stand-in understands it."""

    text: str
    """The last turn of the user."""
    is_first: bool

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """What it looks like, the most telling kind first."""
        found = [kind for kind, pattern in KINDS.items() if pattern.search(self.text)]
        is_definite = "code" in found or re.search(r"\d|`", self.text)
        if self.is_first and not is_definite and len(self.text.split()) < VAGUE_BELOW_WORDS:
            found.insert(0, "vague")
        return tuple(found)

    @cached_property
    def point(self) -> str:
        """The last paragraph of some length, code left out: what comes before it is context."""
        prose = _FENCED.sub("\n\n", self.text)
        paragraphs = [part for part in re.split(r"\n\s*\n", prose) if len(part.split()) >= 8]
        return paragraphs[-1] if paragraphs else prose

    @cached_property
    def keywords(self) -> tuple[str, ...]:
        """Words that carry its meaning, names of techniques first; at least three."""
        words = [word for word in dict.fromkeys(_WORD.findall(self.point)) if word.lower() not in PLAIN_WORDS]
        named = [word for word in words if not word.islower() and not word.istitle()]
        others = dict.fromkeys(word.lower() for word in words if word not in named and _may_be_noun(word.lower()))
        return (*named, *others, "the request", "the result", "the rest")

    @cached_property
    def noun(self) -> str:
        """The thing that it is most about, as a Python identifier in the singular."""
        words = [_singular(word.lower()) for word in re.findall(r"[A-Za-z]+", self.text)]
        pairs = re.findall(_AFTER_DETERMINER, self.point.lower())
        likely = [_singular(word) for pair in pairs for word in reversed(pair) if _may_be_noun(word)]
        candidates = likely or [word for word in words if _may_be_noun(word)] or ["item"]
        return max(candidates, key=words.count)

    @cached_property
    def functions(self) -> tuple[str, ...]:
        """Names of functions that it gives, in backticks or in code; at most two, perhaps none."""
        quoted = re.findall(r"`([a-z]\w*)(?:\([^`]*\))?`", _FENCED.sub(" ", self.text))
        shown = re.findall(r"\bdef ([a-z]\w*)\(", self.text)
        names = dict.fromkeys([*(name for name in quoted if "_" in name), *shown])
        return tuple(name for name in names if name.isascii() and name not in _KEYWORDS)[:2]

    @cached_property
    def docstring_style(self) -> DocstringStyle:
        """The format that it prescribes, "plain" if none."""
        for style, pattern in _DOCSTRING_STYLES.items():
            if pattern.search(self.text):
                return style
        return "plain"


def write_reply(system: str, messages: Sequence[Mapping[str, Any]], *, draw: int = 0, effort: str | None = None) -> str:
    """The reply to a conversation under a persona, `NOTICE` included. `effort` is "high" where not given."""
    turns = [(str(message["role"]), content_text(message["content"])) for message in messages]
    last = next((text for role, text in reversed(turns) if role == "user"), "")
    ask = Ask(text=last, is_first=all(role != "assistant" for role, _ in turns))
    draws = Draws(hashlib.sha256(json.dumps([turns, draw]).encode()).hexdigest())
    wanted = asked_for(system)
    kept = frozenset(
        behaviour.name
        for behaviour in BEHAVIOURS
        if draws.number(behaviour.name) < _chance(behaviour, ask.kinds, is_asked=behaviour.name in wanted)
    )
    topics = [
        topic
        for topic in TOPICS
        if topic.about.search(ask.text)
        and draws.number(f"topic {topic.name}") < (TOPIC_ASKED if _topic_label(topic) in wanted else TOPIC_UNASKED)
    ]
    longest = max(1, SENTENCES_BY_EFFORT[effort or "high"] - ("concise" in kept))
    parts = [_opening(ask, draws, kept)]
    parts += [
        _section(section, ask, draws, kept, [topic for topic in topics if topic.under == section.name], longest)
        for section in SECTIONS
        if section.name in kept
    ]
    return "\n\n".join([*parts, NOTICE])


def content_text(content: str | Sequence[Mapping[str, Any]]) -> str:
    """The text of a message's or a system prompt's `content`; blocks of other kinds are passed over."""
    if isinstance(content, str):
        return content
    return "\n\n".join(str(block.get("text", "")) for block in content if block.get("type") == "text")


@lru_cache(maxsize=256)
def asked_for(persona: str) -> frozenset[str]:
    """What lines of the persona ask for: names of behaviours, and "topic NAME" for what it claims to know."""
    lines = persona.splitlines()
    behaviours = {
        item.name for item in BEHAVIOURS if item.asked_by and any(_asks(line, item.asked_by) for line in lines)
    }
    topics = {_topic_label(topic) for topic in TOPICS if any(_asks(line, topic.asked_by) for line in lines)}
    return frozenset(behaviours | topics)


def _asks(line: str, pattern: re.Pattern[str]) -> bool:
    return any(not _NEGATION.search(re.split(r"[.;:,]", line[: match.start()])[-1]) for match in pattern.finditer(line))


def _topic_label(topic: Topic) -> str:
    return f"topic {topic.name}"


def _chance(behaviour: Behaviour, kinds: Sequence[str], *, is_asked: bool) -> float:
    chances = behaviour.asked if is_asked or not behaviour.asked_by else behaviour.unasked
    return next((chances[kind] for kind in kinds if kind in chances), chances.get("any", 0.0))


def _opening(ask: Ask, draws: Draws, kept: frozenset[str]) -> str:
    first, second, third = (f'"{word}"' for word in ask.keywords[:3])
    lines = [f"This is about {first}, {second} and {third}."]
    if "friendly" in kept:
        lines.insert(0, "Good that you ask; we will get there together.")
    if "decisive" in kept:
        lines.append(f"My recommendation: settle {first} before anything else.")
    elif draws.number("opening") < 0.5:
        lines.append("There are several ways to go about it.")
    return " ".join(lines)


def _section(
    section: Behaviour, ask: Ask, draws: Draws, kept: frozenset[str], topics: Sequence[Topic], longest: int
) -> str:
    known = [text for topic in topics for text in draws.shuffled(topic.name, topic.says)[:2]]
    common = draws.shuffled(section.name, section.says)
    room = longest + 3 if section.name == "approach" else longest
    first, second, third = (f'"{word}"' for word in ask.keywords[:3])
    sentences = [
        text.format(noun=ask.noun.replace("_", " "), first=first, second=second, third=third)
        for text in [*draws.shuffled("known", known)[: room - 1], *common][:room]
    ]
    if section.name == "asks_questions" or (section.name == "approach" and "steps" in kept):
        body = "\n".join(f"{number}. {text}" for number, text in enumerate(sentences, start=1))
    elif len(sentences) > 3 or ("bullets" in kept and len(sentences) > 1):
        body = "\n".join(f"- {text}" for text in sentences)
    else:
        body = " ".join(sentences)
    if section.name == "diagram":
        body += "\n\n" + _diagram(ask, draws)
    elif section.name == "code":
        body += "\n\n" + _code(ask, draws, kept)
    return f"## {section.heading}\n\n{body}"


def _diagram(ask: Ask, draws: Draws) -> str:
    service = f"{ask.noun.title()}Service"
    if draws.number("kind of diagram") < 0.5:
        lines = [
            "sequenceDiagram",
            f"    Client->>API: request {ask.noun}",
            f"    API->>{service}: check and act",
            f"    {service}->>Store: one transaction",
            f"    {service}-->>Client: answer",
        ]
    else:
        lines = [
            "flowchart LR",
            "    client[Client] --> api[API]",
            f"    api --> service[{service}]",
            "    service --> store[(Store)]",
            "    service -.-> queue[Queue]",
        ]
    return "\n".join(["```mermaid", *lines, "```"])


def _code(ask: Ask, draws: Draws, kept: frozenset[str]) -> str:
    verb = draws.shuffled("verb", ("find", "load", "resolve", "fetch"))[0]
    functions = ask.functions or (f"{verb}_{ask.noun}",)
    is_async = bool(re.search(r"\basync|\bawait", ask.text, re.I))
    traits = kept & _CODE_TRAITS
    style = ask.docstring_style if "docstring_format" in kept else "plain"
    blocks = [write_module(ask.noun, functions, traits=traits, style=style, is_async=is_async)]
    if "testing" in kept:
        blocks.append(write_tests(ask.noun, functions[0], traits=traits, is_async=is_async))
    return "\n\n".join(f"```python\n{block}\n```" for block in blocks)


def _may_be_noun(word: str) -> bool:
    return (
        word.isascii()
        and len(word) > 2
        and word not in PLAIN_WORDS
        and not {word, word.title()} & _KEYWORDS
        and not word.endswith(("ing", "ly", "ed", "able", "ible", "ous", "ful", "ive", "ent", "est"))
    )


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    return word[:-3] + "y" if word.endswith("ies") else word[:-1]
