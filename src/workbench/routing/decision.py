"""What the main model decided: the first tool that its reply calls."""

from __future__ import annotations

import re
from collections.abc import Iterable

from workbench.definition.agent_list import names_in
from workbench.routing.listing import GENERAL
from workbench.statistics.routing import NONE
from workbench.trial.transcripts import AGENT_TOOL_NAMES
from workbench.trial.trial import Trial

UNKNOWN = "(an agent that is not listed)"


def decision_of(trial: Trial) -> str | None:
    """The agent that was picked, "none" where the model answers or uses another tool first, and `None` where there is
    no decision: an error, a refusal, a reply that was cut off.

    A call without a name goes to `general-purpose`, and a name is found whatever its case and its separators, as
    Claude Code finds it. Where several are called, the first counts.
    """
    if trial.outcome != "answered" or trial.reply is None:
        return None
    called = trial.reply.tool_uses
    if not called or called[0].name not in AGENT_TOOL_NAMES:
        return NONE
    said = called[0].input.get("subagent_type")
    return GENERAL if not isinstance(said, str) or not said.strip() else listed_as(said, names_in(trial.request.system))


def listed_as(said: str, names: Iterable[str]) -> str:
    """The listed agent that a call by this name goes to, found as Claude Code finds it; `UNKNOWN` for none."""
    by_key = {_key(name): name for name in reversed(tuple(names))}
    if said in by_key.values():
        return said
    return by_key.get(_key(said), GENERAL if _key(said) == _key(GENERAL) else UNKNOWN)


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
