from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import workbench as wb
from tests.runs import make_run
from workbench.errors import PlanError, UnknownGrader
from workbench.key_forms import REMOVED
from workbench.trial.regrade import grade_again, regrade
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import GraderFactory, Run, Score

ASKS_FOR_REPLY = GraderSpec(name="mentions", promise="says it", options={"any": ["reply"], "anywhere": True})
ASKS_FOR_MORE = GraderSpec(name="mentions", promise="says more", options={"all": ["JWT"], "anywhere": True})


def recorded(*graders: GraderSpec) -> Run:
    """Two tasks of two repeats, the last of which failed."""
    run = make_run({"A": [[1.0, 1.0], [0.0, None]]})
    return replace(run, tasks=tuple(replace(task, graders=graders) for task in run.tasks))


def catalogue() -> dict[str, GraderFactory]:
    return wb.graders.standard()


def test_every_answered_trial_is_graded_again_by_its_task() -> None:
    graded = regrade(recorded(ASKS_FOR_REPLY), catalogue())

    assert [{promise: score.value for promise, score in trial.scores.items()} for trial in graded.trials] == [
        {"says it": 1.0},
        {"says it": 1.0},
        {"says it": 1.0},
        {},
    ]


def test_replies_and_failures_stay_as_they_are() -> None:
    run = recorded(ASKS_FOR_REPLY)
    graded = regrade(run, catalogue())

    assert [trial.replace(scores={}) for trial in graded.trials] == [trial.replace(scores={}) for trial in run.trials]
    assert [trial.key for trial in graded.trials] == [trial.key for trial in run.trials]
    assert (graded.variants, graded.repeats, graded.endpoint) == (run.variants, run.repeats, run.endpoint)


def test_grading_twice_the_same_gives_the_same() -> None:
    once = regrade(recorded(ASKS_FOR_REPLY), catalogue())

    assert regrade(once, catalogue()) == once


def test_tasks_with_other_graders_take_the_place_of_those_of_the_run() -> None:
    run = recorded(ASKS_FOR_REPLY)
    changed = replace(run.tasks[1], graders=(ASKS_FOR_MORE,), group="new")
    graded = regrade(run, catalogue(), tasks=[changed])

    assert graded.tasks == (run.tasks[0], changed)
    assert [list(trial.scores) for trial in graded.trials] == [["says it"], ["says it"], ["says more"], []]
    assert graded.trials[2].score == 0.0


def test_a_task_that_asks_something_else_is_refused() -> None:
    run = recorded(ASKS_FOR_REPLY)

    with pytest.raises(PlanError, match="'task-1' asks something else than it did"):
        regrade(run, catalogue(), tasks=[replace(run.tasks[1], input="Another question")])


def test_a_task_that_the_run_does_not_have_is_refused() -> None:
    with pytest.raises(PlanError, match="no task 'new' to grade anew; it has 'task-0', 'task-1'"):
        regrade(recorded(), catalogue(), tasks=[Task(id="new", input="?")])


def test_a_task_that_is_given_twice_is_refused() -> None:
    run = recorded()

    with pytest.raises(PlanError, match="two tasks have the id 'task-0'"):
        regrade(run, catalogue(), tasks=[run.tasks[0], run.tasks[0]])


def test_an_unknown_grader_is_refused() -> None:
    with pytest.raises(UnknownGrader, match="there is no grader 'mentions'"):
        regrade(recorded(ASKS_FOR_REPLY), {"other": catalogue()["mentions"]})


def test_a_record_is_graded_again_without_the_sdk(tmp_path: Path) -> None:
    wb.export_record(recorded(ASKS_FOR_REPLY), tmp_path / "record")
    code = f"""
import sys
import workbench as wb
run = wb.regrade(wb.load_run({str(tmp_path / "record")!r}), wb.graders.standard())
print([trial.score for trial in run.trials], "anthropic" in sys.modules)
"""

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[1.0, 1.0, 1.0, None] False"


def test_a_recorded_score_counts_for_nothing_where_the_reply_can_be_graded_again() -> None:
    run = regrade(recorded(ASKS_FOR_REPLY, ASKS_FOR_MORE), catalogue())
    raised = {"says it": run.trials[0].scores["says it"], "says more": Score(value=1.0, explanation="JWT")}
    edited = replace(run, trials=(run.trials[0].replace(scores=raised), *run.trials[1:]))

    again = grade_again(edited, catalogue())

    assert [trial.scores for trial in again.trials] == [trial.scores for trial in run.trials]
    [remark] = again.remarks
    assert remark.startswith("1 recorded score of the promise 'says more' is not what its grader gives here")
    assert grade_again(run, catalogue()) == run


def test_scores_whose_grader_is_not_here_stay_and_those_of_no_task_are_left_out() -> None:
    mine = GraderSpec(name="mine", promise="ours", where="tasks.yaml:4")
    run = recorded(ASKS_FOR_REPLY, mine)
    scores = {"ours": Score(value=0.5, explanation="ours"), "loose": Score(value=0.25, explanation="loose")}
    run = replace(run, trials=tuple(trial.replace(scores=scores) for trial in run.trials))

    again = grade_again(run, catalogue())

    first = {promise: score.value for promise, score in again.trials[0].scores.items()}
    assert first == {"ours": 0.5, "says it": 1.0}
    assert again.trials[-1].scores == {}, "a failed trial has no score"
    assert len(again.remarks) == 2
    assert "'ours' are as they were recorded, not graded again: tasks.yaml:4: graders: there is no" in again.remarks[0]
    assert "the recorded scores of the promise 'loose' are left out: no task names a grader" in again.remarks[1]


def without_a_secret(text: str, *, recorded_score: float) -> Run:
    """A run of which the first reply lost a secret."""
    run = recorded(ASKS_FOR_MORE)
    reply = run.trials[0].reply
    assert reply is not None
    cleaned = run.trials[0].replace(
        reply=replace(reply, text=text),
        scores={"says more": Score(value=recorded_score, explanation="JWT")},
        as_recorded=frozenset({"says more"}),
    )
    others = (trial.replace(scores={}) for trial in run.trials[1:])
    return replace(run, trials=(cleaned, *others), originals={"trials.jsonl": "0" * 64})


@pytest.mark.parametrize("mark", [REMOVED, "[MY_TOKEN]", "[db_password]"])
def test_a_reply_without_its_secrets_keeps_a_score_that_is_not_found_again_and_says_so(mark: str) -> None:
    again = grade_again(without_a_secret(f"a {mark}", recorded_score=1.0), catalogue())

    assert again.trials[0].score == 1.0
    assert again.trials[0].as_recorded == {"says more"}
    assert again.remarks == (
        "1 score of the promise 'says more' is as recorded, for secrets were taken out of the replies, and what is left "
        "of them gets another",
    )


def test_a_reply_without_its_secrets_whose_score_is_found_again_is_like_any_other() -> None:
    again = grade_again(without_a_secret(f"a JWT, {REMOVED}", recorded_score=1.0), catalogue())

    assert (again.trials[0].score, again.trials[0].as_recorded, again.remarks) == (1.0, frozenset(), ())


def test_grading_again_twice_is_grading_again_once() -> None:
    once = grade_again(without_a_secret(f"a {REMOVED}", recorded_score=1.0), catalogue())

    assert grade_again(once, catalogue()) == once
    assert grade_again(once, catalogue()).trials[0].as_recorded == {"says more"}
