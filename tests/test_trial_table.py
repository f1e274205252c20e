"""A column of the trials table is declared once, and stands everywhere."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.one_line_more import walk_with
from tests.runs import GROUPS, PASSES_A, PASSES_B, make_run, passes
from workbench.comparison.tables import Comparison
from workbench.comparison.trial_table import columns_of
from workbench.widgets import results_data

ONE_LINE = """    Column(name="number", heading="Number", kind="count", value=lambda c: np.arange(len(c.run.trials))),
"""

WALK = """
import csv, json, pathlib
from pyarrow import parquet
import workbench as wb
from tests.test_trial_table import compared
from workbench.comparison import static_tables
from workbench.comparison.report.write import write_report
from workbench.widgets import results_data
from workbench.widgets.results import ResultsTable

comparison = compared()
folder = pathlib.Path("report")
write_report(comparison, folder, formats=["csv", "parquet", "jsonl", "html"])
with (folder / "trials.csv").open(newline="", encoding="utf-8") as file:
    in_csv = [float(row["number"]) for row in csv.DictReader(file)]
table = static_tables.trials_table(comparison, chosen=[95])
backwards = wb.Rows(sort="number", descending=True)
print(json.dumps({
    "frame": comparison.trials["number"].tolist(),
    "csv": in_csv,
    "parquet": parquet.read_table(folder / "trials.parquet").column("number").to_pylist(),
    "jsonl": [json.loads(line)["number"] for line in (folder / "trials.jsonl").read_text().splitlines()],
    "page": "Number 95 ·" in (folder / "report.html").read_text(encoding="utf-8"),
    "static": dict(zip(table.headings, table.rows[0], strict=True))["Number"],
    "sorted": wb.find_rows(comparison, backwards).tolist(),
    "without a kernel": ">95<" in ResultsTable(comparison, backwards)._repr_mimebundle_()["text/html"],
    "grid": [each["heading"] for each in results_data.table_columns(comparison)["trials"] if each["name"] == "number"],
}))
"""


def compared() -> Comparison:
    run = make_run({"base": passes(PASSES_A), "terse": passes(PASSES_B)}, groups=GROUPS)
    failed = run.trials[5].replace(reply=None, scores={})
    return wb.compare(replace(run, trials=(*run.trials[:5], failed, *run.trials[6:])), baseline="base")


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a workbench shows whose trials table has one line more."""
    return walk_with(
        ONE_LINE,
        WALK,
        file="comparison/trial_table.py",
        before='    Column(name="group", ',
        folder=tmp_path_factory.mktemp("one-column-more"),
    )


@pytest.mark.parametrize("place", ["frame", "csv", "parquet", "jsonl"])
def test_a_new_column_stands_in_the_data_frame_and_in_every_file(walked: dict[str, Any], place: str) -> None:
    assert walked[place] == list(range(96))


def test_a_new_column_stands_on_every_page(walked: dict[str, Any]) -> None:
    assert (walked["page"], walked["static"], walked["without a kernel"]) == (True, "95", True)
    assert walked["grid"] == ["Number"]


def test_rows_are_sorted_by_a_new_column(walked: dict[str, Any]) -> None:
    assert walked["sorted"] == list(range(95, -1, -1))


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
