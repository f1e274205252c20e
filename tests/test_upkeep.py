from __future__ import annotations

from pathlib import Path

import pytest

from workbench.definition.agent import Agent
from workbench.runs.upkeep import estimate_upkeep

PRICES = """
["claude-opus-5-5"]
input = 10
output = 50
cache_write_5m = 12.5
cache_write_1h = 20
cache_read = 1
as_of = 2026-11-23
source = "a test"
cache_minimum = 1000
"""


@pytest.fixture(autouse=True)
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prices.toml").write_text(PRICES)
    monkeypatch.setenv("WORKBENCH_PRICES", str(tmp_path / "prices.toml"))


def agent(prompt_tokens: int, model: str = "opus") -> Agent:
    return Agent(name="a-b", description="d" * 310, model=model, prompt="x" * int(prompt_tokens * 3.1))


def test_a_long_prompt_is_written_to_the_cache_once_and_then_read() -> None:
    upkeep = estimate_upkeep(agent(10_000), conversations=1, delegations=2, requests_each=5)

    assert (upkeep.prompt_tokens, upkeep.description_tokens) == (10_000, 100)
    assert upkeep.prompt_usd == pytest.approx(2 * (10_000 * 12.5 + 4 * 10_000 * 1) / 1e6)
    assert upkeep.description_usd == pytest.approx((100 * 12.5 + 4 * 100) / 1e6)
    assert upkeep.usd == pytest.approx((upkeep.prompt_usd or 0) + (upkeep.description_usd or 0))


def test_a_prompt_too_short_for_the_cache_is_paid_in_full_each_time() -> None:
    upkeep = estimate_upkeep(agent(500), delegations=2, requests_each=5)

    assert upkeep.prompt_usd == pytest.approx(2 * 5 * 500 * 10 / 1e6)
    assert "too short to be cached" in upkeep.assumption


def test_a_model_without_a_price_has_no_cost() -> None:
    upkeep = estimate_upkeep(agent(500, model="nobody-knows-it"))

    assert upkeep.prompt_usd is None
    assert upkeep.usd is None


def test_the_assumption_says_its_numbers() -> None:
    said = estimate_upkeep(agent(500), conversations=7, delegations=8, requests_each=9).assumption

    assert all(number in said for number in ("7 conversations", "8 delegations", "9 requests", "3.1 bytes"))
