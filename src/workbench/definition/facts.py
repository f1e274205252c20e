"""What one version of Claude Code knows, as data with a version and a date."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any


@cache
def facts() -> Mapping[str, Any]:
    """What this version of Claude Code knows: aliases, tools, colours, levels; with version and date."""
    data = resources.files("workbench.definition").joinpath("claude_code_2_1_332.toml").read_text(encoding="utf-8")
    return tomllib.loads(data)
