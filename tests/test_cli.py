"""The `workbench` command: messages and exit codes, never a traceback."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.runs import PASSES_A, PASSES_B, STAND_IN, gradable, make_run, passes
from tests.test_secrets_in_replies import SHAPES, keys_of
from workbench import cli
from workbench.cli import ROOMS, main
from workbench.errors import SetupError
from workbench.markup import command
from workbench.shipped.files import NOTEBOOKS
from workbench.trial.record import export_record
from workbench.trial.task import load_tasks
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


def test_every_command_and_every_option_says_what_it_does() -> None:
    context = click.Context(main)
    commands = {name: main.get_command(context, name) for name in main.list_commands(context)}
    silent = [
        f"{name} {option.opts[0]}"
        for name, command in commands.items()
        for option in (() if command is None else command.params)
        if isinstance(option, click.Option) and not option.help
    ]

    assert [name for name, command in commands.items() if command is None or not command.help] == []
    assert silent == []


SHORT_FORMS = """
import click
from click.testing import CliRunner
from workbench.cli import main
for name in ((), *((each,) for each in main.list_commands(click.Context(main)))):
    short, long = (CliRunner().invoke(main, [*name, form]) for form in ("-h", "--help"))
    print(*name or ["workbench"], short.exit_code == 0 and short.output == long.output)
"""


def test_every_command_takes_the_short_form_of_help() -> None:
    """In a process of its own: a command keeps the options of help with which it was first asked."""
    done = subprocess.run([sys.executable, "-c", SHORT_FORMS], capture_output=True, text=True, check=True)

    lines = done.stdout.splitlines()
    assert len(lines) > 20
    assert [line for line in lines if not line.endswith(" True")] == []


def test_help_of_run_names_every_notebook_that_comes_along() -> None:
    said = workbench("run", "--help").output.partition("Options:")[0]

    assert [name for name in NOTEBOOKS if not re.search(rf"\b{name}\b", said)] == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--help"], ["graders"], ["lint", "--explain", "all"]])
def test_output_that_cannot_be_written_is_a_message_and_a_failure(arguments: list[str], unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "workbench", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )

    assert done.stderr == "what is printed could not be written: No space left on device\n"
    assert done.returncode == 1


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


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["for people", "JSON"])
def test_read_prints_no_key_of_any_shape(tmp_path: Path, options: list[str]) -> None:
    parts: dict[str, list[str]] = {}
    paths = []
    for number, kind in enumerate(SHAPES):
        key, parts[kind] = next(keys_of(kind))
        text = key.replace("\n", "\n  ")
        file = tmp_path / f"a{number}.md"
        file.write_text(
            f"---\nname: a{number}\ndescription: |\n  It uses {text}\n  always.\n---\n\nSend {key} with it.\n"
        )
        paths.append(str(file))

    said = workbench("read", *paths, *options).output

    assert said.count("a4") > 1
    assert {kind: found for kind, known in parts.items() if (found := [part for part in known if part in said])} == {}


DROPPED = b"---\ndescription: Nobody.\n---\nBe.\n"


def test_read_takes_files_and_folders_each_file_once_and_no_page_that_is_no_agent(good: Path, repaired: Path) -> None:
    folder = good.parent
    (folder / "README.md").write_text("# Agents\n")
    (folder / "deep").mkdir()
    (folder / "deep" / "other.md").write_bytes(GOOD.replace(b"terse", b"other"))

    read = [
        json.loads(line)["file"] for line in workbench("read", str(good), str(folder), "--json").stdout.splitlines()
    ]

    assert read == [str(good), str(repaired), str(folder / "deep" / "other.md")]
    shown = workbench("read", str(folder), str(good)).stdout
    assert [shown.count(f"{file}\n") for file in read] == [1, 1, 1]


def test_read_of_a_folder_without_an_agent_says_so(tmp_path: Path) -> None:
    result = workbench("read", str(tmp_path))

    assert (result.exit_code, result.stderr) == (1, f"{tmp_path}: there is no agent file in this folder\n")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_file_that_claude_code_drops_fails_a_strict_reading_after_the_others_are_read(
    good: Path, repaired: Path, tmp_path: Path, options: list[str]
) -> None:
    (tmp_path / "nameless.md").write_bytes(DROPPED)
    sound, lax, strict = (
        workbench("read", *options, *given)
        for given in (
            ("--strict", str(good), str(repaired)),
            (str(tmp_path / "nameless.md"), str(good)),
            ("--strict", str(tmp_path / "nameless.md"), str(good)),
        )
    )

    assert (sound.exit_code, lax.exit_code, strict.exit_code) == (0, 0, 1)
    assert strict.stdout == lax.stdout and "terse.md" in strict.stdout


def test_read_as_json_has_all_that_lint_finds(repaired: Path, tmp_path: Path) -> None:
    for name in ("one.md", "two.md"):
        (tmp_path / name).write_bytes(GOOD.replace(b"model: sonnet", b"model: sonet"))
    (tmp_path / "nameless.md").write_bytes(DROPPED)

    linted = [json.loads(line) for line in workbench("lint", str(tmp_path), "--format", "json").stdout.splitlines()]
    read = [json.loads(line) for line in workbench("read", str(tmp_path), "--json").stdout.splitlines()]

    assert [{"file": each["file"], **problem} for each in read for problem in each["problems"]] == linted
    assert {"unknown-model", "repaired", "missing-name"} <= {finding["rule"] for finding in linted}


@pytest.mark.parametrize("form", ["github", "sarif"])
def test_read_writes_findings_for_code_hosts_as_lint_does(repaired: Path, tmp_path: Path, form: str) -> None:
    (tmp_path / "nameless.md").write_bytes(DROPPED)
    old = tmp_path / "old.jsonl"
    old.write_text(workbench("lint", str(repaired), "--format", "json").stdout)

    for more in ([], ["--baseline", str(old)]):
        linted, read = (workbench(each, str(tmp_path), "--format", form, *more) for each in ("lint", "read"))
        assert linted.stdout == read.stdout
        assert "missing-name" in read.stdout
        assert (repaired.name in read.stdout) == (not more)
        assert (linted.exit_code, read.exit_code) == (1, 0)
        assert workbench("read", str(tmp_path), "--strict", "--format", form, *more).exit_code == 1


def test_read_as_json_leaves_out_what_a_baseline_holds(repaired: Path, tmp_path: Path) -> None:
    (tmp_path / "nameless.md").write_bytes(DROPPED)
    old = tmp_path / "old.jsonl"
    old.write_text(workbench("lint", str(repaired), "--format", "json").stdout)
    lines = workbench("read", str(tmp_path), "--json", "--baseline", str(old)).stdout.splitlines()

    problems = {Path(each["file"]).name: each["problems"] for each in map(json.loads, lines)}
    assert (bool(problems["nameless.md"]), problems[repaired.name]) == (True, [])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--json", "--format", "sarif"], "--json and --format are two ways to write it"),
        (["--baseline", "old.jsonl"], "--baseline is for what lint finds"),
    ],
)
def test_options_of_read_that_do_not_go_together_are_refused(good: Path, options: list[str], said: str) -> None:
    result = workbench("read", str(good), *options)

    assert (result.exit_code, said in result.output) == (2, True)


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


def test_the_command_that_a_failed_run_prints_goes_on_when_it_is_pasted(tmp_path: Path) -> None:
    folder = tmp_path / "it's (mine)"
    failed = workbench(
        "run", QUICK, "--out", str(folder), "-p", "fail", "true", "-p", "word", "a b", "--deadline", "90"
    )
    [line] = [line for line in failed.stderr.splitlines() if line.startswith("To go on: ")]
    words = shlex.split(line.removeprefix("To go on: "))

    again = workbench(*words[1:])
    mended = workbench(*words[1:], "-p", "fail", "false")

    assert words[:2] == ["workbench", "run"]
    assert words[-1] == "--continue"
    assert again.exit_code == 1
    assert "asked to fail" in again.stderr
    [next_line] = [each for each in again.stderr.splitlines() if each.startswith("To go on: ")]
    assert sorted(shlex.split(next_line)) == sorted(shlex.split(line))
    assert mended.exit_code == 0, mended.output
    assert mended.stdout.startswith("a b")


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
    run = gradable(make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)}))
    return str(export_record(run, tmp_path / "record"))


def test_report_says_the_verdict_and_names_its_files(record: str, tmp_path: Path) -> None:
    result = workbench("report", record, "--out", str(tmp_path / "out"), "--format", "md, junit")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith('"draft" may be better than "base" by 16.7 points, not established')
    assert '\nIn full: "draft" against "base": promising, not established.' in result.stdout
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
        (["--baseline", "nosuch"], 2, "nosuch: is no variant of RECORD, which has base, draft, and there is no such"),
        (["--baseline", "base", "--margin", "7"], 2, "the margin is 7"),
    ],
)
def test_gate_ends_with_a_code_for_each_decision(record: str, arguments: list[str], code: int, message: str) -> None:
    result = workbench("gate", record, *(argument.replace("RECORD", record) for argument in arguments))

    assert (result.exit_code, message.replace("RECORD", record) in result.output) == (code, True), result.output


def test_gate_has_a_code_of_its_own_for_made_up_replies(tmp_path: Path) -> None:
    run = gradable(make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)}, endpoint=STAND_IN))
    record = str(export_record(run, tmp_path))

    refused = workbench("gate", record, "--baseline", "base")
    allowed = workbench("gate", record, "--baseline", "base", "--allow-stand-in")

    assert (refused.exit_code, refused.stdout) == (5, "")
    assert "made up by the offline stand-in" in refused.stderr and "--allow-stand-in" in refused.stderr
    assert (allowed.exit_code, allowed.stdout.startswith("OFFLINE STAND-IN")) == (0, True)


def test_gate_has_a_code_of_its_own_for_too_little_data_and_says_it_as_json(tmp_path: Path) -> None:
    run = gradable(make_run({"base": passes([2, 3]), "draft": passes([3, 2])}))

    result = workbench("gate", str(export_record(run, tmp_path)), "--baseline", "base", "--json")

    found = json.loads(result.stdout)
    assert (result.exit_code, found["decision"], found["tasks"]) == (4, "not enough data", 2)


def test_an_edited_score_turns_neither_gate_nor_review_nor_report(tmp_path: Path) -> None:
    run = gradable(make_run({"base": passes(PASSES_B), "draft": passes(PASSES_A)}))
    better = {"grade": Score(value=1.0, explanation="edited")}
    edited = replace(run, trials=tuple(t.replace(scores=better) if t.variant == "draft" else t for t in run.trials))
    record = str(export_record(edited, tmp_path / "record"))
    honest = str(export_record(run, tmp_path / "honest"))

    gate = workbench("gate", record, "--baseline", "base", "--margin", "0.1")
    review = workbench("review", honest, record, "--variants", "draft", "draft")
    report = workbench("report", record, "--format", "md")

    assert (gate.exit_code, "Gate fails" in gate.stdout) == (3, True), gate.output
    assert "recorded scores of the promise 'grade' are not what its grader gives here" in gate.stdout
    assert "identical replies. 0.0 points" in review.stdout
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
    later = export_record(gradable(make_run({"base": passes(PASSES_B)})), tmp_path / "later")
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


def test_the_gate_of_the_readme_works_on_two_records_as_the_compare_notebook_leaves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Path(__file__).parents[1]
    readme = (project / "README.md").read_text(encoding="utf-8")
    [line] = re.findall(r"^workbench (gate outputs/new --baseline outputs/old [^#]*)", readme, re.MULTILINE)
    [promise] = re.findall(r"--guard (\S+)", line)
    shipped = load_tasks(project / "agents" / "senior-python-architect.tasks.yaml")
    assert promise in {spec.promise for task in shipped for spec in task.graders}, (
        "what the notebook compares by default"
    )
    monkeypatch.chdir(tmp_path)
    for name, counts in (("old", PASSES_B), ("new", PASSES_A)):
        variants = {"base": passes(PASSES_B), "variant": passes(counts)}
        run = make_run(variants)
        prompt = f"You are the {name} one."
        trials = [
            trial.replace(request=replace(trial.request, system=prompt)) if trial.variant == "variant" else trial
            for trial in run.trials
        ]
        agents = {**run.variants, "variant": run.variants["variant"].replace(prompt=prompt)}
        run = gradable(replace(run, variants=agents, trials=tuple(trials)), promise=promise)
        export_record(run, tmp_path / "outputs" / name)

    done = workbench(*shlex.split(line))

    assert done.exit_code == 3, done.output
    assert '"variant" against "variant" of the baseline run' in done.output


def test_no_command_with_a_path_in_it_is_put_together_by_hand() -> None:
    names = "|".join([*ROOMS, *main.commands])
    by_hand = re.compile(rf"(?:workbench (?:{names})|git log) [^\"`\n]*(?<!\$)\{{(?!date|command)")
    sources = Path(cli.__file__).parent.rglob("*.py")

    found = [(path.name, hit[0]) for path in sources for hit in by_hand.finditer(path.read_text(encoding="utf-8"))]

    assert found == []


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (("workbench", "tasks", Path("-x.md")), "workbench tasks ./-x.md"),
        (("workbench", "lab", Path("it's mine")), "workbench lab 'it'\"'\"'s mine'"),
        (("git", "log", "--", Path("a;b.md")), "git log -- 'a;b.md'"),
    ],
)
def test_a_command_is_quoted_as_a_shell_needs_it(words: tuple[str | Path, ...], typed: str) -> None:
    assert command(*words) == typed
    assert shlex.split(typed)[-1].removeprefix("./") == str(words[-1])


def test_the_advice_for_an_agent_without_tasks_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "-it's mine.md"
    file.write_bytes(GOOD)
    said = workbench("tasks", "--", file.name).stderr
    words = shlex.split(said.rpartition("To see what they could be: ")[2])

    assert words[:2] == ["workbench", "tasks"]
    assert workbench(*words[1:]).exit_code == 0


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_every_command_is_found_in_its_room(name: str) -> None:
    command = main.get_command(click.Context(main), name)

    assert command is not None and command.name == name


def test_every_command_of_a_room_can_be_called() -> None:
    rooms = [importlib.import_module(f"workbench.{room}") for room in set(ROOMS.values())]
    commands = {each.name for room in rooms for each in vars(room).values() if isinstance(each, click.Command)}

    assert commands - set(main.list_commands(click.Context(main))) == set()
