"""What is asked where there is no Claude Code program: a request of our own, and called an approximation.

In our words, made of what is known of the program's: a main model with tools for files and a tool that hands work to
one of the listed agents, which it is told to use when one fits and not for what it does as well itself. The program's
own request is some forty times as long; what is found with one says little of the other, and both are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.routing.listing import GENERAL, Entry
from workbench.trial.transcripts import AGENT_TOOL

SYSTEM = """\
You are a coding assistant in a terminal, at work in a user's repository. Do what the user asks, with the tools \
you have.

The Agent tool hands a piece of work to a subagent, which has its own context and reports back. Hand over what one of \
the agents below is described for. Do yourself what none is described for, and what takes a step or two: handing over \
costs time.

Agents:
"""
BUILT_IN = (
    Entry(
        name=GENERAL, description="Looks into open questions and does work of many steps that no other agent is for."
    ),
)
"""The only one of the program's own that is offered too."""


def _tool(
    name: str, about: str, required: Mapping[str, str], optional: Mapping[str, str] | None = None
) -> dict[str, Any]:
    told = {**required, **(optional or {})}
    return {
        "name": name,
        "description": about,
        "input_schema": {
            "type": "object",
            "properties": {field: {"type": "string", "description": says} for field, says in told.items()},
            "required": list(required),
            "additionalProperties": False,
        },
    }


TOOLS = (
    _tool(
        AGENT_TOOL,
        "Hands a piece of work to a subagent.",
        {"description": "The work in three to five words.", "prompt": "What the subagent is to do."},
        {"subagent_type": f"The name of the agent; without one, {GENERAL}."},
    ),
    _tool("Bash", "Runs a command in a shell.", {"command": "The command."}),
    _tool("Read", "Reads a file.", {"file_path": "Its path."}),
    _tool(
        "Edit", "Replaces text in a file.", {"file_path": "Its path.", "old": "The text.", "new": "What to put there."}
    ),
    _tool("Write", "Writes a file.", {"file_path": "Its path.", "content": "What to write."}),
)
"""Tools for files are among them: with the Agent tool alone, "do it myself" would hardly be a choice."""
