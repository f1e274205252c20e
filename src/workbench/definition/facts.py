"""What one version of Claude Code knows, as data with a version and a date."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


@cache
def facts() -> Mapping[str, Any]:
    """What this version of Claude Code knows: aliases, tools, colours, levels; with version and date."""
    # Not by importlib.resources, which loads zipfile and what that needs, for each command that shows an agent.
    data = Path(__file__).with_name("claude_code_2_1_332.toml").read_text(encoding="utf-8")
    return tomllib.loads(data)


def written_tool(tool: str) -> str:
    """The name of a tool as it is written, without what stands in parentheses behind it."""
    return tool.partition("(")[0].strip()


def base_tool(tool: str) -> str:
    """The name of a tool without what stands in parentheses behind it, and by the name that it has today."""
    written = written_tool(tool)
    return str(facts()["tool_aliases"].get(written, written))


def may_be_tool(tool: str) -> bool:
    """Whether a name grants anything: a known tool, `*`, or one of a server, which only that knows."""
    base = base_tool(tool)
    return base in facts()["tools"] or base == "*" or base.startswith("mcp__")


def tools_that_write() -> frozenset[str]:
    """The tools whose purpose is to change files of the project."""
    return frozenset(name for name, tool in facts()["tools"].items() if tool.get("writes"))
