"""The results table from the side of Python: which rows, what a page is sent, what is left without a kernel."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from typing import Any

import numpy as np
import pytest

import workbench as wb
from tests.hostile import TEXT, hostile_run
from tests.runs import GROUPS, LIVE, PASSES_A, PASSES_B, STAND_IN, make_run, passes
from workbench.comparison.differences.reply_pair import compare_trials
from workbench.comparison.rows import Rows, find_rows
from workbench.comparison.static_tables import MOST_TRIALS_SHOWN
from workbench.comparison.tables import Comparison
from workbench.errors import ComparisonError
from workbench.trial.trial import Endpoint, Run, Score
from workbench.widgets.results import ResultsTable
from workbench.widgets.results_data import FIRST_PIECE, table_columns
from workbench.widgets.results_view import ResultsView
from workbench.widgets.trial_text import opened


def compared(endpoint: Endpoint = LIVE, **said: str) -> Comparison:
    """Twelve tasks, two variants, four repeats; what the first trials of a variant replied may be given."""
    run = make_run({"base": passes(PASSES_A), "terse": passes(PASSES_B)}, groups=GROUPS, endpoint=endpoint)
    return wb.compare(saying(run, **said), baseline="base")


def saying(run: Run, **said: str) -> Run:
    trials = list(run.trials)
    for variant, text in said.items():
        at = next(number for number, trial in enumerate(trials) if trial.variant == variant)
        reply = trials[at].reply
        assert reply is not None
        trials[at] = trials[at].replace(reply=dataclasses.replace(reply, text=text))
    return dataclasses.replace(run, trials=tuple(trials))


def failing() -> Comparison:
    """Three tasks: "task-1" now fails, "task-2" now passes; the last trial of each variant failed."""
    scores = {"base": [[1.0, 1.0], [1.0, 1.0], [0.0, None]], "terse": [[1.0, 1.0], [0.0, 0.0], [1.0, None]]}
    return wb.compare(make_run(scores), baseline="base")  # type: ignore[arg-type]


def tasks(comparison: Comparison, **rows: Any) -> list[str]:
    return comparison.by_task.iloc[find_rows(comparison, Rows(of="tasks", **rows))].index.tolist()


class Page:
    """The half of a view that is in a browser: what it is sent, and what it says."""

    def __init__(self, table: ResultsTable, monkeypatch: pytest.MonkeyPatch) -> None:
        self.view = table._open_view()
        self.heard: list[dict[str, Any]] = []
        monkeypatch.setattr(self.view, "send", lambda content, buffers=None: self.heard.append(content))

    def ask(self, **changes: Any) -> None:
        self.view.set_state({"asked": {**self.view.asked, **changes, "number": self.view.asked["number"] + 1}})

    def say(self, **content: Any) -> dict[str, Any]:
        self.view._handle_custom_msg(content, [])
        return self.heard[-1]

    @property
    def order(self) -> list[int]:
        assert self.view.answered == self.view.asked["number"]
        return np.frombuffer(self.view.order, dtype="<i4").tolist()


@pytest.fixture
def table() -> ResultsTable:
    return ResultsTable(compared(terse="Only this one says Kumquat."))


@pytest.fixture
def page(table: ResultsTable, monkeypatch: pytest.MonkeyPatch) -> Page:
    return Page(table, monkeypatch)


def test_what_flipped_is_found_in_both_directions() -> None:
    comparison = failing()

    assert tasks(comparison, flipped="now fails") == ["task-1"]
    assert tasks(comparison, flipped="now passes") == ["task-2"]
    assert tasks(comparison, flipped="either") == ["task-1", "task-2"]
    chosen = comparison.trials.iloc[find_rows(comparison, Rows(flipped="now fails"))]
    assert set(chosen["variant"]) == {"base", "terse"}


def test_filters_are_about_trials_and_a_task_is_found_by_any_of_its_trials() -> None:
    comparison = failing()

    assert tasks(comparison, outcome="failed") == ["task-2"]
    assert tasks(comparison, variant="terse", scored="failed") == ["task-1"]
    assert find_rows(comparison, Rows(scored="missing")).tolist() == [9, 11]
    assert find_rows(comparison, Rows(task="task-1", variant="base")).tolist() == [4, 5]
    assert find_rows(comparison, Rows(of="variants", scored="failed", task="task-1")).tolist() == [1]


def test_a_grader_that_declined_looked_at_the_trial() -> None:
    run = make_run({"base": [[1.0], [0.0], [1.0]]})
    strict = {**run.trials[1].scores, "strict": Score(value=None, explanation="nothing to say")}
    trials = (run.trials[0], run.trials[1].replace(scores=strict), run.trials[2])
    comparison = wb.compare(dataclasses.replace(run, trials=trials), baseline="base")

    assert find_rows(comparison, Rows(promise="strict")).tolist() == [1]
    assert find_rows(comparison, Rows(promise="strict", scored="missing")).tolist() == [1]
    assert find_rows(comparison, Rows(promise="grade", scored="passed")).tolist() == [0, 2]


@pytest.mark.parametrize("text", ["kumquat", "KUMQUAT", "says Kum"])
def test_replies_are_searched_whole_and_without_regard_to_capitals(table: ResultsTable, text: str) -> None:
    (row,) = find_rows(table.comparison, Rows(text=text))

    assert table.comparison.run.trials[row].variant == "terse"


def test_task_message_group_and_failure_are_searched() -> None:
    assert tasks(compared(), text="question 11") == ["task-11"]
    assert tasks(compared(), text="GROUP 3") == ["task-9", "task-10", "task-11"]
    assert find_rows(failing(), Rows(text="overloaded")).tolist() == [9, 11]


@pytest.mark.parametrize("of", ["variants", "tasks", "trials"])
def test_every_column_of_a_page_sorts_and_what_is_missing_comes_last(of: str) -> None:
    comparison = failing()
    for column in table_columns(comparison)[of]:
        for descending in (False, True):
            rows = Rows(of=of, sort=column["name"], descending=descending)  # type: ignore[arg-type]
            found = find_rows(comparison, rows)
            assert sorted(found.tolist()) == list(range(len(found)))
    scores = comparison.trials["score"].iloc[find_rows(comparison, Rows(sort="score", descending=True))]
    assert scores.tolist()[:10] == sorted(scores.tolist()[:10], reverse=True)
    assert scores.isna().tolist()[10:] == [True, True]


def test_names_are_sorted_by_the_numbers_in_them_and_equal_rows_keep_their_order() -> None:
    names = tasks(compared(), sort="task", descending=True)

    assert names[:3] == ["task-11", "task-10", "task-9"]
    by_group = tasks(compared(), sort="group", descending=True)
    assert by_group[:4] == ["task-9", "task-10", "task-11", "task-6"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (Rows(variant="draft"), "no variant 'draft'; it has 'base', 'terse'"),
        (Rows(task="task-99"), "no task 'task-99'; it has 'task-0', .* and more"),
        (Rows(promise="judge"), "no promise 'judge'; it has 'grade'"),
        (Rows(of="tasks", sort="usd"), "the tasks have no column 'usd' to sort by; they have 'task', 'group'"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(rows: Rows, says: str) -> None:
    with pytest.raises(ComparisonError, match=says):
        find_rows(compared(), rows)


def test_rows_are_written_as_one_writes_them() -> None:
    rows = Rows(of="tasks", flipped="now fails", sort="task")

    assert repr(rows) == "Rows(of='tasks', flipped='now fails', sort='task')"
    assert eval(repr(rows), {"Rows": wb.Rows}) == rows


def test_what_is_clicked_can_be_read_as_values(table: ResultsTable, page: Page) -> None:
    names = [column["name"] for column in table_columns(table.comparison)["trials"]]
    page.ask(of="trials", variant=1, scored="failed", sort=names.index("repeat"), descending=True)
    page.view.set_state({"opened": 3, "marked": [3, 7]})

    assert table.rows == Rows(variant="terse", scored="failed", sort="repeat", descending=True)
    assert page.order == find_rows(table.comparison, table.rows).tolist()
    assert table.shown.equals(table.comparison.trials.iloc[page.order])
    assert page.view.says == f"wb.ResultsTable(comparison, wb.{table.rows!r})"
    assert table.opened is table.comparison.run.trials[3]
    assert table.selected == (table.comparison.run.trials[3], table.comparison.run.trials[7])


def test_what_is_set_in_a_cell_is_shown(table: ResultsTable, page: Page) -> None:
    table.show(table.rows.replace(of="trials", text="kumquat"))
    trial = table.comparison.run.trials[page.order[0]]
    table.open(trial.key)
    table.select(trial, table.comparison.run.trials[0])

    assert page.view.asked["text"] == "kumquat"
    assert page.view.opened == page.order[0]
    assert page.view.marked == [page.order[0], 0]
    table.close()
    table.select()
    assert (page.view.opened, page.view.marked, table.pair) == (None, [], None)


def test_a_trial_is_opened_by_its_key_its_first_digits_or_a_link(table: ResultsTable) -> None:
    trial = table.comparison.run.trials[17]

    for wanted in (
        trial,
        trial.key,
        trial.key[:12],
        f"http://host:8888/lab/tree/12345678.ipynb#workbench-trial={trial.key}",
    ):
        assert table.open(wanted) is trial
    assert table.opened is trial
    for unknown in ("0123456789abcdef", "task-0", ""):
        with pytest.raises(ComparisonError, match="the run has no trial for"):
            table.open(unknown)


def test_a_link_to_a_trial_of_another_table_does_nothing(table: ResultsTable, page: Page) -> None:
    page.view._handle_custom_msg({"type": "link", "key": "f" * 64}, [])

    assert (page.heard, table.opened) == ([], None)
    key = table.comparison.run.trials[5].key
    assert page.say(type="link", key=key) == {"type": "found", "key": key}
    assert page.view.opened == 5


def test_a_long_reply_comes_in_two_pieces_and_whole_to_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Line.\n" * 10_000 + "\u202eThe end.\ud800"
    page = Page(ResultsTable(compared(base=text)), monkeypatch)

    first = page.say(type="trial", row=0)
    assert (first["length"], first["text"]) == (len(text), "Line.\n" * (FIRST_PIECE // 6))
    rest = page.say(type="rest", row=0, start=first["first"])
    assert first["text"] + rest["text"] == text.replace("\u202e", "<U+202E>").replace("\ud800", "<U+D800>")
    assert page.say(type="copy", row=0)["text"] == text.replace("\ud800", "�")


def test_a_trial_has_one_count_of_tokens_and_one_number_of_repeat_wherever_it_is_told(page: Page) -> None:
    comparison = page.view._selection.comparison
    row = next(row for row, trial in enumerate(comparison.run.trials) if trial.repeat == 2)
    trial = comparison.run.trials[row]
    opened_in_table, opened_in_panel = page.say(type="trial", row=row), opened(trial)

    assert comparison.trials["input_tokens"].tolist()[row] == 1500
    assert dict(opened_in_table["facts"])["Tokens"].startswith("1,500 in (500 from the cache), ")
    assert "1,500 tokens in (500 from the cache)" in opened_in_panel["meter"]
    assert opened_in_table["repeat"] == comparison.trials["repeat"].tolist()[row] == 2
    assert opened_in_panel["title"].startswith(f"{trial.task_id}, repeat 2: ")


def test_an_opened_trial_says_all_that_is_known_of_it(page: Page) -> None:
    shown = page.say(type="trial", row=4)
    facts = dict(shown["facts"])

    assert (shown["task"], shown["variant"], shown["repeat"], shown["counterpart"]) == ("task-0", "terse", 0, 0)
    assert shown["scores"] == [["grade", "100.0", "found in A reply."]]
    assert shown["asked"] == "Question 0"
    assert facts["Tokens"] == "1,500 in (500 from the cache), 200 out"
    assert facts["Cost"] == "0.002050 USD"
    assert facts["Stop reason"] == "end_turn"
    assert facts["Key in the ledger"] == page.view._selection.comparison.run.trials[4].key


def test_a_failed_trial_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Page(ResultsTable(failing()), monkeypatch).say(type="trial", row=9)

    assert (shown["has_reply"], shown["failure"]) == (False, "overloaded_error: Overloaded")


def test_two_replies_are_compared_with_the_baseline_first(table: ResultsTable, page: Page) -> None:
    shown = page.say(type="pair", rows=[4, 0])

    assert table.selected == (table.comparison.run.trials[4], table.comparison.run.trials[0])
    assert table.pair is not None and table.pair.before.variant == "base"
    assert shown["heads"] == ["", "base (baseline)", "terse", "Change"]
    assert [kind for kind, _ in shown["persona"]["lines"]].count("removed") == 1
    assert any(kind == "added" and "Kumquat" in text for kind, text in shown["reply"]["words"])


def test_trials_of_different_tasks_or_of_one_variant_are_told_apart() -> None:
    run = compared().run

    across = compare_trials(run, run.trials[0], run.trials[8], baseline="base").scores()
    assert across.headings[1:3] == ("base (baseline), task-0", "base (baseline), task-1")
    assert across.title == 'Task "task-1", repeat 0, against task "task-0", repeat 0: "base" against "base"'
    within = compare_trials(run, run.trials[4], run.trials[6], baseline="base").scores()
    assert within.headings[1:3] == ("terse, 0", "terse, 2")
    assert within.rows[0] == ("Outcome", "answered", "answered", "")


@pytest.mark.parametrize("of", ["variants", "tasks", "trials"])
def test_without_a_kernel_the_rows_are_a_plain_table_that_is_the_same_each_time(of: str) -> None:
    first, again = (ResultsTable(compared(STAND_IN), Rows(of=of)) for _ in range(2))  # type: ignore[arg-type]
    shown = first._repr_mimebundle_()

    assert {"text/html", "text/markdown", "text/plain"} <= shown.keys()
    for kind in ("text/html", "text/markdown", "text/plain"):
        assert shown[kind] == again._repr_mimebundle_()[kind]
        assert "OFFLINE STAND-IN" in shown[kind]
        assert not re.search(r"[0-9a-f]{32}|\d\d:\d\d|0x[0-9a-f]+|/tmp/", shown[kind])


def test_a_headless_run_makes_no_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    table = ResultsTable(compared())

    assert set(table._repr_mimebundle_()) == {"text/html", "text/markdown", "text/plain"}
    assert table._view is None


def test_the_plain_table_has_the_rows_that_were_asked_for_and_says_which() -> None:
    shown = ResultsTable(compared(terse="Only this one says Kumquat."), Rows(text="kumquat"))._repr_mimebundle_()

    assert shown["text/html"].count("<tr>") == 2
    assert "Rows(of=&#x27;trials&#x27;, text=&#x27;kumquat&#x27;)" in shown["text/html"]
    sorted_ones = ResultsTable(compared(), Rows(sort="score"))._repr_mimebundle_()["text/plain"]
    assert "Rows(of='trials', sort='score'): 96 trials" in sorted_ones
    assert f"{MOST_TRIALS_SHOWN} of 96 trials; all are in .trials." in sorted_ones


def test_hostile_text_is_text_in_everything_that_leaves_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    run = hostile_run()
    baseline = next(iter(run.variants))
    comparison = wb.compare(run, baseline=baseline)
    table = ResultsTable(comparison, Rows(text=TEXT[:30]))
    page = Page(table, monkeypatch)
    sent = [page.say(type="trial", row=row) for row in range(len(run.trials))]
    sent.append(page.say(type="pair", rows=[0, len(run.trials) - 1]))

    everything = json.dumps([json.loads(page.view.data), *sent], ensure_ascii=False)
    everything.encode()
    # The key of a message may be compared with a text; what is shown of a text has no control or override in it.
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", everything)
    for kind in ("text/html", "text/markdown"):
        assert not re.search(r"(?<!\\)<(script|img)", table._repr_mimebundle_()[kind])


@pytest.mark.parametrize("of", ["variants", "tasks", "trials"])
def test_one_variant_alone_and_a_run_without_trials_have_tables_too(of: str) -> None:
    run = make_run({"base": [[1.0, 0.0], [None, 1.0]]})
    for made in (run, dataclasses.replace(run, trials=())):
        table = ResultsTable(wb.compare(made, baseline="base"), Rows(of=of))  # type: ignore[arg-type]
        data = json.loads(table._open_view().data)
        count = len(getattr(made, of))
        assert len(table.shown) == count
        assert all(len(column["values"]) == count for column in data["columns"][of])
        assert "text/html" in table._repr_mimebundle_()


def test_a_callback_in_another_thread_does_the_same(table: ResultsTable, page: Page) -> None:
    threads = [threading.Thread(target=page.ask, kwargs={"of": "trials", "text": "kumquat"}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert table.rows == Rows(text="kumquat")
    assert page.order == find_rows(table.comparison, table.rows).tolist()


def test_rows_travel_by_columns_with_repeated_values_once() -> None:
    columns = {column["name"]: column for column in table_columns(compared())["trials"]}

    assert columns["variant"]["names"] == ["base", "terse"]
    assert columns["variant"]["values"][:8] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert len(columns["reply"]["values"]) == 96
    assert "key" not in columns


def test_columns_that_say_nothing_are_left_out() -> None:
    run = make_run({"base": [[1.0]], "terse": [[1.0]]}, model="a-model-without-a-price")
    columns = table_columns(wb.compare(run, baseline="base"))

    assert not {"flip", "usd"} & {column["name"] for column in columns["trials"]}
    assert "group" not in {column["name"] for column in columns["tasks"]}


def test_a_view_is_one_model_for_all_places_where_a_table_is_shown(table: ResultsTable) -> None:
    ids = {json.dumps(table._repr_mimebundle_()["application/vnd.jupyter.widget-view+json"]) for _ in range(2)}

    assert len(ids) == 1
    assert isinstance(table._view, ResultsView)
