"""What a grader may give, and what becomes of the rest."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.messages_server import MessagesServer
from workbench.definition.agent import Agent
from workbench.errors import GraderError, UnknownGrader
from workbench.runs.estimate import estimate_plan
from workbench.runs.frozen import Asked, calls_of
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.runs.trying import Trying
from workbench.trial.graded import grade_trial, graders_by_task
from workbench.trial.regrade import regrade
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Endpoint, Reply, Request, Score, Trial

TASK = Task(id="one", input="Why?", graders=(GraderSpec(name="ours", promise="short"),))
TRIAL = Trial(
    variant="base",
    task_id="one",
    repeat=0,
    request=Request(model="m", system="", messages=(), max_tokens=1),
    endpoint=Endpoint(kind="server", base_url="http://127.0.0.1:9"),
    reply=Reply(text="Because.", stop_reason="end_turn"),
)


def graded(value: Any) -> Trial:
    return grade_trial(TRIAL, TASK, {"short": lambda _task, _reply: value})


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (0.25, 0.25),
        (1, 1),
        (True, 1.0),
        (False, 0.0),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.int64(1), 1.0),
        (np.bool_(True), 1.0),
        (np.array(0.5), 0.5),
        (Fraction(1, 2), 0.5),
        (Decimal("0.5"), 0.5),
        (Score(value=0.5, explanation="half"), 0.5),
        (Score(value=np.float32(0.5), explanation="half"), 0.5),
        (Score(value=None, explanation="nothing to say"), None),
    ],
)
def test_numbers_truth_values_and_scores_are_scores(given: Any, value: float | None) -> None:
    score = graded(given).scores["short"]

    assert score.value == value
    assert type(score.value) in (int, float, type(None))
    assert score.explanation == (given.explanation if isinstance(given, Score) else "")


class _Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("not to be printed")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (math.nan, "nan, of type float"),
        (math.inf, "inf, of type float"),
        (85, "85, of type int"),
        (-1, "-1, of type int"),
        (1.0000001, "1.0000001, of type float"),
        (np.float32("nan"), "of type float32"),
        (Decimal("NaN"), "of type Decimal"),
        ("good", "'good', of type str"),
        (None, "None, of type NoneType"),
        (1j, "1j, of type complex"),
        ([0.5], r"\[0.5\], of type list"),
        (np.array([0.5, 0.5]), "of type ndarray"),
        ("x" * 10_000, "gave something of type str"),
        pytest.param(10**5000, "something of type int", id="an int that cannot be printed"),
        (Fraction(10**400), "something of type Fraction"),
        (Decimal("sNaN"), "sNaN.*, of type Decimal"),
        (_Unspeakable(), "something of type _Unspeakable"),
        (Score(value=85, explanation="of 100"), "85, of type int"),
        (Score(value="good", explanation=""), "'good', of type str"),  # type: ignore[arg-type]
        (Score(value=0.5, explanation=None), "of type Score"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_score_is_refused_by_grader_task_and_value(given: Any, said: str) -> None:
    with pytest.raises(GraderError, match=f"the grader 'ours' of the promise 'short' .*{said}.* task 'one'"):
        graded(given)


def test_a_grader_that_raises_leaves_the_other_scores_and_says_why(agent: Agent, server: MessagesServer) -> None:
    def ours(task: Task, _reply: Reply) -> float:
        return 1 / 0 if task.id == "one" else 1.0

    specs = (*TASK.graders, GraderSpec(name="fixed", promise="fixed"))
    tasks = [Task(id=name, input=name, graders=specs) for name in ("one", "two")]
    run = run_trials(plan_trials({"base": agent}, tasks, graders={"ours": ours, "fixed": lambda _t, _r: 0.5}))
    one, two = run.trials

    assert one.scores["short"] == Score(value=None, explanation="the grader raised ZeroDivisionError: division by zero")
    assert (one.scores["fixed"].value, two.scores["short"].value) == (0.5, 1.0)


def test_a_refused_score_costs_no_reply(agent: Agent, server: MessagesServer) -> None:
    plan = plan_trials({"base": agent}, [TASK], graders={"ours": lambda _task, _reply: 85})
    with pytest.raises(GraderError, match="85"):
        run_trials(plan)

    mended = plan_trials({"base": agent}, [TASK], graders={"ours": lambda _task, _reply: 0.85})
    assert run_trials(mended).trials[0].score == 0.85
    assert len(server.bodies) == 1


def test_no_grader_runs_where_replies_come_in(agent: Agent, server: MessagesServer) -> None:
    threads = set()

    def ours(_task: Task, _reply: Reply) -> bool:
        threads.add(threading.current_thread().name)
        return True

    run_trials(plan_trials({"base": agent}, [TASK], graders={"ours": ours}))
    trying = Trying(lambda: {"base": agent}, graders={"ours": ours})
    trying.run(trying.choose(TASK))
    trying.wait()

    assert len(threads) == 2
    assert "workbench-loop" not in threads


def is_brief(_task: Task, reply: Reply, *, words: int = 3) -> bool:
    return len(reply.text.split()) <= words


def makes(words: int) -> Callable[[Task, Reply], bool]:
    return lambda task, reply: is_brief(task, reply, words=words)


@pytest.mark.parametrize(
    ("function", "options", "score"),
    [
        (is_brief, {}, 1.0),
        (is_brief, {"words": 0}, 0.0),
        (makes, {"words": 0}, 0.0),
        (lambda task, reply: reply.text == "Because.", {}, 1.0),
        (lambda **_: is_brief, {}, 1.0),
    ],
)
def test_a_plain_function_is_a_grader_beside_what_makes_one(function: Any, options: Any, score: float) -> None:
    task = Task(id="one", input="Why?", graders=(GraderSpec(name="ours", promise="short", options=options),))
    made = graders_by_task([task], {"ours": function})["one"]

    assert grade_trial(TRIAL, task, made).score == score


def test_a_plain_function_refuses_options_it_has_not() -> None:
    task = Task(id="one", input="Why?", graders=(GraderSpec(name="ours", promise="short", options={"word": 1}),))

    with pytest.raises(UnknownGrader, match="ours: got an unexpected keyword argument 'word'"):
        graders_by_task([task], {"ours": is_brief})


def test_a_plain_function_grades_in_estimate_regrade_and_freeze(agent: Agent, server: MessagesServer) -> None:
    tasks = [Task(id=name, input=name, graders=TASK.graders) for name in "abcdefghij"]
    plan = plan_trials({"base": agent}, tasks, repeats=2, graders={"ours": is_brief})
    run = run_trials(plan)
    power = estimate_plan(plan).power
    asked = Asked(
        variants={"base": agent},
        tasks=tuple(tasks),
        model=None,
        effort=None,
        repeats=1,
        graders={"ours": is_brief},
        endpoint=run.endpoint,
        ledger=None,
    )

    assert {trial.score for trial in run.trials} == {0.0}
    assert power is not None
    assert "the graded replies in the ledger do not differ" in power.variances.source
    assert {trial.score for trial in regrade(run, {"ours": _always}).trials} == {1.0}
    assert "'ours': tests.test_graded.is_brief" in calls_of(asked)


def _always(_task: Task, _reply: Reply) -> bool:
    return True
