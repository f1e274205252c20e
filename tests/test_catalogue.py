from __future__ import annotations

import pytest

from workbench.trial.catalogue import OFFLINE_MODEL, price_usd, resolve_model
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
