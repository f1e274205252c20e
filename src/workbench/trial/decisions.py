"""Whether trials are replies to tasks, or decisions of a main model: which agent it picks from a list."""

from __future__ import annotations

from workbench.trial.trial import Endpoint, Run, Trial

PROGRAM = "claude-code"
"""How the addresses begin at which the program itself is asked for decisions, before its version and a "+"."""


def holds_decisions(run: Run) -> bool:
    """Whether a run holds decisions, which no grader scores, and no replies."""
    return bool(run.trials) and all(_is_decision(trial) for trial in run.trials)


def is_asked_by_program(endpoint: Endpoint) -> bool:
    """Whether the program itself asks there."""
    return endpoint.base_url.startswith(f"{PROGRAM}-") and "+" in endpoint.base_url


def _is_decision(trial: Trial) -> bool:
    """Nothing but a decision is asked for in the program's own request, by the program, or with tools."""
    asked = trial.request
    return asked.frame is not None or bool(asked.tools) or is_asked_by_program(trial.endpoint)
