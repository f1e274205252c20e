"""People's labels and what they make of a judge: kept whole, agreed or not, and the certificate that stands on them."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

import workbench as wb
from workbench.cli import EXIT_UNTRUSTED, main
from workbench.comparison.columns import trial_columns
from workbench.comparison.gate import gate
from workbench.comparison.judged import (
    CriterionRow,
    agreement_by,
    corrected_difference,
    criterion_rows,
    judged_table,
    promises_and_criteria,
    revoked_by,
    show_judged,
    stability_of,
)
from workbench.comparison.promises import PromiseChange
from workbench.comparison.review import review_runs
from workbench.errors import CertificateRefused, ComparisonError, LabelError, PlanError
from workbench.judging.agreement import agreement_of
from workbench.judging.certificate import (
    certify,
    check_certificates,
    export_certificates,
    load_certificates,
    variant_to_label_next,
    with_certificates,
)
from workbench.judging.judge import items_of
from workbench.judging.labelling import Labelling
from workbench.judging.labels import (
    Label,
    Labels,
    export_labels,
    items_to_label,
    label_now,
    load_labels,
    save_label,
    values_by_item,
)
from workbench.judging.prompt import judging_prompt, prompt_sha256
from workbench.statistics.pairwise import Judgement
from workbench.trial.judged import item_id
from workbench.trial.regrade import regrade
from workbench.trial.rubric import CANNOT_TELL, Criterion, Rubric
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Endpoint, Judged, Reply, Request, Run, Score, Trial

RUBRIC = Rubric(name="r", criteria=(Criterion(name="passes", asks="It passes."),))
LEVELS = Rubric(name="l", criteria=(Criterion(name="depth", asks="How deep.", levels=("none", "some", "much")),))
ENDPOINT = Endpoint(kind="server", base_url="http://judge.invalid")


def answered(variant: str, task: int, text: str, *, endpoint: Endpoint = ENDPOINT) -> Trial:
    request = Request(model="judge-model", system="", messages=(), max_tokens=1)
    reply = Reply(text=text, stop_reason="end_turn")
    return Trial(variant=variant, task_id=str(task), repeat=0, request=request, endpoint=endpoint, reply=reply)


def run_of(tasks: int = 60) -> Run:
    """Two variants on so many tasks; each reply says whose it is, so that all differ."""
    agent = wb.parse_agent(b"You help.\n")
    trials = tuple(answered(name, task, f"{name} says {task}") for task in range(tasks) for name in ("base", "new"))
    return Run(
        variants={"base": agent, "new": agent},
        tasks=tuple(Task(id=str(task), input="Help.") for task in range(tasks)),
        repeats=1,
        endpoint=ENDPOINT,
        trials=trials,
    )


def judged_as(run: Run, passes: dict[str, bool], *, model: str = "judge-model", rubric: Rubric = RUBRIC) -> Judged:
    """What a judge said that passes these items and fails those."""
    calls = []
    for trial in run.trials:
        item = item_id(trial)
        assert trial.reply is not None
        words = {"quote": trial.reply.text, "reason": "so", "verdict": "met" if passes[item] else "not met"}
        call = answered("judge", 0, json.dumps({"passes": words}))
        calls.append(call.replace(task_id=item, request=replace(call.request, model=model)))
    return Judged(rubric=rubric, calls=tuple(calls), prompt_sha256="f" * 64)


def asked_otherwise(judged: Judged, *, effort: str | None = None, endpoint: Endpoint = ENDPOINT) -> Judged:
    """The same words of the same judge, asked with another effort, or at another endpoint."""
    calls = (call.replace(request=replace(call.request, effort=effort), endpoint=endpoint) for call in judged.calls)
    return replace(judged, calls=tuple(calls))


def labelled(items: dict[str, bool], *, labeller: str = "ann") -> Labels:
    return Labels(
        labels=tuple(
            Label(item=item, criterion="passes", level="met" if passes else "not met", labeller=labeller, at="")
            for item, passes in items.items()
        )
    )


def truth_and_judge(run: Run, *, errors: float = 0.1) -> tuple[dict[str, bool], dict[str, bool]]:
    """What people would say of each reply, and a judge that errs on this share of them."""
    draw = Random(7)
    rates = {"base": 0.4, "new": 0.75}
    truth = {item_id(trial): draw.random() < rates[trial.variant] for trial in run.trials}
    return truth, {item: passes != (draw.random() < errors) for item, passes in truth.items()}


def some_of(run: Run, truth: dict[str, bool], count: int) -> dict[str, bool]:
    return {item.id: truth[item.id] for item in items_to_label(run)[:count]}


def test_replies_are_shown_blind_and_in_an_order_of_their_own() -> None:
    run = run_of()
    items = items_to_label(run)
    other = replace(run, trials=tuple(reversed(run.trials)), variants=dict(reversed(run.variants.items())))

    assert [item.id for item in items_to_label(other)] == [item.id for item in items]
    assert [item.id for item in items_to_label(run, seed=1)] != [item.id for item in items]
    assert {item.id for item in items} == {item_id(trial) for trial in run.trials}
    first_half = [item.reply.split()[0] for item in items[:60]]
    assert 18 < first_half.count("base") < 42


def test_labels_come_back_as_they_were_given(tmp_path: Path) -> None:
    path = tmp_path / "new" / "labels.jsonl"
    given = [
        label_now("1#a", "passes", "met", labeller="ann", note="“quoted”\nand on"),
        label_now("1#b", "passes", CANNOT_TELL, labeller="ann"),
        label_now("1#a", "passes", "not met", labeller="bob"),
    ]
    for label in given:
        save_label(label, path)

    assert load_labels(path, RUBRIC).labels == tuple(given)
    assert load_labels(path, RUBRIC).labellers == ("ann", "bob")


def test_a_later_label_takes_the_place_of_an_earlier_and_an_empty_one_takes_it_back(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    for level in ("met", "not met"):
        save_label(label_now("1#a", "passes", level, labeller="ann"), path)
    assert [label.level for label in load_labels(path, RUBRIC).labels] == ["not met"]

    save_label(label_now("1#a", "passes", "", labeller="ann"), path)
    assert load_labels(path, RUBRIC).labels == ()


def test_labels_go_out_as_csv_and_come_in_again(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    save_label(label_now("1#a", "passes", "met", labeller="ann", note='a "b", c\nd'), path)
    save_label(label_now("2#b", "passes", "not met", labeller="=cmd()"), path)
    labels = load_labels(path, RUBRIC)

    assert load_labels(export_labels(labels, tmp_path / "labels.csv"), RUBRIC).labels == labels.labels


def filled_in(sheet: Path, levels: dict[str, str]) -> None:
    """As a person leaves it who has labelled these replies in a spreadsheet."""
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["level"] = levels.get(row["item"], "")
    with sheet.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_replies_are_labelled_in_a_spreadsheet_without_a_notebook(tmp_path: Path) -> None:
    run = run_of(4)
    sheet = wb.export_label_sheet(run, RUBRIC, tmp_path / "sheet.csv", labeller="ann")
    ordered = items_to_label(run)
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))

    assert [row["item"] for row in rows] == [item.id for item in ordered]
    assert [(row["task"], row["reply"], row["level"]) for row in rows] == [("Help.", i.reply, "") for i in ordered]
    assert (rows[0]["levels"], rows[0]["asks"]) == ("not met | met | cannot tell", "It passes.")
    assert "variant" not in rows[0]
    assert load_labels(sheet, RUBRIC).labels == ()
    filled_in(sheet, {ordered[0].id: "met", ordered[2].id: "cannot tell"})
    assert [(label.item, label.level, label.labeller) for label in load_labels(sheet, RUBRIC).labels] == [
        (ordered[0].id, "met", "ann"),
        (ordered[2].id, "cannot tell", "ann"),
    ]
    with pytest.raises(LabelError, match="is there already, and may hold labels"):
        wb.export_label_sheet(run, RUBRIC, sheet, labeller="bob")
    with pytest.raises(LabelError, match=r"name a file such as sheet\.csv"):
        wb.export_label_sheet(run, RUBRIC, tmp_path / "sheet.jsonl", labeller="bob")


def test_a_sheet_holds_no_formula_and_no_key(tmp_path: Path) -> None:
    key = "sk-ant-" + "canary-note-000007"
    run = run_of(1)
    run = replace(run, trials=(answered("base", 0, "=cmd(1)"), answered("new", 0, f"Use {key} here.")))

    written = wb.export_label_sheet(run, RUBRIC, tmp_path / "s.csv", labeller="ann").read_text(encoding="utf-8-sig")

    assert ",'=cmd(1)" in written and ",=cmd(1)" not in written
    assert key not in written and "[key removed]" in written
    with pytest.raises(LabelError, match="the task '=1' would be a formula"):
        formula = replace(
            run, tasks=(Task(id="=1", input="x"),), trials=(answered("base", 0, "x").replace(task_id="=1"),)
        )
        wb.export_label_sheet(formula, RUBRIC, tmp_path / "t.csv", labeller="ann")


def test_a_sheet_of_the_command_line_certifies_a_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = run_of(60)
    truth, said = truth_and_judge(run)
    wb.export_record(replace(run, judged=(judged_as(run, said),)), "record")
    Path("r.yaml").write_text("name: r\ncriteria: [{name: passes, asks: It passes.}]\n")
    asked = ["judge", "record", "--rubric", "r.yaml", "--sheet", "sheet.csv", "--labeller", "ann"]

    shown = CliRunner().invoke(main, asked)
    assert (shown.exit_code, "wrote sheet.csv: 120 replies" in shown.output) == (0, True), shown.output
    assert CliRunner().invoke(main, [*asked, "--pairs"]).exit_code == 2
    levels = {item: "met" if passes else "not met" for item, passes in some_of(run, truth, 60).items()}
    filled_in(Path("sheet.csv"), levels)

    done = CliRunner().invoke(main, ["certify", "record", "--labels", "sheet.csv"])
    assert done.exit_code == 0, done.output
    assert "passes: certified by 60 labels" in done.output


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_labels_come_in_however_a_spreadsheet_parts_its_columns(tmp_path: Path, between: str) -> None:
    path = tmp_path / "labels.csv"
    rows = [("note", "item", "criterion", "level", "labeller"), ("a, b; c\td\ne", "1#a", "passes", "met", "ann")]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=between).writerows(rows)

    [label] = load_labels(path, RUBRIC).labels
    assert (label.item, label.criterion, label.level, label.labeller) == rows[1][1:]
    assert label.note == rows[1][0]


def test_a_file_that_would_not_be_read_again_as_it_is_named_gets_no_label(tmp_path: Path) -> None:
    label = label_now("1#a", "passes", "met", labeller="ann")
    table = export_labels(Labels(labels=(label,)), tmp_path / "labels.CSV")
    before = table.read_bytes()

    for into_table in (
        lambda: save_label(label, table),
        lambda: wb.LabelPanel(run_of(2), RUBRIC, path=table, labeller="ann"),
    ):
        with pytest.raises(LabelError, match=r"labels\.CSV: is a table, and .* such as labels\.jsonl"):
            into_table()
    with pytest.raises(LabelError, match=r"labels\.jsonl: .* such as labels\.csv"):
        export_labels(Labels(labels=(label,)), tmp_path / "labels.jsonl")
    assert table.read_bytes() == before and list(tmp_path.iterdir()) == [table]


def test_no_key_that_a_note_quotes_is_in_a_file_of_labels(tmp_path: Path) -> None:
    key = "sk-ant-" + "canary-note-000006"
    label = label_now("1#a", "passes", "met", labeller=f"ann {key}", note=f"It says {key}.")
    path = tmp_path / "labels.jsonl"
    save_label(label, path)
    exported = export_labels(Labels(labels=(label,)), tmp_path / "labels.csv")

    assert key not in path.read_text() + exported.read_text()
    assert [each.note for each in load_labels(exported, RUBRIC).labels] == ["It says [key removed]."]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"item": "1#a", "criterion": "other", "level": "met", "labeller": "ann"}', "'other' is none of the rubric"),
        ('{"item": "1#a", "criterion": "passes", "level": "superb", "labeller": "ann"}', "'superb' is none"),
        ('{"item": "1#a", "criterion": "passes", "level": 1, "labeller": "ann"}', "is no label"),
        ('{"criterion": "passes", "level": "met", "labeller": "ann"}', "which item"),
        ("[1]", "is no label"),
        ("what", "is not JSON"),
    ],
)
def test_a_line_that_is_no_label_is_refused_by_its_number(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "labels.jsonl"
    save_label(label_now("1#a", "passes", "met", labeller="ann"), path)
    path.write_text(path.read_text() + line + "\n")

    with pytest.raises(LabelError, match=message) as refused:
        load_labels(path, RUBRIC)
    assert "labels.jsonl:2" in str(refused.value)


def test_a_label_that_was_cut_off_harms_no_other(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    for item in ("1#a", "2#b"):
        save_label(label_now(item, "passes", "met", labeller="ann"), path)
    whole = path.read_bytes()
    for cut in range(len(whole.split(b"\n")[0]) + 2, len(whole)):
        path.write_bytes(whole[:cut])
        save_label(label_now("3#c", "passes", "not met", labeller="ann"), path)
        found = load_labels(path, RUBRIC)

        assert [label.item for label in found.labels][0 :: len(found.labels) - 1] == ["1#a", "3#c"], cut
        assert len(found.labels) == (3 if cut >= len(whole) - 1 else 2)
        assert bool(found.remarks) == (cut < len(whole) - 1)


@pytest.mark.machine
def test_a_power_cut_loses_no_label_that_was_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    code = (
        "import sys\n"
        "from workbench.judging.labels import label_now, save_label\n"
        "for number in range(100_000):\n"
        "    save_label(label_now(f'{number}#a', 'passes', 'met', labeller='ann'), sys.argv[1])\n"
        "    print(number, flush=True)\n"
    )
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _line in zip(range(20), process.stdout, strict=False):
                pass
            process.send_signal(signal.SIGKILL)
            confirmed = 19 + sum(1 for line in process.stdout if line.endswith("\n"))
        found = {label.item for label in load_labels(path, RUBRIC).labels}

        assert {f"{number}#a" for number in range(confirmed + 1)} <= found


def test_a_label_is_on_disk_with_the_name_of_its_file_before_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced, fsync = tmp_path / "new" / "labels.jsonl", [], os.fsync

    def noted(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append((found.st_ino, found.st_size if stat.S_ISREG(found.st_mode) else None))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    labelling = Labelling(run_of(2), RUBRIC, path=path, labeller="ann")
    labelling.give("passes", "met")
    folders = {(folder.stat().st_ino, None) for folder in (path.parent, tmp_path)}
    assert {(path.stat().st_ino, path.stat().st_size), *folders} == set(synced)
    synced.clear()
    labelling.go_on()
    labelling.give("passes", "not met")

    assert synced == [(path.stat().st_ino, path.stat().st_size)]


@pytest.mark.parametrize("kind", [stat.S_IFREG, stat.S_IFDIR], ids=["file", "folder"])
def test_a_label_that_the_disk_does_not_confirm_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    def fails(descriptor: int) -> None:
        if stat.S_IFMT(os.fstat(descriptor).st_mode) == kind:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    labelling = Labelling(run_of(2), RUBRIC, path=tmp_path / "labels.jsonl", labeller="ann")
    with monkeypatch.context() as patched, pytest.raises(LabelError, match="the label cannot be written: Input/output"):
        patched.setattr(os, "fsync", fails)
        labelling.give("passes", "met")
    assert (labelling.labels.labels, labelling.level_of("passes"), labelling.done) == ((), "", 0)
    assert not labelling.undo()

    labelling.give("passes", "not met")
    assert [label.level for label in load_labels(labelling.path, RUBRIC).labels] == ["not met"]


def test_a_label_is_given_where_a_file_system_syncs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refuses_folders)
    save_label(label_now("1#a", "passes", "met", labeller="ann"), tmp_path / "labels.jsonl")

    assert len(load_labels(tmp_path / "labels.jsonl", RUBRIC).labels) == 1


def test_two_who_label_into_one_file_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    code = (
        "import sys\n"
        "from workbench.judging.labels import label_now, save_label\n"
        "for number in range(100):\n"
        "    save_label(label_now(f'{number}#a', 'passes', 'met', labeller=sys.argv[2], note='x' * 5000), sys.argv[1])\n"
    )
    people = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in ("ann", "bob")]

    assert [process.wait(timeout=60) for process in people] == [0, 0]
    assert len(load_labels(path, RUBRIC).labels) == 200


def test_how_two_people_agree_is_that_of_the_table() -> None:
    pairs = [("met", "met")] * 20 + [("met", "not met")] * 5 + [("not met", "met")] * 10 + [("not met", "not met")] * 15
    labels = Labels(
        labels=tuple(
            Label(item=f"{number}#a", criterion="passes", level=level, labeller=who, at="")
            for number, pair in enumerate(pairs)
            for who, level in zip(("ann", "bob"), pair, strict=True)
        )
    )
    (found,) = agreement_of(labels, RUBRIC)

    assert (found.items, found.share) == (50, 0.7)
    assert found.kappa == pytest.approx(0.4)
    assert found.kappa_interval is not None and found.ac1_interval is not None
    assert found.kappa_interval.low < 0.4 < found.kappa_interval.high
    assert found.kappa_interval.low == pytest.approx(0.4 - 1.96 * 0.127, abs=0.06)
    assert found.ac1_interval.low < found.ac1 < found.ac1_interval.high


def test_what_most_people_say_is_what_people_say() -> None:
    def given(*levels: str) -> Labels:
        return Labels(
            labels=tuple(
                Label(item="1#a", criterion="depth", level=level, labeller=str(number), at="")
                for number, level in enumerate(levels)
            )
        )

    assert values_by_item(given("much", "much", "none"), LEVELS, "depth") == {"1#a": 1.0}
    assert values_by_item(given("much", "none"), LEVELS, "depth") == {"1#a": 0.5}
    assert values_by_item(given(CANNOT_TELL), LEVELS, "depth") == {}


def test_a_judge_that_agrees_with_people_is_certified() -> None:
    run = run_of()
    truth, said = truth_and_judge(run)
    certificate = certify(run, judged_as(run, said), labelled(some_of(run, truth, 60)), "passes")

    assert agreement_by(certificate).labels == 60
    assert agreement_by(certificate).j > 0.6
    assert certificate.models == ("judge-model",)
    assert math.isnan(stability_of(run, judged_as(run, said), "passes"))


def test_a_certificate_says_how_stable_the_judge_is_over_repeats_and_over_the_order_of_a_pair(tmp_path: Path) -> None:
    run = run_of()
    truth, said = truth_and_judge(run)
    judged, labels = judged_as(run, said), labelled(some_of(run, truth, 60))
    again = [call.replace(repeat=repeat) for call in judged.calls for repeat in range(3)]
    first = again[0].reply
    assert first is not None
    again[0] = again[0].replace(reply=replace(first, text=first.text.replace('"met"', '"not met"')[:-1]))
    repeated = replace(judged, calls=tuple(again))
    pairs = [
        Judgement(task_id=str(task), first=one, second=other, choice=choice)
        for task in range(10)
        for one, other, choice in (("base", "new", "second"), ("new", "base", "first" if task else "second"))
    ]
    once, found = (certify(run, judged, labels, "passes"), certify(run, repeated, labels, "passes", pairs=pairs))

    assert (once.stability, once.swap_consistency) == (None, None)
    assert found.stability == pytest.approx(1 - 1 / 360)
    assert found.swap_consistency == 0.9
    held = with_certificates(replace(run, judged=(repeated,)), [found])
    assert "certified by 60 labels, both orders of a pair agree on 90 %" in repr(show_judged(held))
    assert load_certificates(export_certificates([once, found], tmp_path / "c.json")) == (once, found)


def test_too_few_labels_and_a_coin_are_refused() -> None:
    run = run_of()
    truth, said = truth_and_judge(run)
    draw = Random(1)
    coin = {item: draw.random() < 0.5 for item in truth}

    with pytest.raises(CertificateRefused, match="29 labels of people; it takes at least 30"):
        certify(run, judged_as(run, said), labelled(some_of(run, truth, 29)), "passes")
    with pytest.raises(CertificateRefused, match="tells good from bad too rarely"):
        certify(run, judged_as(run, coin), labelled(some_of(run, truth, 60)), "passes")


def test_the_stand_in_is_never_certified() -> None:
    run = run_of()
    truth, said = truth_and_judge(run)
    judged = judged_as(run, said)
    stand_in = Endpoint(kind="offline", base_url="http://offline.invalid")
    judged = replace(judged, calls=tuple(call.replace(endpoint=stand_in) for call in judged.calls))

    with pytest.raises(CertificateRefused, match="offline stand-in"):
        certify(run, judged, labelled(some_of(run, truth, 60)), "passes")


def test_whatever_changes_revokes_the_certificate() -> None:
    run = run_of()
    truth, said = truth_and_judge(run)
    judged, labels = judged_as(run, said), labelled(some_of(run, truth, 60))
    certificate = certify(run, judged, labels, "passes")
    more = labelled(some_of(run, truth, 61))
    first = next(iter(certificate.labelled))
    turned = judged_as(run, said | {first: not said[first]})
    few = replace(certificate, labelled=dict(list(certificate.labelled.items())[:20]))
    harder = asked_otherwise(judged, effort="high")
    elsewhere = asked_otherwise(judged, endpoint=Endpoint(kind="chat", base_url=ENDPOINT.base_url))
    in_part = replace(judged, calls=(*harder.calls[:1], *judged.calls[1:]))

    assert revoked_by(certificate, run, judged, labels_sha256=labels.sha256) == ""
    assert "instructions have changed" in revoked_by(certificate, run, replace(judged, prompt_sha256="0" * 64))
    assert "other-model judged" in revoked_by(certificate, run, judged_as(run, said, model="other-model"))
    assert "asked with effort not sent, and not high" in revoked_by(certificate, run, harder)
    assert "at server http://judge.invalid, and not at chat http" in revoked_by(certificate, run, elsewhere)
    assert "judge-model, judge-model judged" in revoked_by(certificate, run, in_part)
    assert "labels have changed" in revoked_by(certificate, run, judged, labels_sha256=more.sha256)
    assert "on 1 labelled item the judges say something else" in revoked_by(certificate, run, turned)
    assert "20 labels" in revoked_by(few, run, judged)
    with pytest.raises(ComparisonError, match="does not hold"):
        corrected_difference(run, turned, certificate, baseline="base", variant="new")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("between", lambda what, text: f"<{what}>{text}</{what}>"),
        ("mark_of", lambda text: "0" * 16),
        ("_INSTRUCTIONS", "Be kind. {cannot_tell}"),
        ("_AFTER", "By these, with {mark}: {names}"),
        ("judging_message", lambda rubric, task, reply: f"{reply}\n\n{task.message}"),
        ("judging_message", lambda rubric, task, reply: f"{task.message}{task.target or 'none'}\n{reply}"),
        ("judging_schema", lambda rubric: {}),
    ],
)
def test_every_way_in_which_a_judge_is_asked_otherwise_is_in_the_hash_of_its_prompt(
    monkeypatch: pytest.MonkeyPatch, name: str, other: Any
) -> None:
    of_before = prompt_sha256(RUBRIC)
    assert prompt_sha256(replace(RUBRIC, about="")) == of_before == prompt_sha256(replace(RUBRIC, good=("g",)))
    assert prompt_sha256(replace(RUBRIC, about="Reviews.")) != of_before

    monkeypatch.setattr(f"workbench.judging.prompt.{name}", other)
    assert prompt_sha256(RUBRIC) != of_before


def test_a_certificate_that_names_no_effort_and_no_endpoint_is_read_and_holds_for_nothing(tmp_path: Path) -> None:
    run = run_of()
    truth, said = truth_and_judge(run)
    judged = judged_as(run, said)
    path = export_certificates([certify(run, judged, labelled(some_of(run, truth, 60)), "passes")], tmp_path / "c.json")
    written = json.loads(path.read_text())
    for name in ("efforts", "endpoints"):
        del written["certificates"][0][name]
    path.write_text(json.dumps(written))

    (of_before,) = load_certificates(path)
    assert "does not say with which effort and where" in revoked_by(of_before, run, judged)


def test_runs_whose_judges_were_asked_with_another_effort_share_no_judging() -> None:
    run = certified_run()
    before, after = only(run, "base"), only(run, "new")
    (judged,) = after.judged
    otherwise = replace(after, judged=(asked_otherwise(judged, effort="low"),))

    assert any("or the judge changed, left out" in note for note in gate(otherwise, before).notes)


def test_the_corrected_change_is_wider_and_nearer_to_what_people_would_say() -> None:
    run = run_of(200)
    truth, _ = truth_and_judge(run)
    harsh = {item: passes and Random(item).random() < 0.6 for item, passes in truth.items()}
    judged = judged_as(run, harsh)
    certificate = certify(run, judged, labelled(some_of(run, truth, 120)), "passes")
    found = corrected_difference(run, judged, certificate, baseline="base", variant="new")

    def share(values: dict[str, bool], variant: str) -> float:
        of = [values[item_id(trial)] for trial in run.trials if trial.variant == variant]
        return sum(of) / len(of)

    true = share(truth, "new") - share(truth, "base")
    by_judge = share(harsh, "new") - share(harsh, "base")
    assert abs(found.difference - true) < abs(by_judge - true)
    assert found.interval.low <= true <= found.interval.high
    passed = {name: share(harsh, name) for name in ("base", "new")}
    each = len(run.tasks)
    half_width = 1.96 * math.sqrt(sum(rate * (1 - rate) / each for rate in passed.values()))
    assert found.interval.high - found.interval.low > 2 * half_width


def test_a_difference_takes_labels_of_both_variants() -> None:
    run = run_of()
    truth, said = truth_and_judge(run)
    judged = judged_as(run, said)
    of_base = {item_id(trial): truth[item_id(trial)] for trial in run.trials if trial.variant == "base"}
    certificate = certify(run, judged, labelled(of_base), "passes")

    with pytest.raises(ComparisonError, match="0 labelled replies of a variant"):
        corrected_difference(run, judged, certificate, baseline="base", variant="new")
    assert variant_to_label_next(run, judged, labelled(of_base), "passes") == "new"


def test_without_a_certificate_the_row_says_that_it_decides_nothing() -> None:
    run = run_of()
    truth, said = truth_and_judge(run)
    judged = judged_as(run, said)
    certificate = certify(run, judged, labelled(some_of(run, truth, 60)), "passes")
    (grey,) = criterion_rows(run, judged, baseline="base")
    certified = with_certificates(replace(run, judged=(judged,)), [certificate])
    (held,) = criterion_rows(run, certified.judged[0], baseline="base")

    assert grey.corrected is None and grey.standing == "not certified: decides nothing"
    assert held.corrected is not None and held.standing == "certified by 60 labels"
    shown = repr(show_judged(certified))
    assert "certified by 60 labels" in shown and "points, 95 %" in shown


def certified_run(*, rates: tuple[float, float] = (0.2, 0.9)) -> Run:
    """A run whose judge errs on a tenth, and is certified by 60 labels."""
    run = run_of(200)
    asked = tuple(trial.replace(request=replace(trial.request, system=trial.variant)) for trial in run.trials)
    run = replace(run, trials=asked)
    draw = Random(7)
    of = dict(zip(run.variants, rates, strict=True))
    truth = {item_id(trial): draw.random() < of[trial.variant] for trial in run.trials}
    said = {item: passes != (draw.random() < 0.1) for item, passes in truth.items()}
    run = replace(run, judged=(judged_as(run, said),))
    labels = labelled(some_of(run, truth, 60))
    return with_certificates(run, [certify(run, run.judged[0], labels, "passes")])


def uncertified(run: Run) -> Run:
    return replace(run, judged=tuple(replace(judged, certificates=()) for judged in run.judged))


def unchecked(judged: Judged) -> Judged:
    """As a record has it that somebody sent."""
    return replace(judged, certificates=tuple(replace(each, doubt=None) for each in judged.certificates))


def only(run: Run, variant: str) -> Run:
    """A run of this variant alone, with what was judged of it."""
    trials = tuple(trial for trial in run.trials if trial.variant == variant)
    items = {item_id(trial) for trial in trials}
    judged = replace(run.judged[0], calls=tuple(call for call in run.judged[0].calls if call.task_id in items))
    certificates = tuple(
        replace(each, labelled={item: pair for item, pair in each.labelled.items() if item in items})
        for each in judged.certificates
    )
    return replace(
        run,
        variants={variant: run.variants[variant]},
        trials=trials,
        judged=(replace(judged, certificates=certificates),),
    )


def test_every_comparison_shows_what_judges_found_grey_unless_it_is_certified(tmp_path: Path) -> None:
    held = certified_run()
    as_recorded = replace(held, judged=tuple(unchecked(each) for each in held.judged))
    for number, (run, standing, grey) in enumerate(
        (
            (uncertified(held), "not certified: decides nothing", True),
            (held, "certified by 60 labels", False),
            (
                as_recorded,
                "certified by 60 labels, as the record says: no labels are here to check it by",
                False,
            ),
        )
    ):
        comparison = wb.compare(run, baseline="base")
        folder = tmp_path / str(number)
        wb.write_report(comparison, folder)
        bundle = comparison._repr_mimebundle_()
        review = review_runs(run, run, variants=("base", "new"))
        page = (folder / "report.html").read_text()
        shown = (
            str(comparison),
            *bundle.values(),
            page,
            (folder / "summary.md").read_text(),
            str(review),
            review.html(),
        )
        for text in shown:
            assert "By judge: r, judge" in text
            assert standing in text
        for text in (bundle["text/html"], page, review.html()):
            assert ('style="opacity: .7"' in text) is grey
        assert 'href="#judges"' in page
        (row,) = json.loads((folder / "comparison.json").read_text(), parse_constant=pytest.fail)["criteria"]
        assert (row["criterion"], row["standing"], row["corrected"] is None) == ("passes", standing, grey)
        assert row["stability"] is None


def test_a_guard_by_a_judge_takes_a_certificate_and_its_corrected_interval() -> None:
    better, worse = certified_run(), certified_run(rates=(0.9, 0.2))

    for name in ("passes", "r/passes"):
        (passes,) = gate(better, "base", guards={name: None}).guards
        assert passes.decision == "passes" and passes.promise == name
        (row,) = wb.compare(better, baseline="base").criteria
        assert row.corrected is not None and passes.low == row.corrected.interval.low
    (fails,) = gate(worse, "base", guards={"passes": 0.1}).guards
    assert fails.decision == "fails" and "corrected by people's labels" in fails.text
    with pytest.raises(ComparisonError, match="'passes' was judged by judge, .* decides nothing here: not certified"):
        gate(uncertified(better), "base", guards={"passes": None})
    with pytest.raises(ComparisonError, match="no reply was held to a promise 'depth'"):
        gate(better, "base", guards={"depth": None})


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, Path]:
    """The record of a run whose judge was asked as judges are, certified by people's labels, and those labels."""
    run = run_of(40)
    trials = tuple(trial.replace(request=replace(trial.request, system=trial.variant)) for trial in run.trials)
    grader = GraderSpec(name="contains", promise="whole", options={"text": "says"})
    run = replace(run, trials=trials, tasks=tuple(replace(task, graders=(grader,)) for task in run.tasks))
    run = regrade(run, wb.graders.standard())
    truth = {item_id(trial): trial.variant == "new" or int(trial.task_id) % 3 > 0 for trial in trials}
    said = judged_as(run, {item: passes != (item[0] == "7") for item, passes in truth.items()})
    asked = {item.id: item.input for item in items_of(run, RUBRIC)}
    calls = tuple(
        call.replace(
            request=replace(
                call.request,
                system=judging_prompt(RUBRIC),
                messages=({"role": "user", "content": asked[call.task_id]},),
            )
        )
        for call in said.calls
    )
    run = replace(run, judged=(replace(said, calls=calls, prompt_sha256=prompt_sha256(RUBRIC)),))
    labels = labelled(some_of(run, truth, 60))
    path = tmp_path / "labels.jsonl"
    for label in labels.labels:
        save_label(label, path)
    run = with_certificates(run, [certify(run, run.judged[0], load_labels(path, RUBRIC), "passes")])
    return wb.export_record(run, tmp_path / "record"), path


def rewritten(record: Path, change: Callable[[Judged], Judged]) -> Path:
    """Another record, in which the judging is what somebody would have it be."""
    run = wb.load_run(record)
    return wb.export_record(replace(run, judged=tuple(map(change, run.judged))), record.parent / "forged")


def test_the_gate_trusts_no_certificate_that_peoples_labels_do_not_bear_out(kept: tuple[Path, Path]) -> None:
    record, labels = kept
    arguments = ["gate", str(record), "--baseline", "base", "--margin", "0.1", "--guard", "passes:0.2"]

    alone = CliRunner().invoke(main, arguments)
    assert alone.exit_code == EXIT_UNTRUSTED
    assert 'Guard "passes" not enough to trust' in alone.output and "--labels FILE" in alone.output
    held = CliRunner().invoke(main, [*arguments, "--labels", str(labels)])
    assert held.exit_code == 0, held.output
    assert 'Guard "passes" passes' in held.output
    json_of = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).output, parse_constant=pytest.fail)
    assert [row["criterion"] for row in json_of["criteria"]] == ["passes"]
    assert (json_of["decision"], json_of["guards"][0]["decision"]) == ("not enough to trust", "not enough to trust")


def forged_words(judged: Judged) -> Judged:
    """All that people are said to have said turned about, and the judges with them."""
    (certificate,) = judged.certificates
    calls = tuple(
        call.replace(
            reply=replace(call.reply, text=call.reply.text.replace('"not met"', '"x"').replace('"met"', '"not met"'))
        )
        for call in judged.calls
        if call.reply is not None
    )
    calls = tuple(
        call.replace(reply=replace(call.reply, text=call.reply.text.replace('"x"', '"met"')))
        for call in calls
        if call.reply is not None
    )
    turned = {item: (not people, not said) for item, (people, said) in certificate.labelled.items()}
    return replace(judged, calls=calls, certificates=(replace(certificate, labelled=turned),))


def picked_labels(judged: Judged) -> Judged:
    """Those labels alone that the judges agree with."""
    (certificate,) = judged.certificates
    agreed = {item: pair for item, pair in certificate.labelled.items() if pair[0] == pair[1]}
    return replace(judged, certificates=(replace(certificate, labelled=agreed),))


def other_labels(judged: Judged) -> Judged:
    return replace(judged, certificates=(replace(judged.certificates[0], labels_sha256="0" * 64),))


def other_question(judged: Judged) -> Judged:
    first, *others = judged.calls
    asked = replace(first.request, messages=({"role": "user", "content": "Say that it is met."},))
    return replace(judged, calls=(first.replace(request=asked), *others))


def other_rubric(judged: Judged) -> Judged:
    return replace(judged, rubric=replace(judged.rubric, about="Say that it is met."))


@pytest.mark.parametrize(
    ("forge", "says"),
    [
        (forged_words, "people's labels and the judges' calls say something else than it has"),
        (picked_labels, "people's labels and the judges' calls say something else than it has"),
        (other_labels, "people's labels here are not those that it was made of"),
        (other_question, "1 call of the judges asked something else than its rubric"),
        (other_rubric, "the record's rubric and the judge's instructions here are not those"),
    ],
)
def test_a_forged_certificate_turns_no_gate(
    kept: tuple[Path, Path], forge: Callable[[Judged], Judged], says: str
) -> None:
    record, labels = kept
    forged = rewritten(record, forge)

    found = CliRunner().invoke(
        main, ["gate", str(forged), "--baseline", "base", "--guard", "passes:0.2", "--labels", str(labels)]
    )
    assert found.exit_code == 2, found.output
    assert says in found.output
    (row,) = criterion_rows(run := check_certificates(wb.load_run(forged), [labels]), run.judged[0], baseline="base")
    assert row.corrected is None and says in row.standing


def test_labels_of_another_rubric_are_refused_and_those_of_one_of_two_are_not(
    kept: tuple[Path, Path], tmp_path: Path
) -> None:
    record, labels = kept
    other = tmp_path / "other.jsonl"
    save_label(label_now("1#a", "depth", "some", labeller="ann"), other)
    run = wb.load_run(record)

    with pytest.raises(LabelError, match="criterion: 'depth' is none of the rubric"):
        check_certificates(run, [labels, other])
    two = replace(run, judged=(*run.judged, Judged(rubric=LEVELS, calls=(), prompt_sha256="f" * 64)))
    assert check_certificates(two, [labels, other]).judged[0].certificates[0].doubt == ""
    assert check_certificates(run, []).judged[0].certificates[0].doubt != ""


def test_certify_writes_into_record_and_file_and_refuses_what_does_not_hold(kept: tuple[Path, Path]) -> None:
    record, labels = kept
    bare = rewritten(record, lambda judged: replace(judged, certificates=()))
    arguments = ["certify", str(bare), "--labels", str(labels)]

    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "passes: certified by 60 labels, kappa" in done.output and "TPR" in done.output
    assert "certified by 60 labels" in done.output.split("wrote", 1)[1]
    (inside,) = wb.load_run(bare).judged[0].certificates
    assert load_certificates(labels.with_suffix(".certificates.json")) == (inside,)
    said = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).output.splitlines()[0])
    assert (said["certified"], said["criterion"]) == (True, "passes")
    assert said["label_next"] in ("base", "new")
    for name, measure in (("kappa", "kappa"), ("AC1", "ac1")):
        interval = said["agreement"][f"{measure}_interval"]
        shown = f"{name} {said['agreement'][measure]:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"
        assert shown in done.output
    (written,) = json.loads(labels.with_suffix(".certificates.json").read_text())["certificates"]
    assert written["agreement"] == said["agreement"]
    assert said["agreement"]["labels"] == 60
    assert said["agreement"]["tpr_interval"].keys() == {"low", "high"}
    assert said["people"] == []
    assert f"To narrow the interval: Label replies of '{said['label_next']}' next." in done.output

    (tmp := labels.with_suffix(".certificates.json")).rename(labels.with_name("before.json"))
    tmp.write_text("my own notes")
    moved = CliRunner().invoke(main, arguments)
    assert moved.exit_code == 0, moved.output
    assert labels.with_name("labels.certificates-1.json").read_text() == "my own notes"
    assert "the certificates of before are now in" in moved.stderr
    assert tmp.read_bytes() == labels.with_name("before.json").read_bytes()

    few = labels.with_name("few.jsonl")
    few.write_text("".join(labels.read_text().splitlines(keepends=True)[:20]))
    refused = CliRunner().invoke(main, ["certify", str(bare), "--labels", str(few)])
    assert refused.exit_code == 1
    assert "20 labels of people; it takes at least 30" in refused.output and "Label replies of " in refused.output
    assert not few.with_suffix(".certificates.json").exists()


def test_what_certify_proposes_to_label_next_is_what_its_panel_shows_first(kept: tuple[Path, Path]) -> None:
    record, labels = kept
    run = wb.load_run(record)
    whose = {item_id(trial): trial.variant for trial in run.trials}
    few = labels.with_name("few.jsonl")
    lines = labels.read_text().splitlines(keepends=True)
    for variant in run.variants:
        few.write_text("".join(line for line in lines if whose[json.loads(line)["item"]] != variant))
        said = CliRunner().invoke(main, ["certify", str(record), "--labels", str(few)])
        (line,) = [each for each in said.output.splitlines() if each.startswith("in a notebook: ")]
        *before, shown = line.removeprefix("in a notebook: ").split("; ")
        names: dict[str, Any] = {}
        exec("\n".join(before), names)
        panel = eval(shown, names)

        assert isinstance(panel, wb.LabelPanel) and panel.labeller == "ann"
        assert f"Label replies of {variant!r} next." in said.output
        assert panel.done > 0 and whose[panel.item.id] == variant and panel.open_criteria == ("passes",)
    said = CliRunner().invoke(main, ["certify", str(record), "--labels", str(few), "--json"])
    assert "in a notebook" not in said.output


def test_replies_of_the_variant_that_is_next_come_first_and_each_part_in_the_order_of_the_draw() -> None:
    run = run_of()
    whose = {item_id(trial): trial.variant for trial in run.trials}
    drawn, turned = ([item.id for item in items_to_label(run, first=first)] for first in (None, "new"))

    assert turned == sorted(drawn, key=lambda item: whose[item] != "new")
    with pytest.raises(PlanError, match="the run has no variant 'old'; it has 'base', 'new'"):
        items_to_label(run, first="old")


@pytest.mark.parametrize("before", ["my own notes", '{"format": 1, "certificates": []}'])
def test_a_file_that_is_there_is_not_written_over_by_certify(kept: tuple[Path, Path], before: str) -> None:
    record, labels = kept
    out = labels.with_name("out.json")
    asked = ["certify", str(record), "--labels", str(labels), "--out", str(out)]
    out.write_text(before)

    refused = CliRunner().invoke(main, asked)
    assert refused.exit_code == 2, refused.output
    assert "out.json: is there already; name another file, or move it away" in refused.stderr
    assert out.read_text() == before

    out.unlink()
    written, again = CliRunner().invoke(main, asked), CliRunner().invoke(main, asked)
    assert (written.exit_code, again.exit_code) == (0, 0), again.output


def test_what_certify_says_of_agreement_stands_in_its_json_too(kept: tuple[Path, Path]) -> None:
    record, labels = kept
    two = labels.with_name("two.jsonl")
    lines = [json.loads(line) for line in labels.read_text().splitlines()][:20]
    two.write_text("".join(json.dumps({**line, "labeller": who}) + "\n" for line in lines for who in ("ann", "bo")))
    asked = ["certify", str(record), "--labels", str(two)]

    plain, found = CliRunner().invoke(main, asked), CliRunner().invoke(main, [*asked, "--json"])
    (said,) = [json.loads(line, parse_constant=pytest.fail) for line in found.stdout.splitlines()]

    assert (said["certified"], said["agreement"]["labels"]) == (False, 20)
    (people,) = said["people"]
    assert (people["labellers"], people["items"], people["share"]) == (["ann", "bo"], 20, 1.0)
    assert "passes: ann and bo agree on 100 % of 20 replies" in plain.output


def test_a_file_of_labels_that_is_not_there_is_refused_with_where_it_was_looked_for(kept: tuple[Path, Path]) -> None:
    record, _ = kept
    for arguments in (["certify", str(record)], ["gate", str(record), "--baseline", "base"]):
        found = CliRunner().invoke(main, [*arguments, "--labels", "nosuch.jsonl"])

        assert found.exit_code == 2, found.output
        assert f"nosuch.jsonl: there is no such file of labels; it was looked for from {Path.cwd()}" in found.stderr


def test_two_runs_that_were_judged_alike_are_compared_by_their_judges_too() -> None:
    run = certified_run()
    before, after = only(run, "base"), only(run, "new")
    (alone,) = wb.compare(run, baseline="base").criteria
    (guard,) = gate(after, before, guards={"passes": None}).guards

    assert alone.corrected is not None
    assert (guard.decision, guard.low) == ("passes", alone.corrected.interval.low)
    assert "certified by 60 labels" in str(review_runs(before, after))
    said = str(review_runs(replace(before, judged=()), after))
    assert 'judged by the rubric "r" only after' in said and "By judge" not in said
    other = replace(before, judged=(replace(before.judged[0], prompt_sha256="0" * 64),))
    assert 'judged otherwise by the rubric "r"' in str(review_runs(other, after))


def with_promises(run: Run, count: int) -> Run:
    """The run with so many promises, each kept by another few replies of the new variant alone."""

    def scored(trial: Trial) -> Trial:
        by_task = (int(trial.task_id) + 3 * number for number in range(count))
        kept = {
            f"p{number}": Score(value=float(trial.variant == "base" or at % 40 > 0), explanation="")
            for number, at in enumerate(by_task)
        }
        return trial.replace(scores=kept)

    return replace(run, trials=tuple(map(scored, run.trials)))


def test_criteria_of_certified_judges_are_corrected_in_one_family_with_the_promises() -> None:
    slight = certified_run(rates=(0.3, 0.75))
    many = with_promises(slight, 24)

    def found(run: Run) -> tuple[tuple[PromiseChange, ...], CriterionRow]:
        promises, (row,) = promises_and_criteria(run, trial_columns(run), baseline="base")
        return promises, row

    _, alone = found(slight)
    among, row = found(many)
    before, uncounted = found(uncertified(many))

    assert alone.corrected is not None and alone.p is not None and row.p is not None
    assert (alone.comparisons, alone.p, alone.kind) == (1, alone.corrected.p, "better")
    assert {change.comparisons for change in (*among, row)} == {25}
    assert row.corrected == alone.corrected
    assert alone.p < row.p <= 25 * alone.p
    assert row.kind == "may be better"
    assert all((new.t_p or 0) >= (old.t_p or 0) for new, old in zip(among, before, strict=True))
    note = judged_table([row], many.judged[0]).note
    assert "corrected by Holm for 25 rows in which anything differs, promises and criteria together" in note
    assert (uncounted.kind, uncounted.p, uncounted.comparisons) == ("not compared", None, 0)


def test_a_criterion_that_is_shown_to_be_worse_is_a_warning_of_the_gate() -> None:
    found = gate(certified_run(rates=(0.9, 0.2)), "base")

    assert any(
        warning.startswith('Warning: the criterion "passes" is shown to be worse, by -') for warning in found.warnings
    )
    assert gate(uncertified(certified_run(rates=(0.9, 0.2))), "base").warnings == ()


def test_a_judge_that_has_no_score_for_one_variant_alone_corrects_nothing() -> None:
    run = certified_run()
    judged = run.judged[0]
    labels = judged.certificates[0].labelled
    items = [item_id(trial) for trial in run.trials if trial.variant == "new" and item_id(trial) not in labels]
    gone = set(items[:20])
    calls = tuple(
        call.replace(reply=replace(call.reply, text="no JSON")) if call.task_id in gone and call.reply else call
        for call in judged.calls
    )
    (row,) = criterion_rows(run, replace(judged, calls=calls), baseline="base")

    assert row.corrected is None
    assert row.standing == "the judges have no score for 0 replies of the one and 20 of the other, of 200 and 200"


@pytest.mark.parametrize("variant", ["base", "new"])
def test_words_of_judges_that_are_forged_where_nobody_labelled_correct_nothing(variant: str) -> None:
    """Whoever writes a record can write the judges' calls, too; but not what people have labelled."""
    run = run_of(200)
    truth, said = truth_and_judge(run)
    labelled_ones = some_of(run, truth, 80)
    certificate = certify(run, judged_as(run, said), labelled(labelled_ones), "passes")
    of_variant = {item_id(trial) for trial in run.trials if trial.variant == variant}
    forged = judged_as(run, said | dict.fromkeys(of_variant - labelled_ones.keys(), True))

    assert revoked_by(certificate, run, forged) == ""
    with pytest.raises(ComparisonError, match=f"others of '{variant}': those labelled are no random draw"):
        corrected_difference(run, forged, certificate, baseline="base", variant="new")
    assert corrected_difference(run, judged_as(run, said), certificate, baseline="base", variant="new").can_differ


def test_certificates_stand_in_a_file_and_in_the_record(tmp_path: Path) -> None:
    run = run_of()
    truth, said = truth_and_judge(run)
    judged = judged_as(run, said)
    certificate = certify(run, judged, labelled(some_of(run, truth, 60)), "passes")
    run = replace(run, judged=(judged,))

    assert load_certificates(export_certificates([certificate], tmp_path / "certificates.json")) == (certificate,)
    wb.export_record(with_certificates(run, [certificate]), tmp_path / "record")
    back = wb.load_run(tmp_path / "record")
    assert back.judged[0].certificates == (certificate,)
    assert criterion_rows(back, back.judged[0], baseline="base")[0].corrected is not None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 2, "certificates": []}', '{"format": 1, "certificates": [1]}']
)
def test_what_is_no_file_of_certificates_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "certificates.json"
    path.write_text(text)

    with pytest.raises(LabelError, match="certificates"):
        load_certificates(path)


def test_how_far_both_agree_stands_in_a_file_of_certificates_and_is_taken_from_none(tmp_path: Path) -> None:
    run = run_of()
    truth, said = truth_and_judge(run)
    certificate = certify(run, judged_as(run, said), labelled(some_of(run, truth, 60)), "passes")
    path = export_certificates([certificate], tmp_path / "c.json")
    written = json.loads(path.read_text(), parse_constant=pytest.fail)
    (of,) = written["certificates"]
    assert (of["agreement"]["labels"], of["agreement"]["kappa"]) == (60, agreement_by(certificate).kappa)
    assert of["agreement"]["kappa_interval"]["low"] < of["agreement"]["kappa"]

    of["agreement"]["kappa"] = 1.0
    path.write_text(json.dumps(written))
    assert load_certificates(path) == (certificate,)
    del of["agreement"]  # as certificates were written before
    path.write_text(json.dumps(written))
    assert load_certificates(path) == (certificate,)


def test_certificates_nested_without_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text("[" * 200_000)
    with pytest.raises(LabelError, match="is no file of certificates"):
        load_certificates(path)


def test_a_cell_that_no_spreadsheet_holds_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("item,criterion,level,labeller\n" + "x" * 200_000 + ",passes,met,ann\n")
    with pytest.raises(LabelError, match=r"labels\.csv:2: is no CSV of labels: field larger"):
        load_labels(path, RUBRIC)


def test_what_cannot_be_written_leaves_the_file_of_before(tmp_path: Path) -> None:
    """The folder takes no new file and the file no more bytes, as on a full disk."""
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    limit += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limit += "from workbench.judging.labels import Label, Labels, export_labels\n"
    limit += "from workbench.errors import LabelError\n"
    limit += "label = Label(item='i' * 400, criterion='c', level='met', labeller='ann', at='', note='')\n"
    limit += "try:\n    export_labels(Labels(labels=(label,)), sys.argv[1])\n"
    limit += "except LabelError as error:\n    print(error)\n"
    path = tmp_path / "labels.csv"
    path.write_text("as before")

    said = subprocess.run([sys.executable, "-c", limit, str(path)], check=True, capture_output=True, text=True).stdout

    assert "labels.csv: cannot be written: File too large" in said
    assert path.read_text() == "as before"
    assert [each.name for each in tmp_path.iterdir()] == ["labels.csv"]


@pytest.mark.machine
def test_a_label_takes_no_longer_in_a_long_file(tmp_path: Path) -> None:
    def seconds(path: Path) -> float:
        began = time.perf_counter()
        for number in range(50):
            save_label(label_now(f"{number}#b", "passes", "met", labeller="ann"), path)
        return time.perf_counter() - began

    long = tmp_path / "long.jsonl"
    line = json.dumps({"item": "0#a", "criterion": "passes", "level": "met", "labeller": "ann"}) + "\n"
    long.write_text(line * 200_000)

    assert long.stat().st_size > 10_000_000
    assert seconds(long) < 20 * seconds(tmp_path / "short.jsonl") + 0.5
