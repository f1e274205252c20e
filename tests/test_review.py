from __future__ import annotations

from dataclasses import replace

import pytest
from bs4 import BeautifulSoup

from tests.runs import GROUPS, PASSES_A, PASSES_B, STAND_IN, make_run, passes
from workbench.comparison.review import review_runs
from workbench.errors import ComparisonError
from workbench.trial.trial import Run


def answered(run: Run, **changes: object) -> Run:
    """The run with these fields of every reply changed."""
    trials = [trial.replace(reply=replace(trial.reply, **changes)) for trial in run.trials if trial.reply is not None]  # type: ignore[arg-type]
    return replace(run, trials=tuple(trials))


@pytest.fixture
def before() -> Run:
    return make_run({"draft": passes(PASSES_A)}, groups=GROUPS)


@pytest.fixture
def after(before: Run) -> Run:
    later = make_run({"draft": passes(PASSES_B)}, groups=GROUPS)
    agent = later.variants["draft"].replace(prompt="You are draft.\nBe terse.\n")
    trials = tuple(
        trial.replace(request=replace(trial.request, system="You are draft.\nBe terse.\n")) for trial in later.trials
    )
    return answered(replace(later, variants={"draft": agent}, trials=trials), seconds=3.0)


def test_review_says_change_flips_persona_cost_and_latency(before: Run, after: Run) -> None:
    (found,) = review_runs(before, after).variants

    assert found.verdict is not None and found.verdict.kind == "promising, not established"
    assert found.verdict.effect == pytest.approx(1 / 6)
    assert found.comparison is not None
    assert [(change.task_id, change.flip) for change in found.comparison.flipped.flipped] == [("task-11", "now passes")]
    assert [line.text for line in found.persona if line.kind == "added"][-1] == "Be terse."
    assert found.usd is not None and found.usd.before == pytest.approx(0.00205)
    assert found.seconds is not None and (found.seconds.before, found.seconds.after) == (2.0, 3.0)
    assert found.notes == ()


def test_every_form_begins_with_the_sentence(before: Run, after: Run) -> None:
    review = review_runs(before, after, names=("old", "new"))
    sentence = '"after" against "before": promising, not established. +16.7 points'

    assert str(review).startswith(f"draft: old (before) and new (after)\n\n{sentence}")
    assert review.markdown().startswith(f"### draft: old (before) and new (after)\n\n{sentence}")
    page = BeautifulSoup(review.html(), "html.parser")
    assert page.select_one(".verdict").get_text().startswith(f"Promising, not established {sentence}")
    assert "+ Be terse." in page.get_text()
    bundle = review._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/markdown", "text/plain"}


def test_every_form_says_where_the_numbers_of_both_runs_come_from(before: Run, after: Run) -> None:
    review = review_runs(before, after)

    for form in (str(review), review.html()):
        for run in (before, after):
            assert f"sha256 {run.variants['draft'].digest}" in form
        assert form.count("genai-prices") == 2
    for of, run in (("Before", before), ("After", after)):
        assert f"<sub>{of}: Agents draft `{run.variants['draft'].digest[:12]}`" in review.markdown()


def test_interval_of_latency_is_paired_by_task(before: Run) -> None:
    def pace(run: Run, base: float, step: float) -> Run:
        numbers = {task.id: number for number, task in enumerate(run.tasks)}
        trials = [
            trial.replace(reply=replace(trial.reply, seconds=base + step * (numbers[trial.task_id] % 2)))
            for trial in run.trials
            if trial.reply is not None
        ]
        return replace(run, trials=tuple(trials))

    (found,) = review_runs(pace(before, 1.0, 0.0), pace(before, 2.0, 1.0)).variants

    # Differences 1, 2, 1, 2, ...: mean 1.5, sd 0.5222330, SE 0.1507557, t_11(.975) 2.2009852
    assert found.seconds is not None and found.seconds.interval is not None
    assert found.seconds.interval.low == pytest.approx(1.5 - 0.3318109, abs=1e-6)
    assert found.seconds.interval.high == pytest.approx(1.5 + 0.3318109, abs=1e-6)


def test_same_attempts_are_counted_and_the_same_file_is_said(before: Run) -> None:
    (found,) = review_runs(before, before).variants

    assert (found.same_attempts, found.same_agent) == (48, True)
    text = str(review_runs(before, before))
    assert "48 of 48 attempts are the very same in both" in text
    assert "The two agent files are the same." in text
    assert "What differs between the agents" not in text


def test_same_replies_scored_otherwise_are_told(before: Run) -> None:
    regraded = make_run({"draft": passes(PASSES_B)}, groups=GROUPS)

    (found,) = review_runs(before, regraded).variants

    assert found.notes == ("10 replies are the very same but were scored otherwise: the graders changed",)


def test_runs_at_different_places_are_compared_by_persona_only(before: Run) -> None:
    made_up = make_run({"draft": passes(PASSES_A)}, endpoint=STAND_IN)

    review = review_runs(before, made_up)

    assert (review.variants[0].comparison, review.variants[0].usd) == (None, None)
    for text in (str(review), review.markdown(), review.html()):
        assert "The replies are not compared." in text
        assert "made-up replies are not compared with a model" in text


def test_variants_of_the_same_name_are_set_side_by_side_and_repeats_cut_to_the_fewer() -> None:
    old = make_run({"a": passes(PASSES_A), "b": passes(PASSES_B)})
    new = make_run({"b": passes(PASSES_B[:6], 5), "a": passes(PASSES_A[:6], 5)})

    review = review_runs(old, new)

    assert [(found.before, found.after) for found in review.variants] == [("a", "a"), ("b", "b")]
    assert "5 after: the first 4 of each count" in str(review)
    assert "asked only before, left out: 6 tasks" in str(review)


def test_named_variants_are_compared_and_unnamed_ones_only_where_there_is_no_choice(before: Run) -> None:
    other = make_run({"x": passes(PASSES_A), "y": passes(PASSES_B)})

    assert review_runs(before, other, variants=("draft", "y")).variants[0].after == "y"
    with pytest.raises(ComparisonError, match="no variant of the same name, and the later run has 2 variants"):
        review_runs(before, other)
    with pytest.raises(ComparisonError, match="the earlier run has no variant 'z'"):
        review_runs(before, other, variants=("z", "y"))
