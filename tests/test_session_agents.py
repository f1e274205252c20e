"""What `claude --agents` refuses: each value was given to Claude Code 2.1.332, which starts or says why not."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.definition.session_agents import faults_in_session_agent

GOOD = {"description": "Use it.", "prompt": "p"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prompt", ""),
        ("description", " "),
        ("color", "red"),
        ("wat", 1),
        ("name", 3),
        ("tools", ["Read"]),
        ("effort", "xhigh"),
        ("effort", -1),
        ("hooks", {"Stop": []}),
        ("mcpServers", ["x"]),
        ("mcpServers", [{}]),
        ("mcpServers", [{"a": {"command": "x"}, "b": {"command": "y"}}]),
        ("isolation", "remote"),
        ("permissionMode", "manual"),
        ("hooks", {}),
        ("initialPrompt", ""),
    ],
)
def test_what_the_program_starts_with_is_no_fault(key: str, value: Any) -> None:
    assert faults_in_session_agent({**GOOD, key: value}) == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("description", ""),
        ("description", 5),
        ("prompt", None),
        ("tools", "Read"),
        ("tools", [3]),
        ("tools", None),
        ("disallowedTools", "Read"),
        ("skills", "a"),
        ("model", ""),
        ("model", 5),
        ("maxTurns", "3"),
        ("maxTurns", 1.5),
        ("maxTurns", -1),
        ("effort", "ultra"),
        ("memory", "x"),
        ("permissionMode", "x"),
        ("background", "true"),
        ("isolation", "x"),
        ("initialPrompt", 3),
        ("hooks", []),
        ("hooks", {"pre": "x"}),
        ("hooks", {"Stop": "x"}),
        ("hooks", {"Stop": None}),
        ("hooks", {"Stop": [{"hooks": [{"type": "command"}]}]}),
        ("mcpServers", {"a": 1}),
        ("mcpServers", [1]),
        ("mcpServers", [{"a": 1}]),
    ],
)
def test_what_the_program_does_not_start_with_is_a_fault_of_its_key(key: str, value: Any) -> None:
    assert list(faults_in_session_agent({**GOOD, key: value})) == [key]


def test_what_is_missing_is_a_fault() -> None:
    assert list(faults_in_session_agent({})) == ["description", "prompt"]
