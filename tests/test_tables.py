from __future__ import annotations

import base64
import json
import math
import random
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from jinja2 import UndefinedError
from mistune import create_markdown

from tests.runs import GROUPS, LIVE, PASSES_A, PASSES_B, STAND_IN, make_run, passes
from workbench.comparison.columns import PAID, trial_columns
from workbench.comparison.flips import what_flipped
from workbench.comparison.gate import gate
from workbench.comparison.provenance import provenance
from workbench.comparison.report.page import parts_around
from workbench.comparison.scores import THRESHOLD
from workbench.comparison.static_tables import ranking_table, tasks_table
from workbench.comparison.tables import compare
from workbench.comparison.trial_table import columns_of, screen_values
from workbench.errors import ComparisonError
from workbench.markup import Table, html, html_text, markdown_table, markdown_text, plain_table, visible
from workbench.trial.catalogue import price_usd
from workbench.trial.paid import Paid
from workbench.trial.record import export_record, load_run
from workbench.trial.trial import Failure, Reply, Run, Score, Usage
from workbench.widgets.results_data import table_columns, trial_page

HOSTILE = "<script>alert(1)</script> | a\nb\x1b[31m \u202eevil ![x](http://x.example/y) `c` $1$ @you \ud800 <!-- -->"


def example(**options: object) -> Run:
    return make_run({"A": passes(PASSES_A), "B": passes(PASSES_B)}, groups=GROUPS, **options)  # type: ignore[arg-type]


def with_trials(run: Run, *trials: object) -> Run:
    return Run(**{**vars(run), "trials": trials})


def bundle(run: Run, baseline: str = "A") -> dict[str, str]:
    return compare(run, baseline=baseline)._repr_mimebundle_()


def test_a_variant_has_one_row_with_its_mean_over_tasks_and_interval() -> None:
    row = compare(example(), baseline="A").by_variant.loc["A"]

    assert (row["trials"], row["answered"], row["failed"]) == (48, 48, 0)
    assert row["score"] == pytest.approx(0.5208333, abs=1e-7)
    assert (row["score_low"], row["score_high"]) == (pytest.approx(0.2818, abs=1e-4), pytest.approx(0.7599, abs=1e-4))
    assert (row["input_tokens"], row["output_tokens"]) == (48 * 1500, 48 * 200)
    assert row["seconds"] == 2.0


def test_a_known_model_has_a_cost_in_usd() -> None:
    row = compare(example(), baseline="A").by_variant.loc["A"]

    assert row["unpriced"] == 0
    assert 0 < row["usd"] < 1


@pytest.mark.parametrize("model", ["claude-haiku-4-5-20251001", "claude-haiku-5-5", "claude-opus-4-1", "unheard-of"])
def test_costs_of_many_replies_are_the_price_of_each_to_the_last_digit(model: str) -> None:
    drawn = random.Random(3)
    run = make_run({"A": [[1.0] * 4] * 50}, model=model)
    usages = [
        Usage(
            input_tokens=drawn.choice([0, 7, drawn.randrange(400_000)]),
            output_tokens=drawn.choice([None, *[drawn.randrange(9_000)] * 9]),
            cache_creation_input_tokens=drawn.choice([None, drawn.randrange(5_000)]),
            cache_read_input_tokens=drawn.choice([None, drawn.randrange(90_000)]),
            cache_creation_1h_input_tokens=drawn.choice([None, 100, 9_000]),
            service_tier=drawn.choice([None, "standard", "batch"]),
        )
        for _ in run.trials
    ]
    trials = [
        trial.replace(reply=replace(trial.reply, usage=usage))
        for trial, usage in zip(run.trials, usages, strict=True)
        if trial.reply is not None
    ]

    found = trial_columns(with_trials(run, *trials)).usd.tolist()
    expected = [price_usd(model, usage) for usage in usages]
    assert [None if math.isnan(usd) else usd for usd in found] == expected


def test_a_model_without_a_price_costs_an_unknown_amount() -> None:
    comparison = compare(example(model="some-model-of-tomorrow"), baseline="A")

    assert math.isnan(comparison.by_variant.loc["A", "usd"])
    assert comparison.by_variant.loc["A", "unpriced"] == 48
    assert "unknown" in comparison._repr_mimebundle_()["text/plain"]


def test_a_cost_that_is_known_in_part_is_a_lower_bound() -> None:
    run = make_run({"A": [[1.0, 1.0]] * 2})
    assert run.trials[0].reply is not None
    unpriced = run.trials[0].replace(reply=replace(run.trials[0].reply, usage=Usage()))
    comparison = compare(with_trials(run, unpriced, *run.trials[1:]), baseline="A")

    assert "(1 of 4 unpriced)" in comparison._repr_mimebundle_()["text/plain"]
    assert ">= 4,500" in comparison._repr_mimebundle_()["text/plain"]


def test_every_outcome_is_counted_apart_and_none_is_a_score_of_zero() -> None:
    run = make_run({"A": [[1.0]] * 8})
    done = run.trials[0].reply
    assert done is not None
    odd = (
        run.trials[0],
        run.trials[1].replace(reply=Reply(text="", stop_reason="refusal")),
        run.trials[2].replace(reply=Reply(text="half", stop_reason="max_tokens")),
        run.trials[3].replace(reply=Reply(text=" ", stop_reason="end_turn")),
        run.trials[4].replace(reply=None, failure=Failure(type="overloaded_error", message="Overloaded")),
        run.trials[5].replace(failure=Failure(type="stopped", message="stopped")),
        run.trials[6].replace(scores={"grade": Score(value=None, explanation="no code")}),
    )
    row = compare(with_trials(run, *odd), baseline="A").by_variant.loc["A"]

    outcomes = ["refused", "cut_off", "empty", "failed", "stopped", "declined", "not_run"]
    assert row[outcomes].tolist() == [1] * 7
    assert (row["trials"], row["answered"], row["score"]) == (8, 2, 1.0)


def test_a_task_has_one_row_with_the_variants_side_by_side() -> None:
    by_task = compare(example(), baseline="A").by_task

    assert by_task.columns.tolist() == ["group", "score: A", "score: B", "difference: B"]
    assert by_task.loc["task-3"].tolist() == ["group 1", 0.25, 0.5, 0.25]
    assert len(by_task) == 12


def test_a_trial_has_one_row_with_its_scores_and_explanations() -> None:
    run = make_run({"A": [[1.0, None]], "B": [[0.5, 0.0]]})
    trials = compare(run, baseline="A").trials

    assert trials["promise: grade"].tolist()[2:] == [0.5, 0.0]
    assert trials["outcome"].tolist() == ["answered", "failed", "answered", "answered"]
    assert trials.loc[0, "explanation"] == "grade: 100.0, found in A reply."
    assert trials.loc[1, "explanation"] == "overloaded_error: Overloaded"
    assert pd.isna(trials.loc[1, "score"])


def test_one_variant_has_scores_and_no_verdict() -> None:
    comparison = compare(make_run({"A": passes(PASSES_A)}), baseline="A")

    assert (comparison.verdict, comparison.verdicts) == (None, ())
    assert "scores without a verdict" in comparison._repr_mimebundle_()["text/markdown"]


@pytest.mark.parametrize("variants", ["A", "AB"])
def test_a_page_speaks_of_change_only_where_there_are_two_variants(variants: str) -> None:
    comparison = compare(make_run({name: passes(PASSES_A) for name in variants}), baseline="A")

    head, _ = parts_around(comparison, provenance(comparison.run))
    for words in ("those that changed most first", "a change is against the baseline"):
        assert (words in head) == (len(variants) == 2)


def test_several_variants_have_a_verdict_each_against_the_baseline() -> None:
    run = make_run({"A": passes(PASSES_A), "B": passes(PASSES_B), "C": passes(PASSES_A)})
    comparison = compare(run, baseline="B")

    assert [verdict.variant for verdict in comparison.verdicts] == ["A", "C"]
    assert comparison.verdict is comparison.verdicts[0]


def test_a_run_without_any_trial_is_shown() -> None:
    comparison = compare(with_trials(example()), baseline="A")

    assert comparison.verdict is not None
    assert comparison.verdict.kind == "no verdict"
    assert len(comparison._repr_mimebundle_()) == 3


def test_an_unknown_baseline_is_refused() -> None:
    with pytest.raises(ComparisonError, match="'A', 'B'"):
        compare(example(), baseline="C")


def test_html_is_plain_tables_with_an_embedded_picture_that_has_a_description() -> None:
    comparison = compare(example(), baseline="A")
    page = BeautifulSoup(comparison._repr_mimebundle_()["text/html"], "html.parser")

    image = page.find("img")
    assert image is not None
    assert str(image["src"]).startswith("data:image/png;base64,")
    assert base64.b64decode(str(image["src"]).partition(",")[2]).startswith(b"\x89PNG")
    assert comparison.verdict is not None
    assert str(image["alt"]) == comparison.plot().alt
    assert not page.find_all(["script", "link", "iframe"])
    assert len(page.find_all("caption")) == len(page.find_all("table")) == 6


def test_markdown_has_the_verdict_and_tables_that_a_code_host_reads() -> None:
    text = bundle(example())["text/markdown"]
    page = BeautifulSoup(str(create_markdown(plugins=["table"])(text)), "html.parser")

    assert "promising, not established" in page.get_text()
    assert [len(table.find_all("tr")) for table in page.find_all("table")] == [3, 2, 9, 13]
    assert [len(row.find_all(["td", "th"])) for row in page.find_all("table")[3].find_all("tr")] == [5] * 13


def test_every_form_has_a_banner_where_the_stand_in_answered() -> None:
    offline, live = bundle(example(endpoint=STAND_IN)), bundle(example(endpoint=LIVE))

    assert all("OFFLINE STAND-IN, not a model" in text for text in offline.values())
    assert not any("STAND-IN" in text for text in live.values())
    assert "OFFLINE STAND-IN" in bundle(make_run({"A": [[1.0]]}, endpoint=STAND_IN))["text/plain"]


def test_the_same_run_is_shown_by_the_same_bytes() -> None:
    assert bundle(example()) == bundle(example())


def test_what_a_model_writes_is_shown_as_text_in_html() -> None:
    page = BeautifulSoup(bundle(hostile_run(), HOSTILE)["text/html"], "html.parser")

    assert not page.find_all(["script", "a", "code"])
    assert len(page.find_all("img")) == 1
    assert "<script>alert(1)</script> | a b<U+001B>[31m <U+202E>evil" in page.get_text()
    assert "\x1b" not in str(page)
    assert "\u202e" not in str(page)


def test_what_a_model_writes_is_shown_as_text_in_markdown() -> None:
    text = bundle(hostile_run(), HOSTILE)["text/markdown"]
    page = BeautifulSoup(str(create_markdown(escape=False, plugins=["table", "url"])(text)), "html.parser")

    assert not page.find_all(["script", "img", "a", "code", "em"])
    assert "<script>" not in text
    assert "$" not in text
    assert {len(row.find_all(["td", "th"])) for row in page.find_all("table")[-1].find_all("tr")} == {5}
    assert "<script>alert(1)</script> | a b<U+001B>[31m <U+202E>evil" in page.get_text()


def test_what_a_model_writes_cannot_drive_a_terminal() -> None:
    text = bundle(hostile_run(), HOSTILE)["text/plain"]

    assert all(line.isprintable() for line in text.split("\n"))


def test_every_form_can_be_written_as_utf_8() -> None:
    for text in bundle(hostile_run(), HOSTILE).values():
        text.encode("utf-8")


def hostile_run() -> Run:
    run = make_run({HOSTILE: passes(PASSES_A), "B": passes(PASSES_B)}, groups=[HOSTILE] * 12, text=HOSTILE)
    hostile = run.trials[0].replace(failure=Failure(type="overloaded_error", message=HOSTILE))
    return with_trials(run, hostile, *run.trials[1:])


def test_long_runs_are_shown_in_part_and_say_so() -> None:
    run = make_run({"A": [[1.0]] * 250, "B": [[0.5]] * 250})
    page = BeautifulSoup(bundle(run)["text/html"], "html.parser")

    assert "50 of 250 tasks; the largest changes first; all are in .by_task." in page.get_text()
    assert "50 of 500 trials; all are in .trials." in page.get_text()
    assert [len(table.find_all("tr")) for table in page.find_all("table")] == [7, 3, 2, 9, 51, 51]
    assert len(compare(run, baseline="A").by_task) == 250


def test_a_long_run_shows_the_tasks_that_changed_most() -> None:
    variant: list[list[float | None]] = [[0.5]] * 250
    variant[199] = [0.0]
    variant[120] = [0.1]
    shown = tasks_table(compare(make_run({"A": [[0.5]] * 250, "B": variant}), baseline="A"))

    assert [row[0] for row in shown.rows[:3]] == ["task-199", "task-120", "task-0"]


def test_a_page_of_thousands_of_long_replies_stays_small() -> None:
    run = make_run({"A": [[1.0] * 5] * 500, "B": [[0.0] * 5] * 500}, text="word " * 5_000)

    assert {name: len(text) < 400_000 for name, text in bundle(run).items()} == dict.fromkeys(bundle(run), True)


def test_a_change_is_marked_by_sign_shape_and_colour() -> None:
    run = make_run({"A": [[0.2], [0.9], [0.5]], "B": [[0.8], [0.4], [0.5]]})
    page = BeautifulSoup(bundle(run)["text/html"], "html.parser")
    marked = [(span.get_text(), span["style"]) for span in page.find_all("span")]

    assert [text for text, _ in marked] == ["▲ +60.0 now passes", "▼ -50.0 now fails"]
    assert len({style for _, style in marked}) == 2
    assert "▲ +60.0 now passes" in bundle(run)["text/plain"]
    assert "▼ -50.0 now fails" in bundle(run)["text/markdown"]


def test_colour_is_for_changes_only() -> None:
    run = make_run({"A": [[1.0]] * 2, "▲ B": [[1.0]] * 2}, groups=["▼ group"] * 2)

    assert not BeautifulSoup(bundle(run)["text/html"], "html.parser").find_all("span")


def test_a_reply_opens_without_a_script_and_is_shown_as_text() -> None:
    run = make_run({"A": [[1.0]]}, text=f"<b>first</b> line\n{HOSTILE}\n" + "word " * 1_000)
    page = BeautifulSoup(bundle(run)["text/html"], "html.parser")
    [reply] = [found for found in page.find_all("details") if found.find("pre") and not found.find("table")]

    assert reply.summary is not None and reply.summary.get_text().startswith("<b>first</b> line <script>alert(1)")
    assert reply.pre is not None and reply.pre.get_text().startswith("<b>first</b> line\n<script>alert(1)")
    assert reply.pre.get_text().endswith("…")
    assert "\x1b" not in reply.pre.get_text()


def test_what_flipped_is_told_either_way() -> None:
    run = make_run({"A": passes((4, 0, 2, 4)), "B": passes((0, 4, 2, 4))})
    flipped = compare(run, baseline="A").flipped.flipped

    assert [(change.task_id, change.flip) for change in flipped] == [
        ("task-0", "now fails"),
        ("task-1", "now passes"),
    ]


def test_repeats_that_pass_or_fail_have_pass_at_k_and_pass_hat_k() -> None:
    comparison = compare(make_run({"A": passes((4, 2, 0)), "B": passes((4, 4, 1))}), baseline="A")

    assert comparison.by_variant["pass_at_k"].tolist() == [pytest.approx(2 / 3), 1.0]
    assert comparison.by_variant["pass_hat_k"].tolist() == [pytest.approx(1 / 3), pytest.approx(2 / 3)]
    assert "pass@4" in str(comparison)
    assert "pass^4" in str(comparison)


def test_a_graded_repeat_passes_from_a_threshold_that_is_stated() -> None:
    comparison = compare(make_run({"A": [[0.9, 0.5], [0.49, 0.6], [0.1, 0.2]]}), baseline="A")

    assert comparison.by_variant["pass_at_k"].tolist() == [pytest.approx(2 / 3)]
    assert comparison.by_variant["pass_hat_k"].tolist() == [pytest.approx(1 / 3)]
    assert f"A repeat passes with {100 * THRESHOLD:.1f} points or more." in str(comparison)


@pytest.mark.parametrize("scores", [[[1.0], [0.0]], [[1.0, None], [None, 0.0]]])
def test_there_is_no_pass_at_k_without_whole_repeats_that_pass_or_fail(scores: list[list[float | None]]) -> None:
    comparison = compare(make_run({"A": scores}), baseline="A")

    assert comparison.by_variant["pass_at_k"].isna().all()
    assert "pass@" not in str(comparison)


def test_a_variant_has_its_waiting_times() -> None:
    run = make_run({"A": [[1.0]] * 20})
    replies = [replace(trial.reply, seconds=float(number)) for number, trial in enumerate(run.trials) if trial.reply]
    timed = [trial.replace(reply=reply) for trial, reply in zip(run.trials, replies, strict=True)]
    comparison = compare(with_trials(run, *timed), baseline="A")
    row = comparison.by_variant.loc["A"]

    assert (row["seconds"], row["seconds_median"]) == (9.5, 9.5)
    assert row["seconds_p95"] == pytest.approx(18.05)
    assert row["seconds_to_first_token"] == 0.5
    assert "9.50 (18.05)" in str(comparison)


def paid_run() -> Run:
    """Each trial of A took one attempt; each of B a failed one before, of which one did not say what it took."""
    one = Paid(attempts=1, input_tokens=1000, output_tokens=200, cache_read_input_tokens=500, priced=Decimal("0.00205"))
    failed = Paid(attempts=1, input_tokens=900, cache_creation_input_tokens=40, priced=Decimal("0.001"))
    run = make_run({"A": [[1.0]] * 3, "B": [[0.0], [1.0], [None]]})
    of = {"A": [one] * 3, "B": [one + failed, one + replace(failed, uncounted=1), failed]}
    taken = {name: iter(found) for name, found in of.items()}
    return with_trials(run, *(trial.replace(paid=next(taken[trial.variant])) for trial in run.trials))


def test_what_all_attempts_took_stands_beside_what_the_replies_took() -> None:
    comparison = compare(paid_run(), baseline="A")
    rows = comparison.by_variant

    assert rows["usd"].tolist() == [pytest.approx(3 * 0.00205), pytest.approx(2 * 0.00205)]
    assert rows["paid_usd"].tolist() == [pytest.approx(3 * 0.00205), pytest.approx(2 * 0.00205 + 3 * 0.001)]
    assert rows["paid_attempts"].tolist() == [3, 5]
    assert rows["paid_input_tokens"].tolist() == [3000, 2000 + 2700]
    assert (rows.loc["B", "paid_cache_written_tokens"], rows.loc["B", "paid_cache_read_tokens"]) == (120, 1000)
    assert (rows.loc["B", "cache_read_tokens"], rows.loc["B", "cache_written_tokens"]) == (1000, 0)
    trials = comparison.trials
    assert trials["paid_attempts"].tolist() == [1, 2, 1, 2, 1, 1]
    assert trials["paid_usd"].tolist()[-1] == pytest.approx(0.001), "a failed trial was paid for too"
    for shown in (str(comparison), comparison._repr_mimebundle_()["text/html"].replace("&gt;", ">")):
        assert "Paid, all attempts" in shown
        assert ">= 0.0071 USD: 5 attempts, >= 5,820 in (1,000 from, 120 into the cache), 400 out" in shown
        assert "3,000 (1,000 from the cache)" in shown
    facts = dict(trial_page(comparison, 3)["facts"])
    assert facts["Paid in all"].startswith("2 attempts: 2,440 tokens in (500 from, 40 into the cache), 200 out")
    assert "and more by 1 attempt that did not say" in facts["Paid in all"]


def test_a_record_keeps_what_all_attempts_took(tmp_path: Path) -> None:
    run = paid_run()
    loaded = load_run(export_record(run, tmp_path))

    before, after = (compare(found, baseline="A").by_variant.filter(like="paid") for found in (run, loaded))
    assert after.equals(before)


def test_what_is_not_recorded_of_what_was_paid_is_not_shown_as_nothing() -> None:
    comparison = compare(example(), baseline="A")

    assert comparison.by_variant["paid_usd"].isna().all()
    assert comparison.trials["paid_attempts"].isna().all()
    assert "all attempts" not in str(comparison)
    assert "Paid" not in json.dumps(table_columns(comparison))


def test_several_variants_are_ranked_with_what_is_established() -> None:
    run = make_run({"A": [[0.5]] * 12, "B": [[0.9], [0.8]] * 6, "C": [[0.1], [0.2]] * 6})
    table = ranking_table(compare(run, baseline="A"))

    assert table is not None
    assert [(row[0], row[1], row[-1]) for row in table.rows] == [
        ("1", "B", "better"),
        ("2", "A", "baseline"),
        ("3", "C", "worse"),
    ]
    assert "Ranking of 3 variants" in bundle(run)["text/html"]
    assert ranking_table(compare(make_run({"A": [[1.0]], "B": [[1.0]]}), baseline="A")) is None


def test_variants_of_one_score_share_a_rank() -> None:
    run = make_run({"A": [[0.1]] * 3, "B": [[0.7]] * 3, "C": [[0.7]] * 3})
    table = ranking_table(compare(run, baseline="A"))

    assert table is not None
    assert [(row[0], row[1]) for row in table.rows] == [("1", "B"), ("1", "C"), ("3", "A")]


def test_a_variant_without_a_score_is_ranked_last_and_without_a_rank() -> None:
    run = make_run({"A": [[0.5]] * 3, "B": [[None]] * 3, "C": [[0.1]] * 3})
    table = ranking_table(compare(run, baseline="A"))

    assert table is not None
    assert table.rows[-1] == ("-", "B", "-", "-", "-", "no verdict")


def test_a_run_with_two_trials_of_one_attempt_is_refused() -> None:
    run = make_run({"A": [[1.0, 1.0]]})

    with pytest.raises(ComparisonError, match="two trials of task 'task-0', variant 'A', repeat 1"):
        compare(with_trials(run, run.trials[0], run.trials[1], run.trials[1]), baseline="A")


@pytest.mark.parametrize("which", [slice(0, 1), slice(1, 2), slice(0, 24)])
def test_made_up_replies_are_not_compared_with_a_models(which: slice) -> None:
    run = example()
    made_up = [trial.replace(endpoint=STAND_IN) for trial in run.trials[which]]
    mixed = replace(run, trials=(*run.trials[: which.start], *made_up, *run.trials[which.stop :]))

    for look in (compare, what_flipped):
        with pytest.raises(ComparisonError, match=r"made up by the offline stand-in \(.* of 'A'.*asked for others"):
            look(mixed, baseline="A")  # type: ignore[operator]
    with pytest.raises(ComparisonError, match=r"made.up.* not compared"):
        gate(mixed, "A")


def test_a_run_with_a_trial_that_was_not_planned_is_refused() -> None:
    run = make_run({"A": [[1.0]]})

    with pytest.raises(ComparisonError, match="did not plan: task 'task-0', variant 'Z'"):
        compare(with_trials(run, run.trials[0].replace(variant="Z")), baseline="A")


def test_printing_takes_no_heavy_library() -> None:
    code = """
import sys
from tests.runs import make_run
from workbench.comparison.static_tables import ranking_table, tasks_table
from workbench.comparison.tables import compare
comparison = compare(make_run({"A": [[1.0], [0.0]], "B": [[0.5], [0.0]]}), baseline="A")
assert comparison.verdict.text in str(comparison)
comparison._markdown()
print([name for name in ("pandas", "matplotlib", "scipy", "anthropic", "sqlalchemy") if name in sys.modules])
"""

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_previews_are_short_rows_for_a_screen_ready_for_json() -> None:
    run = make_run({"A": [[1.0, None]]}, groups=["g"], text=f"{HOSTILE} " + "word " * 1_000)
    comparison = compare(run, baseline="A")
    columns = {column.name: screen_values(column, comparison) for column in columns_of(comparison)}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    assert json.loads(json.dumps(columns)) == columns
    expected = {
        "variant": "A",
        "task": "task-0",
        "group": "g",
        "repeat": 0,
        "outcome": "answered",
        "score": 1.0,
        "promise: grade": 1.0,
        "flip": None,
        "model": "claude-haiku-4-5-20251001",
        "stop_reason": "end_turn",
        "input_tokens": 1500,
        "output_tokens": 200,
        "cache_written_tokens": 0,
        "cache_read_tokens": 500,
        "usd": pytest.approx(0.00205),
        **dict.fromkeys(PAID),
        "seconds_to_first_token": 0.5,
        "seconds": 2.0,
    }
    assert {name: rows[0][name] for name in expected} == expected
    assert [len(rows[0][name]) for name in ("reply", "explanation")] == [90, 300]
    assert rows[0]["reply"].startswith("<script>alert(1)</script> | a b<U+001B>[31m")
    assert [rows[1][name] for name in ("outcome", "score", "promise: grade", "usd", "reply")] == [
        "failed",
        None,
        None,
        None,
        "overloaded_error: Overloaded",
    ]


def test_a_cell_keeps_its_text_in_every_form() -> None:
    table = Table(title="T", headings=("a", "b"), rows=(("x|y", "1 < 2 & 3 * 4 &lt; c:\\d"),))
    page = BeautifulSoup(str(create_markdown(plugins=["table"])(markdown_table(table))), "html.parser")

    assert [cell.get_text() for cell in page.find_all("td")] == ["x|y", "1 < 2 & 3 * 4 &lt; c:\\d"]
    assert plain_table(table) == "T\na    b\nx|y  1 < 2 & 3 * 4 &lt; c:\\d\n"


def test_characters_that_cannot_be_seen_are_written_out() -> None:
    assert visible("a\x00b\u2066c\r\nd\te\ud800 👩‍💻") == "a<U+0000>b<U+2066>c d e<U+D800> 👩‍💻"
    assert html_text("<b>&\"'") == "&lt;b&gt;&amp;&quot;&#x27;"
    assert markdown_text("a_b \\(x\\) http://x") == "a\\_b <span>&#92;</span>(x<span>&#92;</span>) http\\://x"


def test_a_text_in_a_template_is_escaped_wherever_it_stands() -> None:
    shown = html(
        '<p title="{{ text }}">{{ text }}{% for one in [text] %}{{ one }}{% endfor %}<pre>{{ text | lines }}</pre>{{ kept }}</p>',
        text=f'"{HOSTILE}',
        kept=html_text("<b>"),
    )
    page = BeautifulSoup(shown, "html.parser")

    assert [found.name for found in page.find_all()] == ["p", "pre"]
    assert page.p is not None and str(page.p["title"]) == visible(f'"{HOSTILE}')
    assert "&lt;b&gt;" in shown
    shown.encode("utf-8")


def test_what_a_template_lacks_is_a_fault_and_not_an_empty_place() -> None:
    with pytest.raises(UndefinedError, match="nosuch"):
        html("<p>{{ nosuch }}</p>")
