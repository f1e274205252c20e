"""Whoever edits a record turns no gate green by it: the record is refused, or the replies are graded again.

Each attack edits the record of a variant that is worse. It is tried as it is, and with every hash written anew, which
anybody can do who can read this file. What is not defended, and cannot be by a file that holds all of its own evidence:
replies that are written anew, together with their hashes.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

import workbench as wb
from tests.runs import make_run
from workbench.cli import EXIT_REFUSED, EXIT_UNTRUSTED, EXIT_WORSE, main
from workbench.comparison.gate import Gate
from workbench.errors import ComparisonError, RecordError
from workbench.key_forms import REMOVED
from workbench.trial.record import export_record
from workbench.trial.record import load_run as as_recorded
from workbench.trial.regrade import regrade, trust_recorded
from workbench.trial.task import GraderSpec
from workbench.trial.trial import Run

NAMES_IT = GraderSpec(
    name="mentions", promise="names JWT", options={"any": ["JWT"], "anywhere": True}, where="t.yaml:1"
)
OURS = GraderSpec(name="ours", promise="ours", where="t.yaml:2")
Edit = Callable[[Path], None]


def worse_run(*graders: GraderSpec) -> Run:
    """24 tasks; the replies of the base name JWT, and those of the variant do so for every fourth task."""
    run = make_run({"base": [[1.0, 1.0]] * 24, "draft": [[1.0, 1.0]] * 24})
    tasks = tuple(replace(task, graders=graders) for task in run.tasks)
    names = {task.id for number, task in enumerate(tasks) if number % 4 == 0}
    trials = []
    for trial in run.trials:
        assert trial.reply is not None
        says = trial.variant == "base" or trial.task_id in names
        trials.append(trial.replace(reply=replace(trial.reply, text="Use a JWT." if says else "No."), scores={}))
    ours = {"ours": lambda: lambda _task, reply: float("JWT" in reply.text)}
    return regrade(replace(run, tasks=tasks, trials=tuple(trials)), wb.graders.standard() | ours)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return export_record(worse_run(NAMES_IT), tmp_path / "record")


def lines_of(folder: Path, name: str = "trials.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def write_lines(folder: Path, lines: list[dict[str, Any]], name: str = "trials.jsonl") -> None:
    (folder / name).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def about(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())  # type: ignore[no-any-return]


def write_about(folder: Path, content: dict[str, Any]) -> None:
    (folder / "run.json").write_text(json.dumps(content))


def each_trial(change: Callable[[dict[str, Any]], None], *, of: str = "draft") -> Edit:
    def edit(folder: Path) -> None:
        lines = lines_of(folder)
        for line in lines:
            if line["variant"] == of:
                change(line)
        write_lines(folder, lines)

    return edit


def hash_anew(folder: Path) -> None:
    """Every hash of the record, as its content is now: of lines, of files, of names by hash, and of run.json."""
    content = about(folder)
    renamed = {}
    for path in sorted((folder / "systems").iterdir()):
        name = f"systems/{sha256(path.read_bytes())[:16]}.txt"
        renamed[path.relative_to(folder).as_posix()] = name
        path.rename(folder / name)
    for name in ("tasks.jsonl", "trials.jsonl"):
        lines = lines_of(folder, name)
        for line in lines:
            line.pop("sha256", None)
            if name == "trials.jsonl":
                line["request"]["system"] = renamed[line["request"]["system"]]
        texts = [json.dumps(line, ensure_ascii=False) for line in lines]
        (folder / name).write_text("".join(f'{text[:-1]}, "sha256": "{sha256(text.encode())}"}}\n' for text in texts))
        content["lines"][name] = len(lines)
    for variant in content["variants"]:
        variant["sha256"] = sha256((folder / variant["file"]).read_bytes())
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "run.json"]
    before = content["files"]
    content["files"] = {}
    for path in files:
        name = path.relative_to(folder).as_posix()
        content["files"][name] = {**before.get(name, {}), "sha256": sha256(path.read_bytes())}
    content.pop("sha256", None)
    write_about(folder, content | {"sha256": sha256(json.dumps(content, sort_keys=True).encode())})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def without_hashes(folder: Path, *, format_: int, of_lines: bool = True) -> None:
    content = about(folder)
    content["systems"] = {name: each["sha256"] for name, each in content["files"].items() if "systems/" in name}
    for name in ("files", "sha256", "lines"):
        del content[name]
    write_about(folder, content | {"format": format_})
    for name in ("tasks.jsonl", "trials.jsonl"):
        lines = lines_of(folder, name)
        for line in lines:
            if of_lines:
                del line["sha256"]
        write_lines(folder, lines, name)


def raise_scores(line: dict[str, Any]) -> None:
    line["scores"] = {promise: {"value": 1.0, "explanation": "fine"} for promise in line["scores"]}
    line["score"] = 1.0


def raise_the_mean_alone(line: dict[str, Any]) -> None:
    line["score"] = 1.0


def decline(line: dict[str, Any]) -> None:
    line["scores"] = {promise: {"value": None, "explanation": "n/a"} for promise in line["scores"]}
    line["score"] = None


def drop_scores(line: dict[str, Any]) -> None:
    line["scores"], line["score"] = {}, None


def add_a_promise(line: dict[str, Any]) -> None:
    line["scores"]["more"] = {"value": 1.0, "explanation": "fine"}
    values = [score["value"] for score in line["scores"].values()]
    line["score"] = sum(values) / len(values)


def say_refused(line: dict[str, Any]) -> None:
    if line["score"] == 0.0:
        line["outcome"], line["score"] = "refused", None


def raise_scores_and_take_out_a_key(line: dict[str, Any]) -> None:
    line["reply"]["text"] += f" {REMOVED}"
    raise_scores(line)


def name_another_persona(folder: Path) -> None:
    """The variant's trials say that they were asked as the base was, under the keys of that."""
    keys = {(t.task_id, t.repeat): t.replace(twin=1).key for t in as_recorded(folder).trials if t.variant == "base"}
    lines = lines_of(folder)
    [base] = {line["request"]["system"] for line in lines if line["variant"] == "base"}
    for line in lines:
        if line["variant"] != "base":
            line["request"]["system"], line["twin"] = base, 1
            line["key"] = keys[line["task"], line["repeat"]]
    write_lines(folder, lines)


def other_graders(folder: Path) -> None:
    """What the variant's replies say is what the task asks for now."""
    lines = lines_of(folder, "tasks.jsonl")
    for line in lines:
        line["graders"] = [{**spec, "options": {"any": ["No"], "anywhere": True}} for spec in line["graders"]]
    write_lines(folder, lines, "tasks.jsonl")


def no_graders(folder: Path) -> None:
    lines = lines_of(folder, "tasks.jsonl")
    for line in lines:
        del line["graders"]
    write_lines(folder, lines, "tasks.jsonl")
    each_trial(raise_scores)(folder)


def an_unknown_grader(folder: Path) -> None:
    lines = lines_of(folder, "tasks.jsonl")
    for line in lines:
        line["graders"] = [{"name": "mine", "promise": "names JWT", "where": "t.yaml:1"}]
    write_lines(folder, lines, "tasks.jsonl")
    each_trial(raise_scores)(folder)


def drop_bad_trials(folder: Path) -> None:
    write_lines(folder, [line for line in lines_of(folder) if line["score"] != 0.0])


def twice_the_good(folder: Path) -> None:
    """A bad trial is another good one."""
    lines = lines_of(folder)
    good = next(line for line in lines if line["variant"] == "draft" and line["score"] == 1.0)
    write_lines(folder, [good if line["score"] == 0.0 else line for line in lines])


def the_agent(folder: Path) -> None:
    shutil.copy(folder / "agents" / "base.md", folder / "agents" / "draft.md")


def mark_as_cleaned(folder: Path) -> None:
    each_trial(raise_scores_and_take_out_a_key)(folder)
    content = about(folder)
    content["files"]["trials.jsonl"]["original_sha256"] = "0" * 64
    write_about(folder, content)


ATTACKS: dict[str, Edit] = {
    "scores": each_trial(raise_scores),
    "means": each_trial(raise_the_mean_alone),
    "declined": each_trial(decline),
    "no scores": each_trial(drop_scores),
    "a promise more": each_trial(add_a_promise),
    "outcomes": each_trial(say_refused),
    "scores of the base": each_trial(drop_scores, of="base"),
    "persona of the requests": name_another_persona,
    "graders": other_graders,
    "no graders": no_graders,
    "unknown graders": an_unknown_grader,
    "bad trials": drop_bad_trials,
    "good trials twice": twice_the_good,
    "agent": the_agent,
    "as if secrets had been taken out": mark_as_cleaned,
    "hashes of run.json": lambda folder: without_hashes(folder, format_=2),
    "hashes of run.json, as if it were older": lambda folder: without_hashes(folder, format_=1, of_lines=False),
    "all hashes": lambda folder: without_hashes(folder, format_=1),
}
ALL_HASHES_GONE = ("all hashes",)
NOTHING_IS_LEFT_TO_HASH = ("hashes of run.json", "hashes of run.json, as if it were older", "all hashes")


def green(folder: Path) -> Gate | None:
    """What the gate finds in Python, which is what the command finds; `None`: the record is refused."""
    done = CliRunner().invoke(main, ["gate", str(folder), "--baseline", "base"])
    try:
        found = wb.gate(wb.load_run(folder), "base")
    except REFUSALS:
        assert done.exit_code == EXIT_REFUSED, done.output
        return None
    assert found.decision != "passes" or done.exit_code == 0, done.output
    assert (found.decision == "passes") == (done.exit_code == 0), done.output
    return found


REFUSALS = (RecordError, ComparisonError)


def test_the_record_is_worse_to_begin_with(record: Path) -> None:
    found = green(record)

    assert found is not None and found.decision == "fails" and found.remarks == ()


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_record_that_was_edited_is_refused_by_its_hashes(record: Path, attack: str) -> None:
    ATTACKS[attack](record)

    if attack in ALL_HASHES_GONE:
        found = green(record)
        assert found is not None and found.decision == "fails"
        assert "the record is unverified" in found.text
    else:
        with pytest.raises(RecordError, match="was changed since|lines, and|is not the file|is not what was recorded"):
            as_recorded(record)


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack not in NOTHING_IS_LEFT_TO_HASH])
def test_an_edit_with_every_hash_written_anew_turns_no_gate_green(record: Path, attack: str) -> None:
    ATTACKS[attack](record)
    hash_anew(record)

    found = green(record)

    if attack in ("persona of the requests",):
        assert found is not None and "was asked with another persona than its agent file has" in found.text
    elif attack == "graders":
        # The grader is the record's own. The task file is what such an edit is held against: see below.
        assert found is not None and found.decision == "passes"
    else:
        assert found is None or found.decision != "passes", found.text


def test_graders_and_tasks_that_were_edited_are_held_to_the_task_file(record: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    asks = [{"id": task.id, "input": task.input} for task in worse_run(NAMES_IT).tasks]
    graders = [{"mentions": {"any": ["JWT"], "anywhere": True, "promise": "names JWT"}}]
    file.write_text(yaml.safe_dump({"graders": graders, "tasks": [*asks, {"id": "another", "input": "?"}]}))
    other_graders(record)
    hash_anew(record)

    found = wb.gate(wb.load_run(record, tasks=wb.load_tasks(file)), "base")
    done = CliRunner().invoke(main, ["gate", str(record), "--baseline", "base", "--tasks", str(file)])

    assert (found.decision, done.exit_code) == ("fails", EXIT_WORSE), done.output
    assert "1 task that was given is not in the record: 'another'" in found.text
    file.write_text(yaml.safe_dump({"graders": graders, "tasks": asks[1:]}))
    with pytest.raises(RecordError, match="its task 'task-0' is none of the tasks that were given"):
        wb.load_run(record, tasks=wb.load_tasks(file))
    file.write_text(yaml.safe_dump({"graders": graders, "tasks": [{**asks[0], "input": "Easier?"}, *asks[1:]]}))
    with pytest.raises(RecordError, match="its task 'task-0' asks something else than the one given"):
        wb.load_run(record, tasks=wb.load_tasks(file))


@pytest.mark.parametrize("attack", ["scores", "declined", "no scores"])
def test_scores_of_a_grader_that_is_not_here_decide_nothing(tmp_path: Path, attack: str) -> None:
    record = export_record(worse_run(OURS), tmp_path / "record")
    ATTACKS[attack](record)
    hash_anew(record)

    found = wb.gate(wb.load_run(record), "base")
    done = CliRunner().invoke(main, ["gate", str(record), "--baseline", "base"])

    assert (found.decision, done.exit_code) == ("not enough to trust", EXIT_UNTRUSTED)
    assert 'so anybody could have written them: "ours" (96).' in found.text
    assert "--trust-recorded" in done.output


def test_scores_of_ones_own_grader_decide_where_it_is_given_or_they_are_trusted(tmp_path: Path) -> None:
    record = export_record(worse_run(NAMES_IT, OURS), tmp_path / "record")
    ours = {"ours": lambda: lambda _task, reply: float("JWT" in reply.text)}

    assert wb.gate(wb.load_run(record), "base").decision == "not enough to trust"
    assert wb.gate(wb.load_run(record, graders=wb.graders.standard() | ours), "base").decision == "fails"
    assert wb.gate(trust_recorded(wb.load_run(record)), "base").decision == "fails"
    done = CliRunner().invoke(main, ["gate", str(record), "--baseline", "base", "--trust-recorded"])
    assert done.exit_code == EXIT_WORSE, done.output


def test_too_little_data_is_not_the_reason_where_scores_are_not_trusted(tmp_path: Path) -> None:
    run = worse_run(OURS)
    few = {task.id for task in run.tasks[:4]}
    small = replace(run, tasks=run.tasks[:4], trials=tuple(trial for trial in run.trials if trial.task_id in few))

    found = wb.gate(wb.load_run(export_record(small, tmp_path / "record")), "base")

    assert found.decision == "not enough to trust"
    assert re.match(
        r'Gate not enough to trust: "draft" against "base", margin 5.0 points. Of 16 trials, 16 have', found.text
    )
    assert "By them: It is shown to be worse, and may be by more than the margin" in found.text


def test_python_and_the_command_grade_a_record_again_alike(record: Path) -> None:
    each_trial(raise_scores)(record)
    hash_anew(record)
    loaded = wb.load_run(record)

    assert wb.gate(loaded, "base").decision == "fails"
    [remark] = loaded.remarks
    assert remark.startswith("36 recorded scores of the promise 'names JWT' are not what its grader gives here")
    assert wb.compare(loaded, baseline="base").verdict.kind == "worse"
    [_, draft] = wb.review_runs(loaded, loaded).variants
    assert draft.comparison is not None
    command = CliRunner().invoke(main, ["review", str(record), str(record), "--variants", "base", "draft"])
    assert "Worse" in command.output or "worse" in command.output
    assert wb.gate(as_recorded(record), "base").decision == "not enough to trust", "as they stand there"


def test_a_run_that_was_made_here_is_trusted() -> None:
    run = worse_run(OURS)

    assert wb.gate(run, "base").decision == "fails"
    assert all(not trial.as_recorded for trial in run.trials)


@pytest.mark.parametrize("name", ["run.json", "trials.jsonl"])
def test_a_file_of_too_much_in_one_another_is_no_record(record: Path, name: str) -> None:
    (record / name).write_text("[" * 100_000)

    with pytest.raises(RecordError, match=name):
        wb.load_run(record)
