"""What decisions would take, where a run ends at its estimate: the controls come first, and nothing after them runs."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.runs.estimate import estimate_trials
from workbench.runs.estimate_only import ESTIMATE_FILE, add_to_estimate, is_estimate_only, read_estimate
from workbench.runs.plan import Plan
from workbench.runs.settings import Asking, RunSettings
from workbench.runs.who_answers import trials_here


def add_plan_to_estimate(plan: Plan, asking: Asking) -> None:
    """Has what a plan takes that is asked behind another counted with that, where only an estimate is wanted."""
    if not is_estimate_only():
        return
    settings = RunSettings(
        ledger=asking.get("ledger"), mode=asking.get("mode", "top-up"), via=asking.get("via", "stream")
    )
    _, trials = trials_here(plan, asking.get("live"))
    file = Path(os.environ[ESTIMATE_FILE])
    asked = read_estimate(file)[1] if file.exists() else frozenset()
    add_to_estimate(estimate_trials(plan, trials, settings, but=asked), trials)
