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
    from workbench.comparison.grader_check import check_graders as check_graders
    from workbench.comparison.history import load_history as load_history
    from workbench.comparison.history_page import write_history as write_history
    from workbench.comparison.judged import show_judged as show_judged
    from workbench.comparison.report.write import write_report as write_report
    from workbench.comparison.review import review_runs as review_runs
    from workbench.comparison.rows import Rows as Rows
    from workbench.comparison.rows import find_rows as find_rows
    from workbench.comparison.tables import Comparison as Comparison
    from workbench.comparison.tables import compare as compare
    from workbench.comparison.tables import compare_pairs as compare_pairs
    from workbench.definition.agent import Agent as Agent
    from workbench.definition.agent import parse_agent as parse_agent
    from workbench.definition.agent import without_lines as without_lines
    from workbench.definition.carry import carry_agent as carry_agent
    from workbench.definition.claude_code import read_as_claude_code as read_as_claude_code
    from workbench.definition.committed import load_committed as load_committed
    from workbench.definition.document import AgentHandler as AgentHandler
    from workbench.definition.files import diff_agents as diff_agents
    from workbench.definition.files import load_agent as load_agent
    from workbench.definition.files import save_agent as save_agent
    from workbench.definition.finding import FoundAgent as FoundAgent
    from workbench.definition.finding import agent_file as agent_file
    from workbench.definition.finding import find_agents as find_agents
    from workbench.definition.fixing import fixes_of as fixes_of
    from workbench.definition.lint import check_agent as check_agent
    from workbench.definition.linting import lint_paths as lint_paths
    from workbench.definition.mend import mend_agent as mend_agent
    from workbench.definition.project import enter_project as enter_project
    from workbench.definition.project import project_folder as project_folder
    from workbench.definition.project_agents import Places as Places
    from workbench.definition.roster import load_roster as load_roster
    from workbench.definition.sending import sending_as_main_thread as sending_as_main_thread
    from workbench.definition.sending import sending_as_subagent as sending_as_subagent
    from workbench.grading import catalogue as graders
    from workbench.grading.checking import check_tasks as check_tasks
    from workbench.grading.recorded import load_run as load_run
    from workbench.headless.notebook import run_notebook as run_notebook
    from workbench.judging.agreement import agreement_of as agreement_of
    from workbench.judging.certificate import certify as certify
    from workbench.judging.certificate import check_certificates as check_certificates
    from workbench.judging.certificate import load_certificates as load_certificates
    from workbench.judging.certificate import with_certificates as with_certificates
    from workbench.judging.check import check_judge as check_judge
    from workbench.judging.estimating import estimate_judging as estimate_judging
    from workbench.judging.judge import Judge as Judge
    from workbench.judging.judge import judge as judge
    from workbench.judging.judge import plan_judging as plan_judging
    from workbench.judging.labels import export_label_sheet as export_label_sheet
    from workbench.judging.labels import export_labels as export_labels
    from workbench.judging.labels import load_labels as load_labels
    from workbench.judging.pairs import judge_pairs as judge_pairs
    from workbench.judging.rubric_lint import lint_rubric as lint_rubric
    from workbench.judging.thumbs import THUMB as THUMB
    from workbench.judging.thumbs import Thumbs as Thumbs
    from workbench.ledger.columns import read_attempts as read_attempts
    from workbench.ledger.store import open_ledger as open_ledger
    from workbench.model.endpoint import chat_endpoint as chat_endpoint
    from workbench.model.endpoint import choose_endpoint as choose_endpoint
    from workbench.project.tried import restore_version as restore_version
    from workbench.project.tried import tried_versions as tried_versions
    from workbench.routing.asking import MainModel as MainModel
    from workbench.routing.asking import cases_for as cases_for
    from workbench.routing.asking import choose_router as choose_router
    from workbench.routing.asking import plan_routing as plan_routing
    from workbench.routing.asking import route as route
    from workbench.routing.cases import lint_cases as lint_cases
    from workbench.routing.cases import load_cases as load_cases
    from workbench.routing.change import compare_routing as compare_routing
    from workbench.routing.gate import gate_routing as gate_routing
    from workbench.routing.improving import improve_description as improve_description
    from workbench.routing.improving import split_cases as split_cases
    from workbench.routing.measured import measure_routing as measure_routing
    from workbench.routing.picture import plot_routing as plot_routing
    from workbench.routing.review import review_routing as review_routing
    from workbench.routing.sides import load_change as load_change
    from workbench.routing.sides import route_change as route_change
    from workbench.routing.steering import sweep_steering as sweep_steering
    from workbench.runs.conversation import answer_reply as answer_reply
    from workbench.runs.drafting import draft_agent as draft_agent
    from workbench.runs.estimate import estimate_plan as estimate_plan
    from workbench.runs.improving import improve as improve
    from workbench.runs.openings import open_sealed as open_sealed
    from workbench.runs.plan import make_request as make_request
    from workbench.runs.plan import plan_trials as plan_trials
    from workbench.runs.proposing import propose_tasks as propose_tasks
    from workbench.runs.roster import roster as roster
    from workbench.runs.runner import run_trials as run_trials
    from workbench.runs.start import start_trial as start_trial
    from workbench.runs.upkeep import estimate_upkeep as estimate_upkeep
    from workbench.runs.versions import Against as Against
    from workbench.runs.versions import load_versions as load_versions
    from workbench.runs.writer import Writer as Writer
    from workbench.statistics.pairwise import Judgement as Judgement
    from workbench.statistics.pairwise import compare_choices as compare_choices
    from workbench.statistics.pairwise import compare_pairwise as compare_pairwise
    from workbench.statistics.pairwise import rank_variants as rank_variants
    from workbench.trial.conversations import Conversations as Conversations
    from workbench.trial.conversations import count_conversations as count_conversations
    from workbench.trial.description_tasks import load_tasks_for as load_tasks_for
    from workbench.trial.record import export_record as export_record
    from workbench.trial.regrade import grade_again as grade_again
    from workbench.trial.regrade import regrade as regrade
    from workbench.trial.regrade import trust_recorded as trust_recorded
    from workbench.trial.rubric import Criterion as Criterion
    from workbench.trial.rubric import Rubric as Rubric
    from workbench.trial.rubric import load_rubric as load_rubric
    from workbench.trial.sealed import split_tasks as split_tasks
    from workbench.trial.task import Task as Task
    from workbench.trial.task import load_tasks as load_tasks
    from workbench.trial.task_files import task_file_of as task_file_of
    from workbench.trial.task_writing import export_tasks as export_tasks
    from workbench.trial.task_writing import save_task as save_task
    from workbench.trial.tasks_from import tasks_from as tasks_from
    from workbench.trial.trial import Reply as Reply
    from workbench.trial.trial import Run as Run
    from workbench.trial.trial import Score as Score
    from workbench.trial.trial import Trial as Trial
    from workbench.trial.trial import Variant as Variant
    from workbench.widgets.editor import AgentEditor as AgentEditor
    from workbench.widgets.labels import ChoicePanel as ChoicePanel
    from workbench.widgets.labels import LabelPanel as LabelPanel
    from workbench.widgets.results import ResultsTable as ResultsTable
    from workbench.widgets.routing import RoutingPanel as RoutingPanel
    from workbench.widgets.trials import TrialPanel as TrialPanel

_ROOMS = {
    "definition.agent": ("Agent", "parse_agent", "without_lines"),
    "definition.files": ("diff_agents", "load_agent", "save_agent"),
    "definition.carry": ("carry_agent",),
    "definition.claude_code": ("read_as_claude_code",),
    "definition.committed": ("load_committed",),
    "definition.document": ("AgentHandler",),
    "definition.finding": ("FoundAgent", "agent_file", "find_agents"),
    "definition.fixing": ("fixes_of",),
    "definition.lint": ("check_agent",),
    "definition.linting": ("lint_paths",),
    "definition.mend": ("mend_agent",),
    "definition.project": ("enter_project", "project_folder"),
    "definition.project_agents": ("Places",),
    "definition.roster": ("load_roster",),
    "definition.sending": ("sending_as_main_thread", "sending_as_subagent"),
    "trial.sealed": ("split_tasks",),
    "trial.task": ("Task", "load_tasks"),
    "trial.task_files": ("task_file_of",),
    "trial.task_writing": ("export_tasks", "save_task"),
    "trial.tasks_from": ("tasks_from",),
    "grading.checking": ("check_tasks",),
    "runs.drafting": ("draft_agent",),
    "runs.improving": ("improve",),
    "runs.openings": ("open_sealed",),
    "runs.writer": ("Writer",),
    "runs.proposing": ("propose_tasks",),
    "comparison.grader_check": ("check_graders",),
    "comparison.history": ("load_history",),
    "comparison.history_page": ("write_history",),
    "project.tried": ("restore_version", "tried_versions"),
    "routing.asking": ("MainModel", "cases_for", "choose_router", "plan_routing", "route"),
    "routing.cases": ("lint_cases", "load_cases"),
    "routing.change": ("compare_routing",),
    "routing.improving": ("improve_description", "split_cases"),
    "routing.gate": ("gate_routing",),
    "routing.measured": ("measure_routing",),
    "routing.picture": ("plot_routing",),
    "routing.review": ("review_routing",),
    "routing.sides": ("load_change", "route_change"),
    "routing.steering": ("sweep_steering",),
    "runs.conversation": ("answer_reply",),
    "trial.conversations": ("Conversations", "count_conversations"),
    "trial.description_tasks": ("load_tasks_for",),
    "trial.trial": ("Reply", "Run", "Score", "Trial", "Variant"),
    "runs.plan": ("make_request", "plan_trials"),
    "runs.estimate": ("estimate_plan",),
    "model.endpoint": ("chat_endpoint", "choose_endpoint"),
    "ledger.store": ("open_ledger",),
    "ledger.columns": ("read_attempts",),
    "trial.regrade": ("grade_again", "regrade", "trust_recorded"),
    "runs.roster": ("roster",),
    "runs.runner": ("run_trials",),
    "runs.start": ("start_trial",),
    "trial.record": ("export_record",),
    "grading.recorded": ("load_run",),
    "runs.upkeep": ("estimate_upkeep",),
    "runs.versions": ("Against", "load_versions"),
    "comparison.gate": ("gate",),
    "comparison.report.write": ("write_report",),
    "comparison.review": ("review_runs",),
    "comparison.judged": ("show_judged",),
    "comparison.flips": ("what_flipped",),
    "statistics.pairwise": ("Judgement", "compare_choices", "compare_pairwise", "rank_variants"),
    "comparison.differences.reply_pair": ("compare_replies",),
    "comparison.rows": ("Rows", "find_rows"),
    "comparison.tables": ("Comparison", "compare", "compare_pairs"),
    "headless.notebook": ("run_notebook",),
    "judging.agreement": ("agreement_of",),
    "judging.certificate": ("certify", "check_certificates", "load_certificates", "with_certificates"),
    "judging.check": ("check_judge",),
    "judging.estimating": ("estimate_judging",),
    "judging.judge": ("Judge", "judge", "plan_judging"),
    "judging.labels": ("export_label_sheet", "export_labels", "load_labels"),
    "judging.pairs": ("judge_pairs",),
    "judging.thumbs": ("THUMB", "Thumbs"),
    "judging.rubric_lint": ("lint_rubric",),
    "trial.rubric": ("Criterion", "Rubric", "load_rubric"),
    "widgets.editor": ("AgentEditor",),
    "widgets.labels": ("ChoicePanel", "LabelPanel"),
    "widgets.results": ("ResultsTable",),
    "widgets.routing": ("RoutingPanel",),
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
