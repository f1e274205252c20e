from __future__ import annotations

import base64
import math
from dataclasses import replace

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from mistune import create_markdown

from tests.runs import GROUPS, LIVE, PASSES_A, PASSES_B, STAND_IN, make_run, passes
from workbench.comparison.markup import Table, html_text, markdown_table, markdown_text, plain_table, visible
from workbench.comparison.tables import compare
from workbench.errors import ComparisonError
from workbench.trial.trial import Failure, Reply, Run, Score, Usage

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
    assert 0 < row["cost_usd"] < 1


def test_a_model_without_a_price_costs_an_unknown_amount() -> None:
    comparison = compare(example(model="some-model-of-tomorrow"), baseline="A")

    assert math.isnan(comparison.by_variant.loc["A", "cost_usd"])
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

    assert trials["score: grade"].tolist()[2:] == [0.5, 0.0]
    assert trials["outcome"].tolist() == ["answered", "failed", "answered", "answered"]
    assert trials.loc[0, "explanation"] == "grade: 100.0, found in A reply."
    assert trials.loc[1, "explanation"] == "overloaded_error: Overloaded"
    assert pd.isna(trials.loc[1, "score"])


def test_one_variant_has_scores_and_no_verdict() -> None:
    comparison = compare(make_run({"A": passes(PASSES_A)}), baseline="A")

    assert (comparison.verdict, comparison.verdicts) == (None, ())
    assert "scores without a verdict" in comparison._repr_mimebundle_()["text/markdown"]


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
    assert comparison.verdict.text in str(image["alt"])
    assert not page.find_all(["script", "style", "link", "iframe"])
    assert len(page.find_all("caption")) == len(page.find_all("table")) == 3


def test_markdown_has_the_verdict_and_tables_that_a_code_host_reads() -> None:
    text = bundle(example())["text/markdown"]
    page = BeautifulSoup(str(create_markdown(plugins=["table"])(text)), "html.parser")

    assert "promising, not established" in page.get_text()
    assert len(page.find_all("table")) == 2
    assert [len(row.find_all(["td", "th"])) for row in page.find_all("table")[1].find_all("tr")] == [5] * 13


def test_every_form_has_a_banner_where_the_stand_in_answered() -> None:
    offline, live = bundle(example(place=STAND_IN)), bundle(example(place=LIVE))

    assert all("OFFLINE STAND-IN, not a model" in text for text in offline.values())
    assert not any("STAND-IN" in text for text in live.values())
    assert "OFFLINE STAND-IN" in bundle(make_run({"A": [[1.0]]}, place=STAND_IN))["text/plain"]


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
    assert "$" not in text.replace("\\$", "")
    assert {len(row.find_all(["td", "th"])) for row in page.find_all("table")[1].find_all("tr")} == {5}
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

    assert "200 of 250 tasks; all are in .by_task." in page.get_text()
    assert "200 of 500 trials; all are in .trials." in page.get_text()
    assert len(compare(run, baseline="A").by_task) == 250


def test_a_cell_keeps_its_text_in_every_form() -> None:
    table = Table(title="T", headings=("a", "b"), rows=(("x|y", "1 < 2 & 3 * 4 &lt; c:\\d"),))
    page = BeautifulSoup(str(create_markdown(plugins=["table"])(markdown_table(table))), "html.parser")

    assert [cell.get_text() for cell in page.find_all("td")] == ["x|y", "1 < 2 & 3 * 4 &lt; c:\\d"]
    assert plain_table(table) == "T\na    b\nx|y  1 < 2 & 3 * 4 &lt; c:\\d\n"


def test_characters_that_cannot_be_seen_are_written_out() -> None:
    assert visible("a\x00b\u2066c\r\nd\te\ud800 👩‍💻") == "a<U+0000>b<U+2066>c d e<U+D800> 👩‍💻"
    assert html_text("<b>&\"'") == "&lt;b&gt;&amp;&quot;&#x27;"
    assert markdown_text("a_b \\(x\\) http://x") == "a\\_b &#92;(x\\\\) http\\://x"
