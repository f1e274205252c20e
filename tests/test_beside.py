"""The benchmarks held beside another checkout: who is measured when, and what the table says. No clock is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.beside import BEFORE, FIGURES, NOW, Figure, Measured, main, measured, steps_in, told
from tests.benchmarks.measure import STEPS, Program, Steps

_NOTES = """
import os, sys
source = os.environ["PYTHONPATH"].split(os.pathsep)[0]
with open(sys.argv[1], "a") as notes:
    notes.write(f"{os.path.basename(source)} {os.path.basename(os.environ['WORKBENCH_LEDGER'])} {sys.argv[2]}\\n")
print('steps: {"a step": [2, 1]}')
"""


def test_each_side_runs_its_own_code_on_its_own_ledger_and_begins_every_other_round(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    def program(what: str) -> Program:
        return Program(command=[sys.executable, "-c", _NOTES, str(notes), what])

    figure = Figure(title="noted", program=program("run"), fill=program("fill"))
    found = measured(figure, {BEFORE: tmp_path / "old", NOW: tmp_path / "new"}, rounds=2)

    old, new = "old before.sqlite", "new now.sqlite"
    filled = [f"{new} fill", f"{new} run", f"{old} fill", f"{old} run"]
    assert notes.read_text().splitlines() == [*filled, f"{old} run", f"{new} run", f"{new} run", f"{old} run"]
    assert {title: len(sides[BEFORE].cpu) for title, sides in found.items()} == {"noted": 2, "  a step": 2}
    assert found["  a step"][NOW] == Measured(wall=[2, 2], cpu=[1, 1])


@pytest.mark.parametrize(("cpu", "mark"), [(1.0, "PASS"), (1.05, "PASS"), (1.06, "over 5 %"), (0.5, "PASS")])
def test_line_marks_a_figure_that_takes_more_of_the_processor(cpu: float, mark: str) -> None:
    before = Measured(wall=[9, 1, 5], cpu=[3, 1, 2], mb=[100, 100, 100])
    now = Measured(wall=[9, 2, 5], cpu=[3, cpu, 2], mb=[110, 110, 110])

    line = told("a figure", {BEFORE: before, NOW: now})

    assert line.endswith(f"  {mark}")
    assert line.split()[2:7] == ["2.000", "2.000", f"{cpu:.2f}", "2.00", "1.10"]


def test_step_has_no_memory_of_its_own() -> None:
    side = Measured(wall=[1], cpu=[1])
    assert told("  a step", {BEFORE: side, NOW: side}).split() == [
        "a",
        "step",
        "1.000",
        "1.000",
        "1.00",
        "1.00",
        "PASS",
    ]


def test_steps_are_read_as_a_program_prints_them() -> None:
    steps = Steps()
    assert steps.timed("a step", lambda: "done") == "done"

    assert steps_in(f"prose\n{steps.line()}\n") == steps.took
    assert steps_in(f"{STEPS}{json.dumps({'x': [1, 2]})}") == {"x": (1.0, 2.0)}


def test_folder_that_is_no_checkout_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="is no checkout of the workbench: there is no src/workbench in it"):
        main(["again"], tmp_path)


def test_benchmark_without_programs_for_both_says_which_have_them() -> None:
    with pytest.raises(SystemExit, match="'editor' cannot be held beside another checkout; these can: start, again"):
        main(["editor"], Path(__file__).parents[1])


def test_benchmarks_of_the_command_are_those_that_can_be_held_beside() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--help"]
    printed = subprocess.check_output(command, text=True, cwd=Path(__file__).parents[1], env=os.environ)

    assert "--beside FOLDER" in printed
    assert all(name in printed for name in FIGURES)
