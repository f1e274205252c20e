from __future__ import annotations

from dataclasses import replace

import pytest
from bs4 import BeautifulSoup

from tests.runs import GROUPS, PASSES_A, PASSES_B, STAND_IN, make_run, passes
from workbench.comparison.report.summary import unlinked
from workbench.comparison.review import Review, review_runs
from workbench.errors import ComparisonError
from workbench.trial.trial import Run, Score


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
    sentence = '"after" may be better than "before" by 16.7 points, not established'
    in_full = '"after" against "before": promising, not established. +16.7 points'

    assert str(review).startswith(f"draft: old (before) and new (after)\n\n{sentence}")
    assert review.markdown().startswith(f"### draft: old (before) and new (after)\n\n{sentence}")
    page = BeautifulSoup(review.html(), "html.parser")
    assert page.select_one(".verdict").get_text().startswith(f"Promising, not established {sentence}")
    assert "+ Be terse." in page.get_text()
    assert all(in_full in form for form in (str(review), review.markdown(), page.get_text()))
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


def test_of_the_very_same_replies_no_table_says_that_nothing_differs(before: Run) -> None:
    assert "Promises" not in str(review_runs(before, before))


def test_same_replies_scored_otherwise_are_told(before: Run) -> None:
    regraded = make_run({"draft": passes(PASSES_B)}, groups=GROUPS)

    (found,) = review_runs(before, regraded).variants

    assert "What flipped" in str(review_runs(before, regraded))
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


def with_other_prompt(run: Run, variant: str) -> Run:
    """The run, this variant's agent and what it was sent changed."""
    other = f"You are {variant}.\nBe terse.\n"
    trials = tuple(
        trial.replace(request=replace(trial.request, system=other)) if trial.variant == variant else trial
        for trial in run.trials
    )
    variants = run.variants | {variant: run.variants[variant].replace(prompt=other)}
    return replace(run, variants=variants, trials=trials)


@pytest.fixture
def of_three() -> Review:
    """A twin, a variant that got better and one that got worse, in this order in both records."""
    good, bad = passes([4] * 12), passes([0] * 12)
    old = make_run({"base": passes(PASSES_A), "up": bad, "down": good}, groups=GROUPS)
    new = answered(make_run({"base": passes(PASSES_B), "up": good, "down": bad}, groups=GROUPS), text="another reply")
    return review_runs(old, with_other_prompt(with_other_prompt(new, "up"), "down"))


def test_what_got_worse_comes_first_and_twins_last(of_three: Review) -> None:
    assert [(found.after, found.is_twin) for found in of_three.variants] == [
        ("down", False), ("up", False), ("base", True)
    ]  # fmt: skip
    verdicts = BeautifulSoup(of_three.html(), "html.parser").select(".verdict strong")
    assert [each.get_text() for each in verdicts] == ["Worse", "Better"]
    for form in (str(of_three), of_three.markdown()):
        assert form.removeprefix("### ").startswith("down: before")


def test_a_twin_is_one_line(of_three: Review) -> None:
    line = "base: both send the same requests; whatever differs is noise."

    assert str(of_three).count(f"\n\n{line}\n\n") == 1
    assert of_three.markdown().count(f"\n\n{unlinked(line)}\n\n") == 1
    page = BeautifulSoup(of_three.html(), "html.parser")
    [twin] = [each for each in page.select("p") if each.get_text() == line]
    assert [each.get_text().partition(":")[0] for each in page.select("h2")] == ["down", "up"]
    assert twin.find_previous("h2").get_text().startswith("up")
    assert "(A/A" not in page.get_text() + str(of_three) + of_three.markdown()


def test_where_all_are_twins_one_is_shown_whole(before: Run) -> None:
    two = make_run({"a": passes(PASSES_A), "b": passes(PASSES_A)})

    review = review_runs(two, two)

    assert len(BeautifulSoup(review.html(), "html.parser").select("h2")) == 1
    assert str(review).startswith("a: before (before)")
    assert "b: both send the same requests" in str(review)


def test_a_promise_that_is_shown_to_be_worse_leads_before_the_verdict_of_a_better_whole() -> None:
    def scored(run: Run, **kept: float) -> Run:
        scores = {promise: Score(value=value, explanation="") for promise, value in kept.items()}
        return replace(run, trials=tuple(trial.replace(scores=scores) for trial in run.trials))

    plain = make_run({"draft": passes(PASSES_A)})
    old = scored(plain, asks=1.0, plans=0.0, tests=0.0)
    new = with_other_prompt(scored(plain, asks=0.0, plans=1.0, tests=1.0), "draft")

    review = review_runs(old, new)

    [found] = review.variants
    line = "Shown to be worse: asks (after), whatever the whole says."
    assert (found.verdict is not None and found.verdict.kind, found.warning) == ("better", line)
    assert str(review).split("\n")[2] == line
    assert review.markdown().split("\n\n")[1] == unlinked(line)
    first, second = BeautifulSoup(review.html(), "html.parser").select("p.verdict")
    assert first.get_text() == f"Worse in 1 promise {line}"
    assert second.strong.get_text() == "Better"


def test_a_review_says_first_what_changed_who_answered_and_what_it_cost() -> None:
    old = make_run({"draft": passes(PASSES_A)})
    review = review_runs(old, with_other_prompt(make_run({"draft": passes(PASSES_B)}), "draft"))
    page = BeautifulSoup(review.html(), "html.parser")
    facts = {fact.dt.get_text(): fact.dd.get_text() for fact in page.select("dl.facts > div")}

    assert facts["What changed"].startswith("prompt: ")
    assert facts["Model"] == "claude-haiku-4-5-20251001"
    assert facts["Answered by"] == "live at https://api.anthropic.com"
    assert facts["Cost of the replies"].endswith("USD")
    for what, much in facts.items():
        assert f"{what}: {much}." in str(review)
        assert unlinked(f"{what}: {much}.") in review.markdown()
    assert page.select_one("dl.facts").find_previous("p", class_="verdict") is not None
    assert not page.select(".banner")


def test_a_review_of_made_up_replies_says_so_before_anything_else() -> None:
    made_up = make_run({"draft": passes(PASSES_A)}, endpoint=STAND_IN)
    page = BeautifulSoup(review_runs(made_up, with_other_prompt(made_up, "draft")).html(), "html.parser")

    assert page.select_one(".banner").find_next_sibling("h2") is not None
    assert "made up by the OFFLINE STAND-IN" in page.select_one(".banner").get_text()


def test_named_variants_are_compared_and_unnamed_ones_only_where_there_is_no_choice(before: Run) -> None:
    other = make_run({"x": passes(PASSES_A), "y": passes(PASSES_B)})

    assert review_runs(before, other, variants=("draft", "y")).variants[0].after == "y"
    with pytest.raises(ComparisonError, match="no variant of the same name, and the later run has 2 variants"):
        review_runs(before, other)
    with pytest.raises(ComparisonError, match="the earlier run has no variant 'z'"):
        review_runs(before, other, variants=("z", "y"))
