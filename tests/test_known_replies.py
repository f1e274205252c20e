"""Good and bad replies in a task file: what is read, and each fault named by its file, line and place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs import STAND_IN
from workbench.errors import TaskFileError
from workbench.trial.known_replies import LONGEST_REPLY, MOST_REPLIES, KnownReply
from workbench.trial.record import export_record, load_run
from workbench.trial.task import load_tasks
from workbench.trial.trial import Run

TASK = "id: a\n  input: x\n  graders: [{mentions: {promise: locks, any: [lock]}}, {word_count: {at_most: 9}}]"


def written(tmp_path: Path, replies: str, name: str = "tasks.yaml") -> Path:
    path = tmp_path / name
    path.write_text(f"- {TASK}\n  replies:\n{replies}", encoding="utf-8")
    return path


def test_replies_are_texts_or_mappings_and_know_their_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "    good:\n    - take a lock\n    bad:\n    - none\n    - {name: salad, text: '{{ x }}', fails: [locks]}\n"
        "    - {text: long, fails: all, at_least: 0.5}\n    - {text: fluent, fails: none}\n",
    )

    [task] = load_tasks(path)

    assert task.replies == (
        KnownReply(name="good 1", text="take a lock", is_good=True, where=f"{path}:6"),
        KnownReply(name="bad 1", text="none", is_good=False, where=f"{path}:8"),
        KnownReply(name="salad", text="{{ x }}", is_good=False, fails=("locks",), where=f"{path}:9"),
        KnownReply(
            name="bad 3", text="long", is_good=False, fails=("locks", "word_count"), at_least=0.5, where=f"{path}:10"
        ),
        KnownReply(name="bad 4", text="fluent", is_good=False, is_for_a_judge=True, where=f"{path}:11"),
    )


def test_replies_stand_in_a_file_beside_for_one_task_or_for_all(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("good: [take a lock]\nbad:\n- nothing\n", encoding="utf-8")
    (tmp_path / "all.replies.yaml").write_text(
        "port:\n  good: [any lock]\nport[lang=Go]:\n  good: [a Go lock]\nb:\n  bad: [never]\n", encoding="utf-8"
    )
    one = tmp_path / "one.tasks.yaml"
    one.write_text(f"- {TASK}\n  replies: one.yaml\n", encoding="utf-8")
    every = tmp_path / "all.tasks.yaml"
    every.write_text(
        "replies: all.replies.yaml\ntasks:\n- {id: port, input: '{{ lang }}', variables: {lang: [Go, C]}}\n"
        "- {id: b, input: y}\n- {id: c, input: y, replies: {good: [its own]}}\n",
        encoding="utf-8",
    )

    [task] = load_tasks(one)
    assert [(reply.text, reply.where.rpartition("/")[2]) for reply in task.replies] == [
        ("take a lock", "one.yaml:1"),
        ("nothing", "one.yaml:3"),
    ]
    assert {task.id: [reply.text for reply in task.replies] for task in load_tasks(every)} == {
        "port[lang=Go]": ["a Go lock"],
        "port[lang=C]": ["any lock"],
        "b": ["never"],
        "c": ["its own"],
    }


def test_json_lines_and_csv_hold_replies_too(tmp_path: Path) -> None:
    lines = tmp_path / "t.jsonl"
    lines.write_text('{"id": "a", "input": "x", "replies": {"good": ["yes"]}}\n', encoding="utf-8")
    table = tmp_path / "t.csv"
    table.write_text('id,input,replies\na,x,"{good: [yes it is]}"\n', encoding="utf-8")

    assert [reply.text for path in (lines, table) for task in load_tasks(path) for reply in task.replies] == [
        "yes",
        "yes it is",
    ]


@pytest.mark.parametrize(
    ("replies", "line", "says"),
    [
        ("    godo: [x]\n", 5, "did you mean 'good'"),
        ("    good: x\n", 5, "must be a list of replies"),
        ("    good:\n    - x\n    - 3\n", 7, "good 2 must be text, or a mapping"),
        ("    bad:\n    - {txt: x}\n", 6, "did you mean 'text'"),
        ("    bad:\n    - {text: x, fails: [lokcs]}\n", 6, "did you mean 'locks'"),
        ("    bad:\n    - {text: x, fails: locks}\n", 6, "fails must be a list"),
        ("    good:\n    - {text: x, fails: [locks]}\n", 6, "one that fails stands under `bad`"),
        ("    good:\n    - {text: x, fails: none}\n", 6, "`fails` belongs to one under `bad`"),
        ("    good: [{name: a, text: x}]\n    bad:\n    - {name: a, text: x}\n", 7, "two are called 'a'"),
        ("    at_least: 2\n", 5, "above 0 and up to 1"),
        ("    at_least: no\n", 5, "above 0 and up to 1"),
        (f"    bad: ['{'x' * (LONGEST_REPLY + 1)}']\n", 5, f"at most {LONGEST_REPLY:,}"),
        (f"    bad: [{'x, ' * MOST_REPLIES} x]\n", 5, f"at most {MOST_REPLIES}"),
        ("    - good\n", 4, "must be a mapping"),
    ],
)
def test_what_is_wrong_is_named_by_its_line(tmp_path: Path, replies: str, line: int, says: str) -> None:
    path = written(tmp_path, replies)

    with pytest.raises(TaskFileError, match=says) as caught:
        load_tasks(path)

    assert caught.value.line == line


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../x.yaml", "not in the folder"),
        ("/etc/x.yaml", "not in the folder"),
        ("out.yaml", "not in the folder"),
        ("x.txt", "no YAML file"),
        ("gone.yaml", "cannot be read"),
    ],
)
def test_a_file_of_replies_is_inside_the_folder(tmp_path: Path, name: str, says: str) -> None:
    inside = tmp_path / "tasks"
    inside.mkdir()
    (tmp_path / "x.yaml").write_text("good: [x]\n", encoding="utf-8")
    (inside / "out.yaml").symlink_to(tmp_path / "x.yaml")
    path = inside / "t.yaml"

    for text in (f"- {{id: a, input: x, replies: {name}}}\n", f"replies: {name}\ntasks: [{{id: a, input: x}}]\n"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(TaskFileError, match=says):
            load_tasks(path)


def test_a_fault_in_the_file_beside_is_told_there(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("a:\n  good: [x]\nqueu:\n  good: [x]\n", encoding="utf-8")
    path = tmp_path / "t.yaml"
    path.write_text("replies: r.yaml\ntasks: [{id: a, input: x}, {id: queue, input: y}]\n", encoding="utf-8")

    with pytest.raises(TaskFileError, match=r"r\.yaml:3: queu: is the id of no task; did you mean 'queue'"):
        load_tasks(path)


def test_replies_are_no_part_of_a_task_or_of_a_record(tmp_path: Path) -> None:
    [with_replies] = load_tasks(written(tmp_path, "    good: [a secret of ours]\n"))
    without = tmp_path / "without.yaml"
    without.write_text(f"- {TASK}\n", encoding="utf-8")
    [plain] = load_tasks(without)

    assert (with_replies.id, with_replies.message) == (plain.id, plain.message)
    export_record(Run(tasks=(with_replies,), variants={}, trials=(), repeats=1, endpoint=STAND_IN), tmp_path / "record")
    assert "secret of ours" not in (tmp_path / "record" / "tasks.jsonl").read_text(encoding="utf-8")
    assert load_run(tmp_path / "record").tasks == (with_replies,)
