"""What is measured of replies without a grader, and what a run without graders ends in."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

from tests.runs import LIVE, STAND_IN
from workbench.comparison.columns import trial_columns
from workbench.comparison.gate import gate
from workbench.comparison.measures import MEASURES, MeasureChange, code_share, measure_changes
from workbench.comparison.report.write import write_report
from workbench.comparison.review import review_runs
from workbench.comparison.tables import compare, compare_pairs
from workbench.definition.agent import Agent
from workbench.errors import ComparisonError
from workbench.grading.catalogue import standard
from workbench.runs.estimate import estimate_plan
from workbench.runs.plan import plan_trials
from workbench.statistics.power import MEASURES as MEASURES_PLANNED
from workbench.statistics.power import fewest_tasks
from workbench.trial.countable import headings_in, questions_in
from workbench.trial.paid import Paid
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Endpoint, Failure, Reply, Request, Run, Score, Trial, Usage

REPLY = """\
# Plan

Which database do you use?

```python
x = 1
```

Done
----
"""


def run_of(
    texts: dict[str, Sequence[Sequence[str | None]]],
    *,
    endpoint: Endpoint = LIVE,
    seconds: float = 2.0,
    same_prompt: bool = False,
    graders: Sequence[GraderSpec] = (),
) -> Run:
    """A run in which nothing is graded, with these replies of each variant, tasks by repeats; `None`: it failed."""
    rows = next(iter(texts.values()))
    tasks = tuple(Task(id=f"task-{row}", input=f"Question {row}", graders=tuple(graders)) for row in range(len(rows)))
    trials = []
    for row, task in enumerate(tasks):
        for name, replies in texts.items():
            for repeat, text in enumerate(replies[row]):
                request = Request(
                    model="claude-haiku-4-5",
                    system="The same." if same_prompt else f"You are {name}.",
                    messages=({"role": "user", "content": task.message},),
                    max_tokens=100,
                )
                trial = Trial(variant=name, task_id=task.id, repeat=repeat, request=request, endpoint=endpoint)
                if text is None:
                    trials.append(trial.replace(failure=Failure(type="overloaded_error", message="Overloaded")))
                    continue
                reply = Reply(
                    text=text,
                    stop_reason="end_turn",
                    usage=Usage(input_tokens=10, output_tokens=2 * len(text.split())),
                    seconds=seconds,
                )
                trials.append(trial.replace(reply=reply))
    return Run(
        variants={name: Agent(name="a", description="b", prompt=name) for name in texts},
        tasks=tasks,
        repeats=len(rows[0]),
        endpoint=endpoint,
        trials=tuple(trials),
    )


def words(*counts: int) -> list[list[str | None]]:
    return [["word " * count] for count in counts]


BEFORE = (100, 200, 400, 300, 120, 80, 250, 90, 500, 150, 220, 310)
AFTER = (80, 170, 300, 260, 90, 70, 190, 80, 380, 130, 160, 250)


def measured(run: Run, name: str) -> MeasureChange:
    [found] = [each for each in measure_changes(trial_columns(run), baseline="A") if each.measure == name]
    return found


class TestAReply:
    def test_has_the_figures_that_a_reader_would_count(self) -> None:
        columns = trial_columns(run_of({"A": [[REPLY]], "B": [["Yes."]]}))
        found = {measure.name: measure.value(columns)[0] for measure in MEASURES}

        assert found["words"] == len(REPLY.split()) == 14
        assert found["characters"] == len(REPLY)
        assert (found["questions"], found["headings"]) == (1, 2)
        assert found["code"] == pytest.approx(3 / len("".join(REPLY.split())))
        assert (found["output_tokens"], found["seconds"]) == (28, 2.0)
        assert math.isnan(found["paid_usd"])

    @pytest.mark.parametrize(
        ("text", "questions", "headings", "has_code"),
        [
            ("", 0, 0, False),
            ("No question. No heading.", 0, 0, False),
            ("```\n# a comment\nwhy?\n```", 0, 0, True),
            ("- item\n---\nText", 0, 0, False),
            ("| a | b |\n|---|---|\n", 0, 0, False),
            ("Which do you want? And what is your budget?", 2, 0, False),
            ("Title\n=====\n\n## Second\n", 0, 2, False),
            ("Title\n=====\nText.", 0, 1, False),
            ("Title\n  ---  \nText.", 0, 1, False),
            ("a = b -- c == d", 0, 0, False),
            ("~~~\ncode that never ends", 0, 0, True),
        ],
    )
    def test_is_counted_outside_code(self, text: str, questions: int, headings: int, has_code: bool) -> None:
        assert (len(questions_in(text)), len(headings_in(text)), code_share(text) > 0) == (
            questions,
            headings,
            has_code,
        )


class TestAMeasure:
    def test_of_amounts_is_compared_in_percent_as_scipy_does(self) -> None:
        found = measured(run_of({"A": words(*BEFORE), "B": words(*AFTER)}), "words")
        logs = np.log(AFTER) - np.log(BEFORE)
        low, high = stats.ttest_1samp(logs, 0).confidence_interval()

        assert found.effect == pytest.approx(math.exp(logs.mean()) - 1)
        assert found.interval is not None
        assert (found.interval.low, found.interval.high) == pytest.approx((math.exp(low) - 1, math.exp(high) - 1))
        assert (found.before, found.after) == pytest.approx((stats.gmean(BEFORE), stats.gmean(AFTER)))
        assert found.after / found.before - 1 == pytest.approx(found.effect)  # type: ignore[operator]
        assert found.text == "19 % fewer words, 95 % CI [-23, -16]"
        assert found.kind == "differs"

    def test_is_corrected_for_those_that_differ_at_all(self) -> None:
        changes = measure_changes(trial_columns(run_of({"A": words(*BEFORE), "B": words(*AFTER)})), baseline="A")

        # Words, characters and tokens differ; questions, code, headings and seconds are the same on every task.
        assert {change.comparisons for change in changes if change.kind != "not compared"} == {3}
        assert [change.measure for change in changes] == [measure.name for measure in MEASURES]
        assert changes[0].sign_flip_p == pytest.approx(3 * 2 / 2**12)

    def test_that_is_0_in_a_reply_is_compared_by_its_difference(self) -> None:
        found = measured(run_of({"A": words(0, 4, 6), "B": words(3, 5, 9)}), "output_tokens")

        # No whole reply is empty, so it takes tokens to be 0 in one.
        assert found.unit == "percent" and found.tasks == 2

        run = run_of({"A": words(2, 4, 6), "B": words(3, 5, 9)})
        first = run.trials[0]
        assert first.reply is not None
        silent = first.replace(reply=Reply(text="!", stop_reason="end_turn", usage=Usage(output_tokens=0)))
        by_difference = measured(Run(**{**vars(run), "trials": (silent, *run.trials[1:])}), "output_tokens")
        assert by_difference.unit == "difference"
        assert by_difference.effect == pytest.approx((6 + 2 + 6) / 3)

    def test_that_one_test_alone_shows_may_differ(self) -> None:
        # Six tasks: 2 / 2^6 = 0.031 alone, and three times that corrected for words, characters and tokens.
        found = measured(run_of({"A": words(*BEFORE[:6]), "B": words(*AFTER[:6])}), "words")

        assert (found.kind, found.sign_flip_p) == ("may differ", 3 * 2 / 2**6)
        assert found.interval is not None and found.interval.excludes_zero

    def test_that_a_server_does_not_say_is_named(self) -> None:
        run = run_of({"A": words(*BEFORE), "B": words(*AFTER)})
        silent = tuple(
            trial.replace(reply=Reply(text=trial.reply.text, stop_reason="end_turn")) if trial.variant == "B" else trial
            for trial in run.trials
            if trial.reply is not None
        )
        found = measured(Run(**{**vars(run), "trials": silent}), "output_tokens")

        assert (found.kind, found.effect) == ("not compared", None)
        assert found.text == "not known of 0 and 12 of 12 attempts each: more than 5 % are missing"

    def test_of_time_is_none_of_the_stand_in(self) -> None:
        """Its clock is that of this machine: "15 % less time" would be told of noise."""
        for endpoint, has_it in ((LIVE, True), (STAND_IN, False)):
            run = run_of({"A": words(1, 2), "B": words(2, 3)}, endpoint=endpoint)
            found = compare(run, baseline="A")
            assert ("seconds" in {change.measure for change in found.measures}) == has_it

    def test_of_money_counts_every_attempt_and_none_of_the_stand_in(self) -> None:
        run = run_of({"A": words(*BEFORE), "B": words(*AFTER)})
        paid = tuple(
            trial.replace(paid=Paid(attempts=2, priced=Decimal(2 if trial.variant == "A" else 1)))
            for trial in run.trials
        )
        found = measured(Run(**{**vars(run), "trials": paid}), "paid_usd")
        made_up = compare(run_of({"A": words(1, 2), "B": words(2, 3)}, endpoint=STAND_IN), baseline="A")

        assert found.effect == pytest.approx(-0.5)
        assert found.text == "50 % less paid on every task"
        assert "paid_usd" not in {change.measure for change in made_up.measures}

    def test_of_two_that_send_the_same_is_never_shown_to_differ(self) -> None:
        run = run_of({"A": words(*BEFORE), "B": words(*AFTER)}, same_prompt=True)

        assert {change.kind for change in compare(run, baseline="A").measures} <= {
            "no difference shown",
            "not compared",
        }
        assert "the same requests" in compare(run, baseline="A").verdicts[0].headline

    def test_is_declared_in_one_line_and_found_everywhere(self, tmp_path: Path) -> None:
        comparison = compare(run_of({"A": words(*BEFORE), "B": words(*AFTER)}), baseline="A")
        write_report(comparison, tmp_path, formats=["html", "md", "csv", "json"])
        shown = comparison._repr_mimebundle_()

        for form in (
            *shown.values(),
            *((tmp_path / name).read_text() for name in ("report.html", "summary.md", "measures.csv")),
            str(review_runs(comparison.run, comparison.run, variants=("A", "B"))),
        ):
            assert all(measure.heading in form for measure in MEASURES)
        written = json.loads((tmp_path / "comparison.json").read_text())
        assert [each["measure"] for each in written["measures"]] == [measure.name for measure in MEASURES]
        assert comparison.by_measure["low"][0] == pytest.approx(written["measures"][0]["interval"]["low"])


class TestARunWithoutGraders:
    def test_ends_in_measures_and_in_no_claim_of_better(self) -> None:
        [verdict] = compare(run_of({"A": words(*BEFORE), "B": words(*AFTER)}), baseline="A").verdicts

        assert verdict.kind == "not graded"
        assert verdict.headline == (
            '"B" against "A", ungraded: 3 of 7 measures differ; 19 % fewer words, 95 % CI [-23, -16].'
        )
        assert "neither is called better: name graders" in verdict.text
        assert "corrected for 3 by Holm" in verdict.text

    def test_of_which_nothing_differs_says_so(self) -> None:
        [verdict] = compare(run_of({"A": words(5, 6, 7), "B": words(6, 5, 7)}), baseline="A").verdicts

        assert verdict.headline == '"B" against "A", ungraded: 0 of 7 measures shown to differ.'

    def test_of_which_nothing_came_back_says_so(self) -> None:
        lost = run_of({"A": [[None]] * 3, "B": [[None]] * 3})

        assert compare(lost, baseline="A").verdicts[0].kind == "no verdict"

    def test_cannot_pass_the_gate(self) -> None:
        found = gate(run_of({"A": words(*BEFORE), "B": words(*AFTER)}), "A")

        assert found.decision == "not enough data"
        assert "No task names a grader" in found.text

    def test_is_skipped_in_junit_and_no_error(self, tmp_path: Path) -> None:
        write_report(run_of({"A": words(1, 2), "B": words(2, 3)}), tmp_path, formats=["junit"])
        suites = ElementTree.parse(tmp_path / "junit.xml").getroot()

        assert [(suite.get("errors"), suite.get("skipped")) for suite in suites] == [("0", "2")]

    def test_with_a_few_graded_tasks_is_judged_by_those_alone(self) -> None:
        run = run_of({"A": words(*BEFORE), "B": words(*AFTER)})
        graded = tuple(
            trial.replace(scores={"p": Score(value=0.0 if trial.variant == "A" else 1.0, explanation="")})
            if int(trial.task_id.partition("-")[2]) < 8
            else trial
            for trial in run.trials
        )
        [verdict] = compare(Run(**{**vars(run), "trials": graded}), baseline="A").verdicts

        assert (verdict.kind, verdict.tasks, verdict.missing, verdict.ungraded_tasks) == ("better", 8, 0, 4)
        assert "4 tasks without a grader left out" in verdict.text


class TestAPlan:
    def plan(self, *graders: GraderSpec, tasks: int = 3):  # type: ignore[no-untyped-def]
        agent = Agent(name="a", description="b", prompt="c")
        return plan_trials(
            {"A": agent, "B": agent.replace(prompt="d")},
            [Task(id=f"t{row}", input="x", graders=graders if row else ()) for row in range(tasks)],
            graders=standard(),
        )

    def test_without_graders_says_before_it_runs_what_it_can_say(self) -> None:
        estimate = estimate_plan(self.plan(), live=False)
        rows = dict(estimate.rows())

        assert rows["it will say"].startswith("how replies differ in length, form, time and cost")
        assert rows["it will not say"].startswith("which is better")
        assert "no graders: it will say how replies differ" in estimate.brief

    def test_with_graders_says_how_many_promises_and_which_tasks_have_none(self) -> None:
        spec = GraderSpec(name="has_code", promise="Shows code")
        rows = dict(estimate_plan(self.plan(spec), live=False).rows())

        assert "promise by promise (1)" in rows["it will say"]
        assert rows["without a grader"].startswith("1 of 3 tasks")
        assert "it will not say" not in rows

    @pytest.mark.parametrize(
        ("tasks", "also"), [(1, ""), (2, "; and how replies differ in length, form, time and cost")]
    )
    def test_of_one_graded_task_promises_no_verdict(self, tasks: int, also: str) -> None:
        spec = GraderSpec(name="has_code", promise="Shows code")
        agent, graders = Agent(name="a", description="b", prompt="c"), (spec,)
        asked = [Task(id=f"t{row}", input="x", graders=() if row else graders) for row in range(tasks)]
        plan = plan_trials({"A": agent, "B": agent.replace(prompt="d")}, asked, graders=standard())
        rows = dict(estimate_plan(plan, live=False).rows())

        assert rows["it will say"] == (
            f"what each reply scores, and not which is better: that takes at least 2 tasks{also}"
        )

    def test_of_one_task_says_that_it_compares_nothing(self) -> None:
        rows = dict(estimate_plan(self.plan(tasks=1), live=False).rows())

        assert rows["it will say"] == "nothing: a comparison takes at least 2 tasks"


def test_the_measures_that_a_plan_counts_are_those_that_there_are() -> None:
    assert len(MEASURES) == MEASURES_PLANNED
    # Eight measures: 2 / 2^8 = 0.0078 is above 0.05 / 8 = 0.00625, and 2 / 2^9 below.
    assert (fewest_tasks(1), fewest_tasks(MEASURES_PLANNED), fewest_tasks(25)) == (6, 9, 10)


def test_old_and_new_under_each_model_are_compared_apart_and_corrected_together() -> None:
    run = run_of({"A": words(*BEFORE), "B": words(*AFTER), "C": words(*BEFORE), "D": words(*AFTER)})
    first, second = compare_pairs(run, [("A", "B"), ("C", "D")])

    assert (list(first.run.variants), list(second.run.variants)) == (["A", "B"], ["C", "D"])
    assert first.measures[0].comparisons == 2 * 3
    assert first.measures[0].sign_flip_p == pytest.approx(2 * 3 * 2 / 2**12)
    with pytest.raises(ComparisonError, match="no variant 'E'"):
        compare_pairs(run, [("A", "E")])
    with pytest.raises(ComparisonError, match="no pair"):
        compare_pairs(run, [])
