from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from tests.runs import GROUPS, LIVE, PASSES_A, PASSES_B, STAND_IN, make_run, passes
from workbench.cli import EXITS_OF_GATE
from workbench.comparison import scores as score_rules
from workbench.comparison.gate import MARGIN, Decision
from workbench.comparison.scores import MOST_MISSING, missing_in_words, scores_by_variant
from workbench.comparison.verdict import Kind, Verdict, reach_verdicts
from workbench.errors import ComparisonError
from workbench.statistics.permutation import mcnemar
from workbench.statistics.power import fewest_tasks
from workbench.trial.defaults import FEWEST_TASKS
from workbench.trial.trial import Failure, Run, Score

DOCUMENT = Path(__file__).parents[1] / "docs" / "verdict.md"


def only(run: Run, baseline: str = "A") -> Verdict:
    verdicts = reach_verdicts(run, baseline=baseline)
    assert len(verdicts) == 1
    return verdicts[0]


def shifted(by: float, tasks: int = 24) -> Run:
    base = [0.2 + 0.02 * (row % 5) for row in range(tasks)]
    return make_run({"A": [[s] for s in base], "B": [[s + by + 0.01 * (row % 3)] for row, s in enumerate(base)]})


def test_what_t_shows_and_sign_flip_does_not_is_promising() -> None:
    verdict = only(make_run({"A": passes(PASSES_A), "B": passes(PASSES_B)}, groups=GROUPS))

    assert verdict.kind == "promising, not established"
    assert verdict.text == (
        '"B" against "A": promising, not established. +16.7 points, 95 % CI [+2.6, +30.8], '
        "n = 12 tasks in 4 groups x 4 repeats; noise floor ±14.1; "
        "paired t p = 0.025, exact sign-flip p = 0.055 (mid-p = 0.031); "
        "1 comparison, nothing to correct for; "
        "4 groups cannot support a group-level claim (sign-flip by group p = 0.25, at least 0.125); "
        "about 27 more tasks would detect +10 points with 80 % power (29 by t)."
    )
    assert (verdict.tasks, verdict.groups, verdict.repeats, verdict.more_tasks) == (12, 4, 4, 27)
    assert verdict.hedges_g == pytest.approx(0.6986675, abs=1e-7)


def test_what_is_promising_for_the_baseline_says_so() -> None:
    verdict = only(make_run({"A": passes(PASSES_B), "B": passes(PASSES_A)}))

    assert 'promising, not established, in favour of "A". -16.7 points' in verdict.text
    assert "27 more tasks would detect -10 points" in verdict.text


def test_a_gain_that_both_tests_show_is_better() -> None:
    verdict = only(shifted(+0.2))

    assert verdict.kind == "better"
    assert verdict.effect == pytest.approx(0.21)
    assert "better. +21.0 points" in verdict.text


def test_a_loss_that_both_tests_show_is_worse() -> None:
    verdict = only(shifted(-0.2))

    assert verdict.kind == "worse"
    assert "-19.0 points" in verdict.text


def test_a_small_difference_among_large_ones_is_not_shown_and_says_what_could_be() -> None:
    run = make_run({"A": passes((4, 0, 3, 1, 2, 2, 4, 0)), "B": passes((3, 1, 4, 0, 2, 3, 3, 1))})
    verdict = only(run)

    assert verdict.kind == "no difference shown"
    assert "these tasks would show a difference of" in verdict.text
    assert "more tasks would detect +10 points with 80 % power" in verdict.text


def test_a_headline_says_in_plain_words_what_was_found() -> None:
    shown = only(make_run({"A": passes(PASSES_A), "B": passes(PASSES_B)}))
    missing = only(make_run({"A": [[1.0, 1.0]] * 6, "B": [[1.0, None]] * 6}, same_prompt=True))

    assert shown.headline == (
        '"B" may be better than "A" by 16.7 points, not established; 95 % interval +2.6 to +30.8 (12 tasks).'
    )
    assert missing.headline == 'No verdict on "B" against "A": 6 of 24 attempts have no score.'


def test_many_groups_are_tested_by_group() -> None:
    groups = [f"group {index // 2}" for index in range(24)]
    scores = {"A": passes(PASSES_A * 2), "B": passes(PASSES_B * 2)}
    verdict = only(make_run(scores, groups=groups))

    assert verdict.groups == 12
    assert "paired t by group" in verdict.text
    assert "cannot support" not in verdict.text


def test_the_same_gain_shrinks_to_promising_among_many_comparisons() -> None:
    gain = [[0.5 + 0.03 * ((7 * row) % 11 - 2)] for row in range(12)]
    base = [[0.5] for _ in range(12)]
    noise = [[0.5 + 0.1 * (-1) ** row] for row in range(12)]
    alone = only(make_run({"A": base, "B": gain}))
    others = {f"other {index}": noise for index in range(9)}
    among = reach_verdicts(make_run({"A": base, "B": gain, **others}), baseline="A")

    assert alone.kind == "better"
    assert among[0].kind == "promising, not established"
    assert "corrected for 10 comparisons by Holm" in among[0].text
    assert [verdict.variant for verdict in among] == ["B", *others]


def test_more_than_five_percent_missing_gives_no_verdict() -> None:
    holes = [[None, 1.0]] * 2 + [[1.0, 1.0]] * 10
    verdict = only(make_run({"A": holes, "B": holes}))

    assert verdict.kind == "no verdict"
    assert 'of 24 attempts of "B" have no score (2 failed)' in verdict.text
    assert "more than 5 % are missing. Run the plan again" in verdict.text
    assert (verdict.effect, verdict.interval, verdict.t_p) == (None, None, None)


def test_unequally_missing_trials_give_no_verdict() -> None:
    whole = [[1.0, 0.5]] * 30
    verdict = only(make_run({"A": whole, "B": [[None, 0.5], *whole[1:]]}))

    assert verdict.kind == "no verdict"
    assert "not the same share is missing" in verdict.text


def test_one_in_a_hundred_missing_in_one_variant_leaves_a_verdict_that_says_so() -> None:
    whole = [[1.0, 0.5]] * 50
    verdict = only(make_run({"A": whole, "B": [[None, 0.5], *whole[1:]]}))

    assert verdict.kind == "no difference shown"
    assert "1 of 200 attempts have no score" in verdict.text
    assert verdict.missing == 1


def test_missing_in_one_variant_only_beyond_chance_gives_no_verdict_however_small_the_share() -> None:
    whole: list[list[float | None]] = [[1.0, 1.0]] * 400
    holes: list[list[float | None]] = [[None, 1.0]]

    five, six = (only(make_run({"A": whole, "B": [*holes * count, *whole[count:]]})) for count in (5, 6))
    assert five.kind == "no difference shown"
    assert six.kind == "no verdict"
    assert "not the same share is missing" in six.text


def test_few_and_equally_missing_trials_leave_a_verdict() -> None:
    base = [[0.2 + 0.01 * (row % 4), 0.3] for row in range(20)]
    gain = [[a + 0.3, b + 0.3 + 0.01 * (row % 3)] for row, (a, b) in enumerate(base)]
    verdict = only(make_run({"A": [[None, 0.3], *base[1:]], "B": [*gain[:-1], [None, 0.6]]}))

    assert verdict.kind == "better"
    assert verdict.tasks == 20


def test_trials_on_which_every_grader_declined_are_missing_and_named() -> None:
    run = make_run({"A": [[1.0]] * 10, "B": [[1.0]] * 10})
    declined = run.trials[1].replace(scores={"grade": Score(value=None, explanation="no code")})
    verdict = only(Run(**{**vars(run), "trials": (run.trials[0], declined, *run.trials[2:])}))

    assert verdict.kind == "no verdict"
    assert "1 declined" in verdict.text
    assert "grader that does not decline" in verdict.text


def test_trials_that_were_never_run_are_missing() -> None:
    run = make_run({"A": [[1.0]] * 10, "B": [[1.0]] * 10})
    verdict = only(Run(**{**vars(run), "trials": run.trials[:-1]}))

    assert verdict.kind == "no verdict"
    assert "1 not run" in verdict.text


def test_one_task_gives_no_verdict() -> None:
    verdict = only(make_run({"A": [[1.0, 0.0]], "B": [[1.0, 1.0]]}))

    assert verdict.kind == "no verdict"
    assert "at least 2" in verdict.text


def test_two_variants_that_send_the_same_requests_are_labelled_and_never_differ() -> None:
    run = shifted(+0.2)
    same = make_run(
        {name: [[t.score] for t in run.trials if t.variant == name] for name in ("A", "B")}, same_prompt=True
    )
    verdict = only(same)

    assert verdict.same_requests
    assert verdict.kind == "no difference shown"
    assert "(A/A: both send the same requests)" in verdict.text
    assert "noise" in verdict.text


def test_a_run_looked_at_before_its_end_is_labelled_exploratory() -> None:
    run = shifted(+0.2, tasks=200)
    stopped = run.trials[1].replace(reply=None, failure=Failure(type="stopped", message="stopped"), scores={})
    for unfinished in (run.trials[2:], (run.trials[0], stopped, *run.trials[2:])):
        verdict = only(Run(**{**vars(run), "trials": unfinished}))

        assert verdict.kind == "better"
        assert verdict.exploratory
        assert verdict.text.startswith("EXPLORATORY, looked at before the end: ")
        assert "of 400 attempts were stopped or not made yet" in verdict.text


def test_a_finished_run_with_a_failure_is_not_exploratory() -> None:
    whole = [[1.0, 0.5]] * 50
    verdict = only(make_run({"A": whole, "B": [[None, 0.5], *whole[1:]]}))

    assert not verdict.exploratory
    assert "EXPLORATORY" not in verdict.text


def test_an_unfinished_run_without_a_verdict_is_labelled_too() -> None:
    run = make_run({"A": [[1.0]] * 10, "B": [[1.0]] * 10})
    verdict = only(Run(**{**vars(run), "trials": run.trials[:-4]}))

    assert (verdict.kind, verdict.exploratory) == ("no verdict", True)
    assert "4 of 20 attempts were stopped or not made yet" in verdict.text


def test_one_repeat_of_pass_and_fail_is_tested_by_mcnemar() -> None:
    base = [[0.0]] * 15 + [[1.0]] * 6
    gain = [[1.0]] * 14 + [[0.0]] + [[1.0]] * 5 + [[0.0]]
    verdict = only(make_run({"A": base, "B": gain}))

    assert verdict.kind == "better"
    assert "exact McNemar p < 0.001" in verdict.text
    assert verdict.sign_flip_p == mcnemar(1, 14).p


def test_what_would_settle_it_is_corrected_for_the_comparisons_too() -> None:
    scores = {"A": passes(PASSES_A), "B": passes(PASSES_B)}
    alone = only(make_run(scores))
    among = reach_verdicts(make_run({**scores, "C": passes(PASSES_A[::-1])}), baseline="A")[0]

    assert alone.more_tasks is not None and among.more_tasks is not None
    assert alone.detectable is not None and among.detectable is not None
    assert among.more_tasks > alone.more_tasks
    assert among.detectable > alone.detectable


def test_scores_at_hand_lead_to_the_same_verdict() -> None:
    run = make_run({"A": passes(PASSES_A), "B": passes(PASSES_B)}, groups=GROUPS)

    assert reach_verdicts(run, baseline="A", scores=scores_by_variant(run)) == reach_verdicts(run, baseline="A")


def test_a_verdict_and_an_estimate_load_no_library_that_takes_long() -> None:
    code = (
        "import sys; from tests.runs import *; from workbench.comparison.verdict import reach_verdicts;"
        "import workbench.runs.estimate;"
        "run = make_run({'A': passes(PASSES_A), 'B': passes(PASSES_B)}, groups=GROUPS);"
        "print(reach_verdicts(run, baseline='A')[0].kind);"
        "print([name for name in ('scipy.stats', 'statsmodels', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=DOCUMENT.parents[1])

    assert printed.split("\n")[:2] == ["promising, not established", "[]"]


def test_power_needs_no_array_library() -> None:
    code = "import sys, workbench.statistics.power; print([name for name in ('numpy', 'scipy') if name in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_every_verdict_that_is_documented_can_be_reached_and_no_other() -> None:
    of_verdicts, of_the_gate = DOCUMENT.read_text(encoding="utf-8").split("\n## The gate\n")

    assert sorted(re.findall(r"^\| \*\*([^*]+)\*\* \|", of_verdicts, re.MULTILINE)) == sorted(get_args(Kind))
    assert set(re.findall(r"^\| \*\*([^*]+)\*\* \| (\d) \|", of_the_gate, re.MULTILINE)) == {
        (decision, str(code)) for decision, code in EXITS_OF_GATE.items()
    }
    assert EXITS_OF_GATE.keys() == set(get_args(Decision))
    assert len(set(EXITS_OF_GATE.values())) == len(EXITS_OF_GATE)
    assert f"on {FEWEST_TASKS} tasks or more" in of_the_gate
    assert f"on fewer than {FEWEST_TASKS} tasks: on these nothing passes" in of_the_gate
    assert f"margin {MARGIN:g}`" in of_the_gate
    assert f"scores {100 * score_rules.THRESHOLD:g} points or more" in of_verdicts
    few = [fewest_tasks(count) for count in (10, 25)]
    assert f"Fewer tasks than {few[0]} for 10 promises, or {few[1]} for 25" in of_verdicts


def test_equal_scores_everywhere_are_no_difference_with_a_width() -> None:
    verdict = only(make_run({"A": [[1.0]] * 12, "B": [[1.0]] * 12}))

    assert verdict.kind == "no difference shown"
    assert verdict.interval is not None
    assert verdict.interval.high > 0.2
    assert "identical replies" in verdict.text


def test_the_stand_in_is_named_first_in_every_sentence() -> None:
    scores = {"A": passes(PASSES_A), "B": passes(PASSES_B)}
    holes: dict[str, list[list[float | None]]] = {"A": [[None]] * 3, "B": [[1.0]] * 3}

    for run in (make_run(scores, endpoint=STAND_IN), make_run(holes, endpoint=STAND_IN)):
        assert only(run).text.startswith("OFFLINE STAND-IN, not a model")
        assert only(run).stand_in
    assert "STAND-IN" not in only(make_run(scores, endpoint=LIVE)).text


def test_one_reply_of_the_stand_in_among_a_models_is_refused() -> None:
    run = make_run({"A": passes(PASSES_A), "B": passes(PASSES_B)})
    mixed = Run(**{**vars(run), "trials": (run.trials[0].replace(endpoint=STAND_IN), *run.trials[1:])})

    with pytest.raises(ComparisonError, match=r"made up by the offline stand-in \(1 of 'A'\)"):
        only(mixed)


def test_an_unknown_baseline_is_refused_with_the_variants() -> None:
    with pytest.raises(ComparisonError, match=r"no variant 'base' .* has 'A', 'B'"):
        reach_verdicts(make_run({"A": [[1.0]], "B": [[1.0]]}), baseline="base")


def test_a_trial_that_was_not_planned_is_refused() -> None:
    run = make_run({"A": [[1.0]] * 3, "B": [[1.0]] * 3})
    stray = run.trials[0].replace(task_id="elsewhere")

    with pytest.raises(ComparisonError, match="did not plan: task 'elsewhere'"):
        reach_verdicts(Run(**{**vars(run), "trials": (stray, *run.trials)}), baseline="A")
    with pytest.raises(ComparisonError, match="two trials of task 'task-0'"):
        reach_verdicts(Run(**{**vars(run), "trials": (run.trials[0], *run.trials)}), baseline="A")


def test_names_in_the_sentence_cannot_drive_a_terminal() -> None:
    verdict = only(make_run({"A": [[1.0]] * 3, "B\x1b[2J\nX": [[1.0]] * 3}))

    assert verdict.text.isprintable()


def test_the_bounds_in_a_sentence_are_those_that_are_kept() -> None:
    assert missing_in_words((2, 2), 50, most=0.03) == "more than 3 % are missing"
    assert missing_in_words((2, 2), 50, most=0.04) == ""


def test_the_sentence_names_the_share_that_may_be_missing() -> None:
    planned = 100
    content = round(MOST_MISSING * planned)

    def verdict_with(missing: int) -> Verdict:
        scores: list[list[float | None]] = [[1.0]] * (planned - missing) + [[None]] * missing
        return only(make_run({"A": scores, "B": scores}))

    assert verdict_with(content).kind != "no verdict"
    assert f"more than {100 * MOST_MISSING:g} % are missing" in verdict_with(content + 1).text


def test_a_variant_that_ended_early_is_named_with_what_ended_it() -> None:
    run = make_run({"A": passes(PASSES_A), "B": passes(PASSES_B)})
    ended = Failure(type="not_found_error", message="model: haiku[1m]", status=404, request_id="req_1")
    trials = [
        trial.replace(reply=None, scores={}, failure=ended) if trial.variant == "B" else trial for trial in run.trials
    ]
    only_one = [trial for trial in trials if trial.variant == "A" or (trial.task_id, trial.repeat) == ("task-0", 0)]

    for made in (trials, only_one):
        verdict = only(Run(**{**vars(run), "trials": tuple(made)}))
        assert verdict.kind == "no verdict"
        assert '48 of 48 attempts of "B" have no score' in verdict.text
        assert "Mend what the server does not accept, then run the plan again" in verdict.text
        assert '"B" failed with not_found_error (404): model: haiku[1m].' in verdict.text
        assert '"A" failed' not in verdict.text
