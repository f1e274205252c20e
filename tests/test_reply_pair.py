from __future__ import annotations

import dataclasses

import pytest

from tests.runs import STAND_IN, make_run
from tests.test_differences import ATTACK, Page
from workbench.comparison.differences.reply_pair import ReplyPair, compare_replies
from workbench.comparison.tables import compare
from workbench.errors import ComparisonError
from workbench.trial.trial import Run


def answered(base: str = "Keep it small.", terse: str = "Keep it very small.", **prompts: str) -> Run:
    """One task, two repeats, what each variant replied in the first."""
    run = make_run({"base": [[1.0, 1.0]], "terse": [[0.0, 1.0]]}, endpoint=STAND_IN)
    said = {"base": base, "terse": terse}
    trials = tuple(
        trial.replace(reply=dataclasses.replace(trial.reply, text=said[trial.variant]))
        if trial.repeat == 0 and trial.reply is not None
        else trial
        for trial in run.trials
    )
    variants = {name: agent.replace(prompt=prompts.get(name, agent.prompt)) for name, agent in run.variants.items()}
    return dataclasses.replace(run, trials=trials, variants=variants)


def view(pair: ReplyPair, kind: str = "text/plain") -> str:
    text = pair._repr_mimebundle_()[kind]
    assert isinstance(text, str)
    return text


def test_personas_replies_and_scores_are_in_one_view() -> None:
    pair = compare_replies(answered(base="Keep it small.", terse="Keep it very small."), "task-0", baseline="base")

    shown = view(pair)
    assert '"terse" against "base"' in shown
    assert "- You are [-base-]." in shown and "+ You are {+terse+}." in shown
    assert "Keep it {+very +}small." in shown
    assert ("Score in points", "100.0", "0.0", "-100.0") in pair.scores().rows
    assert ("grade", "100.0, found in A reply.", "0.0, found in A reply.", "-100.0") in pair.scores().rows


@pytest.mark.parametrize("kind", ["text/html", "text/markdown", "text/plain"])
def test_every_view_says_when_the_stand_in_answered(kind: str) -> None:
    assert "OFFLINE STAND-IN, not a model" in view(compare_replies(answered(), "task-0", baseline="base"), kind)


def test_the_repeat_asked_for_is_compared() -> None:
    pair = compare_replies(answered(), "task-0", baseline="base", repeat=1)

    assert view(pair).count("the same in both") == 1
    assert "repeat 1" in view(pair)


def test_text_of_models_and_personas_stays_text() -> None:
    pair = compare_replies(answered(terse=ATTACK, base="x" + ATTACK), "task-0", baseline="base")

    page = Page(view(pair, "text/html"))
    assert not {"script", "img", "a", "style"} & set(page.tags)
    assert "<script>alert(1)</script>" in page.text
    for text in pair._repr_mimebundle_().values():
        assert not set("\x1b\u202e") & set(text)


def test_a_reply_can_not_end_its_block_in_markdown() -> None:
    markdown = view(compare_replies(answered(terse="```\n# Free\n```"), "task-0", baseline="base"), "text/markdown")

    assert "````\n" in markdown


def test_formulas_are_left_alone() -> None:
    assert 'class="tex2jax_ignore mathjax_ignore"' in view(
        compare_replies(answered(), "task-0", baseline="base"), "text/html"
    )


def test_a_trial_without_a_reply_says_why() -> None:
    run = make_run({"base": [[1.0]], "terse": [[None]]})

    pair = compare_replies(run, "task-0", baseline="base")
    assert ("Outcome", "answered", "failed: overloaded_error: Overloaded", "") in pair.scores().rows
    assert "[-A reply.-]" in view(pair)


def test_the_variant_must_be_said_among_several() -> None:
    run = make_run({"A": [[1.0]], "B": [[1.0]], "C": [[0.0]]})

    assert compare_replies(run, "task-0", baseline="A", variant="C").after.variant == "C"
    with pytest.raises(ComparisonError, match="say which variant to set beside 'A': the run has 'A', 'B', 'C'"):
        compare_replies(run, "task-0", baseline="A")


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("task-9", {"baseline": "base"}, "no task 'task-9' among its 1; near it are 'task-0'"),
        ("task-0", {"baseline": "bass"}, "no variant 'bass'; it has 'base', 'terse'"),
        ("task-0", {"baseline": "base", "variant": "no"}, "no variant 'no'"),
        ("task-0", {"baseline": "base", "repeat": 7}, "no trial of task 'task-0'.*repeat 7; repeats are 0 to 1"),
    ],
)
def test_what_is_not_in_the_run_is_named(task: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ComparisonError, match=message):
        compare_replies(answered(), task, **options)  # type: ignore[arg-type]


def test_a_comparison_opens_the_pair_of_a_task() -> None:
    pair = compare(answered(), baseline="base").pair("task-0")

    assert (pair.before.variant, pair.after.variant, pair.before.repeat) == ("base", "terse", 0)
