"""A rubric's own replies put to its judge: whether it tells the good ones from the bad, before it judges others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

from workbench.definition.agent import parse_agent
from workbench.errors import PlanError
from workbench.judging.judge import Judge, judge
from workbench.model.endpoint import choose_endpoint
from workbench.runs.plan import make_request
from workbench.runs.settings import Asking
from workbench.trial.judged import item_id, judged_scores
from workbench.trial.rubric import Rubric
from workbench.trial.task import Task
from workbench.trial.trial import Judged, Reply, Run, Score, Trial

_NO_TASK = "(The task is not shown. Grade the reply by the criteria alone.)"


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a judge made of one of a rubric's own replies."""

    reply: str
    is_good: bool
    """By the word of whoever wrote the rubric: it meets every criterion. Else it fails at least one."""
    scores: dict[str, Score]
    """By criterion."""

    @property
    def is_told(self) -> bool | None:
        """Whether the judge says the same; `None` where it gave too few scores to say."""
        values = [score.value for score in self.scores.values()]
        if self.is_good:
            return None if None in values else all(value == 1 for value in values)
        if any(value is not None and value < 1 for value in values):
            return True
        return None if None in values else False


def check_judge(
    rubric: Rubric, *, model: str | Judge = "sonnet", repeats: int = 1, **asking: Unpack[Asking]
) -> tuple[tuple[Checked, ...], Judged]:
    """What the judge makes of the rubric's good and bad replies, in their order, and the calls that asked it.

    `model` is the judge: a model by its alias or id, or a `Judge`.

    Raises:
        PlanError: the rubric has no replies.
        All that `run_trials` raises.
    """
    run = replies_as_run(rubric)
    judged = judge(run, rubric, model=model, repeats=repeats, **asking).judged[-1]
    scores = judged_scores(judged, run.trials)
    found = tuple(
        Checked(reply=trial.reply.text, is_good=trial.variant == "good", scores=scores[item_id(trial)])
        for trial in run.trials
        if trial.reply is not None and item_id(trial) in scores
    )
    return found, judged


def replies_as_run(rubric: Rubric) -> Run:
    """The rubric's replies, as if variants "good" and "bad" had given them: what `plan_judging` makes a plan of.

    Raises:
        PlanError: the rubric has no replies.
    """
    given = [("good", text) for text in rubric.good] + [("bad", text) for text in rubric.bad]
    if not given:
        raise PlanError(f"the rubric {rubric.name!r} has no replies of its own; add good and bad ones under `replies:`")
    agent = parse_agent(b"")
    tasks = tuple(Task(id=f"{kind}-{number}", input=_NO_TASK) for number, (kind, _) in enumerate(given, start=1))
    endpoint = choose_endpoint(False)
    request = make_request(agent, _NO_TASK)
    trials = tuple(
        Trial(
            variant=kind,
            task_id=task.id,
            repeat=0,
            request=request,
            endpoint=endpoint,
            reply=Reply(text=text, stop_reason="end_turn"),
        )
        for task, (kind, text) in zip(tasks, given, strict=True)
    )
    return Run(variants={"good": agent, "bad": agent}, tasks=tasks, repeats=1, endpoint=endpoint, trials=trials)
