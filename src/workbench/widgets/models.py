"""What the catalogue knows of the models that an agent can ask for, in words."""

from __future__ import annotations

from workbench.definition.agent import Agent
from workbench.definition.claude_code import resolve_agent
from workbench.definition.facts import facts
from workbench.definition.resolved import resolve_model
from workbench.errors import WorkbenchError
from workbench.trial.catalogue import context_tokens, find_price


def model_rows(agent: Agent) -> list[list[str]]:
    """With which model and effort the agent runs, and what is known of that model: what, how much."""
    sent = resolve_agent(agent)
    model = sent.model
    rows = [["asks for", f"{model} ({sent.model_from})"], ["at effort", sent.effort_in_words]]
    try:
        price = _price(model)
    except WorkbenchError as error:
        return [*rows, ["price", str(error)]]
    context = context_tokens(model)
    return [
        *rows,
        ["price", "not known" if price is None else f"{price}, a million tokens"],
        ["context", "not known" if context is None else f"{context:,} tokens"],
    ]


def model_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """The names that Claude Code takes, by heading: each name, and what is known of it in a line."""
    known = facts()
    inherit = ("inherit", "inherit: the model of the conversation")
    short = [(name, f"{name}: {resolve_model(name)}, {_in_short(name)}") for name in known["aliases"]]
    return [
        ("Short names (prices a million tokens)", [inherit, *short]),
        ("Models (prices a million tokens)", [(name, f"{name}: {_in_short(name)}") for name in known["models"]]),
    ]


def _in_short(name: str) -> str:
    model = resolve_model(name)
    try:
        price = _price(model)
    except WorkbenchError:
        price = None  # the reason stands below the model that is chosen
    context = context_tokens(model)
    return ("price not known" if price is None else price) + ("" if context is None else f", context {context:,}")


def _price(model: str) -> str | None:
    price = find_price(model)
    return None if price is None else f"{price.rates.input:.2f} USD in, {price.rates.output:.2f} out"
