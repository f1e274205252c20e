"""What an agent costs while it is in use: the tokens of its two texts, and their price a day."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code, resolve_agent
from workbench.definition.resolved import resolve_model
from workbench.runs.estimate import BYTES_PER_TOKEN
from workbench.trial.catalogue import cache_minimum, find_price
from workbench.trial.trial import Usage


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
    prompt = tokens_of(reading.prompt)
    description = tokens_of(agent.description if reading.description is None else reading.description)
    minimum = cache_minimum(model)
    is_cached = minimum is not None and prompt >= minimum
    return Upkeep(
        prompt_tokens=prompt,
        description_tokens=description,
        prompt_usd=usd_of(model, prompt, delegations, requests_each, is_cached=is_cached),
        description_usd=usd_of(session_model, description, conversations, requests_each, is_cached=True),
        model=model,
        session_model=session_model,
        assumption=(
            f"a day of {delegations} delegations to this agent and {conversations} conversations that list it, each of "
            f"{requests_each} requests; input only, "
            + ("written to the prompt cache once and then read" if is_cached else "the prompt too short to be cached")
            + f"; tokens at {BYTES_PER_TOKEN} bytes each"
        ),
    )


def tokens_of(text: str | None) -> int:
    """Approximately, at `BYTES_PER_TOKEN`."""
    return math.ceil(len((text or "").encode("utf-8", "replace")) / BYTES_PER_TOKEN)


def usd_of(model: str, tokens: int, times: float, requests: float, *, is_cached: bool) -> float | None:
    """What it costs to send a text so many times, in so many requests each; `None` where the price is not known."""
    price = find_price(model)
    if price is None:
        return None
    plain = Usage(input_tokens=tokens, output_tokens=0)
    first = replace(plain, input_tokens=0, cache_creation_input_tokens=tokens) if is_cached else plain
    later = replace(plain, input_tokens=0, cache_read_input_tokens=tokens) if is_cached else plain
    once, again = price.usd(first), price.usd(later)
    assert once is not None and again is not None, "all is counted"
    return float((once + again * (Decimal(requests) - 1)) * Decimal(times))
