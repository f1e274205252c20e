"""What stands in `fixtures/ledger_before.sqlite`: a ledger that was written before the code had the rooms it has now.

Its replies come from three endpoints: the offline stand-in, a server that streamed, and a server of Message Batches.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

from workbench.definition.agent import parse_agent
from workbench.runs.plan import Plan, plan_trials
from workbench.trial.task import Task
from workbench.trial.trial import Request

LEDGER = Path(__file__).parent / "fixtures" / "ledger_before.sqlite"
RECORD = Path(__file__).parent / "fixtures" / "record_before"
KEYS = Path(__file__).parent / "fixtures" / "ledger_keys.json"
"""The keys of `REQUESTS` and of the plans, found out by the same code of before."""

TASKS = (
    Task(id="shop", input="Design a shop.\nWith a cart – and a café."),
    Task(id="queue", input='A queue, "please" \\ <now>', group="infrastructure"),
)
BASE = parse_agent(
    "---\nname: architect\ndescription: Designs things\nmodel: sonnet\n---\n\nYou are an architect.\n- Ask first.\n"
)
VARIANTS = {
    "base": BASE,
    "the same": BASE,
    "on opus": BASE.replace(model="opus", effort="high"),
    "long": BASE.replace(prompt="You are an architect who knows much. " * 300),
    "another": BASE.replace(prompt="Réponds en français. 日本語も。\n", model="haiku"),
    "empty": BASE.replace(prompt=""),
}
FOLLOW_UP = "For ten thousand users."


def plan_of(*, repeats: int = 2, max_tokens: int = 8000) -> Plan:
    return plan_trials(VARIANTS, TASKS, repeats=repeats, max_tokens=max_tokens)


def requests() -> list[Request]:
    """A spread of requests: models, efforts, caching, conversations, odd text."""
    turns = (
        ({"role": "user", "content": "Hi"},),
        (
            {"role": "user", "content": "Hi 🎈\u2028\x00"},
            {"role": "assistant", "content": "Which one?"},
            {"role": "user", "content": FOLLOW_UP},
        ),
        ({"role": "user", "content": [{"type": "text", "text": "in blocks"}]},),
    )
    return [
        Request(model=model, system=system, messages=messages, max_tokens=max_tokens, effort=effort, cache=cache)
        for model, system, messages, max_tokens, effort, cache in product(
            ("claude-haiku-4-5-20251001", "claude-opus-4-8", "llama3:8b", "é"),
            ("", "Be terse.\n\tÜber alles"),
            turns,
            (1, 8000),
            (None, "low", "max"),
            (None, "5m", "1h"),
        )
    ]
