"""What an agent costs while it is in use: the tokens of its two texts, and their price a day."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code, resolve_agent
from workbench.definition.resolved import resolve_model
from workbench.runs.estimate import BYTES_PER_TOKEN
from workbench.trial.catalogue import cache_minimum, find_price

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """Tokens of prompt and description, and what they cost a day under the assumption."""

    prompt_tokens: int
    description_tokens: int
    """Approximated at 3.1 bytes a token, as no tokenizer is at hand without a request."""
    prompt_usd: float | None
    """A day, by list prices of the agent's model; `None` where its price is not known."""
    description_usd: float | None
    """A day, by list prices of the conversation's default model."""
    model: str
    session_model: str
    assumption: str

    @property
    def usd(self) -> float | None:
        """Both a day; `None` where one is not known."""
        if self.prompt_usd is None or self.description_usd is None:
            return None
        return self.prompt_usd + self.description_usd


def estimate_upkeep(agent: Agent, *, conversations: int = 20, delegations: int = 20, requests_each: int = 20) -> Upkeep:
    """What the agent's texts cost a day: the prompt in each delegation, the description in each conversation.

    Each delegation and conversation sends `requests_each` requests; the first writes the text into the prompt
    cache, the others read it. A prompt below the model's smallest cacheable length is paid in full each time; the
    description always stands in a longer prompt, and so is cached.

    Raises:
        PriceFileError: the file named in WORKBENCH_PRICES is missing or wrong.
    """
    reading = read_as_claude_code(agent)
    session_model = resolve_model(None)
    model = resolve_agent(agent).model
    prompt = _tokens(reading.prompt)
    description = _tokens(agent.description if reading.description is None else reading.description)
    minimum = cache_minimum(model)
    is_cached = minimum is not None and prompt >= minimum
    return Upkeep(
        prompt_tokens=prompt,
        description_tokens=description,
        prompt_usd=_usd(model, prompt, delegations, requests_each, is_cached=is_cached),
        description_usd=_usd(session_model, description, conversations, requests_each, is_cached=True),
        model=model,
        session_model=session_model,
        assumption=(
            f"a day of {delegations} delegations to this agent and {conversations} conversations that list it, each of "
            f"{requests_each} requests; input only, "
            + ("written to the prompt cache once and then read" if is_cached else "the prompt too short to be cached")
            + f"; tokens at {BYTES_PER_TOKEN} bytes each"
        ),
    )


def _tokens(text: str | None) -> int:
    return math.ceil(len((text or "").encode("utf-8", "replace")) / BYTES_PER_TOKEN)


def _usd(model: str, tokens: int, times: int, requests: int, *, is_cached: bool) -> float | None:
    price = find_price(model)
    if price is None:
        return None
    rates = price.rates
    each = rates.cache_write_5m + rates.cache_read * (requests - 1) if is_cached else rates.input * requests
    return float(each * tokens * times / _MILLION)
