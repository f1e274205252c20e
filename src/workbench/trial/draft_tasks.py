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

_ASK = "Take a small example of your own, and show me on it how you go about this."
_WHOLE = {
    "kana": "あなたについて、次のように説明されています。\n\n{quoted}\n\n{ask}",
    "hangul": "당신은 다음과 같이 설명되어 있습니다.\n\n{quoted}\n\n{ask}",
    "han": "对你的描述如下:\n\n{quoted}\n\n{ask}",
    "": "I was told this about you: {quoted}\n\n{ask}",
}
_ASKS = {
    "kana": (
        "自分で選んだ小さな例を使い、どのように進めるかを示してください。",
        "この種の仕事をお願いしたいのですが、まだ詳細をお伝えしていません。始める前に何を知る必要がありますか。",
        "この仕事で最もよく起こる間違いは何ですか。それぞれにどう気づきますか。",
        "この仕事で最も大切なことを、初めての人に短く説明してください。",
        "この仕事に三十分しかないとしたら、何をして、何を省きますか。",
        "この仕事が終わったと、何を見て判断しますか。",
        "二つのやり方で迷う典型的な場面を一つ挙げ、どちらを選ぶかと、その理由を教えてください。",
        "この仕事を頼むときに、お渡しするものを一覧にしてください。",
        "この仕事のうち、引き受けないことと、そのときに勧める相手を教えてください。",
        "この仕事の成果を受け取ったとき、最初にどこを確かめればよいですか。",
    ),
    "hangul": (
        "직접 고른 작은 예로 어떻게 진행하는지 보여 주세요.",
        "이런 일을 맡기고 싶은데 아직 자세한 내용을 말하지 않았습니다. 시작하기 전에 무엇을 알아야 합니까?",
        "이 일에서 가장 자주 생기는 실수는 무엇이며, 각각 어떻게 알아차립니까?",
        "이 일에서 가장 중요한 점을 처음인 사람에게 짧게 설명해 주세요.",
        "이 일에 삼십 분밖에 없다면 무엇을 하고 무엇을 빼겠습니까?",
        "이 일이 끝났다는 것을 무엇을 보고 판단합니까?",
        "두 가지 방법 사이에서 망설이는 전형적인 경우를 하나 들고, 어느 쪽을 왜 고르는지 알려 주세요.",
        "이 일을 맡길 때 제가 넘겨 드려야 할 것을 목록으로 적어 주세요.",
        "이 일 가운데 맡지 않는 것과, 그때 누구에게 물어보라고 하는지 알려 주세요.",
        "이 일의 결과를 받으면 무엇부터 확인해야 합니까?",
    ),
    "han": (
        "请选一个你自己的小例子, 展示你会怎么做。",
        "我有这类工作要交给你, 但还没有说明细节。开始之前你需要知道什么?",
        "这类工作中最常见的错误有哪些? 你会怎么发现每一个?",
        "请向新手简短说明这类工作中最重要的是什么。",
        "如果这类工作只有三十分钟, 你会做什么, 又会省去什么?",
        "你根据什么判断这类工作已经完成?",
        "请举一个在两种做法之间难以取舍的典型情况, 说明你选哪一种以及原因。",
        "把这类工作交给你时, 我需要提供什么? 请列出清单。",
        "这类工作中有哪些你不接, 那时你会建议去找谁?",
        "拿到这类工作的结果时, 我应该先检查什么?",
    ),
    "": (
        _ASK,
        "I have work of this kind for you, and have told you nothing of it yet. What do you need to know first?",
        "Which mistakes are made most often in this, and how would you notice each of them?",
        "Tell somebody who is new to this, in a few sentences, what matters most.",
        "There is half an hour for this and no more. What do you do, and what do you leave out?",
        "How do you tell that this is done, and done well?",
        "Name a case in which two ways of doing this are both tempting, and say which one you take and why.",
        "List what I am to hand you when I give you work of this kind.",
        "What that is near to this do you not take on, and whom do you send me to?",
        "You hand me what came of such work. What am I to check first, and how?",
    ),
}
_SCRIPTS = {"kana": "[\u3041-\u30ff]", "hangul": "[\uac00-\ud7af]", "han": "[\u4e00-\u9fff]"}
_FEWEST_OF_SCRIPT = 5
"""Characters of a script that a description has where it is written in it."""


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
    found: list[str] = []
    for sentence in said:
        if len(found) >= FEWEST_TASKS:
            break
        for draft in (*_words_of_users(sentence), *_of_triggers(sentence)):
            if not any(draft.casefold() == other.casefold() for other in found):
                found.append(draft)
    if not found:
        does = [sentence for sentence in said if _DOES.match(sentence)][:_MOST_QUOTED]
        found = [_whole((sentence,)) for sentence in does] if len(does) > 1 else []
    found += [_whole(said, ask) for ask in range(max(0, FEWEST_TASKS - len(found)))]
    return tuple(found[:FEWEST_TASKS])


def _whole(said: tuple[str, ...], ask: int = 0) -> str:
    """The sentences, as far as they are not too long, with the thing to do that has this number in `_ASKS`."""
    quoted = said[0][:LONGEST_QUOTED]
    for sentence in said[1:]:
        if len(quoted) + len(sentence) >= LONGEST_QUOTED:
            break
        quoted = f"{quoted} {sentence}"
    script = next((name for name, each in _SCRIPTS.items() if len(re.findall(each, quoted)) >= _FEWEST_OF_SCRIPT), "")
    return _WHOLE[script].format(quoted=quoted, ask=_ASKS[script][ask])


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
