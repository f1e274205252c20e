"""The verdict promise by promise, and the gate's guards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tests.runs import LIVE, PASSES_A, PASSES_B, STAND_IN, make_run, passes
from workbench.cli import EXIT_REFUSED, EXIT_WORSE, main
from workbench.comparison.change_tables import MOST_PROMISES_SHOWN, promises_table
from workbench.comparison.columns import trial_columns
from workbench.comparison.gate import gate, guards_from_texts
from workbench.comparison.promises import PromiseChange, promise_changes
from workbench.comparison.report.write import write_report
from workbench.comparison.review import review_runs
from workbench.comparison.tables import compare
from workbench.comparison.verdict import Kind
from workbench.errors import ComparisonError
from workbench.trial.record import export_record
from workbench.trial.task import GraderSpec
from workbench.trial.trial import Run, Score

Kept = Sequence[Sequence[float | None]]
"""Scores by one promise, tasks by repeats; `None`: its grader declined."""


def run_of(promises: Mapping[str, tuple[Kept, Kept]], *, same_prompt: bool = False) -> Run:
    """A run of A and B with these scores by each promise; a row of no scores is a task that is not held to it."""
    rows = len(next(iter(promises.values()))[0])
    repeats = max(len(row) for kept in promises.values() for row in kept[0])
    run = make_run({name: [[1.0] * repeats] * rows for name in "AB"}, same_prompt=same_prompt)
    trials = []
    for trial in run.trials:
        row, side = int(trial.task_id.partition("-")[2]), "AB".index(trial.variant)
        scores = {
            promise: Score(value=kept[side][row][trial.repeat], explanation="")
            for promise, kept in promises.items()
            if kept[side][row]
        }
        trials.append(trial.replace(scores=scores))
    return replace(run, trials=tuple(trials))


def changes_of(run: Run) -> dict[str, PromiseChange]:
    return {change.promise: change for change in promise_changes(trial_columns(run), baseline="A")}


FELL: tuple[Kept, Kept] = ([[1.0, 1.0, 1.0, 0.5]] * 12, [[0.0] * 4] * 12)
ROSE: tuple[Kept, Kept] = ([[0.0] * 4] * 12, [[1.0] * 4] * 12)


def improved_but_for_one() -> Run:
    """Better as a whole, while one promise of five fell from 0.88 to 0."""
    return run_of({"asks": FELL, **{f"rose {number}": ROSE for number in range(4)}})


class TestAPromise:
    def test_that_fell_is_seen_beside_a_whole_that_rose(self) -> None:
        comparison = compare(improved_but_for_one(), baseline="A")
        worst = comparison.promises[0]

        assert comparison.verdicts[0].kind == "better"
        assert (worst.promise, worst.kind, worst.before, worst.after) == ("asks", "worse", 0.875, 0.0)
        assert [change.kind for change in comparison.promises[1:]] == ["better"] * 4

    def test_is_tested_as_scipy_does_and_corrected_as_statsmodels_does(self) -> None:
        run = run_of(
            {
                "first": (passes(PASSES_A), passes(PASSES_B)),
                "second": (passes(PASSES_B), passes(PASSES_A)),
                "third": (passes(PASSES_A), passes(tuple(reversed(PASSES_A)))),
            }
        )
        found = changes_of(run)
        d = (np.array(PASSES_B) - np.array(PASSES_A)) / 4
        third = (np.array(PASSES_A[::-1]) - np.array(PASSES_A)) / 4
        by_t = [stats.ttest_1samp(each, 0).pvalue for each in (d, -d, third)]
        flips = [
            stats.permutation_test((each,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
            for each in (d, -d, third)
        ]

        assert (found["first"].effect, found["second"].effect) == pytest.approx((1 / 6, -1 / 6))
        assert found["first"].interval is not None
        assert (found["first"].interval.low, found["first"].interval.high) == pytest.approx((0.0256741, 0.3076592))
        assert [found[name].t_p for name in ("first", "second", "third")] == pytest.approx(
            multipletests(by_t, method="holm")[1]
        )
        assert [found[name].sign_flip_p for name in ("first", "second", "third")] == pytest.approx(
            multipletests(flips, method="holm")[1]
        )
        assert {change.comparisons for change in found.values()} == {3}

    def test_on_some_of_the_tasks_is_compared_over_those(self) -> None:
        some: tuple[Kept, Kept] = ([[1.0]] * 5 + [[]] * 7, [[0.0]] * 5 + [[]] * 7)
        found = changes_of(run_of({"some": some, "all": ([[1.0]] * 12, [[1.0]] * 12)}))

        assert (found["some"].tasks, found["some"].effect, found["some"].obstacle) == (5, -1.0, "")
        assert found["some"].sign_flip_p == 2 / 2**5  # which five tasks cannot bring below
        assert found["some"].kind == "may be worse"

    def test_on_one_task_is_not_compared(self) -> None:
        one: tuple[Kept, Kept] = ([[1.0]] + [[]] * 11, [[0.0]] + [[]] * 11)
        found = changes_of(run_of({"one": one, "all": ([[1.0]] * 12, [[1.0]] * 12)}))

        assert (found["one"].kind, found["one"].effect) == ("not compared", None)
        assert found["one"].obstacle == "1 task with scores of both; it takes at least 2"

    def test_that_never_varies_has_an_interval_and_counts_in_no_correction(self) -> None:
        found = changes_of(run_of({"kept": ([[1.0] * 4] * 12,) * 2, "fell": FELL, "never": ([[0.0] * 4] * 12,) * 2}))

        assert found["kept"].interval is not None and found["kept"].interval.high == pytest.approx(0.2424940)
        assert (found["kept"].kind, found["kept"].t_p) == ("no difference shown", 1.0)
        assert found["fell"].comparisons == 1

    def test_on_which_its_grader_declined_for_one_of_the_two_is_not_compared(self) -> None:
        declines: Kept = [[1.0]] * 4 + [[None]] * 8
        found = changes_of(run_of({"parses": ([[1.0]] * 12, declines), "other": ([[1.0]] * 12, [[1.0]] * 12)}))

        assert found["parses"].kind == "not compared"
        assert found["parses"].obstacle == "its grader declined on 0 replies of the one and 8 of the other, of 12 each"

    def test_on_which_its_grader_declined_alike_is_compared_over_the_rest(self) -> None:
        declines: Kept = [[1.0]] * 9 + [[None]] * 3
        found = changes_of(run_of({"parses": (declines, declines)}))

        assert (found["parses"].tasks, found["parses"].declined, found["parses"].obstacle) == (9, 6, "")

    def test_whose_attempts_were_lost_by_one_of_the_two_is_not_compared(self) -> None:
        run = make_run({"A": [[1.0]] * 12, "B": [[None]] * 3 + [[1.0]] * 9})
        [change] = promise_changes(trial_columns(run), baseline="A")

        assert change.kind == "not compared"
        assert change.obstacle == "0 and 3 of 12 attempts went unanswered: more than 5 % are missing"

    def test_of_two_that_send_the_same_is_never_worse(self) -> None:
        found = changes_of(run_of({"asks": FELL}, same_prompt=True))

        assert found["asks"].kind == "no difference shown"

    def test_stands_in_every_form_the_worst_first(self, tmp_path: Path) -> None:
        comparison = compare(improved_but_for_one(), baseline="A")
        write_report(comparison, tmp_path, formats=["html", "md", "csv", "json"])
        review = review_runs(comparison.run, comparison.run, variants=("A", "B"))
        forms = [
            *comparison._repr_mimebundle_().values(),
            *((tmp_path / name).read_text() for name in ("report.html", "summary.md", "promises.csv")),
            str(review),
            review.markdown(),
            review.html(),
        ]

        assert all("asks" in form and form.index("asks") < form.index("rose 0") for form in forms)
        assert all("87.5" in form for form in forms if "before" not in form.partition("\n")[0])
        written = json.loads((tmp_path / "comparison.json").read_text())["promises"]
        assert written[0]["promise"] == "asks"
        assert written[0]["interval"] is not None
        table = promises_table(comparison.promises)
        assert table is not None and "1 of 5 rows shown to be worse" in table.title
        assert "corrected by Holm for 5 rows in which anything differs" in table.note


def test_a_table_of_promises_counts_those_on_too_few_tasks_and_those_beyond_its_length() -> None:
    one: tuple[Kept, Kept] = ([[1.0]] + [[]] * 11, [[0.0]] + [[]] * 11)
    every: tuple[Kept, Kept] = ([[1.0]] * 12, [[0.0]] * 12)
    promises = {f"all {number}": every for number in range(MOST_PROMISES_SHOWN + 2)} | {"one": one, "two": one}
    table = promises_table(compare(run_of(promises), baseline="A").promises)

    assert table is not None and len(table.rows) == MOST_PROMISES_SHOWN
    assert f"of {MOST_PROMISES_SHOWN + 2} rows shown to be worse, {MOST_PROMISES_SHOWN} listed" in table.title
    assert "2 rows on fewer than 2 tasks left out, and not compared." in table.note
    assert f"{MOST_PROMISES_SHOWN} of {MOST_PROMISES_SHOWN + 2} are shown; all are in .by_promise." in table.note


class TestAGuard:
    def test_lets_a_run_pass_that_keeps_its_promise(self) -> None:
        found = gate(improved_but_for_one(), "A", guards={"rose 1": None})

        assert (found.decision, found.guards[0].decision, found.guards[0].margin) == ("passes", "passes", 0.05)
        assert found.warnings == (
            'Warning: the promise "asks" is shown to be worse, from 87.5 to 0.0 points over 12 tasks '
            "(corrected for 5 promises by Holm).",
        )
        assert found.text.endswith(found.warnings[0])

    def test_stops_a_run_that_does_not(self) -> None:
        found = gate(improved_but_for_one(), "A", guards={"asks": 0.2, "rose 1": None})

        assert found.decision == "fails"
        assert [(guard.promise, guard.margin, guard.decision) for guard in found.guards] == [
            ("asks", 0.2, "fails"),
            ("rose 1", 0.05, "passes"),
        ]
        assert 'Guard "asks" fails, margin 20.0 points.' in found.text

    def test_has_the_one_sided_bounds_of_its_own_scores(self) -> None:
        run = run_of({"p": (passes(PASSES_A), passes(PASSES_B)), "q": ([[1.0] * 4] * 12,) * 2})
        [guard] = gate(run, "A", margin=0.5, guards={"p": 0.1}).guards
        low, high = stats.t(11, loc=1 / 6, scale=0.0640588).interval(0.9)

        assert (guard.low, guard.high) == pytest.approx((low, high), abs=1e-6)
        assert (guard.decision, guard.tasks) == ("passes", 12)

    def test_on_too_few_tasks_or_unlike_replies_decides_nothing(self) -> None:
        some: tuple[Kept, Kept] = ([[1.0]] * 5 + [[]] * 7, [[1.0]] * 5 + [[]] * 7)
        declines: tuple[Kept, Kept] = ([[1.0]] * 12, [[1.0]] * 4 + [[None]] * 8)
        run = run_of({"some": some, "parses": declines, "all": ([[1.0]] * 12, [[1.0]] * 12)})

        for promise in ("some", "parses"):
            found = gate(run, "A", margin=0.5, guards={promise: None})
            assert (found.decision, found.guards[0].decision) == ("not enough data", "not enough data")

    def test_of_a_promise_that_nobody_made_is_refused_with_those_that_are(self) -> None:
        with pytest.raises(
            ComparisonError, match="no reply was held to a promise 'aks'; the promises are 'asks', 'rose 0'"
        ):
            gate(improved_but_for_one(), "A", guards={"aks": None})

    @pytest.mark.parametrize("margin", [0.0, 1.0, -0.1, float("nan")])
    def test_with_a_margin_that_is_none_is_refused(self, margin: float) -> None:
        with pytest.raises(ComparisonError, match="the margin is"):
            gate(improved_but_for_one(), "A", guards={"asks": margin})

    def test_is_read_from_a_command_line_with_colons_in_labels(self) -> None:
        labels = ("Asks: first", "rate:0.5", "plain")

        assert guards_from_texts(["Asks: first:0.1", "rate:0.5", "plain"], labels) == {
            "Asks: first": 0.1,
            "rate:0.5": None,
            "plain": None,
        }
        assert guards_from_texts(["Asks: first"], labels) == {"Asks: first": None}
        assert guards_from_texts(["rate:0.5:0.3"], labels) == {"rate:0.5": 0.3}
        with pytest.raises(ComparisonError, match="guarded twice"):
            guards_from_texts(["plain", "plain:0.1"], labels)

    def test_is_named_on_the_command_line(self, tmp_path: Path) -> None:
        spec = GraderSpec(name="word_count", promise="Short", options={"at_most": 5})
        run = make_run({"A": [[1.0]] * 12, "B": [[1.0]] * 12}, endpoint=LIVE, text="Four words are here.")
        run = replace(run, tasks=tuple(replace(task, graders=(spec,)) for task in run.tasks))
        wordy = tuple(
            trial.replace(reply=replace(trial.reply, text="word " * 20))
            if trial.variant == "B" and trial.reply is not None
            else trial
            for trial in run.trials
        )
        record = str(export_record(replace(run, trials=wordy), tmp_path / "record"))

        def call(*arguments: str):  # type: ignore[no-untyped-def]
            return CliRunner().invoke(main, ["gate", record, "--baseline", "A", *arguments])

        failed = call("--guard", "Short:0.2", "--json")
        assert failed.exit_code == EXIT_WORSE, failed.output
        found = json.loads(failed.stdout)
        assert [guard["decision"] for guard in found["guards"]] == ["fails"]
        assert [change["kind"] for change in found["promises"]] == ["worse"]
        assert len(found["warnings"]) == 1
        assert 'Guard "Short" fails' in call("--guard", "Short").output
        assert call("--guard", "Long").exit_code == EXIT_REFUSED


def labelled(run: Run) -> list[Run]:
    """The run as it is, answered by the stand-in, without the last attempt of each variant, and both."""
    last = (run.tasks[-1].id, run.repeats - 1)
    stopped = replace(run, trials=tuple(trial for trial in run.trials if (trial.task_id, trial.repeat) != last))
    return [run, made_up(run), stopped, made_up(stopped)]


def made_up(run: Run) -> Run:
    return replace(run, endpoint=STAND_IN, trials=tuple(trial.replace(endpoint=STAND_IN) for trial in run.trials))


def ungraded(before: Sequence[str], after: Sequence[str], *, same_prompt: bool = False) -> Run:
    """A run without graders in which A and B answered this, task by task."""
    texts = {"A": before, "B": after}
    run = make_run({name: [[1.0] * 4] * len(before) for name in "AB"}, same_prompt=same_prompt)
    trials = []
    for trial in run.trials:
        assert trial.reply is not None
        text = texts[trial.variant][int(trial.task_id.partition("-")[2])]
        trials.append(trial.replace(scores={}, reply=replace(trial.reply, text=text)))
    return replace(run, trials=tuple(trials))


def test_the_sentence_that_is_met_first_has_at_most_25_words_with_its_labels() -> None:
    never, often = ["No. Or yes."] * 12, ["No? Or yes?", "No? Or yes."] * 6
    seldom = [*often[:7], *never[7:]]
    words = ["word " * (20 + row) for row in range(12)]
    fewer = ["word " * (15 + row // 2) for row in range(12)]
    runs = [
        make_run({"A": passes(PASSES_A), "B": passes(PASSES_B)}),
        make_run({"A": passes(PASSES_B), "B": passes(PASSES_A)}),
        make_run({"A": [[0.0] * 4] * 12, "B": [[1.0] * 4] * 12}),
        make_run({"A": [[1.0] * 4] * 12, "B": [[0.0] * 4] * 12}),
        make_run({"A": [[1.0] * 4] * 12, "B": [[1.0] * 4] * 12}),
        make_run({"A": [[1.0] * 4] * 12, "B": [[1.0] * 4] * 12}, same_prompt=True),
        make_run({"A": [[1.0]] * 12, "B": [[None]] * 12}),
        make_run({"A": [[1.0]], "B": [[1.0]]}),
        ungraded(words, fewer),
        ungraded(never, often),
        ungraded(never, seldom),
        ungraded(never, never),
        ungraded(never, often, same_prompt=True),
        ungraded(never[:1], often[:1]),
    ]
    verdicts = [compare(form, baseline="A").verdicts[0] for run in runs for form in labelled(run)]
    headlines = [verdict.headline for verdict in verdicts]

    assert {each.kind for each in verdicts if each.stand_in and each.exploratory} == set(get_args(Kind))
    assert any("measures differ;" in h for h in headlines) and any("may differ;" in h for h in headlines)
    assert [headline for headline in headlines if len(headline.split()) > 25] == []
    assert not [h for h in headlines if any(word in h for word in ("sign-flip", "mid-p", "by t", "Holm"))]
    assert all(each.headline.startswith("OFFLINE STAND-IN, no model. ") == each.stand_in for each in verdicts)
    assert all(("EXPLORATORY, unfinished. " in each.headline) == each.exploratory for each in verdicts)


def test_beside_every_verdict_stands_how_it_is_decided(tmp_path: Path) -> None:
    comparison = compare(make_run({"A": passes(PASSES_A), "B": passes(PASSES_B)}), baseline="A")
    write_report(comparison, tmp_path, formats=["html", "md"])
    review = review_runs(comparison.run, comparison.run, variants=("A", "B"))
    forms = [
        *comparison._repr_mimebundle_().values(),
        *comparison.sentences[-1:],
        *((tmp_path / name).read_text() for name in ("report.html", "summary.md")),
        str(review),
        review.markdown(),
        review.html(),
    ]

    assert [form for form in forms if "How a verdict is reached" not in unescape(form)] == []
    assert [form for form in forms if "how it is decided" not in form.lower()] == []


def test_every_verdict_of_a_page_has_a_link_that_opens_its_rules(tmp_path: Path) -> None:
    run = make_run({name: passes(PASSES_A) for name in ("A", "B", "C")})
    other = make_run({name: passes(PASSES_B) for name in ("A", "B", "C")}, same_prompt=True)
    write_report(compare(run, baseline="A"), tmp_path, formats=["html"])

    for page in ((tmp_path / "report.html").read_text(), review_runs(run, other).html()):
        soup = BeautifulSoup(page, "html.parser")
        links = soup.select("p.verdict a")
        targets = [soup.select(str(link["href"])) for link in links]

        assert len(links) == len(soup.select("p.verdict")) >= 2
        assert [len(found) for found in targets] == [1] * len(links)
        assert all("How a verdict is reached" in found.get_text() for [found] in targets)
        assert all(found.find_parent("details") is not None for [found] in targets)
