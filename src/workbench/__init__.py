"""Author, try and compare Claude Code agent definition files by evidence.

The front door: names only. Importing it loads no heavy library; a name loads its room when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.comparison.differences.reply_pair import compare_replies as compare_replies
    from workbench.comparison.flips import what_flipped as what_flipped
    from workbench.comparison.gate import gate as gate
    from workbench.comparison.report.write import write_report as write_report
    from workbench.comparison.review import review_runs as review_runs
    from workbench.comparison.rows import Rows as Rows
    from workbench.comparison.rows import find_rows as find_rows
    from workbench.comparison.tables import Comparison as Comparison
    from workbench.comparison.tables import compare as compare
    from workbench.definition.agent import Agent as Agent
    from workbench.definition.agent import parse_agent as parse_agent
    from workbench.definition.agent import without_lines as without_lines
    from workbench.definition.claude_code import read_as_claude_code as read_as_claude_code
    from workbench.definition.committed import load_committed as load_committed
    from workbench.definition.document import AgentHandler as AgentHandler
    from workbench.definition.files import diff_agents as diff_agents
    from workbench.definition.files import load_agent as load_agent
    from workbench.definition.files import save_agent as save_agent
    from workbench.definition.finding import FoundAgent as FoundAgent
    from workbench.definition.finding import find_agents as find_agents
    from workbench.definition.lint import check_agent as check_agent
    from workbench.definition.mend import mend_agent as mend_agent
    from workbench.definition.project import enter_project as enter_project
    from workbench.definition.project import project_folder as project_folder
    from workbench.definition.roster import load_roster as load_roster
    from workbench.grading import catalogue as graders
    from workbench.headless.notebook import run_notebook as run_notebook
    from workbench.ledger.columns import read_attempts as read_attempts
    from workbench.ledger.store import open_ledger as open_ledger
    from workbench.model.endpoint import choose_endpoint as choose_endpoint
    from workbench.runs.conversation import answer_reply as answer_reply
    from workbench.runs.estimate import estimate_plan as estimate_plan
    from workbench.runs.plan import make_request as make_request
    from workbench.runs.plan import plan_trials as plan_trials
    from workbench.runs.runner import run_trials as run_trials
    from workbench.runs.start import start_trial as start_trial
    from workbench.runs.upkeep import estimate_upkeep as estimate_upkeep
    from workbench.statistics.pairwise import Judgement as Judgement
    from workbench.statistics.pairwise import compare_pairwise as compare_pairwise
    from workbench.statistics.pairwise import rank_variants as rank_variants
    from workbench.trial.description_tasks import load_tasks_for as load_tasks_for
    from workbench.trial.record import export_record as export_record
    from workbench.trial.record import load_run as load_run
    from workbench.trial.regrade import grade_again as grade_again
    from workbench.trial.regrade import regrade as regrade
    from workbench.trial.task import Task as Task
    from workbench.trial.task import load_tasks as load_tasks
    from workbench.trial.task_files import task_file_of as task_file_of
    from workbench.trial.trial import Reply as Reply
    from workbench.trial.trial import Run as Run
    from workbench.trial.trial import Score as Score
    from workbench.trial.trial import Trial as Trial
    from workbench.trial.trial import Variant as Variant
    from workbench.widgets.editor import AgentEditor as AgentEditor
    from workbench.widgets.results import ResultsTable as ResultsTable
    from workbench.widgets.trials import TrialPanel as TrialPanel

_ROOMS = {
    "definition.agent": ("Agent", "parse_agent", "without_lines"),
    "definition.files": ("diff_agents", "load_agent", "save_agent"),
    "definition.claude_code": ("read_as_claude_code",),
    "definition.committed": ("load_committed",),
    "definition.document": ("AgentHandler",),
    "definition.finding": ("FoundAgent", "find_agents"),
    "definition.lint": ("check_agent",),
    "definition.mend": ("mend_agent",),
    "definition.project": ("enter_project", "project_folder"),
    "definition.roster": ("load_roster",),
    "trial.task": ("Task", "load_tasks"),
    "trial.task_files": ("task_file_of",),
    "runs.conversation": ("answer_reply",),
    "trial.description_tasks": ("load_tasks_for",),
    "trial.trial": ("Reply", "Run", "Score", "Trial", "Variant"),
    "runs.plan": ("make_request", "plan_trials"),
    "runs.estimate": ("estimate_plan",),
    "model.endpoint": ("choose_endpoint",),
    "ledger.store": ("open_ledger",),
    "ledger.columns": ("read_attempts",),
    "trial.regrade": ("grade_again", "regrade"),
    "runs.runner": ("run_trials",),
    "runs.start": ("start_trial",),
    "trial.record": ("export_record", "load_run"),
    "runs.upkeep": ("estimate_upkeep",),
    "comparison.gate": ("gate",),
    "comparison.report.write": ("write_report",),
    "comparison.review": ("review_runs",),
    "comparison.flips": ("what_flipped",),
    "statistics.pairwise": ("Judgement", "compare_pairwise", "rank_variants"),
    "comparison.differences.reply_pair": ("compare_replies",),
    "comparison.rows": ("Rows", "find_rows"),
    "comparison.tables": ("Comparison", "compare"),
    "headless.notebook": ("run_notebook",),
    "widgets.editor": ("AgentEditor",),
    "widgets.results": ("ResultsTable",),
    "widgets.trials": ("TrialPanel",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = ["graders", *sorted(_ROOM_OF)]


def __getattr__(name: str) -> Any:
    if name == "graders":
        return import_module("workbench.grading.catalogue")
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"workbench has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"workbench.{room}"), name)


def __dir__() -> list[str]:
    return __all__
