from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.comparison.provenance import provenance, provenance_table
from workbench.definition.agent import Agent
from workbench.errors import RecordError
from workbench.runs.plan import plan_trials
from workbench.runs.runner import run_trials
from workbench.trial.record import export_record, installed_versions, load_run
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Failure, Reply, Run, Score, Usage

GRADERS = {"long": lambda: lambda _task, reply: Score(value=1.0, explanation=f"{len(reply.text)} characters")}


@pytest.fixture
def run(agent: Agent) -> Run:
    tasks = [
        Task(
            id="one",
            input="Design an API",
            graders=(GraderSpec(name="long", promise="long", where="t.yaml:1"),),
        ),
        Task(id="two", input="Tune a query", group="g", variables={"n": 1}, context="rules"),
    ]
    run = run_trials(plan_trials({"base": agent, "te/rse": agent.replace(prompt="Be terse.")}, tasks, graders=GRADERS))
    broken = run.trials[-1].replace(reply=None, failure=Failure(type="timeout", message="gone"), scores={})
    return Run(
        variants=run.variants, tasks=run.tasks, repeats=1, endpoint=run.endpoint, trials=(*run.trials[:-1], broken)
    )


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_record_loads_as_the_run_it_was(run: Run, tmp_path: Path) -> None:
    loaded = load_run(export_record(run, tmp_path / "record"))

    assert loaded.variants == run.variants
    assert loaded.tasks == run.tasks
    assert loaded.endpoint == run.endpoint
    assert [trial.replace(from_ledger=False) for trial in loaded.trials] == [
        trial.replace(from_ledger=False) for trial in run.trials
    ]
    assert [trial.key for trial in loaded.trials] == [trial.key for trial in run.trials]


def as_of_before(folder: Path) -> Path:
    """The record as older workbenches wrote it: with hashes of agents and system prompts only."""
    about = json.loads((folder / "run.json").read_text())
    files = about.pop("files")
    del about["sha256"]
    about["systems"] = {name: files[name]["sha256"] for name in files if name.startswith("systems/")}
    about["format"] = 1
    (folder / "run.json").write_text(json.dumps(about))
    for name in ("tasks.jsonl", "trials.jsonl"):
        lines = [json.loads(line) for line in (folder / name).read_text().splitlines()]
        for line in lines:
            del line["sha256"]
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_label_of_a_record_of_before_is_read_as_its_promise(run: Run, tmp_path: Path) -> None:
    folder = as_of_before(export_record(run, tmp_path))
    tasks = (folder / "tasks.jsonl").read_text()
    assert '"promise": "long"' in tasks

    (folder / "tasks.jsonl").write_text(tasks.replace('"promise"', '"label"'))

    assert load_run(folder).tasks == run.tasks


def test_exporting_twice_or_a_loaded_run_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    first = export_record(run, tmp_path / "a")
    second = export_record(load_run(first), tmp_path / "b")

    assert content(first) == content(second)
    assert content(export_record(run, first)) == content(second)


def test_record_holds_the_agents_byte_for_byte_and_says_who_answered(run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path)

    files = content(folder)
    assert files["agents/base.md"] == run.variants["base"].to_bytes()
    assert "agents/te-rse.md" in files
    assert json.loads(files["run.json"])["answered_by"] == "OFFLINE STAND-IN, not a model"


def test_older_record_in_the_folder_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    export_record(run, tmp_path)
    smaller = Run(
        variants={"base": run.variants["base"]},
        tasks=run.tasks,
        repeats=1,
        endpoint=run.endpoint,
        trials=tuple(trial for trial in run.trials if trial.variant == "base"),
    )

    export_record(smaller, tmp_path)

    assert [name for name in content(tmp_path) if "te-rse" in name] == []
    assert load_run(tmp_path).variants.keys() == {"base"}


def test_missing_and_broken_records_are_named(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"run\.json: there is no record of a run here"):
        load_run(tmp_path)

    folder = export_record(run, tmp_path / "r")
    (folder / "agents" / "base.md").write_text("changed")
    with pytest.raises(RecordError, match="is not the file that was recorded"):
        load_run(folder)

    (folder / "agents" / "base.md").unlink()
    with pytest.raises(RecordError, match=r"base\.md: is part of the record and cannot be read"):
        load_run(folder)

    about = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(about | {"format": 99}))
    with pytest.raises(RecordError, match="format 99; this workbench reads 1 and 2"):
        load_run(folder)


@pytest.mark.parametrize("name", ["agents/mine.md", "tasks.jsonl", "run.json"])
def test_files_of_others_are_never_overwritten(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('["mine"]')

    with pytest.raises(RecordError, match="but no record of a run; name another folder"):
        export_record(run, tmp_path)

    assert content(tmp_path) == {name: b'["mine"]'}


def test_record_lies_beside_what_else_is_in_its_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "compare.ipynb").write_text("{}")

    export_record(run, export_record(run, tmp_path))

    assert load_run(tmp_path).tasks == run.tasks
    assert (tmp_path / "compare.ipynb").read_text() == "{}"


def test_record_that_an_older_workbench_did_not_write_to_its_end_is_not_taken_for_one(run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path / "record")
    unfinished = content(folder) | {"run.json": b'{"format": "unfinished"}'}
    (folder / "run.json").write_bytes(unfinished["run.json"])

    with pytest.raises(RecordError, match="was not written to its end; export the run again"):
        load_run(folder)
    assert load_run(export_record(run, folder)).tasks == run.tasks
    [aside] = [path for path in tmp_path.iterdir() if path != folder]
    assert content(aside) == unfinished, "nobody knows any more what its trials were of"


@pytest.mark.parametrize("ended", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_export_that_ends_before_all_is_on_the_disk_leaves_the_record_of_before(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: BaseException
) -> None:
    """A full disk may say so only when a file is to be on it for good."""
    before = content(export_record(run, tmp_path))
    other = replace(run, repeats=2)
    sync, count = os.fsync, 0
    for last in range(len(before)):
        count = 0

        def failing(descriptor: int, last: int = last) -> None:
            nonlocal count
            count += 1
            if count > last:
                raise ended
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", failing)
        with pytest.raises((RecordError, KeyboardInterrupt), match="cannot be written: No space left on device|^$"):
            export_record(other, tmp_path)
        monkeypatch.undo()

        assert content(tmp_path) == before, f"{last} of its files were written"
    assert load_run(export_record(other, tmp_path)).repeats == 2


@pytest.mark.parametrize(
    ("name", "found", "message"),
    [
        ("run.json", b"[]", r"run\.json: is not the run\.json of a record"),
        ("trials.jsonl", b"\xff\n", r"trials\.jsonl: is not JSON Lines"),
        (
            "trials.jsonl",
            b'{"task": "one"}\n',
            r"trials\.jsonl: has 1 line, and \d+ were recorded: part of it is lost",
        ),
        ("tasks.jsonl", b"", r"tasks\.jsonl: has 0 lines"),
    ],
)
def test_damaged_file_is_named(run: Run, tmp_path: Path, name: str, found: bytes, message: str) -> None:
    (export_record(run, tmp_path) / name).write_bytes(found)

    with pytest.raises(RecordError, match=message):
        load_run(tmp_path)


def test_changed_persona_of_a_record_is_not_taken_for_the_one_that_was_tried(run: Run, tmp_path: Path) -> None:
    file = min((export_record(run, tmp_path) / "systems").iterdir())
    file.write_bytes(file.read_bytes() + b" Be kind.")

    with pytest.raises(RecordError, match=rf"{file.name}: is not the file that was recorded: its sha256 differs"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"), [("versions", "x"), ("systems", 5), ("lines", []), ("variants", [1]), ("endpoint", {})]
)
def test_record_that_says_nonsense_of_itself_is_refused(run: Run, tmp_path: Path, field: str, value: object) -> None:
    file = export_record(run, tmp_path) / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))

    with pytest.raises(RecordError):
        load_run(tmp_path)


def test_record_keeps_every_field_of_a_request_and_a_reply(run: Run, tmp_path: Path) -> None:
    usage = Usage(input_tokens=1, cache_creation_1h_input_tokens=2, service_tier="batch")
    reply = Reply(
        text="\u2028 \x00 🐍", stop_reason="refusal", stop_details={"category": "cyber"}, usage=usage, attempts=3
    )
    first = run.trials[0]
    odd = first.replace(request=replace(first.request, effort="low", cache="1h"), reply=reply, twin=1, scores={})
    odd_run = Run(
        variants=run.variants, tasks=run.tasks, repeats=1, endpoint=run.endpoint, trials=(odd, *run.trials[1:])
    )

    assert load_run(export_record(odd_run, tmp_path)).trials[0] == odd.replace(from_ledger=True)


def test_record_keeps_what_every_number_rests_on(run: Run, tmp_path: Path) -> None:
    tasks = tuple(replace(task, file_sha256="ab" * 32) for task in run.tasks)
    made = replace(run, tasks=tasks, versions={"agent-workbench": "0.0.9", "anthropic": "2.0"})

    loaded = load_run(export_record(made, tmp_path))

    assert [task.file_sha256 for task in loaded.tasks] == ["ab" * 32] * 2
    assert loaded.versions == {"agent-workbench": "0.0.9", "anthropic": "2.0"}
    first, known = loaded.trials[0].reply, run.trials[0].reply
    assert first is not None and known is not None and known.at is not None
    assert first.at == known.at


def test_new_run_is_recorded_with_the_versions_that_made_it(run: Run, tmp_path: Path) -> None:
    assert load_run(export_record(run, tmp_path)).versions == installed_versions()


def test_record_of_an_older_workbench_loads_without_what_it_does_not_say(run: Run, tmp_path: Path) -> None:
    folder = as_of_before(export_record(run, tmp_path))
    about = json.loads((folder / "run.json").read_text())
    del about["versions"], about["systems"], about["lines"]
    (folder / "run.json").write_text(json.dumps(about))
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    for line in lines:
        if line["reply"] is not None:
            del line["reply"]["at"]
    (folder / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    loaded = load_run(folder)

    assert (loaded.versions, loaded.tasks[0].file_sha256, loaded.trials) == ({}, None, load_run(folder).trials)
    assert loaded.trials[0].reply is not None and loaded.trials[0].reply.at is None
    assert loaded.remarks == (
        "the record is unverified: it says that it is of an older workbench, and has no hashes of its trials, so "
        "whether a reply was changed since cannot be checked",
    )
    assert [row for row in provenance_table(provenance(loaded)).rows if row[0] == "Record"] == [
        ("Record", loaded.remarks[0])
    ]
    assert load_run(export_record(run, tmp_path)).remarks == ()


def test_replayed_run_is_recorded_byte_for_byte_as_the_run_that_asked(agent: Agent, tmp_path: Path) -> None:
    plan = plan_trials({"base": agent}, [Task(id="one", input="Design an API")])
    ledger = tmp_path / "ledger.sqlite"

    asked = export_record(run_trials(plan, ledger=ledger, progress=False), tmp_path / "asked")
    replayed = export_record(run_trials(plan, ledger=ledger, mode="replay", progress=False), tmp_path / "replayed")

    assert content(asked) == content(replayed)


def test_file_in_the_folder_names_its_record(run: Run, tmp_path: Path) -> None:
    export_record(run, tmp_path)
    (tmp_path / "compare.ipynb").write_text("{}")

    assert load_run(tmp_path / "compare.ipynb").tasks == run.tasks
    assert load_run(tmp_path / "run.json").tasks == run.tasks


def test_long_name_of_a_variant_still_makes_a_file(run: Run, agent: Agent, tmp_path: Path) -> None:
    long = {f"{'ö' * 300} {number}": agent for number in range(2)}
    trials = tuple(trial.replace(variant=next(iter(long))) for trial in run.trials if trial.variant == "base")

    assert load_run(export_record(replace(run, variants=long, trials=trials), tmp_path)).variants.keys() == long.keys()


def changed(folder: Path, name: str, before: str, after: str) -> Path:
    text = (folder / name).read_text()
    assert before in text
    (folder / name).write_text(text.replace(before, after, 1))
    return folder


@pytest.mark.parametrize(
    ("name", "before", "after", "message"),
    [
        (
            "trials.jsonl",
            '"value": 1.0',
            '"value": 0.0',
            r"trials.jsonl:1: the line of task 'one', variant 'base', repe",
        ),
        (
            "trials.jsonl",
            '"outcome": "answered"',
            '"outcome": "refused"',
            r"trials\.jsonl:1: .* was changed since it was",
        ),
        ("trials.jsonl", '"task": "one"', '"task":  "one"', r"trials\.jsonl:1: .* was changed"),
        ("tasks.jsonl", "Tune a query", "Tune a fish", r"tasks\.jsonl:2: the line of id 'two' was changed"),
        ("run.json", '"kind": "offline"', '"kind": "live"', r"run\.json: was changed since it was recorded"),
        ("run.json", '"repeats": 1', '"repeats": 2', r"run\.json: was changed"),
        ("agents/base.md", "architect", "artist", r"base\.md: is not the file that was recorded"),
    ],
)
def test_what_was_changed_in_a_record_is_named(
    run: Run, tmp_path: Path, name: str, before: str, after: str, message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        load_run(changed(export_record(run, tmp_path), name, before, after))


def test_lines_in_another_order_are_not_the_record(run: Run, tmp_path: Path) -> None:
    file = export_record(run, tmp_path) / "trials.jsonl"
    file.write_text("".join(reversed(file.read_text().splitlines(keepends=True))))

    with pytest.raises(RecordError, match="of another run, or in another order"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    "name", ["../../../../../../../../etc/passwd", "/etc/passwd", "/dev/zero", "agents/../../other.md"]
)
def test_a_record_names_no_file_outside_of_its_folder(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "other.md").write_text("not for others")
    folder = changed(
        as_of_before(export_record(run, tmp_path / "record")), "run.json", '"agents/base.md"', json.dumps(name)
    )

    with pytest.raises(RecordError, match="which is outside of the record") as refused:
        load_run(folder)

    assert name in str(refused.value)
    assert "root:" not in str(refused.value)


@pytest.mark.parametrize("name", ["agents/base.md", "trials.jsonl", "tasks.jsonl", "run.json"])
def test_a_record_holds_regular_files_only(run: Run, tmp_path: Path, name: str) -> None:
    folder = export_record(run, tmp_path / "record")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(RecordError, match=rf"{name}: is part of the record, but no regular file"):
        load_run(folder)

    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(RecordError, match="outside of the record"):
        load_run(folder)


def test_an_agent_of_a_record_without_its_hash_is_refused(run: Run, tmp_path: Path) -> None:
    folder = as_of_before(export_record(run, tmp_path))
    about = json.loads((folder / "run.json").read_text())
    del about["variants"][0]["sha256"]
    (folder / "run.json").write_text(json.dumps(about))

    with pytest.raises(RecordError, match="incomplete: KeyError: 'sha256'"):
        load_run(folder)


def test_what_a_record_leaves_out_for_others_it_says_with_the_hash_of_the_original(
    run: Run, tmp_path: Path, agent: Agent
) -> None:
    key = "sk-ant-api03-" + "q7f2vx9kpl4st8wz" * 3
    tried = agent.replace(prompt=f"Use {key}.\n")
    trials = tuple(
        trial.replace(request=replace(trial.request, system=tried.prompt), variant="base")
        for trial in run.trials
        if trial.variant == "base"
    )
    made = replace(run, variants={"base": tried}, trials=trials)
    folder = export_record(made, tmp_path / "a")
    loaded = load_run(folder)

    assert not any(key.encode() in found for found in content(folder).values())
    assert loaded.variants["base"].digest != tried.digest
    assert loaded.originals["agents/base.md"] == tried.digest
    assert (
        f"secrets were taken out of the agent of 'base': what was tried has the sha256 {tried.digest}" in loaded.remarks
    )
    assert [trial.key for trial in loaded.trials] == [trial.key for trial in trials]
    assert content(export_record(loaded, tmp_path / "b")) == content(folder)
