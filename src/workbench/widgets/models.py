"""What the catalogue knows of the models that an agent can ask for, in words."""

from __future__ import annotations

from workbench.definition.agent import Agent
from workbench.definition.facts import facts
from workbench.errors import WorkbenchError
from workbench.trial.catalogue import context_tokens, find_price, resolve_model


def model_rows(agent: Agent) -> list[list[str]]:
    """What is known of the model that the agent asks for: what, how much."""
    model = resolve_model(agent.model)
    asked = model if agent.model not in (None, "inherit") else f"{model} (the default of a conversation)"
    rows = [["asks for", asked]]
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
