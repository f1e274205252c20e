"""A model that writes for an author: tasks, a definition, edits of one. What it writes is a proposal, never a file.

It is asked as in any trial: what it said is in the ledger, so asking again for the same costs nothing, and the budget
bounds it. What it says is data.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.errors import NoModel, WorkbenchError
from workbench.ledger.store import Ledger
from workbench.markup import visible
from workbench.model.endpoint import choose_endpoint
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.task import Task

LONGEST_PROMPT = 60_000
"""Characters of an agent's prompt that are shown to the model."""
PROPOSERS = IMPROVER, DESCRIPTION_WRITER = "improver", "description-writer"
"""Those that write another version of what is tried, as a ledger names them. Of what is sealed they see nothing."""
_MOST_TOKENS = 8_000
_OPENS = re.compile(r"```(?:json)?[ \t]*+\n")
_CLOSES = re.compile(r"\n[ \t]*+```")


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Who writes, and for how much; the settings are those of `run_trials`."""

    model: str | None = None
    """By default that of the agent, and for a new one that of a conversation."""
    ledger: Ledger | str | Path | None = None
    live: bool | None = None
    budget_usd: float | None = None
    budget_scope: str | None = None


@dataclass(frozen=True, kw_only=True)
class Written:
    """What the model said."""

    text: str
    model: str
    """The id that says it answered."""

    def json(self) -> Any:
        """Its JSON, alone or in a fence; `None` where there is none."""
        opened = _OPENS.search(self.text)
        closed = _CLOSES.search(self.text, opened.end()) if opened else None
        # What stands in a fence may hold one of its own, in a text: then its end is not that of the JSON.
        whole = self.text[self.text.find("{") : self.text.rfind("}") + 1]
        for text in ([self.text[opened.end() : closed.start()]] if opened and closed else []) + [whole]:
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                continue
        return None


def ask_writer(by: Writer, *, to: str, instructions: str, shown: str, model: str | None = None) -> Written:
    """What the model says, asked in one request; `to` says what for ("task-writer"), `model` whom unless `by` does.

    Raises:
        NoModel: only the offline stand-in is there, which makes words up.
        WorkbenchError: it did not answer.
        BudgetError: the budget is too small, or used up.
    """
    if choose_endpoint(by.live).is_stand_in:
        raise NoModel(
            f"no model is there to ask as {to}, and the offline stand-in only makes words up: set ANTHROPIC_API_KEY, "
            "or ANTHROPIC_BASE_URL to a server of yours"
        )
    writer = Agent(name=to, prompt=instructions, model=model)
    plan = plan_trials({to: writer}, [Task(id="write", input=shown)], model=by.model, max_tokens=_MOST_TOKENS)
    found = run_trials(
        plan,
        ledger=by.ledger,
        live=by.live,
        budget_usd=by.budget_usd,
        budget_scope=by.budget_scope,
        progress=False,
    )
    [trial] = found.trials
    if trial.outcome != "answered" or trial.reply is None:
        why = trial.failure.message if trial.failure else trial.outcome.replace("_", " ")
        raise WorkbenchError(f"{trial.request.model} wrote nothing: {visible(why)}")
    return Written(text=trial.reply.text, model=trial.reply.model or trial.request.model)


def shown_agent(agent: Agent) -> str:
    """The agent between marks, for a model to read as data."""
    reading = read_as_claude_code(agent)
    return marked(
        name=reading.name or agent.name or "",
        description=reading.description or agent.description or "",
        prompt=agent.prompt[:LONGEST_PROMPT],
    )


def marked(**parts: str) -> str:
    """Each text between marks of its name, none of which it can end itself."""
    marks = re.compile(rf"<(/?(?:{'|'.join(parts)}))>")
    readable = {name: text.encode("utf-8", "replace").decode() for name, text in parts.items()}  # no half characters
    kept = {name: marks.sub(r"<\1 >", text) for name, text in readable.items()}
    return "\n".join(f"<{name}>\n{text}\n</{name}>" for name, text in kept.items())
