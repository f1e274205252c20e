"""The examples of a description as tasks: what the author says the agent is for, put to it."""

from __future__ import annotations

from workbench.definition.agent import Agent
from workbench.definition.description import read_examples
from workbench.trial.task import Task


def tasks_of_description(agent: Agent) -> tuple[Task, ...]:
    """One task for each `<example>` of the description that has a user's turn, in their order.

    The example's context is the task's context. There is no target: an example says who is to answer, not what.
    """
    examples = [example for example in read_examples(agent.description or "") if example.user.strip()]
    return tuple(
        Task(
            id=f"description-{number}",
            input=example.user.strip(),
            context=example.context.strip() or None,
            group="description",
        )
        for number, example in enumerate(examples, start=1)
    )
