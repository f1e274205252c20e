"""The `workbench` command: messages and exit codes, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.runs import PASSES_A, PASSES_B, STAND_IN, make_run, passes
from workbench import cli
from workbench.errors import SetupError
from workbench.grading.catalogue import standard
from workbench.trial.record import export_record
from workbench.trial.regrade import regrade
from workbench.trial.task import GraderSpec
from workbench.trial.trial import Score

QUICK = str(Path(__file__).parent / "fixtures" / "quick.ipynb")

GOOD = b"---\nname: terse\ndescription: Answers briefly\ntools: Read, Grep\nmodel: sonnet\n---\n\nBe brief.\n"
REPAIRED = b"---\nname: seed\ndescription: Use it so: always\n---\nBody\n"


def workbench(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "terse.md"
    path.write_bytes(GOOD)
    return path


@pytest.fixture
def repaired(tmp_path: Path) -> Path:
    path = tmp_path / "seed.md"
    path.write_bytes(REPAIRED)
    return path


def test_importing_the_command_loads_no_heavy_library() -> None:
    heavy = "{'anthropic', 'pandas', 'papermill', 'ipywidgets', 'nbformat', 'matplotlib', 'sqlalchemy', 'pyarrow'}"
    code = f"import sys, workbench.cli; sys.exit(str(loaded) if (loaded := {heavy} & set(sys.modules)) else 0)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_version_is_that_of_the_distribution() -> None:
    assert workbench("--version").output.startswith("workbench, version ")


def test_read_as_json_is_one_line_a_file_with_claude_codes_reading(good: Path, repaired: Path) -> None:
    result = workbench("read", str(good), str(repaired), "--json")

    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert result.exit_code == 0
    assert {
        "file",
        "kind",
        "listed",
        "name",
        "description",
        "tools",
        "model",
        "prompt",
        "problems",
    } <= set(first)
    assert (first["file"], first["kind"], first["listed"], first["name"]) == (
        str(good),
        "strict",
        True,
        "terse",
    )
    assert first["prompt"] == "Be brief."
    assert (second["kind"], second["description"]) == ("repaired", "Use it so: always")
    assert second["problems"]


def test_read_for_people_shows_both_readings_and_where_to_mend(good: Path, repaired: Path) -> None:
    result = workbench("read", str(good), str(repaired))

    assert "reads it as it is" in result.stdout
    assert "reads it after repairing its header" in result.stdout
    assert "as written   sonnet" in result.stdout
    assert "Claude Code  claude-sonnet" in result.stdout
    assert f"{repaired}:3:" in result.stdout


def test_read_says_at_which_model_and_effort_the_agent_runs(good: Path) -> None:
    shown = workbench("read", str(good)).stdout
    data = json.loads(workbench("read", str(good), "--json").stdout)

    assert "runs at      claude-sonnet-5-5 (the file's 'sonnet')" in shown
    assert "effort medium (the default of Claude Code 2.1.332 for claude-sonnet-5-5)" in shown
    assert (data["model"], data["effort"]) == ("claude-sonnet-5-5", "medium")
    assert data["sent"]["effort_from"] == "the default of Claude Code 2.1.332 for claude-sonnet-5-5"


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize(
    "text",
    [
        "---\nname: abc\ndescription: Use SECRET so.\n---\nBe.\n",
        "---\nname: abc\ndescription: d\n---\nCall it with SECRET as the key.\n",
        "---\nname: abc\ndescription: 'long LONG SECRET'\nmodel: SECRET\ncolor: SECRET\nSECRET: x\n---\nBe.\n",
        "---\nname: SECRET\ndescription: Use it: so SECRET\nuser: SECRET\n---\nBe.\n",
        "---\ndescription: [SECRET\n---\nBe.\n",
    ],
)
def test_read_prints_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, options: list[str]) -> None:
    path = tmp_path / "careless.md"
    keys = ("sk-ant-api03-Zq81hXp0Lw7RtY2mK9", "hunter2-Q7x9Lm2Rz8Kp")
    monkeypatch.setenv("OUR_SERVICE_PASSWORD", keys[1])
    for key in keys:
        path.write_text(text.replace("SECRET", key).replace("LONG", "word " * 14))
        result = workbench("read", str(path), *options)

        assert "careless.md" in result.output
        assert key[:14] not in result.output


def test_text_of_a_file_does_not_steer_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "loud.md"
    path.write_bytes(b"---\nname: loud\ndescription: x\n---\n\x1b[2J\x1b]0;owned\x07\n")

    assert "\x1b" not in workbench("read", str(path)).stdout


def test_unreadable_file_is_a_message_after_the_others_are_read(good: Path, tmp_path: Path) -> None:
    result = workbench("read", str(tmp_path / "missing.md"), str(good), "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["name"] == "terse"
    assert "missing.md" in result.stderr
    assert "Traceback" not in result.stderr


def test_run_says_what_to_open_and_ends_well(tmp_path: Path) -> None:
    result = workbench("run", QUICK, "--out", str(tmp_path / "out"), "-p", "word", "ha", "-p", "count", "2")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("haha\n")
    assert str(tmp_path / "out" / "quick.html") in result.stdout


def test_failing_cell_ends_with_1_and_says_where_the_rest_is(tmp_path: Path) -> None:
    result = workbench("run", QUICK, "--out", str(tmp_path), "-p", "fail", "true")

    assert result.exit_code == 1
    assert "asked to fail" in result.stderr
    assert str(tmp_path / "quick.ipynb") in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "wrod", "ha"], "no parameter 'wrod'"),
        (["-p", "count", "three"], "must be int"),
        (["-p", "word", "sk-ant-api03-Zx8Qw2Lm9RtY4uPa7KdF"], "looks like a key"),
        (["-p", "out", "elsewhere"], "give the folder as `out`"),
    ],
)
def test_refused_parameter_ends_with_2_and_leaves_nothing(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = workbench("run", QUICK, "--out", str(tmp_path / "out"), *arguments)

    assert result.exit_code == 2
    assert message in result.stderr
    assert "sk-ant" not in result.output
    assert not (tmp_path / "out").exists()


def test_missing_notebook_ends_with_2(tmp_path: Path) -> None:
    result = workbench("run", str(tmp_path / "none.ipynb"), "--out", str(tmp_path / "out"))

    assert result.exit_code == 2
    assert "none.ipynb: cannot be read" in result.stderr


def test_live_without_a_key_says_what_to_set_before_anything_starts(tmp_path: Path) -> None:
    result = workbench("run", QUICK, "--out", str(tmp_path / "out"), "--live")

    assert result.exit_code == 2
    assert "ANTHROPIC_API_KEY" in result.stderr
    assert not (tmp_path / "out").exists()


def test_wrong_setting_is_a_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(live: bool | None) -> None:
        raise SetupError("set this instead")

    monkeypatch.setattr("workbench.model.endpoint.choose_endpoint", refuse)
    result = workbench("run", QUICK, "--out", str(tmp_path / "out"), "--live")

    assert (result.exit_code, result.stderr) == (2, "set this instead\n")


def test_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.headless.notebook.run_notebook", interrupt)
    result = workbench("run", QUICK, "--out", str(tmp_path / "out"))

    assert result.exit_code == 130
    assert "Interrupted" in result.stderr


def test_command_is_installed_beside_this_python() -> None:
    command = Path(sys.executable).with_name("workbench" + (".exe" if os.name == "nt" else ""))

    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=False)

    assert done.returncode == 0
    assert {"read", "run", "report", "gate", "review"} <= set(done.stdout.split())


@pytest.fixture
def record(tmp_path: Path) -> str:
    run = make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)})
    return str(export_record(run, tmp_path / "record"))


def test_report_says_the_verdict_and_names_its_files(record: str, tmp_path: Path) -> None:
    result = workbench("report", record, "--out", str(tmp_path / "out"), "--format", "md, junit")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith('"draft" against "base": promising, not established.')
    assert result.stdout.splitlines()[-2:] == [str(tmp_path / "out" / name) for name in ("summary.md", "junit.xml")]


def test_report_lies_in_the_record_unless_a_folder_is_named_and_the_record_still_loads(record: str) -> None:
    (Path(record) / "compare.ipynb").write_text("{}")

    result = workbench("report", f"{record}/compare.ipynb", "--baseline", "draft", "--format", "md")

    assert result.exit_code == 0, result.output
    assert (Path(record) / "report" / "summary.md").is_file()
    assert '"base" against "draft"' in result.stdout
    assert workbench("report", record, "--format", "md").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--baseline", "base"], 0, "Gate passes"),
        (["--baseline", "draft"], 3, "Gate fails"),
        (["--baseline", "RECORD", "--variant", "draft"], 0, "A/A: both send the same requests"),
        (["--baseline", "RECORD"], 0, '"draft" against "draft" of the baseline run'),
        (["--baseline", "nosuch"], 2, "there is no record of a run here"),
        (["--baseline", "base", "--margin", "7"], 2, "the margin is 7"),
    ],
)
def test_gate_ends_with_a_code_for_each_decision(record: str, arguments: list[str], code: int, message: str) -> None:
    result = workbench("gate", record, *(argument.replace("RECORD", record) for argument in arguments))

    assert (result.exit_code, message in result.output) == (code, True), result.output


def test_gate_has_a_code_of_its_own_for_made_up_replies(tmp_path: Path) -> None:
    run = make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)}, endpoint=STAND_IN)
    record = str(export_record(run, tmp_path))

    refused = workbench("gate", record, "--baseline", "base")
    allowed = workbench("gate", record, "--baseline", "base", "--allow-stand-in")

    assert (refused.exit_code, refused.stdout) == (5, "")
    assert "made up by the offline stand-in" in refused.stderr and "--allow-stand-in" in refused.stderr
    assert (allowed.exit_code, allowed.stdout.startswith("OFFLINE STAND-IN")) == (0, True)


def test_gate_has_a_code_of_its_own_for_too_little_data_and_says_it_as_json(tmp_path: Path) -> None:
    run = make_run({"base": passes([2, 3]), "draft": passes([3, 2])})

    result = workbench("gate", str(export_record(run, tmp_path)), "--baseline", "base", "--json")

    found = json.loads(result.stdout)
    assert (result.exit_code, found["decision"], found["tasks"]) == (4, "not enough data", 2)


def test_an_edited_score_turns_neither_gate_nor_review_nor_report(tmp_path: Path) -> None:
    says = GraderSpec(name="mentions", promise="says it", options={"any": ["yes"]})
    made = make_run({"base": passes(PASSES_B), "draft": passes(PASSES_A)})
    tasks = tuple(replace(task, graders=(says,)) for task in made.tasks)
    trials = [
        trial.replace(reply=replace(trial.reply, text="yes" if trial.score else "no"), scores={})  # type: ignore[type-var]
        for trial in made.trials
    ]
    run = regrade(replace(made, tasks=tasks, trials=tuple(trials)), standard())
    better = {"says it": Score(value=1.0, explanation="edited")}
    edited = replace(run, trials=tuple(t.replace(scores=better) if t.variant == "draft" else t for t in run.trials))
    record = str(export_record(edited, tmp_path / "record"))
    honest = str(export_record(run, tmp_path / "honest"))

    gate = workbench("gate", record, "--baseline", "base", "--margin", "0.1")
    review = workbench("review", honest, record, "--variants", "draft", "draft")
    report = workbench("report", record, "--format", "md")

    assert (gate.exit_code, "Gate fails" in gate.stdout) == (3, True), gate.output
    assert "recorded scores of the promise 'says it' are not what its grader gives here" in gate.stdout
    assert "No task flipped" in review.stdout or "0 now pass, 0 now fail" in review.stdout
    assert "scored otherwise" not in review.stdout
    assert "are not what its grader gives here" in review.stdout
    assert "-16.7 points" in report.stdout


def test_review_shows_what_changed_as_text_markdown_and_page(record: str, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "review.html"

    text = workbench("review", record, record)
    markdown = workbench("review", record, record, "--variants", "base", "draft", "--markdown", "--html", str(page))

    assert (text.exit_code, markdown.exit_code) == (0, 0), text.output + markdown.output
    assert "48 of 48 attempts are the very same in both" in text.stdout
    assert markdown.stdout.startswith("### base and draft: ")
    assert "Content-Security-Policy" in page.read_text(encoding="utf-8")


def test_review_takes_the_executed_notebooks_of_two_runs(record: str, tmp_path: Path) -> None:
    later = export_record(make_run({"base": passes(PASSES_B)}), tmp_path / "later")
    notebooks = [Path(folder) / "compare.ipynb" for folder in (record, later)]
    for notebook in notebooks:
        notebook.write_text("{}")

    result = workbench("review", *map(str, notebooks))

    assert result.exit_code == 0, result.output
    assert "(A/A: both send the same requests): no difference shown. +16.7 points" in result.stdout
    assert "task-11" in result.stdout


def test_review_of_what_is_no_record_ends_with_2(record: str, tmp_path: Path) -> None:
    result = workbench("review", record, str(tmp_path))

    assert (result.exit_code, "there is no record of a run here" in result.stderr) == (2, True)


def test_checking_a_folder_without_notebooks_says_so(tmp_path: Path) -> None:
    done = workbench("check-notebooks", str(tmp_path))

    assert done.exit_code == 2
    assert f"there is no notebook in {tmp_path}" in done.output


def test_live_is_refused_for_a_notebook_that_asks_nobody(tmp_path: Path) -> None:
    notebook = tmp_path / "plain.ipynb"
    notebook.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    done = workbench("run", str(notebook), "--out", str(tmp_path / "out"), "--offline")

    assert done.exit_code == 2
    assert "has no parameter `live`, which --live and --offline set" in done.output
