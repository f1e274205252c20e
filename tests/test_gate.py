from __future__ import annotations

from dataclasses import replace

import pytest

from tests.runs import GROUPS, PASSES_A, PASSES_B, STAND_IN, gradable, make_run, passes
from workbench.comparison import gate as gate_rules
from workbench.comparison.gate import gate, one_sided_bounds
from workbench.errors import ComparisonError, StandInError
from workbench.trial.defaults import FEWEST_TASKS
from workbench.trial.task import GraderSpec
from workbench.trial.trial import Run


def two(a: list[list[float | None]], b: list[list[float | None]], **options: object) -> Run:
    return make_run({"base": a, "draft": b}, **options)  # type: ignore[arg-type]


def test_bounds_are_those_of_a_paired_t_at_95_percent_one_sided() -> None:
    found = gate(two(passes(PASSES_A), passes(PASSES_B)), "base")

    # d = 0.1666667, SE = 0.0640588, t_11(.95) = 1.7958848
    assert found.effect == pytest.approx(0.1666667, abs=1e-7)
    assert (found.low, found.high) == (pytest.approx(0.0516244, abs=1e-6), pytest.approx(0.2817089, abs=1e-6))
    assert (found.decision, found.tasks, found.clustered) == ("passes", 12, False)
    assert one_sided_bounds(0.0, 1.0, 11)[1] == pytest.approx(1.7958848, abs=1e-7)


def test_what_is_shown_to_be_worse_fails_and_says_its_numbers() -> None:
    found = gate(two(passes(PASSES_B), passes(PASSES_A)), "base", margin=0.1)

    assert found.decision == "fails"
    assert found.text == (
        'Gate fails: "draft" against "base", margin 10.0 points. It is shown to be worse, and may be by more than the margin: '
        "-16.7 points, one-sided 95 % bounds by t with 11 degrees of freedom -28.2 and -5.2, n = 12 tasks x 4 repeats."
    )


def test_worse_within_the_margin_passes() -> None:
    found = gate(two(passes(PASSES_B), passes(PASSES_A)), "base", margin=0.3)

    assert (found.decision, found.high is not None and found.high < 0) == ("passes", True)


def test_too_wide_an_interval_is_not_enough_data_and_says_how_many_tasks_would_do() -> None:
    mixed = [[value] for value in (1.0, 0.0) * 6]

    found = gate(two(mixed, mixed[1:] + mixed[:1]), "base")

    assert found.decision == "not enough data"
    assert found.tasks_needed is not None and found.tasks_needed > 1000
    assert f"About {found.tasks_needed} tasks would pass a variant that is no different" in found.text


def test_few_tasks_are_never_enough_to_pass() -> None:
    run = two(passes([0] * (FEWEST_TASKS - 2) + [1]), passes([4] * (FEWEST_TASKS - 1)))

    assert gate(run, "base").decision == "not enough data"
    assert f"9 tasks with scores of both; it takes at least {FEWEST_TASKS} to pass" in gate(run, "base").text
    assert gate(run, "base", guards={"grade": None}).guards[0].decision == "not enough data"


@pytest.mark.parametrize("count", [4, 6, FEWEST_TASKS - 1])
@pytest.mark.parametrize("differ", [False, True])
def test_what_is_shown_to_be_worse_fails_on_few_tasks_too(count: int, differ: bool) -> None:
    run = two(passes([4] * count), passes([1] * differ + [0] * (count - differ)))

    found = gate(run, "base", guards={"grade": 0.1})

    assert found.high is not None and found.high < 0
    assert (found.decision, found.guards[0].decision) == ("fails", "fails")
    assert found.text.startswith("Gate fails") and "It is shown to be worse" in found.text


def test_worse_within_the_margin_neither_passes_nor_fails_on_few_tasks() -> None:
    run = two(passes([4, 3] * 4), passes([2, 2] * 4))

    found = gate(run, "base", margin=0.9)

    assert found.high is not None and found.high < 0
    assert found.decision == "not enough data"


def test_every_row_names_its_sides_as_the_gate_does() -> None:
    found = gate(two(passes(PASSES_B), passes(PASSES_A)), "base")

    assert [(row.variant, row.baseline) for row in found.promises] == [("draft", "base")]


def test_equal_differences_are_judged_by_wilson_not_by_an_interval_without_width() -> None:
    few, many = (two(passes([2] * n), passes([2] * n)) for n in (12, 80))

    assert gate(few, "base").decision == "not enough data"
    assert (gate(many, "base").decision, gate(many, "base").low) == ("passes", pytest.approx(-0.0458, abs=1e-3))


def test_missing_scores_are_not_enough_data() -> None:
    holes: list[list[float | None]] = [[1.0] * 3 + [None] for _ in range(12)]

    found = gate(two(passes([4] * 12), holes), "base")

    assert (found.decision, found.effect) == ("not enough data", None)
    assert "12 of 48 attempts" in found.text and "5 %" in found.text


def test_what_is_missing_within_the_bounds_of_a_verdict_counts_against_neither() -> None:
    base: list[list[float | None]] = [[0.1 * (row % 7)] for row in range(100)]
    draft: list[list[float | None]] = [[None], *([0.1 * (row % 7) + 0.001 * (row % 2)] for row in range(1, 100))]

    found = gate(two(base, draft), "base")

    assert (found.decision, found.tasks) == ("passes", 99)
    assert "no verdict" in str(gate_rules.__doc__) and "not the same number" not in str(gate_rules.__doc__)


def test_ten_groups_or_more_are_judged_by_group() -> None:
    groups = [f"g{index // 2}" for index in range(24)]
    run = two(passes([1, 1, 3, 3] * 6), passes([2, 2, 3, 3] * 6), groups=groups)

    found = gate(run, "base")

    assert (found.clustered, found.groups) == (True, 12)
    assert "11 degrees of freedom by group" in found.text


def test_variant_that_sends_the_same_requests_passes() -> None:
    found = gate(two(passes(PASSES_A), passes(PASSES_B), same_prompt=True), "base")

    assert (found.decision, found.same_requests) == ("passes", True)
    assert "A/A: both send the same requests, whatever lies between them is noise" in found.text


def test_stand_in_is_labelled() -> None:
    run = two(passes(PASSES_A), passes(PASSES_B), endpoint=STAND_IN)

    assert gate(run, "base", allow_stand_in=True).text.startswith("OFFLINE STAND-IN, not a model")
    assert gate(run, "base", allow_stand_in=True).stand_in


def test_made_up_replies_decide_nothing_unless_they_are_allowed_to() -> None:
    run = two(passes(PASSES_A), passes(PASSES_B), endpoint=STAND_IN)

    for baseline in ("base", run):
        with pytest.raises(StandInError, match="made up by the offline stand-in, which says nothing about any agent"):
            gate(run, baseline, variant="draft")


def test_of_two_variants_the_second_is_held_against_another_run() -> None:
    old = two(passes(PASSES_A), passes(PASSES_A))
    new = two(passes(PASSES_A), passes(PASSES_B))

    found = gate(new, old)

    assert (found.variant, found.baseline) == ("draft", "draft")
    assert found.effect == pytest.approx(0.1666667, abs=1e-7)


def test_two_runs_are_matched_by_task_and_what_they_do_not_share_is_said() -> None:
    old, new = make_run({"base": passes(PASSES_A)}), make_run({"other": passes(PASSES_B)})
    shuffled = replace(new, tasks=new.tasks[:0:-1], trials=tuple(t for t in new.trials if t.task_id != "task-0"))

    found = gate(shuffled, old)

    assert (found.variant, found.baseline, found.tasks) == ("other", "base", 11)
    assert found.effect == pytest.approx(sum(b - a for a, b in zip(PASSES_A[1:], PASSES_B[1:], strict=True)) / 44)
    assert found.notes == ('asked only before, left out: 1 task ("task-0")',)


def test_task_whose_question_or_graders_changed_is_left_out() -> None:
    run = gradable(make_run({"base": passes(PASSES_A)}))
    graded = replace(run.tasks[0], graders=(GraderSpec(name="mentions", promise="x", where="elsewhere.yaml:9"),))
    moved = replace(run.tasks[1], graders=run.tasks[1].graders, file_sha256="f" * 64)
    asked = replace(run.tasks[2], input="Another question")
    [spec] = run.tasks[3].graders
    weighed = replace(run.tasks[3], graders=(replace(spec, weight=2.0),))
    needed = replace(run.tasks[4], graders=(replace(spec, required=1.0),))
    changed = replace(run, tasks=(graded, moved, asked, weighed, needed, *run.tasks[5:]))

    found = gate(changed, run)

    assert found.tasks == 8
    assert found.notes == (
        'changed in input, context, target or graders, left out: 4 tasks ("task-0", "task-2", "task-3", "task-4")',
    )


def test_another_model_under_the_same_agent_is_not_compared() -> None:
    old, new = (make_run({"base": passes(PASSES_A)}, model=model) for model in ("claude-a", "claude-b"))

    with pytest.raises(ComparisonError, match="another model was asked than before.*12 tasks.*no task is shared"):
        gate(new, old)


def test_another_model_that_the_agent_names_is_what_is_compared() -> None:
    old, new = (make_run({"base": passes(PASSES_A)}, model=model) for model in ("claude-a", "claude-b"))
    new = replace(new, variants={"base": new.variants["base"].replace(model="claude-b")})

    assert gate(new, old).notes == (
        "answered by different models: claude-a before, claude-b after; what changed may be the model",
    )


def test_stand_in_is_never_held_against_a_model() -> None:
    with pytest.raises(ComparisonError, match="made-up replies are not compared with a model's"):
        gate(make_run({"base": passes(PASSES_A)}, endpoint=STAND_IN), make_run({"base": passes(PASSES_A)}))


@pytest.mark.parametrize(
    ("names", "baseline", "options", "message"),
    [
        (("base", "b"), "base", {"margin": 0.0}, "the margin is 0; it is a part of the score"),
        (("base", "b"), "base", {"margin": 5}, "the margin is 5; it is a part of the score"),
        (("base", "b"), "nosuch", {}, "no variant 'nosuch'; it has 'base', 'b'"),
        (("base",), "base", {}, "no variant but 'base'"),
        (("base", "b", "c"), "base", {}, "has 3 variants, name one"),
        (("base", "b"), "base", {"variant": "base"}, "is the baseline itself; name another variant: 'b'"),
    ],
)
def test_what_cannot_be_gated_is_refused(
    names: tuple[str, ...], baseline: str, options: dict[str, object], message: str
) -> None:
    run = make_run({name: passes(PASSES_A) for name in names}, groups=GROUPS)

    with pytest.raises(ComparisonError, match=message):
        gate(run, baseline, **options)  # type: ignore[arg-type]
