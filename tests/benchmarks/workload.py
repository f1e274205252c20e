"""The trials of every comparison: 4 personas of about 2 kB on N / 4 tasks of about 300 B, all requests different."""

from __future__ import annotations

import random
from collections.abc import Iterator

MODEL = "claude-haiku-5-5"
MAX_TOKENS = 1024
PERSONAS = 4
_WORDS = [
    "answer",
    "ask",
    "before",
    "boundary",
    "budget",
    "check",
    "cite",
    "claim",
    "clear",
    "code",
    "compare",
    "cost",
    "data",
    "decide",
    "design",
    "doubt",
    "error",
    "evidence",
    "explain",
    "failure",
    "follow",
    "goal",
    "hint",
    "interface",
    "keep",
    "latency",
    "limit",
    "load",
    "log",
    "measure",
    "name",
    "note",
    "number",
    "option",
    "owner",
    "plan",
    "prefer",
    "prove",
    "question",
    "reason",
    "refuse",
    "review",
    "risk",
    "scale",
    "scope",
    "short",
    "simple",
    "state",
    "step",
    "test",
    "tool",
    "trade",
    "type",
    "user",
    "write",
]


def _words(seed: str, characters: int) -> str:
    drawn = random.Random(seed)
    text = ""
    while len(text) < characters:
        text += drawn.choice(_WORDS) + " "
    return text.strip()


def persona(number: int) -> str:
    return f"You are reviewer {number}. {_words(f'persona {number}', 2000)}"


def task(number: int) -> str:
    return f"Case {number}: {_words(f'task {number}', 290)}"


def bodies(trials: int) -> Iterator[dict[str, object]]:
    """The requests without streaming, task by task."""
    personas = [persona(number) for number in range(min(PERSONAS, trials))]
    for number in range(trials):
        yield {
            "model": MODEL,
            "max_tokens": MAX_TOKENS,
            "system": personas[number % len(personas)],
            "messages": [{"role": "user", "content": task(number // len(personas))}],
        }
