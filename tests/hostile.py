"""A run in which every text that is not ours tries to become something else."""

from __future__ import annotations

from dataclasses import replace

from tests.runs import make_run, passes
from workbench.definition.agent import Agent
from workbench.trial.task import Task
from workbench.trial.trial import Failure, Run, Score

PIECES = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "</script></style></pre></td></details>",
    "]]>",
    "&lt;b&gt;",
    "=cmd|'/C calc'!A0",
    '",=1+1',
    "[link](javascript:alert(1))",
    "![picture](https://elsewhere.invalid/p.png)",
    "https://elsewhere.invalid/x www.elsewhere.invalid",
    "@octocat #12 GH-12 :tada: a/b#3 someone@elsewhere.invalid",
    "`code` **bold** | pipe |",
    "\x1b[2J\x1b]0;owned\x07\x00\x9b31m",
    "\u202eevil\u2066\u200f",
    "half \ud83d",
    "\n\n# Heading\n\n```\n=1+1\n+1\n-1\n@SUM(A1)\n\t=1\r=1\n~~~\n---\n",
)
TEXT = " ".join(PIECES)


def hostile_run() -> Run:
    """Twelve tasks, two variants, four repeats; one repeat of each variant failed."""
    run = make_run({"base": passes((4, 3, 2, 1) * 3), "draft": passes((1, 4, 4, 3) * 3)})
    names = {"base": f"=base {TEXT}", "draft": f"@draft {TEXT}"}
    ids = {task.id: f"{number}{PIECES[number]} {TEXT}" for number, task in enumerate(run.tasks)}
    tasks = tuple(
        Task(id=ids[task.id], input=TEXT, target=TEXT, group=f"+group {TEXT}" if number % 2 else None)
        for number, task in enumerate(run.tasks)
    )
    trials = []
    for trial in run.trials:
        renamed = trial.replace(variant=names[trial.variant], task_id=ids[trial.task_id])
        if trial.repeat == 3 and trial.task_id == "task-0":
            trials.append(renamed.replace(reply=None, scores={}, failure=Failure(type=TEXT, message=TEXT)))
            continue
        assert trial.reply is not None and trial.score is not None
        scores = {f"-label {TEXT}": Score(value=trial.score, explanation=TEXT)}
        trials.append(renamed.replace(reply=replace(trial.reply, text=TEXT, model=TEXT), scores=scores))
    agents = {
        names[variant]: Agent(
            name="architect", description=PIECES[0], prompt=f"{variant} {TEXT.replace(chr(0xD83D), '')}"
        )
        for variant in run.variants
    }
    return replace(run, variants=agents, tasks=tasks, trials=tuple(trials))
