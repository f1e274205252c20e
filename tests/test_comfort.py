"""No sentence about a comparison comforts where a promise is worse, or seems so, and what is identical is called so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner

from tests.runs import STAND_IN, make_run, passes
from workbench.cli import main
from workbench.comparison.change_tables import change_tables
from workbench.comparison.compared import COLLAPSE
from workbench.comparison.figures import IDENTICAL_REPLIES, IDENTICAL_SCORES
from workbench.comparison.flips import NONE_FLIPPED
from workbench.comparison.provenance import provenance
from workbench.comparison.report.page import page_head
from workbench.comparison.report.summary import summary, unlinked
from workbench.comparison.review import review_runs
from workbench.comparison.tables import compare
from workbench.headless.left_record import LeftRecord
from workbench.trial.record import export_record
from workbench.trial.trial import Run, Score

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def kept(run: Run, **by_variant: Callable[[int], float]) -> Run:
    """Each reply scored by the promise "asks", as this says of the number of its task, and by "plans" the other way
    round: the whole stays at 50 points."""
    rows = {task.id: number for number, task in enumerate(run.tasks)}

    def scored(trial_variant: str, task: str) -> dict[str, Score]:
        value = by_variant[trial_variant](rows[task])
        return {"asks": Score(value=value, explanation=""), "plans": Score(value=1 - value, explanation="")}

    return replace(run, trials=tuple(each.replace(scores=scored(each.variant, each.task_id)) for each in run.trials))


def of_tasks(count: int, fall: Callable[[int], float], *, same: bool = False) -> Run:
    made = make_run({"base": passes([4] * count), "new": passes([4] * count)}, same_prompt=same)
    return kept(made, base=lambda _: 1.0, new=fall)


COLLAPSED = of_tasks(3, lambda number: (0.5, 0.25, 0.75)[number])
"""By 50 points on three tasks: nothing can be shown on so few, and no task flips."""


@pytest.mark.parametrize(
    ("run", "begins"),
    [
        (of_tasks(12, lambda number: 0.1 * (number % 3)), "Shown to be worse: asks (new), whatever the whole says."),
        (
            of_tasks(6, lambda number: 0.25 if number % 3 else 0.9),
            "May be worse, not established: asks (new).",
        ),
        (COLLAPSED, f"Fell by {100 * COLLAPSE:.1f} points or more, not shown: asks (new) by 50.0."),
    ],
    ids=["shown", "may be", "on few tasks"],
)
def test_a_promise_that_is_worse_or_seems_so_stands_beside_each_sentence_about_the_whole(run: Run, begins: str) -> None:
    comparison, found = compare(run, baseline="base"), provenance(run)
    assert comparison.verdict is not None and comparison.verdict.kind == "no difference shown"
    reviewed = review_runs(run, run, variants=("base", "new"))

    assert comparison.warning == begins
    assert begins in comparison.sentences, "on the terminal, in the cell of the verdict, in the index of a batch"
    assert begins in str(comparison)
    assert unlinked(begins) in summary(comparison, found)
    [warning] = BeautifulSoup(page_head(comparison, found), "html.parser").select(".warning, .verdict.bad")
    assert warning.get_text().endswith(begins)
    assert LeftRecord(comparison=comparison, found=found).tried.warning == begins
    of_review = begins.replace("(new)", "(after)")
    for text in (str(reviewed), reviewed.sentences[0], reviewed.to_json()["variants"][0]["warning"]):
        assert of_review in text
    assert unlinked(of_review) in reviewed.markdown()
    assert of_review in BeautifulSoup(reviewed.html(), "html.parser").get_text()


def test_that_no_task_flipped_says_nothing_of_promises() -> None:
    comparison = compare(COLLAPSED, baseline="base")

    assert not comparison.flipped.flipped
    for text in (summary(comparison, provenance(COLLAPSED)), *comparison.flipped._repr_mimebundle_().values()):
        assert NONE_FLIPPED in text and "No task flipped." not in text


def test_a_title_that_counts_what_is_worse_counts_what_may_be_too() -> None:
    run = of_tasks(6, lambda number: 0.25 if number % 3 else 0.9)

    assert "0 of 2 rows shown to be worse, 1 may be" in str(compare(run, baseline="base"))


def test_noise_and_made_up_replies_warn_of_nothing() -> None:
    twins = of_tasks(3, lambda number: 0.25, same=True)
    made_up = replace(
        COLLAPSED, endpoint=STAND_IN, trials=tuple(t.replace(endpoint=STAND_IN) for t in COLLAPSED.trials)
    )

    assert compare(twins, baseline="base").warning == compare(made_up, baseline="base").warning == ""


def said(run: Run, **texts: str) -> Run:
    """Each variant's replies with a text of its own."""
    return replace(
        run,
        trials=tuple(
            each if each.reply is None else each.replace(reply=replace(each.reply, text=texts[each.variant]))
            for each in run.trials
        ),
    )


@pytest.mark.parametrize("same_prompt", [False, True])
@pytest.mark.parametrize(("texts", "shown"), [(("x", "x"), IDENTICAL_REPLIES), (("x", "y"), IDENTICAL_SCORES)])
def test_what_is_identical_is_called_identical(texts: tuple[str, str], shown: str, same_prompt: bool) -> None:
    run = said(
        make_run({"a": passes([3, 1, 4]), "b": passes([3, 1, 4])}, same_prompt=same_prompt), a=texts[0], b=texts[1]
    )
    comparison = compare(run, baseline="a")
    verdict = comparison.verdict

    assert verdict is not None and (verdict.kind, verdict.shown_kind) == ("no difference shown", shown)
    assert f": {shown}." in verdict.text and "no difference shown" not in verdict.text
    assert "o difference" not in verdict.headline and len(verdict.headline.split()) <= 19
    assert ("identical" in verdict.headline) is (not same_prompt or shown == IDENTICAL_REPLIES), verdict.headline
    assert shown in summary(comparison, provenance(run)).lower()


def test_rows_of_promises_and_measures_that_are_the_same_everywhere_say_identical() -> None:
    run = said(
        kept(make_run({"base": passes([4] * 4), "new": passes([4] * 4)}), base=lambda n: n / 4, new=lambda n: n / 4),
        base="x",
        new="x",
    )
    comparison = compare(run, baseline="base")
    rows = [row for table in change_tables(comparison) for row in table.rows]

    assert all(change.identical for change in comparison.promises)
    assert {row[-1] for row in rows if row[0] in ("asks", "plans", "Words")} == {"identical"}
    moved = compare(COLLAPSED, baseline="base")
    assert not any(change.identical for change in moved.promises)


def test_equal_replies_that_nothing_grades_are_called_identical() -> None:
    run = make_run({"a": passes([4] * 3), "b": passes([4] * 3)})
    run = replace(run, trials=tuple(each.replace(scores={}) for each in run.trials))
    verdict = compare(run, baseline="a").verdict

    assert verdict is not None and verdict.kind == "not graded"
    assert "all their replies are identical" in verdict.headline


def test_one_reply_that_differs_is_no_identity() -> None:
    run = said(make_run({"a": passes([4] * 3), "b": passes([4, 4, 3])}), a="x", b="x")
    verdict = compare(run, baseline="a").verdict

    assert verdict is not None and verdict.identical == "" and verdict.shown_kind == "no difference shown"


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    before = make_run({"base": passes([4] * 12), "new": passes([4] * 12)})
    export_record(before, tmp_path / "old")
    export_record(
        said(make_run({"base": passes([4] * 12), "new": passes([0] * 12)}), base="x", new="y"), tmp_path / "new"
    )
    return tmp_path


def test_what_changed_since_an_earlier_run_is_json_too(records: Path) -> None:
    done = CliRunner().invoke(main, ["review", "old", "new", "--json"])
    found = json.loads(done.stdout)

    assert done.exit_code == 0 and found["names"] == ["old", "new"]
    by_name = {each["after"]: each for each in found["variants"]}
    assert by_name.keys() == {"base", "new"} and by_name["new"]["verdict"]["baseline"] == "before"
    assert found["sentences"][0].startswith("new: old (before) and new (after): ")


def test_the_notebook_of_a_review_says_what_changed_since_in_the_cell_of_its_verdict() -> None:
    cells = {cell.id: cell for cell in nbformat.read(NOTEBOOKS / "review.ipynb", as_version=4).cells}

    assert "verdict" in cells["verdict"].metadata.tags
    assert cells["verdict"].source.startswith("if before:\n    print(*since.sentences")


def test_two_agent_files_are_sent_to_what_compares_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.md", "b.md"):
        Path(name).write_text("---\nname: x\ndescription: d\n---\nBe.\n", encoding="utf-8")
    done = CliRunner().invoke(main, ["review", "a.md", "b.md"])

    assert done.exit_code == 2
    assert "a.md: is an agent file" in done.output and "`workbench compare b.md --with a.md`" in done.output


def test_a_gate_says_how_a_variant_is_named_where_the_baseline_run_has_others(records: Path) -> None:
    other = make_run({"base": passes([4] * 12), "second": passes([4] * 12)})
    export_record(other, records / "other")
    done = CliRunner().invoke(main, ["gate", "new", "--baseline", "other"])

    assert done.exit_code == 2 and "(--variant)" in done.output and "'second'" in done.output
