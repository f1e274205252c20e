"""Which agent the offline stand-in hands work to, where it is offered a tool for that: a rule, and no model.

An agent that the prompt names is picked; else the one of whose description most words stand in the prompt, if those are
two or more. It shows how routing works without a key, and says nothing of any description.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.definition.agent_list import entries_in, is_agent_list

_WORD = re.compile(r"[a-z]{4,}")
# fmt: off
_COMMON = frozenset({
    "about", "after", "agent", "also", "alone", "anything", "before", "could", "does", "each", "else", "every",
    "find", "from", "have", "into", "letter", "look", "make", "more", "nothing", "number", "other", "please",
    "question", "answer", "repository", "reply", "report", "should", "some", "that", "them", "then", "they", "this",
    "tool", "user", "what", "when", "where", "which", "whole", "will", "with", "word", "work", "would", "your",
})
# fmt: on
_FEWEST_WORDS = 2


def choose_tool(body: Mapping[str, Any], identity: str) -> dict[str, Any] | None:
    """The call of the Agent tool as the API writes it; `None`: there is no such tool, or no agent fits."""
    tools = body.get("tools")
    if not isinstance(tools, list) or not any(isinstance(tool, dict) and tool.get("name") == "Agent" for tool in tools):
        return None
    asked = [text for role, text in _texts(body) if role == "user"]
    listed = [text for role, text in _texts(body) if role == "system" and is_agent_list(text)]
    if not asked or not listed:
        return None
    name = _fitting(asked[-1], listed[-1])
    if name is None:
        return None
    called = {"description": "Do it", "prompt": asked[-1][:200], "subagent_type": name}
    return {"type": "tool_use", "id": f"toolu_offline_{identity}", "name": "Agent", "input": called}


def _fitting(prompt: str, listing: str) -> str | None:
    entries = {  # a list of skills looks like one of agents, and names no tools
        name: text.removeprefix(f"- {name}: ") for name, text in entries_in(listing).items() if "(Tools: " in text
    }
    if not entries:
        return None
    plain = prompt.lower()
    named = [name for name in entries if re.search(rf"(?<![\w-]){re.escape(name.lower())}(?![\w-])", plain)]
    if named:
        return max(named, key=len)
    words = _words(prompt)
    best = max(sorted(entries), key=lambda name: len(words & _words(entries[name])))
    return best if len(words & _words(entries[best])) >= _FEWEST_WORDS else None


def _words(text: str) -> set[str]:
    return {word.rstrip("s") for word in _WORD.findall(text.lower()) if word not in _COMMON}


def _texts(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    turns = [{"role": "system", "content": body.get("system") or ""}, *body["messages"]]
    for turn in turns:
        content = turn["content"]
        for part in [{"text": content}] if isinstance(content, str) else content:
            if isinstance(part.get("text"), str):
                yield turn["role"], part["text"]
