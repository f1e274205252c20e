"""Judging a run: every reply put to one or more judges, through plan, ledger, budget, retries and batches.

A judge is an agent whose tasks are replies, so that asking it is a run like any other: what was judged once is not paid
for again, a budget bounds it, and a record replays it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Unpack

from workbench.definition.agent import Agent, parse_agent
from workbench.errors import PlanError
from workbench.judging.prompt import judging_message, judging_prompt, judging_schema, prompt_sha256
from workbench.runs.plan import MAX_TOKENS, Plan, plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.settings import Asking
from workbench.trial.judged import item_id
from workbench.trial.rubric import Rubric
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, Judged, Run, Variant


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A model as a judge."""

    model: str
    """An alias or an id, as in an agent file."""
    effort: str | None = None
    """`None`: what Claude Code sends for this model."""
    endpoint: Endpoint | None = None
    """Where it answers; `None`: where the judging is run. Another provider's judge has its own."""
    name: str = ""
    """What it is called beside other judges; without one, its model."""


def judge(
    run: Run,
    rubric: Rubric,
    *,
    model: str | Judge | Sequence[str | Judge] = "sonnet",
    repeats: int = 1,
    **asking: Unpack[Asking],
) -> Run:
    """The run, with what judges say of its replies as one more of its `judged`.

    `model` is who judges: a model by its alias or id, a `Judge`, or several of either, of whom the majority counts.
    Each is asked `repeats` times of each different reply, and does not learn which variant gave it. Replies that were
    not answered are not judged. A judging by the same rubric that the run has already makes way; its certificates stay,
    and hold as long as nothing that they are of has changed. What judges say decides nothing until they are certified
    (`certify`).

    Raises:
        PlanError: no reply to judge, no judge, two of one name, a setting out of range, or the offline stand-in
            would take the place of a model that has judged by this rubric.
        All that `run_trials` raises.
    """
    plan = plan_judging(run, rubric, model=model, repeats=repeats)
    asked = run_trials(plan, **asking)
    found = Judged(rubric=rubric, calls=asked.trials, prompt_sha256=prompt_sha256(rubric))
    before = next((each for each in run.judged if each.rubric.name == rubric.name), None)
    if before is not None:
        if found.is_stand_in and not before.is_stand_in:
            raise PlanError(
                f"{', '.join(before.judges)} judged by the rubric {rubric.name!r}, and the offline stand-in does not "
                "take that place; judge with a model, or give the rubric another name"
            )
        names = {criterion.name for criterion in rubric.criteria}
        found = replace(found, certificates=tuple(each for each in before.certificates if each.criterion in names))
    return replace(run, judged=(*(each for each in run.judged if each.rubric.name != rubric.name), found))


def plan_judging(
    run: Run, rubric: Rubric, *, model: str | Judge | Sequence[str | Judge] = "sonnet", repeats: int = 1
) -> Plan:
    """What `judge` asks of the same `model`, as a plan; `estimate_plan` says what it takes.

    Raises:
        PlanError: no reply to judge, no judge, or two of one name.
    """
    items = items_of(run, rubric)
    if not items:
        raise PlanError("no trial of the run was answered, so that there is no reply to judge")
    judges = named_judges([model] if isinstance(model, str | Judge) else model)
    agent = _agent_of(rubric)
    variants = {
        name: Variant(agent=agent, model=each.model, effort=each.effort, endpoint=each.endpoint)
        for name, each in judges.items()
    }
    plan = plan_trials(variants, items, repeats=repeats, max_tokens=MAX_TOKENS)
    # The form of the answer belongs to the rubric, and not to the agent that stands for the judge. `prompts_before` are
    # requests that an earlier version sent otherwise: of judgings there are none.
    schema = judging_schema(rubric)
    prompts = {name: replace(prompt, schema=schema) for name, prompt in plan.prompts.items()}
    return replace(plan, prompts=prompts, prompts_before={})


def items_of(run: Run, rubric: Rubric) -> tuple[Task, ...]:
    """What is to be judged, as tasks for a judge: each different reply to a task that has any text, once, in the order
    of the run."""
    tasks = {task.id: task for task in run.tasks}
    items: dict[str, Task] = {}
    for trial in run.trials:
        if trial.outcome != "answered" or trial.reply is None or (item := item_id(trial)) in items:
            continue
        if not trial.reply.text.strip():
            continue  # calls of tools alone: there is nothing to quote from, and silence is no bad reply
        items[item] = Task(id=item, input=judging_message(rubric, tasks[trial.task_id], trial.reply.text))
    return tuple(items.values())


def named_judges(judges: Sequence[str | Judge]) -> dict[str, Judge]:
    """The judges by their names.

    Raises:
        PlanError: there is none, or two of one name.
    """
    found: dict[str, Judge] = {}
    for each in judges:
        given = Judge(model=each) if isinstance(each, str) else each
        name = given.name or given.model
        if name in found:
            raise PlanError(f"two judges have the name {name!r}; give one of them another: Judge(name=...)")
        found[name] = given
    if not found:
        raise PlanError('there is no judge; name a model, such as model="sonnet"')
    return found


def _agent_of(rubric: Rubric) -> Agent:
    header = "---\nname: judge\ndescription: Grades replies by a rubric.\n---\n"
    return parse_agent(f"{header}{judging_prompt(rubric)}\n".encode())
