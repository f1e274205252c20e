"""Runs made of given scores, for the tests of comparing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from workbench.definition.agent import Agent
from workbench.grading.catalogue import standard
from workbench.trial.regrade import regrade
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Endpoint, Failure, Reply, Request, Run, Score, Trial, Usage

LIVE = Endpoint(kind="live", base_url="https://api.anthropic.com")
STAND_IN = Endpoint(kind="offline", base_url="offline")

# 12 tasks in four groups, passes out of 4 repeats.
PASSES_A = (4, 3, 2, 1, 0, 2, 4, 4, 3, 0, 1, 1)
PASSES_B = (4, 4, 3, 2, 1, 2, 4, 3, 4, 2, 1, 3)
GROUPS = tuple(f"group {index // 3}" for index in range(12))


def passes(counts: Sequence[int], repeats: int = 4) -> list[list[float | None]]:
    return [[1.0 if repeat < count else 0.0 for repeat in range(repeats)] for count in counts]


def gradable(run: Run, *, promise: str = "grade") -> Run:
    """A run of passes and failures whose scores anybody finds again: the replies say "yes" or "no"."""
    says_yes = (
        GraderSpec(name="mentions", promise=promise, options={"any": ["yes"], "anywhere": True}, where="t.yaml:1"),
    )
    trials = tuple(
        trial
        if trial.reply is None
        else trial.replace(reply=replace(trial.reply, text="yes" if trial.score else "no"), scores={})
        for trial in run.trials
    )
    return regrade(
        replace(run, tasks=tuple(replace(task, graders=says_yes) for task in run.tasks), trials=trials), standard()
    )


def make_run(
    scores: Mapping[str, Sequence[Sequence[float | None]]],
    *,
    groups: Sequence[str | None] | None = None,
    endpoint: Endpoint = LIVE,
    same_prompt: bool = False,
    text: str = "A reply.",
    model: str = "claude-haiku-4-5-20251001",
) -> Run:
    """A run with these scores of each variant, tasks by repeats; `None` is a trial that failed."""
    count = len(next(iter(scores.values())))
    repeats = len(next(iter(scores.values()))[0])
    tasks = tuple(
        Task(id=f"task-{index}", input=f"Question {index}", group=None if groups is None else groups[index])
        for index in range(count)
    )
    prompts = {name: "The same." if same_prompt else f"You are {name}." for name in scores}
    trials = tuple(
        _trial(name, task, repeat, scores[name][row][repeat], prompts[name], endpoint, text, model)
        for row, task in enumerate(tasks)
        for name in scores
        for repeat in range(repeats)
    )
    variants = {
        name: Agent(name="architect", description="Designs.", prompt=prompt) for name, prompt in prompts.items()
    }
    return Run(variants=variants, tasks=tasks, repeats=repeats, endpoint=endpoint, trials=trials)


def _trial(
    name: str, task: Task, repeat: int, score: float | None, prompt: str, endpoint: Endpoint, text: str, model: str
) -> Trial:
    request = Request(
        model=model,
        system=prompt,
        messages=({"role": "user", "content": task.message},),
        max_tokens=100,
    )
    asked = Trial(variant=name, task_id=task.id, repeat=repeat, request=request, endpoint=endpoint)
    if score is None:
        return asked.replace(failure=Failure(type="overloaded_error", message="Overloaded", status=529))
    reply = Reply(
        text=text,
        stop_reason="end_turn",
        model=model,
        usage=Usage(input_tokens=1000, output_tokens=200, cache_read_input_tokens=500),
        seconds=2.0,
        seconds_to_first_token=0.5,
    )
    return asked.replace(reply=reply, scores={"grade": Score(value=score, explanation=f"found in {text}")})
