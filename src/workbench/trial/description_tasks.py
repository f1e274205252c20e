"""What an agent is tried on when nobody names a task file: the one of its own, else what its description tells.

An `<example>` has a narrator (`Context:`), a user and the main model. What the main model hands to a subagent is a
request; the narrator speaks to whoever reads the description, and is not what anybody says. So the agent is asked what
the user says. Where only the main model speaks ("I'll use the checker to find broken links"), it is asked what that
model wants of it ("Find broken links"). What the narrator tells is kept beside the task, for its author to put into
words.
"""

from __future__ import annotations

import re

from workbench.definition.agent import Agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.description import Example, read_examples, with_examples
from workbench.trial.defaults import FEWEST_TASKS
from workbench.trial.draft_tasks import drafts_of, sentences
from workbench.trial.proposed import ProposedTask
from workbench.trial.task import Task, load_tasks
from workbench.trial.task_files import task_file_of

OF_EXAMPLE, OF_PROSE = "description", "draft"
"""The groups of tasks that are made of a description: of its examples, and drafts of what else it says."""
_HANDING_OVER = re.compile(
    r"\b(?:use|using|launch|invoke|call|engage|run|start|dispatch|delegate|hand|have|ask|let)\b.{0,120}?\bto\s+"
    r"(?=(?P<verb>[a-z]{2,}))",
    re.IGNORECASE,
)
_DOING_IT = re.compile(r"\b(?:I'll|I’ll|I will|let me|let's|I'm going to)\s+(?=(?P<verb>[a-z]{2,}))", re.IGNORECASE)
_OF_HANDING = {
    "use",
    "launch",
    "invoke",
    "call",
    "engage",
    "run",
    "start",
    "dispatch",
    "delegate",
    "hand",
    "have",
    "ask",
}
_BARE_TURN = re.compile(
    r"^[ \t>*-]*(?P<who>user|human|assistant)(?:\*\*)?\s*:(?:\*\*)?\s*", re.IGNORECASE | re.MULTILINE
)
_LEFT_HEADING = re.compile(r"(?<=[.!?\n])[ \t]*[^.!?:\n]{1,60}:[\s*-]*\Z")
"""What led to examples that were taken out: "Examples:" or "**Examples:**", and the marks of a list below it."""
_QUOTES = {'"': '"', "'": "'", "“": "”"}


def propose_from_description(agent: Agent) -> tuple[ProposedTask, ...]:
    """A task for each example of the description; where these are fewer than `FEWEST_TASKS`, drafts made of what it
    says in prose behind them, up to that many in all; none for a description that is blank. No task has a target: a
    description says who is to answer, not what."""
    description = read_as_claude_code(agent).description or agent.description or ""
    found = [_of_example(example) for example in read_examples(description)] or _of_bare_turns(description)
    proposed = [one for one in found if one is not None]
    asked = tuple(one.with_id(f"description-{number}") for number, one in enumerate(proposed, start=1))
    wanted = FEWEST_TASKS - len(asked)
    if wanted <= 0:
        return asked
    prose = with_examples(description, ())
    start = _BARE_TURN.search(prose)
    prose = _LEFT_HEADING.sub("", prose if start is None else prose[: start.start()])
    return asked + tuple(
        ProposedTask(
            task=Task(id=f"draft-{number}", input=draft, group=OF_PROSE),
            remark="draft, made of words of the description: edit it",
            is_draft=True,
        )
        for number, draft in enumerate(drafts_of(prose)[:wanted], start=1)
    )


def tasks_of_description(agent: Agent) -> tuple[Task, ...]:
    """The tasks of `propose_from_description`: those of examples have the group "description", drafts made of prose
    the group "draft"."""
    return tuple(proposed.task for proposed in propose_from_description(agent))


def load_tasks_for(agent: Agent) -> tuple[Task, ...]:
    """The tasks of the agent's file of tasks: `reviewer.tasks.yaml` beside `reviewer.md`, or in `.workbench/tasks`
    (see `task_file_of`); where there is none, those of its description (see `tasks_of_description`), where
    few examples are followed by drafts of the group "draft"; empty where it says nothing.

    Raises:
        TaskFileError: its file of tasks is wrong.
    """
    file = None if agent.path is None else task_file_of(agent.path)
    return tasks_of_description(agent) if file is None else load_tasks(file)


def _of_example(example: Example) -> ProposedTask | None:
    asked = example.user.strip()
    remarks = [f"the situation: {example.context.strip()}"] if example.context.strip() else []
    if not asked:
        asked = _handed_over(example.assistant)
        remarks.append("nobody asks in this example: these are the words in which the main model hands the work over")
    if not asked:
        return None
    return ProposedTask(task=Task(id="", input=asked, group=OF_EXAMPLE), remark="; ".join(remarks), is_draft=False)


def _handed_over(assistant: str) -> str:
    """What the main model wants done, as a request: "Find broken links." of "I'll use the checker to find broken
    links."; empty where it says no such thing."""
    for sentence in sentences(assistant.partition("<")[0]):
        for pattern in (_HANDING_OVER, _DOING_IT):
            found = pattern.search(sentence)
            while found is not None and found["verb"].lower() in _OF_HANDING:
                found = pattern.search(sentence, found.end())
            if found is not None:
                wanted = sentence[found.end() :].strip(" \"'”")
                return f"{wanted[0].upper()}{wanted[1:]}" if " " in wanted else ""
    return ""


def _of_bare_turns(description: str) -> list[ProposedTask | None]:
    """The users' turns of a description whose examples stand in no tags: lines that begin with `user:`."""
    turns = list(_BARE_TURN.finditer(description))
    found: list[ProposedTask | None] = []
    for turn in turns:
        line = description[turn.end() :].split("\n", 1)[0].strip()
        closing = _QUOTES.get(line[:1])
        if turn["who"].lower() == "assistant" or not line:
            continue
        if closing is not None and closing in line[1:]:
            line = line[1 : line.rindex(closing)]
        found.append(ProposedTask(task=Task(id="", input=line, group=OF_EXAMPLE), remark="", is_draft=False))
    return found
