"""What a run will ask, before anything is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.errors import PlanError, UnknownGrader
from workbench.trial.catalogue import resolve_model
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Grader, GraderFactory, Place, Request, Trial

MAX_TOKENS = 8000
EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every variant on every task, `repeats` times."""

    variants: Mapping[str, Agent]
    tasks: tuple[Task, ...]
    repeats: int
    requests: Mapping[tuple[str, str], Request]
    """By (variant, task id)."""
    graders: Mapping[str, Mapping[str, Grader]]
    """By task id, then by label."""

    def trials(self, place: Place) -> tuple[Trial, ...]:
        """The planned trials, unanswered: task by task, variant by variant, repeat by repeat."""
        trials = []
        for task in self.tasks:
            asked: Counter[str] = Counter()
            for variant in self.variants:
                request = self.requests[variant, task.id]
                same = request.key(place=place, draw=0)
                trials += [
                    Trial(
                        variant=variant,
                        task_id=task.id,
                        repeat=repeat,
                        request=request,
                        place=place,
                        twin=asked[same],
                    )
                    for repeat in range(self.repeats)
                ]
                asked[same] += 1
        return tuple(trials)


def plan_trials(
    variants: Mapping[str, Agent],
    tasks: Iterable[Task],
    *,
    repeats: int = 1,
    graders: Mapping[str, GraderFactory] | None = None,
    model: str | None = None,
    effort: str | None = None,
    max_tokens: int = MAX_TOKENS,
) -> Plan:
    """Every variant on every task, `repeats` times. Nothing is asked and nothing is read.

    `graders` is the catalogue in which the graders that tasks name are looked up; `model` and `effort` override
    what the agents say; `max_tokens` bounds a reply, thinking included.

    Raises:
        PlanError: nothing to run, or a setting out of range.
        UnknownGrader: a task names a grader that is not in the catalogue, or options that it does not take.
    """
    tasks = tuple(tasks)
    if not variants:
        raise PlanError('there is no variant; pass at least one agent, such as {"base": agent}')
    if not tasks:
        raise PlanError("there is no task; load_tasks reads them from a file")
    twice = [task_id for task_id, count in Counter(task.id for task in tasks).items() if count > 1]
    if twice:
        raise PlanError(f"two tasks have the id {twice[0]!r}; ids must differ")
    for name, value in (("repeats", repeats), ("max_tokens", max_tokens)):
        if value < 1:
            raise PlanError(f"{name} is {value}; it must be 1 or more")
    return Plan(
        variants=dict(variants),
        tasks=tasks,
        repeats=repeats,
        requests={
            (name, task.id): make_request(agent, task.message, model=model, effort=effort, max_tokens=max_tokens)
            for name, agent in variants.items()
            for task in tasks
        },
        graders={task.id: make_graders(task, graders or {}) for task in tasks},
    )


def make_request(
    agent: Agent,
    message: str,
    *,
    model: str | None = None,
    effort: str | None = None,
    max_tokens: int = MAX_TOKENS,
) -> Request:
    """The request that puts this message to this agent: its prompt as `system`, its model and effort unless
    overridden.

    Raises:
        PlanError: the effort is not one of `EFFORTS`.
    """
    if effort is not None and effort not in EFFORTS:
        raise PlanError(f"effort is {effort!r}; it is one of {', '.join(EFFORTS)}")
    of_agent = agent.effort if isinstance(agent.effort, str) and agent.effort in EFFORTS else None
    return Request(
        model=resolve_model(model or agent.model),
        system=read_as_claude_code(agent).prompt,
        messages=({"role": "user", "content": message},),
        max_tokens=max_tokens,
        effort=effort or of_agent,
    )


def make_graders(task: Task, catalogue: Mapping[str, GraderFactory]) -> dict[str, Grader]:
    """The graders that a task names, by label.

    Raises:
        UnknownGrader: the catalogue has none of that name, or it does not take these options.
    """
    return {spec.label: _make_grader(spec, catalogue) for spec in task.graders}


def _make_grader(spec: GraderSpec, catalogue: Mapping[str, GraderFactory]) -> Grader:
    factory = catalogue.get(spec.name)
    if factory is None:
        known = (
            f"there are {', '.join(sorted(catalogue))}" if catalogue else "pass graders=workbench.graders.standard()"
        )
        raise UnknownGrader(f"{spec.where}: graders: there is no grader {spec.name!r}; {known}")
    try:
        return factory(**spec.options)
    except (TypeError, ValueError) as error:
        raise UnknownGrader(f"{spec.where}: graders: {spec.name}: {error}") from error
