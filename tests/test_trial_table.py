"""A column of the trials table is declared once, and stands everywhere."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

import workbench as wb
from tests.runs import GROUPS, PASSES_A, PASSES_B, make_run, passes
from workbench.comparison import static_tables, trial_table
from workbench.comparison.report import data, page
from workbench.comparison.report.write import write_report
from workbench.comparison.tables import Comparison
from workbench.comparison.trial_table import COLUMNS, Column, columns_of
from workbench.widgets import results_data
from workbench.widgets.results import ResultsTable

WORDS = Column(
    name="words",
    heading="Words",
    kind="count",
    value=lambda compared: np.array([float(row) for row in range(len(compared.run.trials))]),
)


def compared() -> Comparison:
    run = make_run({"base": passes(PASSES_A), "terse": passes(PASSES_B)}, groups=GROUPS)
    failed = run.trials[5].replace(reply=None, scores={})
    return wb.compare(replace(run, trials=(*run.trials[:5], failed, *run.trials[6:])), baseline="base")


@pytest.fixture
def with_words(monkeypatch: pytest.MonkeyPatch) -> Comparison:
    """A comparison in a workbench whose trials table has one column more."""
    for module in (trial_table, static_tables, data, page, results_data):
        monkeypatch.setattr(module, "COLUMNS", (*COLUMNS, WORDS))
    return compared()


def test_a_new_column_stands_in_the_data_frame_and_in_every_file(with_words: Comparison, tmp_path: Path) -> None:
    write_report(with_words, tmp_path, formats=["csv", "parquet", "jsonl"])
    numbers = list(range(96))

    assert with_words.trials["words"].tolist() == numbers
    with (tmp_path / "trials.csv").open(newline="", encoding="utf-8") as file:
        assert [float(row["words"]) for row in csv.DictReader(file)] == numbers
    assert parquet.read_table(tmp_path / "trials.parquet").column("words").to_pylist() == numbers
    lines = (tmp_path / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["words"] for line in lines] == numbers


def test_a_new_column_stands_on_every_page(with_words: Comparison, tmp_path: Path) -> None:
    write_report(with_words, tmp_path, formats=["html"])
    grid = {column["name"]: column for column in results_data.table_columns(with_words)["trials"]}

    assert "Words 95 ·" in (tmp_path / "report.html").read_text(encoding="utf-8")
    table = static_tables.trials_table(with_words, chosen=[95])
    assert dict(zip(table.headings, table.rows[0], strict=True))["Words"] == "95"
    assert ">95<" in ResultsTable(with_words, wb.Rows(sort="words", descending=True))._repr_mimebundle_()["text/html"]
    assert grid["words"]["heading"] == "Words"


def test_rows_are_sorted_by_a_new_column(with_words: Comparison) -> None:
    found = wb.find_rows(with_words, wb.Rows(sort="words", descending=True))

    assert found.tolist() == list(range(95, -1, -1))


def test_rows_are_sorted_by_every_column_and_what_is_not_known_comes_last() -> None:
    comparison = compared()
    for name in comparison.trials.columns:
        for descending in (False, True):
            found = wb.find_rows(comparison, wb.Rows(sort=name, descending=descending))
            assert sorted(found.tolist()) == list(range(96)), name
            missing = comparison.trials[name].iloc[found].isna().tolist()
            assert missing == sorted(missing), name


def test_every_column_has_a_name_of_its_own_and_every_kind_a_width_in_the_grid() -> None:
    columns = columns_of(compared())
    grid = (Path(results_data.__file__).parent / "front/results/grid.js").read_text(encoding="utf-8")

    assert len({column.name for column in columns}) == len(columns)
    assert [column.kind for column in columns if f"\n  {column.kind}: {{ least:" not in grid] == []


def test_the_columns_are_values_that_need_no_widget_and_no_model() -> None:
    code = (
        "import sys, workbench.comparison.selection\n"
        "print([name for name in ('anywidget', 'ipywidgets', 'anthropic', 'sqlalchemy') if name in sys.modules])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
