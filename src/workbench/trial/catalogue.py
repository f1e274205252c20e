"""What is known of models: the id that a name stands for, and what its tokens cost. Never asks the network."""

from __future__ import annotations

import os
from functools import cache
from importlib import metadata
from typing import Any

from workbench.definition.claude_code import resolve_model_alias
from workbench.trial.trial import Usage

OFFLINE_MODEL = "offline-stand-in"
OFFLINE_BASE_URL = "http://offline.invalid"


def resolve_model(name: str | None) -> str:
    """The model id that Claude Code sends for the `model` of an agent file; ids and unknown names as they are.

    `ANTHROPIC_DEFAULT_SONNET_MODEL` and its like for OPUS, HAIKU and FABLE say what these aliases stand for.
    """
    line = (name or "").removesuffix("[1m]").upper()
    if line in ("SONNET", "OPUS", "HAIKU", "FABLE") and (chosen := os.environ.get(f"ANTHROPIC_DEFAULT_{line}_MODEL")):
        return chosen
    return resolve_model_alias(name)


def price_usd(model: str, usage: Usage) -> float | None:
    """What a reply cost in USD by list prices; `None` where the model or its token counts are not known.

    A reply of the offline stand-in cost nothing.
    """
    if model == OFFLINE_MODEL:
        return 0.0
    if usage.input_tokens is None or usage.output_tokens is None or not _is_priced(model):
        return None
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    written = usage.cache_creation_input_tokens or 0
    read = usage.cache_read_input_tokens or 0
    priced = PricedUsage(
        input_tokens=usage.input_tokens + written + read,
        cache_write_tokens=written,
        cache_read_tokens=read,
        output_tokens=usage.output_tokens,
    )
    return float(calc_price(priced, model_ref=model, provider_id="anthropic").total_price)


def price_source() -> str:
    """Where prices come from, for the foot of a table."""
    return f"list prices of genai-prices {metadata.version('genai-prices')}"


@cache
def _is_priced(model: str) -> bool:
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    nothing: Any = PricedUsage(input_tokens=0, output_tokens=0)
    try:
        calc_price(nothing, model_ref=model, provider_id="anthropic")
    except LookupError:
        return False
    return True
