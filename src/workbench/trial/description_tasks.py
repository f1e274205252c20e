"""What an agent is tried on when nobody names a task file: the one of its own, else its description's examples."""

from __future__ import annotations

from workbench.definition.agent import Agent
from workbench.definition.description import read_examples
from workbench.trial.task import Task, load_tasks
from workbench.trial.task_files import task_file_of


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


def load_tasks_for(agent: Agent) -> tuple[Task, ...]:
    """The tasks of the agent's file of tasks: `reviewer.tasks.yaml` beside `reviewer.md`, or in `.workbench/tasks`
    (see `task_file_of`); where there is none, the examples of its description; empty where there is neither.

    Raises:
        TaskFileError: its file of tasks is wrong.
    """
    file = None if agent.path is None else task_file_of(agent.path)
    return tasks_of_description(agent) if file is None else load_tasks(file)
