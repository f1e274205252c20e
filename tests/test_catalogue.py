from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.definition.resolved import resolve_model
from workbench.errors import PriceFileError
from workbench.trial import catalogue
from workbench.trial.catalogue import OFFLINE_MODEL, cache_minimum, find_price, price_usd
from workbench.trial.trial import Usage


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("sonnet", "claude-sonnet-5-5"),
        ("sonnet[1m]", "claude-sonnet-5-5"),
        ("opus", "claude-opus-5-5"),
        ("haiku", "claude-haiku-5-5"),
        ("fable", "claude-fable-5-2"),
        ("mythos", "mythos"),
        ("claude-opus-5", "claude-opus-5"),
        ("gpt-9", "gpt-9"),
    ],
)
def test_aliases_stand_for_what_claude_code_sends(name: str, model: str) -> None:
    assert resolve_model(name) == model


def test_absent_model_and_inherit_mean_the_harness_default() -> None:
    assert resolve_model(None) == resolve_model("inherit") == "claude-opus-5-5"


def test_alias_may_be_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_DEFAULT_SONNET_MODEL", "our-gateway/sonnet")

    assert resolve_model("sonnet") == "our-gateway/sonnet"
    assert resolve_model("opus") == "claude-opus-5-5"


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("claude-sonnet-5-5", Usage(input_tokens=1_000_000, output_tokens=100_000), 3.0),
        (
            "claude-sonnet-5-5",
            Usage(
                input_tokens=500_000,
                output_tokens=0,
                cache_read_input_tokens=400_000,
                cache_creation_input_tokens=100_000,
            ),
            1.0 + 0.04 + 0.25,
        ),
        ("claude-haiku-5-5", Usage(input_tokens=150_000, output_tokens=10), 0.075025),
        (OFFLINE_MODEL, Usage(input_tokens=10, output_tokens=10), 0.0),
    ],
)
def test_list_price_counts_cache_and_long_prompts(model: str, usage: Usage, usd: float) -> None:
    assert price_usd(model, usage) == pytest.approx(usd)


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("claude-nobody-1", Usage(input_tokens=1, output_tokens=1)),
        ("claude-sonnet-5-5", Usage(input_tokens=1, output_tokens=None)),
    ],
)
def test_unknown_model_or_count_has_no_price(model: str, usage: Usage) -> None:
    assert price_usd(model, usage) is None


LISTED = (
    "claude-fable-5-2",
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-sonnet-4-5-20250929",
    "claude-haiku-4-5",
    "claude-opus-4-6",
    "claude-3-5-haiku-latest",
)


@given(
    model=st.sampled_from(LISTED),
    fresh=st.integers(0, 300_000),
    written=st.integers(0, 300_000),
    for_an_hour=st.integers(0, 300_000),
    read=st.integers(0, 300_000),
    output=st.integers(0, 300_000),
)
def test_price_equals_that_of_genai_prices_for_any_usage(
    model: str, fresh: int, written: int, for_an_hour: int, read: int, output: int
) -> None:
    usage = Usage(
        input_tokens=fresh,
        output_tokens=output,
        cache_creation_input_tokens=written + for_an_hour,
        cache_creation_1h_input_tokens=for_an_hour,
        cache_read_input_tokens=read,
    )
    theirs = genai_prices.Usage(
        input_tokens=fresh + written + for_an_hour + read,
        cache_write_tokens=written + for_an_hour,
        cache_write_5m_tokens=written,
        cache_write_1h_tokens=for_an_hour,
        cache_read_tokens=read,
        output_tokens=output,
    )

    price = find_price(model)
    assert price is not None
    assert price.usd(usage) == genai_prices.calc_price(theirs, model_ref=model, provider_id="anthropic").total_price


@pytest.mark.parametrize("model", [model for model in LISTED if "3-5" not in model])
def test_batch_costs_half_as_the_list_says(model: str) -> None:
    usage = Usage(
        input_tokens=1000,
        output_tokens=500,
        cache_creation_input_tokens=300,
        cache_read_input_tokens=70,
        service_tier="batch",
    )
    theirs = genai_prices.Usage(input_tokens=1370, cache_write_tokens=300, cache_read_tokens=70, output_tokens=500)
    listed = genai_prices.calc_price(
        theirs, model_ref=model, provider_id="anthropic", price_context={"processing": "batch"}
    )

    assert price_usd(model, usage) == pytest.approx(float(listed.total_price))


def test_listed_price_says_when_it_was_compared_and_an_unknown_version_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catalogue._listed_price.cache_clear()
    assert str(find_price("claude-opus-5-5")) == "list prices of genai-prices 0.2.3, as of 2026-11-23"

    catalogue._listed_price.cache_clear()
    monkeypatch.setattr("importlib.metadata.version", lambda _: "9.9")
    assert str(find_price("claude-opus-5-5")) == "list prices of genai-prices 9.9, of unknown date"
    catalogue._listed_price.cache_clear()


OWN = """
["claude-opus-5-5"]
input = 1
output = 2.5
cache_write_5m = 3
cache_write_1h = 4
cache_read = 0.5
as_of = 2026-11-20
source = "our contract"
"""


@pytest.fixture
def own_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "prices.toml"
    path.write_text(OWN)
    monkeypatch.setenv("WORKBENCH_PRICES", str(path))
    return path


def test_own_file_of_prices_overrides_the_list(own_prices: Path) -> None:
    usage = Usage(
        input_tokens=10,
        output_tokens=10,
        cache_creation_input_tokens=30,
        cache_creation_1h_input_tokens=10,
        cache_read_input_tokens=10,
    )

    assert price_usd("claude-opus-5-5", usage) == pytest.approx((10 * 1 + 10 * 2.5 + 20 * 3 + 10 * 4 + 10 * 0.5) / 1e6)
    assert str(find_price("claude-opus-5-5-20261101")) == "prices.toml: our contract, as of 2026-11-20"
    assert "genai-prices" in str(find_price("claude-sonnet-5-5"))


def test_changed_file_of_prices_counts_at_once(own_prices: Path) -> None:
    before = price_usd("claude-opus-5-5", Usage(input_tokens=10, output_tokens=0))

    own_prices.write_text(OWN.replace("input = 1\n", "input = 100\n"))

    assert before == pytest.approx(10 / 1e6)
    assert price_usd("claude-opus-5-5", Usage(input_tokens=10, output_tokens=0)) == pytest.approx(1000 / 1e6)


def test_own_file_may_say_what_the_cache_takes(own_prices: Path) -> None:
    assert cache_minimum("claude-opus-5-5") == 512

    own_prices.write_text(OWN + "cache_minimum = 700\n")

    assert cache_minimum("claude-opus-5-5") == 700


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("input = 1\n", ""), r'\["claude-opus-5-5"\] input is missing'),
        (("input = 1\n", 'input = "1"\n'), r"input is 1; it must be a number of 0 or more"),
        (("input = 1\n", "input = -1\n"), r"input is -1; it must be a number of 0 or more"),
        (("input = 1\n", "input = nan\n"), r"input is NaN; it must be a number"),
        (("input = 1\n", "input = true\n"), r"input is True; it must be a number"),
        (("as_of = 2026-11-20", 'as_of = "today"'), r"as_of is today; it must be a day without quotes"),
        (('"our contract"', '" "'), r"source is empty"),
        (("cache_read", "cached"), r"cache_read is missing"),
        (("input = 1\n", "input = 1\nbatch = 2\n"), r"batch is not a field; the fields are input, output"),
        (("input = 1\n", "input = 1\ncache_minimum = 1.5\n"), r"cache_minimum is 1\.5; it must be a whole number"),
        (("input = 1\n", "input = \n"), r"is not TOML: .*line 3"),
        (('["claude-opus-5-5"]', "[our.own-model]"), r"write the model's id in quotes"),
        (('["claude-opus-5-5"]', ""), r'\["input"\] is not a table'),
    ],
)
def test_wrong_file_of_prices_is_named_with_its_field(own_prices: Path, change: tuple[str, str], message: str) -> None:
    own_prices.write_text(OWN.replace(*change))

    with pytest.raises(PriceFileError, match=message) as error:
        find_price("claude-opus-5-5")
    assert error.value.path == own_prices


def test_missing_file_of_prices_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_PRICES", "no-such.toml")

    with pytest.raises(PriceFileError, match=r"no-such\.toml: WORKBENCH_PRICES names it, but it cannot be read"):
        find_price("claude-opus-5-5")


def test_prices_are_imported_only_when_one_is_needed() -> None:
    code = (
        "import sys, workbench\n"
        "from workbench.runs.plan import plan_trials\n"
        "from workbench.trial.task import Task\n"
        "agent = workbench.parse_agent('---\\nname: a\\ndescription: b\\n---\\n' + 'x' * 9000)\n"
        "plan = plan_trials({'a': agent}, [Task(id='t', input='x')], repeats=2)\n"
        "workbench.run_trials(plan, progress=False); workbench.estimate_plan(plan)\n"
        "print('genai_prices' in sys.modules)"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True).endswith("False\n")
