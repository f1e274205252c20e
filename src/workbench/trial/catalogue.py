"""What is known of models: what their tokens cost, what their prompt caches take. Never asks the network.

Prices are those of genai-prices, which is imported when the first price is asked for. `WORKBENCH_PRICES` names a
TOML file with a table for each model that has other prices, in USD per million tokens:

    ["claude-opus-5-5"]
    input = 4.0
    output = 20.0
    cache_write_5m = 5.0
    cache_write_1h = 8.0
    cache_read = 0.2
    as_of = 2026-11-23
    source = "our contract"
    cache_minimum = 512        # may be left out: the fewest tokens that the prompt cache takes
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.collector import resting_while_importing
from workbench.definition.there import text_in
from workbench.errors import PriceFileError
from workbench.trial.trial import Usage

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

OFFLINE_MODEL = "offline-stand-in"
OFFLINE_BASE_URL = "http://offline.invalid"

BATCH_SHARE = Decimal("0.5")
"""What a token costs in a Message Batch, as a share of its price (vendor's price page, 2026-11-23)."""

T = TypeVar("T")

_MILLION = Decimal(1_000_000)
_RATES = ("input", "output", "cache_write_5m", "cache_write_1h", "cache_read")
_DAY = re.compile(r"-\d{8}$")


@dataclass(frozen=True, kw_only=True)
class Rates:
    """USD per million tokens."""

    input: Decimal
    output: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal


@dataclass(frozen=True, kw_only=True)
class Price:
    """What the tokens of a model cost."""

    rates: Rates
    long_prompts: tuple[tuple[int, Rates], ...] = ()
    """(tokens, rates) in rising order: the rates of a whole request whose prompt has more tokens than this."""
    as_of: date | None
    """The day on which the price was known to be true; `None`: it is not known."""
    source: str

    def rates_at(self, prompt_tokens: int) -> Rates:
        """The rates of a request whose prompt has so many tokens, cached ones included."""
        rates = self.rates
        for tokens, longer in self.long_prompts:
            if prompt_tokens > tokens:
                rates = longer
        return rates

    def usd(self, usage: Usage) -> Decimal | None:
        """What a reply with these counts costs in USD; `None` where input or output were not counted."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        written = usage.cache_creation_input_tokens or 0
        for_an_hour = min(written, usage.cache_creation_1h_input_tokens or 0)
        read = usage.cache_read_input_tokens or 0
        rates = self.rates_at(usage.input_tokens + written + read)
        usd = (
            usage.input_tokens * rates.input
            + (written - for_an_hour) * rates.cache_write_5m
            + for_an_hour * rates.cache_write_1h
            + read * rates.cache_read
            + usage.output_tokens * rates.output
        ) / _MILLION
        return usd * BATCH_SHARE if usage.service_tier == "batch" else usd

    def __str__(self) -> str:
        return f"{self.source}, {f'as of {self.as_of}' if self.as_of else 'of unknown date'}"


def price_usd(model: str, usage: Usage, *, price_of: Callable[[str], Price | None] | None = None) -> float | None:
    """What a reply cost in USD by list prices; `None` where the model or its token counts are not known.

    A reply of the offline stand-in cost nothing. Who prices many replies may remember what `find_price` found, and
    give that as `price_of`.

    Raises:
        PriceFileError: the file named in WORKBENCH_PRICES is missing or wrong.
    """
    if model == OFFLINE_MODEL:
        return 0.0
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    price = (price_of or find_price)(model)
    usd = None if price is None else price.usd(usage)
    return None if usd is None else float(usd)


def find_price(model: str) -> Price | None:
    """Today's price of a model: that of the file named in `WORKBENCH_PRICES`, else of genai-prices; `None` where
    neither has one.

    Raises:
        PriceFileError: that file is missing or wrong.
    """
    own = _of_model(_own_models(), model)
    if own is not None:
        return own.price
    return _listed_price(model, datetime.now(UTC).date())


def cache_minimum(model: str) -> int | None:
    """The fewest tokens of a prompt that the model's prompt cache takes; `None` where it is not known.

    Raises:
        PriceFileError: the file named in WORKBENCH_PRICES is missing or wrong.
    """
    own = _of_model(_own_models(), model)
    if own is not None and own.cache_minimum is not None:
        return own.cache_minimum
    return _of_model(_listed_minimums(), model)


@lru_cache(maxsize=1024)
def context_tokens(model: str) -> int | None:
    """How many tokens a request to the model may have, by genai-prices; `None` where it does not say."""
    listed = _listed(model, datetime.now(UTC))
    return None if listed is None else listed.model.context_window


@dataclass(frozen=True, kw_only=True)
class _OwnModel:
    price: Price
    cache_minimum: int | None


def _of_model(models: Mapping[str, T], model: str) -> T | None:
    """By the id itself, else by the id without the day at its end."""
    return models.get(model, models.get(_DAY.sub("", model)))


@cache
def _known() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_name("models.toml").read_text(encoding="utf-8"))


@cache
def _listed_minimums() -> Mapping[str, int]:
    return {model: row["tokens"] for row in _known()["cache_minimum"] for model in row["models"]}


@lru_cache(maxsize=1024)
def _listed_price(model: str, today: date) -> Price | None:
    from importlib import metadata

    listed = _listed(model, datetime(today.year, today.month, today.day, tzinfo=UTC))
    if listed is None:
        return None
    found = listed.model_price
    if found.input_mtok is None or found.output_mtok is None:
        return None
    units = (found.input_mtok, found.output_mtok, found.cache_write_mtok, found.cache_read_mtok)
    starts = sorted({tier.start for unit in (*units, found.cache_write_1h_mtok) for tier in getattr(unit, "tiers", ())})
    version = metadata.version("genai-prices")
    return Price(
        rates=_listed_rates(found, 0),
        long_prompts=tuple((start, _listed_rates(found, start + 1)) for start in starts),
        as_of=_known()["prices"]["compared"] if version == _known()["prices"]["genai_prices"] else None,
        source=f"list prices of genai-prices {version}",
    )


def _listed(model: str, when: datetime) -> PriceCalculation | None:
    """What genai-prices says of a model at that time; `None` where it does not know it."""
    with resting_while_importing("genai_prices.data"):  # the list itself, which the first question loads
        from genai_prices import Usage as PricedUsage
        from genai_prices import calc_price

        usage = PricedUsage(input_tokens=0, output_tokens=0)
        try:
            return calc_price(usage, model_ref=model, provider_id="anthropic", genai_request_timestamp=when)
        except LookupError:
            return None


def _listed_rates(found: Any, prompt_tokens: int) -> Rates:
    def rate(unit: Any) -> Decimal | None:
        if unit is None or isinstance(unit, Decimal):
            return unit
        prices = [tier.price for tier in unit.tiers if prompt_tokens > tier.start]
        return Decimal(prices[-1] if prices else unit.base)

    fresh = rate(found.input_mtok) or Decimal(0)
    written, read = rate(found.cache_write_mtok), rate(found.cache_read_mtok)
    written = fresh if written is None else written
    for_an_hour = rate(found.cache_write_1h_mtok)
    return Rates(
        input=fresh,
        output=rate(found.output_mtok) or Decimal(0),
        cache_write_5m=written,
        cache_write_1h=written if for_an_hour is None else for_an_hour,
        cache_read=fresh if read is None else read,
    )


def _own_models() -> Mapping[str, _OwnModel]:
    name = os.environ.get("WORKBENCH_PRICES", "").strip()
    if not name:
        return {}
    path = Path(name).expanduser()
    try:
        found = path.stat()
    except OSError as error:
        raise PriceFileError(f"WORKBENCH_PRICES names it, but it cannot be read: {error.strerror}", path=path) from None
    return _read_own_models(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)
def _read_own_models(path: Path, _changed_ns: int, _bytes: int) -> Mapping[str, _OwnModel]:
    """Read again when the file has changed."""
    try:
        tables = tomllib.loads(text_in(path), parse_float=Decimal)
    except OSError as error:
        raise PriceFileError(f"WORKBENCH_PRICES names it, but it cannot be read: {error.strerror}", path=path) from None
    except ValueError as error:
        raise PriceFileError(f"is not TOML: {error}", path=path) from None
    return {model: _read_own_model(path, model, table) for model, table in tables.items()}


def _read_own_model(path: Path, model: str, table: Any) -> _OwnModel:
    def wrong(what: str) -> PriceFileError:
        return PriceFileError(f'["{model}"] {what}', path=path)

    if not isinstance(table, dict):
        raise wrong("is not a table; every model has a table of its own")
    if not table.keys() & {*_RATES, "as_of", "source"} and any(isinstance(value, dict) for value in table.values()):
        raise wrong("has tables inside; write the model's id in quotes when it has a dot")
    for field in (*_RATES, "as_of", "source"):
        if field not in table:
            raise wrong(f"{field} is missing")
    unknown = table.keys() - {*_RATES, "as_of", "source", "cache_minimum"}
    if unknown:
        raise wrong(f"{min(unknown)} is not a field; the fields are {', '.join(_RATES)}, as_of, source, cache_minimum")
    for field in _RATES:
        value = table[field]
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or not math.isfinite(value) or value < 0:
            raise wrong(f"{field} is {value!s}; it must be a number of 0 or more: USD per million tokens")
    if type(table["as_of"]) is not date:
        raise wrong(f"as_of is {table['as_of']!s}; it must be a day without quotes, such as 2026-11-23")
    if not isinstance(table["source"], str) or not table["source"].strip():
        raise wrong("source is empty; it must say where the price is from")
    minimum = table.get("cache_minimum")
    if minimum is not None and (type(minimum) is not int or minimum < 1):
        raise wrong(f"cache_minimum is {minimum!s}; it must be a whole number of tokens")
    return _OwnModel(
        price=Price(
            rates=Rates(**{field: Decimal(table[field]) for field in _RATES}),
            as_of=table["as_of"],
            source=f"{path.name}: {table['source'].strip()}",
        ),
        cache_minimum=minimum,
    )
