"""The programs to which an agent can be carried, and what is known of each, as data with a day."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

Target = Literal["sdk", "agents-json", "copilot", "opencode", "cursor", "gemini", "codex"]
TARGETS: tuple[Target, ...] = get_args(Target)
SLUG_SIGNS = "a-z0-9_-"
"""Of which names consist where a program takes no other; for a set in a pattern."""
HEX_COLOR = "#[0-9a-fA-F]{6}"
"""A pattern."""


@cache
def targets() -> Mapping[str, Any]:
    """What is known of the programs, by target."""
    return tomllib.loads(Path(__file__).with_name("carry_targets.toml").read_text(encoding="utf-8"))


def known_since(to: Target) -> str:
    """On which day the program's rules were as they are known here, and from where that is."""
    return f"known of {targets()[to]['says']} on {targets()['date']}, from {targets()[to]['source']}"
